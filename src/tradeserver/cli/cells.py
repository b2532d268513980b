"""How values look to people, column by column. JSON answers never come through here: they keep every digit.

Quantities, prices and balances are shown as they are; edges, profits and fees are rounded. Times are UTC, without the
date where it is today's. `LEAST` names the columns that a narrow terminal does without, the least needed first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

Cell = Callable[[Any], str]
Column = tuple[str, str, Cell]
"""(title, key of the row, how its value looks)"""


def text(value: Any) -> str:
    """As it is; nothing for None."""
    return "" if value is None else str(value)


def clock(ns: Any) -> str:
    """A time, UTC: today's to the millisecond, another day's with its date."""
    if not ns:
        return ""
    moment = time.gmtime(ns // 1_000_000_000)
    if time.strftime("%F", moment) != time.strftime("%F", time.gmtime()):
        return time.strftime("%F %T", moment)
    return time.strftime("%T", moment) + f".{ns // 1_000_000 % 1000:03d}"


def milliseconds(ns: Any) -> str:
    """A duration."""
    return "" if ns is None else f"{ns / 1e6:,.1f}"


def bps(value: Any) -> str:
    """Basis points."""
    return "" if value is None else f"{value:.2f}"


def measured(value: Any) -> str:
    """A float that is no money."""
    return "" if value is None else f"{value:.6g}"


def rounded(value: Any) -> str:
    """Money to four decimals, small amounts to eight."""
    if value in (None, ""):
        return ""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    return f"{number:.4f}" if abs(number) >= Decimal("0.01") or not number else f"{number:.8f}"


def yes(value: Any) -> str:
    """A truth."""
    return "yes" if value else ""


def amounts(value: Any) -> str:
    """{"USDT": "1.5", "BTC": "0"} as "1.5000 USDT"."""
    return ", ".join(f"{rounded(amount)} {asset}" for asset, amount in (value or {}).items() if amount != "0")


def joined(value: Any) -> str:
    """A list of words."""
    return ", ".join(str(item) for item in value or [])


def links(value: Any) -> str:
    """{"market": true, "user": false} as "market, user DOWN"."""
    return ", ".join(name if up else f"{name} DOWN" for name, up in sorted((value or {}).items()))


COLUMNS: Final[dict[str, list[Column]]] = {
    "orders": [
        ("time UTC", "submitted_ns", clock),
        ("venue", "venue", text),
        ("symbol", "symbol", text),
        ("side", "side", text),
        ("quantity", "quantity", text),
        ("price", "price", text),
        ("state", "state", text),
        ("executed", "executed", text),
        ("filled", "filled", text),
        ("arb", "arbitrage", text),
        ("leg", "leg", text),
        ("try", "attempt", text),
        ("client id", "client_id", text),
        ("reason", "reason", text),
    ],
    "fills": [
        ("time UTC", "ts_ns", clock),
        ("venue", "venue", text),
        ("symbol", "symbol", text),
        ("side", "side", text),
        ("quantity", "quantity", text),
        ("price", "price", text),
        ("fee", "commission", rounded),
        ("in", "commission_asset", text),
        ("arb", "arbitrage", text),
        ("trade id", "trade_id", text),
    ],
    "balances": [
        ("venue", "venue", text),
        ("asset", "asset", text),
        ("total", "total", text),
        ("reserved", "reserved", text),
        ("free", "free", text),
    ],
    "arbitrages": [
        ("arb", "arbitrage", text),
        ("opened UTC", "opened_ns", clock),
        ("strategy", "strategy", text),
        ("base", "base", text),
        ("quantity", "quantity", text),
        ("state", "state", text),
        ("expected", "expected_edge", rounded),
        ("realised", "realised_edge", rounded),
        ("in", "quote", text),
        ("hedges", "hedges", text),
        ("one-sided", "one_sided", yes),
        ("ms", "duration_ns", milliseconds),
    ],
    "opportunities": [
        ("opp", "opportunity", text),
        ("opened UTC", "opened_ns", clock),
        ("symbol", "symbol", text),
        ("buy", "buy_venue", text),
        ("sell", "sell_venue", text),
        ("gross", "peak_gross_bps", bps),
        ("net bps", "peak_net_bps", bps),
        ("quantity", "peak_quantity", measured),
        ("ms", "duration_ns", milliseconds),
        ("taken", "taken", yes),
        ("refused for", "reason", text),
    ],
    "decisions": [
        ("time UTC", "ts_ns", clock),
        ("taken", "taken", yes),
        ("arb", "arbitrage", text),
        ("reasons", "reasons", joined),
        ("gross", "gross_bps", bps),
        ("net bps", "net_bps", bps),
        ("quantity", "quantity", measured),
        ("times", "count", text),
    ],
    "refusals": [
        ("reason", "reason", text),
        ("decisions", "decisions", text),
        ("opportunities", "opportunities", text),
        ("best net bps", "best_net_bps", bps),
        ("last UTC", "last_ns", clock),
    ],
    "alerts": [
        ("time UTC", "ts_ns", clock),
        ("severity", "severity", text),
        ("code", "code", text),
        ("", "text", text),
    ],
    "pnl": [
        ("at UTC", "ts_ns", clock),
        ("realised", "realised", amounts),
        ("unrealised", "unrealised", amounts),
        ("fees", "fees", amounts),
    ],
    "split": [
        ("day", "day", text),
        ("symbol", "symbol", text),
        ("venue", "venue", text),
        ("fills", "fills", text),
        ("realised", "realised", amounts),
        ("net", "net", amounts),
        ("turnover", "turnover", amounts),
        ("fees", "fees", amounts),
    ],
    "venues": [
        ("venue", "venue", text),
        ("phase", "phase", text),
        ("missing", "missing", text),
        ("links", "links", links),
    ],
    "books": [
        ("venue", "venue", text),
        ("symbol", "symbol", text),
        ("trust", "trust", text),
        ("quantity", "bid_quantity", measured),
        ("bid", "bid", str),
        ("ask", "ask", str),
        ("quantity", "ask_quantity", measured),
        ("age ms", "age_ms", bps),
        ("untradable", "reason", text),
        ("update id", "update_id", text),
    ],
    "states": [
        ("scope", "scope", text),
        ("state", "state", text),
        ("reason", "reason", text),
        ("until", "until_ns", clock),
        ("by", "by", text),
    ],
}

LEAST: Final[dict[str, tuple[str, ...]]] = {
    "orders": ("client_id", "attempt", "leg", "executed", "arbitrage"),
    "fills": ("trade_id", "arbitrage"),
    "arbitrages": ("strategy", "one_sided", "duration_ns"),
    "opportunities": ("peak_quantity", "duration_ns", "taken", "opened_ns"),
    "decisions": ("quantity",),
    "books": ("update_id", "bid_quantity", "ask_quantity"),
}

WRAPPED: Final = frozenset({"reason", "reasons", "text", "by", "realised", "unrealised", "net", "turnover", "fees"})
"""Columns of words or of several amounts: these may take a second line."""
