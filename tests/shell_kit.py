"""What the shell's tests share: records, a small engine, a small venue. No test in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from tradeserver.core.commands import CancelOrder, Command, QueryOrder, SubmitOrder
from tradeserver.core.events import (
    Event,
    LinkDown,
    LinkUp,
    OrderAccepted,
    QueryFailed,
    SendRefused,
    Signal,
    Tick,
    VenueFault,
    WalFailed,
)
from tradeserver.core.records import Alert, Checkpoint, Record, Severity
from tradeserver.core.types import Side, TimeInForce
from tradeserver.venues.base import Connect, HttpRequest, OpenChannel, Outgoing, WireError, WsMessage


def alert(number: int, text: str = "") -> Alert:
    return Alert(ts=1_000 + number, severity=Severity.INFO, code=f"N{number}", text=text or f"text {number}")


def checkpoint(ts: int = 0, number: int = 1) -> Checkpoint:
    return Checkpoint(
        ts=ts,
        next_arbitrage=number,
        next_opportunity=1,
        orders=(),
        arbitrages=(),
        balances={"x": {"USDT": Decimal("12.5")}},
        positions={},
        realised={},
        fees={},
        states=(),
        fill_keys=(("x", "BTC/USDT", "7"),),
        dust={},
        last_start_s=0,
    )


def order(venue: str, client_id: str, *, arbitrage: int = 1, opening: bool = True) -> SubmitOrder:
    return SubmitOrder(
        venue=venue,
        symbol="BTC/USDT",
        client_id=client_id,
        arbitrage=arbitrage,
        leg=0,
        attempt=0,
        side=Side.BUY,
        quantity=Decimal("0.5"),
        price=Decimal("100.25"),
        time_in_force=TimeInForce.IOC,
        opening=opening,
    )


class ScriptEngine:
    """Does what the text of a `Signal` says, word by word, and records every event it sees.

    "open:x/a1,y/a2" opens arbitrage 1 with a leg at each venue; "hedge:x/h1", "cancel:x/c1", "query:x/q1".
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.applied: list[Record] = []
        self.accepted = 0
        self.depth = 0

    def step(self, event: Event) -> tuple[list[Record], list[Command]]:
        assert self.depth == 0, "nested step"
        self.depth += 1
        self.events.append(event)
        commands: list[Command] = []
        if isinstance(event, Signal):
            for word in event.body.decode().split():
                commands.extend(self._obey(word))
        if isinstance(event, OrderAccepted):
            self.accepted += 1
        self.depth -= 1
        quiet = isinstance(event, Tick)
        return ([] if quiet else [alert(len(self.events), f"{type(event).__name__} {event.ts}")]), commands

    def _obey(self, word: str) -> list[Command]:
        verb, _, rest = word.partition(":")
        found: list[Command] = []
        for name in rest.split(","):
            venue, _, client_id = name.partition("/")
            if verb in ("open", "hedge"):
                found.append(order(venue, client_id, opening=verb == "open"))
            elif verb == "cancel":
                found.append(CancelOrder(venue=venue, symbol="BTC/USDT", client_id=client_id))
            else:
                found.append(QueryOrder(venue=venue, symbol="BTC/USDT", client_id=client_id))
        return found

    def apply(self, record: Record) -> None:
        self.applied.append(record)

    def checkpoint(self, ts: int) -> Checkpoint:
        return checkpoint(ts, len(self.events))

    def digest_state(self) -> bytes:
        return f"{len(self.events)} {self.accepted}".encode()

    def next_deadline(self) -> int:
        return 0

    def seen(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


class EchoCodec:
    """A venue whose protocol is lines of text on one channel, "market", and HTTP for tokens.

    Frames: "signal TEXT" becomes a Signal, "ack ID" an OrderAccepted, "up" a LinkUp, "bad" a WireError. It answers each
    opening by asking for a token over HTTP when `token_url` is set, and says "hello" once opened. Each order gets the
    next number and the stamp of its step, so that a codec called once more or less, or later, yields other bytes.
    """

    def __init__(self, venue: str, url: str = "ws://127.0.0.1:1/", token_url: str = "") -> None:
        self.venue = venue
        self.outgoing: list[Outgoing] = []
        self.calls: list[str] = []
        self.link = True
        self._url = url
        self._token_url = token_url
        self._number = 0
        self._ticks = 0

    def start(self, ts: int) -> Sequence[Event]:
        self.calls.append("start")
        self.outgoing.append(OpenChannel("market"))
        return ()

    def open(self, channel: str, ts: int) -> HttpRequest | Connect:
        self.calls.append(f"open {channel}")
        if self._token_url:
            self._number += 1
            return HttpRequest(self._number, "POST", self._token_url, {"X-Key": "k"}, b"{}", "POST /token")
        return Connect(channel, self._url, {"X-Opened": str(ts)})

    def opened(self, channel: str, ts: int) -> Sequence[Event]:
        self.calls.append(f"opened {channel}")
        self.outgoing.append(WsMessage(channel, b"hello"))
        return ()

    def closed(self, channel: str, reason: str, ts: int) -> Sequence[Event]:
        self.calls.append(f"closed {channel}")
        return (LinkDown(ts=ts, venue=self.venue, channel=channel, reason=reason),)

    def receive(self, channel: str, data: bytes, ts: int) -> Sequence[Event]:
        word, _, rest = data.partition(b" ")
        if word == b"signal":
            return (Signal(ts=ts, body=rest),)
        if word == b"ack":
            return (OrderAccepted(ts=ts, venue=self.venue, client_id=rest.decode(), venue_order_id="1"),)
        if word == b"up":
            return (LinkUp(ts=ts, venue=self.venue, channel=channel),)
        raise WireError(self.venue, channel, "unknown word", data)

    def receive_http(
        self, request_id: int, status: int, headers: Mapping[str, str], body: bytes, ts: int
    ) -> Sequence[Event]:
        self.calls.append(f"http {status}")
        if status == 200:
            self.outgoing.append(Connect("market", body.decode(), {}))
            return ()
        return (VenueFault(ts=ts, venue=self.venue, channel="", code=str(status), text=body.decode()),)

    def tick(self, ts: int) -> Sequence[Event]:
        self._ticks += 1
        if self._ticks % 3 == 0:
            self.outgoing.append(WsMessage("market", b"ping %d" % self._ticks))
        return ()

    def usable(self, command: Command) -> str:
        return "" if self.link else "orders link down"

    def encode(self, command: Command, ts: int) -> WsMessage | HttpRequest | None:
        self._number += 1
        client_id = getattr(command, "client_id", "")
        text = f"{type(command).__name__} {client_id} {self._number} {ts}"
        return WsMessage("market", text.encode())


__all__ = ["EchoCodec", "QueryFailed", "ScriptEngine", "SendRefused", "WalFailed", "alert", "checkpoint", "order"]
