"""The channel "user": what KuCoin pushes about our orders and balances.

`/spotMarket/tradeOrdersV2` tells every step of every order of the account, `/account/balance` absolute balances of all
its accounts, of which only the trade account is ours to know. Source: KuCoin docs, WebSocket "Get Order(V2)" and "Get
Account Balance", 2025-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.core.events import Event
from tradeserver.venues.base import WireError
from tradeserver.venues.errors import UNREADABLE
from tradeserver.venues.kucoin.known import KnownOrders
from tradeserver.venues.kucoin.link import BulletLink
from tradeserver.venues.kucoin.reports import balance_change, order_change
from tradeserver.venues.kucoin.rest import VENUE
from tradeserver.venues.kucoin.rules import Names
from tradeserver.venues.rotation import Rotation
from tradeserver.wire import kucoin as wire

CHANNEL: Final = "user"
TOPICS: Final = ("/spotMarket/tradeOrdersV2", "/account/balance")

_PUSH: Final = msgspec.json.Decoder(wire.OrderPush[Decimal] | wire.BalancePush[Decimal])
_FRAME: Final = msgspec.json.Decoder(wire.Frame)
_READ: Final = frozenset(("orderChange", "account.balance"))


class UserFeed:
    """The private pushes."""

    def __init__(self, links: Mapping[str, BulletLink], rotation: Rotation, names: Names, known: KnownOrders) -> None:
        self.links = links
        self._rotation = rotation
        self._names = names
        self._known = known

    def receive(self, name: str, data: bytes, ts: int) -> Sequence[Event]:
        """One frame. Raises WireError."""
        try:
            push = _PUSH.decode(data)
            if isinstance(push, wire.BalancePush):
                # absolute figures: of two connections one alone may say what is newest
                return balance_change(push.data, ts) if name == self._rotation.speaks(CHANNEL) else ()
            order = push.data
            self._known.learn(order.order_id, order.client_oid)
            symbol = self._names.ours(order.symbol)
            return order_change(order, symbol, symbol.partition("/")[2], ts)
        except UNREADABLE as error:
            return self._other(name, data, ts, str(error))

    def _other(self, name: str, data: bytes, ts: int, reason: str) -> Sequence[Event]:
        try:
            frame = _FRAME.decode(data)
        except UNREADABLE as error:
            raise WireError(VENUE, CHANNEL, str(error), data) from None
        if frame.type != "message":
            return self.links[name].control(frame, ts)
        if frame.subject in _READ:
            raise WireError(VENUE, CHANNEL, reason, data)
        return ()
