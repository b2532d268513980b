"""Target positions: what leaves, what is held, in which states, and that a restart forgets none of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_kit import START, WIDE, House, rules
from tradeserver.core.commands import SubmitOrder
from tradeserver.core.engine import Engine
from tradeserver.core.events import Operator
from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.ids import ClientIds
from tradeserver.core.intents import FitWanted, HoldTargets, Sighting, Target, View
from tradeserver.core.market import MarketLimits, SymbolMarket
from tradeserver.core.records import Alert, ArbitrageClosed, ArbitrageOpened, Record, StateChanged
from tradeserver.core.risk import RiskLimits
from tradeserver.core.types import Charged, Key

D = Decimal
VENUE, SYMBOL = "binance", "XRP/USDT"


class Wish:
    """A strategy that wants what the test says."""

    name = "wish"

    def __init__(self, symbols: Sequence[str] = (SYMBOL,)) -> None:
        self.symbols = symbols
        self.targets: tuple[Target, ...] = ()
        self.error: Exception | None = None
        self.said: list[Sighting | FitWanted] = []

    def books(self) -> Sequence[Key]:
        return [(VENUE, symbol) for symbol in self.symbols]

    def on_market(self, view: View, changed: SymbolMarket, ts: int) -> Sequence[Sighting | FitWanted]:
        if self.error is not None:
            raise self.error
        if self.said:
            return self.said
        if not self.targets:
            return ()
        intent = HoldTargets(self.targets)
        return [Sighting(SYMBOL, VENUE, VENUE, 1.0, 1.0, abs(self.targets[0].quantity), intent=intent)]


def house(strategy: Any, balances: Mapping[str, Decimal] | None = None, **more: Any) -> House:
    made = House([strategy], [VENUE], strategy.symbols, balances or {"USDT": D(1_000), "XRP": D(500)}, **more)
    for symbol in strategy.symbols:
        made.quote(VENUE, symbol, 0.5, 0.51)
    return made


def want(made: House, wish: Wish, quantity: float, cap: float, symbol: str = SYMBOL) -> None:
    wish.targets = (Target(VENUE, symbol, quantity, cap),)
    made.advance(1)
    made.quote(VENUE, SYMBOL, 0.5, 0.51)


def orders(made: House) -> list[tuple[str, Decimal, bool]]:
    return [(c.side.value, c.quantity, c.opening) for c in made.commands if isinstance(c, SubmitOrder)]


def held(made: House, symbol: str = SYMBOL) -> Decimal:
    return made.engine.desk.held.quantity("wish", VENUE, symbol)


def test_buy_hold_sell() -> None:
    """Buy 100 at 0.51 with 10 bps of quote: 51.051; sell at 0.50: 49.95. The loss, 1.101, is the trade's edge."""
    wish = Wish()
    made = house(wish, fee="0.001")
    want(made, wish, 100.0, 0.51)
    assert held(made) == 100
    assert made.engine.desk.held.by_key["wish", VENUE, SYMBOL].cost == D("51.051")
    assert made.engine.desk.held.by_key["wish", VENUE, SYMBOL].since == made.ts
    assert not made.engine.desk.arbitrages
    assert made.engine.execution.worst_exposure("XRP") == 100
    want(made, wish, 100.0, 0.51)
    assert orders(made) == [("buy", D(100), True)]
    want(made, wish, 0.0, 0.50)
    assert orders(made)[1:] == [("sell", D(100), False)]
    first, second = made.of(ArbitrageClosed)
    assert (first.plan, first.realised_edge, first.expected_edge) == ("targets", D(0), D(0))
    assert second.realised_edge == D("-1.101")
    assert second.realised_edge == second.expected_edge + sum(second.bridge.values())
    assert made.engine.desk.dust == {}
    assert made.engine.execution.worst_exposure("XRP") == 0


def test_commission_in_base_is_grossed_up_and_a_flip_takes_two_orders() -> None:
    wish = Wish()
    made = house(wish, fee="0.001", charged=Charged.RECEIVED)
    want(made, wish, 100.0, 0.51)
    assert orders(made) == [("buy", D("100.10010010"), True)]  # 100 / 0.999, down to the lot
    assert abs(held(made) - 100) < D("0.00000001")
    want(made, wish, -50.0, 0.50)
    want(made, wish, -50.0, 0.50)
    assert [o[0] for o in orders(made)] == ["buy", "sell", "sell"]
    assert [o[2] for o in orders(made)] == [True, False, True]
    assert abs(held(made) + 50) < D("0.00000002")  # within a lot


