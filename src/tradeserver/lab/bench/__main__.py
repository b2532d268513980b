"""The stopwatch: every figure that is asked for, with its target, its conditions and a verdict.

    make bench                                              all of it, three rounds, about eight minutes
    make bench ARGS="--rounds 1 --only latency books"       one round of two runs
    make bench ARGS="--memory-messages 10000000"            memory over all ten million messages
    make bench ARGS="--markdown README.md docs/performance.md"
    make bench ARGS="--from build/bench.json --markdown README.md docs/performance.md"

The runs: latency (also the floor and the log), throughput, symbols, books, memory. The daemon is whole (its relay and
guard, a NATS server, log and journal on the disk) and has the last core for itself; a stub plays both venues on the
others. Nothing else should run on this machine. Where a target is missed the table is followed by where the time goes.

exit codes:
  0  every figure of the chosen runs was measured, whatever the verdicts
  1  a figure has no sample: the table says "not measured"
  2  the command line is wrong
  3  a process of the bench did not do its part; the message says which
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from tradeserver.lab.bench.figures import Bench
from tradeserver.lab.bench.table import Figures, Row, markdown, number, paste, rows, show
from tradeserver.lab.bench.world import CORES, TRADER_CORES, Peer, write_pem
from tradeserver.services.faults import OperatorError

BUSY = 4.0
"""A load average above it is not the bench's own."""
GROUPS = ("latency", "throughput", "symbols", "books", "memory")
STEPS = {"latency": 5, "throughput": 2, "symbols": 1, "books": 1}
"""Steps of one round: for the time that is left."""


