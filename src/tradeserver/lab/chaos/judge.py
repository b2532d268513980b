"""What must hold afterwards, asked of the simulator wherever it can be: exposure, ledgers, and what was sent when.

Exposure is what the exchanges' own fills of our orders come to, net of commission in base, over all venues and all runs
of one trader. Violations are found in the exchanges' own log of placements; only the trading state of the moment at
which an order left is taken from the trader's records, since nobody else knows it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.core.desk import Desk
from tradeserver.core.ids import parse
from tradeserver.core.ledger import Ledger
from tradeserver.core.records import StateChanged, TradingState
from tradeserver.core.types import ZERO
from tradeserver.lab.chaos.network import Network
from tradeserver.lab.chaos.trader import Moment
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.types import Side

ACCOUNT: Final = "main"
STRATEGY: Final = "cross_arb"


class Violation(msgspec.Struct, frozen=True):
    """An order that should never have been sent."""

    what: str
    client_id: str
    time_ns: int


def exposure(exchanges: Iterable[Exchange], tag: str) -> dict[str, Decimal]:
    """Net base by asset that the fills of orders bearing `tag` left; what is exactly flat is absent."""
    net: dict[str, Decimal] = {}
    for exchange in exchanges:
        symbols = {fill.client_id: fill.symbol for fill in exchange.fills(ACCOUNT)}
        for client_id, amount in _net_by_order(exchange).items():
            parts = parse(client_id)
            if parts is not None and parts.tag == tag:
                base = exchange.symbols[symbols[client_id]].base
                net[base] = net.get(base, ZERO) + amount
    return {asset: amount for asset, amount in net.items() if amount}


def believed(desk: Desk) -> dict[str, Decimal]:
    """The trader's own idea of the same: what it carries and what its open arbitrages have filled so far."""
    net = dict(desk.dust)
    for arbitrage in desk.arbitrages.values():
        base = arbitrage.opened.base
        point = sum((order.net for order in arbitrage.orders.values()), ZERO)
        net[base] = net.get(base, ZERO) + point + arbitrage.opened.carried
    return {asset: amount for asset, amount in net.items() if amount}


def in_quote(net: Mapping[str, Decimal], prices: Mapping[str, float]) -> float:
    """The largest of them, in quote."""
    return max((abs(float(amount)) * prices[asset] for asset, amount in net.items()), default=0.0)


def differences(ledger: Ledger, exchanges: Iterable[Exchange]) -> list[str]:
    """Where the ledger differs from the accounts, to the last digit."""
    wrong = []
    for exchange in exchanges:
        balances = exchange.accounts[ACCOUNT].balances
        known = {asset for venue, asset in ledger.totals if venue == exchange.venue}
        for asset in sorted({*balances, *known}):
            ours = ledger.totals.get((exchange.venue, asset), ZERO)
            theirs = balances[asset].total if asset in balances else ZERO
            if ours != theirs:
                wrong.append(f"{exchange.venue} {asset}: ledger {ours:f}, account {theirs:f}")
    return wrong


def violations(networks: Mapping[str, Network], tag: str, states: Sequence[Moment]) -> list[Violation]:
    """Everything in the exchanges' logs that must not be there.

    The same (arbitrage, leg, attempt) twice, whatever the run; an opening order that left in NO_NEW or HEDGE_ONLY; any
    order that left in HALTED. An order that left at the very instant of a change is given the benefit of the doubt.
    """
    sent = []
    for network in networks.values():
        for placed, left_ns in zip(network.exchange.placed, network.left_ns, strict=False):
            parts = parse(placed.client_id)
            if parts is not None and parts.tag == tag and left_ns:
                sent.append((left_ns, network.venue, placed, parts))
    sent.sort(key=lambda one: one[0])
    found: list[Violation] = []
    seen: set[tuple[int, int, int]] = set()
    at = 0
    for left_ns, venue, placed, parts in sent:
        key = (parts.arbitrage, parts.leg, parts.attempt)
        if key in seen:
            found.append(Violation("sent twice", placed.client_id, left_ns))
        seen.add(key)
        while at < len(states) and states[at][0] < left_ns:
            at += 1
        if not at or (at < len(states) and states[at][0] == left_ns):
            continue
        state = in_force(states[at - 1][1], left_ns, (venue,), placed.symbol)
        if state is None:
            continue
        if state.state is TradingState.HALTED:
            found.append(Violation(f"an order in HALTED ({state.reason})", placed.client_id, left_ns))
        elif parts.attempt == 0:
            word = state.state.value.upper()
            found.append(Violation(f"an opening order in {word} ({state.reason})", placed.client_id, left_ns))
    return found


def worsened(networks: Mapping[str, Network], tag: str, prices: Mapping[str, float], dust: float) -> list[Violation]:
    """Hedges that left an arbitrage more exposed than it was, by what the exchanges filled of all its orders.

    A hedge is sized to what is certain, so nothing that is still unknown may make it one too many: whoever takes a
    time-out for a refusal is found here. Orders count in the order in which they left. `prices` by asset and `dust` are
    in quote.
    """
    orders = []
    for network in networks.values():
        net = _net_by_order(network.exchange)
        for placed, left_ns in zip(network.exchange.placed, network.left_ns, strict=False):
            parts = parse(placed.client_id)
            if parts is not None and parts.tag == tag and left_ns and placed.client_id in net:
                orders.append((left_ns, parts, placed, net[placed.client_id]))
    orders.sort(key=lambda one: one[0])
    exposed: dict[int, Decimal] = {}
    found = []
    for left_ns, parts, placed, amount in orders:
        before = exposed.get(parts.arbitrage, ZERO)
        after = exposed[parts.arbitrage] = before + amount
        base = placed.symbol.partition("/")[0]
        if parts.attempt and float(abs(after) - abs(before)) * prices[base] > dust:
            what = f"a hedge left {after:f} {base} exposed where {before:f} had been"
            found.append(Violation(what, placed.client_id, left_ns))
    return found


def _net_by_order(exchange: Exchange) -> dict[str, Decimal]:
    """Net base of each order that filled."""
    net: dict[str, Decimal] = {}
    for fill in exchange.fills(ACCOUNT):
        amount = fill.quantity if fill.side is Side.BUY else -fill.quantity
        if fill.commission_asset == exchange.symbols[fill.symbol].base:
            amount -= fill.commission
        net[fill.client_id] = net.get(fill.client_id, ZERO) + amount
    return net


def in_force(
    entries: Iterable[StateChanged], ts: int, venues: Collection[str] = (), symbol: str = ""
) -> StateChanged | None:
    """The most severe of the entries that concern an order there, then; None where everything may leave.

    Read from the records by ourselves: the trader's own reading is under test.
    """
    scopes = ["global", f"strategy:{STRATEGY}", f"symbol:{symbol}", *(f"venue:{venue}" for venue in venues)]
    apply = [e for e in entries if e.scope in scopes and not 0 < e.until <= ts]
    for word in (TradingState.HALTED, TradingState.HEDGE_ONLY, TradingState.NO_NEW):
        for entry in apply:
            if entry.state is word:
                return entry
    return None
