"""Reading the write-ahead log while another process writes it: `Tail` follows, `read` goes once through.

Neither takes the lock or writes a byte. A follower that delivers onwards reads what is synced only, so that it never
tells the world what a power cut takes back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tradeserver.core.records import Record
from tradeserver.runtime.frames import (
    FRAME_HEAD,
    HEADER_SIZE,
    BadHeaderError,
    Frame,
    decode_frame,
    decode_header,
    decode_synced,
)
from tradeserver.runtime.wal_files import (
    WalDamagedError,
    decode_record,
    first_seq_of,
    list_segments,
    load,
    segment_path,
)

_CHUNK = 1 << 20


class _Reader:
    """One segment from its beginning. A compressed one is unpacked into memory."""

    def __init__(self, path: Path, synced_only: bool) -> None:
        self.path = path
        self._synced_only = synced_only
        self._fd = -1
        self._data = b""
        self._size = 0
        if path.suffix == ".gz":
            self._data = load(path)
            self._size = len(self._data)
            self.inode = 0
        else:
            self._fd = os.open(path, os.O_RDONLY)
            self.inode = os.fstat(self._fd).st_ino
        header = decode_header(self._pread(HEADER_SIZE, 0))
        self.seq = header.first_seq - 1  # of the last frame read
        self._chain = header.chain
        self._at = HEADER_SIZE
        self.checkpoint = b""  # the segment's first frame, once it is read

    def read(self, most: int) -> list[Frame]:
        """Up to `most` further frames without the checkpoint. Raises WalDamagedError."""
        frames: list[Frame] = []
        synced = decode_synced(self._pread(HEADER_SIZE, 0))
        end = synced if self._synced_only else self._size_now()
        while self._at < end and len(frames) < most:
            before = self._at
            self._read_chunk(end, synced, most, frames)
            if self._at == before:
                break
        return frames

    def _read_chunk(self, end: int, synced: int, most: int, frames: list[Frame]) -> None:
        start = self._at
        size = self._chunk_size()
        if not size and start >= synced:  # the preallocated rest
            return
        data = self._pread(min(end - start, size or FRAME_HEAD.size), start)
        while len(frames) < most:
            first = self._at == HEADER_SIZE
            frame = decode_frame(data, self._at - start, self.seq if first else self.seq + 1, self._chain)
            if isinstance(frame, str):
                if self._at == start and start < synced:
                    raise WalDamagedError(f"{self.path} is damaged at byte {self._at} ({frame})")
                return
            self.seq, self._chain, self._at = frame.seq, frame.chain, start + frame.end
            if first:
                self.checkpoint = frame.payload
            else:
                frames.append(frame)

    def _chunk_size(self) -> int:
        """Enough for the next frame, whatever its size; 0 where nothing was written yet."""
        head = self._pread(FRAME_HEAD.size, self._at)
        if len(head) < FRAME_HEAD.size or not any(head):
            return 0
        length: int = FRAME_HEAD.unpack(head)[0]
        return max(_CHUNK, length + FRAME_HEAD.size)

    def _size_now(self) -> int:
        return os.fstat(self._fd).st_size if self._fd >= 0 else self._size

    def _pread(self, size: int, at: int) -> bytes:
        return os.pread(self._fd, size, at) if self._fd >= 0 else self._data[at : at + size]

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Tail:
    """Follows a log from after `after_seq` on, across segments and restarts of the writer. Checkpoints are skipped.

    `synced_only=False` also shows what a power cut may still take: for displays, never for delivery. `poll` costs a few
    microseconds when there is nothing new. `seq` is the last sequence number handed out.
    """

    def __init__(self, directory: Path, after_seq: int = 0, synced_only: bool = True) -> None:
        self.seq = after_seq
        self._directory = directory
        self._synced_only = synced_only
        self._reader: _Reader | None = None

    def poll(self, most: int = 1000) -> list[tuple[int, Record]]:
        """The next records, possibly none. Raises WalDamagedError."""
        return [(seq, decode_record(payload)) for seq, payload in self.poll_raw(most)]

    def poll_raw(self, most: int = 1000) -> list[tuple[int, bytes]]:
        """The same with each record as its JSON."""
        found: list[tuple[int, bytes]] = []
        while len(found) < most and (self._reader is not None or self._open()):
            assert self._reader is not None
            frames = self._reader.read(most - len(found))
            for frame in frames:
                if frame.seq > self.seq:
                    found.append((frame.seq, frame.payload))
                    self.seq = frame.seq
            if not frames and not self._move_on():
                break
        return found

    def _open(self) -> bool:
        """The segment that holds `seq` + 1."""
        segments = list_segments(self._directory)
        wanted = [path for path in segments if first_seq_of(path) <= self.seq + 1]
        if not wanted and segments and self.seq == 0:
            wanted = segments[:1]  # from the oldest that is kept
        if not wanted:
            if segments:
                oldest = first_seq_of(segments[0])
                raise WalDamagedError(f"records {self.seq + 1} to {oldest - 1} are gone from {self._directory}")
            return False
        return self._use(wanted[-1])

    def _use(self, path: Path) -> bool:
        try:
            reader = _Reader(path, self._synced_only)
        except FileNotFoundError:  # just compressed or replaced: it is found under its new name the next time
            return False
        except BadHeaderError as error:
            if error.blank:  # a power cut left it; the writer sets it aside at its start
                return False
            raise WalDamagedError(f"{path} is damaged ({error})") from error
        self.close()
        self._reader = reader
        return True

    def _move_on(self) -> bool:
        """To the segment that begins after the last record read, when the writer has begun one (again)."""
        assert self._reader is not None
        path = segment_path(self._directory, self._reader.seq + 1)
        try:
            inode = path.stat().st_ino
        except FileNotFoundError:
            packed = path.with_name(path.name + ".gz")
            if packed == self._reader.path or not packed.exists():
                return False
            return self._use(packed)
        return inode != self._reader.inode and self._use(path)

    def close(self) -> None:
        """Let go of the open file."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def read(directory: Path, after_seq: int = 0, synced_only: bool = False) -> Iterator[tuple[int, Record]]:
    """Every record after `after_seq` that the log holds now, without checkpoints. Raises WalDamagedError."""
    tail = Tail(directory, after_seq, synced_only)
    try:
        while records := tail.poll():
            yield from records
    finally:
        tail.close()


def latest(directory: Path) -> list[Record]:
    """The newest checkpoint and what follows it: enough for the state as it stands. Raises WalDamagedError, OSError."""
    for path in reversed(list_segments(directory)):
        try:
            reader = _Reader(path, synced_only=False)
        except BadHeaderError as error:
            if error.blank:
                continue
            raise WalDamagedError(f"{path} is damaged ({error})") from error
        try:
            payloads = []
            while frames := reader.read(10_000):
                payloads += [frame.payload for frame in frames]
            if reader.checkpoint:
                return [decode_record(payload) for payload in (reader.checkpoint, *payloads)]
        finally:
            reader.close()
    return []
