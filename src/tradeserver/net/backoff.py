"""How long to wait before trying again: exponential, capped, jittered. The dice are passed in; nothing sleeps here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True)
class BackoffSettings:
    """The n-th wait is `first_s * factor**n`, at most `cap_s`, less a random part of at most `jitter` of it."""

    first_s: Annotated[float, Gt(0)] = 0.25
    factor: Annotated[float, Ge(1)] = 2.0
    cap_s: Annotated[float, Gt(0)] = 30.0
    jitter: Annotated[float, Ge(0), Le(1)] = 0.5


class Backoff:
    """The waits of one thing that keeps failing. `dice` answers floats in [0, 1), as `random.random` does."""

    def __init__(self, settings: BackoffSettings, dice: Callable[[], float]) -> None:
        self._settings = settings
        self._dice = dice
        self.failures = 0

    def next_s(self) -> float:
        """Seconds to wait after one more failure."""
        s = self._settings
        # 64 doublings are past any cap; without the bound, 2.0**1100 raises OverflowError after a day of failures
        wait = min(s.cap_s, s.first_s * s.factor ** min(self.failures, 64))
        self.failures += 1
        return wait * (1.0 - s.jitter * self._dice())

    def reset(self) -> None:
        """It works again: the next wait is the first one."""
        self.failures = 0
