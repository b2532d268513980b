"""A replay with somebody who looks on: what the daemon's books were after each of its inputs, without asking it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tradeserver import app
from tradeserver.core.commands import Command
from tradeserver.core.engine import Engine
from tradeserver.core.events import Event
from tradeserver.core.records import Checkpoint, Record
from tradeserver.lab.acceptance.house import require

Look = Callable[[Engine, Event], None]
"""Called after every step."""


def look_on(journal: Path, look: Look) -> None:
    """Replay a run, which must come out equal to what it was. Raises CheckFailedError."""
    result = app.replay_run(journal, watch=lambda engine: Watched(engine, look))
    require(result.equal, f"the run does not replay: {result.mismatch}")


class Watched:
    """An engine and its onlooker."""

    def __init__(self, engine: Engine, look: Look) -> None:
        self._engine = engine
        self._look = look
        self.apply = engine.apply
        self.digest_state = engine.digest_state
        self.next_deadline = engine.next_deadline

    def step(self, event: Event) -> tuple[list[Record], list[Command]]:
        """The engine's step, then a look."""
        out = self._engine.step(event)
        self._look(self._engine, event)
        return out

    def checkpoint(self, ts: int) -> Checkpoint:
        """The engine's."""
        return self._engine.checkpoint(ts)
