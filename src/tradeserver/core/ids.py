"""Client order ids: 17 base62 characters that name run, arbitrage, leg and attempt.

Layout: instance tag 2, mode 1, start second 6, arbitrage 5, leg 1, attempt 2. An order is ours when its id begins with
this instance's tag, whatever the run; a hedge or unwind is a further attempt of the leg that it repairs. The alphabet
is legal at Binance, KuCoin and Kraken (18 characters at most).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LENGTH: Final = 17
MODES: Final = {"live": "L", "paper": "P", "demo": "D", "backtest": "B"}
_VALUE: Final = {c: i for i, c in enumerate(ALPHABET)}


class ClientId(NamedTuple):
    """What a client id says."""

    tag: str
    mode: str
    start_s: int
    arbitrage: int
    leg: int
    attempt: int


@lru_cache(maxsize=8_192)
def base62(value: int, width: int) -> str:
    """`value` in `width` digits. Raises OverflowError where it does not fit: an id must never wrap."""
    digits = []
    for _ in range(width):
        value, digit = divmod(value, 62)
        digits.append(ALPHABET[digit])
    if value:
        raise OverflowError("number does not fit its place in a client id")
    return "".join(reversed(digits))


@lru_cache(maxsize=8_192)
def _tail(leg: int, attempt: int) -> str:
    return base62(leg, 1) + base62(attempt, 2)


def parse(client_id: str) -> ClientId | None:
    """The parts of an id of this layout, or None for anybody else's."""
    if len(client_id) != LENGTH or any(c not in _VALUE for c in client_id):
        return None

    def number(part: str) -> int:
        value = 0
        for c in part:
            value = value * 62 + _VALUE[c]
        return value

    return ClientId(
        client_id[:2],
        client_id[2],
        number(client_id[3:9]),
        number(client_id[9:14]),
        number(client_id[14]),
        number(client_id[15:]),
    )


class ClientIds:
    """Makes the ids of one run. `head` is the run's name."""

    __slots__ = ("_arbitrage", "_front", "head", "tag")

    def __init__(self, tag: str, mode: str, start_s: int) -> None:
        if len(tag) != 2 or any(c not in _VALUE for c in tag):
            raise ValueError(f"an instance tag is two base62 characters, not {tag!r}")
        self.tag = tag
        self.head = tag + MODES[mode] + base62(start_s, 6)
        self._arbitrage: int | None = None  # of the latest id, whose front the next one shares as a rule
        self._front = ""

    def make(self, arbitrage: int, leg: int, attempt: int) -> str:
        if arbitrage != self._arbitrage:
            high, low = divmod(arbitrage, 3_844)  # by parts that come again and again: three digits, two
            self._front = f"{self.head}{base62(high, 3)}{base62(low, 2)}"
            self._arbitrage = arbitrage
        return self._front + _tail(leg, attempt)

    def ours(self, client_id: str) -> bool:
        parts = parse(client_id)
        return parts is not None and parts.tag == self.tag
