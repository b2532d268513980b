"""Our signers against every signature that was published or captured: the payload comes from the file, we only sign."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tradeserver.core.commands import QueryOrder, SubmitOrder
from tradeserver.core.types import Side, TimeInForce
from tradeserver.venues.base import Credentials, HttpRequest, WsMessage
from tradeserver.venues.binance import BinanceCodec, BinanceSettings
from tradeserver.venues.binance.signing import Ed25519Signer, HmacSigner, rest_payload, signer, ws_payload


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def test_documented_hmac_vectors(shared_data: Path) -> None:
    hmac = load(shared_data / "signing" / "binance_documented.json")["hmac"]
    sign = signer(Credentials(key=hmac["apiKey"], secret=hmac["secretKey"]))
    assert isinstance(sign, HmacSigner)
    assert len(hmac["vectors"]) == 7
    for vector in hmac["vectors"]:
        assert sign.sign(vector["payload"]) == vector["signature"], vector["label"]


def test_documented_payloads_are_rebuilt_from_their_parameters(shared_data: Path) -> None:
    """Encoding and order are ours: decoded parameters in, the documented payload out."""
    for vector in load(shared_data / "signing" / "binance_documented.json")["hmac"]["vectors"]:
        if vector["kind"] == "ws":
            params = dict(part.split("=", 1) for part in reversed(vector["payload"].split("&")))
            assert ws_payload(params | {"signature": "left out"}) == vector["payload"]
        elif vector["kind"] == "rest":
            assert rest_payload(parse_qsl(vector["payload"])) == vector["payload"]


def test_documented_ed25519_vectors(shared_data: Path) -> None:
    ed25519 = load(shared_data / "signing" / "binance_documented.json")["ed25519"]
    sign = signer(Credentials(key="any", secret=ed25519["private_key_pem"]))
    assert isinstance(sign, Ed25519Signer)
    assert len(ed25519["vectors"]) == 3
    for vector in ed25519["vectors"]:
        assert sign.sign(vector["payload"]) == vector["signature"], vector["label"]


def test_captured_signatures_of_a_third_party_client(shared_data: Path) -> None:
    captured = load(shared_data / "signing" / "ccxt_requests_binance.json")
    keys = captured["credentials"]
    sign = signer(Credentials(key=keys["apiKey"], secret=keys["secret"]))
    signed = [case for cases in captured["cases"].values() for case in cases if "signature" in case]
    assert len(signed) == 36
    for case in signed:
        assert sign.sign(case["signing_payload"]) == case["signature"], case["label"]
        assert rest_payload(parse_qsl(case["signing_payload"])) == case["signing_payload"], case["label"]


def traced(folder: Path) -> Iterator[tuple[str, str]]:
    for line in (folder / "client_traces" / "ccxt_binance.jsonl").read_text().splitlines():
        row = json.loads(line)
        text = (row.get("qs", "") + row.get("body", "")) if row.get("t") == "http" else ""
        if "&signature=" in text:
            payload, signature = text.split("&signature=")
            yield payload, signature


def test_traced_requests_of_a_third_party_client(shared_data: Path) -> None:
    keys = load(shared_data / "signing" / "ccxt_requests_binance.json")["credentials"]
    sign = signer(Credentials(key=keys["apiKey"], secret=keys["secret"]))
    rows = list(traced(shared_data))
    assert rows
    for payload, signature in rows:
        assert sign.sign(payload) == unquote(signature)


# ---- our own requests carry what they must ----


def test_a_rest_request_of_ours_is_signed_as_the_document_says(shared_data: Path) -> None:
    """The signature covers exactly the query in front of it, as it stands on the wire."""
    hmac = load(shared_data / "signing" / "binance_documented.json")["hmac"]
    keys = Credentials(key=hmac["apiKey"], secret=hmac["secretKey"])
    codec = BinanceCodec(BinanceSettings(), ["LTC/BTC"], keys)
    query = QueryOrder(venue="binance", symbol="LTC/BTC", client_id="a b&c")
    request = codec.encode(query, 1_499_827_319_559_000_000)
    assert isinstance(request, HttpRequest)
    sent, signature = urlsplit(request.url).query.split("&signature=")
    assert sent == "symbol=LTCBTC&origClientOrderId=a%20b%26c&recvWindow=5000&timestamp=1499827319559"
    assert signature == HmacSigner(keys.secret).sign(sent)
    assert request.headers == {"X-MBX-APIKEY": keys.key}
    assert "signature" not in request.label


def order(client_id: str = "aaL000001000010100") -> SubmitOrder:
    return SubmitOrder(
        venue="binance",
        symbol="BTC/USDT",
        client_id=client_id,
        arbitrage=1,
        leg=0,
        attempt=0,
        side=Side.SELL,
        quantity=Decimal("0.01000000"),
        price=Decimal("52000.00"),
        time_in_force=TimeInForce.IOC,
        opening=True,
    )


def confirmed_orders_link(codec: BinanceCodec, ts: int) -> None:
    """Open "orders" and answer whatever it asks first."""
    codec.opened("orders", ts)
    (asked,) = [each for each in codec.outgoing if isinstance(each, WsMessage)]
    codec.outgoing.clear()
    answer = {"id": json.loads(asked.data)["id"], "status": 200, "result": {"serverTime": ts // 1_000_000}}
    assert [type(event).__name__ for event in codec.receive("orders", json.dumps(answer).encode(), ts)] == ["LinkUp"]


def test_the_fast_order_path_signs_like_the_plain_one() -> None:
    codec = BinanceCodec(BinanceSettings(), ["BTC/USDT"], Credentials(key="thekey", secret="thesecret"))
    confirmed_orders_link(codec, 1_645_423_376_532_000_000)
    message = codec.encode(order(), 1_645_423_376_532_000_000)
    assert isinstance(message, WsMessage)
    sent = json.loads(message.data)
    params = sent["params"]
    assert sent["method"] == "order.place"
    assert sent["id"] == params["newClientOrderId"] == "aaL000001000010100"
    assert params["signature"] == HmacSigner("thesecret").sign(ws_payload(params))
    assert {name: params[name] for name in ("symbol", "side", "type", "timeInForce", "quantity", "price")} == {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": "0.01",
        "price": "52000",
    }
    assert (params["timestamp"], params["recvWindow"]) == (1_645_423_376_532, 1_000)


@pytest.mark.parametrize("secret", ["", "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n"])
def test_a_secret_that_is_no_key_is_named_before_any_socket(secret: str) -> None:
    with pytest.raises(ValueError, match="binance: the secret"):
        BinanceCodec(BinanceSettings(), ["BTC/USDT"], Credentials(key="k", secret=secret))


def test_an_rsa_key_is_refused_with_a_reason() -> None:
    pem = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="not an Ed25519 key"):
        signer(Credentials(key="k", secret=pem.decode()))
