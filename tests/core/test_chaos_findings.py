"""What the fault matrix found in the core, each as the smallest conversation that shows it."""

from __future__ import annotations

from desk_kit import D, Kit, submitted
from tradeserver.core.events import OrderRejected


def running(**changes: object) -> Kit:
    kit = Kit(**changes)  # type: ignore[arg-type]
    kit.begin()
    kit.quiet()
    return kit


def reject(kit: Kit, order, code: str = "-2010", text: str = "no"):
    kit.later(1)
    event = OrderRejected(ts=kit.ts, venue=order.venue, client_id=order.client_id, code=code, text=text)
    return kit.feed(event)[1]


# ---- hedges ----------------------------------------------------------------------------------------------------------


def test_a_venue_that_refused_a_hedge_is_asked_last() -> None:
    """KuCoin goes on refusing: the first rung that is wide enough for Binance goes there, though KuCoin shows more."""
    kit = running()
    buy, sell = kit.edge()
    kit.fill(buy)
    kit.close(buy)
    (first,) = submitted(reject(kit, sell, "200004"))
    assert first.venue == "kucoin"
    reject(kit, first, "200004")
    (second,) = [order for _ in range(12) for order in submitted(kit.tick(10)[1])]
    assert second.venue == "kucoin"  # 25 bps: Binance, 40 below, offers nothing within that
    reject(kit, second, "200004")
    (third,) = [order for _ in range(12) for order in submitted(kit.tick(10)[1])]
    assert (third.venue, third.quantity) == ("binance", D("0.00666"))


def test_where_all_have_refused_the_one_that_refused_less_is_asked() -> None:
    kit = running()
    buy, sell = kit.edge()
    kit.fill(buy)
    kit.close(buy)
    orders = submitted(reject(kit, sell, "200004"))
    for _ in range(200):
        if orders:
            reject(kit, orders.pop())
        orders += submitted(kit.tick(10)[1])
    asked = [c.venue for c in submitted(kit.commands) if not c.opening]
    assert abs(asked.count("kucoin") - asked.count("binance")) <= 1
