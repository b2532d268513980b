"""A WebSocket client on picows: each whole message calls straight into `on_frame(data)`, in the same call stack.

It owns one connection from handshake to loss: reassembly of fragments, pongs for the server's pings (picows), our own
pings, size limits, the hard close. It does not reconnect, and it knows nothing of venues. Rules:

* `on_open` is called before the first frame, `on_close` exactly once after it, `on_frame` never after `on_close`.
* `send` answers False only when no byte was taken: then the order is proven not sent. Anything else may have left.
* Nothing here is a queue: a message is handed on while picows still holds the read buffer, so `data` is a copy.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect


@dataclass(frozen=True)
class WebSocketLimits:
    """A larger message closes the connection; a slower handshake (name, TCP, TLS, upgrade) fails."""

    max_message_bytes: Annotated[int, Gt(0)] = 16 * 1024 * 1024
    handshake_s: Annotated[float, Gt(0)] = 10.0


class ConnectError(Exception):
    """No connection could be had: name, network, TLS or handshake. One line says why."""


class WebSocket(WSListener):
    """One connection. Made by `connect`."""

    def __init__(
        self,
        on_frame: Callable[[bytes], object],
        on_open: Callable[[WebSocket], object],
        on_close: Callable[[str], object],
        on_pong: Callable[[bytes], object],
        limits: WebSocketLimits,
    ) -> None:
        self._on_frame = on_frame
        self._on_open = on_open
        self._on_close = on_close
        self._on_pong = on_pong
        self._limit = limits.max_message_bytes
        self._transport: WSTransport | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._congested = False
        self._over = False
        self.opened = False

    # ---- what we do --------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        """Send one text message. False: the transport took no byte (closed, closing, or its buffer is full)."""
        transport = self._transport
        if (
            transport is None
            or self._over
            or self._congested
            or transport.is_disconnected
            or transport.is_close_frame_sent
            or transport.underlying_transport.is_closing()
        ):
            return False
        transport.send(WSMsgType.TEXT, data)
        return True

    def ping(self, payload: bytes) -> bool:
        """Send a ping frame (payload at most 125 bytes); its answer comes to `on_pong` with the same payload."""
        if self._transport is None or self._over or self._transport.is_disconnected:
            return False
        self._transport.send_ping(payload)
        return True

    def close(self, reason: str) -> None:
        """Hang up at once: no close handshake, nothing more is received. `on_close` is called before this returns."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)
        self._end(reason)

    async def gone(self) -> None:
        """Wait until nothing is left of the connection. Await it for every connection: picows keeps its errors here."""
        if self._transport is not None:
            try:
                await self._transport.wait_disconnected()
            except Exception:  # `on_close` has told already; a callback's own error ended the run
                pass

    def _end(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._parts.clear()
        if self.opened:
            self._on_close(reason)

    # ---- what picows calls -------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport
        if self._over:  # closed while the handshake was under way
            transport.disconnect(graceful=False)
            return
        self.opened = True
        self._on_open(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One frame; `frame` is valid during this call only."""
        if self._over:
            return
        kind = frame.msg_type
        if (kind is WSMsgType.TEXT or kind is WSMsgType.BINARY) and frame.fin and not self._parts:
            self._on_frame(frame.get_payload_as_bytes())
        elif kind is WSMsgType.PONG:
            self._on_pong(frame.get_payload_as_bytes())
        elif kind is WSMsgType.CLOSE:
            self.close(f"closed by the peer: {_close_text(frame)}")
        else:
            self._fragment(kind, frame)

    def _fragment(self, kind: WSMsgType, frame: WSFrame) -> None:
        """A part of a message; control frames may stand between parts (RFC 6455, 5.4)."""
        if (kind is WSMsgType.CONTINUATION) is not bool(self._parts):
            self.close("protocol error: a fragment out of place")
            return
        self._parts.append(frame.get_payload_as_bytes())
        self._size += frame.payload_size
        if self._size > self._limit:
            self.close(f"message larger than {self._limit} bytes")
        elif frame.fin:
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._on_frame(data)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The TCP connection is gone."""
        self._end("connection lost")

    def pause_writing(self) -> None:
        """The transport's buffer is above its high-water mark: take nothing more."""
        self._congested = True

    def resume_writing(self) -> None:
        """The buffer has drained."""
        self._congested = False


def _close_text(frame: WSFrame) -> str:
    code = frame.get_close_code()
    message = frame.get_close_message() or b""
    return f"{getattr(code, 'value', code)} {message.decode('utf-8', 'replace')}".strip()


async def connect(
    url: str,
    headers: Mapping[str, str],
    *,
    on_frame: Callable[[bytes], object],
    on_open: Callable[[WebSocket], object],
    on_close: Callable[[str], object],
    on_pong: Callable[[bytes], object] = lambda payload: None,
    limits: WebSocketLimits = WebSocketLimits(),  # frozen
    tls: ssl.SSLContext | None = None,
) -> WebSocket:
    """Connect to `url` (ws:// or wss://). Raises ConnectError, and then no callback was or will be called.

    Cancelling it hangs up; where `on_open` had been called already, `on_close` follows.
    """
    socket = WebSocket(on_frame, on_open, on_close, on_pong, limits)
    try:
        async with asyncio.timeout(limits.handshake_s):
            await ws_connect(
                lambda: socket,
                url,
                ssl_context=tls,
                websocket_handshake_timeout=limits.handshake_s,
                max_frame_size=limits.max_message_bytes,
                extra_headers=dict(headers),
                max_redirects=0,
            )
    except asyncio.CancelledError:
        socket.close("cancelled")
        raise
    except (OSError, WSError, TimeoutError, ValueError) as error:
        socket.close("connect failed")
        text = str(error).strip() or type(error).__name__
        raise ConnectError(text.splitlines()[0][:300]) from error
    return socket
