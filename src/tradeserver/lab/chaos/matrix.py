"""The fault matrix: every row by number, and the pairs; a table for people, rows for programs.

Each case is a world of its own, so they run side by side in processes. `run` is what `tradeserver chaos` calls.
"""

from __future__ import annotations

import json
import os
import tempfile
import traceback
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from tradeserver.lab.chaos.pairs import PAIRS
from tradeserver.lab.chaos.rows import Drill, Row
from tradeserver.lab.chaos.scene import Case, Result, play
from tradeserver.lab.chaos.tier_a import TIER_A
from tradeserver.lab.chaos.tier_b import TIER_B
from tradeserver.lab.chaos.tier_c import TIER_C
from tradeserver.lab.chaos.tier_d import TIER_D
from tradeserver.services.faults import Exit

ROWS: Final[tuple[Row, ...]] = (*TIER_A, *TIER_B, *TIER_C, *TIER_D)
CASES: Final[tuple[Case | Drill, ...]] = (*(case for row in ROWS for case in row.cases), *PAIRS)
NOT_EXPRESSED: Final = "not expressed"


def wanted(rows: Collection[int], *, short: bool = False) -> list[int]:
    """The numbers of the cases of these rows (all where none is named); `short`: one case a row, and no pairs."""
    chosen = []
    seen: set[int] = set()
    for number, case in enumerate(CASES):
        pair = case.pair if isinstance(case, Case) else 0
        if (rows and case.row not in rows) or (short and (pair or case.row in seen)):
            continue
        seen.add(case.row)
        chosen.append(number)
    return chosen


def judge(number: int, seed: int = 1) -> Result:
    """One case, by its number in `CASES`. Whatever it raises is a verdict too."""
    case = CASES[number]
    try:
        return _drilled(case) if isinstance(case, Drill) else play(case, seed)
    except Exception:
        faults = case.fault if isinstance(case, Drill) else "; ".join(case.faults)
        return Result(
            row=case.row,
            pair=0,
            name=case.name,
            fault=faults,
            end="the harness failed",
            exposure=0.0,
            ledger_equal=False,
            recovered_s=-1.0,
            passed=False,
            why=traceback.format_exc()[-1500:],
        )


def _drilled(drill: Drill) -> Result:
    with tempfile.TemporaryDirectory(prefix="tradeserver-drill-") as folder:
        wrong = drill.run(Path(folder))
    return Result(
        row=drill.row,
        pair=0,
        name=drill.name,
        fault=drill.fault,
        end=drill.end,
        exposure=0.0,
        ledger_equal=True,
        recovered_s=0.0,
        passed=not wrong,
        why="; ".join(wrong[:5]),
    )


def run_cases(numbers: Sequence[int], seed: int, workers: int) -> list[Result]:
    """The verdicts, in the order of the cases."""
    if workers <= 1 or len(numbers) < 4:
        return [judge(number, seed) for number in numbers]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(judge, numbers, [seed] * len(numbers), chunksize=4))


def run(rows: Collection[int], seed: int, json_file: Path | None, workers: int = 0) -> int:
    """The verb; its exit code: 1 where a case failed."""
    console = Console(stderr=json_file is None and not os.isatty(1))
    results = run_cases(wanted(rows), seed, workers or os.cpu_count() or 1)
    console.print(table(results, rows))
    for row in ROWS:
        if row.later and (not rows or row.number in rows):
            what = "in part" if row.cases else "not expressed"
            console.print(f"[dim]row {row.number}, {what}: {row.later}[/]", soft_wrap=True)
    failed = [result for result in results if not result.passed]
    for result in failed:
        text = f"[red]FAIL[/] {_label(result)} {result.name}: {result.why} [dim]({result.fault})[/]"
        console.print(text, soft_wrap=True)
    console.print(f"{len(results) - len(failed)} of {len(results)} cases passed.")
    if json_file is not None:
        json_file.write_text(json.dumps(report(results, rows), indent=2) + "\n", "utf-8")
    return Exit.ERROR if failed else Exit.OK


def report(results: Iterable[Result], rows: Collection[int]) -> dict[str, Any]:
    """For programs: `rows`, one a case, and one for each row that has none."""
    found = [msgspec.to_builtins(result) for result in results]
    found += [
        {"row": row.number, "pair": 0, "name": row.title, "fault": "", "end": NOT_EXPRESSED, "exposure": 0.0}
        | {"ledger_equal": None, "recovered_s": 0.0, "passed": None, "why": row.later}
        for row in ROWS
        if not row.cases and (not rows or row.number in rows)
    ]
    found.sort(key=lambda one: (one["pair"] > 0, one["row"], one["pair"]))
    passed = [one["passed"] for one in found]
    return {"rows": found, "passed": passed.count(True), "failed": passed.count(False)}


def table(results: Sequence[Result], rows: Collection[int]) -> Table:
    """One line a row and a pair."""
    shown = Table(title="The fault matrix", title_justify="left", box=None, pad_edge=False)
    shown.add_column("row", justify="right", no_wrap=True)
    shown.add_column("what goes wrong", max_width=34, no_wrap=True)
    shown.add_column("passed", justify="right", no_wrap=True)
    shown.add_column("exposed", justify="right", no_wrap=True)
    shown.add_column("slowest", justify="right", no_wrap=True)
    shown.add_column("ends", no_wrap=True)
    for row in ROWS:
        own = [result for result in results if result.row == row.number and not result.pair]
        if own:
            shown.add_row(str(row.number), row.title, *_summed(own))
        elif not rows or row.number in rows:
            shown.add_row(str(row.number), row.title, "-", "", "", NOT_EXPRESSED)
    for one, two in dict.fromkeys((result.row, result.pair) for result in results if result.pair):
        own = [result for result in results if (result.row, result.pair) == (one, two)]
        shown.add_row(f"{one}x{two}", "both at once", *_summed(own))
    return shown


def _summed(results: Sequence[Result]) -> tuple[str, str, str, str]:
    passed = sum(result.passed for result in results)
    colour = "green" if passed == len(results) else "red"
    ends = ", ".join(sorted({result.end for result in results}))
    exposure = max(result.exposure for result in results)
    slowest = max(result.recovered_s for result in results)
    return f"[{colour}]{passed}/{len(results)}[/]", f"{exposure:.2f}", f"{slowest:.1f} s", ends


def _label(result: Result) -> str:
    return f"{result.row} x {result.pair}" if result.pair else str(result.row)
