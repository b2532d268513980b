"""Sweeps: one backtest for each point of a grid, or of a random sample of it, over all cores; and a walk forward.

Every point is the backtest's own file with some keys changed, in a process of its own; what it came to is the report's
figures. A walk forward cuts the time into equal parts, runs every point on each, and trades in each part but the first
with the point that was best in the part before: what that earns is what the choice would have earned, not what it
explains. The best point of a grid is the luckiest one too; the table says how many were tried.
"""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.core.types import plain
from tradeserver.lab.backtest.settings import SECOND_NS, BacktestFile, load
from tradeserver.services.faults import ConfigError

OBJECTIVES: Final = ("profit", "sharpe", "sortino", "average_profit", "win_rate")
MOST: Final = 100_000

Say = Callable[[int, int, float], None]


class Axis(msgspec.Struct, frozen=True):
    """One key and the values that it takes, as text."""

    key: str
    values: tuple[str, ...]


class Point(msgspec.Struct):
    """What one point came to, over all of the time."""

    values: dict[str, str]
    profit: Decimal
    trades: int
    win_rate: float | None
    average_profit: Decimal | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    parts: list[float | None] = []  # the objective in each part of a walk forward

    def score(self, objective: str) -> float | None:
        """The figure to be made large."""
        value = getattr(self, objective)
        return None if value is None else float(value)


class Step(msgspec.Struct):
    """One step of a walk forward: chosen on the part before, then traded."""

    part: int
    chosen: dict[str, str]
    in_sample: float | None
    out_of_sample: float | None


class Swept(msgspec.Struct):
    """Everything that a sweep found."""

    objective: str
    axes: list[Axis]
    points: list[Point]  # best first
    walk: list[Step]
    workers: int
    wall_s: float


def axis(text: str) -> Axis:
    """`KEY=1,2,3` or `KEY=FROM:TO:STEP` (both ends included). Raises ConfigError."""
    key, equals, values = text.partition("=")
    if not equals or not key.strip() or not values.strip():
        raise ConfigError(f"--vary {text!r}: write section.key=1,2,3 or section.key=from:to:step")
    if values.count(":") == 2:
        try:
            first, last, step = (Decimal(part) for part in values.split(":"))
        except InvalidOperation:
            raise ConfigError(f"--vary {text!r}: from, to and step must be numbers") from None
        if step <= 0 or last < first or (last - first) / step > MOST:
            raise ConfigError(f"--vary {text!r}: step must be above zero and lead from the first to the last")
        count = int((last - first) / step) + 1
        return Axis(key.strip(), tuple(plain(first + n * step) for n in range(count)))
    return Axis(key.strip(), tuple(value.strip() for value in values.split(",")))


def points(axes: Sequence[Axis], sample: int, seed: int) -> list[dict[str, str]]:
    """The whole grid in order; or `sample` different points of it, by dice. Raises ConfigError."""
    size = 1
    for each in axes:
        size *= len(each.values)
    if sample and sample < size:
        dice = random.Random(seed)
        return [_point(axes, number) for number in sorted(dice.sample(range(size), sample))]
    if size > MOST:
        raise ConfigError(f"{size:,} points are too many: take a sample of them with --random")
    return [_point(axes, number) for number in range(size)]


def _point(axes: Sequence[Axis], number: int) -> dict[str, str]:
    chosen = {}
    for each in reversed(axes):
        number, place = divmod(number, len(each.values))
        chosen[each.key] = each.values[place]
    return {each.key: chosen[each.key] for each in axes}


def sweep(
    path: Path,
    changes: Sequence[str],
    axes: Sequence[Axis],
    *,
    sample: int = 0,
    seed: int = 1,
    objective: str = "profit",
    parts: int = 0,
    workers: int = 0,
    scratch: Path,
    progress: Say = lambda done, total, rate: None,
) -> Swept:
    """Run all of it. Raises OperatorError."""
    from tradeserver.lab.backtest.run import open_data

    wanted = points(axes, sample, seed)
    first = load(path, [*changes, *_changes(wanted[0])])
    for each in axes:  # a key that is not there is said before any process starts
        for value in each.values:
            load(path, [*changes, f"{each.key}={value}"])
    sets = open_data(first, scratch)
    spans = _spans(first, sets, parts) if parts else []
    folders = [str(each.directory.resolve()) for each in sets]
    jobs = [(path, [*changes, *_changes(point)], folders, span) for point in wanted for span in [None, *spans]]
    workers = workers or len(os.sched_getaffinity(0))
    began = time.perf_counter()
    found: list[dict[str, Any]] = []
    for answer in _each(jobs, workers):
        found.append(answer)
        progress(len(found), len(jobs), len(found) / (time.perf_counter() - began))
    wide = 1 + len(spans)
    made = []
    for n, values in enumerate(wanted):
        whole, *cut = found[n * wide : (n + 1) * wide]
        point = Point(values, **whole)
        point.parts = [Point(values, **each).score(objective) for each in cut]
        made.append(point)
    made.sort(key=lambda point: -_or_least(point.score(objective)))
    return Swept(objective, list(axes), made, _walk(made, len(spans)), workers, round(time.perf_counter() - began, 3))


