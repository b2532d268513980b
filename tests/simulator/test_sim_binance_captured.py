"""Requests that third-party clients really made are answered by Binance's front, and only if nothing was changed.

The requests (data/signing, data/client_traces) were captured from ccxt and others; the clock is fixed at their moment.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tradeserver.simulator.front import HttpIn, HttpOut
from venue_kit import BINANCE_KEY, BINANCE_SECRET, MS, T0, Venue, body_of, hex_hmac

# What each captured call must come to on an account without orders: status and, where refused, the code.
EXPECTED = {
    "cancel by orderId": (400, -2011),
    "cancel by origClientOrderId": (400, -2011),
    "cancel all on symbol": (400, -2011),
    "query by orderId": (400, -2013),
    "query by client id": (400, -2013),
    "post only -> LIMIT_MAKER": (200, None),
}


def cases(shared_data: Path) -> list[tuple[str, dict[str, Any]]]:
    captured = json.loads((shared_data / "signing/ccxt_requests_binance.json").read_text())
    assert captured["frozen_ms"] * MS == T0
    assert captured["credentials"] == {"apiKey": BINANCE_KEY, "secret": BINANCE_SECRET}
    return [(symbol, case) for symbol, rows in captured["cases"].items() for case in rows]


def replay(venue: Venue, case: dict[str, Any], **changes: Any) -> HttpOut:
    request = {**case["request"], **changes}
    url = urlsplit(request["url"])
    headers = {name.lower(): value for name, value in request["headers"].items()}
    body = (request["body"] or "").encode()
    return venue.front.http(HttpIn(request["method"], url.path, url.query, headers, body), venue.now)


def test_every_captured_request_is_accepted(shared_data: Path) -> None:
    seen = 0
    for _, case in cases(shared_data):
        venue = Venue("binance")
        answer = replay(venue, case)
        status, code = EXPECTED.get(case["label"], (200, None))
        assert (answer.status, body_of(answer).get("code") if answer.status != 200 else None) == (status, code), (
            case["label"],
            answer.body,
        )
        seen += 1
    assert seen >= 44


def test_captured_orders_do_what_they_say(shared_data: Path) -> None:
    """XRP book 1.1340/1.1350: IOC sell of 20 at 1.1346 finds no bid, FOK buy at 1.1346 no ask, market orders fill."""
    answers = {case["label"]: body_of(replay(Venue("binance"), case)) for symbol, case in cases(shared_data)[:8]}
    assert answers["limit GTC buy"]["status"] == "NEW"
    assert answers["limit IOC sell"]["status"] == "EXPIRED"
    assert answers["limit FOK buy"]["status"] == "EXPIRED"
    assert set(answers["post only -> LIMIT_MAKER"]) >= {"symbol", "orderId", "clientOrderId", "transactTime"}
    assert answers["market buy by base quantity"]["executedQty"] == "20.00000000"
    # 25.5 USDT at 1.1350 buy 22 whole XRP for 24.97.
    assert answers["market buy by quote quantity"]["executedQty"] == "22.00000000"
    assert answers["market buy by quote quantity"]["status"] == "FILLED"
    assert answers["market sell RESULT"]["cummulativeQuoteQty"] == "22.68000000"
    assert "fills" not in answers["market sell RESULT"]
    assert answers["order/test"] == {}


def signed(shared_data: Path) -> list[dict[str, Any]]:
    return [case for _, case in cases(shared_data) if "signature" in case]


def test_a_flipped_byte_anywhere_is_noticed(shared_data: Path) -> None:
    for case in signed(shared_data):
        in_body = bool(case["request"]["body"])
        text = case["request"]["body"] if in_body else case["request"]["url"]
        broken = text.replace("recvWindow=10000", "recvWindow=10001")
        assert broken != text
        answer = replay(Venue("binance"), case, **{"body" if in_body else "url": broken})
        assert (answer.status, body_of(answer)) == (
            400,
            {"code": -1022, "msg": "Signature for this request is not valid."},
        )


def test_hmac_signatures_may_be_upper_case(shared_data: Path) -> None:
    case = signed(shared_data)[0]
    signature = case["signature"]
    upper = case["request"]["body"].replace(signature, signature.upper())
    assert replay(Venue("binance"), case, body=upper).status == 200


@pytest.mark.parametrize(
    ("shift_ms", "text"),
    [
        (10_001, "Timestamp for this request is outside of the recvWindow."),
        (-1_000, "Timestamp for this request was 1000ms ahead of the server's time."),
    ],
)
def test_a_shifted_clock(shared_data: Path, shift_ms: int, text: str) -> None:
    case = signed(shared_data)[0]
    venue = Venue("binance")
    venue.now += shift_ms * MS
    answer = replay(venue, case)
    assert (answer.status, body_of(answer)) == (400, {"code": -1021, "msg": text})
    venue.now = T0 + (shift_ms - 1 if shift_ms > 0 else shift_ms + 1) * MS
    assert replay(venue, case).status == 200


def test_a_wrong_key_and_none(shared_data: Path) -> None:
    case = signed(shared_data)[0]
    unknown = replay(Venue("binance"), case, headers={"X-MBX-APIKEY": BINANCE_KEY[:-1] + "B"})
    assert (unknown.status, body_of(unknown)["code"]) == (401, -2015)
    missing = replay(Venue("binance"), case, headers={})
    assert (missing.status, body_of(missing)) == (401, {"code": -2014, "msg": "API-key format invalid."})


def test_a_missing_parameter(shared_data: Path) -> None:
    case = signed(shared_data)[0]
    for name, code in (("timestamp", -1102), ("signature", -1102), ("symbol", -1102), ("price", -1102)):
        kept = [part for part in case["request"]["body"].split("&") if not part.startswith(name + "=")]
        if name != "signature":
            kept = [part for part in kept if not part.startswith("signature=")]
            kept.append("signature=" + hex_hmac(BINANCE_SECRET, "&".join(kept)))
        answer = replay(Venue("binance"), case, body="&".join(kept))
        text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        assert (answer.status, body_of(answer)) == (400, {"code": code, "msg": text})


def test_the_documented_vectors(shared_data: Path) -> None:
    """Order vectors of the documents, sent as requests at their own moment, pass the signature check."""
    documented = json.loads((shared_data / "signing/binance_documented.json").read_text())
    for vector in documented["hmac"]["vectors"]:
        if vector["kind"] != "rest":
            continue
        venue = Venue("binance")
        venue.now = 1499827319559 * MS
        answer = venue.http(
            "POST", "/api/v3/order", f"{vector['payload']}&signature={vector['signature']}", x_mbx_apikey=BINANCE_KEY
        )
        # LTCBTC is not listed here, and the full-width digits are no symbol: past the signature, before the market.
        assert body_of(answer)["code"] in (-1121, -1100)


@pytest.mark.parametrize("name", ["ccxt_binance", "python-binance", "binance-connector", "binance-sdk-spot"])
def test_traces_of_third_party_clients(shared_data: Path, name: str) -> None:
    """Every request of a recorded session finds its endpoint, and every frame gets an answer that is not an error of
    form. Their keys differ; signatures made with other secrets are refused as such.
    """
    lines = [json.loads(line) for line in (shared_data / f"client_traces/{name}.jsonl").read_text().splitlines()]
    venue = Venue("binance")
    conns: dict[str, int] = {}
    for line in lines:
        if line["t"] == "http":
            venue.now = _stamp(line["qs"] + "&" + line["body"]) * MS or venue.now
            headers = {key.lower(): value for key, value in line["headers"].items()}
            answer = venue.front.http(
                HttpIn(line["m"], line["path"], line["qs"], headers, line["body"].encode()), venue.now
            )
            assert answer.status in (200, 400, 401), (line, answer.body)
            if answer.status != 200:
                # ccxt's key is the one configured; its post-only order at 0.6 meets a book around 1.13, and it sells
                # 20.3 where this lot is 1.
                allowed = (-1013, -2010, -2011, -2013) if name == "ccxt_binance" else (-2015,)
                assert body_of(answer)["code"] in allowed, (line, answer.body)
        elif line["t"] == "ws-open":
            conns[line["path"]] = venue.connect(line["path"], line["qs"])
        elif line["t"] == "ws-in":
            request = json.loads(line["data"])
            venue.now = (
                request.get("params", {}).get("timestamp", 0) * MS or venue.now
                if "ws-api" in line["path"]
                else venue.now
            )
            venue.send(conns[line["path"]], line["data"])
            answer = next(frame for frame in venue.heard(conns[line["path"]]) if "id" in frame)
            assert answer["id"] == request["id"]
            code = answer.get("error", {}).get("code")
            assert code in (None, -2015, -2036), (line, answer)
        else:
            venue.front.closed(conns.pop(line["path"]), venue.now)


def _stamp(text: str) -> int:
    return next((int(part[10:]) for part in text.split("&") if part.startswith("timestamp=")), 0)
