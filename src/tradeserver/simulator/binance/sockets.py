"""What both of Binance's WebSockets share: the ping rule, the connection's age, and the shutdown notice.

Rules (web-socket-streams.md, web-socket-api.md, 2026-07-21): the server sends a ping frame every 20 s and closes a
connection that has not answered within a minute with a pong of the same payload (pongs nobody asked for do not count);
a connection lives 24 hours.
"""

from __future__ import annotations

from tradeserver.simulator.front import Close, Outgoing, Ping

SECOND_NS = 1_000_000_000
PING_NS = 20 * SECOND_NS
PONG_NS = 60 * SECOND_NS
LIFETIME_NS = 24 * 3600 * SECOND_NS
MOST_WAITING = 8

POLICY_VIOLATION = 1008


class Keepalive:
    """The pings of one connection."""

    def __init__(self, conn: int, ping_ns: int, now_ns: int) -> None:
        self.conn = conn
        self._ping_ns = ping_ns
        self.opened_ns = now_ns
        self._last_ping_ns = now_ns
        self._waiting: dict[bytes, int] = {}
        self.closing = False
        self._leaves_ns = 0  # 0: not before its lifetime is over

    def leave(self, at_ns: int) -> None:
        """The server behind this connection will be gone by then."""
        self._leaves_ns = at_ns

    def pong(self, payload: bytes) -> None:
        """A pong ends the wait of its own ping and of all before it."""
        sent_ns = self._waiting.get(payload)
        if sent_ns is not None:
            self._waiting = {key: at for key, at in self._waiting.items() if at > sent_ns}

    def tick(self, now_ns: int) -> list[Outgoing]:
        """Pings that are due, or the close of a connection that is silent or too old."""
        if self.closing:
            return []
        oldest = next(iter(self._waiting.values()), now_ns)
        if now_ns - oldest >= PONG_NS:
            return [self.close("Pong timeout")]
        if now_ns - self.opened_ns >= LIFETIME_NS:
            return [self.close("Connection lifetime reached")]
        if self._leaves_ns and now_ns >= self._leaves_ns:
            return [self.close("Server shutdown")]
        if now_ns - self._last_ping_ns < self._ping_ns:
            return []
        self._last_ping_ns = now_ns
        payload = str(now_ns // 1_000_000).encode()
        if len(self._waiting) < MOST_WAITING:
            self._waiting[payload] = now_ns
        return [(self.conn, Ping(payload))]

    def close(self, reason: str) -> Outgoing:
        self.closing = True
        return (self.conn, Close(POLICY_VIOLATION, reason))
