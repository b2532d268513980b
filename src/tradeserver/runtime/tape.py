"""Tapes: recordings and data sets on disk, as rows of compressed blocks that stand for themselves.

A tape is a directory of numbered files `00000.tape`. Its entries are the journal's (`runtime/journal.py`: kind, source,
stamp, data), so a recording is a journal that is compressed and rotated, and replays like one; a *data set* holds
decoded events instead (source "events", msgpack). Each file is a row of blocks,

    magic 4, packed length u32, raw length u32, entries u32, CRC32 of all that follows and of these lengths u32

and zstd-compressed entries. Every block repeats header and sources, so that it stands alone. A damaged block costs its
entries and no others: the reader says so in one sentence, yields a `LOST` entry in its place, and goes on with the
next block. Nothing here looks into the data.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
import zstandard
from annotated_types import Gt

from tradeserver.runtime.journal import (
    DIGEST,
    END,
    HEADER,
    INPUT,
    SOURCE,
    Entry,
    JournalError,
    JournalHeader,
    read_journal,
)

LOST: Final = 255
"""The kind of an entry that stands for a block that could not be read; its data is the sentence."""
EVENTS: Final = "events"
"""The source of decoded events."""
SUFFIX: Final = ".tape"
FLUSH_NS: Final = 2_000_000_000
"""What a crash may cost a recording, besides what the system has not written."""

_MAGIC: Final = b"TST1"
_BLOCK: Final = struct.Struct("<4sIIII")
_LENGTHS: Final = struct.Struct("<III")
_ENTRY: Final = struct.Struct("<BHIQ")
_COUNT: Final = struct.Struct("<Q")
_CRC: Final = struct.Struct("<I")
_MOST_BYTES: Final = 1 << 28  # of one block: a longer one is damage
_pack = _ENTRY.pack

Say = Callable[[str], None]


class TapeHeader(JournalHeader, frozen=True):
    """What a tape holds. A recording has a run's header; a data set says here how its events are to be taken.

    `together`: events of one stamp are one observation, applied together and decided once. `hold_s`: how long the last
    observation stands (the distance of rows); 0 where events come when something changes.
    """

    origin: str = ""  # where the data came from, in words
    venues: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    together: bool = False
    hold_s: float = 0.0


@dataclass(frozen=True)
class TapeSettings:
    """How a tape is cut into files and blocks."""

    file_bytes: Annotated[int, Gt(0)] = 64 << 20
    """A file that has so many compressed bytes is followed by the next one."""
    file_s: Annotated[float, Gt(0)] = 3_600.0
    """So is one whose first entry is so old."""
    block_bytes: Annotated[int, Gt(0)] = 256 << 10
    """Uncompressed: what a damaged block costs."""
    level: Annotated[int, Gt(0)] = 3
    """Of zstd."""


class TapeWriter:
    """Writes a tape into `directory`, which must not hold one. Also a `Journal`, so that a run can be recorded.

    Raises OSError where the directory cannot be made; afterwards trouble is in `failed`, and nothing more is written.
    """

    def __init__(self, directory: Path, header: JournalHeader, settings: TapeSettings | None = None) -> None:
        self.failed = ""
        self.entries = 0
        self.bytes = 0  # compressed, on disk
        self.files = 0
        self._directory = directory
        self._header = msgspec.json.encode(header)
        self._settings = settings or TapeSettings()
        self._pack_block = zstandard.ZstdCompressor(level=self._settings.level).compress
        self._sources: dict[int, str] = {}
        self._parts: list[bytes] = []
        self._size = self._count = self._repeated = 0
        self._block_began = self._last_ts = 0  # stamps of the block's first and last input
        self._file_bytes = self._file_began = 0
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.glob(f"*{SUFFIX}")):
            raise FileExistsError(17, "there is a tape already", str(directory))
        self._file = (directory / f"{0:05d}{SUFFIX}").open("xb")
        self.files = 1
        self._begin_block()

    def source(self, source: int, name: str) -> None:
        """See `Journal.source`."""
        self._sources[source] = name
        self._put(SOURCE, source, 0, name.encode())

    def input(self, ts: int, source: int, data: bytes) -> None:
        """See `Journal.input`."""
        parts = self._parts
        parts.append(_pack(INPUT, source, len(data), ts))
        parts.append(data)
        self._size += len(data) + _ENTRY.size
        self._count += 1
        self._last_ts = ts
        if not self._block_began:
            self._block_began = ts
        if self._size >= self._settings.block_bytes:
            self._write(ts)

    def digest(self, inputs: int, digest: bytes) -> None:
        """See `Journal.digest`."""
        self._put(DIGEST, 0, 0, _COUNT.pack(inputs) + digest)

    def end(self, inputs: int, digest: bytes) -> None:
        """See `Journal.end`."""
        self._put(END, 0, 0, _COUNT.pack(inputs) + digest)

    def flush(self) -> None:
        """See `Journal.flush`: a block that is `FLUSH_NS` old is written, full or not."""
        if self._last_ts - self._block_began >= FLUSH_NS and self._block_began:
            self._write(self._last_ts)

    def close(self) -> None:
        """Write what is left."""
        self._write(0)
        self._file.close()

    def _put(self, kind: int, source: int, ts: int, data: bytes) -> None:
        self._parts += (_pack(kind, source, len(data), ts), data)
        self._size += len(data) + _ENTRY.size
        self._count += 1

    def _begin_block(self) -> None:
        self._parts, self._size, self._count = [], 0, 0
        self._block_began = self._last_ts = 0
        self._put(HEADER, 0, 0, self._header)
        for number, name in self._sources.items():
            self._put(SOURCE, number, 0, name.encode())
        self._repeated = self._count

    def _write(self, ts: int) -> None:
        """The block to the disk; the next file where this one is full or old."""
        if self._count == self._repeated or self.failed:
            return
        raw = b"".join(self._parts)
        packed = self._pack_block(raw)
        lengths = _LENGTHS.pack(len(packed), len(raw), self._count)
        head = _MAGIC + lengths + _CRC.pack(zlib.crc32(packed, zlib.crc32(lengths)))
        try:
            self._file.write(head + packed)
            self._file.flush()
            self.entries += self._count - self._repeated
            self.bytes += len(head) + len(packed)
            self._file_bytes += len(head) + len(packed)
            self._rotate(ts)
        except OSError as error:
            self.failed = error.strerror or str(error)
        self._begin_block()

    def _rotate(self, ts: int) -> None:
        if not ts:
            return
        self._file_began = self._file_began or ts
        old = ts - self._file_began >= self._settings.file_s * 1e9
        if old or self._file_bytes >= self._settings.file_bytes:
            self._file.close()
            self._file = (self._directory / f"{self.files:05d}{SUFFIX}").open("xb")
            self.files += 1
            self._file_bytes = self._file_began = 0


# ---- reading --------------------------------------------------------------------------------------------------------


def is_tape(directory: Path) -> bool:
    """Whether `directory` holds a tape."""
    return directory.is_dir() and any(directory.glob(f"*{SUFFIX}"))


def read_tape(directory: Path, say: Say = lambda text: None) -> tuple[TapeHeader, Iterator[Entry]]:
    """The header, and every entry but headers; `LOST` where a block could not be read. Raises JournalError.

    `say` is told every damage in one sentence, when it is come to.
    """
    files = sorted(directory.glob(f"*{SUFFIX}"))
    if not files:
        raise JournalError(f"there is no tape in {directory}")
    for path in files:
        first = next((entry for entry in _entries(path, lambda text: None) if entry.kind == HEADER), None)
        if first is not None:
            break
    else:
        raise JournalError(f"the tape in {directory} has no header that can be read: it is empty or damaged")
    try:
        header = msgspec.json.decode(first.data, type=TapeHeader)
    except msgspec.MsgspecError as error:
        raise JournalError(f"the tape in {directory} was written by another version: {error}") from error
    return header, (entry for path in files for entry in _entries(path, say) if entry.kind != HEADER)


def count_entries(directory: Path) -> int:
    """About how many entries the tape has, by its blocks' heads alone: for progress bars."""
    total = 0
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        size = path.stat().st_size
        with path.open("rb") as file:
            at = 0
            while len(head := file.read(_BLOCK.size)) == _BLOCK.size:
                magic, length, _, count, _ = _BLOCK.unpack(head)
                at += _BLOCK.size + length
                if magic != _MAGIC or at > size:
                    break
                total += count
                file.seek(at)
    return total


