"""Every connection is renewed again and again while arbitrages are made: nothing is lost, and nothing counts twice."""

from __future__ import annotations

from collections import Counter

import pytest

from loop import SECOND, Loop
from test_arbitrage_loop import settled
from tradeserver.core.events import BookInvalid, LinkDown, OrderClosed, OrderFilled, Trust
from tradeserver.core.records import ArbitrageClosed, Outcome
from tradeserver.venues import rotation

LIFETIMES = {"market": 1.9, "user": 2.3, "orders": 2.7}
"""Seconds in place of 23 hours."""


@pytest.mark.parametrize("seed", [1, 2])
def test_renewals_in_the_middle_of_trading(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "OVERLAP_NS", SECOND // 2)
    lives = rotation.Rotation.__init__

    def short(self: rotation.Rotation, lifetimes_ns: dict[str, int], outgoing: list[object]) -> None:
        lives(self, {channel: int(LIFETIMES[channel] * SECOND) for channel in lifetimes_ns}, outgoing)  # type: ignore[arg-type]

    monkeypatch.setattr(rotation.Rotation, "__init__", short)
    loop = Loop(seed).run(9).calm()
    settled(loop)
    assert loop.of(LinkDown) == []
    invalid = [e for e in loop.of(BookInvalid) if isinstance(e, BookInvalid)]
    assert {e.trust for e in invalid} <= {Trust.SNAPSHOTTING}
    assert set(Counter((e.venue, e.symbol) for e in invalid).values()) == {1}, "each book was made once"
    for network in loop.networks.values():
        assert len(network.joined_ns) >= 9, "three connections and two successors of each"
        assert len(network.lines) <= 6
    closed = [r for r in loop.trace.records if isinstance(r, ArbitrageClosed)]
    assert len([r for r in closed if r.outcome is Outcome.COMPLETED]) >= 2
    twice = Counter((e.venue, e.trade_id) for e in loop.of(OrderFilled) if isinstance(e, OrderFilled))
    ends = Counter((e.venue, e.client_id) for e in loop.of(OrderClosed) if isinstance(e, OrderClosed))
    assert max(twice.values()) > 1 or max(ends.values()) > 1, "events did come twice"
