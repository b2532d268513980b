"""Errors that are the operator's to mend, and the exit codes of every verb.

An `OperatorError` carries one clear sentence and an exit code. It is raised before a socket opens wherever possible, is
printed without a traceback, and is never used for what a venue did (an event) or for our own mistakes (exit 70).
"""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """What a process tells its parent. Documented in docs/exit-codes.md."""

    OK = 0
    ERROR = 1  # the verb did its work and the answer is bad news
    USAGE = 2  # the command line is wrong
    NOT_RUNNING = 3  # no daemon listens
    NOT_FOUND = 4  # nothing under that name or number
    OURS = 70  # a bug: cancel, flush, restart through recovery (sysexits EX_SOFTWARE)
    CONFIG = 78  # the operator must change something first; systemd does not restart (sysexits EX_CONFIG)


class OperatorError(Exception):
    """One sentence that says what is wrong and what to do."""

    exit_code = Exit.ERROR


class ConfigError(OperatorError):
    """The configuration, a secret or the machine it names is not usable."""

    exit_code = Exit.CONFIG


class NotRunningError(OperatorError):
    """Nobody answers on the control socket."""

    exit_code = Exit.NOT_RUNNING


class NotFoundError(OperatorError):
    """Nothing under that name or number."""

    exit_code = Exit.NOT_FOUND
