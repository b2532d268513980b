"""State machines of the core against slow and obvious twins: order table, ledger, exposure, hedge sizing.

Each machine says anything in any order; the twin keeps plain lists and computes from the beginning each time.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from desk_kit import D, Kit
from tradeserver.core.arbitrage import Arbitrage, far_end, near_end
from tradeserver.core.events import (
    Ending,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderStatus,
    OrderUncertain,
)
from tradeserver.core.hedging import HedgePolicy, next_rung
from tradeserver.core.ledger import Ledger
from tradeserver.core.orders import Order, Orders
from tradeserver.core.records import (
    ArbitrageOpened,
    BalanceBooked,
    CommissionCorrected,
    FillBooked,
    OrderChanged,
    OrderState,
    OrderSubmitted,
)
from tradeserver.core.types import ZERO, Side

SYMBOL = "BTC/USDT"
FEW = settings(max_examples=25, stateful_step_count=25, deadline=None)
lots = st.integers(1, 40).map(lambda n: Decimal(n) / 100)
prices = st.integers(59_000, 61_000).map(Decimal)


def submitted(client_id: str, side: Side, quantity: Decimal) -> OrderSubmitted:
    return OrderSubmitted(
        ts=1, venue="binance", symbol=SYMBOL, client_id=client_id, arbitrage=1, leg=0, attempt=0, side=side,
        quantity=quantity, price=D(60_000), time_in_force="IOC", opening=True,
        reserve_asset="USDT" if side is Side.BUY else "BTC", reserve=quantity,
    )  # fmt: skip


# ---- the order table -------------------------------------------------------------------------------------------------


class OrderTable(RuleBasedStateMachine):
    """One venue's order and every word that may be said of it, true or late, twice or out of order; refusals and
    absences are said only where they are true. The twin knows which trades there were and which were told."""

    def __init__(self) -> None:
        super().__init__()
        self.kit = Kit()
        self.kit.begin()
        self.kit.quiet()
        self.order, self.other = self.kit.edge()
        self.trades: list[Decimal] = []  # what the venue executed
        self.told: set[int] = set()
        self.ended = False
        self.reported = False

    @property
    def mine(self) -> Order:
        return self.kit.engine.desk.orders.by_id[self.order.client_id]

    def say(self, event: object) -> None:
        self.kit.later(1)
        self.kit.feed(msgspec.structs.replace(event, ts=self.kit.ts))  # type: ignore[type-var]

    @rule(share=st.integers(1, 4))
    def executes(self, share: int) -> None:
        """The venue fills a part of what is left, and keeps it to itself."""
        left = self.order.quantity - sum(self.trades, ZERO)
        if not self.ended and left > 0:
            part = (left * share / 4).quantize(D("0.00001"))
            if part:
                self.trades.append(part)

    @rule(number=st.integers(0, 10))
    def a_trade_is_told(self, number: int) -> None:
        if self.trades:
            number %= len(self.trades)
            self.told.add(number)
            self.say(
                OrderFilled(
                    ts=0,
                    venue=self.order.venue,
                    client_id=self.order.client_id,
                    symbol=SYMBOL,
                    side=self.order.side,
                    trade_id=f"trade {number}",
                    venue_order_id="7",
                    price=self.order.price,
                    quantity=self.trades[number],
                    commission=ZERO,
                    commission_asset="USDT",
                )
            )

    @rule()
    def it_ends(self) -> None:
        self.ended = self.ended or bool(self.trades)

    @rule()
    def its_end_is_told(self) -> None:
        if self.ended:
            self.reported = True
            self.say(
                OrderClosed(
                    ts=0,
                    venue=self.order.venue,
                    client_id=self.order.client_id,
                    ending=Ending.EXPIRED,
                    executed=sum(self.trades, ZERO),
                    venue_order_id="7",
                )
            )

    @rule()
    def it_is_accepted(self) -> None:
        self.say(OrderAccepted(ts=0, venue=self.order.venue, client_id=self.order.client_id, venue_order_id="7"))

    @rule()
    def nobody_knows(self) -> None:
        self.say(OrderUncertain(ts=0, venue=self.order.venue, client_id=self.order.client_id, code="-1007", text=""))

    @rule()
    def it_is_looked_up(self) -> None:
        self.reported = self.reported or self.ended
        self.say(
            OrderStatus(
                ts=0,
                venue=self.order.venue,
                client_id=self.order.client_id,
                symbol=SYMBOL,
                found=True,
                asked_ts=self.kit.ts,
                ending=Ending.EXPIRED if self.ended else None,
                executed=sum(self.trades, ZERO),
                venue_order_id="7",
            )
        )

    @rule(ms=st.integers(1, 3_000))
    def time_passes(self, ms: int) -> None:
        self.kit.tick(ms)

    @invariant()
    def fills_only_add_and_count_once(self) -> None:
        assert self.mine.filled == sum((self.trades[n] for n in self.told), ZERO)

    @invariant()
    def it_is_over_only_when_it_is_settled(self) -> None:
        settled = self.reported and self.mine.filled == sum(self.trades, ZERO)
        assert self.mine.live is not settled

    @invariant()
    def what_may_still_come_is_charged(self) -> None:
        missing = sum(self.trades, ZERO) - self.mine.filled
        assert self.mine.open_quantity >= missing


# ---- the ledger ------------------------------------------------------------------------------------------------------


class LedgerTwin(RuleBasedStateMachine):
    """Balances, fees and P&L after every fill and correction, added up from the beginning in fractions of nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.opening: dict[tuple[str, str], Decimal] = {}
        self.booked: list[FillBooked] = []

    @rule(asset=st.sampled_from(["BTC", "USDT", "BNB"]), total=lots)
    def the_venue_says_a_balance_before_anything_happened(self, asset: str, total: Decimal) -> None:
        if not self.booked:
            self.opening["binance", asset] = total
            self.ledger.apply_balance(
                BalanceBooked(ts=1, venue="binance", asset=asset, total=total, previous=ZERO, reason="opening")
            )

    @rule(
        side=st.sampled_from(Side), quantity=lots, price=prices, fee=st.integers(0, 9).map(lambda n: Decimal(n) / 1000),
        asset=st.sampled_from(["BTC", "USDT", "BNB"]), ours=st.booleans(),
    )  # fmt: skip
    def something_fills(
        self, side: Side, quantity: Decimal, price: Decimal, fee: Decimal, asset: str, ours: bool
    ) -> None:
        booked = FillBooked(
            ts=1, venue="binance", symbol=SYMBOL, client_id="a", arbitrage=int(ours), leg=0, side=side,
            trade_id=str(len(self.booked)), venue_order_id="1", price=price, quantity=quantity, commission=fee,
            commission_asset=asset, commission_expected=False, maker=False, venue_ts=1,
        )  # fmt: skip
        self.booked.append(booked)
        self.ledger.apply_fill(booked)

    @rule(number=st.integers(0, 30), fee=st.integers(0, 9).map(lambda n: Decimal(n) / 1000))
    def a_commission_is_corrected(self, number: int, fee: Decimal) -> None:
        ours = [n for n, booked in enumerate(self.booked) if booked.arbitrage]
        if ours:
            number = ours[number % len(ours)]
            booked = self.booked[number]
            corrected = CommissionCorrected(
                ts=2, venue="binance", symbol=SYMBOL, client_id="a", trade_id=booked.trade_id, commission=fee,
                commission_asset="BNB",
            )  # fmt: skip
            self.ledger.apply_commission(corrected, booked)
            self.booked[number] = msgspec.structs.replace(booked, commission=fee, commission_asset="BNB")

    @invariant()
    def every_balance_is_the_sum_of_what_happened(self) -> None:
        for asset in ("BTC", "USDT", "BNB"):
            expected = self.opening.get(("binance", asset), ZERO)
            for one in self.booked:
                sign = 1 if one.side is Side.BUY else -1
                expected += {"BTC": sign * one.quantity, "USDT": -sign * one.quantity * one.price}.get(asset, ZERO)
                expected -= one.commission if one.commission_asset == asset else ZERO
            assert self.ledger.totals.get(("binance", asset), ZERO) == expected

    @invariant()
    def profit_and_what_is_held_are_all_the_cash_that_our_own_trades_moved(self) -> None:
        ours = [one for one in self.booked if one.arbitrage]
        cash = sum(((-1 if f.side is Side.BUY else 1) * f.quantity * f.price for f in ours), ZERO)
        cash -= sum((f.commission for f in ours if f.commission_asset == "USDT"), ZERO)
        position = self.ledger.positions.get(SYMBOL)
        held = position.cost if position is not None else ZERO
        assert abs(self.ledger.realised.get("USDT", ZERO) - held - cash) < D("1e-15")
        fees = sum((f.commission for f in ours if f.commission_asset == "BNB"), ZERO)
        assert self.ledger.fees.get("BNB", ZERO) == fees


