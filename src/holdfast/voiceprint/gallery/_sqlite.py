"""Sealed templates in SQLite: two files, so that the keys need not be in every copy.

Both change in one transaction (SQLite's rollback journals span attached databases); what is deleted
is overwritten (``secure_delete``), and a change that was reported is on the disk.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from holdfast.voiceprint.gallery._errors import GalleryUnusable
from holdfast.voiceprint.gallery._store import (
    AuditRow,
    Centroids,
    Chain,
    EnrolledRow,
    SpeakerRow,
    UtteranceRow,
)

__all__ = ["SqliteStore"]

_WAIT_S = 10.0
_BATCH = 4096
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, speaker TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS speakers (id TEXT PRIMARY KEY, profile BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS utterances (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    speaker TEXT NOT NULL REFERENCES speakers (id) ON DELETE CASCADE,
    model TEXT NOT NULL, sealed BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS utterances_by_speaker ON utterances (speaker);
CREATE TABLE IF NOT EXISTS audio (
    utterance TEXT PRIMARY KEY REFERENCES utterances (id) ON DELETE CASCADE,
    sealed BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL, seal BLOB NOT NULL);
CREATE TRIGGER IF NOT EXISTS audit_is_kept BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_fixed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TABLE IF NOT EXISTS keys.wrapped (id TEXT PRIMARY KEY, key BLOB NOT NULL) WITHOUT ROWID;
"""
_SPEAKERS = "SELECT id, key, profile FROM speakers JOIN keys.wrapped USING (id)"
_COUNT = "SELECT count(*) FROM speakers JOIN keys.wrapped USING (id)"
_ENROLLED = (
    "SELECT number, key, u.id, speaker, model, sealed FROM utterances u "
    "JOIN keys.wrapped w ON w.id = speaker "
    "WHERE (speaker, number) > (?, ?) ORDER BY speaker, number LIMIT ?"
)
_OF_MODEL = (
    "SELECT number, key, u.id, speaker, model, sealed FROM utterances u "
    "JOIN keys.wrapped w ON w.id = speaker WHERE model = ? AND number > ? ORDER BY number LIMIT ?"
)
_AUDIO = "SELECT number, id, a.sealed FROM utterances JOIN audio a ON a.utterance = id"
_FEW = 8
_UTTERANCES = "SELECT number, id, speaker, model, sealed FROM utterances WHERE number > ?"


