"""Binance spot's card. Each line names the place that keeps the rule; the tests are tests/venues/test_binance_*.py."""

from __future__ import annotations

from typing import Final

from tradeserver.venues.card import CardRow

CARD: Final = (
    CardRow("signing", "done", "signing.py: HMAC and Ed25519; percent-encoded for REST, sorted and raw for the WS API"),
    CardRow("clock", "done", "setup.py: five samples in a row, every few minutes and after -1021"),
    CardRow("log-on", "done", "private.py: session.logon or signed subscription, LinkUp on the answer"),
    CardRow("book-sync", "done", "market.py with venues/depth.py: U, u and lastUpdateId"),
    CardRow("gap", "done", "venues/depth.py"),
    CardRow("quotes", "done", "market.py: bookTicker, without a stamp of the venue"),
    CardRow("ping", "done", "the transport answers ping frames; market.py closes a connection that stays silent"),
    CardRow(
        "lifetime",
        "done",
        "rotation.py: a successor is up before the old one goes, after 23 to 23.5 hours (renew_min), one at a time",
    ),
    CardRow("shutdown", "done", "serverShutdown: a successor at once; eventStreamTerminated: opened anew at once"),
    CardRow("connect-limits", "done", "market.py: 50 streams a frame, two frames a second; back-off is the session's"),
    CardRow("orders", "done", "private.py: order.place, LIMIT, FULL; REST while the link is down"),
    CardRow("unknown", "done", "errors.py: 5xx, 403, -1000, -1001, -1006, -1007, -1008, duplicates -> OrderUncertain"),
    CardRow("errors", "done", "errors.py, venues/errors.py"),
    CardRow("fills", "done", "reports.py: the FULL answer, executionReport and myTrades agree on trade ids"),
    CardRow("cancel-race", "done", "private.py, reads.py: -2011 -> CancelRejected"),
    CardRow("absence", "done", "reads.py: -2013 -> OrderStatus(found=False), anything else -> QueryFailed"),
    CardRow("account", "done", "outboundAccountPosition is absolute; externalLockUpdate causes a question"),
    CardRow("fees", "done", "rules.py: standard, tax and special commission, BNB discount"),
    CardRow("filters", "done", "rules.py: PRICE_FILTER, LOT_SIZE, NOTIONAL; others are left to the venue's refusal"),
    CardRow("rate-budget", "done", "X-MBX-* headers and rateLimits objects feed venues/budget.py"),
    CardRow("throttle", "done", "rest.py, private.py: Retry-After in seconds, retryAfter as a time"),
    CardRow("cancel-all", "done", "openOrders.cancelAll, or DELETE /api/v3/openOrders"),
    CardRow("dead-man", "exempt: Binance spot has none", "ArmDeadMan encodes to nothing"),
    CardRow("dialect", "done", "market.py: a depth update with `pu` or `T` is the futures dialect"),
)
