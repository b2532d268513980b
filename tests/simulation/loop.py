"""The lab's harness as these tests use it: a lively market and a trader whose breakers are off, so that a world full of
faults goes on. See `tradeserver/lab/chaos/harness.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tradeserver.core.breaker import BreakerLimits
from tradeserver.core.engine import Engine
from tradeserver.core.losses import LossLimits
from tradeserver.lab.chaos import harness, trader
from tradeserver.lab.chaos.timeline import SECOND, START
from tradeserver.lab.chaos.trader import EAGER, VENUES, Setup
from tradeserver.runtime.journal import Journal, MemoryJournal
from tradeserver.runtime.latch import MemoryLatch
from tradeserver.sessions.base import Session
from tradeserver.sessions.paper_venue import PaperSettings
from tradeserver.sessions.wire import Transport
from tradeserver.simulator.config import SimConfig
from tradeserver.strategies.cross_arb import CrossArbParams

__all__ = ("EAGER", "SECOND", "START", "VENUES", "Loop", "make_engine", "make_sessions")

UNBROKEN = BreakerLimits(one_sided_limit=0, crash_limit=0)


def make_setup(symbols: Sequence[str], params: CrossArbParams | None, paper: PaperSettings | None) -> Setup:
    return Setup(symbols=symbols, params=params, paper=paper, breakers=UNBROKEN, losses=LossLimits(streak=0))


def make_engine(symbols: Sequence[str], params: CrossArbParams | None, paper: PaperSettings | None) -> Engine:
    return trader.make_engine(make_setup(symbols, params, paper))


def make_sessions(
    engine: Engine, symbols: Sequence[str], transports: Mapping[str, Transport], paper: PaperSettings | None
) -> list[Session]:
    return trader.make_sessions(make_setup(symbols, EAGER, paper), engine, transports)


class Loop(harness.Loop):
    """One trader and one simulated world. `seed` is all the chance there is."""

    def __init__(
        self,
        seed: int,
        *,
        symbols: Sequence[str] = ("XRP/USDT", "BTC/USDT"),
        faults: Sequence[str] = (),
        config: SimConfig | None = None,
        params: CrossArbParams = EAGER,
        paper: PaperSettings | None = None,
        trading: bool = True,
        journal: Journal | None = None,
    ) -> None:
        super().__init__(
            seed,
            make_setup(symbols, params if trading else None, paper),
            faults=faults,
            config=config,
            journal=MemoryJournal if journal is None else lambda: journal,
        )

    @property
    def latch(self) -> MemoryLatch:
        return self.trader.latch

    @property
    def sessions(self) -> list[Session]:
        return self.trader.sessions
