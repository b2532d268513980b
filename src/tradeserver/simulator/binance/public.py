"""Binance's public calls: rules, books, trades, candles, tickers. Same answers by REST and by the WS API.

Rules: rest-api.md "General endpoints" and "Market Data endpoints", 2026-07-21.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tradeserver.simulator.binance import errors, shapes
from tradeserver.simulator.binance.limits import limit_rows
from tradeserver.simulator.binance.params import Params
from tradeserver.simulator.config import LimitsConfig
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.history import Candle, History
from tradeserver.simulator.types import ZERO, Side, Symbol
from tradeserver.wire import binance as wire

SECOND_NS = 1_000_000_000
INTERVALS_NS = {
    "1m": 60 * SECOND_NS,
    "3m": 180 * SECOND_NS,
    "5m": 300 * SECOND_NS,
    "15m": 900 * SECOND_NS,
    "30m": 1800 * SECOND_NS,
    "1h": 3600 * SECOND_NS,
    "2h": 7200 * SECOND_NS,
    "4h": 14400 * SECOND_NS,
    "6h": 21600 * SECOND_NS,
    "8h": 28800 * SECOND_NS,
    "12h": 43200 * SECOND_NS,
    "1d": 86400 * SECOND_NS,
}
STATUS_NAMES = {name: status for status, name in shapes.STATUSES.items()}


class Public:
    """The public calls over one exchange."""

    def __init__(self, exchange: Exchange, history: History, limits: LimitsConfig) -> None:
        self._exchange = exchange
        self._history = history
        self._limits = limits

    def exchange_info(self, params: Params, now_ns: int, unit: int) -> wire.ExchangeInfo[str]:
        wanted = self._wanted(params)
        status = params.text("symbolStatus")
        if status is not None:
            if params.has("symbol") or params.has("symbols"):
                raise errors.Refused(-1128, "Combination of optional parameters invalid.")
            if status not in STATUS_NAMES:
                raise errors.Refused(-1122, "Invalid symbolStatus.")
            wanted = [symbol for symbol in wanted if self._exchange.status[symbol.name] is STATUS_NAMES[status]]
        return wire.ExchangeInfo(
            timezone="UTC",
            server_time=now_ns // unit,
            rate_limits=limit_rows(self._limits),
            exchange_filters=[],
            symbols=[shapes.symbol_info(symbol, self._exchange.status[symbol.name]) for symbol in wanted],
            sors=[],
        )

    def depth(self, params: Params) -> wire.DepthSnapshot[str]:
        symbol = self._symbol(params)
        book = self._exchange.depth(symbol.name, params.limit(100, 5000))
        return wire.DepthSnapshot(
            last_update_id=book.sequence, bids=shapes.levels(book.bids), asks=shapes.levels(book.asks)
        )

    def trades(self, params: Params, unit: int) -> list[wire.PublicTrade[str]]:
        symbol = self._symbol(params)
        return [
            wire.PublicTrade(
                id=trade.trade_id,
                price=shapes.number(trade.price),
                qty=shapes.number(trade.quantity),
                quote_qty=shapes.number(trade.price * trade.quantity),
                time=trade.time_ns // unit,
                is_buyer_maker=trade.taker is Side.SELL,
                is_best_match=True,
            )
            for trade in self._history.trades(symbol.name, params.limit(500, 1000))
        ]

    def agg_trades(self, params: Params, unit: int) -> list[wire.AggTrade[str]]:
        """Every trade is an aggregate of its own here."""
        symbol = self._symbol(params)
        first = params.integer("fromId") or 0
        return [
            wire.AggTrade(
                agg_trade_id=trade.trade_id,
                price=shapes.number(trade.price),
                quantity=shapes.number(trade.quantity),
                first_trade_id=trade.trade_id,
                last_trade_id=trade.trade_id,
                trade_time=trade.time_ns // unit,
                buyer_is_maker=trade.taker is Side.SELL,
                best_match=True,
            )
            for trade in self._history.trades(symbol.name, params.limit(500, 1000))
            if trade.trade_id >= first
        ]

    def klines(self, params: Params, unit: int) -> list[wire.KlineRow[str]]:
        symbol = self._symbol(params)
        period_ns = INTERVALS_NS.get(params.need("interval"))
        if period_ns is None:
            raise errors.Refused(-1120, "Invalid interval.")
        start, end, limit = params.integer("startTime"), params.integer("endTime"), params.limit(500, 1000)
        end_ns = end * 1_000_000 if end is not None else 2**63
        rows = self._history.candles(symbol.name, period_ns, (start or 0) * 1_000_000, end_ns)
        return [_kline(candle, unit) for candle in (rows[:limit] if start is not None else rows[-limit:])]

    def book_ticker(self, params: Params) -> Any:
        return self._tickers(params, self._book_ticker)

    def price(self, params: Params) -> Any:
        return self._tickers(params, self._price)

    def average(self, params: Params, now_ns: int, unit: int) -> dict[str, Any]:
        symbol = self._symbol(params)
        price = shapes.number(self._exchange.reference_price(symbol.name))
        return {"mins": 0, "price": price, "closeTime": now_ns // unit}

    def _tickers(self, params: Params, row: Any) -> Any:
        """One object for a `symbol`, an array for `symbols` or none."""
        wanted = self._wanted(params)
        return row(wanted[0]) if params.has("symbol") else [row(symbol) for symbol in wanted]

    def _book_ticker(self, symbol: Symbol) -> wire.RestBookTicker[str]:
        bid, ask = self._exchange.quote(symbol.name)
        return wire.RestBookTicker(
            symbol=symbol.native,
            bid_price=shapes.number(bid[0]),
            bid_qty=shapes.number(bid[1]),
            ask_price=shapes.number(ask[0]),
            ask_qty=shapes.number(ask[1]),
        )

    def _price(self, symbol: Symbol) -> wire.PriceTicker[str]:
        return wire.PriceTicker(
            symbol=symbol.native, price=shapes.number(self._exchange.last_price[symbol.name] or ZERO)
        )

    def _symbol(self, params: Params) -> Symbol:
        return self._known(params.symbol())

    def _known(self, native: str) -> Symbol:
        symbol = self._exchange.by_native.get(native)
        if symbol is None:
            raise errors.bad_symbol()
        return symbol

    def _wanted(self, params: Params) -> list[Symbol]:
        """The symbols of `symbol` or `symbols` (a JSON array), else all."""
        if params.has("symbol") and params.has("symbols"):
            raise errors.Refused(-1128, "Combination of optional parameters invalid.")
        if params.has("symbol"):
            return [self._symbol(params)]
        if not params.has("symbols"):
            return list(self._exchange.symbols.values())
        try:
            names = msgspec.json.decode(params.need("symbols"), type=list[str])
        except msgspec.DecodeError:
            raise errors.illegal_characters(
                "symbols", r"^\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\")*)?\]$"
            ) from None
        if len(set(names)) != len(names):
            raise errors.Refused(-1151, "Symbol is present multiple times in the list.")
        return [self._known(name) for name in names]


def _kline(candle: Candle, unit: int) -> wire.KlineRow[str]:
    return wire.KlineRow(
        open_time=candle.start_ns // unit,
        open=shapes.number(candle.open),
        high=shapes.number(candle.high),
        low=shapes.number(candle.low),
        close=shapes.number(candle.close),
        volume=shapes.number(candle.volume),
        close_time=(candle.start_ns + candle.period_ns) // unit - 1,
        quote_volume=shapes.number(candle.quote_volume),
        trades=candle.trades,
        taker_buy_base=shapes.number(candle.taker_base),
        taker_buy_quote=shapes.number(candle.taker_quote),
        unused="0",
    )
