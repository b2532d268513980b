"""Who sent a Binance request, and whether it is genuine and fresh.

Rules (rest-api.md "SIGNED endpoint security", web-socket-api.md "Request security", 2026-07-21):
- REST: the signed payload is the query string immediately followed by the body, as they were sent, without the
  `signature` parameter, wherever that stands. WS API: all params except `signature`, sorted by name, `k=v&k=v`, raw
  UTF-8, not percent-encoded.
- HMAC-SHA256 as hex in either case, or Ed25519 as base64, where case matters.
- Accepted iff `timestamp < server + 1000 ms` and `server - timestamp <= recvWindow` (default 5000, at most 60000, up to
  three decimals). The timestamp may be in microseconds.

Written from the document; it shares nothing with the trader's signer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tradeserver.simulator.accounts import ApiKey
from tradeserver.simulator.binance import errors
from tradeserver.simulator.binance.params import Params

DEFAULT_WINDOW_MS = Decimal(5000)
LONGEST_WINDOW_MS = Decimal(60000)
AHEAD_MS = 1000
MICROSECONDS_FROM = 10**14
"""A timestamp from here on is in microseconds: as milliseconds it would lie in the year 5138."""


def rest_payload(query: str, body: str) -> str:
    """What a REST request signs: "symbol=X&timestamp=1" + "quantity=1" -> "symbol=X&timestamp=1quantity=1"."""
    return _without_signature(query) + _without_signature(body)


def _without_signature(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


def rest_signature(query: str, body: str) -> str:
    """The signature as sent, percent-decoded ("+" is a base64 digit here, never a space); "" when there is none."""
    for part in (*query.split("&"), *body.split("&")):
        if part.startswith("signature="):
            return unquote(part.removeprefix("signature="))
    return ""


def ws_payload(params: Mapping[str, str]) -> str:
    """What a WS API request signs: {"timestamp": 1, "apiKey": "k"} -> "apiKey=k&timestamp=1"."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


def check_time(params: Params, now_ns: int) -> None:
    """Refuse (-1021) a request that is too old or too far ahead; refuse a malformed recvWindow."""
    stamp = params.need("timestamp")
    if not (stamp.isdecimal() and len(stamp) <= 20):
        raise errors.mandatory("timestamp")
    sent_ms = Decimal(stamp) / 1000 if int(stamp) >= MICROSECONDS_FROM else Decimal(stamp)
    window_ms = params.decimal("recvWindow")
    if window_ms is None:
        window_ms = DEFAULT_WINDOW_MS
    elif window_ms > LONGEST_WINDOW_MS:
        raise errors.Refused(-1131, "recvWindow must be less than 60000.")
    elif window_ms != window_ms.quantize(Decimal("0.001")):
        raise errors.too_precise("recvWindow")
    server_ms = Decimal(now_ns) / 1_000_000
    if sent_ms >= server_ms + AHEAD_MS:
        raise errors.ahead_of_server()
    # The server counts whole milliseconds; a stamp of this very millisecond is not yet old.
    if server_ms - sent_ms > window_ms and now_ns // 1_000_000 - sent_ms > window_ms:
        raise errors.outside_window()


def check_signature(key: ApiKey, payload: str, signature: str) -> None:
    """Refuse (-1022) unless `signature` is the one of `payload` under this key, HMAC or Ed25519."""
    if not signature:
        raise errors.mandatory("signature")
    data = payload.encode()
    genuine = (
        _ed25519_genuine(key.public_key, data, signature) if key.public_key else _hmac_genuine(key, data, signature)
    )
    if not genuine:
        raise errors.bad_signature()


def _hmac_genuine(key: ApiKey, data: bytes, signature: str) -> bool:
    expected = hmac.new(key.secret.encode(), data, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.lower().encode())


def _ed25519_genuine(public_key: str, data: bytes, signature: str) -> bool:
    try:
        _public_key(public_key).verify(base64.b64decode(signature, validate=True), data)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _public_key(text: str) -> Ed25519PublicKey:
    """From PEM, or from base64 of the raw 32 bytes."""
    if not text.lstrip().startswith("-----BEGIN"):
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text))
    public = load_pem_public_key(text.encode())
    if not isinstance(public, Ed25519PublicKey):
        raise TypeError("the account's key is not an Ed25519 key")
    return public
