"""KuCoin's own SDK (kucoin-universal-sdk): REST, public and private push, and order entry by WebSocket.

The scenario runs twice: orders by REST (classic), then by the SDK's order entry, which speaks the unified dialect
(`uta.order`, `uta.cancel`) and asks back by REST. The private push tells of both. The SDK keeps no book: the referee
keeps one from what the SDK delivers. An answer that the SDK's models refuse comes back with empty fields, which no step
survives.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

from books import BookWatch, DiffBook
from desk import trade
from kucoin_universal_sdk.api.client import DefaultClient
from kucoin_universal_sdk.generate.account.account import GetSpotAccountListReqBuilder
from kucoin_universal_sdk.generate.spot.market import (
    GetAllSymbolsReqBuilder,
    GetFullOrderBookReqBuilder,
    GetTickerReqBuilder,
)
from kucoin_universal_sdk.generate.spot.order import (
    AddOrderReqBuilder,
    CancelOrderByOrderIdReqBuilder,
    GetOpenOrdersReqBuilder,
    GetOrderByOrderIdReqBuilder,
    GetTradeHistoryReqBuilder,
)
from kucoin_universal_sdk.internal.infra.uta_private_trade_ws_service import UtaPrivateTradeWsService
from kucoin_universal_sdk.model.client_option import ClientOptionBuilder
from kucoin_universal_sdk.model.transport_option import TransportOption
from kucoin_universal_sdk.model.websocket_option import WebSocketClientOption
from trial import Fill, Trial, begin, until

SYMBOL = "XRP-USDT"
STATES = {"received": "open", "open": "open", "match": "open", "filled": "filled", "canceled": "canceled"}


class SdkDesk:
    """Orders by the SDK's classic REST calls. They block, so each runs in a thread."""

    floats = False

    def __init__(self, client: DefaultClient) -> None:
        spot = client.rest_service().get_spot_service()
        self._orders = spot.get_order_api()
        self._market = spot.get_market_api()
        self._accounts = client.rest_service().get_account_service().get_account_api()
        self._heard: dict[str, list[str]] = defaultdict(list)
        self._heard_fills: dict[str, list[str]] = defaultdict(list)
        self.totals: dict[str, Decimal] = {}

    async def quote(self) -> tuple[Decimal, Decimal]:
        request = GetTickerReqBuilder().set_symbol(SYMBOL).build()
        ticker = await asyncio.to_thread(self._market.get_ticker, request)
        return Decimal(ticker.best_bid), Decimal(ticker.best_ask)

    async def book(self) -> Any:
        """The whole book, signed."""
        request = GetFullOrderBookReqBuilder().set_symbol(SYMBOL).build()
        return await asyncio.to_thread(self._market.get_full_order_book, request)

    async def symbols(self) -> list[Any]:
        """The venue's rules."""
        return (await asyncio.to_thread(self._market.get_all_symbols, GetAllSymbolsReqBuilder().build())).data

    async def limit(self, side: str, quantity: Decimal, price: Decimal, tif: str) -> str:
        return await self.place(side, "limit", size=str(quantity), price=str(price), time_in_force=tif)

    async def market(self, side: str, quantity: Decimal) -> str:
        return await self.place(side, "market", size=str(quantity))

    async def place(self, side: str, kind: str, **words: str) -> str:
        """One order; its id."""
        builder = AddOrderReqBuilder().set_client_oid(uuid4().hex).set_symbol(SYMBOL).set_side(side).set_type(kind)
        for name, value in words.items():
            builder = getattr(builder, f"set_{name}")(value)
        return (await asyncio.to_thread(self._orders.add_order, builder.build())).order_id

    async def state(self, order_id: str) -> tuple[str, Decimal]:
        request = GetOrderByOrderIdReqBuilder().set_symbol(SYMBOL).set_order_id(order_id).build()
        order = await asyncio.to_thread(self._orders.get_order_by_order_id, request)
        ended = "canceled" if order.cancel_exist else "filled"
        return "open" if order.active else ended, Decimal(order.deal_size)

    async def cancel(self, order_id: str) -> None:
        request = CancelOrderByOrderIdReqBuilder().set_symbol(SYMBOL).set_order_id(order_id).build()
        answer = await asyncio.to_thread(self._orders.cancel_order_by_order_id, request)
        assert answer.order_id == order_id, answer

    async def open_ids(self) -> set[str]:
        request = GetOpenOrdersReqBuilder().set_symbol(SYMBOL).build()
        return {order.id for order in (await asyncio.to_thread(self._orders.get_open_orders, request)).data}

    async def refused(self, quantity: Decimal) -> str:
        try:
            await self.market("sell", quantity)
        except RuntimeError as error:
            text = f"{error} {error.__cause__ or ''}"
            assert "200004" in text, text
            return f"{type(error).__name__} 200004"
        raise AssertionError(f"a sale of {quantity} was accepted")

    async def fills(self) -> list[Fill]:
        fills: list[Fill] = []
        builder = GetTradeHistoryReqBuilder().set_symbol(SYMBOL).set_limit(100)
        while True:
            page = await asyncio.to_thread(self._orders.get_trade_history, builder.build())
            fills += [_fill(row) for row in page.items]
            if len(page.items) < 100:
                return fills
            builder = builder.set_last_id(page.last_id)

    async def balances(self) -> dict[str, Decimal]:
        request = GetSpotAccountListReqBuilder().set_type("trade").build()
        rows = (await asyncio.to_thread(self._accounts.get_spot_account_list, request)).data
        return {row.currency: Decimal(row.balance) for row in rows}

    # ---- what the push told ------------------------------------------------------------------------------------------

    def on_order(self, event: Any) -> None:
        """One `orderChange` in the SDK's model."""
        self._heard[event.order_id].append(STATES[event.type.value])
        if event.type.value == "match":
            self._heard_fills[event.order_id].append(event.trade_id)

    def on_balance(self, event: Any) -> None:
        """One `account.balance` in the SDK's model."""
        self.totals[event.currency] = Decimal(event.total)

    def heard(self, order_id: str) -> list[str] | None:
        return self._heard[order_id]

    def heard_fills(self, order_id: str) -> set[str]:
        told = self._heard_fills[order_id]
        assert len(told) == len(set(told)), f"a fill of {order_id} was told twice"
        return set(told)


