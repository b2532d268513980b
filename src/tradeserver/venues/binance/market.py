"""Binance's public streams: subscriptions, books, best quotes, trades. The hot path begins here.

One combined connection (`/stream`) carries every symbol. Streams are subscribed by frames, since their acknowledgement
says when they are effective, and never more than a few frames a second (the venue allows five incoming frames a second,
pongs included, web-socket-streams.md 2026-07-21). The kind of a frame is read off its first bytes, so that every frame
is parsed once, straight into floats that are finite.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET

from tradeserver.core.events import BestQuote, Event, LinkDown, LinkUp, Trade, VenueFault
from tradeserver.core.types import Side
from tradeserver.venues.base import Connect, HttpRequest, Outgoing, Reset, WireError, WsMessage
from tradeserver.venues.binance.reports import stamp_ns
from tradeserver.venues.binance.rest import Failure, Rest
from tradeserver.venues.binance.rules import VENUE, native_of
from tradeserver.venues.binance.settings import BinanceSettings
from tradeserver.venues.budget import RateBudget
from tradeserver.venues.depth import SYNCED, DepthRule, DepthSync, State
from tradeserver.venues.errors import UNREADABLE
from tradeserver.venues.numbers import Measured
from tradeserver.venues.rotation import Rotation, both
from tradeserver.wire.binance import (
    BookTicker,
    Combined,
    DepthSnapshot,
    DepthUpdate,
    ServerShutdown,
    StreamAnswer,
    StreamRequest,
    TradeEvent,
)

CHANNEL: Final = "market"
RULE: Final = DepthRule(slack=0, late_breaks=False)

STREAMS_PER_FRAME: Final = 50
FRAMES_PER_SECOND: Final = 2  # the server's pings take the rest of the five
ACK_NS: Final = 10_000_000_000
_SECOND: Final = 1_000_000_000
_WEIGHTS: Final = {100: 5, 500: 25, 1000: 50, 5000: 250}

_DEPTH: Final = msgspec.json.Decoder(Combined[DepthUpdate[Measured]], strict=False)
_TICKER: Final = msgspec.json.Decoder(Combined[BookTicker[Measured]], strict=False)
_TRADE: Final = msgspec.json.Decoder(Combined[TradeEvent[Measured]], strict=False)
_SHUTDOWN: Final = msgspec.json.Decoder(ServerShutdown)
_SNAPSHOT: Final = msgspec.json.Decoder(DepthSnapshot[Measured], strict=False)
_ANSWER: Final = msgspec.json.Decoder(StreamAnswer)

_NOTHING: Final[tuple[Event, ...]] = ()


class Subscription:
    """One connection's subscriptions: frames to send, acknowledgements that are missing."""

    def __init__(self, link: str, outgoing: list[Outgoing]) -> None:
        self.link = link
        self.open = False
        self.heard = 0
        self._outgoing = outgoing
        self._to_send: deque[bytes] = deque()
        self._unacknowledged: dict[int, int] = {}  # frame id -> when sent
        self._next_frame_id = 0
        self._sent_at: deque[int] = deque(maxlen=FRAMES_PER_SECOND)

    def begin(self, streams: Sequence[str | bool], ts: int) -> None:
        """The handshake is done: subscribe to everything."""
        self.open, self.heard = True, ts
        self._to_send.clear()
        self._unacknowledged.clear()
        for start in range(0, len(streams), STREAMS_PER_FRAME):
            self._next_frame_id += 1
            request = StreamRequest(
                method="SUBSCRIBE", params=list(streams[start : start + STREAMS_PER_FRAME]), id=self._next_frame_id
            )
            self._to_send.append(msgspec.json.encode(request))
            self._unacknowledged[self._next_frame_id] = 0
        self.send(ts)

    def send(self, ts: int) -> None:
        """As many frames as may go now."""
        while self._to_send:
            full = len(self._sent_at) == FRAMES_PER_SECOND
            if full and ts - self._sent_at[0] < _SECOND:
                return
            self._sent_at.append(ts)
            self._outgoing.append(WsMessage(channel=self.link, data=self._to_send.popleft()))
            waiting = [frame_id for frame_id, sent in self._unacknowledged.items() if not sent]
            self._unacknowledged[waiting[0]] = ts

    def acknowledged(self, frame_id: int) -> bool:
        """True: that was the last one."""
        return self._unacknowledged.pop(frame_id, None) is not None and not self._unacknowledged and self.open

    def overdue(self, ts: int) -> bool:
        """Whether an acknowledgement is."""
        return any(sent and ts - sent > ACK_NS for sent in self._unacknowledged.values())

    def reset(self, reason: str) -> None:
        """Nothing more is asked of this connection; `closed` follows."""
        self.open = False
        self._outgoing.append(Reset(channel=self.link, reason=reason))


