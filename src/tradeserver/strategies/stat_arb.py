"""Pairs: two symbols whose prices share one wandering; buy the one that has fallen behind, sell the other from stock.

Log prices are sampled together. A line y = intercept + slope * x, by rolling least squares or by a Kalman filter, says
what y should be; z is how many deviations it is off. Beyond `entry_z` both legs are opened, within `exit_z` closed.
Nothing is opened unless the fits process has lately found the pair cointegrated, with a half-life within bounds. Past
`stop_z`, or when the pair fails its test, or grows too old, it is closed and blocked until a test passes again. See
docs/strategies/stat_arb.md. It reads books, fees and what it holds; the rest is the core's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from tradeserver.core.intents import FitWanted, HoldTargets, Sighting, Target, View
from tradeserver.core.market import SymbolMarket
from tradeserver.core.types import Key
from tradeserver.strategies.sampling import SECOND_NS, Due, Sampler, spread_bps
from tradeserver.strategies.statistics import KalmanLine, Rolling, RollingLine

_NOTHING: tuple[Sighting, ...] = ()
_FLAT = 0.01
"""A rest below this share of `notional` is as good as nothing."""
QUESTION = "cointegration"


@dataclass(frozen=True)
class StatArbParams:
    """Times in seconds, windows in samples, edges in basis points of the first leg, notionals in quote currency."""

    y: str = "ETH/USDT"
    """The leg that is explained; `notional` is its size."""
    x: str = "BTC/USDT"
    """The leg that explains; its size is the hedge ratio times `notional`."""
    venue: str = ""
    """Where both are traded; none given: the first."""
    sample_s: Annotated[float, Gt(0)] = 60.0
    """Time between two samples."""
    hedge: Literal["ols", "kalman"] = "ols"
    """How the hedge ratio is estimated: rolling least squares, or a Kalman filter."""
    window: Annotated[int, Ge(3)] = 240
    """Samples of the rolling line, and of the deviation of the Kalman filter's errors."""
    kalman_drift: Annotated[float, Gt(0)] = 1e-8
    """Variance that each coefficient may gain per sample."""
    kalman_noise: Annotated[float, Gt(0)] = 1e-5
    """Variance of the spread around the line, in squared log price."""
    entry_z: Annotated[float, Gt(0)] = 2.0
    """Deviations at which both legs are opened."""
    exit_z: Annotated[float, Ge(0)] = 0.5
    """Deviations within which they are closed."""
    stop_z: Annotated[float, Ge(0)] = 5.0
    """Deviations at which the pair counts as broken; 0 switches it off."""
    notional: Annotated[float, Gt(0)] = 100.0
    """Size of the first leg when it is opened."""
    min_edge_bps: Annotated[float, Ge(0)] = 2.0
    """What the way back must leave after spreads and fees of both legs."""
    fit_every: Annotated[int, Ge(1)] = 60
    """Samples between two questions to the fits process."""
    fit_window: Annotated[int, Ge(30)] = 480
    """Samples that a question carries."""
    max_p: Annotated[float, Gt(0), Le(1)] = 0.05
    """Nothing is opened on a pair whose cointegration test gives more; 1 switches the test off."""
    break_p: Annotated[float, Gt(0), Le(1)] = 0.5
    """A pair that is held and whose test then gives more is closed."""
    max_half_life: Annotated[float, Gt(0)] = 120.0
    """Longest half-life of the spread, in samples."""
    max_hold_s: Annotated[float, Ge(0)] = 14_400.0
    """Age at which the pair is closed; 0 switches it off."""
    slippage_bps: Annotated[float, Ge(0)] = 5.0
    """How far beyond the best price an order may reach."""


