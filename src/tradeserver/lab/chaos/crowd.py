"""A crowded world for randomised runs: many symbols, prices that part all the time, and mixes of faults by dice.

Everything comes from one seed. Gaps open somewhere every few milliseconds and close again soon, so that many
arbitrages are under way at once; faults come and go in spells, several at a time.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.core.breaker import BreakerLimits
from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.losses import LossLimits
from tradeserver.core.risk import RiskLimits
from tradeserver.lab.chaos.harness import Loop
from tradeserver.lab.chaos.mishaps import Mishap, is_mishap
from tradeserver.lab.chaos.stage import Prop, Stage
from tradeserver.lab.chaos.timeline import MS, SECOND
from tradeserver.lab.chaos.trader import Setup
from tradeserver.simulator.accounts import Rates
from tradeserver.simulator.config import LimitsConfig, SimConfig, VenueConfig, default_config
from tradeserver.simulator.fault_text import Fault
from tradeserver.simulator.types import Symbol

COUNT: Final = 12
SYMBOLS: Final = {f"C{n:02}/USDT": Prop(mid=2.0 + 0.5 * n, level_quote=250.0 + 20 * n) for n in range(COUNT)}
LIMITS: Final = LimitsConfig(
    request_weight_1m=600_000, orders_10s=100_000, spot_30s=600_000, management_30s=100_000, public_30s=100_000
)
"""So many orders a second are no subject here; some spells throttle all the same."""

GAP_MS: Final = 6.0
"""Mean pause between two gaps while the trader could take them; IDLE_GAP_MS while a venue of it is not ready."""
IDLE_GAP_MS: Final = 60.0

SPELLS: Final = (
    "drop {v}.orders 30%",
    "drop {v}.orders side=in 3%",
    "drop {v}.user 30%",
    "delay {v}.orders 400ms 40%",
    "delay {v}.user 700ms 40%",
    "reorder {v}.user 60ms 50%",
    "reorder {v}.orders 60ms 50%",
    "duplicate {v}.user 50%",
    "duplicate {v}.orders 50%",
    "drop {v}.market 10%",
    "refuse binance.orders code=-2010 25%",
    "refuse binance.orders code=-1013 25%",
    "refuse kucoin.orders code=200004 25%",
    "refuse kucoin.orders code=400100 25%",
    "refuse binance.orders code=-1007 3%",
    "refuse kucoin.orders code=500000 3%",
    "answer binance.orders code=-1007 25%",
    "answer kucoin.orders code=408000 25%",
    "answer {v}.rest status=503 40%",
    "answer {v}.rest status=403 side=in 30%",
    "partial {v}.orders share=0.5 40%",
    "partial {v}.orders share=0.05 30%",
    "partial {v}.orders share=0 20%",
    "blackhole {v}.orders",
    "blackhole {v}.user",
    "unreachable {v}.rest",
    "skew {v} +2s",
    "skew {v} -2s",
)
"""Faults that may last for a spell. `{v}` becomes a venue."""

MILD: Final = (
    "delay {v}.orders 30ms 40%",
    "delay {v}.user 60ms 40%",
    "reorder {v}.user 40ms 50%",
    "reorder {v}.orders 40ms 50%",
    "duplicate {v}.user 60%",
    "duplicate {v}.orders 60%",
    "partial {v}.orders share=0.5 40%",
    "partial {v}.orders share=0.9 60%",
)
"""Faults under which trading goes on: one of them is always there."""

BLOWS: Final = (
    "disconnect {v}.orders",
    "disconnect {v}.user",
    "disconnect {v}.market",
    "disconnect {v}",
    "stall {v}.user 800ms",
    "stall {v}.orders 800ms",
    "throttle {v} 3s",
    "expire {v}.user",
    "balance {v} asset=USDT change=-25",
    "trader freeze 80ms",
    "trader freeze 600ms",
    "trader kill now",
    "trader kill sent-1",
    "trader kill sent-2",
    "trader kill acked count=3",
    "trader kill filled count=2",
    "trader kill hedge-sent",
)
"""Faults of one moment."""


def config() -> SimConfig:
    """Two exchanges with many alike symbols, small fees and nobody but the stage's participants."""
    base = default_config()
    venues = {venue: _venue(venue, settings) for venue, settings in base.venues.items()}
    market = msgspec.structs.replace(base.market, symbols={})
    return msgspec.structs.replace(base, market=market, venues=venues)


