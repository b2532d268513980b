"""Chaos in short: a case of each row, pairs at random, two random worlds, and kill -9 at the eight fixed boundaries.

`tradeserver chaos`, with `--random` and `--kill`, runs all of it.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tradeserver.lab.chaos import killing, matrix, randomised
from tradeserver.lab.chaos.boundaries import POINTS
from tradeserver.lab.chaos.scene import Case

pytestmark = pytest.mark.system


def test_a_case_of_each_row_and_five_pairs() -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}: tradeserver.lab.chaos.matrix.judge(number, 1)")
    pairs = [n for n, case in enumerate(matrix.CASES) if isinstance(case, Case) and case.pair]
    numbers = [*matrix.wanted((), short=True), *random.Random(seed).sample(pairs, 5)]
    results = [matrix.judge(number) for number in numbers]
    assert [f"{r.row} {r.name}: {r.why}" for r in results if not r.passed] == []
    assert len({r.row for r in results}) == sum(1 for row in matrix.ROWS if row.cases)


def test_random_worlds() -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seeds {seed}, {seed + 1}: tradeserver.lab.chaos.randomised.world(seed, 6.0)")
    total = randomised.Verdict()
    for number in (seed, seed + 1):
        total.add(randomised.world(number, 6.0))
    assert total.why == []
    assert total.two_sends >= total.attempts / 2 > 0


@pytest.mark.timeout(400)
def test_kill_at_each_of_the_eight_boundaries(tmp_path: Path) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}: tradeserver.lab.chaos.killing.kill_at(list(POINTS), seed, folder)")
    found = killing.kill_at(list(POINTS), seed, tmp_path).report()
    assert found["wrong"] == []
    assert found["by_point"] == dict.fromkeys(POINTS, 1)
    assert (found["unknown_orders"], found["double_fills"], found["ledger_equal"]) == (0, 0, True)
    assert found["max_recovery_s"] < killing.RECOVERED_WITHIN_S
