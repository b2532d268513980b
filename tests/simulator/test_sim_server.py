"""The simulator on loopback sockets: what goes through, what faults do to it, the control API, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal

import aiohttp
import msgspec
import pytest

from tradeserver.simulator.config import PlaybackConfig, RecordingConfig, SimConfig, SimConfigError, default_config
from tradeserver.simulator.server import Server, serve
from tradeserver.simulator.types import Symbol

STREAM = "/ws/xrpusdt@bookTicker"


def config(**changes) -> SimConfig:
    whole = default_config()
    return msgspec.structs.replace(whole, venues={"binance": whole.venues["binance"]}, **changes)


@contextlib.asynccontextmanager
async def running(settings: SimConfig) -> AsyncIterator[tuple[Server, aiohttp.ClientSession]]:
    server = await serve(settings)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            yield server, session
    finally:
        await server.stop()


def with_simulator(test: Callable[[Server, aiohttp.ClientSession], Awaitable[None]], **changes) -> None:
    async def main() -> None:
        async with running(config(**changes)) as (server, session):
            await asyncio.wait_for(test(server, session), 20)

    asyncio.run(main())


async def get(server: Server, session: aiohttp.ClientSession, path: str) -> dict:
    async with session.get(server.urls["binance"]["rest"] + path) as answer:
        return await answer.json()


async def control(server: Server, session: aiohttp.ClientSession, path: str, body=None) -> tuple[int, dict]:
    method = "GET" if body is None else "POST"
    data = body if body is None or isinstance(body, str) else json.dumps(body)
    async with session.request(method, server.urls["control"] + path, data=data) as answer:
        return answer.status, await answer.json()


def test_rest_streams_and_state():
    async def test(server, session):
        book = await get(server, session, "/api/v3/depth?symbol=BTCUSDT&limit=5")
        assert len(book["bids"]) == len(book["asks"]) == 5
        async with session.ws_connect(server.urls["binance"]["stream"] + STREAM) as stream:
            first = json.loads((await stream.receive(timeout=5)).data)
            assert first["s"] == "XRPUSDT"
            _, state = await control(server, session, "/state")
            assert state["connections"] == {"binance": {"market": 1}}
            assert state["requests"] == {"binance": {"GET /api/v3/depth": 1, f"WS {STREAM}": 1}}
            main = state["venues"]["binance"]["accounts"]["main"]
            assert main["balances"]["USDT"] == {"free": "1000000", "locked": "0", "total": "1000000"}
            assert (main["keys"], main["open_orders"], main["fills"]) == (["SIMbinance"], [], 0)
        while server.connections()["binance"]:
            await asyncio.sleep(0.005)
        url = server.urls["binance"]["rest"] + "/api/v3/account"
        async with session.get(url, headers={"X-MBX-APIKEY": "SIMbinance"}):
            assert server.requests()["binance"]["with a key"] == 1

    with_simulator(test)


def test_faults_on_http():
    async def test(server, session):
        await control(server, session, "/fault", "drop binance.rest first=1")
        with pytest.raises(aiohttp.ClientError):
            async with session.post(server.urls["binance"]["rest"] + "/api/v3/ping"):
                pass
        assert await get(server, session, "/api/v3/ping") == {}
        await control(server, session, "/fault", {"fault": "delay binance.rest 120ms"})
        begin = time.monotonic()
        await get(server, session, "/api/v3/ping")
        assert time.monotonic() - begin >= 0.12
        _, state = await control(server, session, "/state")
        assert [fault["hits"] for fault in state["faults"]] == [1, 1]
        assert await control(server, session, "/fault/clear", {}) == (200, {})
        _, state = await control(server, session, "/state")
        assert state["faults"] == []

    with_simulator(test)


def test_faults_on_streams():
    async def test(server, session):
        async with session.ws_connect(server.urls["binance"]["stream"] + STREAM) as stream:
            frames = [(await stream.receive(timeout=5)).data for _ in range(4)]
            assert all(frames[i] == frames[i + 1] for i in (0, 2))  # duplicated
            await control(server, session, "/fault/clear", {})
            await control(server, session, "/fault", "stall binance.market 300ms")
            begin = time.monotonic()
            with contextlib.suppress(asyncio.TimeoutError):
                while True:  # what was on its way before the stall
                    await stream.receive(timeout=0.1)
            first = await stream.receive(timeout=5)
            assert time.monotonic() - begin >= 0.29
            assert first.type is aiohttp.WSMsgType.TEXT
            await control(server, session, "/fault", "disconnect binance.market")
            while (await stream.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert stream.close_code == 1006  # no goodbye

    with_simulator(test, faults=("duplicate binance.market",))


def test_the_operators_hand():
    async def test(server, session):
        body = {"venue": "binance", "account": "main", "asset": "USDT", "free": "12.50"}
        _, answer = await control(server, session, "/balance", body)
        assert answer["balances"]["USDT"] == {"free": "12.5", "locked": "0", "total": "12.5"}
        await control(server, session, "/clock", {"fixed_ms": 1_499_827_319_559})
        assert await get(server, session, "/api/v3/time") == {"serverTime": 1_499_827_319_559}
        await control(server, session, "/clock", {"offset_ms": -3_600_000})
        behind_ms = time.time_ns() // 1_000_000 - (await get(server, session, "/api/v3/time"))["serverTime"]
        assert 3_599_000 < behind_ms < 3_601_000
        await control(server, session, "/status", {"venue": "binance", "symbol": "XRP/USDT", "status": "halted"})
        info = await get(server, session, "/api/v3/exchangeInfo?symbol=XRPUSDT")
        assert info["symbols"][0]["status"] in ("HALT", "BREAK")
        wrong = [
            ("/balance", body | {"free": "-1"}),
            ("/balance", body | {"account": "nobody"}),
            ("/clock", {}),
            ("/status", {"venue": "binance", "symbol": "XRP/USDT", "status": "sleepy"}),
            ("/fault", "explode binance"),
            ("/fault", "{"),
        ]
        for path, bad in wrong:
            status, answer = await control(server, session, path, bad)
            assert status == 400, (path, bad)
            assert answer["error"]
        assert (await control(server, session, "/stop", {}))[0] == 200
        await asyncio.wait_for(server.wait(), 2)

    with_simulator(test)


def test_a_recording_reaches_its_client_whole_and_in_order(shared_data):
    """As fast as it goes: every frame of the capture, with its stamps moved and nothing else changed."""
    file = shared_data / "recordings" / "binance_spot_4symbols_2021-10-12.jsonl.gz"
    natives = ["NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"]
    tick = Decimal("1e-8")
    symbols = tuple(Symbol(name=f"{n}/X", native=n, base=n, quote="X", tick=tick, lot=tick) for n in natives)
    with gzip.open(file) as lines:
        recorded = [row["frame"] for row in map(json.loads, lines) if row["kind"] == "ws"]

    async def main() -> None:
        whole = default_config()
        venue = msgspec.structs.replace(
            whole.venues["binance"], symbols=symbols, recording=RecordingConfig(file=str(file), dialect="binance")
        )
        played = PlaybackConfig(speed=0, lead_ms=20)
        async with running(SimConfig(venues={"binance": venue}, playback=played)) as (server, session):
            names = "/".join({frame["stream"] for frame in recorded})
            async with session.ws_connect(f"{server.urls['binance']['stream']}/stream?streams={names}") as stream:
                for expected in recorded:
                    got = json.loads((await stream.receive(timeout=5)).data)
                    assert without_stamps(got) == without_stamps(expected)
            _, state = await control(server, session, "/state")
            assert [(feed["finished"], feed["frames"]) for feed in state["playback"]] == [(True, 269)]

    asyncio.run(main())


def without_stamps(frame: dict) -> dict:
    return frame | {"data": {key: value for key, value in frame["data"].items() if key not in ("E", "T", "k")}}


def test_a_port_in_use_is_one_sentence():
    async def test(server, session):
        port = int(server.urls["binance"]["rest"].rsplit(":", 1)[1])
        venue = msgspec.structs.replace(server.config.venues["binance"], port=port)
        with pytest.raises(SimConfigError, match=rf"cannot listen on 127.0.0.1:{port}: Address already in use"):
            await serve(SimConfig(venues={"binance": venue}))

    with_simulator(test)


PROGRAM = """
import sys
from tradeserver.simulator.config import default_config
from tradeserver.simulator.server import run
sys.exit(run(default_config()))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_says_when_it_is_ready_and_ends_when_told(number):
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            assert ready["ready"] is True
            assert set(ready) == {"ready", "binance", "kucoin", "control"}
            process.send_signal(number)
            out, err = process.communicate(timeout=10)
            assert (process.returncode, out, err) == (0, b"", b"")
        finally:
            process.kill()
