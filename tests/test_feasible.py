"""Limits that leave no legal order are refused with one sentence; and what a demo's capital is made of."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradeserver.config import parse
from tradeserver.config.feasible import refuse_impossible
from tradeserver.services.faults import ConfigError
from tradeserver.simulator.config import check, default_config

FILE = """
mode = "paper"
symbols = ["BTC/USDT"]
[instance]
name = "desk"
tag = "d1"
[venues.binance]
[venues.binance.paper]
balances = {{ USDT = {usdt} }}
[venues.kucoin]
[venues.kucoin.paper]
balances = {{ USDT = {usdt} }}
[risk]
{risk}
"""


@pytest.mark.parametrize(
    ("risk", "usdt", "named"),
    [
        ("max_order_notional = 4.99", 1000, "risk.max_order_notional = 4.99"),
        ("max_position_notional = 1", 1000, "risk.max_position_notional = 1"),
        ('scoped_order_notional = { "venue:kucoin" = 4 }', 1000, 'risk.scoped_order_notional."venue:kucoin" = 4'),
        ("max_open_orders = 1", 1000, "risk.max_open_orders = 1"),
        ("max_orders_per_s = 1", 1000, "risk.max_orders_per_s = 1"),
        ("", "124.9", "risk.max_trade_pct of the paper capital = 4.996"),  # 2 % of 249.8
        ("max_exposure_pct = 0.2", 1000, "risk.max_exposure_pct of the paper capital = 4"),
    ],
)
def test_no_legal_order_is_left(risk: str, usdt: object, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_impossible(parse(FILE.format(risk=risk, usdt=usdt)))
    assert str(caught.value).startswith(named)
    assert caught.value.exit_code == 78


@pytest.mark.parametrize("risk", ["", "max_order_notional = 5", "max_open_orders = 2"])
def test_what_leaves_one_is_good(risk: str) -> None:
    refuse_impossible(parse(FILE.format(risk=risk, usdt=125)))


def test_a_demos_capital_is_worth_what_was_asked_for() -> None:
    config = default_config(Decimal(700))
    check(config, "test")
    mids = {"USDT": Decimal(1), "XRP": Decimal("2.1"), "BTC": Decimal(64_000), "ETH": Decimal(3_200)}
    worth = [
        sum(amount * mids[asset] for asset, amount in venue.accounts[0].balances.items())
        for venue in config.venues.values()
    ]
    assert all(abs(each - 350) < Decimal("0.001") for each in worth)
