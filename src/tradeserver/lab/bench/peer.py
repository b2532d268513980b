"""The stub venues as a process: `python -m tradeserver.lab.bench.peer SYMBOLS LEVELS [PEM]`.

It prints its ports, then obeys JSON lines on standard input, one answer a line: `{"do":"paced","rate":5000,
"count":20000}` sends so many messages one by one at that rate; `{"do":"flood","count":100000}` sends them as fast as
the socket takes them. More words: `trade` (false: nothing to trade on), `every` (one message in so many triggers),
`expire` (orders find nothing to trade on). Between commands every book gets a message twice a second, so that none
goes stale. Latencies are measured here, from before the write of a triggering message to the moment its first order is
read, on this machine's monotonic clock.

Orders come by WebSocket, or as `POST /api/v3/order` on the port "http". Streams under /raw carry Binance's messages
without the wrapper of combined streams, for clients that ask for them so.

Floods are made in full before the first byte leaves, so their stamps lie a minute ahead (the daemon reads those as
"now"); they measure throughput only.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import uvloop
from aiohttp import web
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from tradeserver.lab.bench.feed import Feed
from tradeserver.lab.bench.stub import Placed, Stub, encode, now_ms, order_in

clock: Final = time.perf_counter_ns
TEXT: Final = WSMsgType.TEXT
CHUNK_BYTES: Final = 16 * 1024
CHUNKS_AHEAD: Final = 4
PING: Final = b"\x89\x00"
AHEAD_MS: Final = 60_000


class Socket(WSListener):
    """One connection of the daemon, or of the floor."""

    def __init__(self, peer: Peer, path: str) -> None:
        self.peer = peer
        self.path = path.split("?")[0]
        self.raw = self.path.startswith("/raw/")
        self.transport: WSTransport | None = None
        self.unread = 0  # pings without an answer: it comes when all before it is read
        self.answered = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.peer.connected(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is TEXT:
            self.peer.receive(self, frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.PONG:
            self.unread -= 1
            self.answered.set()
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.peer.gone(self)

    def send(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.send(TEXT, data)

    def send_all(self, messages: list[bytes]) -> None:
        """Several messages, one write."""
        if self.transport is not None:
            self.transport.underlying_transport.write(b"".join(map(_frame, messages)))

    async def read_to_the_end(self) -> None:
        """Until the other side has read all that was sent here."""
        self.write(PING)
        await self.read_until(0)

    def write(self, frames: bytes) -> None:
        """Frames as they are, the last one a ping."""
        if self.transport is not None:
            self.unread += 1
            self.transport.underlying_transport.write(frames)

    async def read_until(self, left: int) -> None:
        """Until so many pings at most are without an answer."""
        while self.unread > left:
            self.answered.clear()
            await self.answered.wait()


class Peer:
    """Both venues."""

    def __init__(self, symbols: int, levels: int) -> None:
        self.feed = Feed(symbols, levels)
        self.stub = Stub(self.feed)
        self.orders = 0
        self.last_order = 0
        self.latencies: list[int] = []
        self.waiting: dict[str, int] = {}  # native symbol of a trigger -> when it was sent
        self.market: list[Socket | None] = [None, None]
        self.user: dict[str, Socket] = {}
        self.busy = False
        self.expire = False
        self.ports: dict[str, int] = {}

    # ---- connections -------------------------------------------------------------------------------------------------

    def connected(self, socket: Socket) -> None:
        if socket.path == "/kucoin/orders":
            socket.send(b'{"sessionId":"s","timestamp":%d}' % now_ms())
        elif socket.path.startswith("/kucoin/"):
            socket.send(b'{"id":"w","type":"welcome"}')
        elif socket.path.startswith("/floor/market"):
            self.market[int(socket.path[-1])] = socket

    def gone(self, socket: Socket) -> None:
        self.market = [None if one is socket else one for one in self.market]
        self.user = {venue: one for venue, one in self.user.items() if one is not socket}

    def receive(self, socket: Socket, data: bytes) -> None:
        """Orders first: their moment is what is measured."""
        arrived = clock()
        if b"clientOid" in data or b"newClientOrderId" in data:
            self._order(socket, data, arrived)
        elif socket.path == "/stream" or socket.raw:
            self.market[0] = socket
            socket.send(b'{"result":null,"id":%d}' % json.loads(data)["id"])
        elif socket.path == "/ws-api":
            self._binance_request(socket, json.loads(data))
        elif socket.path == "/kucoin/orders":
            self._kucoin_log_on(socket, data)
        elif socket.path.startswith("/kucoin/"):
            request = json.loads(data)
            kind = "pong" if request["type"] == "ping" else "ack"
            if socket.path == "/kucoin/market":
                self.market[1] = socket
            else:
                self.user["kucoin"] = socket
            socket.send(b'{"id":"%s","type":"%s"}' % (request["id"].encode(), kind.encode()))

    def _binance_request(self, socket: Socket, request: dict[str, Any]) -> None:
        result: dict[str, Any] = {"serverTime": now_ms()}
        if request["method"].startswith("userDataStream"):
            self.user["binance"] = socket
            result = {"subscriptionId": 0}
        socket.send(encode({"id": request["id"], "status": 200, "result": result}))

    def _kucoin_log_on(self, socket: Socket, data: bytes) -> None:
        if data.startswith(b"{"):
            socket.send(b'{"id":"%s","op":"pong","timestamp":%d}' % (json.loads(data)["id"].encode(), now_ms()))
        else:  # the signed challenge
            socket.send(b'{"sessionId":"s","data":"welcome","pingInterval":18000,"pingTimeout":10000}')

    def _order(self, socket: Socket, data: bytes, arrived: int) -> None:
        request = order_in(data)
        order = request.params or request.args
        assert order is not None
        self._count(order, arrived)
        if socket.path.startswith("/floor/"):
            return
        if request.args is not None:
            answer, events = self.stub.kucoin_order(str(request.id), order)
        else:
            answer, events = self.binance_order(str(request.id), order)
        socket.send(answer)
        user = self.user.get("binance" if request.args is None else "kucoin")
        if user is not None:
            user.send_all(events)

    def _count(self, order: Placed, arrived: int) -> None:
        self.orders += 1
        self.last_order = arrived
        sent = self.waiting.pop(order.symbol.replace("-", ""), 0)
        if sent:
            self.latencies.append(arrived - sent)

    def binance_order(self, client_id: str, order: Placed) -> tuple[bytes, list[bytes]]:
        """Filled at once, or expired, as the command says."""
        return (self.stub.binance_expired if self.expire else self.stub.binance_order)(client_id, order)

    def posted(self, form: bytes, arrived: int) -> bytes:
        """An order by REST: the body of its answer."""
        words = dict(parse_qsl(form.decode()))
        order = Placed(words["symbol"], words["side"], Decimal(words["price"]), Decimal(words["quantity"]))
        self._count(order, arrived)
        answer, _ = self.binance_order(words["newClientOrderId"], order)
        return answer[answer.index(b'"result":') + 9 : answer.rindex(b',"rateLimits"')]

    async def answer(self, request: web.Request) -> web.Response:
        """REST. Paths under /tls lead to WebSockets over TLS."""
        tls = request.path.startswith("/tls/")
        sockets = f"wss://127.0.0.1:{self.ports['tls']}" if tls else f"ws://127.0.0.1:{self.ports['ws']}"
        body = self.stub.rest(request.path.removeprefix("/tls"), request.query, sockets)
        if body is None:
            print(f"not known: {request.method} {request.path_qs}", file=sys.stderr, flush=True)
            return web.Response(status=404, body=b"{}")
        return web.Response(body=encode(body), content_type="application/json")

    # ---- the feed ----------------------------------------------------------------------------------------------------

    def _send_next(self, trade: bool) -> None:
        venue, symbol, text, triggers = self.feed.next(now_ms(), trade)
        socket = self.market[venue]
        if socket is None:
            return
        if socket.raw:
            text = text[text.index(b'"data":') + 7 : -1]
        if triggers:
            self.waiting[self.feed.native[0][symbol][0].decode()] = clock()
        socket.send(text)

    async def paced(self, count: int, rate: float, trade: bool) -> None:
        gap = 1e9 / rate
        start = clock()
        for number in range(count):
            due = start + int(number * gap)
            while clock() < due:
                await asyncio.sleep(0)
            self._send_next(trade)

    async def flood(self, count: int, trade: bool) -> int:
        """Both venues' streams by turns, so much ahead of the daemon that it always has something to read, and no
        more. When the first byte left."""
        streams: list[list[bytes]] = [[], []]
        parts: list[list[bytes]] = [[], []]
        sizes = [0, 0]
        ms = now_ms() + AHEAD_MS
        for _ in range(count):
            venue, _symbol, text, _ = self.feed.next(ms, trade)
            parts[venue].append(_frame(text))
            sizes[venue] += len(text)
            if sizes[venue] > CHUNK_BYTES:
                streams[venue].append(b"".join(parts[venue]) + PING)
                parts[venue], sizes[venue] = [], 0
        for venue in (0, 1):
            streams[venue].append(b"".join(parts[venue]) + PING)
        start = clock()
        for number in range(max(map(len, streams))):
            for venue in (0, 1):
                socket = self.market[venue]
                if socket is not None and number < len(streams[venue]):
                    socket.write(streams[venue][number])
                    await socket.read_until(CHUNKS_AHEAD)
        return start

    async def idle(self) -> None:
        """Every book hears something twice a second."""
        while True:
            if not self.busy:
                for _ in range(2 * self.feed.count):
                    self._send_next(False)
            await asyncio.sleep(0.5)

    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """One command; the answer."""
        trade = command.get("trade", True)
        self.latencies.clear()
        self.waiting.clear()
        self.feed.every = command.get("every", 20)
        self.expire = command.get("expire", False)
        orders, triggers, start = self.orders, self.feed.triggers, clock()
        self.busy = True
        match command["do"]:
            case "paced":
                await self.paced(command["count"], command["rate"], trade)
            case "flood":
                start = await self.flood(command["count"], trade)
        done = await self._done()
        self.busy = False
        await self._quiet(done)
        return {
            "start": start,
            "done": done,
            "last_order": self.last_order,
            "orders": self.orders - orders,
            "triggers": self.feed.triggers - triggers,
            "latencies": self.latencies,
        }

    async def _done(self) -> int:
        """When the daemon has read every message, and the answers and fills of every order that it sent for them."""
        for socket in self.market:
            if socket is not None:
                await socket.read_to_the_end()
        while clock() - self.last_order < 5_000_000:
            await asyncio.sleep(0.001)
        for socket in self.user.values():
            await socket.read_to_the_end()
        return clock()

    async def _quiet(self, since: int) -> None:
        """Until no order has come for 0.3 s."""
        while clock() - max(since, self.last_order) < 300_000_000:
            await asyncio.sleep(0.02)


class Posts(asyncio.Protocol):
    """Orders by HTTP/1.1, kept alive. As little as a server can do, so that the client is what is measured."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.data = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        arrived = clock()
        data = self.data + data
        head, found, body = data.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2]
        size = int(length.partition(b"\r\n")[0] or 0)
        if not found or len(body) < size:
            self.data = data
            return
        self.data = body[size:]
        answer = self.peer.posted(body[:size], arrived)
        assert self.transport is not None
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer)
        )


