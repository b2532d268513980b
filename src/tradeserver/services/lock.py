"""A lock file: who owns a state directory, and which relay of two works.

The kernel drops an `flock` with the process, however it dies, so that a lock never has to be removed by hand. The file
holds the owner's process id, for people.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tradeserver.services.faults import ConfigError


class Lock:
    """Held from a successful `take` until `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def take(self) -> bool:
        """Try once, without waiting; False when another process holds it. Raises ConfigError (cannot be written)."""
        if self._fd >= 0:
            return True
        try:
            # Python opens non-inheritable, so a child that outlives us does not keep the lock.
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(f"the lock file {self.path} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd
        return True

    def owner(self) -> str:
        """The process id written by whoever took it last, or ""."""
        try:
            return self.path.read_text().strip()
        except OSError:
            return ""

    def release(self) -> None:
        """Let it go; the file stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
