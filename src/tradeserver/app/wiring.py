"""What a configuration becomes: engine and sessions, the same for a run and for its replay.

Mode is decided here, once, by choosing who performs orders: sockets to a venue (live; a simulator on loopback without
--live) or the paper venue. Everything else is the same house.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from tradeserver.config import Config, Wiring, credentials, parse
from tradeserver.config.schema import StrategyChoice
from tradeserver.core.engine import Engine
from tradeserver.core.ids import ClientIds
from tradeserver.core.intents import Strategy
from tradeserver.runtime.journal import JournalHeader
from tradeserver.runtime.reactor import Engine as Steps
from tradeserver.runtime.replay import ReplayResult, replay
from tradeserver.services.faults import ConfigError
from tradeserver.sessions.base import Session
from tradeserver.sessions.fits import FitsSession
from tradeserver.sessions.paper import PaperSession
from tradeserver.sessions.wire import NullTransport, Transport, VenueSession
from tradeserver.venues.base import Credentials
from tradeserver.venues.registry import CODECS

SECOND_NS: Final = 1_000_000_000

MakeTransport = Callable[[], Transport]


def make_engine(
    config: Config,
    wiring: Wiring | Literal["backtest"],
    start_s: int,
    venues: Sequence[str] | None = None,
    mark_ns: int = SECOND_NS,
    onlookers: Sequence[Strategy] = (),
) -> Engine:
    """The engine of one run. A backtest names its own venues; `onlookers` see what strategies see, and say nothing."""
    venues = list(config.enabled) if venues is None else venues
    return Engine(
        ids=ClientIds(config.instance.tag, wiring, start_s),
        venues=venues,
        symbols=config.symbols,
        strategies=[*onlookers, *(_strategy(choice, config.symbols, venues) for choice in config.strategies)],
        market=config.market,
        risk=config.risk,
        losses=config.losses,
        execution=config.execution,
        breakers=config.breakers,
        wal_hedge_only_ns=config.wal.hedge_only_s * SECOND_NS,
        safety=config.safety if wiring in ("live", "demo") else None,
        mark_ns=mark_ns,
    )


def _strategy(choice: StrategyChoice, symbols: Sequence[str], venues: Sequence[str]) -> Strategy:
    """Raises ConfigError where its class refuses what it is told."""
    try:
        made: Strategy = choice.kind(choice.params, symbols, venues)
        made.name = choice.id
    except Exception as error:
        raise ConfigError(f"the strategy {choice.id!r} cannot be made: {error}") from None
    return made


def make_sessions(
    config: Config, wiring: Wiring, keys: Mapping[str, Credentials], engine: Engine, transport: MakeTransport
) -> list[Session]:
    """One session a venue: the venue itself, or in paper its market data and a pretended account.

    Raises ConfigError.
    """
    sessions: list[Session] = []
    for name, venue in config.enabled.items():
        try:
            codec = CODECS[name](venue.settings, config.symbols, keys.get(name))
        except ValueError as error:  # a secret that is no key, more symbols than the venue serves
            raise ConfigError(str(error)) from None
        wire = VenueSession(codec, transport())
        if wiring == "paper":
            known = {asset: total for (v, asset), total in engine.desk.ledger.totals.items() if v == name}
            sessions.append(PaperSession(wire, engine.market, venue.paper, config.paper_fees(name), known or None))
        else:
            sessions.append(wire)
    if any(hasattr(choice.kind, "on_fitted") for choice in config.strategies):
        sessions.append(FitsSession())
    return sessions


def replay_run(
    directory: Path,
    environ: Mapping[str, str] = os.environ,
    watch: Callable[[Engine], Steps] = lambda engine: engine,
    until: int = 0,
) -> ReplayResult:
    """Replay a run's journal with the configuration that it began with. Live runs need their secrets again.

    `watch` may stand between the reactor and the engine, to look on.
    """

    def settings(header: JournalHeader) -> tuple[Config, Wiring]:
        overrides = json.loads(header.facts.get("overrides", "{}"))  # journals of before hold the file and these
        config = parse(header.config, f"the configuration inside {directory}", overrides)
        wiring: Wiring = header.facts["wiring"]  # type: ignore[assignment]  # one of ours wrote it
        return config, wiring

    engines: list[Engine] = []

    def engine(header: JournalHeader) -> Steps:
        config, wiring = settings(header)
        made = make_engine(config, wiring, int(header.facts["start_s"]))
        if header.checkpoint is not None:
            made.apply(header.checkpoint)
        engines.append(made)
        return watch(made)

    def sessions(header: JournalHeader) -> Sequence[Session]:
        config, wiring = settings(header)
        return make_sessions(config, wiring, credentials(config, environ), engines[0], NullTransport)

    return replay(directory, engine, sessions, until)


def commit() -> str:
    """The commit of this checkout, or the version where there is none."""
    from tradeserver import __version__

    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            timeout=2,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return __version__
    return done.stdout.strip()
