"""Which shape each stored Binance payload has, which have none, and which names of the venue's must have one.

The documents' samples are named by document and running number. `LISTED` holds those without a shape, each with its
reason; nothing of `NAMED`, the endpoints and events that a connector or simulator needs (fact sheet of the protocol,
section 1), may stand there. Hand-written samples stand for names of which no sample is stored. The number type is
`str`, so that "0.00000000" comes back as it went in.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tradeserver.wire import binance as w

S = str
USER_EVENT = (
    w.AccountPosition[S]
    | w.BalanceUpdate[S]
    | w.ExecutionReport[S]
    | w.ListStatus
    | w.ExternalLockUpdate[S]
    | w.EventStreamTerminated
    | w.ServerShutdown
)
CANCELED = w.CancelAnswer[S]
EMPTY = dict[str, str]
FLAT = dict[str, str | int | float | bool | list[str]]
"""The params of a request: a table of words and numbers."""

Name = tuple[str, int]

REST: dict[int, Any] = {
    1: EMPTY,
    2: w.ServerTime,
    3: w.ExchangeInfo[S],
    5: w.DepthSnapshot[S],
    10: list[w.KlineRow[S]],
    11: list[w.KlineRow[S]],
    22: list[w.PriceTicker[S]],
    23: w.RestBookTicker[S],
    24: list[w.RestBookTicker[S]],
    35: w.OrderAnswer[S],
    36: w.OrderAnswer[S],
    37: w.OrderAnswer[S],
    38: EMPTY,
    39: w.OrderCommission[S],
    40: w.CancelAnswer[S],
    41: w.ErrorBody,
    42: w.ErrorBody,
    44: w.CancelReplace,
    45: w.ErrorBody,
    46: w.ErrorBody,
    47: w.ErrorBody,
    48: w.ErrorBody,
    49: w.ErrorBody,
    50: w.ErrorBody,
    59: w.OrderListReport[S],
    60: w.OrderAnswer[S],
    61: w.OrderCommission[S],
    62: w.Account[S],
    63: w.OrderReport[S],
    64: list[w.OrderReport[S]],
    66: w.OrderListReport[S],
    68: list[w.OrderListReport[S]],
    69: list[w.AccountTrade[S]],
    73: w.Commission[S],
    75: w.MyFilters[S],
}
NO_RESULT = msgspec.Raw  # the answer is an error: nothing is decoded through this
WS_RESULT: dict[int, Any] = {
    2: NO_RESULT,
    7: w.ServerTime,
    9: w.ServerTime,
    10: list[w.OrderReport[S]],
    11: NO_RESULT,
    27: EMPTY,
    29: w.ServerTime,
    31: w.ExchangeInfo[S],
    35: w.DepthSnapshot[S],
    41: list[w.PublicTrade[S]],
    43: list[w.AggTrade[S]],
    47: list[w.KlineRow[S]],
    68: w.RestBookTicker[S],
    69: list[w.RestBookTicker[S]],
    72: w.ReferencePrice[S],
    75: NO_RESULT,
    81: w.SessionStatus,
    83: w.SessionStatus,
    85: w.OrderAnswer[S],
    86: w.OrderAnswer[S],
    87: w.OrderAnswer[S],
    89: EMPTY,
    90: w.OrderCommission[S],
    92: w.CancelAnswer[S],
    93: w.OrderListReport[S],
    98: NO_RESULT,
    124: list[w.OrderAnswer[S]],
    126: EMPTY,
    127: w.OrderCommission[S],
    129: w.Account[S],
    131: w.OrderReport[S],
    133: list[w.OrderReport[S]],
    135: list[w.OrderReport[S]],
    139: list[w.OrderListReport[S]],
    141: list[w.OrderListReport[S]],
    145: list[w.RateLimit],
    155: w.MyFilters[S],
    157: w.Subscribed,
    163: w.Subscribed,
}
WS_REQUESTS = [
    *(0, 6, 8, 14, 20, 23, 24, 26, 28, 30, 34, 38, 42, 54, 67, 70, 78, 80, 82, 91, 104, 113, 115, 119, 123, 125),
    *(128, 130, 134, 136, 138, 140, 146, 148, 150, 152, 154, 156, 162),
]
STREAM: dict[int, Any] = {
    0: w.ServerShutdown,
    1: w.Combined[w.ServerShutdown],
    2: w.StreamRequest,
    3: w.StreamAnswer,
    4: w.StreamRequest,
    5: w.StreamAnswer,
    8: w.StreamRequest,
    12: w.ReferencePriceEvent[S],
    13: w.AggTrade[S],
    14: w.TradeEvent[S],
    16: w.KlineEvent[S],
    17: w.KlineEvent[S],
    23: w.BookTicker[S],
    26: w.DepthUpdate[S],
}
SAMPLES: dict[Name, Any] = (
    {("rest-api.md", n): shape for n, shape in REST.items()}
    | {("web-socket-api.md", n): w.WsAnswer[shape] for n, shape in WS_RESULT.items()}  # type: ignore[valid-type]
    | {("web-socket-api.md", n): w.WsRequest[FLAT] for n in WS_REQUESTS}
    | {("web-socket-api.md", n): w.UserEvent[USER_EVENT] for n in (3, 4)}  # type: ignore[valid-type]
    | {("web-socket-streams.md", n): shape for n, shape in STREAM.items()}
    | {("user-data-stream.md", n): w.UserEvent[USER_EVENT] for n in (0, 1, 2, 5)}  # type: ignore[valid-type]
    | {("filters.md", n): w.Filter[S] for n in (0, 1, 3, 4, 5, 6, 7, 10, 16, 17, 18)}
)
MIXED: dict[Name, str] = {("rest-api.md", 43): "", ("web-socket-api.md", 108): "result"}
"""Answers to a cancel-all: orders and order lists in one array, told apart by a key; under this name in the sample."""

STATISTICS = "price statistics: nobody here trades on them"
LISTS = "a new order list: neither side places any"
PREVENTED = "prevented matches: orders here carry no self-trade prevention"
SMART = "smart order routing: neither side uses it"
AMENDS = "amending an order: neither side uses it, nor the history of it"
LISTED: dict[Name, str] = {
    ("rest-api.md", 15): STATISTICS,
    **{("rest-api.md", n): LISTS for n in (54, 55, 56, 57, 58)},
    ("rest-api.md", 71): PREVENTED,
    ("rest-api.md", 72): SMART,
    ("rest-api.md", 74): AMENDS,
    **{("web-socket-api.md", n): STATISTICS for n in (49, 52, 53, 57, 62)},
    ("web-socket-api.md", 76): "how a reference price is computed: only the price itself is known here",
    ("web-socket-api.md", 77): "how a reference price is computed: only the price itself is known here",
    ("web-socket-api.md", 106): AMENDS,
    **{("web-socket-api.md", n): LISTS for n in (112, 114, 116)},
    ("web-socket-api.md", 122): "cancelling an order list: neither side has any; its reports lack `origClientOrderId`",
    ("web-socket-api.md", 147): PREVENTED,
    ("web-socket-api.md", 153): AMENDS,
    ("web-socket-streams.md", 15): "block trades: not on the book",
    ("web-socket-streams.md", 18): STATISTICS,
}

NAUTILUS: dict[str, Any] = {
    "account_position.json": w.AccountPosition[S],
    "account_response.json": w.Account[S],
    "balance_update.json": w.BalanceUpdate[S],
    "book_ticker_response.json": w.RestBookTicker[S],
    "cancel_order_response.json": w.CancelAnswer[S],
    "depth_response.json": w.DepthSnapshot[S],
    "exchange_info_response.json": w.ExchangeInfo[S],
    "execution_report_canceled.json": w.ExecutionReport[S],
    "execution_report_new.json": w.ExecutionReport[S],
    "execution_report_trade.json": w.ExecutionReport[S],
    "klines_response.json": list[w.KlineRow[S]],
    "new_order_full_response.json": w.OrderAnswer[S],
    "open_orders_response.json": list[w.OrderReport[S]],
    "order_response.json": w.OrderReport[S],
    "ping_response.json": EMPTY,
    "server_time_response.json": w.ServerTime,
    "ticker_price_response.json": w.PriceTicker[S],
    "trades_response.json": list[w.PublicTrade[S]],
}
NAUTILUS_LISTED = {"avg_price_response.json": STATISTICS, "ticker_24hr_response.json": STATISTICS}

# ---- what a connector and a simulator need: the fact sheet's section 1, name by name ---------------------------------

# name -> the documents' sections, or files of nautilus_spot, whose samples show it; () where none is stored: then a
# hand-written one is (`HAND_WRITTEN`)
NAMED: dict[str, tuple[str, ...]] = {
    "GET /api/v3/ping": ("Test connectivity", "ping_response.json"),
    "GET /api/v3/time": ("Check server time", "server_time_response.json"),
    "GET /api/v3/exchangeInfo": ("Exchange information", "exchange_info_response.json"),
    "GET /api/v3/depth": ("Order book", "depth_response.json"),
    "GET /api/v3/trades": ("trades_response.json",),
    "GET /api/v3/aggTrades": ("Aggregate trades",),
    "GET /api/v3/klines": ("Kline/Candlestick data", "klines_response.json"),
    "GET /api/v3/ticker/bookTicker": ("Symbol order book ticker", "book_ticker_response.json"),
    "GET /api/v3/ticker/price": ("Symbol price ticker", "ticker_price_response.json"),
    "GET /api/v3/referencePrice": ("Query Reference Price",),
    "POST /api/v3/order": ("New order (TRADE)", "new_order_full_response.json"),
    "POST /api/v3/order/test": ("Test new order (TRADE)",),
    "DELETE /api/v3/order": ("Cancel order (TRADE)", "cancel_order_response.json"),
    "DELETE /api/v3/openOrders": ("Cancel All Open Orders on a Symbol (TRADE)",),
    "POST /api/v3/order/cancelReplace": ("Cancel an Existing Order and Send a New Order (TRADE)",),
    "GET /api/v3/order": ("Query order (USER_DATA)", "order_response.json"),
    "GET /api/v3/openOrders": ("Current open orders (USER_DATA)", "open_orders_response.json"),
    "GET /api/v3/allOrders": ("Account order history (USER_DATA)",),
    "GET /api/v3/myTrades": ("Account trade list (USER_DATA)",),
    "GET /api/v3/account": ("Account information (USER_DATA)", "account_response.json"),
    "GET /api/v3/account/commission": ("Query Commission Rates (USER_DATA)",),
    "GET /api/v3/rateLimit/order": ("Unfilled Order Count (USER_DATA)",),
    "GET /api/v3/myFilters": ("Query relevant filters (USER_DATA)", "Query Relevant Filters (USER_DATA)"),
    "GET /sapi/v1/asset/tradeFee": (),
    "GET /sapi/v1/margin/allPairs": (),
    "GET /sapi/v1/margin/isolated/allPairs": (),
    "SUBSCRIBE": ("Subscribe to a stream",),
    "UNSUBSCRIBE": ("Unsubscribe to a stream",),
    "LIST_SUBSCRIPTIONS": (),
    "SET_PROPERTY": ("Setting Properties",),
    "GET_PROPERTY": (),
    "stream error": (),
    "depthUpdate": ("Diff. Depth Stream",),
    "partial depth": (),
    "bookTicker": ("Individual Symbol Book Ticker Streams",),
    "trade": ("Trade Streams",),
    "aggTrade": ("Aggregate Trade Streams",),
    "kline": ("Kline/Candlestick Streams for UTC", "Kline/Candlestick Streams with timezone offset"),
    "referencePrice": ("Reference Price Streams",),
    "serverShutdown": ("Server Shutdown",),
    "WS API request": ("Request format",),
    "WS API answer": ("Response format",),
    "WS API event": ("Event format",),
    "WS API rateLimits": ("How to show/hide rate limit information",),
    "WS API ban": ("IP limits",),
    "WS API signed request": (
        "SIGNED request example (HMAC)",
        "SIGNED request example (RSA)",
        "SIGNED Request Example (Ed25519)",
    ),
    "ping": ("Test connectivity",),
    "time": ("Check server time",),
    "exchangeInfo": ("Exchange information",),
    "depth": ("Order book",),
    "ticker.book": ("Symbol order book ticker",),
    "session.logon": ("Log in with API key (SIGNED)",),
    "session.status": ("Query session status",),
    "session.logout": ("Log out of the session",),
    "order.place": ("Place new order (TRADE)",),
    "order.test": ("Test new order (TRADE)",),
    "order.cancel": ("Cancel order (TRADE)",),
    "order.cancelReplace": ("Cancel and replace order (TRADE)",),
    "order.status": ("Query order (USER_DATA)",),
    "openOrders.status": ("Current open orders (USER_DATA)",),
    "openOrders.cancelAll": ("Cancel open orders (TRADE)",),
    "allOrders": ("Account order history (USER_DATA)",),
    "myTrades": (),
    "account.status": ("Account information (USER_DATA)",),
    "account.rateLimits.orders": ("Unfilled Order Count (USER_DATA)",),
    "account.commission": ("Account Commission Rates (USER_DATA)",),
    "userDataStream.subscribe": ("Subscribe to User Data Stream (USER_STREAM)",),
    "userDataStream.subscribe.signature": (
        "Subscribe to User Data Stream through signature subscription (USER_STREAM)",
    ),
    "userDataStream.unsubscribe": (),
    "session.subscriptions": (),
    "revoked key": (),
    "outboundAccountPosition": ("Account Update", "account_position.json"),
    "balanceUpdate": ("Balance Update", "balance_update.json"),
    "executionReport": (
        "Order Update",
        "execution_report_canceled.json",
        "execution_report_new.json",
        "execution_report_trade.json",
    ),
    "listStatus": (),
    "externalLockUpdate": ("External Lock Update",),
    "eventStreamTerminated": (),
    **{
        name: (name,)
        for name in (
            *("PRICE_FILTER", "PERCENT_PRICE", "LOT_SIZE", "MIN_NOTIONAL", "NOTIONAL", "ICEBERG_PARTS"),
            *("MARKET_LOT_SIZE", "EXCHANGE_MAX_NUM_ALGO_ORDERS", "EXCHANGE_MAX_NUM_ICEBERG_ORDERS"),
            "EXCHANGE_MAX_NUM_ORDER_LISTS",
        )
    },
    "PERCENT_PRICE_BY_SIDE": (),
    "MAX_NUM_ORDERS": (),
    "MAX_NUM_ALGO_ORDERS": (),
    "MAX_POSITION": (),
    "TRAILING_DELTA": (),
    "MAX_ASSET": ("Query relevant filters (USER_DATA)",),
}
# Named only to say that they are gone, or that orders may end by them; neither side calls them and no sample is stored.
NOT_CALLED = {
    "POST /api/v3/userDataStream",
    "PUT /api/v3/userDataStream",
    "DELETE /api/v3/userDataStream",
    "userDataStream.start",
    "userDataStream.ping",
    "userDataStream.stop",
    "!ticker@arr",
    "GET /api/v3/executionRules",
}


# ---- by hand --------------------------------------------------------------------------------------------------------

FILTER = w.Filter[S]
BOOK = {"bids": [["0.5", "3"]], "asks": []}
TRADE = {
    "symbol": "XRPUSDT",
    "id": 17,
    "orderId": 5,
    "orderListId": -1,
    "price": "0.5998",
    "qty": "20",
    "quoteQty": "11.996",
    "commission": "0.02",
    "commissionAsset": "XRP",
    "time": 1700000000009,
    "isBuyer": True,
    "isMaker": False,
    "isBestMatch": True,
}
PARAMS = {"apiKey": "k", "timestamp": 1700000000000, "signature": "s"}
HAND_WRITTEN: list[tuple[str, Any, Any]] = [
    ("partial depth", w.Combined[w.DepthSnapshot[S]], {"stream": "x@depth5", "data": {"lastUpdateId": 9, **BOOK}}),
    (
        "GET /sapi/v1/asset/tradeFee",
        list[w.TradeFee[S]],
        [{"symbol": "XRPUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}],
    ),
    ("GET /sapi/v1/margin/allPairs", list[EMPTY], []),
    ("GET /sapi/v1/margin/isolated/allPairs", list[EMPTY], []),
    ("LIST_SUBSCRIPTIONS", w.StreamRequest, {"method": "LIST_SUBSCRIPTIONS", "id": "a"}),
    ("LIST_SUBSCRIPTIONS", w.StreamAnswer, {"result": ["xrpusdt@depth"], "id": "a"}),
    ("GET_PROPERTY", w.StreamRequest, {"method": "GET_PROPERTY", "params": ["combined"], "id": None}),
    ("GET_PROPERTY", w.StreamAnswer, {"result": True, "id": None}),
    ("stream error", w.StreamAnswer, {"code": 2, "msg": "Invalid request: unknown method"}),
    ("stream error", w.StreamAnswer, {"error": {"code": 3, "msg": "Invalid JSON"}, "id": None}),
    ("myTrades", w.WsRequest[FLAT], {"id": 1, "method": "myTrades", "params": {"symbol": "XRPUSDT", **PARAMS}}),
    ("myTrades", w.WsAnswer[list[w.AccountTrade[S]]], {"id": 1, "status": 200, "result": [TRADE]}),
    (
        "userDataStream.unsubscribe",
        w.WsRequest[FLAT],
        {"id": 2, "method": "userDataStream.unsubscribe", "params": {"subscriptionId": 0}},
    ),
    ("userDataStream.unsubscribe", w.WsAnswer[EMPTY], {"id": 2, "status": 200, "result": {}}),
    ("session.subscriptions", w.WsRequest[FLAT], {"id": 3, "method": "session.subscriptions"}),
    (
        "session.subscriptions",
        w.WsAnswer[list[w.Subscribed]],
        {"id": 3, "status": 200, "result": [{"subscriptionId": 0}, {"subscriptionId": 2}]},
    ),
    (
        "revoked key",
        w.WsAnswer[NO_RESULT],
        {"id": None, "status": 401, "error": {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}},
    ),
    (
        "eventStreamTerminated",
        w.UserEvent[USER_EVENT],
        {"subscriptionId": 1, "event": {"e": "eventStreamTerminated", "E": 1700000000000}},
    ),
    (
        "listStatus",
        w.UserEvent[USER_EVENT],
        {
            "subscriptionId": 0,
            "event": {
                "e": "listStatus",
                "E": 1700000000002,
                "s": "XRPUSDT",
                "g": 7,
                "c": "OCO",
                "l": "EXEC_STARTED",
                "L": "EXECUTING",
                "r": "NONE",
                "C": "list0",
                "T": 1700000000001,
                "O": [{"s": "XRPUSDT", "i": 17, "c": "leg0"}, {"s": "XRPUSDT", "i": 18, "c": "leg1"}],
            },
        },
    ),
    (
        "PERCENT_PRICE_BY_SIDE",
        FILTER,
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
    ),
    ("MAX_NUM_ORDERS", FILTER, {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200}),
    ("MAX_NUM_ALGO_ORDERS", FILTER, {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5}),
    ("MAX_POSITION", FILTER, {"filterType": "MAX_POSITION", "maxPosition": "10.5"}),
    (
        "TRAILING_DELTA",
        FILTER,
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": 10,
            "maxTrailingAboveDelta": 2000,
            "minTrailingBelowDelta": 10,
            "maxTrailingBelowDelta": 2000,
        },
    ),
]
EXPIRED = {
    "e": "executionReport",
    "E": 1700000000010,
    "s": "XRPUSDT",
    "c": "k1",
    "S": "BUY",
    "o": "LIMIT",
    "f": "IOC",
    "q": "20",
    "p": "0.6",
    "x": "EXPIRED",
    "X": "EXPIRED",
    "r": "NONE",
    "i": 5,
    "l": "0",
    "z": "0",
    "L": "0",
    "n": "0",
    "N": None,
    "T": 1700000000009,
    "t": -1,
    "m": False,
    "eR": "UNFILLED_IOC_QUANTITY_EXPIRED",
}
