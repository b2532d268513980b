"""One venue over REST alone: a codec without channels, for whoever must cancel and look without the daemon.

The codec asks for rules and clock as always, so that it can sign at once when it is needed; its wishes for channels are
not met, and where there is no order link it cancels by REST. Nobody journals this and nothing is decided here: events
go to whoever listens.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence

from tradeserver.core.commands import Command
from tradeserver.core.events import Event
from tradeserver.net.http import HttpClient, HttpLimits, NoAnswerError, NotSentError
from tradeserver.venues.base import NO_ANSWER, NOT_SENT, Codec, HttpRequest

TICK_S = 0.05


class RestVenue:
    """Make it inside the running loop. `listener` may be replaced at any time."""

    def __init__(
        self,
        codec: Codec,
        now: Callable[[], int],
        request_ns: int,
        listener: Callable[[Event], None] = lambda event: None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.venue = codec.venue
        self.listener = listener
        self._codec = codec
        self._now = now
        self._request_ns = request_ns
        self._http = HttpClient(HttpLimits(concurrency=8), tls)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Keep rules and clock fresh, until cancelled."""
        self._tell(self._codec.start(self._now()))
        while True:
            await asyncio.sleep(TICK_S)
            self._tell(self._codec.tick(self._now()))

    def refusal(self, command: Command) -> str:
        """Why this cannot be asked now, or ""."""
        return self._codec.usable(command)

    def perform(self, command: Command) -> None:
        """Ask it; what comes of it is told as events."""
        out = self._codec.encode(command, self._now())
        if isinstance(out, HttpRequest):
            self._send(out)
        self._flush()

    async def close(self) -> None:
        """Drop what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            self.listener(event)
        self._flush()

    def _flush(self) -> None:
        outgoing, self._codec.outgoing[:] = list(self._codec.outgoing), []
        for out in outgoing:
            if isinstance(out, HttpRequest):
                self._send(out)

    def _send(self, request: HttpRequest) -> None:
        task = asyncio.create_task(self._exchange(request), name=request.label)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _exchange(self, request: HttpRequest) -> None:
        try:
            status, headers, body = await self._http.request(
                request.method,
                request.url,
                request.headers,
                request.body,
                min(request.timeout_ns, self._request_ns),
            )
        except NotSentError as error:
            status, headers, body = NOT_SENT, {}, str(error).encode()
        except NoAnswerError as error:
            status, headers, body = NO_ANSWER, {}, str(error).encode()
        self._tell(self._codec.receive_http(request.id, status, headers, body, self._now()))
