"""Where the time goes: stages of the walk from a frame to its orders, and the functions of a flood.

`stages` reads the stopwatch's samples of a daemon that ran with "stages"; `functions` the counts of one that ran with
"profile". Both cost time themselves, so their sums lie above the figures of the table: they show shares.
"""

from __future__ import annotations

import pstats
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tradeserver.lab.bench.table import percentile
from tradeserver.lab.bench.trader import ORDER, STAGES

NAMES = {
    10: "journal the input",
    11: "decode, gap check",
    12: "book, strategy, risk, records",
    13: "encode the records, write the log",
    14: "encode both orders, order state",
    15: "send both orders",
}
"""What a stage is. 14 contains 15; what is left of the whole is the reactor and the socket's frame."""


@dataclass(frozen=True)
class Stage:
    """Microseconds of one order tick."""

    name: str
    place: str
    p50: float
    p99: float

    def as_json(self) -> dict[str, str | float]:
        """For build/bench.json."""
        return {"stage": self.name, "place": self.place, "p50_us": self.p50, "p99_us": self.p99}


def stages(samples: Sequence[int], since: int, until: int) -> list[Stage]:
    """Of the ticks that sent two orders between the two stamps: each stage, the rest, the whole. Empty: none did."""
    entered: dict[int, list[int]] = {}
    calls: list[tuple[int, int, int]] = []
    for at in range(0, len(samples), 3):
        kind, begun, left = samples[at : at + 3]
        if kind == ORDER and since <= begun <= until:
            entered.setdefault(begun, []).append(left)
        elif kind in STAGES:
            calls.append((begun, left, kind))
    calls.sort()
    spent: dict[int, list[float]] = {kind: [] for kind in STAGES}
    rest: list[float] = []
    whole: list[float] = []
    place = 0
    for frame in sorted(frame for frame, left in entered.items() if len(left) == 2):
        end = entered[frame][-1]
        sums = dict.fromkeys(STAGES, 0)
        while place < len(calls) and calls[place][0] < frame:
            place += 1
        while place < len(calls) and calls[place][0] <= end:
            begun, left, kind = calls[place]
            sums[kind] += min(left, end) - begun
            place += 1
        sums[14] -= sums[15]
        for kind, value in sums.items():
            spent[kind].append(value / 1e3)
        whole.append((end - frame) / 1e3)
        rest.append((end - frame - sum(sums.values())) / 1e3)
    if not whole:
        return []
    found = [_stage(NAMES[kind], f"{STAGES[kind][0].__name__}.{STAGES[kind][1]}", spent[kind]) for kind in STAGES]
    return [*found, _stage("reactor, frame", "the rest", rest), _stage("frame to last send", "the whole", whole)]


def _stage(name: str, place: str, values: Sequence[float]) -> Stage:
    return Stage(name, place, percentile(values, 0.5), percentile(values, 0.99))


@dataclass(frozen=True)
class Function:
    """One function's own time."""

    name: str
    calls: int
    own_pct: float  # of all functions' own time

    def as_json(self) -> dict[str, str | float]:
        """For build/bench.json."""
        return {"function": self.name, "calls": self.calls, "own_pct": self.own_pct}


def functions(file: Path, most: int = 20) -> list[Function]:
    """The dearest ones by their own time; none where no order left."""
    if file.stat().st_size < 10:  # an empty dict
        return []
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, object]]
    stats = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]
    total = sum(row[2] for row in stats.values())
    ordered = sorted(stats.items(), key=lambda item: -item[1][2])[:most]
    return [Function(_place(*where), row[1], 100 * row[2] / total) for where, row in ordered]


def _place(file: str, line: int, name: str) -> str:
    path = Path(file)
    if file == "~":
        return name
    parts = path.parts[path.parts.index("tradeserver") + 1 :] if "tradeserver" in path.parts else path.parts[-2:]
    return f"{'/'.join(parts)}:{line} {name}"
