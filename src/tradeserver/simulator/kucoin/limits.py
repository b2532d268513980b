"""KuCoin's quotas: pools per user (the public one per address), each counted over 30 s from its first request.

Rules ("Rate Limit" page, 2025-11): VIP0 has 4,000 in the Spot pool, 2,000 in Management and 2,000 in Public; every
answer tells limit, remaining and the milliseconds to the reset; over it HTTP 429 and 429000 until the reset.
"""

from __future__ import annotations

from tradeserver.simulator.config import LimitsConfig
from tradeserver.simulator.kucoin import errors
from tradeserver.wire import kucoin as wire

PERIOD_NS = 30_000_000_000

SPOT = "Spot"
MANAGEMENT = "Management"
PUBLIC = "Public"


def quota(limits: LimitsConfig, pool: str) -> int:
    """Weight per 30 s of a pool."""
    return {SPOT: limits.spot_30s, MANAGEMENT: limits.management_30s, PUBLIC: limits.public_30s}[pool]


class Pool:
    """One quota of one user or address."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._since_ns = 0
        self._used = 0
        self._blocked_until_ns = 0

    def block(self, until_ns: int) -> None:
        """Refuse with 429000 until then, whatever was used (a fault)."""
        self._blocked_until_ns = max(self._blocked_until_ns, until_ns)

    def charge(self, weight: int, now_ns: int) -> None:
        """Count `weight`, or refuse with 429000."""
        if now_ns - self._since_ns >= PERIOD_NS:
            self._since_ns = now_ns
            self._used = 0
        if now_ns < self._blocked_until_ns:
            self._since_ns, self._used = self._blocked_until_ns - PERIOD_NS, self.limit
        if self._used + weight > self.limit:
            raise errors.too_many_requests()
        self._used += weight

    def remaining(self) -> int:
        return self.limit - self._used

    def reset_ms(self, now_ns: int) -> int:
        return max(0, (self._since_ns + PERIOD_NS - now_ns) // 1_000_000)

    def headers(self, now_ns: int) -> dict[str, str]:
        return {
            "gw-ratelimit-limit": str(self.limit),
            "gw-ratelimit-remaining": str(self.remaining()),
            "gw-ratelimit-reset": str(self.reset_ms(now_ns)),
        }

    def row(self, now_ns: int) -> wire.RateLimit:
        """The same in answers of order entry."""
        return wire.RateLimit(limit=self.limit, reset=self.reset_ms(now_ns), remaining=self.remaining())


class Pools:
    """All quotas, made on first use: of a user for Spot and Management, of an address for Public."""

    def __init__(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._pools: dict[tuple[str, str], Pool] = {}

    def block(self, until_ns: int) -> None:
        """Every quota in use is used up until then."""
        for pool in self._pools.values():
            pool.block(until_ns)

    def pool(self, name: str, who: str) -> Pool:
        """`who` is an account or an address."""
        key = (name, who)
        if key not in self._pools:
            self._pools[key] = Pool(quota(self._limits, name))
        return self._pools[key]
