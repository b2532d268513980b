"""Folding the past back into an engine: every record of the log's last segment, in order.

A record that the engine cannot fold in must not end the run: the next start would meet it again, and the one after. It
is left out and told, and the run begins with that number (`RunBegan.unapplied`), upon which nothing new is opened until
a person has looked. What is open at the venues is found there, as after any restart.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable

from tradeserver.core.records import Checkpoint, Record, kind_of


def fold(past: Iterable[Record], apply: Callable[[Record], None]) -> list[str]:
    """Apply each record; a text with the traceback for each that could not be.

    A checkpoint that cannot be applied raises what it raised: behind it is no state to go on from.
    """
    unapplied = []
    for record in past:
        try:
            apply(record)
        except Exception:
            if isinstance(record, Checkpoint):
                raise
            unapplied.append(f"{kind_of(record)} of {record.ts}: {traceback.format_exc()}")
    return unapplied