def test_a_short_ends_where_the_inventory_does() -> None:
    wish = Wish()
    made = house(wish)
    want(made, wish, -800.0, 0.50)
    assert held(made) == -500  # all that lies there
    want(made, wish, -800.0, 0.50)
    assert held(made) == -500
    assert "NO_BALANCE" in made.reasons()


def test_only_what_is_visible_within_the_cap() -> None:
    wish = Wish()
    made = house(wish)
    wish.targets = (Target(VENUE, SYMBOL, 300.0, 0.52),)
    made.book(VENUE, SYMBOL, [(0.5, 1e6)], [(0.51, 40.0), (0.52, 30.0), (0.53, 1e6)])
    assert orders(made) == [("buy", D(70), True)]
    assert held(made) == 70
    wish.targets = (Target(VENUE, SYMBOL, 300.0, 0.505),)
    made.book(VENUE, SYMBOL, [(0.5, 1e6)], [(0.51, 40.0)])
    assert "NO_DEPTH" in made.reasons()


@pytest.mark.parametrize(
    ("say", "closes"),
    [
        (Operator(ts=0, action="pause"), True),
        (Operator(ts=0, action="kill", argument="hedge", scope=f"symbol:{SYMBOL}"), False),
        (Operator(ts=0, action="kill"), False),
    ],
)
def test_states_stop_openings_and_leave_exits_until_halted(say: Operator, closes: bool) -> None:
    """A kill --hedge without an open arbitrage halts at once."""
    wish = Wish()
    made = house(wish)
    want(made, wish, 100.0, 0.51)
    made.feed(Operator(ts=made.ts, action=say.action, argument=say.argument, scope=say.scope))
    want(made, wish, 200.0, 0.51)
    assert held(made) == 100
    want(made, wish, 0.0, 0.50)
    assert held(made) == (0 if closes else 100)
    assert "TRADING_STATE" in made.reasons()


def test_limits_bound_openings_and_never_exits() -> None:
    limits = WIDE | {"max_order_notional": D(30), "max_position_notional": D(45)}
    wish = Wish()
    made = house(wish, limits=RiskLimits(**limits))
    for _ in range(4):
        want(made, wish, 500.0, 0.51)
    assert all(quantity * D("0.51") <= 30 for _, quantity, _ in orders(made))
    assert held(made) * D("0.505") <= 45
    assert held(made) > 50
    assert "MAX_POSITION" in made.reasons()
    want(made, wish, 0.0, 0.50)
    assert held(made) == 0


def test_two_symbols_open_all_or_none() -> None:
    pair = (SYMBOL, "ADA/USDT")
    wish = Wish(pair)
    made = house(wish, {"USDT": D(1_000), "XRP": D(500)})  # no ADA to sell
    wish.targets = (Target(VENUE, SYMBOL, 100.0, 0.51), Target(VENUE, "ADA/USDT", -100.0, 0.50))
    made.quote(VENUE, SYMBOL, 0.5, 0.51)
    assert orders(made) == []
    assert "NO_BALANCE" in made.reasons()
    wish.targets = (Target(VENUE, SYMBOL, -100.0, 0.50), Target(VENUE, "ADA/USDT", 100.0, 0.51))
    made.advance(1)
    made.quote(VENUE, SYMBOL, 0.5, 0.51)
    assert (held(made), held(made, "ADA/USDT")) == (D(-100), D(100))
    (opened,) = made.of(ArbitrageOpened)
    assert [leg.symbol for leg in opened.legs] == list(pair)


def revived(records: Sequence[Record], checkpoint: bool) -> Engine:
    engine = Engine(
        ids=ClientIds("T1", "backtest", START // 10**9 + 100),
        venues=[VENUE],
        symbols=[SYMBOL],
        strategies=[],
        market=MarketLimits(),
        risk=RiskLimits(),
        execution=ExecutionPolicy(),
    )
    if checkpoint:
        half = revived(records, False)
        engine.apply(half.checkpoint(records[-1].ts))
    else:
        for record in records:
            engine.apply(record)
    return engine


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_restart_knows_what_is_held(checkpoint: bool) -> None:
    wish = Wish()
    made = house(wish, fee="0.001", charged=Charged.RECEIVED)
    want(made, wish, 100.0, 0.51)
    before = made.engine.desk.held.by_key["wish", VENUE, SYMBOL]
    after = revived(made.records, checkpoint).desk.held.by_key["wish", VENUE, SYMBOL]
    assert (after.quantity, after.cost, after.since) == (before.quantity, before.cost, before.since)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-400, 400), min_size=1, max_size=12), st.sampled_from(list(Charged)[:2]))
