"""The processes of one measurement: peer, NATS server and daemon, each on its core, and how to talk to them.

Where there are two cores the daemon has the last one for itself; everything else, its relay too, shares the others.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from array import array
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from tradeserver.lab.bench.feed import names
from tradeserver.lab.processes import SECRETS, Child, free_port, start_nats
from tradeserver.runtime.wal_read import Tail
from tradeserver.services import layout
from tradeserver.services.control import ask
from tradeserver.services.faults import NotRunningError, OperatorError

CORES: Final = sorted(os.sched_getaffinity(0))
TRADER_CORES: Final = CORES[-1:]
OTHER_CORES: Final = CORES[:-1] or CORES

CONFIG: Final = """\
# Written by the bench: the daemon, live wiring, against the stub on this machine. No limit may bind.
mode = "live"
symbols = [{symbols}]
state_dir = "{folder}/state"
spin = {spin}

[instance]
name = "bench"
tag = "B0"

[venues.binance]
key = "file:{folder}/binance.key"
secret = "file:{folder}/binance.secret"
[venues.binance.settings]
rest_url = "http://127.0.0.1:{rest}{prefix}"
stream_url = "{ws}"
ws_api_url = "{ws}/ws-api"
book_ticker = false

[venues.kucoin]
key = "file:{folder}/kucoin.key"
secret = "file:{folder}/kucoin.secret"
passphrase = "file:{folder}/kucoin.passphrase"
[venues.kucoin.settings]
rest_url = "http://127.0.0.1:{rest}{prefix}"
order_entry_url = "{ws}/kucoin/orders"
level1 = false
ticker = false

[risk]
max_order_notional = 1000
max_position_notional = 1000000000
max_open_orders = 1000000
max_arbitrages = 1000000
max_orders_per_s = 1000000
max_trade_pct = 100
max_exposure_pct = 100
reserve_pct = 0
max_cancels_per_s = 1000000
max_slippage_bps = 10000

[breakers]
one_sided_limit = 0
technical_limit = 0
max_loss_slippage_bps = 0
min_fill_pct = 0
max_move_bps = 0
max_spread_bps = 0
volatility_target_bps = 0
max_volatility_bps = 0
max_doubtful_pct = 0

[losses]
day_pct = 100
week_pct = 100
month_pct = 100
drawdown_pct = 100
revaluation_pct = 100
streak = 0

[execution]
cool_off_ms = 0

[nats]
url = "nats://127.0.0.1:{nats}"

