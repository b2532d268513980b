"""The judges of acceptance must be able to say no: a small true story, and every way in which it may be told wrong."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tradeserver.core.records import (
    BalanceBooked,
    Decision,
    FillBooked,
    OpportunityClosed,
    OrderChanged,
    OrderState,
    OrderSubmitted,
    Record,
)
from tradeserver.core.types import Side
from tradeserver.lab.acceptance.agreement import disagreements, exposure
from tradeserver.lab.acceptance.house import CheckFailedError
from tradeserver.lab.acceptance.replayed import with_one_digit_changed
from tradeserver.lab.acceptance.spread import Clock, Edges, Episode, Met, match
from tradeserver.runtime.journal import INPUT, FileJournal, JournalHeader, read_journal

D = Decimal
ORDER = "D0D1xUX4j00001000"
VENUE, SYMBOL = "binance", "XRP/USDT"


def story() -> list[Record]:
    """10 XRP bought at 2 USDT, 0.01 XRP of commission."""
    place: dict[str, Any] = {"ts": 1, "venue": VENUE, "symbol": SYMBOL, "client_id": ORDER, "arbitrage": 1, "leg": 0}
    return [
        BalanceBooked(ts=1, venue=VENUE, asset="USDT", total=D(100), previous=D(0), reason="opening"),
        OrderSubmitted(
            **place,
            attempt=0,
            side=Side.BUY,
            quantity=D(10),
            price=D("2.01"),
            time_in_force="IOC",
            opening=True,
            reserve_asset="USDT",
            reserve=D("20.1"),
        ),
        FillBooked(
            **place,
            side=Side.BUY,
            trade_id="7",
            venue_order_id="70",
            price=D(2),
            quantity=D(10),
            commission=D("0.01"),
            commission_asset="XRP",
            commission_expected=False,
            maker=False,
            venue_ts=1,
        ),
        OrderChanged(**place, state=OrderState.FILLED, executed=D(10)),
    ]


def world() -> dict[str, Any]:
    """The same at the venue, as the simulator's control API tells it."""
    order = {"venue": VENUE, "client_id": ORDER, "state": "filled", "quantity": "10", "price": "2.01", "filled": "10"}
    fill = {
        "venue": VENUE,
        "symbol": SYMBOL,
        "trade_id": 7,
        "client_id": ORDER,
        "price": "2",
        "quantity": "10",
        "commission": "0.01",
        "commission_asset": "XRP",
    }
    balances = {"USDT": {"free": "80", "locked": "0"}, "XRP": {"free": "9.99", "locked": "0"}}
    return {
        "/state": {"venues": {VENUE: {"accounts": {"main": {"balances": balances}}}}},
        "/orders": {"rows": [order]},
        "/fills": {"rows": [fill]},
        "/log": {"rows": [{"venue": VENUE, "client_id": ORDER}]},
    }


