"""Binance over HTTP: builds requests, signs them, remembers who asked, and tells answers from failures.

It owns the request ids, the headers that feed the rate budget, and the meaning of a status: 2xx is an answer, anything
else a `Failure` with its row of the error table. It never raises for what the venue sent. Who asks gives two functions,
`answered(body, ts)` and `failed(failure, ts)`; exactly one of them is called, once, unless the request is forgotten.

Source: Binance spot API docs, rest-api.md "General API information", "Limits", 2026-07-21.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from tradeserver.core.events import Event, VenueFault
from tradeserver.venues.base import NO_ANSWER, NOT_SENT, Credentials, HttpRequest
from tradeserver.venues.binance.errors import row_of
from tradeserver.venues.binance.rules import VENUE
from tradeserver.venues.binance.settings import BinanceSettings
from tradeserver.venues.binance.signing import Signer, rest_payload
from tradeserver.venues.budget import RateBudget
from tradeserver.venues.clock import ClockSampler
from tradeserver.venues.errors import AUTH_CODE, UNLISTED, UNREADABLE, ErrorRow, Fault
from tradeserver.wire.binance import ErrorBody

Params = Sequence[tuple[str, str]]


class Failure(msgspec.Struct, frozen=True):
    """Why there is no answer. `code` is the venue's, or "HTTP 503", "NO_ANSWER", "NOT_SENT", "BAD_BODY"."""

    status: int
    code: str
    text: str
    row: ErrorRow

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


Answered = Callable[[bytes, int], Sequence[Event]]
Failed = Callable[[Failure, int], Sequence[Event]]

_ERROR: Final = msgspec.json.Decoder(ErrorBody)
_SECOND: Final = 1_000_000_000
_COUNTS: Final = (
    ("x-mbx-used-weight-1m", "weight"),
    ("x-mbx-order-count-10s", "orders_10s"),
    ("x-mbx-order-count-1d", "orders_1d"),
)
_PAUSE_NS: Final = {429: 60 * _SECOND, 418: 120 * _SECOND}  # where Retry-After is missing


class _Asked(msgspec.Struct, frozen=True):
    label: str
    weight: int
    answered: Answered
    failed: Failed


class Rest:
    """The HTTP side of one Binance account (or of none: public requests only)."""

    def __init__(
        self,
        settings: BinanceSettings,
        credentials: Credentials | None,
        signer: Signer | None,
        budget: RateBudget,
        clock: ClockSampler,
    ) -> None:
        self._base = settings.rest_url.rstrip("/")
        self._window = str(settings.read_window_ms)
        self._key = credentials.key if credentials else ""
        self._signer = signer
        self._budget = budget
        self._clock = clock
        self._next_id = 0
        self._asked: dict[int, _Asked] = {}
        self.on_error: Callable[[ErrorRow], None] = lambda row: None

    def request(
        self,
        method: str,
        path: str,
        params: Params,
        ts: int,
        *,
        weight: int,
        answered: Answered,
        failed: Failed,
        signed: bool = False,
        window: str = "",
    ) -> HttpRequest:
        """The request, all parameters in the query; signed ones carry `timestamp` and `recvWindow` as well."""
        headers: dict[str, str] = {}
        query = rest_payload(params)
        if signed:
            if self._signer is None:
                raise ValueError(f"{method} {path} needs a key")
            stamp = rest_payload([("recvWindow", window or self._window), ("timestamp", str(self.venue_ms(ts)))])
            query = f"{query}&{stamp}" if query else stamp
            query = f"{query}&{rest_payload([('signature', self._signer.sign(query))])}"
            headers["X-MBX-APIKEY"] = self._key
        self._next_id += 1
        label = f"{method} {path}"
        self._asked[self._next_id] = _Asked(label, weight, answered, failed)
        self._budget.sent("weight", weight)
        url = f"{self._base}{path}?{query}" if query else f"{self._base}{path}"
        return HttpRequest(id=self._next_id, method=method, url=url, headers=headers, body=b"", label=label)

    def venue_ms(self, ts: int) -> int:
        """The venue's clock in ms, as far as we know it."""
        return (ts + self._clock.offset_ns) // 1_000_000

    def answer(self, request_id: int, status: int, headers: Mapping[str, str], body: bytes, ts: int) -> Sequence[Event]:
        """The session's `receive_http`."""
        asked = self._asked.pop(request_id, None)
        if asked is None:
            return (_fault("UNKNOWN_ANSWER", f"request {request_id} was never made", ts),)
        self._budget.answered("weight", asked.weight)
        self._count(headers, ts)
        if 200 <= status < 300:
            try:
                return asked.answered(body, ts)
            except UNREADABLE as error:
                text = f"{asked.label}: {error}"
                failure = Failure(status, "BAD_BODY", text, UNLISTED)
                return (_fault("BAD_BODY", text, ts), *asked.failed(failure, ts))
        events: list[Event] = []
        failure = self._failure(status, body)
        if status in _PAUSE_NS:
            until = ts + _retry_after_ns(headers, _PAUSE_NS[status])
            scope = "orders" if failure.code == "-1015" else "weight"
            events.append(self._budget.throttled(scope, until, ts, banned=status == 418))
        self.on_error(failure.row)
        outcome = asked.failed(failure, ts)
        if status not in _PAUSE_NS and not any(isinstance(event, VenueFault) for event in outcome):
            events += _worth_telling(failure, asked.label, ts)
        return (*events, *outcome)

    def _failure(self, status: int, body: bytes) -> Failure:
        if status in (NO_ANSWER, NOT_SENT):
            code = "NOT_SENT" if status == NOT_SENT else "NO_ANSWER"
            row = ErrorRow(code, "", Fault.REFUSED if status == NOT_SENT else Fault.UNKNOWN, Fault.BACKOFF, "")
            return Failure(status, code, body[:200].decode(errors="replace"), row)
        try:
            error = _ERROR.decode(body)
        except UNREADABLE:
            text = f"not JSON: {body[:80]!r}"
            return Failure(status, f"HTTP {status}", text, row_of(status, f"HTTP {status}", ""))
        code = str(error.code)
        return Failure(status, code, error.msg, row_of(status, code, error.msg))

    def _count(self, headers: Mapping[str, str], ts: int) -> None:
        for header, scope in _COUNTS:
            count = _whole(headers.get(header, ""))
            if count is not None:
                self._budget.observe(scope, count, ts)


def _retry_after_ns(headers: Mapping[str, str], default: int) -> int:
    seconds = _whole(headers.get("retry-after", ""))
    return default if seconds is None else seconds * _SECOND


def _whole(text: str) -> int | None:
    """A whole number that a header says, None where it says none: `isdigit` is true of "²", which is no `int`."""
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _worth_telling(failure: Failure, label: str, ts: int) -> Sequence[Event]:
    """What a person should know: a key not accepted, a code that no row lists, a venue that fails or shuts us out."""
    if failure.row.read is Fault.AUTH:
        return (_fault(AUTH_CODE, f"{label}: {failure}", ts),)
    if failure.row is UNLISTED or failure.status >= 500 or failure.status == 403:
        return (_fault(failure.code, f"{label}: {failure}", ts),)
    return ()


def _fault(code: str, text: str, ts: int) -> VenueFault:
    return VenueFault(ts=ts, venue=VENUE, channel="rest", code=code, text=text)
