"""What the fits process can be asked: one function a question, plain numbers in, a table of figures out.

The regressions are numpy's, the cointegration test is statsmodels' (Engle and Granger 1987, with MacKinnon's
p-values). A question that cannot be answered (too little data, nothing varies) has the answer {}.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from math import isfinite, log, sqrt
from typing import Final

import numpy as np
from statsmodels.tsa.stattools import coint  # type: ignore[import-untyped]

Series = Sequence[Sequence[float]]
LEAST: Final = 30
"""Observations below which nothing is estimated."""
LAGS: Final = 1
"""Lagged differences in the test. A search for the best number costs a hundred regressions and a second."""


def answer(name: str, series: Series) -> dict[str, float]:
    """The answer to a `Fit`: its name is "STRATEGY QUESTION"."""
    question = QUESTIONS.get(name.rpartition(" ")[2])
    if question is None:
        return {}
    found = question(*series)
    return found if all(map(isfinite, found.values())) else {}


def cointegration(y: Sequence[float], x: Sequence[float]) -> dict[str, float]:
    """Do y and x share one wandering? y = intercept + slope * x + e, and how fast e returns.

    `p_value` is of the hypothesis that they do not. `slope_error` allows for e's own memory, with which it is
    sqrt((1 + phi) / (1 - phi)) times that of independent errors; `half_life` is in observations, its error that of
    phi, sqrt((1 - phi^2) / n), by the delta method; both 0.0 where e does not return.
    """
    ys, xs = np.asarray(y, dtype=float), np.asarray(x, dtype=float)
    n = len(ys)
    if n < LEAST or len(xs) != n or not ys.std() or not xs.std():
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of perfect collinearity: then there is no answer
        statistic, p_value, _ = coint(ys, xs, trend="c", maxlag=LAGS, autolag=None)
    centred = xs - xs.mean()
    slope = float(centred @ ys / (centred @ centred))
    intercept = float(ys.mean() - slope * xs.mean())
    spread = ys - intercept - slope * xs
    before, after = spread[:-1], spread[1:]
    if not before @ before:
        return {}
    phi = float(before @ after / (before @ before))
    variance = float(spread @ spread) / (n - 2)
    returns = 0.0 < phi < 1.0
    memory = (1.0 + phi) / (1.0 - phi) if returns else 1.0
    return {
        "statistic": float(statistic),
        "p_value": float(p_value),
        "slope": slope,
        "slope_error": sqrt(variance * memory / float(centred @ centred)),
        "intercept": intercept,
        "deviation": sqrt(variance),
        "phi": phi,
        "half_life": -log(2.0) / log(phi) if returns else 0.0,
        "half_life_error": sqrt((1.0 - phi * phi) / n) * log(2.0) / (phi * log(phi) ** 2) if returns else 0.0,
    }


QUESTIONS: Final[dict[str, Callable[..., dict[str, float]]]] = {"cointegration": cointegration}
