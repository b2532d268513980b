"""How the Binance codec begins and keeps itself informed: rules, clock, commission, channels, log-on."""

from __future__ import annotations

from decimal import Decimal

import pytest

from binance_talk import ED25519, HMAC, MS, SECOND, T0, XRP, Talk, commission, exchange_info, names, query
from tradeserver.core.commands import CancelAll, QueryOpenOrders, RequestSnapshot
from tradeserver.core.events import (
    ClockOffset,
    FeesLoaded,
    InstrumentsLoaded,
    LinkUp,
    RateLimited,
    SymbolStatus,
    VenueFault,
)
from tradeserver.core.types import Charged, Fees
from tradeserver.venues.base import NO_ANSWER, Connect
from tradeserver.venues.binance import CARD, BinanceSettings
from tradeserver.venues.binance.errors import ACTIONS, ROWS
from tradeserver.venues.card import incomplete


def test_without_a_key_there_are_rules_time_and_market_data_only() -> None:
    talk = Talk()
    talk.start()
    assert [request.label for request in talk.requests] == ["GET /api/v3/exchangeInfo"]
    assert query(talk.requests[0]) == {"symbols": '["XRPUSDT"]'}
    talk.answer("/api/v3/exchangeInfo", exchange_info())
    assert [request.label for request in talk.requests] == ["GET /api/v3/time"]
    talk.settle_clock()
    talk.tick(10 * MS)
    assert talk.channels == ["market"]
    assert talk.requests == []
    assert talk.codec.usable(QueryOpenOrders(venue="binance")) == "no key"


def test_rules_become_instruments() -> None:
    talk = Talk(symbols=["XRP/USDT", "DOGE/USDT"])
    talk.start()
    (loaded,) = talk.answer("/api/v3/exchangeInfo", exchange_info())
    assert isinstance(loaded, InstrumentsLoaded)
    assert loaded.unknown == ("DOGE/USDT",)
    (xrp,) = loaded.instruments
    assert (xrp.symbol, xrp.native, xrp.base, xrp.quote) == ("XRP/USDT", "XRPUSDT", "XRP", "USDT")
    assert (xrp.tick, xrp.lot) == (Decimal("0.0001"), Decimal("0.1"))
    assert str(xrp.tick) == "0.0001"
    assert (xrp.min_quantity, xrp.max_quantity) == (Decimal("0.1"), Decimal(900_000))
    assert (xrp.min_notional, xrp.max_notional) == (Decimal(5), Decimal(9_000_000))
    assert xrp.tradable


def test_old_symbols_without_notional_and_disabled_steps() -> None:
    old = XRP | {
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0", "maxPrice": "0", "tickSize": "0.00000000"},
            {"filterType": "LOT_SIZE", "minQty": "1", "maxQty": "100", "stepSize": "1.00000000"},
            {"filterType": "MIN_NOTIONAL", "minNotional": "10.0", "applyToMarket": True, "avgPriceMins": 5},
        ],
        "quotePrecision": 4,
    }
    talk = Talk()
    talk.start()
    (loaded,) = talk.answer("/api/v3/exchangeInfo", exchange_info(old))
    assert isinstance(loaded, InstrumentsLoaded)
    (xrp,) = loaded.instruments
    assert (xrp.tick, xrp.lot, xrp.min_notional) == (Decimal("0.0001"), Decimal(1), Decimal(10))


def test_an_unknown_symbol_is_named_after_asking_for_all() -> None:
    talk = Talk(symbols=["XRP/USDT", "NOPE/USDT"])
    talk.start()
    assert names(talk.answer("/api/v3/exchangeInfo", {"code": -1121, "msg": "Invalid symbol."}, 400)) == []
    assert query(talk.requests[-1]) == {}
    (loaded,) = talk.answer("/api/v3/exchangeInfo", exchange_info())
    assert isinstance(loaded, InstrumentsLoaded)
    assert loaded.unknown == ("NOPE/USDT",)


def test_a_halted_symbol_is_told_and_so_is_its_return() -> None:
    talk = Talk(settings=BinanceSettings(rules_refresh_s=60))
    talk.start()
    loaded, status = talk.answer("/api/v3/exchangeInfo", exchange_info(XRP | {"status": "CANCEL_ONLY"}))
    assert isinstance(status, SymbolStatus)
    assert (status.tradable, status.reason) == (False, "CANCEL_ONLY")
    talk.tick(60 * SECOND)
    loaded, status = talk.answer("/api/v3/exchangeInfo", exchange_info())
    assert isinstance(status, SymbolStatus)
    assert status.tradable
    talk.tick(60 * SECOND)
    (loaded,) = talk.answer("/api/v3/exchangeInfo", exchange_info())
    assert isinstance(loaded, InstrumentsLoaded)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [(200, b"<html>maintenance</html>", "BAD_BODY"), (503, b"<html>busy</html>", "HTTP 503"), (200, b"{}", "BAD_BODY")],
)
def test_a_venue_that_answers_html_is_told_and_asked_again(status: int, body: bytes, code: str) -> None:
    talk = Talk()
    talk.start()
    (fault,) = talk.answer("/api/v3/exchangeInfo", body, status)
    assert isinstance(fault, VenueFault)
    assert fault.code == code
    talk.tick(SECOND - 1)
    assert [request.label for request in talk.requests] == ["GET /api/v3/time"]
    talk.tick(1)
    assert [request.label for request in talk.requests] == ["GET /api/v3/time", "GET /api/v3/exchangeInfo"]


