"""The HTTP client on loopback: what was sent, what was not, and the difference."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop
from aiohttp import web

from tradeserver.net.http import HttpClient, HttpLimits, NoAnswerError, NotSentError

SECOND = 1_000_000_000


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def client(**limits: int) -> AsyncIterator[HttpClient]:
    made = HttpClient(HttpLimits(**limits))
    try:
        yield made
    finally:
        await made.close()


async def mirror(request: web.Request) -> web.StreamResponse:
    text = f"{request.method} {request.raw_path} {request.headers.get('X-Key')} {await request.text()}"
    return web.Response(status=418, text=text, headers={"X-MBX-USED-WEIGHT-1M": "7"})


def test_status_headers_and_body_come_back_and_the_url_goes_out_as_given() -> None:
    async def main() -> None:
        async with serving(mirror) as url, client() as http:
            path = "/api/v3/order?symbol=BTCUSDT&signature=a%2Fb%3D&x=%E2%82%AC"
            status, headers, body = await http.request("POST", url + path, {"X-Key": "k"}, b"payload", SECOND)
            assert status == 418
            assert headers["x-mbx-used-weight-1m"] == "7"
            assert body.decode() == f"POST {path} k payload"

    uvloop.run(main())


def test_a_redirect_is_an_answer() -> None:
    async def away(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("http://example.invalid/")

    async def main() -> None:
        async with serving(away) as url, client() as http:
            assert (await http.request("GET", url, {}, b"", SECOND))[0] == 302

    uvloop.run(main())


def test_a_refused_connection_is_not_sent() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        async with client() as http:
            with pytest.raises(NotSentError):
                await http.request("POST", f"http://127.0.0.1:{port}/", {}, b"x", SECOND)

    uvloop.run(main())


def test_after_the_end_nothing_is_sent_and_nothing_breaks() -> None:
    async def main() -> None:
        async with serving(mirror) as url:
            http = HttpClient()
            await http.close()
            with pytest.raises(NotSentError, match="shut down"):
                await http.request("GET", url, {}, b"", SECOND)

    uvloop.run(main())


def test_a_tls_handshake_that_fails_is_not_sent() -> None:
    async def main() -> None:
        async with serving(mirror) as url, client() as http:
            with pytest.raises(NotSentError):
                await http.request("POST", url.replace("http:", "https:"), {}, b"x", SECOND)

    uvloop.run(main())


def test_silence_after_sending_is_no_answer() -> None:
    async def main() -> None:
        async def silent(request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(5)
            return web.Response()

        async with serving(silent) as url, client() as http:
            with pytest.raises(NoAnswerError, match="timed out"):
                await http.request("POST", url, {}, b"x", SECOND // 20)

    uvloop.run(main())


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"no http at all\r\n\r\n"]
)
def test_a_connection_that_dies_after_sending_is_no_answer(reply: bytes) -> None:
    async def main() -> None:
        async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)
            writer.close()

        server = await asyncio.start_server(die, "127.0.0.1", 0)
        async with client() as http:
            with pytest.raises(NoAnswerError):
                await http.request("POST", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"x", SECOND)
        server.close()

    uvloop.run(main())


def test_waiting_for_a_free_connection_too_long_is_not_sent_and_so_is_too_long_a_queue() -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def slow(request: web.Request) -> web.StreamResponse:
            await release.wait()
            return web.Response(text="late")

        async with serving(slow) as url, client(concurrency=1, backlog=1) as http:
            first = asyncio.create_task(http.request("GET", url, {}, b"", 5 * SECOND))
            await asyncio.sleep(0)
            second = asyncio.create_task(http.request("GET", url, {}, b"", SECOND // 20))
            await asyncio.sleep(0)
            with pytest.raises(NotSentError, match="too many"):
                await http.request("GET", url, {}, b"", SECOND)
            with pytest.raises(NotSentError, match="timed out"):
                await second
            release.set()
            assert (await first)[2] == b"late"

    uvloop.run(main())


def test_an_answer_without_end_is_cut_off() -> None:
    async def main() -> None:
        async def endless(request: web.Request) -> web.StreamResponse:
            return web.Response(body=b"x" * 300_000)

        async with serving(endless) as url, client(max_body_bytes=1000) as http:
            with pytest.raises(NoAnswerError, match="larger than 1000"):
                await http.request("GET", url, {}, b"", SECOND)

    uvloop.run(main())
