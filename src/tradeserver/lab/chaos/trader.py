"""One trader under simulated time: the product's engine, reactor, sessions and codecs, without a socket.

`Trader` is one instance over its whole life: `boot` is a start (the first or one after a kill, by the recovery path of
`app`: the log folded into a fresh engine), `kill` is `kill -9` at any point, `freeze` a loop that stands still.
What is wired here is what `app` wires; only sockets, files and clocks are stood in for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tradeserver.core.breaker import BreakerLimits
from tradeserver.core.commands import Command
from tradeserver.core.engine import Engine
from tradeserver.core.events import Event, Operator, RunBegan
from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.ids import ClientIds
from tradeserver.core.killswitch import KILL
from tradeserver.core.losses import LossLimits
from tradeserver.core.market import MarketLimits
from tradeserver.core.records import Checkpoint, Record, StateChanged, TradingState
from tradeserver.core.risk import RiskLimits
from tradeserver.core.types import Charged, Fees
from tradeserver.lab.chaos.boundaries import Boundary
from tradeserver.lab.chaos.network import Network, Wire
from tradeserver.lab.chaos.timeline import MS, SECOND, START, Killed, Timeline
from tradeserver.runtime.journal import Journal, MemoryJournal
from tradeserver.runtime.latch import MemoryLatch
from tradeserver.runtime.reactor import Reactor
from tradeserver.runtime.recovery import fold
from tradeserver.runtime.ticks import STALL_NS, TickSource, encode_tick
from tradeserver.runtime.wal import MemoryWal
from tradeserver.runtime.wal_files import decode_record
from tradeserver.sessions.base import Session
from tradeserver.sessions.paper import PaperSession
from tradeserver.sessions.paper_venue import PaperSettings
from tradeserver.sessions.wire import Transport, VenueSession
from tradeserver.strategies.cross_arb import CrossArb, CrossArbParams
from tradeserver.venues.base import Codec, Credentials
from tradeserver.venues.binance.codec import BinanceCodec
from tradeserver.venues.binance.settings import BinanceSettings
from tradeserver.venues.kucoin.codec import KucoinCodec
from tradeserver.venues.kucoin.settings import KucoinSettings

Moment = tuple[int, tuple[StateChanged, ...]]
"""(when, every trading state in force from then on)."""

TICK_NS: Final = 10 * MS
VENUES: Final = ("binance", "kucoin")
EAGER: Final = CrossArbParams(min_edge_bps=0.0)
KEYS: Final = {
    "binance": Credentials("SIMbinance", "SIMbinance-secret"),
    "kucoin": Credentials("SIMkucoin", "SIMkucoin-secret", "SIMkucoin-passphrase"),
}


def make_codec(venue: str, symbols: Sequence[str], key: Credentials | None) -> Codec:
    """The product's codec for a simulated venue."""
    if venue == "binance":
        settings = BinanceSettings(
            rest_url="http://binance.sim", stream_url="ws://binance.sim", ws_api_url="ws://binance.sim/ws-api/v3"
        )
        return BinanceCodec(settings, symbols, key)
    return KucoinCodec(
        KucoinSettings(rest_url="http://kucoin.sim", order_entry_url="ws://kucoin.sim/v1/private"), symbols, key
    )


@dataclass(frozen=True)
class Setup:
    """What a trader is made of. `params` None: no strategy."""

    symbols: Sequence[str]
    params: CrossArbParams | None = EAGER
    paper: PaperSettings | None = None
    tag: str = "SI"
    market: MarketLimits = field(default_factory=MarketLimits)
    risk: RiskLimits = field(default_factory=RiskLimits)
    execution: ExecutionPolicy = field(default_factory=ExecutionPolicy)
    breakers: BreakerLimits = field(default_factory=BreakerLimits)
    losses: LossLimits = field(default_factory=LossLimits)

    @property
    def mode(self) -> str:
        return "paper" if self.paper else "demo"


