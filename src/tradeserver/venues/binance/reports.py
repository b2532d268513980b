"""What Binance says about orders and balances, as our events: pure functions of decoded messages.

Statuses are mapped by `ENDINGS`; every other status is open. A status that is in neither list takes the safe path: the
order stays open and a `VenueFault` names it. Money that is no number (`venues/numbers.py`) raises
`msgspec.ValidationError`: the frame or answer is malformed. Source: Binance spot API docs, enums.md,
user-data-stream.md, rest-api.md "New order", 2026-07-21.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from msgspec import UNSET

from tradeserver.core.events import (
    AccountSnapshot,
    Balance,
    BalanceChanged,
    Ending,
    Event,
    OpenOrder,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrderStatus,
    VenueFault,
)
from tradeserver.core.types import ZERO, Side
from tradeserver.venues.binance.rules import VENUE
from tradeserver.venues.numbers import charge, money
from tradeserver.wire.binance import (
    Account,
    AccountPosition,
    AccountTrade,
    CancelAnswer,
    ExecutionReport,
    OrderAnswer,
    OrderReport,
)

ENDINGS: Final = {
    "FILLED": Ending.FILLED,
    "CANCELED": Ending.CANCELED,
    "EXPIRED": Ending.EXPIRED,
    "EXPIRED_IN_MATCH": Ending.EXPIRED,
    "REJECTED": Ending.REJECTED,
}
OPEN: Final = frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW", "PENDING_CANCEL"})

SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}

Naming = Callable[[str], str]
"""The venue's symbol -> ours; the venue's own where it is not configured."""


def stamp_ns(time: int) -> int:
    """The venue's milliseconds (or microseconds, where they were asked for) in nanoseconds."""
    return time * 1_000_000 if time < 10**14 else time * 1_000


def execution_report(report: ExecutionReport[Decimal], name: Naming, ts: int) -> Sequence[Event]:
    """One change of an order.

    `{"e":"executionReport","E":1700000000010,"s":"XRPUSDT","c":"aaL000001000010100","S":"BUY","o":"LIMIT","f":"IOC",
    "q":"20","p":"0.6","C":"","x":"TRADE","X":"FILLED","r":"NONE","i":5,"l":"20","z":"20","L":"0.5998","n":"0.02",
    "N":"XRP","T":1700000000009,"t":17,"m":false,...}`. `x` tells what happened, `X` how the order stands. For a
    cancel `c` is the cancel's own id and `C` the order's.
    """
    venue_ts = stamp_ns(report.transaction_time)
    client_id, venue_order_id = report.client_order_id, str(report.order_id)
    original = report.orig_client_order_id
    if report.execution_type in ("CANCELED", "REPLACED") and original is not UNSET and original not in ("", "null"):
        client_id = original
    events: list[Event] = []
    if report.execution_type == "TRADE":
        events.append(
            OrderFilled(
                ts=ts,
                venue=VENUE,
                client_id=client_id,
                venue_ts=venue_ts,
                symbol=name(report.symbol),
                side=SIDES[report.side],
                trade_id=str(report.trade_id),
                venue_order_id=venue_order_id,
                price=money(report.last_price),
                quantity=money(report.last_quantity),
                commission=charge(report.commission),
                commission_asset=report.commission_asset or "",
                maker=report.maker,
            )
        )
    elif report.execution_type in ("NEW", "PENDING_NEW"):
        events.append(
            OrderAccepted(ts=ts, venue=VENUE, client_id=client_id, venue_ts=venue_ts, venue_order_id=venue_order_id)
        )
    if report.status == "REJECTED":
        events.append(
            OrderRejected(
                ts=ts,
                venue=VENUE,
                client_id=client_id,
                venue_ts=venue_ts,
                code=report.reject_reason,
                text="rejected by the matching engine",
            )
        )
    elif report.status in ENDINGS:
        reason = "" if report.expiry_reason is UNSET else report.expiry_reason
        if report.status == "EXPIRED_IN_MATCH":
            reason = reason or report.status
        events.append(
            _closed(client_id, report.status, report.cumulative_quantity, venue_order_id, reason, venue_ts, ts)
        )
    elif report.status not in OPEN:
        events.append(unknown_status(report.status, client_id, ts))
    return events


def order_answer(answer: OrderAnswer[Decimal], name: Naming, ts: int) -> Sequence[Event]:
    """The FULL answer to a new order: accepted, each fill, and the end if it ended.

    `{"symbol":"XRPUSDT","orderId":5,"orderListId":-1,"clientOrderId":"aaL000001000010100",
    "transactTime":1700000000009,"price":"0.6","origQty":"20","executedQty":"20","status":"FILLED",...,"side":"BUY",
    "fills":[{"price":"0.5998","qty":"20","commission":"0.02","commissionAsset":"XRP","tradeId":17}]}`.
    """
    venue_ts = stamp_ns(answer.transact_time)
    client_id, venue_order_id = answer.client_order_id, str(answer.order_id)
    events: list[Event] = [
        OrderAccepted(ts=ts, venue=VENUE, client_id=client_id, venue_ts=venue_ts, venue_order_id=venue_order_id)
    ]
    if answer.status is UNSET or answer.side is UNSET:
        return events
    if answer.fills is not UNSET:
        symbol, side = name(answer.symbol), SIDES[answer.side]
        for fill in answer.fills:
            events.append(
                OrderFilled(
                    ts=ts,
                    venue=VENUE,
                    client_id=client_id,
                    venue_ts=venue_ts,
                    symbol=symbol,
                    side=side,
                    trade_id=str(fill.trade_id),
                    venue_order_id=venue_order_id,
                    price=money(fill.price),
                    quantity=money(fill.qty),
                    commission=charge(fill.commission),
                    commission_asset=fill.commission_asset,
                )
            )
    if answer.status in ENDINGS:
        executed = ZERO if answer.executed_qty is UNSET else answer.executed_qty
        reason = "" if answer.expiry_reason is UNSET else answer.expiry_reason
        events.append(_closed(client_id, answer.status, executed, venue_order_id, reason, venue_ts, ts))
    elif answer.status not in OPEN:
        events.append(unknown_status(answer.status, client_id, ts))
    return events


