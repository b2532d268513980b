"""KuCoin spot, classic dialect, as its clients see it: `KucoinFront` over one `Exchange`. See `front.Front`."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from tradeserver.simulator.config import VenueConfig
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.faults import Faults
from tradeserver.simulator.front import HttpIn, HttpOut, Outgoing
from tradeserver.simulator.history import History
from tradeserver.simulator.kucoin.calls import Ask, table
from tradeserver.simulator.kucoin.entry import PATH, Entry
from tradeserver.simulator.kucoin.limits import Pools
from tradeserver.simulator.kucoin.public import Public
from tradeserver.simulator.kucoin.publisher import Publisher
from tradeserver.simulator.kucoin.push import PING_TIMEOUT_MS, Push
from tradeserver.simulator.kucoin.rest import Clients, Rest
from tradeserver.simulator.kucoin.tokens import Tokens
from tradeserver.simulator.kucoin.trading import Trading
from tradeserver.simulator.kucoin.users import Users
from tradeserver.simulator.types import PublicTrade
from tradeserver.wire import kucoin as wire

PING_INTERVAL_MS = 18_000


class KucoinFront:
    """REST, push and order entry on one origin. `rng` makes the ids and tokens that the venue itself gives out."""

    def __init__(self, exchange: Exchange, faults: Faults, settings: VenueConfig, rng: Random) -> None:
        self.origin = ""
        self.outgoing: list[Outgoing] = []
        self._exchange = exchange
        self._history = History()
        self._ping_interval_ms = settings.ping_interval_ms or PING_INTERVAL_MS
        public = Public(exchange, self._history, settings.rates)
        clients, pools = Clients(exchange), Pools(settings.limits)
        self._pools = pools
        self._tokens = Tokens(f"{rng.getrandbits(128):032x}")
        self._trading = Trading(exchange, faults, rng)
        self._publisher = Publisher(exchange, self._history, public)
        self._users = Users(exchange)
        self._rest = Rest(table(public, self._trading, self._bullet), clients, pools)
        self._push = Push(self._publisher, self._tokens, self._ping_interval_ms)
        self._entry = Entry(self._trading, clients, pools, self._ping_interval_ms, rng)

    def http(self, request: HttpIn, now_ns: int) -> HttpOut:
        """One REST request."""
        answer = self._rest.answer(request, now_ns)
        self._publish(now_ns)
        return answer

    def _bullet(self, ask: Ask) -> wire.Bullet:
        """{"token":"..","instanceServers":[{"endpoint":"ws://127.0.0.1:40124/endpoint","encrypt":false,...}]}"""
        owner = ask.account.name if ask.who else ""
        server = wire.InstanceServer(
            endpoint=f"ws://{self.origin}/endpoint",
            encrypt=False,
            ping_interval=self._ping_interval_ms,
            ping_timeout=PING_TIMEOUT_MS,
        )
        return wire.Bullet(token=self._tokens.give(owner, ask.now_ns), instance_servers=[server])

    def connect(
        self, conn: int, path: str, query: str, headers: Mapping[str, str], remote: str, now_ns: int
    ) -> bool | HttpOut:
        """Order entry at /v1/private, the push streams anywhere else."""
        if path == PATH:
            self.outgoing += self._entry.connect(conn, query, now_ns)
        else:
            self.outgoing += self._push.connect(conn, query, now_ns)
        return True

    def message(self, conn: int, text: str, now_ns: int) -> None:
        """One text frame of a client."""
        if conn in self._entry:
            self.outgoing += self._entry.message(conn, text, now_ns)
        else:
            self.outgoing += self._push.message(conn, text, now_ns)
            if self._push.reading():
                self._exchange.subscribed(now_ns)
        self._publish(now_ns)

    def ping(self, conn: int, payload: bytes, now_ns: int) -> None:
        """A ping frame is answered by the server; it is not the sign of life that the venue wants."""

    def pong(self, conn: int, payload: bytes, now_ns: int) -> None:
        """This venue sends no ping frames."""

    def closed(self, conn: int, now_ns: int) -> None:
        """The connection is gone."""
        if conn in self._entry:
            self._entry.closed(conn)
        else:
            self._push.closed(conn)

    def tick(self, now_ns: int) -> None:
        """The dead man's switches, what the exchange did, and who must be closed."""
        self._trading.tick(now_ns)
        self._publish(now_ns)
        self.outgoing += self._push.tick(now_ns)
        self.outgoing += self._entry.tick(now_ns)

    def channel_of(self, conn: int) -> str:
        """ "orders" for order entry, "user" with the token of a key, else "market"."""
        if conn in self._entry:
            return "orders"
        return "user" if self._push.is_private(conn) else "market"

    def throttle(self, until_ns: int, now_ns: int) -> None:
        """429000 from every pool."""
        self._pools.block(until_ns)

    def ban(self, until_ns: int) -> None:
        """This venue has no such word; the language does not offer it."""
        raise NotImplementedError("KuCoin bans nobody in its own words")

    def shutdown(self, now_ns: int, grace_ns: int = 0) -> None:
        """This venue says no goodbye; the language does not offer it."""
        raise NotImplementedError("KuCoin announces no shutdown")

    def expire(self, now_ns: int) -> None:
        """{"type":"error","code":401,"data":"token is expired"}, then the close."""
        self.outgoing += self._push.expire()

    def escalations(self) -> int:
        """Nobody is banned here."""
        return 0

    def _publish(self, now_ns: int) -> None:
        """Everything that the exchange did since the last time, to whom it concerns."""
        for event in self._exchange.take_events():
            if isinstance(event, PublicTrade):
                self._history.add(event)
            for published in self._publisher.on_event(event):
                self.outgoing += self._push.publish(published)
            for message in self._users.on_event(event):
                self.outgoing += self._push.publish_private(message)
        for published in self._publisher.due(now_ns):
            self.outgoing += self._push.publish(published)
