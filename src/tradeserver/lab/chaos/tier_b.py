"""Rows 13 to 26: what is frequent and hurts within minutes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.core.events import InstrumentsLoaded
from tradeserver.core.records import (
    ArbitrageOpened,
    BalanceBooked,
    FillBooked,
    LinkChanged,
    OpportunityClosed,
    StateChanged,
)
from tradeserver.lab.chaos.harness import Loop
from tradeserver.lab.chaos.rows import Row
from tradeserver.lab.chaos.scene import (
    COMPLETED,
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
from tradeserver.lab.chaos.tier_a import BOTH, REFUSALS, other
from tradeserver.simulator.config import SimConfig
from tradeserver.simulator.front import HttpIn

HTML: Final = "'<html><head><title>403 Forbidden</title></head></html>'"


def held_back(venue: str) -> Check:
    """Nothing was opened at that venue while it refused."""
    return Check(
        "nothing new was opened while the venue throttled",
        lambda seen: any(
            r.scope == f"venue:{venue}" and r.state.value in ("no_new", "halted") for r in seen.records(StateChanged)
        ),
    )


def _requests(seen: Seen, venue: str, since_s: float, until_s: float) -> int:
    """Orders that reached the venue between two moments of the scene."""
    network = seen.loop.networks[venue]
    return sum(1 for left in network.left_ns if seen.began + since_s * 1e9 < left < seen.began + until_s * 1e9)


# ---- 13, 14, 15 ------------------------------------------------------------------------------------------------------

ROW_13: Final = Row(
    number=13,
    title="429, then 418",
    rule="The venue's own counts feed one budget; a 429 stops all but safety traffic; a 418 stops everything.",
    cases=(
        Case(
            row=13,
            name="Binance throttles while an arbitrage is under way",
            faults=("throttle binance 10s at=108ms", "drop binance.orders first=1"),
            gaps=(Gap(), Gap(at_ms=3000)),
            must=(OPENED,),
        ),
        Case(
            row=13,
            name="Binance throttles and leg B was refused: the hedge goes to KuCoin",
            faults=("throttle binance 20s at=103ms", "refuse binance.orders code=-2010"),
            gaps=(Gap(buy="kucoin"), Gap(at_ms=5000)),
            must=(),
        ),
        Case(
            row=13,
            name="Binance bans the address between two legs: the hedge goes to KuCoin",
            faults=("ban binance 2m at=101ms",),
            gaps=(Gap(buy="kucoin"), Gap(at_ms=5000, buy="kucoin")),
            must=(Check("no order reached Binance in the ban", lambda seen: not _requests(seen, "binance", 1, 60)),),
        ),
        Case(
            row=13,
            name="two processes behind one address, and Binance throttles both",
            faults=("trader twin", "throttle binance 10s at=1600ms", "drop binance.orders at=1500ms first=2"),
            gaps=(Gap(at_ms=1500), Gap(at_ms=4000), Gap(at_ms=14_000, buy="kucoin")),
            must=(OPENED,),
        ),
        Case(
            row=13,
            name="too many orders: -1015 stops new orders only",
            faults=("refuse binance.orders code=-1015 first=1",),
            gaps=(Gap(), Gap(at_ms=1500)),
            must=(OPENED, REFUSED),
        ),
        Case(
            row=13,
            name="the weight of a minute is used up by questions",
            faults=("drop *.user", "drop binance.orders first=3"),
            gaps=(Gap(), Gap(at_ms=2500), Gap(at_ms=5000)),
            world=lambda config: _limits(config, "binance", request_weight_1m=300),
            must=(OPENED,),
        ),
    ),
)


def _limits(config: SimConfig, venue: str, **limits: int) -> SimConfig:
    venues = dict(config.venues)
    settings = venues[venue]  # type: ignore[index]
    venues[venue] = msgspec.structs.replace(settings, limits=msgspec.structs.replace(settings.limits, **limits))  # type: ignore[index]
    return msgspec.structs.replace(config, venues=venues)


ROW_14: Final = Row(
    number=14,
    title="KuCoin's limits",
    rule="One budget a pool, fed by the answers; its reset is waited for; Cloudflare's word pauses the whole venue.",
    cases=(
        Case(
            row=14,
            name="every pool is used up while an arbitrage is under way",
            faults=("throttle kucoin 10s at=108ms", "drop kucoin.orders first=1"),
            gaps=(Gap(), Gap(at_ms=3000)),
            must=(OPENED,),
        ),
        Case(
            row=14,
            name="Cloudflare blocks REST: 1015",
            faults=(
                "answer kucoin.rest status=429 body='error code: 1015' side=in for=20s",
                "drop kucoin.orders first=1",
            ),
            must=(OPENED,),
        ),
        Case(
            row=14,
            name="an endpoint of its own: 200002 too many requests",
            faults=("""refuse kucoin.orders code=200002 msg="Too many requests in a short period of time" first=1""",),
            must=(OPENED, REFUSED, HEDGED),
        ),
        Case(
            row=14,
            name="the spot pool is small",
            faults=("drop kucoin.user for=5s",),
            gaps=(Gap(), Gap(at_ms=2500), Gap(at_ms=5000)),
            world=lambda config: _limits(config, "kucoin", spot_30s=120),
            must=(OPENED,),
        ),
    ),
)

ROW_15: Final = Row(
    number=15,
    title="WAF block",
    rule="HTML is no answer: reads stop for a while, streams go on, an order in flight is UNKNOWN.",
    cases=(
        *(
            Case(
                row=15,
                name=f"{venue} answers every read with 403 and HTML",
                faults=(
                    f"answer {venue}.rest status=403 body={HTML} side=in for=10s",
                    f"drop {venue}.orders for=3s",
                    f"drop {venue}.user for=3s",
                ),
                must=(OPENED, DOUBTED, alerted("VENUE_")),
            )
            for venue in BOTH
        ),
        Case(
            row=15,
            name="both venues do",
            faults=(f"answer *.rest status=403 body={HTML} side=in for=15s", "drop *.orders first=2"),
            must=(OPENED,),
            halted="it hits all venues",
        ),
        *(
            Case(
                row=15,
                name=f"a hedge by REST meets it at {venue}",
                faults=(
                    f"refuse {other(venue)}.orders code={REFUSALS[other(venue)][0][0]} first=3",
                    f"answer {venue}.orders status=403 body={HTML} side=in for=5s",
                    f"disconnect {venue}.orders at=104ms",
                ),
                gaps=(Gap(buy=venue),),
                must=(OPENED,),
            )
            for venue in BOTH
        ),
    ),
)

# ---- 16 --------------------------------------------------------------------------------------------------------------

ROW_16: Final = Row(
    number=16,
    title="Clock skew or jump",
    rule="An offset a venue, with the round trip taken off; a refused stamp stops opening until it is measured anew.",
    cases=(
        *(
            Case(
                row=16,
                name=f"{venue}'s clock jumps by {by}",
                faults=(f"skew {venue} {by} at=50ms",),
                gaps=(Gap(), Gap(at_ms=3000), Gap(at_ms=14_000)),
                must=(TRADES_AGAIN,),
            )
            for venue in BOTH
            for by in ("+2s", "-2s", "+20s", "-20s")
        ),
        *(
            Case(
                row=16,
                name=f"this machine's clock jumps by {by} (a suspended VM)",
                faults=(f"trader clock {by} at=50ms",),
                gaps=(Gap(), Gap(at_ms=3000), Gap(at_ms=14_000, buy="kucoin")),
                must=(TRADES_AGAIN,),
            )
            for by in ("+2s", "+3600s")
        ),
        Case(
            row=16,
            name="a jump between two legs",
            faults=("skew binance +3s at=111ms",),
            must=(OPENED,),
        ),
    ),
)

# ---- 17, 18 ----------------------------------------------------------------------------------------------------------

_EXPLAINED: Final = Check(
    "the difference was named", lambda seen: any(r.reason == "external" for r in seen.records(BalanceBooked))
)

ROW_17: Final = Row(
    number=17,
    title="Insufficient balance",
    rule="A refusal for balance makes the venue count anew; nothing is opened meanwhile; the difference is named.",
    cases=(
        *(
            Case(
                row=17,
                name=f"the {asset} at {venue} is withdrawn and the news of it is lost",
                faults=(f"balance {venue} asset={asset} change=-10000000", f"drop {venue}.user for=1s"),
                gaps=(Gap(at_ms=200, buy=buy), Gap(at_ms=8000, buy=buy), Gap(at_ms=16_000, buy=buy)),
                must=(REFUSED, _EXPLAINED),
            )
            for venue, asset, buy in (
                ("kucoin", "XRP", "binance"),
                ("kucoin", "USDT", "kucoin"),
                ("binance", "XRP", "kucoin"),
                ("binance", "USDT", "binance"),
            )
        ),
        Case(
            row=17,
            name="a withdrawal that is told",
            faults=("balance kucoin asset=XRP change=-50",),
            gaps=(Gap(at_ms=200), Gap(at_ms=8000)),
            must=(_EXPLAINED, COMPLETED),
        ),
    ),
)


def _read_anew(venue: str) -> Check:
    """Its rules were asked for again, and not only on schedule."""
    return Check("the rules were read again", lambda seen: len(seen.events(InstrumentsLoaded)) >= 1)


ROW_18: Final = Row(
    number=18,
    title="Filter refusals",
    rule="Orders are made from the venue's own rules; a refusal reads them anew; what is too small to hedge is dust.",
    cases=(
        *(
            Case(
                row=18,
                name=f"{venue} changes {what} without a word",
                faults=(f"rules {venue} symbol=XRP/USDT {what}",),
                gaps=(Gap(at_ms=200, buy=buy), Gap(at_ms=15_000, buy=buy)),
                must=(TRADES_AGAIN if again else _read_anew(venue),),
            )
            for venue in BOTH
            for what, again in (
                ("tick=0.001", True),
                ("lot=10", True),
                ("min_notional=1000", False),
                ("min_quantity=500", False),
            )
            for buy in BOTH
        ),
    ),
)

# ---- 19, 20, 21, 22 --------------------------------------------------------------------------------------------------


def _no_outage(seen: Seen, venue: str) -> bool:
    return not [r for r in seen.records(LinkChanged) if r.venue == venue and r.channel == "market" and not r.up]


ROW_19: Final = Row(
    number=19,
    title="24 h disconnect and planned shutdown",
    rule="A new connection is open and synchronised before the old one is left; the two venues never together.",
    cases=(
        Case(
            row=19,
            name="Binance says that it will go, and goes a second later",
            faults=("shutdown binance at=50ms", "disconnect binance.* at=1050ms"),
            gaps=(Gap(), Gap(at_ms=1060), Gap(at_ms=2500)),
            must=(OPENED, TRADES_AGAIN),
        ),
        *(
            Case(
                row=19,
                name=f"{venue} cuts everything at its 24 hours, an order on its way",
                faults=(f"disconnect {venue}.* at=112ms",),
                must=(OPENED, TRADES_AGAIN),
            )
            for venue in BOTH
        ),
        Case(
            row=19,
            name="make before break: the market data never pause when Binance says that it will go",
            faults=("shutdown binance 1s at=50ms",),
            gaps=(Gap(at_ms=1060),),
            must=(Check("the market link was never down", lambda seen: _no_outage(seen, "binance")), OPENED),
        ),
    ),
)

ROW_20: Final = Row(
    number=20,
    title="KuCoin's token and ping",
    rule="A fresh token for every connect; welcome, then every ack; a ping in the venue's own interval.",
    cases=(
        Case(
            row=20,
            name="the token expires with an order on its way",
            faults=("expire kucoin.user at=112ms",),
            must=(OPENED, TRADES_AGAIN),
        ),
        *(
            Case(
                row=20,
                name=f"after a cut the {what} is withheld",
                faults=(
                    f"drop kucoin.{channel} match='\"{what}\"' for=6s",
                    f"disconnect kucoin.{channel} at=50ms",
                ),
                gaps=(Gap(at_ms=3000),),
                seconds=40.0,
                must=(NOT_OPENED, TRADES_AGAIN),
            )
            for channel in ("user", "market")
            for what in ("welcome", "ack")
        ),
        Case(
            row=20,
            name="pongs do not come",
            faults=("drop kucoin.* match='\"pong\"' for=40s",),
            gaps=(Gap(), Gap(at_ms=45_000)),
            seconds=60.0,
            must=(
                OPENED,
                Check(
                    "a link was opened anew",
                    lambda seen: any(not r.up and r.venue == "kucoin" for r in seen.records(LinkChanged)),
                ),
                TRADES_AGAIN,
            ),
        ),
        Case(
            row=20,
            name="no two connects bear the same token",
            faults=("disconnect kucoin.* at=50ms every=3s",),
            gaps=(Gap(at_ms=2500),),
            must=(Check("each connect had asked for a token", lambda seen: _fresh_tokens(seen)),),
        ),
    ),
)


def _fresh_tokens(seen: Seen) -> bool:
    ups = [r for r in seen.trader.trace.records if isinstance(r, LinkChanged) and r.venue == "kucoin" and r.up]
    bullets = [label for label in seen.trader.wires["kucoin"].requests if "bullet" in label]
    return len(bullets) >= sum(1 for r in ups if r.channel in ("market", "user")) > 2


def _gone(seen: Seen) -> bool:
    """The old path answers 410, and we have never been there."""
    front = seen.loop.world.fronts["binance"]
    answer = front.http(HttpIn("POST", "/api/v3/userDataStream", "", {}, b""), seen.loop.time.now)
    return answer.status == 410 and not [r for r in seen.trader.wires["binance"].requests if "userDataStream" in r]


ROW_21: Final = Row(
    number=21,
    title="The old listen key",
    rule="The user stream is subscribed to with a signature at every connect; `already active` is as good as done.",
    cases=(
        Case(
            row=21,
            name="the old path is gone, and not missed",
            faults=("disconnect binance.user at=50ms",),
            gaps=(Gap(at_ms=2000),),
            must=(Check("410 on the old path, nobody went there", _gone), OPENED, TRADES_AGAIN),
        ),
        Case(
            row=21,
            name="the subscription is said to be active already",
            faults=(
                """rewrite binance.orders find='"status":200,"result":\\{"subscriptionId":[0-9]+\\}' """
                """with='"status":400,"error":{"code":-2035,"msg":"User Data Stream subscription already active."}'""",
                """rewrite binance.user find='"status":200,"result":\\{"subscriptionId":[0-9]+\\}' """
                """with='"status":400,"error":{"code":-2035,"msg":"User Data Stream subscription already active."}'""",
                "disconnect binance.user at=50ms",
            ),
            gaps=(Gap(at_ms=2000),),
            must=(OPENED, TRADES_AGAIN),
        ),
    ),
)


def _modest(venue: str) -> Check:
    """At most 30 connects in any minute: KuCoin's rule, the stricter one."""

    def holds(seen: Seen) -> bool:
        times = seen.loop.networks[venue].joined_ns
        return max((sum(1 for t in times if start <= t < start + 60e9) for start in times), default=0) <= 30

    return Check("it kept to the venue's connects", holds)


