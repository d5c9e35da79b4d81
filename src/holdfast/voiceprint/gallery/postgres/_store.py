"""Sealed templates in PostgreSQL, in a schema of their own, for several servers at once.

What is said of SQLite holds here too: a change is one transaction, and the log is only added to.
What is deleted stays in the database's own logs and backups until those go.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from holdfast.postgres import Connection, Connections
from holdfast.voiceprint.gallery._errors import GalleryUnusable
from holdfast.voiceprint.gallery._store import (
    AuditRow,
    Centroids,
    Chain,
    EnrolledRow,
    SpeakerRow,
    UtteranceRow,
)
from holdfast.voiceprint.gallery.postgres._kept import KEPT
from holdfast.voiceprint.gallery.postgres._tables import (
    CENTROIDS,
    FORM,
    FORMAT,
    LAST_AUDIT,
    TABLES,
    TURN,
)

__all__ = ["PostgresStore"]

_BATCH = 4096
_FILL_BATCH = 1024
_FILL_S = 5.0
_SPEAKERS = "SELECT id, key, profile FROM speakers JOIN keys USING (id)"
_AUDIO = "SELECT number, id, a.sealed FROM utterances JOIN audio a ON a.utterance = id"
_FEW = 8
_UTTERANCES = "SELECT number, id, speaker, model, sealed FROM utterances"
_OPENABLE = (
    "SELECT number, key, u.id, speaker, model, sealed FROM utterances u "
    "JOIN keys k ON k.id = speaker"
)
_ENROLLED = f"{_OPENABLE} WHERE (speaker, number) > (%s, %s) ORDER BY speaker, number LIMIT %s"
_OF_MODEL = f"{_OPENABLE} WHERE model = %s AND number > %s ORDER BY number LIMIT %s"
_COUNT = "SELECT count(*) FROM"
_UNFILLED = (
    "SELECT DISTINCT speaker FROM utterances u JOIN keys k ON k.id = u.speaker "
    "WHERE speaker > %s AND NOT EXISTS "
    "(SELECT FROM centroids c WHERE c.speaker = u.speaker AND c.model = u.model)"
)
_TABLE = "SELECT 1 FROM pg_tables WHERE schemaname = 'holdfast_voiceprint' AND tablename = %s"
# Vectors travel as arrays of numbers, which psycopg sends in binary. What is ordered by is
# an expression, not the bare operator: an index that somebody adds (HNSW, IVFFlat) would answer
# from a part of the rows only.
_NEAREST = (
    "SELECT speaker, score FROM (SELECT speaker, "
    "CASE WHEN vector_dims(centroid) = %(length)s "
    "THEN -(centroid <#> %(probe)b::float8[]::vector) END AS score "
    "FROM centroids WHERE model = %(model)s) AS scored "
    "WHERE score >= %(least)s ORDER BY score DESC, speaker LIMIT %(most)s"
)
_FILL = (
    "INSERT INTO centroids (speaker, model, centroid) VALUES (%s, %s, %b::float8[]::vector) "
    "ON CONFLICT (speaker, model) DO UPDATE SET centroid = excluded.centroid"
)


class PostgresStore:
    """A `SearchingStore` in a database that several servers share.

    Args:
        url: ``postgresql://user@host/database``.
        chain: seals audit lines.

    Raises:
        GalleryUnusable: it cannot be used.
    """

    def __init__(self, url: str, chain: Chain) -> None:
        self._chain = chain
        self._connections = Connections(url, KEPT)
        try:
            self._prepare()
        except BaseException:
            self._connections.close()
            raise

    def _prepare(self) -> None:
        """Make the tables, once; who finds them needs no right to make any."""
        form = self._form()
        if form is None:
            with self._changing() as (db, _):
                # Two servers may start at once: the second finds what the first has made.
                if not _has(db, "facts"):
                    db.execute(TABLES)
            form = self._form()
        if form != str(FORM).encode():
            raise GalleryUnusable(
                f"the voiceprints in {self._connections.shown} are of another form",
                why=f"it is {(form or b'?').decode()}, and this version knows {FORM}",
                hint="pip install --upgrade 'holdfast[postgres]'",
            )

    def _form(self) -> bytes | None:
        with self._connections.one() as db:
            return _value(db, FORMAT) if _has(db, "facts") else None

    # -- facts and changes

    def proof(self, make: Callable[[], bytes]) -> bytes:
        """Return the proof of the key that this gallery was begun with; keep a new one once."""
        found = self.fact("proof")
        if found is None:
            with self._changing() as (db, _):
                db.execute(
                    "INSERT INTO facts VALUES ('proof', %s) ON CONFLICT DO NOTHING",
                    (make(),),
                )
            found = self.fact("proof")
        assert found is not None
        return found

    def fact(self, name: str) -> bytes | None:
        """Return what was kept under a name."""
        with self._connections.one() as db:
            found: bytes | None = _value(db, "SELECT value FROM facts WHERE name = %s", name)
        return found

    def keep_fact(self, name: str, value: bytes, audit: str) -> None:
        """Keep something under a name, in place of what was there."""
        with self._changing() as (db, note):
            db.execute(
                "INSERT INTO facts VALUES (%s, %s) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )
            note(audit)

    def last_change(self) -> int:
        """Return the number of the last change; 0 where nothing has changed yet."""
        with self._connections.one() as db:
            return int(_value(db, "SELECT max(number) FROM changes") or 0)

    def changes(self, after: int) -> list[tuple[int, str]]:
        """Return which speakers' utterances have changed after a number, and when."""
        with self._connections.one() as db:
            return db.execute(
                "SELECT number, speaker FROM changes WHERE number > %s ORDER BY number",
                (after,),
            ).fetchall()

    # -- speakers and utterances

    def add_speaker(
        self,
        row: SpeakerRow,
        audit: str,
        rows: Sequence[UtteranceRow] = (),
        centroids: Centroids | None = None,
    ) -> bool:
        """Add a speaker with utterances; return False, change nothing, where the id is taken."""
        with self._changing() as (db, note):
            if _value(db, f"{_SPEAKERS} WHERE id = %s", row.id) is not None:
                return False
            # In a gallery that came from a copy there may be a key without a speaker, and a speaker
            # without a key, who was erased, and whose rows nobody can open.
            if db.execute("DELETE FROM speakers WHERE id = %s", (row.id,)).rowcount:
                _changed(db, row.id)
            db.execute(
                "INSERT INTO keys VALUES (%s, %s) "
                "ON CONFLICT (id) DO UPDATE SET key = excluded.key",
                row[:2],
            )
            db.execute("INSERT INTO speakers VALUES (%s, %s)", (row.id, row.profile))
            if centroids is not None:
                _insert(db, row, rows, centroids)
            note(audit)
        return True

    def set_profile(self, row: SpeakerRow, audit: str) -> bool:
        """Replace a profile; return False where no speaker has this id and this key."""
        with self._changing() as (db, note):
            if not _is_here(db, row):
                return False
            db.execute("UPDATE speakers SET profile = %s WHERE id = %s", (row.profile, row.id))
            note(audit)
        return True

    def speaker(self, speaker: str) -> SpeakerRow | None:
        """Return one speaker."""
        with self._connections.one() as db:
            row = db.execute(f"{_SPEAKERS} WHERE id = %s", (speaker,)).fetchone()
        return None if row is None else SpeakerRow(*row)

    def count(self) -> int:
        """Return how many speakers there are."""
        with self._connections.one() as db:
            return int(_value(db, f"{_COUNT} speakers JOIN keys USING (id)"))

    def speakers(self, after: str = "") -> Iterator[SpeakerRow]:
        """Yield all, by id; those up to ``after`` are left out."""
        query = f"{_SPEAKERS} WHERE id > %s ORDER BY id LIMIT %s"
        for row in self._pages(query, [after], lambda row: [row[0]]):
            yield SpeakerRow(*row)

    def utterances(self, speaker: str | None = None) -> Iterator[UtteranceRow]:
        """Yield the utterances of one speaker, or of all, in the order of their enrolment."""
        query, more = f"{_UTTERANCES} WHERE number > %s", list[str]()
        if speaker is not None:
            query, more = f"{query} AND speaker = %s", [speaker]
        query = f"{query} ORDER BY number LIMIT %s"
        for row in self._pages(query, [0, *more], lambda row: [row[0], *more]):
            yield UtteranceRow(*row[1:])

    def of_model(self, model: str) -> Iterator[EnrolledRow]:
        """Yield the utterances of a model that can be opened, in the order of their enrolment."""
        for row in self._pages(_OF_MODEL, [model, 0], lambda row: [model, row[0]], _FEW):
            yield EnrolledRow(row[1], UtteranceRow(*row[2:]))

    def audio(self, speaker: str) -> Iterator[tuple[str, bytes]]:
        """Yield the sealed recordings that are kept of a speaker, with their utterances' ids."""
        query = f"{_AUDIO} WHERE speaker = %s AND number > %s ORDER BY number LIMIT %s"
        for row in self._pages(query, [speaker, 0], lambda row: [speaker, row[0]], _FEW):
            yield row[1], row[2]

    def enrolled(self) -> Iterator[EnrolledRow]:
        """Yield all utterances that can be opened, by speaker, each in the order of enrolment."""
        for row in self._pages(_ENROLLED, ["", 0], lambda row: [row[3], row[0]]):
            yield EnrolledRow(row[1], UtteranceRow(*row[2:]))

    def add_utterances(
        self, speaker: SpeakerRow, rows: Sequence[UtteranceRow], audit: str, centroids: Centroids
    ) -> bool:
        """Add all of them or none; return False where no speaker has this id and this key."""
        with self._changing() as (db, note):
            if not _is_here(db, speaker):
                return False
            _insert(db, speaker, rows, centroids)
            note(audit)
        return True

    def erase(self, speaker: str, audit: str) -> bool:
        """Destroy a speaker's key, profile and utterances; return whether there was one."""
        with self._changing() as (db, note):
            gone = db.execute("DELETE FROM keys WHERE id = %s", (speaker,)).rowcount
            gone += db.execute("DELETE FROM speakers WHERE id = %s", (speaker,)).rowcount
            if gone:
                _changed(db, speaker)
                note(audit)
        return gone > 0

    # -- the log

    def note(self, audit: str) -> None:
        """Add a line to the audit log."""
        with self._changing() as (_, note):
            note(audit)

    def audit(self, after: int = 0) -> Iterator[AuditRow]:
        """Yield the audit log's lines after a number."""
        query = "SELECT number, line, seal FROM audit WHERE number > %s ORDER BY number"
        for row in self._pages(f"{query} LIMIT %s", [after], lambda row: [row[0]]):
            yield AuditRow(*row)

    # -- search

    def fill(self, centroids: Centroids) -> int:
        """Make vectors that are missing, for some seconds; return how many speakers are left."""
        until = time.monotonic() + _FILL_S
        with self._changing() as (db, _):
            if not _has(db, "centroids"):
                db.execute(CENTROIDS)
        last = ""
        while True:
            # In small parts, so that who enrols meanwhile waits for one of these only.
            with self._changing() as (db, _):
                query = f"{_UNFILLED} ORDER BY speaker LIMIT %s"
                names = [name for (name,) in db.execute(query, (last, _FILL_BATCH))]
                _keep_centroids(db, names, centroids)
            if len(names) < _FILL_BATCH:
                return 0
            last = names[-1]
            if time.monotonic() > until:
                with self._connections.one() as db:
                    return int(_value(db, f"{_COUNT} ({_UNFILLED}) AS unfilled", last))

    def nearest(
        self, model: str, probe: Sequence[float], most: int, at_least: float
    ) -> list[tuple[str, float]]:
        """Return the speakers whose vectors are nearest, after comparing every one of the model."""
        asked = {
            "probe": list(probe), "length": len(probe), "model": model, "most": most,
            "least": at_least,
        }  # fmt: skip
        with self._connections.one() as db:
            return db.execute(_NEAREST, asked).fetchall()

    def close(self) -> None:
        """Let go of the database."""
        self._connections.close()

    def _pages(
        self,
        query: str,
        place: list[Any],
        next_of: Callable[[Any], list[Any]],
        batch: int = _BATCH,
    ) -> Iterator[Any]:
        """Yield a query's rows page by page: no connection waits for who reads them slowly."""
        while True:
            with self._connections.one() as db:
                rows = db.execute(query, (*place, batch)).fetchall()
            yield from rows
            if len(rows) < batch:
                return
            place = next_of(rows[-1])

    @contextlib.contextmanager
    def _changing(self) -> Iterator[tuple[Connection, Callable[[str], None]]]:
        """One transaction, alone in the deployment; yields what adds a line to the audit log."""
        with self._connections.one() as db, db.transaction():
            db.execute(TURN)
            yield db, lambda line: self._note(db, line)

    def _note(self, db: Connection, line: str) -> None:
        number, before = db.execute(LAST_AUDIT).fetchone() or (0, b"")
        db.execute(
            "INSERT INTO audit VALUES (%s, %s, %s)",
            (number + 1, line, self._chain(before, line)),
        )