def _entries(path: Path, say: Say) -> Iterator[Entry]:
    unpack = zstandard.ZstdDecompressor().decompress
    size = path.stat().st_size
    if not size:
        yield _lost(say, f"{path} is empty")
        return
    with path.open("rb") as file:
        at = 0
        while at < size:
            file.seek(at)
            head = file.read(_BLOCK.size)
            raw, length, why = b"", 0, "its end is missing"
            if len(head) == _BLOCK.size:
                magic, length, raw_length, count, crc = _BLOCK.unpack(head)
                if magic != _MAGIC or max(length, raw_length) > _MOST_BYTES:
                    length, why = 0, "it does not begin like a block"
                elif at + _BLOCK.size + length <= size:
                    packed = file.read(length)
                    lengths = _LENGTHS.pack(length, raw_length, count)
                    if crc == zlib.crc32(packed, zlib.crc32(lengths)):
                        raw = unpack(packed, max_output_size=raw_length)
                    else:
                        why = "a checksum is wrong"
            if raw:
                at += _BLOCK.size + length
                yield from _entries_of(raw)
                continue
            found = _next_block(path, at + 1)
            rest = "nothing after it can be read" if found < 0 else "what follows it is read"
            yield _lost(say, f"{path} is damaged at byte {at}: {why}; that block is left out, {rest}")
            if found < 0:
                return
            at = found


