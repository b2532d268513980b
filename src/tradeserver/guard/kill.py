"""One kill after the other, as the guard does them: the latch, the daemon, then by itself over REST until it is true.

The daemon is asked first because it knows its orders: it can say that none is in flight, and prove at once. It gets a
bounded time, and is asked again while the guard is at it by itself, for a loop that thaws.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.config import Config
from tradeserver.core.desk import Desk
from tradeserver.core.events import Event, RateLimited
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
from tradeserver.services import layout
from tradeserver.services.control import asked
from tradeserver.services.faults import OperatorError
from tradeserver.services.logs import Log
from tradeserver.services.messages import public
from tradeserver.sessions.rest_kill import RestKill
from tradeserver.sessions.safety import RestVenue

POLL_S: Final = 0.1
"""Between two questions to a daemon that is killing."""
MISSES: Final = 3
"""Questions in a row that a daemon which has taken a kill may leave unanswered."""
AGAIN_S: Final = 0.5
"""Between two questions to a daemon that did not answer, while the guard is at it by itself."""
DAEMON_S: Final = 60.0
"""What the daemon gets to prove a kill, before the guard does it by itself as well."""


class Kill:
    """The present kill, or the last one. `venues` is filled by whoever owns it; none in paper."""

    def __init__(self, config: Config, state: Path, venues: Mapping[str, RestVenue], now: RunClock, log: Log) -> None:
        self.report: KillReported | None = None  # of a kill that the guard did itself
        self.task: asyncio.Task[None] | None = None
        self.latch = FileLatch(layout.kill_latch(state))
        self._config = config
        self._state = state
        self._venues = venues
        self._now = now
        self._log = log
        self._throttles = {name: Throttle() for name in config.enabled}
        self._hedging = False
        self._began = 0
        self._latched = 0  # when the latch was set for this kill
        self._by = ""
        self._note = ""
        self._rest: RestKill | None = None  # while the guard is at it by itself
        self._daemons: dict[str, Any] | None = None  # the report of a kill that the daemon took

    @property
    def under_way(self) -> bool:
        """Begun and not over."""
        return self.task is not None and not self.task.done()

    def on_event(self, event: Event) -> None:
        """What a venue has answered."""
        if isinstance(event, RateLimited):
            self._throttles[event.venue].on_limited(event)
            self._log.put("warning", "guard_throttled", venue=event.venue, scope=event.scope, banned=event.banned)
        if self._rest is not None:
            self._rest.on_event(event)

    def begin(self, by: str, hedge: bool = False) -> dict[str, Any]:
        """The latch at once, the rest as a task. With `hedge` the daemon is asked before anything is stopped."""
        if not hedge:
            self.latch.press()
        if self.task is not None and not self.task.done():
            if hedge or not self._hedging:
                return self.killed()
            self.task.cancel()  # hedging was wanted, now it is to stop at once
        self._began = self._latched = self._now()
        self._by, self._hedging, self._note = by, hedge, ""
        self._rest = self._daemons = self.report = None
        self._log.put("critical", "guard_kill", by=by, hedge=hedge)
        self.task = asyncio.get_running_loop().create_task(self._run(), name="kill")
        return self.killed()

    def killed(self) -> dict[str, Any]:
        """How far the kill is: the same form as the daemon's answer."""
        report: Any = self.report or self._daemons
        if report is None and self._rest is not None:
            report = self._made(())
        return {"under_way": self.under_way, "latched": self.latch.set, "report": public(report)}

    async def _run(self) -> None:
        if await self._by_daemon():
            return
        if self._hedging:
            self._note = "nothing was hedged: the daemon did not answer"
            self.latch.press()
            self._latched = self._now()
            self._hedging = False
        if not self.latch.set:
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
                await asyncio.sleep(POLL_S)
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
        if await self._first_of(rest):
            self.report = self._joined(rest)
        else:
            left, note = await asyncio.to_thread(self._exposure, rest.balances)
            self._note = "; ".join(each for each in (self._note, note) if each)
            self.report = self._made(left)
        self._keep(self.report)
        self._log.put("warning", "guard_killed", text=in_words(self.report), report=public(self.report))

    async def _first_of(self, rest: RestKill) -> bool:
        """Whether the daemon came back and proved it before we had; it goes on knowing more than we do."""
        ours = asyncio.create_task(rest.run(), name="rest")
        theirs = asyncio.create_task(self._daemon_is_back(), name="daemon")
        try:
            await asyncio.wait({ours, theirs}, return_when=asyncio.FIRST_COMPLETED)
            if ours.done():
                ours.result()
                return False
            return True
        finally:
            for task in (ours, theirs):
                task.cancel()
            await asyncio.gather(ours, theirs, return_exceptions=True)

    async def _daemon_is_back(self) -> None:
        """Ask until it has a proof of the kill that is in force; a cleared one it forgets."""
        patience_s = self._config.guard.daemon_ms / 1_000
        while True:
            await asyncio.sleep(AGAIN_S)
            with contextlib.suppress(OperatorError):
                answer = await asked(layout.control(self._state), "killed", patience_s)
                report = answer["report"]
                if answer["latched"] and report and report["proven"] and not answer["under_way"]:
                    self._daemons = report
                    self._log.put("warning", "guard_relieved", reason="the daemon came back and proved it")
                    return

    def _joined(self, rest: RestKill) -> KillReported:
        """What we found and cancelled, and the daemon's word for the rest."""
        assert self._daemons is not None, "it has proven it"
        rest.conclude()
        theirs = msgspec.convert(self._daemons["exposure"], tuple[AssetExposure, ...])
        self._note = "; ".join(each for each in (self._note, "the daemon came back and proved it") if each)
        return self._made(theirs)

    def _made(self, left: tuple[AssetExposure, ...]) -> KillReported:
        return reported(
            ts=self._now(),
            began=self._began,
            scope="global",
            by=self._by,
            prover="guard",
            venues=self._rest.proofs() if self._rest is not None else (),
            exposure=left,
            note=self._note if self._venues else "paper: no order of ours is at any venue",
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
        if not self._venues:
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
