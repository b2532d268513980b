"""Records into metrics, the daemon's own numbers through a real control socket, the pages over real HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tradeserver.core import records as r
from tradeserver.core.types import Side
from tradeserver.runtime.wal import FileWal, WalSettings
from tradeserver.services import layout
from tradeserver.services.control import Server
from tradeserver.services.logs import Log
from tradeserver.services.metrics.catalogue import MOST_WORDS, Catalogue
from tradeserver.services.metrics.settings import address
from tradeserver.services.metrics.sink import MetricsSink
from tradeserver.services.sinks import SinkError

S = 1_000_000_000


def changed(state: r.OrderState, reason: str = "", code: str = "") -> r.OrderChanged:
    return r.OrderChanged(
        ts=1, venue="binance", symbol="BTC/USDT", client_id="x", arbitrage=1, leg=0, state=state, executed=Decimal(0),
        code=code, reason=reason,
    )  # fmt: skip


def fill(quantity: str, price: str) -> r.FillBooked:
    return r.FillBooked(
        ts=1, venue="kucoin", symbol="BTC/USDT", client_id="x", arbitrage=1, leg=0, side=Side.SELL, trade_id="1",
        venue_order_id="2", price=Decimal(price), quantity=Decimal(quantity), commission=Decimal(0),
        commission_asset="USDT", commission_expected=False, maker=False, venue_ts=1,
    )  # fmt: skip


def marked(realised: str, unrealised: str) -> r.PnlMarked:
    return r.PnlMarked(ts=1, realised={"USDT": Decimal(realised)}, unrealised={"USDT": Decimal(unrealised)}, fees={})


def value(catalogue: Catalogue, name: str, **labels: str) -> float | None:
    return catalogue.registry.get_sample_value(f"tradeserver_{name}", labels)


def test_records_become_what_they_say() -> None:
    c = Catalogue()
    c.observe(changed(r.OrderState.REFUSED, reason="-2010 Account has insufficient balance", code="-2010"))
    c.observe(changed(r.OrderState.FILLED))
    c.observe(fill("0.5", "64000"))
    c.observe(fill("0.25", "64000"))
    c.observe(r.OrderTimed(ts=1, venue="binance", symbol="B/U", client_id="x", arbitrage=1,
                           stages_ns={"sent_to_ack": 3_000_000, "frame_to_decided": 15_000}))  # fmt: skip
    assert value(c, "orders_total", venue="binance", state="refused", reason="-2010") == 1
    assert value(c, "orders_total", venue="binance", state="filled", reason="none") == 1
    assert value(c, "fills_total", venue="kucoin", symbol="BTC/USDT", side="sell") == 2
    assert value(c, "turnover_quote_total", venue="kucoin", asset="USDT") == 48_000
    assert value(c, "stage_seconds_bucket", venue="binance", stage="sent_to_ack", le="0.005") == 1
    assert value(c, "stage_seconds_bucket", venue="binance", stage="sent_to_ack", le="0.002") == 0
    assert value(c, "stage_seconds_sum", venue="binance", stage="frame_to_decided") == pytest.approx(15e-6)


def test_drawdown_is_below_the_highest() -> None:
    c = Catalogue()
    for realised, unrealised in (("10", "0"), ("10", "5"), ("8", "-1"), ("9", "0")):
        c.observe(marked(realised, unrealised))
    assert value(c, "drawdown", asset="USDT") == 6
    c.observe(marked("20", "0"))
    assert value(c, "drawdown", asset="USDT") == 0
    assert value(c, "pnl_realised", asset="USDT") == 20


def test_ticks_count_over_a_restart_of_the_daemon() -> None:
    c = Catalogue()
    for ticks in (100, 200, 50):  # a new run begins at zero
        c.observe(r.Vitals(ts=5 * S, gauges={"tick_late_ms": 12.0}, counters={"ticks": ticks}))
    assert value(c, "ticks_total") == 250
    assert value(c, "tick_late_seconds") == 0.012


def test_a_venue_cannot_make_labels_without_end() -> None:
    c = Catalogue()
    for n in range(5_000):
        c.observe(changed(r.OrderState.REFUSED, code=f"E{n}"))
        c.observe(r.Alert(ts=1, severity=r.Severity.WARNING, code=f"VENUE_{n}", text=""))
    reasons = {s.labels["reason"] for m in c.registry.collect() for s in m.samples if m.name == "tradeserver_orders"}
    assert len(reasons) == MOST_WORDS + 1
    assert value(c, "orders_total", venue="binance", state="refused", reason="other") == 5_000 - MOST_WORDS


def test_what_is_gone_at_the_daemon_is_gone_here() -> None:
    c = Catalogue()
    c.shell([("trading_restriction", {"scope": "global", "reason": "kill"}, 3.0), ("exposure_quote", {}, 12.5)])
    assert value(c, "trading_restriction", scope="global", reason="kill") == 3
    c.shell([("exposure_quote", {}, 0.0), ("of_tomorrow", {}, 1.0), ("live_orders", {"surprise": "x"}, 1.0)])
    assert value(c, "trading_restriction", scope="global", reason="kill") is None
    assert value(c, "exposure_quote") == 0


@pytest.mark.parametrize("text", ["9464", ":9464", "host:", "host:x", "host:70000"])
def test_an_address_must_be_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"metrics\.listen"):
        address(text)
    assert address("[::1]:1") == ("::1", 1)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    wal = FileWal(layout.wal(tmp_path), WalSettings(preallocate=False, reserve_bytes=0))
    empty = r.Checkpoint(
        ts=0, next_arbitrage=1, next_opportunity=1, orders=(), arbitrages=(), balances={}, positions={}, realised={},
        fees={}, states=(), fill_keys=(), dust={},
    )  # fmt: skip
    wal.begin(empty)
    wal.close()
    return tmp_path


def test_the_pages(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradeserver.services.metrics.sink.ASK_S", 0.01)
    rows: list[Any] = [
        ["venue_ready", {"venue": "binance"}, 0.0],
        ["wal_sequence", {}, 500.0],
        ["rate_budget_used_ratio", {"venue": "binance", "scope": "weight"}, 0.25],
    ]
    layout.relay_positions(state).write_text('{"nats": 100, "log": 500}')

    async def main() -> None:
        sink = MetricsSink("127.0.0.1:0", state, Log("t", io.StringIO()))
        server = Server(layout.control(state), {"gauges": lambda: {"rows": rows}})
        await sink.open(0)
        base = f"http://127.0.0.1:{sink.pages.port}"
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{base}/healthz")).status_code == 503, "no record yet"
            await server.start()
            await sink.deliver([(500, r.Vitals(ts=time.time_ns(), gauges={}, counters={}))])
            await asyncio.sleep(0.1)
            assert (await client.get(f"{base}/healthz")).json()["ok"]
            ready = await client.get(f"{base}/readyz")
            assert (ready.status_code, ready.json()["reasons"]) == (503, ["binance is not ready"])
            rows[0][2] = 1.0
            await asyncio.sleep(0.1)
            assert (await client.get(f"{base}/readyz")).status_code == 200
            page = await client.get(f"{base}/metrics")
            assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
            found = {(s.name, *s.labels.values()): s.value for f in text_string_to_metric_families(page.text)
                     for s in f.samples}  # fmt: skip
            assert found["tradeserver_up",] == 1
            assert found["tradeserver_relay_lag_records", "nats"] == 400
            assert found["tradeserver_rate_budget_used_ratio", "weight", "binance"] == 0.25
            assert found["tradeserver_disk_free_bytes",] > 0
            await server.stop()
            await asyncio.sleep(0.1)
            assert "control socket" in json.dumps((await client.get(f"{base}/readyz")).json()["reasons"])
        other = MetricsSink(f"127.0.0.1:{sink.pages.port}", state, Log("t", io.StringIO()))
        with pytest.raises(SinkError, match="in use"):
            await other.open(0)
        await sink.close()

    asyncio.run(main())
