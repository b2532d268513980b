"""How KuCoin's channels come up, stay up and go: start, tokens, welcome, acknowledgements, pings, log-on."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest

from kucoin_kit import BTC, KEYS, MS, RENAMED, SECOND, T0, XRP, Talk
from tradeserver.core.events import (
    BookInvalid,
    ClockOffset,
    FeesLoaded,
    InstrumentsLoaded,
    LinkCurrent,
    LinkDown,
    LinkUp,
    RateLimited,
    Trust,
    VenueFault,
)
from tradeserver.core.types import Charged
from tradeserver.venues.base import NO_ANSWER, NOT_SENT, HttpRequest, OpenChannel, WireError
from tradeserver.venues.kucoin.codec import KucoinCodec
from tradeserver.venues.kucoin.settings import KucoinSettings

SERVER = {"endpoint": "ws://127.0.0.1:1/x", "pingInterval": 18000, "pingTimeout": 10000}


# ---- start ----------------------------------------------------------------------------------------------------------


def test_channels_are_asked_for_when_rules_and_clock_are_known() -> None:
    talk = Talk()
    events = talk.boot(offset_ms=1500)
    assert talk.opens == ["market", "user", "orders"]
    (loaded,) = [e for e in events if isinstance(e, InstrumentsLoaded)]
    (xrp,) = loaded.instruments
    assert (xrp.symbol, xrp.native, xrp.base, xrp.quote) == ("XRP/USDT", "XRP-USDT", "XRP", "USDT")
    assert (xrp.tick, xrp.lot, xrp.min_notional) == (Decimal("0.00001"), Decimal("0.0001"), Decimal("0.1"))
    (offset,) = [e for e in events if isinstance(e, ClockOffset)]
    assert offset.offset_ns == 1500 * MS
    assert offset.rtt_ns == 20 * MS


def test_paper_has_the_market_only_and_signs_nothing() -> None:
    talk = Talk(credentials=None)
    talk.boot()
    assert talk.opens == ["market"]
    talk.tick()
    request = talk.codec.open("market", talk.now)
    assert isinstance(request, HttpRequest)
    assert all("KC-API-SIGN" not in r.headers for r in [*talk.requests, request])


def test_unknown_symbols_are_named() -> None:
    talk = Talk(("XRP/USDT", "NO/USDT"))
    (loaded,) = [e for e in talk.boot() if isinstance(e, InstrumentsLoaded)]
    assert loaded.unknown == ("NO/USDT",)


def test_an_odd_row_does_not_hide_the_others() -> None:
    talk = Talk()
    (loaded,) = [
        e
        for e in talk.boot((BTC | {"baseIncrement": None}, XRP | {"market": None}))
        if isinstance(e, InstrumentsLoaded)
    ]
    assert [i.symbol for i in loaded.instruments] == ["XRP/USDT"]


def test_a_renamed_coin_is_found_by_its_currencies() -> None:
    talk = Talk(("BSV/USDT",))
    (loaded,) = [e for e in talk.boot() if isinstance(e, InstrumentsLoaded)]
    assert [i.native for i in loaded.instruments] == ["BCHSV-USDT"]


def test_signatures_carry_the_venues_time() -> None:
    talk = Talk()
    talk.boot(offset_ms=4000)
    fees = talk.find("GET /api/v1/trade-fees")
    assert fees.headers["KC-API-TIMESTAMP"] == str(talk.now // MS + 4000)


def test_fees_come_ten_symbols_a_call_and_as_one_event() -> None:
    symbols = [f"C{i}/USDT" for i in range(12)]
    rows = [XRP | {"symbol": f"C{i}-USDT", "baseCurrency": f"C{i}"} for i in range(12)]
    talk = Talk(symbols)
    talk.boot(rows)
    talk.tick()
    first = talk.find("GET /api/v1/trade-fees")
    asked = parse_qs(urlsplit(first.url).query)["symbols"][0].split(",")
    assert len(asked) == 10
    talk.requests.append(first)
    rates = [{"symbol": s, "takerFeeRate": "0.001", "makerFeeRate": "0.0008"} for s in asked]
    assert talk.answer("GET /api/v1/trade-fees", rates) == []
    rest = [{"symbol": f"C{i}-USDT", "takerFeeRate": "0.002", "makerFeeRate": "0.001"} for i in (10, 11)]
    (loaded,) = talk.answer("GET /api/v1/trade-fees", rest)
    assert isinstance(loaded, FeesLoaded)
    assert len(loaded.fees) == 12
    assert loaded.fees["C3/USDT"].taker == Decimal("0.001")
    assert loaded.fees["C11/USDT"].maker == Decimal("0.001")
    assert loaded.fees["C11/USDT"].charged is Charged.QUOTE


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html><body>maintenance</body></html>"),
        (502, b"<html>bad gateway</html>"),
        (200, b'{"code":"200000","data":{"not":"a list"}}'),
        (NO_ANSWER, b"timed out"),
    ],
)
def test_a_failing_start_is_told_and_tried_again(status: int, body: bytes) -> None:
    talk = Talk()
    talk.done(talk.codec.start(talk.now))
    events = talk.raw("GET /api/v2/symbols", status, body)
    assert [type(e) for e in events] == ([VenueFault] if status != NO_ANSWER else [])
    assert talk.opens == []
    talk.tick(500)
    assert [r.label for r in talk.requests] == ["GET /api/v1/timestamp"]
    talk.tick(600)
    assert "GET /api/v2/symbols" in [r.label for r in talk.requests]


def test_an_answer_to_nothing_is_ignored() -> None:
    talk = Talk()
    assert talk.codec.receive_http(999, 200, {}, b"{}", T0) == []


def test_too_many_topics_are_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="300 topics"):
        KucoinCodec(KucoinSettings(trades=True), [f"C{i}/USDT" for i in range(80)], None)


# ---- bullet channels ------------------------------------------------------------------------------------------------


def test_each_connect_has_its_own_token_and_id() -> None:
    talk = Talk()
    talk.boot()
    for turn in ("one", "two"):
        request = talk.codec.open("user", talk.now)
        assert isinstance(request, HttpRequest)
        assert request.label == "POST /api/v1/bullet-private"
        assert request.headers["KC-API-KEY"] == KEYS.key
        talk.requests.append(request)
        talk.answer(request.label, {"token": f"tok-{turn}", "instanceServers": [SERVER]})
        talk.done(talk.codec.closed("user", "gone", talk.now))
    queries = [parse_qs(urlsplit(c.url).query) for c in talk.connects]
    assert [q["token"] for q in queries] == [["tok-one"], ["tok-two"]]
    assert queries[0]["connectId"] != queries[1]["connectId"]


def test_nothing_is_said_before_the_welcome_and_the_link_is_up_after_the_last_ack() -> None:
    talk = Talk()
    talk.boot()
    request = talk.codec.open("market", talk.now)
    assert isinstance(request, HttpRequest)
    talk.requests.append(request)
    talk.answer(request.label, {"token": "t", "instanceServers": [SERVER]})
    events = talk.done(talk.codec.opened("market", talk.now))
    assert [e.trust for e in events if isinstance(e, BookInvalid)] == [Trust.SNAPSHOTTING]
    assert talk.sent == []
    assert talk.frame("market", {"id": "x", "type": "welcome"}) == []
    frames = [json.loads(text) for _, text in talk.sent]
    assert [f["topic"] for f in frames] == [
        "/market/level2:XRP-USDT",
        "/spotMarket/level1:XRP-USDT",
        "/market/ticker:XRP-USDT",
    ]
    assert all(f["type"] == "subscribe" and f["response"] is True and f["privateChannel"] is False for f in frames)
    ups = []
    for f in frames:
        assert ups == []
        ups += talk.frame("market", {"id": f["id"], "type": "ack"})
    assert ups == [LinkUp(ts=talk.now, venue="kucoin", channel="market")]


def test_private_topics_are_subscribed_as_such() -> None:
    talk = Talk()
    talk.boot()
    assert talk.connect("user") == [LinkUp(ts=talk.now, venue="kucoin", channel="user")]
    frames = [json.loads(text) for _, text in talk.sent]
    assert [f["topic"] for f in frames] == ["/spotMarket/tradeOrdersV2", "/account/balance"]
    assert all(f["privateChannel"] is True for f in frames)


def test_a_hundred_topics_a_subscription() -> None:
    symbols = [f"C{i}/USDT" for i in range(120)]
    rows = [XRP | {"symbol": f"C{i}-USDT", "baseCurrency": f"C{i}"} for i in range(120)]
    talk = Talk(symbols, settings=KucoinSettings(ticker=False))
    talk.boot(rows)
    talk.connect("market")
    counts = [len(json.loads(text)["topic"].split(",")) for _, text in talk.sent]
    assert counts == [100, 20, 100, 20]


def test_a_missing_ack_resets_the_channel_once() -> None:
    talk = Talk()
    talk.boot()
    request = talk.codec.open("user", talk.now)
    assert isinstance(request, HttpRequest)
    talk.requests.append(request)
    talk.answer(request.label, {"token": "t", "instanceServers": [SERVER]})
    talk.done(talk.codec.opened("user", talk.now))
    talk.frame("user", {"id": "x", "type": "welcome"})
    first = json.loads(talk.sent[0][1])["id"]
    assert talk.frame("user", {"id": first, "type": "ack"}) == []
    events = talk.run(11)
    assert [e.code for e in events if isinstance(e, VenueFault)] == ["OVERDUE"]
    assert [r.channel for r in talk.resets] == ["user"]
    assert talk.done(talk.codec.closed("user", "reset", talk.now)) == []  # it never was up


def test_a_missing_welcome_resets_the_channel() -> None:
    talk = Talk(credentials=None)
    talk.boot()
    request = talk.codec.open("market", talk.now)
    assert isinstance(request, HttpRequest)
    talk.requests.append(request)
    talk.answer(request.label, {"token": "t", "instanceServers": [SERVER]})
    talk.done(talk.codec.opened("market", talk.now))
    talk.run(11)
    assert [r.channel for r in talk.resets] == ["market"]


@pytest.mark.parametrize("data", [[], [SERVER]])
def test_a_failed_token_resets_the_channel(data: list[object]) -> None:
    talk = Talk()
    talk.boot()
    request = talk.codec.open("user", talk.now)
    assert isinstance(request, HttpRequest)
    talk.requests.append(request)
    if data:
        events = talk.refuse(request.label, "400003", "KC-API-KEY not exists", 401)
        assert "400003" in next(e.text for e in events if isinstance(e, VenueFault))
    else:
        talk.answer(request.label, {"token": "t", "instanceServers": []})
    assert [r.channel for r in talk.resets] == ["user"]


def test_a_token_that_comes_after_the_channel_was_closed_is_ignored() -> None:
    talk = Talk()
    talk.boot()
    request = talk.codec.open("user", talk.now)
    assert isinstance(request, HttpRequest)
    talk.requests.append(request)
    talk.done(talk.codec.closed("user", "stopping", talk.now))
    talk.answer(request.label, {"token": "t", "instanceServers": [SERVER]})
    assert talk.connects == []


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "code": 401, "data": "token is expired"},
        {"id": "s0", "type": "error", "code": 404, "data": "topic /market/level2:NO-USDT is not found"},
        {"id": "s0", "type": "error", "code": 509, "data": "exceed max permits per second"},
    ],
)
def test_an_error_frame_is_told_and_resets_the_channel(error: dict[str, object]) -> None:
    talk = Talk()
    talk.boot()
    talk.connect("market")
    (fault,) = talk.frame("market", error)
    assert isinstance(fault, VenueFault)
    assert fault.code == f"WS_{error['code']}"
    assert str(error["data"]) in fault.text
    assert [r.channel for r in talk.resets] == ["market"]


def test_a_lost_channel_says_so_and_takes_its_books_along() -> None:
    talk = Talk(("XRP/USDT", "BTC/USDT"))
    talk.boot((XRP, BTC))
    talk.connect("market")
    events = talk.done(talk.codec.closed("market", "eof", talk.now))
    assert events[0] == LinkDown(ts=talk.now, venue="kucoin", channel="market", reason="eof")
    assert [e.symbol for e in events[1:] if isinstance(e, BookInvalid)] == ["XRP/USDT", "BTC/USDT"]


@pytest.mark.parametrize("data", [b"<html>", b"[]", b'{"type":1}', b"\xff\xfe", b""])
@pytest.mark.parametrize("channel", ["market", "user", "orders"])
def test_malformed_bytes_are_the_venues_fault(channel: str, data: bytes) -> None:
    talk = Talk()
    talk.up()
    with pytest.raises(WireError) as caught:
        talk.codec.receive(channel, data, talk.now)
    assert (caught.value.venue, caught.value.channel) == ("kucoin", channel)


# ---- pings ----------------------------------------------------------------------------------------------------------


def pings(talk: Talk, channel: str) -> list[str]:
    found = []
    for where, text in talk.sent:
        if where == channel and text.startswith("{"):
            frame = json.loads(text)
            if frame.get("type") == "ping" or frame.get("op") == "ping":
                found.append(frame["id"])
    return found


@pytest.mark.parametrize("channel", ["market", "user", "orders"])
def test_a_ping_each_interval_and_its_pong_proves_the_connection(channel: str) -> None:
    talk = Talk()
    talk.up()
    talk.run(17.9)
    assert pings(talk, channel) == []
    talk.run(0.2)
    (ping,) = pings(talk, channel)
    asked = talk.now
    talk.now += 30 * MS
    pong = {"id": ping, "op": "pong", "timestamp": 1} if channel == "orders" else {"id": ping, "type": "pong"}
    (current,) = talk.frame(channel, pong)
    assert isinstance(current, LinkCurrent)
    assert current.channel == channel
    assert asked - 200 * MS <= current.asked_ts <= asked
    assert talk.frame(channel, pong) == []  # once


@pytest.mark.parametrize("channel", ["market", "user", "orders"])
def test_an_overdue_pong_resets(channel: str) -> None:
    talk = Talk()
    talk.up()
    talk.run(18 + 10 + 0.5)
    assert channel in [r.channel for r in talk.resets]


def test_after_a_stall_every_connection_is_asked_but_not_in_a_storm() -> None:
    talk = Talk()
    talk.up()
    talk.run(5)
    talk.tick(80)
    assert [len(pings(talk, c)) for c in ("market", "user", "orders")] == [1, 1, 1]
    (ping,) = pings(talk, "market")
    talk.frame("market", {"id": ping, "type": "pong"})
    for _ in range(5):
        talk.tick(80)
    assert len(pings(talk, "market")) == 1
    talk.run(1)
    assert len(pings(talk, "market")) == 2


def test_a_silent_market_is_opened_anew() -> None:
    talk = Talk(credentials=None, settings=KucoinSettings(silence_ms=2_000))
    talk.boot()
    talk.connect("market")
    events = talk.run(2.1)
    assert [e.code for e in events if isinstance(e, VenueFault)] == ["SILENT"]
    assert [r.channel for r in talk.resets] == ["market"]


def test_connections_are_renewed_before_a_day_is_over() -> None:
    talk = Talk()
    talk.up()
    talk.resets.clear()
    opened = talk.now
    renewed: dict[str, int] = {}
    for minute in range(1_300, 1_440):
        talk.now = opened + minute * 60 * SECOND
        talk.codec.tick(talk.now)
        for out in talk.codec.outgoing:  # pongs are not the matter of this test
            if isinstance(out, OpenChannel):
                renewed.setdefault(out.channel, minute)
        talk.codec.outgoing.clear()
    assert set(renewed) == {"market.b", "user.b", "orders.b"}
    assert len(set(renewed.values())) == 3
    assert max(renewed.values()) < 1_400


# ---- order entry's log-on -------------------------------------------------------------------------------------------


def test_the_challenge_is_answered_in_plain_text() -> None:
    """The answer is that of `data/signing` for this key and this very text (see test_kucoin_signing.py)."""
    talk = Talk()
    talk.boot()
    talk.codec.open("orders", talk.now)
    talk.done(talk.codec.opened("orders", talk.now))
    assert talk.frame("orders", {"sessionId": "s1", "timestamp": 1742175983882}) == []
    ((channel, text),) = [s for s in talk.sent if s[0] == "orders"]
    assert channel == "orders"
    assert len(text) == 44
    assert text.endswith("=")
    assert not text.startswith(("{", '"'))
    up = talk.frame("orders", {"sessionId": "s1", "data": "welcome", "pingInterval": 18000, "pingTimeout": 10000})
    assert up == [LinkUp(ts=talk.now, venue="kucoin", channel="orders")]


def test_the_order_url_is_signed_anew_with_the_venues_time() -> None:
    talk = Talk()
    talk.boot(offset_ms=-700)
    first = talk.codec.open("orders", talk.now)
    second = talk.codec.open("orders", talk.now + SECOND)
    assert not isinstance(first, HttpRequest)
    assert not isinstance(second, HttpRequest)
    assert parse_qs(urlsplit(first.url).query)["timestamp"] == [str(talk.now // MS - 700)]
    assert first.url != second.url


@pytest.mark.parametrize(("code", "fault"), [("400011", "AUTH"), ("400003", "AUTH"), ("400002", "400002")])
def test_a_refused_log_on_is_told_and_tried_again(code: str, fault: str) -> None:
    talk = Talk()
    talk.boot()
    talk.codec.open("orders", talk.now)
    talk.done(talk.codec.opened("orders", talk.now))
    (event,) = talk.frame("orders", {"code": code, "msg": "no", "inTime": 1, "outTime": 2})
    assert isinstance(event, VenueFault)
    assert event.code == fault
    assert [r.channel for r in talk.resets] == ["orders"]


def test_a_log_on_without_challenge_is_given_up() -> None:
    talk = Talk()
    talk.boot()
    talk.codec.open("orders", talk.now)
    talk.done(talk.codec.opened("orders", talk.now))
    talk.run(11)
    assert [r.channel for r in talk.resets] == ["orders"]


# ---- upkeep ---------------------------------------------------------------------------------------------------------


def test_the_clock_is_measured_again_on_schedule_and_after_a_refused_stamp() -> None:
    talk = Talk(settings=KucoinSettings(clock_refresh_s=60))
    talk.boot()
    talk.run(0.5)
    fees = talk.refuse("GET /api/v1/trade-fees", "400002", "KC-API-TIMESTAMP Invalid", 400)
    assert not any(isinstance(e, VenueFault) for e in fees)
    talk.run(5.1)  # not in a storm: five seconds after the last measurement
    assert "GET /api/v1/timestamp" in [r.label for r in talk.requests]
    for _ in range(5):
        talk.answer("GET /api/v1/timestamp", talk.now // MS + 250)
    talk.run(59)
    assert "GET /api/v1/timestamp" not in [r.label for r in talk.requests]
    talk.run(2)
    assert "GET /api/v1/timestamp" in [r.label for r in talk.requests]


def test_rules_are_read_again_symbol_by_symbol() -> None:
    talk = Talk(("XRP/USDT", "BSV/USDT"), credentials=None, settings=KucoinSettings(rules_refresh_s=10))
    talk.boot((XRP, RENAMED))
    talk.run(10.1)
    request = talk.find("GET /api/v2/symbols")
    assert request.url.endswith("/api/v2/symbols/XRP-USDT")
    talk.requests.append(request)
    assert talk.answer("GET /api/v2/symbols", XRP | {"priceIncrement": "0.0001"}) == []
    request = talk.find("GET /api/v2/symbols")
    assert request.url.endswith("/api/v2/symbols/BCHSV-USDT")
    talk.requests.append(request)
    (loaded,) = talk.answer("GET /api/v2/symbols", RENAMED | {"enableTrading": False})
    assert isinstance(loaded, InstrumentsLoaded)
    assert [(i.symbol, i.tick, i.tradable) for i in loaded.instruments] == [
        ("XRP/USDT", Decimal("0.0001"), True),
        ("BSV/USDT", Decimal("0.00001"), False),
    ]


def test_a_closed_service_makes_every_symbol_untradable() -> None:
    talk = Talk(credentials=None)
    talk.boot()
    talk.tick()
    assert talk.answer("GET /api/v1/status", {"status": "open", "msg": ""}) == []
    talk.run(60.1)
    (loaded,) = talk.answer("GET /api/v1/status", {"status": "cancelonly", "msg": "upgrade"})
    assert isinstance(loaded, InstrumentsLoaded)
    assert [i.tradable for i in loaded.instruments] == [False]
    talk.run(60.1)
    (loaded,) = talk.answer("GET /api/v1/status", {"status": "open", "msg": ""})
    assert isinstance(loaded, InstrumentsLoaded)
    assert [i.tradable for i in loaded.instruments] == [True]


def test_an_exhausted_pool_is_waited_for_and_told() -> None:
    talk = Talk(credentials=None)
    talk.done(talk.codec.start(talk.now))
    headers = {"gw-ratelimit-limit": "2000", "gw-ratelimit-remaining": "0", "gw-ratelimit-reset": "7000"}
    body = b'{"code":"429000","msg":"Too many requests in a short period of time"}'
    events = talk.raw("GET /api/v2/symbols", 429, body, headers)
    assert events == [RateLimited(ts=talk.now, venue="kucoin", scope="public", until=talk.now + 7 * SECOND)]
    talk.run(6.9)
    assert "GET /api/v2/symbols" not in [r.label for r in talk.requests]
    talk.run(0.2)
    assert "GET /api/v2/symbols" in [r.label for r in talk.requests]


def test_a_request_that_never_left_is_tried_again_without_blaming_the_venue() -> None:
    talk = Talk(credentials=None)
    talk.done(talk.codec.start(talk.now))
    assert talk.raw("GET /api/v2/symbols", NOT_SENT, b"no connection") == []
    talk.run(1.1)
    assert "GET /api/v2/symbols" in [r.label for r in talk.requests]
