"""Binance's signed calls: placing, cancelling and asking for orders, trades and the account.

Neutral as to how a call arrived: REST and the WS API answer the same. Each method takes the account, the parameters,
the time and the unit of times, and returns the wire shape, or raises `Refused`. Rules: rest-api.md "Trading endpoints"
and "Account endpoints", filters.md, errors.md, 2026-07-21.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import msgspec

from tradeserver.simulator.accounts import Account, ThirdAsset
from tradeserver.simulator.binance import errors, shapes
from tradeserver.simulator.binance.limits import OrderCount
from tradeserver.simulator.binance.params import Params
from tradeserver.simulator.binance.ticket import Ticket, read_ticket
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.types import (
    ZERO,
    Order,
    OrderState,
    OrderType,
    Placement,
    Reject,
    Side,
    Symbol,
    TimeInForce,
)
from tradeserver.wire import binance as wire

DAY_MS = 86_400_000
ID_ALPHABET = string.digits + string.ascii_letters
PRECISION = 8

REJECTS: dict[Reject, Callable[[], errors.Refused]] = {
    Reject.UNKNOWN_SYMBOL: errors.bad_symbol,
    Reject.NO_PERMISSION: errors.rejected_key,
    Reject.HALTED: partial(errors.order_rejected, "Market is closed."),
    Reject.CANCEL_ONLY: partial(errors.order_rejected, "Market is closed."),
    Reject.DUPLICATE_CLIENT_ID: partial(errors.order_rejected, "Duplicate order sent."),
    Reject.PRICE_TICK: partial(errors.filter_failure, "PRICE_FILTER"),
    Reject.PRICE_LIMIT: partial(errors.filter_failure, "PERCENT_PRICE"),
    Reject.QUANTITY_MIN: partial(errors.filter_failure, "LOT_SIZE"),
    Reject.QUANTITY_MAX: partial(errors.filter_failure, "LOT_SIZE"),
    Reject.QUANTITY_STEP: partial(errors.filter_failure, "LOT_SIZE"),
    Reject.NOTIONAL_MIN: partial(errors.filter_failure, "NOTIONAL"),
    Reject.NOTIONAL_MAX: partial(errors.filter_failure, "NOTIONAL"),
    Reject.TOO_MANY_OPEN: partial(errors.filter_failure, "MAX_NUM_ORDERS"),
    Reject.INSUFFICIENT_BALANCE: partial(
        errors.order_rejected, "Account has insufficient balance for requested action."
    ),
    Reject.WOULD_MATCH: partial(errors.order_rejected, "Order would immediately match and take."),
}

TYPES = {"LIMIT": OrderType.LIMIT, "MARKET": OrderType.MARKET, "LIMIT_MAKER": OrderType.LIMIT_MAKER}
SELF_TRADE = {name: mode for mode, name in shapes.STP.items()}


class Trading:
    """The signed calls over one exchange."""

    def __init__(
        self, exchange: Exchange, rng: Random, counts: dict[str, OrderCount], third: ThirdAsset | None
    ) -> None:
        self._exchange = exchange
        self._rng = rng
        self._counts = counts
        self._third = third

    # ---- orders -----------------------------------------------------------------------------------------------------

    def place(self, account: Account, params: Params, now_ns: int, unit: int) -> wire.OrderAnswer[str]:
        """New order. Refused with -1015 over the order rate, -1013 by a filter, -2010 by the engine."""
        ticket = read_ticket(params)
        symbol = self._symbol(ticket.symbol)
        return self._place(account, ticket, symbol, now_ns, unit)

    def _place(self, account: Account, ticket: Ticket, symbol: Symbol, now_ns: int, unit: int) -> wire.OrderAnswer[str]:
        _check_precision(ticket)
        count = self._counts[account.name]
        count.check(now_ns)
        placement = self._exchange.place(
            account,
            symbol.name,
            Side.BUY if ticket.side == "BUY" else Side.SELL,
            TYPES[ticket.type],
            now_ns,
            client_id=ticket.client_id or self.new_id(),
            time_in_force=TimeInForce(ticket.time_in_force),
            price=_positive(ticket.price, ticket.type != "MARKET", "PRICE_FILTER"),
            quantity=_positive(ticket.quantity, ticket.quote_quantity is None, "LOT_SIZE"),
            funds=_positive(ticket.quote_quantity, ticket.quantity is None, "NOTIONAL"),
            self_trade=SELF_TRADE[ticket.stp],
        )
        order = _accepted(placement)
        count.placed(now_ns)
        return shapes.order_answer(order, symbol.native, ticket.answer, unit)

    def test(self, account: Account, params: Params, now_ns: int) -> wire.OrderCommission[str] | dict[str, str]:
        """order/test: everything is checked but the balance, nothing is placed; `{}` unless rates are asked for."""
        ticket = read_ticket(params)
        symbol = self._symbol(ticket.symbol)
        _check_precision(ticket)
        draft = Order(
            id=0,
            account=account.name,
            symbol=symbol.name,
            client_id=ticket.client_id or self.new_id(),
            side=Side.BUY if ticket.side == "BUY" else Side.SELL,
            type=TYPES[ticket.type],
            time_in_force=TimeInForce(ticket.time_in_force),
            price=ticket.price or ZERO,
            quantity=ticket.quantity or ZERO,
            funds=ticket.quote_quantity or ZERO,
            self_trade=SELF_TRADE[ticket.stp],
            created_ns=now_ns,
            updated_ns=now_ns,
        )
        reject = self._exchange.check(account, draft)
        if reject is not None:
            raise REJECTS[reject]()
        if not params.boolean("computeCommissionRates"):
            return {}
        rates = account.rates_of(symbol.name)
        nothing = wire.MakerTaker(maker=shapes.number(ZERO), taker=shapes.number(ZERO))
        return wire.OrderCommission(
            standard_commission_for_order=wire.MakerTaker(
                maker=shapes.number(rates.maker), taker=shapes.number(rates.taker)
            ),
            special_commission_for_order=nothing,
            tax_commission_for_order=nothing,
            discount=self._discount(account, symbol),
        )

    def cancel(self, account: Account, params: Params, now_ns: int, unit: int) -> wire.CancelAnswer[str]:
        """Cancel one order; the answer's `clientOrderId` is the cancel's own id."""
        symbol = self._symbol(params.symbol())
        order = self._find(account, symbol, params, "orderId", "origClientOrderId")
        if order is None or order.state is not OrderState.OPEN:
            raise errors.cancel_rejected()
        return self._cancel(order, symbol, params, params.client_id("newClientOrderId"), now_ns, unit)

    def _cancel(
        self, order: Order, symbol: Symbol, params: Params, cancel_id: str | None, now_ns: int, unit: int
    ) -> wire.CancelAnswer[str]:
        restriction = params.text("cancelRestrictions")
        if restriction not in (None, "ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
            raise errors.Refused(-1145, "Invalid cancelRestrictions")
        if restriction is not None and (restriction == "ONLY_NEW") == bool(order.filled):
            raise errors.cancel_rejected("Order was not canceled due to cancel restrictions.")
        cancel_id = cancel_id or self.new_id()
        if self._exchange.cancel(order.id, now_ns, cancel_id) is None:
            raise errors.cancel_rejected()
        return shapes.cancel_answer(order, symbol.native, cancel_id, unit)

    def cancel_all(self, account: Account, params: Params, now_ns: int, unit: int) -> list[wire.CancelAnswer[str]]:
        """Cancel everything open on one symbol; all share one cancel id."""
        symbol = self._symbol(params.symbol())
        orders = self._exchange.open_orders(account.name, symbol.name)
        if not orders:
            raise errors.cancel_rejected()
        cancel_id = self.new_id()
        return [self._cancel(order, symbol, params, cancel_id, now_ns, unit) for order in orders]

    def cancel_replace(self, account: Account, params: Params, now_ns: int, unit: int) -> wire.CancelReplace:
        """Cancel one order and place another; -2021 when one half failed, -2022 when both did."""
        mode = params.need("cancelReplaceMode")
        if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
            raise errors.bad_data("cancelReplaceMode")
        ticket = read_ticket(params)
        symbol = self._symbol(ticket.symbol)
        if params.text("orderRateLimitExceededMode") != "CANCEL_ONLY":
            self._counts[account.name].check(now_ns)
        canceled = self._half(lambda: self._cancel_half(account, symbol, params, now_ns, unit))
        placed: wire.OrderAnswer[str] | wire.ErrorBody | None = None
        if not isinstance(canceled, wire.ErrorBody) or mode == "ALLOW_FAILURE":
            placed = self._half(lambda: self._place(account, ticket, symbol, now_ns, unit))
        return _joined(canceled, placed)

    def _cancel_half(
        self, account: Account, symbol: Symbol, params: Params, now_ns: int, unit: int
    ) -> wire.CancelAnswer[str]:
        order = self._find(account, symbol, params, "cancelOrderId", "cancelOrigClientOrderId")
        if order is None or order.state is not OrderState.OPEN:
            raise errors.cancel_rejected()
        return self._cancel(order, symbol, params, params.client_id("cancelNewClientOrderId"), now_ns, unit)

    @staticmethod
    def _half(act: Any) -> Any:
        try:
            return act()
        except errors.Refused as refused:
            return wire.ErrorBody(code=refused.code, msg=refused.text)

    # ---- queries ----------------------------------------------------------------------------------------------------

    def query(self, account: Account, params: Params, unit: int) -> wire.OrderReport[str]:
        symbol = self._symbol(params.symbol())
        order = self._find(account, symbol, params, "orderId", "origClientOrderId")
        if order is None:
            raise errors.no_such_order()
        return shapes.order_report(order, symbol.native, unit)

    def open_orders(self, account: Account, params: Params, unit: int) -> list[wire.OrderReport[str]]:
        name = self._symbol(params.symbol()).name if params.has("symbol") else ""
        return [self._report(order, unit) for order in self._exchange.open_orders(account.name, name)]

    def all_orders(self, account: Account, params: Params, unit: int) -> list[wire.OrderReport[str]]:
        """From `orderId` on, or within [startTime, endTime], or the last `limit`."""
        symbol = self._symbol(params.symbol())
        start_ns, end_ns = _window(params)
        first, limit = params.integer("orderId"), params.limit(500, 1000)
        orders = [
            order
            for order in self._exchange.orders(account.name, symbol.name)
            if order.id >= (first or 0) and start_ns <= order.created_ns <= end_ns
        ]
        from_start = first is not None or params.has("startTime")
        return [self._report(order, unit) for order in (orders[:limit] if from_start else orders[-limit:])]

    def my_trades(self, account: Account, params: Params, unit: int) -> list[wire.AccountTrade[str]]:
        """Of one order, from a trade id on, within a time window of at most 24 h, or the last `limit`."""
        symbol = self._symbol(params.symbol())
        start_ns, end_ns = _window(params)
        order_id, first, limit = params.integer("orderId"), params.integer("fromId"), params.limit(500, 1000)
        if first is not None and (params.has("startTime") or params.has("endTime")):
            raise errors.Refused(-1128, "Combination of optional parameters invalid.")
        fills = [
            fill
            for fill in self._exchange.fills(account.name, symbol.name)
            if fill.trade_id >= (first or 0)
            and order_id in (None, fill.order_id)
            and start_ns <= fill.time_ns <= end_ns
        ]
        from_start = first is not None or order_id is not None or params.has("startTime")
        return [
            shapes.account_trade(fill, symbol.native, unit)
            for fill in (fills[:limit] if from_start else fills[-limit:])
        ]

    def account(self, account: Account, params: Params, now_ns: int, unit: int) -> wire.Account[str]:
        only_some = params.boolean("omitZeroBalances")
        maker, taker = account.rates.maker, account.rates.taker
        return wire.Account(
            maker_commission=int(maker * 10_000),
            taker_commission=int(taker * 10_000),
            buyer_commission=0,
            seller_commission=0,
            commission_rates=_rates(maker, taker),
            can_trade=True,
            can_withdraw=True,
            can_deposit=True,
            brokered=False,
            require_self_trade_prevention=False,
            prevent_sor=False,
            update_time=now_ns // unit,
            account_type="SPOT",
            balances=[
                wire.AccountBalance(asset=asset, free=shapes.number(balance.free), locked=shapes.number(balance.locked))
                for asset, balance in sorted(account.balances.items())
                if balance.total or not only_some
            ],
            permissions=["SPOT"],
            uid=354937868,
        )

    def commission(self, account: Account, params: Params) -> wire.Commission[str]:
        symbol = self._symbol(params.symbol())
        rates = account.rates_of(symbol.name)
        return wire.Commission(
            symbol=symbol.native,
            standard_commission=_rates(rates.maker, rates.taker),
            special_commission=_rates(ZERO, ZERO),
            tax_commission=_rates(ZERO, ZERO),
            discount=self._discount(account, symbol),
        )

    def trade_fee(self, account: Account, params: Params) -> list[wire.TradeFee[str]]:
        symbols = [self._symbol(params.symbol())] if params.has("symbol") else list(self._exchange.symbols.values())
        return [
            wire.TradeFee(
                symbol=symbol.native,
                maker_commission=shapes.plain(account.rates_of(symbol.name).maker),
                taker_commission=shapes.plain(account.rates_of(symbol.name).taker),
            )
            for symbol in symbols
        ]

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def new_id(self) -> str:
        """An id that the venue gives to an order or a cancel without one: 22 letters and digits."""
        return "".join(self._rng.choices(ID_ALPHABET, k=22))

    def _symbol(self, native: str) -> Symbol:
        symbol = self._exchange.by_native.get(native)
        if symbol is None:
            raise errors.bad_symbol()
        return symbol

    def _find(self, account: Account, symbol: Symbol, params: Params, id_name: str, client_name: str) -> Order | None:
        """By order id first; a client id that comes with it must be that order's (-2039)."""
        number, client_id = params.integer(id_name), params.text(client_name)
        if number is None and client_id is None:
            raise errors.one_of(client_name, id_name)
        if number is None:
            order = self._exchange.order_by_client(account.name, client_id or "")
        else:
            order = self._exchange.order(number)
        if order is None or order.account != account.name or order.symbol != symbol.name:
            return None
        if client_id is not None and order.client_id != client_id:
            raise errors.Refused(-2039, "Client order ID is not correct for this order ID.")
        return order

    def _report(self, order: Order, unit: int) -> wire.OrderReport[str]:
        return shapes.order_report(order, self._exchange.symbols[order.symbol].native, unit)

    def _discount(self, account: Account, symbol: Symbol) -> wire.Discount[str]:
        third = self._third
        return wire.Discount(
            enabled_for_account=account.pays_third_asset,
            enabled_for_symbol=third is not None and symbol.quote in third.prices,
            discount_asset=third.asset if third else "BNB",
            discount=shapes.number(third.discount if third else ZERO),
        )


