"""The stopwatch still finds what it measures: the daemon under its wrappers, one leg and two, and the floor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tradeserver.lab.bench import world
from tradeserver.lab.bench.figures import frame_to_last_send, paced, writes_while_syncing
from tradeserver.lab.bench.profile import stages
from tradeserver.lab.bench.trader import SYNC, WRITE

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def test_the_daemon_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cores = sorted(os.sched_getaffinity(0))  # beside other tests nobody has a core of his own
    monkeypatch.setattr(world, "TRADER_CORES", cores)
    monkeypatch.setattr(world, "OTHER_CORES", cores)
    nats, port = world.nats(tmp_path)
    peer = world.Peer(tmp_path)
    try:
        floor = world.Floor(peer, tmp_path)
        assert paced(peer, 1_000, 0.3)["latencies"], "the floor sends on the same ticks"
        floor.stop()
        trader = world.Trader(tmp_path / "trader", peer, port, look="stages")
        try:
            assert len(trader.children()) == 2, "relay and guard are on"
            block = paced(peer, 500, 0.6)
        finally:
            samples = trader.stop()
    finally:
        peer.stop()
        nats.stop()
    assert block["latencies"]
    assert block["orders"] >= 2
    assert frame_to_last_send(samples, block["start"], block["last_order"], legs=2)
    found = stages(samples, block["start"], block["last_order"])
    assert all(stage.p50 > 0 for stage in found), found
    kinds = set(samples[::3])
    assert {WRITE, SYNC} <= kinds
    assert len(writes_while_syncing(samples, 0)) <= sum(kind == WRITE for kind in samples[::3])
