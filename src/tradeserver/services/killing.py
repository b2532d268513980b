"""The daemon's side of a kill: the latch, the operator's verbs, SIGUSR1, and the two kept in step.

The latch first: it holds even if everything behind it fails. It is a byte that anybody of ours may set without asking
the loop, so each tick compares it with the engine: a latch that the engine does not know becomes a kill, and an engine
that has halted by itself (a `kill --hedge` that is flat) sets the latch. Only `clear` clears both.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, Final

from tradeserver.core.engine import Engine
from tradeserver.core.events import KillVerified, Operator
from tradeserver.core.killswitch import KILL
from tradeserver.core.operator import ALLOWED, ASSET, DUST
from tradeserver.core.records import KillReported, TradingState
from tradeserver.runtime.latch import FileLatch
from tradeserver.runtime.reactor import Reactor
from tradeserver.services import layout
from tradeserver.services.control import Handler
from tradeserver.services.faults import NotFoundError, OperatorError

ASKED_WITHIN: Final = 5
"""Ticks in which whoever set the latch may ask us too, and so say who it is. Nothing leaves meanwhile."""
LATCH: Final = "latch"
SIGNAL: Final = "signal"


class KillDoor:
    """See the module. `after_tick` is called after each tick, the rest by the control socket."""

    def __init__(self, engine: Engine, reactor: Reactor, latch: FileLatch, state: Path) -> None:
        self._engine = engine
        self._reactor = reactor
        self._latch = latch
        self._state = state
        self._presser = LATCH  # who set a latch that the engine does not know yet
        self._unasked = 0  # ticks since such a latch was seen

    def verbs(self) -> dict[str, Handler]:
        """For the control socket."""
        return {"kill": self.kill, "killed": self.killed, "clear": self.clear}

    def on_signal(self) -> None:
        """SIGUSR1 kills: from here on. Python runs the handler between two instructions, whatever the loop does."""

        def pressed(number: int, frame: object) -> None:
            self._presser = SIGNAL
            self._latch.press()

        signal.signal(signal.SIGUSR1, pressed)

    def after_tick(self) -> None:
        """Latch and engine in step."""
        killed, latched = self._engine.killed, self._latch.set
        if killed == latched:
            self._unasked = 0
        elif killed:
            self._latch.press()
        elif self._reactor.failure is None:
            self._unasked += 1
            if self._presser == SIGNAL or self._unasked > ASKED_WITHIN:
                by, self._presser = self._presser, LATCH
                self._reactor.tell(Operator(ts=0, action="kill", source=by))

    def kill(self, hedge: bool = False, source: str = "control") -> dict[str, Any]:
        """Stop, cancel, prove; with `hedge` let the hedges through first. Answers at once: see `killed`."""
        if "kill" not in ALLOWED.get(source, ()):
            raise OperatorError(f"nobody called {source!r} may kill")
        if not hedge:
            self._latch.press()
        live = list(self._engine.desk.orders.live)
        self._reactor.tell(Operator(ts=0, action="kill", argument="hedge" if hedge else "", source=source))
        return {**self.killed(), "orders_live": live}

    def killed(self) -> dict[str, Any]:
        """How far the kill is. `report` is None where none was begun in this run."""
        entries = [e for e in self._engine.desk.states.entries() if e.reason == KILL]
        hedging = any(e.state is TradingState.HEDGE_ONLY for e in entries)
        return {
            "under_way": hedging or self._engine.kills.under_way,
            "hedging": hedging,
            "latched": self._latch.set,
            "states": [{"scope": e.scope, "state": e.state.value, "reason": e.reason, "by": e.by} for e in entries],
            "report": self._engine.kills.progress(),
        }

    def clear(self, scope: str = "global", reason: str = KILL) -> dict[str, Any]:
        """Lift one latch, by its scope and reason. Raises NotFoundError where there is none such."""
        states = self._engine.desk.states
        if reason == DUST:
            dust = {f"{ASSET}{asset}": amount for asset, amount in self._engine.desk.dust.items()}
            if scope not in dust:
                raise NotFoundError(f"nothing is carried in scope {scope}; carried is {', '.join(dust) or 'nothing'}")
        elif not states.has(scope, reason):
            known = ", ".join(f"{e.reason!r} in scope {e.scope}" for e in states.entries()) or "none at all"
            raise NotFoundError(f"there is no latch {reason!r} in scope {scope}; there is {known}")
        if reason == KILL and scope == "global":
            if layout.stop_file(self._state).exists():
                raise OperatorError(f"the stop file {layout.stop_file(self._state)} is there: remove it first")
            self._latch.clear()
        self._reactor.tell(Operator(ts=0, action="clear", scope=scope, argument=reason))
        return {"states": [{"scope": e.scope, "state": e.state.value, "reason": e.reason} for e in states.entries()]}

    def verified(self, report: KillReported) -> None:
        """The guard killed while we could not."""
        self._reactor.tell(KillVerified(ts=0, report=report))
