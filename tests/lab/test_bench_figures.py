"""The stopwatch's arithmetic: what is a figure, what is a verdict, and what is neither."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tradeserver.core.intents import Intent, LegIntent, Sighting
from tradeserver.core.types import Side
from tradeserver.lab.bench import __main__ as tool
from tradeserver.lab.bench import one_leg, profile, versus
from tradeserver.lab.bench.figures import frame_to_last_send, writes_while_syncing
from tradeserver.lab.bench.table import TARGETS, Figures, Target, markdown, met, paste, percentile, rows
from tradeserver.lab.bench.trader import ORDER, STAGES, SYNC, WRITE

WANTED: dict[str, float | None] = {
    "tick_to_order_us.p50": 25, "tick_to_order_us.p99": 100, "tick_to_order_us.p999": 250,
    "tick_to_arbitrage_us.5k.p50": 40, "tick_to_arbitrage_us.5k.p99": 130, "tick_to_arbitrage_us.5k.p999": 300,
    "tick_to_arbitrage_us.2k.p50": 70, "tick_to_arbitrage_us.2k.p99": 200,
    "tick_to_arbitrage_us.tls.p50": 55, "tick_to_arbitrage_us.tls.p99": 170,
    "wire_to_wire_us.p50": 75, "wire_to_wire_us.p99": 250, "wire_to_wire_us.spin.p50": 35,
    "floor_ratio": 1.4, "depth_messages_per_s": 100_000, "orders_per_s": 20_000, "orders_core_share_pct": 60,
    "wal_write_us.p999": 200, "book_update_us.10": 5, "book_update_us.40": 12,
    "rss_mb.start": 90, "rss_mb.books": 120, "rss_mb.all": None, "rss_mb.growth": 1.0, "symbols_cost": 1.5,
}  # fmt: skip
"""What was asked for, by hand."""


def test_every_figure_has_the_target_that_was_asked_for() -> None:
    held = {target.key: target.limit for target in TARGETS}
    assert {key: held.get(key, "missing") for key in WANTED} == WANTED
    assert len(held) == len(TARGETS), "no key twice"
    more = {target.key for target in TARGETS if target.at_least}
    assert more == {"depth_messages_per_s", "orders_per_s"}


def test_percentiles() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert percentile(values, 0.5) == 51
    assert percentile(values, 0.99) == 100
    assert percentile(values, 0.999) == 100
    assert percentile([7.0], 0.5) == 7
    assert math.isnan(percentile([], 0.5))


@pytest.mark.parametrize(
    ("at_least", "value", "good"), [(False, 25.0, True), (False, 25.1, False), (True, 25.0, True), (True, 24.9, False)]
)
def test_a_target_is_met_at_its_limit(at_least: bool, value: float, good: bool) -> None:
    assert met(Target("latency", "x", "us", 25, at_least=at_least), value) is good
    assert met(Target("latency", "x", "us", None), value) is None


def test_a_figure_without_a_sample_is_not_measured() -> None:
    figures = Figures()
    figures.distribution("tick_to_order_us", [])
    figures.add("orders_per_s", 5.0, 0)
    assert {row.verdict for row in rows(figures, ["latency", "throughput"])} == {"not measured"}
    assert len(figures.warnings) == 4
    assert "| **not measured** |" in markdown(rows(figures, ["latency"]), "")


def test_the_median_of_the_rounds_counts() -> None:
    figures = Figures()
    for values in ([10.0], [90.0], [20.0]):
        figures.distribution("tick_to_order_us", values)
    row = rows(figures, ["latency"])[0]
    assert (row.value, row.runs, row.samples, row.verdict) == (20.0, (10.0, 90.0, 20.0), 3, "met")
    assert row.as_json()["conditions"]["rate_per_s"] == 5_000
    tls = next(target for target in TARGETS if target.key == "tick_to_arbitrage_us.tls.p50")
    assert tls.conditions.startswith("5k ticks/s, TLS, two legs")


def test_a_frame_counts_when_all_its_orders_left() -> None:
    samples = [ORDER, 1_000, 26_000, ORDER, 1_000, 41_000]  # 40 us
    samples += [ORDER, 50_000, 60_000]  # one leg only
    samples += [WRITE, 1_500, 2_000]
    samples += [ORDER, 99_000, 99_500, ORDER, 99_000, 99_900]  # after the block
    assert frame_to_last_send(samples, 500, 90_000, legs=2) == [40.0]
    assert frame_to_last_send(samples, 500, 90_000, legs=1) == [10.0]


def test_writes_are_those_that_met_a_sync() -> None:
    syncs = [(1_000, 5_000), (10_000, 12_000)]
    writes = {
        (500, 900): False,
        (900, 1_100): True,  # begins before it
        (2_000, 3_000): True,  # within
        (4_000, 6_000): True,  # ends after it
        (6_000, 9_000): False,
        (9_000, 13_000): True,  # around the second
        (13_000, 14_000): False,
    }
    samples = [word for begun, ended in writes for word in (WRITE, begun, ended)]
    samples += [word for begun, ended in syncs for word in (SYNC, begun, ended)]
    expected = [(ended - begun) / 1e3 for (begun, ended), meets in writes.items() if meets]
    assert writes_while_syncing(samples, 0) == expected
    assert writes_while_syncing(samples, 8_000) == [4.0]


def test_stages_add_up_to_the_whole() -> None:
    us = 1_000
    samples: list[int] = []
    for kind, begun, left in (
        (10, 1, 3), (11, 3, 8), (12, 8, 18), (13, 18, 24),
        (15, 26, 30), (ORDER, 0, 30), (15, 32, 37), (ORDER, 0, 37), (14, 25, 38),
        (10, 100, 150),  # a tick that did not trade
    ):  # fmt: skip
        samples += [kind, begun * us, left * us]
    found = {stage.name: stage.p50 for stage in profile.stages(samples, 0, 90 * us)}
    assert found[profile.NAMES[11]] == 5
    assert found[profile.NAMES[15]] == 9
    assert found[profile.NAMES[14]] == 12 - 9  # up to the last send's return
    assert found["frame to last send"] == 37
    assert sum(value for name, value in found.items() if name != "frame to last send") == 37
    assert profile.stages(samples, 200 * us, 300 * us) == []


def test_the_stages_are_where_the_stopwatch_looks() -> None:
    """Whoever renames one of these functions meets this test, not a figure that is silently gone."""
    assert set(STAGES) == set(profile.NAMES)
    for owner, name in STAGES.values():
        assert callable(vars(owner).get(name)), f"{owner.__name__}.{name}"


def test_the_one_leg_is_binances() -> None:
    legs = tuple(LegIntent(venue, side, 1.0, 1.0) for venue, side in (("kucoin", Side.BUY), ("binance", Side.SELL)))
    seen = Sighting("BTC/USDT", "kucoin", "binance", 40.0, 20.0, 1.0, intent=Intent("BTC/USDT", 1.0, legs))
    cut = one_leg._one(seen)
    assert cut.intent is not None
    assert cut.intent.legs == (legs[1],)
    assert one_leg._one(Sighting("BTC/USDT", "kucoin", "binance", 1.0, 1.0, 1.0)).intent is None


def test_tables_are_pasted_between_their_marks() -> None:
    text = "a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n"
    assert paste(text, "bench", "new") == "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb\n"
    assert paste(text, "stages", "new") == text


def content() -> dict[str, Any]:
    figures = Figures()
    figures.distribution("tick_to_order_us", [30.0])
    found = rows(figures, ["latency"])
    return {
        "machine": {"date": "2026-01-02", "cores": 2, "cpu": "C", "kernel": "K", "python": "3", "disk": "ext4",
                    "trader_cores": [1], "load_before": 0.5},
        "rounds": 3,
        "figures": [row.as_json() for row in found],
        "missed": [row.target.key for row in found if row.verdict == "missed"],
        "not_measured": [row.target.key for row in found if row.value is None],
        "warnings": ["something is doubtful"],
        "stages": [profile.Stage("decode", "C.decode", 4.0, 9.0).as_json()],
        "functions": [profile.Function("f", 10, 50.0).as_json()],
    }  # fmt: skip


def test_a_result_file_is_told_as_it_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = json.loads(json.dumps(content()))
    tool.tell(Console(width=200), held, None)
    told = capsys.readouterr().out
    for words in (
        "30.0 us",
        "missed",
        "not measured: ",
        "floor_us.p50",
        "something is doubtful",
        "C.decode",
        "2026-01-02",
    ):
        assert words in told
    document = tmp_path / "page.md"
    document.write_text("<!-- bench -->\n<!-- /bench -->\n<!-- stages -->\n<!-- /stages -->\n", "utf-8")
    tool.tell(Console(width=200), held, [document])
    text = document.read_text("utf-8")
    assert "| `tick_to_order_us.p50` | <= 25.0 us | 30.0 us | **missed** |" in text
    assert "| decode | `C.decode` | 4.00 | 9.00 |" in text


def test_others_are_compared_by_how_many_times_ours_they_take() -> None:
    figures = Figures()
    for one in versus.CONTENDERS:
        if one.key != "libraries_ws":
            figures.distribution(f"{one.key}.2000", [100.0 if one is versus.OURS else 410.0])
    found = {row["key"]: row for row in versus.results(figures, [2_000])}
    assert found["ccxt_rest"]["p50_ratio"] == pytest.approx(4.1)
    assert found["ccxt_rest"]["verdict"] == "met"
    assert (found["ccxt_rest"]["p50_target"], found["ccxt_rest"]["p99_target"]) == (4, 2)
    assert (found["libraries_rest"]["p50_target"], found["libraries_rest"]["p99_target"]) == (2, 2)
    assert found["libraries_ws"]["verdict"] == "not measured"
    figures.distribution("libraries_ws.2000", [199.0])
    assert versus.results(figures, [2_000])[-1]["verdict"] == "missed"


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--only", "nothing"], ["--unknown"]])
def test_a_wrong_command_line_is_told(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        tool.options().parse_args(words)
    assert ended.value.code == 2


def test_help_teaches() -> None:
    text = tool.options().format_help()
    assert "exit codes" in text
    assert "make bench ARGS=" in text
    assert "bench-peers" in versus.options().format_help()
