"""Backtests: real two-venue rows against an independent calculation, time that jumps, and files that are wrong."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tradeserver.core.records import Vitals
from tradeserver.lab.backtest.run import NoRecords, Outcome, open_data, play, profit, run
from tradeserver.lab.backtest.settings import load, parse
from tradeserver.lab.data.importing import import_files
from tradeserver.runtime.datasets import DataSetWriter, header_of
from tradeserver.runtime.wal import MemoryWal
from tradeserver.services.faults import ConfigError, OperatorError

Levels = list[tuple[float, float]]

FILE = """
symbols = ["LINK/USDT"]
[backtest]
data = ["binance", "huobi"]
mark_s = 60
[backtest.venues.binance]
balances = {USDT = 1000000, LINK = 100000}
taker_fee = FEE
[backtest.venues.huobi]
balances = {USDT = 1000000, LINK = 100000}
taker_fee = FEE
[[backtest.instruments]]
symbol = "LINK/USDT"
tick = 0.0001
lot = 0.01
min_notional = 5
[[strategies]]
name = "cross_arb"
[strategies.params]
min_edge_bps = 0.0
max_notional = 100000.0
[risk]
max_order_notional = 100000
max_position_notional = 1000000
max_trade_pct = 100
max_exposure_pct = 100
reserve_pct = 0
[losses]
streak = 0
[market]
own_ms = 60000
"""
NAMES = {venue: f"link_usdt_top10_{venue}_2021-08-20T0000_0110.csv.gz" for venue in ("binance", "huobi")}


@pytest.fixture(scope="module")
def link(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("link")
    for venue, name in NAMES.items():
        made = import_files([shared_data / "recordings" / name], folder / venue, venue, "LINK/USDT")
        assert (made.events, made.problems) == (4_200, [])
    return folder


def played(folder: Path, fee: str, *changes: str, **options: Any) -> tuple[Outcome, list[bytes]]:
    file = parse(FILE.replace("FEE", fee), folder / "link.toml", changes)
    wal = MemoryWal()
    return play(file, open_data(file, folder / "scratch"), wal, **options), wal.payloads


# ---- an independent calculation from the files -----------------------------------------------------------------------


def book_rows(file: Path) -> Iterator[tuple[Levels, Levels]]:
    with gzip.open(file, "rt") as lines:
        for row in csv.DictReader(lines):
            yield tuple([(float(row[f"{s}{n}"]), float(row[f"{s}v{n}"])) for n in range(1, 11)] for s in "ba")  # type: ignore[misc]


class Shelf:
    """One side of one venue: what was taken stays taken until the size at its price changes."""

    def __init__(self) -> None:
        self.taken: dict[float, tuple[float, float]] = {}

    def left(self, levels: Levels) -> list[list[float]]:
        sizes = dict(levels)
        self.taken = {p: each for p, each in self.taken.items() if sizes.get(p) == each[0]}
        found = [[p, size - (self.taken[p][1] if p in self.taken else 0.0)] for p, size in levels]
        return [each for each in found if each[1] > 1e-9]

    def take(self, levels: Levels, price: float, quantity: float) -> None:
        before = self.taken[price][1] if price in self.taken else 0.0
        self.taken[price] = (dict(levels)[price], before + quantity)


def naive(rows: list[tuple[Any, Any]], lot: float, least: float) -> tuple[float, float]:
    """(edge of every row's whole crossing, edge where what was taken stays taken), in lots above a notional."""
    shelves = {(venue, side): Shelf() for venue in NAMES for side in "ba"}
    everything = once = 0.0
    for b, h in rows:
        for buy, sell, asks, bids in (("huobi", "binance", h[1], b[0]), ("binance", "huobi", b[1], h[0])):
            everything += sum(edge for _, _, _, edge in crossing([list(a) for a in asks], [list(a) for a in bids]))
            left = shelves[buy, "a"].left(asks), shelves[sell, "b"].left(bids)
            steps = list(crossing(*left))
            whole = sum(step[2] for step in steps)
            quantity = whole // lot * lot if lot else whole
            if not steps or quantity * steps[0][0] < least:
                continue
            for ask, bid, part, edge in steps:
                part_taken = min(part, quantity)
                quantity -= part_taken
                once += edge * part_taken / part
                shelves[buy, "a"].take(asks, ask, part_taken)
                shelves[sell, "b"].take(bids, bid, part_taken)
    return everything, once


def crossing(asks: list[list[float]], bids: list[list[float]]) -> Iterator[tuple[float, float, float, float]]:
    """(ask, bid, quantity, edge) of each step while the bid is above the ask."""
    a = b = 0
    while a < len(asks) and b < len(bids) and bids[b][0] > asks[a][0]:
        part = min(asks[a][1], bids[b][1])
        yield asks[a][0], bids[b][0], part, part * (bids[b][0] - asks[a][0])
        asks[a][1] -= part
        bids[b][1] -= part
        a += asks[a][1] <= 1e-12
        b += bids[b][1] <= 1e-12


def test_link_without_fees(link: Path, shared_data: Path) -> None:
    want = json.loads((shared_data / "recordings" / "expected.json").read_text())["link_two_venues_first4200s"]
    outcome, _ = played(link, "0")
    assert {(row["buy_venue"], row["sell_venue"]): row["crossed_seconds"] for row in outcome.crossed} == {
        ("huobi", "binance"): want["0bps_per_leg"]["seconds_buy_huobi_sell_binance"],  # 457
        ("binance", "huobi"): want["0bps_per_leg"]["seconds_buy_binance_sell_huobi"],  # 337
    }
    rows = list(zip(*(book_rows(shared_data / "recordings" / NAMES[venue]) for venue in NAMES), strict=True))
    everything, once = naive(rows, 0.0, 0.0)
    _, in_lots = naive(rows, 0.01, 5.0)
    found = float(profit(outcome)["USDT"])
    assert in_lots * 0.99 < found <= once < everything
    assert in_lots > once * 0.98  # so these are bounds worth the name


def test_link_at_five_bps_a_leg_trades_nothing_and_says_why(link: Path) -> None:
    outcome, payloads = played(link, "0.0005")
    assert all(row["crossed_seconds"] == 0.0 for row in outcome.crossed)
    kinds = [msgspec.json.decode(payload)["type"] for payload in payloads]
    assert "ArbitrageOpened" not in kinds
    reasons = {
        reason
        for payload in payloads
        if (record := msgspec.json.decode(payload))["type"] == "OpportunityClosed"
        for decision in record["decisions"]
        for reason in decision["reasons"]
    }
    assert reasons == {"EDGE_TOO_SMALL"}
    assert kinds.count("OpportunityClosed") > 100


# ---- the driver ------------------------------------------------------------------------------------------------------


def same_but_for_vitals(payloads: list[bytes]) -> list[bytes]:
    tag = f'"{Vitals.__name__}"'.encode()
    return [payload for payload in payloads if tag not in payload[:40]]


def test_the_ticks_left_out_would_change_nothing(link: Path) -> None:
    end = "backtest.end=2021-08-20T00:02"
    some, skipped = played(link, "0", end)
    all_of_them, ticked = played(link, "0", end, every_tick=True)
    assert all_of_them.backtest.ticks > 12_000
    assert some.backtest.ticks < 400
    assert same_but_for_vitals(skipped) == same_but_for_vitals(ticked)
    assert any(b'"ArbitrageClosed"' in payload for payload in skipped)


def test_a_backtest_is_the_same_every_time(link: Path) -> None:
    end = "backtest.end=2021-08-20T00:03"
    assert played(link, "0", end)[1] == played(link, "0", end)[1]


def test_what_if(link: Path) -> None:
    end = "backtest.end=2021-08-20T00:10"
    small = played(link, "0", end, "strategies.0.params.max_notional=100")[0]
    large = played(link, "0", end)[0]
    assert Decimal(0) < profit(small)["USDT"] < profit(large)["USDT"]


def test_a_folder_that_every_reader_understands(link: Path, tmp_path: Path) -> None:
    file = parse(FILE.replace("FEE", "0"), link / "link.toml", ["backtest.end=2021-08-20T00:05"])
    seen: list[int] = []
    summary = run(file, tmp_path / "out", lambda done, total, rate: seen.append(done), database=True)
    assert seen == [300]
    from tradeserver.services import layout, queries, store

    engine = store.read(layout.store_url(tmp_path / "out"))
    rows = queries.arbitrages(engine, 1_000)["rows"]
    assert len(rows) == summary["figures"]["trades"]["closed"] > 0
    again = run(file, tmp_path / "out", lambda done, total, rate: None)
    assert again["figures"] == summary["figures"]


def test_nobody_elses_folder_is_replaced(link: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").touch()
    file = parse(FILE.replace("FEE", "0"), link / "link.toml")
    with pytest.raises(ConfigError, match="holds no backtest"):
        run(file, tmp_path, lambda done, total, rate: None)
    assert (tmp_path / "thesis.doc").exists()


# ---- files that are wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("backtest.data=[]", "backtest.data"),
        ('backtest.data=["nowhere"]', "there is no folder"),
        ("backtest.fee=1", "unknown key 'fee'"),
        ("backtest.start=soon", "wanted an ISO time"),
        ("mode=live", "a backtest sends nothing"),
        ('symbols=["XRP/USDT"]', "no data for XRP/USDT"),
        ("backtest.venues.kraken.taker_fee=0", "no data for kraken"),
        ("risk.max_oder_notional=5", "did you mean 'max_order_notional'"),
    ],
)
def test_one_sentence_for_what_is_wrong(link: Path, change: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        open_data(parse(FILE.replace("FEE", "0"), link / "link.toml", [change]), link / "scratch")


def test_a_file_without_the_section(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('symbols = ["A1/USDT"]\n')
    with pytest.raises(ConfigError, match=r"section \[backtest\] is missing"):
        load(tmp_path / "x.toml")


def test_data_without_events_are_named(tmp_path: Path) -> None:
    for venue in NAMES:
        DataSetWriter(tmp_path / venue, header_of("empty", [venue], ["LINK/USDT"], 1)).close()
    file = parse(FILE.replace("FEE", "0"), tmp_path / "link.toml")
    with pytest.raises(OperatorError, match=r"no header that can be read|hold no event"):
        play(file, open_data(file, tmp_path / "scratch"), NoRecords())
