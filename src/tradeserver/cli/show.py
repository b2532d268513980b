"""How answers look: JSON for programs, tables for people. Nothing here asks anybody anything.

A table fits into its terminal: columns that are empty are left out, then the least needed ones until the rest fits,
and the last line says which. Into a pipe everything goes, in one line a row.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

from tradeserver.cli.cells import COLUMNS, LEAST, WRAPPED, Column, bps, clock, joined, measured, milliseconds, text

PIPE_WIDTH: Final = 2_000
WRAP_AT: Final = 24  # columns that may wrap are counted with at most so many characters
GAP: Final = 2  # between two columns


def as_json(value: Any) -> None:
    """One JSON document on standard output."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def as_table(kind: str, answer: dict[str, Any]) -> None:
    """The rows of an answer, and the sequence that they are at."""
    console = _console()
    _print_table(console, kind, answer["rows"])
    console.print(f"[dim]as of sequence {answer['sequence']}[/dim]")


def as_facts(value: dict[str, Any]) -> None:
    """A nested answer (status, one opportunity) for people: scalars as lines, lists of rows as tables."""
    _facts(_console(), "", value)


def _console() -> Any:
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=int(os.environ.get("COLUMNS") or PIPE_WIDTH))


# ---- tables ---------------------------------------------------------------------------------------------------------


def _print_table(console: Any, kind: str, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        console.print("none")
        return
    columns = COLUMNS.get(kind) or [(key, key, text) for key in rows[0]]
    shown, left_out = fit(columns, LEAST.get(kind, ()), rows, console.width)
    console.print(table(shown, rows))
    if left_out:
        console.print(f"[dim]not shown at this width: {', '.join(left_out)}[/dim]")


def fit(
    columns: Sequence[Column], least: Sequence[str], rows: Sequence[dict[str, Any]], width: int
) -> tuple[list[Column], list[str]]:
    """The columns that have something to show and fit into `width`, and the titles of those that did not."""
    widths = {column: _width(column, rows) for column in columns}
    shown = [column for column in columns if widths[column]]
    left_out = []
    for key in least:
        if sum(widths[c] + GAP for c in shown) <= width:
            break
        left_out += [title for title, name, _ in shown if name == key]
        shown = [column for column in shown if column[1] != key]
    return shown, left_out


def _width(column: Column, rows: Sequence[dict[str, Any]]) -> int:
    """Its widest cell or its title; 0 where every cell is empty."""
    title, key, cell = column
    longest = max((len(cell(row[key])) for row in rows if key in row), default=0)
    if not longest:
        return 0
    return max(len(title), min(longest, WRAP_AT) if key in WRAPPED else longest)


def table(columns: Sequence[Column], rows: Sequence[dict[str, Any]]) -> Any:
    """A Rich table of these columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for title, key, _ in columns:
        numeric = all(_is_number(row.get(key)) for row in rows)
        made.add_column(title, justify="right" if numeric else "left", no_wrap=key not in WRAPPED, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell(row.get(key)) if key in row else "") for _, key, cell in columns))
    return made


def _is_number(value: Any) -> bool:
    if isinstance(value, int | float):
        return True
    try:
        float(value)
    except (TypeError, ValueError):
        return value is None
    return True


# ---- facts ----------------------------------------------------------------------------------------------------------


def _facts(console: Any, name: str, value: dict[str, Any]) -> None:
    from rich.text import Text

    if name:
        console.print(f"\n[bold]{name}[/bold]")
    rows = {k: v for k, v in value.items() if isinstance(v, list) and v and isinstance(v[0], dict)}
    nested = {k: v for k, v in value.items() if isinstance(v, dict) and v}
    for key, item in value.items():
        if key not in rows and key not in nested and item not in ({}, [], "", None):
            label, shown = _fact(key, item)
            console.print(Text(f"  {label:<24} {shown}"))
    for key, items in rows.items():
        console.print(f"\n[bold]{key}[/bold]")
        _print_table(console, key, items)
    for key, item in nested.items():
        _facts(console, f"{name}.{key}" if name else key, item)


def _fact(key: str, item: Any) -> tuple[str, str]:
    """(label, value) of one scalar; the unit moves from the name to the value."""
    if isinstance(item, bool):
        return key.replace("_", " "), "yes" if item else "no"
    if key.endswith("_ns") and isinstance(item, int):
        label = "time" if key == "ts_ns" else key.removesuffix("_ns").replace("_", " ")
        return label, f"{clock(item)} UTC" if item > 10**15 else f"{milliseconds(item)} ms"
    if key.endswith("_bps"):
        return key.removesuffix("_bps").replace("_", " "), f"{bps(item)} bps"
    shown = joined(item) if isinstance(item, list) else measured(item) if isinstance(item, float) else text(item)
    return key.replace("_", " "), shown