def test_held_is_what_the_balance_says_and_profit_what_the_cash_says(wanted: list[int], charged: Charged) -> None:
    """Whatever is wished for: balance - opening balance = held; cash = realised - cost of what is held."""
    wish = Wish()
    made = house(wish, fee="0.001", charged=charged)
    for number, quantity in enumerate(wanted):
        wish.targets = (Target(VENUE, SYMBOL, float(quantity), 1.0 if quantity > held(made) else 0.1),)
        made.advance(1)
        made.quote(VENUE, SYMBOL, 0.5 + number * 0.01, 0.51 + number * 0.01)
    totals = made.engine.desk.ledger.totals
    position = made.engine.desk.held.by_key.get(("wish", VENUE, SYMBOL))
    if position is None:
        assert made.fills == []
        return
    assert totals[VENUE, "XRP"] - 500 == position.quantity
    realised = sum((r.realised_edge for r in made.of(ArbitrageClosed)), D(0))
    assert abs(totals[VENUE, "USDT"] - 1_000 - (realised - position.cost)) < D("1e-18")


# ---- bad strategies -------------------------------------------------------------------------------------------------


class Good(Wish):
    name = "good"


def bad_sayings() -> list[Sighting]:
    def target(venue: str, quantity: float, cap: float) -> Sighting:
        intent = HoldTargets((Target(venue, SYMBOL, quantity, cap),))
        return Sighting(SYMBOL, VENUE, VENUE, 1.0, 1.0, 1.0, intent=intent)

    return [
        target("nowhere", 1.0, 1.0),
        target(VENUE, float("nan"), 1.0),
        target(VENUE, 1.0, float("inf")),
        Sighting("XXX/USDT", VENUE, VENUE, 1.0, 1.0, 1.0),
    ]


@pytest.mark.parametrize("said", [None, *bad_sayings()])
def test_a_bad_strategy_is_switched_off_by_name_and_the_rest_trades(said: Sighting | None) -> None:
    wish, good = Wish(), Good()
    made = House([wish, good], [VENUE], [SYMBOL], {"USDT": D(1_000), "XRP": D(500)})
    good.targets = (Target(VENUE, SYMBOL, 10.0, 0.51),)
    if said is None:
        wish.error = ZeroDivisionError("division by zero")
    else:
        wish.said = [said]
    made.quote(VENUE, SYMBOL, 0.5, 0.51)
    (alert,) = [a for a in made.of(Alert) if a.code == "STRATEGY_OFF"]
    assert "wish is switched off: it" in alert.text
    assert made.engine.desk.held.quantity("good", VENUE, SYMBOL) == 10
    assert made.engine.desk.states.has("strategy:wish", "switched off")
    wish.error, wish.said = None, []
    want(made, wish, 100.0, 0.51)
    assert held(made) == 0  # nobody asked it
    assert len([r for r in made.of(StateChanged) if r.reason == "switched off"]) == 1


def test_the_shell_switches_a_slow_one_off() -> None:
    wish = Wish()
    made = house(wish)
    made.feed(
        Operator(ts=made.ts, action="switch off", scope="strategy:wish", argument="it took 2,000 ms", source="shell")
    )
    want(made, wish, 100.0, 0.51)
    assert held(made) == 0
    assert any("it took 2,000 ms" in a.text for a in made.of(Alert))


def test_rules_of_the_venue_still_hold() -> None:
    wish = Wish()
    made = house(wish, instruments=[rules(VENUE, SYMBOL, "0.01", "1", "5")])
    want(made, wish, 9.7, 0.51)  # 9 x 0.51 is below 5
    assert orders(made) == []
    assert "MIN_NOTIONAL" in made.reasons()
    want(made, wish, 20.7, 0.51)
    assert orders(made) == [("buy", D(20), True)]
