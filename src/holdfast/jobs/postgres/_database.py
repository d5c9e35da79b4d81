"""One PostgreSQL that several servers use: its tables, and the turn to change jobs in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg

from holdfast.jobs._errors import JobInvalid, JobStorageFailed
from holdfast.jobs.postgres._tables import EXISTS, FORM, MAKING, TABLES, TURN
from holdfast.postgres import Connection, Connections, Kept

__all__ = ["Database", "Turn", "value"]

_KEPT = Kept("jobs", "holdfast_jobs", JobStorageFailed, "HOLDFAST_DOCUMENTS_DATABASE", 5)


class Turn(NamedTuple):
    """The turn to change jobs, until the end of a transaction.

    Attributes:
        db: with which.
        version: of all that is changed.
        now: seconds since 1970, by the server's clock.
    """

    db: Connection
    version: int
    now: float


class Database:
    """A database, with tables in a schema of their own. Safe to use from several threads.

    Args:
        url: ``postgresql://user@host/database``, and whatever else libpq understands.

    Raises:
        JobStorageFailed: it cannot be used; so every method.
    """

    def __init__(self, url: str) -> None:
        self._connections = Connections(url, _KEPT)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        """Make the tables, once; who finds them needs no right to make any."""
        form = self._form()
        if form is None:
            with self.changing() as db:
                db.execute(MAKING)
                # Two servers may start at once: the second finds what the first has made.
                if value(db, EXISTS) is None:
                    db.execute(TABLES)
                    db.execute("INSERT INTO versions (form, last) VALUES (%s, 0)", (FORM,))
            form = self._form()
        if form != FORM:
            raise JobStorageFailed(
                f"the jobs in {self._connections.shown} are of another form",
                why=f"it is {form}, and this version knows {FORM}",
                hint="pip install --upgrade 'holdfast[postgres]'",
            )

    def _form(self) -> int | None:
        with self.reading() as db:
            if value(db, EXISTS) is None:
                return None
            form: int = value(db, "SELECT form FROM versions")
            return form

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection, each statement on which is a transaction of its own.

        Raises:
            JobInvalid: what was to be asked for or kept is nothing that a database can hold.
        """
        with self._connections.one() as db:
            try:
                yield db
            except (psycopg.DataError, UnicodeEncodeError) as error:
                raise JobInvalid(
                    "the job cannot be kept",
                    why=f"a text or number of it is none for PostgreSQL: {error}",
                    hint="leave out U+0000 and halves of surrogate pairs; numbers have 64 bits",
                ) from error

    @contextlib.contextmanager
    def changing(self) -> Iterator[Connection]:
        """One transaction: all that the block does, or nothing."""
        with self.reading() as db, db.transaction():
            yield db

    @contextlib.contextmanager
    def turn(self) -> Iterator[Turn]:
        """One transaction, while nobody else changes jobs in the whole deployment."""
        with self.changing() as db:
            row = db.execute(TURN).fetchone()
            if row is None:
                raise psycopg.OperationalError("the row of holdfast_jobs.versions is gone")
            yield Turn(db, *row)

    def close(self) -> None:
        """Let go of it."""
        self._connections.close()


def value(db: Connection, query: str, *values: Any) -> Any:
    """Return the first value of the first row; None where there is no row."""
    row = db.execute(query, values).fetchone()
    return None if row is None else row[0]
