"""What the codecs make of raw order events and orders, against ccxt's unified order, case by case.

Every difference must stand in the table "States, compared with ccxt" of docs/venues/*.md, and nothing else may stand
there: that table is the only list of exceptions.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import binance_talk
import kucoin_kit
from binance_talk import HMAC
from tradeserver.core.commands import QueryOrder
from tradeserver.core.events import (
    Event,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrderStatus,
    VenueFault,
)
from tradeserver.core.types import plain

DOCS = Path(__file__).resolve().parents[2] / "docs" / "venues"
HEAD = ["case", "field", "ccxt", "ours", "why"]
CASES = {"binance_ws": 7, "binance_rest": 7, "kucoin_ws": 6, "kucoin_rest": 4}
SYMBOLS = ("XRP/USDT", "BTC/USDT")


def cases(shared_data: Path, group: str) -> list[dict[str, Any]]:
    table = json.loads((shared_data / "state_mapping" / "ccxt_states.json").read_text())
    rows: list[dict[str, Any]] = table[group]
    assert len(rows) == CASES[group]
    assert {key for key in table if key != "note"} == CASES.keys()
    return rows


# ---- what our codecs make of a case ---------------------------------------------------------------------------------


def events_of(group: str, case: dict[str, Any]) -> list[Event]:
    if group == "binance_ws":
        return binance(("user", {"subscriptionId": 0, "event": case["event"]}))
    if group == "kucoin_ws":
        return kucoin().frame("user", case["event"])
    raw = case["raw"]
    if "fills" in raw:  # the answer to a placement
        return binance(("orders", {"id": raw["clientOrderId"], "status": 200, "result": raw}))
    if group == "binance_rest":
        return binance(None, raw)
    talk = kucoin()
    talk.command(QueryOrder(venue="kucoin", symbol="BTC/USDT", client_id=raw["clientOid"]))
    return talk.answer("GET /api/v1/hf/orders/client-order/", raw)


def binance(frame: tuple[str, Any] | None, order: dict[str, Any] | None = None) -> list[Event]:
    talk = binance_talk.Talk(HMAC, symbols=SYMBOLS).ready()
    if frame is not None:
        return talk.frame(*frame)
    assert order is not None
    talk.encode(QueryOrder(venue="binance", symbol="BTC/USDT", client_id=order["clientOrderId"]))
    return talk.answer("/api/v3/order", order)


def kucoin() -> kucoin_kit.Talk:
    talk = kucoin_kit.Talk(SYMBOLS)
    talk.up()
    return talk


def said(events: Sequence[Event]) -> dict[str, str]:
    """The unified fields that our events say: how the order stands, what it executed, whose it is, what was paid."""
    assert not any(isinstance(event, VenueFault) for event in events)
    if not events:
        return {"status": "-"}
    fields = {"filled": "0"}
    fills = [event for event in events if isinstance(event, OrderFilled)]
    for event in events:
        assert isinstance(event, OrderAccepted | OrderFilled | OrderClosed | OrderRejected | OrderStatus)
        fields["clientOrderId"] = event.client_id
        if isinstance(event, OrderRejected):
            fields["status"] = "rejected"
            continue
        fields["id"] = event.venue_order_id
        if isinstance(event, OrderAccepted):
            fields["status"] = "open"
        elif isinstance(event, OrderFilled):
            fields |= {"status": "open", "symbol": event.symbol, "side": event.side.value}
        else:
            fields["status"] = "open" if event.ending is None else event.ending.value
            fields["filled"] = plain(event.executed)
    if fills:
        executed = sum((fill.quantity for fill in fills), Decimal(0))
        assert fields["status"] == "open" or fields["filled"] == plain(executed)  # an end settles with its fills
        fields["filled"] = plain(executed)
        fields["cost"] = number(sum(fill.price * fill.quantity for fill in fills))
        fields["fee"] = paid(fills)
    return fields


def paid(fills: Sequence[OrderFilled]) -> str:
    """Amount and asset of the commission, "-" where the venue does not say it."""
    amounts = [fill.commission for fill in fills if fill.commission is not None]
    return f"{number(sum(amounts))} {fills[0].commission_asset}" if amounts else "-"


def number(value: Any) -> str:
    """To ten digits: ccxt's figures are floats."""
    return plain(Decimal(f"{value:.10g}"))


def unified(order: dict[str, Any]) -> dict[str, str]:
    fee = order["fee"]
    return {
        "status": order["status"],
        "filled": number(order["filled"]),
        "id": order["id"],
        "clientOrderId": order["clientOrderId"],
        "symbol": order["symbol"],
        "side": order["side"],
        "cost": number(order["cost"]),
        "fee": f"{number(Decimal(str(fee['cost'])))} {fee['currency']}" if fee else "-",
    }


# ---- the comparison -------------------------------------------------------------------------------------------------


def differences(shared_data: Path, group: str) -> tuple[list[tuple[str, str, str, str]], int]:
    """(case, field, ccxt's, ours) of each difference, and how many fields were compared."""
    found, compared = [], 0
    for case in cases(shared_data, group):
        theirs = unified(case["ccxt"])
        for field, ours in said(events_of(group, case)).items():
            compared += 1
            if ours != theirs[field]:
                found.append((f"{group}: {case['case']}", field, theirs[field], ours))
    return found, compared


def explained(venue: str) -> list[tuple[str, str, str, str]]:
    """The rows of the venue's table; each has a reason."""
    rows: list[list[str]] = []
    lines = iter((DOCS / f"{venue}.md").read_text("utf-8").splitlines())
    for line in lines:
        if line.startswith("|") and cells(line) == HEAD:
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    break
                rows.append(cells(row))
    assert all(len(row) == 5 and row[4] for row in rows)
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


@pytest.mark.parametrize(("venue", "least"), [("binance", 63), ("kucoin", 40)])
def test_every_difference_is_explained_and_nothing_else(shared_data: Path, venue: str, least: int) -> None:
    found: list[tuple[str, str, str, str]] = []
    compared = 0
    for group in CASES:
        if group.startswith(venue):
            rows, count = differences(shared_data, group)
            found += rows
            compared += count
    table = explained(venue)
    assert sorted(found) == sorted(table)
    assert len(table) == len(set(table)) >= 2
    assert compared >= least


def test_every_kind_of_event_occurs(shared_data: Path) -> None:
    seen = Counter(
        type(event) for group in CASES for case in cases(shared_data, group) for event in events_of(group, case)
    )
    assert seen.keys() == {OrderAccepted, OrderFilled, OrderClosed, OrderRejected, OrderStatus}
    assert sum(seen.values()) >= 25
