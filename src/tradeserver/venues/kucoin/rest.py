"""KuCoin's REST side: builds signed requests, remembers what was asked, sorts the answers, keeps the rate pools.

It knows the envelope, the pools and their headers, and nothing of what the endpoints are for: whoever asks brings the
shape of the data and two functions, one for the data and one for the failure. Each request is answered exactly once.

Pools (KuCoin docs, "Rate limit", 2025-11) are counted per user (public: per address) over 30 s from the first call;
every answer says what is left in `gw-ratelimit-*`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from tradeserver.core.events import Event, RateLimited, VenueFault
from tradeserver.venues.base import Credentials, HttpRequest, Outgoing
from tradeserver.venues.budget import RateBudget
from tradeserver.venues.clock import ClockSampler
from tradeserver.venues.errors import AUTH_CODE, UNLISTED, UNREADABLE, ErrorRow, Fault
from tradeserver.venues.kucoin.errors import BAD_ANSWER, BLOCKED, CLOCK, CLOUDFLARE, TABLE, THROTTLED, read_code
from tradeserver.venues.kucoin.settings import KucoinSettings
from tradeserver.venues.kucoin.signing import Signer
from tradeserver.wire import kucoin as wire

VENUE: Final = "kucoin"
T = TypeVar("T")

POOL_NS: Final = 30_000_000_000
POOLS: Final = {"spot": 4_000, "management": 2_000, "public": 2_000}  # VIP 0; the headers correct it
PAUSE_NS: Final = 1_000_000_000  # a refusal by a server that is overloaded, or that does not say how long
CLOUDFLARE_NS: Final = 30_000_000_000  # what its 1015 asks for
BLOCKED_NS: Final = 10_000_000_000  # a wall that names no time: orders in doubt cannot wait for long


class Endpoint(NamedTuple):
    """One row of the venue's endpoint table. Weight counts against the pool."""

    method: str
    path: str
    pool: str
    weight: int
    signed: bool = True


SYMBOLS: Final = Endpoint("GET", "/api/v2/symbols", "public", 4, False)
TIMESTAMP: Final = Endpoint("GET", "/api/v1/timestamp", "public", 3, False)
STATUS: Final = Endpoint("GET", "/api/v1/status", "public", 3, False)
BOOK_PART: Final = Endpoint("GET", "/api/v1/market/orderbook/level2_100", "public", 2, False)
BOOK_FULL: Final = Endpoint("GET", "/api/v3/market/orderbook/level2", "spot", 3)
BULLET_PUBLIC: Final = Endpoint("POST", "/api/v1/bullet-public", "public", 10, False)
BULLET_PRIVATE: Final = Endpoint("POST", "/api/v1/bullet-private", "spot", 10)
TRADE_FEES: Final = Endpoint("GET", "/api/v1/trade-fees", "spot", 3)
ACCOUNTS: Final = Endpoint("GET", "/api/v1/accounts", "management", 5)
ORDER_PLACE: Final = Endpoint("POST", "/api/v1/hf/orders", "spot", 1)
ORDER_BY_ID: Final = Endpoint("GET", "/api/v1/hf/orders/", "spot", 2)
ORDER_BY_CLIENT_ID: Final = Endpoint("GET", "/api/v1/hf/orders/client-order/", "spot", 2)
CANCEL_BY_ID: Final = Endpoint("DELETE", "/api/v1/hf/orders/", "spot", 1)
CANCEL_BY_CLIENT_ID: Final = Endpoint("DELETE", "/api/v1/hf/orders/client-order/", "spot", 1)
CANCEL_SYMBOL: Final = Endpoint("DELETE", "/api/v1/hf/orders", "spot", 2)
ORDERS_ACTIVE: Final = Endpoint("GET", "/api/v1/hf/orders/active", "spot", 2)
ORDERS_DONE: Final = Endpoint("GET", "/api/v1/hf/orders/done", "spot", 2)
FILLS: Final = Endpoint("GET", "/api/v1/hf/fills", "spot", 2)
DEAD_MAN: Final = Endpoint("POST", "/api/v1/hf/orders/dead-cancel-all", "spot", 2)


