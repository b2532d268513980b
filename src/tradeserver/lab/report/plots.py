"""The plots of a report, as PNG bytes. Needs the extra `research` (matplotlib); nothing is shown on a screen."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tradeserver.services.faults import OperatorError

UP, DOWN, INK = "#1f7a4d", "#b3362b", "#26465d"


def _axes(title: str, height: float = 2.6) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise OperatorError('plots need matplotlib: install the extra "tradeserver[research]"') from None
    figure = Figure(figsize=(9.0, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=10)
    axes.tick_params(labelsize=8)
    axes.grid(True, alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def equity(curve: Sequence[tuple[int, float]], quote: str) -> bytes:
    """Profit over time, as steps."""
    figure, axes = _axes(f"Profit since the beginning, {quote}")
    if curve:
        base = curve[0][1]
        axes.step([_time(ts) for ts, _ in curve], [v - base for _, v in curve], where="post", color=INK, linewidth=1.2)
    axes.axhline(0, color="black", linewidth=0.6)
    _plain(axes.yaxis)
    return _png(figure)


def drawdown(curve: Sequence[tuple[int, float]], quote: str) -> bytes:
    """How far below its height the equity stood."""
    figure, axes = _axes(f"Below the height so far, {quote}", 1.9)
    peak, falls = -float("inf"), []
    for _, value in curve:
        peak = max(peak, value)
        falls.append(value - peak)
    if falls:
        axes.fill_between([_time(ts) for ts, _ in curve], falls, 0, step="post", color=DOWN, alpha=0.6, linewidth=0)
    _plain(axes.yaxis)
    return _png(figure)


def bars(title: str, values: Mapping[str, float]) -> bytes:
    """One bar a name, from the top down; gains and losses apart by colour."""
    figure, axes = _axes(title, 0.9 + 0.28 * max(len(values), 1))
    names = list(values)
    axes.barh(names, [values[n] for n in names], color=[UP if values[n] >= 0 else DOWN for n in names], height=0.6)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.6)
    _plain(axes.xaxis)
    return _png(figure)


def heat(across: Any, down: Any, rows: Sequence[Sequence[float | None]], objective: str) -> bytes:
    """A heat map: one cell a pair of values, the figure written in it; grey where there is none."""
    figure, axes = _axes(f"{objective} by {across.key} and {down.key}", 1.2 + 0.45 * len(rows))
    nan = float("nan")
    image = axes.imshow([[nan if cell is None else cell for cell in row] for row in rows], aspect="auto", cmap="RdYlGn")
    axes.set_xticks(range(len(across.values)), across.values)
    axes.set_yticks(range(len(down.values)), down.values)
    axes.set_xlabel(across.key, fontsize=8)
    axes.set_ylabel(down.key, fontsize=8)
    axes.grid(False)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            axes.text(x, y, "" if cell is None else f"{cell:.4g}", ha="center", va="center", fontsize=7)
    figure.colorbar(image)
    return _png(figure)


def _plain(axis: Any) -> None:
    from matplotlib.ticker import ScalarFormatter

    plain = ScalarFormatter(useOffset=False)
    plain.set_scientific(False)
    axis.set_major_formatter(plain)


def _time(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9, UTC)
