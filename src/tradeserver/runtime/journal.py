"""The journal: every input of the trading process with its stamp, so that a run can be replayed. Never money.

Inputs are buffered and written by a background thread; the last moments may be lost, and a failure stops the journal
but never the run (`failed` says why). A run has a directory of its own with numbered files. Each file is a row of
blocks, `magic 4, length u32, CRC32 u32`, so that a torn end is recognised; a block is a row of entries,
`kind u8, source u16, length u32, stamp u64` and data, little-endian:

    HEADER  what the run started from (`JournalHeader`)         SOURCE  a source number and its name
    INPUT   one input; bit 0x80 of the kind is reserved for "applied without deciding"
    DIGEST  a mark: u64 number of inputs so far, then the running hash with the engine's state folded into it
    END     the number of inputs and the running hash at an orderly end
"""

from __future__ import annotations

import os
import shutil
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated, Final, NamedTuple, Protocol

import msgspec
from annotated_types import Ge, Gt

from tradeserver.core.records import Checkpoint

HEADER: Final = 0
SOURCE: Final = 1
INPUT: Final = 2
DIGEST: Final = 3
END: Final = 4

DIGEST_EVERY: Final = 10_000
"""Inputs between two digests at the most; ticks make one every second besides."""

_MAGIC: Final = b"TSJ1"
_BLOCK: Final = struct.Struct("<4sII")
_ENTRY: Final = struct.Struct("<BHIQ")
_COUNT: Final = struct.Struct("<Q")
_pack = _ENTRY.pack


class JournalHeader(msgspec.Struct, frozen=True):
    """What a run started from: with this and the inputs, it replays without the runs before it."""

    run: str
    config: str  # the effective configuration's text, without secrets
    commit: str
    checkpoint: Checkpoint | None  # the state recovered from the write-ahead log; None at a first start
    started: int  # ns, the clock's first stamp
    facts: dict[str, str] = {}  # whatever else the wiring needs to know again; msgspec copies


class Entry(NamedTuple):
    """One entry; `source` and `ts` are 0 where they mean nothing."""

    kind: int
    source: int
    ts: int
    data: bytes


@dataclass(frozen=True)
class JournalSettings:
    """`backlog_bytes` waiting for the disk stop the journal; a file of `file_bytes` is followed by the next one. The
    journals of the present run and of the one before it are always kept."""

    enabled: bool = True
    block_bytes: Annotated[int, Gt(0)] = 1 << 20
    file_bytes: Annotated[int, Gt(0)] = 256 << 20
    backlog_bytes: Annotated[int, Gt(0)] = 128 << 20
    keep_days: Annotated[int, Ge(0)] = 30  # journals of runs that ended longer ago go at the next start; 0: for ever
    keep_bytes: Annotated[int, Ge(0)] = 20 << 30  # and the oldest, while all together are larger; 0: any size


class Journal(Protocol):
    """The port. `failed` is why nothing is kept any more, or ""."""

    failed: str

    def input(self, ts: int, source: int, data: bytes) -> None:
        """One input, before it is processed."""
        ...

    def source(self, source: int, name: str) -> None:
        """A source's number, before its first input."""
        ...

    def digest(self, inputs: int, digest: bytes) -> None:
        """A mark: the running hash after so many inputs."""
        ...

    def end(self, inputs: int, digest: bytes) -> None:
        """The running hash at an orderly end."""
        ...

    def flush(self) -> None:
        """Give what is buffered to the disk's thread. Called on ticks."""
        ...


