"""The channel "orders": WebSocket order entry, and REST in its place while it is down.

Orders go as `spot.order`, which is answered when the gateway has the order, not as `spot.sync_order`, which is answered
after matching. For an IOC leg the two reach the matching engine at the same moment, and fills with price and trade id
come by the private stream in both cases; the ledger is made of those. The early answer ends the time in which an order
may or may not exist, and a gateway time-out (408000: outcome unknown) is far less likely. The final sizes that the late
answer would add are on the stream as well (`canceled`, `filledSize`), so there is one source of truth, not two.

An order's request id is its client id, a cancel's is "c-" and the client id: an answer needs no table to be understood.
A cancel's success is only "heard"; the outcome comes by the stream.

| state    | opened  | challenge            | welcome    | answer          | error, overdue | closed |
|----------|---------|----------------------|------------|-----------------|----------------|--------|
| CLOSED   | GREETED | -                    | -          | -               | -              | CLOSED |
| GREETED  | -       | SIGNED, answer it    | -          | -               | Reset          | CLOSED |
| SIGNED   | -       | -                    | UP: LinkUp | -               | Reset          | CLOSED |
| UP       | -       | -                    | -          | events of order | as the table   | CLOSED |

Source: KuCoin docs, "Add/Cancel Order" (WebSocket) and "Add Order" (REST), 2025-11.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
from msgspec import UNSET

from tradeserver.core.commands import CancelOrder, SubmitOrder
from tradeserver.core.events import (
    CancelRejected,
    Event,
    LinkCurrent,
    LinkDown,
    LinkUp,
    OrderAccepted,
    SymbolStatus,
    VenueFault,
)
from tradeserver.core.types import Side, TimeInForce, plain
from tradeserver.venues.base import Connect, HttpRequest, Reset, WireError, WsMessage
from tradeserver.venues.errors import UNREADABLE, Fault, order_outcome, worth_telling
from tradeserver.venues.kucoin import rest as kucoin
from tradeserver.venues.kucoin.errors import CLOCK, TABLE, THROTTLED
from tradeserver.venues.kucoin.known import KnownOrders
from tradeserver.venues.kucoin.link import MS, Heartbeat
from tradeserver.venues.kucoin.rest import PAUSE_NS, VENUE, Failure, Rest
from tradeserver.venues.kucoin.rules import Names
from tradeserver.venues.rotation import Rotation, both
from tradeserver.wire import kucoin as wire

CHANNEL: Final = "orders"
REMEMBERED: Final = 1_000
_CANCEL: Final = "c-"
_SIDES: Final = {Side.BUY: "buy", Side.SELL: "sell"}
_TIMES: Final = {each: each.value for each in TimeInForce}

_ANSWER: Final = msgspec.json.Decoder(wire.OperationAnswer[wire.OrderIds])
_IDS: Final = msgspec.json.Decoder(wire.OrderIds)


class _Greeting(msgspec.Struct, frozen=True, rename="camel"):
    """Challenge, welcome and refusal in one: what is there tells which it is."""

    session_id: str = ""
    data: str = ""
    ping_interval: int = 18_000
    ping_timeout: int = 10_000
    code: str = ""
    msg: str = ""


_GREETING: Final = msgspec.json.Decoder(_Greeting)


class State(enum.Enum):
    """Where order entry stands."""

    CLOSED = "closed"
    GREETED = "greeted"
    SIGNED = "signed"
    UP = "up"


class EntryLink:
    """One order-entry connection: its log-on and its pings."""

    def __init__(self, name: str, rest: Rest, rotation: Rotation) -> None:
        self.name = name
        self.state = State.CLOSED
        self.heartbeat = Heartbeat()
        self._rest = rest
        self._rotation = rotation
        self._deadline = 0  # the next step of the log-on must come by then, 0: none is awaited
        self._failed = False

    def open(self, ts: int) -> Connect:
        """A freshly signed URL."""
        assert self._rest.signer is not None, "order entry without credentials"
        self._failed = False
        url = self._rest.signer.order_entry_url(self._rest.settings.order_entry_url, self._rest.venue_ms(ts))
        return Connect(self.name, url, {})

    def opened(self, ts: int) -> None:
        """The socket stands; the server speaks first."""
        self.state = State.GREETED
        self._deadline = ts + self._rest.settings.answer_ms * MS

    def closed(self, reason: str, ts: int) -> Sequence[Event]:
        """Gone."""
        self.state = State.CLOSED
        self._deadline = 0
        self.heartbeat.stop()
        is_down = self._rotation.down(self.name)
        return (LinkDown(ts=ts, venue=VENUE, channel=CHANNEL, reason=reason),) if is_down else ()

    def tick(self, ts: int, stalled: bool) -> Sequence[Event]:
        """Ping when it is time; give up on what is overdue."""
        heartbeat = self.heartbeat
        if self._failed:
            return ()
        if self._deadline and ts > self._deadline:
            return self.fail(ts, "OVERDUE", f"log-on stands at {self.state.value}")
        if heartbeat.overdue(ts):
            return self.fail(ts, "PONG_OVERDUE", "ping not answered")
        if stalled:
            heartbeat.hurry(ts)
        if heartbeat.due(ts):
            text = f'{{"id":"{heartbeat.ping(ts)}","op":"ping","timestamp":{self._rest.venue_ms(ts)}}}'
            self._rest.outgoing.append(WsMessage(self.name, text.encode()))
        return ()

    def log_on(self, greeting: _Greeting, data: bytes, ts: int) -> Sequence[Event]:
        """`{"sessionId":"5f2c","timestamp":1742000000123}`, answered in plain text; then
        `{"sessionId":"5f2c","data":"welcome","pingInterval":18000,"pingTimeout":10000}`; refused:
        `{"code":"400011","msg":"Session verification failed.","inTime":1742000000123,"outTime":1742000000124}`
        """
        if greeting.code:
            row = TABLE.lookup(greeting.code, greeting.msg)
            if greeting.code == CLOCK:
                self._rest.doubt_clock()
            return self.fail(ts, "AUTH" if row.read is Fault.AUTH else greeting.code, f"{greeting.code} {greeting.msg}")
        if greeting.data == "welcome":
            self.state = State.UP
            self._deadline = 0
            self.heartbeat.start(ts, greeting.ping_interval, greeting.ping_timeout)
            was_down = self._rotation.up(self.name)
            return (LinkUp(ts=ts, venue=VENUE, channel=CHANNEL),) if was_down else ()
        if self.state is State.GREETED and greeting.session_id:
            assert self._rest.signer is not None
            self.state = State.SIGNED
            answer = self._rest.signer.sign(data.decode())
            self._rest.outgoing.append(WsMessage(self.name, answer.encode()))
            return ()
        raise WireError(VENUE, CHANNEL, f"unexpected while {self.state.value}", data)

    def fail(self, ts: int, code: str, text: str) -> Sequence[Event]:
        """The venue's fault: have the connection opened anew."""
        if self._failed:
            return ()
        self._failed = True
        self._rest.outgoing.append(Reset(self.name, f"{code} {text}".strip()))
        return (VenueFault(ts=ts, venue=VENUE, channel=CHANNEL, code=code, text=text),)


