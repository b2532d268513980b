"""The exchange's records in KuCoin's words: orders, fills, balances and symbols as REST and the push streams show them.

Rules (KuCoin classic spot API pages, 2025-11): numbers are plain strings; REST says `cancelledSize`, the stream
`canceledSize`; a fill on the stream names no fee; `orderTime` is in ms, `ts` in ns. An order id is 24 hex digits: here
a constant prefix and the exchange's number. Pure conversions: nothing here decides or remembers.
"""

from __future__ import annotations

import zlib
from decimal import Decimal
from typing import Literal

from msgspec import UNSET

from tradeserver.simulator.accounts import Rates
from tradeserver.simulator.history import Candle
from tradeserver.simulator.types import (
    ZERO,
    BalanceChange,
    BookLevel,
    Cause,
    Done,
    Fill,
    Order,
    OrderState,
    OrderType,
    PublicTrade,
    SelfTrade,
    Side,
    Symbol,
    TimeInForce,
)
from tradeserver.wire import kucoin as wire

MS = 1_000_000
ID_PREFIX = "673fb0c2"

SIDES: dict[Side, Literal["buy", "sell"]] = {Side.BUY: "buy", Side.SELL: "sell"}
STP = {
    SelfTrade.NONE: None,
    SelfTrade.CANCEL_NEW: "CN",
    SelfTrade.CANCEL_OLD: "CO",
    SelfTrade.CANCEL_BOTH: "CB",
    SelfTrade.DECREMENT: "DC",
}
EVENTS = {
    Cause.HOLD: "trade.hold",
    Cause.TRADE: "trade.setted",
    Cause.RELEASE: "trade.hold",
    Cause.SET: "trade.transfer",
}


def plain(value: Decimal) -> str:
    """Plain notation without trailing zeros: "0.00001", "100", "0"."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def order_id(number: int) -> str:
    """12 -> "673fb0c2000000000000000c"."""
    return f"{ID_PREFIX}{number:016x}"


def order_number(text: str) -> int:
    """The exchange's number of an order id; 0 for an id that this venue never gave out."""
    if len(text) != 24 or not text.startswith(ID_PREFIX):
        return 0
    try:
        return int(text[8:], 16)
    except ValueError:
        return 0


def account_id(account: str, currency: str) -> str:
    """A stable number for one currency of one account."""
    return str(500_000_000_000 + zlib.crc32(f"{account}/{currency}".encode()))


def rows(levels: list[BookLevel]) -> list[tuple[str, str]]:
    """Rows of [price, size]."""
    return [(plain(price), plain(quantity)) for price, quantity in levels]


def canceled(order: Order) -> Decimal:
    """Base that will not fill any more."""
    return ZERO if order.state is OrderState.OPEN else max(order.remaining, ZERO)


def remaining(order: Order) -> Decimal:
    """Base that may still fill."""
    return order.remaining if order.state is OrderState.OPEN else ZERO


def symbol_row(symbol: Symbol, trading: bool) -> wire.SymbolRow[str]:
    """One row of `GET /api/v2/symbols`."""
    return wire.SymbolRow(
        symbol=symbol.native,
        name=symbol.native,
        base_currency=symbol.base,
        quote_currency=symbol.quote,
        fee_currency=symbol.quote,
        market="USDS" if symbol.quote.startswith("USD") else symbol.quote,
        base_min_size=plain(symbol.min_quantity),
        quote_min_size=plain(symbol.min_notional or symbol.tick),
        base_max_size=plain(symbol.max_quantity or Decimal(10_000_000_000)),
        quote_max_size=plain(symbol.max_notional or Decimal(99_999_999)),
        base_increment=plain(symbol.lot),
        quote_increment="0.000001",
        price_increment=plain(symbol.tick),
        price_limit_rate=plain(symbol.price_limit_rate or Decimal("0.1")),
        is_margin_enabled=False,
        enable_trading=trading,
        min_funds=plain(symbol.min_notional),
        fee_category=1,
        maker_fee_coefficient="1.00",
        taker_fee_coefficient="1.00",
        st=False,
        callauction_is_enabled=False,
        callauction_price_floor=None,
        callauction_price_ceiling=None,
        callauction_first_stage_start_time=None,
        callauction_second_stage_start_time=None,
        callauction_third_stage_start_time=None,
        trading_start_time=None,
    )