class SocketDesk(SdkDesk):
    """The same, but orders and cancels travel by the SDK's order entry."""

    def __init__(self, client: DefaultClient, entry: Any) -> None:
        super().__init__(client)
        self._entry = entry

    async def place(self, side: str, kind: str, **words: str) -> str:
        order = {"symbol": SYMBOL, "side": side.upper(), "orderType": kind.upper(), "tradeType": "SPOT"}
        names = {"size": "size", "price": "price", "time_in_force": "timeInForce"}
        order |= {names[name]: value for name, value in words.items()} | {"clientOid": uuid4().hex}
        return (await asyncio.to_thread(self._entry.place_order, order))["data"]["orderId"]

    async def cancel(self, order_id: str) -> None:
        which = {"symbol": SYMBOL, "orderId": order_id, "tradeType": "SPOT"}
        answer = await asyncio.to_thread(self._entry.cancel_order, which)
        assert answer["data"]["orderId"] == order_id, answer


def _fill(row: Any) -> Fill:
    return Fill(
        order_id=row.order_id,
        trade_id=str(row.trade_id),
        side=row.side.value,
        price=Decimal(row.price),
        quantity=Decimal(row.size),
        fee=Decimal(row.fee),
        fee_asset=row.fee_currency,
        maker=row.liquidity.value == "maker",
    )


