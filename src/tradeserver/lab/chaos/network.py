"""The network between traders and one simulated venue: connections and requests with latencies and faults.

`Network` owns every connection to one front and applies the simulator's faults as `simulator/server.py` does. `Wire` is
what one trader sees of it: it stands where `sessions/sockets.py` stands live. Frames stay in order on their connection,
each direction by itself; an HTTP request has a connection of its own.

A trader that is killed hears nothing from then on; what it has sent still arrives, and then the venue sees the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from tradeserver.lab.chaos.timeline import MS, SECOND, Timeline
from tradeserver.net.backoff import Backoff, BackoffSettings
from tradeserver.sessions.base import Closed, HttpAnswer, Input, Opened, Opening, Ponged
from tradeserver.sessions.sockets import ConnectBudget
from tradeserver.sessions.wire import Listener
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.faults import SEND, Reach
from tradeserver.simulator.front import Close, HttpIn, Ping
from tradeserver.simulator.world import World
from tradeserver.venues.base import NO_ANSWER, NOT_SENT, Connect, HttpRequest, channel_of

REMOTE: Final = "127.0.0.1"
OPENING_NS: Final = 15 * SECOND  # from `Opening` to its `Connect`, as `sessions/sockets.py` has it
HANDSHAKE_NS: Final = 10 * SECOND  # as `net/websocket.py` has it
CONNECTS: Final = 20  # a venue in any minute, as `sessions/sockets.py` has it
CONNECTS_WINDOW_S: Final = 60.0
SETTLED_NS: Final = 30 * SECOND  # a connection that lived this long resets the back-off
QUICK: Final = BackoffSettings(first_s=0.2, factor=2.0, cap_s=5.0, jitter=0.5)


class Line:
    """One WebSocket. `sent` and `heard` keep each direction in order."""

    def __init__(self, conn: int, channel: str, wire: Wire) -> None:
        self.conn = conn
        self.channel = channel
        self.wire = wire
        self.alive = True
        self.opened = 0
        self.sent = 0
        self.heard = 0


class Network:
    """Everything between the world and one venue's front."""

    def __init__(self, venue: str, world: World, time: Timeline) -> None:
        self.venue = venue
        self.world = world
        self.time = time
        self.front = world.fronts[venue]
        self.front.origin = f"{venue}.sim"
        self.exchange: Exchange = world.exchanges[venue]
        self.lines: dict[int, Line] = {}
        self.left_ns: list[int] = []  # when each entry of `exchange.placed` left the trader; 0: not from a trader
        self.joined_ns: list[int] = []  # when connections were made
        self._conns = itertools.count(1)

    # ---- the way there -----------------------------------------------------------------------------------------------

    def join(self, line: Line, connect: Connect) -> bool:
        """The handshake at the venue's side; False: refused."""
        url = urlsplit(connect.url)
        headers = {name.lower(): value for name, value in connect.headers.items()}
        line.conn = next(self._conns)
        accepted = self.front.connect(line.conn, url.path or "/", url.query, headers, REMOTE, self._now())
        if accepted is not True:
            return False
        if channel_of(line.channel) in line.wire.dead:
            self.front.closed(line.conn, self._now())
            return False
        self.lines[line.conn] = line
        self.joined_ns.append(self.time.now)
        return True

    def arrive(self, line: Line, text: str, left_ns: int) -> None:
        """A frame of a client."""
        if line.alive and self.world.faults.on_in(self.venue, self.front.channel_of(line.conn), text, self.time.now):
            self.front.message(line.conn, text, self._now())
            self._note_placed(left_ns)
            self.settle()

    def http(self, request: HttpRequest, left_ns: int) -> tuple[int, dict[str, str], bytes, int]:
        """One request at the venue: (status, headers, body, when the answer leaves)."""
        faults, now = self.world.faults, self.time.now
        url = urlsplit(request.url)
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = HttpIn(request.method, url.path, url.query, headers, request.body, REMOTE)
        text = f"{asked.method} {asked.path}?{asked.query} {asked.body.decode(errors='replace')}"
        channel = "orders" if asked.method in ("POST", "DELETE") and "order" in asked.path.lower() else "rest"
        if not faults.on_in(self.venue, channel, text, now):
            return NO_ANSWER, {}, b"connection reset", now
        if instead := faults.answer(self.venue, channel, text, now, "in"):
            return instead.status, {"content-type": "text/html"}, instead.body.encode(), now
        answer = self.front.http(asked, self._now())
        self._note_placed(left_ns)
        body = faults.rewritten(self.venue, answer.channel, answer.body.decode(errors="replace"), now)
        action = faults.on_out(self.venue, answer.channel, text + body, now)
        self.settle()
        if not action.copies:
            return NO_ANSWER, {}, b"connection reset", now
        leaves = max(now, action.not_before_ns)
        if instead := faults.answer(self.venue, answer.channel, text, now, "out"):
            return instead.status, {"content-type": "text/html"}, instead.body.encode(), leaves
        lower = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, lower, body.encode(), leaves

    def _note_placed(self, left_ns: int) -> None:
        missing = len(self.exchange.placed) - len(self.left_ns)
        if missing:
            self.left_ns += [0] * (missing - 1) + [left_ns]

    def _now(self) -> int:
        return self.world.time_at(self.venue, self.time.now)

    # ---- the way back ------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """The front publishes what has happened; it is on its way."""
        now = self._now()
        self.exchange.tick(now)
        self.front.tick(now)
        self.deliver()

    def deliver(self) -> None:
        """Everything that the front wants to send leaves, faults applied."""
        outgoing = self.front.outgoing
        if not outgoing:
            return
        self.front.outgoing = []
        faults, time = self.world.faults, self.time
        for conn, what in outgoing:
            line = self.lines.get(conn)
            if line is None or not line.alive:
                continue
            action = SEND
            if faults.faults:
                channel = self.front.channel_of(conn)
                if isinstance(what, str):
                    what = faults.rewritten(self.venue, channel, what, time.now)
                    action = faults.on_out(self.venue, channel, what, time.now)
                elif faults.reach(self.venue, channel, time.now) is Reach.BLACKHOLE:
                    continue
            for _ in range(action.copies):
                when = max(time.now, action.not_before_ns) + time.latency()
                if not action.overtaken:
                    when = line.heard = max(line.heard, when)
                time.at(when, lambda line=line, what=what: line.wire.hear(line, what))  # type: ignore[misc]

    def pong(self, line: Line, payload: bytes) -> None:
        """A client's pong."""
        if line.alive:
            self.front.pong(line.conn, payload, self._now())

    def cut(self, channel: str) -> None:
        """What a `disconnect` fault does: every connection that the front knows as that channel."""
        for line in list(self.lines.values()):
            if line.alive and channel in ("*", self.front.channel_of(line.conn)):
                line.wire.cut(line.channel, "connection reset")

    def part(self, line: Line) -> None:
        """The venue sees the end of a connection."""
        if line.alive:
            line.alive = False
            if self.lines.pop(line.conn, None) is not None:
                self.front.closed(line.conn, self._now())

    def under_way(self) -> bool:
        """Whether a frame is still to arrive."""
        return any(line.heard > self.time.now for line in self.lines.values())


