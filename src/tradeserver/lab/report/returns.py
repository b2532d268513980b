"""Ratios of a row of returns. Definitions as in empyrical, which the tests compare them with; no library is needed.

Returns are simple, one a period; `per_year` is the number of periods in a year. None stands for what does not exist: a
ratio over no deviation, or of fewer than two returns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

YEAR_S = 365 * 86_400.0
"""Markets never close."""


def sharpe(returns: Sequence[float], per_year: float) -> float | None:
    """Mean over standard deviation (n - 1), annualised. The riskless rate is zero."""
    if len(returns) < 2:
        return None
    mean = math.fsum(returns) / len(returns)
    deviation = math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / (len(returns) - 1))
    return mean / deviation * math.sqrt(per_year) if deviation > 0.0 else None


def sortino(returns: Sequence[float], per_year: float) -> float | None:
    """Annualised mean over the annualised root mean square of the losses alone."""
    if len(returns) < 2:
        return None
    downside = math.sqrt(math.fsum(min(r, 0.0) ** 2 for r in returns) / len(returns)) * math.sqrt(per_year)
    return math.fsum(returns) / len(returns) * per_year / downside if downside > 0.0 else None


def max_drawdown(returns: Sequence[float]) -> float:
    """The deepest fall from a height of the compounded value, as a negative fraction; 0.0 for none."""
    value = peak = 1.0
    deepest = 0.0
    for r in returns:
        value *= 1.0 + r
        peak = max(peak, value)
        deepest = min(deepest, value / peak - 1.0)
    return deepest


def simple(values: Sequence[float]) -> list[float]:
    """The returns between values one period apart."""
    return [after / before - 1.0 for before, after in pairwise(values) if before > 0.0]
