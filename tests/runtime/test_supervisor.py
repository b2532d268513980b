"""The supervisor, the ticker, the notification protocol, the latch: who lives, who ends, who is told."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from shell_kit import EchoCodec, ScriptEngine
from test_reactor import Wire
from tradeserver.core.events import Tick
from tradeserver.net.backoff import BackoffSettings
from tradeserver.runtime.journal import DIGEST, INPUT, MemoryJournal, count_and_digest
from tradeserver.runtime.latch import FileLatch, MemoryLatch
from tradeserver.runtime.notify import notify, watchdog_ns
from tradeserver.runtime.reactor import Reactor
from tradeserver.runtime.supervisor import ChildProcess, Supervisor
from tradeserver.runtime.ticks import STALL_NS, Ticker
from tradeserver.runtime.wal import MemoryWal
from tradeserver.sessions.wire import VenueSession


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[socket.socket]:
    """The receiving end of $NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
        yield receiver


def heard(receiver: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(receiver.recv(100).decode())
        except BlockingIOError:
            return found


# ---- the supervisor -------------------------------------------------------------------------------------------------


def test_a_signal_asks_for_an_orderly_stop(systemd: socket.socket) -> None:
    log: list[str] = []

    async def program() -> str:
        supervisor = Supervisor()

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                log.append("work cancelled")

        async def main() -> None:
            supervisor.spawn(work(), "work")
            log.append("main")
            asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)

        async def stop(reason: str) -> None:
            log.append(f"stop {reason}")
            os.kill(os.getpid(), signal.SIGINT)
            await supervisor.hurry.wait()
            log.append("hurry")

        assert gc.isenabled()
        return await supervisor.run(main, stop)

    assert uvloop.run(program()) == "SIGTERM"
    assert log == ["main", "stop SIGTERM", "hurry", "work cancelled"]
    assert heard(systemd) == ["READY=1", "STOPPING=1"]
    assert gc.isenabled()


@pytest.mark.parametrize("where", ["main", "task", "reactor", "stop"])
def test_our_own_failure_stops_in_order_and_is_raised(where: str) -> None:
    log: list[str] = []

    async def program() -> None:
        supervisor = Supervisor()

        async def fail() -> None:
            raise KeyError(where)

        async def main() -> None:
            if where == "main":
                await fail()
            if where == "task":
                supervisor.spawn(fail(), "task")
            if where == "reactor":
                supervisor.fail(KeyError(where))
            if where == "stop":
                supervisor.request_stop("asked")

        async def stop(reason: str) -> None:
            log.append(reason)
            if where == "stop":
                await fail()

        await supervisor.run(main, stop)

    with pytest.raises(KeyError, match=where):
        uvloop.run(program())
    assert log == ["asked" if where == "stop" else f"KeyError: '{where}'"]


def test_requests_may_be_made_while_stopping_and_not_afterwards() -> None:
    log: list[str] = []

    async def program() -> None:
        supervisor = Supervisor()

        async def say(text: str) -> None:
            log.append(text)

        async def main() -> None:
            supervisor.request_stop("done")

        async def stop(reason: str) -> None:
            await supervisor.spawn(say("cancel orders"), "request")

        await supervisor.run(main, stop)
        await supervisor.spawn(say("too late"), "request")

    uvloop.run(program())
    assert log == ["cancel orders"]


# ---- children -------------------------------------------------------------------------------------------------------


def test_a_task_cancelled_before_its_first_step_leaves_no_coroutine_behind() -> None:
    async def never() -> None:
        raise AssertionError("it was cancelled")

    async def program() -> bool:
        supervisor = Supervisor()
        coroutine = never()

        async def main() -> None:
            supervisor.spawn(coroutine, "never").cancel()
            supervisor.request_stop("done")

        async def stop(reason: str) -> None:
            await asyncio.sleep(0)

        await supervisor.run(main, stop)
        return coroutine.cr_frame is None  # closed; else Python warns that it was never awaited

    assert uvloop.run(program())


WAITS = "import sys; sys.stdin.read(); open(sys.argv[1], 'a').write('drained ')"


