"""Binance's REST front: codes, texts, filters, limits, answers. Figures are by hand, from the book of venue_kit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tradeserver.simulator.types import Side, Status
from venue_kit import MS, D, S, Venue, binance, body_of, limit_order, settings


def refused(answer: Any, code: int, text: str, status: int = 400) -> None:
    assert (answer.status, body_of(answer)) == (status, {"code": code, "msg": text})


# ---- parameters ----


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"type": "ODD"}, -1116, "Invalid orderType."),
        ({"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
        ({"type": "LIMIT_MAKER"}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"type": "STOP_LOSS"}, -2010, "Stop loss orders are not supported for this symbol."),
        ({"symbol": "DOGEUSDT"}, -1121, "Invalid symbol."),
        ({"price": "1,13"}, -1100, r"Illegal characters found in parameter 'price'; legal range is "
                                   r"'^([0-9]{1,20})(\.[0-9]{1,20})?$'."),
        ({"quantity": "20.123456789"}, -1111, "Parameter 'quantity' has too much precision."),
        ({"newClientOrderId": "ä" * 3}, -1100, "Illegal characters found in parameter 'newClientOrderId'; legal range "
                                              "is '^[a-zA-Z0-9-_]{1,36}$'."),
        ({"newClientOrderId": ""}, -1105, "Parameter 'newClientOrderId' was empty."),
        ({"colour": "red"}, -1104, "Not all sent parameters were read; read '8' parameter(s) but was sent '9'."),
        ({"recvWindow": "60001"}, -1131, "recvWindow must be less than 60000."),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_order(changes: dict[str, str], code: int, text: str) -> None:
    refused(binance(Venue("binance"), "POST /api/v3/order", **limit_order(**changes)), code, text)


def test_texts_are_the_documented_ones(shared_data: Path) -> None:
    """Every fixed text that this front sends is in the venue's list, so that clients that match on texts work."""
    documented = json.loads((shared_data / "binance/errors.json").read_text())
    known = {message for row in documented["errors"] for message in row["messages"]}
    known |= set(documented["engine_messages_for_-1010_-2010_-2011_-2038"]) | set(documented["filter_failures"])
    from tradeserver.simulator.binance import errors, trading

    sent = [make().text for make in trading.REJECTS.values()] + [
        errors.outside_window().text,
        errors.ahead_of_server().text,
        errors.bad_signature().text,
        errors.cancel_rejected().text,
        errors.no_such_order().text,
        errors.bad_key_format().text,
        errors.rejected_key().text,
    ]
    assert not [text for text in sent if text not in known]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"price": "1.13005"}, "Filter failure: PRICE_FILTER"),
        ({"price": "0"}, "Filter failure: PRICE_FILTER"),
        ({"price": "9.0"}, "Filter failure: PERCENT_PRICE"),
        ({"quantity": "0.5"}, "Filter failure: LOT_SIZE"),
        ({"quantity": "20.5"}, "Filter failure: LOT_SIZE"),
        ({"quantity": "9000001"}, "Filter failure: LOT_SIZE"),
        ({"quantity": "4"}, "Filter failure: NOTIONAL"),
    ],
)
def test_filters(changes: dict[str, str], text: str) -> None:
    refused(binance(Venue("binance"), "POST /api/v3/order", **limit_order(**changes)), -1013, text)


def test_the_engine_refuses() -> None:
    venue = Venue("binance")
    order = limit_order(newClientOrderId="a-1")
    assert binance(venue, "POST /api/v3/order", **order).status == 200
    refused(binance(venue, "POST /api/v3/order", **order), -2010, "Duplicate order sent.")
    binance(venue, "DELETE /api/v3/order", symbol="XRPUSDT", origClientOrderId="a-1")
    assert binance(venue, "POST /api/v3/order", **order).status == 200, "an id is free again once its order is closed"
    refused(
        binance(venue, "POST /api/v3/order", **limit_order(quantity="99000")),
        -2010,
        "Account has insufficient balance for requested action.",
    )
    maker = {k: v for k, v in limit_order(type="LIMIT_MAKER", price="1.135").items() if k != "timeInForce"}
    refused(binance(venue, "POST /api/v3/order", **maker), -2010, "Order would immediately match and take.")
    venue.exchange.set_status("XRP/USDT", Status.HALTED, venue.now)
    refused(binance(venue, "POST /api/v3/order", **limit_order()), -2010, "Market is closed.")


