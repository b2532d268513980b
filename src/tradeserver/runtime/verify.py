"""`data verify`: a recorded feed through a venue's real codec alone, and what came of it.

It plays the venue, in memory: hands out a token, acknowledges subscriptions, delivers the recorded frames of the
streams that the codec has subscribed to, and answers a snapshot request with the recorded REST answer, where that
stands in the file. The codec cannot tell. Books are built from its events and compared with the quotes in the file:

- Binance publishes every change of the top under the book's own update ids: after every delta (u) the top must equal
  the last bookTicker with u' <= u. Deltas that were buffered before the snapshot are part of the synchronisation and
  not compared.
- KuCoin's ticker comes every 100 ms and names the book's sequence that it was taken at: it must equal the top that the
  book had at that very sequence.

Two forms of file, plain or gzipped: `<local ns> <json>` lines (one symbol; a bare REST snapshot among the frames) and
JSON lines `{"t": "<seconds>", "kind": "ws"|"rest"|..., "frame"|"body", "url"}`. Anything that the codec refuses ends
the verification with its reason: a file in another dialect is named as such.
"""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from tradeserver.core.book import Book
from tradeserver.core.events import BestQuote, BookDelta, BookInvalid, BookSnapshot, Event, Trade, Trust
from tradeserver.core.types import Level, plain
from tradeserver.venues.base import Codec, Connect, Credentials, HttpRequest, Outgoing, Reset, WireError, WsMessage
from tradeserver.venues.binance.codec import BinanceCodec
from tradeserver.venues.binance.settings import BinanceSettings
from tradeserver.venues.kucoin.codec import KucoinCodec
from tradeserver.venues.kucoin.settings import KucoinSettings

CHANNEL: Final = "market"
LEVELS_SHOWN: Final = 5
QUOTES_KEPT: Final = 100_000  # quotes that wait for the book, or tops that wait for a quote, of one symbol
NOBODY: Final = Credentials("SIM-verify", "SIM-verify", "SIM-verify")  # a whole KuCoin book is a signed request


Top = tuple[float, float, float, float]
"""Bid, its quantity, ask, its quantity."""


class VerifyError(Exception):
    """The file cannot be verified; one clear sentence."""


# ---- what comes out --------------------------------------------------------------------------------------------------


class TopOfBook(msgspec.Struct):
    """The book's best levels against the quotes of the same file, price and size."""

    checked: int = 0
    matched: int = 0


class SymbolReport(msgspec.Struct):
    """One symbol at the end. Levels are (price, quantity) in plain notation; without a book they are empty."""

    native: str
    synced: bool = False
    update_id: int = 0
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []
    levels: tuple[int, int] = (0, 0)
    sha256: str = ""  # of the canonical book
    applied: int = 0  # deltas
    gaps: int = 0
    top_of_book: TopOfBook = msgspec.field(default_factory=TopOfBook)


class Report(msgspec.Struct):
    """The whole file. `skipped` counts recorded frames of streams that the codec does not ask for."""

    file: str
    venue: str
    frames: int = 0
    skipped: int = 0
    events: int = 0
    trades: int = 0
    quotes: int = 0
    snapshots: int = 0
    gaps: int = 0
    resyncs: int = 0  # books that had to begin anew, for whatever reason
    top_of_book: TopOfBook = msgspec.field(default_factory=TopOfBook)
    symbols: dict[str, SymbolReport] = {}

    @property
    def problem(self) -> str:
        """Why the file does not prove what it should, or ""."""
        top = self.top_of_book
        if top.matched < top.checked:
            return f"the top of the book differs from the file's own quotes {top.checked - top.matched} times"
        lost = [symbol for symbol, each in self.symbols.items() if not each.synced]
        return f"no synchronised book at the end: {', '.join(lost)}" if lost else ""


# ---- what goes in ----------------------------------------------------------------------------------------------------


class Row(msgspec.Struct):
    """One recorded thing: a frame (`stream` names it), or a REST answer (`stream` is "")."""

    number: int
    ts: int
    stream: str
    native: str  # of a REST answer; "" where the file has one symbol only
    data: bytes


