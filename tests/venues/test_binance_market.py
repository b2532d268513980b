"""Binance's public streams through the codec: subscriptions, books, quotes, trades, bad frames, real recordings."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from binance_talk import MS, SECOND, XRP, Talk, exchange_info, names, query
from tradeserver.core.book import Book
from tradeserver.core.commands import RequestSnapshot
from tradeserver.core.events import (
    BestQuote,
    BookDelta,
    BookInvalid,
    BookSnapshot,
    Event,
    LinkUp,
    Trade,
    Trust,
    VenueFault,
)
from tradeserver.core.types import Side
from tradeserver.venues.base import NO_ANSWER, HttpRequest, WireError
from tradeserver.venues.binance import BinanceCodec, BinanceSettings


def depth(first: int, last: int, bids: Any = (), asks: Any = (), **more: Any) -> dict[str, Any]:
    data = {"e": "depthUpdate", "E": 1_700_000_000_123, "s": "XRPUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return {"stream": "xrpusdt@depth@100ms", "data": data | more}


def synced() -> Talk:
    """A book at id 104: bids 0.5 x 10, asks 0.6 x 20."""
    talk = Talk().ready()
    talk.frame("market", depth(101, 104))
    talk.answer("/api/v3/depth", {"lastUpdateId": 104, "bids": [["0.5000", "10"]], "asks": [["0.6000", "20"]]})
    talk.events.clear()
    return talk


# ---- subscriptions ----


def test_the_link_is_up_when_the_subscription_is_acknowledged() -> None:
    talk = Talk()
    talk.start()
    talk.answer("/api/v3/exchangeInfo", exchange_info())
    (invalid,) = talk.opened("market")
    assert isinstance(invalid, BookInvalid)
    assert invalid.trust is Trust.SNAPSHOTTING
    ((channel, frame),) = talk.frames
    assert channel == "market"
    assert frame == {"method": "SUBSCRIBE", "params": ["xrpusdt@depth@100ms", "xrpusdt@bookTicker"], "id": 1}
    assert talk.frame("market", depth(1, 2)) == []
    (up,) = talk.frame("market", {"result": None, "id": 1})
    assert up == LinkUp(ts=talk.ts, venue="binance", channel="market")
    assert talk.frame("market", {"result": None, "id": 1}) == []


def test_symbols_that_the_venue_does_not_list_are_not_subscribed() -> None:
    talk = Talk(symbols=["NOPE/USDT", "XRP/USDT"], settings=BinanceSettings(trades=True, book_ticker=False))
    talk.start()
    talk.answer("/api/v3/exchangeInfo", exchange_info())
    talk.opened("market")
    assert talk.frames[0][1]["params"] == ["xrpusdt@depth@100ms", "xrpusdt@trade"]


def test_many_symbols_are_subscribed_slowly_enough_for_the_venue() -> None:
    bases = [f"C{number}" for number in range(100)]
    talk = Talk(symbols=[f"{base}/USDT" for base in bases])
    talk.start()
    talk.answer("/api/v3/exchangeInfo", exchange_info(*(XRP | {"symbol": f"{base}USDT"} for base in bases)))
    talk.opened("market")
    assert len(talk.frames) == 2
    talk.tick(SECOND - 1)
    assert len(talk.frames) == 2
    talk.tick(1)
    assert len(talk.frames) == 4
    assert sum(len(frame["params"]) for _, frame in talk.frames) == 200
    acks = [talk.frame("market", {"result": None, "id": number}) for number in (1, 2, 3, 4)]
    assert [names(events) for events in acks] == [[], [], [], ["LinkUp"]]


def test_a_refused_subscription_is_told_and_the_connection_given_up() -> None:
    talk = Talk()
    talk.opened("market")
    (fault,) = talk.frame("market", {"code": 2, "msg": "Invalid request: unknown stream"})
    assert isinstance(fault, VenueFault)
    assert fault.code == "SUBSCRIBE_REFUSED"
    assert talk.resets == [("market", "subscription refused")]


def test_a_subscription_without_an_answer_ends() -> None:
    talk = Talk()
    talk.opened("market")
    talk.tick(5 * SECOND)
    talk.frame("market", depth(1, 2))
    talk.tick(5 * SECOND + 1)
    assert talk.resets == [("market", "subscription not acknowledged")]


def test_a_silent_connection_is_given_up_once() -> None:
    talk = Talk(settings=BinanceSettings(silence_ms=3_000)).ready()
    talk.tick(3 * SECOND)
    assert talk.resets == []
    talk.tick(1)
    talk.tick(1)
    assert talk.resets == [("market", "silent")]


def test_an_announced_shutdown_gets_a_successor_first_and_the_book_goes_on() -> None:
    talk = synced()
    talk.channels.clear()
    assert talk.frame("market", {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}}) == []
    talk.tick()
    assert (talk.channels, talk.resets) == (["market.b"], [])
    assert talk.opened("market.b") == [], "no book begins anew"
    number = talk.frames[-1][1]["id"]
    assert talk.frames[-1][0] == "market.b"
    assert talk.frame("market.b", {"result": None, "id": number}) == []
    assert names(talk.frame("market.b", depth(105, 106))) == ["BookDelta"]
    assert talk.frame("market", depth(105, 106)) == [], "said twice, counted once"
    assert talk.closed("market", "1001") == []
    assert names(talk.frame("market.b", depth(107, 108))) == ["BookDelta"]


def test_a_lost_connection_takes_every_book_with_it() -> None:
    talk = synced()
    down, invalid = talk.closed("market", "reset by peer")
    assert names([down]) == ["LinkDown"]
    assert isinstance(invalid, BookInvalid)
    assert invalid.reason == "link down: reset by peer"
    assert talk.frame("market", depth(105, 106)) == []
    talk.opened("market")
    assert talk.frames[-1][1]["id"] == 2


# ---- books ----


def test_snapshot_and_deltas_are_joined() -> None:
    talk = Talk().ready()
    assert talk.frame("market", depth(101, 104, [["0.4000", "1"]])) == []
    (request,) = talk.requests
    assert request.label == "GET /api/v3/depth"
    assert query(request) == {"symbol": "XRPUSDT", "limit": "1000"}
    assert talk.frame("market", depth(105, 106, [["0.5000", "11.5"]], [["0.6000", "0.00"]])) == []
    snapshot, delta = talk.answer(
        "/api/v3/depth", {"lastUpdateId": 104, "bids": [["0.5000", "10"]], "asks": [["0.6000", "20"]]}
    )
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.symbol, snapshot.update_id) == ("XRP/USDT", 104)
    assert (snapshot.bids, snapshot.asks) == ([(0.5, 10.0)], [(0.6, 20.0)])
    assert isinstance(delta, BookDelta)
    assert (delta.update_id, delta.bids, delta.asks) == (106, [(0.5, 11.5)], [(0.6, 0.0)])
    assert delta.venue_ts == 1_700_000_000_123 * MS


def test_a_gap_is_told_at_once_and_a_new_snapshot_asked_for() -> None:
    talk = synced()
    (invalid,) = talk.frame("market", depth(106, 107))
    assert isinstance(invalid, BookInvalid)
    assert (invalid.trust, invalid.reason) == (Trust.GAP, "ids 106..107 after 104")
    talk.tick(200 * MS)
    (request,) = talk.requests
    assert request.label == "GET /api/v3/depth"


def test_a_failed_snapshot_is_asked_for_again() -> None:
    talk = Talk().ready()
    talk.frame("market", depth(101, 104))
    assert names(talk.answer("/api/v3/depth", b"connection reset", NO_ANSWER)) == []
    assert names(talk.tick(199 * MS)) == []
    assert talk.requests == []
    talk.tick(MS)
    (fault,) = talk.answer("/api/v3/depth", b'{"lastUpdateId":104}')
    assert isinstance(fault, VenueFault)
    talk.tick(SECOND)
    assert names(talk.answer("/api/v3/depth", {"lastUpdateId": 104, "bids": [], "asks": []})) == ["BookSnapshot"]


def test_a_snapshot_asked_for_on_an_earlier_connection_is_dropped() -> None:
    talk = Talk().ready()
    talk.frame("market", depth(101, 104))
    talk.closed("market")
    talk.opened("market")
    talk.frame("market", depth(103, 106))
    assert len(talk.requests) == 2
    assert talk.answer("/api/v3/depth", {"lastUpdateId": 104, "bids": [], "asks": []}) == []
    assert names(talk.answer("/api/v3/depth", {"lastUpdateId": 105, "bids": [], "asks": []})) == [
        "BookSnapshot",
        "BookDelta",
    ]


def test_the_core_can_ask_for_a_fresh_snapshot() -> None:
    talk = synced()
    asked = talk.encode(RequestSnapshot(venue="binance", symbol="XRP/USDT", reason="crossed"))
    assert asked == {"symbol": "XRPUSDT", "limit": "1000"}
    assert talk.frame("market", depth(105, 106)) == []
    assert names(talk.answer("/api/v3/depth", {"lastUpdateId": 105, "bids": [], "asks": []})) == [
        "BookSnapshot",
        "BookDelta",
    ]


def test_snapshots_wait_for_the_rate_budget() -> None:
    talk = Talk().ready()
    talk.codec.budget.observe("weight", 4_780, talk.ts)
    talk.frame("market", depth(101, 104))
    assert talk.requests == []
    talk.tick(25 * SECOND)
    talk.frame("market", depth(105, 106))
    assert talk.requests == []
    talk.tick(25 * SECOND)  # past the venue's full minute
    assert "GET /api/v3/depth" in [request.label for request in talk.requests]


# ---- quotes and trades ----


def test_best_quotes_and_trades() -> None:
    talk = Talk(settings=BinanceSettings(trades=True)).ready()
    (quote,) = talk.frame(
        "market",
        {
            "stream": "xrpusdt@bookTicker",
            "data": {"u": 105, "s": "XRPUSDT", "b": "0.5997", "B": "1200.5", "a": "0.5998", "A": "300"},
        },
    )
    assert quote == BestQuote(
        ts=talk.ts,
        venue="binance",
        symbol="XRP/USDT",
        update_id=105,
        bid=0.5997,
        bid_quantity=1200.5,
        ask=0.5998,
        ask_quantity=300.0,
    )
    data = {"e": "trade", "E": 12, "s": "XRPUSDT", "t": 17, "p": "0.5998", "q": "20", "T": 11, "m": True, "M": True}
    (trade,) = talk.frame("market", {"stream": "xrpusdt@trade", "data": data})
    assert isinstance(trade, Trade)
    assert (trade.price, trade.quantity, trade.taker, trade.trade_id) == (0.5998, 20.0, Side.SELL, "17")
    assert trade.venue_ts == 11 * MS


def test_a_stream_of_a_symbol_that_is_not_ours_is_ignored() -> None:
    talk = synced()
    assert talk.frame("market", depth(105, 106, s="DOGEUSDT")) == []


# ---- bad frames ----


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        b"<html>bad gateway</html>",
        b"{}",
        b"[]",
        b'{"result":null}',
        b'{"stream":"xrpusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"XRPUSDT","U":105}}',
        b'{"stream":"xrpusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"XRPUSDT","U":105,"u":"x","b":[],"a":[]}}',
        b'{"stream":"xrpusdt@bookTicker","data":{"u":1,"s":"XRPUSDT","b":"zero","B":"1","a":"1","A":"1"}}',
        b'{"stream":"xrpusdt@bookTicker","data":{"u":1,"s":"XRPU',
        b'{"stream":"xrpusdt@',
        b'{"stream":"nothing that we know","data":{}}',
        b"\xff\xfe\x00",
    ],
)
def test_malformed_bytes_raise_and_change_nothing(data: bytes) -> None:
    talk = synced()
    with pytest.raises(WireError):
        talk.frame("market", data)
    assert names(talk.frame("market", depth(105, 106))) == ["BookDelta"]


@pytest.mark.parametrize("extra", [{"pu": 104}, {"T": 1_700_000_000_122}, {"pu": 104, "T": 1_700_000_000_122}])
def test_the_futures_dialect_is_refused_by_name(extra: dict[str, int]) -> None:
    talk = synced()
    with pytest.raises(WireError, match="futures dialect"):
        talk.frame("market", depth(105, 106, **extra))


# ---- recordings ----


def play(path: Path, codec: BinanceCodec) -> list[Event]:
    """Every line of a raw recording; the recorded snapshot answers the codec's own request for one."""
    events: list[Event] = []
    with gzip.open(path) as lines:
        for number, line in enumerate(lines):
            stamp, data = line.rstrip().split(b" ", 1)
            ts = int(stamp)
            if number == 0:
                events += codec.opened("market", ts)
            if data.startswith(b'{"lastUpdateId"'):
                (request,) = [each for each in codec.outgoing if isinstance(each, HttpRequest)]
                assert request.label == "GET /api/v3/depth"
                events += codec.receive_http(request.id, 200, {}, data, ts)
            else:
                events += codec.receive("market", data, ts)
    return events


