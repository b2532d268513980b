"""The daemon's watch over its guard: there when it answers, away after three silences, its reports taken once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tradeserver.core.records import KillReported
from tradeserver.runtime.supervisor import ChildProcess
from tradeserver.runtime.wal import encode_record
from tradeserver.services import guarding, layout
from tradeserver.services.control import Server
from tradeserver.services.guarding import GuardWatch
from tradeserver.services.logs import Log

REPORT = KillReported(
    ts=2,
    began=1,
    scope="global",
    by="signal",
    prover="guard",
    proven=True,
    found=0,
    cancelled=0,
    gone=0,
    elapsed_ms=1,
    venues=(),
    exposure=(),
)


class Watch:
    """A watch with short periods, and what it told."""

    def __init__(self, state: Path, *, enabled: bool = True) -> None:
        self.told: list[str] = []
        self.reports: list[KillReported] = []
        child = ChildProcess("guard", ["true"], lambda: 0.0) if enabled else None
        self.watch = GuardWatch(state, child, self.told.append, self.reports.append, Log("test"))

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not done():
                await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "PERIOD_S", 0.01)
    monkeypatch.setattr(guarding, "HURRY_S", 0.005)
    monkeypatch.setattr(guarding, "START_S", 0.05)
    monkeypatch.setattr(guarding, "REMIND_S", 0.05)


def play(watch: Watch, story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        task = asyncio.create_task(watch.watch.run())
        try:
            await story()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_a_guard_that_comes_goes_and_comes_back(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    pings: list[int] = []

    def ping() -> dict[str, Any]:
        pings.append(1)
        return {"pid": 7}

    async def story() -> None:
        server = Server(layout.guard(tmp_path), {"ping": ping})
        await server.start()
        await watch.until(lambda: watch.told)
        assert watch.told == [""]
        assert watch.watch.answer == {"pid": 7}
        await server.stop()
        await watch.until(lambda: len(watch.told) == 3)
        assert "nobody listens" in watch.told[1]
        assert watch.told[2] == watch.told[1], "said again while it lasts"
        assert not watch.watch.there
        await server.start()
        await watch.until(lambda: watch.watch.there)
        assert watch.told[-1] == ""
        await server.stop()

    play(watch, story)


def test_the_end_of_its_process_is_told_at_once(tmp_path: Path) -> None:
    watch = Watch(tmp_path)

    async def story() -> None:
        watch.watch.ended("never was there")
        assert watch.told == []
        server = Server(layout.guard(tmp_path), {"ping": lambda: {"pid": 7}})
        await server.start()
        await watch.until(lambda: watch.told)
        watch.watch.ended("guard ended with code -9")
        assert watch.told == ["", "guard ended with code -9"]
        await watch.until(lambda: watch.told[-1] == "")
        await server.stop()

    play(watch, story)


def test_a_guard_that_never_comes_is_told_after_its_time(tmp_path: Path) -> None:
    watch = Watch(tmp_path)

    async def story() -> None:
        await watch.until(lambda: watch.told)
        assert "nobody listens" in watch.told[0]

    play(watch, story)


def test_a_report_is_taken_once(tmp_path: Path) -> None:
    watch = Watch(tmp_path, enabled=False)
    path = layout.kill_report(tmp_path)

    async def story() -> None:
        path.write_bytes(encode_record(REPORT))
        await watch.until(lambda: not path.exists())
        await asyncio.sleep(0.03)

    play(watch, story)
    assert watch.reports == [REPORT]
    assert watch.told == [], "a guard that is switched off is not away"


def test_a_report_that_is_none_is_kept_apart(tmp_path: Path) -> None:
    watch = Watch(tmp_path, enabled=False)
    path = layout.kill_report(tmp_path)
    path.write_bytes(b'{"type":"KillReported","ts":')

    async def story() -> None:
        await watch.until(lambda: not path.exists())

    play(watch, story)
    assert not watch.reports
    assert path.with_suffix(".unreadable").exists()
