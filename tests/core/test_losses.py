"""Loss limits: what trips each, the state it leads to, the alert, the way back, and the same after a restart."""

from __future__ import annotations

from decimal import Decimal

import pytest

from desk_kit import START, D, Kit
from test_capital import WORTH, booked, moved, prices, trading
from tradeserver.core.events import Operator
from tradeserver.core.losses import LossLimits
from tradeserver.core.periods import bounds
from tradeserver.core.records import Alert, ArbitrageClosed, Outcome, StateChanged, TradingState
from tradeserver.core.types import Side

SECOND_NS = 1_000_000_000
WIDE = {"day_pct": D(90), "week_pct": D(90), "month_pct": D(90), "drawdown_pct": D(90)}


def lose(kit: Kit, amount: Decimal) -> None:
    """Bought a speck for `amount` more than the mid of 60,000.5."""
    booked(kit, Side.BUY, "0.00002", str(D("60000.5") + 50_000 * amount))


def again(kit: Kit, **limits: object) -> Kit:
    """The same desk after a restart."""
    later = Kit(losses=LossLimits(**limits))
    later.ts = kit.ts
    for record in (kit.engine.desk.records and kit.records) or kit.records:
        later.engine.apply(record)
    return later


def state(kit: Kit) -> list[tuple[str, str, TradingState, int]]:
    return [(s.scope, s.reason, s.state, s.until) for s in kit.engine.desk.states.entries()]


@pytest.mark.parametrize(
    ("reason", "key", "share"),
    [("loss-day", "day_pct", 5), ("loss-week", "week_pct", 10), ("loss-month", "month_pct", 15)],
)
def test_a_periods_limit_stops_until_its_end(reason: str, key: str, share: int) -> None:
    limits = WIDE | {key: D(share)}
    kit = trading(losses=LossLimits(**limits))
    lose(kit, WORTH * share / 100)  # exactly the limit
    prices(kit, 60_000.0)
    assert state(kit) == []
    lose(kit, D("0.01"))
    kit.tick(1000)
    end = bounds(key.removesuffix("_pct"), kit.ts)[1]
    assert state(kit) == [("global", reason, TradingState.NO_NEW, end)]
    assert [a.code for a in kit.of(Alert)] == ["LOSS_LIMIT"]
    assert not kit.edge()
    restarted = again(kit, **limits)
    assert state(restarted) == state(kit)
    kit.ts = end
    kit.tick(0)
    kit.quiet()
    kit.tick(1000)
    assert state(kit) == [], "the next one begins at nothing"


def test_one_comparison_after_each_fill_sees_it_at_once() -> None:
    kit = trading()
    prices(kit, 60_000.0)
    lose(kit, WORTH / 20 + 1)
    kit.engine.desk.records = kit.records
    kit.engine.losses.look()
    assert [s[1] for s in state(kit)] == ["loss-day"]


def test_a_person_may_go_on_and_the_loss_counts_anew() -> None:
    kit = trading()
    lose(kit, WORTH / 20 + 1)
    prices(kit, 60_000.0)
    kit.feed(Operator(ts=kit.ts, action="clear", argument="loss-day"))
    prices(kit, 60_000.0)
    assert state(kit) == []
    assert kit.edge()
    lose(kit, WORTH / 20 - 1)
    prices(kit, 60_000.0)
    assert state(kit) == []
    lose(kit, D(2))
    prices(kit, 60_000.0)
    assert [s[1] for s in state(kit)] == ["loss-day", "loss-week"], "10 % of the week are lost as well"


