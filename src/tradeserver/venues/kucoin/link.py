"""Two small machines that every KuCoin socket needs: the application's own ping, and the life of a bullet channel.

KuCoin docs, "Introduction" of the WebSocket section, 2025-11: a fresh token for each connect (valid 24 h); nothing may
be sent before `welcome`; every subscription is acknowledged under its id; the client sends a JSON ping each
`pingInterval` and hears `pong` under the same id; an `error` frame names a code and, where it has one, the id.

| state    | asked for a token | token   | welcome | ack of the last topic | error, overdue, silence | closed |
|----------|-------------------|---------|---------|-----------------------|-------------------------|--------|
| CLOSED   | TOKEN             | -       | -       | -                     | -                       | CLOSED |
| TOKEN    | TOKEN             | GREETED | -       | -                     | Reset                   | CLOSED |
| GREETED  | TOKEN             | -       | JOINING | -                     | Reset                   | CLOSED |
| JOINING  | TOKEN             | -       | -       | UP: LinkUp            | Reset                   | CLOSED |
| UP       | TOKEN             | -       | -       | -                     | Reset                   | CLOSED |

GREETED means: connecting, the greeting is awaited. After a `Reset` nothing more is said until the session closes.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

import msgspec

from tradeserver.core.events import Event, LinkCurrent, LinkDown, LinkUp, VenueFault
from tradeserver.venues.base import Connect, Outgoing, Reset, WsMessage, channel_of
from tradeserver.venues.kucoin.rest import VENUE
from tradeserver.venues.rotation import Rotation
from tradeserver.wire import kucoin as wire

MS: Final = 1_000_000
HURRY_NS: Final = 1_000_000_000
"""Pings out of turn come no faster than this: the venue allows 100 messages in 10 s."""


class Heartbeat:
    """When to ping, which pong is missing. Ids are numbers as text, new for each ping."""

    def __init__(self) -> None:
        self.interval_ns = 0
        self.timeout_ns = 0
        self._next = 0  # 0: not running
        self._last = 0  # when the last ping was sent, at first when the connection was made
        self._asked = 0  # when the unanswered ping was sent, 0: none
        self._count = 0

    def start(self, ts: int, interval_ms: int, timeout_ms: int) -> None:
        """The connection stands; these are the server's rules."""
        self.interval_ns, self.timeout_ns = max(1_000, interval_ms) * MS, max(1_000, timeout_ms) * MS
        self._next = ts + self.interval_ns
        self._last = ts
        self._asked = 0

    def stop(self) -> None:
        """The connection is gone."""
        self._next = self._asked = 0

    def hurry(self, ts: int) -> None:
        """Somebody doubts that this connection is current: ping soon. A ping under way was sent too early to tell."""
        if self._next:
            self._next = min(self._next, max(ts, self._last + HURRY_NS))

    def due(self, ts: int) -> bool:
        """Whether to ping now."""
        return 0 < self._next <= ts and not self._asked

    def ping(self, ts: int) -> str:
        """The id of a ping that is sent now."""
        self._count += 1
        self._asked = self._last = ts
        self._next = ts + self.interval_ns
        return str(self._count)

    def pong(self, ping_id: object) -> int:
        """When the ping that this answers was sent, 0 where it answers none of ours."""
        if not self._asked or ping_id != str(self._count):
            return 0
        asked, self._asked = self._asked, 0
        return asked

    def overdue(self, ts: int) -> bool:
        """Whether a pong stays out for too long."""
        return self._asked > 0 and ts - self._asked > self.timeout_ns


class State(enum.Enum):
    """Where a bullet channel stands."""

    CLOSED = "closed"
    TOKEN = "token"
    GREETED = "greeted"
    JOINING = "joining"
    UP = "up"


