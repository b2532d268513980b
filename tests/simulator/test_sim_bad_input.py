"""What no client should send: the simulated venues refuse it in their own words, and stand.

Bodies that are not UTF-8, numbers that are none, stamps and headers of odd characters; each by each.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tradeserver.simulator.front import HttpIn, HttpOut
from venue_kit import (
    BINANCE_KEY,
    KUCOIN_KEY,
    KUCOIN_PASSPHRASE,
    KUCOIN_SECRET,
    MS,
    Venue,
    b64_hmac,
    binance,
    body_of,
    entry,
    kucoin,
    kucoin_order,
    limit_order,
    ws_params,
)

JUNK: list[Any] = [
    *(None, "", "x", "-1", "NaN", "sNaN", "Infinity", "-Infinity", "1E+400", "1E+999999", "1E-999999", "²", "é"),
    *("9" * 30, "9" * 5_000, 10**29, 10**400, -(10**400), -1, 0, 1.5, True, [], [[]], {}),
]
POSTS = [f"/api/v1/hf/orders{tail}" for tail in ("", "/sync", "/test", "/multi", "/multi/sync", "/alter")]
ALIVE = '{"code":"200000"'


def signed(venue: Venue, path: str, body: bytes) -> HttpOut:
    stamp = str(venue.now // MS)
    headers = {
        "kc-api-key": KUCOIN_KEY,
        "kc-api-timestamp": stamp,
        "kc-api-sign": b64_hmac(KUCOIN_SECRET, f"{stamp}POST{path}".encode() + body),
        "kc-api-passphrase": b64_hmac(KUCOIN_SECRET, KUCOIN_PASSPHRASE),
        "kc-api-key-version": "3",
        "content-type": "application/json",
    }
    return venue.front.http(HttpIn("POST", path, "", headers, body), venue.now)


@pytest.mark.parametrize("path", [*POSTS, "/api/v1/hf/orders/dead-cancel-all"])
def test_a_body_that_is_not_utf8_is_a_wrong_parameter(path: str) -> None:
    venue = Venue("kucoin")
    bodies = (
        b"\xff",
        b'{"symbol":"\xff"}',
        b'{"symbol":"XRP-USDT","clientOid":"\xff","newPrice":"1"}',
        b'{"orderList":"\xff"}',
        b'{"orderList":[{"symbol":"\xff"}]}',
        b'{"timeout":5,"symbols":"\xff"}',
    )
    refused = 0
    for body in bodies:
        answer = signed(venue, path, body)
        assert answer.status == 200
        refused += body_of(answer)["code"] == "400100"
    assert refused >= 2
    assert kucoin(venue, "GET /api/v1/accounts?type=trade").body.decode().startswith(ALIVE)


def test_a_body_that_is_not_utf8_is_refused_by_binance() -> None:
    venue = Venue("binance")
    answer = venue.http("POST", "/api/v3/order", "timestamp=1", b"symbol=\xff", x_mbx_apikey=BINANCE_KEY)
    assert (answer.status, body_of(answer)["code"]) == (400, -1100)


# ---- numbers that are none ------------------------------------------------------------------------------------------

LIMIT = kucoin_order(timeInForce="GTT", cancelAfter=5, stp="CN", remark="r", clientTimestamp=1, allowMaxTimeWindow=1)
MARKET = {"clientOid": "c-1", "side": "buy", "symbol": "XRP-USDT", "type": "market", "funds": "10"}
ORDERS = [LIMIT, kucoin_order(), MARKET, kucoin_order(type="market", price=None)]


@pytest.mark.parametrize("body", ORDERS)
def test_any_value_in_an_order_has_an_answer(body: dict[str, Any]) -> None:
    refused = 0
    for name in body:
        for junk in JUNK:
            venue = Venue("kucoin")
            answer = kucoin(venue, "POST /api/v1/hf/orders/sync", body | {name: junk})
            assert answer.status == 200
            refused += body_of(answer)["code"] != "200000"
            venue.wait(0)
    assert refused > len(body) * 10


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity", "1E+400", "1E+999999", "1E-999999"])
@pytest.mark.parametrize("name", ["price", "size", "funds"])
def test_a_number_that_is_none_is_a_wrong_parameter(name: str, text: str) -> None:
    venue = Venue("kucoin")
    body = MARKET if name == "funds" else kucoin_order()
    assert body_of(kucoin(venue, "POST /api/v1/hf/orders", body | {name: text}))["code"] == "400100"
    conn = entry(venue)
    venue.send(conn, {"id": "1", "op": "spot.order", "args": body | {name: text}})
    assert venue.heard(conn)[0]["code"] == "400100"


@pytest.mark.parametrize("change", [{"newPrice": "x"}, {"newSize": "NaN"}, {"newPrice": "1E+400"}])
def test_a_malformed_change_leaves_its_order_alone(change: dict[str, str]) -> None:
    venue = Venue("kucoin")
    kucoin(venue, "POST /api/v1/hf/orders", kucoin_order())
    answer = kucoin(venue, "POST /api/v1/hf/orders/alter", {"symbol": "XRP-USDT", "clientOid": "c-1"} | change)
    assert body_of(answer)["code"] == "400100"
    order = body_of(kucoin(venue, "GET /api/v1/hf/orders/client-order/c-1?symbol=XRP-USDT"))["data"]
    assert order["active"] is True


def test_any_value_in_a_binance_order_has_an_answer() -> None:
    refused = 0
    params = limit_order(newClientOrderId="a", newOrderRespType="FULL", recvWindow=5000, timestamp=1)
    for name in params:
        for junk in JUNK:
            venue = Venue("binance")
            changed = {key: value for key, value in params.items() if key != "timestamp"} | {name: junk}
            answer = binance(venue, "POST /api/v3/order", **changed)
            conn = venue.connect("/ws-api/v3")
            changed = ws_params(changed, venue.now) | {"newClientOrderId": "b"}
            venue.send(conn, {"id": "1", "method": "order.place", "params": changed})
            assert venue.heard(conn)[0]["status"] in (200, 400)
            refused += answer.status == 400
    assert refused > len(params) * 10


# ---- stamps and headers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stamp", ["²", "9" * 5_000, "x", "-1", "1.5"])
def test_a_stamp_that_is_no_number(stamp: str) -> None:
    answer = kucoin(Venue("kucoin"), "GET /api/v1/accounts?type=trade", stamp=stamp)
    assert body_of(answer)["code"] == "400002"
    answer = binance(Venue("binance"), "GET /api/v3/account", timestamp=stamp)
    assert body_of(answer)["code"] == -1102


@pytest.mark.parametrize("name", ["startAt", "endAt"])
def test_seconds_that_are_no_number(name: str) -> None:
    for text in ("²", "9" * 5_000, "x"):
        query = urlencode({"symbol": "XRP-USDT", "type": "1min", name: text})
        answer = Venue("kucoin").http("GET", "/api/v1/market/candles", query)
        assert body_of(answer)["code"] == "400100"


@pytest.mark.parametrize(("name", "code"), [("kc_api_sign", "400005"), ("kc_api_passphrase", "400004")])
def test_a_header_that_is_not_utf8_is_a_wrong_one(name: str, code: str) -> None:
    """A server's HTTP library hands such bytes on as lone surrogates."""
    answer = kucoin(Venue("kucoin"), "GET /api/v1/accounts?type=trade", **{name: "\udcff"})
    assert json.loads(answer.body)["code"] == code
