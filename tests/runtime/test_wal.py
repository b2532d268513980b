"""The write-ahead log: what is written is read again, torn anywhere, damaged anywhere, refused by the disk."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shell_kit import alert, checkpoint
from tradeserver.core.records import Checkpoint, Record
from tradeserver.runtime.frames import FRAME_HEAD, HEADER_SIZE, decode_header, encode_slot, slot_position
from tradeserver.runtime.wal import FileWal, MemoryWal, WalBusyError, WalSettings, encode_record, keep_house
from tradeserver.runtime.wal_files import WalDamagedError, list_segments, load, segment_path
from tradeserver.runtime.wal_read import Tail, read

SMALL = WalSettings(reserve_bytes=0, preallocate=False)


def opened(directory: Path, config: WalSettings = SMALL) -> tuple[FileWal, list[tuple[int, Record]]]:
    wal = FileWal(directory, config)
    found = list(wal.recover())
    wal.begin(checkpoint(ts=5, number=wal.seq + 1))
    return wal, found


def write(wal: FileWal, *numbers: int) -> None:
    assert wal.write([encode_record(alert(n)) for n in numbers])


def records_in(directory: Path) -> list[tuple[int, Record]]:
    return list(read(directory))


def set_synced(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        for turn in (0, 1):
            file.seek(slot_position(turn))
            file.write(encode_slot(position))


def make_log(directory: Path, count: int = 4) -> tuple[Path, bytes, list[int]]:
    """One segment, nothing marked as synced: (path, bytes, ends of the frames)."""
    wal, _ = opened(directory)
    ends = []
    for number in range(1, count + 1):
        write(wal, number)
        ends.append(wal._segment.offset)
    wal.close()
    path = segment_path(directory, 1)
    set_synced(path, 0)
    return path, path.read_bytes(), ends


# ---- round trip -----------------------------------------------------------------------------------------------------


def test_what_is_written_is_recovered_in_order(tmp_path: Path) -> None:
    wal, found = opened(tmp_path)
    assert found == []
    write(wal, 1, 2)
    write(wal, 3)
    wal.close()
    wal, found = opened(tmp_path)
    assert [(seq, type(r).__name__) for seq, r in found] == [
        (0, "Checkpoint"),
        (1, "Alert"),
        (2, "Alert"),
        (3, "Alert"),
    ]
    assert found[0][1] == checkpoint(ts=5, number=1)
    assert [r for _, r in found[1:]] == [alert(1), alert(2), alert(3)]
    write(wal, 4)
    wal.close()
    wal, found = opened(tmp_path)
    assert [(seq, r) for seq, r in found[1:]] == [(4, alert(4))]  # after the checkpoint of the second run
    wal.close()
    assert records_in(tmp_path) == [(n, alert(n)) for n in (1, 2, 3, 4)]


def test_checkpoints_take_no_sequence_number_and_restarts_without_records_replace_their_segment(tmp_path: Path) -> None:
    for _ in range(3):
        wal, _ = opened(tmp_path)
        wal.close()
    assert [p.name for p in list_segments(tmp_path)] == ["wal-00000000000000000001.log"]
    wal, _ = opened(tmp_path)
    write(wal, 1)
    assert wal.seq == 1
    assert wal.roll(checkpoint(number=9))
    assert wal.seq == 1
    write(wal, 2)
    wal.close()
    wal, found = opened(tmp_path)
    wal.close()
    assert [seq for seq, _ in found] == [1, 2]
    assert isinstance(found[0][1], Checkpoint)
    assert found[0][1].next_arbitrage == 9


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    wal, _ = opened(tmp_path)
    with pytest.raises(WalBusyError, match="another process"):
        FileWal(tmp_path, SMALL)
    wal.close()
    opened(tmp_path)[0].close()


def test_preallocated_space_is_an_end_and_not_damage(tmp_path: Path) -> None:
    config = WalSettings(reserve_bytes=0, segment_bytes=1 << 16)
    wal, _ = opened(tmp_path, config)
    write(wal, 1)
    path = segment_path(tmp_path, 1)
    assert path.stat().st_size == 1 << 16
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(path, copy)  # as it stands at kill -9
    wal.close()
    wal, found = opened(copy, config)
    assert [r for _, r in found[1:]] == [alert(1)]
    assert wal.repairs == []
    wal.close()


# ---- torn and damaged -----------------------------------------------------------------------------------------------


def test_torn_at_every_byte_behind_the_synced_position_is_cut_and_kept(tmp_path: Path) -> None:
    path, data, ends = make_log(tmp_path / "log", 3)
    begin = HEADER_SIZE + FRAME_HEAD.size + len(encode_record(checkpoint(ts=5, number=1)))
    for size in range(begin, len(data)):
        directory = tmp_path / str(size)
        directory.mkdir()
        (directory / path.name).write_bytes(data[:size])
        wal, found = opened(directory)
        wal.close()
        whole = sum(end <= size for end in ends)
        assert [r for _, r in found[1:]] == [alert(n) for n in range(1, whole + 1)], size
        last = max([begin, *[end for end in ends if end <= size]])
        kept = list(directory.glob("*.cut-*"))
        if size == last:
            assert not kept
            assert wal.repairs == []
        else:
            assert [k.read_bytes() for k in kept] == [data[last:size].rstrip(b"\0")]
            assert "cut at byte" in wal.repairs[0]
        shutil.rmtree(directory)


def test_a_newest_segment_without_a_whole_checkpoint_is_set_aside_at_every_byte(tmp_path: Path) -> None:
    wal, _ = opened(tmp_path / "log")
    write(wal, 1)
    wal.roll(checkpoint(number=2))
    wal.close()
    old, new = (p.read_bytes() for p in list_segments(tmp_path / "log"))
    unsynced = bytearray(new)
    for turn in (0, 1):
        unsynced[slot_position(turn) : slot_position(turn) + 12] = encode_slot(0)
    for size in [0, *range(HEADER_SIZE, len(new))]:
        directory = tmp_path / str(size)
        directory.mkdir()
        segment_path(directory, 1).write_bytes(old)
        segment_path(directory, 2).write_bytes(bytes(unsynced[:size]))
        wal, found = opened(directory)
        wal.close()
        assert [r for _, r in found[1:]] == [alert(1)], size
        assert "set aside" in wal.repairs[0]
        assert len(list(directory.glob("*.discarded"))) == 1
        shutil.rmtree(directory)


def test_damage_before_the_synced_position_refuses_and_keeps_a_copy(tmp_path: Path) -> None:
    path, data, ends = make_log(tmp_path)
    damaged = bytearray(data)
    damaged[ends[1] - 3] ^= 1
    path.write_bytes(damaged)
    set_synced(path, ends[2])
    damaged = bytearray(path.read_bytes())
    with pytest.raises(WalDamagedError, match=rf"damaged at byte {ends[0]} \(a checksum is wrong\)"):
        FileWal(tmp_path, SMALL)
    assert path.read_bytes() == damaged
    assert path.with_name(path.name + ".damaged").read_bytes() == damaged
    with pytest.raises(WalDamagedError):  # and again: nothing was changed, no lock is left
        FileWal(tmp_path, SMALL)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_shorter_than_its_synced_position_refuses(tmp_path: Path) -> None:
    path, data, ends = make_log(tmp_path)
    path.write_bytes(data[: ends[2]])
    set_synced(path, ends[3])
    with pytest.raises(WalDamagedError, match="although everything before byte"):
        FileWal(tmp_path, SMALL)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bit_flips(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any flipped bit: a record that is read is one that was written, and nothing synced is lost in silence."""
    base = tmp_path_factory.getbasetemp() / "bit-flips"
    if not base.exists():
        make_log(base)
        shutil.copy(segment_path(base, 1), base / "whole")
    path = segment_path(base, 1)
    whole = (base / "whole").read_bytes()
    ends = _ends(whole)
    flipped = bytearray(whole)
    at = data.draw(st.integers(0, len(whole) - 1), label="byte")
    flipped[at] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    synced = data.draw(st.sampled_from([0, *ends]), label="synced")
    path.write_bytes(whole)
    set_synced(path, synced)
    header = bytearray(path.read_bytes()[:HEADER_SIZE])
    if at < HEADER_SIZE:
        header[at] ^= flipped[at] ^ whole[at]
    path.write_bytes(bytes(header) + bytes(flipped[HEADER_SIZE:]))
    originals = [alert(n) for n in range(1, 5)]
    try:
        wal = FileWal(base, SMALL)
    except WalDamagedError:
        assert at < max(synced, HEADER_SIZE)
        return
    found = [r for _, r in wal.recover()]
    wal.close()
    assert found[1:] == originals[: len(found[1:])]
    survived = ends[len(found) - 1] if found else HEADER_SIZE
    assert survived >= synced, "synced records vanished"


