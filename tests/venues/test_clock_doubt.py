"""A stamp that a venue refuses: nothing is opened there until its clock has been measured anew, and that is soon.

And a symbol that is halted: its rules are read again within half a minute, so that its return is seen.
"""

from __future__ import annotations

from decimal import Decimal

from binance_talk import HMAC, MS, SECOND, XRP, exchange_info
from binance_talk import Talk as BinanceTalk
from kucoin_kit import Talk as KucoinTalk
from tradeserver.core.commands import SubmitOrder
from tradeserver.core.events import InstrumentsLoaded
from tradeserver.core.types import Side, TimeInForce

D = Decimal
DOUBT = "venue clock in doubt"


def order(venue: str, *, opening: bool) -> SubmitOrder:
    return SubmitOrder(
        venue=venue,
        symbol="XRP/USDT",
        client_id="aaL00000000000001",
        arbitrage=1,
        leg=0,
        attempt=0 if opening else 1,
        side=Side.BUY,
        quantity=D(20),
        price=D("0.5"),
        time_in_force=TimeInForce.IOC,
        opening=opening,
    )


def test_binance_refuses_a_stamp() -> None:
    talk = BinanceTalk(HMAC).ready()
    talk.tick(100 * SECOND)
    talk.requests.clear()
    talk.encode(order("binance", opening=True))
    text = "Timestamp for this request is outside of the recvWindow."
    talk.frame("orders", {"id": "aaL00000000000001", "status": 400, "error": {"code": -1021, "msg": text}})
    assert talk.codec.usable(order("binance", opening=True)) == DOUBT
    assert talk.codec.usable(order("binance", opening=False)) == ""  # a hedge may try
    talk.tick()
    assert [request.label for request in talk.requests] == ["GET /api/v3/time"]
    talk.settle_clock(offset_ms=2_000)
    assert talk.codec.usable(order("binance", opening=True)) == ""


def test_binance_is_not_asked_for_the_time_more_than_once_a_second() -> None:
    talk = BinanceTalk(HMAC).ready()
    talk.tick(100 * SECOND)
    talk.requests.clear()
    for _ in range(3):
        talk.codec._setup.sync_clock()
        talk.tick(10 * MS)
    talk.settle_clock()
    talk.codec._setup.sync_clock()
    talk.tick(500 * MS)
    assert talk.requests == []
    talk.tick(600 * MS)
    assert [request.label for request in talk.requests] == ["GET /api/v3/time"]


def test_kucoin_refuses_a_stamp() -> None:
    talk = KucoinTalk()
    talk.up()
    talk.tick(30_000)
    talk.requests.clear()
    talk.command(order("kucoin", opening=True))
    refused = {"id": "aaL00000000000001", "op": "spot.order", "code": "400002", "msg": "KC-API-TIMESTAMP Invalid"}
    talk.frame("orders", refused | {"inTime": 1, "outTime": 1})
    assert talk.codec.usable(order("kucoin", opening=True)) == DOUBT
    assert talk.codec.usable(order("kucoin", opening=False)) == ""
    talk.tick()
    for _ in range(5):
        asked = talk.now
        talk.now += 20 * MS
        talk.answer("GET /api/v1/timestamp", (asked + 10 * MS) // MS + 3_000)
    assert talk.codec.usable(order("kucoin", opening=True)) == ""


def test_binances_rules_are_read_often_while_a_symbol_is_halted() -> None:
    talk = BinanceTalk(HMAC).ready()
    talk.codec._setup.refresh_rules()
    talk.tick(20 * SECOND)
    talk.requests = [r for r in talk.requests if "exchangeInfo" in r.label]
    talk.answer("/api/v3/exchangeInfo", exchange_info(XRP | {"status": "HALT"}))
    talk.tick(29 * SECOND)
    assert not [r for r in talk.requests if "exchangeInfo" in r.label]
    talk.tick(2 * SECOND)
    (loaded,) = [e for e in talk.answer("/api/v3/exchangeInfo", exchange_info(XRP)) if isinstance(e, InstrumentsLoaded)]
    assert loaded.instruments[0].tradable
    talk.requests.clear()
    talk.tick(100 * SECOND)
    assert not [r for r in talk.requests if "exchangeInfo" in r.label]


def test_stamps_that_the_offset_cannot_explain_are_looked_into() -> None:
    """Binance's clock is measured; then its depth updates are 2 s ahead of it, as after a jump."""
    talk = BinanceTalk(HMAC).ready()
    talk.tick(100 * SECOND)
    talk.requests.clear()

    def depth(number: int, ahead_ms: int) -> None:
        data = {"e": "depthUpdate", "E": talk.ts // MS + ahead_ms, "s": "XRPUSDT", "U": number, "u": number}
        talk.frame("market", {"stream": "xrpusdt@depth@100ms", "data": data | {"b": [["0.5", "2"]], "a": []}})
        talk.tick()

    depth(10, 0)
    talk.answer("/api/v3/depth", {"lastUpdateId": 10, "bids": [["0.5", "1"]], "asks": [["0.6", "1"]]})
    depth(11, 200)
    depth(12, -900)
    assert talk.requests == []
    depth(13, 2_000)
    assert [request.label for request in talk.requests] == ["GET /api/v3/time"]
    talk.settle_clock(offset_ms=2_000)
    talk.requests.clear()
    depth(14, 0)  # and back again, at once: but not every second
    talk.tick(9 * SECOND)
    assert talk.requests == []
    talk.tick(SECOND)
    assert [request.label for request in talk.requests] == ["GET /api/v3/time"]
