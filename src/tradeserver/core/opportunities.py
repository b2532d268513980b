"""Opportunities as episodes: "it saw the spread, why did it not trade?" has an answer here.

An episode opens with the first sighting of a direction, closes when the strategy says that it is over, and keeps the
peak and every decision: taken, or refused with all reasons. Equal refusals in a row are one with a count; an episode
keeps `DECISIONS_KEPT` decisions: the first ones and the last. It decides nothing.
"""

from __future__ import annotations

from typing import Final

from tradeserver.core.intents import Sighting
from tradeserver.core.records import Decision, OpportunityClosed, OpportunityOpened

DECISIONS_KEPT: Final = 32

Direction = tuple[str, str, str, str]
"""(strategy, symbol, buy venue, sell venue)."""


class Episode:
    """One open opportunity."""

    __slots__ = (
        "ages_ns",
        "decisions",
        "number",
        "opened",
        "peak_gross_bps",
        "peak_net_bps",
        "peak_quantity",
        "taken",
    )

    def __init__(self, number: int, opened: int) -> None:
        self.number = number
        self.opened = opened
        self.peak_gross_bps = -1e9
        self.peak_net_bps = -1e9
        self.peak_quantity = 0.0
        self.ages_ns = (0, 0)
        self.taken = False
        self.decisions: list[Decision] = []

    def see(self, sighting: Sighting, ages_ns: tuple[int, int]) -> None:
        if sighting.gross_bps > self.peak_gross_bps:
            self.peak_gross_bps = sighting.gross_bps
            self.peak_net_bps = sighting.net_bps
            self.ages_ns = ages_ns
        if sighting.quantity > self.peak_quantity:
            self.peak_quantity = sighting.quantity

    def decide(self, ts: int, sighting: Sighting, arbitrage: int, reasons: tuple[str, ...]) -> None:
        taken = arbitrage > 0
        self.taken = self.taken or taken
        decisions = self.decisions
        if decisions and not taken and decisions[-1].reasons == reasons and not decisions[-1].taken:
            last = decisions[-1]
            decisions[-1] = Decision(
                last.ts, False, 0, reasons, last.gross_bps, last.net_bps, last.quantity, last.count + 1
            )
            return
        decision = Decision(ts, taken, arbitrage, reasons, sighting.gross_bps, sighting.net_bps, sighting.quantity)
        if len(decisions) < DECISIONS_KEPT:
            decisions.append(decision)
        else:
            decisions[-1] = decision


class Opportunities:
    """All open episodes by direction."""

    __slots__ = ("next_number", "open")

    def __init__(self) -> None:
        self.open: dict[Direction, Episode] = {}
        self.next_number = 1

    def apply_opened(self, record: OpportunityOpened) -> None:
        self.next_number = max(self.next_number, record.opportunity + 1)

    def begin(self, direction: Direction, sighting: Sighting, ts: int) -> OpportunityOpened:
        """A new episode; its record is the caller's to keep."""
        episode = self.open[direction] = Episode(self.next_number, ts)
        strategy, symbol, buy_venue, sell_venue = direction
        return OpportunityOpened(
            ts=ts,
            opportunity=episode.number,
            strategy=strategy,
            symbol=symbol,
            buy_venue=buy_venue,
            sell_venue=sell_venue,
            gross_bps=sighting.gross_bps,
            net_bps=sighting.net_bps,
        )

    def end(self, direction: Direction, ts: int) -> OpportunityClosed | None:
        """The whole episode, or None where none is open."""
        episode = self.open.pop(direction, None)
        if episode is None:
            return None
        strategy, symbol, buy_venue, sell_venue = direction
        return OpportunityClosed(
            ts=ts,
            opportunity=episode.number,
            strategy=strategy,
            symbol=symbol,
            buy_venue=buy_venue,
            sell_venue=sell_venue,
            opened=episode.opened,
            duration_ns=ts - episode.opened,
            peak_gross_bps=episode.peak_gross_bps,
            peak_net_bps=episode.peak_net_bps,
            peak_quantity=episode.peak_quantity,
            buy_age_ns=episode.ages_ns[0],
            sell_age_ns=episode.ages_ns[1],
            taken=episode.taken,
            decisions=tuple(episode.decisions),
        )
