"""Rows 27 to 38: the machine, the network and everything around."""

from __future__ import annotations

from typing import Final

from tradeserver.core.records import (
    ArbitrageOpened,
    OrderState,
    RunStopped,
    StateChanged,
    TradingState,
)
from tradeserver.lab.chaos import drills
from tradeserver.lab.chaos.rows import Drill, Row
from tradeserver.lab.chaos.scene import (
    COMPLETED,
    DOUBTED,
    HEDGED,
    NOT_OPENED,
    OPENED,
    TRADES_AGAIN,
    Case,
    Check,
    Gap,
    Seen,
    alerted,
)
from tradeserver.lab.chaos.tier_a import BOTH, REFUSALS, other

NOBODY: Final = "no reachable venue could have taken the hedge"


def _state(seen: Seen, word: str) -> bool:
    return any(r.state.value == word for r in seen.records(StateChanged))


# ---- 27, 28 ----------------------------------------------------------------------------------------------------------

_NEVER_ABSENT: Final = Check(
    "`could not ask` never became `no such order`",
    lambda seen: not [r for r in seen.order_states(OrderState.REFUSED) if r.code == "ABSENT"],
)


def _gone(venue: str) -> tuple[str, ...]:
    """It takes the order, says nothing any more, and cannot be reached for half an hour."""
    return (
        f"drop {venue}.orders at=100ms for=30m",
        f"drop {venue}.user at=100ms for=30m",
        f"unreachable {venue} for=30m at=112ms",
        f"disconnect {venue} at=112ms",
    )


ROW_27: Final = Row(
    number=27,
    title="DNS failure, partial network",
    rule="Who cannot be asked has said nothing: the order stays UNKNOWN and is paged; nothing is opened that needs it.",
    cases=(
        *(
            case
            for venue in BOTH
            for case in (
                Case(
                    row=27,
                    name=f"{venue}'s name does not resolve for 30 min, an order in doubt; what is connected goes on",
                    faults=(f"unreachable {venue} for=30m at=105ms", f"drop {venue}.orders first=1"),
                    must=(OPENED,),
                ),
                Case(
                    row=27,
                    name=f"{venue} is gone for 30 min and with it every word about an order",
                    faults=_gone(venue),
                    gaps=(Gap(), Gap(at_ms=5000), Gap(at_ms=12_000, buy="kucoin")),
                    ends=("unresolved",),
                    must=(
                        OPENED,
                        DOUBTED,
                        _NEVER_ABSENT,
                        Check("only one was opened", lambda seen: len(seen.records(ArbitrageOpened)) == 1),
                    ),
                ),
                Case(
                    row=27,
                    name=f"{venue} is gone for the whole of 30 min, an order in doubt; then it is back",
                    faults=_gone(venue),
                    seconds=1_830.0,
                    must=(OPENED, DOUBTED, alerted("ORDER_UNRESOLVED"), _NEVER_ABSENT),
                ),
                Case(
                    row=27,
                    name=f"{venue} is gone, the leg at the other venue was refused",
                    faults=(
                        f"refuse {other(venue)}.orders code={REFUSALS[other(venue)][0][0]} first=1",
                        f"unreachable {venue} for=20s at=106ms",
                        f"disconnect {venue} at=106ms",
                    ),
                    must=(OPENED, HEDGED),
                ),
                Case(
                    row=27,
                    name=f"{venue}'s REST alone cannot be reached",
                    faults=(f"unreachable {venue}.rest for=20s", f"drop {venue}.orders first=1"),
                    must=(OPENED,),
                ),
            )
        ),
    ),
)

ROW_28: Final = Row(
    number=28,
    title="Half-open TCP, TLS and proxy resets",
    rule="Whatever was sent on a silent connection is UNKNOWN after its time-out; it is asked for by another road.",
    cases=(
        *(
            case
            for venue in BOTH
            for case in (
                Case(
                    row=28,
                    name=f"{venue}'s order link is a black hole",
                    faults=(f"blackhole {venue}.orders at=90ms for=12s",),
                    must=(OPENED, DOUBTED, HEDGED),
                ),
                Case(
                    row=28,
                    name=f"all of {venue} is a black hole that swallows its leg",
                    faults=(f"blackhole {venue} at=90ms for=12s",),
                    gaps=(Gap(buy=other(venue)), Gap(at_ms=4000), Gap(at_ms=6000, buy="kucoin")),
                    must=(
                        OPENED,
                        DOUBTED,
                        HEDGED,
                        Check("only one was opened", lambda seen: len(seen.records(ArbitrageOpened)) == 1),
                    ),
                ),
                Case(
                    row=28,
                    name=f"{venue}'s user stream is a black hole, its order link is not",
                    faults=(f"blackhole {venue}.user for=40s", f"drop {venue}.orders first=1"),
                    seconds=60.0,
                    must=(OPENED,),
                ),
            )
        ),
    ),
)

# ---- 29, 30 ----------------------------------------------------------------------------------------------------------

