"""Everything we can ask of the world: the second output of `Engine.step`. Frozen, decided, not yet done.

A command names the venue that shall perform it. `SubmitOrder` is constructed in one place only, `core/risk.py`, from an
approval; everything else may be asked for at any time.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.core.types import Side, TimeInForce


class Command(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What every command has."""

    venue: str


class SubmitOrder(Command, frozen=True, tag=True, kw_only=True):
    """A new order. `opening` orders start an arbitrage; the rest shrink exposure (hedges, unwinds)."""

    symbol: str
    client_id: str
    arbitrage: int
    leg: int
    attempt: int
    side: Side
    quantity: Decimal
    price: Decimal  # the cap: a buy never pays more, a sell never takes less
    time_in_force: TimeInForce
    opening: bool


class CancelOrder(Command, frozen=True, tag=True, kw_only=True):
    """Ask for a cancel; the outcome comes as an event."""

    symbol: str
    client_id: str
    venue_order_id: str = ""


class CancelAll(Command, frozen=True, tag=True, kw_only=True):
    """The venue's own cancel-all for one symbol."""

    symbol: str


class QueryOrder(Command, frozen=True, tag=True, kw_only=True):
    """How does this order stand? Answered by `OrderStatus` or `QueryFailed`."""

    symbol: str
    client_id: str
    venue_order_id: str = ""


class QueryFills(Command, frozen=True, tag=True, kw_only=True):
    """Which fills does the venue show? By venue order id where given, else all of the symbol since `since` (ns, ours).

    Answered by `FillsListed` (which repeats `client_id`) or `QueryFailed`.
    """

    symbol: str
    client_id: str = ""
    venue_order_id: str = ""
    since: int = 0


class QueryOpenOrders(Command, frozen=True, tag=True, kw_only=True):
    """Everything open at the venue on the configured symbols. Answered by `OpenOrdersListed` or `QueryFailed`."""


class QueryOrders(Command, frozen=True, tag=True, kw_only=True):
    """Every order of the account on one symbol since `since` (ns, ours), open or over. Answered by `OrdersListed` or
    `QueryFailed`."""

    symbol: str
    since: int


class RequestAccount(Command, frozen=True, tag=True, kw_only=True):
    """Answered by `AccountSnapshot` or `QueryFailed`."""


class RequestSnapshot(Command, frozen=True, tag=True, kw_only=True):
    """Throw the book away and synchronise it again."""

    symbol: str
    reason: str


class ArmDeadMan(Command, frozen=True, tag=True, kw_only=True):
    """KuCoin's dead-man's switch; 0 disarms."""

    timeout_s: int
    symbols: tuple[str, ...]


FITS: Final = "fits"
"""Who performs a `Fit`: no venue."""


class Fit(Command, frozen=True, tag=True, kw_only=True):
    """Work for the fits process; answered by `Fitted`. Its `venue` is `FITS`, its name "STRATEGY WHAT"."""

    name: str
    series: tuple[tuple[float, ...], ...]


AnyCommand = (
    SubmitOrder
    | CancelOrder
    | CancelAll
    | QueryOrder
    | QueryFills
    | QueryOpenOrders
    | QueryOrders
    | RequestAccount
    | RequestSnapshot
    | ArmDeadMan
    | Fit
)
