"""The formats that `data import` reads, told apart by their first lines, each as rows -> events.

Binance public data (data.binance.vision, spot, its README of 2025-01-01: from that day stamps are in microseconds):
`klines` (12 cells), `trades` (7), `aggTrades` (8) and `bookTicker` (a head line, 7 cells). CryptoDataDownload's daily
bars (a line with its address, a head, newest first). `books`: one row a moment with N levels a side, columns b1.. bv1..
a1.. av1... What a bar says about a book is an assumption: bid at the close, ask one `tick` above, each as deep as the
bar's volume, at the bar's end.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from tradeserver.core.events import BookSnapshot, Event, Trade
from tradeserver.core.types import Side
from tradeserver.lab.data.rows import BadRowError, Problems, Row, not_negative, number, positive, stamp_ns

CDD: Final = "cryptodatadownload"


class Target(msgspec.Struct, frozen=True):
    """What the rows are rows of. `tick` is the spread of a bar's book."""

    venue: str
    symbol: str
    tick: float
    file: str


class Format(msgspec.Struct, frozen=True):
    """One format: how its rows become events, and what its data set says of itself."""

    name: str
    head: bool  # the first row names the columns
    events: Callable[[Iterable[Row], Sequence[str], Target, Problems], Iterator[Event]]
    together: bool = False
    rows_apart: bool = False  # rows come at a fixed distance, which is how long each holds


def recognise(first: Sequence[Row]) -> Format | None:
    """The format of a CSV file by its first rows; None for none of ours."""
    rows = [row for _, row in first]
    if not rows:
        return None
    if CDD in rows[0][0].lower():
        rows = rows[1:]
    names = [cell.strip().lower() for cell in rows[0]] if rows else []
    if names[:2] == ["unix", "date"]:
        return FORMATS["bars"]
    if {"b1", "bv1", "a1", "av1"} <= set(names):
        return FORMATS["books"]
    if "best_bid_price" in names:
        return FORMATS["bookTicker"]
    by_length = {12: "klines", 7: "trades", 6: "trades", 8: "aggTrades"}
    if len(names) in by_length and (names[0].isdigit() or names[0] in ("id", "open_time", "agg_trade_id")):
        return FORMATS[by_length[len(names)]]
    return None


def _each(
    rows: Iterable[Row], target: Target, problems: Problems, event: Callable[[int, list[str]], Event]
) -> Iterator[Event]:
    """Every row that can be taken, with stamps that do not fall."""
    last = 0
    for line, row in rows:
        try:
            made = event(line, row)
        except BadRowError as error:
            problems.add("rows left out", f"{target.file}, line {line}: {error}; the row is left out")
            continue
        except IndexError:
            problems.add("rows left out", f"{target.file}, line {line}: only {len(row)} cells; the row is left out")
            continue
        if made.ts < last:
            problems.add(
                "rows out of order", f"{target.file}, line {line}: older than the row before it; the row is left out"
            )
            continue
        last = made.ts
        yield made


def _ascending(rows: Iterable[Row], stamp: int) -> Iterable[Row]:
    """Newest-first files turned round; the others as they are."""
    rows = iter(rows)
    first = list(itertools.islice(rows, 2))
    try:
        falls = len(first) == 2 and int(float(first[0][1][stamp])) > int(float(first[1][1][stamp]))
    except (ValueError, IndexError, OverflowError):
        falls = False
    return reversed([*first, *rows]) if falls else itertools.chain(first, rows)


def _klines(rows: Iterable[Row], head: Sequence[str], target: Target, problems: Problems) -> Iterator[Event]:
    """`1754006400000000,115764.07,115774.57,113966.67,114198.87,7250.89,1754092799999999,8.3e8,1000000,3500,4e8,0`."""

    def event(line: int, row: list[str]) -> Event:
        return _bar(target, line, _bar_end(stamp_ns(row[6])), row[1:5], row[5])

    return _gaps(_each((r for r in rows if r[1][0].isdigit()), target, problems, event), target, problems)


