"""The write-ahead log: every record of a step reaches the kernel in one write before the step's first command leaves.

That survives `kill -9`; a background `fdatasync` every few milliseconds bounds what a power cut takes. Segments begin
with a checkpoint and roll on idle ticks. Old ones are compressed once every relay is past them, and kept.

A write that fails or is short ends the log for this run: the file is cut back to its last whole record, `failed` says
why, `write` answers False for ever. What that means for orders is the reactor's business. Damage found at start-up is
`runtime/wal_files.py`; reading is `runtime/wal_read.py`. One process writes: the directory is locked.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
from annotated_types import Ge, Gt

from tradeserver.core.records import Checkpoint, Record
from tradeserver.runtime.frames import encode_frame, encode_header, encode_slot, slot_position
from tradeserver.runtime.wal_files import (
    first_seq_of,
    is_sealed,
    list_segments,
    recover,
    segment_path,
    sync_directory,
)

encode_record = msgspec.json.Encoder().encode
"""A record as the payload that is written, sent to NATS and digested."""


@dataclass(frozen=True)
class WalSettings:
    """How the log is kept. `hedge_only_s` is read by the engine: how long hedging may go on after the log failed."""

    segment_bytes: Annotated[int, Gt(4096)] = 16 * 1024 * 1024
    sync_ms: Annotated[int, Gt(0)] = 5
    keep_days: Annotated[int, Ge(0)] = 0  # 0: for ever
    preallocate: bool = True
    reserve_bytes: Annotated[int, Ge(0)] = 64 * 1024 * 1024
    hedge_only_s: Annotated[int, Ge(0)] = 60


class Wal(Protocol):
    """The port. `seq` is the last sequence number written; `failed` is why nothing more is written, or ""."""

    seq: int
    failed: str

    def write(self, payloads: Sequence[bytes]) -> bool:
        """All of one step's records, or none: True once the kernel has them."""
        ...

    def idle(self, checkpoint: Callable[[], Checkpoint]) -> None:
        """A moment without haste: roll if the segment is full."""
        ...


class MemoryWal:
    """The twin for simulated time and replays. Set `failed` to let it fail."""

    def __init__(self, segment_records: int = 0) -> None:
        self.seq = 0
        self.failed = ""
        self.payloads: list[bytes] = []  # index = sequence number - 1
        self.checkpoints: list[tuple[int, Checkpoint]] = []  # (last sequence number before it, checkpoint)
        self._segment_records = segment_records

    def write(self, payloads: Sequence[bytes]) -> bool:
        """See `Wal.write`."""
        if self.failed:
            return False
        self.payloads.extend(payloads)
        self.seq += len(payloads)
        return True

    def idle(self, checkpoint: Callable[[], Checkpoint]) -> None:
        """See `Wal.idle`; rolls every `segment_records` records, never where that is 0."""
        begun = self.checkpoints[-1][0] if self.checkpoints else 0
        if self._segment_records and self.seq - begun >= self._segment_records:
            self.checkpoints.append((self.seq, checkpoint()))


class WalBusyError(Exception):
    """Another process writes this log."""


class _Segment:
    """An open segment. The loop's thread writes and moves `offset`; the sync thread alone moves `synced`."""

    def __init__(self, path: Path, fd: int, offset: int) -> None:
        self.path = path
        self.fd = fd
        self.begun = offset  # where its records begin
        self.offset = offset
        self.synced = 0
        self._turn = 0

    def sync(self) -> None:
        """Bring what is written now to the disk, then say so in the header."""
        written = self.offset
        if written == self.synced:
            return
        os.fdatasync(self.fd)
        os.pwrite(self.fd, encode_slot(written), slot_position(self._turn))
        self._turn += 1
        self.synced = written


def disk_free(directory: Path) -> int:
    """Bytes that we may still write there."""
    stat = os.statvfs(directory)
    return stat.f_bavail * stat.f_frsize


