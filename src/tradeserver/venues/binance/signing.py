"""How Binance wants requests signed: pure functions of key and payload.

- REST: the parameters are percent-encoded first, and exactly that text is signed (rest-api.md, "Signed endpoint
  security", 2026-07-21; before 2026-01-15 it was the other way round).
- WS API: all parameters but `signature`, sorted by name, joined `k=v&k=v` as raw UTF-8 (web-socket-api.md, "SIGNED
  request example").
- HMAC-SHA256 gives hex; Ed25519 gives base64, which must be percent-encoded in a query. RSA keys are not supported.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Protocol
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tradeserver.venues.base import Credentials


class Signer(Protocol):
    """Turns a payload into the venue's signature."""

    def sign(self, payload: str) -> str:
        """The signature of `payload`, as the venue wants it in `signature`."""
        ...


class HmacSigner:
    """HMAC-SHA256, hex. The key schedule is computed once."""

    def __init__(self, secret: str) -> None:
        self._keyed = hmac.new(secret.encode(), digestmod=hashlib.sha256)

    def sign(self, payload: str) -> str:
        return sign_rest_of(self._keyed, payload)

    def begin(self, prefix: str) -> hmac.HMAC:
        """A state that has already read `prefix`: for payloads that all begin alike."""
        state = self._keyed.copy()
        state.update(prefix.encode())
        return state


def sign_rest_of(state: hmac.HMAC, rest: str) -> str:
    """The signature of what `state` has read, followed by `rest`; `state` stays as it is."""
    state = state.copy()
    state.update(rest.encode())
    return state.hexdigest()


class Ed25519Signer:
    """Ed25519, base64. About 20 us a signature: used to log on, never per order on an authenticated connection."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def sign(self, payload: str) -> str:
        return base64.b64encode(self._key.sign(payload.encode())).decode()


def signer(credentials: Credentials) -> HmacSigner | Ed25519Signer:
    """The signer for a key pair: a PEM secret is an Ed25519 key, anything else an HMAC secret. Else ValueError."""
    if "-----BEGIN" not in credentials.secret:
        if not credentials.secret:
            raise ValueError("binance: the secret is empty")
        return HmacSigner(credentials.secret)
    try:
        key = load_pem_private_key(credentials.secret.encode(), password=None)
    except (TypeError, ValueError) as error:
        raise ValueError("binance: the secret looks like a PEM key but cannot be read (encrypted, damaged?)") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("binance: the PEM key is not an Ed25519 key; create an Ed25519 or an HMAC key")
    return Ed25519Signer(key)


def rest_payload(params: Iterable[tuple[str, str]]) -> str:
    """`[("symbol", "LTCBTC"), ...]` -> "symbol=LTCBTC&...", percent-encoded, in the given order."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in params)


def ws_payload(params: Mapping[str, str | int]) -> str:
    """The text to sign of a WS API request: sorted by name, raw."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
