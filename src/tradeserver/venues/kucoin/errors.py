"""KuCoin's errors as data, and how to read one off an answer.

Business errors come with HTTP 200, gateway errors with 4xx: the envelope's `code` decides, then a fragment of `msg`
(400100 is "parameter error" for twenty different things). Answers without an envelope (time-out, HTML, Cloudflare) get
codes of ours in capitals. Sources: KuCoin docs "REST API error codes", "WebSocket error codes" and the notes on
`/api/v1/hf/orders`, 2025-11.
"""

from __future__ import annotations

from typing import Final

from tradeserver.venues.base import NO_ANSWER, NOT_SENT
from tradeserver.venues.errors import COUNT_AGAIN, ErrorRow, ErrorTable, Fault

CLOCK: Final = "400002"
THROTTLED: Final = "429000"
CLOUDFLARE: Final = "1015"
BAD_ANSWER: Final = "BAD_ANSWER"
BLOCKED: Final = "HTTP_403"

_R, _U, _B, _A, _S, _X, _G = (
    Fault.REFUSED,
    Fault.UNKNOWN,
    Fault.BACKOFF,
    Fault.AUTH,
    Fault.SYMBOL,
    Fault.BUG,
    Fault.GONE,
)

TABLE: Final = ErrorTable(
    ErrorRow(code, text, order, read, action)
    for code, text, order, read, action in (
        # ---- answers that are none
        ("NO_ANSWER", "", _U, _B, "query by client id"),
        ("NOT_SENT", "", _R, _B, "nothing left this machine"),
        (BAD_ANSWER, "", _U, _B, "HTML or broken JSON: query by client id, stop REST for a while"),
        ("HTTP_5XX", "", _U, _B, "query by client id"),
        (BLOCKED, "", _U, _B, "blocked in front of the gateway: pause REST"),
        ("HTTP_429", "", _R, _B, "wait for the reset"),
        (CLOUDFLARE, "", _U, _B, "Cloudflare cut this address off: pause REST"),
        # ---- outcome unknown
        ("408000", "", _U, _B, "query by client id"),
        ("500000", "", _U, _B, "query by client id"),
        ("126033", "", _U, _B, "client id in use: the earlier order exists, adopt it"),
        ("126044", "", _U, _B, "client id in use: the earlier order exists, adopt it"),
        # ---- throttled, clock
        (THROTTLED, "", _R, _B, "wait for the pool's reset; with quota left the server is overloaded: pause briefly"),
        ("200002", "", _S, _B, "cancelling is suspended for the pair"),
        ("200002", "oo many requests", _R, _B, "too many requests to this endpoint: pause"),
        (CLOCK, "", _R, _B, "our clock is off: measure again"),
        # ---- key, signature, permission, account
        *((code, "", _A, _A, "key, passphrase, signature or permission") for code in ("400001", "400003", "400004")),
        *((code, "", _A, _A, "key, passphrase, signature or permission") for code in ("400005", "400006", "400007")),
        *(
            (code, "", _A, _A, "key version or permission")
            for code in ("400008", "400009", "400010", "400303", "400401")
        ),
        *((code, "", _A, _A, "session verification failed") for code in ("400011", "400012")),
        *((code, "", _A, _A, "account restricted: KYC, region, risk, frozen") for code in ("200009", "400500")),
        *((code, "", _A, _A, "account restricted: KYC, region, risk, frozen") for code in ("400700", "411100")),
        # ---- the pair
        ("200001", "", _S, _B, "placing is suspended for the pair"),
        ("400200", "", _S, _B, "pair not open for orders"),
        ("400600", "", _S, _B, "pair not available"),
        ("600203", "", _S, _B, "pair not tradable now"),
        ("900001", "", _S, _X, "no such symbol"),
        # ---- funds and limits
        ("200003", "", _R, _B, "too many open orders"),
        *((code, "", _R, _B, COUNT_AGAIN) for code in ("200004", "230003", "210021", "300003", "600100")),
        ("400100", "account.available.amount", _R, _B, COUNT_AGAIN),
        ("400100", "alance insufficient", _R, _B, COUNT_AGAIN),
        # ---- the order does not exist
        ("400100", "order_not_exist", _G, _G, "no such order, or over already: ask for its fills"),
        ("400100", "rder not exist", _G, _G, "no such order"),
        ("400100", "rder does not exist", _G, _G, "no such order"),
        *((code, "", _G, _G, "no such order") for code in ("100001", "126043", "130103", "130108")),
        # ---- our request
        *((code, "", _R, _X, "price or size outside the rules") for code in ("300000", "400330", "400350", "400370")),
        *((code, "", _R, _X, "price or size outside the rules") for code in ("400760", "600101", "210014")),
        ("400100", "", _R, _X, "a parameter is wrong, or outside the rules"),
        *((code, "", _X, _X, "malformed request") for code in ("400000", "404000", "415000", "4001002")),
        ("401000", "", _X, _X, "this endpoint is gone"),
        *((code, "", _R, _X, "rules of the pair changed") for code in ("300009", "300011", "300012")),
    )
)


def read_code(status: int, code: str, text: str) -> str:
    """The code to look up: the envelope's, or one of ours for an answer without envelope (`code` empty)."""
    if status == NO_ANSWER:
        return "NO_ANSWER"
    if status == NOT_SENT:
        return "NOT_SENT"
    if status >= 500:
        return "HTTP_5XX"
    if code:
        return code
    if "1015" in text:
        return CLOUDFLARE
    if status in (403, 429):
        return f"HTTP_{status}"
    return BAD_ANSWER