class Failure(msgspec.Struct, frozen=True):
    """An answer that is not what was asked for. `code` is the envelope's or one of ours (see `errors.py`)."""

    ts: int
    asked_ts: int
    code: str
    text: str
    row: ErrorRow


Done = Callable[[Any, int, int], Sequence[Event]]
"""(data, asked_ts, ts) -> events. Raises `msgspec.ValidationError` for data that decode and make no sense; then the
answer counts as a failure, so it must raise before it changes anything."""

Failed = Callable[[Failure], Sequence[Event]]


class _Asked(msgspec.Struct, frozen=True):
    """What we wait for under a request's id."""

    endpoint: Endpoint
    ts: int
    shape: msgspec.json.Decoder[Any]
    done: Done
    failed: Failed


_ENVELOPE: Final = msgspec.json.Decoder(wire.Envelope[msgspec.Raw])


class Rest:
    """All requests of one codec. `outgoing` is the codec's own list."""

    def __init__(self, settings: KucoinSettings, credentials: Credentials | None) -> None:
        self.settings = settings
        self.signer = Signer(credentials, settings.key_version) if credentials is not None else None
        self.outgoing: list[Outgoing] = []
        self.clock = ClockSampler(VENUE)
        self.budget = RateBudget(VENUE, settings.spare_share)
        self.clock_doubted = False  # the venue refused a stamp of ours, and nobody has asked for the time yet
        self.rules_doubted: set[str] = set()  # symbols of ours whose rules or status an order's refusal puts in doubt
        self.paused_until = 0  # blocked in front of the gateway: nothing by REST before that
        self._asked: dict[int, _Asked] = {}
        self._last_id = 0
        for pool, limit in POOLS.items():
            self.budget.limit(pool, limit, POOL_NS)

    def doubt_clock(self) -> None:
        """The venue refused a stamp of ours: its clock is to be measured anew."""
        self.clock_doubted = self.clock.doubted = True

    def venue_ms(self, ts: int) -> int:
        """Our `ts` as milliseconds of the venue's clock."""
        return (ts + self.clock.offset_ns) // 1_000_000

    def refusal(self, endpoint: Endpoint, ts: int, safety: bool = False) -> str:
        """Why this may not be asked now, or ""."""
        if ts < self.paused_until:
            return "rate budget: REST paused"
        return self.budget.refusal(endpoint.pool, endpoint.weight, ts, safety)

    def ask(
        self,
        endpoint: Endpoint,
        ts: int,
        shape: msgspec.json.Decoder[Any],
        done: Done,
        failed: Failed,
        *,
        path: str = "",
        body: str = "",
    ) -> HttpRequest:
        """A request, remembered. `path` is what follows the endpoint's path: an id, a query."""
        self._last_id += 1
        self._asked[self._last_id] = _Asked(endpoint, ts, shape, done, failed)
        self.budget.sent(endpoint.pool, endpoint.weight)
        whole = endpoint.path + path
        headers = {"Content-Type": "application/json"} if endpoint.method == "POST" else {}
        if endpoint.signed:
            assert self.signer is not None, "a signed call without credentials"
            headers = self.signer.headers(self.venue_ms(ts), endpoint.method, whole, body)
        return HttpRequest(
            id=self._last_id,
            method=endpoint.method,
            url=self.settings.rest_url + whole,
            headers=headers,
            body=body.encode(),
            label=f"{endpoint.method} {endpoint.path}",
            timeout_ns=self.settings.answer_ms * 1_000_000,
        )

    def send(
        self,
        endpoint: Endpoint,
        ts: int,
        shape: msgspec.json.Decoder[Any],
        done: Done,
        failed: Failed,
        *,
        path: str = "",
        body: str = "",
    ) -> None:
        """The same, for what the codec asks by itself."""
        self.outgoing.append(self.ask(endpoint, ts, shape, done, failed, path=path, body=body))

    def receive(self, request_id: int, status: int, headers: Mapping[str, str], body: bytes, ts: int) -> list[Event]:
        """The answer: into `done` or `failed` of whoever asked. An id that we do not wait for is ignored."""
        asked = self._asked.pop(request_id, None)
        if asked is None:
            return []
        self.budget.answered(asked.endpoint.pool, asked.endpoint.weight)
        left = self._note_pool(asked.endpoint.pool, headers, ts)
        code, text, raw = _open(status, body)
        if code == wire.OK and status < 500:
            try:
                return list(asked.done(asked.shape.decode(raw), asked.ts, ts))
            except UNREADABLE as error:
                code, text = BAD_ANSWER, str(error)
        code = code if code == BAD_ANSWER else read_code(status, code, text)
        failure = Failure(ts, asked.ts, code, text, TABLE.lookup(code, text))
        events: list[Event] = list(asked.failed(failure))
        if _worth_telling(failure) and not any(isinstance(event, VenueFault) for event in events):
            fault = AUTH_CODE if failure.row.read is Fault.AUTH else code
            text = f"{asked.endpoint.method} {asked.endpoint.path}: {code} {text}"
            events.append(VenueFault(ts=ts, venue=VENUE, channel="rest", code=fault, text=text))
        if code == CLOCK:
            self.doubt_clock()
        limited = self._throttled(asked.endpoint.pool, code, text, headers, left, ts)
        if limited is not None:
            events.append(limited)
        return events

    def pool_left(self, pool: str, limit: int, remaining: int, reset_ms: int, ts: int) -> None:
        """What the server says is left of a pool; `reset_ms` from now."""
        self.budget.limit(pool, limit, POOL_NS)
        self.budget.observe(pool, limit - remaining, ts, ts + max(1, reset_ms) * 1_000_000)

    def _note_pool(self, pool: str, headers: Mapping[str, str], ts: int) -> int:
        """Read `gw-ratelimit-*`; what remains of the pool, or -1 where the headers are missing or no numbers."""
        try:
            limit = int(headers["gw-ratelimit-limit"])
            remaining = int(headers["gw-ratelimit-remaining"])
            reset_ms = int(headers["gw-ratelimit-reset"])
        except (KeyError, ValueError):
            return -1
        self.pool_left(pool, limit, remaining, reset_ms, ts)
        return remaining

    def _throttled(
        self, pool: str, code: str, text: str, headers: Mapping[str, str], left: int, ts: int
    ) -> RateLimited | None:
        if code in (CLOUDFLARE, BLOCKED):
            self.paused_until = ts + (CLOUDFLARE_NS if code == CLOUDFLARE else BLOCKED_NS)
            return self.budget.throttled("address", self.paused_until, ts)
        if code in (THROTTLED, "HTTP_429") or (code == "200002" and "oo many requests" in text):
            pause_ns = PAUSE_NS  # quota is left: the server is overloaded
            if left == 0:
                pause_ns = max(pause_ns, int(headers["gw-ratelimit-reset"]) * 1_000_000)
            return self.budget.throttled(pool, ts + pause_ns, ts)
        return None


def _worth_telling(failure: Failure) -> bool:
    """Whether a person should know: bytes that are no answer, a key that is not accepted, a code that no row lists."""
    return (
        failure.row is UNLISTED
        or failure.row.read is Fault.AUTH
        or failure.code in (BAD_ANSWER, CLOUDFLARE, "HTTP_5XX", BLOCKED)
    )


def _open(status: int, body: bytes) -> tuple[str, str, bytes]:
    """(code, message, data) of an answer; the code is empty where the body is no envelope."""
    if status <= 0:
        return "", body.decode(errors="replace")[:200], b""
    try:
        envelope = _ENVELOPE.decode(body)
    except UNREADABLE:
        return "", body[:200].decode(errors="replace"), b""
    data = bytes(envelope.data) if isinstance(envelope.data, msgspec.Raw) else b"null"
    return envelope.code, envelope.msg if isinstance(envelope.msg, str) else "", data
