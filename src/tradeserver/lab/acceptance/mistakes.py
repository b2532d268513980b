"""Bad input: one clear sentence on standard error, the right exit code, nothing half-started.

Each mistake is a real process with a real fault around it: a file in the way, a port that is taken, a venue that says
HTML or nothing. `Mistake.says` are words that the sentence must have: it names the thing, not only that there is one.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tradeserver.lab.acceptance.house import House, require
from tradeserver.lab.demo import leftover_processes
from tradeserver.lab.processes import Child, Simulator, free_port, start_daemon, start_nats, tradeserver, write_config
from tradeserver.runtime.wal_files import list_segments
from tradeserver.services import layout
from tradeserver.services.control import ask
from tradeserver.services.faults import Exit, OperatorError

STARTUP_S = 2  # how long the daemon waits for a venue's rules in these checks; 20 by default
PATIENCE_S = 40.0


@dataclass(frozen=True)
class Seen:
    """How one process ended."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Site:
    """A fresh folder with a good configuration for the simulator in it; a mistake spoils some of it."""

    folder: Path
    urls: Mapping[str, Any]
    stack: ExitStack
    more: str = f"startup_timeout_s = {STARTUP_S}\n"
    symbols: Sequence[str] = ("BTC/USDT",)
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def config(self) -> Path:
        """The daemon's TOML; nobody listens where it looks for NATS."""
        path = write_config(self.folder, self.urls, free_port(), symbols=self.symbols)
        path.write_text(self.more + path.read_text("utf-8"), "utf-8")
        return path

    def edit(self, old: str, new: str) -> list[str]:
        """`run` of the configuration with a change in its text."""
        path = self.config()
        text = path.read_text("utf-8")
        assert old in text, old
        path.write_text(text.replace(old, new), "utf-8")
        return tradeserver("run", str(path))


Spoil = Callable[[Site], list[str]]
"""Spoils the site and answers the command to run."""


@dataclass(frozen=True)
class Mistake:
    """`name` for people, how it is made, what must come of it."""

    name: str
    spoil: Spoil
    code: Exit | int
    says: tuple[str, ...]


# ---- how each is made -----------------------------------------------------------------------------------------------


def _unknown_key(site: Site) -> list[str]:
    return site.edit("[instance]", "[risk]\nmax_open_ordres = 3\n[instance]")


def _wrong_type(site: Site) -> list[str]:
    return site.edit("[instance]", '[risk]\nmax_open_orders = "many"\n[instance]')


def _no_file(site: Site) -> list[str]:
    return tradeserver("run", str(site.folder / "nowhere.toml"))


def _missing_secret_file(site: Site) -> list[str]:
    path = site.config()
    (site.folder / "kucoin.secret").unlink()
    return tradeserver("run", str(path))


def _missing_secret_variable(site: Site) -> list[str]:
    return site.edit(f'"file:{site.folder}/binance.secret"', '"env:TRADESERVER_NOT_SET"')


def _simulator_port_in_use(site: Site) -> list[str]:
    taken = site.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    text = Path("config/simulator.toml").read_text("utf-8")
    path = site.folder / "simulator.toml"
    path.write_text(text.replace("control_port = 0", f"control_port = {taken.getsockname()[1]}"), "utf-8")
    return tradeserver("simulate", str(path))


def _state_is_a_file(site: Site) -> list[str]:
    command = tradeserver("run", str(site.config()))
    site.state.write_text("not a directory")
    return command


def _state_cannot_be_made(site: Site) -> list[str]:
    return site.edit(f'"{site.state}"', '"/proc/tradeserver"')


def _log_is_in_the_way(site: Site) -> list[str]:
    command = tradeserver("run", str(site.config()))
    layout.wal(site.state).parent.mkdir(parents=True)
    layout.wal(site.state).write_text("not a directory")
    return command


def _control_socket_in_the_way(site: Site) -> list[str]:
    command = tradeserver("run", str(site.config()))
    layout.control(site.state).mkdir(parents=True)
    return command


def _second_daemon(site: Site) -> list[str]:
    path = site.config()
    site.stack.callback(_running(site, path).stop)
    return tradeserver("run", str(path))


def _damaged_log(site: Site) -> list[str]:
    """A flipped byte in the middle of what was synced, after a good run."""
    path = site.config()
    _running(site, path).stop()
    newest = list_segments(layout.wal(site.state))[-1]
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 0xFF
    newest.write_bytes(data)
    return tradeserver("run", str(path))


