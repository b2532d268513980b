"""The shapes of Binance spot's messages, and nothing else: no rule, no default of the venue, no behaviour.

Every struct is generic in the number type `N`, because numbers are strings on the wire. Who reads market data decodes
`DepthUpdate[float]` with `strict=False`; who reads money decodes `OrderAnswer[Decimal]`; who writes encodes either
`[Decimal]` or `[str]` (msgspec writes a Decimal as `str()` does, so `Decimal("0E-8")` becomes "0E-8": writers that care
for plain notation hand in strings). Times are the venue's integers, milliseconds unless microseconds were asked for.

Fields that the venue sends only sometimes are `UNSET` when absent and are then left out again. Unknown fields are
ignored. One-letter fields carry readable names here; the comment or name tells the letter.

Source: Binance spot API docs of 2026-07-21: rest-api.md, web-socket-api.md, web-socket-streams.md, user-data-stream.md,
filters.md, enums.md.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field

N = TypeVar("N")
"""The number type: `float`, `Decimal` or `str`."""

D = TypeVar("D")
"""The payload type of an envelope."""

BuyOrSell = Literal["BUY", "SELL"]

RequestId = int | str | None
"""An id is an int64, a string of at most 36 characters, or null, and is echoed as it came."""


# ---- general --------------------------------------------------------------------------------------------------------


class ErrorBody(Struct, kw_only=True, omit_defaults=True):
    """`{"code":-1121,"msg":"Invalid symbol."}`: the body of every HTTP 4xx/5xx and the `error` of a WS API answer."""

    code: int
    msg: str
    data: Raw | UnsetType = UNSET  # WS API: `Throttle`; cancelReplace: `CancelReplace`


class Throttle(Struct, kw_only=True, rename="camel"):
    """`error.data` of a WS API answer with status 418 or 429. `retry_after` is an absolute time in ms."""

    server_time: int
    retry_after: int


class RateLimit(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """One limit, in exchangeInfo (without `count`) and in WS API answers (with it)."""

    rate_limit_type: str  # REQUEST_WEIGHT, ORDERS, RAW_REQUESTS, CONNECTIONS
    interval: str  # SECOND, MINUTE, DAY
    interval_num: int
    limit: int
    count: int | UnsetType = UNSET


class ServerTime(Struct, kw_only=True, rename="camel"):
    """`GET /api/v3/time`, WS API `time`."""

    server_time: int


# ---- exchangeInfo ---------------------------------------------------------------------------------------------------


class Filter(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """Any symbol or exchange filter; `filter_type` says which of the fields are there."""

    filter_type: str
    # PRICE_FILTER
    min_price: N | UnsetType = UNSET
    max_price: N | UnsetType = UNSET
    tick_size: N | UnsetType = UNSET
    # LOT_SIZE, MARKET_LOT_SIZE
    min_qty: N | UnsetType = UNSET
    max_qty: N | UnsetType = UNSET
    step_size: N | UnsetType = UNSET
    # MIN_NOTIONAL, NOTIONAL
    min_notional: N | UnsetType = UNSET
    apply_to_market: bool | UnsetType = UNSET
    apply_min_to_market: bool | UnsetType = UNSET
    max_notional: N | UnsetType = UNSET
    apply_max_to_market: bool | UnsetType = UNSET
    # PERCENT_PRICE, PERCENT_PRICE_BY_SIDE
    multiplier_up: N | UnsetType = UNSET
    multiplier_down: N | UnsetType = UNSET
    bid_multiplier_up: N | UnsetType = UNSET
    bid_multiplier_down: N | UnsetType = UNSET
    ask_multiplier_up: N | UnsetType = UNSET
    ask_multiplier_down: N | UnsetType = UNSET
    avg_price_mins: int | UnsetType = UNSET
    # counts
    limit: int | str | UnsetType = UNSET  # ICEBERG_PARTS a number, MAX_ASSET a string
    max_num_orders: int | UnsetType = UNSET
    max_num_algo_orders: int | UnsetType = UNSET
    max_num_iceberg_orders: int | UnsetType = UNSET
    max_num_order_lists: int | UnsetType = UNSET
    max_num_order_amends: int | UnsetType = UNSET
    max_position: N | UnsetType = UNSET
    asset: str | UnsetType = UNSET
    # TRAILING_DELTA, in basis points
    min_trailing_above_delta: int | UnsetType = UNSET
    max_trailing_above_delta: int | UnsetType = UNSET
    min_trailing_below_delta: int | UnsetType = UNSET
    max_trailing_below_delta: int | UnsetType = UNSET


class SymbolInfo(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """One symbol of exchangeInfo. `status`: TRADING, HALT, BREAK, END_OF_DAY, CANCEL_ONLY."""

    symbol: str
    status: str
    base_asset: str
    base_asset_precision: int
    quote_asset: str
    quote_precision: int | UnsetType = UNSET
    quote_asset_precision: int
    base_commission_precision: int | UnsetType = UNSET
    quote_commission_precision: int | UnsetType = UNSET
    order_types: list[str]
    iceberg_allowed: bool | UnsetType = UNSET
    oco_allowed: bool | UnsetType = UNSET
    oto_allowed: bool | UnsetType = UNSET
    opo_allowed: bool | UnsetType = UNSET
    quote_order_qty_market_allowed: bool | UnsetType = UNSET
    allow_trailing_stop: bool | UnsetType = UNSET
    cancel_replace_allowed: bool | UnsetType = UNSET
    amend_allowed: bool | UnsetType = UNSET
    peg_instructions_allowed: bool | UnsetType = UNSET
    is_spot_trading_allowed: bool | UnsetType = UNSET
    is_margin_trading_allowed: bool | UnsetType = UNSET
    filters: list[Filter[N]]
    permissions: list[str] | UnsetType = UNSET
    permission_sets: list[list[str]] | UnsetType = UNSET
    default_self_trade_prevention_mode: str | UnsetType = UNSET
    allowed_self_trade_prevention_modes: list[str] | UnsetType = UNSET


class Sor(Struct, kw_only=True, rename="camel"):
    """A base asset whose orders the venue may route smartly between symbols."""

    base_asset: str
    symbols: list[str]


class ExchangeInfo(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """`GET /api/v3/exchangeInfo`, WS API `exchangeInfo`."""

    timezone: str
    server_time: int
    rate_limits: list[RateLimit]
    exchange_filters: list[Filter[N]]
    symbols: list[SymbolInfo[N]]
    sors: list[Sor] | UnsetType = UNSET


class MyFilters(Struct, Generic[N], kw_only=True, rename="camel"):
    """`GET /api/v3/myFilters`, WS API `myFilters`: what bounds this account on one symbol."""

    exchange_filters: list[Filter[N]]
    symbol_filters: list[Filter[N]]
    asset_filters: list[Filter[N]]


# ---- market data by REST --------------------------------------------------------------------------------------------


class DepthSnapshot(Struct, Generic[N], kw_only=True, rename="camel"):
    """`GET /api/v3/depth`, and the payload of a partial depth stream (`@depth5|10|20`), which names no symbol."""

    last_update_id: int
    bids: list[tuple[N, N]]  # (price, quantity), best first
    asks: list[tuple[N, N]]


class PublicTrade(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """One row of `GET /api/v3/trades`."""

    id: int
    price: N
    qty: N
    quote_qty: N
    time: int
    is_buyer_maker: bool
    is_best_match: bool | UnsetType = UNSET


class KlineRow(Struct, Generic[N], array_like=True):
    """One row of `GET /api/v3/klines`: an array of 12."""

    open_time: int
    open: N
    high: N
    low: N
    close: N
    volume: N
    close_time: int
    quote_volume: N
    trades: int
    taker_buy_base: N
    taker_buy_quote: N
    unused: str


class RestBookTicker(Struct, Generic[N], kw_only=True, rename="camel"):
    """`GET /api/v3/ticker/bookTicker`, WS API `ticker.book`: one object for a `symbol`, else an array."""

    symbol: str
    bid_price: N
    bid_qty: N
    ask_price: N
    ask_qty: N


class PriceTicker(Struct, Generic[N], kw_only=True):
    """`GET /api/v3/ticker/price`."""

    symbol: str
    price: N


class ReferencePrice(Struct, Generic[N], kw_only=True, rename="camel"):
    """`GET /api/v3/referencePrice`, WS API `referencePrice`: null where the symbol has none now."""

    symbol: str
    reference_price: N | None
    timestamp: int


# ---- orders ---------------------------------------------------------------------------------------------------------


class OrderFill(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """One fill inside a FULL answer."""

    price: N
    qty: N
    commission: N
    commission_asset: str
    trade_id: int
    match_type: str | UnsetType = UNSET
    alloc_id: int | UnsetType = UNSET


class OrderAnswer(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """The answer to a new order: ACK has the first five fields, RESULT all but `fills`, FULL all."""

    symbol: str
    order_id: int
    order_list_id: int
    client_order_id: str
    transact_time: int
    price: N | UnsetType = UNSET
    orig_qty: N | UnsetType = UNSET
    executed_qty: N | UnsetType = UNSET
    orig_quote_order_qty: N | UnsetType = UNSET
    cummulative_quote_qty: N | UnsetType = UNSET  # spelt so by the venue
    status: str | UnsetType = UNSET
    time_in_force: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    side: BuyOrSell | UnsetType = UNSET
    stop_price: N | UnsetType = UNSET
    iceberg_qty: N | UnsetType = UNSET
    strategy_id: int | UnsetType = UNSET
    strategy_type: int | UnsetType = UNSET
    working_time: int | UnsetType = UNSET
    working_floor: str | UnsetType = UNSET
    used_sor: bool | UnsetType = UNSET
    self_trade_prevention_mode: str | UnsetType = UNSET
    prevented_match_id: int | UnsetType = UNSET
    prevented_quantity: N | UnsetType = UNSET
    expiry_reason: str | UnsetType = UNSET
    fills: list[OrderFill[N]] | UnsetType = UNSET


class CancelAnswer(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """The answer to a cancel. `client_order_id` is the *cancel's* id, `orig_client_order_id` the order's."""

    symbol: str
    orig_client_order_id: str
    order_id: int
    order_list_id: int
    client_order_id: str
    transact_time: int
    price: N
    orig_qty: N
    executed_qty: N
    orig_quote_order_qty: N | UnsetType = UNSET
    cummulative_quote_qty: N
    status: str
    time_in_force: str
    type: str
    side: BuyOrSell
    stop_price: N | UnsetType = UNSET
    trailing_delta: int | UnsetType = UNSET
    trailing_time: int | UnsetType = UNSET
    iceberg_qty: N | UnsetType = UNSET
    strategy_id: int | UnsetType = UNSET
    strategy_type: int | UnsetType = UNSET
    working_time: int | UnsetType = UNSET
    self_trade_prevention_mode: str | UnsetType = UNSET


class OrderListMember(Struct, kw_only=True, rename="camel"):
    """One order's name inside an order list."""

    symbol: str
    order_id: int
    client_order_id: str


