"""The relay: a process of its own that tails the write-ahead log and delivers what is synced.

Sinks are NATS, the database, alerts, metrics and the log lines on standard output. Each has its own position, its own
reader and its own pace: one that is down waits and catches up by itself, after an outage of any length, and holds up
nobody else. The trading process knows nothing of all this; it only holds the other end of a pipe.

One relay delivers (a lock file; a second one waits for it). It ends on EOF of the inherited pipe, or on SIGTERM, after
it has delivered what the log holds. When the log falls silent it asks the daemon's control socket and says what it
finds: gone, frozen, or alive with a failed log.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tradeserver.config import Config, prepare_state, resolver
from tradeserver.core.records import Severity
from tradeserver.net.backoff import Backoff, BackoffSettings
from tradeserver.runtime.wal_files import WalDamagedError
from tradeserver.runtime.wal_read import Tail
from tradeserver.services import layout
from tradeserver.services.control import ask
from tradeserver.services.faults import Exit, NotRunningError, OperatorError
from tradeserver.services.lock import Lock
from tradeserver.services.logs import Log
from tradeserver.services.nats import Publisher, shown
from tradeserver.services.positions import Positions
from tradeserver.services.secrets import no_core_dumps
from tradeserver.services.sinks import LogSink, NatsSink, Sink, SinkError, StoreSink, Tells

POLL_S: Final = 0.02
SAVE_S: Final = 0.5
DRAIN_S: Final = 8.0  # less than the daemon waits for us
LOST_S: Final = 1.0  # for a sink that was down already when we were told to stop: it will hardly come back just now
SILENCE_S: Final = 5.0
REMIND_S: Final = 60.0
BATCH: Final = 1_000
BACKOFF: Final = BackoffSettings(first_s=0.1, factor=2.0, cap_s=5.0, jitter=0.5)


class Relay:
    """Everything above, running."""

    def __init__(
        self,
        state: Path,
        sinks: Sequence[Sink],
        log: Log,
        watched: LogSink | None = None,
        pages: Sequence[Callable[[Severity, str, str], None]] = (),
    ) -> None:
        self._state = state
        self._sinks = sinks
        self._log = log
        self._watched = watched
        self._pages = pages
        self._at: dict[str, int] = {}  # what each sink has taken
        self._stopping = asyncio.Event()
        self._lost: set[str] = set()  # sinks that are down
        self._lock = Lock(layout.relay_lock(state))
        self._positions = Positions(layout.relay_positions(state), [sink.name for sink in sinks])

    def stop(self) -> None:
        """Deliver what the log holds, then end."""
        self._stopping.set()

    async def run(self, drain_s: float = DRAIN_S, lost_s: float = LOST_S) -> None:
        """Until `stop`. What a sink could not take within `drain_s` after it (`lost_s` where it is down) is left to the
        next relay.
        """
        if not await self._take_lock():
            return
        self._log.put("info", "relay_started", sinks=[sink.name for sink in self._sinks])
        helpers = [asyncio.create_task(self._save_often())]
        if self._watched is not None:
            helpers.append(asyncio.create_task(self._watch(self._watched)))
        workers = {asyncio.create_task(self._drive(sink)): sink.name for sink in self._sinks}
        try:
            await self._stopping.wait()
            _, late = await asyncio.wait(workers, timeout=min(lost_s, drain_s))
            slow = {task for task in late if workers[task] not in self._lost}
            if slow:
                await asyncio.wait(slow, timeout=max(0.0, drain_s - lost_s))
            for task in (task for task in late if not task.done()):
                self._log.put("warning", "relay_undelivered", sink=workers[task], at=self._positions[workers[task]])
        finally:
            for task in (*workers, *helpers):
                task.cancel()
            await asyncio.gather(*workers, *helpers, return_exceptions=True)
            self._positions.save()
            self._lock.release()
            self._log.put("info", "relay_stopped", **{sink.name: self._positions[sink.name] for sink in self._sinks})

    async def _take_lock(self) -> bool:
        waited = False
        while not self._lock.take():
            if not waited:
                self._log.put("info", "relay_waits", owner=self._lock.owner())
                waited = True
            if await self._pause(0.1):
                return False
        return True

    async def _drive(self, sink: Sink) -> None:
        backoff = Backoff(BACKOFF, random.random)
        while True:
            try:
                await self._follow(sink, backoff)
                return
            except (SinkError, WalDamagedError) as error:
                if not backoff.failures:
                    self._log.put("warning", "relay_sink_lost", sink=sink.name, reason=str(error))
            except Exception as error:  # a bug in one sink must not silence the others
                self._log.put("error", "relay_sink_failed", sink=sink.name, exc_info=error)
            finally:
                await sink.close()
                self._settle(sink)
            self._lost.add(sink.name)
            # Once told to stop, go on trying at a steady pace: `run` bounds the time.
            await asyncio.sleep(backoff.next_s()) if self._stopping.is_set() else await self._pause(backoff.next_s())

    async def _follow(self, sink: Sink, backoff: Backoff) -> None:
        """Deliver until told to stop and nothing is left. Raises SinkError, WalDamagedError."""
        directory = layout.wal(self._state)
        position = await sink.open(self._positions[sink.name])
        _require(directory, position, sink.name)
        self._at[sink.name] = position
        self._settle(sink)
        tail = Tail(directory, position)
        try:
            while True:
                stopping = self._stopping.is_set()  # asked before reading: what was written before it is delivered
                batch = tail.poll(BATCH)
                if batch:
                    await sink.deliver(batch)
                    self._at[sink.name] = batch[-1][0]
                    self._settle(sink)
                if backoff.failures:  # only now does it work again: it has taken something, or has everything
                    backoff.reset()
                    self._lost.discard(sink.name)
                    self._log.put("info", "relay_sink_back", sink=sink.name, continues_after=position)
                if not batch:
                    if stopping:
                        return
                    await self._pause(POLL_S)
        finally:
            tail.close()

    def _settle(self, sink: Sink) -> None:
        if sink.name in self._at:
            self._positions.note(sink.name, sink.settled(self._at[sink.name]))

    async def _save_often(self) -> None:
        while True:
            await asyncio.sleep(SAVE_S)
            self._positions.save()

    async def _watch(self, heard: LogSink) -> None:
        """Records come each second while a daemon lives. When they do not, find out why and say so."""
        told = 0.0
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            if heard.stopped or self._stopping.is_set() or now - heard.heard < SILENCE_S or now - told < REMIND_S:
                continue
            code, text = await asyncio.to_thread(silence, layout.control(self._state))
            self._log.put("critical", code, text=text, silent_s=round(now - heard.heard, 1))
            for page in self._pages:
                page(Severity.CRITICAL, code, text)
            told = now

    async def _pause(self, seconds: float) -> bool:
        """Sleep, but not past `stop`. True once we are to stop."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _require(directory: Path, position: int, sink: str) -> None:
    """The log must hold what the sink has, or the two do not belong together. Raises SinkError."""
    if not position:
        return
    probe = Tail(directory, position - 1)
    try:
        if not probe.poll(1):
            raise SinkError(
                f"{sink} is at sequence {position}, which the log in {directory} has not reached: it was filled from "
                f"another state directory; give this instance another name, or empty the {sink}"
            )
    finally:
        probe.close()