def _ends(data: bytes) -> list[int]:
    ends, at = [], HEADER_SIZE
    while at < len(data):
        at += FRAME_HEAD.size + FRAME_HEAD.unpack_from(data, at)[0]
        ends.append(at)
    return ends


def test_one_torn_copy_of_the_synced_position_leaves_the_other(tmp_path: Path) -> None:
    path, _, ends = make_log(tmp_path)
    set_synced(path, ends[0])
    with path.open("r+b") as file:
        file.seek(slot_position(1))
        file.write(b"\xff" * 6)
    assert decode_header(path.read_bytes()).synced == ends[0]


# ---- the disk refuses -----------------------------------------------------------------------------------------------


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The kernel refuses to let any file of this process grow past it: a real short write, then EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_failed_or_short_write_cuts_back_and_closes_the_log_for_good(tmp_path: Path, room: int) -> None:
    wal, _ = opened(tmp_path)
    write(wal, 1)
    size = segment_path(tmp_path, 1).stat().st_size
    with file_size_limit(size + room):
        assert not wal.write([encode_record(alert(2)), encode_record(alert(3))])
    expected = "File too large" if room == 0 else f"only {room} of"
    assert expected in wal.failed
    assert segment_path(tmp_path, 1).stat().st_size == size
    assert wal.seq == 1
    assert not wal.write([encode_record(alert(4))]), "closed for good, although there is room again"
    assert not wal.roll(checkpoint())
    wal.close()
    wal, found = opened(tmp_path)
    wal.close()
    assert [r for _, r in found[1:]] == [alert(1)]
    assert wal.repairs == []


