"""The orders that every client places, cancels and sees filled; `Desk` is what a client must be able to do for it.

The same scenario for all, so that the table compares like with like. The market is the simulator's synthetic one: it
moves, and takes at once whatever rests at a better price than its own, which makes fills in parts.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Protocol

from trial import Fill, Ledger, Trial, same, until

BASE, QUOTE = "XRP", "USDT"
SMALL, LARGE = Decimal(60), Decimal(20_000)  # a touch holds some 900, the ten best levels some 10,000
TICK = Decimal("0.0001")
ENDED = ("filled", "canceled")
ATTEMPTS = 8


class Desk(Protocol):
    """A client's orders in one market. States are "open", "filled" or "canceled" (an expired rest is canceled)."""

    floats: bool  # whether the client keeps balances as floats

    async def quote(self) -> tuple[Decimal, Decimal]: ...
    async def limit(self, side: str, quantity: Decimal, price: Decimal, tif: str) -> str: ...
    async def market(self, side: str, quantity: Decimal) -> str: ...
    async def state(self, order_id: str) -> tuple[str, Decimal]: ...
    async def cancel(self, order_id: str) -> None: ...
    async def open_ids(self) -> set[str]: ...
    async def refused(self, quantity: Decimal) -> str: ...  # sell more than there is: the client's name for the refusal
    async def fills(self) -> list[Fill]: ...  # of this market, all, by request
    async def balances(self) -> dict[str, Decimal]: ...  # totals
    def heard(self, order_id: str) -> list[str] | None: ...  # states that the stream told of an order; None: no stream
    def heard_fills(self, order_id: str) -> set[str]: ...  # trade ids that the stream told of an order


async def trade(trial: Trial, desk: Desk) -> None:
    """The whole scenario, step by step."""
    with trial.step("opening balances"):
        opening = await desk.balances()
        same("the client", trial.balances(), opening, as_float=desk.floats)
        ledger = Ledger(trial.balances(), BASE, QUOTE)
        known = {fill.trade_id for fill in await desk.fills()}
    orders: dict[str, str] = {}
    with trial.step("place"):
        bid, _ = await desk.quote()
        resting = await desk.limit("buy", SMALL, (bid * Decimal("0.95")).quantize(TICK), "GTC")
        state = await desk.state(resting)
        assert state == ("open", 0), state
        assert resting in await desk.open_ids()
    with trial.step("cancel"):
        await desk.cancel(resting)
        assert await desk.state(resting) == ("canceled", 0)
        assert resting not in await desk.open_ids()
        orders[resting] = "canceled"
    with trial.step("fill"):
        for side in ("buy", "sell"):
            order = await desk.market(side, SMALL)
            assert await desk.state(order) == ("filled", SMALL)
            orders[order] = "filled"
    with trial.step("partial fill") as say:
        for side in ("buy", "sell"):
            order, filled = await _partial(desk, side)
            orders[order] = "canceled"
            say(f"{side}: {filled} of {LARGE}, the rest expired")
    with trial.step("fill in parts") as say:
        order, taken, made = await _in_parts(desk, orders)
        say(f"{taken} fills as taker, {made} as maker")
    with trial.step("refusal") as say:
        say(await desk.refused(opening[BASE] * 2))
    fills = [fill for fill in await desk.fills() if fill.trade_id not in known]
    if desk.heard(order) is not None:
        with trial.step("own events") as say:
            say(await _own_events(desk, orders, fills))
    with trial.step("balances") as say:
        for fill in fills:
            ledger.post(fill)
        same("the simulator", ledger.totals, trial.balances())
        same("the client", ledger.totals, await desk.balances(), as_float=desk.floats)
        fees = {f"{fill.fee_asset}" for fill in fills if fill.fee}
        say(f"{len(fills)} fills, commissions in {', '.join(sorted(fees))}")


async def _partial(desk: Desk, side: str) -> tuple[str, Decimal]:
    """An IOC order at the touch, much larger than what is there."""
    for _ in range(ATTEMPTS):
        bid, ask = await desk.quote()
        order = await desk.limit(side, LARGE, ask + 2 * TICK if side == "buy" else bid - 2 * TICK, "IOC")
        state, filled = await desk.state(order)
        assert state == ("filled" if filled == LARGE else "canceled"), (state, filled)
        if 0 < filled < LARGE:  # nothing: the touch moved away; all: another client's large order was there
            return order, filled
    raise AssertionError(f"never filled in part in {ATTEMPTS} attempts")


async def _in_parts(desk: Desk, orders: dict[str, str]) -> tuple[str, int, int]:
    """A limit order through the best levels: what it finds at once, then what others bring to it. (order, fills as
    taker, fills as maker)
    """
    for _ in range(ATTEMPTS):
        _, ask = await desk.quote()
        order = await desk.limit("buy", LARGE, ask + 10 * TICK, "GTC")
        end = time.monotonic() + 5
        state, filled = await desk.state(order)
        while state == "open" and time.monotonic() < end:
            state, filled = await desk.state(order)
        if state == "open":  # the market ran up and left it alone: not this time
            await desk.cancel(order)
            orders[order] = "canceled"
            continue
        assert (state, filled) == ("filled", LARGE), (state, filled)
        orders[order] = "filled"
        parts = [fill for fill in await desk.fills() if fill.order_id == order]
        assert sum(fill.quantity for fill in parts) == LARGE, parts
        made = sum(fill.maker for fill in parts)
        if 0 < made < len(parts):
            return order, len(parts) - made, made
    raise AssertionError(f"never filled in parts in {ATTEMPTS} attempts")


async def _own_events(desk: Desk, orders: dict[str, str], fills: list[Fill]) -> str:
    """The stream told every order's end, each fill of it once, and "open" before a cancel."""
    for order, end in orders.items():
        await until(f"the end of {order}", lambda order=order: (desk.heard(order) or [""])[-1] in ENDED)
        told = desk.heard(order) or []
        assert told[-1] == end, (order, told)
        assert told[:-1] == ["open"] * (len(told) - 1), (order, told)
        wanted = {fill.trade_id for fill in fills if fill.order_id == order}
        await until(f"the fills of {order}", lambda order=order, wanted=wanted: desk.heard_fills(order) == wanted)
    return f"{len(orders)} orders, {len(fills)} fills, each told once"
