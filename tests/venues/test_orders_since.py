"""All orders of a symbol since a moment: Binance's allOrders (rest-api.md, 2026-07-21), KuCoin's active and done lists
(HF trade pages, 2025-11)."""

from __future__ import annotations

from decimal import Decimal

from binance_talk import HMAC, MS, T0
from binance_talk import Talk as BinanceTalk
from kucoin_kit import Talk as KucoinTalk
from kucoin_kit import order_row
from tradeserver.core.commands import QueryOrders
from tradeserver.core.events import Ending, OpenOrder, OrdersListed, QueryFailed
from tradeserver.core.types import Side

D = Decimal
MINUTE = 60_000 * MS


def binance_row(number: int, **changes) -> dict:
    row = {
        "symbol": "XRPUSDT",
        "orderId": number,
        "orderListId": -1,
        "clientOrderId": f"aaL{number:014}",
        "price": "0.50000000",
        "origQty": "20.00000000",
        "executedQty": "12.50000000",
        "cummulativeQuoteQty": "6.25000000",
        "status": "EXPIRED",
        "timeInForce": "IOC",
        "type": "LIMIT",
        "side": "SELL",
        "time": T0 // MS,
        "updateTime": T0 // MS,
        "isWorking": True,
    }
    return row | changes


def test_binance_lists_what_is_open_and_what_is_over() -> None:
    talk = BinanceTalk(HMAC).ready()
    asked = talk.ts
    query = talk.encode(QueryOrders(venue="binance", symbol="XRP/USDT", since=T0 - MINUTE))
    assert (query["symbol"], query["limit"]) == ("XRPUSDT", "1000")
    assert abs(int(query["startTime"]) - (T0 - MINUTE) // MS) <= 1
    assert int(query["endTime"]) - int(query["startTime"]) == 86_400_000  # "can't be longer than 24 hours"
    rows = [binance_row(5), binance_row(6, status="NEW", executedQty="0.00000000", side="BUY", clientOrderId="by-hand")]
    (event,) = talk.answer("/api/v3/allOrders", rows)
    assert event == OrdersListed(
        ts=talk.ts,
        venue="binance",
        symbol="XRP/USDT",
        asked_ts=asked,
        orders=(
            OpenOrder("XRP/USDT", "aaL00000000000005", "5", Side.SELL, D("0.5"), D(20), D("12.5"), Ending.EXPIRED),
            OpenOrder("XRP/USDT", "by-hand", "6", Side.BUY, D("0.5"), D(20), D(0), None),
        ),
    )


def test_binances_pages_are_joined() -> None:
    talk = BinanceTalk(HMAC).ready()
    talk.encode(QueryOrders(venue="binance", symbol="XRP/USDT", since=T0 - MINUTE))
    assert talk.answer("/api/v3/allOrders", [binance_row(n) for n in range(1, 1001)]) == []
    assert "orderId=1001" in talk.requests[-1].url
    assert "startTime" not in talk.requests[-1].url
    (event,) = talk.answer("/api/v3/allOrders", [binance_row(1001)])
    assert len(event.orders) == 1001


def test_binances_pages_end_with_the_day() -> None:
    """After a full page there is no window: strangers' orders of later days are not listed to the end of time."""
    talk = BinanceTalk(HMAC).ready()
    talk.encode(QueryOrders(venue="binance", symbol="XRP/USDT", since=T0 - MINUTE))
    talk.answer("/api/v3/allOrders", [binance_row(n) for n in range(1, 1001)])
    later = [binance_row(n, time=T0 // MS + 2 * 86_400_000) for n in range(1001, 2001)]
    (event,) = talk.answer("/api/v3/allOrders", later)
    assert len(event.orders) == 1000


def test_binance_cannot_be_asked() -> None:
    talk = BinanceTalk(HMAC).ready()
    talk.encode(QueryOrders(venue="binance", symbol="XRP/USDT", since=T0))
    events = talk.answer("/api/v3/allOrders", b"<html>", 503)
    assert [e.query for e in events if isinstance(e, QueryFailed)] == ["QueryOrders"]


def test_kucoin_lists_the_active_and_the_done() -> None:
    talk = KucoinTalk()
    talk.up()
    talk.requests.clear()
    since, asked = talk.now - MINUTE, talk.now
    parts = talk.command(QueryOrders(venue="kucoin", symbol="XRP/USDT", since=since))
    assert "/api/v1/hf/orders/active?symbol=XRP-USDT" in parts["url"]
    active = order_row(id="66", clientOid="mine", active=True, size="20", dealSize="0", price="0.5", side="buy")
    assert talk.answer("GET /api/v1/hf/orders/active", [active]) == []
    assert "startAt=" in talk.requests[-1].url
    done = order_row(
        id="67", clientOid="a1", active=False, cancelExist=True, size="20", dealSize="12.5", cancelledSize="7.5",
        price="0.51", side="sell",
    )  # fmt: skip
    (event,) = talk.answer("GET /api/v1/hf/orders/done", {"lastId": 0, "items": [done]})
    assert event == OrdersListed(
        ts=talk.now,
        venue="kucoin",
        symbol="XRP/USDT",
        asked_ts=asked,
        orders=(
            OpenOrder("XRP/USDT", "mine", "66", Side.BUY, D("0.5"), D(20), D(0), None),
            OpenOrder("XRP/USDT", "a1", "67", Side.SELL, D("0.51"), D(20), D("12.5"), Ending.CANCELED),
        ),
    )


def test_kucoins_pages_are_joined() -> None:
    talk = KucoinTalk()
    talk.up()
    talk.requests.clear()
    talk.command(QueryOrders(venue="kucoin", symbol="XRP/USDT", since=talk.now))
    talk.answer("GET /api/v1/hf/orders/active", None)
    page = [order_row(id=str(n), clientOid=f"a{n}", active=False) for n in range(100)]
    assert talk.answer("GET /api/v1/hf/orders/done", {"lastId": 77, "items": page}) == []
    assert "lastId=77" in talk.requests[-1].url
    (event,) = talk.answer("GET /api/v1/hf/orders/done", {"lastId": 0, "items": []})
    assert len(event.orders) == 100


def test_kucoin_cannot_be_asked() -> None:
    talk = KucoinTalk()
    talk.up()
    talk.requests.clear()
    talk.command(QueryOrders(venue="kucoin", symbol="XRP/USDT", since=talk.now))
    talk.answer("GET /api/v1/hf/orders/active", [])
    events = talk.raw("GET /api/v1/hf/orders/done", 503, b"<html>")
    assert [e.query for e in events if isinstance(e, QueryFailed)] == ["QueryOrders"]
