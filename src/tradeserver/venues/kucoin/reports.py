"""What KuCoin says about orders, fills and balances, as our events. Pure functions, no state.

| `type`   | `status` | meaning                                      | our event                              |
|----------|----------|----------------------------------------------|----------------------------------------|
| received | new      | entered the matching system                  | OrderAccepted                          |
| open     | open     | rests on the book                            | OrderAccepted (again; harmless)        |
| match    | open     | filled as maker                              | OrderFilled                            |
| match    | match    | filled as taker                              | OrderFilled                            |
| update   | open     | size was cut                                 | none                                   |
| filled   | done     | filled to the end                            | OrderClosed FILLED                     |
| canceled | done     | canceled, or the rest of an IOC, FOK, or STP | OrderClosed CANCELED, `filledSize` > 0 |

Numbers that are none (`venues/numbers.py`) raise `msgspec.ValidationError`: the frame or answer is malformed.
A fill on the stream does not say its fee: `OrderFilled.commission` is None, and the fills query tells it later.
Source: KuCoin docs, "Get Order(V2)", "Get Account Balance", "Get Order By ClientOid", "Get Trade History", 2025-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from msgspec import UnsetType

from tradeserver.core.events import (
    Balance,
    BalanceChanged,
    Ending,
    Event,
    OpenOrder,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderStatus,
    VenueFault,
)
from tradeserver.core.types import ZERO, Side
from tradeserver.venues.kucoin.rest import VENUE
from tradeserver.venues.numbers import charge, money
from tradeserver.wire import kucoin as wire

MS: Final = 1_000_000
SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
ENDINGS: Final = {"filled": Ending.FILLED, "canceled": Ending.CANCELED}
TRADE_ACCOUNTS: Final = ("trade.", "trade_hf.")
"""Balance events of the main, margin and other accounts of the same user are none of our business."""


def order_change(push: wire.OrderEvent[Decimal], symbol: str, quote: str, ts: int) -> Sequence[Event]:
    """`{"clientOid":"a1","orderId":"67","orderTime":1742000000123,"orderType":"limit","originSize":"20","side":"sell",
    "status":"match","symbol":"XRP-USDT","ts":1742000000124000000,"type":"match","filledSize":"12.5","price":"0.51",
    "remainSize":"7.5","liquidity":"taker","matchPrice":"0.511","matchSize":"12.5","tradeId":"9001"}`
    """
    kind = push.type
    if kind == "match":
        return _match(push, symbol, quote, ts)
    if kind in ("received", "open"):
        return (
            OrderAccepted(
                ts=ts, venue=VENUE, client_id=push.client_oid or "", venue_ts=push.ts, venue_order_id=push.order_id
            ),
        )
    ending = ENDINGS.get(kind)
    if ending is not None:
        return (
            OrderClosed(
                ts=ts,
                venue=VENUE,
                client_id=push.client_oid or "",
                venue_ts=push.ts,
                ending=ending,
                executed=_executed(push),
                venue_order_id=push.order_id,
            ),
        )
    if kind == "update":
        return ()
    return (_fault(ts, "ORDER_TYPE", f"order {push.client_oid}: unknown type {kind!r}, status {push.status!r}"),)


def _match(push: wire.OrderEvent[Decimal], symbol: str, quote: str, ts: int) -> Sequence[Event]:
    price, size, trade_id = push.match_price, push.match_size, push.trade_id
    if isinstance(price, UnsetType) or isinstance(size, UnsetType) or isinstance(trade_id, UnsetType):
        return (_fault(ts, "ORDER_MATCH", f"order {push.client_oid}: a match without price, size or id"),)
    return (
        OrderFilled(
            ts=ts,
            venue=VENUE,
            client_id=push.client_oid or "",
            venue_ts=push.ts,
            symbol=symbol,
            side=SIDES[push.side],
            trade_id=trade_id,
            venue_order_id=push.order_id,
            price=money(price),
            quantity=money(size),
            commission=None,
            commission_asset=quote,
            maker=push.liquidity == "maker",
        ),
    )


def _executed(push: wire.OrderEvent[Decimal]) -> Decimal:
    """The cumulative quantity of a closed order; where the push leaves it out, what was not canceled."""
    if not isinstance(push.filled_size, UnsetType):
        return money(push.filled_size)
    canceled = ZERO if isinstance(push.canceled_size, UnsetType) else money(push.canceled_size)
    return money(money(push.origin_size) - canceled)


def balance_change(push: wire.BalanceEvent[Decimal], ts: int) -> Sequence[Event]:
    """`{"accountId":"54","currency":"USDT","total":"21","available":"20","hold":"1","relationEvent":"trade.hold",
    "relationContext":{"symbol":"XRP-USDT","orderId":"67"},"time":"1742000000123",...}`
    """
    if not (push.relation_event or "").startswith(TRADE_ACCOUNTS):
        return ()
    return (
        BalanceChanged(
            ts=ts,
            venue=VENUE,
            venue_ts=int(push.time) * MS,
            asset=push.currency,
            balance=Balance(free=money(push.available), locked=money(push.hold)),
        ),
    )


def balances(rows: Iterable[wire.AccountRow[Decimal]]) -> dict[str, Balance]:
    """`[{"id":"54","currency":"USDT","type":"trade","balance":"21","available":"20","holds":"1"}]`, what is not 0."""
    held: dict[str, Balance] = {}
    for row in rows:
        if row.type in ("trade", "trade_hf") and money(row.balance):
            held[row.currency] = Balance(free=money(row.available), locked=money(row.holds))
    return held


def order_status(order: wire.Order[Decimal] | None, client_id: str, symbol: str, asked: int, ts: int) -> OrderStatus:
    """The answer to a query; None is "no such order". `active` says whether it still can fill."""
    if order is None:
        return OrderStatus(ts=ts, venue=VENUE, client_id=client_id, symbol=symbol, found=False, asked_ts=asked)
    return OrderStatus(
        ts=ts,
        venue=VENUE,
        client_id=client_id or order.client_oid or "",
        venue_ts=order.last_updated_at * MS,
        symbol=symbol,
        found=True,
        asked_ts=asked,
        ending=_ending(order),
        executed=money(order.deal_size),
        venue_order_id=order.id,
    )


def open_order(order: wire.Order[Decimal], symbol: str) -> OpenOrder:
    """One row of the active or the finished orders."""
    return OpenOrder(
        symbol=symbol,
        client_id=order.client_oid or "",
        venue_order_id=order.id,
        side=SIDES[order.side],
        price=money(order.price),
        quantity=money(order.size),
        executed=money(order.deal_size),
        ending=_ending(order),
    )


def _ending(order: wire.Order[Decimal]) -> Ending | None:
    """`active` says whether it still can fill."""
    if order.active:
        return None
    return Ending.CANCELED if order.cancel_exist or money(order.cancelled_size) > 0 else Ending.FILLED


def fill(row: wire.Fill[Decimal], client_id: str, symbol: str, ts: int) -> OrderFilled:
    """`{"id":19,"orderId":"67","tradeId":9001,"symbol":"XRP-USDT","side":"sell","liquidity":"taker","price":"0.511",
    "size":"12.5","fee":"0.0063875","feeCurrency":"USDT","createdAt":1742000000124,...}`
    """
    return OrderFilled(
        ts=ts,
        venue=VENUE,
        client_id=client_id,
        venue_ts=row.created_at * MS,
        symbol=symbol,
        side=SIDES[row.side],
        trade_id=str(row.trade_id),
        venue_order_id=row.order_id,
        price=money(row.price),
        quantity=money(row.size),
        commission=charge(row.fee),
        commission_asset=row.fee_currency,
        maker=row.liquidity == "maker",
    )


def _fault(ts: int, code: str, text: str) -> VenueFault:
    return VenueFault(ts=ts, venue=VENUE, channel="user", code=code, text=text)
