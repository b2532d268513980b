"""The control API: what a test or an operator may see of the simulated world, and do to it, as JSON on its own port.

    GET  /state            balances, open orders, fills and totals by venue and account; connections; requests by path;
                           recordings; faults
    GET  /orders, /fills, /log     everything ever accepted, filled, asked for; `?venue=` and `?account=` narrow it
    POST /fault            the fault language as text, or {"fault": "drop kucoin.user 5%"}
    POST /fault/clear      no faults from here
    POST /clock            {"fixed_ms": n} | {"offset_ms": n} | {"real": true}
    POST /balance          {"venue", "account", "asset", "free"}: the operator's hand
    POST /status           {"venue", "symbol", "status": "trading" | "halted" | "cancel_only"}
    POST /stop             the simulator ends

Money is text in plain notation ("0.00000001", never an exponent). A wrong request is answered 400 with
{"error": sentence}.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.faults import FaultError
from tradeserver.simulator.types import ZERO, Fill, Order, Status

if TYPE_CHECKING:
    from tradeserver.simulator.server import Server


def control_app(server: Server) -> web.Application:
    """The routes of the docstring."""
    control = _Control(server)
    app = web.Application(middlewares=[_errors])
    app.add_routes(
        [
            web.get("/state", control.state),
            web.get("/orders", control.orders),
            web.get("/fills", control.fills),
            web.get("/log", control.log),
            web.post("/fault", control.fault),
            web.post("/fault/clear", control.clear),
            web.post("/clock", control.clock),
            web.post("/balance", control.balance),
            web.post("/status", control.status),
            web.post("/stop", control.stop),
        ]
    )
    return app


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except (FaultError, KeyError, ValueError, TypeError, InvalidOperation) as error:
        text = f"missing or unknown: {error}" if isinstance(error, KeyError) else str(error)
        return _json({"error": text}, status=400)


class _Control:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._world = server.world

    async def state(self, request: web.Request) -> web.Response:
        return _json(
            {
                "now_ns": self._server.clock.now_ns(),
                "venues": {venue: _venue_state(exchange) for venue, exchange in self._world.exchanges.items()},
                "connections": self._server.connections(),
                "requests": self._server.requests(),
                "playback": [msgspec.to_builtins(feed) for feed in self._world.playback.progress()],
                "faults": [{"fault": fault.text, "hits": fault.hits} for fault in self._world.faults.faults],
            }
        )

    async def orders(self, request: web.Request) -> web.Response:
        rows = [_order_row(exchange.venue, o) for exchange, who in self._wanted(request) for o in exchange.orders(who)]
        return _json({"rows": rows})

    async def fills(self, request: web.Request) -> web.Response:
        rows = [_fill_row(exchange.venue, f) for exchange, who in self._wanted(request) for f in exchange.fills(who)]
        return _json({"rows": rows})

    async def log(self, request: web.Request) -> web.Response:
        wanted = {(exchange.venue, who) for exchange, who in self._wanted(request)}
        rows = [
            {"venue": exchange.venue} | {name: _text(value) for name, value in msgspec.structs.asdict(line).items()}
            for exchange in self._world.exchanges.values()
            for line in exchange.placed
            if (exchange.venue, line.account) in wanted
        ]
        return _json({"rows": rows})

    async def fault(self, request: web.Request) -> web.Response:
        text = (await request.text()).strip()
        if text.startswith("{"):
            text = (await _table(request))["fault"]
        fault = self._world.faults.add(text, self._server.clock.now_ns())
        self._server.step()
        return _json({"fault": fault.text})

    async def clear(self, request: web.Request) -> web.Response:
        self._world.faults.clear()
        return _json({})

    async def clock(self, request: web.Request) -> web.Response:
        clock, table = self._server.clock, await _table(request)
        if "fixed_ms" in table:
            clock.fixed_ns = int(table["fixed_ms"]) * 1_000_000
        elif "offset_ms" in table:
            clock.fixed_ns, clock.offset_ns = 0, int(table["offset_ms"]) * 1_000_000
        else:
            table["real"]  # anything else is an error
            clock.fixed_ns = clock.offset_ns = 0
        self._server.step()
        return _json({"now_ns": clock.now_ns()})

    async def balance(self, request: web.Request) -> web.Response:
        table = await _table(request)
        exchange, free = self._world.exchanges[table["venue"]], Decimal(str(table["free"]))
        if free < 0 or not free.is_finite():
            raise ValueError("a balance is not below zero")
        exchange.set_balance(table["account"], table["asset"], free, self._server.clock.now_ns())
        self._server.step()
        return _json({"balances": _balances(exchange, table["account"])})

    async def status(self, request: web.Request) -> web.Response:
        table = await _table(request)
        exchange = self._world.exchanges[table["venue"]]
        if table["symbol"] not in exchange.symbols:
            raise KeyError(table["symbol"])
        exchange.set_status(table["symbol"], Status(table["status"]), self._server.clock.now_ns())
        self._server.step()
        return _json({})

    async def stop(self, request: web.Request) -> web.Response:
        self._server.request_stop()
        return _json({})

    def _wanted(self, request: web.Request) -> list[tuple[Exchange, str]]:
        """(exchange, account name) that the query asks for."""
        venue, account = request.query.get("venue"), request.query.get("account")
        return [
            (exchange, name)
            for exchange in self._world.exchanges.values()
            for name in exchange.accounts
            if venue in (None, exchange.venue) and account in (None, name)
        ]


def _venue_state(exchange: Exchange) -> dict[str, Any]:
    return {
        "accounts": {name: _account_state(exchange, name) for name in exchange.accounts},
        "placements": len(exchange.placed),
    }


def _account_state(exchange: Exchange, account: str) -> dict[str, Any]:
    fills = exchange.fills(account)
    return {
        "keys": [key.key for key in exchange.accounts[account].keys],
        "balances": _balances(exchange, account),
        "open_orders": [_order_row(exchange.venue, order) for order in exchange.open_orders(account)],
        "orders": len(exchange.orders(account)),
        "fills": len(fills),
        "executed": {
            symbol: _executed([fill for fill in fills if fill.symbol == symbol])
            for symbol in sorted({fill.symbol for fill in fills})
        },
        "commissions": _totals((fill.commission_asset, fill.commission) for fill in fills),
    }


def _executed(fills: list[Fill]) -> dict[str, str]:
    """Base and quote by side: `buy_base`, `buy_quote`, `sell_base`, `sell_quote`."""
    parts = [(f"{f.side.value}_{what}", amount) for f in fills for what, amount in _parts(f)]
    return _totals(parts)


def _parts(fill: Fill) -> tuple[tuple[str, Decimal], ...]:
    return ("base", fill.quantity), ("quote", fill.quote)


def _totals(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, str]:
    totals: dict[str, Decimal] = {}
    for name, amount in amounts:
        totals[name] = totals.get(name, ZERO) + amount
    return {name: plain(total) for name, total in sorted(totals.items())}


def _balances(exchange: Exchange, account: str) -> dict[str, dict[str, str]]:
    balances = sorted(exchange.accounts[account].balances.items())
    return {asset: {"free": plain(b.free), "locked": plain(b.locked), "total": plain(b.total)} for asset, b in balances}


def _order_row(venue: str, order: Order) -> dict[str, Any]:
    row = {name: _text(value) for name, value in msgspec.structs.asdict(order).items() if name not in ("fills", "fees")}
    fees = {asset: plain(amount) for asset, amount in order.fees.items()}
    return {"venue": venue} | row | {"fills": len(order.fills), "fees": fees, "remaining": plain(order.remaining)}


def _fill_row(venue: str, fill: Fill) -> dict[str, Any]:
    return {"venue": venue} | {name: _text(value) for name, value in msgspec.structs.asdict(fill).items()}


def _text(value: Any) -> Any:
    """Decimals plain, enums by value, the rest as it is."""
    return plain(value) if isinstance(value, Decimal) else getattr(value, "value", value)


def plain(value: Decimal) -> str:
    """`value` without exponent or trailing zeros."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("", "-0") else text


async def _table(request: web.Request) -> dict[str, Any]:
    table = msgspec.json.decode(await request.read())
    if not isinstance(table, dict):
        raise TypeError("the body is a JSON object")
    return table


def _json(what: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(what), content_type="application/json", status=status)
