"""Commands over a real NATS server: kill and pause are heard, everything else is refused, the log's stream goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from nats_server import NatsServer
from tradeserver.lab.drill import QUIET, Range
from tradeserver.runtime.wal_read import read
from tradeserver.services import layout
from tradeserver.services.control import ask
from tradeserver.services.nats import stream_name
from tradeserver.services.words import subject

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def site(tmp_path: Path, server: NatsServer) -> Iterator[Range]:
    environ = {**QUIET, "TRADESERVER__NATS__ENABLED": "true", "TRADESERVER__NATS__URL": server.url}
    environ |= {"TRADESERVER__BREAKERS__ONE_SIDED_LIMIT": "0"}
    environ |= {f"TRADESERVER__VENUES__{v}__SETTINGS__PROCESSING_MS": "1000" for v in ("BINANCE", "KUCOIN")}
    with Range(tmp_path / "house", environ, 2.5) as site:
        site.wait_ready()
        wait(lambda: ask(layout.guard(site.state), "ping", 2.0)["nats"])
        yield site


def say(server: NatsServer, *words: bytes) -> None:
    async def main() -> None:
        client = await nats.connect(server.url)
        for word in words:
            await client.publish(subject("demo"), word)
        await client.flush()
        await client.close()

    asyncio.run(main())


def published(server: NatsServer) -> int:
    """The write-ahead log's last sequence in the stream."""

    async def main() -> int:
        client = await nats.connect(server.url)
        js = client.jetstream()
        info = await js.stream_info(stream_name("demo"))
        last = 0
        for at in range(info.state.last_seq, max(0, info.state.last_seq - 50), -1):
            headers = (await js.get_msg(stream_name("demo"), at)).headers or {}
            if "Tradeserver-Sequence" in headers:
                last = int(headers["Tradeserver-Sequence"])
                break
        await client.close()
        return last

    return asyncio.run(main())


def wait(done: Callable[[], object], patience_s: float = 20.0) -> None:
    end = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


def states(site: Range) -> dict[str, Any]:
    return {s["scope"]: s["state"] for s in ask(layout.control(site.state), "status", 2.0)["states"]}


def test_pause_and_kill_are_heard_and_nothing_else(site: Range, server: NatsServer) -> None:
    say(server, b'{"action":"pause","scope":"venue:kucoin"}')
    wait(lambda: states(site) == {"venue:kucoin": "no_new"})
    say(server, b'{"action":"resume","scope":"venue:kucoin"}', b"kill", b'{"action":"clear"}', b"\xff")
    wait(lambda: site.daemon.log.read_text().count('"event":"command_refused"') == 4)
    assert states(site) == {"venue:kucoin": "no_new"}

    site.rest(4)
    say(server, b'{"action":"kill"}')
    wait(lambda: states(site).get("global") == "halted")
    site.wait_halted()
    assert site.open_orders() == []
    report = ask(layout.control(site.state), "killed", 2.0)["report"]
    assert (report["by"], report["proven"], report["found"]) == ("nats", True, 4)

    newest = max(sequence for sequence, _ in read(layout.wal(site.state)))
    wait(lambda: published(server) >= newest)  # the commands lie in the same stream, and the relay goes on behind them
