"""Mean reversion in one symbol: buy far below the rolling mean, sell back near it; or the other way from inventory.

On every sample z = (price - mean) / deviation, the price a mid or a micro-price, the deviation that of the window
(Bollinger) or an exponentially weighted one. Beyond `entry_z` against the mean a position of `notional` is opened,
within `exit_z` it is closed; a price stop and a time stop close it earlier and block the side until z has come back.
Nothing is opened unless the series reverts by Dickey and Fuller's test, and the way back to the mean pays for both
trades. See docs/strategies/mean_reversion.md. It reads books, fees and what it holds; the rest is the core's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from tradeserver.core.held import Held
from tradeserver.core.intents import HoldTargets, Sighting, Target, View
from tradeserver.core.market import SymbolMarket
from tradeserver.core.types import Key
from tradeserver.strategies.sampling import SECOND_NS, Due, Sampler, micro_price, spread_bps
from tradeserver.strategies.statistics import Ewma, Reversion, Rolling

_NOTHING: tuple[Sighting, ...] = ()
_FLAT = 0.01
"""A rest below this share of `notional` is as good as nothing: the venue would not take an order for it."""


@dataclass(frozen=True)
class MeanReversionParams:
    """Times in seconds, windows in samples, edges in basis points, notionals in quote currency."""

    symbols: tuple[str, ...] = ()
    """Which symbols; none given: all."""
    venue: str = ""
    """Where; none given: the first."""
    sample_s: Annotated[float, Gt(0)] = 10.0
    """Time between two samples."""
    window: Annotated[int, Ge(2)] = 120
    """Samples of the mean, and of the deviation."""
    price: Literal["mid", "micro"] = "mid"
    """What is sampled: the mid, or the price weighted by the sizes on both sides."""
    deviation: Literal["window", "ewma"] = "window"
    """Of the window (Bollinger), or exponentially weighted with a half-life of half the window."""
    entry_z: Annotated[float, Gt(0)] = 2.0
    """Deviations from the mean at which a position is opened."""
    exit_z: Annotated[float, Ge(0)] = 0.5
    """Deviations from the mean within which it is closed."""
    short: bool = False
    """Also sell from inventory far above the mean, to buy back near it."""
    notional: Annotated[float, Gt(0)] = 100.0
    """Size of a position when it is opened."""
    min_edge_bps: Annotated[float, Ge(0)] = 2.0
    """What the way back to the mean must leave after the spread and both fees."""
    reversion_window: Annotated[int, Ge(0)] = 240
    """Samples of the test for reversion; 0 switches it off."""
    reversion_t: Annotated[float, Le(0)] = -2.87
    """Dickey-Fuller statistic below which the series reverts: the value of 5 % at some 250 samples."""
    stop_bps: Annotated[float, Ge(0)] = 150.0
    """Loss against the entry, fees included, at which the position is closed; 0 switches it off."""
    max_hold_s: Annotated[float, Ge(0)] = 3_600.0
    """Age at which the position is closed; 0 switches it off."""
    slippage_bps: Annotated[float, Ge(0)] = 5.0
    """How far beyond the best price an order may reach."""


class _Watch:
    """One symbol: its statistics, and what is wanted of it."""

    __slots__ = ("blocked", "ewma", "goal", "reversion", "rolling", "sampler", "sighted", "z")

    def __init__(self, params: MeanReversionParams) -> None:
        self.sampler = Sampler(params.sample_s)
        self.goal: float | None = None  # net base; None: not looked yet what an earlier run left
        self.blocked = 0  # +1: no buying until z came back, -1: no selling
        self.sighted = False
        self.clear(params)

    def clear(self, params: MeanReversionParams) -> None:
        self.z = 0.0
        self.rolling = Rolling(params.window)
        self.ewma = Ewma(params.window / 2)
        self.reversion = Reversion(params.reversion_window) if params.reversion_window else None


class MeanReversion:
    """One instance serves any number of symbols at one venue."""

    name = "mean_reversion"

    def __init__(self, params: MeanReversionParams, symbols: Sequence[str], venues: Sequence[str]) -> None:
        self._params = params
        venue = params.venue or venues[0]
        if venue not in venues:
            raise ValueError(f"the venue {venue!r} is not enabled")
        if unknown := [s for s in params.symbols if s not in symbols]:
            raise ValueError(f"the symbol {unknown[0]} is not among `symbols` of the configuration")
        self._watched = {(venue, symbol): _Watch(params) for symbol in params.symbols or symbols}

    def books(self) -> Sequence[Key]:
        return list(self._watched)

    def on_market(self, view: View, changed: SymbolMarket, ts: int) -> Sequence[Sighting]:
        if changed.untradable(ts):
            return _NOTHING
        watch = self._watched[changed.key]
        held = view.held.get((self.name, *changed.key))
        reason = ""
        due = watch.sampler.due(ts)
        if due is not Due.NO:
            self._sample(watch, changed, due)
        if watch.goal is None:
            watch.goal = float(held.quantity) if held is not None else 0.0
        if watch.goal:
            if self._ended(watch, held, changed, ts, sampled=due is not Due.NO):
                watch.goal = 0.0
        elif due is not Due.NO and self._flat(held, changed.mid):
            reason = self._enter(watch, view, changed)
        return self._say(watch, view, changed, held, reason)

    def _sample(self, watch: _Watch, market: SymbolMarket, due: Due) -> None:
        params = self._params
        if due is Due.AFTER_GAP:
            watch.clear(params)
        x = market.mid if params.price == "mid" else micro_price(market)
        watch.rolling.push(x)
        watch.ewma.push(x)
        if watch.reversion is not None:
            watch.reversion.push(x)
        if params.deviation == "window":
            watch.z = watch.rolling.zscore(x)
        else:
            deviation = watch.ewma.deviation
            watch.z = (x - watch.rolling.mean) / deviation if deviation > 0.0 else 0.0
        if abs(watch.z) <= params.exit_z:
            watch.blocked = 0

    def _enter(self, watch: _Watch, view: View, market: SymbolMarket) -> str:
        """Set a goal, or say why not; "" where there is nothing to say."""
        params = self._params
        side = -1 if watch.z > 0.0 else 1
        if abs(watch.z) < params.entry_z or (side < 0 and not params.short) or not watch.rolling.full:
            return ""
        if watch.blocked == side:
            return "STOPPED_OUT"
        if self._net_bps(watch, view, market)[1] < params.min_edge_bps:
            return "FEES_UNKNOWN" if market.key not in view.taker_bps else "EDGE_TOO_SMALL"
        if watch.reversion is not None:
            if not watch.reversion.full:
                return "WARMING_UP"
            if watch.reversion.statistic >= params.reversion_t:
                return "NO_REVERSION"
        watch.goal = side * params.notional / market.mid
        return ""

    def _net_bps(self, watch: _Watch, view: View, market: SymbolMarket) -> tuple[float, float]:
        """The way back to the mean, before and after the spread and two fees."""
        gross = abs(watch.rolling.mean / market.mid - 1.0) * 1e4
        fee = view.taker_bps.get(market.key)
        return gross, -1e4 if fee is None else gross - 2.0 * fee - spread_bps(market)

    def _ended(self, watch: _Watch, held: Held | None, market: SymbolMarket, ts: int, *, sampled: bool) -> bool:
        """Whether the position has done its work, or must go; the latter blocks its side."""
        params = self._params
        assert watch.goal is not None
        side = 1 if watch.goal > 0.0 else -1
        if sampled and watch.rolling.full and side * watch.z >= -params.exit_z:
            return True
        if held is None or not held.since:
            return False
        loss_bps = side * (1.0 - market.mid / held.entry) * 1e4
        stopped = 0.0 < params.stop_bps <= loss_bps
        if stopped or 0.0 < params.max_hold_s * SECOND_NS <= ts - held.since:
            watch.blocked = side
            return True
        return False

    def _flat(self, held: Held | None, mid: float) -> bool:
        return held is None or abs(float(held.quantity)) * mid < _FLAT * self._params.notional

    def _say(
        self, watch: _Watch, view: View, market: SymbolMarket, held: Held | None, reason: str
    ) -> Sequence[Sighting]:
        venue, symbol = market.key
        goal = watch.goal or 0.0
        has = 0.0 if held is None else float(held.quantity)
        short_of = (goal - has) * market.mid
        if abs(short_of) < _FLAT * self._params.notional:
            if watch.sighted and not goal and not reason:
                watch.sighted = False
                return (Sighting(symbol, venue, venue, 0.0, 0.0, 0.0, over=True),)
            if not reason:
                return _NOTHING
        gross, net = self._net_bps(watch, view, market)
        watch.sighted = True
        if reason:
            quantity = self._params.notional / market.mid
            return (Sighting(symbol, venue, venue, gross, net, quantity, reason=reason),)
        slip = self._params.slippage_bps / 1e4
        cap = market.ask * (1.0 + slip) if short_of > 0.0 else market.bid * (1.0 - slip)
        intent = HoldTargets((Target(venue, symbol, goal, cap),))
        return (Sighting(symbol, venue, venue, gross, net, abs(goal - has), intent=intent),)