class OrderEntry:
    """Places and cancels; see the module's text."""

    def __init__(self, rest: Rest, rotation: Rotation, names: Names, known: KnownOrders) -> None:
        self.links = {name: EntryLink(name, rest, rotation) for name in both(CHANNEL)}
        self._rest = rest
        self._rotation = rotation
        self._names = names
        self._known = known
        self._symbols: dict[str, str] = {}  # of orders sent here and not yet answered, by client id

    # ---- life of the channel ----

    def open(self, name: str, ts: int) -> Connect:
        """A freshly signed URL."""
        return self.links[name].open(ts)

    def opened(self, name: str, ts: int) -> None:
        """The socket stands."""
        self.links[name].opened(ts)

    def closed(self, name: str, reason: str, ts: int) -> Sequence[Event]:
        """Gone. Orders without an answer are UNKNOWN from here, unless the other connection has them."""
        events = self.links[name].closed(reason, ts)
        if not self._rotation.is_up(CHANNEL):
            self._symbols.clear()
        return events

    def tick(self, ts: int, stalled: bool) -> Sequence[Event]:
        """Both connections' pings and deadlines."""
        return [event for link in self.links.values() for event in link.tick(ts, stalled)]

    # ---- commands ----

    def place(self, command: SubmitOrder, ts: int) -> WsMessage | HttpRequest:
        """The order's bytes. Written without any dict, since they are what an arbitrage waits for."""
        client_id = command.client_id
        order = (
            f'{{"symbol":"{self._names.native(command.symbol)}","side":"{_SIDES[command.side]}","type":"limit",'
            f'"clientOid":"{client_id}","price":"{plain(command.price)}","size":"{plain(command.quantity)}",'
            f'"timeInForce":"{_TIMES[command.time_in_force]}","clientTimestamp":{self._rest.venue_ms(ts)},'
            f'"allowMaxTimeWindow":{self._rest.settings.time_window_ms}}}'
        )
        if self._rotation.is_up(CHANNEL):
            self._remember(client_id, command.symbol)
            text = f'{{"id":"{client_id}","op":"spot.order","args":{order}}}'
            return WsMessage(self._rotation.speaks(CHANNEL), text.encode())
        return self._rest.ask(
            kucoin.ORDER_PLACE,
            ts,
            _IDS,
            partial(self._placed, client_id),
            partial(self._not_placed, client_id, command.symbol),
            body=order,
        )

    def cancel(self, command: CancelOrder, ts: int) -> WsMessage | HttpRequest:
        """Ask for a cancel, by the venue's id where we know it."""
        native, client_id = self._names.native(command.symbol), command.client_id
        order_id = command.venue_order_id or self._known.order_id(client_id)
        if self._rotation.is_up(CHANNEL):
            ids = f'"orderId":"{order_id}"' if order_id else f'"clientOid":"{client_id}"'
            text = f'{{"id":"{_CANCEL}{client_id}","op":"spot.cancel","args":{{"symbol":"{native}",{ids}}}}}'
            return WsMessage(self._rotation.speaks(CHANNEL), text.encode())
        endpoint = kucoin.CANCEL_BY_ID if order_id else kucoin.CANCEL_BY_CLIENT_ID
        return self._rest.ask(
            endpoint,
            ts,
            _IDS,
            _heard,
            partial(self._not_canceled, client_id),
            path=f"{order_id or client_id}?symbol={native}",
        )

    # ---- frames ----

    def receive(self, name: str, data: bytes, ts: int) -> Sequence[Event]:
        """One frame. Raises WireError."""
        link = self.links[name]
        try:
            if link.state is State.UP:
                answer = _ANSWER.decode(data)
                if answer.op is UNSET and answer.code is UNSET:
                    raise WireError(VENUE, name, "neither an answer nor an error", data)
                return self._answer(link, answer, ts)
            return link.log_on(_GREETING.decode(data), data, ts)
        except UNREADABLE as error:
            raise WireError(VENUE, name, str(error), data) from None

    def _answer(self, link: EntryLink, answer: wire.OperationAnswer[wire.OrderIds], ts: int) -> Sequence[Event]:
        """`{"id":"a1","op":"spot.order","code":"200000","data":{"orderId":"67","clientOid":"a1"},"inTime":..,"outTime":
        ..,"rateLimit":{"limit":4000,"reset":15244,"remaining":3999}}`; `{"id":"a1","op":"spot.order","code":"200004",
        "msg":"Balance insufficient!","inTime":..,"outTime":..}`; `{"id":"7","op":"pong","timestamp":1742000000123}`
        """
        request_id = "" if answer.id is UNSET else answer.id
        if answer.op == "pong":
            asked = link.heartbeat.pong(request_id)
            if not asked or link.name != self._rotation.speaks(CHANNEL):
                return ()
            return (LinkCurrent(ts=ts, venue=VENUE, channel=CHANNEL, asked_ts=asked),)
        limit = answer.rate_limit if answer.rate_limit is not UNSET else answer.user_rate_limit
        if limit is not UNSET:
            self._rest.pool_left("spot", limit.limit, limit.remaining, limit.reset, ts)
        code = "" if answer.code is UNSET else answer.code
        text = answer.msg if isinstance(answer.msg, str) else ""
        if not request_id:
            return (VenueFault(ts=ts, venue=VENUE, channel=CHANNEL, code=code, text=text),)
        if request_id.startswith(_CANCEL):
            if code == wire.OK:
                return ()
            return self._cancel_refused(request_id.removeprefix(_CANCEL), code, text, ts)
        symbol = self._symbols.pop(request_id, "")
        if code == wire.OK:
            ids = answer.data if isinstance(answer.data, wire.OrderIds) else wire.OrderIds()
            return self._placed(request_id, ids, ts, ts)
        events = [*self._not_placed(request_id, symbol, Failure(ts, ts, code, text, TABLE.lookup(code, text)))]
        if code == THROTTLED:
            pause_ns = limit.reset * MS if limit is not UNSET and limit.remaining == 0 else 0
            events.append(self._rest.budget.throttled("spot", ts + max(PAUSE_NS, pause_ns), ts))
        return events

    def _remember(self, client_id: str, symbol: str) -> None:
        if len(self._symbols) >= REMEMBERED:  # orders that were encoded and not sent are never answered
            del self._symbols[next(iter(self._symbols))]
        self._symbols[client_id] = symbol

    # ---- outcomes ----

    def _placed(self, client_id: str, ids: wire.OrderIds, asked: int, ts: int) -> Sequence[Event]:
        order_id = "" if ids.order_id is UNSET else ids.order_id
        self._known.learn(order_id, client_id)
        return (OrderAccepted(ts=ts, venue=VENUE, client_id=client_id, venue_order_id=order_id),)

    def _not_placed(self, client_id: str, symbol: str, failure: Failure) -> Sequence[Event]:
        """Rejected or uncertain, and what else the code says."""
        row, ts = failure.row, failure.ts
        if failure.code == CLOCK:
            self._rest.doubt_clock()
        events = [
            *order_outcome(
                row, venue=VENUE, channel=CHANNEL, client_id=client_id, code=failure.code, text=failure.text, ts=ts
            )
        ]
        if row.order is Fault.SYMBOL and symbol:
            self._rest.rules_doubted.add(symbol)
            reason = f"{failure.code} {failure.text}"
            events.append(SymbolStatus(ts=ts, venue=VENUE, symbol=symbol, tradable=False, reason=reason))
        elif row.read is Fault.BUG and symbol:
            self._rest.rules_doubted.add(symbol)
        return events

    def _not_canceled(self, client_id: str, failure: Failure) -> Sequence[Event]:
        return (CancelRejected(ts=failure.ts, venue=VENUE, client_id=client_id, code=failure.code, text=failure.text),)

    def _cancel_refused(self, client_id: str, code: str, text: str, ts: int) -> Sequence[Event]:
        """By the socket; over REST `Rest` tells by itself what a person should know."""
        row = TABLE.lookup(code, text)
        return (
            *self._not_canceled(client_id, Failure(ts, ts, code, text, row)),
            *worth_telling(row, venue=VENUE, channel=CHANNEL, code=code, text=text, ts=ts),
        )


def _heard(ids: wire.OrderIds, asked: int, ts: int) -> Sequence[Event]:
    """A cancel was heard; what it did comes by the stream."""
    return ()
