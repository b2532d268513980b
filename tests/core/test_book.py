"""The book against a naive twin (a dict, sorted when asked) and against the recordings' published hashes."""

from __future__ import annotations

import gzip
import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tradeserver.core.book import Book
from tradeserver.core.types import Level

# Hypothesis: prices on a coarse grid so that levels collide, die and come back.
levels = st.lists(
    st.tuples(st.integers(1, 60).map(lambda i: i * 0.1), st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.25])), max_size=12
)
updates = st.lists(st.tuples(levels, levels), max_size=60)


class Twin:
    """What a book is, without any cleverness."""

    def __init__(self) -> None:
        self.sides: tuple[dict[float, float], dict[float, float]] = ({}, {})

    def apply(self, bids: list[Level], asks: list[Level]) -> None:
        for side, changes in zip(self.sides, (bids, asks), strict=True):
            for price, quantity in changes:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)

    def top(self) -> tuple[list[Level], list[Level]]:
        return sorted(self.sides[0].items(), reverse=True), sorted(self.sides[1].items())


def check(book: Book, twin: Twin) -> None:
    bids, asks = twin.top()
    assert book.top(1_000) == (bids, asks)
    assert (book.bid, book.bid_quantity) == (bids[0] if bids else (0.0, 0.0))
    assert (book.ask, book.ask_quantity) == (asks[0] if asks else (0.0, 0.0))


@given(first=st.tuples(levels, levels), changes=updates)
@settings(max_examples=150, deadline=None)
def test_equals_a_sorted_dict(first: tuple[list[Level], list[Level]], changes: list[Any]) -> None:
    book, twin = Book(), Twin()
    twin.apply(*first)
    book.load(1, *twin.top())
    check(book, twin)
    for n, (bids, asks) in enumerate(changes, start=2):
        book.apply(n, bids, asks)
        twin.apply(bids, asks)
        assert book.update_id == n
        check(book, twin)


@given(changes=updates)
@settings(max_examples=50, deadline=None)
def test_a_loaded_book_has_no_memory(changes: list[Any]) -> None:
    book, twin = Book(), Twin()
    for bids, asks in changes:
        book.apply(1, bids, asks)
        twin.apply(bids, asks)
    bids, asks = twin.top()
    fresh = Book()
    fresh.load(1, list(reversed(bids)), asks)  # whatever the order
    assert fresh.canonical() == book.canonical()
    book.load(2, [(1.0, 1.0)], [(2.0, 1.0), (3.0, 0.0)])
    assert book.top(5) == ([(1.0, 1.0)], [(2.0, 1.0)])
    book.clear()
    assert book.top(5) == ([], [])
    assert (book.bid, book.ask, book.update_id) == (0.0, 0.0, 0)


def test_tombstones_do_not_accumulate() -> None:
    """A drifting market leaves a trail of dead prices; the book must not keep them, and must keep every live one."""
    book, twin = Book(), Twin()
    book.apply(0, [(1.0, 1.0)], [(1e9, 1.0)])
    twin.apply([(1.0, 1.0)], [(1e9, 1.0)])
    for n in range(20_000):
        # Fifty live levels far behind the touch; each update adds one and removes one.
        change = [(100.0 + n * 0.01, 1.0), (100.0 + (n - 50) * 0.01, 0.0)]
        book.apply(n, [*change, (1e6, 1.0)], [])
        twin.apply([*change, (1e6, 1.0)], [])
    check(book, twin)
    assert len(book._bids.keys) < 4 * 52
    assert len(book._bids.levels) == len(book._bids.keys)


def test_the_worst_levels_go_beyond_the_limit() -> None:
    book = Book(levels_kept=100)
    book.load(1, [(float(p), 1.0) for p in range(1, 301)], [(float(p), 1.0) for p in range(1000, 1050)])
    bids, asks = book.top(1_000)
    assert bids == [(float(p), 1.0) for p in range(300, 200, -1)]
    assert len(asks) == 50
    book.apply(2, [(400.0 + p, 1.0) for p in range(20)], [])
    bids, _ = book.top(1_000)
    assert bids[:20] == [(419.0 - p, 1.0) for p in range(20)]
    assert len(bids) <= 100


def test_canonical_form_of_the_published_definition() -> None:
    """data/README.md: `price:qty`, no trailing zeros, no exponent, `|` inside a side, `#` between the sides."""
    book = Book()
    book.load(7, [(0.0000001, 100.0), (0.00000009, 1e21)], [(61686.0, 0.5)])
    text = "0.0000001:100|0.00000009:1000000000000000000000#61686:0.5"
    assert book.canonical() == text
    assert book.sha256() == hashlib.sha256(text.encode()).hexdigest()


def as_levels(rows: list[list[str]]) -> list[Level]:
    return [(float(p), float(q)) for p, q in rows]


def test_binance_recording_ends_as_published(shared_data: Path) -> None:
    """Snapshot and deltas applied by the documented rule, hashes at each checkpoint from expected.json."""
    name = "binance_spot_btcusdt_20240808.gz"
    expected = json.loads((shared_data / "recordings" / "expected.json").read_text())[name]
    checkpoints = {c["after_u"]: c for c in expected["checkpoints"]}
    book, waiting, applied, seen = Book(), list[Any](), 0, 0
    synced = False
    with gzip.open(shared_data / "recordings" / name, "rb") as lines:
        for line in lines:
            message = json.loads(line.split(b" ", 1)[1])
            if "lastUpdateId" in message:
                book.load(message["lastUpdateId"], as_levels(message["bids"]), as_levels(message["asks"]))
                waiting = [e for e in waiting if e["u"] > book.update_id]
                synced = True
            elif message["data"].get("e") == "depthUpdate":
                waiting.append(message["data"])
            if not synced:
                continue
            for event in waiting:
                book.apply(event["u"], as_levels(event["b"]), as_levels(event["a"]))
                applied += 1
                if event["u"] in checkpoints:
                    seen += 1
                    assert book.sha256() == checkpoints[event["u"]]["sha256"]
            waiting = []
    final = expected["final"]
    assert applied == expected["counts"]["applied"]
    assert seen == len(checkpoints) == 6
    assert book.update_id == final["u"]
    assert book.sha256() == final["sha256"]
    bids, asks = book.top(1_000_000)
    assert [len(bids), len(asks)] == final["levels"]
    assert bids[:5] == [(float(Decimal(p)), float(Decimal(q))) for p, q in (x.split(":") for x in final["top5_bids"])]
