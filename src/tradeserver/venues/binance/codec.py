"""Binance spot as a codec: the parts joined. Which part owns what:

- `setup`: trading rules, clock, commission; `market`: public streams and books; `private`: log-on, user events, order
  entry over the WS API; `reads`: questions over REST; `rest`: requests and answers as such.

Order of a start: `start` asks for rules and time; with the rules known the market channel is opened; with rules and
clock known, and a key, "user" and "orders" too. Without a key there is only "market".

Each connection is renewed a little before the venue's 24 hours end, at a different time each (`venues/rotation.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

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
from tradeserver.venues.base import Connect, Credentials, HttpRequest, OpenChannel, Outgoing, WsMessage
from tradeserver.venues.binance.errors import REFRESH_RULES, SYNC_CLOCK
from tradeserver.venues.binance.market import CHANNEL as MARKET
from tradeserver.venues.binance.market import MarketStreams
from tradeserver.venues.binance.private import ORDERS, USER, PrivateLinks
from tradeserver.venues.binance.reads import WEIGHTS, Reads
from tradeserver.venues.binance.rest import Rest
from tradeserver.venues.binance.rules import VENUE, native_of
from tradeserver.venues.binance.settings import BinanceSettings
from tradeserver.venues.binance.setup import Setup
from tradeserver.venues.binance.signing import signer
from tradeserver.venues.budget import RateBudget
from tradeserver.venues.clock import ClockSampler
from tradeserver.venues.errors import ErrorRow
from tradeserver.venues.rotation import Rotation, both

_MINUTE: Final = 60_000_000_000
STAGGERED_MIN: Final = {MARKET: 0, USER: 15, ORDERS: 30}
"""No two connections are renewed at the same time."""
_MARKET_LINKS: Final = frozenset(both(MARKET))

_ORDER_WINDOWS: Final = ("orders", "orders_10s", "orders_1d")
"""In which an order counts; the first is throttled by -1015 and has no count."""


class BinanceCodec:
    """`venues.base.Codec` for Binance spot. `symbols` are ours ("BTC/USDT"); no `credentials`: market data only."""

    venue = VENUE

    def __init__(
        self, settings: BinanceSettings, symbols: Sequence[str], credentials: Credentials | None = None
    ) -> None:
        self.outgoing: list[Outgoing] = []
        self.budget = RateBudget(VENUE)
        self._names = {native_of(symbol): symbol for symbol in symbols}
        self._clock = ClockSampler(VENUE)
        key = signer(credentials) if credentials else None
        self._rotation = Rotation(
            {channel: (settings.renew_min + later) * _MINUTE for channel, later in STAGGERED_MIN.items()}, self.outgoing
        )
        self._rest = Rest(settings, credentials, key, self.budget, self._clock)
        self._rest.on_error = self._on_error
        self._setup = Setup(
            settings, symbols, self._rest, self.budget, self._clock, self.outgoing, with_fees=key is not None
        )
        self.market = MarketStreams(settings, symbols, self._rest, self.budget, self.outgoing, self._rotation)
        self._reads = Reads(settings, symbols, self._rest, self.outgoing, self._name)
        self._private: PrivateLinks | None = None
        if credentials is not None and key is not None:
            self._private = PrivateLinks(
                settings,
                credentials,
                key,
                self.budget,
                self._clock,
                self.outgoing,
                self._rotation,
                self._name,
                self._on_error,
                self._ask_account,
            )
        self._asked_for: list[str] = []  # channels that we asked the session to keep open
        self._now = 0  # the newest `ts` heard: at most a tick old

    # ---- life ----

    def start(self, ts: int) -> Sequence[Event]:
        """Ask for rules and time; see `venues.base.Codec`."""
        self._setup.tick(ts)
        return ()

    def open(self, channel: str, ts: int) -> HttpRequest | Connect:
        """Where to connect; Binance needs no token, the log-on happens inside."""
        if channel in _MARKET_LINKS:
            return self.market.connect(channel)
        return self._links().connect(channel)

    def opened(self, channel: str, ts: int) -> Sequence[Event]:
        """The handshake is done."""
        self._rotation.opened(channel, ts)
        if channel in _MARKET_LINKS:
            return self.market.opened(channel, ts)
        return self._links().opened(channel, ts)

    def closed(self, channel: str, reason: str, ts: int) -> Sequence[Event]:
        """The connection is gone."""
        if channel in _MARKET_LINKS:
            return self.market.closed(channel, reason, ts)
        return self._links().closed(channel, reason, ts)

    def tick(self, ts: int) -> Sequence[Event]:
        """Whatever is due by time."""
        self._now = ts
        self._setup.tick(ts)
        self.market.tick(ts)
        if self._private is not None:
            self._private.tick(ts)
        self._rotation.tick(ts)
        return ()

    # ---- in ----

    def receive(self, channel: str, data: bytes, ts: int) -> Sequence[Event]:
        """One text frame. Raises WireError."""
        if channel in _MARKET_LINKS:
            events = self.market.receive(channel, data, ts)
            if self._clock.implausible(events, ts):
                self._setup.check_clock()
            return events
        return self._links().receive(channel, data, ts)

    def receive_http(
        self, request_id: int, status: int, headers: Mapping[str, str], body: bytes, ts: int
    ) -> Sequence[Event]:
        """The answer to a request of ours."""
        self._now = ts
        events = self._rest.answer(request_id, status, headers, body, ts)
        self._ask_for_channels()
        return events

    def _ask_for_channels(self) -> None:
        if not self._setup.rules_known:
            return
        self.market.listed([each.native for each in self._setup.instruments.values()])
        wanted = [MARKET] if self._setup.instruments else []
        if self._private is not None and self._clock.known and wanted:
            wanted += [USER, ORDERS]
        for channel in wanted:
            if channel not in self._asked_for:
                self._asked_for.append(channel)
                self.outgoing.append(OpenChannel(channel=channel))

    # ---- out ----

    def usable(self, command: Command) -> str:
        """Why this command cannot be sent now, or "". Only opening orders need the order link: the rest has REST."""
        now, budget = self._now, self.budget
        if not isinstance(command, RequestSnapshot):
            if self._private is None:
                return "no key"
            if not self._clock.known:
                return "venue clock unknown"
        if isinstance(command, SubmitOrder):
            if command.symbol not in self._setup.instruments:
                return "symbol's rules unknown"
            if command.opening and not self._private_up(ORDERS):
                return "orders link down"
            if command.opening and self._clock.doubted:
                return "venue clock in doubt"
            # A success weighs nothing, but a throttle is a throttle.
            return budget.refusal("weight", 1, now, safety=True) or budget.refusal_of(
                _ORDER_WINDOWS, 1, now, not command.opening
            )
        weight = self.market.weight if isinstance(command, RequestSnapshot) else WEIGHTS.get(type(command), 1)
        return budget.refusal("weight", weight, now, safety=not isinstance(command, RequestSnapshot))

    def spent(self, ts: int) -> Mapping[str, tuple[int, int]]:
        """See `Codec.spent`."""
        return self.budget.spent(ts)

    def encode(self, command: Command, ts: int) -> WsMessage | HttpRequest | None:
        """The command's bytes. Orders and cancels go by the WS API, and by REST while that link is down."""
        match command:
            case SubmitOrder():
                links = self._links()
                return links.place(command, ts) if links.up(ORDERS) else self._reads.place(command, ts)
            case CancelOrder():
                links = self._links()
                return links.cancel(command, ts) if links.up(ORDERS) else self._reads.cancel(command, ts)
            case CancelAll():
                links = self._links()
                return links.cancel_all(command, ts) if links.up(ORDERS) else self._reads.cancel_all(command, ts)
            case QueryOrder():
                return self._reads.order(command, ts)
            case QueryFills():
                return self._reads.fills(command, ts)
            case QueryOpenOrders():
                return self._reads.open_orders(command, ts)
            case QueryOrders():
                return self._reads.orders(command, ts)
            case RequestAccount():
                return self._reads.account(ts)
            case RequestSnapshot():
                return self.market.resync(command.symbol, ts)
            case ArmDeadMan():
                return None  # Binance spot has no dead-man's switch
            case _:
                raise TypeError(f"{type(command).__name__} is no command for a venue")

    # ---- parts ----

    def _private_up(self, channel: str) -> bool:
        return self._private is not None and self._private.up(channel)

    def _links(self) -> PrivateLinks:
        if self._private is None:
            raise ValueError("binance: this needs a key")
        return self._private

    def _name(self, native: str) -> str:
        return self._names.get(native, native)

    def _on_error(self, row: ErrorRow) -> None:
        if row.action == SYNC_CLOCK:
            self._setup.sync_clock()
        elif row.action == REFRESH_RULES:
            self._setup.refresh_rules()

    def _ask_account(self, ts: int) -> None:
        if not self.budget.refusal("weight", WEIGHTS[RequestAccount], ts, safety=True):
            self.outgoing.append(self._reads.account(ts))
