"""`record` against the simulator: what was recorded is proven, replayed, questioned, and taken by a backtest."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tradeserver.lab.processes import Simulator, tradeserver

pytestmark = pytest.mark.system

SYMBOL = "BTC/USDT"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("record")
    simulator = Simulator(folder)
    urls = simulator.urls
    environ = {
        "TRADESERVER__VENUES__BINANCE__SETTINGS__REST_URL": urls["binance"]["rest"],
        "TRADESERVER__VENUES__BINANCE__SETTINGS__STREAM_URL": urls["binance"]["stream"],
        "TRADESERVER__VENUES__BINANCE__SETTINGS__WS_API_URL": urls["binance"]["ws_api"],
        "TRADESERVER__VENUES__KUCOIN__SETTINGS__REST_URL": urls["kucoin"]["rest"],
        "TRADESERVER__VENUES__KUCOIN__SETTINGS__ORDER_ENTRY_URL": urls["kucoin"]["ws_orders"],
    }
    try:
        words = ("--out", str(folder / "tape"), "--symbol", SYMBOL, "--seconds", "8", "--json")
        made = tell("record", "config/paper.toml", *words, environ=environ)
        assert made["inputs"] > 200
    finally:
        simulator.child.stop()
    return folder / "tape"


def tell(*words: str, environ: dict[str, str] | None = None, code: int = 0) -> Any:
    done = subprocess.run(
        tradeserver(*words),
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_it_is_proven(recording: Path) -> None:
    proof = tell("data", "verify", str(recording), "--json")
    assert proof["equal"]
    assert proof["gaps"] == 0
    assert proof["top_of_book"]["matched"] == proof["top_of_book"]["checked"] > 0
    assert len(proof["books"]) == 2


def test_it_can_be_stopped_and_questioned(recording: Path) -> None:
    half = tell("replay", str(recording), "--until", "+5", "--json")
    assert half["mismatch"] is None
    assert half["digests"] > 0
    whole = tell("replay", str(recording), "--json")
    assert half["inputs"] < whole["inputs"]
    books = half["at"]["books"]
    assert [book["trust"] for book in books] == ["synced", "synced"]
    assert all(book["bid"] < book["ask"] for book in books)


def test_it_is_data_for_a_backtest(recording: Path, tmp_path: Path) -> None:
    made = tell("data", "import", str(recording), "--out", str(tmp_path / "data"), "--json")
    assert made["kind"] == "run"
    file = tmp_path / "b.toml"
    file.write_text(
        f'symbols = ["{SYMBOL}"]\n[backtest]\ndata = ["data"]\n'
        "[backtest.venues.binance]\nbalances = {USDT = 10000, BTC = 1}\n"
        "[backtest.venues.kucoin]\nbalances = {USDT = 10000, BTC = 1}\n"
        '[[strategies]]\nname = "cross_arb"\n[strategies.params]\nwatch_bps = 0.0\n'
    )
    summary = tell("backtest", str(file), "--out", str(tmp_path / "out"), "--json")
    assert summary["events"] == made["events"]
    assert summary["figures"]["mode"] == "backtest"


def test_a_damaged_recording_is_named_and_the_rest_read(recording: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tape"
    copy.mkdir()
    (file,) = recording.glob("*.tape")
    content = bytearray(file.read_bytes())
    content[-len(content) // 3] ^= 0xFF
    (copy / file.name).write_bytes(content)
    done = subprocess.run(
        tradeserver("data", "verify", str(copy)), capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1
    assert "is damaged at byte" in done.stderr
