"""The day's profit as a picture: one panel a quote asset, PNG. matplotlib is loaded when the first one is drawn."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tradeserver.services.alerting.summary import DAY_NS, SECOND_NS, Day

MOST_PANELS: Final = 4


def draw(day: Day) -> bytes:
    """PNG, or b"" where there is nothing to draw or matplotlib is not installed. Blocks."""
    if not day.curves:
        return b""
    try:
        from matplotlib import dates as matplotlib_dates
        from matplotlib.figure import Figure
    except ImportError:
        return b""
    dates: Any = matplotlib_dates  # not typed
    panels = list(day.curves.items())[:MOST_PANELS]
    figure = Figure(figsize=(8, 2.6 * len(panels) + 0.6), layout="constrained")
    figure.suptitle(f"Profit and loss, {day.name} (UTC)")
    begins = datetime.fromtimestamp(day.begins // SECOND_NS, UTC)
    for n, (asset, curve) in enumerate(panels):
        axes: Any = figure.add_subplot(len(panels), 1, n + 1)
        times = [begins + timedelta(microseconds=(ts - day.begins) // 1_000) for ts, _ in curve]
        amounts = [amount for _, amount in curve]
        colour = "#1a7f37" if amounts[-1] >= 0 else "#c0392b"
        axes.plot(times, amounts, color=colour, linewidth=1.4)
        axes.fill_between(times, amounts, 0, color=colour, alpha=0.12)
        axes.axhline(0, color="#888888", linewidth=0.8)
        axes.set_ylabel(asset)
        axes.set_xlim(begins, begins + timedelta(microseconds=DAY_NS // 1_000))
        axes.xaxis.set_major_locator(dates.HourLocator(byhour=range(0, 24, 3)))
        axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
        axes.grid(alpha=0.25)
        axes.annotate(
            f"{amounts[-1]:+,.2f}",
            (times[-1], amounts[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            color=colour,
            fontweight="bold",
            va="center",
            annotation_clip=False,
        )
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
