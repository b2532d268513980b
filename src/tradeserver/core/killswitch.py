"""A kill in the daemon itself: one `VenueKill` for each venue in its scope, and the report.

The trading state is the operator's business (`core/operator.py`); this is what follows: cancel, look, look again, tell.
The last possible arrival comes from the order table: every order that has no end yet, counted from its send, and the
run's own beginning, since a power cut may have taken the log's last orders. Where nothing is in flight, the second look
may follow at once. A report is a record: when it is proven, and once before that when it takes too long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from tradeserver.core.desk import Desk
from tradeserver.core.events import KillVerified, OpenOrdersListed, OrderClosed, QueryFailed, RateLimited
from tradeserver.core.killing import MS, Throttle, VenueKill
from tradeserver.core.records import AssetExposure, KillReported, OrderState, Severity, TradingState, VenueProof
from tradeserver.core.types import ZERO
from tradeserver.core.venues import Readiness

KILL: Final = "kill"
"""The reason of the trading state."""
PATIENCE_NS: Final = 60_000 * MS
"""A kill that is not proven by then is told as such; it goes on."""


class VenueSafety(msgspec.Struct, frozen=True):
    """What a kill must know of one venue."""

    arrival_ns: int = 15_000 * MS  # an order cannot appear later than this after its send
    exclusive: bool = True  # the account is ours alone: cancel-all may be used, and everything open is in the way
    dead_man_s: int = 0  # the venue cancels everything unless told again within this; 0: not used


class KillSwitch:
    """The current kill, if any."""

    def __init__(
        self, desk: Desk, readiness: Readiness, symbols: Sequence[str], safety: Mapping[str, VenueSafety]
    ) -> None:
        self.report: KillReported | None = None  # the latest, of this run
        self._desk = desk
        self._readiness = readiness
        self._symbols = tuple(symbols)
        self._safety = safety
        self._throttles = {venue: Throttle() for venue in readiness.venues}
        self._venues: dict[str, VenueKill] = {}
        self._run_began = 0
        self._began = 0
        self._scope = ""
        self._by = ""
        self._impatient = False  # it was told that this takes long

    # ---- the operator's side ---------------------------------------------------------------------------------------

    def on_began(self) -> None:
        """A run that finds itself killed proves it again: the one before may not have come to that."""
        self._run_began = self._desk.ts
        for entry in self._desk.states.entries():
            if entry.reason == KILL and entry.state is TradingState.HALTED:
                self.begin(entry.scope, "restart")

    def begin(self, scope: str, by: str) -> None:
        """Cancel and prove. The same again while it is under way changes nothing; a new scope takes its place."""
        if self.under_way and scope == self._scope:
            return
        kind, _, name = scope.partition(":")
        symbols = [s for s in self._symbols if kind != "symbol" or s == name]
        ts, ours = self._desk.ts, self._desk.ids.ours
        self._began, self._scope, self._by, self._impatient = ts, scope, by, False
        self.report = None
        self._venues = {
            venue: VenueKill(
                venue,
                symbols,
                ts,
                self._throttles[venue],
                None if self._of(venue).exclusive else ours,
                at_once=True,
            )
            for venue in self._readiness.venues
            if kind != "venue" or venue == name
        }

    def end(self, scope: str) -> None:
        """It was cleared: its proof is worth nothing any more."""
        if scope == self._scope:
            self._venues = {}
            self.report = None

    @property
    def under_way(self) -> bool:
        return any(not kill.proven for kill in self._venues.values())

    # ---- events ----------------------------------------------------------------------------------------------------

    def on_open_orders(self, event: OpenOrdersListed) -> None:
        if event.venue in self._venues:
            self._venues[event.venue].on_listed(event)
            self.advance()

    def on_closed(self, event: OrderClosed) -> None:
        if event.venue in self._venues:
            self._venues[event.venue].on_closed(event)

    def on_failed(self, event: QueryFailed) -> None:
        if event.venue in self._venues and event.query in ("QueryOpenOrders", "CancelAll", "CancelOrder"):
            self._venues[event.venue].on_failed(event)

    def on_limited(self, event: RateLimited) -> None:
        self._throttles[event.venue].on_limited(event)

    def on_verified(self, event: KillVerified) -> None:
        """The guard's report joins the log."""
        self._desk.keep(msgspec.structs.replace(event.report, ts=self._desk.ts))

    def advance(self) -> None:
        """Ask what is due; tell when it is proven, or takes too long."""
        if not self._venues or (self.report is not None and self.report.proven):
            return
        desk = self._desk
        for venue, kill in self._venues.items():
            if self._readiness.venues[venue].instruments:  # the conversation with it has begun
                desk.commands += kill.advance(desk.ts, self._last_arrival(venue))
        if not self.under_way:
            self._tell()
        elif not self._impatient and desk.ts >= self._began + PATIENCE_NS:
            self._impatient = True
            self._tell()

    # ---- answers ---------------------------------------------------------------------------------------------------

    def progress(self) -> KillReported | None:
        """The report as it stands now; None where nobody killed in this run."""
        if not self._venues:
            return self.report
        desk = self._desk
        proofs = tuple(kill.proof() for kill in self._venues.values())
        return reported(
            ts=self.report.ts if self.report is not None and self.report.proven else desk.ts,
            began=self._began,
            scope=self._scope,
            by=self._by,
            prover="daemon",
            venues=proofs,
            exposure=exposure(desk),
        )

    def status(self) -> dict[str, Any]:
        """For the operator: how far each venue is."""
        return {kill.venue: kill.phase.value for kill in self._venues.values()}

    def next_deadline(self) -> int:
        """When `advance` would do something by itself; 0: never."""
        waiting = [
            kill.next_deadline(self._last_arrival(venue))
            for venue, kill in self._venues.items()
            if self._readiness.venues[venue].instruments
        ]
        if self.under_way and not self._impatient:
            waiting.append(self._began + PATIENCE_NS)
        return min((at for at in waiting if at), default=0)

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _of(self, venue: str) -> VenueSafety:
        return self._safety.get(venue) or VenueSafety()

    def _last_arrival(self, venue: str) -> int:
        """No order of ours can appear at the venue later than this."""
        latest = self._run_began
        for order in self._desk.orders.live.values():
            if order.submitted.venue == venue and order.state is not OrderState.CLOSING:
                latest = max(latest, order.sent_ts, order.submitted.ts)
        return latest + self._of(venue).arrival_ns

    def _tell(self) -> None:
        report = self.report = self.progress()
        assert report is not None, "only told while a kill is known"
        self._desk.keep(report)
        self._desk.alert(
            Severity.WARNING if report.proven else Severity.CRITICAL,
            "KILL_PROVEN" if report.proven else "KILL_UNPROVEN",
            in_words(report),
        )


