"""The last gate: performs a step's commands and decides, immediately before bytes are written, which orders leave.

A command is held back when its session refuses it (link, rate budget); an order also when the kill latch is set. An
opening order stays too when the write-ahead log has failed, when its step has taken too long (a slow loop, a slow
disk), or when another leg of its arbitrage was refused in this step. Hedges and cancels are never held back by another
command. What is held back is encoded all the same, so that a replay, which has no latch and no links, makes the same
codec calls and yields the same bytes.

What performing causes is told as an event, which is journaled and processed after the current input: `SendRefused`
for an order that did not leave, `QueryFailed` for anything else that did not, `OrdersSent` with the stamps of those
that did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tradeserver.core.commands import Command, SubmitOrder
from tradeserver.core.events import Event, OrdersSent, QueryFailed, SendRefused
from tradeserver.runtime.latch import Latch
from tradeserver.sessions.base import Session

KILL_LATCH = "kill_latch"
LEG_REFUSED = "leg_refused"
WAL_FAILED = "wal_failed"
TOO_LATE = "too_late"
LATE_NS = 50_000_000
"""A step that took longer, its write to the log included, has decided on prices of the past."""


class Gateway:
    """Performs the commands of one step after the other; keeps nothing between steps."""

    def __init__(
        self, sessions: Mapping[str, Session], latch: Latch, now: Callable[[], int], tell: Callable[[Event], None]
    ) -> None:
        self._sessions = sessions
        self._latch = latch
        self._now = now
        self._tell = tell

    def perform(self, commands: Sequence[Command], ts: int, decided: int, written: int, wal_failed: str) -> list[bytes]:
        """Perform in order; answers the outgoing bytes. `decided` and `written` are the step's stamps so far, ns."""
        outgoing: list[bytes] = []
        held: dict[int, dict[str, str]] = {}  # by arbitrage: client id -> why it stays here, "" where it may leave
        shut = WAL_FAILED if wal_failed else TOO_LATE if written - ts > LATE_NS else ""
        sent_ids: list[str] = []
        sent_at: list[int] = []
        for command in commands:
            if type(command) is not SubmitOrder:
                outgoing.append(self._perform_other(command, ts))
                continue
            reason = self._reason(command, commands, held, shut)
            data, refused = self._sessions[command.venue].perform(command, ts, send=not reason)
            outgoing.append(data)
            reason = reason or refused
            if not reason:
                sent_ids.append(command.client_id)
                sent_at.append(self._now())
                continue
            if command.opening:
                _hold_the_rest(held[command.arbitrage])
            self._tell(SendRefused(ts=ts, venue=command.venue, client_id=command.client_id, reason=reason))
        if sent_ids:
            self._tell(
                OrdersSent(ts=ts, client_ids=tuple(sent_ids), decided=decided, written=written, sent=tuple(sent_at))
            )
        return outgoing

    def _reason(
        self, order: SubmitOrder, commands: Sequence[Command], held: dict[int, dict[str, str]], shut: str
    ) -> str:
        """Why this order stays here, or "". `shut`: why nothing may be opened in this step."""
        if order.opening:
            if order.arbitrage not in held:
                held[order.arbitrage] = self._look_ahead(order.arbitrage, commands, shut)
            if reason := held[order.arbitrage][order.client_id]:
                return reason
        elif reason := self._sessions[order.venue].refusal(order):
            return reason
        return KILL_LATCH if self._latch.set else ""

    def _look_ahead(self, arbitrage: int, commands: Sequence[Command], shut: str) -> dict[str, str]:
        """Before an arbitrage's first opening send: link, latch, budget, log and time for all its legs."""
        reasons: dict[str, str] = {}
        for leg in commands:
            if type(leg) is SubmitOrder and leg.opening and leg.arbitrage == arbitrage:
                if shut:
                    reasons[leg.client_id] = shut
                elif self._latch.set:
                    reasons[leg.client_id] = KILL_LATCH
                else:
                    reasons[leg.client_id] = self._sessions[leg.venue].refusal(leg)
        if any(reasons.values()):
            _hold_the_rest(reasons)
        return reasons

    def _perform_other(self, command: Command, ts: int) -> bytes:
        """A question or a cancel: held back only by its own session, above all while the venue throttles us."""
        session = self._sessions[command.venue]
        reason = session.refusal(command)
        data, refused = session.perform(command, ts, send=not reason)
        if refused:
            self._tell(
                QueryFailed(
                    ts=ts,
                    venue=command.venue,
                    client_id=getattr(command, "client_id", ""),
                    symbol=getattr(command, "symbol", ""),
                    query=type(command).__name__,
                    reason=reason or refused,
                )
            )
        return data


def _hold_the_rest(reasons: dict[str, str]) -> None:
    for client_id, reason in reasons.items():
        reasons[client_id] = reason or LEG_REFUSED
