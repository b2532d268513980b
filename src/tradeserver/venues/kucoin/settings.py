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
    clock_refresh_s: Annotated[int, Gt(0)] = 180  # between two measurements of the venue's clock
    rules_refresh_s: Annotated[int, Gt(0)] = 600  # between two readings of our symbols' trading rules
    spare_share: Annotated[float, Ge(0), Le(0.9)] = 0.2  # of each rate pool, kept for hedges, cancels and queries
