"""The newcomer: a fresh clone, `make demo`, and what a person sees; Ctrl-C; `make test`.

The clone has what is committed, an environment of its own and nothing of ours. Ctrl-C is a byte typed into a
pseudo-terminal, so that it reaches the whole foreground process group as it would at a desk.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tradeserver.core.records import ArbitrageClosed, Outcome
from tradeserver.lab.acceptance.house import require
from tradeserver.lab.demo import leftover_processes
from tradeserver.runtime.wal_read import read
from tradeserver.services import layout

INSTALL_S = 600
TESTS_S = 1200
DEMO_S = 60
FIRST_ARBITRAGE_S = 60
ROWS, COLUMNS = 24, 80
ON_SCREEN = (
    "BOOKS",
    "spread",
    "ARBITRAGES",
    "expected",
    "realised",
    "completed",
    "profit",
    "OPPORTUNITIES",
    "EDGE_TOO_SMALL",
    "LAST ORDER",
    "frame to decided",
    "sent to ack",
)
KEYS = (
    "arbitrages.completed",
    "arbitrages.one_sided",
    "opportunities.taken",
    "opportunities.refused",
    "fills",
    "pnl",
    "ledger_equal",
    "exposure",
    "open_orders",
    "latency_us",
)


def item_1(folder: Path, data: Path) -> str:
    """Clone, demo without a terminal, demo with one and Ctrl-C, tests."""
    clone = folder / "clone"
    run(["git", "clone", "--quiet", str(Path.cwd()), str(clone)], folder, {}, 60)
    install_s = install(clone)
    first_s, summary = timed_demo(clone, folder / "timed")
    end_s = interrupted_demo(clone, folder / "interrupted")
    tests = run(["make", "test"], clone, {"TRADESERVER_DATA": str(data)}, TESTS_S).strip().splitlines()
    passed = [line.split(" in ")[0] for line in tests if " passed" in line]
    require(len(passed) == 2, f"make test: {tests[-3:]}")
    return (
        f"installed in {install_s:.0f} s; first completed arbitrage {first_s:.1f} s after the start; "
        f"{summary['arbitrages']['completed']} completed, {summary['fills']} fills, ledger equal; "
        f"Ctrl-C ended all of it in {end_s:.1f} s; make test: {' and '.join(passed)}"
    )


def run(command: Sequence[str], where: Path, environ: Mapping[str, str], patience_s: float) -> str:
    """Its output. Raises CheckFailedError where it fails."""
    done = subprocess.run(
        command,
        cwd=where,
        env=clean(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience_s,
    )
    require(done.returncode == 0, f"{' '.join(command)} ended with code {done.returncode}:\n{done.stdout[-1500:]}")
    return done.stdout


def clean(more: Mapping[str, str]) -> dict[str, str]:
    """Our environment without what belongs to our Python."""
    ours = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "COLUMNS", "LINES")
    path = ":".join(part for part in os.environ["PATH"].split(":") if not part.endswith(".venv/bin"))
    kept = {name: value for name, value in os.environ.items() if name not in ours and "TRADESERVER" not in name}
    return {**kept, "PATH": path, **more}


def install(clone: Path) -> float:
    """Seconds that the environment of `make demo` takes to make."""
    started = time.monotonic()
    run(["make", ".venv/run.stamp"], clone, {}, INSTALL_S)
    return time.monotonic() - started


# ---- without a terminal ---------------------------------------------------------------------------------------------


def timed_demo(clone: Path, folder: Path) -> tuple[float, dict[str, Any]]:
    """A minute without a terminal: (seconds to the first completed arbitrage, summary)."""
    summary_file = clone / "summary.json"
    started_ns = time.time_ns()
    words = f"--duration {DEMO_S} --json {summary_file.name} --folder {folder}"
    run(["make", "demo", f"ARGS={words}"], clone, {}, DEMO_S + 60)
    summary: dict[str, Any] = json.loads(summary_file.read_text("utf-8"))
    missing = [key for key in KEYS if not _has(summary, key)]
    require(not missing, f"the summary lacks {missing}")
    require(summary["ledger_equal"] is True and summary["open_orders"] == 0, f"no good end: {summary}")
    require(summary["arbitrages"]["completed"] >= 3, f"only {summary['arbitrages']['completed']} arbitrages")
    first_s = (_first_completed_ns(folder) - started_ns) / 1e9
    require(first_s < FIRST_ARBITRAGE_S, f"the first arbitrage was completed only after {first_s:.1f} s")
    _require_gone(folder)
    return first_s, summary


def _has(summary: Mapping[str, Any], key: str) -> bool:
    outer, _, inner = key.partition(".")
    return outer in summary and (not inner or inner in summary[outer])


def _first_completed_ns(folder: Path) -> int:
    for _, record in read(layout.wal(folder / "state")):
        if isinstance(record, ArbitrageClosed) and record.outcome is Outcome.COMPLETED:
            return record.ts
    raise AssertionError("the summary has completed arbitrages and the log has none")


def _require_gone(folder: Path) -> None:
    left = leftover_processes(folder)
    require(not left, f"processes were left behind: {left}")


# ---- with a terminal ------------------------------------------------------------------------------------------------


def interrupted_demo(clone: Path, folder: Path) -> float:
    """`make demo` at a terminal of 80 by 24 until the picture has everything, then Ctrl-C: seconds to the end of it."""
    summary_file = clone / "interrupted.json"
    summary_file.unlink(missing_ok=True)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        ["make", "demo", f"ARGS=--folder {folder} --json {summary_file.name}"],
        cwd=clone,
        env=clean({"TERM": "xterm-256color"}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    try:
        screen = _watch(master, lambda seen: all(word in seen for word in ON_SCREEN), FIRST_ARBITRAGE_S)
        missing = [word for word in ON_SCREEN if word not in screen]
        require(not missing, f"not on the screen within {FIRST_ARBITRAGE_S} s: {missing}\n{screen[-1500:]}")
        os.write(master, b"\x03")
        asked = time.monotonic()
        after = _watch(master, lambda seen: process.poll() is not None, 40)
        require(process.poll() is not None, f"Ctrl-C did not end it:\n{after[-1500:]}")
        took_s = time.monotonic() - asked
    finally:
        process.kill()
        process.wait()
        os.close(master)
    require("summary" in after and "ledger equal" in after, f"no summary after Ctrl-C:\n{after[-1500:]}")
    summary = json.loads(summary_file.read_text("utf-8"))
    require(summary["ledger_equal"] is True, f"after Ctrl-C: {summary['ledger_differences']}")
    require(summary["open_orders"] == 0 and not summary["daemon_exit_code"], f"no good end after Ctrl-C: {summary}")
    _require_gone(folder)
    return took_s


def _watch(master: int, enough: Callable[[str], bool], patience_s: float) -> str:
    """What appears on the terminal until it is enough, its process ends, or patience does."""
    seen = ""
    end = time.monotonic() + patience_s
    while time.monotonic() < end and not enough(seen):
        if select.select([master], [], [], 0.1)[0]:
            try:
                seen += os.read(master, 65536).decode("utf-8", "replace")
            except OSError:  # the last process at the other end is gone
                time.sleep(0.1)
    return seen
