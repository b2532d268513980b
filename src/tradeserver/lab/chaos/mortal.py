"""A daemon that kills itself at one of the boundaries: the product's own `app.run`, with three of its ports wrapped.

    python -m tradeserver.lab.chaos.mortal POINT COUNT CONFIG

The log, the transport and the engine that `app` composes are replaced by subclasses that tell a `Boundary` what
passes; at the wanted passing the process sends itself SIGKILL. Nothing in the product knows of this.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tradeserver import app
from tradeserver.app import daemon, wiring
from tradeserver.core.commands import Command
from tradeserver.core.engine import Engine
from tradeserver.core.events import Event
from tradeserver.core.records import Record
from tradeserver.lab.chaos.boundaries import Boundary
from tradeserver.runtime.wal import FileWal
from tradeserver.services.faults import OperatorError
from tradeserver.sessions.sockets import SocketTransport
from tradeserver.venues.base import HttpRequest


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # until the kernel has done so


def main(words: Sequence[str]) -> int:
    """The program. Its exit code, if it lives to have one."""
    point, count, config = words
    boundary = Boundary(point, int(count), _die)

    class MortalWal(FileWal):
        def write(self, payloads: Sequence[bytes]) -> bool:
            boundary.writing(payloads)
            kept = super().write(payloads)
            boundary.written(payloads)
            return kept

    class MortalTransport(SocketTransport):
        def send(self, channel: str, data: bytes) -> bool:
            taken = super().send(channel, data)
            if taken:
                boundary.sent(data)
            return taken

        def request(self, request: HttpRequest) -> None:
            super().request(request)
            boundary.requested(request.label)

    class MortalEngine(Engine):
        def step(self, event: Event) -> tuple[list[Record], list[Command]]:
            made = super().step(event)
            boundary.stepped(event)
            return made

    parts = (
        (daemon, "FileWal", MortalWal),
        (daemon, "SocketTransport", MortalTransport),
        (wiring, "Engine", MortalEngine),
    )
    for module, name, mortal in parts:
        setattr(module, name, mortal)  # what `app` composes from
    try:
        return app.run(Path(config))
    except OperatorError as error:
        sys.stderr.write(f"tradeserver: {error}\n")
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