ROW_29: Final = Row(
    number=29,
    title="NATS down, slow or duplicating",
    rule="Trading needs no NATS: fills reach the log first, and a relay with its own position delivers each once.",
    cases=(
        Drill(
            row=29, name="NATS is away, then slow, then takes half", fault="a sink that fails", run=drills.moody_sink
        ),
        Case(row=29, name="trading goes on without any sink", faults=(), must=(OPENED, COMPLETED)),
    ),
    later="its signals come with issue 5: there is no source of signals yet, so no flood of old ones",
)

ROW_30: Final = Row(
    number=30,
    title="Bad signal from upstream",
    rule="Schema, bounds and limits a source; a signal is a proposal.",
    later="no strategy reads signals yet; they come with the signal strategies",
)

# ---- 31, 32 ----------------------------------------------------------------------------------------------------------

_ITSELF: Final = "the row itself"

ROW_31: Final = Row(
    number=31,
    title="Disk full, read-only, slow",
    rule="After a failed write nothing opens; hedges may leave for a set time, then the state is HALTED.",
    cases=(
        *(
            Case(
                row=31,
                name=f"{error}: before the gap",
                faults=(f'trader wal "{error}" at=50ms',),
                gaps=(Gap(), Gap(at_ms=2000, buy="kucoin")),
                must=(Check("no order left", lambda seen: not seen.placed("binance") + seen.placed("kucoin")),),
                halted=_ITSELF,
            )
            for error in ("No space left on device", "Read-only file system", "only 17 of 400 bytes could be written")
        ),
        *(
            Case(
                row=31,
                name=f"the disk is full right behind the send, and {venue} refuses its leg: hedged without a log",
                faults=(
                    f"refuse {venue}.orders code={REFUSALS[venue][0][0]} first=1",
                    'trader wal "No space left on device" at=103ms',
                ),
                must=(OPENED, HEDGED, Check("hedges only", lambda seen: _state(seen, "hedge_only"))),
                halted=_ITSELF,
            )
            for venue in BOTH
        ),
        Case(
            row=31,
            name="the disk is full, and a minute later nothing leaves any more",
            faults=('trader wal "No space left on device" at=50ms',),
            gaps=(Gap(), Gap(at_ms=65_000)),
            seconds=70.0,
            must=(Check("halted after its time", lambda seen: _state(seen, "halted")),),
            halted=_ITSELF,
        ),
        Case(
            row=31,
            name="every write takes 300 ms: what was decided is too old to be opened when it is written",
            faults=("trader slow 300ms at=50ms",),
            gaps=(Gap(), Gap(at_ms=3000, buy="kucoin")),
            must=(Check("no order left", lambda seen: not seen.placed("binance") + seen.placed("kucoin")),),
        ),
        Case(
            row=31,
            name="writes become slow right behind the send, and KuCoin refuses its leg: hedged all the same",
            faults=("refuse kucoin.orders code=200004 first=1", "trader slow 300ms at=103ms"),
            must=(OPENED, HEDGED),
        ),
        Case(
            row=31,
            name="hedged without a log, then killed and started again: the hedge is found, not repeated",
            faults=(
                "refuse kucoin.orders code=200004 first=1",
                'trader wal "No space left on device" at=103ms',
                "trader kill now at=3s",
            ),
            must=(OPENED, HEDGED),
            halted=_ITSELF,
        ),
    ),
)

_opens_no_more: Final = Check(
    "nothing new is opened until a person has looked",
    lambda seen: any(
        r.reason == "recovery" and r.state is TradingState.NO_NEW and not r.until for r in seen.records(StateChanged)
    ),
)

ROW_32: Final = Row(
    number=32,
    title="Journal corruption, torn tail",
    rule="A torn tail behind the synced position is cut and kept; any other damage refuses to start.",
    cases=(
        Drill(row=32, name="the log is cut at every byte of its tail", fault="a torn tail", run=drills.torn_tail),
        Drill(row=32, name="bits flip behind the synced position", fault="flipped bits", run=drills.flipped_tail),
        Drill(
            row=32,
            name="bits flip before the synced position: no start",
            fault="flipped bits",
            run=drills.flipped_middle,
            end="halted",
        ),
        *(
            Case(
                row=32,
                name=f"a start finds the last {count} records gone, an arbitrage was under way",
                faults=(
                    "refuse kucoin.orders code=200004 first=1",
                    "drop binance.orders for=5s",
                    "drop binance.user for=5s",
                    "trader kill now at=400ms",
                    f"trader tear {count}",
                ),
                must=(OPENED,),
            )
            for count in (1, 2, 4)
        ),
        *(
            Case(
                row=32,
                name=f"a start cannot fold in the last record but {count - 1}, an arbitrage was under way",
                faults=(
                    "refuse kucoin.orders code=200004 first=1",
                    "drop binance.orders for=5s",
                    "drop binance.user for=5s",
                    "trader kill now at=400ms",
                    f"trader poison {count}",
                ),
                must=(OPENED, alerted("RECOVERY"), _opens_no_more),
            )
            for count in (1, 2, 3, 4)
        ),
    ),
)

