"""The trading rules of a symbol: why an order is refused before any book or balance is looked at.

Exact Decimal arithmetic on the grids of tick and lot. A venue's front has checked the form of the request (names,
types, number of decimals) before.
"""

from __future__ import annotations

from decimal import Decimal

from tradeserver.simulator.types import Order, OrderType, Reject, Status, Symbol


def status_refusal(status: Status) -> Reject | None:
    """Nothing can be placed while halted or cancel-only."""
    return {Status.TRADING: None, Status.HALTED: Reject.HALTED, Status.CANCEL_ONLY: Reject.CANCEL_ONLY}[status]


def grid_refusal(symbol: Symbol, order: Order, reference: Decimal) -> Reject | None:
    """Price, then quantity, then notional. `reference` is the last or middle price, 0 when unknown."""
    return (
        _price_refusal(symbol, order, reference)
        or _quantity_refusal(symbol, order)
        or _notional_refusal(symbol, order, reference)
    )


def _price_refusal(symbol: Symbol, order: Order, reference: Decimal) -> Reject | None:
    if order.type is OrderType.MARKET:
        return None
    if order.price <= 0 or order.price % symbol.tick:
        return Reject.PRICE_TICK
    if symbol.price_limit_rate and reference and abs(order.price - reference) > reference * symbol.price_limit_rate:
        return Reject.PRICE_LIMIT
    return None


def _quantity_refusal(symbol: Symbol, order: Order) -> Reject | None:
    if order.funds:
        return None
    if order.quantity <= 0 or order.quantity < symbol.min_quantity:
        return Reject.QUANTITY_MIN
    if symbol.max_quantity and order.quantity > symbol.max_quantity:
        return Reject.QUANTITY_MAX
    return Reject.QUANTITY_STEP if order.quantity % symbol.lot else None


def _notional_refusal(symbol: Symbol, order: Order, reference: Decimal) -> Reject | None:
    notional = order.funds or order.quantity * (order.price or reference)
    if notional < symbol.min_notional:
        return Reject.NOTIONAL_MIN
    if symbol.max_notional and notional > symbol.max_notional:
        return Reject.NOTIONAL_MAX
    return None
