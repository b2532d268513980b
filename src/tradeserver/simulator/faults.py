"""The fault language: what shall go wrong, where, how often and when. Sans-I/O, with dice and time passed in.

    KIND VENUE.CHANNEL [DURATION] [PROBABILITY%] [name=value ...]

    drop kucoin.user 5%                          each frame to clients is lost with 5 %
    drop binance.orders side=in first=1          the next request never reaches the venue
    drop binance.market match=depthUpdate for=5s frames with that text are lost for 5 s: a silent stream
    delay binance.orders 200ms                   answers come 200 ms late (in order)
    duplicate kucoin.user 10%                    frames are sent twice
    refuse binance.orders code=-2010 first=3     the next three placements are refused with this code (and msg="...")
    stall binance.market 5s after=20s every=60s  nothing is sent for 5 s; what piled up then comes in one burst
    disconnect kucoin.orders at=30s every=60s    every connection of that channel is cut

VENUE and CHANNEL may be `*`; a venue alone means all its channels. Channels: market, user, orders (connections, and
HTTP requests that place or cancel), rest (other HTTP). Durations: 200ms, 5s, 2m. Options: `after=` begins later,
`for=` ends again, `first=` stops after so many hits, `match=` only what contains this text, `side=in` what clients
send (drop only), `at=` the same as `after=`, `every=` repeats a stall or disconnect. All times count from when the
fault was added.

`server.py` asks `on_out`, `on_in` and `disconnects`; a venue's front asks `refusal` before it places an order.
"""

from __future__ import annotations

import random
import shlex
from typing import Final

import msgspec

KINDS: Final = ("drop", "delay", "duplicate", "refuse", "stall", "disconnect")
CHANNELS: Final = ("market", "user", "orders", "rest", "*")
_UNITS: Final = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000}
_OPTIONS: Final = {
    "drop": {"after", "at", "for", "first", "match", "side"},
    "delay": {"after", "at", "for", "first", "match"},
    "duplicate": {"after", "at", "for", "first", "match"},
    "refuse": {"after", "at", "for", "first", "match", "code", "msg"},
    "stall": {"after", "at", "every"},
    "disconnect": {"after", "at", "every"},
}


class FaultError(ValueError):
    """The text is not a fault; the message says why, in one sentence."""


class Fault(msgspec.Struct, kw_only=True):
    """One fault. Times are relative to `since_ns`; 0 means unset."""

    text: str
    kind: str
    venue: str
    channel: str
    since_ns: int = 0
    duration_ns: int = 0
    probability: float = 1.0
    after_ns: int = 0
    for_ns: int = 0
    every_ns: int = 0
    first: int = 0
    match: str = ""
    side: str = "out"
    code: str = ""
    msg: str = ""
    hits: int = 0

    def concerns(self, venue: str, channel: str) -> bool:
        """Whether it is about this place."""
        return self.venue in ("*", venue) and self.channel in ("*", channel)

    def active(self, now_ns: int) -> bool:
        """Whether its time is now and its `first` is not used up."""
        passed = now_ns - self.since_ns - self.after_ns
        return passed >= 0 and (not self.for_ns or passed < self.for_ns) and (not self.first or self.hits < self.first)

    def stalled_until(self, now_ns: int) -> int:
        """The end of the stall that is on now, else 0."""
        passed = now_ns - self.since_ns - self.after_ns
        if passed < 0:
            return 0
        round_ns = passed // self.every_ns * self.every_ns if self.every_ns else 0
        end = round_ns + self.duration_ns
        return self.since_ns + self.after_ns + end if passed < end else 0


class Action(msgspec.Struct, frozen=True):
    """What becomes of something that is sent: how many copies, and not before when."""

    copies: int = 1
    not_before_ns: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """Refuse this placement with the venue's code; `msg` may be empty (the front has the venue's own text)."""

    code: str
    msg: str


SEND: Final = Action()


