"""The desk: all state that records change, and the one function that changes it.

`keep` applies a record and puts it into the step's output; recovery calls `apply` alone. So a restart is a fold over
the log with the very code that ran live. Market data, fees and links are not here for keeping: they come anew from the
venues. `records` and `commands` are the step's output; `ts` is its time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from tradeserver.core.arbitrage import TARGETS, Arbitrage
from tradeserver.core.capital import Capital
from tradeserver.core.commands import Command
from tradeserver.core.conduct import Conduct
from tradeserver.core.held import Holdings
from tradeserver.core.ids import LENGTH, ClientIds, parse
from tradeserver.core.ledger import Ledger, Position
from tradeserver.core.market import Market
from tradeserver.core.opportunities import Opportunities
from tradeserver.core.orders import Orders
from tradeserver.core.records import (
    Alert,
    ArbitrageClosed,
    ArbitrageImage,
    ArbitrageOpened,
    BalanceBooked,
    Checkpoint,
    CommissionCorrected,
    DustCleared,
    FaultNoted,
    FillBooked,
    HedgeDecided,
    OpportunityOpened,
    OrderChanged,
    OrderSubmitted,
    Outcome,
    PeriodOpened,
    PnlMarked,
    Record,
    RunStarted,
    RunStopped,
    Severity,
    StateChanged,
)
from tradeserver.core.states import States
from tradeserver.core.types import ZERO, Fees, Key, Side

HISTORY_KEPT: Final = 64
STREAK: Final = "streak"
"""Reason of a strategy's pause after losses in a row: the count begins anew."""
CLOSED_KEPT: Final = 100
"""Closed arbitrages that a late fill may open again. They are written into every checkpoint."""


