"""The database: a projection of the write-ahead log, written by the relay and read by the command line.

`Store.write` folds records into the tables and moves the position in the same transaction, so that a record counts
exactly once whatever dies when. Nothing in it is a truth of its own: drop it and `rebuild` from the log. Trading never
reads it. What each record does to the tables is in `projection.py`, the questions are in `queries.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from tradeserver.core.records import Record
from tradeserver.services import tables as t
from tradeserver.services.faults import ConfigError, NotFoundError
from tradeserver.services.projection import FOLDS, put

BATCH: Final = 1_000


class StoreError(Exception):
    """The database is not there, refused, or fell away. Try again later."""


def connect(url: str, read_only: bool = False) -> Engine:
    """An engine for `url`. SQLite gets its write-ahead mode, so that readers and the one writer do not wait."""
    try:
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    except (SQLAlchemyError, ImportError) as error:
        raise ConfigError(f"store.url cannot be used: {error}") from None
    if engine.dialect.name == "postgresql" and read_only:
        engine = engine.execution_options(postgresql_readonly=True)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA busy_timeout = 5000")
            if read_only:
                connection.execute("PRAGMA query_only = ON")
            else:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost batches, never consistency

    return engine


class Store:
    """The writer's side. One at a time: the relay holds a lock."""

    def __init__(self, url: str) -> None:
        self.engine = connect(url)

    def open(self) -> int:
        """Make the tables where they are missing and return the position: the last sequence folded in, 0 for none.

        A database of another schema version is dropped, so that the caller rebuilds it. Raises StoreError.
        """
        try:
            with self.engine.begin() as c:
                if inspect(c).has_table("meta"):
                    version = c.scalar(select(t.meta.c.value).where(t.meta.c.name == "schema"))
                    if version != t.SCHEMA_VERSION:
                        t.metadata.drop_all(c)
                t.metadata.create_all(c)
                put(c, t.meta, name="schema", value=t.SCHEMA_VERSION)
                return _position(c)
        except SQLAlchemyError as error:
            raise StoreError(_words(error)) from None

    def write(self, batch: Sequence[tuple[int, Record]]) -> int:
        """Fold `batch` in, in one transaction; what is not after the position is skipped. Returns the new position."""
        try:
            with self.engine.begin() as c:
                position = _position(c)
                for sequence, record in batch:
                    if sequence > position:
                        fold = FOLDS.get(type(record))
                        if fold is not None:
                            fold(c, sequence, record)
                        position = sequence
                put(c, t.meta, name="position", value=position)
                return position
        except SQLAlchemyError as error:
            raise StoreError(_words(error)) from None

    def rebuild(self, log: Iterable[tuple[int, Record]]) -> int:
        """Drop everything and fold the whole log in again. Returns the position."""
        try:
            with self.engine.begin() as c:
                t.metadata.drop_all(c)
        except SQLAlchemyError as error:
            raise StoreError(_words(error)) from None
        position = self.open()
        batch: list[tuple[int, Record]] = []
        for item in log:
            batch.append(item)
            if len(batch) >= BATCH:
                position = self.write(batch)
                batch = []
        return self.write(batch) if batch else position

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def read(url: str) -> Engine:
    """The reader's side: an engine that cannot write. Raises NotFoundError where no relay has written yet."""
    engine = connect(url, read_only=True)
    missing = NotFoundError(f"there is no database at {engine.url.render_as_string()}: has a daemon run here yet?")
    if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists():
        raise missing  # SQLite would make an empty one
    try:
        if not inspect(engine).has_table("meta"):
            raise missing
    except SQLAlchemyError as error:
        raise NotFoundError(f"the database cannot be read: {_words(error)}") from None
    return engine


def _position(c: Connection) -> int:
    return c.scalar(select(t.meta.c.value).where(t.meta.c.name == "position")) or 0


def _words(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
