"""TOML and environment in, a `Config` out, or one `ConfigError` sentence that names the key and what is wanted.

Two passes. The first walks the raw tables beside the types: unknown keys (with the nearest known one), missing keys,
wrong kinds; numbers keep their digits (a TOML 0.1 becomes Decimal("0.1")). The second, pydantic, checks the `Annotated`
constraints. Overrides `TRADESERVER__SECTION__KEY=value` are merged in before, so that they go through both.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import importlib
import os
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import pydantic

from tradeserver.config.schema import Config, StrategyChoice
from tradeserver.services.faults import ConfigError
from tradeserver.services.metrics.settings import address
from tradeserver.services.secrets import check_reference
from tradeserver.strategies.base import BUILT_IN

PREFIX: Final = "TRADESERVER__"
Table = dict[str, Any]


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration in `path`. Raises ConfigError with one sentence."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"the configuration {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"the configuration {path} is not UTF-8 text") from None
    return parse(text, str(path), environ)


def parse(text: str, source: str = "configuration", environ: Mapping[str, str] | None = None) -> Config:
    """The configuration in `text`; `source` names it in errors. Raises ConfigError."""
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not TOML: {error}") from None
    return parse_tables(raw, source, environ)


def parse_tables(raw: Table, source: str, environ: Mapping[str, str] | None = None) -> Config:
    """The same of a file that was read already. Raises ConfigError."""
    _override(raw, environ or {})
    try:
        chosen = _strategies(raw.pop("strategies", []))
        table = _table(Config, raw, "", ignore=("strategies",))
        table["strategies"] = chosen
        config: Config = _validate(Config, table, "")
        _cross_check(config)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    return config


def section(cls: Any, raw: Any, name: str) -> Any:
    """One table of a file as its dataclass. Raises ConfigError."""
    return _validate(cls, _table(cls, raw, name), name)


# ---- overrides ------------------------------------------------------------------------------------------------------


class _Override(str):
    """A value from the environment: text, until the type that it meets asks for something else."""

    __slots__ = ()


def _override(raw: Table, environ: Mapping[str, str]) -> None:
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        *sections, key = name.removeprefix(PREFIX).lower().split("__")
        place: Any = raw
        for section in sections:
            place = _step(place, section, name)
        if not isinstance(place, dict) or not key:
            raise ConfigError(f"the environment variable {name} does not name a key")
        # Assets and symbols are upper-case keys: an override meets them whatever its case.
        existing = next((k for k in place if k.lower() == key), key)
        place[existing] = _Override(environ[name])


def _step(place: Any, section: str, name: str) -> Any:
    if isinstance(place, list) and section.isdigit() and int(section) < len(place):
        return place[int(section)]
    if isinstance(place, dict):
        return place.setdefault(section, {})
    raise ConfigError(f"the environment variable {name} does not name a key: no {section!r} there")


def _literal(text: str) -> Any:
    """The value as TOML would read it (number, true, "text", [list]), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text


# ---- first pass: keys and kinds -------------------------------------------------------------------------------------


def _table(cls: type, raw: Any, section: str, ignore: tuple[str, ...] = ()) -> Table:
    if not isinstance(raw, dict):
        raise _wrong(section, raw, "a table")
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.name not in ignore}
    for key in raw:
        if key not in fields:
            raise ConfigError(_unknown(key, section, list(fields)))
    for name, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and name not in raw:
            where = f"section [{section}]" if section else "the file"
            raise ConfigError(f"{where} lacks the key {name!r}, which has no default")
    return {key: _value(hints[key], value, f"{section}.{key}" if section else key) for key, value in raw.items()}


def _unknown(key: str, section: str, known: list[str]) -> str:
    where = f"in section [{section}]" if section else "at the top level"
    near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    return f"unknown key {key!r} {where}; {hint}"


