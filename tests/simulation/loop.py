"""The whole conversation in one `for` loop: engine, reactor, sessions and codecs against the simulator's fronts.

No socket and no clock: a heap of things to do, ordered by simulated time, and dice from one seed. `Wire` stands where
`sessions/sockets.py` stands live: it carries HTTP requests and frames to a front and back, each with its own latency,
in order on each connection, and applies the simulator's faults as `simulator/server.py` does. Everything else is the
product's own code.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from urllib.parse import urlsplit

import msgspec

from tradeserver.core.breaker import BreakerLimits
from tradeserver.core.commands import Command
from tradeserver.core.engine import Engine
from tradeserver.core.events import Event, Operator, RunBegan, Trust
from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.ids import ClientIds
from tradeserver.core.market import MarketLimits
from tradeserver.core.records import Record
from tradeserver.core.risk import RiskLimits
from tradeserver.core.types import Charged, Fees, Key
from tradeserver.core.venues import Phase
from tradeserver.runtime.journal import Journal, MemoryJournal
from tradeserver.runtime.latch import MemoryLatch
from tradeserver.runtime.reactor import Reactor
from tradeserver.runtime.ticks import TickSource, encode_tick
from tradeserver.runtime.wal import MemoryWal
from tradeserver.sessions.base import Closed, HttpAnswer, Opened, Opening, Ponged, Session
from tradeserver.sessions.paper import PaperSession
from tradeserver.sessions.paper_venue import PaperSettings
from tradeserver.sessions.wire import Listener, Transport, VenueSession
from tradeserver.simulator.accounts import Rates
from tradeserver.simulator.config import SimConfig, default_config
from tradeserver.simulator.front import Close, HttpIn, Ping
from tradeserver.simulator.world import World
from tradeserver.strategies.cross_arb import CrossArb, CrossArbParams
from tradeserver.venues.base import NO_ANSWER, NOT_SENT, Codec, Connect, Credentials, HttpRequest
from tradeserver.venues.binance.codec import BinanceCodec
from tradeserver.venues.binance.settings import BinanceSettings
from tradeserver.venues.kucoin.codec import KucoinCodec
from tradeserver.venues.kucoin.settings import KucoinSettings

MS = 1_000_000
SECOND = 1_000 * MS
START = 1_750_000_000 * SECOND
TICK_NS = 10 * MS
REMOTE = "127.0.0.1"
KEYS = {
    "binance": Credentials("SIMbinance", "SIMbinance-secret"),
    "kucoin": Credentials("SIMkucoin", "SIMkucoin-secret", "SIMkucoin-passphrase"),
}


def make_codec(venue: str, symbols: Sequence[str], key: Credentials | None) -> Codec:
    if venue == "binance":
        settings = BinanceSettings(
            rest_url="http://binance.sim", stream_url="ws://binance.sim", ws_api_url="ws://binance.sim/ws-api/v3"
        )
        return BinanceCodec(settings, symbols, key)
    return KucoinCodec(
        KucoinSettings(rest_url="http://kucoin.sim", order_entry_url="ws://kucoin.sim/v1/private"), symbols, key
    )


class Timeline:
    """Simulated time: what is due is done in order of time, then of scheduling."""

    def __init__(self, seed: int) -> None:
        self.now = START
        self.dice = random.Random(f"{seed} network")
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def at(self, when: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (max(when, self.now), next(self._count), what))

    def run(self, until: int) -> None:
        while self._due and self._due[0][0] <= until:
            self.now, _, what = heapq.heappop(self._due)
            what()
        self.now = until

    def latency(self) -> int:
        """One way through the network: 1 ms, and now and then much more."""
        return MS + int(self.dice.expovariate(1 / (0.5 * MS)))


class Line:
    """One WebSocket between a channel and the front. `sent` and `heard` keep each direction in order."""

    def __init__(self, conn: int, channel: str) -> None:
        self.conn = conn
        self.channel = channel
        self.alive = True
        self.sent = 0
        self.heard = 0


class Wire:
    """`sessions.wire.Transport` over simulated time. Channels in `dead` cannot be connected."""

    conns = itertools.count(1)

    def __init__(self, venue: str, world: World, time: Timeline, after: Callable[[], None]) -> None:
        self.venue = venue
        self.front = world.fronts[venue]
        self.front.origin = f"{venue}.sim"
        self.requests: list[str] = []  # labels, for tests
        self.dead: set[str] = set()
        self._faults = world.faults
        self._time = time
        self._after = after  # something reached the front
        self._lines: dict[str, Line] = {}
        self._opening: dict[str, int] = {}  # channel -> number of the opening that waits for its Connect
        self._openings = itertools.count(1)
        self._listener: Listener | None = None

    # ---- Transport -------------------------------------------------------------------------------------------------

    def bind(self, listener: Listener) -> None:
        self._listener = listener

    def keep_open(self, channel: str) -> None:
        self._time.at(self._time.now, lambda: self._begin(channel))

    def connect(self, connect: Connect) -> None:
        if self._opening.pop(connect.channel, 0):
            line = self._lines[connect.channel] = Line(next(self.conns), connect.channel)
            self._time.at(self._time.now + self._time.latency(), lambda: self._handshake(line, connect))

    def send(self, channel: str, data: bytes) -> bool:
        line = self._lines.get(channel)
        if line is None or not line.alive:
            return False
        line.sent = max(line.sent, self._time.now + self._time.latency())
        self._time.at(line.sent, lambda: self._arrive(line, data.decode()))
        return True

    def request(self, request: HttpRequest) -> None:
        self.requests.append(request.label)
        self._time.at(self._time.now + self._time.latency(), lambda: self._http(request))

    def decline(self, request: HttpRequest) -> None:
        self._tell(HttpAnswer(request.id, NOT_SENT, {}, b"held back"))

    def reset(self, channel: str, reason: str) -> None:
        self._opening.pop(channel, None)
        line = self._lines.pop(channel, None)
        if line is not None:
            self._hang_up(line)
        self._lost(channel, reason)

    def ping(self, ts: int) -> None:
        for channel, line in self._lines.items():
            if channel.startswith("market"):
                self._time.at(
                    self._time.now + 2 * self._time.latency(),
                    lambda channel=channel, line=line: line.alive and self._tell(Ponged(channel, ts)),
                )

    # ---- the way there -----------------------------------------------------------------------------------------------

    def _begin(self, channel: str) -> None:
        number = self._opening[channel] = next(self._openings)
        self._time.at(self._time.now + 15 * SECOND, lambda: self._give_up(channel, number))
        self._tell(Opening(channel))

    def _give_up(self, channel: str, number: int) -> None:
        if self._opening.get(channel) == number:
            del self._opening[channel]
            self._lost(channel, "no address to connect to in time")

    def _handshake(self, line: Line, connect: Connect) -> None:
        if self._lines.get(line.channel) is not line:
            return
        url = urlsplit(connect.url)
        headers = {name.lower(): value for name, value in connect.headers.items()}
        accepted = self.front.connect(line.conn, url.path or "/", url.query, headers, REMOTE, self._time.now)
        if accepted is True and line.channel in self.dead:
            self.front.closed(line.conn, self._time.now)
            accepted = False
        if accepted is not True:
            del self._lines[line.channel]
            self._lost(line.channel, "upgrade refused")
            return
        line.heard = self._time.now + self._time.latency()
        self._time.at(line.heard, lambda: line.alive and self._tell(Opened(line.channel)))
        self._after()

    def _arrive(self, line: Line, text: str) -> None:
        if line.alive and self._faults.on_in(self.venue, self.front.channel_of(line.conn), text, self._time.now):
            self.front.message(line.conn, text, self._time.now)
            self._after()

    def _http(self, request: HttpRequest) -> None:
        now = self._time.now
        url = urlsplit(request.url)
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = HttpIn(request.method, url.path, url.query, headers, request.body, REMOTE)
        text = f"{asked.method} {asked.path}?{asked.query} {asked.body.decode(errors='replace')}"
        orders = asked.method in ("POST", "DELETE") and "order" in asked.path.lower()
        if not self._faults.on_in(self.venue, "orders" if orders else "rest", text, now):
            self._no_answer(request)
            return
        answer = self.front.http(asked, now)
        action = self._faults.on_out(self.venue, answer.channel, text + answer.body.decode(errors="replace"), now)
        if action.copies:
            lower = {name.lower(): value for name, value in answer.headers.items()}
            back = HttpAnswer(request.id, answer.status, lower, answer.body)
            self._time.at(max(now, action.not_before_ns) + self._time.latency(), lambda: self._tell(back))
        else:
            self._no_answer(request)
        self._after()

    def _no_answer(self, request: HttpRequest) -> None:
        """The connection breaks."""
        answer = HttpAnswer(request.id, NO_ANSWER, {}, b"connection reset")
        self._time.at(self._time.now + self._time.latency(), lambda: self._tell(answer))

    # ---- the way back ------------------------------------------------------------------------------------------------

    def deliver(self) -> None:
        """Everything that the front wants to send is on its way."""
        outgoing = self.front.outgoing.copy()
        self.front.outgoing.clear()
        by_conn = {line.conn: line for line in self._lines.values()}
        for conn, what in outgoing:
            line = by_conn.get(conn)
            if line is None or not line.alive:
                continue
            copies, not_before = 1, 0
            if isinstance(what, str):
                action = self._faults.on_out(self.venue, self.front.channel_of(conn), what, self._time.now)
                copies, not_before = action.copies, action.not_before_ns
            for _ in range(copies):
                line.heard = max(line.heard, max(self._time.now, not_before) + self._time.latency())
                self._time.at(line.heard, lambda line=line, what=what: self._hear(line, what))

    def _hear(self, line: Line, what: str | Ping | Close) -> None:
        if not line.alive:
            return
        assert self._listener is not None
        if isinstance(what, str):
            self._listener.frames(line.channel)(what.encode())
        elif isinstance(what, Ping):
            self._time.at(
                self._time.now + self._time.latency(),
                lambda: line.alive and self.front.pong(line.conn, what.payload, self._time.now),
            )
        else:
            self.cut(line.channel, f"closed {what.code} {what.reason}")

    def under_way(self) -> bool:
        """Whether a frame is still to arrive."""
        return any(line.heard > self._time.now for line in self._lines.values())

    def cut(self, channel: str, reason: str) -> None:
        """The connection breaks, without a goodbye."""
        line = self._lines.pop(channel, None)
        if line is not None:
            self._hang_up(line)
            self._lost(channel, reason)

    def cut_all(self, channel: str) -> None:
        """What a `disconnect` fault does: every connection that the front knows as that channel."""
        for line in list(self._lines.values()):
            if line.alive and channel in ("*", self.front.channel_of(line.conn)):
                self.cut(line.channel, "connection reset")

    def _hang_up(self, line: Line) -> None:
        line.alive = False
        self.front.closed(line.conn, self._time.now)

    def _lost(self, channel: str, reason: str) -> None:
        self._tell(Closed(channel, reason))
        self._time.at(self._time.now + 200 * MS, lambda: self._begin(channel))

    def _tell(self, happened: Opening | Opened | Closed | HttpAnswer | Ponged) -> None:
        assert self._listener is not None
        self._listener.tell(happened)


class Traced:
    """An engine that keeps what went through it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: list[Event] = []
        self.records: list[Record] = []
        self.commands: list[Command] = []
        self.apply = engine.apply
        self.checkpoint = engine.checkpoint
        self.digest_state = engine.digest_state
        self.next_deadline = engine.next_deadline

    def step(self, event: Event) -> tuple[list[Record], list[Command]]:
        records, commands = self.engine.step(event)
        self.events.append(event)
        self.records += records
        self.commands += commands
        return records, commands


