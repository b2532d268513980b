"""A small trading desk for tests of the core: two venues, one symbol, events by hand."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tradeserver.core.breaker import BreakerLimits
from tradeserver.core.commands import Command, QueryOpenOrders, QueryOrders, RequestAccount, SubmitOrder
from tradeserver.core.engine import Engine
from tradeserver.core.events import (
    AccountSnapshot,
    Balance,
    BookSnapshot,
    Ending,
    Event,
    FeesLoaded,
    InstrumentsLoaded,
    LinkUp,
    OpenOrdersListed,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrdersListed,
    RunBegan,
    Tick,
)
from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.ids import ClientIds
from tradeserver.core.market import MarketLimits
from tradeserver.core.records import Record
from tradeserver.core.risk import RiskLimits
from tradeserver.core.types import Charged, Fees, Instrument
from tradeserver.strategies.cross_arb import CrossArb, CrossArbParams

D = Decimal
SYMBOL = "BTC/USDT"
VENUES = ("binance", "kucoin")
START = 1_700_000_000_000_000_000
MS = 1_000_000
UNBROKEN = BreakerLimits(
    one_sided_limit=0, crash_limit=0, max_move_bps=0, max_volatility_bps=0, max_doubtful_pct=0, technical_limit=0
)


def instrument(venue: str, **changes: Any) -> Instrument:
    fields: dict[str, Any] = {
        "venue": venue,
        "symbol": SYMBOL,
        "native": "BTCUSDT" if venue == "binance" else "BTC-USDT",
        "base": "BTC",
        "quote": "USDT",
        "tick": D("0.01") if venue == "binance" else D("0.1"),
        "lot": D("0.00001") if venue == "binance" else D("0.00000001"),
        "min_quantity": D("0.00001"),
        "max_quantity": D(9000),
        "min_notional": D(5) if venue == "binance" else D("0.1"),
    }
    return Instrument(**(fields | changes))


class Kit:
    """An engine and the conversation with it. Everything it ever said is in `records` and `commands`."""

    def __init__(self, params: CrossArbParams | None = None, **changes: Any) -> None:
        self.ts = START
        self.records: list[Record] = []
        self.commands: list[Command] = []
        self.limits = changes.get("risk", RiskLimits())
        self.engine = Engine(
            ids=ClientIds("T1", "demo", changes.get("start_s", START // 1_000_000_000)),
            venues=VENUES,
            symbols=[SYMBOL],
            strategies=[CrossArb(params or CrossArbParams(), [SYMBOL], VENUES)],
            market=MarketLimits(),
            risk=self.limits,
            execution=changes.get("execution", ExecutionPolicy()),
            breakers=changes.get("breakers", UNBROKEN),
            losses=changes.get("losses"),
            safety=changes.get("safety"),
        )
        self.fees = {
            "binance": Fees(D("0.001"), D("0.001"), Charged.RECEIVED),
            "kucoin": Fees(D("0.001"), D("0.001"), Charged.QUOTE),
        }
        self.balances = {v: {"BTC": D(1), "USDT": D(50_000)} for v in VENUES}
        self._trade = 0
        self._asked = 0

    def feed(self, event: Event) -> tuple[list[Record], list[Command]]:
        records, commands = self.engine.step(event)
        self.records += records
        self.commands += commands
        return records, commands

    def later(self, ms: float) -> None:
        self.ts += int(ms * MS)

    def tick(self, ms: float = 10) -> tuple[list[Record], list[Command]]:
        self.later(ms)
        return self.feed(Tick(ts=self.ts))

    def begin(self) -> None:
        """A run up to READY."""
        self.feed(RunBegan(ts=self.ts, instance="test", mode="demo", commit="none", config_sha256="0", recovered=False))
        for venue in VENUES:
            self.connect(venue)

    def connect(self, venue: str, answer: bool = True) -> None:
        self.feed(InstrumentsLoaded(ts=self.ts, venue=venue, instruments=(instrument(venue),)))
        self.feed(FeesLoaded(ts=self.ts, venue=venue, fees={SYMBOL: self.fees[venue]}))
        for channel in ("market", "user", "orders"):
            self.feed(LinkUp(ts=self.ts, venue=venue, channel=channel))
        if answer:
            self.answer()

    def answer(self) -> None:
        """Answer what the reconciling path asks, until it asks no more."""
        for _ in range(10):
            waiting, self._asked = self.commands[self._asked :], len(self.commands)
            for command in waiting:
                if isinstance(command, QueryOpenOrders):
                    self.feed(OpenOrdersListed(ts=self.ts, venue=command.venue, orders=(), asked_ts=self.ts))
                elif isinstance(command, QueryOrders):
                    listed = OrdersListed(
                        ts=self.ts, venue=command.venue, symbol=command.symbol, orders=(), asked_ts=self.ts
                    )
                    self.feed(listed)
                elif isinstance(command, RequestAccount):
                    balances = {a: Balance(t, D(0)) for a, t in self.balances[command.venue].items()}
                    self.feed(AccountSnapshot(ts=self.ts, venue=command.venue, balances=balances, asked_ts=self.ts))
            self.tick()

    def book(
        self, venue: str, bid: float, ask: float, quantity: float = 1.0, depth: int = 5
    ) -> tuple[list[Record], list[Command]]:
        self.later(1)
        step = 0.1
        return self.feed(
            BookSnapshot(
                ts=self.ts,
                venue=venue,
                symbol=SYMBOL,
                update_id=self.ts,
                bids=[(round(bid - i * step, 2), quantity) for i in range(depth)],
                asks=[(round(ask + i * step, 2), quantity) for i in range(depth)],
            )
        )

    def quiet(self) -> None:
        """Both books, no edge."""
        self.book("binance", 60_000.0, 60_001.0)
        self.book("kucoin", 60_000.0, 60_001.0)

    def edge(self, quantity: float = 1.0) -> list[SubmitOrder]:
        """KuCoin bids 40 bps above Binance's ask."""
        _, first = self.book("binance", 60_000.0, 60_001.0, quantity)
        _, second = self.book("kucoin", 60_241.0, 60_242.0, quantity)
        return submitted([*first, *second])

    def accept(self, order: SubmitOrder) -> None:
        self.later(1)
        self.feed(
            OrderAccepted(
                ts=self.ts, venue=order.venue, client_id=order.client_id, venue_order_id="v" + order.client_id
            )
        )

    def fill(
        self,
        order: SubmitOrder,
        quantity: Decimal | None = None,
        trade_id: str = "",
        price: Decimal | None = None,
    ) -> OrderFilled:
        """One fill, at the order's cap if not told; commission as the venue charges it (KuCoin's stream is silent)."""
        self.later(1)
        self._trade += 1
        amount = order.quantity if quantity is None else quantity
        paid = order.price if price is None else price
        fees = self.fees[order.venue]
        if fees.charged is Charged.RECEIVED:
            buys = order.side.value == "buy"
            commission = amount * fees.taker if buys else amount * paid * fees.taker
            asset = "BTC" if buys else "USDT"
        else:
            commission, asset = None, ""
        fill = OrderFilled(
            ts=self.ts,
            venue=order.venue,
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            trade_id=trade_id or f"t{self._trade}",
            venue_order_id="v" + order.client_id,
            price=paid,
            quantity=amount,
            commission=commission,
            commission_asset=asset,
        )
        self.feed(fill)
        return fill

    def close(
        self, order: SubmitOrder, ending: Ending = Ending.FILLED, executed: Decimal | None = None
    ) -> tuple[list[Record], list[Command]]:
        self.later(1)
        return self.feed(
            OrderClosed(
                ts=self.ts,
                venue=order.venue,
                client_id=order.client_id,
                ending=ending,
                executed=order.quantity if executed is None else executed,
                venue_order_id="v" + order.client_id,
            )
        )

    def of(self, kind: type) -> list[Any]:
        return [r for r in self.records if isinstance(r, kind)]


def submitted(commands: Sequence[Command]) -> list[SubmitOrder]:
    return [c for c in commands if isinstance(c, SubmitOrder)]
