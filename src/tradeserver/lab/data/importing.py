"""`data import`: files of one venue become one data set. CSV formats are in `formats.py`; raw feeds and runs here.

A raw feed goes through the venue's real codec (`runtime/verify.py`), a run through its own replay (`runs.py`); the
perpetual's dialect, which the spot codec refuses, through a reader of its own. The clock offset of a raw feed is the
smallest `arrival - stamp` of its first 5 s. Bad rows, gaps and cut files cost themselves and a sentence each.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tradeserver.core.events import BestQuote, BookDelta, BookInvalid, BookSnapshot, ClockOffset, Event, Trade, Trust
from tradeserver.core.types import Side
from tradeserver.lab.data.formats import CDD, FORMATS, Target, recognise
from tradeserver.lab.data.rows import Problems, cells
from tradeserver.lab.data.runs import MARKET, decode_run, is_data_set
from tradeserver.runtime.datasets import DataSetWriter, header_of
from tradeserver.runtime.journal import JournalError
from tradeserver.runtime.verify import VENUES, VerifyError, verify
from tradeserver.services.faults import OperatorError

OFFSET_NS: Final = 5_000_000_000
KINDS: Final = (*FORMATS, "feed", "usdm", "run")


class Imported(msgspec.Struct):
    """What came of it. `problems` are sentences about what was left out."""

    folder: str
    kind: str
    venues: list[str]
    symbols: list[str]
    events: int
    bytes: int
    first_ns: int
    last_ns: int
    problems: list[str]


def import_files(
    files: Sequence[Path], out: Path, venue: str, symbol: str = "", kind: str = "", tick: float = 0.0
) -> Imported:
    """The data set in `out`. Raises OperatorError where nothing can be taken."""
    for file in files:
        if not file.exists():
            raise OperatorError(f"there is no file {file}")
    if out.exists() and any(out.iterdir()):
        raise OperatorError(f"{out} is not empty: choose another folder with --out")
    kind = kind or _kind_of(files[0])
    problems = Problems()
    if kind == "run":
        return _run(files[0], out)
    if kind in ("feed", "usdm"):
        events, symbols = _feed(files, venue, kind, symbol, problems)
        together, hold = False, 0.0
    else:
        if not symbol:
            raise OperatorError(f"{files[0]} does not say which symbol it is of: name it with --symbol BASE/QUOTE")
        if kind in ("klines", "bars") and not tick:
            raise OperatorError("a bar has no book: give the distance of its bid and ask with --tick")
        events = _csv(files, Target(venue, symbol, tick, ""), kind, problems)
        symbols, together = [symbol], FORMATS[kind].together
        hold = -1.0 if FORMATS[kind].rows_apart else 0.0
    return _write(out, events, kind, [venue], symbols, together, hold, files, problems)


def _kind_of(file: Path) -> str:
    if file.is_dir():
        return "run"
    problems = Problems()
    try:
        with_head = list(itertools.islice(cells(file, problems), 3))
    except OSError as error:
        raise OperatorError(f"{file} cannot be read: {error.strerror}") from None
    if not with_head:
        why = problems.sentences()
        raise OperatorError(why[0] if why else f"{file} is empty")
    first = ",".join(with_head[0][1])
    if first.startswith("{") or (first[:19].isdigit() and " {" in first[:24]):
        return "feed"
    found = recognise(with_head)
    if found is None:
        raise OperatorError(
            f"{file} is none of the formats that can be told apart: name it with --kind {'|'.join(KINDS)}"
        )
    return found.name


# ---- rows -----------------------------------------------------------------------------------------------------------


def _csv(files: Sequence[Path], target: Target, kind: str, problems: Problems) -> Iterator[Event]:
    """Every file's rows, in the order of the names: public data are a file a day."""
    last = 0
    form = FORMATS[kind]
    for file in sorted(files):
        rows = cells(file, problems)
        head: list[str] = []
        if form.head:
            _, head = next(rows, (0, []))
            if head and CDD in head[0].lower():
                _, head = next(rows, (0, []))
        named = msgspec.structs.replace(target, file=str(file))
        for event in form.events(rows, head, named, problems):
            if event.ts < last:
                problems.add("rows out of order", f"{file} begins before the file in front of it ends")
                break
            last = event.ts
            yield event


