"""What faults let happen to the world at one moment: statuses, rules, rates, transfers, strangers' orders, goodbyes.

`World.step` calls `happen` for each fault whose moment has come. The sentences are in `fault_text.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from tradeserver.simulator.accounts import Rates
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.fault_text import Fault
from tradeserver.simulator.front import Front
from tradeserver.simulator.types import ZERO, OrderType, Side, Status, TimeInForce

if TYPE_CHECKING:
    from tradeserver.simulator.world import World

ACCOUNT: Final = "main"
STRANGER: Final = "stranger"
"""How the client ids of foreign orders begin."""


def happen(fault: Fault, world: World, now_ns: int) -> None:
    """At every venue that the fault names. A venue without that symbol or account is left out."""
    for venue, exchange in world.exchanges.items():
        if fault.venue in ("*", venue):
            _HAPPENINGS[fault.kind](fault, exchange, world.fronts[venue], world.time_at(venue, now_ns))


def _status(fault: Fault, exchange: Exchange, front: Front, now_ns: int) -> None:
    if fault.options["symbol"] in exchange.symbols:
        exchange.set_status(fault.options["symbol"], Status(fault.options["to"]), now_ns)


def _rules(fault: Fault, exchange: Exchange, front: Front, now_ns: int) -> None:
    rules = exchange.symbols.get(fault.options["symbol"])
    if rules is None:
        return
    changes = {name: fault.number(name) for name in fault.options if name != "symbol"}
    exchange.set_rules(msgspec.structs.replace(rules, **changes))


def _fees(fault: Fault, exchange: Exchange, front: Front, now_ns: int) -> None:
    taker = fault.number("taker")
    assert taker is not None
    for account in exchange.accounts.values():
        account.rates = Rates(fault.number("maker") or taker, taker)
        account.rates_by_symbol = {}


def _balance(fault: Fault, exchange: Exchange, front: Front, now_ns: int) -> None:
    """No more is taken than is free."""
    change, asset = fault.number("change"), fault.options["asset"]
    assert change is not None
    if ACCOUNT in exchange.accounts:
        free = exchange.accounts[ACCOUNT].balance(asset).free
        exchange.set_balance(ACCOUNT, asset, max(ZERO, free + change), now_ns)


def _foreign(fault: Fault, exchange: Exchange, front: Front, now_ns: int) -> None:
    """With a price it rests, without it takes what is there."""
    account, symbol = exchange.accounts.get(ACCOUNT), fault.options["symbol"]
    if account is None or symbol not in exchange.symbols:
        return
    price, quantity = fault.number("price"), fault.number("quantity")
    assert quantity is not None
    exchange.place(
        account,
        symbol,
        Side(fault.side),
        OrderType.LIMIT if price else OrderType.MARKET,
        now_ns,
        client_id=f"{STRANGER}-{fault.hits}-{now_ns % 1_000_000_007}",
        time_in_force=TimeInForce.GTC,
        price=price or ZERO,
        quantity=quantity,
    )


def _vanish(fault: Fault, exchange: Exchange, front: Front, now_ns: int) -> None:
    """Of each level the same share goes."""
    symbol, share = fault.options["symbol"], fault.number("share")
    if share is not None and symbol in exchange.symbols:
        exchange.withdraw(symbol, share, now_ns)


def _throttle(fault: Fault, exchange: Exchange, front: Front, now_ns: int) -> None:
    front.throttle(now_ns + fault.duration_ns, now_ns)


def _ban(fault: Fault, exchange: Exchange, front: Front, now_ns: int) -> None:
    front.ban(now_ns + fault.duration_ns)


def _shutdown(fault: Fault, exchange: Exchange, front: Front, now_ns: int) -> None:
    front.shutdown(now_ns, fault.duration_ns)


def _expire(fault: Fault, exchange: Exchange, front: Front, now_ns: int) -> None:
    front.expire(now_ns)


_HAPPENINGS: Final[dict[str, Callable[[Fault, Exchange, Front, int], None]]] = {
    "status": _status,
    "rules": _rules,
    "fees": _fees,
    "balance": _balance,
    "foreign": _foreign,
    "vanish": _vanish,
    "throttle": _throttle,
    "ban": _ban,
    "shutdown": _shutdown,
    "expire": _expire,
}