def reported(
    *,
    ts: int,
    began: int,
    scope: str,
    by: str,
    prover: str,
    venues: tuple[VenueProof, ...],
    exposure: tuple[AssetExposure, ...],
    note: str = "",
) -> KillReported:
    """The record, sums made."""
    return KillReported(
        ts=ts,
        began=began,
        scope=scope,
        by=by,
        prover=prover,
        proven=all(proof.proven for proof in venues),
        found=sum(proof.found for proof in venues),
        cancelled=sum(proof.cancelled for proof in venues),
        gone=sum(proof.gone for proof in venues),
        elapsed_ms=(ts - began) // MS,
        venues=venues,
        exposure=exposure,
        note=note,
    )


def in_words(report: KillReported) -> str:
    """The report as one sentence."""
    what = f"{report.found} orders found, {report.cancelled} cancelled, {report.gone} verified gone"
    where = ", ".join(proof.venue for proof in report.venues) or "no venue"
    if report.proven:
        return f"Killed: nothing is open at {where}; {what}, {report.elapsed_ms} ms after the kill."
    open_at = "; ".join(f"{p.venue} is {p.phase}: {p.note or 'no answer yet'}" for p in report.venues if not p.proven)
    return f"The kill is not proven after {report.elapsed_ms} ms: {open_at}; {what}."


def exposure(desk: Desk, unbooked: Mapping[str, Decimal] | None = None) -> tuple[AssetExposure, ...]:
    """What open arbitrages and carried dust may come to, by asset; assets without any are left out.

    `unbooked` is for whoever knows that nothing can fill any more: by asset, what the venues hold beyond the ledger.
    Then no order widens an interval.
    """
    ends: dict[str, tuple[Decimal, Decimal]] = {asset: (held, held) for asset, held in desk.dust.items()}
    for arbitrage in desk.arbitrages.values():
        for asset, (low, high) in arbitrage.exposures(over=unbooked is not None).items():
            held = ends.get(asset, (ZERO, ZERO))
            ends[asset] = (held[0] + low, held[1] + high)
    for asset, amount in (unbooked or {}).items():
        held = ends.get(asset, (ZERO, ZERO))
        ends[asset] = (held[0] + amount, held[1] + amount)
    return tuple(AssetExposure(asset, low, high) for asset, (low, high) in sorted(ends.items()) if low or high)
