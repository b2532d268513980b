"""Breakers: what goes wrong twice is not a chance. They pause; they never trade.

A one-sided arbitrage (one leg filled, another ended without a fill) pauses its symbol for a while; a second one of the
same strategy within the window latches the strategy. Exposure-seconds above the limit of one arbitrage latch the
strategy too. The history is folded from the log, so a restart forgets none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from tradeserver.core.desk import Desk
from tradeserver.core.records import ArbitrageClosed, Severity, StateChanged, TradingState

ONE_SIDED = "one-sided"
EXPOSURE_SECONDS = "exposure-seconds"


@dataclass(frozen=True)
class BreakerLimits:
    """When a strategy is stopped for what happened to it."""

    one_sided_limit: Annotated[int, Ge(0)] = 2
    """So many one-sided arbitrages of a strategy within the window latch it; 0 switches this breaker off."""
    one_sided_window_s: Annotated[int, Gt(0)] = 3_600
    one_sided_pause_s: Annotated[int, Gt(0)] = 300
    """Pause of the symbol after each of them."""
    max_exposure_quote_s: Annotated[float, Gt(0)] = 50_000.0
    """Exposure of one arbitrage, in quote, times the seconds that it lasted, above which its strategy is latched."""
    crash_limit: Annotated[int, Ge(0)] = 3
    """So many runs within ten minutes that did not end in order: the next one opens nothing; 0 switches it off."""


class Breakers:
    """See the module."""

    def __init__(self, desk: Desk, limits: BreakerLimits) -> None:
        self._desk = desk
        self._limits = limits

    def on_closed(self, record: ArbitrageClosed, symbol: str) -> None:
        """After an arbitrage was closed and recorded."""
        if record.one_sided and self._limits.one_sided_limit:
            self._one_sided(record, symbol)
        if record.exposure_quote_s > self._limits.max_exposure_quote_s:
            self._latch(
                record.strategy,
                EXPOSURE_SECONDS,
                f"arbitrage {record.arbitrage} stood exposed for {record.exposure_quote_s:.0f} {record.quote}-seconds",
            )

    def _one_sided(self, record: ArbitrageClosed, symbol: str) -> None:
        desk = self._desk
        since = desk.ts - self._limits.one_sided_window_s * 1_000_000_000
        recent = [ts for ts, strategy in desk.one_sided if strategy == record.strategy and ts >= since]
        desk.keep(
            StateChanged(
                ts=desk.ts,
                scope=f"symbol:{symbol}",
                state=TradingState.NO_NEW,
                reason=ONE_SIDED,
                until=desk.ts + self._limits.one_sided_pause_s * 1_000_000_000,
                by="breaker",
            )
        )
        if len(recent) >= self._limits.one_sided_limit:
            self._latch(
                record.strategy, ONE_SIDED, f"{len(recent)} arbitrages within the window filled on one side only"
            )

    def _latch(self, strategy: str, reason: str, why: str) -> None:
        desk = self._desk
        scope = f"strategy:{strategy}"
        if desk.states.has(scope, reason):
            return
        desk.keep(StateChanged(ts=desk.ts, scope=scope, state=TradingState.NO_NEW, reason=reason, by="breaker"))
        desk.alert(
            Severity.CRITICAL,
            "BREAKER",
            f"{strategy} opens nothing new: {why}. Find out why, then: clear {reason} --scope {scope}.",
        )
