"""A stranger with our key: places orders far from the market, which rest until somebody cancels them.

Raw signed REST to a simulator, written from the venues' documents and sharing nothing with the connectors: what a kill
has to find must not depend on the code that looks for it.

Source: Binance spot API docs, rest-api.md "New order", 2026-07-21; KuCoin docs, "Add Order", 2025-11.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

KEY = {"binance": "SIMbinance", "kucoin": "SIMkucoin"}
SECRET = {"binance": b"SIMbinance-secret", "kucoin": b"SIMkucoin-secret"}
PASSPHRASE = b"SIMkucoin-passphrase"
PRICES = {"XRP": ("2.0000", "10"), "BTC": ("61000.0", "0.0005"), "ETH": ("3050.00", "0.01")}
"""By base: a price some per cent below the demo's market (inside the venues' price limits), and a quantity."""


class RefusedError(Exception):
    """The venue did not take the order; its answer."""


class Stranger:
    """One connection to one simulated venue. `url` is the venue's REST base."""

    def __init__(self, venue: str, url: str) -> None:
        self.venue = venue
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)

    def place(self, number: int, base: str = "XRP", client_id: str = "") -> str:
        """Rest one order to buy; its client id. Raises RefusedError."""
        price, quantity = PRICES[base]
        client_id = client_id or f"drill{time.time_ns() % 10**12}n{number}"
        if self.venue == "binance":
            self._binance(base, client_id, price, quantity)
        else:
            self._kucoin(base, client_id, price, quantity)
        return client_id

    def _binance(self, base: str, client_id: str, price: str, quantity: str) -> None:
        query = urlencode(
            {
                "symbol": f"{base}USDT",
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": quantity,
                "price": price,
                "newClientOrderId": client_id,
                "recvWindow": 5_000,
                "timestamp": time.time_ns() // 1_000_000,
            }
        )
        signature = hmac.new(SECRET["binance"], query.encode(), hashlib.sha256).hexdigest()
        self._call("POST", f"/api/v3/order?{query}&signature={signature}", "", {"X-MBX-APIKEY": KEY["binance"]})

    def _kucoin(self, base: str, client_id: str, price: str, quantity: str) -> None:
        body = json.dumps(
            {
                "clientOid": client_id,
                "symbol": f"{base}-USDT",
                "side": "buy",
                "type": "limit",
                "timeInForce": "GTC",
                "price": price,
                "size": quantity,
            }
        )
        stamp, path = str(time.time_ns() // 1_000_000), "/api/v1/hf/orders"
        headers = {
            "KC-API-KEY": KEY["kucoin"],
            "KC-API-SIGN": _signed(f"{stamp}POST{path}{body}".encode()),
            "KC-API-TIMESTAMP": stamp,
            "KC-API-PASSPHRASE": _signed(PASSPHRASE),
            "KC-API-KEY-VERSION": "3",
            "Content-Type": "application/json",
        }
        self._call("POST", path, body, headers)

    def _call(self, method: str, path: str, body: str, headers: Mapping[str, str]) -> Any:
        self._connection.request(method, path, body or None, dict(headers))
        answer = self._connection.getresponse()
        text = answer.read()
        told = json.loads(text) if text.startswith(b"{") else {}
        if answer.status != 200 or told.get("code", "200000") != "200000":
            raise RefusedError(f"{self.venue} {answer.status}: {text[:200].decode(errors='replace')}")
        return told

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _signed(text: bytes) -> str:
    return base64.b64encode(hmac.digest(SECRET["kucoin"], text, hashlib.sha256)).decode()
