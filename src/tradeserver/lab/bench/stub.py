"""Just enough of Binance and KuCoin to trade against: answers to the daemon's questions, and a fill for every order.

No matching and no checks: every order is filled in full at its own price, at once. Balances and commissions are
exact, because the daemon compares them with its ledger. Shapes are the documents' (Binance spot API docs, 2026-07-21;
KuCoin docs, 2025-11); rate limits are stated so high that no budget binds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from tradeserver.core.types import plain
from tradeserver.lab.bench.feed import Feed, Sides, names, snapshot

RATE: Final = Decimal("0.001")
PLENTY: Final = Decimal(10) ** 12
MANY: Final = 1_000_000_000


def now_ms() -> int:
    """The venue's clock: ours."""
    return time.time_ns() // 1_000_000


class Placed(msgspec.Struct, rename="camel"):
    """What is read of a Binance `order.place` or a KuCoin `spot.order`, whichever it is."""

    symbol: str
    side: str
    price: Decimal
    quantity: Decimal = Decimal(0)
    size: Decimal = Decimal(0)


class Request(msgspec.Struct):
    """A frame of the daemon on a connection that takes orders or requests."""

    id: str | int
    method: str = ""
    op: str = ""
    params: Placed | None = None
    args: Placed | None = None


order_in: Final = msgspec.json.Decoder(Request).decode


class Accounts:
    """Balances of both venues by (venue, asset)."""

    def __init__(self) -> None:
        self.totals: dict[tuple[str, str], Decimal] = {}

    def move(self, venue: str, asset: str, amount: Decimal) -> str:
        """Add; the new total as text."""
        total = self.totals[venue, asset] = self.totals.get((venue, asset), PLENTY) + amount
        return plain(total)


