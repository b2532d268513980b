"""`make soak`: the whole house under load for hours, and what of it grew.

NATS, the simulator, the daemon and its relay run as real processes on a fast market. Every ten seconds each process is
measured from outside (`/proc`: resident memory, threads, open files, sockets) and the daemon is asked how many tasks
its loop holds and how many inputs it has taken. At the end the house stops in order; the ledger is compared with the
simulator's accounts, and every sequence of the write-ahead log must be in the stream once.

Growth is judged after the warm-up (a sixth of the time, at most ten minutes): the median of the last tenth against the
median of the first tenth. A run without a sample or without a fill proves nothing and fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tradeserver.lab import demo
from tradeserver.runtime.wal_read import Tail
from tradeserver.services import layout
from tradeserver.services.messages import public
from tradeserver.services.nats import SEQUENCE, stream_name

EVERY_S: Final = 10.0
WARM_UP_S: Final = 600.0
BEARABLE: Final = {"rss_mb": 8.0, "threads": 2.0, "files": 2.0, "sockets": 2.0, "tasks": 2.0}
"""How much more the end may hold than the beginning. Memory: the allocator's own breathing over some hours.
Threads: the relay's pool makes its few threads one by one, when two sinks first happen to work at the same time."""

ALL_PROCESSES: Final = ("daemon", "relay", "guard", "simulator", "nats")


def main(words: Sequence[str] | None = None) -> int:
    """The command; 0 when nothing grew and nothing was lost."""
    parser = argparse.ArgumentParser(prog="soak", description="The whole house under load for hours: what grew?")
    parser.add_argument("--minutes", type=float, default=120.0, help="how long (default: %(default)g)")
    parser.add_argument(
        "--step-ms", type=int, default=5, help="milliseconds between two moves of each book (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the simulated market (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write samples and result there")
    asked = parser.parse_args(words)
    folder = Path(tempfile.mkdtemp(prefix="tradeserver-soak-"))
    print(f"soak: {asked.minutes:g} minutes in {folder}; Ctrl-C ends it early and judges what there is", flush=True)
    result = soak(folder, asked.minutes * 60, asked.step_ms, asked.seed)
    print("\n".join(table(result)))
    if asked.json:
        asked.json.write_text(json.dumps(public(result), indent=1) + "\n", "utf-8")
    if result["wrong"]:
        print(f"Everything is kept in {folder}.")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def soak(folder: Path, seconds: float, step_ms: int, seed: int) -> dict[str, Any]:
    """One soak in `folder`: samples, growth, and what was wrong."""
    options = demo.DemoOptions(seed=seed, simulator_words=("--step-ms", str(step_ms)))
    world = demo.start(options, folder)
    began = time.monotonic()
    samples: list[dict[str, Any]] = []
    try:
        _sample_until(world, began, began + seconds, samples)
    except KeyboardInterrupt:
        print("soak: ended early", flush=True)
    except BaseException:
        world.close()
        raise
    took_s = time.monotonic() - began
    world.daemon.stop(30.0)  # its relay delivers the rest
    lost = asyncio.run(undelivered(world))
    code, state = world.close()
    summary = demo.conclude(world, state, code)
    grown = growth(samples, min(WARM_UP_S, took_s / 6))
    return {
        "seconds": round(took_s, 1),
        "inputs": samples[-1]["inputs"] if samples else 0,
        "samples": samples,
        "growth": grown,
        "lost_sequences": lost,
        "summary": summary,
        "wrong": faults(samples, grown, lost, demo.verdict(summary, default_market=False)),
    }


# ---- measuring ------------------------------------------------------------------------------------------------------


def _sample_until(world: demo.World, began: float, end: float, samples: list[dict[str, Any]]) -> None:
    due = began + EVERY_S
    while due <= end:
        time.sleep(max(0.0, due - time.monotonic()))
        world.daemon.require_running()
        status = world.status()
        if status:
            samples.append(_sample(world, status, time.monotonic() - began))
            if len(samples) % 30 == 1:
                print(_line(samples[-1]), flush=True)
        due += EVERY_S


def _sample(world: demo.World, status: dict[str, Any], at_s: float) -> dict[str, Any]:
    found = {
        "daemon": world.daemon.process.pid,
        "simulator": world.simulator.child.process.pid,
        "nats": world.nats.process.pid,
        **children(world.daemon.process.pid),
    }
    processes = {name: measure(pid) for name, pid in found.items()}
    processes["daemon"]["tasks"] = float(status["tasks"])
    return {
        "at_s": round(at_s, 1),
        "inputs": status["inputs"],
        "sequence": status["sequence"],
        "processes": {name: held for name, held in processes.items() if held},
    }