def test_a_roll_that_fails_leaves_the_old_segment_in_use(tmp_path: Path) -> None:
    wal, _ = opened(tmp_path)
    write(wal, 1)
    with file_size_limit(10):
        assert not wal.roll(checkpoint())
    assert "no new segment" in wal.trouble
    assert wal.failed == ""
    write(wal, 2)
    wal.close()
    assert [p.name for p in tmp_path.iterdir()] == [segment_path(tmp_path, 1).name]
    assert [seq for seq, _ in records_in(tmp_path)] == [1, 2]


def test_the_reserve_is_made_and_freed_when_the_disk_is_full(tmp_path: Path) -> None:
    config = WalSettings(reserve_bytes=1 << 16, segment_bytes=8192)
    FileWal(tmp_path, config).close()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 1 << 16
    wal = FileWal(tmp_path, config, free=lambda directory: 100)
    wal.close()
    assert not (tmp_path / "reserve").exists()
    assert "reserve" in wal.repairs[0]
    wal = FileWal(tmp_path, config, free=lambda directory: 100)
    wal.close()
    assert "no reserve left" in wal.repairs[0]


def test_kill_dash_nine_loses_nothing_that_was_written(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from shell_kit import alert, checkpoint\n"
        "from tradeserver.runtime.wal import FileWal, WalSettings, encode_record\n"
        "wal = FileWal(Path(sys.argv[1]), WalSettings(reserve_bytes=0)); list(wal.recover()); wal.begin(checkpoint())\n"
        "for n in range(1, 501): assert wal.write([encode_record(alert(n))])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parents[1])], timeout=30, check=False
    )
    assert done.returncode == -9
    wal, found = opened(tmp_path)
    wal.close()
    assert [r for _, r in found[1:]] == [alert(n) for n in range(1, 501)]


