"""What we know about every market: books, best quotes, whether they may be traded on, and how old they are.

Owns `Market`, a table of `SymbolMarket` by (venue, symbol), fed with every event. Rules:

- Only a SYNCED and fresh book is tradable, on a connection that is up and current, of a symbol that the venue trades.
- Age is judged by the venue's stamp, corrected by the measured clock offset: frames can wait in the kernel while our
  loop is busy. A frame without a stamp, or before the first offset is known, takes its arrival time.
- After a tick more than `stall_ms` late no connection is current until a venue stamp later than the stall, or the
  answer to a ping sent after it, arrives on that same connection. All market data of a venue share its channel
  "market".
- A best quote newer than the depth book is the tradable top, for its quoted size. Newer is the higher update id; where
  a stream has none (KuCoin's level1: `update_id` 0), the later venue stamp, and of two with one stamp the later one.
- A depth book that stays crossed, or behind its own venue's quotes, loses its trust. CROSSED lasts until the next
  snapshot (whoever reads the `BookChanged` asks for one); STALE ends with the next fresh update.

It does not decide anything, and it does not check continuity (the codecs do).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from annotated_types import Ge, Gt

from tradeserver.core.book import Book
from tradeserver.core.events import (
    BestQuote,
    BookDelta,
    BookInvalid,
    BookSnapshot,
    ClockOffset,
    Event,
    InstrumentsLoaded,
    LinkCurrent,
    LinkDown,
    LinkUp,
    SymbolEvent,
    SymbolStatus,
    Tick,
    Trade,
    Trust,
)
from tradeserver.core.records import BookChanged, Record
from tradeserver.core.taken import Taken
from tradeserver.core.types import Instrument, Key, Level, Side

CHANNEL: Final = "market"
_MS: Final = 1_000_000
STALE_PAUSES: Final = 16
"""A symbol is STALE after so many of its own usual pauses, within `stale_least_ms` and `stale_ms`."""
_PAUSES_AVERAGED: Final = 32
_BUY: Final = Side.BUY  # an Enum's member is found ten times as slowly by its class
_STALE: Final = Trust.STALE
_QUOTES_KEPT: Final = 1_024  # quotes that wait for the depth update of their id


@dataclass(frozen=True)
class MarketLimits:
    """When market data may not be trusted any more."""

    stale_ms: Annotated[int, Gt(0)] = 1_500  # no depth update and no quote of the symbol for longer: STALE
    stale_least_ms: Annotated[int, Gt(0)] = 600  # the same for a symbol that is always busy: see `STALE_PAUSES`
    stall_ms: Annotated[int, Gt(0)] = 50  # a tick later than this: no connection is current
    crossed_ms: Annotated[int, Ge(0)] = 200  # best bid >= best ask for longer: CROSSED
    own_ms: Annotated[int, Ge(0)] = (
        1_000  # what our orders reach for counts as taken so long, or until its level changes
    )
    levels_kept: Annotated[int, Ge(100)] = 10_000  # prices a side


class _Link:
    """The connection of one venue's market data. `stalled_ts` not 0: not current until something later arrives.
    `lag_ns` is how late its last stamped frame came, `offset_ns` the venue's clock minus ours, None until measured."""

    __slots__ = ("lag_ns", "offset_ns", "stalled_ts", "up")

    def __init__(self) -> None:
        self.up = False
        self.offset_ns: int | None = None
        self.stalled_ts = 0
        self.lag_ns = 0


