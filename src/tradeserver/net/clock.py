"""The run's clock: wall time read once, monotonic time from then on.

Stamps never go back within a run, and never go back between runs either: the clock starts at the later of wall time
and the last stamp of the write-ahead log. `behind_ns` says how far wall time stood behind that stamp; more than a
second means that somebody's clock is wrong, and whoever wires the run blocks opening orders.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class RunClock:
    """Call it for nanoseconds since 1970 on our clock; each answer is at least the one before."""

    __slots__ = ("_monotonic", "_offset", "behind_ns", "started")

    def __init__(
        self,
        not_before: int = 0,
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        now = wall()
        self.behind_ns = max(0, not_before - now)
        self.started = max(now, not_before)
        self._monotonic = monotonic
        self._offset = self.started - monotonic()

    def __call__(self) -> int:
        """Nanoseconds since 1970."""
        return self._monotonic() + self._offset