# ---- exposure --------------------------------------------------------------------------------------------------------


class Exposure(RuleBasedStateMachine):
    """The interval against every way in which the open orders could still fill: all or nothing of each."""

    @initialize(carried=st.integers(-3, 3).map(lambda n: Decimal(n) / 100))
    def opens(self, carried: Decimal) -> None:
        self.carried = carried
        self.arbitrage = Arbitrage(
            ArbitrageOpened(
                ts=1,
                arbitrage=1,
                strategy="s",
                opportunity=1,
                base="BTC",
                quote="USDT",
                legs=(),
                gross_bps=0.0,
                net_bps=0.0,
                expected_edge=ZERO,
                on_exhausted="unwind",
                carried=carried,
            )
        )
        self.orders: list[Order] = []
        self.store = Orders()

    @rule(side=st.sampled_from(Side), quantity=lots)
    def sends(self, side: Side, quantity: Decimal) -> None:
        if len(self.orders) < 6:
            order = self.store.apply_submitted(submitted(f"o{len(self.orders)}", side, quantity))
            self.orders.append(order)
            self.arbitrage.add(order)

    @rule(number=st.integers(0, 5), share=st.integers(1, 4), fee=st.booleans())
    def fills(self, number: int, share: int, fee: bool) -> None:
        if number < len(self.orders) and self.orders[number].open_quantity:
            order = self.orders[number]
            part = order.open_quantity * share / 4
            self.store.apply_fill(
                FillBooked(
                    ts=1,
                    venue="binance",
                    symbol=SYMBOL,
                    client_id=order.client_id,
                    arbitrage=1,
                    leg=0,
                    side=order.submitted.side,
                    trade_id=str(len(order.fills)),
                    venue_order_id="1",
                    price=D(60_000),
                    quantity=part,
                    commission=part / 1000 if fee else ZERO,
                    commission_asset="BTC",
                    commission_expected=False,
                    maker=False,
                    venue_ts=1,
                )
            )

    @rule(number=st.integers(0, 5))
    def ends(self, number: int) -> None:
        if number < len(self.orders):
            mine = self.orders[number].submitted
            self.store.apply_changed(
                OrderChanged(
                    ts=1,
                    venue="binance",
                    symbol=SYMBOL,
                    client_id=mine.client_id,
                    arbitrage=1,
                    leg=0,
                    state=OrderState.EXPIRED,
                    executed=ZERO,
                    venue_order_id="",
                    code="",
                    reason="",
                )
            )

    @invariant()
    def the_interval_is_every_end_that_there_may_be(self) -> None:
        if not hasattr(self, "orders"):
            return
        ends = [ZERO]
        for order in self.orders:
            sign = 1 if order.submitted.side is Side.BUY else -1
            point = sum((sign * f.quantity - f.commission for f in order.fills), ZERO)
            live = order.state.value not in ("expired", "refused", "filled", "canceled")
            left = order.submitted.quantity - sum((f.quantity for f in order.fills), ZERO) if live else ZERO
            ends = [end + point + more for end in ends for more in (ZERO, sign * left)]
        ends = [end + dust for end in ends for dust in (ZERO, self.carried)]
        assert self.arbitrage.interval() == (min(ends), max(ends))
        certain, worst = near_end(self.arbitrage.interval()), far_end(self.arbitrage.interval())
        assert abs(worst) == max(map(abs, ends))
        same_sign = all(end > 0 for end in ends) or all(end < 0 for end in ends)
        assert abs(certain) == (min(map(abs, ends)) if same_sign else 0)


