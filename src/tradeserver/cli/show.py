"""How answers look: JSON for programs, Rich tables for people. Nothing here asks anybody anything."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

Cell = Callable[[Any], str]
Column = tuple[str, str, Cell]
"""(title, key of the row, how its value looks)"""


def text(value: Any) -> str:
    """As it is; nothing for None."""
    return "" if value is None else str(value)


def clock(ns: Any) -> str:
    """A time, UTC, to the millisecond."""
    if not ns:
        return ""
    return time.strftime("%m-%d %H:%M:%S", time.gmtime(ns // 1_000_000_000)) + f".{ns // 1_000_000 % 1000:03d}"


def milliseconds(ns: Any) -> str:
    """A duration."""
    return "" if ns is None else f"{ns / 1e6:,.1f}"


def bps(value: Any) -> str:
    """Basis points."""
    return "" if value is None else f"{value:.2f}"


def yes(value: Any) -> str:
    """A truth."""
    return "yes" if value else ""


def amounts(value: Any) -> str:
    """{"USDT": "1.5", "BTC": "0"} as "1.5 USDT"."""
    shown = [f"{amount} {asset}" for asset, amount in (value or {}).items() if amount != "0"]
    return ", ".join(shown)


def joined(value: Any) -> str:
    """A list of words."""
    return ", ".join(str(item) for item in value or [])


COLUMNS: Final[dict[str, list[Column]]] = {
    "orders": [
        ("time", "submitted_ns", clock),
        ("venue", "venue", text),
        ("symbol", "symbol", text),
        ("side", "side", text),
        ("quantity", "quantity", text),
        ("price", "price", text),
        ("state", "state", text),
        ("executed", "executed", text),
        ("arb", "arbitrage", text),
        ("leg", "leg", text),
        ("try", "attempt", text),
        ("client id", "client_id", text),
        ("reason", "reason", text),
    ],
    "fills": [
        ("time", "ts_ns", clock),
        ("venue", "venue", text),
        ("symbol", "symbol", text),
        ("side", "side", text),
        ("quantity", "quantity", text),
        ("price", "price", text),
        ("fee", "commission", text),
        ("in", "commission_asset", text),
        ("arb", "arbitrage", text),
        ("trade id", "trade_id", text),
    ],
    "balances": [("venue", "venue", text), ("asset", "asset", text), ("total", "total", text)],
    "arbitrages": [
        ("arb", "arbitrage", text),
        ("opened", "opened_ns", clock),
        ("strategy", "strategy", text),
        ("base", "base", text),
        ("quantity", "quantity", text),
        ("state", "state", text),
        ("expected", "expected_edge", text),
        ("realised", "realised_edge", text),
        ("in", "quote", text),
        ("hedges", "hedges", text),
        ("one-sided", "one_sided", yes),
        ("ms", "duration_ns", milliseconds),
    ],
    "opportunities": [
        ("opp", "opportunity", text),
        ("opened", "opened_ns", clock),
        ("symbol", "symbol", text),
        ("buy", "buy_venue", text),
        ("sell", "sell_venue", text),
        ("gross bps", "peak_gross_bps", bps),
        ("net bps", "peak_net_bps", bps),
        ("quantity", "peak_quantity", text),
        ("ms", "duration_ns", milliseconds),
        ("taken", "taken", yes),
        ("refused for", "reason", text),
    ],
    "decisions": [
        ("time", "ts_ns", clock),
        ("taken", "taken", yes),
        ("arb", "arbitrage", text),
        ("reasons", "reasons", joined),
        ("gross bps", "gross_bps", bps),
        ("net bps", "net_bps", bps),
        ("quantity", "quantity", text),
        ("times", "count", text),
    ],
    "refusals": [
        ("reason", "reason", text),
        ("decisions", "decisions", text),
        ("opportunities", "opportunities", text),
        ("best net bps", "best_net_bps", bps),
        ("last", "last_ns", clock),
    ],
    "alerts": [("time", "ts_ns", clock), ("severity", "severity", text), ("code", "code", text), ("", "text", text)],
    "pnl": [
        ("at", "ts_ns", clock),
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
}


def as_json(value: Any) -> None:
    """One JSON document on standard output."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def as_table(kind: str, answer: dict[str, Any]) -> None:
    """The rows of an answer, and the sequence that they are at."""
    from rich.console import Console

    console = Console()
    console.print(table(COLUMNS[kind], answer["rows"]))
    console.print(f"[dim]as of sequence {answer['sequence']}[/dim]")


def table(columns: Sequence[Column], rows: Sequence[dict[str, Any]]) -> Any:
    """A Rich table; columns that no row has are left out."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    present = [column for column in columns if not rows or any(column[1] in row for row in rows)]
    for title, key, _ in present:
        numeric = rows and all(_is_number(row.get(key)) for row in rows)
        made.add_column(title, justify="right" if numeric else "left", no_wrap=key not in ("reason", "text"))
    for row in rows:
        made.add_row(*(Text(cell(row.get(key))) for _, key, cell in present))
    return made


def as_facts(value: dict[str, Any]) -> None:
    """A nested answer (status, one opportunity) for people: scalars as lines, lists of rows as tables."""
    from rich.console import Console

    _facts(Console(), "", value)


def _facts(console: Any, name: str, value: dict[str, Any]) -> None:
    from rich.text import Text

    if name:
        console.print(f"\n[bold]{name}[/bold]")
    rows = {k: v for k, v in value.items() if isinstance(v, list) and v and isinstance(v[0], dict)}
    nested = {k: v for k, v in value.items() if isinstance(v, dict) and v}
    for key, item in value.items():
        if key not in rows and key not in nested and item not in ({}, [], "", None):
            shown = clock(item) if key.endswith("_ns") and isinstance(item, int) and item > 10**15 else item
            console.print(Text(f"  {key:<24} {joined(shown) if isinstance(shown, list) else shown}"))
    for key, items in rows.items():
        console.print(f"\n[bold]{key}[/bold]")
        console.print(table(COLUMNS.get(key) or [(k, k, text) for k in items[0]], items))
    for key, item in nested.items():
        _facts(console, f"{name}.{key}" if name else key, item)


def _is_number(value: Any) -> bool:
    if isinstance(value, int | float):
        return True
    try:
        float(value)
    except (TypeError, ValueError):
        return value is None
    return True
