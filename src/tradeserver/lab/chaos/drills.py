"""Cases of the fault matrix that need no scene: files that are torn, a sink with moods, flags that contradict.

Each takes a folder of its own and answers what was wrong, one sentence each; nothing where all was right.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from tradeserver.config import Config, parse
from tradeserver.config.wiring import wiring_allowed
from tradeserver.core.commands import SubmitOrder
from tradeserver.core.events import OrderRejected, OrderUncertain
from tradeserver.core.records import BalanceBooked, Checkpoint, Record
from tradeserver.core.types import plain
from tradeserver.lab.chaos.scene import Case, set_up
from tradeserver.relay import Relay
from tradeserver.runtime.wal import FileWal, WalBusyError, WalSettings, encode_record
from tradeserver.runtime.wal_files import WalDamagedError, list_segments
from tradeserver.services import layout
from tradeserver.services.faults import ConfigError
from tradeserver.services.logs import Log
from tradeserver.services.sinks import Batch, SinkError
from tradeserver.simulator.config import SimConfig
from tradeserver.venues.base import Credentials
from tradeserver.venues.binance.errors import row_of
from tradeserver.venues.errors import order_outcome

UNSYNCED: Final = WalSettings(sync_ms=600_000, preallocate=False, reserve_bytes=0)
EMPTY: Final = Checkpoint(
    ts=0, next_arbitrage=1, next_opportunity=1, orders=(), arbitrages=(), balances={}, positions={}, realised={},
    fees={}, states=(), fill_keys=(), dust={},
)  # fmt: skip


# ---- 29 --------------------------------------------------------------------------------------------------------------


class Moody:
    """A sink that is away at first, then takes half of a batch and fails, then is slow, then works."""

    name = "nats"

    def __init__(self) -> None:
        self.taken: list[int] = []
        self._moods: Iterator[str] = iter(["away", "away", "half", "half", "slow"])

    async def open(self, noted: int) -> int:
        """What it has is the truth."""
        return self.taken[-1] if self.taken else 0

    def settled(self, at: int) -> int:
        """All of it."""
        return at

    async def deliver(self, batch: Batch) -> None:
        """According to its mood."""
        mood = next(self._moods, "well")
        if mood == "away":
            raise SinkError("no responders")
        if mood == "half":
            self.taken += [sequence for sequence, _ in batch[: len(batch) // 2]]
            raise SinkError("connection lost")
        if mood == "slow":
            await asyncio.sleep(0.05)
        self.taken += [sequence for sequence, _ in batch]

    async def close(self) -> None:
        """Nothing to let go of."""


def moody_sink(folder: Path) -> list[str]:
    """Every record once and in order, whatever the sink does; the writer never waits."""
    wal = FileWal(layout.wal(folder), WalSettings(sync_ms=1, preallocate=False, reserve_bytes=0))
    wal.begin(EMPTY)
    sink = Moody()

    async def run() -> None:
        relay = Relay(folder, [sink], Log("relay", io.StringIO()))
        running = asyncio.create_task(relay.run(drain_s=5.0, lost_s=5.0))
        for number in range(1, 401):
            wal.write([encode_record(_booked(number))])
            if number % 100 == 0:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        relay.stop()
        await running

    asyncio.run(run())
    wal.close()
    return [] if sink.taken == list(range(1, 401)) else [f"the sink got {len(sink.taken)} of 400, or not in order"]


def _booked(number: int) -> Record:
    total = Decimal(number)
    return BalanceBooked(ts=number, venue="v", asset="A", total=total, previous=total - 1, reason="opening")


# ---- 32, 33 ----------------------------------------------------------------------------------------------------------


def _traded(folder: Path, *, synced: bool) -> tuple[Path, int]:
    """A log of a real scene, killed: (segment, where its last record begins)."""
    loop, stage = set_up(Case(row=32, name="a log", faults=()), 1)
    stage.gap("XRP/USDT", "binance", 25.0, 60_000_000)
    loop.run(1.0)
    payloads = loop.trader.wal.payloads
    wal = FileWal(folder, UNSYNCED)
    wal.begin(EMPTY)
    sizes = [list_segments(folder)[0].stat().st_size]
    for payload in payloads:
        wal.write([payload])
        sizes.append(list_segments(folder)[0].stat().st_size)
    if synced:
        wal.close()
        return list_segments(folder)[0], sizes[-2]
    copy = folder.with_name(folder.name + "-crashed")
    shutil.copytree(folder, copy)  # what a power cut leaves; the process that wrote it is gone
    wal.close()
    return list_segments(copy)[0], sizes[-2]


def _recovered(folder: Path) -> tuple[int, str]:
    """(records found, "" or why the log was refused)."""
    try:
        wal = FileWal(folder, UNSYNCED)
    except WalDamagedError as error:
        return 0, str(error)
    found = sum(1 for _ in wal.recover())
    wal.close()
    return found, ""


def torn_tail(folder: Path) -> list[str]:
    """Cut anywhere in the last record: all before it is found, and the part cut off is kept."""
    segment, last = _traded(folder / "log", synced=False)
    data = segment.read_bytes()
    whole, refused = _recovered(_copy(segment, folder / "whole", data))
    wrong = [refused] if refused else []
    for cut in range(last, len(data)):
        directory = _copy(segment, folder / f"cut-{cut}", data[:cut])
        found, refused = _recovered(directory)
        if refused or found != whole - 1:
            wrong.append(f"cut at {cut} of {len(data)}: {refused or f'{found} of {whole - 1} records'}")
        if cut > last and not list(directory.glob("*.cut-*")):
            wrong.append(f"cut at {cut}: the torn part is not kept")
        shutil.rmtree(directory)
    return wrong


def flipped_tail(folder: Path) -> list[str]:
    """A flipped bit behind the synced position: cut there, what is before it is found, never a wrong record."""
    segment, last = _traded(folder / "log", synced=False)
    data = segment.read_bytes()
    whole, _ = _recovered(_copy(segment, folder / "whole", data))
    wrong = []
    for position in range(last, len(data), 7):
        directory = _copy(segment, folder / f"flip-{position}", _flip(data, position))
        found, refused = _recovered(directory)
        if refused or found != whole - 1:
            wrong.append(f"flipped at {position}: {refused or f'{found} of {whole - 1} records'}")
        shutil.rmtree(directory)
    return wrong


def flipped_middle(folder: Path) -> list[str]:
    """A flipped bit in what was synced: refused in words, and a copy is kept."""
    segment, last = _traded(folder / "log", synced=True)
    data = segment.read_bytes()
    wrong = []
    for position in range(4096, last, max(1, last // 40)):
        directory = _copy(segment, folder / f"flip-{position}", _flip(data, position))
        _, refused = _recovered(directory)
        if not refused:
            wrong.append(f"flipped at {position} of {len(data)}: the start was not refused")
        elif not [path for path in directory.iterdir() if path.name != segment.name]:
            wrong.append(f"flipped at {position}: no copy was kept")
        shutil.rmtree(directory)
    return wrong


def _copy(segment: Path, directory: Path, data: bytes) -> Path:
    directory.mkdir()
    (directory / segment.name).write_bytes(data)
    return directory


def _flip(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 0x10
    return bytes(changed)


def second_writer(folder: Path) -> list[str]:
    """The second of two on one directory writes nothing and says so; after the first has ended it may."""
    first = FileWal(folder, UNSYNCED)
    first.begin(EMPTY)
    wrong = []
    try:
        FileWal(folder, UNSYNCED).close()
        wrong.append("two processes may write one log")
    except WalBusyError as error:
        if str(folder) not in str(error):
            wrong.append(f"the refusal does not say where: {error}")
    first.close()
    FileWal(folder, UNSYNCED).close()
    return wrong


# ---- 40 --------------------------------------------------------------------------------------------------------------

_KEYS: Final = {
    "SIM": {name: Credentials("SIMkey", "s", "p") for name in ("binance", "kucoin")},
    "real": {name: Credentials("realkey", "s", "p") for name in ("binance", "kucoin")},
}
_URLS: Final = {
    "loopback": ("http://127.0.0.1:1", "ws://127.0.0.1:1"),
    "the venue": ("https://api.example.com", "wss://api.example.com"),
}


def flags(folder: Path) -> list[str]:
    """Every combination of mode, --live, keys and endpoints: real orders need both words."""
    wrong = []
    for mode, live, key, place in itertools.product(("", "paper", "live"), (False, True), _KEYS, _URLS):
        try:
            wiring: str = wiring_allowed(_config(mode, place), live, _KEYS[key])
        except ConfigError:
            wiring = "refused"
        expected = _expected(mode, live, key, place)
        if wiring != expected:
            wrong.append(f"mode {mode or 'not given'}, --live {live}, {key} key at {place}: {wiring}, not {expected}")
    return wrong


def _expected(mode: str, live: bool, key: str, place: str) -> str:
    if not mode:
        return "refused"  # the file must say it
    if mode != "live":
        return "refused" if live else "paper"
    if live:
        return "live"
    return "demo" if (key, place) == ("SIM", "loopback") else "refused"


def _config(mode: str, place: str) -> Config:
    http, ws = _URLS[place]
    text = (
        (f'mode = "{mode}"\n' if mode else "")
        + f"""
