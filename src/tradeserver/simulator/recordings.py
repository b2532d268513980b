"""Reads recorded feeds: files into stamped items, without interpreting time or order.

Two forms of file, plain or gzipped: `<local ns> <json>` lines (a Binance feed, spot or USD-M futures, one symbol, REST
snapshots among the frames), and JSON lines `{"t": "<seconds>", "kind": "ws"|"rest"|"client"|"connect", "frame"|"body",
"url"}` (Binance or KuCoin captures). An item keeps the recorded bytes, so that a frame can be passed on exactly, and
what it means, so that a book can be kept. Quantities and prices are read as Decimals.

Dialects: `binance` diffs chain by `U == previous u + 1`; `binance_usdm` diffs by `pu == previous u` (USD-M futures
API docs, "How to manage a local order book correctly"); `kucoin` diffs carry sequenceStart/End, price 0 rows change
no level.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Collection, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from tradeserver.simulator.types import BookLevel, Side

MS: Final = 1_000_000


class RecordingError(ValueError):
    """The file is not a recording of that dialect; one sentence."""


class Snapshot(msgspec.Struct, frozen=True):
    """A REST order book."""

    last: int
    bids: list[BookLevel]
    asks: list[BookLevel]


class Diff(msgspec.Struct, frozen=True):
    """Changed levels; covers `first`..`last`, both included."""

    first: int
    last: int
    bids: list[BookLevel]
    asks: list[BookLevel]


class Quote(msgspec.Struct, frozen=True):
    """Best bid and ask."""

    sequence: int
    bid: BookLevel
    ask: BookLevel


class Trade(msgspec.Struct, frozen=True):
    """A public trade."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    taker: Side


class Item(msgspec.Struct, frozen=True):
    """One recorded thing. `stamp_ns` is the venue's, 0 where the frame has none. `channel` is "" for REST answers."""

    t_ns: int
    stamp_ns: int
    native: str
    channel: str
    text: str
    meaning: Snapshot | Diff | Quote | Trade | None


def items(path: Path, dialect: str) -> Iterator[Item]:
    """Every frame and snapshot of the file, in its order. Raises RecordingError, naming the line."""
    native = ""
    with _open(path) as lines:
        for number, line in enumerate(lines, 1):
            try:
                item = _raw_item(line, native) if line[:1] != b"{" else _captured_item(line, dialect)
            except (ValueError, KeyError, IndexError, TypeError) as error:
                raise RecordingError(f"{path}:{number}: not a {dialect} recording: {error!r}") from None
            if item is not None:
                native = native or item.native
                yield item


def first_snapshots(path: Path, dialect: str, wanted: Collection[str]) -> dict[str, Snapshot]:
    """The first snapshot of each wanted symbol, wherever it stands in the file."""
    found: dict[str, Snapshot] = {}
    for item in items(path, dialect):
        if isinstance(item.meaning, Snapshot) and item.native in wanted:
            found.setdefault(item.native, item.meaning)
            if len(found) == len(wanted):
                break
    return found


