"""ccxt.pro, Binance: book, orders, trades and balance by stream; orders by the WebSocket API."""

from __future__ import annotations

import asyncio

import ccxt.pro
from ccxt_desk import CcxtDesk, options, point
from ccxtpro_watch import run
from trial import begin


async def main() -> None:
    """The whole run."""
    trial = begin()
    exchange = ccxt.pro.binance(options(trial))
    point(exchange, trial)
    try:
        await run(trial, exchange, CcxtDesk(exchange, socket=True), "fetch_rest_order_book_safe", 0.0001, 0.1)
    finally:
        await exchange.close()


asyncio.run(main())