def test_a_child_is_restarted_and_ends_when_its_leash_does(tmp_path: Path) -> None:
    changes: list[bool] = []
    script = f"import os, sys; os.path.exists(sys.argv[1]) or (open(sys.argv[1], 'w').close(), sys.exit(3)); {WAITS}"
    told: list[str] = []

    async def program() -> None:
        up_again = asyncio.Event()

        def on_change(up: bool, text: str) -> None:
            changes.append(up)
            told.append(text)
            if changes.count(True) == 2:
                up_again.set()

        child = ChildProcess(
            "relay",
            [sys.executable, "-c", script, str(tmp_path / "file")],
            lambda: 0.0,
            on_change,
            BackoffSettings(first_s=0.01),
        )
        task = asyncio.create_task(child.run())
        await asyncio.wait_for(up_again.wait(), 20)
        assert child.up
        assert child.restarts == 1
        await child.stop()
        await asyncio.wait_for(task, 5)
        assert not child.up

    uvloop.run(program())
    assert changes == [True, False, True, False]
    assert told[1] == "relay ended with code 3"
    assert (tmp_path / "file").read_text() == "drained "


def test_a_child_that_does_not_drain_is_killed() -> None:
    async def program() -> str:
        texts: list[str] = []
        child = ChildProcess("deaf", ["sleep", "60"], lambda: 0.0, lambda up, text: texts.append(text))
        task = asyncio.create_task(child.run())
        while not child.up:
            await asyncio.sleep(0.001)
        await child.stop(drain_s=0.02)
        await asyncio.wait_for(task, 5)
        return texts[-1]

    assert uvloop.run(program()) == "deaf ended with code -9"


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, signal, sys\n"
        "from tradeserver.runtime.supervisor import ChildProcess\n"
        "async def main():\n"
        f"    child = ChildProcess('c', [sys.executable, '-c', {WAITS!r}, sys.argv[1]], lambda: 0.0)\n"
        "    task = asyncio.create_task(child.run())\n"
        "    while not child.up: await asyncio.sleep(0.001)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "file")], timeout=30, check=False)
    assert done.returncode == -9
    while not (tmp_path / "file").exists() or not (tmp_path / "file").read_text():
        pass  # bounded by the test's time-out
    assert (tmp_path / "file").read_text() == "drained "


def test_a_child_that_cannot_be_started_is_told() -> None:
    async def program() -> str:
        told: asyncio.Queue[str] = asyncio.Queue()
        child = ChildProcess("nobody", ["/nowhere/at/all"], lambda: 0.0, lambda up, text: told.put_nowait(text))
        task = asyncio.create_task(child.run())
        text = await asyncio.wait_for(told.get(), 5)
        task.cancel()
        return text

    assert uvloop.run(program()) == "nobody cannot be started: No such file or directory"


# ---- ticks ----------------------------------------------------------------------------------------------------------


