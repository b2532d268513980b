"""Whatever bytes KuCoin sends: frames end in events or `WireError`, HTTP answers in events. Nothing else escapes."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kucoin_kit import KEYS, T0, XRP, Talk, fill_row, level2, order_push, order_row
from messages_kit import assert_numbers
from tradeserver.core.commands import (
    ArmDeadMan,
    CancelAll,
    Command,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    RequestAccount,
)
from tradeserver.venues.base import NO_ANSWER, NOT_SENT, WireError

LEVEL1 = {"asks": ["0.51", "120"], "bids": ["0.509", "80"], "timestamp": 1742000000123}
TICKER = {"sequence": "42", "price": "1", "size": "3", "bestAsk": "2", "bestAskSize": "1", "bestBid": "1"}
FRAMES: list[dict[str, Any]] = [
    level2(11, 12, [["0.52", "5", "11"]], [["0", "0", "12"]]),
    {"topic": "/spotMarket/level1:XRP-USDT", "type": "message", "subject": "level1", "data": LEVEL1},
    {
        "topic": "/market/ticker:XRP-USDT",
        "type": "message",
        "subject": "trade.ticker",
        "data": TICKER | {"bestBidSize": "80", "time": 1742000000123},
    },
    {"id": "s0", "type": "ack"},
    {"id": "1", "type": "pong"},
    {"id": "1", "type": "error", "code": 509, "data": "exceed max permits per second"},
    order_push(
        type="match", status="match", matchPrice="0.511", matchSize="1", tradeId="1", liquidity="taker", filledSize="1"
    ),
    order_push(type="canceled", status="done", filledSize="1", canceledSize="19"),
    {
        "topic": "/account/balance",
        "type": "message",
        "subject": "account.balance",
        "data": {
            "accountId": "54",
            "currency": "USDT",
            "total": "21",
            "available": "20",
            "hold": "1",
            "availableChange": "-1",
            "holdChange": "1",
            "relationEvent": "trade.hold",
            "relationEventId": "9",
            "relationContext": {},
            "time": "1742000000123",
        },
    },
    {
        "id": "a1",
        "op": "spot.order",
        "code": "200000",
        "data": {"orderId": "67"},
        "rateLimit": {"limit": 4000, "reset": 15244, "remaining": 3999},
    },
    {"id": "c-a1", "op": "spot.cancel", "code": "400100", "msg": "order not exist"},
    {"id": "1", "op": "pong", "timestamp": 1},
]
SERVER = {"endpoint": "ws://x/", "pingInterval": 18000, "pingTimeout": 10000}
ANSWERS: list[Any] = [
    [XRP],
    XRP,
    1742000000123,
    {"status": "cancelonly", "msg": ""},
    [{"symbol": "XRP-USDT", "takerFeeRate": "0.001", "makerFeeRate": "0.001"}],
    {"time": 1, "sequence": "42", "bids": [["1", "2"]], "asks": [["2", "1"]]},
    {"token": "t", "instanceServers": [SERVER]},
    order_row(),
    [order_row(active=True)],
    {"items": [fill_row()], "lastId": 5},
    {"items": [order_row()], "lastId": 5},
    [{"id": "1", "currency": "USDT", "type": "trade", "balance": "2", "available": "1", "holds": "1"}],
    {"orderId": "67", "clientOid": "a1"},
    "success",
    None,
]

JUNK = st.sampled_from(
    [
        "null",
        '""',
        '"x"',
        '"-1"',
        '"NaN"',
        '"Infinity"',
        '"1E+400"',
        '"1E+999999"',
        "1e29",
        "-1",
        "0",
        "1.5",
        "[]",
        "[[]]",
        "{}",
        "true",
    ]
)


@st.composite
def mangled(draw: st.DrawFn, source: list[Any]) -> bytes:
    """A valid message with some values replaced, keys dropped, or bytes cut or changed."""
    message = json.loads(json.dumps(draw(st.sampled_from(source))))
    for _ in range(draw(st.integers(0, 3))):
        place = message
        while isinstance(place, (dict, list)) and place:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place)))))
            if draw(st.booleans()) or not isinstance(place[key], (dict, list)):
                if isinstance(place, dict) and draw(st.booleans()):
                    del place[key]
                else:
                    place[key] = json.loads(draw(JUNK))
                break
            place = place[key]
    data = json.dumps(message, separators=(",", ":")).encode()
    cut = draw(st.integers(0, len(data)))
    return draw(st.sampled_from([data, data, data[:cut], data[:cut] + b"\xff" + data[cut + 1 :]]))


@settings(max_examples=150, deadline=None)
@given(channel=st.sampled_from(["market", "user", "orders"]), frames=st.lists(mangled(FRAMES), min_size=1, max_size=4))
def test_frames(channel: str, frames: list[bytes]) -> None:
    talk = Talk(credentials=KEYS)
    talk.up()
    for data in frames:
        with contextlib.suppress(WireError):
            assert_numbers(talk.done(talk.codec.receive(channel, data, talk.now)))
    assert_numbers(talk.tick())


COMMANDS: list[Command] = [
    QueryOrder(venue="kucoin", symbol="XRP/USDT", client_id="a1"),
    QueryFills(venue="kucoin", symbol="XRP/USDT", client_id="a1"),
    QueryFills(venue="kucoin", symbol="XRP/USDT", since=T0),
    QueryOpenOrders(venue="kucoin"),
    RequestAccount(venue="kucoin"),
    CancelAll(venue="kucoin", symbol="XRP/USDT"),
    ArmDeadMan(venue="kucoin", timeout_s=15, symbols=("XRP/USDT",)),
]


@st.composite
def answer(draw: st.DrawFn) -> tuple[int, bytes]:
    status = draw(st.sampled_from([200, 200, 200, 400, 403, 429, 500, 502, NO_ANSWER, NOT_SENT]))
    data = draw(mangled(ANSWERS))
    code = draw(st.sampled_from([b'"200000"', b'"200000"', b'"200000"', b'"400100"', b'"429000"', b"7"]))
    return status, draw(st.sampled_from([b'{"code":' + code + b',"data":' + data + b"}", data, b"<html>"]))


@settings(max_examples=150, deadline=None)
@given(command=st.sampled_from(COMMANDS), answers=st.lists(answer(), min_size=1, max_size=8))
def test_answers(command: Command, answers: list[tuple[int, bytes]]) -> None:
    talk = Talk(credentials=KEYS)
    talk.boot()
    talk.command(command)
    headers = {"gw-ratelimit-limit": "x", "gw-ratelimit-remaining": "-5", "gw-ratelimit-reset": "1"}
    for status, body in answers:
        if not talk.requests:
            break
        request = talk.requests.pop(0)
        assert_numbers(talk.done(talk.codec.receive_http(request.id, status, headers, body, talk.now)))
        assert_numbers(talk.tick())


@settings(max_examples=80, deadline=None)
@given(answers=st.lists(answer(), min_size=1, max_size=12))
def test_a_start_under_fire(answers: list[tuple[int, bytes]]) -> None:
    talk = Talk(credentials=KEYS)
    talk.done(talk.codec.start(talk.now))
    for status, body in answers:
        if talk.requests:
            request = talk.requests.pop(0)
            assert_numbers(talk.done(talk.codec.receive_http(request.id, status, {}, body, talk.now)))
        assert_numbers(talk.tick(700))
