"""Alerts as a sink of the relay: notices into each receiver's pile, and the day's report when its hour comes.

Records are taken at once and told at each receiver's pace. The sink's position stays before the oldest notice that a
receiver still waits for, so that a relay that dies tells it again: at least once, rarely twice. Where there is no note
yet, it begins at the end of the log: nobody wants last year's alerts.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from tradeserver.core.records import Severity
from tradeserver.runtime.wal_files import first_seq_of, list_segments
from tradeserver.services.alerting.discord import Discord
from tradeserver.services.alerting.heartbeat import Heartbeat
from tradeserver.services.alerting.message import Channel, Entry, Message
from tradeserver.services.alerting.notices import RANK, Notice, notice
from tradeserver.services.alerting.others import Others
from tradeserver.services.alerting.outlet import Outlet
from tradeserver.services.alerting.picture import draw
from tradeserver.services.alerting.pile import Pile
from tradeserver.services.alerting.settings import AlertSettings
from tradeserver.services.alerting.summary import DAY_NS, Day, day
from tradeserver.services.faults import NotFoundError, OperatorError
from tradeserver.services.logs import Log
from tradeserver.services.secrets import Secret
from tradeserver.services.sinks import Batch, SinkError
from tradeserver.services.store import read

SECOND_NS: Final = 1_000_000_000
FINISH_S: Final = 3.0
LOOK_S: Final = 5.0
"""Between two looks at the clock for the day's report."""


Find = Callable[[str, str], Secret]
"""Finds a secret by its reference; the second argument says whose it is."""


def channels(settings: AlertSettings, find: Find) -> list[Channel]:
    """Everybody who is to be told. Resolves the references: may block. Raises OperatorError."""
    found: list[Channel] = []
    for n, reference in enumerate(settings.discord):
        found.append(Discord(find(reference, f"alerts.discord[{n}]"), f"discord[{n}]"))
    for n, reference in enumerate(settings.others):
        found.append(Others(find(reference, f"alerts.others[{n}]"), f"others[{n}]"))
    return found


class AlertSink:
    """See the module. `well` says whether a daemon lives, for the heartbeat; `store_url` "" is no daily summary."""

    name = "alerts"

    def __init__(
        self,
        settings: AlertSettings,
        instance: str,
        directory: Path,
        summed: Path,
        store_url: str,
        find: Find,
        well: Callable[[], bool],
        log: Log,
    ) -> None:
        self._settings = settings
        self._instance = instance
        self._directory = directory
        self._summed = summed
        self._store_url = store_url
        self._find = find
        self._well = well
        self._log = log
        self.outlets: list[Outlet] = []
        self._early: list[Notice] = []  # what the relay had to say before the receivers were there
        self._carriers: list[asyncio.Task[None]] = []
        self._helpers: list[asyncio.Task[None]] = []

    async def open(self, noted: int) -> int:
        """Where we were, or the end of the log."""
        try:
            found = await asyncio.to_thread(channels, self._settings, self._find)
            beat = await asyncio.to_thread(self._heartbeat)
        except OperatorError as error:
            raise SinkError(str(error)) from None
        self.outlets = [Outlet(channel, self._pile(), self._instance, self._log) for channel in found]
        self._carriers = [asyncio.create_task(outlet.run()) for outlet in self.outlets]
        if beat is not None:
            self._helpers.append(asyncio.create_task(beat.run()))
        if self._store_url and self._settings.summary_at and self.outlets:
            self._helpers.append(asyncio.create_task(self._sum_up()))
        early, self._early = self._early, []
        for said in early:
            self._take(said, 0)
        segments = list_segments(self._directory)
        return noted or (first_seq_of(segments[-1]) - 1 if len(segments) > 1 else 0)

    async def deliver(self, batch: Batch) -> None:
        """Into the piles. Raises what a task of ours has died of."""
        for task in (*self._carriers, *self._helpers):
            if task.done():
                task.result()
        for sequence, record in batch:
            said = notice(record)
            if said is not None:
                self._take(said, sequence)

    def tell(self, severity: Severity, code: str, text: str) -> None:
        """What the relay says by itself, while the log is silent."""
        said = Notice(time.time_ns(), severity, code, text)
        if self.outlets:
            self._take(said, 0)
        else:
            self._early = [*self._early[-9:], said]

    def settled(self, at: int) -> int:
        """All before the oldest that somebody still waits for."""
        return min((o.pile.oldest - 1 for o in self.outlets if not o.gone and o.pile.oldest), default=at)

    async def close(self) -> None:
        """Send what waits, within a bounded time."""
        for task in self._helpers:
            task.cancel()
        await asyncio.gather(*self._helpers, return_exceptions=True)
        ending = [outlet.finish(task, FINISH_S) for outlet, task in zip(self.outlets, self._carriers, strict=True)]
        await asyncio.gather(*ending, return_exceptions=True)
        for outlet in self.outlets:
            await outlet.channel.close()
        self._helpers, self._carriers = [], []

    def _take(self, said: Notice, sequence: int) -> None:
        if RANK[said.severity] >= RANK[Severity(self._settings.least)]:
            now = time.time_ns()
            for outlet in self.outlets:
                outlet.pile.add(said, sequence, now)

    def _pile(self) -> Pile:
        s = self._settings
        return Pile(s.per_minute, *(int(t * SECOND_NS) for t in (s.gather_s, s.repeat_s, s.repeat_most_s)))

    def _heartbeat(self) -> Heartbeat | None:
        s = self._settings
        if not s.heartbeat:
            return None
        return Heartbeat(self._find(s.heartbeat, "alerts.heartbeat"), s.heartbeat_s, self._well, self._log)

    # ---- the day's report ------------------------------------------------------------------------------------------

    async def _sum_up(self) -> None:
        while True:
            begins = due_day(self._settings.summary_at, time.time_ns())
            name = time.strftime("%Y-%m-%d", time.gmtime(begins // SECOND_NS))
            if self._last() < name:
                with contextlib.suppress(SQLAlchemyError, NotFoundError):  # the database is down: later
                    message = await asyncio.to_thread(_report, self._instance, self._store_url, begins)
                    if message is not None:
                        for outlet in self.outlets:
                            outlet.report(message)
                    with contextlib.suppress(OSError):
                        self._summed.write_text(name)
            await asyncio.sleep(LOOK_S)

    def _last(self) -> str:
        """The last day that was summed up, or ""."""
        try:
            return self._summed.read_text()
        except (OSError, UnicodeDecodeError):
            return ""


def due_day(at: str, now: int) -> int:
    """Where the latest day begins (ns) whose report is due at `now`: yesterday, or before `at` the day before it."""
    hours, _, minutes = at.partition(":")
    today = now - now % DAY_NS
    passed = now - today >= (int(hours) * 3_600 + int(minutes) * 60) * SECOND_NS
    return today - (1 if passed else 2) * DAY_NS


def report(instance: str, found: Day) -> Message:
    """A day's message, with its picture. Blocks."""
    entry = Entry(Severity.INFO, f"{instance}, {found.name}", found.text(), found.begins + DAY_NS)
    return Message(instance, (entry,), draw(found))


def _report(instance: str, store_url: str, begins: int) -> Message | None:
    engine = read(store_url)
    try:
        found = day(engine, begins)
        return None if found is None else report(instance, found)
    finally:
        engine.dispose()


def samples(now: int) -> Sequence[Notice]:
    """One notice of each severity, for `alert test`."""
    return [
        Notice(now, severity, "TEST", f"This is a test of a {severity.value} alert. Nothing happened.")
        for severity in (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
    ]
