"""Tapes: what is written is read; damage costs its block and one sentence, never the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradeserver.core.events import BookDelta, BookInvalid, BookSnapshot, Event
from tradeserver.runtime.datasets import DataSet, DataSetWriter, header_of, merged
from tradeserver.runtime.journal import INPUT, JournalError
from tradeserver.runtime.tape import LOST, TapeSettings, TapeWriter, count_entries, read_tape

SMALL = TapeSettings(block_bytes=1_000)
HEADER = header_of("made by hand", ["x"], ["A/B"], 1)


def write(folder: Path, count: int, settings: TapeSettings = SMALL) -> list[bytes]:
    tape = TapeWriter(folder, HEADER, settings)
    tape.source(3, "x/market")
    texts = [f"frame {n} {n * 7919 % 1000}".encode() for n in range(count)]
    for n, text in enumerate(texts):
        tape.input(1_000 + n * 1_000_000_000, 3, text)
    tape.close()
    assert not tape.failed
    return texts


def read(folder: Path) -> tuple[list[bytes], list[str]]:
    said: list[str] = []
    _, entries = read_tape(folder, said.append)
    return [entry.data for entry in entries if entry.kind == INPUT], said


def test_what_was_written_is_read(tmp_path: Path) -> None:
    texts = write(tmp_path, 500)
    header, entries = read_tape(tmp_path)
    assert (header.venues, header.symbols, header.origin) == (("x",), ("A/B",), "made by hand")
    found = [(entry.source, entry.ts, entry.data) for entry in entries if entry.kind == INPUT]
    assert found == [(3, 1_000 + n * 1_000_000_000, text) for n, text in enumerate(texts)]
    assert count_entries(tmp_path) >= 500


def test_files_are_rotated_by_age_and_each_can_be_read_alone(tmp_path: Path) -> None:
    texts = write(tmp_path, 500, TapeSettings(block_bytes=1_000, file_s=100.0))
    files = sorted(tmp_path.iterdir())
    assert len(files) > 3
    assert read(tmp_path) == (texts, [])
    files[0].unlink()
    rest, said = read(tmp_path)
    assert texts[-len(rest) :] == rest
    assert not said


def test_files_are_rotated_by_size(tmp_path: Path) -> None:
    texts = write(tmp_path, 500, TapeSettings(block_bytes=1_000, file_bytes=2_000))
    assert len(list(tmp_path.iterdir())) > 2
    assert read(tmp_path)[0] == texts


@pytest.mark.parametrize("place", [30, 700, 1_500])
def test_a_flipped_byte_costs_its_block_and_a_sentence(tmp_path: Path, place: int) -> None:
    texts = write(tmp_path, 500)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[place] ^= 0xFF
    file.write_bytes(content)
    found, said = read(tmp_path)
    assert len(said) == 1
    assert "damaged at byte" in said[0]
    assert "what follows it is read" in said[0]
    assert 350 < len(found) < 500
    assert set(found) <= set(texts)
    assert found[-1] == texts[-1]


def test_a_file_that_is_cut_short_gives_what_is_there(tmp_path: Path) -> None:
    texts = write(tmp_path, 500)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    found, said = read(tmp_path)
    assert found == texts[: len(found)]
    assert len(found) > 350
    assert len(said) == 1
    assert "its end is missing" in said[0]


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "00000.tape").touch()
    with pytest.raises(JournalError, match="no header that can be read"):
        read_tape(tmp_path)


def test_a_folder_without_a_tape_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no tape"):
        read_tape(tmp_path)


def delta(ts: int, price: float) -> BookDelta:
    return BookDelta(ts=ts, venue="x", symbol="A/B", update_id=ts, bids=[(price, 1.0)], asks=[])


def test_a_hole_takes_the_trust_from_every_book(tmp_path: Path) -> None:
    writer = DataSetWriter(tmp_path, HEADER, TapeSettings(block_bytes=1_000))
    for n in range(1, 400):
        writer.put(delta(n, 100.0 + n * 7919 % 1000))
    writer.close()
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    data = DataSet(tmp_path)
    events = list(data.events())
    (at,) = [n for n, event in enumerate(events) if isinstance(event, BookInvalid)]
    assert 0 < at < len(events) - 1
    assert events[at].ts == events[at - 1].ts
    assert len(data.troubles) == 1


def test_stamps_never_fall(tmp_path: Path) -> None:
    writer = DataSetWriter(tmp_path, HEADER)
    for ts in (5, 7, 6, 8):
        writer.put(delta(ts, 1.0))
    writer.close()
    data = DataSet(tmp_path)
    assert [event.ts for event in data.events()] == [5, 7, 8]
    assert data.troubles == [f"{tmp_path}: 1 events older than the one before them were left out"]


def test_data_sets_are_merged_by_time(tmp_path: Path) -> None:
    for name, stamps in (("a", (1, 4, 6)), ("b", (2, 4, 5))):
        writer = DataSetWriter(tmp_path / name, HEADER)
        for ts in stamps:
            event: Event = BookSnapshot(ts=ts, venue=name, symbol="A/B", update_id=1, bids=[], asks=[])
            writer.put(event)
        writer.close()
    events = merged([DataSet(tmp_path / name) for name in ("a", "b")])
    assert [(e.ts, e.venue) for e in events if isinstance(e, BookSnapshot)] == [
        (1, "a"),
        (2, "b"),
        (4, "a"),
        (4, "b"),
        (5, "b"),
        (6, "a"),
    ]


def test_a_lost_block_is_an_entry_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, 500)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[700] ^= 0xFF
    file.write_bytes(content)
    assert [entry.kind for entry in read_tape(tmp_path)[1]].count(LOST) == 1
