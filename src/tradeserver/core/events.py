"""Everything that can happen to us: the only input of `Engine.step`.

Every event carries `ts`, our nanoseconds (the run's clock: wall time anchored once, then monotonic). Events that a
venue stamped also carry `venue_ts`, its nanoseconds, 0 where it sent none. Events are frozen and say what was seen, not
what it means. Prices and quantities of market data are floats, of orders and balances `Decimal`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.core.records import KillReported
from tradeserver.core.types import Fees, Instrument, Level, Side, Word


class Event(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What every event has."""

    ts: int


class VenueEvent(Event, frozen=True, tag=True, kw_only=True):
    """An event of one venue."""

    venue: str


class SymbolEvent(VenueEvent, frozen=True, tag=True, kw_only=True):
    """An event of one symbol at one venue."""

    symbol: str
    venue_ts: int = 0


# ---- market data (hot: acyclic, short-lived, so gc=False) -----------------------------------------------------------


class Trust(Word):
    """Whether a depth book may be traded on. Only SYNCED may."""

    SYNCED = "synced"
    STALE = "stale"  # nothing heard for too long, or the loop stalled
    GAP = "gap"  # a sequence number is missing
    CROSSED = "crossed"  # best bid >= best ask
    SNAPSHOTTING = "snapshotting"  # waiting for a snapshot


class BookSnapshot(SymbolEvent, frozen=True, tag=True, kw_only=True, gc=False):
    """A whole book; the codec has aligned it with its deltas. From here the book is SYNCED. Best levels first."""

    update_id: int
    bids: list[Level]
    asks: list[Level]


class BookDelta(SymbolEvent, frozen=True, tag=True, kw_only=True, gc=False):
    """Absolute quantities of the levels that changed; 0 removes a level. The codec has checked continuity."""

    update_id: int
    bids: list[Level]
    asks: list[Level]


class BookInvalid(SymbolEvent, frozen=True, tag=True, kw_only=True):
    """The book may not be trusted any more, and why."""

    trust: Trust
    reason: str


class BestQuote(SymbolEvent, frozen=True, tag=True, kw_only=True, gc=False):
    """Top of book from a light stream (bookTicker, level1). `venue_ts` is 0 where the frame has no stamp."""

    update_id: int
    bid: float
    bid_quantity: float
    ask: float
    ask_quantity: float


class Trade(SymbolEvent, frozen=True, tag=True, kw_only=True, gc=False):
    """A public trade; `taker` is the aggressor's side."""

    price: float
    quantity: float
    taker: Side
    trade_id: str


class Together(Event, frozen=True, tag=True, kw_only=True):
    """Seen at one moment (the rows of one stamp in a data set): all applied in order, then decided once."""

    events: tuple[BookSnapshot | BookDelta | BestQuote | Trade, ...]


# ---- rules and account ----------------------------------------------------------------------------------------------


class InstrumentsLoaded(VenueEvent, frozen=True, tag=True, kw_only=True):
    """The trading rules of every configured symbol that the venue knows."""

    instruments: tuple[Instrument, ...]
    unknown: tuple[str, ...] = ()  # configured symbols that the venue does not list


class SymbolStatus(SymbolEvent, frozen=True, tag=True, kw_only=True):
    """A symbol may or may not be traded now."""

    tradable: bool
    reason: str


class FeesLoaded(VenueEvent, frozen=True, tag=True, kw_only=True):
    """Commission by symbol, as the account is charged."""

    fees: dict[str, Fees]


class Balance(msgspec.Struct, frozen=True):
    """What a venue says it holds of one asset for us."""

    free: Decimal
    locked: Decimal


class AccountSnapshot(VenueEvent, frozen=True, tag=True, kw_only=True):
    """Every non-zero balance of the account, absolute; `asked_ts` is when we asked."""

    balances: dict[str, Balance]
    asked_ts: int
    venue_ts: int = 0


class BalanceChanged(VenueEvent, frozen=True, tag=True, kw_only=True):
    """One asset's new absolute balance, from the user stream."""

    asset: str
    balance: Balance
    venue_ts: int = 0


