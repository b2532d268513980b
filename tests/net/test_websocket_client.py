"""The WebSocket client on loopback: against an independent server (aiohttp), and raw bytes where that is too polite."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket as socketlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop
from aiohttp import WSMsgType, web

from tradeserver.net.websocket import ConnectError, WebSocket, WebSocketLimits, connect


class Client:
    """Collects what the connection reports, in order."""

    def __init__(self) -> None:
        self.log: list[tuple[str, object]] = []
        self.changed = asyncio.Event()
        self.socket: WebSocket | None = None

    def _note(self, what: str, value: object) -> None:
        self.log.append((what, value))
        self.changed.set()

    async def connect(self, url: str, headers: dict[str, str] | None = None, **limits: float) -> WebSocket:
        self.socket = await connect(
            url,
            headers or {},
            on_frame=lambda data: self._note("frame", data),
            on_open=lambda socket: self._note("open", socket),
            on_close=lambda reason: self._note("close", reason),
            on_pong=lambda payload: self._note("pong", payload),
            limits=WebSocketLimits(**limits),
        )
        return self.socket

    async def until(self, what: str, count: int = 1) -> list[object]:
        async with asyncio.timeout(10):
            while len(found := [v for w, v in self.log if w == what]) < count:
                self.changed.clear()
                await self.changed.wait()
        return found


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def echo(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str(f"key {request.headers.get('X-Key')}")
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            if message.data == "bye":
                await socket.close(code=1001, message=b"maintenance")
            else:
                await socket.send_str(message.data)
    return socket


def frame(kind: int, payload: bytes, fin: bool = True) -> bytes:
    """RFC 6455, 5.2, from server to client: not masked."""
    head = bytes([(0x80 if fin else 0) | kind])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    return head + bytes([126]) + struct.pack(">H", len(payload)) + payload


@asynccontextmanager
async def raw_server(data: bytes, replies: list[bytes]) -> AsyncIterator[str]:
    """Shakes hands, sends these bytes at once, keeps what comes back."""

    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        key = next(line.split(": ")[1] for line in lines if line.lower().startswith("sec-websocket-key"))
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        accept = base64.b64encode(digest).decode()
        writer.write(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            + data
        )
        while part := await reader.read(4096):
            replies.append(part)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


def test_a_conversation() -> None:
    async def main() -> None:
        async with serving(echo) as url:
            client = Client()
            socket = await client.connect(url, {"X-Key": "k1"})
            assert socket.send(b"one")
            assert socket.send("zwei: ü".encode())
            frames = await client.until("frame", 3)
            assert frames == [b"key k1", b"one", "zwei: ü".encode()]
            assert client.log[0] == ("open", socket), "open comes before the first frame"
            assert socket.ping(b"1234567890")
            assert await client.until("pong") == [b"1234567890"]
            socket.send(b"bye")
            assert await client.until("close") == ["closed by the peer: 1001 maintenance"]
            assert not socket.send(b"late")
            assert not socket.ping(b"late")

    uvloop.run(main())


def test_hanging_up_reports_once_and_takes_nothing_more() -> None:
    async def main() -> None:
        async with serving(echo) as url:
            client = Client()
            socket = await client.connect(url)
            await client.until("frame")
            socket.send(b"unread")
            socket.close("enough")
            assert client.log[-1] == ("close", "enough")
            assert not socket.send(b"x")
            await asyncio.sleep(0.02)  # whatever picows still has to say
            assert [w for w, _ in client.log] == ["open", "frame", "close"]

    uvloop.run(main())


def test_fragments_are_joined_around_control_frames_and_pings_are_answered() -> None:
    async def main() -> None:
        replies: list[bytes] = []
        data = (
            frame(1, b"one ", fin=False)
            + frame(9, b"server ping")
            + frame(0, b"two ", fin=False)
            + frame(0, b"three")
            + frame(1, b"whole")
        )
        async with raw_server(data, replies) as url:
            client = Client()
            socket = await client.connect(url)
            assert await client.until("frame", 2) == [b"one two three", b"whole"]
            async with asyncio.timeout(5):
                while not replies:
                    await asyncio.sleep(0.001)
            reply = b"".join(replies)
            assert reply[0] == 0x8A, "a pong"
            mask = reply[2:6]
            assert bytes(b ^ mask[i % 4] for i, b in enumerate(reply[6:])) == b"server ping"
            socket.close("done")

    uvloop.run(main())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(1, b"x" * 60, fin=False) + frame(0, b"y" * 60), "message larger than 100 bytes"),
        (frame(0, b"continues nothing"), "a fragment out of place"),
        (frame(1, b"begins", fin=False) + frame(1, b"begins again"), "a fragment out of place"),
        (frame(1, b"x" * 101), "connection lost"),
    ],
)
def test_what_breaks_the_rules_closes_the_connection(data: bytes, reason: str) -> None:
    async def main() -> None:
        async with raw_server(data + frame(1, b"after"), []) as url:
            client = Client()
            await client.connect(url, max_message_bytes=100)
            (found,) = await client.until("close")
            await client.socket.gone()
            assert reason in str(found)
            assert not [v for w, v in client.log if w == "frame"], "nothing is handed on"

    uvloop.run(main())


def test_frames_behind_a_hang_up_in_the_same_read_are_dropped() -> None:
    async def main() -> None:
        async with raw_server(frame(1, b"1") + frame(1, b"2") + frame(1, b"3"), []) as url:
            seen: list[bytes] = []
            sockets: list[WebSocket] = []

            def on_frame(data: bytes) -> None:
                seen.append(data)
                sockets[0].close("malformed")

            closed: list[str] = []
            await connect(url, {}, on_frame=on_frame, on_open=sockets.append, on_close=closed.append)
            async with asyncio.timeout(5):
                while not closed:
                    await asyncio.sleep(0.001)
            assert seen == [b"1"]
            assert closed == ["malformed"]

    uvloop.run(main())


def test_a_full_buffer_takes_no_byte() -> None:
    async def main() -> None:
        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            key = next(
                x.split(": ")[1] for x in head.decode().split("\r\n") if x.lower().startswith("sec-websocket-key")
            )
            digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
            )
            await stop.wait()
            writer.transport.abort()

        stop = asyncio.Event()
        server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1 << 10)
        client = Client()
        socket = await client.connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        sent = 0
        while socket.send(b"x" * 65536):
            sent += 1
            assert sent < 1000
        assert not socket.send(b"y"), "and so it stays while nobody reads"
        stop.set()
        await client.until("close")
        server.close()

    uvloop.run(main())


def test_no_connection_could_be_had() -> None:
    async def main() -> None:
        client = Client()
        with pytest.raises(ConnectError):
            await client.connect("ws://127.0.0.1:1/")

        async def html(request: web.Request) -> web.StreamResponse:
            return web.Response(text="<html>", content_type="text/html")

        async with serving(html) as url:
            with pytest.raises(ConnectError):
                await client.connect(url)
        with socketlib.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ConnectError):  # never accepts
            await client.connect(f"ws://127.0.0.1:{silent.getsockname()[1]}/", handshake_s=0.05)
        assert client.log == []

    uvloop.run(main())
