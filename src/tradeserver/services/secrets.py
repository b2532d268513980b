"""Secrets by reference: `env:NAME`, `file:PATH`, `aws:NAME#field`. Resolved before any socket opens; never printed.

A `Secret` shows itself as `***` in every text form and refuses to be pickled; `reveal` is the one way to its value, and
is called where a signature or a log-on is built. The store behind `aws:` is handed in (`services/aws.py`).
"""

from __future__ import annotations

import hmac
import os
import re
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from tradeserver.services.faults import ConfigError, OperatorError

MASK: Final = "***"
_AWS: Final = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,512}(#[A-Za-z0-9_.-]{1,64})?")
_MOST_BYTES: Final = 64 * 1024  # a PEM is some hundred bytes: more than this is the wrong file


class Secret:
    """A value that does not print."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself. Keep it out of records, journals, logs and errors."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret is not for storage")


def check_reference(reference: str) -> None:
    """Raise ConfigError unless `reference` has a form that this release resolves. Reads nothing."""
    scheme, colon, rest = reference.partition(":")
    if scheme == "aws" and colon and _AWS.fullmatch(rest):
        return
    if scheme not in ("env", "file") or not rest:
        # The text is not repeated: somebody may have put the secret itself there.
        raise ConfigError("a secret must be a reference, env:NAME, file:PATH or aws:NAME#field, never the value itself")


def no_core_dumps() -> None:
    """A core dump would hold every secret of the process: none is written, whatever the host says."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Store(Protocol):
    """A secret store: `aws:`."""

    def get(self, path: str) -> Secret:
        """The secret behind "NAME#field". Raises OperatorError."""
        ...


def resolve(reference: str, what: str, environ: Mapping[str, str] = os.environ, store: Store | None = None) -> Secret:
    """The secret that `reference` names; `what` says whose it is ("venues.binance.key"). Raises OperatorError.

    A file's trailing line break is not part of the secret. `~` and relative paths are allowed; relative means relative
    to the working directory.
    """
    try:
        check_reference(reference)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from None
    scheme, _, rest = reference.partition(":")
    if scheme == "aws":
        value = _from_store(rest, what, store)
    else:
        value = _from_environment(rest, what, environ) if scheme == "env" else _from_file(rest, what)
    if not value.strip():
        raise ConfigError(f"{what}: the secret {reference} is empty")
    return Secret(value)


def _from_store(path: str, what: str, store: Store | None) -> str:
    if store is None:
        raise ConfigError(f"{what}: an aws: reference cannot be used here")
    try:
        return store.get(path).reveal()
    except OperatorError as error:
        raise type(error)(f"{what}: {error}") from None


def _from_environment(name: str, what: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise ConfigError(f"{what}: the environment variable {name} is not set")
    return environ[name]


def _from_file(name: str, what: str) -> str:
    path = Path(name).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{what}: the secret file {path} cannot be read: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{what}: the secret file {path} is larger than {_MOST_BYTES} bytes")
    try:
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError(f"{what}: the secret file {path} is not text") from None
