"""Records to NATS JetStream: every write-ahead-log sequence exactly once and in order, over any outage.

One stream an instance, `tradeserver-<instance>`, one message a record, `tradeserver.<instance>.<kind>`. Three things
make it exactly once, and none of them is a clock:

- at every connect the stream's own last message says where to continue;
- each message names the stream position that it expects to follow (`Nats-Expected-Last-Sequence`), so that a late
  straggler of an older connection, a lost message or a second writer is refused by the server, never a gap or a double;
- `Nats-Msg-Id` (instance and sequence) makes the server swallow a repetition in the race between the two.

A connection that fails is thrown away, never repaired: the client's own reconnect would send what it had buffered.
Nothing here knows the log, files or retries: see `relay.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import nats
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, PubAck, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from tradeserver.core.records import Record, kind_of
from tradeserver.services.messages import encode

SEQUENCE: Final = "Tradeserver-Sequence"
"""The header that carries the write-ahead log's sequence number."""

OUTSTANDING: Final = 512  # messages sent and not yet acknowledged
PATIENCE_S: Final = 10.0
_LOOK_BACK: Final = 100  # foreign messages at the end of the stream that are skipped in search of ours

_FAILURES = (nats.errors.Error, OSError, TimeoutError, EOFError)


class NatsError(Exception):
    """NATS is not there, refused, or fell away. Close the publisher, wait, open a new one."""


def stream_name(instance: str) -> str:
    """The stream of an instance."""
    return f"tradeserver-{instance}"


def subject(instance: str, record: Record) -> str:
    """The subject of a record."""
    return f"tradeserver.{instance}.{kind_of(record)}"


def shown(url: str) -> str:
    """`url` without the user and password that it may carry."""
    parts = urlsplit(url)
    if not (parts.username or parts.password):
        return url
    return parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]).geturl()


class Stream(enum.Enum):
    """What a connect found, when it found no message to continue after."""

    NEW = "new"  # nothing was ever in it: give it everything
    EMPTIED = "emptied"  # its messages were purged or have expired: only our own notes know where it was


class Publisher:
    """One connection's life: `connect`, `publish` any number of times, `close`."""

    def __init__(self, url: str, instance: str, duplicate_window_s: float = 120.0, max_age_s: float = 0.0) -> None:
        self._url = url
        self._instance = instance
        self._duplicate_window_s = duplicate_window_s
        self._max_age_s = max_age_s
        self._client: Client | None = None
        self._js: JetStreamContext | None = None
        self._last = 0  # the stream's own sequence after our last message
        self._failure: asyncio.Future[None] | None = None

    async def connect(self) -> int | Stream:
        """Connect and make the stream where it is missing.

        Returns the write-ahead-log sequence of the last message in it, or what kind of empty it is. Raises NatsError.
        """
        try:
            self._client = await asyncio.wait_for(self._open(), PATIENCE_S)
            self._js = self._client.jetstream(timeout=PATIENCE_S, publish_async_max_pending=2 * OUTSTANDING)
            return await self._position()
        except _FAILURES as error:
            await self.close()
            raise NatsError(f"{shown(self._url)}: {_words(self._cause(error))}") from None

    async def publish(self, batch: Sequence[tuple[int, Record]]) -> None:
        """Publish in order and return when all are acknowledged. Raises NatsError; some may then be in the stream."""
        try:
            for start in range(0, len(batch), OUTSTANDING):
                await self._publish(batch[start : start + OUTSTANDING])
        except _FAILURES as error:
            raise NatsError(f"{shown(self._url)}: {_words(error)}") from None

    async def close(self) -> None:
        """Drop the connection. Never raises."""
        client, self._client, self._js = self._client, None, None
        if client is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), 2)

    def _cause(self, error: BaseException) -> BaseException:
        """Why no server could be had, where the client only says that there is none."""
        if isinstance(error, nats.errors.NoServersError) and self._failure is not None and self._failure.done():
            return self._failure.exception() or error
        return error

    async def _open(self) -> Client:
        failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._failure = failure

        # nats-py 2.16 leaves the future of an asynchronous publish open when the server refuses the message or the
        # connection falls away: the refusal reaches this call-back alone.
        async def failed(error: Exception | None = None) -> None:
            if not failure.done():
                failure.set_exception(error or ConnectionError("the connection was closed"))
                failure.exception()  # whoever publishes next hears it; nobody has to

        return await nats.connect(
            self._url,
            name=stream_name(self._instance),
            allow_reconnect=False,
            # nats-py 2.16 reads 0 as "for ever", even before the first connection: one repetition, at once.
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=2,
            ping_interval=5,
            max_outstanding_pings=2,
            error_cb=failed,
            disconnected_cb=failed,
            closed_cb=failed,
        )

    async def _position(self) -> int | Stream:
        assert self._js is not None
        name = stream_name(self._instance)
        try:
            info = await self._js.stream_info(name)
        except NotFoundError:
            info = await self._js.add_stream(self._config())
        self._last = info.state.last_seq
        if not self._last:
            return Stream.NEW
        # The tail may have been deleted by hand, or be somebody else's: look a little further back.
        oldest = max(info.state.first_seq, self._last - _LOOK_BACK + 1)
        for at in range(self._last, oldest - 1, -1):
            with contextlib.suppress(NotFoundError):
                headers = (await self._js.get_msg(name, at)).headers or {}
                if SEQUENCE in headers:
                    return int(headers[SEQUENCE])
        return Stream.EMPTIED

    def _config(self) -> StreamConfig:
        return StreamConfig(
            name=stream_name(self._instance),
            subjects=[f"tradeserver.{self._instance}.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            duplicate_window=self._duplicate_window_s,
            max_age=self._max_age_s,
        )

    async def _publish(self, chunk: Sequence[tuple[int, Record]]) -> None:
        if self._js is None or self._failure is None:
            raise NatsError("not connected")
        acks: list[asyncio.Future[PubAck]] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                for n, (sequence, record) in enumerate(chunk):
                    headers = {
                        "Nats-Msg-Id": f"{self._instance}-{sequence}",
                        "Nats-Expected-Last-Sequence": str(self._last + n),
                        SEQUENCE: str(sequence),
                    }
                    data = encode(self._instance, sequence, record)
                    acks.append(await self._js.publish_async(subject(self._instance, record), data, headers=headers))
                done = asyncio.gather(*acks, return_exceptions=True)
                waiting: list[asyncio.Future[Any]] = [done, self._failure]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if self._failure.done():
                    self._failure.result()
                for ack in done.result():
                    if isinstance(ack, BaseException):
                        raise ack
                    self._last = ack.seq
        finally:
            for future in acks:
                future.cancel()


def _words(error: BaseException) -> str:
    if isinstance(error, APIError):
        return f"{error.description} (code {error.err_code})"
    return str(error) or type(error).__name__
