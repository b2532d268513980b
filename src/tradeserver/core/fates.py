"""What becomes of orders: venues' answers, fills, doubts and the questions that end them.

Every event of an order goes through the table of `core/orders.py`; fills are booked once, by (venue, symbol, trade id).
An order whose answer is overdue, or whose link was lost, is UNKNOWN and is asked for at growing intervals: status by
client id, and past the bound its fills. "No such order" counts as evidence only when the question was sent later than
the bound after the order; it takes two such answers and a fills query without a trace to conclude that the order never
was. An order that the venue has closed while our fills do not sum to its figure is asked for its fills until they do,
and so is one whose commissions we had to compute. What stays open after many questions is paged.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tradeserver.core.commands import QueryFills, QueryOrder
from tradeserver.core.desk import Desk
from tradeserver.core.events import (
    CancelRejected,
    Ending,
    FillsListed,
    LinkDown,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrdersSent,
    OrderStatus,
    OrderUncertain,
    QueryFailed,
    SendRefused,
)
from tradeserver.core.ids import parse
from tradeserver.core.orders import ENDED, NOT_SENT, Order, Stimulus
from tradeserver.core.records import CommissionCorrected, FillBooked, OrderChanged, OrderState, OrderTimed, Severity
from tradeserver.core.sizing import money
from tradeserver.core.types import BPS, ZERO, Charged, Fees, Side

ASK_AFTER_NS: Final = (200_000_000, 300_000_000, 500_000_000, 1_000_000_000, 3_000_000_000, 5_000_000_000)
"""Pauses before the first question and between the next: 0.2, 0.5, 1, 2 and 5 s after the doubt, then every 5 s."""
PAGED_AFTER: Final = 8
"""Questions without an end: some 20 s."""
ABSENCES_NEEDED: Final = 2
_QUESTIONS: Final = ("QueryOrder", "QueryFills")
RATE_STEP: Final = Decimal("0.00001")
"""A rate that is read off a fill is no finer: the venue cuts commissions to its smallest unit."""
SECOND_NS: Final = 1_000_000_000
ASKED_AT_ONCE: Final = 3
"""Orders asked for at a venue in one look: a burst into a throttle that nobody has told us of yet earns a ban."""
PAUSE_NS: Final = 200_000_000
"""After a question that failed the venue is left alone for so long, twice as long after each further one, then one
order is asked for."""
LONGEST_PAUSE_NS: Final = 3_200_000_000


class Fates:
    """See the module."""

    def __init__(self, desk: Desk, answer_timeout_ns: int, unknown_bound_ns: int) -> None:
        self._desk = desk
        self._answer_timeout_ns = answer_timeout_ns
        self._bound_ns = unknown_bound_ns
        self.touched: dict[int, None] = {}  # arbitrages to look at again
        self._failures: dict[str, int] = {}  # by venue: questions that failed since the last one that was answered
        self._paused: dict[str, int] = {}  # by venue: until when nobody is asked for there

    # ---- the run ---------------------------------------------------------------------------------------------------

    def doubt_all(self, reason: str) -> None:
        """After a restart whatever was live is in doubt."""
        for order in list(self._desk.orders.live.values()):
            order.sent_ts = order.submitted.ts
            if order.state in (OrderState.CLOSING, OrderState.UNKNOWN):
                self._ask_soon(order)
            else:
                self._move(order, Stimulus.DOUBT, reason=reason)
        for order in self._desk.orders.owed.values():
            if not order.live:
                self._ask_soon(order)

    def on_sent(self, event: OrdersSent) -> None:
        for client_id, sent in zip(event.client_ids, event.sent, strict=True):
            order = self._desk.orders.by_id.get(client_id)
            if order is None:
                continue
            submitted = order.submitted
            order.sent_ts = sent
            if order.state is OrderState.SENT:
                order.next_query = sent + self._answer_timeout_ns
            order.stages_ns = {
                "venue_to_frame": max(0, submitted.ts - submitted.venue_ts),
                "frame_to_decided": event.decided - submitted.ts,
                "decided_to_wal": event.written - event.decided,
                "wal_to_sent": sent - event.written,
            }

    def on_refused_send(self, event: SendRefused) -> None:
        order = self._desk.orders.by_id.get(event.client_id)
        if order is not None:
            self._move(order, Stimulus.REFUSE, code=NOT_SENT, reason=event.reason)

    def on_link_down(self, event: LinkDown) -> None:
        """Sent, unacknowledged orders on a lost order link are UNKNOWN; without the user stream all are asked for."""
        if event.channel not in ("orders", "user"):
            return
        for order in list(self._desk.orders.live.values()):
            if order.submitted.venue != event.venue:
                continue
            if event.channel == "orders" and order.state is OrderState.SENT:
                self._move(order, Stimulus.DOUBT, reason=f"order link lost: {event.reason}")
            order.next_query = self._desk.ts + ASK_AFTER_NS[0]

    # ---- answers ---------------------------------------------------------------------------------------------------

    def on_accepted(self, event: OrderAccepted) -> None:
        order = self._find(event.venue, event.client_id, event.venue_order_id)
        if order is not None:
            self._acknowledged(order)
            self._move(order, Stimulus.ACCEPT, venue_order_id=event.venue_order_id)

    def on_rejected(self, event: OrderRejected) -> None:
        order = self._desk.orders.by_id.get(event.client_id)
        if order is not None:
            self._acknowledged(order)
            self._move(order, Stimulus.REFUSE, code=event.code, reason=event.text)

    def on_uncertain(self, event: OrderUncertain) -> None:
        order = self._desk.orders.by_id.get(event.client_id)
        if order is not None:
            self._move(order, Stimulus.DOUBT, code=event.code, reason=event.text)

    def on_cancel_rejected(self, event: CancelRejected) -> None:
        """Probably filled: ask."""
        order = self._desk.orders.by_id.get(event.client_id)
        if order is not None and order.live:
            order.next_query = self._desk.ts

    def on_closed(self, event: OrderClosed) -> None:
        order = self._find(event.venue, event.client_id, event.venue_order_id)
        if order is not None:
            self._acknowledged(order)
            self._close(order, event.ending, event.executed, event.venue_order_id, event.reason)

    def on_status(self, event: OrderStatus) -> None:
        self._failures.pop(event.venue, None)
        order = self._desk.orders.by_id.get(event.client_id)
        if order is None:
            return
        if event.found:
            order.absences = 0
            if event.ending is not None:
                self._close(order, event.ending, event.executed, event.venue_order_id, "found by query")
            else:
                self._move(order, Stimulus.RESUME, venue_order_id=event.venue_order_id, reason="found by query")
                if event.executed > order.filled:
                    self._ask_fills(order)
        elif order.state is OrderState.UNKNOWN and self._late_enough(order, event.asked_ts):
            order.absences += 1
            self._conclude(order)

    def on_fills(self, event: FillsListed) -> None:
        """Book what is new. A nameless fill may be the UNKNOWN order's own: that waits until the order is found."""
        self._failures.pop(event.venue, None)
        order = self._desk.orders.by_id.get(event.client_id)
        in_doubt = order is not None and order.state is OrderState.UNKNOWN
        trace = False
        for fill in event.fills:
            owner = self._find(fill.venue, fill.client_id, fill.venue_order_id)
            known = self._desk.orders.seen((fill.venue, fill.symbol, fill.trade_id))
            nameless = owner is None and not fill.client_id and not known
            trace = trace or nameless or (owner is not None and owner is order)
            if not (in_doubt and nameless):
                self.on_fill(fill)
        if order is None or not in_doubt or not self._late_enough(order, event.asked_ts):
            return
        order.fills_absent = not trace
        self._conclude(order)

    def on_failed(self, event: QueryFailed) -> None:
        """Could not ask: that says nothing about the order; the timers ask again, but no faster than the venue can."""
        if event.query in _QUESTIONS:
            failures = self._failures[event.venue] = self._failures.get(event.venue, 0) + 1
            pause = min(PAUSE_NS << min(failures - 1, 10), LONGEST_PAUSE_NS)
            self._paused[event.venue] = self._desk.ts + pause

    # ---- fills -----------------------------------------------------------------------------------------------------

    def on_fill(self, event: OrderFilled) -> bool:
        """Book it unless it is booked; True where it was new."""
        desk = self._desk
        order = self._find(event.venue, event.client_id, event.venue_order_id)
        if desk.orders.seen((event.venue, event.symbol, event.trade_id)):
            if order is not None and event.commission is not None:
                self._correct(order, event)
            return False
        if order is not None:
            self._acknowledged(order)
            if not order.first_fill_ts:
                order.first_fill_ts = desk.ts
            self._learn(event)
        commission, asset = event.commission, event.commission_asset
        expected = commission is None
        if commission is None:
            commission, asset = self._expected_commission(event)
        desk.keep(
            FillBooked(
                ts=desk.ts,
                venue=event.venue,
                symbol=event.symbol,
                client_id=order.client_id if order is not None else event.client_id,
                arbitrage=order.submitted.arbitrage if order is not None else self._arbitrage_of(event.client_id),
                leg=order.submitted.leg if order is not None else 0,
                side=event.side,
                trade_id=event.trade_id,
                venue_order_id=event.venue_order_id,
                price=event.price,
                quantity=event.quantity,
                commission=commission,
                commission_asset=asset,
                commission_expected=expected,
                maker=event.maker,
                venue_ts=event.venue_ts,
                stood=self._standing(order) if order is not None else {},
            )
        )
        if order is None:
            desk.alert(
                Severity.WARNING,
                "FOREIGN_FILL",
                f"{event.venue} filled {event.quantity:f} {event.symbol} for an order that is not in the log.",
            )
            return True
        self._after_fill(order, event)
        return True

    def _standing(self, order: Order) -> dict[int, Decimal]:
        """At an arbitrage's first fill: the best prices that its other legs could trade at now."""
        arbitrage = self._desk.arbitrages.get(order.submitted.arbitrage)
        if arbitrage is None or any(each.filled for each in arbitrage.orders.values()):
            return {}
        stood: dict[int, Decimal] = {}
        for leg in arbitrage.opened.legs:
            market = self._desk.market.symbols.get((leg.venue, leg.symbol))
            if leg.client_id == order.client_id or market is None or market.instrument is None:
                continue
            best = market.ask if leg.side is Side.BUY else market.bid
            if best > 0.0:
                stood[leg.leg] = money(best, market.instrument)
        return stood

    def _arbitrage_of(self, client_id: str) -> int:
        """Ours by its id, though not remembered: its number; 0 for somebody else's."""
        parts = parse(client_id) if self._desk.ids.ours(client_id) else None
        return parts.arbitrage if parts is not None else 0

    def _learn(self, event: OrderFilled) -> None:
        """A fill that shows another commission asset than expected changes the expectation at once."""
        key = (event.venue, event.symbol)
        fees = self._desk.fees.get(key)
        if fees is None or not event.commission or event.commission_asset == charged_asset(fees, event):
            return
        base, _, quote = event.symbol.partition("/")
        if event.commission_asset not in (base, quote):
            charged = Charged.THIRD
        elif event.commission_asset == quote and event.side is Side.BUY:
            charged = Charged.QUOTE
        else:
            charged = Charged.RECEIVED
        third = event.commission_asset if charged is Charged.THIRD else fees.third_asset
        maker, taker = fees.maker, fees.taker
        if fees.charged is Charged.THIRD:  # with that asset goes its discount: the rate is what this fill was charged
            received = event.quantity if event.commission_asset == base else event.quantity * event.price
            rate = (event.commission / received).quantize(RATE_STEP)
            maker, taker = (max(maker, rate), taker) if event.maker else (maker, max(taker, rate))
            self._desk.taker_bps[key] = float(taker * BPS)
        self._desk.fees[key] = Fees(maker, taker, charged, third)
        self._desk.alert(
            Severity.WARNING,
            "COMMISSION_ASSET",
            f"{event.venue} charged {event.commission_asset} for {event.symbol}; orders are sized for that from here.",
        )

    def _after_fill(self, order: Order, event: OrderFilled) -> None:
        self.touched[order.submitted.arbitrage] = None
        if order.state is OrderState.REFUSED:
            self._move(order, Stimulus.RESUME, venue_order_id=event.venue_order_id, reason="a fill after a refusal")
        elif order.state is OrderState.UNKNOWN:
            self._move(order, Stimulus.RESUME, venue_order_id=event.venue_order_id, reason="a fill")
        elif order.state is OrderState.CLOSING:
            self._settle(order)
        elif not order.live and order.commission_owed:
            self._ask(order)
        if order.filled > order.submitted.quantity:
            self._desk.alert(
                Severity.CRITICAL,
                "OVERFILL",
                f"Order {order.client_id} at {event.venue} filled {order.filled:f} of {order.submitted.quantity:f}.",
            )
            order.next_query = self._desk.ts

    def _expected_commission(self, event: OrderFilled) -> tuple[Decimal, str]:
        """What this fill should cost, until the venue says it."""
        base, _, quote = event.symbol.partition("/")
        fees: Fees | None = self._desk.fees.get((event.venue, event.symbol))
        if fees is None:
            return ZERO, quote
        rate = fees.maker if event.maker else fees.taker
        asset = charged_asset(fees, event)
        if asset == base:
            return event.quantity * rate, base
        if asset == quote:
            return event.quantity * event.price * rate, quote
        return ZERO, asset  # in an asset whose price we do not know: the venue will say

    def _correct(self, order: Order, event: OrderFilled) -> None:
        """The venue's own commission replaces the computed one."""
        for booked in order.fills:
            if booked.trade_id == event.trade_id and booked.commission_expected and event.commission is not None:
                self._desk.keep(
                    CommissionCorrected(
                        ts=self._desk.ts,
                        venue=event.venue,
                        symbol=event.symbol,
                        client_id=order.client_id,
                        trade_id=event.trade_id,
                        commission=event.commission,
                        commission_asset=event.commission_asset,
                    )
                )
                return

    # ---- closing ---------------------------------------------------------------------------------------------------

    def _close(self, order: Order, ending: Ending, executed: Decimal, venue_order_id: str, reason: str) -> None:
        if not order.live and executed == order.filled:
            self._desk.orders.ignored += 1  # we know
            return
        if self._desk.orders.next_state(order, Stimulus.CLOSE) is None:
            return
        order.ending = ending
        if executed == order.filled:
            code = "REJECTED" if ending is Ending.REJECTED else ""
            self._change(order, ENDED[ending], executed, venue_order_id, code, reason)
        else:
            self._change(order, OrderState.CLOSING, executed, venue_order_id, "", reason)
            self._ask_soon(order)

    def _settle(self, order: Order) -> None:
        """A closing order whose fills are complete is over."""
        if order.executed == order.filled:
            full = order.filled == order.submitted.quantity
            ending = order.ending or (Ending.FILLED if full else Ending.EXPIRED)
            self._change(order, ENDED[ending], order.executed, "", "", "fills complete")

    def _move(
        self, order: Order, stimulus: Stimulus, *, venue_order_id: str = "", code: str = "", reason: str = ""
    ) -> None:
        state = self._desk.orders.next_state(order, stimulus)
        if state is not None:
            self._change(order, state, order.executed, venue_order_id, code, reason)

    def _change(
        self, order: Order, state: OrderState, executed: Decimal, venue_order_id: str, code: str, reason: str
    ) -> None:
        desk = self._desk
        submitted = order.submitted
        desk.keep(
            OrderChanged(
                ts=desk.ts,
                venue=submitted.venue,
                symbol=submitted.symbol,
                client_id=submitted.client_id,
                arbitrage=submitted.arbitrage,
                leg=submitted.leg,
                state=state,
                executed=executed,
                venue_order_id=venue_order_id,
                code=code,
                reason=reason,
            )
        )
        if state is not OrderState.ACCEPTED:  # which may fill as much as before
            self.touched[submitted.arbitrage] = None
        if state is OrderState.UNKNOWN:
            self._ask_soon(order)
        elif not order.live:
            self._finished(order)

    def _finished(self, order: Order) -> None:
        """Tell its stages; fetch commissions that were computed only."""
        desk = self._desk
        order.next_query = 0
        submitted = order.submitted
        if order.commission_owed:
            order.queries = 0
            self._ask(order)
        if order.stages_ns:
            stages = dict(order.stages_ns)
            if order.accepted_ts:
                stages["sent_to_ack"] = max(0, order.accepted_ts - order.sent_ts)
            if order.first_fill_ts:
                stages["ack_to_fill"] = order.first_fill_ts - order.accepted_ts
            desk.keep(
                OrderTimed(
                    ts=desk.ts,
                    venue=submitted.venue,
                    symbol=submitted.symbol,
                    client_id=submitted.client_id,
                    arbitrage=submitted.arbitrage,
                    stages_ns=stages,
                )
            )

    # ---- questions -------------------------------------------------------------------------------------------------

    def ask_due(self) -> None:
        """Overdue answers become doubts, doubts become questions."""
        orders = self._desk.orders
        now = self._desk.ts
        asked: dict[str, int] = {}
        for order in [*orders.live.values(), *(o for o in orders.owed.values() if not o.live)]:
            if order.next_query and now >= order.next_query:
                if order.state is OrderState.SENT and now >= order.sent_ts + self._answer_timeout_ns:
                    self._move(order, Stimulus.DOUBT, reason="no answer in time")
                if self._may_ask(order.submitted.venue, asked):
                    self._ask(order)

    def _may_ask(self, venue: str, asked: dict[str, int]) -> bool:
        """Whether one more order may be asked for there in this look."""
        most = 1 if self._failures.get(venue) else ASKED_AT_ONCE
        if self._desk.ts < self._paused.get(venue, 0) or asked.get(venue, 0) >= most:
            return False
        asked[venue] = asked.get(venue, 0) + 1
        return True

    def _ask_soon(self, order: Order) -> None:
        order.next_query = self._desk.ts + ASK_AFTER_NS[0]
        order.queries = 0

    def _ask(self, order: Order) -> None:
        submitted = order.submitted
        if order.state is OrderState.CLOSING or not order.live:
            self._ask_fills(order)
        else:
            self._desk.commands.append(
                QueryOrder(
                    venue=submitted.venue,
                    symbol=submitted.symbol,
                    client_id=submitted.client_id,
                    venue_order_id=order.venue_order_id,
                )
            )
            if order.state is OrderState.UNKNOWN and self._late_enough(order, self._desk.ts):
                self._ask_fills(order)
        order.queries += 1
        order.next_query = self._desk.ts + ASK_AFTER_NS[min(order.queries, len(ASK_AFTER_NS) - 1)]
        if order.queries == PAGED_AFTER:
            what = order.state.value if order.live else "without the venue's commission"
            self._desk.alert(
                Severity.CRITICAL,
                "ORDER_UNRESOLVED",
                f"Order {submitted.client_id} of arbitrage {submitted.arbitrage} at {submitted.venue} is {what} after "
                f"{PAGED_AFTER} questions: it may {submitted.side.value} up to {order.open_quantity:f} "
                f"{submitted.symbol.partition('/')[0]}. It is asked for until it is known; look it up at the venue.",
            )

    def _ask_fills(self, order: Order) -> None:
        submitted = order.submitted
        self._desk.commands.append(
            QueryFills(
                venue=submitted.venue,
                symbol=submitted.symbol,
                client_id=submitted.client_id,
                venue_order_id=order.venue_order_id,
                since=submitted.ts - SECOND_NS,
            )
        )

    def _late_enough(self, order: Order, asked_ts: int) -> bool:
        """Whether a question sent then could not have overtaken the order."""
        return asked_ts >= max(order.sent_ts, order.submitted.ts) + self._bound_ns

    def _conclude(self, order: Order) -> None:
        if order.absences >= ABSENCES_NEEDED and order.fills_absent and not order.filled:
            self._move(order, Stimulus.ABSENT, code="ABSENT", reason="no query and no fill shows it after the bound")

    def _find(self, venue: str, client_id: str, venue_order_id: str) -> Order | None:
        orders = self._desk.orders
        order = orders.by_id.get(client_id)
        if order is None and venue_order_id:
            order = orders.by_id.get(orders.by_venue_id.get((venue, venue_order_id), ""))
        return order

    def _acknowledged(self, order: Order) -> None:
        if not order.accepted_ts:
            order.accepted_ts = self._desk.ts

    def next_deadline(self) -> int:
        orders = self._desk.orders
        waiting = (*orders.live.values(), *orders.owed.values())
        return min((o.next_query for o in waiting if o.next_query), default=0)


def charged_asset(fees: Fees, event: OrderFilled) -> str:
    """The asset in which a fill's commission is expected."""
    base, _, quote = event.symbol.partition("/")
    if fees.charged is Charged.THIRD:
        return fees.third_asset
    return base if fees.charged is Charged.RECEIVED and event.side is Side.BUY else quote
