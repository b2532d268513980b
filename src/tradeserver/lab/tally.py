"""What a run came to: a fold over its records into the figures that a person asks for first.

Money stays `Decimal`; latencies are microseconds by stage. Reads records only, so the demo, the acceptance run and the
tests see what any other reader of the log would see.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tradeserver.core.records import (
    Alert,
    ArbitrageClosed,
    ArbitrageOpened,
    FillBooked,
    OpportunityClosed,
    OpportunityOpened,
    OrderTimed,
    Outcome,
    PnlMarked,
    Record,
)

STAGES = ("venue_to_frame", "frame_to_decided", "decided_to_wal", "wal_to_sent", "sent_to_ack", "ack_to_fill")
SHOWN = 8


class Tally:
    """Add every record of a run, in order."""

    def __init__(self) -> None:
        self.opened = 0
        self.outcomes: Counter[str] = Counter()
        self.one_sided = 0
        self.hedges = 0
        self.fills = 0
        self.sighted = 0
        self.taken = 0
        self.refused: Counter[str] = Counter()  # by the first word of the deciding reason
        self.expected = Decimal(0)
        self.realised_edge = Decimal(0)
        self.pnl: PnlMarked | None = None
        self.stages_ns: dict[str, list[int]] = {stage: [] for stage in STAGES}
        self.last_order: OrderTimed | None = None
        self.arbitrages: deque[ArbitrageClosed] = deque(maxlen=SHOWN)
        self.opportunities: deque[OpportunityClosed] = deque(maxlen=SHOWN)
        self.alerts: deque[Alert] = deque(maxlen=SHOWN)
        self.plans: dict[int, ArbitrageOpened] = {}

    def add(self, record: Record) -> None:
        """One record."""
        if isinstance(record, ArbitrageClosed):
            self._closed(record)
        elif isinstance(record, ArbitrageOpened):
            self.opened += 1
            self.plans[record.arbitrage] = record
        elif isinstance(record, FillBooked):
            self.fills += 1
        elif isinstance(record, OpportunityOpened):
            self.sighted += 1
        elif isinstance(record, OpportunityClosed):
            self._sighted(record)
        elif isinstance(record, OrderTimed):
            self.last_order = record
            for stage, duration in record.stages_ns.items():
                self.stages_ns[stage].append(duration)
        elif isinstance(record, PnlMarked):
            self.pnl = record
        elif isinstance(record, Alert):
            self.alerts.append(record)

    def _closed(self, record: ArbitrageClosed) -> None:
        self.outcomes[record.outcome.value] += 1
        self.one_sided += record.one_sided
        self.hedges += record.hedges
        self.expected += record.expected_edge
        self.realised_edge += record.realised_edge
        self.arbitrages.append(record)

    def _sighted(self, record: OpportunityClosed) -> None:
        self.opportunities.append(record)
        if record.taken:
            self.taken += 1
            return
        last = record.decisions[-1] if record.decisions else None
        self.refused[last.reasons[0].split(" ")[0] if last and last.reasons else "NO_DECISION"] += 1

    def profit(self) -> dict[str, Decimal]:
        """Realised and marked, by quote asset."""
        if self.pnl is None:
            return {}
        assets = dict.fromkeys((*self.pnl.realised, *self.pnl.unrealised))
        zero = Decimal(0)
        return {a: self.pnl.realised.get(a, zero) + self.pnl.unrealised.get(a, zero) for a in assets}

    def latency_us(self) -> dict[str, dict[str, float]]:
        """p50, p99 and the number of orders by stage."""
        return {
            stage: {"p50": percentile(values, 50) / 1e3, "p99": percentile(values, 99) / 1e3, "count": len(values)}
            for stage, values in self.stages_ns.items()
            if values
        }

    def summary(self) -> dict[str, Any]:
        """The figures of the run."""
        return {
            "arbitrages": {
                "opened": self.opened,
                "completed": self.outcomes[Outcome.COMPLETED.value],
                "hedged": self.outcomes[Outcome.HEDGED.value],
                "nothing": self.outcomes[Outcome.NOTHING.value],
                "held": self.outcomes[Outcome.HELD.value],
                "one_sided": self.one_sided,
                "hedges": self.hedges,
                "expected_edge": self.expected,
                "realised_edge": self.realised_edge,
            },
            "opportunities": {
                "sighted": self.sighted,
                "taken": self.taken,
                "refused": dict(self.refused.most_common()),
            },
            "fills": self.fills,
            "pnl": self.profit(),
            "fees": dict(self.pnl.fees) if self.pnl else {},
            "latency_us": self.latency_us(),
        }


def percentile(values: Sequence[int], percent: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    rank = max(0, min(len(ordered) - 1, round(percent / 100 * len(ordered) + 0.5) - 1))
    return float(ordered[rank])
