"""What a venue's error means: the shape of a table row, the look-up, and the safe path for what no row lists.

Each venue keeps its own table as data (`venues/<venue>/errors.py`): code, fragment of the text, class for an order,
class for anything else, and what to do about it in words. A row with a fragment beats a row of the same code without.
A code that no row lists is, for an order, UNKNOWN plus a `VenueFault`: the order is asked for, and a person is told.

Classes (the outcome of an order is CONFIRMED, REFUSED with proof, or UNKNOWN; never guessed):

- REFUSED: proven not accepted.
- UNKNOWN: it may be live: query by client id, never send it again.
- BACKOFF: try later, reads only.
- AUTH: key, signature or permission: proven not accepted, and nothing else will be; stop the venue, tell a person.
- SYMBOL: the symbol is not tradable now: proven not accepted, pause the symbol.
- BUG: our fault: proven not accepted, do not send the same again.
- GONE: there is no such order; needs corroboration.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tradeserver.core.events import AUTH, Event, OrderRejected, OrderUncertain, VenueFault


class Fault(enum.Enum):
    """The class of an error."""

    REFUSED = "refused"
    UNKNOWN = "unknown"
    BACKOFF = "backoff"
    AUTH = "auth"
    SYMBOL = "symbol"
    BUG = "bug"
    GONE = "gone"


class ErrorRow(msgspec.Struct, frozen=True):
    """One row of a venue's table. `text` is a fragment to be found in the message, "" fits any."""

    code: str
    text: str
    order: Fault
    read: Fault
    action: str


COUNT_AGAIN: Final = "balance too low: count the account again"
"""What a row's `action` says where the venue holds less than we thought."""

UNLISTED: Final = ErrorRow("", "", Fault.UNKNOWN, Fault.BACKOFF, "unlisted: query by client id, tell a person")

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError)
"""What decoding a venue's bytes can raise: msgspec lets Python's own error through for a string that is not UTF-8."""

AUTH_CODE: Final = AUTH


class ErrorTable:
    """A venue's rows, by code."""

    def __init__(self, rows: Iterable[ErrorRow]) -> None:
        self._rows: dict[str, list[ErrorRow]] = {}
        for row in rows:
            self._rows.setdefault(row.code, []).append(row)
        for same in self._rows.values():
            same.sort(key=lambda row: -len(row.text))  # the most particular fragment first, "" last

    def lookup(self, code: str, text: str) -> ErrorRow:
        """The row for `code` whose fragment is in `text`, else `UNLISTED`."""
        for row in self._rows.get(code, ()):
            if row.text in text:
                return row
        return UNLISTED


def order_outcome(
    row: ErrorRow, *, venue: str, channel: str, client_id: str, code: str, text: str, ts: int
) -> Sequence[Event]:
    """What an error says about the order that it answers: rejected or uncertain, and a fault for a person to see."""
    events: list[Event] = []
    if row.order in (Fault.UNKNOWN, Fault.GONE, Fault.BACKOFF):
        events.append(OrderUncertain(ts=ts, venue=venue, client_id=client_id, code=code, text=text))
    else:
        short = row.action == COUNT_AGAIN
        events.append(OrderRejected(ts=ts, venue=venue, client_id=client_id, code=code, text=text, short=short))
    return (*events, *worth_telling(row, venue=venue, channel=channel, code=code, text=text, ts=ts))


def worth_telling(row: ErrorRow, *, venue: str, channel: str, code: str, text: str, ts: int) -> Sequence[Event]:
    """What a person should know of an error, whatever it answers: a code that no row lists, a key not accepted."""
    if row is UNLISTED:
        return (VenueFault(ts=ts, venue=venue, channel=channel, code=code, text=f"unlisted error: {text}"),)
    if row.order is Fault.AUTH:
        return (VenueFault(ts=ts, venue=venue, channel=channel, code=AUTH_CODE, text=f"{code} {text}"),)
    return ()
