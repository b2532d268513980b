"""`tradeserver drill`: is the kill switch ready, and how long does it take?

Against a running daemon it is a rehearsal without harm: everybody who takes part in a kill is asked for an answer, and
each venue for a look, by the guard; nothing is stopped and nothing cancelled. Where no daemon runs it is the real thing
against a simulator of its own: orders of a stranger with our key rest at both venues, the kill is given as the command
line gives it, and the simulator is asked afterwards whether the proof was true.

Scenarios: `calm`; `frozen`, the daemon is stopped dead (SIGSTOP) before the kill and thaws after the proof; `thaw`, it
thaws in the middle; `throttled`, both venues answer 429 when the kill comes.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.lab.processes import Child, Simulator, tradeserver, write_config
from tradeserver.lab.resting import Stranger
from tradeserver.services import kill_client, layout
from tradeserver.services.control import ask
from tradeserver.services.faults import NotRunningError, OperatorError
from tradeserver.simulator.config import LimitsConfig, SimConfig, default_config

SCENARIOS: Final = ("calm", "frozen", "thaw", "throttled")
THAW_S: Final = 2.0
THROTTLE: Final = "5s"
SETTLED_S: Final = 16.0
"""A daemon counts its own start as an order's: a kill right after it waits for the last possible arrival."""
QUIET: Final = {"TRADESERVER__NATS__ENABLED": "false", "TRADESERVER__STORE__ENABLED": "false"}
"""A drill needs neither."""
ON_THE_WIRE_NS: Final = 100_000_000
"""An order that the simulator hears of sooner after the kill had left before it."""
TIMEOUT_S: Final = 90.0


@dataclass
class Scenario:
    """What the rounds of one scenario came to."""

    name: str
    elapsed_ms: list[int] = field(default_factory=list)
    by: dict[str, int] = field(default_factory=dict)
    found: int = 0
    unproven: int = 0
    left_open: int = 0  # by the simulator's word, after a proof
    late_orders: int = 0  # accepted by the simulator after the kill
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return bool(self.elapsed_ms) and not (self.unproven or self.left_open or self.late_orders)

    def row(self) -> dict[str, Any]:
        """One line of the table."""
        times = sorted(self.elapsed_ms)
        return {
            "scenario": self.name,
            "rounds": len(times) + self.unproven,
            "orders": self.found,
            "p50_ms": int(statistics.median(times)) if times else None,
            "worst_ms": times[-1] if times else None,
            "by": ", ".join(f"{who} {count}" for who, count in self.by.items()),
            "unproven": self.unproven,
            "left_open": self.left_open,
            "late_orders": self.late_orders,
        }


# ---- a rehearsal with a running daemon ------------------------------------------------------------------------------


def rehearse(state: Path) -> dict[str, Any]:
    """Ask everybody who takes part in a kill. Raises NotRunningError where no daemon listens."""
    rows = []
    began = time.monotonic()
    status = ask(layout.control(state), "status", 2.0)
    rows.append(_step("daemon answers", began, kill_client.ANSWER_S))
    latch = layout.kill_latch(state)
    can_press = os.access(latch, os.W_OK)
    rows.append({"step": "latch can be set", "ok": can_press, "elapsed_ms": None, "note": str(latch)})
    try:
        began = time.monotonic()
        ask(layout.guard(state), "ping", 2.0)
        rows.append(_step("guard answers", began, kill_client.ANSWER_S))
        rows += _looks(layout.guard(state))
    except OperatorError as error:
        rows.append({"step": "guard answers", "ok": False, "elapsed_ms": None, "note": str(error)})
    for switch in status["dead_man"]:
        ok = switch["state"] == "armed"
        note = f"{switch['timeout_s']} s" if ok else "not armed"
        row = {"step": f"dead man's switch of {switch['venue']}", "ok": ok, "elapsed_ms": None, "note": note}
        rows.append(row)
    return {"rehearsal": True, "good": all(row["ok"] for row in rows), "rows": rows}


