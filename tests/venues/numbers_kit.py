"""Whether everything in some events is a number that arithmetic can carry; and messages that are full of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from tradeserver.core.events import Event

MOST = 10**18


def assert_numbers(events: Sequence[Event]) -> int:
    """No event carries a number that is none, or that is absurd. How many numbers there were."""
    count = 0
    stack: list[Any] = list(events)
    while stack:
        value = stack.pop()
        if isinstance(value, Decimal | float):
            count += 1
            assert math.isfinite(value), events
            assert abs(value) <= MOST, events
        elif isinstance(value, msgspec.Struct):
            stack += [getattr(value, name) for name in value.__struct_fields__]
        elif isinstance(value, tuple | list):
            stack += value
        elif isinstance(value, dict):
            stack += value.values()
    return count


# Written by hand to the shapes of user-data-stream.md and web-socket-api.md, 2026-07-21.
TRADED: dict[str, Any] = {
    "subscriptionId": 0,
    "event": {
        "e": "executionReport",
        "E": 1700000000010,
        "s": "XRPUSDT",
        "c": "aaL",
        "S": "BUY",
        "o": "LIMIT",
        "f": "IOC",
        "q": "20",
        "p": "0.6",
        "C": "",
        "x": "TRADE",
        "X": "FILLED",
        "r": "NONE",
        "i": 5,
        "l": "20",
        "z": "20",
        "L": "0.5998",
        "n": "0.02",
        "N": "XRP",
        "T": 1700000000009,
        "t": 17,
        "m": False,
    },
}
FILL = {"price": "0.5998", "qty": "20", "commission": "0.02", "commissionAsset": "XRP", "tradeId": 17}
PLACED: dict[str, Any] = {
    "id": "aaL",
    "status": 200,
    "result": {
        "symbol": "XRPUSDT",
        "orderId": 5,
        "orderListId": -1,
        "clientOrderId": "aaL",
        "transactTime": 1700000000009,
        "price": "0.6",
        "origQty": "20",
        "executedQty": "20",
        "cummulativeQuoteQty": "11.996",
        "status": "FILLED",
        "timeInForce": "IOC",
        "type": "LIMIT",
        "side": "BUY",
        "fills": [FILL],
    },
}
