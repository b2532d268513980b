"""Replay: a run full of refusals, resets and failures, fed again from its journal, says and decides the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shell_kit import EchoCodec, ScriptEngine, checkpoint
from test_reactor import Wire
from tradeserver.core.events import Operator, SendRefused
from tradeserver.runtime.journal import FileJournal, JournalError, JournalHeader
from tradeserver.runtime.latch import MemoryLatch
from tradeserver.runtime.reactor import Reactor
from tradeserver.runtime.replay import ReplayResult, replay
from tradeserver.runtime.ticks import TickSource, encode_tick
from tradeserver.runtime.wal import MemoryWal
from tradeserver.sessions.wire import NullTransport, VenueSession

EVERY = 10


def run_live(directory: Path, end: bool = True) -> tuple[str, int]:
    """A run in which sends are refused by link, latch, transport and log; answers its last digest and input count."""
    time = [1_000]

    def now() -> int:
        time[0] += 7
        return time[0]

    log: list[str] = []
    wires = {venue: Wire(log) for venue in ("x", "y")}
    sessions = [VenueSession(EchoCodec(venue), wire) for venue, wire in wires.items()]
    header = JournalHeader("r1", "", "c", checkpoint(ts=3, number=40), 1_000)
    journal = FileJournal(directory, header)
    wal, latch = MemoryWal(), MemoryLatch()
    engine = ScriptEngine()
    engine.apply(header.checkpoint)
    reactor = Reactor(engine, sessions, wal, journal, now, latch, digest_every=EVERY)
    tick = TickSource(sessions)
    reactor.add(tick)
    for session in sessions:
        session.start()

    def frame(venue: str, text: str) -> None:
        reactor.feed(reactor.sources[f"{venue}/market"], text.encode())

    frame("x", "up")
    frame("x", "signal open:x/a1,y/a2")
    wires["y"].takes = False
    frame("y", "signal open:x/b1,y/b2,x/b3 query:y/q1")
    wires["y"].takes = True
    frame("y", "malformed \xff")
    reactor.tell(Operator(ts=0, action="pause"))
    latch.set = True
    frame("x", "signal open:x/c1 hedge:y/c2 cancel:x/c3")
    latch.set = False
    for late in range(40):
        reactor.feed(tick, encode_tick(late))
        frame("y", f"ack a{late}")
    wal.failed = "disk full"
    frame("x", "signal open:x/d1,y/d2 hedge:x/d3")
    for wire in wires.values():
        wire.reset("market", "bye")
    frame("x", "signal hedge:x/e1")
    if end:
        reactor.end()
    journal.close()
    reasons = {event.reason for event in engine.seen(SendRefused)}
    assert reasons == {"market link took no byte", "leg_refused", "kill_latch", "wal_failed"}
    return reactor.digest().hex(), reactor.inputs


def replay_it(directory: Path, engine: type[ScriptEngine] = ScriptEngine) -> ReplayResult:
    def recovered(header: JournalHeader) -> ScriptEngine:
        fresh = engine()
        fresh.apply(header.checkpoint)
        return fresh

    return replay(directory, recovered, lambda _: [VenueSession(EchoCodec(v), NullTransport()) for v in ("x", "y")])


def test_a_run_with_refused_sends_replays_to_the_same_bytes(tmp_path: Path) -> None:
    digest, inputs = run_live(tmp_path / "run")
    result = replay_it(tmp_path / "run")
    assert result.mismatch is None
    assert result.equal
    assert result.ended
    assert (result.digest, result.inputs) == (digest, inputs)
    assert result.digests == inputs // EVERY + 1 > 8


def test_a_run_that_was_killed_replays_as_far_as_its_journal_goes(tmp_path: Path) -> None:
    run_live(tmp_path / "run", end=False)
    file = tmp_path / "run" / "00000.journal"
    result = replay_it(tmp_path / "run")
    assert result.equal
    assert not result.ended
    file.write_bytes(file.read_bytes()[:-1])
    assert replay_it(tmp_path / "run").inputs < result.inputs


def test_a_core_that_decides_otherwise_is_found_out(tmp_path: Path) -> None:
    class Other(ScriptEngine):
        def _obey(self, word: str) -> list:
            return super()._obey(word.replace("d3", "d4"))

    _, inputs = run_live(tmp_path / "run")
    result = replay_it(tmp_path / "run", Other)
    assert not result.equal
    assert result.mismatch is not None
    assert 88 < result.mismatch.inputs <= inputs, "the hedge of d comes near the end"


def test_replay_in_another_process_under_another_hash_seed(tmp_path: Path) -> None:
    digest, _ = run_live(tmp_path / "run")
    script = (
        "import sys; from pathlib import Path; sys.path[:0] = sys.argv[2:]\n"
        "from test_replay import replay_it\n"
        "r = replay_it(Path(sys.argv[1])); print(r.equal, r.digest)\n"
    )
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run"), *map(str, Path(__file__).parents[:2])],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["True", digest]


def test_a_journal_of_another_wiring_is_refused(tmp_path: Path) -> None:
    run_live(tmp_path / "run")
    with pytest.raises(JournalError, match="came from y, which this wiring does not have"):
        replay(tmp_path / "run", lambda _: ScriptEngine(), lambda _: [VenueSession(EchoCodec("x"), NullTransport())])
