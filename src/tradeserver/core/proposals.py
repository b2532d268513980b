"""Asking the strategies: who is called for which book, what their sightings become, and what happens to a bad one.

A strategy is somebody else's code. What it raises, and what it says that cannot be acted upon (a book that is not
traded here, a price that is no number), switches it off by name: a latch, a page, and nobody calls it again in this
run. The rest trades on. A strategy that is slow is reported by the shell, which has a clock, and ends the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tradeserver.core.commands import FITS, Fit
from tradeserver.core.desk import Desk
from tradeserver.core.events import Fitted
from tradeserver.core.execution import Execution
from tradeserver.core.intents import FitWanted, Sighting, Strategy, View, faulty, unsound
from tradeserver.core.market import SymbolMarket
from tradeserver.core.records import Severity, StateChanged, TradingState
from tradeserver.core.types import Key

SWITCHED_OFF: Final = "switched off"
_SCOPE: Final = "strategy:"


class Proposals:
    """See the module."""

    def __init__(self, desk: Desk, execution: Execution, strategies: Sequence[Strategy]) -> None:
        self._desk = desk
        self._execution = execution
        self._view = View(desk.market, desk.taker_bps, desk.held.by_key)
        self._by_name = {strategy.name: strategy for strategy in strategies}
        self.names = tuple(self._by_name)  # those that are switched off too
        if len(self._by_name) < len(strategies):
            raise ValueError("two strategies have one name")
        self._by_key: dict[Key, list[Strategy]] = {}
        self._decided: set[tuple[str, str, str, str]] | None = None  # of one moment; never iterated
        for strategy in strategies:
            for key in strategy.books():
                self._by_key.setdefault(key, []).append(strategy)

    def look(self, changed: SymbolMarket) -> None:
        """The market moved: ask the strategies."""
        for strategy in self._by_key.get(changed.key, ()):
            try:
                sightings = strategy.on_market(self._view, changed, self._desk.ts)
            except Exception as error:
                self.switch_off(strategy.name, faulty(error))
                continue
            for sighting in sightings:
                self._heard(strategy.name, sighting)

    def look_together(self, changed: Sequence[SymbolMarket]) -> None:
        """These moved in one moment: every direction is decided once, whichever book it is seen from."""
        self._decided = set()
        for each in changed:
            self.look(each)
        self._decided = None

    def on_fitted(self, event: Fitted) -> None:
        """The answer goes to the strategy that asked."""
        owner, _, name = event.name.partition(" ")
        answer = getattr(self._by_name.get(owner), "on_fitted", None)  # see `FitUser`
        if answer is not None:
            try:
                answer(name, event.values, event.ts)
            except Exception as error:
                self.switch_off(owner, faulty(error))

    def on_began(self) -> None:
        """Who was switched off in an earlier run stays so until a person has cleared it."""
        for entry in self._desk.states.entries():
            if entry.reason == SWITCHED_OFF:
                self._forget(entry.scope.removeprefix(_SCOPE))

    def switch_off(self, strategy: str, why: str) -> None:
        """Nobody asks it again in this run, nor in a later one until a person has cleared it."""
        desk = self._desk
        self._forget(strategy)
        scope = _SCOPE + strategy
        if desk.states.has(scope, SWITCHED_OFF):
            return
        desk.keep(StateChanged(ts=desk.ts, scope=scope, state=TradingState.NO_NEW, reason=SWITCHED_OFF, by="engine"))
        desk.alert(
            Severity.CRITICAL,
            "STRATEGY_OFF",
            f"{strategy} is switched off: {why}. What it holds stays; the rest trades on. "
            f'Mend it, then: clear "{SWITCHED_OFF}" --scope {scope}, and start anew.',
        )

    def _forget(self, strategy: str) -> None:
        self._by_name.pop(strategy, None)
        self._by_key = {key: [s for s in some if s.name != strategy] for key, some in self._by_key.items()}

    # ---- sightings -------------------------------------------------------------------------------------------------

    def _heard(self, strategy: str, said: Sighting | FitWanted) -> None:
        if isinstance(said, FitWanted):
            self._desk.commands.append(Fit(venue=FITS, name=f"{strategy} {said.name}", series=said.series))
        elif why := unsound(said, self._desk.market.symbols):
            self.switch_off(strategy, why)
        else:
            self._sighted(strategy, said)

    def _sighted(self, strategy: str, sighting: Sighting) -> None:
        desk = self._desk
        direction = (strategy, sighting.symbol, sighting.buy_venue, sighting.sell_venue)
        if self._decided is not None:
            if direction in self._decided:
                return
            self._decided.add(direction)
        opportunities = desk.opportunities
        if sighting.over:
            closed = opportunities.end(direction, desk.ts)
            if closed is not None:
                desk.keep(closed)
            return
        if direction not in opportunities.open:
            desk.keep(opportunities.begin(direction, sighting, desk.ts))
        episode = opportunities.open[direction]
        buy = desk.market.symbols[sighting.buy_venue, sighting.symbol]
        sell = desk.market.symbols[sighting.sell_venue, sighting.symbol]
        episode.see(sighting, (buy.age_ns(desk.ts), sell.age_ns(desk.ts)))
        if sighting.intent is None:
            episode.decide(desk.ts, sighting, 0, (sighting.reason,))
            return
        arbitrage, reasons = self._execution.take(strategy, episode.number, sighting, sighting.intent)
        episode.decide(desk.ts, sighting, arbitrage, reasons)
