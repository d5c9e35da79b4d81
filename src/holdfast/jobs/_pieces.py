"""Files in a database, in pieces: neither reader nor writer holds more than a few of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from holdfast.jobs._database import Database
from holdfast.jobs._errors import unknown
from holdfast.jobs._store import Blob

__all__ = ["Pieces", "cut"]

# Some to a transaction: a reader holds one, a writer stops nobody long.
_PIECE_BYTES = 256 * 1024
_AT_ONCE = 32
_TABLE = """
CREATE TABLE IF NOT EXISTS pieces (
    job TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, written REAL NOT NULL,
    content BLOB NOT NULL, PRIMARY KEY (job, name, number)) WITHOUT ROWID
"""
_UNDER = "job = ? AND substr(name, 1, length(?)) = ?"


class Pieces:
    """The files of jobs in a SQLite database, which must have a table ``jobs``."""

    def __init__(self, db: Database) -> None:
        self._db = db
        with db.changing():
            db.execute(_TABLE)

    def put(self, job: str, name: str, pieces: Iterable[bytes]) -> int:
        """Keep a file; return its length."""
        size = number = 0
        waiting: list[bytes] = []
        for piece in cut(pieces):
            waiting.append(piece)
            size += len(piece)
            if len(waiting) == _AT_ONCE:
                number = self._append(job, name, number, waiting)
                waiting = []
        if waiting or not number:
            self._append(job, name, number, waiting or [b""])
        return size

    def _append(self, job: str, name: str, number: int, pieces: Sequence[bytes]) -> int:
        now = time.time()
        with self._db.changing():
            if not number:
                self._db.execute("DELETE FROM pieces WHERE job = ? AND name = ?", (job, name))
            self._db.execute_many(
                "INSERT INTO pieces VALUES (?, ?, ?, ?, ?)",
                [(job, name, number + at, now, piece) for at, piece in enumerate(pieces)],
            )
        return number + len(pieces)

    def listed(self, job: str, under: str) -> list[Blob]:
        """Return a job's files whose names begin with ``under``, by name."""
        query = (
            f"SELECT name, sum(length(content)) FROM pieces WHERE {_UNDER} "  # noqa: S608 - ours
            "GROUP BY name ORDER BY name"
        )
        with self._db.reading():
            return [Blob(*row) for row in self._db.execute(query, (job, under, under))]

    def content(self, job: str, name: str) -> Iterator[bytes]:
        """Yield a file, piece by piece.

        Raises:
            UnknownJob: there is no such file.
        """
        number = 0
        query = "SELECT content FROM pieces WHERE job = ? AND name = ? AND number = ?"
        while True:
            with self._db.reading():
                piece = self._db.one(query, job, name, number)
            if piece is None:
                break
            yield bytes(piece)
            number += 1
        if not number:
            raise unknown(job, f"it has no file {name}")

    def drop(self, job: str, under: str = "") -> None:
        """Delete a job's files whose names begin with ``under``."""
        with self._db.changing():
            query = f"DELETE FROM pieces WHERE {_UNDER}"  # noqa: S608 - ours
            self._db.execute(query, (job, under, under))

    def drop_orphans(self, before: float) -> None:
        """Delete files of no job that were written before a time."""
        with self._db.changing():
            self._db.execute(
                "DELETE FROM pieces WHERE written < ? AND job NOT IN (SELECT id FROM jobs)",
                (before,),
            )


def cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of one length, but the last."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= _PIECE_BYTES:
            yield bytes(held[:_PIECE_BYTES])
            del held[:_PIECE_BYTES]
    if held:
        yield bytes(held)