def _value(hint: Any, value: Any, key: str) -> Any:
    """`value` as the type wants it. Raises ConfigError where the kind is wrong."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _value(get_args(hint)[0], value, key)
    if isinstance(value, _Override):
        texts = hint in (str, Path) or (origin is Literal and isinstance(get_args(hint)[0], str))
        value = str(value) if texts else _literal(str(value))
    if origin in (types.UnionType, typing.Union):
        (inner,) = [a for a in get_args(hint) if a is not types.NoneType]
        return _value(inner, value, key)
    if origin is Literal:
        return _one_of(get_args(hint), value, key)
    if origin in (tuple, list):
        if not isinstance(value, list):
            raise _wrong(key, value, "a list")
        return tuple(_value(get_args(hint)[0], item, f"{key}[{n}]") for n, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(key, value, "a table")
        return {name: _value(get_args(hint)[1], item, f"{key}.{name}") for name, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return _table(typing.cast(type, hint), value, key)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(_one_of([m.value for m in hint], value, key))
    return _scalar(hint, value, key)


def _scalar(hint: Any, value: Any, key: str) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, Decimal) and not value.is_finite():
        raise _wrong(key, value, "a finite number")
    if hint is Decimal:
        if whole or isinstance(value, Decimal):
            return Decimal(value)
        raise _wrong(key, value, "a number")
    if hint is float:
        if whole or isinstance(value, Decimal):
            return float(value)
        raise _wrong(key, value, "a number")
    if hint is int and not whole:
        raise _wrong(key, value, "a whole number")
    if hint is bool and not isinstance(value, bool):
        raise _wrong(key, value, "true or false")
    if hint is str and not isinstance(value, str):
        raise _wrong(key, value, "text in quotes")
    if hint is Path:
        if not isinstance(value, str):
            raise _wrong(key, value, "a path in quotes")
        return Path(value).expanduser()
    return value


def _one_of(choices: typing.Sequence[Any], value: Any, key: str) -> Any:
    if value not in choices or isinstance(value, bool) is not isinstance(choices[0], bool):
        near = difflib.get_close_matches(str(value), [str(c) for c in choices], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{key}: wanted one of {', '.join(repr(c) for c in choices)}, got {_kind(value)}{hint}")
    return value


def _wrong(key: str, value: Any, wanted: str) -> ConfigError:
    return ConfigError(f"{key}: wanted {wanted}, got {_kind(value)}")


_IDENTITY: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SECRET_LIKE: Final = 24
"""Longer texts are not repeated in errors: somebody may have put a key there."""


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= _SECRET_LIKE else f"a text of {len(value)} characters"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return f"the number {value}"
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"


# ---- second pass: constraints ---------------------------------------------------------------------------------------


def _validate(cls: Any, table: Table, section: str) -> Any:
    try:
        return pydantic.TypeAdapter(cls).validate_python(table)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join([*([section] if section else []), *(str(part) for part in first["loc"])])
        message = first["msg"].replace("Input should", "it must").replace("String should", "it must")
        raise ConfigError(f"{key}: got {_kind(first['input'])}; {message[0].lower()}{message[1:]}") from None


def _strategies(raw: Any) -> tuple[StrategyChoice, ...]:
    if not isinstance(raw, list):
        raise ConfigError("strategies: wanted a list of tables, [[strategies]]")
    chosen: list[StrategyChoice] = []
    for n, table in enumerate(raw):
        section = f"strategies[{n}]"
        if not isinstance(table, dict):
            raise _wrong(section, table, "a table")
        for key in table:
            if key not in ("name", "id", "params"):
                raise ConfigError(_unknown(key, section, ["name", "id", "params"]))
        name = table.get("name")
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{section} lacks a name: a built-in strategy or package.module:Class")
        kind, params = _strategy(name, section)
        place = f"{section}.params"
        values = _validate(params, _table(params, table.get("params", {}), place), place)
        chosen.append(
            StrategyChoice(name, kind, values, _identity(table.get("id", getattr(kind, "name", name)), section, chosen))
        )
    return tuple(chosen)


def _identity(name: Any, section: str, others: list[StrategyChoice]) -> str:
    if not isinstance(name, str) or not _IDENTITY.fullmatch(name):
        raise ConfigError(f"{section}.id: wanted 1 to 64 of A-Z a-z 0-9 _ . : -, got {_kind(name)}")
    if any(other.id == name for other in others):
        raise ConfigError(f"{section}: there is a strategy {name!r} already; give each an `id` of its own")
    return name


def _strategy(name: str, section: str) -> tuple[type, type]:
    """(class, its parameters' dataclass). A foreign class names the latter as its attribute `Params`."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        near = difflib.get_close_matches(name, list(BUILT_IN), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"built in: {', '.join(BUILT_IN)}"
        raise ConfigError(f"{section}: there is no strategy {name!r}; {hint}")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{section}: the strategy {name!r} cannot be loaded: {error}") from None
    params = getattr(kind, "Params", None)
    if not (isinstance(params, type) and dataclasses.is_dataclass(params)):
        raise ConfigError(f"{section}: {name!r} has no dataclass `Params` that says what it can be told")
    return kind, params


# ---- what no single key shows ---------------------------------------------------------------------------------------


def _cross_check(config: Config) -> None:
    if not config.enabled:
        raise ConfigError("no venue is enabled: there must be at least one section [venues.NAME]")
    twice = sorted({s for s in config.symbols if config.symbols.count(s) > 1})
    if twice:
        raise ConfigError(f"symbols: {twice[0]} is listed twice")
    for place, reference in alert_references(config):
        _reference(place, reference)
    if config.alerts.summary_at and not _TIME.fullmatch(config.alerts.summary_at):
        raise ConfigError('alerts.summary_at: wanted a time HH:MM in quotes, or "" for never')
    if config.metrics.listen:
        try:
            address(config.metrics.listen)
        except ValueError as error:
            raise ConfigError(str(error)) from None
    for name, venue in config.enabled.items():
        if 0 < getattr(venue.settings, "dead_man_s", 0) < 5:
            raise ConfigError(f"venues.{name}.settings.dead_man_s: the venue takes 5 s or more; 0 switches it off")
        for what in ("key", "secret", "passphrase"):
            reference = getattr(venue, what)
            if reference:
                _reference(f"venues.{name}.{what}", reference)


_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def alert_references(config: Config) -> list[tuple[str, str]]:
    """(key, reference) of every address that alerts go to."""
    alerts = config.alerts
    found = [(f"alerts.{what}[{n}]", r) for what in ("discord", "others") for n, r in enumerate(getattr(alerts, what))]
    return [*found, *([("alerts.heartbeat", alerts.heartbeat)] if alerts.heartbeat else [])]


def _reference(place: str, reference: str) -> None:
    try:
        check_reference(reference)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None
