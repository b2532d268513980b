"""Questions to KuCoin by REST: orders, fills, open orders, balances; and the two commands that have no socket form.

Each command becomes one request whose answer leads to more where the venue needs several: open orders are listed per
symbol, fills come 100 a page and name the venue's order id only, and an order of which we know the client id only is
asked for first. The command is answered once, by its event or by `QueryFailed`.

When the venue denies an order that we know by client id only, its fills are looked for among all fills of the symbol:
two sources must agree before an order counts as never placed. Source: KuCoin docs, HF trade, 2025-11.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from tradeserver.core.commands import (
    ArmDeadMan,
    CancelAll,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    QueryOrders,
    RequestAccount,
)
from tradeserver.core.events import (
    AccountSnapshot,
    DeadManSet,
    Event,
    FillsListed,
    OpenOrder,
    OpenOrdersListed,
    OrderFilled,
    OrdersListed,
    QueryFailed,
)
from tradeserver.venues.base import HttpRequest
from tradeserver.venues.errors import Fault
from tradeserver.venues.kucoin import rest as kucoin
from tradeserver.venues.kucoin.known import KnownOrders
from tradeserver.venues.kucoin.reports import balances, fill, open_order, order_status
from tradeserver.venues.kucoin.rest import VENUE, Failure, Rest
from tradeserver.venues.kucoin.rules import Names
from tradeserver.wire import kucoin as wire

PAGE: Final = 100
PAGES: Final = 50
"""A query that would need more pages is answered by `QueryFailed`: half a list is no list."""

CREATED_BEFORE_NS: Final = 60_000_000_000
"""How long before its fill an order may have been created and still be found by time."""

_ORDER: Final = msgspec.json.Decoder(wire.Order[Decimal] | None)
_ORDERS: Final = msgspec.json.Decoder(list[wire.Order[Decimal]] | None)
_DONE: Final = msgspec.json.Decoder(wire.Page[wire.Order[Decimal]] | None)
_FILLS: Final = msgspec.json.Decoder(wire.Page[wire.Fill[Decimal]] | None)
_ACCOUNTS: Final = msgspec.json.Decoder(list[wire.AccountRow[Decimal]])
_ANYTHING: Final = msgspec.json.Decoder(msgspec.Raw)
_SET: Final = msgspec.json.Decoder(wire.DeadManSet)

SECOND_NS: Final = 1_000_000_000


class _FillsQuery(msgspec.Struct):
    """One `QueryFills` on its way."""

    command: QueryFills
    asked: int
    order_id: str = ""
    pages: int = 0
    rows: list[wire.Fill[Decimal]] = []


class _OrdersQuery(msgspec.Struct):
    """One `QueryOrders` on its way."""

    command: QueryOrders
    asked: int
    pages: int = 0
    orders: list[OpenOrder] = []


class _OpenQuery(msgspec.Struct):
    """One `QueryOpenOrders` on its way."""

    asked: int
    waiting: list[str]  # our symbols not yet asked for
    orders: list[OpenOrder] = []


class Queries:
    """See the module's text. Every method returns the first request."""

    def __init__(self, rest: Rest, names: Names, known: KnownOrders) -> None:
        self._rest = rest
        self._names = names
        self._known = known

    # ---- one order ----

    def order(self, command: QueryOrder, ts: int) -> HttpRequest:
        """By the venue's id where we know it, else by client id."""
        return self._ask_order(
            command.symbol,
            command.venue_order_id or self._known.order_id(command.client_id),
            command.client_id,
            ts,
            partial(self._order_answered, command),
            partial(self._order_failed, command),
        )

    def _ask_order(
        self, symbol: str, order_id: str, client_id: str, ts: int, done: kucoin.Done, failed: kucoin.Failed
    ) -> HttpRequest:
        endpoint = kucoin.ORDER_BY_ID if order_id else kucoin.ORDER_BY_CLIENT_ID
        path = f"{order_id or client_id}?symbol={self._names.native(symbol)}"
        return self._rest.ask(endpoint, ts, _ORDER, done, failed, path=path)

    def _order_answered(
        self, command: QueryOrder, order: wire.Order[Decimal] | None, asked: int, ts: int
    ) -> Sequence[Event]:
        """`{"id":"67","clientOid":"a1","symbol":"XRP-USDT","size":"20","dealSize":"12.5","cancelledSize":"7.5",
        "cancelExist":true,"active":false,"inOrderBook":false,"lastUpdatedAt":1742000000124,...}`; null: no such order
        """
        if order is not None:
            self._known.learn(order.id, order.client_oid)
        return (order_status(order, command.client_id, command.symbol, asked, ts),)

    def _order_failed(self, command: QueryOrder, failure: Failure) -> Sequence[Event]:
        if failure.row.read is Fault.GONE:
            return (order_status(None, command.client_id, command.symbol, failure.asked_ts, failure.ts),)
        return _failed("QueryOrder", command.symbol, command.client_id, failure.ts, _reason(failure))

    # ---- fills ----

    def fills(self, command: QueryFills, ts: int) -> HttpRequest:
        """Of one order by the venue's id (asked for first where only the client id is known), or of a symbol."""
        query = _FillsQuery(command, ts, command.venue_order_id or self._known.order_id(command.client_id))
        if query.order_id or not command.client_id:
            return self._ask_fills(query, ts)
        done, failed = partial(self._id_answered, query), partial(self._id_failed, query)
        return self._ask_order(command.symbol, "", command.client_id, ts, done, failed)

    def _id_answered(
        self, query: _FillsQuery, order: wire.Order[Decimal] | None, asked: int, ts: int
    ) -> Sequence[Event]:
        if order is not None:
            query.order_id = order.id
            self._known.learn(order.id, order.client_oid)
        self._rest.outgoing.append(self._ask_fills(query, ts))
        return ()

    def _id_failed(self, query: _FillsQuery, failure: Failure) -> Sequence[Event]:
        if failure.row.read is Fault.GONE:
            return self._id_answered(query, None, failure.asked_ts, failure.ts)
        return self._fills_failed(query, failure)

    def _ask_fills(self, query: _FillsQuery, ts: int) -> HttpRequest:
        path = f"?symbol={self._names.native(query.command.symbol)}"
        if query.order_id:
            path += f"&orderId={query.order_id}"
        elif query.command.since:
            path += f"&startAt={self._rest.venue_ms(query.command.since)}"
        path += f"&limit={PAGE}"
        if query.rows:
            path += f"&lastId={query.rows[-1].id}"
        done, failed = partial(self._fills_answered, query), partial(self._fills_failed, query)
        return self._rest.ask(kucoin.FILLS, ts, _FILLS, done, failed, path=path)

    def _fills_answered(
        self, query: _FillsQuery, page: wire.Page[wire.Fill[Decimal]] | None, asked: int, ts: int
    ) -> Sequence[Event]:
        """`{"items":[{"id":19,"orderId":"67","tradeId":9001,...}],"lastId":19}`, newest first"""
        items = page.items if page is not None else []
        query.rows.extend(items)
        query.pages += 1
        command = query.command
        if len(items) == PAGE:
            if query.pages == PAGES:
                return _failed("QueryFills", command.symbol, command.client_id, ts, f"more than {PAGES} pages")
            self._rest.outgoing.append(self._ask_fills(query, ts))
            return ()
        if not query.order_id and self._nameless(query):
            query.pages = 0
            self._ask_done(query, 0, ts)
            return ()
        return self._list_fills(query, ts)

    def _nameless(self, query: _FillsQuery) -> bool:
        return any(not self._known.client_id(row.order_id) for row in query.rows)

    def _ask_done(self, query: _FillsQuery, last_id: int, ts: int) -> None:
        """Whose fills are these? The list of finished orders tells the client ids."""
        path = f"?symbol={self._names.native(query.command.symbol)}&limit={PAGE}"
        if query.command.since:
            path += f"&startAt={self._rest.venue_ms(query.command.since - CREATED_BEFORE_NS)}"
        if last_id:
            path += f"&lastId={last_id}"
        done, failed = partial(self._done_answered, query), partial(self._fills_failed, query)
        self._rest.send(kucoin.ORDERS_DONE, ts, _DONE, done, failed, path=path)

    def _done_answered(
        self, query: _FillsQuery, page: wire.Page[wire.Order[Decimal]] | None, asked: int, ts: int
    ) -> Sequence[Event]:
        """`{"lastId":20,"items":[{"id":"67","clientOid":"a1",...}]}`. What stays nameless has an empty client id."""
        items = page.items if page is not None else []
        for order in items:
            self._known.learn(order.id, order.client_oid)
        query.pages += 1
        if page is not None and len(items) == PAGE and query.pages < PAGES and self._nameless(query):
            self._ask_done(query, page.last_id, ts)
            return ()
        return self._list_fills(query, ts)

    def _list_fills(self, query: _FillsQuery, ts: int) -> Sequence[Event]:
        command = query.command
        fills: list[OrderFilled] = []
        for row in query.rows:
            owner = command.client_id if query.order_id else self._known.client_id(row.order_id)
            fills.append(fill(row, owner or self._known.client_id(row.order_id), command.symbol, ts))
        return (
            FillsListed(
                ts=ts,
                venue=VENUE,
                client_id=command.client_id,
                symbol=command.symbol,
                asked_ts=query.asked,
                fills=tuple(fills),
            ),
        )

    def _fills_failed(self, query: _FillsQuery, failure: Failure) -> Sequence[Event]:
        command = query.command
        return _failed("QueryFills", command.symbol, command.client_id, failure.ts, _reason(failure))

    # ---- open orders ----

    def open_orders(self, command: QueryOpenOrders, ts: int) -> HttpRequest:
        """Symbol after symbol; one list at the end."""
        query = _OpenQuery(ts, list(self._names.natives))
        return self._ask_open(query, ts)

    def _ask_open(self, query: _OpenQuery, ts: int) -> HttpRequest:
        symbol = query.waiting.pop(0)
        done, failed = partial(self._open_answered, query, symbol), partial(self._open_failed, symbol)
        path = f"?symbol={self._names.native(symbol)}"
        return self._rest.ask(kucoin.ORDERS_ACTIVE, ts, _ORDERS, done, failed, path=path)

    def _open_answered(
        self, query: _OpenQuery, symbol: str, orders: list[wire.Order[Decimal]] | None, asked: int, ts: int
    ) -> Sequence[Event]:
        """`[{"id":"67","clientOid":"a1","symbol":"XRP-USDT","size":"20","dealSize":"0","active":true,...}]`"""
        for order in orders or ():
            self._known.learn(order.id, order.client_oid)
            query.orders.append(open_order(order, symbol))
        if query.waiting:
            self._rest.outgoing.append(self._ask_open(query, ts))
            return ()
        return (OpenOrdersListed(ts=ts, venue=VENUE, orders=tuple(query.orders), asked_ts=query.asked),)

    def _open_failed(self, symbol: str, failure: Failure) -> Sequence[Event]:
        return _failed("QueryOpenOrders", symbol, "", failure.ts, _reason(failure))

    # ---- all orders of a symbol ----

    def orders(self, command: QueryOrders, ts: int) -> HttpRequest:
        """The active ones, then the finished ones page by page."""
        query = _OrdersQuery(command, ts)
        done, failed = partial(self._active_answered, query), partial(_told, "QueryOrders", command.symbol)
        path = f"?symbol={self._names.native(command.symbol)}"
        return self._rest.ask(kucoin.ORDERS_ACTIVE, ts, _ORDERS, done, failed, path=path)

    def _active_answered(
        self, query: _OrdersQuery, orders: list[wire.Order[Decimal]] | None, asked: int, ts: int
    ) -> Sequence[Event]:
        self._take(query, orders or ())
        self._ask_finished(query, 0, ts)
        return ()

    def _ask_finished(self, query: _OrdersQuery, last_id: int, ts: int) -> None:
        command = query.command
        path = f"?symbol={self._names.native(command.symbol)}&limit={PAGE}"
        path += f"&startAt={self._rest.venue_ms(command.since)}"
        if last_id:
            path += f"&lastId={last_id}"
        done, failed = partial(self._finished_answered, query), partial(_told, "QueryOrders", command.symbol)
        self._rest.send(kucoin.ORDERS_DONE, ts, _DONE, done, failed, path=path)

    def _finished_answered(
        self, query: _OrdersQuery, page: wire.Page[wire.Order[Decimal]] | None, asked: int, ts: int
    ) -> Sequence[Event]:
        """`{"lastId":20,"items":[{"id":"67","clientOid":"a1","size":"20","dealSize":"12.5",...}]}`, newest first"""
        items = page.items if page is not None else []
        self._take(query, items)
        query.pages += 1
        symbol = query.command.symbol
        if page is not None and len(items) == PAGE:
            if query.pages == PAGES:
                return _failed("QueryOrders", symbol, "", ts, f"more than {PAGES} pages")
            self._ask_finished(query, page.last_id, ts)
            return ()
        return (OrdersListed(ts=ts, venue=VENUE, symbol=symbol, orders=tuple(query.orders), asked_ts=query.asked),)

    def _take(self, query: _OrdersQuery, orders: Sequence[wire.Order[Decimal]]) -> None:
        for order in orders:
            self._known.learn(order.id, order.client_oid)
            query.orders.append(open_order(order, query.command.symbol))

    # ---- account, cancel-all, dead man ----

    def account(self, command: RequestAccount, ts: int) -> HttpRequest:
        """The trade account's balances."""

        def answered(rows: list[wire.AccountRow[Decimal]], asked: int, answered_ts: int) -> Sequence[Event]:
            return (AccountSnapshot(ts=answered_ts, venue=VENUE, balances=balances(rows), asked_ts=asked),)

        return self._rest.ask(
            kucoin.ACCOUNTS, ts, _ACCOUNTS, answered, partial(_told, "RequestAccount", ""), path="?type=trade"
        )

    def cancel_all(self, command: CancelAll, ts: int) -> HttpRequest:
        """Everything on one symbol. `"success"` is only "heard"; the outcomes come by the stream."""
        return self._rest.ask(
            kucoin.CANCEL_SYMBOL,
            ts,
            _ANYTHING,
            _nothing,
            partial(_told, "CancelAll", command.symbol),
            path=f"?symbol={self._names.native(command.symbol)}",
        )

    def arm(self, command: ArmDeadMan, ts: int) -> HttpRequest:
        """`{"timeout":15,"symbols":"XRP-USDT,BTC-USDT"}`; -1 switches it off. Answered with two times in s.

        `{"currentTime":1742000000,"triggerTime":1742000015}`. The time counts from when the venue heard us: that is
        later than we asked, so that "15 s after we asked" is never too late.
        """
        symbols = ",".join(self._names.native(symbol) for symbol in command.symbols)
        body = wire.DeadMan(timeout=command.timeout_s or -1, symbols=symbols)

        def answered(_: object, asked: int, answered_ts: int) -> Sequence[Event]:
            expires = asked + command.timeout_s * SECOND_NS if command.timeout_s else 0
            return (DeadManSet(ts=answered_ts, venue=VENUE, expires=expires),)

        return self._rest.ask(
            kucoin.DEAD_MAN,
            ts,
            _ANYTHING if not command.timeout_s else _SET,
            answered,
            partial(_told, "ArmDeadMan", ""),
            body=msgspec.json.encode(body).decode(),
        )


def _failed(query: str, symbol: str, client_id: str, ts: int, reason: str) -> Sequence[Event]:
    return (QueryFailed(ts=ts, venue=VENUE, client_id=client_id, query=query, symbol=symbol, reason=reason),)


def _told(query: str, symbol: str, failure: Failure) -> Sequence[Event]:
    return _failed(query, symbol, "", failure.ts, _reason(failure))


def _reason(failure: Failure) -> str:
    return f"{failure.code} {failure.text}".strip()


def _nothing(data: object, asked: int, ts: int) -> Sequence[Event]:
    return ()
