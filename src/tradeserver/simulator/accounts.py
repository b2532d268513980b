"""Accounts of one venue: keys, permissions, balances, commission rates, and what an order locks and pays.

Money rule: amounts are exact products of price, quantity and rate. The one rounding is `commission_decimals`, for a
venue whose documents give commissions a fixed number of decimals (Binance: `baseCommissionPrecision` 8, rest-api.md
2026-07-21; half-up [assumed, the documents do not say which way]); KuCoin's are left exact. Python's default 28
digits are ample; an inexact result would be an error, so the context of this module traps it.

A balance never goes below zero: `hold` refuses, and everything after it moves only what was held, received, or (the
quote fee of a sale) comes out of the proceeds.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation
from typing import Final

import msgspec

from tradeserver.simulator.types import ZERO, FeeModel, Order, Side, Symbol

_EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation])
_ROUNDED: Final = Context(prec=60, rounding=ROUND_HALF_UP)


def product(*factors: Decimal) -> Decimal:
    """The exact product."""
    result = Decimal(1)
    for factor in factors:
        result = _EXACT.multiply(result, factor)
    return result


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key of an account. HMAC keys have a `secret`, Ed25519 keys a `public_key` (PEM or base64 of the raw 32
    bytes).
    """

    key: str
    secret: str = ""
    passphrase: str = ""
    public_key: str = ""
    version: str = "3"  # KuCoin
    permissions: tuple[str, ...] = ("read", "trade")


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Commission rates as fractions (0.001 is 10 bps)."""

    maker: Decimal
    taker: Decimal


class ThirdAsset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A venue's own coin for commissions (BNB): the discount on the rate (0.25: a quarter less) and its price by
    quote.
    """

    asset: str
    discount: Decimal
    prices: dict[str, Decimal]  # by quote asset: {"USDT": 600}


class Balance(msgspec.Struct):
    """What an account holds of one asset."""

    free: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Free and locked."""
        return self.free + self.locked


class Account:
    """One client of the venue. `name` identifies it; it may have several keys."""

    def __init__(
        self,
        name: str,
        keys: tuple[ApiKey, ...],
        balances: dict[str, Decimal],
        rates: Rates,
        rates_by_symbol: dict[str, Rates] | None = None,
        pays_third_asset: bool = False,
    ) -> None:
        self.name = name
        self.keys = keys
        self.balances = {asset: Balance(free=amount) for asset, amount in balances.items()}
        self.rates = rates
        self.rates_by_symbol = rates_by_symbol or {}
        self.pays_third_asset = pays_third_asset

    def balance(self, asset: str) -> Balance:
        """The balance of `asset`, made on first use."""
        return self.balances.setdefault(asset, Balance())

    def rates_of(self, symbol: str) -> Rates:
        """What this account pays on this symbol."""
        return self.rates_by_symbol.get(symbol, self.rates)

    def move(self, asset: str, free: Decimal, locked: Decimal) -> None:
        """Add to both sides of a balance (negative takes off). Going below zero is our error: ValueError."""
        balance = self.balance(asset)
        new_free, new_locked = _EXACT.add(balance.free, free), _EXACT.add(balance.locked, locked)
        if new_free < 0 or new_locked < 0:
            raise ValueError(f"{self.name}: {asset} would be {new_free} free, {new_locked} locked")
        balance.free, balance.locked = new_free, new_locked


class Fees(msgspec.Struct, frozen=True):
    """How a venue charges."""

    model: FeeModel
    commission_decimals: int | None = None  # None: exact products
    third: ThirdAsset | None = None

    def hold(self, account: Account, symbol: Symbol, side: Side, price: Decimal, quantity: Decimal) -> Decimal:
        """What an order must lock: base for a sell, quote for a buy (with the taker fee where the quote is charged)."""
        if side is Side.SELL:
            return quantity
        cost = product(price, quantity)
        if self.model is FeeModel.QUOTE:
            rates = account.rates_of(symbol.name)
            cost = _EXACT.add(cost, product(cost, max(rates.maker, rates.taker)))
        return cost

    def commission(
        self, account: Account, symbol: Symbol, order: Order, price: Decimal, quantity: Decimal, maker: bool
    ) -> tuple[Decimal, str]:
        """(amount, asset) of the commission for one fill."""
        rates = account.rates_of(symbol.name)
        rate = rates.maker if maker else rates.taker
        quote = product(price, quantity)
        if self.model is FeeModel.QUOTE:
            return self._rounded(product(quote, rate)), symbol.quote
        if account.pays_third_asset and self.third and symbol.quote in self.third.prices:
            discounted = product(quote, rate, 1 - self.third.discount)
            amount = self._rounded(_ROUNDED.divide(discounted, self.third.prices[symbol.quote]))
            if account.balance(self.third.asset).free >= amount:
                return amount, self.third.asset
        if order.side is Side.BUY:
            return self._rounded(product(quantity, rate)), symbol.base
        return self._rounded(product(quote, rate)), symbol.quote

    def _rounded(self, amount: Decimal) -> Decimal:
        if self.commission_decimals is None:
            return amount
        return amount.quantize(Decimal(1).scaleb(-self.commission_decimals), context=_ROUNDED)
