"""One scene of the fault matrix: a scripted market, a fault, a gap that makes the trader trade; then the verdict.

A `Case` is data: what goes wrong, when the prices part, which ends its row allows and what must have been seen. `play`
runs it and answers a `Result`. The exposure and the state are judged at the end of the time that the row allows (30 s
after the scene began), whatever still goes wrong then; the ledgers once the faults are over and the venues could be
asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from tradeserver.core.breaker import ONE_SIDED
from tradeserver.core.events import Event, Operator
from tradeserver.core.records import (
    Alert,
    ArbitrageClosed,
    ArbitrageOpened,
    BalanceBooked,
    ExposureHeld,
    OrderChanged,
    OrderState,
    Record,
    StateChanged,
    TradingState,
)
from tradeserver.lab.chaos import judge
from tradeserver.lab.chaos.harness import Loop
from tradeserver.lab.chaos.mishaps import Mishap, is_mishap
from tradeserver.lab.chaos.stage import PROPS, Stage
from tradeserver.lab.chaos.timeline import MS, SECOND
from tradeserver.lab.chaos.trader import Setup
from tradeserver.simulator.accounts import Rates
from tradeserver.simulator.config import SimConfig, default_config
from tradeserver.simulator.fault_text import Fault

T = TypeVar("T", bound=Record | Event)

SYMBOL: Final = "XRP/USDT"
WITHIN_S: Final = 30.0
FLAT_QUOTE: Final = 5.0
"""What one scene may leave of an asset, in quote: `ExecutionPolicy.hedge_min_notional`."""
DUST_QUOTE: Final = 20.0
"""Carried dust of one asset may be worth so much: `RiskLimits.max_dust_notional`."""
OUTSIDE: Final = ("balance ", "foreign ", "trader twin")
"""Faults that move balances by other hands: only these may leave a difference that is booked as external."""


class Gap(msgspec.Struct, frozen=True):
    """The symbol is cheap at `buy` for a while: an arbitrage that buys there and sells at the other venue."""

    at_ms: int = 100
    buy: str = "binance"
    bps: float = 25.0
    hold_ms: int = 60
    symbol: str = SYMBOL


class Check(msgspec.Struct, frozen=True):
    """What must have been seen, in words and as a question."""

    words: str
    holds: Callable[[Seen], object]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One scene. `halted` says why a halt is the right end here; without it a halt is a failure."""

    row: int
    name: str
    faults: tuple[str, ...]
    gaps: tuple[Gap, ...] = (Gap(),)
    ends: tuple[str, ...] = ("flat",)
    must: tuple[Check, ...] = ()
    halted: str = ""
    given_up: bool = False  # an order shows after all that nobody could have known of: its hedge was one too many
    seconds: float = WITHIN_S
    pair: int = 0  # the second row of a pair
    symbols: tuple[str, ...] = (SYMBOL,)
    setup: Callable[[Setup], Setup] = lambda setup: setup
    world: Callable[[SimConfig], SimConfig] = lambda config: config
    script: Callable[[Loop, Stage], None] = lambda loop, stage: None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a case. `exposure` is in quote, at worst over the assets, as the exchanges saw it."""

    row: int
    pair: int
    name: str
    fault: str
    end: str
    exposure: float
    ledger_equal: bool
    recovered_s: float  # until nothing was under way any more; -1: not within the time
    passed: bool
    why: str  # "" where it passed


class Seen:
    """A scene that was played, for checks."""

    def __init__(self, loop: Loop, stage: Stage, began: int) -> None:
        self.loop = loop
        self.stage = stage
        self.began = self.armed = began  # `armed`: when the faults began, where a script took time before
        self.trader = loop.trader
        self.desk = loop.engine.desk
        self.faults: list[Fault] = []  # that were in force at the end, with their hits

    def records(self, kind: type[T]) -> list[T]:
        """Since the scene began, over all runs."""
        return [r for r in self.trader.trace.records if isinstance(r, kind) and r.ts >= self.began]

    def events(self, kind: type[T]) -> list[T]:
        """Since the scene began, over all runs."""
        return [e for e in self.trader.trace.events if isinstance(e, kind) and e.ts >= self.began]

    def alerts(self, code: str) -> list[Alert]:
        """By the beginning of their code."""
        return [alert for alert in self.records(Alert) if alert.code.startswith(code)]

    def order_states(self, state: OrderState) -> list[OrderChanged]:
        """Every order's entry into a state."""
        return [r for r in self.records(OrderChanged) if r.state is state]

    def placed(self, venue: str) -> list[Any]:
        """Our placements in the exchange's own log, accepted or not."""
        tag = self.trader.setup.tag
        return [p for p in self.loop.world.exchanges[venue].placed if p.client_id.startswith(tag)]

    def outcomes(self) -> list[str]:
        """How arbitrages ended, in order."""
        return [r.outcome.value for r in self.records(ArbitrageClosed)]


