"""`tradeserver demo`: the whole house on one laptop, without keys or network, and a live picture of it.

Starts a NATS server, the simulator (Binance and KuCoin on loopback) and the daemon with its relay, as real processes;
follows the write-ahead log and the control socket; at the end stops all of it in order, compares the daemon's
ledger with the simulator's accounts to the last digit and sums up. Exit 0 only if the ledgers are equal, nothing is
open, there were fills and, on the default market, at least three arbitrages were completed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.live import Live

from tradeserver.core.desk import Desk
from tradeserver.core.ids import ClientIds
from tradeserver.core.market import Market, MarketLimits
from tradeserver.core.types import ZERO, plain
from tradeserver.lab.processes import Child, Simulator, free_port, start_daemon, start_nats, write_config
from tradeserver.lab.tally import Tally
from tradeserver.lab.view import amounts, picture, summary_table
from tradeserver.runtime.wal_read import Tail, read
from tradeserver.services import layout
from tradeserver.services.control import ask
from tradeserver.services.faults import Exit, NotRunningError, OperatorError
from tradeserver.services.messages import public

PERIOD_S = 0.25
LINE_EVERY_S = 5.0
ARBITRAGES_WANTED = 3
MORE = """\
# Participants of the simulated market take a leg now and then: the demo goes on.
[breakers]
one_sided_limit = 0
[losses]
streak = 0
"""


@dataclass(frozen=True)
class DemoOptions:
    """What may be asked of a demo."""

    duration_s: float = 0.0  # 0: until Ctrl-C
    json_file: Path | None = None
    folder: Path | None = None  # None: a temporary one, removed after a good end
    seed: int = 1
    faults: Sequence[str] = ()
    plain: bool = False
    simulator_config: Path | None = None  # None: the default market
    capital: float = 0.0  # USDT over both venues, with limits as they are by default; 0: ample balances, wide breakers
    simulator_words: Sequence[str] = ()  # more of its command line


@dataclass
class World:
    """All processes of one demo. `folder` holds their state and output."""

    folder: Path
    simulator: Simulator
    nats: Child
    nats_url: str
    config: Path
    daemon: Child
    tally: Tally = field(default_factory=Tally)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def status(self) -> dict[str, Any]:
        """The daemon's own answer; {} while it does not listen."""
        try:
            answer: dict[str, Any] = ask(layout.control(self.state), "status", timeout_s=2.0)
        except (NotRunningError, OperatorError):
            return {}
        return answer

    def close(self) -> tuple[int, dict[str, Any]]:
        """The daemon ends in order, then the rest: its exit code, and the simulator's accounts as they then were."""
        try:
            code = self.daemon.stop(30.0)
            state: dict[str, Any] = self.simulator.get("/state")
            (self.folder / "simulator.json").write_text(json.dumps(state, indent=2) + "\n", "utf-8")
            return code, state
        finally:
            self.simulator.child.stop()
            self.nats.stop()


def start(options: DemoOptions, folder: Path) -> World:
    """Everything up, in the order of need."""
    words = ["--seed", str(options.seed), *options.simulator_words]
    for fault in options.faults:
        words += ["--fault", fault]
    if options.capital:
        words += ["--capital", repr(options.capital)]
    if options.simulator_config is not None:
        words = [str(options.simulator_config), *words]
    nats_port = free_port()
    nats = start_nats(folder, nats_port)
    simulator = None
    try:
        simulator = Simulator(folder, words)
        config = write_config(folder, simulator.urls, nats_port, more="" if options.capital else MORE)
        return World(folder, simulator, nats, f"nats://127.0.0.1:{nats_port}", config, start_daemon(folder, config))
    except BaseException:
        if simulator is not None:
            simulator.child.stop()
        nats.stop()
        raise