def test_a_recording_of_bitcoin(shared_data: Path) -> None:
    """346 s of the real feed: joined, no gap, and the book's top equals the in-band ticker at equal ids."""
    name = "binance_spot_btcusdt_20240808.gz"
    expected = json.loads((shared_data / "recordings" / "expected.json").read_text())[name]
    codec = BinanceCodec(BinanceSettings(trades=True), ["BTC/USDT"])
    events = play(shared_data / "recordings" / name, codec)
    counts = Counter(names(events))
    sync = codec.market.books["BTCUSDT"]
    assert counts["BookDelta"] == expected["counts"]["applied"] == 3449
    assert counts["BookDelta"] + sync.ignored == expected["counts"]["depth_events"] == 3451
    assert (sync.gaps, counts["BookInvalid"], counts["BookSnapshot"]) == (0, 1, 1)
    assert counts["BestQuote"] == expected["counts"]["book_ticker"]
    assert counts["Trade"] == expected["counts"]["trades"]

    book = Book()
    checked = matched = 0
    quote: BestQuote | None = None
    quotes = iter(sorted((e for e in events if isinstance(e, BestQuote)), key=lambda e: e.update_id))
    following = next(quotes, None)
    for event in events:
        if isinstance(event, BookSnapshot):
            book.load(event.update_id, event.bids, event.asks)
        elif isinstance(event, BookDelta):
            book.apply(event.update_id, event.bids, event.asks)
            while following is not None and following.update_id <= event.update_id:
                quote, following = following, next(quotes, None)
            if quote is not None:
                checked += 1
                top = (book.bid, book.bid_quantity, book.ask, book.ask_quantity)
                matched += top == (quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity)
    assert (checked, matched) == (3449, 3449)  # the one event of the buffer included
    assert book.update_id == expected["final"]["u"]
    assert book.sha256() == expected["final"]["sha256"]


def test_the_perpetual_feed_is_refused_by_name(shared_data: Path) -> None:
    codec = BinanceCodec(BinanceSettings(trades=True), ["BTC/USDT"])
    with pytest.raises(WireError, match="futures dialect"):
        play(shared_data / "recordings" / "binance_usdm_btcusdt_20240808.gz", codec)


def test_a_file_without_a_snapshot_publishes_no_book(shared_data: Path) -> None:
    codec = BinanceCodec(BinanceSettings(), ["BTC/USDT"])
    events: list[Event] = []
    with gzip.open(shared_data / "recordings" / "binance_spot_btcusdt_20240808.gz") as lines:
        for number, line in enumerate(lines):
            stamp, data = line.rstrip().split(b" ", 1)
            if number == 0:
                events += codec.opened("market", int(stamp))
            if number > 2_000:
                break
            if not data.startswith(b'{"lastUpdateId"'):
                events += codec.receive("market", data, int(stamp))
    assert not any(isinstance(event, (BookSnapshot, BookDelta)) for event in events)
