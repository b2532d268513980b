"""Paper without a key: the shipped configuration on the simulator's public side; nothing private is asked for."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tradeserver.core.records import ArbitrageClosed, BookChanged, FillBooked, Outcome, PnlMarked, RunStarted
from tradeserver.lab.acceptance.house import House, require
from tradeserver.lab.processes import Child, Simulator, free_port, start_nats, tradeserver

CONFIG = Path("config/paper.toml")
SECONDS = 60.0
ENOUGH = 3  # completed arbitrages
PUBLIC = re.compile(
    r"(GET|WS) (/api/v3/(exchangeInfo|depth|time|ping)|/stream|/ws|/endpoint"
    r"|/api/v[123]/(symbols|status|timestamp|market/orderbook/.*))"
    r"|POST /api/v1/bullet-public"
)
"""What needs no key at either venue (Binance spot API docs, rest-api.md; KuCoin docs, market data; 2026-07-21)."""


def item_10(folder: Path, data: Path) -> str:
    """Books, paper fills, P&L; no key, no order, no private link at the venues."""
    return paper_run(folder, SECONDS)


def paper_run(folder: Path, seconds: float) -> str:
    """At most `seconds` of `run config/paper.toml`, ended early once enough was completed."""
    nats_port = free_port()
    nats = start_nats(folder, nats_port)
    simulator = Simulator(folder)
    built = House(folder, simulator, nats, nats_port, CONFIG)
    environ = overrides(folder, simulator.urls, nats_port)
    try:
        built.daemon = Child("daemon", tradeserver("run", str(CONFIG)), folder / "daemon.log", environ)
        built.wait("synced books", lambda s: all(b["trust"] == "synced" for b in s["books"]), 30)
        end = time.monotonic() + seconds
        while _completed(built) < ENOUGH and time.monotonic() < end:
            time.sleep(1)
        code = built.stop()
        require(code == 0, f"the daemon ended with code {code}:\n{built.daemon.tail()}")
        check_outside(simulator.get("/state"), simulator.get("/log"))
        return describe(built)
    finally:
        if built.daemon is not None:
            built.daemon.stop()
        simulator.child.stop()
        nats.stop()


def overrides(folder: Path, urls: Mapping[str, Any], nats_port: int) -> dict[str, str]:
    """The environment that points the shipped file at this machine; no key, no secret."""
    require(not any("SECRET" in name for name in os.environ), "the environment has a secret: this would prove nothing")
    return {
        "TRADESERVER__STATE_DIR": str(folder / "state"),
        "TRADESERVER__NATS__URL": f"nats://127.0.0.1:{nats_port}",
        "TRADESERVER__VENUES__BINANCE__SETTINGS__REST_URL": urls["binance"]["rest"],
        "TRADESERVER__VENUES__BINANCE__SETTINGS__STREAM_URL": urls["binance"]["stream"],
        "TRADESERVER__VENUES__BINANCE__SETTINGS__WS_API_URL": urls["binance"]["ws_api"],
        "TRADESERVER__VENUES__KUCOIN__SETTINGS__REST_URL": urls["kucoin"]["rest"],
        "TRADESERVER__VENUES__KUCOIN__SETTINGS__ORDER_ENTRY_URL": urls["kucoin"]["ws_orders"],
    }


def check_outside(state: Mapping[str, Any], log: Mapping[str, Any]) -> None:
    """What the venues saw: market data alone."""
    require(not log["rows"], f"orders reached the venue: {log['rows'][:3]}")
    for venue, asked in state["requests"].items():
        require(asked, f"nothing was asked of {venue}")
        private = [name for name in asked if not PUBLIC.fullmatch(name)]
        require(not private, f"{venue} was asked for what needs a key: {private}")


def _completed(built: House) -> int:
    return sum(isinstance(r, ArbitrageClosed) and r.outcome is Outcome.COMPLETED for r in built.records())


def describe(built: House) -> str:
    """What the log holds. Requires fills, arbitrages and P&L."""
    records = built.records()
    require(next(r for r in records if isinstance(r, RunStarted)).mode == "paper", "it was no paper run")
    synced = {(r.venue, r.symbol) for r in records if isinstance(r, BookChanged) and r.trust == "synced"}
    require(len(synced) == 6, f"only these books synced: {sorted(synced)}")
    fills = Counter(r.venue for r in records if isinstance(r, FillBooked))
    require(len(fills) == 2, f"paper fills: {dict(fills)}")
    outcomes = Counter(r.outcome for r in records if isinstance(r, ArbitrageClosed))
    require(outcomes[Outcome.COMPLETED], f"no arbitrage was completed: {dict(outcomes)}")
    marks = [r for r in records if isinstance(r, PnlMarked) and any(r.realised.values())]
    require(marks, "no profit or loss was realised")
    realised = ", ".join(f"{amount:.4f} {asset}" for asset, amount in marks[-1].realised.items())
    return (
        f"6 books, {sum(fills.values())} paper fills, {outcomes[Outcome.COMPLETED]} arbitrages completed, realised "
        f"{realised}; the venues saw no key, no order, no private link"
    )
