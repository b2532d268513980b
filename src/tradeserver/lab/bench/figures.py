"""The runs, in blocks that take turns. Each adds to `Figures`; none looks at a target."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tradeserver.lab.bench.micro import book_update_us
from tradeserver.lab.bench.profile import Function, Stage, functions, stages
from tradeserver.lab.bench.table import Figures, percentile
from tradeserver.lab.bench.trader import ORDER, SYNC, WRITE
from tradeserver.lab.bench.world import ONE_LEG, Floor, Peer, Trader, nats, rss_mb

Say = Callable[[str], None]
Block = dict[str, Any]

WARM = 4_000
"""Messages before anything counts."""
WARM_ORDERS = 20_000
"""And before memory may not grow any more: what is remembered of finished orders (ids, fills) has bounds, and takes so
many orders to reach them."""
ORDERS_A_SECOND = 10_000
HALF = 0.5
"""Of the ticks that should trade, fewer than that: the figure is printed with a warning."""


class Bench:
    """One sitting in `folder`. `seconds` is the length of a paced block; `say` tells of each step before it begins."""

    def __init__(self, folder: Path, seconds: float, nice: int, say: Say) -> None:
        self.folder = folder
        self.nice = nice
        self.seconds = seconds
        self.say = say
        self.figures = Figures()
        self._traders = 0
        self._nats, self._nats_port = nats(folder)

    def close(self) -> None:
        """The NATS server too."""
        self._nats.stop()

    def trader(self, peer: Peer, **options: Any) -> Trader:
        """A fresh daemon with a state of its own."""
        self._traders += 1
        return Trader(self.folder / f"trader-{self._traders}", peer, self._nats_port, nice=self.nice, **options)

    def ended(self, trader: Trader) -> array[int]:
        """Its samples; its state, which is large, goes."""
        samples = trader.stop()
        shutil.rmtree(trader.folder)
        return samples

    # ---- latency -----------------------------------------------------------------------------------------------------

    def latency(self, peer: Peer, pem: Path) -> None:
        """One round: one leg; two at 5k and 2k; the floor; the spinning loop; TLS."""
        self.say("one leg, 5k ticks/s")
        trader = self.trader(peer, strategy=ONE_LEG)
        paced(peer, 5_000, self.seconds / 2, expire=True)
        block = paced(peer, 5_000, self.seconds, expire=True)
        self._internal("tick_to_order_us", self.ended(trader), block, legs=1)

        self.say("two legs, 5k and 2k ticks/s")
        trader = self.trader(peer)
        paced(peer, 5_000, self.seconds / 2)
        fast = paced(peer, 5_000, self.seconds)
        slow = paced(peer, 2_000, self.seconds)
        samples = self.ended(trader)
        self._internal("tick_to_arbitrage_us.5k", samples, fast)
        self._internal("tick_to_arbitrage_us.2k", samples, slow)
        self.figures.distribution("wal_write_us", writes_while_syncing(samples, fast["start"]))
        wire = self._wire("wire_to_wire_us", fast)
        self._wire("wire_to_wire_us.2k", slow)

        self.say("the floor: the same frames undecoded, 5k ticks/s")
        floor = Floor(peer, self.folder, nice=self.nice)
        paced(peer, 5_000, self.seconds / 2)
        bare = self._wire("floor_us", paced(peer, 5_000, self.seconds))
        floor.stop()
        self.figures.add("floor_ratio", wire / bare)

        for name, options in (("spin", {"spin": True}), ("tls", {"tls": pem})):
            self.say({"spin": "spinning loop, 5k ticks/s", "tls": "TLS, 5k ticks/s"}[name])
            trader = self.trader(peer, **options)
            paced(peer, 5_000, self.seconds / 2)
            block = paced(peer, 5_000, self.seconds)
            self._internal(f"tick_to_arbitrage_us.{name}", self.ended(trader), block)
            self._wire(f"wire_to_wire_us.{name}", block)

    def _wire(self, key: str, block: Block) -> float:
        values = [value / 1e3 for value in block["latencies"]]
        self.figures.distribution(key, values)
        if len(values) < HALF * block["triggers"]:
            self.figures.warnings.append(
                f"{key}: {len(values)} of {block['triggers']} ticks were traded on; the others came while the last "
                "arbitrage was open"
            )
        return percentile(values, 0.5)

    def _internal(self, key: str, samples: Sequence[int], block: Block, legs: int = 2) -> None:
        self.figures.distribution(key, frame_to_last_send(samples, block["start"], block["last_order"], legs))

    # ---- throughput, memory, symbols ---------------------------------------------------------------------------------

    def throughput(self, peer: Peer, messages: int) -> None:
        """Depth messages and orders a second, from the first byte until everything is read and every fill booked.

        Three floods over many symbols: without trades, with one tick in 20 that trades, with one in 4; then 10,000
        orders a second, if it can.
        """
        self.say(f"{messages:,} messages as fast as they are read: none trades, one in 20, one in 4")
        trader = self.trader(peer)
        peer.do("paced", rate=4_000, count=WARM)
        cpu = [trader.cpu_s()]
        peers = [peer.cpu_s()]
        blocks = []
        for words in ({"trade": False}, {"every": 20}, {"every": 4}):
            blocks.append(peer.do("flood", count=messages, **words))
            cpu.append(trader.cpu_s())
            peers.append(peer.cpu_s())
        seconds = [(block["done"] - block["start"]) / 1e9 for block in blocks]
        orders = blocks[2]["orders"]
        self.figures.add("depth_messages_per_s", messages / seconds[1], messages)
        self.figures.add("orders_per_s", orders / seconds[2], orders)
        self.figures.add("message_cpu_us", (cpu[1] - cpu[0]) / messages * 1e6, messages)
        if orders:
            self.figures.add("order_cpu_us", (cpu[3] - cpu[2] - (cpu[1] - cpu[0])) / orders * 1e6, orders)
        if peers[3] - peers[2] > 0.9 * seconds[2]:
            self.figures.warnings.append("orders_per_s: the stub was as busy as the daemon: it may be the limit")
        self._share_at_10k(peer, trader)
        self.ended(trader)

    def _share_at_10k(self, peer: Peer, trader: Trader) -> None:
        """Every second message trades, two orders each: as many messages a second as orders."""
        self.say(f"{ORDERS_A_SECOND:,} orders a second")
        before = trader.cpu_s()
        block = peer.do("paced", rate=ORDERS_A_SECOND, count=int(ORDERS_A_SECOND * self.seconds / 2), every=2)
        used, orders = trader.cpu_s() - before, block["orders"]
        rate = orders / ((block["done"] - block["start"]) / 1e9)
        key = "orders_core_share_pct"
        if orders:
            self.figures.add(key, 100 * used * ORDERS_A_SECOND / orders, orders)
        if rate < 0.9 * ORDERS_A_SECOND:
            self.figures.notes[key] = (
                f"10,000 orders/s asked for, {rate:,.0f} reached: computed from the CPU of an order and its message"
            )

    def memory(self, messages: int, step: int = 100_000) -> None:
        """Resident memory at the start and with 40 books; growth over a flood."""
        self.say(f"memory, and its growth over {messages:,} messages")
        peer = Peer(self.folder, 20, nice=self.nice)
        trader = self.trader(peer, look="bare")
        self.figures.add("rss_mb.start", trader.start_mb)
        peer.do("paced", rate=4_000, count=2 * WARM)
        self.figures.add("rss_mb.books", rss_mb(trader.pid))
        self.figures.add("rss_mb.all", rss_mb(trader.pid) + sum(map(rss_mb, trader.children())))
        orders = floods = 0
        while orders < WARM_ORDERS and floods < 2 * messages // step:
            orders += peer.do("flood", count=step)["orders"]
            floods += 1
        if orders < WARM_ORDERS:
            self.figures.warnings.append(
                f"rss_mb.growth: the warm-up came to {orders:,} of {WARM_ORDERS:,} orders only"
            )
        sizes = [rss_mb(trader.pid)]
        for number in range(messages // step):
            peer.do("flood", count=step)
            sizes.append(rss_mb(trader.pid))
            self.figures.add("rss_mb.series", sizes[-1], step)
            if number % 10 == 9:
                self.say(f"memory: {(number + 1) * step:,} messages, {sizes[-1] - sizes[0]:+.1f} MB")
        self.figures.add("rss_mb.growth", max(sizes[-2:]) - sizes[0], messages)
        shortened = "" if messages >= 10_000_000 else " (shortened from 10 million: --memory-messages 10000000)"
        self.figures.notes["rss_mb.growth"] = (
            f"over {messages:,} messages after warm-up{shortened}; 1 MB counts as none"
        )
        self.ended(trader)
        peer.stop()

    def symbols(self, one: Peer, many: Peer) -> None:
        """CPU a message of a daemon with 300 symbols over one with one, at the same total rate, without trades."""
        self.say("CPU a message with 1 and with 300 symbols, 2k messages/s in all")
        costs = []
        for peer in (one, many):
            trader = self.trader(peer)
            peer.do("paced", rate=2_000, count=WARM, trade=False)
            count = int(2_000 * self.seconds)
            before = trader.cpu_s()
            peer.do("paced", rate=2_000, count=count, trade=False)
            costs.append((trader.cpu_s() - before) / count * 1e6)
            self.ended(trader)
        self.figures.add("symbols_cost", costs[1] / costs[0], 2 * count)

    def books(self) -> None:
        """The book alone, without sockets."""
        self.say("book updates, 10 and 40 levels")
        for levels in (10, 40):
            value, count = book_update_us(levels)
            self.figures.add(f"book_update_us.{levels}", value, count)

    # ---- where the time goes -----------------------------------------------------------------------------------------

    def stages(self, peer: Peer) -> list[Stage]:
        """Of the ticks that trade, at 5k ticks/s."""
        self.say("where the time of a tick goes")
        trader = self.trader(peer, look="stages")
        paced(peer, 5_000, self.seconds / 2)
        block = paced(peer, 5_000, self.seconds)
        return stages(self.ended(trader), block["start"], block["last_order"])

    def functions(self, peer: Peer, messages: int = 20_000) -> list[Function]:
        """Of a flood of which one message in 4 trades."""
        self.say("where the time of a flood goes")
        trader = self.trader(peer, look="profile")
        peer.do("paced", rate=1_000, count=200)
        peer.do("flood", count=messages, every=4)
        trader.stop()
        found = functions(trader.samples_file.with_name("samples.pstats"))
        shutil.rmtree(trader.folder)
        return found


def paced(peer: Peer, rate: int, seconds: float, **words: Any) -> Block:
    """So many seconds of one message after the other."""
    return peer.do("paced", rate=rate, count=int(rate * seconds), **words)


def frame_to_last_send(samples: Sequence[int], since: int, until: int, legs: int) -> list[float]:
    """Microseconds from a frame's entry to the return of its last send, of the frames that sent all `legs` orders."""
    sent: dict[int, list[int]] = {}
    for at in range(0, len(samples), 3):
        kind, entered, left = samples[at : at + 3]
        if kind == ORDER and since <= entered <= until:
            sent.setdefault(entered, []).append(left)
    return [(left[-1] - entered) / 1e3 for entered, left in sent.items() if len(left) == legs]


def writes_while_syncing(samples: Sequence[int], since: int) -> list[float]:
    """Microseconds of the log's writes during which, or a part of which, the log's thread was in `fdatasync`."""
    triples = [tuple(samples[at : at + 3]) for at in range(0, len(samples), 3)]
    syncs = sorted((begun, ended) for kind, begun, ended in triples if kind == SYNC and ended >= since)
    found: list[float] = []
    place = 0
    for begun, ended in sorted((b, e) for kind, b, e in triples if kind == WRITE and b >= since):
        while place < len(syncs) and syncs[place][1] <= begun:
            place += 1
        if place < len(syncs) and syncs[place][0] < ended:
            found.append((ended - begun) / 1e3)
    return found
