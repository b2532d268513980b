"""The decision of the programs that we are compared with: on the feed it fires where ours does, once a trigger."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tradeserver.lab.bench.feed import Feed, snapshot

FILE = Path(__file__).resolve().parents[2] / "bench" / "peers" / "rule.py"


@pytest.fixture(scope="module")
def rule() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_peers_rule", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(message: dict[str, Any], venue: int) -> tuple[list[list[str]], list[list[str]]]:
    data = message["data"]
    return (data["b"], data["a"]) if venue == 0 else (data["changes"]["bids"], data["changes"]["asks"])


def test_it_fires_on_the_ticks_that_trigger(rule: ModuleType) -> None:
    feed, decide = Feed(1), rule.Rule().decide
    books = [[dict(side) for side in snapshot()] for _ in range(2)]
    for number in range(1_000):
        venue, _, text, triggers = feed.next(1_700_000_000_000, trade=True)
        for book, changes in zip(books[venue], rows(json.loads(text), venue), strict=True):
            for price, size, *_ in changes:
                book[float(price)] = float(size)
        tops = []
        for bids, asks in books:
            bid = max(price for price, size in bids.items() if size)
            ask = min(price for price, size in asks.items() if size)
            tops.append((bid, bids[bid], ask, asks[ask]))
        assert (decide(*tops) is not None) is triggers, number
    assert feed.triggers == 50


def test_it_asks_for_no_more_than_there_is(rule: ModuleType) -> None:
    side, quantity, price = rule.Rule().decide((100.0, 1.0, 101.0, 3.0), (102.0, 2.5, 103.0, 1.0))
    assert (side, quantity, price) == ("BUY", 2.5, 101.0)
    side, quantity, price = rule.Rule().decide((102.0, 9.0, 103.0, 3.0), (99.0, 2.5, 100.0, 7.0))
    assert (side, quantity, price) == ("SELL", 4.0, 102.0)  # 400 in quote
    assert rule.Rule().decide((100.0, 1.0, 100.1, 1.0), (100.3, 1.0, 100.4, 1.0)) is None  # 20 bps: the fees
