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
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Final

import msgspec
from annotated_types import Ge, Gt

from tradeserver.core.commands import SubmitOrder
from tradeserver.core.types import BPS, ZERO, Instrument, Side, TimeInForce

MILLISECOND: Final = 1_000_000


@dataclass(frozen=True)
class RiskLimits:
    """What one order, one symbol and the whole desk may risk. Notionals in quote currency."""

    max_order_notional: Annotated[Decimal, Gt(0)] = Decimal(500)
    """Largest notional of one leg."""
    max_position_notional: Annotated[Decimal, Gt(0)] = Decimal(2_000)
    """Largest |exposure| of one base asset over all venues, its worst case, at mid."""
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
    MAX_POSITION = "MAX_POSITION"
    MAX_OPEN_ORDERS = "MAX_OPEN_ORDERS"
    MAX_ARBITRAGES = "MAX_ARBITRAGES"
    MAX_DUST = "MAX_DUST"
    ORDER_RATE = "ORDER_RATE"
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


class Approved(msgspec.Struct, frozen=True):
    """A draft that passed. Only `check` makes one."""

    draft: Draft


class Refused(msgspec.Struct, frozen=True):
    """Every reason why not; the first decided."""

    reasons: tuple[str, ...]


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
    if drafts[0].opening:
        _opening(limits, facts, drafts, reasons)
    needed: dict[tuple[str, str], Decimal] = {}
    for draft in drafts:
        _possible(facts, draft, reasons)
        _legal(draft, reasons)
        asset = (draft.instrument.venue, draft.reserve_asset)
        needed[asset] = needed.get(asset, ZERO) + draft.reserve
    for asset, amount in needed.items():
        if amount > facts.free.get(asset, ZERO):
            reasons.append(f"{Reason.NO_BALANCE} {asset[0]} {asset[1]}")
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
    oldest_ns = limits.max_decision_age_ms * MILLISECOND
    band = _exactly(limits.price_band_bps)
    for draft in drafts:
        venue = draft.instrument.venue
        mid = facts.mids.get(venue)
        if facts.ages_ns[venue] > oldest_ns:
            reasons.append(f"{Reason.DECISION_LATE} {venue}")
        if draft.quantity * draft.price > limits.max_order_notional:
            reasons.append(f"{Reason.MAX_ORDER_NOTIONAL} {venue}")
        if mid is None:
            continue  # an empty side: the book's own reason says so
        beyond = draft.price - mid if draft.side is Side.BUY else mid - draft.price
        if beyond * BPS > mid * band:
            reasons.append(f"{Reason.PRICE_BAND} {venue}")
        if (facts.worst_exposure + draft.quantity) * mid > limits.max_position_notional:
            reasons.append(f"{Reason.MAX_POSITION} {draft.instrument.base}")
        if facts.dust * mid > limits.max_dust_notional:
            reasons.append(f"{Reason.MAX_DUST} {draft.instrument.base}")


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
