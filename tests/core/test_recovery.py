"""A restart is a fold: the log gives back the very state that wrote it, and no order is ever sent twice."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest

from desk_kit import START, Kit, submitted
from test_soak import Watch, check
from toy_world import World, engine
from tradeserver.core import desk as desk_module
from tradeserver.core.commands import Command, QueryFills, QueryOrder, SubmitOrder
from tradeserver.core.engine import Engine
from tradeserver.core.events import Ending, LinkDown, RunBegan
from tradeserver.core.records import AnyRecord, ArbitrageClosed, Checkpoint, OrderChanged, OrderState, Record

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(AnyRecord)


def written(record: Record) -> Record:
    """There and back, as the write-ahead log does it."""
    return _decoder.decode(_encode(record))  # type: ignore[no-any-return]


def fold(records: Sequence[Record], start_s: int = START // 10**9) -> Engine:
    fresh = engine(start_s)
    for record in records:
        fresh.apply(written(record))
    return fresh


def image(of: Engine) -> dict[str, Any]:
    """All that must survive."""
    desk = of.desk
    return {
        "checkpoint": desk.checkpoint(0),
        "reserved": dict(desk.ledger.reserved),
        "orders": {
            c: (o.state, o.executed, o.filled, o.venue_order_id, tuple(o.fills)) for c, o in desk.orders.by_id.items()
        },
        "live": set(desk.orders.live),
        "owed": set(desk.orders.owed),
        "by_venue_id": dict(desk.orders.by_venue_id),
        "attempts": {n: dict(a.attempts) for n, a in desk.arbitrages.items()},
    }


class Camera:
    """Takes the live engine's image now and then: (records so far, image, checkpoint)."""

    def __init__(self, world: World, every: int) -> None:
        self._world = world
        self._dice = Random(every)
        self._every = every
        self.shots: list[tuple[int, dict[str, Any], Checkpoint]] = []
        world.after_step = self.step

    def step(self, records: Sequence[Record], commands: Sequence[Command]) -> None:
        interesting = bool(commands) or any(isinstance(r, ArbitrageClosed) for r in records)
        if self._dice.random() < (5 if interesting else 1) / self._every:
            live = self._world.engine
            self.shots.append((len(self._world.records), image(live), live.checkpoint(self._world.ts)))


@pytest.mark.parametrize(("seed", "kept"), [(1, 100), (5, 2), (11, 1), (7, 100)])
def test_any_prefix_of_the_log_gives_the_live_state(seed: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`kept`: how many closed arbitrages are remembered; late fills of forgotten ones must fold the same."""
    monkeypatch.setattr(desk_module, "CLOSED_KEPT", kept)
    world = World(seed)
    world.very_late = True
    camera = Camera(world, every=150)
    world.begin()
    world.run(40)
    assert len(camera.shots) > 8
    for number, (count, live, _) in enumerate(camera.shots):
        assert image(fold(world.records[:count])) == live
        for earlier_count, _, checkpoint in camera.shots[: number + 1 : 3]:
            resumed = fold([checkpoint, *world.records[earlier_count:count]])
            assert image(resumed) == live


def test_a_checkpoint_in_the_middle_of_the_log_changes_nothing() -> None:
    world = World(3)
    camera = Camera(world, every=150)
    world.begin()
    world.run(20)
    log: list[Record] = list(world.records)
    for count, _, checkpoint in reversed(camera.shots):
        log.insert(count, checkpoint)
    assert image(fold(log)) == image(world.engine)


@pytest.mark.parametrize("seed", range(8))
def test_after_kill_9_everything_is_resolved_and_nothing_sent_again(seed: int) -> None:
    dice = Random(seed)
    world = World(seed)
    watch = Watch(world)
    world.begin()
    for life in range(1, 3):
        world.run_until_crash(15, dice.choice((SubmitOrder, SubmitOrder, QueryOrder, Command)), dice.randrange(3))
        world.down(dice.choice((50, 3000, 20_000)))
        world.engine = fold(world.records, START // 10**9 + life * 1000)
        doubtful = set(world.engine.desk.orders.live)
        world.begin(recovered=True)
        assert all(
            world.engine.desk.orders.by_id[c].state in (OrderState.UNKNOWN, OrderState.CLOSING) for c in doubtful
        )
    world.run(5)
    world.settle()
    check(world)
    assert len(watch.ids) == len(world.sent) == len({order.client_id for order in world.sent})


def test_a_restart_doubts_what_was_live_and_adopts_or_refuses_it() -> None:
    kit = Kit()
    kit.begin()
    kit.quiet()
    buy, sell = kit.edge()
    kit.accept(buy)
    kit.fill(buy, buy.quantity / 2)
    before = image(kit.engine)

    again = Kit()
    again.ts = kit.ts + 1000
    again.engine = fold(kit.records, START // 10**9 + 60)
    assert image(again.engine) == before
    again.feed(RunBegan(ts=again.ts, instance="test", mode="demo", commit="none", config_sha256="0", recovered=True))
    orders = again.engine.desk.orders.by_id
    assert orders[buy.client_id].state is orders[sell.client_id].state is OrderState.UNKNOWN
    assert {r.reason for r in again.of(OrderChanged)} == {"restart"}
    again.fill(buy, buy.quantity / 2, "second")
    again.close(buy)
    assert orders[buy.client_id].state is OrderState.FILLED
    again.close(sell, Ending.EXPIRED, sell.quantity * 0)
    assert orders[sell.client_id].state is OrderState.EXPIRED
    assert not submitted(again.commands)  # no book yet: it waits, it does not send the sell again
    assert again.engine.desk.ids.make(1, 0, 0) != buy.client_id


def test_a_doubt_of_the_last_run_is_asked_about_without_waiting_for_the_venue() -> None:
    kit = Kit()
    kit.begin()
    kit.quiet()
    buy, sell = kit.edge()
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="orders", reason="reset"))
    kit.accept(buy)
    kit.close(buy, Ending.EXPIRED, buy.quantity / 2)  # closing: half of it is missing

    again = Kit()
    again.ts = kit.ts + 1000
    again.engine = fold(kit.records, START // 10**9 + 60)
    again.feed(RunBegan(ts=again.ts, instance="test", mode="demo", commit="none", config_sha256="0", recovered=True))
    again.tick(200)
    asked = {(type(c), c.client_id) for c in again.commands if isinstance(c, QueryOrder | QueryFills)}
    assert asked == {(QueryFills, buy.client_id), (QueryOrder, sell.client_id)}


def test_numbers_go_on_and_no_id_comes_twice() -> None:
    world = World(2)
    world.begin()
    world.run(15)
    numbers = {order.arbitrage for order in world.sent}
    later = fold(world.records, START // 10**9 + 60)
    assert later.desk.next_arbitrage == max(numbers) + 1
    assert isinstance(world.sent[0], SubmitOrder)
