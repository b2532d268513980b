"""One venue over its wire protocol: a codec, and a transport that the codec never sees.

Here bytes become codec calls and codec calls become bytes. All of it runs inside `Reactor.feed`, so that every call is
a journaled input: frames come under one source per channel, everything else (start, opening, opened, closed, HTTP
answers, pongs) under one control source. What the codec leaves in `outgoing` is handed to the transport after every
call, in order. The transport is sockets when live (`sessions/sockets.py`) and nothing at all in a replay
(`NullTransport`); this class cannot tell, and knows no venue's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import msgspec

from tradeserver.core.commands import Command
from tradeserver.core.events import Event, LinkCurrent
from tradeserver.sessions.base import (
    Closed,
    Feeder,
    HttpAnswer,
    Input,
    Opened,
    Opening,
    Ponged,
    Started,
    decode_input,
    encode_input,
)
from tradeserver.venues.base import (
    CloseChannel,
    Codec,
    Connect,
    HttpRequest,
    OpenChannel,
    Outgoing,
    Reset,
    WireError,
    WsMessage,
    channel_of,
)


class Listener(Protocol):
    """What a transport reports, and to whom: the session."""

    venue: str

    def tell(self, happened: Input) -> None:
        """Something other than a frame happened."""
        ...

    def frames(self, channel: str) -> Callable[[bytes], None]:
        """The function that takes this channel's frames."""
        ...


class Transport(Protocol):
    """The world outside. Nothing here raises; what goes wrong comes back as an input."""

    def bind(self, listener: Listener) -> None:
        """Called once, first."""
        ...

    def keep_open(self, channel: str) -> None:
        """From now on: `Opening` at once and, with back-off, after every loss."""
        ...

    def let_go(self, channel: str) -> None:
        """Close it, and open it no more; `Closed` follows if it was opening or open."""
        ...

    def connect(self, connect: Connect) -> None:
        """The answer to an `Opening`. Ignored where that opening is over."""
        ...

    def send(self, channel: str, data: bytes) -> bool:
        """True: handed to the socket. False: no byte was taken."""
        ...

    def request(self, request: HttpRequest) -> None:
        """Make it; one `HttpAnswer` follows."""
        ...

    def decline(self, request: HttpRequest) -> None:
        """It may not be made; one `HttpAnswer` NOT_SENT follows."""
        ...

    def reset(self, channel: str, reason: str) -> None:
        """Close hard; `Closed` follows if the channel was opening or open."""
        ...

    def ping(self, ts: int) -> None:
        """Ping the market channels; `Ponged` follows for each that answers."""
        ...


class NullTransport:
    """Nowhere. In a replay the journal answers instead, whatever was or was not sent."""

    def bind(self, listener: Listener) -> None:
        """Nobody is told anything."""

    def keep_open(self, channel: str) -> None:
        """Not opened."""

    def let_go(self, channel: str) -> None:
        """Not closed."""

    def connect(self, connect: Connect) -> None:
        """Not connected."""

    def send(self, channel: str, data: bytes) -> bool:
        """Not sent, and nobody reads the answer."""
        return True

    def request(self, request: HttpRequest) -> None:
        """Not asked."""

    def decline(self, request: HttpRequest) -> None:
        """Not answered."""

    def reset(self, channel: str, reason: str) -> None:
        """Not closed."""

    def ping(self, ts: int) -> None:
        """Not pinged."""


class ChannelSource:
    """The frames of one channel."""

    def __init__(self, venue: str, channel: str, codec: Codec, flush: Callable[[], bytes]) -> None:
        self.id = -1
        self.name = f"{venue}/{channel}"
        self.flush = flush
        self._channel = channel
        self._receive = codec.receive

    def decode(self, data: bytes, ts: int) -> Sequence[Event]:
        """One text frame."""
        try:
            return self._receive(self._channel, data, ts)
        except WireError as error:
            error.channel = self._channel  # the very connection that is to be opened anew
            raise


