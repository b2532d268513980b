"""kill -9 of the real daemon over real sockets, again and again; after each restart everything is compared.

A part of the points are the eight boundaries of `boundaries.py`, struck by a daemon that kills itself there
(`mortal.py`); the others are random moments under load. Each start is the recovery from the death before: within 30 s
nothing may be unknown or under way, and what the venues have filled must be flat within dust, or named.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console

from tradeserver.core.ids import parse
from tradeserver.core.records import ExposureHeld, FillBooked, RunStarted
from tradeserver.core.types import ZERO
from tradeserver.lab.acceptance.agreement import disagreements, folded
from tradeserver.lab.acceptance.house import CheckFailedError, House, house
from tradeserver.lab.chaos.boundaries import POINTS
from tradeserver.lab.chaos.harness import lively_config
from tradeserver.lab.chaos.scene import DUST_QUOTE
from tradeserver.lab.processes import Child
from tradeserver.services.faults import Exit
from tradeserver.simulator.config import SimConfig

TAG: Final = "D0"  # as `lab/processes.py` configures the daemon
RECOVERED_WITHIN_S: Final = 30.0
STRIKES_WITHIN_S: Final = 60.0
QUIET_TRIES: Final = 100
FIXED_SHARE: Final = 0.4
SYMBOLS: Final = ("XRP/USDT", "BTC/USDT", "ETH/USDT")
LATE: Final = ("delay *.orders 60ms 50%", "delay *.user 40ms 50%")
"""Answers come a little late, so that orders are under way for a good part of the time."""
REFUSALS: Final = ("refuse kucoin.orders code=200004 first=1", "refuse binance.orders code=-2010 first=1")
BREAKERS_OFF: Final = "[breakers]\none_sided_limit = 0\ncrash_limit = 0\n"
PARAMS: Final = "min_edge_bps = 1"


class Death(msgspec.Struct, frozen=True):
    """One point: where it died, what it left, and how the next start went."""

    point: str
    recovered_s: float
    unknown: int  # orders that were still live when the time was over
    exposure: float  # in quote, as the exchanges saw it once all was quiet
    why: list[str]


class Killed(msgspec.Struct):
    """All of them."""

    deaths: list[Death] = []
    double_fills: int = 0
    ledger_equal: bool = False
    wrong: list[str] = []

    def report(self) -> dict[str, Any]:
        """For programs."""
        by_point: dict[str, int] = {}
        for death in self.deaths:
            by_point[death.point] = by_point.get(death.point, 0) + 1
        return {
            "points": len(self.deaths),
            "by_point": by_point,
            "unknown_orders": sum(death.unknown for death in self.deaths),
            "double_fills": self.double_fills,
            "max_exposure": max((death.exposure for death in self.deaths), default=0.0),
            "max_recovery_s": max((death.recovered_s for death in self.deaths), default=0.0),
            "ledger_equal": self.ledger_equal,
            "wrong": [f"{d.point}: {w}" for d in self.deaths for w in d.why] + self.wrong,
        }


def plan(points: int, seed: int) -> list[str]:
    """Every boundary in turn for its share of the points (all eight at least), the rest at random moments; mixed."""
    fixed = max(min(len(POINTS), points), int(points * FIXED_SHARE))
    chosen = [*itertools.islice(itertools.cycle(POINTS), fixed), *["random"] * (points - fixed)]
    if points > len(POINTS):
        random.Random(f"{seed} plan").shuffle(chosen)
    return chosen


def kill_at(chosen: Sequence[str], seed: int, folder: Path, config: str = "", log: Any = None) -> Killed:
    """Die at each of these points, in one state directory. `config` is further configuration of the daemon."""
    dice = random.Random(f"{seed} moments")
    market = folder / "simulator.toml"
    folder.mkdir(parents=True, exist_ok=True)
    market.write_text(to_toml(msgspec.structs.replace(lively_config(SYMBOLS), faults=LATE)), "utf-8")
    killed = Killed()
    with house(folder, [str(market), "--seed", str(seed)], params=PARAMS, more=BREAKERS_OFF + config) as built:
        died = ""
        for number, point in enumerate((*chosen, "")):
            last = number == len(chosen)
            child = built.start() if last or point == "random" else _mortal(built, point, dice)
            if died:
                killed.deaths.append(_recovered(built, died))
                if log is not None:
                    log(number, killed.deaths[-1])
            if not last:
                _until_dead(built, child, point, dice)
                died = point
        _conclude(built, killed)
    return killed


def _mortal(built: House, point: str, dice: random.Random) -> Child:
    """A daemon that will die there, at one of its first passings."""
    if "hedge" in point:
        for fault in REFUSALS:
            built.simulator.post("/fault", {"fault": fault})
    count = dice.choice((1, 1, 2, 3)) if "hedge" not in point else 1
    command = [sys.executable, "-m", "tradeserver.lab.chaos.mortal", point, str(count), str(built.config)]
    built.daemon = Child("daemon", command, built.folder / "daemon.log")
    return built.daemon


def _until_dead(built: House, child: Child, point: str, dice: random.Random) -> None:
    """It dies by itself at a boundary, by our hand at a random moment under load."""
    if point == "random":
        _under_load(built, dice)
        child.require_running()
        child.kill()
        return
    end = time.monotonic() + STRIKES_WITHIN_S
    while child.running and time.monotonic() < end:
        if "hedge" in point and dice.random() < 0.02:  # its refusals met other orders
            for fault in REFUSALS:
                built.simulator.post("/fault", {"fault": fault})
        time.sleep(0.02)
    if child.running:
        raise CheckFailedError(f"the daemon did not come to {point} within {STRIKES_WITHIN_S:g} s\n{child.tail()}")
    if child.process.returncode != -9:
        raise CheckFailedError(f"the daemon ended with {child.process.returncode} before {point}\n{child.tail()}")


def _under_load(built: House, dice: random.Random) -> None:
    """A random moment: of any time, or of an order's life."""
    time.sleep(dice.uniform(0.05, 1.0))
    if dice.random() < 0.7:
        end = time.monotonic() + 10.0
        while time.monotonic() < end and not built.status().get("orders"):
            time.sleep(0.001)
        time.sleep(dice.uniform(0.0, 0.08))


