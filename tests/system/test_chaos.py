"""Chaos in short: a case of each row, some pairs, two random worlds; `tradeserver chaos` runs it all."""

from __future__ import annotations

import random
import time

import pytest

from tradeserver.lab.chaos import matrix, randomised
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