class Faults:
    """The faults of one simulator and their dice."""

    def __init__(self, rng: random.Random) -> None:
        self.faults: list[Fault] = []
        self._rng = rng

    def add(self, text: str, now_ns: int) -> Fault:
        """Parse and arm a fault. Raises FaultError."""
        fault = parse(text)
        fault.since_ns = now_ns
        self.faults.append(fault)
        return fault

    def clear(self) -> None:
        """No faults from here."""
        self.faults.clear()

    def on_out(self, venue: str, channel: str, text: str, now_ns: int) -> Action:
        """What becomes of this frame or answer to a client."""
        if not self.faults:
            return SEND
        copies, not_before = 1, 0
        for fault in self.faults:
            if not fault.concerns(venue, channel):
                continue
            if fault.kind == "stall":
                not_before = max(not_before, fault.stalled_until(now_ns))
            elif fault.kind == "drop" and fault.side == "out" and self._hits(fault, text, now_ns):
                copies = 0
            elif fault.kind == "delay" and self._hits(fault, text, now_ns):
                not_before = max(not_before, now_ns + fault.duration_ns)
            elif fault.kind == "duplicate" and self._hits(fault, text, now_ns):
                copies *= 2
        return Action(copies, not_before)

    def on_in(self, venue: str, channel: str, text: str, now_ns: int) -> bool:
        """Whether this frame or request of a client reaches the venue."""
        return not any(
            fault.kind == "drop"
            and fault.side == "in"
            and fault.concerns(venue, channel)
            and self._hits(fault, text, now_ns)
            for fault in self.faults
        )

    def refusal(self, venue: str, text: str, now_ns: int) -> Refusal | None:
        """Whether this placement is refused without being looked at; `text` is what the client sent, for `match=`."""
        for fault in self.faults:
            if fault.kind == "refuse" and fault.concerns(venue, "orders") and self._hits(fault, text, now_ns):
                return Refusal(fault.code, fault.msg)
        return None

    def disconnects(self, now_ns: int) -> list[tuple[str, str]]:
        """The (venue, channel) pairs, `*` possible, whose connections are to be cut now; each due moment is told
        once.
        """
        due = []
        for fault in self.faults:
            passed = now_ns - fault.since_ns - fault.after_ns
            if fault.kind != "disconnect" or passed < 0:
                continue
            rounds = passed // fault.every_ns + 1 if fault.every_ns else 1
            if rounds > fault.hits:
                fault.hits = rounds
                due.append((fault.venue, fault.channel))
        return due

    def _hits(self, fault: Fault, text: str, now_ns: int) -> bool:
        if not fault.active(now_ns) or (fault.match and fault.match not in text):
            return False
        if fault.probability < 1.0 and self._rng.random() >= fault.probability:
            return False
        fault.hits += 1
        return True


def parse(text: str) -> Fault:
    """The fault that `text` describes, unarmed. Raises FaultError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise FaultError(f"{text!r}: {error}") from None
    if len(words) < 2 or words[0] not in KINDS:
        raise FaultError(f"{text!r}: a fault is KIND VENUE.CHANNEL ..., KIND one of {', '.join(KINDS)}")
    venue, _, channel = words[1].partition(".")
    fault = Fault(text=text, kind=words[0], venue=venue, channel=channel or "*")
    if fault.channel not in CHANNELS:
        raise FaultError(f"{text!r}: no channel {channel!r}; there are {', '.join(CHANNELS)}")
    if fault.venue not in ("binance", "kucoin", "*"):
        raise FaultError(f"{text!r}: no venue {venue!r}; there are binance, kucoin, *")
    for word in words[2:]:
        _apply(fault, word)
    _check(fault)
    return fault


def _apply(fault: Fault, word: str) -> None:
    """One word after the place: an option, a probability or a duration."""
    name, equals, value = word.partition("=")
    if not equals:
        if word.endswith("%"):
            fault.probability = _number(fault, word[:-1], word) / 100
        else:
            fault.duration_ns = _duration(fault, word)
        return
    if name not in _OPTIONS[fault.kind]:
        allowed = ", ".join(sorted(_OPTIONS[fault.kind]))
        raise FaultError(f"{fault.text!r}: {fault.kind} has no option {name!r}; it has {allowed}")
    if name in ("after", "at", "for", "every"):
        setattr(fault, {"at": "after_ns"}.get(name, f"{name}_ns"), _duration(fault, value))
    elif name == "first":
        fault.first = int(_number(fault, value, word))
    else:
        setattr(fault, name, value)


def _check(fault: Fault) -> None:
    if fault.kind in ("delay", "stall") and not fault.duration_ns:
        raise FaultError(f"{fault.text!r}: {fault.kind} needs a duration, such as 200ms")
    if fault.kind not in ("delay", "stall") and fault.duration_ns:
        raise FaultError(f"{fault.text!r}: {fault.kind} takes no duration; for= limits how long it is on")
    if fault.kind in ("stall", "disconnect") and fault.probability < 1:
        raise FaultError(f"{fault.text!r}: {fault.kind} takes no probability")
    if not 0 <= fault.probability <= 1:
        raise FaultError(f"{fault.text!r}: a probability lies between 0% and 100%")
    if fault.kind == "refuse" and not fault.code:
        raise FaultError(f"{fault.text!r}: refuse needs code=, the venue's own")
    if fault.kind == "refuse" and fault.channel not in ("orders", "*"):
        raise FaultError(f"{fault.text!r}: only orders can be refused")
    if fault.side not in ("in", "out"):
        raise FaultError(f"{fault.text!r}: side is in or out")


def _number(fault: Fault, text: str, word: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FaultError(f"{fault.text!r}: {word!r} has no number") from None


def _duration(fault: Fault, word: str) -> int:
    digits = word.rstrip("ms")
    unit = _UNITS.get(word[len(digits) :])
    if unit is None or not digits:
        raise FaultError(f"{fault.text!r}: {word!r} is no duration; write 200ms, 5s or 2m")
    return int(_number(fault, digits, word) * unit)