async def main() -> None:
    """The whole run."""
    trial = begin()
    client = _client(trial)
    desk = SdkDesk(client)
    with trial.step("rules") as say:
        say(_rules(await desk.symbols()))
    desks = [desk]
    private = client.ws_service().new_spot_private_ws()
    await asyncio.to_thread(private.start)
    await asyncio.to_thread(private.order_v2, _on_loop(lambda event: [each.on_order(event) for each in desks]))
    await asyncio.to_thread(private.account, _on_loop(lambda event: [each.on_balance(event) for each in desks]))
    keeping = asyncio.create_task(_keep(trial, client, desk))
    await trade(trial, desk)
    with trial.step("balance stream"):
        await _balances_told(trial, desk)
    trial.prefix = "ws "
    with trial.step("log-on") as say:
        UtaPrivateTradeWsService.ENDPOINT = trial.urls["ws_orders"]  # the one address that the SDK has no setting for
        entry = client.ws_service().new_uta_private_trade_ws()
        await asyncio.to_thread(entry.start)
        say("challenge answered")
    desks.append(SocketDesk(client, entry))
    await trade(trial, desks[1])
    trial.prefix = ""
    await keeping
    await asyncio.to_thread(entry.stop)
    await asyncio.to_thread(private.stop)


def _client(trial: Trial) -> DefaultClient:
    account, rest = trial.account, trial.urls["rest"]
    option = (
        ClientOptionBuilder()
        .set_key(account["key"])
        .set_secret(account["secret"])
        .set_passphrase(account["passphrase"])
        .set_spot_endpoint(rest)
        .set_futures_endpoint(rest)
        .set_broker_endpoint(rest)
        .set_transport_option(TransportOption(max_retries=0))
        .set_websocket_client_option(WebSocketClientOption(reconnect=False))
        .build()
    )
    return DefaultClient(option)


def _on_loop(take: Callable[[Any], Any]) -> Callable[[str, str, Any], None]:
    """The SDK calls back on threads of its own; everything here happens on the loop."""
    loop = asyncio.get_running_loop()
    return lambda topic, subject, event: loop.call_soon_threadsafe(take, event) and None


def _rules(symbols: list[Any]) -> str:
    row = next(symbol for symbol in symbols if symbol.symbol == SYMBOL)
    assert row.enable_trading, row
    rules = (Decimal(row.price_increment), Decimal(row.base_increment), row.fee_currency)
    assert rules == (Decimal("0.0001"), Decimal("0.0001"), "USDT"), rules
    return f"{len(symbols)} symbols; tick {row.price_increment}, lot {row.base_increment}, fees in {row.fee_currency}"


async def _balances_told(trial: Trial, desk: SdkDesk) -> None:
    final = trial.balances()
    told = {asset: final[asset] for asset in ("XRP", "USDT")}
    await until("the last balances", lambda: told.items() <= desk.totals.items())


async def _keep(trial: Trial, client: DefaultClient, desk: SdkDesk) -> None:
    """A book from the SDK's increments; a gap is kept and raised here."""
    with trial.step("book") as say:
        watch = BookWatch(trial, SYMBOL)
        book, faults = DiffBook(watch), []

        def take(event: Any) -> None:
            try:
                changes = event.changes
                book.feed(event.sequence_start, event.sequence_end, changes.bids, changes.asks)
            except AssertionError as error:
                faults.append(error)

        public = client.ws_service().new_spot_public_ws()
        await asyncio.to_thread(public.start)
        await asyncio.to_thread(public.orderbook_increment, [SYMBOL], _on_loop(take))
        await until("messages", lambda: book.waiting() >= 2)
        snapshot = await desk.book()
        book.start(int(snapshot.sequence), snapshot.bids, snapshot.asks)
        try:
            await watch.sample(trial.seconds)
        finally:
            if faults:
                raise faults[0]
        await asyncio.to_thread(public.stop)
        say(f"{trial.seconds:.0f} s, {watch.summary()}, no gap")


asyncio.run(main())
