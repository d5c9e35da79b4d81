"""One SQLite file that several threads and processes use."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from holdfast.jobs._errors import JobStorageFailed

__all__ = ["Database"]

_WAIT_S = 30.0


class Database:
    """A file, and what SQLite puts beside it.

    Args:
        path: made if it is not there, for its owner only, as is its folder.
        tables: what is made in it where it is not there.

    Raises:
        JobStorageFailed: it cannot be used; so every method.
    """

    def __init__(self, path: Path, tables: str) -> None:
        self._path = path
        self._turn = threading.RLock()
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Made private at birth; SQLite would make it readable for others.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(
                path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )
            self.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before there is any table
            # Readers do not wait for writers then; a place that has no shared memory keeps the
            # journal that it has.
            with contextlib.suppress(sqlite3.OperationalError):
                self.execute("PRAGMA journal_mode = WAL")
            self._ahead = self.one("PRAGMA journal_mode") == "wal"
            self.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(f"BEGIN IMMEDIATE; {tables} COMMIT;")

    def execute(self, query: str, values: Iterable[object] = ()) -> sqlite3.Cursor:
        """Carry out a statement, within `reading` or `changing`."""
        return self._connection.execute(query, tuple(values))

    def execute_many(self, query: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Carry out a statement for each row, within `changing`."""
        self._connection.executemany(query, rows)

    def one(self, query: str, *values: object) -> Any:
        """Return the first value of the first row; None where there is no row."""
        row = self.execute(query, values).fetchone()
        return None if row is None else row[0]

    def number(self, query: str, *values: object) -> int:
        """Return the first value of the first row."""
        return int(self.one(query, *values))

    @contextlib.contextmanager
    def changing(self, *, durable: bool = False) -> Iterator[None]:
        """One transaction: all that the block does, or nothing. Within another it is part of it.

        What is written ahead survives the death of any process, and the loss of power once a later
        transaction was ``durable``: that one waits for the disk, for all before it, too.
        """
        with self._turn, self._translated():
            if self._connection.in_transaction:
                yield
                return
            if self._ahead:
                self.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # some errors have done it already
            self.execute("ROLLBACK")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Read, with nobody else of this process in between."""
        with self._turn, self._translated():
            yield

    def give_back_room(self) -> None:
        """Let the file shrink by what is no longer needed in it."""
        with self.reading():
            # Not by `execute`, which stops at one page.
            self._connection.executescript("PRAGMA incremental_vacuum;")
            if self._ahead:  # what was written ahead stays as long as it once was, otherwise
                self.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            self._connection.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise JobStorageFailed(
                f"the jobs in {self._path} cannot be used", why=str(error),
                hint="it must be a file of this user's on a disk with room: "
                "HOLDFAST_DATA=/path/that/is/kept", retry_after_s=5,
            ) from error  # fmt: skip
