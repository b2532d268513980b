"""Rows 39 to 50: people and markets."""

from __future__ import annotations

from typing import Final

from tradeserver.core.conditions import JUMP
from tradeserver.core.records import (
    ArbitrageOpened,
    BalanceBooked,
    PnlMarked,
    StateChanged,
)
from tradeserver.lab.chaos import drills
from tradeserver.lab.chaos.rows import Drill, Row
from tradeserver.lab.chaos.scene import (
    COMPLETED,
    NOT_OPENED,
    OPENED,
    TRADES_AGAIN,
    Case,
    Check,
    Gap,
    Seen,
    alerted,
)
from tradeserver.lab.chaos.tier_a import BOTH

ROW_39: Final = Row(
    number=39,
    title="Config typo on hot reload",
    rule="Everything is validated before it is swapped; what is wrong changes nothing.",
    later="there is no reload yet; a configuration is read at the start, where every mistake ends it",
)

ROW_40: Final = Row(
    number=40,
    title="Live by accident",
    rule="Real orders need the word in the file and the word on the command line; the default is paper.",
    cases=(
        Drill(
            row=40, name="every combination of flags, keys and endpoints", fault="flags", run=drills.flags, end="halted"
        ),
    ),
    later="the pre-flight and the key's fingerprint come with the live issue",
)


def _no_profit(seen: Seen) -> bool:
    """What strangers did is in no profit of ours."""
    marks = seen.records(PnlMarked)
    return bool(marks) and not any(marks[-1].realised.values()) and not any(marks[-1].fees.values())


_EXTERNAL: Final = Check(
    "it was named as external",
    lambda seen: any(r.reason == "external" for r in seen.records(BalanceBooked)) or seen.alerts("FOREIGN_"),
)


def _left_alone(venue: str) -> Check:
    return Check("it is still open", lambda seen: len(seen.loop.world.exchanges[venue].open_orders("main")) == 1)


ROW_41: Final = Row(
    number=41,
    title="Operator trades by hand, transfers",
    rule="It is attributed as external, is no profit of a strategy, and nothing stops for it.",
    cases=(
        *(
            Case(
                row=41,
                name=f"a stranger {side}s at {venue}",
                faults=(f"foreign {venue} symbol=XRP/USDT side={side} quantity=40",),
                gaps=(),
                must=(_EXTERNAL, Check("no profit of ours", _no_profit), TRADES_AGAIN),
            )
            for venue in BOTH
            for side in ("buy", "sell")
        ),
        *(
            Case(
                row=41,
                name=f"a stranger's order rests at {venue}, and is left alone",
                faults=(f"foreign {venue} symbol=XRP/USDT side=buy quantity=100 price=1.99",),
                gaps=(Gap(at_ms=500), Gap(at_ms=5000)),
                must=(
                    OPENED,
                    COMPLETED,
                    _left_alone(venue),
                ),
            )
            for venue in BOTH
        ),
        *(
            Case(
                row=41,
                name=f"{change} {asset} are transferred at {venue}",
                faults=(f"balance {venue} asset={asset} change={change}",),
                gaps=(Gap(at_ms=8000),),
                must=(_EXTERNAL, COMPLETED),
            )
            for venue in BOTH
            for asset, change in (("USDT", "-5000"), ("XRP", "1234.5"))
        ),
        Case(
            row=41,
            name="a stranger trades in the middle of an arbitrage, and the user stream is down",
            faults=(
                "foreign kucoin symbol=XRP/USDT side=buy quantity=40 at=110ms",
                "foreign binance symbol=XRP/USDT side=sell quantity=40 at=110ms",
                "disconnect kucoin.user at=105ms",
                "disconnect binance.user at=108ms",
            ),
            must=(OPENED,),
        ),
    ),
)

