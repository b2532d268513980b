"""ccxt's unified orders as a `Desk`, for both venues, over REST; the scripts of ccxt and ccxt.pro build on it."""

from __future__ import annotations

import inspect
from collections import defaultdict
from decimal import Decimal
from typing import Any

import ccxt
from trial import Fill, Trial, number

SYMBOL = "XRP/USDT"
STATES = {"open": "open", "closed": "filled", "canceled": "canceled", "expired": "canceled"}


def options(trial: Trial) -> dict[str, Any]:
    """What both kinds of ccxt are constructed with. Rate limiting is ccxt's own, switched on as it is by default."""
    account = trial.account
    return {
        "apiKey": account["key"],
        "secret": account["secret"],
        "password": account.get("passphrase", ""),
        "options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}},  # the simulator has no derivatives
    }


def point(exchange: Any, trial: Trial) -> None:
    """Every address that ccxt knows for this venue becomes the simulator's: same paths, other origin."""
    api, rest = exchange.urls["api"], trial.urls["rest"]
    for name, url in api.items():
        if isinstance(url, str):
            path = url.split("/", 3)[3] if url.count("/") > 2 else ""
            api[name] = f"{rest}/{path}".rstrip("/")
    if trial.venue == "binance" and "ws" in api:
        api["ws"]["spot"] = trial.urls["stream"] + "/ws"
        api["ws"]["ws-api"]["spot"] = trial.urls["ws_api"]


class CcxtDesk:
    """Orders by ccxt's unified calls, synchronous or not."""

    floats = True

    def __init__(self, exchange: Any, *, socket: bool = False) -> None:
        """`socket`: orders travel by ccxt's `..._ws` calls."""
        self.exchange = exchange
        self._suffix = "_ws" if socket else ""
        self._heard: dict[str, list[str]] = defaultdict(list)
        self._heard_fills: dict[str, set[str]] = defaultdict(set)
        self.streaming = False

    async def _call(self, name: str, *args: Any, **params: Any) -> Any:
        answer = getattr(self.exchange, name)(*args, **params)
        return await answer if inspect.isawaitable(answer) else answer

    async def quote(self) -> tuple[Decimal, Decimal]:
        book = await self._call("fetch_order_book", SYMBOL, 20)
        return number(book["bids"][0][0]), number(book["asks"][0][0])

    async def limit(self, side: str, quantity: Decimal, price: Decimal, tif: str) -> str:
        return await self._place("limit", side, quantity, float(price), {"timeInForce": tif})

    async def market(self, side: str, quantity: Decimal) -> str:
        return await self._place("market", side, quantity, None, {})

    async def _place(self, kind: str, side: str, quantity: Decimal, price: float | None, params: dict[str, Any]) -> str:
        name = "create_order" + self._suffix
        return (await self._call(name, SYMBOL, kind, side, float(quantity), price, params))["id"]

    async def state(self, order_id: str) -> tuple[str, Decimal]:
        order = await self._call("fetch_order", order_id, SYMBOL)
        return STATES[order["status"]], number(order["filled"])

    async def cancel(self, order_id: str) -> None:
        await self._call("cancel_order" + self._suffix, order_id, SYMBOL)

    async def open_ids(self) -> set[str]:
        return {order["id"] for order in await self._call("fetch_open_orders", SYMBOL)}

    async def refused(self, quantity: Decimal) -> str:
        try:
            await self.market("sell", quantity)
        except ccxt.InsufficientFunds as error:
            return type(error).__name__
        raise AssertionError(f"a sale of {quantity} was accepted")

    async def fills(self) -> list[Fill]:
        trades = await self._call("fetch_my_trades", SYMBOL, None, 100)
        return [
            Fill(
                order_id=trade["order"],
                trade_id=trade["id"],
                side=trade["side"],
                price=number(trade["price"]),
                quantity=number(trade["amount"]),
                fee=number(trade["fee"]["cost"]),
                fee_asset=trade["fee"]["currency"],
                maker=trade["takerOrMaker"] == "maker",
            )
            for trade in trades
        ]

    async def balances(self) -> dict[str, Decimal]:
        totals = (await self._call("fetch_balance"))["total"]
        return {asset: number(amount) for asset, amount in totals.items()}

    # ---- what the streams told (ccxt.pro) ----------------------------------------------------------------------------

    def heard(self, order_id: str) -> list[str] | None:
        return self._heard[order_id] if self.streaming else None

    def heard_fills(self, order_id: str) -> set[str]:
        return self._heard_fills[order_id]

    def on_order(self, order: dict[str, Any]) -> None:
        """One order as `watch_orders` gives it."""
        self._heard[order["id"]].append(STATES[order["status"]])

    def on_trade(self, trade: dict[str, Any]) -> None:
        """One trade as `watch_my_trades` gives it; none may come twice."""
        if trade["id"] in self._heard_fills[trade["order"]]:
            raise AssertionError(f"trade {trade['id']} was told twice")
        self._heard_fills[trade["order"]].add(trade["id"])


def rules(exchange: Any, tick: float, lot: float) -> str:
    """What `load_markets` made of the venue's rules."""
    market = exchange.market(SYMBOL)
    assert market["spot"], market
    assert market["active"], market
    assert market["precision"] == {**market["precision"], "price": tick, "amount": lot}, market["precision"]
    assert set(exchange.symbols) == {"XRP/USDT", "BTC/USDT", "ETH/USDT"}, exchange.symbols
    return f"{len(exchange.symbols)} markets, XRP/USDT tick {tick}, lot {lot}"
