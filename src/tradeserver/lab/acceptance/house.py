"""A house for one check: NATS, a simulator of a given configuration, a daemon that can be killed and restarted."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tradeserver.core.records import Record
from tradeserver.lab.processes import Child, Simulator, free_port, start_daemon, start_nats, write_config
from tradeserver.runtime.wal_read import read
from tradeserver.services import layout
from tradeserver.services.control import ask
from tradeserver.services.faults import OperatorError

UNBROKEN = """\
[breakers]
one_sided_limit = 0
crash_limit = 0
"""
"""Where things go wrong on purpose and trading shall go on all the same."""


class CheckFailedError(Exception):
    """What should have been seen was not; the message says what was."""


def require(condition: object, message: str) -> None:
    """Raises CheckFailedError with `message` where the condition does not hold."""
    if not condition:
        raise CheckFailedError(message)


class House:
    """Made by `house`. `daemon` is the present daemon process."""

    def __init__(self, folder: Path, simulator: Simulator, nats: Child, nats_port: int, config: Path) -> None:
        self.folder = folder
        self.simulator = simulator
        self.nats = nats
        self.nats_port = nats_port
        self.config = config
        self.daemon: Child | None = None

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def start(self) -> Child:
        self.daemon = start_daemon(self.folder, self.config)
        return self.daemon

    def stop(self, patience_s: float = 30.0) -> int:
        """SIGTERM; the exit code."""
        assert self.daemon is not None
        return self.daemon.stop(patience_s)

    def interrupt(self) -> None:
        assert self.daemon is not None
        self.daemon.process.send_signal(signal.SIGINT)

    def ask(self, verb: str, **args: Any) -> Any:
        return ask(layout.control(self.state), verb, timeout_s=5.0, **args)

    def status(self) -> dict[str, Any]:
        """{} while nobody answers."""
        try:
            answer: dict[str, Any] = self.ask("status")
        except OperatorError:
            return {}
        return answer

    def wait(self, what: str, done: Callable[[dict[str, Any]], object], patience_s: float = 30.0) -> dict[str, Any]:
        """Until the status says so. Raises CheckFailedError, with the end of the daemon's output."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            status = self.status()
            if status and done(status):
                return status
            if self.daemon is not None and not self.daemon.running:
                raise CheckFailedError(f"the daemon ended while waiting for: {what}\n{self.daemon.tail()}")
            time.sleep(0.02)
        tail = self.daemon.tail(5) if self.daemon is not None else ""
        raise CheckFailedError(f"not within {patience_s:g} s: {what}\n{tail}")

    def wait_ready(self, patience_s: float = 45.0) -> dict[str, Any]:
        return self.wait("both venues ready", lambda s: all(v["phase"] == "ready" for v in s["venues"]), patience_s)

    def records(self) -> list[Record]:
        """The whole log."""
        return [record for _, record in read(layout.wal(self.state))]


def lively_market(folder: Path, spot_30s: int = 4000) -> Path:
    """The sample simulator's market with lower fees and more shocks: some arbitrages a second. Needs a checkout.

    `spot_30s` is KuCoin's quota of private requests, orders among them.
    """
    text = Path("config/simulator.toml").read_text("utf-8")
    for old, new in (
        ("shocks_per_minute = 12.0", "shocks_per_minute = 40.0"),
        ("= 0.001", "= 0.0004"),
        ("[venues.kucoin]\n", f"[venues.kucoin]\nlimits = {{ spot_30s = {spot_30s} }}\n"),
    ):
        require(old in text, f"config/simulator.toml does not say {old!r} any more")
        text = text.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "simulator.toml"
    path.write_text(text, "utf-8")
    return path


@contextmanager
def house(folder: Path, words: Sequence[str] = (), **config: Any) -> Iterator[House]:
    """Everything but the daemon, which the check starts; everything is gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    nats_port = free_port()
    nats = start_nats(folder, nats_port)
    simulator = None
    made = None
    try:
        simulator = Simulator(folder, words)
        path = write_config(folder, simulator.urls, nats_port, **config)
        made = House(folder, simulator, nats, nats_port, path)
        yield made
    finally:
        if made is not None and made.daemon is not None and made.daemon.running:
            made.daemon.stop()
        if simulator is not None:
            simulator.child.stop()
        (made.nats if made is not None else nats).stop()  # the check may have restarted it
