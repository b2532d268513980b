"""Repairs that reading and running brought up: hedges that never left, hedges by REST, the last P&L, venues' codes."""

from __future__ import annotations

from desk_kit import D, Kit, submitted
from tradeserver.core.commands import CancelAll, SubmitOrder
from tradeserver.core.events import LinkDown, Operator, OrderRejected, SendRefused, VenueFault
from tradeserver.core.records import (
    Alert,
    ArbitrageClosed,
    DustCleared,
    ExposureHeld,
    HedgeDecided,
    Outcome,
    PnlMarked,
    RunStopped,
    Severity,
)


def exposed() -> tuple[Kit, SubmitOrder]:
    """The buy has filled, the sell was refused: the first hedge is on its way."""
    kit = Kit()
    kit.begin()
    kit.quiet()
    buy, sell = kit.edge()
    kit.accept(buy)
    kit.fill(buy)
    kit.close(buy)
    _, commands = kit.feed(
        OrderRejected(ts=kit.ts, venue=sell.venue, client_id=sell.client_id, code="200004", text="balance")
    )
    (hedge,) = submitted(commands)
    return kit, hedge


def again(kit: Kit, ms: float) -> list[SubmitOrder]:
    """Fresh books at the edge's prices after `ms`, and what a tick sends."""
    kit.later(ms)
    kit.book("binance", 60_000.0, 60_001.0)
    _, first = kit.book("kucoin", 60_241.0, 60_242.0)
    _, second = kit.tick(1)
    return [order for order in submitted([*first, *second]) if not order.opening]


def test_a_hedge_that_never_left_uses_no_rung() -> None:
    """Nine refused sends in a row, more than the ladder has rungs; then a link, and the exposure is hedged."""
    kit, hedge = exposed()
    for _ in range(9):
        kit.feed(SendRefused(ts=kit.ts, venue=hedge.venue, client_id=hedge.client_id, reason="link"))
        (hedge,) = again(kit, 1_000)
    assert not kit.of(ExposureHeld)
    assert [h.rung for h in kit.of(HedgeDecided)] == list(range(1, 11))
    assert all("within 10 bps" in h.reason for h in kit.of(HedgeDecided))
    kit.accept(hedge)
    kit.fill(hedge)
    kit.close(hedge)
    assert kit.of(ArbitrageClosed)[-1].outcome is Outcome.HEDGED


def test_a_hedge_goes_by_rest_where_every_private_link_is_down() -> None:
    kit, hedge = exposed()
    kit.feed(SendRefused(ts=kit.ts, venue=hedge.venue, client_id=hedge.client_id, reason="link"))
    for venue in ("binance", "kucoin"):
        kit.feed(LinkDown(ts=kit.ts, venue=venue, channel="orders", reason="reset"))
    (second,) = again(kit, 1_000)
    assert second.venue == "kucoin"  # its bid is 40 bps above


def test_a_venue_whose_links_are_up_is_preferred() -> None:
    kit, hedge = exposed()
    kit.feed(SendRefused(ts=kit.ts, venue=hedge.venue, client_id=hedge.client_id, reason="link"))
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="orders", reason="reset"))
    assert again(kit, 1_000) == []  # Binance bids 40 bps less: not within the first rung
    rungs = [h for h in kit.of(HedgeDecided) if not h.venue]
    assert rungs


def test_the_end_tells_the_last_profit_and_loss() -> None:
    kit, hedge = exposed()
    kit.accept(hedge)
    kit.fill(hedge)
    kit.close(hedge)
    records, _ = kit.feed(Operator(ts=kit.ts, action="end", argument="asked", source="shell"))
    (marked,) = (r for r in records if isinstance(r, PnlMarked))
    assert marked.realised == kit.engine.desk.ledger.realised
    assert isinstance(records[-1], RunStopped)


def test_a_venues_code_becomes_one_word() -> None:
    kit = Kit()
    kit.begin()
    for code in ("HTTP 503", "token", "-1003"):
        kit.feed(VenueFault(ts=kit.ts, venue="kucoin", channel="market", code=code, text="x"))
    assert [a.code for a in kit.of(Alert)] == ["VENUE_HTTP_503", "VENUE_TOKEN", "VENUE__1003"]


def test_held_exposure_can_be_levelled_by_hand() -> None:
    """The ladder finds nothing, the exposure is held and closes the asset; a person levels it and says so."""
    kit, hedge = exposed()
    while kit.engine.desk.arbitrages:
        kit.close(hedge, executed=D(0))
        kit.later(200)
        kit.book("binance", 60_000.0, 60_001.0)
        kit.book("kucoin", 60_241.0, 60_242.0)
        kit.tick(1)
        hedge = [c for c in kit.commands if isinstance(c, SubmitOrder) and not c.opening][-1]
    assert kit.of(ArbitrageClosed)[-1].outcome is Outcome.HELD
    held = kit.engine.desk.dust["BTC"]
    assert held > 0
    assert "clear dust --scope asset:BTC" in kit.of(Alert)[-1].text
    kit.feed(Operator(ts=kit.ts, action="clear", scope="asset:BTC", argument="dust"))
    (cleared,) = kit.of(DustCleared)
    assert (cleared.amount, cleared.by) == (held, "control")
    assert not kit.engine.desk.dust


# ---- a key that is not accepted --------------------------------------------------------------------------------------


def refused_key(kit: Kit, venue: str = "kucoin") -> None:
    kit.feed(VenueFault(ts=kit.ts, venue=venue, channel="orders", code="AUTH", text="400006 The IP is not allowed"))


def test_a_refused_key_opens_nothing_there_until_a_person_says_so_also_after_a_restart() -> None:
    kit = Kit()
    kit.begin()
    kit.quiet()
    refused_key(kit)
    refused_key(kit)
    assert kit.edge() == []
    pages = [a for a in kit.of(Alert) if a.code == "KEY_REFUSED"]
    assert [a.severity for a in pages] == [Severity.CRITICAL], "paged once"
    assert "clear key refused --scope venue:kucoin" in pages[0].text.replace('"', "")
    later = Kit()
    for record in kit.records:
        later.engine.apply(record)
    assert later.engine.desk.states.has("venue:kucoin", "key refused")
    kit.feed(Operator(ts=kit.ts, action="clear", scope="venue:kucoin", argument="key refused", source="control"))
    kit.later(1_000)
    assert len(kit.edge()) == 2


def test_a_kill_still_cancels_where_the_key_was_refused() -> None:
    kit = Kit()
    kit.begin()
    refused_key(kit)
    kit.commands.clear()
    kit.feed(Operator(ts=kit.ts, action="kill", scope="venue:kucoin", source="control"))
    assert [c.venue for c in kit.commands if isinstance(c, CancelAll)] == ["kucoin"]


def test_the_hedge_goes_where_the_key_is_accepted() -> None:
    """The sell at KuCoin was refused for its key: the buy is undone at Binance, though KuCoin bids more."""
    kit = Kit()
    kit.begin()
    kit.quiet()
    buy, sell = kit.edge()
    kit.accept(buy)
    kit.fill(buy)
    kit.close(buy)
    refused_key(kit)
    kit.commands.clear()
    kit.feed(OrderRejected(ts=kit.ts, venue=sell.venue, client_id=sell.client_id, code="400006", text="ip"))
    for _ in range(30):
        again(kit, 100)
    assert {h.venue for h in submitted(kit.commands)} == {"binance"}