def _running(site: Site, path: Path) -> Child:
    """A good daemon, up with its relay."""
    daemon = start_daemon(site.folder, path)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            if ask(layout.control(site.state), "status")["relay_up"]:
                return daemon
        except OperatorError:
            daemon.require_running()
        time.sleep(0.02)
    daemon.stop()
    raise OperatorError(f"a good daemon did not start:\n{daemon.tail()}")


def _unknown_symbol(site: Site) -> list[str]:
    site.symbols = ("BTC/USDT", "NOSUCH/USDT")
    return tradeserver("run", str(site.config()))


def _answers_html(site: Site) -> list[str]:
    origin = site.stack.enter_context(html_server(200))
    return site.edit(site.urls["kucoin"]["rest"], f"http://{origin}")


def _answers_html_503(site: Site) -> list[str]:
    origin = site.stack.enter_context(html_server(503))
    return site.edit(site.urls["binance"]["rest"], f"http://{origin}")


def _never_answers(site: Site) -> list[str]:
    silent = site.stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
    return site.edit(site.urls["binance"]["rest"], f"http://127.0.0.1:{silent.getsockname()[1]}")


def _nobody_listens(site: Site) -> list[str]:
    return site.edit(site.urls["kucoin"]["rest"], f"http://127.0.0.1:{free_port()}")


def _secret_is_no_key(site: Site) -> list[str]:
    path = site.config()
    (site.folder / "binance.secret").write_text("-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n")
    return tradeserver("run", str(path))


def _no_simulator_key(site: Site) -> list[str]:
    path = site.config()
    (site.folder / "binance.key").write_text("a-real-key")
    return tradeserver("run", str(path))


def _no_verb(site: Site) -> list[str]:
    return tradeserver("trade")


def _nobody_to_ask(site: Site) -> list[str]:
    return tradeserver("status", "--state", str(site.folder))


def _no_database(site: Site) -> list[str]:
    return tradeserver("orders", "--state", str(site.folder))


MISTAKES: Sequence[Mistake] = (
    Mistake("unknown key", _unknown_key, Exit.CONFIG, ("max_open_ordres", "did you mean 'max_open_orders'")),
    Mistake("wrong type", _wrong_type, Exit.CONFIG, ("risk.max_open_orders", "a whole number", "'many'")),
    Mistake("no such file", _no_file, Exit.CONFIG, ("nowhere.toml",)),
    Mistake("missing secret file", _missing_secret_file, Exit.CONFIG, ("venues.kucoin.secret",)),
    Mistake("missing secret variable", _missing_secret_variable, Exit.CONFIG, ("venues.binance.secret", "NOT_SET")),
    Mistake("a key that is no simulator's", _no_simulator_key, Exit.CONFIG, ("SIM", "binance")),
    Mistake("a secret that is no key", _secret_is_no_key, Exit.CONFIG, ("binance", "PEM")),
    Mistake("simulator's port in use", _simulator_port_in_use, Exit.CONFIG, ("cannot listen on 127.0.0.1:",)),
    Mistake("state directory is a file", _state_is_a_file, Exit.CONFIG, ("the state directory", "/state")),
    Mistake("state directory cannot be made", _state_cannot_be_made, Exit.CONFIG, ("/proc/tradeserver",)),
    Mistake("a file where the log belongs", _log_is_in_the_way, Exit.CONFIG, ("write-ahead log",)),
    Mistake("a directory as control socket", _control_socket_in_the_way, Exit.CONFIG, ("control socket",)),
    Mistake("second daemon", _second_daemon, Exit.CONFIG, ("another daemon",)),
    Mistake("damaged log", _damaged_log, Exit.CONFIG, ("the write-ahead log", "is damaged", "a copy is kept")),
    Mistake("unknown symbol", _unknown_symbol, Exit.CONFIG, ("NOSUCH/USDT", "symbols")),
    Mistake("HTML, 200", _answers_html, Exit.ERROR, ("kucoin gave no trading rules", "venues.kucoin.settings")),
    Mistake("HTML, 503", _answers_html_503, Exit.ERROR, ("binance gave no trading rules", "503")),
    Mistake("never answers", _never_answers, Exit.ERROR, ("binance gave no trading rules", "nothing came back")),
    Mistake("nobody listens", _nobody_listens, Exit.ERROR, ("kucoin gave no trading rules", "Cannot connect")),
    Mistake("no such verb", _no_verb, Exit.USAGE, ("trade",)),
    Mistake("nobody to ask", _nobody_to_ask, Exit.NOT_RUNNING, ("no daemon is running",)),
    Mistake("no database", _no_database, Exit.NOT_FOUND, ("database",)),
)


