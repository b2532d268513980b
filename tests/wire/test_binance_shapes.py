"""Every declared Binance shape against the documents' own samples: decode, and re-encode to all of its fields.

The number type is `str` here, so that "0.00000000" comes back as it went in. The samples are named by document and
running number; hand-written ones stand for shapes of which no sample is stored.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

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

REST = {
    2: w.ServerTime,
    5: w.DepthSnapshot[S],
    10: list[w.KlineRow[S]],
    22: list[w.PriceTicker[S]],
    23: w.RestBookTicker[S],
    24: list[w.RestBookTicker[S]],
    35: w.OrderAnswer[S],
    36: w.OrderAnswer[S],
    37: w.OrderAnswer[S],
    40: w.CancelAnswer[S],
    41: w.ErrorBody,
    42: w.ErrorBody,
    44: w.CancelReplace,
    45: w.ErrorBody,
    46: w.ErrorBody,
    47: w.ErrorBody,
    48: w.ErrorBody,
    62: w.Account[S],
    63: w.OrderReport[S],
    64: list[w.OrderReport[S]],
    69: list[w.AccountTrade[S]],
    73: w.Commission[S],
}
WS_RESULT = {
    2: msgspec.Raw,
    7: w.ServerTime,
    9: w.ServerTime,
    10: list[msgspec.Raw],
    11: msgspec.Raw,
    27: dict[str, str],
    29: w.ServerTime,
    31: w.ExchangeInfo[S],
    35: w.DepthSnapshot[S],
    43: list[w.AggTrade[S]],
    68: w.RestBookTicker[S],
    69: list[w.RestBookTicker[S]],
    81: w.SessionStatus,
    83: w.SessionStatus,
    85: w.OrderAnswer[S],
    86: w.OrderAnswer[S],
    87: w.OrderAnswer[S],
    92: w.CancelAnswer[S],
    98: msgspec.Raw,
    129: w.Account[S],
    131: w.OrderReport[S],
    133: list[w.OrderReport[S]],
    135: list[w.OrderReport[S]],
    145: list[w.RateLimit],
    157: w.Subscribed,
    163: w.Subscribed,
}
WS_REQUESTS = [0, 6, 8, 26, 28, 30, 34, 78, 80, 82, 91, 128, 130, 156, 162]
STREAM = {
    0: w.ServerShutdown,
    1: w.Combined[w.ServerShutdown],
    2: w.StreamRequest,
    3: w.StreamAnswer,
    4: w.StreamRequest,
    5: w.StreamAnswer,
    8: w.StreamRequest,
    13: w.AggTrade[S],
    14: w.TradeEvent[S],
    16: w.KlineEvent[S],
    23: w.BookTicker[S],
    26: w.DepthUpdate[S],
}
SAMPLES: dict[tuple[str, int], Any] = (
    {("rest-api.md", n): shape for n, shape in REST.items()}
    | {("web-socket-api.md", n): w.WsAnswer[shape] for n, shape in WS_RESULT.items()}  # type: ignore[valid-type]
    | {("web-socket-api.md", n): w.WsRequest[dict[str, Any]] for n in WS_REQUESTS}
    | {("web-socket-api.md", n): w.UserEvent[USER_EVENT] for n in (3, 4)}  # type: ignore[valid-type]
    | {("web-socket-streams.md", n): shape for n, shape in STREAM.items()}
    | {("user-data-stream.md", n): w.UserEvent[USER_EVENT] for n in (0, 1, 2, 5)}  # type: ignore[valid-type]
    | {("filters.md", n): w.Filter[S] for n in (0, 1, 3, 4, 5, 6, 7, 10, 16, 17, 18)}
)

NAUTILUS = {
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
    "server_time_response.json": w.ServerTime,
    "ticker_price_response.json": w.PriceTicker[S],
    "trades_response.json": list[w.PublicTrade[S]],
}


def round_trip(sample: Any, shape: Any) -> Any:
    return json.loads(msgspec.json.encode(msgspec.json.decode(json.dumps(sample), type=shape)))


@pytest.mark.parametrize("name", sorted(SAMPLES), ids=lambda name: f"{name[0]}:{name[1]}")
def test_documented_samples_keep_all_their_fields(shared_data: Path, name: tuple[str, int]) -> None:
    rows = json.loads((shared_data / "binance" / "docs_payloads.json").read_text())["payloads"]
    (sample,) = [row["payload"] for row in rows if (row["doc"], row["n"]) == name]
    assert round_trip(sample, SAMPLES[name]) == sample


@pytest.mark.parametrize("name", sorted(NAUTILUS))
def test_third_party_samples_keep_all_their_fields(shared_data: Path, name: str) -> None:
    sample = json.loads((shared_data / "binance" / "nautilus_spot" / name).read_text())
    assert round_trip(sample, NAUTILUS[name]) == sample


def test_the_answer_to_a_cancel_all_mixes_orders_and_lists(shared_data: Path) -> None:
    rows = json.loads((shared_data / "binance" / "docs_payloads.json").read_text())["payloads"]
    (answer,) = [row["payload"] for row in rows if (row["doc"], row["n"]) == ("rest-api.md", 43)]
    assert len(answer) == 3
    for entry in answer:
        shape = w.OrderListReport[S] if "contingencyType" in entry else CANCELED
        assert round_trip(entry, shape) == entry


def test_a_captured_exchange_info_of_2021_decodes(shared_data: Path) -> None:
    """Old symbols carry `permissions` and MIN_NOTIONAL instead of `permissionSets` and NOTIONAL."""
    sample = json.loads((shared_data / "binance" / "exchangeInfo_capture_2021-10-12.json").read_text())
    info = msgspec.json.decode(json.dumps(sample), type=w.ExchangeInfo[Decimal], strict=False)
    assert [symbol.symbol for symbol in info.symbols] == [symbol["symbol"] for symbol in sample["symbols"]]
    known = {field.encode_name for field in msgspec.structs.fields(w.Filter)}
    assert {key for symbol in sample["symbols"] for f in symbol["filters"] for key in f} <= known


HAND_WRITTEN: list[tuple[Any, Any]] = [
    (w.DepthSnapshot[S], {"lastUpdateId": 9, "bids": [["0.5", "3"]], "asks": []}),
    (w.TradeFee[S], {"symbol": "XRPUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}),
    (w.UserEvent[USER_EVENT], {"subscriptionId": 1, "event": {"e": "eventStreamTerminated", "E": 1700000000000}}),
    (w.StreamAnswer, {"code": 2, "msg": "Invalid request: unknown method"}),
    (w.StreamAnswer, {"error": {"code": 3, "msg": "Invalid JSON"}, "id": None}),
    (
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
        w.ExecutionReport[S],
        {
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
        },
    ),
]


@pytest.mark.parametrize(("shape", "sample"), HAND_WRITTEN)
def test_hand_written_samples_keep_all_their_fields(shape: Any, sample: Any) -> None:
    assert round_trip(sample, shape) == sample


def test_numbers_come_as_the_type_that_was_asked_for() -> None:
    frame = b'{"e":"depthUpdate","E":1,"s":"XRPUSDT","U":7,"u":9,"b":[["0.5123","20"]],"a":[]}'
    assert msgspec.json.decode(frame, type=w.DepthUpdate[float], strict=False).bids == [(0.5123, 20.0)]
    assert msgspec.json.decode(frame, type=w.DepthUpdate[Decimal]).bids == [(Decimal("0.5123"), Decimal(20))]


def test_the_futures_dialect_shows_in_a_depth_update() -> None:
    spot = b'{"e":"depthUpdate","E":1,"s":"XRPUSDT","U":7,"u":9,"b":[],"a":[]}'
    futures = b'{"e":"depthUpdate","E":1,"T":1,"s":"XRPUSDT","U":7,"u":9,"pu":6,"b":[],"a":[]}'
    assert msgspec.json.decode(spot, type=w.DepthUpdate[float]).futures_previous_id is msgspec.UNSET
    assert msgspec.json.decode(futures, type=w.DepthUpdate[float]).futures_previous_id == 6
