"""Two toy venues and an engine between them, under a seed: orders that are late, lost, refused, partly filled; answers
that are lost, doubled, out of order; links that come and go. The venues' balances are the truth to compare with.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random

import msgspec

from desk_kit import MS, START, SYMBOL, VENUES, instrument
from tradeserver.core.breaker import BreakerLimits
from tradeserver.core.commands import (
    Command,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    QueryOrders,
    RequestAccount,
    SubmitOrder,
)
from tradeserver.core.engine import Engine
from tradeserver.core.events import (
    AccountSnapshot,
    Balance,
    BalanceChanged,
    BookSnapshot,
    Ending,
    Event,
    FeesLoaded,
    FillsListed,
    InstrumentsLoaded,
    LinkDown,
    LinkUp,
    OpenOrdersListed,
    Operator,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrdersListed,
    OrderStatus,
    OrderUncertain,
    QueryFailed,
    RateLimited,
    RunBegan,
    SendRefused,
    Tick,
)
from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.ids import ClientIds
from tradeserver.core.losses import LossLimits
from tradeserver.core.market import MarketLimits
from tradeserver.core.records import Record
from tradeserver.core.risk import RiskLimits
from tradeserver.core.types import Charged, Fees, Side
from tradeserver.strategies.cross_arb import CrossArb, CrossArbParams

D = Decimal
FEES = {
    "binance": Fees(D("0.001"), D("0.001"), Charged.RECEIVED),
    "kucoin": Fees(D("0.001"), D("0.001"), Charged.QUOTE),
}
LIMITS = RiskLimits(max_arbitrages=2, max_open_orders=6, max_position_notional=D(3_000))
ENCODE = msgspec.msgpack.Encoder().encode

Task = Callable[[], Sequence[Event]]


def engine(start_s: int) -> Engine:
    return Engine(
        ids=ClientIds("T1", "demo", start_s),
        venues=VENUES,
        symbols=[SYMBOL],
        strategies=[CrossArb(CrossArbParams(), [SYMBOL], VENUES)],
        market=MarketLimits(),
        risk=LIMITS,
        execution=ExecutionPolicy(),
        losses=LossLimits(streak=0),
        breakers=BreakerLimits(one_sided_limit=0, crash_limit=0),  # faults make them trip: a world that goes on
    )


class ToyOrder:
    """An order as its venue knows it. IOC: it is over the moment it arrives."""

    def __init__(self, command: SubmitOrder, order_id: str) -> None:
        self.command = command
        self.order_id = order_id
        self.executed = D(0)
        self.rejected = False
        self.fills: list[OrderFilled] = []

    @property
    def ending(self) -> Ending:
        if self.rejected:
            return Ending.REJECTED
        return Ending.FILLED if self.executed == self.command.quantity else Ending.EXPIRED


class ToyVenue:
    """Balances, a book, and what became of each order. It never lies; its messages may be lost on the way."""

    def __init__(self, name: str, dice: Random) -> None:
        self.name = name
        self.dice = dice
        self.balances = {"BTC": D(1), "USDT": D(50_000)}
        self.orders: dict[str, ToyOrder] = {}
        self.bid, self.ask = D(60_000), D(60_001)
        self.up = {"user": False, "orders": False}
        self._ids = 0

    def arrive(self, command: SubmitOrder, ts: int) -> ToyOrder:
        """The order reaches the matching engine."""
        self._ids += 1
        order = self.orders[command.client_id] = ToyOrder(command, f"{self.name}-{self._ids}")
        buys = command.side is Side.BUY
        price = self.ask if buys else self.bid
        if self.dice.random() < 0.1 or not self._covered(command, price):
            order.rejected = True
            return order
        if price > command.price if buys else price < command.price:
            return order
        share = self.dice.choice((1, 1, 1, 1, D("0.5"), D("0.3"), 0))
        left = self._lots(command.quantity * share)
        while left:
            part = left if self.dice.random() < 0.6 else max(self._lots(left / 2), instrument(self.name).lot)
            left -= part
            self._fill(order, part, price, ts)
        return order

    def _lots(self, quantity: Decimal) -> Decimal:
        lot = instrument(self.name).lot
        return quantity // lot * lot

    def _covered(self, command: SubmitOrder, price: Decimal) -> bool:
        if command.side is Side.SELL:
            return self.balances["BTC"] >= command.quantity
        return self.balances["USDT"] >= command.quantity * command.price * D("1.001")

    def _fill(self, order: ToyOrder, quantity: Decimal, price: Decimal, ts: int) -> None:
        self._ids += 1
        command = order.command
        buys = command.side is Side.BUY
        in_base = self.name == "binance" and buys
        commission = quantity * D("0.001") if in_base else quantity * price * D("0.001")
        commission = commission.quantize(D("1e-7"), "ROUND_UP" if self.name == "kucoin" else "ROUND_DOWN")
        asset = "BTC" if in_base else "USDT"
        self.balances["BTC"] += quantity if buys else -quantity
        self.balances["USDT"] += -quantity * price if buys else quantity * price
        self.balances[asset] -= commission
        order.executed += quantity
        order.fills.append(
            OrderFilled(
                ts=ts,
                venue=self.name,
                client_id=command.client_id,
                symbol=SYMBOL,
                side=command.side,
                trade_id=str(self._ids),
                venue_order_id=order.order_id,
                price=price,
                quantity=quantity,
                commission=commission,
                commission_asset=asset,
            )
        )

    def streamed(self, fill: OrderFilled) -> OrderFilled:
        """As the stream tells it: KuCoin's does not say the commission."""
        if self.name == "binance":
            return fill
        return msgspec.structs.replace(fill, commission=None, commission_asset="")


