"""The engine: `step(event) -> (records, commands)` decides everything, on one thread, without awaiting.

A table and a rhythm. State first (market, orders, ledger), then what is already open (fates, hedges, closes) in every
trading state, then, where the market moved, strategies: sightings, episodes, intents, the gate, orders. The engine
reads no clock: `event.ts` is now. Everything that recovery needs is a record; `apply` folds the log back into the desk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tradeserver.core.allowance import Allowance
from tradeserver.core.breaker import BreakerLimits, Breakers
from tradeserver.core.commands import Command, RequestSnapshot
from tradeserver.core.conditions import Conditions
from tradeserver.core.dead_man import DeadMan
from tradeserver.core.desk import Desk
from tradeserver.core.events import (
    AUTH,
    AccountSnapshot,
    BalanceChanged,
    BookInvalid,
    CancelRejected,
    ClockOffset,
    DeadManSet,
    Event,
    FeesLoaded,
    FillsListed,
    Fitted,
    InstrumentsLoaded,
    KillVerified,
    LinkDown,
    LinkUp,
    OpenOrdersListed,
    Operator,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrdersListed,
    OrdersSent,
    OrderStatus,
    OrderUncertain,
    QueryFailed,
    RateLimited,
    RunBegan,
    SendRefused,
    Tick,
    Together,
    Trust,
    VenueFault,
    WalFailed,
)
from tradeserver.core.execution import Execution, ExecutionPolicy
from tradeserver.core.fates import Fates
from tradeserver.core.hedging import KEY
from tradeserver.core.ids import ClientIds
from tradeserver.core.intents import Strategy
from tradeserver.core.killswitch import KILL, KillSwitch, VenueSafety
from tradeserver.core.lookback import LookBack
from tradeserver.core.losses import Losses, LossLimits
from tradeserver.core.market import Market, MarketLimits, SymbolMarket
from tradeserver.core.operator import GUARD, STOPPING, OperatorDesk
from tradeserver.core.proposals import Proposals
from tradeserver.core.records import (
    BookChanged,
    Checkpoint,
    LinkChanged,
    Record,
    RunStarted,
    Severity,
    StateChanged,
    TradingState,
)
from tradeserver.core.risk import RiskLimits
from tradeserver.core.types import Key
from tradeserver.core.valuation import Valuation
from tradeserver.core.venues import Readiness
from tradeserver.core.vitals import VitalSigns

SECOND_NS: Final = 1_000_000_000
_CROSSED: Final = Trust.CROSSED
MS: Final = 1_000_000
CRASH_WINDOW_NS: Final = 600 * SECOND_NS
BUSY_NS: Final = 5 * SECOND_NS
EVERY_VENUE_BUSY: Final = "every venue busy"
CLOCK_JUMP_NS: Final = 250 * MS
CLOCK_PAUSE_NS: Final = 10 * SECOND_NS


class Engine:
    """See the module. `wal_hedge_only_ns` is how long hedges may still leave after a WAL failure, `mark_ns` the time
    from one `Vitals` and `PnlMarked` to the next."""

    def __init__(
        self,
        *,
        ids: ClientIds,
        venues: Sequence[str],
        symbols: Sequence[str],
        strategies: Sequence[Strategy],
        market: MarketLimits,
        risk: RiskLimits,
        execution: ExecutionPolicy,
        breakers: BreakerLimits | None = None,
        losses: LossLimits | None = None,
        wal_hedge_only_ns: int = 60 * SECOND_NS,
        safety: Mapping[str, VenueSafety] | None = None,
        mark_ns: int = SECOND_NS,
    ) -> None:
        self.market = Market(market)
        for venue in venues:
            for symbol in symbols:
                self.market.add((venue, symbol))
        self.desk = Desk(self.market, ids)
        self.venues = tuple(venues)
        self.symbols = tuple(symbols)
        self.readiness = Readiness(self.desk, venues, execution.reconcile_s * SECOND_NS)
        self.fates = Fates(self.desk, execution.answer_timeout_ms * MS, execution.unknown_bound_ms * MS)
        breakers = breakers or BreakerLimits()
        late_ns = execution.unknown_bound_ms * MS
        self.lookback = LookBack(self.desk, self.fates, self.readiness, self.venues, self.symbols, late_ns)
        self._last_record = 0  # of earlier runs
        safety = safety or {}
        self.kills = KillSwitch(self.desk, self.readiness, self.symbols, safety)
        timeouts = {venue: each.dead_man_s for venue, each in safety.items()}
        self.dead_man = DeadMan(self.desk, self.readiness, self.symbols, timeouts)
        self._operator = OperatorDesk(self.desk, self.kills)
        self.valuation = Valuation(self.desk, venues, risk.currency)
        self.losses = Losses(self.desk, losses or LossLimits())
        self.vitals = VitalSigns(self.desk, self.readiness, self.valuation, mark_ns)
        self.conditions = Conditions(self.desk, breakers)
        allowance = Allowance(self.desk, risk, self.valuation, self.losses, self.conditions)
        self.breakers = Breakers(self.desk, breakers, self.losses)
        self.execution = Execution(self.desk, risk, execution, self.readiness, self.breakers, allowance)
        self._crash_limit = breakers.crash_limit
        self._wal_hedge_only_ns = wal_hedge_only_ns
        self._halt_at = 0  # when the WAL has failed: the end of hedging
        self._offsets: dict[str, int] = {}  # clocks as they were measured last
        self._proposals = Proposals(self.desk, self.execution, strategies)
        self._handlers: dict[type, Callable[[Any], object]] = {
            RunBegan: self._on_began,
            Tick: self._on_tick,
            OrderAccepted: self.fates.on_accepted,
            OrderRejected: self._on_rejected,
            OrderUncertain: self._on_uncertain,
            ClockOffset: self._on_clock,
            OrderFilled: self._on_fill,
            OrderClosed: self._on_closed,
            CancelRejected: self.fates.on_cancel_rejected,
            OrderStatus: self.fates.on_status,
            FillsListed: self._on_fills,
            OrdersSent: self.fates.on_sent,
            SendRefused: self.fates.on_refused_send,
            QueryFailed: self._on_query_failed,
            InstrumentsLoaded: self.readiness.on_instruments,
            FeesLoaded: self.readiness.on_fees,
            AccountSnapshot: self.readiness.on_account,
            BalanceChanged: self._on_balance,
            OrdersListed: self.lookback.on_listed,
            OpenOrdersListed: self._on_open_orders,
            DeadManSet: self.dead_man.on_set,
            KillVerified: self.kills.on_verified,
            LinkUp: self._on_link_up,
            LinkDown: self._on_link_down,
            RateLimited: self._on_rate_limited,
            VenueFault: self._on_fault,
            WalFailed: self._on_wal_failed,
            Operator: self._on_operator,
            Together: self._on_together,
            Fitted: self._proposals.on_fitted,
        }

    # ---- the step --------------------------------------------------------------------------------------------------

    def step(self, event: Event) -> tuple[list[Record], list[Command]]:
        """Everything that follows from one event."""
        desk = self.desk
        desk.ts = event.ts
        records: list[Record] = []
        commands: list[Command] = []
        desk.records, desk.commands = records, commands
        changed = self.market.on_event(event, records)
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)
            self._settle()
            self._operator.advance()
        if changed is not None:
            if changed.trust is _CROSSED or type(event) is BookInvalid:
                self._distrust(changed)
            self._proposals.look(changed)
        if handler is not None or commands:
            self.readiness.advance()
        if commands:
            self.execution.note_cancels(commands)
        return records, commands

    def apply(self, record: Record) -> None:
        """Recovery: the record happened in an earlier run."""
        self.desk.apply(record)
        self._last_record = max(self._last_record, record.ts)

    def checkpoint(self, ts: int) -> Checkpoint:
        return self.desk.checkpoint(ts)

    def _settle(self) -> None:
        """Look again at every arbitrage that something happened to, until nothing more follows."""
        touched = self.fates.touched
        while touched:
            number = next(iter(touched))
            del touched[number]
            arbitrage = self.desk.arbitrages.get(number)
            if arbitrage is not None:
                self.execution.advance(arbitrage)

    def _on_together(self, event: Together) -> None:
        """Every book first, then each direction of each strategy once, whichever book it was asked for."""
        moved: dict[Key, SymbolMarket] = {}
        for part in event.events:
            changed = self.market.on_event(part, self.desk.records)
            if changed is not None:
                moved[changed.key] = changed
        for changed in moved.values():
            if changed.trust is Trust.CROSSED:
                self._distrust(changed)
        self._proposals.look_together(tuple(moved.values()))

    # ---- events ----------------------------------------------------------------------------------------------------

    def _on_began(self, event: RunBegan) -> None:
        desk = self.desk
        crashed = desk.running
        desk.keep(
            RunStarted(
                ts=desk.ts,
                run=desk.ids.head,
                instance=event.instance,
                mode=event.mode,
                commit=event.commit,
                config_sha256=event.config_sha256,
                venues=self.venues,
                symbols=self.symbols,
            )
        )
        if desk.states.has("global", STOPPING):
            self._set_state(TradingState.RUNNING, STOPPING)
        if desk.states.has("global", GUARD):  # the shell says how it is in this run
            self._set_state(TradingState.RUNNING, GUARD)
        if event.latched:
            self._set_state(TradingState.HALTED, KILL)
        if event.clock_behind_ns > SECOND_NS:
            self._set_state(TradingState.NO_NEW, "clock")
            desk.alert(
                Severity.CRITICAL,
                "CLOCK_BEHIND",
                f"The clock stands {event.clock_behind_ns / 1e9:.1f} s behind the log; nothing is opened. "
                "Set it right, then: clear clock.",
            )
        if event.unapplied:
            self._set_state(TradingState.NO_NEW, "recovery")
            desk.alert(
                Severity.CRITICAL,
                "RECOVERY",
                f"{event.unapplied} records of the log could not be taken up again: nothing new is opened. Compare "
                "balances and orders with the venues, report the log line `record_not_applied`, then: clear recovery.",
            )
        self._count_crashes()
        self._proposals.on_began()
        self.fates.doubt_all("restart")
        if crashed or event.unapplied:
            self.lookback.begin(self._last_record)
        self.kills.on_began()

    def _count_crashes(self) -> None:
        """A run that keeps ending out of order trades no more until a person has looked; it reconciles and hedges."""
        recent = [ts for ts in self.desk.crashes if self.desk.ts - ts < CRASH_WINDOW_NS]
        if not self._crash_limit or len(recent) < self._crash_limit or self.desk.states.has("global", "crashes"):
            return
        self._set_state(TradingState.NO_NEW, "crashes")
        self.desk.alert(
            Severity.CRITICAL,
            "CRASHES",
            f"{len(recent)} crashes in ten minutes: nothing new is opened. Read the log, then: clear crashes.",
        )

    def _on_tick(self, event: Tick) -> None:
        desk = self.desk
        for state in desk.states.expired(desk.ts):
            desk.keep(
                StateChanged(
                    ts=desk.ts,
                    scope=state.scope,
                    state=TradingState.RUNNING,
                    reason=state.reason,
                    by="expiry",
                )
            )
        if self._halt_at and desk.ts >= self._halt_at:
            self._halt_at = 0
            self._set_state(TradingState.HALTED, "WAL failed")
        for record in list(desk.records):
            if isinstance(record, BookChanged) and record.trust == Trust.CROSSED.value:
                self._distrust(self.market.symbols[record.venue, record.symbol])
        self.fates.ask_due()
        self.lookback.advance()
        for number in desk.arbitrages:
            self.fates.touched[number] = None
        self._settle()
        self.kills.advance()
        self.dead_man.advance()
        if self.vitals.on_tick(event):
            self.losses.judge()
            self.conditions.sample()

    def _on_fill(self, event: OrderFilled) -> None:
        if self.fates.on_fill(event):
            self.readiness.on_fill(event.venue)
            self.losses.look()

    def _on_fills(self, event: FillsListed) -> None:
        booked = len(self.desk.records)
        self.fates.on_fills(event)
        if len(self.desk.records) > booked:
            self.readiness.on_fill(event.venue)
            self.losses.look()

    def _on_operator(self, event: Operator) -> None:
        if event.action == "end":
            self.vitals.mark()  # the last figures, not those of a second ago
        if event.action == "switch off" and event.source == "shell":
            self._proposals.switch_off(event.scope.removeprefix("strategy:"), event.argument)
        self._operator.on_operator(event)

    def _on_query_failed(self, event: QueryFailed) -> None:
        self.fates.on_failed(event)
        self.readiness.on_failed(event)
        self.kills.on_failed(event)
        self.dead_man.on_failed(event)

    def _on_closed(self, event: OrderClosed) -> None:
        self.fates.on_closed(event)
        self.kills.on_closed(event)

    def _on_open_orders(self, event: OpenOrdersListed) -> None:
        self.readiness.on_open_orders(event)
        self.kills.on_open_orders(event)

    def _on_balance(self, event: BalanceChanged) -> None:
        self.desk.ledger.report((event.venue, event.asset), event.balance)

    def _on_link_up(self, event: LinkUp) -> None:
        self.desk.keep(LinkChanged(ts=event.ts, venue=event.venue, channel=event.channel, up=True))
        self.readiness.on_link(event)

    def _on_link_down(self, event: LinkDown) -> None:
        self.desk.keep(
            LinkChanged(ts=event.ts, venue=event.venue, channel=event.channel, up=False, reason=event.reason)
        )
        self.readiness.on_link(event)
        self.fates.on_link_down(event)

    def _on_rejected(self, event: OrderRejected) -> None:
        """For lack of balance, though our own gate had passed it: what we believe about that account is in doubt."""
        self.fates.on_rejected(event)
        if event.short:
            self.readiness.doubt(event.venue)
        else:
            self.breakers.on_fault(event.venue, event.code)

    def _on_uncertain(self, event: OrderUncertain) -> None:
        """A venue that cannot say what it did gets nothing new for a while; with all of them so, only hedges leave."""
        self.fates.on_uncertain(event)
        until = self.desk.ts + BUSY_NS
        self._slow(f"venue:{event.venue}", TradingState.NO_NEW, "busy", until, event.venue)
        if all(self.desk.states.has(f"venue:{venue}", "busy") for venue in self.venues):
            if not self.desk.states.has("global", EVERY_VENUE_BUSY):
                self.desk.alert(
                    Severity.CRITICAL, "VENUES_BUSY", "No venue can say what it does with an order; only hedges leave."
                )
            self._slow("global", TradingState.HEDGE_ONLY, EVERY_VENUE_BUSY, until, "engine")

    def _on_fault(self, event: VenueFault) -> None:
        """A key that is not accepted opens nothing more there, until a person has put it right: cancels are tried all
        the same, and hedges leave there only where no other venue can take them."""
        self.vitals.on_fault(event)
        self.breakers.on_fault(event.venue, event.code)
        scope = f"venue:{event.venue}"
        if event.code != AUTH or self.desk.states.has(scope, KEY):
            return
        self._slow(scope, TradingState.HEDGE_ONLY, KEY, 0, event.venue)
        self.desk.alert(
            Severity.CRITICAL,
            "KEY_REFUSED",
            f"{event.venue} does not accept our key ({event.text}): nothing is opened there. Look at key, permissions "
            f'and allowed addresses, then: clear "{KEY}" --scope {scope}.',
        )

    def _on_clock(self, event: ClockOffset) -> None:
        """A jump is a doubt: nothing is opened there until it has stood for a while."""
        jump = abs(event.offset_ns - self._offsets.get(event.venue, event.offset_ns))
        self._offsets[event.venue] = event.offset_ns
        if jump > CLOCK_JUMP_NS:
            until = self.desk.ts + CLOCK_PAUSE_NS
            self._slow(f"venue:{event.venue}", TradingState.NO_NEW, "clock jumped", until, "engine")
            self.desk.alert(
                Severity.WARNING,
                "CLOCK_JUMP",
                f"The clock of {event.venue}, or ours, has jumped by {jump / MS:.0f} ms.",
            )

    def _slow(self, scope: str, state: TradingState, reason: str, until: int, by: str) -> None:
        self.desk.keep(StateChanged(ts=self.desk.ts, scope=scope, state=state, reason=reason, until=until, by=by))

    def _on_rate_limited(self, event: RateLimited) -> None:
        """No new orders at a venue that throttles us; a ban also silences it (the session sends nothing)."""
        desk = self.desk
        self.kills.on_limited(event)
        desk.keep(
            StateChanged(
                ts=desk.ts,
                scope=f"venue:{event.venue}",
                state=TradingState.HALTED if event.banned else TradingState.NO_NEW,
                reason=f"{'ban' if event.banned else 'rate limit'}: {event.scope}",
                until=event.until,
                by="venue",
            )
        )
        if event.banned:
            desk.alert(Severity.CRITICAL, "BANNED", f"{event.venue} has banned this address; nothing is sent to it.")

    def _on_wal_failed(self, event: WalFailed) -> None:
        """Hedges may still leave for a while (their ids are found again at the venue); then nothing."""
        desk = self.desk
        self._halt_at = desk.ts + self._wal_hedge_only_ns
        self._set_state(TradingState.HEDGE_ONLY, "WAL failed")
        desk.alert(
            Severity.CRITICAL, "WAL_FAILED", f"The write-ahead log failed: {event.reason}. Hedges only, then halted."
        )

    def _set_state(self, state: TradingState, reason: str) -> None:
        self.desk.keep(StateChanged(ts=self.desk.ts, scope="global", state=state, reason=reason, by="engine"))

    def _distrust(self, symbol: SymbolMarket) -> None:
        """A crossed book wants a snapshot; an invalid one is being synchronised by its codec already."""
        if symbol.trust is Trust.CROSSED:
            venue, name = symbol.key
            self.desk.commands.append(RequestSnapshot(venue=venue, symbol=name, reason=symbol.reason))

    def scopes(self) -> tuple[str, ...]:
        """Every scope that a state can have here."""
        named = (("venue", self.venues), ("symbol", self.symbols), ("strategy", self._proposals.names))
        return ("global", *(f"{kind}:{name}" for kind, names in named for name in names))

    @property
    def killed(self) -> bool:
        """Whether everything is killed: the shell keeps the latch in step."""
        halted = TradingState.HALTED
        return any(e.scope == "global" and e.reason == KILL and e.state is halted for e in self.desk.states.entries())

    # ---- for the shell ---------------------------------------------------------------------------------------------

    def digest_state(self) -> bytes:
        """Books' update ids and best levels, and the ledger: what two runs must agree on."""
        parts = []
        for (venue, symbol), market in self.market.symbols.items():
            book = market.book
            parts.append(
                f"{venue} {symbol} {book.update_id} {book.bid!r} {book.ask!r} {book.bid_quantity!r} "
                f"{book.ask_quantity!r}"
            )
        for (venue, asset), total in sorted(self.desk.ledger.totals.items()):
            parts.append(f"{venue} {asset} {total} {self.desk.ledger.reserved.get((venue, asset), 0)}")
        return "\n".join(parts).encode()

    def next_deadline(self) -> int:
        """The earliest time at which a tick would do something; 0 where nothing is due."""
        deadlines = (
            self.market.next_deadline(),
            self.fates.next_deadline(),
            self.readiness.next_deadline(),
            self.desk.states.next_deadline(),
            self.vitals.next_deadline(),
            self.execution.next_deadline(),
            self.kills.next_deadline(),
            self.dead_man.next_deadline(),
            self.lookback.next_deadline(),
            self.valuation.next_deadline(),
            self.readiness.hold_until,
            self._halt_at,
        )
        return min((d for d in deadlines if d), default=0)
