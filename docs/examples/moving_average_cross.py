"""A strategy of your own: long while the fast average of the mid stands above the slow one, flat otherwise.

Name it `moving_average_cross:MovingAverageCross` in `[[strategies]]`, with this file's folder on PYTHONPATH.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from tradeserver.core.intents import HoldTargets, Sighting, Target, View
from tradeserver.core.market import SymbolMarket
from tradeserver.core.types import Key
from tradeserver.strategies.sampling import Due, Sampler
from tradeserver.strategies.statistics import Rolling


@dataclass(frozen=True)
class MovingAverageCrossParams:
    """What `[strategies.params]` may say; an unknown key or a value out of bounds ends the start with one sentence."""

    symbol: str = "BTC/USDT"
    sample_s: Annotated[float, Gt(0)] = 86_400.0  # time between two samples
    fast: Annotated[int, Ge(2)] = 10  # samples
    slow: Annotated[int, Ge(3)] = 30  # samples
    notional: Annotated[float, Gt(0)] = 100.0  # quote currency, when a position is opened
    slippage_bps: Annotated[float, Ge(0)] = 5.0  # how far beyond the best price an order may reach


class MovingAverageCross:
    """Pure: no clock, no dice, no I/O. It says what it wants to hold; the house sizes, checks, sends and books."""

    Params = MovingAverageCrossParams
    name = "moving_average_cross"

    def __init__(self, params: MovingAverageCrossParams, symbols: Sequence[str], venues: Sequence[str]) -> None:
        self._params = params
        self._key = (venues[0], params.symbol)
        self._sampler = Sampler(params.sample_s)
        self._fast, self._slow = Rolling(params.fast), Rolling(params.slow)
        self._goal: float | None = None

    def books(self) -> Sequence[Key]:
        return [self._key]

    def on_market(self, view: View, changed: SymbolMarket, ts: int) -> Sequence[Sighting]:
        held = view.holds(self.name, self._key)
        if self._goal is None:
            self._goal = held  # what an earlier run left
        if not changed.untradable(ts) and self._sampler.due(ts) is not Due.NO:
            self._fast.push(changed.mid)
            self._slow.push(changed.mid)
            if self._slow.full:
                above = self._fast.mean > self._slow.mean
                self._goal = (self._goal or self._params.notional / changed.mid) if above else 0.0
        missing = self._goal - held
        if abs(missing) * changed.mid < 0.01 * self._params.notional:
            return ()
        slip = self._params.slippage_bps / 1e4
        cap = changed.ask * (1.0 + slip) if missing > 0.0 else changed.bid * (1.0 - slip)
        intent = HoldTargets((Target(*self._key, self._goal, cap),))
        venue, symbol = self._key
        return [Sighting(symbol, venue, venue, 0.0, 0.0, abs(missing), intent=intent)]