def _changes(point: dict[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in point.items()]


def _or_least(value: float | None) -> float:
    return float("-inf") if value is None else value


def _spans(file: BacktestFile, sets: Sequence[Any], parts: int) -> list[tuple[int, int]]:
    """Equal parts of the time that the data cover, whole seconds."""
    from tradeserver.runtime.datasets import DataSet

    if parts < 2:
        raise ConfigError("--walk-forward: a walk takes two parts at least: one to choose on, one to trade")
    first, last = file.start_ns, file.end_ns
    for each in sets:
        stamps = [event.ts for event in itertools.islice(DataSet(each.directory).events(), 1)]
        first = first or min(stamps, default=0)
        last = last or max((event.ts for event in DataSet(each.directory).events()), default=0)
    edges = [(first + (last - first) * n // parts) // SECOND_NS * SECOND_NS for n in range(parts)]
    return list(itertools.pairwise([*edges, (last // SECOND_NS + 1) * SECOND_NS]))


def _walk(made: Sequence[Point], parts: int) -> list[Step]:
    steps = []
    for part in range(1, parts):
        best = max(made, key=lambda point: _or_least(point.parts[part - 1]))
        steps.append(Step(part + 1, best.values, best.parts[part - 1], best.parts[part]))
    return steps


# ---- one point, in its own process -----------------------------------------------------------------------------------

Job = tuple[Path, list[str], list[str], "tuple[int, int] | None"]


def _each(jobs: Sequence[Job], workers: int) -> Iterator[dict[str, Any]]:
    """The answers in the order of the jobs."""
    if workers == 1:
        yield from map(one, jobs)
        return
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(one, jobs)


def one(job: Job) -> dict[str, Any]:
    """The figures of one point over one span."""
    from tradeserver.core.records import Record
    from tradeserver.lab.backtest.run import NoRecords, open_data, play
    from tradeserver.lab.report.figures import Figures

    path, changes, folders, span = job
    file = load(path, changes)
    settings = dataclasses.replace(file.settings, data=tuple(folders), crossed=False)
    start_ns, end_ns = span or (file.start_ns, file.end_ns)
    file = dataclasses.replace(file, settings=settings, start_ns=start_ns, end_ns=end_ns)
    figures = Figures()

    def keep(records: Sequence[Record]) -> None:
        for record in records:
            figures.add(record)

    play(file, open_data(file, Path(folders[0])), NoRecords(), keep=keep)
    found = figures.summary()
    return {
        "profit": found["profit"],
        "trades": found["trades"]["with_fills"],
        "win_rate": found["trades"]["win_rate"],
        "average_profit": found["trades"]["average_profit"],
        "sharpe": found["returns"]["sharpe"],
        "sortino": found["returns"]["sortino"],
        "max_drawdown": found["returns"]["max_drawdown"],
    }


# ---- shown -----------------------------------------------------------------------------------------------------------


def matrix(found: Swept) -> tuple[Axis, Axis, list[list[float | None]], str]:
    """The best score for each pair of values of the first two keys (the second key down). Raises ConfigError."""
    if len(found.axes) < 2:
        raise ConfigError("a heat map needs two keys: give --vary twice")
    across, down = found.axes[:2]
    best: dict[tuple[str, str], float] = {}
    for point in found.points:
        score = point.score(found.objective)
        place = (point.values[down.key], point.values[across.key])
        if score is not None:
            best[place] = max(best.get(place, score), score)
    rows: list[list[float | None]] = [[best.get((d, a)) for a in across.values] for d in down.values]
    return across, down, rows, found.objective


def shown(found: Swept, most: int = 20) -> dict[str, Any]:
    """For people: how many were tried, the best, the walk, and the heat map in figures."""
    head = {"points": len(found.points), "objective": found.objective, "workers": found.workers, "wall_s": found.wall_s}
    keys = ("profit", "trades", "win_rate", "average_profit", "sharpe", "sortino", "max_drawdown")
    answer: dict[str, Any] = {
        **head,
        "best": [{**point.values, **{key: getattr(point, key) for key in keys}} for point in found.points[:most]],
    }
    if found.walk:
        answer["walk_forward"] = [
            {"part": s.part, **s.chosen, "in_sample": s.in_sample, "out_of_sample": s.out_of_sample} for s in found.walk
        ]
    if len(found.axes) >= 2:
        across, down, rows, _ = matrix(found)
        answer["heat_map"] = [
            {down.key: value, **{f"{across.key}={a}": cell for a, cell in zip(across.values, row, strict=True)}}
            for value, row in zip(down.values, rows, strict=True)
        ]
    return answer
