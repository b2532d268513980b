"""Binance's rate limits: request weight per address, unfilled orders per account, and the ban of those who go on.

Rules (Binance spot API docs, rest-api.md "LIMITS", 2026-07-21): windows are aligned to the wall clock (the minute
begins at :00, the ten seconds at 0, 10, 20, ..., the day at 00:00 UTC); weight belongs to the address, the order count
to the account; over the limit 429 with the time to wait, going on 418. How many requests inside the waiting time earn
the ban, and that each further ban lasts longer, is assumed: five, and 2 minutes doubling to 3 days.

It counts; it reads no clock and knows no request.
"""

from __future__ import annotations

from tradeserver.simulator.binance import errors
from tradeserver.simulator.config import LimitsConfig
from tradeserver.wire import binance as wire

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS

CONNECTIONS_5M = 300
FIRST_BAN_NS = 2 * MINUTE_NS
LONGEST_BAN_NS = 3 * DAY_NS


class Window:
    """A counter that starts again at every multiple of `length_ns` of the wall clock."""

    def __init__(self, length_ns: int) -> None:
        self.length_ns = length_ns
        self._index = 0
        self._count = 0

    def count(self, now_ns: int) -> int:
        return self._count if now_ns // self.length_ns == self._index else 0

    def add(self, amount: int, now_ns: int) -> None:
        self._count = max(0, self.count(now_ns) + amount)
        self._index = now_ns // self.length_ns

    def ends_ns(self, now_ns: int) -> int:
        return (now_ns // self.length_ns + 1) * self.length_ns


class Address:
    """What one address (IP) has used, and whether it is banned."""

    def __init__(self, rules: LimitsConfig, ban_after: int) -> None:
        self._rules = rules
        self._ban_after = ban_after
        self._weight = Window(MINUTE_NS)
        self._raw = Window(5 * MINUTE_NS)
        self._connections = Window(5 * MINUTE_NS)
        self._limited_until_ns = 0
        self._refused = 0
        self._banned_until_ns = 0
        self._ban_ns = FIRST_BAN_NS
        self.escalations = 0  # bans that this address has earned

    def used(self, now_ns: int) -> int:
        return self._weight.count(now_ns)

    def check(self, weight: int, now_ns: int) -> None:
        """Refuse (429, 418) a request that costs `weight`; a refused one is not charged."""
        if now_ns < self._banned_until_ns:
            raise errors.banned(self._banned_until_ns)
        if now_ns < self._limited_until_ns:
            self._refuse(now_ns)
        self._raw.add(1, now_ns)
        if self._raw.count(now_ns) > self._rules.raw_requests_5m:
            self._limited_until_ns = self._raw.ends_ns(now_ns)
            self._refuse(now_ns)
        if self._weight.count(now_ns) + weight > self._rules.request_weight_1m:
            self._limited_until_ns = self._weight.ends_ns(now_ns)
            self._refused = 0
            raise errors.weight_exceeded(self._rules.request_weight_1m, self._limited_until_ns)

    def throttle(self, until_ns: int) -> None:
        """Refuse with 429 until then, whatever was used (a fault)."""
        self._limited_until_ns = max(self._limited_until_ns, until_ns)
        self._refused = 0

    def ban(self, until_ns: int) -> None:
        """Refuse with 418 until then (a fault)."""
        self._banned_until_ns = max(self._banned_until_ns, until_ns)

    def charge(self, weight: int, now_ns: int) -> None:
        self._weight.add(weight, now_ns)

    def connect(self, now_ns: int) -> bool:
        """Count one WebSocket connection attempt; False when it is one too many in these five minutes."""
        self._connections.add(1, now_ns)
        return self._connections.count(now_ns) <= CONNECTIONS_5M

    def _refuse(self, now_ns: int) -> None:
        self._refused += 1
        if self._refused >= self._ban_after:
            self._banned_until_ns = now_ns + self._ban_ns
            self.escalations += 1
            self._ban_ns = min(2 * self._ban_ns, LONGEST_BAN_NS)
            self._refused = 0
            raise errors.banned(self._banned_until_ns)
        raise errors.weight_exceeded(self._rules.request_weight_1m, self._limited_until_ns)


class OrderCount:
    """One account's unfilled orders: +1 for each accepted order; its first fill gives back 1 (taker) or 5 (maker)."""

    def __init__(self, rules: LimitsConfig) -> None:
        self._rules = rules
        self._ten_seconds = Window(10 * SECOND_NS)
        self._day = Window(DAY_NS)

    def counts(self, now_ns: int) -> tuple[int, int]:
        """(in these ten seconds, today)."""
        return self._ten_seconds.count(now_ns), self._day.count(now_ns)

    def check(self, now_ns: int) -> None:
        """Refuse (429, -1015) one more order."""
        if self._ten_seconds.count(now_ns) >= self._rules.orders_10s:
            raise errors.orders_exceeded(self._rules.orders_10s, "10 SECOND", self._ten_seconds.ends_ns(now_ns))
        if self._day.count(now_ns) >= self._rules.orders_1d:
            raise errors.orders_exceeded(self._rules.orders_1d, "1 DAY", self._day.ends_ns(now_ns))

    def placed(self, now_ns: int) -> None:
        self._add(1, now_ns)

    def filled(self, maker: bool, now_ns: int) -> None:
        self._add(-5 if maker else -1, now_ns)

    def _add(self, amount: int, now_ns: int) -> None:
        self._ten_seconds.add(amount, now_ns)
        self._day.add(amount, now_ns)


def limit_rows(rules: LimitsConfig) -> list[wire.RateLimit]:
    """exchangeInfo's `rateLimits`.

    [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}, ...]
    """
    return [
        row("REQUEST_WEIGHT", "MINUTE", 1, rules.request_weight_1m),
        row("ORDERS", "SECOND", 10, rules.orders_10s),
        row("ORDERS", "DAY", 1, rules.orders_1d),
        row("RAW_REQUESTS", "MINUTE", 5, rules.raw_requests_5m),
    ]


def order_rows(rules: LimitsConfig, counts: tuple[int, int]) -> list[wire.RateLimit]:
    """The account's order counts, as `rateLimit/order` and the WS API show them."""
    return [
        wire.RateLimit(
            rate_limit_type="ORDERS", interval="SECOND", interval_num=10, limit=rules.orders_10s, count=counts[0]
        ),
        wire.RateLimit(
            rate_limit_type="ORDERS", interval="DAY", interval_num=1, limit=rules.orders_1d, count=counts[1]
        ),
    ]


def row(kind: str, interval: str, number: int, limit: int) -> wire.RateLimit:
    """One limit, without a count."""
    return wire.RateLimit(rate_limit_type=kind, interval=interval, interval_num=number, limit=limit)
