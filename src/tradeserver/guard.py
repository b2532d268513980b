"""The guard: a small process with the keys, for the day when the daemon's own loop does not answer.

It hears a kill on its own socket, by SIGUSR1, by the stop file and from NATS. It sets the latch first, which the daemon
reads before each send; then it asks the daemon, which knows its orders best; and where that does not answer in time it
cancels and verifies by itself over REST, until nothing is open. What came of it stays in a file until a daemon has
taken it into its log.

The daemon starts it and hands it configuration and keys over the inherited pipe, never by command line or environment.
It ends on EOF of that pipe, a kill that is under way first finished. Started by hand it takes the keys from the
configuration's references and outlives daemons. One guard works (a lock file); a second one waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.config import Config, credentials, load, parse, prepare_state
from tradeserver.core.commands import QueryOpenOrders
from tradeserver.core.desk import Desk
from tradeserver.core.events import Event, OpenOrdersListed, QueryFailed, RateLimited
from tradeserver.core.ids import ClientIds
from tradeserver.core.killing import Throttle
from tradeserver.core.killswitch import exposure, in_words, reported
from tradeserver.core.market import Market, MarketLimits
from tradeserver.core.records import AssetExposure, KillReported
from tradeserver.core.types import ZERO
from tradeserver.net.clock import RunClock
from tradeserver.runtime.latch import FileLatch
from tradeserver.runtime.wal import encode_record
from tradeserver.runtime.wal_files import WalDamagedError
from tradeserver.runtime.wal_read import latest
from tradeserver.services import layout, words
from tradeserver.services.control import Server, asked
from tradeserver.services.faults import Exit, OperatorError
from tradeserver.services.lock import Lock
from tradeserver.services.logs import Log
from tradeserver.services.messages import public
from tradeserver.sessions.rest_kill import RestKill
from tradeserver.sessions.safety import RestVenue
from tradeserver.venues.base import Credentials
from tradeserver.venues.registry import CODECS

LOOK_S: Final = 0.1
"""Between two looks for the stop file, and two questions to a daemon that is killing."""
MISSES: Final = 3
"""Questions in a row that a daemon which has taken a kill may leave unanswered."""
DAEMON_S: Final = 60.0
"""What the daemon gets to prove a kill, before the guard does it by itself as well."""
FINISH_S: Final = 120.0
"""How long a kill may go on after the pipe has closed."""


class Greeting(msgspec.Struct, frozen=True):
    """The one line that the daemon writes into the pipe: the configuration as it runs by, and the keys."""

    config: str
    keys: dict[str, Credentials]


class Guard:
    """See the module. `kill` is its purpose."""

    def __init__(self, config: Config, state: Path, keys: Mapping[str, Credentials], log: Log) -> None:
        self.report: KillReported | None = None  # of the latest kill that the guard did itself
        self._config = config
        self._state = state
        self._keys = keys
        self._log = log
        self._now = RunClock()
        self._latch = FileLatch(layout.kill_latch(state))
        self._throttles = {name: Throttle() for name in config.enabled}
        self._venues: dict[str, RestVenue] = {}
        self._killing: asyncio.Task[None] | None = None
        self._hedging = False
        self._began = 0
        self._latched = 0  # when the latch was set for this kill
        self._by = ""
        self._note = ""
        self._rest: RestKill | None = None  # while the guard kills by itself
        self._daemons: dict[str, Any] | None = None  # the report of a kill that the daemon took
        self._looks: dict[str, Rehearsed] = {}
        self._server = Server(layout.guard(state), self._verbs(), lambda error: self._failed("socket", error))

    def _verbs(self) -> dict[str, Any]:
        return {
            "ping": self._ping,
            "kill": lambda hedge=False, source="control": self.kill(source, hedge),
            "killed": self.killed,
            "rehearse": self._rehearse,
            "rehearsed": self._rehearsed,
        }

    # ---- life ------------------------------------------------------------------------------------------------------

    async def run(self, ending: asyncio.Event) -> None:
        """Until `ending`; a kill under way is finished first, for a bounded time."""
        lock = Lock(layout.guard_lock(self._state))
        while not lock.take():
            if await _within(ending, LOOK_S):
                return
        helpers = self._reach_out()
        helpers.append(asyncio.create_task(self._watch_stop_file()))
        if self._config.nats.enabled:
            helpers.append(asyncio.create_task(self._listen()))
        for helper in helpers:
            helper.add_done_callback(self._helper_over)
        await self._server.start()
        self._log.put("info", "guard_started", venues=list(self._venues), latched=self._latch.set)
        try:
            await ending.wait()
            if self._killing is not None and not self._killing.done():
                await asyncio.wait({self._killing}, timeout=FINISH_S)
        finally:
            await self._server.stop()
            await self._hang_up(helpers)
            lock.release()
            self._log.put("info", "guard_stopped")

    async def kill_once(self, ending: asyncio.Event) -> dict[str, Any]:
        """One kill without a life around it; ended, proven or not, by `ending`."""
        helpers = self._reach_out()
        try:
            self.kill("operator")
            assert self._killing is not None, "just begun"
            waiter = asyncio.create_task(ending.wait())
            await asyncio.wait({self._killing, waiter}, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
            return self.killed()
        finally:
            await self._hang_up(helpers)

    def _reach_out(self) -> list[asyncio.Task[None]]:
        """Begin the conversations with the venues."""
        request_ns = self._config.guard.request_ms * 1_000_000
        for name, keys in self._keys.items():
            codec = CODECS[name](self._config.enabled[name].settings, self._config.symbols, keys)
            self._venues[name] = RestVenue(codec, self._now, request_ns, self._on_event)
        return [asyncio.create_task(venue.run(), name=name) for name, venue in self._venues.items()]

    async def _hang_up(self, helpers: list[asyncio.Task[None]]) -> None:
        tasks = [*helpers, *([self._killing] if self._killing is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for venue in self._venues.values():
            await venue.close()

    def _helper_over(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(task.get_name(), error)

    def _failed(self, what: str, error: BaseException) -> None:
        """A fault of our own: said, and the process ends, since half a guard must not look like a whole one."""
        self._log.put("error", "guard_failed", what=what, exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)

    async def _watch_stop_file(self) -> None:
        path, seen = layout.stop_file(self._state), False
        while True:
            there = path.exists()
            if there and not seen:
                self.kill("stop file")
            seen = there
            await asyncio.sleep(LOOK_S)

    async def _listen(self) -> None:
        await words.listen(
            self._config.nats.url,
            self._config.instance.name,
            self._hear,
            lambda reason: self._log.put("warning", "command_refused", reason=reason),
            lambda up, text: self._log.put("info" if up else "warning", "guard_nats", up=up, text=text),
        )

    def _hear(self, word: words.Word) -> None:
        self._log.put("warning", "command_heard", action=word.action, scope=word.scope)
        if word.action == "kill":
            self.kill("nats")
        else:
            asyncio.get_running_loop().create_task(self._pause(word.scope))

    async def _pause(self, scope: str) -> None:
        try:
            await asked(layout.control(self._state), "pause", scope=scope, source="nats")
        except OperatorError as error:
            self._log.put("error", "command_failed", action="pause", scope=scope, reason=str(error))

    # ---- the kill --------------------------------------------------------------------------------------------------

    def kill(self, by: str, hedge: bool = False) -> dict[str, Any]:
        """The latch at once, the rest as a task. With `hedge` the daemon is asked before anything is stopped."""
        if not hedge:
            self._latch.press()
        busy = self._killing is not None and not self._killing.done()
        if busy and (hedge or not self._hedging):
            return self.killed()
        if busy and self._killing is not None:
            self._killing.cancel()  # hedging was wanted, now it is to stop at once
        self._began = self._latched = self._now()
        self._by, self._hedging, self._note = by, hedge, ""
        self._rest = self._daemons = self.report = None
        self._log.put("critical", "guard_kill", by=by, hedge=hedge)
        self._killing = asyncio.get_running_loop().create_task(self._kill(), name="kill")
        self._killing.add_done_callback(self._helper_over)
        return self.killed()

    def killed(self) -> dict[str, Any]:
        """How far the kill is: the same form as the daemon's answer."""
        report: Any = self.report or self._daemons
        if report is None and self._rest is not None:
            report = self._made(())
        busy = self._killing is not None and not self._killing.done()
        return {"under_way": busy, "latched": self._latch.set, "report": public(report)}

    async def _kill(self) -> None:
        if await self._by_daemon():
            return
        if self._hedging:
            self._note = "nothing was hedged: the daemon did not answer"
            self._latch.press()
            self._latched = self._now()
            self._hedging = False
        if not self._latch.set:
            self._log.put("warning", "guard_stands_down", reason="the kill was cleared before it was proven")
            return
        await self._by_ourselves()

    async def _by_daemon(self) -> bool:
        """Whether the daemon took it and proved it."""
        control, patience_s = layout.control(self._state), self._config.guard.daemon_ms / 1_000
        end = asyncio.get_running_loop().time() + DAEMON_S
        misses = 0
        try:
            await asked(control, "kill", patience_s, hedge=self._hedging, source=self._by)
            while self._hedging or asyncio.get_running_loop().time() < end:
                try:
                    answer = await asked(control, "killed", patience_s)
                except OperatorError:
                    misses += 1
                    if misses == MISSES:
                        raise
                    continue
                misses = 0
                self._daemons = answer["report"]
                if not answer["under_way"]:
                    return bool(self._daemons and self._daemons["proven"])
                await asyncio.sleep(LOOK_S)
        except OperatorError as error:
            self._log.put("critical", "guard_acts", reason=str(error))
            return False
        self._log.put("critical", "guard_acts", reason=f"the daemon has not proven it within {DAEMON_S:g} s")
        return False

    async def _by_ourselves(self) -> None:
        """Over REST, until it is true."""
        ids = ClientIds(self._config.instance.tag, "live", 0)
        rest = self._rest = RestKill(
            self._venues,
            self._config.symbols,
            self._config.safety,
            self._throttles,
            ids.ours,
            self._now,
            self._latched,
        )
        await rest.run()
        left, note = await asyncio.to_thread(self._exposure, rest.balances)
        self._note = "; ".join(each for each in (self._note, note) if each)
        self.report = self._made(left)
        self._keep(self.report)
        self._log.put("warning", "guard_killed", text=in_words(self.report), report=public(self.report))

    def _made(self, left: tuple[AssetExposure, ...]) -> KillReported:
        return reported(
            ts=self._now(),
            began=self._began,
            scope="global",
            by=self._by,
            prover="guard",
            venues=self._rest.proofs() if self._rest is not None else (),
            exposure=left,
            note=self._note if self._keys else "paper: no order of ours is at any venue",
        )

    def _exposure(self, balances: Mapping[str, Mapping[str, Decimal]]) -> tuple[tuple[AssetExposure, ...], str]:
        """What is held beyond the plan: by the log and, where all venues answered, by what they hold. And what is
        doubtful about it."""
        desk = Desk(Market(MarketLimits()), ClientIds(self._config.instance.tag, "live", 0))
        try:
            for record in latest(layout.wal(self._state)):
                desk.apply(record)
        except (WalDamagedError, OSError) as error:
            return (), f"the exposure is not known: {error}"
        if not self._keys:
            return exposure(desk), ""
        if len(balances) < len(self._venues):
            return exposure(desk), "the exposure is what the log knows: not every venue told its balances"
        bases = dict.fromkeys(symbol.partition("/")[0] for symbol in self._config.symbols)
        unbooked = dict.fromkeys(bases, ZERO)
        for venue, totals in balances.items():
            for asset in bases:
                unbooked[asset] += totals.get(asset, ZERO) - desk.ledger.totals.get((venue, asset), ZERO)
        return exposure(desk, unbooked), ""

    def _keep(self, report: KillReported) -> None:
        """For the daemon's log."""
        path = layout.kill_report(self._state)
        part = path.with_suffix(".part")
        try:
            part.write_bytes(encode_record(report))
            part.replace(path)
        except OSError as error:
            self._log.put("error", "report_not_kept", reason=str(error))

    # ---- events ----------------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        if isinstance(event, RateLimited):
            self._throttles[event.venue].on_limited(event)
            self._log.put("warning", "guard_throttled", venue=event.venue, scope=event.scope, banned=event.banned)
        elif isinstance(event, OpenOrdersListed | QueryFailed) and event.venue in self._looks:
            self._looks[event.venue].answered(event, self._now())
        if self._rest is not None:
            self._rest.on_event(event)

    # ---- other questions -------------------------------------------------------------------------------------------

    def _ping(self) -> dict[str, Any]:
        """For the daemon: we are here, and could reach these venues."""
        ready = {name: venue.refusal(QueryOpenOrders(venue=name)) for name, venue in self._venues.items()}
        return {"pid": os.getpid(), "venues": [{"venue": name, "missing": why} for name, why in ready.items()]}

    def _rehearse(self) -> dict[str, Any]:
        """A kill without harm: one look at each venue, nothing stopped and nothing cancelled."""
        self._looks = {name: Rehearsed(self._now()) for name in self._venues}
        for name, venue in self._venues.items():
            venue.perform(QueryOpenOrders(venue=name))
        return self._rehearsed()

    def _rehearsed(self) -> dict[str, Any]:
        rows = [
            {"venue": name, "elapsed_ms": look.elapsed_ms, "open": look.open, "error": look.error}
            for name, look in self._looks.items()
        ]
        return {"under_way": any(row["elapsed_ms"] is None for row in rows), "rows": rows}


