"""Binance spot as its clients see it: `BinanceFront` over one `Exchange`. See `front.Front` for how it is driven."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from tradeserver.simulator.binance.calls import Calls
from tradeserver.simulator.binance.publisher import Publisher
from tradeserver.simulator.binance.rest import Rest
from tradeserver.simulator.binance.sockets import PING_NS
from tradeserver.simulator.binance.streams import Streams
from tradeserver.simulator.binance.users import Users
from tradeserver.simulator.binance.wsapi import WsApi
from tradeserver.simulator.config import VenueConfig
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.faults import Faults
from tradeserver.simulator.front import HttpIn, HttpOut, Outgoing
from tradeserver.simulator.history import History
from tradeserver.simulator.types import OrderFill, PublicTrade


class BinanceFront:
    """REST, market streams and WS API on one origin. `rng` makes the ids that the venue itself gives out."""

    def __init__(self, exchange: Exchange, faults: Faults, settings: VenueConfig, rng: Random) -> None:
        self.origin = ""
        self.outgoing: list[Outgoing] = []
        self._exchange = exchange
        self._history = History()
        self._calls = Calls(exchange, self._history, faults, settings, rng)
        self._publisher = Publisher(list(exchange.symbols.values()), exchange.depth, self._history)
        self._users = Users(exchange)
        self._rest = Rest(self._calls)
        ping_ns = settings.ping_interval_ms * 1_000_000 or PING_NS
        self._streams = Streams(self._publisher, ping_ns)
        self._api = WsApi(self._calls, ping_ns)

    def http(self, request: HttpIn, now_ns: int) -> HttpOut:
        answer = self._rest.answer(request, now_ns)
        self._publish(now_ns)
        return answer

    def connect(
        self, conn: int, path: str, query: str, headers: Mapping[str, str], remote: str, now_ns: int
    ) -> bool | HttpOut:
        if not self._calls.address(remote).connect(now_ns):
            return HttpOut(429, b'{"code":-1034,"msg":"Too many connection attempts from IP."}')
        if self._api.connect(conn, path, query, remote, now_ns):
            return True
        accepted = self._streams.connect(conn, path, query, now_ns)
        self._started(now_ns)
        return accepted

    def message(self, conn: int, text: str, now_ns: int) -> None:
        if conn in self._api:
            self.outgoing += self._api.message(conn, text, now_ns)
        else:
            self.outgoing += self._streams.message(conn, text, now_ns)
            self._started(now_ns)
        self._publish(now_ns)

    def ping(self, conn: int, payload: bytes, now_ns: int) -> None:
        if conn in self._streams:
            self.outgoing += self._streams.frame(conn, now_ns)

    def pong(self, conn: int, payload: bytes, now_ns: int) -> None:
        if conn in self._streams:
            self.outgoing += self._streams.pong(conn, payload, now_ns)
        else:
            self._api.pong(conn, payload)

    def closed(self, conn: int, now_ns: int) -> None:
        if conn in self._streams:
            self._streams.closed(conn)
        else:
            self._api.closed(conn)

    def tick(self, now_ns: int) -> None:
        self._publish(now_ns)
        self.outgoing += self._streams.tick(now_ns)
        self.outgoing += self._api.tick(now_ns)

    def channel_of(self, conn: int) -> str:
        return self._api.channel_of(conn) if conn in self._api else "market"

    def shutdown(self, now_ns: int, grace_ns: int = 0) -> None:
        """Tell every client that the server is about to go (`serverShutdown`), and cut it after `grace_ns`, if any."""
        self.outgoing += self._streams.shutdown(now_ns, grace_ns)
        self.outgoing += self._api.shutdown(now_ns, grace_ns)

    def throttle(self, until_ns: int, now_ns: int) -> None:
        self._calls.throttle(until_ns)

    def ban(self, until_ns: int) -> None:
        self._calls.ban(until_ns)

    def expire(self, now_ns: int) -> None:
        self.outgoing += self._api.expire(now_ns)

    def escalations(self) -> int:
        return self._calls.escalations()

    def _started(self, now_ns: int) -> None:
        if self._streams.reading():
            self._exchange.subscribed(now_ns)

    def _publish(self, now_ns: int) -> None:
        """Everything that the exchange did since the last time, to whom it concerns."""
        events = self._exchange.take_events()
        for event in events:
            if isinstance(event, PublicTrade):
                self._history.add(event)
            elif isinstance(event, OrderFill) and event.fill.filled == event.fill.quantity:
                self._calls.counts[event.order.account].filled(event.fill.maker, now_ns)
            for published in self._publisher.on_event(event):
                self.outgoing += self._streams.publish(published)
        for user_event in self._users.on_events(events):
            self.outgoing += self._api.publish(user_event)
        for published in self._publisher.due(now_ns):
            self.outgoing += self._streams.publish(published)
