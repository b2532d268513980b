"""Questions to Binance about our orders, fills and balances, by REST; and orders by REST where the order link is down.

"The venue says there is no such order" (`OrderStatus(found=False)`) and "we could not ask" (`QueryFailed`) are
different facts and never mixed. A question that takes several requests (fills of an order of which only our id is
known; fills of a longer time) chains them and answers once.

Source: Binance spot API docs, rest-api.md "Trading endpoints", "Account endpoints", 2026-07-21.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.core.commands import (
    CancelAll,
    CancelOrder,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    QueryOrders,
    RequestAccount,
    SubmitOrder,
)
from tradeserver.core.events import (
    CancelRejected,
    Event,
    FillsListed,
    OpenOrder,
    OpenOrdersListed,
    OrderFilled,
    OrderRejected,
    OrdersListed,
    OrderStatus,
    OrderUncertain,
    QueryFailed,
)
from tradeserver.core.types import Side, plain
from tradeserver.venues.base import NOT_SENT, HttpRequest, Outgoing
from tradeserver.venues.binance import reports
from tradeserver.venues.binance.private import cancel_all_failed, canceled
from tradeserver.venues.binance.reports import Naming
from tradeserver.venues.binance.rest import Answered, Failed, Failure, Rest
from tradeserver.venues.binance.rules import VENUE, native_of
from tradeserver.venues.binance.settings import BinanceSettings
from tradeserver.venues.errors import order_outcome
from tradeserver.wire.binance import Account, AccountTrade, OrderAnswer, OrderReport

DAY_MS: Final = 86_400_000
PAGE: Final = 1_000
MAX_REQUESTS: Final = 60
"""Requests that one question about fills may take: about two months, or 60,000 fills. Beyond it: `QueryFailed`."""

_ORDER: Final = msgspec.json.Decoder(OrderReport[Decimal])
_ORDERS: Final = msgspec.json.Decoder(list[OrderReport[Decimal]])
_TRADES: Final = msgspec.json.Decoder(list[AccountTrade[Decimal]])
_ACCOUNT: Final = msgspec.json.Decoder(Account[Decimal])
_PLACED: Final = msgspec.json.Decoder(OrderAnswer[Decimal])

_NOT_THERE: Final = ("-2013", "-2026")
_NOTHING: Final[tuple[Event, ...]] = ()

WEIGHTS: Final = {
    QueryOrder: 4,
    QueryFills: 24,  # the order first, then its fills
    QueryOpenOrders: 80,
    QueryOrders: 20,
    RequestAccount: 20,
    SubmitOrder: 1,
    CancelOrder: 1,
    CancelAll: 1,
}
"""Request weight by command (rest-api.md)."""


class Reads:
    """REST commands of one account."""

    def __init__(
        self,
        settings: BinanceSettings,
        symbols: Sequence[str],
        rest: Rest,
        outgoing: list[Outgoing],
        name: Naming,
    ) -> None:
        self._settings = settings
        self._symbols = frozenset(symbols)
        self._rest = rest
        self._outgoing = outgoing
        self._name = name

    # ---- orders, where the order link is down ----

    def place(self, command: SubmitOrder, ts: int) -> HttpRequest:
        """`POST /api/v3/order`: the same order as over the WS API."""

        def answered(body: bytes, answered_ts: int) -> Sequence[Event]:
            """See `reports.order_answer`."""
            return reports.order_answer(_PLACED.decode(body), self._name, answered_ts)

        def failed(failure: Failure, failed_ts: int) -> Sequence[Event]:
            if failure.status == NOT_SENT:
                return (
                    OrderRejected(
                        ts=failed_ts,
                        venue=VENUE,
                        client_id=command.client_id,
                        code=failure.code,
                        text=failure.text,
                    ),
                )
            if failure.code in ("NO_ANSWER", "BAD_BODY"):
                return (
                    OrderUncertain(
                        ts=failed_ts,
                        venue=VENUE,
                        client_id=command.client_id,
                        code=failure.code,
                        text=failure.text,
                    ),
                )
            return order_outcome(
                failure.row,
                venue=VENUE,
                channel="rest",
                client_id=command.client_id,
                code=failure.code,
                text=failure.text,
                ts=failed_ts,
            )

        params = [
            ("symbol", native_of(command.symbol)),
            ("side", "BUY" if command.side is Side.BUY else "SELL"),
            ("type", "LIMIT"),
            ("timeInForce", command.time_in_force.value),
            ("quantity", plain(command.quantity)),
            ("price", plain(command.price)),
            ("newClientOrderId", command.client_id),
            ("newOrderRespType", "FULL"),
        ]
        window = str(self._settings.recv_window_ms)
        return self._signed("POST", "/api/v3/order", params, ts, 1, answered, failed, window)

    def cancel(self, command: CancelOrder, ts: int) -> HttpRequest:
        """`DELETE /api/v3/order`."""

        def answered(body: bytes, answered_ts: int) -> Sequence[Event]:
            return canceled(body, answered_ts)

        def failed(failure: Failure, failed_ts: int) -> Sequence[Event]:
            return (
                CancelRejected(
                    ts=failed_ts, venue=VENUE, client_id=command.client_id, code=failure.code, text=failure.text
                ),
            )

        by = ("origClientOrderId", command.client_id) if command.client_id else ("orderId", command.venue_order_id)
        params = [("symbol", native_of(command.symbol)), by]
        return self._signed("DELETE", "/api/v3/order", params, ts, 1, answered, failed)

    def cancel_all(self, command: CancelAll, ts: int) -> HttpRequest:
        """`DELETE /api/v3/openOrders` of one symbol."""

        def answered(body: bytes, answered_ts: int) -> Sequence[Event]:
            return canceled(body, answered_ts)

        def failed(failure: Failure, failed_ts: int) -> Sequence[Event]:
            code = int(failure.code) if failure.code.startswith("-") else failure.status
            return cancel_all_failed(code, failure.text, failed_ts)

        params = [("symbol", native_of(command.symbol))]
        return self._signed("DELETE", "/api/v3/openOrders", params, ts, 1, answered, failed)

    # ---- questions ----

    def order(self, command: QueryOrder, ts: int) -> HttpRequest:
        """`GET /api/v3/order`, by our client id where there is one."""

        def answered(body: bytes, answered_ts: int) -> Sequence[Event]:
            """See `reports.order_status`."""
            return reports.order_status(_ORDER.decode(body), command.client_id, self._name, ts, answered_ts)

        def failed(failure: Failure, failed_ts: int) -> Sequence[Event]:
            if failure.code in _NOT_THERE:
                return (
                    OrderStatus(
                        ts=failed_ts,
                        venue=VENUE,
                        client_id=command.client_id,
                        symbol=command.symbol,
                        found=False,
                        asked_ts=ts,
                    ),
                )
            return _failed("QueryOrder", command.symbol, command.client_id)(failure, failed_ts)

        return self._ask_order(command.symbol, command.client_id, command.venue_order_id, ts, answered, failed)

    def fills(self, command: QueryFills, ts: int) -> HttpRequest:
        """`GET /api/v3/myTrades`: of one order, or of a symbol since a moment.

        The endpoint knows only the venue's order ids; where we have none, the order is asked first.
        """
        if command.venue_order_id:
            return self._fills_of_order(command, command.venue_order_id, ts, ts)
        if not command.client_id:
            return _FillsSince(self, command, ts).first()

        def answered(body: bytes, answered_ts: int) -> Sequence[Event]:
            order_id = str(_ORDER.decode(body).order_id)
            self._outgoing.append(self._fills_of_order(command, order_id, ts, answered_ts))
            return _NOTHING

        def failed(failure: Failure, failed_ts: int) -> Sequence[Event]:
            if failure.code in _NOT_THERE:  # no such order, so the venue shows no fill of it
                return (self._listed(command, (), ts, failed_ts),)
            return _failed("QueryFills", command.symbol, command.client_id)(failure, failed_ts)

        return self._ask_order(command.symbol, command.client_id, "", ts, answered, failed)

    def open_orders(self, command: QueryOpenOrders, ts: int) -> HttpRequest:
        """`GET /api/v3/openOrders` without a symbol: one answer for all, orders of other symbols are left out."""

        def answered(body: bytes, answered_ts: int) -> Sequence[Event]:
            """`[{"symbol":"XRPUSDT","orderId":5,"clientOrderId":"aaL...","status":"NEW",...}]`."""
            rows = (reports.open_order(row, self._name) for row in _ORDERS.decode(body))
            ours = tuple(row for row in rows if row.symbol in self._symbols)
            return (OpenOrdersListed(ts=answered_ts, venue=VENUE, orders=ours, asked_ts=ts),)

        failed = _failed("QueryOpenOrders", "", "")
        return self._signed("GET", "/api/v3/openOrders", [], ts, WEIGHTS[QueryOpenOrders], answered, failed)

    def orders(self, command: QueryOrders, ts: int) -> HttpRequest:
        """`GET /api/v3/allOrders` of one symbol, from a moment on for a day: the venue allows no more in one question.

        What follows a full page is asked for by order id, to the end of that day.
        """
        since = max(0, self._rest.venue_ms(command.since))
        window = [("startTime", str(since)), ("endTime", str(since + DAY_MS))]
        return self._ask_orders(command, window, ts, ts, ())

    def _ask_orders(
        self,
        command: QueryOrders,
        start: list[tuple[str, str]],
        asked_ts: int,
        ts: int,
        found: tuple[OpenOrder, ...],
    ) -> HttpRequest:
        failed = _failed("QueryOrders", command.symbol, "")

        def answered(body: bytes, answered_ts: int) -> Sequence[Event]:
            """`[{"symbol":"XRPUSDT","orderId":5,"clientOrderId":"aaL...","status":"FILLED",...}]`, oldest first."""
            rows = _ORDERS.decode(body)
            until = self._rest.venue_ms(command.since) + DAY_MS
            within = [row for row in rows if row.time <= until]
            orders = (*found, *(reports.open_order(row, self._name) for row in within))
            if len(rows) < PAGE or len(within) < len(rows):
                listed = OrdersListed(
                    ts=answered_ts, venue=VENUE, symbol=command.symbol, orders=orders, asked_ts=asked_ts
                )
                return (listed,)
            if len(orders) >= PAGE * MAX_REQUESTS:
                return (_query_failed("QueryOrders", command.symbol, "", "too many to list", answered_ts),)
            following = [("orderId", str(rows[-1].order_id + 1))]
            self._outgoing.append(self._ask_orders(command, following, asked_ts, answered_ts, orders))
            return _NOTHING

        params = [("symbol", native_of(command.symbol)), *start, ("limit", str(PAGE))]
        return self._signed("GET", "/api/v3/allOrders", params, ts, WEIGHTS[QueryOrders], answered, failed)

    def account(self, ts: int) -> HttpRequest:
        """`GET /api/v3/account`."""

        def answered(body: bytes, answered_ts: int) -> Sequence[Event]:
            """See `reports.account_snapshot`."""
            return (reports.account_snapshot(_ACCOUNT.decode(body), ts, answered_ts),)

        failed = _failed("RequestAccount", "", "")
        params = [("omitZeroBalances", "true")]
        return self._signed("GET", "/api/v3/account", params, ts, WEIGHTS[RequestAccount], answered, failed)

    # ---- parts ----

    def _ask_order(
        self, symbol: str, client_id: str, venue_order_id: str, ts: int, answered: Answered, failed: Failed
    ) -> HttpRequest:
        by = ("origClientOrderId", client_id) if client_id else ("orderId", venue_order_id)
        params = [("symbol", native_of(symbol)), by]
        return self._signed("GET", "/api/v3/order", params, ts, WEIGHTS[QueryOrder], answered, failed)

    def _fills_of_order(self, command: QueryFills, order_id: str, asked_ts: int, ts: int) -> HttpRequest:
        def answered(body: bytes, answered_ts: int) -> Sequence[Event]:
            """See `reports.account_fill`."""
            rows = _TRADES.decode(body)
            fills = tuple(reports.account_fill(row, command.client_id, self._name, answered_ts) for row in rows)
            return (self._listed(command, fills, asked_ts, answered_ts),)

        failed = _failed("QueryFills", command.symbol, command.client_id)
        params = [("symbol", native_of(command.symbol)), ("orderId", order_id), ("limit", str(PAGE))]
        return self._signed("GET", "/api/v3/myTrades", params, ts, 5, answered, failed)

    def _listed(self, command: QueryFills, fills: tuple[OrderFilled, ...], asked_ts: int, ts: int) -> FillsListed:
        return FillsListed(
            ts=ts, venue=VENUE, client_id=command.client_id, symbol=command.symbol, asked_ts=asked_ts, fills=fills
        )

    def _signed(
        self,
        method: str,
        path: str,
        params: list[tuple[str, str]],
        ts: int,
        weight: int,
        answered: Answered,
        failed: Failed,
        window: str = "",
    ) -> HttpRequest:
        return self._rest.request(
            method,
            path,
            params,
            ts,
            weight=weight,
            answered=answered,
            failed=failed,
            signed=True,
            window=window,
        )


class _FillsSince:
    """One question for all fills of a symbol since a moment: windows of a day, full pages continued by trade id."""

    def __init__(self, reads: Reads, command: QueryFills, ts: int) -> None:
        self._reads = reads
        self._command = command
        self._asked_ts = ts
        self._until = reads._rest.venue_ms(ts)
        self._start = max(0, reads._rest.venue_ms(command.since))
        self._fills: list[OrderFilled] = []
        self._requests = 0

    def first(self) -> HttpRequest:
        return self._window(self._asked_ts)

    def _window(self, ts: int) -> HttpRequest:
        """From `_start` to a day later (the venue allows no more between startTime and endTime)."""
        end = self._start + DAY_MS
        return self._request([("startTime", str(self._start)), ("endTime", str(end))], ts)

    def _request(self, params: list[tuple[str, str]], ts: int) -> HttpRequest:
        self._requests += 1
        command = self._command
        return self._reads._signed(
            "GET",
            "/api/v3/myTrades",
            [("symbol", native_of(command.symbol)), *params, ("limit", str(PAGE))],
            ts,
            20,
            self._answered,
            _failed("QueryFills", command.symbol, command.client_id),
        )

    def _answered(self, body: bytes, ts: int) -> Sequence[Event]:
        rows = _TRADES.decode(body)
        command = self._command
        self._fills += [reports.account_fill(row, "", self._reads._name, ts) for row in rows]
        full = len(rows) >= PAGE
        if not full:
            self._start += DAY_MS + 1
        if not full and self._start > self._until:
            return (self._reads._listed(command, tuple(self._fills), self._asked_ts, ts),)
        if self._requests >= MAX_REQUESTS:
            return (_query_failed("QueryFills", command.symbol, command.client_id, "too long ago to list", ts),)
        if full:  # by id there is no window: all later fills follow, page by page
            self._start = self._until
            self._reads._outgoing.append(self._request([("fromId", str(rows[-1].id + 1))], ts))
        else:
            self._reads._outgoing.append(self._window(ts))
        return _NOTHING


def _failed(query: str, symbol: str, client_id: str) -> Callable[[Failure, int], Sequence[Event]]:
    def failed(failure: Failure, ts: int) -> Sequence[Event]:
        return (_query_failed(query, symbol, client_id, str(failure), ts),)

    return failed


def _query_failed(query: str, symbol: str, client_id: str, reason: str, ts: int) -> QueryFailed:
    return QueryFailed(ts=ts, venue=VENUE, client_id=client_id, query=query, symbol=symbol, reason=reason)
