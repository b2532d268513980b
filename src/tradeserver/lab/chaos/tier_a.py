"""Rows 1 to 12: what loses money in seconds, often silently."""

from __future__ import annotations

from typing import Final

from tradeserver.core.commands import CancelAll
from tradeserver.core.events import Trust
from tradeserver.core.records import (
    ArbitrageOpened,
    BookChanged,
    FillBooked,
    KillReported,
    LinkChanged,
    StateChanged,
)
from tradeserver.lab.chaos.boundaries import POINTS
from tradeserver.lab.chaos.harness import Loop
from tradeserver.lab.chaos.rows import Row
from tradeserver.lab.chaos.scene import (
    DOUBTED,
    HEDGED,
    NOT_OPENED,
    OPENED,
    REFUSED,
    TRADES_AGAIN,
    Case,
    Check,
    Gap,
    Seen,
    alerted,
)
from tradeserver.lab.chaos.stage import Stage

BOTH: Final = ("binance", "kucoin")
REFUSALS: Final = {
    "binance": (
        ("-2010", "Account has insufficient balance for requested action."),
        ("-1013", "Filter failure: NOTIONAL"),
        ("-2010", "Market is closed."),
        ("-1021", "Timestamp for this request is outside of the recvWindow."),
    ),
    "kucoin": (
        ("200004", "Balance insufficient!"),
        ("400100", "Order size below the minimum requirement."),
        ("400370", "Max. price is 3."),
        ("400200", "Trading is not open for this pair."),
    ),
}
RELEASED: Final = "trader clear at=16s"
"""The kill is lifted again, so that its halt is no end."""


def other(venue: str) -> str:
    """The other one."""
    return BOTH[1 - BOTH.index(venue)]


# ---- 1 ---------------------------------------------------------------------------------------------------------------

_HEDGES: Final = ("refuse kucoin.orders code=200004 first=1",)

ROW_1: Final = Row(
    number=1,
    title="Process killed between two legs",
    rule="At the start the log is folded, every live order is asked for by client id, and what is exposed is hedged.",
    cases=(
        *(
            Case(
                row=1,
                name=f"killed when {what}",
                faults=(*(_HEDGES if "hedge" in point else ()), f"trader kill {point}"),
                must=(
                    *((OPENED,) if point != "before-wal" else ()),
                    Check("it was started again", lambda seen: seen.trader.runs == 2),
                ),
            )
            for point, what in POINTS.items()
        ),
        *(
            Case(
                row=1,
                name=f"killed when {POINTS[point]}, cheap at KuCoin",
                faults=(f"trader kill {point}",),
                gaps=(Gap(buy="kucoin"),),
                must=(OPENED,),
            )
            for point in ("sent-1", "acked", "filled")
        ),
        Case(
            row=1,
            name="killed again in the middle of its recovery",
            faults=("trader kill sent-1", "trader kill now at=1300ms", "trader kill now at=2900ms"),
            must=(OPENED, Check("it was started again", lambda seen: seen.trader.runs >= 3)),
        ),
        Case(
            row=1,
            name="a power cut takes the end of the log with both legs sent",
            faults=("trader kill sent-2", "trader tear 3"),
            must=(OPENED,),
        ),
        Case(
            row=1,
            name="a power cut takes the end of the log with one leg sent",
            faults=("trader kill sent-1", "trader tear 3"),
            must=(OPENED,),
        ),
    ),
)

# ---- 2 ---------------------------------------------------------------------------------------------------------------

_UNSURE: Final = {"binance": ("-1006", "-1007", "-1000"), "kucoin": ("408000", "500000")}

