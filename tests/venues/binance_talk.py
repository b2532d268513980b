"""A hand-held conversation with the Binance codec: the test plays the venue, one message at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tradeserver.core.commands import Command
from tradeserver.core.events import Event
from tradeserver.venues.base import Credentials, HttpRequest, OpenChannel, Reset, WsMessage
from tradeserver.venues.binance import BinanceCodec, BinanceSettings

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
SECOND = 1_000 * MS

HMAC = Credentials(key="thekey", secret="thesecret")
ED25519 = Credentials(
    key="thekey",
    secret=(  # the private key that the venue's own documents publish
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u\n"
        "-----END PRIVATE KEY-----\n"
    ),
)

XRP: dict[str, Any] = {
    "symbol": "XRPUSDT",
    "status": "TRADING",
    "baseAsset": "XRP",
    "baseAssetPrecision": 8,
    "quoteAsset": "USDT",
    "quotePrecision": 8,
    "quoteAssetPrecision": 8,
    "orderTypes": ["LIMIT"],
    "isSpotTradingAllowed": True,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.00010000", "maxPrice": "1000.00000000", "tickSize": "0.00010000"},
        {"filterType": "LOT_SIZE", "minQty": "0.10000000", "maxQty": "900000.00000000", "stepSize": "0.10000000"},
        {
            "filterType": "NOTIONAL",
            "minNotional": "5.00000000",
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "A_FILTER_OF_NEXT_YEAR", "howMuch": "3"},
    ],
    "permissionSets": [["SPOT"]],
}
LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 160000},
]


def exchange_info(*symbols: dict[str, Any]) -> dict[str, Any]:
    return {
        "timezone": "UTC",
        "serverTime": T0 // MS,
        "rateLimits": LIMITS,
        "exchangeFilters": [],
        "symbols": list(symbols or (XRP,)),
    }


def commission(symbol: str = "XRPUSDT", discount: bool = False) -> dict[str, Any]:
    zero = {"maker": "0", "taker": "0", "buyer": "0", "seller": "0"}
    return {
        "symbol": symbol,
        "standardCommission": zero | {"maker": "0.00080000", "taker": "0.00100000"},
        "taxCommission": zero | {"taker": "0.00002000"},
        "specialCommission": zero,
        "discount": {
            "enabledForAccount": discount,
            "enabledForSymbol": True,
            "discountAsset": "BNB",
            "discount": "0.25000000",
        },
    }


class Talk:
    """The codec and what it last asked for."""

    def __init__(
        self,
        credentials: Credentials | None = None,
        symbols: Sequence[str] = ("XRP/USDT",),
        settings: BinanceSettings | None = None,
    ) -> None:
        self.codec = BinanceCodec(settings or BinanceSettings(), symbols, credentials)
        self.ts = T0
        self.events: list[Event] = []
        self.requests: list[HttpRequest] = []
        self.frames: list[tuple[str, dict[str, Any]]] = []
        self.channels: list[str] = []
        self.resets: list[tuple[str, str]] = []

    # ---- what the codec wants ----

    def _collect(self, events: Sequence[Event] = ()) -> list[Event]:
        self.events += events
        for out in self.codec.outgoing:
            if isinstance(out, HttpRequest):
                self.requests.append(out)
            elif isinstance(out, WsMessage):
                self.frames.append((out.channel, json.loads(out.data)))
            elif isinstance(out, OpenChannel):
                self.channels.append(out.channel)
            elif isinstance(out, Reset):
                self.resets.append((out.channel, out.reason))
        self.codec.outgoing.clear()
        return list(events)

    def start(self) -> list[Event]:
        return self._collect(self.codec.start(self.ts))

    def tick(self, after_ns: int = 0) -> list[Event]:
        self.ts += after_ns
        return self._collect(self.codec.tick(self.ts))

    def opened(self, channel: str) -> list[Event]:
        return self._collect(self.codec.opened(channel, self.ts))

    def closed(self, channel: str, reason: str = "gone") -> list[Event]:
        return self._collect(self.codec.closed(channel, reason, self.ts))

    def encode(self, command: Command) -> dict[str, Any]:
        """The command's frame, or the query of its request."""
        out = self.codec.encode(command, self.ts)
        self._collect()
        if isinstance(out, WsMessage):
            return json.loads(out.data)  # type: ignore[no-any-return]
        assert isinstance(out, HttpRequest)
        self.requests.append(out)
        return query(out)

    # ---- what the venue says ----

    def frame(self, channel: str, payload: Any) -> list[Event]:
        data = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
        return self._collect(self.codec.receive(channel, data, self.ts))

    def answer(
        self,
        path: str,
        payload: Any,
        status: int = 200,
        headers: dict[str, str] | None = None,
        after_ns: int = 0,
    ) -> list[Event]:
        """Answer the oldest open request to `path`."""
        self.ts += after_ns
        request = next(each for each in self.requests if urlsplit(each.url).path == path)
        self.requests.remove(request)
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self._collect(self.codec.receive_http(request.id, status, headers or {}, body, self.ts))

    def answer_frame(self, result: Any, status: int = 200) -> list[Event]:
        """Answer the oldest open frame over the WS API."""
        channel, asked = self.frames.pop(0)
        return self.frame(channel, {"id": asked["id"], "status": status, "result": result})

    def fail_frame(self, code: int, msg: str, status: int = 400) -> list[Event]:
        channel, asked = self.frames.pop(0)
        return self.frame(channel, {"id": asked["id"], "status": status, "error": {"code": code, "msg": msg}})

    # ---- the usual beginning ----

    def settle_clock(self, offset_ms: int = 0) -> None:
        """Answer the whole series of time samples; each takes 2 ms there and back."""
        while any(urlsplit(each.url).path == "/api/v3/time" for each in self.requests):
            self.ts += 2 * MS
            # the venue stamped in the middle, and cut its stamp off to a millisecond
            self.answer("/api/v3/time", {"serverTime": (self.ts - MS) // MS + offset_ms})

    def ready(self) -> Talk:
        """Everything up: rules, clock, fees, all channels."""
        self.start()
        self.answer("/api/v3/exchangeInfo", exchange_info())
        self.settle_clock()
        self.tick()
        if "user" in self.channels:
            self.answer("/api/v3/account/commission", commission())
        for channel in list(self.channels):
            self.opened(channel)
            if channel == "market":
                _, request = self.frames.pop(0)
                self.frame(channel, {"result": None, "id": request["id"]})
            while self.frames:
                self.answer_frame({"subscriptionId": 0})
        self.events.clear()
        return self


def query(request: HttpRequest) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(request.url).query))


def names(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]
