"""The cross-exchange strategy: both directions, watching, and the walk through two books against a naive twin."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeserver.core.events import BookSnapshot
from tradeserver.core.intents import Sighting, View
from tradeserver.core.market import Market, MarketLimits
from tradeserver.core.types import Level, Side
from tradeserver.strategies.cross_arb import CrossArb, CrossArbParams, sweep

SYMBOL = "XRP/USDT"
VENUES = ("binance", "kucoin")


class Desk:
    """Two books and the strategy."""

    def __init__(self, fee_bps: float | None = 10.0, venues: tuple[str, ...] = VENUES, **params: float) -> None:
        self.market = Market(MarketLimits())
        for venue in venues:
            self.market.add((venue, SYMBOL))
        fees = {} if fee_bps is None else {(venue, SYMBOL): fee_bps for venue in venues}
        self.view = View(self.market, fees)
        self.strategy = CrossArb(CrossArbParams(**params), [SYMBOL], venues)
        self.ts = 0

    def book(self, venue: str, bids: list[Level], asks: list[Level]) -> list[Sighting]:
        self.ts += 1
        event = BookSnapshot(ts=self.ts, venue=venue, symbol=SYMBOL, update_id=self.ts, bids=bids, asks=asks)
        changed = self.market.on_event(event, [])
        assert changed is not None
        return list(self.strategy.on_market(self.view, changed, self.ts))

    def touch(self, venue: str, bid: float, ask: float, quantity: float = 100.0) -> list[Sighting]:
        return self.book(venue, [(bid, quantity)], [(ask, quantity)])


def test_no_edge_says_nothing() -> None:
    desk = Desk()
    assert desk.touch("binance", 0.5000, 0.5001) == []
    assert desk.touch("kucoin", 0.5000, 0.5001) == []


@pytest.mark.parametrize(("cheap", "dear"), [("binance", "kucoin"), ("kucoin", "binance")])
def test_both_directions_whoever_moves(cheap: str, dear: str) -> None:
    for first, second in ((cheap, dear), (dear, cheap)):
        desk = Desk()
        prices = {cheap: (0.4999, 0.5000), dear: (0.5020, 0.5021)}
        assert desk.touch(first, *prices[first]) == []
        (seen,) = desk.touch(second, *prices[second])
        assert (seen.buy_venue, seen.sell_venue, seen.over, seen.reason) == (cheap, dear, False, "")
        assert seen.gross_bps == pytest.approx(40.0)
        assert seen.net_bps == pytest.approx(20.0)
        assert seen.intent is not None
        buy, sell = seen.intent.legs
        assert (buy.venue, buy.side, buy.expected_price) == (cheap, Side.BUY, pytest.approx(0.5000))
        assert (sell.venue, sell.side, sell.expected_price) == (dear, Side.SELL, pytest.approx(0.5020))
        assert seen.intent.quantity == 100.0


def test_caps_share_the_surplus_and_never_eat_the_minimum() -> None:
    """Bid 1.01 over ask 1.00 without fees, minimum 20 bps: the caps may give away at most the rest, about 80 bps."""
    for share in (0.0, 50.0, 100.0):
        desk = Desk(fee_bps=0.0, min_edge_bps=20.0, cap_share_pct=share)
        desk.touch("binance", 0.99, 1.00)
        (seen,) = desk.touch("kucoin", 1.01, 1.02)
        assert seen.intent is not None
        buy, sell = seen.intent.legs
        assert buy.cap >= 1.00
        assert sell.cap <= 1.01
        assert sell.cap / buy.cap - 1.0 >= 20e-4 - 4e-5  # two shares multiply: second order
        if share == 0.0:
            assert (buy.cap, sell.cap) == (1.00, 1.01)
        else:
            assert buy.cap - 1.00 == pytest.approx(1.00 * (1.01 / 1.002 - 1.0) * share / 200.0)


def test_fees_decide() -> None:
    desk = Desk(fee_bps=19.5)
    desk.touch("binance", 0.4999, 0.5000)
    (seen,) = desk.touch("kucoin", 0.5020, 0.5021)  # 40 gross, 39 of fees, 2 wanted
    assert seen.intent is None
    assert seen.reason == "EDGE_TOO_SMALL"
    assert seen.net_bps == pytest.approx(1.0)
    desk = Desk(fee_bps=19.0)
    desk.touch("binance", 0.4999, 0.5000)
    (seen,) = desk.touch("kucoin", 0.50201, 0.5021)
    assert seen.intent is not None


def test_unknown_fees_are_no_zero_fees() -> None:
    desk = Desk(fee_bps=None)
    desk.touch("binance", 0.4999, 0.5000)
    (seen,) = desk.touch("kucoin", 0.5020, 0.5021)
    assert seen.intent is None
    assert seen.reason == "FEES_UNKNOWN"


def test_watching_begins_and_ends_with_hysteresis() -> None:
    """watch 5, hysteresis 2: begins at 5, goes on at 4, is over at 3 or below, once."""
    desk = Desk(watch_bps=5.0, hysteresis_bps=2.0)
    desk.touch("binance", 0.9, 1.0)
    said = []
    for gross in (4.9, 5.1, 4.0, 3.5, 3.0, 2.9, 4.9, 5.1):
        seen = [s for s in desk.touch("kucoin", 1.0 + gross / 1e4, 1.1) if s.buy_venue == "binance"]
        said.append("" if not seen else "over" if seen[0].over else "seen")
    assert said == ["", "seen", "seen", "seen", "over", "", "", "seen"]


def test_without_hysteresis_one_hair_below_is_over() -> None:
    desk = Desk(watch_bps=5.0, hysteresis_bps=0.0)
    desk.touch("binance", 0.9, 1.0)
    assert len(desk.touch("kucoin", 1.000501, 1.1)) == 1
    (seen,) = desk.touch("kucoin", 1.000499, 1.1)
    assert seen.over


def test_an_emptied_side_ends_the_episode() -> None:
    desk = Desk()
    desk.touch("binance", 0.4999, 0.5000)
    desk.touch("kucoin", 0.5020, 0.5021)
    (seen,) = desk.book("kucoin", [], [(0.5021, 1.0)])
    assert seen.over
    assert desk.book("kucoin", [], [(0.5021, 1.0)]) == []


def test_every_pair_of_three_venues() -> None:
    desk = Desk(venues=("a", "b", "c"))
    desk.touch("a", 0.4999, 0.5000)
    desk.touch("b", 0.4999, 0.5000)
    seen = desk.touch("c", 0.5020, 0.5021)
    assert {(s.buy_venue, s.sell_venue) for s in seen} == {("a", "c"), ("b", "c")}
    assert set(desk.strategy.books()) == {("a", SYMBOL), ("b", SYMBOL), ("c", SYMBOL)}


def test_the_walk_stops_where_the_margin_ends() -> None:
    """Fees 20 bps and 2 wanted: a pair of levels must stand at least 22 bps apart."""
    desk = Desk()
    desk.book("binance", [(0.49, 1.0)], [(0.5000, 10.0), (0.5005, 10.0), (0.5012, 10.0)])
    (seen,) = desk.book("kucoin", [(0.5020, 5.0), (0.5018, 20.0)], [(0.6, 1.0)])
    # 5 at .5000/.5020 (40), 5 at .5000/.5018 (36), 10 at .5005/.5018 (26), then .5012/.5018 (12): too little
    assert seen.intent is not None
    assert seen.intent.quantity == pytest.approx(20.0)
    buy, sell = seen.intent.legs
    assert buy.expected_price == pytest.approx((10 * 0.5000 + 10 * 0.5005) / 20)
    assert sell.expected_price == pytest.approx((5 * 0.5020 + 15 * 0.5018) / 20)
    assert buy.cap >= 0.5005
    assert sell.cap <= 0.5018


def test_the_notional_limits_the_quantity() -> None:
    desk = Desk(max_notional=25.0)
    desk.touch("binance", 0.4999, 0.5000)
    (seen,) = desk.touch("kucoin", 0.5020, 0.5021)
    assert seen.intent is not None
    assert seen.intent.quantity == pytest.approx(50.0)


# ---- the walk against a naive twin ----------------------------------------------------------------------------------

sizes = st.integers(1, 20)
offsets = st.lists(st.tuples(st.integers(1, 30), sizes), max_size=6)


def twin(asks: list[tuple[int, int]], bids: list[tuple[int, int]], ratio: Fraction, most: int) -> tuple[int, int, int]:
    """One unit after the other: the cheapest ask left against the best bid left, while they stand far enough apart."""
    ask_units = [price for price, size in asks for _ in range(size)]
    bid_units = [price for price, size in bids for _ in range(size)]
    taken = [
        (ask, bid) for ask, bid in zip(ask_units, bid_units, strict=False) if Fraction(bid) >= Fraction(ask) * ratio
    ][:most]
    return len(taken), sum(a for a, _ in taken), sum(b for _, b in taken)


@given(offsets, offsets, st.integers(-20, 40), st.integers(0, 60))
def test_sweep_against_unit_by_unit(
    ask_steps: list[tuple[int, int]], bid_steps: list[tuple[int, int]], ticks: int, most: int
) -> None:
    """Integer prices and sizes are exact in floats; the ratio is a binary fraction."""
    asks, bids = [], []
    price = 1000
    for step, quantity in ask_steps:
        price += step
        asks.append((price, quantity))
    price = 1060
    for step, quantity in bid_steps:
        price -= step
        bids.append((price, quantity))
    ratio = Fraction(1024 + ticks, 1024)
    quantity, cost, proceeds, worst_ask, worst_bid = sweep(
        ((float(p), float(q)) for p, q in asks),
        ((float(p), float(q)) for p, q in bids),
        float(ratio),
        float(most),
    )
    assert (quantity, cost, proceeds) == twin(asks, bids, ratio, most)
    if quantity:
        assert worst_bid >= worst_ask * float(ratio)
        assert worst_ask >= cost / quantity
        assert worst_bid <= proceeds / quantity