class SymbolMarket:
    """One symbol at one venue. `bid`, `ask` and their quantities are the tradable top, 0.0 where there is none."""

    __slots__ = (
        "_behind_ts",
        "_blocked",
        "_book_stamp",
        "_crossed_ts",
        "_current",
        "_link",
        "_pause_ns",
        "_quote",
        "_quotes",
        "_reaches",
        "_sequenced",
        "_stale_least_ns",
        "_stale_most_ns",
        "_stale_ns",
        "_status",
        "_taken",
        "ask",
        "ask_quantity",
        "bid",
        "bid_quantity",
        "book",
        "instrument",
        "key",
        "reason",
        "seen_ts",
        "stamp_ns",
        "trust",
        "update_id",
        "venue_ts",
    )

    def __init__(self, key: Key, limits: MarketLimits, link: _Link | None = None) -> None:
        self.key = key
        self._link = link or _Link()
        self.instrument: Instrument | None = None
        self.book = Book(limits.levels_kept)
        self.trust = Trust.SNAPSHOTTING
        self.reason = "no snapshot yet"
        self.bid = self.bid_quantity = self.ask = self.ask_quantity = 0.0
        self.update_id = 0  # of the top, 0 where it comes from a stream without
        self.seen_ts = 0  # our stamp of the last event of this symbol
        self.stamp_ns = 0  # when the top was true, on our clock
        self.venue_ts = 0  # the last venue stamp of a depth update or quote
        self._book_stamp = 0  # the venue's stamp of the last depth update
        self._stale_ns = self._stale_most_ns = limits.stale_ms * _MS
        self._stale_least_ns = min(limits.stale_least_ms, limits.stale_ms) * _MS
        self._pause_ns = self._stale_most_ns // STALE_PAUSES  # usual, between two renewals of the top
        self._sequenced = False  # the depth book is complete: a snapshot, and every delta since
        self._quote: BestQuote | None = None  # set while it is newer than the book
        self._quotes: deque[BestQuote] = deque(maxlen=_QUOTES_KEPT)
        self._behind_ts = 0  # since when the depth stream owes us what a quote has shown
        self._crossed_ts = 0
        self._current = False
        self._status = ""
        self._taken = Taken()
        self._reaches: list[tuple[Side, float, float, int]] = []  # not marked yet: taker, cap, quantity, until
        self._blocked = ""
        self._block()

    @property
    def mid(self) -> float:
        """Half-way between the tradable bests."""
        return (self.bid + self.ask) / 2

    def age_ns(self, ts: int) -> int:
        """How long ago the top was known to be true."""
        return max(0, ts - self.stamp_ns)

    def untradable(self, ts: int) -> str:
        """Why nobody may trade here now, as a stable code; "" when one may.

        BOOK_SNAPSHOTTING, BOOK_GAP, BOOK_STALE, BOOK_CROSSED, LINK_NOT_CURRENT, SYMBOL_HALTED, BOOK_EMPTY.
        """
        if self._blocked:
            return self._blocked
        if not self.bid_quantity or not self.ask_quantity:
            return "BOOK_EMPTY"
        if self.bid >= self.ask:
            return "BOOK_CROSSED"
        if ts - self.stamp_ns > self._stale_ns:
            return "BOOK_STALE"
        return ""

    def levels(self, taker: Side) -> Iterator[Level]:
        """What a taker of that side would meet, best first, without what our own orders have taken of it."""
        if self._reaches:
            self._mark()
        if not self._taken:
            return self.shown(taker)
        return self._left(taker)

    def _left(self, taker: Side) -> Iterator[Level]:
        buys = taker is _BUY
        for price, size in self.shown(taker):
            left = self._taken.left(buys, price, size, self.seen_ts)
            if left > 0.0:
                yield price, left

    def take(self, taker: Side, cap: float, quantity: float, until: int) -> None:
        """An order of ours reaches for `quantity` up to `cap`: nobody counts on that again before `until`.

        Which levels that are is worked out before the book moves or is looked at again: an order need not wait for it.
        """
        self._reaches.append((taker, cap, quantity, until))

    def _mark(self) -> None:
        """The levels that our orders have reached for since the book last moved."""
        taken, now = self._taken, self.seen_ts
        for taker, cap, wanted, until in self._reaches:
            buys, quantity = taker is _BUY, wanted
            for price, size in self.shown(taker):
                if price > cap if buys else price < cap:
                    break
                part = min(taken.left(buys, price, size, now), quantity)
                if part > 0.0:
                    taken.mark(buys, price, size, part, until, now)
                    quantity -= part
                if quantity <= 0.0:
                    break
        self._reaches.clear()

    def shown(self, taker: Side) -> Iterator[Level]:
        """The venue's levels. A quote newer than the book is the first; behind it count only strictly worse ones."""
        buys = taker is _BUY
        levels = self.book.asks() if buys else self.book.bids()
        return levels if self._quote is None else self._behind_quote(buys, levels)

    def _behind_quote(self, buys: bool, levels: Iterator[Level]) -> Iterator[Level]:
        price, size = (self.ask, self.ask_quantity) if buys else (self.bid, self.bid_quantity)
        if not size:
            return
        yield price, size
        for level in levels:
            if level[0] > price if buys else level[0] < price:
                yield level

    def quantity_at(self, taker: Side, price: float) -> float:
        """The size of the level of `levels` that has exactly this price, 0.0 where there is none."""
        if self._quote is not None:
            buys = taker is _BUY
            best, size = (self.ask, self.ask_quantity) if buys else (self.bid, self.bid_quantity)
            if price == best or not size:
                return size
            if price < best if buys else price > best:
                return 0.0
        return self.book.quantity_at(taker, price)

    def visible(self, taker: Side, cap: float, most: float) -> tuple[float, float]:
        """(quantity, notional) that a taker would get at prices no worse than `cap`, at most `most` base."""
        buys = taker is _BUY
        quantity = notional = 0.0
        for price, size in self.levels(taker):
            if quantity >= most or (price > cap if buys else price < cap):
                break
            part = min(size, most - quantity)
            quantity += part
            notional += part * price
        return quantity, notional

    def _follows(self, quote: BestQuote) -> bool:
        """Whether it comes after the present top's quote on the same stream, within one tick of the venue's clock."""
        now = self._quote
        return now is not None and not now.update_id and not quote.update_id and quote.venue_ts == now.venue_ts

    def _block(self) -> None:
        """Everything that forbids trading and does not depend on the time or the prices, once for many questions."""
        if self.trust is not Trust.SYNCED:
            self._blocked = f"BOOK_{self.trust.name}"
        elif not self._current:
            self._blocked = "LINK_NOT_CURRENT"
        elif self._status or self.instrument is None or not self.instrument.tradable:
            self._blocked = "SYMBOL_HALTED"
        else:
            self._blocked = ""

    def _set_trust(self, trust: Trust, reason: str, ts: int, records: list[Record]) -> None:
        if trust is self.trust and reason == self.reason:
            return
        self.trust = trust
        self.reason = reason
        self._block()
        venue, symbol = self.key
        records.append(BookChanged(ts=ts, venue=venue, symbol=symbol, trust=trust.value, reason=reason))

    def _stamp(self, event: SymbolEvent) -> None:
        """Note the event's times; call it only for what renews the top. Without a stamp it is as late as its link."""
        link, before, stamp, venue_ts = self._link, self.stamp_ns, event.ts, event.venue_ts
        if venue_ts:
            self.venue_ts = venue_ts
        if venue_ts and link.offset_ns is not None:
            if venue_ts - link.offset_ns < stamp:
                stamp = venue_ts - link.offset_ns
        else:
            stamp -= link.lag_ns
        self.stamp_ns = stamp
        if before and stamp > before:
            pause = self._pause_ns = self._pause_ns + (stamp - before - self._pause_ns) // _PAUSES_AVERAGED
            stale = STALE_PAUSES * pause
            if stale > self._stale_most_ns:
                stale = self._stale_most_ns
            self._stale_ns = stale if stale > self._stale_least_ns else self._stale_least_ns

    def _depth_applied(self, ts: int) -> None:
        """The book moved: whose top counts now, is it crossed, does it owe us something?"""
        book = self.book
        quote = self._quote
        if quote is None or not _newer(quote, book.update_id, self._book_stamp):
            self._quote = None
            self._behind_ts = 0
            self.update_id = book.update_id
            self.bid, self.bid_quantity = book.bid, book.bid_quantity
            self.ask, self.ask_quantity = book.ask, book.ask_quantity
        else:
            self._behind_ts = 0 if _same_top(book, quote) else ts
        if book.bid < book.ask or not book.bid_quantity or not book.ask_quantity:
            self._crossed_ts = 0
        elif not self._crossed_ts:
            self._crossed_ts = ts