def silence(control: Path) -> tuple[str, str]:
    """Why the log is silent: a stable code and a sentence. Blocks for some seconds at most."""
    try:
        status = ask(control, "status", timeout_s=3)
    except NotRunningError:
        return "DAEMON_GONE", "no records and nobody listens on the control socket: the daemon is gone"
    except OperatorError as error:
        return "DAEMON_FROZEN", f"no records and no answer from the daemon: {error}"
    failed = status.get("wal_failed", "") if isinstance(status, dict) else ""
    if failed:
        return "WAL_FAILED", f"the daemon cannot write its log any more: {failed}"
    return "WAL_SILENT", "the daemon answers but has written no record: its log or its ticks have stopped"


# ---- the process ----------------------------------------------------------------------------------------------------


def arguments(path: Path, lifeline: int = -1) -> list[str]:
    """The command that starts a relay for the configuration in `path`; `lifeline` is the inherited pipe's read end."""
    command = [sys.executable, "-m", "tradeserver", "relay", str(path)]
    return command if lifeline < 0 else [*command, "--lifeline", str(lifeline)]


def sinks(config: Config, state: Path, log: Log) -> list[Sink]:
    """The sinks that the configuration asks for."""
    found: list[Sink] = []
    if config.nats.enabled:
        found.append(NatsSink(lambda: _publisher(config)))
    if config.store.enabled:
        found.append(StoreSink(config.store_url))
    lines = LogSink(log, layout.wal(state))
    if config.alerts.discord or config.alerts.others or config.alerts.heartbeat:
        from tradeserver.services.alerting.sink import AlertSink  # not for the daemon, which imports `arguments`

        found.append(
            AlertSink(
                config.alerts,
                config.instance.name,
                layout.wal(state),
                layout.summed_up(state),
                config.store_url if config.store.enabled else "",
                resolver(config),
                lines.well,
                log,
            )
        )
    if config.metrics.listen:
        from tradeserver.services.metrics.sink import MetricsSink

        found.append(MetricsSink(config.metrics.listen, state, log))
    return [*found, lines]


def _publisher(config: Config) -> Publisher:
    s = config.nats
    return Publisher(s.url, config.instance.name, s.duplicate_window_s, s.max_age_days * 86_400)


def run(config: Config, lifeline: int = -1) -> int:
    """The whole process; returns its exit code. Raises ConfigError."""
    no_core_dumps()
    state = prepare_state(config)
    log = Log("relay", level=config.logs.level)
    log.start()
    try:
        asyncio.run(_main(config, state, log, lifeline))
    finally:
        log.close()
    return Exit.OK


async def _main(config: Config, state: Path, log: Log, lifeline: int) -> None:
    mine = sinks(config, state, log)
    watched = next(sink for sink in mine if isinstance(sink, LogSink))
    relay = Relay(state, mine, log, watched, [sink.tell for sink in mine if isinstance(sink, Tells)])
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, relay.stop)
    if lifeline < 0:
        loop.add_signal_handler(signal.SIGINT, relay.stop)
    else:
        # Ctrl-C reaches the whole process group; the daemon decides when we end, by closing the pipe.
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_reader(lifeline, _on_lifeline, loop, lifeline, relay.stop)
    if config.nats.enabled:
        log.put("info", "relay_publishes", url=shown(config.nats.url), instance=config.instance.name)
    await relay.run()


def _on_lifeline(loop: asyncio.AbstractEventLoop, fd: int, stop: Callable[[], None]) -> None:
    try:
        if os.read(fd, 4096):
            return
    except BlockingIOError:
        return
    except OSError:
        pass
    loop.remove_reader(fd)
    stop()