def _frame(text: bytes) -> bytes:
    """An unmasked text frame of a server (RFC 6455, 5.2)."""
    size = len(text)
    return (b"\x81" + bytes([size]) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")) + text


async def main(symbols: int, levels: int, pem: str) -> None:
    """Serve until standard input ends."""
    peer = Peer(symbols, levels)

    def listener(request: WSUpgradeRequest) -> WSListener:
        path = request.path
        return Socket(peer, path.decode() if isinstance(path, bytes) else path)

    plain_server = await ws_create_server(listener, "127.0.0.1", 0)
    peer.ports["ws"] = plain_server.sockets[0].getsockname()[1]
    if pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        tls_server = await ws_create_server(listener, "127.0.0.1", 0, ssl=context)
        peer.ports["tls"] = tls_server.sockets[0].getsockname()[1]
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", peer.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    peer.ports["rest"] = runner.addresses[0][1]
    loop = asyncio.get_running_loop()
    posts = await loop.create_server(lambda: Posts(peer), "127.0.0.1", 0)
    peer.ports["http"] = posts.sockets[0].getsockname()[1]
    commands = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print(json.dumps(peer.ports), flush=True)
    idle = loop.create_task(peer.idle())
    while line := await commands.readline():
        print(json.dumps(await peer.obey(json.loads(line))), flush=True)
    idle.cancel()


def run(words: Sequence[str]) -> None:
    """Symbols, levels a message, and a PEM file for TLS or nothing."""
    os.environ.pop("SSL_CERT_FILE", None)
    uvloop.run(main(int(words[0]), int(words[1]), words[2] if len(words) > 2 else ""))


if __name__ == "__main__":
    run(sys.argv[1:])
