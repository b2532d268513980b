"""Pairs: against a naive loop where two prices share one wandering; on independent walks; when the tie breaks."""

from __future__ import annotations

from math import exp, sqrt
from typing import Any

import numpy as np
import pytest

from market_kit import START, House
from tradeserver.core.commands import Fit
from tradeserver.fits.compute import answer
from tradeserver.strategies.stat_arb import StatArb, StatArbParams
from tradeserver.strategies.statistics import KalmanLine

VENUE, Y, X = "binance", "ETH/USDT", "BTC/USDT"
HALF_SPREAD = 0.0001
OPEN: dict[str, Any] = {
    "sample_s": 1.0,
    "window": 60,
    "stop_z": 0.0,
    "max_p": 1.0,
    "max_hold_s": 0.0,
    "min_edge_bps": 0.0,
    "notional": 1_000.0,
}


def pair(count: int, seed: int, slope: float = 0.8, half_life: float = 6.0, deviation: float = 0.01) -> np.ndarray:
    """Log prices (y, x): y follows slope * x with an Ornstein-Uhlenbeck spread."""
    dice = np.random.default_rng(seed)
    phi = 0.5 ** (1.0 / half_life)
    x = 3.0 + dice.normal(0.0, 0.002, count).cumsum()
    spread = np.zeros(count)
    for t in range(1, count):
        spread[t] = phi * spread[t - 1] + dice.normal(0.0, deviation * sqrt(1.0 - phi * phi))
    return np.column_stack([1.0 + slope * x + spread, x])


def play(logs: np.ndarray, fee: str = "0.0005", balance: int = 10**5, **params: Any) -> House:
    strategy = StatArb(StatArbParams(**(OPEN | params)), [Y, X], [VENUE])
    made = House([strategy], [VENUE], [Y, X], {"USDT": 10**6, "ETH": balance, "BTC": balance}, fee=fee, answer=answer)
    for y, x in logs:
        made.advance(1)
        for symbol, price in ((X, exp(x)), (Y, exp(y))):
            made.quote(VENUE, symbol, price * (1.0 - HALF_SPREAD), price * (1.0 + HALF_SPREAD))
    return made


def profit(made: House, logs: np.ndarray) -> float:
    prices = {"ETH": exp(logs[-1][0]), "BTC": exp(logs[-1][1])}
    return made.worth("USDT", prices) - 10**6 - 10**5 * sum(prices.values())


def naive(logs: np.ndarray, fee: float, hedge: str, window: int = 60) -> tuple[list[tuple[int, float, float]], float]:
    """[(sample, y bought, x bought)], profit. x moves first and is sampled with the y of before: as the books came."""
    found: list[tuple[int, float, float]] = []
    cash, held_y, held_x = 0.0, 0.0, 0.0
    ys = np.concatenate([[logs[0][0]], logs[:-1, 0]])
    xs = logs[:, 1]
    start = 0
    errors: list[float] = []
    state, covariance = np.zeros(2), np.eye(2)
    for n in range(start, len(logs)):
        y, x = ys[n], xs[n]
        if hedge == "ols":
            first = max(start, n - window + 1)
            count = n - first + 1
            if count < 3:
                continue
            wx, wy = xs[first : n + 1], ys[first : n + 1]
            slope, intercept = np.polyfit(wx - wx.mean(), wy, 1)
            residual = wy - intercept - slope * (wx - wx.mean())
            error, full = residual[-1], count == window
            z = error / sqrt(residual @ residual / (count - 2))
        else:
            look = np.array([x - xs[0], 1.0])
            covariance = covariance + np.eye(2) * 1e-8
            error = y - ys[0] - look @ state
            gain = covariance @ look / (look @ covariance @ look + 1e-5)
            state, covariance = state + gain * error, covariance - np.outer(gain, look) @ covariance
            errors.append(error)
            recent = np.array(errors[-window:])
            slope, full = state[0], len(errors) >= window
            spread = recent.std(ddof=1) if n else 0.0
            z = (error - recent.mean()) / spread if spread else 0.0
        costs = (1.0 + abs(slope)) * (2.0 * fee + 2.0 * HALF_SPREAD)
        if held_y:
            if not full or np.sign(held_y) * z < -0.5:
                continue
            trade_y, trade_x = -held_y, -held_x
        elif full and abs(z) >= 2.0 and slope > 0.0 and abs(error) >= costs:
            trade_y, trade_x = -np.sign(z) * 1_000.0 / exp(y), np.sign(z) * slope * 1_000.0 / exp(x)
        else:
            continue
        for quantity, price in ((trade_y, exp(y)), (trade_x, exp(x))):
            paid = price * (1.0 + np.sign(quantity) * HALF_SPREAD)
            cash -= quantity * paid + abs(quantity) * paid * fee
        held_y, held_x = held_y + trade_y, held_x + trade_x
        if len(found) % 2:
            held_y = held_x = 0.0
        found.append((n, float(trade_y), float(trade_x)))
    return found, cash + held_y * exp(logs[-1][0]) + held_x * exp(logs[-1][1])


