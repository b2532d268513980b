"""Limits that leave no legal order are a mistake: said before a socket opens, not found out by a silent desk.

What can be known without asking a venue: an order worth less than `hedge_min_notional` is dust by our own rule, so a
limit of one leg below it leaves nothing; an arbitrage has two orders; and a paper account says what its capital is at
least. What depends on the venue's own minimum is refused order by order, with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tradeserver.config.schema import Config
from tradeserver.core.types import plain
from tradeserver.services.faults import ConfigError


def refuse_impossible(config: Config) -> None:
    """Raise ConfigError with one sentence for the first limit that leaves no legal order size."""
    risk = config.risk
    least = config.execution.hedge_min_notional
    for key, most in _notionals(config):
        if most < least:
            raise ConfigError(
                f"{key} = {plain(most)} leaves no legal order: less than execution.hedge_min_notional, {plain(least)}, "
                "is dust"
            )
    for key, count in (
        ("max_open_orders", risk.max_open_orders),
        ("max_orders_per_s", risk.max_orders_per_s),
    ):
        if len(config.enabled) > 1 and count < 2:
            raise ConfigError(f"risk.{key} = {count} leaves no arbitrage: it has two orders")


def _notionals(config: Config) -> Iterator[tuple[str, Decimal]]:
    """Every bound on the notional of one leg that the file alone decides."""
    risk = config.risk
    yield "risk.max_order_notional", risk.max_order_notional
    yield "risk.max_position_notional", risk.max_position_notional
    for scope, most in risk.scoped_order_notional.items():
        yield f'risk.scoped_order_notional."{scope}"', most
    if config.mode == "paper":
        held = [venue.paper.balances for venue in config.enabled.values()]
        if held and all(set(balances) <= {risk.currency} for balances in held) and any(held):
            capital = sum((balances.get(risk.currency, Decimal(0)) for balances in held), Decimal(0))
            yield "risk.max_trade_pct of the paper capital", capital * risk.max_trade_pct / 100
            yield "risk.max_exposure_pct of the paper capital", capital * risk.max_exposure_pct / 100
