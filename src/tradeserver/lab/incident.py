"""An incident questioned: a run replayed up to a moment, one thing in it explained, or asked what if.

The replay is the proving one: every digest up to the moment is compared, so what is shown is what was. An explanation
is of an order (its client id), an arbitrage or an opportunity (a12, o12, or a bare number for the arbitrage): each of
its records with the input that led to it, and both sides of every book of its symbol at the first of them. What if is
another run: the market of this one, its configuration with keys changed, orders to a paper venue.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.core.commands import Command
from tradeserver.core.engine import Engine
from tradeserver.core.events import Event
from tradeserver.core.records import ArbitrageOpened, Checkpoint, OpportunityClosed, OpportunityOpened, Record, kind_of
from tradeserver.services.faults import NotFoundError, OperatorError

LEVELS: Final = 5
SECOND_NS: Final = 1_000_000_000


class Witness:
    """Stands between the reactor and its engine; remembers what concerns one thing."""

    def __init__(self, engine: Engine, subject: str = "") -> None:
        self.engine = engine
        self.found: list[dict[str, Any]] = []
        self.books: list[dict[str, Any]] = []
        self.last_ns = 0
        self._client_id, self._arbitrage, self._opportunity = parse_subject(subject)
        self._any = bool(subject)

    def step(self, event: Event) -> tuple[list[Record], list[Command]]:
        """See `reactor.Engine.step`."""
        self.last_ns = event.ts
        if not self._any:
            return self.engine.step(event)
        market = self.engine.market
        before = {key: each.book.top(LEVELS) for key, each in market.symbols.items()} if not self.found else {}
        records, commands = self.engine.step(event)
        for record in records:
            if self._concerns(record):
                if not self.found:
                    self.books = self._tops(record, before)
                self.found.append(
                    {
                        "ts_ns": record.ts,
                        "record": kind_of(record),
                        "after": type(event).__name__,
                        "details": {k: v for k, v in msgspec.to_builtins(record).items() if k not in ("ts", "type")},
                    }
                )
        return records, commands

    def _concerns(self, record: Record) -> bool:
        if self._client_id:
            return getattr(record, "client_id", "") == self._client_id
        if self._arbitrage:
            if getattr(record, "arbitrage", 0) == self._arbitrage:
                return True
            decisions = record.decisions if isinstance(record, OpportunityClosed) else ()
            return any(decision.arbitrage == self._arbitrage for decision in decisions)
        mine = getattr(record, "opportunity", 0) == self._opportunity
        return mine and (isinstance(record, OpportunityOpened | OpportunityClosed | ArbitrageOpened))

    def _tops(self, record: Record, before: Mapping[tuple[str, str], Any]) -> list[dict[str, Any]]:
        """The books of its symbol as the step left them, and as they stood before it."""
        symbol = getattr(record, "symbol", "") or (record.legs[0].symbol if isinstance(record, ArbitrageOpened) else "")
        rows = []
        for (venue, name), market in self.engine.market.symbols.items():
            if symbol in ("", name):
                bids, asks = market.book.top(LEVELS)
                was_bids, was_asks = before.get((venue, name), ([], []))
                rows.append(
                    {
                        "venue": venue,
                        "symbol": name,
                        "trust": market.trust.value,
                        "age_ms": market.age_ns(record.ts) / 1e6,
                        "bids": bids,
                        "asks": asks,
                        "changed": (was_bids, was_asks) != (bids, asks),
                    }
                )
        return rows

    def apply(self, record: Record) -> None:
        """See `reactor.Engine.apply`."""
        self.engine.apply(record)

    def checkpoint(self, ts: int) -> Checkpoint:
        """See `reactor.Engine.checkpoint`."""
        return self.engine.checkpoint(ts)

    def digest_state(self) -> bytes:
        """See `reactor.Engine.digest_state`."""
        return self.engine.digest_state()

    def next_deadline(self) -> int:
        """See `reactor.Engine.next_deadline`."""
        return self.engine.next_deadline()


def parse_subject(subject: str) -> tuple[str, int, int]:
    """(client id, arbitrage, opportunity), one of them given. Raises OperatorError."""
    text = subject.strip()
    if not text:
        return "", 0, 0
    if text.isdigit() and len(text) < 10:
        return "", int(text), 0
    if text[0] in "ao" and text[1:].isdigit():
        return ("", int(text[1:]), 0) if text[0] == "a" else ("", 0, int(text[1:]))
    if len(text) == 17 and text.isalnum():
        return text, 0, 0
    raise OperatorError(
        f"{subject!r} names nothing: write a client order id, a number or a12 for an arbitrage, o12 for an opportunity"
    )


def moment(text: str, started: int) -> int:
    """`2026-01-31T12:00:05.250` (UTC), `+12.5` (seconds after the start) or ns, as ns. Raises OperatorError."""
    try:
        if text.startswith("+"):
            return started + int(float(text[1:]) * SECOND_NS)
        if text.isdigit() and len(text) > 15:
            return int(text)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise OperatorError(f"--until {text!r}: write an ISO time, +SECONDS after the start, or nanoseconds") from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return int(found.timestamp()) * SECOND_NS + found.microsecond * 1_000


def question(
    directory: Path, until: str = "", subject: str = "", environ: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """The replay's answer, the state at that moment, and the explanation. Raises OperatorError, JournalError."""
    from dataclasses import asdict

    from tradeserver.app.wiring import replay_run
    from tradeserver.runtime.tape import read_run

    parse_subject(subject)
    header, _ = read_run(directory)
    end = moment(until, header.started) if until else 0
    witnesses: list[Witness] = []

    def watch(engine: Engine) -> Witness:
        witnesses.append(Witness(engine, subject))
        return witnesses[0]

    result = replay_run(directory, environ, watch, end)
    (witness,) = witnesses
    answer: dict[str, Any] = {**asdict(result), "equal": result.equal}
    if until:
        answer["at"] = witness.engine.vitals.status(witness.last_ns)
    if subject:
        if not witness.found:
            raise NotFoundError(f"nothing in {directory} concerns {subject} {'by then' if until else ''}".rstrip())
        answer["books_at_first"] = witness.books
        answer["explained"] = witness.found
    return answer


def what_if(
    directory: Path, changes: list[str], out: Path, progress: Any, environ: Mapping[str, str] = os.environ
) -> Any:
    """The run's market again with keys changed, orders to a paper venue; its figures beside an unchanged one's.

    Raises OperatorError.
    """
    from tradeserver.lab.backtest.run import run
    from tradeserver.lab.backtest.settings import parse
    from tradeserver.runtime.tape import read_run

    header, _ = read_run(directory)
    text = header.config.replace('mode = "live"', 'mode = "paper"')
    section = f"\n[backtest]\ndata = [{json.dumps(str(directory.resolve()))}]\n"
    place = out / "what-if.toml"
    found = {}
    for name, made in (("as_it_was", []), ("what_if", changes)):
        file = parse(text + section, place, made, {})
        found[name] = run(file, out / name, progress)
    shown = ("profit", "fees", "trades", "orders", "refusals")
    return {
        "changes": changes,
        "assumption": "both are backtests: this run's market, orders to a paper venue; compare them with each other",
        **{name: {key: summary["figures"][key] for key in shown} for name, summary in found.items()},
        "folder": str(out),
    }
