"""The heart: one input after the other is stamped, journaled, decoded, decided, logged, and only then acted upon.

There are no nested calls: an input that arrives while another one is being processed (caused by an effect: a refused
send, a lost link) waits its turn in the inbox, is journaled with a stamp of its own and processed next. Between a frame
and its orders there is no await, no task, no queue. A `WireError`, the venue's fault, is caught at one line; any other
exception is ours, and ends the run: nothing more is processed and nothing more leaves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Protocol

import msgspec

from tradeserver.core.commands import Command
from tradeserver.core.events import AnyEvent, Event, VenueFault, WalFailed
from tradeserver.core.records import Checkpoint, Record
from tradeserver.runtime.gateway import Gateway
from tradeserver.runtime.journal import DIGEST_EVERY, Journal
from tradeserver.runtime.latch import Latch
from tradeserver.runtime.wal import Wal, encode_record
from tradeserver.sessions.base import Feeder, Session, Source
from tradeserver.venues.base import WireError

_PIECE = 2_047
INBOX_LIMIT = 10_000
"""Inputs caused by one input. More is a loop, which is our fault and ends the run."""


class Engine(Protocol):
    """`core/engine.py`, as the shell sees it."""

    def step(self, event: Event) -> tuple[list[Record], list[Command]]:
        """Everything is decided here."""
        ...

    def apply(self, record: Record) -> None:
        """One record of the past, at recovery."""
        ...

    def checkpoint(self, ts: int) -> Checkpoint:
        """The whole recoverable state."""
        ...

    def digest_state(self) -> bytes:
        """Books and ledger in short: for comparing two runs."""
        ...

    def next_deadline(self) -> int:
        """When a tick would change something by itself, ns; 0: never."""
        ...


_event_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(AnyEvent)
_encode_event = msgspec.msgpack.Encoder().encode


class EventSource:
    """Events that the shell makes itself: refused sends, stamps, operators' words, signals. Stamped when processed."""

    def __init__(self, name: str = "shell") -> None:
        self.id = -1
        self.name = name

    def decode(self, data: bytes, ts: int) -> Sequence[Event]:
        """One event, with the input's stamp for its own."""
        return (msgspec.structs.replace(_event_decoder.decode(data), ts=ts),)

    def flush(self) -> bytes:
        """Nothing to say."""
        return b""


class Muted:
    """What sessions and the gateway feed in a replay: nothing. Their inputs are in the journal."""

    def __init__(self, reactor: Feeder) -> None:
        self.add = reactor.add

    def feed(self, source: Source, data: bytes) -> None:
        """Not again."""


def _next_due(one: Pending) -> int:
    return one.next_due()


def _live(reactor: Feeder) -> Feeder:
    return reactor


class Pending(Protocol):
    """Somebody whose answers fall due by themselves: the paper venue. They are inputs before any later one."""

    @property
    def source(self) -> Source:
        """Under which its answers are journaled."""
        ...

    def next_due(self) -> int:
        """When the next one falls due, ns; 0: nothing is under way."""
        ...

    def due(self, ts: int) -> bytes:
        """What fell due up to `ts`, as one input of `source`; b"" for nothing."""
        ...


