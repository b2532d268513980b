"""KuCoin's trading rules in our words: rows of symbols and fee rates become instruments and fees. Pure functions.

Source: KuCoin docs, "Get All Symbols" and "Get Actual Fee", 2025-11. A limit order obeys `priceIncrement`,
`baseIncrement`, `baseMinSize`, `baseMaxSize` and `minFunds`; `quoteMinSize` and `quoteMaxSize` are for market orders by
funds only, but stand in for `minFunds` where a symbol has none. Commission is charged in `feeCurrency`, which is the
quote currency, on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from tradeserver.core.types import Charged, Fees, Instrument
from tradeserver.venues.kucoin.rest import VENUE
from tradeserver.venues.numbers import charge, money
from tradeserver.wire import kucoin as wire

FEES_PER_CALL: Final = 10


def native_of(symbol: str) -> str:
    """ "BTC/USDT" -> "BTC-USDT"."""
    return symbol.replace("/", "-")


def find_rows(rows: Iterable[wire.SymbolRow[str]], symbols: Sequence[str]) -> dict[str, wire.SymbolRow[str]]:
    """Our symbols to the venue's rows.

    `symbol` is the venue's stable key, but a coin can be renamed behind it (BCHSV-USDT trades BSV), so where no row has
    that key the currencies decide.
    """
    by_key: dict[str, wire.SymbolRow[str]] = {}
    by_currencies: dict[str, wire.SymbolRow[str]] = {}
    for row in rows:
        by_key[row.symbol] = row
        by_currencies[f"{row.base_currency}-{row.quote_currency}"] = row
    rows_of = by_currencies | by_key
    return {symbol: rows_of[native_of(symbol)] for symbol in symbols if native_of(symbol) in rows_of}


def instrument_of(symbol: str, row: wire.SymbolRow[str]) -> Instrument:
    """One row as an instrument.

    `{"symbol":"XRP-USDT","baseCurrency":"XRP","quoteCurrency":"USDT","feeCurrency":"USDT","baseMinSize":"0.1",
    "baseMaxSize":"10000000000","baseIncrement":"0.0001","priceIncrement":"0.00001","minFunds":"0.1",...}`
    Raises msgspec.ValidationError.
    """
    min_funds = row.min_funds if isinstance(row.min_funds, str) else row.quote_min_size
    return Instrument(
        venue=VENUE,
        symbol=symbol,
        native=row.symbol,
        base=row.base_currency,
        quote=row.quote_currency,
        tick=_step(row.price_increment),
        lot=_step(row.base_increment),
        min_quantity=_amount(row.base_min_size),
        max_quantity=_amount(row.base_max_size),
        min_notional=_amount(min_funds),
        tradable=row.enable_trading,
    )


def _amount(text: str) -> Decimal:
    try:
        return money(Decimal(text))
    except InvalidOperation:
        raise msgspec.ValidationError(f"{text!r} is no number") from None


def _step(text: str) -> Decimal:
    step = _amount(text)
    if not step:
        raise msgspec.ValidationError("a tick or lot of zero")
    return step


def fees_of(rate: wire.FeeRate[Decimal], row: wire.SymbolRow[str] | None) -> Fees:
    """The account's rates for one symbol: `{"symbol":"XRP-USDT","takerFeeRate":"0.001","makerFeeRate":"0.001"}`."""
    maker, taker = charge(rate.maker_fee_rate), charge(rate.taker_fee_rate)
    if row is not None and row.fee_currency != row.quote_currency:
        return Fees(maker, taker, Charged.THIRD, row.fee_currency)
    return Fees(maker, taker, Charged.QUOTE)


class Names:
    """Our symbols and the venue's, both ways, and each symbol's quote currency. Guesses until the rules are loaded."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        self.natives = {symbol: native_of(symbol) for symbol in symbols}
        self._ours = {native: symbol for symbol, native in self.natives.items()}

    def use(self, rows: dict[str, wire.SymbolRow[str]]) -> None:
        """The rules are here: only these symbols exist, under these names."""
        self.natives = {symbol: row.symbol for symbol, row in rows.items()}
        self._ours = {row.symbol: symbol for symbol, row in rows.items()}

    def native(self, symbol: str) -> str:
        """The venue's name of a symbol of ours."""
        return self.natives.get(symbol) or native_of(symbol)

    def ours(self, native: str) -> str:
        """Our name of the venue's symbol, also of one that is not configured."""
        return self._ours.get(native) or native.replace("-", "/")
