"""What stands between a configuration and real orders: secrets, the two locks, the state directory.

Everything here is checked before a socket opens and raises `ConfigError` with one sentence.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from tradeserver.config.loading import alert_references
from tradeserver.config.schema import AnyVenueConfig, Config
from tradeserver.services.aws import AwsStore
from tradeserver.services.faults import ConfigError
from tradeserver.services.secrets import Secret, resolve
from tradeserver.venues.base import Credentials

Wiring = Literal["paper", "live", "demo"]
"""Who performs orders: nobody real, the venues, or a simulator on this machine that speaks the venues' protocols."""

NEEDS_PASSPHRASE = ("kucoin",)


def resolver(config: Config, environ: Mapping[str, str] = os.environ) -> Callable[[str, str], Secret]:
    """What finds secrets by (reference, whose it is); one secret of a store is fetched once. May block."""
    return functools.partial(resolve, environ=environ, store=AwsStore(config.aws))


def credentials(config: Config, environ: Mapping[str, str] = os.environ) -> dict[str, Credentials]:
    """The keys of every enabled venue in live mode; {} in paper mode, which reads none. Raises ConfigError."""
    if config.mode == "paper":
        return {}
    found, find = {}, resolver(config, environ)
    for name, venue in config.enabled.items():
        wanted = ["key", "secret", *(["passphrase"] if name in NEEDS_PASSPHRASE else [])]
        for what in wanted:
            if not getattr(venue, what):
                raise ConfigError(
                    f"venues.{name}.{what} is missing: live mode needs a reference, env:NAME, file:PATH or "
                    "aws:NAME#field"
                )
        values = {what: find(getattr(venue, what), f"venues.{name}.{what}").reveal() for what in wanted}
        found[name] = Credentials(**values)
    return found


def check_alerts(config: Config, environ: Mapping[str, str] = os.environ) -> None:
    """Every address of alerts that this machine holds itself is there. Raises ConfigError.

    What a secret store holds is the relay's to fetch: its outage stops no start.
    """
    for place, reference in alert_references(config):
        if not reference.startswith("aws:"):
            resolve(reference, place, environ)


def wiring_allowed(config: Config, live_flag: bool, keys: Mapping[str, Credentials]) -> Wiring:
    """Which wiring this run may have. Raises ConfigError where the file and the command line disagree.

    Real orders need both `mode = "live"` in the file and --live. The file alone reaches a simulator only: every
    endpoint on loopback and every key beginning with SIM.
    """
    if config.mode == "paper":
        if live_flag:
            raise ConfigError('--live was given, but the file says mode = "paper": real orders need both')
        return "paper"
    if live_flag:
        return "live"
    for name, venue in config.enabled.items():
        for key, url in endpoints(venue).items():
            if not on_loopback(url):
                raise ConfigError(
                    f'mode = "live" without --live is for a simulator on this machine only, and venues.{name}.settings.'
                    f"{key} is {url}: give --live to trade with real money"
                )
        if not keys[name].key.startswith("SIM"):
            raise ConfigError(
                f'mode = "live" without --live is for a simulator only, and the key of {name} does not begin with SIM: '
                f"give --live to trade with real money"
            )
    return "demo"


def endpoints(venue: AnyVenueConfig) -> dict[str, str]:
    """Every base URL of a venue, by its key."""
    settings = venue.settings
    return {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings) if f.name.endswith("_url")}


def on_loopback(url: str) -> bool:
    """Whether `url` can only reach this machine. Names other than localhost are not looked up: they may change."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def prepare_state(config: Config) -> Path:
    """The state directory, made where it is missing and proven writable."""
    state = config.state_dir.absolute()
    try:
        state.mkdir(parents=True, exist_ok=True)
        probe = state / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(f"the state directory {state} cannot be written: {error.strerror}") from None
    return state
