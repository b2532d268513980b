"""What the simulator is told: its own TOML file, or `default_config()`. Unknown keys and wrong types are errors.

Not the daemon's configuration: this is another program. Money in TOML may be written as a number or as a string.
A venue that is not named is not served. `docs` of each field are its comments; a sample is `config/simulator.toml`.
"""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from tradeserver.simulator.accounts import ApiKey, Rates, ThirdAsset
from tradeserver.simulator.faults import FaultError, parse
from tradeserver.simulator.types import FeeModel, Symbol


class SimConfigError(ValueError):
    """The operator's file is wrong; the message is one sentence."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class AccountConfig(_Section, frozen=True, kw_only=True):
    """One client: any keys, so that any published signed request can be replayed. `rates` overrides the venue's."""

    name: str
    keys: tuple[ApiKey, ...]
    balances: dict[str, Decimal] = {}
    rates: Rates | None = None
    rates_by_symbol: dict[str, Rates] = {}
    pays_third_asset: bool = False  # commissions in BNB while there is enough


class LimitsConfig(_Section, frozen=True, kw_only=True):
    """Rate limits, as far as the venue has them."""

    request_weight_1m: int = 6000  # Binance, per address
    orders_10s: int = 100  # Binance, per account
    orders_1d: int = 200_000
    raw_requests_5m: int = 300_000
    spot_30s: int = 4000  # KuCoin, per user
    management_30s: int = 2000
    public_30s: int = 2000  # KuCoin, per address
    open_orders: int = 200


class RecordingConfig(_Section, frozen=True, kw_only=True):
    """A recorded feed. Of the venue's own dialect it is passed on frame by frame; another one is served anew.

    `symbols` names ours for each recorded native name; by default the venue's `native` names apply.
    """

    file: str
    dialect: Literal["binance", "binance_usdm", "kucoin"]
    symbols: dict[str, str] = {}


class VenueConfig(_Section, frozen=True, kw_only=True):
    """One venue."""

    port: int = 0
    symbols: tuple[Symbol, ...]
    accounts: tuple[AccountConfig, ...] = ()
    fee_model: FeeModel
    rates: Rates
    commission_decimals: int | None = None  # None: exact
    third_asset: ThirdAsset | None = None
    limits: LimitsConfig = LimitsConfig()
    recording: RecordingConfig | None = None
    ping_interval_ms: int = 0  # 0: the venue's own (Binance 20 s, KuCoin 18 s)
    ban_after: int = 5  # requests inside Retry-After before 429 becomes 418 [assumed]
    trading: bool = True  # False: every symbol is halted


class SymbolFlow(_Section, frozen=True, kw_only=True):
    """The synthetic market of one symbol, the same on every venue that lists it."""

    mid: float
    volatility_bps: float = 1.2  # of the common mid, per square root of a second
    quantity: float = 1.0  # typical size of a level, base
    levels: int = 40  # per side
    spread_bps: float = 1.0  # best ask over best bid, typical


class MarketConfig(_Section, frozen=True, kw_only=True):
    """Synthetic flow for all symbols that have no recording."""

    step_ms: int = 20  # one move of each book
    basis_bps: float = 11.0  # typical size of a shock to one venue (5 bps more); the slow wander is a third of it
    basis_half_life_s: float = 4.0  # of the slow wander
    shocks_per_minute: float = 12.0  # per book
    takers_per_s: float = 2.0  # market orders of participants, per book
    symbols: dict[str, SymbolFlow] = {}


class PlaybackConfig(_Section, frozen=True, kw_only=True):
    """How recordings are played. All begin together, `lead_ms` after the first client has subscribed at each venue
    that plays one, or `wait_ms` after the first of them at the latest."""

    speed: float = 1.0  # 0: as fast as it goes
    skip_s: float = 0.0  # of the recordings: applied to the books, not played
    lead_ms: int = 100
    wait_ms: int = 10_000


class SimConfig(_Section, frozen=True, kw_only=True):
    """The whole simulator."""

    host: str = "127.0.0.1"
    control_port: int = 0
    seed: int = 1
    fixed_clock_ms: int = 0  # 0: the real clock
    faults: tuple[str, ...] = ()
    market: MarketConfig = MarketConfig()
    playback: PlaybackConfig = PlaybackConfig()
    venues: dict[Literal["binance", "kucoin"], VenueConfig]


def load(path: Path) -> SimConfig:
    """Read a TOML file. Raises SimConfigError with one sentence."""
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise SimConfigError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SimConfigError(f"{path} is not TOML: {error}") from None
    return from_table(table, str(path))


def from_table(table: dict[str, Any], origin: str = "configuration") -> SimConfig:
    """A configuration from parsed TOML. Raises SimConfigError."""
    try:
        config = msgspec.convert(table, SimConfig)
    except msgspec.ValidationError as error:
        raise SimConfigError(f"{origin}: {error}") from None
    check(config, origin)
    return config


