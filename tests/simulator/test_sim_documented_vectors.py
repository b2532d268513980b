"""The venues' own signing examples (data/signing) pass at their moment: WebSocket API, Ed25519, a signature over query
and body, KuCoin's headers and order entry. (Plain REST examples: test_sim_binance_captured.py.)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tradeserver.simulator.accounts import ApiKey
from tradeserver.simulator.kucoin import auth
from venue_kit import BINANCE_KEY, KUCOIN_PASSPHRASE, MS, Venue, b64_hmac, body_of


def documented(shared_data: Path, venue: str) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((shared_data / f"signing/{venue}_documented.json").read_text())
    return known


def asked(venue: Venue, method: str, vector: dict[str, Any]) -> dict[str, Any]:
    """A vector's payload as the params of a WebSocket API call, at its moment."""
    params: dict[str, Any] = dict(parse_qsl(vector["payload"])) | {"signature": vector["signature"]}
    venue.now = int(params["timestamp"]) * MS
    conn = venue.connect("/ws-api/v3")
    venue.send(conn, {"id": "q", "method": method, "params": params})
    answer: dict[str, Any] = venue.heard(conn)[0]
    return answer


def test_binance_orders_by_websocket(shared_data: Path) -> None:
    vectors = [v for v in documented(shared_data, "binance")["hmac"]["vectors"] if v["kind"] == "ws"]
    orders = [vector for vector in vectors if "price=" in vector["payload"]]
    assert len(orders) == 3
    for vector in orders:
        answer = asked(Venue("binance"), "order.place", vector)
        if "BTCUSDT" in vector["payload"]:
            assert answer["status"] == 200, answer
        else:  # signed as raw UTF-8: past the signature, but full-width digits are no symbol
            assert answer["error"]["code"] in (-1100, -1121)
        changed = {**vector, "payload": vector["payload"].replace("price=", "price=1")}
        assert asked(Venue("binance"), "order.place", changed)["error"]["code"] == -1022


def test_binance_log_on(shared_data: Path) -> None:
    """HMAC keys cannot log on (-4056), whatever the older example shows."""
    known = documented(shared_data, "binance")
    [old] = [vector for vector in known["hmac"]["vectors"] if "session.logon" in vector["label"]]
    assert asked(Venue("binance"), "session.logon", old)["error"]["code"] == -4056
    private = load_pem_private_key(known["ed25519"]["private_key_pem"].encode(), None)
    assert isinstance(private, Ed25519PrivateKey)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    calls = [v for v in known["ed25519"]["vectors"] if v["payload"].startswith("apiKey=")]
    assert len(calls) == 2
    for vector, method in zip(calls, ("session.logon", "userDataStream.subscribe.signature"), strict=True):
        key = dict(parse_qsl(vector["payload"]))["apiKey"]
        keys = (ApiKey(key=key, public_key=public),)
        assert asked(Venue("binance", keys), method, vector)["status"] == 200
        later = {**vector, "payload": vector["payload"].replace("timestamp=1", "timestamp=2")}
        assert asked(Venue("binance", keys), method, later)["error"]["code"] == -1022


def test_binance_signs_query_then_body(shared_data: Path) -> None:
    """In the example the parameters `symbol` to `timeInForce` travel in the query, the rest in the body."""
    [vector] = [v for v in documented(shared_data, "binance")["hmac"]["vectors"] if v["kind"] == "rest-mixed"]
    query, _, body = vector["payload"].partition("quantity=")
    venue = Venue("binance")
    venue.now = 1499827319559 * MS
    for signature, codes in ((vector["signature"], (-1121,)), ("0" * 64, (-1022,))):
        sent = f"quantity={body}&signature={signature}".encode()
        answer = venue.http("POST", "/api/v3/order", query, sent, x_mbx_apikey=BINANCE_KEY)
        assert body_of(answer)["code"] in codes  # LTCBTC is not listed: past the signature


def test_kucoin_headers(shared_data: Path) -> None:
    vectors = documented(shared_data, "kucoin")["vectors"]
    signed = [v for v in vectors if "KC-API-SIGN" in v]
    phrases = [v for v in vectors if "KC-API-PASSPHRASE" in v]
    assert (len(signed), len(phrases)) == (3, 2)
    for vector in signed:
        assert auth.sign(vector["secret"], vector["prehash"].encode()) == vector["KC-API-SIGN"]
    for vector in phrases:
        auth.check_passphrase(vector["KC-API-PASSPHRASE"], vector["secret"], vector["passphrase_plain"])


@pytest.mark.parametrize("changed", [False, True])
def test_kucoin_order_entry_url(shared_data: Path, changed: bool) -> None:
    [vector] = [v for v in documented(shared_data, "kucoin")["vectors"] if "URL sign" in v["label"]]
    venue = Venue("kucoin")
    venue.now = int(vector["timestamp"]) * MS
    phrase = b64_hmac(vector["secret"], KUCOIN_PASSPHRASE)
    sign = vector["sign"].lower() if changed else vector["sign"]
    values = {"apikey": vector["key"], "timestamp": vector["timestamp"], "sign": sign, "passphrase": phrase}
    conn = venue.connect("/v1/private", "&".join(f"{name}={quote(text, safe='')}" for name, text in values.items()))
    first = venue.heard(conn)[0]
    assert (first.get("code") == "400005") if changed else set(first) == {"sessionId", "timestamp"}