def order_row(order: Order, symbol: Symbol) -> wire.Order[str]:
    """The order as REST shows it."""
    funds = order.funds or order.price * order.quantity
    rest = canceled(order)
    ended = order.state is not OrderState.OPEN
    return wire.Order(
        id=order_id(order.id),
        client_oid=order.client_id,
        symbol=symbol.native,
        type="market" if order.type is OrderType.MARKET else "limit",
        side=SIDES[order.side],
        price=plain(order.price),
        size=plain(order.quantity),
        funds=plain(funds),
        deal_size=plain(order.filled),
        deal_funds=plain(order.filled_quote),
        remain_size=plain(remaining(order)),
        remain_funds=plain(ZERO if ended else max(funds - order.filled_quote, ZERO)),
        cancelled_size=plain(rest),
        cancelled_funds=plain(max(order.funds - order.filled_quote, ZERO) if ended else ZERO),
        fee=plain(order.fees.get(symbol.quote, ZERO)),
        fee_currency=symbol.quote,
        time_in_force="GTT" if order.expires_ns else order.time_in_force.value,
        active=not ended,
        in_order_book=order.resting,
        cancel_exist=ended and order.done is not Done.FILLED,
        created_at=order.created_ns // MS,
        last_updated_at=order.updated_ns // MS,
        stp=STP[order.self_trade],
        post_only=order.type is OrderType.LIMIT_MAKER,
        cancel_after=max(0, (order.expires_ns - order.created_ns) // 1_000_000_000) if order.expires_ns else 0,
    )


def order_result(order: Order) -> wire.OrderResult[str]:
    """The answer to a sync placement, after matching."""
    ended = order.state is not OrderState.OPEN
    return wire.OrderResult(
        order_id=order_id(order.id),
        client_oid=order.client_id,
        order_time=order.created_ns // MS,
        origin_size=plain(order.quantity),
        deal_size=plain(order.filled),
        remain_size=plain(remaining(order)),
        canceled_size=plain(canceled(order)),
        status="done" if ended else "open",
        match_time=order.updated_ns // MS,
    )


def fill_row(fill: Fill, order: Order, symbol: Symbol, rates: Rates) -> wire.Fill[str]:
    """One row of `GET /api/v1/hf/fills`: the only place that tells the fee."""
    return wire.Fill(
        id=fill.trade_id * 2 + (fill.side is Side.SELL),
        order_id=order_id(fill.order_id),
        counter_order_id=order_id(fill.counter_order_id),
        trade_id=fill.trade_id,
        symbol=symbol.native,
        side=SIDES[fill.side],
        liquidity="maker" if fill.maker else "taker",
        type="market" if order.type is OrderType.MARKET else "limit",
        price=plain(fill.price),
        size=plain(fill.quantity),
        funds=plain(fill.quote),
        fee=plain(fill.commission),
        fee_rate=plain(rates.maker if fill.maker else rates.taker),
        fee_currency=fill.commission_asset,
        created_at=fill.time_ns // MS,
    )


def order_event(
    order: Order,
    native: str,
    kind: Literal["received", "open", "match", "update", "filled", "canceled"],
    status: Literal["new", "open", "match", "done"],
    time_ns: int,
    *,
    filled: Decimal = ZERO,
    left: Decimal = ZERO,
    cut: Decimal = ZERO,
    old: Decimal | None = None,
    fill: Fill | None = None,
) -> wire.OrderEvent[str]:
    """One `orderChange`. `left` is what may still fill, `cut` what never will.

    {"clientOid": "c-1", "orderId": "673f..", "orderTime": 1700000000000, "orderType": "limit", "originSize": "2",
     "side": "buy", "status": "open", "symbol": "XRP-USDT", "ts": 1700000000001000000, "type": "open",
     "canceledSize": "0", "filledSize": "0", "price": "0.5", "remainSize": "2", "size": "2"}
    """
    market = order.type is OrderType.MARKET
    described = kind != "received"
    return wire.OrderEvent(
        client_oid=order.client_id,
        order_id=order_id(order.id),
        order_time=order.created_ns // MS,
        order_type="market" if market else "limit",
        origin_size=plain(order.quantity),
        side=SIDES[order.side],
        status=status,
        symbol=native,
        ts=time_ns,
        type=kind,
        canceled_size=plain(cut) if described else UNSET,
        filled_size=plain(filled) if described else UNSET,
        price=UNSET if market else plain(order.price),
        remain_funds=plain(max(order.funds - order.filled_quote, ZERO)) if described and order.funds else UNSET,
        remain_size=plain(left) if described else UNSET,
        size=plain(order.quantity) if described else UNSET,
        old_size=plain(old) if old is not None else UNSET,
        fee_type=("makerFee" if fill.maker else "takerFee") if fill else UNSET,
        liquidity=("maker" if fill.maker else "taker") if fill else UNSET,
        match_price=plain(fill.price) if fill else UNSET,
        match_size=plain(fill.quantity) if fill else UNSET,
        trade_id=str(fill.trade_id) if fill else UNSET,
    )


def balance_event(change: BalanceChange, native: str, number: int) -> wire.BalanceEvent[str]:
    """One `account.balance`; `number` is the event's own, `native` the order's symbol or ""."""
    order = change.order
    context = wire.RelationContext(
        symbol=native or UNSET,
        order_id=order_id(order.id) if order else UNSET,
        trade_id=str(change.trade_id) if change.trade_id else UNSET,
    )
    return wire.BalanceEvent(
        account_id=account_id(change.account, change.asset),
        currency=change.asset,
        total=plain(change.free + change.locked),
        available=plain(change.free),
        hold=plain(change.locked),
        available_change=plain(change.free_change),
        hold_change=plain(change.locked_change),
        relation_context=context,
        relation_event=EVENTS[change.cause],
        relation_event_id=str(number),
        time=str(change.time_ns // MS),
    )


def match(trade: PublicTrade, native: str) -> wire.Match[str]:
    """One `/market/match`."""
    return wire.Match(
        maker_order_id=order_id(trade.maker_order_id),
        price=plain(trade.price),
        sequence=str(trade.trade_id),
        side=SIDES[trade.taker],
        size=plain(trade.quantity),
        symbol=native,
        taker_order_id=order_id(trade.taker_order_id),
        time=str(trade.time_ns),
        trade_id=str(trade.trade_id),
    )


def time_in_force(text: str) -> TimeInForce:
    """GTT is GTC with an end."""
    return TimeInForce.GTC if text == "GTT" else TimeInForce(text)


def candle(row: Candle) -> tuple[str, str, str, str, str, str, str]:
    """["1566789720","10411.5","10401.9","10411.5","10396.3","29.11","302889.3"]: close before high."""
    return (
        str(row.start_ns // 1_000_000_000),
        plain(row.open),
        plain(row.close),
        plain(row.high),
        plain(row.low),
        plain(row.volume),
        plain(row.quote_volume),
    )