class MemoryJournal:
    """The twin for simulated time; `entries` is all that a file would hold."""

    def __init__(self, header: JournalHeader | None = None) -> None:
        self.failed = ""
        self.header = header
        self.entries: list[Entry] = []

    def input(self, ts: int, source: int, data: bytes) -> None:
        """See `Journal.input`."""
        self.entries.append(Entry(INPUT, source, ts, data))

    def source(self, source: int, name: str) -> None:
        """See `Journal.source`."""
        self.entries.append(Entry(SOURCE, source, 0, name.encode()))

    def digest(self, inputs: int, digest: bytes) -> None:
        """See `Journal.digest`."""
        self.entries.append(Entry(DIGEST, 0, 0, _COUNT.pack(inputs) + digest))

    def end(self, inputs: int, digest: bytes) -> None:
        """See `Journal.end`."""
        self.entries.append(Entry(END, 0, 0, _COUNT.pack(inputs) + digest))

    def flush(self) -> None:
        """Nothing to do."""


class NoJournal:
    """Keeps nothing: a run that cannot be replayed."""

    def __init__(self) -> None:
        self.failed = "the journal is switched off"

    def input(self, ts: int, source: int, data: bytes) -> None:
        """Forgotten."""

    def source(self, source: int, name: str) -> None:
        """Forgotten."""

    def digest(self, inputs: int, digest: bytes) -> None:
        """Forgotten."""

    def end(self, inputs: int, digest: bytes) -> None:
        """Forgotten."""

    def flush(self) -> None:
        """Nothing to do."""

    @property
    def backlog_bytes(self) -> int:
        """What waits for the disk."""
        return 0

    def close(self) -> None:
        """Nothing to close."""


