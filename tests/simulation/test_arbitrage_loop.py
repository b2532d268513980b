"""Whole arbitrages under simulated time: the trader's code against the simulated exchanges, without and with faults.

Each test runs a few seeds and asks the other side: books level by level, balances to the last digit, nothing open, no
order sent twice. A failing seed is in the test's name; `Loop(seed, faults=...)` plays it again, step by step the same.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from loop import EAGER, SECOND, START, VENUES, Loop, make_engine, make_sessions
from tradeserver.core.engine import Engine
from tradeserver.core.events import BestQuote, BookInvalid, OrderFilled, OrdersSent, SendRefused, Trust
from tradeserver.core.records import (
    ArbitrageClosed,
    ArbitrageOpened,
    FillBooked,
    OpportunityClosed,
    OrderChanged,
    OrderState,
    OrderSubmitted,
    Outcome,
    PnlMarked,
)
from tradeserver.core.types import TimeInForce
from tradeserver.runtime.journal import FileJournal, JournalHeader, JournalSettings
from tradeserver.runtime.replay import replay
from tradeserver.sessions.base import Session
from tradeserver.sessions.paper_venue import PaperSettings
from tradeserver.sessions.wire import NullTransport

PAPER = PaperSettings(
    balances={"USDT": Decimal(100_000), "XRP": Decimal(50_000), "BTC": Decimal(2)},
    taker_fee=Decimal("0.0001"),
    latency_ms=5,
    answer_ms=5,
)


def settled(loop: Loop) -> None:
    """What must hold after every run that has calmed down, whatever went wrong in it."""
    assert loop.reactor.failure is None
    assert loop.unequal_books() == []
    assert loop.unequal_balances() == []
    assert loop.engine.desk.orders.live == {}
    assert loop.engine.desk.arbitrages == {}
    checked, matched = loop.engine.market.quote_checks
    assert checked == matched > 0
    for exchange in loop.world.exchanges.values():
        assert exchange.open_orders("main") == []
        placed = Counter(each.client_id for each in exchange.placed)
        assert set(placed.values()) <= {1}  # nothing is ever sent twice
    once = Counter((r.venue, r.symbol, r.trade_id) for r in loop.trace.records if isinstance(r, FillBooked))
    assert set(once.values()) <= {1}


# ---- nothing goes wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_arbitrages_complete_and_both_sides_agree(seed: int) -> None:
    loop = Loop(seed).run(6).calm()
    settled(loop)
    closed = [r for r in loop.trace.records if isinstance(r, ArbitrageClosed)]
    assert len(closed) == len(loop.kept(ArbitrageOpened)) >= 2
    completed = [r for r in closed if r.outcome is Outcome.COMPLETED]
    assert completed
    for record in completed:  # bought and sold the same: net base within a lot, fees included
        assert record.hedges == 0
        assert abs(record.residual_base) <= Decimal("0.1")
        assert record.realised_edge == record.expected_edge + sum(record.bridge.values(), Decimal(0))
    episodes = [r for r in loop.trace.records if isinstance(r, OpportunityClosed)]
    assert all(each.decisions for each in episodes)
    assert not [e for e in loop.trace.events if isinstance(e, BookInvalid) and e.trust is Trust.GAP]


def test_both_legs_leave_in_one_step_and_take_what_they_see() -> None:
    loop = Loop(3).run(6).calm()
    for opened in [r for r in loop.trace.records if isinstance(r, ArbitrageOpened)]:
        legs = [r for r in loop.trace.records if isinstance(r, OrderSubmitted) and r.arbitrage == opened.arbitrage]
        first = legs[:2]
        assert {leg.ts for leg in first} == {opened.ts}
        assert {leg.venue for leg in first} == {"binance", "kucoin"}
        assert {leg.time_in_force for leg in first} == {TimeInForce.IOC.value}
    settled(loop)


def test_the_same_seed_is_the_same_run() -> None:
    first, second = (Loop(5, faults=["drop kucoin.market 2%"]).run(4) for _ in range(2))
    assert first.reactor.digest() == second.reactor.digest()
    assert first.trace.records == second.trace.records
    assert first.reactor.digest() != Loop(6, faults=["drop kucoin.market 2%"]).run(4).reactor.digest()


def test_without_a_strategy_nothing_is_sent() -> None:
    loop = Loop(4, trading=False).run(2).calm()
    settled(loop)
    assert all(exchange.placed == [] for exchange in loop.world.exchanges.values())
    quotes = {(e.venue, e.update_id != 0) for e in loop.trace.events if isinstance(e, BestQuote)}
    assert quotes == {("binance", True), ("kucoin", True), ("kucoin", False)}


# ---- things go wrong -------------------------------------------------------------------------------------------------

TROUBLE = {
    "frames are lost": ["drop binance.market 3%", "drop kucoin.market 3%"],
    "user events are lost": ["drop kucoin.user 10%", "drop binance.user 10%"],
    "user events come twice": ["duplicate kucoin.user 30%", "duplicate binance.user 30%"],
    "answers are late": ["delay binance.orders 300ms 20%", "delay kucoin.orders 300ms 20%"],
    "answers are lost": ["drop binance.orders 15%", "drop kucoin.orders 15%"],
    "orders are lost": ["drop binance.orders side=in 15%", "drop kucoin.orders side=in 15%"],
    "orders are refused": ["refuse binance.orders code=-2010 20%", "refuse kucoin.orders code=200004 20%"],
    "links break": [
        "disconnect binance.orders at=2s every=2s",
        "disconnect kucoin.user at=1s every=3s",
        "disconnect binance.market at=3s every=3s",
    ],
    "streams stall": ["stall binance.market 1s after=1s every=3s", "stall kucoin.user 1s after=2s every=3s"],
}


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("trouble", TROUBLE)
def test_after_any_trouble_both_sides_agree(trouble: str, seed: int) -> None:
    loop = Loop(seed, faults=TROUBLE[trouble]).run(6)
    assert any(fault.hits for fault in loop.world.faults.faults) or "stall" in trouble
    loop.world.faults.clear()
    settled(loop.calm())


def test_an_arbitrage_is_not_opened_on_a_book_with_a_gap() -> None:
    loop = Loop(2, faults=["drop binance.market 20% match=depthUpdate"]).run(6)
    gaps = [e for e in loop.trace.events if isinstance(e, BookInvalid) and e.trust is Trust.GAP]
    assert len(gaps) > 3
    loop.world.faults.clear()
    settled(loop.calm())


def test_a_dead_order_link_refuses_both_legs() -> None:
    """Binance's order entry is down for good: opening orders are refused before anything leaves, at both venues."""
    loop = Loop(1).run(3)
    loop.wires["binance"].dead.add("orders")
    loop.wires["binance"].cut("orders", "cable cut")
    loop.run(4)
    sent = [e for e in loop.trace.events if isinstance(e, OrdersSent) and e.ts > START + 3 * SECOND]
    refused = [e for e in loop.trace.events if isinstance(e, SendRefused)]
    fills = [e for e in loop.trace.events if isinstance(e, OrderFilled) and e.ts > START + 3 * SECOND]
    assert sent == []
    assert fills == []
    for event in refused:
        assert event.reason in ("orders link down", "leg_refused")
    decided = [d for r in loop.trace.records if isinstance(r, OpportunityClosed) for d in r.decisions]
    assert [d for d in decided if d.reasons and d.ts > START + 3 * SECOND]
    settled(loop.calm())


