"""The operator's door: a unix-domain socket of the daemon, one JSON line in, one JSON line out.

    -> {"verb": "pause", "args": {"scope": "venue:kucoin"}}
    <- {"ok": true, "answer": {...}}            or {"ok": false, "error": "one sentence"}

The server side is a table of handlers; they run on the daemon's loop and must be quick. Whoever may open the socket
(mode 0600: the daemon's user) is the operator. Sizes and times are bounded, so that a stuck client costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.services.faults import ConfigError, Exit, NotRunningError, OperatorError
from tradeserver.services.messages import public

Handler = Callable[..., Any]
"""Takes the request's arguments by keyword; answers plain data, records or Decimals; raises OperatorError to refuse."""

MOST_BYTES: Final = 1 << 20  # an answer (status of many books); requests are far smaller
MOST_REQUEST_BYTES: Final = 1 << 16
PATIENCE_S: Final = 5.0
MOST_CLIENTS: Final = 32
_MOST_PATH: Final = 100  # sun_path holds 108 bytes


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client says."""

    verb: str
    args: dict[str, Any] = {}


class Server:
    """Listens from `start` to `stop`. An unexpected exception of a handler goes to `on_fault` and is our fault."""

    def __init__(
        self, path: Path, handlers: Mapping[str, Handler], on_fault: Callable[[BaseException], None] | None = None
    ) -> None:
        self.path = path
        self.handlers = handlers
        self._on_fault = on_fault
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises ConfigError: another daemon listens here, or the directory cannot be written."""
        if _answers(self.path):
            raise ConfigError(f"another daemon is listening on {self.path}")
        try:
            self.path.unlink(missing_ok=True)  # left by a process that was killed
            with _reachable(self.path) as path:
                old = os.umask(0o177)  # the socket is born with mode 0600, not changed to it afterwards
                try:
                    self._server = await asyncio.start_unix_server(self._serve, path, limit=MOST_REQUEST_BYTES)
                finally:
                    os.umask(old)
        except OSError as error:
            raise ConfigError(f"the control socket {self.path} cannot be made: {error.strerror or error}") from None

    async def stop(self) -> None:
        """Stop listening, drop clients, remove the socket."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for task in list(self._clients):
            task.cancel()
        if self._clients:
            await asyncio.wait(list(self._clients), timeout=1)
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) > MOST_CLIENTS:
                return
            async with asyncio.timeout(PATIENCE_S):
                writer.write(self._answer(await reader.readline()))
                await writer.drain()
        except (TimeoutError, ValueError, OSError, asyncio.CancelledError):
            pass  # a slow, a long-winded or a vanished client; ValueError is readline's word for "over the limit"
        finally:
            self._clients.discard(task)
            writer.close()

    def _answer(self, line: bytes) -> bytes:
        try:
            request = msgspec.json.decode(line, type=Request)
        except msgspec.MsgspecError as error:
            return _line({"ok": False, "error": f"not a request: {error}"})
        handler = self.handlers.get(request.verb)
        if handler is None:
            known = ", ".join(sorted(self.handlers))
            return _line({"ok": False, "error": f"unknown verb {request.verb!r}; known: {known}"})
        try:
            return _line({"ok": True, "answer": public(handler(**request.args))})
        except OperatorError as error:
            return _line({"ok": False, "error": str(error), "code": int(error.exit_code)})
        except Exception as error:
            if self._on_fault is not None:
                self._on_fault(error)
            return _line({"ok": False, "error": f"{request.verb} failed: {type(error).__name__}: {error}"})


def ask(path: Path, verb: str, timeout_s: float = PATIENCE_S, **args: Any) -> Any:
    """One request to the daemon behind `path`; blocks. Returns its answer.

    Raises NotRunningError (nobody listens), OperatorError (the daemon refused, or is frozen and did not answer).
    """
    try:
        data = _exchange(path, _line({"verb": verb, "args": args}), timeout_s)
    except TimeoutError:
        raise OperatorError(f"the daemon behind {path} did not answer within {timeout_s:g} s") from None
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise NotRunningError(f"no daemon is running: nobody listens on {path}") from None
    except OSError as error:
        raise OperatorError(f"the control socket {path} cannot be used: {error.strerror or error}") from None
    return _answer_of(path, data)


async def asked(path: Path, verb: str, timeout_s: float = PATIENCE_S, **args: Any) -> Any:
    """The same from inside a loop, which it does not hold up."""
    try:
        async with asyncio.timeout(timeout_s):
            with _reachable(path) as name:
                reader, writer = await asyncio.open_unix_connection(name, limit=MOST_BYTES)
            try:
                writer.write(_line({"verb": verb, "args": args}))
                data = await reader.readline()
            finally:
                writer.close()
    except TimeoutError:
        raise OperatorError(f"nobody behind {path} answered within {timeout_s:g} s") from None
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise NotRunningError(f"nobody listens on {path}") from None
    except (OSError, ValueError) as error:
        raise OperatorError(f"the socket {path} cannot be used: {error}") from None
    return _answer_of(path, data)


def _answer_of(path: Path, data: bytes) -> Any:
    try:
        answer = msgspec.json.decode(data)
    except msgspec.DecodeError:
        raise OperatorError(f"the daemon behind {path} closed without an answer") from None
    if answer.get("ok"):
        return answer["answer"]
    refusal = OperatorError(str(answer.get("error")))
    refusal.exit_code = Exit(answer.get("code", Exit.ERROR))
    raise refusal


def _exchange(path: Path, request: bytes, timeout_s: float) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client, _reachable(path) as name:
        client.settimeout(timeout_s)
        client.connect(name)
        client.sendall(request)
        parts = bytearray()
        while not parts.endswith(b"\n") and len(parts) <= MOST_BYTES:
            part = client.recv(65536)
            if not part:
                break
            parts += part
        return bytes(parts)


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client, _reachable(path) as name:
            client.settimeout(1)
            client.connect(name)
            return True
    except OSError:
        return False


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A name for `path` that fits into a socket address: long ones go through their directory's descriptor (Linux)."""
    if len(os.fsencode(path)) <= _MOST_PATH:
        yield str(path)
        return
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"
