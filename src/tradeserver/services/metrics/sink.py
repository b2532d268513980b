"""Metrics as a sink of the relay: every record into the catalogue, the daemon's own numbers every two seconds."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tradeserver.runtime.wal_files import first_seq_of, list_segments
from tradeserver.services import layout
from tradeserver.services.control import asked
from tradeserver.services.faults import OperatorError
from tradeserver.services.logs import Log
from tradeserver.services.metrics.catalogue import Catalogue
from tradeserver.services.metrics.pages import Pages
from tradeserver.services.positions import delivered_by
from tradeserver.services.sinks import Batch, SinkError

ASK_S: Final = 2.0


class MetricsSink:
    """See the module. Begins at the end of the log: what was before is the database's to tell."""

    name = "metrics"

    def __init__(self, listen: str, state: Path, log: Log) -> None:
        self._listen = listen
        self._state = state
        self._log = log
        self.catalogue = Catalogue()
        self.pages = Pages(self.catalogue, self.not_ready)
        self._asking: asyncio.Task[None] | None = None
        self._rows: list[tuple[str, dict[str, str], float]] | None = None
        self._at = 0

    async def open(self, noted: int) -> int:
        """Listen, and begin where we were."""
        try:
            await self.pages.start(self._listen)
        except OSError as error:
            raise SinkError(f"metrics.listen {self._listen}: {error.strerror or error}") from None
        self._log.put("info", "metrics_served", port=self.pages.port)
        self._asking = asyncio.create_task(self._ask())
        segments = list_segments(layout.wal(self._state))
        return max(noted, first_seq_of(segments[-1]) - 1 if len(segments) > 1 else 0)

    async def deliver(self, batch: Batch) -> None:
        """Fold."""
        for sequence, record in batch:
            self.catalogue.observe(record)
            self._at = sequence

    def settled(self, at: int) -> int:
        """All of it."""
        return at

    async def close(self) -> None:
        """Stop serving."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
            self._asking = None
        await self.pages.stop()

    def not_ready(self) -> list[str]:
        """Why the daemon could not open an arbitrage now."""
        if self._rows is None:
            return ["the daemon does not answer on its control socket"]
        return [text for name, labels, value in self._rows if (text := _trouble(name, labels, value))]

    async def _ask(self) -> None:
        while True:
            try:
                answer = await asked(layout.control(self._state), "gauges", timeout_s=1.0)
                self._rows = [(str(name), dict(labels), float(value)) for name, labels, value in answer["rows"]]
            except (OperatorError, KeyError, TypeError, ValueError):
                self._rows = None
            self.catalogue.shell(self._rows or ())
            self._own()
            await asyncio.sleep(ASK_S)

    def _own(self) -> None:
        """What the relay knows itself."""
        written = max([self._at, *(int(value) for name, _, value in self._rows or () if name == "wal_sequence")])
        for sink, position in delivered_by(layout.relay_positions(self._state)).items():
            self.catalogue.relay_lag.labels(sink).set(max(0, written - position))
        try:
            self.catalogue.disk_free.set(shutil.disk_usage(self._state).free)
        except OSError:
            pass


_TROUBLES: Final[Mapping[str, tuple[Callable[[float], bool], Callable[[Any], str]]]] = {
    "venue_ready": (lambda value: not value, lambda x: f"{x['venue']} is not ready"),
    "book_trusted": (lambda value: not value, lambda x: f"{x['symbol']} of {x['venue']} cannot be traded on"),
    "trading_restriction": (lambda value: value >= 1, lambda x: f"{x['scope']} is restricted: {x['reason']}"),
    "wal_failed": (bool, lambda _: "the write-ahead log has failed"),
    "kill_latch": (bool, lambda _: "the kill latch is set"),
}


def _trouble(name: str, labels: dict[str, str], value: float) -> str:
    if name not in _TROUBLES:
        return ""
    bad, text = _TROUBLES[name]
    return text(labels) if bad(value) else ""
