"""Recorded feeds played into exchanges. Expected books: recordings/expected.json and the tickers in the recordings."""

from __future__ import annotations

import gzip
import hashlib
import json
from decimal import Decimal
from pathlib import Path

import pytest

from tradeserver.simulator.accounts import Account, Fees, Rates
from tradeserver.simulator.config import PlaybackConfig, RecordingConfig
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.playback import Feed, Playback
from tradeserver.simulator.recordings import RecordingError
from tradeserver.simulator.types import (
    BookChange,
    Done,
    FeeModel,
    OrderDone,
    OrderFill,
    OrderType,
    QuoteChange,
    RecordedFrame,
    Side,
    Symbol,
    TimeInForce,
)

D = Decimal
NOW = 1_800_000_000_000_000_000
SPOT, USDM = "binance_spot_btcusdt_20240808.gz", "binance_usdm_btcusdt_20240808.gz"
KUCOIN, FOUR = "kucoin_spot_5symbols_2021-04-25.jsonl.gz", "binance_spot_4symbols_2021-10-12.jsonl.gz"


def exchange(venue: str, *natives: str) -> Exchange:
    symbols = [
        Symbol(name=f"S{i}/USDT", native=native, base=f"S{i}", quote="USDT", tick=D("1e-10"), lot=D("1e-8"))
        for i, native in enumerate(natives)
    ]
    balances = {"USDT": D(10**8), **{f"S{i}": D(10**4) for i in range(len(natives))}}
    account = Account("me", (), balances, Rates(D(0), D(0)))
    return Exchange(venue, symbols, [account], Fees(FeeModel.RECEIVED, 8))


def playback(*feeds: Feed, **settings) -> Playback:
    played = Playback(PlaybackConfig(lead_ms=0, **settings), feeds)
    for feed in feeds:
        feed.exchange.subscribed(NOW)
    played.advance(NOW)
    return played


def feed(folder: Path, name: str, dialect: str, world: Exchange, **symbols: str) -> Feed:
    return Feed(RecordingConfig(file=str(folder / "recordings" / name), dialect=dialect, symbols=symbols), world)


def canonical_hash(world: Exchange, symbol: str) -> str:
    """As the data's README defines it."""
    book = world.depth(symbol, 10**6)
    sides = ["|".join(f"{plain(p)}:{plain(q)}" for p, q in side) for side in (book.bids, book.asks)]
    return hashlib.sha256("#".join(sides).encode()).hexdigest()


def plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def expected(folder: Path, name: str) -> dict:
    return json.loads((folder / "recordings" / "expected.json").read_text())[name]


def test_the_btc_recording_ends_and_agrees_with_its_own_tickers(shared_data):
    """The published book after each applied diff has the top of the last bookTicker with an id not beyond it."""
    world = exchange("binance", "BTCUSDT")
    played = playback(feed(shared_data, SPOT, "binance", world))
    ticker, checked, matched, last = None, 0, 0, world.depth("S0/USDT").sequence
    while played.next_due() < 1 << 61:
        played.advance(played.next_due())
        for event in world.take_events():
            assert isinstance(event, RecordedFrame)
            if event.channel == "btcusdt@bookTicker":
                ticker = json.loads(event.text)
            depth = world.depth("S0/USDT", 1)
            if event.channel == "btcusdt@depth@100ms" and depth.sequence > last and ticker:
                last = depth.sequence
                if ticker["u"] <= last:
                    checked += 1
                    bid, ask = (D(ticker["b"]), D(ticker["B"])), (D(ticker["a"]), D(ticker["A"]))
                    matched += (depth.bids[0], depth.asks[0]) == (bid, ask)
    wanted = expected(shared_data, SPOT)
    assert checked > 3000
    assert matched == checked
    assert (world.depth("S0/USDT").sequence, canonical_hash(world, "S0/USDT")) == (
        wanted["final"]["u"],
        wanted["final"]["sha256"],
    )
    assert played.progress()[0].finished


@pytest.mark.parametrize(("name", "venue", "key"), [(KUCOIN, "kucoin", "final_sequence"), (FOUR, "binance", "final_u")])
def test_captures_end_as_expected(shared_data, name, venue, key):
    wanted = {native: end for native, end in expected(shared_data, name).items() if "sha256" in end}
    world = exchange(venue, *wanted)
    played = playback(feed(shared_data, name, venue, world), speed=0)
    while not played.progress()[0].finished:
        played.advance(NOW)
    assert len(wanted) == {KUCOIN: 5, FOUR: 4}[name]
    for i, end in enumerate(wanted.values()):
        assert (world.depth(f"S{i}/USDT").sequence, canonical_hash(world, f"S{i}/USDT")) == (end[key], end["sha256"])


