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


def guard(state: Path) -> Path:
    """The guard's socket."""
    return state / "guard.sock"


def guard_lock(state: Path) -> Path:
    """Held by the guard that watches."""
    return state / "guard.lock"


def stop_file(state: Path) -> Path:
    """While it is there, everything is killed: `touch state/STOP`."""
    return state / "STOP"


def kill_report(state: Path) -> Path:
    """What a kill without the daemon came to, until a daemon has taken it into its log."""
    return state / "kill.json"


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


def summed_up(state: Path) -> Path:
    """The last day whose summary was sent."""
    return state / "summary.day"


def store_url(state: Path) -> str:
    """The default database."""
    return f"sqlite:///{state.absolute() / 'tradeserver.sqlite'}"
