"""Rows of other people's files: opened, counted, judged. What is wrong with a row costs that row and one sentence."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SHOWN: Final = 3  # sentences of one kind; the rest is counted

Row = tuple[int, list[str]]
"""(line number, cells)."""


class BadRowError(Exception):
    """Why a row cannot be taken."""


class Problems:
    """What was found, in sentences: the first few of each kind, and how many more."""

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()
        self._texts: list[str] = []

    def add(self, kind: str, text: str) -> None:
        """One more of a kind."""
        self._kinds[kind] += 1
        if self._kinds[kind] <= SHOWN:
            self._texts.append(text)

    def sentences(self) -> list[str]:
        """All of it."""
        more = [f"{count - SHOWN} more: {kind}" for kind, count in self._kinds.items() if count > SHOWN]
        return self._texts + more

    @property
    def total(self) -> int:
        """How many."""
        return self._kinds.total()


def cells(path: Path, problems: Problems) -> Iterator[Row]:
    """The cells of every line that is not empty, of a plain, gzipped or zipped CSV file. Raises OSError.

    A file that is cut short or damaged gives what can be read of it, and a problem.
    """
    number = 0
    try:
        with _opened(path) as lines:
            for number, row in enumerate(csv.reader(lines), 1):
                if row:
                    yield number, row
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, UnicodeDecodeError, csv.Error) as error:
        what = "is damaged or cut short" if number else "cannot be read at all"
        problems.add("damaged", f"{path} {what} after line {number}: {error}")


def _opened(path: Path) -> io.TextIOWrapper:
    if path.suffix == ".zip":
        archive = zipfile.ZipFile(path)
        names = [name for name in archive.namelist() if name.endswith(".csv")]
        if len(names) != 1:
            raise zipfile.BadZipFile(f"it holds {len(names)} CSV files instead of one")
        return io.TextIOWrapper(archive.open(names[0]), "utf-8")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open("r", encoding="utf-8")


def positive(text: str, what: str) -> float:
    """A finite number above zero. Raises BadRowError."""
    value = number(text, what)
    if value <= 0.0:
        raise BadRowError(f"{what} is {text}: it must be above zero")
    return value


def not_negative(text: str, what: str) -> float:
    """A finite number, zero or above. Raises BadRowError."""
    value = number(text, what)
    if value < 0.0:
        raise BadRowError(f"{what} is {text}: it must not be negative")
    return value


def number(text: str, what: str) -> float:
    """A finite number. Raises BadRowError."""
    try:
        value = float(text)
    except ValueError:
        raise BadRowError(f"{what} is {text!r}: not a number") from None
    if not math.isfinite(value):
        raise BadRowError(f"{what} is {text}: not a finite number")
    return value


def stamp_ns(text: str) -> int:
    """Unix time in s, ms, us or ns, told apart by its size, as ns. Raises BadRowError."""
    try:
        value = int(float(text)) if "." in text else int(text)
    except (ValueError, OverflowError):
        raise BadRowError(f"the stamp is {text!r}: not a whole number") from None
    for limit, factor in ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1)):
        if 10**8 < value < limit:
            return value * factor
    raise BadRowError(f"the stamp is {text}: no time of this century")
