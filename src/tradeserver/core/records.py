"""Everything worth keeping and telling: the first output of `Engine.step`, the content of the write-ahead log.

A record says what happened to us or what we decided. Records are the state changes themselves: recovery is a fold of
`Engine.apply` over them, the very function that the live step uses. They are written before any command of their step
leaves; everything downstream (NATS, database, alerts, console) is fed by them alone.

`ts` is our nanoseconds. Money is `Decimal`, rates are floats in basis points. A record's kind on NATS and in the
database is its class name in snake_case (`kind_of`).
"""

from __future__ import annotations

import enum
import re
from decimal import Decimal

import msgspec

from tradeserver.core.types import Side, Word


class Record(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What every record has."""

    ts: int


# ---- the run --------------------------------------------------------------------------------------------------------


class RunStarted(Record, frozen=True, tag=True, kw_only=True):
    """A process took over the state directory."""

    run: str  # instance tag + mode letter + base62 start second: the common head of this run's client ids
    instance: str
    mode: str
    commit: str
    config_sha256: str
    venues: tuple[str, ...]
    symbols: tuple[str, ...]


class RunStopped(Record, frozen=True, tag=True, kw_only=True):
    """An orderly end."""

    reason: str


# ---- orders and fills -----------------------------------------------------------------------------------------------


class OrderState(Word):
    """Where an order stands. The transitions are a table in `core/orders.py`."""

    SENT = "sent"  # decided and written; the venue has not answered
    ACCEPTED = "accepted"
    CANCEL_PENDING = "cancel_pending"
    UNKNOWN = "unknown"  # may be live, may never have been; has its own timers
    CLOSING = "closing"  # the venue says it is over, our fills do not yet sum to its figure
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REFUSED = "refused"  # proven not accepted, or proven not sent


class OrderSubmitted(Record, frozen=True, tag=True, kw_only=True):
    """An order was decided. Written before its bytes leave."""

    venue: str
    symbol: str
    client_id: str
    arbitrage: int
    leg: int
    attempt: int
    side: Side
    quantity: Decimal
    price: Decimal
    time_in_force: str
    opening: bool
    reserve_asset: str  # what the ledger sets aside while the order may fill
    reserve: Decimal
    venue_ts: int = 0  # stamp of the market data that triggered it, on our clock; 0 where it had none


class OrderChanged(Record, frozen=True, tag=True, kw_only=True):
    """An order entered another state, with the reason and the code that the venue gave."""

    venue: str
    symbol: str
    client_id: str
    arbitrage: int
    leg: int
    state: OrderState
    executed: Decimal
    venue_order_id: str = ""
    code: str = ""
    reason: str = ""


class OrderTimed(Record, frozen=True, tag=True, kw_only=True):
    """The stages of one order in nanoseconds; a stage that did not happen is absent.

    Stages: venue_to_frame, frame_to_decided, decided_to_wal, wal_to_sent, sent_to_ack, ack_to_fill.
    """

    venue: str
    symbol: str
    client_id: str
    arbitrage: int
    stages_ns: dict[str, int]


class FillBooked(Record, frozen=True, tag=True, kw_only=True):
    """One fill, booked once. `commission_expected` marks a commission computed by us until the venue's arrives."""

    venue: str
    symbol: str
    client_id: str
    arbitrage: int  # 0: not ours
    leg: int
    side: Side
    trade_id: str
    venue_order_id: str
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    commission_expected: bool
    maker: bool
    venue_ts: int
    stood: dict[int, Decimal] = {}  # an arbitrage's first fill: leg -> the price at which that leg's market stood then


class CommissionCorrected(Record, frozen=True, tag=True, kw_only=True):
    """The venue's own figure for a commission that `FillBooked` had computed."""

    venue: str
    symbol: str
    client_id: str
    trade_id: str
    commission: Decimal
    commission_asset: str


# ---- arbitrages -----------------------------------------------------------------------------------------------------


class Leg(msgspec.Struct, frozen=True):
    """One leg of an arbitrage as decided. `expected_price` is the visible average for `quantity`."""

    leg: int
    venue: str
    symbol: str
    side: Side
    quantity: Decimal
    cap: Decimal
    expected_price: Decimal
    expected_fee: Decimal  # charged in quote; zero where it is charged in base or in a third asset
    net_base: Decimal  # base received (negative: given) if all fills, commission in base taken off
    client_id: str


class ArbitrageOpened(Record, frozen=True, tag=True, kw_only=True):
    """Decided and about to be sent, with its plan."""

    arbitrage: int
    strategy: str
    opportunity: int
    base: str
    quote: str
    legs: tuple[Leg, ...]
    gross_bps: float
    net_bps: float
    expected_edge: Decimal  # quote, after fees
    on_exhausted: str  # "unwind" or "hold"
    carried: Decimal = Decimal(0)  # base dust of earlier arbitrages that the legs net: theirs until the close
    plan: str = "legs"  # all at once; "sequence": one after the other; "targets": towards positions meant to be held


class HedgeDecided(Record, frozen=True, tag=True, kw_only=True):
    """One rung of the ladder and why."""

    arbitrage: int
    rung: int
    venue: str
    side: Side
    quantity: Decimal
    price: Decimal
    reason: str


class Outcome(enum.Enum):
    """How an arbitrage ended."""

    COMPLETED = "completed"  # every leg filled, no hedge needed
    HEDGED = "hedged"  # flat within dust after at least one hedge
    NOTHING = "nothing"  # no leg filled
    HELD = "held"  # exposure is left, named and paged


class ArbitrageClosed(Record, frozen=True, tag=True, kw_only=True):
    """The result. `realised_edge` = `expected_edge` + the sum of `bridge` exactly, all in quote."""

    arbitrage: int
    strategy: str
    base: str
    quote: str
    outcome: Outcome
    one_sided: bool  # at some point one leg had fills and another ended without
    quantity: Decimal
    expected_edge: Decimal
    realised_edge: Decimal
    bridge: dict[str, Decimal]  # slippage_leg_N, time_between_legs, unfilled, hedges, fees, residual
    residual_base: Decimal
    hedges: int
    duration_ns: int
    exposure_quote_s: float = 0.0  # what the fills left, at the plan's price, times the seconds that it stood
    plan: str = "legs"  # as opened; of "targets" the edge is the profit that its fills have realised


class ExposureHeld(Record, frozen=True, tag=True, kw_only=True):
    """Exposure that the ladder could not remove, named for a person."""

    arbitrage: int
    asset: str
    low: Decimal
    high: Decimal
    reason: str


# ---- opportunities --------------------------------------------------------------------------------------------------


class Decision(msgspec.Struct, frozen=True):
    """What was made of an opportunity at one moment; `count` equal decisions in a row are one."""

    ts: int
    taken: bool
    arbitrage: int  # 0 where refused
    reasons: tuple[str, ...]  # every reason code; the first is the one that decided
    gross_bps: float
    net_bps: float
    quantity: float
    count: int = 1


class OpportunityOpened(Record, frozen=True, tag=True, kw_only=True):
    """A pair's gross edge passed the watch threshold."""

    opportunity: int
    strategy: str
    symbol: str
    buy_venue: str
    sell_venue: str
    gross_bps: float
    net_bps: float


class OpportunityClosed(Record, frozen=True, tag=True, kw_only=True):
    """The whole episode."""

    opportunity: int
    strategy: str
    symbol: str
    buy_venue: str
    sell_venue: str
    opened: int
    duration_ns: int
    peak_gross_bps: float
    peak_net_bps: float
    peak_quantity: float
    buy_age_ns: int  # ages of the two books at the peak
    sell_age_ns: int
    taken: bool
    decisions: tuple[Decision, ...]


# ---- ledger ---------------------------------------------------------------------------------------------------------


class BalanceBooked(Record, frozen=True, tag=True, kw_only=True):
    """The ledger took the venue's absolute figure: at the first start, or for a difference that no fill explains."""

    venue: str
    asset: str
    total: Decimal
    previous: Decimal
    reason: str  # "opening" or "external"


class DustCleared(Record, frozen=True, tag=True, kw_only=True):
    """A person has levelled carried exposure of one asset outside: it is carried no more."""

    asset: str
    amount: Decimal
    by: str


class PeriodOpened(Record, frozen=True, tag=True, kw_only=True):
    """A day, week or month (UTC) begins: what it is measured against. Amounts by venue and asset, marks at mid."""

    period: str  # "day", "week", "month"
    began: int  # its 00:00 UTC
    ends: int
    currency: str  # of capital and marks
    capital: Decimal
    holdings: dict[str, dict[str, Decimal]]
    marks: dict[str, Decimal]  # asset -> price of one in the currency
    banked: Decimal  # trading P&L of all days before, in the currency


class PnlMarked(Record, frozen=True, tag=True, kw_only=True):
    """Profit and loss so far, by quote asset, with the costs apart. Marked at mid.

    Against the opening of each day, week and month, in the currency of the limits: `trading`, what our own fills have
    made of it, and `revaluation`, what the opening inventory has gained by itself.
    """

    realised: dict[str, Decimal]
    unrealised: dict[str, Decimal]
    fees: dict[str, Decimal]  # by asset charged
    marks: dict[str, Decimal] = {}  # asset -> price of one in the currency
    trading: dict[str, Decimal] = {}  # by period
    revaluation: dict[str, Decimal] = {}  # by period
    capital: Decimal = Decimal(0)  # the day's
    drawdown: Decimal = Decimal(0)


# ---- states, links, telling -----------------------------------------------------------------------------------------


class TradingState(Word):
    """What may leave. The order is the severity."""

    RUNNING = "running"
    NO_NEW = "no_new"
    HEDGE_ONLY = "hedge_only"
    HALTED = "halted"


class StateChanged(Record, frozen=True, tag=True, kw_only=True):
    """A scope's trading state. RUNNING clears the (scope, reason) entry. `until` 0 is a latch."""

    scope: str
    state: TradingState
    reason: str
    until: int = 0
    by: str = ""


class FaultNoted(Record, frozen=True, tag=True, kw_only=True):
    """A technical error with a venue: bytes that cannot be read, an order refused for anything but balance."""

    venue: str
    code: str


class LinkChanged(Record, frozen=True, tag=True, kw_only=True):
    """A channel came or went."""

    venue: str
    channel: str
    up: bool
    reason: str = ""


class BookChanged(Record, frozen=True, tag=True, kw_only=True):
    """A book entered another trust state."""

    venue: str
    symbol: str
    trust: str
    reason: str


class OperatorNoted(Record, frozen=True, tag=True, kw_only=True):
    """A person's word, as received."""

    action: str
    scope: str
    argument: str
    source: str


class VenueProof(msgspec.Struct, frozen=True):
    """How far a kill has come at one venue; numbers of orders."""

    venue: str
    phase: str  # counting, cancelling, looking, confirming, proven
    proven: bool  # two looks by REST, the second after the last possible arrival, showed nothing of ours open
    found: int
    cancelled: int  # found, gone, and not known to have filled
    gone: int  # found, and not in the last list
    left: tuple[str, ...]  # open in the last list (some of them): client id, else the venue's
    looks: int
    note: str  # why it is not proven yet


class AssetExposure(msgspec.Struct, frozen=True):
    """What may be held of an asset beyond the plan: low and high are equal where it is certain."""

    asset: str
    low: Decimal
    high: Decimal


class KillReported(Record, frozen=True, tag=True, kw_only=True):
    """What a kill came to: told when it is proven, and once before that when it takes too long."""

    began: int
    scope: str
    by: str  # control, guard, signal, nats, stop file, restart, ...
    prover: str  # daemon, guard, or operator: who looked
    proven: bool  # at every venue
    found: int
    cancelled: int
    gone: int
    elapsed_ms: int
    venues: tuple[VenueProof, ...]
    exposure: tuple[AssetExposure, ...]
    note: str = ""  # what could not be done


class Severity(enum.Enum):
    """How loudly to tell."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Alert(Record, frozen=True, tag=True, kw_only=True):
    """Something a person should read. `code` is stable, `text` is one clear sentence."""

    severity: Severity
    code: str
    text: str


class Vitals(Record, frozen=True, tag=True, kw_only=True):
    """Once a second: gauges by name, and counters since the run began."""

    gauges: dict[str, float]
    counters: dict[str, int]


# ---- checkpoint -----------------------------------------------------------------------------------------------------


class OrderImage(msgspec.Struct, frozen=True):
    """One live order inside a checkpoint."""

    submitted: OrderSubmitted
    state: OrderState
    executed: Decimal
    venue_order_id: str
    fills: tuple[FillBooked, ...]


class ArbitrageImage(msgspec.Struct, frozen=True):
    """One arbitrage inside a checkpoint, with every order it ever sent."""

    opened: ArbitrageOpened
    orders: tuple[OrderImage, ...]
    rung: int
    residual: Decimal = Decimal(0)  # base that it left as dust when it closed
    exposure_quote_s: float = 0.0  # up to `exposed_ts`
    exposed: float = 0.0  # since then, in quote
    exposed_ts: int = 0
    realised: Decimal = Decimal(0)  # profit of its fills so far, where it moves positions that are held


class HeldImage(msgspec.Struct, frozen=True):
    """What one strategy holds on purpose, inside a checkpoint."""

    strategy: str
    venue: str
    symbol: str
    quantity: Decimal  # net base
    cost: Decimal  # in quote, fees included
    since: int


class PeriodImage(msgspec.Struct, frozen=True):
    """One open day, week or month inside a checkpoint."""

    opened: PeriodOpened
    capital: Decimal
    before: dict[str, Decimal]  # what our own fills had brought before it
    moved: dict[str, Decimal]  # transfers
    moved_value: Decimal
    forgiven: Decimal  # trading P&L at which a person has lifted its limit


class CapitalImage(msgspec.Struct, frozen=True):
    """What loss limits are counted from, inside a checkpoint."""

    marks: dict[str, Decimal]
    traded: dict[str, Decimal]
    periods: tuple[PeriodImage, ...]
    peak: Decimal
    moved: dict[str, dict[str, Decimal]]  # venue -> asset -> transfers since the day's opening


class Checkpoint(Record, frozen=True, tag=True, kw_only=True):
    """The engine's whole recoverable state; a segment begins with one. Takes no sequence number."""

    next_arbitrage: int
    next_opportunity: int
    orders: tuple[OrderImage, ...]  # live orders that belong to no open arbitrage
    arbitrages: tuple[ArbitrageImage, ...]
    balances: dict[str, dict[str, Decimal]]  # venue -> asset -> booked total
    positions: dict[str, tuple[Decimal, Decimal]]  # "venue symbol" -> (quantity, cost in quote)
    realised: dict[str, Decimal]
    fees: dict[str, Decimal]
    states: tuple[StateChanged, ...]
    fill_keys: tuple[tuple[str, str, str], ...]  # recent (venue, symbol, trade_id), oldest first
    dust: dict[str, Decimal]  # asset -> residue carried
    closed: tuple[ArbitrageImage, ...] = ()  # the latest closed ones, oldest first: a late fill opens them again
    last_start_s: int = 0  # the latest start second in any client id
    one_sided: tuple[tuple[int, str], ...] = ()  # (when, strategy) of the latest one-sided arbitrages
    running: bool = False  # a run has begun and not ended in order
    crashes: tuple[int, ...] = ()  # when runs began that followed one that did not end in order
    held: tuple[HeldImage, ...] = ()
    capital: CapitalImage | None = None
    legs: dict[str, tuple[tuple[float, float], ...]] = {}  # symbol -> (share filled, slippage in bps) of the latest
    faults: tuple[tuple[int, str], ...] = ()  # (when, venue) of the latest technical errors
    streaks: dict[str, int] = {}  # strategy -> closed ones in a row below zero


AnyRecord = (
    RunStarted
    | RunStopped
    | OrderSubmitted
    | OrderChanged
    | OrderTimed
    | FillBooked
    | CommissionCorrected
    | ArbitrageOpened
    | HedgeDecided
    | ArbitrageClosed
    | ExposureHeld
    | OpportunityOpened
    | OpportunityClosed
    | BalanceBooked
    | DustCleared
    | PeriodOpened
    | PnlMarked
    | StateChanged
    | FaultNoted
    | LinkChanged
    | BookChanged
    | OperatorNoted
    | KillReported
    | Alert
    | Vitals
    | Checkpoint
)

_HUMP = re.compile(r"(?<!^)(?=[A-Z])")
KINDS: dict[type, str] = {t: _HUMP.sub("_", t.__name__).lower() for t in AnyRecord.__args__}


def kind_of(record: Record) -> str:
    """`ArbitrageOpened` -> "arbitrage_opened": the last word of its NATS subject, its name in the database."""
    return KINDS[type(record)]
