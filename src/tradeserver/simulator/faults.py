"""What the faults mean for a frame, a request or a placement. Sans-I/O, with dice and time passed in.

The language is in `fault_text.py`. Who carries frames (`server.py`, or a loop under simulated time) asks `on_out`,
`on_in`, `rewritten`, `answer`, `reach` and `disconnects`; a venue's front asks `refusal` before it places an order and
`afterthought` behind it; the exchange asks `share`; the world asks `skew_ns` and `moments`. `witness` is told of each
hit.
"""

from __future__ import annotations

import enum
import random
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.simulator.fault_text import KINDS, Fault, FaultError, parse

__all__ = ("SEND", "Action", "Answer", "Fault", "FaultError", "Faults", "Reach", "Refusal", "parse")


class Action(msgspec.Struct, frozen=True):
    """What becomes of something that is sent: how many copies, and not before when. `overtaken`: others may pass."""

    copies: int = 1
    not_before_ns: int = 0
    overtaken: bool = False


class Refusal(msgspec.Struct, frozen=True):
    """Refuse this placement with the venue's code; `msg` may be empty (the front has the venue's own text)."""

    code: str
    msg: str


class Answer(msgspec.Struct, frozen=True):
    """Give this HTTP answer instead of the venue's own."""

    status: int
    body: str


class Reach(enum.Enum):
    """Whether a channel can be reached now."""

    OPEN = "open"
    BLACKHOLE = "blackhole"  # bytes go out and nothing returns
    UNREACHABLE = "unreachable"  # no connection can be had


SEND: Final = Action()

Witness = Callable[[Fault, str, str, str, int], None]
"""(fault, venue, channel, text, now) of each hit."""


