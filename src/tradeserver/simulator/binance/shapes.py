"""The exchange's records in Binance's words: orders, fills, balances and symbols as REST and the user stream show them.

Rules (rest-api.md, user-data-stream.md, enums.md, filters.md, 2026-07-21): numbers are strings with eight decimals; a
cancelled order shows the *cancel's* id as its client id and its own as the original one; the rest of an IOC, FOK or
MARKET order ends EXPIRED, what self-trade prevention ends is EXPIRED_IN_MATCH. Times are in the unit asked for (`unit`,
ns per tick: a millisecond, or a microsecond on demand). Pure conversions: nothing here decides or remembers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import UNSET, UnsetType

from tradeserver.simulator.accounts import ApiKey
from tradeserver.simulator.types import (
    Done,
    Fill,
    Order,
    OrderState,
    OrderType,
    SelfTrade,
    Side,
    Status,
    Symbol,
    TimeInForce,
)
from tradeserver.wire import binance as wire

MILLISECOND_NS = 1_000_000
MICROSECOND_NS = 1_000

SIDES: dict[Side, Literal["BUY", "SELL"]] = {Side.BUY: "BUY", Side.SELL: "SELL"}
TYPES = {OrderType.LIMIT: "LIMIT", OrderType.MARKET: "MARKET", OrderType.LIMIT_MAKER: "LIMIT_MAKER"}
STATUSES = {Status.TRADING: "TRADING", Status.HALTED: "HALT", Status.CANCEL_ONLY: "CANCEL_ONLY"}
STP = {
    SelfTrade.NONE: "NONE",
    SelfTrade.CANCEL_NEW: "EXPIRE_TAKER",
    SelfTrade.CANCEL_OLD: "EXPIRE_MAKER",
    SelfTrade.CANCEL_BOTH: "EXPIRE_BOTH",
    SelfTrade.DECREMENT: "DECREMENT",
}
ENDED = {
    Done.FILLED: "FILLED",
    Done.CANCELED: "CANCELED",
    Done.IOC_REST: "EXPIRED",
    Done.FOK_UNFILLED: "EXPIRED",
    Done.NO_LIQUIDITY: "EXPIRED",
    Done.TIMED_OUT: "EXPIRED",
    Done.SELF_TRADE: "EXPIRED_IN_MATCH",
}
EXPIRY_REASONS = {
    Done.IOC_REST: "UNFILLED_IOC_QUANTITY_EXPIRED",
    Done.FOK_UNFILLED: "UNFILLED_FOK_ORDER_EXPIRED",
    Done.NO_LIQUIDITY: "INSUFFICIENT_LIQUIDITY",
}
ORDER_TYPES = ["LIMIT", "LIMIT_MAKER", "MARKET"]
STP_MODES = ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]


def number(value: Decimal) -> str:
    """Plain notation with eight decimals, "0.00100000"; more only where the value has more."""
    whole, _, decimals = format(value, "f").partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(8, '0')}"


def levels(rows: list[tuple[Decimal, Decimal]] | tuple[tuple[Decimal, Decimal], ...]) -> list[tuple[str, str]]:
    """Rows of [price, quantity]."""
    return [(number(price), number(quantity)) for price, quantity in rows]


def status(order: Order) -> str:
    """The order's status as it is now."""
    if order.done is not None:
        return ENDED[order.done]
    if order.state is OrderState.OPEN:
        return "PARTIALLY_FILLED" if order.filled else "NEW"
    return "FILLED" if order.state is OrderState.FILLED else "CANCELED"


def quantity_of(order: Order) -> Decimal:
    """A market order by quote amount has no quantity of its own: it shows what it executed."""
    return order.quantity or order.filled


def time_in_force(order: Order) -> str:
    """The order's timeInForce; a market order shows GTC."""
    return {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}[order.time_in_force]


def expiry_reason(done: Done | None) -> str | UnsetType:
    """Why an order expired; absent where nothing expired."""
    return EXPIRY_REASONS.get(done, UNSET) if done is not None else UNSET


def order_answer(order: Order, native: str, kind: str, unit: int) -> wire.OrderAnswer[str]:
    """The answer to a new order; `kind` is ACK, RESULT or FULL."""
    answer: wire.OrderAnswer[str] = wire.OrderAnswer(
        symbol=native,
        order_id=order.id,
        order_list_id=-1,
        client_order_id=order.client_id,
        transact_time=order.updated_ns // unit,
    )
    if kind == "ACK":
        return answer
    answer.price = number(order.price)
    answer.orig_qty = number(quantity_of(order))
    answer.executed_qty = number(order.filled)
    answer.orig_quote_order_qty = number(order.funds)
    answer.cummulative_quote_qty = number(order.filled_quote)
    answer.status = status(order)
    answer.time_in_force = time_in_force(order)
    answer.type = TYPES[order.type]
    answer.side = SIDES[order.side]
    answer.working_time = order.created_ns // unit
    answer.self_trade_prevention_mode = STP[order.self_trade]
    answer.expiry_reason = expiry_reason(order.done)
    if kind == "FULL":
        answer.fills = [order_fill(fill) for fill in order.fills]
    return answer


def order_fill(fill: Fill) -> wire.OrderFill[str]:
    """One row of `fills` in a FULL answer."""
    return wire.OrderFill(
        price=number(fill.price),
        qty=number(fill.quantity),
        commission=number(fill.commission),
        commission_asset=fill.commission_asset,
        trade_id=fill.trade_id,
    )


