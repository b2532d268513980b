"""The whole house for some seconds: a good end, a replay that is equal, and answers to every question afterwards."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tradeserver.core.records import Record
from tradeserver.lab.acceptance.balanced import check_exposure, check_totals, demo
from tradeserver.lab.demo import leftover_processes
from tradeserver.lab.processes import tradeserver
from tradeserver.services import layout

pytestmark = pytest.mark.system

SECONDS = 30  # on an idle machine ten do; a busy one misses the first opportunities
ROWS = ["orders", "fills", "balances", "arbitrages", "opportunities", "pnl", "pnl --by day", "pnl --by symbol"]
ROWS += ["pnl --by venue", "why"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "house"


@pytest.fixture(scope="module")
def records(folder: Path) -> list[Record]:
    """A demo on the default market, which must end well (exit 0: ledger equal, nothing open, three completed)."""
    return demo(folder, seed=1, seconds=SECONDS)


def ask(folder: Path, *words: str) -> tuple[int, str, str]:
    environ = {**os.environ, "COLUMNS": "80", "TRADESERVER_STATE": str(folder / "state")}
    done = subprocess.run(tradeserver(*words), capture_output=True, text=True, timeout=60, env=environ)
    return done.returncode, done.stdout, done.stderr


def test_the_summary_has_all_that_is_promised_and_nothing_is_left(records: list[Record], folder: Path) -> None:
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    assert summary["ledger_equal"] is True
    assert summary["open_orders"] == 0
    assert summary["arbitrages"]["completed"] >= 3
    assert summary["fills"] >= 6
    assert summary["opportunities"]["taken"] >= 1
    assert all(isinstance(count, int) for count in summary["opportunities"]["refused"].values())
    assert isinstance(summary["arbitrages"]["one_sided"], int)
    assert summary["pnl"].keys() == {"USDT"}
    assert isinstance(summary["pnl"]["USDT"], str), "money is text"
    assert set(summary["exposure"]) <= {"BTC", "ETH", "XRP"}
    stages = {"venue_to_frame", "frame_to_decided", "decided_to_wal", "wal_to_sent", "sent_to_ack", "ack_to_fill"}
    assert summary["latency_us"].keys() == stages
    assert leftover_processes(folder) == []


def test_every_balance_by_hand_and_no_exposure(records: list[Record], folder: Path) -> None:
    check_totals(1, records, folder)
    directions: Counter[str] = Counter()
    check_exposure(1, records, directions, {})
    assert sum(directions.values()) >= 3


def test_the_journal_replays_equal(records: list[Record], folder: Path) -> None:
    (run,) = layout.journals(folder / "state").iterdir()
    code, out, err = ask(folder, "replay", str(run), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["equal"] is True


@pytest.mark.parametrize("verb", ROWS)
def test_every_question_is_answered(verb: str, records: list[Record], folder: Path) -> None:
    code, out, err = ask(folder, *verb.split(), "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["rows"]
    assert answer["sequence"] == len(records), "the relay has delivered the log to its end"
    code, out, err = ask(folder, *verb.split())
    assert (code, err) == (0, "")
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_one_opportunity_in_full(records: list[Record], folder: Path) -> None:
    row = json.loads(ask(folder, "opportunities", "--taken", "--json")[1])["rows"][0]
    code, out, _ = ask(folder, "why", str(row["opportunity"]), "--json")
    assert code == 0
    (whole,) = json.loads(out)["rows"]
    assert [decision for decision in whole["decisions"] if decision["taken"]]
    assert whole["orders"]
    assert whole["fills"]


def test_nobody_is_running_any_more(records: list[Record], folder: Path) -> None:
    code, out, err = ask(folder, "status")
    assert (code, out) == (3, "")
    assert "no daemon is running" in err
