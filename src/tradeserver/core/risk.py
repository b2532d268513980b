"""The gate: every order passes here, in one call, against every limit; an approval is a value that the order needs.

`check` takes all legs of an arbitrage at once and gives either one `Approved` a leg or a `Refused` with every reason,
the first of which decided. If any leg fails, nothing is reserved and nothing is sent. `submit` is the only constructor
of `SubmitOrder`, and it takes an `Approved`.

Reason codes are stable words (`Reason`); a reason may carry a detail behind a blank ("NO_BALANCE kucoin USDT"). Orders
that shrink exposure (hedges, unwinds) pass the rules that make an order legal and possible, not those that limit how
much is opened. Nothing here changes anything.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Final

import msgspec
from annotated_types import Ge, Gt, Le, Lt

from tradeserver.core.commands import SubmitOrder
from tradeserver.core.types import BPS, ZERO, Instrument, Side, TimeInForce

MILLISECOND: Final = 1_000_000


@dataclass(frozen=True)
class RiskLimits:
    """What one order, one symbol and the whole desk may risk. Notionals in quote currency."""

    max_order_notional: Annotated[Decimal, Gt(0)] = Decimal(500)
    """Largest notional of one leg."""
    max_position_notional: Annotated[Decimal, Gt(0)] = Decimal(2_000)
    """Largest exposure of one base asset over all venues, either way, its worst case, at mid."""
    max_open_orders: Annotated[int, Gt(0)] = 20
    """Live orders of ours at one time, UNKNOWN ones included."""
    max_arbitrages: Annotated[int, Gt(0)] = 4
    """Arbitrages in flight at one time."""
    max_orders_per_s: Annotated[int, Gt(0)] = 50
    """Opening orders within any second."""
    max_decision_age_ms: Annotated[float, Gt(0)] = 1_000.0
    """Oldest market data, by the venue's stamp on our clock, that an opening order may be decided on."""
    price_band_bps: Annotated[float, Gt(0)] = 100.0
    """How far a price cap may stand beyond its own venue's mid."""
    max_edge_bps: Annotated[float, Gt(0)] = 300.0
    """A gross edge above this is too good to be true: blocked."""
    max_dust_notional: Annotated[Decimal, Ge(0)] = Decimal(20)
    """Carried dust of one asset, at mid, above which nothing is opened in it."""
    max_trade_pct: Annotated[Decimal, Gt(0), Le(100)] = Decimal(2)
    """Largest notional of one leg, in per cent of the day's capital."""
    max_exposure_pct: Annotated[Decimal, Gt(0), Le(100)] = Decimal(20)
    """Largest sum of the worst-case exposures of all assets, in per cent of the day's capital."""
    reserve_pct: Annotated[Decimal, Ge(0), Lt(100)] = Decimal(50)
    """Share of what each venue held of an asset at the day's opening that only hedges may use."""
    max_slippage_bps: Annotated[Decimal, Gt(0)] = Decimal(100)
    """How far a price cap may stand beyond the visible average that the decision expects."""
    max_cancels_per_s: Annotated[int, Gt(0)] = 20
    """Cancels within any second, above which nothing is opened; a cancel itself is never held back."""
    scoped_order_notional: dict[str, Decimal] = field(default_factory=dict)
    """Largest notional of one leg in a scope: {"venue:kucoin" = 200, "symbol:XRP/USDT" = 100, "strategy:NAME" = 50}."""
    scoped_open_orders: dict[str, int] = field(default_factory=dict)
    """Live orders of ours in such a scope at one time."""
    currency: str = "USDT"
    """What capital, marks and loss limits are counted in."""