# ---- orders ---------------------------------------------------------------------------------------------------------


class OrderEvent(VenueEvent, frozen=True, tag=True, kw_only=True):
    """An event of one order, named by our client id. Orders that are not ours carry theirs."""

    client_id: str
    venue_ts: int = 0


class OrderAccepted(OrderEvent, frozen=True, tag=True, kw_only=True):
    """The venue has it (KuCoin: received; the truth about fills comes by stream or query)."""

    venue_order_id: str


class OrderRejected(OrderEvent, frozen=True, tag=True, kw_only=True):
    """Proven not accepted. `short`: for lack of balance, so the venue holds less than we thought."""

    code: str
    text: str
    short: bool = False


class OrderUncertain(OrderEvent, frozen=True, tag=True, kw_only=True):
    """The venue answered without saying whether it took the order (5xx, time-out codes): it is UNKNOWN."""

    code: str
    text: str


class OrderFilled(OrderEvent, frozen=True, tag=True, kw_only=True):
    """One fill. The key (venue, symbol, trade_id) is unique.

    `commission` is None where the venue does not say (KuCoin's stream).
    """

    symbol: str
    side: Side
    trade_id: str
    venue_order_id: str
    price: Decimal
    quantity: Decimal
    commission: Decimal | None
    commission_asset: str
    maker: bool = False


class Ending(Word):
    """How an order ended at the venue."""

    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class OrderClosed(OrderEvent, frozen=True, tag=True, kw_only=True):
    """Nothing more will fill. `executed` is the venue's cumulative quantity: settled once our fills sum to it."""

    ending: Ending
    executed: Decimal
    venue_order_id: str
    reason: str = ""


class CancelRejected(OrderEvent, frozen=True, tag=True, kw_only=True):
    """The cancel was refused; the order has probably filled: ask."""

    code: str
    text: str


class OrderStatus(OrderEvent, frozen=True, tag=True, kw_only=True):
    """The answer to a `QueryOrder`. `found` False means that the venue says there is no such order.

    `ending` None with `found` means still open. `asked_ts` is when the query was sent.
    """

    symbol: str
    found: bool
    asked_ts: int
    ending: Ending | None = None
    executed: Decimal = Decimal(0)
    venue_order_id: str = ""


class FillsListed(OrderEvent, frozen=True, tag=True, kw_only=True):
    """The answer to a `QueryFills`: every fill that the venue shows.

    `client_id` is empty for a query by symbol and time.
    """

    symbol: str
    asked_ts: int
    fills: tuple[OrderFilled, ...]


class OpenOrder(msgspec.Struct, frozen=True):
    """One order as the venue lists it; `ending` None: it is open."""

    symbol: str
    client_id: str
    venue_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    executed: Decimal
    ending: Ending | None = None


class OpenOrdersListed(VenueEvent, frozen=True, tag=True, kw_only=True):
    """The answer to a `QueryOpenOrders`: everything open on the configured symbols, ours or not."""

    orders: tuple[OpenOrder, ...]
    asked_ts: int


class OrdersListed(VenueEvent, frozen=True, tag=True, kw_only=True):
    """The answer to a `QueryOrders`: every order of that symbol since then, open or over, ours or not."""

    symbol: str
    orders: tuple[OpenOrder, ...]
    asked_ts: int


class QueryFailed(OrderEvent, frozen=True, tag=True, kw_only=True):
    """We could not ask, or the answer was no answer. Says nothing about the order.

    `query` is the command's class name.
    """

    query: str
    symbol: str
    reason: str


class DeadManSet(VenueEvent, frozen=True, tag=True, kw_only=True):
    """The answer to an `ArmDeadMan`: the venue cancels everything at `expires`, our clock; 0: it is off."""

    expires: int


# ---- the conversation itself ----------------------------------------------------------------------------------------


class LinkUp(VenueEvent, frozen=True, tag=True, kw_only=True):
    """A channel is usable: connected, and every log-on and subscription on it confirmed."""

    channel: str


class LinkDown(VenueEvent, frozen=True, tag=True, kw_only=True):
    """A channel is lost. Sent, unacknowledged orders on an order channel are UNKNOWN from here."""

    channel: str
    reason: str