class Faults:
    """The faults of one simulator and their dice."""

    def __init__(self, rng: random.Random) -> None:
        self.faults: list[Fault] = []
        self.witness: Witness | None = None
        self._rng = rng

    def add(self, text: str, now_ns: int) -> Fault:
        """Parse and arm a fault. Raises FaultError."""
        fault = parse(text)
        fault.since_ns = now_ns
        self.faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """This one is over."""
        self.faults = [other for other in self.faults if other is not fault]

    def clear(self) -> None:
        """No faults from here."""
        self.faults.clear()

    # ---- on the way -------------------------------------------------------------------------------------------------

    def on_out(self, venue: str, channel: str, text: str, now_ns: int) -> Action:
        """What becomes of this frame or answer to a client."""
        if not self.faults:
            return SEND
        copies, not_before, overtaken = 1, 0, False
        for fault in self.faults:
            if not fault.concerns(venue, channel):
                continue
            kind = fault.kind
            if kind == "stall":
                end = fault.stalled_until(now_ns)
                if end:
                    not_before = max(not_before, end)
                    self._saw(fault, venue, channel, text, now_ns)
            elif (kind == "blackhole" and self._on(fault, venue, channel, text, now_ns)) or (
                kind == "drop" and fault.side == "out" and self._hits(fault, venue, channel, text, now_ns)
            ):
                copies = 0
            elif kind in ("delay", "reorder") and self._hits(fault, venue, channel, text, now_ns):
                not_before = max(not_before, now_ns + fault.duration_ns)
                overtaken = overtaken or kind == "reorder"
            elif kind == "duplicate" and self._hits(fault, venue, channel, text, now_ns):
                copies *= 2
        return Action(copies, not_before, overtaken)

    def on_in(self, venue: str, channel: str, text: str, now_ns: int) -> bool:
        """Whether this frame or request of a client reaches the venue."""
        for fault in self.faults:
            if not fault.concerns(venue, channel):
                continue
            if fault.kind == "blackhole" and self._on(fault, venue, channel, text, now_ns):
                return False
            if fault.kind == "drop" and fault.side == "in" and self._hits(fault, venue, channel, text, now_ns):
                return False
        return True

    def rewritten(self, venue: str, channel: str, text: str, now_ns: int) -> str:
        """The frame or answer as it is changed on its way to a client."""
        for fault in self.faults:
            if fault.kind != "rewrite" or not fault.concerns(venue, channel) or not fault.active(now_ns):
                continue
            changed = re.sub(fault.options["find"], fault.options.get("with", ""), text)
            if changed != text and self._hits(fault, venue, channel, text, now_ns):
                text = changed
        return text

    def answer(self, venue: str, channel: str, text: str, now_ns: int, side: str) -> Answer | None:
        """The HTTP answer that stands for the venue's own: `side` "in" instead of doing it, "out" having done it."""
        for fault in self.faults:
            if (
                fault.kind == "answer"
                and fault.side == side
                and "status" in fault.options
                and fault.concerns(venue, channel)
                and self._hits(fault, venue, channel, text, now_ns)
            ):
                return Answer(int(fault.options["status"]), fault.options.get("body", "<html></html>"))
        return None

    def reach(self, venue: str, channel: str, now_ns: int) -> Reach:
        """Whether that channel can be reached; a request's channel is "rest" or "orders"."""
        for fault in self.faults:
            if fault.kind in ("blackhole", "unreachable") and self._on(fault, venue, channel, "", now_ns):
                return Reach(fault.kind)
        return Reach.OPEN

    def disconnects(self, now_ns: int) -> list[tuple[str, str]]:
        """The (venue, channel) pairs, `*` possible, whose connections are to be cut now; each due moment is told
        once.
        """
        due = []
        for fault in self.faults:
            if fault.kind == "disconnect" and fault.due(now_ns):
                self._saw(fault, fault.venue, fault.channel, "", now_ns)
                due.append((fault.venue, fault.channel))
        return due

    # ---- at the venue -----------------------------------------------------------------------------------------------

    def refusal(self, venue: str, text: str, now_ns: int) -> Refusal | None:
        """Whether this placement is refused without being looked at; `text` is what the client sent, for `match=`."""
        return self._code("refuse", venue, text, now_ns)

    def afterthought(self, venue: str, text: str, now_ns: int) -> Refusal | None:
        """Whether this placement, carried out, is answered with an error."""
        return self._code("answer", venue, text, now_ns)

    def _code(self, kind: str, venue: str, text: str, now_ns: int) -> Refusal | None:
        for fault in self.faults:
            if (
                fault.kind == kind
                and "code" in fault.options
                and fault.concerns(venue, "orders")
                and self._hits(fault, venue, "orders", text, now_ns)
            ):
                return Refusal(fault.options["code"], fault.options.get("msg", ""))
        return None

    def share(self, venue: str, text: str, now_ns: int) -> Decimal:
        """How much of this placement's quantity may find a match at once; `text` is "symbol side client id"."""
        for fault in self.faults:
            if (
                fault.kind == "partial"
                and fault.concerns(venue, "orders")
                and self._hits(fault, venue, "orders", text, now_ns)
            ):
                return Decimal(fault.options["share"])
        return Decimal(1)

    def skew_ns(self, venue: str, now_ns: int) -> int:
        """How far the venue's clock is ahead."""
        return sum(
            fault.duration_ns
            for fault in self.faults
            if fault.kind == "skew" and fault.concerns(venue, "*") and fault.active(now_ns)
        )

    def moments(self, now_ns: int) -> list[Fault]:
        """What is to happen now, each due moment once."""
        if not self.faults:
            return []
        due = [fault for fault in self.faults if KINDS[fault.kind].moment and fault.due(now_ns)]
        for fault in due:
            self._saw(fault, fault.venue, fault.channel, "", now_ns)
        return due

    # ---- hits -------------------------------------------------------------------------------------------------------

    def _hits(self, fault: Fault, venue: str, channel: str, text: str, now_ns: int) -> bool:
        if not fault.active(now_ns) or (fault.match and fault.match not in text):
            return False
        if fault.probability < 1.0 and self._rng.random() >= fault.probability:
            return False
        fault.hits += 1
        self._saw(fault, venue, channel, text, now_ns)
        return True

    def _on(self, fault: Fault, venue: str, channel: str, text: str, now_ns: int) -> bool:
        """A lasting fault: every question while it is on is a hit."""
        return fault.concerns(venue, channel) and self._hits(fault, venue, channel, text, now_ns)

    def _saw(self, fault: Fault, venue: str, channel: str, text: str, now_ns: int) -> None:
        if self.witness is not None:
            self.witness(fault, venue, channel, text, now_ns)