class CrashError(Exception):
    """kill -9."""


class World:
    """Everything under one seed. `records` are all that the engine ever kept, `sent` all orders that it ever wanted."""

    def __init__(self, seed: int, *, faults: bool = True) -> None:
        self.dice = Random(seed)
        self.faults = faults
        self.ts = START
        self.engine = engine(START // 10**9)
        self.venues = {name: ToyVenue(name, self.dice) for name in VENUES}
        self.records: list[Record] = []
        self.sent: list[SubmitOrder] = []
        self.lazy = False  # ticks only when the engine said that one is due
        self.ticks = 0
        self.very_late = False  # now and then an order reaches its venue when nobody believes in it any more
        self.after_step: Callable[[Sequence[Record], Sequence[Command]], None] = lambda records, commands: None
        self.mid = 60_000.0
        self.gap = 0.0
        self._agenda: list[tuple[int, int, Task]] = []
        self._count = 0
        self._update_id = 0
        self._life = 0  # of the process: what was under way to a dead one is lost
        self._crash_at: type | None = None
        self._performed = 0

    # ---- time ------------------------------------------------------------------------------------------------------

    def later(self, ms: float, task: Task) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (self.ts + int(ms * MS), self._count, task))

    def begin(self, *, recovered: bool = False) -> None:
        """A process starts: nothing is connected yet."""
        self.feed(RunBegan(ts=self.ts, instance="t", mode="demo", commit="", config_sha256="", recovered=recovered))
        for name, venue in self.venues.items():
            self.feed(InstrumentsLoaded(ts=self.ts, venue=name, instruments=(instrument(name),)))
            self.feed(FeesLoaded(ts=self.ts, venue=name, fees={SYMBOL: FEES[name]}))
            self.feed(LinkUp(ts=self.ts, venue=name, channel="market"))
            for channel in venue.up:
                self.link(venue, channel, up=True)

    def run(self, seconds: float) -> None:
        """Trading with trouble."""
        end = self.ts + int(seconds * 1e9)
        while self.ts < end:
            self.advance(self.dice.choice((10, 20, 50)))
            if self.dice.random() < 0.5:
                self.move_market()
            if self.faults and self.dice.random() < 0.01:
                self.trouble()

    def settle(self, seconds: float = 90) -> None:
        """No more trouble, no more edge: wait until nothing is open."""
        self.faults = False
        for venue in self.venues.values():
            for channel, up in venue.up.items():
                if not up:
                    self.link(venue, channel, up=True)
        for state in self.engine.desk.states.entries():
            for action in ("clear", "resume"):
                self.feed(Operator(ts=self.ts, action=action, scope=state.scope, argument=state.reason))
        end = self.ts + int(seconds * 1e9)
        self.gap = 0.0
        while self.ts < end:
            self.advance(50)
            self.quote()
            desk = self.engine.desk
            idle = not desk.orders.live and not desk.orders.owed and not desk.arbitrages
            if idle and self.engine.readiness.ready() and not self._agenda:
                return

    def advance(self, ms: float) -> None:
        end = self.ts + int(ms * MS)
        while self._agenda and self._agenda[0][0] <= end:
            due, _, task = heapq.heappop(self._agenda)
            self.ts = max(self.ts, due)
            for event in task():
                self.feed(event)
        self.ts = end
        due = self.engine.next_deadline()
        if not self.lazy or (due and self.ts >= due):
            self.ticks += 1
            self.feed(Tick(ts=self.ts))

    # ---- the market ------------------------------------------------------------------------------------------------

    def move_market(self) -> None:
        self.mid += self.dice.gauss(0, 8)
        self.gap = self.gap * 0.97 + self.dice.gauss(0, 40)
        self.quote()

    def quote(self) -> None:
        for name, sign in (("binance", -1), ("kucoin", 1)):
            venue = self.venues[name]
            bid = round(self.mid + sign * self.gap / 2, 1)
            venue.bid, venue.ask = D(repr(bid)), D(repr(round(bid + 1.0, 1)))
            self._update_id += 1
            self.feed(
                BookSnapshot(
                    ts=self.ts,
                    venue=name,
                    symbol=SYMBOL,
                    update_id=self._update_id,
                    bids=[(round(bid - i, 1), 0.05) for i in range(4)],
                    asks=[(round(bid + 1.0 + i, 1), 0.05) for i in range(4)],
                )
            )

    # ---- trouble ---------------------------------------------------------------------------------------------------

    def trouble(self) -> None:
        venue = self.venues[self.dice.choice(VENUES)]
        what = self.dice.randrange(6)
        if what < 3:
            channel = self.dice.choice(("user", "orders"))
            if venue.up[channel]:
                self.link(venue, channel, up=False)
                life = self._life
                pause = self.dice.choice((200, 1500, 4000))
                self.later(pause, lambda: self.link(venue, channel, up=True) if life == self._life else ())
        elif what == 3:
            scope = self.dice.choice(("global", f"venue:{venue.name}", f"symbol:{SYMBOL}"))
            action = self.dice.choice(("kill", "pause"))
            self.feed(Operator(ts=self.ts, action=action, scope=scope, argument=self.dice.choice(("", "hedge"))))
            undo = "clear" if action == "kill" else "resume"
            self.later(1000, lambda: [Operator(ts=self.ts, action=undo, scope=scope)])
        elif what == 4:
            until = self.ts + self.dice.choice((300, 2000)) * MS
            banned = self.dice.random() < 0.3
            self.feed(RateLimited(ts=self.ts, venue=venue.name, scope="orders", until=until, banned=banned))
        else:
            self.mid += self.dice.choice((-300, 300))

    def link(self, venue: ToyVenue, channel: str, *, up: bool) -> Sequence[Event]:
        if venue.up[channel] is not up:
            venue.up[channel] = up
            kind = LinkUp if up else LinkDown
            more = {} if up else {"reason": "reset"}
            self.feed(kind(ts=self.ts, venue=venue.name, channel=channel, **more))
        return ()

    def run_until_crash(self, seconds: float, crash_at: type, performed: int) -> None:
        """Like `run`, then the process dies: in a step with such a command, when its records are written and
        `performed` of its commands done; at the latest when the time is over.
        """
        self.run(seconds / 2)
        self._crash_at, self._performed = crash_at, performed
        try:
            self.run(seconds / 2)
        except CrashError:
            pass
        self._life += 1
        for venue in self.venues.values():
            venue.up = dict.fromkeys(venue.up, False)
        self._crash_at = None

    def down(self, ms: float) -> None:
        """Time passes without a process: what was under way reaches the venues."""
        end = self.ts + int(ms * MS)
        while self._agenda and self._agenda[0][0] <= end:
            due, _, task = heapq.heappop(self._agenda)
            self.ts = max(self.ts, due)
            task()
        self.ts = end

    # ---- the engine ------------------------------------------------------------------------------------------------

    def feed(self, event: Event) -> None:
        records, commands = self.engine.step(event)
        self.records += records
        self.sent += [c for c in commands if isinstance(c, SubmitOrder)]
        self.after_step(records, commands)
        dies = self._crash_at is not None and any(isinstance(c, self._crash_at) for c in commands)
        for command in commands[: self._performed if dies else None]:
            self.perform(command)
        if dies:
            raise CrashError

    def perform(self, command: Command) -> None:
        venue = self.venues[command.venue]
        if isinstance(command, SubmitOrder):
            self._submit(venue, command)
        elif isinstance(command, QueryOrder | QueryFills | QueryOpenOrders | QueryOrders | RequestAccount):
            asked, life = self.ts, self._life
            there, back = self._delay(), self._delay()

            def at_the_venue() -> Sequence[Event]:
                answer = self._answer(venue, command, asked)
                self.later(back, lambda: [_stamped(answer, self.ts)] if life == self._life else ())
                return ()

            if not self.faults or self.dice.random() > 0.05:
                self.later(there, at_the_venue)

    def _delay(self) -> float:
        if self.faults and self.dice.random() < 0.1:
            return self.dice.uniform(100, 3000)
        return self.dice.uniform(1, 60)

    def _submit(self, venue: ToyVenue, command: SubmitOrder) -> None:
        if not venue.up["orders"]:
            reason = "orders link down"
            self.later(
                0, lambda: [SendRefused(ts=self.ts, venue=venue.name, client_id=command.client_id, reason=reason)]
            )
            return
        if self.faults and self.dice.random() < 0.06:
            return  # its bytes left and never arrived
        delay, sure = self._delay(), False
        if self.faults and self.dice.random() < 0.03:
            delay = self.dice.uniform(2000, 12_000)
        elif self.very_late and self.dice.random() < 0.2:
            delay, sure = self.dice.uniform(21_000, 35_000), True  # nobody will ask any more: the stream must tell
        self.later(delay, lambda: self._arrived(venue, command, sure))

    def _arrived(self, venue: ToyVenue, command: SubmitOrder, sure: bool) -> Sequence[Event]:
        order = venue.arrive(command, self.ts)
        who = {"ts": self.ts, "venue": venue.name, "client_id": command.client_id}
        if order.rejected:
            self._say(venue, "orders", OrderRejected(**who, code="-2010", text="no"))
            return ()
        if self.faults and self.dice.random() < 0.05:
            self._say(venue, "orders", OrderUncertain(**who, code="-1006", text="unknown"))
        else:
            self._say(venue, "orders", OrderAccepted(**who, venue_order_id=order.order_id))
        for fill in order.fills:
            self._say(venue, "user", venue.streamed(fill), sure=sure)
        closed = OrderClosed(
            **who, ending=order.ending, executed=order.executed, venue_order_id=order.order_id, reason="IOC"
        )
        self._say(venue, "user", closed)
        for asset, total in venue.balances.items():
            self._say(
                venue, "user", BalanceChanged(ts=self.ts, venue=venue.name, asset=asset, balance=Balance(total, D(0)))
            )
        return ()

    def _say(self, venue: ToyVenue, channel: str, event: Event, *, sure: bool = False) -> None:
        """By stream: lost when the link goes, and now and then without that; sometimes doubled. Or kept until heard."""
        life = self._life

        def deliver() -> Sequence[Event]:
            if sure and not venue.up[channel]:
                self.later(500, deliver)
            return [_stamped(event, self.ts)] if venue.up[channel] and life == self._life else ()

        if sure or not self.faults or self.dice.random() > 0.03:
            self.later(self._delay(), deliver)
        if self.faults and self.dice.random() < 0.1:
            self.later(self._delay() * 3, deliver)

    def _answer(self, venue: ToyVenue, command: Command, asked: int) -> Event:
        who = {"ts": self.ts, "venue": venue.name}
        if self.faults and self.dice.random() < 0.1:
            client_id = getattr(command, "client_id", "")
            query = type(command).__name__
            return QueryFailed(**who, client_id=client_id, query=query, symbol=SYMBOL, reason="timeout")
        if isinstance(command, RequestAccount):
            balances = {asset: Balance(total, D(0)) for asset, total in venue.balances.items()}
            return AccountSnapshot(**who, balances=balances, asked_ts=asked)
        if isinstance(command, QueryOpenOrders):
            return OpenOrdersListed(**who, orders=(), asked_ts=asked)
        if isinstance(command, QueryOrders):
            return OrdersListed(**who, symbol=SYMBOL, orders=(), asked_ts=asked)  # this log loses nothing
        assert isinstance(command, QueryOrder | QueryFills)
        order = venue.orders.get(command.client_id)
        more = {"client_id": command.client_id, "symbol": SYMBOL, "asked_ts": asked}
        if isinstance(command, QueryFills):
            return FillsListed(**who, **more, fills=() if order is None else tuple(order.fills))
        if order is None or order.rejected:
            return OrderStatus(**who, **more, found=False)
        return OrderStatus(
            **who,
            **more,
            found=True,
            ending=order.ending,
            executed=order.executed,
            venue_order_id=order.order_id,
        )


def _stamped(event: Event, ts: int) -> Event:
    return msgspec.structs.replace(event, ts=ts)
