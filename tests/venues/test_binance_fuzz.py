"""Whatever bytes a venue sends: frames end in events or `WireError`, HTTP answers in events. Nothing else escapes."""

from __future__ import annotations

import contextlib
import json
from typing import Any
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from binance_talk import HMAC, Talk, commission, exchange_info
from messages_kit import PLACED, TRADED, assert_numbers
from tradeserver.core.commands import CancelAll, CancelOrder, QueryFills, QueryOpenOrders, QueryOrder, RequestAccount
from tradeserver.venues.base import WireError

FRAMES: list[dict[str, Any]] = [
    {
        "stream": "xrpusdt@depth@100ms",
        "data": {"e": "depthUpdate", "E": 1, "s": "XRPUSDT", "U": 1, "u": 2, "b": [], "a": [["1", "2"]]},
    },
    {"stream": "xrpusdt@bookTicker", "data": {"u": 1, "s": "XRPUSDT", "b": "1", "B": "2", "a": "3", "A": "4"}},
    {
        "stream": "xrpusdt@trade",
        "data": {"e": "trade", "E": 1, "s": "XRPUSDT", "t": 1, "p": "1", "q": "2", "T": 1, "m": True},
    },
    {"result": None, "id": 1},
    {"id": "aaL", "status": 400, "error": {"code": -2010, "msg": "no", "data": {"serverTime": 1, "retryAfter": 2}}},
    {"id": 7, "status": 418, "error": {"code": -1003, "msg": "no", "data": {"serverTime": 1, "retryAfter": 2}}},
    {"id": None, "status": 401, "error": {"code": -2015, "msg": "no"}},
    {
        "subscriptionId": 0,
        "event": {"e": "outboundAccountPosition", "E": 1, "u": 1, "B": [{"a": "X", "f": "1", "l": "0"}]},
    },
    {"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": 1}},
    TRADED,
    PLACED,
]
ANSWERS: list[Any] = [
    exchange_info(),
    commission(),
    {"serverTime": 1},
    {"lastUpdateId": 1, "bids": [["1", "2"]], "asks": []},
    {"code": -1121, "msg": "Invalid symbol."},
    [],
    {},
    None,
    "text",
]

JUNK = st.sampled_from(
    [
        *("null", '""', '"x"', '"-1"', '"NaN"', '"Infinity"', '"1e400"', '"1E+999999"'),
        *("1e29", "-1", "1.5", "[]", "[[]]", '[["1"]]', "{}", "true"),
    ]
)


@st.composite
def mangled(draw: st.DrawFn, source: list[Any]) -> bytes:
    """A valid message with some value replaced, a key dropped, or bytes cut or changed."""
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
@given(channel=st.sampled_from(["market", "user", "orders"]), frames=st.lists(mangled(FRAMES), max_size=4))
def test_frames(channel: str, frames: list[bytes]) -> None:
    talk = Talk(HMAC).ready()
    for data in frames:
        with contextlib.suppress(WireError):
            assert_numbers(talk.frame(channel, data))
    talk.tick(1)
    talk.closed(channel)


@settings(max_examples=150, deadline=None)
@given(
    which=st.integers(0, 8),
    status=st.sampled_from([200, 200, 200, 400, 401, 403, 418, 429, 500, 503, 0, -1]),
    body=mangled(ANSWERS),
    retry=st.sampled_from(["", "3", "soon", "-1"]),
)
def test_http_answers(which: int, status: int, body: bytes, retry: str) -> None:
    talk = Talk(HMAC).ready()
    commands = [
        QueryOrder(venue="binance", symbol="XRP/USDT", client_id="a"),
        QueryFills(venue="binance", symbol="XRP/USDT", client_id="a"),
        QueryFills(venue="binance", symbol="XRP/USDT", since=talk.ts),
        QueryOpenOrders(venue="binance"),
        RequestAccount(venue="binance"),
        CancelOrder(venue="binance", symbol="XRP/USDT", client_id="a"),
        CancelAll(venue="binance", symbol="XRP/USDT"),
    ]
    talk.closed("orders")
    if which < len(commands):
        talk.encode(commands[which])
    else:
        talk.tick(3_600 * 10**9)
    headers = {"retry-after": retry, "x-mbx-used-weight-1m": retry}
    for request in list(talk.requests):
        events = talk.answer(urlsplit(request.url).path, body, status, headers)
        assert_numbers(events)
        if which < len(commands) and status != 200:
            assert events or isinstance(commands[which], CancelAll)
