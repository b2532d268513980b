"""One depth message to one changed book, without sockets: codec, gap check, `Market`. Timed call by call."""

from __future__ import annotations

import gc
import time

from tradeserver.core.market import Market, MarketLimits
from tradeserver.lab.bench.feed import Feed, snapshot
from tradeserver.lab.bench.table import percentile
from tradeserver.venues.binance.codec import BinanceCodec
from tradeserver.venues.binance.settings import BinanceSettings

SYMBOL = "BTC/USDT"
MESSAGES = 20_000
FIRST_ID = 50_000_000_020  # of the first message: the snapshot holds it


def book_update_us(levels: int, messages: int = MESSAGES) -> tuple[float, int]:
    """Median microseconds from a frame's bytes to the new best levels, Binance's codec; of how many messages."""
    feed = Feed(1, levels)
    frames: list[bytes] = []
    while len(frames) < messages:
        venue, _, text, _ = feed.next(1_700_000_000_000, trade=False)
        if venue == 0:
            frames.append(text)
    market = Market(MarketLimits())
    market.add(("binance", SYMBOL))
    codec = BinanceCodec(BinanceSettings(), [SYMBOL])
    streams = codec.market
    streams.opened("market", 0)
    bids, asks = snapshot()
    sync = streams.books["BTCUSDT"]
    receive, on_event = codec.receive, market.on_event
    receive("market", frames[0], 1)
    for loaded in sync.snapshot(FIRST_ID, bids, asks, 1):
        on_event(loaded, [])
    timings: list[float] = []
    clock = time.perf_counter_ns
    gc.collect()
    gc.disable()
    for number, frame in enumerate(frames[1:]):
        begun = clock()
        for event in receive("market", frame, number):
            on_event(event, [])
        timings.append(clock() - begun)
    gc.enable()
    book = market.symbols["binance", SYMBOL].book
    if book.update_id != feed.ids[0][0]:
        raise RuntimeError("the book did not take every message")
    return percentile(timings, 0.5) / 1e3, len(timings)
