"""What only the daemon knows, as plain numbers for the relay's metrics: the control socket's verb `gauges`.

Asked every few seconds, between two inputs; some tens of microseconds. A row is a name, its labels, and a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tradeserver.core.engine import Engine
from tradeserver.core.killswitch import exposure
from tradeserver.core.records import OrderState, TradingState
from tradeserver.core.types import ZERO
from tradeserver.sessions.base import Session

Row = tuple[str, dict[str, str], float]

SEVERITY: Mapping[TradingState, int] = {state: n for n, state in enumerate(TradingState)}


def rows(engine: Engine, sessions: Iterable[Session], facts: Mapping[str, Any], ts: int) -> list[Row]:
    """Everything; `facts` are the shell's own numbers by name."""
    found: list[Row] = [(name, {}, float(value)) for name, value in facts.items()]
    found.extend(_venues(engine))
    found.extend(_books(engine, ts))
    found.extend(_exposure(engine))
    found.extend(_orders(engine))
    found.extend(_states(engine, ts))
    for session in sessions:
        for scope, (used, limit) in session.spent(ts).items():
            found.append(("rate_budget_used_ratio", {"venue": session.venue, "scope": scope}, used / limit))
    return found


def _venues(engine: Engine) -> Iterator[Row]:
    for name, venue in engine.readiness.venues.items():
        yield "venue_ready", {"venue": name}, float(not venue.missing())
        for channel, up in venue.links.items():
            yield "link_up", {"venue": name, "channel": channel}, float(up)


def _books(engine: Engine, ts: int) -> Iterator[Row]:
    for (venue, symbol), market in engine.market.symbols.items():
        labels = {"venue": venue, "symbol": symbol}
        yield "book_trusted", labels, float(not market.untradable(ts))
        if market.stamp_ns:
            yield "book_age_seconds", labels, market.age_ns(ts) / 1e9


def _exposure(engine: Engine) -> Iterator[Row]:
    """By asset as an interval; and all of it in quote at mid, the end farther from zero."""
    mids = {symbol.partition("/")[0]: market.mid for (_, symbol), market in engine.market.symbols.items() if market.bid}
    total = 0.0
    for one in exposure(engine.desk):
        yield "exposure_low", {"asset": one.asset}, float(one.low)
        yield "exposure_high", {"asset": one.asset}, float(one.high)
        total += float(max(abs(one.low), abs(one.high))) * mids.get(one.asset, 0.0)
    yield "exposure_quote", {}, total
    yield "dust_assets", {}, float(sum(1 for amount in engine.desk.dust.values() if amount != ZERO))


def _orders(engine: Engine) -> Iterator[Row]:
    states = [order.state for order in engine.desk.orders.live.values()]
    yield "live_orders", {}, float(len(states))
    yield "unknown_orders", {}, float(states.count(OrderState.UNKNOWN))
    yield "open_arbitrages", {}, float(len(engine.desk.arbitrages))


def _states(engine: Engine, ts: int) -> Iterator[Row]:
    now = engine.desk.states.of(ts)
    yield "trading_state", {}, float(SEVERITY[now.state] if now else 0)
    for entry in engine.desk.states.entries():
        if not entry.until or ts < entry.until:
            labels = {"scope": entry.scope, "reason": entry.reason}
            yield "trading_restriction", labels, float(SEVERITY[entry.state])
