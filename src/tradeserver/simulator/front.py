"""What a venue's front is: HTTP requests and WebSocket frames in, answers and frames out, at a given simulated time.

A front is sans-I/O and deterministic: it gets `now_ns`, and a seeded `random.Random` at construction. `server.py`
puts it on sockets and applies faults to what comes out. Frames for clients are appended to `outgoing`, in order; the
server empties that list after every call. How fronts get at the market: `exchange.Exchange`.

The server builds `binance.front.BinanceFront(exchange, faults, config, rng)` and `kucoin.front.KucoinFront(...)` with
the same four: `Exchange`, `faults.Faults` (ask `faults.refusal` before placing), `config.VenueConfig`,
`random.Random`. After every `http`, `message` and market step it calls `tick`, so publishing and event taking may
happen there alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec


class HttpIn(msgspec.Struct, frozen=True):
    """One request. `query` is raw (undecoded, without "?"), header names are lower-case, `remote` is the client's
    address.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    remote: str = "127.0.0.1"


class HttpOut(msgspec.Struct, frozen=True):
    """One answer. `channel` is "rest", or "orders" when the request placed or cancelled an order: for faults."""

    status: int
    body: bytes
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    content_type: str = "application/json"
    channel: str = "rest"


class Close(msgspec.Struct, frozen=True):
    """Close this connection."""

    code: int = 1000
    reason: str = ""


class Ping(msgspec.Struct, frozen=True):
    """Send a WebSocket ping frame with this payload."""

    payload: bytes = b""


Outgoing = tuple[int, str | Ping | Close]
"""(connection, text frame or ping or close)."""


class Front(Protocol):
    """One venue as its clients see it. `origin` ("127.0.0.1:40123") is set by the server before the first call.

    `conn` numbers are the server's, never used twice. After `connect` returned True the connection exists until
    `closed` is called, exactly once, whoever closed it (also after the front's own `Close`).
    """

    origin: str
    outgoing: list[Outgoing]

    def http(self, request: HttpIn, now_ns: int) -> HttpOut:
        """Answer one request."""
        ...

    def connect(
        self, conn: int, path: str, query: str, headers: Mapping[str, str], remote: str, now_ns: int
    ) -> bool | HttpOut:
        """True accepts the WebSocket; an `HttpOut` refuses the upgrade with that answer (False: with 404)."""
        ...

    def message(self, conn: int, text: str, now_ns: int) -> None:
        """The client sent a text frame."""
        ...

    def ping(self, conn: int, payload: bytes, now_ns: int) -> None:
        """The client sent a ping frame; the server has answered it."""
        ...

    def pong(self, conn: int, payload: bytes, now_ns: int) -> None:
        """The client sent a pong frame, asked for or not."""
        ...

    def closed(self, conn: int, now_ns: int) -> None:
        """The connection is gone."""
        ...

    def tick(self, now_ns: int) -> None:
        """Time passed (at least each 10 ms), or the exchange did something: take its events, publish what is due."""
        ...

    def throttle(self, until_ns: int, now_ns: int) -> None:
        """Refuse with 429 until then (a fault)."""
        ...

    def ban(self, until_ns: int) -> None:
        """Refuse with 418 until then (a fault); only of a venue that does so."""
        ...

    def shutdown(self, now_ns: int, grace_ns: int = 0) -> None:
        """Tell every client that the server is about to go (a fault), and cut it after the grace, if any; only of a
        venue that does so."""
        ...

    def expire(self, now_ns: int) -> None:
        """End every user stream with the venue's own words (a fault)."""
        ...

    def escalations(self) -> int:
        """How often a client went on after 429 until it was banned."""
        ...

    def channel_of(self, conn: int) -> str:
        """ "market", "user" or "orders": for faults."""
        ...
