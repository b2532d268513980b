"""The shapes of KuCoin spot messages, classic dialect: REST, bullet WebSocket, WebSocket order entry.

Shapes only: no rule, no signature, no sequence arithmetic. `N` is the type of every number that KuCoin writes as a JSON
string: the trader decodes market data with `N = float` (`strict=False`) and money with `N = Decimal`; the simulator
encodes `Decimal` or `str`. Numbers that KuCoin writes as JSON numbers are `int`. Fields that KuCoin leaves out are
`UNSET`, fields that it sends as `null` are `None`. Unknown fields are ignored.

Sources: KuCoin classic spot API (REST and WebSocket pages, 2025-11) and the WebSocket order entry page.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

Digits = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,19}$")]
"""A whole number that KuCoin writes as a string: a sequence, a time."""

N = TypeVar("N")
D = TypeVar("D")

OK = "200000"
"""The `code` of every success, REST and order entry."""

# ---- REST: the envelope and what is in it ---------------------------------------------------------------------------


class Envelope(msgspec.Struct, Generic[D], frozen=True):
    """Every REST answer: `{"code":"200000","data":..}`; an error has `msg` and no data, often with HTTP 200."""

    code: str
    data: D | UnsetType = UNSET
    msg: str | UnsetType | None = UNSET


class Page(msgspec.Struct, Generic[D], frozen=True, rename="camel"):
    """HF lists: `lastId` is the cursor for the next page."""

    last_id: int
    items: list[D]


class ServiceStatus(msgspec.Struct, frozen=True):
    """`GET /api/v1/status`."""

    status: str  # open, close, cancelonly
    msg: str = ""


class SymbolRow(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """One row of `GET /api/v2/symbols`. The fields below `enable_trading` are missing in the v1 form."""

    symbol: str
    name: str
    base_currency: str
    quote_currency: str
    fee_currency: str
    market: str | None
    base_min_size: N
    quote_min_size: N
    base_max_size: N
    quote_max_size: N | None
    base_increment: N
    quote_increment: N
    price_increment: N
    price_limit_rate: N | None
    is_margin_enabled: bool
    enable_trading: bool
    min_funds: N | UnsetType | None = UNSET
    fee_category: int | UnsetType = UNSET
    maker_fee_coefficient: N | UnsetType = UNSET
    taker_fee_coefficient: N | UnsetType = UNSET
    st: bool | UnsetType = UNSET
    callauction_is_enabled: bool | UnsetType = UNSET
    callauction_price_floor: N | UnsetType | None = UNSET
    callauction_price_ceiling: N | UnsetType | None = UNSET
    callauction_first_stage_start_time: int | UnsetType | None = UNSET
    callauction_second_stage_start_time: int | UnsetType | None = UNSET
    callauction_third_stage_start_time: int | UnsetType | None = UNSET
    trading_start_time: int | UnsetType | None = UNSET


class CurrencyRow(msgspec.Struct, frozen=True, rename="camel"):
    """One row of `GET /api/v3/currencies`, without what concerns deposits and withdrawals."""

    currency: str
    name: str
    full_name: str
    precision: int
    confirms: int | None
    contract_address: str | None
    is_margin_enabled: bool
    is_debit_enabled: bool
    chains: list[dict[str, object]]


class BookRows(msgspec.Struct, Generic[N], frozen=True):
    """`GET /api/v3/market/orderbook/level2` (signed, whole) and `/api/v1/market/orderbook/level2_{20,100}`.

    Rows are `[price, size]`, best first; `sequence` is a string here and a number on the stream.
    """

    time: int
    sequence: Digits
    bids: list[tuple[N, N]]
    asks: list[tuple[N, N]]


class Ticker(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """`GET /api/v1/market/orderbook/level1` and the data of `/market/ticker:S`."""

    sequence: Digits
    price: N
    size: N
    best_ask: N
    best_ask_size: N
    best_bid: N
    best_bid_size: N
    time: int | UnsetType = UNSET


class TickerRow(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """One row of `GET /api/v1/market/allTickers`."""

    symbol: str
    symbol_name: str
    buy: N | None
    best_bid_size: N | None
    sell: N | None
    best_ask_size: N | None
    change_rate: N | None
    change_price: N | None
    high: N | None
    low: N | None
    vol: N | None
    vol_value: N | None
    last: N | None
    average_price: N | None
    taker_fee_rate: N
    maker_fee_rate: N
    taker_coefficient: N
    maker_coefficient: N


class AllTickers(msgspec.Struct, Generic[N], frozen=True):
    """`GET /api/v1/market/allTickers`."""

    time: int
    ticker: list[TickerRow[N]]


class Stats(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """`GET /api/v1/market/stats`."""

    time: int
    symbol: str
    buy: N | None
    sell: N | None
    change_rate: N | None
    change_price: N | None
    high: N | None
    low: N | None
    vol: N | None
    vol_value: N | None
    last: N | None
    average_price: N | None
    taker_fee_rate: N
    maker_fee_rate: N
    taker_coefficient: N
    maker_coefficient: N


class HistoryTrade(msgspec.Struct, Generic[N], frozen=True):
    """One row of `GET /api/v1/market/histories`; `time` in ns."""

    sequence: str
    price: N
    size: N
    side: Literal["buy", "sell"]
    time: int


Candle = tuple[N, N, N, N, N, N, N]
"""A row of `GET /api/v1/market/candles`: start (s), open, **close**, high, low, volume, turnover; newest first."""


class InstanceServer(msgspec.Struct, frozen=True, rename="camel"):
    """Where a bullet token is good, and the ping rule in ms."""

    endpoint: str
    encrypt: bool = True
    protocol: str = "websocket"
    ping_interval: int = 18_000
    ping_timeout: int = 10_000


class Bullet(msgspec.Struct, frozen=True, rename="camel"):
    """`POST /api/v1/bullet-public` and `-private`: connect to `endpoint?token=..&connectId=..`."""

    token: str
    instance_servers: list[InstanceServer]


class AccountRow(msgspec.Struct, Generic[N], frozen=True):
    """One row of `GET /api/v1/accounts`; `balance` = `available` + `holds`."""

    id: str
    currency: str
    type: str
    balance: N
    available: N
    holds: N


class FeeRate(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """`GET /api/v1/trade-fees` (a list, with symbol) and `/api/v1/base-fee` (one, without)."""

    taker_fee_rate: N
    maker_fee_rate: N
    symbol: str | UnsetType = UNSET


class NewOrder(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """The body of `POST /api/v1/hf/orders[/sync|/test]`, `args` of `spot.order`. Times in ms, `cancel_after` in s."""

    symbol: str
    side: Literal["buy", "sell"]
    type: Literal["limit", "market"] = "limit"
    client_oid: str | UnsetType = UNSET
    price: N | UnsetType = UNSET
    size: N | UnsetType = UNSET
    funds: N | UnsetType = UNSET
    time_in_force: Literal["GTC", "GTT", "IOC", "FOK"] | UnsetType = UNSET
    cancel_after: int | UnsetType = UNSET
    post_only: bool | UnsetType = UNSET
    hidden: bool | UnsetType = UNSET
    iceberg: bool | UnsetType = UNSET
    visible_size: N | UnsetType = UNSET
    stp: str | UnsetType = UNSET
    remark: str | UnsetType = UNSET
    tags: str | UnsetType = UNSET
    client_timestamp: int | UnsetType = UNSET
    allow_max_time_window: int | UnsetType = UNSET


class NewOrders(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """The body of `POST /api/v1/hf/orders/multi[/sync]`."""

    order_list: list[NewOrder[N]]


class AlterOrder(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `POST /api/v1/hf/orders/alter`: which order, and what to change of it."""

    symbol: str
    order_id: str | UnsetType = UNSET
    client_oid: str | UnsetType = UNSET
    new_price: str | UnsetType = UNSET
    new_size: str | UnsetType = UNSET


