"""The figures that are asked for, their targets and conditions, the verdicts, and how all of it is printed.

A figure is measured once a round; the median of the rounds counts. One without a single sample is no figure: it is
listed as not measured, and the bench fails.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Target:
    """One row. A value is good at `limit` or below, or, with `at_least`, at or above it. `key` is figure.rank."""

    group: str  # the run that measures it: see `__main__`
    key: str
    unit: str
    limit: float | None  # None: reported only
    rate: int = 0  # messages a second of both venues together; 0: as fast as they are read, or none
    tls: bool = False
    spin: bool = False
    detail: str = ""
    at_least: bool = False

    @property
    def figure(self) -> str:
        """As the documents call it."""
        return self.key.partition(".")[0]

    @property
    def conditions(self) -> str:
        """In words."""
        words = [f"{self.rate / 1_000:g}k ticks/s"] if self.rate else []
        words += ["TLS"] if self.tls else []
        words += ["spinning loop"] if self.spin else []
        return ", ".join([*words, *([self.detail] if self.detail else [])])


ONE = "one leg, order every 20th tick"
TWO = "two legs, log written before the first, order every 20th tick"
WIRE = "two legs, to the first order, order every 20th tick"
FLOOD = "always something to read, 10 levels, 41 symbols, two venues"
TARGETS: tuple[Target, ...] = (
    Target("latency", "tick_to_order_us.p50", "us", 25, 5_000, detail=ONE),
    Target("latency", "tick_to_order_us.p99", "us", 100, 5_000, detail=ONE),
    Target("latency", "tick_to_order_us.p999", "us", 250, 5_000, detail=ONE),
    Target("latency", "tick_to_arbitrage_us.5k.p50", "us", 40, 5_000, detail=TWO),
    Target("latency", "tick_to_arbitrage_us.5k.p99", "us", 130, 5_000, detail=TWO),
    Target("latency", "tick_to_arbitrage_us.5k.p999", "us", 300, 5_000, detail=TWO),
    Target("latency", "tick_to_arbitrage_us.2k.p50", "us", 70, 2_000, detail=TWO),
    Target("latency", "tick_to_arbitrage_us.2k.p99", "us", 200, 2_000, detail=TWO),
    Target("latency", "tick_to_arbitrage_us.tls.p50", "us", 55, 5_000, tls=True, detail=TWO),
    Target("latency", "tick_to_arbitrage_us.tls.p99", "us", 170, 5_000, tls=True, detail=TWO),
    Target("latency", "wire_to_wire_us.p50", "us", 75, 5_000, detail=WIRE),
    Target("latency", "wire_to_wire_us.p99", "us", 250, 5_000, detail=WIRE),
    Target("latency", "wire_to_wire_us.spin.p50", "us", 35, 5_000, spin=True, detail=WIRE),
    Target("latency", "floor_us.p50", "us", None, 5_000, detail="the same frames undecoded, fixed orders"),
    Target("latency", "floor_ratio", "x", 1.4, 5_000, detail="wire_to_wire_us p50 over floor_us p50, same round"),
    Target("throughput", "depth_messages_per_s", "/s", 100_000, detail=f"{FLOOD}, one in 20 trades", at_least=True),
    Target("throughput", "message_cpu_us", "us", None, detail=f"CPU a message; {FLOOD}, none trades"),
    Target(
        "throughput",
        "orders_per_s",
        "/s",
        20_000,
        detail=f"one IOC leg each, to the last fill; {FLOOD}, one in 4 trades",
        at_least=True,
    ),
    Target("throughput", "order_cpu_us", "us", None, detail="CPU an order, through its fill; the messages' taken off"),
    Target(
        "throughput", "orders_core_share_pct", "%", 60, 10_000, detail="10,000 orders/s asked for, share of the core"
    ),
    Target("latency", "wal_write_us.p50", "us", None, detail="of the writes that met a running fdatasync"),
    Target("latency", "wal_write_us.p999", "us", 200, detail="of those; preallocated segments, synced every 5 ms"),
    Target("books", "book_update_us.10", "us", 5, detail="10 levels: decode, gap check, book, market; p50"),
    Target("books", "book_update_us.40", "us", 12, detail="40 levels, p50"),
    Target("memory", "rss_mb.start", "MB", 90, detail="trading process, one symbol, before the books"),
    Target("memory", "rss_mb.books", "MB", 120, detail="trading process, 40 books of 1,000 levels a side"),
    Target("memory", "rss_mb.all", "MB", None, detail="daemon, relay and guard, 40 books"),
    Target("memory", "rss_mb.growth", "MB", 1.0, detail="after warm-up; up to 1 MB counts as none"),
    Target("symbols", "symbols_cost", "x", 1.5, 2_000, detail="CPU a message, 300 symbols over 1"),
)


@dataclass
class Figures:
    """What was measured: by key one value a round, and how many samples stand behind each."""

    values: dict[str, list[float]] = field(default_factory=dict)
    samples: dict[str, list[int]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)  # by key: conditions that differ from the row's
    warnings: list[str] = field(default_factory=list)  # what makes a figure doubtful

    def add(self, key: str, value: float, samples: int = 1) -> None:
        """One round's value. Nothing that is no number, nothing without a sample."""
        if samples and math.isfinite(value):
            self.values.setdefault(key, []).append(value)
            self.samples.setdefault(key, []).append(samples)
        else:
            self.warnings.append(f"{key}: a round without a sample")

    def distribution(self, key: str, values: Sequence[float]) -> None:
        """p50, p99 and p99.9 of one round."""
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
            self.add(f"{key}.{name}", percentile(values, share), len(values))

    def median(self, key: str) -> float | None:
        """Of the rounds; None where nothing was measured."""
        return statistics.median(self.values[key]) if self.values.get(key) else None