class Reason(enum.StrEnum):
    """Why an order or an opportunity was refused."""

    EDGE_TOO_SMALL = "EDGE_TOO_SMALL"
    EDGE_TOO_GOOD = "EDGE_TOO_GOOD"
    BOOK_SNAPSHOTTING = "BOOK_SNAPSHOTTING"
    BOOK_GAP = "BOOK_GAP"
    BOOK_STALE = "BOOK_STALE"
    BOOK_CROSSED = "BOOK_CROSSED"
    BOOK_EMPTY = "BOOK_EMPTY"
    LINK_NOT_CURRENT = "LINK_NOT_CURRENT"
    SYMBOL_HALTED = "SYMBOL_HALTED"
    DECISION_LATE = "DECISION_LATE"
    PRICE_BAND = "PRICE_BAND"
    MAX_ORDER_NOTIONAL = "MAX_ORDER_NOTIONAL"
    SCOPED_NOTIONAL = "SCOPED_NOTIONAL"
    MAX_TRADE = "MAX_TRADE"
    MAX_POSITION = "MAX_POSITION"
    MAX_EXPOSURE = "MAX_EXPOSURE"
    MAX_OPEN_ORDERS = "MAX_OPEN_ORDERS"
    MAX_ARBITRAGES = "MAX_ARBITRAGES"
    MAX_DUST = "MAX_DUST"
    SCOPED_ORDERS = "SCOPED_ORDERS"
    ORDER_RATE = "ORDER_RATE"
    CANCEL_RATE = "CANCEL_RATE"
    SLIPPAGE_CAP = "SLIPPAGE_CAP"
    SELF_TRADE = "SELF_TRADE"
    PRICE_JUMP = "PRICE_JUMP"
    SPREAD = "SPREAD"
    CAPITAL_UNKNOWN = "CAPITAL_UNKNOWN"
    RESERVE = "RESERVE"
    NO_BALANCE = "NO_BALANCE"
    NO_DEPTH = "NO_DEPTH"
    ON_TARGET = "ON_TARGET"
    MIN_NOTIONAL = "MIN_NOTIONAL"
    MAX_NOTIONAL = "MAX_NOTIONAL"
    MIN_QUANTITY = "MIN_QUANTITY"
    MAX_QUANTITY = "MAX_QUANTITY"
    LOT_SIZE = "LOT_SIZE"
    TICK_SIZE = "TICK_SIZE"
    TRADING_STATE = "TRADING_STATE"
    VENUE_NOT_READY = "VENUE_NOT_READY"
    FEES_UNKNOWN = "FEES_UNKNOWN"
    IN_FLIGHT = "IN_FLIGHT"
    COOL_OFF = "COOL_OFF"


class Draft(msgspec.Struct, frozen=True):
    """An order as execution would like it."""

    instrument: Instrument
    client_id: str
    arbitrage: int
    leg: int
    attempt: int
    side: Side
    quantity: Decimal
    price: Decimal
    opening: bool
    reserve_asset: str
    reserve: Decimal
    time_in_force: TimeInForce = TimeInForce.IOC
    expected_price: Decimal = ZERO  # visible average for the quantity; zero where nothing is expected


class Approved(msgspec.Struct, frozen=True):
    """A draft that passed. Only `check` makes one."""

    draft: Draft


class Refused(msgspec.Struct, frozen=True):
    """Every reason why not; the first decided."""

    reasons: tuple[str, ...]


class Allowed(msgspec.Struct, frozen=True):
    """What the capital allows an opening decision, in its quote currency."""

    max_trade: Decimal  # notional of one leg
    exposure_left: Decimal  # by which the worst case of all assets together may still grow
    floors: dict[tuple[str, str], Decimal]  # (venue, asset) -> what entries leave alone
    scoped: tuple[tuple[str, Decimal], ...] = ()  # (scope, notional of one leg): those that concern the decision


