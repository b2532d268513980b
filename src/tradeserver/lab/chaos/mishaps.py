"""What goes wrong on the trader's own machine, as sentences beside the simulator's fault language.

    trader kill filled [count=2] [back=1s]     kill -9 at a point of `boundaries.py`, started again a second later
    trader kill now at=2s                      the same between two inputs
    trader freeze 5s at=150ms                  the event loop stands still
    trader wal "No space left on device"       every later write of the log fails, until the next start
    trader slow 300ms                          every later write of the log takes so long, until the next start
    trader tear 3                              the next start finds the last three records of the log gone
    trader poison 3                            the next start cannot fold in the last record of the log but two
    trader clock +2s                           the machine's clock is set
    trader press                               somebody else sets the kill latch
    trader say kill [hedge]                    the operator's word
    trader clear                               the operator lifts the kill latch
    trader stop [back=1s]                      an orderly end, and a start afterwards
    trader twin                                a second instance trades on the same accounts

`at=` is when, from the moment at which the sentence is armed; without it at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Final

from tradeserver.core.events import Operator
from tradeserver.lab.chaos.boundaries import POINTS
from tradeserver.lab.chaos.harness import Loop
from tradeserver.lab.chaos.timeline import SECOND
from tradeserver.simulator.fault_text import FaultError

WORD: Final = "trader"
_UNITS: Final = {"ms": 1_000_000, "s": SECOND, "m": 60 * SECOND}


class Mishap:
    """One sentence, read. Raises FaultError where it makes no sense."""

    def __init__(self, text: str) -> None:
        words = shlex.split(text)
        if len(words) < 2 or words[0] != WORD or words[1] not in _DO:
            raise FaultError(f"{text!r}: a mishap is `trader KIND ...`, KIND one of {', '.join(_DO)}")
        self.text = text
        self.kind = words[1]
        self.words = [word for word in words[2:] if "=" not in word]
        self.options = dict(word.split("=", 1) for word in words[2:] if "=" in word)
        self.at_ns = duration_ns(self.options.get("at", "0s"))

    def arm(self, loop: Loop) -> None:
        """Let it happen when its time comes."""
        loop.time.at(loop.time.now + self.at_ns, lambda: _DO[self.kind](self, loop))

    @property
    def back_ns(self) -> int:
        return duration_ns(self.options.get("back", "1s"))


def is_mishap(text: str) -> bool:
    """Whether this sentence is one of ours and not the simulator's."""
    return text.split(maxsplit=1)[0] == WORD


def duration_ns(text: str) -> int:
    """200ms, 5s, 2m, +2s. Raises FaultError."""
    digits = text.rstrip("ms")
    try:
        return int(float(digits) * _UNITS[text[len(digits) :]])
    except (KeyError, ValueError):
        raise FaultError(f"{text!r} is no duration; write 200ms, 5s or 2m") from None


def _kill(mishap: Mishap, loop: Loop) -> None:
    point = mishap.words[0] if mishap.words else "now"
    trader = loop.trader
    trader.back_ns = mishap.back_ns
    if point == "now":
        trader.kill()
    elif point in POINTS:
        trader.die_at(point, int(mishap.options.get("count", "1")))
    else:
        raise FaultError(f"{mishap.text!r}: no point {point!r}; there are now, {', '.join(POINTS)}")


def _freeze(mishap: Mishap, loop: Loop) -> None:
    loop.trader.freeze(duration_ns(mishap.words[0]))


def _wal(mishap: Mishap, loop: Loop) -> None:
    loop.trader.wal.failed = mishap.words[0]


def _slow(mishap: Mishap, loop: Loop) -> None:
    loop.trader.wal.slow_ns = duration_ns(mishap.words[0])


def _tear(mishap: Mishap, loop: Loop) -> None:
    loop.trader.wal.torn = int(mishap.words[0])


def _poison(mishap: Mishap, loop: Loop) -> None:
    loop.trader.poisoned = int(mishap.words[0])


def _clock(mishap: Mishap, loop: Loop) -> None:
    loop.trader.clock_step_ns += duration_ns(mishap.words[0])


def _press(mishap: Mishap, loop: Loop) -> None:
    loop.trader.press()


def _say(mishap: Mishap, loop: Loop) -> None:
    action, *rest = mishap.words
    if action == "kill" and not rest:
        loop.trader.press()  # as the daemon's own verb does, the latch first
    loop.trader.tell(Operator(ts=0, action=action, argument=rest[0] if rest else "", source="control"))


def _clear(mishap: Mishap, loop: Loop) -> None:
    """As the daemon's own verb does, the latch last."""
    loop.trader.tell(Operator(ts=0, action="clear", argument="kill", source="control"))
    loop.trader.release()


def _stop(mishap: Mishap, loop: Loop) -> None:
    """As `app` ends a run: nothing new, what is open is settled, then the last records and the end."""
    trader = loop.trader
    trader.tell(Operator(ts=0, action="stop", argument="asked to", source="shell"))
    give_up = loop.time.now + 10 * SECOND

    def end() -> None:
        desk = trader.engine.desk
        if (desk.arbitrages or desk.orders.live) and loop.time.now < give_up:
            loop.time.at(loop.time.now + SECOND // 100, end)
            return
        trader.tell(Operator(ts=0, action="end", argument="asked to", source="shell"))
        trader.kill()
        loop.time.at(loop.time.now + mishap.back_ns, trader.boot)

    end()


def _twin(mishap: Mishap, loop: Loop) -> None:
    loop.twin("S2")


_DO: Final[dict[str, Callable[[Mishap, Loop], None]]] = {
    "kill": _kill,
    "freeze": _freeze,
    "wal": _wal,
    "slow": _slow,
    "tear": _tear,
    "poison": _poison,
    "clock": _clock,
    "press": _press,
    "say": _say,
    "clear": _clear,
    "stop": _stop,
    "twin": _twin,
}
