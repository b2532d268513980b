"""Binance's own SDK (binance-sdk-spot). With an HMAC key: orders by REST, user data by a signed subscription. With an
Ed25519 key: session log-on, then everything by the WebSocket API of that session.

The SDK parses each answer and event into its strict models, but keeps no book: the referee keeps one from what the SDK
delivers.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from decimal import Decimal
from typing import Any

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_spot.spot import Spot
from books import BookWatch, DiffBook
from desk import trade
from trial import Fill, Trial, begin, until

SYMBOL = "XRPUSDT"
STATES = {
    "NEW": "open",
    "PARTIALLY_FILLED": "open",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "EXPIRED": "canceled",
}
# What a call is named by REST and by the WebSocket API.
CALLS = {
    "info": ("exchange_info", "exchange_info"),
    "depth": ("depth", "depth"),
    "place": ("new_order", "order_place"),
    "query": ("get_order", "order_status"),
    "cancel": ("delete_order", "order_cancel"),
    "open": ("get_open_orders", "open_orders_status"),
    "fills": ("my_trades", "my_trades"),
    "account": ("get_account", "account_status"),
}


class SdkDesk:
    """Orders by the SDK's calls. `socket`: by the WebSocket API, else by REST."""

    floats = False

    def __init__(self, spot: Spot, *, socket: bool) -> None:
        self._spot = spot
        self._socket = socket
        self._heard: dict[str, list[str]] = defaultdict(list)
        self._heard_fills: dict[str, list[str]] = defaultdict(list)
        self.positions: dict[str, Decimal] = {}
        self.faults: list[str] = []

    async def call(self, name: str, **params: Any) -> Any:
        """The parsed result; the SDK's exception, or its error text as one, when the venue refused."""
        rest, socket = CALLS[name]
        if not self._socket:
            return (await asyncio.to_thread(getattr(self._spot.rest_api, rest), **params)).data()
        answer = (await getattr(self._spot.websocket_api, socket)(**params)).data()
        if isinstance(answer, dict):
            raise ValueError(answer["error"])
        return answer.result

    async def quote(self) -> tuple[Decimal, Decimal]:
        book = await self.call("depth", symbol=SYMBOL, limit=5)
        return Decimal(book.bids[0][0]), Decimal(book.asks[0][0])

    async def limit(self, side: str, quantity: Decimal, price: Decimal, tif: str) -> str:
        extra = {"time_in_force": tif, "price": float(price)}
        return await self._place(side, "LIMIT", quantity, **extra)

    async def market(self, side: str, quantity: Decimal) -> str:
        return await self._place(side, "MARKET", quantity)

    async def _place(self, side: str, kind: str, quantity: Decimal, **extra: Any) -> str:
        order = await self.call("place", symbol=SYMBOL, side=side.upper(), type=kind, quantity=float(quantity), **extra)
        return str(order.order_id)

    async def state(self, order_id: str) -> tuple[str, Decimal]:
        order = await self.call("query", symbol=SYMBOL, order_id=int(order_id))
        return STATES[order.status], Decimal(order.executed_qty)

    async def cancel(self, order_id: str) -> None:
        await self.call("cancel", symbol=SYMBOL, order_id=int(order_id))

    async def open_ids(self) -> set[str]:
        return {str(order.order_id) for order in await self.call("open", symbol=SYMBOL)}

    async def refused(self, quantity: Decimal) -> str:
        try:
            await self.market("sell", quantity)
        except Exception as error:
            text = f"{type(error).__name__} {getattr(error, 'status_code', '')} {error}"
            assert "insufficient balance" in text, text
            assert "-2010" in text, text
            return type(error).__name__ + " -2010"
        raise AssertionError(f"a sale of {quantity} was accepted")

    async def fills(self) -> list[Fill]:
        return [
            Fill(
                order_id=str(row.order_id),
                trade_id=str(row.id),
                side="buy" if row.is_buyer else "sell",
                price=Decimal(row.price),
                quantity=Decimal(row.qty),
                fee=Decimal(row.commission),
                fee_asset=row.commission_asset,
                maker=row.is_maker,
            )
            for row in await self.call("fills", symbol=SYMBOL, limit=1000)
        ]

    async def balances(self) -> dict[str, Decimal]:
        rows = (await self.call("account")).balances
        return {row.asset: Decimal(row.free) + Decimal(row.locked) for row in rows}

    # ---- what the stream told ----------------------------------------------------------------------------------------

    def on_event(self, event: Any) -> None:
        """One event of the user data stream in the SDK's model; a plain dict is one that its model refused."""
        report = event.actual_instance
        kind = type(report).__name__
        if kind == "ExecutionReport":
            order = str(report.i)
            self._heard[order].append(STATES[report.X])
            if report.x == "TRADE":
                self._heard_fills[order].append(str(report.t))
        elif kind == "OutboundAccountPosition":
            self.positions |= {row.a: Decimal(row.f) + Decimal(row.l) for row in report.B}
        else:
            self.faults.append(f"{kind}: {report}")

    def heard(self, order_id: str) -> list[str] | None:
        assert not self.faults, self.faults[0]
        return self._heard[order_id]

    def heard_fills(self, order_id: str) -> set[str]:
        told = self._heard_fills[order_id]
        assert len(told) == len(set(told)), f"a fill of {order_id} was told twice"
        return set(told)


