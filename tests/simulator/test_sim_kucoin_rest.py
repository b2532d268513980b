"""KuCoin's REST front: envelope, codes, rules, quotas, orders and their cost. Figures by hand, venue_kit's book."""

from __future__ import annotations

from typing import Any

import pytest

from tradeserver.simulator.front import HttpIn
from tradeserver.simulator.types import Side, Status
from venue_kit import MS, D, S, Venue, binance, body_of, kucoin, kucoin_headers, kucoin_order, settings

ORDERS = "POST /api/v1/hf/orders"
SYNC = "POST /api/v1/hf/orders/sync"


def data(answer: Any) -> Any:
    body = body_of(answer)
    assert (answer.status, body["code"]) == (200, "200000"), body
    return body["data"]


def refused(answer: Any) -> tuple[str, str]:
    assert answer.status == 200, "business errors come with HTTP 200"
    return body_of(answer)["code"], body_of(answer)["msg"]


# ---- rules of an order ----


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"symbol": "DOGE-USDT"}, "900001", "symbol not exists"),
        ({"size": "0.05"}, "400100", "Order size below the minimum requirement."),
        ({"size": "20.00001"}, "400100", "Order size increment invalid."),
        ({"price": "1.130001"}, "400100", "Price increment invalid."),
        ({"size": "0.1", "price": "0.5"}, "400100", "The order funds should more then 0.1 USDT."),
        ({"size": "99999"}, "200004", "Balance insufficient"),
        ({"timeInForce": "IOC", "postOnly": True}, "400100", "postOnly is invalid when timeInForce is IOC or FOK."),
        ({"size": None}, "400100", "price and size are required for a limit order."),
        ({"timeInForce": "GTT"}, "400100", "cancelAfter is required when timeInForce is GTT."),
        ({"clientOid": "a b"}, "400100", "clientOid: at most 40 letters, digits, - and _."),
        (
            {"type": "market", "price": None, "funds": "10"},
            "400100",
            "Either size or funds is required for a market order.",
        ),
        (
            {"price": "1.2", "postOnly": True},
            "400100",
            "The order is post only and would be matched immediately.",
        ),
    ],
)
def test_what_is_wrong_with_an_order(changes: dict[str, Any], code: str, text: str) -> None:
    assert refused(kucoin(Venue("kucoin"), ORDERS, kucoin_order(**changes))) == (code, text)


def test_client_ids_are_never_used_again() -> None:
    venue = Venue("kucoin")
    order = data(kucoin(venue, ORDERS, kucoin_order()))
    taken = ("400100", "validation.createOrder.clientOidDuplicated")
    assert refused(kucoin(venue, ORDERS, kucoin_order())) == taken
    kucoin(venue, f"DELETE /api/v1/hf/orders/{order['orderId']}?symbol=XRP-USDT")
    assert refused(kucoin(venue, ORDERS, kucoin_order())) == taken


def test_a_halted_symbol() -> None:
    venue = Venue("kucoin")
    venue.exchange.set_status("XRP/USDT", Status.HALTED, venue.now)
    assert refused(kucoin(venue, ORDERS, kucoin_order())) == ("200001", "Order creation for this pair suspended")
    assert data(venue.http("GET", "/api/v2/symbols/XRP-USDT"))["enableTrading"] is False


