"""`data export`: a data set as Parquet, for polars. Needs the extra `research`.

`books.parquet`: one row for each change of a book with its best N levels (`bid_price_1` ... `ask_quantity_N`; null
where there are fewer), `ts` in ns. A quote is a change of the best level alone. `trades.parquet`: one row a trade. A
book that is not trusted writes nothing until its next snapshot.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, Final

from tradeserver.core.book import Book
from tradeserver.core.events import BestQuote, BookDelta, BookInvalid, BookSnapshot, Trade
from tradeserver.runtime.datasets import DataSet
from tradeserver.runtime.journal import JournalError
from tradeserver.services.faults import OperatorError

ROWS: Final = 200_000  # in memory at a time


def polars() -> Any:
    """The library. Raises OperatorError where the extra is not installed."""
    try:
        import polars as pl
    except ImportError:
        raise OperatorError('Parquet needs polars: install the extra "tradeserver[research]"') from None
    return pl


def export(folder: Path, out: Path, levels: int) -> dict[str, Any]:
    """Rows and files written. Raises OperatorError."""
    pl = polars()
    try:
        data = DataSet(folder)
    except JournalError as error:
        raise OperatorError(str(error)) from None
    out.mkdir(parents=True, exist_ok=True)
    names = [
        f"{side}_{what}_{n}" for side in ("bid", "ask") for n in range(1, levels + 1) for what in ("price", "quantity")
    ]
    schema = {
        "ts": pl.Int64,
        "venue": pl.String,
        "symbol": pl.String,
        "kind": pl.String,
        **dict.fromkeys(names, pl.Float64),
    }
    books = _Table(pl, out, "books", schema)
    trades = _Table(
        pl,
        out,
        "trades",
        {
            "ts": pl.Int64,
            "venue": pl.String,
            "symbol": pl.String,
            "price": pl.Float64,
            "quantity": pl.Float64,
            "taker": pl.String,
            "trade_id": pl.String,
        },
    )
    known: dict[tuple[str, str], Book] = {}
    for event in data.events():
        if isinstance(event, Trade):
            trades.add(
                (event.ts, event.venue, event.symbol, event.price, event.quantity, event.taker.value, event.trade_id)
            )
        elif isinstance(event, BestQuote):
            row: list[Any] = [event.bid, event.bid_quantity, *[None] * (2 * levels - 2)]
            row += [event.ask, event.ask_quantity, *[None] * (2 * levels - 2)]
            books.add((event.ts, event.venue, event.symbol, "quote", *row))
        elif isinstance(event, BookInvalid):
            known.pop((event.venue, event.symbol), None)
        elif isinstance(event, BookSnapshot | BookDelta):
            key = (event.venue, event.symbol)
            if isinstance(event, BookSnapshot):
                known.setdefault(key, Book(100_000)).load(event.update_id, event.bids, event.asks)
            elif key in known:
                known[key].apply(event.update_id, event.bids, event.asks)
            else:
                continue
            cells = [*_side(known[key].bids(), levels), *_side(known[key].asks(), levels)]
            books.add((event.ts, event.venue, event.symbol, "book", *cells))
    found = {table.name: table.close() for table in (books, trades)}
    return {
        "folder": str(out),
        "rows": {name: count for name, count in found.items() if count},
        "troubles": data.troubles,
    }


def _side(walk: Any, levels: int) -> list[float | None]:
    cells: list[float | None] = [each for level in islice(walk, levels) for each in level]
    return cells + [None] * (2 * levels - len(cells))


class _Table:
    """Rows that become one Parquet file, part by part."""

    def __init__(self, pl: Any, out: Path, name: str, schema: dict[str, Any]) -> None:
        self.name = name
        self._pl, self._out, self._schema = pl, out, schema
        self._rows: list[tuple[Any, ...]] = []
        self._parts: list[Path] = []
        self._count = 0

    def add(self, row: tuple[Any, ...]) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROWS:
            self._flush()

    def _flush(self) -> None:
        part = self._out / f".{self.name}-{len(self._parts)}.parquet"
        self._pl.DataFrame(self._rows, schema=self._schema, orient="row").write_parquet(part)
        self._parts.append(part)
        self._count += len(self._rows)
        self._rows = []

    def close(self) -> int:
        """The parts as one file; the number of rows."""
        if self._rows:
            self._flush()
        if self._parts:
            self._pl.scan_parquet(self._parts).sink_parquet(self._out / f"{self.name}.parquet")
            for part in self._parts:
                part.unlink()
        return self._count
