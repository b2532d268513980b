"""What the fault matrix must hold, and its judge judged: with a rule of the product switched off its case goes red.

A case of each row is played in tests/system/test_chaos.py; `tradeserver chaos` plays all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.fates import Fates
from tradeserver.core.ledger import Ledger
from tradeserver.core.orders import Stimulus
from tradeserver.core.states import States
from tradeserver.lab.chaos import judge, matrix
from tradeserver.lab.chaos.pairs import FIRSTS, SECONDS
from tradeserver.lab.chaos.rows import Drill
from tradeserver.lab.chaos.scene import Case, play
from tradeserver.lab.chaos.tier_a import ROW_2, ROW_3, ROW_9
from tradeserver.lab.chaos.tier_d import ROW_50

MAY_BE_LATER = frozenset({29, 30, 35, 36, 38, 39, 40, *range(42, 47)})
MAY_BE_HALTED = frozenset({12, 15, 31, 32, 40})


def test_every_row_is_there_once_and_only_the_permitted_ones_wait() -> None:
    assert [row.number for row in matrix.ROWS] == list(range(1, 51))
    assert {row.number for row in matrix.ROWS if row.later} <= MAY_BE_LATER
    assert all(row.cases or row.later for row in matrix.ROWS)


def test_every_pair_is_there() -> None:
    found = {(case.row, case.pair) for case in matrix.CASES if isinstance(case, Case) and case.pair}
    assert found == {(one, two) for one in FIRSTS for two in SECONDS}
    assert (FIRSTS, SECONDS) == ((2, 3, 5, 9, 10), (1, 13, 16, 27, 31, 34))


def test_a_halt_is_an_end_only_where_the_row_says_so() -> None:
    for case in matrix.CASES:
        halts = case.end == "halted" if isinstance(case, Drill) else bool(case.halted)
        assert not halts or {case.row, getattr(case, "pair", 0)} & MAY_BE_HALTED, case.name


# ---- a test that cannot fail is none ---------------------------------------------------------------------------------


def case(row: Any, name: str) -> Case:
    (found,) = (c for c in row.cases if isinstance(c, Case) and name in c.name)
    return found


def refused_leg() -> Case:
    return case(ROW_3, "binance refuses every order")


def test_it_fails_without_hedges() -> None:
    lame = ExecutionPolicy(ladder_bps=(), unwind_attempts=0)
    result = play(_with(refused_leg(), setup=lambda setup: replace(setup, execution=lame)))
    assert not result.passed
    assert result.exposure > 100


def test_it_fails_where_a_fill_is_lost_and_called_external(monkeypatch: pytest.MonkeyPatch) -> None:
    """The venue's figure is booked in the end: the ledgers agree, and all the same something was wrong."""
    monkeypatch.setattr(Ledger, "apply_fill", lambda self, record: None)
    result = play(case(ROW_9, "everything is told three times, cheap at binance"))
    assert "external" in result.why


def test_it_fails_where_a_time_out_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    move = Fates._move

    def credulous(self: Fates, order: Any, stimulus: Stimulus, **words: str) -> None:
        move(self, order, Stimulus.REFUSE if stimulus is Stimulus.DOUBT else stimulus, **words)

    monkeypatch.setattr(Fates, "_move", credulous)
    assert not play(case(ROW_2, "kucoin's answer and events come 3 s late")).passed


def test_it_fails_where_a_pause_is_not_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(States, "of", lambda self, *args: None)
    result = play(case(ROW_50, "the operator's pause outlives an orderly stop"))
    assert "an opening order in NO_NEW (pause)" in result.why


def test_the_judge_sees_the_same_order_sent_twice() -> None:
    """Of one arbitrage, leg and attempt, whatever the run."""
    networks = {"binance": _Network(["SID1uQowS0001u100", "SID1uQowg0001u100"])}
    assert [v.what for v in judge.violations(networks, "SI", [])] == ["sent twice"]  # type: ignore[arg-type]
    apart = {"binance": _Network(["SID1uQowS0001u100", "SID1uQowg0001u101"])}
    assert judge.violations(apart, "SI", []) == []  # type: ignore[arg-type]


class _Network:
    def __init__(self, client_ids: list[str]) -> None:
        self.venue = "binance"
        self.exchange = self
        self.placed = [_Placed(client_id) for client_id in client_ids]
        self.left_ns: Iterator[int] = iter(range(1, 1 + len(client_ids)))


class _Placed:
    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.symbol = "XRP/USDT"


def _with(base: Case, **changes: Any) -> Case:
    return msgspec.structs.replace(base, **changes)
