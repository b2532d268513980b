"""One venue's HTTP client on aiohttp: a connection pool, a concurrency limit, a deadline for each request.

Its one promise beyond HTTP: a failure says whether bytes may have left. `NotSentError` is proof that none did (no
connection could be had in time); `NoAnswerError` is everything after that. It follows no redirect, keeps no cookie, and
sends the URL exactly as given, because a signature covers it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import aiohttp
from annotated_types import Gt
from yarl import URL


@dataclass(frozen=True)
class HttpLimits:
    """At most `concurrency` requests under way and `backlog` waiting; past that a request is refused as not sent."""

    concurrency: Annotated[int, Gt(0)] = 16
    backlog: Annotated[int, Gt(0)] = 256
    max_body_bytes: Annotated[int, Gt(0)] = 64 * 1024 * 1024


class NotSentError(Exception):
    """No byte of the request left."""


class NoAnswerError(Exception):
    """The request was sent, in part at least, and no whole answer came."""


Answer = tuple[int, dict[str, str], bytes]
"""(status, headers with lower-case names, body)."""


class HttpClient:
    """Make it inside the running loop; `close` it there."""

    def __init__(self, limits: HttpLimits | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._limits = limits or HttpLimits()
        self._under_way = 0
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._limits.concurrency, ssl=tls if tls is not None else True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[trace],
            headers={"User-Agent": "tradeserver"},
        )

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_ns: int) -> Answer:
        """Send one request and read the whole answer. Raises NotSentError or NoAnswerError with one line of reason."""
        if self._session.closed:
            raise NotSentError("shut down")
        if self._under_way >= self._limits.concurrency + self._limits.backlog:
            raise NotSentError("too many requests waiting")
        self._under_way += 1
        progress = {"sent": False}
        try:
            async with asyncio.timeout(timeout_ns / 1e9):
                return await self._exchange(method, url, headers, body, progress)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            reason = _reason(error)
            raise (NoAnswerError if progress["sent"] else NotSentError)(reason) from error
        finally:
            self._under_way -= 1

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, progress: dict[str, bool]
    ) -> Answer:
        async with self._session.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
            trace_request_ctx=progress,
        ) as response:
            parts = []
            size = 0
            async for part in response.content.iter_chunked(1 << 16):
                parts.append(part)
                size += len(part)
                if size > self._limits.max_body_bytes:
                    raise aiohttp.ClientPayloadError(f"answer larger than {self._limits.max_body_bytes} bytes")
            return response.status, {k.lower(): v for k, v in response.headers.items()}, b"".join(parts)

    async def close(self) -> None:
        """Drop every connection; requests under way end with NoAnswerError or NotSentError, later ones are not sent."""
        await self._session.close()


async def _note_sent(session: aiohttp.ClientSession, context: Any, params: Any) -> None:
    """aiohttp calls this with a connection in hand, just before the head is written."""
    context.trace_request_ctx["sent"] = True


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
