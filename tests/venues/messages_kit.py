"""Messages of both venues that bring numbers to the core, each sent to a codec that waits for it; and a check of those
numbers. Written by hand to the shapes of the venues' documents (Binance 2026-07-21, KuCoin 2025-11).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

import binance_talk
import kucoin_kit
from binance_talk import HMAC, XRP, commission, exchange_info
from tradeserver.core.commands import (
    CancelOrder,
    Command,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    RequestAccount,
    RequestSnapshot,
)
from tradeserver.core.events import Event
from tradeserver.venues.binance import BinanceSettings
from tradeserver.venues.kucoin.settings import KucoinSettings

MOST = 10**18
Path = tuple[str | int, ...]
"""Where a number stands in a message."""


class Case(NamedTuple):
    """A message, and where the numbers are that reach the core. `signed` ones may be below zero: commission."""

    channel: str
    message: Any
    numbers: Sequence[Path]
    signed: Sequence[Path] = ()


def assert_numbers(events: Sequence[Event]) -> int:
    """No event carries a number that is none, or that is absurd. How many numbers there were."""
    count = 0
    stack: list[Any] = list(events)
    while stack:
        value = stack.pop()
        if isinstance(value, Decimal | float):
            count += 1
            assert math.isfinite(value), events
            assert abs(value) <= MOST, events
        elif isinstance(value, msgspec.Struct):
            stack += [getattr(value, name) for name in value.__struct_fields__]
        elif isinstance(value, tuple | list):
            stack += value
        elif isinstance(value, dict):
            stack += value.values()
    return count


# ---- frames ---------------------------------------------------------------------------------------------------------


TRADED: dict[str, Any] = {
    "subscriptionId": 0,
    "event": {
        "e": "executionReport",
        "E": 1700000000010,
        "s": "XRPUSDT",
        "c": "aaL",
        "S": "BUY",
        "o": "LIMIT",
        "f": "IOC",
        "q": "20",
        "p": "0.6",
        "C": "",
        "x": "TRADE",
        "X": "FILLED",
        "r": "NONE",
        "i": 5,
        "l": "20",
        "z": "20",
        "L": "0.5998",
        "n": "0.02",
        "N": "XRP",
        "T": 1700000000009,
        "t": 17,
        "m": False,
    },
}
FILL = {"price": "0.5998", "qty": "20", "commission": "0.02", "commissionAsset": "XRP", "tradeId": 17}
PLACED: dict[str, Any] = {
    "id": "aaL",
    "status": 200,
    "result": {
        "symbol": "XRPUSDT",
        "orderId": 5,
        "orderListId": -1,
        "clientOrderId": "aaL",
        "transactTime": 1700000000009,
        "price": "0.6",
        "origQty": "20",
        "executedQty": "20",
        "cummulativeQuoteQty": "11.996",
        "status": "FILLED",
        "timeInForce": "IOC",
        "type": "LIMIT",
        "side": "BUY",
        "fills": [FILL],
    },
}
LEVELS: list[Path] = [("data", side, 0, n) for side in ("b", "a") for n in (0, 1)]
BINANCE = {
    "depth": Case(
        "market",
        {
            "stream": "xrpusdt@depth@100ms",
            "data": {"e": "depthUpdate", "E": 1, "s": "XRPUSDT", "U": 1, "u": 2, "b": [["1", "2"]], "a": [["3", "0"]]},
        },
        LEVELS,
    ),
    "quote": Case(
        "market",
        {"stream": "xrpusdt@bookTicker", "data": {"u": 1, "s": "XRPUSDT", "b": "1", "B": "2", "a": "3", "A": "4"}},
        [("data", key) for key in "bBaA"],
    ),
    "trade": Case(
        "market",
        {
            "stream": "xrpusdt@trade",
            "data": {"e": "trade", "E": 1, "s": "XRPUSDT", "t": 1, "p": "1", "q": "2", "T": 1, "m": True},
        },
        [("data", "p"), ("data", "q")],
    ),
    "execution report": Case("user", TRADED, [("event", key) for key in "lzL"], [("event", "n")]),
    "balances": Case(
        "user",
        {
            "subscriptionId": 0,
            "event": {"e": "outboundAccountPosition", "E": 1, "u": 1, "B": [{"a": "X", "f": "1", "l": "0"}]},
        },
        [("event", "B", 0, "f"), ("event", "B", 0, "l")],
    ),
    "placement": Case(
        "orders",
        PLACED,
        [("result", "executedQty"), *(("result", "fills", 0, key) for key in ("price", "qty"))],
        [("result", "fills", 0, "commission")],
    ),
}
MATCHED = kucoin_kit.order_push(
    type="match", status="match", matchPrice="0.511", matchSize="1", tradeId="1", liquidity="taker", filledSize="1"
)
ENDED = kucoin_kit.order_push(type="canceled", status="done", canceledSize="19", filledSize="1")
UNSAID = {key: value for key, value in ENDED["data"].items() if key != "filledSize"}
BALANCE = {
    "accountId": "54",
    "currency": "USDT",
    "total": "21",
    "available": "20",
    "hold": "1",
    "availableChange": "-1",
    "holdChange": "1",
    "relationEvent": "trade.hold",
    "relationEventId": "9",
    "relationContext": {},
    "time": "1742000000123",
}
PUSH = {"type": "message", "topic": "/market/ticker:XRP-USDT", "subject": "trade.ticker"}
TICKER = {"sequence": "42", "price": "1", "size": "3", "bestAsk": "2", "bestAskSize": "1", "bestBid": "1"}
TRADE = {"symbol": "XRP-USDT", "price": "1", "size": "3", "side": "buy", "tradeId": "7", "sequence": "7"}
MATCH_IDS = {"makerOrderId": "1", "takerOrderId": "2", "time": "1742000000123000000", "type": "match"}
LEVEL1 = {"asks": ["0.51", "120"], "bids": ["0.509", "80"], "timestamp": 1}
KUCOIN = {
    "depth": Case(
        "market",
        kucoin_kit.level2(11, 12, [["0.52", "5", "11"]], [["0", "0", "12"]]),
        [("data", "changes", side, 0, n) for side in ("asks", "bids") for n in (0, 1)],
    ),
    "level1": Case(
        "market",
        {"topic": "/spotMarket/level1:XRP-USDT", "type": "message", "subject": "level1", "data": LEVEL1},
        [("data", side, n) for side in ("asks", "bids") for n in (0, 1)],
    ),
    "ticker": Case(
        "market",
        PUSH | {"data": TICKER | {"bestBidSize": "80", "time": 1}},
        [("data", key) for key in ("bestAsk", "bestAskSize", "bestBid", "bestBidSize")],
    ),
    "trade": Case(
        "market",
        PUSH | {"topic": "/market/match:XRP-USDT", "subject": "trade.l3match", "data": TRADE | MATCH_IDS},
        [("data", "price"), ("data", "size")],
    ),
    "match": Case("user", MATCHED, [("data", "matchPrice"), ("data", "matchSize")]),
    "end": Case("user", ENDED, [("data", "filledSize")]),
    "end without filledSize": Case(
        "user", ENDED | {"data": UNSAID}, [("data", "originSize"), ("data", "canceledSize")]
    ),
    "balance": Case(
        "user",
        {"topic": "/account/balance", "type": "message", "subject": "account.balance", "data": BALANCE},
        [("data", "available"), ("data", "hold")],
    ),
}
FRAMES = [(f"binance {n}", case) for n, case in BINANCE.items()] + [(f"kucoin {n}", c) for n, c in KUCOIN.items()]


def receiver(name: str) -> Callable[[str, Any], list[Event]]:
    if name.startswith("binance"):
        return binance_talk.Talk(HMAC, settings=BinanceSettings(trades=True)).ready().frame
    talk = kucoin_kit.Talk(settings=KucoinSettings(trades=True))
    talk.up()
    return talk.frame


# ---- answers --------------------------------------------------------------------------------------------------------

BOOK = {"lastUpdateId": 104, "bids": [["0.5", "10"]], "asks": [["0.6", "20"]]}
ORDER = {
    "symbol": "XRPUSDT",
    "orderId": 5,
    "orderListId": -1,
    "clientOrderId": "a",
    "price": "0.6",
    "origQty": "20",
    "executedQty": "7",
    "cummulativeQuoteQty": "4.2",
    "status": "PARTIALLY_FILLED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "time": 1700000000000,
    "updateTime": 1700000000009,
    "isWorking": True,
}
CANCELED = {key: ORDER[key] for key in ORDER if key not in ("time", "updateTime", "isWorking")} | {
    "origClientOrderId": "a",
    "status": "CANCELED",
    "transactTime": 1700000000009,
}
TRADE_ROW = {
    "symbol": "XRPUSDT",
    "id": 17,
    "orderId": 5,
    "price": "0.5998",
    "qty": "20",
    "quoteQty": "11.996",
    "commission": "0.02",
    "commissionAsset": "XRP",
    "time": 1700000000009,
    "isBuyer": True,
    "isMaker": False,
}
ACCOUNT = {
    "makerCommission": 10,
    "takerCommission": 10,
    "buyerCommission": 0,
    "sellerCommission": 0,
    "canTrade": True,
    "canWithdraw": False,
    "canDeposit": True,
    "updateTime": 1700000000009,
    "accountType": "SPOT",
    "balances": [{"asset": "XRP", "free": "1000", "locked": "1"}],
}
RULES: list[Path] = [
    *(("symbols", 0, "filters", 0, "tickSize"), ("symbols", 0, "filters", 2, "minNotional")),
    *(("symbols", 0, "filters", 1, key) for key in ("minQty", "maxQty", "stepSize")),
]
RATES: list[Path] = [
    (kind, key)
    for kind in ("standardCommission", "taxCommission", "specialCommission")
    for key in ("maker", "taker", "buyer", "seller")
]
_ON = {"venue": "binance", "symbol": "XRP/USDT"}
BINANCE_ANSWERS: dict[str, tuple[Command | None, str, Case]] = {
    "rules": (None, "/api/v3/exchangeInfo", Case("", exchange_info(XRP), RULES)),
    "commission": (
        None,
        "/api/v3/account/commission",
        Case("", commission(discount=True), (), [*RATES, ("discount", "discount")]),
    ),
    "snapshot": (
        RequestSnapshot(**_ON, reason="test"),
        "/api/v3/depth",
        Case("", BOOK, [("bids", 0, 0), ("bids", 0, 1), ("asks", 0, 0), ("asks", 0, 1)]),
    ),
    "order": (QueryOrder(**_ON, client_id="a"), "/api/v3/order", Case("", ORDER, [("executedQty",)])),
    "open orders": (
        QueryOpenOrders(venue="binance"),
        "/api/v3/openOrders",
        Case("", [ORDER], [(0, "price"), (0, "origQty"), (0, "executedQty")]),
    ),
    "fills": (
        QueryFills(**_ON, client_id="a", venue_order_id="5"),
        "/api/v3/myTrades",
        Case("", [TRADE_ROW], [(0, "price"), (0, "qty")], [(0, "commission")]),
    ),
    "account": (
        RequestAccount(venue="binance"),
        "/api/v3/account",
        Case("", ACCOUNT, [("balances", 0, "free"), ("balances", 0, "locked")]),
    ),
    "cancel": (CancelOrder(**_ON, client_id="a"), "/api/v3/order", Case("", CANCELED, [("executedQty",)])),
}


def ask_binance(command: Command | None, path: str, body: Any) -> list[Event]:
    """The events of one answer, whichever part of the codec asked."""
    talk = binance_talk.Talk(HMAC)
    if command is None:
        talk.start()
        if path != "/api/v3/exchangeInfo":
            talk.answer("/api/v3/exchangeInfo", exchange_info())
            talk.settle_clock()
            talk.tick()
        return talk.answer(path, body)
    talk.ready()
    talk.closed("orders")  # orders go by REST
    if path == "/api/v3/depth":
        talk.frame("market", BINANCE["depth"].message)
        talk.requests.clear()
    talk.encode(command)
    return talk.answer(path, body)


KUCOIN_RULES = ("priceIncrement", "baseIncrement", "baseMinSize", "baseMaxSize", "minFunds")
KUCOIN_LABELS: dict[str, tuple[Command | None, str, Case]] = {
    "rules": (
        None,
        "GET /api/v2/symbols",
        Case(
            "", [kucoin_kit.XRP], [(0, key) for key in ("priceIncrement", "baseIncrement", "baseMinSize", "minFunds")]
        ),
    ),
    "fees": (
        None,
        "GET /api/v1/trade-fees",
        Case(
            "",
            [{"symbol": "XRP-USDT", "takerFeeRate": "0.001", "makerFeeRate": "0.001"}],
            (),
            [(0, "takerFeeRate"), (0, "makerFeeRate")],
        ),
    ),
    "order": (
        QueryOrder(venue="kucoin", symbol="XRP/USDT", client_id="a1"),
        "GET /api/v1/hf/orders/client-order/",
        Case("", kucoin_kit.order_row(), [("dealSize",)]),
    ),
    "open orders": (
        QueryOpenOrders(venue="kucoin"),
        "GET /api/v1/hf/orders/active",
        Case("", [kucoin_kit.order_row()], [(0, "price"), (0, "size"), (0, "dealSize")]),
    ),
    "fills": (
        QueryFills(venue="kucoin", symbol="XRP/USDT", client_id="a1", venue_order_id="67"),
        "GET /api/v1/hf/fills",
        Case(
            "",
            {"items": [kucoin_kit.fill_row()], "lastId": 5},
            [("items", 0, "price"), ("items", 0, "size")],
            [("items", 0, "fee")],
        ),
    ),
    "account": (
        RequestAccount(venue="kucoin"),
        "GET /api/v1/accounts",
        Case(
            "",
            [{"id": "1", "currency": "USDT", "type": "trade", "balance": "2", "available": "1", "holds": "1"}],
            [(0, "balance"), (0, "available"), (0, "holds")],
        ),
    ),
    "snapshot": (
        RequestSnapshot(venue="kucoin", symbol="XRP/USDT", reason="test"),
        "GET /api/v3/market/orderbook/level2",
        Case(
            "",
            {"time": 1, "sequence": "42", "bids": [["0.5", "2"]], "asks": [["0.6", "1"]]},
            [("bids", 0, 0), ("bids", 0, 1), ("asks", 0, 0), ("asks", 0, 1)],
        ),
    ),
}


def ask_kucoin(command: Command | None, label: str, data: Any) -> list[Event]:
    """The same; bytes are the whole body, anything else is the envelope's data."""
    talk = kucoin_kit.Talk()
    if label == "GET /api/v2/symbols":
        talk.done(talk.codec.start(talk.now))
    elif command is None:
        talk.boot()
    else:
        talk.up()
        if label.endswith("orderbook/level2"):
            talk.frame("market", KUCOIN["depth"].message)
            talk.requests.clear()
        talk.command(command)
    return talk.raw(label, 200, data) if isinstance(data, bytes) else talk.answer(label, data)
