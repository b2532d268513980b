"""How much of a venue's rate limits is left: fed by the server's own figures, never by a guess of ours alone.

A `RateBudget` holds one window per limit ("weight", "orders_10s", "spot"). The server's count replaces ours whenever it
is heard; between two answers the cost of what was sent and not yet answered is added. A share of each window is kept
for safety traffic (cancels, hedges, queries about unknown orders): ordinary traffic is refused before the limit.
What a 429 or 418 says ("not before") is kept too. No clock: every call brings `ts`, our nanoseconds.

It does not wait, queue or retry: it answers "may I", and whoever asks decides.

Windows are either aligned to the venue's wall clock (Binance: the minute counter resets at :00, rest-api.md "IP
limits", 2026-07-21) or end when the server says so (KuCoin: `gw-ratelimit-reset`, "Rate limit", 2025-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from tradeserver.core.events import RateLimited

RESERVED_SHARE: Final = 0.2
"""Share of every window that only safety traffic may use."""

MOST: Final = 10**12
"""No limit is larger: a venue's absurd number must not break the arithmetic."""


class Window(msgspec.Struct):
    """One limit. `resets` is when `used` goes back to zero, our clock, 0 while unknown."""

    limit: int
    interval_ns: int
    ordinary: int = 0  # of the limit, what traffic other than for safety may use
    used: int = 0
    ahead: int = 0  # sent and not yet answered
    resets: int = 0
    until: int = 0  # throttled by name until then


class RateBudget:
    """All windows of one account at one venue."""

    def __init__(self, venue: str, reserved_share: float = RESERVED_SHARE) -> None:
        self.venue = venue
        self.banned_until = 0
        self.offset_ns = 0  # venue clock minus ours: where aligned windows end
        self._reserved_share = reserved_share
        self._windows: dict[str, Window] = {}

    def limit(self, scope: str, limit: int, interval_ns: int) -> None:
        """The venue's rules say that `scope` allows `limit` in each interval."""
        window = self._windows.setdefault(scope, Window(limit, interval_ns))
        window.limit, window.interval_ns = max(-MOST, min(limit, MOST)), interval_ns
        window.ordinary = int(window.limit * (1 - self._reserved_share))

    def observe(self, scope: str, used: int, ts: int, resets: int = 0) -> None:
        """The server says that `used` is spent. Without `resets` the window ends at its next aligned boundary."""
        window = self._windows.get(scope)
        if window is None:
            return
        window.used = used
        window.resets = resets or self._next_boundary(window.interval_ns, ts)

    def sent(self, scope: str, cost: int) -> None:
        """Something of this cost is on its way."""
        window = self._windows.get(scope)
        if window is not None:
            window.ahead += cost

    def answered(self, scope: str, cost: int) -> None:
        """That something was answered, or is known to be lost: the server's own count holds it now."""
        window = self._windows.get(scope)
        if window is not None:
            window.ahead = max(0, window.ahead - cost)

    def lost(self, scope: str) -> None:
        """The connection is gone and with it every answer that we waited for."""
        window = self._windows.get(scope)
        if window is not None:
            window.ahead = 0

    def throttled(self, scope: str, until: int, ts: int, banned: bool = False) -> RateLimited:
        """The server refused: nothing of this scope before `until`, our clock; nothing at all when banned."""
        if banned:
            self.banned_until = max(self.banned_until, until)
        window = self._windows.setdefault(scope, Window(limit=0, interval_ns=0))
        window.until = max(window.until, until)
        return RateLimited(ts=ts, venue=self.venue, scope=scope, until=until, banned=banned)

    def refusal(self, scope: str, cost: int, ts: int, safety: bool = False) -> str:
        """Why something of this cost may not be sent now, or ""."""
        return self.refusal_of((scope,), cost, ts, safety)

    def refusal_of(self, scopes: Iterable[str], cost: int, ts: int, safety: bool = False) -> str:
        """The same where it counts in several windows: what the first one that is full says."""
        if ts < self.banned_until:
            return "rate budget: banned"
        for scope in scopes:
            window = self._windows.get(scope)
            if window is None:
                continue
            if ts < window.until:
                return f"rate budget: {scope} throttled"
            if window.limit == 0:
                continue
            if ts >= window.resets:
                self._roll(window, ts)
            spent = window.used + window.ahead
            if spent + cost > (window.limit if safety else window.ordinary):
                return f"rate budget: {scope} {spent} of {window.limit}"
        return ""

    def used(self, scope: str, ts: int) -> int:
        """What is spent of a window now, including what is on its way."""
        window = self._windows.get(scope)
        if window is None:
            return 0
        self._roll(window, ts)
        return window.used + window.ahead

    def spent(self, ts: int) -> dict[str, tuple[int, int]]:
        """Scope -> (spent now, limit), of every window that has a limit: for whoever watches. Changes nothing."""
        return {
            scope: (0 if window.resets and ts >= window.resets else window.used + window.ahead, window.limit)
            for scope, window in self._windows.items()
            if window.limit
        }

    def _roll(self, window: Window, ts: int) -> None:
        """Past its end a window is empty. What is on its way is forgotten with it: a send that was refused in the end
        has no answer, and must not count for ever."""
        if window.resets == 0 and window.ahead:
            window.resets = self._next_boundary(window.interval_ns, ts)
        elif window.resets and ts >= window.resets:
            window.used = window.ahead = window.resets = 0

    def _next_boundary(self, interval_ns: int, ts: int) -> int:
        if interval_ns == 0:
            return 0
        venue_ts = ts + self.offset_ns
        return (venue_ts // interval_ns + 1) * interval_ns - self.offset_ns
