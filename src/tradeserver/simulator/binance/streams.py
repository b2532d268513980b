"""Binance's market stream connections: `/ws`, `/ws/<stream>`, `/stream?streams=a/b`, and live subscriptions.

Rules (web-socket-streams.md, 2026-07-21): raw payloads on `/ws`, `{"stream":..,"data":..}` on `/stream` or after
SET_PROPERTY combined; at most 1,024 streams a connection; at most 5 frames a second from the client, pings and pongs
among them, or it is dropped; ids are echoed as they came. Errors are `{"code":0..3,"msg":..}`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tradeserver.simulator.binance import shapes
from tradeserver.simulator.binance.publisher import Make, Published, Publisher
from tradeserver.simulator.binance.sockets import SECOND_NS, Keepalive
from tradeserver.simulator.front import Outgoing
from tradeserver.wire import binance as wire

MOST_STREAMS = 1_024
FRAMES_A_SECOND = 5
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")

_encoder = msgspec.json.Encoder()


class _Refused(Exception):  # noqa: N818 - an answer, not a failure
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class StreamConnection:
    """One client of the market streams."""

    def __init__(self, conn: int, combined: bool, unit: int, ping_ns: int, now_ns: int) -> None:
        self.conn = conn
        self.combined = combined
        self.unit = unit
        self.streams: dict[str, None] = {}
        self.keepalive = Keepalive(conn, ping_ns, now_ns)
        self._second = 0
        self._frames = 0

    def too_fast(self, now_ns: int) -> bool:
        """Count one frame of the client; True when it is the sixth in this second."""
        if now_ns // SECOND_NS != self._second:
            self._second, self._frames = now_ns // SECOND_NS, 0
        self._frames += 1
        return self._frames > FRAMES_A_SECOND


class Streams:
    """All market stream connections."""

    def __init__(self, publisher: Publisher, ping_ns: int) -> None:
        self._ping_ns = ping_ns
        self._publisher = publisher
        self._connections: dict[int, StreamConnection] = {}
        self._readers: dict[str, dict[int, StreamConnection]] = {}

    def __contains__(self, conn: int) -> bool:
        return conn in self._connections

    def connect(self, conn: int, path: str, query: str, now_ns: int) -> bool:
        """Whether the path is one of ours: /ws[/a[/b]], /stream[?streams=a/b]. `timeUnit=MICROSECOND` may be added."""
        values = parse_qs(query)
        if path == "/stream":
            names = [name for text in values.get("streams", []) for name in text.split("/")]
        elif path == "/ws" or path.startswith("/ws/"):
            names = path.removeprefix("/ws").split("/")
        else:
            return False
        micro = values.get("timeUnit", [""])[0].upper() == "MICROSECOND"
        unit = shapes.MICROSECOND_NS if micro else shapes.MILLISECOND_NS
        connection = StreamConnection(conn, path == "/stream", unit, self._ping_ns, now_ns)
        self._connections[conn] = connection
        self._subscribe(connection, [name for name in names if "@" in name])
        return True

    def closed(self, conn: int) -> None:
        connection = self._connections.pop(conn)
        self._unsubscribe(connection, list(connection.streams))

    def reading(self) -> bool:
        """Whether anybody reads any stream."""
        return bool(self._readers)

    # ---- from the client --------------------------------------------------------------------------------------------

    def message(self, conn: int, text: str, now_ns: int) -> list[Outgoing]:
        """{"method":"SUBSCRIBE","params":["xrpusdt@depth@100ms"],"id":1} -> {"result":null,"id":1}"""
        connection = self._connections[conn]
        dropped = self.frame(conn, now_ns)
        if dropped:
            return dropped
        request: Any = None
        try:
            request = _decode(text)
            answer: dict[str, Any] = {"result": self._perform(connection, request), "id": request.get("id")}
        except _Refused as refused:
            answer = {"code": refused.code, "msg": refused.text}
            if isinstance(request, dict) and "id" in request:
                answer["id"] = request["id"]
        return [(conn, _encoder.encode(answer).decode())]

    def frame(self, conn: int, now_ns: int) -> list[Outgoing]:
        """Count any frame of the client; the close, when it sends too many."""
        connection = self._connections[conn]
        if connection.too_fast(now_ns) and not connection.keepalive.closing:
            return [connection.keepalive.close("Too many requests")]
        return []

    def pong(self, conn: int, payload: bytes, now_ns: int) -> list[Outgoing]:
        self._connections[conn].keepalive.pong(payload)
        return self.frame(conn, now_ns)

    def _perform(self, connection: StreamConnection, request: dict[str, Any]) -> Any:
        method, params = request.get("method"), request.get("params", [])
        if method == "LIST_SUBSCRIPTIONS":
            return list(connection.streams)
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(connection, method, params)
        if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
            raise _Refused(2, "Invalid request: params must be an array of strings")
        if method == "SUBSCRIBE":
            if len(connection.streams.keys() | set(params)) > MOST_STREAMS:
                raise _Refused(2, f"Invalid request: too many streams, at most {MOST_STREAMS}")
            self._subscribe(connection, params)
        else:
            self._unsubscribe(connection, params)
        return None

    def _property(self, connection: StreamConnection, method: str, params: Any) -> Any:
        if not isinstance(params, list) or not params or not isinstance(params[0], str):
            raise _Refused(2, "Invalid request: property name must be a string")
        if params[0] != "combined":
            raise _Refused(0, "Unknown property")
        if method == "GET_PROPERTY":
            return connection.combined
        if len(params) != 2 or not isinstance(params[1], bool):
            raise _Refused(1, "Invalid value type: expected Boolean")
        connection.combined = params[1]
        return None

    def _subscribe(self, connection: StreamConnection, names: Iterable[str]) -> None:
        for name in names:
            if name not in connection.streams:
                connection.streams[name] = None
                self._readers.setdefault(name, {})[connection.conn] = connection
                self._publisher.read(name)

    def _unsubscribe(self, connection: StreamConnection, names: Iterable[str]) -> None:
        for name in names:
            if name in connection.streams:
                del connection.streams[name]
                del self._readers[name][connection.conn]
                if not self._readers[name]:
                    del self._readers[name]
                self._publisher.unread(name)

    # ---- to the clients ---------------------------------------------------------------------------------------------

    def publish(self, published: Published) -> list[Outgoing]:
        """One payload to everybody who reads its stream."""
        stream, make = published
        frames: dict[tuple[int, bool], str] = {}
        return [
            (conn, _frame(stream, make, connection, frames))
            for conn, connection in self._readers.get(stream, {}).items()
        ]

    def tick(self, now_ns: int) -> list[Outgoing]:
        return [frame for connection in self._connections.values() for frame in connection.keepalive.tick(now_ns)]

    def shutdown(self, now_ns: int, grace_ns: int) -> list[Outgoing]:
        """{"e":"serverShutdown","E":1770123456789}, on combined connections as stream `!serverShutdown`.

        With a grace, who is told now is cut when it is over; who connects later is at another server.
        """
        if grace_ns:
            for connection in self._connections.values():
                connection.keepalive.leave(now_ns + grace_ns)
        return [
            (conn, _frame("!serverShutdown", _shutdown(now_ns), connection, {}))
            for conn, connection in self._connections.items()
        ]


def _shutdown(now_ns: int) -> Make:
    return lambda unit: _encoder.encode(wire.ServerShutdown(event_time=now_ns // unit)).decode()


def _frame(stream: str, make: Make, connection: StreamConnection, frames: dict[tuple[int, bool], str]) -> str:
    """The frame in this connection's unit and wrapping; each form is made once."""
    form = (connection.unit, connection.combined)
    if form not in frames:
        payload = make(connection.unit)
        frames[form] = f'{{"stream":"{stream}","data":{payload}}}' if connection.combined else payload
    return frames[form]


def _decode(text: str) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise _Refused(3, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(request, dict) or "method" not in request:
        raise _Refused(2, "Invalid request: missing field `method` at line 1 column 1")
    if request["method"] not in METHODS:
        expected = ", ".join(f"`{name}`" for name in METHODS)
        raise _Refused(2, f"Invalid request: unknown variant `{request['method']}`, expected one of {expected}")
    return request
