"""Which shape each stored KuCoin payload has, which have none, and which names of the venue's must have one.

`LISTED` holds the endpoints and topics without a shape, each with its reason; nothing of `NAMED`, what a connector or
simulator needs (fact sheet of the protocol, section 2), may stand there. Hand-written samples stand for names of which
no sample is stored. The number type is `str`, so that "0.00" comes back as it went in.
"""

from __future__ import annotations

from typing import Any

from tradeserver.wire import kucoin as w

S = str
FLAT = dict[str, str | int]
"""The query of a GET or DELETE: a table of words and numbers. `test_sim_kucoin_documented.py` sends each of them."""

ORDERS = "/api/v1/hf/orders"
ANSWERS: dict[str, Any] = {
    f"POST {ORDERS}": w.OrderIds,
    f"POST {ORDERS}/test": w.OrderIds,
    f"POST {ORDERS}/sync": w.OrderResult[S],
    f"POST {ORDERS}/multi": list[w.OrderIds],
    f"POST {ORDERS}/multi/sync": list[w.OrderResult[S]],
    f"DELETE {ORDERS}": str,
    f"DELETE {ORDERS}/{{orderId}}": w.OrderIds,
    f"DELETE {ORDERS}/client-order/{{clientOid}}": w.OrderIds,
    f"DELETE {ORDERS}/sync/{{orderId}}": w.OrderResult[S],
    f"DELETE {ORDERS}/sync/client-order/{{clientOid}}": w.OrderResult[S],
    f"DELETE {ORDERS}/cancelAll": w.CancelledAll,
    f"GET {ORDERS}/{{orderId}}": w.Order[S],
    f"GET {ORDERS}/client-order/{{clientOid}}": w.Order[S],
    f"GET {ORDERS}/active": list[w.Order[S]],
    f"GET {ORDERS}/done": w.Page[w.Order[S]],
    "GET /api/v1/hf/fills": w.Page[w.Fill[S]],
    "GET /api/v3/currencies": list[w.CurrencyRow],
    "GET /api/v3/currencies/{currency}": w.CurrencyRow,
    "GET /api/v2/symbols": list[w.SymbolRow[S]],
    "GET /api/v2/symbols/{symbol}": w.SymbolRow[S],
    "GET /api/v1/market/orderbook/level1": w.Ticker[S],
    "GET /api/v1/market/orderbook/level2_{size}": w.BookRows[S],
    "GET /api/v3/market/orderbook/level2": w.BookRows[S],
    "GET /api/v1/market/allTickers": w.AllTickers[S],
    "GET /api/v1/market/histories": list[w.HistoryTrade[S]],
    "GET /api/v1/market/candles": list[w.Candle[S]],
    "GET /api/v1/market/stats": w.Stats[S],
    "GET /api/v1/markets": list[str],
    "GET /api/v1/my-ip": str,
    "GET /api/v1/timestamp": int,
    "GET /api/v1/status": w.ServiceStatus,
    "POST /api/v1/bullet-public": w.Bullet,
    "POST /api/v1/bullet-private": w.Bullet,
    "GET /api/v1/hf/accounts/opened": bool,
    "GET /api/v1/accounts": list[w.AccountRow[S]],
    "GET /api/v1/trade-fees": list[w.FeeRate[S]],
    "PATCH /api/v1/trade-fees": w.FeeRate[S],
    "GET /api/v1/base-fee": w.FeeRate[S],
}
BODIES: dict[str, Any] = {
    f"POST {ORDERS}": w.NewOrder[S],
    f"POST {ORDERS}/sync": w.NewOrder[S],
    f"POST {ORDERS}/test": w.NewOrder[S],
    f"POST {ORDERS}/multi": w.NewOrders[S],
    f"POST {ORDERS}/multi/sync": w.NewOrders[S],
}
TOPICS: dict[str, Any] = {
    "/market/ticker:{symbol},{symbol}": w.Ticker[S],
    "/market/ticker:all": w.Ticker[S],
    "/spotMarket/level1:{symbol},{symbol}": w.Level1[S],
    "/spotMarket/level2Depth5:{symbol},{symbol}": w.Depth[S],
    "/spotMarket/level2Depth50:{symbol},{symbol}": w.Depth[S],
    "/callauction/level2Depth50:{symbol}": w.Depth[S],
    "/market/level2:{symbol},{symbol}": w.Level2Update[S],
    "/market/candles:{symbol}_{type}": w.CandleUpdate[S],
    "/market/match:{symbol},{symbol}": w.Match[S],
    "/spotMarket/tradeOrdersV2": w.OrderEvent[S],
    "/spotMarket/tradeOrders": w.OrderEvent[S],
    "/account/balance": w.BalanceEvent[S],
}

