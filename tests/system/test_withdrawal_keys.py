"""A key that may withdraw is not started with: the real daemon against the real simulator, venue by venue."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from tradeserver.lab.drill import simulator_toml
from tradeserver.lab.processes import SECRETS, Simulator, free_port, tradeserver, write_config
from tradeserver.simulator.config import SimConfig, default_config

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.mark.parametrize("venue", ["binance", "kucoin"])
def test_a_key_that_may_withdraw_is_not_started_with(venue: str, tmp_path: Path) -> None:
    wanted = msgspec.to_builtins(default_config())
    wanted["venues"][venue]["accounts"][0]["keys"][0]["permissions"] = ["read", "trade", "withdraw"]
    (tmp_path / "simulator.toml").write_text(simulator_toml(msgspec.convert(wanted, SimConfig)))
    simulator = Simulator(tmp_path, [str(tmp_path / "simulator.toml")], patience_s=60)
    try:
        config = write_config(tmp_path, simulator.urls, free_port())
        done = subprocess.run(tradeserver("run", str(config)), capture_output=True, text=True, timeout=60)
    finally:
        simulator.child.stop()
    assert done.returncode == 78, done.stderr
    assert f"the key of {venue} may withdraw money" in done.stderr
    assert '"started"' not in done.stdout + done.stderr, "nothing else was opened"
    assert not any(secret in done.stdout + done.stderr for file, secret in SECRETS.items() if "key" not in file)
