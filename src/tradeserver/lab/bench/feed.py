"""What the stub venues publish: books of 1,000 levels a side that move, and stand apart at every `every`-th message.

Message n is venue n % 2's; symbols take turns. All of them have ten levels. Most change levels deep in the book; a
*trigger* also moves one venue's best bid 40 bps above the other's best ask (or its ask below the other's bid), and the
next message of the same venue and symbol takes that back. Ids and times are put in when a message is made, the rest is
prepared, so that the feeding process has little to do.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

VENUES: Final = ("binance", "kucoin")
LEVELS: Final = 1_000
BID, ASK = 59_990.0, 60_010.0
DEEP_BID, DEEP_ASK = 59_697.0, 60_303.0
HIGH_BID, LOW_ASK = 60_243.0, 59_757.0
STEP: Final = 0.1
VARIANTS: Final = 256

Row = tuple[float, float]
Sides = tuple[list[Row], list[Row]]
"""(bids, asks) that change, or stand in a snapshot."""

QUIET, BID_UP, BID_BACK, ASK_DOWN, ASK_BACK = range(5)
_BACK: Final = {BID_UP: BID_BACK, ASK_DOWN: ASK_BACK}


def names(count: int) -> list[str]:
    """Our symbols: "BTC/USDT" for one, else C000/USDT and so on."""
    return ["BTC/USDT"] if count == 1 else [f"C{n:03d}/USDT" for n in range(count)]


def snapshot() -> Sides:
    """The books as they stand at the beginning, both venues alike."""
    bids = [(BID, 1.0)] + [(round(DEEP_BID - n * STEP, 1), 0.5) for n in range(LEVELS - 1)]
    asks = [(ASK, 1.0)] + [(round(DEEP_ASK + n * STEP, 1), 0.5) for n in range(LEVELS - 1)]
    return bids, asks


def _changes(dice: random.Random, kind: int, levels: int) -> Sides:
    """What one message changes: a third of the deep levels goes, the rest gets a new size."""
    size = round(0.5 + dice.random(), 5)
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    if kind in (BID_UP, BID_BACK):
        bids[HIGH_BID], asks[ASK] = (size, 0.0) if kind == BID_UP else (0.0, size)
    elif kind in (ASK_DOWN, ASK_BACK):
        asks[LOW_ASK], bids[BID] = (size, 0.0) if kind == ASK_DOWN else (0.0, size)
    for side, first, sign in ((bids, DEEP_BID, -1), (asks, DEEP_ASK, 1)):
        while len(side) < levels // 2:
            place = min(int(dice.expovariate(1 / 150.0)), LEVELS - 2)
            quantity = 0.0 if dice.random() < 1 / 3 else round(dice.random() * 3, 5)
            side[round(first + sign * place * STEP, 1)] = quantity
    return sorted(bids.items(), reverse=True), sorted(asks.items())


def _rows(rows: Sequence[Row], places: tuple[int, int], tail: str) -> str:
    return ",".join(f'["{p:.{places[0]}f}","{q:.{places[1]}f}"{tail}]' for p, q in rows)


def binance_text(sides: Sides) -> bytes:
    """A combined-stream depth update with its variable parts as %-fields."""
    bids, asks = (_rows(side, (8, 8), "") for side in sides)
    return (
        '{"stream":"%(stream)b@depth@100ms","data":{"e":"depthUpdate","E":%(ms)d,"s":"%(native)b","U":%(first)d,'
        f'"u":%(last)d,"b":[{bids}],"a":[{asks}]}}}}'
    ).encode()


def kucoin_text(sides: Sides) -> bytes:
    """A `/market/level2` push; every row carries the message's last sequence number."""
    bids, asks = (_rows(side, (1, 5), ',"%(last)d"') for side in sides)
    return (
        '{"topic":"/market/level2:%(native)b","type":"message","subject":"trade.l2update","data":{"changes":{'
        f'"asks":[{asks}],"bids":[{bids}]}},"sequenceEnd":%(last)d,"sequenceStart":%(first)d,'
        '"symbol":"%(native)b","time":%(ms)d}}'
    ).encode()


class Feed:
    """The messages of both venues, in order. `ids` are the last update ids by (venue, symbol number)."""

    def __init__(self, symbols: int, levels: int = 10, every: int = 20, seed: int = 7) -> None:
        dice = random.Random(seed)
        self.count = symbols
        self.every = every
        self.ids = [[50_000_000_000] * symbols for _ in VENUES]
        self.native = [
            [(name.replace("/", joint).encode(), name.replace("/", joint).lower().encode()) for name in names(symbols)]
            for joint in ("", "-")
        ]
        self._texts = [
            [[text(_changes(dice, kind, levels)) for _ in range(VARIANTS)] for kind in range(5)]
            for text in (binance_text, kucoin_text)
        ]
        self._apart: dict[tuple[int, int], int] = {}  # (venue, symbol) -> how its next message takes the gap back
        self._number = 0
        self.triggers = 0

    def next(self, ms: int, trade: bool) -> tuple[int, int, bytes, bool]:
        """(venue, symbol number, text, whether it triggers); `trade` False: no triggers, only what takes them back."""
        number = self._number
        self._number += 1
        venue, symbol = number % 2, number // 2 % self.count
        kind = self._apart.pop((venue, symbol), QUIET)
        triggers = trade and kind == QUIET and number % self.every == number // self.every % 2
        if triggers:
            kind = BID_UP if self.triggers // 2 % 2 else ASK_DOWN
            self.triggers += 1
            self._apart[venue, symbol] = _BACK[kind]
        ids = self.ids[venue]
        first = ids[symbol] + 1
        last = ids[symbol] = first + 20
        native, stream = self.native[venue][symbol]
        text = self._texts[venue][kind][number * 7 % VARIANTS]
        fields = {b"ms": ms, b"first": first, b"last": last, b"native": native, b"stream": stream}
        return venue, symbol, text % fields, triggers
