"""The channel "market": KuCoin's public pushes become books, quotes and trades.

Owns the depth machines of all symbols and their snapshot requests. With credentials a snapshot is the whole book
(signed); without, it is the unsigned part of 100 levels a side, and nothing outside of its price range is trusted:
changes beyond it are dropped, and when the market has eaten most of one side of it a new one is asked for.

Three streams show the top. `/market/level2` is pushed in real time and makes the book. `/spotMarket/level1` comes
every 10 ms with a stamp and without a sequence number: `BestQuote.update_id` is 0. `/market/ticker` comes every 100 ms
with the sequence number of the book that it was taken from: it is no fresher than the book, but it proves it.

Source: KuCoin docs, WebSocket "Orderbook - Increment", "Orderbook - Level1", "Get Ticker", "Trade", 2025-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import UNSET

from tradeserver.core.events import BestQuote, Event, LinkUp, Trade
from tradeserver.core.types import Level, Side
from tradeserver.venues.base import HttpRequest, WireError
from tradeserver.venues.depth import SYNCED, DepthRule, DepthSync, State
from tradeserver.venues.errors import UNREADABLE
from tradeserver.venues.kucoin import rest as kucoin
from tradeserver.venues.kucoin.link import MS, BulletLink
from tradeserver.venues.kucoin.rest import VENUE, Failure, Rest
from tradeserver.venues.kucoin.settings import KucoinSettings
from tradeserver.venues.numbers import Measured
from tradeserver.venues.rotation import Rotation
from tradeserver.wire import kucoin as wire

CHANNEL: Final = "market"
TOPICS_PER_SUBSCRIBE: Final = 100
TOPICS_PER_SESSION: Final = 300
PART: Final = 100
"""Levels a side of the unsigned book."""

EATEN: Final = 0.75
"""Share of one side of a part book that the market may eat before a new one is fetched."""

_PUSH: Final = msgspec.json.Decoder(
    wire.Level2Push[Measured] | wire.TickerPush[Measured] | wire.Level1Push[Measured] | wire.MatchPush[Measured],
    strict=False,
)
_FRAME: Final = msgspec.json.Decoder(wire.Frame)
_BOOK: Final = msgspec.json.Decoder(wire.BookRows[Measured], strict=False)
_READ: Final = frozenset(("trade.l2update", "trade.ticker", "level1", "trade.l3match"))
_PRO: Final = re.compile(rb'"T"\s*:\s*"')  # `{"T":"obu.SPOT","P":..,"d":{..}}` has no "type"
_SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
_EVERYTHING: Final = (0.0, float("inf"))


def kinds_of(settings: KucoinSettings) -> list[str]:
    """The heads of the topics to subscribe, each for every symbol."""
    kinds = ["/market/level2"]
    if settings.level1:
        kinds.append("/spotMarket/level1")
    if settings.ticker:
        kinds.append("/market/ticker")
    if settings.trades:
        kinds.append("/market/match")
    return kinds


class _Rows:
    """Rows of a message to levels: within the trusted range, newer than the snapshot, price 0 left out."""

    __slots__ = ("trusted", "water")

    def __init__(self) -> None:
        self.trusted = _EVERYTHING  # prices that may be believed
        self.water = _EVERYTHING  # the best bid may not fall below, the best ask not rise above

    def __call__(self, rows: Sequence[Any], snapshot_id: int) -> list[Level]:
        low, high = self.trusted
        if not snapshot_id:  # the whole message is newer
            return [(p, q) for p, q, _ in rows if p and low <= p <= high]
        try:
            return [(p, q) for p, q, sequence in rows if p and low <= p <= high and int(sequence) > snapshot_id]
        except ValueError:  # a sequence that is no number is no reason to skip a row
            return [(p, q) for p, q, _ in rows if p and low <= p <= high]

    def limit(self, book: wire.BookRows[float]) -> None:
        """Trust no price beyond the last one of a side that was cut."""
        low, high = _EVERYTHING
        low_water, high_water = _EVERYTHING
        if len(book.bids) >= PART:
            low = book.bids[-1][0]
            low_water = book.bids[0][0] - EATEN * (book.bids[0][0] - low)
        if len(book.asks) >= PART:
            high = book.asks[-1][0]
            high_water = book.asks[0][0] + EATEN * (high - book.asks[0][0])
        self.trusted = (low, high)
        self.water = (low_water, high_water)


class MarketFeed:
    """All symbols' public data. `natives` are (our symbol -> the venue's)."""

    def __init__(self, rest: Rest, links: Mapping[str, BulletLink], rotation: Rotation) -> None:
        self.links = links
        self._rest = rest
        self._rotation = rotation
        self._said = CHANNEL  # the connection whose frame is read
        self._syncs: dict[str, DepthSync] = {}  # by the venue's symbol
        self._rows: dict[str, _Rows] = {}
        self._endpoint = kucoin.BOOK_PART if rest.signer is None else kucoin.BOOK_FULL
        self._wanted: dict[str, int] = {}  # number of the snapshot request that counts, by the venue's symbol
        self._requests = 0
        self._by_topic: dict[str, str] = {}  # quote topics to the venue's symbol

    def use(self, natives: dict[str, str]) -> None:
        """What to subscribe from the next connect on. Keeps the machines of symbols that stay."""
        syncs: dict[str, DepthSync] = {}
        for symbol, native in natives.items():
            rows = self._rows.setdefault(native, _Rows())
            syncs[native] = self._syncs.get(native) or DepthSync(
                VENUE, symbol, DepthRule(slack=1, late_breaks=True, levels=rows)
            )
        self._syncs = syncs
        self._by_topic = {
            f"{kind}:{native}": native for kind in ("/spotMarket/level1", "/market/ticker") for native in syncs
        }
        names = list(syncs)
        topics = [
            f"{kind}:{','.join(names[at : at + TOPICS_PER_SUBSCRIBE])}"
            for kind in kinds_of(self._rest.settings)
            for at in range(0, len(names), TOPICS_PER_SUBSCRIBE)
        ]
        for link in self.links.values():
            link.topics = topics

    # ---- life of the channel ----

    def opened(self, name: str, ts: int) -> list[Event]:
        """Every book begins anew, unless the other connection feeds it."""
        self.links[name].opened(ts)
        return [] if self._rotation.is_up(CHANNEL) else self._start(ts)

    def _start(self, ts: int) -> list[Event]:
        return [event for sync in self._syncs.values() for event in sync.start(ts)]

    def closed(self, name: str, reason: str, ts: int) -> list[Event]:
        """No book is known any more, unless the other connection feeds it."""
        events: list[Event] = [*self.links[name].closed(reason, ts)]
        if not self._rotation.is_up(CHANNEL):
            self._wanted.clear()
            for sync in self._syncs.values():
                events += sync.stop(ts, reason)
        return events

    def tick(self, ts: int, stalled: bool) -> list[Event]:
        """Snapshots that are due, and a stream that went silent."""
        events = [event for link in self.links.values() for event in link.tick(ts, stalled)]
        for native, sync in self._syncs.items():
            if sync.due(ts):
                self._request(native, sync, ts)
        for link in self.links.values():
            if link.silent(ts, self._rest.settings.silence_ms * MS):
                events += link.fail(ts, "SILENT", f"no push for {self._rest.settings.silence_ms} ms")
        return events

    def resync(self, symbol: str, ts: int, reason: str) -> HttpRequest | None:
        """Throw the book away and ask for a snapshot now; None where the symbol is not followed or not connected.

        Whoever wants this has stopped to believe the book, so no event says it again.
        """
        for native, sync in self._syncs.items():
            if sync.symbol == symbol and sync.resync(ts, reason):
                return self._snapshot(native, sync, ts)
        return None

    def refusal(self, ts: int) -> str:
        """Why no snapshot can be asked for now, or ""."""
        return self._rest.refusal(self._endpoint, ts)

    @property
    def books(self) -> Mapping[str, DepthSync]:
        """The depth machine of each of the venue's symbols, for counting gaps."""
        return self._syncs

    # ---- frames ----

    def receive(self, name: str, data: bytes, ts: int) -> Sequence[Event]:
        """One frame. Raises WireError."""
        self._said = name
        try:
            push = _PUSH.decode(data)
        except UNREADABLE as error:
            return self._other(data, ts, str(error))
        self.links[name].heard = ts
        if type(push) is wire.Level2Push:
            return self._level2(push.data, ts)
        if name != self._rotation.speaks(CHANNEL):
            return ()  # the other connection says it as well
        if type(push) is wire.MatchPush:
            return self._match(push.data, ts)
        native = self._by_topic.get(push.topic)
        if native is None:
            return ()
        if type(push) is wire.Level1Push:
            return self._level1(native, push.data, ts)
        assert type(push) is wire.TickerPush
        return self._ticker(native, push.data, ts)

    def _level2(self, update: wire.Level2Update[float], ts: int) -> Sequence[Event]:
        """`{"topic":"/market/level2:XRP-USDT","type":"message","subject":"trade.l2update","data":{"changes":{"asks":
        [["0.51","120","41"],["0","0","42"]],"bids":[]},"sequenceStart":41,"sequenceEnd":42,"symbol":"XRP-USDT",
        "time":1742000000123}}`
        """
        sync = self._syncs.get(update.symbol)
        if sync is None:
            return ()
        if update.sequence_end <= sync.update_id and self._rotation.overlaps(CHANNEL):
            sync.ignored += 1  # the other connection has said it
            return ()
        changes = update.changes
        events = sync.delta(
            update.sequence_start, update.sequence_end, changes.bids, changes.asks, update.time * MS, ts
        )
        if sync.state is not SYNCED and sync.due(ts):
            self._request(update.symbol, sync, ts)
        return events

    def _level1(self, native: str, top: wire.Level1[float], ts: int) -> Sequence[Event]:
        """`{"topic":"/spotMarket/level1:XRP-USDT","type":"message","subject":"level1","data":{"asks":["0.51","120"],
        "bids":["0.509","80"],"timestamp":1742000000123}}`
        """
        bid, bid_quantity = top.bids[:2] if len(top.bids) >= 2 else (0.0, 0.0)
        ask, ask_quantity = top.asks[:2] if len(top.asks) >= 2 else (0.0, 0.0)
        return self._quote(native, 0, bid, bid_quantity, ask, ask_quantity, top.timestamp * MS, ts)

    def _ticker(self, native: str, top: wire.Ticker[float], ts: int) -> Sequence[Event]:
        """`{"topic":"/market/ticker:XRP-USDT","type":"message","subject":"trade.ticker","data":{"sequence":"42",
        "price":"0.51","size":"3","bestAsk":"0.51","bestAskSize":"120","bestBid":"0.509","bestBidSize":"80",
        "time":1742000000123}}`
        """
        venue_ts = 0 if top.time is UNSET else top.time * MS
        return self._quote(
            native,
            int(top.sequence),
            top.best_bid,
            top.best_bid_size,
            top.best_ask,
            top.best_ask_size,
            venue_ts,
            ts,
        )

    def _quote(
        self,
        native: str,
        update_id: int,
        bid: float,
        bid_quantity: float,
        ask: float,
        ask_quantity: float,
        venue_ts: int,
        ts: int,
    ) -> Sequence[Event]:
        sync = self._syncs[native]
        quote = BestQuote(
            ts=ts,
            venue=VENUE,
            symbol=sync.symbol,
            venue_ts=venue_ts,
            update_id=update_id,
            bid=bid,
            bid_quantity=bid_quantity,
            ask=ask,
            ask_quantity=ask_quantity,
        )
        low, high = self._rows[native].water
        if (0.0 < bid < low or ask > high) and sync.state is State.SYNCED:
            self._rows[native].water = _EVERYTHING
            return (quote, *sync.resync(ts, "the market left the range of the part book"))
        return (quote,)

    def _match(self, match: wire.Match[float], ts: int) -> Sequence[Event]:
        """`{"topic":"/market/match:XRP-USDT","type":"message","subject":"trade.l3match","data":{"symbol":"XRP-USDT",
        "price":"0.51","size":"3","side":"buy","tradeId":"77","sequence":"77","time":"1742000000123000000",...}}`
        """
        sync = self._syncs.get(match.symbol)
        if sync is None:
            return ()
        return (
            Trade(
                ts=ts,
                venue=VENUE,
                symbol=sync.symbol,
                venue_ts=int(match.time),
                price=match.price,
                quantity=match.size,
                taker=_SIDES[match.side],
                trade_id=match.trade_id,
            ),
        )

    def _other(self, data: bytes, ts: int, reason: str) -> Sequence[Event]:
        """Anything that is no push of ours: control frames, pushes that nobody reads, bytes that are no message."""
        try:
            frame = _FRAME.decode(data)
        except UNREADABLE as error:
            name = "a frame of the Pro dialect" if _PRO.search(data) else str(error)
            raise WireError(VENUE, CHANNEL, name, data) from None
        if frame.topic is not UNSET and frame.topic.startswith("/contract"):
            raise WireError(VENUE, CHANNEL, "a frame of the futures dialect", data)
        if frame.type != "message":
            events = self.links[self._said].control(frame, ts)
            idle = any(sync.state is State.IDLE for sync in self._syncs.values())
            if idle and any(type(each) is LinkUp for each in events):
                events = (*events, *self._start(ts))  # the connection before it died meanwhile
            return events
        if frame.subject in _READ:
            raise WireError(VENUE, CHANNEL, reason, data)
        return ()

    # ---- snapshots ----

    def _request(self, native: str, sync: DepthSync, ts: int) -> None:
        """Ask for a snapshot, or leave it due while the budget does not allow it."""
        if not self._rest.refusal(self._endpoint, ts):
            self._rest.outgoing.append(self._snapshot(native, sync, ts))

    def _snapshot(self, native: str, sync: DepthSync, ts: int) -> HttpRequest:
        """The request. The answer to an earlier one of the same symbol is dropped from here on."""
        sync.requested()
        self._requests += 1
        self._wanted[native] = number = self._requests
        done, failed = partial(self._loaded, native, number), partial(self._failed, native, number)
        return self._rest.ask(self._endpoint, ts, _BOOK, done, failed, path=f"?symbol={native}")

    def _loaded(self, native: str, number: int, book: wire.BookRows[float], asked: int, ts: int) -> Sequence[Event]:
        """`{"time":1742000000123,"sequence":"42","bids":[["0.509","80"]],"asks":[["0.51","120"]]}`"""
        if self._wanted.get(native) != number:
            return ()
        if self._rest.signer is None:
            self._rows[native].limit(book)
        return self._syncs[native].snapshot(int(book.sequence), book.bids, book.asks, ts, book.time * MS)

    def _failed(self, native: str, number: int, failure: Failure) -> Sequence[Event]:
        if self._wanted.get(native) == number:
            self._syncs[native].failed(failure.ts)
        return ()