def cancel_answer(answer: CancelAnswer[Decimal], ts: int) -> Event:
    """`{"symbol":"XRPUSDT","origClientOrderId":"aaL...","clientOrderId":"zz","executedQty":"0","status":"CANCELED"}`."""
    return _closed(
        answer.orig_client_order_id,
        "CANCELED",
        answer.executed_qty,
        str(answer.order_id),
        "",
        stamp_ns(answer.transact_time),
        ts,
    )


def order_status(report: OrderReport[Decimal], client_id: str, name: Naming, asked_ts: int, ts: int) -> Sequence[Event]:
    """`{"symbol":"XRPUSDT","orderId":5,"clientOrderId":"aaL...","executedQty":"20","status":"FILLED",...}`.

    `client_id` is the one that was asked about: a canceled order is listed under its cancel's id.
    """
    status = OrderStatus(
        ts=ts,
        venue=VENUE,
        client_id=client_id,
        venue_ts=stamp_ns(report.update_time),
        symbol=name(report.symbol),
        found=True,
        asked_ts=asked_ts,
        ending=ENDINGS.get(report.status),
        executed=money(report.executed_qty),
        venue_order_id=str(report.order_id),
    )
    if report.status in ENDINGS or report.status in OPEN:
        return (status,)
    return (status, unknown_status(report.status, client_id, ts))


def account_fill(row: AccountTrade[Decimal], client_id: str, name: Naming, ts: int) -> OrderFilled:
    """`{"symbol":"XRPUSDT","id":17,"orderId":5,"price":"0.5998","qty":"20","quoteQty":"11.996","commission":"0.02",
    "commissionAsset":"XRP","time":1700000000009,"isBuyer":true,"isMaker":false,"isBestMatch":true}`."""
    return OrderFilled(
        ts=ts,
        venue=VENUE,
        client_id=client_id,
        venue_ts=stamp_ns(row.time),
        symbol=name(row.symbol),
        side=Side.BUY if row.is_buyer else Side.SELL,
        trade_id=str(row.id),
        venue_order_id=str(row.order_id),
        price=money(row.price),
        quantity=money(row.qty),
        commission=charge(row.commission),
        commission_asset=row.commission_asset,
        maker=row.is_maker,
    )


def open_order(report: OrderReport[Decimal], name: Naming) -> OpenOrder:
    """One row of `GET /api/v3/openOrders` or `allOrders`. A status that no table has leaves it open: the safe path."""
    return OpenOrder(
        symbol=name(report.symbol),
        client_id=report.client_order_id,
        venue_order_id=str(report.order_id),
        side=SIDES[report.side],
        price=money(report.price),
        quantity=money(report.orig_qty),
        executed=money(report.executed_qty),
        ending=ENDINGS.get(report.status),
    )


def account_snapshot(account: Account[Decimal], asked_ts: int, ts: int) -> AccountSnapshot:
    """`{"balances":[{"asset":"XRP","free":"1000","locked":"0"}],"updateTime":1700000000009,...}`."""
    return AccountSnapshot(
        ts=ts,
        venue=VENUE,
        asked_ts=asked_ts,
        venue_ts=stamp_ns(account.update_time),
        balances={
            row.asset: Balance(free=money(row.free), locked=money(row.locked))
            for row in account.balances
            if row.free or row.locked
        },
    )


def account_position(position: AccountPosition[Decimal], ts: int) -> Sequence[Event]:
    """`{"e":"outboundAccountPosition","E":1700000000011,"u":1700000000009,"B":[{"a":"XRP","f":"1020","l":"0"}]}`."""
    venue_ts = stamp_ns(position.update_time)
    return [
        BalanceChanged(
            ts=ts,
            venue=VENUE,
            venue_ts=venue_ts,
            asset=row.asset,
            balance=Balance(free=money(row.free), locked=money(row.locked)),
        )
        for row in position.balances
    ]


def unknown_status(status: str, client_id: str, ts: int) -> VenueFault:
    """A status word that no table has: the order is left open, and a person is told."""
    return VenueFault(ts=ts, venue=VENUE, channel="orders", code="UNKNOWN_STATUS", text=f"{status} of {client_id}")


def _closed(
    client_id: str, status: str, executed: Decimal, venue_order_id: str, reason: str, venue_ts: int, ts: int
) -> OrderClosed:
    return OrderClosed(
        ts=ts,
        venue=VENUE,
        client_id=client_id,
        venue_ts=venue_ts,
        ending=ENDINGS[status],
        executed=money(executed),
        venue_order_id=venue_order_id,
        reason=reason,
    )
