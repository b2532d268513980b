"""The table of Binance's calls: what each is called by REST and by the WS API, what it may be given, weighs and needs.

A row is one line of the documents (rest-api.md, web-socket-api.md, 2026-07-21). `Calls.perform` runs a row for either
front end in the venue's order: limits, parameters, who asks, whether he may, the work. A successful placement or cancel
weighs 0 since 2026-04-02, a failed one what is listed.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from tradeserver.simulator.accounts import Account, ApiKey
from tradeserver.simulator.binance import errors
from tradeserver.simulator.binance.limits import Address, OrderCount, order_rows
from tradeserver.simulator.binance.params import Params
from tradeserver.simulator.binance.public import Public
from tradeserver.simulator.binance.ticket import ORDER_NAMES
from tradeserver.simulator.binance.trading import Trading
from tradeserver.simulator.config import VenueConfig
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.faults import Faults, Refusal
from tradeserver.simulator.history import History
from tradeserver.wire import binance as wire

Client = tuple[Account, ApiKey]

SIGNED_NAMES = frozenset({"timestamp", "recvWindow", "signature", "apiKey"})


class Ask(msgspec.Struct, frozen=True):
    """One call as a handler sees it. `account` is None in public calls."""

    params: Params
    now_ns: int
    unit: int
    account: Account | None

    @property
    def client(self) -> Account:
        assert self.account is not None
        return self.account


class Call(msgspec.Struct, frozen=True):
    """One row of the table. `needs`: "" for public calls, else "read" or "trade"."""

    rest: str
    method: str
    names: frozenset[str]
    weight: Callable[[Params], int]
    run: Callable[[Ask], Any]
    needs: str = ""
    free: bool = False  # weighs nothing when it succeeds
    counts: bool = False  # shows the account's order counts
    lenient: bool = False  # unread parameters are ignored


class Calls:
    """The table over one exchange, and what every call costs and who may make it."""

    def __init__(
        self, exchange: Exchange, history: History, faults: Faults, settings: VenueConfig, rng: Random
    ) -> None:
        self.limits = settings.limits
        self.counts = {name: OrderCount(settings.limits) for name in exchange.accounts}
        self.trading = Trading(exchange, rng, self.counts, settings.third_asset)
        self.public = Public(exchange, history, settings.limits)
        self._exchange = exchange
        self._faults = faults
        self._ban_after = settings.ban_after
        self._addresses: dict[str, Address] = {}
        table = self._table()
        self.by_rest = {call.rest: call for call in table if call.rest}
        self.by_method = {call.method: call for call in table if call.method}

    def address(self, remote: str) -> Address:
        if remote not in self._addresses:
            self._addresses[remote] = Address(self.limits, self._ban_after)
        return self._addresses[remote]

    def client(self, api_key: str, needs: str) -> Client:
        """Who holds this key; refuses a malformed (-2014) or unknown one, and one without the right (-2015)."""
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise errors.bad_key_format()
        found = self._exchange.key(api_key)
        if found is None or needs not in found[1].permissions:
            raise errors.rejected_key()
        return found

    def perform(
        self, call: Call, params: Params, remote: str, now_ns: int, unit: int, who: Callable[[str], Account]
    ) -> Any:
        """Run `call`. `who(needs)` tells the account, or refuses; it is asked only where the call needs one."""
        address, weight = self.address(remote), call.weight(params)
        address.check(weight, now_ns)
        if not call.free:
            address.charge(weight, now_ns)
        try:
            if not call.lenient:
                params.allow_only(call.names | SIGNED_NAMES if call.needs else call.names)
            account = who(call.needs) if call.needs else None
            if call.counts:
                self._fail(params, now_ns)
            result = call.run(Ask(params, now_ns, unit, account))
            if call.counts:
                self._think_again(params, now_ns)
            return result
        except errors.Refused:
            if call.free:
                address.charge(weight, now_ns)
            raise

    def _fail(self, params: Params, now_ns: int) -> None:
        """Refuse a placement if the operator's faults say so."""
        _raise(self._faults.refusal("binance", str(params), now_ns))

    def _think_again(self, params: Params, now_ns: int) -> None:
        """Answer a placement that was carried out with an error if the operator's faults say so."""
        _raise(self._faults.afterthought("binance", str(params), now_ns))

    def throttle(self, until_ns: int) -> None:
        """429 to every address until then."""
        for address in self._addresses.values():
            address.throttle(until_ns)

    def ban(self, until_ns: int) -> None:
        """418 to every address until then."""
        for address in self._addresses.values():
            address.ban(until_ns)

    def escalations(self) -> int:
        """Bans that addresses have earned."""
        return sum(address.escalations for address in self._addresses.values())

    def order_counts(self, account: Account, now_ns: int) -> list[wire.RateLimit]:
        return order_rows(self.limits, self.counts[account.name].counts(now_ns))

    def _table(self) -> list[Call]:
        p, t = self.public, self.trading
        order = ORDER_NAMES
        replace = ORDER_NAMES | _names(
            "cancelReplaceMode cancelNewClientOrderId cancelOrigClientOrderId cancelOrderId cancelRestrictions "
            "orderRateLimitExceededMode"
        )
        cancel = _names("symbol orderId origClientOrderId newClientOrderId cancelRestrictions")
        which = _names("symbol orderId origClientOrderId")
        symbols = _names("symbol symbols symbolStatus")
        span = _names("symbol startTime endTime limit")
        # fmt: off
        return [
            Call("GET /api/v3/ping", "ping", _names(""), _is(1), lambda a: {}),
            Call("GET /api/v3/time", "time", _names(""), _is(1), lambda a: {"serverTime": a.now_ns // a.unit}),
            Call(
                "GET /api/v3/exchangeInfo", "exchangeInfo", symbols | _names("permissions showPermissionSets"),
                _is(20), lambda a: p.exchange_info(a.params, a.now_ns, a.unit),
            ),
            Call("GET /api/v3/depth", "depth", _names("symbol limit symbolStatus"), _depth_weight,
                 lambda a: p.depth(a.params)),
            Call("GET /api/v3/trades", "trades.recent", _names("symbol limit"), _is(25),
                 lambda a: p.trades(a.params, a.unit)),
            Call("GET /api/v3/aggTrades", "trades.aggregate", span | _names("fromId"), _is(4),
                 lambda a: p.agg_trades(a.params, a.unit)),
            Call("GET /api/v3/klines", "klines", span | _names("interval timeZone"), _is(2),
                 lambda a: p.klines(a.params, a.unit)),
            Call("GET /api/v3/avgPrice", "avgPrice", _names("symbol"), _is(2),
                 lambda a: p.average(a.params, a.now_ns, a.unit)),
            Call("GET /api/v3/ticker/bookTicker", "ticker.book", symbols, _ticker_weight,
                 lambda a: p.book_ticker(a.params)),
            Call("GET /api/v3/ticker/price", "ticker.price", symbols, _ticker_weight, lambda a: p.price(a.params)),
            Call("POST /api/v3/order", "order.place", order, _is(1),
                 lambda a: t.place(a.client, a.params, a.now_ns, a.unit), "trade", free=True, counts=True),
            Call("POST /api/v3/order/test", "order.test", order | _names("computeCommissionRates"), _test_weight,
                 lambda a: t.test(a.client, a.params, a.now_ns), "trade"),
            Call("DELETE /api/v3/order", "order.cancel", cancel, _is(1),
                 lambda a: t.cancel(a.client, a.params, a.now_ns, a.unit), "trade", free=True),
            Call("DELETE /api/v3/openOrders", "openOrders.cancelAll", _names("symbol"), _is(1),
                 lambda a: t.cancel_all(a.client, a.params, a.now_ns, a.unit), "trade", free=True),
            Call("POST /api/v3/order/cancelReplace", "order.cancelReplace", replace, _is(1),
                 lambda a: t.cancel_replace(a.client, a.params, a.now_ns, a.unit), "trade", free=True, counts=True),
            Call("GET /api/v3/order", "order.status", which, _is(4),
                 lambda a: t.query(a.client, a.params, a.unit), "read"),
            Call("GET /api/v3/openOrders", "openOrders.status", _names("symbol"), _open_weight,
                 lambda a: t.open_orders(a.client, a.params, a.unit), "read"),
            Call("GET /api/v3/allOrders", "allOrders", span | _names("orderId"), _is(20),
                 lambda a: t.all_orders(a.client, a.params, a.unit), "read"),
            Call("GET /api/v3/myTrades", "myTrades", span | _names("orderId fromId"), _trades_weight,
                 lambda a: t.my_trades(a.client, a.params, a.unit), "read"),
            Call("GET /api/v3/account", "account.status", _names("omitZeroBalances"), _is(20),
                 lambda a: t.account(a.client, a.params, a.now_ns, a.unit), "read"),
            Call("GET /api/v3/account/commission", "account.commission", _names("symbol"), _is(20),
                 lambda a: t.commission(a.client, a.params), "read"),
            Call("GET /api/v3/rateLimit/order", "account.rateLimits.orders", _names(""), _is(40),
                 lambda a: self.order_counts(a.client, a.now_ns), "read"),
            Call("GET /sapi/v1/asset/tradeFee", "", _names("symbol"), _is(1),
                 lambda a: t.trade_fee(a.client, a.params), "read"),
            Call("GET /sapi/v1/account/apiRestrictions", "", _names(""), _is(1), lambda a: {}, "read"),
            Call("GET /sapi/v1/margin/allPairs", "", _names(""), _is(1), lambda a: [], lenient=True),
            Call("GET /sapi/v1/margin/isolated/allPairs", "", _names(""), _is(1), lambda a: [], lenient=True),
            Call("GET /sapi/v1/capital/config/getall", "", _names(""), _is(1), lambda a: [], "read"),
        ]
        # fmt: on


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _is(weight: int) -> Callable[[Params], int]:
    return lambda params: weight


def _raise(refusal: Refusal | None) -> None:
    if refusal is not None:
        code = int(refusal.code)
        raise errors.Refused(code, refusal.msg or errors.TEXTS.get(code, "Refused."), errors.STATUSES.get(code, 0))


def _depth_weight(params: Params) -> int:
    limit = params.limit(100, 5000)
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


def _ticker_weight(params: Params) -> int:
    return 2 if params.has("symbol") else 4


def _test_weight(params: Params) -> int:
    return 20 if params.has("computeCommissionRates") else 1


def _open_weight(params: Params) -> int:
    return 6 if params.has("symbol") else 80


def _trades_weight(params: Params) -> int:
    return 5 if params.has("orderId") else 20