class StatArb:
    """One pair at one venue."""

    name = "stat_arb"

    def __init__(self, params: StatArbParams, symbols: Sequence[str], venues: Sequence[str]) -> None:
        self._params = params
        venue = params.venue or venues[0]
        if venue not in venues:
            raise ValueError(f"the venue {venue!r} is not enabled")
        for symbol in (params.y, params.x):
            if symbol not in symbols:
                raise ValueError(f"the symbol {symbol} is not among `symbols` of the configuration")
        self._y, self._x = (venue, params.y), (venue, params.x)
        self._sampler = Sampler(params.sample_s)
        self._goal: tuple[float, float] | None = None  # net base of both; None: not looked yet
        self._blocked = False
        self._sighted = False
        self._clear()

    def _clear(self) -> None:
        params = self._params
        self._line = RollingLine(params.window)
        self._filter = KalmanLine(params.kalman_drift, params.kalman_noise, prior=1.0)
        self._origin: tuple[float, float] | None = None
        self._errors = Rolling(params.window)
        self._samples: deque[tuple[float, float]] = deque(maxlen=params.fit_window)
        self._fit: Mapping[str, float] = {}
        self._fit_ts = 0
        self._since_fit = 0
        self.z = self.error = self.slope = 0.0

    def books(self) -> Sequence[Key]:
        return [self._y, self._x]

    def on_fitted(self, name: str, values: Mapping[str, float], ts: int) -> None:
        self._fit, self._fit_ts = values, ts
        if self._blocked and not self._unfit(ts):
            self._blocked = abs(self.z) > self._params.exit_z

    def on_market(self, view: View, changed: SymbolMarket, ts: int) -> Sequence[Sighting | FitWanted]:
        y, x = view.market.symbols[self._y], view.market.symbols[self._x]
        if y.untradable(ts) or x.untradable(ts):
            return _NOTHING
        has = (view.holds(self.name, self._y), view.holds(self.name, self._x))
        reason, wanted = "", None
        due = self._sampler.due(ts)
        if due is not Due.NO:
            wanted = self._sample(log(y.mid), log(x.mid), due)
        if self._goal is None:
            self._goal = has
        if any(self._goal):
            if self._ended(view, ts, sampled=due is not Due.NO):
                self._goal = (0.0, 0.0)
        elif due is not Due.NO and self._near((0.0, 0.0), has, y, x):
            reason = self._enter(view, y, x, ts)
        said: list[Sighting | FitWanted] = self._say(view, y, x, has, reason)
        return said if wanted is None else [*said, wanted]

    def _sample(self, y: float, x: float, due: Due) -> FitWanted | None:
        params = self._params
        if due is Due.AFTER_GAP:
            self._clear()
        self._samples.append((y, x))
        if params.hedge == "ols":
            self._line.push(x, y)
            self.slope = self._line.slope
            self.error = y - self._line.intercept - self.slope * x
            deviation = sqrt(max(0.0, self._line.residual_variance))
            self.z = self.error / deviation if deviation > 0.0 else 0.0
        else:
            self._origin = self._origin or (y, x)  # logs of prices hardly vary: far from it the two states look alike
            self.error, _ = self._filter.push(x - self._origin[1], y - self._origin[0])
            self.slope = self._filter.slope
            self._errors.push(self.error)
            self.z = self._errors.zscore(self.error)
        self._since_fit += 1
        full = len(self._samples) == params.fit_window
        if params.max_p >= 1.0 or not full or (self._fit_ts and self._since_fit < params.fit_every):
            return None
        self._fit_ts = self._fit_ts or 1  # asked
        self._since_fit = 0
        ys, xs = zip(*self._samples, strict=True)
        return FitWanted(QUESTION, (ys, xs))

    def _unfit(self, ts: int) -> str:
        """Why the last test forbids an entry, or ""."""
        params = self._params
        if params.max_p >= 1.0:
            return ""
        oldest_ns = 2 * params.fit_every * params.sample_s * SECOND_NS
        if not self._fit or ts - self._fit_ts > oldest_ns:
            return "NO_FIT"
        if self._fit["p_value"] > params.max_p:
            return "NOT_COINTEGRATED"
        return "" if 0.0 < self._fit["half_life"] <= params.max_half_life else "HALF_LIFE"

    def _enter(self, view: View, y: SymbolMarket, x: SymbolMarket, ts: int) -> str:
        """Set a goal, or say why not; "" where there is nothing to say."""
        params = self._params
        full = self._line.full if params.hedge == "ols" else self._errors.full
        if not full or abs(self.z) < params.entry_z:
            return ""
        if why := self._unfit(ts):
            return why
        if self._blocked or 0.0 < params.stop_z <= abs(self.z):
            return "BROKEN_DOWN"
        if self.slope <= 0.0:
            return "HEDGE_NEGATIVE"  # both legs on one side are no hedge
        if self._net_bps(view, y, x)[1] < params.min_edge_bps:
            return "FEES_UNKNOWN" if y.key not in view.taker_bps else "EDGE_TOO_SMALL"
        side = -1.0 if self.z > 0.0 else 1.0
        self._goal = (side * params.notional / y.mid, -side * self.slope * params.notional / x.mid)
        return ""

    def _net_bps(self, view: View, y: SymbolMarket, x: SymbolMarket) -> tuple[float, float]:
        """The way back of the spread, before and after spreads and fees, in basis points of the first leg."""
        gross = abs(self.error) * 1e4
        fee_y, fee_x = view.taker_bps.get(y.key), view.taker_bps.get(x.key)
        if fee_y is None or fee_x is None:
            return gross, -1e4
        costs = 2.0 * fee_y + spread_bps(y) + abs(self.slope) * (2.0 * fee_x + spread_bps(x))
        return gross, gross - costs

    def _ended(self, view: View, ts: int, *, sampled: bool) -> bool:
        """Whether the pair has done its work, or must go; the latter blocks it."""
        params = self._params
        assert self._goal is not None
        side = 1.0 if self._goal[0] > 0.0 else -1.0
        full = self._line.full if params.hedge == "ols" else self._errors.full
        if sampled and full and side * self.z >= -params.exit_z:
            return True
        held = view.held.get((self.name, *self._y))
        old = held is not None and held.since and 0.0 < params.max_hold_s * SECOND_NS <= ts - held.since
        away = sampled and full and 0.0 < params.stop_z <= -side * self.z
        broken = params.max_p < 1.0 and self._fit.get("p_value", 0.0) > params.break_p
        if old or away or broken:
            self._blocked = True
            return True
        return False

    def _near(self, goal: tuple[float, float], has: tuple[float, float], y: SymbolMarket, x: SymbolMarket) -> bool:
        least = _FLAT * self._params.notional
        return abs(goal[0] - has[0]) * y.mid < least and abs(goal[1] - has[1]) * x.mid < least

    def _say(
        self, view: View, y: SymbolMarket, x: SymbolMarket, has: tuple[float, float], reason: str
    ) -> list[Sighting | FitWanted]:
        venue, symbol = self._y
        goal = self._goal or (0.0, 0.0)
        gross, net = self._net_bps(view, y, x)
        if reason:
            self._sighted = True
            quantity = self._params.notional / y.mid
            return [Sighting(symbol, venue, venue, gross, net, quantity, reason=reason)]
        if self._near(goal, has, y, x):
            if self._sighted and not any(goal):
                self._sighted = False
                return [Sighting(symbol, venue, venue, 0.0, 0.0, 0.0, over=True)]
            return []
        self._sighted = True
        targets = HoldTargets((self._target(y, goal[0], has[0]), self._target(x, goal[1], has[1])))
        return [Sighting(symbol, venue, venue, gross, net, abs(goal[0] - has[0]), intent=targets)]

    def _target(self, market: SymbolMarket, goal: float, has: float) -> Target:
        slip = self._params.slippage_bps / 1e4
        cap = market.ask * (1.0 + slip) if goal > has else market.bid * (1.0 - slip)
        return Target(*market.key, goal, cap)