class Ticking:
    """A reactor with one venue and a ticker driven by hand."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.engine = ScriptEngine()
        self.time = 0
        self.wal = MemoryWal(segment_records=1)
        self.journal = MemoryJournal()
        self.reactor = Reactor(
            self.engine,
            [VenueSession(EchoCodec("x"), Wire(self.log))],
            self.wal,
            self.journal,
            self.now,
            MemoryLatch(),
        )
        self.after = 0
        self.ticker = Ticker(self.reactor, self.ticked)

    def now(self) -> int:
        self.time += 1
        return self.time

    def ticked(self) -> None:
        self.after += 1


def test_a_late_tick_pings_the_market_channels_at_once() -> None:
    t = Ticking()
    t.ticker.tick(STALL_NS)
    assert t.log == []
    t.ticker.tick(STALL_NS + 1)
    assert t.log == ["x ping"]
    assert [e.late_ns for e in t.engine.seen(Tick)] == [STALL_NS, STALL_NS + 1]
    assert t.ticker.worst_ns == STALL_NS + 1
    assert t.after == 2


def test_a_loop_that_stays_late_pings_twice_a_second_and_once_more_after_the_last_stall() -> None:
    """Found by a recording played as fast as it goes: the venue hung up on us for pinging at every tick."""
    t = Ticking()
    pings: list[int] = []
    t.reactor.sessions["x"].ping = pings.append  # type: ignore[method-assign]
    for _ in range(30):  # three seconds of ticks that are all 100 ms late
        t.ticker.tick(2 * STALL_NS)
        t.time += 100_000_000
    assert len(pings) == 6
    assert min(b - a for a, b in itertools.pairwise(pings)) >= 500_000_000
    t.ticker.tick(2 * STALL_NS)
    for _ in range(100):
        t.time += 10_000_000
        t.ticker.tick(0)
    assert len(pings) == 7  # the last stall is asked about too, when it may be


def test_the_log_rolls_on_an_idle_tick_only() -> None:
    t = Ticking()
    t.wal.write([b"{}"])
    t.ticker.tick(5_000_000)  # late
    assert t.wal.checkpoints == []
    for _ in range(30):  # a busy market
        t.reactor.feed(t.ticker.source, bytes(8))
    t.ticker.tick(0)
    assert t.wal.checkpoints == []
    t.ticker.tick(0)
    assert [seq for seq, _ in t.wal.checkpoints] == [1]


def test_ticks_mark_the_journal_every_second() -> None:
    t = Ticking()
    for _ in range(250):
        t.ticker.tick(0)
    assert [count_and_digest(e)[0] for e in t.journal.entries if e.kind == DIGEST] == [100, 200]


def test_chores_are_done_in_the_end_although_no_tick_is_idle() -> None:
    t = Ticking()
    t.wal.write([b"{}"])
    for _ in range(t.ticker.HURRY_AFTER):
        t.ticker.tick(5_000_000)
    assert t.wal.checkpoints == []
    t.ticker.tick(5_000_000)
    assert len(t.wal.checkpoints) == 1


def test_ticks_come_every_ten_milliseconds_and_late_ones_are_not_made_up_for() -> None:
    """The task against a clock of our own: it sleeps for real, but its time is what we say."""
    t = Ticking()
    times = iter([0, 0, 10_000_000, 10_000_000, 95_000_000, 95_000_000, 105_000_000, 105_000_000])

    async def program() -> None:
        with pytest.raises((StopIteration, RuntimeError)):
            await t.ticker.run(lambda: next(times))

    uvloop.run(program())
    assert [e.late_ns for e in t.engine.seen(Tick)] == [0, 75_000_000, 0]


# ---- systemd, latch -------------------------------------------------------------------------------------------------


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    assert not notify("READY=1")


def test_an_abstract_socket_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0tradeserver-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@tradeserver-test-{os.getpid()}")
        assert notify("STATUS=hello")
        assert receiver.recv(100) == b"STATUS=hello"


def test_the_watchdog_hears_of_completed_ticks_twice_per_interval(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_ns() == 2_000_000_000
    time = [10_000_000_000]
    monkeypatch.setattr("tradeserver.runtime.supervisor.time.monotonic_ns", lambda: time[0])

    async def program() -> None:
        supervisor = Supervisor()
        for _ in range(250):  # 2.5 s of ticks
            supervisor.ticked()
            time[0] += 10_000_000

    uvloop.run(program())
    assert heard(systemd) == ["WATCHDOG=1"] * 3
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_ns() == 0


def test_the_latch_is_shared_through_its_file_and_outlives_us(tmp_path: Path) -> None:
    ours, theirs = FileLatch(tmp_path / "latch"), FileLatch(tmp_path / "latch")
    assert not ours.set
    theirs.press()
    assert ours.set
    assert FileLatch(tmp_path / "latch").set
    ours.clear()
    assert not theirs.set


def test_a_run_with_ticks_is_journaled_under_the_name_tick() -> None:
    t = Ticking()
    t.ticker.tick(0)
    names = {e.source: e.data for e in t.journal.entries if e.kind == 1}
    assert [names[e.source] for e in t.journal.entries if e.kind == INPUT] == [b"tick"]
