"""Binance's REST front end: a request in, an answer with status, headers and body out.

Rules (rest-api.md, 2026-07-21): `X-MBX-USED-WEIGHT-1M` on every answer (and still the older name), the order counts on
accepted orders, `Retry-After` in seconds with 429 and 418; `X-MBX-TIME-UNIT` chooses milliseconds or microseconds. The
listen keys of old are gone: 410.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tradeserver.simulator.accounts import Account, ApiKey
from tradeserver.simulator.binance import auth, errors, shapes
from tradeserver.simulator.binance.calls import Call, Calls
from tradeserver.simulator.binance.params import Params, form
from tradeserver.simulator.front import HttpIn, HttpOut

SECOND_NS = 1_000_000_000
Found = list[tuple[Account, ApiKey]]
RESTRICTIONS = "/sapi/v1/account/apiRestrictions"
LISTEN_KEYS = "/api/v3/userDataStream"
UNITS = {"MILLISECOND": shapes.MILLISECOND_NS, "MICROSECOND": shapes.MICROSECOND_NS}

_encoder = msgspec.json.Encoder()


class Rest:
    """HTTP over the table of calls."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._paths = {rest.partition(" ")[2] for rest in calls.by_rest}

    def answer(self, request: HttpIn, now_ns: int) -> HttpOut:
        """GET /api/v3/time -> 200 {"serverTime":1700000000000}"""
        call = self._calls.by_rest.get(f"{request.method} {request.path}")
        if call is None:
            return self._no_call(request, now_ns)
        account: Found = []
        try:
            unit = _unit(request.headers.get("x-mbx-time-unit", ""))
            params = self._params(request)
            result = self._calls.perform(
                call,
                params,
                request.remote,
                now_ns,
                unit,
                lambda needs: self._who(request, params, needs, now_ns, account),
            )
        except errors.Refused as refused:
            return self._refusal(call, request, refused, now_ns)
        if request.path == RESTRICTIONS:
            result = shapes.restrictions(account[0][1])
        headers = self._headers(request, now_ns)
        if call.counts and account:
            ten_seconds, day = self._calls.counts[account[0][0].name].counts(now_ns)
            headers["X-MBX-ORDER-COUNT-10S"] = str(ten_seconds)
            headers["X-MBX-ORDER-COUNT-1D"] = str(day)
        return HttpOut(200, _encoder.encode(result), headers, channel=_channel(call))

    def _params(self, request: HttpIn) -> Params:
        try:
            return Params(form(request.query, request.body.decode()))
        except UnicodeDecodeError:
            raise errors.Refused(-1100, "Illegal characters found in a parameter.") from None

    def _who(
        self, request: HttpIn, params: Params, needs: str, now_ns: int, found: list[tuple[Account, ApiKey]]
    ) -> Account:
        account, key = self._calls.client(request.headers.get("x-mbx-apikey", ""), needs)
        auth.check_time(params, now_ns)
        body = request.body.decode()
        auth.check_signature(key, auth.rest_payload(request.query, body), auth.rest_signature(request.query, body))
        found.append((account, key))
        return account

    def _refusal(self, call: Call, request: HttpIn, refused: errors.Refused, now_ns: int) -> HttpOut:
        body: dict[str, Any] = {"code": refused.code, "msg": refused.text}
        if refused.data is not None:
            body["data"] = refused.data
        headers = self._headers(request, now_ns)
        if refused.retry_ns:
            headers["Retry-After"] = str(max(1, -(-(refused.retry_ns - now_ns) // SECOND_NS)))
        return HttpOut(refused.status, _encoder.encode(body), headers, channel=_channel(call))

    def _no_call(self, request: HttpIn, now_ns: int) -> HttpOut:
        headers = self._headers(request, now_ns)
        if request.path == LISTEN_KEYS:
            gone = errors.Refused(-1016, "This service is no longer available.")
            return HttpOut(410, _encoder.encode({"code": gone.code, "msg": gone.text}), headers)
        status, text = (405, "Method Not Allowed") if request.path in self._paths else (404, "Not Found")
        page = f"<html>\r\n<head><title>{status} {text}</title></head>\r\n<body></body>\r\n</html>\r\n"
        return HttpOut(status, page.encode(), headers, content_type="text/html")

    def _headers(self, request: HttpIn, now_ns: int) -> dict[str, str]:
        used = str(self._calls.address(request.remote).used(now_ns))
        return {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}


def _unit(text: str) -> int:
    unit = UNITS.get(text.upper() or "MILLISECOND")
    if unit is None:
        raise errors.Refused(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
    return unit


def _channel(call: Call) -> str:
    return "orders" if call.free else "rest"
