"""The fault language: sentences that say what shall go wrong, where, how often and when; parsed into `Fault`s.

    KIND VENUE[.CHANNEL] [DURATION] [PROBABILITY%] [name=value ...]

What becomes of frames, requests and answers:

    drop kucoin.user 5%                          each frame to clients is lost with 5 %
    drop binance.orders side=in first=1          the next request never reaches the venue
    drop binance.market match=depthUpdate for=5s frames with that text are lost for 5 s: a silent stream
    delay binance.orders 200ms                   answers come 200 ms late (in order)
    reorder kucoin.user 50ms 20%                 frames come 50 ms late and those behind them overtake
    duplicate kucoin.user 10%                    frames are sent twice
    rewrite binance.orders find='"FILLED"' with='"MELTED"' first=1      text is changed on its way to clients (regex)
    answer binance.rest status=502 body="<html>" first=1   carried out, but answered so (HTTP); side=in: not carried out
    answer binance.orders code=-1007 first=1     a placement is carried out, then answered with this code
    stall binance.market 5s after=20s every=60s  nothing is sent for 5 s; what piled up then comes in one burst
    disconnect kucoin.orders at=30s every=60s    every connection of that channel is cut
    blackhole binance for=10s                    bytes are taken and nothing comes back, new connections hang
    unreachable binance for=30m                  nobody can connect any more (names, routes); what is connected goes on

What the venue does:

    refuse binance.orders code=-2010 first=3     the next three placements are refused with this code (and msg="...")
    partial kucoin.orders share=0.4 50%          a placement finds a match for this share of its quantity at most
    skew binance +2s for=30s                     the venue's clock is ahead (or, with -2s, behind)
    throttle binance 10s                         429 with Retry-After for that long; whoever goes on is banned
    ban binance 2m                               418 (Binance only)

What happens at one moment (or again, with `every=`):

    status binance symbol=XRP/USDT to=halted     or trading, cancel_only
    rules kucoin symbol=XRP/USDT tick=0.001      also lot=, min_quantity=, min_notional=
    fees binance taker=0.002                     the account's rates change (maker= too)
    balance binance asset=XRP change=-500        the operator's hand: a transfer
    foreign kucoin symbol=XRP/USDT side=sell quantity=20 [price=2.1]    an order of somebody else on the same account
    vanish binance symbol=XRP/USDT share=0.9     that share of what participants offer is withdrawn
    shutdown binance [1s]                        the venue says that it is about to go (Binance only); then whoever was
                                                 told is cut that much later, and others are not
    expire kucoin.user                           the venue ends the user stream with its own words

VENUE and CHANNEL may be `*`; a venue alone means all its channels. Channels: market, user, orders (connections, and
HTTP requests that place or cancel), rest (other HTTP). Durations: 200ms, 5s, 2m. Options: `after=` begins later,
`for=` ends again, `first=` stops after so many hits, `match=` only what contains this text, `side=in` what clients
send, `at=` the same as `after=`, `every=` repeats. All times count from when the fault was added.

This module reads sentences; `faults.py` says what they mean for a frame, `happenings.py` lets them happen.
"""

from __future__ import annotations

import re
import shlex
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

import msgspec

VENUES: Final = ("binance", "kucoin", "*")
CHANNELS: Final = ("market", "user", "orders", "rest", "*")
_UNITS: Final = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000}
_SPAN: Final = ("after", "at", "for")
_SOME: Final = (*_SPAN, "first", "match")


class Kind(NamedTuple):
    """What a sentence of this kind may and must say."""

    options: tuple[str, ...]
    needs: tuple[str, ...] = ()
    duration: str = ""  # "", "may" or "must"
    chance: bool = False  # takes a probability
    channels: tuple[str, ...] = CHANNELS
    venues: tuple[str, ...] = VENUES
    moment: bool = False  # happens at one moment


_AT: Final = ("after", "at", "every")
_VENUE: Final = ("*",)
KINDS: Final = {
    "drop": Kind((*_SOME, "side"), chance=True),
    "delay": Kind(_SOME, duration="must", chance=True),
    "reorder": Kind(_SOME, duration="must", chance=True),
    "duplicate": Kind(_SOME, chance=True),
    "rewrite": Kind((*_SOME, "find", "with"), ("find",), chance=True),
    "answer": Kind((*_SOME, "status", "body", "code", "msg", "side"), chance=True, channels=("orders", "rest", "*")),
    "stall": Kind(_AT, duration="must"),
    "disconnect": Kind(_AT),
    "blackhole": Kind(_SPAN),
    "unreachable": Kind(_SPAN),
    "refuse": Kind((*_SOME, "code", "msg"), ("code",), chance=True, channels=("orders", "*")),
    "partial": Kind((*_SOME, "share"), ("share",), chance=True, channels=("orders", "*")),
    "skew": Kind(_SPAN, duration="must", channels=_VENUE),
    "throttle": Kind(_AT, duration="must", channels=_VENUE, moment=True),
    "ban": Kind(_AT, duration="must", channels=_VENUE, venues=("binance",), moment=True),
    "status": Kind((*_AT, "symbol", "to"), ("symbol", "to"), channels=_VENUE, moment=True),
    "rules": Kind(
        (*_AT, "symbol", "tick", "lot", "min_quantity", "min_notional"), ("symbol",), channels=_VENUE, moment=True
    ),
    "fees": Kind((*_AT, "taker", "maker"), ("taker",), channels=_VENUE, moment=True),
    "balance": Kind((*_AT, "asset", "change"), ("asset", "change"), channels=_VENUE, moment=True),
    "foreign": Kind(
        (*_AT, "symbol", "side", "quantity", "price"), ("symbol", "side", "quantity"), channels=_VENUE, moment=True
    ),
    "vanish": Kind((*_AT, "symbol", "share"), ("symbol", "share"), channels=_VENUE, moment=True),
    "shutdown": Kind(_AT, duration="may", channels=_VENUE, venues=("binance",), moment=True),
    "expire": Kind(_AT, channels=("user",), venues=("binance", "kucoin"), moment=True),
}
_TIMES: Final = {"after": "after_ns", "at": "after_ns", "for": "for_ns", "every": "every_ns"}
_NUMBERS: Final = (
    *("share", "tick", "lot", "min_quantity", "min_notional", "taker", "maker", "change", "quantity", "price"),
    "status",
)
_WORDS: Final = {"to": ("trading", "halted", "cancel_only")}
_SIDES: Final = {"foreign": ("buy", "sell")}


