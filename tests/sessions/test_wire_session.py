"""A venue's session over real sockets on loopback: connect, talk, lose, reconnect; HTTP; shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from aiohttp import WSMsgType, web

from shell_kit import EchoCodec, ScriptEngine
from tradeserver.core.events import Event, LinkCurrent, LinkDown, LinkUp, OrderAccepted, VenueFault
from tradeserver.net.backoff import BackoffSettings
from tradeserver.net.websocket import WebSocketLimits
from tradeserver.runtime.journal import INPUT, MemoryJournal
from tradeserver.runtime.latch import MemoryLatch
from tradeserver.runtime.reactor import Reactor
from tradeserver.runtime.wal import MemoryWal
from tradeserver.sessions.base import Closed, HttpAnswer, decode_input
from tradeserver.sessions.sockets import ConnectBudget, SocketSettings, SocketTransport
from tradeserver.sessions.wire import VenueSession

FAST = SocketSettings(backoff=BackoffSettings(first_s=0.001, cap_s=0.004), connects=1000, opening_s=0.2)


class Venue:
    """An exchange on aiohttp: says "up", answers orders with "ack", gives tokens, and can be told to misbehave."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.headers: list[str] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.token_status = 200
        self.url = ""

    async def stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.headers.append(request.headers.get("X-Opened", ""))
        self.sockets.append(socket)
        await socket.send_str("up")
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.heard.append(message.data)
                word, *rest = message.data.split()
                if word == "SubmitOrder":
                    await socket.send_str(f"ack {rest[0]}")
        return socket

    async def token(self, request: web.Request) -> web.StreamResponse:
        self.heard.append(f"token {request.headers['X-Key']}")
        if self.token_status == 0:
            request.transport.abort()
        return web.Response(status=self.token_status or 200, text=self.url)


@asynccontextmanager
async def venue() -> AsyncIterator[Venue]:
    served = Venue()
    app = web.Application()
    app.router.add_get("/stream", served.stream)
    app.router.add_post("/token", served.token)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/stream"
    try:
        yield served
    finally:
        await runner.cleanup()


class Desk:
    """The trading side: engine, reactor, session, sockets."""

    def __init__(self, codec: EchoCodec, settings: SocketSettings = FAST) -> None:
        self.codec = codec
        self.time = 0
        self.engine = ScriptEngine()
        self.journal = MemoryJournal()
        self.latch = MemoryLatch()
        self.tasks: set[asyncio.Task[None]] = set()
        self.transport = SocketTransport(settings, self.spawn, lambda: 0.5)
        self.session = VenueSession(codec, self.transport)
        self.reactor = Reactor(self.engine, [self.session], MemoryWal(), self.journal, self.now, self.latch)

    def now(self) -> int:
        self.time += 1
        return self.time

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def until(self, kind: type[Event], count: int = 1) -> list[Any]:
        async with asyncio.timeout(10):
            while len(found := self.engine.seen(kind)) < count:
                await asyncio.sleep(0.001)
        return found

    def signal(self, text: str) -> None:
        self.reactor.feed(self.reactor.sources["x/market"], b"signal " + text.encode())

    def control(self, kind: type) -> list[Any]:
        number = self.reactor.sources["x"].id
        inputs = [decode_input(e.data) for e in self.journal.entries if e.kind == INPUT and e.source == number]
        return [happened for happened in inputs if isinstance(happened, kind)]


def run(scene: Callable[[Venue, Callable[..., Desk]], Awaitable[None]]) -> None:
    """The scene between a venue and any number of desks; all of it is closed afterwards, and no task is left."""

    async def main() -> None:
        desks: list[Desk] = []

        def desk(codec: EchoCodec, settings: SocketSettings = FAST) -> Desk:
            desks.append(Desk(codec, settings))
            return desks[-1]

        async with venue() as served:
            try:
                await scene(served, desk)
            finally:
                for each in desks:
                    await each.transport.close()
            assert not any(each.tasks for each in desks)

    uvloop.run(main())


def test_connect_send_and_hear() -> None:
    async def scene(served: Venue, desk: Callable[..., Desk]) -> None:
        d = desk(EchoCodec("x", served.url))
        d.session.start()
        await d.until(LinkUp)
        d.signal("open:x/a1")
        (ack,) = await d.until(OrderAccepted)
        assert ack.client_id == "a1"
        assert [text.split()[:2] for text in served.heard] == [["hello"], ["SubmitOrder", "a1"]]
        assert d.codec.calls == ["start", "open market", "opened market"]

    run(scene)


def test_a_lost_connection_is_reported_once_and_opened_anew() -> None:
    async def scene(served: Venue, desk: Callable[..., Desk]) -> None:
        d = desk(EchoCodec("x", served.url))
        d.session.start()
        for round_ in (1, 2, 3):
            await d.until(LinkUp, round_)
            await served.sockets[-1].close(code=1012)
            await d.until(LinkDown, round_)
        await d.until(LinkUp, 4)
        assert d.codec.calls == ["start", *["open market", "opened market", "closed market"] * 3, "open market",
                                 "opened market"]  # fmt: skip
        assert len(set(served.headers)) == 4, "`open` was asked at every connect"
        assert "1012" in d.engine.seen(LinkDown)[0].reason

    run(scene)


