"""The fits process, started and restarted: questions to its input, answers from its output.

At most `MOST_WAITING` questions wait; the next is refused at once. A question that has no answer within `PATIENCE_S`,
or over which the process died, has the answer {}; a silent process is ended and begun anew, with back-off.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from tradeserver.fits.worker import frame, reply
from tradeserver.net.backoff import Backoff, BackoffSettings

MOST_WAITING: Final = 16
PATIENCE_S: Final = 60.0  # its first answer waits for a slow import


class FitsWorker:
    """`run` is its task; `ask` may be called any time."""

    def __init__(
        self,
        answered: Callable[[str, Mapping[str, float]], None],
        told: Callable[[bool, str], None],
        dice: Callable[[], float],
    ) -> None:
        self._answered = answered
        self._told = told
        self._backoff = Backoff(BackoffSettings(), dice)
        self._process: Process | None = None
        self._waiting: dict[int, str] = {}
        self._number = 0
        self._asked = asyncio.Event()

    def ask(self, name: str, series: tuple[tuple[float, ...], ...]) -> bool:
        """Hand the question on; False where nobody is there to answer."""
        process = self._process
        if process is None or process.stdin is None or len(self._waiting) >= MOST_WAITING:
            return False
        self._number += 1
        process.stdin.write(frame((self._number, name, series)))
        self._waiting[self._number] = name
        self._asked.set()
        return True

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._serve()
                reason = "it ended"
            except (OSError, TimeoutError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
                reason = f"{type(error).__name__} {error}".strip()
            self._told(False, reason)
            waiting, self._waiting = self._waiting, {}
            for name in waiting.values():
                self._answered(name, {})
            await asyncio.sleep(self._backoff.next_s())

    async def _serve(self) -> None:
        arguments = ("-m", "tradeserver.fits.worker")
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=PIPE, stdout=PIPE, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        )
        assert process.stdout is not None
        try:
            self._process = process
            self._told(True, f"process {process.pid}")
            while True:
                self._asked.clear()
                if not self._waiting:
                    await self._asked.wait()
                async with asyncio.timeout(PATIENCE_S):
                    size = int.from_bytes(await process.stdout.readexactly(4), "big")
                    number, values = reply(await process.stdout.readexactly(size))
                self._backoff.reset()
                if (name := self._waiting.pop(number, None)) is not None:
                    self._answered(name, values)
        finally:
            self._process = None
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