class AlteredIds(msgspec.Struct, frozen=True, rename="camel"):
    """Its answer: the order that took the old one's place."""

    new_order_id: str
    client_oid: str


class OrderIds(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to a placement or a cancel: only that the venue heard it. A cancel repeats the id it was asked by."""

    order_id: str | UnsetType = UNSET
    client_oid: str | UnsetType = UNSET
    success: bool | UnsetType = UNSET  # batch rows only
    fail_msg: str | UnsetType = UNSET


class OrderResult(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """The answer to a `/sync` placement or cancel, after matching. Times in ms."""

    origin_size: N | UnsetType = UNSET
    deal_size: N | UnsetType = UNSET
    remain_size: N | UnsetType = UNSET
    canceled_size: N | UnsetType = UNSET
    status: Literal["open", "done"] | UnsetType = UNSET
    order_id: str | UnsetType = UNSET
    client_oid: str | UnsetType = UNSET
    order_time: int | UnsetType = UNSET
    match_time: int | UnsetType = UNSET
    success: bool | UnsetType = UNSET  # batch rows only
    fail_msg: str | UnsetType = UNSET


class CancelledAll(msgspec.Struct, frozen=True, rename="camel"):
    """`DELETE /api/v1/hf/orders/cancelAll`. (By symbol the data is the string "success".)"""

    succeed_symbols: list[str]
    failed_symbols: list[dict[str, str]] = []


class Order(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """An order as `/api/v1/hf/orders/{id}`, `/client-order/{oid}`, `/active` and `/done` show it. Times in ms.

    `active` is "still open". Mind the two l's: REST says `cancelledSize`, the stream `canceledSize`.
    """

    id: str
    symbol: str
    type: str
    side: Literal["buy", "sell"]
    price: N
    size: N
    funds: N
    deal_size: N
    deal_funds: N
    remain_size: N
    remain_funds: N
    cancelled_size: N
    cancelled_funds: N
    fee: N
    fee_currency: str
    time_in_force: str
    active: bool
    in_order_book: bool
    cancel_exist: bool
    created_at: int
    last_updated_at: int
    client_oid: str | None = None  # orders placed by hand may have none
    op_type: str = "DEAL"
    stp: str | None = None
    post_only: bool = False
    hidden: bool = False
    iceberg: bool = False
    visible_size: str = "0"
    cancel_after: int = 0
    channel: str = "API"
    remark: str | None = None
    tags: str | None = None
    trade_type: str = "TRADE"
    tax: str = "0"


class ActiveSymbols(msgspec.Struct, frozen=True, rename="camel"):
    """`GET /api/v1/hf/orders/active/symbols`."""

    symbol_size: int
    symbols: list[str]


class Fill(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """One row of `GET /api/v1/hf/fills` (in a `Page`). Time in ms. The only place that tells the fee of a fill."""

    id: int
    order_id: str
    counter_order_id: str
    trade_id: int
    symbol: str
    side: Literal["buy", "sell"]
    liquidity: Literal["taker", "maker"]
    type: str
    price: N
    size: N
    funds: N
    fee: N
    fee_rate: N
    fee_currency: str
    created_at: int
    force_taker: bool = False
    stop: str = ""
    trade_type: str = "TRADE"
    tax_rate: str = "0"
    tax: str = "0"


class DeadMan(msgspec.Struct, frozen=True):
    """The body of `POST /api/v1/hf/orders/dead-cancel-all`: seconds, -1 switches it off; symbols joined by commas."""

    timeout: int
    symbols: str | UnsetType = UNSET


class DeadManSet(msgspec.Struct, frozen=True, rename="camel"):
    """Its answer, in s."""

    current_time: int
    trigger_time: int


# ---- the bullet WebSocket -------------------------------------------------------------------------------------------


class Frame(msgspec.Struct, frozen=True):
    """Any frame of the server, before one knows what it is: `welcome`, `ack`, `pong`, `error`, `message`.

    `{"id":"x","type":"welcome"}`, `{"id":"1","type":"error","code":404,"data":"topic .. is not found"}`.
    """

    type: str
    id: str | UnsetType = UNSET
    topic: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    code: int | UnsetType = UNSET
    data: msgspec.Raw | UnsetType = UNSET


class Control(msgspec.Struct, frozen=True, omit_defaults=True):
    """`welcome` (id = connectId), `ack` and `pong` (id of what they answer, always a string)."""

    id: str
    type: Literal["welcome", "ack", "pong", "ping"]


class ErrorFrame(msgspec.Struct, frozen=True):
    """`{"id":"1","type":"error","code":404,"data":"topic /market/x:Y is not found"}`. Without an id: no session."""

    code: int
    data: str
    type: Literal["error"] = "error"
    id: str | UnsetType = UNSET


class Subscribe(msgspec.Struct, frozen=True, rename="camel"):
    """What the client sends: `type` is subscribe, unsubscribe or ping; only `id` comes with a ping."""

    id: str | int
    type: str
    topic: str | UnsetType = UNSET
    private_channel: bool | UnsetType = UNSET
    response: bool | UnsetType = UNSET


class Message(msgspec.Struct, Generic[D], frozen=True, rename="camel"):
    """One push. Private ones carry `userId` and `channelType`, balances an `id` as well."""

    topic: str
    subject: str
    data: D
    type: Literal["message"] = "message"
    id: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET
    channel_type: str | UnsetType = UNSET


class Changes(msgspec.Struct, Generic[N], frozen=True, gc=False):
    """Rows are `[price, size, sequence]`: size 0 removes, price 0 changes no level."""

    asks: list[tuple[N, N, str]]
    bids: list[tuple[N, N, str]]


class Level2Update(msgspec.Struct, Generic[N], frozen=True, gc=False, rename="camel", omit_defaults=True):
    """`/market/level2:S`, subject `trade.l2update`; `time` in ms (absent in 2021)."""

    changes: Changes[N]
    sequence_start: int
    sequence_end: int
    symbol: str
    time: int = 0


class Level1(msgspec.Struct, Generic[N], frozen=True, gc=False):
    """`/spotMarket/level1:S`, subject `level1`: one `[price, size]` per side, no sequence. `timestamp` in ms."""

    asks: list[N]
    bids: list[N]
    timestamp: int


class Depth(msgspec.Struct, Generic[N], frozen=True):
    """`/spotMarket/level2Depth5:S` and `level2Depth50:S`, subject `level2`. `timestamp` in ms."""

    asks: list[tuple[N, N]]
    bids: list[tuple[N, N]]
    timestamp: int


class Match(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """`/market/match:S`, subject `trade.l3match`: a public trade. `side` is the taker's; `time` is ns in a string."""

    maker_order_id: str
    price: N
    sequence: str
    side: Literal["buy", "sell"]
    size: N
    symbol: str
    taker_order_id: str
    time: Digits
    trade_id: str
    type: str = "match"


class CandleUpdate(msgspec.Struct, Generic[N], frozen=True):
    """`/market/candles:S_1min`, subject `trade.candles.update` or `.add`; `time` in ns."""

    symbol: str
    candles: Candle[N]
    time: int


class Level2Push(msgspec.Struct, Generic[N], frozen=True, gc=False, tag_field="subject", tag="trade.l2update"):
    """A push read by its `subject`; so are the next three. Together they are what a market channel hears."""

    topic: str
    data: Level2Update[N]


class Level1Push(msgspec.Struct, Generic[N], frozen=True, gc=False, tag_field="subject", tag="level1"):
    """See `Level2Push`."""

    topic: str
    data: Level1[N]


class TickerPush(msgspec.Struct, Generic[N], frozen=True, gc=False, tag_field="subject", tag="trade.ticker"):
    """See `Level2Push`. (`/market/ticker:all` puts the symbol into the subject and is not read by this.)"""

    topic: str
    data: Ticker[N]


class MatchPush(msgspec.Struct, Generic[N], frozen=True, gc=False, tag_field="subject", tag="trade.l3match"):
    """See `Level2Push`."""

    topic: str
    data: Match[N]


class OrderEvent(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """`/spotMarket/tradeOrdersV2` (`tradeOrders` is the same without `received`), subject `orderChange`.

    `order_time` in ms, `ts` in ns. A fill (`type` match) says price, size, id and liquidity, but not the fee.
    """

    order_id: str
    order_time: int
    order_type: str
    origin_size: N
    side: Literal["buy", "sell"]
    status: str  # new, open, match, done
    symbol: str
    ts: int
    type: str  # received, open, match, update, filled, canceled
    client_oid: str | None = None  # orders placed by hand may have none
    canceled_size: N | UnsetType = UNSET
    filled_size: N | UnsetType = UNSET
    price: N | UnsetType = UNSET
    remain_funds: N | UnsetType = UNSET
    remain_size: N | UnsetType = UNSET
    size: N | UnsetType = UNSET
    old_size: N | UnsetType = UNSET
    fee_type: str | UnsetType = UNSET
    liquidity: Literal["taker", "maker"] | UnsetType = UNSET
    match_price: N | UnsetType = UNSET
    match_size: N | UnsetType = UNSET
    trade_id: str | UnsetType = UNSET


class RelationContext(msgspec.Struct, frozen=True, rename="camel"):
    """What a balance change belongs to."""

    symbol: str | UnsetType = UNSET
    order_id: str | UnsetType = UNSET
    trade_id: str | UnsetType = UNSET


class BalanceEvent(msgspec.Struct, Generic[N], frozen=True, rename="camel"):
    """`/account/balance`, subject `account.balance`: absolute figures of one currency. `time` is ms in a string."""

    account_id: str
    currency: str
    total: N
    available: N
    hold: N
    available_change: N
    hold_change: N
    time: Digits
    relation_event: str | None = None
    relation_event_id: str | None = None
    relation_context: RelationContext | None = None


class OrderPush(msgspec.Struct, Generic[N], frozen=True, tag_field="subject", tag="orderChange"):
    """A private push read by its `subject`."""

    topic: str
    data: OrderEvent[N]


class BalancePush(msgspec.Struct, Generic[N], frozen=True, tag_field="subject", tag="account.balance"):
    """A private push read by its `subject`."""

    topic: str
    data: BalanceEvent[N]


# ---- WebSocket order entry ------------------------------------------------------------------------------------------


class Challenge(msgspec.Struct, frozen=True, rename="camel"):
    """The first frame of the server. It wants the base64 HMAC of this very text back, as plain text."""

    session_id: str
    timestamp: int


class SessionWelcome(msgspec.Struct, frozen=True, rename="camel"):
    """The challenge was answered well. Ping rule in ms."""

    session_id: str
    data: Literal["welcome"] = "welcome"
    ping_interval: int = 18_000
    ping_timeout: int = 10_000


class CancelArgs(msgspec.Struct, frozen=True, rename="camel"):
    """`args` of `spot.cancel` and `spot.sync_cancel`: one of the two ids."""

    symbol: str
    order_id: str | UnsetType = UNSET
    client_oid: str | UnsetType = UNSET


class Operation(msgspec.Struct, Generic[D], frozen=True):
    """What the client sends: `op` is spot.[sync_]order or spot.[sync_]cancel with `args`, or ping with `timestamp`."""

    id: str
    op: str
    args: D | UnsetType = UNSET
    timestamp: int | UnsetType = UNSET


class RateLimit(msgspec.Struct, frozen=True):
    """What is left of the pool; `reset` in ms from now."""

    limit: int
    reset: int
    remaining: int


class OperationAnswer(msgspec.Struct, Generic[D], frozen=True, rename="camel"):
    """The answer, under the operation's id. Times in ms. A pong is `{"id","op":"pong","timestamp"}`."""

    id: str | UnsetType = UNSET
    op: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    data: D | UnsetType | None = UNSET
    msg: str | UnsetType | None = UNSET
    in_time: int | UnsetType = UNSET
    out_time: int | UnsetType = UNSET
    rate_limit: RateLimit | UnsetType = UNSET
    user_rate_limit: RateLimit | UnsetType = UNSET
    timestamp: int | UnsetType = UNSET
