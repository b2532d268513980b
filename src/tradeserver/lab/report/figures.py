"""The figures of one run: a fold over its records, the same for live, paper and backtest.

Definitions. *Quote* is the asset in which most was traded; money of other quotes is listed apart. *Capital* is what was
booked at the opening: quote as it is, base at the first price that the log shows for it. *Equity* is capital plus
realised and marked profit, at the log's marks. *Returns* are between equidistant marks: days where the run lasted more
than two, else the run in sixty parts. *P&L by venue* is each venue's fills, what they left valued at the symbol's last
price; *by strategy and symbol* the realised edge of closed arbitrages. *Exposure* is |net base over all venues| at the
last price, over time. A *trade* is a closed arbitrage that had fills; it is won above zero, after fees.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tradeserver.core.records import (
    ArbitrageClosed,
    ArbitrageOpened,
    BalanceBooked,
    FillBooked,
    OpportunityClosed,
    OpportunityOpened,
    OrderChanged,
    OrderState,
    OrderSubmitted,
    OrderTimed,
    Outcome,
    PnlMarked,
    Record,
    RunStarted,
)
from tradeserver.core.types import ZERO, Side
from tradeserver.lab.report import returns as ratios
from tradeserver.lab.tally import STAGES, percentile
from tradeserver.runtime.wal_files import WalDamagedError
from tradeserver.runtime.wal_read import read
from tradeserver.services import layout
from tradeserver.services.faults import NotFoundError, OperatorError

DAY_NS: Final = 86_400_000_000_000
PARTS: Final = 60
MARKS_KEPT: Final = 20_000
"""Of the equity curve; beyond that every second one goes."""


class Figures:
    """Add every record of a run in order, then ask."""

    def __init__(self) -> None:
        self.run: RunStarted | None = None
        self.first_ns = self.last_ns = 0
        self.marks: list[tuple[int, PnlMarked]] = []
        self.last_mark: PnlMarked | None = None
        self.opening: dict[tuple[str, str], Decimal] = {}
        self.opened: dict[int, ArbitrageOpened] = {}
        self.closed: list[ArbitrageClosed] = []
        self.prices: dict[str, Decimal] = {}  # symbol -> last
        self.first_prices: dict[str, Decimal] = {}
        self.turnover: dict[str, Decimal] = defaultdict(Decimal)
        self.venue_quote: dict[tuple[str, str], Decimal] = defaultdict(Decimal)  # (venue, symbol) -> quote received
        self.venue_base: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.other_fees: dict[str, Decimal] = defaultdict(Decimal)
        self.fills = 0
        self.ordered = self.filled = ZERO  # base, at each order's cap
        self.orders = 0
        self.states: dict[str, OrderState] = {}
        self.caps: dict[str, Decimal] = {}
        self.stages: dict[str, list[int]] = {stage: [] for stage in STAGES}
        self.refused: Counter[str] = Counter()
        self.sighted = self.taken = 0
        self._stride = 1
        self._seen = 0
        self._net: dict[str, Decimal] = defaultdict(Decimal)
        self._exposed = 0.0
        self.exposure_s = 0.0  # quote x seconds
        self.exposure_most = 0.0
        self._add = {
            RunStarted: self._started,
            PnlMarked: self._marked,
            BalanceBooked: self._booked,
            ArbitrageOpened: self._arbitrage,
            ArbitrageClosed: self.closed.append,
            FillBooked: self._fill,
            OrderSubmitted: self._submitted,
            OrderChanged: self._changed,
            OrderTimed: self._timed,
            OpportunityOpened: self._sighted,
            OpportunityClosed: self._episode,
        }

    def add(self, record: Record) -> None:
        """One record."""
        if self.last_ns and self._exposed and record.ts > self.last_ns:
            self.exposure_s += self._exposed * (record.ts - self.last_ns) / 1e9
        self.first_ns = self.first_ns or record.ts
        self.last_ns = max(self.last_ns, record.ts)
        add = self._add.get(type(record))
        if add is not None:
            add(record)  # type: ignore[operator]  # each takes its own kind

    def _started(self, record: RunStarted) -> None:
        self.run = record

    def _marked(self, record: PnlMarked) -> None:
        self.last_mark = record
        self._seen += 1
        if self._seen % self._stride == 0:
            self.marks.append((record.ts, record))
        if len(self.marks) > MARKS_KEPT:
            self._stride *= 2
            self.marks = self.marks[1::2]

    def _booked(self, record: BalanceBooked) -> None:
        if record.reason == "opening":
            self.opening[record.venue, record.asset] = record.total

    def _arbitrage(self, record: ArbitrageOpened) -> None:
        self.opened[record.arbitrage] = record

    def _fill(self, record: FillBooked) -> None:
        base, _, quote = record.symbol.partition("/")
        buys = record.side is Side.BUY
        notional = record.price * record.quantity
        key = (record.venue, record.symbol)
        self.fills += 1
        self.filled += self.caps.get(record.client_id, record.price) * record.quantity
        self.turnover[quote] += notional
        self.prices[record.symbol] = record.price
        self.first_prices.setdefault(record.symbol, record.price)
        self.venue_quote[key] -= notional if buys else -notional
        got = record.quantity if buys else -record.quantity
        if record.commission_asset == quote:
            self.venue_quote[key] -= record.commission
        elif record.commission_asset == base:
            got -= record.commission
        else:
            self.other_fees[record.commission_asset] += record.commission
        self.venue_base[key] += got
        self._net[record.symbol] += got
        self._exposed = float(sum(abs(n) * self.prices[symbol] for symbol, n in self._net.items()))
        self.exposure_most = max(self.exposure_most, self._exposed)

    def _submitted(self, record: OrderSubmitted) -> None:
        self.orders += 1
        self.ordered += record.price * record.quantity
        self.states[record.client_id] = OrderState.SENT
        self.caps[record.client_id] = record.price

    def _changed(self, record: OrderChanged) -> None:
        if record.client_id in self.states:
            self.states[record.client_id] = record.state

    def _timed(self, record: OrderTimed) -> None:
        for stage, duration in record.stages_ns.items():
            self.stages[stage].append(duration)

    def _sighted(self, record: OpportunityOpened) -> None:
        self.sighted += 1

    def _episode(self, record: OpportunityClosed) -> None:
        self.taken += record.taken
        for decision in record.decisions:
            if not decision.taken:
                self.refused[decision.reasons[0].split(" ")[0] if decision.reasons else "NONE"] += decision.count

    # ---- answers -----------------------------------------------------------------------------------------------------

    @property
    def quote(self) -> str:
        """The asset that the figures are in."""
        if self.turnover:
            return max(self.turnover, key=lambda asset: self.turnover[asset])
        symbols = self.run.symbols if self.run else ()
        return symbols[0].partition("/")[2] if symbols else "USDT"

    @property
    def capital(self) -> Decimal:
        """See the module."""
        quote, total = self.quote, ZERO
        for (_, asset), amount in self.opening.items():
            price = Decimal(1) if asset == quote else self.first_prices.get(f"{asset}/{quote}", ZERO)
            total += amount * price
        return total

    def profit_at(self, mark: PnlMarked) -> Decimal:
        """Realised and marked, in quote."""
        return mark.realised.get(self.quote, ZERO) + mark.unrealised.get(self.quote, ZERO)

    def equity(self) -> list[tuple[int, float]]:
        """(ns, capital + profit) at the log's marks."""
        capital = self.capital
        curve = [(ts, float(capital + self.profit_at(mark))) for ts, mark in self.marks]
        if self.last_mark is not None and (not curve or curve[-1][0] < self.last_mark.ts):
            curve.append((self.last_mark.ts, float(capital + self.profit_at(self.last_mark))))
        return curve

    def period_ns(self) -> int:
        """Between two returns."""
        span = self.last_ns - self.first_ns
        return DAY_NS if span > 2 * DAY_NS else max(span // PARTS, 1)

    def values(self) -> list[float]:
        """Equity at the ends of equal periods (days end at 00:00 UTC), the first one before anything happened."""
        curve, period = self.equity(), self.period_ns()
        if not curve:
            return []
        stamps = [ts for ts, _ in curve]
        start = self.first_ns // period * period if period == DAY_NS else self.first_ns
        found = [float(self.capital)]
        at = start + period
        while at < self.last_ns + period:
            place = bisect_right(stamps, at) - 1
            found.append(curve[place][1] if place >= 0 else found[-1])
            at += period
        return found

    def returns(self) -> list[float]:
        """See the module."""
        return ratios.simple(self.values())

    def by_day(self) -> dict[str, float]:
        """Profit of each day, UTC, in quote."""
        import time

        days: dict[str, float] = {}
        last = float(self.capital)
        for ts, value in self.equity():
            day = time.strftime("%F", time.gmtime(ts // 1_000_000_000))
            if days or value != last:
                days[day] = days.get(day, 0.0) + value - last
            last = value
        return days

    def traded(self) -> list[ArbitrageClosed]:
        """Closed arbitrages that had fills."""
        return [one for one in self.closed if one.outcome is not Outcome.NOTHING]

    def by(self, key: str) -> dict[str, Decimal]:
        """Realised edge of closed arbitrages by "strategy" or "symbol", in quote."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for one in self.traded():
            if one.quote == self.quote:
                found[one.strategy if key == "strategy" else f"{one.base}/{one.quote}"] += one.realised_edge
        return dict(found)

    def by_venue(self) -> dict[str, Decimal]:
        """Each venue's fills, what they left at the last price."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for (venue, symbol), quote in self.venue_quote.items():
            if symbol.endswith(f"/{self.quote}"):
                found[venue] += quote + self.venue_base[venue, symbol] * self.prices[symbol]
        return dict(found)

    def bridge(self) -> dict[str, Decimal]:
        """From expected to realised edge, summed over all trades."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for one in self.closed:
            for part, amount in one.bridge.items():
                found[part] += amount
        return dict(found)

    def summary(self) -> dict[str, Any]:
        """Everything, as plain data: money as `Decimal`, rates and ratios as floats."""
        trades = self.traded()
        edges = [one.realised_edge for one in trades]
        won = sum(edge > 0 for edge in edges)
        span_s = (self.last_ns - self.first_ns) / 1e9
        rows, per_year = self.returns(), ratios.YEAR_S * 1e9 / self.period_ns()
        capital = self.capital
        net = self.profit_at(self.last_mark) if self.last_mark is not None else ZERO
        states = Counter(self.states.values())
        complete = states[OrderState.FILLED]
        return {
            "run": self.run.run if self.run else "",
            "mode": self.run.mode if self.run else "",
            "commit": self.run.commit if self.run else "",
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "hours": round(span_s / 3600, 3),
            "quote": self.quote,
            "capital": capital,
            "profit": net,
            "realised": dict(self.last_mark.realised) if self.last_mark else {},
            "unrealised": dict(self.last_mark.unrealised) if self.last_mark else {},
            "fees": dict(self.last_mark.fees) if self.last_mark else {},
            "by_day": self.by_day(),
            "by_symbol": self.by("symbol"),
            "by_strategy": self.by("strategy"),
            "by_venue": self.by_venue(),
            "returns": {
                "period_s": self.period_ns() / 1e9,
                "count": len(rows),
                "total": float(net / capital) if capital else None,
                "sharpe": ratios.sharpe(rows, per_year),
                "sortino": ratios.sortino(rows, per_year),
                "max_drawdown": ratios.max_drawdown(rows),
            },
            "trades": {
                "opened": len(self.opened),
                "closed": len(self.closed),
                "with_fills": len(trades),
                "won": won,
                "win_rate": won / len(trades) if trades else None,
                "average_profit": sum(edges, ZERO) / len(trades) if trades else None,
                "best": max(edges, default=None),
                "worst": min(edges, default=None),
                "hedges": sum(one.hedges for one in self.closed),
                "one_sided": sum(one.one_sided for one in self.closed),
                "outcomes": dict(Counter(one.outcome.value for one in self.closed)),
            },
            "edge": {
                "expected": sum((one.expected_edge for one in self.closed), ZERO),
                "bridge": self.bridge(),
                "realised": sum((one.realised_edge for one in self.closed), ZERO),
            },
            "orders": {
                "submitted": self.orders,
                "fills": self.fills,
                "filled_completely": complete,
                "fill_ratio": complete / self.orders if self.orders else None,
                "filled_share": float(self.filled / self.ordered) if self.ordered else None,
                "failed": states[OrderState.REFUSED],
                "failure_rate": states[OrderState.REFUSED] / self.orders if self.orders else None,
            },
            "turnover": dict(self.turnover),
            "exposure": {
                "average": self.exposure_s / span_s if span_s else 0.0,
                "most": self.exposure_most,
            },
            "opportunities": {"sighted": self.sighted, "taken": self.taken},
            "refusals": dict(self.refused.most_common()),
            "latency_us": {
                stage: {"p50": percentile(values, 50) / 1e3, "p99": percentile(values, 99) / 1e3, "count": len(values)}
                for stage, values in self.stages.items()
                if values
            },
        }


def figures_of(state: Path, run: str = "") -> Figures:
    """The figures of one run in a state directory: the last, or the one that `run` names. Raises OperatorError."""
    log = layout.wal(state)
    if not log.is_dir():
        raise NotFoundError(f"there is no log in {state}: name a state directory, or the folder of a backtest")
    found: dict[str, Figures] = {}
    current = Figures()
    try:
        for record in records(log):
            if isinstance(record, RunStarted):
                current = found[record.run] = Figures()
            current.add(record)
    except WalDamagedError as error:
        raise OperatorError(str(error)) from None
    if run and run not in found:
        raise NotFoundError(f"there is no run {run} in {state}: it holds {', '.join(found) or 'none'}")
    if not found:
        raise NotFoundError(f"the log in {state} holds no run")
    return found[run] if run else current


def records(log: Path) -> Iterable[Record]:
    """Every record of a log."""
    return (record for _, record in read(log))
