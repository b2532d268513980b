"""The operator's side of a kill: whoever answers first does it, and nobody is believed without a proof.

The latch is set here before anybody is asked: from then on no daemon on this state directory sends an order, whether
its loop answers or not. Then the daemon is asked, which knows its orders; where it does not answer in time, the guard;
where there is none either, whatever the caller brings (`here`). `clear` is the way back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.runtime.latch import FileLatch
from tradeserver.services import layout
from tradeserver.services.control import ask
from tradeserver.services.faults import NotRunningError, OperatorError

ANSWER_S: Final = 0.2
POLL_S: Final = 0.02
MISSES: Final = 5
"""Questions in a row that somebody who has taken the kill may leave unanswered."""

Here = Callable[[float], dict[str, Any]]
"""A kill in this very process: (seconds) -> the answer of `killed`."""


class Outcome(msgspec.Struct):
    """What came of it. `by` is who did it: daemon, guard, here, or "" where nobody could."""

    proven: bool = False
    by: str = ""
    latched: bool = False  # by us, before anybody was asked
    elapsed_ms: int = 0
    report: dict[str, Any] | None = None
    notes: list[str] = []  # what could not be done, in order


def kill(state: Path, hedge: bool, timeout_s: float, here: Here | None = None) -> Outcome:
    """Kill and wait for the proof, at most `timeout_s`. Raises NotRunningError where there is no state directory."""
    began = time.monotonic()
    if not state.is_dir():
        raise NotRunningError(
            f"there is no state directory {state}: no daemon is running there, and nothing was stopped"
        )
    outcome = Outcome()
    if not hedge:
        try:
            FileLatch(layout.kill_latch(state)).press()
            outcome.latched = True
        except OSError as error:
            outcome.notes.append(f"the latch could not be set: {error.strerror or error}")
    for by, door in (("daemon", layout.control(state)), ("guard", layout.guard(state))):
        if _through(by, door, hedge, began + timeout_s, outcome):
            break
    else:
        if here is not None:
            outcome.by = "here"
            _note(outcome, here(max(0.0, began + timeout_s - time.monotonic())))
    outcome.elapsed_ms = int((time.monotonic() - began) * 1_000)
    return outcome


def _through(by: str, door: Path, hedge: bool, end: float, outcome: Outcome) -> bool:
    """Whether whoever is behind `door` has done it, or is still at it when the time is over."""
    try:
        _note(outcome, ask(door, "kill", ANSWER_S, hedge=hedge))
    except NotRunningError:
        outcome.notes.append(f"no {by} is running")
        return False
    except OperatorError:
        outcome.notes.append(f"the {by} does not answer")
        return False
    outcome.by = by
    misses = 0
    while time.monotonic() < end:
        try:
            answer = ask(door, "killed", ANSWER_S)
        except OperatorError:
            misses += 1
            if misses < MISSES:
                continue
            outcome.notes.append(f"the {by} took the kill and fell silent")
            return False
        misses = 0
        _note(outcome, answer)
        if not answer.get("under_way"):
            return outcome.proven
        time.sleep(POLL_S)
    outcome.notes.append(f"the {by} is still at it")
    return True


def _note(outcome: Outcome, answer: dict[str, Any]) -> None:
    report = answer.get("report")
    if report is not None:
        outcome.report = report
    outcome.proven = bool(report and report["proven"] and not answer.get("under_way"))