def _lost(say: Say, text: str) -> Entry:
    say(text)
    return Entry(LOST, 0, 0, text.encode())


def _next_block(path: Path, start: int) -> int:
    """Where the next block begins, at or after `start`; -1 where there is none."""
    with path.open("rb") as file:
        file.seek(start)
        at, tail = start, b""
        while data := file.read(1 << 20):
            place = (tail + data).find(_MAGIC)
            if place >= 0:
                return at - len(tail) + place
            at += len(data)
            tail = data[-3:]
    return -1


def _entries_of(raw: bytes) -> Iterator[Entry]:
    at, end = 0, len(raw)
    unpack = _ENTRY.unpack_from
    while at < end:
        kind, source, length, ts = unpack(raw, at)
        at += _ENTRY.size
        yield Entry(kind, source, ts, raw[at : at + length])
        at += length


def read_run(directory: Path, say: Say = lambda text: None) -> tuple[JournalHeader, Iterator[Entry]]:
    """A run's inputs, whether a daemon's journal or a recording. Raises JournalError; damage ends a recording.

    Inputs behind a hole cannot be replayed: what they follow is not there.
    """
    if not is_tape(directory):
        return read_journal(directory)
    header, entries = read_tape(directory, say)
    if header.venues:
        raise JournalError(f"{directory} is a data set of decoded events: there is nothing to replay")
    return header, _until_lost(entries)


def _until_lost(entries: Iterator[Entry]) -> Iterator[Entry]:
    seen: set[int] = set()  # sources are repeated in every file
    for entry in entries:
        if entry.kind == LOST:
            return
        if entry.kind == SOURCE:
            if entry.source in seen:
                continue
            seen.add(entry.source)
        yield entry
