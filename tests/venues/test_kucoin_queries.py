"""KuCoin's REST questions: each command is answered once, whatever the venue says or does not say."""

from __future__ import annotations

import base64
import hashlib
import hmac
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kucoin_kit import BTC, MS, SECOND, T0, XRP, Talk, fill_row, order_push, order_row
from tradeserver.core.commands import (
    ArmDeadMan,
    CancelAll,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    RequestAccount,
)
from tradeserver.core.events import (
    AccountSnapshot,
    Balance,
    DeadManSet,
    Ending,
    FillsListed,
    OpenOrdersListed,
    OrderFilled,
    OrderStatus,
    QueryFailed,
    VenueFault,
)
from tradeserver.core.types import Side
from tradeserver.venues.base import NO_ANSWER, NOT_SENT

BY_ID = "GET /api/v1/hf/orders/"
BY_CLIENT_ID = "GET /api/v1/hf/orders/client-order/"
FILLS = "GET /api/v1/hf/fills"
DONE = "GET /api/v1/hf/orders/done"
ACTIVE = "GET /api/v1/hf/orders/active"
GONE = ("400100", "order not exist.")


@pytest.fixture
def talk() -> Talk:
    talk = Talk(("XRP/USDT", "BTC/USDT"))
    talk.boot((XRP, BTC))
    return talk


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def ask_order(talk: Talk, venue_order_id: str = "") -> dict[str, Any]:
    return talk.command(QueryOrder(venue="kucoin", symbol="XRP/USDT", client_id="a1", venue_order_id=venue_order_id))


# ---- one order ------------------------------------------------------------------------------------------------------


def test_an_order_is_asked_for_by_the_id_that_is_known(talk: Talk) -> None:
    assert ask_order(talk)["url"].endswith("/api/v1/hf/orders/client-order/a1?symbol=XRP-USDT")
    assert ask_order(talk, "67")["url"].endswith("/api/v1/hf/orders/67?symbol=XRP-USDT")
    talk.connect("user")
    talk.frame("user", order_push(orderId="88"))
    assert ask_order(talk)["url"].endswith("/api/v1/hf/orders/88?symbol=XRP-USDT")


@pytest.mark.parametrize(
    ("fields", "ending"),
    [
        ({"active": True, "inOrderBook": True, "cancelExist": False, "cancelledSize": "0"}, None),
        ({"active": False, "cancelExist": True}, Ending.CANCELED),
        ({"active": False, "cancelExist": False, "cancelledSize": "7.5"}, Ending.CANCELED),
        ({"active": False, "cancelExist": False, "cancelledSize": "0", "dealSize": "20"}, Ending.FILLED),
    ],
)
def test_how_an_order_stands(talk: Talk, fields: dict[str, Any], ending: Ending | None) -> None:
    ask_order(talk, "67")
    asked = talk.now
    talk.now += 30 * MS
    (status,) = talk.answer(BY_ID, order_row(**fields))
    assert isinstance(status, OrderStatus)
    assert (status.client_id, status.found, status.ending) == ("a1", True, ending)
    assert status.executed == Decimal(fields.get("dealSize", "12.5"))
    assert (status.venue_order_id, status.asked_ts, status.symbol) == ("67", asked, "XRP/USDT")


def test_no_such_order_is_an_answer(talk: Talk) -> None:
    ask_order(talk)
    (status,) = talk.refuse(BY_CLIENT_ID, *GONE)
    assert isinstance(status, OrderStatus)
    assert (status.client_id, status.found) == ("a1", False)
    ask_order(talk)
    (status,) = talk.answer(BY_CLIENT_ID, None)
    assert isinstance(status, OrderStatus)
    assert not status.found


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (NO_ANSWER, b"timed out"),
        (NOT_SENT, b"no connection"),
        (502, b"<html>"),
        (200, b'{"code":"400100","msg":"Parameter Error"}'),
        (200, b'{"code":"429000","msg":"too many"}'),
        (200, b'{"code":"200000","data":{"id":1}}'),
        (200, b"garbage"),
    ],
)
def test_not_having_been_answered_is_not_no_such_order(talk: Talk, status: int, body: bytes) -> None:
    ask_order(talk)
    events = talk.raw(BY_CLIENT_ID, status, body)
    assert isinstance(events[0], QueryFailed)
    assert (events[0].query, events[0].client_id, events[0].symbol) == ("QueryOrder", "a1", "XRP/USDT")
    assert not any(isinstance(e, OrderStatus) for e in events)


# ---- fills ----------------------------------------------------------------------------------------------------------


