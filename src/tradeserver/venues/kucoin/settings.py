"""What an operator may set about KuCoin. Every value has a default except the credentials, which are not in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True)
class KucoinSettings:
    """Endpoints, windows and intervals of one KuCoin account (classic spot)."""

    rest_url: str = "https://api.kucoin.com"
    order_entry_url: str = "wss://wsapi.kucoin.com/v1/private"
    key_version: Literal["2", "3"] = "3"  # "2" only for keys created long ago; newer gateways refuse them (400008)
    time_window_ms: Annotated[int, Gt(0), Le(60_000)] = 1_000  # the gateway refuses an order that reaches it later
    level1: bool = True  # top of book every 10 ms, without a sequence number
    ticker: bool = True  # top of book every 100 ms, with the book's sequence number: the check of the depth book
    trades: bool = False  # public trades
    answer_ms: Annotated[int, Gt(0)] = 10_000  # welcome, acknowledgements and REST answers take no longer
    silence_ms: Annotated[int, Gt(0)] = 60_000  # a market channel without any push for longer is opened anew
    renew_min: Annotated[int, Gt(0), Le(1_400)] = 1_335
    """How long a connection is used before its successor is made; token and connection end after 24 h (1,440 minutes).
    The second and third connection follow a quarter and half an hour later."""
    clock_refresh_s: Annotated[int, Gt(0)] = 180  # between two measurements of the venue's clock
    rules_refresh_s: Annotated[int, Gt(0)] = 600  # between two readings of our symbols' trading rules
    spare_share: Annotated[float, Ge(0), Le(0.9)] = 0.2  # of each rate pool, kept for hedges, cancels and queries
    processing_ms: Annotated[int, Ge(1_000), Le(600_000)] = 14_000
    """How long after its window an order may still be under way behind the gateway; the venue promises nothing."""
    dead_man_s: Annotated[int, Ge(0), Le(86_400)] = 30
    """Everything open is cancelled by the venue when the daemon has not said for so long that it is there. 0: not
    used, else at least 5. Needs `exclusive_account`."""

    @property
    def arrival_ms(self) -> int:
        """An order cannot appear later than this after it was sent."""
        return self.time_window_ms + self.processing_ms
