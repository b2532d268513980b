"""Prices for the risk engine: one mark an asset in one currency, and the openings of days, weeks and months.

A mark is the mean of the mids of all venues' books that may be traded on, of a symbol that leads from the asset to the
currency, directly or through one other quote; where no book may be traded on, the last mark stands. A stablecoin that
no book prices is worth one. Floats become money here, through the instrument of the first book.

A period opens at its first moment that we see: on a tick, or at the first decision after it. The very first opening
waits until every venue has been counted and every asset held has a mark; after `PATIENCE_NS` it takes what is there.
Nothing is opened on a capital that is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from tradeserver.core.capital import Amounts, value
from tradeserver.core.desk import Desk
from tradeserver.core.market import SymbolMarket
from tradeserver.core.periods import PERIODS, bounds
from tradeserver.core.records import PeriodOpened, Severity
from tradeserver.core.sizing import money
from tradeserver.core.types import ZERO

PATIENCE_NS: Final = 30_000_000_000
STABLE: Final = ("USDT", "USDC", "FDUSD", "TUSD", "DAI")
ONE: Final = Decimal(1)


class Valuation:
    """See the module."""

    def __init__(self, desk: Desk, venues: Sequence[str], currency: str) -> None:
        self._desk = desk
        self._venues = tuple(venues)
        self.currency = currency
        self._by_symbol: dict[str, list[SymbolMarket]] = {}
        self._routes: dict[str, list[str]] = {}  # asset -> symbols that price it
        self._waiting_since = 0
        for (_, symbol), market in desk.market.symbols.items():
            if symbol not in self._by_symbol:
                self._routes.setdefault(symbol.partition("/")[0], []).append(symbol)
            self._by_symbol.setdefault(symbol, []).append(market)

    # ---- marks -----------------------------------------------------------------------------------------------------

    def marks(self) -> Amounts:
        """Of every asset that is held, traded or quoted in, where it has a price."""
        found: Amounts = {self.currency: ONE}
        for asset in self._routes:
            mark = self._mark(asset, found)
            if mark is not None:
                found[asset] = mark
        for symbol in self._by_symbol:
            quote = symbol.partition("/")[2]
            if quote in STABLE and quote not in found:
                found[quote] = ONE
        return found

    def _mark(self, asset: str, found: Amounts) -> Decimal | None:
        for symbol in self._routes[asset]:
            quote = symbol.partition("/")[2]
            factor = found.get(quote) or (ONE if quote in STABLE else self._desk.capital.marks.get(quote))
            mid = self._mid(symbol) if factor else None
            if mid is not None and factor:
                return mid * factor
        return self._desk.capital.marks.get(asset)

    def _mid(self, symbol: str) -> Decimal | None:
        """The mean of the mids of all books that may be traded on."""
        total, count, rules = 0.0, 0, None
        for market in self._by_symbol[symbol]:
            if market.instrument is not None and not market.untradable(self._desk.ts):
                total += market.mid
                count += 1
                rules = rules or market.instrument
        return money(total / count, rules) if rules is not None else None

    def of(self, asset: str) -> Decimal:
        """The last mark; zero where there is none."""
        return self._desk.capital.marks.get(asset, ZERO)

    # ---- openings --------------------------------------------------------------------------------------------------

    def open_due(self) -> None:
        """Open every period whose time has come."""
        desk = self._desk
        capital = desk.capital
        due = [name for name in PERIODS if name not in capital.periods or desk.ts >= capital.periods[name].opened.ends]
        if not due:
            return
        marks = capital.marks | self.marks()
        if not capital.known and not self._complete(marks):
            return
        banked = capital.total(marks)
        holdings: dict[str, Amounts] = {}
        for (venue, asset), total in desk.ledger.totals.items():
            if total:
                holdings.setdefault(venue, {})[asset] = total
        worth = sum((value(assets, marks) for assets in holdings.values()), ZERO)
        for name in due:
            began, ends = bounds(name, desk.ts)
            desk.keep(
                PeriodOpened(
                    ts=desk.ts,
                    period=name,
                    began=began,
                    ends=ends,
                    currency=self.currency,
                    capital=worth,
                    holdings=holdings,
                    marks=marks,
                    banked=banked,
                )
            )

    def _complete(self, marks: Amounts) -> bool:
        """Whether the first opening has all that it wants, or has waited long enough."""
        totals = self._desk.ledger.totals
        counted = {venue for venue, _ in totals}
        if not counted:
            return False
        unpriced = sorted({asset for (_, asset), total in totals.items() if total and asset not in marks})
        wanted = [asset for asset in unpriced if asset in self._routes]
        if all(venue in counted for venue in self._venues) and not wanted:
            return True
        now = self._desk.ts
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since < PATIENCE_NS:
            return False
        missing = [venue for venue in self._venues if venue not in counted] + wanted
        self._desk.alert(
            Severity.WARNING,
            "CAPITAL_INCOMPLETE",
            f"Capital is counted without {', '.join(missing)}: limits in per cent of it are tighter than they need be.",
        )
        return True

    def next_deadline(self) -> int:
        """The end of the day, week or month; 0 while none is open: the second's tick sees to that."""
        return min((period.opened.ends for period in self._desk.capital.periods.values()), default=0)
