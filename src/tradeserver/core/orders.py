"""The life of an order: a literal table of states, and the store of every order that may still matter.

An order is changed by records only (`apply_*`), live and in recovery alike. Fills only add: a fill of a finished order
counts, and re-opens exposure. An order is settled when the venue says that it is over *and* our fills sum to the
venue's executed quantity; until then it is CLOSING and its fills are asked for. UNKNOWN means that it may be live or
may never have been; only evidence ends it. Events older than the order's state are ignored and counted.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.core.events import Ending
from tradeserver.core.records import (
    CommissionCorrected,
    FillBooked,
    OrderChanged,
    OrderImage,
    OrderState,
    OrderSubmitted,
)
from tradeserver.core.types import ZERO, Side, Word

FillKey = tuple[str, str, str]
"""(venue, symbol, trade id)."""

NOT_SENT: Final = "NOT_SENT"
"""The code of an order of which no byte left."""

FILL_KEYS_KEPT: Final = 4_000
"""They are written into every checkpoint. A fill that comes again is younger than this many others."""


class Stimulus(Word):
    """What can happen to an order, fills apart."""

    ACCEPT = "accept"
    REFUSE = "refuse"  # proven not accepted, or no byte of it was sent
    DOUBT = "doubt"  # time-out, lost link, an answer that says nothing
    CANCEL = "cancel"  # we asked for a cancel
    RESUME = "resume"  # the venue shows it open
    CLOSE = "close"  # the venue says that it is over
    ABSENT = "absent"  # evidence that it never was


S = OrderState
LIVE: Final = frozenset({S.SENT, S.ACCEPTED, S.CANCEL_PENDING, S.UNKNOWN, S.CLOSING})
"""States in which more may fill, or fills may be missing: the order widens exposure and keeps its reservation."""

_BUY: Final = Side.BUY  # an Enum's member is found ten times as slowly by its class
_CLOSING: Final = S.CLOSING

TRANSITIONS: Final[dict[tuple[OrderState, Stimulus], OrderState]] = {
    (S.SENT, Stimulus.ACCEPT): S.ACCEPTED,
    (S.SENT, Stimulus.REFUSE): S.REFUSED,
    (S.SENT, Stimulus.DOUBT): S.UNKNOWN,
    (S.SENT, Stimulus.CANCEL): S.CANCEL_PENDING,
    (S.SENT, Stimulus.RESUME): S.ACCEPTED,
    (S.SENT, Stimulus.CLOSE): S.CLOSING,
    (S.ACCEPTED, Stimulus.DOUBT): S.UNKNOWN,
    (S.ACCEPTED, Stimulus.CANCEL): S.CANCEL_PENDING,
    (S.ACCEPTED, Stimulus.CLOSE): S.CLOSING,
    (S.CANCEL_PENDING, Stimulus.REFUSE): S.REFUSED,
    (S.CANCEL_PENDING, Stimulus.DOUBT): S.UNKNOWN,
    (S.CANCEL_PENDING, Stimulus.CLOSE): S.CLOSING,
    (S.UNKNOWN, Stimulus.ACCEPT): S.ACCEPTED,
    (S.UNKNOWN, Stimulus.RESUME): S.ACCEPTED,
    (S.UNKNOWN, Stimulus.REFUSE): S.REFUSED,
    (S.UNKNOWN, Stimulus.CANCEL): S.CANCEL_PENDING,
    (S.UNKNOWN, Stimulus.CLOSE): S.CLOSING,
    (S.UNKNOWN, Stimulus.ABSENT): S.REFUSED,
    # A refused order that the venue shows after all: the refusal was no proof. Ask again.
    (S.REFUSED, Stimulus.ACCEPT): S.UNKNOWN,
    (S.REFUSED, Stimulus.RESUME): S.UNKNOWN,
    (S.REFUSED, Stimulus.CLOSE): S.CLOSING,
}

ENDED: Final = {
    Ending.FILLED: S.FILLED,
    Ending.CANCELED: S.CANCELED,
    Ending.EXPIRED: S.EXPIRED,
    Ending.REJECTED: S.REFUSED,
}


class Order(msgspec.Struct, eq=False):
    """One order of ours. What recovery must know is changed by records; the timers below are the run's own."""

    submitted: OrderSubmitted
    state: OrderState = S.SENT
    venue_order_id: str = ""
    executed: Decimal = ZERO  # the venue's cumulative figure, once it is over
    filled: Decimal = ZERO  # the sum of our fills
    net: Decimal = ZERO  # base received (negative: given), commission in base taken off
    fills: list[FillBooked] = []  # msgspec makes a new one for each
    ending: Ending | None = None
    held: Decimal = ZERO  # what the ledger sets aside for it
    next_query: int = 0  # when to ask next; 0 = no need
    queries: int = 0
    absences: int = 0  # "no such order" answers to queries sent late enough to be evidence
    fills_absent: bool = False  # a fills query sent late enough was answered without a trace
    sent_ts: int = 0
    accepted_ts: int = 0
    first_fill_ts: int = 0
    stages_ns: dict[str, int] = {}
    busy: bool = False  # counted in `Orders.busy`
    unsent: bool = False  # refused before a byte left

    @property
    def client_id(self) -> str:
        return self.submitted.client_id

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def open_quantity(self) -> Decimal:
        """What may still fill. A closing order may still lack fills that the venue has executed."""
        if self.state not in LIVE:
            return ZERO
        may_fill = (self.executed if self.state is _CLOSING else self.submitted.quantity) - self.filled
        return may_fill if may_fill > ZERO else ZERO

    @property
    def sign(self) -> int:
        return 1 if self.submitted.side is _BUY else -1

    def add(self, fill: FillBooked) -> None:
        """One fill more."""
        self.fills.append(fill)
        self.filled += fill.quantity
        self.count_net()

    def count_net(self) -> None:
        """`net` anew, from all fills."""
        base = self.submitted.symbol.partition("/")[0]
        fees = sum((f.commission for f in self.fills if f.commission_asset == base), ZERO)
        self.net = self.sign * self.filled - fees

    @property
    def commission_owed(self) -> bool:
        return any(fill.commission_expected for fill in self.fills)

    def image(self) -> OrderImage:
        return OrderImage(self.submitted, self.state, self.executed, self.venue_order_id, tuple(self.fills))


