"""Plays recorded feeds into exchanges: at 1x, Nx, or as fast as it goes.

A feed of the venue's own dialect is passed on frame by frame (`RecordedFrame`), with nothing changed but its stamps;
a feed of another dialect becomes neutral events (`BookChange`, `QuoteChange`, `PublicTrade`) that the venue's front
words anew, with update ids that chain as in the recording. Either way the exchange's book is a `TapeBook`: orders
fill against the recorded book less what they took, and published is the recorded book alone.

The first snapshot in the file is the book from the beginning of the play, although it was recorded a little later: so a
client that asks at once gets a book that its diffs lead to. A symbol without any snapshot has no book: an empty one is
published, and nothing fills.

All feeds keep their distances in time: they begin together, when each playing venue has its first subscriber (see
`PlaybackConfig`). A frame recorded at t is sent at start + (t - t0) / speed. Venue stamps are moved by one constant
per feed: start - t0 + the smallest (arrival - stamp) of the feed's first 5 s, so that the quickest frame seems to
arrive at once and none comes from the future, whatever the recording machine's clock was.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from tradeserver.simulator.config import PlaybackConfig, RecordingConfig
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.recordings import (
    Diff,
    Item,
    Quote,
    RecordingError,
    Snapshot,
    Trade,
    first_snapshots,
    items,
    move_stamps,
)
from tradeserver.simulator.tape import TapeBook
from tradeserver.simulator.types import BookChange, PublicTrade, QuoteChange, RecordedFrame, Side

_OFFSET_WINDOW_NS: Final = 5_000_000_000
_FRAMES_AT_ONCE: Final = 200  # in one `advance` when playing as fast as it goes
_NEVER: Final = 1 << 62


class Progress(msgspec.Struct, frozen=True):
    """How far a feed has come, for the control API."""

    venue: str
    file: str
    started: bool
    finished: bool
    frames: int
    start_ns: int  # simulated time of the recordings' first moment, 0 before the start


class Playback:
    """All feeds of one simulator."""

    def __init__(self, config: PlaybackConfig, feeds: Iterable[Feed]) -> None:
        self._config = config
        self._feeds = list(feeds)
        begin_ns = min((feed.t_ns for feed in self._feeds), default=0) + int(config.skip_s * 1e9)
        for feed in self._feeds:
            feed.skip_to(begin_ns)
        self._origin_ns = min((feed.t_ns for feed in self._feeds), default=0)
        self._start_ns = 0

    @property
    def fast(self) -> bool:
        """As fast as it goes, and not yet at the end: the caller holds back while its clients are behind."""
        return self._config.speed == 0 and self._start_ns > 0 and self.next_due() < _NEVER

    def next_due(self) -> int:
        """When `advance` has something to do; a time far away before the start, which is looked for on ticks, and at
        the end."""
        if not self._feeds or not self._start_ns:
            return _NEVER
        return min(self._due(feed) for feed in self._feeds)

    def advance(self, now_ns: int) -> None:
        """Start if the listeners are there; then everything that is due, in the order of the recordings."""
        if not self._feeds or not self._started(now_ns):
            return
        left = _FRAMES_AT_ONCE if self._config.speed == 0 else 1 << 30
        while left > 0:
            feed = min(self._feeds, key=lambda feed: feed.t_ns)
            due = self._due(feed)
            if due > now_ns:
                return
            feed.play_one(due if self._config.speed else now_ns)
            left -= 1

    def progress(self) -> list[Progress]:
        """One entry a feed."""
        return [
            Progress(
                feed.exchange.venue,
                feed.path.name,
                bool(self._start_ns),
                feed.t_ns == _NEVER,
                feed.played,
                self._start_ns,
            )
            for feed in self._feeds
        ]

    def _started(self, now_ns: int) -> bool:
        if self._start_ns:
            return True
        subscribed = [feed.exchange.first_subscribed_ns for feed in self._feeds]
        if not any(subscribed):
            return False
        waited = now_ns - min(moment for moment in subscribed if moment)
        if not (all(subscribed) or waited >= self._config.wait_ms * 1_000_000):
            return False
        if now_ns - max(subscribed) < self._config.lead_ms * 1_000_000:
            return False
        self._start_ns = now_ns
        for feed in self._feeds:
            feed.start(now_ns - self._origin_ns)
        return True

    def _due(self, feed: Feed) -> int:
        if feed.t_ns == _NEVER or not self._config.speed:
            return feed.t_ns if feed.t_ns == _NEVER else self._start_ns
        return self._start_ns + int((feed.t_ns - self._origin_ns) / self._config.speed)


class Feed:
    """One recording at one exchange. `t_ns` is the recorded time of the next item. Raises RecordingError."""

    def __init__(self, config: RecordingConfig, exchange: Exchange) -> None:
        self.exchange = exchange
        self.path = Path(config.file)
        self.played = 0
        self._dialect = config.dialect
        self._same_dialect = config.dialect == exchange.venue
        self._names = config.symbols or {native: symbol.name for native, symbol in exchange.by_native.items()}
        self._shift_ns = 0
        if not self.path.is_file():
            raise RecordingError(f"{self.path}: no such recording")
        self._offset_ns = smallest_offset(self.path, config.dialect)
        snapshots = first_snapshots(self.path, config.dialect, self._names)
        self._books = {native: TapeBook() for native in self._names}
        for native, book in self._books.items():
            exchange.books[self._names[native]] = book
            if native in snapshots:
                book.load(snapshots[native].last, snapshots[native].bids, snapshots[native].asks)
        self._items = items(self.path, config.dialect)
        self._next: Item | None = next(self._items, None)
        if self._next is None:
            raise RecordingError(f"{self.path}: nothing in it")
        self.t_ns = self._next.t_ns

    def start(self, shift_ns: int) -> None:
        """Playing begins; recorded local times plus `shift_ns` are simulated times at 1x."""
        self._shift_ns = shift_ns + self._offset_ns

    def skip_to(self, t_ns: int) -> None:
        """Apply to the books what was recorded before `t_ns`, unheard."""
        while self._next is not None and self.t_ns < t_ns:
            item = self._take()
            if item.native in self._names:
                self._apply(item, self._books[item.native], self._names[item.native])

    def _take(self) -> Item:
        item = self._next
        assert item is not None
        self._next = next(self._items, None)
        self.t_ns = self._next.t_ns if self._next else _NEVER
        return item

    def play_one(self, now_ns: int) -> None:
        """The next item goes to the exchange."""
        item = self._take()
        name = self._names.get(item.native)
        if name is None:
            return
        self.played += 1
        book = self._books[item.native]
        if self._same_dialect and item.channel:
            text = move_stamps(item.text, self._dialect, self._shift_ns)
            self.exchange.emit(RecordedFrame(name, item.channel, text, now_ns))
        self._apply(item, book, name)
        stamp_ns = item.stamp_ns + self._shift_ns if item.stamp_ns else now_ns
        if not self._same_dialect:
            self._emit_neutral(item, name, stamp_ns)
        self._fill_resting(book, name, now_ns)

    def _apply(self, item: Item, book: TapeBook, name: str) -> None:
        meaning = item.meaning
        if isinstance(meaning, Diff):
            book.apply(meaning.last, meaning.bids, meaning.asks)
        elif isinstance(meaning, Quote):
            book.quote(meaning.sequence, meaning.bid, meaning.ask)
        elif isinstance(meaning, Trade):
            self.exchange.last_price[name] = meaning.price
        elif isinstance(meaning, Snapshot) and meaning.last > book.sequence:
            book.load(meaning.last, meaning.bids, meaning.asks)

    def _emit_neutral(self, item: Item, name: str, stamp_ns: int) -> None:
        meaning, emit = item.meaning, self.exchange.emit
        if isinstance(meaning, Diff):
            bids, asks = tuple(meaning.bids), tuple(meaning.asks)
            emit(BookChange(name, meaning.first, meaning.last, bids, asks, stamp_ns))
        elif isinstance(meaning, Quote):
            emit(QuoteChange(name, meaning.sequence, meaning.bid, meaning.ask, stamp_ns))
        elif isinstance(meaning, Trade):
            trade = (meaning.trade_id, meaning.price, meaning.quantity, meaning.taker, 0, 0)
            emit(PublicTrade(name, self._books[item.native].sequence, *trade, stamp_ns))

    def _fill_resting(self, book: TapeBook, name: str, now_ns: int) -> None:
        """Clients' resting orders that the recorded book has come to are filled, as makers, out of that book."""
        for order in self.exchange.resting_orders(name):
            level = book.first(order.side.opposite)
            while level is not None and order.remaining and _reaches(order.side, order.price, level.price):
                part = min(order.remaining, level.remaining)
                book.reduce(level, part)
                self.exchange.fill_resting(order, part, now_ns)
                level = book.first(order.side.opposite)


def _reaches(side: Side, limit: Decimal, price: Decimal) -> bool:
    return price <= limit if side is Side.BUY else price >= limit


def smallest_offset(path: Path, dialect: str) -> int:
    """The smallest (local arrival - venue stamp) of the first 5 s, ns; 0 when nothing is stamped."""
    smallest: int | None = None
    first_ns = 0
    for item in items(path, dialect):
        first_ns = first_ns or item.t_ns
        if item.t_ns - first_ns > _OFFSET_WINDOW_NS:
            break
        if item.stamp_ns:
            offset = item.t_ns - item.stamp_ns
            smallest = offset if smallest is None else min(smallest, offset)
    return smallest or 0