def test_a_venue_that_never_answers_is_asked_ever_more_slowly() -> None:
    talk = Talk()
    talk.start()
    pauses = []
    for _ in range(7):
        talk.answer("/api/v3/exchangeInfo", b"timed out", NO_ANSWER)
        waited = 0
        while not any(request.label.endswith("exchangeInfo") for request in talk.requests):
            talk.tick(SECOND // 2)
            waited += SECOND // 2
        pauses.append(waited // SECOND)
    assert pauses == [1, 2, 5, 10, 30, 30, 30]
    assert talk.channels == []


# ---- clock ----


def test_the_offset_is_the_median_of_the_quick_samples() -> None:
    """Samples one after another: round trips 80, 2, 2, 30, 2 ms; the venue is 250 ms ahead and cuts to whole ms."""
    talk = Talk()
    talk.start()
    talk.answer("/api/v3/exchangeInfo", exchange_info())
    for rtt, error in ((80, 39), (2, 0), (2, 0), (30, -14), (2, 0)):
        asked = talk.ts
        middle = asked + rtt * MS // 2
        events = talk.answer("/api/v3/time", {"serverTime": middle // MS + 250 + error}, after_ns=rtt * MS)
    (offset,) = events
    assert isinstance(offset, ClockOffset)
    assert offset.offset_ns == 250 * MS + MS // 2  # half a millisecond was cut off on average
    assert offset.rtt_ns == 2 * MS
    assert [request.label for request in talk.requests if request.label == "GET /api/v3/time"] == []


def test_requests_are_signed_with_the_venues_time() -> None:
    talk = Talk(HMAC)
    talk.start()
    talk.answer("/api/v3/exchangeInfo", exchange_info())
    talk.settle_clock(offset_ms=-700)
    talk.tick()
    stamp = int(query(talk.requests[0])["timestamp"])
    assert stamp == (talk.ts - 700 * MS + MS // 2) // MS


def test_the_clock_is_measured_again_after_a_clock_error_but_not_in_a_storm() -> None:
    talk = Talk(HMAC).ready()
    for _ in range(3):
        talk.encode(QueryOpenOrders(venue="binance"))
        talk.answer("/api/v3/openOrders", {"code": -1021, "msg": "Timestamp ... outside of the recvWindow."}, 400)
    talk.tick(10 * SECOND)
    assert [request.label for request in talk.requests] == ["GET /api/v3/time"]
    talk.settle_clock()
    talk.encode(QueryOpenOrders(venue="binance"))
    talk.answer("/api/v3/openOrders", {"code": -1021, "msg": "Timestamp ... outside of the recvWindow."}, 400)
    talk.tick(900 * MS)
    assert talk.requests == []
    talk.tick(100 * MS)
    assert [request.label for request in talk.requests] == ["GET /api/v3/time"]


def test_the_clock_is_measured_again_every_few_minutes() -> None:
    talk = Talk().ready()
    talk.tick(239 * SECOND)
    assert talk.requests == []
    talk.tick(SECOND)
    assert "GET /api/v3/time" in [request.label for request in talk.requests]


# ---- commission ----


@pytest.mark.parametrize(
    ("discount", "expected"),
    [
        (False, Fees(maker=Decimal("0.0008"), taker=Decimal("0.00102"), charged=Charged.RECEIVED)),
        (
            True,  # a quarter off the standard part, none off the tax
            Fees(maker=Decimal("0.0006"), taker=Decimal("0.00077"), charged=Charged.THIRD, third_asset="BNB"),
        ),
    ],
)
def test_commission_by_symbol(discount: bool, expected: Fees) -> None:
    talk = Talk(HMAC)
    talk.start()
    talk.answer("/api/v3/exchangeInfo", exchange_info())
    talk.settle_clock()
    talk.tick()
    (loaded,) = talk.answer("/api/v3/account/commission", commission(discount=discount))
    assert isinstance(loaded, FeesLoaded)
    assert loaded.fees == {"XRP/USDT": expected}


def test_fees_of_several_symbols_come_as_one_event() -> None:
    btc = XRP | {"symbol": "BTCUSDT", "baseAsset": "BTC"}
    talk = Talk(HMAC, symbols=["XRP/USDT", "BTC/USDT"])
    talk.start()
    talk.answer("/api/v3/exchangeInfo", exchange_info(XRP, btc))
    talk.settle_clock()
    talk.tick()
    assert talk.answer("/api/v3/account/commission", commission()) == []
    (loaded,) = talk.answer("/api/v3/account/commission", commission("BTCUSDT"))
    assert isinstance(loaded, FeesLoaded)
    assert list(loaded.fees) == ["XRP/USDT", "BTC/USDT"]


def test_a_key_without_rights_is_told_as_auth() -> None:
    talk = Talk(HMAC)
    talk.start()
    talk.answer("/api/v3/exchangeInfo", exchange_info())
    talk.settle_clock()
    talk.tick()
    text = "Invalid API-key, IP, or permissions for action."
    (fault,) = talk.answer("/api/v3/account/commission", {"code": -2015, "msg": text}, 401)
    assert isinstance(fault, VenueFault)
    assert fault.code == "AUTH"
    assert text in fault.text


# ---- channels and log-on ----


def test_private_channels_wait_for_rules_and_clock() -> None:
    talk = Talk(HMAC)
    talk.start()
    talk.answer("/api/v3/exchangeInfo", exchange_info())
    assert talk.channels == ["market"]
    talk.settle_clock()
    assert talk.channels == ["market", "user", "orders"]
    settings = BinanceSettings()
    assert talk.codec.open("market", T0) == Connect("market", settings.stream_url + "/stream", {})
    assert talk.codec.open("orders", T0) == Connect("orders", settings.ws_api_url, {})


def test_an_hmac_key_subscribes_by_signature() -> None:
    talk = Talk(HMAC)
    talk.settle_clock()
    assert talk.opened("user") == []
    ((channel, asked),) = talk.frames
    assert (channel, asked["method"]) == ("user", "userDataStream.subscribe.signature")
    assert sorted(asked["params"]) == ["apiKey", "recvWindow", "signature", "timestamp"]
    (up,) = talk.answer_frame({"subscriptionId": 3})
    assert up == LinkUp(ts=talk.ts, venue="binance", channel="user")


def test_an_ed25519_key_logs_on_first_on_both_connections() -> None:
    talk = Talk(ED25519)
    talk.opened("user")
    assert talk.frames[0][1]["method"] == "session.logon"
    status = {
        "apiKey": "thekey",
        "authorizedSince": 1,
        "connectedSince": 1,
        "returnRateLimits": True,
        "serverTime": 1,
        "userDataStream": False,
    }
    assert talk.answer_frame(status) == []
    assert talk.frames[0][1]["method"] == "userDataStream.subscribe"
    assert "params" not in talk.frames[0][1]
    assert names(talk.answer_frame({"subscriptionId": 0})) == ["LinkUp"]
    talk.opened("orders")
    assert talk.frames[0][1]["method"] == "session.logon"
    assert names(talk.answer_frame(status)) == ["LinkUp"]


def test_a_subscription_that_is_there_already_is_as_good_as_done() -> None:
    talk = Talk(HMAC)
    talk.opened("user")
    assert names(talk.fail_frame(-2035, "User Data Stream subscription already active.")) == ["LinkUp"]


def test_a_refused_log_on_is_told_and_the_connection_given_up() -> None:
    talk = Talk(ED25519)
    talk.opened("orders")
    (fault,) = talk.fail_frame(-2015, "Invalid API-key, IP, or permissions for action.", 401)
    assert isinstance(fault, VenueFault)
    assert fault.code == "AUTH"
    assert talk.resets == [("orders", "log-on refused: -2015")]
    assert talk.closed("orders") == []  # it never was up


def test_a_log_on_that_nobody_confirms_ends() -> None:
    talk = Talk(HMAC)
    talk.opened("orders")
    talk.tick(10 * SECOND)
    assert talk.resets == []
    talk.tick(1)
    talk.tick(SECOND)
    assert talk.resets == [("orders", "log-on not confirmed")]


def test_a_key_revoked_on_a_living_connection() -> None:
    talk = Talk(ED25519).ready()
    (fault,) = talk.frame("orders", {"id": None, "status": 401, "error": {"code": -2015, "msg": "Invalid API-key"}})
    assert isinstance(fault, VenueFault)
    assert fault.code == "AUTH"
    assert talk.resets == [("orders", "log-on refused: -2015")]
    assert names(talk.closed("orders")) == ["LinkDown"]


def test_connections_are_renewed_before_24_hours_and_not_together() -> None:
    talk = Talk(HMAC).ready()
    at: dict[str, float] = {}
    for minute in range(1_330, 1_440):
        talk.ts = T0 + minute * 60 * SECOND
        talk.codec.receive("market", b'{"result":null,"id":999}', talk.ts)  # it is not silent
        talk.tick()
        for channel in talk.channels:
            at.setdefault(channel, minute / 60)
    assert talk.resets == [], "the old ones stay until their successors are there"
    at = {channel: hours for channel, hours in at.items() if channel.endswith(".b")}
    assert sorted(at) == ["market.b", "orders.b", "user.b"]
    assert all(22.9 < hours < 23.9 for hours in at.values())
    assert len(set(at.values())) == 3


# ---- limits ----


def test_a_429_stops_what_it_names_until_it_says_so() -> None:
    talk = Talk(HMAC).ready()
    ask = QueryOpenOrders(venue="binance")
    assert talk.codec.usable(ask) == ""
    talk.encode(ask)
    body = {"code": -1003, "msg": "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."}
    limited, failed = talk.answer("/api/v3/openOrders", body, 429, {"retry-after": "7"})
    assert limited == RateLimited(ts=talk.ts, venue="binance", scope="weight", until=talk.ts + 7 * SECOND, banned=False)
    assert names([failed]) == ["QueryFailed"]
    assert talk.codec.usable(ask) == "rate budget: weight throttled"
    talk.tick(7 * SECOND)
    assert talk.codec.usable(ask) == ""


def test_a_418_stops_everything() -> None:
    talk = Talk(HMAC).ready()
    talk.encode(QueryOpenOrders(venue="binance"))
    body = {"code": -1003, "msg": "Way too much request weight used; IP banned until 1700000120000."}
    limited = talk.answer("/api/v3/openOrders", body, 418, {"retry-after": "120"})[0]
    assert isinstance(limited, RateLimited)
    assert limited.banned
    talk.requests.clear()
    talk.tick(119 * SECOND)
    assert talk.requests == []  # not even the time is asked
    talk.tick(300 * SECOND)
    assert talk.requests != []


def test_a_ban_stops_every_command() -> None:
    talk = Talk(HMAC).ready()
    talk.codec.budget.throttled("weight", talk.ts + SECOND, talk.ts, banned=True)
    for command in (
        QueryOpenOrders(venue="binance"),
        CancelAll(venue="binance", symbol="XRP/USDT"),
        RequestSnapshot(venue="binance", symbol="XRP/USDT", reason="crossed"),
    ):
        assert talk.codec.usable(command) == "rate budget: banned"


def test_a_throttled_time_is_not_asked_for_again() -> None:
    talk = Talk(HMAC)
    talk.start()
    talk.answer("/api/v3/exchangeInfo", exchange_info())
    talk.answer("/api/v3/time", {"code": -1003, "msg": "Too much request weight used."}, 429, {"retry-after": "30"})
    for _ in range(29):
        talk.tick(SECOND)
    assert talk.requests == []
    talk.tick(SECOND)
    assert [request.label for request in talk.requests] == ["GET /api/v3/time"]


def test_a_start_into_a_throttle_asks_one_question_and_no_second_before_its_time() -> None:
    """The run before was told to be silent; this one cannot know, and two questions at once can end in a ban."""
    talk = Talk(HMAC)
    talk.start()
    talk.tick(10 * MS)
    assert len(talk.requests) == 1
    limit = {"code": -1003, "msg": "Too much request weight used."}
    talk.answer("/api/v3/exchangeInfo", limit, 429, {"retry-after": "30"})
    for _ in range(29):
        talk.tick(SECOND)
    assert talk.requests == []
    talk.tick(SECOND)
    talk.tick(SECOND)
    assert {request.label for request in talk.requests} == {"GET /api/v3/exchangeInfo", "GET /api/v3/time"}


def test_the_servers_own_count_feeds_the_budget() -> None:
    talk = Talk(HMAC).ready()
    talk.encode(QueryOpenOrders(venue="binance"))
    talk.answer("/api/v3/openOrders", [], headers={"x-mbx-used-weight-1m": "5950"})
    assert talk.codec.usable(QueryOpenOrders(venue="binance")) == "rate budget: weight 5950 of 6000"
    talk.tick(60 * SECOND)
    assert talk.codec.usable(QueryOpenOrders(venue="binance")) == ""


# ---- tables ----


def test_the_card_is_complete() -> None:
    assert incomplete(CARD) == ()


def test_the_error_table_is_sound() -> None:
    keys = [(row.code, row.text) for row in ROWS]
    assert len(keys) == len(set(keys))
    used = [row.action for row in ROWS]
    assert all(action in used for action in ACTIONS)
