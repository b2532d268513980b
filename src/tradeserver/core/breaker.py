"""Breakers: what goes wrong twice is not a chance. They pause; they never trade.

A one-sided arbitrage (one leg filled, another ended without a fill) pauses its symbol for a while; a second one of the
same strategy within the window latches the strategy. Exposure-seconds above the limit of one arbitrage latch the
strategy too. The history is folded from the log, so a restart forgets none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from tradeserver.core.conduct import FILLS, LEGS, SLIPPAGE, TECHNICAL
from tradeserver.core.desk import Desk
from tradeserver.core.losses import Losses
from tradeserver.core.records import ArbitrageClosed, FaultNoted, Severity, StateChanged, TradingState

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
    technical_limit: Annotated[int, Ge(0)] = 30
    """So many technical errors with a venue within the window (unreadable bytes, orders refused for anything but
    balance) halt it; 0: off."""
    technical_window_s: Annotated[int, Gt(0)] = 60
    max_loss_slippage_bps: Annotated[float, Ge(0)] = 20.0
    """A symbol whose last 20 legs were filled so much worse than expected, on average, is paused; 0: off."""
    min_fill_pct: Annotated[float, Ge(0), Le(100)] = 40.0
    """A symbol of whose last 20 legs less than this has filled is paused: its levels are not what they show; 0: off."""
    conduct_pause_s: Annotated[int, Gt(0)] = 600
    """Those pauses."""
    max_move_bps: Annotated[float, Ge(0)] = 500.0
    """A mid that leaves the last seconds' range by more pauses its symbol; 0: off."""
    move_window_s: Annotated[int, Gt(0)] = 10
    """Those seconds."""
    max_spread_bps: Annotated[float, Ge(0)] = 200.0
    """A book whose ask stands further above its bid pauses its symbol; 0: off."""
    volatility_target_bps: Annotated[float, Ge(0)] = 100.0
    """Above this volatility of a minute sizes shrink in proportion, to a tenth at least; 0: off."""
    max_volatility_bps: Annotated[float, Ge(0)] = 400.0
    """Above this one the symbol is paused; 0: off."""
    max_doubtful_pct: Annotated[float, Ge(0), Le(100)] = 50.0
    """A book that could not be traded on for more of the last 60 s pauses its symbol; 0: off."""
    market_pause_s: Annotated[int, Gt(0)] = 60
    """Those pauses, prolonged while the reason lasts."""
    depeg_bps: Annotated[float, Ge(0)] = 100.0
    """A followed pair of two stablecoins further from parity stops all opening; 0: off."""


class Breakers:
    """See the module."""

    def __init__(self, desk: Desk, limits: BreakerLimits, losses: Losses) -> None:
        self._desk = desk
        self._losses = losses
        self._limits = limits

    def on_closed(self, record: ArbitrageClosed, symbol: str) -> None:
        """After an arbitrage was closed and recorded."""
        self._losses.on_closed(record)
        self._judge_legs(symbol)
        if record.one_sided and self._limits.one_sided_limit:
            self._one_sided(record, symbol)
        if record.exposure_quote_s > self._limits.max_exposure_quote_s:
            self._latch(
                record.strategy,
                EXPOSURE_SECONDS,
                f"arbitrage {record.arbitrage} stood exposed for {record.exposure_quote_s:.0f} {record.quote}-seconds",
            )

    def _judge_legs(self, symbol: str) -> None:
        """Slippage and fill ratio, once there are enough legs to speak of."""
        legs = self._desk.conduct.legs.get(symbol, ())
        if len(legs) < LEGS:
            return
        filled = 100.0 * sum(share for share, _ in legs) / LEGS
        slips = [slip for share, slip in legs if share]
        slipped = -sum(slips) / len(slips) if slips else 0.0
        limits = self._limits
        if filled < limits.min_fill_pct:
            self._pause(symbol, FILLS, f"of its last {LEGS} legs {filled:.0f} % were filled")
        elif limits.max_loss_slippage_bps and slipped > limits.max_loss_slippage_bps:
            self._pause(symbol, SLIPPAGE, f"its last legs cost {slipped:.1f} bps more than expected")

    def _pause(self, symbol: str, reason: str, why: str) -> None:
        desk = self._desk
        until = desk.ts + self._limits.conduct_pause_s * 1_000_000_000
        scope = f"symbol:{symbol}"
        desk.keep(
            StateChanged(ts=desk.ts, scope=scope, state=TradingState.NO_NEW, reason=reason, until=until, by="breaker")
        )
        desk.alert(Severity.WARNING, "SYMBOL_PAUSED", f"Nothing new in {symbol} for a while: {why}.")

    def on_fault(self, venue: str, code: str) -> None:
        """A technical error: too many of them within the window halt the venue."""
        desk, limits = self._desk, self._limits
        desk.keep(FaultNoted(ts=desk.ts, venue=venue, code=code))
        since = desk.ts - limits.technical_window_s * 1_000_000_000
        count = sum(1 for ts, name in desk.conduct.faults if name == venue and ts >= since)
        scope = f"venue:{venue}"
        if not limits.technical_limit or count < limits.technical_limit or desk.states.has(scope, TECHNICAL):
            return
        desk.keep(
            StateChanged(ts=desk.ts, scope=scope, state=TradingState.HALTED, reason=TECHNICAL, until=0, by="breaker")
        )
        desk.alert(
            Severity.CRITICAL,
            "TECHNICAL",
            f"{venue} is halted after {count} technical errors within {limits.technical_window_s} s, the last: {code}. "
            f"Find out why, then: clear {TECHNICAL} --scope {scope}.",
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
