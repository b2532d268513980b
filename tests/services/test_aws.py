"""`aws:` references against a real moto server: fields, faults that a person mends, faults that pass."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tradeserver.config import credentials, parse
from tradeserver.services.aws import AwsSettings, AwsStore, StoreAwayError
from tradeserver.services.faults import ConfigError, Exit
from tradeserver.services.secrets import resolve

MARKER = "planted-9f3c-secret"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                assert time.monotonic() < end
                assert server.poll() is None
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


def settings(endpoint: str, **more: Any) -> AwsSettings:
    return AwsSettings(region="ap-northeast-1", endpoint_url=endpoint, timeout_s=2.0, **more)


def client(endpoint: str) -> Any:
    return boto3.client("secretsmanager", region_name="ap-northeast-1", endpoint_url=endpoint)


def put(endpoint: str, name: str, text: str) -> None:
    client(endpoint).create_secret(Name=name, SecretString=text)


def test_fields_of_a_secret(endpoint: str) -> None:
    put(endpoint, "prod/one", json.dumps({"key": f"{MARKER}-key", "secret": f"{MARKER}-s", "number": 5}))
    store = AwsStore(settings(endpoint))
    assert resolve("aws:prod/one#key", "k", {}, store).reveal() == f"{MARKER}-key"
    assert resolve("aws:prod/one#secret", "k", {}, store).reveal() == f"{MARKER}-s"
    assert json.loads(resolve("aws:prod/one", "k", {}, store).reveal())["number"] == 5
    for path, says in (("prod/one#number", "no text under 'number'"), ("prod/one#absent", "no text under 'absent'")):
        with pytest.raises(ConfigError, match=says) as told:
            resolve(f"aws:{path}", "venues.binance.key", {}, store)
        assert MARKER not in str(told.value)
        assert str(told.value).startswith("venues.binance.key: ")


def test_what_only_a_person_can_mend(endpoint: str) -> None:
    put(endpoint, "prod/text", f"{MARKER} no json")
    store = AwsStore(settings(endpoint))
    with pytest.raises(ConfigError, match="no such secret") as told:
        store.get("prod/nowhere#x")
    assert told.value.exit_code == Exit.CONFIG
    with pytest.raises(ConfigError, match="no JSON object") as told:
        store.get("prod/text#x")
    assert MARKER not in str(told.value)
    with pytest.raises(ConfigError, match="ProfileNotFound"):
        AwsStore(settings(endpoint, profile="nobody")).get("prod/text")


def test_a_deleted_secret_is_said_to_be(endpoint: str) -> None:
    put(endpoint, "prod/revoked", MARKER)
    client(endpoint).delete_secret(SecretId="prod/revoked", RecoveryWindowInDays=7)
    with pytest.raises(ConfigError, match="marked for deletion") as told:
        AwsStore(settings(endpoint)).get("prod/revoked")
    assert MARKER not in str(told.value)


def test_a_role_is_assumed_first(endpoint: str) -> None:
    put(endpoint, "prod/role", MARKER)
    role = "arn:aws:iam::123456789012:role/tradeserver"
    assert AwsStore(settings(endpoint, role_arn=role)).get("prod/role").reveal() == MARKER


def test_a_new_version_is_fetched_anew_and_one_start_asks_once(endpoint: str) -> None:
    put(endpoint, "prod/turns", "old")
    store = AwsStore(settings(endpoint))
    first, text = store.fetch("prod/turns")
    assert text == "old"
    assert store.get("prod/turns").reveal() == "old"
    client(endpoint).put_secret_value(SecretId="prod/turns", SecretString="new")
    assert store.get("prod/turns").reveal() == "old", "key and secret of one start are of one version"
    second, text = store.fetch("prod/turns")
    assert (text, second != first) == ("new", True)


def test_a_store_that_is_away_costs_seconds_and_may_be_tried_again() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for port, most_s in ((1, 5.0), (silent.getsockname()[1], 6.0)):
            begun = time.monotonic()
            away = AwsSettings(region="x-1", endpoint_url=f"http://127.0.0.1:{port}", timeout_s=0.3, attempts=2)
            with pytest.raises(StoreAwayError) as told:
                AwsStore(away).get("a")
            assert time.monotonic() - begun < most_s
            assert told.value.exit_code == Exit.ERROR, "systemd tries again; a mistake in the file it would not"


def test_throttling_is_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.exceptions

    class Throttling:
        def get_secret_value(self, **_: str) -> None:
            error = {"Error": {"Code": "ThrottlingException", "Message": f"slow down {MARKER}"}}
            raise botocore.exceptions.ClientError(error, "GetSecretValue")  # type: ignore[arg-type]

    store = AwsStore(AwsSettings())
    store._client = Throttling()
    with pytest.raises(StoreAwayError, match="ThrottlingException") as told:
        store.get("a")
    assert MARKER not in str(told.value)


def test_the_credentials_of_a_configuration(endpoint: str) -> None:
    put(endpoint, "prod/binance", json.dumps({"key": "SIMkey", "secret": "SIMsecret"}))
    config = parse(
        'mode = "live"\nsymbols = ["BTC/USDT"]\n[instance]\nname = "a"\ntag = "a1"\n[venues.binance]\n'
        'key = "aws:prod/binance#key"\nsecret = "aws:prod/binance#secret"\n'
        f'[aws]\nregion = "ap-northeast-1"\nendpoint_url = "{endpoint}"\n'
    )
    keys = credentials(config, {})["binance"]
    assert (keys.key, keys.secret) == ("SIMkey", "SIMsecret")


def test_the_policy_allows_to_read_and_nothing_else() -> None:
    path = Path(__file__).resolve().parents[2] / "deploy" / "iam-policy.json"
    statements = json.loads(path.read_text())["Statement"]
    actions = [action for statement in statements for action in statement["Action"]]
    assert sorted(actions) == ["kms:Decrypt", "secretsmanager:GetSecretValue"]
    assert all(statement["Effect"] == "Allow" for statement in statements)
    assert not any(resource == "*" for statement in statements for resource in statement["Resource"])
