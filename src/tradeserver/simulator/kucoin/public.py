"""KuCoin's calls on markets and accounts: rules, books, trades, candles, tickers; balances and fee rates.

Rules: the market data and account pages of the classic spot API, 2025-11. The whole book is signed, the first 20 or 100
levels are not; `sequence` is a string here. Lists that concern margin are empty: this venue has none.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradeserver.simulator.accounts import Account, Rates
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.history import Candle, History
from tradeserver.simulator.kucoin import errors, shapes
from tradeserver.simulator.types import ZERO, BookLevel, Status, Symbol
from tradeserver.wire import kucoin as wire

SECOND_NS = 1_000_000_000
MOST_CANDLES = 1_500
MOST_FEE_SYMBOLS = 10
DAY_NS = 86_400 * SECOND_NS

PERIODS_NS = {
    "1min": 60 * SECOND_NS,
    "3min": 180 * SECOND_NS,
    "5min": 300 * SECOND_NS,
    "15min": 900 * SECOND_NS,
    "30min": 1800 * SECOND_NS,
    "1hour": 3600 * SECOND_NS,
    "2hour": 7200 * SECOND_NS,
    "4hour": 14400 * SECOND_NS,
    "6hour": 21600 * SECOND_NS,
    "8hour": 28800 * SECOND_NS,
    "12hour": 43200 * SECOND_NS,
    "1day": 86400 * SECOND_NS,
    "1week": 604800 * SECOND_NS,
}


class Public:
    """Market data and account data over one exchange."""

    def __init__(self, exchange: Exchange, history: History, rates: Rates) -> None:
        self._exchange = exchange
        self._history = history
        self._rates = rates

    # ---- rules ------------------------------------------------------------------------------------------------------

    def symbols(self) -> list[wire.SymbolRow[str]]:
        return [self._row(symbol) for symbol in self._exchange.symbols.values()]

    def symbol_row(self, native: str) -> wire.SymbolRow[str]:
        return self._row(self.symbol(native))

    def _row(self, symbol: Symbol) -> wire.SymbolRow[str]:
        return shapes.symbol_row(symbol, self._exchange.status[symbol.name] is Status.TRADING)

    def currencies(self) -> list[wire.CurrencyRow]:
        """Without chains: nothing is deposited or withdrawn here."""
        symbols = self._exchange.symbols.values()
        names = dict.fromkeys(name for symbol in symbols for name in (symbol.base, symbol.quote))
        return [self.currency(name) for name in names]

    def currency(self, name: str) -> wire.CurrencyRow:
        if all(name not in (symbol.base, symbol.quote) for symbol in self._exchange.symbols.values()):
            raise errors.Refused("400100", "currency not exists")
        return wire.CurrencyRow(
            currency=name,
            name=name,
            full_name=name,
            precision=8,
            confirms=None,
            contract_address=None,
            is_margin_enabled=False,
            is_debit_enabled=False,
            chains=[],
        )

    def markets(self) -> list[str]:
        return list(dict.fromkeys(symbol.quote for symbol in self._exchange.symbols.values()))

    # ---- books and trades -------------------------------------------------------------------------------------------

    def book(self, native: str, limit: int, now_ns: int) -> wire.BookRows[str]:
        """{"time":1729176273859,"sequence":"14610502970","bids":[["0.5","10"]],"asks":[["0.5001","7"]]}"""
        book = self._exchange.depth(self.symbol(native).name, limit)
        return wire.BookRows(
            time=now_ns // shapes.MS,
            sequence=str(book.sequence),
            bids=shapes.rows(book.bids),
            asks=shapes.rows(book.asks),
        )

    def ticker(self, native: str, now_ns: int) -> wire.Ticker[str]:
        return self.ticker_of(self.symbol(native), self._exchange.quote(self.symbol(native).name), now_ns)

    def ticker_of(self, symbol: Symbol, quote: tuple[BookLevel, BookLevel], now_ns: int) -> wire.Ticker[str]:
        """{"sequence":"14609309753","price":"0.5","size":"20","bestAsk":"0.5001",...,"time":1729172965609}"""
        last = self._history.last(symbol.name)
        bid, ask = quote
        return wire.Ticker(
            sequence=str(self._exchange.books[symbol.name].sequence),
            price=shapes.plain(last.price if last else self._exchange.last_price[symbol.name]),
            size=shapes.plain(last.quantity if last else ZERO),
            best_ask=shapes.plain(ask[0]),
            best_ask_size=shapes.plain(ask[1]),
            best_bid=shapes.plain(bid[0]),
            best_bid_size=shapes.plain(bid[1]),
            time=now_ns // shapes.MS,
        )

    def all_tickers(self, now_ns: int) -> wire.AllTickers[str]:
        return wire.AllTickers(
            time=now_ns // shapes.MS,
            ticker=[self._ticker_row(symbol, now_ns) for symbol in self._exchange.symbols.values()],
        )

    def _ticker_row(self, symbol: Symbol, now_ns: int) -> wire.TickerRow[str]:
        stats = self.stats(symbol.native, now_ns)
        bid, ask = self._exchange.quote(symbol.name)
        return wire.TickerRow(
            symbol=symbol.native,
            symbol_name=symbol.native,
            buy=stats.buy,
            best_bid_size=shapes.plain(bid[1]),
            sell=stats.sell,
            best_ask_size=shapes.plain(ask[1]),
            change_rate=stats.change_rate,
            change_price=stats.change_price,
            high=stats.high,
            low=stats.low,
            vol=stats.vol,
            vol_value=stats.vol_value,
            last=stats.last,
            average_price=stats.average_price,
            taker_fee_rate=stats.taker_fee_rate,
            maker_fee_rate=stats.maker_fee_rate,
            taker_coefficient="1",
            maker_coefficient="1",
        )

    def stats(self, native: str, now_ns: int) -> wire.Stats[str]:
        """The last 24 hours, as far as the history reaches."""
        symbol = self.symbol(native)
        candles = self._history.candles(symbol.name, PERIODS_NS["1min"], now_ns - DAY_NS, now_ns)
        bid, ask = self._exchange.quote(symbol.name)
        day = _whole(candles)
        change = day.close - day.open if day else ZERO
        average = day.quote_volume / day.volume if day else ZERO
        return wire.Stats(
            time=now_ns // shapes.MS,
            symbol=symbol.native,
            buy=shapes.plain(bid[0]),
            sell=shapes.plain(ask[0]),
            change_rate=shapes.plain((change / day.open).quantize(Decimal("0.0001")) if day else ZERO),
            change_price=shapes.plain(change),
            high=shapes.plain(day.high) if day else None,
            low=shapes.plain(day.low) if day else None,
            vol=shapes.plain(day.volume if day else ZERO),
            vol_value=shapes.plain(day.quote_volume if day else ZERO),
            last=shapes.plain(day.close if day else self._exchange.last_price[symbol.name]),
            average_price=shapes.plain(average.quantize(Decimal("0.00000001"))) if day else None,
            taker_fee_rate=shapes.plain(self._rates.taker),
            maker_fee_rate=shapes.plain(self._rates.maker),
            taker_coefficient="1",
            maker_coefficient="1",
        )

    def trades(self, native: str) -> list[wire.HistoryTrade[str]]:
        return [
            wire.HistoryTrade(
                sequence=str(trade.trade_id),
                price=shapes.plain(trade.price),
                size=shapes.plain(trade.quantity),
                side=shapes.SIDES[trade.taker],
                time=trade.time_ns,
            )
            for trade in self._history.trades(self.symbol(native).name, 100)
        ]

    def candles(self, native: str, period: str, start: str, end: str) -> list[tuple[str, ...]]:
        """Newest first; the close stands before the high."""
        symbol, period_ns = self.symbol(native), PERIODS_NS.get(period)
        if period_ns is None:
            raise errors.bad_parameter("type is invalid.")
        if any(text and not (text.isdecimal() and len(text) <= 20) for text in (start, end)):
            raise errors.bad_parameter("startAt and endAt are seconds.")
        end_ns = int(end) * SECOND_NS if end and int(end) else 2**63
        rows = self._history.candles(symbol.name, period_ns, int(start or 0) * SECOND_NS, end_ns)
        return [shapes.candle(row) for row in reversed(rows[-MOST_CANDLES:])]

    # ---- accounts ---------------------------------------------------------------------------------------------------

    def accounts(self, account: Account, kind: str, currency: str) -> list[wire.AccountRow[str]]:
        """All trade balances, whether asked for as `trade` or `trade_hf`; the main account is empty."""
        if kind not in ("", "trade", "trade_hf"):
            return []
        return [
            wire.AccountRow(
                id=shapes.account_id(account.name, asset),
                currency=asset,
                type=kind or "trade",
                balance=shapes.plain(balance.total),
                available=shapes.plain(balance.free),
                holds=shapes.plain(balance.locked),
            )
            for asset, balance in sorted(account.balances.items())
            if currency in ("", asset)
        ]

    def account(self, account: Account, number: str) -> dict[str, Any]:
        for row in self.accounts(account, "", ""):
            if row.id == number:
                fields = {"currency": row.currency, "balance": row.balance}
                return {**fields, "available": row.available, "holds": row.holds}
        raise errors.bad_parameter("account not exist")

    def trade_fees(self, account: Account, symbols: str) -> list[wire.FeeRate[str]]:
        names = [name for name in symbols.split(",") if name]
        if not 0 < len(names) <= MOST_FEE_SYMBOLS:
            raise errors.bad_parameter(f"symbols: 1 to {MOST_FEE_SYMBOLS}.")
        return [self._fee(account, self.symbol(name)) for name in names]

    def _fee(self, account: Account, symbol: Symbol) -> wire.FeeRate[str]:
        rates = account.rates_of(symbol.name)
        return wire.FeeRate(
            symbol=symbol.native, taker_fee_rate=shapes.plain(rates.taker), maker_fee_rate=shapes.plain(rates.maker)
        )

    def base_fee(self, account: Account) -> wire.FeeRate[str]:
        return wire.FeeRate(
            taker_fee_rate=shapes.plain(account.rates.taker), maker_fee_rate=shapes.plain(account.rates.maker)
        )

    def symbol(self, native: str) -> Symbol:
        """The symbol; 400100 when none was named, 900001 for an unknown one."""
        if not native:
            raise errors.bad_parameter("The parameter symbol is required.")
        symbol = self._exchange.by_native.get(native)
        if symbol is None:
            raise errors.no_symbol()
        return symbol


def _whole(candles: list[Candle]) -> Candle | None:
    if not candles:
        return None
    whole = candles[0]
    for candle in candles[1:]:
        whole.add(candle)
    return whole
