"""What the capital allows a decision, worked out beforehand: numbers that an intent finds ready.

The shares of capital and the reserves change when a period opens or money is moved, and are computed then, once. What
is left of the exposure is asked for at the decision, from what is open at that moment. It changes nothing, except that
a decision after midnight opens the day first.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from tradeserver.core.arbitrage import far_end
from tradeserver.core.conditions import Conditions
from tradeserver.core.desk import Desk
from tradeserver.core.losses import HUNDRED, Losses
from tradeserver.core.risk import Allowed, Reason, RiskLimits
from tradeserver.core.types import ZERO
from tradeserver.core.valuation import Valuation


class Allowance:
    """See the module. `floors` are what entries leave alone, by (venue, asset)."""

    def __init__(
        self, desk: Desk, limits: RiskLimits, valuation: Valuation, losses: Losses, conditions: Conditions
    ) -> None:
        self._desk = desk
        self._limits = limits
        self._valuation = valuation
        self._losses = losses
        self.conditions = conditions
        self._scoped = limits.scoped_order_notional
        self._version = -1
        self._day_ends = 0
        self._max_trade = ZERO
        self._max_exposure = ZERO
        self.floors: dict[tuple[str, str], Decimal] = {}

    def known(self) -> bool:
        """Whether there is a capital to take shares of; asked before anything else here."""
        if self._desk.ts >= self._day_ends:
            self._valuation.open_due()
            self._losses.judge()
        if self._version != self._desk.capital.version:
            self._prepare()
        return self._day_ends > 0

    def _prepare(self) -> None:
        desk, capital = self._desk, self._desk.capital
        self._version = capital.version
        self._day_ends = self._valuation.next_deadline()
        self._max_trade = capital.amount * self._limits.max_trade_pct / HUNDRED
        self._max_exposure = capital.amount * self._limits.max_exposure_pct / HUNDRED
        share = self._limits.reserve_pct / HUNDRED
        self.floors = {holding: capital.opening(*holding) * share for holding in desk.ledger.totals}

    def most(self, strategy: str, symbol: str, venues: Sequence[str], quote: str) -> Decimal:
        """Largest notional of one leg: what sizing keeps below, so that the gate need not refuse."""
        most = min(self._limits.max_order_notional, self._trade(symbol, quote))
        if self._scoped:
            most = min([most, *(x for s in scopes(strategy, symbol, venues) if (x := self._scoped.get(s)) is not None)])
        return most

    def _trade(self, symbol: str, quote: str) -> Decimal:
        """The share of capital that one leg may have, made smaller by volatility, in quote currency."""
        most = self._max_trade
        share = self.conditions.shares.get(symbol)
        if share is not None:
            most *= share
        if quote == self._valuation.currency:
            return most
        mark = self._valuation.of(quote)
        return most / mark if mark else ZERO

    def of(self, strategy: str, symbol: str, venues: Sequence[str], quote: str) -> Allowed:
        """For legs in this symbol and quote currency, at these venues."""
        left = self._max_exposure - self.exposure()
        most = self._trade(symbol, quote)
        scoped: tuple[tuple[str, Decimal], ...] = ()
        if self._scoped:
            mine = scopes(strategy, symbol, venues)
            scoped = tuple([(scope, self._scoped[scope]) for scope in mine if scope in self._scoped])
        if quote == self._valuation.currency:
            return Allowed(most, left, self.floors, scoped)
        mark = self._valuation.of(quote)
        return Allowed(most, left / mark if mark else ZERO, self.floors, scoped)

    def full(self, strategy: str, symbol: str, venues: Sequence[str], more: int) -> tuple[str, ...]:
        """Scopes with a limit of their own on live orders that leave no room for `more` (a venue: for one)."""
        limits = self._limits.scoped_open_orders
        if not limits:
            return ()
        return tuple(
            [
                scope
                for scope in scopes(strategy, symbol, venues)
                if scope in limits and self._live(scope) + (1 if scope.startswith("venue:") else more) > limits[scope]
            ]
        )

    def _live(self, scope: str) -> int:
        kind, _, name = scope.partition(":")
        desk = self._desk
        count = 0
        for order in desk.orders.live.values():
            submitted = order.submitted
            if kind == "strategy":
                arbitrage = desk.arbitrages.get(submitted.arbitrage)
                count += arbitrage is not None and arbitrage.opened.strategy == name
            else:
                count += name == (submitted.venue if kind == "venue" else submitted.symbol)
        return count

    def exposure(self) -> Decimal:
        """The worst case of all that is open or carried, in the currency of the limits."""
        desk = self._desk
        total = ZERO
        for asset, amount in desk.dust.items():
            total += abs(amount) * self._valuation.of(asset)
        for arbitrage in desk.arbitrages.values():
            opened = arbitrage.opened
            for asset, interval in arbitrage.exposures().items():
                mark = self._valuation.of(asset) or opened.legs[0].expected_price
                total += abs(far_end(interval)) * mark
        return total

    def named(self, limiter: str) -> str:
        """What made an order smaller: a balance of which entries leave a share alone is short for the reserve."""
        words = limiter.split()
        if len(words) == 3 and self.floors.get((words[1], words[2])):
            return f"{Reason.RESERVE} {words[1]} {words[2]}"
        return limiter


def scopes(strategy: str, symbol: str, venues: Sequence[str]) -> list[str]:
    """Every scope that a decision lies in."""
    return [f"strategy:{strategy}", f"symbol:{symbol}", *(f"venue:{venue}" for venue in venues)]
