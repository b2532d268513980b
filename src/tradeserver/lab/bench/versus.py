"""Against others: `make bench-peers`. The same feed and the same decision through us, ccxt.pro, and plain libraries.

    make bench-peers                                        three rounds at 2k and 5k ticks/s, about four minutes
    make bench-peers ARGS="--rounds 1 --rates 2000"
    make bench-peers ARGS="--markdown README.md docs/performance.md"

The contenders take turns in each round, each alone on the last core, against the same stub on the others, over
loopback without TLS, each on uvloop. The same frames at the same pace; two books with their sequence numbers checked;
one order at Binance each time that the edge appears (`bench/peers/rule.py`), an IOC that the stub lets expire. Measured
from before the stub's write of the tick to its read of the order. Orders travel by REST (what ccxt's `create_order`
does, and aiohttp) or by Binance's WebSocket API; tradeserver has one route, the WebSocket API, and is compared with
both. It alone logs, journals, checks its limits, and keeps a relay and a guard while it does so.

exit codes: 0 everything was measured, whatever the verdicts; 1 a contender sent no order; 2 wrong command line; 3 a
process did not do its part.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tradeserver.lab.bench.__main__ import Progress, machine, sentence
from tradeserver.lab.bench.figures import paced
from tradeserver.lab.bench.table import Figures, number, paste
from tradeserver.lab.bench.world import ONE_LEG, TRADER_CORES, Peer, Trader, nats
from tradeserver.lab.processes import Child
from tradeserver.services.faults import OperatorError


@dataclass(frozen=True)
class Contender:
    """`p50` and `p99`: how many times longer than ours it must take."""

    key: str
    name: str
    program: str  # in bench/peers; "" for ours
    route: str
    p50: float = 0.0
    p99: float = 0.0


OURS = Contender("tradeserver", "tradeserver", "", "ws")
CONTENDERS = (
    OURS,
    Contender("ccxt_rest", "ccxt.pro, create_order", "ccxt_pro.py", "rest", 4.0, 2.0),
    Contender("ccxt_ws", "ccxt.pro, create_order_ws", "ccxt_pro.py", "ws", 4.0, 2.0),
    Contender("libraries_rest", "websockets + orjson + aiohttp", "libraries.py", "rest", 2.0, 2.0),
    Contender("libraries_ws", "websockets + orjson, order by websockets", "libraries.py", "ws", 2.0, 2.0),
)


class Foreign:
    """One of the others as a process."""

    def __init__(self, one: Contender, python: Path, programs: Path, peer: Peer, folder: Path, nice: int) -> None:
        command = [str(python), str(programs / one.program), json.dumps(peer.ports), one.route]
        self.log = folder / f"{one.key}.log"
        self.log.unlink(missing_ok=True)
        self.child = Child(one.key, command, self.log)
        os.sched_setaffinity(self.child.process.pid, TRADER_CORES)
        os.setpriority(os.PRIO_PROCESS, self.child.process.pid, nice)
        end = time.monotonic() + 60.0
        while "ready" not in self.child.tail():
            self.child.require_running()
            if time.monotonic() > end:
                self.stop()
                raise OperatorError(f"{one.name} was not ready within 60 s:\n{self.child.tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """It holds nothing."""
        if self.child.running:
            self.child.process.send_signal(signal.SIGKILL)
        self.child.process.wait()


class Match:
    """One sitting."""

    def __init__(self, chosen: argparse.Namespace, folder: Path, say: Progress) -> None:
        self.chosen = chosen
        self.folder = folder
        self.say = say
        self.figures = Figures()
        self._number = 0
        self._nats, self._nats_port = nats(folder)
        self.peer = Peer(folder, nice=chosen.nice)

    def close(self) -> None:
        """All that was started."""
        self.peer.stop()
        self._nats.stop()

    def bout(self, one: Contender) -> None:
        """One contender's turn, at every rate."""
        self.say(one.name)
        contender = self._start(one)
        try:
            for rate in self.chosen.rates:
                paced(self.peer, rate, self.chosen.seconds / 2, expire=True)
                block = paced(self.peer, rate, self.chosen.seconds, expire=True)
                self.figures.distribution(f"{one.key}.{rate}", [value / 1e3 for value in block["latencies"]])
                if len(block["latencies"]) < 0.5 * block["triggers"]:
                    self.figures.warnings.append(
                        f"{one.name}, {rate}/s: {len(block['latencies'])} of {block['triggers']} ticks gave an order"
                    )
        finally:
            contender.stop()

    def _start(self, one: Contender) -> Trader | Foreign:
        if one.program:
            return Foreign(one, self.chosen.python, self.chosen.programs, self.peer, self.folder, self.chosen.nice)
        self._number += 1
        folder = self.folder / f"trader-{self._number}"
        return Trader(folder, self.peer, self._nats_port, nice=self.chosen.nice, strategy=ONE_LEG)


