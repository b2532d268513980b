"""Is a venue ready to open on? One reconciling path for the first start, a restart and every gap of its user stream.

DOWN -> RESOLVING: rules, fees and both private links are there; open orders are listed and every live order of ours is
asked for. RESOLVING -> COUNTING: no order of ours is live at the venue and no commission is outstanding; the account is
asked for. COUNTING -> READY: the snapshot, asked after the last fill and with still nothing in flight, agrees with the
ledger, or the difference is named and booked as external. READY -> COUNTING: the venue reports another balance than the
ledger's for `DIFFERS_NS` with nothing in flight, or has refused an order for lack of balance. Losing a private link
leads back to DOWN. While a venue is not READY nothing is opened on it; hedges and cancels go. A READY venue is asked
for open orders and account every `audit_ns` all the same: what the streams never said is found there.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from tradeserver.core.commands import QueryOpenOrders, RequestAccount
from tradeserver.core.desk import Desk
from tradeserver.core.events import (
    AccountSnapshot,
    FeesLoaded,
    InstrumentsLoaded,
    LinkDown,
    LinkUp,
    OpenOrdersListed,
    QueryFailed,
)
from tradeserver.core.records import BalanceBooked, OrderState, Severity
from tradeserver.core.types import BPS, ZERO

PRIVATE = ("user", "orders")
RETRY_NS = 1_000_000_000
DIFFERS_NS = 3_000_000_000
"""Fills and balances travel apart: only what differs for longer is a difference."""
MISSED_NS = 1_000_000_000
"""An order that was sent so long before a list of open orders, and is not on it, is asked for."""
BUSY_NS = 5_000_000_000
"""An account that moved while it was counted is counted again so much later."""
TOLD_KEPT = 500
"""Strangers' open orders that are reported once each."""


class Phase(enum.Enum):
    """How far the conversation with a venue has come."""

    DOWN = "down"
    RESOLVING = "resolving"
    COUNTING = "counting"
    READY = "ready"


_READY: Final = Phase.READY  # an Enum's member is found ten times as slowly by its class


