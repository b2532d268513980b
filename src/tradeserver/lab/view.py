"""The demo's picture: books and spreads, arbitrages, opportunities with reasons, profit, the last order's latency.

Pure: a status answer and a tally in, Rich renderables out. Made for 80 columns; what there is of rows decides how many
arbitrages and opportunities are listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tradeserver.core.types import plain
from tradeserver.lab.tally import SHOWN, STAGES, Tally

FIXED_ROWS: Final = 13  # everything but the rows of the three tables
LEAST: Final = 2  # arbitrages and opportunities are listed at least so many each


def picture(status: Mapping[str, Any], tally: Tally, rows: int = 40) -> RenderableType:
    """The whole screen, `rows` high at most where that is possible."""
    books = status.get("books", [])
    listed = max(LEAST, min(SHOWN, (rows - FIXED_ROWS - len(books)) // 2))
    return Group(
        _head(status, tally),
        Text(),
        _books(books),
        Text(),
        _arbitrages(tally, listed),
        Text(),
        _opportunities(tally, listed),
        Text(),
        *_latency(tally),
        _alerts(tally),
    )


def _head(status: Mapping[str, Any], tally: Tally) -> RenderableType:
    state = status.get("state", "starting")
    venues = "  ".join(f"{v['venue']} {v['phase']}" for v in status.get("venues", []))
    first = Text.assemble(
        ("tradeserver", "bold"), "  ", (state, "green" if state == "running" else "yellow"), "  ", venues
    )
    profit = amounts(tally.profit())
    second = Text.assemble(
        "profit ",
        (profit or "0", "bold green" if not profit.startswith("-") else "bold red"),
        f"   fills {tally.fills}   arbitrages {tally.opened}{_by_count(tally.outcomes)}",
    )
    third = Text(f"opportunities {tally.sighted}   taken {tally.taken}   refused{_by_count(tally.refused) or ' 0'}")
    for line in (first, second, third):
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(first, second, third)


def _by_count(counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f" ({shown})" if shown else ""


def _table(title: str, *columns: str, left: Iterable[str]) -> Table:
    """A table without lines; `title` stands over its first column."""
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold cyan")
    for name in (title, *columns):
        table.add_column(name, justify="left" if name in (title, *left) else "right", no_wrap=True)
    return table


def _books(books: Iterable[Mapping[str, Any]]) -> RenderableType:
    """`spread`: ask over bid of this book; `edge`: the best bid elsewhere over this ask, both in basis points."""
    table = _table("BOOKS", "venue", "trust", "bid", "ask", "spread", "edge bps", "age ms", left=("venue", "trust"))
    books = list(books)
    for book in sorted(books, key=lambda b: (b["symbol"], b["venue"])):
        others = [b["bid"] for b in books if b["symbol"] == book["symbol"] and b["venue"] != book["venue"]]
        edge = _bps(max(others), book["ask"]) if others else None
        table.add_row(
            book["symbol"],
            book["venue"],
            Text(book["reason"] or book["trust"], "red" if book["reason"] else "green"),
            f"{book['bid']:.10g}",
            f"{book['ask']:.10g}",
            _signed(_bps(book["ask"], book["bid"])),
            Text(_signed(edge), "bold green" if edge is not None and edge > 0 else ""),
            "-" if book["age_ms"] is None else f"{book['age_ms']:.0f}",
        )
    return table


def _bps(high: float, low: float) -> float | None:
    return (high / low - 1) * 1e4 if high and low else None


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f}"


def _arbitrages(tally: Tally, listed: int) -> RenderableType:
    table = _table(
        "ARBITRAGES",
        *("symbol", "buy", "sell", "quantity", "expected", "realised", "ms", "outcome"),
        left=("symbol", "buy", "sell", "outcome"),
    )
    for closed in list(tally.arbitrages)[-listed:]:
        plan = tally.plans.get(closed.arbitrage)
        sides = {leg.side.value: leg.venue for leg in plan.legs} if plan else {}
        table.add_row(
            f"#{closed.arbitrage}",
            f"{closed.base}/{closed.quote}",
            sides.get("buy", ""),
            sides.get("sell", ""),
            plain(closed.quantity),
            rounded(closed.expected_edge),
            rounded(closed.realised_edge),
            f"{closed.duration_ns / 1e6:.1f}",
            Text(closed.outcome.value, "green" if closed.outcome.value == "completed" else "yellow"),
        )
    return table


def _opportunities(tally: Tally, listed: int) -> RenderableType:
    table = _table(
        "OPPORTUNITIES",
        *("symbol", "buy", "sell", "gross", "net bps", "ms", "decision"),
        left=("symbol", "buy", "sell", "decision"),
    )
    for seen in list(tally.opportunities)[-listed:]:
        reasons = seen.decisions[-1].reasons if seen.decisions else ()
        table.add_row(
            f"#{seen.opportunity}",
            seen.symbol,
            seen.buy_venue,
            seen.sell_venue,
            f"{seen.peak_gross_bps:.1f}",
            f"{seen.peak_net_bps:.1f}",
            f"{seen.duration_ns / 1e6:.0f}",
            Text("taken", "green") if seen.taken else Text(", ".join(reasons), overflow="ellipsis"),
        )
    return table


def _latency(tally: Tally) -> list[RenderableType]:
    """Two lines of three stages."""
    last = tally.last_order
    stages = last.stages_ns if last else {}
    figures = [f"{stage.replace('_to_', ' to ')} {_time(stages.get(stage))}" for stage in STAGES]
    title = Text("LAST ORDER  ", "bold cyan")
    return [
        Text.assemble(title, "   ".join(figures[:3])),
        Text(" " * len(title) + "   ".join(figures[3:])),
    ]


def _time(ns: int | None) -> str:
    if ns is None:
        return "-"
    return f"{ns / 1e3:.0f} µs" if ns < 10_000_000 else f"{ns / 1e6:.0f} ms"


def _alerts(tally: Tally) -> RenderableType:
    if not tally.alerts:
        return Text("no alerts", "dim")
    last = tally.alerts[-1]
    return Text(f"ALERT {last.code}: {last.text}", "red", no_wrap=True, overflow="ellipsis")


def rounded(value: Decimal) -> str:
    """Money for people: four decimals, small amounts with eight."""
    return f"{value:.4f}" if abs(value) >= Decimal("0.01") or not value else f"{value:.8f}"


def amounts(values: Mapping[str, Decimal]) -> str:
    """{"USDT": 1.5} as "1.5000 USDT"."""
    return ", ".join(f"{rounded(amount)} {asset}" for asset, amount in values.items())


# ---- the last word --------------------------------------------------------------------------------------------------


def summary_table(summary: Mapping[str, Any]) -> RenderableType:
    """What a demo came to."""
    table = Table(title="summary", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, value in summary.items():
        if name == "latency_us":
            for stage, figures in value.items():
                table.add_row(
                    stage.replace("_to_", " to "),
                    f"p50 {figures['p50']:,.0f} µs, p99 {figures['p99']:,.0f} µs of {figures['count']} orders",
                )
        elif value not in ({}, []):
            table.add_row(_words(name), _shown(value))
    return table


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, Decimal):
        return rounded(value)
    if isinstance(value, Mapping):
        if all(isinstance(v, Decimal) for v in value.values()):
            return amounts(value)
        return (
            ", ".join(f"{k if k.isupper() else k.replace('_', ' ')} {_shown(v)}" for k, v in value.items() if v != {})
            or "-"
        )
    return str(value)


def _words(name: str) -> str:
    """A key in words; a reason code stays what it is."""
    return name if name.isupper() else name.replace("_", " ")
