"""The operator's door: what the control socket's verbs answer, and what they tell the engine.

A verb that changes something is an `Operator` input like any other, so that a replay knows of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from tradeserver.app.gauges import rows
from tradeserver.core.engine import Engine
from tradeserver.core.events import Operator
from tradeserver.core.operator import PAUSE
from tradeserver.runtime.reactor import Reactor
from tradeserver.services.control import Handler
from tradeserver.services.faults import NotFoundError
from tradeserver.services.killing import KillDoor


class Door:
    """`facts` and `numbers` are what `status` and `gauges` say beside the engine's own; `stop` asks the run to end."""

    def __init__(
        self,
        engine: Engine,
        reactor: Reactor,
        kill: KillDoor,
        clock: Callable[[], int],
        facts: Callable[[], dict[str, Any]],
        numbers: Callable[[], dict[str, Any]],
        stop: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._reactor = reactor
        self._kill = kill
        self._clock = clock
        self._facts = facts
        self._numbers = numbers
        self._stop = stop

    def verbs(self) -> dict[str, Handler]:
        """For the control socket."""
        return {
            "status": self._status,
            "books": self._books,
            "gauges": self._gauges,
            **self._kill.verbs(),
            "pause": self._pause,
            "resume": self._resume,
            "stop": lambda: self._stop("asked to stop"),
        }

    def _status(self) -> dict[str, Any]:
        return self._engine.vitals.status(self._clock()) | self._facts()

    def _gauges(self) -> dict[str, Any]:
        return {"rows": rows(self._engine, self._reactor.sessions.values(), self._numbers(), self._clock())}

    def _books(self, levels: int = 5) -> dict[str, Any]:
        """Every depth book with its best levels and the hash of all of it."""
        rows = []
        for (venue, symbol), market in self._engine.market.symbols.items():
            bids, asks = market.book.top(levels)
            rows.append(
                {
                    "venue": venue,
                    "symbol": symbol,
                    "trust": market.trust.value,
                    "update_id": market.book.update_id,
                    "bids": bids,
                    "asks": asks,
                    "sha256": market.book.sha256(),
                }
            )
        return {"rows": rows}

    def _pause(self, scope: str = "global", source: str = "control") -> dict[str, Any]:
        scopes = self._engine.scopes()
        if scope not in scopes:
            near = difflib.get_close_matches(scope, scopes, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(scopes)}"
            raise NotFoundError(f"there is no scope {scope!r}; {hint}")
        return self._say("pause", scope, source)

    def _resume(self, scope: str = "global") -> dict[str, Any]:
        entries = self._engine.desk.states.entries()
        if not any(e.scope == scope and e.reason == PAUSE for e in entries):
            paused = ", ".join(e.scope for e in entries if e.reason == PAUSE) or "none"
            others = ", ".join(f"clear {e.reason!r} --scope {e.scope}" for e in entries if e.reason != PAUSE)
            also = f"; what else stops trading needs: {others}" if others else ""
            raise NotFoundError(f"scope {scope} is not paused; paused is {paused}{also}")
        return self._say("resume", scope, "control")

    def _say(self, action: str, scope: str, source: str) -> dict[str, Any]:
        self._reactor.tell(Operator(ts=0, action=action, scope=scope, source=source))
        return {"states": self._engine.vitals.status(self._clock())["states"]}
