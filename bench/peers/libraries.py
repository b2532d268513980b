"""What one writes without an exchange library: websockets for the streams, orjson, orders by aiohttp or by websockets.

    python libraries.py PORTS ROUTE       PORTS: the stub's, as JSON; ROUTE: rest (aiohttp) or ws (websockets)

Sequence numbers are checked, the books are a dict and a sorted list of keys. Prints "ready" when both books stand, and
runs until it is killed. On uvloop, like every contender.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import time
from bisect import bisect_left, insort
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
import uvloop
from rule import Rule, Top
from websockets.asyncio.client import ClientConnection, connect

KEY, SECRET = "SIMbinance", b"SIMbinance-secret"


class Side:
    """Prices in order, and what they hold."""

    def __init__(self, rows: list[list[str]]) -> None:
        self.sizes = {float(price): float(size) for price, size, *_ in rows}
        self.prices = sorted(self.sizes)

    def apply(self, rows: list[list[str]]) -> None:
        """A size of zero takes the level away."""
        sizes, prices = self.sizes, self.prices
        for row in rows:
            price, size = float(row[0]), float(row[1])
            if size:
                if price not in sizes:
                    insort(prices, price)
                sizes[price] = size
            elif price in sizes:
                del sizes[price]
                del prices[bisect_left(prices, price)]


class Book:
    """One venue's."""

    def __init__(self, bids: list[list[str]], asks: list[list[str]], last: int) -> None:
        self.bids, self.asks, self.last = Side(bids), Side(asks), last

    def apply(self, first: int, last: int, bids: list[list[str]], asks: list[list[str]]) -> None:
        """Raises RuntimeError where a message is missing."""
        if last <= self.last:
            return
        if first > self.last + 1:
            raise RuntimeError(f"a gap: {self.last} to {first}")
        self.last = last
        self.bids.apply(bids)
        self.asks.apply(asks)

    def top(self) -> Top:
        """Best prices and their sizes."""
        bid, ask = self.bids.prices[-1], self.asks.prices[0]
        return bid, self.bids.sizes[bid], ask, self.asks.sizes[ask]


class Trader:
    """Both feeds, one rule, one way for orders."""

    def __init__(self, ports: dict[str, int], route: str) -> None:
        self.rest, self.sockets = f"http://127.0.0.1:{ports['rest']}", f"ws://127.0.0.1:{ports['ws']}"
        self.orders_url = f"http://127.0.0.1:{ports['http']}/api/v3/order"
        self.route = route
        self.rule = Rule()
        self.number = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until killed."""
        async with aiohttp.ClientSession() as self.http:
            binance = await connect(f"{self.sockets}/stream", compression=None)
            await binance.send('{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}')
            await binance.recv()
            kucoin = await connect(f"{self.sockets}/kucoin/market", compression=None)
            await kucoin.recv()
            await kucoin.send('{"id":"1","type":"subscribe","topic":"/market/level2:BTC-USDT","response":true}')
            while b"ack" not in await kucoin.recv(decode=False):
                pass
            depth = await self.get("/api/v3/depth?symbol=BTCUSDT&limit=1000")
            self.binance = Book(depth["bids"], depth["asks"], depth["lastUpdateId"])
            data = (await self.get("/api/v3/market/orderbook/level2?symbol=BTC-USDT"))["data"]
            self.kucoin = Book(data["bids"], data["asks"], int(data["sequence"]))
            if self.route == "ws":
                self.socket = await connect(f"{self.sockets}/ws-api", compression=None)
                self.keep(self.drain(self.socket))
            async with asyncio.TaskGroup() as group:
                group.create_task(self.on_binance(binance))
                group.create_task(self.on_kucoin(kucoin))
                print("ready", flush=True)

    async def get(self, path: str) -> Any:
        """A read by REST."""
        async with self.http.get(self.rest + path) as answer:
            return orjson.loads(await answer.read())

    async def on_binance(self, socket: ClientConnection) -> None:
        """Every depth message."""
        while True:
            data = orjson.loads(await socket.recv(decode=False))["data"]
            self.binance.apply(data["U"], data["u"], data["b"], data["a"])
            await self.look()

    async def on_kucoin(self, socket: ClientConnection) -> None:
        """Every depth message."""
        while True:
            message = orjson.loads(await socket.recv(decode=False))
            if message["type"] == "message":
                data = message["data"]
                changes = data["changes"]
                self.kucoin.apply(data["sequenceStart"], data["sequenceEnd"], changes["bids"], changes["asks"])
                await self.look()

    async def look(self) -> None:
        """Decide; by WebSocket the order leaves at once, by REST its answer is awaited elsewhere."""
        order = self.rule.decide(self.binance.top(), self.kucoin.top())
        if order is None:
            return
        side, quantity, price = order
        self.number += 1
        words: dict[str, Any] = {
            "symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "IOC", "quantity": f"{quantity:.5f}",
            "price": f"{price:.2f}", "newClientOrderId": f"t{self.number:07d}", "recvWindow": 1000,
            "timestamp": int(time.time() * 1000),
        }  # fmt: skip
        if self.route == "ws":  # logged on: no signature of its own
            request = {"id": str(self.number), "method": "order.place", "params": words}
            await self.socket.send(orjson.dumps(request), text=True)
        else:
            self.keep(self.post(words))

    async def post(self, words: dict[str, Any]) -> None:
        """A signed order by REST."""
        query = urlencode(words)
        query += "&signature=" + hmac.new(SECRET, query.encode(), hashlib.sha256).hexdigest()
        headers = {"X-MBX-APIKEY": KEY, "Content-Type": "application/x-www-form-urlencoded"}
        async with self.http.post(self.orders_url, data=query, headers=headers) as answer:
            orjson.loads(await answer.read())

    async def drain(self, socket: ClientConnection) -> None:
        """The answers."""
        async for message in socket:
            orjson.loads(message)

    def keep(self, work: Any) -> None:
        """A task that nobody awaits."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


uvloop.run(Trader(json.loads(sys.argv[1]), sys.argv[2]).run())