# ---- feeds ----------------------------------------------------------------------------------------------------------


def _feed(
    files: Sequence[Path], venue: str, kind: str, symbol: str, problems: Problems
) -> tuple[Iterator[Event], list[str]]:
    if len(files) != 1:
        raise OperatorError("raw feeds are imported one file at a time: a second one begins with books of its own")
    found: list[Event] = []
    if kind == "usdm":
        if not symbol:
            raise OperatorError("name the perpetual with --symbol BASE/QUOTE")
        found = list(_usdm(files[0], venue, symbol, problems))
        return _with_offset(found, venue), [symbol]
    if venue not in VENUES:
        raise OperatorError(f"there is no codec of {venue!r}: a raw feed needs one of {', '.join(VENUES)}")
    symbols: dict[str, None] = {}

    def listen(event: Event) -> None:
        if type(event) in MARKET:
            found.append(event)
            symbols[event.symbol] = None  # type: ignore[attr-defined]  # a feed's events all have one

    try:
        report = verify(files[0], venue, listen)
    except VerifyError as error:
        if not any(isinstance(event, BookSnapshot) for event in found):
            raise OperatorError(str(error)) from None
        problems.add("damaged", f"{error}; what comes before it is taken")
    else:
        if report.gaps:
            problems.add("gaps", f"{files[0]}: {report.gaps} gaps in the sequence numbers; books begin anew after each")
        if report.problem:
            problems.add("quotes", f"{files[0]}: {report.problem}")
    return _with_offset(found, venue), list(symbols)


def _with_offset(events: list[Event], venue: str) -> Iterator[Event]:
    """The clock offset first, by the quickest frame of the first seconds."""
    if events:
        began = events[0].ts
        early = itertools.takewhile(lambda e: e.ts - began <= OFFSET_NS, events)
        late = [e.ts - e.venue_ts for e in early if isinstance(e, BookDelta | BestQuote | Trade) and e.venue_ts]
        if late:
            yield ClockOffset(ts=began, venue=venue, offset_ns=-min(late), rtt_ns=0)
    yield from events


def _usdm(file: Path, venue: str, symbol: str, problems: Problems) -> Iterator[Event]:
    """USD-M futures: a diff's `pu` is the `u` of the one before (Binance derivatives docs, "How to manage a local order
    book correctly", 2026-07-21). A diff that does not chain leaves the book without trust until the next snapshot."""
    from tradeserver.simulator import recordings as feeds

    last, synced, ahead = 0, False, True
    waiting: list[tuple[int, feeds.Diff, int]] = []
    try:
        for item in feeds.items(file, "binance_usdm"):
            meaning, stamp = item.meaning, item.stamp_ns
            if isinstance(meaning, feeds.Snapshot):
                yield BookSnapshot(
                    ts=item.t_ns,
                    venue=venue,
                    symbol=symbol,
                    update_id=meaning.last,
                    bids=_floats(meaning.bids),
                    asks=_floats(meaning.asks),
                )
                last, synced, ahead = meaning.last, True, True
                late = [w for w in waiting if w[1].last >= last]
                waiting = []
                for _, diff, at in late:
                    yield _delta(item.t_ns, venue, symbol, diff, at)
                    last, ahead = diff.last, False
            elif isinstance(meaning, feeds.Diff):
                if not synced:
                    waiting.append((item.t_ns, meaning, stamp))
                elif meaning.last < last:
                    continue
                elif meaning.first == last + 1 or (ahead and meaning.first <= last + 1):
                    yield _delta(item.t_ns, venue, symbol, meaning, stamp)
                    last, ahead = meaning.last, False
                else:
                    synced = False
                    problems.add("gaps", f"{file}: updates {last + 1} to {meaning.first - 1} are missing")
                    yield BookInvalid(
                        ts=item.t_ns, venue=venue, symbol=symbol, trust=Trust.GAP, reason="updates missing"
                    )
            elif isinstance(meaning, feeds.Quote):
                (bid, bid_size), (ask, ask_size) = meaning.bid, meaning.ask
                yield BestQuote(
                    ts=item.t_ns,
                    venue=venue,
                    symbol=symbol,
                    venue_ts=stamp,
                    update_id=meaning.sequence,
                    bid=float(bid),
                    bid_quantity=float(bid_size),
                    ask=float(ask),
                    ask_quantity=float(ask_size),
                )
            elif isinstance(meaning, feeds.Trade):
                yield Trade(
                    ts=item.t_ns,
                    venue=venue,
                    symbol=symbol,
                    venue_ts=stamp,
                    price=float(meaning.price),
                    quantity=float(meaning.quantity),
                    taker=Side(meaning.taker.value),
                    trade_id=str(meaning.trade_id),
                )
    except (feeds.RecordingError, EOFError, OSError) as error:
        problems.add("damaged", f"{file}: {error}; what comes before it is taken")


