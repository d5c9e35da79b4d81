"""Files in PostgreSQL, in pieces: neither reader nor writer holds more than a few of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from holdfast.jobs._errors import unknown
from holdfast.jobs._pieces import cut
from holdfast.jobs._store import Blob
from holdfast.jobs.postgres._database import Database
from holdfast.jobs.postgres._tables import NOW

__all__ = ["Pieces"]

# 2 MB on their way at a time: also a slow line brings that before anybody gives up.
_AT_ONCE = 8
# So many are deleted in a statement, for the same reason.
_GONE_AT_ONCE = 256
_PUT = f"INSERT INTO pieces VALUES (%s, %s, %s, {NOW}, %b)"  # noqa: S608 - ours
_DROP = """
DELETE FROM pieces WHERE (job, name, number) IN (
    SELECT job, name, number FROM pieces WHERE job = %s AND starts_with(name, %s)
    ORDER BY name, number LIMIT %s FOR UPDATE)
"""
# What somebody else is deleting at this moment is left to them.
_DROP_ORPHANS = f"""
DELETE FROM pieces WHERE (job, name, number) IN (
    SELECT job, name, number FROM pieces p
    WHERE written < {NOW} - %s AND NOT EXISTS (SELECT FROM jobs WHERE id = p.job)
    LIMIT %s FOR UPDATE SKIP LOCKED)
"""  # noqa: S608 - ours


class Pieces:
    """The files of jobs in a PostgreSQL database. No turn is needed: no version is drawn."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def put(self, job: str, name: str, pieces: Iterable[bytes]) -> int:
        """Keep a file; return its length. No connection waits for who brings the pieces."""
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
        with self._db.changing() as db:
            if not number:
                db.execute("DELETE FROM pieces WHERE job = %s AND name = %s", (job, name))
            for at, piece in enumerate(pieces):
                db.execute(_PUT, (job, name, number + at, piece))
        return number + len(pieces)

    def listed(self, job: str, under: str) -> list[Blob]:
        """Return a job's files whose names begin with ``under``, by name."""
        query = (
            "SELECT name, sum(octet_length(content)) FROM pieces "
            "WHERE job = %s AND starts_with(name, %s) GROUP BY name ORDER BY name"
        )
        with self._db.reading() as db:
            return [Blob(*row) for row in db.execute(query, (job, under)).fetchall()]

    def content(self, job: str, name: str) -> Iterator[bytes]:
        """Yield a file, piece by piece. No connection waits for who takes them.

        Raises:
            UnknownJob: there is no such file.
        """
        number = 0
        query = (
            "SELECT content FROM pieces WHERE job = %s AND name = %s AND number >= %s "
            "ORDER BY number LIMIT %s"
        )
        while True:
            with self._db.reading() as db:
                found = db.execute(query, (job, name, number, _AT_ONCE), binary=True).fetchall()
            if not found and not number:
                raise unknown(job, f"it has no file {name}")
            yield from (bytes(piece) for (piece,) in found)
            number += len(found)
            if len(found) < _AT_ONCE:
                return

    def drop(self, job: str, under: str = "") -> None:
        """Delete a job's files whose names begin with ``under``."""
        self._delete(_DROP, job, under)

    def drop_orphans(self, age_s: float) -> None:
        """Delete files of no job that were written so long ago."""
        self._delete(_DROP_ORPHANS, age_s)

    def _delete(self, query: str, *values: object) -> None:
        while True:
            with self._db.reading() as db:
                if db.execute(query, (*values, _GONE_AT_ONCE)).rowcount < _GONE_AT_ONCE:
                    return
