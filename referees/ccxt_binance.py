"""ccxt, Binance, REST."""

from __future__ import annotations

import asyncio

import ccxt
from ccxt_desk import CcxtDesk, options, point, rules
from ccxt_rest import snapshot
from desk import trade
from trial import begin


async def main() -> None:
    """Rules, a snapshot, the orders."""
    trial = begin()
    exchange = ccxt.binance(options(trial))
    point(exchange, trial)
    with trial.step("rules") as say:
        exchange.load_markets()
        say(rules(exchange, tick=0.0001, lot=0.1))
    await snapshot(trial, exchange)
    await trade(trial, CcxtDesk(exchange))


asyncio.run(main())