def test_an_abrupt_loss_refuses_sends_from_that_moment() -> None:
    async def scene(served: Venue, desk: Callable[..., Desk]) -> None:
        d = desk(EchoCodec("x", served.url))
        d.session.start()
        await d.until(LinkUp)
        served.sockets[-1]._req.transport.abort()
        await d.until(LinkDown)
        assert not d.transport.send("market", b"x")
        await d.until(LinkUp, 2)
        assert d.transport.send("market", b"x")

    run(scene)


def test_malformed_bytes_close_the_channel_and_it_comes_back() -> None:
    async def scene(served: Venue, desk: Callable[..., Desk]) -> None:
        d = desk(EchoCodec("x", served.url))
        d.session.start()
        await d.until(LinkUp)
        await served.sockets[-1].send_str("nonsense")
        await d.until(LinkUp, 2)
        assert [type(e).__name__ for e in d.engine.events] == ["LinkUp", "VenueFault", "LinkDown", "LinkUp"]
        assert d.control(Closed) == [Closed("market", "unknown word")]

    run(scene)


def test_a_message_too_large_closes_the_channel_and_it_comes_back() -> None:
    async def scene(served: Venue, desk: Callable[..., Desk]) -> None:
        settings = SocketSettings(FAST.backoff, WebSocketLimits(max_message_bytes=1000), connects=1000)
        d = desk(EchoCodec("x", served.url), settings)
        d.session.start()
        await d.until(LinkUp)
        await served.sockets[-1].send_str("up " + "x" * 2000)
        await d.until(LinkUp, 2)
        assert len(d.engine.seen(LinkDown)) == 1

    run(scene)


def test_nobody_listens_then_somebody_does() -> None:
    async def scene(served: Venue, desk: Callable[..., Desk]) -> None:
        d = desk(EchoCodec("x", "ws://127.0.0.1:1/"))
        d.session.start()
        await d.until(LinkDown, 3)
        assert "connect failed" in d.engine.seen(LinkDown)[0].reason
        d.codec._url = served.url
        await d.until(LinkUp)
        assert "opened market" in d.codec.calls

    run(scene)


def test_a_token_is_fetched_at_every_connect() -> None:
    async def scene(served: Venue, desk: Callable[..., Desk]) -> None:
        d = desk(EchoCodec("x", token_url=served.url.replace("ws:", "http:").replace("stream", "token")))
        d.session.start()
        await d.until(LinkUp)
        await served.sockets[-1].close()
        await d.until(LinkUp, 2)
        assert served.heard.count("token k") == 2
        assert [(a.status, a.body.decode()) for a in d.control(HttpAnswer)] == [(200, served.url)] * 2
        assert d.control(HttpAnswer)[0].headers["content-type"].startswith("text/plain")

    run(scene)


@pytest.mark.parametrize(("status", "reported"), [(503, "503"), (0, "0")])
def test_no_token_no_connection_but_one_closed_and_another_try(status: int, reported: str) -> None:
    async def scene(served: Venue, desk: Callable[..., Desk]) -> None:
        served.token_status = status
        settings = SocketSettings(FAST.backoff, connects=1000, opening_s=0.02)
        d = desk(EchoCodec("x", token_url=served.url.replace("ws:", "http:").replace("stream", "token")), settings)
        d.session.start()
        (fault, *_) = await d.until(VenueFault)
        assert fault.code == reported
        await d.until(LinkDown)
        assert d.engine.seen(LinkDown)[0].reason == "no address to connect to in time"
        served.token_status = 200
        await d.until(LinkUp)
        opened = d.codec.calls.count("open market")
        assert d.codec.calls.count("closed market") == opened - 1

    run(scene)


def test_a_request_that_cannot_leave_is_answered_not_sent() -> None:
    async def scene(served: Venue, desk: Callable[..., Desk]) -> None:
        d = desk(EchoCodec("x", token_url="http://127.0.0.1:1/token"))
        d.session.start()
        (fault, *_) = await d.until(VenueFault)
        assert fault.code == "-1"

    run(scene)


def test_a_ping_sent_after_a_stall_proves_the_channel_current() -> None:
    async def scene(served: Venue, desk: Callable[..., Desk]) -> None:
        d = desk(EchoCodec("x", served.url))
        d.session.start()
        await d.until(LinkUp)
        d.session.ping(123_456)
        (current,) = await d.until(LinkCurrent)
        assert (current.venue, current.channel, current.asked_ts) == ("x", "market", 123_456)

    run(scene)


def test_shutting_down_reports_each_open_channel_once() -> None:
    async def scene(served: Venue, desk: Callable[..., Desk]) -> None:
        d = desk(EchoCodec("x", served.url))
        d.session.start()
        await d.until(LinkUp)
        await d.transport.close()
        assert d.control(Closed) == [Closed("market", "shut down")]
        assert not d.tasks
        await d.transport.close()  # twice is harmless

    run(scene)


def test_the_connect_budget_is_a_sliding_window() -> None:
    budget = ConnectBudget(2, 10.0)
    assert [budget.wait_s(t) for t in (0.0, 1.0)] == [0.0, 0.0]
    assert budget.wait_s(4.0) == 6.0
    assert budget.wait_s(9.0) == 1.0
    assert budget.wait_s(10.0) == 0.0
    assert budget.wait_s(10.5) == 0.5
