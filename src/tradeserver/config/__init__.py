"""One TOML file per run is the whole truth, then environment overrides, then nothing.

`load(path)` gives a frozen `Config`; `credentials` resolves its secrets; `wiring_allowed` holds the two locks in front
of real orders; `effective` is what `tradeserver check` prints. pydantic lives in this package alone.
"""

from tradeserver.config.loading import load, parse
from tradeserver.config.schema import Config, StrategyChoice
from tradeserver.config.wiring import Wiring, check_alerts, credentials, prepare_state, resolver, wiring_allowed

__all__ = [
    "Config",
    "StrategyChoice",
    "Wiring",
    "check_alerts",
    "credentials",
    "load",
    "parse",
    "prepare_state",
    "resolver",
    "wiring_allowed",
]