# ---- 33, 34 ----------------------------------------------------------------------------------------------------------

ROW_33: Final = Row(
    number=33,
    title="Two instances on one account",
    rule="A lock on the state directory; a mark in every client id; what others do on the account is told.",
    cases=(
        Drill(row=33, name="a second start on one state directory", fault="start twice", run=drills.second_writer),
        Case(
            row=33,
            name="another instance with another directory trades on the same accounts",
            faults=("trader twin",),
            gaps=(Gap(at_ms=1500), Gap(at_ms=4000, buy="kucoin")),
            must=(OPENED, alerted("FOREIGN_")),
        ),
        Case(
            row=33,
            name="another instance trades and this one has an order in doubt",
            faults=("trader twin", "drop kucoin.orders first=1", "drop binance.user for=3s"),
            gaps=(Gap(at_ms=1500), Gap(at_ms=5000, buy="kucoin")),
            must=(OPENED,),
        ),
    ),
)

ROW_34: Final = Row(
    number=34,
    title="Event-loop stall, leaks",
    rule="A late tick makes every connection prove that it is current before anything is opened on it.",
    cases=(
        *(
            Case(
                row=34,
                name=f"the loop stands still for {ms} ms in the middle of an arbitrage",
                faults=(f"trader freeze {ms}ms at={at}ms", *extra),
                must=(OPENED,),
            )
            for ms in (80, 1000, 5000)
            for at, extra in ((112, ()), (112, ("refuse kucoin.orders code=200004 first=1",)))
        ),
        Case(
            row=34,
            name="a loop that stalls again and again",
            faults=tuple(f"trader freeze 300ms at={at}ms" for at in range(80, 6000, 500)),
            gaps=tuple(Gap(at_ms=100 + 700 * n, hold_ms=200) for n in range(8)),
            must=(TRADES_AGAIN,),
        ),
        Case(
            row=34,
            name="a leak: the kernel ends the process in the middle of an arbitrage",
            faults=("trader kill acked",),
            must=(OPENED, Check("it was started again", lambda seen: seen.trader.runs == 2)),
        ),
        Case(
            row=34,
            name="what waited in the kernel is not traded on",
            faults=("trader freeze 2s at=90ms",),
            gaps=(Gap(hold_ms=1500),),
            must=(NOT_OPENED, TRADES_AGAIN),
        ),
    ),
)

# ---- 35 to 38 --------------------------------------------------------------------------------------------------------

ROW_35: Final = Row(
    number=35,
    title="Secrets rotated, revoked, wrong, over-privileged",
    rule="A refused key stops the venue and tells a person; nothing is repeated.",
    cases=(
        *(
            Case(
                row=35,
                name=f"{venue} answers an order with {code}: the other venue takes it back",
                faults=(f'refuse {venue}.orders code={code} msg="{text}"',),
                must=(OPENED, HEDGED, alerted("VENUE_AUTH")),
            )
            for venue, code, text in (
                ("binance", "-2015", "Invalid API-key, IP, or permissions for action."),
                ("kucoin", "400007", "Access denied, requires more permission."),
            )
        ),
    ),
    later="rotation, and refusing keys that may withdraw, come with the secret store's own issue",
)

ROW_36: Final = Row(
    number=36,
    title="Host IP changes",
    rule="As a refused key; the message names the address.",
    later="the expected address is no part of the configuration yet; the refusal itself is row 35's",
)


def _stopped(seen: Seen) -> bool:
    """Ended in order, and nothing was opened after the word."""
    ends = seen.records(RunStopped)
    asked = [r.ts for r in seen.records(StateChanged) if r.reason == "stopping" and r.state.value == "no_new"]
    late = [r for r in seen.records(ArbitrageOpened) if asked and ends and asked[0] < r.ts < ends[-1].ts]
    return bool(ends) and not late


ROW_37: Final = Row(
    number=37,
    title="Restart in a bad moment",
    rule="Nothing new; what is open is settled within its time; the log ends whole; the next start reconciles first.",
    cases=tuple(
        Case(
            row=37,
            name=f"asked to stop {at - 100} ms after the prices parted{what}",
            faults=(f"trader stop at={at}ms", *extra),
            gaps=(Gap(), Gap(at_ms=400)),
            must=(Check("it ended in order, and opened nothing after the word", _stopped),),
        )
        for at in (101, 103, 105, 108, 112, 150)
        for what, extra in (
            ("", ()),
            (", one leg refused", ("refuse kucoin.orders code=200004 first=1",)),
            (", an answer lost", ("drop binance.orders for=3s", "drop binance.user for=3s")),
        )
    ),
)

ROW_38: Final = Row(
    number=38,
    title="Log or alert path fails",
    rule="Alerts are records; nothing that sends them stands in the trading path.",
    later="the alert channels come with the operator's issue; the log's own failure is row 31",
)

TIER_C: Final = (
    *(ROW_27, ROW_28, ROW_29, ROW_30, ROW_31, ROW_32),
    *(ROW_33, ROW_34, ROW_35, ROW_36, ROW_37, ROW_38),
)
