"""Write-ahead log segments on the disk: their names, reading them, repairing the newest one at start-up.

The rules of damage (a torn tail is normal after a crash, anything else is not):

* behind the synced position the file is cut at the first bad frame, and the part cut off is kept beside it;
* damage before the synced position raises WalDamagedError, and a copy of the file is kept;
* a newest segment without a whole checkpoint, never synced, is set aside, and the one before it is read.
"""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tradeserver.core.records import AnyRecord, Record
from tradeserver.runtime.frames import (
    HEADER_SIZE,
    NO_CHAIN,
    BadHeaderError,
    Frame,
    Header,
    decode_frame,
    decode_header,
    encode_slot,
    rest_is_blank,
    slot_position,
)

_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(AnyRecord)
decode_record = _decoder.decode
"""One payload as the record that it is. Raises msgspec.DecodeError."""


class WalDamagedError(Exception):
    """Synced bytes of the log are not what was written. The text says where and where the copy is."""


def segment_path(directory: Path, first_seq: int) -> Path:
    """The segment whose first record has this sequence number."""
    return directory / f"wal-{first_seq:020d}.log"


def first_seq_of(path: Path) -> int:
    """The inverse of `segment_path`, compressed or not."""
    return int(path.name[4:24])


def list_segments(directory: Path) -> list[Path]:
    """Every segment, oldest first. Where both forms exist (a crash while compressing), the plain one."""
    found: dict[int, Path] = {}
    for path in sorted(directory.glob("wal-" + "[0-9]" * 20 + ".log*")):  # ".log" sorts before ".log.gz"
        if path.name.endswith((".log", ".log.gz")):
            found.setdefault(first_seq_of(path), path)
    return [found[seq] for seq in sorted(found)]


def load(path: Path) -> bytes:
    """A whole segment, uncompressed."""
    if path.suffix == ".gz":
        with gzip.open(path) as file:
            return file.read()
    return path.read_bytes()


def sync_directory(directory: Path) -> None:
    """Make creations and renames in it last."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@dataclass
class Recovered:
    """What start-up found: the newest usable segment, and what had to be done to make it so."""

    seq: int = 0  # last sequence number
    chain: bytes = NO_CHAIN
    data: bytes = b""  # the segment up to its last whole frame; empty where there was none
    header: Header | None = None
    repairs: list[str] = field(default_factory=list)  # one sentence each

    def records(self) -> Iterator[tuple[int, Record]]:
        """The checkpoint, then each record, with sequence numbers."""
        if self.header is not None:
            for frame in _frames(self.data, self.header):
                yield frame.seq, decode_record(frame.payload)


def _frames(data: bytes, header: Header) -> Iterator[Frame]:
    """Every whole frame from the beginning; stops at the first that is none."""
    seq, chain, at = header.first_seq - 1, header.chain, HEADER_SIZE
    while isinstance(frame := decode_frame(data, at, seq, chain), Frame):
        yield frame
        seq, chain, at = frame.seq + 1, frame.chain, frame.end


def recover(directory: Path) -> Recovered:
    """Repair the newest segment and read it. Raises WalDamagedError."""
    found = Recovered()
    segments = list_segments(directory)
    while segments:
        path = segments.pop()
        data = load(path)
        try:
            header = decode_header(data)
        except BadHeaderError as error:
            if not error.blank:
                raise _refuse(path, str(error), 0) from error
            found.repairs.append(_set_aside(path))
            continue
        if _usable(path, data, header, found):
            found.repairs.extend(_seal_before(segments, header))
            break
        found.repairs.append(_set_aside(path))
    return found


def is_sealed(path: Path) -> bool:
    """Whether all of it is synced and says so; a reader of what is synced gets to its end."""
    if path.suffix == ".gz":
        return True
    with path.open("rb") as file:
        head = file.read(HEADER_SIZE)
    try:
        return decode_header(head).synced == path.stat().st_size
    except BadHeaderError:
        return False


def _seal_before(segments: list[Path], following: Header) -> Iterator[str]:
    """Segments that a killed process had rolled and not yet synced: whole ones are sealed, others named."""
    for path in reversed(segments):
        if is_sealed(path):
            return  # they are sealed in order: so is everything before
        data = load(path)
        try:
            header = decode_header(data)
        except BadHeaderError as error:
            yield f"{path.name} cannot be read any more: {error}"
            return
        end, seq, chain = _end(data, header)
        if (seq + 1, chain) != (following.first_seq, following.chain):
            yield f"{path.name} breaks off after record {seq}: the rest did not reach the disk before the power went"
            return
        _seal(path, end)
        following = header


def _end(data: bytes, header: Header) -> tuple[int, int, bytes]:
    """(position, sequence number, chain) after the last whole frame."""
    end, seq, chain = HEADER_SIZE, header.first_seq - 1, header.chain
    for frame in _frames(data, header):
        seq, chain, end = frame.seq, frame.chain, frame.end
    return end, seq, chain


def _usable(path: Path, data: bytes, header: Header, found: Recovered) -> bool:
    """Fill `found` from this segment and cut its torn tail. False: it has no whole checkpoint."""
    end, seq, chain = _end(data, header)
    if end < header.synced:
        expected = seq if end == HEADER_SIZE else seq + 1
        raise _refuse(path, str(decode_frame(data, end, expected, chain)), end, header.synced)
    if end == HEADER_SIZE:
        return False
    if not rest_is_blank(data, end):
        found.repairs.append(_cut(path, data, end))
    _seal(path, end)
    found.seq, found.chain, found.header, found.data = seq, chain, header, data[:end]
    return True


def _cut(path: Path, data: bytes, end: int) -> str:
    kept = path.with_name(f"{path.name}.cut-{end}")
    kept.write_bytes(data[end:].rstrip(b"\0"))
    return f"{path.name} ended in the middle of a write: cut at byte {end}, the part cut off is kept in {kept.name}"


def _seal(path: Path, end: int) -> None:
    """Nothing more is written to it; all of it is synced. A compressed segment was sealed long ago."""
    if path.suffix == ".gz":
        return
    fd = os.open(path, os.O_RDWR)
    try:
        os.ftruncate(fd, end)
        os.fdatasync(fd)
        for turn in (0, 1):
            os.pwrite(fd, encode_slot(end), slot_position(turn))
        os.fdatasync(fd)
    finally:
        os.close(fd)


def _set_aside(path: Path) -> str:
    kept = path.with_name(path.name + ".discarded")
    os.replace(path, kept)
    return f"{path.name} has no whole checkpoint and was never synced: set aside as {kept.name}"


def _refuse(path: Path, why: str, at: int, synced: int = 0) -> WalDamagedError:
    kept = path.with_name(path.name + ".damaged")
    if not kept.exists():
        shutil.copy2(path, kept)
    known = f", although everything before byte {synced} had reached the disk" if synced else ""
    return WalDamagedError(
        f"the write-ahead log {path} is damaged at byte {at} ({why}){known}; a copy is kept in {kept.name}. "
        "Move the log's directory away to start from what the venues say, or restore it from a backup."
    )