ROW_22: Final = Row(
    number=22,
    title="Websocket limits",
    rule="Subscriptions in few frames, a budget for connects, growing pauses with jitter.",
    cases=(
        *(
            Case(
                row=22,
                name=f"every connection of {venue} is cut again and again",
                faults=(f"disconnect {venue}.* at=20ms every=400ms",),
                gaps=(Gap(at_ms=1000), Gap(at_ms=20_000)),
                must=(
                    _modest(venue),
                    TRADES_AGAIN,
                ),
            )
            for venue in BOTH
        ),
        Case(
            row=22,
            name="both venues drop everybody at one moment, an arbitrage under way",
            faults=("disconnect * at=112ms",),
            must=(OPENED, TRADES_AGAIN),
        ),
    ),
)

# ---- 23, 24 ----------------------------------------------------------------------------------------------------------


def _emptied(venue: str) -> Callable[[Loop, Stage], None]:
    def script(loop: Loop, stage: Stage) -> None:
        stage.crowd(venue, "XRP/USDT", 0.0)
        loop.time.at(loop.time.now + 1_000_000_000, lambda: stage.crowd(venue, "XRP/USDT", 1.0))

    return script


ROW_23: Final = Row(
    number=23,
    title="Maintenance, cancel-only, halt, delisting",
    rule="A status a symbol and venue; a closed symbol is not opened on; the hedge goes where it is open.",
    cases=(
        *(
            Case(
                row=23,
                name=f"{venue} is {to.replace('_', '-')} {when}",
                faults=(f"status {venue} symbol=XRP/USDT to={to} at={at}ms",),
                gaps=(Gap(buy=buy), Gap(at_ms=14_000, buy=buy)),
                must=must,
            )
            for venue in BOTH
            for to in ("halted", "cancel_only")
            for when, at, must in (("before the gap", 0, (REFUSED,)), ("between two legs", 111, (OPENED,)))
            for buy in BOTH
        ),
        *(
            Case(
                row=23,
                name=f"{venue} halts for 10 s and opens again",
                faults=(
                    f"status {venue} symbol=XRP/USDT to=halted",
                    f"status {venue} symbol=XRP/USDT to=trading at=10s",
                ),
                gaps=(Gap(),),
                seconds=30.0,
                must=(REFUSED, Check("it trades again", lambda seen: _trades_within(seen, 700))),
            )
            for venue in BOTH
        ),
        *(
            Case(
                row=23,
                name=f"{venue} says {code} {text}",
                faults=(f'refuse {venue}.orders code={code} msg="{text}" for=5s',),
                must=(REFUSED,),
            )
            for venue, code, text in (
                ("binance", "-1016", "This service is no longer available."),
                ("binance", "-2010", "Rest API trading is not enabled."),
                ("kucoin", "200001", "Order creation for this pair suspended"),
                ("kucoin", "400600", "The pair is not available."),
                ("kucoin", "600203", "Trading is not open for this pair."),
            )
        ),
        *(
            Case(
                row=23,
                name=f"one side of {venue}'s book is empty: no price is no price",
                faults=(),
                gaps=(),
                script=_emptied(venue),
                must=(NOT_OPENED, TRADES_AGAIN),
            )
            for venue in BOTH
        ),
    ),
)


