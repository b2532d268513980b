"""What must be known before Binance can be talked to: trading rules, clock offset, commission. And keeping it fresh.

It asks for all three at the start and again on a schedule; failures are retried with a bounded pause, counted in ticks'
time. It tells by `rules_known`, `clock.known` how far it is; the codec opens channels by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.core.events import Event, FeesLoaded, InstrumentsLoaded, SymbolStatus
from tradeserver.core.types import Fees, Instrument
from tradeserver.venues.base import Outgoing
from tradeserver.venues.binance import rules
from tradeserver.venues.binance.reports import stamp_ns
from tradeserver.venues.binance.rest import Failure, Rest
from tradeserver.venues.binance.rules import VENUE
from tradeserver.venues.binance.settings import BinanceSettings
from tradeserver.venues.budget import RateBudget
from tradeserver.venues.clock import ClockSampler
from tradeserver.wire.binance import Commission, ExchangeInfo, ServerTime

_SECOND: Final = 1_000_000_000
_MOST_WEIGHT: Final = 20  # of the requests made here
_HURRY_NS: Final = 10 * _SECOND
_CLOCK_HURRY_NS: Final = _SECOND
_HALTED_S: Final = 30  # between two readings of the rules while one of our symbols may not be traded
_PAUSES_NS: Final = tuple(s * _SECOND for s in (1, 2, 5, 10, 30))

_TIME: Final = msgspec.json.Decoder(ServerTime)
_INFO: Final = msgspec.json.Decoder(ExchangeInfo[Decimal])
_COMMISSION: Final = msgspec.json.Decoder(Commission[Decimal])


class _Task(msgspec.Struct):
    """One thing to fetch: when it is due, whether it is on its way, how often it failed in a row."""

    due: int = 0
    busy: bool = False
    failures: int = 0
    last: int = 0  # when it was last done

    def done(self, ts: int, pause_s: int) -> None:
        self.due, self.busy, self.failures, self.last = ts + pause_s * _SECOND, False, 0, ts

    def hurry(self, pause_ns: int = _HURRY_NS) -> None:
        """Wanted sooner than planned, but not sooner after the last time than this."""
        if self.failures == 0:
            self.due = min(self.due, self.last + pause_ns)

    def failed(self, ts: int) -> None:
        self.due, self.busy = ts + _PAUSES_NS[min(self.failures, len(_PAUSES_NS) - 1)], False
        self.failures += 1


class Setup:
    """Rules, clock and commission of one account."""

    def __init__(
        self,
        settings: BinanceSettings,
        symbols: Sequence[str],
        rest: Rest,
        budget: RateBudget,
        clock: ClockSampler,
        outgoing: list[Outgoing],
        with_fees: bool,
    ) -> None:
        self.clock = clock
        self.instruments: dict[str, Instrument] = {}  # by our symbol
        self.rules_known = False
        self._settings = settings
        self._symbols = tuple(symbols)
        self._rest = rest
        self._budget = budget
        self._outgoing = outgoing
        self._rules = _Task()
        self._time = _Task()
        self._heard = False  # whether the venue has answered anything yet
        self._with_fees = with_fees
        self._fee_tasks: dict[str, _Task] = {}
        self._fees: dict[str, Fees] = {}
        self._ask_for_all = False  # the venue does not know one of our symbols: ask without naming them

    def tick(self, ts: int) -> None:
        """Ask for what is due, unless the venue throttles us: another request now would only prolong that.

        The first question of a run, for the rules, goes alone. An earlier run may have been told to be silent, and a
        second question beside the one that hears of it could be the one too many.
        """
        if self._budget.refusal("weight", _MOST_WEIGHT, ts, safety=True):
            return
        if ts >= self._rules.due and not self._rules.busy:
            self._ask_rules(ts)
        if self._heard and ts >= self._time.due and not self._time.busy:
            self.clock.restart()
            self._ask_time(ts)
        if self._with_fees and self.clock.known:
            for symbol, task in self._fee_tasks.items():
                if ts >= task.due and not task.busy:
                    self._ask_fees(symbol, task, ts)

    def refresh_rules(self) -> None:
        """Something was refused that our rules should have caught: ask again soon."""
        self._rules.hurry()

    def sync_clock(self) -> None:
        """The venue found our stamp too old or too new: measure again at once."""
        self.clock.doubted = True
        self._time.hurry(_CLOCK_HURRY_NS)

    def check_clock(self) -> None:
        """Market data look as if a clock had jumped: measure again soon."""
        self._time.hurry()

    # ---- rules ----

    def _ask_rules(self, ts: int) -> None:
        self._rules.busy = True
        natives = ",".join(f'"{rules.native_of(symbol)}"' for symbol in self._symbols)
        params = [] if self._ask_for_all else [("symbols", f"[{natives}]")]
        self._outgoing.append(
            self._rest.request(
                "GET",
                "/api/v3/exchangeInfo",
                params,
                ts,
                weight=20,
                answered=self._rules_answered,
                failed=self._rules_failed,
            )
        )

    def _rules_answered(self, body: bytes, ts: int) -> Sequence[Event]:
        """`{"timezone":"UTC","serverTime":1700000000000,"rateLimits":[...],"exchangeFilters":[],"symbols":[...]}`."""
        info = _INFO.decode(body)
        rules.feed_limits(self._budget, info.rate_limits, ts)
        known, unknown = rules.instruments(info, self._symbols)
        events: list[Event] = [InstrumentsLoaded(ts=ts, venue=VENUE, instruments=known, unknown=unknown)]
        status = {each.symbol: each.status for each in info.symbols}
        for each in known:
            before = self.instruments.get(each.symbol)
            if (before is not None and before.tradable != each.tradable) or (before is None and not each.tradable):
                events.append(
                    SymbolStatus(
                        ts=ts, venue=VENUE, symbol=each.symbol, tradable=each.tradable, reason=status[each.native]
                    )
                )
        self.instruments = {each.symbol: each for each in known}
        self._fee_tasks = {each.symbol: self._fee_tasks.get(each.symbol, _Task()) for each in known}
        self.rules_known = True
        halted = any(not each.tradable for each in known)
        self._rules.done(ts, _HALTED_S if halted else self._settings.rules_refresh_s)
        self._first_answer(ts)
        return events

    def _rules_failed(self, failure: Failure, ts: int) -> Sequence[Event]:
        if failure.code == "-1121" and not self._ask_for_all:
            self._ask_for_all = True
            self._ask_rules(ts)
        else:
            self._rules.failed(ts)
            self._first_answer(ts)
        return ()

    def _first_answer(self, ts: int) -> None:
        """Go on with the rest; where the answer was a throttle, `tick` knows."""
        if not self._heard:
            self._heard = True
            self.tick(ts)

    # ---- clock ----

    def _ask_time(self, ts: int) -> None:
        """One sample after another: parallel ones would measure the queue in front of each other."""
        self._time.busy = True

        def answered(body: bytes, answered_ts: int) -> Sequence[Event]:
            """`{"serverTime":1700000000000}`."""
            server = _TIME.decode(body).server_time
            # a millisecond stamp was cut off: on average half a millisecond is missing
            half = 500_000 if server < 10**14 else 0
            offset = self.clock.sample(ts, stamp_ns(server) + half, answered_ts)
            if offset is None:
                self._ask_time(answered_ts)
                return ()
            self._budget.offset_ns = offset.offset_ns
            self._time.done(answered_ts, self._settings.clock_refresh_s)
            return (offset,)

        def failed(failure: Failure, failed_ts: int) -> Sequence[Event]:
            self._time.failed(failed_ts)
            return ()

        self._outgoing.append(
            self._rest.request("GET", "/api/v3/time", [], ts, weight=1, answered=answered, failed=failed)
        )

    # ---- commission ----

    def _ask_fees(self, symbol: str, task: _Task, ts: int) -> None:
        task.busy = True

        def answered(body: bytes, answered_ts: int) -> Sequence[Event]:
            """See `rules.fees` for the payload. One event for the whole round."""
            self._fees[symbol] = rules.fees(_COMMISSION.decode(body))
            task.done(answered_ts, self._settings.rules_refresh_s)
            if any(other.busy or other.failures for other in self._fee_tasks.values()):
                return ()
            return (FeesLoaded(ts=answered_ts, venue=VENUE, fees=dict(self._fees)),)

        def failed(failure: Failure, failed_ts: int) -> Sequence[Event]:
            task.failed(failed_ts)
            return ()

        self._outgoing.append(
            self._rest.request(
                "GET",
                "/api/v3/account/commission",
                [("symbol", rules.native_of(symbol))],
                ts,
                weight=20,
                answered=answered,
                failed=failed,
                signed=True,
            )
        )
