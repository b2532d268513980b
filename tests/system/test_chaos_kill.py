"""kill -9 of the real daemon at the eight fixed boundaries, over real sockets; `tradeserver chaos --kill N` goes on.

A kill between the log's write and the send leaves an order of which the venue never hears: to prove that takes the
bound after which it cannot appear any more, so some of these points take twenty seconds.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tradeserver.lab.chaos import killing
from tradeserver.lab.chaos.boundaries import POINTS

pytestmark = pytest.mark.system


@pytest.mark.timeout(400)
def test_kill_at_each_of_the_eight_boundaries(tmp_path: Path) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}: tradeserver.lab.chaos.killing.kill_at(list(POINTS), seed, folder)")
    found = killing.kill_at(list(POINTS), seed, tmp_path).report()
    assert found["wrong"] == []
    assert found["by_point"] == dict.fromkeys(POINTS, 1)
    assert (found["unknown_orders"], found["double_fills"], found["ledger_equal"]) == (0, 0, True)
    assert found["max_recovery_s"] < killing.RECOVERED_WITHIN_S
