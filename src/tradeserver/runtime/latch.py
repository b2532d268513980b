"""The kill latch: one byte in a file, mapped into memory. While it is not zero, no order leaves.

The gateway reads it before each send, at the price of a memory read. Another process (the operator's command, a guard)
sets it through the same file, without asking the daemon's event loop. It outlives the daemon.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Protocol


class Latch(Protocol):
    """`set`: no order may leave."""

    @property
    def set(self) -> bool:
        """Read before each send."""
        ...


class FileLatch:
    """The latch in a file, which is made (not set) where it is missing. Raises OSError."""

    def __init__(self, path: Path) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(fd).st_size == 0:
                os.ftruncate(fd, 1)
            self._byte = mmap.mmap(fd, 1)
        finally:
            os.close(fd)

    @property
    def set(self) -> bool:
        """Whether it is set."""
        return self._byte[0] != 0

    def press(self) -> None:
        """Set it, on the disk too."""
        self._byte[0] = 1
        self._byte.flush()

    def clear(self) -> None:
        """Orders may leave again."""
        self._byte[0] = 0
        self._byte.flush()


class MemoryLatch:
    """The twin for tests, simulated time and replays."""

    def __init__(self) -> None:
        self.set = False