class Stub:
    """Both venues' answers. `frames` go to ("user" or "orders") connections in the order given."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.accounts = Accounts()
        self._symbols = names(feed.count)
        self._natives = {
            venue: {name.decode(): s for s, (name, _) in zip(self._symbols, feed.native[i], strict=True)}
            for i, venue in enumerate(("binance", "kucoin"))
        }
        self._number = 0
        self._kucoin_fills: dict[str, dict[str, Any]] = {}
        for venue in ("binance", "kucoin"):
            for asset in ["USDT", *(s.split("/")[0] for s in self._symbols)]:
                self.accounts.totals[venue, asset] = PLENTY

    # ---- orders ------------------------------------------------------------------------------------------------------

    def binance_order(self, client_id: str, order: Placed) -> tuple[bytes, list[bytes]]:
        """(answer on the order connection, events on the user connection)."""
        self._number += 1
        number, ms = self._number, now_ms()
        base, quote = self._natives["binance"][order.symbol].split("/")
        price, quantity, side = plain(order.price), plain(order.quantity), order.side
        value = order.price * order.quantity
        if side == "BUY":
            fee, asset = order.quantity * RATE, base
            new_base = self.accounts.move("binance", base, order.quantity - fee)
            new_quote = self.accounts.move("binance", quote, -value)
        else:
            fee, asset = value * RATE, quote
            new_base = self.accounts.move("binance", base, -order.quantity)
            new_quote = self.accounts.move("binance", quote, value - fee)
        paid = plain(fee)
        answer = (
            f'{{"id":"{client_id}","status":200,"result":{{"symbol":"{order.symbol}","orderId":{number},'
            f'"orderListId":-1,"clientOrderId":"{client_id}","transactTime":{ms},"price":"{price}",'
            f'"origQty":"{quantity}","executedQty":"{quantity}","origQuoteOrderQty":"0",'
            f'"cummulativeQuoteQty":"{plain(value)}","status":"FILLED","timeInForce":"IOC","type":"LIMIT",'
            f'"side":"{side}","workingTime":{ms},"selfTradePreventionMode":"NONE","fills":[{{"price":"{price}",'
            f'"qty":"{quantity}","commission":"{paid}","commissionAsset":"{asset}","tradeId":{number}}}]}},'
            f'"rateLimits":[{{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":{MANY},'
            f'"count":1}},{{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":{MANY},"count":1}},'
            f'{{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":{MANY},"count":1}}]}}'
        )
        head = (
            f'{{"subscriptionId":0,"event":{{"e":"executionReport","E":{ms},"s":"{order.symbol}","c":"{client_id}",'
            f'"S":"{side}","o":"LIMIT","f":"IOC","q":"{quantity}","p":"{price}","P":"0","F":"0","g":-1,"C":"",'
        )
        tail = f'"T":{ms},"v":1,"I":{number},"w":false,"m":false,"M":false,"O":{ms},"Q":"0","W":{ms},"V":"NONE"}}}}'
        new = (
            f'{head}"x":"NEW","X":"NEW","r":"NONE","i":{number},"l":"0","z":"0","L":"0","n":"0","N":null,"t":-1,'
            f'"Z":"0","Y":"0",{tail}'
        )
        trade = (
            f'{head}"x":"TRADE","X":"FILLED","r":"NONE","i":{number},"l":"{quantity}","z":"{quantity}",'
            f'"L":"{price}","n":"{paid}","N":"{asset}","t":{number},"Z":"{plain(value)}","Y":"{plain(value)}",{tail}'
        )
        position = (
            f'{{"subscriptionId":0,"event":{{"e":"outboundAccountPosition","E":{ms},"u":{ms},"B":['
            f'{{"a":"{base}","f":"{new_base}","l":"0"}},{{"a":"{quote}","f":"{new_quote}","l":"0"}}]}}}}'
        )
        return answer.encode(), [text.encode() for text in (new, trade, position)]

    def binance_expired(self, client_id: str, order: Placed) -> tuple[bytes, list[bytes]]:
        """The same for an order that found nothing to trade on: it ends at once, and no balance moves."""
        self._number += 1
        number, ms = self._number, now_ms()
        price, quantity, side = plain(order.price), plain(order.quantity), order.side
        answer = (
            f'{{"id":"{client_id}","status":200,"result":{{"symbol":"{order.symbol}","orderId":{number},'
            f'"orderListId":-1,"clientOrderId":"{client_id}","transactTime":{ms},"price":"{price}",'
            f'"origQty":"{quantity}","executedQty":"0","origQuoteOrderQty":"0","cummulativeQuoteQty":"0",'
            f'"status":"EXPIRED","timeInForce":"IOC","type":"LIMIT","side":"{side}","workingTime":{ms},'
            f'"selfTradePreventionMode":"NONE","fills":[]}},"rateLimits":[]}}'
        )
        events = [
            f'{{"subscriptionId":0,"event":{{"e":"executionReport","E":{ms},"s":"{order.symbol}","c":"{client_id}",'
            f'"S":"{side}","o":"LIMIT","f":"IOC","q":"{quantity}","p":"{price}","P":"0","F":"0","g":-1,"C":"",'
            f'"x":"{happened}","X":"{happened}","r":"NONE","i":{number},"l":"0","z":"0","L":"0","n":"0","N":null,'
            f'"t":-1,"Z":"0","Y":"0","T":{ms},"v":1,"I":{number},"w":false,"m":false,"M":false,"O":{ms},"Q":"0",'
            f'"W":{ms},"V":"NONE"}}}}'
            for happened in ("NEW", "EXPIRED")
        ]
        return answer.encode(), [text.encode() for text in events]

    def kucoin_order(self, client_id: str, order: Placed) -> tuple[bytes, list[bytes]]:
        """The same for KuCoin. Its stream does not tell the commission: the fills query does."""
        self._number += 1
        number, ms = self._number, now_ms()
        order_id = f"{number:024x}"
        base, quote = self._natives["kucoin"][order.symbol].split("/")
        price, size, side = plain(order.price), plain(order.size), order.side
        value = order.price * order.size
        fee = value * RATE
        sign = 1 if side == "buy" else -1
        new_base = self.accounts.move("kucoin", base, sign * order.size)
        new_quote = self.accounts.move("kucoin", quote, -sign * value - fee)
        self._kucoin_fills[order_id] = {
            "id": number, "orderId": order_id, "counterOrderId": "c", "tradeId": number, "symbol": order.symbol,
            "side": side, "liquidity": "taker", "type": "limit", "price": price, "size": size, "funds": plain(value),
            "fee": plain(fee), "feeRate": "0.001", "feeCurrency": quote, "createdAt": ms,
        }  # fmt: skip
        if len(self._kucoin_fills) > 10_000:
            del self._kucoin_fills[next(iter(self._kucoin_fills))]
        answer = (
            f'{{"id":"{client_id}","op":"spot.order","code":"200000","data":{{"orderId":"{order_id}",'
            f'"clientOid":"{client_id}"}},"inTime":{ms},"outTime":{ms},"rateLimit":{{"limit":{MANY},"reset":15000,'
            f'"remaining":{MANY - 1}}}}}'
        )
        head = (
            f'{{"topic":"/spotMarket/tradeOrdersV2","type":"message","subject":"orderChange","channelType":"private",'
            f'"data":{{"clientOid":"{client_id}","orderId":"{order_id}","orderTime":{ms},"orderType":"limit",'
            f'"originSize":"{size}","side":"{side}","symbol":"{order.symbol}","ts":{ms}000000,"price":"{price}",'
        )
        received = f'{head}"status":"new","type":"received"}}}}'
        match = (
            f'{head}"status":"match","type":"match","filledSize":"{size}","remainSize":"0","liquidity":"taker",'
            f'"matchPrice":"{price}","matchSize":"{size}","tradeId":"{number}"}}}}'
        )
        filled = f'{head}"status":"done","type":"filled","filledSize":"{size}","canceledSize":"0","remainSize":"0"}}}}'
        balances = [
            f'{{"topic":"/account/balance","type":"message","subject":"account.balance","channelType":"private",'
            f'"data":{{"accountId":"1","currency":"{asset}","total":"{total}","available":"{total}","hold":"0",'
            f'"availableChange":"0","holdChange":"0","relationEvent":"trade.setted","relationEventId":"1",'
            f'"relationContext":{{"symbol":"{order.symbol}","orderId":"{order_id}","tradeId":"{number}"}},'
            f'"time":"{ms}"}}}}'
            for asset, total in ((base, new_base), (quote, new_quote))
        ]
        return answer.encode(), [text.encode() for text in (received, match, filled, *balances)]

    # ---- questions ---------------------------------------------------------------------------------------------------

    def rest(self, path: str, query: Mapping[str, str], sockets: str) -> Any:
        """The body of one answer, None where the question is not known. `sockets` is the base of WebSocket URLs."""
        if path.startswith("/api/v3/market/") or not path.startswith("/api/v3/"):
            data = self._kucoin(path, query, sockets)
            return None if data is None else {"code": "200000", "data": data}
        return self._binance(path, query)

    def _binance(self, path: str, query: Mapping[str, str]) -> Any:
        ms = now_ms()
        match path.removeprefix("/api/v3/"):
            case "time":
                return {"serverTime": ms}
            case "exchangeInfo":
                return {"timezone": "UTC", "serverTime": ms, "rateLimits": LIMITS, "exchangeFilters": [],
                        "symbols": [binance_rules(s) for s in self._symbols]}  # fmt: skip
            case "account/commission":
                rates = {"maker": "0.001", "taker": "0.001", "buyer": "0", "seller": "0"}
                nothing = {"maker": "0", "taker": "0", "buyer": "0", "seller": "0"}
                discount = {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB",
                            "discount": "0.25"}  # fmt: skip
                return {"symbol": query["symbol"], "standardCommission": rates, "specialCommission": nothing,
                        "taxCommission": nothing, "discount": discount}  # fmt: skip
            case "account":
                rows = [{"asset": a, "free": plain(t), "locked": "0"}
                        for (v, a), t in self.accounts.totals.items() if v == "binance"]  # fmt: skip
                return {"makerCommission": 10, "takerCommission": 10, "buyerCommission": 0, "sellerCommission": 0,
                        "canTrade": True, "canWithdraw": False, "canDeposit": True, "updateTime": ms,
                        "accountType": "SPOT", "balances": rows}  # fmt: skip
            case "openOrders" | "myTrades":
                return []
            case "depth":
                number = self._place(0, query["symbol"])
                bids, asks = texts(snapshot(), 8)
                return {"lastUpdateId": self.feed.ids[0][number], "bids": bids, "asks": asks}
        return None

    def _kucoin(self, path: str, query: Mapping[str, str], sockets: str) -> Any:
        match path:
            case "/api/v1/timestamp":
                return now_ms()
            case "/api/v1/status":
                return {"status": "open", "msg": ""}
            case "/api/v2/symbols":
                return [kucoin_rules(s) for s in self._symbols]
            case "/api/v1/trade-fees":
                return [{"symbol": s, "takerFeeRate": "0.001", "makerFeeRate": "0.001"}
                        for s in query["symbols"].split(",")]  # fmt: skip
            case "/api/v1/accounts":
                return [{"id": a, "currency": a, "type": "trade", "balance": plain(t), "available": plain(t),
                         "holds": "0"} for (v, a), t in self.accounts.totals.items() if v == "kucoin"]  # fmt: skip
            case "/api/v1/bullet-public" | "/api/v1/bullet-private":
                channel = "user" if path.endswith("private") else "market"
                server = {"endpoint": f"{sockets}/kucoin/{channel}", "encrypt": True, "protocol": "websocket",
                          "pingInterval": 18_000, "pingTimeout": 10_000}  # fmt: skip
                return {"token": "t", "instanceServers": [server]}
            case "/api/v1/hf/orders/active":
                return []
            case "/api/v1/hf/fills":
                found = self._kucoin_fills.get(query.get("orderId", ""))
                return {"items": [found] if found else [], "lastId": found["id"] if found else 0}
            case "/api/v1/hf/orders/dead-cancel-all":
                return {"currentTime": now_ms() // 1000, "triggerTime": now_ms() // 1000 + 60}
            case "/api/v3/market/orderbook/level2":
                number = self._place(1, query["symbol"])
                bids, asks = texts(snapshot(), 1)
                return {"time": now_ms(), "sequence": str(self.feed.ids[1][number]), "bids": bids, "asks": asks}
        return None

    def _place(self, venue: int, native: str) -> int:
        return [name for name, _ in self.feed.native[venue]].index(native.encode())


LIMITS: Final = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": MANY},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": MANY},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": MANY},
]


def texts(sides: Sides, places: int) -> tuple[list[list[str]], list[list[str]]]:
    """Rows of a snapshot."""
    bids, asks = ([[f"{p:.{places}f}", f"{q:.8f}"] for p, q in side] for side in sides)
    return bids, asks


def binance_rules(symbol: str) -> dict[str, Any]:
    """One row of exchangeInfo."""
    base, quote = symbol.split("/")
    return {
        "symbol": base + quote, "status": "TRADING", "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": quote,
        "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True, "permissions": [], "permissionSets": [["SPOT"]],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
            {"filterType": "NOTIONAL", "minNotional": "5", "maxNotional": "9000000"},
        ],
    }  # fmt: skip


def kucoin_rules(symbol: str) -> dict[str, Any]:
    """One row of the symbols list."""
    base, quote = symbol.split("/")
    return {
        "symbol": f"{base}-{quote}", "name": f"{base}-{quote}", "baseCurrency": base, "quoteCurrency": quote,
        "feeCurrency": quote, "market": quote, "baseMinSize": "0.00001", "quoteMinSize": "0.1",
        "baseMaxSize": "10000000000", "quoteMaxSize": "99999999", "baseIncrement": "0.00000001",
        "quoteIncrement": "0.000001", "priceIncrement": "0.1", "priceLimitRate": "0.1", "isMarginEnabled": True,
        "enableTrading": True, "minFunds": "0.1",
    }  # fmt: skip


def encode(body: Any) -> bytes:
    """JSON."""
    return json.dumps(body, separators=(",", ":")).encode()
