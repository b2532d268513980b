"""Money of one venue: what an order holds, what a fill moves, what an end gives back. Every move is an event.

Invariants: `order.held` is what the account has locked for the order, so the locked balance of an asset is the sum
over the open orders; a limit order always holds enough for its rest at its own price; nothing is created or lost but
what trades with participants bring and commissions take.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from tradeserver.simulator.accounts import Account, Fees, product
from tradeserver.simulator.types import (
    ZERO,
    BalanceChange,
    Cause,
    Event,
    Fill,
    Order,
    OrderFill,
    OrderType,
    Side,
    Symbol,
)


class Settlement:
    """Holds, pays and releases. Appends to the exchange's `events`."""

    def __init__(
        self, accounts: Mapping[str, Account], symbols: Mapping[str, Symbol], fees: Fees, events: list[Event]
    ) -> None:
        self.fees = fees
        self.fills: dict[str, list[Fill]] = {name: [] for name in accounts}
        self._accounts = accounts
        self._symbols = symbols
        self._events = events

    def hold(self, order: Order, offered: tuple[Decimal, Decimal], now_ns: int) -> bool:
        """Lock what the order may cost; False when there is not enough. `offered` is (base, quote) that a market order
        finds in the book now."""
        account, symbol = self._of(order)
        if order.type is not OrderType.MARKET:
            amount = self.fees.hold(account, symbol, order.side, order.price, order.quantity)
        elif order.side is Side.SELL:
            amount = order.quantity or offered[0]
        else:
            amount = self.fees.hold(account, symbol, order.side, order.funds or offered[1], Decimal(1))
        asset = spent_asset(symbol, order.side)
        if account.balance(asset).free < amount:
            return False
        if amount:
            order.held = amount
            self.move(account, asset, -amount, amount, Cause.HOLD, now_ns, order)
        return True

    def can_pay(self, order: Order, price: Decimal, quantity: Decimal) -> bool:
        """Limit orders hold all they need; a market order may have found less than it saw (self-trade prevention)."""
        if order.type is not OrderType.MARKET:
            return True
        account, symbol = self._of(order)
        cost = self.fees.hold(account, symbol, order.side, price, quantity)
        return order.held + account.balance(spent_asset(symbol, order.side)).free >= cost

    def fill(
        self, order: Order, price: Decimal, quantity: Decimal, trade_id: int, counter: int, maker: bool, now_ns: int
    ) -> None:
        """One side of a trade: the order's totals, the fill, the money."""
        account, symbol = self._of(order)
        quote = product(price, quantity)
        commission, asset = self.fees.commission(account, symbol, order, price, quantity, maker)
        order.filled += quantity
        order.filled_quote += quote
        order.fees[asset] = order.fees.get(asset, ZERO) + commission
        order.updated_ns = now_ns
        fill = Fill(
            trade_id=trade_id,
            order_id=order.id,
            account=order.account,
            symbol=order.symbol,
            client_id=order.client_id,
            side=order.side,
            price=price,
            quantity=quantity,
            quote=quote,
            commission=commission,
            commission_asset=asset,
            maker=maker,
            counter_order_id=counter,
            filled=order.filled,
            filled_quote=order.filled_quote,
            remaining=order.remaining,
            time_ns=now_ns,
        )
        order.fills.append(fill)
        self.fills[account.name].append(fill)
        final = bool(order.quantity) and not order.remaining
        self._events.append(OrderFill(order, fill, final, now_ns))
        self._pay(account, symbol, order, fill, now_ns)

    def release(self, order: Order, now_ns: int, *, keep_rest: bool = False) -> None:
        """Give back what is still held: all of it, or all but what the rest of the order needs."""
        keep = self._hold_of_rest(order) if keep_rest else ZERO
        released = order.held - keep
        if released:
            order.held = keep
            account, symbol = self._of(order)
            asset = spent_asset(symbol, order.side)
            self.move(account, asset, released, -released, Cause.RELEASE, now_ns, order)

    def move(
        self,
        account: Account,
        asset: str,
        free: Decimal,
        locked: Decimal,
        cause: Cause,
        now_ns: int,
        order: Order | None = None,
        trade_id: int = 0,
    ) -> None:
        """Change a balance and say so."""
        account.move(asset, free, locked)
        now = account.balance(asset)
        self._events.append(
            BalanceChange(account.name, asset, now.free, now.locked, free, locked, cause, order, trade_id, now_ns)
        )

    def _pay(self, account: Account, symbol: Symbol, order: Order, fill: Fill, now_ns: int) -> None:
        """Move both assets and the commission. What was held for this part is released first."""
        sign = 1 if order.side is Side.BUY else -1
        changes = {symbol.base: sign * fill.quantity, symbol.quote: -sign * fill.quote}
        changes[fill.commission_asset] = changes.get(fill.commission_asset, ZERO) - fill.commission
        spent = spent_asset(symbol, order.side)
        if order.type is OrderType.MARKET:
            released = min(order.held, max(-changes[spent], ZERO))
        else:
            released = order.held - self._hold_of_rest(order)
        order.held -= released
        for asset, change in changes.items():
            back = released if asset == spent else ZERO
            self.move(account, asset, change + back, -back, Cause.TRADE, now_ns, order, fill.trade_id)

    def _hold_of_rest(self, order: Order) -> Decimal:
        account, symbol = self._of(order)
        return self.fees.hold(account, symbol, order.side, order.price, order.remaining)

    def _of(self, order: Order) -> tuple[Account, Symbol]:
        return self._accounts[order.account], self._symbols[order.symbol]


def spent_asset(symbol: Symbol, side: Side) -> str:
    """What an order of this side pays with, and therefore locks."""
    return symbol.base if side is Side.SELL else symbol.quote
