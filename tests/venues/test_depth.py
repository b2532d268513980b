"""The snapshot-and-delta dance: by hand for each venue's rule, and against the true book under every disorder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tradeserver.core.events import BookDelta, BookInvalid, BookSnapshot, SymbolEvent, Trust
from tradeserver.core.types import Level
from tradeserver.venues.depth import BACK_OFF_NS, DepthRule, DepthSync, State


def rows(levels: Sequence[Any], floor: int) -> list[Level]:
    return [(price, size) for price, size, seq in levels if price and seq > floor]


BINANCE = DepthRule(slack=0, late_breaks=False)
KUCOIN = DepthRule(slack=1, late_breaks=True, levels=rows)


def started(rule: DepthRule, **more: int) -> DepthSync:
    sync = DepthSync("v", "A/B", rule, **more)
    (invalid,) = sync.start(0)
    assert isinstance(invalid, BookInvalid)
    assert invalid.trust is Trust.SNAPSHOTTING
    return sync


def feed(sync: DepthSync, first: int, last: int, ts: int = 1) -> Sequence[SymbolEvent]:
    return sync.delta(first, last, [(1.0, float(last))], [], 0, ts)


def ids(events: Sequence[SymbolEvent]) -> list[tuple[str, int]]:
    return [(type(e).__name__, e.update_id) for e in events if isinstance(e, (BookSnapshot, BookDelta))]


def ask(sync: DepthSync, ts: int) -> None:
    assert sync.due(ts)
    sync.requested()
    assert not sync.due(ts)


# ---- Binance, web-socket-streams.md "How to manage a local order book correctly" ----


def test_no_snapshot_is_asked_for_before_the_stream_speaks() -> None:
    sync = started(BINANCE)
    assert not sync.due(10**12)
    feed(sync, 5, 7)
    assert sync.due(1)


def test_old_events_are_dropped_and_the_straddling_one_applied() -> None:
    sync = started(BINANCE)
    for first, last in ((5, 7), (8, 9), (10, 14), (15, 15)):
        assert feed(sync, first, last) == ()
    ask(sync, 1)
    assert ids(sync.snapshot(11, [], [], 2)) == [("BookSnapshot", 11), ("BookDelta", 14), ("BookDelta", 15)]
    assert sync.ignored == 2


def test_after_dropping_the_next_event_may_begin_right_behind_the_snapshot() -> None:
    sync = started(BINANCE)
    feed(sync, 5, 7)
    feed(sync, 8, 9)
    ask(sync, 1)
    assert ids(sync.snapshot(7, [], [], 2)) == [("BookSnapshot", 7), ("BookDelta", 9)]


def test_a_snapshot_older_than_the_first_event_is_asked_for_again_with_a_pause() -> None:
    sync = started(BINANCE)
    feed(sync, 5, 7)
    ask(sync, 1)
    assert sync.snapshot(4, [], [], 10) == ()  # lastUpdateId < U, even by one
    assert not sync.due(10 + BACK_OFF_NS[1] - 1)
    assert sync.due(10 + BACK_OFF_NS[1])
    sync.requested()
    assert ids(sync.snapshot(6, [], [], 20)) == [("BookSnapshot", 6), ("BookDelta", 7)]


def test_a_gap_throws_the_book_away_and_keeps_the_event_that_showed_it() -> None:
    sync = started(BINANCE)
    feed(sync, 5, 7)
    ask(sync, 1)
    sync.snapshot(7, [], [], 2)
    (invalid,) = feed(sync, 9, 9)
    assert isinstance(invalid, BookInvalid)
    assert invalid.trust is Trust.GAP
    assert sync.gaps == 1
    assert feed(sync, 10, 12) == ()
    ask(sync, 10**12)
    assert ids(sync.snapshot(9, [], [], 3)) == [("BookSnapshot", 9), ("BookDelta", 12)]


def test_late_and_repeated_events_do_no_harm() -> None:
    sync = started(BINANCE)
    feed(sync, 5, 7)
    ask(sync, 1)
    sync.snapshot(7, [], [], 2)
    assert feed(sync, 5, 7) == ()
    assert ids(feed(sync, 7, 9)) == [("BookDelta", 9)]  # overlapping by one id is fine


def test_a_hole_in_the_buffer_makes_everything_before_it_useless() -> None:
    sync = started(BINANCE)
    feed(sync, 5, 7)
    feed(sync, 20, 22)
    ask(sync, 1)
    assert sync.snapshot(10, [], [], 2) == ()  # older than what is left
    assert sync.state is State.BUFFERING


def test_the_buffer_is_bounded_and_then_wants_a_newer_snapshot() -> None:
    sync = started(BINANCE, max_buffered=3)
    for i in range(10):
        feed(sync, i, i)
    ask(sync, 1)
    assert sync.snapshot(5, [], [], 2) == ()
    assert ids(sync.snapshot(8, [], [], 3)) == [("BookSnapshot", 8), ("BookDelta", 9)]


def test_repeated_failures_slow_down_and_never_stop() -> None:
    sync = started(BINANCE)
    feed(sync, 1, 1)
    ts, pauses = 1, []
    for _ in range(10):
        ask(sync, ts)
        sync.failed(ts)
        wait = next(pause for pause in (*BACK_OFF_NS, 10**12) if sync.due(ts + pause))
        pauses.append(wait)
        ts += wait
    assert pauses == [*BACK_OFF_NS[1:], *[BACK_OFF_NS[-1]] * 3]


def test_a_book_that_breaks_at_once_again_is_asked_for_more_slowly() -> None:
    sync = started(BINANCE)
    feed(sync, 1, 1)
    ts = 1
    for attempt in range(1, 4):
        ask(sync, ts)
        sync.snapshot(100 * attempt, [], [], ts)
        feed(sync, 100 * attempt + 50, 100 * attempt + 50, ts)
        assert not sync.due(ts + BACK_OFF_NS[attempt] - 1)
        ts += BACK_OFF_NS[attempt]
        assert sync.due(ts)


def test_after_stop_nothing_is_believed() -> None:
    sync = started(BINANCE)
    feed(sync, 5, 7)
    ask(sync, 1)
    (invalid,) = sync.stop(2, "link down")
    assert isinstance(invalid, BookInvalid)
    assert sync.snapshot(7, [], [], 3) == ()
    assert feed(sync, 8, 8) == ()
    assert sync.stop(4, "again") == ()


# ---- KuCoin, "Orderbook - Level 2" ----


def test_kucoin_accepts_a_snapshot_that_ends_right_before_the_cache() -> None:
    sync = started(KUCOIN)
    sync.delta(5, 6, [(1.0, 2.0, 6)], [], 0, 1)
    ask(sync, 1)
    assert ids(sync.snapshot(4, [], [], 2)) == [("BookSnapshot", 4), ("BookDelta", 6)]


def test_kucoin_rows_at_or_below_the_snapshot_and_price_zero_change_nothing() -> None:
    sync = started(KUCOIN)
    sync.delta(5, 8, [(1.0, 2.0, 5), (1.1, 3.0, 7), (0.0, 0.0, 8)], [], 0, 1)
    ask(sync, 1)
    _, delta = sync.snapshot(6, [], [], 2)
    assert isinstance(delta, BookDelta)
    assert delta.bids == [(1.1, 3.0)]
    assert delta.update_id == 8


def test_kucoin_messages_covered_by_the_snapshot_are_discarded_and_later_repeats_break() -> None:
    sync = started(KUCOIN)
    sync.delta(5, 5, [], [], 0, 1)
    ask(sync, 1)
    sync.snapshot(9, [], [], 2)
    assert sync.delta(6, 7, [], [], 0, 3) == ()
    assert ids(sync.delta(8, 12, [], [], 0, 4)) == [("BookDelta", 12)]
    (invalid,) = sync.delta(11, 12, [], [], 0, 5)
    assert isinstance(invalid, BookInvalid)


# ---- the naive twin ----

Change = tuple[float, float]  # (price, quantity); id n of the true stream is change n


class Twin:
    """The true book after every id, kept whole: what nobody can do on a wire."""

    def __init__(self, changes: list[Change]) -> None:
        self.after: list[dict[float, float]] = [{}]
        for price, quantity in changes:
            book = dict(self.after[-1])
            book.pop(price, None)
            if quantity:
                book[price] = quantity
            self.after.append(book)


ACTIONS = ("next",) * 6 + ("snapshot",) * 3 + ("skip", "repeat", "fail")


@st.composite
def conversation(draw: st.DrawFn) -> tuple[list[Change], list[tuple[int, int]], list[tuple[str, int]]]:
    changes = draw(
        st.lists(
            st.tuples(st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from([0.0, 1.0, 2.0])), min_size=20, max_size=60
        )
    )
    messages, first = [], 1
    while first <= len(changes):
        last = min(len(changes), first + draw(st.integers(0, 3)))
        messages.append((first, last))
        first = last + 1
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["next", "next", "next", "skip", "repeat", "snapshot", "fail"]), st.integers(0, 6)
            ),
            min_size=25,
            max_size=60,
        )
    )
    return changes, messages, steps


@settings(max_examples=100, deadline=None)
@given(talk=conversation(), kucoin=st.booleans())
def test_whatever_is_lost_repeated_or_late_a_synced_book_is_the_true_book(
    talk: tuple[list[Change], list[tuple[int, int]], list[tuple[str, int]]], kucoin: bool
) -> None:
    changes, messages, steps = talk
    twin = Twin(changes)
    sync = started(KUCOIN if kucoin else BINANCE)
    book: dict[float, float] | None = None
    sent = ts = 0

    def deliver(index: int) -> Sequence[SymbolEvent]:
        first, last = messages[index]
        final = {changes[i - 1][0]: (changes[i - 1][1], i) for i in range(first, last + 1)}
        levels: list[Any] = [(p, q, i) if kucoin else (p, q) for p, (q, i) in final.items()]
        if kucoin:
            levels.append((0.0, 0.0, last))
        return sync.delta(first, last, levels, [], 0, ts)

    for action, number in steps:
        ts += 10**11  # beyond every pause
        events: Sequence[SymbolEvent] = ()
        if action == "next" and sent < len(messages):
            events = deliver(sent)
            sent += 1
        elif action == "skip":
            sent = min(sent + 1, len(messages))
        elif action == "repeat" and sent:
            events = deliver(max(0, sent - 1 - number))
        elif action in ("snapshot", "fail") and sync.due(ts):
            sync.requested()
            newest = messages[sent - 1][1] if sent else 0
            at = max(0, min(len(changes), newest + 3 - number))
            if action == "fail":
                sync.failed(ts)
            else:
                events = sync.snapshot(at, list(twin.after[at].items()), [], ts)
        for event in events:
            if isinstance(event, BookSnapshot):
                book = dict(event.bids)
            elif isinstance(event, BookInvalid):
                book = None
            elif isinstance(event, BookDelta):
                assert book is not None, "a delta without a book"
                for price, quantity in event.bids:
                    book.pop(price, None)
                    if quantity:
                        book[price] = quantity
            if isinstance(event, (BookSnapshot, BookDelta)):
                assert book == twin.after[event.update_id]
        assert (sync.state is State.SYNCED) == (book is not None)
