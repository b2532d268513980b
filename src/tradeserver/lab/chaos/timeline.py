"""Simulated time: a heap of things to do, ordered by when they are due, then by when they were planned.

Nothing here reads a clock; the only chance is the seed's.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Final

MS: Final = 1_000_000
SECOND: Final = 1_000 * MS
START: Final = 1_750_000_000 * SECOND


class Killed(BaseException):  # no Exception: nothing in the product may catch the end of its own process
    """The trader's process is gone, at this very point. `bury` is called once the stack is unwound."""

    def __init__(self, bury: Callable[[], None]) -> None:
        super().__init__("killed")
        self.bury = bury


class Timeline:
    """What is due is done in order."""

    def __init__(self, seed: int) -> None:
        self.now = START
        self.dice = random.Random(f"{seed} network")
        self._due: list[tuple[int, int, Callable[[], object]]] = []
        self._count = itertools.count()

    def at(self, when: int, what: Callable[[], object]) -> None:
        """Plan something; what is past is due at once."""
        heapq.heappush(self._due, (max(when, self.now), next(self._count), what))

    def run(self, until: int) -> None:
        """Do everything up to that time."""
        due = self._due
        while due and due[0][0] <= until:
            self.now, _, what = heapq.heappop(due)
            try:
                what()
            except Killed as killed:
                killed.bury()
        self.now = until

    def latency(self) -> int:
        """One way through the network: 1 ms, and now and then much more."""
        return MS + int(self.dice.expovariate(1 / (0.5 * MS)))