class MarketStreams:
    """The market channel of the venue; books live as long as one of its connections does."""

    def __init__(
        self,
        settings: BinanceSettings,
        symbols: Sequence[str],
        rest: Rest,
        budget: RateBudget,
        outgoing: list[Outgoing],
        rotation: Rotation,
    ) -> None:
        self.weight = _WEIGHTS[settings.depth_limit]  # of one snapshot
        self._settings = settings
        self._rest = rest
        self._budget = budget
        self._outgoing = outgoing
        self._rotation = rotation
        self._links = {link: Subscription(link, outgoing) for link in both(CHANNEL)}
        self._books = {native_of(symbol): DepthSync(VENUE, symbol, RULE) for symbol in symbols}
        self._names = {native_of(symbol): symbol for symbol in symbols}
        self._listed = frozenset(self._books)
        self._requests: dict[str, int] = {}  # native -> the newest snapshot request; older answers are dropped
        self._requested = 0
        self._said = CHANNEL  # the connection whose frame is read
        self._kinds: dict[bytes, Callable[[bytes, int], Sequence[Event]]] = {
            b"d": self._depth,  # "btcusdt@depth@100ms"
            b"b": self._best_quote,  # "btcusdt@bookTicker"
            b"t": self._trade,  # "btcusdt@trade"
        }

    # ---- life ----

    def listed(self, natives: Sequence[str]) -> None:
        """The venue lists these symbols; only they are subscribed."""
        self._listed = frozenset(natives)

    def connect(self, link: str) -> Connect:
        """Where to connect."""
        return Connect(channel=link, url=f"{self._settings.stream_url.rstrip('/')}/stream", headers={})

    def opened(self, link: str, ts: int) -> Sequence[Event]:
        """The handshake is done: subscribe to everything; start every book, unless the other connection feeds them."""
        kinds = ["depth@100ms"]
        if self._settings.book_ticker:
            kinds.append("bookTicker")
        if self._settings.trades:
            kinds.append("trade")
        streams: list[str | bool] = [
            f"{native.lower()}@{kind}" for native in self._books if native in self._listed for kind in kinds
        ]
        self._links[link].begin(streams, ts)
        return _NOTHING if self._rotation.is_up(CHANNEL) else self._start_books(ts)

    def _start_books(self, ts: int) -> list[Event]:
        return [event for book in self._books.values() for event in book.start(ts)]

    def closed(self, link: str, reason: str, ts: int) -> Sequence[Event]:
        """The connection is gone, or never was; the books with it, unless the other one feeds them."""
        self._links[link].open = False
        events: list[Event] = []
        if self._rotation.down(link):
            events.append(LinkDown(ts=ts, venue=VENUE, channel=CHANNEL, reason=reason))
        if not self._rotation.is_up(CHANNEL):
            self._requests.clear()
            for book in self._books.values():
                events += book.stop(ts, f"link down: {reason}")
        return events

    def tick(self, ts: int) -> None:
        """Overdue subscriptions and acknowledgements, silence, snapshots that are due."""
        for link in self._links.values():
            if not link.open:
                continue
            link.send(ts)
            if ts - link.heard > self._settings.silence_ms * 1_000_000:
                link.reset("silent")
            elif link.overdue(ts):
                link.reset("subscription not acknowledged")
        if any(link.open for link in self._links.values()):
            for native, book in self._books.items():
                if book.state is not State.SYNCED:
                    self._ask_snapshot(native, book, ts)

    # ---- frames ----

    def receive(self, link: str, data: bytes, ts: int) -> Sequence[Event]:
        """One text frame: a stream's payload, an acknowledgement, or a word about the connection."""
        self._links[link].heard = ts
        self._said = link
        if data.startswith(b'{"stream":"'):
            at = data.find(b"@", 11, 43) + 1
            handler = self._kinds.get(data[at : at + 1]) if at else None
            if handler is not None:
                try:
                    return handler(data, ts)
                except UNREADABLE as error:
                    raise WireError(VENUE, CHANNEL, str(error), data) from error
        return self._other(data, ts)

    def _depth(self, data: bytes, ts: int) -> Sequence[Event]:
        """`{"stream":"xrpusdt@depth@100ms","data":{"e":"depthUpdate","E":1700000000100,"s":"XRPUSDT","U":101,"u":104,
        "b":[["0.5997","1200"]],"a":[["0.5999","0"]]}}` (web-socket-streams.md, "Diff. Depth Stream", 2026-07-21)."""
        update = _DEPTH.decode(data).data
        if update.futures_previous_id is not UNSET or update.futures_transaction_time is not UNSET:
            raise WireError(VENUE, CHANNEL, "futures dialect: a depth update with `pu` or `T` is not spot", data)
        book = self._books.get(update.symbol)
        if book is None:
            return _NOTHING
        events = book.delta(update.first_id, update.last_id, update.bids, update.asks, stamp_ns(update.event_time), ts)
        if book.state is not SYNCED:
            self._ask_snapshot(update.symbol, book, ts)
        return events

    def _best_quote(self, data: bytes, ts: int) -> Sequence[Event]:
        """`{"stream":"xrpusdt@bookTicker","data":{"u":105,"s":"XRPUSDT","b":"0.5997","B":"1200","a":"0.5998",
        "A":"300"}}`: no time (web-socket-streams.md, "Individual Symbol Book Ticker Streams", 2026-07-21)."""
        ticker = _TICKER.decode(data).data
        symbol = self._names.get(ticker.symbol)
        if symbol is None or self._said != self._rotation.speaks(CHANNEL):
            return _NOTHING
        return (
            BestQuote(
                ts=ts,
                venue=VENUE,
                symbol=symbol,
                update_id=ticker.update_id,
                bid=ticker.bid,
                bid_quantity=ticker.bid_quantity,
                ask=ticker.ask,
                ask_quantity=ticker.ask_quantity,
            ),
        )

    def _trade(self, data: bytes, ts: int) -> Sequence[Event]:
        """`{"stream":"xrpusdt@trade","data":{"e":"trade","E":1700000000101,"s":"XRPUSDT","t":17,"p":"0.5998",
        "q":"20","T":1700000000100,"m":false,"M":true}}`: the taker bought unless the buyer was the maker."""
        trade = _TRADE.decode(data).data
        symbol = self._names.get(trade.symbol)
        if symbol is None or self._said != self._rotation.speaks(CHANNEL):
            return _NOTHING
        return (
            Trade(
                ts=ts,
                venue=VENUE,
                symbol=symbol,
                venue_ts=stamp_ns(trade.trade_time),
                price=trade.price,
                quantity=trade.quantity,
                taker=Side.SELL if trade.buyer_is_maker else Side.BUY,
                trade_id=str(trade.trade_id),
            ),
        )

    def _other(self, data: bytes, ts: int) -> Sequence[Event]:
        """`{"result":null,"id":1}`, an error, or `{"stream":"!serverShutdown","data":{"e":"serverShutdown",...}}`."""
        if data.startswith((b'{"stream":"!serverShutdown"', b'{"e":"serverShutdown"')):
            self._rotation.hurry(self._said, ts)
            return _NOTHING
        try:
            answer = _ANSWER.decode(data)
        except UNREADABLE as error:
            raise WireError(VENUE, CHANNEL, str(error), data) from error
        if answer.code is not UNSET or answer.error is not UNSET:
            self._links[self._said].reset("subscription refused")
            text = data[:200].decode(errors="replace")
            return (VenueFault(ts=ts, venue=VENUE, channel=CHANNEL, code="SUBSCRIBE_REFUSED", text=text),)
        if answer.result is UNSET or not isinstance(answer.id, int):
            raise WireError(VENUE, CHANNEL, "neither a stream's payload nor an answer", data)
        if not self._links[self._said].acknowledged(answer.id) or not self._rotation.up(self._said):
            return _NOTHING
        idle = any(book.state is State.IDLE for book in self._books.values())  # the connection before it died meanwhile
        return (LinkUp(ts=ts, venue=VENUE, channel=CHANNEL), *(self._start_books(ts) if idle else ()))

    # ---- snapshots ----

    def resync(self, symbol: str, ts: int) -> HttpRequest:
        """The core's wish for a fresh snapshot, whatever the state: an earlier request's answer will be dropped."""
        native = native_of(symbol)
        self._books[native].resync(ts, "requested")
        return self._snapshot_request(native, self._books[native], ts)

    def _ask_snapshot(self, native: str, book: DepthSync, ts: int) -> None:
        if book.due(ts) and not self._budget.refusal("weight", self.weight, ts):
            self._outgoing.append(self._snapshot_request(native, book, ts))

    def _snapshot_request(self, native: str, book: DepthSync, ts: int) -> HttpRequest:
        self._requested += 1
        number = self._requests[native] = self._requested
        book.requested()

        def answered(body: bytes, answered_ts: int) -> Sequence[Event]:
            """`{"lastUpdateId":103,"bids":[["0.5997","1100"]],"asks":[["0.5999","40"]]}`."""
            if self._requests.get(native) != number:
                return _NOTHING
            snapshot = _SNAPSHOT.decode(body)
            return book.snapshot(snapshot.last_update_id, snapshot.bids, snapshot.asks, answered_ts)

        def failed(failure: Failure, failed_ts: int) -> Sequence[Event]:
            if self._requests.get(native) == number:
                book.failed(failed_ts)
            return _NOTHING

        return self._rest.request(
            "GET",
            "/api/v3/depth",
            [("symbol", native), ("limit", str(self._settings.depth_limit))],
            ts,
            weight=self.weight,
            answered=answered,
            failed=failed,
        )

    @property
    def books(self) -> Mapping[str, DepthSync]:
        """The dance of each native symbol, for counting gaps."""
        return self._books
