"""Days, weeks and months in UTC: where the moment of an event lies. Pure arithmetic on nanoseconds; no clock is read.

A day begins at 00:00 UTC, a week with its Monday, a month with its first day. An end is the begin of the next.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

DAY_NS: Final = 86_400 * 1_000_000_000
DAY: Final = "day"
WEEK: Final = "week"
MONTH: Final = "month"
PERIODS: Final = (DAY, WEEK, MONTH)

_THURSDAY: Final = 3  # 1970-01-01 was one, days counted from Monday


def bounds(period: str, ts: int) -> tuple[int, int]:
    """(begin, end) in ns of the day, week or month that `ts` lies in."""
    day = ts // DAY_NS
    if period == DAY:
        return day * DAY_NS, (day + 1) * DAY_NS
    if period == WEEK:
        monday = day - (day + _THURSDAY) % 7
        return monday * DAY_NS, (monday + 7) * DAY_NS
    date = datetime.fromtimestamp(day * 86_400, UTC)
    following = date.replace(year=date.year + date.month // 12, month=date.month % 12 + 1, day=1)
    return int(date.replace(day=1).timestamp()) * 1_000_000_000, int(following.timestamp()) * 1_000_000_000
