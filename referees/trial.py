"""What all referees share: the case they are given, their verdicts, the simulator's own word, and a ledger.

A referee is a program around a client that others wrote. It imports nothing of the product; it knows the simulator by
its URLs, and asks the simulator's control API only to compare. It prints one JSON line per step:
{"step": "cancel", "verdict": "ok", "detail": "..."}; the first failed step ends it.

Money is Decimal. The network is the loopback: any other address is refused, so that a client which was not pointed at
the simulator everywhere fails, and names the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

Rows = list[list[Any]]
"""Levels as they come: [price, quantity, ...]."""


@dataclass(frozen=True)
class Fill:
    """One fill as the client tells it."""

    order_id: str
    trade_id: str
    side: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool


@dataclass
class Trial:
    """One referee's case: `urls` of its venue, the simulator's `control` address, its `account`, its patience."""

    venue: str
    urls: dict[str, str]
    control: str
    account: dict[str, str]
    seconds: float
    prefix: str = field(default="")

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Print what came of a step. The context is a function that takes the detail for the table."""
        name, details = self.prefix + name, []
        try:
            yield details.append
        except Exception as error:
            traceback.print_exc()
            _say(name, "FAILED", " ".join(f"{type(error).__name__}: {error}".split())[:200])
            raise
        _say(name, "ok", "; ".join(details))

    def balances(self) -> dict[str, Decimal]:
        """The simulator's own totals of this account."""
        state = _get(f"{self.control}/state")
        rows = state["venues"][self.venue]["accounts"][self.account["name"]]["balances"]
        return {asset: Decimal(row["total"]) for asset, row in rows.items()}

    def depth(self, symbol: str) -> tuple[int, Rows, Rows]:
        """The simulator's book by REST: (id, bids, asks); a hundred levels are all that there are, and weigh 5."""
        if self.venue == "binance":
            book = _get(f"{self.urls['rest']}/api/v3/depth?symbol={symbol}&limit=100")
            return book["lastUpdateId"], book["bids"], book["asks"]
        book = _get(f"{self.urls['rest']}/api/v1/market/orderbook/level2_100?symbol={symbol}")["data"]
        return int(book["sequence"]), book["bids"], book["asks"]


def _say(name: str, verdict: str, detail: str) -> None:
    print(json.dumps({"step": name, "verdict": verdict, "detail": detail}), flush=True)


def begin() -> Trial:
    """The case named on the command line; from here on the network ends at the loopback."""
    sys.addaudithook(_loopback_only)
    case = json.loads(Path(sys.argv[1]).read_text())
    return Trial(**case)


def _loopback_only(event: str, args: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.getaddrinfo"):
        return
    address = args[1] if event == "socket.connect" else args
    host = address[0] if isinstance(address, tuple) else ""
    if host and host not in ("127.0.0.1", "localhost", "::1", b"127.0.0.1"):
        raise OSError(f"a referee talks to the loopback only, not to {host!r}")


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


# ---- money -------------------------------------------------------------------------------------------------------


class Ledger:
    """Opening balances plus fills minus commissions."""

    def __init__(self, opening: dict[str, Decimal], base: str, quote: str) -> None:
        self.totals = dict(opening)
        self._base = base
        self._quote = quote

    def post(self, fill: Fill) -> None:
        """Move what this fill moves."""
        sign = 1 if fill.side == "buy" else -1
        self._add(self._base, sign * fill.quantity)
        self._add(self._quote, -sign * fill.price * fill.quantity)
        self._add(fill.fee_asset, -fill.fee)

    def _add(self, asset: str, amount: Decimal) -> None:
        self.totals[asset] = self.totals.get(asset, Decimal(0)) + amount


def same(name: str, ours: dict[str, Decimal], theirs: dict[str, Decimal], *, as_float: bool = False) -> None:
    """Equal amounts of every asset that either side holds. `as_float`: the client keeps floats."""
    for asset in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(asset, Decimal(0)), theirs.get(asset, Decimal(0))
        if (float(one) != float(other)) if as_float else (one != other):
            raise AssertionError(f"{asset}: the ledger says {one}, {name} says {other}")


def number(value: Any) -> Decimal:
    """A client's float or text as the decimal that it stands for."""
    return Decimal(repr(value) if isinstance(value, float) else str(value))


async def until(what: str, condition: Callable[[], bool], patience_s: float = 10.0) -> None:
    """Wait for something that a stream will tell."""
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {patience_s:.0f} s")
        await asyncio.sleep(0.02)