ROW_2: Final = Row(
    number=2,
    title="Ack lost after send",
    rule="The order is UNKNOWN, is never sent again, is asked for at growing intervals, and ends by evidence alone.",
    cases=(
        *(
            case
            for venue in BOTH
            for case in (
                Case(row=2, name=f"{venue}'s answer is lost", faults=(f"drop {venue}.orders first=1",), must=(OPENED,)),
                Case(
                    row=2,
                    name=f"every word about the order at {venue} is lost for 4 s",
                    faults=(f"drop {venue}.orders for=4s", f"drop {venue}.user for=4s"),
                    must=(OPENED, DOUBTED),
                ),
                Case(
                    row=2,
                    name=f"{venue}'s answer and events come 3 s late",
                    faults=(f"delay {venue}.orders 3s first=1", f"delay {venue}.user 3s"),
                    must=(OPENED, DOUBTED),
                ),
                Case(
                    row=2,
                    name=f"the order never reaches {venue}",
                    faults=(f"drop {venue}.orders side=in first=1",),
                    must=(OPENED, DOUBTED, REFUSED, HEDGED),
                ),
                Case(
                    row=2,
                    name=f"neither leg arrives, at {venue} first",
                    faults=("drop *.orders side=in first=2",),
                    gaps=(Gap(buy=venue),),
                    must=(OPENED, DOUBTED, REFUSED),
                ),
                Case(
                    row=2,
                    name=f"taken and filled at {venue}, then the connection is reset",
                    faults=(f"drop {venue}.orders first=1", f"disconnect {venue}.orders at=115ms"),
                    must=(OPENED,),
                ),
                *(
                    Case(
                        row=2,
                        name=f"{venue} takes it and answers {code}",
                        faults=(f"answer {venue}.orders code={code} first=1", f"delay {venue}.user 300ms"),
                        must=(OPENED, DOUBTED),
                    )
                    for code in _UNSURE[venue]
                ),
                *(
                    Case(
                        row=2,
                        name=f"{venue} does not take it and answers {code}",
                        faults=(f"refuse {venue}.orders code={code} first=1",),
                        must=(OPENED, DOUBTED, HEDGED),
                    )
                    for code in _UNSURE[venue]
                ),
            )
        ),
        *(
            Case(
                row=2,
                name=f"the hedge goes to {venue} by REST, is taken and answered 502",
                faults=(
                    f"refuse {other(venue)}.orders code={REFUSALS[other(venue)][0][0]}",
                    f"disconnect {venue}.orders at=101ms every=50ms",
                    f"answer {venue}.orders status=502 body='<html>502 Bad Gateway</html>' first=1",
                ),
                gaps=(Gap(buy=venue),),
                must=(OPENED,),
            )
            for venue in BOTH
        ),
    ),
)

# ---- 3, 4 ------------------------------------------------------------------------------------------------------------

ROW_3: Final = Row(
    number=3,
    title="One leg fills, the other is refused",
    rule="At once the ladder: the cheapest of all trusted books within each rung's bound, then the unwind; a breaker.",
    cases=(
        *(
            Case(
                row=3,
                name=f"{venue} refuses with {code} {text}",
                faults=(f'refuse {venue}.orders code={code} msg="{text}" first=1',),
                gaps=(Gap(buy=buy),),
                must=(OPENED, REFUSED, HEDGED, Check("the pair is paused", lambda seen: _paused(seen, "symbol:"))),
            )
            for venue in BOTH
            for code, text in REFUSALS[venue]
            for buy in BOTH
        ),
        *(
            Case(
                row=3,
                name=f"{venue} refuses every order: the other venue takes it back",
                faults=(f"refuse {venue}.orders code={REFUSALS[venue][0][0]}",),
                must=(OPENED, REFUSED, HEDGED),
            )
            for venue in BOTH
        ),
        Case(
            row=3,
            name="two one-sided arbitrages stop the strategy",
            faults=("refuse kucoin.orders code=200004 first=1", "refuse kucoin.orders code=200004 match=ETH first=1"),
            gaps=(Gap(), Gap(at_ms=1500, symbol="ETH/USDT")),
            symbols=("XRP/USDT", "ETH/USDT"),
            must=(OPENED, alerted("BREAKER"), Check("it is latched", lambda seen: _paused(seen, "strategy:"))),
        ),
    ),
)


def _paused(seen: Seen, scope: str) -> bool:
    return any(r.scope.startswith(scope) and r.state.value != "running" for r in seen.records(StateChanged))


ROW_4: Final = Row(
    number=4,
    title="Partial on one leg, partial or none on the other",
    rule="The difference is hedged at once where a venue takes so little; else it is dust, with a limit.",
    cases=tuple(
        Case(
            row=4,
            name=f"Binance fills {first} of its leg, KuCoin {second}",
            faults=(f"partial binance.orders share={first} first=1", f"partial kucoin.orders share={second} first=1"),
            gaps=(Gap(buy=buy),),
            must=(OPENED,),
        )
        for first, second in (
            ("0.5", "1"),
            ("1", "0.5"),
            ("0.7", "0.3"),
            ("0.3", "0.9"),
            ("0.001", "1"),
            ("1", "0"),
            ("0", "1"),
            ("0.99", "0.98"),
        )
        for buy in BOTH
    ),
)