class Facts(msgspec.Struct):
    """What the gate looks at besides the drafts themselves: plain facts, gathered by the caller at this moment."""

    ts: int
    state: str  # "" or the reason that the trading state gives
    live_orders: int
    arbitrages: int
    recent_orders: int  # opening orders in the last second
    free: dict[tuple[str, str], Decimal]  # (venue, asset) -> unreserved
    mids: dict[str, Decimal]  # venue -> mid of the symbol
    market_reasons: dict[str, str]  # venue -> why its book may not be traded on, or ""
    ages_ns: dict[str, int]  # venue -> age of its book
    worst_exposure: Decimal  # |exposure| of the base over everything in flight, its far end
    dust: Decimal  # |carried dust| of the base
    recent_cancels: int = 0  # in the last second
    full: tuple[str, ...] = ()  # scopes whose live orders leave no room for these
    resting: tuple[tuple[str, Side, Decimal], ...] = ()  # (venue, side, price) of our live orders in the symbol
    conditions: str = ""  # why the market is none to open in, or ""
    allowed: Allowed | None = None  # None: an order that shrinks exposure, which no share of the capital limits


def submit(approved: Approved) -> SubmitOrder:
    """The order that may leave."""
    draft = approved.draft
    return SubmitOrder(
        venue=draft.instrument.venue,
        symbol=draft.instrument.symbol,
        client_id=draft.client_id,
        arbitrage=draft.arbitrage,
        leg=draft.leg,
        attempt=draft.attempt,
        side=draft.side,
        quantity=draft.quantity,
        price=draft.price,
        time_in_force=draft.time_in_force,
        opening=draft.opening,
    )


def check(limits: RiskLimits, facts: Facts, drafts: Sequence[Draft]) -> tuple[Approved, ...] | Refused:
    """One approval a leg, or every reason why none may leave."""
    reasons: list[str] = []
    if facts.state:
        reasons.append(f"{Reason.TRADING_STATE} {facts.state}")
    opens = drafts[0].opening
    if opens:
        _opening(limits, facts, drafts, reasons)
    needed: dict[tuple[str, str], Decimal] = {}
    for draft in drafts:
        _possible(facts, draft, reasons)
        _legal(draft, reasons)
        asset = (draft.instrument.venue, draft.reserve_asset)
        needed[asset] = needed.get(asset, ZERO) + draft.reserve
    floors = facts.allowed.floors if opens and facts.allowed is not None else {}
    for asset, amount in needed.items():
        free = facts.free.get(asset, ZERO)
        if amount > free:
            reasons.append(f"{Reason.NO_BALANCE} {asset[0]} {asset[1]}")
        elif amount > free - floors.get(asset, ZERO):
            reasons.append(f"{Reason.RESERVE} {asset[0]} {asset[1]}")
    if reasons:
        return Refused(tuple(dict.fromkeys(reasons)))
    return tuple([Approved(draft) for draft in drafts])


@lru_cache(maxsize=64)
def _exactly(setting: float) -> Decimal:
    """A limit that is a float in the configuration, as money."""
    return Decimal(repr(setting))