@dataclass(frozen=True)
class Row:
    """A target and what came of it."""

    target: Target
    value: float | None
    runs: tuple[float, ...]
    samples: int
    conditions: str

    @property
    def verdict(self) -> str:
        """met, missed, reported (no target), or not measured."""
        if self.value is None:
            return "not measured"
        good = met(self.target, self.value)
        return "reported" if good is None else "met" if good else "missed"

    def as_json(self) -> dict[str, Any]:
        """Everything that the terminal shows."""
        target = self.target
        return {
            "key": target.key,
            "figure": target.figure,
            "value": self.value,
            "unit": target.unit,
            "target": target.limit,
            "better": "higher" if target.at_least else "lower",
            "verdict": self.verdict,
            "runs": list(self.runs),
            "samples": self.samples,
            "conditions": {
                "rate_per_s": target.rate or None,
                "tls": target.tls,
                "spinning": target.spin,
                "text": self.conditions,
            },
        }


def rows(figures: Figures, groups: Iterable[str]) -> list[Row]:
    """One for every target of these runs, in the order of the table."""
    return [
        Row(
            target,
            figures.median(target.key),
            tuple(figures.values.get(target.key, ())),
            sum(figures.samples.get(target.key, ())),
            figures.notes.get(target.key, target.conditions),
        )
        for target in TARGETS
        if target.group in groups
    ]


def percentile(values: Sequence[float], share: float) -> float:
    """Of unsorted values; nan of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def met(target: Target, value: float) -> bool | None:
    """Whether the target is met; None where there is none."""
    if target.limit is None:
        return None
    return value >= target.limit if target.at_least else value <= target.limit


def cells(row: Row) -> tuple[str, str, str, str, str, str]:
    """(figure, target, measured, runs, verdict, conditions) as text."""
    target = row.target
    sign = ">=" if target.at_least else "<="
    return (
        target.key,
        "" if target.limit is None else f"{sign} {number(target.limit)} {target.unit}",
        "-" if row.value is None else f"{number(row.value)} {target.unit}",
        " ".join(map(number, row.runs)) if len(row.runs) > 1 else "",
        row.verdict,
        row.conditions,
    )


COLOURS: Mapping[str, str] = {"met": "green", "missed": "red", "not measured": "bold red"}


def show(console: Console, found: Sequence[Row]) -> None:
    """The table on the terminal."""
    table = Table(title="make bench: medians of the rounds", title_justify="left")
    for heading in ("figure", "target", "measured", "runs", "", "conditions"):
        table.add_column(heading, justify="right" if heading in ("target", "measured", "runs") else "left")
    for row in found:
        *before, verdict, conditions = cells(row)
        colour = COLOURS.get(verdict)
        table.add_row(*before, f"[{colour}]{verdict}[/]" if colour else verdict, conditions)
    console.print(table)


def markdown(found: Sequence[Row], about: str) -> str:
    """The same for a document."""
    lines = [about, "", "| figure | target | measured | verdict | conditions |", "|---|---|---|---|---|"]
    for row in found:
        figure, target, value, _, verdict, conditions = cells(row)
        verdict = f"**{verdict}**" if verdict in ("missed", "not measured") else verdict
        lines.append(f"| `{figure}` | {target} | {value} | {verdict} | {conditions} |")
    return "\n".join(lines)


def paste(text: str, name: str, content: str) -> str:
    """`text` with what stands between `<!-- name -->` and `<!-- /name -->` replaced; as it is where they are not."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in text or end not in text:
        return text
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}"


def number(value: float) -> str:
    """Three digits are enough."""
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
