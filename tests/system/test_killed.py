"""Short form of acceptance item 8: the daemon is killed and restarted a few times. See lab/acceptance/killed.py.

A kill between the log's write and the send leaves an order of which the venue never hears: proving that takes the
bound after which it cannot appear any more, some twenty seconds, so this test is slow when it strikes there.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tradeserver.lab.acceptance.killed import RECOVERED_WITHIN_S, describe, kill_and_restart

pytestmark = pytest.mark.system

KILLS = 3


@pytest.mark.timeout(180)
def test_after_kills_log_ledger_and_venue_agree(tmp_path: Path) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}: tradeserver.lab.acceptance.killed.kill_and_restart(folder, {KILLS}, {seed})")
    result = kill_and_restart(tmp_path, KILLS, seed)
    print(describe(result))
    assert result.kills == KILLS
    assert max(result.ready_s) < RECOVERED_WITHIN_S