# ---- checks that many rows share -------------------------------------------------------------------------------------

OPENED = Check("an arbitrage was opened", lambda seen: seen.records(ArbitrageOpened))
NOT_OPENED = Check("nothing was opened", lambda seen: not seen.records(ArbitrageOpened))
DOUBTED = Check("an order became UNKNOWN", lambda seen: seen.order_states(OrderState.UNKNOWN))
REFUSED = Check("an order was refused", lambda seen: seen.order_states(OrderState.REFUSED))
HEDGED = Check("it was hedged", lambda seen: "hedged" in seen.outcomes())
COMPLETED = Check("an arbitrage was completed", lambda seen: "completed" in seen.outcomes())
TRADES_AGAIN = Check("it trades again afterwards", lambda seen: _trades_again(seen))


def alerted(code: str) -> Check:
    """Somebody was told."""
    return Check(f"the alert {code}", lambda seen: seen.alerts(code))


def _trades_again(seen: Seen) -> bool:
    """With the faults over, and the breakers cleared by a person, another gap is taken and completed."""
    before = len(seen.records(ArbitrageClosed))
    loop = seen.loop
    loop.run(_pause_left_s(seen))
    for attempt in range(6):
        loop.run(2.0 + attempt)
        for scope in (f"symbol:{SYMBOL}", f"strategy:{judge.STRATEGY}"):
            loop.trader.tell(Operator(ts=0, action="clear", scope=scope, argument=ONE_SIDED, source="control"))
        seen.stage.gap(SYMBOL, "binance" if attempt % 2 == 0 else "kucoin", 25.0, 60 * MS)
        loop.run(1.0)
        if any(r.outcome.value == "completed" for r in seen.records(ArbitrageClosed)[before:]):
            return True
    return False


def _pause_left_s(seen: Seen) -> float:
    """Until the pauses that end by themselves are over (a book that could not be trusted has one), a minute or so."""
    ends = [r.until for r in seen.records(StateChanged) if r.until and r.scope == f"symbol:{SYMBOL}"]
    return max(0.0, (max(ends, default=0) - seen.loop.time.now) / SECOND)


# ---- playing ---------------------------------------------------------------------------------------------------------


def still_config(symbols: Sequence[str]) -> SimConfig:
    """The default exchanges with small fees and nobody but the stage's participants."""
    config = default_config()
    rates = Rates(Decimal("0.0001"), Decimal("0.0002"))
    venues = {venue: msgspec.structs.replace(settings, rates=rates) for venue, settings in config.venues.items()}
    market = msgspec.structs.replace(config.market, symbols={})
    return msgspec.structs.replace(config, market=market, venues=venues)


def set_up(case: Case, seed: int) -> tuple[Loop, Stage]:
    """A trader that is ready, in front of still books."""
    setup = case.setup(Setup(symbols=case.symbols))
    loop = Loop(seed, setup, config=case.world(still_config(case.symbols)))
    stage = Stage(loop.world, loop.time, {symbol: PROPS[symbol] for symbol in case.symbols})
    for _ in range(50):
        loop.run(0.1)
        if loop.quiet():
            return loop, stage
    raise RuntimeError(f"{case.name}: the trader was not ready within 5 s of simulated time")


def play(case: Case, seed: int = 1) -> Result:
    """The scene from its beginning to the verdict."""
    loop, stage = set_up(case, seed)
    began = loop.time.now
    seen = Seen(loop, stage, began)
    case.script(loop, stage)
    seen.armed = loop.time.now
    _arm(case, loop, stage)
    recovered_s = _wait(case, loop, seen.armed)
    seen.desk = loop.engine.desk
    end, exposure, why = _judge_exposure(case, seen)
    seen.faults = list(loop.world.faults.faults)
    loop.world.faults.clear()
    _settle(loop)
    seen.desk = loop.engine.desk
    differences = judge.differences(seen.desk.ledger, loop.world.exchanges.values())
    why += _judge_rest(case, seen, differences)
    return Result(
        row=case.row,
        pair=case.pair,
        name=case.name,
        fault="; ".join(case.faults),
        end=end,
        exposure=round(exposure, 4),
        ledger_equal=not differences,
        recovered_s=recovered_s,
        passed=not why,
        why="; ".join(why),
    )


def _arm(case: Case, loop: Loop, stage: Stage) -> None:
    for text in case.faults:
        if is_mishap(text):
            Mishap(text).arm(loop)
        else:
            loop.world.faults.add(text, loop.time.now)
    for gap in case.gaps:
        loop.time.at(
            loop.time.now + gap.at_ms * MS,
            lambda gap=gap: stage.gap(gap.symbol, gap.buy, gap.bps, gap.hold_ms * MS),  # type: ignore[misc]
        )


