"""A URL that is fetched while all is well, so that someone outside notices when it is not.

Silence is the message: no fetch while the log is silent, the daemon is gone or frozen, this process is dead or the
host is. Whoever runs the other side (healthchecks.io, Uptime Kuma, a cron job) decides after how much of it to ring.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from tradeserver.services.logs import Log
from tradeserver.services.secrets import Secret

TIMEOUT_S = 10.0
LOOK_S = 1.0


class Heartbeat:
    """`well` is asked before each fetch. The URL is a secret and is in no line."""

    def __init__(self, url: Secret, every_s: float, well: Callable[[], bool], log: Log) -> None:
        self._url = url
        self._every_s = every_s
        self._well = well
        self._log = log
        self._heard = True  # whether the last fetch succeeded

    async def run(self) -> None:
        """For ever."""
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            while True:
                well = self._well()
                if well:
                    self._note(await self.beat(client))
                await asyncio.sleep(self._every_s if well else min(LOOK_S, self._every_s))

    async def beat(self, client: httpx.AsyncClient) -> str:
        """One fetch; why it failed, or ""."""
        try:
            answer = await client.get(self._url.reveal())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
        return "" if answer.is_success else f"HTTP {answer.status_code}"

    def _note(self, trouble: str) -> None:
        if bool(trouble) is self._heard:
            self._heard = not trouble
            level, event = ("warning", "heartbeat_unheard") if trouble else ("info", "heartbeat_heard")
            self._log.put(level, event, reason=trouble)
