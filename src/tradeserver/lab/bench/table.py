"""The figures that are asked for, their targets, and how they are printed. Medians of the runs count."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Target:
    """One row. `unit` of the value; a value is good at `limit` or below, or, with `at_least`, at or above it."""

    key: str
    name: str
    conditions: str
    unit: str
    limit: float | None  # None: reported only
    at_least: bool = False


PACED = "one order tick in 20, two legs, everything on"
FLOOD = "always something to read, 10 levels, 41 symbols on two venues"
TARGETS: tuple[Target, ...] = (
    Target("tick_to_order_us.5k.p50", "tick to first order, p50", f"5k ticks/s, {PACED}", "us", 25),
    Target("tick_to_order_us.5k.p99", "tick to first order, p99", "", "us", 100),
    Target("tick_to_order_us.5k.p999", "tick to first order, p99.9", "", "us", 250),
    Target("tick_to_arbitrage_us.5k.p50", "tick to last order, p50", f"5k ticks/s, {PACED}", "us", 40),
    Target("tick_to_arbitrage_us.5k.p99", "tick to last order, p99", "", "us", 130),
    Target("tick_to_arbitrage_us.5k.p999", "tick to last order, p99.9", "", "us", 300),
    Target("tick_to_arbitrage_us.2k.p50", "tick to last order, p50", "2k ticks/s", "us", 70),
    Target("tick_to_arbitrage_us.2k.p99", "tick to last order, p99", "", "us", 200),
    Target("tick_to_arbitrage_us.tls.p50", "tick to last order, p50", "5k ticks/s, TLS on every socket", "us", 55),
    Target("tick_to_arbitrage_us.tls.p99", "tick to last order, p99", "", "us", 170),
    Target("wire_to_wire_us.5k.p50", "peer's write to peer's read, p50", "5k ticks/s, first order", "us", 75),
    Target("wire_to_wire_us.5k.p99", "peer's write to peer's read, p99", "", "us", 250),
    Target("wire_to_wire_us.spin.p50", "peer's write to peer's read, p50", "5k ticks/s, spin = true", "us", 35),
    Target("floor_us.5k.p50", "the same frames undecoded, fixed orders, p50", "5k ticks/s, first order", "us", None),
    Target("floor_ratio", "wire to wire over that floor, p50", "5k ticks/s", "x", 1.4),
    Target("depth_messages_per_s", "depth messages a second", f"{FLOOD}, one in 20 trades", "/s", 100_000, True),
    Target("orders_per_s", "orders a second, to the last fill", f"{FLOOD}, one in 4 trades", "/s", 20_000, True),
    Target("cpu_share_at_10k_orders", "share of the core at 10,000 orders/s", "computed from CPU per order", "%", 60),
    Target("wal_write_us.p50", "write of the log, p50", "while fdatasync runs every 5 ms", "us", None),
    Target("wal_write_us.p999", "write of the log, p99.9", "", "us", 200),
    Target("book_update_us.10", "depth message to book, 10 levels, p50", "decode, gap check, book, market", "us", 5),
    Target("book_update_us.40", "depth message to book, 40 levels, p50", "", "us", 12),
    Target("rss_mb.start", "resident memory, start", "one symbol, before the books", "MB", 90),
    Target("rss_mb.books", "resident memory, 40 books of 1,000 levels a side", "20 symbols", "MB", 120),
    Target("rss_mb.all", "resident memory, sum of all processes", "daemon and relay, 40 books", "MB", None),
    Target("rss_mb.growth", "growth after warm-up", "", "MB", 1.0),
    Target("symbols_cost", "CPU a message, 300 symbols over 1", "2k messages/s in all", "x", 1.5),
)


def percentile(values: Sequence[float], share: float) -> float:
    """Of unsorted values; nan of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def medians(figures: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each figure's runs."""
    return {key: statistics.median(values) for key, values in figures.items() if values}


def met(target: Target, value: float) -> bool | None:
    """Whether the target is met; None where there is none."""
    if target.limit is None:
        return None
    return value >= target.limit if target.at_least else value <= target.limit


def show(console: Console, figures: Mapping[str, Sequence[float]], notes: Mapping[str, str]) -> None:
    """The table: each figure with its runs, its target and its conditions."""
    table = Table(title="make bench", title_justify="left")
    for heading in ("figure", "conditions"):
        table.add_column(heading)
    for heading in ("median", "runs", "target"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for target in TARGETS:
        values = figures.get(target.key)
        if not values:
            continue
        value = statistics.median(values)
        good = met(target, value)
        table.add_row(
            target.name,
            notes.get(target.key, target.conditions),
            f"{number(value)} {target.unit}",
            " ".join(number(v) for v in values) if len(values) > 1 else "",
            "" if target.limit is None else f"{'>=' if target.at_least else '<='} {number(target.limit)}",
            "" if good is None else "met" if good else "[red]missed[/]",
        )
    console.print(table)


def number(value: float) -> str:
    """Three digits are enough."""
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
