"""A person's word: kill, pause, resume, clear. Each is recorded first, then becomes a trading state.

`kill` halts its scope by a latch and asks the venues to cancel; with the argument "hedge" only orders that shrink
exposure leave until no arbitrage is open, then it halts. `pause` stops new arbitrages in a scope, `resume` lifts that
pause; a kill is lifted by `clear` alone. Whether the source may say it (NATS may kill and pause, never resume) is
decided here too, in `ALLOWED`.
"""

from __future__ import annotations

from typing import Final

from tradeserver.core.commands import CancelAll
from tradeserver.core.desk import Desk
from tradeserver.core.events import Operator
from tradeserver.core.records import OperatorNoted, RunStopped, Severity, StateChanged, TradingState

KILL: Final = "kill"
PAUSE: Final = "pause"
STOPPING: Final = "stopping"
ALLOWED: Final[dict[str, frozenset[str]]] = {
    "nats": frozenset({"kill", "pause"}),
    "control": frozenset({"kill", "pause", "resume", "clear"}),
    "shell": frozenset({"stop", "end"}),
}


class OperatorDesk:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def on_operator(self, event: Operator) -> None:
        desk = self._desk
        desk.keep(
            OperatorNoted(
                ts=desk.ts, action=event.action, scope=event.scope, argument=event.argument, source=event.source
            )
        )
        if event.action not in ALLOWED.get(event.source, frozenset()):
            desk.alert(
                Severity.WARNING, "OPERATOR_REFUSED", f"{event.source} may not {event.action}; nothing was changed."
            )
            return
        if event.action == "kill":
            self._kill(event)
        elif event.action == "pause":
            self._set(event.scope, TradingState.NO_NEW, PAUSE, event.source)
        elif event.action == "resume":
            self._set(event.scope, TradingState.RUNNING, PAUSE, event.source)
        elif event.action == "clear":
            self._set(event.scope, TradingState.RUNNING, event.argument or KILL, event.source)
        elif event.action == "stop":
            self._set("global", TradingState.NO_NEW, STOPPING, event.argument)
        else:
            self._end(event.argument)

    def _kill(self, event: Operator) -> None:
        desk = self._desk
        hedge = event.argument == "hedge"
        self._set(event.scope, TradingState.HEDGE_ONLY if hedge else TradingState.HALTED, KILL, event.source)
        for venue, symbol in desk.market.symbols:
            kind, _, name = event.scope.partition(":")
            if {"venue": venue, "symbol": symbol}.get(kind, name) == name:
                desk.commands.append(CancelAll(venue=venue, symbol=symbol))
        desk.alert(Severity.CRITICAL, "KILLED", f"{event.source} said kill: {len(desk.orders.live)} orders were live.")

    def _end(self, reason: str) -> None:
        """The last records of an orderly end: open episodes are closed and the run is over."""
        desk = self._desk
        for direction in list(desk.opportunities.open):
            closed = desk.opportunities.end(direction, desk.ts)
            if closed is not None:
                desk.keep(closed)
        desk.keep(RunStopped(ts=desk.ts, reason=reason))

    def advance(self) -> None:
        """A kill that waits for hedges is complete once no arbitrage is open."""
        if self._desk.arbitrages:
            return
        for entry in self._desk.states.entries():
            if entry.reason == KILL and entry.state is TradingState.HEDGE_ONLY:
                self._set(entry.scope, TradingState.HALTED, KILL, entry.by)

    def _set(self, scope: str, state: TradingState, reason: str, by: str) -> None:
        self._desk.keep(StateChanged(ts=self._desk.ts, scope=scope, state=state, reason=reason, by=by))
