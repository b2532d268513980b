"""Puts the simulated world on sockets: per venue one port with REST and WebSockets (aiohttp), and a control port.

The only module of the simulator that reads a clock, together with `control.py` the only one that knows aiohttp.
Faults are applied here, between a front and its clients: frames and answers may be dropped, delayed, doubled or held
back, connections cut. A delayed frame holds back those behind it on its connection, as TCP would.

`run` is the program: it prints one JSON line with all addresses when it is ready, and ends on SIGINT or SIGTERM.
`serve` is the same for a test or the demo inside a running loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from typing import Any, Final

from aiohttp import WSMsgType, web

from tradeserver.simulator.config import SimConfig, SimConfigError
from tradeserver.simulator.control import control_app
from tradeserver.simulator.faults import SEND, Reach
from tradeserver.simulator.front import Close, Front, HttpIn, Ping
from tradeserver.simulator.recordings import RecordingError
from tradeserver.simulator.world import World

EXIT_OK: Final = 0
EXIT_CONFIG: Final = 78
_LONGEST_SLEEP_S: Final = 0.01
_MOST_PATHS: Final = 1_000
_HANG_S: Final = 60.0  # how long a black hole keeps a client waiting, if he does
_KEY_HEADERS: Final = ("x-mbx-apikey", "kc-api-key")
_BACKLOG: Final = 2_000  # frames waiting for one client before a recording at full speed waits for it


class Clock:
    """The simulator's time: the real one (anchored once, then monotonic) plus an offset, or a fixed moment."""

    def __init__(self, fixed_ms: int = 0) -> None:
        self._anchor = time.time_ns() - time.perf_counter_ns()
        self.offset_ns = 0
        self.fixed_ns = fixed_ms * 1_000_000

    def now_ns(self) -> int:
        """UTC nanoseconds."""
        return self.fixed_ns or self._anchor + time.perf_counter_ns() + self.offset_ns


