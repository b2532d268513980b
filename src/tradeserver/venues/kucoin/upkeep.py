"""What the codec asks by itself: trading rules, the venue's clock, fees, the service's status, and when channels open.

Each is a chore: asked at the start, again after its interval, and after a failure with growing pauses. Channels are
asked for when the rules and the clock are known, since names come from the rules and signatures need the clock.

The list of all symbols is read once, at the start; later only our symbols are read, one by one, because the whole list
is more than half a megabyte and would hold up the loop. A refused stamp (400002) makes the clock due; an order refused
for its price, its size or its symbol makes that symbol's rules due.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from tradeserver.core.events import Event, FeesLoaded, InstrumentsLoaded
from tradeserver.core.types import Fees
from tradeserver.venues.base import OpenChannel
from tradeserver.venues.errors import UNREADABLE
from tradeserver.venues.kucoin import rest as kucoin
from tradeserver.venues.kucoin.link import MS
from tradeserver.venues.kucoin.rest import VENUE, Failure, Rest
from tradeserver.venues.kucoin.rules import FEES_PER_CALL, Names, fees_of, find_rows, instrument_of
from tradeserver.wire import kucoin as wire

SECOND: Final = 1_000_000_000
PAUSES_NS: Final = tuple(seconds * SECOND for seconds in (1, 2, 4, 8, 15, 30))
STATUS_NS: Final = 60 * SECOND
FEES_NS: Final = 3_600 * SECOND
DOUBT_NS: Final = 5 * SECOND
"""Doubts make a chore due no sooner than this after the last time."""
CLOCK_DOUBT_NS: Final = SECOND
CLOCK_CHECK_NS: Final = 10 * SECOND

_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ROW: Final = msgspec.json.Decoder(wire.SymbolRow[str])
_TIME: Final = msgspec.json.Decoder(int)
_STATUS: Final = msgspec.json.Decoder(wire.ServiceStatus)
_RATES: Final = msgspec.json.Decoder(list[wire.FeeRate[Decimal]])


class Chore:
    """When something is to be asked again."""

    def __init__(self, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._next = 0  # 0: at once
        self._last = 0
        self._waiting = False
        self._failures = 0

    def due(self, ts: int) -> bool:
        """Whether to ask now."""
        return not self._waiting and ts >= self._next

    def asked(self) -> None:
        """The question is on its way; `done` or `failed` follows."""
        self._waiting = True

    def done(self, ts: int) -> None:
        """Answered: rest for an interval."""
        self._waiting, self._failures, self._last = False, 0, ts
        self._next = ts + self._interval_ns

    def failed(self, ts: int) -> None:
        """Not answered: pause, then ask again."""
        self._waiting, self._last = False, ts
        self._next = ts + PAUSES_NS[min(self._failures, len(PAUSES_NS) - 1)]
        self._failures += 1

    def doubt(self, ts: int, pause_ns: int = DOUBT_NS) -> None:
        """Somebody does not believe the last answer."""
        self._next = min(self._next, max(ts, self._last + pause_ns))


class Upkeep:
    """See the module's text. `channels` are asked for once."""

    def __init__(self, rest: Rest, names: Names, channels: Sequence[str]) -> None:
        self.rows: dict[str, wire.SymbolRow[str]] = {}  # by our symbol
        self._rest = rest
        self._names = names
        self._channels = list(channels)
        self._service_open = True
        self._fees: dict[str, Fees] = {}
        settings = rest.settings
        self._clock = Chore(settings.clock_refresh_s * SECOND)
        self._rules = Chore(settings.rules_refresh_s * SECOND)
        self._status = Chore(STATUS_NS)
        self._charges = Chore(FEES_NS)

    def tick(self, ts: int) -> None:
        """Ask what is due."""
        if self._rest.clock_doubted:
            self._rest.clock_doubted = False
            self._clock.doubt(ts, CLOCK_DOUBT_NS)
        if self._rest.rules_doubted:
            self._rules.doubt(ts)
        if self._clock.due(ts) and not self._rest.refusal(kucoin.TIMESTAMP, ts):
            self._clock.asked()
            self._rest.clock.restart()
            self._ask_time(ts)
        if self._rules.due(ts) and not self._rest.refusal(kucoin.SYMBOLS, ts):
            self._rules.asked()
            self._ask_rules(ts)
        if self.rows and self._status.due(ts) and not self._rest.refusal(kucoin.STATUS, ts):
            self._status.asked()
            self._rest.send(kucoin.STATUS, ts, _STATUS, self._status_answered, partial(self._give_up, self._status))
        if self.rows and self._rest.signer is not None and self._charges.due(ts) and self._rest.clock.known:
            self._charges.asked()
            self._ask_fees(list(self.rows), ts)

    def _give_up(self, chore: Chore, failure: Failure) -> Sequence[Event]:
        chore.failed(failure.ts)
        return ()

    # ---- clock ----

    def check_clock(self, ts: int) -> None:
        """Market data look as if a clock had jumped: measure again soon."""
        self._clock.doubt(ts, CLOCK_CHECK_NS)

    def _ask_time(self, ts: int) -> None:
        self._rest.send(kucoin.TIMESTAMP, ts, _TIME, self._time_answered, partial(self._give_up, self._clock))

    def _time_answered(self, server_ms: int, asked: int, ts: int) -> Sequence[Event]:
        """`1742000000123`"""
        offset = self._rest.clock.sample(asked, server_ms * MS, ts)
        if offset is None:
            self._ask_time(ts)
            return ()
        self._rest.budget.offset_ns = offset.offset_ns
        self._clock.done(ts)
        self._open_channels()
        return (offset,)

    def _open_channels(self) -> None:
        if self.rows and self._rest.clock.known:
            self._rest.outgoing += [OpenChannel(channel) for channel in self._channels]
            self._channels = []

    # ---- rules and status ----

    def _ask_rules(self, ts: int) -> None:
        failed = partial(self._give_up, self._rules)
        if not self.rows:
            self._rest.send(kucoin.SYMBOLS, ts, _ROWS, self._rules_answered, failed)
            return
        self._rest.rules_doubted.clear()
        self._ask_row(list(self.rows), ts)

    def _rules_answered(self, rows: list[msgspec.Raw], asked: int, ts: int) -> Sequence[Event]:
        """`[{"symbol":"XRP-USDT","baseCurrency":"XRP","quoteCurrency":"USDT","priceIncrement":"0.00001",...},...]`"""
        found = find_rows(_readable(rows), self._names.symbols)
        loaded = self._instruments(found, ts)
        if not found:
            self._rules.failed(ts)
            return (loaded,)
        self.rows = found
        self._rules.done(ts)
        self._names.use(found)
        self._open_channels()
        return (loaded,)

    def _ask_row(self, waiting: list[str], ts: int) -> None:
        symbol = waiting[0]
        done = partial(self._row_answered, waiting)
        self._rest.send(
            kucoin.SYMBOLS,
            ts,
            _ROW,
            done,
            partial(self._give_up, self._rules),
            path=f"/{self._names.native(symbol)}",
        )

    def _row_answered(self, waiting: list[str], row: wire.SymbolRow[str], asked: int, ts: int) -> Sequence[Event]:
        """`{"symbol":"XRP-USDT",...}`: one symbol after the other; the event at the end clears what was doubted."""
        rows = self.rows | {waiting[0]: row}
        loaded = self._instruments(rows, ts)
        self.rows = rows
        if len(waiting) > 1:
            self._ask_row(waiting[1:], ts)
            return ()
        self._rules.done(ts)
        return (loaded,)

    def _instruments(self, rows: dict[str, wire.SymbolRow[str]], ts: int) -> InstrumentsLoaded:
        instruments = [instrument_of(symbol, row) for symbol, row in rows.items()]
        if not self._service_open:
            instruments = [msgspec.structs.replace(each, tradable=False) for each in instruments]
        unknown = tuple(symbol for symbol in self._names.symbols if symbol not in rows)
        return InstrumentsLoaded(ts=ts, venue=VENUE, instruments=tuple(instruments), unknown=unknown)

    def _status_answered(self, status: wire.ServiceStatus, asked: int, ts: int) -> Sequence[Event]:
        """`{"status":"open","msg":""}`; `close` and `cancelonly` make every symbol untradable."""
        self._status.done(ts)
        is_open = status.status == "open"
        if is_open == self._service_open:
            return ()
        self._service_open = is_open
        return (self._instruments(self.rows, ts),)

    # ---- fees ----

    def _ask_fees(self, waiting: list[str], ts: int) -> None:
        """Ten symbols a call."""
        symbols, rest = waiting[:FEES_PER_CALL], waiting[FEES_PER_CALL:]
        natives = ",".join(self._names.native(symbol) for symbol in symbols)
        done, failed = partial(self._fees_answered, rest), partial(self._give_up, self._charges)
        self._rest.send(kucoin.TRADE_FEES, ts, _RATES, done, failed, path=f"?symbols={natives}")

    def _fees_answered(
        self, waiting: list[str], rates: list[wire.FeeRate[Decimal]], asked: int, ts: int
    ) -> Sequence[Event]:
        """`[{"symbol":"XRP-USDT","takerFeeRate":"0.001","makerFeeRate":"0.001"}]`"""
        named = [(self._names.ours(rate.symbol), rate) for rate in rates if isinstance(rate.symbol, str)]
        self._fees |= {symbol: fees_of(rate, self.rows.get(symbol)) for symbol, rate in named}
        if waiting:
            self._ask_fees(waiting, ts)
            return ()
        self._charges.done(ts)
        return (FeesLoaded(ts=ts, venue=VENUE, fees=dict(self._fees)),)


def _readable(rows: list[msgspec.Raw]) -> Iterator[wire.SymbolRow[str]]:
    """One symbol with an odd field must not hide a thousand others."""
    for row in rows:
        try:
            yield _ROW.decode(row)
        except UNREADABLE:
            continue
