"""A venue's card: the rules that every connector must keep, each with what became of it at this venue.

Data, no behaviour. `state` is "done", or "exempt: <why this venue does not need it, or does without>". A card with a
rule missing, or with any other state, is incomplete, and an incomplete card may not trade live.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

RULES: Final = {
    "signing": "requests are signed as the venue's published vectors say",
    "clock": "signed with the venue's time: median offset, refreshed, and after a clock error",
    "log-on": "private links are up only when log-on and subscriptions are confirmed",
    "book-sync": "snapshot and deltas are joined by the venue's own id rule; no snapshot, no book",
    "gap": "a missing id throws the book away at once and asks for a new snapshot, with bounded back-off",
    "quotes": "best quotes from a light stream, beside the depth book",
    "ping": "the venue's keep-alive rule is kept, and a silent connection is closed",
    "lifetime": "connections are renewed before the venue ends them",
    "shutdown": "an announced shutdown is obeyed on sight",
    "connect-limits": "subscriptions and frames stay below the venue's limits per second and connection",
    "orders": "immediate-or-cancel limit orders over the fastest way, with our client id",
    "unknown": "an answer that does not say whether the order lives makes it uncertain; it is never sent again",
    "errors": "a table of codes and texts; an unlisted code takes the safe path and is told",
    "fills": "each fill carries the venue's trade id; answer and stream may both bring it",
    "cancel-race": "a refused cancel is reported as such, never taken for the order's end",
    "absence": "'could not ask' and 'no such order' are different events",
    "account": "balances are absolute figures; differences only cause a question",
    "fees": "commission rates and the asset charged, by symbol, from the account",
    "filters": "tick, lot, minimums from the venue's rules, refreshed on schedule and after a refusal",
    "rate-budget": "fed by the server's own counts; a share is kept for cancels, hedges and queries",
    "throttle": "429 and bans are told with their end and stop what they name",
    "cancel-all": "the venue's own cancel-all for one symbol",
    "dead-man": "the venue's own dead-man's switch",
    "dialect": "frames of another product or dialect are refused by name",
}


class CardRow(msgspec.Struct, frozen=True):
    """One rule at one venue. `note` says how, in one line."""

    rule: str
    state: str
    note: str


def incomplete(card: Sequence[CardRow]) -> tuple[str, ...]:
    """The rules that this card leaves open, in the order of `RULES`."""
    settled = {row.rule for row in card if row.state == "done" or row.state.startswith("exempt: ")}
    return tuple(rule for rule in RULES if rule not in settled)
