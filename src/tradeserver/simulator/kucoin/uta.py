"""KuCoin's unified dialect ("UTA") of order entry: `uta.order`, `uta.cancel`, `uta.amend` on the classic connection.

The venue's own SDK speaks only this dialect over the WebSocket. Rules (unified account pages, 2026): upper-case `side`
and `orderType`, `size` in base unless `sizeUnit` is QUOTECCY, `tradeType` in and out, `ts` in ns; all else is the
classic order, into which these are turned. Spot only. Whether an amended order keeps its id the pages do not say: here
it gets a new one, as a classic altered one does [assumed].
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, TypeVar

import msgspec

from tradeserver.simulator.accounts import Account
from tradeserver.simulator.kucoin import errors, shapes
from tradeserver.simulator.kucoin.ticket import Body
from tradeserver.simulator.kucoin.trading import Trading
from tradeserver.simulator.types import ZERO
from tradeserver.wire import kucoin as wire

T = TypeVar("T")


class UtaOrder(msgspec.Struct, frozen=True, rename="camel"):
    """{"symbol":"XRP-USDT","side":"BUY","orderType":"LIMIT","size":"20","price":"0.5","tradeType":"SPOT"}"""

    symbol: str
    side: Literal["BUY", "SELL"]
    order_type: Literal["LIMIT", "MARKET"]
    size: Decimal
    price: Decimal = ZERO
    size_unit: Literal["BASECCY", "QUOTECCY"] = "BASECCY"
    trade_type: Literal["SPOT"] = "SPOT"
    client_oid: str = ""
    time_in_force: str = ""
    post_only: bool = False
    stp: str = ""
    tags: str = ""
    cancel_after: int = 0


class UtaWhich(msgspec.Struct, frozen=True, rename="camel"):
    """{"symbol":"XRP-USDT","orderId":"673f..","tradeType":"SPOT"}; an amendment adds newPrice or newSize."""

    symbol: str
    order_id: str = ""
    client_oid: str = ""
    trade_type: Literal["SPOT"] = "SPOT"
    new_price: Decimal = ZERO
    new_size: Decimal = ZERO


class UtaIds(msgspec.Struct, frozen=True, rename="camel"):
    """{"orderId":"673f..","clientOid":"c-1","ts":1768982484257000000,"tradeType":"SPOT"}"""

    order_id: str
    client_oid: str
    ts: int
    trade_type: str = "SPOT"


class Uta:
    """The operations, over the classic calls."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    def order(self, account: Account, args: msgspec.Raw, now_ns: int) -> UtaIds:
        """Place."""
        ids = self._trading.place(account, _classic(_read(args, UtaOrder)), now_ns)
        return UtaIds(order_id=str(ids.order_id), client_oid=str(ids.client_oid), ts=now_ns)

    def cancel(self, account: Account, args: msgspec.Raw, now_ns: int) -> UtaIds:
        """Cancel by either id; the answer has both."""
        which = _read(args, UtaWhich)
        self._trading.cancel(account, which.symbol, which.order_id, which.client_oid, now_ns)
        order = self._trading.find(account, self._trading.symbol(which.symbol), which.order_id, which.client_oid)
        assert order is not None
        return UtaIds(order_id=shapes.order_id(order.id), client_oid=order.client_id, ts=now_ns)

    def amend(self, account: Account, args: msgspec.Raw, now_ns: int) -> UtaIds:
        """Another price or size for what is left."""
        which = _read(args, UtaWhich)
        change = wire.AlterOrder(
            symbol=which.symbol,
            order_id=which.order_id,
            client_oid=which.client_oid,
            new_price=shapes.plain(which.new_price) if which.new_price else "",
            new_size=shapes.plain(which.new_size) if which.new_size else "",
        )
        answer = self._trading.alter(account, change, now_ns)
        return UtaIds(order_id=answer.new_order_id, client_oid=answer.client_oid, ts=now_ns)


def _classic(order: UtaOrder) -> Body:
    """The same order in the classic dialect's words."""
    words: dict[str, Any] = {
        "symbol": order.symbol,
        "side": order.side.lower(),
        "type": order.order_type.lower(),
        "funds" if order.size_unit == "QUOTECCY" else "size": order.size,
        "price": order.price,
        "clientOid": order.client_oid,
        "timeInForce": order.time_in_force,
        "postOnly": order.post_only,
        "stp": order.stp,
        "tags": order.tags,
        "cancelAfter": order.cancel_after,
    }
    return _convert({name: value for name, value in words.items() if value}, Body)


def _convert(words: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(words, kind)
    except msgspec.ValidationError as error:
        raise errors.bad_parameter(f"Parameter Error: {error}") from None


def _read(args: msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(args, type=kind, strict=False)
    except msgspec.DecodeError as error:
        raise errors.bad_parameter(f"Parameter Error: {error}") from None
