"""Binance's trading rules in our words: symbols to instruments, commission to fees, limits to budget windows.

Pure functions of decoded answers. Source: Binance spot API docs, filters.md, rest-api.md "Exchange information" and
"Query Commission Rates", faqs/commission_faq.md, 2026-07-21.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from msgspec import UNSET

from tradeserver.core.types import ZERO, Charged, Fees, Instrument, plain
from tradeserver.venues.budget import RateBudget
from tradeserver.venues.numbers import charge, money
from tradeserver.wire.binance import Commission, ExchangeInfo, Filter, RateLimit, Rates, SymbolInfo

VENUE: Final = "binance"

_UNITS_NS: Final = {"SECOND": 10**9, "MINUTE": 60 * 10**9, "HOUR": 3_600 * 10**9, "DAY": 86_400 * 10**9}

_NO_FILTER: Final = Filter[Decimal](filter_type="")


def native_of(symbol: str) -> str:
    """ "BTC/USDT" -> "BTCUSDT"."""
    return symbol.replace("/", "")


def instrument(info: SymbolInfo[Decimal], symbol: str) -> Instrument:
    """The instrument of one symbol.

    `{"symbol":"XRPUSDT","status":"TRADING","baseAsset":"XRP",...,"filters":[{"filterType":"PRICE_FILTER",
    "minPrice":"0.0001","maxPrice":"1000","tickSize":"0.0001"},{"filterType":"LOT_SIZE","minQty":"0.1",
    "maxQty":"900000","stepSize":"0.1"},{"filterType":"NOTIONAL","minNotional":"5",...}]}`.
    Where a filter is missing or a step is 0 (which disables it) the precision of the asset takes its place.
    """
    filters = {each.filter_type: each for each in info.filters}
    price = filters.get("PRICE_FILTER", _NO_FILTER)
    lot = filters.get("LOT_SIZE", _NO_FILTER)
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or _NO_FILTER
    quote_precision = info.quote_asset_precision if info.quote_precision is UNSET else info.quote_precision
    return Instrument(
        venue=VENUE,
        symbol=symbol,
        native=info.symbol,
        base=info.base_asset,
        quote=info.quote_asset,
        tick=_number(price.tick_size) or Decimal(1).scaleb(-quote_precision),
        lot=_number(lot.step_size) or Decimal(1).scaleb(-info.base_asset_precision),
        min_quantity=_number(lot.min_qty),
        max_quantity=_number(lot.max_qty),
        min_notional=_number(notional.min_notional),
        max_notional=_number(notional.max_notional),
        tradable=info.status == "TRADING" and info.is_spot_trading_allowed is not False,
    )


def instruments(info: ExchangeInfo[Decimal], symbols: Sequence[str]) -> tuple[tuple[Instrument, ...], tuple[str, ...]]:
    """(instruments in the order of `symbols`, symbols that the venue does not list)."""
    listed = {each.symbol: each for each in info.symbols}
    known = tuple(instrument(listed[native_of(symbol)], symbol) for symbol in symbols if native_of(symbol) in listed)
    return known, tuple(symbol for symbol in symbols if native_of(symbol) not in listed)


def fees(commission: Commission[Decimal]) -> Fees:
    """The rates of one symbol as the account is charged.

    `{"symbol":"XRPUSDT","standardCommission":{"maker":"0.001","taker":"0.001","buyer":"0","seller":"0"},
    "taxCommission":{...},"specialCommission":{...},"discount":{"enabledForAccount":true,"enabledForSymbol":true,
    "discountAsset":"BNB","discount":"0.25"}}`. A rate is (maker or taker) + (buyer or seller) for each of the three
    kinds; of buyer and seller the dearer is taken. The discount takes its share off the standard part, and only where
    commission is paid in the discount asset.
    """
    discount = commission.discount
    discounted = discount.enabled_for_account and discount.enabled_for_symbol
    factor = 1 - charge(discount.discount) if discounted else Decimal(1)
    maker, taker = _rates(commission.standard_commission)
    maker, taker = maker * factor, taker * factor
    for extra in (commission.tax_commission, commission.special_commission):
        if extra is not UNSET:
            extra_maker, extra_taker = _rates(extra)
            maker, taker = maker + extra_maker, taker + extra_taker
    return Fees(
        maker=_plain(maker),
        taker=_plain(taker),
        charged=Charged.THIRD if discounted else Charged.RECEIVED,
        third_asset=discount.discount_asset if discounted else "",
    )


def scope_of(limit: RateLimit) -> str:
    """The budget's name for a limit: "weight", "orders_10s", "orders_1d"; "" for the kinds that are not kept."""
    if limit.rate_limit_type == "REQUEST_WEIGHT":
        return "weight"
    if limit.rate_limit_type == "ORDERS":
        return f"orders_{limit.interval_num}{limit.interval[:1].lower()}"
    return ""


def feed_limits(budget: RateBudget, limits: Sequence[RateLimit], ts: int) -> None:
    """Limits and counts as the server states them, from exchangeInfo and from WS API answers."""
    for limit in limits:
        scope = scope_of(limit)
        if scope:
            budget.limit(scope, limit.limit, limit.interval_num * _UNITS_NS.get(limit.interval, 0))
            if limit.count is not UNSET:
                budget.observe(scope, limit.count, ts)


def _rates(rates: Rates[Decimal]) -> tuple[Decimal, Decimal]:
    side = max(charge(rates.buyer), charge(rates.seller))
    return charge(rates.maker) + side, charge(rates.taker) + side


def _number(value: object) -> Decimal:
    """The value without trailing zeros, 0 where it is absent."""
    return _plain(money(value)) if isinstance(value, Decimal) else ZERO


def _plain(value: Decimal) -> Decimal:
    return Decimal(plain(value))
