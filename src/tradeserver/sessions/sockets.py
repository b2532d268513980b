"""The live transport of one venue: a keeper for each channel, a pool for HTTP. It knows sockets and no codec.

A keeper runs one cycle for ever: wait (back-off, connect budget), report `Opening`, wait for the `Connect` that answers
it, connect, report `Opened`, hand frames on until the loss, report `Closed`. `Closed` is reported exactly once per
`Opening`, in the very call that notices the loss. Everything reported goes through the session into the reactor.

    WAITING --due--> OPENING --Connect--> CONNECTING --handshake--> OPEN
       ^________________|______________________|______________________|   lost, reset, timed out: `Closed`
"""

from __future__ import annotations

import asyncio
import enum
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Gt

from tradeserver.net import websocket
from tradeserver.net.backoff import Backoff, BackoffSettings
from tradeserver.net.http import HttpClient, HttpLimits, NoAnswerError, NotSentError
from tradeserver.sessions.base import Closed, HttpAnswer, Opened, Opening, Ponged
from tradeserver.sessions.wire import Listener
from tradeserver.venues.base import NO_ANSWER, NOT_SENT, Connect, HttpRequest

Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]
"""Starts a task that somebody owns: (coroutine, name)."""


@dataclass(frozen=True)
class SocketSettings:
    """Limits of one venue's sockets. Reaching one delays a connect, refuses a request or closes a channel."""

    backoff: BackoffSettings = field(default_factory=BackoffSettings)
    websocket: websocket.WebSocketLimits = field(default_factory=websocket.WebSocketLimits)
    http: HttpLimits = field(default_factory=HttpLimits)
    connects: Annotated[int, Gt(0)] = 20  # per window, over all channels; KuCoin allows 30 a minute
    connects_window_s: Annotated[float, Gt(0)] = 60.0
    opening_s: Annotated[float, Gt(0)] = 15.0  # from `Opening` to its `Connect` (a token may have to be fetched)
    settled_s: Annotated[float, Gt(0)] = 30.0  # a connection that lived this long resets the back-off


class ConnectBudget:
    """At most `connects` in any `window_s`, over all channels of one venue."""

    def __init__(self, connects: int, window_s: float) -> None:
        self._window_s = window_s
        self._times: deque[float] = deque(maxlen=connects)

    def wait_s(self, now: float) -> float:
        """Seconds until one more connect is allowed; 0.0 also books it."""
        if len(self._times) == self._times.maxlen:
            wait = self._times[0] + self._window_s - now
            if wait > 0:
                return wait
        self._times.append(now)
        return 0.0


class Phase(enum.Enum):
    """Where a keeper stands in its cycle."""

    WAITING = "waiting"
    OPENING = "opening"
    CONNECTING = "connecting"
    OPEN = "open"


class Keeper:
    """Keeps one channel open."""

    def __init__(self, channel: str, listener: Listener, transport: SocketTransport) -> None:
        self.channel = channel
        self.phase = Phase.WAITING
        self._listener = listener
        self._transport = transport
        self._socket: websocket.WebSocket | None = None
        self._connect: Connect | None = None
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """The cycle, until cancelled."""
        settings = self._transport.settings
        backoff = Backoff(settings.backoff, self._transport.dice)
        loop = asyncio.get_running_loop()
        try:
            while True:
                while wait := self._transport.budget.wait_s(loop.time()):
                    await asyncio.sleep(wait)
                started = loop.time()
                await self._once(settings)
                if loop.time() - started >= settings.settled_s:
                    backoff.reset()
                await asyncio.sleep(backoff.next_s())
        finally:
            self.hang_up("shut down")

    async def _once(self, settings: SocketSettings) -> None:
        """From one `Opening` to its `Closed`."""
        connect = await self._address(settings)
        if connect is not None:
            await self._talk(connect, settings)

    async def _address(self, settings: SocketSettings) -> Connect | None:
        """Ask where to connect to. None: given up or reset, and `Closed` reported."""
        self._connect = None
        self._enter(Phase.OPENING)
        self._listener.tell(Opening(self.channel))
        try:
            async with asyncio.timeout(settings.opening_s):
                await self._until_past(Phase.OPENING)
        except TimeoutError:
            self.hang_up("no address to connect to in time")
        return self._connect

    async def _talk(self, connect: Connect, settings: SocketSettings) -> None:
        """From the handshake to the loss."""
        try:
            socket = await websocket.connect(
                connect.url,
                connect.headers,
                on_frame=self._listener.frames(self.channel),
                on_open=self._on_open,
                on_close=self._lost,
                on_pong=self._on_pong,
                limits=settings.websocket,
                tls=self._transport.tls,
            )
        except websocket.ConnectError as error:
            self._lost(f"connect failed: {error}")
        else:
            await socket.gone()

    async def _until_past(self, phase: Phase) -> None:
        while self.phase is phase:
            self._changed.clear()
            await self._changed.wait()

    # ---- called by the session, the socket, the transport --------------------------------------------------------

    def on_connect(self, connect: Connect) -> None:
        """The codec's answer to `Opening`; a late one is dropped."""
        if self.phase is Phase.OPENING:
            self._connect = connect
            self._enter(Phase.CONNECTING)

    def send(self, data: bytes) -> bool:
        """False unless handed to the open socket."""
        return self._socket is not None and self._socket.send(data)

    def ping(self, ts: int) -> None:
        """A ping that carries its own stamp."""
        if self._socket is not None:
            self._socket.ping(str(ts).encode())

    def hang_up(self, reason: str) -> None:
        """Close hard, whatever the phase."""
        if self._socket is not None:
            self._socket.close(reason)  # calls `_lost`
        else:
            self._lost(reason)

    def _on_open(self, socket: websocket.WebSocket) -> None:
        if self.phase is not Phase.CONNECTING:  # reset during the handshake
            socket.close("no longer wanted")
            return
        self._socket = socket
        self._enter(Phase.OPEN)
        self._listener.tell(Opened(self.channel))

    def _on_pong(self, payload: bytes) -> None:
        if payload.isdigit():  # else an unsolicited pong (RFC 6455, 5.5.3)
            self._listener.tell(Ponged(self.channel, int(payload)))

    def _lost(self, reason: str) -> None:
        self._socket = None
        self._connect = None
        if self.phase is not Phase.WAITING:
            self._enter(Phase.WAITING)
            self._listener.tell(Closed(self.channel, reason))

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._changed.set()


