"""Trading states by scope: what may leave, and why not.

A state is an entry under (scope, reason): a venue may be NO_NEW for two reasons at once, and clearing one leaves the
other. An entry expires at its time or is a latch that a person clears. The state that counts is the most severe of
those that apply. Entries live in the write-ahead log: a restart clears none. This module decides nothing; it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tradeserver.core.records import StateChanged, TradingState

SEVERITY: Final = {
    TradingState.RUNNING: 0,
    TradingState.NO_NEW: 1,
    TradingState.HEDGE_ONLY: 2,
    TradingState.HALTED: 3,
}


class States:
    """All entries that are not RUNNING."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], StateChanged] = {}

    def apply(self, record: StateChanged) -> None:
        if record.state is TradingState.RUNNING:
            self._entries.pop((record.scope, record.reason), None)
        else:
            self._entries[record.scope, record.reason] = record

    def of(self, ts: int, venues: Iterable[str] = (), symbol: str = "", strategy: str = "") -> StateChanged | None:
        """The most severe entry that applies now, or None for RUNNING."""
        if not self._entries:
            return None
        scopes = {"global": None, f"symbol:{symbol}": None, f"strategy:{strategy}": None}
        scopes.update((f"venue:{venue}", None) for venue in venues)
        worst: StateChanged | None = None
        for entry in self._entries.values():
            applies = entry.scope in scopes and (not entry.until or ts < entry.until)
            if applies and (worst is None or SEVERITY[entry.state] > SEVERITY[worst.state]):
                worst = entry
        return worst

    def has(self, scope: str, reason: str) -> bool:
        """Whether this very entry is set."""
        return (scope, reason) in self._entries

    def until(self, scope: str, reason: str) -> int:
        """When this very entry ends; 0 where it is a latch or not set."""
        entry = self._entries.get((scope, reason))
        return entry.until if entry is not None else 0

    def expired(self, ts: int) -> list[StateChanged]:
        """Entries whose time is over: the engine records their end."""
        return [e for e in self._entries.values() if e.until and ts >= e.until]

    def entries(self) -> tuple[StateChanged, ...]:
        return tuple(self._entries.values())

    def next_deadline(self) -> int:
        return min((e.until for e in self._entries.values() if e.until), default=0)
