"""After a run that did not end in order: what did we send that the log does not know?

A power cut takes the log's last milliseconds, and a failed log takes everything after its failure; the orders are at
the venues all the same. So every venue is asked, symbol by symbol, for all our orders since the log's last stamp, once
as soon as it can be asked and once more when nothing can appear late any more. An order that bears our tag and is not
in the log is adopted: it is written as what it is, joins its arbitrage (or opens it again, from what is known), and its
fills are fetched like anyone's. Until every venue has answered, for ten seconds at most, no hedge leaves: what looks
naked may have been hedged already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tradeserver.core.commands import QueryOrders
from tradeserver.core.desk import Desk
from tradeserver.core.events import OpenOrder, OrdersListed, OrderStatus
from tradeserver.core.fates import Fates
from tradeserver.core.ids import ClientId, parse
from tradeserver.core.records import ArbitrageOpened, Leg, OrderSubmitted, Severity
from tradeserver.core.sizing import quote_fee
from tradeserver.core.types import ZERO, Side, TimeInForce
from tradeserver.core.venues import Readiness

SECOND_NS: Final = 1_000_000_000
MARGIN_NS: Final = 2 * SECOND_NS
"""Before the log's last stamp: clocks differ, and a record is a little older than its order."""
RETRY_NS: Final = 2 * SECOND_NS
ASKED_AT_ONCE: Final = 2
"""Questions to a venue in one tick: a burst into a throttle that nobody has told us of yet earns a ban."""
HOLD_NS: Final = 10 * SECOND_NS
NUMBERS_SKIPPED: Final = 1_000
"""Arbitrages that the log may have lost keep their numbers: no other one gets them."""
STRATEGY: Final = "recovered"


class LookBack:
    """See the module. Idle unless `begin` was called."""

    def __init__(
        self,
        desk: Desk,
        fates: Fates,
        readiness: Readiness,
        venues: Sequence[str],
        symbols: Sequence[str],
        late_ns: int,
    ) -> None:
        self._desk = desk
        self._fates = fates
        self._readiness = readiness
        self._keys = [(venue, symbol) for venue in venues for symbol in symbols]
        self._late_ns = late_ns  # after this nothing of the last run can appear any more
        self._since = 0
        self._logged = 0  # arbitrages below this number are in the log, the forgotten ones too
        self._waiting: dict[tuple[str, str], int] = {}  # when to ask (again)
        self._second_at = 0

    def begin(self, since: int) -> None:
        """The last run ended out of order; its last record is of that time."""
        self._since = since - MARGIN_NS
        self._second_at = self._desk.ts + self._late_ns
        self._logged = self._desk.next_arbitrage
        self._desk.next_arbitrage += NUMBERS_SKIPPED
        self._readiness.hold_until = self._desk.ts + HOLD_NS
        self._ask_all()

    def _ask_all(self) -> None:
        self._waiting = dict.fromkeys(self._keys, self._desk.ts)
        for venue, _ in self._keys:
            self._readiness.venues[venue].unseen = True

    def advance(self) -> None:
        """Ask what is due, where it can be asked."""
        now = self._desk.ts
        if 0 < self._readiness.hold_until <= now:
            self._readiness.hold_until = 0
        if self._second_at and now >= self._second_at:
            self._second_at = 0
            self._waiting |= dict.fromkeys(self._keys, now)
        asked: dict[str, int] = {}
        for key, due in self._waiting.items():
            venue = key[0]
            if now >= due and asked.get(venue, 0) < ASKED_AT_ONCE and not self._readiness.venues[venue].missing():
                asked[venue] = asked.get(venue, 0) + 1
                self._waiting[key] = now + RETRY_NS
                self._desk.commands.append(QueryOrders(venue=key[0], symbol=key[1], since=self._since))

    def on_listed(self, event: OrdersListed) -> None:
        """Adopt what the log does not know."""
        key = (event.venue, event.symbol)
        if key not in self._waiting:
            return
        del self._waiting[key]
        for order in event.orders:
            parts = parse(order.client_id) if self._desk.ids.ours(order.client_id) else None
            if parts is not None and self._lost(order.client_id, parts):
                self._adopt(event, order, parts)
        if not any(venue == event.venue for venue, _ in self._waiting):
            self._readiness.venues[event.venue].unseen = False
        if not self._waiting:
            self._readiness.hold_until = 0

    def _lost(self, client_id: str, parts: ClientId) -> bool:
        """Whether the log never had it. What is old enough was there and is forgotten: so is what this run has sent."""
        if client_id in self._desk.orders.by_id or client_id.startswith(self._desk.ids.head):
            return False
        return parts.arbitrage >= self._logged or self._desk.knows(parts.arbitrage)

    def _adopt(self, event: OrdersListed, order: OpenOrder, parts: ClientId) -> None:
        desk = self._desk
        desk.alert(
            Severity.CRITICAL,
            "ORDER_ADOPTED",
            f"{event.venue} knows order {order.client_id} of ours, which the log had lost: {order.side.value} "
            f"{order.quantity:f} {order.symbol}, {order.executed:f} executed. It is taken over.",
        )
        if not desk.knows(parts.arbitrage):
            desk.keep(self._plan(event, order, parts))
        fees = desk.fees.get((event.venue, order.symbol))
        base, _, quote = order.symbol.partition("/")
        buys = order.side is Side.BUY
        cost = order.quantity * order.price * (1 + (quote_fee(fees, Side.BUY) if fees is not None else ZERO))
        desk.keep(
            OrderSubmitted(
                ts=desk.ts,
                venue=event.venue,
                symbol=order.symbol,
                client_id=order.client_id,
                arbitrage=parts.arbitrage,
                leg=parts.leg,
                attempt=parts.attempt,
                side=order.side,
                quantity=order.quantity,
                price=order.price,
                time_in_force=TimeInForce.IOC.value,
                opening=not parts.attempt,
                reserve_asset=quote if buys else base,
                reserve=cost if buys else order.quantity,
            )
        )
        desk.orders.by_id[order.client_id].sent_ts = event.asked_ts
        self._fates.on_status(
            OrderStatus(
                ts=desk.ts,
                venue=event.venue,
                client_id=order.client_id,
                symbol=order.symbol,
                found=True,
                asked_ts=event.asked_ts,
                ending=order.ending,
                executed=order.executed,
                venue_order_id=order.venue_order_id,
            )
        )
        if order.ending is None:  # it may have ended between two lists of the venue's, and its end gone unheard
            desk.orders.by_id[order.client_id].next_query = desk.ts

    def _plan(self, event: OrdersListed, order: OpenOrder, parts: ClientId) -> ArbitrageOpened:
        """All that is left of the arbitrage's plan: this one leg, at its cap."""
        base, _, quote = order.symbol.partition("/")
        leg = Leg(
            leg=parts.leg,
            venue=event.venue,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            cap=order.price,
            expected_price=order.price,
            expected_fee=ZERO,
            net_base=order.quantity if order.side is Side.BUY else -order.quantity,
            client_id=order.client_id,
        )
        return ArbitrageOpened(
            ts=self._desk.ts,
            arbitrage=parts.arbitrage,
            strategy=STRATEGY,
            opportunity=0,
            base=base,
            quote=quote,
            legs=(leg,),
            gross_bps=0.0,
            net_bps=0.0,
            expected_edge=ZERO,
            on_exhausted="unwind",
        )

    def next_deadline(self) -> int:
        """When a tick would ask; 0 where nothing waits."""
        due = [at for at in (*self._waiting.values(), self._second_at) if at]
        return min(due, default=0)