def _newer(quote: BestQuote, update_id: int, venue_ts: int) -> bool:
    """Whether a quote says more than what has this update id and venue stamp: by ids, else stamps, else arrival."""
    if quote.update_id and update_id:
        return quote.update_id > update_id
    return quote.venue_ts > venue_ts or not quote.venue_ts


def _same_top(book: Book, quote: BestQuote) -> bool:
    return (
        book.bid == quote.bid
        and book.ask == quote.ask
        and book.bid_quantity == quote.bid_quantity
        and book.ask_quantity == quote.ask_quantity
    )


class Market:
    """All symbols of all venues."""

    def __init__(self, limits: MarketLimits) -> None:
        self.limits = limits
        self.symbols: dict[Key, SymbolMarket] = {}
        self.quote_checks = (0, 0)  # (checked, matched): depth top against best quote at equal update ids
        self._links: dict[str, _Link] = {}
        self._stall_ns = limits.stall_ms * _MS
        self._crossed_ns = limits.crossed_ms * _MS
        self._handlers: dict[type, Callable[[Any, list[Record]], SymbolMarket | None]] = {
            BookDelta: self._on_delta,
            BestQuote: self._on_quote,
            Trade: self._on_trade,
            Tick: self._on_tick,
            BookSnapshot: self._on_snapshot,
            BookInvalid: self._on_invalid,
            SymbolStatus: self._on_status,
            InstrumentsLoaded: self._on_instruments,
            ClockOffset: self._on_offset,
            LinkUp: self._on_link,
            LinkDown: self._on_link,
            LinkCurrent: self._on_link,
        }

    def add(self, key: Key) -> SymbolMarket:
        """Follow a symbol; events of others are ignored."""
        if key not in self.symbols:
            link = self._links.setdefault(key[0], _Link())
            self.symbols[key] = SymbolMarket(key, self.limits, link)
        return self.symbols[key]

    def on_event(self, event: Event, records: list[Record]) -> SymbolMarket | None:
        """Take note of one event; appends `BookChanged` where a book's trust changes.

        Returns the symbol whose tradable top, depth or trust may have changed; None for what concerns a whole venue or
        everything (links, ticks), where `records` say which books changed, and for what this table does not follow.
        """
        handler = self._handlers.get(type(event))
        return None if handler is None else handler(event, records)

    def next_deadline(self) -> int:
        """The earliest time at which a tick would change something by itself; 0 when there is none."""
        due = 0
        for symbol in self.symbols.values():
            if symbol.trust is Trust.SYNCED:
                at = symbol.stamp_ns + symbol._stale_ns + 1
                if symbol._behind_ts:
                    at = min(at, symbol._behind_ts + symbol._stale_most_ns + 1)
                if symbol._crossed_ts:
                    at = min(at, symbol._crossed_ts + self._crossed_ns + 1)
                due = min(due, at) if due else at
        return due

    # ---- market data -------------------------------------------------------------------------------------------------

    def _find(self, event: SymbolEvent) -> SymbolMarket | None:
        """The event's symbol, its life noted; a venue stamp later than a stall proves its connection current."""
        symbol = self.symbols.get((event.venue, event.symbol))
        if symbol is not None:
            if symbol._reaches:
                symbol._mark()
            ts, venue_ts = event.ts, event.venue_ts
            symbol.seen_ts = ts
            link = symbol._link
            offset = link.offset_ns
            if venue_ts and offset is not None:
                if type(event) is not BookSnapshot:  # which comes by REST
                    lag = ts - venue_ts + offset
                    link.lag_ns = lag if lag > 0 else 0
                if link.stalled_ts and venue_ts - offset > link.stalled_ts:
                    link.stalled_ts = 0
                    self._spread(event.venue, link)
        return symbol

    def _on_delta(self, event: BookDelta, records: list[Record]) -> SymbolMarket | None:
        symbol = self._find(event)
        if symbol is None or not symbol._sequenced:
            return None
        symbol.book.apply(event.update_id, event.bids, event.asks)
        self._after_depth(symbol, event, records)
        return symbol

    def _on_snapshot(self, event: BookSnapshot, records: list[Record]) -> SymbolMarket | None:
        symbol = self._find(event)
        if symbol is None:
            return None
        symbol.book.load(event.update_id, event.bids, event.asks)
        symbol._sequenced = True
        symbol._crossed_ts = 0
        symbol._set_trust(Trust.SYNCED, "", event.ts, records)
        self._after_depth(symbol, event, records)
        return symbol

    def _after_depth(self, symbol: SymbolMarket, event: SymbolEvent, records: list[Record]) -> None:
        if event.venue_ts:
            symbol._book_stamp = event.venue_ts
        symbol._depth_applied(event.ts)
        if symbol._quote is None:
            symbol._stamp(event)
        if symbol._quotes:
            self._check_quotes(symbol)
        if symbol.trust is _STALE:
            self._refresh(symbol, event.ts, records)

    def _on_quote(self, event: BestQuote, records: list[Record]) -> SymbolMarket | None:
        symbol = self._find(event)
        if symbol is None:
            return None
        book = symbol.book
        if not _newer(event, symbol.update_id, symbol.venue_ts) and not symbol._follows(event):
            if symbol._sequenced and event.update_id == book.update_id:
                self._compare(symbol, event)
            return None
        symbol._quote = event
        if event.update_id:
            symbol._quotes.append(event)
        symbol._stamp(event)
        symbol.update_id = event.update_id
        symbol.bid, symbol.bid_quantity = event.bid, event.bid_quantity
        symbol.ask, symbol.ask_quantity = event.ask, event.ask_quantity
        if not symbol._behind_ts and not _same_top(book, event):
            symbol._behind_ts = event.ts
        if symbol.trust is _STALE and symbol._sequenced:
            self._refresh(symbol, event.ts, records)
        return symbol

    def _check_quotes(self, symbol: SymbolMarket) -> None:
        """Compare the book with the quote of its very update id, and forget the older ones."""
        quotes = symbol._quotes
        quote = None
        while quotes and quotes[0].update_id <= symbol.book.update_id:
            quote = quotes.popleft()
        if quote is not None and quote.update_id == symbol.book.update_id:
            self._compare(symbol, quote)

    def _compare(self, symbol: SymbolMarket, quote: BestQuote) -> None:
        checked, matched = self.quote_checks
        self.quote_checks = (checked + 1, matched + _same_top(symbol.book, quote))

    def _on_trade(self, event: Trade, records: list[Record]) -> SymbolMarket | None:
        self._find(event)
        return None

    def _on_invalid(self, event: BookInvalid, records: list[Record]) -> SymbolMarket | None:
        symbol = self._find(event)
        if symbol is None:
            return None
        symbol._sequenced = False
        symbol._quote = None  # a venue that numbers anew must not be outlived by an old quote
        symbol._quotes.clear()
        symbol._behind_ts = symbol._crossed_ts = 0
        symbol.update_id = symbol.venue_ts = symbol._book_stamp = 0
        symbol._set_trust(event.trust, event.reason, event.ts, records)
        return symbol

    # ---- time and trust ----------------------------------------------------------------------------------------------

    def _on_tick(self, event: Tick, records: list[Record]) -> None:
        if event.late_ns > self._stall_ns:
            for venue, link in self._links.items():
                link.stalled_ts = event.ts
                self._spread(venue, link)
        for symbol in self.symbols.values():
            if symbol.trust is Trust.SYNCED:
                self._refresh(symbol, event.ts, records)

    def _refresh(self, symbol: SymbolMarket, ts: int, records: list[Record]) -> None:
        """SYNCED, STALE or CROSSED, by age and prices. Only for books whose sequence is right."""
        if symbol._crossed_ts and ts - symbol._crossed_ts > self._crossed_ns:
            symbol._set_trust(Trust.CROSSED, "best bid stays at or above best ask", ts, records)
        elif ts - symbol.stamp_ns > symbol._stale_ns:
            symbol._set_trust(Trust.STALE, "nothing heard", ts, records)
        elif symbol._behind_ts and ts - symbol._behind_ts > symbol._stale_most_ns:
            symbol._set_trust(Trust.STALE, "depth is behind its quotes", ts, records)
        else:
            symbol._set_trust(Trust.SYNCED, "", ts, records)

    # ---- venues ------------------------------------------------------------------------------------------------------

    def _on_instruments(self, event: InstrumentsLoaded, records: list[Record]) -> None:
        for instrument in event.instruments:
            symbol = self.symbols.get(instrument.key)
            if symbol is not None:
                symbol.instrument = instrument
                symbol._status = ""
                symbol._block()

    def _on_status(self, event: SymbolStatus, records: list[Record]) -> SymbolMarket | None:
        symbol = self._find(event)
        if symbol is not None:
            symbol._status = "" if event.tradable else event.reason or "halted"
            symbol._block()
        return symbol

    def _on_offset(self, event: ClockOffset, records: list[Record]) -> None:
        link = self._links.get(event.venue)
        if link is not None:
            link.offset_ns = event.offset_ns

    def _on_link(self, event: LinkUp | LinkDown | LinkCurrent, records: list[Record]) -> None:
        link = self._links.get(event.venue)
        if link is None or event.channel != CHANNEL:
            return
        if isinstance(event, LinkCurrent):
            if event.asked_ts >= link.stalled_ts:
                link.stalled_ts = 0
        else:
            link.up = isinstance(event, LinkUp)
            if not link.up:
                link.stalled_ts = 0  # whatever waited on that connection is gone with it
        self._spread(event.venue, link)

    def _spread(self, venue: str, link: _Link) -> None:
        for symbol in self.symbols.values():
            if symbol.key[0] == venue:
                symbol._current = link.up and not link.stalled_ts
                symbol._block()
