"""What a venue's codec is: bytes in, events out; commands in, bytes out. No socket, no clock, no task.

The session that owns a codec (`sessions/wire.py`) knows sockets and no venue's name. It calls the codec from inside
`Reactor.feed` only, so that every call is a journaled input and a replay makes the same calls in the same order. What
the protocol itself needs to say (pings, log-ons, subscriptions, snapshot requests) the codec appends to `outgoing`; the
session empties that list after every call, in order.

Rules: deterministic (no clock, dice, `hash()`-ordered iteration); nothing grows without a limit; malformed bytes raise
`WireError`, which the reactor catches at one line: count, record, close that channel, open it anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from tradeserver.core.commands import Command
from tradeserver.core.events import Event

NO_ANSWER: Final = 0
"""`receive_http` status: bytes were sent and no answer came. The outcome of an order is unknown."""

NOT_SENT: Final = -1
"""`receive_http` status: no byte was sent (no connection could be had). Proven not accepted."""


class Credentials(msgspec.Struct, frozen=True):
    """A key pair. For an Ed25519 key `secret` is the PEM. Never printed."""

    key: str
    secret: str
    passphrase: str = ""

    def __repr__(self) -> str:
        return "Credentials(***)"


class KeyRights(msgspec.Struct, frozen=True):
    """What a key may do. `bound`: only from listed addresses."""

    trade: bool
    withdraw: bool
    bound: bool


class HttpRequest(msgspec.Struct, frozen=True):
    """A request for the session to make. `id` is the codec's own; the answer comes back under it, exactly once."""

    id: int
    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    label: str  # "GET /api/v3/depth": safe to log, without query or secrets
    timeout_ns: int = 10_000_000_000


class OpenChannel(msgspec.Struct, frozen=True):
    """Please keep this channel open from now on: call `open` now and, with back-off, after every loss."""

    channel: str


class CloseChannel(msgspec.Struct, frozen=True):
    """Close this connection for good; `closed` follows if it was opening or open."""

    channel: str


class Connect(msgspec.Struct, frozen=True):
    """Connect this channel's WebSocket to `url`. The session reports `opened` or `closed`."""

    channel: str
    url: str
    headers: dict[str, str]


class WsMessage(msgspec.Struct, frozen=True):
    """One text frame."""

    channel: str
    data: bytes


class Reset(msgspec.Struct, frozen=True):
    """Close this channel hard; it will be opened anew with back-off."""

    channel: str
    reason: str


Outgoing = HttpRequest | OpenChannel | CloseChannel | Connect | WsMessage | Reset


def channel_of(link: str) -> str:
    """The channel of a connection: while it is renewed a channel has two, "market" and "market.b"."""
    return link.partition(".")[0]


class WireError(Exception):
    """Bytes that the venue should not have sent. The venue's fault: recovered from, counted, recorded."""

    def __init__(self, venue: str, channel: str, reason: str, data: bytes) -> None:
        super().__init__(f"{venue} {channel}: {reason}: {data[:200]!r}")
        self.venue = venue
        self.channel = channel
        self.reason = reason
        self.data = data


class Codec(Protocol):
    """One venue's protocol. See `venues/binance/codec.py` for the pattern.

    Life of a channel: the codec asks for it (`OpenChannel`); the session feeds `open`, which answers `Connect`, or an
    `HttpRequest` whose answer makes the codec append the `Connect` (KuCoin's token); the handshake done, `opened`, in
    which the codec appends log-on and subscriptions; `LinkUp` is emitted when all of them are confirmed; frames through
    `receive`; at the end `closed`, exactly once per `open` (also when the connect failed), which emits `LinkDown` if it
    was up, and `BookInvalid` for every book that it fed. While a channel is renewed it has two connections, each with
    a name and such a life of its own (`venues/rotation.py`); events speak of the channel.
    """

    venue: str
    outgoing: list[Outgoing]

    def start(self, ts: int) -> Sequence[Event]:
        """The first call: ask for rules, fees, server time; ask for channels once the rules are known."""
        ...

    def open(self, channel: str, ts: int) -> HttpRequest | Connect:
        """How to connect `channel` now. Tokens and signed URLs are fresh each time."""
        ...

    def opened(self, channel: str, ts: int) -> Sequence[Event]: ...

    def closed(self, channel: str, reason: str, ts: int) -> Sequence[Event]: ...

    def receive(self, channel: str, data: bytes, ts: int) -> Sequence[Event]:
        """One text frame. Raises WireError."""
        ...

    def receive_http(
        self, request_id: int, status: int, headers: Mapping[str, str], body: bytes, ts: int
    ) -> Sequence[Event]:
        """The answer to `HttpRequest.id`: an HTTP status, or NO_ANSWER / NOT_SENT with the reason in `body`.

        Header names are lower-case. Never raises for what the venue sent: HTML, bad JSON and 5xx become events
        (`QueryFailed`, `OrderUncertain`, `VenueFault`).
        """
        ...

    def tick(self, ts: int) -> Sequence[Event]:
        """Time passed (each 10 ms): application pings, overdue acknowledgements, clock samples, silent streams."""
        ...

    def usable(self, command: Command) -> str:
        """Why this command cannot be sent now ("orders link down", "rate budget"), or ""."""
        ...

    def spent(self, ts: int) -> Mapping[str, tuple[int, int]]:
        """The venue's rate limits: scope -> (spent, limit). Changes nothing."""
        ...

    def encode(self, command: Command, ts: int) -> WsMessage | HttpRequest | None:
        """The command's bytes, signed with `ts`. None only for what this venue does not have (ArmDeadMan)."""
        ...
