"""How a kill looks on the command line, and the kill that this process does itself when nobody else is there."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradeserver.services.faults import Exit

if TYPE_CHECKING:
    from tradeserver.services.kill_client import Here, Outcome


def here(path: Path) -> Here:
    """A kill with the keys that the configuration in `path` names."""

    def kill(seconds: float) -> dict[str, Any]:
        from tradeserver import guard
        from tradeserver.config import credentials, load

        config = load(path)
        return asyncio.run(guard.kill_here(config, credentials(config), seconds))

    return kill


def tell(outcome: Outcome, as_json: bool) -> int:
    """Print it; the exit code: 0 only with a proof."""
    import msgspec

    from tradeserver.cli import show

    if as_json:
        show.as_json(msgspec.to_builtins(outcome))
    else:
        if outcome.report is not None:
            show.as_facts(outcome.report)
            print()
        print(sentence(outcome))
    for note in () if as_json else outcome.notes:
        sys.stderr.write(f"tradeserver: {note}\n")
    if outcome.proven:
        return Exit.OK
    return Exit.ERROR if outcome.by else Exit.NOT_RUNNING


def sentence(outcome: Outcome) -> str:
    """What a person must know, in one line."""
    report = outcome.report
    if outcome.proven and report is not None:
        venues = ", ".join(row["venue"] for row in report["venues"]) or "no venue"
        return (
            f"Proven by the {outcome.by} after {outcome.elapsed_ms} ms: nothing is open at {venues}; {report['found']} "
            f"orders found, {report['cancelled']} cancelled, {report['gone']} verified gone."
        )
    if not outcome.by:
        latch = "The latch is set: no daemon on this state directory sends orders until `clear kill`."
        return (
            f"NOT PROVEN: nobody could be asked. {latch if outcome.latched else 'The latch is not set.'} Nothing was "
            "cancelled and nothing verified; --config FILE lets this command do it itself."
        )
    return f"NOT PROVEN after {outcome.elapsed_ms} ms. Look at the venues yourself, and run it again."


def tell_drill(result: dict[str, Any], file: Path | None) -> int:
    """Print a drill or a rehearsal; the exit code: 0 only where everything was good."""
    import msgspec

    from tradeserver.cli import show

    if file is not None and str(file) != "-":
        file.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    if file is not None and str(file) == "-":
        show.as_json(result)
    else:
        show.as_facts(result)
    return Exit.OK if result["good"] else Exit.ERROR
