"""Every request example of KuCoin's documents is read by the simulated venue and answered as an account without orders
must be. What the shapes' tests (tests/wire) call a query, a flat table, is a query string here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from tradeserver.simulator.front import HttpOut
from venue_kit import BTC_K, XRP_K, Venue, body_of, kucoin, settings

GONE = ("400100", "order_not_exist_or_not_allow_to_cancel")
UNKNOWN = ("400100", "order not exist.")
NOT_SERVED = ("404000", "Url Not Found")
NO_ACCOUNT = ("400100", "account not exist")
ORDERS = "/api/v1/hf/orders"
EXPECTED = {
    f"DELETE {ORDERS}/{{orderId}}": GONE,
    f"DELETE {ORDERS}/sync/{{orderId}}": GONE,
    f"DELETE {ORDERS}/client-order/{{clientOid}}": GONE,
    f"DELETE {ORDERS}/sync/client-order/{{clientOid}}": GONE,
    f"GET {ORDERS}/{{orderId}}": UNKNOWN,
    f"GET {ORDERS}/client-order/{{clientOid}}": UNKNOWN,
    "GET /api/v1/accounts/{accountId}": NO_ACCOUNT,
    # what neither connector nor simulator needs
    "GET /api/v1/accounts/ledgers": NO_ACCOUNT,  # read as an account's id
    "GET /api/v1/account-overview": NOT_SERVED,
    "GET /api/v1/hf/accounts/ledgers": NOT_SERVED,
    "GET /api/v2/user-info": NOT_SERVED,
    "PATCH /api/v1/trade-fees": NOT_SERVED,
    "DELETE /api/v1/order/client-order/{clientOid}": NOT_SERVED,
    "GET /api/v1/order/client-order/{clientOid}": NOT_SERVED,
    "GET /api/v1/fills": NOT_SERVED,
}


def venue() -> Venue:
    """XRP, BTC and, as in the documents, ETH."""
    eth = msgspec.structs.replace(BTC_K, name="ETH/USDT", native="ETH-USDT", base="ETH", min_quantity=Decimal("0.0001"))
    return Venue("kucoin", config=msgspec.structs.replace(settings("kucoin"), symbols=(XRP_K, BTC_K, eth)))


def send(row: dict[str, Any]) -> HttpOut:
    """The example as a request: what the path names goes there, the rest is query or body."""
    example = dict(row["request_example"] or {})
    path = re.sub(r"\{(\w+)\}", lambda name: str(example.pop(name[1])), row["path"])
    if row["method"] == "POST":
        return kucoin(venue(), f"POST {path}", row["request_example"])
    query = urlencode(example, safe=",")
    return kucoin(venue(), f"{row['method']} {path}" + (f"?{query}" if query else ""))


def test_every_documented_request_is_answered(shared_data: Path) -> None:
    rows = json.loads((shared_data / "kucoin" / "rest_examples.json").read_text())["endpoints"]
    seen: Counter[str] = Counter()
    for row in rows:
        name = f"{row['method']} {row['path']}"
        answer = body_of(send(row))
        assert (answer["code"], answer.get("msg")) == EXPECTED.get(name, ("200000", None)), name
        seen[answer["code"]] += 1
    assert seen == {"200000": 32, "400100": 8, "404000": 7}


def test_the_client_ids_of_the_batch_example_break_the_documented_rule(shared_data: Path) -> None:
    """ "client order id 12" has spaces; with ids that keep the rule the outcomes are the documented ones."""
    rows = json.loads((shared_data / "kucoin" / "rest_examples.json").read_text())["endpoints"]
    batches = [row for row in rows if row["path"].startswith(f"{ORDERS}/multi")]
    assert len(batches) == 2
    for row in batches:
        first = body_of(send(row))["data"][0]
        assert first == {"success": False, "failMsg": "clientOid: at most 40 letters, digits, - and _."}
        orders = [
            order | {"clientOid": order["clientOid"].replace(" ", "-")} for order in row["request_example"]["orderList"]
        ]
        placed = body_of(send(row | {"request_example": {"orderList": orders}}))["data"]
        documented = [each["success"] for each in row["response_example"]["data"]]
        assert [each["success"] for each in placed] == documented == [True, False]
