"""The table of KuCoin's REST calls: method, path, pool, weight, and what answers.

A row is one line of the documents (classic spot API pages, 2025-11). Public calls are never refused for a signature.
`{id}` in a path matches one segment. Rows with fixed paths come before those that would swallow them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from tradeserver.simulator.accounts import Account, ApiKey
from tradeserver.simulator.kucoin import errors
from tradeserver.simulator.kucoin.limits import MANAGEMENT, PUBLIC, SPOT
from tradeserver.simulator.kucoin.public import Public
from tradeserver.simulator.kucoin.ticket import Body, decode
from tradeserver.simulator.kucoin.trading import Trading
from tradeserver.wire import kucoin as wire

EVERYTHING = 1 << 30
ACCOUNT_MODE = {"selfAccountMode": "CLASSIC", "unifiedSubAccount": [], "classicSubAccount": []}
"""Clients ask ("Get Account Mode", 2026) before they choose a dialect; this venue's accounts are classic ones."""

T = TypeVar("T")


class Ask(msgspec.Struct, frozen=True):
    """One call as a handler sees it: decoded query, the path's `{..}`, the raw body. `who` is None in public calls."""

    query: Mapping[str, str]
    id: str
    body: bytes
    now_ns: int
    who: tuple[Account, ApiKey] | None

    @property
    def account(self) -> Account:
        assert self.who is not None
        return self.who[0]

    def get(self, name: str) -> str:
        return self.query.get(name, "")


class Call(msgspec.Struct, frozen=True):
    """One row. `needs`: "" for public calls, else "read" or "trade"."""

    method: str
    path: tuple[str, ...]
    pool: str
    weight: int
    run: Callable[[Ask], Any]
    needs: str = ""
    orders: bool = False

    def match(self, method: str, segments: tuple[str, ...]) -> str | None:
        """The value of `{..}` in this path ("" without one), or None when it is another call."""
        if method != self.method or len(segments) != len(self.path):
            return None
        found = ""
        for own, asked in zip(self.path, segments, strict=True):
            if own.startswith("{"):
                found = asked
            elif own != asked:
                return None
        return found


def find(table: list[Call], method: str, path: str) -> tuple[Call, str]:
    """The row for a request, and the value of its `{..}`; 404000 when there is none."""
    segments = tuple(path.split("/"))
    for call in table:
        found = call.match(method, segments)
        if found is not None:
            return call, found
    raise errors.url_not_found()


