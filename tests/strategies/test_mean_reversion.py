"""Mean reversion: against a naive loop on a market that reverts, on one that walks, and on one that runs away."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
import pytest

from market_kit import START, House
from tradeserver.core.events import BookSnapshot
from tradeserver.core.intents import HoldTargets, View
from tradeserver.core.market import Market, MarketLimits
from tradeserver.strategies.mean_reversion import MeanReversion, MeanReversionParams
from tradeserver.strategies.sampling import Due, Sampler, micro_price

VENUE, SYMBOL = "binance", "XRP/USDT"
OPEN: dict[str, Any] = {
    "sample_s": 1.0,
    "window": 30,
    "min_edge_bps": 0.0,
    "reversion_window": 0,
    "stop_bps": 0.0,
    "max_hold_s": 0.0,
    "notional": 1_000.0,
}


def reverting(count: int, seed: int, half_life: float = 8.0, deviation: float = 0.01) -> np.ndarray:
    """An Ornstein-Uhlenbeck path around 1.0, its stationary deviation given."""
    dice = np.random.default_rng(seed)
    phi = 0.5 ** (1.0 / half_life)
    x = np.zeros(count)
    for n in range(1, count):
        x[n] = phi * x[n - 1] + dice.normal(0.0, deviation * sqrt(1.0 - phi * phi))
    return 1.0 + x


def play(path: np.ndarray, half_spread: float = 0.0001, fee: str = "0.001", **params: Any) -> House:
    strategy = MeanReversion(MeanReversionParams(**(OPEN | params)), [SYMBOL], [VENUE])
    made = House([strategy], [VENUE], [SYMBOL], {"USDT": 10**6, "XRP": 10**6}, fee=fee)
    for mid in map(float, path):
        made.advance(1)
        made.quote(VENUE, SYMBOL, mid * (1.0 - half_spread), mid * (1.0 + half_spread))
    return made


def profit(made: House, mid: float) -> float:
    return made.worth("USDT", {"XRP": mid}) - (10**6 + 10**6 * mid)


@dataclass
class Twin:
    """The rules once more, with whole-array numpy and floats; nothing of the house is used."""

    entry: float = 2.0
    exit: float = 0.5
    short: bool = False
    stop: float = 0.0
    hold: int = 0
    fee: float = 0.001
    half_spread: float = 0.0001
    cash: float = 0.0
    held: float = 0.0
    trades: list[tuple[int, str, float]] = field(default_factory=list)

    def run(self, path: np.ndarray, window: int = 30, notional: float = 1_000.0) -> Twin:
        side, since, cost, blocked = 0, 0, 0.0, 0
        for n in range(len(path)):
            mid = float(path[n])
            seen = path[max(0, n - window + 1) : n + 1]
            z = (mid - seen.mean()) / seen.std(ddof=1) if len(seen) > 1 else 0.0
            if abs(z) <= self.exit:
                blocked = 0
            if side:
                loss = side * (1.0 - mid / cost) * 1e4
                out = side * z >= -self.exit
                stopped = not out and ((0 < self.stop <= loss) or (0 < self.hold <= n - since))
                if out or stopped:
                    self.trade(n, -self.held, mid)
                    blocked, side = (side if stopped else blocked), 0
            elif len(seen) == window and abs(z) >= self.entry and (z < 0 or self.short):
                wanted = -1 if z > 0 else 1
                pays = abs(seen.mean() / mid - 1.0) - 2.0 * self.fee - 2.0 * self.half_spread
                if blocked != wanted and pays >= 0.0:
                    side, since = wanted, n
                    self.trade(n, side * notional / mid, mid)
                    cost = -self.cash_of_last / self.held
        return self

    def trade(self, n: int, base: float, mid: float) -> None:
        price = mid * (1.0 + (self.half_spread if base > 0 else -self.half_spread))
        self.cash_of_last = -base * price - abs(base) * price * self.fee
        self.cash += self.cash_of_last
        self.held = self.held + base if not self.held else 0.0
        self.trades.append((n, "buy" if base > 0 else "sell", abs(base)))


def trades(made: House) -> list[tuple[int, str, float]]:
    return [((f.ts - START) // 10**9 - 1, f.side.value, float(f.quantity)) for f in made.fills]


@pytest.mark.parametrize(
    ("params", "rules"),
    [
        ({}, {}),
        ({"short": True}, {"short": True}),
        ({"short": True, "stop_bps": 80.0, "max_hold_s": 12.0}, {"short": True, "stop": 80.0, "hold": 12}),
    ],
)
def test_it_earns_where_prices_revert_and_trades_as_the_naive_loop(
    params: dict[str, Any], rules: dict[str, Any]
) -> None:
    path = reverting(1_500, 3)
    made, twin = play(path, **params), Twin(**rules).run(path)
    found = trades(made)
    assert [(n, side) for n, side, _ in found] == [(n, side) for n, side, _ in twin.trades]
    assert [q for *_, q in found] == pytest.approx([q for *_, q in twin.trades], abs=2e-8)
    assert len(found) > 30
    mid = float(path[-1])
    assert profit(made, mid) == pytest.approx(twin.cash + twin.held * mid, abs=1e-3)
    if not rules.get("stop"):
        assert profit(made, mid) > 50.0  # 1 % deviations, 0.22 % costs


def test_on_a_walk_it_loses_its_costs_and_nothing_else() -> None:
    """A position is a bet on a martingale: profit plus costs has mean 0 and the variance of q^2 sd^2 a step held.
    Long and short, the gate off, three standard errors."""
    step = 0.001
    path = 1.0 + np.cumsum(np.random.default_rng(11).normal(0.0, step, 3_000))
    made = play(path, short=True, fee="0.0005", half_spread=0.0002)
    found = trades(made)
    assert len(found) > 40
    spreads = sum(quantity * float(path[n]) * 0.0002 for n, _, quantity in found)
    costs = spreads + sum(float(f.commission) for f in made.fills)
    variance, held, last = 0.0, 0.0, 0
    for n, side, quantity in [*found, (len(path) - 1, "buy", 0.0)]:
        variance += held * held * step * step * (n - last)
        held, last = held + (quantity if side == "buy" else -quantity), n
    assert abs(profit(made, float(path[-1])) + costs) < 3.0 * sqrt(variance)
    assert profit(made, float(path[-1])) < 0.0


def test_a_trend_is_refused_and_so_is_most_of_a_walk() -> None:
    """A walk passes the test for reversion one time in twenty; a trend with noise never does."""
    dice = np.random.default_rng(12)
    trend = 1.0 + 0.0005 * np.arange(1_500) + dice.normal(0.0, 0.0002, 1_500).cumsum()
    trend[600:640:8] *= 0.98
    made = play(trend, short=True, fee="0", reversion_window=200, reversion_t=-2.88)
    assert trades(made) == []
    assert "NO_REVERSION" in made.reasons()
    walk = 1.0 + dice.normal(0.0, 0.001, 3_000).cumsum()
    with_gate = trades(play(walk, short=True, fee="0", reversion_window=200, reversion_t=-2.88))
    without = trades(play(walk, short=True, fee="0"))
    assert len(with_gate) < 0.25 * len(without)


def test_it_trades_where_the_test_for_reversion_passes() -> None:
    made = play(reverting(1_500, 3), short=True, reversion_window=200, reversion_t=-2.88)
    assert len(trades(made)) > 20
    assert "WARMING_UP" in made.reasons()


def test_the_way_back_must_pay() -> None:
    made = play(reverting(600, 3), fee="0.02")
    assert trades(made) == []
    assert "EDGE_TOO_SMALL" in made.reasons()


def test_a_stop_blocks_its_side_until_prices_came_back() -> None:
    path = np.concatenate([1.0 + 0.001 * (-1.0) ** np.arange(40), [0.98, 0.95, 0.93, 0.92, 0.91]])
    made = play(path, stop_bps=200.0, fee="0")
    assert [(n, side) for n, side, _ in trades(made)] == [(40, "buy"), (41, "sell")]
    assert "STOPPED_OUT" in made.reasons()


def test_a_gap_forgets_and_a_restart_remembers_what_it_holds() -> None:
    """After a gap the window begins anew; a new instance that finds a position closes it when its time is over."""
    path = np.concatenate([1.0 + 0.001 * (-1.0) ** np.arange(40), [0.98]])
    made = play(path, max_hold_s=100.0, fee="0")
    (bought,) = made.fills
    fresh = MeanReversion(MeanReversionParams(**(OPEN | {"max_hold_s": 100.0})), [SYMBOL], [VENUE])
    view = View(made.engine.market, made.engine.desk.taker_bps, made.engine.desk.held.by_key)
    market = made.engine.market.symbols[VENUE, SYMBOL]
    assert not [s for s in fresh.on_market(view, market, made.ts + 10**9) if s.intent]
    (said,) = fresh.on_market(view, market, bought.ts + 101 * 10**9)
    assert isinstance(said.intent, HoldTargets)
    assert said.intent.targets[0].quantity == 0.0


def test_prices_and_samples() -> None:
    market = Market(MarketLimits())
    market.add((VENUE, SYMBOL))
    symbol = market.on_event(
        BookSnapshot(ts=1, venue=VENUE, symbol=SYMBOL, update_id=1, bids=[(1.0, 30.0)], asks=[(1.1, 10.0)]), []
    )
    assert symbol is not None
    assert micro_price(symbol) == pytest.approx(1.075)  # three quarters of the way to the thin side
    sampler = Sampler(10.0)
    stamps = [5, 6, 9, 10, 19, 27, 31, 100, 105]
    found = [sampler.due(s * 10**9) for s in stamps]
    no, yes, gap = Due.NO, Due.YES, Due.AFTER_GAP
    assert found == [yes, no, no, yes, no, yes, yes, gap, no]


@pytest.mark.parametrize(
    ("params", "text"), [({"symbols": ("BTC/USDT",)}, "BTC/USDT is not among"), ({"venue": "kraken"}, "not enabled")]
)
def test_what_it_cannot_have_is_said(params: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        MeanReversion(MeanReversionParams(**params), [SYMBOL], [VENUE])