def _trades_within(seen: Seen, seconds: float) -> bool:
    """Another gap is taken once the rules were read again on schedule."""
    loop = seen.loop
    if TRADES_AGAIN.holds(seen):
        return True
    before = len(seen.records(ArbitrageOpened))
    end = loop.time.now + int(seconds * 1e9)
    while loop.time.now < end:
        loop.run(20.0)
        seen.stage.gap("XRP/USDT", "binance", 25.0, 60_000_000)
        loop.run(0.5)
        if len(seen.records(ArbitrageOpened)) > before:
            return True
    return False


ROW_24: Final = Row(
    number=24,
    title="Server busy",
    rule="An order answered so is UNKNOWN until it is asked for; reads wait; with both venues busy only hedges leave.",
    cases=(
        *(
            Case(
                row=24,
                name=f"{venue} is busy ({code}) and takes the order all the same, now and then",
                faults=(f"answer {venue}.orders code={code} 60%", f"answer {venue}.rest status=503 50%"),
                gaps=(Gap(), Gap(at_ms=2500, buy="kucoin"), Gap(at_ms=5000)),
                must=(OPENED,),
            )
            for venue, code in (("binance", "-1008"), ("binance", "-1001"), ("kucoin", "500000"))
        ),
        Case(
            row=24,
            name="both venues are busy for 10 s: nothing new after the first",
            faults=("answer binance.orders code=-1008 for=10s", "answer kucoin.orders code=500000 for=10s"),
            gaps=(Gap(), Gap(at_ms=1500), Gap(at_ms=3000)),
            must=(
                OPENED,
                DOUBTED,
                Check(
                    "with both venues busy only hedges leave",
                    lambda seen: any(r.state.value == "hedge_only" for r in seen.records(StateChanged)),
                ),
            ),
        ),
    ),
)

