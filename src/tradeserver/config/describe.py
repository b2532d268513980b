"""A configuration in words: as TOML again, as a commented reference, and its limits as sentences.

The comments are the ones in the source: the text after a field, on its line or as a string below it. `to_toml` and
`parse` are inverse, so that a journal can hold the effective configuration of its run.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import json
import textwrap
import typing
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tradeserver.config.schema import (
    BinanceConfig,
    Config,
    InstanceSettings,
    KucoinConfig,
    StrategyChoice,
    VenuesConfig,
)
from tradeserver.config.wiring import Wiring
from tradeserver.core.types import plain
from tradeserver.services.nats import shown
from tradeserver.strategies.base import BUILT_IN

WIDTH: Final = 120

WIRINGS: Final[dict[Wiring, str]] = {
    "paper": "paper: no order leaves this machine and no trade key is read",
    "demo": "demo: orders go to a simulator on this machine",
    "live": "LIVE: orders go to the venues and move real money",
}


# ---- as TOML --------------------------------------------------------------------------------------------------------


def to_toml(config: Config) -> str:
    """The whole effective configuration; `parse` of it is equal to `config`. Secrets stay references."""
    return "\n".join(_section("", config, commented=False)).strip() + "\n"


def masked(value: Any) -> Any:
    """The same configuration with no user or password in any URL: fit to be shown and kept. Secrets are references."""
    if isinstance(value, str):
        return shown(value) if "://" in value else value
    if isinstance(value, tuple):
        return tuple(masked(item) for item in value)
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{f.name: masked(getattr(value, f.name)) for f in dataclasses.fields(value)})
    return value


def reference_toml() -> str:
    """config/reference.toml: every key with its comment and its default. Loads as it stands."""
    example = Config(
        instance=InstanceSettings(name="desk-1", tag="d1"),
        mode="paper",
        symbols=("BTC/USDT", "XRP/USDT"),
        venues=VenuesConfig(binance=BinanceConfig(), kucoin=KucoinConfig()),
        strategies=tuple(StrategyChoice(name, kind, params(), name) for name, (kind, params) in BUILT_IN.items()),
    )
    head = [
        "# Every key, with its default (instance, mode, symbols and venues have none). Generated: `make reference`.",
        "# Override any of them by the environment: TRADESERVER__RISK__MAX_OPEN_ORDERS=10.",
        "# Secrets are references, env:NAME or file:PATH, never values.",
        "",
    ]
    return "\n".join([*head, *_section("", example, commented=True)]).strip() + "\n"


def _section(name: str, value: Any, commented: bool) -> Iterator[str]:
    """The scalars of a dataclass, then its sections: TOML wants them in this order."""
    comments = docs(type(value)) if commented else {}
    items = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    sections = [(key, item) for key, item in items if dataclasses.is_dataclass(item) or key == "strategies"]
    keys = [(key, item) for key, item in items if (key, item) not in sections and item is not None]
    if name and (keys or commented):
        if commented and type(value).__doc__:
            yield from _comment(inspect.cleandoc(type(value).__doc__ or "").split("\n\n")[0])
        yield f"[{name}]"
    for key, item in keys:
        yield from _comment(comments.get(key, ""))
        yield f"{key} = {_literal(item)}"
    yield ""
    for key, item in sections:
        if key == "strategies":
            yield from _strategies(item, commented)
        else:
            yield from _section(f"{name}.{key}" if name else key, item, commented)


def _strategies(chosen: tuple[StrategyChoice, ...], commented: bool) -> Iterator[str]:
    for choice in chosen:
        if commented:
            yield from _comment("A built-in name or package.module:Class. One such table for each strategy.")
        yield "[[strategies]]"
        yield f"name = {_literal(choice.name)}"
        if commented:
            yield from _comment("How records, states and limits name it. No two strategies may share it.")
        yield f"id = {_literal(choice.id)}"
        yield ""
        yield from _section("strategies.params", choice.params, commented)


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(" ".join(text.split()), WIDTH - 2):
        yield f"# {line}"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return _literal(value.value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False)
    raise TypeError(f"{type(value).__name__} has no form in TOML")


def docs(cls: type) -> dict[str, str]:
    """Field -> its comment in the source, those of the base classes included."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            found.update(_own_docs(base))
    return found


def _own_docs(cls: type) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(cls))
    lines = source.splitlines()
    body = typing.cast(ast.ClassDef, ast.parse(source).body[0]).body
    found = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        text = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            text = after.value.value
        else:
            # What follows the field on its last line can only be a comment.
            _, _, comment = lines[(node.end_lineno or 1) - 1][node.end_col_offset or 0 :].partition("#")
            text = comment
        found[node.target.id] = " ".join(text.split())
    return found


# ---- for `check` ----------------------------------------------------------------------------------------------------


def effective(config: Config, wiring: Wiring) -> dict[str, Any]:
    """What `tradeserver check` says: the wiring, the limits in words, the venues' cards, the whole as TOML."""
    return {
        "wiring": WIRINGS[wiring],
        "limits": limits_in_words(config),
        "cards": {name: _card(name) for name in config.enabled},
        "config": to_toml(masked(config)),
    }


def limits_in_words(config: Config) -> list[str]:
    """One line a limit: its comment, then its value."""
    groups: list[tuple[str, Any]] = [
        ("risk", config.risk),
        ("losses", config.losses),
        ("breakers", config.breakers),
        ("execution", config.execution),
    ]
    groups += [(c.id, c.params) for c in config.strategies]
    lines = []
    for name, group in groups:
        comments = docs(type(group))
        for f in dataclasses.fields(group):
            lines.append(f"{comments[f.name] or f.name} ({name}.{f.name} = {_literal(getattr(group, f.name))})")
    return lines


def _card(venue: str) -> list[dict[str, str]]:
    """The venue's card as rows; [] for a venue that has none yet."""
    import importlib

    try:
        card = importlib.import_module(f"tradeserver.venues.{venue}.card").CARD
    except (ImportError, AttributeError):
        return []
    return [{"rule": row.rule, "state": row.state, "note": row.note} for row in card]


def main(path: str = "config/reference.toml") -> None:
    """Write the reference."""
    Path(path).write_text(reference_toml(), "utf-8")


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
