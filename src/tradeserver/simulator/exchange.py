"""One venue's world: accounts, order books, matching, money. Neutral: a front turns it into Binance or KuCoin.

What a front calls:

    exchange.place(account, symbol, side, ...) -> Placement      an order (matched already) or a `Reject`
    exchange.cancel(order_id, now_ns) / cancel_all(account, symbol, now_ns)
    exchange.key(api_key) -> (Account, ApiKey) | None            accounts: `exchange.accounts[name]`
    exchange.order / order_by_client / open_orders / orders / fills
    exchange.symbols / by_native / status / depth / quote / last_price / last_trade_id
    exchange.take_events()                                       everything since the last call, in order
    exchange.subscribed(now_ns)                                  somebody subscribed to a market stream (starts a tape)

Events come in the order in which things happened: BalanceChange(HOLD), OrderNew, then per fill OrderFill, the
BalanceChanges of it and PublicTrade, then OrderOpen or OrderDone (a maker's OrderDone right after its last fill),
then the BookChange and QuoteChange of the whole operation. After `place` returns, all of them are queued.

Symbols are named as ours ("BTC/USDT") everywhere. All methods are exact and deterministic; nobody reads a clock.
Errors: business refusals are `Reject`s; a bad argument (a market order with a price, a negative quantity) is the
front's fault and raises ValueError. Assumed, for no document says: a market buy by funds spends up to `funds` and
holds the fee on top of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import ROUND_DOWN, Decimal

import msgspec

from tradeserver.simulator.accounts import Account, ApiKey, Fees, product
from tradeserver.simulator.matching import NO_LEVEL, Book, Liquidity, Resting
from tradeserver.simulator.rules import grid_refusal, status_refusal
from tradeserver.simulator.settlement import Settlement
from tradeserver.simulator.types import (
    ZERO,
    BookChange,
    BookLevel,
    Cause,
    Depth,
    Done,
    Event,
    Fill,
    Order,
    OrderDone,
    OrderNew,
    OrderOpen,
    OrderReduced,
    OrderState,
    OrderType,
    Placement,
    PublicTrade,
    QuoteChange,
    Reject,
    SelfTrade,
    Side,
    Status,
    StatusChange,
    Symbol,
    TimeInForce,
)


class Placed(msgspec.Struct, frozen=True):
    """What a client asked for and what became of it, for the control log. `result` is a `Reject` or "accepted"."""

    time_ns: int
    account: str
    client_id: str
    symbol: str
    side: str
    type: str
    time_in_force: str
    price: Decimal
    quantity: Decimal
    funds: Decimal
    result: str
    order_id: int


class Exchange:
    """See the module's docstring. `ids_forever`: a client id may never be used again (KuCoin), else only while open."""

    def __init__(
        self,
        venue: str,
        symbols: Iterable[Symbol],
        accounts: Iterable[Account],
        fees: Fees,
        *,
        ids_forever: bool = False,
        max_open_orders: int = 200,
        first_id: int = 1,
    ) -> None:
        self.venue = venue
        self.fees = fees
        self.symbols = {symbol.name: symbol for symbol in symbols}
        self.by_native = {symbol.native: symbol for symbol in self.symbols.values()}
        self.accounts = {account.name: account for account in accounts}
        self.status = dict.fromkeys(self.symbols, Status.TRADING)
        self.books: dict[str, Liquidity] = {name: Book(first_id) for name in self.symbols}
        self.last_price: dict[str, Decimal] = dict.fromkeys(self.symbols, ZERO)
        self.last_trade_id: dict[str, int] = dict.fromkeys(self.symbols, first_id)
        self.placed: list[Placed] = []
        self.first_subscribed_ns = 0
        self.offset_ns = 0  # how far this venue's clock is ahead of the world's (a fault)
        self.share: Callable[[Order, int], Decimal] | None = None  # of a new order, what may match at once (a fault)
        self._ids_forever = ids_forever
        self._max_open = max_open_orders
        self._next_id = first_id
        self._keys = {key.key: (account, key) for account in self.accounts.values() for key in account.keys}
        self._orders: dict[int, Order] = {}
        self._by_client: dict[tuple[str, str], Order] = {}
        self._by_account: dict[str, list[Order]] = {name: [] for name in self.accounts}
        self._open: dict[str, dict[int, Order]] = {name: {} for name in self.accounts}
        self._resting: dict[int, Resting] = {}
        self._quotes: dict[str, tuple[BookLevel, BookLevel]] = {}
        self._events: list[Event] = []
        self._settlement = Settlement(self.accounts, self.symbols, fees, self._events)

    # ---- reading ----------------------------------------------------------------------------------------------------

    def key(self, api_key: str) -> tuple[Account, ApiKey] | None:
        """The account that this key opens."""
        return self._keys.get(api_key)

    def order(self, order_id: int) -> Order | None:
        """Any account's order, open or not."""
        return self._orders.get(order_id)

    def order_by_client(self, account: str, client_id: str) -> Order | None:
        """The latest order of this account with that client id."""
        return self._by_client.get((account, client_id))

    def open_orders(self, account: str, symbol: str = "") -> list[Order]:
        """Oldest first; of one symbol if named."""
        return [order for order in self._open[account].values() if symbol in ("", order.symbol)]

    def orders(self, account: str, symbol: str = "") -> list[Order]:
        """Every order ever accepted, oldest first."""
        return [order for order in self._by_account[account] if symbol in ("", order.symbol)]

    def fills(self, account: str, symbol: str = "", order_id: int = 0) -> list[Fill]:
        """Oldest first."""
        fills = self._settlement.fills[account]
        if order_id:
            order = self._orders.get(order_id)
            fills = order.fills if order is not None and order.account == account else []
        return [fill for fill in fills if symbol in ("", fill.symbol)]

    def depth(self, symbol: str, limit: int = 5000) -> Depth:
        """The published book. With a recording: the recorded book, without what we took from it."""
        book = self.books[symbol]
        bids, asks = book.depth(limit)
        return Depth(book.sequence, bids, asks)

    def quote(self, symbol: str) -> tuple[BookLevel, BookLevel]:
        """Best bid and ask as published; (0, 0) for an empty side."""
        book = self.books[symbol]
        return book.top(Side.BUY), book.top(Side.SELL)

    def reference_price(self, symbol: str) -> Decimal:
        """The last trade's price, else the middle of the book, else 0."""
        if self.last_price[symbol]:
            return self.last_price[symbol]
        bid, ask = self.quote(symbol)
        return (bid[0] + ask[0]) / 2 if bid[0] and ask[0] else ZERO

    def take_events(self) -> list[Event]:
        """Everything that happened since the last call. There is one taker: the venue's front."""
        events = self._events.copy()
        self._events.clear()
        return events

    # ---- from fronts ------------------------------------------------------------------------------------------------

    def subscribed(self, now_ns: int) -> None:
        """Somebody subscribed to a market stream; a recording starts to play soon after the first time."""
        self.first_subscribed_ns = self.first_subscribed_ns or now_ns

    def place(
        self,
        account: Account,
        symbol: str,
        side: Side,
        type: OrderType,  # noqa: A002
        now_ns: int,
        *,
        client_id: str,
        time_in_force: TimeInForce = TimeInForce.GTC,
        price: Decimal = ZERO,
        quantity: Decimal = ZERO,
        funds: Decimal = ZERO,
        self_trade: SelfTrade = SelfTrade.NONE,
        expires_ns: int = 0,
    ) -> Placement:
        """Accept, match and rest or end an order; or say why not. Market orders give `quantity` or `funds` alone."""
        if type is OrderType.MARKET and (price or bool(quantity) == bool(funds)):
            raise ValueError("a market order takes a quantity or funds, and no price")
        if type is not OrderType.MARKET and (funds or not price):
            raise ValueError("a limit order takes a price and a quantity")
        order = Order(
            id=self._next_id,
            account=account.name,
            symbol=symbol,
            client_id=client_id,
            side=side,
            type=type,
            time_in_force=time_in_force,
            price=price,
            quantity=quantity,
            funds=funds,
            self_trade=self_trade,
            expires_ns=expires_ns,
            created_ns=now_ns,
            updated_ns=now_ns,
        )
        reject = self._refusal(account, order)
        if reject is None and not self._settlement.hold(order, self._market_cost(order), now_ns):
            reject = Reject.INSUFFICIENT_BALANCE
        self.placed.append(_log_line(order, reject, now_ns))
        if reject is not None:
            return Placement(None, reject)
        self._next_id += 1
        self._orders[order.id] = order
        self._by_client[account.name, client_id] = order
        self._by_account[account.name].append(order)
        self._open[account.name][order.id] = order
        self._events.append(OrderNew(order, now_ns))
        self._run(order, now_ns)
        self.flush(symbol, now_ns)
        return Placement(order)

    def check(self, account: Account, order: Order) -> Reject | None:
        """Why this order would not be accepted, balance aside; nothing is placed (`order/test`)."""
        return self._refusal(account, order)

    def cancel(self, order_id: int, now_ns: int, cancel_client_id: str = "") -> Order | None:
        """The order as it ended, or None when it is not open (any more)."""
        order = self._orders.get(order_id)
        if order is None or order.state is not OrderState.OPEN:
            return None
        self._end(order, Done.CANCELED, now_ns, cancel_client_id)
        self.flush(order.symbol, now_ns)
        return order

    def cancel_all(self, account: str, symbol: str, now_ns: int) -> list[Order]:
        """Cancel everything open of one symbol ("" for all); what was cancelled, oldest first."""
        orders = self.open_orders(account, symbol)
        for order in orders:
            self.cancel(order.id, now_ns)
        return orders

    # ---- from the server, the market and the operator ---------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """End orders whose time is up."""
        for account in self._open.values():
            for order in [order for order in account.values() if 0 < order.expires_ns <= now_ns]:
                self._end(order, Done.TIMED_OUT, now_ns)
                self.flush(order.symbol, now_ns)

    def set_balance(self, account: str, asset: str, free: Decimal, now_ns: int) -> None:
        """The operator's hand: the free balance becomes `free`."""
        change = free - self.accounts[account].balance(asset).free
        self._settlement.move(self.accounts[account], asset, change, ZERO, Cause.SET, now_ns)

    def set_status(self, symbol: str, status: Status, now_ns: int) -> None:
        """Halt a symbol, or let it trade again. Open orders stay."""
        self.status[symbol] = status
        self._events.append(StatusChange(symbol, status, now_ns))

    def set_rules(self, symbol: Symbol) -> None:
        """A symbol's rules change. Open orders stay as they are."""
        self.symbols[symbol.name] = self.by_native[symbol.native] = symbol

    def withdraw(self, symbol: str, share: Decimal, now_ns: int) -> None:
        """Participants take that share of each order of theirs out of the book, in whole lots."""
        book, lot = self.books[symbol], self.symbols[symbol].lot
        for resting in book.participants():
            kept = (resting.remaining * (1 - share) / lot).to_integral_value(ROUND_DOWN) * lot
            if resting.remaining > kept:
                book.reduce(resting, resting.remaining - kept)
        self.flush(symbol, now_ns)

    def emit(self, event: Event) -> None:
        """For a tape: something public that did not come from matching."""
        self._events.append(event)

    def add_participant(self, symbol: str, side: Side, price: Decimal, quantity: Decimal) -> Resting:
        """A synthetic participant's order joins the book. It must not cross (see `take`). `flush` after a batch."""
        resting = Resting(0, side, price, quantity)
        self.books[symbol].add(resting)
        return resting

    def take(self, symbol: str, side: Side, quantity: Decimal, cap: Decimal, now_ns: int) -> Decimal:
        """A synthetic taker buys or sells up to `quantity` at `cap` or better; what it got. Call `flush` afterwards."""
        book, got = self.books[symbol], ZERO
        while got < quantity:
            maker = book.first(side.opposite)
            if maker is None or not _crosses(side, cap, maker.price):
                break
            part = min(quantity - got, maker.remaining)
            self._trade(symbol, None, side, maker, part, now_ns)
            got += part
        return got

    def fill_resting(self, order: Order, quantity: Decimal, now_ns: int) -> None:
        """A tape came to the price of a resting order: it fills as maker, at its own price."""
        resting = self._resting[order.id]
        self._trade(
            order.symbol, None, order.side.opposite, resting, min(quantity, resting.remaining), now_ns, public=False
        )

    def resting_orders(self, symbol: str) -> list[Order]:
        """Client orders in this book, oldest first."""
        return [r.order for r in self._resting.values() if r.order and r.order.symbol == symbol]

    def flush(self, symbol: str, now_ns: int) -> None:
        """Emit what changed in the book since the last time, as one BookChange, and the new best quote if it is new."""
        book = self.books[symbol]
        if not book.changes:
            return
        changes, book.changes = book.changes, []
        levels = {(side, price): quantity for _, side, price, quantity in changes}
        bids, asks = (tuple((p, q) for (s, p), q in levels.items() if s is side) for side in Side)
        self._events.append(BookChange(symbol, changes[0][0], changes[-1][0], bids, asks, now_ns))
        quote = self.quote(symbol)
        if quote != self._quotes.get(symbol, (NO_LEVEL, NO_LEVEL)):
            self._quotes[symbol] = quote
            self._events.append(QuoteChange(symbol, book.sequence, *quote, now_ns))

    # ---- accepting --------------------------------------------------------------------------------------------------

    def _refusal(self, account: Account, order: Order) -> Reject | None:
        symbol = self.symbols.get(order.symbol)
        if symbol is None:
            return Reject.UNKNOWN_SYMBOL
        closed = status_refusal(self.status[order.symbol])
        if closed is not None:
            return closed
        earlier = self._by_client.get((account.name, order.client_id))
        if earlier is not None and (self._ids_forever or earlier.state is OrderState.OPEN):
            return Reject.DUPLICATE_CLIENT_ID
        reference = self.reference_price(order.symbol)
        return grid_refusal(symbol, order, reference) or self._book_refusal(account, order)

    def _book_refusal(self, account: Account, order: Order) -> Reject | None:
        if order.type is OrderType.MARKET:
            return None
        if order.type is OrderType.LIMIT_MAKER and self._offered(order, order.remaining)[0]:
            return Reject.WOULD_MATCH
        if (
            order.time_in_force is TimeInForce.GTC
            and len(self.open_orders(account.name, order.symbol)) >= self._max_open
        ):
            return Reject.TOO_MANY_OPEN
        return None

    def _market_cost(self, order: Order) -> tuple[Decimal, Decimal]:
        return self._offered(order, order.quantity) if order.type is OrderType.MARKET else (ZERO, ZERO)

    def _offered(self, order: Order, wanted: Decimal) -> tuple[Decimal, Decimal]:
        """(base, quote) that the book offers this order now, up to `wanted` base, or to its funds."""
        base = quote = ZERO
        lot = self.symbols[order.symbol].lot
        for price, quantity in self.books[order.symbol].offered(order.side.opposite):
            if order.price and not _crosses(order.side, order.price, price):
                break
            part = min(quantity, _affordable(order.funds - quote, price, lot) if order.funds else wanted - base)
            base += part
            quote += product(price, part)
            if part < quantity or (not order.funds and base >= wanted):
                break
        return base, quote

    # ---- matching ---------------------------------------------------------------------------------------------------

    def _run(self, order: Order, now_ns: int) -> None:
        """Match a new order, then let it rest or end."""
        if order.time_in_force is TimeInForce.FOK and self._offered(order, order.quantity)[0] < order.quantity:
            self._end(order, Done.FOK_UNFILLED, now_ns)
            return
        self._match(order, now_ns)
        if order.state is not OrderState.OPEN:
            return
        if order.type is OrderType.MARKET:
            spent = not order.quantity and order.filled and self.books[order.symbol].first(order.side.opposite)
            self._end(order, Done.FILLED if spent else Done.NO_LIQUIDITY, now_ns)
        elif order.time_in_force is not TimeInForce.GTC:
            self._end(order, Done.IOC_REST, now_ns)
        else:
            resting = self._resting[order.id] = Resting(order.id, order.side, order.price, order.remaining, order)
            order.resting = order.was_resting = True
            self.books[order.symbol].add(resting)
            self._events.append(OrderOpen(order, order.remaining, now_ns))

    def _match(self, order: Order, now_ns: int) -> None:
        book = self.books[order.symbol]
        most = self._most(order, now_ns)
        lot = self.symbols[order.symbol].lot
        while order.state is OrderState.OPEN:
            maker = book.first(order.side.opposite)
            if maker is None or (order.price and not _crosses(order.side, order.price, maker.price)):
                return
            own = maker.order is not None and maker.order.account == order.account
            if own and order.self_trade is not SelfTrade.NONE:
                self._prevent(order, maker, now_ns)
                continue
            funds = order.funds - order.filled_quote
            part = min(order.remaining if order.quantity else _affordable(funds, maker.price, lot), maker.remaining)
            if most is not None:
                part = min(part, most - order.filled)
            if not part or not self._settlement.can_pay(order, maker.price, part):
                return
            self._trade(order.symbol, order, order.side, maker, part, now_ns)

    def _most(self, order: Order, now_ns: int) -> Decimal | None:
        """What of it may match at once, in whole lots; None where nothing limits that."""
        share = self.share(order, now_ns) if self.share is not None and order.quantity else Decimal(1)
        if share >= 1:
            return None
        lot = self.symbols[order.symbol].lot
        return (order.quantity * share / lot).to_integral_value(ROUND_DOWN) * lot

    def _prevent(self, order: Order, maker: Resting, now_ns: int) -> None:
        """Self-trade prevention: instead of trading with its own account. Each way at least one of the two ends."""
        assert maker.order is not None
        mode = order.self_trade
        if mode is SelfTrade.DECREMENT and order.quantity:
            part = min(order.remaining, maker.remaining)
            for one in (maker.order, order):
                self._decrement(one, part, now_ns)
            return
        if mode is not SelfTrade.CANCEL_NEW:
            self._end(maker.order, Done.SELF_TRADE, now_ns)
        if mode is not SelfTrade.CANCEL_OLD:
            self._end(order, Done.SELF_TRADE, now_ns)

    def _decrement(self, order: Order, by: Decimal, now_ns: int) -> None:
        old = order.remaining
        if by == old:
            self._end(order, Done.SELF_TRADE, now_ns)
            return
        order.decremented += by
        if order.resting:
            self.books[order.symbol].reduce(self._resting[order.id], by)
        self._settlement.release(order, now_ns, keep_rest=True)
        self._events.append(OrderReduced(order, old, order.remaining, now_ns))

    def _trade(
        self,
        symbol: str,
        taker: Order | None,
        side: Side,
        maker: Resting,
        quantity: Decimal,
        now_ns: int,
        *,
        public: bool = True,
    ) -> None:
        """One trade: the maker's queue, both sides' money, the public print. `taker` None is a participant."""
        book = self.books[symbol]
        book.reduce(maker, quantity)
        trade_id = self.last_trade_id[symbol] = self.last_trade_id[symbol] + 1
        taker_id = taker.id if taker else 0
        for order, other in ((taker, maker.id), (maker.order, taker_id)):
            if order is not None:
                self._settlement.fill(order, maker.price, quantity, trade_id, other, order is not taker, now_ns)
        if public and not book.published_elsewhere:
            self.last_price[symbol] = maker.price
            self._events.append(
                PublicTrade(symbol, book.sequence, trade_id, maker.price, quantity, side, maker.id, taker_id, now_ns)
            )
        for order in (maker.order, taker):
            if order is not None and order.quantity and not order.remaining:
                self._end(order, Done.FILLED, now_ns)

    def _end(self, order: Order, reason: Done, now_ns: int, cancel_client_id: str = "") -> None:
        unfilled = order.remaining
        order.state = _STATE_OF[reason]
        order.done = reason
        order.updated_ns = now_ns
        order.resting = False
        self._open[order.account].pop(order.id, None)
        resting = self._resting.pop(order.id, None)
        if resting is not None and resting.remaining:
            self.books[order.symbol].remove(resting)
        self._settlement.release(order, now_ns)
        self._events.append(OrderDone(order, reason, order.filled, unfilled, cancel_client_id, now_ns))