_PAUSED: Final = Check(
    "the symbol is paused for the jump",
    lambda seen: any(r.reason == JUMP and r.state.value == "no_new" for r in seen.records(StateChanged)),
)
ROW_42: Final = Row(
    number=42,
    title="Flash crash, price-range rule, self-match",
    rule="Caps from a reference price, breakers for jumps and volatility; no order meets one of our own.",
    cases=tuple(
        Case(
            row=42,
            name=f"eight per cent are gone at {venue} for some seconds",
            faults=(),
            gaps=(Gap(at_ms=3_500, buy=venue, bps=800, hold_ms=4_000),),
            must=(NOT_OPENED, _PAUSED),
        )
        for venue in BOTH
    ),
)
ROW_43: Final = Row(
    number=43,
    title="Too good to be true",
    rule="An edge above the bound is blocked and told.",
    cases=(
        Case(
            row=43,
            name="an edge of five per cent is not taken",
            faults=(),
            gaps=(Gap(bps=500),),
            must=(NOT_OPENED,),
        ),
    ),
    later="there is no table of asset identities yet; the bound on the edge is in force",
)
ROW_44: Final = Row(
    number=44,
    title="Stablecoin depeg",
    rule="Cross-quote strategies stop beyond a bound.",
    later="a followed pair of stablecoins off its peg stops all opening, drilled in the core's tests; "
    "no tape of one, no cross-quote strategy",
)
ROW_45: Final = Row(
    number=45,
    title="Deposit and withdrawal suspended",
    rule="A spread without a way home is no arbitrage.",
    later="the currencies' flags are not read yet",
)
ROW_46: Final = Row(
    number=46,
    title="Depth vanishes, spoofed levels",
    rule="Fills are modelled on what levels gave before; a symbol that disappoints is left alone.",
    cases=(
        *(
            Case(
                row=46,
                name=f"most of {venue}'s depth vanishes behind the decision",
                faults=(f"vanish {venue} symbol=XRP/USDT share=0.97 at=111ms",),
                must=(OPENED,),
            )
            for venue in BOTH
        ),
    ),
    later="a symbol whose last legs hardly filled is paused, drilled in the core's tests; no model level by level",
)

ROW_47: Final = Row(
    number=47,
    title="Rounding and scientific notation",
    rule="Money is Decimal from the gate to the wire, quantised to tick and lot, written plainly.",
    cases=(Drill(row=47, name="odd ticks and lots", fault="rules", run=drills.odd_grids),),
)

_NEW_FIELDS: Final = (
    """rewrite *.* find='\\}$' with=',"brandNew":{"a":[1,2]},"z":null}' match=symbol""",
    """rewrite *.rest find='"symbol":' with='"anotherField":[1],"symbol":'""",
)

ROW_48: Final = Row(
    number=48,
    title="API changes",
    rule="Unknown fields are ignored; an unknown word takes the safe path and is told.",
    cases=(
        Case(
            row=48,
            name="new fields everywhere",
            faults=_NEW_FIELDS,
            gaps=(Gap(), Gap(at_ms=2500, buy="kucoin")),
            must=(OPENED, COMPLETED),
        ),
        Case(
            row=48,
            name="new fields in front of every frame, for a while",
            faults=("""rewrite *.* find='^\\{' with='{"brandNew":{"a":[1,2]},"z":null,' for=5s""",),
            gaps=(Gap(), Gap(at_ms=2500, buy="kucoin")),
            must=(TRADES_AGAIN,),
        ),
        *(
            Case(row=48, name=name, faults=faults, must=(OPENED, alerted("VENUE_")))
            for name, faults in (
                (
                    "Binance answers an order with a status nobody knows",
                    ("""rewrite binance.orders find='"status":"(FILLED|EXPIRED)"' with='"status":"MELTED"'""",),
                ),
                (
                    "Binance's reports have a status nobody knows",
                    (
                        """rewrite binance.user find='"X":"(FILLED|EXPIRED)"' with='"X":"MELTED"'""",
                        "drop binance.orders first=1",
                    ),
                ),
                (
                    "KuCoin's reports have a type nobody knows",
                    ("""rewrite kucoin.user find='"type":"(filled|canceled)"' with='"type":"melted"'""",),
                ),
                ("Binance refuses with a code nobody knows", ("refuse binance.orders code=-9999 first=1",)),
                ("KuCoin refuses with a code nobody knows", ("refuse kucoin.orders code=987654 first=1",)),
            )
        ),
        *(
            Case(
                row=48,
                name=f"{venue}'s frames are no JSON for a moment",
                faults=(f"rewrite {venue}.{channel} find='^.' with='<' first=3",),
                gaps=(Gap(), Gap(at_ms=5000)),
                must=(TRADES_AGAIN,),
            )
            for venue in BOTH
            for channel in ("market", "user", "orders")
        ),
        *(
            Case(
                row=48,
                name=f"{venue} sends figures that are none",
                faults=(f"""rewrite {venue}.user find='"[0-9]+[.][0-9]+"' with='"NaN"' first=2""",),
                gaps=(Gap(), Gap(at_ms=5000)),
                must=(TRADES_AGAIN,),
            )
            for venue in BOTH
        ),
    ),
)

