"""The relay's own notes: the last sequence number that each sink has taken, as JSON in the state directory.

NATS and the database know better where they are (the stream's last message, the row `position`); these notes serve
where they cannot say, and tell the daemon which segments of the log nobody needs any more.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec


class Positions:
    """Read once; `note` in memory, `save` in one atomic step."""

    def __init__(self, path: Path, sinks: Sequence[str]) -> None:
        self._path = path
        known = _load(path)
        self._notes = {sink: known.get(sink, 0) for sink in sinks}
        self._saved: dict[str, int] = {}

    def __getitem__(self, sink: str) -> int:
        return self._notes[sink]

    def note(self, sink: str, sequence: int) -> None:
        """`sink` has everything up to `sequence`."""
        self._notes[sink] = sequence

    def save(self) -> None:
        """Write the file, when something has changed. A disk that is full costs the notes, nothing else."""
        if self._notes == self._saved:
            return
        new = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            new.write_bytes(msgspec.json.encode(self._notes))
            os.replace(new, self._path)
            self._saved = dict(self._notes)


def delivered(path: Path) -> list[int]:
    """Each sink's position; [0], nobody has anything yet, where no relay has ever run here."""
    return list(_load(path).values()) or [0]


def delivered_by(path: Path) -> dict[str, int]:
    """Each sink's position by its name."""
    return _load(path)


def _load(path: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    except (OSError, msgspec.MsgspecError):
        return {}
