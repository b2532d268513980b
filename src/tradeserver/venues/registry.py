"""The venues by name. The one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tradeserver.venues.base import Codec
from tradeserver.venues.binance.codec import BinanceCodec
from tradeserver.venues.kucoin.codec import KucoinCodec

CODECS: Final[dict[str, Callable[..., Codec]]] = {"binance": BinanceCodec, "kucoin": KucoinCodec}
"""Venue -> (settings, our symbols, credentials or None) -> its codec."""
