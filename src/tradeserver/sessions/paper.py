"""Paper as a session: market data from a real conversation, orders to a pretended venue (`sessions/paper_venue.py`).

To the engine it is a venue like any other: private links come up, fees are loaded, orders are answered. The market
half is an ordinary session whose codec has no credentials; this class hands it whatever concerns market data, and no
order can reach it. What the pretended venue says comes back as a journaled input of the source "<venue>/paper": a
msgpack list of events, stamped when it is processed.

The reactor (and a backtest's driver) calls `due(ts)` before it processes any input, and processes the answer, where
there is one, as an input of `source`. A replay does not: it finds those inputs in its journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from tradeserver.core.commands import ArmDeadMan, Command, RequestSnapshot
from tradeserver.core.events import AnyEvent, Event, FeesLoaded, LinkUp
from tradeserver.core.market import Market
from tradeserver.core.types import Fees
from tradeserver.sessions.base import Feeder, Session
from tradeserver.sessions.paper_venue import PaperSettings, PaperVenue

_encode = msgspec.msgpack.Encoder().encode
_events: msgspec.msgpack.Decoder[list[Event]] = msgspec.msgpack.Decoder(list[AnyEvent])


class MarketSession(Session, Protocol):
    """The session of the market data: one that can be started."""

    def start(self) -> None:
        """Begin the conversation."""
        ...


class PaperSource:
    """What the pretended venue says."""

    def __init__(self, venue: str) -> None:
        self.id = -1
        self.name = f"{venue}/paper"

    def decode(self, data: bytes, ts: int) -> Sequence[Event]:
        """A list of events, each with the input's stamp for its own; `venue_ts` keeps the pretended venue's time."""
        return [msgspec.structs.replace(event, ts=ts) for event in _events.decode(data)]

    def flush(self) -> bytes:
        """Nothing to say."""
        return b""


class PaperSession:
    """See the module. `books` are the engine's; `balances` take the place of the settings' after a restart."""

    def __init__(
        self,
        market: MarketSession,
        books: Market,
        settings: PaperSettings,
        fees: Fees,
        balances: Mapping[str, Decimal] | None = None,
    ) -> None:
        self.venue = market.venue
        self.source = PaperSource(market.venue)
        self.paper = PaperVenue(
            market.venue,
            books,
            fees,
            settings.balances if balances is None else balances,
            settings.latency_ms,
            settings.answer_ms,
        )
        self._market = market
        self._symbols = [symbol for venue, symbol in books.symbols if venue == market.venue]
        self._feeder: Feeder | None = None
        self.tick = market.tick
        self.flush = market.flush
        self.reset = market.reset
        self.ping = market.ping

    def bind(self, feeder: Feeder) -> None:
        """Make the sources of both halves known."""
        self._feeder = feeder
        feeder.add(self.source)
        self._market.bind(feeder)

    def start(self) -> None:
        """Begin both conversations. Not called in a replay."""
        assert self._feeder is not None, "bind first"
        self._market.start()
        fees = dict.fromkeys(self._symbols, self.paper.fees)
        events = [
            LinkUp(ts=0, venue=self.venue, channel="user"),
            LinkUp(ts=0, venue=self.venue, channel="orders"),
            FeesLoaded(ts=0, venue=self.venue, fees=fees),
        ]
        self._feeder.feed(self.source, _encode(events))

    def refusal(self, command: Command) -> str:
        """A pretended venue takes every order; market data are asked for where they come from."""
        return self._market.refusal(command) if isinstance(command, RequestSnapshot) else ""

    def perform(self, command: Command, ts: int, send: bool = True) -> tuple[bytes, str]:
        """See `Session.perform`. The bytes are the command itself, for the digest."""
        if isinstance(command, RequestSnapshot):
            return self._market.perform(command, ts, send)
        if send and not isinstance(command, ArmDeadMan):
            self.paper.send(command, ts)
        return _encode(command), ""

    def spent(self, ts: int) -> Mapping[str, tuple[int, int]]:
        """Of the venue whose market data it reads."""
        return self._market.spent(ts)

    def next_due(self) -> int:
        """When the pretended venue will say something by itself, ns; 0: nothing is under way."""
        return self.paper.next_due()

    @property
    def idle(self) -> bool:
        """See `PaperVenue.idle`."""
        return self.paper.idle

    def due(self, ts: int) -> bytes:
        """What it has said up to `ts`, as one input of `source`; b"" for nothing. Call before each input, until b""."""
        events = self.paper.due(ts)
        return _encode(events) if events else b""
