"""The paper session between a real market session and a pretended venue: what goes where, and what comes back."""

from __future__ import annotations

from decimal import Decimal

from tradeserver.core.commands import ArmDeadMan, RequestAccount, RequestSnapshot
from tradeserver.core.events import AccountSnapshot, Balance, FeesLoaded, LinkUp
from tradeserver.core.market import Market, MarketLimits
from tradeserver.core.types import Charged, Fees
from tradeserver.sessions.base import Source
from tradeserver.sessions.paper import PaperSession
from tradeserver.sessions.paper_venue import PaperSettings
from tradeserver.sessions.wire import NullTransport, VenueSession
from tradeserver.venues.kucoin.codec import KucoinCodec
from tradeserver.venues.kucoin.settings import KucoinSettings

MS = 1_000_000
FEES = Fees(maker=Decimal("0.001"), taker=Decimal("0.001"), charged=Charged.QUOTE)


class Inputs:
    """A feeder that only writes down."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.fed: list[tuple[str, bytes]] = []

    def add(self, source: Source) -> None:
        self.names.append(source.name)

    def feed(self, source: Source, data: bytes) -> None:
        self.fed.append((source.name, data))


def session() -> tuple[PaperSession, Inputs]:
    books = Market(MarketLimits())
    books.add(("kucoin", "XRP/USDT"))
    books.add(("binance", "XRP/USDT"))
    market = VenueSession(KucoinCodec(KucoinSettings(), ["XRP/USDT"], None), NullTransport())
    settings = PaperSettings(balances={"USDT": Decimal(100)}, latency_ms=20, answer_ms=10)
    made, inputs = PaperSession(market, books, settings, FEES), Inputs()
    made.bind(inputs)
    return made, inputs


def test_a_start_brings_up_both_halves() -> None:
    paper, inputs = session()
    assert inputs.names == ["kucoin/paper", "kucoin"]
    paper.start()
    assert [name for name, _ in inputs.fed] == ["kucoin", "kucoin/paper"]
    up_user, up_orders, fees = paper.source.decode(inputs.fed[1][1], 77)
    assert [(e.channel, e.ts) for e in (up_user, up_orders) if isinstance(e, LinkUp)] == [("user", 77), ("orders", 77)]
    assert isinstance(fees, FeesLoaded)
    assert fees.fees == {"XRP/USDT": FEES}


def test_questions_go_to_the_pretended_venue_and_come_back_as_one_input() -> None:
    paper, _ = session()
    sent, refused = paper.perform(RequestAccount(venue="kucoin"), 5 * MS)
    assert (bool(sent), refused, paper.next_due()) == (True, "", 25 * MS)
    assert paper.due(34 * MS) == b""
    (account,) = paper.source.decode(paper.due(35 * MS), 36 * MS)
    assert isinstance(account, AccountSnapshot)
    assert (account.ts, account.venue_ts, account.asked_ts) == (36 * MS, 25 * MS, 5 * MS)
    assert account.balances == {"USDT": Balance(Decimal(100), Decimal(0))}
    assert paper.due(1_000 * MS) == b""


def test_what_is_held_back_has_the_same_bytes_and_no_effect() -> None:
    paper, _ = session()
    held, _ = paper.perform(RequestAccount(venue="kucoin"), 5 * MS, send=False)
    assert paper.next_due() == 0
    assert held == paper.perform(RequestAccount(venue="kucoin"), 5 * MS)[0]
    paper.due(1_000 * MS)
    paper.perform(ArmDeadMan(venue="kucoin", timeout_s=60, symbols=("XRP/USDT",)), 6 * MS)
    assert paper.next_due() == 0


def test_market_data_are_asked_for_at_the_market_session() -> None:
    paper, _ = session()
    paper.perform(RequestSnapshot(venue="kucoin", symbol="XRP/USDT", reason="crossed"), 5 * MS)
    assert paper.next_due() == 0
    assert paper.refusal(RequestAccount(venue="kucoin")) == ""


def test_balances_of_an_earlier_run_take_the_place_of_the_settings() -> None:
    books = Market(MarketLimits())
    market = VenueSession(KucoinCodec(KucoinSettings(), ["XRP/USDT"], None), NullTransport())
    settings = PaperSettings(balances={"USDT": Decimal(100)})
    made = PaperSession(market, books, settings, FEES, {"USDT": Decimal(93), "XRP": Decimal(7)})
    assert made.paper.free == {"USDT": Decimal(93), "XRP": Decimal(7)}