def test_the_drawdown_is_a_latch_and_its_clearing_a_new_mark() -> None:
    limits = {"day_pct": D(90), "week_pct": D(90), "month_pct": D(90)}
    kit = trading(losses=LossLimits(**limits))
    lose(kit, -D(10_000))
    prices(kit, 60_000.0)
    assert kit.engine.desk.capital.peak == 10_000
    lose(kit, WORTH / 5)
    prices(kit, 60_000.0)
    assert state(kit) == []
    lose(kit, D(1))
    prices(kit, 60_000.0)
    assert state(kit) == [("global", "drawdown", TradingState.NO_NEW, 0)]
    assert state(again(kit, **limits)) == state(kit)
    kit.ts += 40 * 86_400 * SECOND_NS
    prices(kit, 60_000.0)
    assert state(kit) == [("global", "drawdown", TradingState.NO_NEW, 0)]
    kit.feed(Operator(ts=kit.ts, action="clear", argument="drawdown"))
    prices(kit, 60_000.0)
    assert state(kit) == []


def test_the_inventorys_prices_have_a_limit_of_their_own() -> None:
    """Two coins that lose 27,501 each are 25 % of 220,001; trading has lost nothing."""
    kit = trading()
    assert prices(kit, 60_000.0 - 27_500).trading["day"] == 0
    assert state(kit) == []
    marked = prices(kit, 60_000.0 - 27_501)
    assert marked.revaluation["day"] == -55_002
    assert [(s[1], s[3]) for s in state(kit)] == [("revaluation", bounds("day", START)[1])]
    assert [a.code for a in kit.of(Alert)] == ["LOSS_LIMIT"]
    assert state(again(kit)) == state(kit)


def test_what_was_withdrawn_makes_the_limits_narrower() -> None:
    kit = trading()
    for venue in ("binance", "kucoin"):
        moved(kit, venue, "USDT", "-50000")
    lose(kit, (WORTH - 100_000) / 20 + 1)
    prices(kit, 60_000.0)
    assert [s[1] for s in state(kit)] == ["loss-day"]


# ---- losses in a row -----------------------------------------------------------------------------------------------


def closed(kit: Kit, edge: int) -> None:
    """An arbitrage that loses (-1), gains (1), or trades nothing (0)."""
    buy, sell = kit.edge()
    for order, price in ((buy, buy.price), (sell, sell.price if edge > 0 else D("59900.0"))):
        kit.accept(order)
        if edge:
            kit.fill(order, price=price)
        kit.close(order, executed=order.quantity if edge else D(0))
    result = kit.of(ArbitrageClosed)[-1]
    assert (result.realised_edge > 0) - (result.realised_edge < 0) == edge
    kit.book("kucoin", 60_000.0, 60_001.0)
    kit.later(300)
    kit.quiet()


def test_three_losses_in_a_row_pause_the_strategy_for_an_hour() -> None:
    kit = trading()
    for edge in (-1, -1, 1, -1, -1, 0):
        closed(kit, edge)
    assert kit.of(ArbitrageClosed)[-1].outcome is Outcome.NOTHING, "which is neither"
    assert state(kit) == []
    closed(kit, -1)
    until = kit.of(ArbitrageClosed)[-1].ts + 3600 * SECOND_NS
    (paused,) = state(kit)
    assert paused[:3] == ("strategy:cross_arb", "streak", TradingState.NO_NEW)
    assert 0 <= paused[3] - until < SECOND_NS
    assert [a.code for a in kit.of(Alert)] == ["LOSS_STREAK"]
    assert not kit.edge()
    later = Kit()
    later.engine.apply(kit.engine.desk.checkpoint(kit.ts))
    assert state(later) == state(kit)
    assert later.engine.desk.streaks == {}
    kit.ts = paused[3]
    kit.tick(0)
    assert state(kit) == []


def test_a_count_of_losses_survives_a_restart() -> None:
    kit = trading()
    closed(kit, -1)
    closed(kit, -1)
    later = Kit()
    later.engine.apply(kit.engine.desk.checkpoint(kit.ts))
    assert later.engine.desk.streaks == {"cross_arb": 2}


def test_losses_in_a_row_may_be_let_pass() -> None:
    kit = trading(losses=LossLimits(streak=0))
    for _ in range(4):
        closed(kit, -1)
    assert not kit.of(StateChanged)
