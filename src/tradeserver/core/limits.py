"""The one table of limits: code, key, scope, what it does, how it ends; and which way a change of it loosens.

The defaults and the meaning stand where the values are declared (`core/risk.py`, `core/losses.py`, `core/breaker.py`);
docs/risk.md shows both together, and a test holds the two equal. Pure data and one pure function.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from tradeserver.core.types import plain

LOWER: Final = "lower"
HIGHER: Final = "higher"
ORDER: Final = "each order"  # looked at anew each time: nothing to end
PERIOD: Final = "its period's end"
LATCH: Final = "latch"
PAUSE: Final = "`market_pause_s`"


class Limit(msgspec.Struct, frozen=True):
    """One row. `code` is the reason of a refusal, or of a trading state where it is in small letters."""

    code: str
    key: str  # "section.key"
    scope: str
    ends: str
    tighter: str = LOWER  # which way is the careful one; "" where neither is
    off: bool = False  # 0 switches it off


LIMITS: Final = (
    # ---- each order, in the gate
    Limit("MAX_TRADE", "risk.max_trade_pct", "leg", ORDER),
    Limit("MAX_ORDER_NOTIONAL", "risk.max_order_notional", "leg", ORDER),
    Limit("SCOPED_NOTIONAL", "risk.scoped_order_notional", "symbol, venue or strategy", ORDER),
    Limit("MAX_EXPOSURE", "risk.max_exposure_pct", "desk", ORDER),
    Limit("MAX_POSITION", "risk.max_position_notional", "base asset", ORDER),
    Limit("RESERVE", "risk.reserve_pct", "venue and asset", ORDER, HIGHER),
    Limit("MAX_OPEN_ORDERS", "risk.max_open_orders", "desk", ORDER),
    Limit("MAX_ARBITRAGES", "risk.max_arbitrages", "desk", ORDER),
    Limit("ORDER_RATE", "risk.max_orders_per_s", "desk", ORDER),
    Limit("SCOPED_ORDERS", "risk.scoped_open_orders", "symbol, venue or strategy", ORDER),
    Limit("CANCEL_RATE", "risk.max_cancels_per_s", "desk", ORDER),
    Limit("SLIPPAGE_CAP", "risk.max_slippage_bps", "leg", ORDER),
    Limit("DECISION_LATE", "risk.max_decision_age_ms", "leg", ORDER),
    Limit("PRICE_BAND", "risk.price_band_bps", "leg", ORDER),
    Limit("EDGE_TOO_GOOD", "risk.max_edge_bps", "direction", ORDER),
    Limit("MAX_DUST", "risk.max_dust_notional", "base asset", ORDER),
    Limit("CAPITAL_UNKNOWN", "risk.currency", "desk", "when all is counted and priced", ""),
    # ---- losses
    Limit("loss-day", "losses.day_pct", "global", PERIOD),
    Limit("loss-week", "losses.week_pct", "global", PERIOD),
    Limit("loss-month", "losses.month_pct", "global", PERIOD),
    Limit("drawdown", "losses.drawdown_pct", "global", LATCH),
    Limit("revaluation", "losses.revaluation_pct", "global", PERIOD),
    Limit("streak", "losses.streak", "strategy", "`streak_pause_s`", off=True),
    Limit("streak", "losses.streak_pause_s", "strategy", "itself", HIGHER),
    # ---- breakers
    Limit(
        "one-sided", "breakers.one_sided_limit", "symbol, then strategy", "`one_sided_pause_s`, then latch", off=True
    ),
    Limit("one-sided", "breakers.one_sided_window_s", "strategy", "itself", HIGHER),
    Limit("one-sided", "breakers.one_sided_pause_s", "symbol", "itself", HIGHER),
    Limit("exposure-seconds", "breakers.max_exposure_quote_s", "strategy", LATCH),
    Limit("technical", "breakers.technical_limit", "venue", LATCH, off=True),
    Limit("technical", "breakers.technical_window_s", "venue", "itself", HIGHER),
    Limit("slippage", "breakers.max_loss_slippage_bps", "symbol", "`conduct_pause_s`", off=True),
    Limit("fill-ratio", "breakers.min_fill_pct", "symbol", "`conduct_pause_s`", HIGHER, off=True),
    Limit("fill-ratio", "breakers.conduct_pause_s", "symbol", "itself", HIGHER),
    Limit("price-jump", "breakers.max_move_bps", "symbol", PAUSE, off=True),
    Limit("price-jump", "breakers.move_window_s", "symbol", "itself", HIGHER),
    Limit("spread", "breakers.max_spread_bps", "symbol", PAUSE, off=True),
    Limit("MAX_TRADE", "breakers.volatility_target_bps", "symbol", ORDER, off=True),
    Limit("volatility", "breakers.max_volatility_bps", "symbol", PAUSE, off=True),
    Limit("data-quality", "breakers.max_doubtful_pct", "symbol", PAUSE, off=True),
    Limit("price-jump", "breakers.market_pause_s", "symbol", "itself", HIGHER),
    Limit("depeg", "breakers.depeg_bps", "global", LATCH, off=True),
    Limit("crashes", "breakers.crash_limit", "global", LATCH, off=True),
)
"""Every key of `[risk]`, `[losses]` and `[breakers]`."""


def loosened(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One sentence a limit that `new` would loosen; both map a section's name to its dataclass.

    Whoever changes limits while the desk runs needs these to be allowed by an explicit flag.
    """
    found = []
    for limit in LIMITS:
        section, _, key = limit.key.partition(".")
        before, after = getattr(old[section], key), getattr(new[section], key)
        if before != after and _looser(limit, before, after):
            found.append(f"{limit.key} {_shown(before)} -> {_shown(after)}")
    return found


def _looser(limit: Limit, before: Any, after: Any) -> bool:
    if not limit.tighter:
        return True  # neither way is the careful one: a change of what is counted is told
    if limit.off and not before:
        return False
    if limit.off and not after:
        return True
    if isinstance(before, dict):  # of scopes: one that is gone, or allows more
        return any(scope not in after or after[scope] > most for scope, most in before.items())
    return bool(after > before if limit.tighter == LOWER else after < before)


def _shown(value: Any) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