# ---- 25, 26 ----------------------------------------------------------------------------------------------------------


def _with_bnb(config: SimConfig, amount: str) -> SimConfig:
    venues = dict(config.venues)
    settings = venues["binance"]
    (account,) = settings.accounts
    account = msgspec.structs.replace(
        account, pays_third_asset=True, balances={**account.balances, "BNB": Decimal(amount)}
    )
    venues["binance"] = msgspec.structs.replace(settings, accounts=(account,))
    return msgspec.structs.replace(config, venues=venues)


def _charged(seen: Seen) -> list[str]:
    return [r.commission_asset for r in seen.records(FillBooked) if r.venue == "binance"]


ROW_25: Final = Row(
    number=25,
    title="The fee asset runs out, the tier changes",
    rule="A fill that shows another commission asset changes the expectation at once; rates are read on schedule.",
    cases=(
        Case(
            row=25,
            name="BNB runs out in the middle of a run",
            faults=(),
            gaps=tuple(Gap(at_ms=100 + n * 1000) for n in range(4)),
            world=lambda config: _with_bnb(config, "0.0002"),
            must=(
                Check("BNB paid at first", lambda seen: _charged(seen)[0] == "BNB"),
                Check("later it did not", lambda seen: "XRP" in _charged(seen)),
                alerted("COMMISSION_ASSET"),
                COMPLETED,
            ),
        ),
        Case(
            row=25,
            name="BNB is taken away",
            faults=("balance binance asset=BNB change=-100 at=1s",),
            gaps=(Gap(), Gap(at_ms=8000), Gap(at_ms=10_000)),
            world=lambda config: _with_bnb(config, "1"),
            must=(alerted("COMMISSION_ASSET"), COMPLETED),
        ),
        *(
            Case(
                row=25,
                name=f"{venue} raises its fees tenfold: the ledger still agrees",
                faults=(f"fees {venue} taker=0.002",),
                gaps=(Gap(bps=60),),
                must=(OPENED,),
            )
            for venue in BOTH
        ),
    ),
)