def _accepted(placement: Placement) -> Order:
    if placement.reject is not None:
        raise REJECTS[placement.reject]()
    assert placement.order is not None
    return placement.order


def _positive(value: Decimal | None, expected: bool, filter_name: str) -> Decimal:
    """The amount, 0 when it is not of this order; an expected amount of 0 fails its filter."""
    if expected and not value:
        raise errors.filter_failure(filter_name)
    return value or ZERO


def _check_precision(ticket: Ticket) -> None:
    """-1111, before any filter: more decimals than the assets have."""
    for name, value in (
        ("quantity", ticket.quantity),
        ("quoteOrderQty", ticket.quote_quantity),
        ("price", ticket.price),
    ):
        if value is not None and int(value.normalize().as_tuple().exponent) < -PRECISION:
            raise errors.too_precise(name)


def _window(params: Params) -> tuple[int, int]:
    """[startTime, endTime] in ns; both given, they may lie 24 h apart at most (-1127)."""
    start, end = params.integer("startTime"), params.integer("endTime")
    if start is not None and end is not None and end - start > DAY_MS:
        raise errors.Refused(-1127, "More than 24 hours between startTime and endTime.")
    start_ns = (start or 0) * 1_000_000
    return start_ns, (end + 1) * 1_000_000 - 1 if end is not None else 2**63


def _rates(maker: Decimal, taker: Decimal) -> wire.Rates[str]:
    nothing = shapes.number(ZERO)
    return wire.Rates(maker=shapes.number(maker), taker=shapes.number(taker), buyer=nothing, seller=nothing)


def _joined(canceled: Any, placed: Any) -> wire.CancelReplace:
    """The answer when both halves succeeded, else the documented refusal around it."""
    failed = [isinstance(half, wire.ErrorBody) for half in (canceled, placed)]
    answer = wire.CancelReplace(
        cancel_result="FAILURE" if failed[0] else "SUCCESS",
        new_order_result="NOT_ATTEMPTED" if placed is None else "FAILURE" if failed[1] else "SUCCESS",
        cancel_response=msgspec.Raw(msgspec.json.encode(canceled)),
        new_order_response=msgspec.Raw(msgspec.json.encode(placed)),
    )
    if not any(failed):
        return answer
    if failed[0] and (failed[1] or placed is None):
        raise errors.Refused(-2022, "Order cancel-replace failed.", data=answer)
    raise errors.Refused(-2021, "Order cancel-replace partially failed.", 409, data=answer)
