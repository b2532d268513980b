"""The control socket: one line in, one line out; bounded, private, and clear when nobody is there."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tradeserver.services import control
from tradeserver.services.control import Server, ask
from tradeserver.services.faults import ConfigError, NotFoundError, NotRunningError, OperatorError


def refuse() -> None:
    raise NotFoundError("there is no such latch")


def broken() -> None:
    raise ZeroDivisionError("oh")


HANDLERS: dict[str, Callable[..., Any]] = {
    "status": lambda: {"edge": Decimal("1E-7"), "ts_ns": 1},
    "pause": lambda scope: {"paused": scope},
    "refuse": refuse,
    "broken": broken,
}


def with_server(path: Path, test: Callable[[], Any], faults: list[BaseException] | None = None) -> Any:
    """Run `test` in a thread beside a server."""

    async def main() -> Any:
        server = Server(path, HANDLERS, (faults if faults is not None else []).append)
        await server.start()
        try:
            return await asyncio.to_thread(test)
        finally:
            await server.stop()

    return asyncio.run(main())


def test_question_and_answer(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    def test() -> tuple[Any, Any, int]:
        return ask(path, "status"), ask(path, "pause", scope="venue:kucoin"), stat.S_IMODE(path.stat().st_mode)

    assert with_server(path, test) == ({"edge": "0.0000001", "ts_ns": 1}, {"paused": "venue:kucoin"}, 0o600)
    assert not path.exists()


def test_a_path_longer_than_a_socket_address(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    assert with_server(deep / "control.sock", lambda: ask(deep / "control.sock", "pause", scope="x")) == {"paused": "x"}


def test_refusals_keep_their_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "c"

    def test() -> None:
        with pytest.raises(OperatorError, match="there is no such latch") as caught:
            ask(path, "refuse")
        assert caught.value.exit_code == 4
        with pytest.raises(OperatorError, match="unknown verb 'dance'; known: broken, pause, refuse, status"):
            ask(path, "dance")

    with_server(path, test)


def test_our_own_fault_is_told_to_the_daemon(tmp_path: Path) -> None:
    path, faults = tmp_path / "c", list[BaseException]()

    def test() -> None:
        with pytest.raises(OperatorError, match="ZeroDivisionError"):
            ask(path, "broken")

    with_server(path, test, faults)
    assert [type(fault) for fault in faults] == [ZeroDivisionError]


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError) as caught:
        ask(tmp_path / "nothing", "status")
    assert caught.value.exit_code == 3
    with pytest.raises(NotRunningError):
        ask(tmp_path / "no" / "directory", "status")


def test_a_socket_left_by_a_killed_daemon_is_no_daemon_and_is_replaced(tmp_path: Path) -> None:
    import socket

    path = tmp_path / "c"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert path.exists()
    with pytest.raises(NotRunningError):
        ask(path, "status")
    assert with_server(path, lambda: ask(path, "pause", scope="x")) == {"paused": "x"}


def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"

    def test() -> None:
        with pytest.raises(ConfigError, match="another daemon"):
            asyncio.run(Server(path, {}).start())
        assert ask(path, "pause", scope="x") == {"paused": "x"}, "the first one is unharmed"

    with_server(path, test)


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be made"):
        asyncio.run(Server(tmp_path / "missing" / "c", {}).start())


@pytest.mark.parametrize("line", [b"not json\n", b"[]\n", b'{"verb": 1}\n', b'{"verb": "status", "more": 1}\n', b"\n"])
def test_a_line_that_is_no_request(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "c"
    answer = json.loads(with_server(path, lambda: control._exchange(path, line, 5)))
    assert answer["ok"] is False
    assert "not a request" in answer["error"]


def test_a_request_without_end_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "c"

    def test() -> bytes:
        try:
            return control._exchange(path, b"x" * (control.MOST_REQUEST_BYTES * 4), 5)
        except OSError:
            return b""

    assert with_server(path, test) == b""


def test_a_frozen_daemon_is_not_waited_for(tmp_path: Path) -> None:
    import socket

    path = tmp_path / "c"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        with pytest.raises(OperatorError, match=r"did not answer within 0\.05 s") as caught:
            ask(path, "status", timeout_s=0.05)
        assert caught.value.exit_code == 1
