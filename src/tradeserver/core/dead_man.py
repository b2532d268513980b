"""The dead man's switch of a venue that has one (KuCoin): it cancels everything unless we tell it again in time.

Armed once the venue is ready, renewed at a third of its time, disarmed in an orderly stop when nothing of ours is live.
Killed, we renew it no more: it is the third line, behind the daemon's cancels and the guard's. An answer that does not
come is asked again; a switch whose time has passed without one is told.

    OFF --ready--> ARMING --answer--> ARMED --a third of its time--> ARMING ...
    ARMED --its time has passed--> OFF, told        any --stop, nothing live--> DISARMING --answer--> OFF
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tradeserver.core.commands import ArmDeadMan
from tradeserver.core.desk import Desk
from tradeserver.core.events import DeadManSet, QueryFailed
from tradeserver.core.records import Severity, TradingState
from tradeserver.core.venues import Phase, Readiness

SECOND_NS: Final = 1_000_000_000
RETRY_NS: Final = SECOND_NS
ANSWER_NS: Final = 3 * SECOND_NS


class SwitchState(enum.Enum):
    """Where the switch stands, as far as the venue confirmed it."""

    OFF = "off"
    ARMED = "armed"


class Switch:
    """One venue's."""

    def __init__(self, venue: str, timeout_s: int) -> None:
        self.venue = venue
        self.timeout_s = timeout_s
        self.state = SwitchState.OFF
        self.expires = 0
        self.due = 0  # nothing is asked before
        self.asked = 0  # the question that we wait for
        self.told = False  # that it has expired
        self.leaving = False  # an orderly stop has begun to disarm it


class DeadMan:
    """All of them; none where `timeouts` is empty."""

    def __init__(self, desk: Desk, readiness: Readiness, symbols: Sequence[str], timeouts: Mapping[str, int]) -> None:
        self._desk = desk
        self._readiness = readiness
        self._symbols = tuple(symbols)
        self._switches = {venue: Switch(venue, timeout_s) for venue, timeout_s in timeouts.items() if timeout_s}

    @property
    def armed(self) -> bool:
        """Whether any is: an orderly stop waits for none."""
        return any(switch.state is SwitchState.ARMED for switch in self._switches.values())

    def on_set(self, event: DeadManSet) -> None:
        """The venue's answer."""
        switch = self._switches.get(event.venue)
        if switch is None:
            return
        switch.asked = 0
        switch.expires = event.expires
        switch.state = SwitchState.ARMED if event.expires else SwitchState.OFF
        switch.due = self._desk.ts + switch.timeout_s * SECOND_NS // 3
        if event.expires and switch.told:
            switch.told = False
            self._desk.alert(Severity.INFO, "DEAD_MAN_BACK", f"The dead man's switch of {event.venue} is armed again.")

    def on_failed(self, event: QueryFailed) -> None:
        """No answer, or a refusal."""
        switch = self._switches.get(event.venue)
        if switch is not None and event.query == "ArmDeadMan":
            switch.asked = 0
            switch.due = self._desk.ts + RETRY_NS

    def advance(self) -> None:
        """Arm, renew, disarm, notice."""
        for switch in self._switches.values():
            self._notice(switch)
            wanted = self._wanted(switch)
            if wanted == 0 and not switch.leaving:
                switch.leaving, switch.asked, switch.due = True, 0, self._desk.ts
            if wanted is None or self._desk.ts < self._due(switch):
                continue
            switch.asked = self._desk.ts
            command = ArmDeadMan(venue=switch.venue, timeout_s=wanted, symbols=self._symbols)
            self._desk.commands.append(command)

    def _due(self, switch: Switch) -> int:
        return max(switch.due, switch.asked + ANSWER_NS if switch.asked else 0)

    def _wanted(self, switch: Switch) -> int | None:
        """The time to arm it with, 0 to disarm, None to leave it alone."""
        desk = self._desk
        if desk.states.has("global", "stopping"):
            idle = not desk.orders.live and not desk.arbitrages
            return 0 if switch.state is SwitchState.ARMED and idle else None
        state = desk.states.of(desk.ts, (switch.venue,))
        if state is not None and state.state is TradingState.HALTED:
            return None
        ready = self._readiness.venues[switch.venue].phase is Phase.READY
        return switch.timeout_s if ready or switch.state is SwitchState.ARMED else None

    def _notice(self, switch: Switch) -> None:
        if switch.state is SwitchState.ARMED and self._desk.ts >= switch.expires:
            switch.state = SwitchState.OFF
            if self._wanted(switch) is not None and not switch.told:
                switch.told = True
                self._desk.alert(
                    Severity.WARNING,
                    "DEAD_MAN_EXPIRED",
                    f"The dead man's switch of {switch.venue} could not be renewed in time: the venue has cancelled "
                    "what was open.",
                )

    def status(self) -> list[dict[str, Any]]:
        """For the operator."""
        return [
            {"venue": s.venue, "state": s.state.value, "timeout_s": s.timeout_s, "expires_ns": s.expires}
            for s in self._switches.values()
        ]

    def next_deadline(self) -> int:
        """When `advance` would do something by itself; 0: never."""
        waiting = []
        for switch in self._switches.values():
            if switch.state is SwitchState.ARMED:
                waiting.append(switch.expires)
            if self._wanted(switch) is not None:
                waiting.append(self._due(switch) or self._desk.ts)
        return min(waiting, default=0)