symbols = ["XRP/USDT"]
[instance]
name = "drill"
tag = "DR"
[venues.binance.settings]
rest_url = "{http}"
stream_url = "{ws}"
ws_api_url = "{ws}"
[venues.kucoin.settings]
rest_url = "{http}"
order_entry_url = "{ws}"
"""
    )
    return parse(text, "the drill", {})


# ---- 47, 49 ----------------------------------------------------------------------------------------------------------

_RULES: Final = (
    ("0.0001", "0.1", "0.0001", "0.0001"),
    ("0.00000001", "0.00000001", "0.0001", "0.0001"),
    ("0.0005", "3", "0.0001", "7"),
    ("0.001", "0.25", "0.0002", "0.0001"),
    ("0.0001", "10", "0.001", "0.5"),
    ("0.0001", "0.00001", "0.0001", "1"),
)


def odd_grids(folder: Path) -> list[str]:
    """On whatever grid: no price or quantity is refused, and none was sent with an exponent."""
    return [sentence for ticks in _RULES for sentence in _on_grid(ticks)]


def _on_grid(ticks: tuple[str, str, str, str]) -> list[str]:
    rules = {"binance": ticks[:2], "kucoin": ticks[2:]}
    loop, stage = set_up(Case(row=47, name=f"grid {ticks}", faults=(), world=lambda config: _ruled(config, rules)), 1)
    for number in range(6):
        stage.gap("XRP/USDT", "binance" if number % 2 else "kucoin", 20.0 + 7 * number, 60_000_000)
        loop.run(0.8)
    wrong = []
    for exchange in loop.world.exchanges.values():
        refused = [placed for placed in exchange.placed if placed.result != "accepted"]
        if refused:
            wrong.append(f"{exchange.venue} on {ticks}: {refused[0].result}")
    sent = [command for command in loop.trace.commands if isinstance(command, SubmitOrder)]
    if not sent:
        wrong.append(f"nothing was sent on {ticks}")
    for order in sent:
        for money in (order.price, order.quantity):
            if "E" in plain(money).upper():
                wrong.append(f"{money} is written {plain(money)}")
    return wrong


def _ruled(config: SimConfig, rules: Mapping[str, Sequence[str]]) -> SimConfig:
    """The same exchanges with other ticks and lots."""
    venues = {}
    for venue, settings in config.venues.items():
        tick, lot = (Decimal(text) for text in rules[venue])
        symbols = tuple(msgspec.structs.replace(s, tick=tick, lot=lot, min_quantity=lot) for s in settings.symbols)
        venues[venue] = msgspec.structs.replace(settings, symbols=symbols)
    return msgspec.structs.replace(config, venues=venues)


def half_a_replace(folder: Path) -> list[str]:
    """Nobody here sends a cancelReplace; were its codes ever met, half done is UNKNOWN and both failed is a refusal."""
    wrong = []
    for code, expected in (("-2021", OrderUncertain), ("-2022", OrderRejected)):
        events = order_outcome(
            row_of(409 if code == "-2021" else 400, code, ""),
            venue="binance",
            channel="orders",
            client_id="x",
            code=code,
            text="",
            ts=1,
        )
        if not isinstance(events[0], expected):
            wrong.append(f"{code} is {events[0]}")
    loop, stage = set_up(Case(row=49, name="no cancelReplace", faults=()), 1)
    stage.gap("XRP/USDT", "binance", 25.0, 60_000_000)
    loop.run(1.0)
    if [label for wire in loop.wires.values() for label in wire.requests if "cancelReplace" in label]:
        wrong.append("a cancelReplace was sent")
    return wrong
