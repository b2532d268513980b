"""Breakers: one-sided arbitrages, exposure-seconds and crashes stop new ones; a restart forgets none of it."""

from __future__ import annotations

from desk_kit import START, SYMBOL, D, Kit
from tradeserver.core.breaker import BreakerLimits
from tradeserver.core.events import OrderRejected, RunBegan
from tradeserver.core.records import Alert, ArbitrageClosed, RunStopped, StateChanged, TradingState

SECOND_NS = 1_000_000_000


def running(**limits: int) -> Kit:
    kit = Kit(breakers=BreakerLimits(**limits))
    kit.begin()
    kit.quiet()
    return kit


def one_side_only(kit: Kit) -> None:
    """The buy fills, the sell is refused, the hedge sells at once."""
    buy, sell = kit.edge()
    kit.accept(buy)
    kit.fill(buy)
    kit.close(buy)
    kit.feed(OrderRejected(ts=kit.ts, venue=sell.venue, client_id=sell.client_id, code="200004", text="balance"))
    hedge = [c for c in kit.commands if getattr(c, "attempt", 0) > 0][-1]
    kit.accept(hedge)
    kit.fill(hedge)
    kit.close(hedge)
    kit.quiet()


def wait(kit: Kit, ms: float) -> None:
    """Time passes; the venues report what the ledger holds."""
    kit.tick(ms)
    for (venue, asset), total in kit.engine.desk.ledger.totals.items():
        kit.balances[venue][asset] = total
    kit.answer()
    kit.quiet()


def refused(kit: Kit) -> bool:
    return not kit.edge()


def test_the_first_pauses_the_symbol_and_the_second_latches_the_strategy() -> None:
    kit = running()
    one_side_only(kit)
    (paused,) = kit.of(StateChanged)
    assert (paused.scope, paused.state, paused.reason) == (f"symbol:{SYMBOL}", TradingState.NO_NEW, "one-sided")
    assert paused.until == kit.of(ArbitrageClosed)[-1].ts + 300 * SECOND_NS
    assert refused(kit)
    wait(kit, 301_000)
    one_side_only(kit)
    assert kit.engine.desk.states.has("strategy:cross_arb", "one-sided")
    assert [a.code for a in kit.of(Alert)] == ["BREAKER"]
    wait(kit, 3_000_000)
    assert refused(kit)  # a latch does not expire


def test_two_far_apart_are_chance() -> None:
    kit = running(one_sided_window_s=600)
    one_side_only(kit)
    wait(kit, 601_000)
    one_side_only(kit)
    assert not kit.engine.desk.states.has("strategy:cross_arb", "one-sided")


def test_it_can_be_switched_off() -> None:
    kit = running(one_sided_limit=0)
    one_side_only(kit)
    assert not kit.of(StateChanged)


def test_exposure_seconds_run_from_the_first_fill_to_the_hedge() -> None:
    """0.00666333 BTC, 399.8 USDT at the plan's 60,001, for 8.004 s: until the second hedge has filled."""
    kit = running(one_sided_limit=0, max_exposure_quote_s=1_000)
    buy, sell = kit.edge()
    kit.accept(buy)
    kit.fill(buy)
    kit.close(buy)
    kit.feed(OrderRejected(ts=kit.ts, venue=sell.venue, client_id=sell.client_id, code="200004", text="balance"))
    (first,) = (c for c in kit.commands if getattr(c, "attempt", 0) == 1)
    kit.later(5_000)  # the books go stale meanwhile: nothing can be hedged when the first hedge finds nothing
    kit.close(first, executed=D(0))
    kit.later(2_999)
    kit.book("kucoin", 60_240.0, 60_242.0)
    kit.tick(0)
    (second,) = (c for c in kit.commands if getattr(c, "attempt", 0) == 2)
    kit.accept(second)
    kit.fill(second)
    kit.close(second)
    (closed,) = kit.of(ArbitrageClosed)
    assert abs(closed.exposure_quote_s - 0.00666333 * 60_001 * 8.004) < 0.1
    assert kit.engine.desk.states.has("strategy:cross_arb", "exposure-seconds")


def test_three_crashes_in_ten_minutes_open_nothing_until_a_person_says_so() -> None:
    kit = Kit(breakers=BreakerLimits())
    for number in range(4):
        kit.ts = START + number * 60 * SECOND_NS
        kit.feed(RunBegan(ts=kit.ts, instance="t", mode="demo", commit="c", config_sha256="0", recovered=number > 0))
        assert kit.engine.desk.states.has("global", "crashes") is (number >= 3)
    again = Kit()
    for record in kit.records:
        again.engine.apply(record)
    assert again.engine.desk.states.has("global", "crashes")
    assert list(again.engine.desk.crashes) == list(kit.engine.desk.crashes)


def test_an_orderly_end_is_no_crash() -> None:
    kit = Kit(breakers=BreakerLimits())
    for number in range(5):
        kit.ts = START + number * SECOND_NS
        kit.feed(RunBegan(ts=kit.ts, instance="t", mode="demo", commit="c", config_sha256="0", recovered=number > 0))
        kit.engine.apply(RunStopped(ts=kit.ts, reason="asked"))
    assert not kit.engine.desk.states.has("global", "crashes")
    assert not kit.engine.desk.crashes


def test_exposure_seconds_go_on_over_a_restart_from_the_log_and_from_a_checkpoint() -> None:
    """One leg has filled, then the process dies for 30 s; what stood meanwhile counts."""
    kit = running(one_sided_limit=0)
    buy, _ = kit.edge()
    kit.accept(buy)
    kit.fill(buy)
    filled = kit.ts
    images = (kit.records, [kit.engine.checkpoint(kit.ts)])
    for log in images:
        later = Kit(breakers=BreakerLimits(one_sided_limit=0, crash_limit=0))
        for record in log:
            later.engine.apply(record)
        arbitrage = later.engine.desk.arbitrages[1]
        expected = 0.00666333 * 60_001 * 30
        assert abs(arbitrage.exposure_until(filled + 30 * SECOND_NS) - expected) < 0.1