OLD = "the old trade account's way, gone for accounts of today"
ACCOUNT = "about the account as a person sees it: no part of trading"
LISTED: dict[str, str] = {
    "DELETE /api/v1/order/client-order/{clientOid}": OLD,
    "GET /api/v1/order/client-order/{clientOid}": OLD,
    "GET /api/v1/fills": OLD,
    "GET /api/v2/user-info": ACCOUNT,
    "GET /api/v1/user/api-key": ACCOUNT,
    "GET /api/v1/accounts/{accountId}": "one row of the account list, without what names it: the list is asked instead",
    "GET /api/v1/account-overview": "the futures account",
    "GET /api/v1/accounts/ledgers": ACCOUNT,
    "GET /api/v1/hf/accounts/ledgers": f"{ACCOUNT}; and the sample is text, not JSON",
    "/callauction/callauctionData:{symbol}": "call auctions: a symbol in one is not tradable for us",
    "/market/snapshot:{symbol}": "price statistics: nobody here trades on them",
    "/market/snapshot:{market}": "price statistics: nobody here trades on them",
    "/spotMarket/advancedOrders": "stop orders: neither side places any",
}

# ---- what a connector and a simulator need: the fact sheet's section 2, name by name ---------------------------------

NAMED: tuple[str, ...] = (
    "GET /api/v1/timestamp",
    "GET /api/v1/status",
    "GET /api/v2/symbols",
    "GET /api/v2/symbols/{symbol}",
    "GET /api/v3/currencies",
    "GET /api/v1/market/orderbook/level1",
    "GET /api/v1/market/orderbook/level2_{size}",
    "GET /api/v3/market/orderbook/level2",
    "GET /api/v1/market/candles",
    "GET /api/v1/market/histories",
    "GET /api/v1/market/allTickers",
    "GET /api/v1/market/stats",
    "POST /api/v1/bullet-public",
    "POST /api/v1/bullet-private",
    "GET /api/v1/accounts",
    "GET /api/v1/trade-fees",
    "GET /api/v1/base-fee",
    f"POST {ORDERS}",
    f"POST {ORDERS}/sync",
    f"POST {ORDERS}/test",
    f"POST {ORDERS}/multi",
    f"POST {ORDERS}/multi/sync",
    f"DELETE {ORDERS}/{{orderId}}",
    f"DELETE {ORDERS}/client-order/{{clientOid}}",
    f"DELETE {ORDERS}/sync/{{orderId}}",
    f"DELETE {ORDERS}/sync/client-order/{{clientOid}}",
    f"DELETE {ORDERS}",
    f"DELETE {ORDERS}/cancelAll",
    f"POST {ORDERS}/alter",
    f"GET {ORDERS}/{{orderId}}",
    f"GET {ORDERS}/client-order/{{clientOid}}",
    f"GET {ORDERS}/active",
    f"GET {ORDERS}/done",
    "GET /api/v1/hf/fills",
    f"GET {ORDERS}/active/symbols",
    f"POST {ORDERS}/dead-cancel-all",
    "GET /api/v3/margin/symbols",
    "GET /api/v1/isolated/symbols",
    "an error in the envelope",
    "/market/level2:{symbol},{symbol}",
    "/market/ticker:{symbol},{symbol}",
    "/market/ticker:all",
    "/spotMarket/level1:{symbol},{symbol}",
    "/spotMarket/level2Depth5:{symbol},{symbol}",
    "/spotMarket/level2Depth50:{symbol},{symbol}",
    "/market/match:{symbol},{symbol}",
    "/market/candles:{symbol}_{type}",
    "/spotMarket/tradeOrdersV2",
    "/spotMarket/tradeOrders",
    "/account/balance",
    *("welcome", "ping", "pong", "subscribe", "unsubscribe", "ack", "error"),
    *("order received", "order open", "order match", "order update", "order filled", "order canceled"),
    *("challenge", "session welcome", "spot.order", "spot.sync_order", "spot.cancel", "spot.sync_cancel"),
    *("spot.modify", "order entry ping", "order entry pong", "order entry answer", "order entry refusal"),
)
NOT_OURS = ("uta.order", "uta.cancel", "uta.amend", "obu", "auth")
"""Named, but of the Pro dialect: the trader speaks the classic one, the simulator reads the three operations itself."""