# ---- following ------------------------------------------------------------------------------------------------------


def test_a_tail_shows_synced_records_once_across_segments_and_restarts(tmp_path: Path) -> None:
    config = WalSettings(reserve_bytes=0, sync_ms=10_000)  # the test syncs by hand
    tail = Tail(tmp_path)
    assert tail.poll() == []
    wal, _ = opened(tmp_path, config)
    write(wal, 1, 2)
    assert tail.poll() == []
    assert [seq for seq, _ in Tail(tmp_path, synced_only=False).poll()] == [1, 2]
    wal._sync()
    assert tail.poll() == [(1, alert(1)), (2, alert(2))]
    assert tail.poll() == []
    write(wal, 3)
    wal.roll(checkpoint())
    write(wal, 4)
    assert tail.poll() == []
    wal._sync()
    wal._sync()
    assert [seq for seq, _ in tail.poll()] == [3, 4]
    wal.close()
    for _ in range(2):  # the second of these replaces the segment of the first, which has no record
        wal, _ = opened(tmp_path, config)
        assert tail.poll() == []
        wal.close()
    wal, _ = opened(tmp_path, config)
    write(wal, 5)
    wal._sync()
    assert tail.poll() == [(5, alert(5))]
    wal.close()
    assert [seq for seq, _ in Tail(tmp_path, after_seq=3).poll()] == [4, 5]
    assert [seq for seq, _ in Tail(tmp_path).poll(most=2)] == [1, 2]


def test_the_background_thread_publishes_what_is_on_the_disk(tmp_path: Path) -> None:
    wal, _ = opened(tmp_path, WalSettings(reserve_bytes=0, sync_ms=1))
    tail = Tail(tmp_path)
    write(wal, 1)
    found: list[tuple[int, Record]] = []
    while not found:  # bounded by the test's time-out
        found = tail.poll()
    assert found == [(1, alert(1))]
    wal.close()


def test_a_large_record_and_many_small_ones(tmp_path: Path) -> None:
    wal, _ = opened(tmp_path)
    large = alert(1, "x" * 3_000_000)
    assert wal.write([encode_record(large)])
    wal.write([encode_record(alert(n)) for n in range(2, 3000)])
    wal.close()
    found = records_in(tmp_path)
    assert found[0] == (1, large)
    assert [seq for seq, _ in found] == list(range(1, 3000))


def test_old_segments_are_compressed_once_every_relay_is_past_them_and_are_still_read(tmp_path: Path) -> None:
    positions = [10]
    wal = FileWal(tmp_path, SMALL, positions=lambda: positions)
    list(wal.recover())
    wal.begin(checkpoint())
    for first in (1, 11, 21, 31):
        write(wal, *range(first, first + 10))
        wal.roll(checkpoint())
    wal.close()
    keep_house(tmp_path, 0, positions, 1e10)
    assert [p.suffix for p in list_segments(tmp_path)] == [".gz", ".log", ".log", ".log", ".log"]
    keep_house(tmp_path, 0, [100], 1e10)
    assert [p.suffix for p in list_segments(tmp_path)] == [".gz", ".gz", ".gz", ".log", ".log"]
    assert [seq for seq, _ in records_in(tmp_path)] == list(range(1, 41))
    keep_house(tmp_path, 1, [19], 4e10)
    assert [seq for seq, _ in read(tmp_path, 10)] == list(range(11, 41)), "the relay's segment was deleted"
    with pytest.raises(WalDamagedError, match="records 6 to 10 are gone"):
        list(read(tmp_path, 5))


SELDOM = WalSettings(reserve_bytes=0, preallocate=False, sync_ms=3_600_000)
"""The disk is slow: nothing is synced before the end."""


def rolled(directory: Path, segments: int) -> FileWal:
    """A log of several segments of two records each, none of them synced but for its first moment."""
    wal, _ = opened(directory, SELDOM)
    for n in range(segments):
        write(wal, 2 * n + 1, 2 * n + 2)
        if n < segments - 1:
            assert wal.roll(checkpoint(ts=5, number=2 * n + 3))
    return wal


