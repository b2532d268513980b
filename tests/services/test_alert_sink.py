"""Alerts through a real log and a real relay, to a server that limits as Discord does."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from discord_kit import DiscordStandIn
from tradeserver.cli import app
from tradeserver.core.records import Alert, Checkpoint, Record, RunStarted, Severity, Vitals
from tradeserver.relay import Relay
from tradeserver.runtime.wal import FileWal, WalSettings, encode_record
from tradeserver.services import layout
from tradeserver.services import tables as t
from tradeserver.services.alerting.settings import AlertSettings
from tradeserver.services.alerting.sink import AlertSink, due_day
from tradeserver.services.alerting.summary import DAY_NS, day
from tradeserver.services.logs import Log
from tradeserver.services.positions import delivered
from tradeserver.services.secrets import resolve
from tradeserver.services.sinks import LogSink
from tradeserver.services.store import Store

EMPTY = Checkpoint(
    ts=0, next_arbitrage=1, next_opportunity=1, orders=(), arbitrages=(), balances={}, positions={}, realised={},
    fees={}, states=(), fill_keys=(), dust={},
)  # fmt: skip


@pytest.fixture
def discord(monkeypatch: pytest.MonkeyPatch) -> Iterator[DiscordStandIn]:
    with DiscordStandIn() as there:
        monkeypatch.setenv("HOOK", there.url)
        monkeypatch.setenv("BEAT", f"http://127.0.0.1:{there.port}/beat/1")
        yield there


@pytest.fixture
def wal(tmp_path: Path) -> Iterator[FileWal]:
    made = FileWal(layout.wal(tmp_path), WalSettings(sync_ms=1, preallocate=False, reserve_bytes=0))
    made.begin(EMPTY)
    yield made
    made.close()


def write(wal: FileWal, *records: Record) -> None:
    assert wal.write([encode_record(record) for record in records])


def alert(code: str, severity: Severity = Severity.WARNING, text: str = "It happened.") -> Alert:
    return Alert(ts=time.time_ns(), severity=severity, code=code, text=text)


def relayed(
    state: Path, until: Callable[[], bool], out: io.StringIO | None = None, store_url: str = "", **settings: Any
) -> AlertSink:
    """A relay with alerts until something is so, then stopped in order."""
    log = Log("t", out or io.StringIO())
    lines = LogSink(log, layout.wal(state))
    chosen = AlertSettings(discord=("env:HOOK",), **{"gather_s": 0.2, **settings})
    summed = layout.summed_up(state)
    sink = AlertSink(chosen, "desk-1", layout.wal(state), summed, store_url, resolve, lines.well, log)

    async def main() -> None:
        relay = Relay(state, [sink, lines], log, lines, [sink.tell])
        task = asyncio.create_task(relay.run(5, 1))
        async with asyncio.timeout(30):
            while not until():
                assert not task.done()
                await asyncio.sleep(0.01)
            relay.stop()
            await task

    asyncio.run(main())
    log.close()
    return sink


def embeds(discord: DiscordStandIn) -> list[dict[str, Any]]:
    return [embed for body in discord.taken for embed in body["embeds"]]


def test_a_storm_of_ten_thousand_is_a_handful_of_messages(
    tmp_path: Path, wal: FileWal, discord: DiscordStandIn
) -> None:
    kinds = [f"VENUE_{n}" for n in range(40)]
    for n in range(100):
        write(wal, *[alert(kinds[(n * 100 + k) % 40]) for k in range(100)])
    write(wal, alert("EXPOSURE_HELD", Severity.CRITICAL))
    sink = relayed(tmp_path, lambda: len(embeds(discord)) >= 30)
    assert len(discord.taken) <= 8, "forty codes, ten a message, and what the end hurries"
    worst = next(body for body in discord.taken if "EXPOSURE_HELD" in str(body))
    assert worst["embeds"][0]["title"] == "EXPOSURE_HELD", "the worst is said first"
    counted = sum(int(e["title"].split("(")[1].split()[0]) if "(" in e["title"] else 1 for e in embeds(discord))
    assert counted == 10_001, "collapsed, not lost"
    assert sink.outlets[0].sent == len(discord.taken)
    assert discord.early == 0
    assert min(delivered(layout.relay_positions(tmp_path))) == 10_001


def test_what_was_not_taken_is_told_by_the_next_relay(tmp_path: Path, wal: FileWal, discord: DiscordStandIn) -> None:
    discord.down = True
    out = io.StringIO()
    write(wal, alert("FIRST"))
    write(wal, Vitals(ts=time.time_ns(), gauges={}, counters={}))
    relayed(tmp_path, lambda: 503 in discord.answers, out)
    assert "alerts_waiting" in out.getvalue()
    assert "TOKEN" not in out.getvalue()
    assert min(delivered(layout.relay_positions(tmp_path))) == 0, "before the alert"
    discord.down = False
    relayed(tmp_path, lambda: bool(discord.taken))
    assert [e["title"] for e in embeds(discord)] == ["FIRST"]
    assert delivered(layout.relay_positions(tmp_path)) == [2, 2]


def test_limits_are_waited_out_and_nothing_is_lost(tmp_path: Path, wal: FileWal, discord: DiscordStandIn) -> None:
    discord.limit = 1
    for n in range(25):
        write(wal, alert(f"N{n}"))
    relayed(tmp_path, lambda: len(embeds(discord)) == 25, per_minute=600)
    assert sorted(e["title"] for e in embeds(discord)) == sorted(f"N{n}" for n in range(25))
    assert discord.early == 0


def test_a_webhook_that_is_gone_holds_up_nothing(tmp_path: Path, wal: FileWal, discord: DiscordStandIn) -> None:
    discord.deleted = True
    out = io.StringIO()
    write(wal, alert("X"))
    relayed(tmp_path, lambda: 404 in discord.answers, out)
    assert "alerts_gone" in out.getvalue()
    assert delivered(layout.relay_positions(tmp_path)) == [1, 1]
    assert discord.answers == [404], "asking again gets an address banned"


def test_less_than_the_least_is_not_told(tmp_path: Path, wal: FileWal, discord: DiscordStandIn) -> None:
    started = RunStarted(
        ts=time.time_ns(), run="d1P000000", instance="desk-1", mode="paper", commit="c", config_sha256="0",
        venues=("binance",), symbols=("BTC/USDT",),
    )  # fmt: skip
    write(wal, started, alert("QUIET", Severity.INFO), alert("LOUD"))
    relayed(tmp_path, lambda: bool(discord.taken))
    assert [e["title"] for e in embeds(discord)] == ["LOUD"]


def test_silence_is_paged_by_the_relay_itself(
    tmp_path: Path, wal: FileWal, discord: DiscordStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradeserver.relay.SILENCE_S", 0.2)
    write(wal, Vitals(ts=time.time_ns(), gauges={}, counters={}))
    relayed(tmp_path, lambda: bool(discord.taken))
    assert embeds(discord)[0]["title"] == "DAEMON_GONE"


def test_the_heartbeat_stops_with_the_records(tmp_path: Path, wal: FileWal, discord: DiscordStandIn) -> None:
    write(wal, Vitals(ts=time.time_ns(), gauges={}, counters={}))
    relayed(tmp_path, lambda: discord.beats >= 3, heartbeat="env:BEAT", heartbeat_s=0.05)
    wal.write([encode_record(Vitals(ts=time.time_ns() - 60 * 10**9, gauges={}, counters={}))])
    before, begun = discord.beats, time.monotonic()
    relayed(tmp_path, lambda: time.monotonic() - begun > 0.4, heartbeat="env:BEAT", heartbeat_s=0.05)
    assert discord.beats == before, "a log that ended a minute ago is no sign of life"


def test_the_day_before_is_summed_up_once(tmp_path: Path, wal: FileWal, discord: DiscordStandIn) -> None:
    url = layout.store_url(tmp_path)
    yesterday = due_day("00:00", time.time_ns())
    store = Store(url)
    store.open()
    marks = [(-1, "100", "0"), (1, "103.5", "1"), (2, "90", "0"), (3, "112.25", "0.5")]
    with store.engine.begin() as c:
        for hour, realised, unrealised in marks:
            c.execute(
                insert(t.pnl_marks).values(
                    sequence=hour + 5, ts_ns=yesterday + hour * 3_600 * 10**9, realised={"USDT": realised},
                    unrealised={"USDT": unrealised}, fees={"BNB": "0.25"},
                )
            )  # fmt: skip
    found = day(store.engine, yesterday)
    assert found is not None
    assert found.profit == {"USDT": Decimal("12.75")}
    assert found.drawdown == {"USDT": 14.5}, "from +4.5 to -10"
    assert found.fees == {}, "the same as before the day"
    assert [round(amount, 2) for _, amount in found.curves["USDT"]] == [4.5, -10.0, 12.75]
    assert day(store.engine, yesterday - 3 * DAY_NS) is None
    store.close()
    relayed(tmp_path, lambda: bool(discord.pictures), store_url=url, summary_at="00:00")
    assert "Profit 12.75 USDT" in embeds(discord)[0]["description"]
    begun = time.monotonic()
    relayed(tmp_path, lambda: time.monotonic() - begun > 0.3, store_url=url, summary_at="00:00")
    assert len(discord.pictures) == 1, "a restart does not repeat it"


def test_when_a_day_is_due() -> None:
    noon = 20_000 * DAY_NS + 12 * 3_600 * 10**9
    assert due_day("00:05", noon) == 19_999 * DAY_NS
    assert due_day("12:01", noon) == 19_998 * DAY_NS
    assert due_day("12:00", noon) == 19_999 * DAY_NS


def test_alert_test_sends_one_of_each(tmp_path: Path, discord: DiscordStandIn) -> None:
    file = tmp_path / "run.toml"
    head = (
        f'mode = "paper"\nsymbols = ["BTC/USDT"]\nstate_dir = "{tmp_path}"\n[instance]\nname = "desk-1"\ntag = "t1"\n'
    )
    file.write_text(head + '[venues.binance]\n[alerts]\ndiscord = ["env:HOOK"]\nheartbeat = "env:BEAT"\n')
    result = CliRunner().invoke(app, ["alert", "test", str(file), "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert [(row["what"], row["result"]) for row in rows] == [
        (what, "delivered") for what in ("critical", "warning", "info", "summary", "heartbeat")
    ]
    assert [e["color"] for e in embeds(discord)] == [0xE74C3C, 0xF1C40F, 0x3498DB, 0x3498DB]
    assert discord.beats == 1
    discord.deleted = True
    result = CliRunner().invoke(app, ["alert", "test", str(file)])
    assert result.exit_code == 1
    assert "TOKEN" not in result.output
