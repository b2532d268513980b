"""Binance's WS API: the two private connections, "orders" for order entry and "user" for the account's events.

Each is logged on at every connect: an Ed25519 key by `session.logon`, after which requests need no signature; an HMAC
key, which the venue does not log on, signs every request. "user" then subscribes to the user data stream; "orders" with
an HMAC key asks the server's time, so that `LinkUp` is never more than the venue has confirmed.

A placement's request id *is* our client order id, so that an answer names its order without any table. Everything else
carries a number, remembered in a small table that is emptied when the connection goes.

Source: Binance spot API docs, web-socket-api.md, user-data-stream.md, 2026-07-21.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import UNSET, Raw

from tradeserver.core.commands import CancelAll, CancelOrder, SubmitOrder
from tradeserver.core.events import CancelRejected, Event, LinkDown, LinkUp, VenueFault
from tradeserver.core.types import Side, plain
from tradeserver.venues.base import Connect, Credentials, Outgoing, Reset, WireError, WsMessage
from tradeserver.venues.binance import reports, rules
from tradeserver.venues.binance.errors import row_of
from tradeserver.venues.binance.reports import Naming
from tradeserver.venues.binance.rules import VENUE, native_of
from tradeserver.venues.binance.settings import BinanceSettings
from tradeserver.venues.binance.signing import Ed25519Signer, HmacSigner, sign_rest_of, ws_payload
from tradeserver.venues.budget import RateBudget
from tradeserver.venues.clock import ClockSampler
from tradeserver.venues.errors import AUTH_CODE, UNREADABLE, ErrorRow, Fault, order_outcome, worth_telling
from tradeserver.venues.rotation import Rotation, both
from tradeserver.wire.binance import (
    AccountPosition,
    BalanceUpdate,
    CancelAnswer,
    ErrorBody,
    EventStreamTerminated,
    ExecutionReport,
    ExternalLockUpdate,
    ListStatus,
    OrderAnswer,
    OrderListReport,
    ServerShutdown,
    Tag,
    Throttle,
    UserEvent,
    WsAnswer,
    WsRequest,
)

USER: Final = "user"
ORDERS: Final = "orders"
CONFIRM_NS: Final = 10_000_000_000
"""Log-on and subscription are confirmed within this time, or the connection is closed."""

LOGON_WEIGHT: Final = 2
"""Of a log-on, a subscription, or the question for the time (web-socket-api.md)."""

MAX_ASKED: Final = 512
"""Requests remembered at a time."""

_AnyUserEvent = (
    ExecutionReport[Decimal]
    | AccountPosition[Decimal]
    | BalanceUpdate[Decimal]
    | ExternalLockUpdate[Decimal]
    | ListStatus
    | EventStreamTerminated
    | ServerShutdown
)
_EVENT: Final = msgspec.json.Decoder(UserEvent[_AnyUserEvent])
_TAG: Final = msgspec.json.Decoder(UserEvent[Tag])
_PLACED: Final = msgspec.json.Decoder(WsAnswer[OrderAnswer[Decimal]])
_ANSWER: Final = msgspec.json.Decoder(WsAnswer[Raw])
_CANCELED: Final = msgspec.json.Decoder(CancelAnswer[Decimal])
_LIST: Final = msgspec.json.Decoder(OrderListReport[Decimal])
_THROTTLE: Final = msgspec.json.Decoder(Throttle)

_NOTHING: Final[tuple[Event, ...]] = ()
_SIDES: Final = {Side.BUY: "BUY", Side.SELL: "SELL"}

Answered = Callable[[WsAnswer[Raw], int], Sequence[Event]]


class Link(msgspec.Struct):
    """One of the two connections, or the successor that is to replace it."""

    name: str
    channel: str
    open: bool = False
    up: bool = False
    waiting: bool = False  # with its log-on, for the venue throttles us
    opened_ts: int = 0


class PrivateLinks:
    """Both WS API connections of one account."""

    def __init__(
        self,
        settings: BinanceSettings,
        credentials: Credentials,
        signer: HmacSigner | Ed25519Signer,
        budget: RateBudget,
        clock: ClockSampler,
        outgoing: list[Outgoing],
        rotation: Rotation,
        name: Naming,
        on_error: Callable[[ErrorRow], None],
        on_balances_moved: Callable[[int], None],
    ) -> None:
        self._settings = settings
        self._key = credentials.key
        self._signer = signer
        self._budget = budget
        self._clock = clock
        self._outgoing = outgoing
        self._rotation = rotation
        self._name = name
        self._on_error = on_error
        self._on_balances_moved = on_balances_moved  # absolute figures are wanted: the event had a difference only
        self._links = {name: Link(name, channel) for channel in (USER, ORDERS) for name in both(channel)}
        self._asked: dict[int, tuple[str, Answered]] = {}
        self._next_id = 0
        # every signed placement begins with the same bytes: hash them once
        self._prefix = signer.begin(f"apiKey={self._key}&newClientOrderId=") if isinstance(signer, HmacSigner) else None

    # ---- life ----

    def connect(self, channel: str) -> Connect:
        """Where to connect."""
        return Connect(channel=channel, url=self._settings.ws_api_url, headers={})

    def opened(self, name: str, ts: int) -> Sequence[Event]:
        """The handshake is done: log on."""
        link = self._links[name]
        link.open, link.up = True, False
        self._log_on(link, ts)
        return _NOTHING

    def _log_on(self, link: Link, ts: int) -> None:
        """Now, or as soon as the venue listens: every log-on that it refuses with 429 leads towards a ban."""
        channel = link.name
        link.waiting = bool(self._budget.refusal("weight", LOGON_WEIGHT, ts, safety=True))
        if link.waiting:
            return
        link.opened_ts = ts
        if isinstance(self._signer, Ed25519Signer):
            self._ask(channel, "session.logon", self._signed({}, ts), self._logged_on(channel))
        elif link.channel == USER:
            self._ask(channel, "userDataStream.subscribe.signature", self._signed({}, ts), self._confirmed(channel))
        else:
            self._ask(channel, "time", {}, self._confirmed(channel))

    def closed(self, name: str, reason: str, ts: int) -> Sequence[Event]:
        """The connection is gone, or never was; nothing that was asked on it will be answered."""
        link = self._links[name]
        link.open = link.up = False
        self._asked = {number: asked for number, asked in self._asked.items() if asked[0] != name}
        is_down = self._rotation.down(name)
        if is_down and link.channel == ORDERS:
            self._budget.lost("orders_10s")
            self._budget.lost("orders_1d")
        return (LinkDown(ts=ts, venue=VENUE, channel=link.channel, reason=reason),) if is_down else _NOTHING

    def up(self, channel: str) -> bool:
        """Whether the channel is logged on and confirmed."""
        return self._rotation.is_up(channel)

    def tick(self, ts: int) -> None:
        """Log-ons that nobody confirms."""
        for link in self._links.values():
            if not link.open or link.up:
                continue
            if link.waiting:
                self._log_on(link, ts)
            elif ts - link.opened_ts > CONFIRM_NS:
                self._reset(link, "log-on not confirmed")

    def _reset(self, link: Link, reason: str) -> None:
        link.open = False  # once is enough; `closed` follows
        self._outgoing.append(Reset(channel=link.name, reason=reason))

    def _logged_on(self, channel: str) -> Answered:
        def answered(answer: WsAnswer[Raw], ts: int) -> Sequence[Event]:
            """`{"id":1,"status":200,"result":{"apiKey":"...","authorizedSince":1700000000000,...}}`."""
            if answer.error is not UNSET:
                return self._refused(channel, answer.status, answer.error, ts)
            if self._links[channel].channel == USER:
                self._ask(channel, "userDataStream.subscribe", {}, self._confirmed(channel))
                return _NOTHING
            return self._link_up(channel, ts)

        return answered

    def _confirmed(self, channel: str) -> Answered:
        def answered(answer: WsAnswer[Raw], ts: int) -> Sequence[Event]:
            """`{"id":2,"status":200,"result":{"subscriptionId":0}}`; -2035: it is subscribed already."""
            if answer.error is not UNSET and answer.error.code != -2035:
                return self._refused(channel, answer.status, answer.error, ts)
            return self._link_up(channel, ts)

        return answered

    def _link_up(self, channel: str, ts: int) -> Sequence[Event]:
        link = self._links[channel]
        if link.up or not link.open:
            return _NOTHING
        link.up = True
        was_down = self._rotation.up(channel)
        return (LinkUp(ts=ts, venue=VENUE, channel=link.channel),) if was_down else _NOTHING

    def _refused(self, channel: str, status: int, error: ErrorBody, ts: int) -> Sequence[Event]:
        """A log-on: a key that is not accepted, or not now (then it waits; the budget knows until when)."""
        if status in (418, 429):
            self._links[channel].waiting = True
            return _NOTHING
        row = row_of(400, str(error.code), error.msg)
        code = AUTH_CODE if row.read is Fault.AUTH else "LOGON_REFUSED"
        self._reset(self._links[channel], f"log-on refused: {error.code}")
        return (VenueFault(ts=ts, venue=VENUE, channel=channel, code=code, text=f"{error.code} {error.msg}"),)

    # ---- requests ----

    def place(self, command: SubmitOrder, ts: int) -> WsMessage:
        """`order.place`, LIMIT, answered in full. By f-string: no dict is built and nothing is escaped, since every
        value is ours (client ids are base62) or the venue's own symbol."""
        client_id, native, side = command.client_id, native_of(command.symbol), _SIDES[command.side]
        price, quantity = plain(command.price), plain(command.quantity)
        tif, window = command.time_in_force.value, self._settings.recv_window_ms
        ms = (ts + self._clock.offset_ns) // 1_000_000
        signed = ""
        if self._prefix is not None:
            rest = (
                f"{client_id}&newOrderRespType=FULL&price={price}&quantity={quantity}&recvWindow={window}"
                f"&side={side}&symbol={native}&timeInForce={tif}&timestamp={ms}&type=LIMIT"
            )
            signed = f',"apiKey":"{self._key}","signature":"{sign_rest_of(self._prefix, rest)}"'
        self._budget.sent("orders_10s", 1)
        self._budget.sent("orders_1d", 1)
        text = (
            f'{{"id":"{client_id}","method":"order.place","params":{{"symbol":"{native}","side":"{side}",'
            f'"type":"LIMIT","timeInForce":"{tif}","quantity":"{quantity}","price":"{price}",'
            f'"newClientOrderId":"{client_id}","newOrderRespType":"FULL","recvWindow":{window},'
            f'"timestamp":{ms}{signed}}}}}'
        )
        return WsMessage(channel=self._rotation.speaks(ORDERS), data=text.encode())

    def cancel(self, command: CancelOrder, ts: int) -> WsMessage:
        """`order.cancel` by our client id, or by the venue's where that alone is known."""
        params: dict[str, str | int] = {"symbol": native_of(command.symbol)}
        if command.client_id:
            params["origClientOrderId"] = command.client_id
        else:
            params["orderId"] = int(command.venue_order_id)

        def answered(answer: WsAnswer[Raw], answered_ts: int) -> Sequence[Event]:
            """`{"id":7,"status":200,"result":{"symbol":"XRPUSDT","origClientOrderId":"aaL...",...}}`."""
            if answer.error is not UNSET:
                code, text = str(answer.error.code), answer.error.msg
                return (CancelRejected(ts=answered_ts, venue=VENUE, client_id=command.client_id, code=code, text=text),)
            return canceled(_result(answer), answered_ts)

        return self._encode(self._rotation.speaks(ORDERS), "order.cancel", self._authorised(params, ts), answered)

    def cancel_all(self, command: CancelAll, ts: int) -> WsMessage:
        """`openOrders.cancelAll` of one symbol; "nothing was open" (-2011) is as good as done."""

        def answered(answer: WsAnswer[Raw], answered_ts: int) -> Sequence[Event]:
            """`{"id":8,"status":200,"result":[{"symbol":"XRPUSDT","origClientOrderId":"aaL...",...}]}`."""
            if answer.error is not UNSET:
                return cancel_all_failed(answer.error.code, answer.error.msg, answered_ts)
            return canceled(_result(answer), answered_ts)

        params = self._authorised({"symbol": native_of(command.symbol)}, ts)
        return self._encode(self._rotation.speaks(ORDERS), "openOrders.cancelAll", params, answered)

    def _authorised(self, params: dict[str, str | int], ts: int) -> dict[str, str | int]:
        """What a request needs beside its own parameters: only a stamp on a logged-on connection."""
        if self._prefix is not None:
            return self._signed(params, ts)
        return params | {"timestamp": self._ms(ts), "recvWindow": self._settings.read_window_ms}

    def _signed(self, params: dict[str, str | int], ts: int) -> dict[str, str | int]:
        params = params | {
            "apiKey": self._key,
            "recvWindow": self._settings.read_window_ms,
            "timestamp": self._ms(ts),
        }
        return params | {"signature": self._signer.sign(ws_payload(params))}

    def _ms(self, ts: int) -> int:
        return (ts + self._clock.offset_ns) // 1_000_000

    def _ask(self, channel: str, method: str, params: dict[str, str | int], answered: Answered) -> None:
        self._outgoing.append(self._encode(channel, method, params, answered))

    def _encode(self, channel: str, method: str, params: dict[str, str | int], answered: Answered) -> WsMessage:
        self._next_id += 1
        self._asked[self._next_id] = (channel, answered)
        if len(self._asked) > MAX_ASKED:  # the oldest was never sent, or will never be answered
            del self._asked[next(iter(self._asked))]
        request = WsRequest[dict[str, str | int]](id=self._next_id, method=method, params=params or UNSET)
        return WsMessage(channel=channel, data=msgspec.json.encode(request))

    # ---- frames ----

    def receive(self, channel: str, data: bytes, ts: int) -> Sequence[Event]:
        """One text frame of either connection."""
        try:
            if data.startswith(b'{"id":"'):
                return self._placed(channel, _PLACED.decode(data), ts)
            if data.startswith(b'{"id":'):
                return self._answered(channel, _ANSWER.decode(data), ts)
            return self._event(channel, data, ts)
        except UNREADABLE as error:
            raise WireError(VENUE, channel, str(error), data) from error

    def _placed(self, channel: str, answer: WsAnswer[OrderAnswer[Decimal]], ts: int) -> Sequence[Event]:
        """`{"id":"aaL000001000010100","status":200,"result":{...},"rateLimits":[{"rateLimitType":"ORDERS",...}]}`."""
        self._budget.answered("orders_10s", 1)
        self._budget.answered("orders_1d", 1)
        events: list[Event] = []
        if answer.rate_limits is not UNSET:
            rules.feed_limits(self._budget, answer.rate_limits, ts)
        if answer.result is not UNSET:
            return reports.order_answer(answer.result, self._name, ts)
        error = ErrorBody(code=0, msg="no result") if answer.error is UNSET else answer.error
        code, client_id = str(error.code), str(answer.id)
        row = row_of(answer.status, code, error.msg)
        events += self._throttled(answer.status, error, ts)
        events += order_outcome(
            row, venue=VENUE, channel=channel, client_id=client_id, code=code, text=error.msg, ts=ts
        )
        self._on_error(row)
        return events

    def _answered(self, channel: str, answer: WsAnswer[Raw], ts: int) -> Sequence[Event]:
        if answer.rate_limits is not UNSET:
            rules.feed_limits(self._budget, answer.rate_limits, ts)
        events: list[Event] = []
        if answer.error is UNSET and answer.result is UNSET:
            answer.error = ErrorBody(code=0, msg="neither result nor error")
        error = answer.error
        told: Sequence[Event] = _NOTHING
        if error is not UNSET:
            code = str(error.code)
            row = row_of(answer.status, code, error.msg)
            told = worth_telling(row, venue=VENUE, channel=channel, code=code, text=error.msg, ts=ts)
            events += self._throttled(answer.status, error, ts)
            self._on_error(row)
        if not isinstance(answer.id, int):  # null: the venue speaks by itself, for example of a revoked key
            return (*events, *self._refused(channel, answer.status, error, ts)) if error is not UNSET else events
        _, answered = self._asked.pop(answer.id, ("", None))
        if answered is None:
            text = f"answer to request {answer.id}, which was not made on this connection"
            return (*events, VenueFault(ts=ts, venue=VENUE, channel=channel, code="UNKNOWN_ANSWER", text=text))
        events += answered(answer, ts)
        if not any(isinstance(event, VenueFault) for event in events):
            events += told
        return events

    def _throttled(self, status: int, error: ErrorBody, ts: int) -> Sequence[Event]:
        """`"error":{"code":-1003,"msg":"...","data":{"serverTime":1700000000000,"retryAfter":1700000060000}}`:
        an absolute time of the venue's clock."""
        if status not in (418, 429):
            return _NOTHING
        until = ts + 60_000_000_000
        if error.data is not UNSET:
            until = reports.stamp_ns(_THROTTLE.decode(error.data).retry_after) - self._clock.offset_ns
        scope = "orders" if error.code == -1015 else "weight"
        return (self._budget.throttled(scope, until, ts, banned=status == 418),)

    def _event(self, channel: str, data: bytes, ts: int) -> Sequence[Event]:
        """`{"subscriptionId":0,"event":{"e":"executionReport",...}}`."""
        try:
            event = _EVENT.decode(data).event
        except msgspec.ValidationError:
            tag = _TAG.decode(data).event.e  # raises in its turn where this is no event at all
            if not tag or tag in _TAGS:
                raise
            text = f"unknown event {tag}"
            return (VenueFault(ts=ts, venue=VENUE, channel=channel, code="UNKNOWN_EVENT", text=text),)
        if isinstance(event, ExecutionReport):
            return reports.execution_report(event, self._name, ts)
        if isinstance(event, AccountPosition):
            # absolute figures: of two connections one alone may say what is newest
            return reports.account_position(event, ts) if channel == self._rotation.speaks(USER) else _NOTHING
        if isinstance(event, ServerShutdown):
            self._rotation.hurry(channel, ts)
        elif isinstance(event, EventStreamTerminated):
            self._reset(self._links[channel], type(event).__name__)
        elif isinstance(event, ExternalLockUpdate):
            self._on_balances_moved(ts)
        # balanceUpdate: its outboundAccountPosition follows; listStatus: order lists are never ours
        return _NOTHING


