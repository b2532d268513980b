"""From intents to orders, and from their fates to a closed arbitrage.

`take` decides one intent: sized, through the gate, recorded, both legs commanded in the same step. `advance` looks at
every open arbitrage after anything happened to it or time passed: when its orders are over it hedges what is certain
(`core/hedging.py`) or closes with its bridge. It sees every event in every trading state; the state decides only what
may leave. Orders are sent by nobody but the shell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from tradeserver.core import hedging, risk
from tradeserver.core.allowance import Allowance
from tradeserver.core.arbitrage import LEGS, TARGETS, Arbitrage, far_end, near_end
from tradeserver.core.breaker import Breakers
from tradeserver.core.commands import CancelAll, CancelOrder, Command
from tradeserver.core.desk import Desk
from tradeserver.core.hedging import HedgePolicy
from tradeserver.core.intents import AnyIntent, Intent, Sighting
from tradeserver.core.market import SymbolMarket
from tradeserver.core.records import (
    ArbitrageClosed,
    ArbitrageOpened,
    ExposureHeld,
    Leg,
    OrderSubmitted,
    Outcome,
    Severity,
    TradingState,
)
from tradeserver.core.risk import Approved, Draft, Facts, Reason, Refused, RiskLimits
from tradeserver.core.sizing import BUY, SELL, Sized, SizedLeg, money, rates, reserve, size
from tradeserver.core.targets import Targets
from tradeserver.core.types import ZERO, Side
from tradeserver.core.venues import Readiness

SECOND_NS = 1_000_000_000
MOST_HEDGES = 1_000
"""Of one arbitrage, those that never left included: its client ids have room for 3,844 attempts of a leg."""


@dataclass(frozen=True)
class ExecutionPolicy:
    """How arbitrages are executed and repaired."""

    cool_off_ms: Annotated[int, Ge(0)] = 250
    """Pause of one direction after an arbitrage in it."""
    answer_timeout_ms: Annotated[int, Gt(0)] = 1_000
    """An IOC order without an end for longer is asked for."""
    unknown_bound_ms: Annotated[int, Gt(0)] = 15_000
    """An order that no query sent later than this after it, and no fill, shows, never was. Longer than any venue's
    receive window plus processing bound (Binance: recvWindow + 10 s)."""
    ladder_bps: tuple[float, ...] = (10.0, 25.0, 50.0)
    """Loss against the planned price that each hedge rung may cost."""
    unwind_cap_bps: Annotated[float, Gt(0)] = 200.0
    """Hard cap of the last rungs, where `on_exhausted` is "unwind"."""
    unwind_attempts: Annotated[int, Ge(0)] = 3
    rung_ms: Annotated[int, Gt(0)] = 100
    """Time between two rungs where a rung found nothing to trade on."""
    hedge_wait_ms: Annotated[int, Gt(0)] = 10_000
    """Exposure that no book can hedge for longer is paged."""
    hedge_min_notional: Annotated[Decimal, Ge(0)] = Decimal(5)
    """A residue worth less, in quote, is dust."""
    on_exhausted: Literal["unwind", "hold"] = "unwind"
    reconcile_s: Annotated[int, Ge(0)] = 300
    """Open orders and balances of a venue that trades are compared with ours so often. 0: at starts and gaps only."""


class Execution:
    """See the module."""

    def __init__(
        self,
        desk: Desk,
        limits: RiskLimits,
        policy: ExecutionPolicy,
        readiness: Readiness,
        breakers: Breakers,
        allowance: Allowance,
    ) -> None:
        self._desk = desk
        self._limits = limits
        self._policy = policy
        self._hedges = HedgePolicy(
            ladder_bps=policy.ladder_bps,
            unwind_cap_bps=policy.unwind_cap_bps,
            unwind_attempts=policy.unwind_attempts if policy.on_exhausted == "unwind" else 0,
            min_notional=policy.hedge_min_notional,
        )
        self._readiness = readiness
        self._breakers = breakers
        self._answer_ns = policy.answer_timeout_ms * 1_000_000
        self._own_ns = desk.market.limits.own_ms * 1_000_000
        self._allowance = allowance
        self._cancels: deque[int] = deque(maxlen=1_000)
        self._recent: deque[int] = deque()  # stamps of opening orders within the last second
        cool_off_ns = policy.cool_off_ms * 1_000_000
        self._targets = Targets(desk, limits, cool_off_ns, readiness, breakers, self.facts, self._submit, allowance)
        self._plans: dict[str, Callable[[Arbitrage], None]] = {LEGS: self._advance_legs, TARGETS: self._targets.advance}
        self._cool_until: dict[tuple[str, str, str], int] = {}

    # ---- opening ---------------------------------------------------------------------------------------------------

    def take(
        self, strategy: str, opportunity: int, sighting: Sighting, intent: AnyIntent
    ) -> tuple[int, tuple[str, ...]]:
        """(arbitrage number, ()) where its orders are commanded, else (0, every reason)."""
        if isinstance(intent, Intent):
            return self._take_legs(strategy, opportunity, sighting, intent)
        return self._targets.take(strategy, opportunity, sighting, intent)

    def _take_legs(
        self, strategy: str, opportunity: int, sighting: Sighting, intent: Intent
    ) -> tuple[int, tuple[str, ...]]:
        desk = self._desk
        reasons = self._forbidden(strategy, sighting, intent)
        if reasons:
            return 0, reasons
        allowance = self._allowance
        if not allowance.known():
            return 0, (f"{Reason.CAPITAL_UNKNOWN}",)
        legs = []
        markets = []
        free = {}
        spendable = {}
        for leg in intent.legs:
            key = (leg.venue, intent.symbol)
            market, fees = desk.market.symbols[key], desk.fees.get(key)
            instrument = market.instrument
            if instrument is None or fees is None:
                return 0, (f"{Reason.FEES_UNKNOWN} {leg.venue}",)
            legs.append((leg, instrument, fees))
            markets.append(market)
            asset = instrument.quote if leg.side is BUY else instrument.base
            free[leg.venue, asset] = left = desk.ledger.free(leg.venue, asset)
            spendable[leg.venue, asset] = left - allowance.floors.get((leg.venue, asset), ZERO)
        base = legs[0][1].base
        venues = [leg.venue for leg in intent.legs]
        most = allowance.most(strategy, intent.symbol, venues, legs[0][1].quote)
        dust = desk.dust.get(base, ZERO)
        sized = size(legs, intent.quantity, most, spendable, dust)
        limiter = allowance.named(sized.limiter)
        if not sized.legs:
            return 0, (limiter,)
        drafts = self._drafts(sized.legs)
        left = dust - sized.carried  # what this very trade takes in is no reason against it
        facts = self.facts(strategy, intent.symbol, base, markets, free, abs(left))
        verdict = risk.check(self._limits, facts, drafts)
        if isinstance(verdict, Refused):
            return 0, verdict.reasons if not limiter else tuple(dict.fromkeys((limiter, *verdict.reasons)))
        return self._open(strategy, opportunity, sighting, sized, verdict, markets), ()

    def _forbidden(self, strategy: str, sighting: Sighting, intent: Intent) -> tuple[str, ...]:
        """What forbids the direction before any arithmetic."""
        desk = self._desk
        reasons = []
        if sighting.gross_bps > self._limits.max_edge_bps:
            reasons.append(f"{Reason.EDGE_TOO_GOOD}")
        for leg in intent.legs:
            why = self._readiness.why_not(leg.venue)
            if why:
                reasons.append(f"{Reason.VENUE_NOT_READY} {leg.venue}: {why}")
        for arbitrage in desk.arbitrages.values():
            if arbitrage.opened.legs[0].symbol == intent.symbol and arbitrage.opened.strategy == strategy:
                reasons.append(f"{Reason.IN_FLIGHT}")
                break
        if self._cool_until.get((intent.symbol, sighting.buy_venue, sighting.sell_venue), 0) > desk.ts:
            reasons.append(f"{Reason.COOL_OFF}")
        return tuple(reasons)

    def _drafts(self, sized: tuple[SizedLeg, ...]) -> list[Draft]:
        desk = self._desk
        arbitrage = desk.next_arbitrage
        drafts = []
        for number, leg in enumerate(sized):
            asset, amount = reserve(leg)
            client_id = desk.ids.make(arbitrage, number, 0)
            drafts.append(
                Draft(
                    leg.instrument,
                    client_id,
                    arbitrage,
                    number,
                    0,
                    leg.side,
                    leg.quantity,
                    leg.price,
                    True,
                    asset,
                    amount,
                    expected_price=leg.expected_price,
                )
            )
        return drafts

    def facts(
        self,
        strategy: str,
        symbol: str,
        base: str,
        markets: Sequence[SymbolMarket],
        free: dict[tuple[str, str], Decimal],
        dust: Decimal,
    ) -> Facts:
        """What the gate looks at for opening orders in one symbol on these books."""
        desk = self._desk
        ts, recent = desk.ts, self._recent
        while recent and ts - recent[0] >= SECOND_NS:
            recent.popleft()
        mids: dict[str, Decimal] = {}
        market_reasons: dict[str, str] = {}
        ages_ns: dict[str, int] = {}
        for market in markets:
            venue = market.key[0]
            if market.bid > 0.0 and market.ask > 0.0:
                mids[venue] = Decimal(repr(market.mid))
            market_reasons[venue] = market.untradable(ts)
            ages_ns[venue] = market.age_ns(ts)
        state = desk.states.of(ts, market_reasons, symbol, strategy)
        return Facts(
            ts=ts,
            state=f"{state.state.value} {state.scope} {state.reason}" if state else "",
            live_orders=len(desk.orders.live),
            arbitrages=len(desk.arbitrages),
            recent_orders=len(recent),
            recent_cancels=self._recent_cancels() if self._cancels else 0,
            full=self._allowance.full(strategy, symbol, list(market_reasons), len(markets)),
            resting=self._resting(symbol) if desk.orders.live else (),
            conditions=self._allowance.conditions.refusal(symbol, market_reasons),
            free=free,
            mids=mids,
            market_reasons=market_reasons,
            ages_ns=ages_ns,
            worst_exposure=self.worst_exposure(base),
            dust=dust,
            allowed=self._allowance.of(strategy, symbol, list(market_reasons), symbol.partition("/")[2]),
        )

    def note_cancels(self, commands: Sequence[Command]) -> None:
        """Cancels of this step, whoever wanted them."""
        for command in commands:
            if isinstance(command, CancelOrder | CancelAll):
                self._cancels.append(self._desk.ts)

    def _recent_cancels(self) -> int:
        while self._cancels and self._desk.ts - self._cancels[0] >= SECOND_NS:
            self._cancels.popleft()
        return len(self._cancels)

    def _resting(self, symbol: str) -> tuple[tuple[str, Side, Decimal], ...]:
        live = [order.submitted for order in self._desk.orders.live.values()]
        return tuple([(o.venue, o.side, o.price) for o in live if o.symbol == symbol])

    def worst_exposure(self, base: str) -> Decimal:
        """|exposure| of one asset: open arbitrages, each at its far end, what is carried, and what strategies hold."""
        total = abs(self._desk.dust.get(base, ZERO)) + self._desk.held.worst(base)
        for arbitrage in self._desk.arbitrages.values():
            interval = arbitrage.exposures().get(base)
            if interval is not None:
                total += abs(far_end(interval))
        return total

    def _open(
        self,
        strategy: str,
        opportunity: int,
        sighting: Sighting,
        sized: Sized,
        approved: tuple[Approved, ...],
        markets: Sequence[SymbolMarket],
    ) -> int:
        desk = self._desk
        number = desk.next_arbitrage
        legs = []
        residual = edge = mark = ZERO
        newest = 0  # the market data that triggered both legs
        for one, leg, market in zip(approved, sized.legs, markets, strict=True):
            plan = _plan(one.draft, leg)
            legs.append(plan)
            residual += plan.net_base
            value = leg.quantity * leg.expected_price
            if leg.side is BUY:
                mark = mark or leg.expected_price
                value = -value
            edge += value - plan.expected_fee
            if market.stamp_ns > newest:
                newest = market.stamp_ns
        instrument = sized.legs[0].instrument
        desk.keep(
            ArbitrageOpened(
                ts=desk.ts,
                arbitrage=number,
                strategy=strategy,
                opportunity=opportunity,
                base=instrument.base,
                quote=instrument.quote,
                legs=tuple(legs),
                gross_bps=sighting.gross_bps,
                net_bps=sighting.net_bps,
                expected_edge=edge + residual * mark,
                on_exhausted=self._policy.on_exhausted,
                carried=sized.carried,
            )
        )
        for one, market in zip(approved, markets, strict=True):
            self._submit(one, newest, market)
        return number

    def _submit(self, approved: Approved, stamp_ns: int, market: SymbolMarket) -> None:
        desk = self._desk
        draft, ts = approved.draft, desk.ts
        client_id, side, quantity, price = draft.client_id, draft.side, draft.quantity, draft.price
        venue, symbol = market.key
        desk.keep(
            OrderSubmitted(
                ts=ts,
                venue=venue,
                symbol=symbol,
                client_id=client_id,
                arbitrage=draft.arbitrage,
                leg=draft.leg,
                attempt=draft.attempt,
                side=side,
                quantity=quantity,
                price=price,
                time_in_force=draft.time_in_force.value,
                opening=draft.opening,
                reserve_asset=draft.reserve_asset,
                reserve=draft.reserve,
                venue_ts=stamp_ns,
            )
        )
        order = desk.orders.by_id[client_id]
        order.sent_ts = ts
        order.next_query = ts + self._answer_ns
        market.take(side, float(price), float(quantity), ts + self._own_ns)
        if draft.opening:
            self._recent.append(ts)
        desk.commands.append(risk.submit(approved))

    # ---- after that ------------------------------------------------------------------------------------------------

    def advance(self, arbitrage: Arbitrage) -> None:
        """One look at an open arbitrage: what its plan wants next."""
        self._plans[arbitrage.opened.plan](arbitrage)

    def _advance_legs(self, arbitrage: Arbitrage) -> None:
        """Hedge what is certain, close what is over, wait for the rest."""
        desk = self._desk
        certain = near_end(arbitrage.interval())
        exposed = bool(certain) and not hedging.is_dust(desk, self._hedges, arbitrage, certain)
        if exposed:
            if not arbitrage.unhedged_since:
                arbitrage.unhedged_since = desk.ts
            if desk.ts >= arbitrage.next_hedge:
                self._repair(arbitrage, certain)
        else:
            arbitrage.unhedged_since = 0
        if not arbitrage.live and not exposed:
            self._close(arbitrage, held=False)

    def next_deadline(self) -> int:
        """When a tick would hedge; 0 where nothing waits for one."""
        return min((a.next_hedge for a in self._desk.arbitrages.values() if a.unhedged_since), default=0)

    def _repair(self, arbitrage: Arbitrage, certain: Decimal) -> None:
        """The next rung for `certain` base too much (or, negative, too little)."""
        desk = self._desk
        unsent = arbitrage.rung - arbitrage.rungs_tried
        arbitrage.next_hedge = desk.ts + (SECOND_NS if unsent else self._policy.rung_ms * 1_000_000)
        if desk.ts < self._readiness.hold_until:
            return self._page(arbitrage, certain, "the venues are still asked for what the log has lost")
        state = desk.states.of(desk.ts, (), arbitrage.opened.legs[0].symbol, arbitrage.opened.strategy)
        if state is not None and state.state is TradingState.HALTED:
            return self._page(arbitrage, certain, f"halted: {state.reason}")
        if arbitrage.rungs_tried >= self._hedges.rungs or arbitrage.rung >= MOST_HEDGES:
            return None if arbitrage.live else self._close(arbitrage, held=True)
        step = hedging.next_rung(desk, self._hedges, arbitrage, certain, self._readiness)
        if step is None:  # no book that could be traded on: that is no rung's fault
            return self._page(arbitrage, certain, "no venue's book can be traded on")
        desk.keep(step.decided)
        if step.draft is not None:
            verdict = risk.check(self._limits, step.facts, (step.draft,))
            if not isinstance(verdict, Refused):
                market = desk.market.symbols[step.draft.instrument.key]
                self._submit(verdict[0], market.stamp_ns, market)
        return None

    def _page(self, arbitrage: Arbitrage, certain: Decimal, why: str) -> None:
        """Name exposure that stays too long, once."""
        desk = self._desk
        waited = desk.ts - arbitrage.unhedged_since
        if not arbitrage.paged and waited >= self._policy.hedge_wait_ms * 1_000_000:
            arbitrage.paged = True
            self._hold(arbitrage, certain, why)

    def _hold(self, arbitrage: Arbitrage, certain: Decimal, why: str) -> None:
        desk = self._desk
        low, high = arbitrage.interval()
        number, base = arbitrage.opened.arbitrage, arbitrage.opened.base
        desk.keep(ExposureHeld(ts=desk.ts, arbitrage=number, asset=base, low=low, high=high, reason=why))
        desk.alert(
            Severity.CRITICAL,
            "EXPOSURE_HELD",
            f"Arbitrage {number} is exposed by {certain} {base}: {why}. "
            f"Level it by hand, then: clear dust --scope asset:{base}.",
        )

    def _close(self, arbitrage: Arbitrage, *, held: bool) -> None:
        desk = self._desk
        opened = arbitrage.opened
        realised, bridge, residual = arbitrage.result(self._mark(arbitrage))
        hedges = len(arbitrage.hedges())
        filled = [order.filled for order in arbitrage.leg_orders()]
        if held:
            self._hold(arbitrage, residual, "the hedge ladder is exhausted")
            outcome = Outcome.HELD
        elif not any(order.filled for order in arbitrage.orders.values()):
            outcome = Outcome.NOTHING
        elif hedges:
            outcome = Outcome.HEDGED
        else:
            outcome = Outcome.COMPLETED
        closed = ArbitrageClosed(
            ts=desk.ts,
            arbitrage=opened.arbitrage,
            strategy=opened.strategy,
            base=opened.base,
            quote=opened.quote,
            outcome=outcome,
            one_sided=arbitrage.one_sided,
            quantity=min(filled, default=ZERO),
            expected_edge=opened.expected_edge,
            realised_edge=realised,
            bridge=bridge,
            residual_base=residual,
            hedges=hedges,
            duration_ns=desk.ts - opened.ts,
            exposure_quote_s=arbitrage.exposure_until(desk.ts),
        )
        desk.keep(closed)
        self._breakers.on_closed(closed, opened.legs[0].symbol)
        legs = sorted(opened.legs, key=lambda leg: leg.side is SELL)
        if len(legs) > 1:  # one that was recovered may have lost a leg
            direction = (legs[0].symbol, legs[0].venue, legs[1].venue)
            self._cool_until[direction] = desk.ts + self._policy.cool_off_ms * 1_000_000

    def _mark(self, arbitrage: Arbitrage) -> Decimal:
        """What one base is worth now: a mid of a leg's venue, else the plan's price."""
        for leg in arbitrage.opened.legs:
            market: SymbolMarket = self._desk.market.symbols[leg.venue, leg.symbol]
            if market.instrument is not None and market.bid > 0.0 and market.ask > 0.0:
                return money(market.mid, market.instrument)
        return arbitrage.opened.legs[0].expected_price


def _plan(draft: Draft, leg: SizedLeg) -> Leg:
    instrument, quantity, expected = leg.instrument, leg.quantity, leg.expected_price
    in_base, in_quote = rates(leg.fees, leg.side)
    return Leg(
        draft.leg,
        instrument.venue,
        instrument.symbol,
        leg.side,
        quantity,
        leg.price,
        expected,
        expected_fee=quantity * expected * in_quote,
        net_base=quantity * (1 - in_base) if leg.side is BUY else quantity * (in_base - 1),
        client_id=draft.client_id,
    )