ROW_49: Final = Row(
    number=49,
    title="cancelReplace, half a success",
    rule="It is not used: a cancel and a new order are two commands with two outcomes; its codes are in the table.",
    cases=(Drill(row=49, name="not sent, and its codes classified", fault="-2021, -2022", run=drills.half_a_replace),),
)


def _still(seen: Seen, scope: str) -> bool:
    """The state is in force in the last run."""
    return seen.trader.runs > 1 and any(e.scope.startswith(scope) for e in seen.desk.states.entries())


ROW_50: Final = Row(
    number=50,
    title="Breaker state lost on restart",
    rule="Breakers, latches and pauses are records: a start folds them, and clears none.",
    cases=(
        Case(
            row=50,
            name="a pair's pause outlives a kill",
            faults=("refuse kucoin.orders code=200004 first=1", "trader kill now at=2s"),
            gaps=(Gap(), Gap(at_ms=6000)),
            must=(
                Check("still paused", lambda seen: _still(seen, "symbol:")),
                Check("opened once", lambda seen: len(seen.records(ArbitrageOpened)) == 1),
            ),
        ),
        Case(
            row=50,
            name="two one-sided arbitrages with a kill between them latch the strategy",
            faults=(
                "refuse kucoin.orders code=200004 first=1",
                "trader kill now at=2s",
                "refuse kucoin.orders code=200004 match=ETH first=1",
            ),
            gaps=(Gap(), Gap(at_ms=6000, symbol="ETH/USDT"), Gap(at_ms=9000, symbol="ETH/USDT", buy="kucoin")),
            symbols=("XRP/USDT", "ETH/USDT"),
            must=(
                alerted("BREAKER"),
                Check("latched", lambda seen: _still(seen, "strategy:")),
                Check("opened twice", lambda seen: len(seen.records(ArbitrageOpened)) == 2),
            ),
        ),
        Case(
            row=50,
            name="the operator's pause outlives an orderly stop",
            faults=("trader say pause at=50ms", "trader stop at=1s"),
            gaps=(Gap(at_ms=300), Gap(at_ms=5000)),
            must=(NOT_OPENED, Check("still paused", lambda seen: _still(seen, "global"))),
        ),
        Case(
            row=50,
            name="three crashes in ten minutes: nothing new until a person has looked",
            faults=("trader kill now at=1s", "trader kill now at=4s", "trader kill now at=7s"),
            gaps=(Gap(at_ms=12_000),),
            must=(NOT_OPENED, alerted("CRASHES")),
        ),
    ),
)

TIER_D: Final = (
    *(ROW_39, ROW_40, ROW_41, ROW_42, ROW_43, ROW_44),
    *(ROW_45, ROW_46, ROW_47, ROW_48, ROW_49, ROW_50),
)
