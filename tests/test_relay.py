"""The relay inside one process: each sink at its own pace, from its own position, on a real log and database."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tradeserver.core.records import BalanceBooked, Checkpoint, Record, RunStopped
from tradeserver.relay import Relay, silence
from tradeserver.runtime.wal import FileWal, WalSettings, encode_record
from tradeserver.services import layout, queries
from tradeserver.services.control import Server
from tradeserver.services.lock import Lock
from tradeserver.services.logs import Log
from tradeserver.services.positions import Positions, delivered
from tradeserver.services.sinks import Batch, LogSink, Sink, SinkError, StoreSink
from tradeserver.services.store import read

EMPTY = Checkpoint(
    ts=0, next_arbitrage=1, next_opportunity=1, orders=(), arbitrages=(), balances={}, positions={}, realised={},
    fees={}, states=(), fill_keys=(), dust={},
)  # fmt: skip


class Writer:
    """A daemon's log, without the daemon."""

    def __init__(self, state: Path) -> None:
        self.wal = FileWal(
            layout.wal(state), WalSettings(segment_bytes=8192, sync_ms=1, preallocate=False, reserve_bytes=0)
        )
        self.wal.begin(EMPTY)

    def write(self, count: int) -> None:
        for n in range(self.wal.seq + 1, self.wal.seq + count + 1):
            total = Decimal(n)
            record = BalanceBooked(ts=n, venue="v", asset="A", total=total, previous=total - 1, reason="opening")
            assert self.wal.write([encode_record(record)])
            self.wal.idle(lambda: EMPTY)


