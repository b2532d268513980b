"""Episodes: open, peak, close, and every decision in between."""

from __future__ import annotations

from tradeserver.core.intents import Sighting
from tradeserver.core.opportunities import DECISIONS_KEPT, Opportunities
from tradeserver.core.records import Decision, OpportunityClosed, OpportunityOpened

DIRECTION = ("cross_arb", "BTC/USDT", "binance", "kucoin")


def sighting(gross: float, net: float = 0.0, quantity: float = 1.0) -> Sighting:
    return Sighting("BTC/USDT", "binance", "kucoin", gross, net, quantity)


def test_an_episode_from_open_to_close() -> None:
    opportunities = Opportunities()
    first = sighting(5.0, -15.0, 0.5)
    assert opportunities.begin(DIRECTION, first, 100) == OpportunityOpened(
        ts=100,
        opportunity=1,
        strategy="cross_arb",
        symbol="BTC/USDT",
        buy_venue="binance",
        sell_venue="kucoin",
        gross_bps=5.0,
        net_bps=-15.0,
    )
    episode = opportunities.open[DIRECTION]
    for ts, seen, ages in (
        (100, first, (1, 2)),
        (110, sighting(30.0, 10.0, 0.25), (3, 4)),
        (120, sighting(20.0, 0.0, 2.0), (5, 6)),
    ):
        episode.see(seen, ages)
        episode.decide(ts, seen, 0, ("EDGE_TOO_SMALL",) if seen.net_bps <= 0 else ("NO_BALANCE kucoin BTC",))
    episode.decide(130, sighting(25.0, 5.0), 7, ())
    assert opportunities.end(DIRECTION, 150) == OpportunityClosed(
        ts=150,
        opportunity=1,
        strategy="cross_arb",
        symbol="BTC/USDT",
        buy_venue="binance",
        sell_venue="kucoin",
        opened=100,
        duration_ns=50,
        peak_gross_bps=30.0,
        peak_net_bps=10.0,
        peak_quantity=2.0,
        buy_age_ns=3,
        sell_age_ns=4,
        taken=True,
        decisions=(
            Decision(100, False, 0, ("EDGE_TOO_SMALL",), 5.0, -15.0, 0.5),
            Decision(110, False, 0, ("NO_BALANCE kucoin BTC",), 30.0, 10.0, 0.25),
            Decision(120, False, 0, ("EDGE_TOO_SMALL",), 20.0, 0.0, 2.0),
            Decision(130, True, 7, (), 25.0, 5.0, 1.0),
        ),
    )
    assert opportunities.end(DIRECTION, 160) is None
    opportunities.apply_opened(opportunities_record(1))
    assert opportunities.begin(DIRECTION, first, 170).opportunity == 2


def opportunities_record(number: int) -> OpportunityOpened:
    return OpportunityOpened(
        ts=1, opportunity=number, strategy="s", symbol="x", buy_venue="a", sell_venue="b", gross_bps=1.0, net_bps=1.0
    )


def test_equal_refusals_in_a_row_are_one_with_a_count_takes_never() -> None:
    opportunities = Opportunities()
    opportunities.begin(DIRECTION, sighting(5.0), 0)
    episode = opportunities.open[DIRECTION]
    for ts in range(10):
        episode.decide(ts, sighting(5.0 + ts), 0, ("COOL_OFF",))
    for ts in (10, 11):
        episode.decide(ts, sighting(5.0), ts, ())
    episode.decide(12, sighting(5.0), 0, ("COOL_OFF",))
    kept = [(d.ts, d.taken, d.count) for d in episode.decisions]
    assert kept == [(0, False, 10), (10, True, 1), (11, True, 1), (12, False, 1)]


def test_a_long_episode_keeps_the_first_decisions_and_the_last() -> None:
    opportunities = Opportunities()
    opportunities.begin(DIRECTION, sighting(5.0), 0)
    episode = opportunities.open[DIRECTION]
    for ts in range(100):
        episode.decide(ts, sighting(5.0), 0, (f"reason {ts}",))
    assert [d.ts for d in episode.decisions] == [*range(DECISIONS_KEPT - 1), 99]


def test_numbers_go_on_after_a_restart() -> None:
    opportunities = Opportunities()
    opportunities.apply_opened(opportunities_record(41))
    assert opportunities.begin(DIRECTION, sighting(5.0), 0).opportunity == 42