class _Captured(msgspec.Struct):
    t: str | None = None
    kind: str = ""
    frame: msgspec.Raw = msgspec.Raw(b"{}")
    body: msgspec.Raw = msgspec.Raw(b"{}")
    url: str = ""


class _Named(msgspec.Struct):
    stream: str = ""
    topic: str = ""


_captured: Final = msgspec.json.Decoder(_Captured)
_named: Final = msgspec.json.Decoder(_Named)


def rows(path: Path) -> Iterator[Row]:
    """Every frame and REST answer, in the file's order. Raises VerifyError, naming the line."""
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                row = _captured_row(number, line) if line[:1] == b"{" else _raw_row(number, line)
                if row is not None:
                    yield row
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise VerifyError(f"{path}, after line {number}: {error}") from None
    except OSError as error:
        raise VerifyError(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, ValueError, ArithmeticError, KeyError, IndexError) as error:
        raise VerifyError(f"{path}, line {number}: not a line of a recording ({error})") from None


def _raw_row(number: int, line: bytes) -> Row | None:
    stamp, _, data = line.rstrip().partition(b" ")
    named = _named.decode(data)
    return Row(number, int(stamp), named.stream or named.topic, "", data)


def _captured_row(number: int, line: bytes) -> Row | None:
    captured = _captured.decode(line)
    if captured.t is None or captured.kind not in ("ws", "rest"):
        return None
    ts = int(Decimal(captured.t) * 1_000_000_000)
    if captured.kind == "rest":
        native = parse_qs(urlsplit(captured.url).query)["symbol"][0]
        return Row(number, ts, "", native, bytes(captured.body))
    data = bytes(captured.frame)
    named = _named.decode(data)
    stream = named.stream or named.topic
    return Row(number, ts, stream, "", data) if stream else None  # welcome, acks: those are ours to give


# ---- the two venues, as far as a recording does not hold them --------------------------------------------------------


class Venue(msgspec.Struct):
    """How to build a codec, and how the venue's names are written."""

    codec: Callable[[list[str]], Codec]
    natives: Callable[[str], list[str]]  # a stream's name -> the natives in it
    ours: Callable[[str], str]
    streams: Callable[[bytes], list[str]]  # a frame of the codec -> what it subscribes to, as `kind` spells it
    kind: Callable[[str], str]  # a recorded stream's name, without what is not compared (the push interval)
    answers: Callable[[bytes], list[bytes]]  # a frame of the codec -> what the venue says to it
    every_change: bool  # the quotes show every change of the top; else each is true at its own id only


_QUOTES: Final = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "JPY", "GBP")


def _binance_ours(native: str) -> str:
    quote = next((q for q in _QUOTES if native.endswith(q) and native != q), native[-3:])
    return f"{native[: -len(quote)]}/{quote}"


class _Asked(msgspec.Struct):
    id: int | str = 0
    method: str = ""
    params: list[str] = []
    type: str = ""
    topic: str = ""


_asked: Final = msgspec.json.Decoder(_Asked)


def _binance_kind(stream: str) -> str:
    return "@".join(stream.split("@")[:2])


def _kucoin_streams(frame: bytes) -> list[str]:
    head, _, names = _asked.decode(frame).topic.partition(":")
    return [f"{head}:{name}" for name in names.split(",") if name]


VENUES: Final[dict[str, Venue]] = {
    "binance": Venue(
        codec=lambda symbols: BinanceCodec(BinanceSettings(trades=True), symbols),
        natives=lambda stream: [stream.partition("@")[0].upper()] if "@depth" in stream else [],
        ours=_binance_ours,
        streams=lambda frame: [_binance_kind(each) for each in _asked.decode(frame).params],
        kind=_binance_kind,
        answers=lambda frame: [b'{"result":null,"id":%d}' % int(_asked.decode(frame).id)],
        every_change=True,
    ),
    "kucoin": Venue(
        codec=lambda symbols: KucoinCodec(KucoinSettings(trades=True), symbols, NOBODY),
        natives=lambda topic: [topic.partition(":")[2]] if topic.startswith("/market/level2:") else [],
        ours=lambda native: native.replace("-", "/"),
        streams=_kucoin_streams,
        kind=lambda topic: topic,
        answers=lambda frame: [b'{"id":%s,"type":"ack"}' % msgspec.json.encode(str(_asked.decode(frame).id))],
        every_change=False,
    ),
}