def _opening(limits: RiskLimits, facts: Facts, drafts: Sequence[Draft], reasons: list[str]) -> None:
    """The limits on opening more."""
    if facts.live_orders + len(drafts) > limits.max_open_orders:
        reasons.append(Reason.MAX_OPEN_ORDERS)
    if facts.arbitrages + 1 > limits.max_arbitrages:
        reasons.append(Reason.MAX_ARBITRAGES)
    if facts.recent_orders + len(drafts) > limits.max_orders_per_s:
        reasons.append(Reason.ORDER_RATE)
    if facts.recent_cancels > limits.max_cancels_per_s:
        reasons.append(Reason.CANCEL_RATE)
    reasons.extend(f"{Reason.SCOPED_ORDERS} {scope}" for scope in facts.full)
    if facts.conditions:
        reasons.append(facts.conditions)
    oldest_ns = limits.max_decision_age_ms * MILLISECOND
    band = _exactly(limits.price_band_bps)
    allowed = facts.allowed
    for draft in drafts:
        venue = draft.instrument.venue
        mid = facts.mids.get(venue)
        if facts.ages_ns[venue] > oldest_ns:
            reasons.append(f"{Reason.DECISION_LATE} {venue}")
        notional = draft.quantity * draft.price
        if notional > limits.max_order_notional:
            reasons.append(f"{Reason.MAX_ORDER_NOTIONAL} {venue}")
        if allowed is not None:
            if notional > allowed.max_trade:
                reasons.append(f"{Reason.MAX_TRADE} {venue}")
            for scope, most in allowed.scoped:
                if notional > most and _concerns(scope, venue):
                    reasons.append(f"{Reason.SCOPED_NOTIONAL} {scope}")
            if notional > allowed.exposure_left:
                reasons.append(f"{Reason.MAX_EXPOSURE}")
        if facts.resting and _meets_own(facts, draft):
            reasons.append(f"{Reason.SELF_TRADE} {venue}")
        if draft.expected_price and _slips(limits, draft):
            reasons.append(f"{Reason.SLIPPAGE_CAP} {venue}")
        if mid is None:
            continue  # an empty side: the book's own reason says so
        beyond = draft.price - mid if draft.side is Side.BUY else mid - draft.price
        if beyond * BPS > mid * band:
            reasons.append(f"{Reason.PRICE_BAND} {venue}")
        if (facts.worst_exposure + draft.quantity) * mid > limits.max_position_notional:
            reasons.append(f"{Reason.MAX_POSITION} {draft.instrument.base}")
        if facts.dust * mid > limits.max_dust_notional:
            reasons.append(f"{Reason.MAX_DUST} {draft.instrument.base}")


def _concerns(scope: str, venue: str) -> bool:
    """A venue's scope is its legs' alone; the decision's symbol and strategy are every leg's."""
    return not scope.startswith("venue:") or scope == f"venue:{venue}"


def _meets_own(facts: Facts, draft: Draft) -> bool:
    """Whether it could trade with a live order of ours, of whatever strategy."""
    buys = draft.side is Side.BUY
    for venue, side, price in facts.resting:
        meets = draft.price >= price if buys else draft.price <= price
        if meets and venue == draft.instrument.venue and side is not draft.side:
            return True
    return False


def _slips(limits: RiskLimits, draft: Draft) -> bool:
    expected = draft.expected_price
    beyond = draft.price - expected if draft.side is Side.BUY else expected - draft.price
    return beyond * BPS > expected * limits.max_slippage_bps


def _possible(facts: Facts, draft: Draft, reasons: list[str]) -> None:
    """A book that may be traded on and a symbol that is open: for every order, hedges too."""
    venue = draft.instrument.venue
    reason = facts.market_reasons.get(venue, "")
    if reason:
        reasons.append(f"{reason} {venue}")
    if not draft.instrument.tradable:
        reasons.append(f"{Reason.SYMBOL_HALTED} {venue}")


def _legal(draft: Draft, reasons: list[str]) -> None:
    """The venue's own rules."""
    rules = draft.instrument
    quantity, price = draft.quantity, draft.price
    notional = quantity * price
    if quantity <= ZERO or quantity < rules.min_quantity:
        reasons.append(f"{Reason.MIN_QUANTITY} {rules.venue}")
    if rules.max_quantity and quantity > rules.max_quantity:
        reasons.append(f"{Reason.MAX_QUANTITY} {rules.venue}")
    if notional < rules.min_notional:
        reasons.append(f"{Reason.MIN_NOTIONAL} {rules.venue}")
    if rules.max_notional and notional > rules.max_notional:
        reasons.append(f"{Reason.MAX_NOTIONAL} {rules.venue}")
    if quantity % rules.lot:
        reasons.append(f"{Reason.LOT_SIZE} {rules.venue}")
    if price <= ZERO or price % rules.tick:
        reasons.append(f"{Reason.TICK_SIZE} {rules.venue}")
