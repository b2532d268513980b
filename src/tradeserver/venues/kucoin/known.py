"""Which client id belongs to which order id at KuCoin: fills name the venue's id only, and queries are cheaper by it.

Bounded: the oldest pairs are forgotten, and whoever needs one of those asks the venue.
"""

from __future__ import annotations

from typing import Final

KEPT: Final = 10_000


class KnownOrders:
    """Pairs of (the venue's order id, client id), both ways."""

    def __init__(self) -> None:
        self._client_ids: dict[str, str] = {}
        self._order_ids: dict[str, str] = {}

    def learn(self, order_id: str, client_id: str | None) -> None:
        """They belong together. An order without a client id is not remembered."""
        if not order_id or not client_id or order_id in self._client_ids:
            return
        if len(self._client_ids) >= KEPT:
            oldest = next(iter(self._client_ids))
            self._order_ids.pop(self._client_ids.pop(oldest), None)
        self._client_ids[order_id] = client_id
        self._order_ids[client_id] = order_id

    def client_id(self, order_id: str) -> str:
        """The client id, "" where we never heard it."""
        return self._client_ids.get(order_id, "")

    def order_id(self, client_id: str) -> str:
        """The venue's id, "" where we never heard it."""
        return self._order_ids.get(client_id, "")
