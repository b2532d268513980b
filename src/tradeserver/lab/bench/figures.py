"""The runs, in interleaved blocks. Every function adds to `Figures`: key -> one value a round."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tradeserver.lab.bench.micro import book_update_us
from tradeserver.lab.bench.table import percentile
from tradeserver.lab.bench.trader import ORDER, WRITE
from tradeserver.lab.bench.world import Floor, Peer, Trader, nats, rss_mb

Figures = dict[str, list[float]]
Say = Callable[[str], None]

WARM = 4_000
"""Messages before anything counts."""


class Bench:
    """One sitting in `folder`. `seconds` is the length of a paced block."""

    def __init__(self, folder: Path, seconds: float, nice: int, say: Say) -> None:
        self.folder = folder
        self.nice = nice
        self.seconds = seconds
        self.say = say
        self.figures: Figures = {}
        self.notes: dict[str, str] = {}
        self._traders = 0
        self._nats, self._nats_port = nats(folder)

    def close(self) -> None:
        """The NATS server too."""
        self._nats.stop()

    def add(self, key: str, value: float) -> None:
        """One round's value."""
        self.figures.setdefault(key, []).append(value)

    def trader(self, peer: Peer, **options: Any) -> Trader:
        """A fresh daemon with a state of its own."""
        self._traders += 1
        return Trader(self.folder / f"trader-{self._traders}", peer, self._nats_port, nice=self.nice, **options)

    def forget(self, trader: Trader) -> None:
        """Its state is large."""
        shutil.rmtree(trader.folder)

    # ---- latency -----------------------------------------------------------------------------------------------------

    def latency(self, peer: Peer, pem: Path) -> None:
        """One round: the plain daemon at 5k and 2k, the floor, the spinning one, the one on TLS."""
        trader = self.trader(peer)
        self._paced(peer, 5_000, 0.5)
        fast = self._paced(peer, 5_000)
        slow = self._paced(peer, 2_000)
        samples = trader.stop()
        self._internal(samples, fast, "5k", first=True)
        self._internal(samples, slow, "2k")
        self._writes(samples, fast["start"])
        self.forget(trader)
        wire = self._wire(fast, "wire_to_wire_us.5k")
        self._wire(slow, "wire_to_wire_us.2k")

        floor = Floor(peer, self.folder, nice=self.nice)
        self._paced(peer, 5_000, 0.5)
        bare = self._wire(self._paced(peer, 5_000), "floor_us.5k")
        floor.stop()
        self.add("floor_ratio", wire / bare)

        trader = self.trader(peer, spin=True)
        self._paced(peer, 5_000, 0.5)
        block = self._paced(peer, 5_000)
        self._internal(trader.stop(), block, "spin")
        self._wire(block, "wire_to_wire_us.spin")
        self.forget(trader)

        trader = self.trader(peer, tls=pem)
        self._paced(peer, 5_000, 0.5)
        block = self._paced(peer, 5_000)
        self._internal(trader.stop(), block, "tls")
        self._wire(block, "wire_to_wire_us.tls")
        self.forget(trader)

    def _paced(self, peer: Peer, rate: int, share: float = 1.0) -> dict[str, Any]:
        return peer.do("paced", rate=rate, count=int(rate * self.seconds * share))

    def _wire(self, block: dict[str, Any], key: str) -> float:
        values = [value / 1e3 for value in block["latencies"]]
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
            self.add(f"{key}.{name}", percentile(values, share))
        self.say(f"{key}: {len(values)} of {block['orders'] // 2} arbitrages")
        return percentile(values, 0.5)

    def _internal(self, samples: array[int], block: dict[str, Any], name: str, first: bool = False) -> None:
        """Of the block's time: from a frame's entry to the return of its first send, and of its last."""
        sent: dict[int, list[int]] = {}
        for at in range(0, len(samples), 3):
            kind, entered, left = samples[at : at + 3]
            if kind == ORDER and block["start"] <= entered <= block["last_order"]:
                sent.setdefault(entered, []).append(left)
        pairs = [(entered, left) for entered, left in sent.items() if len(left) == 2]
        keys = [("tick_to_arbitrage_us", [(left[-1] - entered) / 1e3 for entered, left in pairs])]
        if first:
            keys.append(("tick_to_order_us", [(left[0] - entered) / 1e3 for entered, left in pairs]))
        for key, values in keys:
            for rank, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
                self.add(f"{key}.{name}.{rank}", percentile(values, share))

    def _writes(self, samples: array[int], since: int) -> None:
        values = [
            (samples[at + 2] - samples[at + 1]) / 1e3
            for at in range(0, len(samples), 3)
            if samples[at] == WRITE and samples[at + 1] >= since
        ]
        self.add("wal_write_us.p50", percentile(values, 0.5))
        self.add("wal_write_us.p999", percentile(values, 0.999))

    # ---- throughput, memory, symbols ---------------------------------------------------------------------------------

    def throughput(self, peer: Peer, messages: int) -> None:
        """Depth messages and orders a second, from the first byte until everything is read and every fill booked.

        Three floods over many symbols: without trades, with one tick in 20 that trades, with one in 4.
        """
        trader = self.trader(peer)
        peer.do("paced", rate=4_000, count=WARM)
        cpu = [trader.cpu_s()]
        blocks = []
        for words in ({"trade": False}, {"every": 20}, {"every": 4}):
            blocks.append(peer.do("flood", count=messages, **words))
            cpu.append(trader.cpu_s())
        rates = [1e9 / (block["done"] - block["start"]) for block in blocks]
        orders = blocks[2]["orders"]
        order_us = (cpu[3] - cpu[2] - (cpu[1] - cpu[0])) / orders * 1e6
        self.add("quiet_messages_per_s", messages * rates[0])
        self.add("depth_messages_per_s", messages * rates[1])
        self.add("orders_per_s", orders * rates[2])
        self.add("message_cpu_us", (cpu[1] - cpu[0]) / messages * 1e6)
        self.add("order_cpu_us", order_us)
        self.add("cpu_share_at_10k_orders", order_us * 10_000 / 1e6 * 100)
        self.say(f"{messages} messages each: orders {[block['orders'] for block in blocks]}")
        trader.stop()
        self.forget(trader)

    def memory(self, folder: Path, messages: int) -> None:
        """Resident memory at the start and with 40 books; growth over a flood."""
        peer = Peer(folder, 20, nice=self.nice)
        trader = self.trader(peer)
        self.add("rss_mb.start", trader.start_mb)
        peer.do("paced", rate=4_000, count=2 * WARM)
        self.add("rss_mb.books", rss_mb(trader.pid))
        self.add("rss_mb.all", rss_mb(trader.pid) + sum(map(rss_mb, trader.children())))
        step = 100_000
        peer.do("flood", count=2 * step)
        before = rss_mb(trader.pid)
        for _ in range(messages // step):
            peer.do("flood", count=step)
        self.add("rss_mb.growth", rss_mb(trader.pid) - before)
        self.notes["rss_mb.growth"] = f"over {messages:,} messages (shortened from 10 million), 40 books"
        trader.stop()
        self.forget(trader)
        peer.stop()

    def symbols(self, one: Peer, many: Peer) -> None:
        """CPU a message of a daemon with 300 symbols over one with one, at the same total rate, without trades."""
        costs = []
        for peer in (one, many):
            trader = self.trader(peer)
            peer.do("paced", rate=2_000, count=WARM, trade=False)
            count = int(2_000 * self.seconds)
            before = trader.cpu_s()
            peer.do("paced", rate=2_000, count=count, trade=False)
            costs.append((trader.cpu_s() - before) / count * 1e6)
            trader.stop()
            self.forget(trader)
        self.add("symbols_cost", costs[1] / costs[0])
        self.add("symbols_cpu_us.1", costs[0])
        self.add("symbols_cpu_us.300", costs[1])

    def books(self) -> None:
        """The book alone."""
        for levels in (10, 40):
            self.add(f"book_update_us.{levels}", book_update_us(levels))
