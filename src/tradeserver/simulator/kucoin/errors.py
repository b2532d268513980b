"""KuCoin's refusals: code, text and HTTP status (classic REST and gateway error codes, 2025-11).

Business errors come with HTTP 200, errors of the gateway with 4xx. Texts that no document gives carry "assumed".
"""

from __future__ import annotations


class Refused(Exception):  # noqa: N818 - it is an answer of the venue, not a failure of this program
    """A request that the venue turns down: `{"code": code, "msg": text}` under the HTTP status."""

    def __init__(self, code: str, text: str, status: int = 200) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.status = status


# ---- the gateway ----------------------------------------------------------------------------------------------------


def headers_missing() -> Refused:
    """400001."""
    text = "Any of KC-API-KEY, KC-API-SIGN, KC-API-TIMESTAMP, KC-API-PASSPHRASE is missing in your request header"
    return Refused("400001", text, 401)


def url_incomplete() -> Refused:
    """The same for order entry by WebSocket, whose credentials stand in the URL."""
    return Refused("400001", "Please check the URL of your request.", 401)


def bad_timestamp() -> Refused:
    """400002: not within 5 s."""
    return Refused("400002", "Invalid KC-API-TIMESTAMP.", 400)


def unknown_key() -> Refused:
    """400003."""
    return Refused("400003", "KC-API-KEY does not exist.", 401)


def bad_passphrase() -> Refused:
    """400004."""
    return Refused("400004", "Invalid KC-API-PASSPHRASE.", 401)


def bad_signature() -> Refused:
    """400005."""
    return Refused("400005", "Invalid KC-API-SIGN.", 401)


def no_permission() -> Refused:
    """400007."""
    return Refused("400007", "Access denied, requires more permission.", 401)


def old_key() -> Refused:
    """400008: a key of version 1."""
    text = "V1 & V2 API keys are no longer supported by this API. Please create a V3 API key."
    return Refused("400008", text, 401)


def bad_version() -> Refused:
    """400009."""
    return Refused("400009", "Invalid KC-API-KEY-VERSION.", 401)


def verification_failed() -> Refused:
    """400011: the challenge was answered wrongly."""
    return Refused("400011", "Session verification failed.", 401)


def verification_late() -> Refused:
    """400012: the challenge was not answered in time."""
    return Refused("400012", "Session verification has timed out.", 401)


def too_many_requests() -> Refused:
    """429000, HTTP 429: the pool is used up."""
    return Refused("429000", "Too Many Requests", 429)


def url_not_found() -> Refused:
    """404000, HTTP 404."""
    return Refused("404000", "Url Not Found", 404)


def unsupported_media_type() -> Refused:
    """415000, HTTP 415."""
    text = "Unsupported Media Type -- The Content-Type of the request header needs to be set to application/json"
    return Refused("415000", text, 415)


# ---- business -------------------------------------------------------------------------------------------------------


def bad_parameter(text: str) -> Refused:
    """400100 "Parameter Error"; the text tells which."""
    return Refused("400100", text)


def no_symbol() -> Refused:
    """900001."""
    return Refused("900001", "symbol not exists")


def not_trading() -> Refused:
    """400600."""
    return Refused(
        "400600", "validation.createOrder.symbolNotAvailable -- The trading pair has not yet started trading"
    )


def placing_suspended() -> Refused:
    """200001."""
    return Refused("200001", "Order creation for this pair suspended")


def too_many_open() -> Refused:
    """200003."""
    return Refused("200003", "Number of orders breached the limit")


def insufficient() -> Refused:
    """200004."""
    return Refused("200004", "Balance insufficient")


def below_minimum() -> Refused:
    """400100."""
    return bad_parameter("Order size below the minimum requirement.")


def above_maximum() -> Refused:
    """400100."""
    return bad_parameter("Order size above the maximum requirement.")  # assumed


def size_increment() -> Refused:
    """400100."""
    return bad_parameter("Order size increment invalid.")


def price_increment() -> Refused:
    """400100."""
    return bad_parameter("Price increment invalid.")  # assumed


def funds_increment() -> Refused:
    """400100."""
    return bad_parameter("Funds increment invalid.")  # assumed


def funds_below(minimum: str, currency: str) -> Refused:
    """400100: the document's own spelling."""
    return bad_parameter(f"The order funds should more then {minimum} {currency}.")


def price_out_of_range() -> Refused:
    """400760."""
    return Refused("400760", "order price is out of the price limit range")  # text assumed


def duplicate_client_id() -> Refused:
    """400100: the client id is in use."""
    return bad_parameter("validation.createOrder.clientOidDuplicated")


def not_cancellable() -> Refused:
    """400100: a cancel found no open order."""
    return bad_parameter("order_not_exist_or_not_allow_to_cancel")


def no_order() -> Refused:
    """400100: a query found no order."""
    return bad_parameter("order not exist.")


def arrived_late() -> Refused:
    """The order reached the gateway later than `clientTimestamp + allowMaxTimeWindow`."""
    return bad_parameter("The order has exceeded allowMaxTimeWindow.")  # assumed
