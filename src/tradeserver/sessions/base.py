"""What the reactor knows of the world: sources that turn bytes into events, sessions that perform commands.

A *source* is a name under which inputs arrive and are journaled; everything it needs to decode is in the bytes, so
that a replay can feed them again. A *session* is one venue as the engine's commands see it: `sessions/wire.py` talks to
the venue itself, `sessions/paper.py` pretends. The control inputs of a venue (`Input`) are what sockets cause besides
frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from tradeserver.core.commands import Command
from tradeserver.core.events import Event


class Source(Protocol):
    """Where inputs come from. `id` is given by `Reactor.add`; the journal files inputs under it."""

    id: int
    name: str  # unique in the process and the same in every run: "binance", "binance/market", "tick", "shell"

    def decode(self, data: bytes, ts: int) -> Sequence[Event]:
        """The events in one input. Raises WireError for bytes that a venue should not have sent."""
        ...

    def flush(self) -> bytes:
        """Hand on what the protocol itself wants to say, after the input's events; returns it for the digest."""
        ...


class Feeder(Protocol):
    """The reactor, as sessions see it."""

    def add(self, source: Source) -> None:
        """Make a source known. Names must be new."""
        ...

    def feed(self, source: Source, data: bytes) -> None:
        """One input. Called from within another input's processing, it waits its turn."""
        ...


class Session(Protocol):
    """One venue, as commands see it. All but `bind`, `start` and `ping` are called from inside `Reactor.feed`."""

    venue: str

    def bind(self, feeder: Feeder) -> None:
        """Called once, before anything else: make the sources known."""
        ...

    def start(self) -> None:
        """Begin the conversation. Not called in a replay, which finds that input in its journal."""
        ...

    def refusal(self, command: Command) -> str:
        """Why this command cannot be sent now (link, rate budget), or "". Changes nothing."""
        ...

    def perform(self, command: Command, ts: int, send: bool = True) -> tuple[bytes, str]:
        """Encode always (a replay makes the same calls), send if told to.

        Returns the outgoing bytes, for the digest, and "" or, where the transport took no byte, the reason.
        """
        ...

    def spent(self, ts: int) -> Mapping[str, tuple[int, int]]:
        """The venue's rate limits: scope -> (spent, limit). Changes nothing."""
        ...

    def tick(self, ts: int) -> Sequence[Event]:
        """Time passed."""
        ...

    def flush(self) -> bytes:
        """After `tick`: hand on what the protocol itself wants to say; returns it for the digest."""
        ...

    def reset(self, channel: str, reason: str) -> None:
        """The channel sent bytes that it should not have: hang up; it will be opened anew."""
        ...

    def ping(self, ts: int) -> None:
        """The loop was late: prove the market channels current. The answers come as inputs. May be called any time."""
        ...


# ---- control inputs of a venue ----------------------------------------------------------------------------------


class Started(msgspec.Struct, frozen=True, tag=True):
    """The first input of a venue: `codec.start`."""


class Opening(msgspec.Struct, frozen=True, tag=True):
    """It is time to connect this channel: `codec.open`."""

    channel: str


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The channel's handshake is done: `codec.opened`."""

    channel: str


class Closed(msgspec.Struct, frozen=True, tag=True):
    """The channel is lost or could not be connected: `codec.closed`, exactly once per `Opening`."""

    channel: str
    reason: str


class HttpAnswer(msgspec.Struct, frozen=True, tag=True):
    """The answer to `HttpRequest.id`; `status` is HTTP's, NO_ANSWER or NOT_SENT (then `body` is the reason)."""

    id: int
    status: int
    headers: dict[str, str]
    body: bytes


class Ponged(msgspec.Struct, frozen=True, tag=True):
    """A ping sent at `asked_ts` was answered on this channel."""

    channel: str
    asked_ts: int


Input = Started | Opening | Opened | Closed | HttpAnswer | Ponged

encode_input = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Input] = msgspec.msgpack.Decoder(Input)
decode_input = _decoder.decode