_TOKEN: Final = (
    b'{"code":"200000","data":{"token":"recording","instanceServers":[{"endpoint":"wss://recording/","encrypt":true,'
    b'"protocol":"websocket","pingInterval":18000,"pingTimeout":10000}]}}'
)
_WELCOME: Final = b'{"id":"recording","type":"welcome"}'


def verify(path: Path, venue: str, listen: Callable[[Event], None] = lambda event: None) -> Report:
    """The report; `listen` is told every event. Raises VerifyError: unknown venue, unreadable file, another dialect, no
    snapshot at all."""
    if venue not in VENUES:
        raise VerifyError(f"there is no venue {venue!r}: choose one of {', '.join(VENUES)}")
    natives = dict.fromkeys(native for row in rows(path) for native in VENUES[venue].natives(row.stream))
    if not natives:
        raise VerifyError(f"{path} holds no depth stream of {venue}: is it a recording of that venue?")
    return _Play(path, venue, list(natives), listen).run()


class _Play:
    """One pass over one file."""

    def __init__(self, path: Path, venue: str, natives: list[str], listen: Callable[[Event], None]) -> None:
        self._listen = listen
        self._path = path
        self._venue = VENUES[venue]
        self._symbols = {native: self._venue.ours(native) for native in natives}
        self._codec = self._venue.codec(list(self._symbols.values()))
        self._books = {symbol: Book(100_000) for symbol in self._symbols.values()}
        self._quotes: dict[str, deque[BestQuote]] = {s: deque(maxlen=QUOTES_KEPT) for s in self._symbols.values()}
        self._tops: dict[str, dict[int, Top]] = {symbol: {} for symbol in self._symbols.values()}  # by update id
        self._synchronising = False
        self._streams: set[str] = set()
        self._requests: dict[str, int] = {}  # native -> snapshot request without an answer yet
        self._unused: dict[str, Row] = {}  # native -> a recorded answer that nobody had asked for
        self._ts = 0
        self._row = 0
        self.report = Report(str(path), venue)
        for native, symbol in self._symbols.items():
            self.report.symbols[symbol] = SymbolReport(native)

    def run(self) -> Report:
        try:
            for row in rows(self._path):
                self._ts, self._row = row.ts, row.number
                if not self._streams:
                    self._connect()
                if row.stream:
                    self._frame(row)
                else:
                    self._snapshot(row)
        except WireError as error:
            raise VerifyError(f"{self._path}, line {self._row}: {error.reason}") from None
        if not self.report.snapshots:
            raise VerifyError(f"{self._path} holds no snapshot that fits its deltas: no book can be published")
        return self._finish()

    def _connect(self) -> None:
        """The codec's own conversation, up to the confirmed subscriptions."""
        self._hand_on([self._codec.open(CHANNEL, self._ts)])
        if not self._streams:
            raise VerifyError(f"the {self.report.venue} codec subscribed to nothing")

    def _frame(self, row: Row) -> None:
        if self._venue.kind(row.stream) not in self._streams:
            self.report.skipped += 1
            return
        self.report.frames += 1
        self._take(self._codec.receive(CHANNEL, row.data, row.ts))

    def _snapshot(self, row: Row) -> None:
        native = row.native or next(iter(self._symbols))
        if native not in self._requests:
            self._unused[native] = row
            return
        self._synchronising = True
        self._take(self._codec.receive_http(self._requests.pop(native), 200, {}, row.data, self._ts))
        self._synchronising = False

    # ---- what the codec says -----------------------------------------------------------------------------------------

    def _hand_on(self, outgoing: Iterable[Outgoing]) -> None:
        for out in outgoing:
            if isinstance(out, HttpRequest):
                self._requested(out)
            elif isinstance(out, Connect):
                self._take(self._codec.opened(CHANNEL, self._ts))
                if "token=" in out.url:
                    self._take(self._codec.receive(CHANNEL, _WELCOME, self._ts))
            elif isinstance(out, WsMessage):
                self._streams.update(self._venue.streams(out.data))
                for answer in self._venue.answers(out.data):
                    self._take(self._codec.receive(CHANNEL, answer, self._ts))
            elif isinstance(out, Reset):
                raise VerifyError(f"{self._path}, line {self._row}: the codec hung up: {out.reason}")

    def _requested(self, request: HttpRequest) -> None:
        parameters = parse_qs(urlsplit(request.url).query)
        if "symbol" not in parameters:
            self._take(self._codec.receive_http(request.id, 200, {}, _TOKEN, self._ts))
            return
        native = parameters["symbol"][0]
        self._requests[native] = request.id
        if native in self._unused:
            self._snapshot(self._unused.pop(native))

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            self._event(event)
        said = list(self._codec.outgoing)
        self._codec.outgoing.clear()
        self._hand_on(said)

    # ---- what it makes of it -----------------------------------------------------------------------------------------

    def _event(self, event: Event) -> None:
        self._listen(event)
        report = self.report
        report.events += 1
        if isinstance(event, BookDelta):
            symbol = report.symbols[event.symbol]
            self._books[event.symbol].apply(event.update_id, event.bids, event.asks)
            symbol.applied += 1
            self._after_delta(event.symbol)
        elif isinstance(event, BestQuote):
            report.quotes += 1
            if event.update_id:
                self._after_quote(event)
        elif isinstance(event, Trade):
            report.trades += 1
        elif isinstance(event, BookSnapshot):
            symbol = report.symbols[event.symbol]
            self._books[event.symbol].load(event.update_id, event.bids, event.asks)
            report.snapshots += 1
            symbol.synced = True
        elif isinstance(event, BookInvalid):
            symbol = report.symbols[event.symbol]
            if event.trust is Trust.GAP:
                symbol.gaps += 1
                report.gaps += 1
            report.resyncs += symbol.synced
            symbol.synced = False

    def _after_delta(self, symbol: str) -> None:
        book, quotes, tops = self._books[symbol], self._quotes[symbol], self._tops[symbol]
        top = (book.bid, book.bid_quantity, book.ask, book.ask_quantity)
        if self._venue.every_change:
            while len(quotes) > 1 and quotes[1].update_id <= book.update_id:
                quotes.popleft()  # what stays is the truth until the next one
            if quotes and quotes[0].update_id <= book.update_id and not self._synchronising:
                self._check(symbol, top, quotes[0])
            return
        tops[book.update_id] = top
        if len(tops) > QUOTES_KEPT:
            del tops[next(iter(tops))]
        while quotes and quotes[0].update_id <= book.update_id:
            quote = quotes.popleft()
            if quote.update_id == book.update_id:
                self._check(symbol, top, quote)

    def _after_quote(self, quote: BestQuote) -> None:
        tops = self._tops[quote.symbol]
        if not self._venue.every_change and quote.update_id in tops:
            self._check(quote.symbol, tops[quote.update_id], quote)
        else:
            self._quotes[quote.symbol].append(quote)

    def _check(self, symbol: str, top: Top, quote: BestQuote) -> None:
        same = top == (quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity)
        for checks in (self.report.symbols[symbol].top_of_book, self.report.top_of_book):
            checks.checked += 1
            checks.matched += same

    def _finish(self) -> Report:
        for name, symbol in self.report.symbols.items():
            book = self._books[name]
            if not symbol.synced:
                continue
            bids, asks = list(book.bids()), list(book.asks())
            symbol.update_id = book.update_id
            symbol.bids, symbol.asks = _shown(bids), _shown(asks)
            symbol.levels = (len(bids), len(asks))
            symbol.sha256 = book.sha256()
        return self.report


def _shown(levels: list[Level]) -> list[tuple[str, str]]:
    return [(plain(Decimal(repr(price))), plain(Decimal(repr(size)))) for price, size in levels[:LEVELS_SHOWN]]
