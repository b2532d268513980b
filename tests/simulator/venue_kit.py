"""What the tests of the two fronts share: a venue with known books, and clients that sign by hand.

The signatures here are written from the venues' documents once more; nothing of the fronts' own checks is used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

from tradeserver.simulator.accounts import Account, ApiKey, Fees, Rates
from tradeserver.simulator.binance.front import BinanceFront
from tradeserver.simulator.config import LimitsConfig, VenueConfig
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.faults import Faults
from tradeserver.simulator.front import Close, HttpIn, HttpOut, Ping
from tradeserver.simulator.kucoin.front import KucoinFront
from tradeserver.simulator.types import FeeModel, Side, Symbol

D = Decimal
T0 = 1_700_000_000_000_000_000  # 2023-11-14T22:13:20Z
MS = 1_000_000
S = 1_000_000_000

# The key pairs are the venues' own published examples.
BINANCE_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
BINANCE_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
KUCOIN_KEY = "5c2db93503aa674c74a31734"
KUCOIN_SECRET = "f03a5284-5c39-4aaa-9b20-dea10bdcf8e3"
KUCOIN_PASSPHRASE = "Ab12345678)(*&^%$#@"

XRP_B = Symbol(
    name="XRP/USDT",
    native="XRPUSDT",
    base="XRP",
    quote="USDT",
    tick=D("0.0001"),
    lot=D("1"),
    min_quantity=D("1"),
    max_quantity=D("9000000"),
    min_notional=D("5"),
    price_limit_rate=D("0.8"),
)
BTC_B = Symbol(
    name="BTC/USDT",
    native="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick=D("0.01"),
    lot=D("0.00001"),
    min_quantity=D("0.00001"),
    max_quantity=D("9000"),
    min_notional=D("5"),
)
XRP_K = Symbol(
    name="XRP/USDT",
    native="XRP-USDT",
    base="XRP",
    quote="USDT",
    tick=D("0.00001"),
    lot=D("0.0001"),
    min_quantity=D("0.1"),
    min_notional=D("0.1"),
)
BTC_K = Symbol(
    name="BTC/USDT",
    native="BTC-USDT",
    base="BTC",
    quote="USDT",
    tick=D("0.1"),
    lot=D("0.00000001"),
    min_quantity=D("0.00001"),
    min_notional=D("0.1"),
)
RATES = Rates(D("0.001"), D("0.001"))
BALANCES = {"USDT": D(100_000), "XRP": D(10_000), "BTC": D(5)}


def settings(venue: str, **limits: int) -> VenueConfig:
    return VenueConfig(
        symbols=(XRP_B, BTC_B) if venue == "binance" else (XRP_K, BTC_K),
        fee_model=FeeModel.RECEIVED if venue == "binance" else FeeModel.QUOTE,
        rates=RATES,
        commission_decimals=8 if venue == "binance" else None,
        limits=LimitsConfig(**limits),
    )


def exchange(venue: str, keys: tuple[ApiKey, ...], config: VenueConfig, **balances: str) -> Exchange:
    """Books of both symbols: XRP 1.1340 / 1.1350, BTC 57000 / 57100, ten levels a side."""
    account = Account("main", keys, {**BALANCES, **{k: D(v) for k, v in balances.items()}}, RATES)
    fees = Fees(config.fee_model, config.commission_decimals)
    result = Exchange(venue, config.symbols, [account], fees, ids_forever=venue == "kucoin", first_id=1000)
    for name, bid, ask, step, size in (
        ("XRP/USDT", D("1.1340"), D("1.1350"), D("0.0010"), D(100)),
        ("BTC/USDT", D(57_000), D(57_100), D(10), D("0.5")),
    ):
        for level in range(10):
            result.add_participant(name, Side.BUY, bid - step * level, size)
            result.add_participant(name, Side.SELL, ask + step * level, size)
        result.flush(name, T0)
    result.take_events()
    return result


class Venue:
    """A front, its exchange, its faults, and what it has said so far."""

    def __init__(self, venue: str, keys: tuple[ApiKey, ...] = (), config: VenueConfig | None = None, **balances: str):
        config = config or settings(venue)
        self.exchange = exchange(venue, keys or default_keys(venue), config, **balances)
        self.faults = Faults(random.Random(1))
        kind = BinanceFront if venue == "binance" else KucoinFront
        self.front = kind(self.exchange, self.faults, config, random.Random(2))
        self.front.origin = "127.0.0.1:40123"
        self.now = T0
        self._conn = 0

    def http(self, method: str, path: str, query: str = "", body: bytes = b"", **headers: str) -> HttpOut:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.front.http(HttpIn(method, path, query, names, body), self.now)

    def connect(self, path: str, query: str = "") -> int:
        self._conn += 1
        assert self.front.connect(self._conn, path, query, {}, "127.0.0.1", self.now) is True
        return self._conn

    def send(self, conn: int, frame: Any) -> None:
        self.front.message(conn, frame if isinstance(frame, str) else json.dumps(frame), self.now)

    def wait(self, ns: int) -> None:
        self.now += ns
        self.exchange.tick(self.now)
        self.front.tick(self.now)

    def heard(self, conn: int) -> list[Any]:
        """Text frames (decoded), pings and closes for one connection since the last call; others stay."""
        mine = [what for to, what in self.front.outgoing if to == conn]
        self.front.outgoing[:] = [(to, what) for to, what in self.front.outgoing if to != conn]
        return [what if isinstance(what, Ping | Close) else json.loads(what) for what in mine]


def default_keys(venue: str) -> tuple[ApiKey, ...]:
    if venue == "binance":
        return (ApiKey(key=BINANCE_KEY, secret=BINANCE_SECRET),)
    return (ApiKey(key=KUCOIN_KEY, secret=KUCOIN_SECRET, passphrase=KUCOIN_PASSPHRASE),)


def body_of(answer: HttpOut) -> Any:
    return json.loads(answer.body)


# ---- Binance ----


def hex_hmac(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def binance(venue: Venue, call: str, **params: Any) -> HttpOut:
    """A signed REST call, parameters in the query: binance(v, "POST /api/v3/order", symbol="XRPUSDT", ...)."""
    method, path = call.split()
    query = urlencode({**params, "timestamp": params.get("timestamp", venue.now // MS)})
    query += "&signature=" + hex_hmac(BINANCE_SECRET, query)
    return venue.http(method, path, query, x_mbx_apikey=BINANCE_KEY)


def limit_order(**changes: Any) -> dict[str, Any]:
    order = {
        "symbol": "XRPUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "20",
        "price": "1.13",
    }
    return {**order, **changes}


def ws_params(params: dict[str, Any], now_ns: int, secret: str = BINANCE_SECRET) -> dict[str, Any]:
    """WS API params with key, timestamp and signature over the sorted raw values."""
    full = {"apiKey": BINANCE_KEY, "timestamp": now_ns // MS, **params}
    payload = "&".join(f"{name}={full[name]}" for name in sorted(full))
    return {**full, "signature": hex_hmac(secret, payload)}


# ---- KuCoin ----


def b64_hmac(secret: str, payload: str | bytes) -> str:
    data = payload.encode() if isinstance(payload, str) else payload
    return base64.b64encode(hmac.new(secret.encode(), data, hashlib.sha256).digest()).decode()


def kucoin_headers(target: str, method: str, body: str, now_ns: int, **changes: str) -> dict[str, str]:
    stamp = changes.pop("stamp", str(now_ns // MS))
    secret = changes.pop("secret", KUCOIN_SECRET)
    headers = {
        "kc-api-key": KUCOIN_KEY,
        "kc-api-timestamp": stamp,
        "kc-api-sign": b64_hmac(secret, stamp + method + target + body),
        "kc-api-passphrase": b64_hmac(KUCOIN_SECRET, KUCOIN_PASSPHRASE),
        "kc-api-key-version": "3",
        "content-type": "application/json",
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    return headers


def kucoin(venue: Venue, call: str, body: dict[str, Any] | None = None, **changes: str) -> HttpOut:
    """A signed REST call: kucoin(v, "DELETE /api/v1/hf/orders/12?symbol=XRP-USDT")."""
    method, target = call.split()
    path, _, query = target.partition("?")
    text = json.dumps(body) if body is not None else ""
    headers = kucoin_headers(target, method, text, venue.now, **changes)
    return venue.front.http(HttpIn(method, path, query, headers, text.encode()), venue.now)


def kucoin_order(**changes: Any) -> dict[str, Any]:
    order = {"clientOid": "c-1", "side": "buy", "symbol": "XRP-USDT", "type": "limit", "size": "20", "price": "1.13"}
    return {name: value for name, value in {**order, **changes}.items() if value is not None}


def push(venue: Venue, *topics: str, private: bool = False) -> int:
    """A push connection that reads these topics; welcome and acks have been heard."""
    answer = kucoin(venue, "POST /api/v1/bullet-private") if private else venue.http("POST", "/api/v1/bullet-public")
    conn = venue.connect("/endpoint", f"token={body_of(answer)['data']['token']}&connectId=c{venue.now}")
    assert venue.heard(conn)[0]["type"] == "welcome"
    for topic in topics:
        venue.send(conn, {"id": "1", "type": "subscribe", "topic": topic, "response": True, "privateChannel": private})
        assert venue.heard(conn)[0] == {"id": "1", "type": "ack"}
    return conn


def entry(venue: Venue) -> int:
    """A verified order entry connection."""
    stamp = str(venue.now // MS)
    sign, word = b64_hmac(KUCOIN_SECRET, KUCOIN_KEY + stamp), b64_hmac(KUCOIN_SECRET, KUCOIN_PASSPHRASE)
    query = f"apikey={KUCOIN_KEY}&timestamp={stamp}&sign={quote(sign, safe='')}&passphrase={quote(word, safe='')}"
    conn = venue.connect("/v1/private", query)
    [(_, challenge)] = venue.front.outgoing
    venue.front.outgoing.clear()
    assert isinstance(challenge, str)
    venue.send(conn, b64_hmac(KUCOIN_SECRET, challenge))
    assert venue.heard(conn)[0]["data"] == "welcome"
    return conn
