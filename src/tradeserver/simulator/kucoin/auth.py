"""Who sent a KuCoin request, and whether it is genuine and fresh.

Rules (KuCoin "Authentication" and "Add Order - WebSocket" pages, 2025-11):
- REST: KC-API-SIGN = base64(HMAC-SHA256(secret, timestamp + METHOD + path[?query] + body)); the query is signed as it
  reads before url-encoding. KC-API-PASSPHRASE = base64(HMAC-SHA256(secret, passphrase)) for key versions 2 and 3.
- The clock must be within 5 s: 400002.
- Order entry: the URL carries apikey, timestamp, sign = base64(HMAC(secret, apikey + timestamp)) and the passphrase as
  above; then the client answers the challenge with base64(HMAC(secret, that very text)).

Written from the document; it shares nothing with the trader's signer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import unquote

from tradeserver.simulator.kucoin import errors

CLOCK_MS = 5_000
NEEDED = ("kc-api-key", "kc-api-sign", "kc-api-timestamp", "kc-api-passphrase")
KNOWN_VERSIONS = ("1", "2", "3")
ACCEPTED_VERSIONS = ("2", "3")


def api_key(headers: Mapping[str, str]) -> str:
    """The key of a signed request (lower-case header names); refuses 400001 when any of the four headers is missing."""
    if any(not headers.get(name) for name in NEEDED):
        raise errors.headers_missing()
    return headers["kc-api-key"]


def check_request(
    headers: Mapping[str, str],
    method: str,
    path: str,
    query: str,
    body: bytes,
    secret: str,
    passphrase: str,
    now_ns: int,
) -> None:
    """Refuse a request whose clock, version, passphrase or signature is wrong. `query` as it was sent."""
    check_time(headers["kc-api-timestamp"], now_ns)
    version = headers.get("kc-api-key-version", "1")
    if version not in KNOWN_VERSIONS:
        raise errors.bad_version()
    if version not in ACCEPTED_VERSIONS:
        raise errors.old_key()
    check_passphrase(headers["kc-api-passphrase"], secret, passphrase)
    target = path + ("?" + unquote(query) if query else "")
    signed = (headers["kc-api-timestamp"] + method + target).encode() + body
    check_signature(headers["kc-api-sign"], secret, signed)


def check_time(stamp: str, now_ns: int) -> None:
    """Refuse (400002) a stamp (ms) more than 5 s from the clock, or no number."""
    if not (stamp.isdecimal() and len(stamp) <= 20) or abs(int(stamp) - now_ns // 1_000_000) > CLOCK_MS:
        raise errors.bad_timestamp()


def check_passphrase(sent: str, secret: str, passphrase: str) -> None:
    """Refuse (400004) a wrong passphrase."""
    if not hmac.compare_digest(sign(secret, passphrase.encode()).encode(), sent.encode(errors="replace")):
        raise errors.bad_passphrase()


def check_signature(sent: str, secret: str, signed: bytes) -> None:
    """Refuse (400005) a wrong signature."""
    if not hmac.compare_digest(sign(secret, signed).encode(), sent.encode(errors="replace")):
        raise errors.bad_signature()


def sign(secret: str, data: bytes) -> str:
    """base64(HMAC-SHA256(secret, data))."""
    return base64.b64encode(hmac.new(secret.encode(), data, hashlib.sha256).digest()).decode()
