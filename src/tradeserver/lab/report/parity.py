"""Parity: two runs of the same hours compared, and their difference in profit taken apart.

A is what is trusted (live, say), B what is judged (paper, a backtest). Only the time that both cover counts. A trade
of A and one of B are the same where symbol and venues agree and they were opened within `WITHIN_NS`; the nearest pair
first. The difference in profit, B - A, in quote, is then exactly

    missed    trades of A that B has not            (their profit, taken away)
    extra     trades of B that A has not            (their profit)
    size      of pairs: the part of one that the other did not trade, at its edge a unit
    price     of pairs: other prices were seen when it was decided
    latency   of pairs: what became of these prices until the match
    fee       of pairs
    other     of pairs: hedges, and what was left over, marked

A trade is a closed arbitrage that had fills. The verdict is good where |B - A| is at most 10 % of |A|.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.core.records import (
    ArbitrageClosed,
    ArbitrageOpened,
    FillBooked,
    OpportunityClosed,
    OrderSubmitted,
    Outcome,
    RunStarted,
)
from tradeserver.core.types import ZERO, Side
from tradeserver.runtime.wal_files import WalDamagedError
from tradeserver.runtime.wal_read import read
from tradeserver.services import layout
from tradeserver.services.faults import NotFoundError, OperatorError

WITHIN_NS: Final = 2_000_000_000
ALLOWED: Final = Decimal("0.10")
PARTS: Final = ("missed", "extra", "size", "price", "latency", "fee", "other")


class TradeDone(msgspec.Struct):
    """One closed arbitrage that had fills, in quote."""

    number: int
    opened: int
    key: tuple[str, ...]  # symbol, then venue and side of each leg
    quantity: Decimal  # the smaller leg's fills
    expected: Decimal  # edge a unit of the prices that were seen, before fees
    got: Decimal  # edge a unit of the prices that were had by the opening legs, before fees
    fees: Decimal
    profit: Decimal


class Compared(msgspec.Struct):
    """One run, as far as it is compared."""

    run: str
    mode: str
    first: int
    last: int
    trades: list[TradeDone]
    refused: dict[tuple[str, ...], list[tuple[int, int, str]]]  # by (symbol, buy, sell): from, to, the deciding reason

    def why_not(self, trade: TradeDone) -> str:
        """Why this run did not do it: what decided there at that time, or that it saw nothing."""
        buy, sell = (
            next((word.split(" ")[1] for word in trade.key[1:] if word.startswith(side)), "")
            for side in ("buy", "sell")
        )
        found = [
            reason
            for first, last, reason in self.refused.get((trade.key[0], buy, sell), ())
            if first <= trade.opened <= last
        ]
        return found[-1] if found else "not seen"


def trades_of(state: Path) -> Compared:
    """Every trade of the last run in `state`. Raises OperatorError."""
    log = layout.wal(state)
    if not log.is_dir():
        raise NotFoundError(f"there is no log in {state}: name a state directory, or the folder of a backtest")
    side = Compared("", "", 0, 0, [], {})
    plans: dict[int, ArbitrageOpened] = {}
    fills: dict[int, list[FillBooked]] = defaultdict(list)
    firsts: set[str] = set()  # opening orders, asked for membership only
    try:
        for _, record in read(log):
            if isinstance(record, RunStarted):
                side = Compared(record.run, record.mode, record.ts, record.ts, [], {})
                plans.clear()
                fills.clear()
            side.last = max(side.last, record.ts)
            if isinstance(record, ArbitrageOpened):
                plans[record.arbitrage] = record
            elif isinstance(record, OrderSubmitted) and record.opening:
                firsts.add(record.client_id)
            elif isinstance(record, FillBooked):
                fills[record.arbitrage].append(record)
            elif isinstance(record, ArbitrageClosed) and record.outcome is not Outcome.NOTHING:
                if record.arbitrage in plans:
                    side.trades.append(_trade(plans[record.arbitrage], record, fills[record.arbitrage], firsts))
            elif isinstance(record, OpportunityClosed):
                direction = (record.symbol, record.buy_venue, record.sell_venue)
                ends = [decision.ts for decision in record.decisions[1:]] + [record.ts]
                side.refused.setdefault(direction, []).extend(
                    (decision.ts, end, decision.reasons[0].split(" ")[0])
                    for decision, end in zip(record.decisions, ends, strict=True)
                    if not decision.taken and decision.reasons
                )
    except WalDamagedError as error:
        raise OperatorError(str(error)) from None
    if not side.run:
        raise NotFoundError(f"the log in {state} holds no run")
    return side


def _trade(plan: ArbitrageOpened, closed: ArbitrageClosed, fills: list[FillBooked], firsts: set[str]) -> TradeDone:
    bought = sold = paid = earned = fees = ZERO
    for fill in fills:
        value = fill.price * fill.quantity
        base, _, quote = fill.symbol.partition("/")
        fees += fill.commission * (fill.price if fill.commission_asset == base else fill.commission_asset == quote)
        if fill.client_id not in firsts:
            continue
        if fill.side is Side.BUY:
            bought, paid = bought + fill.quantity, paid + value
        else:
            sold, earned = sold + fill.quantity, earned + value
    quantity = min(bought, sold)
    seen = sum((leg.expected_price if leg.side is Side.SELL else -leg.expected_price for leg in plan.legs), ZERO)
    return TradeDone(
        number=plan.arbitrage,
        opened=plan.ts,
        key=(plan.legs[0].symbol, *(f"{leg.side.value} {leg.venue}" for leg in plan.legs)),
        quantity=quantity,
        expected=seen,
        got=earned / sold - paid / bought if quantity else ZERO,
        fees=fees,
        profit=closed.realised_edge,
    )


def pair(a: list[TradeDone], b: list[TradeDone]) -> list[tuple[TradeDone, TradeDone]]:
    """The same trades in both, nearest first."""
    near = [
        (abs(x.opened - y.opened), i, j)
        for i, x in enumerate(a)
        for j, y in enumerate(b)
        if x.key == y.key and abs(x.opened - y.opened) <= WITHIN_NS
    ]
    left_a, left_b = set(range(len(a))), set(range(len(b)))
    found = []
    for _, i, j in sorted(near):
        if i in left_a and j in left_b:
            left_a.discard(i)
            left_b.discard(j)
            found.append((a[i], b[j]))
    return found


def compare(folder_a: Path, folder_b: Path) -> dict[str, Any]:
    """The difference, part by part, and the verdict. Raises OperatorError."""
    a, b = trades_of(folder_a), trades_of(folder_b)
    first, last = max(a.first, b.first), min(a.last, b.last)
    if last <= first:
        raise OperatorError(f"{folder_a} and {folder_b} have no hour in common: nothing can be compared")
    inside_a = [t for t in a.trades if first <= t.opened <= last]
    inside_b = [t for t in b.trades if first <= t.opened <= last]
    pairs = pair(inside_a, inside_b)
    parts = take_apart(inside_a, inside_b, pairs)
    paired = {(0, x.number) for x, _ in pairs} | {(1, y.number) for _, y in pairs}
    reasons = {
        "missed": Counter(b.why_not(t) for t in inside_a if (0, t.number) not in paired),
        "extra": Counter(a.why_not(t) for t in inside_b if (1, t.number) not in paired),
    }
    profit_a = sum((t.profit for t in inside_a), ZERO)
    profit_b = sum((t.profit for t in inside_b), ZERO)
    difference = profit_b - profit_a
    share = abs(difference) / abs(profit_a) if profit_a else None
    good = share <= ALLOWED if share is not None else not difference
    return {
        "a": {"folder": str(folder_a), "run": a.run, "mode": a.mode, "trades": len(inside_a), "profit": profit_a},
        "b": {"folder": str(folder_b), "run": b.run, "mode": b.mode, "trades": len(inside_b), "profit": profit_b},
        "first_ns": first,
        "last_ns": last,
        "pairs": len(pairs),
        "missed": len(inside_a) - len(pairs),
        "extra": len(inside_b) - len(pairs),
        "difference": difference,
        "difference_share": None if share is None else float(share),
        "parts": parts,
        "why_the_other_did_not": {name: dict(each.most_common()) for name, each in reasons.items()},
        "most_of_it": max(PARTS, key=lambda part: abs(parts[part])) if difference else "",
        "good": good,
        "verdict": (
            f"{'good' if good else 'NOT good'}: B - A is {difference:.6f}"
            + ("" if share is None else f", {share * 100:.2f} % of A; 10 % is allowed")
        ),
    }


def take_apart(a: list[TradeDone], b: list[TradeDone], pairs: list[tuple[TradeDone, TradeDone]]) -> dict[str, Decimal]:
    """The parts; their sum is B's profit less A's."""
    parts = dict.fromkeys(PARTS, ZERO)
    paired_a, paired_b = {x.number for x, _ in pairs}, {y.number for _, y in pairs}
    parts["missed"] = -sum((t.profit for t in a if t.number not in paired_a), ZERO)
    parts["extra"] = sum((t.profit for t in b if t.number not in paired_b), ZERO)
    for x, y in pairs:
        common = min(x.quantity, y.quantity)
        price = (y.expected - x.expected) * common
        latency = ((y.got - y.expected) - (x.got - x.expected)) * common
        size = (y.quantity - common) * y.got - (x.quantity - common) * x.got
        fee = x.fees - y.fees
        parts["price"] += price
        parts["latency"] += latency
        parts["size"] += size
        parts["fee"] += fee
        parts["other"] += (y.profit - x.profit) - price - latency - size - fee
    return parts
