"""Randomised runs: many small worlds full of faults, each judged by its exchanges; attempts are counted over all.

A world is one seed: it runs for some simulated seconds, then the faults end, everything under way is settled, and the
verdict is given. Worlds run side by side in processes until the attempts asked for are reached. An attempt is an
arbitrage that was decided; it is faulted after a send when a fault hit something of it, or a venue of it, between its
first send and its close.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console

from tradeserver.core.commands import Command
from tradeserver.core.events import Event, Operator, OrdersSent
from tradeserver.core.ids import LENGTH, parse
from tradeserver.core.records import Alert, ArbitrageClosed, ArbitrageOpened, ExposureHeld, Record
from tradeserver.lab.chaos import judge
from tradeserver.lab.chaos.crowd import SYMBOLS, Crowd, config, setup
from tradeserver.lab.chaos.harness import Loop
from tradeserver.lab.chaos.scene import DUST_QUOTE
from tradeserver.lab.chaos.stage import Stage
from tradeserver.runtime.journal import NoJournal
from tradeserver.services.faults import Exit
from tradeserver.simulator.fault_text import Fault

SECONDS: Final = 20.0
"""Simulated, of each world, before its faults end."""

_EVERYWHERE: Final = ("disconnect", "throttle", "ban", "expire", "stall", "blackhole", "unreachable", "skew")


class Verdict(msgspec.Struct, kw_only=True):
    """What became of one world, or of all."""

    attempts: int = 0
    two_sends: int = 0
    faulted_after_send: int = 0
    violations: int = 0
    ledger_equal: bool = True
    escalated_to_418: int = 0
    held: int = 0  # worlds that ended with exposure, named and paged
    restarts: int = 0
    failing_seeds: list[int] = []
    why: list[str] = []

    def add(self, other: Verdict) -> None:
        """One more world."""
        for name in ("attempts", "two_sends", "faulted_after_send", "violations", "escalated_to_418", "held"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.restarts += other.restarts
        self.ledger_equal = self.ledger_equal and other.ledger_equal
        self.failing_seeds = self.failing_seeds + other.failing_seeds
        self.why = self.why + other.why


class Counter:
    """Watches one trader: attempts, their sends, and which of them met a fault after the first."""

    def __init__(self) -> None:
        self.attempts = 0
        self.sends: dict[int, int] = {}  # opening sends by arbitrage
        self.open: dict[int, tuple[str, ...]] = {}  # venues of those that have sent and are not closed
        self.faulted: set[int] = set()
        self.held: list[ExposureHeld] = []
        self.alerts: dict[str, int] = {}
        self._venues: dict[int, tuple[str, ...]] = {}

    def __call__(self, event: Event, records: list[Record], commands: list[Command]) -> None:
        """One step of the engine."""
        if type(event) is OrdersSent:
            for client_id in event.client_ids:
                parts = parse(client_id)
                if parts is not None and not parts.attempt:
                    number = parts.arbitrage
                    self.sends[number] = self.sends.get(number, 0) + 1
                    if number in self._venues:
                        self.open[number] = self._venues[number]
        for record in records:
            kind = type(record)
            if kind is ArbitrageOpened:
                self.attempts += 1
                self._venues[record.arbitrage] = tuple(leg.venue for leg in record.legs)  # type: ignore[attr-defined]
            elif kind is ArbitrageClosed:
                self.open.pop(record.arbitrage, None)  # type: ignore[attr-defined]
                self._venues.pop(record.arbitrage, None)  # type: ignore[attr-defined]
            elif kind is ExposureHeld:
                self.held.append(record)  # type: ignore[arg-type]
            elif kind is Alert:
                self.alerts[record.code] = self.alerts.get(record.code, 0) + 1  # type: ignore[attr-defined]

    def hit(self, fault: Fault, venue: str, channel: str, text: str, now_ns: int) -> None:
        """A fault has done something."""
        if fault.kind in _EVERYWHERE and channel != "market":
            self.struck(venue)
        at = text.find("SID")
        if at >= 0:
            parts = parse(text[at : at + LENGTH])
            if parts is not None and parts.arbitrage in self.open:
                self.faulted.add(parts.arbitrage)

    def struck(self, venue: str) -> None:
        """Everything under way that has to do with this venue ("*": with any) is hit."""
        for number, venues in self.open.items():
            if venue == "*" or venue in venues:
                self.faulted.add(number)


def world(seed: int, seconds: float = SECONDS) -> Verdict:
    """One world from its beginning to its verdict. Whatever it raises is a verdict too."""
    try:
        return _world(seed, seconds)
    except Exception as error:
        return Verdict(failing_seeds=[seed], why=[f"seed {seed}: {type(error).__name__}: {error}"], ledger_equal=False)


def _world(seed: int, seconds: float) -> Verdict:
    counter = Counter()
    loop = Loop(seed, setup(), config=config(), watch=counter, journal=NoJournal)
    stage = Stage(loop.world, loop.time, SYMBOLS)
    loop.run(1.5)
    loop.world.faults.witness = counter.hit
    loop.trader.on_blow = counter.struck
    crowd = Crowd(loop, stage, seed)
    loop.run(seconds)
    crowd.calm()
    _settle(loop)
    return _verdict(seed, loop, counter)


def _settle(loop: Loop) -> None:
    """Nothing new; everything under way ends; the venues are asked for what is not known."""
    for _ in range(90):
        loop.trader.tell(Operator(ts=0, action="pause", source="control"))
        loop.run(1.0)
        if loop.trader.alive and loop.quiet():
            break
    loop.run(4.0)  # what is reported late
    for _ in range(30):
        if loop.quiet():
            break
        loop.run(1.0)


def _verdict(seed: int, loop: Loop, counter: Counter) -> Verdict:
    trader, desk = loop.trader, loop.engine.desk
    exchanges = list(loop.world.exchanges.values())
    why = []
    found = judge.violations(loop.networks, trader.setup.tag, trader.states)
    prices = {symbol.partition("/")[0]: prop.mid for symbol, prop in SYMBOLS.items()}
    found += judge.worsened(loop.networks, trader.setup.tag, prices, DUST_QUOTE)
    why += [f"{one.what}: {one.client_id}" for one in found[:3]]
    differences = judge.differences(desk.ledger, exchanges)
    why += differences[:3]
    net = judge.exposure(exchanges, trader.setup.tag)
    exposed = {asset for asset, amount in net.items() if abs(float(amount)) * prices[asset] > DUST_QUOTE}
    unnamed = exposed - {record.asset for record in counter.held}
    why += [f"{net[asset]:f} {asset} are exposed and nobody was told" for asset in sorted(unnamed)]
    if desk.orders.live or desk.arbitrages:
        why.append(f"{len(desk.orders.live)} orders and {len(desk.arbitrages)} arbitrages did not end")
    if net != judge.believed(desk):
        why.append("the exposure that we believe in is another than the exchanges'")
    if trader.reactor.failure is not None:
        why.append(f"our own code failed: {trader.reactor.failure!r}")
    escalated = sum(front.escalations() for front in loop.world.fronts.values())
    if escalated:
        why.append(f"429 became 418 {escalated} times")
    return Verdict(
        attempts=counter.attempts,
        two_sends=sum(1 for sends in counter.sends.values() if sends >= 2),
        faulted_after_send=len(counter.faulted),
        violations=len(found),
        ledger_equal=not differences,
        escalated_to_418=escalated,
        held=int(bool(exposed)),
        restarts=trader.runs - 1,
        failing_seeds=[seed] if why else [],
        why=[f"seed {seed}: {sentence}" for sentence in why],
    )


# ---- all worlds ------------------------------------------------------------------------------------------------------


def worlds(attempts: int, seed: int, workers: int) -> Iterator[Verdict]:
    """World after world, of seed, seed + 1, ..., until so many attempts were made."""
    made = 0
    with ProcessPoolExecutor(workers) as pool:
        running: set[Future[Verdict]] = set()
        following = seed
        while True:
            while made < attempts and len(running) < workers + 1:
                running.add(pool.submit(world, following))
                following += 1
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                verdict = future.result()
                made += verdict.attempts
                yield verdict


def run(attempts: int, seed: int, json_file: Path | None, workers: int = 0) -> int:
    """The verb; its exit code: 1 where a world failed."""
    console = Console(stderr=json_file is None and not os.isatty(1))
    total, began, count = Verdict(), time.monotonic(), 0
    for verdict in worlds(attempts, seed, workers or os.cpu_count() or 1):
        total.add(verdict)
        count += 1
        for sentence in verdict.why:
            console.print(f"[red]{sentence}[/]", soft_wrap=True)
        if count % 20 == 0:
            console.print(f"{count} worlds, {total.attempts} attempts, {len(total.failing_seeds)} failed")
    found = report(total, seed, count, time.monotonic() - began)
    console.print_json(json.dumps(found))
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return Exit.ERROR if total.failing_seeds else Exit.OK


def report(total: Verdict, seed: int, count: int, seconds: float) -> dict[str, Any]:
    """For programs."""
    return {
        "attempts": total.attempts,
        "two_sends": total.two_sends,
        "faulted_after_send": total.faulted_after_send,
        "violations": total.violations,
        "ledger_equal": total.ledger_equal,
        "escalated_to_418": total.escalated_to_418,
        "worlds": count,
        "worlds_with_named_exposure": total.held,
        "restarts": total.restarts,
        "seconds": round(seconds, 1),
        "attempts_per_s": round(total.attempts / seconds, 1) if seconds else 0.0,
        "seed": seed,
        "failing_seed": total.failing_seeds[0] if total.failing_seeds else None,
        "failing_seeds": total.failing_seeds,
        "why": total.why[:50],
    }
