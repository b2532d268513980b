"""`make bench`: all figures, printed with their targets and conditions and written to build/bench.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from tradeserver.lab.bench.figures import Bench
from tradeserver.lab.bench.table import TARGETS, medians, met, show
from tradeserver.lab.bench.world import CORES, Peer, write_pem


def machine() -> dict[str, str | int | float]:
    """Where and when."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu": model,
        "cores": len(CORES),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def main() -> int:
    """0: everything was measured, whatever the figures say."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=4.0, help="length of a paced block")
    options.add_argument("--messages", type=int, default=100_000, help="of a flood")
    options.add_argument("--memory-messages", type=int, default=1_000_000)
    options.add_argument("--nice", type=int, default=0, help="of daemon, floor and peer; below 0 needs privileges")
    options.add_argument("--only", nargs="*", default=[], help="latency throughput memory symbols books")
    options.add_argument("--json", type=Path, default=Path("build/bench.json"))
    chosen = options.parse_args()
    console = Console(width=170 if not sys.stdout.isatty() else None)
    about = machine() | {"nice": chosen.nice}
    console.print(f"{about}; two processes share {len(CORES)} cores with whatever else runs on this host")
    folder = Path(tempfile.mkdtemp(prefix="tradeserver-bench-"))
    bench = Bench(folder, chosen.seconds, chosen.nice, lambda text: console.print(f"  {text}", style="dim"))

    def wanted(name: str) -> bool:
        return not chosen.only or name in chosen.only

    try:
        _measure(bench, folder, chosen, wanted, console)
    finally:
        bench.close()
        shutil.rmtree(folder, ignore_errors=True)
    about["load_after"] = os.getloadavg()[0]
    show(console, bench.figures, bench.notes)
    middle = medians(bench.figures)
    missed = [t.key for t in TARGETS if t.key in middle and met(t, middle[t.key]) is False]
    console.print(
        f"{len(missed)} of {sum(t.key in middle and t.limit is not None for t in TARGETS)} targets are missed"
    )
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": about, "medians": middle, "runs": bench.figures, "missed": missed}
    chosen.json.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    return 0


def _measure(
    bench: Bench, folder: Path, chosen: argparse.Namespace, wanted: Callable[[str], bool], console: Console
) -> None:
    pem = folder / "server.pem"
    write_pem(pem)
    one, several, many = Peer(folder, 1, pem=pem, nice=chosen.nice), None, None
    try:
        if wanted("throughput"):
            several = Peer(folder, 41, nice=chosen.nice)
        if wanted("symbols"):
            many = Peer(folder, 300, nice=chosen.nice)
        for number in range(chosen.rounds):
            console.print(f"round {number + 1} of {chosen.rounds}")
            if wanted("latency"):
                bench.latency(one, pem)
            if several is not None:
                bench.throughput(several, chosen.messages)
            if many is not None:
                bench.symbols(one, many)
            if wanted("books"):
                bench.books()
        if wanted("memory"):
            bench.memory(folder, chosen.memory_messages)
    finally:
        for peer in (one, several, many):
            if peer is not None:
                peer.stop()


if __name__ == "__main__":
    sys.exit(main())
