"""What a row of the fault matrix is, and what its tier files are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from tradeserver.lab.chaos.scene import Case


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """A case that needs no scene: `run` gets a folder of its own and answers what was wrong, one sentence each."""

    row: int
    name: str
    fault: str
    run: Callable[[Path], list[str]]
    end: str = "flat"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the list of failures. `rule` is the right behaviour in one sentence; `later` says why there is no case
    yet, or what part of the row has none."""

    number: int
    title: str
    rule: str
    cases: tuple[Case | Drill, ...] = ()
    later: str = ""
