"""How far a venue's clock is from ours: the median of several samples, each corrected for its round trip.

One sample is (we asked, the server's time, we were answered), all in nanoseconds: the server read its clock about in
the middle. The first request of a series often pays for a new connection, so the slow half of a series is dropped
before the median is taken. Sending the requests one after another is the codec's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tradeserver.core.events import ClockOffset, Event

SAMPLES: Final = 5
"""Samples in a series."""

AHEAD_NS: Final = 250_000_000
BEHIND_NS: Final = 1_000_000_000
"""Market data are never so much ahead of the venue's clock, and seldom so much behind it."""


class ClockSampler:
    """Collects one series at a time."""

    def __init__(self, venue: str) -> None:
        self.venue = venue
        self.offset_ns = 0  # venue clock minus ours, 0 until known
        self.known = False
        self.doubted = False  # the venue refused a stamp of ours since the last series
        self._samples: list[tuple[int, int]] = []  # (round trip, offset)

    def implausible(self, events: Sequence[Event], ts: int) -> bool:
        """Whether fresh market data bear stamps that the measured offset cannot explain: a clock may have jumped."""
        if not events or not self.known:
            return False
        stamp: int = getattr(events[0], "venue_ts", 0)
        return stamp != 0 and not -AHEAD_NS < ts + self.offset_ns - stamp < BEHIND_NS

    def restart(self) -> None:
        """Begin a new series; the old offset stands until it is complete."""
        self._samples = []

    def sample(self, asked: int, server: int, answered: int) -> ClockOffset | None:
        """Add one sample; the event when the series is complete, else None: ask again."""
        self._samples.append((answered - asked, server - (asked + answered) // 2))
        if len(self._samples) < SAMPLES:
            return None
        quick = sorted(self._samples)[: SAMPLES // 2 + 1]
        offsets = sorted(offset for _, offset in quick)
        self._samples = []
        self.offset_ns = offsets[len(offsets) // 2]
        self.known, self.doubted = True, False
        return ClockOffset(ts=answered, venue=self.venue, offset_ns=self.offset_ns, rtt_ns=quick[len(quick) // 2][0])
