"""The engine's own numbers: one `Vitals` and one `PnlMarked` record a second, and the answer to "how are you?".

Counters run since the run began; gauges are of the moment. It looks at the desk and changes nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from tradeserver.core.desk import Desk
from tradeserver.core.events import Tick, VenueFault
from tradeserver.core.ids import parse
from tradeserver.core.records import PnlMarked, Severity, Vitals
from tradeserver.core.types import ZERO
from tradeserver.core.valuation import Valuation
from tradeserver.core.venues import Readiness

PERIOD_NS: Final = 1_000_000_000


class VitalSigns:
    """See the module."""

    def __init__(self, desk: Desk, readiness: Readiness, valuation: Valuation, period_ns: int = PERIOD_NS) -> None:
        self._desk = desk
        self._valuation = valuation
        self._readiness = readiness
        self._period_ns = period_ns
        self._due = 0
        self._late_ns = 0  # the latest tick of the period
        self.ticks = 0
        self.last_fault: dict[str, str] = {}
        self.faults: dict[str, int] = {}  # venue -> faults since the run began

    def on_fault(self, event: VenueFault) -> None:
        self.faults[event.venue] = self.faults.get(event.venue, 0) + 1
        self.last_fault[event.venue] = f"{event.channel}: {event.text or event.code}"
        text = f"{event.venue} {event.channel}: {event.text or event.code}."
        self._desk.alert(Severity.WARNING, f"VENUE_{_word(event.code)}", text)

    def on_tick(self, event: Tick) -> bool:
        """Whether a second has passed, and profit and loss were marked anew."""
        self.ticks += 1
        self._late_ns = max(self._late_ns, event.late_ns)
        if event.ts < self._due:
            return False
        self._due = event.ts + self._period_ns
        self._desk.keep(Vitals(ts=event.ts, gauges=self._gauges(), counters=self._counters()))
        self._valuation.open_due()
        self.mark()
        self._late_ns = 0
        return True

    def mark(self) -> None:
        """Profit and loss of this moment."""
        ledger, capital = self._desk.ledger, self._desk.capital
        marks = capital.marks | self._valuation.marks() if capital.known else {}
        trading, revaluation, drawdown = capital.figures(marks)
        self._desk.keep(
            PnlMarked(
                ts=self._desk.ts,
                realised=dict(ledger.realised),
                unrealised=self.unrealised(),
                fees=dict(ledger.fees),
                marks=marks,
                trading=trading,
                revaluation=revaluation,
                capital=capital.amount,
                drawdown=drawdown,
            )
        )

    def next_deadline(self) -> int:
        return self._due or 1  # the first tick is due at once

    def unrealised(self) -> dict[str, Decimal]:
        """Open positions at mid, by quote asset."""
        marks: dict[str, Decimal] = {}
        for symbol, position in self._desk.ledger.positions.items():
            mid = self._mid(symbol)
            if position.quantity and mid is not None:
                quote = symbol.partition("/")[2]
                marks[quote] = marks.get(quote, ZERO) + position.unrealised(mid)
        return marks

    def _mid(self, symbol: str) -> Decimal | None:
        for (_, name), market in self._desk.market.symbols.items():
            if name == symbol and market.bid > 0.0 and market.ask > 0.0:
                return Decimal(repr(market.mid))
        return None

    def _gauges(self) -> dict[str, float]:
        desk = self._desk
        gauges = {
            "tick_late_ms": self._late_ns / 1e6,
            "live_orders": float(len(desk.orders.live)),
            "open_arbitrages": float(len(desk.arbitrages)),
            "open_opportunities": float(len(desk.opportunities.open)),
        }
        for (venue, symbol), market in desk.market.symbols.items():
            gauges[f"book_age_ms {venue} {symbol}"] = market.age_ns(desk.ts) / 1e6 if market.stamp_ns else -1.0
        return gauges

    def _counters(self) -> dict[str, int]:
        checked, matched = self._desk.market.quote_checks
        counters = {
            "ticks": self.ticks,
            "events_ignored": self._desk.orders.ignored,
            "quotes_checked": checked,
            "quotes_matched": matched,
        }
        counters.update({f"faults {venue}": count for venue, count in self.faults.items()})
        return counters

    def status(self, ts: int) -> dict[str, Any]:
        """The whole picture for an operator: plain data, money as `Decimal`."""
        desk = self._desk
        state = desk.states.of(ts)
        return {
            "ts_ns": ts,
            "run": desk.ids.head,
            "state": state.state.value if state else "running",
            "state_reason": state.reason if state else "",
            "states": [
                {"scope": s.scope, "state": s.state.value, "reason": s.reason, "until_ns": s.until, "by": s.by}
                for s in desk.states.entries()
            ],
            "venues": [
                {"venue": name, "phase": v.phase.value, "missing": v.missing(), "links": dict(v.links)}
                for name, v in self._readiness.venues.items()
            ],
            "books": [
                {
                    "venue": venue,
                    "symbol": symbol,
                    "trust": market.trust.value,
                    "reason": market.untradable(ts),
                    "bid": market.bid,
                    "bid_quantity": market.bid_quantity,
                    "ask": market.ask,
                    "ask_quantity": market.ask_quantity,
                    "age_ms": market.age_ns(ts) / 1e6 if market.stamp_ns else None,
                    "update_id": market.update_id,
                }
                for (venue, symbol), market in desk.market.symbols.items()
            ],
            "balances": [
                {
                    "venue": venue,
                    "asset": asset,
                    "total": total,
                    "reserved": desk.ledger.reserved.get((venue, asset), ZERO),
                    "free": desk.ledger.free(venue, asset),
                }
                for (venue, asset), total in sorted(desk.ledger.totals.items())
            ],
            "orders": [
                {
                    "client_id": o.client_id,
                    "venue": o.submitted.venue,
                    "symbol": o.submitted.symbol,
                    "side": o.submitted.side.value,
                    "quantity": o.submitted.quantity,
                    "filled": o.filled,
                    "state": o.state.value,
                    "arbitrage": parsed.arbitrage if (parsed := parse(o.client_id)) else 0,
                }
                for o in desk.orders.live.values()
            ],
            "arbitrages": [
                {"arbitrage": number, "low": low, "high": high, "asset": asset}
                for number, a in desk.arbitrages.items()
                for asset, (low, high) in a.exposures().items()
            ],
            "held": [
                {"strategy": h.strategy, "venue": h.venue, "symbol": h.symbol, "quantity": h.quantity, "cost": h.cost}
                for h in desk.held.images()
            ],
            "dust": dict(desk.dust),
            "realised": dict(desk.ledger.realised),
            "unrealised": self.unrealised(),
            "fees": dict(desk.ledger.fees),
            "quotes": {"checked": desk.market.quote_checks[0], "matched": desk.market.quote_checks[1]},
            "faults": dict(self.faults),
        }


def _word(code: str) -> str:
    """A venue's code as one stable word of an alert: "HTTP 503" is HTTP_503."""
    return "".join(c if c.isalnum() else "_" for c in code.upper())
