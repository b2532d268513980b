"""Where everything lies in a state directory. One daemon owns one; the relay and the command line find it by this."""

from __future__ import annotations

from pathlib import Path


def control(state: Path) -> Path:
    """The daemon's control socket."""
    return state / "control.sock"


def lock(state: Path) -> Path:
    """Held by the daemon while it runs."""
    return state / "daemon.lock"


def kill_latch(state: Path) -> Path:
    """One byte that every process of this instance can set, and that is read before each send."""
    return state / "kill.latch"


def wal(state: Path) -> Path:
    """The directory of the write-ahead log's segments."""
    return state / "wal"


def journals(state: Path) -> Path:
    """One directory a run, of raw inputs."""
    return state / "journal"


def relay_lock(state: Path) -> Path:
    """Held by the relay that delivers."""
    return state / "relay.lock"


def relay_positions(state: Path) -> Path:
    """What the relay has delivered, by sink."""
    return state / "relay.json"


def store_url(state: Path) -> str:
    """The default database."""
    return f"sqlite:///{state.absolute() / 'tradeserver.sqlite'}"