_STATE_OF = {
    Done.FILLED: OrderState.FILLED,
    Done.CANCELED: OrderState.CANCELED,
    Done.IOC_REST: OrderState.EXPIRED,
    Done.FOK_UNFILLED: OrderState.EXPIRED,
    Done.NO_LIQUIDITY: OrderState.EXPIRED,
    Done.SELF_TRADE: OrderState.EXPIRED,
    Done.TIMED_OUT: OrderState.CANCELED,
}


def _crosses(side: Side, limit: Decimal, price: Decimal) -> bool:
    """Whether a taker of `side` with this limit accepts `price`."""
    return price <= limit if side is Side.BUY else price >= limit


def _affordable(funds: Decimal, price: Decimal, lot: Decimal) -> Decimal:
    """The whole lots that `funds` buy at `price`."""
    return funds // (price * lot) * lot


def _log_line(order: Order, reject: Reject | None, now_ns: int) -> Placed:
    return Placed(
        time_ns=now_ns,
        account=order.account,
        client_id=order.client_id,
        symbol=order.symbol,
        side=order.side.value,
        type=order.type.value,
        time_in_force=order.time_in_force.value,
        price=order.price,
        quantity=order.quantity,
        funds=order.funds,
        result=reject.value if reject else "accepted",
        order_id=0 if reject else order.id,
    )