def test_a_segment_that_waits_for_the_disk_is_not_compressed(tmp_path: Path) -> None:
    """Its header does not say yet how far it is synced: packed like that, no relay would ever get past it."""
    wal = rolled(tmp_path, 5)
    keep_house(tmp_path, 0, (), 0.0)
    assert [path.suffix for path in list_segments(tmp_path)] == [".log"] * 5
    wal.close()
    keep_house(tmp_path, 0, (), 0.0)
    assert [path.suffix for path in list_segments(tmp_path)] == [".gz"] * 3 + [".log"] * 2
    assert [seq for seq, _ in Tail(tmp_path).poll()] == list(range(1, 11))


def test_a_relay_gets_past_segments_that_kill_dash_nine_left_unsynced(tmp_path: Path) -> None:
    wal = rolled(tmp_path / "log", 4)
    shutil.copytree(tmp_path / "log", tmp_path / "killed")  # what the kernel has when the process is gone
    wal.close()
    assert Tail(tmp_path / "killed").poll() == [], "nothing is synced"
    wal, found = opened(tmp_path / "killed")
    assert [seq for seq, _ in found] == [6, 7, 8]
    write(wal, 9)
    wal.close()
    assert [seq for seq, _ in Tail(tmp_path / "killed").poll()] == list(range(1, 10))


def test_an_older_segment_that_the_power_took_is_named_and_stops_nothing(tmp_path: Path) -> None:
    wal = rolled(tmp_path / "log", 3)
    shutil.copytree(tmp_path / "log", tmp_path / "torn")
    shutil.copytree(tmp_path / "log", tmp_path / "blank")
    wal.close()
    for name, keep, said in (("torn", -5, "breaks off after record 3"), ("blank", 0, "the header was never written")):
        middle = list_segments(tmp_path / name)[1]
        middle.write_bytes(middle.read_bytes()[:keep])
        wal, found = opened(tmp_path / name)
        assert [seq for seq, _ in found] == [4, 5, 6]
        assert [text for text in wal.repairs if said in text]
        keep_house(tmp_path / name, 0, (), 0.0)
        assert [path.suffix for path in list_segments(tmp_path / name)[:2]] == [".log", ".log"]
        wal.close()


def test_damage_in_a_sealed_segment_is_not_an_end(tmp_path: Path) -> None:
    wal, _ = opened(tmp_path)
    write(wal, 1, 2, 3)
    wal.roll(checkpoint())
    write(wal, 4)
    wal.close()
    path = segment_path(tmp_path, 1)
    data = bytearray(load(path))
    data[-5] ^= 4
    path.write_bytes(data)
    with pytest.raises(WalDamagedError, match="checksum"):
        records_in(tmp_path)


def test_the_log_rolls_by_size_on_idle_moments(tmp_path: Path) -> None:
    wal, _ = opened(tmp_path, WalSettings(reserve_bytes=0, segment_bytes=4200))
    asked = []

    def state() -> Checkpoint:
        asked.append(wal.seq)
        return checkpoint()

    for number in range(1, 121):
        write(wal, number)
        wal.idle(state)
    wal.close()
    assert len(asked) == len(list_segments(tmp_path)) - 1 == 2  # 120 frames of some 96 bytes
    assert [seq for seq, _ in records_in(tmp_path)] == list(range(1, 121))


# ---- the twin -------------------------------------------------------------------------------------------------------


def test_the_twin_in_memory_keeps_the_same_promises() -> None:
    wal = MemoryWal(segment_records=2)
    assert wal.write([b"a", b"b"])
    wal.idle(checkpoint)
    assert [seq for seq, _ in wal.checkpoints] == [2]
    wal.failed = "disk full"
    assert not wal.write([b"c"])
    assert wal.payloads == [b"a", b"b"]
    assert wal.seq == 2


def test_the_directory_may_not_be_writable(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        target = Path("/proc/nowhere")  # even root cannot create a directory there
    else:
        tmp_path.chmod(0o500)
        target = tmp_path / "wal"
    with pytest.raises(OSError, match=r"."):
        FileWal(target, SMALL)
