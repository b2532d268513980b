"""`record`: what the venues say, as it comes, with receive stamps, onto a tape. Nothing is traded, no key is read.

It is a paper run without strategies whose journal is the tape (`runtime/tape.py`): the same codecs, reconnects, ticks
and digests. So a recording replays, `data verify` proves it, and a backtest takes it as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvloop

from tradeserver.app.wiring import SECOND_NS, commit, make_engine, make_sessions
from tradeserver.config import Config, describe
from tradeserver.config.schema import VenuesConfig
from tradeserver.core.engine import Engine
from tradeserver.core.events import RunBegan
from tradeserver.lab.backtest.run import NoRecords
from tradeserver.net.clock import RunClock
from tradeserver.runtime.journal import JournalHeader
from tradeserver.runtime.latch import MemoryLatch
from tradeserver.runtime.reactor import Reactor
from tradeserver.runtime.supervisor import Supervisor
from tradeserver.runtime.tape import TapeSettings, TapeWriter, is_tape
from tradeserver.runtime.ticks import Ticker
from tradeserver.services.faults import ConfigError, OperatorError
from tradeserver.sessions.paper import PaperSession
from tradeserver.sessions.sockets import SocketTransport

Say = Callable[[str], None]
SAID_EVERY_S = 10.0
NAMES = tuple(f.name for f in dataclasses.fields(VenuesConfig))


def chosen(config: Config, venues: Sequence[str], symbols: Sequence[str]) -> Config:
    """The configuration with these venues and symbols alone, on paper, without strategies. Raises ConfigError."""
    unknown = [name for name in venues if name not in config.enabled]
    if unknown:
        raise ConfigError(f"--venue {unknown[0]}: the file enables {', '.join(config.enabled)}")
    kept = {name: each for name, each in config.enabled.items() if not venues or name in venues}
    section: Any = dataclasses.replace(config.venues, **{name: kept.get(name) for name in NAMES})  # type: ignore[arg-type]
    return dataclasses.replace(
        config, mode="paper", venues=section, symbols=tuple(symbols) or config.symbols, strategies=()
    )


def record(config: Config, out: Path, seconds: float, settings: TapeSettings, say: Say) -> dict[str, Any]:
    """Until `seconds` are over (0: never), SIGINT or SIGTERM; what was recorded. Raises OperatorError."""
    if is_tape(out):
        raise ConfigError(f"{out} holds a recording already: choose another folder with --out")
    return uvloop.run(_Recorder(config, out, settings, say).run(seconds))


class _Recorder:
    """One recording."""

    def __init__(self, config: Config, out: Path, settings: TapeSettings, say: Say) -> None:
        self._config, self._out, self._settings, self._say = config, out, settings, say

    async def run(self, seconds: float) -> dict[str, Any]:
        config = self._config
        clock = RunClock(0)
        start_s = clock() // SECOND_NS
        engine = make_engine(config, "paper", start_s)
        supervisor = Supervisor()
        transports: list[SocketTransport] = []

        def transport() -> SocketTransport:
            transports.append(SocketTransport(config.sockets, supervisor.spawn, random.random))
            return transports[-1]

        sessions = make_sessions(config, "paper", {}, engine, transport)
        header = JournalHeader(
            run=engine.desk.ids.head,
            config=describe.to_toml(describe.masked(config)),
            commit=commit(),
            checkpoint=None,
            started=clock(),
            facts={"wiring": "paper", "start_s": str(start_s)},
        )
        try:
            tape = TapeWriter(self._out, header, self._settings)
        except OSError as error:
            raise ConfigError(f"{self._out} cannot be written: {error.strerror}") from None
        paper = [session for session in sessions if isinstance(session, PaperSession)]
        reactor = Reactor(
            engine, sessions, NoRecords(), tape, clock, MemoryLatch(), on_failure=supervisor.fail, pending=paper
        )
        ticker = Ticker(reactor)

        async def start() -> None:
            reactor.tell(
                RunBegan(
                    ts=0,
                    instance=config.instance.name,
                    mode="paper",
                    commit=header.commit,
                    config_sha256="",
                    recovered=False,
                )
            )
            supervisor.spawn(ticker.run(), "ticks")
            for session in sessions:
                session.start()
            supervisor.spawn(self._watch(engine, reactor, tape, supervisor), "watch")
            if seconds:
                supervisor.spawn(self._end(supervisor, seconds), "end")

        async def stop(reason: str) -> None:
            for each in transports:
                await each.close()
            if reactor.failure is None:
                reactor.end()
            tape.close()

        try:
            await supervisor.run(start, stop)
        finally:
            with contextlib.suppress(OSError, ValueError):
                tape.close()
        if tape.failed:
            raise OperatorError(f"the tape in {self._out} could not be written: {tape.failed}")
        return {
            "folder": str(self._out),
            "run": header.run,
            "seconds": round((clock() - header.started) / 1e9, 1),
            "inputs": reactor.inputs,
            "files": tape.files,
            "bytes": tape.bytes,
            "books": [
                {"venue": venue, "symbol": symbol, "trust": market.trust.value, "update_id": market.book.update_id}
                for (venue, symbol), market in engine.market.symbols.items()
            ],
        }

    async def _end(self, supervisor: Supervisor, seconds: float) -> None:
        await asyncio.sleep(seconds)
        supervisor.request_stop("time is over")

    async def _watch(self, engine: Engine, reactor: Reactor, tape: TapeWriter, supervisor: Supervisor) -> None:
        """A line now and then; the disk's trouble ends the recording."""
        while not tape.failed:
            await asyncio.sleep(SAID_EVERY_S)
            synced = sum(market.trust.value == "synced" for market in engine.market.symbols.values())
            self._say(
                f"{reactor.inputs:,} inputs, {tape.bytes:,} bytes in {tape.files} files, "
                f"{synced} of {len(engine.market.symbols)} books synced"
            )
        supervisor.request_stop(f"the tape failed: {tape.failed}")
