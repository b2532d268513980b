"""The daemon's side of the guard: start it with its keys, ask each second whether it is there, take over its reports.

A guard counts as there when it answers, and as away when it has been silent for some questions or its process has
ended. One that is away is told to the engine, which opens nothing new meanwhile, and told again each minute. What it
did while the daemon could not is read from its file once, goes to the engine as an event, and the file is removed when
it is in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.core.records import KillReported
from tradeserver.runtime.supervisor import ChildProcess
from tradeserver.services import layout
from tradeserver.services.control import asked
from tradeserver.services.faults import OperatorError
from tradeserver.services.logs import Log

PERIOD_S: Final = 1.0
HURRY_S: Final = 0.05  # until it has answered for the first time
ANSWER_S: Final = 0.5
MISSES: Final = 3
"""Questions in a row without an answer: it is away."""
START_S: Final = 15.0
"""What a guard may take to begin before it counts as away."""
REMIND_S: Final = 60.0


class GuardWatch:
    """`tell("")`: it is there; `tell(reason)`: it is away. `verified(report)`: it killed without us."""

    def __init__(
        self,
        state: Path,
        child: ChildProcess | None,
        tell: Callable[[str], None],
        verified: Callable[[KillReported], None],
        log: Log,
    ) -> None:
        self.there = False
        self.answer: dict[str, Any] = {}  # to the last question
        self._state = state
        self._child = child
        self._tell = tell
        self._verified = verified
        self._log = log
        self._misses = 0
        self._told_at = 0.0  # when it was last told to be away

    async def run(self) -> None:
        """For ever. Without a child (the guard is switched off) only reports are looked for."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            self._take_report()
            if self._child is not None:
                await self._look(loop.time() - began)
            starting = self._child is not None and not self.there and not self._told_at
            await asyncio.sleep(HURRY_S if starting else PERIOD_S)

    def ended(self, reason: str) -> None:
        """Its process is gone: nobody need wait for silences."""
        if self.there:
            self._away(reason)

    def _away(self, reason: str) -> None:
        self.there = False
        self._told_at = asyncio.get_running_loop().time()
        self._tell(reason)

    async def _look(self, running_s: float) -> None:
        reason = ""
        try:
            self.answer = await asked(layout.guard(self._state), "ping", ANSWER_S)
        except OperatorError as error:
            reason = str(error)
        now = asyncio.get_running_loop().time()
        if not reason:
            self._misses = 0
            self._told_at = 0.0
            if not self.there:
                self.there = True
                self._tell("")
            return
        self._misses += 1
        patient = self._misses < MISSES if self.there or self._told_at else running_s < START_S
        if patient or (self._told_at and now - self._told_at < REMIND_S):
            return
        self._away(reason)

    def _take_report(self) -> None:
        path = layout.kill_report(self._state)
        if not path.exists():
            return
        try:
            self._verified(msgspec.json.decode(path.read_bytes(), type=KillReported))
        except (msgspec.MsgspecError, OSError) as error:
            self._log.put("error", "kill_report_unreadable", path=str(path), reason=str(error))
            path.rename(path.with_suffix(".unreadable"))
            return
        path.unlink()
