"""Each incremental statistic against numpy or scipy over the same window, at hostile scales, and after a long run."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tradeserver.strategies.statistics import Ewma, KalmanLine, Reversion, Rolling, RollingLine

CLOSE = 1e-9
VALUES = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-12)


def walk(count: int, seed: int, level: float = 60_000.0, step: float = 1.0) -> list[float]:
    dice = np.random.default_rng(seed)
    return list(map(float, level + np.cumsum(dice.normal(0.0, step, count))))


def exact_variance(values: list[float]) -> float:
    fractions = [Fraction(v) for v in values]
    mean = sum(fractions) / len(fractions)
    return float(sum((v - mean) ** 2 for v in fractions) / (len(fractions) - 1))


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=60), st.integers(2, 20))
def test_rolling_is_the_window(values: list[float], size: int) -> None:
    rolling = Rolling(size)
    for n, x in enumerate(values, 1):
        rolling.push(x)
        window = values[max(0, n - size) : n]
        assert rolling.full is (n >= size)
        assert rolling.mean == pytest.approx(np.mean(window), rel=CLOSE, abs=1e-12)
        if len(window) > 1:
            assert rolling.variance == pytest.approx(exact_variance(window), rel=CLOSE, abs=1e-20)


@pytest.mark.parametrize(("level", "step"), [(60_000.0, 0.01), (1e-5, 1e-9), (1e9, 1e-3)])
def test_rolling_after_a_long_run(level: float, step: float) -> None:
    """200,000 updates of a level that dwarfs its variation: a float sum would have lost every digit of it."""
    values = walk(200_000, 1, level, step)
    rolling = Rolling(50)
    for x in values:
        rolling.push(x)
    window = values[-50:]
    assert rolling.mean == pytest.approx(np.mean(window), rel=CLOSE)
    assert rolling.variance == pytest.approx(exact_variance(window), rel=CLOSE)
    above = float(Fraction(values[-1]) - sum(map(Fraction, window)) / 50)
    assert rolling.zscore(values[-1]) == pytest.approx(above / sqrt(exact_variance(window)), rel=CLOSE)


@settings(deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=3, max_size=40), st.integers(3, 20))
def test_a_line_is_least_squares(pairs: list[tuple[float, float]], size: int) -> None:
    line = RollingLine(size)
    for pair in pairs:
        line.push(*pair)
    xs, ys = (np.array(side) for side in zip(*pairs[-size:], strict=True))
    centre = xs - xs.mean()
    if float(centre @ centre) <= 1e-9 * max(1.0, float(xs @ xs)):
        return  # numpy's own answer has no digits there
    found = stats.linregress(xs, ys)
    scale = 1e-9 * float(np.abs(ys).max() + abs(found.slope) * np.abs(xs).max())
    assert line.slope == pytest.approx(found.slope, rel=CLOSE, abs=scale / sqrt(float(centre @ centre)) + 1e-12)
    assert line.intercept == pytest.approx(found.intercept, rel=CLOSE, abs=10 * scale + 1e-12)


def test_a_line_after_a_long_run() -> None:
    xs = walk(100_000, 2, 11.0, 1e-4)
    ys = [0.7 * x + e for x, e in zip(xs, walk(100_000, 3, -3.0, 1e-5), strict=True)]
    line = RollingLine(200)
    for pair in zip(xs, ys, strict=True):
        line.push(*pair)
    x, y = np.array(xs[-200:]), np.array(ys[-200:])
    x0, y0 = x - x.mean(), y - y.mean()  # numpy needs the help, the sums here do not
    found = stats.linregress(x0, y0)
    residual = y0 - found.slope * x0
    assert line.slope == pytest.approx(found.slope, rel=CLOSE)
    assert line.intercept == pytest.approx(float(y.mean()) - found.slope * float(x.mean()), rel=CLOSE)
    assert line.slope_error == pytest.approx(found.stderr, rel=CLOSE)
    assert line.residual_variance == pytest.approx(float(residual @ residual) / 198, rel=CLOSE)


def test_what_does_not_vary_has_no_slope() -> None:
    line, rolling = RollingLine(3), Rolling(3)
    for y in (1.0, 2.0, 3.0):
        line.push(5.0, y)
        rolling.push(5.0)
    assert (line.slope, line.intercept, line.slope_error) == (0.0, 0.0, 0.0)
    assert (rolling.variance, rolling.zscore(7.0)) == (0.0, 0.0)


@pytest.mark.parametrize("half_life", [1.0, 10.0, 300.0])
def test_ewma_is_its_weights(half_life: float) -> None:
    """Against the weights written out: a (1 - a)^k for the newest ones, the rest for the first observation."""
    values = walk(20_000, 4, 100.0, 0.1)
    ewma = Ewma(half_life)
    for x in values:
        ewma.push(x)
    alpha = 1.0 - 0.5 ** (1.0 / half_life)
    weights = alpha * (1.0 - alpha) ** np.arange(len(values))[::-1]
    weights[0] = (1.0 - alpha) ** (len(values) - 1)
    assert weights.sum() == pytest.approx(1.0)
    array = np.array(values)
    mean = float(weights @ array)
    assert ewma.mean == pytest.approx(mean, rel=CLOSE)
    assert ewma.variance == pytest.approx(float(weights @ (array - mean) ** 2), rel=1e-9)


def test_kalman_is_the_textbook() -> None:
    """Matrices, as written in any book: x = x + K e, P = (I - K H) P, over 10,000 pairs."""
    xs = walk(10_000, 5, 10.0, 0.01)
    ys = [1.3 * x - 2.0 + e for x, e in zip(xs, np.random.default_rng(6).normal(0, 0.05, 10_000), strict=True)]
    filtered = KalmanLine(drift=1e-7, noise=0.0025, prior=10.0)
    state, covariance = np.zeros(2), np.eye(2) * 10.0
    for x, y in zip(xs, ys, strict=True):
        error, variance = filtered.push(x, y)
        look = np.array([x, 1.0])
        covariance = covariance + np.eye(2) * 1e-7
        innovation = y - look @ state
        spread = look @ covariance @ look + 0.0025
        gain = covariance @ look / spread
        state = state + gain * innovation
        covariance = covariance - np.outer(gain, look) @ covariance
        assert abs(error - innovation) < 1e-8
        assert variance == pytest.approx(float(spread), rel=1e-8)
    assert filtered.slope == pytest.approx(float(state[0]), rel=CLOSE)
    assert filtered.intercept == pytest.approx(float(state[1]), rel=CLOSE)
    assert filtered.slope == pytest.approx(1.3, abs=0.05)


def ornstein_uhlenbeck(count: int, half_life: float, seed: int, mean: float = 0.0) -> list[float]:
    """The exact discretisation; stationary from the start."""
    dice = np.random.default_rng(seed)
    phi = 0.5 ** (1.0 / half_life)
    x, found = float(dice.normal(0.0, 1.0)), []
    for noise in dice.normal(0.0, sqrt(1.0 - phi * phi), count):
        found.append(mean + x)
        x = phi * x + float(noise)
    return found


@pytest.mark.parametrize("half_life", [5.0, 20.0])
def test_the_half_life_is_recovered_within_its_error(half_life: float) -> None:
    """sd(phi) = sqrt((1 - phi^2) / n); the bias, -(1 + 3 phi) / n (Kendall 1954), is taken off. 4 sd, both sides."""
    n = 20_000
    reversion = Reversion(n - 1)
    for x in ornstein_uhlenbeck(n, half_life, 7, mean=3.0):
        reversion.push(x)
    phi = 0.5 ** (1.0 / half_life)
    error = 4.0 * sqrt((1.0 - phi * phi) / n)
    bias = (1.0 + 3.0 * phi) / n
    low, high = (-log(2.0) / log(phi - bias + sign * error) for sign in (-1.0, 1.0))
    assert low < reversion.half_life < high
    assert reversion.mean == pytest.approx(3.0, abs=4.0 * sqrt((1.0 + phi) / (1.0 - phi) / n))
    assert reversion.statistic < -10.0


def test_a_trend_has_no_half_life() -> None:
    reversion = Reversion(50)
    for n in range(60):
        reversion.push(1.1**n)
    assert reversion.half_life == float("inf")
    assert reversion.statistic >= 0.0


def test_the_reversion_test_refuses_a_walk_at_its_nominal_size() -> None:
    """Dickey and Fuller's 5 % value for n = 250 with a constant, -2.88 (Fuller 1976), on 400 walks: 3 sd."""
    dice = np.random.default_rng(8)
    below = 0
    for path in np.cumsum(dice.normal(size=(400, 251)), axis=1):
        reversion = Reversion(250)
        for x in path:
            reversion.push(float(x))
        below += reversion.statistic < -2.88
    assert abs(below / 400 - 0.05) < 3.0 * sqrt(0.05 * 0.95 / 400)


def test_windows_are_bounded() -> None:
    rolling, line = Rolling(10), RollingLine(10)
    for n in range(1_000):
        rolling.push(float(n))
        line.push(float(n), float(n))
    assert (len(rolling), len(line)) == (10, 10)
    assert isinstance(rolling._values, deque)
    with pytest.raises(ValueError, match="two observations"):
        Rolling(1)
    with pytest.raises(ValueError, match="three pairs"):
        RollingLine(2)
