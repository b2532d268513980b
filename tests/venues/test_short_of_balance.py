"""Which refusals say that the venue holds less than we thought (KuCoin's and Binance's own texts, errors.md 2026-07-21,
KuCoin's error code page 2025-11)."""

from __future__ import annotations

import pytest

from tradeserver.venues.binance.errors import TABLE as BINANCE
from tradeserver.venues.errors import order_outcome
from tradeserver.venues.kucoin.errors import TABLE as KUCOIN


@pytest.mark.parametrize(
    ("table", "code", "text", "short"),
    [
        (BINANCE, "-2010", "Account has insufficient balance for requested action.", True),
        (BINANCE, "-2010", "Market is closed.", False),
        (BINANCE, "-1013", "Filter failure: LOT_SIZE", False),
        (KUCOIN, "200004", "Balance insufficient!", True),
        (KUCOIN, "400100", "account.available.amount", True),
        (KUCOIN, "400100", "Order size below the minimum requirement.", False),
        (KUCOIN, "400370", "Max. price is 3.", False),
    ],
)
def test_a_refusal_for_balance_says_so(table, code, text, short):
    row = table.lookup(code, text)
    (event, *_) = order_outcome(row, venue="v", channel="orders", client_id="a", code=code, text=text, ts=1)
    assert event.short is short
