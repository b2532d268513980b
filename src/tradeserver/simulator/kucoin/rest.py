"""KuCoin's REST front end: a request in, the envelope `{"code":"200000","data":..}` out.

Rules (2025-11): business errors have HTTP 200, those of the gateway 4xx; every answer of a pool tells its quota. A
signed public call is not refused, whatever its signature. POST bodies are JSON and say so (415000).
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, unquote

import msgspec

from tradeserver.simulator.accounts import Account, ApiKey
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.front import HttpIn, HttpOut
from tradeserver.simulator.kucoin import auth, errors
from tradeserver.simulator.kucoin.calls import Ask, Call, find
from tradeserver.simulator.kucoin.limits import PUBLIC, Pool, Pools
from tradeserver.wire import kucoin as wire

_encoder = msgspec.json.Encoder()


class Clients:
    """Who holds which key."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def find(self, api_key: str, needs: str) -> tuple[Account, ApiKey]:
        """Refuses an unknown key (400003) and one without the right (400007)."""
        found = self._exchange.key(api_key)
        if found is None:
            raise errors.unknown_key()
        if needs not in found[1].permissions:
            raise errors.no_permission()
        return found


class Rest:
    """HTTP over the table of calls."""

    def __init__(self, calls: list[Call], clients: Clients, pools: Pools) -> None:
        self._calls = calls
        self._clients = clients
        self._pools = pools

    def answer(self, request: HttpIn, now_ns: int) -> HttpOut:
        """GET /api/v1/timestamp -> 200 {"code":"200000","data":1729100692873}"""
        pools: list[Pool] = []
        channel = "rest"
        try:
            call, found = find(self._calls, request.method, request.path)
            channel = "orders" if call.orders else "rest"
            data = self._perform(call, unquote(found), request, now_ns, pools.append)
        except errors.Refused as refused:
            status, body = refused.status, wire.Envelope[object](code=refused.code, msg=refused.text)
        else:
            status, body = 200, wire.Envelope[object](code=wire.OK, data=data)
        headers = pools[0].headers(now_ns) if pools else {}
        return HttpOut(status, _encoder.encode(body), headers, channel=channel)

    def _perform(self, call: Call, found: str, request: HttpIn, now_ns: int, told: Callable[[Pool], None]) -> object:
        who = self._who(call, request, now_ns) if call.needs else None
        pool = self._pools.pool(call.pool, who[0].name if who and call.pool != PUBLIC else request.remote)
        told(pool)
        pool.charge(call.weight, now_ns)
        if request.body and "json" not in request.headers.get("content-type", ""):
            raise errors.unsupported_media_type()
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        return call.run(Ask(query, found, request.body, now_ns, who))

    def _who(self, call: Call, request: HttpIn, now_ns: int) -> tuple[Account, ApiKey]:
        key_name = auth.api_key(request.headers)
        found = self._clients.find(key_name, call.needs)
        key = found[1]
        auth.check_request(
            request.headers,
            request.method,
            request.path,
            request.query,
            request.body,
            key.secret,
            key.passphrase,
            now_ns,
        )
        return found