# ---- answers ----


def test_a_full_answer_to_the_digit() -> None:
    """Buying 150 at up to 1.136 takes 100 at 1.1350 and 50 at 1.1360: 113.5 + 56.8; 0.1 % of the received XRP."""
    answer = body_of(
        binance(
            Venue("binance"),
            "POST /api/v3/order",
            **limit_order(quantity="150", price="1.136", timeInForce="IOC", newClientOrderId="f-1"),
        )
    )
    assert answer == {
        "symbol": "XRPUSDT",
        "orderId": 1000,
        "orderListId": -1,
        "clientOrderId": "f-1",
        "transactTime": 1700000000000,
        "price": "1.13600000",
        "origQty": "150.00000000",
        "executedQty": "150.00000000",
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": "170.30000000",
        "status": "FILLED",
        "timeInForce": "IOC",
        "type": "LIMIT",
        "side": "BUY",
        "workingTime": 1700000000000,
        "selfTradePreventionMode": "NONE",
        "fills": [
            {
                "price": "1.13500000",
                "qty": "100.00000000",
                "commission": "0.10000000",
                "commissionAsset": "XRP",
                "tradeId": 1001,
            },
            {
                "price": "1.13600000",
                "qty": "50.00000000",
                "commission": "0.05000000",
                "commissionAsset": "XRP",
                "tradeId": 1002,
            },
        ],
    }


def test_three_kinds_of_answer_and_their_defaults() -> None:
    venue = Venue("binance")
    ack = {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    assert body_of(binance(venue, "POST /api/v3/order", **limit_order(newOrderRespType="ACK"))).keys() == ack
    result = body_of(binance(venue, "POST /api/v3/order", **limit_order(newOrderRespType="RESULT")))
    assert ack < result.keys()
    assert "fills" not in result
    assert body_of(binance(venue, "POST /api/v3/order", **limit_order()))["fills"] == []
    maker = {k: v for k, v in limit_order(type="LIMIT_MAKER", price="1.12").items() if k != "timeInForce"}
    assert body_of(binance(venue, "POST /api/v3/order", **maker)).keys() == ack


def test_the_rest_of_an_ioc_expires() -> None:
    venue = Venue("binance")
    order = limit_order(quantity="150", price="1.135", timeInForce="IOC")
    answer = body_of(binance(venue, "POST /api/v3/order", **order))
    assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "100.00000000")
    assert answer["expiryReason"] == "UNFILLED_IOC_QUANTITY_EXPIRED"
    seen = body_of(binance(venue, "GET /api/v3/order", symbol="XRPUSDT", orderId=answer["orderId"]))
    assert (seen["status"], seen["executedQty"]) == ("EXPIRED", "100.00000000")


def test_a_cancel_shows_its_own_id() -> None:
    venue = Venue("binance")
    binance(venue, "POST /api/v3/order", **limit_order(newClientOrderId="a-1"))
    answer = body_of(
        binance(venue, "DELETE /api/v3/order", symbol="XRPUSDT", origClientOrderId="a-1", newClientOrderId="x-1")
    )
    assert (answer["clientOrderId"], answer["origClientOrderId"], answer["status"]) == ("x-1", "a-1", "CANCELED")
    refused(
        binance(venue, "DELETE /api/v3/order", symbol="XRPUSDT", origClientOrderId="a-1"), -2011, "Unknown order sent."
    )
    found = body_of(binance(venue, "GET /api/v3/order", symbol="XRPUSDT", origClientOrderId="a-1"))
    assert (found["clientOrderId"], found["status"]) == ("a-1", "CANCELED")