def _wait(case: Case, loop: Loop, began: int) -> float:
    """Until the row's time is over, or nothing more can follow; the seconds until nothing was under way."""
    busy_until = began
    least = began + _least_ns(case, loop)
    end = began + int(case.seconds * SECOND)
    while loop.time.now < end:
        loop.run(0.1)
        desk = loop.engine.desk
        if not loop.trader.alive or desk.orders.live or desk.arbitrages:
            busy_until = loop.time.now
        if loop.time.now >= least and loop.time.now - busy_until >= 2 * SECOND and loop.quiet():
            break
    return -1.0 if busy_until >= end else (busy_until - began) / SECOND


def _least_ns(case: Case, loop: Loop) -> int:
    """When the last thing of the scene has begun and ended."""
    ends = [gap.at_ms * MS + gap.hold_ms * MS for gap in case.gaps]
    for fault in loop.world.faults.faults:
        ends.append(fault.after_ns + max(fault.for_ns, fault.duration_ns))
    ends += [Mishap(text).at_ns for text in case.faults if is_mishap(text)]
    return max(ends, default=0) + SECOND


def _judge_exposure(case: Case, seen: Seen) -> tuple[str, float, list[str]]:
    """(end, exposure in quote, what is wrong with them)."""
    loop, desk = seen.loop, seen.desk
    net = judge.exposure(loop.world.exchanges.values(), seen.trader.setup.tag)
    prices = {symbol.partition("/")[0]: PROPS[symbol].mid for symbol in case.symbols}
    quote = judge.in_quote(net, prices)
    held = seen.records(ExposureHeld)
    if desk.orders.live or not seen.trader.alive:
        word = "unresolved"
    elif quote <= FLAT_QUOTE:
        word = "flat"
    else:
        word = "held" if held else "exposed"
    entries, now = desk.states.entries(), loop.time.now
    state = judge.in_force(entries, now, (), case.symbols[0])
    shut = [venue for venue in loop.world.exchanges if _is_halted(judge.in_force(entries, now, (venue,)))]
    end = word if state is None else f"{word} {state.state.value}"
    if shut and not _is_halted(state):
        end += f", {' and '.join(shut)} halted"
    why = []
    if word not in case.ends:
        why.append(f"the end is {end}, not {' or '.join(case.ends)}")
    if _is_halted(state) and not case.halted:
        why.append(f"halted: {state.reason if state else ''}")
    if len(shut) == len(loop.world.exchanges) and not case.halted:
        why.append("every venue is halted")
    if word in ("held", "unresolved"):
        if not (held or seen.alerts("ORDER_UNRESOLVED")):
            why.append("nobody was told of it")
        if state is None and not any(loop.engine.readiness.why_not(venue) for venue in loop.world.exchanges):
            why.append("it is not flat, and everything may be opened")
    return end, quote, why


def _is_halted(state: StateChanged | None) -> bool:
    return state is not None and state.state is TradingState.HALTED


def _settle(loop: Loop) -> None:
    """The faults are over: let everything be asked for and answered."""
    for _ in range(60):
        loop.run(1.0)
        if loop.trader.alive and loop.quiet():
            break
    loop.run(0.5)


def _judge_rest(case: Case, seen: Seen, differences: list[str]) -> list[str]:
    loop, trader = seen.loop, seen.trader
    why = []
    if trader.reactor.failure is not None:
        why.append(f"our own code failed: {trader.reactor.failure!r}")
    found = judge.violations(loop.networks, trader.setup.tag, trader.states)
    if not case.given_up:
        prices = {symbol.partition("/")[0]: PROPS[symbol].mid for symbol in case.symbols}
        found += judge.worsened(loop.networks, trader.setup.tag, prices, FLAT_QUOTE)
    why += [f"{one.what}: {one.client_id}" for one in found]
    if seen.desk.orders.live:
        states = Counter(order.state.value for order in seen.desk.orders.live.values())
        why.append(f"still open after the faults were over: {dict(states)}")
    if differences:
        why.append("; ".join(differences))
    if not any(word in fault for word in OUTSIDE for fault in case.faults):  # else our own mistakes would hide in it
        external = [r for r in seen.records(BalanceBooked) if r.reason == "external"]
        why += [f"{r.venue} {r.asset}: {r.total - r.previous:+f} booked as external" for r in external]
    theirs = judge.exposure(loop.world.exchanges.values(), trader.setup.tag)
    ours = judge.believed(seen.desk)
    if not differences and not loop.others and ours != theirs:
        why.append(f"exposure is {_money(theirs)}, and we believe {_money(ours)}")
    for network in loop.networks.values():
        if network.front.escalations():
            why.append(f"{network.venue} had to ban us")
    why += [f"not seen: {check.words}" for check in case.must if not check.holds(seen)]
    return why


def _money(net: dict[str, Decimal]) -> str:
    return ", ".join(f"{amount:f} {asset}" for asset, amount in net.items()) or "nothing"
