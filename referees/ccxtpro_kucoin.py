"""ccxt.pro, KuCoin: book, orders, trades and balance by stream; orders by REST (ccxt has no other way here)."""

from __future__ import annotations

import asyncio

import ccxt.pro
from ccxt_desk import CcxtDesk, options, point
from ccxtpro_watch import run
from trial import begin


async def main() -> None:
    """The whole run. Its book refuses a snapshot that is older than the messages it has kept."""
    trial = begin()
    exchange = ccxt.pro.kucoin(options(trial))
    point(exchange, trial)
    try:
        await run(trial, exchange, CcxtDesk(exchange), "fetch_order_book", 0.0001, 0.0001)
    finally:
        await exchange.close()


asyncio.run(main())