class FaultError(ValueError):
    """The text is not a fault; the message says why, in one sentence."""


class Fault(msgspec.Struct, kw_only=True):
    """One fault. Times are relative to `since_ns`; 0 means unset. `options` are those of its kind, as written."""

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
    options: dict[str, str] = {}
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

    def due(self, now_ns: int) -> bool:
        """Whether a moment of it has come that was not told before; telling is a hit. Rounds unseen count as one."""
        passed = now_ns - self.since_ns - self.after_ns
        if passed < 0:
            return False
        rounds = passed // self.every_ns + 1 if self.every_ns else 1
        told, self.hits = self.hits, max(self.hits, rounds)
        return rounds > told

    def number(self, name: str) -> Decimal | None:
        """An option that is a number; None where it was not given."""
        value = self.options.get(name)
        return None if value is None else Decimal(value)


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
    if fault.venue not in VENUES:
        raise FaultError(f"{text!r}: no venue {venue!r}; there are binance, kucoin, *")
    for word in words[2:]:
        _apply(fault, word)
    _check(fault, KINDS[fault.kind])
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
    allowed = KINDS[fault.kind].options
    if name not in allowed:
        listed = ", ".join(sorted(allowed))
        raise FaultError(f"{fault.text!r}: {fault.kind} has no option {name!r}; it has {listed}")
    if name in _TIMES:
        setattr(fault, _TIMES[name], _duration(fault, value))
    elif name == "first":
        fault.first = int(_number(fault, value, word))
    elif name == "match":
        fault.match = value
    elif name == "side":
        fault.side = value
    else:
        fault.options[name] = value


def _check(fault: Fault, kind: Kind) -> None:
    text, name = fault.text, fault.kind
    if kind.duration == "must" and not fault.duration_ns:
        raise FaultError(f"{text!r}: {name} needs a duration, such as 200ms")
    if not kind.duration and fault.duration_ns:
        raise FaultError(f"{text!r}: {name} takes no duration; for= limits how long it is on")
    if fault.duration_ns < 0 and name != "skew":
        raise FaultError(f"{text!r}: only a skew may be negative")
    if not kind.chance and fault.probability < 1:
        raise FaultError(f"{text!r}: {name} takes no probability")
    if not 0 <= fault.probability <= 1:
        raise FaultError(f"{text!r}: a probability lies between 0% and 100%")
    for need in kind.needs:
        if need not in fault.options and need != "side":
            raise FaultError(f"{text!r}: {name} needs {need}=" + (", the venue's own" if need == "code" else ""))
    if fault.channel not in kind.channels:
        what = "only orders can be refused" if name == "refuse" else f"{name} is for {', '.join(kind.channels)}"
        raise FaultError(f"{text!r}: {what}")
    if fault.venue not in kind.venues:
        raise FaultError(f"{text!r}: {name} is for {', '.join(kind.venues)}")
    sides = _SIDES.get(name, ("in", "out"))
    if fault.side not in sides:
        raise FaultError(f"{text!r}: side is {' or '.join(sides)}")
    _check_options(fault)


def _check_options(fault: Fault) -> None:
    for name, value in fault.options.items():
        if name in _NUMBERS:
            try:
                Decimal(value)
            except InvalidOperation:
                raise FaultError(f"{fault.text!r}: {name}={value!r} is no number") from None
        if name in _WORDS and value not in _WORDS[name]:
            raise FaultError(f"{fault.text!r}: {name} is {', '.join(_WORDS[name])}")
    if "find" in fault.options:
        try:
            re.compile(fault.options["find"])
        except re.error as error:
            raise FaultError(f"{fault.text!r}: find is no regular expression: {error}") from None
    if fault.kind == "answer" and ("status" in fault.options) == ("code" in fault.options):
        raise FaultError(f"{fault.text!r}: answer needs either status= (HTTP) or code= (a placement's)")


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