class Orders:
    """Every live order, the finished ones until they are forgotten, and the keys of the fills that were booked."""

    __slots__ = ("_fill_keys", "_fill_order", "busy", "by_id", "by_venue_id", "ignored", "live", "owed")

    def __init__(self) -> None:
        self.by_id: dict[str, Order] = {}
        self.by_venue_id: dict[tuple[str, str], str] = {}
        self.live: dict[str, Order] = {}
        self.owed: dict[str, Order] = {}  # with commissions that we computed: the venue owes us its own figures
        self.busy: dict[str, int] = {}  # venue -> how many of its orders are live or owed: may move its balances yet
        self.ignored = 0  # events older than the order's state
        self._fill_keys: dict[FillKey, None] = {}
        self._fill_order: deque[FillKey] = deque()

    # ---- changed by records ----------------------------------------------------------------------------------------

    def apply_submitted(self, record: OrderSubmitted) -> Order:
        order = Order(record)
        self.by_id[record.client_id] = order
        self.live[record.client_id] = order
        self._count(order)
        return order

    def _count(self, order: Order) -> None:
        """After every change of what is live or owed."""
        busy = order.client_id in self.live or order.client_id in self.owed
        if busy is not order.busy:
            order.busy = busy
            venue = order.submitted.venue
            self.busy[venue] = self.busy.get(venue, 0) + (1 if busy else -1)

    def apply_changed(self, record: OrderChanged) -> None:
        order = self.by_id.get(record.client_id)
        if order is None:
            return
        order.state = record.state
        order.unsent = record.code == NOT_SENT
        order.executed = record.executed
        if record.venue_order_id and not order.venue_order_id:
            order.venue_order_id = record.venue_order_id
            self.by_venue_id[record.venue, record.venue_order_id] = record.client_id
        if record.state in LIVE:
            self.live[record.client_id] = order
        else:
            self.live.pop(record.client_id, None)
        self._count(order)

    def apply_fill(self, record: FillBooked) -> None:
        key = (record.venue, record.symbol, record.trade_id)
        self._fill_keys[key] = None
        self._fill_order.append(key)
        if len(self._fill_order) > FILL_KEYS_KEPT:
            self._fill_keys.pop(self._fill_order.popleft(), None)
        order = self.by_id.get(record.client_id)
        if order is not None:
            order.add(record)
            if record.commission_expected:
                self.owed[order.client_id] = order
                self._count(order)

    def apply_commission(self, order: Order, index: int, record: CommissionCorrected) -> None:
        """The venue's own commission for the order's fill at `index`."""
        order.fills[index] = msgspec.structs.replace(
            order.fills[index],
            commission=record.commission,
            commission_asset=record.commission_asset,
            commission_expected=False,
        )
        order.count_net()
        if not order.commission_owed:
            self.owed.pop(order.client_id, None)
            self._count(order)

    def forget(self, order: Order) -> None:
        """A finished order of an arbitrage that nobody remembers any more."""
        self.by_id.pop(order.client_id, None)
        self.owed.pop(order.client_id, None)
        self._count(order)
        self.by_venue_id.pop((order.submitted.venue, order.venue_order_id), None)

    def load(self, image: OrderImage) -> Order:
        """An order out of a checkpoint; its fill keys come with the checkpoint's own list."""
        order = self.apply_submitted(image.submitted)
        order.state = image.state
        order.executed = image.executed
        order.fills = list(image.fills)
        order.filled = sum((f.quantity for f in image.fills), ZERO)
        order.count_net()
        if image.venue_order_id:
            order.venue_order_id = image.venue_order_id
            self.by_venue_id[image.submitted.venue, image.venue_order_id] = order.client_id
        if not order.live:
            del self.live[order.client_id]
        if order.commission_owed:
            self.owed[order.client_id] = order
        self._count(order)
        return order

    def load_fill_keys(self, keys: tuple[FillKey, ...]) -> None:
        self._fill_keys = dict.fromkeys(keys)
        self._fill_order = deque(keys)

    # ---- asked -----------------------------------------------------------------------------------------------------

    def seen(self, key: FillKey) -> bool:
        """Whether this fill is booked already."""
        return key in self._fill_keys

    def fill_keys(self) -> tuple[FillKey, ...]:
        return tuple(self._fill_order)

    def next_state(self, order: Order, stimulus: Stimulus) -> OrderState | None:
        """The state that the table gives; None where the event says nothing new."""
        state = TRANSITIONS.get((order.state, stimulus))
        if state is None:
            self.ignored += 1
        return state
