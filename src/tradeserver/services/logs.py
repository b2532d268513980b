"""Logging: JSON lines on a pipe, readable lines on a terminal, secrets scrubbed by their type.

Nothing here runs on the hot path. What the engine decides is logged by the relay, which reads the records in its own
process (`notable` says which and how). What the shell itself has to say goes through `Log.put`, an append to a bounded
queue; a thread of its own renders and writes, so that a stuck terminal or a full pipe never holds up the loop: when the
queue is full, lines are dropped and counted.
"""

from __future__ import annotations

import collections
import contextlib
import sys
import threading
import time
from collections.abc import Callable, MutableMapping
from decimal import Decimal
from typing import Any, Final, TextIO

import msgspec
import structlog

from tradeserver.core.records import (
    Alert,
    ArbitrageClosed,
    ArbitrageOpened,
    BookChanged,
    ExposureHeld,
    FillBooked,
    HedgeDecided,
    KillReported,
    LinkChanged,
    OperatorNoted,
    Record,
    RunStarted,
    RunStopped,
    Severity,
    StateChanged,
    TradingState,
    kind_of,
)
from tradeserver.core.types import plain
from tradeserver.services.messages import public
from tradeserver.services.secrets import MASK, Secret
from tradeserver.venues.base import Credentials

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_ALERT_LEVELS: Final = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "critical"}


def scrub(value: Any) -> Any:
    """`value` with every secret in it masked, however deep, and money in plain notation."""
    if isinstance(value, Secret | Credentials):
        return MASK
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {key: scrub(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [scrub(item) for item in value]
    return value


def renderer(out: TextIO, level: str = "info", terminal: bool | None = None) -> structlog.typing.FilteringBoundLogger:
    """A logger that writes to `out` at once, in the caller's thread. `terminal` None asks `out` itself."""
    human = out.isatty() if terminal is None else terminal
    # Plain tracebacks: the pretty ones print local variables, secrets among them.
    last: structlog.typing.Processor
    last = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if human
        else structlog.processors.JSONRenderer(_json)
    )
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[
            structlog.processors.add_log_level,
            _stamp,
            _scrub,
            *([_for_the_eye] if human else [structlog.processors.format_exc_info]),
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        cache_logger_on_first_use=True,
    )
    return logger


def _json(value: Any, **_: Any) -> str:
    return msgspec.json.encode(value, enc_hook=_plain).decode()


def _plain(value: Any) -> Any:
    try:
        return public(value)
    except TypeError:
        return repr(value)


def _stamp(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """When it happened (`ts_ns`, given by the caller) or else now, as an integer and for the eye."""
    ts = line.setdefault("ts_ns", time.time_ns())
    seconds, rest = divmod(ts, 1_000_000_000)
    line["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06d}Z"
    return line


def _for_the_eye(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    line.pop("ts_ns", None)  # the timestamp says it
    return line


def _scrub(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in line.items():
        line[key] = scrub(value)
    return line


# ---- the daemon's side: a queue and a thread ------------------------------------------------------------------------


class Log:
    """`put` from the loop; a thread writes. `name` is bound to every line (the process: "daemon", "relay")."""

    def __init__(
        self, name: str, out: TextIO | None = None, level: str = "info", most: int = 10_000, every_s: float = 0.05
    ) -> None:
        self.dropped = 0
        self._logger = renderer(out or sys.stdout, level).bind(process=name)
        self._least = LEVELS[level]
        self._queue: collections.deque[tuple[str, str, dict[str, Any]]] = collections.deque()
        self._most = most
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, level: str, event: str, /, **fields: Any) -> None:
        """Queue one line. Never blocks, never raises; a full queue drops the line and counts it."""
        if LEVELS[level] < self._least:
            return
        if len(self._queue) >= self._most:
            self.dropped += 1
            return
        fields.setdefault("ts_ns", time.time_ns())
        self._queue.append((level, event, fields))

    def start(self) -> None:
        """Start the writing thread."""
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def close(self, patience_s: float = 2.0) -> None:
        """Write what is queued and stop; gives up after `patience_s` when the output is stuck."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(patience_s)
            self._thread = None
        else:
            self._drain()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._queue:
            level, event, fields = self._queue.popleft()
            with contextlib.suppress(OSError, ValueError):  # the reader of our output is gone: nobody to tell
                getattr(self._logger, level)(event, **fields)
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            with contextlib.suppress(OSError, ValueError):
                self._logger.warning("log_lines_dropped", count=dropped)


# ---- the relay's side: records worth a line -------------------------------------------------------------------------


def _level_of_state(record: StateChanged) -> str:
    return "info" if record.state is TradingState.RUNNING else "warning"


_NOTABLE: Final[dict[type[Record], Callable[[Any], str]]] = {
    RunStarted: lambda r: "info",
    RunStopped: lambda r: "info",
    ArbitrageOpened: lambda r: "info",
    ArbitrageClosed: lambda r: "warning" if r.one_sided else "info",
    HedgeDecided: lambda r: "warning",
    ExposureHeld: lambda r: "critical",
    FillBooked: lambda r: "info",
    StateChanged: _level_of_state,
    LinkChanged: lambda r: "info" if r.up else "warning",
    BookChanged: lambda r: "info",
    OperatorNoted: lambda r: "info" if r.source == "shell" else "warning",
    KillReported: lambda r: "warning" if r.proven else "critical",
    Alert: lambda r: _ALERT_LEVELS[r.severity],
}


def notable(sequence: int, record: Record) -> tuple[str, str, dict[str, Any]] | None:
    """(level, event, fields) of a record that deserves a line in the log, else None."""
    level_of = _NOTABLE.get(type(record))
    if level_of is None:
        return None
    return level_of(record), kind_of(record), {"sequence": sequence, **public(record)}