class Moody:
    """A sink that refuses as often as it is told to, takes half of a batch before, and knows what it has."""

    name = "moody"

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.taken: list[int] = []

    async def open(self, noted: int) -> int:
        return self.taken[-1] if self.taken else 0

    async def deliver(self, batch: Batch) -> None:
        if self.refusals:
            self.refusals -= 1
            self.taken += [n for n, _ in batch[: len(batch) // 2]]
            raise SinkError("not now")
        self.taken += [n for n, _ in batch]

    def settled(self, at: int) -> int:
        return at

    async def close(self) -> None: ...


class Broken(Moody):
    """A sink with a bug."""

    name = "broken"

    async def deliver(self, batch: Batch) -> None:
        raise ZeroDivisionError("oh")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    made = Writer(tmp_path)
    yield made
    made.wal.close()


def relayed(
    state: Path,
    sinks: list[Sink],
    until: Callable[[], bool],
    log: Log | None = None,
    drain_s: float = 5,
    lost_s: float = 1,
) -> None:
    """Run a relay until something is so, then stop it in order."""

    async def main() -> None:
        relay = Relay(state, sinks, log or Log("t", io.StringIO()))
        task = asyncio.create_task(relay.run(drain_s, lost_s))
        async with asyncio.timeout(30):
            while not until():
                assert not task.done()
                await asyncio.sleep(0.01)
            relay.stop()
            await task

    asyncio.run(main())


def position(state: Path) -> int:
    try:
        return int(queries.balances(read(layout.store_url(state)))["sequence"])
    except Exception:
        return 0


def test_it_delivers_what_is_there_and_what_comes(tmp_path: Path, writer: Writer) -> None:
    writer.write(300)
    relayed(tmp_path, [StoreSink(layout.store_url(tmp_path))], lambda: position(tmp_path) == 300)
    writer.write(300)
    relayed(tmp_path, [StoreSink(layout.store_url(tmp_path))], lambda: position(tmp_path) == 600)
    assert queries.balances(read(layout.store_url(tmp_path)))["rows"][0]["total"] == "600"
    assert delivered(layout.relay_positions(tmp_path)) == [600]


def test_told_to_stop_it_delivers_the_rest_first(tmp_path: Path, writer: Writer) -> None:
    writer.write(2_500)
    writer.wal.close()
    sink = Moody(0)
    relayed(tmp_path, [sink], lambda: True)
    assert sink.taken == list(range(1, 2_501))


def test_a_sink_that_fails_catches_up_and_holds_up_nobody(tmp_path: Path, writer: Writer) -> None:
    moody, steady, broken = Moody(3), Moody(0), Broken(0)
    steady.name = "steady"
    out = io.StringIO()
    log = Log("t", out)
    writer.write(400)
    relayed(tmp_path, [broken, moody, steady], lambda: len(steady.taken) == len(moody.taken) == 400, log, drain_s=0.05)
    log.close()
    assert moody.taken == steady.taken == list(range(1, 401))
    events = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert events.count("relay_sink_lost") == 1, "one line for an outage, not one for each attempt"
    assert events.count("relay_sink_back") == 1
    assert "relay_sink_failed" in events
    assert "relay_undelivered" in events, "the one with the bug is named at the end"


def test_a_sink_that_is_down_holds_up_the_end_only_briefly(tmp_path: Path, writer: Writer) -> None:
    down, out = Moody(1_000_000), io.StringIO()
    log = Log("t", out)
    writer.write(10)
    relayed(tmp_path, [down], lambda: down.refusals < 1_000_000, log, drain_s=60, lost_s=0.05)  # bounded by 30 s
    log.close()
    assert "relay_undelivered" in out.getvalue()


def test_a_sink_from_another_state_directory_is_refused(tmp_path: Path, writer: Writer) -> None:
    class Ahead(Moody):
        name = "ahead"

        async def open(self, noted: int) -> int:
            return 5_000

    sink, out = Ahead(0), io.StringIO()
    log = Log("t", out)
    writer.write(10)
    other = Moody(0)
    relayed(tmp_path, [sink, other], lambda: len(other.taken) == 10, log, drain_s=0.05)
    log.close()
    assert sink.taken == []
    assert "ahead is at sequence 5000, which the log in" in out.getvalue()


def test_the_second_relay_waits_for_the_first(tmp_path: Path, writer: Writer) -> None:
    writer.write(5)
    first = Lock(layout.relay_lock(tmp_path))
    assert first.take()
    assert not Lock(layout.relay_lock(tmp_path)).take()
    sink, out = Moody(0), io.StringIO()

    class Tell(io.StringIO):
        def write(self, text: str) -> int:
            out.write(text)
            if "relay_waits" in text:
                first.release()
            return len(text)

    log = Log("t", Tell())
    log.start()
    relayed(tmp_path, [sink], lambda: len(sink.taken) == 5, log)
    log.close()
    assert "relay_waits" in out.getvalue()


def test_log_lines_begin_at_the_newest_segment_and_go_on_where_they_were(tmp_path: Path, writer: Writer) -> None:
    writer.write(400)  # several segments of the past
    out = io.StringIO()
    log = Log("t", out)
    sink = LogSink(log, layout.wal(tmp_path))
    start = asyncio.run(sink.open(0))
    assert 0 < start < 400
    assert asyncio.run(sink.open(17)) == 17
    stopped: list[tuple[int, Record]] = [(401, RunStopped(ts=1, reason="asked to stop"))]
    asyncio.run(sink.deliver(stopped))
    assert sink.stopped, "silence after an orderly end is no alarm"
    log.close()
    assert json.loads(out.getvalue())["event"] == "run_stopped"


def test_notes_survive_and_a_broken_file_is_no_note(tmp_path: Path) -> None:
    path = tmp_path / "relay.json"
    assert delivered(path) == [0], "before a relay has run, nobody has anything"
    notes = Positions(path, ["nats", "store"])
    notes.note("nats", 5)
    notes.save()
    assert delivered(path) == [5, 0]
    assert Positions(path, ["nats"])["nats"] == 5
    path.write_text("{")
    assert Positions(path, ["nats"])["nats"] == 0


# ---- why the log is silent ------------------------------------------------------------------------------------------


def test_the_daemon_is_gone(tmp_path: Path) -> None:
    assert silence(tmp_path / "control.sock")[0] == "DAEMON_GONE"


def test_the_daemon_is_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradeserver.relay.ask", lambda *a, timeout_s, **k: ask(*a, timeout_s=0.05, **k))
    from tradeserver.services.control import ask

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "c"))
        listener.listen(1)
        assert silence(tmp_path / "c")[0] == "DAEMON_FROZEN"


@pytest.mark.parametrize(("failed", "code"), [("disk full", "WAL_FAILED"), ("", "WAL_SILENT")])
def test_the_daemon_answers(tmp_path: Path, failed: str, code: str) -> None:
    async def main() -> tuple[str, str]:
        server = Server(tmp_path / "c", {"status": lambda: {"wal_failed": failed}})
        await server.start()
        try:
            return await asyncio.to_thread(silence, tmp_path / "c")
        finally:
            await server.stop()

    found, text = asyncio.run(main())
    assert found == code
    assert failed in text
