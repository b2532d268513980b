"""What a venue remembers of its public trades: the last ones, and one-minute candles, from which longer ones are made.

A front feeds it with the exchange's `PublicTrade` events. A market that is played from recorded frames has none, so its
history is empty. It keeps `MOST_TRADES` trades and `MOST_CANDLES` minutes a symbol.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from tradeserver.simulator.types import ZERO, PublicTrade, Side

MINUTE_NS = 60_000_000_000
MOST_TRADES = 1_000
MOST_CANDLES = 1_500


class Candle(msgspec.Struct):
    """Trades of one period; quantities in base (`volume`, `taker_base`) and quote, `taker_*` bought by takers."""

    symbol: str
    period_ns: int
    start_ns: int
    first_id: int
    last_id: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    taker_base: Decimal = ZERO
    taker_quote: Decimal = ZERO
    trades: int = 0

    def add(self, other: Candle) -> None:
        """Put a later candle (or a trade, which is the shortest candle) behind this one."""
        self.last_id = other.last_id
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.close = other.close
        self.volume += other.volume
        self.quote_volume += other.quote_volume
        self.taker_base += other.taker_base
        self.taker_quote += other.taker_quote
        self.trades += other.trades


class History:
    """Trades and candles by symbol."""

    def __init__(self) -> None:
        self._trades: dict[str, deque[PublicTrade]] = {}
        self._minutes: dict[str, deque[Candle]] = {}
        self._changed: dict[str, Candle] = {}

    def add(self, trade: PublicTrade) -> None:
        self._trades.setdefault(trade.symbol, deque(maxlen=MOST_TRADES)).append(trade)
        minutes = self._minutes.setdefault(trade.symbol, deque(maxlen=MOST_CANDLES))
        single = _single(trade)
        if minutes and minutes[-1].start_ns == single.start_ns:
            minutes[-1].add(single)
        else:
            minutes.append(single)
        self._changed[trade.symbol] = minutes[-1]

    def trades(self, symbol: str, limit: int) -> list[PublicTrade]:
        """The last `limit` trades, oldest first."""
        return list(self._trades.get(symbol, ()))[-limit:]

    def last(self, symbol: str) -> PublicTrade | None:
        trades = self._trades.get(symbol)
        return trades[-1] if trades else None

    def candles(self, symbol: str, period_ns: int, start_ns: int, end_ns: int) -> list[Candle]:
        """Candles that begin in [start, end], oldest first. Minutes without a trade are missing."""
        return _longer(self._minutes.get(symbol, ()), period_ns, start_ns, end_ns)

    def changed(self) -> list[Candle]:
        """The minutes that changed since the last call."""
        changed = list(self._changed.values())
        self._changed.clear()
        return changed


def _single(trade: PublicTrade) -> Candle:
    quote = trade.price * trade.quantity
    bought = trade.taker is Side.BUY
    return Candle(
        symbol=trade.symbol,
        period_ns=MINUTE_NS,
        start_ns=trade.time_ns // MINUTE_NS * MINUTE_NS,
        first_id=trade.trade_id,
        last_id=trade.trade_id,
        open=trade.price,
        high=trade.price,
        low=trade.price,
        close=trade.price,
        volume=trade.quantity,
        quote_volume=quote,
        taker_base=trade.quantity if bought else ZERO,
        taker_quote=quote if bought else ZERO,
        trades=1,
    )


def _longer(minutes: Iterable[Candle], period_ns: int, start_ns: int, end_ns: int) -> list[Candle]:
    result: list[Candle] = []
    for minute in minutes:
        begin = minute.start_ns // period_ns * period_ns
        if not start_ns <= begin <= end_ns:
            continue
        if result and result[-1].start_ns == begin:
            result[-1].add(minute)
        else:
            result.append(msgspec.structs.replace(minute, start_ns=begin, period_ns=period_ns))
    return result
