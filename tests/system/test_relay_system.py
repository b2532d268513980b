"""The relay as a process, against a real nats-server: every sequence exactly once, whatever happens to either."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from consumer import consume
from nats_server import NatsServer
from tradeserver.core.records import BalanceBooked, Checkpoint
from tradeserver.relay import arguments
from tradeserver.runtime.wal import FileWal, WalSettings, encode_record
from tradeserver.services import layout, queries, store
from tradeserver.services.nats import NatsError, Publisher, Stream, stream_name

pytestmark = pytest.mark.system

EMPTY = Checkpoint(
    ts=0,
    next_arbitrage=1,
    next_opportunity=1,
    orders=(),
    arbitrages=(),
    balances={},
    positions={},
    realised={},
    fees={},
    states=(),
    fill_keys=(),
    dust={},
)


class House:
    """A state directory with a log that the test writes, and relay processes on it."""

    def __init__(self, directory: Path, url: str) -> None:
        self.state = directory / "state"
        self.config = directory / "run.toml"
        self.config.write_text(
            f'mode = "paper"\nsymbols = ["BTC/USDT"]\nstate_dir = "{self.state}"\n'
            f'[instance]\nname = "test"\ntag = "t1"\n[venues.binance]\n'
            f'[nats]\nurl = "{url}"\nduplicate_window_s = 0.5\n'
        )
        settings = WalSettings(segment_bytes=8192, preallocate=False, reserve_bytes=0)
        self.wal = FileWal(layout.wal(self.state), settings)
        self.wal.begin(EMPTY)
        self.relays: list[subprocess.Popen[bytes]] = []
        self.output = directory / "relay.log"

    def write(self, count: int) -> None:
        for _ in range(count):
            n = self.wal.seq + 1
            record = BalanceBooked(
                ts=n, venue="binance", asset="USDT", total=Decimal(n), previous=Decimal("1E-7"), reason="opening"
            )
            assert self.wal.write([encode_record(record)])
            self.wal.idle(lambda: EMPTY)

    def start_relay(self) -> subprocess.Popen[bytes]:
        with self.output.open("ab") as output:
            relay = subprocess.Popen(arguments(self.config, 0), stdin=subprocess.PIPE, stdout=output, stderr=output)
        self.relays.append(relay)
        return relay

    def said(self) -> list[dict[str, object]]:
        lines = self.output.read_text().splitlines() if self.output.exists() else []
        return [json.loads(line) for line in lines]

    def stored(self) -> int:
        try:
            return int(queries.balances(store.read(layout.store_url(self.state)))["sequence"])
        except Exception:
            return 0

    def close(self) -> None:
        for relay in self.relays:
            if relay.poll() is None:
                relay.kill()
                relay.wait(5)
            assert relay.stdin is not None
            relay.stdin.close()
        self.wal.close()


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    (tmp_path / "nats").mkdir()
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.stop(signal.SIGKILL)


@pytest.fixture
def house(tmp_path: Path, nats_server: NatsServer) -> Iterator[House]:
    made = House(tmp_path, nats_server.url)
    yield made
    made.close()


def until(truth: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)


def seen(server: NatsServer, last: int) -> list[int]:
    found = asyncio.run(consume(server.url, "tradeserver-test", last, 20))
    assert found["mismatched"] == []
    return found["in_stream_order"]  # type: ignore[return-value]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_every_sequence_once_over_a_restart_and_an_outage(
    house: House, nats_server: NatsServer, end: signal.Signals
) -> None:
    house.start_relay()
    house.write(200)
    until(lambda: house.stored() == 200)
    nats_server.stop(end)  # in the middle of whatever it is doing
    house.write(300)  # several segments
    until(lambda: house.stored() == 500)  # the database does not wait for NATS
    time.sleep(0.7)  # past the duplicate window: only the stream's last message can tell what is there
    nats_server.start()
    house.write(50)
    assert seen(nats_server, 550) == list(range(1, 551))


def test_a_restart_under_load_loses_and_doubles_nothing(house: House, nats_server: NatsServer) -> None:
    house.start_relay()
    for _ in range(4):
        house.write(400)
        time.sleep(0.1)  # somewhere inside the catching up
        nats_server.stop(signal.SIGKILL)
        house.write(20)
        nats_server.start()
    assert seen(nats_server, 1680) == list(range(1, 1681))


def test_a_killed_relay_leaves_nothing_undone_and_doubles_nothing(house: House, nats_server: NatsServer) -> None:
    for _ in range(4):
        relay = house.start_relay()
        house.write(300)
        until(lambda: house.stored() > 0)
        relay.kill()
        relay.wait(5)
        layout.relay_positions(house.state).unlink(missing_ok=True)  # its notes are not what it relies on
    house.start_relay()
    assert seen(nats_server, 1200) == list(range(1, 1201))
    until(lambda: house.stored() == 1200)


def test_it_drains_at_the_end_of_its_pipe_and_a_second_one_waits(house: House, nats_server: NatsServer) -> None:
    first = house.start_relay()
    until(lambda: any(line["event"] == "relay_started" for line in house.said()))
    second = house.start_relay()
    until(lambda: any(line["event"] == "relay_waits" for line in house.said()))
    house.write(2_000)
    house.wal.roll(EMPTY)  # synced by the background, as at an orderly stop
    until(lambda: not house.wal._sealed)
    assert first.stdin is not None
    first.stdin.close()
    assert first.wait(15) == 0
    assert house.stored() == 2_000
    assert seen(nats_server, 2_000) == list(range(1, 2_001))
    until(lambda: sum(line["event"] == "relay_started" for line in house.said()) == 2)
    second.terminate()
    assert second.wait(15) == 0


def test_money_is_plain_and_notes_are_kept(house: House, nats_server: NatsServer) -> None:
    house.start_relay()
    house.write(1)
    until(lambda: house.stored() == 1)

    async def last() -> bytes:
        import nats

        client = await nats.connect(nats_server.url)
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with contextlib.suppress(Exception):
                    found = await client.jetstream().get_last_msg("tradeserver-test", "tradeserver.test.balance_booked")
                    return found.data or b""
                await asyncio.sleep(0.05)
            return b""
        finally:
            await client.close()

    body = json.loads(asyncio.run(last()))
    assert body == {
        "instance": "test",
        "sequence": 1,
        "kind": "balance_booked",
        "ts_ns": 1,
        "venue": "binance",
        "asset": "USDT",
        "total": "1",
        "previous": "0.0000001",
        "reason": "opening",
    }
    until(lambda: layout.relay_positions(house.state).exists())
    until(lambda: json.loads(layout.relay_positions(house.state).read_text()) == {"nats": 1, "store": 1, "log": 1})


@pytest.mark.parametrize("what", ["purge", "delete"])
def test_a_purged_stream_goes_on_and_a_new_one_gets_everything(
    house: House, nats_server: NatsServer, what: str
) -> None:
    relay = house.start_relay()
    house.write(100)
    assert seen(nats_server, 100) == list(range(1, 101))
    assert relay.stdin is not None
    relay.stdin.close()
    assert relay.wait(15) == 0

    async def take_away() -> None:
        import nats

        client = await nats.connect(nats_server.url)
        streams = client.jetstream()
        await (streams.purge_stream if what == "purge" else streams.delete_stream)("tradeserver-test")
        await client.close()

    asyncio.run(take_away())
    house.start_relay()
    house.write(20)
    found = asyncio.run(consume(nats_server.url, "tradeserver-test", 120, 20, durable="another"))
    assert found["in_stream_order"] == list(range(101 if what == "purge" else 1, 121))


def test_silence_is_told_with_its_cause(house: House) -> None:
    house.start_relay()
    house.write(1)
    until(lambda: any(line["event"] == "DAEMON_GONE" for line in house.said()), 20)


def batch(first: int, last: int) -> list[tuple[int, BalanceBooked]]:
    return [
        (n, BalanceBooked(ts=n, venue="v", asset="A", total=Decimal(n), previous=Decimal(0), reason="opening"))
        for n in range(first, last + 1)
    ]


@pytest.mark.parametrize("window_s", [0.1, 60.0])
def test_a_straggler_of_an_older_connection_cannot_double_anything(nats_server: NatsServer, window_s: float) -> None:
    """Two publishers that both believe that they are alone: whatever the duplicate window, the stream stays whole."""

    async def race() -> list[int]:
        old, new = (Publisher(nats_server.url, "test", window_s) for _ in range(2))
        assert await old.connect() is Stream.NEW
        assert await new.connect() is Stream.NEW
        await new.publish(batch(1, 10))
        await asyncio.sleep(0.2)
        with contextlib.suppress(NatsError):  # inside the window it is swallowed, outside it is refused
            await old.publish(batch(1, 12))
        await old.close()
        await new.close()
        for _ in range(5):  # the straggler may come between our look at the stream and our message: look again
            again = Publisher(nats_server.url, "test", window_s)
            continues = await again.connect()
            assert isinstance(continues, int)
            with contextlib.suppress(NatsError):
                await again.publish(batch(continues + 1, 15))
            await again.close()
        return (await consume(nats_server.url, stream_name("test"), 15, 10))["in_stream_order"]  # type: ignore[return-value]

    assert asyncio.run(race()) == list(range(1, 16))


def test_the_consumer_is_a_stranger() -> None:
    text = Path(__file__).with_name("consumer.py").read_text()
    assert "tradeserver." not in text
    assert sys.modules["consumer"].__file__ is not None