class OrderListReport(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """An order list; stands between `CancelAnswer`s in the answer to a cancel-all."""

    order_list_id: int
    contingency_type: str
    list_status_type: str
    list_order_status: str
    list_client_order_id: str
    transaction_time: int
    symbol: str
    orders: list[OrderListMember]
    order_reports: list[CancelAnswer[N]] | UnsetType = UNSET


class CancelReplace(Struct, kw_only=True, rename="camel"):
    """`POST /api/v3/order/cancelReplace`: each half is an answer, an `ErrorBody` or null."""

    cancel_result: str  # SUCCESS, FAILURE
    new_order_result: str  # SUCCESS, FAILURE, NOT_ATTEMPTED
    cancel_response: Raw
    new_order_response: Raw


class OrderReport(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """`GET /api/v3/order`, a row of `openOrders` and `allOrders`; WS API `order.status`, `openOrders.status`."""

    symbol: str
    order_id: int
    order_list_id: int
    client_order_id: str
    price: N
    orig_qty: N
    executed_qty: N
    orig_quote_order_qty: N | UnsetType = UNSET
    cummulative_quote_qty: N
    status: str
    time_in_force: str
    type: str
    side: BuyOrSell
    stop_price: N | UnsetType = UNSET
    trailing_delta: int | UnsetType = UNSET
    trailing_time: int | UnsetType = UNSET
    iceberg_qty: N | UnsetType = UNSET
    time: int
    update_time: int
    is_working: bool
    working_time: int | UnsetType = UNSET
    strategy_id: int | UnsetType = UNSET
    strategy_type: int | UnsetType = UNSET
    self_trade_prevention_mode: str | UnsetType = UNSET
    prevented_match_id: int | UnsetType = UNSET
    prevented_quantity: N | UnsetType = UNSET
    expiry_reason: str | UnsetType = UNSET


class AccountTrade(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """One row of `GET /api/v3/myTrades`, WS API `myTrades`."""

    symbol: str
    id: int
    order_id: int
    order_list_id: int | UnsetType = UNSET
    price: N
    qty: N
    quote_qty: N
    commission: N
    commission_asset: str
    time: int
    is_buyer: bool
    is_maker: bool
    is_best_match: bool | UnsetType = UNSET


# ---- account --------------------------------------------------------------------------------------------------------


class Rates(Struct, Generic[N], kw_only=True):
    """Commission rates as fractions; what an order pays is (maker or taker) + (buyer or seller)."""

    maker: N
    taker: N
    buyer: N
    seller: N


class AccountBalance(Struct, Generic[N], kw_only=True):
    """One asset of the account."""

    asset: str
    free: N
    locked: N


class Account(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """`GET /api/v3/account`, WS API `account.status`. The four `*_commission` integers are in basis points."""

    maker_commission: int
    taker_commission: int
    buyer_commission: int
    seller_commission: int
    commission_rates: Rates[N] | UnsetType = UNSET
    can_trade: bool
    can_withdraw: bool
    can_deposit: bool
    brokered: bool | UnsetType = UNSET
    require_self_trade_prevention: bool | UnsetType = UNSET
    prevent_sor: bool | UnsetType = UNSET
    update_time: int
    account_type: str
    balances: list[AccountBalance[N]]
    permissions: list[str] | UnsetType = UNSET
    uid: int | UnsetType = UNSET


class Discount(Struct, Generic[N], kw_only=True, rename="camel"):
    """The discount on standard commission when it is paid in `discount_asset`."""

    enabled_for_account: bool
    enabled_for_symbol: bool
    discount_asset: str
    discount: N


class Commission(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """`GET /api/v3/account/commission`, WS API `account.commission`."""

    symbol: str
    standard_commission: Rates[N]
    special_commission: Rates[N] | UnsetType = UNSET
    tax_commission: Rates[N]
    discount: Discount[N]


class MakerTaker(Struct, Generic[N], kw_only=True):
    """Rates of one kind of commission on one order, as fractions."""

    maker: N
    taker: N


class OrderCommission(Struct, Generic[N], kw_only=True, rename="camel", omit_defaults=True):
    """The answer to `order/test` with `computeCommissionRates`; without it `{}`."""

    standard_commission_for_order: MakerTaker[N]
    special_commission_for_order: MakerTaker[N] | UnsetType = UNSET
    tax_commission_for_order: MakerTaker[N]
    discount: Discount[N]


class TradeFee(Struct, Generic[N], kw_only=True, rename="camel"):
    """One row of `GET /sapi/v1/asset/tradeFee`."""

    symbol: str
    maker_commission: N
    taker_commission: N


# ---- market streams -------------------------------------------------------------------------------------------------


class Combined(Struct, Generic[D], kw_only=True):
    """The wrapper of a combined connection (`/stream`)."""

    stream: str
    data: D


class StreamRequest(Struct, kw_only=True, omit_defaults=True):
    """`{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}`; also UNSUBSCRIBE, LIST_SUBSCRIPTIONS, ..."""

    method: str
    params: list[str | bool] | UnsetType = UNSET
    id: RequestId


class StreamAnswer(Struct, kw_only=True, omit_defaults=True):
    """`{"result":null,"id":1}`, or an error, either flat (`code`, `msg`) or under `error`."""

    result: Raw | UnsetType = UNSET
    error: ErrorBody | UnsetType = UNSET
    code: int | UnsetType = UNSET
    msg: str | UnsetType = UNSET
    id: int | str | UnsetType | None = UNSET


class DepthUpdate(Struct, Generic[N], tag_field="e", tag="depthUpdate", kw_only=True, omit_defaults=True, gc=False):
    """`<symbol>@depth@100ms`: absolute quantities, 0 removes. `T` and `pu` exist in the futures dialect only."""

    event_time: int = field(name="E")
    symbol: str = field(name="s")
    first_id: int = field(name="U")
    last_id: int = field(name="u")
    bids: list[tuple[N, N]] = field(name="b")
    asks: list[tuple[N, N]] = field(name="a")
    futures_transaction_time: int | UnsetType = field(name="T", default=UNSET)
    futures_previous_id: int | UnsetType = field(name="pu", default=UNSET)


class BookTicker(Struct, Generic[N], kw_only=True, gc=False):
    """`<symbol>@bookTicker`: neither `e` nor a time."""

    update_id: int = field(name="u")
    symbol: str = field(name="s")
    bid: N = field(name="b")
    bid_quantity: N = field(name="B")
    ask: N = field(name="a")
    ask_quantity: N = field(name="A")


class TradeEvent(Struct, Generic[N], tag_field="e", tag="trade", kw_only=True, omit_defaults=True, gc=False):
    """`<symbol>@trade`. The taker sold when the buyer is the maker."""

    event_time: int = field(name="E")
    symbol: str = field(name="s")
    trade_id: int = field(name="t")
    price: N = field(name="p")
    quantity: N = field(name="q")
    trade_time: int = field(name="T")
    buyer_is_maker: bool = field(name="m")
    best_match: bool | UnsetType = field(name="M", default=UNSET)


class AggTrade(Struct, Generic[N], kw_only=True, omit_defaults=True):
    """`<symbol>@aggTrade` (with `e`, `E`, `s`) and a row of `GET /api/v3/aggTrades` (without)."""

    event: str | UnsetType = field(name="e", default=UNSET)
    event_time: int | UnsetType = field(name="E", default=UNSET)
    symbol: str | UnsetType = field(name="s", default=UNSET)
    agg_trade_id: int = field(name="a")
    price: N = field(name="p")
    quantity: N = field(name="q")
    first_trade_id: int = field(name="f")
    last_trade_id: int = field(name="l")
    trade_time: int = field(name="T")
    buyer_is_maker: bool = field(name="m")
    best_match: bool | UnsetType = field(name="M", default=UNSET)


class Kline(Struct, Generic[N], kw_only=True):
    """The candle inside a kline event."""

    open_time: int = field(name="t")
    close_time: int = field(name="T")
    symbol: str = field(name="s")
    interval: str = field(name="i")
    first_trade_id: int = field(name="f")
    last_trade_id: int = field(name="L")
    open: N = field(name="o")
    close: N = field(name="c")
    high: N = field(name="h")
    low: N = field(name="l")
    volume: N = field(name="v")
    trades: int = field(name="n")
    closed: bool = field(name="x")
    quote_volume: N = field(name="q")
    taker_buy_base: N = field(name="V")
    taker_buy_quote: N = field(name="Q")
    unused: str = field(name="B")


class KlineEvent(Struct, Generic[N], tag_field="e", tag="kline", kw_only=True):
    """`<symbol>@kline_1m`."""

    event_time: int = field(name="E")
    symbol: str = field(name="s")
    kline: Kline[N] = field(name="k")


class ReferencePriceEvent(Struct, Generic[N], tag_field="e", tag="referencePrice", kw_only=True):
    """`<symbol>@referencePrice`: without `E`."""

    symbol: str = field(name="s")
    price: N | None = field(name="r")
    timestamp: int = field(name="t")


class ServerShutdown(Struct, tag_field="e", tag="serverShutdown", kw_only=True):
    """Streams (combined: stream `!serverShutdown`) and WS API (as `event`): connect anew, this connection will go."""

    event_time: int = field(name="E")


# ---- WS API ---------------------------------------------------------------------------------------------------------


class WsRequest(Struct, Generic[D], kw_only=True, omit_defaults=True):
    """One request; `D` is the shape of `params`."""

    id: RequestId
    method: str
    params: D | UnsetType = UNSET


class WsAnswer(Struct, Generic[D], kw_only=True, omit_defaults=True):
    """One answer: `result` when `status` is 200, else `error`. `id` is null where the venue speaks by itself."""

    id: RequestId
    status: int
    result: D | UnsetType = UNSET
    error: ErrorBody | UnsetType = UNSET
    rate_limits: list[RateLimit] | UnsetType = field(name="rateLimits", default=UNSET)


class SessionStatus(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """The result of `session.logon`, `session.status`, `session.logout`."""

    api_key: str | None
    authorized_since: int | None
    connected_since: int
    return_rate_limits: bool
    server_time: int
    user_data_stream: bool | UnsetType = UNSET


class Subscribed(Struct, kw_only=True, rename="camel"):
    """The result of `userDataStream.subscribe` and `userDataStream.subscribe.signature`."""

    subscription_id: int


# ---- user data ------------------------------------------------------------------------------------------------------


class UserEvent(Struct, Generic[D], kw_only=True, omit_defaults=True):
    """`{"subscriptionId":0,"event":{...}}`; a `serverShutdown` comes without `subscriptionId`."""

    subscription_id: int | UnsetType = field(name="subscriptionId", default=UNSET)
    event: D


class PositionBalance(Struct, Generic[N], kw_only=True):
    """One asset of an account position."""

    asset: str = field(name="a")
    free: N = field(name="f")
    locked: N = field(name="l")


class AccountPosition(Struct, Generic[N], tag_field="e", tag="outboundAccountPosition", kw_only=True):
    """The new absolute balances of the assets that an event may have changed."""

    event_time: int = field(name="E")
    update_time: int = field(name="u")
    balances: list[PositionBalance[N]] = field(name="B")


class BalanceUpdate(Struct, Generic[N], tag_field="e", tag="balanceUpdate", kw_only=True):
    """A deposit, withdrawal or transfer, as a difference."""

    event_time: int = field(name="E")
    asset: str = field(name="a")
    delta: N = field(name="d")
    clear_time: int = field(name="T")


class ExternalLockUpdate(Struct, Generic[N], tag_field="e", tag="externalLockUpdate", kw_only=True):
    """Part of the balance was locked or unlocked by another system of the venue."""

    event_time: int = field(name="E")
    asset: str = field(name="a")
    delta: N = field(name="d")
    transaction_time: int = field(name="T")


class EventStreamTerminated(Struct, tag_field="e", tag="eventStreamTerminated", kw_only=True):
    """The subscription ended (log-out, unsubscribe); nothing more comes on it."""

    event_time: int = field(name="E")


class ListStatusOrder(Struct, kw_only=True):
    """One order's name inside a list status."""

    symbol: str = field(name="s")
    order_id: int = field(name="i")
    client_order_id: str = field(name="c")


class ListStatus(Struct, tag_field="e", tag="listStatus", kw_only=True):
    """An order list changed."""

    event_time: int = field(name="E")
    symbol: str = field(name="s")
    order_list_id: int = field(name="g")
    contingency_type: str = field(name="c")
    list_status_type: str = field(name="l")
    list_order_status: str = field(name="L")
    reject_reason: str = field(name="r")
    list_client_order_id: str = field(name="C")
    transaction_time: int = field(name="T")
    orders: list[ListStatusOrder] = field(name="O")


class ExecutionReport(Struct, Generic[N], tag_field="e", tag="executionReport", kw_only=True, omit_defaults=True):
    """An order changed. For a cancel `client_order_id` is the cancel's id and `orig_client_order_id` the order's."""

    event_time: int = field(name="E")
    symbol: str = field(name="s")
    client_order_id: str = field(name="c")
    side: BuyOrSell = field(name="S")
    order_type: str = field(name="o")
    time_in_force: str = field(name="f")
    quantity: N = field(name="q")
    price: N = field(name="p")
    stop_price: N | UnsetType = field(name="P", default=UNSET)
    iceberg_quantity: N | UnsetType = field(name="F", default=UNSET)
    order_list_id: int | UnsetType = field(name="g", default=UNSET)
    orig_client_order_id: str | UnsetType = field(name="C", default=UNSET)
    execution_type: str = field(name="x")
    status: str = field(name="X")
    reject_reason: str = field(name="r")
    order_id: int = field(name="i")
    last_quantity: N = field(name="l")
    cumulative_quantity: N = field(name="z")
    last_price: N = field(name="L")
    commission: N = field(name="n")
    commission_asset: str | None = field(name="N")
    transaction_time: int = field(name="T")
    trade_id: int = field(name="t")  # -1: none
    prevented_match_id: int | UnsetType = field(name="v", default=UNSET)
    execution_id: int | UnsetType = field(name="I", default=UNSET)
    on_book: bool | UnsetType = field(name="w", default=UNSET)
    maker: bool = field(name="m")
    ignore: bool | UnsetType = field(name="M", default=UNSET)
    creation_time: int | UnsetType = field(name="O", default=UNSET)
    cumulative_quote: N | UnsetType = field(name="Z", default=UNSET)
    last_quote: N | UnsetType = field(name="Y", default=UNSET)
    quote_order_quantity: N | UnsetType = field(name="Q", default=UNSET)
    working_time: int | UnsetType = field(name="W", default=UNSET)
    self_trade_prevention_mode: str | UnsetType = field(name="V", default=UNSET)
    # sent only where they apply
    trailing_delta: int | UnsetType = field(name="d", default=UNSET)
    trailing_time: int | UnsetType = field(name="D", default=UNSET)
    strategy_id: int | UnsetType = field(name="j", default=UNSET)
    strategy_type: int | UnsetType = field(name="J", default=UNSET)
    prevented_quantity: N | UnsetType = field(name="A", default=UNSET)
    last_prevented_quantity: N | UnsetType = field(name="B", default=UNSET)
    trade_group_id: int | UnsetType = field(name="u", default=UNSET)
    counter_order_id: int | UnsetType = field(name="U", default=UNSET)
    counter_symbol: str | UnsetType = field(name="Cs", default=UNSET)
    prevented_execution_quantity: N | UnsetType = field(name="pl", default=UNSET)
    prevented_execution_price: N | UnsetType = field(name="pL", default=UNSET)
    prevented_execution_quote: N | UnsetType = field(name="pY", default=UNSET)
    match_type: str | UnsetType = field(name="b", default=UNSET)
    allocation_id: int | UnsetType = field(name="a", default=UNSET)
    working_floor: str | UnsetType = field(name="k", default=UNSET)
    used_sor: bool | UnsetType = field(name="uS", default=UNSET)
    expiry_reason: str | UnsetType = field(name="eR", default=UNSET)


class Tag(msgspec.Struct):
    """Only the event type, to name an event that no struct describes."""

    e: str = ""