class Rehearsed:
    """One look of a rehearsal."""

    def __init__(self, asked: int) -> None:
        self._asked = asked
        self.elapsed_ms: float | None = None
        self.open: int | None = None
        self.error = ""

    def answered(self, event: OpenOrdersListed | QueryFailed, ts: int) -> None:
        """The list, or why there is none."""
        if self.elapsed_ms is not None or (isinstance(event, QueryFailed) and event.query != "QueryOpenOrders"):
            return
        self.elapsed_ms = (ts - self._asked) / 1e6
        if isinstance(event, OpenOrdersListed):
            self.open = len(event.orders)
        else:
            self.error = event.reason


# ---- the process ----------------------------------------------------------------------------------------------------


def arguments(path: Path, lifeline: int = -1) -> list[str]:
    """The command that starts a guard; with `lifeline` it reads its greeting from that inherited descriptor."""
    command = [sys.executable, "-m", "tradeserver", "guard", str(path)]
    return command if lifeline < 0 else [*command, "--lifeline", str(lifeline)]


def greeting(config: str, keys: Mapping[str, Credentials]) -> bytes:
    """What the daemon writes into the pipe."""
    return msgspec.json.encode(Greeting(config, dict(keys))) + b"\n"


def run(path: Path, lifeline: int = -1) -> int:
    """The whole process; its exit code. Raises ConfigError."""
    return asyncio.run(_main(path, lifeline))


