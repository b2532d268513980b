"""The venues by name. The one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from tradeserver.venues import binance, kucoin
from tradeserver.venues.base import Codec, Credentials, HttpRequest, KeyRights
from tradeserver.venues.binance import rights as binance_rights
from tradeserver.venues.card import CardRow
from tradeserver.venues.kucoin import rights as kucoin_rights

CODECS: Final[dict[str, Callable[..., Codec]]] = {"binance": binance.BinanceCodec, "kucoin": kucoin.KucoinCodec}
"""Venue -> (settings, our symbols, credentials or None) -> its codec."""


class Rights(Protocol):
    """How a venue is asked what a key may do: its clock first, then the signed question."""

    def clock(self, settings: Any) -> HttpRequest:
        """Ask the time."""
        ...

    def read_clock(self, body: bytes) -> int:
        """Milliseconds. Raises ValueError."""
        ...

    def ask(self, settings: Any, credentials: Credentials, venue_ms: int) -> HttpRequest:
        """Ask about the key. Raises ValueError."""
        ...

    def read(self, body: bytes) -> KeyRights:
        """The answer. Raises ValueError."""
        ...

    def refuses_key(self, body: bytes) -> bool:
        """Whether a refusal says that this key is not accepted at all. False for everything else, HTML too."""
        ...


RIGHTS: Final[dict[str, Rights]] = {"binance": binance_rights, "kucoin": kucoin_rights}
"""Venue -> how its keys are looked at."""

CARDS: Final[dict[str, tuple[CardRow, ...]]] = {"binance": binance.CARD, "kucoin": kucoin.CARD}
"""Venue -> what of the rules it keeps. Real orders go only where none is left open."""