def _open(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


# ---- lines of a raw feed ------------------------------------------------------------------------------------------


class _Combined(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    lastUpdateId: int = 0  # noqa: N815
    bids: list[BookLevel] = []
    asks: list[BookLevel] = []


class _Payload(msgspec.Struct):
    """The fields of depthUpdate, bookTicker and trade that matter here."""

    s: str = ""
    e: str = ""
    E: int = 0
    U: int = 0
    u: int = 0
    pu: int = -1
    b: list[BookLevel] | Decimal = []
    a: list[BookLevel] | Decimal = []
    B: Decimal | None = None
    A: Decimal | None = None
    t: int = 0
    p: Decimal = Decimal(0)
    q: Decimal = Decimal(0)
    m: bool = False


_combined = msgspec.json.Decoder(_Combined)
_payload = msgspec.json.Decoder(_Payload)


def _raw_item(line: bytes, native: str) -> Item | None:
    stamp, _, text = line.partition(b" ")
    return _binance_item(int(stamp), text.rstrip(), native)


def _binance_item(t_ns: int, text: bytes, native: str) -> Item | None:
    """`{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":1,"u":3,"b":[],
    "a":[]}}`, or a bare REST snapshot `{"lastUpdateId":2,"bids":[],"asks":[]}`."""
    frame = _combined.decode(text)
    if frame.lastUpdateId:
        return Item(t_ns, 0, native, "", "", Snapshot(frame.lastUpdateId, frame.bids, frame.asks))
    data = bytes(frame.data)
    name, _, stream = frame.stream.partition("@")
    meaning: Diff | Quote | Trade | None = None
    stamp_ns = 0
    if stream.partition("@")[0] in ("depth", "bookTicker", "trade"):
        payload = _payload.decode(data)
        stamp_ns = payload.E * MS
        meaning = _binance_meaning(payload)
    return Item(t_ns, stamp_ns, name.upper(), frame.stream, data.decode(), meaning)


def _binance_meaning(payload: _Payload) -> Diff | Quote | Trade | None:
    if isinstance(payload.b, list) and isinstance(payload.a, list):
        if payload.e == "trade":
            return Trade(payload.t, payload.p, payload.q, Side.SELL if payload.m else Side.BUY)
        first = payload.U if payload.pu < 0 else payload.pu + 1
        return Diff(first, payload.u, payload.b, payload.a) if payload.u else None
    if isinstance(payload.b, list) or isinstance(payload.a, list) or payload.B is None or payload.A is None:
        return None
    return Quote(payload.u, (payload.b, payload.B), (payload.a, payload.A))


# ---- lines of a capture -------------------------------------------------------------------------------------------


class _Captured(msgspec.Struct):
    t: str | None
    kind: str
    frame: msgspec.Raw = msgspec.Raw(b"{}")
    body: msgspec.Raw = msgspec.Raw(b"{}")
    url: str = ""


_captured = msgspec.json.Decoder(_Captured)


def _captured_item(line: bytes, dialect: str) -> Item | None:
    captured = _captured.decode(line)
    if captured.t is None or captured.kind not in ("ws", "rest"):
        return None
    t_ns = int(Decimal(captured.t) * 1_000_000_000)
    if captured.kind == "rest":
        native = parse_qs(urlsplit(captured.url).query)["symbol"][0]
        body = bytes(captured.body)
        snapshot = _kucoin_snapshot(body) if dialect == "kucoin" else _binance_item(t_ns, body, native)
        return Item(t_ns, 0, native, "", "", snapshot.meaning if isinstance(snapshot, Item) else snapshot)
    return (
        _kucoin_item(t_ns, bytes(captured.frame))
        if dialect == "kucoin"
        else _binance_item(t_ns, bytes(captured.frame), "")
    )


class _Book(msgspec.Struct):
    sequence: str
    bids: list[BookLevel]
    asks: list[BookLevel]


class _BookAnswer(msgspec.Struct):
    data: _Book


_Row = tuple[Decimal, Decimal, int]


class _Changes(msgspec.Struct):
    asks: list[_Row] = []
    bids: list[_Row] = []


class _KucoinData(msgspec.Struct):
    """The fields of level2, ticker and match that matter here."""

    sequenceStart: int = 0  # noqa: N815
    sequenceEnd: int = 0  # noqa: N815
    changes: _Changes | None = None
    sequence: int = 0
    bestBid: Decimal | None = None  # noqa: N815
    bestBidSize: Decimal = Decimal(0)  # noqa: N815
    bestAsk: Decimal | None = None  # noqa: N815
    bestAskSize: Decimal = Decimal(0)  # noqa: N815
    time: int | None = None
    side: str = ""
    price: Decimal = Decimal(0)
    size: Decimal = Decimal(0)


class _KucoinFrame(msgspec.Struct):
    type: str = ""
    topic: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


_kucoin_frame = msgspec.json.Decoder(_KucoinFrame)
_kucoin_data = msgspec.json.Decoder(_KucoinData, strict=False)
_kucoin_book = msgspec.json.Decoder(_BookAnswer)


def _kucoin_snapshot(body: bytes) -> Snapshot:
    """`{"code":"200000","data":{"sequence":"3262786978","bids":[["6500.12","0.45"]],"asks":[]}}`."""
    data = _kucoin_book.decode(body).data
    return Snapshot(int(data.sequence), data.bids, data.asks)


def _kucoin_item(t_ns: int, text: bytes) -> Item | None:
    """`{"type":"message","topic":"/market/level2:BTC-USDT","subject":"trade.l2update","data":{"changes":{"asks":[["18906",
    "0.00331","14103845"]],"bids":[]},"sequenceEnd":14103845,"sequenceStart":14103844,"symbol":"BTC-USDT"}}`."""
    frame = _kucoin_frame.decode(text)
    if frame.type != "message":
        return None
    topic, _, native = frame.topic.partition(":")
    native = native.partition("_")[0]  # candles name their period behind the symbol
    meaning: Diff | Quote | Trade | None = None
    stamp_ns = 0
    if topic in ("/market/level2", "/market/ticker", "/market/match"):
        data = _kucoin_data.decode(frame.data)
        stamp_ns = _as_ns(data.time or 0)
        if data.changes is not None:
            bids, asks = ([(p, q) for p, q, _ in rows if p] for rows in (data.changes.bids, data.changes.asks))
            meaning = Diff(data.sequenceStart, data.sequenceEnd, bids, asks)
        elif data.bestBid is not None and data.bestAsk is not None:
            meaning = Quote(data.sequence, (data.bestBid, data.bestBidSize), (data.bestAsk, data.bestAskSize))
        elif data.side:
            meaning = Trade(data.sequence, data.price, data.size, Side(data.side))
    return Item(t_ns, stamp_ns, native, frame.topic, text.decode(), meaning)


def _as_ns(stamp: int) -> int:
    """KuCoin writes milliseconds in some messages and nanoseconds in others."""
    return stamp * MS if stamp < 10**15 else stamp


_STAMPS: Final = {
    "binance": re.compile(r'"(?:E|T)":(\d{13})(?!\d)'),
    "kucoin": re.compile(r'"time":"?(\d{19}|\d{13})(?!\d)'),
}


def move_stamps(text: str, dialect: str, shift_ns: int) -> str:
    """The frame with its venue stamps moved by `shift_ns` (whole ms where the stamp is in ms), nothing else changed."""

    def moved(match: re.Match[str]) -> str:
        digits = match[1]
        value = int(digits) + (shift_ns if len(digits) == 19 else shift_ns // MS)
        return f"{match[0][: match.start(1) - match.start()]}{value}"

    return _STAMPS[dialect].sub(moved, text)
