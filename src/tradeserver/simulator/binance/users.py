"""Binance's user data events: what happened to an account's orders and balances, in the venue's words and order.

Rules (user-data-stream.md, 2026-07-21): each step of an order is an `executionReport`; after each that moved money
there is one `outboundAccountPosition` with the new absolute balances of the assets that changed. A cancel shows its own
id as `c` and the order's as `C`. Nothing is kept for who comes later.

States are those at the moment of the event, not those that the order has reached meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import msgspec

from tradeserver.simulator.binance import shapes
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.types import (
    ZERO,
    BalanceChange,
    Done,
    Event,
    Fill,
    Order,
    OrderDone,
    OrderFill,
    OrderNew,
    OrderReduced,
    OrderType,
    TimeInForce,
)
from tradeserver.wire import binance as wire

UserEvent = tuple[str, Callable[[int], msgspec.Struct]]
"""(account, the event with its times in a unit)."""


class Users:
    """Turns the exchange's events into user data events."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._executions = 0
        self._moved: dict[str, dict[str, BalanceChange]] = {}

    def on_events(self, events: list[Event]) -> Iterator[UserEvent]:
        """One batch. Balances go out behind the report that moved them, the last ones at the end of the batch."""
        for event in events:
            match event:
                case BalanceChange():
                    self._moved.setdefault(event.account, {})[event.asset] = event
                case OrderFill():
                    yield from self._positions(event.order.account)
                    yield event.order.account, self._filled(event)
                case OrderNew():
                    yield event.order.account, self._new(event)
                    yield from self._positions(event.order.account)
                case OrderReduced():
                    yield event.order.account, self._reduced(event)
                    yield from self._positions(event.order.account)
                case OrderDone():
                    if event.reason is not Done.FILLED:
                        yield event.order.account, self._ended(event)
                    yield from self._positions(event.order.account)
                case _:
                    pass
        for account in list(self._moved):
            yield from self._positions(account)

    def _positions(self, account: str) -> Iterator[UserEvent]:
        """{"e":"outboundAccountPosition","E":1,"u":1,"B":[{"a":"XRP","f":"20.00000000","l":"0.00000000"}]}"""
        moved = self._moved.pop(account, None)
        if not moved:
            return
        changes = list(moved.values())
        yield (
            account,
            lambda unit: wire.AccountPosition(
                event_time=changes[-1].time_ns // unit,
                update_time=changes[-1].time_ns // unit,
                balances=[
                    wire.PositionBalance(
                        asset=change.asset, free=shapes.number(change.free), locked=shapes.number(change.locked)
                    )
                    for change in changes
                ],
            ),
        )

    def _new(self, event: OrderNew) -> Callable[[int], msgspec.Struct]:
        order = event.order
        rests = order.type is not OrderType.MARKET and order.time_in_force is TimeInForce.GTC
        return self._report(order, "NEW", "NEW", event.time_ns, on_book=rests)

    def _filled(self, event: OrderFill) -> Callable[[int], msgspec.Struct]:
        order, fill = event.order, event.fill
        # An order by quote amount is complete with its last fill, which only its end tells.
        final = event.final or (order.done is Done.FILLED and fill is order.fills[-1])
        on_book = fill.maker and not final
        return self._report(
            order, "TRADE", "FILLED" if final else "PARTIALLY_FILLED", event.time_ns, fill=fill, on_book=on_book
        )

    def _reduced(self, event: OrderReduced) -> Callable[[int], msgspec.Struct]:
        order = event.order
        state = "PARTIALLY_FILLED" if order.filled else "NEW"
        return self._report(
            order, "TRADE_PREVENTION", state, event.time_ns, filled=order.filled, prevented=event.old - event.new
        )

    def _ended(self, event: OrderDone) -> Callable[[int], msgspec.Struct]:
        state = shapes.ENDED[event.reason]
        kind = "TRADE_PREVENTION" if event.reason is Done.SELF_TRADE else state
        return self._report(
            event.order,
            kind,
            state,
            event.time_ns,
            filled=event.filled,
            cancel_id=event.cancel_client_id,
            done=event.reason,
        )

    def _report(
        self,
        order: Order,
        kind: str,
        state: str,
        time_ns: int,
        *,
        fill: Fill | None = None,
        filled: Decimal = ZERO,
        on_book: bool = False,
        cancel_id: str = "",
        prevented: Decimal | None = None,
        done: Done | None = None,
    ) -> Callable[[int], msgspec.Struct]:
        """{"e":"executionReport","E":1,"s":"XRPUSDT","c":"ts-1","S":"BUY","o":"LIMIT","f":"IOC","q":"20.00000000",
        "p":"0.50000000",...,"C":"","x":"TRADE","X":"FILLED","r":"NONE","i":28,"l":"20.00000000","z":"20.00000000",...}
        """
        self._executions += 1
        execution = self._executions
        native = self._exchange.symbols[order.symbol].native
        cumulative = fill.filled if fill else filled
        quote = fill.filled_quote if fill else order.filled_quote if cumulative else ZERO
        nothing = shapes.number(ZERO)
        report: wire.ExecutionReport[str] = wire.ExecutionReport(
            event_time=0,
            symbol=native,
            client_order_id=cancel_id or order.client_id,
            side=shapes.SIDES[order.side],
            order_type=shapes.TYPES[order.type],
            time_in_force=shapes.time_in_force(order),
            quantity=shapes.number(order.quantity or cumulative),
            price=shapes.number(order.price),
            stop_price=nothing,
            iceberg_quantity=nothing,
            order_list_id=-1,
            orig_client_order_id=order.client_id if cancel_id else "",
            execution_type=kind,
            status=state,
            reject_reason="NONE",
            order_id=order.id,
            last_quantity=shapes.number(fill.quantity) if fill else nothing,
            cumulative_quantity=shapes.number(cumulative),
            last_price=shapes.number(fill.price) if fill else nothing,
            commission=shapes.number(fill.commission) if fill else "0",
            commission_asset=fill.commission_asset if fill else None,
            transaction_time=0,
            trade_id=fill.trade_id if fill else -1,
            execution_id=execution,
            on_book=on_book,
            maker=fill.maker if fill else False,
            ignore=False,
            creation_time=0,
            cumulative_quote=shapes.number(quote),
            last_quote=shapes.number(fill.quote) if fill else nothing,
            quote_order_quantity=shapes.number(order.funds),
            working_time=0,
            self_trade_prevention_mode=shapes.STP[order.self_trade],
            prevented_quantity=shapes.number(prevented) if prevented is not None else msgspec.UNSET,
            expiry_reason=shapes.expiry_reason(done),
        )
        return lambda unit: msgspec.structs.replace(
            report,
            event_time=time_ns // unit,
            transaction_time=time_ns // unit,
            creation_time=order.created_ns // unit,
            working_time=order.created_ns // unit,
        )
