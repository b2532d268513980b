"""A backtest's file: a run's configuration, and the section `[backtest]` with data, rules and accounts.

`instance`, `mode` and `venues` may be left out. Venues are those of `[backtest.venues]` (any name, for data of a venue
that no codec speaks) or else the enabled ones of `[venues]`, whose `paper` section then is the account.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, MinLen

from tradeserver.config.loading import parse_tables, section
from tradeserver.config.schema import PAPER_CHARGED, Config
from tradeserver.core.types import Charged, Fees, Instrument
from tradeserver.services.faults import ConfigError
from tradeserver.sessions.paper_venue import PaperSettings

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class VenueAccount(PaperSettings):
    """One venue of a backtest: `PaperSettings`, and in what it charges."""

    charged: Literal["received", "quote"] = "quote"
    """Binance takes its commission of what is received, KuCoin always in quote."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The trading rules of one symbol, for data that do not hold them."""

    symbol: str
    venue: str = ""
    """Empty: of every venue."""
    tick: Annotated[Decimal, Gt(0)]
    lot: Annotated[Decimal, Gt(0)]
    min_quantity: Annotated[Decimal, Ge(0)] = Decimal(0)
    max_quantity: Annotated[Decimal, Ge(0)] = Decimal(0)
    min_notional: Annotated[Decimal, Ge(0)] = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class BacktestSettings:
    """What a backtest is told beside the configuration of the run."""

    data: Annotated[tuple[str, ...], MinLen(1)]
    """Data sets or runs (folders), beside this file; they are merged by time."""
    start: str = ""
    """ISO time, UTC: before it books are built and nothing is decided."""
    end: str = ""
    """ISO time, UTC: the data are read up to it."""
    warmup_s: Annotated[float, Ge(0)] = 1.0
    """Paper accounts are counted so long before the first event."""
    mark_s: Annotated[float, Gt(0)] = 1.0
    """From one mark of profit and loss to the next, in the data's time. Daily bars want 86400."""
    crossed: bool = True
    """Measure how long each direction was crossed after fees (a few per cent of the time)."""
    venues: dict[str, VenueAccount] = field(default_factory=dict)
    instruments: tuple[Rules, ...] = ()


@dataclass(frozen=True)
class BacktestFile:
    """One file, read and checked."""

    path: Path
    config: Config
    settings: BacktestSettings
    accounts: dict[str, VenueAccount]
    start_ns: int
    end_ns: int  # 0: to the end

    @property
    def folders(self) -> list[Path]:
        """Where the data lie."""
        return [self.path.parent / Path(each).expanduser() for each in self.settings.data]

    def fees(self, venue: str) -> Fees:
        """What the paper venue charges."""
        account = self.accounts[venue]
        return Fees(maker=account.maker_fee, taker=account.taker_fee, charged=Charged(account.charged))

    def instruments(self, venue: str) -> tuple[Instrument, ...]:
        """The rules that the file gives for a venue."""
        found = {}
        for rules in self.settings.instruments:
            if rules.symbol in self.config.symbols and rules.venue in ("", venue):
                base, _, quote = rules.symbol.partition("/")
                found[rules.symbol] = Instrument(
                    venue=venue,
                    symbol=rules.symbol,
                    native=base + quote,
                    base=base,
                    quote=quote,
                    tick=rules.tick,
                    lot=rules.lot,
                    min_quantity=rules.min_quantity,
                    max_quantity=rules.max_quantity,
                    min_notional=rules.min_notional,
                )
        return tuple(found.values())


def load(path: Path, changes: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> BacktestFile:
    """The backtest in `path`, with `changes` ("risk.max_order_notional=50") made. Raises ConfigError."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"the backtest {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"the backtest {path} is not UTF-8 text") from None
    return parse(text, path, changes, environ)


def parse(text: str, path: Path, changes: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> BacktestFile:
    """The same of a text; `path` names it, and relative folders are beside it. Raises ConfigError."""
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    change(raw, changes)
    if "backtest" not in raw:
        raise ConfigError(f'{path}: section [backtest] is missing: it names the data, as in data = ["folder"]')
    mine = raw.pop("backtest")
    rules = mine.pop("instruments", []) if isinstance(mine, dict) else []
    try:
        settings: BacktestSettings = section(BacktestSettings, mine, "backtest")
        listed = tuple(section(Rules, each, f"backtest.instruments[{n}]") for n, each in enumerate(rules))
        start, end = _moment(settings.start, "start"), _moment(settings.end, "end")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    raw.setdefault("instance", {"name": "backtest", "tag": "bt"})
    raw.setdefault("mode", "paper")
    raw.setdefault("venues", {"binance": {}})
    config = parse_tables(raw, str(path), environ)
    if config.mode != "paper":
        raise ConfigError(f'{path}: mode must be "paper", or absent: a backtest sends nothing')
    accounts = settings.venues or {name: _account(name, venue.paper) for name, venue in config.enabled.items()}
    values = {f.name: getattr(settings, f.name) for f in fields(settings)}
    made = BacktestSettings(**{**values, "instruments": listed})
    return BacktestFile(path, config, made, accounts, start, end)


def change(raw: dict[str, Any], changes: Sequence[str]) -> None:
    """Set `section.key=value` in raw tables; strategies are numbered: strategies.0.params.key. Raises ConfigError."""
    for each in changes:
        key, equals, value = each.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {each!r}: write section.key=value")
        place: Any = raw
        *sections, last = key.strip().split(".")
        for name in sections:
            if isinstance(place, list) and name.isdigit() and int(name) < len(place):
                place = place[int(name)]
            elif isinstance(place, dict):
                place = place.setdefault(name, {})
            else:
                raise ConfigError(f"--set {each!r}: there is no {name!r} there")
        if not isinstance(place, dict):
            raise ConfigError(f"--set {each!r} does not name a key")
        place[last] = _value(value.strip())


def _value(text: str) -> Any:
    """As TOML would read it, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text


def _account(name: str, paper: PaperSettings) -> VenueAccount:
    values = {f.name: getattr(paper, f.name) for f in fields(PaperSettings)}
    return VenueAccount(**values, charged=PAPER_CHARGED[name].value)  # type: ignore[arg-type]  # never THIRD


def _moment(text: str, key: str) -> int:
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"backtest.{key}: wanted an ISO time as 2026-01-31T12:00, got {text!r}") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND_NS
