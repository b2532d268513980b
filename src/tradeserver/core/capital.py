"""What may be lost is measured here: capital, trading P&L and the inventory's own revaluation, by day, week and month.

- *Capital* of a period is the mid value at its begin of all balances at the run's venues, in the currency of
  `risk.currency`. A withdrawal takes its value off at once; a deposit counts from the next period on.
- *Trading P&L* of a period compares with holding the period's opening inventory (transfers included): it is the value,
  at today's mids, of what our own fills have brought and taken since then, commissions among it. Realised and marked
  in one figure.
- *Revaluation* is what the opening inventory has gained or lost by itself. It is no merit and no fault of trading.
- *Drawdown* is how far the sum of all days' trading P&L stands below its highest mark.

Everything is a fold of records: the marks are those of the last `PnlMarked` or `PeriodOpened`, so whoever reads the log
comes to the same figures. An asset without a mark counts as nothing. Decides nothing: see `core/losses.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from tradeserver.core.periods import DAY, PERIODS
from tradeserver.core.records import (
    BalanceBooked,
    CapitalImage,
    CommissionCorrected,
    FillBooked,
    PeriodImage,
    PeriodOpened,
    PnlMarked,
    StateChanged,
    TradingState,
)
from tradeserver.core.types import ZERO, Side

LOSS: Final = "loss"
DRAWDOWN: Final = "drawdown"
REVALUATION: Final = "revaluation"
BY_ITSELF: Final = ("expiry", "engine")

Amounts = dict[str, Decimal]
"""Asset -> amount."""


def flows(record: FillBooked) -> Amounts:
    """What a fill brought and took, by asset, its commission included."""
    base, _, quote = record.symbol.partition("/")
    sign = 1 if record.side is Side.BUY else -1
    found = {base: sign * record.quantity, quote: -sign * record.quantity * record.price}
    if record.commission:
        found[record.commission_asset] = found.get(record.commission_asset, ZERO) - record.commission
    return found


def value(amounts: Mapping[str, Decimal], marks: Mapping[str, Decimal]) -> Decimal:
    """At these marks; what has none counts as nothing."""
    return sum((amount * marks[asset] for asset, amount in amounts.items() if asset in marks), ZERO)


class Period:
    """One day, week or month since its opening."""

    __slots__ = (
        "_held",
        "_opening_value",
        "before",
        "before_worth",
        "capital",
        "forgiven",
        "moved",
        "moved_value",
        "opened",
    )

    def __init__(self, opened: PeriodOpened, before: Amounts) -> None:
        self.opened = opened
        self.capital = opened.capital
        self.before = before  # what our own fills had brought until then
        self.before_worth = ZERO  # at the present marks
        self.moved: Amounts = {}  # by anything but our fills: transfers, other people's trades
        self.moved_value = ZERO  # of that, when it moved
        self.forgiven = ZERO  # trading P&L at which a person has lifted the limit: it counts from there
        self._held: Amounts = {}
        for assets in opened.holdings.values():
            _add(self._held, assets)
        self._opening_value = value(self._held, opened.marks)

    def revaluation(self, marks: Mapping[str, Decimal]) -> Decimal:
        return value(self._held, marks) - self._opening_value + value(self.moved, marks) - self.moved_value

    def move(self, moved: Mapping[str, Decimal], worth: Decimal, *, counts: bool) -> None:
        """Amounts that came or went; `counts`: they were ours before, and only now are seen."""
        _add(self.moved, moved)
        self.moved_value += worth
        if worth < ZERO or counts:
            self.capital = max(self.capital + worth, ZERO)

    def image(self) -> PeriodImage:
        return PeriodImage(
            self.opened, self.capital, dict(self.before), dict(self.moved), self.moved_value, self.forgiven
        )


class Capital:
    """See the module. `version` moves with everything that limits are computed from."""

    def __init__(self) -> None:
        self.marks: Amounts = {}
        self.traded: Amounts = {}  # what our own fills have brought since the first opening
        self.worth = ZERO  # of that, at the marks
        self.periods: dict[str, Period] = {}
        self.peak = ZERO  # of `total`
        self.version = 0
        self.moved_at: dict[tuple[str, str], Decimal] = {}  # (venue, asset): since the day's opening

    @property
    def known(self) -> bool:
        return DAY in self.periods

    @property
    def amount(self) -> Decimal:
        """The day's capital; zero while it is not known."""
        return self.periods[DAY].capital if self.known else ZERO

    def trading(self, period: str) -> Decimal:
        """Trading P&L of this day, week or month."""
        return self.worth - self.periods[period].before_worth

    def total(self, marks: Mapping[str, Decimal] | None = None) -> Decimal:
        """Trading P&L of all days so far, at these marks or the last ones."""
        if not self.known:
            return ZERO
        today = self.periods[DAY]
        if marks is None:
            return today.opened.banked + self.worth - today.before_worth
        return today.opened.banked + value(self.traded, marks) - value(today.before, marks)

    def figures(self, marks: Mapping[str, Decimal]) -> tuple[Amounts, Amounts, Decimal]:
        """(trading by period, revaluation by period, drawdown) at these marks."""
        worth, total = value(self.traded, marks), self.total(marks)
        trading = {name: worth - value(period.before, marks) for name, period in self.periods.items()}
        revaluation = {name: period.revaluation(marks) for name, period in self.periods.items()}
        return trading, revaluation, max(self.peak - total, ZERO)

    def drawdown(self) -> Decimal:
        """How far `total` is below its highest mark: zero or more."""
        return max(self.peak - self.total(), ZERO)

    def opening(self, venue: str, asset: str) -> Decimal:
        """What a venue held of it at the day's opening, transfers since then included."""
        if not self.known:
            return ZERO
        held = self.periods[DAY].opened.holdings.get(venue, {}).get(asset, ZERO)
        return max(held + self.moved_at.get((venue, asset), ZERO), ZERO)

    # ---- changed by records ----------------------------------------------------------------------------------------

    def apply_opened(self, record: PeriodOpened) -> None:
        self.periods[record.period] = Period(record, dict(self.traded))
        if record.period == DAY:
            self.moved_at.clear()
        self._mark(record.marks)
        self.version += 1

    def apply_marked(self, record: PnlMarked) -> None:
        self._mark(record.marks)
        if self.known:
            self.peak = max(self.peak, self.total())

    def _mark(self, marks: Mapping[str, Decimal]) -> None:
        self.marks.update(marks)
        self.worth = value(self.traded, self.marks)
        for period in self.periods.values():
            period.before_worth = value(period.before, self.marks)

    def apply_fill(self, record: FillBooked) -> None:
        if not self.periods:
            return
        found = flows(record)
        if record.arbitrage:
            self._trade(found)
            return
        for asset, amount in found.items():  # somebody else's: it moved our balances, like a transfer of no value
            self._note(record.venue, asset, amount)
        for period in self.periods.values():
            period.move(found, ZERO, counts=False)

    def apply_commission(self, record: CommissionCorrected, booked: FillBooked) -> None:
        if self.periods:
            self._trade({booked.commission_asset: booked.commission})
            self._trade({record.commission_asset: -record.commission})

    def _trade(self, found: Mapping[str, Decimal]) -> None:
        _add(self.traded, found)
        self.worth += value(found, self.marks)

    def apply_balance(self, record: BalanceBooked) -> None:
        if not self.periods:
            return
        change = {record.asset: record.total - record.previous}
        worth = value(change, self.marks)
        for period in self.periods.values():
            period.move(change, worth, counts=record.reason == "opening")
        self._note(record.venue, record.asset, change[record.asset])
        self.version += 1

    def apply_state(self, record: StateChanged) -> None:
        """A person who lifts a loss limit begins to count anew; its end by time is none."""
        if record.state is not TradingState.RUNNING or record.by in BY_ITSELF:
            return
        kind, _, period = record.reason.partition("-")
        if kind == LOSS and period in self.periods:
            self.periods[period].forgiven = self.trading(period)
        elif kind == DRAWDOWN:
            self.peak = self.total()

    def _note(self, venue: str, asset: str, amount: Decimal) -> None:
        self.moved_at[venue, asset] = self.moved_at.get((venue, asset), ZERO) + amount

    # ---- checkpoint ------------------------------------------------------------------------------------------------

    def image(self) -> CapitalImage:
        moved: dict[str, Amounts] = {}
        for (venue, asset), amount in self.moved_at.items():
            moved.setdefault(venue, {})[asset] = amount
        return CapitalImage(
            marks=dict(self.marks),
            traded=dict(self.traded),
            periods=tuple(self.periods[name].image() for name in PERIODS if name in self.periods),
            peak=self.peak,
            moved=moved,
        )

    def load(self, image: CapitalImage) -> None:
        self.traded = dict(image.traded)
        self.peak = image.peak
        self.moved_at = {(venue, asset): x for venue, assets in image.moved.items() for asset, x in assets.items()}
        for each in image.periods:
            period = self.periods[each.opened.period] = Period(each.opened, dict(each.before))
            period.capital = each.capital
            period.moved = dict(each.moved)
            period.moved_value = each.moved_value
            period.forgiven = each.forgiven
        self._mark(image.marks)
        self.version += 1


def _add(amounts: Amounts, more: Mapping[str, Decimal]) -> None:
    for asset, amount in more.items():
        amounts[asset] = amounts.get(asset, ZERO) + amount
