"""One run of one instance, from the first file that it opens to the last that it closes.

A start is one path, first or hundredth: lock and repair the log, fold it into the engine, begin the run; the engine
then reconciles with the venues before it opens anything.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import random
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import uvloop

from tradeserver import guard
from tradeserver.app.door import Door
from tradeserver.app.wiring import SECOND_NS, commit, make_engine, make_sessions
from tradeserver.config import Config, Wiring, check_alerts, credentials, describe, load, prepare_state, wiring_allowed
from tradeserver.config.feasible import refuse_impossible
from tradeserver.core.events import Operator, RunBegan
from tradeserver.core.operator import STARTING
from tradeserver.core.records import Checkpoint, Record
from tradeserver.net.clock import RunClock
from tradeserver.relay import arguments as relay_arguments
from tradeserver.runtime.fits import FitsWorker
from tradeserver.runtime.journal import FileJournal, JournalHeader, NoJournal, prune
from tradeserver.runtime.latch import FileLatch
from tradeserver.runtime.reactor import Reactor
from tradeserver.runtime.recovery import fold
from tradeserver.runtime.supervisor import ChildProcess, Supervisor
from tradeserver.runtime.ticks import Ticker, spin
from tradeserver.runtime.wal import FileWal, WalBusyError
from tradeserver.runtime.wal_files import WalDamagedError
from tradeserver.services import layout
from tradeserver.services.control import Server
from tradeserver.services.faults import ConfigError, Exit, OperatorError
from tradeserver.services.guarding import GuardWatch
from tradeserver.services.killing import KillDoor
from tradeserver.services.logs import Log
from tradeserver.services.positions import delivered
from tradeserver.services.secrets import no_core_dumps
from tradeserver.sessions.fits import FitsSession
from tradeserver.sessions.paper import PaperSession
from tradeserver.sessions.rights import NoRightsError, key_rights
from tradeserver.sessions.sockets import SocketTransport
from tradeserver.venues.base import Credentials
from tradeserver.venues.card import incomplete
from tradeserver.venues.registry import CARDS

KEY_LOOK_S: Final = 5.0
"""What a start waits for a venue to say what a key may do."""
KEY_AGAIN_S: Final = 2.0
DISARM_S: Final = 3.0
"""What a stop waits for a venue to switch its dead man's switch off."""
GUARD_ENDS_S: Final = 30.0
"""What a stop waits for a guard that is in the middle of a kill."""


def run(path: Path, live: bool = False) -> int:
    """Run the daemon until it is stopped; the exit code. Raises OperatorError with one sentence."""
    no_core_dumps()
    config = load(path)
    refuse_impossible(config)
    keys = credentials(config)
    check_alerts(config)
    wiring = wiring_allowed(config, live, keys)
    if wiring == "live":
        for venue in config.enabled:
            if open_rules := incomplete(CARDS[venue]):
                raise ConfigError(f"{venue} may not trade real money yet: its card leaves open {', '.join(open_rules)}")
    state = prepare_state(config)
    log = Log("daemon", level=config.logs.level)
    log.start()
    wal = _open_wal(config, state, log)
    try:
        daemon = Daemon(path, config, wiring, keys, state, wal, log)
        code = uvloop.run(daemon.run())
    finally:
        wal.close()
        log.close()
    if code == Exit.OURS:
        sys.stderr.write(
            "tradeserver: stopped by a fault of its own; the log line `failed` has it in full, report it\n"
        )
    return code


def _open_wal(config: Config, state: Path, log: Log) -> FileWal:
    try:
        wal = FileWal(layout.wal(state), config.wal, lambda: delivered(layout.relay_positions(state)))
    except WalBusyError:
        raise ConfigError(f"another daemon is running on {state}: stop it, or set another state_dir") from None
    except WalDamagedError as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        raise ConfigError(f"the write-ahead log in {state} cannot be opened: {error.strerror}") from None
    for repair in wal.repairs:
        log.put("warning", "wal_repaired", text=repair)
    return wal


