"""Capital, trading P&L, revaluation and drawdown by hand, and against a slow twin that recomputes them from records."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from desk_kit import MS, START, SYMBOL, D, Kit
from toy_world import World
from tradeserver.core.capital import flows
from tradeserver.core.events import AccountSnapshot, Balance
from tradeserver.core.periods import DAY, DAY_NS, MONTH, WEEK, bounds
from tradeserver.core.records import (
    Alert,
    BalanceBooked,
    CommissionCorrected,
    FillBooked,
    OpportunityClosed,
    PeriodOpened,
    PnlMarked,
    Record,
)
from tradeserver.core.types import Side

# Binance and KuCoin hold 1 BTC and 50,000 USDT each: at a mid of 60,000.5 that is 220,001.
WORTH = D(100_000) + 2 * D("60000.5")


def trading(**changes: object) -> Kit:
    kit = Kit(**changes)
    kit.begin()
    kit.quiet()
    kit.tick(1000)
    return kit


def booked(kit: Kit, side: Side, quantity: str, price: str, commission: str = "0", asset: str = "USDT") -> None:
    """A fill of ours, straight into the log."""
    kit.engine.desk.keep(
        FillBooked(
            ts=kit.ts,
            venue="binance",
            symbol=SYMBOL,
            client_id="none",
            arbitrage=99,
            leg=0,
            side=side,
            trade_id=f"f{len(kit.records)}{quantity}{price}",
            venue_order_id="v",
            price=D(price),
            quantity=D(quantity),
            commission=D(commission),
            commission_asset=asset,
            commission_expected=False,
            maker=False,
            venue_ts=0,
        )
    )


def moved(kit: Kit, venue: str, asset: str, amount: str) -> None:
    """A transfer that the venue reports with the next count."""
    total = kit.engine.desk.ledger.totals[venue, asset]
    kit.engine.desk.keep(
        BalanceBooked(ts=kit.ts, venue=venue, asset=asset, total=total + D(amount), previous=total, reason="external")
    )


def prices(kit: Kit, bid: float) -> PnlMarked:
    kit.book("binance", bid, bid + 1)
    kit.book("kucoin", bid, bid + 1)
    kit.tick(1000)
    marked: PnlMarked = kit.of(PnlMarked)[-1]
    return marked


def test_the_first_opening_waits_for_all_venues_and_prices() -> None:
    kit = Kit()
    kit.begin()
    kit.tick(1000)
    assert not kit.of(PeriodOpened)
    kit.book("binance", 60_000.0, 60_001.0)
    kit.tick(1000)
    day, week, month = kit.of(PeriodOpened)
    assert [p.period for p in (day, week, month)] == [DAY, WEEK, MONTH]
    assert day.capital == week.capital == month.capital == WORTH
    assert day.holdings == {v: {"BTC": D(1), "USDT": D(50_000)} for v in ("binance", "kucoin")}
    assert (day.began, day.ends) == bounds(DAY, kit.ts)
    assert day.marks == {"USDT": 1, "BTC": D("60000.5")}


def test_nothing_is_opened_on_an_unknown_capital() -> None:
    kit = Kit()
    kit.begin()
    kit.engine.desk.ledger.totals["binance", "ETH"] = D(1)  # no book prices it, none ever will: it counts as nothing
    del kit.engine.desk.ledger.totals["kucoin", "BTC"], kit.engine.desk.ledger.totals["kucoin", "USDT"]
    assert not kit.edge()
    kit.book("kucoin", 59_980.0, 59_981.0)
    (closed,) = kit.of(OpportunityClosed)
    assert "CAPITAL_UNKNOWN" in closed.decisions[0].reasons
    kit.later(29_000)
    kit.quiet()
    kit.tick(0)
    assert not kit.of(PeriodOpened)
    kit.later(2_000)
    kit.quiet()
    kit.tick(0)
    assert kit.of(PeriodOpened)[0].capital == D(50_000) + D("60000.5")
    assert [a.code for a in kit.of(Alert)] == ["CAPITAL_INCOMPLETE"]


def test_trading_and_revaluation_are_told_apart() -> None:
    """Bought 0.1 at 60,100 with 2 USDT commission; then the price rises by 500: 0.1 * 60500.5 - 6010 - 2 = 38.05, and
    the two coins of the opening have gained 1,000."""
    kit = trading()
    booked(kit, Side.BUY, "0.1", "60100", "2")
    marked = prices(kit, 60_500.0)
    assert marked.trading == {period: D("38.05") for period in (DAY, WEEK, MONTH)}
    assert marked.revaluation[DAY] == 1000
    assert marked.capital == WORTH


def test_a_transfer_is_neither_profit_nor_loss() -> None:
    kit = trading()
    moved(kit, "binance", "USDT", "-20000")
    moved(kit, "kucoin", "BTC", "0.5")
    marked = prices(kit, 60_000.0)
    assert marked.trading[DAY] == marked.revaluation[DAY] == 0
    assert marked.capital == WORTH - 20_000, "a withdrawal at once, a deposit with the next day"
    kit.ts = bounds(DAY, kit.ts)[1]
    prices(kit, 60_000.0)
    assert kit.of(PeriodOpened)[-1].capital == WORTH - 20_000 + D("0.5") * D("60000.5")


def test_a_day_ends_with_its_last_nanosecond_and_banks_its_profit() -> None:
    kit = trading()
    booked(kit, Side.SELL, "0.01", "61000")  # 610 - 600.005 = 9.995
    kit.ts = bounds(DAY, kit.ts)[1] - 1001 * MS - 2 * MS
    assert prices(kit, 60_000.0).trading[DAY] == D("9.995")
    assert len(kit.of(PeriodOpened)) == 3
    marked = prices(kit, 60_000.0)
    (opened,) = kit.of(PeriodOpened)[3:]
    assert (opened.period, opened.banked, marked.trading[DAY]) == (DAY, D("9.995"), 0)
    assert marked.trading[WEEK] == marked.trading[MONTH] == D("9.995"), "START was a Tuesday, the 14th"
    assert kit.engine.desk.capital.total() == D("9.995")


def test_a_decision_after_midnight_opens_the_day_first() -> None:
    kit = trading()
    kit.ts = bounds(DAY, kit.ts)[1] + MS
    assert kit.edge()
    names = [type(r).__name__ for r in kit.records]
    assert len(kit.of(PeriodOpened)) == 4
    assert names.index("ArbitrageOpened") > len(names) - names[::-1].index("PeriodOpened") - 1


def test_the_reserve_follows_the_days_opening_and_transfers() -> None:
    kit = trading()
    capital = kit.engine.desk.capital
    assert capital.opening("binance", "BTC") == 1
    booked(kit, Side.SELL, "0.4", "60000")
    assert capital.opening("binance", "BTC") == 1
    moved(kit, "binance", "BTC", "-0.2")
    assert capital.opening("binance", "BTC") == D("0.8")


# ---- the twin ------------------------------------------------------------------------------------------------------


class Twin:
    """Everything from the records again, the slow and obvious way: balances are summed up, nothing is kept between."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records

    def holding(self, until: int) -> dict[tuple[str, str], Decimal]:
        held: dict[tuple[str, str], Decimal] = {}
        fills: dict[tuple[str, str], FillBooked] = {}

        def add(venue: str, amounts: dict[str, Decimal]) -> None:
            for asset, amount in amounts.items():
                held[venue, asset] = held.get((venue, asset), D(0)) + amount

        for record in self.records[:until]:
            if isinstance(record, BalanceBooked):
                held[record.venue, record.asset] = record.total
            elif isinstance(record, FillBooked):
                fills[record.client_id, record.trade_id] = record
                add(record.venue, flows(record))
            elif isinstance(record, CommissionCorrected):
                fill = fills[record.client_id, record.trade_id]
                add(fill.venue, {fill.commission_asset: fill.commission})
                add(fill.venue, {record.commission_asset: -record.commission})
        return held

    def transfers(self, since: int, until: int) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for record in self.records[since:until]:
            if isinstance(record, BalanceBooked):
                found[record.asset] = found.get(record.asset, D(0)) + record.total - record.previous
        return found

    def trading(self, opened: int, now: int, marks: dict[str, Decimal]) -> Decimal:
        """Value now, less the value now of what was held at the opening and has been moved since."""
        worth = D(0)
        for (_, asset), amount in self.holding(now).items():
            worth += amount * marks.get(asset, D(0))
        for (_, asset), amount in self.holding(opened).items():
            worth -= amount * marks.get(asset, D(0))
        for asset, amount in self.transfers(opened, now).items():
            worth -= amount * marks.get(asset, D(0))
        return worth


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_mark_is_what_a_slow_twin_makes_of_the_records(seed: int) -> None:
    world = World(seed)
    world.ts = bounds(DAY, START)[1] - 8_000 * MS  # a midnight lies within
    world.begin()
    world.run(16)
    twin = Twin(world.records)
    at: dict[str, int] = {}
    seen = 0
    for index, record in enumerate(world.records):
        if isinstance(record, PeriodOpened):
            at[record.period] = index
            worth = sum((t * record.marks.get(a, D(0)) for (_, a), t in twin.holding(index).items()), D(0))
            assert record.capital == worth
        elif isinstance(record, PnlMarked) and record.trading:
            for period, amount in record.trading.items():
                assert abs(amount - twin.trading(at[period], index, record.marks)) < D("1e-9")
            seen += 1
    assume(seen >= 10)  # else a venue was not counted for long
    assert sum(isinstance(r, PeriodOpened) and r.period == DAY for r in world.records) == 2


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_restart_changes_no_figure(seed: int) -> None:
    world = World(seed)
    world.begin()
    world.run(10)
    live = world.engine.desk
    again = Kit().engine
    for record in world.records:
        again.apply(record)
    other = Kit().engine
    other.apply(live.checkpoint(world.ts))
    for desk in (again.desk, other.desk):
        assert desk.capital.image() == live.capital.image()
        assert desk.streaks == live.streaks
        marks = live.capital.marks
        for ours, theirs in zip(desk.capital.figures(marks)[:2], live.capital.figures(marks)[:2], strict=True):
            assert ours == theirs
    assert DAY_NS == 86_400 * 10**9


def test_a_venue_that_is_counted_late_counts() -> None:
    kit = trading()
    totals = kit.engine.desk.ledger.totals
    before = kit.engine.desk.capital.amount
    del totals["kucoin", "BTC"], totals["kucoin", "USDT"]
    kit.engine.readiness.doubt("kucoin")
    balances = {"BTC": Balance(D(2), D(0))}
    kit.feed(AccountSnapshot(ts=kit.ts, venue="kucoin", balances=balances, asked_ts=kit.ts))
    assert kit.engine.desk.capital.amount == before + 2 * D("60000.5")
