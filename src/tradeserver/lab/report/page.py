"""The report as one HTML page: figures as tables, plots inside it, nothing fetched from anywhere, no script."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tradeserver.core.types import plain
from tradeserver.lab.report import plots
from tradeserver.lab.report.figures import Figures, figures_of
from tradeserver.services.faults import OperatorError

DAYS_DRAWN: Final = 60
EXTRA: Final = "backtest.json"

STYLE: Final = """
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1d2730}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin-top:2rem;border-bottom:1px solid #cfd8de}
table{border-collapse:collapse;margin:.5rem 0}td,th{padding:.15rem .9rem .15rem 0;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}.loss{color:#b3362b}.gain{color:#1f7a4d}
img{max-width:100%;display:block;margin:.6rem 0}.cards{display:flex;flex-wrap:wrap;gap:.6rem}
.card{border:1px solid #cfd8de;border-radius:6px;padding:.5rem .9rem;min-width:8rem}
.card b{display:block;font-size:1.15rem}
small{color:#5b6b76}
"""


def write(state: Path, target: Path, run: str = "") -> None:
    """The page of one run. Raises OperatorError."""
    figures = figures_of(state, run)
    crossed: list[dict[str, Any]] = []
    if (state / EXTRA).exists() and not run:
        crossed = json.loads((state / EXTRA).read_text("utf-8")).get("crossed_seconds", [])
    text = page(figures, crossed)
    try:
        target.write_text(text, "utf-8")
    except OSError as error:
        raise OperatorError(f"{target} cannot be written: {error.strerror}") from None


def page(figures: Figures, crossed: list[dict[str, Any]]) -> str:
    """The whole document."""
    found = figures.summary()
    quote, curve = found["quote"], figures.equity()
    days = dict(list(found["by_day"].items())[-DAYS_DRAWN:])
    edge = found["edge"]
    costs = {f"{what} {k}": v for what in ("turnover", "fees") for k, v in found[what].items()}
    stages = [(s, v["p50"], v["p99"], v["count"]) for s, v in found["latency_us"].items()]
    title = f"{found['mode']} run {found['run']}"
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title><style>{STYLE}</style>",
        f"<h1>{html.escape(title)}</h1><small>{_when(found['first_ns'])} to {_when(found['last_ns'])} UTC, "
        f"{found['hours']} hours, commit {html.escape(found['commit'])}</small>",
        _cards(found),
        "<h2>Equity</h2>",
        _image(plots.equity(curve, quote), "profit over time"),
        _image(plots.drawdown(curve, quote), "drawdown over time"),
        "<h2>Profit and loss</h2>",
        _image(plots.bars(f"By day, {quote}", days), "profit by day"),
        _bars("strategy", found["by_strategy"], quote),
        _bars("symbol", found["by_symbol"], quote),
        _bars("venue (its fills, the rest at the last price)", found["by_venue"], quote),
        "<h2>From the expected to the realised edge</h2>",
        _image(plots.bars(f"Edge bridge of all trades, {quote}", _steps(edge)), "edge bridge"),
        _table(
            {"expected": found["edge"]["expected"], **found["edge"]["bridge"], "realised": found["edge"]["realised"]}
        ),
        "<h2>Trades</h2>",
        _table(found["trades"]),
        "<h2>Orders</h2>",
        _table(found["orders"]),
        "<h2>Risk and return</h2>",
        _table({**found["returns"], **{f"exposure {k}": v for k, v in found["exposure"].items()}}),
        "<h2>Turnover and fees</h2>",
        _table(costs),
        "<h2>Why opportunities were refused</h2>",
        _table(found["refusals"] or {"none": ""}),
        "<h2>Latency, us</h2>",
        _rows(("stage", "p50", "p99", "orders"), stages),
    ]
    if crossed:
        parts.append("<h2>Crossed after fees</h2>")
        rows = [(c["symbol"], c["buy_venue"], c["sell_venue"], c["crossed_seconds"]) for c in crossed]
        parts.append(_rows(("symbol", "buy at", "sell at", "seconds"), rows))
    parts.append("<p><small>Every figure is defined in docs/research.md.</small></p>")
    return "\n".join(parts)


def _cards(found: Mapping[str, Any]) -> str:
    quote, trades, ratios = found["quote"], found["trades"], found["returns"]
    shown = {
        f"profit, {quote}": found["profit"],
        "trades": trades["with_fills"],
        "win rate": _percent(trades["win_rate"]),
        f"average, {quote}": trades["average_profit"],
        "fill ratio": _percent(found["orders"]["fill_ratio"]),
        "order failures": _percent(found["orders"]["failure_rate"]),
        "Sharpe": ratios["sharpe"],
        "Sortino": ratios["sortino"],
        "max drawdown": _percent(ratios["max_drawdown"]),
    }
    cards = "".join(f"<div class=card><small>{html.escape(k)}</small><b>{_text(v)}</b></div>" for k, v in shown.items())
    return f"<div class=cards>{cards}</div>"


def _bars(name: str, values: Mapping[str, Decimal], quote: str) -> str:
    if not values:
        return ""
    drawn = {key: float(value) for key, value in sorted(values.items(), key=lambda item: -item[1])}
    return _image(plots.bars(f"By {name}, {quote}", drawn), f"profit by {name}")


def _steps(edge: Mapping[str, Any]) -> dict[str, float]:
    bridge = {key: float(value) for key, value in edge["bridge"].items()}
    return {"expected": float(edge["expected"]), **bridge, "realised": float(edge["realised"])}


def _image(png: bytes, words: str) -> str:
    return f'<img alt="{html.escape(words)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _table(values: Mapping[str, Any]) -> str:
    rows = []
    for key, value in values.items():
        shown = ", ".join(f"{k} {_text(v)}" for k, v in value.items()) if isinstance(value, Mapping) else _text(value)
        kind = "" if isinstance(value, Mapping) else f" class='n {_tone(value)}'"
        rows.append(f"<tr><td>{html.escape(key.replace('_', ' '))}<td{kind}>{shown}")
    return f"<table>{''.join(rows)}</table>"


def _rows(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    top = "".join(f"<th>{html.escape(h)}" for h in heads)
    body = "".join("<tr>" + "".join(f"<td class=n>{_text(cell)}" for cell in row) for row in rows)
    return f"<table><tr>{top}{body}</table>"


def _tone(value: Any) -> str:
    return "loss" if isinstance(value, Decimal | float) and value < 0 else ""


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value * 100:.2f} %"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Decimal):
        return plain(round(value, 4) if abs(value) >= Decimal("0.01") else round(value, 8))
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return html.escape(str(value))


def _when(ns: int) -> str:
    import time

    return time.strftime("%F %T", time.gmtime(ns // 1_000_000_000))
