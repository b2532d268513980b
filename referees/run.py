"""Programs that we did not write against the simulator: `make referees`.

    python referees/run.py --tradeserver .venv/bin/tradeserver [--seconds 60] [--json FILE] [--only ccxt]

Starts `tradeserver simulate` with an account for each client, runs each client as a program of its own, all at once,
and prints a table (client, step, verdict). Every step of a client's list must come; a step that does not come, an exit
code, or a client that is still at it when its time is up is a failure, and the exit code is 1. Exit 0: all well.

Runs in the referees' environment and imports nothing of the product.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

HERE = Path(__file__).parent
ORDERS = ("opening balances", "place", "cancel", "fill", "partial fill", "fill in parts", "refusal")
REST = ("rules", "snapshot", *ORDERS, "balances")
STREAMS = ("rules", "book", *ORDERS, "own events", "balances")
GRACE_S = 100.0  # beyond the time that books are kept: imports, orders, comparisons


@dataclass
class Client:
    """One line of work: the script, the account it gets, and the steps that must come."""

    name: str
    script: str
    venue: str
    key: str  # "hmac" or "ed25519"
    steps: tuple[str, ...]
    told: list[dict[str, str]] = field(default_factory=list)

    @property
    def account(self) -> str:
        """Its account's name in the simulator."""
        return self.name.replace(" ", "-").replace(".", "-")


CLIENTS = (
    Client("ccxt binance", "ccxt_binance.py", "binance", "hmac", REST),
    Client("ccxt kucoin", "ccxt_kucoin.py", "kucoin", "hmac", REST),
    Client("ccxt.pro binance", "ccxtpro_binance.py", "binance", "hmac", (*STREAMS, "balance stream")),
    Client("ccxt.pro kucoin", "ccxtpro_kucoin.py", "kucoin", "hmac", (*STREAMS, "balance stream")),
    Client("binance-sdk-spot hmac", "binance_sdk.py", "binance", "hmac", (*STREAMS, "balance stream")),
    Client("binance-sdk-spot ed25519", "binance_sdk.py", "binance", "ed25519", ("log-on", *STREAMS, "balance stream")),
    Client(
        "kucoin-universal-sdk",
        "kucoin_sdk.py",
        "kucoin",
        "hmac",
        (*STREAMS, "balance stream", *(f"ws {step}" for step in ("log-on", *ORDERS, "own events", "balances"))),
    ),
)


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description="Programs that others wrote, against the simulator.")
    parser.add_argument("--tradeserver", default=".venv/bin/tradeserver", help="the product's command")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long books are kept (60 in full)")
    parser.add_argument("--json", type=Path, help="write the table to this file too")
    parser.add_argument("--only", default="", help="clients whose name contains this")
    parser.add_argument("--fault", action="append", default=[], help="a fault of the simulator, to see a referee fail")
    args = parser.parse_args()
    clients = [client for client in CLIENTS if args.only in client.name]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="referees-") as place:
        asyncio.run(_run(args.tradeserver, clients, args.seconds, Path(place), args.fault))
    rows = [row for client in clients for row in _rows(client)]
    failed = sum(row["verdict"] != "ok" for row in rows)
    _print(rows)
    took_s = round(time.monotonic() - began, 1)
    print(f"\n{len(clients)} clients, {len(rows)} steps, {failed} failed; books {args.seconds:g} s; {took_s} s in all")
    if args.json:
        result = {"rows": rows, "failed": failed, "book_seconds": args.seconds, "seconds": took_s}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if failed or not rows else 0


