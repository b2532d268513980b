"""A new order as KuCoin's JSON spells it, read and checked before any market rule is looked at.

Rules ("Add Order" page, 2025-11): a limit order needs price and size, a market order exactly one of size and funds;
`clientOid` is at most 40 of letters, digits, - and _; postOnly does not go with IOC or FOK; GTT needs `cancelAfter`;
an order that arrives later than `clientTimestamp + allowMaxTimeWindow` fails. Numbers may be strings or numbers.
Hidden and iceberg orders are refused: this venue has none. Clients send `false`, `-1` and "" for what they do not mean.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from tradeserver.simulator.kucoin import errors, shapes
from tradeserver.simulator.types import ZERO, OrderType, SelfTrade, Side, TimeInForce
from tradeserver.wire import kucoin as wire

CLIENT_ID = re.compile(r"^[A-Za-z0-9_-]{1,40}$")
MOST_REMARK = 20
QUOTE_INCREMENT = Decimal("0.000001")
SECOND_NS = 1_000_000_000
MOST_DIGITS = 20  # before or after the point; beyond it lies no number that a client means
SELF_TRADE = {text: mode for mode, text in shapes.STP.items() if text}

Body = wire.NewOrder[Decimal]
"""An order as decoded."""


class Ticket(msgspec.Struct, frozen=True):
    """What the client asks for. `client_id` is "" when the venue must choose; `symbol` is native."""

    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price: Decimal
    size: Decimal
    funds: Decimal
    client_id: str
    self_trade: SelfTrade
    expires_ns: int


def decode(data: bytes | msgspec.Raw) -> Body:
    """{"clientOid":"c-1","side":"buy","symbol":"XRP-USDT","type":"limit","size":"20","price":"0.5"}"""
    try:
        return msgspec.json.decode(data, type=Body, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.bad_parameter(f"Parameter Error: {error}") from None


def read_ticket(body: Body, now_ns: int) -> Ticket:
    """The order that `body` asks for, or `Refused`."""
    client_id, force = body.client_oid or "", body.time_in_force or "GTC"
    if client_id and not CLIENT_ID.match(client_id):
        raise errors.bad_parameter("clientOid: at most 40 letters, digits, - and _.")
    for text in (body.remark, body.tags):
        if text and (len(text) > MOST_REMARK or not text.isascii()):
            raise errors.bad_parameter("remark and tags: at most 20 ASCII characters.")
    if body.hidden is True or body.iceberg is True:
        raise errors.bad_parameter("Hidden and iceberg orders are not supported for this symbol.")
    if body.post_only is True and force in ("IOC", "FOK"):
        raise errors.bad_parameter("postOnly is invalid when timeInForce is IOC or FOK.")
    _check_window(body, now_ns)
    price, size, funds = _amounts(body)
    return Ticket(
        symbol=body.symbol,
        side=Side.BUY if body.side == "buy" else Side.SELL,
        type=_type(body),
        time_in_force=shapes.time_in_force(force) if body.type == "limit" else TimeInForce.GTC,
        price=price,
        size=size,
        funds=funds,
        client_id=client_id,
        self_trade=_self_trade(body),
        expires_ns=_expiry(body, force, now_ns),
    )


def _type(body: Body) -> OrderType:
    if body.type == "market":
        return OrderType.MARKET
    return OrderType.LIMIT_MAKER if body.post_only is True else OrderType.LIMIT


def _amounts(body: Body) -> tuple[Decimal, Decimal, Decimal]:
    """(price, size, funds), 0 for what does not belong to the order."""
    price, size, funds = (
        value if isinstance(value, Decimal) else ZERO for value in (body.price, body.size, body.funds)
    )
    if not all(value.is_finite() and abs(value.adjusted()) <= MOST_DIGITS for value in (price, size, funds)):
        raise errors.bad_parameter("price, size and funds are numbers.")
    if body.type == "limit":
        if not price or not size:
            raise errors.bad_parameter("price and size are required for a limit order.")
        return price, size, ZERO
    if bool(size) == bool(funds):
        raise errors.bad_parameter("Either size or funds is required for a market order.")
    if min(size, funds) < 0:
        raise errors.below_minimum()
    if funds % QUOTE_INCREMENT:
        raise errors.funds_increment()
    return ZERO, size, funds


def _self_trade(body: Body) -> SelfTrade:
    if not body.stp:
        return SelfTrade.NONE
    if body.stp not in SELF_TRADE:
        raise errors.bad_parameter("stp: CN, CO, CB or DC.")
    return SELF_TRADE[body.stp]


def _expiry(body: Body, force: str, now_ns: int) -> int:
    if force != "GTT":
        return 0
    if not isinstance(body.cancel_after, int) or body.cancel_after <= 0:
        raise errors.bad_parameter("cancelAfter is required when timeInForce is GTT.")
    return now_ns + body.cancel_after * SECOND_NS


def _check_window(body: Body, now_ns: int) -> None:
    sent_ms, window_ms = body.client_timestamp, body.allow_max_time_window
    if isinstance(sent_ms, int) and isinstance(window_ms, int) and now_ns // 1_000_000 - sent_ms > window_ms:
        raise errors.arrived_late()