class Reactor:
    """See the module's text. `inputs` counts what was processed, `faults` the WireErrors, by venue."""

    def __init__(
        self,
        engine: Engine,
        sessions: Iterable[Session],
        wal: Wal,
        journal: Journal,
        now: Callable[[], int],
        latch: Latch,
        *,
        on_failure: Callable[[BaseException], None] = lambda error: None,
        effects: Callable[[Feeder], Feeder] = _live,
        digest_every: int = DIGEST_EVERY,
        pending: Sequence[Pending] = (),
    ) -> None:
        self.engine = engine
        self.wal = wal
        self.journal = journal
        self.now = now
        self.sessions = {session.venue: session for session in sessions}
        self.sources: dict[str, Source] = {}
        self.inputs = 0
        self.faults: dict[str, int] = {}
        self.failure: BaseException | None = None
        self._on_failure = on_failure
        self._inbox: deque[tuple[Source, bytes]] = deque()
        self._running = False
        self._digest = blake2b(digest_size=16)
        self._digest_every = digest_every
        self._pending = tuple(pending)
        self._wal_failure_told = False
        self._effects = effects(self)
        self._shell = EventSource()
        self._gateway = Gateway(self.sessions, latch, now, self._cause)
        self.add(self._shell)
        for session in self.sessions.values():
            session.bind(self._effects)

    def add(self, source: Source) -> None:
        """Make a source known; it gets its number."""
        if source.name in self.sources:
            raise ValueError(f"two sources are called {source.name}")
        source.id = len(self.sources)
        self.sources[source.name] = source
        self.journal.source(source.id, source.name)

    def tell(self, event: Event) -> None:
        """An event from outside any venue: an operator's word, a signal. Its stamp is set when it is processed."""
        self.feed(self._shell, _encode_event(event))

    def _cause(self, event: Event) -> None:
        """An event that performing commands causes."""
        self._effects.feed(self._shell, _encode_event(event))

    # ---- one input -----------------------------------------------------------------------------------------------

    def feed(self, source: Source, data: bytes) -> None:
        """One input. Raises what our own code raises, after `on_failure` was called with it; from then on ignores."""
        inbox = self._inbox
        inbox.append((source, data))
        if self._running:  # caused by an effect: it waits its turn
            if len(inbox) > INBOX_LIMIT:
                raise RuntimeError(f"one input caused {INBOX_LIMIT} others")
            return
        if self.failure is not None:
            inbox.clear()
            return
        self._running = True
        try:
            while inbox:
                if self._pending:
                    self._drain()
                source, data = inbox.popleft()
                self._process(source, data)
        except BaseException as error:
            self.failure = error
            inbox.clear()
            self._on_failure(error)
            raise
        finally:
            self._running = False

    def _drain(self) -> None:
        """What has fallen due, in due order, before the input that waits."""
        now = self.now()
        while True:
            first = min((p for p in self._pending if 0 < p.next_due() <= now), key=_next_due, default=None)
            if first is None:
                break
            if data := first.due(first.next_due()):
                self._process(first.source, data)
        for one in self._pending:  # resting orders that the books have come to
            if data := one.due(now):
                self._process(one.source, data)

    def _process(self, source: Source, data: bytes) -> None:
        ts = self.now()  # the input's only stamp
        self.journal.input(ts, source.id, data)
        self.inputs += 1
        try:
            events = source.decode(data, ts)
        except WireError as error:
            events = ()
            self._quarantine(error, ts)
        said: list[bytes] = []  # records that are not written yet
        try:
            for event in events:
                records, commands = self.engine.step(event)
                if commands:
                    decided = self.now()
                    said += map(encode_record, records)
                    if said:
                        self._log(said)
                    written, said = said, []
                    wal_failed = self._wal_failed(ts)
                    written += self._gateway.perform(commands, ts, decided, self.now(), wal_failed)
                    self._fold_all(written)  # after the sends: nobody waits for the hash
                elif records:
                    said += map(encode_record, records)
        finally:  # also where a later event's step failed: what has happened stays known
            if said:
                self._log(said)
                self._fold_all(said)
        if self.wal.failed:
            self._wal_failed(ts)
        chatter = source.flush()  # pongs, resyncs
        if chatter:
            self._fold(chatter)
        if not self.inputs % self._digest_every:
            self.mark()

    def _log(self, payloads: Sequence[bytes]) -> None:
        """One write for all that waits; its failure is seen in `_wal_failed`."""
        self.wal.write(payloads)

    def _fold_all(self, pieces: Sequence[bytes]) -> None:
        for data in pieces:
            self._fold(data)

    def _fold(self, data: bytes) -> None:
        """Into the running hash, in pieces below 2,048 bytes: from the first longer one on hashlib would let go of the
        interpreter at every update, and wait for it behind the log's thread."""
        if len(data) <= _PIECE:
            self._digest.update(data)
        else:
            for at in range(0, len(data), _PIECE):
                self._digest.update(data[at : at + _PIECE])

    def _wal_failed(self, ts: int) -> str:
        """Why nothing is logged any more, or "". The engine is told once, before anything is refused for it."""
        failed = self.wal.failed
        if failed and not self._wal_failure_told:
            self._wal_failure_told = True
            self._cause(WalFailed(ts=ts, reason=failed))
        return failed

    def _quarantine(self, error: WireError, ts: int) -> None:
        """Count, tell, hang up: the channel is opened anew with back-off."""
        self.faults[error.venue] = self.faults.get(error.venue, 0) + 1
        text = f"{error.reason}: {error.data[:200]!r}"
        self._cause(VenueFault(ts=ts, venue=error.venue, channel=error.channel, code="malformed", text=text))
        self.sessions[error.venue].reset(error.channel, error.reason)

    def digest(self) -> bytes:
        """The running hash now, of every record and every outgoing byte so far."""
        return self._digest.digest()

    def mark(self) -> bytes:
        """Fold the engine's state into the running hash and put it into the journal. Only between two inputs.

        A replay does the same where it finds the mark, so a run may set marks whenever it likes.
        """
        self._fold(self.engine.digest_state())
        digest = self._digest.digest()
        self.journal.digest(self.inputs, digest)
        return digest

    def end(self) -> None:
        """The orderly end of the run: the last entry of the journal."""
        self.journal.end(self.inputs, self.digest())
