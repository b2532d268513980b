"""Secrets planted as markers wherever one can be named, and everything that a run leaves searched for them.

Real processes: simulator, a server that plays AWS Secrets Manager, daemon with relay and guard, command line. The
daemon trades and then ends by a fault of our own, so that its crash report is among what is searched.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import boto3
import msgspec
import pytest

from discord_kit import DiscordStandIn
from tradeserver.core.records import ArbitrageOpened
from tradeserver.lab.drill import simulator_toml
from tradeserver.lab.processes import Child, Simulator, free_port, tradeserver, wait_for_port, write_config
from tradeserver.runtime.wal_read import read
from tradeserver.services import layout
from tradeserver.simulator.config import SimConfig, default_config

pytestmark = [pytest.mark.system, pytest.mark.timeout(150)]

KEYS = {
    "binance": {"key": "SIMplantedBinanceKey1", "secret": "PlantedBinanceSecret2"},
    "kucoin": {"key": "SIMplantedKucoinKey3", "secret": "PlantedKucoinSecret4", "passphrase": "PlantedPassphrase5"},
}
MARKERS = [
    *(value for fields in KEYS.values() for value in fields.values()),
    "PlantedNatsPassword6", "PlantedHeartbeat7", "TOKEN-THAT-NOBODY-MAY-SEE", "PlantedApprise8", "PlantedAwsIdentity9",
]  # fmt: skip


def forms(secret: str) -> set[bytes]:
    """As it stands, and as a careless hand would encode it."""
    return {secret.encode(), quote(secret).encode(), base64.b64encode(secret.encode()), secret.encode().hex().encode()}


def hits(name: str, data: bytes) -> list[str]:
    return [f"{secret} in {name}" for secret in MARKERS if any(form in data for form in forms(secret))]


def wait(done: Callable[[], object], what: str, patience_s: float = 60.0) -> None:
    end = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.05)


def house(folder: Path, simulator: Simulator, store: str, discord: DiscordStandIn) -> tuple[Path, dict[str, str]]:
    """Its configuration and its environment: keys in the store, the rest in variables and in a URL."""
    client = boto3.client(
        "secretsmanager",
        region_name="ap-northeast-1",
        endpoint_url=store,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    for venue, fields in KEYS.items():
        client.create_secret(Name=f"prod/{venue}", SecretString=json.dumps(fields))
    client.close()
    more = (
        f'[aws]\nregion = "ap-northeast-1"\nendpoint_url = "{store}"\n'
        '[alerts]\nleast = "info"\ngather_s = 0.2\n'
        'discord = ["env:HOOK"]\nothers = ["env:OTHER"]\nheartbeat = "env:BEAT"\n'
    )
    path = write_config(folder, simulator.urls, free_port(), more=more)
    text = path.read_text().replace("nats://127.0.0.1", "nats://user:PlantedNatsPassword6@127.0.0.1")
    for venue, fields in KEYS.items():
        for what in fields:
            text = text.replace(f"file:{folder}/{venue}.{what}", f"aws:prod/{venue}#{what}")
            (folder / f"{venue}.{what}").unlink()
    path.write_text(text)
    return path, {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "PlantedAwsIdentity9",
        "AWS_EC2_METADATA_DISABLED": "true", "HOOK": discord.url,
        "BEAT": f"http://127.0.0.1:{discord.port}/beat/PlantedHeartbeat7",
        "OTHER": f"json://127.0.0.1:{discord.port}/PlantedApprise8",
    }  # fmt: skip


def asked(config: Path, state: Path, environ: dict[str, str]) -> list[str]:
    """What the command line says, all questions at once."""
    questions = (["check", str(config)], ["check", str(config), "--json"], ["status", "--state", str(state), "--json"])
    pipe = subprocess.PIPE
    under_way = [
        subprocess.Popen(tradeserver(*words), stdout=pipe, stderr=pipe, env=os.environ | environ) for words in questions
    ]
    found = []
    for words, process in zip(questions, under_way, strict=True):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, (words, err)
        assert out, words
        found += hits(words[0], out + err)
    return found


def ours(daemon: Child) -> list[Path]:
    """The daemon and its children, by the process list."""
    children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()
    return [Path(f"/proc/{pid}") for pid in (str(daemon.process.pid), *children)]


def crash(state: Path) -> bytes:
    """A handler called wrongly is a fault of our own: the run ends with its report in the log."""
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(10)
        door.connect(str(layout.control(state)))
        door.sendall(b'{"verb":"pause","args":{"no_such_argument":1}}\n')
        return door.recv(65_536)


def test_nothing_secret_is_left_anywhere(tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_port()
    wanted = msgspec.to_builtins(default_config())
    for venue, fields in KEYS.items():
        wanted["venues"][venue]["accounts"][0]["keys"][0].update(fields)
    (tmp_path / "simulator.toml").write_text(simulator_toml(msgspec.convert(wanted, SimConfig)))
    moto = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    aws = Child("moto", moto, tmp_path / "moto.log")
    simulator = Simulator(tmp_path, [str(tmp_path / "simulator.toml")], patience_s=60)
    found: list[str] = []
    try:
        wait_for_port(aws, port, 60)
        with DiscordStandIn() as discord:
            config, environ = house(tmp_path, simulator, f"http://127.0.0.1:{port}", discord)
            daemon = Child("daemon", tradeserver("run", str(config)), tmp_path / "daemon.log", environ)
            try:
                wait(lambda: layout.control(state).exists() or daemon.require_running(), "start")
                wait(lambda: any(isinstance(r, ArbitrageOpened) for _, r in read(layout.wal(state))), "a trade")
                wait(lambda: list(state.rglob("*.sqlite")) and discord.taken, "the relay's work")
                found += asked(config, state, environ)
                assert len(ours(daemon)) >= 3, "daemon, relay, guard"
                for process in ours(daemon):
                    found += hits("the process list", (process / "cmdline").read_bytes())
                    (core,) = [x for x in (process / "limits").read_text().splitlines() if "core file" in x]
                    assert core.split()[4:6] == ["0", "0"], "a core dump would hold every key"
                found += hits("the answer of the control socket", crash(state))
                assert daemon.process.wait(60) == 70
            finally:
                daemon.stop()
            said = json.dumps(discord.taken).encode()
    finally:
        simulator.child.stop()
        aws.stop()
    log = (tmp_path / "daemon.log").read_bytes()
    assert b"Traceback" in log, "the crash report is among what is searched"
    assert b"no_such_argument" in log
    found += hits("what Discord was told", said)
    given = (config, tmp_path / "simulator.toml", tmp_path / "moto.log")  # the operator's own, and the stand-ins'
    left = [p for p in tmp_path.rglob("*") if p.is_file() and p not in given]
    kinds = {part for p in left for part in p.relative_to(tmp_path).parts}
    assert {"wal", "journal", "daemon.log"} <= kinds
    assert any(p.suffix == ".sqlite" for p in left)
    for path in left:
        found += hits(str(path.relative_to(tmp_path)), path.read_bytes())
    assert len(hits("the configuration", config.read_bytes())) == 1, "what is there is found: the NATS password"
    assert found == []
