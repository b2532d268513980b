"""Every documented error code has a class and an action, or takes the safe path; the classes are the classifier's."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import binance_talk
import kucoin_kit
from binance_talk import HMAC
from error_codes import (
    BINANCE_CLASSIFIER,
    BINANCE_MET,
    BINANCE_NOT,
    ENGINE_AUTH,
    ENGINE_SYMBOL,
    ENGINE_UNKNOWN,
    KUCOIN_CLASSIFIER,
    KUCOIN_MET,
    KUCOIN_NOT,
    KUCOIN_TEXTS,
    G,
    X,
)
from tradeserver.core.commands import CancelOrder, Command, QueryOrder, SubmitOrder
from tradeserver.core.events import (
    CancelRejected,
    Event,
    OrderRejected,
    OrderStatus,
    OrderUncertain,
    QueryFailed,
    VenueFault,
)
from tradeserver.core.types import Side, TimeInForce
from tradeserver.venues.base import HttpRequest
from tradeserver.venues.binance import errors as binance
from tradeserver.venues.errors import AUTH_CODE, UNLISTED, ErrorRow, Fault
from tradeserver.venues.kucoin import errors as kucoin


def documented(shared_data: Path, venue: str) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((shared_data / venue / "errors.json").read_text())
    return table


def classes(row: ErrorRow) -> tuple[Fault, Fault]:
    return row.order, row.read


# ---- the tables -----------------------------------------------------------------------------------------------------


def test_every_binance_code_is_met_or_known_not_to_be(shared_data: Path) -> None:
    codes = {str(row["code"]) for row in documented(shared_data, "binance")["errors"]}
    assert len(codes) == 102
    assert BINANCE_MET.keys() | BINANCE_NOT.keys() == codes
    assert not BINANCE_MET.keys() & BINANCE_NOT.keys()
    assert (len(BINANCE_MET), len(BINANCE_NOT)) == (53, 49)


def test_every_kucoin_code_is_met_or_known_not_to_be(shared_data: Path) -> None:
    data = documented(shared_data, "kucoin")
    mapped = data["ccxt_4.5.90_class_of_code"]
    codes = data["classic_rest"]["codes"].keys() | data["gateway_and_websocket"]["gateway"].keys()
    codes |= {code for code in mapped if code.isdecimal()}
    assert len(codes) == 135
    assert KUCOIN_MET.keys() | KUCOIN_NOT.keys() == codes
    assert not KUCOIN_MET.keys() & KUCOIN_NOT.keys()
    assert (len(KUCOIN_MET), len(KUCOIN_NOT)) == (53, 82)
    assert KUCOIN_TEXTS.keys() == {text for text in mapped if not text.isdecimal()}


@pytest.mark.parametrize(("table", "met"), [(binance.TABLE, BINANCE_MET), (kucoin.TABLE, KUCOIN_MET)])
def test_what_a_connector_can_meet_has_a_class_and_an_action(table: Any, met: dict[str, tuple[Fault, Fault]]) -> None:
    for code, expected in met.items():
        row = table.lookup(code, "whatever it says")
        assert row is not UNLISTED, code
        assert classes(row) == expected, code
        assert row.action, code
    assert len(met) >= 53


@pytest.mark.parametrize(("table", "rest"), [(binance.TABLE, BINANCE_NOT), (kucoin.TABLE, KUCOIN_NOT)])
def test_the_rest_is_listed_nowhere(table: Any, rest: dict[str, str]) -> None:
    assert [code for code in rest if table.lookup(code, "") is not UNLISTED] == []
    assert all(rest.values())
    assert classes(UNLISTED) == (Fault.UNKNOWN, Fault.BACKOFF)
    assert len(rest) >= 49


def test_what_the_matching_engine_says(shared_data: Path) -> None:
    texts = documented(shared_data, "binance")["engine_messages_for_-1010_-2010_-2011_-2038"]
    assert len(texts) == 38
    assert {*ENGINE_AUTH, *ENGINE_SYMBOL, *ENGINE_UNKNOWN} <= set(texts)
    seen: Counter[Fault] = Counter()
    for text in texts:
        expected = Fault.AUTH if text in ENGINE_AUTH else Fault.SYMBOL if text in ENGINE_SYMBOL else Fault.REFUSED
        expected = Fault.UNKNOWN if text in ENGINE_UNKNOWN else expected
        row = binance.row_of(400, "-2010", text)
        assert (row.order, bool(row.action)) == (expected, True), text
        seen[expected] += 1
        canceling = binance.row_of(400, "-2011", text)
        shut_out = expected if text in ENGINE_AUTH or text == "Market is closed." else Fault.GONE
        assert canceling.order is shut_out, text
    assert seen == {Fault.REFUSED: 30, Fault.AUTH: 4, Fault.SYMBOL: 3, Fault.UNKNOWN: 1}


def test_filter_failures_refuse_and_have_the_rules_read_again(shared_data: Path) -> None:
    texts = documented(shared_data, "binance")["filter_failures"]
    assert len(texts) == 18
    for text in texts:
        row = binance.row_of(400, "-1013", text)
        assert (row.order, row.action) == (Fault.REFUSED, binance.REFRESH_RULES)


def test_texts_under_kucoins_parameter_error() -> None:
    for text, expected in KUCOIN_TEXTS.items():
        assert classes(kucoin.TABLE.lookup("400100", text)) == expected, text
    assert len(KUCOIN_TEXTS) == 15


# ---- the error classifier, code by code -----------------------------------------------------------------------------


def test_binance_agrees_with_the_error_classifier() -> None:
    compared = 0
    for code, text, order, read in BINANCE_CLASSIFIER:
        row = binance.TABLE.lookup(code, text)
        assert row is not UNLISTED
        assert order == "-" or row.order.name in order.split("/"), (code, text)
        assert read == "-" or row.read.name == read, (code, text)
        compared += (order != "-") + (read != "-")
    assert len(BINANCE_CLASSIFIER) == 52
    assert compared >= 80


def test_binances_http_statuses_agree_with_the_error_classifier() -> None:
    for status in (500, 502, 503, 504):
        assert classes(binance.row_of(status, "-1000", "")) == (Fault.UNKNOWN, Fault.BACKOFF)
        assert classes(binance.row_of(status, f"HTTP {status}", "<html>")) == (Fault.UNKNOWN, Fault.BACKOFF)
    assert classes(binance.row_of(403, "HTTP 403", "<html>")) == (Fault.UNKNOWN, Fault.BACKOFF)
    assert binance.row_of(429, "-1003", "Too much request weight used").order is Fault.REFUSED
    assert binance.row_of(418, "-1003", "IP banned until 1").order is Fault.REFUSED
    assert binance.row_of(404, "HTTP 404", "<html>") is UNLISTED


def test_kucoin_agrees_with_the_error_classifier() -> None:
    for code, text, expected in KUCOIN_CLASSIFIER:
        row = kucoin.TABLE.lookup(code, text)
        assert row is not UNLISTED
        assert (row.read if expected == "BACKOFF" else row.order).name == expected, (code, text)
    assert len(KUCOIN_CLASSIFIER) == 42


@pytest.mark.parametrize(
    ("status", "code", "text", "read"),
    [
        (0, "", "", "NO_ANSWER"),
        (-1, "", "", "NOT_SENT"),
        (500, "", "<html>", "HTTP_5XX"),
        (503, "200004", "Balance insufficient", "HTTP_5XX"),
        (403, "", "<html>", "HTTP_403"),
        (429, "", "<html>", "HTTP_429"),
        (403, "", "error code: 1015", "1015"),
        (400, "", "<html>", "BAD_ANSWER"),
        (401, "", "<html>", "BAD_ANSWER"),
        (404, "", "<html>", "BAD_ANSWER"),
        (405, "", "<html>", "BAD_ANSWER"),
        (415, "", "<html>", "BAD_ANSWER"),
        (200, "400100", "x", "400100"),
    ],
)
def test_what_an_answer_without_an_envelope_is_called(status: int, code: str, text: str, read: str) -> None:
    assert kucoin.read_code(status, code, text) == read
    assert kucoin.TABLE.lookup(read, text) is not UNLISTED


# ---- through the codecs ---------------------------------------------------------------------------------------------

Row = tuple[str, str, Fault]
"""(code, text, class of an order)"""

UNCERTAIN = (Fault.UNKNOWN, Fault.GONE, Fault.BACKOFF)


def codes_of(venue: str) -> list[Row]:
    """Every documented code, the engine's and the parameter error's texts; UNKNOWN where nothing is listed."""
    met, rest = (BINANCE_MET, BINANCE_NOT) if venue == "binance" else (KUCOIN_MET, KUCOIN_NOT)
    rows = [(code, "says so", order) for code, (order, _) in met.items()]
    rows += [(code, "says so", Fault.UNKNOWN) for code in rest]
    if venue == "binance":
        rows += [("-2010", text, Fault.AUTH) for text in ENGINE_AUTH]
        rows += [("-2010", text, Fault.SYMBOL) for text in ENGINE_SYMBOL]
        rows += [("-2010", text, Fault.UNKNOWN) for text in ENGINE_UNKNOWN]
    else:
        rows += [("400100", text, order) for text, (order, _) in KUCOIN_TEXTS.items()]
    return rows


def submit(venue: str) -> SubmitOrder:
    return SubmitOrder(
        venue=venue,
        symbol="XRP/USDT",
        client_id="a1",
        arbitrage=1,
        leg=0,
        attempt=0,
        side=Side.BUY,
        quantity=Decimal(20),
        price=Decimal("0.6"),
        time_in_force=TimeInForce.IOC,
        opening=False,
    )


def refused(venue: str, by: str, command: Command, code: str, text: str) -> list[Event]:
    """The events of a command that is answered with this error, by socket or by REST."""
    if venue == "binance":
        talk = binance_talk.Talk(HMAC).ready()
        if by == "REST":
            talk.closed("orders")
        asked = talk.encode(command)
        if talk.requests:
            return talk.answer("/api/v3/order", {"code": int(code), "msg": text}, 400)
        error = {"code": int(code), "msg": text}
        return talk.frame("orders", {"id": asked["id"], "status": 400, "error": error})
    other = kucoin_kit.Talk()
    other.up()
    if by == "REST":
        other.done(other.codec.closed("orders", "gone", other.now))
    sent = other.command(command)
    if by == "REST":
        (label,) = [request.label for request in other.requests if "/hf/orders" in request.label]
        return other.refuse(label, code, text)
    return other.frame("orders", {"id": sent["id"], "op": sent["op"], "code": code, "msg": text})


def told(events: list[Event]) -> list[str]:
    return [event.code for event in events if isinstance(event, VenueFault)]


def expected_fault(venue: str, code: str, order: Fault) -> list[str]:
    """What a person is told: a key not accepted, a code that nobody lists."""
    if order is Fault.AUTH:
        return [AUTH_CODE]
    return [code] if code in (BINANCE_NOT if venue == "binance" else KUCOIN_NOT) else []


@pytest.mark.parametrize("by", ["socket", "REST"])
@pytest.mark.parametrize("venue", ["binance", "kucoin"])
def test_what_each_code_does_to_an_order(venue: str, by: str) -> None:
    seen: Counter[type] = Counter()
    for code, text, fault in codes_of(venue):
        events = refused(venue, by, submit(venue), code, text)
        outcomes = [event for event in events if isinstance(event, OrderRejected | OrderUncertain)]
        assert len(outcomes) == 1, (code, events)
        assert isinstance(outcomes[0], OrderUncertain if fault in UNCERTAIN else OrderRejected), (code, events)
        assert (outcomes[0].client_id, outcomes[0].code, outcomes[0].text) == ("a1", code, text)
        assert told(events) == expected_fault(venue, code, fault), (code, events)
        seen[type(outcomes[0])] += 1
    assert sum(seen.values()) >= 110
    assert min(seen.values()) >= 40


@pytest.mark.parametrize("by", ["socket", "REST"])
@pytest.mark.parametrize("venue", ["binance", "kucoin"])
def test_what_each_code_does_to_a_cancel(venue: str, by: str) -> None:
    """Whatever it is, the order's end is asked for; and a person hears what a person must."""
    cancel = CancelOrder(venue=venue, symbol="XRP/USDT", client_id="a1")
    seen = 0
    for code, text, fault in codes_of(venue):
        code = "-2011" if code == "-2010" and text != "says so" else code
        if code == "-2011":
            fault = fault if fault is Fault.AUTH else Fault.GONE
        events = refused(venue, by, cancel, code, text)
        rejected = [event for event in events if isinstance(event, CancelRejected)]
        assert [(event.client_id, event.code) for event in rejected] == [("a1", code)]
        assert not any(isinstance(event, OrderRejected | OrderUncertain) for event in events)
        assert told(events) == expected_fault(venue, code, fault), (code, events)
        seen += 1
    assert seen >= 110


