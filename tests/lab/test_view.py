"""The demo's picture fits into a small terminal and says what it must."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from tradeserver.core.records import (
    Alert,
    ArbitrageClosed,
    ArbitrageOpened,
    Decision,
    Leg,
    OpportunityClosed,
    OpportunityOpened,
    OrderTimed,
    Outcome,
    PnlMarked,
    Severity,
)
from tradeserver.core.types import Side
from tradeserver.lab.tally import Tally
from tradeserver.lab.view import picture, summary_table


def book(venue: str, symbol: str, bid: float, ask: float, reason: str = "") -> dict[str, Any]:
    return {
        "venue": venue,
        "symbol": symbol,
        "trust": "synced",
        "reason": reason,
        "bid": bid,
        "ask": ask,
        "age_ms": 3.2,
    }


STATUS = {
    "state": "running",
    "venues": [{"venue": "binance", "phase": "ready"}, {"venue": "kucoin", "phase": "reconciling"}],
    "books": [
        book("binance", "BTC/USDT", 63990.0, 64000.0),
        book("kucoin", "BTC/USDT", 64064.0, 64070.4),
        book("binance", "ETH/USDT", 0.0, 0.0, "BOOK_SNAPSHOTTING"),
        book("kucoin", "ETH/USDT", 3202.7, 3203.1),
        book("binance", "XRP/USDT", 2.1, 2.1021),
        book("kucoin", "XRP/USDT", 2.1, 2.1021),
    ],
}


def leg(number: int, venue: str, side: Side) -> Leg:
    one = Decimal(1)
    return Leg(number, venue, "ETH/USDT", side, one, one, one, Decimal(0), one, f"id{number}")


def tally(count: int) -> Tally:
    """`count` arbitrages and twice as many opportunities."""
    made = Tally()
    for n in range(1, count + 1):
        common: dict[str, Any] = {"ts": n, "arbitrage": n, "strategy": "cross_arb", "base": "ETH", "quote": "USDT"}
        made.add(
            ArbitrageOpened(
                **common,
                opportunity=n,
                legs=(leg(0, "kucoin", Side.BUY), leg(1, "binance", Side.SELL)),
                gross_bps=30.0,
                net_bps=10.0,
                expected_edge=Decimal("0.3802"),
                on_exhausted="unwind",
            )
        )
        made.add(
            ArbitrageClosed(
                **common,
                outcome=Outcome.COMPLETED,
                one_sided=False,
                quantity=Decimal("0.1253742"),
                expected_edge=Decimal("0.380212345678901"),
                realised_edge=Decimal("-0.250412345678901"),
                bridge={},
                residual_base=Decimal(0),
                hedges=0,
                duration_ns=4_300_000,
            )
        )
    for n in range(1, 2 * count + 1):
        common = {"ts": n, "opportunity": n, "strategy": "cross_arb", "symbol": "BTC/USDT"}
        places: dict[str, Any] = {"buy_venue": "binance", "sell_venue": "kucoin"}
        made.add(OpportunityOpened(**common, **places, gross_bps=1.0, net_bps=-19.0))
        made.add(
            OpportunityClosed(
                **common,
                **places,
                opened=n,
                duration_ns=140_000_000,
                peak_gross_bps=1.0,
                peak_net_bps=-19.0,
                peak_quantity=1.0,
                buy_age_ns=0,
                sell_age_ns=0,
                taken=False,
                decisions=(Decision(n, False, 0, ("EDGE_TOO_SMALL",), 1.0, -19.0, 1.0),),
            )
        )
    made.add(
        OrderTimed(
            ts=1,
            venue="binance",
            symbol="ETH/USDT",
            client_id="id",
            arbitrage=1,
            stages_ns={"frame_to_decided": 252_000, "sent_to_ack": 3_528_000, "ack_to_fill": 174_000},
        )
    )
    made.add(PnlMarked(ts=1, realised={"USDT": Decimal("3.58492")}, unrealised={}, fees={"USDT": Decimal("1.5")}))
    made.add(Alert(ts=1, severity=Severity.WARNING, code="VENUE_X", text="something " * 20))
    return made


def rendered(what: Any, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    console.print(what)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 40), (120, 50)])
def test_the_whole_picture_fits(width: int, height: int) -> None:
    lines = rendered(picture(STATUS, tally(20), height - 1), width, height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert [line for line in lines if "…" in line and not line.startswith("ALERT")] == []
    text = "\n".join(lines)
    for word in (
        "kucoin reconciling",
        "profit 3.5849 USDT",
        "arbitrages 20 (20 completed)",
        "refused (40 EDGE_TOO_SMALL)",
        "BOOK_SNAPSHOTTING",
        "frame to decided 252 µs",
        "sent to ack 3528 µs",
        "wal to sent -",
    ):
        assert word in text
    (last,) = [line.split() for line in lines if line.startswith("#20 ")]
    assert last == ["#20", "ETH/USDT", "kucoin", "binance", "0.1253742", "0.3802", "-0.2504", "4.3", "completed"]


def test_spread_and_edge_are_in_basis_points() -> None:
    lines = [line.split() for line in rendered(picture(STATUS, Tally()), 80, 40)]
    (found,) = [line for line in lines if line[:2] == ["BTC/USDT", "binance"]]
    assert found[3:7] == ["63990", "64000", "+1.6", "+10.0"]  # 64000/63990 - 1; 64064/64000 - 1
    (blind,) = [line for line in lines if line[:2] == ["ETH/USDT", "binance"]]
    assert blind[5:7] == ["-", "-"], "no book, no figure"


def test_nothing_yet_is_shown_as_such() -> None:
    text = "\n".join(rendered(picture({}, Tally()), 80, 24))
    assert "starting" in text
    assert "no alerts" in text


def test_the_summary_is_for_people() -> None:
    summary = tally(3).summary() | {"ledger_equal": False, "ledger_differences": []}
    text = "\n".join(rendered(summary_table(summary), 80, 60))
    assert "ledger equal" in text
    assert "NO" in text.split()
    assert "3.5849 USDT" in text
    assert "EDGE_TOO_SMALL 6" in text
    assert "p50 252 µs, p99 252 µs of 1 orders" in text
