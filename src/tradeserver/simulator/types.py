"""The nouns of a simulated exchange, without any venue's words: symbols, orders, fills, reasons, and its events.

Everything is money (`Decimal`) and simulated time (`_ns`, UTC nanoseconds). A venue's front (`binance/`, `kucoin/`)
turns these into that venue's names, codes and texts; nothing here knows a wire format. `Order` is the one mutable
struct: it is the exchange's own record. Events therefore carry by value whatever may change later.
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Final

import msgspec

ZERO: Final = Decimal(0)

BookLevel = tuple[Decimal, Decimal]
"""(price, quantity) of one level; quantity is absolute, 0 removes the level."""


class Side(enum.Enum):
    """The side of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(enum.Enum):
    """LIMIT_MAKER is a limit order that is refused when it would match at once (KuCoin: postOnly)."""

    LIMIT = "limit"
    MARKET = "market"
    LIMIT_MAKER = "limit_maker"


class TimeInForce(enum.Enum):
    """How long an order may rest. GTT of KuCoin is GTC with `expires_ns`."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class SelfTrade(enum.Enum):
    """What happens when an order would match an order of the same account (KuCoin: CN, CO, CB, DC)."""

    NONE = "none"
    CANCEL_NEW = "cancel_new"
    CANCEL_OLD = "cancel_old"
    CANCEL_BOTH = "cancel_both"
    DECREMENT = "decrement"


class Status(enum.Enum):
    """A symbol's trading status."""

    TRADING = "trading"
    HALTED = "halted"
    CANCEL_ONLY = "cancel_only"


class FeeModel(enum.Enum):
    """What commission is charged in. QUOTE makes the hold of a buy include the fee."""

    RECEIVED = "received"  # Binance: a buy pays base, a sell pays quote; or the third asset (BNB)
    QUOTE = "quote"  # KuCoin: both sides pay quote


class Reject(enum.Enum):
    """Why an order was not accepted. Checked in this order; the first that applies is given."""

    UNKNOWN_SYMBOL = "unknown_symbol"
    NO_PERMISSION = "no_permission"
    HALTED = "halted"
    CANCEL_ONLY = "cancel_only"
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    PRICE_TICK = "price_tick"  # not above zero, or off the tick grid
    PRICE_LIMIT = "price_limit"  # further than `price_limit_rate` from the reference price
    QUANTITY_MIN = "quantity_min"
    QUANTITY_MAX = "quantity_max"
    QUANTITY_STEP = "quantity_step"
    NOTIONAL_MIN = "notional_min"
    NOTIONAL_MAX = "notional_max"
    TOO_MANY_OPEN = "too_many_open"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    WOULD_MATCH = "would_match"  # LIMIT_MAKER only


class OrderState(enum.Enum):
    """OPEN: may still fill, whether partly filled or not. The rest are final; any of them may hold fills."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"  # on request
    EXPIRED = "expired"  # see `Done`


class Done(enum.Enum):
    """Why an order ended."""

    FILLED = "filled"
    CANCELED = "canceled"  # by its owner, cancel-all included
    IOC_REST = "ioc_rest"
    FOK_UNFILLED = "fok_unfilled"
    NO_LIQUIDITY = "no_liquidity"  # the rest of a market order
    SELF_TRADE = "self_trade"
    TIMED_OUT = "timed_out"  # `expires_ns` passed


class Symbol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One market and its rules. A maximum of 0 means no limit. `name` is ours ("BTC/USDT"), `native` the venue's."""

    name: str
    native: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_quantity: Decimal = ZERO
    max_quantity: Decimal = ZERO
    min_notional: Decimal = ZERO
    max_notional: Decimal = ZERO
    price_limit_rate: Decimal = ZERO  # 0.1: a limit price must lie within 10 % of the reference price; 0: no such rule


