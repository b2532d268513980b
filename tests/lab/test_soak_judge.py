"""The judge of the soak must be able to say no."""

from __future__ import annotations

from typing import Any

import pytest

from tradeserver.lab.soak import ALL_PROCESSES, faults, growth, misplaced

HELD = {"rss_mb": 90.0, "threads": 9.0, "files": 30.0, "sockets": 15.0}


def run(**last: float) -> list[dict[str, Any]]:
    """A hundred samples of all processes; the daemon ends with `last`, reached evenly."""
    samples = []
    for n in range(100):
        processes = {name: dict(HELD) for name in ALL_PROCESSES}
        processes["daemon"]["tasks"] = 13.0
        for what, end in last.items():
            begin = processes["daemon"][what]
            processes["daemon"][what] = begin + (end - begin) * n / 99
        samples.append({"at_s": 10.0 * n, "inputs": n, "processes": processes})
    return samples


def judged(samples: list[dict[str, Any]], lost: int = 0) -> list[str]:
    return faults(samples, growth(samples, 100.0), lost, [])


def test_a_flat_run_is_good() -> None:
    assert judged(run()) == []


@pytest.mark.parametrize(
    ("what", "end"), [("rss_mb", 110.0), ("threads", 12.0), ("files", 60.0), ("sockets", 40.0), ("tasks", 20.0)]
)
def test_what_grows_is_named(what: str, end: float) -> None:
    assert [line for line in judged(run(**{what: end})) if line.startswith(f"daemon: {what} grew")]


def test_a_leap_before_the_warm_up_is_no_growth() -> None:
    samples = run()
    for sample in samples[:10]:
        sample["processes"]["daemon"]["rss_mb"] = 40.0
    assert judged(samples) == []


def test_lost_sequences_unmeasured_processes_and_silence_are_faults() -> None:
    assert judged(run(), lost=3)
    without_guard = run()
    for sample in without_guard:
        del sample["processes"]["guard"]
    assert judged(without_guard) == ["the guard was not measured"]
    silent = [sample | {"inputs": 5} for sample in run()]
    assert judged(silent) == ["the daemon took no input"]
    assert judged([])


@pytest.mark.parametrize(("seen", "count"), [([1, 2, 3], 0), ([1, 3], 1), ([1, 2, 2, 3], 1), ([1, 3, 2], 1), ([], 3)])
def test_misplaced_sequences_are_counted(seen: list[int], count: int) -> None:
    assert misplaced(seen, 3) == count
