"""KuCoin's public data: the recording of 2021 to the last level, and the rules of synchronising, by hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kucoin_kit import BTC, KEYS, MS, SECOND, XRP, Talk, level2
from tradeserver.core.book import Book
from tradeserver.core.commands import RequestSnapshot
from tradeserver.core.events import BestQuote, BookDelta, BookInvalid, BookSnapshot, Event, Trade, Trust, VenueFault
from tradeserver.core.types import Side, plain
from tradeserver.venues.base import WireError
from tradeserver.venues.kucoin.settings import KucoinSettings

FULL = "GET /api/v3/market/orderbook/level2"
PART = "GET /api/v1/market/orderbook/level2_100"
RECORDING = "kucoin_spot_5symbols_2021-04-25.jsonl.gz"


# ---- the recording --------------------------------------------------------------------------------------------------


def recorded(folder: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(folder / "recordings" / RECORDING, "rt") as lines:
        for line in lines:
            yield json.loads(line)


def test_the_recording_ends_as_expected(shared_data: Path) -> None:
    """Every book, level count, stale and applied event; and each ticker equals the book at its sequence number."""
    expected = json.loads((shared_data / "recordings" / "expected.json").read_text())[RECORDING]
    rows = json.loads((shared_data / "kucoin" / "symbols_capture_2021-04-25.json").read_text())["data"]
    natives = list(expected)
    talk = Talk([n.replace("-", "/") for n in natives], credentials=KEYS, settings=KucoinSettings(level1=False))
    talk.now = 1_619_378_300 * SECOND  # shortly before the recording begins
    talk.boot(rows)
    talk.connect("market")

    books = {n.replace("-", "/"): Book() for n in natives}
    tops: dict[tuple[str, int], tuple[float, ...]] = {}
    quotes: list[BestQuote] = []
    deltas = dict.fromkeys(books, 0)
    for row in recorded(shared_data):
        talk.now = round(float(row["t"]) * 1e9)
        events: list[Event] = []
        if row["kind"] == "ws" and row["frame"]["type"] == "message":
            events = talk.frame("market", row["frame"])
        elif row["kind"] == "rest":  # the file's snapshot must have been asked for by then
            wanted = row["url"].partition("?")[2]
            (request,) = [r for r in talk.requests if r.label == FULL and r.url.endswith(wanted)]
            talk.requests.remove(request)
            body = json.dumps(row["body"]).encode()
            events = talk.done(talk.codec.receive_http(request.id, 200, {}, body, talk.now))
        for event in events:
            assert not isinstance(event, BookInvalid | VenueFault)
            if isinstance(event, BookSnapshot):
                books[event.symbol].load(event.update_id, event.bids, event.asks)
            elif isinstance(event, BookDelta):
                books[event.symbol].apply(event.update_id, event.bids, event.asks)
                deltas[event.symbol] += 1
            elif isinstance(event, BestQuote):
                quotes.append(event)
            if isinstance(event, BookSnapshot | BookDelta):
                book = books[event.symbol]
                tops[event.symbol, book.update_id] = (book.bid, book.bid_quantity, book.ask, book.ask_quantity)

    for native, want in expected.items():
        symbol = native.replace("-", "/")
        book, sync = books[symbol], talk.codec.market.books[native]
        assert book.sha256() == want["sha256"]
        assert book.update_id == want["final_sequence"]
        assert [len(list(book.bids())), len(list(book.asks()))] == want["levels"]
        assert deltas[symbol] == want["counts"]["applied"]
        assert sync.ignored == want["counts"]["stale"]
        assert sync.gaps == 0
    checked = [q for q in quotes if (q.symbol, q.update_id) in tops]
    assert len(checked) >= 670
    assert all(tops[q.symbol, q.update_id] == (q.bid, q.bid_quantity, q.ask, q.ask_quantity) for q in checked)


# ---- synchronising --------------------------------------------------------------------------------------------------


def connected(credentials: Any = KEYS, **settings: Any) -> Talk:
    talk = Talk(credentials=credentials, settings=KucoinSettings(**settings))
    talk.boot((XRP, BTC))
    talk.connect("market")
    return talk


def snapshot(sequence: int, bids: list[list[str]], asks: list[list[str]]) -> dict[str, Any]:
    return {"time": 1742000000123, "sequence": str(sequence), "bids": bids, "asks": asks}


def test_a_snapshot_is_asked_for_after_the_first_message_and_signed() -> None:
    talk = connected()
    assert FULL not in [r.label for r in talk.requests]
    assert talk.frame("market", level2(11, 11, [["0.52", "5", "11"]], [])) == []
    request = talk.find(FULL)
    assert request.url == "https://api.kucoin.com/api/v3/market/orderbook/level2?symbol=XRP-USDT"
    assert request.headers["KC-API-KEY"] == KEYS.key


def test_messages_wait_for_the_snapshot_and_follow_it() -> None:
    """Behind the snapshot: stale. Across it: rows up to its sequence are skipped. Price 0: only the sequence moves."""
    talk = connected()
    talk.frame("market", level2(9, 10, [["0.52", "5", "9"], ["0.53", "6", "10"]], []))
    talk.frame("market", level2(11, 14, [["0.52", "1", "11"], ["0.54", "2", "13"]], [["0.50", "3", "14"]]))
    talk.frame("market", level2(15, 15, [["0", "0", "15"]], []))
    events = talk.answer(FULL, snapshot(12, [["0.49", "7"]], [["0.52", "8"]]))
    assert [type(e) for e in events] == [BookSnapshot, BookDelta, BookDelta]
    book, across, nothing = events
    assert isinstance(book, BookSnapshot)
    assert (book.update_id, book.bids, book.asks) == (12, [(0.49, 7.0)], [(0.52, 8.0)])
    assert book.venue_ts == 1742000000123 * MS
    assert isinstance(across, BookDelta)
    assert (across.update_id, across.bids, across.asks) == (14, [(0.5, 3.0)], [(0.54, 2.0)])
    assert isinstance(nothing, BookDelta)
    assert (nothing.update_id, nothing.bids, nothing.asks) == (15, [], [])


def test_a_snapshot_older_than_the_first_message_is_not_used() -> None:
    talk = connected()
    talk.frame("market", level2(11, 11, [["0.52", "5", "11"]], []))
    assert talk.answer(FULL, snapshot(9, [], [["0.52", "8"]])) == []
    talk.run(0.3)
    events = talk.answer(FULL, snapshot(10, [], [["0.52", "8"]]))
    assert [type(e) for e in events] == [BookSnapshot, BookDelta]


def test_a_gap_invalidates_at_once_and_synchronises_again() -> None:
    talk = connected()
    talk.frame("market", level2(11, 11, [["0.52", "5", "11"]], []))
    talk.answer(FULL, snapshot(11, [["0.49", "7"]], [["0.52", "8"]]))
    assert [type(e) for e in talk.frame("market", level2(12, 12, [["0.52", "4", "12"]], []))] == [BookDelta]
    (invalid,) = talk.frame("market", level2(14, 14, [["0.52", "4", "14"]], []))
    assert isinstance(invalid, BookInvalid)
    assert invalid.trust is Trust.GAP
    talk.run(0.5)
    assert FULL in [r.label for r in talk.requests]


def test_an_overlapping_message_goes_on_and_one_that_stands_still_breaks() -> None:
    talk = connected()
    talk.frame("market", level2(11, 11, [["0.52", "5", "11"]], []))
    talk.answer(FULL, snapshot(11, [["0.49", "7"]], [["0.52", "8"]]))
    assert [type(e) for e in talk.frame("market", level2(12, 13, [["0.52", "4", "13"]], []))] == [BookDelta]
    assert [type(e) for e in talk.frame("market", level2(13, 14, [["0.52", "3", "14"]], []))] == [BookDelta]
    assert [type(e) for e in talk.frame("market", level2(14, 14, [["0.52", "3", "14"]], []))] == [BookInvalid]


@pytest.mark.parametrize("body", [b"<html>", b'{"code":"500000","msg":"Internal Server Error"}'])
def test_a_failed_snapshot_is_asked_for_again(body: bytes) -> None:
    talk = connected()
    talk.frame("market", level2(11, 11, [["0.52", "5", "11"]], []))
    talk.raw(FULL, 200, body)
    talk.run(0.5)
    assert [type(e) for e in talk.answer(FULL, snapshot(11, [["0.49", "7"]], [["0.52", "8"]]))] == [BookSnapshot]


def test_an_answer_from_before_a_reconnect_is_dropped() -> None:
    talk = connected()
    talk.frame("market", level2(11, 11, [["0.52", "5", "11"]], []))
    old = talk.find(FULL)
    talk.done(talk.codec.closed("market", "eof", talk.now))
    talk.connect("market")
    talk.frame("market", level2(12, 12, [["0.52", "5", "12"]], []))
    body = json.dumps({"code": "200000", "data": snapshot(12, [], [])}).encode()
    assert talk.done(talk.codec.receive_http(old.id, 200, {}, body, talk.now)) == []
    assert [type(e) for e in talk.answer(FULL, snapshot(12, [["0.49", "7"]], [["0.52", "8"]]))] == [BookSnapshot]


def test_the_core_may_ask_for_a_new_book() -> None:
    talk = connected()
    talk.frame("market", level2(11, 11, [["0.52", "5", "11"]], []))
    talk.answer(FULL, snapshot(11, [["0.49", "7"]], [["0.52", "8"]]))
    asked = talk.command(RequestSnapshot(venue="kucoin", symbol="XRP/USDT", reason="crossed"))
    assert asked["url"].endswith("/api/v3/market/orderbook/level2?symbol=XRP-USDT")
    assert talk.frame("market", level2(12, 12, [["0.52", "4", "12"]], [])) == []
    events = talk.answer(FULL, snapshot(11, [["0.49", "7"]], [["0.52", "8"]]))
    assert [type(e) for e in events] == [BookSnapshot, BookDelta]
    assert FULL not in [r.label for r in talk.requests]


def test_a_book_that_is_not_followed_cannot_be_asked_for() -> None:
    talk = connected()
    command = RequestSnapshot(venue="kucoin", symbol="DOGE/USDT", reason="crossed")
    assert talk.codec.encode(command, talk.now) is None


# ---- without a key --------------------------------------------------------------------------------------------------


def part_book(talk: Talk) -> list[Event]:
    """Bids 0.500 .. 0.401, asks 0.510 .. 0.609: a hundred a side."""
    talk.frame("market", level2(11, 11, [["0.52", "5", "11"]], []))
    bids = [[plain_price(500 - i), "1"] for i in range(100)]
    asks = [[plain_price(510 + i), "1"] for i in range(100)]
    return talk.answer(PART, snapshot(11, bids, asks))


def plain_price(thousandths: int) -> str:
    return plain(Decimal(thousandths).scaleb(-3))


def test_without_a_key_the_unsigned_part_is_the_book_and_nothing_beyond_it_is_believed() -> None:
    talk = connected(None)
    (book,) = part_book(talk)
    assert isinstance(book, BookSnapshot)
    assert len(book.bids) == len(book.asks) == 100
    rows_in = [["0.609", "9", "12"], ["0.55", "8", "12"]]
    rows_out = [["0.61", "9", "12"]]
    (delta,) = talk.frame("market", level2(12, 12, rows_in + rows_out, [["0.4", "7", "12"], ["0.401", "6", "12"]]))
    assert isinstance(delta, BookDelta)
    assert delta.asks == [(0.609, 9.0), (0.55, 8.0)]
    assert delta.bids == [(0.401, 6.0)]


def test_a_side_that_was_not_cut_is_believed_to_the_end() -> None:
    talk = connected(None)
    talk.frame("market", level2(11, 11, [["0.52", "5", "11"]], []))
    talk.answer(PART, snapshot(11, [["0.5", "1"]], [["0.51", "1"]]))
    (delta,) = talk.frame("market", level2(12, 12, [["9.9", "9", "12"]], [["0.0001", "7", "12"]]))
    assert isinstance(delta, BookDelta)
    assert (delta.asks, delta.bids) == ([(9.9, 9.0)], [(0.0001, 7.0)])


@pytest.mark.parametrize(("bid", "resync"), [("0.43", False), ("0.42", True)])
def test_a_part_book_that_is_nearly_eaten_is_fetched_anew(bid: str, resync: bool) -> None:
    """Three quarters of 0.500 .. 0.401 lie above 0.42575."""
    talk = connected(None)
    part_book(talk)
    top = {"asks": ["0.51", "1"], "bids": [bid, "1"], "timestamp": 1742000000500}
    frame = {"topic": "/spotMarket/level1:XRP-USDT", "type": "message", "subject": "level1", "data": top}
    events = talk.frame("market", frame)
    assert [type(e) for e in events] == ([BestQuote, BookInvalid] if resync else [BestQuote])
    talk.tick()
    assert (PART in [r.label for r in talk.requests]) is resync


# ---- quotes and trades ----------------------------------------------------------------------------------------------


def test_level1_has_a_stamp_and_no_sequence() -> None:
    talk = connected()
    data = {"asks": ["0.51", "120"], "bids": ["0.509", "80"], "timestamp": 1742000000123}
    frame = {"topic": "/spotMarket/level1:XRP-USDT", "type": "message", "subject": "level1", "data": data}
    assert talk.frame("market", frame) == [
        BestQuote(
            ts=talk.now,
            venue="kucoin",
            symbol="XRP/USDT",
            venue_ts=1742000000123 * MS,
            update_id=0,
            bid=0.509,
            bid_quantity=80.0,
            ask=0.51,
            ask_quantity=120.0,
        )
    ]


def test_level1_of_a_one_sided_market() -> None:
    talk = connected()
    data = {"asks": [], "bids": ["0.509", "80"], "timestamp": 1742000000123}
    frame = {"topic": "/spotMarket/level1:XRP-USDT", "type": "message", "subject": "level1", "data": data}
    (quote,) = talk.frame("market", frame)
    assert isinstance(quote, BestQuote)
    assert (quote.ask, quote.ask_quantity, quote.bid) == (0.0, 0.0, 0.509)


def test_a_ticker_carries_the_books_sequence() -> None:
    talk = connected()
    data = {"sequence": "42", "price": "0.51", "size": "3", "bestAsk": "0.51", "bestAskSize": "120"}
    data |= {"bestBid": "0.509", "bestBidSize": "80"}
    frame = {"topic": "/market/ticker:XRP-USDT", "type": "message", "subject": "trade.ticker", "data": data}
    (quote,) = talk.frame("market", frame)
    assert isinstance(quote, BestQuote)
    assert (quote.update_id, quote.bid, quote.ask_quantity, quote.venue_ts) == (42, 0.509, 120.0, 0)


def test_a_public_trade() -> None:
    talk = connected(trades=True)
    data = {"makerOrderId": "1", "takerOrderId": "2", "price": "0.51", "size": "3", "side": "buy", "sequence": "77"}
    data |= {"symbol": "XRP-USDT", "time": "1742000000123456789", "tradeId": "77", "type": "match"}
    frame = {"topic": "/market/match:XRP-USDT", "type": "message", "subject": "trade.l3match", "data": data}
    (trade,) = talk.frame("market", frame)
    assert isinstance(trade, Trade)
    assert (trade.price, trade.quantity, trade.taker, trade.trade_id) == (0.51, 3.0, Side.BUY, "77")
    assert trade.venue_ts == 1742000000123456789


def test_frames_of_symbols_and_topics_that_nobody_reads_are_ignored() -> None:
    talk = connected()
    assert talk.frame("market", level2(1, 1, [], [], symbol="DOGE-USDT")) == []
    candle = {"symbol": "XRP-USDT", "candles": ["1", "1", "1", "1", "1", "1", "1"], "time": 1}
    topic = "/market/candles:XRP-USDT_1min"
    assert (
        talk.frame("market", {"topic": topic, "type": "message", "subject": "trade.candles.add", "data": candle}) == []
    )


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        ({"T": "obu.SPOT", "P": "1742000000123", "d": {"s": "XRP-USDT"}}, "Pro dialect"),
        (
            {
                "topic": "/contractMarket/level2:XRPUSDTM",
                "type": "message",
                "subject": "level2",
                "data": {"sequence": 1},
            },
            "futures dialect",
        ),
    ],
)
def test_other_dialects_are_refused_by_name(frame: dict[str, Any], name: str) -> None:
    talk = connected()
    with pytest.raises(WireError, match=name):
        talk.frame("market", frame)


def test_a_push_of_ours_with_broken_data_is_malformed() -> None:
    talk = connected()
    frame = level2(11, 11, [], [])
    del frame["data"]["sequenceEnd"]
    with pytest.raises(WireError):
        talk.frame("market", frame)
