"""Loss limits: what a day, a week or a month may cost, how far the sum of all may fall, what the inventory may lose.

Looked at with every mark (once a second) and after every fill. A limit that is passed stops opening everywhere: those
of a period until it ends, the drawdown until a person has looked. Open arbitrages finish and hedge. A person who clears
one earlier begins to count anew from there (`core/capital.py`). The shares are of each period's own capital; the
drawdown's and the inventory's are of the day's.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final

from annotated_types import Ge, Gt, Le

from tradeserver.core.capital import DRAWDOWN, LOSS, REVALUATION
from tradeserver.core.desk import STREAK, Desk
from tradeserver.core.periods import DAY, MONTH, WEEK
from tradeserver.core.records import ArbitrageClosed, Severity, StateChanged, TradingState
from tradeserver.core.types import ZERO

HUNDRED: Final = Decimal(100)


@dataclass(frozen=True)
class LossLimits:
    """What may be lost, in per cent of capital."""

    day_pct: Annotated[Decimal, Gt(0), Le(100)] = Decimal(5)
    """Trading loss of one UTC day above which nothing is opened until the next."""
    week_pct: Annotated[Decimal, Gt(0), Le(100)] = Decimal(10)
    """The same of a week that begins on Monday."""
    month_pct: Annotated[Decimal, Gt(0), Le(100)] = Decimal(15)
    """The same of a calendar month."""
    drawdown_pct: Annotated[Decimal, Gt(0), Le(100)] = Decimal(20)
    """Fall of the sum of all trading P&L below its highest mark above which nothing is opened until a person clears
    it."""
    revaluation_pct: Annotated[Decimal, Gt(0), Le(100)] = Decimal(25)
    """Loss of a day's opening inventory by its prices alone above which nothing is opened until the next day."""
    streak: Annotated[int, Ge(0)] = 3
    """So many closed arbitrages or trades of a strategy in a row below zero after fees pause it; 0: off."""
    streak_pause_s: Annotated[int, Gt(0)] = 3_600
    """That pause."""


class Losses:
    """See the module."""

    def __init__(self, desk: Desk, limits: LossLimits) -> None:
        self._desk = desk
        self._shares = {DAY: limits.day_pct, WEEK: limits.week_pct, MONTH: limits.month_pct}
        self._drawdown = limits.drawdown_pct
        self._streak = limits.streak
        self._pause_ns = limits.streak_pause_s * 1_000_000_000
        self._revaluation = limits.revaluation_pct
        self._worst = ZERO  # below this `worth` something has been passed

    def look(self) -> None:
        """After a fill: one comparison, unless something has been passed."""
        capital = self._desk.capital
        if capital.known and capital.worth < self._worst:
            self.judge()

    def judge(self) -> None:
        """With every mark: everything anew."""
        capital = self._desk.capital
        if not capital.known:
            return
        floors = []
        for name, period in capital.periods.items():
            allowed = period.capital * self._shares[name] / HUNDRED
            lost = period.forgiven - capital.trading(name)
            floors.append(period.before_worth + period.forgiven - allowed)
            if lost > allowed:
                self._stop(f"{LOSS}-{name}", period.opened.ends, _words(lost, period.capital, f"lost this {name}"))
        falls = capital.drawdown()
        allowed = capital.amount * self._drawdown / HUNDRED
        today = capital.periods[DAY]
        floors.append(capital.peak - today.opened.banked + today.before_worth - allowed)
        if falls > allowed:
            self._stop(DRAWDOWN, 0, _words(falls, capital.amount, "lost since the highest mark"))
        shrinks = -today.revaluation(capital.marks)
        if shrinks > capital.amount * self._revaluation / HUNDRED:
            self._stop(REVALUATION, today.opened.ends, _words(shrinks, capital.amount, "lost by prices alone"))
        self._worst = max(floors)

    def on_closed(self, record: ArbitrageClosed) -> None:
        """After a closed arbitrage or trade: losses in a row pause its strategy."""
        desk = self._desk
        row = desk.streaks.get(record.strategy, 0)
        if not self._streak or row < self._streak:
            return
        desk.keep(
            StateChanged(
                ts=desk.ts,
                scope=f"strategy:{record.strategy}",
                state=TradingState.NO_NEW,
                reason=STREAK,
                until=desk.ts + self._pause_ns,
                by="risk",
            )
        )
        text = f"{record.strategy} opens nothing new for a while: {row} in a row ended below zero after fees."
        desk.alert(Severity.WARNING, "LOSS_STREAK", text)

    def _stop(self, reason: str, until: int, why: str) -> None:
        desk = self._desk
        if desk.states.has("global", reason):
            return
        desk.keep(
            StateChanged(ts=desk.ts, scope="global", state=TradingState.NO_NEW, reason=reason, until=until, by="risk")
        )
        ends = "At its end that ends by itself; earlier" if until else "Find out why, then"
        desk.alert(Severity.CRITICAL, "LOSS_LIMIT", f"Nothing new is opened: {why}. {ends}: clear {reason}.")


def _words(lost: Decimal, capital: Decimal, what: str) -> str:
    share = f" ({lost / capital * HUNDRED:.2f} % of the capital)" if capital else ""
    return f"{lost:.2f}{share} {what}"
