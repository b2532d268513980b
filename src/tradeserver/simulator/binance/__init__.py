"""Binance spot as its clients see it; `front.BinanceFront` is the way in."""