class FileWal:
    """The log in a directory. Life: make it (locks, repairs), `recover`, `begin`, then `write` and `idle`, `close`.

    Raises WalBusyError, WalDamagedError, OSError (the directory cannot be written). `repairs` are sentences for people.
    `positions` answers the last sequence number that each relay has delivered; it is called in a background thread.
    """

    def __init__(
        self,
        directory: Path,
        settings: WalSettings | None = None,
        positions: Callable[[], Sequence[int]] = tuple,
        free: Callable[[Path], int] = disk_free,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.failed = ""
        self.trouble = ""  # the last thing that went wrong without harm to what is written
        self._settings = settings or WalSettings()
        self._positions = positions
        self._lock = _lock(directory)
        try:
            for left in (*directory.glob("wal-*.new"), *directory.glob("wal-*.part")):  # a crash while making them
                left.unlink()
            reserve = _keep_reserve(directory, self._settings, free(directory))
            self._recovered = recover(directory)
        except BaseException:
            os.close(self._lock)
            raise
        self.repairs = reserve + self._recovered.repairs
        self.seq = self._recovered.seq
        self._chain = self._recovered.chain
        self._segment: _Segment | None = None
        self._sealed: deque[_Segment] = deque()
        self._retry_roll_at = 0
        self._unsyncable = False
        self._stop = threading.Event()
        self._rolled = threading.Event()
        self._threads: list[threading.Thread] = []

    def recover(self) -> Iterator[tuple[int, Record]]:
        """The newest checkpoint, then every record after it, with sequence numbers; nothing at a first start."""
        return self._recovered.records()

    def begin(self, checkpoint: Checkpoint) -> None:
        """Start this run's first segment and the background threads."""
        self._recovered.data = b""
        self._segment = self._create(checkpoint)
        self._segment.sync()
        sync_directory(self.directory)
        for work in (self._sync_often, self._keep_house):
            thread = threading.Thread(target=work, name=f"wal{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    # ---- writing -----------------------------------------------------------------------------------------------

    def write(self, payloads: Sequence[bytes]) -> bool:
        """See `Wal.write`."""
        segment = self._segment
        if self.failed or segment is None:
            return False
        seq, chain = self.seq, self._chain
        parts: list[bytes] = []
        for payload in payloads:
            seq += 1
            head, chain = encode_frame(seq, chain, payload)
            parts.append(head)
            parts.append(payload)
        data = b"".join(parts)
        try:
            written = os.write(segment.fd, data)
        except OSError as error:
            return self._fail(segment, error.strerror or str(error))
        if written != len(data):
            return self._fail(segment, f"only {written} of {len(data)} bytes could be written")
        segment.offset += written
        self.seq, self._chain = seq, chain
        return True

    def _fail(self, segment: _Segment, why: str) -> bool:
        self.failed = f"{segment.path.name}: {why}"
        try:
            os.ftruncate(segment.fd, segment.offset)
        except OSError as error:
            self.failed += f"; it could not be cut back: {error.strerror}"
        return False

    # ---- rolling -----------------------------------------------------------------------------------------------

    @property
    def unsynced_bytes(self) -> int:
        """What a power cut would take now, of the newest segment."""
        segment = self._segment
        return 0 if segment is None else max(0, segment.offset - max(segment.synced, segment.begun))

    def idle(self, checkpoint: Callable[[], Checkpoint]) -> None:
        """See `Wal.idle`. A segment that cannot be created is tried again ten seconds later."""
        segment = self._segment
        if segment is None or self.failed or segment.offset - segment.begun < self._settings.segment_bytes:
            return
        if time.monotonic_ns() >= self._retry_roll_at:
            self.roll(checkpoint())

    def roll(self, checkpoint: Checkpoint) -> bool:
        """Begin the next segment now; the background thread syncs the old one first. False: `trouble` says why."""
        old = self._segment
        if old is None or self.failed:
            return False
        try:
            new = self._create(checkpoint)
        except OSError as error:
            self._retry_roll_at = time.monotonic_ns() + 10_000_000_000
            self.trouble = f"no new segment: {error.strerror}"
            return False
        self._sealed.append(old)
        self._segment = new
        return True

    def _create(self, checkpoint: Checkpoint) -> _Segment:
        """A segment with its checkpoint, under its name, not synced. Replaces one that holds no record."""
        path = segment_path(self.directory, self.seq + 1)
        new = path.with_suffix(".new")
        payload = encode_record(checkpoint)
        head, chain = encode_frame(self.seq, self._chain, payload)
        data = encode_header(self.seq + 1, self._chain) + head + payload
        fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if self._settings.preallocate:
                _preallocate(fd, self._settings.segment_bytes)
            if os.write(fd, data) != len(data):
                raise OSError(0, "short write of a checkpoint")
            os.replace(new, path)
        except BaseException:
            os.close(fd)
            new.unlink(missing_ok=True)
            raise
        self._chain = chain
        return _Segment(path, fd, len(data))

    # ---- the background ------------------------------------------------------------------------------------------

    def _sync_often(self) -> None:
        while not self._stop.wait(self._settings.sync_ms / 1000):
            self._sync()

    def _sync(self) -> None:
        current = self._segment  # read first: were it read after the loop, it could be newer than a sealed one
        try:
            while self._sealed:
                old = self._sealed[0]
                os.ftruncate(old.fd, old.offset)
                old.sync()
                os.close(old.fd)
                self._sealed.popleft()
                sync_directory(self.directory)
                self._rolled.set()
            if current is not None:
                current.sync()
        except OSError as error:
            # After a failed sync the kernel may have dropped the pages: nothing later may be believed (fsync(2)).
            self.failed = self.failed or f"sync: {error.strerror}"
            self._unsyncable = True
            self._stop.set()

    def _keep_house(self) -> None:
        while self._rolled.wait() and not self._stop.is_set():
            self._rolled.clear()
            try:
                keep_house(self.directory, self._settings.keep_days, self._positions(), time.time())
            except (OSError, ValueError) as error:
                self.trouble = f"old segments: {error}"

    def close(self) -> None:
        """Sync, stop the background, unlock. A second call does nothing."""
        if self._lock < 0:
            return
        self._stop.set()
        self._rolled.set()
        for thread in self._threads:
            thread.join()
        if not self._unsyncable:
            self._sync()
        if self._segment is not None:
            if not self.failed:
                os.ftruncate(self._segment.fd, self._segment.offset)
            os.close(self._segment.fd)
            self._segment = None
        os.close(self._lock)
        self._lock = -1


def _preallocate(fd: int, size: int) -> None:
    """Space that a full disk cannot take from us, where the file system can promise it."""
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError:
        os.ftruncate(fd, 0)


def _lock(directory: Path) -> int:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise WalBusyError(f"another process writes the log in {directory}") from None
    return fd


def _keep_reserve(directory: Path, settings: WalSettings, free: int) -> list[str]:
    """Have the reserve file, or free it when the disk is full."""
    path = directory / "reserve"
    if free < settings.segment_bytes:
        if path.exists():
            path.unlink()
            return [
                f"the disk is full ({free} bytes left): the reserve of {directory} was freed; make room and restart"
            ]
        return [f"the disk is full ({free} bytes left) and there is no reserve left in {directory}"]
    have = path.stat().st_size if path.exists() else 0
    if have < settings.reserve_bytes < free:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(fd, 0, settings.reserve_bytes)
        finally:
            os.close(fd)
    return []


def keep_house(directory: Path, keep_days: int, positions: Sequence[int], now_s: float) -> None:
    """Compress old segments, delete very old ones; none that a relay still needs or the disk does not have yet."""
    segments = list_segments(directory)
    done = min(positions, default=None)
    for path, following in zip(segments[:-2], segments[1:], strict=False):  # noqa: RUF007  # all but the newest two
        if done is not None and done < first_seq_of(following) - 1:
            return
        if not is_sealed(path):
            return
        if keep_days and path.stat().st_mtime < now_s - keep_days * 86_400:
            path.unlink()
        elif path.suffix != ".gz":
            _compress(path)


def _compress(path: Path) -> None:
    """Whole and synced under its new name before the old one goes; the time of the last write is kept."""
    packed = path.with_name(path.name + ".gz")
    part = path.with_name(path.name + ".gz.part")
    with path.open("rb") as source, part.open("wb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, 1 << 18)
        file.flush()
        os.fsync(file.fileno())
    shutil.copystat(path, part)
    os.replace(part, packed)
    sync_directory(path.parent)
    path.unlink()
