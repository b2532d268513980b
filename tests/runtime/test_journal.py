"""The journal: round trip, torn end, a disk that refuses, a disk that is too slow."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell_kit import checkpoint
from tradeserver.runtime.journal import (
    DIGEST,
    END,
    INPUT,
    SOURCE,
    Entry,
    FileJournal,
    JournalError,
    JournalHeader,
    JournalSettings,
    MemoryJournal,
    count_and_digest,
    prune,
    read_journal,
)

HEADER = JournalHeader("lab1", 'mode = "paper"', "abc123", checkpoint(ts=7), 99, facts={"seed": "4"})


def test_round_trip_over_several_files(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "run", HEADER, JournalSettings(file_bytes=64))
    twin = MemoryJournal()
    for each in (journal, twin):
        each.source(0, "shell")
        each.source(1, "x/market")
        for number in range(20):
            each.input(100 + number, number % 2, b"data %d" % number)
            each.flush()
        each.digest(20, b"d" * 16)
        each.end(20, b"e" * 16)
    journal.close()
    assert journal.failed == ""
    assert len(list((tmp_path / "run").iterdir())) > 5
    header, entries = read_journal(tmp_path / "run")
    assert header == HEADER
    found = list(entries)
    assert found == twin.entries
    assert [e.kind for e in found] == [SOURCE, SOURCE] + [INPUT] * 20 + [DIGEST, END]
    assert found[3] == Entry(INPUT, 1, 101, b"data 1")
    assert count_and_digest(found[-2]) == (20, b"d" * 16)


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**16 - 1), st.binary(max_size=40))))
def test_any_inputs_come_back(inputs: list[tuple[int, int, bytes]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        journal = FileJournal(Path(folder) / "run", HEADER, JournalSettings(block_bytes=50))
        for ts, source, data in inputs:
            journal.input(ts, source, data)
        journal.close()
        _, entries = read_journal(Path(folder) / "run")
        assert [(e.ts, e.source, e.data) for e in entries] == inputs


def test_a_torn_end_loses_the_last_block_only(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "run", HEADER)
    for number in range(3):
        journal.input(number, 0, b"x" * 10)
        journal.flush()
    journal.close()
    file = next((tmp_path / "run").iterdir())
    data = file.read_bytes()
    for cut in range(1, 37):  # a block of one such entry: 12 + 15 + 10 bytes
        file.write_bytes(data[:-cut])
        assert [e.ts for e in read_journal(tmp_path / "run")[1]] == [0, 1]
    file.write_bytes(data[:-38])
    assert [e.ts for e in read_journal(tmp_path / "run")[1]] == [0]


def test_damage_in_an_earlier_file_is_an_error(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "run", HEADER, JournalSettings(file_bytes=1))
    for number in range(3):
        journal.input(number, 0, b"x" * 10)
        journal.flush()
    journal.close()
    files = sorted((tmp_path / "run").iterdir())
    files[1].write_bytes(files[1].read_bytes()[:-1])
    with pytest.raises(JournalError, match="damaged"):
        list(read_journal(tmp_path / "run")[1])


def test_a_disk_that_refuses_stops_the_journal_and_nothing_else(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "run", HEADER)
    journal.input(1, 0, b"kept")
    journal.flush()
    while not (tmp_path / "run" / "00000.journal").stat().st_size or journal._handed > journal._written:
        pass
    size = (tmp_path / "run" / "00000.journal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
    try:
        journal.input(2, 0, b"lost" * 20)
        journal.flush()
        while journal._handed > journal._written:
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in journal.failed
    journal.input(3, 0, b"lost")
    journal.close()
    assert [e.data for e in read_journal(tmp_path / "run")[1]] == [b"kept"]


def test_a_directory_that_exists_or_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    journal = FileJournal(tmp_path / "run", HEADER)
    assert "File exists" in journal.failed
    journal.input(1, 0, b"x")
    journal.close()


def test_a_disk_that_is_too_slow_stops_the_journal(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "run", HEADER, JournalSettings(backlog_bytes=100))
    journal._handed += 101  # as if so much were waiting
    journal.input(1, 0, b"x")
    journal.flush()
    assert "too slow" in journal.failed
    journal.close()


def test_what_is_no_journal_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no journal"):
        read_journal(tmp_path)
    (tmp_path / "00000.journal").write_bytes(b"hello")
    with pytest.raises(JournalError, match="no header"):
        read_journal(tmp_path)


def run_of(journals: Path, name: str, age_days: float, size: int = 100, now_s: float = 1_000 * 86_400.0) -> None:
    (journals / name).mkdir(parents=True)
    for number in range(2):
        path = journals / name / f"{number:05d}.journal"
        path.write_bytes(b"x" * (size // 2))
        os.utime(path, (now_s, now_s - age_days * 86_400 - (1 - number)))


def kept(journals: Path, **limits: int) -> list[str]:
    prune(journals, JournalSettings(**limits), 1_000 * 86_400.0)
    return sorted(path.name for path in journals.iterdir())


def test_old_journals_go_and_the_last_two_runs_stay_whatever_their_age(tmp_path: Path) -> None:
    for number, age in enumerate((90, 31, 29, 1)):
        run_of(tmp_path / "a", f"run{number}", age)
    assert kept(tmp_path / "a", keep_days=30) == ["run2", "run3"]
    for number, age in enumerate((90, 80, 70)):
        run_of(tmp_path / "b", f"run{number}", age)
    assert kept(tmp_path / "b", keep_days=30) == ["run1", "run2"]


def test_the_oldest_journals_go_until_the_rest_fits(tmp_path: Path) -> None:
    for number, age in enumerate((5, 4, 3, 2)):
        run_of(tmp_path / "a", f"run{number}", age, size=100)
    assert kept(tmp_path / "a", keep_bytes=250) == ["run2", "run3"]


def test_without_limits_every_journal_stays(tmp_path: Path) -> None:
    for number in range(4):
        run_of(tmp_path / "a", f"run{number}", 4_000)
    assert len(kept(tmp_path / "a", keep_days=0, keep_bytes=0)) == 4
    assert prune(tmp_path / "nowhere", JournalSettings(), 0.0) == []
