"""Item 3: recorded books, through the codec alone and through the real connector, to the last level.

What the books must be stands in the recordings' `expected.json`; the best quotes that the book's top is compared with
are read here from the recording itself, apart from every piece of the product.

Through the connector means: a daemon with a key, on sockets, against the simulator that plays the file; its own words
(`books` on the control socket) at the end. How the top agreed on the way is counted in a replay of that daemon's
journal, which holds what its sockets delivered and is proven equal to the run by its digests.
"""

from __future__ import annotations

import bisect
import gzip
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from tradeserver.core.engine import Engine
from tradeserver.core.events import BookDelta, Event
from tradeserver.lab.acceptance.house import CheckFailedError, House, house, require
from tradeserver.lab.acceptance.playing import (
    FOUR,
    KUCOIN,
    PERPETUAL,
    SPOT,
    Feed,
    Listed,
    Venue,
    wait_played,
    write_simulator,
)
from tradeserver.lab.acceptance.watched import look_on
from tradeserver.lab.processes import tradeserver
from tradeserver.services import layout

COMPARED = 3_448
"""Depth events of the BTC recording whose top can be compared with a best quote, as its description says."""
SPEED = 8.0
"""Of the BTC recording, so that a snapshot asked for at the first depth event comes before the third, as recorded."""

BTC = {"BTC/USDT": Listed("BTCUSDT", "0.01", "0.00001")}
FIVE = {
    "BCHSV/USDT": Listed("BCHSV-USDT", "0.001", "0.00000001"),
    "SNX/BTC": Listed("SNX-BTC", "0.00000001", "0.00000001"),
    "CAPP/BTC": Listed("CAPP-BTC", "0.0000000001", "0.01"),
    "ANKR/BTC": Listed("ANKR-BTC", "0.0000000001", "0.0001"),
    "FET/BTC": Listed("FET-BTC", "0.00000001", "0.0001"),
}


def item_3(folder: Path, data: Path) -> str:
    """The codec alone and the connector, on all recordings."""
    return "; ".join(
        (
            by_codec(folder / "codec", data),
            btc_by_connector(folder / "btc", data),
            btc_by_connector(folder / "btc-fast", data, speed=0.0),
            kucoin_by_connector(folder / "kucoin", data),
            nothing_by_connector(folder / "cut", data),
        )
    )


def expected(data: Path, name: str) -> Any:
    """What a correct book builder ends with."""
    return json.loads((data / "recordings" / "expected.json").read_text("utf-8"))[name]


# ---- the codec alone -------------------------------------------------------------------------------------------------


def by_codec(folder: Path, data: Path) -> str:
    """`tradeserver data verify` as a person types it."""
    folder.mkdir(parents=True, exist_ok=True)
    recordings = data / "recordings"
    report = _verified(recordings / SPOT, "binance")
    want = expected(data, SPOT)
    require(report["top_of_book"] == {"checked": COMPARED, "matched": COMPARED}, f"{SPOT}: {report['top_of_book']}")
    require((report["gaps"], report["resyncs"]) == (0, 0), f"{SPOT}: {report['gaps']} gaps")
    _same_book(report["symbols"]["BTC/USDT"], want["final"]["u"], want["final"]["sha256"], SPOT)
    for name, venue in ((KUCOIN, "kucoin"), (FOUR, "binance")):
        _same_books(_verified(recordings / name, venue)["symbols"].values(), expected(data, name))
    refused = _verify(recordings / PERPETUAL, "binance")
    require(refused.returncode == 1, f"{PERPETUAL} as spot: exit {refused.returncode}")
    require("futures dialect" in refused.stderr, f"{PERPETUAL} as spot: {refused.stderr}")
    cut = _verify(without_snapshot(recordings / SPOT, folder / "cut.gz"), "binance")
    require(cut.returncode == 1 and "snapshot" in cut.stderr, f"no snapshot: exit {cut.returncode}, {cut.stderr}")
    require("sha256" not in cut.stdout, "a book was published without a snapshot")
    return (
        f"codec alone: {COMPARED} of {COMPARED} tops equal, {len(expected(data, KUCOIN))} KuCoin and "
        f"{len(expected(data, FOUR))} older Binance books as expected, the perpetual refused as futures dialect, "
        "no book without a snapshot"
    )


