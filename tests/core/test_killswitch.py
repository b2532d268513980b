"""A kill in the engine: what it waits for, what it tells, what outlives a restart; and the guard's absence."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from desk_kit import MS, SYMBOL, VENUES, Kit, submitted
from tradeserver.core.commands import CancelAll, CancelOrder, Command, QueryOpenOrders
from tradeserver.core.events import (
    Ending,
    KillVerified,
    OpenOrder,
    OpenOrdersListed,
    Operator,
    OrderClosed,
    OrderRejected,
    RunBegan,
)
from tradeserver.core.killswitch import PATIENCE_NS, VenueSafety, in_words
from tradeserver.core.records import Alert, AssetExposure, KillReported, OrderState, StateChanged, TradingState
from tradeserver.core.types import Side

D = Decimal
SECOND = 1_000 * MS
QUICK = {venue: VenueSafety(arrival_ns=11 * SECOND) for venue in VENUES}


def running(**changes: object) -> Kit:
    """Ready, quiet, and longer at it than any order can be late."""
    kit = Kit(**changes)
    kit.begin()
    kit.later(20_000)
    kit.quiet()
    return kit


def say(kit: Kit, action: str, **fields: str) -> list[Command]:
    kit.later(1)
    return kit.feed(Operator(ts=kit.ts, action=action, **fields))[1]


def resting(venue: str, number: int, client_id: str = "") -> OpenOrder:
    return OpenOrder(
        symbol=SYMBOL,
        client_id=client_id or f"stranger{number}",
        venue_order_id=f"{venue}{number}",
        side=Side.BUY,
        price=D(50_000),
        quantity=D("0.01"),
        executed=D(0),
    )


def run(kit: Kit, seconds: float, still_open: dict[str, Sequence[OpenOrder]] | None = None) -> list[Command]:
    """Ticks, with every look answered at once from `still_open`; what was said meanwhile."""
    found: list[Command] = []
    answered = len(kit.commands)
    for _ in range(int(seconds * 100)):
        kit.tick()
        waiting, answered = kit.commands[answered:], len(kit.commands)
        found += waiting
        for command in waiting:
            if isinstance(command, QueryOpenOrders):
                orders = tuple((still_open or {}).get(command.venue, ()))
                kit.feed(OpenOrdersListed(ts=kit.ts, venue=command.venue, orders=orders, asked_ts=kit.ts))
    return found


def reports(kit: Kit) -> list[KillReported]:
    return kit.of(KillReported)


def codes(kit: Kit) -> list[str]:
    return [alert.code for alert in kit.of(Alert)]


def state(kit: Kit) -> TradingState | None:
    entry = kit.engine.desk.states.of(kit.ts)
    return entry.state if entry else None


def test_with_nothing_in_flight_the_proof_is_there_in_half_a_second() -> None:
    kit = running()
    commands = say(kit, "kill")
    assert commands == [CancelAll(venue=venue, symbol=SYMBOL) for venue in VENUES]
    run(kit, 0.6)
    (report,) = reports(kit)
    assert report.proven
    assert (report.by, report.prover, report.scope, report.found, report.exposure) == (
        "control",
        "daemon",
        "global",
        0,
        (),
    )
    assert 450 <= report.elapsed_ms <= 600
    assert [(p.venue, p.proven, p.looks) for p in report.venues] == [(venue, True, 2) for venue in VENUES]
    assert "KILL_PROVEN" in codes(kit)
    assert kit.engine.killed
    run(kit, 5)
    assert len(reports(kit)) == 1


def test_an_order_in_flight_puts_the_second_look_off_until_it_cannot_appear_any_more() -> None:
    kit = running(safety=QUICK)
    buy, sell = kit.edge()
    say(kit, "kill")
    run(kit, 5)
    assert not reports(kit)
    for order in (buy, sell):
        kit.feed(
            OrderRejected(ts=kit.ts, venue=order.venue, client_id=order.client_id, code="-2010", text="no balance")
        )
    run(kit, 0.1)
    assert reports(kit)[0].proven, "both are proven not to be there: nothing can come any more"

    kit = running(safety=QUICK)
    buy, sell = kit.edge()
    sent = kit.ts
    say(kit, "kill")
    run(kit, 10.9)
    assert not reports(kit)
    run(kit, 0.3)
    (report,) = reports(kit)
    assert report.ts >= sent + 11 * SECOND
    assert report.exposure == (AssetExposure("BTC", -sell.quantity, buy.quantity),)


def test_a_run_that_has_just_begun_counts_as_an_order() -> None:
    """A power cut may have taken the log's last orders."""
    kit = Kit(safety=QUICK)
    kit.begin()
    began = kit.ts
    say(kit, "kill")
    run(kit, 11.3)
    (report,) = reports(kit)
    assert report.ts >= began + 11 * SECOND - 200 * MS


