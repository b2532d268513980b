"""Binance's market streams: which frames the exchange's events become, and at what pace.

Rules (web-socket-streams.md, 2026-07-21): `@depth@100ms` and `@depth` (1000 ms) carry every level that changed in the
interval, absolute, with the first and last update id that it covers, so that one event's U is the u before it plus one;
`@depth5|10|20` is the top of the book at the same pace; `@bookTicker`, `@trade` and `@aggTrade` come as they happen;
`@kline_1m` once a second while it changes. A recorded frame of this dialect goes out as it stands.

It collects for streams that somebody reads, and nothing for the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal

import msgspec

from tradeserver.simulator.binance import shapes
from tradeserver.simulator.history import Candle, History
from tradeserver.simulator.types import (
    BookChange,
    Depth,
    Event,
    PublicTrade,
    QuoteChange,
    RecordedFrame,
    Side,
    Symbol,
)
from tradeserver.wire import binance as wire

_NAME = re.compile(r"^([^@/]+)@(.+)$")
_DEPTH = re.compile(r"^depth(5|10|20)?(?:@(100ms|1000ms))?$")

Make = Callable[[int], str]
"""The payload with its times in a unit (`shapes.MILLISECOND_NS` or `MICROSECOND_NS`)."""

Published = tuple[str, Make]
"""(stream, its payload)."""

_encoder = msgspec.json.Encoder()


class _Interval:
    """One depth stream at one pace: what changed since its last event."""

    def __init__(self, stream: str, symbol: Symbol, period_ns: int, depth: int) -> None:
        self.stream = stream
        self.symbol = symbol
        self.period_ns = period_ns
        self.depth = depth  # 0: the differences
        self.due_ns = 0
        self.first = 0
        self.last = 0
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}

    def add(self, change: BookChange) -> None:
        if not self.first:
            self.first = change.first
            self.due_ns = (change.time_ns // self.period_ns + 1) * self.period_ns
        self.last = change.last
        if not self.depth:
            self.bids.update(change.bids)
            self.asks.update(change.asks)

    def clear(self) -> None:
        self.first = 0
        self.bids.clear()
        self.asks.clear()


class Publisher:
    """Turns events into payloads for the streams that are read."""

    def __init__(self, symbols: list[Symbol], depth: Callable[[str, int], Depth], history: History) -> None:
        self._by_stream_name = {symbol.native.lower(): symbol for symbol in symbols}
        self._names = {symbol.name: symbol for symbol in symbols}
        self._depth = depth
        self._history = history
        self._read: dict[str, int] = {}
        self._intervals: dict[str, dict[str, _Interval]] = {}
        self._klines_due_ns = 0

    def read(self, stream: str) -> None:
        """One more connection reads `stream`."""
        self._read[stream] = self._read.get(stream, 0) + 1
        interval = self._interval(stream)
        if interval is not None:
            self._intervals.setdefault(interval.symbol.name, {}).setdefault(stream, interval)

    def unread(self, stream: str) -> None:
        self._read[stream] -= 1
        if self._read[stream]:
            return
        del self._read[stream]
        for intervals in self._intervals.values():
            intervals.pop(stream, None)

    def _interval(self, stream: str) -> _Interval | None:
        match = _NAME.match(stream)
        depth = _DEPTH.match(match[2]) if match else None
        symbol = self._by_stream_name.get(match[1]) if match else None
        if depth is None or symbol is None:
            return None
        period_ns = 100_000_000 if depth[2] == "100ms" else 1_000_000_000
        return _Interval(stream, symbol, period_ns, int(depth[1] or 0))

    def on_event(self, event: Event) -> Iterator[Published]:
        """The frames that an event makes at once."""
        match event:
            case BookChange():
                for interval in self._intervals.get(event.symbol, {}).values():
                    interval.add(event)
            case QuoteChange():
                yield from self._quote(event)
            case PublicTrade():
                yield from self._trade(event)
            case RecordedFrame():
                if event.channel in self._read:
                    yield event.channel, lambda unit: event.text
            case _:
                pass

    def due(self, now_ns: int) -> Iterator[Published]:
        """The frames whose interval has passed."""
        for intervals in self._intervals.values():
            for interval in intervals.values():
                if interval.first and now_ns >= interval.due_ns:
                    yield interval.stream, self._depth_event(interval, now_ns)
                    interval.clear()
        if now_ns >= self._klines_due_ns:
            self._klines_due_ns = (now_ns // 1_000_000_000 + 1) * 1_000_000_000
            for candle in self._history.changed():
                stream = f"{self._names[candle.symbol].native.lower()}@kline_1m"
                if stream in self._read:
                    yield stream, self._kline(candle, now_ns)

    def _depth_event(self, interval: _Interval, now_ns: int) -> Make:
        """{"e":"depthUpdate","E":1672515782136,"s":"XRPUSDT","U":157,"u":160,"b":[["0.5","10"]],"a":[]}"""
        if interval.depth:
            book = self._depth(interval.symbol.name, interval.depth)
            snapshot: wire.DepthSnapshot[str] = wire.DepthSnapshot(
                last_update_id=book.sequence, bids=shapes.levels(book.bids), asks=shapes.levels(book.asks)
            )
            return _payload(lambda unit: snapshot)
        update: wire.DepthUpdate[str] = wire.DepthUpdate(
            event_time=0,
            symbol=interval.symbol.native,
            first_id=interval.first,
            last_id=interval.last,
            bids=shapes.levels(sorted(interval.bids.items(), reverse=True)),
            asks=shapes.levels(sorted(interval.asks.items())),
        )
        return _payload(lambda unit: msgspec.structs.replace(update, event_time=now_ns // unit))

    def _quote(self, event: QuoteChange) -> Iterator[Published]:
        """{"u":400900217,"s":"XRPUSDT","b":"0.50000000","B":"31.20000000","a":"0.50010000","A":"40.60000000"}"""
        native = self._names[event.symbol].native
        stream = f"{native.lower()}@bookTicker"
        if stream not in self._read:
            return
        ticker: wire.BookTicker[str] = wire.BookTicker(
            update_id=event.sequence,
            symbol=native,
            bid=shapes.number(event.bid[0]),
            bid_quantity=shapes.number(event.bid[1]),
            ask=shapes.number(event.ask[0]),
            ask_quantity=shapes.number(event.ask[1]),
        )
        yield stream, _payload(lambda unit: ticker)

    def _trade(self, event: PublicTrade) -> Iterator[Published]:
        native = self._names[event.symbol].native
        for kind, make in (("trade", _trade_event), ("aggTrade", _aggregate)):
            stream = f"{native.lower()}@{kind}"
            if stream in self._read:
                yield stream, _payload(lambda unit, make=make: make(event, native, unit))  # type: ignore[misc]

    def _kline(self, candle: Candle, now_ns: int) -> Make:
        """{"e":"kline","E":1672515782136,"s":"XRPUSDT","k":{"t":1672515780000,"T":1672515839999,"i":"1m",...}}"""
        native = self._names[candle.symbol].native
        end_ns = candle.start_ns + candle.period_ns
        return _payload(
            lambda unit: wire.KlineEvent(
                event_time=now_ns // unit,
                symbol=native,
                kline=wire.Kline(
                    open_time=candle.start_ns // unit,
                    close_time=end_ns // unit - 1,
                    symbol=native,
                    interval="1m",
                    first_trade_id=candle.first_id,
                    last_trade_id=candle.last_id,
                    open=shapes.number(candle.open),
                    close=shapes.number(candle.close),
                    high=shapes.number(candle.high),
                    low=shapes.number(candle.low),
                    volume=shapes.number(candle.volume),
                    trades=candle.trades,
                    closed=now_ns >= end_ns,
                    quote_volume=shapes.number(candle.quote_volume),
                    taker_buy_base=shapes.number(candle.taker_base),
                    taker_buy_quote=shapes.number(candle.taker_quote),
                    unused="0",
                ),
            )
        )


def _trade_event(event: PublicTrade, native: str, unit: int) -> wire.TradeEvent[str]:
    """{"e":"trade","E":1672515782136,"s":"XRPUSDT","t":12345,"p":"0.5","q":"100","T":1672515782136,"m":true,"M":true}"""
    return wire.TradeEvent(
        event_time=event.time_ns // unit,
        symbol=native,
        trade_id=event.trade_id,
        price=shapes.number(event.price),
        quantity=shapes.number(event.quantity),
        trade_time=event.time_ns // unit,
        buyer_is_maker=event.taker is Side.SELL,
        best_match=True,
    )


def _aggregate(event: PublicTrade, native: str, unit: int) -> wire.AggTrade[str]:
    """{"e":"aggTrade","E":1,"s":"XRPUSDT","a":12345,"p":"0.5","q":"100","f":12345,"l":12345,"T":1,"m":true,"M":true}

    Every trade is an aggregate of its own here.
    """
    return wire.AggTrade(
        event="aggTrade",
        event_time=event.time_ns // unit,
        symbol=native,
        agg_trade_id=event.trade_id,
        price=shapes.number(event.price),
        quantity=shapes.number(event.quantity),
        first_trade_id=event.trade_id,
        last_trade_id=event.trade_id,
        trade_time=event.time_ns // unit,
        buyer_is_maker=event.taker is Side.SELL,
        best_match=True,
    )


def _payload(make: Callable[[int], msgspec.Struct]) -> Make:
    return lambda unit: _encoder.encode(make(unit)).decode()
