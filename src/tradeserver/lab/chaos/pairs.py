"""Pairs of faults, where the money is: {2, 3, 5, 9, 10} each with {1, 13, 16, 27, 31, 34}, at either venue."""

from __future__ import annotations

from typing import Final

from tradeserver.lab.chaos.scene import OPENED, Case, Gap
from tradeserver.lab.chaos.tier_a import BOTH, REFUSALS, RELEASED, other

NOBODY: Final = "the row itself"


def first(row: int, venue: str) -> tuple[str, ...]:
    """What happens to the arbitrage, at that venue."""
    return {
        2: (f"drop {venue}.orders for=3s", f"drop {venue}.user for=3s"),
        3: (f"refuse {venue}.orders code={REFUSALS[venue][0][0]} first=1",),
        5: (
            f"delay {venue}.orders 300ms first=2",
            f"delay {venue}.user 300ms for=300ms",
            "trader say kill hedge at=130ms",
            RELEASED,
        ),
        9: ("reorder *.user 40ms 50%", "duplicate *.user 50%", "delay *.orders 150ms 50%"),
        10: (f"disconnect {venue}.user at=104ms", f"drop {venue}.orders first=1"),
    }[row]


def second(row: int, venue: str) -> tuple[str, ...]:
    """What happens around it, at that venue where it is about one."""
    return {
        1: ("trader kill filled",),
        13: (f"throttle {venue} 10s at=105ms",),
        16: (f"skew {venue} +2s at=103ms",),
        27: (f"unreachable {venue} for=20s at=104ms", f"disconnect {venue} at=104ms"),
        31: ('trader wal "No space left on device" at=103ms',),
        34: ("trader freeze 1s at=104ms",),
    }[row]


_ENDS: Final = {
    27: ("flat", "unresolved"),  # who cannot be asked has said nothing: named and paged
}


FIRSTS: Final = (2, 3, 5, 9, 10)
SECONDS: Final = (1, 13, 16, 27, 31, 34)

PAIRS: Final = tuple(
    Case(
        row=one,
        pair=two,
        name=f"{one} and {two}, at {venue}" + ("" if at == venue else f" and {at}"),
        faults=(*first(one, venue), *second(two, at)),
        gaps=(Gap(buy=buy),),
        ends=_ENDS.get(two, ("flat",)),
        must=(OPENED,),
        halted=NOBODY if two == 31 else "",
    )
    for one in FIRSTS
    for two in SECONDS
    for venue in BOTH
    for at in ((venue, other(venue)) if two in (13, 16, 27) else (venue,))
    for buy in ("binance",)
)