_TAGS: Final = frozenset(
    str(struct.__struct_config__.tag)
    for struct in (
        ExecutionReport,
        AccountPosition,
        BalanceUpdate,
        ExternalLockUpdate,
        ListStatus,
        EventStreamTerminated,
        ServerShutdown,
    )
)


def _result(answer: WsAnswer[Raw]) -> bytes:
    return b"" if answer.result is UNSET else bytes(answer.result)


def canceled(result: bytes, ts: int) -> Sequence[Event]:
    """The answer to a cancel (one object) or a cancel-all (an array, order lists among the orders)."""
    rows = msgspec.json.decode(result, type=list[Raw]) if result.startswith(b"[") else [Raw(result)]
    events: list[Event] = []
    for row in rows:
        if b'"contingencyType"' in bytes(row):
            members = _LIST.decode(row).order_reports
            events += [reports.cancel_answer(each, ts) for each in (members or ())]
        else:
            events.append(reports.cancel_answer(_CANCELED.decode(row), ts))
    return events


def cancel_all_failed(code: int, text: str, ts: int) -> Sequence[Event]:
    """Nothing open is no failure; anything else a person should know."""
    if code == -2011:
        return _NOTHING
    return (VenueFault(ts=ts, venue=VENUE, channel=ORDERS, code="CANCEL_ALL_FAILED", text=f"{code} {text}"),)