def make_engine(setup: Setup, start_s: int = START // SECOND) -> Engine:
    """The engine of one run."""
    return Engine(
        ids=ClientIds(setup.tag, setup.mode, start_s),
        venues=VENUES,
        symbols=setup.symbols,
        strategies=[CrossArb(setup.params, setup.symbols, VENUES)] if setup.params else [],
        market=setup.market,
        risk=setup.risk,
        execution=setup.execution,
        breakers=setup.breakers,
        losses=setup.losses,
    )


def make_sessions(setup: Setup, engine: Engine, transports: Mapping[str, Transport]) -> list[Session]:
    """One session a venue."""
    sessions: list[Session] = []
    for venue in VENUES:
        session = VenueSession(
            make_codec(venue, setup.symbols, None if setup.paper else KEYS[venue]), transports[venue]
        )
        if setup.paper:
            charged = Charged.RECEIVED if venue == "binance" else Charged.QUOTE
            fees = Fees(maker=setup.paper.maker_fee, taker=setup.paper.taker_fee, charged=charged)
            sessions.append(PaperSession(session, engine.market, setup.paper, fees))
        else:
            sessions.append(session)
    return sessions


class Traced:
    """An engine that keeps what goes through it, or tells it to somebody."""

    def __init__(self, engine: Engine, watch: Callable[[Event, list[Record], list[Command]], None]) -> None:
        self.engine = engine
        self.apply = engine.apply
        self.checkpoint = engine.checkpoint
        self.digest_state = engine.digest_state
        self.next_deadline = engine.next_deadline
        self._watch = watch

    def step(self, event: Event) -> tuple[list[Record], list[Command]]:
        """The engine's own step, seen."""
        records, commands = self.engine.step(event)
        self._watch(event, records, commands)
        return records, commands


class Memory:
    """Everything that went through the engines of one trader, over all its runs."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.records: list[Record] = []
        self.commands: list[Command] = []

    def __call__(self, event: Event, records: list[Record], commands: list[Command]) -> None:
        self.events.append(event)
        self.records += records
        self.commands += commands


class Log(MemoryWal):
    """The write-ahead log of one trader, over all its runs. `boundary`, if set, sees each write."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: Checkpoint | None = None
        self.boundary: Boundary | None = None
        self.torn = 0  # records that the next start will not find
        self.slow_ns = 0  # how long each write takes
        self.on_slow: Callable[[int], None] = lambda duration_ns: None

    def write(self, payloads: Sequence[bytes]) -> bool:
        """See `Wal.write`."""
        if self.slow_ns:
            self.on_slow(self.slow_ns)
        if self.boundary is None:
            return super().write(payloads)
        self.boundary.writing(payloads)
        kept = super().write(payloads)
        self.boundary.written(payloads)
        return kept

    def recover(self) -> list[Record]:
        """What a start reads."""
        first: list[Record] = [] if self.begun is None else [self.begun]
        found = self.payloads[: len(self.payloads) - self.torn]
        self.torn = 0
        return first + [decode_record(payload) for payload in found]

    def begin(self, checkpoint: Checkpoint) -> None:
        """A new run's first segment. What failed before may be whole again."""
        self.begun = checkpoint
        self.payloads.clear()
        self.failed = ""
        self.slow_ns = 0


class Trader:
    """See the module. Made, it does not run: `boot`."""

    def __init__(
        self,
        setup: Setup,
        networks: Mapping[str, Network],
        time: Timeline,
        *,
        watch: Callable[[Event, list[Record], list[Command]], None] | None = None,
        journal: Callable[[], Journal] = MemoryJournal,
    ) -> None:
        self.setup = setup
        self.networks = networks
        self.time = time
        self.trace = Memory()
        self.wal = Log()
        self.wal.on_slow = self._wait_for_the_disk
        self.latch = MemoryLatch()
        self.alive = False
        self.frozen_until = 0
        self.runs = 0
        self.clock_step_ns = 0  # how far this machine's clock has been set
        self.states: list[Moment] = []  # the trading states in force, whenever they changed, over all runs
        self.on_blow: Callable[[str], None] = lambda venues: None  # told of freezes and deaths
        self._see = watch or self.trace
        self._make_journal = journal
        self._ticking = 0
        self.poisoned = 0  # at the next start: the so many last record cannot be folded in; 0: all can
        self.back_ns = 0  # how long after its death it is started again, as a service manager would; 0: never
        self._pressed = False
        self._busy_until = 0  # the disk has the loop until then

    # ---- life ------------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """A start. The log of earlier runs is folded into the engine; the venues are asked for the rest. One that runs
        goes on running: the lock on its state directory keeps a second one out.
        """
        if self.alive:
            return
        past = self.wal.recover()
        self.runs += 1
        probe = make_engine(self.setup, 0)
        for record in past:
            probe.desk.note_start(record)
        start_s = max(self._clock() // SECOND, probe.desk.last_start_s + 1 if past else 0)
        self.engine = make_engine(self.setup, start_s)
        unapplied = fold(past, self._applying(past))
        self.wal.begin(self.engine.checkpoint(self._clock()))
        self.journal = self._make_journal()
        self.wires = {
            venue: Wire(network, lambda: self.frozen_until, self._sent, self._requested)
            for venue, network in self.networks.items()
        }
        self.sessions = make_sessions(self.setup, self.engine, self.wires)
        self.reactor = Reactor(
            Traced(self.engine, self._watch),
            self.sessions,
            self.wal,
            self.journal,
            self._clock,
            self.latch,
            pending=[session for session in self.sessions if isinstance(session, PaperSession)],
        )
        self.ticks = TickSource(self.sessions)
        self.reactor.add(self.ticks)
        self.alive = True
        self._note_states()
        self.reactor.tell(
            RunBegan(
                ts=0,
                instance="simulation",
                mode="demo",
                commit="",
                config_sha256="",
                recovered=bool(past),
                latched=self.latch.set,
                unapplied=len(unapplied),
            )
        )
        for session in self.sessions:
            session.start()
        self._ticking += 1
        number = self._ticking
        self.time.at(self.time.now, lambda: self._tick(number, self.time.now))

    def _applying(self, past: Sequence[Record]) -> Callable[[Record], None]:
        """The engine's own folding, but for a record that brings it down."""
        poison = past[-self.poisoned] if 0 < self.poisoned <= len(past) else None
        self.poisoned = 0
        apply = self.engine.apply

        def poisoned(record: Record) -> None:
            if record is poison:
                raise KeyError("a bug in our own folding")
            apply(record)

        return poisoned

    def tell(self, event: Event) -> None:
        """An event from outside any venue; lost on a dead trader."""
        if self.alive:
            self.reactor.tell(event)

    def freeze(self, duration_ns: int) -> None:
        """The loop stands still for that long; what arrives waits in the kernel."""
        self.on_blow("*")
        self.frozen_until = max(self.frozen_until, self.time.now + duration_ns)

    def kill(self) -> None:
        """`kill -9` between two inputs."""
        if self.alive:
            self.bury()

    def die_at(self, point: str, count: int = 1) -> None:
        """`kill -9` when this point is passed for the `count`-th time; see `boundaries.py`."""
        self.wal.boundary = Boundary(point, count, self._die)

    def _die(self) -> None:
        """At this very point of the product's code. Does not return."""
        self.alive = False
        self.wal.boundary = None
        raise Killed(self.bury)

    def _watch(self, event: Event, records: list[Record], commands: list[Command]) -> None:
        self._see(event, records, commands)
        for record in records:
            if type(record) is StateChanged:
                self._note_states()
                break
        if self.wal.boundary is not None:
            self.wal.boundary.stepped(event)

    def _note_states(self) -> None:
        self.states.append((self.time.now, self.engine.desk.states.entries()))

    def press(self) -> None:
        """Somebody else sets the kill latch."""
        self.latch.set = self._pressed = True
        latched = StateChanged(ts=self.time.now, scope="global", state=TradingState.HALTED, reason="kill latch")
        self.states.append((self.time.now, (*self.engine.desk.states.entries(), latched)))

    def release(self) -> None:
        """Nobody holds it any more."""
        self.latch.set = self._pressed = False

    def _sent(self, data: bytes) -> None:
        if self.wal.boundary is not None:
            self.wal.boundary.sent(data)

    def _requested(self, label: str) -> None:
        if self.wal.boundary is not None:
            self.wal.boundary.requested(label)

    def bury(self) -> None:
        """What the kernel does for a dead process."""
        self.alive = False
        self.on_blow("*")
        self._ticking += 1
        for wire in self.wires.values():
            wire.die()
        if self.back_ns:
            self.time.at(self.time.now + self.back_ns, self.boot)

    def _wait_for_the_disk(self, duration_ns: int) -> None:
        """A write that takes its time: everything else waits, and the clock goes on."""
        self._busy_until = max(self.time.now, self._busy_until) + duration_ns
        self.frozen_until = max(self.frozen_until, self._busy_until)

    def _clock(self) -> int:
        return max(self.time.now, self._busy_until) + self.clock_step_ns

    def _tick(self, number: int, due: int) -> None:
        if number != self._ticking:
            return
        now = self.time.now
        if self.frozen_until > now:
            self.time.at(self.frozen_until, lambda: self._tick(number, due))
            return
        late = now - due
        following = due + TICK_NS if late < TICK_NS else now + TICK_NS
        self.time.at(following, lambda: self._tick(number, following))
        if self._pressed and not self.engine.desk.states.has("global", KILL):  # as the daemon's own door does
            self.reactor.tell(Operator(ts=0, action="kill", source="latch"))
        self.reactor.feed(self.ticks, encode_tick(late))
        if late > STALL_NS:
            for session in self.sessions:
                session.ping(now)
