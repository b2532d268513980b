"""Binance spot's errors as a table: code, fragment of the text, class for an order, class for a read, what to do.

Source: Binance spot API docs, errors.md and rest-api.md "HTTP return codes", 2026-07-21. The texts of -2010 and -2011
tell more than the codes. `action` is read by the codec where it is one of `ACTIONS`, by people otherwise.
"""

from __future__ import annotations

from typing import Final

from tradeserver.venues.errors import COUNT_AGAIN, ErrorRow, ErrorTable, Fault

SYNC_CLOCK: Final = "sync clock"
REFRESH_RULES: Final = "refresh rules"
ACTIONS: Final = (SYNC_CLOCK, REFRESH_RULES)
"""What the codec does by itself when it meets such a row."""

_REFUSED, _UNKNOWN, _BACKOFF = Fault.REFUSED, Fault.UNKNOWN, Fault.BACKOFF
_AUTH, _SYMBOL, _BUG, _GONE = Fault.AUTH, Fault.SYMBOL, Fault.BUG, Fault.GONE

_QUERY = "query by client id, never resend"
_WAIT = "wait as long as Retry-After says"
_STOP = "stop the venue, tell a person"
_OURS = "do not send the same again; log the parameters"

# errors.md, the codes of 10xx and 11xx that a wrong or malformed parameter gets
OUR_FAULTS: Final = (
    *(-1014, -1020, -1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1111, -1112, -1114, -1115, -1116, -1117),
    *(-1118, -1119, -1120, -1125, -1127, -1128, -1130, -1134, -1135, -1145, -1151, -1194),
)

SHUT_OUT: Final = (
    "This account may not place or cancel orders.",
    "This action is disabled on this account.",
    "API trading is not enabled.",  # "Rest ..", "WebSocket .."
)
"""The matching engine's words for an account that may not trade, to an order and to a cancel."""

ROWS: Final = (
    # the outcome is not known
    ErrorRow("HTTP 5xx", "", _UNKNOWN, _BACKOFF, _QUERY),
    ErrorRow("HTTP 403", "", _UNKNOWN, _BACKOFF, "firewall: stop REST for a while"),
    ErrorRow("-1000", "", _UNKNOWN, _BACKOFF, _QUERY),
    ErrorRow("-1001", "", _UNKNOWN, _BACKOFF, _QUERY),
    ErrorRow("-1006", "", _UNKNOWN, _BACKOFF, _QUERY),
    ErrorRow("-1007", "", _UNKNOWN, _BACKOFF, _QUERY),
    ErrorRow("-1008", "", _UNKNOWN, _BACKOFF, "server busy: cautiously unknown until queried"),
    # throttled
    ErrorRow("-1003", "", _REFUSED, _BACKOFF, _WAIT),
    ErrorRow("-1015", "", _REFUSED, _BACKOFF, _WAIT),
    ErrorRow("-1034", "", _REFUSED, _BACKOFF, "fewer connection attempts"),
    # clock
    ErrorRow("-1021", "", _REFUSED, _BACKOFF, SYNC_CLOCK),
    # keys
    ErrorRow("-1002", "", _AUTH, _AUTH, _STOP),
    ErrorRow("-1022", "", _AUTH, _AUTH, _STOP),
    ErrorRow("-2014", "", _AUTH, _AUTH, _STOP),
    ErrorRow("-2015", "", _AUTH, _AUTH, _STOP),
    *(ErrorRow(code, text, _AUTH, _AUTH, _STOP) for code in ("-2010", "-2011") for text in SHUT_OUT),
    # the symbol
    ErrorRow("-1016", "", _SYMBOL, _SYMBOL, REFRESH_RULES),
    ErrorRow("-1121", "", _SYMBOL, _SYMBOL, REFRESH_RULES),
    ErrorRow("-1122", "", _SYMBOL, _SYMBOL, REFRESH_RULES),
    ErrorRow("-1220", "", _SYMBOL, _SYMBOL, REFRESH_RULES),
    ErrorRow("-2010", "Market is closed.", _SYMBOL, _SYMBOL, REFRESH_RULES),
    ErrorRow("-2011", "Market is closed.", _SYMBOL, _SYMBOL, REFRESH_RULES),
    ErrorRow("-2010", "This symbol is not permitted for this account.", _SYMBOL, _SYMBOL, REFRESH_RULES),
    ErrorRow("-2010", "This symbol is restricted for this account.", _SYMBOL, _SYMBOL, REFRESH_RULES),
    # refused for a reason that may be gone next time
    ErrorRow("-1013", "", _REFUSED, _BACKOFF, REFRESH_RULES),
    ErrorRow("-2010", "Duplicate order sent.", _UNKNOWN, _BACKOFF, "the earlier one is live: adopt it"),
    ErrorRow("-2010", "insufficient balance", _REFUSED, _BACKOFF, COUNT_AGAIN),
    ErrorRow("-2010", "", _REFUSED, _BACKOFF, "refresh balances, drop the opportunity"),
    ErrorRow("-1010", "", _REFUSED, _BACKOFF, "the matching engine says no: read the text"),
    ErrorRow("-2021", "", _UNKNOWN, _BACKOFF, "cancelReplace half done (not used): query both"),
    ErrorRow("-2022", "", _REFUSED, _BACKOFF, "cancelReplace failed (not used)"),
    # not there
    ErrorRow("-2011", "", _GONE, _GONE, "probably filled: query the order and its fills"),
    ErrorRow("-2013", "", _GONE, _GONE, "repeat over time before believing it"),
    ErrorRow("-2026", "", _GONE, _GONE, "archived after 90 days without a fill"),
    # subscriptions: the wanted state is there already
    ErrorRow("-2035", "", _REFUSED, _REFUSED, "already subscribed: as good as done"),
    ErrorRow("-2036", "", _REFUSED, _REFUSED, "not subscribed: as good as done"),
    ErrorRow("-2042", "", _REFUSED, _BACKOFF, "too many subscriptions on this session: reconnect"),
    # our fault: the request did not reach the matching engine
    *(ErrorRow(str(code), "", _BUG, _BUG, _OURS) for code in OUR_FAULTS),
)

TABLE: Final = ErrorTable(ROWS)


def row_of(status: int, code: str, text: str) -> ErrorRow:
    """The row for an answer: the HTTP (or WS API) status rules where it is 5xx or 403, else code and text."""
    if status >= 500:
        return TABLE.lookup("HTTP 5xx", "")
    if status == 403:
        return TABLE.lookup("HTTP 403", "")
    return TABLE.lookup(code, text)