def _verify(file: Path, venue: str) -> subprocess.CompletedProcess[str]:
    command = tradeserver("data", "verify", str(file), "--venue", venue, "--json")
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def _verified(file: Path, venue: str) -> dict[str, Any]:
    done = _verify(file, venue)
    require(done.returncode == 0, f"data verify {file.name} ended with {done.returncode}: {done.stderr}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _same_book(row: Mapping[str, Any], update_id: int, sha256: str, name: str) -> None:
    require(row["update_id"] == update_id, f"{name} ends at {row['update_id']} instead of {update_id}")
    require(row["sha256"] == sha256, f"{name} at {update_id} has another content than expected")


def _same_books(rows: Any, want: Mapping[str, Any]) -> None:
    found = {row["native"]: row for row in rows}
    require(set(found) == set(want), f"books of {sorted(found)} instead of {sorted(want)}")
    for native, book in want.items():
        _same_book(found[native], book.get("final_u", book.get("final_sequence")), book["sha256"], native)


def without_snapshot(file: Path, target: Path, lines: int = 3_000) -> Path:
    """The beginning of a recording without its snapshot line."""
    with gzip.open(file, "rt") as source, gzip.open(target, "wt") as out:
        for _, line in zip(range(lines), source, strict=False):
            if '"lastUpdateId"' not in line:
                out.write(line)
    return target


# ---- the connector ---------------------------------------------------------------------------------------------------


def btc_by_connector(folder: Path, data: Path, speed: float = SPEED) -> str:
    """The BTC recording on sockets. At speed 0, as fast as it goes, only the end is compared."""
    want = expected(data, SPOT)["final"]
    file = data / "recordings" / SPOT
    with _playing(folder, "binance", file, speed, BTC) as built:
        book = _books_at_end(built, {"BTC/USDT": want["u"]}, 120)["BTC/USDT"]
        quotes = built.status()["quotes"]
        code = built.stop()
    require(code == 0, f"the daemon ended with code {code}")
    _same_book(book, want["u"], want["sha256"], SPOT)
    require(quotes["checked"] == quotes["matched"] > 0, f"live, at equal ids: {quotes}")
    if not speed:
        return "as fast as it goes: the same book"
    tops = Tops(file)
    (run,) = layout.journals(built.state).iterdir()
    look_on(run, tops.look)
    require(tops.checked >= COMPARED, f"only {tops.checked} of {COMPARED} tops could be compared")
    require(tops.matched == tops.checked, f"{tops.checked - tops.matched} of {tops.checked} tops differ")
    return (
        f"connector: {tops.matched} of {tops.checked} tops equal ({quotes['matched']} of {quotes['checked']} live, at "
        "exactly equal ids), final book as expected"
    )


def kucoin_by_connector(folder: Path, data: Path) -> str:
    """The KuCoin recording on sockets, as fast as it goes."""
    want = expected(data, KUCOIN)
    ends = {name: want[native]["final_sequence"] for name, (native, *_) in FIVE.items()}
    with _playing(folder, "kucoin", data / "recordings" / KUCOIN, 0.0, FIVE) as built:
        books = _books_at_end(built, ends, 60)
        quotes = built.status()["quotes"]
        code = built.stop()
    require(code == 0, f"the daemon ended with code {code}")
    for name, (native, *_) in FIVE.items():
        _same_book(books[name], want[native]["final_sequence"], want[native]["sha256"], name)
    require(quotes["checked"] == quotes["matched"] > 0, f"KuCoin's tickers at equal ids: {quotes}")
    return f"five KuCoin books as expected, {quotes['matched']} of {quotes['checked']} tickers equal"


def nothing_by_connector(folder: Path, data: Path) -> str:
    """A recording without a snapshot leads to no book."""
    folder.mkdir(parents=True, exist_ok=True)
    file = without_snapshot(data / "recordings" / SPOT, folder / "cut.gz")
    with _playing(folder, "binance", file, 0.0, BTC) as built:
        wait_played(built, 30)
        time.sleep(1)
        (book,) = built.ask("books")["rows"]
        built.stop()
    require(book["trust"] != "synced", f"a book is {book['trust']} without a snapshot")
    require(not book["bids"] and not book["asks"], "there are levels without a snapshot")
    return f"no book without a snapshot ({book['trust']})"


@contextmanager
def _playing(folder: Path, venue: str, file: Path, speed: float, symbols: Mapping[str, Listed]) -> Iterator[House]:
    """A house whose running daemon knows one venue, which plays `file`."""
    folder.mkdir(parents=True, exist_ok=True)
    other = {"binance": "kucoin", "kucoin": "binance"}[venue]
    venues = {venue: Venue(symbols, Feed(file, venue)), other: Venue(symbols)}
    settings = write_simulator(folder / "simulator.toml", venues, speed=speed)
    with house(folder, [str(settings)], symbols=list(symbols)) as built:
        text = built.config.read_text("utf-8")
        text = text.replace(f"[venues.{other}]\n", f"[venues.{other}]\nenabled = false\n")
        text = text.replace("[venues.binance.settings]\n", "[venues.binance.settings]\ndepth_limit = 5000\n")
        built.config.write_text(text, "utf-8")
        built.start()
        yield built


def _books_at_end(built: House, ends: Mapping[str, int], patience_s: float) -> dict[str, Any]:
    """Every book by symbol, once it has come to the recording's last update id. Raises CheckFailedError."""
    wait_played(built, patience_s)
    deadline = time.monotonic() + 10
    while True:
        books = {row["symbol"]: row for row in built.ask("books")["rows"]}
        if all(books[name]["update_id"] >= last for name, last in ends.items()):
            return books
        if time.monotonic() > deadline:
            raise CheckFailedError(f"books stand at {[(n, b['update_id'], b['trust']) for n, b in books.items()]}")
        time.sleep(0.05)


class Tops:
    """Compares the book's top after each depth event with the last best quote of the file up to that id."""

    def __init__(self, file: Path) -> None:
        self.checked = self.matched = 0
        self._quotes: list[tuple[int, tuple[float, float, float, float]]] = []
        with gzip.open(file, "rt") as lines:
            for line in lines:
                if "@bookTicker" in line[:80]:
                    quote = json.loads(line.partition(" ")[2])["data"]
                    top = (float(quote["b"]), float(quote["B"]), float(quote["a"]), float(quote["A"]))
                    self._quotes.append((int(quote["u"]), top))
        require(all(a[0] < b[0] for a, b in pairwise(self._quotes)), "the file's quotes are not in order")
        self._ids = [update_id for update_id, _ in self._quotes]

    def look(self, engine: Engine, event: Event) -> None:
        """After one step: was a depth event applied?"""
        if not isinstance(event, BookDelta):
            return
        book = engine.market.symbols[event.venue, event.symbol].book
        last = bisect.bisect_right(self._ids, book.update_id) - 1
        if book.update_id == event.update_id and last >= 0:
            top = (book.bid, book.bid_quantity, book.ask, book.ask_quantity)
            self.checked += 1
            self.matched += top == self._quotes[last][1]