async def main() -> None:
    """The whole run."""
    trial = begin()
    spot = _client(trial)
    logged_on = bool(trial.account["private_key"])
    desk = SdkDesk(spot, socket=logged_on)
    socket, streams = spot.websocket_api, spot.websocket_streams
    await socket.create_connection()
    await streams.create_connection()
    if logged_on:
        with trial.step("log-on") as say:
            answer = (await socket.session_logon()).data()
            assert answer.result.api_key == trial.account["key"], answer
            say("session.logon with Ed25519; no later request is signed")
    with trial.step("rules") as say:
        say(_rules((await desk.call("info", symbol=SYMBOL)).symbols[0]))
    user = await (socket.user_data_stream_subscribe() if logged_on else socket.user_data_stream_subscribe_signature())
    user.stream.on("message", desk.on_event)
    watch = BookWatch(trial, SYMBOL)
    keeping = asyncio.create_task(_keep(trial, desk, streams, watch))
    await trade(trial, desk)
    with trial.step("balance stream"):
        final = trial.balances()
        told = {asset: final[asset] for asset in ("XRP", "USDT")}
        await until("the last balances", lambda: told.items() <= desk.positions.items())
    await keeping
    await streams.close_connection()
    await socket.close_connection()


def _client(trial: Trial) -> Spot:
    """Base path and stream addresses are settings of the SDK."""
    account, urls = trial.account, trial.urls
    key = {"api_key": account["key"]}
    key |= {"private_key": account["private_key"]} if account["private_key"] else {"api_secret": account["secret"]}
    return Spot(
        config_rest_api=ConfigurationRestAPI(base_path=urls["rest"], timeout=10_000, **key),
        config_ws_api=ConfigurationWebSocketAPI(stream_url=urls["ws_api"], **key),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=urls["stream"]),
    )


def _rules(symbol: Any) -> str:
    filters = {rule.actual_instance.filter_type: rule.actual_instance for rule in symbol.filters}
    assert (symbol.base_asset, symbol.quote_asset, symbol.status) == ("XRP", "USDT", "TRADING"), symbol
    tick, lot = filters["PRICE_FILTER"].tick_size, filters["LOT_SIZE"].step_size
    assert (Decimal(tick), Decimal(lot)) == (Decimal("0.0001"), Decimal("0.1")), (tick, lot)
    return f"{', '.join(sorted(filters))}; tick {tick}, lot {lot}"


async def _keep(trial: Trial, desk: SdkDesk, streams: Any, watch: BookWatch) -> None:
    """A book from the SDK's diff stream; a gap raises in the SDK's callback, so it is kept and raised here."""
    with trial.step("book") as say:
        book, faults = DiffBook(watch), []
        stream = await streams.diff_book_depth(symbol=SYMBOL.lower(), update_speed="100ms")

        def take(message: Any) -> None:
            try:
                book.feed(message.U, message.u, message.b, message.a)
            except AssertionError as error:
                faults.append(error)
                raise

        stream.on("message", take)
        await until("messages", lambda: book.waiting() >= 2)
        snapshot = await desk.call("depth", symbol=SYMBOL, limit=1000)
        book.start(snapshot.last_update_id, snapshot.bids, snapshot.asks)
        try:
            await watch.sample(trial.seconds)
        finally:
            if faults:
                raise faults[0]
        say(f"{trial.seconds:.0f} s, {watch.summary()}, no gap")


asyncio.run(main())