async def _run(tradeserver: str, clients: list[Client], seconds: float, place: Path, faults: list[str]) -> None:
    accounts = {client.name: _account(client, place) for client in clients}
    config = place / "simulator.toml"
    sample = (HERE.parent / "config" / "simulator.toml").read_text()
    assert "\nfaults = []" in sample
    sample = sample.replace("\nfaults = []", f"\nfaults = {json.dumps(faults)}", 1)
    config.write_text(sample + _accounts_toml(clients, accounts))
    simulator = await asyncio.create_subprocess_exec(
        tradeserver, "simulate", str(config), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert simulator.stdout is not None
        line = await asyncio.wait_for(simulator.stdout.readline(), 30)
        if not line:
            raise SystemExit("referees: the simulator did not start")
        ready = json.loads(line)
        jobs = [_judge(client, accounts[client.name], ready, seconds, place) for client in clients]
        await asyncio.gather(*jobs)
        await asyncio.to_thread(_stop, ready["control"])
        await asyncio.wait_for(simulator.wait(), 10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            simulator.kill()


def _stop(control: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{control}/stop", method="POST"), timeout=10).close()


async def _judge(client: Client, account: dict[str, str], ready: dict[str, Any], seconds: float, place: Path) -> None:
    """Run one client to its end, or to the end of its time."""
    case, log = place / f"{client.account}.json", place / f"{client.account}.log"
    case.write_text(
        json.dumps(
            {
                "venue": client.venue,
                "urls": ready[client.venue],
                "control": ready["control"],
                "account": {name: value for name, value in account.items() if name != "public_key"},
                "seconds": seconds,
            }
        )
    )
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / client.script),
            str(case),
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env=environment,
        )
        try:
            async with asyncio.timeout(seconds + GRACE_S):
                assert process.stdout is not None
                async for line in process.stdout:
                    if line.startswith(b'{"step"'):
                        client.told.append(json.loads(line))
                code = await process.wait()
            if code:
                client.told.append({"step": "exit", "verdict": "FAILED", "detail": f"code {code}: {_last_line(log)}"})
        except TimeoutError:
            process.kill()
            client.told.append({"step": "exit", "verdict": "FAILED", "detail": "still at it when its time was up"})
    if any(row["verdict"] != "ok" for row in client.told):
        print(f"---- {client.name}\n{log.read_text()[-6000:]}", file=sys.stderr)


def _last_line(log: Path) -> str:
    return (log.read_text(errors="replace").strip().splitlines() or [""])[-1][:200]


def _rows(client: Client) -> list[dict[str, str]]:
    told = {row["step"]: row for row in client.told}
    missing = {"verdict": "FAILED", "detail": "not reached"}
    names = [*client.steps, *(name for name in told if name not in client.steps)]
    return [{"client": client.name, "step": name, **missing, **told.get(name, {})} for name in names]


def _print(rows: list[dict[str, str]]) -> None:
    widths = [max([len(row[name]) for row in rows] + [len(name)]) for name in ("client", "step", "verdict")]
    for row in [{"client": "client", "step": "step", "verdict": "verdict", "detail": ""}, *rows]:
        cells = [row[name].ljust(width) for name, width in zip(("client", "step", "verdict"), widths, strict=True)]
        print("  ".join([*cells, row["detail"]]).rstrip())


# ---- accounts ----------------------------------------------------------------------------------------------------


def _account(client: Client, place: Path) -> dict[str, str]:
    """A made-up key; an Ed25519 pair is new each time."""
    account = {"name": client.account, "key": f"SIM{client.account}", "secret": "", "passphrase": "", "private_key": ""}
    if client.key == "ed25519":
        pair = Ed25519PrivateKey.generate()
        pem = place / f"{client.account}.pem"
        pem.write_bytes(pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public = pair.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {**account, "private_key": str(pem), "public_key": base64.b64encode(public).decode()}
    account["secret"] = f"SIM{client.account}-secret"
    if client.venue == "kucoin":
        account["passphrase"] = f"SIM{client.account}-passphrase"
    return account


def _accounts_toml(clients: list[Client], accounts: dict[str, dict[str, str]]) -> str:
    """What is added to the simulator's sample configuration."""
    parts = []
    for client in clients:
        account = accounts[client.name]
        names = [name for name in ("key", "secret", "passphrase", "public_key") if account.get(name)]
        key = ", ".join(f"{name} = {json.dumps(account[name])}" for name in names)
        parts.append(
            f"\n[[venues.{client.venue}.accounts]]\n"
            f"name = {json.dumps(client.account)}\n"
            f"keys = [{{ {key} }}]\n"
            "balances = { USDT = 2000000, XRP = 1000000, BTC = 20, ETH = 300 }\n"
        )
    return "".join(parts)


if __name__ == "__main__":
    sys.exit(main())
