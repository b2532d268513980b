"""One open arbitrage: its plan, every order it sent, its exposure as an interval, and its result as a bridge.

Exposure in the base asset: fills net of base commission give the point; each order that may still fill widens the
interval by its open quantity, and so does the dust that the plan nets: to have netted it or not is both in order. A
limit looks at the end farther from zero, a hedge at the end nearer to it, and none is needed while the interval
contains zero. Commission in a third asset is a cost, never exposure.

The bridge leads from the expected edge to the realised one, in quote, and sums exactly. What the market of the later
legs did until the first one filled is "time between legs"; the rest of what a leg paid is its own slippage. Changed by
records only, the timers apart: exposure-seconds go on over a restart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Final

from tradeserver.core.orders import Order
from tradeserver.core.records import ArbitrageImage, ArbitrageOpened
from tradeserver.core.types import ZERO, Instrument, Side

LEGS: Final = "legs"
TARGETS: Final = "targets"


class Arbitrage:
    """See the module."""

    __slots__ = (
        "_exposed",
        "_exposed_ts",
        "_planned",
        "attempts",
        "exposure_quote_s",
        "next_hedge",
        "opened",
        "orders",
        "paged",
        "realised",
        "residual",
        "rung",
        "unhedged_since",
    )

    def __init__(self, opened: ArbitrageOpened) -> None:
        self.opened = opened
        self._planned = tuple([leg.client_id for leg in opened.legs])
        self.orders: dict[str, Order] = {}
        self.attempts: dict[int, int] = {}  # leg -> attempts made
        self.rung = 0
        self.exposure_quote_s = 0.0  # what the fills left exposed, in quote, times the seconds that it stood
        self._exposed = 0.0
        self._exposed_ts = 0
        self.residual = ZERO  # base carried away at the close
        self.realised = ZERO  # profit of its fills, where it moves positions that are held
        self.next_hedge = 0
        self.unhedged_since = 0
        self.paged = False

    def add(self, order: Order) -> None:
        self.orders[order.client_id] = order
        leg = order.submitted.leg
        self.attempts[leg] = max(self.attempts.get(leg, 0), order.submitted.attempt + 1)

    def image(self) -> ArbitrageImage:
        return ArbitrageImage(
            self.opened,
            tuple(o.image() for o in self.orders.values()),
            self.rung,
            self.residual,
            self.exposure_quote_s,
            self._exposed,
            self._exposed_ts,
            self.realised,
        )

    def load(self, image: ArbitrageImage) -> None:
        """What a checkpoint remembers besides the orders."""
        self.rung = image.rung
        self.residual = image.residual
        self.exposure_quote_s = image.exposure_quote_s
        self._exposed = image.exposed
        self._exposed_ts = image.exposed_ts
        self.realised = image.realised

    def measure(self, ts: int) -> None:
        """From `ts` on what the fills leave is exposed, at the plan's price; what stood until now is added up."""
        if self.opened.plan == TARGETS:
            return  # it is meant to stand
        point = sum([order.net for order in self.orders.values()], ZERO)
        exposed = abs(float(point * self.opened.legs[0].expected_price)) if point else 0.0
        if exposed != self._exposed:  # only then: how often it is looked at changes no sum
            self.exposure_quote_s = self.exposure_until(ts)
            self._exposed = exposed
            self._exposed_ts = ts

    def rest(self, ts: int) -> None:
        """Closed: what is left is dust, and counts no longer."""
        self.exposure_quote_s = self.exposure_until(ts)
        self._exposed = 0.0
        self._exposed_ts = ts

    def exposure_until(self, ts: int) -> float:
        """All of it up to `ts`, quote times seconds."""
        return self.exposure_quote_s + self._exposed * (ts - self._exposed_ts) / 1e9

    @property
    def live(self) -> bool:
        return any(order.live for order in self.orders.values())

    @property
    def one_sided(self) -> bool:
        """A planned leg is over without a fill while another has filled."""
        legs = self.leg_orders()
        return any(o.filled for o in legs) and any(not o.live and not o.filled for o in legs)

    def interval(self, *, over: bool = False) -> tuple[Decimal, Decimal]:
        """(low, high) of net base. `over`: nothing can fill any more."""
        carried = self.opened.carried
        low, high = (carried, ZERO) if carried < ZERO else (ZERO, carried)
        for order in self.orders.values():
            low += order.net
            high += order.net
            may_fill = order.open_quantity
            if over or not may_fill:
                continue
            if order.sign > 0:
                high += may_fill
            else:
                low -= may_fill
        return low, high

    def exposures(self, *, over: bool = False) -> dict[str, tuple[Decimal, Decimal]]:
        """(low, high) by asset. Fills of positions that are meant to be held are none: there only what may fill is."""
        if self.opened.plan == LEGS:
            return {self.opened.base: self.interval(over=over)}
        found: dict[str, tuple[Decimal, Decimal]] = {}
        for order in self.orders.values():
            base = order.submitted.symbol.partition("/")[0]
            low, high = found.get(base, (ZERO, ZERO))
            may_fill = ZERO if over else order.open_quantity
            buys = order.submitted.side is Side.BUY
            found[base] = (low, high + may_fill) if buys else (low - may_fill, high)
        return found

    def leg_orders(self) -> list[Order]:
        """The planned legs' first attempts, in leg order."""
        return [self.orders[c] for c in self._planned if c in self.orders]

    def hedges(self) -> list[Order]:
        return [o for c, o in self.orders.items() if c not in self._planned]

    @property
    def rungs_tried(self) -> int:
        """Rungs that came to something: an order of which no byte left tried nothing."""
        return self.rung - sum(order.unsent for order in self.hedges())

    def result(self, mark: Decimal) -> tuple[Decimal, dict[str, Decimal], Decimal]:
        """(realised edge, bridge from the expected one, residual base); `mark` values the residue."""
        opened = self.opened
        bridge: dict[str, Decimal] = {}
        cash = fees = residual = planned_fees = unfilled = ZERO
        planned_residual = between = ZERO
        planned_mark = mark
        stood = {leg: price for o in self.leg_orders() for fill in o.fills for leg, price in fill.stood.items()}
        for leg in opened.legs:
            order = self.orders.get(leg.client_id)
            sign = 1 if leg.side is Side.SELL else -1
            filled, value = (ZERO, ZERO) if order is None else (order.filled, quote_value(order))
            later = stood.get(leg.leg, leg.expected_price)
            between += sign * filled * (later - leg.expected_price)
            bridge[f"slippage_leg_{leg.leg}"] = sign * (value - filled * later)
            unfilled -= sign * (leg.quantity - filled) * leg.expected_price
            planned_fees += leg.expected_fee
            planned_residual += leg.net_base
            if leg.side is Side.BUY:
                planned_mark = leg.expected_price
        hedge_cash = ZERO
        for client_id, order in self.orders.items():
            received = -order.sign * quote_value(order)
            cash += received
            if client_id not in self._planned:
                hedge_cash += received
            fees += sum([f.commission for f in order.fills if f.commission_asset == opened.quote], ZERO)
            residual += order.net
        bridge["time_between_legs"] = between
        bridge["unfilled"] = unfilled
        bridge["hedges"] = hedge_cash
        bridge["fees"] = planned_fees - fees
        bridge["residual"] = residual * mark - planned_residual * planned_mark
        return cash - fees + residual * mark, bridge, residual


def quote_value(order: Order) -> Decimal:
    """What its fills came to, in quote."""
    return sum([f.quantity * f.price for f in order.fills], ZERO)


def common_lot(instruments: Iterable[Instrument]) -> Decimal:
    """The smallest quantity that is a multiple of every lot."""
    return common_multiple(tuple([i.lot for i in instruments]))


@lru_cache(maxsize=1_024)
def common_multiple(lots: tuple[Decimal, ...]) -> Decimal:
    """The smallest multiple of all of them."""
    scale = Decimal(1).scaleb(max(-int(lot.as_tuple().exponent) for lot in lots))
    return Decimal(math.lcm(*(int(lot * scale) for lot in lots))) / scale


def near_end(interval: tuple[Decimal, Decimal]) -> Decimal:
    """The end nearer to zero: what is certain. Zero where the interval contains it."""
    low, high = interval
    if low > 0:
        return low
    return min(high, ZERO)


def far_end(interval: tuple[Decimal, Decimal]) -> Decimal:
    """The end farther from zero: the worst case."""
    low, high = interval
    return low if -low > high else high
