"""KuCoin's bullet tokens: opaque texts that open the push WebSocket for 24 hours.

A token belongs to a key (private) or to nobody (public). Tokens are numbered and hashed with a seed, so that the same
run gives out the same tokens; expired ones are forgotten.
"""

from __future__ import annotations

import base64
import hashlib

TOKEN_NS = 24 * 3600 * 1_000_000_000
MOST_TOKENS = 10_000


class Tokens:
    """Given and still valid tokens."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._given = 0
        self._valid: dict[str, tuple[str, int]] = {}

    def give(self, key: str, now_ns: int) -> str:
        """A new token for the account behind `key`; "" for a public one."""
        self._given += 1
        digest = hashlib.sha256(f"{self._seed}:{self._given}".encode()).digest()
        token = base64.urlsafe_b64encode(digest).decode() + "." + base64.urlsafe_b64encode(digest[:16]).decode()
        self._valid[token] = (key, now_ns + TOKEN_NS)
        if len(self._valid) > MOST_TOKENS:
            del self._valid[next(iter(self._valid))]
        return token

    def owner(self, token: str, now_ns: int) -> str | None:
        """The key behind a valid token ("" when public), None for an unknown or expired one."""
        key, until_ns = self._valid.get(token, ("", 0))
        if now_ns >= until_ns:
            self._valid.pop(token, None)
            return None
        return key
