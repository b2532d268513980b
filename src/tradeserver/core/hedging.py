"""The ladder: how exposure that an arbitrage left is removed, rung by rung, each bounded in price and count.

A hedge is sized to what is certain (the end of the interval nearer to zero). Every rung states the most that it may
cost against the planned price; among all venues whose book may be traded on and whose balance allows it, the cheapest
after fees within that bound is taken. A rung that finds nothing counts as tried and the next is wider; the last rungs
are the unwind within its hard cap. A moment at which no book can be traded on at all is no rung.

Dust is a residue below one common lot of the arbitrage, or worth less than `min_notional`, or below every venue's
minimum. Pure functions over the desk; nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.core.arbitrage import Arbitrage, common_lot
from tradeserver.core.desk import Desk
from tradeserver.core.market import SymbolMarket
from tradeserver.core.records import HedgeDecided, OrderState, TradingState
from tradeserver.core.risk import Draft, Facts
from tradeserver.core.sizing import SizedLeg, base_fee, gross_up, quote_fee, reserve
from tradeserver.core.types import BPS, ZERO, Fees, Instrument, Rounding, Side, on_grid
from tradeserver.core.venues import Readiness

KEY: Final = "key refused"
"""The reason of a venue's state while it does not accept our key."""


class HedgePolicy(msgspec.Struct, frozen=True):
    """The ladder's bounds; see `ExecutionPolicy`."""

    ladder_bps: tuple[float, ...]
    unwind_cap_bps: float
    unwind_attempts: int
    min_notional: Decimal

    @property
    def rungs(self) -> int:
        return len(self.ladder_bps) + self.unwind_attempts

    def bound_bps(self, rung: int) -> float:
        return self.ladder_bps[rung] if rung < len(self.ladder_bps) else self.unwind_cap_bps


class Step(msgspec.Struct, frozen=True):
    """One rung: its record, and the order to try, if any book offers something within the bound."""

    decided: HedgeDecided
    draft: Draft | None
    facts: Facts


class Candidate(msgspec.Struct, frozen=True):
    """What one venue offers. `cost` is the effective price per base, positive for a buy, negative for a sell."""

    leg: SizedLeg
    cost: float


def is_dust(desk: Desk, policy: HedgePolicy, arbitrage: Arbitrage, residue: Decimal) -> bool:
    """Whether this residue is too small to be hedged anywhere."""
    size = abs(residue)
    plan = arbitrage.opened.legs
    if size * plan[0].expected_price < policy.min_notional:
        return True
    rules = [i for leg in plan if (i := desk.market.symbols[leg.venue, leg.symbol].instrument) is not None]
    if not rules:
        return False  # not known yet: wait for the rules
    if size < common_lot(rules):
        return True
    return all(size < i.min_quantity or size * plan[0].expected_price < i.min_notional for i in rules)


def reference_price(arbitrage: Arbitrage, side: Side) -> Decimal:
    """The planned price of the leg that the hedge stands in for, else of the leg that it undoes."""
    for leg in arbitrage.opened.legs:
        if leg.side is side:
            return leg.expected_price
    return arbitrage.opened.legs[0].expected_price


def next_rung(
    desk: Desk, policy: HedgePolicy, arbitrage: Arbitrage, certain: Decimal, readiness: Readiness
) -> Step | None:
    """The next rung for `certain` base too much (or, negative, too little); None where no book can be traded on."""
    symbol = arbitrage.opened.legs[0].symbol
    side = Side.SELL if certain > 0 else Side.BUY
    bound_bps = policy.bound_bps(arbitrage.rungs_tried)
    bound = Decimal(repr(bound_bps)) / BPS
    reference = reference_price(arbitrage, side)
    cap = reference * (1 + bound if side is Side.BUY else 1 - bound)
    trusted = [
        market
        for (venue, name), market in desk.market.symbols.items()
        if name == symbol
        and not market.untradable(desk.ts)
        and venue in readiness.venues
        and readiness.known(venue)
        and not _halted(desk, venue)
        and (venue, symbol) in desk.fees
    ]
    if not trusted:
        return None
    trusted = [m for m in trusted if not desk.states.has(f"venue:{m.key[0]}", KEY)] or trusted
    offers: list[Candidate] = []
    for markets in _preferred(arbitrage, trusted, readiness):
        offers = [c for market in markets if (c := _offer(desk, market, side, abs(certain), cap)) is not None]
        if offers:
            break
    rung = arbitrage.rung + 1
    number = arbitrage.opened.arbitrage
    if not offers:
        why = f"nothing within {bound_bps:g} bps of {reference:f}"
        empty = HedgeDecided(
            ts=desk.ts, arbitrage=number, rung=rung, venue="", side=side, quantity=abs(certain), price=cap, reason=why
        )
        return Step(empty, None, _facts(desk, []))
    leg = min(offers, key=lambda offer: offer.cost).leg
    draft = _draft(desk, arbitrage, leg)
    decided = HedgeDecided(
        ts=desk.ts,
        arbitrage=number,
        rung=rung,
        venue=leg.instrument.venue,
        side=side,
        quantity=leg.quantity,
        price=leg.price,
        reason=f"cheapest of {len(offers)} within {bound_bps:g} bps",
    )
    return Step(decided, draft, _facts(desk, [draft]))