def _venue(venue: str, settings: VenueConfig) -> VenueConfig:
    pattern = settings.symbols[0]
    balances = {"USDT": Decimal(10_000_000)}
    symbols: list[Symbol] = []
    for name in SYMBOLS:
        base = name.partition("/")[0]
        native = f"{base}USDT" if venue == "binance" else f"{base}-USDT"
        symbols.append(msgspec.structs.replace(pattern, name=name, native=native, base=base))
        balances[base] = Decimal(2_000_000)
    (account,) = settings.accounts
    account = msgspec.structs.replace(account, balances=balances)
    rates = Rates(Decimal("0.0001"), Decimal("0.0002"))
    return msgspec.structs.replace(settings, symbols=tuple(symbols), accounts=(account,), rates=rates, limits=LIMITS)


def setup() -> Setup:
    """A trader that goes on whatever happens: breakers off, a small pause between two arbitrages of a direction."""
    return Setup(
        symbols=tuple(SYMBOLS),
        risk=RiskLimits(max_arbitrages=COUNT, max_open_orders=8 * COUNT, max_orders_per_s=1_000),
        execution=ExecutionPolicy(cool_off_ms=20),
        breakers=BreakerLimits(
            one_sided_limit=0, crash_limit=0, max_exposure_quote_s=1e12, technical_limit=0, min_fill_pct=0
        ),
        losses=LossLimits(streak=0),
    )


class Crowd:
    """Prices that part, and faults that come and go, until `calm`."""

    def __init__(self, loop: Loop, stage: Stage, seed: int) -> None:
        self._loop = loop
        self._stage = stage
        self._dice = random.Random(f"{seed} crowd")
        self._over = False
        self._part()
        self._spell()

    def calm(self) -> None:
        """No more of either."""
        self._over = True
        self._loop.world.faults.clear()
        self._loop.trader.wal.boundary = None

    def _part(self) -> None:
        """One more gap, somewhere."""
        if self._over:
            return
        dice = self._dice
        symbol = dice.choice(tuple(SYMBOLS))
        buy = dice.choice(("binance", "kucoin"))
        self._stage.gap(symbol, buy, dice.uniform(12.0, 45.0), int(dice.uniform(8, 40) * MS))
        pause_ms = GAP_MS if self._loop.engine.readiness.ready() else IDLE_GAP_MS
        self._loop.time.at(self._loop.time.now + int(dice.expovariate(1 / pause_ms) * MS), self._part)

    def _spell(self) -> None:
        """A spell of faults, or a quiet one."""
        if self._over:
            return
        dice, loop = self._dice, self._loop
        lasts_ns = int(dice.uniform(0.2, 1.2) * SECOND)
        texts = [dice.choice(MILD)]
        if dice.random() < 0.5:
            texts += dice.sample(SPELLS, dice.choice((1, 1, 2)))
        armed = [loop.world.faults.add(self._at_some_venue(text), loop.time.now) for text in texts]
        loop.time.at(loop.time.now + lasts_ns, lambda: self._lift(armed))
        if dice.random() < 0.25:
            self._strike(self._at_some_venue(dice.choice(BLOWS)))
        pause_ns = int(dice.uniform(0.05, 0.4) * SECOND)
        loop.time.at(loop.time.now + lasts_ns + pause_ns, self._spell)

    def _lift(self, faults: list[Fault]) -> None:
        for fault in faults:
            self._loop.world.faults.remove(fault)

    def _strike(self, text: str) -> None:
        if is_mishap(text):
            Mishap(text).arm(self._loop)
        else:
            self._loop.world.faults.add(text, self._loop.time.now)

    def _at_some_venue(self, text: str) -> str:
        return text.format(v=self._dice.choice(("binance", "kucoin")))