def table(public: Public, trading: Trading, bullet: Callable[[Ask], Any]) -> list[Call]:
    """All rows. `bullet` gives out push tokens."""
    p, t = public, trading

    def read(line: str, pool: str, weight: int, run: Callable[[Ask], Any], needs: str = "") -> Call:
        method, _, path = line.partition(" ")
        return Call(method, tuple(path.split("/")), pool, weight, run, needs)

    def order(line: str, weight: int, run: Callable[[Ask], Any]) -> Call:
        method, _, path = line.partition(" ")
        return Call(method, tuple(path.split("/")), SPOT, weight, run, "trade", orders=True)

    # fmt: off
    return [
        read("GET /api/v1/timestamp", PUBLIC, 3, lambda a: a.now_ns // 1_000_000),
        read("GET /api/v1/status", PUBLIC, 3, lambda a: wire.ServiceStatus("open")),
        read("GET /api/v1/my-ip", PUBLIC, 0, lambda a: "127.0.0.1"),
        read("GET /api/v1/symbols", PUBLIC, 4, lambda a: p.symbols()),
        read("GET /api/v2/symbols", PUBLIC, 4, lambda a: p.symbols()),
        read("GET /api/v2/symbols/{symbol}", PUBLIC, 4, lambda a: p.symbol_row(a.id)),
        read("GET /api/v3/currencies", PUBLIC, 3, lambda a: p.currencies()),
        read("GET /api/v3/currencies/{currency}", PUBLIC, 3, lambda a: p.currency(a.id)),
        read("GET /api/v1/markets", PUBLIC, 3, lambda a: p.markets()),
        read("GET /api/v3/margin/symbols", PUBLIC, 3, lambda a: {"timestamp": a.now_ns // 1_000_000, "items": []}),
        read("GET /api/v1/isolated/symbols", PUBLIC, 3, lambda a: []),
        read("GET /api/v1/market/orderbook/level1", PUBLIC, 2, lambda a: p.ticker(a.get("symbol"), a.now_ns)),
        read("GET /api/v1/market/orderbook/level2_20", PUBLIC, 2, lambda a: p.book(a.get("symbol"), 20, a.now_ns)),
        read("GET /api/v1/market/orderbook/level2_100", PUBLIC, 2, lambda a: p.book(a.get("symbol"), 100, a.now_ns)),
        read("GET /api/v3/market/orderbook/level2", SPOT, 3,
             lambda a: p.book(a.get("symbol"), EVERYTHING, a.now_ns), "read"),
        read("GET /api/v1/market/histories", PUBLIC, 3, lambda a: p.trades(a.get("symbol"))),
        read("GET /api/v1/market/candles", PUBLIC, 3,
             lambda a: p.candles(a.get("symbol"), a.get("type"), a.get("startAt"), a.get("endAt"))),
        read("GET /api/v1/market/allTickers", PUBLIC, 15, lambda a: p.all_tickers(a.now_ns)),
        read("GET /api/v1/market/stats", PUBLIC, 15, lambda a: p.stats(a.get("symbol"), a.now_ns)),
        read("POST /api/v1/bullet-public", PUBLIC, 10, bullet),
        read("POST /api/v1/bullet-private", SPOT, 10, bullet, "read"),
        read("GET /api/v1/accounts", MANAGEMENT, 5,
             lambda a: p.accounts(a.account, a.get("type"), a.get("currency")), "read"),
        read("GET /api/v1/accounts/{id}", MANAGEMENT, 5, lambda a: p.account(a.account, a.id), "read"),
        read("GET /api/v1/hf/accounts/opened", SPOT, 30, lambda a: True, "read"),
        read("GET /api/v1/user/api-key", MANAGEMENT, 20, _api_key, "read"),
        read("GET /api/ua/v1/account/mode", MANAGEMENT, 30, lambda a: dict(ACCOUNT_MODE), "read"),
        read("GET /api/v1/trade-fees", SPOT, 3, lambda a: p.trade_fees(a.account, a.get("symbols")), "read"),
        read("GET /api/v1/base-fee", SPOT, 3, lambda a: p.base_fee(a.account), "read"),
        order("POST /api/v1/hf/orders", 1, lambda a: t.place(a.account, decode(a.body), a.now_ns)),
        order("POST /api/v1/hf/orders/sync", 1, lambda a: t.place_sync(a.account, decode(a.body), a.now_ns)),
        order("POST /api/v1/hf/orders/test", 1, lambda a: t.test(a.account, decode(a.body), a.now_ns)),
        order("POST /api/v1/hf/orders/multi", 1,
              lambda a: t.place_many(a.account, _bodies(a.body), a.now_ns, sync=False)),
        order("POST /api/v1/hf/orders/multi/sync", 1,
              lambda a: t.place_many(a.account, _bodies(a.body), a.now_ns, sync=True)),
        order("POST /api/v1/hf/orders/alter", 1,
              lambda a: t.alter(a.account, _decoded(a.body, wire.AlterOrder), a.now_ns)),
        order("POST /api/v1/hf/orders/dead-cancel-all", 2,
              lambda a: t.arm(a.account, _decoded(a.body, wire.DeadMan), a.now_ns)),
        read("GET /api/v1/hf/orders/dead-cancel-all/query", SPOT, 2, lambda a: t.armed(a.account, a.now_ns), "read"),
        order("DELETE /api/v1/hf/orders", 2, lambda a: t.cancel_symbol(a.account, a.get("symbol"), a.now_ns)),
        order("DELETE /api/v1/hf/orders/cancelAll", 30, lambda a: t.cancel_all(a.account, a.now_ns)),
        order("DELETE /api/v1/hf/orders/sync/{id}", 1,
              lambda a: t.cancel_sync(a.account, a.get("symbol"), a.id, "", a.now_ns)),
        order("DELETE /api/v1/hf/orders/sync/client-order/{id}", 1,
              lambda a: t.cancel_sync(a.account, a.get("symbol"), "", a.id, a.now_ns)),
        order("DELETE /api/v1/hf/orders/client-order/{id}", 1,
              lambda a: t.cancel(a.account, a.get("symbol"), "", a.id, a.now_ns)),
        order("DELETE /api/v1/hf/orders/{id}", 1,
              lambda a: t.cancel(a.account, a.get("symbol"), a.id, "", a.now_ns)),
        read("GET /api/v1/hf/orders/active", SPOT, 2, lambda a: t.active(a.account, a.get("symbol")), "read"),
        read("GET /api/v1/hf/orders/active/symbols", SPOT, 2, lambda a: t.active_symbols(a.account), "read"),
        read("GET /api/v1/hf/orders/done", SPOT, 2, lambda a: t.done(a.account, a.get("symbol"), a.query), "read"),
        read("GET /api/v1/hf/fills", SPOT, 2, lambda a: t.fills(a.account, a.get("symbol"), a.query), "read"),
        read("GET /api/v1/hf/orders/client-order/{id}", SPOT, 2,
             lambda a: t.query(a.account, a.get("symbol"), "", a.id), "read"),
        read("GET /api/v1/hf/orders/{id}", SPOT, 2, lambda a: t.query(a.account, a.get("symbol"), a.id, ""), "read"),
    ]
    # fmt: on


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.bad_parameter(f"Parameter Error: {error}") from None


def _bodies(body: bytes) -> list[Body]:
    return [decode(raw) for raw in _decoded(body, _Batch).orders]


class _Batch(msgspec.Struct):
    orders: list[msgspec.Raw] = msgspec.field(name="orderList", default_factory=list)


def _api_key(ask: Ask) -> dict[str, Any]:
    """{"remark":"main","apiKey":"SIM..","apiVersion":3,"permission":"General,Spot","uid":1,"isMaster":true,..}"""
    assert ask.who is not None
    account, key = ask.who
    rights = "General,Spot" if "trade" in key.permissions else "General"
    if "withdraw" in key.permissions:
        rights += ",Transfer"
    return {
        "remark": account.name,
        "apiKey": key.key,
        "apiVersion": int(key.version),
        "permission": rights,
        "ipWhitelist": "",
        "createdAt": 0,
        "uid": 1,
        "isMaster": True,
    }
