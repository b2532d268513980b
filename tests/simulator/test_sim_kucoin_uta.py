"""What KuCoin's unified dialect ("UTA") adds to the classic one for clients that ask or insist: account mode, and
order entry by `uta.*` operations, as the venue's own SDK sends them ("Place Order", "Cancel Order", "Amend Order" of
the unified account pages, 2026).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tradeserver.simulator.types import OrderState, OrderType, TimeInForce
from venue_kit import KUCOIN_KEY, KUCOIN_SECRET, MS, D, Venue, b64_hmac, body_of, entry, kucoin

ORDER = {"symbol": "XRP-USDT", "side": "BUY", "orderType": "LIMIT", "size": "20", "price": "1.1", "tradeType": "SPOT"}


def operate(venue: Venue, conn: int, op: str, **args: Any) -> dict[str, Any]:
    venue.send(conn, {"id": "7", "op": op, "args": args})
    answer: dict[str, Any] = venue.heard(conn)[0]
    assert (answer["id"], answer["op"]) == ("7", op)
    return answer


def test_the_account_is_a_classic_one() -> None:
    venue = Venue("kucoin")
    answer = body_of(kucoin(venue, "GET /api/ua/v1/account/mode"))
    assert answer["data"] == {"selfAccountMode": "CLASSIC", "unifiedSubAccount": [], "classicSubAccount": []}
    assert venue.http("GET", "/api/ua/v1/account/mode").status == 401


def test_an_order_and_its_cancel() -> None:
    venue = Venue("kucoin")
    conn = entry(venue)
    answer = operate(venue, conn, "uta.order", **ORDER, clientOid="u-1")
    assert answer["code"] == "200000"
    assert set(answer) >= {"inTime", "outTime", "userRateLimit"}
    data = answer["data"]
    assert data == {"orderId": data["orderId"], "clientOid": "u-1", "tradeType": "SPOT", "ts": venue.now}
    [order] = venue.exchange.open_orders("main")
    assert (order.type, order.quantity, order.price) == (OrderType.LIMIT, D(20), D("1.1"))
    cancelled = operate(venue, conn, "uta.cancel", symbol="XRP-USDT", orderId=data["orderId"], tradeType="SPOT")
    assert cancelled["code"] == "200000"
    assert cancelled["data"] == {"orderId": data["orderId"], "clientOid": "u-1", "tradeType": "SPOT", "ts": venue.now}
    assert not venue.exchange.open_orders("main")
    again = operate(venue, conn, "uta.cancel", symbol="XRP-USDT", clientOid="u-1")
    assert (again["code"], again["msg"]) == ("400100", "order_not_exist_or_not_allow_to_cancel")


def test_a_market_order_by_base_and_by_quote() -> None:
    """The best ask is 100 at 1.1350: 20 cost 22.7; 22.7 USDT buy 20."""
    venue = Venue("kucoin")
    conn = entry(venue)
    for number, size in enumerate(({"size": "20"}, {"size": "22.7", "sizeUnit": "QUOTECCY"})):
        args = {"symbol": "XRP-USDT", "side": "BUY", "orderType": "MARKET", **size, "clientOid": f"m-{number}"}
        assert operate(venue, conn, "uta.order", **args)["code"] == "200000"
        order = venue.exchange.order_by_client("main", f"m-{number}")
        assert order is not None
        assert (order.filled, order.filled_quote) == (D(20), D("22.7"))


@pytest.mark.parametrize(
    ("changes", "kind", "force"),
    [
        ({"timeInForce": "IOC"}, OrderType.LIMIT, TimeInForce.IOC),
        ({"timeInForce": "FOK"}, OrderType.LIMIT, TimeInForce.FOK),
        ({"postOnly": True}, OrderType.LIMIT_MAKER, TimeInForce.GTC),
    ],
)
def test_kinds_of_orders(changes: dict[str, Any], kind: OrderType, force: TimeInForce) -> None:
    venue = Venue("kucoin")
    assert operate(venue, entry(venue), "uta.order", **ORDER, **changes)["code"] == "200000"
    [order] = venue.exchange.orders("main")
    assert (order.type, order.time_in_force) == (kind, force)
    assert order.client_id


@pytest.mark.parametrize("changes", [{"tradeType": "FUTURES"}, {"side": "UP"}, {"orderType": "STOP"}, {"size": None}])
def test_what_this_venue_has_not(changes: dict[str, Any]) -> None:
    venue = Venue("kucoin")
    args = {name: value for name, value in {**ORDER, **changes}.items() if value is not None}
    assert operate(venue, entry(venue), "uta.order", **args)["code"] == "400100"
    assert not venue.exchange.orders("main")


def test_amending_moves_the_rest_to_a_new_price() -> None:
    venue = Venue("kucoin")
    conn = entry(venue)
    placed = operate(venue, conn, "uta.order", **ORDER, clientOid="u-1")["data"]
    answer = operate(venue, conn, "uta.amend", symbol="XRP-USDT", orderId=placed["orderId"], newPrice=1.09, newSize=15)
    assert answer["code"] == "200000"
    assert answer["data"]["orderId"] != placed["orderId"]
    [order] = venue.exchange.open_orders("main")
    assert (order.price, order.quantity, order.state) == (D("1.09"), D(15), OrderState.OPEN)


def test_the_trace_of_the_venues_own_sdk(shared_data: Path) -> None:
    """Its URL is accepted at its moment, and its order; its answer to a challenge was for another session's text."""
    lines = [
        json.loads(line) for line in (shared_data / "client_traces/kucoin-uta-trade-ws.jsonl").read_text().splitlines()
    ]
    opened, _, order = (line for line in lines if line["t"] != "ws-close")
    values = dict(part.split("=", 1) for part in opened["qs"].split("&"))
    assert values["apikey"] == KUCOIN_KEY
    venue = Venue("kucoin")
    venue.now = int(values["timestamp"]) * MS
    conn = venue.connect(opened["path"], opened["qs"])
    [(_, challenge)] = venue.front.outgoing
    venue.front.outgoing.clear()
    assert isinstance(challenge, str)
    venue.send(conn, b64_hmac(KUCOIN_SECRET, challenge))
    assert venue.heard(conn)[0]["data"] == "welcome"
    venue.send(conn, order["data"])
    answer = venue.heard(conn)[0]
    assert (answer["id"], answer["code"]) == (json.loads(order["data"])["id"], "200000")
    assert venue.exchange.orders("main")[0].price == D("0.5")