class FileJournal:
    """A run's journal in `directory`, which must be new. Nothing here raises: trouble is in `failed`."""

    def __init__(self, directory: Path, header: JournalHeader, settings: JournalSettings | None = None) -> None:
        self.failed = ""
        self._directory = directory
        self._settings = settings or JournalSettings()
        self._parts: list[bytes] = []
        self._size = 0
        self._handed = 0  # bytes given to the thread; the loop's thread alone writes it
        self._written = 0  # bytes done with; the journal's thread alone writes it
        self._queue: SimpleQueue[list[bytes] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        try:
            directory.mkdir(parents=True, exist_ok=False)
            self._fd = self._open(0)
        except OSError as error:
            self.failed = f"{directory}: {error.strerror}"
            return
        self._append(HEADER, 0, 0, msgspec.json.encode(header))
        self._thread.start()
        self.flush()

    def input(self, ts: int, source: int, data: bytes) -> None:
        """See `Journal.input`."""
        parts = self._parts
        parts.append(_pack(INPUT, source, len(data), ts))
        parts.append(data)
        self._size += len(data)
        if self._size > self._settings.block_bytes:
            self.flush()

    def source(self, source: int, name: str) -> None:
        """See `Journal.source`."""
        self._append(SOURCE, source, 0, name.encode())

    def digest(self, inputs: int, digest: bytes) -> None:
        """See `Journal.digest`."""
        self._append(DIGEST, 0, 0, _COUNT.pack(inputs) + digest)

    def end(self, inputs: int, digest: bytes) -> None:
        """See `Journal.end`."""
        self._append(END, 0, 0, _COUNT.pack(inputs) + digest)

    def _append(self, kind: int, source: int, ts: int, data: bytes) -> None:
        self._parts.append(_pack(kind, source, len(data), ts))
        self._parts.append(data)
        self._size += len(data)

    def flush(self) -> None:
        """See `Journal.flush`."""
        if not self._parts:
            return
        parts, size = self._parts, self._size
        self._parts, self._size = [], 0
        if self.failed:
            return
        if self._handed - self._written > self._settings.backlog_bytes:
            self.failed = "the disk is too slow: too much is waiting to be written"
            return
        self._handed += size
        self._queue.put(parts)

    @property
    def backlog_bytes(self) -> int:
        """What waits for the disk."""
        return self._handed - self._written

    def close(self) -> None:
        """Write what is left and stop."""
        self.flush()
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    # ---- the journal's thread ------------------------------------------------------------------------------------

    def _open(self, number: int) -> int:
        return os.open(self._directory / f"{number:05d}.journal", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def _write_all(self) -> None:
        size = number = 0
        while (parts := self._queue.get()) is not None:
            try:
                if size >= self._settings.file_bytes:
                    size, number = 0, number + 1
                    os.close(self._fd)
                    self._fd = self._open(number)
                if not self.failed:
                    size += self._write(parts)
            except OSError as error:
                self.failed = error.strerror or str(error)
            self._written += sum(map(len, parts[1::2]))
        os.close(self._fd)

    def _write(self, parts: list[bytes]) -> int:
        content = b"".join(parts)
        block = memoryview(_BLOCK.pack(_MAGIC, len(content), zlib.crc32(content)) + content)
        done = 0
        while done < len(block):
            done += os.write(self._fd, block[done:])
        return done


# ---- keeping --------------------------------------------------------------------------------------------------------

ALWAYS_KEPT: Final = 2
"""Runs: the present one, and the one before it, which may be why somebody wants to look."""


def prune(journals: Path, settings: JournalSettings, now_s: float) -> list[str]:
    """Drop the runs under `journals` that are too old, then the oldest until they fit; the names of those dropped.

    A run is as old as its youngest file, and goes as a whole: without its beginning it cannot be replayed. Nothing
    here raises; what cannot be dropped stays.
    """
    runs = []
    for directory in journals.iterdir() if journals.is_dir() else ():
        stats = [path.stat() for path in directory.glob("*.journal")]
        if stats:
            runs.append((max(s.st_mtime for s in stats), directory, sum(s.st_size for s in stats)))
    runs.sort()
    total = sum(size for _, _, size in runs)
    dropped = []
    for written_s, directory, size in runs[: max(0, len(runs) - ALWAYS_KEPT)]:
        old = settings.keep_days and now_s - written_s > settings.keep_days * 86_400
        if old or (settings.keep_bytes and total > settings.keep_bytes):
            shutil.rmtree(directory, ignore_errors=True)
            total -= size
            dropped.append(directory.name)
    return dropped


# ---- reading --------------------------------------------------------------------------------------------------------


class JournalError(Exception):
    """This is not a journal that can be read; the text says why."""


def read_journal(directory: Path) -> tuple[JournalHeader, Iterator[Entry]]:
    """The header, and every entry after it up to the end or the torn tail. Raises JournalError."""
    files = sorted(directory.glob("*.journal"))
    if not files:
        raise JournalError(f"there is no journal in {directory}")
    entries = _entries(files)
    first = next(entries, None)
    if first is None or first.kind != HEADER:
        raise JournalError(f"the journal in {directory} has no header")
    try:
        return msgspec.json.decode(first.data, type=JournalHeader), entries
    except msgspec.MsgspecError as error:
        raise JournalError(f"the journal in {directory} was written by another version: {error}") from error


def _entries(files: list[Path]) -> Iterator[Entry]:
    for path in files:
        data = path.read_bytes()
        at = 0
        while at < len(data):
            block = _block(data, at)
            if block is None:
                if path != files[-1]:
                    raise JournalError(f"{path} is damaged at byte {at}")
                return
            yield from _entries_of(block)
            at += _BLOCK.size + len(block)


def _block(data: bytes, at: int) -> bytes | None:
    if len(data) - at < _BLOCK.size:
        return None
    magic, length, crc = _BLOCK.unpack_from(data, at)
    content = data[at + _BLOCK.size : at + _BLOCK.size + length]
    return content if magic == _MAGIC and len(content) == length and crc == zlib.crc32(content) else None


def _entries_of(block: bytes) -> Iterator[Entry]:
    at = 0
    while at < len(block):
        kind, source, length, ts = _ENTRY.unpack_from(block, at)
        at += _ENTRY.size
        yield Entry(kind, source, ts, block[at : at + length])
        at += length


def count_and_digest(entry: Entry) -> tuple[int, bytes]:
    """The contents of a DIGEST or END entry."""
    return _COUNT.unpack_from(entry.data)[0], entry.data[_COUNT.size :]
