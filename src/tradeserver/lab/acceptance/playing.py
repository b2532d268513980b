"""A simulator that plays recordings: its TOML file, and waiting for the end of the play."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tradeserver.lab.acceptance.house import House, require

SPOT = "binance_spot_btcusdt_20240808.gz"
PERPETUAL = "binance_usdm_btcusdt_20240808.gz"
FOUR = "binance_spot_4symbols_2021-10-12.jsonl.gz"
KUCOIN = "kucoin_spot_5symbols_2021-04-25.jsonl.gz"


class Listed(NamedTuple):
    """How a venue lists one symbol."""

    native: str
    tick: str
    lot: str


class Feed(NamedTuple):
    """What a venue plays. `names` maps the recording's native names to our symbols where they are not the venue's."""

    file: Path
    dialect: str
    names: Mapping[str, str] = {}


class Venue(NamedTuple):
    """One venue of the simulator; with `feed` None it stands still."""

    symbols: Mapping[str, Listed]
    feed: Feed | None = None


VENUE = """
[venues.{name}]
fee_model = "{fee_model}"
rates = {{ maker = "{rate}", taker = "{rate}" }}

[[venues.{name}.accounts]]
name = "main"
keys = [{{ key = "SIM{name}", secret = "SIM{name}-secret"{passphrase} }}]
balances = {{ {balances} }}
"""
SYMBOL = """
[[venues.{venue}.symbols]]
name = "{name}"
native = "{native}"
base = "{base}"
quote = "{quote}"
tick = "{tick}"
lot = "{lot}"
min_notional = "0.1"
"""
FEED = """
[venues.{venue}.recording]
file = "{file}"
dialect = "{dialect}"
symbols = {{ {names} }}
"""
FEE_MODELS = {"binance": "received", "kucoin": "quote"}
PASSPHRASES = {"binance": "", "kucoin": ', passphrase = "SIMkucoin-passphrase"'}


def write_simulator(
    path: Path,
    venues: Mapping[str, Venue],
    *,
    speed: float,
    skip_s: float = 0.0,
    rate: str = "0.001",
    balances: Mapping[str, str] | None = None,
) -> Path:
    """The simulator's TOML. Both venues must be there."""
    parts = [f"seed = 1\n[playback]\nspeed = {speed}\nskip_s = {skip_s}\n[market.symbols]\n"]
    held = ", ".join(f'{asset} = "{amount}"' for asset, amount in (balances or {}).items())
    for name, venue in venues.items():
        fee_model, passphrase = FEE_MODELS[name], PASSPHRASES[name]
        parts.append(VENUE.format(name=name, fee_model=fee_model, rate=rate, passphrase=passphrase, balances=held))
        for symbol, listed in venue.symbols.items():
            base, _, quote = symbol.partition("/")
            parts.append(SYMBOL.format(venue=name, name=symbol, base=base, quote=quote, **listed._asdict()))
        if venue.feed is not None:
            names = ", ".join(f'{native} = "{symbol}"' for native, symbol in venue.feed.names.items())
            parts.append(FEED.format(venue=name, file=venue.feed.file, dialect=venue.feed.dialect, names=names))
    path.write_text("".join(parts), "utf-8")
    return path


def wait_played(built: House, patience_s: float) -> None:
    """Until every recording is over. Raises CheckFailedError."""
    end = time.monotonic() + patience_s
    while not all(feed["finished"] for feed in built.simulator.get("/state")["playback"]):
        require(time.monotonic() < end, f"the recording was not over within {patience_s:g} s")
        if built.daemon is not None:
            built.daemon.require_running()
        time.sleep(0.1)


def play_began_ns(built: House) -> int:
    """When, on the wall clock, the recordings' first moment was played; 0 before that."""
    began: int = built.simulator.get("/state")["playback"][0]["start_ns"]
    return began
