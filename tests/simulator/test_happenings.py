"""What faults let happen to the world: each sentence against the accounts, rules and fronts of a small world."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tradeserver.simulator.config import default_config
from tradeserver.simulator.front import Close, HttpIn
from tradeserver.simulator.types import OrderType, Side, Status, TimeInForce
from tradeserver.simulator.world import World

S = 1_000_000_000
START = 1_700_000_000 * S
XRP = "XRP/USDT"


@pytest.fixture
def world() -> World:
    world = World(default_config(), START)
    for step in range(50):
        world.step(START + step * S // 50)
    for front in world.fronts.values():
        front.origin = "sim"
    return world


def let(world: World, *texts: str, at_s: int = 1) -> None:
    for text in texts:
        world.faults.add(text, START + at_s * S)
    world.step(START + at_s * S)


def get(world: World, venue: str, path: str, at_s: int = 2):
    return world.fronts[venue].http(HttpIn("GET", path, "", {}, b""), world.time_at(venue, START + at_s * S))


def test_statuses_rules_and_rates_change(world):
    let(world, f"status binance symbol={XRP} to=halted", f"rules kucoin symbol={XRP} tick=0.001 lot=1")
    let(world, "fees kucoin taker=0.002")
    assert world.exchanges["binance"].status[XRP] is Status.HALTED
    rules = world.exchanges["kucoin"].by_native["XRP-USDT"]
    assert (rules.tick, rules.lot) == (Decimal("0.001"), Decimal(1))
    assert world.exchanges["kucoin"].accounts["main"].rates.taker == Decimal("0.002")
    body = msgspec.json.decode(get(world, "kucoin", "/api/v2/symbols/XRP-USDT").body)
    assert body["data"]["priceIncrement"] == "0.001"


def test_a_transfer_takes_no_more_than_there_is(world):
    account = world.exchanges["binance"].accounts["main"]
    let(world, "balance binance asset=XRP change=-150000")
    assert account.balance("XRP").free == 50_000
    let(world, "balance binance asset=XRP change=-150000", at_s=2)
    assert account.balance("XRP").free == 0


def test_strangers_trade_on_the_same_account(world):
    exchange = world.exchanges["kucoin"]
    let(world, f"foreign kucoin symbol={XRP} side=sell quantity=20")
    let(world, f"foreign kucoin symbol={XRP} side=buy quantity=20 price=1.95", at_s=2)
    assert sum(fill.quantity for fill in exchange.fills("main")) == 20
    (resting,) = exchange.open_orders("main")
    assert resting.client_id.startswith("stranger-")


def test_depth_vanishes(world):
    exchange = world.exchanges["binance"]
    before = sum(quantity for _, quantity in exchange.depth(XRP).asks)
    exchange.take_events()
    exchange.withdraw(XRP, Decimal("0.9"), START + S)
    after = sum(quantity for _, quantity in exchange.depth(XRP).asks)
    assert Decimal("0.09") < after / before < Decimal("0.11")
    assert exchange.take_events()


def test_a_throttle_refuses_and_then_bans_who_goes_on(world):
    get(world, "binance", "/api/v3/time")
    let(world, "throttle binance 10s", "throttle kucoin 10s")
    get(world, "kucoin", "/api/v1/timestamp")
    answers = [get(world, "binance", "/api/v3/time") for _ in range(5)]
    assert [answer.status for answer in answers] == [429] * 4 + [418]
    assert answers[0].headers["Retry-After"] == "9"
    assert world.fronts["binance"].escalations() == 1
    assert get(world, "kucoin", "/api/v1/timestamp").status == 200  # a pool that nobody has used is not blocked


def test_kucoins_throttle_says_when_it_ends(world):
    get(world, "kucoin", "/api/v1/timestamp")
    let(world, "throttle kucoin 10s")
    answer = get(world, "kucoin", "/api/v1/timestamp")
    assert (answer.status, answer.headers["gw-ratelimit-reset"]) == (429, "9000")
    assert get(world, "kucoin", "/api/v1/timestamp", at_s=12).status == 200


def test_a_ban_is_no_escalation(world):
    get(world, "binance", "/api/v3/time")
    let(world, "ban binance 2m")
    assert get(world, "binance", "/api/v3/time").status == 418
    assert world.fronts["binance"].escalations() == 0


def test_a_venues_clock_is_ahead_for_a_while(world):
    let(world, "skew binance +2s for=5s")
    ahead = msgspec.json.decode(get(world, "binance", "/api/v3/time").body)["serverTime"]
    assert ahead == (START + 4 * S) // 1_000_000
    world.step(START + 7 * S)
    assert world.time_at("binance", START) == START


def test_partial_fills_end_the_rest(world):
    exchange = world.exchanges["binance"]
    world.faults.add("partial binance.orders share=0.4", START)
    ask = exchange.quote(XRP)[1][0]
    placement = exchange.place(
        exchange.accounts["main"],
        XRP,
        Side.BUY,
        OrderType.LIMIT,
        START + S,
        client_id="a",
        time_in_force=TimeInForce.IOC,
        price=ask,
        quantity=Decimal("10.1"),
    )
    assert placement.order is not None
    assert placement.order.filled == 4  # 4.04 in whole lots of 0.1


def test_user_streams_end_with_the_venues_words(world):
    bullet = HttpIn("POST", "/api/v1/bullet-public", "", {}, b"")
    kucoin = world.fronts["kucoin"]
    token = msgspec.json.decode(kucoin.http(bullet, START + S).body)["data"]["token"]
    kucoin.connect(1, "/endpoint", f"token={token}", {}, "127.0.0.1", START + S)
    kucoin.outgoing.clear()
    let(world, "expire kucoin.user", "shutdown binance")
    assert kucoin.outgoing == []  # a public session stays
    kucoin._push._sessions[1].private = True
    let(world, "expire kucoin.user", at_s=2)
    assert msgspec.json.decode(kucoin.outgoing[0][1]) == {"type": "error", "code": 401, "data": "token is expired"}
    assert isinstance(kucoin.outgoing[1][1], Close)


def test_the_same_seed_lets_the_same_happen():
    def run() -> list[str]:
        world = World(default_config(), START)
        world.faults.add("partial * share=0.5 50%", START)
        return [str(world.faults.share("kucoin", "x", START)) for _ in range(32)]

    assert run() == run()
