"""A snapshot by ccxt's REST half beside the simulator's own, at the same id."""

from __future__ import annotations

import asyncio
from typing import Any

from books import BookWatch, side
from trial import Trial


async def snapshot(trial: Trial, exchange: Any) -> None:
    """ccxt keeps no book over REST; what it does know is that a snapshot is whole and has an id."""
    native = exchange.market("XRP/USDT")["id"]
    watch = BookWatch(trial, native)
    with trial.step("snapshot") as say:
        stop = asyncio.Event()
        poll = asyncio.create_task(_poll(exchange, watch, stop))
        try:
            await watch.compare()
        finally:
            stop.set()
            await poll
        say("equal to the simulator's at the same id")


async def _poll(exchange: Any, watch: BookWatch, stop: asyncio.Event) -> None:
    while not stop.is_set():
        book = await asyncio.to_thread(exchange.fetch_order_book, "XRP/USDT", 100)
        watch.note(book["nonce"], side(book["bids"]), side(book["asks"]))
