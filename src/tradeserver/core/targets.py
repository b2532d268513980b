"""From a target position to orders: one IOC order a leg for the difference between what is held and what should be.

An order either opens (away from zero) or shrinks (towards it); a target on the other side of zero takes both, one after
the other. Opening legs pass every limit; of several, all go in full or none does. A shrinking order passes the rules
that make it legal and possible; it leaves in every trading state but HALTED, for that is what those states are for.
What has filled is held (`core/held.py`) and no exposure of the arbitrage; what may still fill is.

One adjustment is one entry in the table of arbitrages, with the plan "targets": late fills, doubts, recovery and limits
are those of any other. Its edge is the profit that its fills have realised against average cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from tradeserver.core import risk
from tradeserver.core.allowance import Allowance
from tradeserver.core.arbitrage import TARGETS, Arbitrage
from tradeserver.core.breaker import Breakers
from tradeserver.core.desk import Desk
from tradeserver.core.intents import HoldTargets, Sighting, Target
from tradeserver.core.ledger import Position
from tradeserver.core.market import SymbolMarket
from tradeserver.core.records import ArbitrageClosed, ArbitrageOpened, Leg, Outcome, TradingState
from tradeserver.core.risk import Approved, Draft, Facts, Reason, Refused, RiskLimits
from tradeserver.core.sizing import ONE, SizedLeg, base_fee, money, quote_fee, reserve
from tradeserver.core.types import ZERO, Fees, Instrument, Rounding, Side, measured, on_grid
from tradeserver.core.venues import Readiness

MakeFacts = Callable[[str, str, str, Sequence[SymbolMarket], dict[tuple[str, str], Decimal], Decimal], Facts]
"""`Execution.facts`."""


class _Move(msgspec.Struct, frozen=True):
    """One leg on its way to its target."""

    leg: SizedLeg
    opening: bool


class Targets:
    """See the module."""

    def __init__(
        self,
        desk: Desk,
        limits: RiskLimits,
        cool_off_ns: int,
        readiness: Readiness,
        breakers: Breakers,
        facts: MakeFacts,
        submit: Callable[[Approved, int, SymbolMarket], None],
        allowance: Allowance,
    ) -> None:
        self._desk = desk
        self._limits = limits
        self._cool_off_ns = cool_off_ns
        self._readiness = readiness
        self._breakers = breakers
        self._facts = facts
        self._submit = submit
        self._allowance = allowance
        self._cool_until: dict[tuple[str, str], int] = {}  # (strategy, symbol)

    # ---- opening ---------------------------------------------------------------------------------------------------

    def take(
        self, strategy: str, opportunity: int, sighting: Sighting, intent: HoldTargets
    ) -> tuple[int, tuple[str, ...]]:
        """(number, ()) where every leg that is not at its target is commanded, else (0, every reason)."""
        reasons = self._forbidden(strategy, intent)
        known = self._allowance.known()
        if reasons:
            return 0, reasons
        free: dict[tuple[str, str], Decimal] = {}
        moves: list[_Move] = []
        for target in intent.targets:
            move = self._move(strategy, target, free, whole=len(intent.targets) > 1)
            if isinstance(move, str):
                if move != Reason.ON_TARGET:
                    reasons = (*reasons, move)
            elif move.opening and not known:
                return 0, (f"{Reason.CAPITAL_UNKNOWN}",)
            else:
                moves.append(move)
        approved: list[tuple[Approved, _Move]] = []
        for number, move in enumerate(moves):
            verdict = self._approve(strategy, number, move, free)
            if isinstance(verdict, Refused):
                reasons = (*reasons, *verdict.reasons)
            else:
                approved.append((verdict, move))
        if not approved or (reasons and any(move.opening for move in moves)):
            return 0, tuple(dict.fromkeys(reasons)) or (Reason.ON_TARGET,)
        return self._open(strategy, opportunity, sighting, approved), ()

    def _forbidden(self, strategy: str, intent: HoldTargets) -> tuple[str, ...]:
        desk = self._desk
        symbols = [target.symbol for target in intent.targets]
        for arbitrage in desk.arbitrages.values():
            opened = arbitrage.opened
            if opened.strategy == strategy and any(leg.symbol in symbols for leg in opened.legs):
                return (Reason.IN_FLIGHT,)
        if any(self._cool_until.get((strategy, symbol), 0) > desk.ts for symbol in symbols):
            return (Reason.COOL_OFF,)
        return ()

    def _move(self, strategy: str, target: Target, free: dict[tuple[str, str], Decimal], *, whole: bool) -> _Move | str:
        """The leg in money, within balance and visible depth; or why there is none. `free` is what other legs leave,
        `whole` forbids to open less than the target: another leg stands against it."""
        desk = self._desk
        venue, symbol = target.venue, target.symbol
        market = desk.market.symbols[venue, symbol]
        instrument, fees = market.instrument, desk.fees.get((venue, symbol))
        if instrument is None or fees is None:
            return f"{Reason.FEES_UNKNOWN} {venue}"
        held = desk.held.quantity(strategy, venue, symbol)
        difference = Decimal(repr(target.quantity)) - held
        side = Side.BUY if difference > 0 else Side.SELL
        price = measured(target.cap, instrument.tick, Rounding.DOWN if side is Side.BUY else Rounding.UP)
        if price <= 0:
            return f"{Reason.TICK_SIZE} {venue}"
        opening = (held > 0) == (difference > 0) or not _sellable(instrument, abs(held), price)
        if opening and not target.quantity:
            return Reason.ON_TARGET  # what is held cannot be traded by itself
        wanted = abs(difference) if opening else min(abs(difference), abs(held))
        if on_grid(wanted, instrument.lot, Rounding.DOWN) == 0:
            return Reason.ON_TARGET
        if opening:
            most = self._allowance.most(strategy, symbol, (venue,), instrument.quote) / price
            most *= ONE - base_fee(fees, side)
            if whole and most < wanted:
                return f"{Reason.MAX_ORDER_NOTIONAL} {venue}"
            wanted = min(wanted, most)
        quantity, limiter = self._affordable(instrument, fees, side, wanted, price, free, opening)
        visible, notional = market.visible(side, float(price), float(quantity))
        seen = min(quantity, instrument.quantity(visible))
        if visible <= 0.0 or (whole and opening and (limiter or seen < quantity)):
            return limiter or f"{Reason.NO_DEPTH} {venue}"
        quantity = seen
        expected = money(notional / visible, instrument)
        leg = SizedLeg(instrument, fees, side, quantity, price, expected)
        asset, amount = reserve(leg)
        free[venue, asset] -= amount
        return _Move(leg, opening)

    def _affordable(
        self,
        rules: Instrument,
        fees: Fees,
        side: Side,
        wanted: Decimal,
        price: Decimal,
        free: dict[tuple[str, str], Decimal],
        opening: bool,
    ) -> tuple[Decimal, str]:
        """`wanted` net base as an order's quantity, no more than the free balance, and the balance that decided."""
        asset = rules.base if side is Side.SELL else rules.quote
        has = free.setdefault((rules.venue, asset), self._desk.ledger.free(rules.venue, asset))
        if opening:
            has -= self._allowance.floors.get((rules.venue, asset), ZERO)
        if side is Side.SELL:
            most, quantity = has, on_grid(wanted, rules.lot, Rounding.DOWN)
        else:
            most = has / (price * (ONE + quote_fee(fees, side)))
            quantity = on_grid(wanted / (ONE - base_fee(fees, side)), rules.lot, Rounding.DOWN)
        if most >= quantity:
            return quantity, ""
        short = f"{Reason.NO_BALANCE} {rules.venue} {asset}"
        if opening:
            short = self._allowance.named(short)
        return on_grid(max(most, ZERO), rules.lot, Rounding.DOWN), short

    def _approve(
        self, strategy: str, number: int, move: _Move, free: dict[tuple[str, str], Decimal]
    ) -> Approved | Refused:
        desk = self._desk
        leg = move.leg
        rules = leg.instrument
        asset, amount = reserve(leg)
        draft = Draft(
            instrument=rules,
            client_id=desk.ids.make(desk.next_arbitrage, number, 0),
            arbitrage=desk.next_arbitrage,
            leg=number,
            attempt=0,
            side=leg.side,
            quantity=leg.quantity,
            price=leg.price,
            opening=move.opening,
            reserve_asset=asset,
            reserve=amount,
            expected_price=leg.expected_price,
        )
        left = {(rules.venue, asset): free[rules.venue, asset] + amount}
        dust = abs(desk.dust.get(rules.base, ZERO))
        facts = self._facts(strategy, rules.symbol, rules.base, (desk.market.symbols[rules.key],), left, dust)
        why = self._readiness.why_not(rules.venue)
        if not move.opening:
            state = desk.states.of(desk.ts, (rules.venue,), rules.symbol, strategy)
            halted = state is not None and state.state is TradingState.HALTED
            facts = msgspec.structs.replace(facts, state=facts.state if halted else "")
            why = "" if self._readiness.known(rules.venue) else "not known"
        if why:
            return Refused((f"{Reason.VENUE_NOT_READY} {rules.venue}: {why}",))
        verdict = risk.check(self._limits, facts, (draft,))
        return verdict if isinstance(verdict, Refused) else verdict[0]

    def _open(self, strategy: str, opportunity: int, sighting: Sighting, approved: list[tuple[Approved, _Move]]) -> int:
        desk = self._desk
        number = desk.next_arbitrage
        legs = tuple(_plan(one.draft, move.leg) for one, move in approved)
        first = approved[0][1].leg.instrument
        expected = sum((self._expected(strategy, move.leg) for _, move in approved), ZERO)
        desk.keep(
            ArbitrageOpened(
                ts=desk.ts,
                arbitrage=number,
                strategy=strategy,
                opportunity=opportunity,
                base=first.base,
                quote=first.quote,
                legs=legs,
                gross_bps=sighting.gross_bps,
                net_bps=sighting.net_bps,
                expected_edge=expected,
                on_exhausted="hold",
                plan=TARGETS,
            )
        )
        for one, move in approved:
            market = desk.market.symbols[move.leg.instrument.key]
            self._submit(one, market.stamp_ns, market)
        return number

    def _expected(self, strategy: str, leg: SizedLeg) -> Decimal:
        """The profit that this leg realises if it fills at the visible average."""
        held = self._desk.held.by_key.get((strategy, *leg.instrument.key))
        trial = Position() if held is None else Position(held.quantity, held.cost)
        value = leg.quantity * leg.expected_price
        fee = value * quote_fee(leg.fees, leg.side)
        if leg.side is Side.BUY:
            return trial.trade(leg.quantity * (ONE - base_fee(leg.fees, leg.side)), -value - fee)
        return trial.trade(-leg.quantity, value - fee)

    # ---- after that ------------------------------------------------------------------------------------------------

    def advance(self, arbitrage: Arbitrage) -> None:
        """Over once none of its orders lives. A late fill opens it again, and it closes again."""
        if arbitrage.live:
            return
        desk = self._desk
        opened = arbitrage.opened
        filled = [order.filled for order in arbitrage.orders.values()]
        closed = ArbitrageClosed(
            ts=desk.ts,
            arbitrage=opened.arbitrage,
            strategy=opened.strategy,
            base=opened.base,
            quote=opened.quote,
            outcome=Outcome.COMPLETED if any(filled) else Outcome.NOTHING,
            one_sided=False,
            quantity=min(filled, default=ZERO),
            expected_edge=opened.expected_edge,
            realised_edge=arbitrage.realised,
            bridge={"execution": arbitrage.realised - opened.expected_edge},
            residual_base=ZERO,
            hedges=0,
            duration_ns=desk.ts - opened.ts,
            plan=TARGETS,
        )
        desk.keep(closed)
        self._breakers.on_closed(closed, opened.legs[0].symbol)
        for leg in opened.legs:
            self._cool_until[opened.strategy, leg.symbol] = desk.ts + self._cool_off_ns


def _sellable(rules: Instrument, quantity: Decimal, price: Decimal) -> bool:
    """Whether so much is an order at all; less is carried along until the next one."""
    whole = on_grid(quantity, rules.lot, Rounding.DOWN)
    return whole > 0 and whole >= rules.min_quantity and whole * price >= rules.min_notional


def _plan(draft: Draft, leg: SizedLeg) -> Leg:
    net = leg.quantity * (ONE - base_fee(leg.fees, leg.side))
    return Leg(
        leg=draft.leg,
        venue=draft.instrument.venue,
        symbol=draft.instrument.symbol,
        side=draft.side,
        quantity=draft.quantity,
        cap=draft.price,
        expected_price=leg.expected_price,
        expected_fee=leg.quantity * leg.expected_price * quote_fee(leg.fees, leg.side),
        net_base=net if draft.side is Side.BUY else -net,
        client_id=draft.client_id,
    )
