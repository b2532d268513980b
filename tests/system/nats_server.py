"""A real nats-server on a free loopback port, with the configuration that is shipped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from pathlib import Path

CONFIG = Path(__file__).resolve().parents[2] / "config" / "nats.conf"


def executable() -> str:
    bundled = os.path.join(sysconfig.get_path("scripts"), "nats-server")
    return bundled if os.path.exists(bundled) else shutil.which("nats-server") or "nats-server"


class NatsServer:
    """Start and stop it as often as you like: it keeps its port and its data."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ["-c", str(CONFIG), "-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self._directory)]
        output = (self._directory.parent / "nats.log").open("ab")
        self._process = subprocess.Popen([executable(), *arguments], stdout=output, stderr=output)
        output.close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("nats-server does not listen")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(10)
            self._process = None
