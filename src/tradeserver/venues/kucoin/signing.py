"""KuCoin's signatures: a key pair in, headers and texts out. Pure; the time is passed in.

Source: KuCoin docs, "Authentication" and "Add/Cancel Order" (WebSocket), 2025-11. Every signature is
base64(HMAC-SHA256(secret, text)). The passphrase is signed by the secret too, alike for key versions 2 and 3, and never
changes, so it is computed once. Parameters are signed as they stand in the URL, which must not be encoded; our
parameters never need encoding.
"""

from __future__ import annotations

import hashlib
import hmac
from binascii import b2a_base64
from urllib.parse import quote

from tradeserver.venues.base import Credentials


class Signer:
    """Signs for one key. `key_version` is "3", or "2" for keys that old."""

    __slots__ = ("_key", "_keyed", "_passphrase", "_version")

    def __init__(self, credentials: Credentials, key_version: str = "3") -> None:
        self._keyed = hmac.new(credentials.secret.encode(), digestmod=hashlib.sha256)
        self._key = credentials.key
        self._passphrase = self.sign(credentials.passphrase)
        self._version = key_version

    def sign(self, text: str) -> str:
        """The base64 HMAC of `text`."""
        mac = self._keyed.copy()
        mac.update(text.encode())
        return b2a_base64(mac.digest(), newline=False).decode()

    def headers(self, time_ms: int, method: str, path: str, body: str = "") -> dict[str, str]:
        """The headers of a private call. `path` includes the query; `body` is signed byte for byte."""
        return {
            "KC-API-KEY": self._key,
            "KC-API-SIGN": self.sign(f"{time_ms}{method}{path}{body}"),
            "KC-API-TIMESTAMP": str(time_ms),
            "KC-API-PASSPHRASE": self._passphrase,
            "KC-API-KEY-VERSION": self._version,
            "Content-Type": "application/json",
        }

    def order_entry_url(self, url: str, time_ms: int) -> str:
        """Where to connect for WebSocket order entry; here the values are url-encoded."""
        sign = quote(self.sign(f"{self._key}{time_ms}"))
        passphrase = quote(self._passphrase)
        return f"{url}?apikey={quote(self._key)}&timestamp={time_ms}&sign={sign}&passphrase={passphrase}"