def _delta(ts: int, venue: str, symbol: str, diff: object, stamp: int) -> BookDelta:
    from tradeserver.simulator import recordings as feeds

    assert isinstance(diff, feeds.Diff)
    return BookDelta(
        ts=ts,
        venue=venue,
        symbol=symbol,
        venue_ts=stamp,
        update_id=diff.last,
        bids=_floats(diff.bids),
        asks=_floats(diff.asks),
    )


def _floats(levels: Sequence[tuple[object, object]]) -> list[tuple[float, float]]:
    return [(float(p), float(q)) for p, q in levels]  # type: ignore[arg-type]  # Decimals


# ---- writing --------------------------------------------------------------------------------------------------------


def _run(folder: Path, out: Path) -> Imported:
    from tradeserver.runtime.datasets import DataSet

    if is_data_set(folder):
        raise OperatorError(f"{folder} is a data set already")
    try:
        events = decode_run(folder, out)
        made = DataSet(out)
    except JournalError as error:
        raise OperatorError(str(error)) from None
    stamps = [event.ts for event in made.events()]
    size = sum(path.stat().st_size for path in out.iterdir())
    span = (stamps[0], stamps[-1]) if stamps else (0, 0)
    return Imported(str(out), "run", list(made.header.venues), list(made.header.symbols), events, size, *span, [])


def _write(
    out: Path,
    events: Iterator[Event],
    kind: str,
    venues: list[str],
    symbols: list[str],
    together: bool,
    hold_s: float,
    files: Sequence[Path],
    problems: Problems,
) -> Imported:
    first = next(events, None)
    if first is None:
        why = problems.sentences()
        raise OperatorError(f"nothing in {files[0]} could be taken{': ' + why[0] if why else ': it is empty'}")
    second = next(events, None)
    if hold_s < 0:
        hold_s = (second.ts - first.ts) / 1e9 if second is not None else 0.0
    origin = f"{kind}: {', '.join(file.name for file in files)}"
    header = header_of(origin, venues, symbols, first.ts, together=together, hold_s=hold_s)
    writer = DataSetWriter(out, header)
    last = first.ts
    put: Callable[[Event], None] = writer.put
    for event in itertools.chain((first,), () if second is None else (second,), events):
        if event.ts < last:
            problems.add("rows out of order", f"{files[0]}: an event is older than the one before it; it is left out")
            continue
        last = event.ts
        put(event)
    size = writer.close()
    return Imported(str(out), kind, venues, symbols, writer.events, size, first.ts, last, problems.sentences())
