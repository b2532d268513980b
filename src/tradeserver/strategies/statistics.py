"""Statistics that grow by one observation at a time, in constant time, without drift.

Window sums are kept as whole numbers: an observation counts in units of 2**-80, so that adding and taking away are
exact and a window after a million updates equals the same window computed afresh. Only the last division rounds. The
recursive ones (EWMA, Kalman) forget their rounding errors by themselves. Observations are finite floats below 1e15.

Nothing here knows prices, time or markets.
"""

from __future__ import annotations

from collections import deque
from math import isfinite, log, sqrt
from typing import Final

_UNIT: Final = 2.0**80
_SQUARE: Final = 1 << 160


class Rolling:
    """Mean and sample variance of the last `size` observations."""

    __slots__ = ("_squares", "_sum", "_values", "size")

    def __init__(self, size: int) -> None:
        if size < 2:
            raise ValueError("a window needs two observations")
        self.size = size
        self._values: deque[int] = deque()
        self._sum = self._squares = 0

    def push(self, x: float) -> None:
        value = int(x * _UNIT)
        self._values.append(value)
        self._sum += value
        self._squares += value * value
        if len(self._values) > self.size:
            old = self._values.popleft()
            self._sum -= old
            self._squares -= old * old

    def __len__(self) -> int:
        return len(self._values)

    @property
    def full(self) -> bool:
        return len(self._values) == self.size

    @property
    def mean(self) -> float:
        """0.0 where there is none."""
        return self._sum / len(self._values) / _UNIT if self._values else 0.0

    @property
    def variance(self) -> float:
        """With n - 1; 0.0 for fewer than two observations."""
        n = len(self._values)
        return (n * self._squares - self._sum * self._sum) / (n * (n - 1) * _SQUARE) if n > 1 else 0.0

    @property
    def deviation(self) -> float:
        return sqrt(self.variance)

    def zscore(self, x: float) -> float:
        """How many deviations `x` stands from the mean; 0.0 where nothing varies."""
        n = len(self._values)
        deviation = self.deviation
        return (n * int(x * _UNIT) - self._sum) / n / _UNIT / deviation if deviation > 0.0 else 0.0


class RollingLine:
    """Least squares y = intercept + slope * x over the last `size` pairs."""

    __slots__ = ("_pairs", "_xs", "_xx", "_xy", "_ys", "_yy", "size")

    def __init__(self, size: int) -> None:
        if size < 3:
            raise ValueError("a line needs three pairs")
        self.size = size
        self._pairs: deque[tuple[int, int]] = deque()
        self._xs = self._ys = self._xx = self._xy = self._yy = 0

    def push(self, x: float, y: float) -> None:
        pair = (int(x * _UNIT), int(y * _UNIT))
        self._pairs.append(pair)
        self._add(pair, 1)
        if len(self._pairs) > self.size:
            self._add(self._pairs.popleft(), -1)

    def _add(self, pair: tuple[int, int], sign: int) -> None:
        x, y = pair
        self._xs += sign * x
        self._ys += sign * y
        self._xx += sign * x * x
        self._xy += sign * x * y
        self._yy += sign * y * y

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def full(self) -> bool:
        return len(self._pairs) == self.size

    def _centred(self) -> tuple[int, int, int]:
        """n times the centred sums of squares: (xx, xy, yy)."""
        n = len(self._pairs)
        return (
            n * self._xx - self._xs * self._xs,
            n * self._xy - self._xs * self._ys,
            n * self._yy - self._ys * self._ys,
        )

    @property
    def slope(self) -> float:
        """0.0 where x does not vary."""
        xx, xy, _ = self._centred()
        return xy / xx if xx else 0.0

    @property
    def intercept(self) -> float:
        n = len(self._pairs)
        xx, xy, _ = self._centred()
        return (self._ys * xx - xy * self._xs) / (n * xx) / _UNIT if n and xx else 0.0

    @property
    def residual_variance(self) -> float:
        """With n - 2 degrees of freedom; 0.0 where there are none."""
        n = len(self._pairs)
        xx, xy, yy = self._centred()
        return (yy * xx - xy * xy) / (xx * n * (n - 2) * _SQUARE) if n > 2 and xx else 0.0

    @property
    def slope_error(self) -> float:
        """Standard error of the slope."""
        n = len(self._pairs)
        xx, xy, yy = self._centred()
        return sqrt((yy * xx - xy * xy) / (xx * xx * (n - 2))) if n > 2 and xx else 0.0


