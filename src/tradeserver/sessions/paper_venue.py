"""A pretended exchange account: orders fill against the books that we observe, balances and fees come from outside.

Pure and deterministic: commands and times go in, events come out, and the only other thing it looks at is the engine's
own `Market`. Live and backtest use the same class. What it does:

- A command reaches the venue `latency_ms` after it was sent and is answered `answer_ms` later. Everything waits in one
  queue by due time; `due(ts)` yields what is due, and must be called before every input is processed, so that an order
  meets the book as it stood when it arrived.
- A taker gets the visible levels' prices, best first. What it took stays taken until that level's quantity changes.
- A resting order fills as maker, at its own price, for what the observed book shows at that price or better.
- A book that is not synchronised shows nothing: an IOC order expires unfilled.
- Filters and balances are checked at arrival. A buy locks cap x quantity (and the fee where quote is charged), a sell
  locks base. Commission is exact, not rounded: a fraction of what the venue charges in. THIRD is converted at this
  venue's own mid; without such a market, or enough of the asset, the received asset pays, as at Binance.

What it does not do: own orders never meet each other, and have no impact on the book that others see.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from annotated_types import Ge, Gt, Le, Lt

from tradeserver.core.commands import (
    CancelAll,
    CancelOrder,
    Command,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    QueryOrders,
    RequestAccount,
    SubmitOrder,
)
from tradeserver.core.events import (
    AccountSnapshot,
    Balance,
    BalanceChanged,
    CancelRejected,
    Ending,
    Event,
    FillsListed,
    OpenOrder,
    OpenOrdersListed,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrdersListed,
    OrderStatus,
    Trust,
)
from tradeserver.core.market import Market, SymbolMarket
from tradeserver.core.types import ZERO, Charged, Fees, Instrument, Rounding, Side, TimeInForce

_MS: Final = 1_000_000
_FINISHED_KEPT: Final = 10_000  # orders that a query still finds


@dataclass(frozen=True, kw_only=True)
class PaperSettings:
    """The account that the paper venue pretends to hold."""

    balances: dict[str, Annotated[Decimal, Ge(0)]] = field(default_factory=dict)
    """Opening balances by asset."""
    maker_fee: Annotated[Decimal, Gt(-1), Lt(1)] = Decimal("0.001")
    """As a fraction: 0.001 is 10 bps."""
    taker_fee: Annotated[Decimal, Gt(-1), Lt(1)] = Decimal("0.001")
    """As a fraction."""
    latency_ms: Annotated[int, Ge(0), Le(60_000)] = 20
    """From sending an order to its match."""
    answer_ms: Annotated[int, Ge(0), Le(60_000)] = 10
    """From the match to our hearing of it."""


class PaperOrder(msgspec.Struct):
    """One order at the pretended venue. `locked` is what it still holds of `lock_asset`; `ending` None: open."""

    submitted: SubmitOrder
    instrument: Instrument
    lock_asset: str
    locked: Decimal
    executed: Decimal = ZERO
    ending: Ending | None = None
    fills: list[OrderFilled] = msgspec.field(default_factory=list)

    @property
    def remaining(self) -> Decimal:
        return self.submitted.quantity - self.executed

    @property
    def venue_order_id(self) -> str:
        return f"paper-{self.submitted.client_id}"


class _Arrival(msgspec.Struct):
    """A command on its way to the venue; `sent` is when it left."""

    command: Command
    sent: int


class PaperVenue:
    """See the module. `balances` are the opening ones: the configuration's, or those an earlier run ended with."""

    def __init__(
        self,
        venue: str,
        market: Market,
        fees: Fees,
        balances: Mapping[str, Decimal],
        latency_ms: int,
        answer_ms: int,
    ) -> None:
        self.venue = venue
        self.fees = fees
        self.orders: dict[str, PaperOrder] = {}  # by client id: open ones, and the last finished
        self.free: dict[str, Decimal] = dict(balances)
        self.locked: dict[str, Decimal] = dict.fromkeys(balances, ZERO)
        self._market = market
        self._latency_ns = latency_ms * _MS
        self._answer_ns = answer_ms * _MS
        self._queue: list[tuple[int, int, _Arrival | list[Event]]] = []  # heap by due time, then order of scheduling
        self._scheduled = 0
        self._resting: dict[str, PaperOrder] = {}
        self._finished: deque[str] = deque()
        self._taken: dict[tuple[str, Side], dict[float, tuple[float, Decimal]]] = {}  # price -> (size then, taken)
        self._serve: dict[type, Callable[[Any, int, int], list[Event]]] = {
            SubmitOrder: self._submit,
            CancelOrder: self._cancel,
            CancelAll: self._cancel_all,
            QueryOrder: self._query_order,
            QueryFills: self._query_fills,
            QueryOpenOrders: self._query_open,
            QueryOrders: self._query_orders,
            RequestAccount: self._query_account,
        }

    # ---- the conversation ------------------------------------------------------------------------------------------

    def send(self, command: Command, ts: int) -> None:
        """A command leaves us at `ts`. TypeError for a command that a paper venue does not know."""
        if type(command) not in self._serve:
            raise TypeError(f"{type(command).__name__} is no command for the paper venue")
        self._schedule(ts + self._latency_ns, _Arrival(command, ts))

    def next_due(self) -> int:
        """When `due` will next have something to do without any other input; 0: nothing is under way."""
        return self._queue[0][0] if self._queue else 0

    @property
    def idle(self) -> bool:
        """Nothing under way, nothing resting, nothing taken: `due` would find nothing."""
        return not (self._queue or self._resting or self._taken)

    def due(self, ts: int) -> list[Event]:
        """Everything that we hear up to `ts`, in due order. To be called before each input: books are as they were."""
        if self._taken:
            self._give_back()
        if self._resting:
            self._fill_resting(ts)
        heard: list[Event] = []
        while self._queue and self._queue[0][0] <= ts:
            due, _, item = heapq.heappop(self._queue)
            if isinstance(item, _Arrival):
                before = self._balances()
                events = self._serve[type(item.command)](item.command, item.sent, due)
                self._answer(due, events + self._changes(before, due))
            else:
                heard += item
        return heard

    def _schedule(self, due: int, item: _Arrival | list[Event]) -> None:
        self._scheduled += 1
        heapq.heappush(self._queue, (due, self._scheduled, item))

    def _answer(self, ts: int, events: list[Event]) -> None:
        if events:
            self._schedule(ts + self._answer_ns, events)

    # ---- orders ----------------------------------------------------------------------------------------------------

    def _submit(self, command: SubmitOrder, sent: int, ts: int) -> list[Event]:
        symbol = self._market.symbols.get((self.venue, command.symbol))
        code, text = self._objection(command, symbol)
        if code:
            return [OrderRejected(ts=ts, venue=self.venue, client_id=command.client_id, code=code, text=text)]
        assert symbol is not None
        assert symbol.instrument is not None
        asset, amount = self._lock(command, symbol.instrument)
        order = PaperOrder(command, symbol.instrument, asset, amount)
        self._move(asset, -amount, amount)
        self.orders[command.client_id] = order
        accepted = OrderAccepted(
            ts=ts, venue=self.venue, client_id=command.client_id, venue_ts=ts, venue_order_id=order.venue_order_id
        )
        events: list[Event] = [accepted]
        takes = self._match(order, symbol)
        if command.time_in_force is TimeInForce.FOK and sum((q for _, q in takes), ZERO) < command.quantity:
            takes = []
        for price, quantity in takes:
            self._take(order, symbol, price, quantity)
            events.append(self._fill(order, symbol.instrument.price(price, Rounding.DOWN), quantity, False, ts))
        if not order.remaining:
            events.append(self._close(order, Ending.FILLED, "", ts))
        elif command.time_in_force is TimeInForce.GTC:
            self._resting[command.client_id] = order
        else:
            reason = "" if symbol.trust is Trust.SYNCED else "the paper venue has no synchronised book"
            events.append(self._close(order, Ending.EXPIRED, reason, ts))
        return events

    def _objection(self, command: SubmitOrder, symbol: SymbolMarket | None) -> tuple[str, str]:
        """(code, text) of the first rule that the order breaks; ("", "") where it may stand."""
        if symbol is None or symbol.instrument is None or not symbol.instrument.tradable:
            return "NO_SYMBOL", f"{command.symbol} is not traded here"
        if command.client_id in self.orders:
            return "DUPLICATE", f"{command.client_id} was used before"
        rules = symbol.instrument
        price, quantity = command.price, command.quantity
        notional = price * quantity
        for broken, text in (
            (price <= 0 or price % rules.tick, "price is not on the tick grid"),
            (quantity <= 0 or quantity % rules.lot, "quantity is not on the lot grid"),
            (quantity < rules.min_quantity, "quantity is below the minimum"),
            (rules.max_quantity and quantity > rules.max_quantity, "quantity is above the maximum"),
            (notional < rules.min_notional, "notional is below the minimum"),
            (rules.max_notional and notional > rules.max_notional, "notional is above the maximum"),
        ):
            if broken:
                return "FILTER", text
        asset, amount = self._lock(command, rules)
        free = self.free.get(asset, ZERO)
        return ("INSUFFICIENT_BALANCE", f"needs {amount} {asset}, has {free}") if amount > free else ("", "")

    def _lock(self, command: SubmitOrder, rules: Instrument) -> tuple[str, Decimal]:
        """What an order may take at the worst."""
        if command.side is Side.SELL:
            return rules.base, command.quantity
        rate = max(self.fees.taker, self.fees.maker, ZERO) if self.fees.charged is Charged.QUOTE else ZERO
        return rules.quote, command.price * command.quantity * (1 + rate)

    def _match(self, order: PaperOrder, symbol: SymbolMarket) -> list[tuple[float, Decimal]]:
        """(price, quantity) of each level that the order would take now, best first."""
        takes: list[tuple[float, Decimal]] = []
        if symbol.trust is not Trust.SYNCED:
            return takes
        command, lot = order.submitted, order.instrument.lot
        taken = self._taken.get((command.symbol, command.side), {})
        left = order.remaining
        for price, size in symbol.shown(command.side):
            money = order.instrument.price(price, Rounding.DOWN)
            if not left or (money > command.price if command.side is Side.BUY else money < command.price):
                break
            available = Decimal(repr(size)) - (taken[price][1] if price in taken else ZERO)
            quantity = min(left, available // lot * lot)
            if quantity > 0:
                takes.append((price, quantity))
                left -= quantity
        return takes

    def _take(self, order: PaperOrder, symbol: SymbolMarket, price: float, quantity: Decimal) -> None:
        side = order.submitted.side
        taken = self._taken.setdefault((order.submitted.symbol, side), {})
        before = taken[price][1] if price in taken else ZERO
        taken[price] = (symbol.quantity_at(side, price), before + quantity)

    def _give_back(self) -> None:
        """Forget what was taken from levels whose quantity has changed since."""
        for (name, side), taken in list(self._taken.items()):
            symbol = self._market.symbols[self.venue, name]
            for price in [p for p, (size, _) in taken.items() if symbol.quantity_at(side, p) != size]:
                del taken[price]
            if not taken:
                del self._taken[name, side]

    def _fill_resting(self, ts: int) -> None:
        for order in list(self._resting.values()):
            command = order.submitted
            symbol = self._market.symbols[self.venue, command.symbol]
            takes = self._match(order, symbol)
            if not takes:
                continue
            before = self._balances()
            events: list[Event] = []
            for price, quantity in takes:
                self._take(order, symbol, price, quantity)
                events.append(self._fill(order, command.price, quantity, True, ts))
            if not order.remaining:
                events.append(self._close(order, Ending.FILLED, "", ts))
            self._answer(ts, events + self._changes(before, ts))

    # ---- money -----------------------------------------------------------------------------------------------------

    def _fill(self, order: PaperOrder, price: Decimal, quantity: Decimal, maker: bool, ts: int) -> OrderFilled:
        command, rules = order.submitted, order.instrument
        notional = price * quantity
        commission, asset = self._commission(order, quantity, notional, maker)
        buying = command.side is Side.BUY
        from_lock = commission if buying and asset == order.lock_asset else ZERO
        paid = (notional if buying else quantity) + from_lock
        order.locked -= paid
        self._move(order.lock_asset, ZERO, -paid)
        self._move(rules.base if buying else rules.quote, quantity if buying else notional, ZERO)
        self._move(asset, from_lock - commission, ZERO)
        order.executed += quantity
        fill = OrderFilled(
            ts=ts,
            venue=self.venue,
            client_id=command.client_id,
            venue_ts=ts,
            symbol=command.symbol,
            side=command.side,
            trade_id=f"{command.client_id}-{len(order.fills) + 1}",
            venue_order_id=order.venue_order_id,
            price=price,
            quantity=quantity,
            commission=commission,
            commission_asset=asset,
            maker=maker,
        )
        order.fills.append(fill)
        return fill

    def _commission(self, order: PaperOrder, quantity: Decimal, notional: Decimal, maker: bool) -> tuple[Decimal, str]:
        """(amount, asset) of one fill."""
        rate = self.fees.maker if maker else self.fees.taker
        rules, charged = order.instrument, self.fees.charged
        if charged is Charged.QUOTE:
            return notional * rate, rules.quote
        if charged is Charged.THIRD:
            third = self.fees.third_asset
            market = self._market.symbols.get((self.venue, f"{third}/{rules.quote}"))
            if market is not None and market.trust is Trust.SYNCED and market.bid_quantity and market.ask_quantity:
                amount = (notional * rate / Decimal(repr(market.mid))).quantize(Decimal("1e-8"))
                if amount <= self.free.get(third, ZERO):
                    return amount, third
        return (quantity * rate, rules.base) if order.submitted.side is Side.BUY else (notional * rate, rules.quote)

    def _close(self, order: PaperOrder, ending: Ending, reason: str, ts: int) -> OrderClosed:
        command = order.submitted
        order.ending = ending
        self._move(order.lock_asset, order.locked, -order.locked)
        order.locked = ZERO
        self._resting.pop(command.client_id, None)
        self._finished.append(command.client_id)
        if len(self._finished) > _FINISHED_KEPT:
            del self.orders[self._finished.popleft()]
        return OrderClosed(
            ts=ts,
            venue=self.venue,
            client_id=command.client_id,
            venue_ts=ts,
            ending=ending,
            executed=order.executed,
            venue_order_id=order.venue_order_id,
            reason=reason,
        )

    def _move(self, asset: str, free: Decimal, locked: Decimal) -> None:
        self.free[asset] = self.free.get(asset, ZERO) + free
        self.locked[asset] = self.locked.get(asset, ZERO) + locked

    def _balances(self) -> dict[str, Balance]:
        return {asset: Balance(free, self.locked[asset]) for asset, free in self.free.items()}

    def _changes(self, before: Mapping[str, Balance], ts: int) -> list[Event]:
        return [
            BalanceChanged(ts=ts, venue=self.venue, asset=asset, balance=balance, venue_ts=ts)
            for asset, balance in self._balances().items()
            if balance != before.get(asset)
        ]

    # ---- cancels and questions -------------------------------------------------------------------------------------

    def _cancel(self, command: CancelOrder, sent: int, ts: int) -> list[Event]:
        order = self._resting.get(command.client_id)
        if order is not None:
            return [self._close(order, Ending.CANCELED, "", ts)]
        text = "no such open order"
        return [CancelRejected(ts=ts, venue=self.venue, client_id=command.client_id, code="GONE", text=text)]

    def _cancel_all(self, command: CancelAll, sent: int, ts: int) -> list[Event]:
        mine = [order for order in self._resting.values() if order.submitted.symbol == command.symbol]
        return [self._close(order, Ending.CANCELED, "", ts) for order in mine]

    def _query_order(self, command: QueryOrder, sent: int, ts: int) -> list[Event]:
        order = self.orders.get(command.client_id)
        return [
            OrderStatus(
                ts=ts,
                venue=self.venue,
                client_id=command.client_id,
                symbol=command.symbol,
                found=order is not None,
                asked_ts=sent,
                ending=None if order is None else order.ending,
                executed=ZERO if order is None else order.executed,
                venue_order_id="" if order is None else order.venue_order_id,
            )
        ]

    def _query_fills(self, command: QueryFills, sent: int, ts: int) -> list[Event]:
        found: list[OrderFilled] = []
        for order in self.orders.values():
            if command.venue_order_id:
                if order.venue_order_id == command.venue_order_id:
                    found += order.fills
            elif order.submitted.symbol == command.symbol:
                found += [fill for fill in order.fills if fill.venue_ts >= command.since]
        return [
            FillsListed(
                ts=ts,
                venue=self.venue,
                client_id=command.client_id,
                symbol=command.symbol,
                asked_ts=sent,
                fills=tuple(found),
            )
        ]

    def _query_orders(self, command: QueryOrders, sent: int, ts: int) -> list[Event]:
        """What earlier runs sent has died with them: a pretended venue lives no longer than its process."""
        return [OrdersListed(ts=ts, venue=self.venue, symbol=command.symbol, orders=(), asked_ts=sent)]

    def _query_open(self, command: QueryOpenOrders, sent: int, ts: int) -> list[Event]:
        orders = tuple(
            OpenOrder(
                symbol=order.submitted.symbol,
                client_id=order.submitted.client_id,
                venue_order_id=order.venue_order_id,
                side=order.submitted.side,
                price=order.submitted.price,
                quantity=order.submitted.quantity,
                executed=order.executed,
            )
            for order in self._resting.values()
        )
        return [OpenOrdersListed(ts=ts, venue=self.venue, orders=orders, asked_ts=sent)]

    def _query_account(self, command: RequestAccount, sent: int, ts: int) -> list[Event]:
        balances = {asset: each for asset, each in self._balances().items() if each.free or each.locked}
        return [AccountSnapshot(ts=ts, venue=self.venue, balances=balances, asked_ts=sent, venue_ts=ts)]