def test_an_order_that_came_too_late() -> None:
    venue = Venue("kucoin")
    order = kucoin_order(clientTimestamp=venue.now // MS - 101, allowMaxTimeWindow=100)
    assert refused(kucoin(venue, ORDERS, order))[0] == "400100"
    assert data(kucoin(venue, ORDERS, {**order, "allowMaxTimeWindow": 101}))["clientOid"] == "c-1"


def test_the_extras_that_the_official_sdk_always_sends() -> None:
    extras = {"timeInForce": "GTC", "postOnly": False, "hidden": False, "iceberg": False, "cancelAfter": -1}
    assert data(kucoin(Venue("kucoin"), ORDERS, kucoin_order(**extras)))["clientOid"] == "c-1"


# ---- what comes of an order ----


def test_async_says_only_heard_and_sync_says_all() -> None:
    venue = Venue("kucoin")
    heard = data(kucoin(venue, ORDERS, kucoin_order(price="1.135")))
    assert heard.keys() == {"orderId", "clientOid"}
    assert len(heard["orderId"]) == 24
    result = data(kucoin(venue, SYNC, kucoin_order(clientOid="c-2", price="1.136", size="150")))
    # 80 are left at 1.1350, the other 70 come from 1.1360.
    assert result == {
        "orderId": result["orderId"],
        "clientOid": "c-2",
        "orderTime": 1700000000000,
        "originSize": "150",
        "dealSize": "150",
        "remainSize": "0",
        "canceledSize": "0",
        "status": "done",
        "matchTime": 1700000000000,
    }


def test_both_sides_pay_quote() -> None:
    """Buying 20 at 1.135 costs 22.7 and 0.1 % of it; the base comes whole. Selling 20 brings 22.68 less 0.1 %."""
    venue = Venue("kucoin")
    kucoin(venue, ORDERS, kucoin_order(price="1.135", timeInForce="IOC"))
    balances = {row["currency"]: row for row in data(kucoin(venue, "GET /api/v1/accounts?type=trade"))}
    assert balances["XRP"]["balance"] == "10020"
    assert balances["USDT"]["available"] == "99977.2773"  # 100000 - 22.7 - 0.0227
    kucoin(venue, ORDERS, kucoin_order(clientOid="c-2", side="sell", price="1.134", timeInForce="IOC"))
    balances = {row["currency"]: row for row in data(kucoin(venue, "GET /api/v1/accounts?type=trade_hf"))}
    assert balances["XRP"] == {**balances["XRP"], "type": "trade_hf", "balance": "10000", "holds": "0"}
    assert balances["USDT"]["available"] == "99999.93462"  # + 22.68 - 0.02268


def test_a_resting_buy_holds_its_fee() -> None:
    venue = Venue("kucoin")
    kucoin(venue, ORDERS, kucoin_order(price="1.1", size="100"))
    [usdt] = data(kucoin(venue, "GET /api/v1/accounts?type=trade&currency=USDT"))
    assert (usdt["holds"], usdt["available"], usdt["balance"]) == ("110.11", "99889.89", "100000")


def test_fills_tell_the_fee() -> None:
    venue = Venue("kucoin")
    order = data(kucoin(venue, ORDERS, kucoin_order(price="1.136", size="150", timeInForce="IOC")))
    page = data(kucoin(venue, f"GET /api/v1/hf/fills?symbol=XRP-USDT&orderId={order['orderId']}"))
    assert [(f["price"], f["size"], f["funds"], f["fee"], f["feeCurrency"], f["liquidity"]) for f in page["items"]] == [
        ("1.136", "50", "56.8", "0.0568", "USDT", "taker"),
        ("1.135", "100", "113.5", "0.1135", "USDT", "taker"),
    ]
    assert {f["orderId"] for f in page["items"]} == {order["orderId"]}
    older = data(kucoin(venue, f"GET /api/v1/hf/fills?symbol=XRP-USDT&limit=1&lastId={page['items'][0]['id']}"))
    assert [f["price"] for f in older["items"]] == ["1.135"]


def test_an_order_from_open_to_done() -> None:
    venue = Venue("kucoin")
    order = data(kucoin(venue, ORDERS, kucoin_order()))
    [row] = data(kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT"))
    assert (row["active"], row["inOrderBook"], row["cancelExist"], row["remainSize"]) == (True, True, False, "20")
    assert (row["price"], row["size"], row["funds"], row["dealFunds"]) == ("1.13", "20", "22.6", "0")
    symbols = data(kucoin(venue, "GET /api/v1/hf/orders/active/symbols"))
    assert symbols == {"symbolSize": 1, "symbols": ["XRP-USDT"]}
    assert data(kucoin(venue, "DELETE /api/v1/hf/orders/client-order/c-1?symbol=XRP-USDT")) == {"clientOid": "c-1"}
    row = data(kucoin(venue, f"GET /api/v1/hf/orders/{order['orderId']}?symbol=XRP-USDT"))
    assert (row["active"], row["cancelExist"], row["cancelledSize"], row["remainSize"]) == (False, True, "20", "0")
    done = data(kucoin(venue, "GET /api/v1/hf/orders/done?symbol=XRP-USDT"))
    assert [item["id"] for item in done["items"]] == [order["orderId"]]
    gone = ("400100", "order_not_exist_or_not_allow_to_cancel")
    assert refused(kucoin(venue, f"DELETE /api/v1/hf/orders/{order['orderId']}?symbol=XRP-USDT")) == gone


def test_a_sync_cancel_says_what_was_left() -> None:
    venue = Venue("kucoin")
    order = data(kucoin(venue, ORDERS, kucoin_order()))
    answer = data(kucoin(venue, f"DELETE /api/v1/hf/orders/sync/{order['orderId']}?symbol=XRP-USDT"))
    sizes = {"originSize": "20", "dealSize": "0", "remainSize": "0", "canceledSize": "20", "status": "done"}
    assert answer == {**sizes, "orderId": order["orderId"]}
    kucoin(venue, ORDERS, kucoin_order(clientOid="c-2"))
    answer = data(kucoin(venue, "DELETE /api/v1/hf/orders/sync/client-order/c-2?symbol=XRP-USDT"))
    assert answer == {**sizes, "clientOid": "c-2"}


def test_cancelling_many() -> None:
    venue = Venue("kucoin")
    for number in range(3):
        kucoin(venue, ORDERS, kucoin_order(clientOid=f"c-{number}"))
    assert data(kucoin(venue, "DELETE /api/v1/hf/orders?symbol=XRP-USDT")) == "success"
    assert data(kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT")) == []
    kucoin(venue, ORDERS, kucoin_order(clientOid="c-9"))
    assert data(kucoin(venue, "DELETE /api/v1/hf/orders/cancelAll")) == {
        "succeedSymbols": ["XRP-USDT"],
        "failedSymbols": [],
    }


def test_an_ioc_rest_is_canceled_and_a_gtt_ends() -> None:
    venue = Venue("kucoin")
    result = data(kucoin(venue, SYNC, kucoin_order(price="1.135", size="150", timeInForce="IOC")))
    assert (result["dealSize"], result["canceledSize"], result["status"]) == ("100", "50", "done")
    kucoin(venue, ORDERS, kucoin_order(clientOid="c-2", timeInForce="GTT", cancelAfter=30))
    venue.wait(30 * S - 1)
    assert len(data(kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT"))) == 1
    venue.wait(1)
    assert data(kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT")) == []


def test_the_dead_mans_switch() -> None:
    venue = Venue("kucoin")
    kucoin(venue, ORDERS, kucoin_order())
    arm = "POST /api/v1/hf/orders/dead-cancel-all"
    assert data(kucoin(venue, arm, {"timeout": 5})) == {"currentTime": 1700000000, "triggerTime": 1700000005}
    venue.wait(4 * S)
    kucoin(venue, arm, {"timeout": 5})
    venue.wait(4 * S)
    assert len(data(kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT"))) == 1, "it was set again in time"
    venue.wait(S)
    assert data(kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT")) == []
    kucoin(venue, ORDERS, kucoin_order(clientOid="c-2"))
    kucoin(venue, arm, {"timeout": 5, "symbols": "BTC-USDT"})
    venue.wait(6 * S)
    assert len(data(kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT"))) == 1, "other symbols stay"
    kucoin(venue, arm, {"timeout": 5})
    kucoin(venue, arm, {"timeout": -1})
    venue.wait(6 * S)
    assert len(data(kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT"))) == 1, "switched off"
    assert refused(kucoin(venue, arm, {"timeout": 4}))[0] == "400100"


def test_batches_alter_and_test() -> None:
    venue = Venue("kucoin")
    rows = data(
        kucoin(
            venue,
            "POST /api/v1/hf/orders/multi/sync",
            {"orderList": [kucoin_order(), kucoin_order(clientOid="c-2", size="0.05")]},
        )
    )
    assert (rows[0]["success"], rows[0]["status"]) == (True, "open")
    assert rows[1] == {"success": False, "failMsg": "Order size below the minimum requirement."}
    change = {"symbol": "XRP-USDT", "orderId": rows[0]["orderId"], "newPrice": "1.12"}
    altered = data(kucoin(venue, "POST /api/v1/hf/orders/alter", change))
    [row] = data(kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT"))
    assert (row["id"], row["price"], row["size"]) == (altered["newOrderId"], "1.12", "20")
    assert data(kucoin(venue, "POST /api/v1/hf/orders/test", kucoin_order(clientOid="c-3")))["clientOid"] == "c-3"
    assert refused(kucoin(venue, "POST /api/v1/hf/orders/test", kucoin_order(size="20.00001")))[0] == "400100"
    assert len(venue.exchange.orders("main")) == 2


def test_a_fault_refuses_the_next_placement() -> None:
    venue = Venue("kucoin")
    venue.faults.add('refuse kucoin.orders code=200004 msg="Balance insufficient" first=1', venue.now)
    assert refused(kucoin(venue, ORDERS, kucoin_order())) == ("200004", "Balance insufficient")
    assert data(kucoin(venue, ORDERS, kucoin_order()))["clientOid"] == "c-1"


# ---- markets and accounts ----


def test_books_need_a_signature_when_whole() -> None:
    venue = Venue("kucoin")
    part = data(venue.http("GET", "/api/v1/market/orderbook/level2_20", "symbol=XRP-USDT"))
    assert part["sequence"] == "1020"
    assert part["bids"][:2] == [["1.134", "100"], ["1.133", "100"]]
    assert venue.http("GET", "/api/v3/market/orderbook/level2", "symbol=XRP-USDT").status == 401
    assert data(kucoin(venue, "GET /api/v3/market/orderbook/level2?symbol=XRP-USDT"))["asks"] == part["asks"]


def test_rules_tickers_and_candles() -> None:
    venue = Venue("kucoin")
    rows = {row["symbol"]: row for row in data(venue.http("GET", "/api/v2/symbols"))}
    xrp = rows["XRP-USDT"]
    assert (xrp["priceIncrement"], xrp["baseIncrement"], xrp["baseMinSize"], xrp["minFunds"], xrp["feeCurrency"]) == (
        "0.00001",
        "0.0001",
        "0.1",
        "0.1",
        "USDT",
    )
    venue.exchange.take("XRP/USDT", Side.BUY, D(30), D("1.135"), venue.now)
    venue.exchange.flush("XRP/USDT", venue.now)
    venue.wait(10 * MS)
    ticker = data(venue.http("GET", "/api/v1/market/orderbook/level1", "symbol=XRP-USDT"))
    assert (ticker["price"], ticker["size"], ticker["bestAskSize"], ticker["bestBid"]) == ("1.135", "30", "70", "1.134")
    candles = data(venue.http("GET", "/api/v1/market/candles", "symbol=XRP-USDT&type=1min"))
    assert candles == [["1699999980", "1.135", "1.135", "1.135", "1.135", "30", "34.05"]]
    [trade] = data(venue.http("GET", "/api/v1/market/histories", "symbol=XRP-USDT"))
    assert (trade["side"], trade["time"]) == ("buy", 1_700_000_000_000_000_000)
    assert {row["symbol"] for row in data(venue.http("GET", "/api/v1/market/allTickers"))["ticker"]} == set(rows)
    assert data(venue.http("GET", "/api/v1/market/stats", "symbol=XRP-USDT"))["vol"] == "30"


def test_fee_rates() -> None:
    venue = Venue("kucoin")
    [row] = data(kucoin(venue, "GET /api/v1/trade-fees?symbols=XRP-USDT"))
    assert row == {"symbol": "XRP-USDT", "takerFeeRate": "0.001", "makerFeeRate": "0.001"}
    assert data(kucoin(venue, "GET /api/v1/base-fee")) == {"takerFeeRate": "0.001", "makerFeeRate": "0.001"}
    many = ",".join(["XRP-USDT"] * 11)
    assert refused(kucoin(venue, f"GET /api/v1/trade-fees?symbols={many}"))[0] == "400100"


def test_a_query_is_signed_before_it_is_encoded() -> None:
    """`symbols=XRP-USDT,BTC-USDT` is signed with its comma, although it travels as %2C."""
    venue = Venue("kucoin")
    target = "/api/v1/trade-fees?symbols=XRP-USDT,BTC-USDT"
    headers = kucoin_headers(target, "GET", "", venue.now)
    request = HttpIn("GET", "/api/v1/trade-fees", "symbols=XRP-USDT%2CBTC-USDT", headers, b"")
    assert len(data(venue.front.http(request, venue.now))) == 2
    wrong = kucoin_headers(target.replace(",", "%2C"), "GET", "", venue.now)
    assert venue.front.http(HttpIn("GET", request.path, request.query, wrong, b""), venue.now).status == 401


def test_a_public_call_with_a_bad_signature_is_answered() -> None:
    venue = Venue("kucoin")
    assert venue.http("GET", "/api/v1/timestamp", kc_api_key="x", kc_api_sign="y").status == 200


def test_paths_and_media_types() -> None:
    venue = Venue("kucoin")
    unknown = venue.http("GET", "/api/v1/nothing")
    assert (unknown.status, body_of(unknown)) == (404, {"code": "404000", "msg": "Url Not Found"})
    typed = kucoin(venue, ORDERS, kucoin_order(), content_type="text/plain")
    assert (typed.status, body_of(typed)["code"]) == (415, "415000")


# ---- quotas ----


def test_pools_count_thirty_seconds_from_the_first_request() -> None:
    venue = Venue("kucoin", config=settings("kucoin", spot_30s=5, public_30s=7))
    first = kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT")
    assert first.headers == {
        "gw-ratelimit-limit": "5",
        "gw-ratelimit-remaining": "3",
        "gw-ratelimit-reset": "30000",
    }
    venue.now += 12 * S
    kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT")
    over = kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT")
    assert (over.status, body_of(over)) == (429, {"code": "429000", "msg": "Too Many Requests"})
    assert (over.headers["gw-ratelimit-remaining"], over.headers["gw-ratelimit-reset"]) == ("1", "18000")
    assert venue.http("GET", "/api/v1/timestamp").headers["gw-ratelimit-remaining"] == "4", "another pool"
    venue.now += 18 * S
    assert kucoin(venue, "GET /api/v1/hf/orders/active?symbol=XRP-USDT").status == 200


def test_the_two_venues_do_not_share_a_dialect() -> None:
    assert binance(Venue("kucoin"), "GET /api/v3/account").status == 404