def machine(folder: Path, nice: int) -> dict[str, Any]:
    """Where, when, and what else ran."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    disk = subprocess.run(["df", "--output=fstype", str(folder)], capture_output=True, text=True, check=False)
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu": model,
        "cores": len(CORES),
        "trader_cores": TRADER_CORES,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "disk": disk.stdout.split()[-1] if disk.stdout else "an unknown disk",
        "nice": nice,
        "load_before": os.getloadavg()[0],
    }


def sentence(about: dict[str, Any], rounds: int) -> str:
    """The conditions that every figure shares."""
    quiet = max(about["load_before"], about.get("load_after", 0.0))
    return (
        f"Measured on {about['date']}: {about['cores']} cores of {about['cpu']}, Linux {about['kernel']}, "
        f"Python {about['python']}, log on {about['disk']}, loopback; the daemon alone on core "
        f"{about['trader_cores'][-1]}, the stub on the rest. Medians of {rounds} round{'s' if rounds > 1 else ''}; "
        f"TLS off and loop not spinning unless said; load average of the machine {quiet:.1f}."
        + (" **It was busy with other work: times are too long, rates too low.**" if quiet > BUSY else "")
    )


class Progress:
    """One line before each step, with the time gone and the time left."""

    def __init__(self, console: Console, steps: int) -> None:
        self.prefix = ""
        self._console = console
        self._steps = steps
        self._done = 0
        self._begun = time.monotonic()

    def __call__(self, text: str) -> None:
        gone = time.monotonic() - self._begun
        left = f", about {gone / self._done * max(1, self._steps - self._done):.0f} s left" if self._done > 2 else ""
        self._done += 1
        self._console.print(f"{gone:4.0f} s{left}: {self.prefix}{text}", style="dim", highlight=False)


def options() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m tradeserver.lab.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS), help="these runs; default: all")
    made.add_argument("--rounds", type=_positive, default=3, help="of each run, taking turns; the median counts (3)")
    made.add_argument("--seconds", type=float, default=4.0, help="length of a paced block (4)")
    made.add_argument("--messages", type=_positive, default=60_000, help="of a flood (60000)")
    made.add_argument("--memory-messages", type=_positive, default=800_000, help="for the growth (800000)")
    made.add_argument("--nice", type=int, default=0, help="of daemon, floor and stub; below 0 needs privileges")
    made.add_argument("--json", type=Path, default=Path("build/bench.json"), help="result file (build/bench.json)")
    made.add_argument("--from", dest="source", type=Path, help="measure nothing: print what such a file holds")
    made.add_argument("--markdown", type=Path, nargs="*", help="print the table so, or put it into these files")
    made.add_argument("--profile", action="store_true", help="show where the time goes even if no target is missed")
    made.add_argument("--no-profile", action="store_true", help="never show it")
    return made


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def main() -> int:
    """The exit code: see the module."""
    chosen = options().parse_args()
    console = Console(width=190 if not sys.stdout.isatty() else None)
    if chosen.source is not None:
        content = json.loads(chosen.source.read_text("utf-8"))
        tell(console, content, chosen.markdown)
        return 0
    folder = Path("build/bench")
    folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=folder))
    about = machine(folder, chosen.nice)
    if about["load_before"] > 1.0:
        console.print(f"[yellow]this machine is busy (load {about['load_before']:.1f}): figures will be too high[/]")
    if about["disk"] in ("tmpfs", "ramfs"):
        console.print("[yellow]the log is not on a disk here: wal_write_us shows nothing[/]")
    steps = sum(STEPS.get(group, 0) for group in chosen.only) * chosen.rounds
    steps += chosen.memory_messages // 1_000_000 + 2 if "memory" in chosen.only else 0
    progress = Progress(console, steps)
    bench = Bench(folder, chosen.seconds, chosen.nice, progress)
    try:
        found, profile = _measure(bench, folder, chosen, progress)
    except OperatorError as error:
        console.print(f"[red]{error}[/]")
        return 3
    finally:
        bench.close()
        shutil.rmtree(folder, ignore_errors=True)
    about["load_after"] = os.getloadavg()[0]
    named = {row.target.key for row in found}
    content = {
        "machine": about,
        "rounds": chosen.rounds,
        "figures": [row.as_json() for row in found],
        "others": {key: values for key, values in bench.figures.values.items() if key not in named},
        "missed": [row.target.key for row in found if row.verdict == "missed"],
        "not_measured": [row.target.key for row in found if row.value is None],
        "warnings": bench.figures.warnings,
        **profile,
    }
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    tell(console, content, chosen.markdown)
    return 1 if content["not_measured"] else 0


def _measure(
    bench: Bench, folder: Path, chosen: argparse.Namespace, progress: Progress
) -> tuple[list[Row], dict[str, Any]]:
    """The rows, and where the time goes."""
    pem = folder / "server.pem"
    write_pem(pem)
    peers = [Peer(folder, 1, pem=pem, nice=chosen.nice)]
    try:
        if {"throughput", "memory"} & set(chosen.only):
            peers.append(Peer(folder, 41, nice=chosen.nice))
        if "symbols" in chosen.only:
            peers.append(Peer(folder, 300, nice=chosen.nice))
        for number_ in range(chosen.rounds):
            progress.prefix = f"round {number_ + 1} of {chosen.rounds}: "
            if "latency" in chosen.only:
                bench.latency(peers[0], pem)
            if "throughput" in chosen.only:
                bench.throughput(peers[1], chosen.messages)
            if "symbols" in chosen.only:
                bench.symbols(peers[0], peers[-1])
            if "books" in chosen.only:
                bench.books()
        progress.prefix = ""
        if "memory" in chosen.only:
            bench.memory(chosen.memory_messages)
        found = rows(bench.figures, chosen.only)
        return found, {} if chosen.no_profile else _profile(bench, found, peers, chosen.profile)
    finally:
        for peer in peers:
            peer.stop()


def _profile(bench: Bench, found: list[Row], peers: list[Peer], always: bool) -> dict[str, Any]:
    missed = {row.target.group for row in found if row.verdict == "missed"}
    profile: dict[str, Any] = {}
    if always or missed & {"latency", "symbols", "books"}:
        profile["stages"] = [stage.as_json() for stage in bench.stages(peers[0])]
    if len(peers) > 1 and (always or "throughput" in missed):
        profile["functions"] = [function.as_json() for function in bench.functions(peers[1])]
    return profile


def tell(console: Console, content: dict[str, Any], documents: list[Path] | None) -> None:
    """Print a result, or put it into documents."""
    found = restored(content)
    about = sentence(content["machine"], content["rounds"])
    table = markdown(found, about)
    where = stage_table(content.get("stages", []))
    if documents is None:
        show(console, found)
        console.print(about)
        _tell_profile(console, content)
    elif not documents:
        print(table, where, sep="\n\n")
    for document in documents or ():
        text = document.read_text("utf-8")
        text = paste(text, "bench", table)
        document.write_text(paste(text, "stages", where) if where else text, "utf-8")
        console.print(f"the table stands in {document}")
    for warning in content["warnings"]:
        console.print(f"[yellow]{warning}[/]")
    judged = sum(row.verdict in ("met", "missed") for row in found)
    console.print(f"{judged - len(content['missed'])} of {judged} targets are met.", highlight=False)
    if content["not_measured"]:
        console.print(f"[bold red]not measured: {', '.join(content['not_measured'])}[/]")


def restored(content: dict[str, Any]) -> list[Row]:
    """The rows of a result file, with the targets of this version."""
    held = {row["key"]: row for row in content["figures"]}
    found = []
    for row in rows(Figures(), GROUPS):
        one = held.get(row.target.key)
        if one is not None:
            found.append(Row(row.target, one["value"], tuple(one["runs"]), one["samples"], one["conditions"]["text"]))
    return found


def stage_table(stages: list[dict[str, Any]]) -> str:
    """Markdown; "" for nothing."""
    if not stages:
        return ""
    lines = ["| stage | function | p50 us | p99 us |", "|---|---|---|---|"]
    for stage in stages:
        place = f"`{stage['place']}`" if "." in stage["place"] else stage["place"]
        lines.append(f"| {stage['stage']} | {place} | {number(stage['p50_us'])} | {number(stage['p99_us'])} |")
    return "\n".join(lines)


def _tell_profile(console: Console, content: dict[str, Any]) -> None:
    if content.get("stages"):
        console.print("\nWhere the time of a tick goes (two legs, 5k ticks/s; timers cost some of it), p50 / p99 us:")
        for stage in content["stages"]:
            p50, p99 = number(stage["p50_us"]), number(stage["p99_us"])
            console.print(f"  {stage['stage']:38} {p50:>8} / {p99:<8} {stage['place']}", highlight=False)
    if content.get("functions"):
        console.print("\nWhere the time of a flood goes (one message in 4 trades; under Python's profiler), own time:")
        for one in content["functions"]:
            console.print(f"  {one['own_pct']:5.1f} %  {one['calls']:>9,} calls  {one['function']}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
