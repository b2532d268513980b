"""KuCoin's private topics: what happened to an account's orders and balances, in the venue's words and order.

Rules (classic spot push pages "Get Order(V2)", "Get Account Balance", 2025-11): received, open, match, update, filled,
canceled, each with sizes as they were at that moment; `/spotMarket/tradeOrders` is the same without `received`. A fill
names no fee. Nothing is kept for who comes later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.kucoin import shapes
from tradeserver.simulator.types import (
    ZERO,
    BalanceChange,
    Done,
    Event,
    OrderDone,
    OrderFill,
    OrderNew,
    OrderOpen,
    OrderReduced,
)
from tradeserver.wire import kucoin as wire

ORDERS_V2 = "/spotMarket/tradeOrdersV2"
ORDERS = "/spotMarket/tradeOrders"
BALANCE = "/account/balance"
TOPICS = (ORDERS_V2, ORDERS, BALANCE)

PrivateMessage = tuple[str, str, str]
"""(account, topic, frame)."""

_encoder = msgspec.json.Encoder()


class Users:
    """Turns the exchange's events into private messages."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._balances = 0

    def on_event(self, event: Event) -> Iterator[PrivateMessage]:
        """The messages of one event, for each topic that tells it."""
        if isinstance(event, BalanceChange):
            yield self._balance(event)
            return
        change = self._change(event)
        if change is None or not isinstance(event, OrderNew | OrderOpen | OrderFill | OrderDone | OrderReduced):
            return
        account = event.order.account
        yield account, ORDERS_V2, _private(account, ORDERS_V2, "orderChange", change)
        if not isinstance(event, OrderNew):
            yield account, ORDERS, _private(account, ORDERS, "orderChange", change)

    def _change(self, event: Event) -> wire.OrderEvent[str] | None:
        match event:
            case OrderNew():
                return shapes.order_event(event.order, self._native(event), "received", "new", event.time_ns)
            case OrderOpen():
                order, left = event.order, event.remaining
                filled = order.quantity - left - order.decremented
                return shapes.order_event(
                    order, self._native(event), "open", "open", event.time_ns, filled=filled, left=left
                )
            case OrderFill():
                fill = event.fill
                return shapes.order_event(
                    event.order,
                    self._native(event),
                    "match",
                    "open" if fill.maker else "match",
                    event.time_ns,
                    filled=fill.filled,
                    left=fill.remaining,
                    fill=fill,
                )
            case OrderReduced():
                return shapes.order_event(
                    event.order,
                    self._native(event),
                    "update",
                    "open",
                    event.time_ns,
                    filled=event.order.filled,
                    left=event.new,
                    cut=event.old - event.new,
                    old=event.old,
                )
            case OrderDone():
                return shapes.order_event(
                    event.order,
                    self._native(event),
                    "filled" if event.reason is Done.FILLED else "canceled",
                    "done",
                    event.time_ns,
                    filled=event.filled,
                    cut=event.unfilled,
                    left=ZERO,
                )
            case _:
                return None

    def _native(self, event: OrderNew | OrderOpen | OrderFill | OrderDone | OrderReduced) -> str:
        return self._exchange.symbols[event.order.symbol].native

    def _balance(self, change: BalanceChange) -> PrivateMessage:
        self._balances += 1
        native = self._exchange.symbols[change.order.symbol].native if change.order else ""
        data = shapes.balance_event(change, native, self._balances)
        frame = _private(change.account, BALANCE, "account.balance", data, data.relation_event_id or "")
        return change.account, BALANCE, frame


def user_id(account: str) -> str:
    """24 hex digits that stand for the account."""
    return hashlib.sha256(account.encode()).hexdigest()[:24]


def _private(account: str, topic: str, subject: str, data: msgspec.Struct, number: str = "") -> str:
    """{"topic":..,"subject":"orderChange","data":{..},"type":"message","userId":"6335..","channelType":"private"}"""
    return _encoder.encode(
        wire.Message(
            topic=topic,
            subject=subject,
            data=data,
            id=number or msgspec.UNSET,
            user_id=user_id(account),
            channel_type="private",
        )
    ).decode()
