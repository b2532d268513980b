"""The synthetic market: the same from the same seed, sound books, and arbitrage after fees that comes and goes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec
import pytest

from tradeserver.simulator.config import default_config
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.market import Market
from tradeserver.simulator.types import BookChange, Event, OrderType, PublicTrade, QuoteChange, Side, TimeInForce
from tradeserver.simulator.world import build_exchange

STEP_NS = 20_000_000
START = 1_700_000_000_000_000_000
NET = 1.001**2  # two taker fees of 10 bps


def build(seed: int, *symbols: str) -> tuple[Market, list[Exchange]]:
    config = default_config()
    exchanges = [build_exchange(venue, settings) for venue, settings in config.venues.items()]
    flows = {name: config.market.symbols[name] for name in symbols}
    return Market(msgspec.structs.replace(config.market, symbols=flows), exchanges, seed), exchanges


@dataclass
class Window:
    """One stretch of time in which buying at one venue and selling at the other pays after fees."""

    steps: int = 0
    peak_bps: float = 0.0


def windows(seed: int, symbol: str, seconds: int) -> list[Window]:
    market, exchanges = build(seed, symbol)
    found: list[Window] = []
    current: dict[int, Window] = {}
    for step in range(seconds * 1_000_000_000 // STEP_NS):
        market.advance(START + step * STEP_NS)
        quotes = [exchange.quote(symbol) for exchange in exchanges]
        for way, (buy, sell) in enumerate(((0, 1), (1, 0))):
            net_bps = (float(quotes[sell][0][0]) / float(quotes[buy][1][0]) / NET - 1) * 10_000
            if net_bps <= 0:
                current.pop(way, None)
                continue
            if way not in current:
                found.append(current.setdefault(way, Window()))
            current[way].steps += 1
            current[way].peak_bps = max(current[way].peak_bps, net_bps)
    return found


@pytest.mark.parametrize("symbol", ["XRP/USDT", "BTC/USDT", "ETH/USDT"])
def test_arbitrage_windows_open_several_times_a_minute(symbol):
    """Two simulated minutes of each symbol; `pytest -s` prints what there was."""
    found = windows(1, symbol, 120)
    lasting = sorted(w.steps * 20 for w in found)
    good = [w for w in found if w.peak_bps >= 5 and w.steps >= 5]
    peaks = sorted(w.peak_bps for w in found)
    print(
        f"{symbol}: {len(found)} windows in 120 s, {len(good)} of them over 5 bps and 100 ms; "
        f"lasting {lasting[0]}..{lasting[len(lasting) // 2]}..{lasting[-1]} ms, "
        f"peaks {peaks[0]:.1f}..{peaks[len(peaks) // 2]:.1f}..{peaks[-1]:.1f} bps"
    )
    assert len(good) >= 4  # two a minute in each of three symbols
    assert len(found) > len(good)  # and others that are too small or too short
    assert max(lasting) < 10_000
    assert max(peaks) < 80


def test_books_are_sound_and_alive():
    """No crossed book, ladders of the wanted length, takers on both sides, every change of the top told."""
    market, exchanges = build(5, "XRP/USDT")
    trades = set()
    quotes: dict[int, QuoteChange] = {}
    sequences: dict[int, int] = {}
    for step in range(1500):
        market.advance(START + step * STEP_NS)
        for i, exchange in enumerate(exchanges):
            for event in exchange.take_events():
                if isinstance(event, PublicTrade):
                    trades.add((i, event.taker))
                elif isinstance(event, QuoteChange):
                    quotes[i] = event
                elif isinstance(event, BookChange):
                    assert event.first == sequences.get(i, event.first - 1) + 1
                    sequences[i] = event.last
            bid, ask = exchange.quote("XRP/USDT")
            assert bid[0] < ask[0]
            assert (quotes[i].bid, quotes[i].ask) == (bid, ask)
            if step % 100 == 0:
                depth = exchange.depth("XRP/USDT")
                assert 35 <= len(depth.bids) <= 90
                assert 35 <= len(depth.asks) <= 90
                symbol = exchange.symbols["XRP/USDT"]
                assert not any(p % symbol.tick or q % symbol.lot or q <= 0 for p, q in depth.bids + depth.asks)
    assert len(trades) == 4


def test_the_same_seed_and_times_make_the_same_market():
    def story(seed: int, stride: int) -> list[list[Event]]:
        market, exchanges = build(seed, "BTC/USDT", "ETH/USDT")
        market.advance(START)
        for step in range(stride, 201, stride):
            market.advance(START + step * STEP_NS)
        return [exchange.take_events() for exchange in exchanges]

    assert story(1, 1) == story(1, 5)  # however often it is called
    assert story(1, 1) != story(2, 1)


def test_clients_meet_participants_and_a_bad_price_is_taken():
    market, exchanges = build(1, "XRP/USDT")
    exchange = exchanges[0]
    market.advance(START)
    me = exchange.accounts["main"]
    ask, size = exchange.quote("XRP/USDT")[1]
    taken = exchange.place(
        me, "XRP/USDT", Side.BUY, OrderType.LIMIT, START,
        client_id="a", time_in_force=TimeInForce.IOC, price=ask, quantity=size,
    ).order  # fmt: skip
    assert taken is not None
    assert taken.filled == size
    assert exchange.quote("XRP/USDT")[1][0] > ask  # the level is gone
    bid = exchange.quote("XRP/USDT")[0][0]
    cheap = exchange.place(
        me, "XRP/USDT", Side.SELL, OrderType.LIMIT, START, client_id="c", price=bid + Decimal("0.0001"), quantity=size
    ).order
    assert cheap is not None
    for step in range(1, 500):
        market.advance(START + step * STEP_NS)
    assert cheap.filled == size  # at the touch, takers and arbitrageurs come to it
    assert all(fill.maker for fill in cheap.fills)


def test_a_market_that_was_asleep_skips_the_time():
    market, _ = build(1, "XRP/USDT")
    market.advance(START)
    market.advance(START + 3600 * 1_000_000_000)
    assert market.next_due() == START + 3600 * 1_000_000_000 + STEP_NS