@pytest.mark.parametrize("venue", ["binance", "kucoin"])
def test_what_each_code_does_to_a_question(venue: str) -> None:
    """ "No such order" is an answer; everything else only says that we could not ask."""
    query = QueryOrder(venue=venue, symbol="XRP/USDT", client_id="a1")
    absent = {"-2013", "-2026"} if venue == "binance" else {code for code, row in KUCOIN_MET.items() if row[1] is G}
    seen: Counter[type] = Counter()
    for code, text, fault in codes_of(venue):
        events = refused(venue, "REST", query, code, text)
        (answer,) = [event for event in events if isinstance(event, OrderStatus | QueryFailed)]
        gone = code in absent or (code == "400100" and KUCOIN_TEXTS.get(text, (X, X))[1] is G)
        assert isinstance(answer, OrderStatus) is gone, (code, text)
        assert not (isinstance(answer, OrderStatus) and answer.found)
        assert told(events) == expected_fault(venue, code, fault), (code, events)
        seen[type(answer)] += 1
    assert seen[OrderStatus] >= 2
    assert seen[QueryFailed] >= 100


def test_kucoins_websocket_errors_end_the_channel_and_the_next_token_is_fresh(shared_data: Path) -> None:
    table = documented(shared_data, "kucoin")["gateway_and_websocket"]
    seen = 0
    for moment in ("subscribe", "connect", "other"):
        for code, texts in table[moment].items():
            for text in [texts] if isinstance(texts, str) else texts:
                talk = kucoin_kit.Talk()
                talk.up()
                events = talk.frame("market", {"id": "1", "type": "error", "code": int(code), "data": text})
                assert told(events) == [f"WS_{code}"]
                assert [reset.channel for reset in talk.resets] == ["market"]
                talk.done(talk.codec.closed("market", "reset", talk.now))
                again = talk.codec.open("market", talk.now)
                assert isinstance(again, HttpRequest)
                assert again.label == "POST /api/v1/bullet-public"
                seen += 1
    assert seen == 13