class Told:
    """A simulator that says what it is told to say."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def get(self, path: str) -> Any:
        return self.answers[path]


def wrong(records: list[Record], answers: dict[str, Any]) -> list[str]:
    return disagreements(records, Told(answers))  # type: ignore[arg-type]


def test_the_true_story_is_agreed_on() -> None:
    assert wrong(story(), world()) == []


def test_a_lost_fill_is_seen_even_where_balances_were_corrected() -> None:
    records = [record for record in story() if not isinstance(record, FillBooked)]
    for asset, total in (("USDT", "80"), ("XRP", "9.99")):
        records.append(BalanceBooked(ts=2, venue=VENUE, asset=asset, total=D(total), previous=D(0), reason="external"))
    found = wrong(records, world())
    assert len([line for line in found if line.startswith("booked as external")]) == 2
    assert any(line.startswith("fill ") for line in found)


def change(path: str, field: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(answers: dict[str, Any]) -> None:
        answers[path]["rows"][0][field] = value

    return apply


def again(answers: dict[str, Any]) -> None:
    answers["/log"]["rows"] *= 2


def poorer(answers: dict[str, Any]) -> None:
    answers["/state"]["venues"][VENUE]["accounts"]["main"]["balances"]["XRP"]["free"] = "9.98999999"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (again, "placed 2 times"),
        (poorer, "balance"),
        (change("/orders", "state", "open"), "open at the venue"),
        (change("/orders", "filled", "9"), "executed 9"),
        (change("/orders", "price", "2.02"), "at 2.02"),
        (change("/orders", "client_id", "D0D1xUX4j00001001"), "not in the log"),
        (change("/fills", "commission", "0.02"), "fill "),
        (change("/fills", "trade_id", 8), "fill "),
        (change("/log", "client_id", "D0D1xUX4j00009000"), "is not in the log"),
    ],
)
def test_what_the_venue_tells_otherwise_is_named(spoil: Callable[[dict[str, Any]], None], says: str) -> None:
    answers = deepcopy(world())
    spoil(answers)
    assert any(says in line for line in wrong(story(), answers)), wrong(story(), answers)


def test_what_is_left_open_or_booked_twice_is_named() -> None:
    records = story()
    assert any("live in the log" in line for line in wrong(records[:-1], world()))
    assert any("in the log twice" in line for line in wrong([*records, records[2]], world()))


def test_exposure_above_the_limit_is_named() -> None:
    fill = msgspec.structs.replace(story()[2], client_id="D0D1xUX4j00005000")
    too_much, carried = exposure([fill], {"XRP": D(2)}, D(5))
    assert carried == {"XRP": D("9.99")}
    assert len(too_much) == 1
    assert exposure([fill], {"XRP": D(2)}, D(20))[0] == []


# ---- item 4's matching -----------------------------------------------------------------------------------------------

MS = 1_000_000
CLOCK = Clock(first_ns=1_000 * MS, began_ns=9_000 * MS, speed=2.0)


def seen(opened_ms: int, buy: str = "kucoin", taken: bool = False) -> OpportunityClosed:
    sell = "binance" if buy == "kucoin" else "kucoin"
    return OpportunityClosed(
        ts=0,
        opportunity=opened_ms,
        strategy="cross_arb",
        symbol="BTC/USDT",
        buy_venue=buy,
        sell_venue=sell,
        opened=opened_ms * MS,
        duration_ns=MS,
        peak_gross_bps=5.0,
        peak_net_bps=5.0,
        peak_quantity=1.0,
        buy_age_ns=0,
        sell_age_ns=0,
        taken=taken,
        decisions=(Decision(0, taken, int(taken), () if taken else ("IN_FLIGHT",), 5.0, 5.0, 1.0, 3),),
    )


def test_episodes_are_found_by_time_and_direction_each_once() -> None:
    """Recorded 2,000 ms in, played 1,000 ms in at double speed."""
    in_band = [
        Episode(3_000 * MS, 3_010 * MS, "kucoin"),
        Episode(5_000 * MS, 5_001 * MS, "kucoin"),
        Episode(9_000 * MS, 9_010 * MS, "kucoin"),
    ]
    ours = [seen(10_003), seen(11_002, buy="binance"), seen(13_004, taken=True)]
    met = match(in_band, ours, CLOCK)
    assert [m.ours and m.ours.opportunity for m in met] == [10_003, None, 13_004]
    assert [m.fate.split(":")[0] for m in met] == ["IN_FLIGHT (3 times)", "not seen", "taken, but no leg filled"]
    assert [m.at_s for m in met] == [2.0, 4.0, 8.0]


def test_what_the_daemon_had_and_did_not_see_is_a_fault() -> None:
    met = Met(at_s=2.0, lasted_ms=10.0, ours=None)  # played from 10,000 ms to 10,005 ms
    edges = Edges()
    edges.all = [(9_000 * MS, 9.0), (10_001 * MS, 4.5), (10_003 * MS, 4.9), (11_000 * MS, 9.0)]
    assert "4.90 bps" in edges.why(met, [], CLOCK)
    edges.all.append((10_004 * MS, 5.0))
    with pytest.raises(CheckFailedError):
        edges.why(met, [(10_005 * MS, 10_006 * MS)], CLOCK)
    assert "one with an episode next to it" in edges.why(met, [(10_004 * MS, 10_006 * MS)], CLOCK)


# ---- item 7's spoiled journal ----------------------------------------------------------------------------------------


def journal(folder: Path, frames: list[bytes]) -> Path:
    made = FileJournal(folder, JournalHeader(run="r", config="", commit="", checkpoint=None, started=1))
    made.source(0, "binance/user")
    for number, frame in enumerate(frames):
        made.input(number, 0, frame)
    made.digest(len(frames), b"d" * 16)
    made.close()
    return folder


def test_one_digit_of_the_first_fill_is_changed_and_nothing_else(tmp_path: Path) -> None:
    frames = [b'{"x":"NEW","L":"0.0"}', b'{"x":"TRADE","L":"2.5"}', b'{"x":"TRADE","L":"2.6"}']
    before = journal(tmp_path / "a", frames)
    after = with_one_digit_changed(before, tmp_path / "b")
    old, new = (list(read_journal(path)[1]) for path in (before, after))
    assert [e.data for e in new if e.kind == INPUT] == [frames[0], b'{"x":"TRADE","L":"3.5"}', frames[2]]
    assert [e for e in new if e.kind != INPUT] == [e for e in old if e.kind != INPUT]


def test_a_journal_without_a_fill_cannot_be_spoiled(tmp_path: Path) -> None:
    with pytest.raises(CheckFailedError):
        with_one_digit_changed(journal(tmp_path / "a", [b"{}"]), tmp_path / "b")