class Ewma:
    """Exponentially weighted mean and variance; an observation's weight halves every `half_life` observations."""

    __slots__ = ("_alpha", "count", "mean", "variance")

    def __init__(self, half_life: float) -> None:
        self._alpha = 1.0 - 0.5 ** (1.0 / half_life)
        self.mean = self.variance = 0.0
        self.count = 0

    def push(self, x: float) -> None:
        self.count += 1
        if self.count == 1:
            self.mean = x
            return
        step = x - self.mean
        self.mean += self._alpha * step
        self.variance = (1.0 - self._alpha) * (self.variance + self._alpha * step * step)

    @property
    def deviation(self) -> float:
        return sqrt(self.variance)


class KalmanLine:
    """y = intercept + slope * x + noise, where both coefficients wander: a filter of two states.

    `drift` is the variance that each coefficient gains per observation, `noise` that of an observation of y.
    """

    __slots__ = ("_cross", "_drift", "_intercept_variance", "_noise", "_slope_variance", "count", "intercept", "slope")

    def __init__(self, drift: float, noise: float, prior: float = 1e6) -> None:
        self._drift = drift
        self._noise = noise
        self.slope = self.intercept = 0.0
        self._slope_variance = self._intercept_variance = prior
        self._cross = 0.0
        self.count = 0

    def push(self, x: float, y: float) -> tuple[float, float]:
        """Take the pair in; (what y exceeded its prediction by, the variance of that), both before the update."""
        self.count += 1
        a = self._slope_variance + self._drift
        d = self._intercept_variance + self._drift
        b = self._cross
        slope_gain = a * x + b
        intercept_gain = b * x + d
        variance = x * slope_gain + intercept_gain + self._noise
        error = y - self.slope * x - self.intercept
        slope_share, intercept_share = slope_gain / variance, intercept_gain / variance
        self.slope += slope_share * error
        self.intercept += intercept_share * error
        self._slope_variance = a - slope_share * slope_gain
        self._cross = b - slope_share * intercept_gain
        self._intercept_variance = d - intercept_share * intercept_gain
        return error, variance


class Reversion:
    """How fast a series returns to its mean: x[t] = intercept + phi * x[t - 1] + noise over the last `size` steps.

    An Ornstein-Uhlenbeck process sampled evenly is exactly that, with phi = exp(-theta * dt).
    """

    __slots__ = ("_before", "_line", "_started")

    def __init__(self, size: int) -> None:
        self._line = RollingLine(size)
        self._before = 0.0
        self._started = False

    def push(self, x: float) -> None:
        if self._started:
            self._line.push(self._before, x)
        self._before, self._started = x, True

    @property
    def full(self) -> bool:
        return self._line.full

    @property
    def phi(self) -> float:
        return self._line.slope

    @property
    def half_life(self) -> float:
        """Steps until half of a deviation is gone; infinite where nothing returns (phi >= 1), 0.0 for phi <= 0."""
        phi = self._line.slope
        if phi >= 1.0:
            return float("inf")
        return -log(2.0) / log(phi) if phi > 0.0 else 0.0

    @property
    def mean(self) -> float:
        """Where it returns to."""
        phi = self._line.slope
        return self._line.intercept / (1.0 - phi) if phi != 1.0 else 0.0

    @property
    def statistic(self) -> float:
        """Dickey and Fuller's t of phi - 1, with a constant: below -2.86 a walk is refused at 5 %."""
        error = self._line.slope_error
        found = (self._line.slope - 1.0) / error if error > 0.0 else 0.0
        return found if isfinite(found) else 0.0