@contextmanager
def html_server(status: int) -> Iterator[str]:
    """A venue's front page instead of its API; answers its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class asks for this name
            body = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking</body></html>"
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # whoever asked is gone already
                self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


# ---- the judgement --------------------------------------------------------------------------------------------------


def make(mistake: Mistake, folder: Path, urls: Mapping[str, Any]) -> Seen:
    """Make it, in a folder of its own; how the process ended. What the process left behind is judged here too."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        site = Site(folder, urls, stack)
        command = mistake.spoil(site)
        before = set(leftover_processes(folder))
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, env={**os.environ, **site.environ}
        )
        left = set(leftover_processes(folder)) - before
        require(not left, f"{mistake.name}: processes were left: {left}")
    control = layout.control(folder / "state")
    require(not control.is_socket(), f"{mistake.name}: a control socket was left")
    return Seen(done.returncode, done.stdout, done.stderr)


def judge(mistake: Mistake, seen: Seen) -> None:
    """Raises CheckFailedError where it did not end as it must."""
    said = seen.stderr.strip()
    where = f"{mistake.name}: code {seen.code}, stderr {said[-600:]!r}"
    require("Traceback" not in seen.stderr + seen.stdout, f"a traceback: {where}\n{seen.stdout[-1500:]}")
    require(seen.code == int(mistake.code), f"wanted code {int(mistake.code)}: {where}")
    missing = [word for word in mistake.says if word not in said]
    require(not missing, f"the sentence lacks {missing}: {where}")
    if mistake.code != Exit.USAGE:  # the command line's own library frames its sentence
        require(len(said.splitlines()) == 1, f"wanted one sentence: {where}")


def item_9(folder: Path, data: Path) -> str:
    """Every mistake of the table, and NATS away, which is none."""
    simulator = Simulator(folder)
    try:
        for number, mistake in enumerate(MISTAKES):
            check(mistake, folder / str(number), simulator)
    finally:
        simulator.child.stop()
    away = nats_is_no_condition(folder / "nats")
    return f"{len(MISTAKES)} mistakes, each one sentence, its exit code and nothing left; {away}"


def check(mistake: Mistake, folder: Path, simulator: Simulator) -> None:
    """Make it and judge it. Raises CheckFailedError."""
    judge(mistake, make(mistake, folder, simulator.urls))
    links = [str(item) for item in simulator.get("/state")["connections"].items() if item[1]]
    require(not links, f"{mistake.name}: sockets were left open: {links}")


def nats_is_no_condition(folder: Path) -> str:
    """The daemon trades with nobody where NATS should be; NATS that comes later gets all of it."""
    folder.mkdir()
    simulator = Simulator(folder)
    port = free_port()
    built = House(folder, simulator, simulator.child, port, write_config(folder, simulator.urls, port))
    nats = None
    try:
        daemon = built.start()
        built.wait("a fill without NATS", lambda s: s["realised"], 60)
        _wait_for_line(daemon, "relay_sink_lost")
        nats = start_nats(folder, port)
        _wait_for_line(daemon, "relay_sink_back")
        require(built.stop() == 0, "the daemon did not end well")
        at = json.loads(layout.relay_positions(built.state).read_text("utf-8"))
        last = len(built.records())
        require(at["nats"] == last, f"NATS has {at['nats']} of {last} records")
        return f"without NATS it trades, and NATS that comes late gets all {last} records"
    finally:
        if built.daemon is not None:
            built.daemon.stop()
        simulator.child.stop()
        if nats is not None:
            nats.stop()


def _wait_for_line(child: Child, word: str, patience_s: float = 20.0) -> None:
    end = time.monotonic() + patience_s
    while word not in child.log.read_text("utf-8"):
        require(time.monotonic() < end, f"no {word} in the log of {child.name}:\n{child.tail(5)}")
        time.sleep(0.05)
