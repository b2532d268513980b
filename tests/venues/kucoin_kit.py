"""A hand-held KuCoin codec: requests are kept until a test answers them, frames are written as dictionaries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tradeserver.core.commands import Command
from tradeserver.core.events import Event
from tradeserver.venues.base import Connect, Credentials, HttpRequest, OpenChannel, Reset, WsMessage
from tradeserver.venues.kucoin.codec import KucoinCodec
from tradeserver.venues.kucoin.settings import KucoinSettings

MS = 1_000_000
SECOND = 1_000_000_000
T0 = 1_742_000_000 * SECOND
KEYS = Credentials("SIM-key", "secret", "phrase")

XRP = {
    "symbol": "XRP-USDT",
    "name": "XRP-USDT",
    "baseCurrency": "XRP",
    "quoteCurrency": "USDT",
    "feeCurrency": "USDT",
    "market": "USDS",
    "baseMinSize": "0.1",
    "quoteMinSize": "0.1",
    "baseMaxSize": "10000000000",
    "quoteMaxSize": "99999999",
    "baseIncrement": "0.0001",
    "quoteIncrement": "0.000001",
    "priceIncrement": "0.00001",
    "priceLimitRate": "0.1",
    "minFunds": "0.1",
    "isMarginEnabled": True,
    "enableTrading": True,
}
BTC = XRP | {"symbol": "BTC-USDT", "name": "BTC-USDT", "baseCurrency": "BTC", "priceIncrement": "0.1"}
RENAMED = XRP | {"symbol": "BCHSV-USDT", "name": "BSV-USDT", "baseCurrency": "BSV"}


class Talk:
    """One codec and everything that it has said and not yet been answered. Time moves by hand."""

    def __init__(
        self,
        symbols: Sequence[str] = ("XRP/USDT",),
        credentials: Credentials | None = KEYS,
        settings: KucoinSettings | None = None,
    ) -> None:
        self.codec = KucoinCodec(settings or KucoinSettings(), symbols, credentials)
        self.now = T0
        self.requests: list[HttpRequest] = []
        self.sent: list[tuple[str, str]] = []  # (channel, text)
        self.connects: list[Connect] = []
        self.opens: list[str] = []
        self.resets: list[Reset] = []

    def take(self) -> None:
        """Sort what the codec left in `outgoing`."""
        for out in self.codec.outgoing:
            match out:
                case HttpRequest():
                    self.requests.append(out)
                case WsMessage():
                    self.sent.append((out.channel, out.data.decode()))
                case Connect():
                    self.connects.append(out)
                case OpenChannel():
                    self.opens.append(out.channel)
                case Reset():
                    self.resets.append(out)
        self.codec.outgoing.clear()

    def done(self, events: Sequence[Event]) -> list[Event]:
        self.take()
        return list(events)

    # ---- the world's side ----

    def find(self, label: str) -> HttpRequest:
        """The oldest unanswered request of that label."""
        for request in self.requests:
            if request.label == label:
                self.requests.remove(request)
                return request
        raise AssertionError(f"no {label} among {[r.label for r in self.requests]}")

    def raw(self, label: str, status: int, body: bytes, headers: dict[str, str] | None = None) -> list[Event]:
        request = self.find(label)
        return self.done(self.codec.receive_http(request.id, status, headers or {}, body, self.now))

    def answer(self, label: str, data: object, headers: dict[str, str] | None = None) -> list[Event]:
        return self.raw(label, 200, json.dumps({"code": "200000", "data": data}).encode(), headers)

    def refuse(self, label: str, code: str, msg: str = "", status: int = 200) -> list[Event]:
        return self.raw(label, status, json.dumps({"code": code, "msg": msg}).encode())

    def frame(self, channel: str, frame: dict[str, Any]) -> list[Event]:
        return self.done(self.codec.receive(channel, json.dumps(frame).encode(), self.now))

    def tick(self, after_ms: int = 10) -> list[Event]:
        self.now += after_ms * MS
        return self.done(self.codec.tick(self.now))

    def run(self, seconds: float) -> list[Event]:
        """Ticks of 10 ms."""
        return [event for _ in range(round(seconds * 100)) for event in self.tick()]

    def command(self, command: Command) -> dict[str, Any]:
        """Encode; a frame comes back parsed, a request is kept and comes back as its parts."""
        out = self.codec.encode(command, self.now)
        self.take()
        if isinstance(out, WsMessage):
            self.sent.append((out.channel, out.data.decode()))
            parsed: dict[str, Any] = json.loads(out.data)
            return parsed
        assert isinstance(out, HttpRequest)
        self.requests.append(out)
        return {"method": out.method, "url": out.url, "body": json.loads(out.body) if out.body else None}

    # ---- whole passages ----

    def boot(self, rows: Sequence[dict[str, Any]] = (XRP, BTC, RENAMED), offset_ms: int = 0) -> list[Event]:
        """Start; rules and clock are answered."""
        events = self.done(self.codec.start(self.now))
        events += self.answer("GET /api/v2/symbols", list(rows))
        for _ in range(5):
            asked = self.now
            self.now += 20 * MS
            events += self.answer("GET /api/v1/timestamp", (asked + 10 * MS) // MS + offset_ms)
        return events + self.done(self.codec.tick(self.now))

    def connect(self, channel: str) -> list[Event]:
        """Token, handshake, welcome and acks of a bullet channel."""
        out = self.codec.open(channel, self.now)
        assert isinstance(out, HttpRequest)
        self.requests.append(out)
        server = {"endpoint": "ws://127.0.0.1:1/x", "encrypt": False, "protocol": "websocket"}
        server |= {"pingInterval": 18000, "pingTimeout": 10000}
        self.answer(out.label, {"token": "tok==", "instanceServers": [server]})
        events = self.done(self.codec.opened(channel, self.now))
        said = len(self.sent)
        events += self.frame(channel, {"id": "whatever", "type": "welcome"})
        for where, text in self.sent[said:]:
            assert where == channel
            events += self.frame(channel, {"id": str(json.loads(text)["id"]), "type": "ack"})
        return events

    def log_on(self) -> list[Event]:
        """The whole log-on of order entry."""
        assert isinstance(self.codec.open("orders", self.now), Connect)
        events = self.done(self.codec.opened("orders", self.now))
        events += self.frame("orders", {"sessionId": "s1", "timestamp": 1742000000000})
        welcome = {"sessionId": "s1", "data": "welcome", "pingInterval": 18000, "pingTimeout": 10000}
        return events + self.frame("orders", welcome)

    def up(self) -> None:
        """Everything that a trading codec needs."""
        self.boot()
        for channel in ("market", "user"):
            self.connect(channel)
        self.log_on()


def level2(
    start: int, end: int, asks: list[list[str]], bids: list[list[str]], symbol: str = "XRP-USDT"
) -> dict[str, Any]:
    return {
        "topic": f"/market/level2:{symbol}",
        "type": "message",
        "subject": "trade.l2update",
        "data": {
            "changes": {"asks": asks, "bids": bids},
            "sequenceStart": start,
            "sequenceEnd": end,
            "symbol": symbol,
            "time": T0 // MS,
        },
    }


def order_push(**fields: Any) -> dict[str, Any]:
    data = {
        "clientOid": "a1",
        "orderId": "67",
        "orderTime": T0 // MS,
        "orderType": "limit",
        "originSize": "20",
        "side": "sell",
        "status": "new",
        "symbol": "XRP-USDT",
        "ts": T0,
        "type": "received",
    }
    return {
        "topic": "/spotMarket/tradeOrdersV2",
        "type": "message",
        "subject": "orderChange",
        "userId": "u",
        "channelType": "private",
        "data": data | fields,
    }


def order_row(**fields: Any) -> dict[str, Any]:
    row = {
        "id": "67",
        "clientOid": "a1",
        "symbol": "XRP-USDT",
        "opType": "DEAL",
        "type": "limit",
        "side": "sell",
        "price": "0.51",
        "size": "20",
        "funds": "10.2",
        "dealSize": "12.5",
        "dealFunds": "6.3875",
        "remainSize": "0",
        "remainFunds": "0",
        "cancelledSize": "7.5",
        "cancelledFunds": "3.825",
        "fee": "0.0063875",
        "feeCurrency": "USDT",
        "stp": None,
        "timeInForce": "IOC",
        "postOnly": False,
        "hidden": False,
        "iceberg": False,
        "visibleSize": "0",
        "cancelAfter": 0,
        "channel": "API",
        "remark": None,
        "tags": None,
        "cancelExist": True,
        "tradeType": "TRADE",
        "inOrderBook": False,
        "active": False,
        "tax": "0",
        "createdAt": T0 // MS,
        "lastUpdatedAt": T0 // MS + 5,
    }
    return row | fields


def fill_row(number: int = 1, **fields: Any) -> dict[str, Any]:
    row = {
        "id": 100 + number,
        "orderId": "67",
        "counterOrderId": "66",
        "tradeId": 9000 + number,
        "symbol": "XRP-USDT",
        "side": "sell",
        "liquidity": "taker",
        "type": "limit",
        "forceTaker": False,
        "price": "0.511",
        "size": "12.5",
        "funds": "6.3875",
        "fee": "0.0063875",
        "feeRate": "0.001",
        "feeCurrency": "USDT",
        "stop": "",
        "tradeType": "TRADE",
        "taxRate": "0",
        "tax": "0",
        "createdAt": T0 // MS + 4,
    }
    return row | fields