def lively_config(symbols: Sequence[str]) -> SimConfig:
    """The demo's market with these symbols alone, more shocks and small fees: more happens in less time."""
    config = default_config()
    flows = {name: flow for name, flow in config.market.symbols.items() if name in symbols}
    market = msgspec.structs.replace(config.market, symbols=flows, shocks_per_minute=40.0)
    rates = Rates(Decimal("0.0001"), Decimal("0.0002"))
    venues = {venue: msgspec.structs.replace(settings, rates=rates) for venue, settings in config.venues.items()}
    return msgspec.structs.replace(config, market=market, venues=venues)


VENUES = ("binance", "kucoin")
EAGER = CrossArbParams(min_edge_bps=0.0)


def make_engine(symbols: Sequence[str], params: CrossArbParams | None, mode: str) -> Engine:
    return Engine(
        ids=ClientIds("SI", mode, START // SECOND),
        venues=VENUES,
        symbols=symbols,
        strategies=[CrossArb(params, symbols, VENUES)] if params else [],
        market=MarketLimits(),
        risk=RiskLimits(),
        execution=ExecutionPolicy(),
        breakers=BreakerLimits(one_sided_limit=0, crash_limit=0),  # faults make them trip: a world that goes on
    )


def make_sessions(
    engine: Engine, symbols: Sequence[str], transports: Mapping[str, Transport], paper: PaperSettings | None
) -> list[Session]:
    sessions: list[Session] = []
    for venue in VENUES:
        codec = make_codec(venue, symbols, None if paper else KEYS[venue])
        session = VenueSession(codec, transports[venue])
        if paper:
            charged = Charged.RECEIVED if venue == "binance" else Charged.QUOTE
            fees = Fees(maker=paper.maker_fee, taker=paper.taker_fee, charged=charged)
            sessions.append(PaperSession(session, engine.market, paper, fees))
        else:
            sessions.append(session)
    return sessions


class Loop:
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
        self.time = Timeline(seed)
        sim = msgspec.structs.replace(config or lively_config(symbols), seed=seed)
        self.world = World(sim, self.time.now)
        for fault in faults:
            self.world.faults.add(fault, self.time.now)
        self.engine = make_engine(symbols, params if trading else None, "paper" if paper else "demo")
        self.trace = Traced(self.engine)
        self.wires = {venue: Wire(venue, self.world, self.time, self._deliver) for venue in self.world.fronts}
        self.sessions = make_sessions(self.engine, symbols, self.wires, paper)
        self.journal = MemoryJournal() if journal is None else journal
        self.wal = MemoryWal()
        self.latch = MemoryLatch()
        self.reactor = Reactor(
            self.trace,
            self.sessions,
            self.wal,
            self.journal,
            lambda: self.time.now,
            self.latch,
            pending=[session for session in self.sessions if isinstance(session, PaperSession)],
        )
        self.ticks = TickSource(self.sessions)
        self.reactor.add(self.ticks)
        self.flowing = True  # the simulated market moves
        self.reactor.tell(
            RunBegan(ts=0, instance="simulation", mode="demo", commit="", config_sha256="", recovered=False)
        )
        for session in self.sessions:
            session.start()
        self.time.at(self.time.now, self._tick)
        self.time.at(self.time.now, self._world)

    # ---- time --------------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> Loop:
        self.time.run(self.time.now + int(seconds * SECOND))
        return self

    def _tick(self) -> None:
        self.reactor.feed(self.ticks, encode_tick(0))
        self.time.at(self.time.now + TICK_NS, self._tick)

    def _world(self) -> None:
        world, now = self.world, self.time.now
        if self.flowing:
            world.step(now)
        for venue, channel in world.faults.disconnects(now):
            for name, wire in self.wires.items():
                if venue in ("*", name):
                    wire.cut_all(channel)
        self._deliver()
        self.time.at(now + TICK_NS, self._world)

    def _deliver(self) -> None:
        """Fronts publish what has happened; it is on its way."""
        now = self.time.now
        for exchange in self.world.exchanges.values():
            exchange.tick(now)
        for wire in self.wires.values():
            wire.front.tick(now)
            wire.deliver()

    # ---- looking -----------------------------------------------------------------------------------------------------

    def calm(self, at_most_s: int = 30) -> Loop:
        """Nothing new is opened until everything under way has ended; then the market stands still."""
        self.reactor.tell(Operator(ts=0, action="pause", source="control"))
        for _ in range(at_most_s):
            self.run(1.0)
            desk = self.engine.desk
            synced = all(symbol.trust is Trust.SYNCED for symbol in desk.market.symbols.values())
            ready = all(venue.phase is Phase.READY for venue in self.engine.readiness.venues.values())
            if synced and ready and not desk.orders.live and not desk.arbitrages:
                break
        self.flowing = False
        self.run(0.5)
        while any(wire.under_way() for wire in self.wires.values()):  # what a stall holds back
            self.run(0.5)
        return self

    def of(self, kind: type) -> list[Event]:
        return [event for event in self.trace.events if isinstance(event, kind)]

    def kept(self, kind: type) -> list[Record]:
        return [record for record in self.trace.records if isinstance(record, kind)]

    def unequal_books(self) -> list[str]:
        """Where our book is not the exchange's, level by level. For a market that stands still."""
        wrong = []
        for key, symbol in self.engine.market.symbols.items():
            ours = symbol.book.top(10_000)
            if ours != true_book(self.world, key):
                wrong.append(f"{key} at {symbol.book.update_id}: {ours[0][:2]} {ours[1][:2]}")
        return wrong

    def unequal_balances(self) -> list[str]:
        """Where the ledger differs from the exchange's account, to the last digit."""
        wrong = []
        for venue, exchange in self.world.exchanges.items():
            account = exchange.accounts["main"]
            for asset, balance in account.balances.items():
                ours = self.engine.desk.ledger.totals.get((venue, asset), Decimal(0))
                if ours != balance.total:
                    wrong.append(f"{venue} {asset}: ours {ours}, theirs {balance.total}")
        return wrong


def true_book(world: World, key: Key) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """The exchange's own book as floats."""
    depth = world.exchanges[key[0]].depth(key[1], 100_000)
    return tuple([(float(p), float(q)) for p, q in side] for side in (depth.bids, depth.asks))  # type: ignore[return-value]
