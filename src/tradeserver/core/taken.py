"""Own liquidity in flight: what our orders take of visible levels before the venue's book shows it.

A mark says how large a level was when we reached for it and how much of it is ours. While the level still shows that
size the rest is what others may take; a level that shows another size has been told, and its mark is void. Marks end by
themselves after a while: an order that was refused took nothing.
"""

from __future__ import annotations

MARKS_KEPT = 64

_Place = tuple[bool, float]
"""(a buy takes it, price)."""


class Taken:
    """The marks of one symbol at one venue. `now` is the caller's time, ns."""

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks: dict[_Place, tuple[float, float, int]] = {}  # place -> (size then, taken of it, until)

    def __bool__(self) -> bool:
        return bool(self._marks)

    def mark(self, buys: bool, price: float, size: float, quantity: float, until: int, now: int) -> None:
        """`quantity` more of this level, which shows `size`, is ours."""
        if len(self._marks) >= MARKS_KEPT:  # of prices that never came back
            self._marks = {place: mark for place, mark in self._marks.items() if now < mark[2]}
        self._marks[buys, price] = (size, quantity + size - self.left(buys, price, size, now), until)

    def left(self, buys: bool, price: float, size: float, now: int) -> float:
        """What of this level, which shows `size`, is not ours."""
        mark = self._marks.get((buys, price))
        if mark is None:
            return size
        if mark[0] != size or now >= mark[2]:
            del self._marks[buys, price]
            return size
        return max(0.0, size - mark[1])