# ---- hedge sizing ----------------------------------------------------------------------------------------------------


class HedgeSizing(RuleBasedStateMachine):
    """What the first rung takes, against a search over every whole lot of both books."""

    def __init__(self) -> None:
        super().__init__()
        self.kit = Kit()
        self.kit.begin()
        self.kit.quiet()
        self.tops = {"binance": (60_000.0, 60_001.0, 1.0), "kucoin": (60_000.5, 60_001.5, 1.0)}  # never a tie
        self.kit.edge()
        self.kit.tick(5_000)  # its own orders are no longer taken off the books
        for venue, (bid, ask, size) in self.tops.items():
            self.kit.book(venue, bid, ask, size, depth=1)

    @rule(venue=st.sampled_from(["binance", "kucoin"]), bid=st.integers(59_700, 60_300), lots=st.integers(1, 3_000))
    def a_book_moves(self, venue: str, bid: int, lots: int) -> None:
        size = lots / 100_000
        self.tops[venue] = top = (bid + 0.5 * (venue == "kucoin"), bid + 1.0 + 0.5 * (venue == "kucoin"), size)
        self.kit.book(venue, *top, depth=1)

    @rule(certain=st.integers(1, 2_000), short=st.booleans(), bps=st.sampled_from([10.0, 50.0, 200.0]))
    def a_hedge_is_asked_for(self, certain: int, short: bool, bps: float) -> None:
        desk = self.kit.engine.desk
        arbitrage = desk.arbitrages.get(1)
        if arbitrage is None or any(desk.market.symbols[v, SYMBOL].untradable(desk.ts) for v in self.tops):
            return
        size = Decimal(certain) / 100_000
        policy = HedgePolicy(ladder_bps=(bps,), unwind_cap_bps=bps, unwind_attempts=0, min_notional=D(5))
        step = next_rung(desk, policy, arbitrage, -size if short else size, self.kit.engine.readiness)
        assert step is not None
        side = Side.BUY if short else Side.SELL
        expected = self._best(side, size, bps, arbitrage)
        if step.draft is None:
            assert expected is None
            return
        assert expected is not None
        venue, quantity = expected
        draft = step.draft
        assert (draft.instrument.venue, draft.side, draft.quantity, draft.opening) == (venue, side, quantity, False)
        net = quantity * D("0.999") if side is Side.BUY and venue == "binance" else quantity
        assert net <= size + draft.instrument.lot  # never more than what is certain, but for the lot of the gross-up

    def _best(self, side: Side, size: Decimal, bps: float, arbitrage: Arbitrage) -> tuple[str, Decimal] | None:
        """(venue, quantity) of the cheapest offer after fees: one level a side, so the search is short."""
        plan = next(leg.expected_price for leg in arbitrage.opened.legs if leg.side is side)
        offers = []
        for venue, (bid, ask, shown) in self.tops.items():
            rules = self.kit.engine.desk.market.symbols[venue, SYMBOL].instrument
            assert rules is not None
            price = D(str(ask if side is Side.BUY else bid))
            factor = D(1) + D(str(bps)) / 10_000 * (1 if side is Side.BUY else -1)
            within = price <= plan * factor if side is Side.BUY else price >= plan * factor
            wanted = size / D("0.999") if side is Side.BUY and venue == "binance" else size
            rounding = ROUND_CEILING if wanted != size else ROUND_FLOOR
            lots_wanted = (wanted / rules.lot).to_integral_value(rounding)
            quantity = min(lots_wanted * rules.lot, D(str(shown)) // rules.lot * rules.lot)
            if within and quantity >= rules.min_quantity and quantity * price >= rules.min_notional:
                cost = price * D("1.001") if side is Side.BUY else -price * D("0.999")
                offers.append((cost, list(self.tops).index(venue), venue, quantity))
        return min(offers)[2:] if offers else None


OrderTable.TestCase.settings = FEW
LedgerTwin.TestCase.settings = FEW
Exposure.TestCase.settings = FEW
HedgeSizing.TestCase.settings = FEW
TestOrderTable = OrderTable.TestCase
TestLedger = LedgerTwin.TestCase
TestExposure = Exposure.TestCase
TestHedgeSizing = HedgeSizing.TestCase