class ControlSource:
    """Everything else that happens to one venue."""

    def __init__(self, codec: Codec, flush: Callable[[], bytes]) -> None:
        self.id = -1
        self.name = codec.venue
        self.flush = flush
        self._codec = codec

    def decode(self, data: bytes, ts: int) -> Sequence[Event]:
        """One `Input`, as the codec call that it stands for."""
        codec = self._codec
        happened = decode_input(data)
        match happened:
            case HttpAnswer():
                return codec.receive_http(happened.id, happened.status, happened.headers, happened.body, ts)
            case Opening():
                codec.outgoing.append(codec.open(happened.channel, ts))
                return ()
            case Opened():
                return codec.opened(happened.channel, ts)
            case Closed():
                return codec.closed(happened.channel, happened.reason, ts)
            case Ponged():
                asked = happened.asked_ts
                return (LinkCurrent(ts=ts, venue=codec.venue, channel=channel_of(happened.channel), asked_ts=asked),)
            case Started():
                return codec.start(ts)


class VenueSession:
    """Owns a codec; see the module's text."""

    def __init__(self, codec: Codec, transport: Transport) -> None:
        self.venue = codec.venue
        self._codec = codec
        self._transport = transport
        self._control = ControlSource(codec, self.flush)
        self._channels: dict[str, ChannelSource] = {}
        self._kept: set[str] = set()
        self._feeder: Feeder | None = None
        self.refusal = codec.usable
        self.tick = codec.tick
        self.reset = transport.reset
        self.ping = transport.ping

    def bind(self, feeder: Feeder) -> None:
        """Make the control source known; channels follow as the codec asks for them."""
        self._feeder = feeder
        feeder.add(self._control)
        self._transport.bind(self)

    def start(self) -> None:
        """Begin the conversation. Live only: a replay finds this input in its journal."""
        self.tell(Started())

    # ---- for the transport -------------------------------------------------------------------------------------

    def tell(self, happened: Input) -> None:
        """An input of the control source."""
        assert self._feeder is not None, "bind first"
        self._feeder.feed(self._control, encode_input(happened))

    def frames(self, channel: str) -> Callable[[bytes], None]:
        """The function that takes this channel's frames; nothing stands between it and the reactor."""
        assert self._feeder is not None, "bind first"
        return partial(self._feeder.feed, self._channels[channel])

    # ---- for the reactor ---------------------------------------------------------------------------------------

    def spent(self, ts: int) -> Mapping[str, tuple[int, int]]:
        """See `Session.spent`."""
        return self._codec.spent(ts)

    def perform(self, command: Command, ts: int, send: bool = True) -> tuple[bytes, str]:
        """See `Session.perform`. An HTTP request that is not sent is told as its answer, NOT_SENT."""
        out = self._codec.encode(command, ts)
        refusal, digest = "", b""
        if type(out) is WsMessage:
            digest = out.data
            refusal = self._send(out) if send else "held back"
        elif out is not None:
            digest = _digest_bytes(out)
            if send:
                self._hand_on(out)
            elif type(out) is HttpRequest:
                self._transport.decline(out)
        return (digest + self.flush() if self._codec.outgoing else digest), refusal

    def _send(self, message: WsMessage) -> str:
        """A frame; the answer is a reason where no byte was taken."""
        taken = self._transport.send(message.channel, message.data)
        return "" if taken else f"{message.channel} link took no byte"

    def flush(self) -> bytes:
        """Empty the codec's `outgoing` into the transport."""
        outgoing = self._codec.outgoing
        if not outgoing:
            return b""
        for out in outgoing:
            self._hand_on(out)
        digest = b"".join(map(_digest_bytes, outgoing))
        outgoing.clear()
        return digest

    def _hand_on(self, out: Outgoing) -> None:
        """Do it."""
        match out:
            case WsMessage():
                self._send(out)
            case HttpRequest():
                self._transport.request(out)
            case OpenChannel(channel=channel):
                self._open(channel)
            case CloseChannel(channel=channel):
                self._kept.discard(channel)
                self._transport.let_go(channel)
            case Connect():
                self._transport.connect(out)
            case Reset(channel=channel, reason=reason):
                self._transport.reset(channel, reason)

    def _open(self, channel: str) -> None:
        assert self._feeder is not None, "bind first"
        if channel in self._kept:
            return
        self._kept.add(channel)
        if channel not in self._channels:
            source = ChannelSource(self.venue, channel, self._codec, self.flush)
            self._channels[channel] = source
            self._feeder.add(source)
        self._transport.keep_open(channel)


_encode_out = msgspec.msgpack.Encoder().encode


def _digest_bytes(out: Outgoing) -> bytes:
    """A frame as it is sent; anything else with all that it says."""
    return out.data if type(out) is WsMessage else _encode_out(out)
