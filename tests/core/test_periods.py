"""Days, weeks and months in UTC, compared with the calendar of the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tradeserver.core.periods import DAY, MONTH, WEEK, bounds

SECOND_NS = 1_000_000_000


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND_NS


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.integers(0, SECOND_NS - 1))
def test_they_are_the_calendars(moment: datetime, more: int) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    midnight = moment.replace(hour=0, minute=0, second=0)
    monday = midnight - timedelta(days=midnight.weekday())
    first = midnight.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    ts = ns(moment) + more
    assert bounds(DAY, ts) == (ns(midnight), ns(midnight + timedelta(days=1)))
    assert bounds(WEEK, ts) == (ns(monday), ns(monday + timedelta(days=7)))
    assert bounds(MONTH, ts) == (ns(first), ns(following))


def test_an_end_is_the_next_begin() -> None:
    """2026-02-28 was a Saturday, 2026-03-01 a Sunday, 2024 a leap year."""
    last = ns(datetime(2026, 3, 1, tzinfo=UTC)) - 1
    assert bounds(MONTH, last)[1] == bounds(MONTH, last + 1)[0] == last + 1
    assert bounds(WEEK, last) == bounds(WEEK, last + 1)
    assert bounds(MONTH, ns(datetime(2024, 2, 29, 12, tzinfo=UTC)))[1] == ns(datetime(2024, 3, 1, tzinfo=UTC))
