"""KuCoin spot, classic dialect: `KucoinCodec` is the way in, `KucoinSettings` what may be set, `CARD` what is kept."""

from tradeserver.venues.kucoin.card import CARD
from tradeserver.venues.kucoin.codec import KucoinCodec
from tradeserver.venues.kucoin.settings import KucoinSettings

__all__ = ["CARD", "KucoinCodec", "KucoinSettings"]