class SocketTransport:
    """See the module's text. Make it and `close` it inside the running loop."""

    def __init__(
        self,
        settings: SocketSettings,
        spawn: Spawn,
        dice: Callable[[], float],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.settings = settings
        self.dice = dice
        self.tls = tls
        self.budget = ConnectBudget(settings.connects, settings.connects_window_s)
        self.trouble = ""  # why the latest request that failed had no answer, for a person
        self._spawn = spawn
        self._http = HttpClient(settings.http, tls)
        self._keepers: dict[str, Keeper] = {}
        self._keeping: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: Listener | None = None

    def bind(self, listener: Listener) -> None:
        """Whom to tell."""
        self._listener = listener

    def keep_open(self, channel: str) -> None:
        """Start the channel's keeper."""
        assert self._listener is not None, "bind first"
        keeper = self._keepers[channel] = Keeper(channel, self._listener, self)
        self._keeping[channel] = self._own(keeper.run(), f"{self._listener.venue}/{channel}")

    def let_go(self, channel: str) -> None:
        """See `Transport.let_go`."""
        keeper = self._keepers.pop(channel, None)
        if keeper is not None:
            keeper.hang_up("renewed")
            self._keeping.pop(channel).cancel()

    def connect(self, connect: Connect) -> None:
        """See `Transport.connect`."""
        if keeper := self._keepers.get(connect.channel):
            keeper.on_connect(connect)

    def send(self, channel: str, data: bytes) -> bool:
        """See `Transport.send`."""
        keeper = self._keepers.get(channel)
        return keeper is not None and keeper.send(data)

    def reset(self, channel: str, reason: str) -> None:
        """See `Transport.reset`."""
        if keeper := self._keepers.get(channel):
            keeper.hang_up(reason)

    def ping(self, ts: int) -> None:
        """Ping every channel whose name begins with "market"."""
        for channel, keeper in self._keepers.items():
            if channel.startswith("market"):
                keeper.ping(ts)

    def request(self, request: HttpRequest) -> None:
        """See `Transport.request`."""
        self._own(self._exchange(request), request.label)

    def decline(self, request: HttpRequest) -> None:
        """See `Transport.decline`."""
        assert self._listener is not None, "bind first"
        self._listener.tell(HttpAnswer(request.id, NOT_SENT, {}, b"held back by the gateway"))

    async def _exchange(self, request: HttpRequest) -> None:
        assert self._listener is not None, "bind first"
        try:
            status, headers, body = await self._http.request(
                request.method, request.url, request.headers, request.body, request.timeout_ns
            )
        except NotSentError as error:
            status, headers, body = NOT_SENT, {}, str(error).encode()
        except NoAnswerError as error:
            status, headers, body = NO_ANSWER, {}, str(error).encode()
        if status in (NOT_SENT, NO_ANSWER):
            self.trouble = f"{request.label}: {body.decode()}"
        self._listener.tell(HttpAnswer(request.id, status, headers, body))

    def _own(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._spawn(coroutine, name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Hang up everywhere (each open channel reports `Closed`) and end every task."""
        for keeper in self._keepers.values():
            keeper.hang_up("shut down")
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.close()