class VenueDesk:
    """One venue's progress."""

    __slots__ = (
        "asked",
        "audit",
        "differs",
        "fees",
        "instruments",
        "last_fill",
        "links",
        "listed",
        "name",
        "phase",
        "told",
        "unknown",
        "unseen",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.phase = Phase.DOWN
        self.links: dict[str, bool] = {}
        self.instruments = False
        self.fees = False
        self.unknown: tuple[str, ...] = ()  # configured symbols that it does not list
        self.listed = False  # open orders came since the last DOWN
        self.unseen = False  # what the log may have lost there has not been looked for yet
        self.asked = 0  # when the query that we wait for was sent
        self.last_fill = 0
        self.audit = 0  # when to ask for everything again, while READY
        self.told: dict[str, None] = {}  # strangers' open orders that were reported
        self.differs = 0  # since when a reported balance is another than ours, with nothing in flight

    def missing(self) -> str:
        """What is still needed before orders may be reconciled."""
        if not self.instruments:
            return "no trading rules yet"
        for link in PRIVATE:
            if not self.links.get(link):
                return f"{link} link is down"
        return "" if self.fees else "no fees yet"


class Readiness:
    """All venues' progress."""

    def __init__(self, desk: Desk, venues: Sequence[str], audit_ns: int = 0) -> None:
        self._desk = desk
        self._audit_ns = audit_ns  # 0: never
        self.venues = {name: VenueDesk(name) for name in venues}
        self.hold_until = 0  # before this no hedge: it may have been sent already, and lost by the log

    def why_not(self, venue: str) -> str:
        """Why nothing may be opened there, or ""."""
        desk = self.venues[venue]
        return "" if desk.phase is _READY else desk.missing() or desk.phase.value

    def ready(self) -> bool:
        return all(v.phase is Phase.READY for v in self.venues.values())

    def reachable(self, venue: str) -> bool:
        """Whether an order could be sent on its own link and its fate heard."""
        return not self.venues[venue].missing()

    def known(self, venue: str) -> bool:
        """Whether an order could at least be made: a hedge may go by REST while a private link is down."""
        return self.venues[venue].instruments and self.venues[venue].fees

    def doubt(self, venue: str) -> None:
        """Something says that the account is not what we think: count it before anything is opened there."""
        desk = self.venues[venue]
        if desk.phase is Phase.READY:
            desk.phase = Phase.COUNTING
            desk.asked = 0

    # ---- events ----------------------------------------------------------------------------------------------------

    def on_instruments(self, event: InstrumentsLoaded) -> None:
        venue = self.venues[event.venue]
        venue.instruments = True
        venue.unknown = event.unknown

    def on_fees(self, event: FeesLoaded) -> None:
        self.venues[event.venue].fees = True
        for symbol, fees in event.fees.items():
            self._desk.fees[event.venue, symbol] = fees
            self._desk.taker_bps[event.venue, symbol] = float(fees.taker * BPS)

    def on_link(self, event: LinkUp | LinkDown) -> None:
        venue = self.venues[event.venue]
        up = isinstance(event, LinkUp)
        venue.links[event.channel] = up
        if not up and event.channel in PRIVATE:
            venue.phase = Phase.DOWN
            venue.listed = False

    def on_fill(self, venue: str) -> None:
        self.venues[venue].last_fill = self._desk.ts

    def on_failed(self, event: QueryFailed) -> None:
        if event.query in ("QueryOpenOrders", "RequestAccount"):
            self.venues[event.venue].asked = self._desk.ts + RETRY_NS  # `advance` asks again then

    def on_open_orders(self, event: OpenOrdersListed) -> None:
        """Ours that are unknown to the log are named; foreign ones are reported, once, and left alone."""
        venue = self.venues[event.venue]
        if venue.phase is Phase.DOWN:
            return
        venue.listed = True
        self._miss(event)
        for order in event.orders:
            name = f"{order.symbol} {order.venue_order_id} {order.client_id}"
            if order.client_id in self._desk.orders.by_id or name in venue.told:
                continue
            venue.told[name] = None
            if len(venue.told) > TOLD_KEPT:
                del venue.told[next(iter(venue.told))]
            ours = self._desk.ids.ours(order.client_id)
            self._desk.alert(
                Severity.CRITICAL if ours else Severity.WARNING,
                "ORPHAN_ORDER" if ours else "FOREIGN_ORDER",
                f"{event.venue} holds an open order {order.client_id or order.venue_order_id} on {order.symbol} "
                + ("that bears our tag but is not in the log." if ours else "that is not ours; it is left alone."),
            )

    def _miss(self, event: OpenOrdersListed) -> None:
        """Orders of ours that should be on the list and are not: their end was never heard."""
        listed = {order.client_id for order in event.orders}
        for order in self._desk.orders.live.values():
            missing = order.submitted.venue == event.venue and order.client_id not in listed
            resting = order.state in (OrderState.ACCEPTED, OrderState.CANCEL_PENDING)
            if missing and resting and max(order.sent_ts, order.submitted.ts) + MISSED_NS < event.asked_ts:
                order.next_query = self._desk.ts

    def on_account(self, event: AccountSnapshot) -> None:
        ledger = self._desk.ledger
        if self.venues[event.venue].phase is Phase.READY and self._moving(event):
            self.venues[event.venue].audit = self._desk.ts + BUSY_NS
            return
        for holding in list(ledger.reported):
            if holding[0] == event.venue and holding[1] not in event.balances:
                ledger.report(holding, None)
        for asset, balance in event.balances.items():
            ledger.report((event.venue, asset), balance)
        venue = self.venues[event.venue]
        if venue.phase is not Phase.COUNTING:
            return
        if self._in_flight(venue):
            venue.phase = Phase.RESOLVING  # a hedge left meanwhile: the snapshot may hold fills that we do not know
            return
        if event.asked_ts <= venue.last_fill:
            venue.asked = 0  # a fill came after the question: ask again
            return
        self._compare(event)
        venue.phase = Phase.READY
        venue.audit = self._desk.ts + self._audit_ns

    def _moving(self, event: AccountSnapshot) -> bool:
        """Whether the snapshot may be of before or of after something that we did meanwhile."""
        venue = self.venues[event.venue]
        return self._in_flight(venue) or event.asked_ts <= venue.last_fill

    def _compare(self, event: AccountSnapshot) -> None:
        desk = self._desk
        known = {asset: total for (venue, asset), total in desk.ledger.totals.items() if venue == event.venue}
        opening = not known
        totals = {asset: b.free + b.locked for asset, b in event.balances.items()}
        for asset in dict.fromkeys((*totals, *known)):
            total, booked = totals.get(asset, ZERO), known.get(asset, ZERO)
            if total == booked:
                continue
            desk.keep(
                BalanceBooked(
                    ts=desk.ts,
                    venue=event.venue,
                    asset=asset,
                    total=total,
                    previous=booked,
                    reason="opening" if opening else "external",
                )
            )
            if not opening:
                self._name(event.venue, asset, total - booked)

    def _name(self, venue: str, asset: str, difference: Decimal) -> None:
        self._desk.alert(
            Severity.WARNING,
            "BALANCE_EXTERNAL",
            f"{venue} holds {difference:+f} {asset} that no fill of ours explains; booked as external.",
        )

    # ---- progress --------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Move every venue as far as it can go now."""
        desk = self._desk
        for venue in self.venues.values():
            if venue.phase is _READY:
                if desk.ledger.differing or venue.differs:
                    self._watch(venue)
                if self._audit_ns and desk.ts >= venue.audit and venue.phase is _READY:
                    venue.audit = desk.ts + self._audit_ns
                    desk.commands += [QueryOpenOrders(venue=venue.name), RequestAccount(venue=venue.name)]
                if venue.phase is _READY:
                    continue
            if venue.phase is Phase.DOWN:
                if venue.missing():
                    continue
                venue.phase = Phase.RESOLVING
                venue.asked = 0
                for order in desk.orders.live.values():
                    if order.submitted.venue == venue.name:
                        order.next_query = desk.ts
            if venue.phase is Phase.RESOLVING:
                if venue.listed and not venue.unseen and not self._in_flight(venue):
                    venue.phase = Phase.COUNTING
                    venue.asked = 0
                elif not venue.listed and self._due(venue):
                    desk.commands.append(QueryOpenOrders(venue=venue.name))
            if venue.phase is Phase.COUNTING and self._due(venue):
                desk.commands.append(RequestAccount(venue=venue.name))

    def _in_flight(self, venue: VenueDesk) -> bool:
        """Whether balances may still move by what we did there."""
        return self._desk.orders.busy.get(venue.name, 0) > 0

    def _watch(self, venue: VenueDesk) -> None:
        """Count again when the venue insists on another balance than ours."""
        differing = self._desk.ledger.differing
        differs = not self._in_flight(venue) and any(name == venue.name for name, _ in differing)
        if not differs:
            venue.differs = 0
        elif not venue.differs:
            venue.differs = self._desk.ts
        elif self._desk.ts - venue.differs >= DIFFERS_NS:
            venue.differs = 0
            venue.phase = Phase.COUNTING
            venue.asked = 0

    def _due(self, venue: VenueDesk) -> bool:
        """Whether to ask now: never asked, or a failed or unanswered question's retry time has come."""
        now = self._desk.ts
        if venue.asked and now < venue.asked:
            return False
        venue.asked = now + 5 * RETRY_NS
        return True

    def next_deadline(self) -> int:
        venues = self.venues.values()
        waiting = [v.asked for v in venues if v.phase is not Phase.READY and v.asked]
        waiting += [v.differs + DIFFERS_NS for v in venues if v.differs]
        if self._audit_ns:
            waiting += [v.audit for v in venues if v.phase is Phase.READY]
        return min(waiting, default=0)
