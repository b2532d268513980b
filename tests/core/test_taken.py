"""Own liquidity in flight: marks of levels, and what they leave for the next decision."""

from __future__ import annotations

from desk_kit import SYMBOL, Kit
from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.taken import Taken
from tradeserver.core.types import Side


def test_what_we_took_is_not_there_again_until_the_level_changes() -> None:
    taken = Taken()
    taken.mark(True, 100.0, 5.0, 2.0, until=1000, now=0)
    assert taken.left(True, 100.0, 5.0, 1) == 3.0
    taken.mark(True, 100.0, 5.0, 2.5, until=1000, now=1)
    assert taken.left(True, 100.0, 5.0, 2) == 0.5
    assert taken.left(False, 100.0, 5.0, 2) == 5.0  # the other side's level of that price
    assert taken.left(True, 100.0, 4.0, 2) == 4.0  # another size: the venue has told
    assert not taken


def test_a_mark_ends_by_itself() -> None:
    taken = Taken()
    taken.mark(True, 100.0, 5.0, 5.0, until=1000, now=0)
    assert taken.left(True, 100.0, 5.0, 999) == 0.0
    assert taken.left(True, 100.0, 5.0, 1000) == 5.0


def test_the_same_liquidity_is_not_traded_twice() -> None:
    """Two levels hold 0.004 and 0.006; the first arbitrage reaches for 0.0066, the next finds what is left of 0.01."""
    kit = Kit(execution=ExecutionPolicy(cool_off_ms=0))
    kit.begin()
    kit.quiet()
    orders = kit.edge(0.004)
    market = kit.engine.market.symbols["binance", SYMBOL]
    cap = float(orders[0].price)
    before = sum(size for price, size in market.book.asks() if price <= cap)
    left = sum(size for price, size in market.levels(Side.BUY) if price <= cap)
    assert abs(before - left - float(orders[0].quantity)) < 1e-9
