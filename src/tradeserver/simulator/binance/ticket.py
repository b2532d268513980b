"""A new order as Binance's parameters spell it, read and checked before any market rule is looked at.

Rules (rest-api.md "New order", 2026-07-21): LIMIT needs timeInForce, quantity and price; MARKET needs quantity or
quoteOrderQty and no price; LIMIT_MAKER needs quantity and price and no timeInForce. The default newOrderRespType is
FULL for LIMIT and MARKET, ACK for the rest. Stop and trailing orders are refused as not supported by the symbol.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tradeserver.simulator.binance import errors
from tradeserver.simulator.binance.params import Params

ORDER_NAMES = frozenset(
    {
        *("symbol", "side", "type", "timeInForce", "quantity", "quoteOrderQty", "price", "newClientOrderId"),
        *("strategyId", "strategyType", "stopPrice", "trailingDelta", "icebergQty", "newOrderRespType"),
        *("selfTradePreventionMode", "pegPriceType", "pegOffsetValue", "pegOffsetType"),
    }
)

SUPPORTED_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET")

UNSUPPORTED_TYPES = {
    "STOP_LOSS": "Stop loss orders are not supported for this symbol.",
    "STOP_LOSS_LIMIT": "Stop loss limit orders are not supported for this symbol.",
    "TAKE_PROFIT": "Take profit orders are not supported for this symbol.",
    "TAKE_PROFIT_LIMIT": "Take profit limit orders are not supported for this symbol.",
}

MANDATORY = {"LIMIT": ("timeInForce", "quantity", "price"), "LIMIT_MAKER": ("quantity", "price"), "MARKET": ()}

NOT_READ = {
    "LIMIT": ("quoteOrderQty", "stopPrice", "trailingDelta"),
    "LIMIT_MAKER": ("timeInForce", "quoteOrderQty", "stopPrice", "trailingDelta"),
    "MARKET": ("timeInForce", "price", "icebergQty", "stopPrice", "trailingDelta"),
}

PEG_NAMES = ("pegPriceType", "pegOffsetValue", "pegOffsetType")
STP_MODES = frozenset({"NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"})
ANSWERS = frozenset({"ACK", "RESULT", "FULL"})


class Ticket(msgspec.Struct, frozen=True):
    """What the client asks for; prices and quantities exactly as sent, `client_id` "" when the venue must choose."""

    symbol: str
    side: str
    type: str
    time_in_force: str
    quantity: Decimal | None
    quote_quantity: Decimal | None
    price: Decimal | None
    client_id: str
    answer: str
    stp: str


def read_ticket(params: Params) -> Ticket:
    """The order that `params` ask for, or `Refused`."""
    symbol = params.symbol()
    side = params.need("side")
    if side not in ("BUY", "SELL"):
        raise errors.Refused(-1117, "Invalid side.")
    kind = params.need("type")
    if kind in UNSUPPORTED_TYPES:
        raise errors.order_rejected(UNSUPPORTED_TYPES[kind])
    if kind not in SUPPORTED_TYPES:
        raise errors.Refused(-1116, "Invalid orderType.")
    for name in MANDATORY[kind]:
        params.need(name)
    for name in NOT_READ[kind]:
        if params.has(name):
            raise errors.not_required(name)
    if any(params.has(name) for name in PEG_NAMES):
        raise errors.order_rejected("Pegged orders are not supported for this symbol.")
    if params.has("icebergQty"):
        raise errors.order_rejected("Iceberg orders are not supported for this symbol.")
    quantity, quote_quantity = _sizes(params, kind)
    return Ticket(
        symbol=symbol,
        side=side,
        type=kind,
        time_in_force=_time_in_force(params, kind),
        quantity=quantity,
        quote_quantity=quote_quantity,
        price=params.decimal("price"),
        client_id=params.client_id("newClientOrderId") or "",
        answer=params.choice("newOrderRespType", ANSWERS) or ("ACK" if kind == "LIMIT_MAKER" else "FULL"),
        stp=params.choice("selfTradePreventionMode", STP_MODES) or "NONE",
    )


def _sizes(params: Params, kind: str) -> tuple[Decimal | None, Decimal | None]:
    quantity, quote_quantity = params.decimal("quantity"), params.decimal("quoteOrderQty")
    if kind == "MARKET":
        if quantity is None and quote_quantity is None:
            raise errors.one_of("quantity", "quoteOrderQty")
        if quantity is not None and quote_quantity is not None:
            raise errors.Refused(-1128, "Combination of optional parameters invalid.")
    return quantity, quote_quantity


def _time_in_force(params: Params, kind: str) -> str:
    if kind != "LIMIT":
        return "GTC"
    value = params.need("timeInForce")
    if value not in ("GTC", "IOC", "FOK"):
        raise errors.Refused(-1115, "Invalid timeInForce.")
    return value
