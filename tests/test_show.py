"""Tables for people: whole words at 80 columns, everything in a pipe, and a note of what did not fit."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tradeserver.cli import cells, show

TODAY_NS = time.time_ns()
ORDER = {
    "client_id": "D0D1xUXAj0000G100",
    "venue": "binance",
    "symbol": "BTC/USDT",
    "side": "sell",
    "quantity": "0.1253742",
    "price": "64009.82",
    "state": "filled",
    "executed": "0.1253742",
    "arbitrage": 16,
    "leg": 1,
    "attempt": 0,
    "submitted_ns": TODAY_NS,
    "reason": "",
}
FILL = {
    "venue": "binance",
    "symbol": "BTC/USDT",
    "side": "buy",
    "quantity": "0.1253742",
    "price": "64009.82",
    "commission": "0.0000062500",
    "commission_asset": "USDT",
    "arbitrage": 16,
    "trade_id": "1000123",
    "ts_ns": TODAY_NS,
}
OPPORTUNITY = {
    "opportunity": 3210,
    "opened_ns": TODAY_NS,
    "symbol": "BTC/USDT",
    "buy_venue": "binance",
    "sell_venue": "kucoin",
    "peak_gross_bps": 29.537875178655693,
    "peak_net_bps": -18.537875178655693,
    "peak_quantity": 2269.2000000001,
    "duration_ns": 3_360_225_852,
    "taken": False,
    "reason": "BOOK_SNAPSHOTTING kucoin",
}
ALERT = {
    "ts_ns": TODAY_NS,
    "severity": "critical",
    "code": "KILL_UNPROVEN",
    "text": "The kill switch could not prove that nothing is open at kucoin: it did not answer within two seconds.",
}


def shown(capsys: pytest.CaptureFixture[str], kind: str, rows: list[dict[str, Any]]) -> str:
    show.as_table(kind, {"rows": rows, "sequence": 7})
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "row", "whole"),
    [
        ("orders", ORDER, ["0.1253742", "64009.82", "BTC/USDT", "filled"]),
        ("fills", FILL, ["0.1253742", "64009.82", "0.00000625", "USDT"]),
        ("opportunities", OPPORTUNITY, ["29.54", "-18.54", "binance", "BOOK_SNAPSHOTTING"]),
        ("alerts", ALERT, ["critical", "KILL_UNPROVEN", "kucoin: it did not"]),
    ],
)
def test_eighty_columns_hold_whole_words(
    kind: str,
    row: dict[str, Any],
    whole: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = shown(capsys, kind, [row, row])
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 80
    assert [word for word in whole if word not in out] == []
    assert "as of sequence 7" in out


def test_what_did_not_fit_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = shown(capsys, "orders", [ORDER])
    assert "not shown at this width: client id, try, leg" in out
    assert ORDER["client_id"] not in out


def test_a_pipe_gets_everything_in_one_line_a_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    out = shown(capsys, "orders", [ORDER | {"reason": "words " * 40}])
    assert "not shown" not in out
    (line,) = [line for line in out.splitlines() if "binance" in line]
    assert ORDER["client_id"] in line
    assert line.count("words") == 40


def test_empty_columns_are_left_out_and_no_rows_are_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert "reason" not in shown(capsys, "orders", [ORDER])
    assert shown(capsys, "alerts", []).startswith("none\n")


def test_another_days_time_has_its_date() -> None:
    assert cells.clock(1_600_000_000_123_456_789) == "2020-09-13 12:26:40"
    assert len(cells.clock(TODAY_NS)) == len("12:26:40.123")
    assert cells.clock(0) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [("6.54356758193156", "6.5436"), ("0.0000062500", "0.00000625"), ("0", "0.0000"), ("-3203.17", "-3203.1700")],
)
def test_money_is_rounded_for_people(value: str, text: str) -> None:
    assert cells.rounded(value) == text


def test_facts_move_units_from_names_to_values(capsys: pytest.CaptureFixture[str]) -> None:
    show.as_facts({"duration_ns": 3_360_225_852, "peak_net_bps": 9.53787, "taken": True, "links": [{"up": 1}]})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[:3] == [["duration", "3,360.2", "ms"], ["peak", "net", "9.54", "bps"], ["taken", "yes"]]