# ---- by hand: the shapes of the WebSocket pages (classic spot, 2025-11; order entry, 2025-11) ------------------------

ORDER = {
    "symbol": "XRP-USDT",
    "side": "sell",
    "type": "limit",
    "clientOid": "a1",
    "price": "0.51",
    "size": "20",
    "timeInForce": "IOC",
    "clientTimestamp": 1742000000123,
    "allowMaxTimeWindow": 800,
}
LIMIT = {"limit": 4000, "reset": 15244, "remaining": 3999}
TIMES = {"inTime": 1742000000130, "outTime": 1742000000131}


def change(kind: str, status: str, **more: str) -> dict[str, Any]:
    """One `orderChange`."""
    data = {
        "clientOid": "a1",
        "orderId": "6711",
        "orderTime": 1742000000123,
        "orderType": "limit",
        "originSize": "20",
        "side": "sell",
        "status": status,
        "symbol": "XRP-USDT",
        "ts": 1742000000124000000,
        "type": kind,
    }
    return {
        "topic": "/spotMarket/tradeOrdersV2",
        "type": "message",
        "subject": "orderChange",
        "userId": "u1",
        "channelType": "private",
        "data": data | more,
    }


SIZES = {"canceledSize": "0", "filledSize": "12.5", "price": "0.51", "remainSize": "7.5", "size": "20"}
TRADED = {"feeType": "takerFee", "liquidity": "taker", "matchPrice": "0.511", "matchSize": "12.5", "tradeId": "9001"}
CHANGE = w.Message[w.OrderEvent[S]]

