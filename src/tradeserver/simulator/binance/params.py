"""The parameters of one Binance request, from a REST query and body or from a WS API `params` object.

Rules (rest-api.md, 2026-07-21): parameters may come in the query, in a form body, or in both, and the query wins; every
parameter that is sent must be known to the endpoint (-1104), must not be empty (-1105) and must be well formed (-1100,
-1102, -1130). What is signed are the raw bytes, not what is read here: see `auth`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote_plus

from tradeserver.simulator.binance import errors

DECIMAL_RANGE = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
CLIENT_ID_RANGE = r"^[a-zA-Z0-9-_]{1,36}$"
SYMBOL_RANGE = r"^[A-Z0-9-_.]{1,20}$"
INTEGER_RANGE = r"^[0-9]{1,20}$"

_DECIMAL = re.compile(DECIMAL_RANGE)
_CLIENT_ID = re.compile(CLIENT_ID_RANGE)
_SYMBOL = re.compile(SYMBOL_RANGE)
_INTEGER = re.compile(INTEGER_RANGE)


def form(query: str, body: str) -> dict[str, str]:
    """Parameters of a REST request, percent-decoded; the query wins over the body."""
    values = _pairs(body)
    values.update(_pairs(query))
    return values


def _pairs(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for part in text.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        name = unquote_plus(name)
        if name in values:
            raise errors.Refused(-1101, "Duplicate values for a parameter detected.")
        values[name] = unquote_plus(value)
    return values


class Params:
    """Typed reading of parameters. Each getter refuses with the documented code; a missing one reads as None."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __str__(self) -> str:
        return "&".join(f"{name}={value}" for name, value in self._values.items())

    def allow_only(self, names: frozenset[str]) -> None:
        """-1104 when a parameter was sent that the endpoint does not read."""
        read = sum(1 for name in self._values if name in names)
        if read < len(self._values):
            raise errors.unread(read, len(self._values))

    def has(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str | None:
        value = self._values.get(name)
        if value == "":
            raise errors.empty(name)
        return value

    def need(self, name: str) -> str:
        value = self._values.get(name)
        if not value:
            raise errors.mandatory(name)
        return value

    def symbol(self) -> str:
        value = self.need("symbol")
        if not _SYMBOL.match(value):
            raise errors.illegal_characters("symbol", SYMBOL_RANGE)
        return value

    def client_id(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not _CLIENT_ID.match(value):
            raise errors.illegal_characters(name, CLIENT_ID_RANGE)
        return value

    def decimal(self, name: str) -> Decimal | None:
        value = self.text(name)
        if value is None:
            return None
        if not _DECIMAL.match(value):
            raise errors.illegal_characters(name, DECIMAL_RANGE)
        try:
            return Decimal(value)
        except InvalidOperation:
            raise errors.mandatory(name) from None

    def need_decimal(self, name: str) -> Decimal:
        self.need(name)
        value = self.decimal(name)
        assert value is not None
        return value

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not _INTEGER.match(value):
            raise errors.illegal_characters(name, INTEGER_RANGE)
        return int(value)

    def boolean(self, name: str) -> bool:
        value = self.text(name)
        if value is None:
            return False
        if value.lower() not in ("true", "false"):
            raise errors.bad_data(name)
        return value.lower() == "true"

    def choice(self, name: str, choices: frozenset[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in choices:
            raise errors.bad_data(name)
        return value

    def limit(self, default: int, most: int) -> int:
        """`limit`: at least 1, and capped as the venue caps it."""
        value = self.integer("limit")
        if value is None:
            return default
        if value < 1:
            raise errors.bad_data("limit")
        return min(value, most)