class Desk:
    """See the module. One instance an engine."""

    def __init__(self, market: Market, ids: ClientIds) -> None:
        self.market = market
        self.ids = ids
        self.orders = Orders()
        self.ledger = Ledger()
        self.held = Holdings()
        self.capital = Capital()
        self.conduct = Conduct()
        self.states = States()
        self.opportunities = Opportunities()
        self.arbitrages: dict[int, Arbitrage] = {}  # open ones
        self.next_arbitrage = 1
        self.last_start_s = 0  # of the latest run in the log
        self.one_sided: deque[tuple[int, str]] = deque(maxlen=HISTORY_KEPT)  # (when, strategy)
        self.streaks: dict[str, int] = {}  # strategy -> closed ones in a row below zero
        self.running = False  # a run has begun and not ended in order
        self.crashes: deque[int] = deque(maxlen=HISTORY_KEPT)  # when runs began after one that did not
        self.dust: dict[str, Decimal] = {}  # asset -> residue carried from closed arbitrages
        self.fees: dict[Key, Fees] = {}
        self.taker_bps: dict[Key, float] = {}
        self.ts = 0
        self.records: list[Record] = []
        self.commands: list[Command] = []
        self._closed: dict[int, Arbitrage] = {}  # the latest, in the order of closing
        self._apply: Final[dict[type, Callable[[Any], None]]] = {
            OrderSubmitted: self._submitted,
            OrderChanged: self._changed,
            FillBooked: self._filled,
            CommissionCorrected: self._corrected,
            RunStarted: self._started,
            RunStopped: self._stopped,
            ArbitrageOpened: self._opened,
            HedgeDecided: self._hedged,
            ArbitrageClosed: self._closed_one,
            OpportunityOpened: self.opportunities.apply_opened,
            BalanceBooked: self._balance,
            PeriodOpened: self.capital.apply_opened,
            PnlMarked: self.capital.apply_marked,
            DustCleared: lambda record: self._carry(record.asset, -record.amount),
            StateChanged: self._state,
            FaultNoted: self.conduct.apply_fault,
            Checkpoint: self._load,
        }

    # ---- output ----------------------------------------------------------------------------------------------------

    def keep(self, record: Record) -> None:
        """The record happens: apply it and write it."""
        change = self._apply.get(type(record))
        if change is not None:
            change(record)
        self.records.append(record)

    def alert(self, severity: Severity, code: str, text: str) -> None:
        self.keep(Alert(ts=self.ts, severity=severity, code=code, text=text))

    def apply(self, record: Record) -> None:
        """What the record changes. Kinds that change nothing pass through."""
        change = self._apply.get(type(record))
        if change is not None:
            change(record)

    def knows(self, arbitrage: int) -> bool:
        """Whether it is open, or closed and remembered."""
        return self._remembered(arbitrage) is not None

    def _remembered(self, arbitrage: int) -> Arbitrage | None:
        return self.arbitrages.get(arbitrage) or self._closed.get(arbitrage)

    # ---- changes, by record ----------------------------------------------------------------------------------------

    def note_start(self, record: Record) -> None:
        """Of a record of the past, its start second only: the next run's ids must bear a later one."""
        if isinstance(record, RunStarted):
            self._started(record)
        elif isinstance(record, Checkpoint):
            self.last_start_s = max(self.last_start_s, record.last_start_s)

    def _started(self, record: RunStarted) -> None:
        run = parse(record.run.ljust(LENGTH, "0"))
        self.last_start_s = max(self.last_start_s, run.start_s if run else 0)
        if self.running:
            self.crashes.append(record.ts)
        self.running = True

    def _stopped(self, record: RunStopped) -> None:
        self.running = False

    def _submitted(self, record: OrderSubmitted) -> None:
        order = self.orders.apply_submitted(record)
        self.ledger.hold(order)
        if record.arbitrage not in self.arbitrages:  # only an order that the log had lost can be of a closed one
            self._reopen(record.arbitrage)
        arbitrage = self.arbitrages.get(record.arbitrage)
        if arbitrage is not None:
            arbitrage.add(order)

    def _changed(self, record: OrderChanged) -> None:
        order = self.orders.by_id.get(record.client_id)
        if order is not None:
            self.ledger.release(order)
            self.orders.apply_changed(record)
            self.ledger.hold(order)
            if order.live:
                self._reopen(record.arbitrage)

    def _filled(self, record: FillBooked) -> None:
        order = self.orders.by_id.get(record.client_id)
        if order is None:
            self.orders.apply_fill(record)
            if record.arbitrage:  # ours, too old to be remembered: its base is exposure that nobody planned
                base = record.symbol.partition("/")[0]
                kept = record.commission if record.commission_asset == base else ZERO
                self._carry(base, record.quantity * (1 if record.side is Side.BUY else -1) - kept)
        else:
            self.ledger.release(order)
            self.orders.apply_fill(record)
            self.ledger.hold(order)
            self._reopen(record.arbitrage)
            self._measure(order.submitted.arbitrage, record.ts)
            arbitrage = self.arbitrages.get(record.arbitrage)
            if arbitrage is not None and arbitrage.opened.plan == TARGETS:
                arbitrage.realised += self.held.apply_fill(arbitrage.opened.strategy, record)
        self.ledger.apply_fill(record)
        self.capital.apply_fill(record)

    def _measure(self, number: int, ts: int) -> None:
        arbitrage = self.arbitrages.get(number)
        if arbitrage is not None:
            arbitrage.measure(ts)

    def _corrected(self, record: CommissionCorrected) -> None:
        order = self.orders.by_id.get(record.client_id)
        if order is None:
            return
        for index, booked in enumerate(order.fills):
            if booked.trade_id == record.trade_id:
                self.ledger.apply_commission(record, booked)
                arbitrage = self._remembered(order.submitted.arbitrage)
                if arbitrage is not None and arbitrage.opened.plan == TARGETS:
                    arbitrage.realised += self.held.apply_commission(arbitrage.opened.strategy, record, booked)
                self.capital.apply_commission(record, booked)
                self.orders.apply_commission(order, index, record)
        self._measure(order.submitted.arbitrage, record.ts)

    def _balance(self, record: BalanceBooked) -> None:
        self.ledger.apply_balance(record)
        self.capital.apply_balance(record)

    def _state(self, record: StateChanged) -> None:
        self.states.apply(record)
        if record.reason == STREAK:
            self.streaks.pop(record.scope.partition(":")[2], None)
        self.capital.apply_state(record)
        self.conduct.apply_state(record)

    def _opened(self, record: ArbitrageOpened) -> None:
        self.arbitrages[record.arbitrage] = Arbitrage(record)
        self.next_arbitrage = max(self.next_arbitrage, record.arbitrage + 1)
        if record.carried:
            self._carry(record.base, -record.carried)

    def _hedged(self, record: HedgeDecided) -> None:
        arbitrage = self.arbitrages.get(record.arbitrage)
        if arbitrage is not None:
            arbitrage.rung = record.rung

    def _closed_one(self, record: ArbitrageClosed) -> None:
        arbitrage = self.arbitrages.pop(record.arbitrage, None)
        if arbitrage is None:
            return
        arbitrage.residual = record.residual_base
        arbitrage.rest(record.ts)
        self.conduct.note((leg, arbitrage.orders.get(leg.client_id)) for leg in arbitrage.opened.legs)
        if record.outcome is not Outcome.NOTHING:
            self.streaks[record.strategy] = self.streaks.get(record.strategy, 0) + 1 if record.realised_edge < 0 else 0
        if record.one_sided:
            self.one_sided.append((record.ts, record.strategy))
        self._carry(record.base, record.residual_base + arbitrage.opened.carried)
        self._closed[record.arbitrage] = arbitrage
        if len(self._closed) > CLOSED_KEPT:
            for order in self._closed.pop(next(iter(self._closed))).orders.values():
                self.orders.forget(order)

    def _reopen(self, number: int) -> None:
        """A late fill, or an order that lives after all, opens a closed arbitrage's exposure again."""
        arbitrage = self._closed.pop(number, None)
        if arbitrage is not None:
            self._carry(arbitrage.opened.base, -arbitrage.residual - arbitrage.opened.carried)
            arbitrage.residual = ZERO
            self.arbitrages[number] = arbitrage

    def _carry(self, asset: str, amount: Decimal) -> None:
        carried = self.dust.get(asset, ZERO) + amount
        if carried:
            self.dust[asset] = carried
        else:
            self.dust.pop(asset, None)

    # ---- checkpoint ------------------------------------------------------------------------------------------------

    def checkpoint(self, ts: int) -> Checkpoint:
        """Everything that recovery needs, as one record."""
        inside = {client_id for a in self.arbitrages.values() for client_id in a.orders}
        balances: dict[str, dict[str, Decimal]] = {}
        for (venue, asset), total in self.ledger.totals.items():
            balances.setdefault(venue, {})[asset] = total
        return Checkpoint(
            ts=ts,
            next_arbitrage=self.next_arbitrage,
            next_opportunity=self.opportunities.next_number,
            orders=tuple(o.image() for o in self.orders.live.values() if o.client_id not in inside),
            arbitrages=tuple(a.image() for a in self.arbitrages.values()),
            balances=balances,
            positions={s: (p.quantity, p.cost) for s, p in self.ledger.positions.items()},
            realised=dict(self.ledger.realised),
            fees=dict(self.ledger.fees),
            states=self.states.entries(),
            fill_keys=self.orders.fill_keys(),
            dust=dict(self.dust),
            closed=tuple(a.image() for a in self._closed.values()),
            last_start_s=self.last_start_s,
            one_sided=tuple(self.one_sided),
            running=self.running,
            crashes=tuple(self.crashes),
            held=self.held.images(),
            capital=self.capital.image(),
            legs=self.conduct.image(),
            faults=tuple(self.conduct.faults),
            streaks=dict(self.streaks),
        )

    def _load(self, record: Checkpoint) -> None:
        """Start from a checkpoint; a fresh desk only (a later segment's checkpoint says what is known already)."""
        if self.next_arbitrage > 1 or self.ledger.totals or self.orders.by_id:
            return
        self.next_arbitrage = record.next_arbitrage
        self.opportunities.next_number = record.next_opportunity
        self.ledger.totals = {(v, a): t for v, assets in record.balances.items() for a, t in assets.items()}
        self.ledger.positions = {s: Position(q, c) for s, (q, c) in record.positions.items()}
        self.ledger.realised = dict(record.realised)
        self.ledger.fees = dict(record.fees)
        self.dust = dict(record.dust)
        self.held.load(record.held)
        self.last_start_s = record.last_start_s
        self.one_sided.extend(record.one_sided)
        self.running = record.running
        self.crashes.extend(record.crashes)
        self.conduct.load(record.legs, record.faults)
        self.streaks = dict(record.streaks)
        if record.capital is not None:
            self.capital.load(record.capital)
        self.orders.load_fill_keys(record.fill_keys)
        for state in record.states:
            self.states.apply(state)
        for image in record.arbitrages:
            self.arbitrages[image.opened.arbitrage] = self._revive(image)
        for image in record.closed:
            self._closed[image.opened.arbitrage] = self._revive(image)
        for order_image in record.orders:
            self.ledger.hold(self.orders.load(order_image))

    def _revive(self, image: ArbitrageImage) -> Arbitrage:
        arbitrage = Arbitrage(image.opened)
        arbitrage.load(image)
        for order_image in image.orders:
            order = self.orders.load(order_image)
            self.ledger.hold(order)
            arbitrage.add(order)
        return arbitrage
