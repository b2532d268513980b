"""Bytes and values that no venue should send, each at every place: malformed frames and answers, never our own failure.

`test_*_fuzz.py` draw at random; here everything is tried once, one change at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

import binance_talk
import kucoin_kit
from binance_talk import HMAC, Talk, exchange_info
from messages_kit import (
    BINANCE_ANSWERS,
    FRAMES,
    KUCOIN_LABELS,
    Path,
    ask_binance,
    ask_kucoin,
    assert_numbers,
    receiver,
)
from tradeserver.core.commands import CancelOrder, QueryOrder, RequestAccount
from tradeserver.core.events import Event, VenueFault
from tradeserver.venues.base import WireError

LIMITS = [{"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50, "count": 1}]
THROTTLE = {"serverTime": 1, "retryAfter": 2}
MESSAGES = [(name, case.channel, case.message) for name, case in FRAMES] + [
    ("binance acknowledgement", "market", {"result": None, "id": 1}),
    ("binance stream error", "market", {"code": 2, "msg": "no", "id": 1}),
    ("binance shutdown", "market", {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}}),
    (
        "binance refusal",
        "orders",
        {"id": "aaL", "status": 400, "error": {"code": -2010, "msg": "no", "data": THROTTLE}, "rateLimits": LIMITS},
    ),
    ("binance ban", "orders", {"id": 1, "status": 418, "error": {"code": -1003, "msg": "no", "data": THROTTLE}}),
    ("binance revoked key", "user", {"id": None, "status": 401, "error": {"code": -2015, "msg": "no"}}),
    ("binance end of stream", "user", {"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": 1}}),
    ("binance balance moved", "user", {"subscriptionId": 0, "event": {"e": "balanceUpdate", "E": 1, "a": "X"}}),
    ("kucoin acknowledgement", "market", {"id": "s0", "type": "ack"}),
    ("kucoin pong", "user", {"id": "1", "type": "pong"}),
    ("kucoin error", "market", {"id": "1", "type": "error", "code": 509, "data": "exceed max permits per second"}),
    (
        "kucoin placement",
        "orders",
        {
            "id": "a1",
            "op": "spot.order",
            "code": "200000",
            "data": {"orderId": "67"},
            "rateLimit": {"limit": 4000, "reset": 15244, "remaining": 3999},
        },
    ),
    ("kucoin refusal", "orders", {"id": "a1", "op": "spot.order", "code": "429000", "msg": "too many"}),
    ("kucoin cancel", "orders", {"id": "c-a1", "op": "spot.cancel", "code": "400100", "msg": "order not exist"}),
]
IDS = [f"{name}, {channel}" for name, channel, _ in MESSAGES]

JUNK: list[Any] = [
    *(None, "", "x", "-1", "NaN", "1e400", "²", "9" * 30, True, [], [[]], {}),
    *(0, -1, 1.5, 10**29, 10**400, -(10**400)),
]


# ---- strings that are not UTF-8 -------------------------------------------------------------------------------------

STRING = re.compile(rb'"[^"]+"')


def spoiled(data: bytes) -> Iterator[bytes]:
    """The message with a byte that is no UTF-8 in each of its strings: keys, words, numbers."""
    for string in STRING.finditer(data):
        yield data[: string.start() + 1] + b"\xff" + data[string.start() + 2 :]


@pytest.mark.parametrize(("name", "channel", "message"), MESSAGES, ids=IDS)
def test_a_frame_with_a_string_that_is_not_utf8(name: str, channel: str, message: Any) -> None:
    data = json.dumps(message, separators=(",", ":")).encode()
    malformed = tried = 0
    for bad in spoiled(data):
        tried += 1
        try:
            assert_numbers(feed(name, channel, bad))
        except WireError:
            malformed += 1
    assert tried >= 2
    assert malformed >= 1


def feed(name: str, channel: str, data: bytes) -> list[Event]:
    """One frame to a fresh codec."""
    if name.startswith("binance"):
        return binance_talk.Talk(HMAC).ready().frame(channel, data)
    talk = kucoin_kit.Talk()
    talk.up()
    return talk.done(talk.codec.receive(channel, data, talk.now))


@pytest.mark.parametrize("name", BINANCE_ANSWERS)
def test_an_answer_with_a_string_that_is_not_utf8(name: str) -> None:
    command, path, case = BINANCE_ANSWERS[name]
    told = tried = 0
    for bad in spoiled(json.dumps(case.message).encode()):
        tried += 1
        told += any(isinstance(event, VenueFault) for event in ask_binance(command, path, bad))
    assert tried >= 6
    assert told >= 1


@pytest.mark.parametrize("name", KUCOIN_LABELS)
def test_a_kucoin_answer_with_a_string_that_is_not_utf8(name: str) -> None:
    command, label, case = KUCOIN_LABELS[name]
    told = tried = 0
    for bad in spoiled(json.dumps({"code": "200000", "data": case.message}).encode()):
        tried += 1
        told += any(isinstance(event, VenueFault) for event in ask_kucoin(command, label, bad))
    assert tried >= 8
    assert told >= 1


def test_a_log_on_with_a_string_that_is_not_utf8() -> None:
    """The challenge is signed as text, and answered before the link is up."""
    refused = []
    greetings = (
        b'{"sessionId":"s1","timestamp":1742000000000,"hint":"x"}',
        b'{"sessionId":"s1","data":"welcome","pingInterval":18000,"pingTimeout":10000}',
        b'{"code":"400011","msg":"Session verification failed."}',
    )
    for greeting in greetings:
        malformed = 0
        for bad in spoiled(greeting):
            talk = kucoin_kit.Talk()
            talk.boot()
            talk.codec.open("orders", talk.now)
            talk.done(talk.codec.opened("orders", talk.now))
            try:
                talk.codec.receive("orders", bad, talk.now)
            except WireError:
                malformed += 1
        refused.append(malformed)
    assert refused[0] == 5  # wherever it is, since the whole challenge is text
    assert refused[1] >= 3
    assert refused[2] >= 2


# ---- any value at any place -----------------------------------------------------------------------------------------


def places(message: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(message, dict):
        for key in message:
            yield from places(message[key], (*path, key))
    elif isinstance(message, list):
        for number, value in enumerate(message):
            yield from places(value, (*path, number))


def changed(message: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    copy = json.loads(json.dumps(message))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


@pytest.mark.parametrize(("name", "channel", "message"), MESSAGES, ids=IDS)
def test_any_value_at_any_place_of_a_frame(name: str, channel: str, message: Any) -> None:
    say = receiver(name)
    malformed = 0
    for path in places(message):
        for junk in JUNK:
            try:
                assert_numbers(say(channel, changed(message, path, junk)))
            except WireError:
                malformed += 1
            assert_can_still_tell(say)
    assert malformed >= len(JUNK)


def assert_can_still_tell(say: Any) -> None:
    """Whatever was said, the codec can still say what may be sent."""
    talk = say.__self__
    venue = talk.codec.venue
    for command in (
        QueryOrder(venue=venue, symbol="XRP/USDT", client_id="a"),
        CancelOrder(venue=venue, symbol="XRP/USDT", client_id="a"),
        RequestAccount(venue=venue),
    ):
        talk.codec.usable(command)


@pytest.mark.parametrize("name", BINANCE_ANSWERS)
def test_any_value_at_any_place_of_an_answer(name: str) -> None:
    command, path, case = BINANCE_ANSWERS[name]
    told = 0
    for place in places(case.message):
        for junk in JUNK:
            events = ask_binance(command, path, changed(case.message, place, junk))
            assert_numbers(events)
            told += any(isinstance(event, VenueFault) for event in events)
    assert told >= len(JUNK)


@pytest.mark.parametrize("name", KUCOIN_LABELS)
def test_any_value_at_any_place_of_a_kucoin_answer(name: str) -> None:
    command, label, case = KUCOIN_LABELS[name]
    told = 0
    for place in places(case.message):
        for junk in JUNK:
            events = ask_kucoin(command, label, changed(case.message, place, junk))
            assert_numbers(events)
            told += any(isinstance(event, VenueFault) for event in events)
    assert told >= len(JUNK)


# ---- headers --------------------------------------------------------------------------------------------------------

NO_NUMBERS = ["", "x", "-1", "²", "1.5", "9" * 5_000, "\udcff"]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_counts_in_headers_that_are_none_are_ignored(text: str) -> None:
    talk = Talk(HMAC).ready()
    talk.encode(RequestAccount(venue="binance"))
    names = ("retry-after", "x-mbx-used-weight-1m", "x-mbx-order-count-10s", "x-mbx-order-count-1d")
    events = talk.answer("/api/v3/account", b"{}", 429, dict.fromkeys(names, text))
    assert events  # throttled for the default time
    assert talk.codec.usable(RequestAccount(venue="binance")) == "rate budget: weight throttled"

    other = kucoin_kit.Talk()
    other.up()
    other.command(RequestAccount(venue="kucoin"))
    names = ("gw-ratelimit-limit", "gw-ratelimit-remaining", "gw-ratelimit-reset")
    assert other.raw("GET /api/v1/accounts", 429, b'{"code":"429000"}', dict.fromkeys(names, text))


def test_a_limit_without_a_name_of_its_interval_is_kept_nowhere() -> None:
    rules = exchange_info()
    rules["rateLimits"] = [rules["rateLimits"][1] | {"interval": "", "limit": 10**400}]
    talk = Talk(HMAC)
    talk.start()
    assert talk.answer("/api/v3/exchangeInfo", rules)
    talk.settle_clock()
    assert talk.codec.usable(QueryOrder(venue="binance", symbol="XRP/USDT", client_id="a")) == ""
