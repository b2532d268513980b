"""The way to a proof that nothing is open at a venue: count, cancel, look, look again, round and round until it is so.

One `VenueKill` a venue. It is told what the venue answered and what time it is, and says what to ask next; the daemon's
engine and the guard drive the same machine. A proof is two looks in a row that show nothing of ours, the second asked
later than the last moment at which an order that had already left could still appear (`last_arrival`). An answer that
did not come proves nothing. Looks count only when they were asked after the last cancel.

    phase       what it waits for          open                 nothing open            no answer
    COUNTING    the list before any cancel CANCELLING           CANCELLING (*)          CANCELLING
    CANCELLING  its pause                  -                    -                       -
    LOOKING     the list after the cancel  CANCELLING           CONFIRMING              asks again
    CONFIRMING  the list after the bound   CANCELLING           PROVEN, if late enough  asks again
    PROVEN      nothing

(*) An account that others use too has nothing to cancel then: CONFIRMING. The daemon, which hears of every cancelled
order by its streams, begins with CANCELLING; the guard hears of none, and counts first. While the venue throttles us
hardly a cancel goes (`THROTTLED_REQUESTS`), and nothing at all under a ban. No clock: `ts` is our time in nanoseconds.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Final

from tradeserver.core.commands import CancelAll, CancelOrder, Command, QueryOpenOrders
from tradeserver.core.events import Ending, OpenOrder, OpenOrdersListed, OrderClosed, QueryFailed, RateLimited
from tradeserver.core.records import VenueProof

MS: Final = 1_000_000
COUNT_NS: Final = 500 * MS
"""The first list may take so long; then cancels go without it."""
SETTLE_NS: Final = 200 * MS
"""Between a cancel and the look at what it did: KuCoin only says that it has heard."""
GAP_NS: Final = 250 * MS
"""Between the answer to an empty look and the question of the next."""
ANSWER_NS: Final = 4_000 * MS
"""A look without an answer for so long is asked again."""
PAUSES_NS: Final = tuple(ms * MS for ms in (0, 200, 500, 1_000, 2_000, 5_000))
"""Before the next cancel or look, after so many in a row that changed nothing."""
BURST: Final = 2
BURST_NS: Final = 50 * MS
"""So many cancels at a time, and so long between two times: a 429 must find few others on their way."""
THROTTLED_REQUESTS: Final = 1
"""Cancels that may still be asked between a 429 and the end of its time. With the rest of a burst, and the same from
the daemon or the guard beside us, that stays below what earns a ban."""
ORDERS_NAMED: Final = 20
"""Ids of open orders that a proof names."""

_NOT_IN_THE_WAY: Final = frozenset({"orders", "orders_10s", "orders_1d", "public", "management"})
"""Throttles of other things than cancels and lists of orders."""
_SILENCE: Final = frozenset({"address"})
"""Blocked in front of the venue: as good as a ban."""


class Phase(enum.Enum):
    """Where the way to a proof stands."""

    COUNTING = "counting"
    CANCELLING = "cancelling"
    LOOKING = "looking"
    CONFIRMING = "confirming"
    PROVEN = "proven"


class Seen(enum.Enum):
    """What a look came to."""

    OPEN = "open"
    EMPTY = "empty"
    NOTHING = "no answer"


_AFTER: Final[dict[tuple[Phase, Seen], Phase]] = {
    (Phase.COUNTING, Seen.OPEN): Phase.CANCELLING,
    (Phase.COUNTING, Seen.EMPTY): Phase.CANCELLING,
    (Phase.COUNTING, Seen.NOTHING): Phase.CANCELLING,
    (Phase.LOOKING, Seen.OPEN): Phase.CANCELLING,
    (Phase.LOOKING, Seen.EMPTY): Phase.CONFIRMING,
    (Phase.LOOKING, Seen.NOTHING): Phase.LOOKING,
    (Phase.CONFIRMING, Seen.OPEN): Phase.CANCELLING,
    (Phase.CONFIRMING, Seen.EMPTY): Phase.PROVEN,
    (Phase.CONFIRMING, Seen.NOTHING): Phase.CONFIRMING,
    (Phase.PROVEN, Seen.OPEN): Phase.CANCELLING,  # a list that others asked for, while another venue's proof is awaited
}


class Throttle:
    """What one venue allows at the moment, as far as its answers told. Outlives a kill: 429s before it count."""

    def __init__(self) -> None:
        self.until = 0
        self.silent_until = 0
        self._left = THROTTLED_REQUESTS

    def on_limited(self, event: RateLimited) -> None:
        if event.scope in _NOT_IN_THE_WAY and not event.banned:
            return
        if event.ts >= self.until:
            self._left = THROTTLED_REQUESTS
        self.until = max(self.until, event.until)
        if event.banned or event.scope in _SILENCE:
            self.silent_until = max(self.silent_until, event.until)

    def grant(self, wanted: int, ts: int) -> int:
        """How many of `wanted` safety requests may go now."""
        if ts < self.silent_until:
            return 0
        if ts >= self.until:
            return wanted
        granted = min(wanted, self._left)
        self._left -= granted
        return granted


class VenueKill:
    """One venue's way. `ours` tells our orders by client id; None: the account is ours alone, everything goes.

    `at_once`: cancel without a count before. Not for an account that others use: one by one needs a list.
    """

    def __init__(
        self,
        venue: str,
        symbols: Sequence[str],
        ts: int,
        throttle: Throttle,
        ours: Callable[[str], bool] | None = None,
        *,
        at_once: bool = False,
    ) -> None:
        self.venue = venue
        self._at_once = at_once and ours is None
        self.phase = Phase.CANCELLING if self._at_once else Phase.COUNTING
        self.looks = 0  # answered ones
        self._symbols = tuple(symbols)
        self._throttle = throttle
        self._ours = ours
        self._began = ts
        self._due = ts  # nothing is done before
        self._asked = 0  # the look that we wait for
        self._first_asked = 0  # of the first empty look in a row
        self._valid_from = ts  # looks asked before prove nothing
        self._seen: OpenOrdersListed | None = None  # an answer that `advance` has not judged yet
        self._failed = False
        self._queue: list[Command] = []  # cancels of this round that are still to go
        self._stuck = 0  # rounds in a row that changed nothing
        self._open: dict[str, OpenOrder] = {}  # as last listed
        self._found: dict[str, Ending | None] = {}  # by the venue's id, with its end where that is known
        self._note = ""

    @property
    def proven(self) -> bool:
        """Two looks, the second late enough, showed nothing."""
        return self.phase is Phase.PROVEN

    def proof(self) -> VenueProof:
        """How far it is."""
        gone = [key for key in self._found if key not in self._open]
        cancelled = sum(1 for key in gone if self._found[key] in (None, Ending.CANCELED))
        return VenueProof(
            venue=self.venue,
            phase=self.phase.value,
            proven=self.proven,
            found=len(self._found),
            cancelled=cancelled,
            gone=len(gone),
            left=tuple(order.client_id or key for key, order in list(self._open.items())[:ORDERS_NAMED]),
            looks=self.looks,
            note="" if self.proven else self._note,
        )

    def conclude(self) -> None:
        """Somebody else has proven it: what was open is gone."""
        self._open = {}
        self.phase = Phase.PROVEN

    # ---- what happened ---------------------------------------------------------------------------------------------

    def on_listed(self, event: OpenOrdersListed) -> None:
        """A list, whoever asked for it. One that is older than the last cancel is no look; it only helps to count."""
        if event.asked_ts >= self._valid_from and self.phase is not Phase.CANCELLING:
            self._seen = event
        elif event.asked_ts >= self._began:
            self._note_found(self._covered(event))

    def on_failed(self, event: QueryFailed) -> None:
        """We could not ask, or the answer was none."""
        self._note = f"{event.query}: {event.reason}"
        if event.query == "QueryOpenOrders" and self._asked:
            self._failed = True

    def on_closed(self, event: OrderClosed) -> None:
        """How an order ended. One that is cancelled now was open, whether a list showed it or not."""
        if event.venue_order_id in self._found or (self._at_once and event.ending is Ending.CANCELED):
            self._found[event.venue_order_id] = event.ending

    def _note_found(self, orders: dict[str, OpenOrder]) -> None:
        for key in orders:
            self._found.setdefault(key, None)

    # ---- what next -------------------------------------------------------------------------------------------------

    def advance(self, ts: int, last_arrival: int) -> list[Command]:
        """What is to be asked now. `last_arrival`: no order that has left can appear later than this."""
        if self._seen is not None:
            self._judge(self._seen, ts, last_arrival)
            self._seen = None
        elif self._failed or (self._asked and ts >= self._asked + self._patience()):
            self._unanswered(ts)
        if self.proven or self._asked or ts < self._due:
            return []
        if self.phase is Phase.CANCELLING:
            return self._cancel(ts)
        if self.phase is Phase.CONFIRMING and ts < last_arrival:
            return []
        return self._look(ts)

    def next_deadline(self, last_arrival: int) -> int:
        """When `advance` would do something by itself; 0: never."""
        if self.proven:
            return 0
        if self._asked:
            return self._asked + self._patience()
        due = max(self._due, last_arrival) if self.phase is Phase.CONFIRMING else self._due
        return max(due, self._throttle.silent_until)

    def _patience(self) -> int:
        return COUNT_NS if self.phase is Phase.COUNTING and self._ours is None else ANSWER_NS

    def _judge(self, event: OpenOrdersListed, ts: int, last_arrival: int) -> None:
        """One look."""
        before = len(self._open)
        self.looks += 1
        self._asked = 0
        self._failed = False
        self._open = self._covered(event)
        self._note_found(self._open)
        if self._open:
            progress = self.phase in (Phase.COUNTING, Phase.PROVEN) or len(self._open) < before
            self._stuck = 0 if progress else self._stuck + 1
            self._note = f"{len(self._open)} orders are open"
            self._enter(Seen.OPEN, ts + self._pause())
            return
        self._stuck = 0
        if self.phase is Phase.PROVEN:
            return
        if self.phase is Phase.CONFIRMING:
            if event.asked_ts >= max(self._first_asked + GAP_NS, last_arrival):
                self._enter(Seen.EMPTY, ts)
            return  # a look that somebody else asked for, too early to be the second
        self._first_asked = event.asked_ts
        self._note = "waits until no order can appear any more"
        shared = self._ours is not None
        self._enter(Seen.EMPTY, ts if self.phase is Phase.COUNTING and not shared else ts + GAP_NS)
        if shared:
            self.phase = Phase.CONFIRMING  # there is nothing to cancel

    def _unanswered(self, ts: int) -> None:
        self._asked = 0
        self._failed = False
        self._stuck += 1
        if self.phase is Phase.COUNTING and self._ours is not None:
            self._due = ts + self._pause()  # one by one needs a list
        else:
            self._enter(Seen.NOTHING, ts if self.phase is Phase.COUNTING else ts + self._pause())

    def _enter(self, seen: Seen, due: int) -> None:
        self.phase = _AFTER[self.phase, seen]
        self._due = due
        self._queue = []

    def _pause(self) -> int:
        return PAUSES_NS[min(self._stuck, len(PAUSES_NS) - 1)]

    def _covered(self, event: OpenOrdersListed) -> dict[str, OpenOrder]:
        return {
            order.venue_order_id: order
            for order in event.orders
            if order.symbol in self._symbols and (self._ours is None or self._ours(order.client_id))
        }

    # ---- commands --------------------------------------------------------------------------------------------------

    def _look(self, ts: int) -> list[Command]:
        if ts < self._throttle.until:  # what may still go is for cancels
            self._note = "the venue throttles us"
            self._due = self._throttle.until
            return []
        self._asked = ts
        return [QueryOpenOrders(venue=self.venue)]

    def _cancel(self, ts: int) -> list[Command]:
        """A burst of what is to be cancelled; the look follows the last."""
        if not self._queue:
            self._queue = self._cancels()
        granted = self._throttle.grant(min(BURST, len(self._queue)), ts)
        throttled = ts < self._throttle.until
        if throttled:
            self._note = "the venue throttles us"
        if not granted:
            self._due = max(self._throttle.until, ts + SETTLE_NS)
            return []
        said, self._queue = self._queue[:granted], self._queue[granted:]
        self._valid_from = ts + 1  # a list that was asked in this very moment may be older than the cancel
        self._due = ts + BURST_NS
        if throttled or not self._queue:
            self._queue = []
            self.phase = Phase.LOOKING
            self._due = ts + SETTLE_NS
        return said

    def _cancels(self) -> list[Command]:
        """The venue's cancel-all by symbol, those with open orders first; or order by order."""
        if self._ours is None:
            busy = {order.symbol: None for order in self._open.values()}
            symbols = [*busy, *(symbol for symbol in self._symbols if symbol not in busy)]
            return [CancelAll(venue=self.venue, symbol=symbol) for symbol in symbols]
        return [
            CancelOrder(venue=self.venue, symbol=o.symbol, client_id=o.client_id, venue_order_id=o.venue_order_id)
            for o in self._open.values()
        ]