async def kill_here(config: Config, keys: Mapping[str, Credentials], seconds: float) -> dict[str, Any]:
    """A kill by this very process, where neither daemon nor guard answers: the answer of `killed`, proven or not."""
    log = Log("kill", out=sys.stderr, level="error")
    guard = Guard(config, prepare_state(config), keys, log)
    ending = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, ending.set)
    try:
        return await guard.kill_once(ending)
    finally:
        log.close()


async def _main(path: Path, lifeline: int) -> int:
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    # Ctrl-C reaches the whole process group; the daemon decides when its child ends, by closing the pipe.
    loop.add_signal_handler(signal.SIGINT, ending.set if lifeline < 0 else lambda: None)
    if lifeline < 0:
        config = load(path)
        keys = credentials(config)
    else:
        pipe = await _pipe(lifeline)
        line = await pipe.readline()
        if not line.endswith(b"\n"):
            return Exit.OK  # the daemon was gone before it could say anything
        told = msgspec.json.decode(line, type=Greeting)
        config, keys = parse(told.config, str(path), os.environ), told.keys
        watch = asyncio.create_task(_until_eof(pipe, ending))
        watch.add_done_callback(lambda task: ending.set())
    state = prepare_state(config)
    log = Log("guard", level=config.logs.level)
    log.start()
    try:
        guard = Guard(config, state, keys, log)
        loop.add_signal_handler(signal.SIGUSR1, lambda: guard.kill("signal"))
        await guard.run(ending)
    finally:
        log.close()
    return Exit.OK


async def _pipe(fd: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
    )
    return reader


async def _until_eof(pipe: asyncio.StreamReader, ending: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        while await pipe.read(4096):
            pass
    ending.set()


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Sleep, but not past `event`; whether it came."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