def test_cancel_restrictions_and_both_ids() -> None:
    venue = Venue("binance")
    order = body_of(binance(venue, "POST /api/v3/order", **limit_order(newClientOrderId="a-1")))
    common = {"symbol": "XRPUSDT", "orderId": order["orderId"]}
    refused(
        binance(venue, "DELETE /api/v3/order", **common, cancelRestrictions="ONLY_PARTIALLY_FILLED"),
        -2011,
        "Order was not canceled due to cancel restrictions.",
    )
    refused(
        binance(venue, "DELETE /api/v3/order", **common, cancelRestrictions="SOME"), -1145, "Invalid cancelRestrictions"
    )
    refused(
        binance(venue, "DELETE /api/v3/order", **common, origClientOrderId="b-1"),
        -2039,
        "Client order ID is not correct for this order ID.",
    )
    assert binance(venue, "DELETE /api/v3/order", **common, origClientOrderId="a-1").status == 200


def test_cancel_all_and_open_orders() -> None:
    venue = Venue("binance")
    for price in ("1.10", "1.11"):
        binance(venue, "POST /api/v3/order", **limit_order(price=price))
    assert len(body_of(binance(venue, "GET /api/v3/openOrders"))) == 2
    assert [row["price"] for row in body_of(binance(venue, "DELETE /api/v3/openOrders", symbol="XRPUSDT"))] == [
        "1.10000000",
        "1.11000000",
    ]
    assert body_of(binance(venue, "GET /api/v3/openOrders", symbol="XRPUSDT")) == []
    refused(binance(venue, "DELETE /api/v3/openOrders", symbol="XRPUSDT"), -2011, "Unknown order sent.")


def test_cancel_replace() -> None:
    venue = Venue("binance")
    binance(venue, "POST /api/v3/order", **limit_order(newClientOrderId="a-1"))
    wanted = limit_order(price="1.12", cancelReplaceMode="STOP_ON_FAILURE", cancelOrigClientOrderId="a-1")
    done = binance(venue, "POST /api/v3/order/cancelReplace", **wanted)
    assert done.status == 200
    assert body_of(done)["cancelResponse"]["origClientOrderId"] == "a-1"
    assert body_of(done)["newOrderResponse"]["status"] == "NEW"
    both = binance(venue, "POST /api/v3/order/cancelReplace", **wanted)
    assert (both.status, body_of(both)["code"]) == (400, -2022)
    assert body_of(both)["data"]["newOrderResult"] == "NOT_ATTEMPTED"
    assert body_of(both)["data"]["cancelResponse"] == {"code": -2011, "msg": "Unknown order sent."}
    half = binance(venue, "POST /api/v3/order/cancelReplace", **{**wanted, "cancelReplaceMode": "ALLOW_FAILURE"})
    assert (half.status, body_of(half)["code"], body_of(half)["data"]["newOrderResult"]) == (409, -2021, "SUCCESS")


