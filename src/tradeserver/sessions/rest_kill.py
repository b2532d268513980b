"""A kill without the daemon: `core/killing.py` driven over REST, venue by venue, until it is proven.

Nothing is known of the daemon's orders here, so the last possible arrival counts from when the latch was set. When
nothing is open any more, each venue is asked for its balances: with the log they tell what is exposed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from tradeserver.core.commands import RequestAccount
from tradeserver.core.events import (
    AccountSnapshot,
    Event,
    OpenOrdersListed,
    OrderClosed,
    QueryFailed,
    RateLimited,
    VenueEvent,
    VenueFault,
)
from tradeserver.core.killing import Throttle, VenueKill
from tradeserver.core.killswitch import VenueSafety
from tradeserver.core.records import VenueProof
from tradeserver.sessions.safety import RestVenue

STEP_S: Final = 0.02
BALANCES_S: Final = 5.0
"""How long balances are waited for, once nothing is open."""


class RestKill:
    """One kill. `latched` is when the latch was set; `ours` tells our client ids."""

    def __init__(
        self,
        venues: Mapping[str, RestVenue],
        symbols: Sequence[str],
        safety: Mapping[str, VenueSafety],
        throttles: Mapping[str, Throttle],
        ours: Callable[[str], bool],
        now: Callable[[], int],
        latched: int,
    ) -> None:
        self.balances: dict[str, dict[str, Decimal]] = {}  # venue -> asset -> total, of venues that have answered
        self._venues = venues
        self._now = now
        self._asked: dict[str, int] = {}  # for balances
        self._kills = {
            name: VenueKill(name, symbols, latched, throttles[name], None if safety[name].exclusive else ours)
            for name in venues
        }
        self._last_arrival = {name: latched + safety[name].arrival_ns for name in venues}

    @property
    def proven(self) -> bool:
        """Nothing of ours is open anywhere."""
        return all(kill.proven for kill in self._kills.values())

    def proofs(self) -> tuple[VenueProof, ...]:
        """How far each venue is."""
        return tuple(kill.proof() for kill in self._kills.values())

    def conclude(self) -> None:
        """Somebody else has proven it."""
        for kill in self._kills.values():
            kill.conclude()

    async def run(self) -> None:
        """Until it is proven, however long that takes; then the balances, for a bounded time."""
        while not self.proven:
            self._step()
            await asyncio.sleep(STEP_S)
        end = asyncio.get_running_loop().time() + BALANCES_S
        while len(self.balances) < len(self._venues) and asyncio.get_running_loop().time() < end:
            for name in self._venues.keys() - self.balances.keys() - self._asked.keys():
                self._asked[name] = self._now()
                self._venues[name].perform(RequestAccount(venue=name))
            await asyncio.sleep(STEP_S)

    def _step(self) -> None:
        for name, kill in self._kills.items():
            for command in kill.advance(self._now(), self._last_arrival[name]):
                self._venues[name].perform(command)

    def on_event(self, event: Event) -> None:
        """What a venue has answered. Throttles are fed by whoever owns them."""
        if not isinstance(event, VenueEvent) or isinstance(event, RateLimited | VenueFault):
            return
        kill = self._kills[event.venue]
        if isinstance(event, OpenOrdersListed):
            kill.on_listed(event)
        elif isinstance(event, OrderClosed):
            kill.on_closed(event)
        elif isinstance(event, AccountSnapshot):
            if event.venue in self._asked:
                self.balances[event.venue] = {asset: b.free + b.locked for asset, b in event.balances.items()}
        elif isinstance(event, QueryFailed):
            if event.query == "RequestAccount":
                self._asked.pop(event.venue, None)
            else:
                kill.on_failed(event)
