"""A whole house without sockets for tests of strategies: the engine, paper venues, and a market that the test plays.

Orders fill at the books that were fed, without latency. Everything said is in `records`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tradeserver.core.breaker import BreakerLimits
from tradeserver.core.commands import Command, Fit, RequestSnapshot
from tradeserver.core.engine import Engine
from tradeserver.core.events import (
    BookSnapshot,
    Event,
    FeesLoaded,
    Fitted,
    InstrumentsLoaded,
    LinkUp,
    RunBegan,
    Tick,
)
from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.ids import ClientIds
from tradeserver.core.intents import Strategy
from tradeserver.core.losses import LossLimits
from tradeserver.core.market import MarketLimits
from tradeserver.core.records import FillBooked, OpportunityClosed, Record
from tradeserver.core.risk import RiskLimits
from tradeserver.core.types import Charged, Fees, Instrument, Level
from tradeserver.sessions.paper_venue import PaperVenue

D = Decimal
START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000

Answer = Callable[[str, tuple[tuple[float, ...], ...]], Mapping[str, float]]

ALL = Decimal(100)
CALM = BreakerLimits(
    max_move_bps=0,
    max_spread_bps=0,
    volatility_target_bps=0,
    max_volatility_bps=0,
    max_doubtful_pct=0,
    min_fill_pct=0,
    max_loss_slippage_bps=0,
)
WIDE: dict[str, Any] = {
    "max_trade_pct": Decimal(100),
    "max_exposure_pct": Decimal(100),
    "reserve_pct": Decimal(0),
    "max_slippage_bps": Decimal(10_000),
    "max_order_notional": D(10**9),
    "max_position_notional": D(10**9),
    "price_band_bps": 10_000.0,
    "max_dust_notional": D(10**6),
    "max_edge_bps": 1e6,
}


def rules(venue: str, symbol: str, tick: str = "0.00000001", lot: str = "0.00000001", least: str = "1") -> Instrument:
    base, quote = symbol.split("/")
    return Instrument(
        venue=venue,
        symbol=symbol,
        native=base + quote,
        base=base,
        quote=quote,
        tick=D(tick),
        lot=D(lot),
        min_quantity=D(lot),
        max_quantity=D(0),
        min_notional=D(least),
    )


class House:
    """See the module. `balances` are each venue's."""

    def __init__(
        self,
        strategies: Sequence[Strategy],
        venues: Sequence[str],
        symbols: Sequence[str],
        balances: Mapping[str, Decimal],
        *,
        fee: str = "0",
        charged: Charged = Charged.QUOTE,
        limits: RiskLimits | None = None,
        answer: Answer | None = None,
        instruments: Sequence[Instrument] | None = None,
    ) -> None:
        self.ts = START
        self.records: list[Record] = []
        self.commands: list[Command] = []
        self.symbols = tuple(symbols)
        self.answer = answer
        self.fees = Fees(D(fee), D(fee), charged)
        self.instruments = instruments or [rules(v, s) for v in venues for s in symbols]
        self.engine = Engine(
            ids=ClientIds("T1", "backtest", START // SECOND),
            venues=venues,
            symbols=symbols,
            strategies=strategies,
            market=MarketLimits(stale_ms=10**12, stale_least_ms=10**12),
            risk=limits or RiskLimits(**WIDE),
            execution=ExecutionPolicy(cool_off_ms=0),
            breakers=CALM,
            losses=LossLimits(
                streak=0, day_pct=ALL, week_pct=ALL, month_pct=ALL, drawdown_pct=ALL, revaluation_pct=ALL
            ),
        )
        self.paper = {v: PaperVenue(v, self.engine.market, self.fees, balances, 0, 0) for v in venues}
        self._update_id = 0
        self.feed(RunBegan(ts=START, instance="t", mode="backtest", commit="", config_sha256="", recovered=False))
        for venue in venues:
            mine = tuple(i for i in self.instruments if i.venue == venue)
            self.feed(InstrumentsLoaded(ts=START, venue=venue, instruments=mine))
            self.feed(FeesLoaded(ts=START, venue=venue, fees=dict.fromkeys(symbols, self.fees)))
            for channel in ("market", "user", "orders"):
                self.feed(LinkUp(ts=START, venue=venue, channel=channel))
        for _ in range(5):
            self.advance(0.01)
        assert self.engine.readiness.ready()

    def feed(self, event: Event) -> None:
        """One event and everything that follows from it at once."""
        todo = [event]
        while todo:
            records, commands = self.engine.step(todo.pop(0))
            self.records += records
            self.commands += commands
            for command in commands:
                if isinstance(command, Fit):
                    assert self.answer is not None
                    values = dict(self.answer(command.name, command.series))
                    todo.append(Fitted(ts=self.ts, name=command.name, values=values))
                elif not isinstance(command, RequestSnapshot):
                    self.paper[command.venue].send(command, self.ts)
            for venue in self.paper.values():
                while heard := venue.due(self.ts):
                    todo += heard

    def advance(self, seconds: float) -> None:
        self.ts += int(seconds * SECOND)
        self.feed(Tick(ts=self.ts))

    def book(self, venue: str, symbol: str, bids: list[Level], asks: list[Level]) -> None:
        self._update_id += 1
        self.feed(BookSnapshot(ts=self.ts, venue=venue, symbol=symbol, update_id=self._update_id, bids=bids, asks=asks))

    def quote(self, venue: str, symbol: str, bid: float, ask: float, quantity: float = 1e6) -> None:
        self.book(venue, symbol, [(bid, quantity)], [(ask, quantity)])

    def of(self, kind: type) -> list[Any]:
        return [r for r in self.records if isinstance(r, kind)]

    @property
    def fills(self) -> list[FillBooked]:
        return self.of(FillBooked)

    def worth(self, asset: str, prices: Mapping[str, float]) -> float:
        """All balances of all venues in `asset`, at these prices."""
        total = 0.0
        for (_, held), amount in self.engine.desk.ledger.totals.items():
            total += float(amount) * (1.0 if held == asset else prices[held])
        return total

    def reasons(self) -> set[str]:
        """Every reason code in the decisions of open and closed episodes."""
        decisions = [d for r in self.of(OpportunityClosed) for d in r.decisions]
        decisions += [d for e in self.engine.desk.opportunities.open.values() for d in e.decisions]
        return {reason.split()[0] for d in decisions for reason in d.reasons if reason}
