"""What we own, what is spoken for, and what it has earned: balances, reservations, positions, P&L. All `Decimal`.

The ledger books its own truth: the venue's absolute figure once (the opening), then our fills, net of commission in
whatever asset it was charged. What the venue reports afterwards is kept beside it and compared when nothing is in
flight; a difference is named and booked as external, never silently. A reservation is what an order may still take; it
shrinks with each fill and goes with the order's end, so a sum over live orders is never free twice.

Positions are by symbol, net of base commission, at average cost in quote; commission in a third asset is a cost of that
asset. Changed by records only.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tradeserver.core.events import Balance
from tradeserver.core.orders import Order
from tradeserver.core.records import BalanceBooked, CommissionCorrected, FillBooked
from tradeserver.core.types import ZERO, Side

_GRAIN: Final = Decimal("1e-12")

Holding = tuple[str, str]
"""(venue, asset)."""


class Position:
    """Net base of one symbol since the ledger began, and what it cost in quote."""

    __slots__ = ("cost", "quantity")

    def __init__(self, quantity: Decimal = ZERO, cost: Decimal = ZERO) -> None:
        self.quantity = quantity
        self.cost = cost

    def trade(self, base: Decimal, quote: Decimal) -> Decimal:
        """Base and quote received (negative: given). Returns the profit realised, in quote."""
        if not base or self.quantity * base >= 0:  # opens or adds; a pure cost (base 0) is realised at once
            if not base:
                return quote
            self.quantity += base
            self.cost -= quote
            return ZERO
        closed = min(abs(base), abs(self.quantity))
        share = closed / abs(base)  # of this trade; the rest opens the other way
        cost_closed = self.cost * closed / abs(self.quantity)
        realised = quote * share - cost_closed
        sign = 1 if base > 0 else -1
        self.quantity += sign * closed
        self.cost -= cost_closed
        if not self.quantity:
            realised -= self.cost  # the division's last digit goes with the position
            self.cost = ZERO
        rest = base - sign * closed
        if rest:
            self.quantity += rest
            self.cost -= quote - quote * share
        return realised

    def unrealised(self, mid: Decimal) -> Decimal:
        return self.quantity * mid - self.cost


class Ledger:
    """Balances by (venue, asset), positions by symbol."""

    __slots__ = ("differing", "fees", "positions", "realised", "reported", "reserved", "totals")

    def __init__(self) -> None:
        self.totals: dict[Holding, Decimal] = {}
        self.reserved: dict[Holding, Decimal] = {}
        self.reported: dict[Holding, Balance] = {}
        self.differing: dict[Holding, None] = {}  # where what the venue reported last is not our total
        self.positions: dict[str, Position] = {}
        self.realised: dict[str, Decimal] = {}  # by quote asset
        self.fees: dict[str, Decimal] = {}  # by asset charged

    def free(self, venue: str, asset: str) -> Decimal:
        holding = (venue, asset)
        return self.totals.get(holding, ZERO) - self.reserved.get(holding, ZERO)

    # ---- what the venue reports --------------------------------------------------------------------------------------

    def report(self, holding: Holding, balance: Balance | None) -> None:
        """The venue's figure now; None: it lists that asset no more."""
        if balance is None:
            self.reported.pop(holding, None)
        else:
            self.reported[holding] = balance
        self._compare(holding)

    def _compare(self, holding: Holding) -> None:
        reported = self.reported.get(holding)
        if reported is not None and reported.free + reported.locked != self.totals.get(holding, ZERO):
            self.differing[holding] = None
        else:
            self.differing.pop(holding, None)

    # ---- reservations: `before` and `after` bracket every change of an order -----------------------------------------

    def hold(self, order: Order) -> None:
        """Set aside what it may still take, to a fixed grain."""
        if not order.live:
            return
        submitted, may_fill = order.submitted, order.open_quantity
        amount = submitted.reserve
        if may_fill != submitted.quantity:
            amount = amount * may_fill / submitted.quantity
        order.held = amount.quantize(_GRAIN)
        holding = (submitted.venue, submitted.reserve_asset)
        self._reserve(holding, order.held)

    def release(self, order: Order) -> None:
        """Give back exactly what was set aside for it."""
        submitted = order.submitted
        self._reserve((submitted.venue, submitted.reserve_asset), -order.held)
        order.held = ZERO

    def _reserve(self, holding: Holding, amount: Decimal) -> None:
        left = self.reserved.get(holding, ZERO) + amount
        if left:
            self.reserved[holding] = left
        else:
            self.reserved.pop(holding, None)

    # ---- changed by records ----------------------------------------------------------------------------------------

    def apply_balance(self, record: BalanceBooked) -> None:
        self.totals[record.venue, record.asset] = record.total
        self._compare((record.venue, record.asset))

    def apply_fill(self, record: FillBooked) -> None:
        base, _, quote = record.symbol.partition("/")
        sign = 1 if record.side is Side.BUY else -1
        received_base = sign * record.quantity
        received_quote = -sign * record.quantity * record.price
        self._add(record.venue, base, received_base)
        self._add(record.venue, quote, received_quote)
        self._add(record.venue, record.commission_asset, -record.commission)
        if not record.arbitrage:
            return  # somebody else's trade on our account: it moved balances, it is no profit of ours
        self._cost(record.commission_asset, record.commission)
        if record.commission_asset == base:
            received_base -= record.commission
        elif record.commission_asset == quote:
            received_quote -= record.commission
        self._trade(record.symbol, quote, received_base, received_quote)

    def apply_commission(self, record: CommissionCorrected, booked: FillBooked) -> None:
        """Take the computed commission back and charge the venue's own."""
        base, _, quote = record.symbol.partition("/")
        for asset, amount in (
            (booked.commission_asset, -booked.commission),
            (record.commission_asset, record.commission),
        ):
            if not amount:
                continue
            self._add(record.venue, asset, -amount)
            self._cost(asset, amount)
            if asset == base:
                self._trade(record.symbol, quote, -amount, ZERO)
            elif asset == quote:
                self._trade(record.symbol, quote, ZERO, -amount)

    def _add(self, venue: str, asset: str, amount: Decimal) -> None:
        if amount:
            self.totals[venue, asset] = self.totals.get((venue, asset), ZERO) + amount
            self._compare((venue, asset))

    def _cost(self, asset: str, amount: Decimal) -> None:
        if amount:
            self.fees[asset] = self.fees.get(asset, ZERO) + amount

    def _trade(self, symbol: str, quote: str, base_amount: Decimal, quote_amount: Decimal) -> None:
        position = self.positions.setdefault(symbol, Position())
        profit = position.trade(base_amount, quote_amount)
        if profit:
            self.realised[quote] = self.realised.get(quote, ZERO) + profit