# ---- 5 ---------------------------------------------------------------------------------------------------------------


def _proven(seen: Seen) -> bool:
    reports = seen.records(KillReported)
    return bool(reports) and all(venue.proven for venue in reports[-1].venues)


_PROVEN: Final = Check("it was proven that nothing is open", _proven)
_CANCELLED: Final = Check(
    "cancels left at both venues",
    lambda seen: {c.venue for c in seen.trader.trace.commands if type(c) is CancelAll} == set(BOTH),
)
_ALL_BOOKED: Final = Check("both legs were booked", lambda seen: len(seen.records(FillBooked)) >= 2)

ROW_5: Final = Row(
    number=5,
    title="Fill races a cancel",
    rule="A refused cancel means that the order has probably filled: it is asked for until its fills sum up.",
    cases=(
        *(
            Case(
                row=5,
                name=f"{venue}'s fill is told {late} ms after a kill has asked for the cancel",
                faults=(
                    f"delay {venue}.orders {late + 30}ms first=2",
                    f"delay {venue}.user {late + 30}ms for=200ms",
                    "trader say kill at=120ms",
                    RELEASED,
                ),
                must=(OPENED, _ALL_BOOKED, _CANCELLED, _PROVEN),
            )
            for venue in BOTH
            for late in (0, 10, 25, 50, 400)
        ),
        *(
            Case(
                row=5,
                name=f"{venue}'s leg is killed while its fill is on the way, and the other leg was refused",
                faults=(
                    f"delay {venue}.orders 300ms first=2",
                    f"delay {venue}.user 300ms for=200ms",
                    f"refuse {other(venue)}.orders code={REFUSALS[other(venue)][0][0]} first=1",
                    "trader say kill hedge at=130ms",
                    RELEASED,
                ),
                must=(OPENED, HEDGED),
            )
            for venue in BOTH
        ),
    ),
)

# ---- 6, 7, 8 ---------------------------------------------------------------------------------------------------------


def _trust(seen: Seen, venue: str, *trusts: Trust) -> bool:
    wanted = {trust.value for trust in trusts}
    return any(r.venue == venue and r.trust in wanted for r in seen.records(BookChanged))


def _lost_trust(venue: str, *trusts: Trust) -> Check:
    return Check("the book lost its trust", lambda seen: _trust(seen, venue, *trusts))


def _stale_by(venue: str, seconds: float) -> Check:
    def holds(seen: Seen) -> bool:
        before = seen.armed + int(seconds * 1e9)
        return any(r.venue == venue and r.trust != "synced" and r.ts <= before for r in seen.records(BookChanged))

    return Check(f"the book was stale within {seconds:g} s", holds)


def _torn_down(venue: str) -> Check:
    def holds(seen: Seen) -> bool:
        links = [r for r in seen.records(LinkChanged) if r.venue == venue and r.channel == "market"]
        return any(not r.up for r in links)

    return Check("the link was torn down", holds)


def _resynchronised(venue: str, trust: Trust) -> tuple[Check, ...]:
    return (
        Check(f"the book was {trust.value}", lambda seen: _trust(seen, venue, trust)),
        Check("it was synchronised again", lambda seen: _trust(seen, venue, Trust.SYNCED)),
    )


def _liquid(loop: Loop, stage: Stage) -> None:
    """Every book moves twenty times a second."""
    stage.pulse_beats = 1
    loop.run(4.0)


def _dropped(count: int) -> Check:
    """The fault took so many frames and was over."""

    def holds(seen: Seen) -> bool:
        return not [f for f in seen.faults if f.first == count and f.hits < count]

    return Check(f"{count} were lost", holds)


_STREAMS: Final = {"binance": "depthUpdate", "kucoin": "trade.l2update"}