class _Connection:
    """One WebSocket and its queue of (not before, what): `not before` in seconds of the loop's clock."""

    def __init__(self, request: web.Request) -> None:
        self.request = request
        self.socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1 << 20, timeout=1.0)
        self.queue: asyncio.Queue[tuple[float, str | Ping | Close]] = asyncio.Queue()

    async def write(self) -> None:
        """Send what is queued, until closed."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError, RuntimeError):  # the client is gone; its reader notices
            while True:
                not_before, what = await self.queue.get()
                if not_before > loop.time():
                    await asyncio.sleep(not_before - loop.time())
                if isinstance(what, str):
                    await self.socket.send_str(what)
                elif isinstance(what, Ping):
                    await self.socket.ping(what.payload)
                else:
                    await self.socket.close(code=what.code, message=what.reason.encode())
                    return


class _VenueServer:
    """One venue's port."""

    def __init__(self, venue: str, front: Front, server: Server) -> None:
        self.venue = venue
        self.front = front
        self.connections: dict[int, _Connection] = {}
        self.requests: Counter[str] = Counter()  # "GET /path", "WS /path", and "with a key"
        self._server = server

    def app(self) -> web.Application:
        """Every path goes to the front, as it came."""
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{anything:.*}", self._handle)
        return app

    def deliver(self) -> None:
        """Queue what the front wants to send, faults applied."""
        faults, now_ns = self._server.world.faults, self._server.clock.now_ns()
        outgoing = self.front.outgoing.copy()
        self.front.outgoing.clear()
        for conn, what in outgoing:
            connection = self.connections.get(conn)
            if connection is None:
                continue
            action = SEND
            if faults.faults:
                channel = self.front.channel_of(conn)
                if isinstance(what, str):
                    what = faults.rewritten(self.venue, channel, what, now_ns)
                    action = faults.on_out(self.venue, channel, what, now_ns)
                elif faults.reach(self.venue, channel, now_ns) is Reach.BLACKHOLE:
                    continue
            not_before = _loop_time(action.not_before_ns, now_ns)
            for _ in range(action.copies):
                if action.overtaken:  # alone; those behind it go their way
                    later = (action.not_before_ns - now_ns) / 1e9
                    asyncio.get_running_loop().call_later(later, connection.queue.put_nowait, (0.0, what))
                else:
                    connection.queue.put_nowait((not_before, what))

    def disconnect(self, channel: str) -> None:
        """Cut every connection of a channel, without a goodbye."""
        for conn, connection in self.connections.items():
            transport = connection.request.transport
            if channel in ("*", self.front.channel_of(conn)) and transport is not None:
                transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        remote = request.remote or ""
        websocket = headers.get("upgrade", "").lower() == "websocket"
        self._count("WS" if websocket else request.method, path, headers)
        if websocket:
            return await self._websocket(request, path, query, headers, remote)
        return await self._http(request, HttpIn(request.method, path, query, headers, await request.read(), remote))

    def _count(self, method: str, path: str, headers: dict[str, str]) -> None:
        name = f"{method} {path}"
        if name in self.requests or len(self.requests) < _MOST_PATHS:
            self.requests[name] += 1
        if any(header in headers for header in _KEY_HEADERS):
            self.requests["with a key"] += 1

    async def _http(self, request: web.Request, asked: HttpIn) -> web.StreamResponse:
        server, faults = self._server, self._server.world.faults
        now_ns = server.clock.now_ns()
        text = f"{asked.method} {asked.path}?{asked.query} {asked.body.decode(errors='replace')}"
        orders = asked.method in ("POST", "DELETE") and "order" in asked.path.lower()
        channel = "orders" if orders else "rest"
        reach = faults.reach(self.venue, channel, now_ns)
        if reach is Reach.BLACKHOLE:
            await asyncio.sleep(_HANG_S)
        if reach is not Reach.OPEN or not faults.on_in(self.venue, channel, text, now_ns):
            return _no_answer(request)
        if instead := faults.answer(self.venue, channel, text, now_ns, "in"):
            return web.Response(status=instead.status, text=instead.body, content_type="text/html")
        answer = self.front.http(asked, server.world.time_at(self.venue, now_ns))
        self.front.tick(server.world.time_at(self.venue, now_ns))
        self.deliver()
        body = faults.rewritten(self.venue, answer.channel, answer.body.decode(errors="replace"), now_ns)
        action = faults.on_out(self.venue, answer.channel, text + body, now_ns)
        if not action.copies:
            return _no_answer(request)
        if action.not_before_ns > now_ns:
            await asyncio.sleep((action.not_before_ns - now_ns) / 1e9)
        if instead := faults.answer(self.venue, answer.channel, text, now_ns, "out"):
            return web.Response(status=instead.status, text=instead.body, content_type="text/html")
        return web.Response(
            status=answer.status, body=body.encode(), headers=answer.headers, content_type=answer.content_type
        )

    async def _websocket(
        self, request: web.Request, path: str, query: str, headers: dict[str, str], remote: str
    ) -> web.StreamResponse:
        server = self._server
        if not await self._reachable(request):
            return _no_answer(request)
        conn = next(server.conn_ids)
        accepted = self.front.connect(conn, path, query, headers, remote, self._now_ns())
        if accepted is not True:
            if accepted is False:
                return web.Response(status=404)
            return web.Response(
                status=accepted.status,
                body=accepted.body,
                headers=accepted.headers,
                content_type=accepted.content_type,
            )
        connection = _Connection(request)
        writer: asyncio.Task[None] | None = None
        try:
            await connection.socket.prepare(request)
            self.connections[conn] = connection
            writer = asyncio.create_task(connection.write())
            self.deliver()
            await self._read(conn, connection)
        finally:
            self.connections.pop(conn, None)
            if writer is not None:
                writer.cancel()
            self.front.closed(conn, self._now_ns())
        return connection.socket

    async def _reachable(self, request: web.Request) -> bool:
        """Whether a new connection may be had. Its channel is not known before it speaks, so only faults of a whole
        venue count."""
        reach = self._server.world.faults.reach(self.venue, "", self._server.clock.now_ns())
        if reach is Reach.BLACKHOLE:
            await asyncio.sleep(_HANG_S)
        return reach is Reach.OPEN

    def _now_ns(self) -> int:
        """What the venue's own clock says."""
        return self._server.world.time_at(self.venue, self._server.clock.now_ns())

    async def _read(self, conn: int, connection: _Connection) -> None:
        front, server = self.front, self._server
        async for message in connection.socket:
            faults, now_ns = server.world.faults, self._now_ns()
            if message.type is WSMsgType.TEXT:
                if not faults.on_in(self.venue, front.channel_of(conn), message.data, server.clock.now_ns()):
                    continue
                front.message(conn, message.data, now_ns)
                front.tick(now_ns)
            elif faults.reach(self.venue, front.channel_of(conn), server.clock.now_ns()) is Reach.BLACKHOLE:
                continue
            elif message.type is WSMsgType.PING:
                await connection.socket.pong(message.data)
                front.ping(conn, bytes(message.data), now_ns)
            elif message.type is WSMsgType.PONG:
                front.pong(conn, bytes(message.data), now_ns)
            self.deliver()