class Order(msgspec.Struct, kw_only=True, eq=False):
    """One accepted order: the exchange's own record, mutable. `quantity` is 0 for a market order by `funds`."""

    id: int
    account: str
    symbol: str  # ours
    client_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price: Decimal  # 0 for market orders
    quantity: Decimal
    funds: Decimal = ZERO  # quote to spend or to receive (market orders only), else 0
    self_trade: SelfTrade = SelfTrade.NONE
    expires_ns: int = 0
    created_ns: int = 0
    updated_ns: int = 0
    state: OrderState = OrderState.OPEN
    done: Done | None = None
    resting: bool = False  # in the book now
    was_resting: bool = False  # has ever been in the book
    filled: Decimal = ZERO  # base
    filled_quote: Decimal = ZERO
    decremented: Decimal = ZERO  # taken off the quantity by self-trade prevention
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)  # by asset
    held: Decimal = ZERO  # what is still locked for it, in base (sell) or quote (buy)
    fills: list[Fill] = msgspec.field(default_factory=list)

    @property
    def remaining(self) -> Decimal:
        """Base quantity that may still fill; 0 for an order by funds."""
        return self.quantity - self.filled - self.decremented if self.quantity else ZERO


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of one order. `trade_id` is unique per symbol and the same for both sides of the trade."""

    trade_id: int
    order_id: int
    account: str
    symbol: str
    client_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    quote: Decimal  # price * quantity, exact
    commission: Decimal
    commission_asset: str
    maker: bool
    counter_order_id: int
    filled: Decimal  # the order's cumulative base, this fill included
    filled_quote: Decimal
    remaining: Decimal
    time_ns: int


class Placement(msgspec.Struct, frozen=True):
    """What came of `Exchange.place`: an order (its `fills` and `state` are those after matching), or a reason."""

    order: Order | None
    reject: Reject | None = None


class Depth(msgspec.Struct, frozen=True):
    """A snapshot of a book as published, best first."""

    sequence: int
    bids: list[BookLevel]
    asks: list[BookLevel]


# ---- events, in the order in which they happened; taken by the venue's front ----------------------------------------


class OrderNew(msgspec.Struct, frozen=True):
    """Accepted, funds held, not yet matched."""

    order: Order
    time_ns: int


class OrderOpen(msgspec.Struct, frozen=True):
    """What is left of it entered the book (KuCoin: `open`)."""

    order: Order
    remaining: Decimal
    time_ns: int


class OrderFill(msgspec.Struct, frozen=True):
    """One fill; `final` if it completed the order (an `OrderDone` follows then as well)."""

    order: Order
    fill: Fill
    final: bool
    time_ns: int


class OrderDone(msgspec.Struct, frozen=True):
    """Nothing more will fill. `cancel_client_id` is the id that the canceller gave to the cancel (Binance's `c`)."""

    order: Order
    reason: Done
    filled: Decimal
    unfilled: Decimal
    cancel_client_id: str
    time_ns: int


class OrderReduced(msgspec.Struct, frozen=True):
    """Self-trade prevention (DECREMENT) cut the order from `old` to `new` remaining (KuCoin: `update`)."""

    order: Order
    old: Decimal
    new: Decimal
    time_ns: int


class Cause(enum.Enum):
    """Why a balance changed."""

    HOLD = "hold"  # an order was accepted
    TRADE = "trade"
    RELEASE = "release"  # an order ended with something still held
    SET = "set"  # the operator's hand, deposits, withdrawals


class BalanceChange(msgspec.Struct, frozen=True):
    """One asset's balances after a change, and the change."""

    account: str
    asset: str
    free: Decimal
    locked: Decimal
    free_change: Decimal
    locked_change: Decimal
    cause: Cause
    order: Order | None
    trade_id: int
    time_ns: int


class BookChange(msgspec.Struct, frozen=True):
    """Levels that changed, absolute, with the range of update ids that this change covers (`first` == `last` for a
    single change of the matching engine; a range for a re-served recorded frame). Ranges of a symbol are contiguous:
    `first` == previous `last` + 1.
    """

    symbol: str
    first: int
    last: int
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    time_ns: int


class QuoteChange(msgspec.Struct, frozen=True):
    """The best bid or ask (price or size) is different from `sequence` on. An empty side is (0, 0)."""

    symbol: str
    sequence: int
    bid: BookLevel
    ask: BookLevel
    time_ns: int


class PublicTrade(msgspec.Struct, frozen=True):
    """A trade as everyone sees it."""

    symbol: str
    sequence: int
    trade_id: int
    price: Decimal
    quantity: Decimal
    taker: Side
    maker_order_id: int
    taker_order_id: int
    time_ns: int


class RecordedFrame(msgspec.Struct, frozen=True):
    """A recorded frame of this venue's own dialect, to be sent as it stands to whoever subscribed to `channel`.

    Binance: `channel` is the stream name ("btcusdt@depth@100ms") and `text` the payload without the combined-stream
    wrapper. KuCoin: `channel` is the topic ("/market/level2:BTC-USDT") and `text` the whole frame. While a symbol is
    played this way, no BookChange, QuoteChange or PublicTrade is emitted for it.
    """

    symbol: str
    channel: str
    text: str
    time_ns: int


class StatusChange(msgspec.Struct, frozen=True):
    """A symbol was halted, or trades again."""

    symbol: str
    status: Status
    time_ns: int


Event = (
    OrderNew
    | OrderOpen
    | OrderFill
    | OrderDone
    | OrderReduced
    | BalanceChange
    | BookChange
    | QuoteChange
    | PublicTrade
    | RecordedFrame
    | StatusChange
)