def results(figures: Figures, rates: list[int]) -> list[dict[str, Any]]:
    """One row for each contender and rate: its times, how many times ours, the targets, the verdict."""
    found = []
    for rate in rates:
        for one in CONTENDERS:
            row: dict[str, Any] = {"key": one.key, "name": one.name, "route": one.route, "rate_per_s": rate}
            row["samples"] = sum(figures.samples.get(f"{one.key}.{rate}.p50", ()))
            good = True
            for rank in ("p50", "p99"):
                value, ours = (figures.median(f"{key}.{rate}.{rank}") for key in (one.key, OURS.key))
                row[rank] = value
                row[f"{rank}_runs"] = figures.values.get(f"{one.key}.{rate}.{rank}", [])
                row[f"{rank}_ratio"] = value / ours if value and ours else None
                row[f"{rank}_target"] = getattr(one, rank)
                good = good and (row[f"{rank}_ratio"] or 0.0) >= row[f"{rank}_target"]
            measured = row["p50"] is not None and row["p50_ratio"] is not None
            row["verdict"] = "not measured" if not measured else "" if one is OURS else "met" if good else "missed"
            found.append(row)
    return found


HEADS = ("contender", "orders by", "ticks/s", "wire to wire p50 / p99 us", "times ours, p50 / p99", "target", "verdict")


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A row as text."""
    ours = row["key"] == OURS.key
    pair = "-" if row["p50"] is None else f"{number(row['p50'])} / {number(row['p99'])}"
    ratio = "-" if row["p50_ratio"] is None else f"{row['p50_ratio']:.1f} / {row['p99_ratio']:.1f}"
    target = "" if ours else f"{row['p50_target']:g} / {row['p99_target']:g}"
    route = {"rest": "REST", "ws": "WebSocket"}[row["route"]]
    return row["name"], route, f"{row['rate_per_s']:,}", pair, "" if ours else ratio, target, row["verdict"]


def tell(console: Console, content: dict[str, Any], documents: list[Path] | None) -> None:
    """On the terminal, as markdown, or into documents."""
    about = sentence(content["machine"], content["rounds"])
    rows = [cells(row) for row in content["rows"]]
    lines = ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|", *("| " + " | ".join(r) + " |" for r in rows)]
    text = "\n".join([about, "", *lines])
    if documents is None:
        table = Table(title="make bench-peers", title_justify="left")
        for head in HEADS:
            table.add_column(head)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        console.print(about)
    elif not documents:
        print(text)
    for document in documents or ():
        document.write_text(paste(document.read_text("utf-8"), "peers", text), "utf-8")
        console.print(f"the table stands in {document}")
    for warning in content["warnings"]:
        console.print(f"[yellow]{warning}[/]")


def options() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(
        prog="python -m tradeserver.lab.bench.versus", description=__doc__, formatter_class=raw
    )
    made.add_argument("--python", type=Path, default=Path(".venv-peers/bin/python"), help="of the others' environment")
    made.add_argument("--programs", type=Path, default=Path("bench/peers"), help="the others' programs")
    made.add_argument("--rounds", type=int, default=3, help="of all contenders, taking turns; the median counts (3)")
    made.add_argument("--seconds", type=float, default=4.0, help="length of a paced block (4)")
    made.add_argument("--rates", type=int, nargs="+", default=[2_000, 5_000], help="ticks a second (2000 5000)")
    made.add_argument("--nice", type=int, default=0, help="of contenders and stub; below 0 needs privileges")
    made.add_argument("--json", type=Path, default=Path("build/bench-peers.json"), help="result file")
    made.add_argument("--from", dest="source", type=Path, help="measure nothing: print what such a file holds")
    made.add_argument("--markdown", type=Path, nargs="*", help="print the table so, or put it into these files")
    return made


def main() -> int:
    """The exit code: see the module."""
    chosen = options().parse_args()
    console = Console(width=190 if not sys.stdout.isatty() else None)
    if chosen.source is not None:
        tell(console, json.loads(chosen.source.read_text("utf-8")), chosen.markdown)
        return 0
    if not chosen.python.exists():
        console.print(f"[red]{chosen.python} is not there: make bench-peers builds the others' environment[/]")
        return 2
    base = Path("build/bench")
    base.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=base))
    about = machine(folder, chosen.nice)
    say = Progress(console, chosen.rounds * len(CONTENDERS))
    match = Match(chosen, folder, say)
    try:
        for turn in range(chosen.rounds):
            say.prefix = f"round {turn + 1} of {chosen.rounds}: "
            for one in CONTENDERS:
                match.bout(one)
    except OperatorError as error:
        console.print(f"[red]{error}[/]")
        return 3
    finally:
        match.close()
        shutil.rmtree(folder, ignore_errors=True)
    about["load_after"] = os.getloadavg()[0]
    rows = results(match.figures, chosen.rates)
    content = {"machine": about, "rounds": chosen.rounds, "rows": rows, "warnings": match.figures.warnings}
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    tell(console, content, chosen.markdown)
    return 1 if any(row["verdict"] == "not measured" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
