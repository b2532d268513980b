"""The report's figures: ratios against empyrical, sums against each other, and a page that is complete in itself."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeserver.core.records import (
    ArbitrageClosed,
    BalanceBooked,
    FillBooked,
    Outcome,
    PnlMarked,
    Record,
    RunStarted,
)
from tradeserver.core.types import Side
from tradeserver.lab.report import page, returns
from tradeserver.lab.report.figures import DAY_NS, Figures

empyrical = pytest.importorskip("empyrical")

D = Decimal
MONDAY = 1_754_265_600_000_000_000  # 2025-08-04T00:00 UTC

some_returns = st.lists(st.floats(-0.2, 0.2).map(lambda x: round(x, 6)), min_size=2, max_size=60)


def same(ours: float | None, theirs: float) -> bool:
    if ours is None:  # a ratio over no deviation
        return not math.isfinite(theirs) or abs(theirs) > 1e9
    return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)


@given(some_returns)
def test_ratios_are_those_of_empyrical(rows: list[float]) -> None:
    import numpy as np

    array = np.array(rows)
    if np.std(array) > 1e-9:
        assert same(returns.sharpe(rows, 365.0), empyrical.sharpe_ratio(array, annualization=365))
    if min(rows) < -1e-9:
        assert same(returns.sortino(rows, 365.0), empyrical.sortino_ratio(array, annualization=365))
    assert same(returns.max_drawdown(rows), empyrical.max_drawdown(array))


def test_what_has_no_ratio_says_so() -> None:
    assert returns.sharpe([0.01], 365.0) is None
    assert returns.sharpe([0.01, 0.01], 365.0) is None
    assert returns.sortino([0.01, 0.02], 365.0) is None
    assert returns.max_drawdown([]) == 0.0


def run_of(profits: Sequence[int]) -> list[Record]:
    """A run of 1,000 USDT whose profit stands at these figures at the ends of days."""
    head = RunStarted(
        ts=MONDAY,
        run="xxB000001",
        instance="x",
        mode="backtest",
        commit="c",
        config_sha256="",
        venues=("a", "b"),
        symbols=("BTC/USDT",),
    )
    booked = BalanceBooked(ts=MONDAY, venue="a", asset="USDT", total=D(1_000), previous=D(0), reason="opening")
    marks = [
        PnlMarked(ts=MONDAY + (n + 1) * DAY_NS - 1, realised={"USDT": D(p)}, unrealised={}, fees={"USDT": D(n)})
        for n, p in enumerate(profits)
    ]
    return [head, booked, *marks]


def figures_of(records: Sequence[Record]) -> Figures:
    found = Figures()
    for record in records:
        found.add(record)
    return found


def test_daily_returns_and_what_follows_from_them() -> None:
    """Equity 1,000 -> 1,010 -> 990 -> 1,045: computed by hand and by the library."""
    found = figures_of(run_of([10, -10, 45]))
    assert [round(r, 12) for r in found.returns()] == [0.01, round(990 / 1010 - 1, 12), round(1045 / 990 - 1, 12)]
    summary = found.summary()
    import numpy as np

    array = np.array(found.returns())
    assert summary["returns"]["sharpe"] == pytest.approx(empyrical.sharpe_ratio(array, annualization=365))
    assert summary["returns"]["sortino"] == pytest.approx(empyrical.sortino_ratio(array, annualization=365))
    assert summary["returns"]["max_drawdown"] == pytest.approx(-20 / 1010)
    assert summary["returns"]["total"] == pytest.approx(0.045)
    assert summary["by_day"] == {"2025-08-04": 10.0, "2025-08-05": -20.0, "2025-08-06": 55.0}
    assert (summary["capital"], summary["profit"]) == (D(1_000), D(45))


def fill(ts: int, venue: str, side: Side, price: str, quantity: str, fee: str, asset: str) -> FillBooked:
    return FillBooked(
        ts=ts,
        venue=venue,
        symbol="BTC/USDT",
        client_id=f"{venue}{ts}",
        arbitrage=1,
        leg=0,
        side=side,
        trade_id=str(ts),
        venue_order_id="",
        price=D(price),
        quantity=D(quantity),
        commission=D(fee),
        commission_asset=asset,
        commission_expected=False,
        maker=False,
        venue_ts=0,
    )


def test_venues_turnover_and_exposure_by_hand() -> None:
    """Buy 2 at 100 (0.002 BTC fee), ten seconds later sell 1.998 at 110 (1 USDT fee)."""
    second = 1_000_000_000
    records: list[Record] = run_of([])
    records += [
        fill(MONDAY + second, "a", Side.BUY, "100", "2", "0.002", "BTC"),
        fill(MONDAY + 11 * second, "b", Side.SELL, "110", "1.998", "1", "USDT"),
        ArbitrageClosed(
            ts=MONDAY + 21 * second,
            arbitrage=1,
            strategy="s",
            base="BTC",
            quote="USDT",
            outcome=Outcome.COMPLETED,
            one_sided=False,
            quantity=D("1.998"),
            expected_edge=D(20),
            realised_edge=D("18.78"),
            bridge={"fees": D("-1.22")},
            residual_base=D(0),
            hedges=0,
            duration_ns=1,
        ),
    ]
    summary = figures_of(records).summary()
    assert summary["by_venue"] == {"a": D("-200") + D("1.998") * 110, "b": D("219.78") - 1 - D("1.998") * 110}
    assert sum(summary["by_venue"].values()) == D("18.78")
    assert summary["turnover"] == {"USDT": D("419.78")}
    assert summary["exposure"]["most"] == pytest.approx(199.8)
    assert summary["exposure"]["average"] == pytest.approx(199.8 * 10 / 21)
    assert (summary["trades"]["won"], summary["trades"]["win_rate"]) == (1, 1.0)
    assert summary["edge"] == {"expected": D(20), "bridge": {"fees": D("-1.22")}, "realised": D("18.78")}


def test_the_page_is_complete_in_itself(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    text = page.page(figures_of(run_of([10, -10, 45])), [])
    assert text.count("data:image/png;base64,") >= 4
    assert not re.search(r"(src|href)=.?https?:", text)
    assert "<script" not in text
    for word in ("Sharpe", "Sortino", "max drawdown", "win rate", "fill ratio", "order failures", "45"):
        assert word in text