ROW_6: Final = Row(
    number=6,
    title="Silent websocket stall",
    rule="A symbol that is silent for longer than its own rate allows is STALE within a second; the link is torn down.",
    cases=(
        *(
            Case(
                row=6,
                name=f"{venue}'s market data stop, pongs go on: a gap a second later is not taken",
                faults=(f"drop {venue}.market for=12s",),
                gaps=(Gap(at_ms=1100, buy=other(venue), hold_ms=200), Gap(at_ms=4000, buy=other(venue))),
                script=_liquid,
                must=(
                    NOT_OPENED,
                    _stale_by(venue, 1.0),
                    TRADES_AGAIN,
                ),
            )
            for venue in BOTH
        ),
        *(
            Case(
                row=6,
                name=f"{venue}'s connection is torn down after a silence",
                faults=(f"drop {venue}.market for={70 if venue == 'kucoin' else 40}s",),
                gaps=(),
                seconds=80.0,
                must=(
                    _torn_down(venue),
                    TRADES_AGAIN,
                ),
            )
            for venue in BOTH
        ),
        *(
            Case(
                row=6,
                name=f"one of {venue}'s streams stops, the light one goes on",
                faults=(f"drop {venue}.market match={_STREAMS[venue]} for=8s",),
                gaps=(Gap(at_ms=5000, buy=other(venue)),),
                must=(
                    _lost_trust(venue, Trust.STALE, Trust.GAP),
                    TRADES_AGAIN,
                ),
            )
            for venue in BOTH
        ),
    ),
)


ROW_7: Final = Row(
    number=7,
    title="Sequence gap",
    rule="GAP at once; a new snapshot, the buffered changes replayed; nothing is opened meanwhile.",
    cases=(
        *(
            Case(
                row=7,
                name=f"{count} changes of {venue} are lost",
                faults=(f"drop {venue}.market match={_STREAMS[venue]} first={count}",),
                gaps=(Gap(), Gap(at_ms=2500)),
                must=(*_resynchronised(venue, Trust.GAP), TRADES_AGAIN),
            )
            for venue in BOTH
            for count in (1, 10)
        ),
        *(
            Case(
                row=7,
                name=f"a thousand changes of {venue} are lost while an arbitrage is under way",
                faults=(
                    f"drop {venue}.market match={_STREAMS[venue]} at=105ms first=1000",
                    f"drop {venue}.orders first=1",
                ),
                gaps=(Gap(),),
                script=_liquid,
                seconds=130.0,
                must=(OPENED, _dropped(1000), TRADES_AGAIN),
            )
            for venue in BOTH
        ),
        Case(
            row=7,
            name="Binance's snapshot is older than the first buffered change",
            faults=(
                "drop binance.market match=depthUpdate first=1",
                """rewrite binance.rest find='"lastUpdateId":[0-9]+' with='"lastUpdateId":17' first=2""",
            ),
            must=(*_resynchronised("binance", Trust.GAP), TRADES_AGAIN),
        ),
        Case(
            row=7,
            name="KuCoin's snapshot is older than the first buffered change",
            faults=(
                "drop kucoin.market match=trade.l2update first=1",
                """rewrite kucoin.rest find='"sequence":"[0-9]+"' with='"sequence":"17"' first=2""",
            ),
            must=(*_resynchronised("kucoin", Trust.GAP), TRADES_AGAIN),
        ),
    ),
)

_LOST_DELETES: Final = {
    "binance": """rewrite binance.market match=depthUpdate find='",\\s*"0\\.0+"\\]' with='","7.00000000"]' for=3s""",
    "kucoin": """rewrite kucoin.market match=l2update find='","0",' with='","7",' for=3s""",
}

_DEAF_ASKS: Final = {
    "binance": """rewrite binance.market match=depthUpdate find='"a":\\[.*\\]' with='"a":[]' for=3s""",
    "kucoin": """rewrite kucoin.market match=l2update find='"asks":\\[\\[.*?\\]\\]' with='"asks":[]' for=3s""",
}

ROW_8: Final = Row(
    number=8,
    title="Crossed or frozen book although the sequence is right",
    rule="A book that stays crossed, or behind its own venue's quotes, is not trusted and is synchronised anew.",
    cases=(
        *(
            Case(
                row=8,
                name=f"{venue}'s removals of levels are lost: the book crosses",
                faults=(_LOST_DELETES[venue],),
                gaps=(Gap(buy=venue, bps=-60, hold_ms=1500), Gap(at_ms=2000, buy=venue)),
                must=(
                    _lost_trust(venue, Trust.CROSSED, Trust.STALE, Trust.GAP),
                    TRADES_AGAIN,
                ),
            )
            for venue in BOTH
        ),
        *(
            Case(
                row=8,
                name=f"one side of {venue}'s book stands still while the sequence goes on: its dead price is not taken",
                faults=(_DEAF_ASKS[venue],),
                gaps=(Gap(buy=venue, bps=-40, hold_ms=3000), Gap(at_ms=2500, buy=other(venue), bps=1.0)),
                must=(_lost_trust(venue, Trust.CROSSED, Trust.STALE, Trust.GAP), TRADES_AGAIN),
            )
            for venue in BOTH
        ),
        Case(
            row=8,
            name="KuCoin's entries at price 0 only advance the sequence",
            faults=(
                """rewrite kucoin.market match=l2update find='\\["[0-9.]+","[0-9.]+","([0-9]+)"\\]' """
                """with='["0","0","\\1"]' first=1""",
            ),
            gaps=(Gap(at_ms=1500),),
            must=(TRADES_AGAIN,),
        ),
    ),
)