def ask_fills(talk: Talk, client_id: str = "", venue_order_id: str = "", since: int = 0) -> dict[str, Any]:
    return talk.command(
        QueryFills(venue="kucoin", symbol="XRP/USDT", client_id=client_id, venue_order_id=venue_order_id, since=since)
    )


def page(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"items": rows, "lastId": rows[-1].get("id", 0) if rows else 0}


def test_fills_of_an_order_say_the_fee(talk: Talk) -> None:
    sent = ask_fills(talk, "a1", "67")
    assert query(sent["url"]) == {"symbol": "XRP-USDT", "orderId": "67", "limit": "100"}
    asked = talk.now
    talk.now += 20 * MS
    (listed,) = talk.answer(FILLS, page([fill_row()]))
    assert listed == FillsListed(
        ts=talk.now,
        venue="kucoin",
        client_id="a1",
        symbol="XRP/USDT",
        asked_ts=asked,
        fills=(
            OrderFilled(
                ts=talk.now,
                venue="kucoin",
                client_id="a1",
                venue_ts=(T0 // MS + 4) * MS,
                symbol="XRP/USDT",
                side=Side.SELL,
                trade_id="9001",
                venue_order_id="67",
                price=Decimal("0.511"),
                quantity=Decimal("12.5"),
                commission=Decimal("0.0063875"),
                commission_asset="USDT",
            ),
        ),
    )


def test_with_the_client_id_only_the_order_is_asked_for_first(talk: Talk) -> None:
    assert ask_fills(talk, "a1")["url"].endswith("/client-order/a1?symbol=XRP-USDT")
    assert talk.answer(BY_CLIENT_ID, order_row()) == []
    request = talk.find(FILLS)
    assert query(request.url)["orderId"] == "67"
    talk.requests.append(request)
    (listed,) = talk.answer(FILLS, page([fill_row()]))
    assert isinstance(listed, FillsListed)
    assert [f.client_id for f in listed.fills] == ["a1"]


def test_an_order_that_the_venue_denies_is_looked_for_among_all_fills(talk: Talk) -> None:
    ask_fills(talk, "a1", since=talk.now - SECOND)
    assert talk.refuse(BY_CLIENT_ID, *GONE) == []
    request = talk.find(FILLS)
    assert query(request.url) == {
        "symbol": "XRP-USDT",
        "startAt": str((talk.now - SECOND) // MS),
        "limit": "100",
    }
    talk.requests.append(request)
    (listed,) = talk.answer(FILLS, page([]))
    assert isinstance(listed, FillsListed)
    assert (listed.client_id, listed.fills) == ("a1", ())


def test_fills_come_in_pages(talk: Talk) -> None:
    ask_fills(talk, "a1", "67")
    rows = [fill_row(1_000 - i) for i in range(100)]
    assert talk.answer(FILLS, page(rows)) == []
    request = talk.find(FILLS)
    assert query(request.url)["lastId"] == str(rows[-1]["id"])
    talk.requests.append(request)
    (listed,) = talk.answer(FILLS, page([fill_row(1)]))
    assert isinstance(listed, FillsListed)
    assert len(listed.fills) == 101


def test_fills_by_time_learn_their_client_ids(talk: Talk) -> None:
    talk.connect("user")
    talk.frame("user", order_push(orderId="71", clientOid="known"))
    ask_fills(talk, since=talk.now - 60 * SECOND)
    rows = [fill_row(3, orderId="71"), fill_row(2, orderId="72"), fill_row(1, orderId="73")]
    assert talk.answer(FILLS, page(rows)) == []
    done = [order_row(id="72", clientOid="learnt")]
    (listed,) = talk.answer(DONE, page(done) | {"lastId": 5})
    assert isinstance(listed, FillsListed)
    assert [(f.venue_order_id, f.client_id) for f in listed.fills] == [("71", "known"), ("72", "learnt"), ("73", "")]


@pytest.mark.parametrize("label", [BY_CLIENT_ID, FILLS])
def test_a_broken_chain_fails_once(talk: Talk, label: str) -> None:
    ask_fills(talk, "a1")
    if label == FILLS:
        talk.answer(BY_CLIENT_ID, order_row())
    events = talk.raw(label, 503, b"busy")
    assert [type(e) for e in events] == [QueryFailed, VenueFault]
    assert isinstance(events[0], QueryFailed)
    assert (events[0].query, events[0].client_id) == ("QueryFills", "a1")
    assert not any(r.label == FILLS for r in talk.requests)


# ---- open orders, account, cancel-all, dead man ---------------------------------------------------------------------


def test_open_orders_of_all_symbols_come_as_one_list(talk: Talk) -> None:
    asked = talk.now
    talk.command(QueryOpenOrders(venue="kucoin"))
    open_row = order_row(active=True, inOrderBook=True, cancelExist=False, cancelledSize="0", dealSize="1")
    assert talk.answer(ACTIVE, [open_row]) == []
    talk.now += 20 * MS
    (listed,) = talk.answer(ACTIVE, [])
    assert isinstance(listed, OpenOrdersListed)
    assert listed.asked_ts == asked
    (order,) = listed.orders
    assert (order.symbol, order.client_id, order.venue_order_id, order.side) == ("XRP/USDT", "a1", "67", Side.SELL)
    assert (order.price, order.quantity, order.executed) == (Decimal("0.51"), Decimal(20), Decimal(1))


def test_half_a_list_of_open_orders_is_none(talk: Talk) -> None:
    talk.command(QueryOpenOrders(venue="kucoin"))
    talk.answer(ACTIVE, [])
    (failed,) = talk.raw(ACTIVE, NO_ANSWER, b"timed out")
    assert isinstance(failed, QueryFailed)
    assert (failed.query, failed.symbol) == ("QueryOpenOrders", "BTC/USDT")


def test_the_account(talk: Talk) -> None:
    sent = talk.command(RequestAccount(venue="kucoin"))
    assert sent["url"].endswith("/api/v1/accounts?type=trade")
    asked = talk.now
    talk.now += 20 * MS
    rows = [
        {"id": "1", "currency": "USDT", "type": "trade", "balance": "21.5", "available": "20.25", "holds": "1.25"},
        {"id": "2", "currency": "XRP", "type": "trade", "balance": "0", "available": "0", "holds": "0"},
        {"id": "3", "currency": "USDT", "type": "main", "balance": "5", "available": "5", "holds": "0"},
    ]
    (snapshot,) = talk.answer("GET /api/v1/accounts", rows)
    assert snapshot == AccountSnapshot(
        ts=talk.now,
        venue="kucoin",
        balances={"USDT": Balance(free=Decimal("20.25"), locked=Decimal("1.25"))},
        asked_ts=asked,
    )


def test_cancel_all_is_heard_or_has_failed(talk: Talk) -> None:
    sent = talk.command(CancelAll(venue="kucoin", symbol="XRP/USDT"))
    assert (sent["method"], sent["url"]) == ("DELETE", "https://api.kucoin.com/api/v1/hf/orders?symbol=XRP-USDT")
    assert talk.answer("DELETE /api/v1/hf/orders", "success") == []
    talk.command(CancelAll(venue="kucoin", symbol="XRP/USDT"))
    (failed,) = talk.refuse("DELETE /api/v1/hf/orders", "200002", "Order cancel for this pair suspended")
    assert isinstance(failed, QueryFailed)
    assert (failed.query, failed.symbol) == ("CancelAll", "XRP/USDT")


@pytest.mark.parametrize(("timeout_s", "said"), [(15, 15), (0, -1)])
def test_the_dead_mans_switch(talk: Talk, timeout_s: int, said: int) -> None:
    sent = talk.command(ArmDeadMan(venue="kucoin", timeout_s=timeout_s, symbols=("XRP/USDT", "BTC/USDT")))
    assert sent["body"] == {"timeout": said, "symbols": "XRP-USDT,BTC-USDT"}
    label = "POST /api/v1/hf/orders/dead-cancel-all"
    asked = talk.now
    (answer,) = talk.answer(label, {"currentTime": 1742000000, "triggerTime": 1742000015})
    assert isinstance(answer, DeadManSet)
    assert answer.expires == (asked + 15_000 * MS if timeout_s else 0)


def test_a_switch_that_is_not_set_is_told(talk: Talk) -> None:
    talk.command(ArmDeadMan(venue="kucoin", timeout_s=15, symbols=("XRP/USDT",)))
    (failed,) = talk.refuse("POST /api/v1/hf/orders/dead-cancel-all", "400100", "timeout out of range")
    assert isinstance(failed, QueryFailed)
    assert failed.query == "ArmDeadMan"


def test_a_post_is_signed_over_its_very_bytes(talk: Talk) -> None:
    out = talk.codec.encode(ArmDeadMan(venue="kucoin", timeout_s=15, symbols=("XRP/USDT",)), talk.now)
    assert out is not None
    assert hasattr(out, "headers")
    text = f"{talk.now // MS}POST/api/v1/hf/orders/dead-cancel-all".encode() + out.body
    expected = base64.b64encode(hmac.digest(b"secret", text, hashlib.sha256)).decode()
    assert out.headers["KC-API-SIGN"] == expected
    assert out.headers["Content-Type"] == "application/json"
