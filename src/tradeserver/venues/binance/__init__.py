"""Binance spot: settings, codec and card. Everything else in this package is theirs alone."""

from tradeserver.venues.binance.card import CARD
from tradeserver.venues.binance.codec import BinanceCodec
from tradeserver.venues.binance.settings import BinanceSettings

__all__ = ["CARD", "BinanceCodec", "BinanceSettings"]