class Daemon:
    """One run of one instance. `run` is its whole life."""

    def __init__(
        self,
        path: Path,
        config: Config,
        wiring: Wiring,
        keys: Mapping[str, Credentials],
        state: Path,
        wal: FileWal,
        log: Log,
    ) -> None:
        self._path = path
        self._config = config
        self._wiring: Wiring = wiring
        self._keys = keys
        self._state = state
        self._wal = wal
        self._log = log
        self._trouble: OperatorError | None = None
        self._latch = FileLatch(layout.kill_latch(state))
        self._transports: list[SocketTransport] = []
        self._made = False  # whether every part is there
        self._relay_task: asyncio.Task[None] | None = None
        self._guard_task: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Until stopped. Raises OperatorError for what the operator must mend."""
        self._supervisor = Supervisor()
        try:
            reason = await self._supervisor.run(self._start, self._stop)
        except OperatorError:
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                raise
            self._log.put("error", "failed", text="".join(traceback.format_exception(error)))
            return Exit.OURS
        if self._trouble is not None:
            raise self._trouble
        self._log.put("info", "stopped", reason=reason)
        return Exit.OK

    # ---- up --------------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        """Every part is made before the first one does anything, so that `_stop` finds all of them or none."""
        said = dict(zip(self._keys, await asyncio.gather(*map(self._look_at_key, self._keys)), strict=True))
        recovered = await self._make_parts()
        self._made = True
        await self._server.start()
        self._kill.on_signal()
        if layout.stop_file(self._state).exists():
            self._latch.press()
        self._reactor.tell(
            RunBegan(
                ts=0,
                instance=self._config.instance.name,
                mode=self._wiring,
                commit=commit(),
                config_sha256=hashlib.sha256(self._path.read_bytes()).hexdigest(),
                recovered=recovered,
                clock_behind_ns=self._clock.behind_ns,
                latched=self._latch.set,
                unapplied=len(self._unapplied),
            )
        )
        self._log.put(
            "info",
            "started",
            mode=self._wiring,
            run=self._engine.desk.ids.head,
            venues=list(self._config.enabled),
        )
        self._supervisor.spawn(self._ticker.run(), "ticks")
        if self._config.spin:
            spin(asyncio.get_running_loop())
        self._relay_task = self._supervisor.spawn(self._relay.run(), "relay")
        if self._config.guard.enabled:
            self._tell_guard(STARTING)
            self._guard_task = self._supervisor.spawn(self._guard.run(), "guard")
        self._supervisor.spawn(self._guard_watch.run(), "guard watch")
        for session in self._sessions:
            if isinstance(session, FitsSession):
                self._run_fits(session)
            session.start()
        self._supervisor.spawn(self._watch_start(), "start-up")
        self._supervisor.spawn(self._watch_files(), "files")
        for name, wait_s in said.items():
            if wait_s:
                self._supervisor.spawn(self._ask_about_key_again(name, wait_s), f"key of {name}")

    async def _look_at_key(self, name: str) -> float:
        """0 once the venue has said that the key cannot take money out, else the seconds until it may be asked again.

        Raises ConfigError for a key that can.
        """
        patience_s = min(KEY_LOOK_S, self._config.startup_timeout_s)
        try:
            rights = await key_rights(name, self._config.enabled[name].settings, self._keys[name], patience_s)
        except NoRightsError as error:
            self._log.put("warning", "key_not_looked_at", venue=name, reason=str(error))
            # A key that the venue does not accept can do no harm, and the start says so.
            return 0.0 if error.refused else max(KEY_AGAIN_S, error.silence_s)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        if rights.withdraw:
            raise ConfigError(
                f"the key of {name} may withdraw money: take that right away at the venue, or make another key"
            )
        self._log.put("info", "key_looked_at", venue=name, trade=rights.trade, bound_to_addresses=rights.bound)
        return 0.0

    async def _ask_about_key_again(self, name: str, wait_s: float) -> None:
        """For a venue that was away at the start: it must say in the end. One that stays away ends the run before."""
        patience_s = 3 * self._config.startup_timeout_s
        deadline = asyncio.get_running_loop().time() + patience_s
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(wait_s)
            try:
                wait_s = await self._look_at_key(name)
            except ConfigError as error:
                self._give_up(error)
                return
            if not wait_s:
                return
        self._give_up(OperatorError(f"{name} did not say within {patience_s:g} s what its key may do"))

    def _run_fits(self, session: FitsSession) -> None:
        worker = FitsWorker(
            session.answered,
            lambda up, text: self._log.put("info" if up else "warning", "fits", up=up, text=text),
            random.random,
        )
        session.ask = worker.ask
        self._supervisor.spawn(worker.run(), "fits")

    async def _make_parts(self) -> bool:
        """Recover, then make everything; nothing is opened but files. True: there was a run before this one."""
        config = self._config
        past = [record for _, record in self._wal.recover()]
        self._clock = RunClock(past[-1].ts if past else 0)
        start_s = await self._start_second(past)
        engine = self._engine = make_engine(config, self._wiring, start_s)
        self._unapplied = fold(past, engine.apply)
        for text in self._unapplied:
            self._log.put("error", "record_not_applied", text=text)
        sessions = self._sessions = make_sessions(config, self._wiring, self._keys, engine, self._transport)
        checkpoint = engine.checkpoint(self._clock())
        try:
            self._wal.begin(checkpoint)
        except OSError as error:
            raise ConfigError(f"the write-ahead log in {self._state} cannot be written: {error.strerror}") from None
        self._journal = self._open_journal(start_s, checkpoint)
        self._reactor = Reactor(
            engine,
            sessions,
            self._wal,
            self._journal,
            self._clock,
            self._latch,
            on_failure=self._supervisor.fail,
            pending=[session for session in sessions if isinstance(session, PaperSession)],
        )
        self._ticker = Ticker(self._reactor, self._ticked)
        self._kill = KillDoor(engine, self._reactor, self._latch, self._state)
        door = Door(
            engine, self._reactor, self._kill, self._clock, self._facts, self._numbers, self._supervisor.request_stop
        )
        self._server = Server(layout.control(self._state), door.verbs(), self._supervisor.fail)
        self._relay = ChildProcess(
            "relay",
            relay_arguments(self._path, lifeline=0),
            random.random,
            lambda up, text: self._log.put("info" if up else "warning", "relay", up=up, text=text),
        )
        self._make_guard()
        return bool(past)

    def _make_guard(self) -> None:
        """It gets the configuration as it runs here, without strategies, and the keys: over the pipe alone."""
        config, keys = dataclasses.replace(self._config, strategies=()), self._keys
        self._guard = ChildProcess(
            "guard",
            guard.arguments(self._path, lifeline=0),
            random.random,
            self._on_guard,
            greeting=lambda: guard.greeting(describe.to_toml(config), keys),
        )
        self._guard_watch = GuardWatch(
            self._state,
            self._guard if config.guard.enabled else None,
            self._tell_guard,
            self._kill.verified,
            self._log,
        )

    def _on_guard(self, up: bool, text: str) -> None:
        self._log.put("info" if up else "warning", "guard", up=up, text=text)
        if not up:
            self._guard_watch.ended(text)

    def _tell_guard(self, away: str) -> None:
        if not self._supervisor.reason:  # in a stop it ends with us
            self._reactor.tell(Operator(ts=0, action="guard", argument=away, source="shell"))

    def _ticked(self) -> None:
        self._kill.after_tick()
        self._supervisor.ticked()

    async def _start_second(self, past: Sequence[Record]) -> int:
        """A start second that no client id of an earlier run bears; waits for it where it must."""
        probe = make_engine(self._config, self._wiring, 0)
        for record in past:
            probe.desk.note_start(record)
        while self._clock() // SECOND_NS <= probe.desk.last_start_s:
            await asyncio.sleep(0.05)
        return self._clock() // SECOND_NS

    def _open_journal(self, start_s: int, checkpoint: Checkpoint) -> FileJournal | NoJournal:
        if not self._config.journal.enabled:
            return NoJournal()
        header = JournalHeader(
            run=self._engine.desk.ids.head,
            config=describe.to_toml(describe.masked(self._config)),
            commit=commit(),
            checkpoint=checkpoint,
            started=self._clock(),
            facts={"wiring": self._wiring, "start_s": str(start_s)},
        )
        journals = layout.journals(self._state)
        journal = FileJournal(journals / header.run, header, self._config.journal)
        if dropped := prune(journals, self._config.journal, time.time()):
            self._log.put("info", "journals_dropped", runs=dropped)
        return journal

    def _transport(self) -> SocketTransport:
        transport = SocketTransport(self._config.sockets, self._supervisor.spawn, random.random)
        self._transports.append(transport)
        return transport

    async def _watch_start(self) -> None:
        """Every venue must give its rules in time, and know every symbol; else the run ends with one sentence."""
        deadline = asyncio.get_running_loop().time() + self._config.startup_timeout_s
        venues = self._engine.readiness.venues
        while not all(v.instruments for v in venues.values()):
            if asyncio.get_running_loop().time() > deadline:
                name = next(v.name for v in venues.values() if not v.instruments)
                trouble = self._transports[list(venues).index(name)].trouble
                last = self._engine.vitals.last_fault.get(name) or trouble or "nothing came back"
                self._give_up(
                    OperatorError(
                        f"{name} gave no trading rules within {self._config.startup_timeout_s:g} s: {last}. "
                        f"Check venues.{name}.settings and the network."
                    )
                )
                return
            await asyncio.sleep(0.02)
        for venue in venues.values():
            if venue.unknown:
                self._give_up(
                    ConfigError(
                        f"{venue.name} does not list {', '.join(venue.unknown)}: mend `symbols` in {self._path}"
                    )
                )

    async def _watch_files(self) -> None:
        """Troubles of log and journal that stop nothing, each told once."""
        told = {""}
        while True:
            for event, text in (("journal_failed", self._journal.failed), ("wal_trouble", self._wal.trouble)):
                if text not in told:
                    told.add(text)
                    self._log.put("warning", event, text=text)
            await asyncio.sleep(1)

    def _give_up(self, error: OperatorError) -> None:
        self._trouble = self._trouble or error  # the first: what comes while we stop is its consequence
        self._supervisor.request_stop(str(error))

    def _facts(self) -> dict[str, Any]:
        """What `status` says beside the engine's own."""
        return {
            "instance": self._config.instance.name,
            "mode": self._wiring,
            "sequence": self._wal.seq,
            "wal_failed": self._wal.failed,
            "journal_failed": self._journal.failed,
            "relay_up": self._relay.up,
            "kill_latch": self._latch.set,
            "kill": self._engine.kills.status(),
            "guard_up": self._guard_watch.there,
            "guard": self._guard_watch.answer,
            "dead_man": self._engine.dead_man.status(),
            "inputs": self._reactor.inputs,
            "tasks": len(asyncio.all_tasks()),
        }

    def _numbers(self) -> dict[str, Any]:
        """What `gauges` says beside the engine's own."""
        return {
            "wal_sequence": self._wal.seq,
            "wal_unsynced_bytes": self._wal.unsynced_bytes,
            "wal_failed": bool(self._wal.failed),
            "journal_backlog_bytes": self._journal.backlog_bytes,
            "journal_failed": self._config.journal.enabled and bool(self._journal.failed),
            "guard_up": self._guard_watch.there,
            "kill_latch": self._latch.set,
            "inputs": self._reactor.inputs,
        }

    # ---- down ------------------------------------------------------------------------------------------------------

    async def _stop(self, reason: str) -> None:
        """Nothing new; settle what is open; the last records; take the house down from the outside in."""
        if not self._made:
            await self._hang_up()
            return
        if self._reactor.failure is None:
            self._reactor.tell(Operator(ts=0, action="stop", argument=reason, source="shell"))
            await self._settle()
        await self._hang_up()
        if self._reactor.failure is None:
            self._reactor.tell(Operator(ts=0, action="end", argument=reason, source="shell"))
            self._reactor.end()
        await self._server.stop()
        self._journal.close()
        self._wal.close()
        for task in (self._relay_task, self._guard_task):
            if task is not None:
                task.cancel()
        await asyncio.gather(self._relay.stop(), self._guard.stop(GUARD_ENDS_S))

    async def _hang_up(self) -> None:
        for transport in self._transports:
            await transport.close()

    async def _settle(self) -> None:
        """Open arbitrages get a bounded time to finish their plan and hedge."""
        desk = self._engine.desk
        end = asyncio.get_running_loop().time() + self._config.settle_s
        while (desk.arbitrages or desk.orders.live) and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.01)
        end = asyncio.get_running_loop().time() + min(self._config.settle_s, DISARM_S)
        while self._engine.dead_man.armed and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.01)
        if desk.arbitrages or desk.orders.live:
            self._log.put("warning", "left_open", arbitrages=list(desk.arbitrages), orders=list(desk.orders.live))
