"""What an operator may set about Binance. Declared here, where it is used; the configuration composes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Interval, MaxLen, MinLen


@dataclass(frozen=True, kw_only=True)
class BinanceSettings:
    """Endpoints and habits of the Binance connector. The three bases can point at a simulator (`http://`, `ws://`)."""

    rest_url: Annotated[str, MinLen(1), MaxLen(200)] = "https://api.binance.com"
    stream_url: Annotated[str, MinLen(1), MaxLen(200)] = "wss://stream.binance.com:9443"
    ws_api_url: Annotated[str, MinLen(1), MaxLen(200)] = "wss://ws-api.binance.com:443/ws-api/v3"

    recv_window_ms: Annotated[int, Interval(ge=100, le=60_000)] = 1_000
    """How old an order may be when the venue takes it. Small, so that an unknown order cannot appear late."""

    read_window_ms: Annotated[int, Interval(ge=1_000, le=60_000)] = 5_000
    """The same for everything that is not an order."""

    depth_limit: Literal[100, 500, 1000, 5000] = 1_000
    """Levels a side of a book snapshot; 5000 costs five times the request weight of 1000."""

    book_ticker: bool = True
    """Subscribe to the light stream of best quotes."""

    trades: bool = False
    """Subscribe to public trades."""

    silence_ms: Annotated[int, Interval(ge=1_000, le=120_000)] = 30_000
    """A market connection that delivers nothing for so long is closed and opened anew."""

    processing_ms: Annotated[int, Interval(ge=1_000, le=600_000)] = 10_000
    """How long after its receive window an order may still be processed: the venue's own time-out (error -1007)."""

    renew_min: Annotated[int, Interval(ge=1, le=1_400)] = 1_380
    """How long a connection is used before its successor is made; the venue ends it after 24 h (1,440 minutes). The
    second and third connection follow a quarter and half an hour later."""

    clock_refresh_s: Annotated[int, Ge(10)] = 240
    rules_refresh_s: Annotated[int, Ge(60)] = 3_600

    @property
    def arrival_ms(self) -> int:
        """An order cannot appear later than this after it was sent (rest-api.md, "Timing security", 2026-07-21)."""
        return self.recv_window_ms + self.processing_ms
