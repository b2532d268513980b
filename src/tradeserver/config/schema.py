"""What an operator may set: the sections of the one TOML file, composed of the parameter types of the layers below.

Every field has a unit in its name or its comment; the comments become `config/reference.toml`. Secrets are references
(`env:NAME`, `file:PATH`, `aws:NAME#field`), never values. Nothing here reads a file: see `loading.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, MinLen
from pydantic import StringConstraints

from tradeserver.core.breaker import BreakerLimits
from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.killswitch import VenueSafety
from tradeserver.core.losses import LossLimits
from tradeserver.core.market import MarketLimits
from tradeserver.core.risk import RiskLimits
from tradeserver.core.types import Charged, Fees
from tradeserver.runtime.journal import JournalSettings
from tradeserver.runtime.wal import WalSettings
from tradeserver.services import layout
from tradeserver.services.alerting.settings import AlertSettings
from tradeserver.services.aws import AwsSettings
from tradeserver.services.metrics.settings import MetricsSettings
from tradeserver.sessions.paper_venue import PaperSettings
from tradeserver.sessions.sockets import SocketSettings
from tradeserver.venues.binance.settings import BinanceSettings
from tradeserver.venues.kucoin.settings import KucoinSettings

Mode = Literal["paper", "live"]
Symbol = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,15}/[A-Z0-9]{2,15}$")]
Reference = str


@dataclass(frozen=True, kw_only=True)
class InstanceSettings:
    """Who this daemon is, on NATS and inside its client order ids."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    """Names the NATS stream and subjects: letters, digits, - and _, at most 32."""
    tag: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{2}$")]
    """Two characters 0-9A-Za-z that begin every client order id. No two instances on one account may share it."""


@dataclass(frozen=True, kw_only=True)
class VenueConfig:
    """What every venue has."""

    enabled: bool = True
    """A venue that is not enabled is not connected to."""
    key: Reference = ""
    """API key, by reference. Read in live mode only."""
    secret: Reference = ""
    """API secret (or the file of an Ed25519 PEM), by reference. Read in live mode only."""
    passphrase: Reference = ""
    """API passphrase, by reference, where the venue has one (KuCoin)."""
    exclusive_account: bool = True
    """Nobody else trades on this account. A kill then cancels everything on the configured symbols and proves that
    nothing is open; false: only orders of this instance, one by one, and no dead man's switch."""
    paper: PaperSettings = field(default_factory=PaperSettings)


@dataclass(frozen=True, kw_only=True)
class BinanceConfig(VenueConfig):
    """Binance spot."""

    settings: BinanceSettings = field(default_factory=BinanceSettings)


@dataclass(frozen=True, kw_only=True)
class KucoinConfig(VenueConfig):
    """KuCoin spot."""

    settings: KucoinSettings = field(default_factory=KucoinSettings)


AnyVenueConfig = BinanceConfig | KucoinConfig

PAPER_CHARGED: dict[str, Charged] = {"binance": Charged.RECEIVED, "kucoin": Charged.QUOTE}
"""In which asset each venue takes its commission."""


@dataclass(frozen=True, kw_only=True)
class VenuesConfig:
    """The venues of this run. A section that is absent is a venue that is not used."""

    binance: BinanceConfig | None = None
    kucoin: KucoinConfig | None = None


@dataclass(frozen=True, kw_only=True)
class NatsSettings:
    """Where the relay publishes."""

    enabled: bool = True
    url: Annotated[str, MinLen(1)] = "nats://127.0.0.1:4222"
    """May carry user and password; they are not printed."""
    duplicate_window_s: Annotated[float, Gt(0)] = 120.0
    """Of a stream that the relay makes; an existing stream is left as it is."""
    max_age_days: Annotated[float, Ge(0)] = 0.0
    """Messages older than this leave a stream that the relay makes; 0 keeps them."""


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """The database that the relay keeps for the command line."""

    enabled: bool = True
    url: str = ""
    """An SQLAlchemy URL (postgresql+psycopg://...); empty is an SQLite file in the state directory."""


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """Log lines on standard output: JSON on a pipe, readable on a terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, kw_only=True)
class GuardSettings:
    """The second kill switch: a small process with the keys that stops, cancels and verifies when the daemon cannot."""

    enabled: bool = True
    """While an enabled guard is away nothing new is opened. False: a kill depends on the daemon's own loop."""
    daemon_ms: Annotated[int, Gt(0)] = 200
    """How long the guard waits for an answer of the daemon before it acts by itself."""
    request_ms: Annotated[int, Gt(0)] = 3_000
    """How long a request of the guard to a venue may take before it counts as unanswered."""


@dataclass(frozen=True)
class StrategyChoice:
    """One strategy: a built-in name or `package.module:Class`, its class, and its parameters, validated.

    `id` names it in records, states and limits: its class's own name where it is not told, and never the same for two.
    """

    name: str
    kind: Any
    params: Any
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Config:
    """One run."""

    instance: InstanceSettings
    mode: Mode
    """"paper" sends nothing; "live" also needs --live on the command line."""
    symbols: Annotated[tuple[Symbol, ...], MinLen(1)]
    """What to trade, as BASE/QUOTE; every enabled venue must list each."""
    state_dir: Path = Path("state")
    """Write-ahead log, journal, database, control socket. Belongs to one daemon."""
    startup_timeout_s: Annotated[float, Gt(0)] = 20.0
    """A venue that has given no trading rules by then ends the start with one sentence."""
    settle_s: Annotated[float, Ge(0)] = 10.0
    """At a stop, how long open arbitrages may take to finish and hedge."""
    spin: bool = False
    """Never let the loop sleep: orders leave earlier by a wake-up, and a whole core is always busy."""
    venues: VenuesConfig
    strategies: tuple[StrategyChoice, ...] = ()
    risk: RiskLimits = field(default_factory=RiskLimits)
    losses: LossLimits = field(default_factory=LossLimits)
    execution: ExecutionPolicy = field(default_factory=ExecutionPolicy)
    breakers: BreakerLimits = field(default_factory=BreakerLimits)
    market: MarketLimits = field(default_factory=MarketLimits)
    sockets: SocketSettings = field(default_factory=SocketSettings)
    wal: WalSettings = field(default_factory=WalSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    nats: NatsSettings = field(default_factory=NatsSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    guard: GuardSettings = field(default_factory=GuardSettings)
    aws: AwsSettings = field(default_factory=AwsSettings)

    @property
    def safety(self) -> dict[str, VenueSafety]:
        """What a kill must know of each venue."""
        return {
            name: VenueSafety(
                arrival_ns=venue.settings.arrival_ms * 1_000_000,
                exclusive=venue.exclusive_account,
                dead_man_s=getattr(venue.settings, "dead_man_s", 0) if venue.exclusive_account else 0,
            )
            for name, venue in self.enabled.items()
        }

    @property
    def enabled(self) -> dict[str, AnyVenueConfig]:
        """The venues of this run by name, in the order of the schema."""
        found = {"binance": self.venues.binance, "kucoin": self.venues.kucoin}
        return {name: venue for name, venue in found.items() if venue is not None and venue.enabled}

    @property
    def store_url(self) -> str:
        """The database's URL, the default filled in."""
        return self.store.url or layout.store_url(self.state_dir)

    def paper_fees(self, venue: str) -> Fees:
        """What the paper venue charges."""
        paper = self.enabled[venue].paper
        return Fees(maker=paper.maker_fee, taker=paper.taker_fee, charged=PAPER_CHARGED[venue])
