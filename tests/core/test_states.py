"""Trading states: the most severe that applies counts; entries expire or are cleared one by one."""

from __future__ import annotations

import pytest

from tradeserver.core.records import StateChanged, TradingState
from tradeserver.core.states import SEVERITY, States

RUNNING, NO_NEW, HEDGE_ONLY, HALTED = TradingState


def entry(scope: str, state: TradingState, reason: str = "r", until: int = 0) -> StateChanged:
    return StateChanged(ts=1, scope=scope, state=state, reason=reason, until=until)


def test_the_order_of_the_enum_is_the_severity() -> None:
    assert sorted(TradingState, key=SEVERITY.__getitem__) == [RUNNING, NO_NEW, HEDGE_ONLY, HALTED]


@pytest.mark.parametrize(
    ("scope", "applies"),
    [
        ("global", True),
        ("venue:binance", True),
        ("venue:kraken", False),
        ("symbol:BTC/USDT", True),
        ("symbol:ETH/USDT", False),
        ("strategy:cross_arb", True),
        ("strategy:other", False),
    ],
)
def test_scopes(scope: str, applies: bool) -> None:
    states = States()
    states.apply(entry(scope, HALTED))
    found = states.of(5, ("binance", "kucoin"), "BTC/USDT", "cross_arb")
    assert (found is not None) is applies


def test_the_worst_counts_whatever_the_order() -> None:
    for order in ((NO_NEW, HALTED, HEDGE_ONLY), (HALTED, HEDGE_ONLY, NO_NEW)):
        states = States()
        for state in order:
            states.apply(entry("global", state, reason=state.value))
        worst = states.of(5)
        assert worst is not None
        assert worst.state is HALTED


def test_clearing_one_reason_leaves_the_other() -> None:
    states = States()
    states.apply(entry("venue:binance", NO_NEW, "pause"))
    states.apply(entry("venue:binance", HALTED, "kill"))
    states.apply(entry("venue:binance", RUNNING, "kill"))
    left = states.of(5, ("binance",))
    assert left is not None
    assert left.reason == "pause"
    states.apply(entry("venue:binance", RUNNING, "pause"))
    assert states.of(5, ("binance",)) is None
    assert states.entries() == ()


def test_clearing_what_is_not_there_changes_nothing() -> None:
    states = States()
    states.apply(entry("global", RUNNING, "kill"))
    assert states.entries() == ()


def test_an_entry_ends_at_its_time_a_latch_never() -> None:
    states = States()
    states.apply(entry("venue:binance", NO_NEW, "rate limit", until=100))
    states.apply(entry("global", NO_NEW, "pause"))
    assert states.next_deadline() == 100
    assert states.expired(99) == []
    assert [e.reason for e in states.expired(100)] == ["rate limit"]
    states.apply(entry("global", RUNNING, "pause"))
    assert states.of(99, ("binance",)) is not None
    assert states.of(100, ("binance",)) is None  # also before the engine has recorded the end
    assert States().next_deadline() == 0