def _short_of_balance(seen: Seen) -> bool:
    """Refused because the side is empty, or because the rest of it is reserved for hedges."""
    return _decided(seen, "NO_BALANCE") or _decided(seen, "RESERVE")


def _decided(seen: Seen, reason: str) -> bool:
    """Some opportunity was refused for that."""
    return any(
        text.startswith(reason) for r in seen.records(OpportunityClosed) for d in r.decisions for text in d.reasons
    )


ROW_26: Final = Row(
    number=26,
    title="Inventory skew: one side is empty",
    rule="A direction without balance is closed, with the reason; the other one goes on.",
    cases=(
        Case(
            row=26,
            name="no XRP is left at KuCoin",
            faults=("balance kucoin asset=XRP change=-10000000",),
            gaps=(Gap(at_ms=6000), Gap(at_ms=8000, buy="kucoin")),
            must=(
                Check("the direction was refused for its balance", _short_of_balance),
                Check(
                    "the other direction was taken",
                    lambda seen: any(r.legs[0].venue == "kucoin" for r in seen.records(ArbitrageOpened)),
                ),
            ),
        ),
        Case(
            row=26,
            name="a long drift in one direction",
            faults=("balance kucoin asset=XRP change=-199000",),
            gaps=tuple(Gap(at_ms=6000 + n * 800) for n in range(16)),
            must=(
                Check("it traded until the side was empty", lambda seen: len(seen.records(ArbitrageOpened)) >= 4),
                Check("then the direction was refused", _short_of_balance),
            ),
        ),
    ),
)

TIER_B: Final = (
    *(ROW_13, ROW_14, ROW_15, ROW_16, ROW_17, ROW_18, ROW_19),
    *(ROW_20, ROW_21, ROW_22, ROW_23, ROW_24, ROW_25, ROW_26),
)
