"""Requests that third-party clients really made are answered by KuCoin's front, and only if nothing was changed.

The requests (data/signing, data/client_traces) were captured from ccxt and the official SDK; the clock is fixed at
their moment.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tradeserver.simulator.front import HttpIn, HttpOut
from venue_kit import KUCOIN_KEY, KUCOIN_PASSPHRASE, KUCOIN_SECRET, MS, T0, Venue, b64_hmac, body_of

# What each captured call must come to on an account without orders, where it is not success.
EXPECTED = {
    "cancel by orderId": ("400100", "order_not_exist_or_not_allow_to_cancel"),
    "cancel by clientOid": ("400100", "order_not_exist_or_not_allow_to_cancel"),
    "query by orderId": ("400100", "order not exist."),
    "query by clientOid": ("400100", "order not exist."),
}


def cases(shared_data: Path) -> list[dict[str, Any]]:
    captured = json.loads((shared_data / "signing/ccxt_requests_kucoin.json").read_text())
    assert captured["frozen_ms"] * MS == T0
    assert captured["credentials"] == {"apiKey": KUCOIN_KEY, "secret": KUCOIN_SECRET, "password": KUCOIN_PASSPHRASE}
    return [case for rows in captured["cases"].values() for case in rows]


def replay(venue: Venue, case: dict[str, Any], **changes: Any) -> HttpOut:
    request = {**case["request"], **changes}
    url = urlsplit(request["url"])
    headers = {name.lower(): value for name, value in request["headers"].items()}
    body = (request["body"] or "").encode()
    return venue.front.http(HttpIn(request["method"], url.path, url.query, headers, body), venue.now)


def test_every_captured_request_is_accepted(shared_data: Path) -> None:
    seen = 0
    for case in cases(shared_data):
        answer = replay(Venue("kucoin"), case)
        code, text = EXPECTED.get(case["label"], ("200000", None))
        body = body_of(answer)
        assert (answer.status, body["code"], body.get("msg")) == (200, code, text), case["label"]
        seen += 1
    assert seen >= 48


def signed(shared_data: Path) -> list[dict[str, Any]]:
    return [case for case in cases(shared_data) if "signature" in case]


def test_a_flipped_byte_anywhere_is_noticed(shared_data: Path) -> None:
    for case in signed(shared_data):
        request = case["request"]
        if request["body"]:
            changed = {"body": request["body"].replace("-USDT", "-USDC")}
        else:
            changed = {"url": request["url"] + ("&" if "?" in request["url"] else "?") + "limit=1"}
        answer = replay(Venue("kucoin"), case, **changed)
        assert (answer.status, body_of(answer)) == (401, {"code": "400005", "msg": "Invalid KC-API-SIGN."})


def headers_with(case: dict[str, Any], **changes: str | None) -> dict[str, str]:
    headers = dict(case["request"]["headers"])
    for name, value in changes.items():
        name = name.replace("_", "-")
        if value is None:
            del headers[name]
        else:
            headers[name] = value
    return headers


@pytest.mark.parametrize(
    ("changes", "status", "code", "text"),
    [
        ({"KC_API_KEY": "5c2db93503aa674c74a31735"}, 401, "400003", "KC-API-KEY does not exist."),
        ({"KC_API_PASSPHRASE": b64_hmac(KUCOIN_SECRET, "wrong")}, 401, "400004", "Invalid KC-API-PASSPHRASE."),
        ({"KC_API_PASSPHRASE": KUCOIN_PASSPHRASE}, 401, "400004", "Invalid KC-API-PASSPHRASE."),
        ({"KC_API_SIGN": b64_hmac("other", "x")}, 401, "400005", "Invalid KC-API-SIGN."),
        (
            {"KC_API_KEY_VERSION": "1"},
            401,
            "400008",
            "V1 & V2 API keys are no longer supported by this API. Please create a V3 API key.",
        ),
        ({"KC_API_KEY_VERSION": "9"}, 401, "400009", "Invalid KC-API-KEY-VERSION."),
    ],
)
def test_what_is_wrong_with_the_headers(
    shared_data: Path, changes: dict[str, str], status: int, code: str, text: str
) -> None:
    case = signed(shared_data)[0]
    answer = replay(Venue("kucoin"), case, headers=headers_with(case, **changes))
    assert (answer.status, body_of(answer)) == (status, {"code": code, "msg": text})


@pytest.mark.parametrize("name", ["KC_API_KEY", "KC_API_SIGN", "KC_API_TIMESTAMP", "KC_API_PASSPHRASE"])
def test_a_missing_header(shared_data: Path, name: str) -> None:
    case = signed(shared_data)[0]
    answer = replay(Venue("kucoin"), case, headers=headers_with(case, **{name: None}))
    assert (answer.status, body_of(answer)["code"]) == (401, "400001")


@pytest.mark.parametrize("direction", [1, -1])
def test_a_clock_may_be_five_seconds_off_and_no_more(shared_data: Path, direction: int) -> None:
    case = signed(shared_data)[0]
    venue = Venue("kucoin")
    venue.now = T0 + direction * 5_001 * MS
    answer = replay(venue, case)
    assert (answer.status, body_of(answer)) == (400, {"code": "400002", "msg": "Invalid KC-API-TIMESTAMP."})
    venue.now = T0 + direction * 5_000 * MS
    assert body_of(replay(venue, case))["code"] == "200000"


def test_gateway_texts_are_the_documented_ones(shared_data: Path) -> None:
    known = json.loads((shared_data / "kucoin/errors.json").read_text())
    gateway, classic = known["gateway_and_websocket"]["gateway"], known["classic_rest"]["codes"]
    from tradeserver.simulator.kucoin import errors

    for refused in (
        errors.url_incomplete(),
        errors.bad_timestamp(),
        errors.unknown_key(),
        errors.bad_passphrase(),
        errors.bad_signature(),
        errors.no_permission(),
        errors.old_key(),
        errors.bad_version(),
        errors.verification_failed(),
        errors.verification_late(),
    ):
        assert gateway[refused.code] == refused.text
    for refused in (errors.insufficient(), errors.no_symbol(), errors.placing_suspended(), errors.too_many_open()):
        assert classic[refused.code] == refused.text


@pytest.mark.parametrize("name", ["ccxt_kucoin", "kucoin-universal-sdk"])
def test_traces_of_third_party_clients(shared_data: Path, name: str) -> None:
    """A recorded session of each client: its requests (the same key pair) are accepted, its subscriptions acknowledged.
    The tokens in the trace are replaced by those that this venue gives.
    """
    lines = [json.loads(line) for line in (shared_data / f"client_traces/{name}.jsonl").read_text().splitlines()]
    venue, token, acks = Venue("kucoin"), "", 0
    conns: list[int] = []
    for line in lines:
        if line["t"] == "http":
            headers = {key.lower(): value for key, value in line["headers"].items()}
            venue.now = int(headers.get("kc-api-timestamp", venue.now // MS)) * MS
            request = HttpIn(line["m"], line["path"], line["qs"], headers, line["body"].encode())
            body = body_of(venue.front.http(request, venue.now))
            if "bullet" in line["path"]:
                token = body["data"]["token"]
            gone = ("order_not_exist_or_not_allow_to_cancel", "order not exist.")
            refusals = (*gone, "The order is post only and would be matched immediately.")
            assert body["code"] == "200000" or body["msg"] in refusals, (line, body)
        elif line["t"] == "ws-open":
            conns.append(venue.connect(line["path"], line["qs"].replace("token=TOK", f"token={token}")))
            [welcome] = venue.heard(conns[-1])
            assert welcome["type"] == "welcome"
            assert f"connectId={welcome['id']}" in line["qs"]
        elif line["t"] == "ws-in":
            venue.send(conns[-1], line["data"])
            asked = json.loads(line["data"])
            assert venue.heard(conns[-1])[0] == {"id": asked["id"], "type": "ack"}, line
            acks += 1
    assert acks == 3