class Server:
    """A running simulator. `urls` is what the ready line says."""

    def __init__(self, config: SimConfig) -> None:
        self.config = config
        self.clock = Clock(config.fixed_clock_ms)
        self.world = World(config, self.clock.now_ns())
        self.conn_ids = itertools.count(1)
        self.urls: dict[str, Any] = {}
        self._venues = {venue: _VenueServer(venue, front, self) for venue, front in self.world.fronts.items()}
        self._runners: list[web.AppRunner] = []
        self._stopped = asyncio.Event()
        self._beat: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the ports and let time run. Raises SimConfigError when a port cannot be had."""
        sockets = {venue: self._bind(self.config.venues[venue].port) for venue in self._venues}  # type: ignore[index]
        control = self._bind(self.config.control_port)
        for venue, server in self._venues.items():
            server.front.origin = _origin(sockets[venue])
        self.step()
        for venue, server in self._venues.items():
            await self._listen(server.app(), sockets[venue])
        await self._listen(control_app(self), control)
        self.urls = {"ready": True, **{v: _urls(v, _origin(s)) for v, s in sockets.items()}}
        self.urls["control"] = f"http://{_origin(control)}"
        self._beat = asyncio.create_task(self._run())

    def step(self) -> None:
        """Let the world catch up with the clock, and send what comes of it."""
        now_ns = self.clock.now_ns()
        self.world.step(now_ns)
        for venue in self._venues.values():
            venue.deliver()
        for name, channel in self.world.faults.disconnects(now_ns):
            for server in self._venues.values():
                if name in ("*", server.venue):
                    server.disconnect(channel)

    def connections(self) -> dict[str, dict[str, int]]:
        """How many WebSockets are open, by venue and channel."""
        counts: dict[str, dict[str, int]] = {venue: {} for venue in self._venues}
        for venue, server in self._venues.items():
            for conn in server.connections:
                channel = server.front.channel_of(conn)
                counts[venue][channel] = counts[venue].get(channel, 0) + 1
        return counts

    def requests(self) -> dict[str, dict[str, int]]:
        """What was asked for so far, by venue: HTTP requests and WebSockets by path, and how many bore a key."""
        return {venue: dict(server.requests) for venue, server in self._venues.items()}

    def request_stop(self) -> None:
        """Let `wait` return."""
        self._stopped.set()

    async def wait(self) -> None:
        """Until somebody asked to stop, or the world broke (then its exception)."""
        assert self._beat is not None
        stopped = asyncio.create_task(self._stopped.wait())
        await asyncio.wait({stopped, self._beat}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if self._beat.done():
            self._beat.result()

    async def stop(self) -> None:
        """Close everything. May be called twice."""
        if self._beat is not None:
            self._beat.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._beat
        connections = [one for venue in self._venues.values() for one in venue.connections.values()]
        goodbyes = (one.socket.close(code=1001) for one in connections)
        await asyncio.gather(*goodbyes, return_exceptions=True)
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    async def _run(self) -> None:
        while True:
            self.step()
            if self.world.playback.fast:
                while self._backlog() > _BACKLOG:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0)
            else:
                due_s = (self.world.next_due() - self.clock.now_ns()) / 1e9
                await asyncio.sleep(min(max(due_s, 0.0), _LONGEST_SLEEP_S))

    def _backlog(self) -> int:
        queues = (c.queue.qsize() for venue in self._venues.values() for c in venue.connections.values())
        return max(queues, default=0)

    def _bind(self, port: int) -> socket.socket:
        try:
            return socket.create_server((self.config.host, port), backlog=128)
        except OSError as error:
            why = os.strerror(error.errno or 0)
            raise SimConfigError(f"cannot listen on {self.config.host}:{port}: {why}") from None

    async def _listen(self, app: web.Application, sock: socket.socket) -> None:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
        await runner.setup()
        await web.SockSite(runner, sock).start()
        self._runners.append(runner)


def _urls(venue: str, origin: str) -> dict[str, str]:
    if venue == "binance":
        return {
            "rest": f"http://{origin}",
            "stream": f"ws://{origin}",
            "ws_api": f"ws://{origin}/ws-api/v3",
        }
    return {"rest": f"http://{origin}", "ws_orders": f"ws://{origin}/v1/private"}


def _origin(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"{host}:{port}"


def _loop_time(not_before_ns: int, now_ns: int) -> float:
    return asyncio.get_running_loop().time() + (not_before_ns - now_ns) / 1e9 if not_before_ns else 0.0


def _no_answer(request: web.Request) -> web.Response:
    """The connection breaks instead of an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def serve(config: SimConfig) -> Server:
    """A running simulator; `await server.stop()` when done. Raises SimConfigError or RecordingError."""
    server = Server(config)
    try:
        await server.start()
    except BaseException:
        await server.stop()
        raise
    return server


def run(config: SimConfig) -> int:
    """The program: prints the ready line, runs until SIGINT, SIGTERM or POST /stop. Returns the exit code."""
    try:
        asyncio.run(_main(config))
    except (SimConfigError, RecordingError) as error:
        print(f"simulator: {error}", file=sys.stderr)
        return EXIT_CONFIG
    return EXIT_OK


async def _main(config: SimConfig) -> None:
    server = await serve(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.request_stop)
    print(json.dumps(server.urls), flush=True)
    try:
        await server.wait()
    finally:
        await server.stop()