def run(options: DemoOptions) -> int:
    """The verb; its exit code."""
    console = Console(stderr=options.json_file is None and not sys.stdout.isatty())
    folder = options.folder or Path(tempfile.mkdtemp(prefix="tradeserver-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    stopping = _Interrupt()
    console.print(f"[bold]tradeserver demo[/] in {folder}: NATS, simulator, daemon, relay. Ctrl-C ends it.")
    with stopping:
        world = start(options, folder)
        try:
            _watch(world, options, console, stopping)
        except BaseException:
            world.close()
            raise
        code, state = world.close()
    summary = conclude(world, state, code)
    console.print(summary_table(summary))
    if options.json_file is not None:
        options.json_file.write_text(json.dumps(public(summary), indent=2) + "\n", "utf-8")
    good = verdict(summary, default_market=options.simulator_config is None and not options.faults)
    for line in good:
        console.print(f"[red]{line}[/]")
    if good:
        console.print(f"Everything is kept in {folder} (daemon.log, simulator.log, state/).")
        return Exit.ERROR
    if options.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return Exit.OK


class _Interrupt:
    """Ctrl-C and SIGTERM set a mark while this is open; the children, in sessions of their own, see neither."""

    def __init__(self) -> None:
        self.asked = False
        self._old: dict[int, Any] = {}

    def __enter__(self) -> _Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._old[number] = signal.signal(number, self._mark)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _mark(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def _watch(world: World, options: DemoOptions, console: Console, stopping: _Interrupt) -> None:
    """Follow the log until the end that was asked for."""
    tail = Tail(layout.wal(world.state), synced_only=False)
    end = time.monotonic() + options.duration_s if options.duration_s else float("inf")
    live = Live(console=console, refresh_per_second=8, screen=False, transient=True)
    shown = console.is_terminal and not options.plain
    next_line = time.monotonic() + LINE_EVERY_S
    try:
        if shown:
            live.start()
        while not stopping.asked and time.monotonic() < end:
            for _, record in tail.poll(5_000):
                world.tally.add(record)
            world.daemon.require_running()
            if shown:
                live.update(picture(world.status(), world.tally, console.height - 1))
            elif time.monotonic() >= next_line:
                next_line += LINE_EVERY_S
                _line(console, world.tally)
            time.sleep(PERIOD_S)
    finally:
        if shown:
            live.stop()
        tail.close()


def _line(console: Console, tally: Tally) -> None:
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in tally.outcomes.items())
    console.print(
        f"{tally.sighted} opportunities, {tally.opened} arbitrages ({outcomes or 'none closed'}), {tally.fills} fills, "
        f"profit {amounts(tally.profit()) or '0'}",
        soft_wrap=True,
    )


# ---- the end ---------------------------------------------------------------------------------------------------------


def conclude(world: World, simulator_state: dict[str, Any], code: int) -> dict[str, Any]:
    """The summary, from the whole log and the simulator's accounts."""
    tally = Tally()
    desk = Desk(Market(MarketLimits()), ClientIds("D0", "demo", 0))
    for _, record in read(layout.wal(world.state)):
        desk.apply(record)
        tally.add(record)
    summary = tally.summary()
    differences = compare(desk, simulator_state)
    summary["ledger_equal"] = not differences
    summary["ledger_differences"] = differences
    summary["exposure"] = dict(desk.dust)
    theirs = [a["open_orders"] for v in simulator_state["venues"].values() for a in v["accounts"].values()]
    summary["open_orders"] = len(desk.orders.live) + sum(map(len, theirs))
    summary["open_arbitrages"] = len(desk.arbitrages)
    summary["daemon_exit_code"] = code
    return summary


def compare(desk: Desk, simulator_state: dict[str, Any]) -> list[dict[str, str]]:
    """Every asset whose totals differ between the daemon's ledger and the simulator's accounts."""
    theirs = {
        (venue, asset): Decimal(balance["free"]) + Decimal(balance["locked"])
        for venue, state in simulator_state["venues"].items()
        for account in state["accounts"].values()
        for asset, balance in account["balances"].items()
    }
    rows = []
    for venue, asset in sorted({*desk.ledger.totals, *theirs}):
        ours, other = desk.ledger.totals.get((venue, asset), ZERO), theirs.get((venue, asset), ZERO)
        if ours != other:
            rows.append({"venue": venue, "asset": asset, "ledger": plain(ours), "simulator": plain(other)})
    return rows


def verdict(summary: dict[str, Any], *, default_market: bool) -> list[str]:
    """Why the demo was not good; [] where it was."""
    wrong = []
    if not summary["ledger_equal"]:
        wrong.append(f"the ledger differs from the simulator: {summary['ledger_differences']}")
    if summary["open_orders"] or summary["open_arbitrages"]:
        wrong.append(f"{summary['open_orders']} orders and {summary['open_arbitrages']} arbitrages were left open")
    if not summary["fills"]:
        wrong.append("there was no fill")
    if default_market and summary["arbitrages"]["completed"] < ARBITRAGES_WANTED:
        wrong.append(f"only {summary['arbitrages']['completed']} of {ARBITRAGES_WANTED} arbitrages were completed")
    if summary["daemon_exit_code"]:
        wrong.append(f"the daemon ended with code {summary['daemon_exit_code']}")
    return wrong


def leftover_processes(folder: Path) -> list[int]:
    """Processes that still name `folder`: for tests, which want none."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found