def trades(made: House) -> list[tuple[int, float, float]]:
    found: dict[int, list[float]] = {}
    for fill in made.fills:
        both = found.setdefault((fill.ts - START) // 10**9 - 1, [0.0, 0.0])
        both[fill.symbol == X] += float(fill.quantity) * (1.0 if fill.side.value == "buy" else -1.0)
    return [(n, y, x) for n, (y, x) in found.items()]


@pytest.mark.parametrize("hedge", ["ols", "kalman"])
def test_it_earns_on_a_tied_pair_and_trades_as_the_naive_loop(hedge: str) -> None:
    logs = pair(800, 31)
    made = play(logs, hedge=hedge)
    wanted, gain = naive(logs, 0.0005, hedge)
    found = trades(made)
    assert len(wanted) > 20
    assert [n for n, *_ in found] == [n for n, *_ in wanted]
    for (_, y, x), (_, naive_y, naive_x) in zip(found, wanted, strict=True):
        assert y == pytest.approx(naive_y, rel=1e-6, abs=2e-8)
        assert x == pytest.approx(naive_x, rel=1e-6, abs=2e-8)
    assert profit(made, logs) == pytest.approx(gain, abs=1e-2)
    assert gain > 0.0


def test_the_hedge_ratio_comes_out() -> None:
    logs = pair(2_000, 32)
    kalman = KalmanLine(1e-9, 1e-4)
    for y, x in logs:
        kalman.push(x, y)
    assert kalman.slope == pytest.approx(0.8, abs=0.1)


def test_the_gate_lets_a_tied_pair_through() -> None:
    made = play(pair(700, 33), max_p=0.05, fit_window=200, fit_every=20)
    asked = [c for c in made.commands if isinstance(c, Fit)]
    assert len(asked) == (700 - 200) // 20 + 1
    assert all(len(c.series[0]) == 200 for c in asked)
    assert len(trades(made)) > 8
    assert "NO_FIT" in made.reasons()


def test_independent_walks_are_refused_and_cost_little() -> None:
    """Without the gate it trades on them and, being no pair, earns nothing but its costs; the gate refuses nearly all.
    At 5 % the odd question passes."""
    dice = np.random.default_rng(34)
    without = with_gate = 0
    gains, variances = [], []
    for _ in range(6):
        logs = 3.0 + dice.normal(0.0, 0.002, (600, 2)).cumsum(axis=0)
        bare = play(logs, fee="0", max_p=1.0)
        without += len(trades(bare))
        half = sum(float(f.quantity * f.price) * HALF_SPREAD for f in bare.fills)
        gains.append(profit(bare, logs) + half)
        variances.append(variance(trades(bare), logs))
        gated = play(logs, fee="0", max_p=0.05, fit_window=200, fit_every=20)
        with_gate += len(trades(gated))
        assert "NOT_COINTEGRATED" in gated.reasons()
    assert without > 40
    assert with_gate < 0.35 * without
    assert abs(sum(gains)) < 3.0 * sqrt(sum(variances))


def variance(found: list[tuple[int, float, float]], logs: np.ndarray) -> float:
    """Of what the positions earn on independent walks with steps of 0.2 %."""
    total, held_y, held_x, last = 0.0, 0.0, 0.0, 0
    for n, y, x in [*found, (len(logs) - 1, 0.0, 0.0)]:
        step = 0.002**2 * (n - last)
        total += step * ((held_y * exp(logs[n][0])) ** 2 + (held_x * exp(logs[n][1])) ** 2)
        held_y, held_x, last = held_y + y, held_x + x, n
    return total


def test_a_tie_that_breaks_is_stopped_and_stays_blocked() -> None:
    logs = pair(400, 33)
    logs[300:, 0] += 0.004 * np.arange(100)  # y runs away for good
    made = play(logs, stop_z=3.5, max_p=0.05, break_p=0.5, fit_window=200, fit_every=20)
    held = made.engine.desk.held
    assert abs(float(held.quantity("stat_arb", VENUE, Y))) < 1e-6
    assert abs(float(held.quantity("stat_arb", VENUE, X))) < 1e-6
    assert [n for n, *_ in trades(made) if n > 340] == []
    assert made.reasons() & {"NOT_COINTEGRATED", "BROKEN_DOWN", "NO_FIT"}


def test_no_stock_no_short_and_then_no_long_either() -> None:
    made = play(pair(400, 31), balance=0)
    assert trades(made) == []
    assert "NO_BALANCE" in made.reasons()


@pytest.mark.parametrize(
    ("params", "text"), [({"x": "XRP/USDT"}, "XRP/USDT is not among"), ({"venue": "kraken"}, "not")]
)
def test_what_it_cannot_have_is_said(params: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        StatArb(StatArbParams(**params), [Y, X], [VENUE])
