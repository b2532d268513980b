"""One receiver: its channel, its pile, and the task that carries the one to the other.

Whatever happens to one receiver holds up no other. What it does not take waits, collapsed, for as long as it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import Final

from tradeserver.net.backoff import Backoff, BackoffSettings
from tradeserver.services.alerting.message import Channel, GoneError, LaterError, Message, RefusedError, of_lines
from tradeserver.services.alerting.pile import Pile
from tradeserver.services.logs import Log

LOOK_S: Final = 0.1
GONE_S: Final = 3_600.0
"""A receiver that is gone is tried again after this."""
MOST_WAIT_S: Final = 900.0
"""Longer than this nobody is waited for, whatever it asks."""
BACKOFF: Final = BackoffSettings(first_s=1.0, factor=2.0, cap_s=60.0, jitter=0.5)


class Outlet:
    """See the module. `sent` counts messages."""

    def __init__(self, channel: Channel, pile: Pile, instance: str, log: Log) -> None:
        self.channel = channel
        self.pile = pile
        self.sent = 0
        self.gone = False  # for good, as it seems: nothing is kept for it
        self._instance = instance
        self._log = log
        self._backoff = Backoff(BACKOFF, random.random)
        self._reports: list[Message] = []
        self._ending = asyncio.Event()

    def report(self, message: Message) -> None:
        """A message that is not collapsed: the daily summary. The latest few are kept for a receiver that is down."""
        self._reports = [*self._reports[-2:], message]

    async def run(self) -> None:
        """Until `finish`; a message under way is not cut off by it, or it would be told twice."""
        while not self._ending.is_set():
            wait_s = await self.step() or LOOK_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), wait_s)

    async def step(self) -> float:
        """One message, if there is one to send. How long to wait for the next, s; 0: as usual."""
        if self._reports:
            wait_s = await self._send(self._reports[0])
            if not wait_s:
                self._reports.pop(0)
            return wait_s
        lines = self.pile.take(time.time_ns())
        if not lines:
            return 0.0
        wait_s = await self._send(of_lines(self._instance, lines))
        if wait_s:
            self.pile.untold()
        else:
            self.pile.told(time.time_ns())
        return wait_s

    async def finish(self, running: asyncio.Task[None], patience_s: float) -> None:
        """The relay ends: whatever waits is sent now, or left to the next relay. `running` is the task of `run`."""
        self._ending.set()
        try:
            async with asyncio.timeout(patience_s):
                await running
                self.pile.hurry()
                while len(self.pile) and not await self.step():
                    self.pile.hurry()
        except TimeoutError:
            self.pile.untold()

    async def _send(self, message: Message) -> float:
        """0 when there is nothing more to do with it, else when to try again, s."""
        try:
            await self.channel.send(message)
        except LaterError as error:
            if not self._backoff.failures:
                self._log.put("warning", "alerts_waiting", channel=self.channel.name, reason=str(error))
            wait_s = self._backoff.next_s()
            return max(min(error.after_s, MOST_WAIT_S) or wait_s, 0.001)
        except RefusedError as error:
            self._log.put("error", "alert_refused", channel=self.channel.name, reason=str(error))
            return 0.0
        except GoneError as error:
            self.gone, dropped = True, self.pile.drop()
            self._log.put("error", "alerts_gone", channel=self.channel.name, reason=str(error), dropped=dropped)
            return GONE_S
        if self._backoff.failures or self.gone:
            self.gone = False
            self._backoff.reset()
            self._log.put("info", "alerts_back", channel=self.channel.name)
        self.sent += 1
        return 0.0
