"""While a venue throttles us nothing goes there, questions neither: the way from 429 to 418 is not ours to walk."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tradeserver.core.commands import CancelAll, Command, QueryOpenOrders, QueryOrder, RequestAccount, SubmitOrder
from tradeserver.core.events import Event, QueryFailed, RateLimited, SendRefused
from tradeserver.core.types import Side, TimeInForce
from tradeserver.runtime.gateway import TOO_LATE, Gateway
from tradeserver.runtime.latch import MemoryLatch
from tradeserver.sessions.wire import NullTransport, VenueSession
from tradeserver.venues.base import Credentials, HttpRequest
from tradeserver.venues.binance.codec import BinanceCodec
from tradeserver.venues.binance.settings import BinanceSettings

MS, S = 1_000_000, 1_000_000_000
START = 1_700_000_000 * S


class Recorder(NullTransport):
    def __init__(self) -> None:
        self.requested: list[str] = []
        self.declined: list[int] = []

    def request(self, request: HttpRequest) -> None:
        self.requested.append(request.label)

    def decline(self, request: HttpRequest) -> None:
        self.declined.append(request.id)


class Desk:
    """Binance's codec with a measured clock, behind the gateway."""

    def __init__(self) -> None:
        self.codec = BinanceCodec(BinanceSettings(), ("XRP/USDT",), Credentials("key", "secret"))
        self.transport = Recorder()
        self.told: list[Event] = []
        self.ts = START
        session = VenueSession(self.codec, self.transport)
        self.gateway = Gateway({"binance": session}, MemoryLatch(), lambda: self.ts, self.told.append)
        self.codec.start(self.ts)
        while not self.codec._clock.known:  # answer what it asks: the time alone
            for out in [o for o in self.codec.outgoing if isinstance(o, HttpRequest)]:
                self.codec.outgoing.remove(out)
                body = msgspec.json.encode({"serverTime": self.ts // MS})
                self.codec.receive_http(out.id, 200 if "time" in out.label else 503, {}, body, self.ts)
        self.codec.outgoing.clear()

    def perform(self, command: Command) -> list[str]:
        before = len(self.transport.requested)
        self.gateway.perform([command], self.ts, self.ts, self.ts, "")
        return self.transport.requested[before:]

    def refused(self, status: int, seconds: int) -> list[Event]:
        """The answer to the last request that was made."""
        body = b'{"code":-1003,"msg":"Too much request weight used."}'
        number = self.codec._rest._next_id
        return list(self.codec.receive_http(number, status, {"retry-after": str(seconds)}, body, self.ts))


QUESTION = QueryOrder(venue="binance", symbol="XRP/USDT", client_id="aaL00000000000001")
EVERYTHING = (
    QUESTION,
    QueryOpenOrders(venue="binance"),
    RequestAccount(venue="binance"),
    CancelAll(venue="binance", symbol="XRP/USDT"),
)


def test_after_a_429_nothing_is_asked_before_its_time() -> None:
    desk = Desk()
    assert desk.perform(QUESTION) == ["GET /api/v3/order"]
    assert any(isinstance(event, RateLimited) for event in desk.refused(429, 10))
    desk.ts += 9 * S
    desk.codec.tick(desk.ts)
    desk.codec.outgoing.clear()
    assert [desk.perform(command) for command in EVERYTHING] == [[], [], [], []]
    assert len(desk.transport.declined) == 4  # each is told as its answer: not sent
    assert not [event for event in desk.told if isinstance(event, QueryFailed)]  # and told once
    desk.ts += 2 * S
    desk.codec.tick(desk.ts)
    desk.codec.outgoing.clear()
    assert desk.perform(QUESTION) == ["GET /api/v3/order"]


def test_after_a_418_there_is_silence() -> None:
    desk = Desk()
    desk.perform(QUESTION)
    desk.refused(418, 120)
    desk.ts += 119 * S
    desk.codec.tick(desk.ts)
    desk.codec.outgoing.clear()
    assert [desk.perform(command) for command in EVERYTHING] == [[], [], [], []]


@pytest.mark.parametrize(("took_ms", "opening", "late"), [(49, True, False), (51, True, True), (5_000, False, False)])
def test_a_step_that_took_too_long_opens_nothing_and_hedges(took_ms: int, opening: bool, late: bool) -> None:
    """A slow disk, or a loop that stood still in the middle: the prices were others. A hedge shrinks what is there."""
    desk = Desk()
    order = SubmitOrder(
        venue="binance", symbol="XRP/USDT", client_id="T1D1r31eq00001000", arbitrage=1, leg=0, attempt=0,
        side=Side.BUY, quantity=Decimal(10), price=Decimal(2), time_in_force=TimeInForce.IOC, opening=opening,
    )  # fmt: skip
    desk.gateway.perform([order], desk.ts, desk.ts, desk.ts + took_ms * MS, "")
    (refused,) = [event for event in desk.told if isinstance(event, SendRefused)]
    assert (refused.reason == TOO_LATE) is late  # else for want of the symbol's rules