[[strategies]]
name = "{strategy}"
"""
PATIENCE_S: Final = 120.0
"""For a start or an end of the daemon: a busy machine may need most of it."""
ONE_LEG: Final = "tradeserver.lab.bench.one_leg:OneLeg"


def logon_key() -> str:
    """An Ed25519 key for Binance: log on once, then no order needs a signature of its own."""
    return (
        ed25519.Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def write_pem(path: Path) -> None:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))


class Peer:
    """The stub venues."""

    def __init__(
        self, folder: Path, symbols: int = 1, levels: int = 10, pem: Path | None = None, nice: int = 0
    ) -> None:
        self.symbols = symbols
        self._errors = (folder / f"peer-{symbols}-{levels}.log").open("w")
        words = [str(symbols), str(levels), *([str(pem)] if pem else [])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tradeserver.lab.bench.peer", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            preexec_fn=_on_other_cores,
        )
        os.setpriority(os.PRIO_PROCESS, self._process.pid, nice)
        self.ports: dict[str, int] = json.loads(self._line())

    def do(self, what: str, **words: Any) -> dict[str, Any]:
        """One command and its answer; see `peer`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **words}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def cpu_s(self) -> float:
        """Processor time so far: whether it was the peer that could do no more."""
        return cpu_s(self._process.pid)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise OperatorError(f"the bench's peer ended: {self._errors.name}")
        return line

    def stop(self) -> None:
        """It ends when its input does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._errors.close()


class Trader:
    """The daemon with its stopwatch."""

    def __init__(
        self,
        folder: Path,
        peer: Peer,
        nats_port: int,
        *,
        spin: bool = False,
        tls: Path | None = None,
        look: str = "",
        nice: int = 0,
        strategy: str = "cross_arb",
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        for file, secret in {**SECRETS, "binance.secret": logon_key()}.items():
            (folder / file).write_text(secret, "utf-8")
            (folder / file).chmod(0o600)
        ws = f"wss://127.0.0.1:{peer.ports['tls']}" if tls else f"ws://127.0.0.1:{peer.ports['ws']}"
        config = folder / "bench.toml"
        config.write_text(
            CONFIG.format(
                symbols=", ".join(f'"{name}"' for name in names(peer.symbols)),
                folder=folder,
                spin=str(spin).lower(),
                rest=peer.ports["rest"],
                prefix="/tls" if tls else "",
                ws=ws,
                nats=nats_port,
                strategy=strategy,
            ),
            "utf-8",
        )
        self.samples_file = folder / "samples"
        self.child = Child(
            "trader",
            [
                sys.executable,
                "-m",
                "tradeserver.lab.bench.trader",
                str(config),
                str(self.samples_file),
                *([look] if look else []),
            ],
            folder / "trader.log",
            {"SSL_CERT_FILE": str(tls)} if tls else None,
        )
        os.sched_setaffinity(self.pid, TRADER_CORES)
        os.setpriority(os.PRIO_PROCESS, self.pid, nice)
        self.start_mb = 0.0
        self._ready(2 * peer.symbols)

    @property
    def pid(self) -> int:
        return self.child.process.pid

    def _ready(self, books: int, patience_s: float = PATIENCE_S) -> None:
        """Every book synchronised, every venue ready, relay and guard up: from now on it would trade."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            self.child.require_running()
            try:
                status = ask(layout.control(self.folder / "state"), "status", timeout_s=2.0)
            except (NotRunningError, OperatorError):
                status = {}
            self.start_mb = self.start_mb or (rss_mb(self.pid) if status else 0.0)
            synced = [book for book in status.get("books", []) if book["trust"] == "synced"]
            free = not status.get("states") and status.get("guard_up")  # nothing forbids opening
            if free and len(synced) == books and all(v["phase"] == "ready" for v in status["venues"]):
                for pid in self.children():
                    for task in Path(f"/proc/{pid}/task").iterdir():
                        os.sched_setaffinity(int(task.name), OTHER_CORES)
                        os.setpriority(os.PRIO_PROCESS, int(task.name), 0)
                return
            time.sleep(0.1)
        raise OperatorError(f"the bench's daemon was not ready within {patience_s:g} s:\n{self.child.tail()}")

    def children(self) -> list[int]:
        """Its child processes: the relay."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(word) for word in text.split()]

    def cpu_s(self) -> float:
        """Processor time so far, of all its threads."""
        return cpu_s(self.pid)

    def stop(self) -> array[int]:
        """An orderly end; the stopwatch's samples."""
        code = self.child.stop(PATIENCE_S)
        if code:
            raise OperatorError(f"the bench's daemon ended with code {code}:\n{self.child.tail()}")
        samples: array[int] = array("q")
        samples.frombytes(self.samples_file.read_bytes())
        return samples

    def counted(self) -> dict[str, int]:
        """How many records of each kind its log holds."""
        tail = Tail(layout.wal(self.folder / "state"), synced_only=False)
        kinds: dict[str, int] = {}
        for _, record in tail.poll(10_000_000):
            kinds[type(record).__name__] = kinds.get(type(record).__name__, 0) + 1
        tail.close()
        return kinds


class Floor:
    """Sockets alone."""

    def __init__(self, peer: Peer, folder: Path, *, spin: bool = False, nice: int = 0) -> None:
        words = [f"ws://127.0.0.1:{peer.ports['ws']}", *(["spin"] if spin else [])]
        self.child = Child("floor", [sys.executable, "-m", "tradeserver.lab.bench.floor", *words], folder / "floor.log")
        os.sched_setaffinity(self.child.process.pid, TRADER_CORES)
        os.setpriority(os.PRIO_PROCESS, self.child.process.pid, nice)
        end = time.monotonic() + 10.0
        while "ready" not in self.child.tail():
            self.child.require_running()
            if time.monotonic() > end:
                raise OperatorError("the bench's floor was not ready within 10 s")
            time.sleep(0.05)

    def stop(self) -> None:
        """It holds nothing."""
        self.child.process.send_signal(signal.SIGKILL)
        self.child.process.wait()
        self.child.log.unlink()


def nats(folder: Path) -> tuple[Child, int]:
    """A NATS server for the relays, and its port."""
    port = free_port()
    child = start_nats(folder, port)
    os.sched_setaffinity(child.process.pid, OTHER_CORES)
    return child, port


def cpu_s(pid: int) -> float:
    """Seconds on a processor so far, of all its threads: the scheduler's own count, in nanoseconds."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def rss_mb(pid: int) -> float:
    """Resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _on_other_cores() -> None:
    os.sched_setaffinity(0, OTHER_CORES)