class Wire:
    """`sessions.wire.Transport` over simulated time. Channels in `dead` cannot be connected."""

    def __init__(
        self,
        network: Network,
        frozen_until: Callable[[], int] = lambda: 0,
        on_sent: Callable[[bytes], None] = lambda data: None,
        on_request: Callable[[str], None] = lambda label: None,
    ) -> None:
        self.network = network
        self.venue = network.venue
        self.requests: list[str] = []  # labels of what was asked for
        self.dead: set[str] = set()
        self._time = network.time
        self._frozen_until = frozen_until
        self._on_sent = on_sent
        self._on_request = on_request
        self._lines: dict[str, Line] = {}
        self._opening: dict[str, int] = {}  # channel -> number of the opening that waits for its Connect
        self._openings = itertools.count(1)
        self._backoffs: dict[str, Backoff] = {}
        self._connects = ConnectBudget(CONNECTS, CONNECTS_WINDOW_S)
        self._listener: Listener | None = None

    # ---- Transport -------------------------------------------------------------------------------------------------

    def bind(self, listener: Listener) -> None:
        """Whom to tell."""
        self._listener = listener

    def keep_open(self, channel: str) -> None:
        """See `Transport.keep_open`."""
        self._backoffs[channel] = Backoff(QUICK, self._time.dice.random)
        self._time.at(self._time.now, lambda: self._begin(channel))

    def let_go(self, channel: str) -> None:
        """See `Transport.let_go`."""
        self._backoffs.pop(channel, None)
        self.reset(channel, "renewed")

    def connect(self, connect: Connect) -> None:
        """See `Transport.connect`."""
        if self._opening.pop(connect.channel, 0):
            line = self._lines[connect.channel] = Line(0, connect.channel, self)
            self._time.at(self._time.now + self._time.latency(), lambda: self._handshake(line, connect))

    def send(self, channel: str, data: bytes) -> bool:
        """See `Transport.send`."""
        line = self._lines.get(channel)
        if line is None or not line.alive or not line.opened:
            return False
        now = self._time.now
        line.sent = max(line.sent, now + self._time.latency())
        self._time.at(line.sent, lambda: self.network.arrive(line, data.decode(), now))
        self._on_sent(data)
        return True

    def request(self, request: HttpRequest) -> None:
        """See `Transport.request`."""
        self.requests.append(request.label)
        now = self._time.now
        reach = self.network.world.faults.reach(self.venue, _channel_of(request), now)
        if reach is Reach.UNREACHABLE:
            self._answer(now + MS, HttpAnswer(request.id, NOT_SENT, {}, b"no such name"))
        elif reach is Reach.BLACKHOLE:
            self._answer(now + request.timeout_ns, HttpAnswer(request.id, NO_ANSWER, {}, b"timed out"))
        else:
            self._time.at(now + self._time.latency(), lambda: self._http(request, now))
            self._on_request(request.label)

    def decline(self, request: HttpRequest) -> None:
        """See `Transport.decline`."""
        self._tell(HttpAnswer(request.id, NOT_SENT, {}, b"held back"))

    def reset(self, channel: str, reason: str) -> None:
        """See `Transport.reset`."""
        pending = self._opening.pop(channel, None)
        line = self._lines.pop(channel, None)
        if line is not None:
            self.network.part(line)
        if line is not None or pending is not None:
            self._lost(channel, reason, line)

    def ping(self, ts: int) -> None:
        """See `Transport.ping`."""
        for channel, line in self._lines.items():
            reach = self.network.world.faults.reach(self.venue, channel_of(channel), self._time.now)
            if channel.startswith("market") and reach is not Reach.BLACKHOLE:
                back = self._time.now + 2 * self._time.latency()
                self._time.at(back, lambda line=line: self._ponged(line, ts))  # type: ignore[misc]

    def _ponged(self, line: Line, ts: int) -> None:
        if line.alive:
            self._tell(Ponged(line.channel, ts))

    # ---- the way there -----------------------------------------------------------------------------------------------

    def _begin(self, channel: str) -> None:
        if self._listener is None or channel not in self._backoffs:
            return
        if wait_s := self._connects.wait_s(self._time.now / SECOND):
            self._time.at(self._time.now + int(wait_s * SECOND) + MS, lambda: self._begin(channel))
            return
        number = self._opening[channel] = next(self._openings)
        self._time.at(self._time.now + OPENING_NS, lambda: self._give_up(channel, number))
        self._tell(Opening(channel))

    def _give_up(self, channel: str, number: int) -> None:
        if self._opening.get(channel) == number:
            del self._opening[channel]
            self._lost(channel, "no address to connect to in time", None)

    def _handshake(self, line: Line, connect: Connect) -> None:
        if self._lines.get(line.channel) is not line:
            return
        reach = self.network.world.faults.reach(self.venue, channel_of(line.channel), self._time.now)
        if reach is Reach.BLACKHOLE:
            self._time.at(self._time.now + HANDSHAKE_NS, lambda: self._fail(line, "timed out"))
        elif reach is Reach.UNREACHABLE:
            self._fail(line, "no such name")
        elif not self.network.join(line, connect):
            self._fail(line, "upgrade refused")
        else:
            line.heard = self._time.now + self._time.latency()
            self._time.at(line.heard, lambda: self._open(line))
            self.network.settle()

    def _fail(self, line: Line, reason: str) -> None:
        if self._lines.get(line.channel) is line:
            del self._lines[line.channel]
            self._lost(line.channel, f"connect failed: {reason}", None)

    def _open(self, line: Line) -> None:
        if line.alive and self._lines.get(line.channel) is line:
            line.opened = self._time.now
            self._tell(Opened(line.channel))

    def _http(self, request: HttpRequest, left_ns: int) -> None:
        status, headers, body, leaves = self.network.http(request, left_ns)
        self._answer(leaves + self._time.latency(), HttpAnswer(request.id, status, headers, body))

    def _answer(self, when: int, answer: HttpAnswer) -> None:
        self._time.at(when, lambda: self._tell(answer))

    # ---- the way back ------------------------------------------------------------------------------------------------

    def hear(self, line: Line, what: str | Ping | Close) -> None:
        """Something arrives from the venue."""
        if not line.alive or self._listener is None:
            return
        thaw = self._frozen_until()
        if thaw > self._time.now:  # it waits in the kernel
            line.heard = max(line.heard, thaw)
            self._time.at(thaw, lambda: self.hear(line, what))
        elif isinstance(what, str):
            self._listener.frames(line.channel)(what.encode())
        elif isinstance(what, Ping):
            payload = what.payload
            self._time.at(self._time.now + self._time.latency(), lambda: self.network.pong(line, payload))
        else:
            self.cut(line.channel, f"closed {what.code} {what.reason}")

    def cut(self, channel: str, reason: str) -> None:
        """The connection breaks, without a goodbye."""
        line = self._lines.pop(channel, None)
        if line is not None:
            self.network.part(line)
            self._lost(channel, reason, line)

    def die(self) -> None:
        """The process is gone. What it has sent arrives; then the kernel ends its connections."""
        self._listener = None
        self._opening.clear()
        for line in self._lines.values():
            if line.conn:
                self._time.at(max(line.sent, self._time.now) + MS, lambda line=line: self.network.part(line))  # type: ignore[misc]
            else:
                line.alive = False
        self._lines.clear()

    def _lost(self, channel: str, reason: str, line: Line | None) -> None:
        self._tell(Closed(channel, reason))
        backoff = self._backoffs.get(channel)
        if self._listener is None or backoff is None:
            return
        if line is not None and line.opened and self._time.now - line.opened >= SETTLED_NS:
            backoff.reset()
        self._time.at(self._time.now + int(backoff.next_s() * SECOND), lambda: self._begin(channel))

    def _tell(self, happened: Input) -> None:
        thaw = self._frozen_until()
        if thaw > self._time.now:
            self._time.at(thaw, lambda: self._tell(happened))
        elif self._listener is not None:
            self._listener.tell(happened)


def _channel_of(request: HttpRequest) -> str:
    return "orders" if request.method in ("POST", "DELETE") and "order" in request.label.lower() else "rest"
