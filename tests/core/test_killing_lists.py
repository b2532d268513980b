"""A kill hears lists that somebody else asked for; before its first cancel they are no look."""

from __future__ import annotations

from tradeserver.core.commands import CancelAll
from tradeserver.core.events import OpenOrdersListed
from tradeserver.core.killing import Phase, Throttle, VenueKill


def test_a_list_before_the_first_cancel_is_no_look() -> None:
    kill = VenueKill("binance", ["BTC/USDT"], 1_000, Throttle(), at_once=True)
    kill.on_listed(OpenOrdersListed(ts=1_500, venue="binance", orders=(), asked_ts=1_200))
    commands = kill.advance(1_600, 0)
    assert CancelAll(venue="binance", symbol="BTC/USDT") in commands
    assert kill.phase is Phase.LOOKING
    assert kill.looks == 0
