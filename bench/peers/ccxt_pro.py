"""ccxt.pro as its manual shows it: `watch_order_book` at both venues, `create_order` (REST) or `create_order_ws`.

    python ccxt_pro.py PORTS ROUTE        PORTS: the stub's, as JSON; ROUTE: rest or ws

Prints "ready" when both books stand, and runs until it is killed. Markets are given, so that nothing is loaded; the
rate limiter is off. On uvloop, like every contender.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import ccxt.pro
import uvloop
from rule import Rule, Top

SYMBOL = "BTC/USDT"
BINANCE = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "baseAssetPrecision": 8, "quoteAsset": "USDT",
    "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT", "MARKET"], "isSpotTradingAllowed": True,
    "permissions": ["SPOT"], "permissionSets": [["SPOT"]],
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
        {"filterType": "NOTIONAL", "minNotional": "5", "maxNotional": "9000000"},
    ],
}  # fmt: skip
KUCOIN = {
    "id": "BTC-USDT", "symbol": SYMBOL, "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT",
    "type": "spot", "spot": True, "margin": False, "swap": False, "future": False, "option": False, "contract": False,
    "active": True, "taker": 0.001, "maker": 0.001, "precision": {"amount": 1e-8, "price": 0.1},
    "limits": {"amount": {"min": 1e-5, "max": 1e10}, "price": {}, "cost": {"min": 0.1, "max": 1e8}, "leverage": {}},
    "info": {},
}  # fmt: skip


def exchanges(ports: dict[str, int]) -> tuple[Any, Any]:
    """Both venues, pointed at the stub."""
    rest, sockets = f"http://127.0.0.1:{ports['rest']}", f"ws://127.0.0.1:{ports['ws']}"
    common = {"apiKey": "SIMbinance", "secret": "SIMbinance-secret", "enableRateLimit": False}
    binance = ccxt.pro.binance(common)
    binance.options["crossMarginPairsData"] = []
    binance.options["isolatedMarginPairsData"] = []
    binance.set_markets([binance.parse_market(BINANCE)])
    api = binance.urls["api"]
    api["public"], api["private"] = f"{rest}/api/v3", f"http://127.0.0.1:{ports['http']}/api/v3"
    api["ws"]["spot"], api["ws"]["ws-api"]["spot"] = f"{sockets}/raw", f"{sockets}/ws-api"
    kucoin = ccxt.pro.kucoin({**common, "password": "SIMkucoin-passphrase"})
    kucoin.options["uta"] = False
    kucoin.set_markets([kucoin.safe_market_structure(KUCOIN)])
    for name, url in kucoin.urls["api"].items():
        if isinstance(url, str):
            kucoin.urls["api"][name] = rest
    return binance, kucoin


class Trader:
    """Two watchers, one rule."""

    def __init__(self, binance: Any, kucoin: Any, route: str) -> None:
        self.binance, self.kucoin = binance, kucoin
        self.place = binance.create_order if route == "rest" else binance.create_order_ws
        self.rule = Rule()
        self.tasks: set[asyncio.Task[None]] = set()

    async def watch(self, exchange: Any) -> None:
        """After every change of a book."""
        books = (self.binance.orderbooks, self.kucoin.orderbooks)
        while True:
            await exchange.watch_order_book(SYMBOL)
            tops = [top(book.get(SYMBOL)) for book in books]
            if tops[0] is None or tops[1] is None:
                continue
            order = self.rule.decide(tops[0], tops[1])
            if order is not None:
                task = asyncio.create_task(self.order(*order))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def order(self, side: str, quantity: float, price: float) -> None:
        """One IOC order."""
        await self.place(SYMBOL, "limit", side.lower(), quantity, price, {"timeInForce": "IOC"})


def top(book: Any) -> Top | None:
    """None until the snapshot is there."""
    if not book or not book["bids"] or not book["asks"]:
        return None
    return (*book["bids"][0][:2], *book["asks"][0][:2])


async def main(ports: dict[str, int], route: str) -> None:
    """Until killed."""
    binance, kucoin = exchanges(ports)
    for exchange in (binance, kucoin):
        exchange.open()  # on this loop, as `load_markets` would do
    trader = Trader(binance, kucoin, route)
    async with asyncio.TaskGroup() as group:
        for exchange in (binance, kucoin):
            group.create_task(trader.watch(exchange))
        while top(binance.orderbooks.get(SYMBOL)) is None or top(kucoin.orderbooks.get(SYMBOL)) is None:
            await asyncio.sleep(0.05)
        if route == "ws":  # the connection, before anything counts
            await trader.order("BUY", 0.001, 50_000.0)
        print("ready", flush=True)


uvloop.run(main(json.loads(sys.argv[1]), sys.argv[2]))
