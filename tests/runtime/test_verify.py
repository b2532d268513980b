"""`data verify` on real recordings, against the published figures, and on small ones written here to be wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tradeserver.runtime.verify import Report, SymbolReport, VerifyError, verify

BTC = "binance_spot_btcusdt_20240808.gz"
PERPETUAL = "binance_usdm_btcusdt_20240808.gz"
FOUR = "binance_spot_4symbols_2021-10-12.jsonl.gz"
KUCOIN = "kucoin_spot_5symbols_2021-04-25.jsonl.gz"


def expected(shared_data: Path, name: str) -> Any:
    return json.loads((shared_data / "recordings" / "expected.json").read_text())[name]


def shown(levels: list[tuple[str, str]], n: int) -> list[str]:
    return [f"{price}:{size}" for price, size in levels[:n]]


def of(report: Report, native: str) -> SymbolReport:
    (found,) = [each for each in report.symbols.values() if each.native == native]
    return found


# ---- real recordings -------------------------------------------------------------------------------------------------


def test_binance_top_of_book_agrees_with_every_ticker(shared_data: Path) -> None:
    want = expected(shared_data, BTC)
    report = verify(shared_data / "recordings" / BTC, "binance")
    assert (report.top_of_book.checked, report.top_of_book.matched) == (3448, 3448)
    assert (report.quotes, report.trades) == (want["counts"]["book_ticker"], want["counts"]["trades"])
    assert (report.gaps, report.resyncs, report.snapshots) == (0, 0, 1)
    book = report.symbols["BTC/USDT"]
    assert book.applied == want["counts"]["applied"]
    assert book.update_id == want["final"]["u"]
    assert book.sha256 == want["final"]["sha256"]
    assert list(book.levels) == want["final"]["levels"]
    assert (shown(book.bids, 5), shown(book.asks, 5)) == (want["final"]["top5_bids"], want["final"]["top5_asks"])
    assert report.problem == ""


@pytest.mark.parametrize(("name", "venue"), [(FOUR, "binance"), (KUCOIN, "kucoin")])
def test_captures_end_as_published(shared_data: Path, name: str, venue: str) -> None:
    want = expected(shared_data, name)
    report = verify(shared_data / "recordings" / name, venue)
    assert len(report.symbols) == len(want)
    for native, figures in want.items():
        book = of(report, native)
        assert book.update_id == figures.get("final_u", figures.get("final_sequence"))
        assert book.sha256 == figures["sha256"]
        assert book.applied == figures["counts"]["applied"]
        assert list(book.levels) == figures["levels"]
        assert (shown(book.bids, 3), shown(book.asks, 3)) == (figures["top3_bids"], figures["top3_asks"])
    assert (report.gaps, report.resyncs) == (0, 0)
    assert report.top_of_book.checked == report.top_of_book.matched > 150


def test_kucoins_last_ticker_is_the_final_top(shared_data: Path) -> None:
    report = verify(shared_data / "recordings" / KUCOIN, "kucoin")
    for native, figures in expected(shared_data, KUCOIN).items():
        book, ticker = of(report, native), figures["last_ticker"]
        assert book.bids[0] == (ticker["bestBid"], ticker["bestBidSize"])
        assert book.asks[0] == (ticker["bestAsk"], ticker["bestAskSize"])


def test_a_perpetuals_feed_is_named_by_its_dialect(shared_data: Path) -> None:
    with pytest.raises(VerifyError, match="line 1: futures dialect"):
        verify(shared_data / "recordings" / PERPETUAL, "binance")


@pytest.mark.parametrize(("name", "venue"), [(KUCOIN, "binance"), (BTC, "kucoin")])
def test_another_venues_file_is_recognised(shared_data: Path, name: str, venue: str) -> None:
    with pytest.raises(VerifyError, match=f"no depth stream of {venue}"):
        verify(shared_data / "recordings" / name, venue)


# ---- small ones ------------------------------------------------------------------------------------------------------


def depth(first: int, last: int, bids: list[list[str]], asks: list[list[str]]) -> dict[str, Any]:
    """One diff of the documented shape (web-socket-streams.md, "Diff. Depth Stream", 2026-07-21)."""
    data = {"e": "depthUpdate", "E": 1700000000000 + last, "s": "XRPUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return {"stream": "xrpusdt@depth@100ms", "data": data}


def ticker(update_id: int, bid: str, ask: str) -> dict[str, Any]:
    data = {"u": update_id, "s": "XRPUSDT", "b": bid, "B": "10", "a": ask, "A": "20"}
    return {"stream": "xrpusdt@bookTicker", "data": data}


def snapshot(last: int) -> dict[str, Any]:
    return {"lastUpdateId": last, "bids": [["0.50", "10"]], "asks": [["0.51", "20"]]}


def raw(tmp_path: Path, *messages: dict[str, Any]) -> Path:
    path = tmp_path / "feed.txt"
    lines = [f"{1_700_000_000_000_000_000 + n * 100_000_000} {json.dumps(m)}" for n, m in enumerate(messages)]
    # compact, as the venue sends it
    path.write_text("".join(line.replace(": ", ":").replace(", ", ",") + "\n" for line in lines))
    return path


def test_a_true_feed(tmp_path: Path) -> None:
    path = raw(
        tmp_path,
        depth(95, 100, [], []),
        snapshot(101),
        ticker(102, "0.50", "0.51"),
        depth(101, 103, [["0.49", "5"]], []),
        ticker(104, "0.49", "0.51"),
        depth(104, 104, [["0.50", "0"], ["0.49", "10"]], []),
        depth(105, 106, [["0.48", "1"]], []),
    )
    report = verify(path, "binance")
    assert (report.top_of_book.checked, report.top_of_book.matched) == (3, 3)
    assert (report.frames, report.symbols["XRP/USDT"].applied) == (6, 3)
    assert report.problem == ""


def test_a_wrong_top_is_counted_and_named(tmp_path: Path) -> None:
    path = raw(
        tmp_path,
        depth(95, 100, [], []),
        snapshot(101),
        ticker(102, "0.50", "0.51"),
        depth(101, 103, [["0.505", "5"]], []),
    )
    report = verify(path, "binance")
    assert (report.top_of_book.checked, report.top_of_book.matched) == (1, 0)
    assert "differs from the file's own quotes 1 times" in report.problem


def test_a_gap_is_counted_and_the_next_snapshot_heals_it(tmp_path: Path) -> None:
    messages = [depth(95, 100, [], []), snapshot(100), depth(101, 101, [], []), depth(105, 106, [["0.49", "7"]], [])]
    report = verify(raw(tmp_path, *messages), "binance")
    assert (report.gaps, report.resyncs) == (1, 1)
    assert report.symbols["XRP/USDT"].sha256 == ""  # a book that is not synchronised is not published
    assert "no synchronised book at the end: XRP/USDT" in report.problem
    healed = [*messages, depth(107, 108, [], []), *[depth(n, n, [], []) for n in range(109, 115)], snapshot(110)]
    report = verify(raw(tmp_path, *healed, depth(115, 116, [["0.48", "3"]], [])), "binance")
    assert (report.gaps, report.resyncs, report.snapshots) == (1, 1, 2)
    assert report.symbols["XRP/USDT"].update_id == 116
    assert shown(report.symbols["XRP/USDT"].bids, 5) == ["0.5:10", "0.48:3"]


def test_a_snapshot_recorded_before_the_stream_is_used(tmp_path: Path) -> None:
    report = verify(raw(tmp_path, snapshot(100), depth(99, 101, [["0.49", "7"]], [])), "binance")
    assert report.symbols["XRP/USDT"].update_id == 101


@pytest.mark.parametrize("messages", [[depth(95, 100, [], [])], [depth(95, 100, [], []), snapshot(90)]])
def test_without_a_snapshot_that_fits_no_book_is_published(tmp_path: Path, messages: list[dict[str, Any]]) -> None:
    with pytest.raises(VerifyError, match="no book can be published"):
        verify(raw(tmp_path, *messages), "binance")


def test_what_is_no_recording_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="there is no venue 'kraken': choose one of binance, kucoin"):
        verify(tmp_path / "x", "kraken")
    with pytest.raises(VerifyError, match="cannot be read: No such file"):
        verify(tmp_path / "absent.gz", "binance")
    text = tmp_path / "text.csv"
    text.write_text("date,open\n2024-01-01,1\n")
    with pytest.raises(VerifyError, match="line 1: not a line of a recording"):
        verify(text, "binance")
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(raw(tmp_path, *[depth(n, n, [], []) for n in range(500)]).read_bytes())[:-200])
    with pytest.raises(VerifyError, match="after line"):
        verify(torn, "binance")
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    with pytest.raises(VerifyError, match="no depth stream of binance"):
        verify(empty, "binance")
