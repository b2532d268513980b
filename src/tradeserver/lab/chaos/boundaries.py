"""The points between two effects at which a process may die: eight of them, the same in simulated time and in a real
process.

`Boundary` counts passings and calls `die` at the wanted one. Who has the product's ports in hand (its log, its
transport, its engine) tells it what passes: `writing` and `written` around each write of the log, `sent` behind each
send, `stepped` behind each step. Nothing here knows how one dies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tradeserver.core.events import Event, OrderAccepted, OrderFilled

POINTS: Final = {
    "before-wal": "an arbitrage is decided, nothing of it is logged",
    "after-wal": "it is logged, nothing is sent",
    "sent-1": "the first leg is sent, the second is not",
    "sent-2": "both legs are sent",
    "acked": "the venue has taken an order; that is not logged",
    "filled": "a fill has come; that is not logged",
    "before-hedge": "a hedge is decided, nothing of it is logged",
    "hedge-sent": "a hedge is sent",
}
"""What has happened at each of them, and what has not."""

_OPENED: Final = b'"ArbitrageOpened"'
_HEDGED: Final = b'"HedgeDecided"'
_PLACED: Final = (b'"order.place"', b'"spot.order"')
_LABELS: Final = ("POST /api/v3/order", "POST /api/v1/hf/orders")


class Boundary:
    """Dies at the `count`-th passing of `point`."""

    def __init__(self, point: str, count: int, die: Callable[[], None]) -> None:
        if point not in POINTS:
            raise ValueError(f"{point!r} is none of {', '.join(POINTS)}")
        self.point = point
        self.passed = 0
        self._count = count
        self._die = die
        self._legs = 0  # sent since the last arbitrage was opened
        self._hedging = False

    def _pass(self, point: str) -> None:
        if point == self.point:
            self.passed += 1
            if self.passed == self._count:
                self._die()

    def writing(self, payloads: Sequence[bytes]) -> None:
        """The log is about to be written."""
        if any(_OPENED in payload for payload in payloads):
            self._legs = 0
            self._hedging = False
            self._pass("before-wal")
        elif any(_HEDGED in payload for payload in payloads):
            self._hedging = True
            self._pass("before-hedge")

    def written(self, payloads: Sequence[bytes]) -> None:
        """It was."""
        if any(_OPENED in payload for payload in payloads):
            self._pass("after-wal")

    def sent(self, data: bytes) -> None:
        """This frame was handed to the kernel."""
        if any(word in data for word in _PLACED):
            self._placed()

    def requested(self, label: str) -> None:
        """This request is on its way."""
        if label in _LABELS:
            self._placed()

    def _placed(self) -> None:
        if self._hedging:
            self._pass("hedge-sent")
            return
        self._legs += 1
        self._pass(f"sent-{self._legs}")

    def stepped(self, event: Event) -> None:
        """The engine has seen this; what it made of it is not logged yet."""
        if isinstance(event, OrderAccepted):
            self._pass("acked")
        elif isinstance(event, OrderFilled):
            self._pass("filled")
