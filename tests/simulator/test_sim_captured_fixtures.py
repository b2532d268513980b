"""The upstream request fixtures of ccxt (data/ccxt_fixtures): its unsigned requests, signed here at the fixed moment,
are accepted by both fronts, and a changed byte in any of them is noticed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tradeserver.simulator.front import HttpIn, HttpOut
from tradeserver.simulator.types import Side, Symbol
from venue_kit import (
    BINANCE_KEY,
    BINANCE_SECRET,
    BTC_B,
    BTC_K,
    MS,
    XRP_B,
    XRP_K,
    D,
    Venue,
    body_of,
    hex_hmac,
    kucoin_headers,
    settings,
)

# Mid prices; the fixtures' limit orders stay away from them.
MIDS = {"LTC": D(60), "ADA": D("0.4"), "ETH": D(2000)}


def listed(venue: str) -> Venue:
    """A venue with the symbols that the fixtures name, each with a level on both sides."""
    template, others = (XRP_B, (XRP_B, BTC_B)) if venue == "binance" else (XRP_K, (XRP_K, BTC_K))
    new = tuple(_symbol(template, base) for base in MIDS)
    made = Venue(venue, config=msgspec.structs.replace(settings(venue), symbols=(*others, *new)))
    for symbol in new:
        for side, factor in ((Side.BUY, D("0.999")), (Side.SELL, D("1.001"))):
            made.exchange.add_participant(symbol.name, side, MIDS[symbol.base] * factor, D(1000))
        made.exchange.flush(symbol.name, made.now)
    made.exchange.take_events()
    return made


def _symbol(template: Symbol, base: str) -> Symbol:
    native = template.native.replace("XRP", base)
    small = {"lot": D("0.0001"), "min_quantity": D("0.0001"), "price_limit_rate": D(0)}
    return msgspec.structs.replace(template, name=f"{base}/USDT", native=native, base=base, **small)


def fixtures(shared_data: Path, venue: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((shared_data / "ccxt_fixtures/requests.json").read_text())[venue]
    return rows


def on_binance(venue: Venue, fixture: dict[str, Any], change: str = "") -> HttpOut:
    body = f"timestamp={venue.now // MS}&{fixture['output']}&recvWindow=10000"
    body += "&signature=" + hex_hmac(BINANCE_SECRET, body)
    headers = {"x-mbx-apikey": BINANCE_KEY, "content-type": "application/x-www-form-urlencoded"}
    body = body.replace("side=BUY", f"side={change}") if change else body
    return venue.front.http(HttpIn("POST", fixture["path"], "", headers, body.encode()), venue.now)


@pytest.mark.parametrize("number", range(5))
def test_binance(shared_data: Path, number: int) -> None:
    rows = fixtures(shared_data, "binance")
    assert len(rows) == 5
    fixture = rows[number]
    answer = on_binance(listed("binance"), fixture)
    assert answer.status == 200, answer.body
    order = body_of(answer)
    if fixture["path"].endswith("/test"):
        assert order == {}
    elif "MARKET" in fixture["output"]:
        assert (order["status"], order["origQuoteOrderQty"]) == ("FILLED", "10.00000000")
    elif "LIMIT_MAKER" in fixture["output"]:
        assert order["type"] == "LIMIT_MAKER"
    else:
        assert (order["status"], order["type"]) == ("NEW", "LIMIT")
    changed = on_binance(listed("binance"), fixture, change="SELL")
    assert (changed.status, body_of(changed)["code"]) == (400, -1022)


METHODS = {"cancelOrder": "DELETE", "cancelAllOrders": "DELETE", "fetchOpenOrders": "GET"}
GONE = ("400100", "order_not_exist_or_not_allow_to_cancel")


@pytest.mark.parametrize("number", range(9))
def test_kucoin(shared_data: Path, number: int) -> None:
    rows = fixtures(shared_data, "kucoin")
    assert len(rows) == 9
    fixture = rows[number]
    venue, url = listed("kucoin"), urlsplit(fixture["url"])
    method = METHODS.get(fixture.get("method", ""), "POST")
    body = json.dumps({"clientOid": "c-1", **fixture["output"]}) if method == "POST" else ""
    target = url.path + (f"?{url.query}" if url.query else "")
    headers = kucoin_headers(target, method, body, venue.now)
    answer = body_of(venue.front.http(HttpIn(method, url.path, url.query, headers, body.encode()), venue.now))
    expected = GONE if fixture.get("method") == "cancelOrder" else ("200000", None)
    assert (answer["code"], answer.get("msg")) == expected
    if method == "POST":
        [order] = venue.exchange.orders("main")
        assert order.client_id == "c-1"
        assert order.quantity == D(fixture["output"]["size"])
    changed = venue.front.http(HttpIn(method, url.path, url.query + "&a=b", headers, body.encode()), venue.now)
    assert (changed.status, body_of(changed)["code"]) == (401, "400005")
