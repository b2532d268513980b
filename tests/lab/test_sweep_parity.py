"""Sweeps choose what a plain loop over backtests would; parity's parts are exact."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeserver.core.events import BookSnapshot
from tradeserver.lab.backtest.run import NoRecords, open_data, play, profit, run
from tradeserver.lab.backtest.settings import load
from tradeserver.lab.backtest.sweep import axis, matrix, points, sweep
from tradeserver.lab.report.parity import PARTS, TradeDone, compare, pair, take_apart
from tradeserver.runtime.datasets import DataSetWriter, header_of
from tradeserver.services.faults import ConfigError

D = Decimal
SECOND = 1_000_000_000
BEGAN = 1_754_006_400 * SECOND

FILE = """
symbols = ["BTC/USDT"]
[backtest]
data = ["data"]
mark_s = 10
[backtest.venues.a]
balances = {USDT = 100000, BTC = 100}
taker_fee = 0.001
[backtest.venues.b]
balances = {USDT = 100000, BTC = 100}
taker_fee = 0.001
[[backtest.instruments]]
symbol = "BTC/USDT"
tick = 0.01
lot = 0.001
[[strategies]]
name = "cross_arb"
[strategies.params]
min_edge_bps = 1.0
max_notional = 500.0
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Two venues for 60 s; every tenth second b bids 60, 90 or 120 bps above a's ask."""
    header = header_of("by hand", ["a", "b"], ["BTC/USDT"], BEGAN, together=True, hold_s=1.0)
    writer = DataSetWriter(tmp_path / "data", header)
    for n in range(60):
        up = (0.6, 0.9, 1.2)[n // 10 % 3] if n % 10 == 5 else 0.0
        for venue, mid in (("a", 100.0), ("b", 100.0 + up)):
            writer.put(
                BookSnapshot(
                    ts=BEGAN + n * SECOND,
                    venue=venue,
                    symbol="BTC/USDT",
                    update_id=n,
                    bids=[(mid - 0.01, 3.0 + n / 100)],
                    asks=[(mid + 0.01, 3.0 + n / 100)],
                )
            )
    writer.close()
    (tmp_path / "file.toml").write_text(FILE)
    return tmp_path / "file.toml"


def test_a_sweep_is_a_loop_over_backtests(made: Path, tmp_path: Path) -> None:
    axes = [axis("strategies.0.params.min_edge_bps=10,60,90"), axis("strategies.0.params.max_notional=100:200:100")]
    found = sweep(made, (), axes, workers=1, parts=2, scratch=tmp_path / "scratch")
    assert len(found.points) == 6
    for point in found.points:
        file = load(made, [f"{key}={value}" for key, value in point.values.items()])
        assert profit(play(file, open_data(file, tmp_path / "scratch"), NoRecords()))["USDT"] == point.profit
    assert found.points[0].profit == max(point.profit for point in found.points) > 0
    (step,) = found.walk
    best = max(found.points, key=lambda point: point.parts[0] or 0.0)
    assert (step.chosen, step.out_of_sample) == (best.values, best.parts[1])
    across, down, rows, _ = matrix(found)
    assert (len(across.values), len(down.values)) == (3, 2)
    assert rows[1][0] == float(found.points[0].profit)


def test_axes_and_samples() -> None:
    assert axis("a.b=1:2:0.5").values == ("1", "1.5", "2")
    axes = [axis("a=1:30:1"), axis("b=4,5,6")]
    assert len(points(axes, 0, 1)) == 90
    some = points(axes, 4, 1)
    assert len(some) == 4
    assert some == points(axes, 4, 1) != points(axes, 4, 2)
    for wrong in ("a", "a=", "a=1:2:0", "a=2:1:1", "a=x:y:z"):
        with pytest.raises(ConfigError):
            axis(wrong)


def test_a_key_that_is_not_there_is_said_first(made: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key"):
        sweep(made, (), [axis("strategies.0.params.min_egde_bps=1,2")], workers=1, scratch=tmp_path)


# ---- parity ----------------------------------------------------------------------------------------------------------


def test_a_run_is_at_parity_with_itself(made: Path, tmp_path: Path) -> None:
    file = load(made)
    for name in "ab":
        run(file, tmp_path / name, lambda done, total, rate: None)
    answer = compare(tmp_path / "a", tmp_path / "b")
    assert answer["good"]
    assert answer["pairs"] == answer["a"]["trades"] > 0
    assert set(answer["parts"].values()) == {D(0)}


def test_what_one_run_did_not_do_is_named_with_its_reason(made: Path, tmp_path: Path) -> None:
    run(load(made), tmp_path / "a", lambda done, total, rate: None)
    run(load(made, ["strategies.0.params.min_edge_bps=90"]), tmp_path / "b", lambda done, total, rate: None)
    answer = compare(tmp_path / "a", tmp_path / "b")
    assert not answer["good"]
    assert answer["missed"] > 0
    assert answer["why_the_other_did_not"]["missed"] == {"EDGE_TOO_SMALL": answer["missed"]}
    assert sum(answer["parts"].values()) == answer["difference"]


money = st.integers(-1_000, 1_000).map(lambda n: D(n) / 100)


@st.composite
def some_trades(draw: st.DrawFn) -> list[TradeDone]:
    return [
        TradeDone(
            n,
            draw(st.integers(0, 20)) * SECOND,
            ("BTC/USDT", draw(st.sampled_from(["buy a", "buy b"]))),
            abs(draw(money)),
            draw(money),
            draw(money),
            draw(money),
            draw(money),
        )
        for n in range(draw(st.integers(0, 6)))
    ]


@given(some_trades(), some_trades())
def test_the_parts_sum_to_the_difference(a: list[TradeDone], b: list[TradeDone]) -> None:
    pairs = pair(a, b)
    parts = take_apart(a, b, pairs)
    assert set(parts) == set(PARTS)
    assert sum(parts.values()) == sum((t.profit for t in b), D(0)) - sum((t.profit for t in a), D(0))
    assert len({x.number for x, _ in pairs}) == len({y.number for _, y in pairs}) == len(pairs)


def test_parts_of_one_pair_by_hand() -> None:
    """A: 2 at 3 seen, 3 had, fee 1, profit 5. B: 1.5 at 4 seen, 3.5 had, fee 0.5, profit 4.75."""
    a = [TradeDone(1, 0, ("x",), D(2), D(3), D(3), D(1), D(5))]
    b = [TradeDone(7, SECOND, ("x",), D("1.5"), D(4), D("3.5"), D("0.5"), D("4.75"))]
    assert take_apart(a, b, pair(a, b)) == {
        "missed": D(0),
        "extra": D(0),
        "size": D("-1.5"),  # half a unit at 3
        "price": D("1.5"),  # one more seen, on 1.5
        "latency": D("-0.75"),  # half lost on the way, on 1.5
        "fee": D("0.5"),
        "other": D(0),
    }
