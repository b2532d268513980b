"""`data verify` of a folder: is a recording whole, and does it lead to books that agree with its own quotes?

A recording is replayed through the real codecs and engine; every digest that its run wrote is compared, and the books
are counted at the end. Of a data set every block is read and every event decoded.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tradeserver.core.commands import Command
from tradeserver.core.engine import Engine
from tradeserver.core.events import BookInvalid, Event, Trust
from tradeserver.core.records import Record
from tradeserver.lab.data.runs import is_data_set
from tradeserver.lab.incident import Witness
from tradeserver.runtime.datasets import DataSet
from tradeserver.runtime.journal import JournalError
from tradeserver.runtime.verify import VerifyError

Proof = tuple[dict[str, Any], str]
"""(what was found, why it does not prove what it should or "")."""


class _Counting(Witness):
    """Counts what the codecs said of gaps."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.gaps = self.resyncs = 0

    def step(self, event: Event) -> tuple[list[Record], list[Command]]:
        """See `Witness.step`."""
        if isinstance(event, BookInvalid):
            self.gaps += event.trust is Trust.GAP
            self.resyncs += 1
        return super().step(event)


def prove(folder: Path) -> Proof:
    """The proof of what lies in `folder`. Raises VerifyError where there is nothing to prove."""
    try:
        return _data_set(folder) if is_data_set(folder) else _recording(folder)
    except JournalError as error:
        raise VerifyError(str(error)) from None


def _data_set(folder: Path) -> Proof:
    data = DataSet(folder)
    kinds: Counter[str] = Counter()
    first = last = 0
    for event in data.events():
        kinds[type(event).__name__] += 1
        first, last = first or event.ts, event.ts
    found = {
        "folder": str(folder),
        "origin": data.header.origin,
        "venues": list(data.header.venues),
        "symbols": list(data.header.symbols),
        "first_ns": first,
        "last_ns": last,
        "events": dict(kinds),
        "troubles": data.troubles,
    }
    return found, "; ".join(data.troubles) or ("" if kinds else f"{folder} holds no event")


def _recording(folder: Path) -> Proof:
    from tradeserver.app.wiring import replay_run
    from tradeserver.runtime.tape import is_tape, read_tape

    troubles: list[str] = []
    if is_tape(folder):
        for _ in read_tape(folder, troubles.append)[1]:
            pass
    seen: list[_Counting] = []

    def watch(engine: Engine) -> _Counting:
        seen.append(_Counting(engine))
        return seen[0]

    result = replay_run(folder, watch=watch)
    engine = seen[0].engine
    checked, matched = engine.market.quote_checks
    found = {
        "folder": str(folder),
        "run": result.run,
        "inputs": result.inputs,
        "digests": result.digests,
        "ended": result.ended,
        "equal": result.equal,
        "gaps": seen[0].gaps,
        "resyncs": seen[0].resyncs,
        "top_of_book": {"checked": checked, "matched": matched},
        "books": [
            {
                "venue": venue,
                "symbol": symbol,
                "update_id": market.book.update_id,
                "bid": market.book.bid,
                "ask": market.book.ask,
                "sha256": market.book.sha256(),
            }
            for (venue, symbol), market in engine.market.symbols.items()
        ],
        "troubles": troubles,
    }
    if troubles:
        return found, "; ".join(troubles)
    if result.mismatch is not None:
        return found, f"the digest differs after {result.mismatch.inputs} inputs: this version decides otherwise"
    if matched < checked:
        return found, f"the top of the book differs from the recording's own quotes {checked - matched} times"
    return found, "" if result.equal else "nothing could be compared: the recording holds no digest"