def _recovered(built: House, died: str) -> Death:
    """Wait until nothing is under way after the start; what is still unknown when the time is over is counted."""
    began = time.monotonic()
    status: dict[str, Any] = {}
    why = []
    while time.monotonic() - began < RECOVERED_WITHIN_S:
        if built.daemon is None or not built.daemon.running:
            break  # it has died again already: it was ready, or it could not have traded
        status = built.status() or status
        if status and all(venue["phase"] == "ready" for venue in status["venues"]) and not _doubts(status):
            break
        time.sleep(0.02)
    seconds = time.monotonic() - began
    running = built.daemon is not None and built.daemon.running
    unknown = len(_doubts(status)) if running else 0
    if unknown:
        why.append(f"{unknown} orders were still unknown after {seconds:.1f} s")
    exposed = _quiet_exposure(built) if running else {}
    named = {record.asset for record in built.records() if isinstance(record, ExposureHeld)}
    why += [f"{quote:.2f} of {asset} are exposed and nobody was told" for asset, quote in exposed.items()
            if quote > DUST_QUOTE and asset not in named]  # fmt: skip
    return Death(died, round(seconds, 2), unknown, round(max(exposed.values(), default=0.0), 4), why)


def _doubts(status: dict[str, Any]) -> list[str]:
    """Orders whose fate is not known."""
    return [order["client_id"] for order in status.get("orders", ()) if order["state"] == "unknown"]


def _quiet_exposure(built: House) -> dict[str, float]:
    """The exposure at a moment at which nothing was under way: before and after it the daemon had the same log.

    {} where there was no such moment: it traded on, or died. What it left then is in the next measurement, fills being
    counted from the beginning, and the last daemon is not killed.
    """
    for _ in range(QUIET_TRIES):
        before = built.status()
        if not before:
            return {}
        if not before["orders"] and not before["arbitrages"]:
            found = _exposure(built, before)
            if built.status().get("sequence") == before["sequence"]:
                return found
        time.sleep(0.01)
    return {}


def _exposure(built: House, status: dict[str, Any]) -> dict[str, float]:
    """Net base of our fills in quote, by asset, as the exchanges have them."""
    net: dict[str, Decimal] = {}
    for row in built.simulator.get("/fills")["rows"]:
        parts = parse(row["client_id"])
        if parts is None or parts.tag != TAG:
            continue
        base = row["symbol"].partition("/")[0]
        amount = Decimal(row["quantity"]) * (1 if row["side"] == "buy" else -1)
        if row["commission_asset"] == base:
            amount -= Decimal(row["commission"])
        net[base] = net.get(base, ZERO) + amount
    prices = {book["symbol"].partition("/")[0]: book["bid"] for book in status["books"]}
    return {asset: abs(float(amount)) * prices[asset] for asset, amount in net.items()}


def _conclude(built: House, killed: Killed) -> None:
    """Nothing new, an orderly end, and the whole story compared."""
    built.wait_ready()
    built.ask("pause")
    built.wait("nothing open", lambda status: not status["orders"] and not status["arbitrages"], 60.0)
    code = built.stop()
    if code:
        killed.wrong.append(f"the last daemon ended with code {code}")
    records = built.records()
    killed.wrong += disagreements(records, built.simulator)
    killed.ledger_equal = not any(sentence.startswith("balance") for sentence in killed.wrong)
    fills = [(r.venue, r.symbol, r.trade_id) for r in records if isinstance(r, FillBooked)]
    killed.double_fills = len(fills) - len(set(fills))
    runs = sum(isinstance(record, RunStarted) for record in records)
    if runs < len(killed.deaths):
        killed.wrong.append(f"{runs} runs in the log for {len(killed.deaths)} deaths")
    if not fills:
        killed.wrong.append("there was no fill")
    if folded(records).orders.live:
        killed.wrong.append("the log ends with live orders")


def run(points: int, seed: int, json_file: Path | None) -> int:
    """The verb; its exit code: 1 where anything was wrong."""
    console = Console(stderr=json_file is None and not os.isatty(1))
    folder = Path(tempfile.mkdtemp(prefix="tradeserver-kill-"))

    def tell(number: int, death: Death) -> None:
        colour = "red" if death.why else "dim"
        words = f"{number}/{points} {death.point}: recovered in {death.recovered_s:.1f} s, {death.exposure:.2f} exposed"
        console.print(f"[{colour}]{words} {'; '.join(death.why)}[/]")

    killed = kill_at(plan(points, seed), seed, folder, log=tell)
    found = killed.report()
    console.print_json(json.dumps(found))
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    if found["wrong"]:
        console.print(f"Everything is kept in {folder}.")
        return Exit.ERROR
    shutil.rmtree(folder, ignore_errors=True)
    return Exit.OK


# ---- the simulator's file --------------------------------------------------------------------------------------------


def to_toml(config: SimConfig) -> str:
    """A simulator's configuration as the file that it reads."""
    table = msgspec.to_builtins(config)
    return "\n".join(f"{key} = {_value(value)}" for key, value in table.items() if value is not None) + "\n"


def _value(value: Any) -> str:
    """Inline tables all the way down."""
    if isinstance(value, dict):
        inside = ", ".join(f"{json.dumps(str(k))} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{ {inside} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value)
