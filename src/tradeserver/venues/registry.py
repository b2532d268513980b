"""The venues by name. The one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tradeserver.venues import binance, kucoin
from tradeserver.venues.base import Codec
from tradeserver.venues.card import CardRow

CODECS: Final[dict[str, Callable[..., Codec]]] = {"binance": binance.BinanceCodec, "kucoin": kucoin.KucoinCodec}
"""Venue -> (settings, our symbols, credentials or None) -> its codec."""

CARDS: Final[dict[str, tuple[CardRow, ...]]] = {"binance": binance.CARD, "kucoin": kucoin.CARD}
"""Venue -> what of the rules it keeps. Real orders go only where none is left open."""
