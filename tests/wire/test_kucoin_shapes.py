"""Shapes of KuCoin's messages: the documents' samples decode, and re-encode to every field that we declare."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tradeserver.wire import kucoin as w

TOPICS: dict[str, Any] = {
    "/market/ticker:{symbol},{symbol}": w.Ticker[str],
    "/market/ticker:all": w.Ticker[str],
    "/spotMarket/level1:{symbol},{symbol}": w.Level1[str],
    "/spotMarket/level2Depth5:{symbol},{symbol}": w.Depth[str],
    "/spotMarket/level2Depth50:{symbol},{symbol}": w.Depth[str],
    "/market/level2:{symbol},{symbol}": w.Level2Update[str],
    "/market/candles:{symbol}_{type}": w.CandleUpdate[str],
    "/market/match:{symbol},{symbol}": w.Match[str],
    "/spotMarket/tradeOrdersV2": w.OrderEvent[str],
    "/spotMarket/tradeOrders": w.OrderEvent[str],
    "/account/balance": w.BalanceEvent[str],
}

ENDPOINTS: dict[str, Any] = {
    "POST /api/v1/hf/orders": w.OrderIds,
    "POST /api/v1/hf/orders/test": w.OrderIds,
    "POST /api/v1/hf/orders/sync": w.OrderResult[str],
    "POST /api/v1/hf/orders/multi": list[w.OrderIds],
    "POST /api/v1/hf/orders/multi/sync": list[w.OrderResult[str]],
    "DELETE /api/v1/hf/orders": str,
    "DELETE /api/v1/hf/orders/{orderId}": w.OrderIds,
    "DELETE /api/v1/hf/orders/client-order/{clientOid}": w.OrderIds,
    "DELETE /api/v1/hf/orders/sync/{orderId}": w.OrderResult[str],
    "DELETE /api/v1/hf/orders/sync/client-order/{clientOid}": w.OrderResult[str],
    "DELETE /api/v1/hf/orders/cancelAll": w.CancelledAll,
    "GET /api/v1/hf/orders/{orderId}": w.Order[str],
    "GET /api/v1/hf/orders/client-order/{clientOid}": w.Order[str],
    "GET /api/v1/hf/orders/active": list[w.Order[str]],
    "GET /api/v1/hf/orders/done": w.Page[w.Order[str]],
    "GET /api/v1/hf/fills": w.Page[w.Fill[str]],
    "GET /api/v3/currencies": list[w.CurrencyRow],
    "GET /api/v3/currencies/{currency}": w.CurrencyRow,
    "GET /api/v2/symbols": list[w.SymbolRow[str]],
    "GET /api/v2/symbols/{symbol}": w.SymbolRow[str],
    "GET /api/v1/market/orderbook/level1": w.Ticker[str],
    "GET /api/v1/market/orderbook/level2_{size}": w.BookRows[str],
    "GET /api/v3/market/orderbook/level2": w.BookRows[str],
    "GET /api/v1/market/allTickers": w.AllTickers[str],
    "GET /api/v1/market/histories": list[w.HistoryTrade[str]],
    "GET /api/v1/market/candles": list[w.Candle[str]],
    "GET /api/v1/market/stats": w.Stats[str],
    "GET /api/v1/timestamp": int,
    "GET /api/v1/status": w.ServiceStatus,
    "POST /api/v1/bullet-public": w.Bullet,
    "POST /api/v1/bullet-private": w.Bullet,
    "GET /api/v1/accounts": list[w.AccountRow[str]],
    "GET /api/v1/trade-fees": list[w.FeeRate[str]],
    "GET /api/v1/base-fee": w.FeeRate[str],
}


def roundtrip(sample: object, shape: Any) -> object:
    decoded = msgspec.json.decode(msgspec.json.encode(sample), type=shape)
    return msgspec.json.decode(msgspec.json.encode(decoded))


@pytest.mark.parametrize("topic", TOPICS)
def test_documented_pushes_survive_the_round_trip(shared_data: Path, topic: str) -> None:
    topics = json.loads((shared_data / "kucoin" / "ws_examples.json").read_text())["topics"]
    (sample,) = [row["example"] for row in topics if row["topic"] == topic]
    if "Time" in sample["data"]:  # the document's slip: its own field table and the wire say "time"
        sample["data"]["time"] = sample["data"].pop("Time")
    assert roundtrip(sample, w.Message[TOPICS[topic]]) == sample


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_documented_answers_survive_the_round_trip(shared_data: Path, endpoint: str) -> None:
    rows = json.loads((shared_data / "kucoin" / "rest_examples.json").read_text())["endpoints"]
    (sample,) = [r["response_example"] for r in rows if f"{r['method']} {r['path']}" == endpoint]
    assert roundtrip(sample, w.Envelope[ENDPOINTS[endpoint]]) == sample


@pytest.mark.parametrize("path", ["/api/v1/hf/orders", "/api/v1/hf/orders/sync", "/api/v1/hf/orders/multi"])
def test_documented_order_bodies_survive_the_round_trip(shared_data: Path, path: str) -> None:
    rows = json.loads((shared_data / "kucoin" / "rest_examples.json").read_text())["endpoints"]
    (sample,) = [r["request_example"] for r in rows if r["method"] == "POST" and r["path"] == path]
    assert roundtrip(sample, w.NewOrders[str] if path.endswith("multi") else w.NewOrder[str]) == sample


def test_symbols_captured_in_2021_lack_the_newer_fields(shared_data: Path) -> None:
    sample = json.loads((shared_data / "kucoin" / "symbols_capture_2021-04-25.json").read_text())
    assert roundtrip(sample, w.Envelope[list[w.SymbolRow[str]]]) == sample


def test_client_frames_of_foreign_clients_decode(shared_data: Path) -> None:
    seen = 0
    for name in ("ccxt_kucoin.jsonl", "kucoin-universal-sdk.jsonl"):
        for line in (shared_data / "client_traces" / name).read_text().splitlines():
            row = json.loads(line)
            if row["t"] == "ws-in" and '"type"' in row["data"]:
                sample = json.loads(row["data"])
                assert roundtrip(sample, w.Subscribe) == sample
                seen += 1
    assert seen >= 3


# Written by hand to the shapes of the WebSocket pages (classic spot, 2025-11; order entry, 2025-11).
HAND: list[tuple[Any, dict[str, Any]]] = [
    (w.Control, {"id": "hQvf8jkno", "type": "welcome"}),
    (w.Control, {"id": "7", "type": "ack"}),
    (w.Control, {"id": "1700000000", "type": "pong"}),
    (w.ErrorFrame, {"id": "7", "type": "error", "code": 404, "data": "topic /market/level2:NO-USDT is not found"}),
    (w.ErrorFrame, {"type": "error", "code": 401, "data": "token is invalid"}),
    (w.Subscribe, {"id": "3", "type": "ping"}),
    (w.Challenge, {"sessionId": "5f2c", "timestamp": 1742000000123}),
    (w.SessionWelcome, {"sessionId": "5f2c", "data": "welcome", "pingInterval": 18000, "pingTimeout": 10000}),
    (
        w.Operation[w.NewOrder[str]],
        {
            "id": "a1",
            "op": "spot.order",
            "args": {
                "symbol": "XRP-USDT",
                "side": "sell",
                "type": "limit",
                "clientOid": "a1",
                "price": "0.51",
                "size": "20",
                "timeInForce": "IOC",
                "clientTimestamp": 1742000000123,
                "allowMaxTimeWindow": 800,
            },
        },
    ),
    (
        w.Operation[w.CancelArgs],
        {"id": "c-a1", "op": "spot.cancel", "args": {"symbol": "XRP-USDT", "clientOid": "a1"}},
    ),
    (w.Operation[w.NewOrder[str]], {"id": "p9", "op": "ping", "timestamp": 1742000000123}),
    (w.OperationAnswer[w.OrderIds], {"id": "p9", "op": "pong", "timestamp": 1742000000125}),
    (
        w.OperationAnswer[w.OrderIds],
        {
            "id": "a1",
            "op": "spot.order",
            "code": "200000",
            "data": {"orderId": "6711", "clientOid": "a1"},
            "inTime": 1742000000130,
            "outTime": 1742000000131,
            "rateLimit": {"limit": 4000, "reset": 15244, "remaining": 3999},
        },
    ),
    (
        w.OperationAnswer[w.OrderIds],
        {"id": "a1", "op": "spot.order", "code": "200004", "msg": "Balance insufficient!", "inTime": 1, "outTime": 2},
    ),
    (w.DeadMan, {"timeout": 15, "symbols": "XRP-USDT,BTC-USDT"}),
    (w.DeadMan, {"timeout": -1}),
    (w.DeadManSet, {"currentTime": 1742000000, "triggerTime": 1742000015}),
    (w.ActiveSymbols, {"symbolSize": 1, "symbols": ["XRP-USDT"]}),
    (w.Envelope[w.OrderIds], {"code": "400100", "msg": "order_not_exist_or_not_allow_to_cancel"}),
    (
        w.Message[w.OrderEvent[str]],
        {
            "topic": "/spotMarket/tradeOrdersV2",
            "type": "message",
            "subject": "orderChange",
            "userId": "u1",
            "channelType": "private",
            "data": {
                "clientOid": "a1",
                "orderId": "6711",
                "orderTime": 1742000000123,
                "orderType": "limit",
                "originSize": "20",
                "side": "sell",
                "status": "match",
                "symbol": "XRP-USDT",
                "ts": 1742000000124000000,
                "type": "match",
                "canceledSize": "0",
                "filledSize": "12.5",
                "price": "0.51",
                "remainSize": "7.5",
                "size": "20",
                "feeType": "takerFee",
                "liquidity": "taker",
                "matchPrice": "0.511",
                "matchSize": "12.5",
                "tradeId": "9001",
            },
        },
    ),
]


@pytest.mark.parametrize(("shape", "sample"), HAND, ids=lambda x: None if isinstance(x, dict) else str(x)[-40:])
def test_hand_written_samples_survive_the_round_trip(shape: Any, sample: dict[str, Any]) -> None:
    assert roundtrip(sample, shape) == sample


def test_one_declaration_serves_floats_and_decimals() -> None:
    """The trader reads floats from strings, the simulator writes Decimals as strings."""
    update = w.Message[w.Level2Update[Decimal]](
        topic="/market/level2:XRP-USDT",
        subject="trade.l2update",
        data=w.Level2Update(
            changes=w.Changes(asks=[(Decimal("0.5100"), Decimal("12"), "41")], bids=[]),
            sequence_start=41,
            sequence_end=41,
            symbol="XRP-USDT",
            time=1742000000123,
        ),
    )
    read = msgspec.json.decode(msgspec.json.encode(update), type=w.Message[w.Level2Update[float]], strict=False)
    assert read.data.changes.asks == [(0.51, 12.0, "41")]


def test_any_frame_of_the_server_fits_the_sorting_shape() -> None:
    frame = msgspec.json.decode(
        b'{"id":"1","type":"error","code":509,"data":"exceed max permits per second"}', type=w.Frame
    )
    assert (frame.type, frame.code) == ("error", 509)
    assert frame.topic is msgspec.UNSET