# ---- 9 ---------------------------------------------------------------------------------------------------------------


def _once(seen: Seen) -> bool:
    keys = [(r.venue, r.symbol, r.trade_id) for r in seen.records(FillBooked)]
    return len(keys) == len(set(keys)) > 0


_ONCE: Final = Check("every fill was booked once", _once)

ROW_9: Final = Row(
    number=9,
    title="Duplicate, late or out-of-order execution reports",
    rule="Fills only add, by a unique key; an order is over when its fills sum to what the venue has executed.",
    cases=(
        *(
            Case(row=9, name=name, faults=faults, gaps=(Gap(buy=buy),), must=(OPENED, _ONCE))
            for buy in BOTH
            for name, faults in (
                (f"everything is told three times, cheap at {buy}", ("duplicate *.user", "duplicate *.orders")),
                (
                    f"reports overtake each other, cheap at {buy}",
                    ("reorder *.user 40ms 50%", "reorder *.orders 60ms 50%"),
                ),
                (f"reports come 2 s behind the answers, cheap at {buy}", ("delay *.user 2s",)),
                (f"answers come 2 s behind the reports, cheap at {buy}", ("delay *.orders 2s",)),
                (
                    f"late, twice, and in any order, cheap at {buy}",
                    ("reorder *.user 300ms 40%", "duplicate *.user 50%", "delay *.orders 150ms 50%"),
                ),
                (
                    f"the ends come and the fills do not, cheap at {buy}",
                    ("drop *.user match=match", "drop *.user match=TRADE"),
                ),
            )
        ),
        Case(
            row=9,
            name="a fill comes after the order was given up",
            faults=("drop kucoin.orders for=24s", "drop kucoin.user for=24s", "drop kucoin.rest for=24s match=orders"),
            given_up=True,
            must=(OPENED, DOUBTED),
        ),
    ),
)

# ---- 10 --------------------------------------------------------------------------------------------------------------


def _reconciled(venue: str) -> Check:
    def holds(seen: Seen) -> bool:
        down = [r.ts for r in seen.records(LinkChanged) if r.venue == venue and r.channel == "user" and not r.up]
        opened = [r.ts for r in seen.records(ArbitrageOpened)]
        up = [r.ts for r in seen.records(LinkChanged) if r.venue == venue and r.channel == "user" and r.up]
        return bool(down) and bool(up) and not any(down[0] <= ts <= up[-1] for ts in opened)

    return Check("nothing was opened while the stream was down", holds)


ROW_10: Final = Row(
    number=10,
    title="User stream down while orders are live",
    rule="Nothing is opened at that venue; its orders are polled; after the stream is back all is reconciled first.",
    cases=(
        *(
            case
            for venue in BOTH
            for case in (
                *(
                    Case(
                        row=10,
                        name=f"{venue}'s user stream is cut {at} ms after the prices parted",
                        faults=(f"disconnect {venue}.user at={100 + at}ms",),
                        gaps=(Gap(buy=buy), Gap(at_ms=200 + at, buy=buy)),
                        must=(OPENED, _reconciled(venue)),
                    )
                    for at in (5, 12, 15)
                    for buy in BOTH
                ),
                Case(
                    row=10,
                    name=f"{venue}'s user stream is cut, and another symbol's prices part meanwhile",
                    faults=(f"disconnect {venue}.user at=112ms",),
                    gaps=(Gap(), Gap(at_ms=170, symbol="ETH/USDT", hold_ms=40)),
                    symbols=("XRP/USDT", "ETH/USDT"),
                    must=(OPENED, _reconciled(venue), TRADES_AGAIN),
                ),
                Case(
                    row=10,
                    name=f"{venue} ends the stream with its own words",
                    faults=(f"expire {venue}.user at=112ms", f"drop {venue}.orders first=1"),
                    gaps=(Gap(), Gap(at_ms=180), Gap(at_ms=330, buy="kucoin")),
                    must=(OPENED, _reconciled(venue), TRADES_AGAIN),
                ),
                Case(
                    row=10,
                    name=f"{venue}'s user stream stays away for 10 s with an order in doubt",
                    faults=(
                        f"drop {venue}.orders first=1",
                        f"disconnect {venue}.user at=110ms every=200ms",
                    ),
                    must=(OPENED,),
                ),
            )
        ),
    ),
)

