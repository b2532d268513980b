"""Binance's refusals: code, text and HTTP status, each text as the venue's errors.md has it (2026-07-21).

`Refused` is raised by whatever handles a request and caught at one place per front end (REST, WS API), which turns it
into that front end's form. Nothing here decides when to refuse.
"""

from __future__ import annotations

from typing import Any

UNAUTHORIZED_CODES = frozenset({-2014, -2015})


TEXTS = {
    -1000: "An unknown error occurred while processing the request.",
    -1001: "Internal error; unable to process your request. Please try again.",
    -1003: "Too many requests queued.",
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    -1008: "Server is currently overloaded with other requests. Please try again in a few minutes.",
    -1013: "Filter failure: LOT_SIZE",
    -1015: "Too many new orders.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -2010: "Account has insufficient balance for requested action.",
    -2015: "Invalid API-key, IP, or permissions for action.",
}
"""The first text of codes that an operator may ask for as a fault."""

STATUSES = {-1000: 500, -1001: 500, -1003: 429, -1006: 500, -1007: 504, -1008: 503, -1015: 429}
"""Their HTTP statuses where they are not 400 or 401. The venue documents 5xx only as a class."""


class Refused(Exception):  # noqa: N818 - it is an answer of the venue, not a failure of this program
    """A request that the venue turns down: `code` and `text` as documented, `status` as HTTP and the WS API give it.

    `retry_ns` is the moment (ns, simulated clock) until which the client must wait; only with 429 and 418.
    `data` is the extra object of cancelReplace errors.
    """

    def __init__(self, code: int, text: str, status: int = 0, *, retry_ns: int = 0, data: Any = None) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.status = status or (401 if code in UNAUTHORIZED_CODES else 400)
        self.retry_ns = retry_ns
        self.data = data


def weight_exceeded(limit: int, retry_ns: int) -> Refused:
    """429: the request weight of the running minute is used up."""
    text = (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    return Refused(-1003, text, 429, retry_ns=retry_ns)


def banned(until_ns: int) -> Refused:
    """418: the address went on after 429."""
    text = (
        f"Way too much request weight used; IP banned until {until_ns // 1_000_000}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )
    return Refused(-1003, text, 418, retry_ns=until_ns)


def orders_exceeded(limit: int, interval: str, retry_ns: int) -> Refused:
    """429: too many unfilled orders in one interval, for example "10 SECOND"."""
    return Refused(
        -1015, f"Too many new orders; current limit is {limit} orders per {interval}.", 429, retry_ns=retry_ns
    )


def outside_window() -> Refused:
    """-1021: too old."""
    return Refused(-1021, "Timestamp for this request is outside of the recvWindow.")


def ahead_of_server() -> Refused:
    """-1021: from the future."""
    return Refused(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def bad_signature() -> Refused:
    """-1022."""
    return Refused(-1022, "Signature for this request is not valid.")


def illegal_characters(name: str, legal: str) -> Refused:
    """-1100: does not match `legal`."""
    return Refused(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def mandatory(name: str) -> Refused:
    """-1102: missing, empty or malformed."""
    return Refused(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def one_of(first: str, second: str) -> Refused:
    """-1102: neither of two was sent."""
    return Refused(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def unread(read: int, sent: int) -> Refused:
    """-1104: parameters that the endpoint does not know."""
    return Refused(-1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.")


def empty(name: str) -> Refused:
    """-1105."""
    return Refused(-1105, f"Parameter '{name}' was empty.")


def not_required(name: str) -> Refused:
    """-1106: does not go with the order type."""
    return Refused(-1106, f"Parameter '{name}' sent when not required.")


def too_precise(name: str) -> Refused:
    """-1111: too many decimals."""
    return Refused(-1111, f"Parameter '{name}' has too much precision.")


def bad_symbol() -> Refused:
    """-1121."""
    return Refused(-1121, "Invalid symbol.")


def bad_data(name: str) -> Refused:
    """-1130."""
    return Refused(-1130, f"Data sent for parameter '{name}' is not valid.")


def filter_failure(name: str) -> Refused:
    """-1013: a symbol filter failed."""
    return Refused(-1013, f"Filter failure: {name}")


def order_rejected(text: str) -> Refused:
    """-2010: the engine refused a new order; the text tells why."""
    return Refused(-2010, text)


def cancel_rejected(text: str = "Unknown order sent.") -> Refused:
    """-2011: nothing to cancel, or not allowed; the text tells."""
    return Refused(-2011, text)


def no_such_order() -> Refused:
    """-2013: a query for an unknown order."""
    return Refused(-2013, "Order does not exist.")


def bad_key_format() -> Refused:
    """-2014, HTTP 401."""
    return Refused(-2014, "API-key format invalid.")


def rejected_key() -> Refused:
    """-2015, HTTP 401: unknown key, or one without the right."""
    return Refused(-2015, "Invalid API-key, IP, or permissions for action.")
