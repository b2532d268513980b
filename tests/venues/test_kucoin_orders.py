"""KuCoin's orders: what goes out, and what each answer and each push says about an order."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kucoin_kit import MS, SECOND, XRP, Talk, order_push
from tradeserver.core.commands import CancelOrder, SubmitOrder
from tradeserver.core.events import (
    Balance,
    BalanceChanged,
    CancelRejected,
    Ending,
    Event,
    InstrumentsLoaded,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrderUncertain,
    RateLimited,
    SymbolStatus,
    VenueFault,
)
from tradeserver.core.types import Side, TimeInForce
from tradeserver.venues.base import NO_ANSWER, NOT_SENT
from tradeserver.venues.card import incomplete
from tradeserver.venues.errors import UNLISTED, Fault
from tradeserver.venues.kucoin.card import CARD
from tradeserver.venues.kucoin.errors import TABLE, read_code
from tradeserver.venues.kucoin.settings import KucoinSettings
from tradeserver.wire import kucoin as wire

PLACE = "POST /api/v1/hf/orders"


def submit(**fields: Any) -> SubmitOrder:
    values: dict[str, Any] = {
        "venue": "kucoin",
        "symbol": "XRP/USDT",
        "client_id": "T1L0abcde00001000",
        "arbitrage": 1,
        "leg": 0,
        "attempt": 0,
        "side": Side.BUY,
        "quantity": Decimal("20.3700"),
        "price": Decimal("1E-7"),
        "time_in_force": TimeInForce.IOC,
        "opening": True,
    }
    return SubmitOrder(**(values | fields))


def cancel(venue_order_id: str = "") -> CancelOrder:
    return CancelOrder(venue="kucoin", symbol="XRP/USDT", client_id="a1", venue_order_id=venue_order_id)


def up(**settings: Any) -> Talk:
    talk = Talk(settings=KucoinSettings(**settings))
    talk.up()
    return talk


# ---- what goes out --------------------------------------------------------------------------------------------------


def test_an_order_by_socket() -> None:
    talk = up(time_window_ms=800)
    frame = talk.command(submit())
    assert frame == {
        "id": "T1L0abcde00001000",
        "op": "spot.order",
        "args": {
            "symbol": "XRP-USDT",
            "side": "buy",
            "type": "limit",
            "clientOid": "T1L0abcde00001000",
            "price": "0.0000001",
            "size": "20.37",
            "timeInForce": "IOC",
            "clientTimestamp": talk.now // MS,
            "allowMaxTimeWindow": 800,
        },
    }
    assert talk.sent[-1][0] == "orders"
    shape = wire.Operation[wire.NewOrder[str]]
    read = msgspec.json.decode(talk.sent[-1][1], type=shape)
    assert msgspec.json.decode(msgspec.json.encode(read)) == frame


@pytest.mark.parametrize("time_in_force", list(TimeInForce))
@pytest.mark.parametrize("side", list(Side))
def test_sides_and_times(side: Side, time_in_force: TimeInForce) -> None:
    args = up().command(submit(side=side, time_in_force=time_in_force))["args"]
    assert (args["side"], args["timeInForce"]) == (side.value, time_in_force.value)


def test_an_order_by_rest_while_the_link_is_down() -> None:
    talk = up()
    talk.done(talk.codec.closed("orders", "eof", talk.now))
    assert talk.codec.usable(submit()) == "orders link down"
    assert talk.codec.usable(submit(opening=False)) == ""
    sent = talk.command(submit(opening=False))
    assert (sent["method"], sent["url"]) == ("POST", "https://api.kucoin.com/api/v1/hf/orders")
    assert sent["body"]["clientOid"] == "T1L0abcde00001000"
    (event,) = talk.answer(PLACE, {"orderId": "67", "clientOid": "T1L0abcde00001000"})
    assert event == OrderAccepted(ts=talk.now, venue="kucoin", client_id="T1L0abcde00001000", venue_order_id="67")


def test_opening_needs_both_private_links() -> None:
    talk = up()
    assert talk.codec.usable(submit()) == ""
    talk.done(talk.codec.closed("user", "eof", talk.now))
    assert talk.codec.usable(submit()) == "user link down"
    assert talk.codec.usable(submit(opening=False)) == ""


@pytest.mark.parametrize(("known", "args"), [("67", {"orderId": "67"}), ("", {"clientOid": "a1"})])
def test_a_cancel_by_socket_and_by_rest(known: str, args: dict[str, str]) -> None:
    talk = up()
    frame = talk.command(cancel(known))
    assert frame == {"id": "c-a1", "op": "spot.cancel", "args": {"symbol": "XRP-USDT"} | args}
    talk.done(talk.codec.closed("orders", "eof", talk.now))
    sent = talk.command(cancel(known))
    tail = "67?symbol=XRP-USDT" if known else "client-order/a1?symbol=XRP-USDT"
    assert (sent["method"], sent["url"]) == ("DELETE", f"https://api.kucoin.com/api/v1/hf/orders/{tail}")


def test_while_rest_is_blocked_nothing_is_opened_but_hedges_and_cancels_go_by_socket() -> None:
    talk = up()
    talk.raw("GET /api/v1/trade-fees", 403, b"<html>forbidden</html>")
    assert talk.codec.usable(submit()) == "rate budget: REST paused"
    assert talk.codec.usable(submit(opening=False)) == ""
    assert talk.codec.usable(cancel()) == ""
    talk.done(talk.codec.closed("orders", "eof", talk.now))
    assert talk.codec.usable(submit(opening=False)) == "rate budget: REST paused"
    talk.tick(30_001)
    assert talk.codec.usable(submit(opening=False)) == ""


def test_without_a_key_nothing_can_be_sent() -> None:
    talk = Talk(credentials=None)
    talk.boot()
    assert talk.codec.usable(submit()) == "no key"


# ---- answers --------------------------------------------------------------------------------------------------------


def answered(talk: Talk, code: str, msg: str = "", **more: Any) -> list[Event]:
    talk.command(submit(client_id="a1"))
    frame: dict[str, Any] = {"id": "a1", "op": "spot.order", "code": code, "inTime": 1, "outTime": 2}
    return talk.frame("orders", frame | ({"msg": msg} if msg else {}) | more)


def test_an_accepted_order_and_what_is_left_of_the_pool() -> None:
    talk = up()
    limit = {"limit": 100, "reset": 9_000, "remaining": 15}
    (event,) = answered(talk, "200000", data={"orderId": "67", "clientOid": "a1"}, rateLimit=limit)
    assert event == OrderAccepted(ts=talk.now, venue="kucoin", client_id="a1", venue_order_id="67")
    talk.tick()
    # 85 of 100 are spent: the last fifth is kept for hedges and cancels
    assert talk.codec.usable(submit()).startswith("rate budget")
    assert talk.codec.usable(submit(opening=False)) == ""
    assert talk.codec.usable(cancel()) == ""


@pytest.mark.parametrize(
    ("code", "msg", "kinds"),
    [
        ("200004", "Balance insufficient!", [OrderRejected]),
        ("400100", "account.available.amount", [OrderRejected]),
        ("400100", "Order size below the minimum requirement.", [OrderRejected]),
        ("400760", "the price is out of range", [OrderRejected]),
        ("200003", "too many open orders", [OrderRejected]),
        ("400002", "KC-API-TIMESTAMP Invalid", [OrderRejected]),
        ("200001", "order creation for this pair suspended", [OrderRejected, SymbolStatus]),
        ("400600", "validation.createOrder.symbolNotAvailable", [OrderRejected, SymbolStatus]),
        ("900001", "symbol not exists", [OrderRejected, SymbolStatus]),
        ("400005", "Signature error", [OrderRejected, VenueFault]),
        ("411100", "User are frozen", [OrderRejected, VenueFault]),
        ("429000", "Too many requests", [OrderRejected, RateLimited]),
        ("500000", "Internal Server Error", [OrderUncertain]),
        ("408000", "timeout", [OrderUncertain]),
        ("126033", "duplicate order", [OrderUncertain]),
        ("777777", "never seen before", [OrderUncertain, VenueFault]),
    ],
)
def test_refusals_by_code(code: str, msg: str, kinds: list[type]) -> None:
    talk = up()
    events = answered(talk, code, msg)
    assert [type(e) for e in events] == kinds
    first = events[0]
    assert isinstance(first, OrderRejected | OrderUncertain)
    assert (first.client_id, first.code, first.text) == ("a1", code, msg)


@pytest.mark.parametrize(
    ("status", "body", "kinds"),
    [
        (200, b'{"code":"200004","msg":"Balance insufficient!"}', [OrderRejected]),
        (500, b'{"code":"500000","msg":"Internal Server Error"}', [OrderUncertain, VenueFault]),
        (502, b"<html>bad gateway</html>", [OrderUncertain, VenueFault]),
        (504, b'{"code":"200004","msg":"a proxy that lies"}', [OrderUncertain, VenueFault]),
        (200, b"<html>hello</html>", [OrderUncertain, VenueFault]),
        (200, b'{"code":"200000","data":[1,2]}', [OrderUncertain, VenueFault]),
        (403, b"<html>error code: 1015</html>", [OrderUncertain, VenueFault, RateLimited]),
        (403, b"<html>forbidden</html>", [OrderUncertain, VenueFault, RateLimited]),
        (429, b'{"code":"429000","msg":"Too many requests"}', [OrderRejected, RateLimited]),
        (NO_ANSWER, b"timed out", [OrderUncertain]),
        (NOT_SENT, b"no connection", [OrderRejected]),
    ],
)
def test_rest_answers_to_an_order(status: int, body: bytes, kinds: list[type]) -> None:
    talk = up()
    talk.done(talk.codec.closed("orders", "eof", talk.now))
    talk.command(submit(opening=False))
    assert [type(e) for e in talk.raw(PLACE, status, body)] == kinds


@pytest.mark.parametrize(("body", "seconds"), [(b"error code: 1015", 30), (b"<html>forbidden</html>", 10)])
def test_a_wall_without_a_time_is_tried_sooner_than_cloudflares(body: bytes, seconds: int) -> None:
    """An order in doubt behind it must be settled within 30 s."""
    talk = up()
    talk.done(talk.codec.closed("orders", "eof", talk.now))
    talk.command(submit(opening=False))
    (limited,) = [e for e in talk.raw(PLACE, 403, body) if isinstance(e, RateLimited)]
    assert limited.until - limited.ts == seconds * 1_000_000_000


def test_a_suspended_symbol_is_looked_up_and_comes_back() -> None:
    talk = up()
    status = answered(talk, "200001", "suspended")[1]
    assert isinstance(status, SymbolStatus)
    assert (status.symbol, status.tradable) == ("XRP/USDT", False)
    talk.run(6)
    (loaded,) = talk.answer("GET /api/v2/symbols", XRP)
    assert isinstance(loaded, InstrumentsLoaded)
    assert loaded.instruments[0].tradable


def test_a_refused_stamp_makes_the_clock_be_measured_again() -> None:
    talk = up()
    answered(talk, "400002", "KC-API-TIMESTAMP Invalid")
    talk.run(6)
    assert "GET /api/v1/timestamp" in [r.label for r in talk.requests]


def test_an_exhausted_pool_stops_orders_until_its_reset() -> None:
    talk = up()
    events = answered(talk, "429000", "Too many", rateLimit={"limit": 4000, "reset": 5_000, "remaining": 0})
    (limited,) = [e for e in events if isinstance(e, RateLimited)]
    assert (limited.scope, limited.until) == ("spot", talk.now + 5 * SECOND)
    talk.tick()
    assert talk.codec.usable(submit()).startswith("rate budget")
    talk.run(5)
    assert talk.codec.usable(submit()) == ""


def test_a_cancel_is_only_heard_and_its_refusal_is_told() -> None:
    talk = up()
    ok = {"id": "c-a1", "op": "spot.cancel", "code": "200000", "data": {"orderId": "67"}, "inTime": 1, "outTime": 2}
    assert talk.frame("orders", ok) == []
    refused = ok | {"code": "400100", "msg": "order_not_exist_or_not_allow_to_cancel"}
    (event,) = talk.frame("orders", refused)
    assert isinstance(event, CancelRejected)
    assert (event.client_id, event.code) == ("a1", "400100")


@pytest.mark.parametrize("status", [NO_ANSWER, NOT_SENT, 502])
def test_a_cancel_by_rest_that_brings_no_answer_is_a_reason_to_ask(status: int) -> None:
    talk = up()
    talk.done(talk.codec.closed("orders", "eof", talk.now))
    talk.command(cancel())
    events = talk.raw("DELETE /api/v1/hf/orders/client-order/", status, b"x")
    assert isinstance(events[0], CancelRejected)
    assert events[0].client_id == "a1"


def test_an_error_without_an_id_is_told() -> None:
    (event,) = up().frame("orders", {"code": "4001002", "msg": "Field 'id' must be a non-empty string."})
    assert isinstance(event, VenueFault)


def test_every_published_code_has_a_row(shared_data: Path) -> None:
    """No REST or gateway code that the documents list falls into the unlisted class."""
    published = json.loads((shared_data / "kucoin" / "errors.json").read_text())
    codes = {**published["classic_rest"]["codes"], **published["gateway_and_websocket"]["gateway"]}
    not_ours = {"260210", "400800", "400201", "400202"}  # withdrawals, margin, broker programme
    assert {code for code, text in codes.items() if TABLE.lookup(code, text) is UNLISTED} <= not_ours


@pytest.mark.parametrize(
    "text", ["order_not_exist_or_not_allow_to_cancel", "order not exist.", "The order does not exist."]
)
def test_parameter_error_is_told_apart_by_its_text(text: str) -> None:
    assert TABLE.lookup("400100", text).read is Fault.GONE
    assert TABLE.lookup("400100", "Parameter Error").order is Fault.REFUSED
    assert TABLE.lookup("400100", "Parameter Error").read is Fault.BUG


@pytest.mark.parametrize(
    ("status", "code", "text", "expected"),
    [
        (200, "200004", "x", "200004"),
        (503, "200004", "x", "HTTP_5XX"),
        (200, "", "<html>", "BAD_ANSWER"),
        (429, "", "", "HTTP_429"),
        (NO_ANSWER, "", "timed out", "NO_ANSWER"),
    ],
)
def test_the_code_decides_unless_there_is_none(status: int, code: str, text: str, expected: str) -> None:
    assert read_code(status, code, text) == expected


# ---- pushes ---------------------------------------------------------------------------------------------------------


def pushed(**fields: Any) -> list[Event]:
    return up().frame("user", order_push(**fields))


def test_an_order_without_a_client_id_is_somebody_elses() -> None:
    talk = up()
    frame = order_push(type="received")
    for client_oid in (None, ""):
        frame["data"]["clientOid"] = client_oid
        (event,) = talk.frame("user", frame)
        assert isinstance(event, OrderAccepted)
        assert event.client_id == ""
    del frame["data"]["clientOid"]
    assert len(talk.frame("user", frame)) == 1


def test_a_deposit_without_context_does_no_harm() -> None:
    frame = balance("main.deposit")
    frame["data"]["relationContext"] = None
    assert up().frame("user", frame) == []


def test_received_and_open_are_acceptance() -> None:
    for kind, status in (("received", "new"), ("open", "open")):
        (event,) = pushed(type=kind, status=status)
        assert isinstance(event, OrderAccepted)
        assert (event.client_id, event.venue_order_id) == ("a1", "67")


def test_a_match_is_a_fill_whose_fee_is_not_known() -> None:
    (event,) = pushed(
        type="match",
        status="match",
        price="0.51",
        size="20",
        filledSize="12.5",
        remainSize="7.5",
        canceledSize="0",
        liquidity="taker",
        feeType="takerFee",
        matchPrice="0.511",
        matchSize="12.5",
        tradeId="9001",
        ts=1_742_000_000_124_000_000,
    )
    assert isinstance(event, OrderFilled)
    assert (event.symbol, event.side, event.trade_id) == ("XRP/USDT", Side.SELL, "9001")
    assert (event.price, event.quantity) == (Decimal("0.511"), Decimal("12.5"))
    assert (event.commission, event.commission_asset, event.maker) == (None, "USDT", False)
    assert event.venue_ts == 1_742_000_000_124_000_000


def test_a_maker_match() -> None:
    (event,) = pushed(type="match", status="open", liquidity="maker", matchPrice="0.511", matchSize="1", tradeId="9002")
    assert isinstance(event, OrderFilled)
    assert event.maker


@pytest.mark.parametrize(
    ("fields", "ending", "executed"),
    [
        ({"type": "filled", "filledSize": "20"}, Ending.FILLED, "20"),
        ({"type": "canceled", "filledSize": "12.5", "canceledSize": "7.5"}, Ending.CANCELED, "12.5"),
        ({"type": "canceled", "filledSize": "0", "canceledSize": "20"}, Ending.CANCELED, "0"),
        ({"type": "canceled", "canceledSize": "7.5"}, Ending.CANCELED, "12.5"),
    ],
)
def test_endings(fields: dict[str, str], ending: Ending, executed: str) -> None:
    (event,) = pushed(status="done", **fields)
    assert isinstance(event, OrderClosed)
    assert (event.ending, event.executed, event.venue_order_id) == (ending, Decimal(executed), "67")


def test_a_cut_size_is_no_event_and_an_unknown_type_is_told() -> None:
    assert pushed(type="update", status="open", oldSize="30") == []
    (event,) = pushed(type="frozen", status="held")
    assert isinstance(event, VenueFault)
    (event,) = pushed(type="match", status="match", matchPrice="0.511")
    assert isinstance(event, VenueFault)


def balance(event: str) -> dict[str, Any]:
    data = {"accountId": "54", "currency": "USDT", "total": "21.5", "available": "20.25", "hold": "1.25"}
    data |= {"availableChange": "-1.25", "holdChange": "1.25", "relationEvent": event, "relationEventId": "9"}
    more = {"relationContext": {"symbol": "XRP-USDT", "orderId": "67"}, "time": "1742000000123"}
    return {
        "topic": "/account/balance",
        "type": "message",
        "subject": "account.balance",
        "userId": "u",
        "channelType": "private",
        "data": data | more,
    }


@pytest.mark.parametrize("event", ["trade.hold", "trade.setted", "trade_hf.setted", "trade.transfer"])
def test_balances_of_the_trade_account_are_absolute(event: str) -> None:
    talk = up()
    assert talk.frame("user", balance(event)) == [
        BalanceChanged(
            ts=talk.now,
            venue="kucoin",
            venue_ts=1742000000123 * MS,
            asset="USDT",
            balance=Balance(free=Decimal("20.25"), locked=Decimal("1.25")),
        )
    ]


@pytest.mark.parametrize("event", ["main.transfer", "main.deposit", "margin.hold", "isolated.setted"])
def test_balances_of_other_accounts_are_not_ours(event: str) -> None:
    assert up().frame("user", balance(event)) == []


# ---- the whole ------------------------------------------------------------------------------------------------------


def test_the_card_is_complete() -> None:
    assert incomplete(CARD) == ()


def test_one_conversation_twice_gives_the_same_bytes() -> None:
    """Nothing but the inputs decides what is said."""

    def talk_through() -> list[Any]:
        talk = up()
        talk.command(submit())
        talk.command(cancel())
        talk.frame("user", order_push())
        talk.run(19)
        return [talk.sent, talk.requests, talk.connects, talk.resets]

    assert talk_through() == talk_through()