# ---- 11, 12 ----------------------------------------------------------------------------------------------------------

ROW_11: Final = Row(
    number=11,
    title="Acting on an old price",
    rule="Every input is judged by the venue's stamp; after a stall no connection is current until it has proven so.",
    cases=(
        *(
            Case(
                row=11,
                name=f"the loop stands still for {ms} ms while the prices part and close",
                faults=(f"trader freeze {ms}ms at=95ms",),
                gaps=(Gap(hold_ms=min(ms - 20, 300)),),
                must=(NOT_OPENED, TRADES_AGAIN),
            )
            for ms in (500, 5000)
        ),
        Case(
            row=11,
            name="the loop stands still for 50 ms behind the decision",
            faults=("trader freeze 50ms at=112ms",),
            must=(OPENED,),
        ),
        *(
            Case(
                row=11,
                name=f"{venue}'s market data come {ms} ms late",
                faults=(f"delay {venue}.market {ms}ms",),
                gaps=(Gap(at_ms=3000, buy=venue, hold_ms=200),),
                must=(NOT_OPENED,),
            )
            for venue in BOTH
            for ms in (1200, 3000)
        ),
    ),
)


def _nothing_sent_after_kill(seen: Seen) -> bool:
    killed = [ts for ts, states in seen.trader.states if any(s.state.value == "halted" for s in states)]
    sent = [
        left
        for network in seen.loop.networks.values()
        for placed, left in zip(network.exchange.placed, network.left_ns, strict=False)
        if placed.client_id.startswith(seen.trader.setup.tag)
    ]
    return bool(killed) and not any(left > killed[0] for left in sent)


_SILENT: Final = Check("nothing was sent after the kill", _nothing_sent_after_kill)

ROW_12: Final = Row(
    number=12,
    title="Kill switch does not kill",
    rule="A latch read before every send, set by anyone at any time; cancels; a proof that nothing is open.",
    cases=(
        Case(
            row=12,
            name="killed with the loop frozen in the middle of an arbitrage",
            faults=("trader freeze 2s at=112ms", "trader press at=500ms"),
            gaps=(Gap(), Gap(at_ms=2500), Gap(at_ms=19_000, buy="kucoin")),
            ends=("flat", "held"),
            must=(OPENED, _SILENT, _PROVEN),
            halted="the row itself",
        ),
        Case(
            row=12,
            name="killed while Binance throttles",
            faults=("throttle binance 15s at=105ms", "trader say kill at=300ms"),
            gaps=(Gap(), Gap(at_ms=1500), Gap(at_ms=3000, buy="kucoin")),
            ends=("flat", "held"),
            must=(_SILENT, _PROVEN, alerted("KILL")),
            halted="the row itself",
        ),
        Case(
            row=12,
            name="killed, then started again: still killed",
            faults=("trader say kill at=300ms", "trader kill now at=1s"),
            gaps=(Gap(), Gap(at_ms=4000), Gap(at_ms=22_000, buy="kucoin")),
            must=(_SILENT, _PROVEN),
            halted="the row itself",
        ),
        Case(
            row=12,
            name="killed with leg A filled and leg B refused: the exposure is named",
            faults=(
                "refuse kucoin.orders code=200004",
                "refuse binance.orders code=-2010 match=SELL",
                "trader say kill at=300ms",
            ),
            ends=("flat", "held"),
            must=(OPENED, _SILENT, _PROVEN),
            halted="the row itself",
        ),
    ),
)

TIER_A: Final = (ROW_1, ROW_2, ROW_3, ROW_4, ROW_5, ROW_6, ROW_7, ROW_8, ROW_9, ROW_10, ROW_11, ROW_12)
