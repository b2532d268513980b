"""Who is asked in which order, and that nobody is believed without a proof."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tradeserver.runtime.latch import FileLatch
from tradeserver.services import kill_client, layout
from tradeserver.services.control import Server
from tradeserver.services.faults import NotRunningError

PROOF = {"proven": True, "found": 1}
NO_PROOF = {"proven": False, "found": 1}


class Door:
    """Somebody behind a socket: `answers` to `killed`, one after the other; the last one stays."""

    def __init__(self, *answers: tuple[bool, dict[str, Any] | None]) -> None:
        self.answers = list(answers)
        self.kills: list[dict[str, Any]] = []

    def kill(self, **args: Any) -> dict[str, Any]:
        self.kills.append(args)
        return {"under_way": True, "report": None}

    def killed(self) -> dict[str, Any]:
        under_way, report = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return {"under_way": under_way, "report": report}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Path, Door], None]]:
    """Doors in a thread of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers: list[Server] = []

    def start(path: Path, door: Door) -> None:
        server = Server(path, {"kill": door.kill, "killed": door.killed})
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(5)
        servers.append(server)

    yield start
    for server in servers:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_the_daemon_first(tmp_path: Path, serve: Callable[[Path, Door], None]) -> None:
    daemon, guard = Door((True, None), (True, NO_PROOF), (False, PROOF)), Door((False, PROOF))
    serve(layout.control(tmp_path), daemon)
    serve(layout.guard(tmp_path), guard)
    outcome = kill_client.kill(tmp_path, False, 5)
    assert (outcome.proven, outcome.by, outcome.report, outcome.notes) == (True, "daemon", PROOF, [])
    assert daemon.kills == [{"hedge": False}]
    assert guard.kills == []
    assert FileLatch(layout.kill_latch(tmp_path)).set


def test_then_the_guard(tmp_path: Path, serve: Callable[[Path, Door], None]) -> None:
    serve(layout.guard(tmp_path), Door((False, PROOF)))
    outcome = kill_client.kill(tmp_path, False, 5)
    assert (outcome.proven, outcome.by, outcome.notes) == (True, "guard", ["no daemon is running"])


def test_a_daemon_that_gives_up_without_a_proof_is_not_believed(
    tmp_path: Path, serve: Callable[[Path, Door], None]
) -> None:
    serve(layout.control(tmp_path), Door((False, NO_PROOF)))
    guard = Door((False, PROOF))
    serve(layout.guard(tmp_path), guard)
    outcome = kill_client.kill(tmp_path, False, 5)
    assert (outcome.proven, outcome.by) == (True, "guard")


def test_a_daemon_that_takes_it_and_falls_silent(tmp_path: Path, serve: Callable[[Path, Door], None]) -> None:
    class Silent(Door):
        def killed(self) -> dict[str, Any]:
            raise OSError("frozen")  # the answer is an error: as good as none

    serve(layout.control(tmp_path), Silent())
    serve(layout.guard(tmp_path), Door((False, PROOF)))
    outcome = kill_client.kill(tmp_path, False, 5)
    assert (outcome.by, outcome.notes) == ("guard", ["the daemon took the kill and fell silent"])


def test_the_time_is_over(tmp_path: Path, serve: Callable[[Path, Door], None]) -> None:
    serve(layout.control(tmp_path), Door((True, NO_PROOF)))
    guard = Door((False, PROOF))
    serve(layout.guard(tmp_path), guard)
    outcome = kill_client.kill(tmp_path, False, 0.1)
    assert (outcome.proven, outcome.by, outcome.notes) == (False, "daemon", ["the daemon is still at it"])
    assert guard.kills == [], "two at it would only fetch a 429"


def test_nobody_is_there(tmp_path: Path) -> None:
    outcome = kill_client.kill(tmp_path, False, 1)
    assert (outcome.proven, outcome.by, outcome.latched) == (False, "", True)
    assert outcome.notes == ["no daemon is running", "no guard is running"]
    here = kill_client.kill(tmp_path, False, 1, lambda seconds: {"under_way": False, "report": PROOF})
    assert (here.proven, here.by) == (True, "here")


def test_an_old_proof_of_a_kill_that_is_under_way_again_is_none(
    tmp_path: Path, serve: Callable[[Path, Door], None]
) -> None:
    serve(layout.control(tmp_path), Door((True, PROOF)))
    assert not kill_client.kill(tmp_path, False, 0.1).proven


def test_no_state_directory_is_made(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="no state directory"):
        kill_client.kill(tmp_path / "elsewhere", False, 1)
    assert not (tmp_path / "elsewhere").exists()