def cancel_answer(order: Order, native: str, cancel_id: str, unit: int) -> wire.CancelAnswer[str]:
    """The answer to a cancel."""
    return wire.CancelAnswer(
        symbol=native,
        orig_client_order_id=order.client_id,
        order_id=order.id,
        order_list_id=-1,
        client_order_id=cancel_id,
        transact_time=order.updated_ns // unit,
        price=number(order.price),
        orig_qty=number(quantity_of(order)),
        executed_qty=number(order.filled),
        orig_quote_order_qty=number(order.funds),
        cummulative_quote_qty=number(order.filled_quote),
        status=status(order),
        time_in_force=time_in_force(order),
        type=TYPES[order.type],
        side=SIDES[order.side],
        self_trade_prevention_mode=STP[order.self_trade],
    )


def order_report(order: Order, native: str, unit: int) -> wire.OrderReport[str]:
    """The order as a query shows it."""
    return wire.OrderReport(
        symbol=native,
        order_id=order.id,
        order_list_id=-1,
        client_order_id=order.client_id,
        price=number(order.price),
        orig_qty=number(quantity_of(order)),
        executed_qty=number(order.filled),
        orig_quote_order_qty=number(order.funds),
        cummulative_quote_qty=number(order.filled_quote),
        status=status(order),
        time_in_force=time_in_force(order),
        type=TYPES[order.type],
        side=SIDES[order.side],
        stop_price=number(Decimal(0)),
        iceberg_qty=number(Decimal(0)),
        time=order.created_ns // unit,
        update_time=order.updated_ns // unit,
        is_working=True,
        working_time=order.created_ns // unit,
        self_trade_prevention_mode=STP[order.self_trade],
        expiry_reason=expiry_reason(order.done),
    )


def account_trade(fill: Fill, native: str, unit: int) -> wire.AccountTrade[str]:
    """One row of myTrades."""
    return wire.AccountTrade(
        symbol=native,
        id=fill.trade_id,
        order_id=fill.order_id,
        order_list_id=-1,
        price=number(fill.price),
        qty=number(fill.quantity),
        quote_qty=number(fill.quote),
        commission=number(fill.commission),
        commission_asset=fill.commission_asset,
        time=fill.time_ns // unit,
        is_buyer=fill.side is Side.BUY,
        is_maker=fill.maker,
        is_best_match=True,
    )


def symbol_info(symbol: Symbol, trading: Status) -> wire.SymbolInfo[str]:
    """One symbol of exchangeInfo. A rule that the symbol does not have is not listed (or 0, which disables it)."""
    filters: list[wire.Filter[str]] = [
        wire.Filter(
            filter_type="PRICE_FILTER",
            min_price=number(symbol.tick),
            max_price=number(Decimal(1_000_000)),
            tick_size=number(symbol.tick),
        ),
        wire.Filter(
            filter_type="LOT_SIZE",
            min_qty=number(symbol.min_quantity),
            max_qty=number(symbol.max_quantity or Decimal(9_000_000_000)),
            step_size=number(symbol.lot),
        ),
        wire.Filter(filter_type="ICEBERG_PARTS", limit=10),
        wire.Filter(
            filter_type="MARKET_LOT_SIZE",
            min_qty=number(Decimal(0)),
            max_qty=number(symbol.max_quantity or Decimal(9_000_000_000)),
            step_size=number(Decimal(0)),
        ),
        wire.Filter(
            filter_type="NOTIONAL",
            min_notional=number(symbol.min_notional),
            apply_min_to_market=True,
            max_notional=number(symbol.max_notional or Decimal(9_000_000)),
            apply_max_to_market=bool(symbol.max_notional),
            avg_price_mins=0,
        ),
        wire.Filter(filter_type="MAX_NUM_ORDERS", max_num_orders=200),
        wire.Filter(filter_type="MAX_NUM_ALGO_ORDERS", max_num_algo_orders=5),
    ]
    if symbol.price_limit_rate:
        filters.append(
            wire.Filter(
                filter_type="PERCENT_PRICE",
                multiplier_up=plain(1 + symbol.price_limit_rate),
                multiplier_down=plain(1 - symbol.price_limit_rate),
                avg_price_mins=0,
            )
        )
    return wire.SymbolInfo(
        symbol=symbol.native,
        status=STATUSES[trading],
        base_asset=symbol.base,
        base_asset_precision=8,
        quote_asset=symbol.quote,
        quote_precision=8,
        quote_asset_precision=8,
        base_commission_precision=8,
        quote_commission_precision=8,
        order_types=ORDER_TYPES,
        iceberg_allowed=False,
        oco_allowed=False,
        oto_allowed=False,
        opo_allowed=False,
        quote_order_qty_market_allowed=True,
        allow_trailing_stop=False,
        cancel_replace_allowed=True,
        amend_allowed=False,
        peg_instructions_allowed=False,
        is_spot_trading_allowed=True,
        is_margin_trading_allowed=False,
        filters=filters,
        permissions=[],
        permission_sets=[["SPOT"]],
        default_self_trade_prevention_mode="NONE",
        allowed_self_trade_prevention_modes=STP_MODES,
    )


def plain(value: Decimal) -> str:
    """Plain notation without trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def restrictions(key: ApiKey) -> dict[str, object]:
    """{"ipRestrict":false,"createTime":0,"enableReading":true,"enableWithdrawals":false,...}."""
    trade, withdraw = "trade" in key.permissions, "withdraw" in key.permissions
    return {
        "ipRestrict": False,
        "createTime": 0,
        "enableReading": "read" in key.permissions,
        "enableWithdrawals": withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": trade,
        "enablePortfolioMarginTrading": False,
    }