def test_frames_pass_as_recorded_but_for_their_stamps(shared_data):
    world = exchange("binance", "BTCUSDT")
    played = playback(feed(shared_data, SPOT, "binance", world))
    played.advance(NOW + 10_000_000_000)
    frames = world.take_events()
    with gzip.open(shared_data / "recordings" / SPOT) as lines:
        recorded = [line.split(b" ", 1) for line in lines][: len(frames) + 1]
    first_ns = int(recorded[0][0])
    shifts, latest = set(), -(1 << 62)
    for frame, (t, text) in zip(frames, (row for row in recorded if b'"stream"' in row[1]), strict=True):
        assert frame.time_ns == NOW + int(t) - first_ns
        was, now = json.loads(text)["data"], json.loads(frame.text)
        assert list(was) == list(now)
        if "E" in was:
            shifts.add(now["E"] - was["E"])
            if int(t) - first_ns <= 5_000_000_000:
                latest = max(latest, now["E"] * 1_000_000 - frame.time_ns)
        assert {k: v for k, v in was.items() if k not in "ET"} == {k: v for k, v in now.items() if k not in "ET"}
    assert len(shifts) == 1
    assert -2_000_000 < latest <= 0  # the quickest frame of the first 5 s arrives when it was stamped


def test_a_futures_feed_served_anew_chains_and_does_not_cross(shared_data):
    """`pu` makes the ranges contiguous; whoever applies them has the book; the best quotes agree with it in the end."""
    world = exchange("kucoin", "BTC-USDT")
    played = playback(feed(shared_data, USDM, "binance_usdm", world, BTCUSDT="S0/USDT"))
    start = world.depth("S0/USDT", 10**6)
    bids, asks, at = dict(start.bids), dict(start.asks), start.sequence
    quotes: list[QuoteChange] = []
    samples: list[tuple[int, Decimal, Decimal]] = []
    ranges = previous_last = 0
    for second in range(90):  # of 345
        played.advance(NOW + second * 1_000_000_000)
        for event in world.take_events():
            if isinstance(event, QuoteChange):
                quotes.append(event)
            elif isinstance(event, BookChange):
                assert not previous_last or event.first == previous_last + 1
                previous_last, ranges = event.last, ranges + 1
                if event.last > at:
                    at = event.last
                    for side, changes in ((bids, event.bids), (asks, event.asks)):
                        side.update(changes)
                        for price, quantity in changes:
                            if not quantity:
                                del side[price]
                    if ranges % 20 == 0:
                        samples.append((at, max(bids), min(asks)))
    end = world.depth("S0/USDT", 10**6)
    assert (dict(end.bids), dict(end.asks), end.sequence) == (bids, asks, at)
    assert (len(quotes), ranges) == (16_194, 1_699)  # counted in the file
    assert len(samples) > 80
    for at, bid, ask in samples:
        assert bid < ask
        last = max(
            (q for q in quotes if q.sequence <= at), key=lambda q: q.sequence
        )  # it may have come after the depth
        assert (bid, ask) == (last.bid[0], last.ask[0])


def test_two_feeds_keep_their_distance_in_time(shared_data):
    binance, kucoin = exchange("binance", "BTCUSDT"), exchange("kucoin", "BTC-USDT")
    spot = feed(shared_data, SPOT, "binance", binance)
    usdm = feed(shared_data, USDM, "binance_usdm", kucoin, BTCUSDT="S0/USDT")
    played = Playback(PlaybackConfig(lead_ms=100, wait_ms=5000), [spot, usdm])
    played.advance(NOW)
    binance.subscribed(NOW)
    played.advance(NOW + 4_999_000_000)
    assert binance.take_events() == []  # KuCoin's client is awaited
    kucoin.subscribed(NOW + 4_999_000_000)
    played.advance(NOW + 5_098_000_000)
    assert binance.take_events() == []  # and has 100 ms for its other subscriptions
    begin = NOW + 5_099_000_000
    played.advance(begin)
    assert len(binance.take_events()) == 1
    # the futures' first frame was recorded 1,093,229,...: 1723161255030314667 - 1723161253937085768 ns later
    played.advance(begin + 1_093_228_898)
    assert kucoin.take_events() == []
    played.advance(begin + 1_093_228_899)
    assert len(kucoin.take_events()) == 1


RAW = """\
1000000000000000000 {{"stream":"xusdt@depth@100ms","data":{{"e":"depthUpdate","E":1000000000000,"s":"XUSDT","U":9,\
"u":10,"b":[],"a":[]}}}}
1000000000001000000 {{"lastUpdateId":10,"bids":[["99","5"],["98","5"]],"asks":[["101","4"],["102","3"]]}}
{}
"""
DEPTH = (
    '{{"stream":"xusdt@depth@100ms","data":{{"e":"depthUpdate","E":1,"s":"XUSDT","U":{u},"u":{u},"b":{b},"a":{a}}}}}'
)
TICKER = '{{"stream":"xusdt@bookTicker","data":{{"u":{u},"s":"XUSDT","b":"{b}","B":"{B}","a":"{a}","A":"{A}"}}}}'


