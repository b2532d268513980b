"""The guard's life: its triggers, its socket, its conversations with the venues, and how the process begins and ends.

The daemon hands it configuration and keys over the inherited pipe, never by command line or environment; it ends on EOF
of that pipe. Started by hand it takes the keys from the configuration's references and outlives daemons. One guard
works (a lock file); a second one waits for it. What a kill is, is in `kill.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.config import Config, credentials, load, parse, prepare_state
from tradeserver.core.commands import QueryOpenOrders
from tradeserver.core.events import Event, OpenOrdersListed, QueryFailed
from tradeserver.guard.kill import Kill
from tradeserver.net.clock import RunClock
from tradeserver.services import layout, words
from tradeserver.services.control import Server, asked
from tradeserver.services.faults import Exit, OperatorError
from tradeserver.services.lock import Lock
from tradeserver.services.logs import Log
from tradeserver.services.secrets import no_core_dumps
from tradeserver.sessions.safety import RestVenue
from tradeserver.venues.base import Credentials
from tradeserver.venues.registry import CODECS

LOOK_S: Final = 0.1
"""Between two looks for the stop file, or for the lock of another guard."""
FINISH_S: Final = 120.0
"""How long a kill may go on after the pipe has closed."""
HEARD_S: Final = 1.0
"""And how long whoever waits for its proof may take to ask once more."""


class Greeting(msgspec.Struct, frozen=True):
    """The one line that the daemon writes into the pipe: the configuration as it runs by, and the keys."""

    config: str
    keys: dict[str, Credentials]


class Guard:
    """See the package. `kill` is its purpose."""

    def __init__(self, config: Config, state: Path, keys: Mapping[str, Credentials], log: Log) -> None:
        self._config = config
        self._state = state
        self._keys = keys
        self._log = log
        self._now = RunClock()
        self._venues: dict[str, RestVenue] = {}
        self._kill = Kill(config, state, self._venues, self._now, log)
        self._looks: dict[str, Rehearsed] = {}
        self._hears = False  # commands over NATS
        self._server = Server(layout.guard(state), self._verbs(), lambda error: self._failed("socket", error))

    def _verbs(self) -> dict[str, Any]:
        return {
            "ping": self._ping,
            "kill": lambda hedge=False, source="control": self.kill(source, hedge),
            "killed": self._kill.killed,
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
        self._log.put("info", "guard_started", venues=list(self._venues), latched=self._kill.latch.set)
        try:
            await ending.wait()
            if self._kill.task is not None and not self._kill.task.done():
                await asyncio.wait({self._kill.task}, timeout=FINISH_S)
                await asyncio.sleep(HEARD_S)
        finally:
            await self._server.stop()
            await self._hang_up(helpers)
            lock.release()
            self._log.put("info", "guard_stopped")

    async def kill_once(self, ending: asyncio.Event) -> dict[str, Any]:
        """One kill without a life around it; ended, proven or not, by `ending`."""
        helpers = self._reach_out()
        try:
            self.kill("control")
            assert self._kill.task is not None, "just begun"
            waiter = asyncio.create_task(ending.wait())
            await asyncio.wait({self._kill.task, waiter}, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
            return self._kill.killed()
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
        tasks = [*helpers, *([self._kill.task] if self._kill.task is not None else [])]
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
            self._on_nats,
        )

    def _on_nats(self, up: bool, text: str) -> None:
        self._hears = up
        self._log.put("info" if up else "warning", "guard_nats", up=up, text=text)

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
        """The latch at once, the rest as a task: see `guard/kill.py`."""
        answer = self._kill.begin(by, hedge)
        if self._kill.task is not None:
            self._kill.task.add_done_callback(self._helper_over)
        return answer

    # ---- events ----------------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        self._kill.on_event(event)
        if isinstance(event, OpenOrdersListed | QueryFailed) and event.venue in self._looks:
            self._looks[event.venue].answered(event, self._now())

    # ---- other questions -------------------------------------------------------------------------------------------

    def _ping(self) -> dict[str, Any]:
        """For the daemon: we are here, and could reach these venues."""
        ready = {name: venue.refusal(QueryOpenOrders(venue=name)) for name, venue in self._venues.items()}
        return {
            "pid": os.getpid(),
            "nats": self._hears,
            "venues": [{"venue": name, "missing": why} for name, why in ready.items()],
        }

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
    no_core_dumps()
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
        config, keys = parse(told.config, str(path)), told.keys  # overrides are in it already
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
