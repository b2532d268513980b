"""Item 8: `kill -9` at random moments of a demo; after each restart the log, the ledger and the venue agree.

The market is lively and answers come a little late on purpose, so that orders are under way for a good part of the
time: a kill between two millisecond-long conversations proves little. For the same reason a share of the kills wait for
the next order to appear in the log and strike at a random moment of its life, from before its bytes left until after
its last answer. Others strike while the daemon is still starting after the last one.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tradeserver.core.records import FillBooked, OrderSubmitted, RunStarted
from tradeserver.lab.acceptance.agreement import disagreements, exposure, folded
from tradeserver.lab.acceptance.house import House, house, lively_market, require
from tradeserver.runtime.wal_read import Tail
from tradeserver.services import layout

KILLS = 10
RECOVERED_WITHIN_S = 30.0
STRIKES_AT_START = 0.25
"""Share of the kills that do not wait for the daemon to be ready again."""
AIMED = 0.6
"""Share of the other kills that strike in the life of an order."""
ORDER_LIVES_S = (0.0, 0.002, 0.02, 0.4)
"""Its phases, one of which is chosen: not yet sent, being sent, at the venue, being answered."""
AIM_PATIENCE_S = 15.0
RUNNING_S = (0.1, 4.0)
STARTING_S = (0.05, 3.0)
DUST = Decimal(20)
"""Carried dust of one asset, in quote: `risk.max_dust_notional`."""
LATE = ("delay *.orders 120ms", "delay *.user 80ms")
MORE = """\
[breakers]
one_sided_limit = 0
crash_limit = 0
"""
"""Ten crashes in a row are what is asked for here; the daemon goes on trading."""

PARAMS = "min_edge_bps = 1"


class Killed(NamedTuple):
    """What was seen. `live` counts the states of the orders that were live at the moments of the kills."""

    seed: int
    kills: int
    live: dict[str, int]
    struck: int  # kills with an order under way
    ready_s: list[float]  # from each restart to both venues ready and no live order, where the daemon lived that long
    orders: int
    fills: int
    never_sent: int
    carried: dict[str, Decimal]


def item_8(folder: Path, data: Path) -> str:
    """Ten kills with a seed of this moment."""
    return describe(kill_and_restart(folder, KILLS, time.time_ns() % 1_000_000))


def kill_and_restart(folder: Path, kills: int, seed: int) -> Killed:
    """Raises CheckFailedError, naming the seed."""
    dice = random.Random(seed)
    words = [str(lively_market(folder)), "--seed", str(seed)]
    for fault in LATE:
        words += ["--fault", fault]
    live: Counter[str] = Counter()
    ready_s: list[float] = []
    struck = 0
    with house(folder, words, params=PARAMS, more=MORE) as built:
        started = _start(built)
        wait = True
        for number in range(kills):
            if wait:
                ready_s.append(_until_ready(built, started, seed))
                _moment(built, dice)
            else:
                time.sleep(dice.uniform(*STARTING_S))
            _kill(built)
            states = Counter(order.state.value for order in folded(built.records()).orders.live.values())
            live += states
            struck += bool(states)
            started = _start(built)
            wait = number == kills - 2 or dice.random() >= STRIKES_AT_START
        ready_s.append(_until_ready(built, started, seed))
        return _conclude(built, seed, kills, live, struck, ready_s[1:])


def _start(built: House) -> float:
    built.start()
    return time.monotonic()


def _moment(built: House, dice: random.Random) -> None:
    """Wait for a random moment of the run, or of an order's life."""
    if dice.random() >= AIMED:
        time.sleep(dice.uniform(*RUNNING_S))
        return
    after_s = dice.uniform(0.0, dice.choice(ORDER_LIVES_S))
    tail = Tail(layout.wal(built.state), after_seq=built.status()["sequence"], synced_only=False)
    end = time.monotonic() + AIM_PATIENCE_S
    try:
        while time.monotonic() < end:
            if any(isinstance(record, OrderSubmitted) for _, record in tail.poll()):
                time.sleep(after_s)
                return
            time.sleep(0.0002)
    finally:
        tail.close()


def _kill(built: House) -> None:
    assert built.daemon is not None
    built.daemon.require_running()
    built.daemon.kill()


def _until_ready(built: House, started: float, seed: int) -> float:
    """Seconds from `started` until both venues are ready, and no order and no arbitrage is open."""
    built.wait(f"seed {seed}: both venues ready and no live order", _settled, RECOVERED_WITHIN_S)
    return time.monotonic() - started


def _settled(status: dict[str, Any]) -> bool:
    ready = all(venue["phase"] == "ready" for venue in status["venues"])
    return ready and not status["orders"] and not status["arbitrages"]


def _conclude(built: House, seed: int, kills: int, live: Counter[str], struck: int, ready_s: list[float]) -> Killed:
    status = built.status()
    built.ask("pause")
    built.wait(f"seed {seed}: nothing open", lambda s: not s["orders"] and not s["arbitrages"], 60)
    code = built.stop()
    require(code == 0, f"seed {seed}: the daemon ended with code {code}")
    records = built.records()
    wrong = disagreements(records, built.simulator)
    mids = {b["symbol"].partition("/")[0]: Decimal(repr(b["bid"])) for b in status["books"]}
    too_much, carried = exposure(records, mids, DUST)
    wrong += too_much
    text = "\n".join(wrong[:20])
    require(not wrong, f"seed {seed}: {len(wrong)} disagreements:\n{text}")
    runs = sum(isinstance(record, RunStarted) for record in records)
    require(runs > 1, f"seed {seed}: {runs} runs in the log")
    orders = {record.client_id for record in records if isinstance(record, OrderSubmitted)}
    placed = {row["client_id"] for row in built.simulator.get("/log")["rows"]}
    fills = sum(isinstance(record, FillBooked) for record in records)
    require(fills, f"seed {seed}: there was no fill")
    return Killed(seed, kills, dict(live), struck, ready_s, len(orders), fills, len(orders - placed), carried)


def describe(result: Killed) -> str:
    """One line for a person."""
    under_way = ", ".join(f"{count} {state}" for state, count in sorted(result.live.items())) or "none"
    carried = ", ".join(f"{amount} {asset}" for asset, amount in result.carried.items()) or "none"
    return (
        f"seed {result.seed}: {result.kills} kills, {result.struck} with orders under way ({under_way}); "
        f"{result.orders} orders, {result.never_sent} of them killed before they left, {result.fills} fills: log, "
        f"ledger and venue agree, none unknown, open or sent twice; ready again after "
        f"{', '.join(f'{s:.1f}' for s in result.ready_s)} s; dust {carried}"
    )