def _step(name: str, began: float, within_s: float) -> dict[str, Any]:
    seconds = time.monotonic() - began
    note = "" if seconds <= within_s else f"a kill waits {within_s * 1000:g} ms at most"
    return {"step": name, "ok": seconds <= within_s, "elapsed_ms": round(seconds * 1_000, 1), "note": note}


def _looks(guard: Path, patience_s: float = 10.0) -> list[dict[str, Any]]:
    answer = ask(guard, "rehearse", 2.0)
    end = time.monotonic() + patience_s
    while answer["under_way"] and time.monotonic() < end:
        time.sleep(0.02)
        answer = ask(guard, "rehearsed", 2.0)
    return [
        {
            "step": f"guard looks at {row['venue']}",
            "ok": row["open"] is not None,
            "elapsed_ms": None if row["elapsed_ms"] is None else round(row["elapsed_ms"], 1),
            "note": row["error"] or (f"{row['open']} orders open" if row["open"] is not None else "no answer"),
        }
        for row in answer["rows"]
    ]


# ---- drills with a simulator of our own -----------------------------------------------------------------------------


def drill(
    orders: int,
    rounds: int,
    scenarios: Sequence[str] = SCENARIOS,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """`rounds` kills of each scenario with `orders` open. Everything is kept in `folder` where one is given."""
    where = folder or Path(tempfile.mkdtemp(prefix="tradeserver-drill-"))
    where.mkdir(parents=True, exist_ok=True)
    found = [Scenario(name) for name in scenarios]
    with Range(where) as site:
        site.wait_ready()
        for scenario in found:
            for number in range(rounds):
                site.round(scenario, orders)
                say(f"{scenario.name} {number + 1}/{rounds}: {scenario.row()}")
    good = all(scenario.good for scenario in found)
    if good and folder is None:
        shutil.rmtree(where, ignore_errors=True)
    notes = [f"{s.name}: {note}" for s in found for note in dict.fromkeys(s.notes)]
    return {"rehearsal": False, "good": good, "orders": orders, "rows": [s.row() for s in found], "notes": notes}


class Range:
    """A simulator with wide limits, a daemon that trades on it, and strangers who place orders."""

    def __init__(self, folder: Path, environ: Mapping[str, str] = QUIET, settled_s: float = SETTLED_S) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = folder / "state"
        self._environ = environ
        self._settled_s = settled_s
        settings = folder / "simulator.toml"
        settings.write_text(simulator_toml(wide(default_config())), "utf-8")
        self.simulator = Simulator(folder, [str(settings)])
        try:
            self.config = write_config(folder, self.simulator.urls, 0)
            self.daemon = self.start()
        except BaseException:
            self.simulator.child.kill()
            raise
        self.strangers = [Stranger(venue, self.simulator.urls[venue]["rest"]) for venue in ("binance", "kucoin")]

    def start(self) -> Child:
        """A daemon, the first or the next."""
        self._settled = time.monotonic() + self._settled_s
        command = tradeserver("run", str(self.config))
        self.daemon = Child("daemon", command, self.folder / "daemon.log", self._environ)
        return self.daemon

    def __enter__(self) -> Range:
        return self

    def __exit__(self, *error: object) -> None:
        self.thaw()
        self.daemon.stop(30.0)
        self.simulator.child.stop()
        for stranger in self.strangers:
            stranger.close()

    def wait_ready(self, patience_s: float = 60.0) -> None:
        """Until a kill would find a daemon that trades: both venues ready, the guard there, nothing stopped, settled.

        Raises OperatorError.
        """
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            self.daemon.require_running()
            try:
                status = ask(layout.control(self.state), "status", 2.0)
            except OperatorError:
                status = None
            ready = status is not None and all(v["phase"] == "ready" for v in status["venues"])
            if ready and status["state"] == "running" and status["guard_up"] and time.monotonic() > self._settled:
                return
            time.sleep(0.02)
        raise OperatorError(f"the daemon was not ready within {patience_s:g} s:\n{self.daemon.tail()}")

    def freeze(self) -> None:
        """Stop the daemon dead."""
        self.daemon.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self.daemon.running:
            self.daemon.process.send_signal(signal.SIGCONT)

    def round(self, scenario: Scenario, orders: int) -> None:
        """One kill from resting orders to the cleared latch."""
        self.rest(orders)
        timer: threading.Timer | None = None
        if scenario.name in ("frozen", "thaw"):
            self.freeze()
        if scenario.name == "thaw":
            timer = threading.Timer(THAW_S, self.thaw)
            timer.start()
        if scenario.name == "throttled":
            self.simulator.post("/fault", {"fault": f"throttle * {THROTTLE}"})
        before = len(self.simulator.get("/log")["rows"])
        try:
            outcome = kill_client.kill(self.state, False, TIMEOUT_S)
        finally:
            if timer is not None:
                timer.join()
            self.thaw()
        self._judge(scenario, outcome, before)
        self.clear()

    def rest(self, orders: int) -> None:
        """Orders of the strangers, by turns."""
        for number in range(orders):
            self.strangers[number % len(self.strangers)].place(number)

    def _judge(self, scenario: Scenario, outcome: kill_client.Outcome, before: int) -> None:
        """The simulator's word against the proof."""
        scenario.by[outcome.by or "nobody"] = scenario.by.get(outcome.by or "nobody", 0) + 1
        if not outcome.proven or outcome.report is None:
            scenario.unproven += 1
            scenario.notes += outcome.notes
            return
        scenario.elapsed_ms.append(outcome.elapsed_ms)
        scenario.found = max(scenario.found, outcome.report["found"])
        self.wait_halted()  # the thawed daemon has read what waited for it, and sent what it would send
        scenario.left_open += len(self.open_orders())
        latched = outcome.report["began_ns"] + ON_THE_WIRE_NS
        rows = self.simulator.get("/log")["rows"][before:]
        scenario.late_orders += sum(1 for row in rows if row["time_ns"] > latched)

    def open_orders(self) -> list[dict[str, Any]]:
        """What rests at the simulator, whoever placed it."""
        venues = self.simulator.get("/state")["venues"].values()
        return [order for venue in venues for account in venue["accounts"].values() for order in account["open_orders"]]

    def wait_halted(self, patience_s: float = 30.0) -> None:
        """Until the daemon itself has halted and proven it. Raises OperatorError."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            try:
                killed = ask(layout.control(self.state), "killed", 2.0)
            except OperatorError:
                continue
            if any(entry["state"] == "halted" for entry in killed["states"]) and not killed["under_way"]:
                return
            time.sleep(0.02)
        raise OperatorError(f"the daemon did not halt within {patience_s:g} s of the kill:\n{self.daemon.tail()}")

    def clear(self) -> None:
        """Trade again: the faults gone, the latch cleared, everything ready."""
        self.simulator.post("/fault/clear", {})
        ask(layout.control(self.state), "clear", 5.0, scope="global", reason="kill")
        self.wait_ready()


def wide(config: SimConfig) -> SimConfig:
    """Limits that a drill does not reach: it is about the kill, not about how many orders rest."""
    limits = LimitsConfig(
        request_weight_1m=600_000,
        orders_10s=100_000,
        spot_30s=400_000,
        management_30s=200_000,
        public_30s=200_000,
        open_orders=10_000,
    )
    venues = {name: msgspec.structs.replace(venue, limits=limits) for name, venue in config.venues.items()}
    return msgspec.structs.replace(config, venues=venues)


def simulator_toml(config: SimConfig) -> str:
    """The simulator's configuration as its TOML file."""
    table = msgspec.to_builtins(config)
    return "".join(f"{key} = {_literal(value)}\n" for key, value in table.items())


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        inner = (f"{_literal(str(key))} = {_literal(item)}" for key, item in value.items() if item is not None)
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return msgspec.json.encode(value).decode()  # a JSON string is a TOML string


def run(state: Path, orders: int, rounds: int, scenarios: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    """The verb: a rehearsal where a daemon runs, else drills."""
    try:
        return rehearse(state)
    except NotRunningError:
        return drill(orders, rounds, scenarios, say=say)