class LinkCurrent(VenueEvent, frozen=True, tag=True, kw_only=True):
    """A ping sent on this channel at `asked_ts` was answered: nothing older waits in the kernel in front of it."""

    channel: str
    asked_ts: int


class ClockOffset(VenueEvent, frozen=True, tag=True, kw_only=True):
    """Venue clock minus ours, from the median of RTT-corrected samples."""

    offset_ns: int
    rtt_ns: int


class RateLimited(VenueEvent, frozen=True, tag=True, kw_only=True):
    """The venue throttles us until `until` (our clock); `banned` is Binance's 418: send nothing at all."""

    scope: str  # "weight", "orders", "pool", ...
    until: int
    banned: bool = False


AUTH: Final = "AUTH"
"""`VenueFault.code` when a venue does not accept our key, signature or permissions: nothing more will be accepted."""


class VenueFault(VenueEvent, frozen=True, tag=True, kw_only=True):
    """Something at the venue's side went wrong: malformed bytes, an unlisted code, HTML. Counted; never fatal."""

    channel: str
    code: str
    text: str


# ---- from the shell and the operator --------------------------------------------------------------------------------


class SendRefused(VenueEvent, frozen=True, tag=True, kw_only=True):
    """The transport took no byte of this order: proven not sent."""

    client_id: str
    reason: str


class RunBegan(Event, frozen=True, tag=True, kw_only=True):
    """The first input of every run: whatever the log left live is now in doubt."""

    instance: str
    mode: str
    commit: str
    config_sha256: str
    recovered: bool  # there was a log to recover from
    clock_behind_ns: int = 0  # how far wall time stood behind the log's last stamp
    latched: bool = False  # the kill latch was set when the process started
    unapplied: int = 0  # records of the log that could not be folded in again


class OrdersSent(Event, frozen=True, tag=True, kw_only=True):
    """The shell's stamps of one step's sends: decided, written to the WAL, and each order's return from `send`."""

    client_ids: tuple[str, ...]
    decided: int
    written: int
    sent: tuple[int, ...]


class WalFailed(Event, frozen=True, tag=True, kw_only=True):
    """A write to the write-ahead log failed or was short; no later record is written in this run."""

    reason: str


class Operator(Event, frozen=True, tag=True, kw_only=True):
    """A person's word: kill, pause, resume, clear. `scope` is "global" or "venue:x", "symbol:x", "strategy:x"."""

    action: str
    scope: str = "global"
    argument: str = ""
    source: str = "control"


class KillVerified(Event, frozen=True, tag=True, kw_only=True):
    """A kill was proven, or not, without the daemon: the guard's report, told when both are there again."""

    report: KillReported


class Signal(Event, frozen=True, tag=True, kw_only=True):
    """A proposal of an upstream signal engine, raw; bounds are checked where it is used."""

    body: bytes


class Fitted(Event, frozen=True, tag=True, kw_only=True):
    """The answer of the fits process to a `Fit`."""

    name: str
    values: dict[str, float]


class Tick(Event, frozen=True, tag=True, kw_only=True):
    """Time has passed (every 10 ms live). `late_ns` is how much later than due the shell delivered it."""

    late_ns: int = 0


AnyEvent = (
    BookSnapshot
    | BookDelta
    | BookInvalid
    | BestQuote
    | Trade
    | Together
    | InstrumentsLoaded
    | SymbolStatus
    | FeesLoaded
    | AccountSnapshot
    | BalanceChanged
    | OrderAccepted
    | OrderRejected
    | OrderUncertain
    | OrderFilled
    | OrderClosed
    | CancelRejected
    | OrderStatus
    | FillsListed
    | OpenOrdersListed
    | OrdersListed
    | QueryFailed
    | DeadManSet
    | LinkUp
    | LinkDown
    | LinkCurrent
    | ClockOffset
    | RateLimited
    | VenueFault
    | SendRefused
    | OrdersSent
    | RunBegan
    | WalFailed
    | Operator
    | KillVerified
    | Signal
    | Fitted
    | Tick
)