class BulletLink:
    """One bullet WebSocket: token, welcome, subscriptions, pings. `private` as the topics are; `name` is the
    connection's, of which a channel has two while it is renewed."""

    def __init__(
        self,
        name: str,
        private: bool,
        topics: Sequence[str],
        answer_ms: int,
        out: list[Outgoing],
        rotation: Rotation,
    ) -> None:
        self.name = name
        self.channel = channel_of(name)
        self._rotation = rotation
        self.state = State.CLOSED
        self.topics = topics
        self.heard = 0  # our stamp of the last push
        self._private = private
        self._answer_ns = answer_ms * MS
        self._out = out
        self._heartbeat = Heartbeat()
        self._server = wire.InstanceServer(endpoint="")
        self._deadline = 0  # what we wait for must be here by then, 0: we wait for nothing
        self._waiting: set[str] = set()  # ids of subscriptions without acknowledgement
        self._connects = 0
        self._failed = False

    def asked(self, ts: int) -> None:
        """A token is asked for."""
        self.state = State.TOKEN
        self._failed = False
        self._deadline = 0  # the HTTP request has its own

    def token(self, bullet: wire.Bullet, ts: int) -> Sequence[Event]:
        """The token is here: connect. An answer that comes after the channel was closed is ignored."""
        if self.state is not State.TOKEN:
            return ()
        if not bullet.instance_servers:
            return self.fail(ts, "token", "no server to connect to")
        self._server = bullet.instance_servers[0]
        self._connects += 1
        endpoint = self._server.endpoint
        joint = "&" if "?" in endpoint else "?"
        url = f"{endpoint}{joint}token={bullet.token}&connectId={self.name}-{self._connects}"
        self._out.append(Connect(self.name, url, {}))
        self.state = State.GREETED
        return ()

    def no_token(self, ts: int, reason: str) -> Sequence[Event]:
        """The question for a token failed: begin anew."""
        return self.fail(ts, "TOKEN", reason) if self.state is State.TOKEN else ()

    @property
    def up(self) -> bool:
        """Whether every subscription is confirmed."""
        return self.state is State.UP

    def opened(self, ts: int) -> None:
        """The socket stands; the server speaks first."""
        self._deadline = ts + self._answer_ns

    def closed(self, reason: str, ts: int) -> Sequence[Event]:
        """The socket is gone, or never came."""
        self.state = State.CLOSED
        self._deadline = 0
        self._waiting.clear()
        self._heartbeat.stop()
        is_down = self._rotation.down(self.name)
        return (LinkDown(ts=ts, venue=VENUE, channel=self.channel, reason=reason),) if is_down else ()

    def control(self, frame: wire.Frame, ts: int) -> Sequence[Event]:
        """A frame that is no push: `welcome`, `ack`, `pong`, `error`."""
        if frame.type == "welcome":
            self._join(ts)
        elif frame.type == "ack":
            return self._acknowledged(str(frame.id), ts)
        elif frame.type == "pong":
            asked = self._heartbeat.pong(frame.id)
            if asked and self._rotation.speaks(self.channel) == self.name:
                return (LinkCurrent(ts=ts, venue=VENUE, channel=self.channel, asked_ts=asked),)
        elif frame.type == "error":
            text = bytes(frame.data).decode(errors="replace") if isinstance(frame.data, msgspec.Raw) else ""
            return self.fail(ts, f"WS_{frame.code}", text)
        return ()

    def tick(self, ts: int, stalled: bool) -> Sequence[Event]:
        """Ping when it is time; give up on what is overdue."""
        heartbeat = self._heartbeat
        if self._failed:
            return ()
        if self._deadline and ts > self._deadline:
            return self.fail(ts, "OVERDUE", f"{self.state.value}: {len(self._waiting)} acknowledgements missing")
        if heartbeat.overdue(ts):
            return self.fail(ts, "PONG_OVERDUE", "ping not answered")
        if stalled:
            heartbeat.hurry(ts)
        if heartbeat.due(ts):
            self._send(wire.Subscribe(id=heartbeat.ping(ts), type="ping"))
        return ()

    def silent(self, ts: int, longest_ns: int) -> bool:
        """Whether an open channel has had no push for longer than that."""
        return self.state is State.UP and not self._failed and ts - self.heard > longest_ns

    def fail(self, ts: int, code: str, text: str) -> Sequence[Event]:
        """The venue's fault: have the channel opened anew, with a fresh token."""
        if self._failed:
            return ()
        self._failed = True
        self._out.append(Reset(self.name, f"{code} {text}".strip()))
        return (VenueFault(ts=ts, venue=VENUE, channel=self.channel, code=code, text=text),)

    def _join(self, ts: int) -> None:
        """The server has greeted us: subscribe, and ping from now on."""
        if self.state is not State.GREETED:
            return
        self.state = State.JOINING
        self.heard = ts
        self._deadline = ts + self._answer_ns
        self._heartbeat.start(ts, self._server.ping_interval, self._server.ping_timeout)
        for number, topic in enumerate(self.topics):
            request_id = f"s{number}"
            self._waiting.add(request_id)
            self._send(
                wire.Subscribe(
                    id=request_id, type="subscribe", topic=topic, private_channel=self._private, response=True
                )
            )

    def _acknowledged(self, request_id: str, ts: int) -> Sequence[Event]:
        self._waiting.discard(request_id)
        if self._waiting or self.state is not State.JOINING:
            return ()
        self.state = State.UP
        self._deadline = 0
        was_down = self._rotation.up(self.name)
        return (LinkUp(ts=ts, venue=VENUE, channel=self.channel),) if was_down else ()

    def _send(self, frame: wire.Subscribe) -> None:
        self._out.append(WsMessage(self.name, msgspec.json.encode(frame)))
