"""The book dance as a state machine: a venue that says anything in any order, and the true book after every id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from test_depth import BINANCE, KUCOIN, started
from tradeserver.core.events import BookDelta, BookInvalid, BookSnapshot, SymbolEvent
from tradeserver.venues.depth import State

MINUTE_NS = 60_000_000_000


class Dance(RuleBasedStateMachine):
    """`history[n]` is the true book after change n; a frame covers some changes in a row."""

    @initialize(kucoin=st.booleans())
    def begins(self, kucoin: bool) -> None:
        self.kucoin = kucoin
        self.sync = started(KUCOIN if kucoin else BINANCE)
        self.history: list[dict[float, float]] = [{}]
        self.changes: list[tuple[float, float]] = []
        self.frames: list[tuple[int, int]] = []
        self.book: dict[float, float] | None = None
        self.asked_at = -1  # how far the venue was when the snapshot that we wait for was asked for
        self.ts = 0

    def hear(self, events: Sequence[SymbolEvent]) -> None:
        for event in events:
            if isinstance(event, BookInvalid):
                self.book = None
            elif isinstance(event, BookSnapshot):
                self.book = dict(event.bids)
            elif isinstance(event, BookDelta):
                assert self.book is not None, "a delta without a book"
                for price, quantity in event.bids:
                    self.book.pop(price, None)
                    if quantity:
                        self.book[price] = quantity
            if isinstance(event, BookSnapshot | BookDelta):
                assert self.book == self.history[event.update_id]

    @rule(
        changes=st.lists(
            st.tuples(st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from([0.0, 1.0, 2.0])), min_size=1, max_size=4
        ),
        arrives=st.sampled_from([True, True, True, False]),
    )
    def the_book_changes(self, changes: list[tuple[float, float]], arrives: bool) -> None:
        first = len(self.changes) + 1
        for price, quantity in changes:
            book = dict(self.history[-1])
            book.pop(price, None)
            if quantity:
                book[price] = quantity
            self.changes.append((price, quantity))
            self.history.append(book)
        self.frames.append((first, len(self.changes)))
        if arrives:
            self.deliver(len(self.frames) - 1)

    @precondition(lambda self: getattr(self, "frames", None))
    @rule(back=st.integers(0, 5))
    def a_frame_comes_again(self, back: int) -> None:
        self.deliver(max(0, len(self.frames) - 1 - back))

    def deliver(self, number: int) -> None:
        first, last = self.frames[number]
        final = {self.changes[n - 1][0]: (self.changes[n - 1][1], n) for n in range(first, last + 1)}
        levels: list[Any] = [(p, q, n) if self.kucoin else (p, q) for p, (q, n) in final.items()]
        self.hear(self.sync.delta(first, last, levels, [], 0, self.ts))

    @rule()
    def a_snapshot_is_asked_for(self) -> None:
        self.ts += MINUTE_NS  # beyond every pause
        if self.sync.due(self.ts):
            self.sync.requested()
            self.asked_at = len(self.changes)

    @precondition(lambda self: getattr(self, "asked_at", -1) >= 0)
    @rule(older=st.integers(0, 6), fails=st.sampled_from([False, False, True]))
    def it_is_answered(self, older: int, fails: bool) -> None:
        """As of some moment before or after the question; or not at all."""
        at = max(0, len(self.changes) - older)
        self.asked_at = -1
        if fails:
            self.sync.failed(self.ts)
        else:
            self.hear(self.sync.snapshot(at, list(self.history[at].items()), [], self.ts))

    @rule()
    def the_connection_is_lost(self) -> None:
        self.asked_at = -1
        self.hear(self.sync.stop(self.ts, "cut"))
        self.hear(self.sync.start(self.ts))

    @invariant()
    def synced_means_that_there_is_a_book_and_it_was_true(self) -> None:
        if hasattr(self, "sync"):
            assert (self.sync.state is State.SYNCED) == (self.book is not None)
            if self.book is not None:
                assert self.book == self.history[self.sync.update_id]


Dance.TestCase.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
TestDance = Dance.TestCase
