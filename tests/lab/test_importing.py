"""`data import`: every format by a file made by hand to its documented shape, and what is wrong with files."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from tradeserver.core.book import Book
from tradeserver.core.events import BookDelta, BookSnapshot, ClockOffset, Event, Trade
from tradeserver.core.types import Side
from tradeserver.lab.data.exporting import export
from tradeserver.lab.data.importing import Imported, import_files
from tradeserver.runtime.datasets import DataSet
from tradeserver.services.faults import OperatorError

DAY = 86_400_000_000_000
AUGUST_1 = 1_754_006_400_000_000_000  # 2025-08-01T00:00 UTC


def take(tmp_path: Path, name: str, text: str, **options: object) -> tuple[Imported, list[Event]]:
    file = tmp_path / name
    if name.endswith(".gz"):
        file.write_bytes(gzip.compress(text.encode()))
    elif name.endswith(".zip"):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(name.replace(".zip", ".csv"), text)
    else:
        file.write_text(text)
    given = {"venue": "binance", "symbol": "BTC/USDT", **options}
    made = import_files([file], tmp_path / "out", **given)  # type: ignore[arg-type]
    return made, list(DataSet(tmp_path / "out").events())


def kline(day: int, close: str, unit: int = 1_000_000) -> str:
    opened = AUGUST_1 + day * DAY
    last = opened + DAY - unit
    return f"{opened // unit},100.0,130.0,90.0,{close},7.5,{last // unit},800,10,3,400,0"


@pytest.mark.parametrize("unit", [1_000_000, 1_000])  # ms until 2024, us from 2025-01-01
def test_klines_are_books_at_their_end(tmp_path: Path, unit: int) -> None:
    text = "\n".join((kline(0, "110.0", unit), kline(1, "120.5", unit)))
    made, events = take(tmp_path, "BTCUSDT-1d-2025-08.zip", text, tick=0.01)
    assert (made.kind, made.events, made.problems) == ("klines", 2, [])
    first = events[0]
    assert isinstance(first, BookSnapshot)
    assert first.ts == AUGUST_1 + DAY
    assert (first.bids, first.asks) == ([(110.0, 7.5)], [(110.01, 7.5)])
    assert DataSet(tmp_path / "out").header.hold_s == 86_400.0


def test_daily_bars_newest_first_are_turned_round(tmp_path: Path) -> None:
    rows = [f"{(AUGUST_1 + n * DAY) // 1_000_000},2025-08-0{n + 1},BTCUSDT,1,3,0.5,{n + 1},9,9,9" for n in (2, 1, 0)]
    text = "\n".join(["https://www.CryptoDataDownload.com", "Unix,Date,Symbol,Open,High,Low,Close,V,W,n", *rows])
    made, events = take(tmp_path, "bars.csv.gz", text, tick=0.5)
    assert made.kind == "bars"
    assert [(e.ts, e.bids[0][0]) for e in events if isinstance(e, BookSnapshot)] == [
        (AUGUST_1 + (n + 1) * DAY, float(n + 1)) for n in range(3)
    ]


def test_trades_have_their_takers_side(tmp_path: Path) -> None:
    text = "1,100.5,0.25,25.1,1754006400000123,True,True\n2,100.6,0.5,50.3,1754006400000124,False,True\n"
    made, events = take(tmp_path, "BTCUSDT-trades-2025-08-01.csv", text)
    assert made.kind == "trades"
    assert [(e.ts, e.price, e.quantity, e.taker) for e in events if isinstance(e, Trade)] == [
        (1754006400000123000, 100.5, 0.25, Side.SELL),
        (1754006400000124000, 100.6, 0.5, Side.BUY),
    ]


def test_aggregated_trades(tmp_path: Path) -> None:
    made, events = take(tmp_path, "agg.csv", "7,100.5,0.25,1,2,1754006400123,true,true\n")
    assert made.kind == "aggTrades"
    assert isinstance(events[0], Trade)
    assert (events[0].ts, events[0].taker) == (1754006400123000000, Side.SELL)


def test_book_ticker_is_a_book_of_one_level(tmp_path: Path) -> None:
    head = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"
    made, events = take(tmp_path, "bt.csv", f"{head}\n11,99.5,2,99.6,3,1754006400100,1754006400101\n")
    assert made.kind == "bookTicker"
    assert events == [
        BookSnapshot(
            ts=1754006400101000000,
            venue="binance",
            symbol="BTC/USDT",
            update_id=11,
            bids=[(99.5, 2.0)],
            asks=[(99.6, 3.0)],
        )
    ]


# ---- what is wrong with files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (kline(1, "nan"), "close is nan: not a finite number"),
        (kline(1, "-5"), "close is -5: it must be above zero"),
        (kline(1, "soon"), "close is 'soon': not a number"),
        (kline(1, "500"), "do not hold its open and close"),
        (kline(1, "110").replace(",10,3,400,0", "").rsplit(",", 2)[0], "only"),
        (kline(-1, "110"), "older than the row before it"),
    ],
)
def test_a_bad_row_costs_itself_and_a_sentence(tmp_path: Path, row: str, sentence: str) -> None:
    text = "\n".join((kline(0, "100"), row, kline(2, "101"), kline(3, "102")))
    made, events = take(tmp_path, "k.csv", text, tick=0.01, kind="klines")
    assert made.problems
    assert sentence in made.problems[0]
    assert "line 2" in made.problems[0]
    assert [e.bids[0][0] for e in events if isinstance(e, BookSnapshot)] == [100.0, 101.0, 102.0]


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    text = "\n".join([kline(0, "100"), *[kline(n, "nan") for n in range(1, 9)], kline(9, "101")])
    made, _ = take(tmp_path, "k.csv", text, tick=0.01)
    assert made.events == 2
    assert "5 more: rows left out" in made.problems


def test_a_gap_is_named(tmp_path: Path) -> None:
    text = "\n".join(kline(n, "100") for n in (0, 1, 2, 5, 6))
    made, _ = take(tmp_path, "k.csv", text, tick=0.01)
    assert made.events == 5
    assert made.problems == [f"{tmp_path / 'k.csv'}: no rows between 2025-08-04T00:00:00 and 2025-08-07T00:00:00"]


def test_a_cut_archive_gives_what_is_there(tmp_path: Path) -> None:
    text = "\n".join(f"{n},100.5,0.25,25.1,{1754006400000123 + n * 977 % 500_000_000},True,True" for n in range(9_000))
    file = tmp_path / "t.csv.gz"
    file.write_bytes(gzip.compress(text.encode())[:-2_000])
    made = import_files([file], tmp_path / "out", "binance", "BTC/USDT")
    assert 1_000 < made.events < 9_000
    assert any("damaged or cut short after line" in text for text in made.problems)


@pytest.mark.parametrize(
    ("name", "content"),
    [("e.csv", b""), ("e.csv.gz", gzip.compress(b"", mtime=0)), ("e.zip", b"PK")],
    ids=["plain", "gz", "zip"],
)
def test_an_empty_or_broken_file_is_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OperatorError, match=r"is empty|cannot be read"):
        import_files([tmp_path / name], tmp_path / "out", "binance", "BTC/USDT", tick=0.01)


def test_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("name,colour\nfrog,green\n")
    with pytest.raises(OperatorError, match="none of the formats"):
        import_files([tmp_path / "x.csv"], tmp_path / "out", "binance", "BTC/USDT")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()
    (tmp_path / "k.csv").write_text(kline(0, "100"))
    with pytest.raises(OperatorError, match="is not empty"):
        import_files([tmp_path / "k.csv"], tmp_path / "out", "binance", "BTC/USDT", tick=0.01)


# ---- recorded feeds --------------------------------------------------------------------------------------------------


def test_a_recorded_feed_leads_to_the_expected_book(shared_data: Path, tmp_path: Path) -> None:
    name = "binance_spot_4symbols_2021-10-12.jsonl.gz"
    want = json.loads((shared_data / "recordings" / "expected.json").read_text())[name]
    made = import_files([shared_data / "recordings" / name], tmp_path / "out", "binance")
    assert made.problems == []
    books: dict[str, Book] = {}
    events = list(DataSet(tmp_path / "out").events())
    assert isinstance(events[0], ClockOffset)
    for event in events:
        if isinstance(event, BookSnapshot):
            books.setdefault(event.symbol, Book(100_000)).load(event.update_id, event.bids, event.asks)
        elif isinstance(event, BookDelta):
            books[event.symbol].apply(event.update_id, event.bids, event.asks)
    assert {symbol.replace("/", ""): book.sha256() for symbol, book in books.items()} == {
        native: each["sha256"] for native, each in want.items()
    }


def test_the_perpetuals_dialect_has_its_own_reader(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "recordings" / "binance_usdm_btcusdt_20240808.gz"
    cut = tmp_path / "cut.gz"
    with gzip.open(source, "rb") as lines, gzip.open(cut, "wb", 1) as out:
        for _, line in zip(range(4_000), lines, strict=False):
            out.write(line)
    with pytest.raises(OperatorError, match="futures dialect"):
        import_files([cut], tmp_path / "spot", "binance", kind="feed")
    made = import_files([cut], tmp_path / "out", "perpetual", "BTC/USDT", "usdm")
    assert made.problems == []
    kinds = [type(event) for event in DataSet(tmp_path / "out").events()]
    assert kinds.count(BookSnapshot) >= 1
    assert kinds.count(BookDelta) > 100


# ---- Parquet ---------------------------------------------------------------------------------------------------------


def test_parquet_has_the_books_and_trades(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    text = "\n".join((kline(0, "110"), kline(1, "120")))
    take(tmp_path, "k.csv", text, tick=0.01)
    answer = export(tmp_path / "out", tmp_path / "parquet", 2)
    assert answer["rows"] == {"books": 2}
    frame = pl.read_parquet(tmp_path / "parquet" / "books.parquet")
    assert frame["bid_price_1"].to_list() == [110.0, 120.0]
    assert frame["ask_price_1"].to_list() == [110.01, 120.01]
    assert frame["bid_price_2"].to_list() == [None, None]
    assert frame["ts"].to_list() == [AUGUST_1 + DAY, AUGUST_1 + 2 * DAY]