def children(pid: int) -> dict[str, int]:
    """The daemon's helpers by the verb that they run."""
    found: dict[str, int] = {}
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in listed.read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            found |= {verb: int(child) for verb in ("relay", "guard") if verb.encode() in words}
    return found


def measure(pid: int) -> dict[str, float]:
    """What one process holds; {} where it has just gone."""
    home = Path(f"/proc/{pid}")
    try:
        status = dict(line.split(":", 1) for line in (home / "status").read_text().splitlines())
        links = [_target(link) for link in (home / "fd").iterdir()]
    except OSError:
        return {}
    return {
        "rss_mb": int(status["VmRSS"].split()[0]) / 1024,
        "threads": float(status["Threads"]),
        "files": float(len(links)),
        "sockets": float(sum(link.startswith("socket:") for link in links)),
    }


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


async def undelivered(world: demo.World) -> int:
    """Sequences of the write-ahead log that are not in the stream exactly once and in order."""
    last = _last_sequence(world)
    client = await nats.connect(world.nats_url, allow_reconnect=False)
    seen: list[int] = []
    try:
        pull = await client.jetstream().pull_subscribe(
            "",
            stream=stream_name("demo"),
            config=ConsumerConfig(headers_only=True, ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL),
        )
        total = (await pull.consumer_info()).num_pending or 0
        while len(seen) < total:
            seen += [int((message.headers or {})[SEQUENCE]) for message in await pull.fetch(500, timeout=5)]
    except TimeoutError:
        pass  # what was not handed out counts as lost
    finally:
        await client.close()
    return misplaced(seen, last)


def misplaced(seen: Sequence[int], last: int) -> int:
    """How many of 1 to `last` are missing, doubled or out of order in `seen`."""
    missing = last - len(set(seen))
    steps = sum(after <= before for before, after in pairwise(seen))
    return missing + steps


def _last_sequence(world: demo.World) -> int:
    tail = Tail(layout.wal(world.state))
    try:
        while tail.poll_raw(10_000):
            pass
        return tail.seq
    finally:
        tail.close()


# ---- judging --------------------------------------------------------------------------------------------------------


def growth(samples: Sequence[dict[str, Any]], warm_up_s: float) -> dict[str, dict[str, tuple[float, float]]]:
    """By process and measure: the median of the first and of the last tenth after the warm-up."""
    warm = [sample["processes"] for sample in samples if sample["at_s"] >= warm_up_s]
    tenth = max(1, len(warm) // 10)
    grown: dict[str, dict[str, tuple[float, float]]] = {}
    for name in ALL_PROCESSES:
        series = [processes[name] for processes in warm if name in processes]
        if len(series) < 2:
            continue
        grown[name] = {
            what: (
                round(statistics.median(held[what] for held in series[:tenth]), 2),
                round(statistics.median(held[what] for held in series[-tenth:]), 2),
            )
            for what in series[0]
        }
    return grown


def faults(
    samples: Sequence[dict[str, Any]],
    grown: dict[str, dict[str, tuple[float, float]]],
    lost: int,
    verdict: Sequence[str],
) -> list[str]:
    """Why the soak was not good; [] where it was. The simulator and NATS keep what they are given: only shown."""
    wrong = list(verdict)
    for name in ("daemon", "relay", "guard"):
        if name not in grown:
            wrong.append(f"the {name} was not measured")
            continue
        for what, (before, after) in grown[name].items():
            if after - before > BEARABLE[what]:
                wrong.append(f"{name}: {what} grew from {before:g} to {after:g}")
    if lost:
        wrong.append(f"{lost} sequences of the log are not in the stream once and in order")
    if len({sample["inputs"] for sample in samples}) < 2:
        wrong.append("the daemon took no input")
    return wrong


def table(result: dict[str, Any]) -> list[str]:
    """The result in words."""
    lines = [
        f"{result['seconds']:g} s, {result['inputs']:,} inputs, {len(result['samples'])} samples, "
        f"{result['summary']['fills']} fills, lost sequences {result['lost_sequences']}, "
        f"ledger equal {result['summary']['ledger_equal']}",
        f"{'process':<10} {'measure':<8} {'after warm-up':>14} {'at the end':>11}",
    ]
    for name, measures in result["growth"].items():
        lines += [f"{name:<10} {what:<8} {before:>14g} {after:>11g}" for what, (before, after) in measures.items()]
    return lines + ([f"WRONG: {line}" for line in result["wrong"]] or ["nothing grew, nothing was lost"])


def _line(sample: dict[str, Any]) -> str:
    held = ", ".join(f"{name} {values['rss_mb']:.1f} MB" for name, values in sample["processes"].items())
    return f"{sample['at_s']:>7g} s  {sample['inputs']:>11,} inputs  {held}"


if __name__ == "__main__":
    sys.exit(main())
