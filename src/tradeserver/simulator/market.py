"""Synthetic flow: participants who keep books and trade on every venue, around prices that drift apart and come
together.

For each symbol one common mid walks at random. Each venue's fair price is that mid plus the venue's basis: a small
mean-reverting wander, and now and then a shock of some 5 to 60 bps that dies away within tenths of a second to
seconds, as when one venue learns of a move before the other. Makers keep a ladder of orders around the venue's fair
price, renew what is taken from it after a short while and change their minds about sizes; takers hit the touch;
anyone who rests an order at a price worse than fair for himself is taken.

Deterministic from the seed and simulated time: time is cut into steps, each book and each symbol has its own dice, and
only clients' orders make a difference. If nobody calls for longer than `_MOST_BEHIND` steps, the time in between is
skipped. Floats are fine here: these are opinions about prices; orders are made of whole ticks and lots.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from tradeserver.simulator.config import MarketConfig, SymbolFlow
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.matching import Resting
from tradeserver.simulator.types import Side, Symbol

_MOST_BEHIND: Final = 250
_SPACING_BPS: Final = 0.5  # between levels of a ladder
_RENEWAL_MS: Final = 60.0  # mean time until a taken touch is quoted again
_SIZE_CHANGES_PER_S: Final = 12.0  # per book


class Market:
    """The flow of all symbols at all venues that have no recording."""

    def __init__(self, config: MarketConfig, exchanges: Iterable[Exchange], seed: int) -> None:
        self._step_ns = config.step_ms * 1_000_000
        self._next_ns = 0
        exchanges = list(exchanges)
        self._symbols = [
            _SymbolMarket(name, flow, config, exchanges, seed)
            for name, flow in config.symbols.items()
            if any(name in exchange.symbols for exchange in exchanges)
        ]

    def next_due(self) -> int:
        """When `advance` has something to do; 0: at once."""
        return self._next_ns

    def advance(self, now_ns: int) -> None:
        """All steps that are due."""
        if not self._next_ns or now_ns - self._next_ns > _MOST_BEHIND * self._step_ns:
            self._next_ns = now_ns
        while self._next_ns <= now_ns:
            for symbol in self._symbols:
                symbol.step(self._next_ns)
            self._next_ns += self._step_ns


class _SymbolMarket:
    """One symbol: the common mid and its books."""

    def __init__(self, name: str, flow: SymbolFlow, config: MarketConfig, exchanges: list[Exchange], seed: int) -> None:
        self._rng = random.Random(f"{seed} {name}")
        self._start = self._mid = flow.mid
        self._move = flow.volatility_bps / 10_000 * math.sqrt(config.step_ms / 1000)
        self._books = [
            _Maker(exchange, exchange.symbols[name], flow, config, random.Random(f"{seed} {name} {exchange.venue}"))
            for exchange in exchanges
            if name in exchange.symbols and not exchange.books[name].published_elsewhere
        ]

    def step(self, now_ns: int) -> None:
        home = 1e-5 * math.log(self._start / self._mid)  # or the walk would leave the world within days
        self._mid *= math.exp(self._rng.gauss(home, self._move))
        for book in self._books:
            book.step(self._mid, now_ns)


class _Basis:
    """How far a venue's fair price is from the common mid, as a fraction: a slow wander plus shocks that die away."""

    def __init__(self, config: MarketConfig, rng: random.Random) -> None:
        self._rng = rng
        step_s = config.step_ms / 1000
        self._keep = 0.5 ** (step_s / config.basis_half_life_s)
        self._noise = config.basis_bps / 3 / 10_000 * math.sqrt(1 - self._keep**2)
        self._shock_odds = config.shocks_per_minute / 60 * step_s
        self._shock_bps = config.basis_bps
        self._step_s = step_s
        self._wander = 0.0
        self._shock = 0.0
        self._decay = 1.0

    def step(self) -> float:
        rng = self._rng
        self._wander = self._wander * self._keep + rng.gauss(0.0, self._noise)
        self._shock *= self._decay
        if rng.random() < self._shock_odds:
            size = min(5.0 + rng.expovariate(1 / self._shock_bps), 60.0) / 10_000
            self._shock = rng.choice((-size, size))
            self._decay = 0.5 ** (self._step_s / math.exp(rng.uniform(math.log(0.15), math.log(2.0))))
        return self._wander + self._shock


