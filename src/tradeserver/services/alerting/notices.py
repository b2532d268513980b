"""What a person is told of the log: one notice a record, or none.

The engine raises an `Alert` where it wants a person; beside those, runs, results and trading states are told, so that
whoever lowers `alerts.least` to "info" can follow a day on a telephone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tradeserver.core.records import (
    Alert,
    ArbitrageClosed,
    Record,
    RunStarted,
    RunStopped,
    Severity,
    StateChanged,
    TradingState,
)
from tradeserver.core.types import plain

RANK: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


class Notice(msgspec.Struct, frozen=True):
    """One thing to tell. `ts` in ns; `code` is stable and what notices are collapsed by."""

    ts: int
    severity: Severity
    code: str
    text: str


def notice(record: Record) -> Notice | None:
    """What to tell of a record, or None."""
    make = _NOTICES.get(type(record))
    return None if make is None else make(record)


def _alert(x: Alert) -> Notice:
    return Notice(x.ts, x.severity, x.code, x.text)


def _started(x: RunStarted) -> Notice:
    text = f"Run {x.run} began: {x.mode}, {', '.join(x.venues)}, {', '.join(x.symbols)}, commit {x.commit}."
    return Notice(x.ts, Severity.INFO, "RUN_STARTED", text)


def _stopped(x: RunStopped) -> Notice:
    return Notice(x.ts, Severity.INFO, "RUN_STOPPED", f"The run ended in order: {x.reason}.")


def _closed(x: ArbitrageClosed) -> Notice:
    text = (
        f"Arbitrage {x.arbitrage} ({x.strategy} {x.base}/{x.quote}) {x.outcome.value}: realised "
        f"{plain(x.realised_edge)} {x.quote}, expected {plain(x.expected_edge)}, {x.hedges} hedges."
    )
    return Notice(x.ts, Severity.INFO, "ARBITRAGE", text)


def _state(x: StateChanged) -> Notice:
    if x.state is TradingState.RUNNING:
        return Notice(x.ts, Severity.INFO, "STATE_CLEARED", f"{x.scope}: {x.reason} is over.")
    latched = Severity.INFO if x.until else Severity.WARNING  # what does not end by itself wants a person
    by = f", by {x.by}" if x.by else ""
    return Notice(x.ts, latched, "STATE", f"{x.scope} is {x.state.value}: {x.reason}{by}.")


_NOTICES: Final[dict[type[Record], Callable[[Any], Notice]]] = {
    Alert: _alert,
    RunStarted: _started,
    RunStopped: _stopped,
    ArbitrageClosed: _closed,
    StateChanged: _state,
}
