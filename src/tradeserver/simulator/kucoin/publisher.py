"""KuCoin's public topics: which messages the exchange's events become, and at what pace.

Rules (classic spot push pages, 2025-11): `/market/level2` and `/market/match` come at once; `/spotMarket/level1` at
most every 10 ms, `/market/ticker` and the partial books at most every 100 ms, each only after a change; candles with
every trade. Every message names the topic of one symbol, however it was subscribed. A level2 message whose sequence
moved without any level carries a row of price "0". A recorded frame of this dialect goes out as it stands. The quotes
of a recording of another dialect become level1 messages one by one, without the pace: what was recorded is shown.

It makes messages for topics that somebody reads, and nothing for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.history import History
from tradeserver.simulator.kucoin import shapes
from tradeserver.simulator.kucoin.public import PERIODS_NS, Public
from tradeserver.simulator.types import BookChange, BookLevel, Event, PublicTrade, QuoteChange, RecordedFrame, Symbol
from tradeserver.wire import kucoin as wire

Published = tuple[str, str]
"""(topic of one symbol, frame)."""

PREFIXES = (
    "/market/level2",
    "/market/ticker",
    "/market/match",
    "/market/candles",
    "/spotMarket/level1",
    "/spotMarket/level2Depth5",
    "/spotMarket/level2Depth50",
)
ALL_TICKERS = "/market/ticker:all"
NO_CHANGE = ("0", "0")

_MS = 1_000_000
_encoder = msgspec.json.Encoder()


class _Paced:
    """A topic that shows the latest state, at most once in `period_ns`."""

    def __init__(self, topic: str, period_ns: int, make: Callable[[int], str]) -> None:
        self.topic = topic
        self.period_ns = period_ns
        self.make = make
        self.changed = False
        self.next_ns = 0


class Publisher:
    """Turns events into frames for the topics that are read."""

    def __init__(self, exchange: Exchange, history: History, public: Public) -> None:
        self._exchange = exchange
        self._history = history
        self._public = public
        self._read: dict[str, int] = {}
        self._paced: dict[str, dict[str, _Paced]] = {}
        self._candle_starts: dict[str, int] = {}

    def exists(self, topic: str) -> bool:
        """Whether there is such a topic of one symbol: "/market/level2:XRP-USDT", "/market/candles:XRP-USDT_1min"."""
        prefix, _, native = topic.partition(":")
        if topic == ALL_TICKERS:
            return True
        if prefix == "/market/candles":
            native, _, period = native.partition("_")
            if period not in PERIODS_NS:
                return False
        return prefix in PREFIXES and native in self._exchange.by_native

    def read(self, topic: str) -> None:
        """One more connection reads `topic`."""
        self._read[topic] = self._read.get(topic, 0) + 1
        for name, paced in self._pacers(topic):
            self._paced.setdefault(name, {}).setdefault(paced.topic + name, paced)

    def unread(self, topic: str) -> None:
        """One fewer."""
        self._read[topic] -= 1
        if self._read[topic]:
            return
        del self._read[topic]
        for paced in self._paced.values():
            for key in [key for key, one in paced.items() if one.topic == topic]:
                del paced[key]

    def _pacers(self, topic: str) -> list[tuple[str, _Paced]]:
        """(our symbol, topic at a pace)."""
        if topic == ALL_TICKERS:
            symbols = list(self._exchange.symbols.values())
            return [(s.name, _Paced(topic, 100 * _MS, self._ticker(topic, s.native, s))) for s in symbols]
        prefix, _, native = topic.partition(":")
        symbol = self._exchange.by_native.get(native)
        if symbol is None:
            return []
        match prefix:
            case "/market/ticker":
                return [(symbol.name, _Paced(topic, 100 * _MS, self._ticker(topic, "trade.ticker", symbol)))]
            case "/spotMarket/level1":
                if self._exchange.books[symbol.name].published_elsewhere:
                    return []  # each recorded quote goes out by itself
                return [(symbol.name, _Paced(topic, 10 * _MS, self._level1(topic, symbol)))]
            case "/spotMarket/level2Depth5":
                return [(symbol.name, _Paced(topic, 100 * _MS, self._depth(topic, symbol, 5)))]
            case "/spotMarket/level2Depth50":
                return [(symbol.name, _Paced(topic, 100 * _MS, self._depth(topic, symbol, 50)))]
            case _:
                return []

    # ---- what happened ----------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> Iterator[Published]:
        """The frames that an event makes at once."""
        match event:
            case BookChange():
                self._mark(event.symbol, "/spotMarket/level2Depth")
                yield from self._level2(event)
            case QuoteChange():
                self._mark(event.symbol, "/spotMarket/level1")
                self._mark(event.symbol, "/market/ticker")
                yield from self._recorded_quote(event)
            case PublicTrade():
                self._mark(event.symbol, "/market/ticker")
                yield from self._trade(event)
            case RecordedFrame():
                if event.channel in self._read:
                    yield event.channel, event.text
            case _:
                pass

    def _mark(self, symbol: str, prefix: str) -> None:
        for paced in self._paced.get(symbol, {}).values():
            if paced.topic.startswith(prefix):
                paced.changed = True

    def due(self, now_ns: int) -> Iterator[Published]:
        """The paced topics whose time has come."""
        for symbol in self._paced.values():
            for paced in symbol.values():
                if paced.changed and now_ns >= paced.next_ns:
                    paced.changed = False
                    paced.next_ns = now_ns + paced.period_ns
                    yield paced.topic, paced.make(now_ns)

    # ---- frames -----------------------------------------------------------------------------------------------------

    def _level2(self, event: BookChange) -> Iterator[Published]:
        """{"topic":"/market/level2:XRP-USDT","type":"message","subject":"trade.l2update","data":{"changes":{"asks":
        [["0.5001","7","14701689783"]],"bids":[]},"sequenceStart":14701689783,"sequenceEnd":14701689783,...}}
        """
        native = self._exchange.symbols[event.symbol].native
        topic = f"/market/level2:{native}"
        if topic not in self._read:
            return
        bids = _numbered(event.bids, event.first, event.last)
        asks = _numbered(event.asks, event.first + len(bids), event.last)
        if not bids and not asks:
            asks = [(*NO_CHANGE, str(event.last))]
        yield (
            topic,
            _message(
                topic,
                "trade.l2update",
                wire.Level2Update(
                    changes=wire.Changes(asks=asks, bids=bids),
                    sequence_start=event.first,
                    sequence_end=event.last,
                    symbol=native,
                    time=event.time_ns // _MS,
                ),
            ),
        )

    def _trade(self, event: PublicTrade) -> Iterator[Published]:
        native = self._exchange.symbols[event.symbol].native
        topic = f"/market/match:{native}"
        if topic in self._read:
            yield topic, _message(topic, "trade.l3match", shapes.match(event, native))
        for period, period_ns in PERIODS_NS.items():
            topic = f"/market/candles:{native}_{period}"
            if topic in self._read:
                yield topic, self._candle(topic, native, event, period_ns)

    def _candle(self, topic: str, native: str, event: PublicTrade, period_ns: int) -> str:
        """Subject `trade.candles.add` with the first trade of a period, then `.update`."""
        start_ns = event.time_ns // period_ns * period_ns
        row = self._history.candles(event.symbol, period_ns, start_ns, start_ns)[0]
        new = self._candle_starts.get(topic) not in (None, start_ns)
        self._candle_starts[topic] = start_ns
        data = wire.CandleUpdate(symbol=native, candles=shapes.candle(row), time=event.time_ns)
        return _message(topic, "trade.candles.add" if new else "trade.candles.update", data)

    def _recorded_quote(self, event: QuoteChange) -> Iterator[Published]:
        topic = f"/spotMarket/level1:{self._exchange.symbols[event.symbol].native}"
        if topic in self._read and self._exchange.books[event.symbol].published_elsewhere:
            yield topic, _level1(topic, event.bid, event.ask, event.time_ns)

    def _level1(self, topic: str, symbol: Symbol) -> Callable[[int], str]:
        return lambda now_ns: _level1(topic, *self._exchange.quote(symbol.name), now_ns)

    def _ticker(self, topic: str, subject: str, symbol: Symbol) -> Callable[[int], str]:
        def make(now_ns: int) -> str:
            data = self._public.ticker_of(symbol, self._exchange.quote(symbol.name), now_ns)
            return _message(topic, subject, data)

        return make

    def _depth(self, topic: str, symbol: Symbol, levels: int) -> Callable[[int], str]:
        def make(now_ns: int) -> str:
            book = self._exchange.depth(symbol.name, levels)
            data = wire.Depth(asks=shapes.rows(book.asks), bids=shapes.rows(book.bids), timestamp=now_ns // _MS)
            return _message(topic, "level2", data)

        return make


def _level1(topic: str, bid: BookLevel, ask: BookLevel, now_ns: int) -> str:
    """{"asks":["68145.8","0.51987471"],"bids":["68145.7","1.29267802"],"timestamp":1729816058766}"""
    return _message(topic, "level1", wire.Level1(asks=_pair(ask), bids=_pair(bid), timestamp=now_ns // _MS))


def _pair(level: BookLevel) -> list[str]:
    return [shapes.plain(level[0]), shapes.plain(level[1])]


def _numbered(levels: tuple[BookLevel, ...], first: int, last: int) -> list[tuple[str, str, str]]:
    """Rows with a sequence of their own inside the message's range (which clients must not use for continuity)."""
    return [
        (shapes.plain(price), shapes.plain(quantity), str(min(first + index, last)))
        for index, (price, quantity) in enumerate(levels)
    ]


def _message(topic: str, subject: str, data: msgspec.Struct) -> str:
    return _encoder.encode(wire.Message(topic=topic, subject=subject, data=data)).decode()