class _Ladder:
    """The makers' orders on one side, by price in ticks. `away` is +1 where worse is higher (asks), else -1."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.away = 1 if side is Side.SELL else -1
        self.orders: dict[int, Resting] = {}

    def best(self) -> int | None:
        return (min(self.orders) if self.away > 0 else max(self.orders)) if self.orders else None

    def worst(self) -> int:
        return max(self.orders) if self.away > 0 else min(self.orders)


class _Maker:
    """All participants of one book."""

    def __init__(
        self, exchange: Exchange, symbol: Symbol, flow: SymbolFlow, config: MarketConfig, rng: random.Random
    ) -> None:
        self._exchange, self._symbol, self._flow, self._rng = exchange, symbol, flow, rng
        self._basis = _Basis(config, rng)
        self._ladders = (_Ladder(Side.BUY), _Ladder(Side.SELL))
        self._tick = float(symbol.tick)
        self._spacing = max(1, round(flow.mid * _SPACING_BPS / 10_000 / self._tick))
        self._half_spread = flow.spread_bps / 20_000
        self._lot = _coarse_lot(symbol.lot, flow.quantity)
        self._lots = flow.quantity / float(self._lot)
        step_s = config.step_ms / 1000
        self._renewal_odds = min(1.0, config.step_ms / _RENEWAL_MS)
        self._taker_odds = config.takers_per_s * step_s
        self._size_odds = _SIZE_CHANGES_PER_S * step_s

    def step(self, mid: float, now_ns: int) -> None:
        now_ns += self._exchange.offset_ns  # what happens bears the venue's own time
        fair = mid * (1 + self._basis.step())
        spread = self._half_spread * fair
        touch = (math.floor((fair - spread) / self._tick), math.ceil((fair + spread) / self._tick))
        for ladder, best in zip(self._ladders, touch, strict=True):
            self._withdraw(ladder, best)
        for ladder, best in zip(self._ladders, touch, strict=True):
            self._take_bargains(ladder, best, now_ns)
            self._quote(ladder, best)
        if self._rng.random() < self._size_odds:
            self._change_size(self._rng.choice(self._ladders))
        if self._rng.random() < self._taker_odds:
            self._hit(self._rng.choice(self._ladders), touch, now_ns)
        self._exchange.flush(self._symbol.name, now_ns)

    def _withdraw(self, ladder: _Ladder, best: int) -> None:
        """Forget what was filled; cancel what is better than fair, and what is too far away."""
        orders = ladder.orders
        for ticks in [t for t, r in orders.items() if not r.remaining or (best - t) * ladder.away > 0]:
            self._drop(ladder, ticks)
        while len(orders) > self._flow.levels + 5:
            self._drop(ladder, ladder.worst())

    def _take_bargains(self, ladder: _Ladder, best: int, now_ns: int) -> None:
        """A client's order at or through the price that this ladder is about to quote is taken."""
        there = self._exchange.quote(self._symbol.name)[0 if ladder.side is Side.SELL else 1]
        if there[1] and (round(there[0] / self._symbol.tick) - best) * ladder.away >= 0:
            self._exchange.take(self._symbol.name, ladder.side, there[1], self._price(best), now_ns)

    def _quote(self, ladder: _Ladder, best: int) -> None:
        """Close the gap at the touch (after a while), and keep the ladder long enough."""
        now_best = ladder.best()
        if now_best is None:
            self._add(ladder, best)
        elif (now_best - best) * ladder.away >= self._spacing and self._rng.random() < self._renewal_odds:
            gap = min((now_best - best) * ladder.away // self._spacing, self._flow.levels)
            for step in range(gap):
                self._add(ladder, best + step * self._spacing * ladder.away)
        while len(ladder.orders) < self._flow.levels:
            self._add(ladder, ladder.worst() + self._spacing * ladder.away)

    def _change_size(self, ladder: _Ladder) -> None:
        ticks = self._rng.choice(list(ladder.orders))
        self._drop(ladder, ticks)
        self._add(ladder, ticks)

    def _hit(self, ladder: _Ladder, touch: tuple[int, int], now_ns: int) -> None:
        """A taker buys or sells on the other side of `ladder`, a few levels deep at most."""
        best = touch[1] if ladder.side is Side.BUY else touch[0]
        cap = best + 3 * self._spacing * -ladder.away
        size = self._lot * max(1, round(self._lots * self._rng.expovariate(2.0)))
        self._exchange.take(self._symbol.name, ladder.side, size, self._price(cap), now_ns)

    def _add(self, ladder: _Ladder, ticks: int) -> None:
        if ticks <= 0 or ticks in ladder.orders:
            return
        size = self._lot * max(1, round(self._lots * self._rng.lognormvariate(0.0, 0.6)))
        ladder.orders[ticks] = self._exchange.add_participant(self._symbol.name, ladder.side, self._price(ticks), size)

    def _drop(self, ladder: _Ladder, ticks: int) -> None:
        resting = ladder.orders.pop(ticks)
        if resting.remaining:
            self._exchange.books[self._symbol.name].remove(resting)

    def _price(self, ticks: int) -> Decimal:
        return self._symbol.tick * ticks


def _coarse_lot(lot: Decimal, quantity: float) -> Decimal:
    """The lot, or a power of ten times it, so that a typical size has about four digits."""
    return lot * Decimal(10) ** max(0, math.floor(math.log10(quantity / float(lot) / 1000)))
