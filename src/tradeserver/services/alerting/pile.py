"""Ten thousand notices become a few: equal codes are one line with a count, and messages have a budget.

A code is told a moment after it first comes (`gather_ns`, so that a burst is one line), then not again before
`repeat_ns`, which doubles with each repetition up to `repeat_most_ns`; a code that kept quiet for twice its pause
begins anew. Messages take tokens from a bucket. Codes waiting are bounded too; what is beyond is counted under MORE.

Sans-I/O: the time is given, ns. Nothing is forgotten before `told` says that it was delivered.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tradeserver.core.records import Severity
from tradeserver.services.alerting.notices import RANK, Notice

SECOND_NS: Final = 1_000_000_000
MOST_CODES: Final = 200
MOST_LINES: Final = 10
"""Lines of one message."""
BURST: Final = 3
MORE: Final = "MORE"

Key = tuple[Severity, str]


class Line(msgspec.Struct):
    """One code, however often it came: the first and the latest of it."""

    first: Notice
    last: Notice
    count: int
    sequence: int  # of the first, in the write-ahead log; 0 for what the relay says itself
    since: int  # when the pile took the first, ns


class Pile:
    """What waits to be told to one receiver. See the module."""

    def __init__(self, per_minute: int, gather_ns: int, repeat_ns: int, repeat_most_ns: int) -> None:
        self._gap_ns = 60 * SECOND_NS // per_minute
        self._gather_ns = gather_ns
        self._repeat_ns = repeat_ns
        self._repeat_most_ns = repeat_most_ns
        self._waiting: dict[Key, Line] = {}
        self._taken: dict[Key, Line] = {}  # in a message that is on its way
        self._told: dict[Key, tuple[int, int]] = {}  # when last, and how long it then keeps quiet
        self._credit_ns = BURST * self._gap_ns  # a message costs one gap
        self._filled = 0  # when the bucket was looked at last

    def __len__(self) -> int:
        return len(self._waiting) + len(self._taken)

    @property
    def oldest(self) -> int:
        """The lowest sequence that has not been told, 0 for none."""
        lines = (*self._waiting.values(), *self._taken.values())
        return min((line.sequence for line in lines if line.sequence), default=0)

    def add(self, notice: Notice, sequence: int, now: int) -> None:
        """Take one notice."""
        key = (notice.severity, notice.code)
        line = self._waiting.get(key)
        if line is None and len(self._waiting) >= MOST_CODES:
            key = (notice.severity, MORE)
            line = self._waiting.get(key)
        if line is not None:
            line.count += 1
            line.last = notice
            return
        told = self._told.get(key)
        if told is not None and now - told[0] > 2 * told[1]:
            del self._told[key]
        self._waiting[key] = Line(notice, notice, 1, sequence, now)

    def take(self, now: int) -> list[Line]:
        """What the next message says, the most severe first; [] while nothing may be said yet.

        Until `told` or `untold` it is on its way.
        """
        self._fill(now)
        if self._credit_ns < self._gap_ns:
            return []
        if not any(self._at(key, line) <= now for key, line in self._waiting.items()):
            return []
        # A message that goes anyway takes along what only gathers.
        ready = [(k, line) for k, line in self._waiting.items() if k not in self._told or self._at(k, line) <= now]
        ready.sort(key=lambda item: (-RANK[item[1].first.severity], item[1].since))
        self._taken = dict(ready[:MOST_LINES])
        for key in self._taken:
            del self._waiting[key]
        return list(self._taken.values())

    def told(self, now: int) -> None:
        """The message is delivered."""
        self._credit_ns -= self._gap_ns
        for key in self._taken:
            said = self._told.get(key)
            pause = self._repeat_ns if said is None else min(2 * said[1], self._repeat_most_ns)
            self._told[key] = (now, pause)
        self._taken = {}
        while len(self._told) > 2 * MOST_CODES:
            self._told.pop(next(iter(self._told)))

    def untold(self) -> None:
        """The message was not delivered: its lines wait again, with what came to them meanwhile."""
        for key, line in self._taken.items():
            newer = self._waiting.get(key)
            if newer is not None:
                line.count += newer.count
                line.last = newer.last
            self._waiting[key] = line
        self._taken = {}

    def drop(self) -> int:
        """Forget everything that waits: nobody takes it. How many notices that were."""
        count = sum(line.count for line in (*self._waiting.values(), *self._taken.values()))
        self._waiting, self._taken = {}, {}
        return count

    def hurry(self) -> None:
        """The relay ends: everything is due now, and the bucket has one message more."""
        self._gather_ns = 0
        self._told.clear()
        self._credit_ns = max(self._credit_ns, self._gap_ns)

    def _at(self, key: Key, line: Line) -> int:
        told = self._told.get(key)
        return line.since + self._gather_ns if told is None else max(told[0] + told[1], line.since + self._gather_ns)

    def _fill(self, now: int) -> None:
        if self._filled:
            self._credit_ns = min(BURST * self._gap_ns, self._credit_ns + now - self._filled)
        self._filled = now