def check(config: SimConfig, origin: str = "configuration") -> None:
    """What types cannot say. Raises SimConfigError."""
    for text in config.faults:
        try:
            parse(text)
        except FaultError as error:
            raise SimConfigError(f"{origin}: fault {error}") from None
    for venue, settings in config.venues.items():
        names = {symbol.name for symbol in settings.symbols}
        keys = [key.key for account in settings.accounts for key in account.keys]
        if len(keys) != len(set(keys)):
            raise SimConfigError(f"{origin}: {venue}: two accounts share a key")
        if len({account.name for account in settings.accounts}) != len(settings.accounts):
            raise SimConfigError(f"{origin}: {venue}: two accounts share a name")
        if settings.recording:
            unknown = set(settings.recording.symbols.values()) - names
            if unknown:
                raise SimConfigError(f"{origin}: {venue}: the recording's symbols {sorted(unknown)} are not listed")


def default_config(capital: Decimal = Decimal(0)) -> SimConfig:
    """The demo's market: three symbols on two venues, one account at each with ample balances, made-up keys.

    With a `capital` in USDT each venue holds half of it: one half of that in USDT, the rest in the three coins alike.
    """
    balances = {asset: Decimal(amount) for asset, amount in _AMPLE.items()}
    if capital:
        share = capital / 4 / len(_MIDS)
        balances = {asset: (share / mid).quantize(Decimal("1e-8")) for asset, mid in _MIDS.items()}
        balances["USDT"] = capital / 4
    rates = Rates(Decimal("0.001"), Decimal("0.001"))
    binance = VenueConfig(
        symbols=tuple(_symbol(name, name.replace("/", ""), *rules) for name, rules in _BINANCE_RULES.items()),
        accounts=(
            AccountConfig(name="main", keys=(ApiKey(key="SIMbinance", secret="SIMbinance-secret"),), balances=balances),
        ),
        fee_model=FeeModel.RECEIVED,
        rates=rates,
        commission_decimals=8,
        third_asset=ThirdAsset("BNB", Decimal("0.25"), {"USDT": Decimal(600)}),
    )
    key = ApiKey(key="SIMkucoin", secret="SIMkucoin-secret", passphrase="SIMkucoin-passphrase")
    kucoin = VenueConfig(
        symbols=tuple(_symbol(name, name.replace("/", "-"), *rules) for name, rules in _KUCOIN_RULES.items()),
        accounts=(AccountConfig(name="main", keys=(key,), balances=balances),),
        fee_model=FeeModel.QUOTE,
        rates=rates,
    )
    return SimConfig(
        venues={"binance": binance, "kucoin": kucoin},
        market=MarketConfig(
            symbols={
                "XRP/USDT": SymbolFlow(mid=2.1, quantity=900.0, spread_bps=1.5),
                "BTC/USDT": SymbolFlow(mid=64_000.0, quantity=0.08, spread_bps=0.5),
                "ETH/USDT": SymbolFlow(mid=3_200.0, quantity=1.2, spread_bps=0.7),
            }
        ),
    )


_MIDS = {"XRP": Decimal("2.1"), "BTC": Decimal(64_000), "ETH": Decimal(3_200)}
_AMPLE = {"USDT": 1_000_000, "XRP": 200_000, "BTC": 20, "ETH": 300}
# (tick, lot, min quantity, max quantity, min notional, max notional, price limit rate), after each venue's rules
_BINANCE_RULES = {
    "XRP/USDT": ("0.0001", "0.1", "0.1", "9222449", "5", "9000000", "0.2"),
    "BTC/USDT": ("0.01", "0.00001", "0.00001", "9000", "5", "9000000", "0.2"),
    "ETH/USDT": ("0.01", "0.0001", "0.0001", "9000", "5", "9000000", "0.2"),
}
_KUCOIN_RULES = {
    "XRP/USDT": ("0.0001", "0.0001", "0.1", "10000000000", "0.1", "0", "0.1"),
    "BTC/USDT": ("0.1", "0.00000001", "0.00001", "10000000000", "0.1", "0", "0.1"),
    "ETH/USDT": ("0.01", "0.0000001", "0.0001", "10000000000", "0.1", "0", "0.1"),
}


def _symbol(name: str, native: str, *rules: str) -> Symbol:
    base, _, quote = name.partition("/")
    tick, lot, least, most, least_notional, most_notional, limit = (Decimal(rule) for rule in rules)
    return Symbol(
        name=name,
        native=native,
        base=base,
        quote=quote,
        tick=tick,
        lot=lot,
        min_quantity=least,
        max_quantity=most,
        min_notional=least_notional,
        max_notional=most_notional,
        price_limit_rate=limit,
    )