class Tape:
    """A small recording written by hand: each step is one line, played one after the other."""

    def __init__(self, folder: Path, *lines: str) -> None:
        text = "\n".join(f"{10**18 + (i + 2) * 10**6} {line}" for i, line in enumerate(lines))
        (folder / "tape").write_text(RAW.format(text).strip())
        self.world = exchange("binance", "XUSDT")
        self.played = playback(Feed(RecordingConfig(file=str(folder / "tape"), dialect="binance"), self.world))
        self.now = NOW + 1_000_000
        self.step(0)

    def step(self, count: int = 1) -> None:
        self.now += count * 1_000_000
        self.played.advance(self.now)

    def buy(self, price: str, quantity: str, side: Side = Side.BUY, tif: str = "IOC"):
        return self.world.place(
            self.world.accounts["me"],
            "S0/USDT",
            side,
            OrderType.LIMIT,
            self.now,
            client_id=f"c{len(self.world.placed)}",
            time_in_force=TimeInForce(tif),
            price=D(price),
            quantity=D(quantity),
        ).order

    def fills(self, order) -> list[tuple[int, int]]:
        return [(int(fill.price), int(fill.quantity)) for fill in order.fills]


def test_what_was_taken_stays_taken_until_the_level_changes_and_is_never_published(tmp_path):
    tape = Tape(
        tmp_path,
        DEPTH.format(u=11, b="[]", a='[["103","1"]]'),  # elsewhere: nothing changes for us
        DEPTH.format(u=12, b="[]", a='[["101","4"]]'),  # mentioned, but the same quantity
        DEPTH.format(u=13, b="[]", a='[["101","5"]]'),  # another quantity
    )
    assert tape.fills(tape.buy("102", "6")) == [(101, 4), (102, 2)]
    assert tape.world.depth("S0/USDT").asks == [(101, 4), (102, 3)]
    assert tape.world.quote("S0/USDT")[1] == (101, 4)
    for _ in range(2):
        tape.step()
        assert tape.fills(tape.buy("102", "9")) in ([(102, 1)], [])
    tape.step()
    assert tape.fills(tape.buy("102", "9")) == [(101, 5)]
    assert not any(isinstance(e, BookChange | QuoteChange) for e in tape.world.take_events())


def test_a_newer_best_quote_corrects_what_can_be_taken(tmp_path):
    tape = Tape(
        tmp_path,
        TICKER.format(u=11, b="98", B="1", a="102", A="2"),  # 101 is gone, 102 is smaller
        DEPTH.format(u=12, b='[["99","0"],["98","1"]]', a='[["101","0"],["102","2"]]'),
        TICKER.format(u=13, b="98", B="1", a="100", A="7"),  # a level that the depth does not know yet
        TICKER.format(u=12, b="98", B="1", a="99", A="9"),  # late: older than the last
    )
    tape.step()
    assert tape.fills(tape.buy("105", "9")) == [(102, 2)]
    assert tape.fills(tape.buy("90", "9", Side.SELL)) == [(98, 1)]  # 99 is gone; what the quote shows of 98 is 1
    tape.step()
    assert tape.fills(tape.buy("105", "9")) == []  # the depth says what the quote said: still taken
    tape.step()
    assert tape.fills(tape.buy("105", "9")) == [(100, 7)]
    tape.step()
    assert tape.fills(tape.buy("105", "9")) == []


def test_a_resting_order_fills_when_the_recording_comes_to_its_price(tmp_path):
    tape = Tape(
        tmp_path,
        DEPTH.format(u=11, b="[]", a='[["100","2"]]'),
        DEPTH.format(u=12, b="[]", a='[["100","3"]]'),
        DEPTH.format(u=13, b="[]", a='[["99","1"],["100","3"]]'),
    )
    order = tape.buy("100", "9", tif="GTC")
    assert order.resting
    counts = []
    for _ in range(3):
        tape.step()
        counts.append(order.filled)
    # 2 taken of the 2; the level becomes 3: fresh; then 1 at 99 (at our own price), of the 100s nothing new
    assert counts == [2, 5, 6]
    assert {(fill.price, fill.maker) for fill in order.fills} == {(D(100), True)}
    tape.world.cancel(order.id, tape.now)
    kinds = [type(e) for e in tape.world.take_events() if isinstance(e, OrderFill | OrderDone)]
    assert kinds == [OrderFill, OrderFill, OrderFill, OrderDone]
    assert tape.world.accounts["me"].balance("USDT").free == D(10**8) - 600
    assert order.done is Done.CANCELED


def test_nothing_is_published_or_filled_without_a_snapshot(tmp_path):
    (tmp_path / "tape").write_text(f"{10**18} " + DEPTH.format(u=5, b='[["99","1"]]', a='[["101","1"]]'))
    world = exchange("binance", "XUSDT")
    played = playback(Feed(RecordingConfig(file=str(tmp_path / "tape"), dialect="binance"), world))
    assert played.progress()[0].finished
    depth = world.depth("S0/USDT")
    assert (depth.sequence, depth.bids, depth.asks) == (0, [], [])


def test_a_file_that_is_no_recording_is_refused_by_line(tmp_path):
    (tmp_path / "bad").write_text("hello world\n")
    for name, complaint in (("bad", r"bad:1: not a binance recording"), ("missing", r"missing: no such recording")):
        with pytest.raises(RecordingError, match=complaint):
            Feed(RecordingConfig(file=str(tmp_path / name), dialect="binance"), exchange("binance", "XUSDT"))
