"""Orders at Binance through the codec: placing, answers, events of the account, cancels, questions, errors."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from binance_talk import ED25519, HMAC, MS, SECOND, T0, Talk, names, query
from tradeserver.core.commands import (
    ArmDeadMan,
    CancelAll,
    CancelOrder,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    RequestAccount,
    SubmitOrder,
)
from tradeserver.core.events import (
    AccountSnapshot,
    Balance,
    BalanceChanged,
    CancelRejected,
    Ending,
    FillsListed,
    LinkDown,
    OpenOrdersListed,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrderStatus,
    OrderUncertain,
    QueryFailed,
    RateLimited,
    VenueFault,
)
from tradeserver.core.types import Side, TimeInForce
from tradeserver.venues.base import NO_ANSWER, NOT_SENT, WireError

ID = "aaL00000100001010"
DONE = T0 // MS + 5


def submit(opening: bool = True, quantity: str = "20.0", price: str = "0.6000") -> SubmitOrder:
    return SubmitOrder(
        venue="binance",
        symbol="XRP/USDT",
        client_id=ID,
        arbitrage=1,
        leg=0,
        attempt=0,
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        time_in_force=TimeInForce.IOC,
        opening=opening,
    )


def full(status: str = "FILLED", executed: str = "20.00000000", **more: Any) -> dict[str, Any]:
    fill = {"price": "0.59980000", "qty": executed, "commission": "0.02", "commissionAsset": "XRP", "tradeId": 17}
    return {
        "symbol": "XRPUSDT",
        "orderId": 5,
        "orderListId": -1,
        "clientOrderId": ID,
        "transactTime": DONE,
        "price": "0.60000000",
        "origQty": "20.00000000",
        "executedQty": executed,
        "cummulativeQuoteQty": "11.99600000",
        "status": status,
        "timeInForce": "IOC",
        "type": "LIMIT",
        "side": "BUY",
        "workingTime": DONE,
        "selfTradePreventionMode": "NONE",
        "fills": [fill] if Decimal(executed) else [],
    } | more


FILL = OrderFilled(
    ts=T0,
    venue="binance",
    client_id=ID,
    venue_ts=DONE * MS,
    symbol="XRP/USDT",
    side=Side.BUY,
    trade_id="17",
    venue_order_id="5",
    price=Decimal("0.5998"),
    quantity=Decimal(20),
    commission=Decimal("0.02"),
    commission_asset="XRP",
)


def report(execution: str, status: str, **more: Any) -> dict[str, Any]:
    event = {
        "e": "executionReport",
        "E": DONE + 1,
        "s": "XRPUSDT",
        "c": ID,
        "S": "BUY",
        "o": "LIMIT",
        "f": "IOC",
        "q": "20.00000000",
        "p": "0.60000000",
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": execution,
        "X": status,
        "r": "NONE",
        "i": 5,
        "l": "0.00000000",
        "z": "0.00000000",
        "L": "0.00000000",
        "n": "0",
        "N": None,
        "T": DONE,
        "t": -1,
        "w": False,
        "m": False,
        "O": DONE,
        "Z": "0.00000000",
    }
    return {"subscriptionId": 0, "event": event | more}


# ---- placing ----


@pytest.mark.parametrize("key", [HMAC, ED25519])
def test_an_order_goes_over_the_ws_api_and_is_signed_only_where_it_must(key: Any) -> None:
    talk = Talk(key).ready()
    sent = talk.encode(submit())
    params = sent["params"]
    assert sent["method"] == "order.place"
    assert (params["symbol"], params["side"], params["type"]) == ("XRPUSDT", "BUY", "LIMIT")
    assert (params["quantity"], params["price"], params["timeInForce"]) == ("20", "0.6", "IOC")
    assert (params["newOrderRespType"], params["newClientOrderId"], sent["id"]) == ("FULL", ID, ID)
    assert params["timestamp"] == (talk.ts + MS // 2) // MS
    assert ("signature" in params) == ("apiKey" in params) == (key is HMAC)


def test_numbers_are_written_plainly() -> None:
    talk = Talk(HMAC).ready()
    params = talk.encode(submit(quantity="2E+1", price="0.00000010"))["params"]
    assert (params["quantity"], params["price"]) == ("20", "0.0000001")


def test_a_full_answer_tells_everything_in_order() -> None:
    talk = Talk(HMAC).ready()
    talk.encode(submit())
    accepted, filled, closed = talk.frame("orders", {"id": ID, "status": 200, "result": full()})
    assert isinstance(accepted, OrderAccepted)
    assert (accepted.client_id, accepted.venue_order_id, accepted.venue_ts) == (ID, "5", DONE * MS)
    assert filled == _at(FILL, talk.ts)
    assert isinstance(closed, OrderClosed)
    assert (closed.ending, closed.executed, closed.venue_order_id) == (Ending.FILLED, Decimal(20), "5")


def test_an_ioc_order_that_found_nothing_or_part() -> None:
    talk = Talk(HMAC).ready()
    reason = "UNFILLED_IOC_QUANTITY_EXPIRED"
    accepted, closed = talk.frame(
        "orders", {"id": ID, "status": 200, "result": full("EXPIRED", "0.00000000", expiryReason=reason)}
    )
    assert isinstance(closed, OrderClosed)
    assert (closed.ending, closed.executed, closed.reason) == (Ending.EXPIRED, Decimal(0), reason)
    accepted, filled, closed = talk.frame("orders", {"id": ID, "status": 200, "result": full("EXPIRED", "7.5")})
    assert isinstance(accepted, OrderAccepted)
    assert isinstance(filled, OrderFilled)
    assert isinstance(closed, OrderClosed)
    assert (filled.quantity, closed.executed) == (Decimal("7.5"), Decimal("7.5"))


def test_an_order_that_rests_is_accepted_only() -> None:
    talk = Talk(HMAC).ready()
    assert names(talk.frame("orders", {"id": ID, "status": 200, "result": full("NEW", "0")})) == ["OrderAccepted"]


@pytest.mark.parametrize(
    ("status", "code", "text", "expected"),
    [
        (400, -2010, "Account has insufficient balance for requested action.", ["OrderRejected"]),
        (400, -1013, "Filter failure: NOTIONAL", ["OrderRejected"]),
        (400, -1111, "Parameter 'price' has too much precision.", ["OrderRejected"]),
        (400, -1021, "Timestamp for this request is outside of the recvWindow.", ["OrderRejected"]),
        (400, -2010, "Market is closed.", ["OrderRejected"]),
        (401, -2015, "Invalid API-key, IP, or permissions for action.", ["OrderRejected", "VenueFault"]),
        (400, -2010, "This account may not place or cancel orders.", ["OrderRejected", "VenueFault"]),
        (400, -2010, "Duplicate order sent.", ["OrderUncertain"]),
        (400, -1006, "An unexpected response was received from the message bus.", ["OrderUncertain"]),
        (400, -1007, "Timeout waiting for response from backend server.", ["OrderUncertain"]),
        (400, -1001, "Internal error; unable to process your request.", ["OrderUncertain"]),
        (503, -1008, "Server is currently overloaded with other requests.", ["OrderUncertain"]),
        (500, -2010, "Account has insufficient balance for requested action.", ["OrderUncertain"]),
        (400, -9999, "A code of next year.", ["OrderUncertain", "VenueFault"]),
    ],
)
def test_errors_on_an_order(status: int, code: int, text: str, expected: list[str]) -> None:
    talk = Talk(HMAC).ready()
    talk.encode(submit())
    events = talk.frame("orders", {"id": ID, "status": status, "error": {"code": code, "msg": text}})
    assert names(events) == expected
    first = events[0]
    assert isinstance(first, (OrderRejected, OrderUncertain))
    assert (first.client_id, first.code, first.text) == (ID, str(code), text)


def test_too_many_orders() -> None:
    talk = Talk(HMAC).ready()
    until_ms = talk.ts // MS + 8_000
    error = {"code": -1015, "msg": "Too many new orders.", "data": {"serverTime": 1, "retryAfter": until_ms}}
    limited, rejected = talk.frame("orders", {"id": ID, "status": 429, "error": error})
    assert isinstance(limited, RateLimited)
    assert (limited.scope, limited.banned) == ("orders", False)
    assert abs(limited.until - until_ms * MS) <= MS
    assert isinstance(rejected, OrderRejected)
    assert talk.codec.usable(submit()) == "rate budget: orders throttled"
    assert talk.codec.usable(QueryOpenOrders(venue="binance")) == ""


def test_the_order_count_keeps_a_share_for_hedges() -> None:
    talk = Talk(HMAC).ready()
    limits = [{"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50, "count": 38}]
    talk.frame("orders", {"id": ID, "status": 200, "result": full(), "rateLimits": limits})
    assert talk.codec.usable(submit()) == ""
    for _ in range(2):  # sent, not yet answered
        talk.encode(submit())
    assert talk.codec.usable(submit()) == "rate budget: orders_10s 40 of 50"
    assert talk.codec.usable(submit(opening=False)) == ""
    talk.tick(10 * SECOND)
    assert talk.codec.usable(submit()) == ""


def test_without_the_order_link_nothing_opens_and_hedges_go_by_rest() -> None:
    talk = Talk(HMAC).ready()
    (down,) = talk.closed("orders")
    assert isinstance(down, LinkDown)
    assert talk.codec.usable(submit()) == "orders link down"
    assert talk.codec.usable(submit(opening=False)) == ""
    sent = talk.encode(submit(opening=False))
    assert talk.requests[-1].method == "POST"
    assert (sent["newClientOrderId"], sent["quantity"], sent["recvWindow"]) == (ID, "20", "1000")
    assert names(talk.answer("/api/v3/order", full())) == ["OrderAccepted", "OrderFilled", "OrderClosed"]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (NOT_SENT, b"connection refused", ["OrderRejected"]),
        (NO_ANSWER, b"timed out", ["OrderUncertain"]),
        (200, b"<html>", ["VenueFault", "OrderUncertain"]),
        (502, b"<html>bad gateway</html>", ["VenueFault", "OrderUncertain"]),
        (403, b"<html>forbidden</html>", ["VenueFault", "OrderUncertain"]),
        (400, b'{"code":-2010,"msg":"Market is closed."}', ["OrderRejected"]),
        (400, b'{"code":-1013,"msg":"Filter failure: LOT_SIZE"}', ["OrderRejected"]),
        (409, b'{"code":-9998,"msg":"?"}', ["OrderUncertain", "VenueFault"]),
    ],
)
def test_outcomes_of_an_order_by_rest(status: int, body: bytes, expected: list[str]) -> None:
    talk = Talk(HMAC).ready()
    talk.closed("orders")
    talk.encode(submit(opening=False))
    assert names(talk.answer("/api/v3/order", body, status)) == expected


# ---- events of the account ----


def test_the_life_of_an_order_as_events() -> None:
    talk = Talk(HMAC).ready()
    (accepted,) = talk.frame("user", report("NEW", "NEW"))
    assert isinstance(accepted, OrderAccepted)
    part = {"l": "8", "z": "8", "L": "0.5997", "n": "0.008", "N": "XRP", "t": 16}
    (filled,) = talk.frame("user", report("TRADE", "PARTIALLY_FILLED", **part))
    assert isinstance(filled, OrderFilled)
    assert (filled.trade_id, filled.price, filled.quantity) == ("16", Decimal("0.5997"), Decimal(8))
    (closed,) = talk.frame("user", report("EXPIRED", "EXPIRED", z="8", eR="UNFILLED_IOC_QUANTITY_EXPIRED"))
    assert isinstance(closed, OrderClosed)
    assert (closed.ending, closed.executed) == (Ending.EXPIRED, Decimal(8))
    assert closed.reason == "UNFILLED_IOC_QUANTITY_EXPIRED"


def test_the_event_of_a_fill_is_the_fill_of_the_full_answer() -> None:
    """Both ways bring it; the core tells by the trade id that it is one fill, so everything must agree."""
    talk = Talk(HMAC).ready()
    last = {"l": "20.00000000", "z": "20.00000000", "L": "0.59980000", "n": "0.02", "N": "XRP", "t": 17}
    filled, closed = talk.frame("user", report("TRADE", "FILLED", **last))
    assert filled == _at(FILL, talk.ts)
    assert isinstance(closed, OrderClosed)
    assert closed.ending is Ending.FILLED


def test_a_cancel_names_the_order_by_its_original_id() -> None:
    talk = Talk(HMAC).ready()
    (closed,) = talk.frame("user", report("CANCELED", "CANCELED", c="cancel-7", C=ID, z="3"))
    assert isinstance(closed, OrderClosed)
    assert (closed.client_id, closed.ending, closed.executed) == (ID, Ending.CANCELED, Decimal(3))
    (closed,) = talk.frame("user", report("CANCELED", "CANCELED"))  # by the venue itself: no cancel id
    assert isinstance(closed, OrderClosed)
    assert closed.client_id == ID


def test_the_rarer_ends() -> None:
    talk = Talk(HMAC).ready()
    (closed,) = talk.frame("user", report("TRADE_PREVENTION", "EXPIRED_IN_MATCH"))
    assert isinstance(closed, OrderClosed)
    assert (closed.ending, closed.reason) == (Ending.EXPIRED, "EXPIRED_IN_MATCH")
    (rejected,) = talk.frame("user", report("REJECTED", "REJECTED", r="INSUFFICIENT_BALANCES"))
    assert isinstance(rejected, OrderRejected)
    assert rejected.code == "INSUFFICIENT_BALANCES"
    (fault,) = talk.frame("user", report("CALCULATED", "A_STATUS_OF_NEXT_YEAR"))
    assert isinstance(fault, VenueFault)
    assert fault.code == "UNKNOWN_STATUS"


def test_balances_are_absolute() -> None:
    talk = Talk(HMAC).ready()
    position = {"e": "outboundAccountPosition", "E": DONE + 1, "u": DONE, "B": [{"a": "XRP", "f": "19.98", "l": "0"}]}
    (changed,) = talk.frame("user", {"subscriptionId": 0, "event": position})
    assert changed == BalanceChanged(
        ts=talk.ts,
        venue="binance",
        asset="XRP",
        balance=Balance(free=Decimal("19.98"), locked=Decimal(0)),
        venue_ts=DONE * MS,
    )
    update = {"e": "balanceUpdate", "E": DONE, "a": "XRP", "d": "100", "T": DONE}
    assert talk.frame("user", {"subscriptionId": 0, "event": update}) == []


def test_an_external_lock_has_only_a_difference_so_the_account_is_asked() -> None:
    talk = Talk(HMAC).ready()
    lock = {"e": "externalLockUpdate", "E": DONE, "a": "XRP", "d": "10", "T": DONE}
    assert talk.frame("user", {"subscriptionId": 0, "event": lock}) == []
    assert [request.label for request in talk.requests] == ["GET /api/v3/account"]


def test_a_stream_that_has_ended_is_opened_anew() -> None:
    talk = Talk(HMAC).ready()
    assert talk.frame("user", {"event": {"e": "eventStreamTerminated", "E": DONE}}) == []
    assert [channel for channel, _ in talk.resets] == ["user"]


def test_a_connection_that_will_end_gets_a_successor_first() -> None:
    talk = Talk(HMAC).ready()
    talk.channels.clear()
    assert talk.frame("user", {"event": {"e": "serverShutdown", "E": DONE}}) == []
    talk.tick()
    assert (talk.channels, talk.resets) == (["user.b"], [])


def test_an_event_that_nobody_knows_is_told_and_does_no_harm() -> None:
    talk = Talk(HMAC).ready()
    (fault,) = talk.frame("user", {"subscriptionId": 0, "event": {"e": "eventOfNextYear", "E": 1}})
    assert isinstance(fault, VenueFault)
    assert fault.code == "UNKNOWN_EVENT"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b'{"id":"x"}',
        b'{"id":7',
        b'{"subscriptionId":0}',
        b'{"subscriptionId":0,"event":{"e":"executionReport","E":1}}',
        b'{"subscriptionId":0,"event":{"E":1}}',
        b'{"id":"aaL","status":200,"result":{"symbol":"XRPUSDT","orderId":5,"orderListId":-1,"clientOrderId":"aaL",'
        b'"transactTime":1,"side":"HOLD","status":"FILLED"}}',
    ],
)
def test_malformed_bytes_raise(data: bytes) -> None:
    talk = Talk(HMAC).ready()
    for channel in ("user", "orders"):
        with pytest.raises(WireError):
            talk.frame(channel, data)


# ---- cancels ----

CANCELED = {
    "symbol": "XRPUSDT",
    "origClientOrderId": ID,
    "orderId": 5,
    "orderListId": -1,
    "clientOrderId": "cancel-7",
    "transactTime": DONE,
    "price": "0.6",
    "origQty": "20",
    "executedQty": "3.5",
    "cummulativeQuoteQty": "2.1",
    "status": "CANCELED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "selfTradePreventionMode": "NONE",
}


@pytest.mark.parametrize("link", ["ws", "rest"])
def test_a_cancel_and_its_race_with_a_fill(link: str) -> None:
    talk = Talk(HMAC).ready()
    cancel = CancelOrder(venue="binance", symbol="XRP/USDT", client_id=ID)
    if link == "rest":
        talk.closed("orders")

    def cancelled(payload: Any, ok: bool) -> list[Any]:
        sent = talk.encode(cancel)
        if link == "rest":
            assert (talk.requests[-1].method, sent["origClientOrderId"]) == ("DELETE", ID)
            return talk.answer("/api/v3/order", payload, 200 if ok else 400)
        assert (sent["method"], sent["params"]["origClientOrderId"]) == ("order.cancel", ID)
        part = {"status": 200, "result": payload} if ok else {"status": 400, "error": payload}
        return talk.frame("orders", {"id": sent["id"]} | part)

    (closed,) = cancelled(CANCELED, ok=True)
    assert isinstance(closed, OrderClosed)
    assert (closed.client_id, closed.ending, closed.executed) == (ID, Ending.CANCELED, Decimal("3.5"))
    (refused,) = cancelled({"code": -2011, "msg": "Unknown order sent."}, ok=False)
    assert isinstance(refused, CancelRejected)
    assert (refused.client_id, refused.code) == (ID, "-2011")


@pytest.mark.parametrize("link", ["ws", "rest"])
def test_cancel_all(link: str) -> None:
    talk = Talk(HMAC).ready()
    everything = CancelAll(venue="binance", symbol="XRP/USDT")
    order_list = {
        "orderListId": 9,
        "contingencyType": "OCO",
        "listStatusType": "ALL_DONE",
        "listOrderStatus": "ALL_DONE",
        "listClientOrderId": "list",
        "transactionTime": DONE,
        "symbol": "XRPUSDT",
        "orders": [{"symbol": "XRPUSDT", "orderId": 6, "clientOrderId": "foreign"}],
        "orderReports": [CANCELED | {"origClientOrderId": "foreign", "orderId": 6}],
    }
    if link == "rest":
        talk.closed("orders")
        talk.encode(everything)
        events = talk.answer("/api/v3/openOrders", [CANCELED, order_list])
        talk.encode(everything)
        nothing = talk.answer("/api/v3/openOrders", {"code": -2011, "msg": "Unknown order sent."}, 400)
        talk.encode(everything)
        (fault,) = talk.answer("/api/v3/openOrders", b"timed out", NO_ANSWER)
    else:
        sent = talk.encode(everything)
        events = talk.frame("orders", {"id": sent["id"], "status": 200, "result": [CANCELED, order_list]})
        error = {"code": -2011, "msg": "Unknown order sent."}
        nothing = talk.frame("orders", {"id": talk.encode(everything)["id"], "status": 400, "error": error})
        error = {"code": -1007, "msg": "Timeout"}
        (fault,) = talk.frame("orders", {"id": talk.encode(everything)["id"], "status": 400, "error": error})
    assert [event.client_id for event in events if isinstance(event, OrderClosed)] == [ID, "foreign"]
    assert nothing == []
    assert isinstance(fault, VenueFault)


def test_an_answer_that_belongs_to_an_earlier_connection_is_told() -> None:
    talk = Talk(HMAC).ready()
    sent = talk.encode(CancelOrder(venue="binance", symbol="XRP/USDT", client_id=ID))
    talk.closed("orders")
    talk.opened("orders")
    (fault,) = talk.frame("orders", {"id": sent["id"], "status": 200, "result": CANCELED})
    assert isinstance(fault, VenueFault)
    assert fault.code == "UNKNOWN_ANSWER"


def test_there_is_no_dead_mans_switch() -> None:
    talk = Talk(HMAC).ready()
    assert talk.codec.encode(ArmDeadMan(venue="binance", timeout_s=30, symbols=()), talk.ts) is None


# ---- questions ----

STATUS = {
    "symbol": "XRPUSDT",
    "orderId": 5,
    "orderListId": -1,
    "clientOrderId": ID,
    "price": "0.6",
    "origQty": "20",
    "executedQty": "8",
    "cummulativeQuoteQty": "4.8",
    "status": "EXPIRED",
    "timeInForce": "IOC",
    "type": "LIMIT",
    "side": "BUY",
    "time": DONE,
    "updateTime": DONE,
    "isWorking": False,
    "selfTradePreventionMode": "NONE",
}


def test_how_an_order_stands() -> None:
    talk = Talk(HMAC).ready()
    asked = talk.ts
    sent = talk.encode(QueryOrder(venue="binance", symbol="XRP/USDT", client_id=ID))
    assert sent["origClientOrderId"] == ID
    (status,) = talk.answer("/api/v3/order", STATUS, after_ns=3 * MS)
    assert status == OrderStatus(
        ts=asked + 3 * MS,
        venue="binance",
        client_id=ID,
        venue_ts=DONE * MS,
        symbol="XRP/USDT",
        found=True,
        asked_ts=asked,
        ending=Ending.EXPIRED,
        executed=Decimal(8),
        venue_order_id="5",
    )
    talk.encode(QueryOrder(venue="binance", symbol="XRP/USDT", client_id=ID))
    (status,) = talk.answer("/api/v3/order", STATUS | {"status": "PARTIALLY_FILLED"})
    assert isinstance(status, OrderStatus)
    assert status.ending is None


def test_no_such_order_and_could_not_ask_are_different() -> None:
    talk = Talk(HMAC).ready()
    ask = QueryOrder(venue="binance", symbol="XRP/USDT", client_id=ID)
    talk.encode(ask)
    (status,) = talk.answer("/api/v3/order", {"code": -2013, "msg": "Order does not exist."}, 400)
    assert isinstance(status, OrderStatus)
    assert not status.found
    for http, body in ((NO_ANSWER, b"timed out"), (NOT_SENT, b"refused"), (502, b"<html>"), (200, b"{}")):
        talk.encode(ask)
        failed = talk.answer("/api/v3/order", body, http)[-1]
        assert isinstance(failed, QueryFailed)
        assert (failed.query, failed.client_id, failed.symbol) == ("QueryOrder", ID, "XRP/USDT")


def trade(number: int, order: int = 5, time: int = DONE) -> dict[str, Any]:
    return {
        "symbol": "XRPUSDT",
        "id": number,
        "orderId": order,
        "orderListId": -1,
        "price": "0.59980000",
        "qty": "20",
        "quoteQty": "11.996",
        "commission": "0.02",
        "commissionAsset": "XRP",
        "time": time,
        "isBuyer": True,
        "isMaker": False,
        "isBestMatch": True,
    }


def test_fills_of_an_order_by_the_venues_id() -> None:
    talk = Talk(HMAC).ready()
    sent = talk.encode(QueryFills(venue="binance", symbol="XRP/USDT", client_id=ID, venue_order_id="5"))
    assert sent["orderId"] == "5"
    (listed,) = talk.answer("/api/v3/myTrades", [trade(17)])
    assert isinstance(listed, FillsListed)
    assert (listed.client_id, listed.fills) == (ID, (_at(FILL, talk.ts),))


def test_fills_of_an_order_of_which_only_our_id_is_known() -> None:
    talk = Talk(HMAC).ready()
    ask = QueryFills(venue="binance", symbol="XRP/USDT", client_id=ID)
    asked = talk.ts
    assert talk.encode(ask)["origClientOrderId"] == ID
    assert talk.answer("/api/v3/order", STATUS, after_ns=MS) == []
    assert query(talk.requests[-1])["orderId"] == "5"
    (listed,) = talk.answer("/api/v3/myTrades", [trade(17)])
    assert isinstance(listed, FillsListed)
    assert (listed.asked_ts, len(listed.fills)) == (asked, 1)
    talk.encode(ask)
    (listed,) = talk.answer("/api/v3/order", {"code": -2013, "msg": "Order does not exist."}, 400)
    assert isinstance(listed, FillsListed)
    assert listed.fills == ()
    talk.encode(ask)
    talk.answer("/api/v3/order", STATUS)
    (failed,) = talk.answer("/api/v3/myTrades", b"timed out", NO_ANSWER)
    assert isinstance(failed, QueryFailed)
    assert failed.query == "QueryFills"


def test_fills_since_a_moment_in_windows_of_a_day() -> None:
    talk = Talk(HMAC).ready()
    day = 86_400 * SECOND
    since = talk.ts - 2 * day - day // 2
    talk.encode(QueryFills(venue="binance", symbol="XRP/USDT", since=since))
    windows = []
    events: list[Any] = []
    while talk.requests:
        sent = query(talk.requests[0])
        windows.append((int(sent["startTime"]), int(sent["endTime"])))
        events = talk.answer("/api/v3/myTrades", [trade(100 + len(windows), order=len(windows))])
    assert windows[0][0] <= since // MS + 1
    assert all(end - start <= 86_400_000 for start, end in windows)
    assert all(after[0] == before[1] + 1 for before, after in pairwise(windows))
    assert windows[-1][1] >= talk.ts // MS
    (listed,) = events
    assert isinstance(listed, FillsListed)
    assert [fill.trade_id for fill in listed.fills] == ["101", "102", "103"]
    assert [fill.venue_order_id for fill in listed.fills] == ["1", "2", "3"]


def test_full_pages_are_continued_by_trade_id() -> None:
    talk = Talk(HMAC).ready()
    talk.encode(QueryFills(venue="binance", symbol="XRP/USDT", since=talk.ts - 3_600 * SECOND))
    assert talk.answer("/api/v3/myTrades", [trade(number) for number in range(1_000)]) == []
    sent = query(talk.requests[0])
    assert sent["fromId"] == "1000"
    assert "startTime" not in sent
    (listed,) = talk.answer("/api/v3/myTrades", [trade(1_000)])
    assert isinstance(listed, FillsListed)
    assert len(listed.fills) == 1_001


def test_a_question_that_would_never_end_fails() -> None:
    talk = Talk(HMAC).ready()
    talk.encode(QueryFills(venue="binance", symbol="XRP/USDT", since=talk.ts - 1_000 * 86_400 * SECOND))
    events: list[Any] = []
    requests = 0
    while talk.requests:
        requests += 1
        events = talk.answer("/api/v3/myTrades", [])
    assert requests == 60
    assert names(events) == ["QueryFailed"]


def test_open_orders_of_our_symbols() -> None:
    talk = Talk(HMAC).ready()
    talk.encode(QueryOpenOrders(venue="binance"))
    mine = STATUS | {"status": "NEW", "clientOrderId": "web_foreign"}
    (listed,) = talk.answer("/api/v3/openOrders", [mine, mine | {"symbol": "DOGEUSDT"}])
    assert isinstance(listed, OpenOrdersListed)
    (order,) = listed.orders
    assert (order.symbol, order.client_id, order.venue_order_id) == ("XRP/USDT", "web_foreign", "5")
    assert (order.side, order.price, order.quantity, order.executed) == (
        Side.BUY,
        Decimal("0.6"),
        Decimal(20),
        Decimal(8),
    )


def test_the_account() -> None:
    talk = Talk(HMAC).ready()
    asked = talk.ts
    sent = talk.encode(RequestAccount(venue="binance"))
    assert sent["omitZeroBalances"] == "true"
    account = {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": True,
        "updateTime": DONE,
        "accountType": "SPOT",
        "balances": [
            {"asset": "XRP", "free": "19.98000000", "locked": "1.00000000"},
            {"asset": "OLD", "free": "0.00000000", "locked": "0.00000000"},
        ],
    }
    (snapshot,) = talk.answer("/api/v3/account", account, after_ns=MS)
    assert isinstance(snapshot, AccountSnapshot)
    assert snapshot.asked_ts == asked
    assert snapshot.balances == {"XRP": Balance(free=Decimal("19.98"), locked=Decimal(1))}
    talk.encode(RequestAccount(venue="binance"))
    (failed,) = talk.answer("/api/v3/account", b"timed out", NO_ANSWER)
    assert isinstance(failed, QueryFailed)


def _at(fill: OrderFilled, ts: int) -> OrderFilled:
    return OrderFilled(**{name: getattr(fill, name) for name in fill.__struct_fields__} | {"ts": ts})