HAND: list[tuple[str, Any, Any]] = [
    ("welcome", w.Control, {"id": "hQvf8jkno", "type": "welcome"}),
    ("ack", w.Control, {"id": "7", "type": "ack"}),
    ("pong", w.Control, {"id": "1700000000", "type": "pong"}),
    ("error", w.ErrorFrame, {"id": "7", "type": "error", "code": 404, "data": "topic /market/x:NO is not found"}),
    ("error", w.ErrorFrame, {"type": "error", "code": 401, "data": "token is invalid"}),
    ("ping", w.Subscribe, {"id": "3", "type": "ping"}),
    (
        "subscribe",
        w.Subscribe,
        {"id": 1, "type": "subscribe", "topic": "/market/level2:A,B", "privateChannel": False, "response": True},
    ),
    ("unsubscribe", w.Subscribe, {"id": "2", "type": "unsubscribe", "topic": "/market/level2:A", "response": True}),
    ("challenge", w.Challenge, {"sessionId": "5f2c", "timestamp": 1742000000123}),
    (
        "session welcome",
        w.SessionWelcome,
        {"sessionId": "5f2c", "data": "welcome", "pingInterval": 18000, "pingTimeout": 10000},
    ),
    ("spot.order", w.Operation[w.NewOrder[S]], {"id": "a1", "op": "spot.order", "args": ORDER}),
    ("spot.sync_order", w.Operation[w.NewOrder[S]], {"id": "a1", "op": "spot.sync_order", "args": ORDER}),
    (
        "spot.sync_order",
        w.OperationAnswer[w.OrderResult[S]],
        {
            "id": "a1",
            "op": "spot.sync_order",
            "code": "200000",
            "data": {"orderId": "6711", "originSize": "20", "dealSize": "20", "remainSize": "0", "status": "done"},
            "userRateLimit": LIMIT,
        }
        | TIMES,
    ),
    (
        "spot.cancel",
        w.Operation[w.CancelArgs],
        {"id": "c-a1", "op": "spot.cancel", "args": {"symbol": "XRP-USDT", "clientOid": "a1"}},
    ),
    (
        "spot.sync_cancel",
        w.Operation[w.CancelArgs],
        {"id": "c-a1", "op": "spot.sync_cancel", "args": {"symbol": "XRP-USDT", "orderId": "6711"}},
    ),
    (
        "spot.modify",
        w.Operation[w.AlterOrder],
        {"id": "m-a1", "op": "spot.modify", "args": {"symbol": "XRP-USDT", "clientOid": "a1", "newSize": "10"}},
    ),
    ("order entry ping", w.Operation[w.NewOrder[S]], {"id": "p9", "op": "ping", "timestamp": 1742000000123}),
    ("order entry pong", w.OperationAnswer[w.OrderIds], {"id": "p9", "op": "pong", "timestamp": 1742000000125}),
    (
        "order entry answer",
        w.OperationAnswer[w.OrderIds],
        {
            "id": "a1",
            "op": "spot.order",
            "code": "200000",
            "data": {"orderId": "6711", "clientOid": "a1"},
            "rateLimit": LIMIT,
        }
        | TIMES,
    ),
    (
        "order entry refusal",
        w.OperationAnswer[w.OrderIds],
        {"id": "a1", "op": "spot.order", "code": "200004", "msg": "Balance insufficient!"} | TIMES,
    ),
    (f"POST {ORDERS}/alter", w.AlterOrder, {"symbol": "XRP-USDT", "orderId": "6711", "newPrice": "0.52"}),
    (
        f"POST {ORDERS}/alter",
        w.Envelope[w.AlteredIds],
        {"code": "200000", "data": {"newOrderId": "6712", "clientOid": "a2"}},
    ),
    (f"POST {ORDERS}/dead-cancel-all", w.DeadMan, {"timeout": 15, "symbols": "XRP-USDT,BTC-USDT"}),
    (f"POST {ORDERS}/dead-cancel-all", w.DeadMan, {"timeout": -1}),
    (
        f"POST {ORDERS}/dead-cancel-all",
        w.Envelope[w.DeadManSet],
        {"code": "200000", "data": {"currentTime": 1742000000, "triggerTime": 1742000015}},
    ),
    (
        f"GET {ORDERS}/active/symbols",
        w.Envelope[w.ActiveSymbols],
        {"code": "200000", "data": {"symbolSize": 1, "symbols": ["XRP-USDT"]}},
    ),
    (
        "GET /api/v3/margin/symbols",
        w.Envelope[dict[str, int | list[FLAT]]],
        {"code": "200000", "data": {"timestamp": 1742000000123, "items": []}},
    ),
    ("GET /api/v1/isolated/symbols", w.Envelope[list[FLAT]], {"code": "200000", "data": []}),
    (
        "an error in the envelope",
        w.Envelope[w.OrderIds],
        {"code": "400100", "msg": "order_not_exist_or_not_allow_to_cancel"},
    ),
    ("order received", CHANGE, change("received", "new")),
    ("order open", CHANGE, change("open", "open", **SIZES)),
    ("order match", CHANGE, change("match", "match", **SIZES, **TRADED)),
    ("order update", CHANGE, change("update", "open", **SIZES, oldSize="25")),
    ("order filled", CHANGE, change("filled", "done", **SIZES)),
    ("order canceled", CHANGE, change("canceled", "done", **SIZES, remainFunds="0")),
]