class SqliteStore:
    """A `GalleryStore` in ``folder``.

    Args:
        folder: made if it is not there, for its owner only.
        chain: seals audit lines.

    Raises:
        GalleryUnusable: it cannot be used.
    """

    def __init__(self, folder: Path, chain: Chain) -> None:
        self._folder = folder
        self._chain = chain
        self._turn = threading.RLock()
        with self._translated():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            paths = folder / "voiceprint.sqlite", folder / "voiceprint-keys.sqlite"
            for path in paths:
                # Made private at birth; SQLite would make it readable for others.
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(
                paths[0], timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )
            self._db.execute("ATTACH DATABASE ? AS keys", (str(paths[1]),))
            for name in ("main", "keys"):
                self._db.execute(f"PRAGMA {name}.synchronous = EXTRA")
                self._db.execute(f"PRAGMA {name}.secure_delete = ON")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")

    def proof(self, make: Callable[[], bytes]) -> bytes:
        """Return the proof of the key that this gallery was begun with; keep a new one once."""
        with self._changing():
            found = self._one("SELECT value FROM facts WHERE name = 'proof'")
            if found is None:
                found = make()
                self._db.execute("INSERT INTO facts VALUES ('proof', ?)", (found,))
        assert isinstance(found, bytes)
        return found

    def fact(self, name: str) -> bytes | None:
        """Return what was kept under a name."""
        with self._reading():
            found = self._one("SELECT value FROM facts WHERE name = ?", name)
        assert found is None or isinstance(found, bytes)
        return found

    def keep_fact(self, name: str, value: bytes, audit: str) -> None:
        """Keep something under a name, in place of what was there."""
        with self._changing() as note:
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
            note(audit)

    def last_change(self) -> int:
        """Return the number of the last change; 0 where nothing has changed yet."""
        with self._reading():
            return int(str(self._one("SELECT coalesce(max(number), 0) FROM changes")))

    def changes(self, after: int) -> list[tuple[int, str]]:
        """Return which speakers' utterances have changed after a number, and when."""
        with self._reading():
            found = self._db.execute(
                "SELECT number, speaker FROM changes WHERE number > ? ORDER BY number", (after,)
            )
            return [(int(number), str(speaker)) for number, speaker in found]

    def add_speaker(
        self,
        row: SpeakerRow,
        audit: str,
        rows: Sequence[UtteranceRow] = (),
        centroids: Centroids | None = None,  # noqa: ARG002 - nothing is searched here
    ) -> bool:
        """Add a speaker with utterances; return False, change nothing, where the id is taken."""
        with self._changing() as note:
            if self._one(f"{_SPEAKERS} WHERE id = ?", row.id) is not None:
                return False
            # In a gallery that came from a copy there may be a key without a speaker, and a speaker
            # without a key, who was erased, and whose rows nobody can open.
            if self._db.execute("DELETE FROM speakers WHERE id = ?", (row.id,)).rowcount:
                self._changed(row.id)
            self._db.execute("INSERT OR REPLACE INTO keys.wrapped VALUES (?, ?)", row[:2])
            self._db.execute("INSERT INTO speakers VALUES (?, ?)", (row.id, row.profile))
            self._insert(row.id, rows)
            note(audit)
        return True

    def set_profile(self, row: SpeakerRow, audit: str) -> bool:
        """Replace a profile; return False where no speaker has this id and this key."""
        with self._changing() as note:
            if not self._is_here(row):
                return False
            self._db.execute("UPDATE speakers SET profile = ? WHERE id = ?", (row.profile, row.id))
            note(audit)
        return True

    def speaker(self, speaker: str) -> SpeakerRow | None:
        """Return one speaker."""
        with self._reading():
            row = self._db.execute(f"{_SPEAKERS} WHERE id = ?", (speaker,)).fetchone()
        return None if row is None else SpeakerRow(*row)

    def count(self) -> int:
        """Return how many speakers there are."""
        with self._reading():
            return int(str(self._one(_COUNT)))

    def speakers(self, after: str = "") -> Iterator[SpeakerRow]:
        """Yield all, by id; those up to ``after`` are left out."""
        query = f"{_SPEAKERS} WHERE id > ? ORDER BY id LIMIT ?"
        for row in self._pages(query, [after], lambda row: [row[0]]):
            yield SpeakerRow(*row)

    def utterances(self, speaker: str | None = None) -> Iterator[UtteranceRow]:
        """Yield the utterances of one speaker, or of all, in the order of their enrolment."""
        query, more = _UTTERANCES, list[str]()
        if speaker is not None:
            query, more = f"{query} AND speaker = ?", [speaker]
        query = f"{query} ORDER BY number LIMIT ?"
        for row in self._pages(query, [0, *more], lambda row: [row[0], *more]):
            yield UtteranceRow(*row[1:])

    def of_model(self, model: str) -> Iterator[EnrolledRow]:
        """Yield the utterances of a model that can be opened, in the order of their enrolment."""
        for row in self._pages(_OF_MODEL, [model, 0], lambda row: [model, row[0]], _FEW):
            yield EnrolledRow(row[1], UtteranceRow(*row[2:]))

    def audio(self, speaker: str) -> Iterator[tuple[str, bytes]]:
        """Yield the sealed recordings that are kept of a speaker, with their utterances' ids."""
        query = f"{_AUDIO} WHERE speaker = ? AND number > ? ORDER BY number LIMIT ?"
        for row in self._pages(query, [speaker, 0], lambda row: [speaker, row[0]], _FEW):
            yield row[1], row[2]

    def enrolled(self) -> Iterator[EnrolledRow]:
        """Yield all utterances that can be opened, by speaker, each in the order of enrolment."""
        for row in self._pages(_ENROLLED, ["", 0], lambda row: [row[3], row[0]]):
            yield EnrolledRow(row[1], UtteranceRow(*row[2:]))

    def add_utterances(
        self,
        speaker: SpeakerRow,
        rows: Sequence[UtteranceRow],
        audit: str,
        centroids: Centroids,  # noqa: ARG002 - nothing is searched here
    ) -> bool:
        """Add all of them or none; return False where no speaker has this id and this key."""
        with self._changing() as note:
            if not self._is_here(speaker):
                return False
            self._insert(speaker.id, rows)
            note(audit)
        return True

    def erase(self, speaker: str, audit: str) -> bool:
        """Destroy a speaker's key, profile and utterances; return whether there was one."""
        with self._changing() as note:
            gone = self._db.execute("DELETE FROM speakers WHERE id = ?", (speaker,)).rowcount
            gone += self._db.execute("DELETE FROM keys.wrapped WHERE id = ?", (speaker,)).rowcount
            if gone:
                self._changed(speaker)
                note(audit)
        return gone > 0

    def note(self, audit: str) -> None:
        """Add a line to the audit log."""
        with self._changing() as note:
            note(audit)

    def audit(self, after: int = 0) -> Iterator[AuditRow]:
        """Yield the audit log's lines after a number."""
        query = "SELECT number, line, seal FROM audit WHERE number > ? ORDER BY number LIMIT ?"
        for row in self._pages(query, [after], lambda row: [row[0]]):
            yield AuditRow(*row)

    def close(self) -> None:
        """Let go of the files."""
        with self._turn:
            self._db.close()

    def _insert(self, speaker: str, rows: Sequence[UtteranceRow]) -> None:
        self._db.executemany(
            "INSERT INTO utterances (id, speaker, model, sealed) VALUES (?, ?, ?, ?)",
            [row[:4] for row in rows],
        )
        self._db.executemany(
            "INSERT INTO audio VALUES (?, ?)",
            [(row.id, row.audio) for row in rows if row.audio is not None],
        )
        if rows:
            self._changed(speaker)

    def _pages(
        self,
        query: str,
        place: list[Any],
        next_of: Callable[[Any], list[Any]],
        batch: int = _BATCH,
    ) -> Iterator[Any]:
        """Yield a query's rows page by page: nobody waits for who reads them slowly."""
        while True:
            with self._reading():
                rows = self._db.execute(query, (*place, batch)).fetchall()
            yield from rows
            if len(rows) < batch:
                return
            place = next_of(rows[-1])

    def _one(self, query: str, *values: str) -> object:
        row = self._db.execute(query, values).fetchone()
        return None if row is None else row[0]

    def _is_here(self, row: SpeakerRow) -> bool:
        return self._one("SELECT key FROM keys.wrapped WHERE id = ?", row.id) == row.wrapped_key

    def _changed(self, speaker: str) -> None:
        # A new row, so that the number is the newest; the speaker's old one goes.
        self._db.execute("INSERT OR REPLACE INTO changes (speaker) VALUES (?)", (speaker,))

    def _note(self, line: str) -> None:
        before = self._one("SELECT seal FROM audit ORDER BY number DESC LIMIT 1") or b""
        assert isinstance(before, bytes)
        seal = self._chain(before, line)
        self._db.execute("INSERT INTO audit (line, seal) VALUES (?, ?)", (line, seal))

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Callable[[str], None]]:
        """One transaction; yields what adds a line to the audit log."""
        with self._turn, self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._note
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with self._turn, self._translated():
            yield

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise GalleryUnusable(
                f"the voiceprints in {self._folder} cannot be used",
                why=str(error),
                hint="it must be a folder of this user's on a disk with room: "
                "HOLDFAST_DATA=/path/that/is/kept",
            ) from error
