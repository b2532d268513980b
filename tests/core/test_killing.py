"""The way to a proof: by hand for each row of the table, and against a venue that does its worst."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeserver.core.commands import CancelAll, CancelOrder, Command, QueryOpenOrders
from tradeserver.core.events import Ending, OpenOrder, OpenOrdersListed, OrderClosed, QueryFailed, RateLimited
from tradeserver.core.killing import ANSWER_NS, BURST, BURST_NS, COUNT_NS, GAP_NS, SETTLE_NS, Phase, Throttle, VenueKill
from tradeserver.core.types import Side

MS = 1_000_000
SECOND = 1_000 * MS
START = 1_750_000_000 * SECOND
SYMBOLS = ("XRP/USDT", "BTC/USDT")


def order(number: int, symbol: str = "XRP/USDT", client_id: str = "") -> OpenOrder:
    return OpenOrder(
        symbol=symbol,
        client_id=client_id or f"c{number}",
        venue_order_id=f"v{number}",
        side=Side.BUY,
        price=Decimal(2),
        quantity=Decimal(10),
        executed=Decimal(0),
    )


class Talk:
    """A machine and its time. `said` is what it asked in the last step."""

    def __init__(self, ours: Callable[[str], bool] | None = None, *, at_once: bool = False, arrival: int = 0) -> None:
        self.ts = START
        self.arrival = START + arrival
        self.throttle = Throttle()
        self.kill = VenueKill("x", SYMBOLS, START, self.throttle, ours, at_once=at_once)
        self.said: list[Command] = []

    def step(self, later: int = 0) -> list[Command]:
        self.ts += later
        self.said = self.kill.advance(self.ts, self.arrival)
        return self.said

    def listed(self, *orders: OpenOrder, asked: int = 0, later: int = 5 * MS) -> list[Command]:
        """The answer to a look, by default to one asked just now."""
        asked = asked or self.ts
        self.ts += later
        self.kill.on_listed(OpenOrdersListed(ts=self.ts, venue="x", orders=orders, asked_ts=asked))
        return self.step()

    def failed(self, query: str = "QueryOpenOrders") -> list[Command]:
        self.kill.on_failed(QueryFailed(ts=self.ts, venue="x", client_id="", query=query, symbol="", reason="oh"))
        return self.step()

    def limited(self, seconds: int, *, banned: bool = False, scope: str = "weight") -> None:
        until = self.ts + seconds * SECOND
        self.throttle.on_limited(RateLimited(ts=self.ts, venue="x", scope=scope, until=until, banned=banned))


LOOK: list[Command] = [QueryOpenOrders(venue="x")]
ALL: list[Command] = [CancelAll(venue="x", symbol=symbol) for symbol in SYMBOLS]


def test_from_the_first_list_to_the_proof() -> None:
    talk = Talk()
    assert talk.step() == LOOK
    assert talk.listed(order(1), order(2, "BTC/USDT")) == ALL
    assert talk.step(SETTLE_NS - 1) == []
    assert talk.step(1) == LOOK
    assert talk.listed() == []
    assert talk.kill.phase is Phase.CONFIRMING
    assert talk.step(GAP_NS - 1) == []
    assert talk.step(1) == LOOK
    assert talk.listed() == []
    proof = talk.kill.proof()
    assert (proof.proven, proof.found, proof.cancelled, proof.gone, proof.left) == (True, 2, 2, 2, ())
    assert talk.kill.next_deadline(talk.arrival) == 0
    assert talk.step(60 * SECOND) == []


def test_the_second_look_waits_for_the_last_possible_arrival() -> None:
    talk = Talk(arrival=11 * SECOND)
    talk.step()
    talk.listed()
    talk.step(SETTLE_NS)
    talk.listed()
    assert talk.step(5 * SECOND) == []
    assert talk.kill.next_deadline(talk.arrival) == talk.arrival
    assert talk.step(talk.arrival - talk.ts - 1) == []
    assert talk.step(1) == LOOK
    talk.listed()
    assert talk.kill.proven


@pytest.mark.parametrize("ours", [None, lambda client_id: True])
def test_lists_that_others_ask_for_after_the_proof(ours: Callable[[str], bool] | None) -> None:
    """One venue may be proven while another is awaited: what is listed meanwhile confirms the proof, or ends it."""
    talk = Talk(ours)
    for _ in range(3):
        talk.step(max(SETTLE_NS, GAP_NS))
        if not talk.kill.proven:
            talk.listed()
    assert talk.kill.proven
    assert talk.listed(asked=talk.ts + SECOND, later=2 * SECOND) == []
    assert talk.kill.proven
    assert talk.listed(order(7), asked=talk.ts + SECOND, later=2 * SECOND)
    assert not talk.kill.proven
    assert talk.kill.phase in (Phase.CANCELLING, Phase.LOOKING)


def test_a_look_of_somebody_else_before_the_last_arrival_proves_nothing() -> None:
    talk = Talk(arrival=11 * SECOND)
    talk.step()
    talk.listed()
    talk.step(SETTLE_NS)
    talk.listed()
    talk.step(5 * SECOND)
    talk.listed()
    assert talk.kill.phase is Phase.CONFIRMING
    talk.step(talk.arrival - talk.ts)
    talk.listed(asked=talk.arrival - 1)
    assert not talk.kill.proven
    talk.listed(asked=talk.arrival)
    assert talk.kill.proven


def test_an_order_that_arrives_late_is_cancelled_and_everything_looked_at_anew() -> None:
    talk = Talk(arrival=11 * SECOND)
    talk.step()
    talk.listed()
    talk.step(SETTLE_NS)
    talk.listed()
    talk.step(11 * SECOND)
    assert talk.listed(order(7)) == []
    assert talk.step(SECOND) == ALL
    talk.step(SETTLE_NS)
    talk.listed()
    assert not talk.kill.proven, "one look is not two"
    talk.step(GAP_NS)
    talk.listed()
    assert talk.kill.proof().found == 1
    assert talk.kill.proven


def test_no_answer_proves_nothing_and_is_asked_again() -> None:
    talk = Talk()
    talk.step()
    assert talk.step(COUNT_NS) == ALL, "cancels do not wait for a list that does not come"
    assert talk.step(SETTLE_NS) == LOOK
    assert talk.step(ANSWER_NS - 1) == []
    assert talk.step(1) == []
    assert talk.step(SECOND) == LOOK
    assert talk.failed() == []
    assert talk.kill.phase is Phase.LOOKING
    assert "oh" in talk.kill.proof().note
    assert talk.step(2 * SECOND) == LOOK
    talk.listed()
    talk.step(GAP_NS)
    assert talk.failed() == []
    assert talk.kill.phase is Phase.CONFIRMING
    assert not talk.kill.proven


def test_the_late_list_from_before_the_cancel_counts_and_is_no_look() -> None:
    talk = Talk()
    talk.step()
    asked = talk.ts
    talk.step(COUNT_NS)
    talk.listed(order(1), asked=asked)
    assert talk.kill.phase is Phase.LOOKING
    assert talk.kill.proof().found == 1


def test_the_daemon_cancels_at_once_and_counts_by_what_it_hears() -> None:
    talk = Talk(at_once=True)
    assert talk.step() == ALL
    talk.listed(order(1), asked=talk.ts)
    assert talk.kill.phase is Phase.LOOKING, "a list that somebody asked for beside the cancel is no look"
    closed = OrderClosed(
        ts=talk.ts, venue="x", client_id="c2", ending=Ending.CANCELED, executed=Decimal(0), venue_order_id="v2"
    )
    talk.kill.on_closed(closed)
    talk.kill.on_closed(
        OrderClosed(
            ts=talk.ts, venue="x", client_id="c1", ending=Ending.FILLED, executed=Decimal(10), venue_order_id="v1"
        )
    )
    talk.step(SETTLE_NS)
    talk.listed()
    talk.step(GAP_NS)
    talk.listed()
    proof = talk.kill.proof()
    assert (proof.proven, proof.found, proof.cancelled, proof.gone) == (True, 2, 1, 2)


def test_somebody_else_has_proven_it() -> None:
    talk = Talk()
    talk.step()
    talk.listed(order(1), order(2))
    talk.kill.conclude()
    proof = talk.kill.proof()
    assert (proof.proven, proof.found, proof.cancelled, proof.gone, proof.left) == (True, 2, 2, 2, ())
    assert talk.step(SECOND) == []


def test_on_a_shared_account_only_ours_go_one_by_one() -> None:
    talk = Talk(lambda client_id: client_id.startswith("our"))
    assert talk.step() == LOOK
    said = talk.listed(order(1, client_id="our1"), order(2, client_id="theirs"), order(3, client_id="our3"))
    assert said == [
        CancelOrder(venue="x", symbol="XRP/USDT", client_id="our1", venue_order_id="v1"),
        CancelOrder(venue="x", symbol="XRP/USDT", client_id="our3", venue_order_id="v3"),
    ]
    talk.step(SETTLE_NS)
    talk.listed(order(2, client_id="theirs"))
    talk.step(GAP_NS)
    talk.listed(order(2, client_id="theirs"))
    proof = talk.kill.proof()
    assert (proof.proven, proof.found, proof.gone) == (True, 2, 2)


def test_on_a_shared_account_without_a_list_nothing_is_cancelled() -> None:
    talk = Talk(lambda client_id: True, at_once=True)
    assert talk.step() == LOOK
    assert talk.step(COUNT_NS) == []
    assert talk.step(ANSWER_NS) == []
    assert talk.step(SECOND) == LOOK
    assert talk.listed() == [], "nothing to cancel: the list is the first look"
    assert talk.step(GAP_NS) == LOOK
    talk.listed()
    assert talk.kill.proven


def test_many_orders_go_in_bursts() -> None:
    talk = Talk(lambda client_id: True)
    talk.step()
    orders = [order(n) for n in range(2 * BURST + 1)]
    said = talk.listed(*orders)
    assert talk.step(BURST_NS - 1) == []
    said += talk.step(1)
    said += talk.step(BURST_NS)
    assert [c.client_id for c in said if isinstance(c, CancelOrder)] == [o.client_id for o in orders]
    assert talk.step(SETTLE_NS) == LOOK


def test_a_throttle_between_two_bursts_stops_the_second() -> None:
    talk = Talk(lambda client_id: True)
    talk.step()
    talk.listed(*[order(n) for n in range(20)])
    talk.limited(10)
    assert len(talk.step(BURST_NS)) == 1
    assert talk.step(BURST_NS) == []
    assert talk.step(5 * SECOND) == []
    assert talk.step(5 * SECOND) == LOOK


def test_a_throttle_leaves_one_cancel_and_no_look() -> None:
    talk = Talk()
    talk.step()
    talk.limited(10)
    assert talk.failed() == ALL[:1]
    assert talk.step(SETTLE_NS) == []
    assert talk.kill.proof().note == "the venue throttles us"
    talk.step(10 * SECOND - SETTLE_NS - 1)
    assert talk.said == []
    assert talk.step(1) == LOOK
    talk.listed(order(1))
    talk.step(SECOND)
    assert talk.said == ALL


def test_a_ban_silences_until_its_end() -> None:
    talk = Talk(at_once=True)
    talk.limited(120, banned=True)
    assert talk.step() == []
    assert talk.step(120 * SECOND - 1) == []
    assert talk.step(1) == ALL


@pytest.mark.parametrize("scope", ["orders", "public"])
def test_other_throttles_are_not_in_the_way(scope: str) -> None:
    talk = Talk(at_once=True)
    talk.limited(60, scope=scope)
    assert talk.step() == ALL


def test_a_wall_in_front_of_the_venue_silences() -> None:
    talk = Talk(at_once=True)
    talk.limited(30, scope="address")
    assert talk.step() == []


def test_a_throttle_that_goes_on_refills_nothing() -> None:
    throttle = Throttle()
    for second in range(5):
        ts = START + second * SECOND
        throttle.on_limited(RateLimited(ts=ts, venue="x", scope="weight", until=ts + 10 * SECOND))
    assert throttle.grant(2, START + 5 * SECOND) == 1
    assert throttle.grant(2, START + 6 * SECOND) == 0
    later = START + 14 * SECOND
    assert throttle.grant(2, later) == 2, "over"
    throttle.on_limited(RateLimited(ts=later, venue="x", scope="weight", until=later + SECOND))
    assert throttle.grant(5, later) == 1


# ---- against a venue that does its worst ----------------------------------------------------------------------------


class Venue:
    """The truth: which orders rest, and when others will appear. It answers late, in any order, not at all, or 429."""

    def __init__(self, resting: int, arriving: list[int]) -> None:
        self.open = {f"v{n}" for n in range(resting)}
        self.arriving = sorted(START + ms * MS for ms in arriving)
        self.limited_until = 0
        self.asked_while_limited = 0
        self._arrived = 1_000

    def pass_time(self, now: int) -> None:
        while self.arriving and self.arriving[0] <= now:
            self.arriving.pop(0)
            self.open.add(f"v{self._arrived}")
            self._arrived += 1


faults = st.lists(st.sampled_from(["good", "lost", "late", "cancel lost", "limited"]), max_size=25)


@settings(max_examples=300)
@given(
    resting=st.integers(0, 5),
    arriving=st.lists(st.integers(0, 10_900), max_size=3),
    mishaps=faults,
    shared=st.booleans(),
    at_once=st.booleans(),
)
def test_what_is_called_proven_is_true(
    resting: int, arriving: list[int], mishaps: list[str], shared: bool, at_once: bool
) -> None:
    venue = Venue(resting, arriving)
    talk = Talk((lambda client_id: True) if shared else None, at_once=at_once, arrival=11 * SECOND)
    answers: list[tuple[int, Callable[[], None]]] = []

    def mishap() -> str:
        return mishaps.pop(0) if mishaps else "good"

    def carry_out(command: Command) -> None:
        how, asked = mishap(), talk.ts
        delay = 900 * MS if how == "late" else 20 * MS
        if talk.ts < venue.limited_until:
            venue.asked_while_limited += 1
            answers.append((talk.ts + delay, lambda: fail(type(command).__name__)))
        elif how == "limited":
            venue.limited_until, venue.asked_while_limited = talk.ts + 3 * SECOND, 0
            talk.limited(3)
            answers.append((talk.ts + delay, lambda: fail(type(command).__name__)))
        elif isinstance(command, QueryOpenOrders):
            seen = tuple(order(int(key[1:])) for key in sorted(venue.open))  # as it is when the question comes
            if how != "lost":
                answers.append((talk.ts + delay, lambda: tell(seen, asked)))
        elif how != "cancel lost":
            if isinstance(command, CancelAll):
                venue.open.clear()
            elif isinstance(command, CancelOrder):
                venue.open.discard(command.venue_order_id)

    def tell(seen: tuple[OpenOrder, ...], asked: int) -> None:
        talk.kill.on_listed(OpenOrdersListed(ts=talk.ts, venue="x", orders=seen, asked_ts=asked))

    def fail(query: str) -> None:
        talk.kill.on_failed(QueryFailed(ts=talk.ts, venue="x", client_id="", query=query, symbol="", reason="oh"))

    for _ in range(30_000):
        venue.pass_time(talk.ts)
        for due, what in [each for each in answers if each[0] <= talk.ts]:
            answers.remove((due, what))
            what()
        for command in talk.step():
            carry_out(command)
        assert venue.asked_while_limited <= 2
        if talk.kill.proven:
            assert not venue.open
            assert not venue.arriving
            assert talk.kill.proof().gone == talk.kill.proof().found
            return
        talk.ts += 10 * MS
    raise AssertionError(f"not proven after {(talk.ts - START) / 1e9:g} s: {talk.kill.proof()}")


@given(later=st.lists(st.integers(1, 700), min_size=1, max_size=60), orders=st.integers(0, 2))
def test_nothing_is_due_before_the_named_deadline(later: list[int], orders: int) -> None:
    """Whoever skips the time up to the deadline misses nothing."""
    talk = Talk(arrival=3 * SECOND)
    talk.step()
    listed = [order(n) for n in range(orders)]
    for ms in later:
        if talk.said == LOOK:
            talk.listed(*listed)
            listed = listed[1:]
            continue
        deadline = talk.kill.next_deadline(talk.arrival)
        if not deadline or talk.ts + ms * MS >= deadline:
            talk.step(ms * MS)
        else:
            before = talk.kill.phase
            assert talk.step(ms * MS) == []
            assert talk.kill.phase is before