def _preferred(arbitrage: Arbitrage, trusted: list[SymbolMarket], readiness: Readiness) -> Iterator[list[SymbolMarket]]:
    """Books in groups, each tried as a whole before the next: first those of venues that have not said no to a hedge of
    this arbitrage. Within a group those whose links are up; a hedge goes by REST only where none is."""
    groups: dict[int, list[SymbolMarket]] = {}
    for market in trusted:
        venue = market.key[0]
        refused = [o for o in arbitrage.hedges() if o.submitted.venue == venue and o.state is OrderState.REFUSED]
        groups.setdefault(sum(1 for order in refused if order.accepted_ts), []).append(market)  # by the venue's word
    for refusals in sorted(groups):
        group = groups[refusals]
        yield [market for market in group if readiness.reachable(market.key[0])] or group


def _halted(desk: Desk, venue: str) -> bool:
    """Killed or banned there: nothing is sent to that venue, hedges neither."""
    state = desk.states.of(desk.ts, (venue,))
    return state is not None and state.state is TradingState.HALTED


def _offer(desk: Desk, market: SymbolMarket, side: Side, size: Decimal, cap: Decimal) -> Candidate | None:
    """What this book gives within the cap, in whole lots and within the free balance; None where that is no order."""
    instrument = market.instrument
    if instrument is None:
        return None
    fees = desk.fees[market.key]
    price = instrument.price(float(cap), Rounding.DOWN if side is Side.BUY else Rounding.UP)
    quantity = _sized(desk, instrument, fees, side, size, price)
    visible, notional = market.visible(side, float(price), float(quantity))
    quantity = min(quantity, instrument.quantity(visible))
    if quantity <= 0 or quantity < instrument.min_quantity or quantity * price < instrument.min_notional:
        return None
    average = notional / visible
    fee = float(base_fee(fees, side) + quote_fee(fees, side))
    cost = average * (1.0 + fee) if side is Side.BUY else -average * (1.0 - fee)
    return Candidate(SizedLeg(instrument, fees, side, quantity, price, Decimal(repr(average))), cost)


def _sized(desk: Desk, instrument: Instrument, fees: Fees, side: Side, size: Decimal, price: Decimal) -> Decimal:
    """`size` net base as an order quantity, no more than the free balance can carry."""
    if side is Side.SELL:
        affordable = desk.ledger.free(instrument.venue, instrument.base)
        return on_grid(min(size, max(affordable, ZERO)), instrument.lot, Rounding.DOWN)
    per_base = price * (1 + quote_fee(fees, Side.BUY))
    affordable = max(desk.ledger.free(instrument.venue, instrument.quote), ZERO) / per_base
    wanted = gross_up(size, fees, instrument.lot)
    return min(wanted, on_grid(affordable, instrument.lot, Rounding.DOWN))


def _draft(desk: Desk, arbitrage: Arbitrage, leg: SizedLeg) -> Draft:
    """The next attempt of the planned leg that this order stands in for."""
    number = next((p.leg for p in arbitrage.opened.legs if p.side is leg.side), 0)
    attempt = arbitrage.attempts.get(number, 1)
    asset, amount = reserve(leg)
    return Draft(
        instrument=leg.instrument,
        client_id=desk.ids.make(arbitrage.opened.arbitrage, number, attempt),
        arbitrage=arbitrage.opened.arbitrage,
        leg=number,
        attempt=attempt,
        side=leg.side,
        quantity=leg.quantity,
        price=leg.price,
        opening=False,
        reserve_asset=asset,
        reserve=amount,
    )


def _facts(desk: Desk, drafts: list[Draft]) -> Facts:
    """What the gate needs for an order that shrinks exposure: the limits on opening do not apply."""
    return Facts(
        ts=desk.ts,
        state="",
        live_orders=0,
        arbitrages=0,
        recent_orders=0,
        free={
            (d.instrument.venue, d.reserve_asset): desk.ledger.free(d.instrument.venue, d.reserve_asset) for d in drafts
        },
        mids={},
        market_reasons={d.instrument.venue: desk.market.symbols[d.instrument.key].untradable(desk.ts) for d in drafts},
        ages_ns={},
        worst_exposure=ZERO,
        dust=ZERO,
    )
