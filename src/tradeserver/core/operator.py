"""A person's word: kill, pause, resume, clear. Each is recorded first, then becomes a trading state.

`kill` halts its scope by a latch; what follows, cancels and the proof, is `core/killswitch.py`. With the argument
"hedge" only orders that shrink exposure leave until no arbitrage is open, then it halts. A kill is never made milder by
another one. `pause` stops new arbitrages in a scope, `resume` lifts that pause; a kill is lifted by `clear` alone.
Whether the source may say it (NATS may kill and pause, never resume) is decided here too, in `ALLOWED`. The shell says
whether the guard is there: without it nothing new is opened.
"""

from __future__ import annotations

from typing import Final

from tradeserver.core.desk import Desk
from tradeserver.core.events import Operator
from tradeserver.core.killswitch import KILL, KillSwitch
from tradeserver.core.records import DustCleared, OperatorNoted, RunStopped, Severity, StateChanged, TradingState

PAUSE: Final = "pause"
STOPPING: Final = "stopping"
DUST: Final = "dust"
ASSET: Final = "asset:"
GUARD: Final = "guard"
STARTING: Final = "starting"
"""What the shell says of a guard that has not answered yet: nothing is opened, nobody is alarmed."""

ALLOWED: Final[dict[str, frozenset[str]]] = {
    "nats": frozenset({"kill", "pause"}),
    "control": frozenset({"kill", "pause", "resume", "clear"}),
    "guard": frozenset({"kill"}),
    "stop file": frozenset({"kill"}),
    "signal": frozenset({"kill"}),
    "latch": frozenset({"kill"}),  # somebody set the byte without asking us
    "shell": frozenset({"stop", "end", "guard", "switch off"}),
}


class OperatorDesk:
    """See the module."""

    def __init__(self, desk: Desk, kills: KillSwitch) -> None:
        self._desk = desk
        self._kills = kills
        self._alarmed = False  # about the guard

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
            self._clear(event)
        elif event.action == "guard":
            self._guard(event.argument)
        elif event.action == "stop":
            self._set("global", TradingState.NO_NEW, STOPPING, event.argument)
        elif event.action == "end":
            self._end(event.argument)

    def _kill(self, event: Operator) -> None:
        desk = self._desk
        halted = any(
            e.scope == event.scope and e.reason == KILL and e.state is TradingState.HALTED
            for e in desk.states.entries()
        )
        hedge = event.argument == "hedge" and not halted
        if not halted:
            self._set(event.scope, TradingState.HEDGE_ONLY if hedge else TradingState.HALTED, KILL, event.source)
            what = "kill --hedge" if hedge else "kill"
            text = f"{event.source} said {what}: {len(desk.orders.live)} orders were live."
            desk.alert(Severity.CRITICAL, "KILLED", text)
        if not hedge:
            self._kills.begin(event.scope, event.source)
            self._kills.advance()

    def _clear(self, event: Operator) -> None:
        """Lift a latch; or, in the scope of an asset, forget dust that a person has levelled outside."""
        desk = self._desk
        if event.argument == DUST:
            asset = event.scope.removeprefix(ASSET)
            if amount := desk.dust.get(asset):
                desk.keep(DustCleared(ts=desk.ts, asset=asset, amount=amount, by=event.source))
            return
        self._set(event.scope, TradingState.RUNNING, event.argument or KILL, event.source)
        if (event.argument or KILL) == KILL:
            self._kills.end(event.scope)

    def _guard(self, away: str) -> None:
        """The guard is there (""), is being started, or is away for this reason."""
        desk = self._desk
        known = desk.states.has("global", GUARD)
        if not away:
            if known:
                self._set("global", TradingState.RUNNING, GUARD, "shell")
            if self._alarmed:
                self._alarmed = False
                desk.alert(Severity.INFO, "GUARD_BACK", "The guard is there again.")
            return
        if not known:
            self._set("global", TradingState.NO_NEW, GUARD, away)
        if away != STARTING:
            self._alarmed = True
            desk.alert(
                Severity.CRITICAL,
                "GUARD_AWAY",
                f"The guard is away: {away}. Nothing new is opened until it is back; till then only the daemon kills.",
            )

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
                self._kills.begin(entry.scope, entry.by)
                self._kills.advance()

    def _set(self, scope: str, state: TradingState, reason: str, by: str) -> None:
        self._desk.keep(StateChanged(ts=self._desk.ts, scope=scope, state=state, reason=reason, by=by))