def _value(db: Connection, query: str, *values: Any) -> Any:
    row = db.execute(query, values).fetchone()
    return None if row is None else row[0]


def _has(db: Connection, table: str) -> bool:
    # Not to_regclass: it would still say no, from the session's cache, when another server has made
    # the table while this transaction waited for its turn.
    return _value(db, _TABLE, table) is not None


def _is_here(db: Connection, row: SpeakerRow) -> bool:
    found = _value(db, "SELECT key FROM keys WHERE id = %s", row.id)
    return bool(found == row.wrapped_key)


def _insert(
    db: Connection, speaker: SpeakerRow, rows: Sequence[UtteranceRow], centroids: Centroids
) -> None:
    if not rows:
        return
    db.cursor().executemany(
        "INSERT INTO utterances (id, speaker, model, sealed) VALUES (%s, %s, %s, %s)",
        [row[:4] for row in rows],
    )
    db.cursor().executemany(
        "INSERT INTO audio VALUES (%s, %s)",
        [(row.id, row.audio) for row in rows if row.audio is not None],
    )
    # Whatever this server searches itself: another one may let the database do it.
    if _has(db, "centroids"):
        _keep_centroids(db, [speaker.id], centroids)
    _changed(db, speaker.id)


def _changed(db: Connection, speaker: str) -> None:
    db.execute(
        "INSERT INTO changes (speaker) VALUES (%s) "
        "ON CONFLICT (speaker) DO UPDATE SET number = DEFAULT",
        (speaker,),
    )


def _keep_centroids(db: Connection, speakers: Sequence[str], centroids: Centroids) -> None:
    query = f"{_OPENABLE} WHERE speaker = ANY(%s) ORDER BY speaker, number"
    found = db.execute(query, (list(speakers),))
    rows = (EnrolledRow(row[1], UtteranceRow(*row[2:])) for row in found)
    db.cursor().executemany(_FILL, list(centroids(rows)))
