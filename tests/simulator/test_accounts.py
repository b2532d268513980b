"""Money of the simulated exchange: holds, fills, commissions and refusals, with figures worked out by hand.

Binance: commission in the received asset or BNB (rest-api.md, commission FAQ, 2026-07-21). KuCoin: in the quote, and a
buy's hold includes it (docs-new, spot trading fee, 2026).
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeserver.simulator.accounts import Account, ApiKey, Fees, Rates, ThirdAsset
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.types import (
    BalanceChange,
    BookChange,
    Done,
    FeeModel,
    OrderDone,
    OrderFill,
    OrderNew,
    OrderOpen,
    OrderState,
    OrderType,
    PublicTrade,
    QuoteChange,
    Reject,
    SelfTrade,
    Side,
    Status,
    Symbol,
    TimeInForce,
)

D = Decimal
BTC = Symbol(
    name="BTC/USDT", native="BTCUSDT", base="BTC", quote="USDT", tick=D("0.01"), lot=D("0.001"),
    min_quantity=D("0.001"), max_quantity=D(100), min_notional=D(5), max_notional=D(1_000_000),
    price_limit_rate=D("0.5"),
)  # fmt: skip
RECEIVED = Fees(FeeModel.RECEIVED, 8, ThirdAsset("BNB", D("0.25"), {"USDT": D(500)}))
QUOTE = Fees(FeeModel.QUOTE)
RATES = Rates(maker=D("0.0005"), taker=D("0.001"))


def account(name="me", usdt=10_000, btc=1, **more) -> Account:
    return Account(name, (ApiKey(key=f"SIM{name}"),), {"USDT": D(usdt), "BTC": D(btc)}, RATES, **more)


def exchange(fees, *accounts, levels=(("sell", "100.00", "2"), ("sell", "101.00", "3"), ("buy", "99.00", "2"))):
    world = Exchange("test", [BTC], accounts or (account(),), fees)
    for side, price, quantity in levels:
        world.add_participant("BTC/USDT", Side(side), D(price), D(quantity))
    world.flush("BTC/USDT", 0)
    world.take_events()
    return world


def place(world, side, quantity="0", price="0", *, who="me", kind="limit", tif="GTC", funds="0", stp="none", cid=None):
    return world.place(
        world.accounts[who],
        "BTC/USDT",
        Side(side),
        OrderType(kind),
        1_000,
        client_id=cid or f"c{len(world.placed)}",
        time_in_force=TimeInForce(tif),
        price=D(price),
        quantity=D(quantity),
        funds=D(funds),
        self_trade=SelfTrade(stp),
    )


def money(world, who="me"):
    return {asset: (b.free, b.locked) for asset, b in world.accounts[who].balances.items()}


def test_a_buy_that_is_charged_in_what_it_receives():
    world = exchange(RECEIVED)
    order = place(world, "buy", "2.5", "101.00", tif="IOC").order
    # 2 at 100 and 0.5 at 101 = 250.5 USDT; commission 0.1 % of 2.5 BTC
    assert [(f.price, f.quantity, f.commission, f.commission_asset) for f in order.fills] == [
        (D("100.00"), D(2), D("0.002"), "BTC"),
        (D("101.00"), D("0.5"), D("0.0005"), "BTC"),
    ]
    assert money(world) == {"USDT": (D("9749.5"), 0), "BTC": (D("3.4975"), 0)}
    assert (order.state, order.filled, order.filled_quote) == (OrderState.FILLED, D("2.5"), D("250.5"))


def test_a_sell_that_is_charged_in_what_it_receives():
    world = exchange(RECEIVED)
    place(world, "sell", "0.5", "99.00", tif="IOC")
    # 49.5 USDT less 0.0495
    assert money(world) == {"USDT": (D("10049.4505"), 0), "BTC": (D("0.5"), 0)}


@pytest.mark.parametrize(("decimals", "commission"), [(None, "0.0075272775"), (8, "0.00752728"), (4, "0.0075")])
def test_commission_is_rounded_only_where_the_venue_has_a_number_of_decimals(decimals, commission):
    me = account(rates_by_symbol={"BTC/USDT": Rates(D("0.0005"), D("0.00075"))})
    world = exchange(Fees(FeeModel.QUOTE, decimals), me, levels=(("buy", "99.37", "1"),))
    order = place(world, "sell", "0.101", "99.37", tif="IOC").order  # 10.03637 USDT
    assert order.fills[0].commission == D(commission)
    assert money(world)["USDT"] == (D(10_000) + D("10.03637") - D(commission), 0)


def test_commission_in_a_third_asset_while_there_is_enough_of_it():
    me = account(pays_third_asset=True)
    me.balance("BNB").free = D("0.0004")
    world = exchange(RECEIVED, me)
    first = place(world, "buy", "1", "100.00", tif="IOC").order.fills[0]
    # 100 USDT * 0.1 % less a quarter = 0.075 USDT = 0.00015 BNB
    assert (first.commission, first.commission_asset) == (D("0.00015"), "BNB")
    second = place(world, "buy", "1", "100.00", tif="IOC").order.fills[0]
    assert (second.commission, second.commission_asset) == (D("0.00015"), "BNB")
    third = place(world, "buy", "1", "101.00", tif="IOC").order.fills[0]  # 0.0001 BNB left: not enough
    assert (third.commission, third.commission_asset) == (D("0.001"), "BTC")
    assert money(world)["BNB"] == (D("0.0001"), 0)


def test_where_the_quote_is_charged_a_resting_buy_holds_its_fee():
    world = exchange(QUOTE)
    order = place(world, "buy", "2", "98.00").order
    assert money(world)["USDT"] == (D("9803.804"), D("196.196"))  # 196 and 0.1 % of it
    world.take("BTC/USDT", Side.SELL, D("3"), D("98.00"), 2_000)  # eats the participant's 2 at 99, then 1 of ours
    # ours: 98 + maker fee 0.049 paid; the hold of the other half stays
    assert money(world) == {"USDT": (D("9803.853"), D("98.098")), "BTC": (D(2), 0)}
    world.cancel(order.id, 3_000)
    assert money(world) == {"USDT": (D("9901.951"), 0), "BTC": (D(2), 0)}
    assert (order.state, order.done, order.filled) == (OrderState.CANCELED, Done.CANCELED, D(1))


def test_where_the_quote_is_charged_a_better_price_gives_the_difference_back():
    world = exchange(QUOTE)
    place(world, "buy", "1", "110.00", tif="IOC")
    assert money(world) == {"USDT": (D("9899.9"), 0), "BTC": (D(2), 0)}  # 100 and its fee, not 110


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"side": "buy", "quantity": "1", "price": "100.001"}, Reject.PRICE_TICK),
        ({"side": "buy", "quantity": "1", "price": "40"}, Reject.PRICE_LIMIT),  # half of 99.5 is 49.75
        ({"side": "buy", "quantity": "0.0005", "price": "90"}, Reject.QUANTITY_MIN),
        ({"side": "buy", "quantity": "101", "price": "90"}, Reject.QUANTITY_MAX),
        ({"side": "buy", "quantity": "1.0005", "price": "90"}, Reject.QUANTITY_STEP),
        ({"side": "buy", "quantity": "0.05", "price": "90"}, Reject.NOTIONAL_MIN),
        ({"side": "buy", "quantity": "0.04", "kind": "market"}, Reject.NOTIONAL_MIN),  # at 99.5
        ({"side": "buy", "quantity": "100", "price": "100.01"}, Reject.INSUFFICIENT_BALANCE),
        ({"side": "sell", "quantity": "1.001", "price": "100"}, Reject.INSUFFICIENT_BALANCE),
        ({"side": "sell", "quantity": "1.001", "kind": "market"}, Reject.INSUFFICIENT_BALANCE),
        ({"side": "buy", "funds": "10001", "kind": "market"}, Reject.INSUFFICIENT_BALANCE),
        ({"side": "buy", "quantity": "1", "price": "100", "kind": "limit_maker"}, Reject.WOULD_MATCH),
    ],
)
def test_refusals_hold_nothing(order, reason):
    world = exchange(RECEIVED)
    before = money(world)
    assert place(world, **order).reject is reason
    assert (money(world), world.take_events(), world.placed[-1].result) == (before, [], reason.value)


def test_status_and_client_ids_refuse():
    world = exchange(RECEIVED)
    assert place(world, "buy", "1", "90", cid="same").order
    assert place(world, "buy", "1", "90", cid="same").reject is Reject.DUPLICATE_CLIENT_ID
    world.cancel(world.order_by_client("me", "same").id, 2_000)
    assert place(world, "buy", "1", "90", cid="same").order  # a closed order's id is free again ...
    for status, reason in ((Status.HALTED, Reject.HALTED), (Status.CANCEL_ONLY, Reject.CANCEL_ONLY)):
        world.set_status("BTC/USDT", status, 2_000)
        assert place(world, "buy", "1", "90").reject is reason
    forever = Exchange("test", [BTC], [account()], QUOTE, ids_forever=True)
    first = place(forever, "buy", "1", "90", cid="same").order
    forever.cancel(first.id, 2_000)
    assert place(forever, "buy", "1", "90", cid="same").reject is Reject.DUPLICATE_CLIENT_ID  # ... but not everywhere


def test_what_rests_ends_and_why():
    world = exchange(RECEIVED)
    assert place(world, "buy", "5.5", "101", tif="FOK").order.done is Done.FOK_UNFILLED
    assert place(world, "buy", "5", "101", tif="FOK").order.done is Done.FILLED
    world = exchange(RECEIVED)
    order = place(world, "buy", "3", "100", tif="IOC").order
    assert (order.done, order.filled, order.state) == (Done.IOC_REST, D(2), OrderState.EXPIRED)
    order = place(world, "buy", "4", kind="market").order
    assert (order.done, order.filled) == (Done.NO_LIQUIDITY, D(3))
    assert money(world)["USDT"] == (D(10_000) - 200 - 303, 0)
    world.tick(10_000)
    resting = world.place(
        world.accounts["me"], "BTC/USDT", Side.BUY, OrderType.LIMIT, 0,
        client_id="gtt", price=D(90), quantity=D(1), expires_ns=20_000,
    ).order  # fmt: skip
    world.tick(19_999)
    assert resting.state is OrderState.OPEN
    world.tick(20_000)
    assert (resting.done, money(world)["USDT"][1]) == (Done.TIMED_OUT, 0)


@pytest.mark.parametrize(
    ("fees", "funds", "free"),
    [
        (RECEIVED, "250.5", "9749.5"),  # 200 for 2 and 50.5 for 0.5
        (RECEIVED, "250.55", "9749.5"),  # the last 0.05 buy no lot of 0.001 at 101
        (QUOTE, "250.55", "9749.2495"),  # and 0.1 % of 250.5 on top
    ],
)
def test_a_market_order_by_funds_buys_whole_lots(fees, funds, free):
    world = exchange(fees)
    order = place(world, "buy", kind="market", funds=funds).order
    assert (order.filled, order.filled_quote, order.done) == (D("2.5"), D("250.5"), Done.FILLED)
    assert money(world)["USDT"] == (D(free), 0)


def test_self_trade_prevention():
    def outcome(mode):
        world = exchange(RECEIVED, account(btc=10), levels=())
        old = place(world, "sell", "2", "100").order
        new = place(world, "buy", "3", "100", stp=mode).order
        locked = sum(b.locked for b in world.accounts["me"].balances.values())
        return old.state.value, old.remaining, new.state.value, new.remaining, locked

    assert outcome("none")[:3:2] == ("filled", "open")
    assert outcome("cancel_new") == ("open", 2, "expired", 3, 2)
    assert outcome("cancel_old") == ("expired", 2, "open", 3, 300)
    assert outcome("cancel_both") == ("expired", 2, "expired", 3, 0)
    assert outcome("decrement") == ("expired", 2, "open", 1, 100)


def test_events_tell_the_story_in_order():
    world = exchange(RECEIVED, account(), account("other"))
    maker = place(world, "sell", "1", "99.50", who="other").order
    world.take_events()
    taker = place(world, "buy", "3", "100", tif="GTC").order
    kinds = [(type(e), getattr(e, "order", None)) for e in world.take_events() if not isinstance(e, BalanceChange)]
    assert kinds == [
        (OrderNew, taker),
        (OrderFill, taker), (OrderFill, maker), (PublicTrade, None), (OrderDone, maker),
        (OrderFill, taker), (PublicTrade, None), (OrderDone, taker),
        (BookChange, None), (QuoteChange, None),
    ]  # fmt: skip
    rest = place(world, "buy", "1", "90").order
    assert [type(e) for e in world.take_events()] == [BalanceChange, OrderNew, OrderOpen, BookChange]
    assert world.open_orders("me") == [rest]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["me", "you"]),
        st.sampled_from(["buy", "sell", "cancel", "drain"]),
        st.integers(96, 104),
        st.integers(1, 3000),
        st.sampled_from(["GTC", "GTC", "IOC", "FOK", "market", "funds", "limit_maker"]),
        st.sampled_from([mode.value for mode in SelfTrade]),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(ACTIONS, st.sampled_from([RECEIVED, QUOTE]))
def test_nothing_is_lost_or_created(actions, fees):
    """Balances are the initial ones plus the fills; what is locked is what open orders hold; events add up to both."""
    world = exchange(fees, account(), account("you"))
    start = {who: {asset: free for asset, (free, _) in money(world, who).items()} for who in ("me", "you")}
    for who, what, price, thousandths, how, stp in actions:
        if what == "cancel":
            for order in world.open_orders(who)[:1]:
                world.cancel(order.id, 1)
        elif what == "drain":
            world.take("BTC/USDT", Side(["buy", "sell"][price % 2]), D(thousandths) / 1000, D(100), 1)
            world.flush("BTC/USDT", 1)
        elif how == "funds":
            place(world, what, kind="market", funds=str(thousandths), who=who, stp=stp)
        elif how == "market":
            place(world, what, str(D(thousandths) / 1000), kind="market", who=who, stp=stp)
        else:
            kind, tif = ("limit_maker", "GTC") if how == "limit_maker" else ("limit", how)
            place(world, what, str(D(thousandths) / 1000), str(price), who=who, kind=kind, tif=tif, stp=stp)
    seen = {who: defaultdict(D, start[who]) for who in start}
    for event in world.take_events():
        if isinstance(event, BalanceChange):
            seen[event.account][event.asset] += event.free_change + event.locked_change
    for who in start:
        expected = defaultdict(D, start[who])
        for fill in world.fills(who):
            sign = 1 if fill.side is Side.BUY else -1
            expected["BTC"] += sign * fill.quantity
            expected["USDT"] -= sign * fill.price * fill.quantity
            expected[fill.commission_asset] -= fill.commission
        totals = {asset: free + locked for asset, (free, locked) in money(world, who).items()}
        assert totals == dict(expected) == dict(seen[who])
        held = defaultdict(D)
        for order in world.open_orders(who):
            held["BTC" if order.side is Side.SELL else "USDT"] += order.held
        assert {asset: locked for asset, (_, locked) in money(world, who).items() if locked} == dict(held)
        assert all(order.state is OrderState.OPEN and order.remaining > 0 for order in world.open_orders(who))
