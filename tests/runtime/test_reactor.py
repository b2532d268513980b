"""The reactor and its gateway: order of things, no nesting, what leaves and what is held back."""

from __future__ import annotations

import struct

import pytest

from shell_kit import EchoCodec, ScriptEngine, alert
from tradeserver.core.events import (
    Event,
    LinkDown,
    OrdersSent,
    QueryFailed,
    SendRefused,
    Signal,
    Tick,
    VenueFault,
    WalFailed,
)
from tradeserver.runtime.journal import DIGEST, INPUT, MemoryJournal
from tradeserver.runtime.latch import MemoryLatch
from tradeserver.runtime.reactor import Reactor
from tradeserver.runtime.ticks import TickSource, encode_tick
from tradeserver.runtime.wal import MemoryWal, encode_record
from tradeserver.sessions.base import Closed, Opened, Opening
from tradeserver.sessions.wire import Listener, VenueSession
from tradeserver.venues.base import Connect, HttpRequest


class Wire:
    """A transport that remembers what it was given, in one list for all venues, and can be made to take nothing."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.takes = True
        self.listener: Listener | None = None

    def bind(self, listener: Listener) -> None:
        self.listener = listener

    def keep_open(self, channel: str) -> None:
        self.listener.tell(Opening(channel))

    def connect(self, connect: Connect) -> None:
        self.listener.tell(Opened(connect.channel))

    def send(self, channel: str, data: bytes) -> bool:
        if self.takes:
            self.log.append(f"{self.listener.venue} {data.decode().rsplit(' ', 2)[0]}")
        return self.takes

    def request(self, request: HttpRequest) -> None:
        raise AssertionError("this venue makes no requests")

    decline = request

    def reset(self, channel: str, reason: str) -> None:
        self.log.append(f"{self.listener.venue} reset {reason}")
        self.listener.tell(Closed(channel, reason))

    def ping(self, ts: int) -> None:
        self.log.append(f"{self.listener.venue} ping")


class LoggedWal(MemoryWal):
    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self._log = log

    def write(self, payloads: list[bytes]) -> bool:
        self._log.append(f"wal {len(payloads)}")
        return super().write(payloads)


class Shell:
    """Two venues, a reactor, and a clock that moves by one at every reading."""

    def __init__(self, digest_every: int = 10_000) -> None:
        self.log: list[str] = []
        self.time = 0
        self.engine = ScriptEngine()
        self.wires = {"x": Wire(self.log), "y": Wire(self.log)}
        self.codecs = {venue: EchoCodec(venue) for venue in self.wires}
        self.sessions = {venue: VenueSession(self.codecs[venue], wire) for venue, wire in self.wires.items()}
        self.wal = LoggedWal(self.log)
        self.journal = MemoryJournal()
        self.latch = MemoryLatch()
        self.failures: list[BaseException] = []
        self.reactor = Reactor(
            self.engine,
            self.sessions.values(),
            self.wal,
            self.journal,
            self.now,
            self.latch,
            on_failure=self.failures.append,
            digest_every=digest_every,
        )
        for session in self.sessions.values():
            session.start()
        self.log.clear()

    def now(self) -> int:
        self.time += 1
        return self.time

    def frame(self, venue: str, text: str) -> None:
        self.reactor.feed(self.reactor.sources[f"{venue}/market"], text.encode())

    def said(self) -> list[str]:
        return [line for line in self.log if not line.startswith("wal")]

    def seen(self, kind: type[Event]) -> list[Event]:
        return self.engine.seen(kind)


def refusals(shell: Shell) -> list[tuple[str, str]]:
    return [(e.client_id, e.reason) for e in shell.seen(SendRefused)]


# ---- order of things ------------------------------------------------------------------------------------------------


def test_start_opens_each_channel_once_through_journaled_inputs() -> None:
    shell = Shell()
    assert shell.codecs["x"].calls == ["start", "open market", "opened market"]
    names = [e.data.decode() for e in shell.journal.entries if e.kind == 1]
    assert names == ["shell", "x", "y", "x/market", "y/market"]


def test_records_reach_the_log_before_the_first_command_leaves() -> None:
    shell = Shell()
    shell.frame("x", "signal open:x/a1,y/a2")
    assert shell.log[:3] == ["wal 1", "x SubmitOrder a1", "y SubmitOrder a2"]


def test_what_an_input_causes_waits_its_turn_and_has_its_own_stamp() -> None:
    shell = Shell()
    shell.wires["x"].takes = False
    shell.frame("x", "signal open:x/a1,y/a2")  # ScriptEngine asserts that no step is nested
    kinds = [type(e).__name__ for e in shell.engine.events]
    assert kinds == ["Signal", "SendRefused", "SendRefused"]
    stamps = [e.ts for e in shell.engine.events]
    assert stamps == sorted(set(stamps))
    inputs = [e for e in shell.journal.entries if e.kind == INPUT][-3:]
    assert [e.ts for e in inputs] == stamps
    assert shell.reactor.inputs == len([e for e in shell.journal.entries if e.kind == INPUT])


def test_stamps_of_a_step_come_back_as_one_event() -> None:
    shell = Shell()
    shell.frame("x", "signal open:x/a1,y/a2 hedge:x/h1")
    (stamps,) = shell.seen(OrdersSent)
    assert stamps.client_ids == ("a1", "a2", "h1")
    signal = shell.seen(Signal)[0]
    assert signal.ts < stamps.decided < stamps.written < stamps.sent[0] < stamps.sent[1] < stamps.sent[2] < stamps.ts


def test_a_tick_runs_the_codecs_timers_first_and_hands_on_what_they_say() -> None:
    shell = Shell()
    source = TickSource(list(shell.sessions.values()))
    shell.reactor.add(source)
    for late in (0, 5, -7):
        shell.reactor.feed(source, encode_tick(late))
    assert [e.late_ns for e in shell.seen(Tick)] == [0, 5, -7]
    assert shell.said() == ["x ping", "y ping"]  # EchoCodec speaks at every third tick


def test_two_sources_may_not_share_a_name() -> None:
    shell = Shell()
    shell.reactor.add(TickSource([]))
    with pytest.raises(ValueError, match="two sources are called tick"):
        shell.reactor.add(TickSource([]))


# ---- malformed bytes, our own faults --------------------------------------------------------------------------------


def test_malformed_bytes_are_counted_told_and_close_the_channel() -> None:
    shell = Shell()
    shell.frame("x", "bad \x01")
    assert shell.reactor.faults == {"x": 1}
    (fault,) = shell.seen(VenueFault)
    assert (fault.venue, fault.channel, fault.code) == ("x", "market", "malformed")
    assert "unknown word" in fault.text
    assert shell.said() == ["x reset unknown word"]
    assert [e.channel for e in shell.seen(LinkDown)] == ["market"]
    shell.frame("y", "signal open:y/a1")
    assert shell.said()[-1] == "y SubmitOrder a1"


def test_our_own_exception_ends_the_run() -> None:
    shell = Shell()
    with pytest.raises(KeyError):
        shell.frame("x", "signal open:nowhere/a1")
    assert [type(e) for e in shell.failures] == [KeyError]
    before = len(shell.engine.events)
    shell.frame("x", "signal open:x/a1")
    assert len(shell.engine.events) == before
    assert shell.said() == []


def test_an_input_that_causes_others_without_end_is_our_fault() -> None:
    shell = Shell()

    class Mill:
        id = -1
        name = "mill"

        def decode(self, data: bytes, ts: int) -> list[Event]:
            for _ in range(20_000):
                shell.reactor.feed(self, data)
            return []

        def flush(self) -> bytes:
            return b""

    mill = Mill()
    shell.reactor.add(mill)
    with pytest.raises(RuntimeError, match="one input caused"):
        shell.reactor.feed(mill, b"")


# ---- the gateway ----------------------------------------------------------------------------------------------------


def test_one_refused_leg_keeps_the_others_of_its_arbitrage() -> None:
    shell = Shell()
    shell.codecs["y"].link = False
    shell.frame("x", "signal open:x/a1,y/a2 hedge:x/h1 cancel:x/c1")
    assert shell.said() == ["x SubmitOrder h1", "x CancelOrder c1"]
    assert refusals(shell) == [("a1", "leg_refused"), ("a2", "orders link down")]


def test_a_transport_that_takes_no_byte_of_the_second_leg_keeps_the_third() -> None:
    shell = Shell()
    shell.wires["y"].takes = False
    shell.frame("x", "signal open:x/a1,y/a2,x/a3 hedge:x/h1")
    assert shell.said() == ["x SubmitOrder a1", "x SubmitOrder h1"]
    assert refusals(shell) == [("a2", "market link took no byte"), ("a3", "leg_refused")]
    assert shell.seen(OrdersSent)[0].client_ids == ("a1", "h1")


def test_hedges_are_not_held_back_by_each_other() -> None:
    shell = Shell()
    shell.codecs["y"].link = False
    shell.frame("x", "signal hedge:y/h1,x/h2")
    assert shell.said() == ["x SubmitOrder h2"]
    assert refusals(shell) == [("h1", "orders link down")]


def test_the_latch_lets_cancels_and_queries_pass_and_no_order() -> None:
    shell = Shell()
    shell.latch.set = True
    shell.frame("x", "signal open:x/a1,y/a2 hedge:x/h1 cancel:x/c1 query:y/q1")
    assert shell.said() == ["x CancelOrder c1", "y QueryOrder q1"]
    assert refusals(shell) == [("a1", "kill_latch"), ("a2", "kill_latch"), ("h1", "kill_latch")]


def test_the_latch_is_read_before_each_send() -> None:
    shell = Shell()
    send = shell.wires["x"].send

    def send_and_press(channel: str, data: bytes) -> bool:
        shell.latch.set = True
        return send(channel, data)

    shell.wires["x"].send = send_and_press
    shell.frame("x", "signal open:x/a1,y/a2")
    assert shell.said() == ["x SubmitOrder a1"]
    assert refusals(shell) == [("a2", "kill_latch")]


def test_a_query_that_did_not_leave_is_told_at_once() -> None:
    shell = Shell()
    shell.wires["x"].takes = False
    shell.frame("y", "signal cancel:x/c1 query:x/q1")
    assert [(e.query, e.client_id, e.symbol) for e in shell.seen(QueryFailed)] == [
        ("CancelOrder", "c1", "BTC/USDT"),
        ("QueryOrder", "q1", "BTC/USDT"),
    ]


def test_after_a_failed_write_nothing_opens_and_hedges_leave() -> None:
    shell = Shell()
    shell.wal.failed = "disk full"
    shell.frame("x", "signal open:x/a1,y/a2 hedge:x/h1")
    assert shell.said() == ["x SubmitOrder h1"]
    assert [type(e) for e in shell.engine.events[:4]] == [Signal, WalFailed, SendRefused, SendRefused]
    assert refusals(shell) == [("a1", "wal_failed"), ("a2", "wal_failed")]
    shell.frame("x", "signal open:y/a3")
    assert refusals(shell)[2:] == [("a3", "wal_failed")]
    assert len(shell.seen(WalFailed)) == 1
    assert shell.wal.payloads == []


def test_a_log_that_fails_in_the_background_is_told_without_a_write() -> None:
    shell = Shell()
    source = TickSource([])
    shell.reactor.add(source)
    shell.wal.failed = "sync: Input/output error"
    shell.reactor.feed(source, encode_tick(0))
    assert [e.reason for e in shell.seen(WalFailed)] == ["sync: Input/output error"]


# ---- digests --------------------------------------------------------------------------------------------------------


def test_what_is_held_back_is_encoded_all_the_same() -> None:
    """So that a replay, which holds nothing back, yields the same bytes."""
    free, held = Shell(), Shell()
    held.latch.set = True
    for shell in (free, held):
        shell.frame("x", "signal open:x/a1,y/a2")
        shell.frame("x", "signal cancel:x/c1")
    numbers = [codec._number for codec in free.codecs.values()]
    assert [codec._number for codec in held.codecs.values()] == numbers == [2, 1]


def test_digests_are_written_every_so_many_inputs_and_depend_on_everything() -> None:
    def digests(change: str) -> list[bytes]:
        shell = Shell(digest_every=2)
        for number in range(10):
            shell.frame("x", f"signal open:x/a{number}" if (number, change) != (3, "order") else "signal open:y/a3")
        if change == "state":
            shell.engine.accepted = 5
        shell.frame("y", "up")
        shell.frame("y", "up")
        return [e.data for e in shell.journal.entries if e.kind == DIGEST]

    same, again, other, state = digests(""), digests(""), digests("order"), digests("state")
    assert same == again
    assert [struct.unpack_from("<Q", d)[0] for d in same][:3] == [2, 4, 6]
    assert same[-1] != other[-1]
    assert same[-1] != state[-1]


def test_records_are_written_as_they_are_encoded() -> None:
    shell = Shell()
    shell.frame("y", "up")
    ts = shell.engine.events[0].ts
    assert shell.wal.payloads == [encode_record(alert(1, f"LinkUp {ts}"))]
