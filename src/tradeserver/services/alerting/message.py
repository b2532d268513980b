"""What is handed to a channel, and what a channel may answer."""

from __future__ import annotations

import time
from typing import Protocol

import msgspec

from tradeserver.core.records import Severity
from tradeserver.services.alerting.pile import Line


class Entry(msgspec.Struct, frozen=True):
    """One paragraph of a message."""

    severity: Severity
    title: str
    text: str
    ts: int  # ns


class Message(msgspec.Struct, frozen=True):
    """One message: paragraphs, the most severe first, and a picture (PNG) that belongs to the first of them."""

    instance: str
    entries: tuple[Entry, ...]
    picture: bytes = b""


class LaterError(Exception):
    """Not taken now. `after_s` is what the receiver asked for, 0 where it said nothing."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s


class GoneError(Exception):
    """The receiver will not take anything any more: the webhook was deleted, the address is wrong."""


class RefusedError(Exception):
    """This one message is not understood; sending it again is of no use."""


class Channel(Protocol):
    """Somebody who carries messages. Its name never holds an address or a secret."""

    name: str

    async def send(self, message: Message) -> None:
        """Deliver, or raise LaterError, RefusedError or GoneError; none of them says the address."""
        ...

    async def close(self) -> None:
        """Let go. Never raises."""
        ...


def of_lines(instance: str, lines: list[Line]) -> Message:
    """The message for a pile's lines."""
    return Message(instance, tuple(_entry(line) for line in lines))


def _entry(line: Line) -> Entry:
    first, last = line.first, line.last
    if line.count == 1:
        return Entry(first.severity, first.code, first.text, first.ts)
    span = f"{line.count} times, {_clock(first.ts)} to {_clock(last.ts)} UTC."
    return Entry(first.severity, f"{first.code} ({line.count} times)", f"{span} The latest: {last.text}", last.ts)


def _clock(ts: int) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(ts // 1_000_000_000))