def test_trades_account_and_commission() -> None:
    venue = Venue("binance")
    order = limit_order(quantity="150", price="1.136", timeInForce="IOC")
    order_id = body_of(binance(venue, "POST /api/v3/order", **order))["orderId"]
    trades = body_of(binance(venue, "GET /api/v3/myTrades", symbol="XRPUSDT", orderId=order_id))
    assert [(t["id"], t["quoteQty"], t["commission"], t["isBuyer"], t["isMaker"]) for t in trades] == [
        (1001, "113.50000000", "0.10000000", True, False),
        (1002, "56.80000000", "0.05000000", True, False),
    ]
    assert [t["id"] for t in body_of(binance(venue, "GET /api/v3/myTrades", symbol="XRPUSDT", fromId=1002))] == [1002]
    assert body_of(binance(venue, "GET /api/v3/myTrades", symbol="XRPUSDT", startTime=venue.now // MS + 1)) == []
    balances = {row["asset"]: row for row in body_of(binance(venue, "GET /api/v3/account"))["balances"]}
    assert balances["XRP"]["free"] == "10149.85000000"
    assert balances["USDT"] == {"asset": "USDT", "free": "99829.70000000", "locked": "0.00000000"}
    rates = body_of(binance(venue, "GET /api/v3/account/commission", symbol="XRPUSDT"))
    assert rates["standardCommission"]["taker"] == "0.00100000"
    refused(
        binance(venue, "GET /api/v3/myTrades", symbol="XRPUSDT", startTime=1, endTime=86_400_002),
        -1127,
        "More than 24 hours between startTime and endTime.",
    )


def test_market_data() -> None:
    venue = Venue("binance")
    depth = body_of(venue.http("GET", "/api/v3/depth", "symbol=XRPUSDT&limit=2"))
    assert depth["bids"] == [["1.13400000", "100.00000000"], ["1.13300000", "100.00000000"]]
    assert depth["asks"][0] == ["1.13500000", "100.00000000"]
    ticker = body_of(venue.http("GET", "/api/v3/ticker/bookTicker", "symbol=XRPUSDT"))
    assert ticker == {
        "symbol": "XRPUSDT",
        "bidPrice": "1.13400000",
        "bidQty": "100.00000000",
        "askPrice": "1.13500000",
        "askQty": "100.00000000",
    }
    assert len(body_of(venue.http("GET", "/api/v3/ticker/bookTicker"))) == 2
    info = body_of(venue.http("GET", "/api/v3/exchangeInfo", "symbols=%5B%22XRPUSDT%22%5D"))
    assert [row["symbol"] for row in info["symbols"]] == ["XRPUSDT"]
    filters = {row["filterType"]: row for row in info["symbols"][0]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.00010000"
    assert filters["LOT_SIZE"]["stepSize"] == "1.00000000"
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    refused(venue.http("GET", "/api/v3/exchangeInfo", "symbol=NOPE"), -1121, "Invalid symbol.")
    venue.exchange.take("XRP/USDT", Side.BUY, D(30), D("1.135"), venue.now)
    venue.wait(10 * MS)
    [trade] = body_of(venue.http("GET", "/api/v3/trades", "symbol=XRPUSDT"))
    assert (trade["price"], trade["qty"], trade["isBuyerMaker"]) == ("1.13500000", "30.00000000", False)
    [kline] = body_of(venue.http("GET", "/api/v3/klines", "symbol=XRPUSDT&interval=1m"))
    assert kline[:6] == [1699999980000, "1.13500000", "1.13500000", "1.13500000", "1.13500000", "30.00000000"]
    assert len(kline) == 12


def test_microseconds_on_demand() -> None:
    venue = Venue("binance")
    assert body_of(venue.http("GET", "/api/v3/time", x_mbx_time_unit="MICROSECOND")) == {"serverTime": 1700000000000000}
    refused(
        venue.http("GET", "/api/v3/time", x_mbx_time_unit="NANOSECOND"),
        -1194,
        "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.",
    )
    answer = binance(venue, "POST /api/v3/order", **limit_order(timestamp=venue.now // 1000))
    assert answer.status == 200, "a timestamp may be in microseconds"


def test_what_is_gone_and_what_never_was() -> None:
    venue = Venue("binance")
    for method in ("POST", "PUT", "DELETE"):
        assert venue.http(method, "/api/v3/userDataStream").status == 410
    assert (venue.http("GET", "/api/v3/nothing").status, venue.http("PATCH", "/api/v3/order").status) == (404, 405)


# ---- limits ----


def test_weights_are_counted_by_the_wall_clock_minute() -> None:
    venue = Venue("binance")  # 22:13:20
    used = [venue.http("GET", "/api/v3/depth", f"symbol=XRPUSDT&limit={n}") for n in (100, 500, 1000, 5000)]
    assert [answer.headers["X-MBX-USED-WEIGHT-1M"] for answer in used] == ["5", "30", "80", "330"]
    assert used[-1].headers["X-MBX-USED-WEIGHT"] == "330"
    venue.now += 39 * S
    assert venue.http("GET", "/api/v3/ping").headers["X-MBX-USED-WEIGHT-1M"] == "331"
    venue.now += S  # 22:14:00
    assert venue.http("GET", "/api/v3/ping").headers["X-MBX-USED-WEIGHT-1M"] == "1"


def test_a_successful_order_weighs_nothing_and_a_failed_one_does() -> None:
    venue = Venue("binance")
    placed = binance(venue, "POST /api/v3/order", **limit_order())
    assert (placed.headers["X-MBX-USED-WEIGHT-1M"], placed.headers["X-MBX-ORDER-COUNT-10S"]) == ("0", "1")
    failed = binance(venue, "POST /api/v3/order", **limit_order(quantity="0.5"))
    assert failed.headers["X-MBX-USED-WEIGHT-1M"] == "1"
    assert "X-MBX-ORDER-COUNT-10S" not in failed.headers


def test_too_much_weight_is_429_and_going_on_is_418() -> None:
    venue = Venue("binance", config=settings("binance", request_weight_1m=50))
    for _ in range(2):
        venue.http("GET", "/api/v3/exchangeInfo")
    answer = venue.http("GET", "/api/v3/exchangeInfo")
    assert (answer.status, body_of(answer)["code"], answer.headers["Retry-After"]) == (429, -1003, "40")
    for _ in range(4):
        assert venue.http("GET", "/api/v3/ping").status == 429
    banned = venue.http("GET", "/api/v3/ping")
    assert (banned.status, body_of(banned)["code"], banned.headers["Retry-After"]) == (418, -1003, "120")
    assert f"banned until {(venue.now + 120 * S) // MS}" in body_of(banned)["msg"]
    venue.now += 119 * S
    assert venue.http("GET", "/api/v3/ping").status == 418
    venue.now += S
    assert venue.http("GET", "/api/v3/ping").status == 200


def test_too_many_orders() -> None:
    venue = Venue("binance", config=settings("binance", orders_10s=2))
    for price in ("1.10", "1.11"):
        assert binance(venue, "POST /api/v3/order", **limit_order(price=price)).status == 200
    answer = binance(venue, "POST /api/v3/order", **limit_order(price="1.12"))
    refused(answer, -1015, "Too many new orders; current limit is 2 orders per 10 SECOND.", 429)
    assert answer.headers["Retry-After"] == "10"
    venue.now += 10 * S
    assert binance(venue, "POST /api/v3/order", **limit_order(price="1.12")).status == 200


def test_a_fill_gives_its_count_back() -> None:
    venue = Venue("binance", config=settings("binance", orders_10s=2))
    for _ in range(5):
        order = limit_order(price="1.135", quantity="10", timeInForce="IOC")
        assert binance(venue, "POST /api/v3/order", **order).headers["X-MBX-ORDER-COUNT-10S"] == "1"


def test_a_fault_refuses_the_next_placement() -> None:
    venue = Venue("binance")
    venue.faults.add("refuse binance.orders code=-2010 first=1", venue.now)
    refused(
        binance(venue, "POST /api/v3/order", **limit_order()),
        -2010,
        "Account has insufficient balance for requested action.",
    )
    assert binance(venue, "POST /api/v3/order", **limit_order()).status == 200


def test_order_test_places_nothing() -> None:
    venue = Venue("binance")
    assert body_of(binance(venue, "POST /api/v3/order/test", **limit_order())) == {}
    assert venue.exchange.orders("main") == []
    refused(
        binance(venue, "POST /api/v3/order/test", **limit_order(quantity="20.5")), -1013, "Filter failure: LOT_SIZE"
    )
    rates = body_of(binance(venue, "POST /api/v3/order/test", **limit_order(computeCommissionRates="true")))
    assert rates["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