def _bar_end(close_ns: int) -> int:
    """Binance's closing stamp is the bar's last ms or us: its end is one after that."""
    return -(-close_ns // 1_000_000_000) * 1_000_000_000


def _bars(rows: Iterable[Row], head: Sequence[str], target: Target, problems: Problems) -> Iterator[Event]:
    """`1774828800000,2026-03-30,BTCUSDT,66010.93,68169.65,65800.59,66797.37,18353.38,1.2e9,3902849`: stamps of opening,
    newest first. A bar ends where the next begins; the last one as long after that as most do."""
    rows = list(_ascending(rows, 0))
    distance = _usual_distance([row[0] for _, row in rows])

    def event(line: int, row: list[str]) -> Event:
        return _bar(target, line, stamp_ns(row[0]) + distance, row[3:7], row[7])

    return _gaps(_each(rows, target, problems, event), target, problems)


def _usual_distance(stamps: Sequence[str]) -> int:
    found: dict[int, int] = {}
    last = 0
    for text in stamps:
        try:
            ts = stamp_ns(text)
        except BadRowError:
            continue
        if last and ts > last:
            found[ts - last] = found.get(ts - last, 0) + 1
        last = ts
    return max(found, key=lambda each: found[each], default=86_400_000_000_000)


def _bar(target: Target, line: int, ts: int, prices: Sequence[str], volume: str) -> BookSnapshot:
    opened, high, low, close = (positive(p, w) for p, w in zip(prices, ("open", "high", "low", "close"), strict=True))
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise BadRowError("the bar's low and high do not hold its open and close")
    size = not_negative(volume, "the volume")
    ask = round(close + target.tick, 12)
    return BookSnapshot(
        ts=ts, venue=target.venue, symbol=target.symbol, update_id=line, bids=[(close, size)], asks=[(ask, size)]
    )


def _gaps(events: Iterator[Event], target: Target, problems: Problems) -> Iterator[Event]:
    """Name the places where rows are missing, by the distance of the first two."""
    last = distance = 0
    for event in events:
        if last:
            distance = min(distance or event.ts - last, event.ts - last) or distance
            if distance and event.ts - last > distance * 3 // 2:
                problems.add("gaps", f"{target.file}: no rows between {_utc(last)} and {_utc(event.ts)}")
        last = event.ts
        yield event


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _books(rows: Iterable[Row], head: Sequence[str], target: Target, problems: Problems) -> Iterator[Event]:
    """`2021-08-20 00:00:00,LINKUSDT,27.095,...,988.45,...,27.101,...`: prices and sizes of N levels a side."""
    names = [name.strip().lower() for name in head]
    at = {name: n for n, name in enumerate(names)}
    depth = sum(1 for name in names if name[:1] == "b" and name[1:].isdigit())

    def side(row: list[str], price: str, size: str) -> list[tuple[float, float]]:
        levels = []
        for n in range(1, depth + 1):
            p, q = row[at[f"{price}{n}"]], row[at[f"{size}{n}"]]
            if p:  # fewer levels than columns
                levels.append((positive(p, f"{price}{n}"), not_negative(q, f"{size}{n}")))
        return levels

    def event(line: int, row: list[str]) -> Event:
        try:
            moment = datetime.fromisoformat(row[0]).replace(tzinfo=UTC)
        except ValueError:
            raise BadRowError(f"the time is {row[0]!r}: not a date and time") from None
        bids, asks = side(row, "b", "bv"), side(row, "a", "av")
        if not bids or not asks:
            raise BadRowError("a side has no level")
        if bids[0][0] >= asks[0][0]:
            raise BadRowError(f"the bid {bids[0][0]} is not below the ask {asks[0][0]}")
        ts = int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000
        return BookSnapshot(ts=ts, venue=target.venue, symbol=target.symbol, update_id=line, bids=bids, asks=asks)

    return _gaps(_each(rows, target, problems, event), target, problems)


def _book_ticker(rows: Iterable[Row], head: Sequence[str], target: Target, problems: Problems) -> Iterator[Event]:
    """`update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time`: the best level
    of each side is all that is seen."""
    at = {name.strip().lower(): n for n, name in enumerate(head)}

    def event(line: int, row: list[str]) -> Event:
        bid = positive(row[at["best_bid_price"]], "the bid"), not_negative(row[at["best_bid_qty"]], "its size")
        ask = positive(row[at["best_ask_price"]], "the ask"), not_negative(row[at["best_ask_qty"]], "its size")
        if bid[0] >= ask[0]:
            raise BadRowError(f"the bid {bid[0]} is not below the ask {ask[0]}")
        return BookSnapshot(
            ts=stamp_ns(row[at.get("event_time", at.get("transaction_time", 5))]),
            venue=target.venue,
            symbol=target.symbol,
            update_id=int(number(row[0], "the update id")),
            bids=[bid],
            asks=[ask],
        )

    return _each(rows, target, problems, event)


def _trades(stamp: int, maker: int) -> Callable[[Iterable[Row], Sequence[str], Target, Problems], Iterator[Event]]:
    def read(rows: Iterable[Row], head: Sequence[str], target: Target, problems: Problems) -> Iterator[Event]:
        """`4000000001,115764.07,0.00021,24.31,1754006400000123,True,True`: id, price, quantity, ..., buyer is maker."""

        def event(line: int, row: list[str]) -> Event:
            word = row[maker].strip().lower()
            if word not in ("true", "false"):
                raise BadRowError(f"isBuyerMaker is {row[maker]!r}: neither True nor False")
            return Trade(
                ts=stamp_ns(row[stamp]),
                venue=target.venue,
                symbol=target.symbol,
                price=positive(row[1], "the price"),
                quantity=positive(row[2], "the quantity"),
                taker=Side.SELL if word == "true" else Side.BUY,
                trade_id=row[0],
            )

        return _each((r for r in rows if r[1][0].isdigit()), target, problems, event)

    return read


FORMATS: Final[dict[str, Format]] = {
    "klines": Format("klines", False, _klines, rows_apart=True),
    "bars": Format("bars", True, _bars, rows_apart=True),
    "trades": Format("trades", False, _trades(4, 5)),
    "aggTrades": Format("aggTrades", False, _trades(5, 6)),
    "bookTicker": Format("bookTicker", True, _book_ticker),
    "books": Format("books", True, _books, together=True, rows_apart=True),
}
