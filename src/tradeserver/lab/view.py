"""The demo's picture: books and spreads, arbitrages, refused opportunities, profit, the last order's latency by stage.

Pure: a status answer and a tally in, Rich renderables out.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table

from tradeserver.core.types import plain
from tradeserver.lab.tally import STAGES, Tally


def picture(status: dict[str, Any], tally: Tally) -> RenderableType:
    """The whole screen."""
    return Group(
        _head(status, tally), _books(status), _arbitrages(tally), _opportunities(tally), _latency(tally), _alerts(tally)
    )


def _head(status: dict[str, Any], tally: Tally) -> RenderableType:
    profit = ", ".join(f"{plain(v.quantize(Decimal('0.0001')))} {a}" for a, v in tally.profit().items()) or "0"
    state = status.get("state", "starting")
    venues = "  ".join(f"{v['venue']}: {v['phase']}" for v in status.get("venues", []))
    return Panel(
        f"state [bold]{state}[/]   {venues}   profit [bold green]{profit}[/]   fills {tally.fills}   "
        f"arbitrages {tally.opened}   opportunities {tally.sighted}",
        title="tradeserver",
    )


def _books(status: dict[str, Any]) -> RenderableType:
    table = Table(title="books", expand=True)
    for name in ("symbol", "venue", "trust", "bid", "ask", "age ms", "edge to sell elsewhere, bps"):
        table.add_column(name, justify="left" if name in ("symbol", "venue", "trust") else "right")
    books = status.get("books", [])
    for book in sorted(books, key=lambda b: (b["symbol"], b["venue"])):
        others = [b["bid"] for b in books if b["symbol"] == book["symbol"] and b["venue"] != book["venue"]]
        edge = (max(others) / book["ask"] - 1) * 1e4 if others and book["ask"] else float("nan")
        trust = book["reason"] or book["trust"]
        table.add_row(
            book["symbol"],
            book["venue"],
            f"[green]{trust}[/]" if not book["reason"] else f"[red]{trust}[/]",
            f"{book['bid']:g}",
            f"{book['ask']:g}",
            "-" if book["age_ms"] is None else f"{book['age_ms']:.0f}",
            f"{edge:+.1f}",
        )
    return table


def _arbitrages(tally: Tally) -> RenderableType:
    table = Table(title="arbitrages, latest last", expand=True)
    for name in ("#", "symbol", "buy", "sell", "quantity", "expected", "realised", "outcome", "ms"):
        table.add_column(name, justify="right" if name not in ("symbol", "buy", "sell", "outcome") else "left")
    for closed in tally.arbitrages:
        plan = tally.plans.get(closed.arbitrage)
        sides = {leg.side.value: leg.venue for leg in plan.legs} if plan else {}
        table.add_row(
            str(closed.arbitrage),
            f"{closed.base}/{closed.quote}",
            sides.get("buy", ""),
            sides.get("sell", ""),
            plain(closed.quantity),
            f"{closed.expected_edge:.4f}",
            f"{closed.realised_edge:.4f}",
            closed.outcome.value,
            f"{closed.duration_ns / 1e6:.1f}",
        )
    return table


def _opportunities(tally: Tally) -> RenderableType:
    table = Table(title="opportunities, latest last", expand=True)
    for name in ("#", "symbol", "buy", "sell", "peak gross bps", "net bps", "lasted ms", "decision"):
        table.add_column(name, justify="right" if "bps" in name or name in ("#", "lasted ms") else "left")
    for seen in tally.opportunities:
        last = seen.decisions[-1] if seen.decisions else None
        table.add_row(
            str(seen.opportunity),
            seen.symbol,
            seen.buy_venue,
            seen.sell_venue,
            f"{seen.peak_gross_bps:.1f}",
            f"{seen.peak_net_bps:.1f}",
            f"{seen.duration_ns / 1e6:.0f}",
            "[green]taken[/]" if seen.taken else ", ".join(last.reasons) if last else "",
        )
    return table


def _latency(tally: Tally) -> RenderableType:
    last = tally.last_order
    figures = "   ".join(
        f"{stage} {last.stages_ns[stage] / 1e3:.0f}" for stage in STAGES if last and stage in last.stages_ns
    )
    return Panel(figures or "no order yet", title="latency of the last order by stage, µs")


def _alerts(tally: Tally) -> RenderableType:
    return Panel("\n".join(f"{a.code}: {a.text}" for a in list(tally.alerts)[-3:]) or "none", title="alerts")


def summary_table(summary: dict[str, Any]) -> RenderableType:
    """The last word."""
    table = Table(title="summary", show_header=False)
    table.add_column()
    table.add_column()
    for name, value in summary.items():
        if isinstance(value, dict):
            text = ", ".join(f"{k} {_short(v)}" for k, v in value.items()) or "-"
        else:
            text = _short(value)
        table.add_row(name, text)
    return table


def _short(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return "/".join(f"{v:.0f}" if isinstance(v, float) else str(v) for v in value.values())
    return str(value)
