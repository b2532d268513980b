"""KuCoin's signatures: every documented vector and every request that a foreign client signed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tradeserver.venues.base import Credentials
from tradeserver.venues.kucoin.signing import Signer


def documented(shared_data: Path) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((shared_data / "signing" / "kucoin_documented.json").read_text())[
        "vectors"
    ]
    return vectors


def test_every_documented_vector(shared_data: Path) -> None:
    kinds = set()
    for vector in documented(shared_data):
        signer = Signer(Credentials(vector.get("key", "k"), vector["secret"], vector.get("passphrase_plain", "")))
        if "passphrase_plain" in vector:
            kinds.add("passphrase")
            assert signer.headers(0, "GET", "/")["KC-API-PASSPHRASE"] == vector["KC-API-PASSPHRASE"]
        elif "endpoint" in vector:
            kinds.add("request")
            headers = signer.headers(int(vector["timestamp"]), vector["method"], vector["endpoint"], vector["body"])
            assert headers["KC-API-SIGN"] == vector["KC-API-SIGN"]
            assert headers["KC-API-TIMESTAMP"] == vector["timestamp"]
            assert headers["KC-API-KEY"] == vector["key"]
        elif "challenge" in vector:
            kinds.add("challenge")
            assert signer.sign(vector["challenge"]) == vector["answer"]
        elif "sign" in vector:
            kinds.add("url")
            url = signer.order_entry_url("wss://x/v1/private", int(vector["timestamp"]))
            assert parse_qs(urlsplit(url).query)["sign"] == [vector["sign"]]
        else:
            kinds.add("plain")
            assert signer.sign(vector["prehash"]) == vector["KC-API-SIGN"]
    assert kinds == {"passphrase", "request", "challenge", "url", "plain"}


def test_every_signature_that_ccxt_made(shared_data: Path) -> None:
    captured = json.loads((shared_data / "signing" / "ccxt_requests_kucoin.json").read_text())
    keys = captured["credentials"]
    signer = Signer(Credentials(keys["apiKey"], keys["secret"], keys["password"]), key_version="2")
    checked = 0
    for cases in captured["cases"].values():
        for case in cases:
            request = case["request"]
            if "KC-API-SIGN" not in request["headers"]:
                continue
            url = urlsplit(request["url"])
            path = url.path + (f"?{url.query}" if url.query else "")
            headers = signer.headers(captured["frozen_ms"], request["method"], path, request.get("body") or "")
            expected = request["headers"]
            assert {name: headers[name] for name in expected if name.startswith("KC-")} == {
                name: value for name, value in expected.items() if name.startswith("KC-")
            }
            checked += 1
    assert checked >= 36


def test_the_order_entry_url_of_the_official_client(shared_data: Path) -> None:
    trace = (shared_data / "client_traces" / "kucoin-uta-trade-ws.jsonl").read_text().splitlines()
    (opened,) = [row for row in map(json.loads, trace) if row["t"] == "ws-open" and row["path"] == "/v1/private"]
    vectors = documented(shared_data)
    (url,) = [v for v in vectors if v["label"] == "websocket order entry URL sign"]
    (phrase,) = [v for v in vectors if v["label"].startswith("passphrase v2/v3 of the documented key")]
    signer = Signer(Credentials(url["key"], url["secret"], phrase["passphrase_plain"]))
    made = signer.order_entry_url("wss://wsapi.kucoin.com/v1/private", int(url["timestamp"]))
    assert made == f"wss://wsapi.kucoin.com/v1/private?{opened['qs']}"


def test_bytes_change_the_signature() -> None:
    signer = Signer(Credentials("k", "s", "p"))
    assert signer.sign("a") != signer.sign("b")
    assert signer.headers(1, "GET", "/x")["KC-API-SIGN"] != signer.headers(2, "GET", "/x")["KC-API-SIGN"]


@pytest.mark.parametrize("version", ["2", "3"])
def test_the_key_version_is_told(version: str) -> None:
    assert Signer(Credentials("k", "s", "p"), version).headers(1, "GET", "/")["KC-API-KEY-VERSION"] == version
