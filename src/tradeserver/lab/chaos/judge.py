"""What must hold afterwards, asked of the simulator wherever it can be: exposure, ledgers, and what was sent when.

Exposure is what the exchanges' own fills of our orders come to, net of commission in base, over all venues and all runs
of one trader. Violations are found in the exchanges' own log of placements; only the trading state of the moment at
which an order left is taken from the trader's records, since nobody else knows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.core.desk import Desk
from tradeserver.core.ids import parse
from tradeserver.core.ledger import Ledger
from tradeserver.core.records import TradingState
from tradeserver.core.states import States
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
        for fill in exchange.fills(ACCOUNT):
            parts = parse(fill.client_id)
            if parts is None or parts.tag != tag:
                continue
            base = exchange.symbols[fill.symbol].base
            amount = fill.quantity if fill.side is Side.BUY else -fill.quantity
            if fill.commission_asset == base:
                amount -= fill.commission
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
        in_force = States()
        for entry in states[at - 1][1]:
            in_force.apply(entry)
        state = in_force.of(left_ns, (venue,), placed.symbol, STRATEGY)
        if state is None:
            continue
        if state.state is TradingState.HALTED:
            found.append(Violation(f"an order in HALTED ({state.reason})", placed.client_id, left_ns))
        elif parts.attempt == 0:
            word = state.state.value.upper()
            found.append(Violation(f"an opening order in {word} ({state.reason})", placed.client_id, left_ns))
    return found
