"""KuCoin spot, classic dialect, as a `Codec`: it joins the parts and owns nothing but the division of labour.

| part        | what it does                                                   |
|-------------|----------------------------------------------------------------|
| `upkeep`    | rules, clock, fees, status; asks for the channels              |
| `market`    | public pushes: books, quotes, trades                           |
| `user`      | private pushes: orders, balances                               |
| `orders`    | order entry by WebSocket, or REST while that is down           |
| `queries`   | everything asked by REST on the core's behalf                  |
| `rest`      | requests, signatures, the envelope, the rate pools             |

Without credentials (paper) there is the channel "market" only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from tradeserver.core.commands import (
    ArmDeadMan,
    CancelAll,
    CancelOrder,
    Command,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    QueryOrders,
    RequestAccount,
    RequestSnapshot,
    SubmitOrder,
)
from tradeserver.core.events import Event
from tradeserver.venues.base import Connect, Credentials, HttpRequest, Outgoing, WsMessage
from tradeserver.venues.kucoin import market, orders, user
from tradeserver.venues.kucoin import rest as kucoin
from tradeserver.venues.kucoin.known import KnownOrders
from tradeserver.venues.kucoin.link import MS, BulletLink
from tradeserver.venues.kucoin.queries import Queries
from tradeserver.venues.kucoin.rest import VENUE, Endpoint, Failure, Rest
from tradeserver.venues.kucoin.rules import Names
from tradeserver.venues.kucoin.settings import KucoinSettings
from tradeserver.venues.kucoin.upkeep import Upkeep
from tradeserver.venues.rotation import Rotation, both
from tradeserver.wire import kucoin as wire

STALL_NS: Final = 50 * MS
"""Ticks farther apart than this: the loop stood still, and every connection is asked whether it is current."""

_MINUTE: Final = 60_000 * MS
STAGGERED_MIN: Final = {market.CHANNEL: 0, user.CHANNEL: 15, orders.CHANNEL: 30}
"""No two connections are renewed at the same time."""

_BULLET: Final = msgspec.json.Decoder(wire.Bullet)
_COSTS: Final[dict[type[Command], Endpoint]] = {
    SubmitOrder: kucoin.ORDER_PLACE,
    CancelOrder: kucoin.CANCEL_BY_ID,
    CancelAll: kucoin.CANCEL_SYMBOL,
    QueryOrder: kucoin.ORDER_BY_ID,
    QueryFills: kucoin.FILLS,
    QueryOpenOrders: kucoin.ORDERS_ACTIVE,
    QueryOrders: kucoin.ORDERS_DONE,
    RequestAccount: kucoin.ACCOUNTS,
    ArmDeadMan: kucoin.DEAD_MAN,
}


class KucoinCodec:
    """See `venues/base.py`. `symbols` are ours, "XRP/USDT"."""

    venue = VENUE

    def __init__(self, settings: KucoinSettings, symbols: Sequence[str], credentials: Credentials | None) -> None:
        self._rest = Rest(settings, credentials)
        self.outgoing: list[Outgoing] = self._rest.outgoing
        self._names = Names(symbols)
        known = KnownOrders()
        rotation = self._rotation = Rotation(
            {channel: (settings.renew_min + later) * _MINUTE for channel, later in STAGGERED_MIN.items()}, self.outgoing
        )
        answer_ms, out = settings.answer_ms, self.outgoing
        market_links = {n: BulletLink(n, False, (), answer_ms, out, rotation) for n in both(market.CHANNEL)}
        user_links = {n: BulletLink(n, True, user.TOPICS, answer_ms, out, rotation) for n in both(user.CHANNEL)}
        self._links = market_links | user_links
        self.market = market.MarketFeed(self._rest, market_links, rotation)
        self.market.use(self._names.natives)
        self._user = user.UserFeed(user_links, rotation, self._names, known)
        self._orders = orders.OrderEntry(self._rest, rotation, self._names, known)
        self._queries = Queries(self._rest, self._names, known)
        self._private = credentials is not None
        channels = [market.CHANNEL, user.CHANNEL, orders.CHANNEL] if self._private else [market.CHANNEL]
        self._upkeep = Upkeep(self._rest, self._names, channels)
        self._started = False
        self._now = 0  # our stamp of the last call
        self._ticked = 0  # and of the last tick
        if len(market.kinds_of(settings)) * len(symbols) > market.TOPICS_PER_SESSION:
            raise ValueError(
                f"kucoin: {len(symbols)} symbols need more than {market.TOPICS_PER_SESSION} topics, "
                "which is what one session may have; configure fewer symbols or switch level1, ticker or trades off"
            )

    # ---- life ----

    def start(self, ts: int) -> Sequence[Event]:
        """Ask for rules and clock; channels follow."""
        self._now = self._ticked = ts
        self._started = True
        self._upkeep.tick(ts)
        return ()

    def open(self, channel: str, ts: int) -> HttpRequest | Connect:
        """A fresh token, whose answer leads to the `Connect`, or a freshly signed URL."""
        self._now = ts
        if channel in self._orders.links:
            return self._orders.open(channel, ts)
        if channel in self.market.links:
            self.market.use(self._names.natives)
        link = self._links[channel]
        link.asked(ts)
        endpoint = kucoin.BULLET_PUBLIC if channel in self.market.links else kucoin.BULLET_PRIVATE
        return self._rest.ask(endpoint, ts, _BULLET, partial(_token, link), partial(_no_token, link))

    def opened(self, channel: str, ts: int) -> Sequence[Event]:
        """The handshake is done. The server speaks first on all three channels."""
        self._now = ts
        self._rotation.opened(channel, ts)
        if channel in self.market.links:
            return self.market.opened(channel, ts)
        if channel in self._orders.links:
            self._orders.opened(channel, ts)
        else:
            self._links[channel].opened(ts)
        return ()

    def closed(self, channel: str, reason: str, ts: int) -> Sequence[Event]:
        """The connection is gone, or never came."""
        self._now = ts
        if channel in self.market.links:
            return self.market.closed(channel, reason, ts)
        if channel in self._orders.links:
            return self._orders.closed(channel, reason, ts)
        return self._links[channel].closed(reason, ts)

    def receive(self, channel: str, data: bytes, ts: int) -> Sequence[Event]:
        """One text frame. Raises WireError."""
        self._now = ts
        if channel in self.market.links:
            events = self.market.receive(channel, data, ts)
            if self._rest.clock.implausible(events, ts):
                self._upkeep.check_clock(ts)
            return events
        if channel in self._orders.links:
            return self._orders.receive(channel, data, ts)
        return self._user.receive(channel, data, ts)

    def receive_http(
        self, request_id: int, status: int, headers: Mapping[str, str], body: bytes, ts: int
    ) -> Sequence[Event]:
        """The answer to a request. Never raises for what the venue sent."""
        self._now = ts
        return self._rest.receive(request_id, status, headers, body, ts)

    def tick(self, ts: int) -> Sequence[Event]:
        """Every 10 ms: pings, deadlines, due snapshots and chores."""
        stalled = self._ticked > 0 and ts - self._ticked > STALL_NS
        self._now = self._ticked = ts
        if self._started:
            self._upkeep.tick(ts)
        events = self.market.tick(ts, stalled)
        if self._private:
            for link in self._user.links.values():
                events += link.tick(ts, stalled)
            events += self._orders.tick(ts, stalled)
        self._rotation.tick(ts)
        return events

    # ---- commands ----

    def usable(self, command: Command) -> str:
        """Why this command cannot be sent now, or "".

        An opening order needs both private links: its answer comes by one, its fills by the other. Orders that shrink
        exposure go by REST when the order link is down.
        """
        if isinstance(command, RequestSnapshot):
            return self.market.refusal(self._now)
        if not self._private:
            return "no key"
        if not self._rest.clock.known:
            return "venue clock unknown"
        by_socket = self._rotation.is_up(orders.CHANNEL)
        if isinstance(command, SubmitOrder):
            if command.symbol not in self._upkeep.rows:
                return "symbol's rules unknown"
            if command.opening:
                return self._not_opening(by_socket)
        if by_socket and isinstance(command, SubmitOrder | CancelOrder):
            return self._rest.budget.refusal(kucoin.ORDER_PLACE.pool, kucoin.ORDER_PLACE.weight, self._now, safety=True)
        endpoint = _COSTS.get(type(command))
        return "" if endpoint is None else self._rest.refusal(endpoint, self._now, safety=True)

    def _not_opening(self, by_socket: bool) -> str:
        """Why no opening order may go. It also needs REST, by which it would be asked for in doubt."""
        if not by_socket:
            return "orders link down"
        if self._rest.clock.doubted:
            return "venue clock in doubt"
        if not self._rotation.is_up(user.CHANNEL):
            return "user link down"
        return self._rest.refusal(kucoin.ORDER_PLACE, self._now)

    def spent(self, ts: int) -> Mapping[str, tuple[int, int]]:
        """See `Codec.spent`."""
        return self._rest.budget.spent(ts)

    def encode(self, command: Command, ts: int) -> WsMessage | HttpRequest | None:
        """The command's bytes, signed with `ts`. None for a snapshot of a symbol that is not connected."""
        self._now = ts
        match command:
            case SubmitOrder():
                return self._orders.place(command, ts)
            case CancelOrder():
                return self._orders.cancel(command, ts)
            case QueryOrder():
                return self._queries.order(command, ts)
            case QueryFills():
                return self._queries.fills(command, ts)
            case QueryOpenOrders():
                return self._queries.open_orders(command, ts)
            case QueryOrders():
                return self._queries.orders(command, ts)
            case RequestAccount():
                return self._queries.account(command, ts)
            case CancelAll():
                return self._queries.cancel_all(command, ts)
            case RequestSnapshot():
                return self.market.resync(command.symbol, ts, command.reason)
            case ArmDeadMan():
                return self._queries.arm(command, ts)
        return None


def _token(link: BulletLink, bullet: wire.Bullet, asked: int, ts: int) -> Sequence[Event]:
    """`{"token":"2neA..","instanceServers":[{"endpoint":"wss://ws-api-spot.kucoin.com/","encrypt":true,"protocol":
    "websocket","pingInterval":18000,"pingTimeout":10000}]}`
    """
    return link.token(bullet, ts)


def _no_token(link: BulletLink, failure: Failure) -> Sequence[Event]:
    return link.no_token(failure.ts, f"{failure.code} {failure.text}")
