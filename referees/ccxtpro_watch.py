"""What the two scripts of ccxt.pro share: the watchers of book, orders, trades and balance, and the run as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from books import BookWatch, side
from ccxt_desk import SYMBOL, CcxtDesk, rules
from desk import trade
from trial import Trial, until


async def run(trial: Trial, exchange: Any, desk: CcxtDesk, counted: str, tick: float, lot: float) -> None:
    """A book for the whole time, meanwhile the orders. `counted` is the method by which ccxt takes a snapshot: one
    more than the first is a resync.
    """
    with trial.step("rules") as say:
        await exchange.load_markets()
        say(rules(exchange, tick, lot))
    snapshots = _count(exchange, counted)
    watch = BookWatch(trial, exchange.market(SYMBOL)["id"])
    totals: dict[str, float] = {}
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(_keep(trial, exchange, watch, snapshots))
        watchers = [
            group.create_task(_each(lambda: exchange.watch_orders(SYMBOL), desk.on_order)),
            group.create_task(_each(lambda: exchange.watch_my_trades(SYMBOL), desk.on_trade)),
            group.create_task(_watch(exchange.watch_balance, lambda balance: totals.update(balance["total"]))),
        ]
        await until("the first state of the book", lambda: watch.updates > 0, 20)
        desk.streaming = True
        await trade(trial, desk)
        with trial.step("balance stream"):
            final = {asset: float(amount) for asset, amount in trial.balances().items() if asset in ("XRP", "USDT")}
            await until("the last balances", lambda: final.items() <= totals.items())
        await keeping
        for watcher in watchers:
            watcher.cancel()


async def _keep(trial: Trial, exchange: Any, watch: BookWatch, snapshots: list[int]) -> None:
    """The book, for as long as it is asked for; a resync is a second snapshot, or an exception of the client's."""
    with trial.step("book") as say:
        watcher = asyncio.create_task(_watch(lambda: exchange.watch_order_book(SYMBOL), lambda b: _note(watch, b)))
        sampler = asyncio.create_task(watch.sample(trial.seconds))
        done, left = await asyncio.wait({watcher, sampler}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        for task in done:
            task.result()
        assert len(snapshots) == 1, f"{len(snapshots)} snapshots: the client had to begin anew"
        say(f"{trial.seconds:.0f} s, {watch.summary()}, no resync")


def _note(watch: BookWatch, book: Any) -> None:
    watch.note(book["nonce"], side(book["bids"]), side(book["asks"]))


def _count(exchange: Any, name: str) -> list[int]:
    """Let a method of the client leave a mark each time its own book code calls it, always with (symbol, limit,
    params); the referee's own calls have fewer.
    """
    real, marks = getattr(exchange, name), []

    async def marked(*args: Any, **params: Any) -> Any:
        if args[:1] == (SYMBOL,) and len(args) > 2:
            marks.append(1)
        return await real(*args, **params)

    setattr(exchange, name, marked)
    return marks


async def _watch(ask: Callable[[], Awaitable[Any]], take: Callable[[Any], None]) -> None:
    while True:
        take(await ask())


async def _each(ask: Callable[[], Awaitable[Any]], take: Callable[[Any], None]) -> None:
    while True:
        for one in await ask():
            take(one)