def test_what_was_found_and_cancelled_is_told_apart() -> None:
    kit = running()
    say(kit, "kill")
    kit.later(5)
    for number, ending in ((1, Ending.CANCELED), (2, Ending.CANCELED)):
        kit.feed(
            OrderClosed(
                ts=kit.ts,
                venue="binance",
                client_id=f"stranger{number}",
                ending=ending,
                executed=D(0),
                venue_order_id=f"binance{number}",
            )
        )
    run(kit, 0.3, {"kucoin": [resting("kucoin", 7)]})
    assert not reports(kit)
    status = kit.engine.kills.progress()
    assert status is not None
    assert [p.left for p in status.venues] == [(), ("stranger7",)]
    run(kit, 1.5)
    (report,) = reports(kit)
    assert [(p.found, p.cancelled, p.gone) for p in report.venues] == [(2, 2, 2), (1, 1, 1)]
    assert (report.found, report.cancelled, report.gone) == (3, 3, 3)


def test_an_order_that_will_not_go_is_told_and_tried_until_it_does() -> None:
    kit = running()
    stubborn = {"kucoin": [resting("kucoin", 7)]}
    say(kit, "kill")
    said = run(kit, PATIENCE_NS / SECOND + 1, stubborn)
    (report,) = reports(kit)
    assert not report.proven
    assert "KILL_UNPROVEN" in codes(kit)
    assert "kucoin is" in in_words(report)
    assert 8 <= sum(isinstance(c, CancelAll) and c.venue == "kucoin" for c in said) <= 20, "with pauses"
    run(kit, 7)
    assert [r.proven for r in reports(kit)] == [False, True]


def test_on_a_shared_account_a_strangers_order_stays_and_is_no_obstacle() -> None:
    kit = running(safety={venue: VenueSafety(exclusive=False) for venue in VENUES})
    ours = kit.engine.desk.ids.make(900, 0, 0)
    assert say(kit, "kill") == [QueryOpenOrders(venue=venue) for venue in VENUES]
    kit.feed(
        OpenOrdersListed(
            ts=kit.ts,
            venue="binance",
            orders=(resting("binance", 1), resting("binance", 2, ours)),
            asked_ts=kit.ts,
        )
    )
    assert kit.commands[-1] == CancelOrder(venue="binance", symbol=SYMBOL, client_id=ours, venue_order_id="binance2")
    run(kit, 6, {"binance": [resting("binance", 1)]})
    (report,) = reports(kit)
    assert (report.proven, report.found) == (True, 1)
    assert not [c for c in kit.commands if isinstance(c, CancelAll)]


def test_a_kill_of_a_venue_is_proven_there() -> None:
    kit = running()
    say(kit, "kill", scope="venue:kucoin")
    run(kit, 0.6)
    (report,) = reports(kit)
    assert [p.venue for p in report.venues] == ["kucoin"]
    assert not kit.engine.killed, "the latch is for everything"


def test_hedge_first_then_the_whole_kill() -> None:
    kit = running()
    buy, sell = kit.edge()
    say(kit, "kill", argument="hedge")
    assert state(kit) is TradingState.HEDGE_ONLY
    assert not kit.engine.killed
    kit.fill(buy)
    kit.close(buy)
    kit.book("binance", 60_230.0, 60_231.0)
    kit.book("kucoin", 60_235.0, 60_236.0)
    (hedge,) = submitted(
        kit.feed(OrderRejected(ts=kit.ts, venue=sell.venue, client_id=sell.client_id, code="-2010", text="no"))[1]
    )
    assert not reports(kit)
    kit.fill(hedge)
    kit.close(hedge)
    run(kit, 0.7)
    assert state(kit) is TradingState.HALTED
    assert kit.engine.killed
    (report,) = reports(kit)
    assert report.proven


def test_a_kill_is_never_made_milder() -> None:
    kit = running()
    say(kit, "kill")
    run(kit, 1)
    say(kit, "kill", argument="hedge")
    assert state(kit) is TradingState.HALTED
    run(kit, 1)
    assert [r.proven for r in reports(kit)] == [True, True], "asked again, proven again"


