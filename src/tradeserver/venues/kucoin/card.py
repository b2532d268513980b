"""KuCoin spot's card. Each line names the place that keeps the rule; the tests are tests/venues/test_kucoin_*.py."""

from __future__ import annotations

from typing import Final

from tradeserver.venues.card import CardRow

CARD: Final = (
    CardRow("signing", "done", "signing.py: key versions 3 and 2; what is signed is not url-encoded"),
    CardRow("clock", "done", "upkeep.py: five samples in a row, every few minutes and after 400002"),
    CardRow("log-on", "done", "link.py: welcome, then the ack of every topic; orders.py: challenge, then welcome"),
    CardRow("book-sync", "done", "market.py with venues/depth.py: sequenceStart, sequenceEnd, price 0, row sequences"),
    CardRow("gap", "done", "venues/depth.py"),
    CardRow("quotes", "done", "market.py: level1 with a stamp and no sequence, ticker with the book's sequence"),
    CardRow("ping", "done", "link.py: a JSON ping each pingInterval, an overdue pong or a silent market is a reset"),
    CardRow(
        "lifetime",
        "done",
        "rotation.py: a successor is up before the old one goes, after 22 to 23 hours (renew_min), one at a time",
    ),
    CardRow("shutdown", "exempt: KuCoin announces none", "error frames reset the channel on sight"),
    CardRow(
        "connect-limits", "done", "market.py: 100 topics a frame, 300 a session; link.py: one ping a second at most"
    ),
    CardRow("orders", "done", "orders.py: spot.order, limit; REST for what shrinks exposure while the link is down"),
    CardRow("unknown", "done", "errors.py: 5xx, 408000, 500000, 403, 1015, HTML, no answer -> OrderUncertain"),
    CardRow("errors", "done", "errors.py: by code, then by text, whatever the HTTP status"),
    CardRow("fills", "done", "reports.py: match pushes and /hf/fills share trade ids; only the latter tell the fee"),
    CardRow("cancel-race", "done", "orders.py: any refused cancel -> CancelRejected; success is only 'heard'"),
    CardRow(
        "absence", "done", "queries.py: 'order not exist' -> OrderStatus(found=False), anything else -> QueryFailed"
    ),
    CardRow("account", "done", "reports.py: absolute balances of the trade account only"),
    CardRow("fees", "done", "upkeep.py: /api/v1/trade-fees, ten symbols a call; charged in quote"),
    CardRow(
        "filters", "done", "rules.py; re-read every ten minutes, and for a symbol whose order was refused for them"
    ),
    CardRow("rate-budget", "done", "rest.py, orders.py: gw-ratelimit-* headers and rateLimit objects, by pool"),
    CardRow("throttle", "done", "rest.py, orders.py: 429000 until the pool's reset, 1015 stops REST for 30 s"),
    CardRow("cancel-all", "done", "queries.py: DELETE /api/v1/hf/orders?symbol="),
    CardRow("dead-man", "done", "queries.py: /api/v1/hf/orders/dead-cancel-all"),
    CardRow("dialect", "done", "market.py: futures topics and Pro frames are refused by name"),
)