# ---- paper -----------------------------------------------------------------------------------------------------------


def test_paper_trades_without_a_key_and_without_touching_the_venue() -> None:
    loop = Loop(1, paper=PAPER).run(8)
    assert all(exchange.placed == [] for exchange in loop.world.exchanges.values())
    labels = {label for wire in loop.wires.values() for label in wire.requests}
    assert not [label for label in labels if "order" in label.replace("orderbook", "") or "account" in label]
    loop.calm()
    assert loop.unequal_books() == []
    closed = [r for r in loop.trace.records if isinstance(r, ArbitrageClosed)]
    assert [r for r in closed if r.outcome is Outcome.COMPLETED]
    assert loop.engine.desk.orders.live == {}
    assert loop.engine.desk.arbitrages == {}
    assert loop.kept(PnlMarked)
    for session in loop.sessions:
        pretended = session.paper  # type: ignore[attr-defined]
        for asset, free in pretended.free.items():
            assert pretended.locked[asset] == 0
            assert loop.engine.desk.ledger.totals[session.venue, asset] == free


# ---- replay ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paper", [None, PAPER], ids=["orders", "paper"])
def test_a_run_with_refused_sends_and_unknown_orders_replays_to_the_same_bytes(
    tmp_path: Path, paper: PaperSettings | None
) -> None:
    """The journal alone, through the same code without a network, gives the same records and outgoing bytes."""
    symbols = ("XRP/USDT", "BTC/USDT")
    header = JournalHeader(run="SI", config="", commit="", checkpoint=None, started=START, facts={})
    journal = FileJournal(tmp_path / "run", header, JournalSettings())
    faults = ["drop kucoin.orders side=in 30%", "drop binance.market 2%"]
    loop = Loop(7, symbols=symbols, faults=faults, paper=paper, journal=journal).run(3)
    loop.latch.set = True  # the last gate holds what the engine still decides
    loop.run(2)
    loop.latch.set = False
    loop.wires["binance"].cut("market", "cable cut")
    loop.run(2).calm()
    loop.reactor.end()
    journal.close()
    engines = []

    def engine(header: JournalHeader) -> Engine:
        engines.append(make_engine(symbols, EAGER, paper))
        return engines[-1]

    def sessions(header: JournalHeader) -> list[Session]:
        return make_sessions(engines[-1], symbols, {venue: NullTransport() for venue in VENUES}, paper)

    result = replay(tmp_path / "run", engine, sessions)
    assert result.equal
    assert result.ended
    assert result.inputs == loop.reactor.inputs > 1_000
    assert result.digest == loop.reactor.digest().hex()
    assert loop.of(SendRefused)
    if paper is None:
        states = {r.state for r in loop.trace.records if isinstance(r, OrderChanged)}
        assert OrderState.UNKNOWN in states