def test_a_second_kill_while_the_first_is_under_way_changes_nothing() -> None:
    kit = running(safety=QUICK)
    kit.edge()
    say(kit, "kill")
    began = kit.engine.kills.progress()
    run(kit, 3)
    say(kit, "kill")
    again = kit.engine.kills.progress()
    assert began is not None
    assert again is not None
    assert again.began == began.began
    assert codes(kit).count("KILLED") == 1


def test_clear_forgets_the_proof() -> None:
    kit = running()
    say(kit, "kill")
    run(kit, 1)
    say(kit, "clear", argument="kill")
    assert state(kit) is None
    assert kit.engine.kills.progress() is None
    assert not kit.engine.killed


def restarted(old: Kit, **changes: object) -> Kit:
    kit = Kit(**changes)
    kit.ts = old.ts
    for record in old.records:
        kit.engine.apply(record)
    return kit


def test_a_restart_stays_halted_and_proves_it_anew() -> None:
    old = running()
    say(old, "kill")
    run(old, 1)
    kit = restarted(old)
    kit.later(1_000)
    kit.begin()
    assert state(kit) is TradingState.HALTED
    assert kit.engine.killed
    run(kit, 16)
    (report,) = reports(kit)
    assert (report.proven, report.by) == (True, "restart")
    kit.quiet()
    assert not kit.edge()
    say(kit, "clear", argument="kill")
    kit.later(300)
    assert len(kit.edge()) == 2


def test_a_latch_without_a_log_halts_a_new_run() -> None:
    kit = Kit()
    kit.feed(RunBegan(ts=kit.ts, instance="t", mode="demo", commit="", config_sha256="", recovered=False, latched=True))
    assert kit.engine.killed
    assert not [c for c in kit.commands if isinstance(c, CancelAll)], "nobody to talk to yet"
    for venue in VENUES:
        kit.connect(venue)
    assert [c.venue for c in kit.commands if isinstance(c, CancelAll)] == list(VENUES)


def test_the_guards_report_joins_the_log() -> None:
    kit = running()
    report = KillReported(
        ts=5,
        began=4,
        scope="global",
        by="signal",
        prover="guard",
        proven=True,
        found=1,
        cancelled=1,
        gone=1,
        elapsed_ms=11_000,
        venues=(),
        exposure=(AssetExposure("BTC", D("0.1"), D("0.1")),),
    )
    kit.later(1)
    kit.feed(KillVerified(ts=kit.ts, report=report))
    assert reports(kit) == [msgspec.structs.replace(report, ts=kit.ts)]


# ---- the guard's absence --------------------------------------------------------------------------------------------


def test_without_its_guard_nothing_new_is_opened() -> None:
    kit = running()
    say(kit, "guard", argument="starting", source="shell")
    assert state(kit) is TradingState.NO_NEW
    assert not kit.edge()
    assert not codes(kit)
    say(kit, "guard", argument="nobody listens", source="shell")
    say(kit, "guard", argument="nobody listens", source="shell")
    assert codes(kit) == ["GUARD_AWAY", "GUARD_AWAY"], "as often as the shell reminds us"
    say(kit, "guard", source="shell")
    assert codes(kit)[-1] == "GUARD_BACK"
    assert state(kit) is None
    assert len(kit.edge()) == 2


def test_a_guard_that_was_away_says_nothing_about_the_next_run() -> None:
    old = running()
    say(old, "guard", argument="nobody listens", source="shell")
    kit = restarted(old)
    kit.begin()
    assert state(kit) is None
    assert next(r.state for r in kit.of(StateChanged)) is TradingState.RUNNING


def test_only_the_shell_speaks_for_the_guard() -> None:
    kit = running()
    say(kit, "guard", argument="oh")
    assert state(kit) is None
    assert codes(kit) == ["OPERATOR_REFUSED"]


def test_orders_that_are_closing_cannot_appear_any_more() -> None:
    kit = running(safety=QUICK)
    buy, sell = kit.edge()
    kit.accept(buy)
    kit.accept(sell)
    kit.close(buy)  # its fills have not come yet
    kit.close(sell)
    assert all(o.state is OrderState.CLOSING for o in kit.engine.desk.orders.live.values())
    say(kit, "kill")
    run(kit, 0.6)
    assert reports(kit)[0].proven
