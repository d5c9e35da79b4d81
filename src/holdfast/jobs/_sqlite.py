"""Jobs in a SQLite file: for all processes of one machine."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.jobs._database import Database
from holdfast.jobs._errors import WORKER_LOST, UnknownJob, lost, refuse_too_many, taken, unknown
from holdfast.jobs._model import Claim, JobState, JobStatus, Keeping, NewJob, Outcome, ending_of
from holdfast.jobs._pieces import Pieces
from holdfast.jobs._rows import CHANGED, STATUS, json_of, status_of
from holdfast.jobs._store import Blob, Limits

__all__ = ["SqliteJobs"]

_ORPHANED_AFTER_S = 3600.0
_USUAL = Limits()
_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL,
    owner TEXT NOT NULL, payload TEXT NOT NULL, priority INTEGER NOT NULL,
    most_failures INTEGER NOT NULL, state TEXT NOT NULL, created REAL NOT NULL,
    not_before REAL NOT NULL DEFAULT 0, started REAL, finished REAL,
    claims INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,
    worker TEXT, lease_until REAL, cancelling INTEGER NOT NULL DEFAULT 0,
    progress TEXT NOT NULL DEFAULT '{}', error TEXT, version INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_to_do ON jobs (state, priority DESC, number);
CREATE INDEX IF NOT EXISTS jobs_of_owner ON jobs (owner, state);
CREATE INDEX IF NOT EXISTS jobs_changed ON jobs (version);
CREATE TABLE IF NOT EXISTS versions (last INTEGER NOT NULL);
INSERT INTO versions SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM versions);
"""
_NEXT = """
SELECT id, kind, owner, payload, claims, failures FROM jobs j
WHERE state = 'pending' AND not_before <= ? AND kind IN ({kinds}) AND (
    SELECT count(*) FROM jobs o WHERE o.owner = j.owner AND o.state = 'started') < ?
ORDER BY priority DESC, number LIMIT 1
"""


class SqliteJobs:
    """A `JobStore` in one file, and what SQLite puts beside it.

    Args:
        path: made if it is not there, for its owner only, as is its folder.

    Raises:
        JobStorageFailed: it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _TABLES)
        self._pieces = Pieces(self._db)

    def put_blob(self, job: str, name: str, pieces: Iterable[bytes]) -> int:
        """Keep a file of a job; see `JobStore`."""
        return self._pieces.put(job, name, pieces)

    def blobs(self, job: str, under: str = "") -> list[Blob]:
        """Return a job's files; see `JobStore`."""
        return self._pieces.listed(job, under)

    def blob(self, job: str, name: str) -> Iterator[bytes]:
        """Yield a file, piece by piece; see `JobStore`."""
        return self._pieces.content(job, name)

    def drop_blobs(self, job: str, under: str = "") -> None:
        """Delete a job's files; see `JobStore`."""
        self._pieces.drop(job, under)

    def submit(self, job: str, new: NewJob, limits: Limits = _USUAL) -> JobStatus:
        """Take a job; see `JobStore`."""
        with self._db.changing(durable=True):
            self._check_limits(new, limits)
            if self._db.one("SELECT 1 FROM jobs WHERE id = ?", job) is not None:
                raise taken(job)
            self._db.execute(
                "INSERT INTO jobs (id, kind, owner, payload, priority, most_failures, state, "
                "created, version) VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?)",
                (job, new.kind, new.owner, json_of(new.payload), new.priority,
                 new.most_failures, time.time(), self._version()),
            )  # fmt: skip
            return self._status(job)

    def _check_limits(self, new: NewJob, limits: Limits) -> None:
        unfinished = "SELECT count(*) FROM jobs WHERE state IN ('pending', 'started') AND kind = ?"
        refuse_too_many(
            self._db.number(f"{unfinished} AND owner = ?", new.kind, new.owner), limits.of_owner,
            self._db.number(unfinished, new.kind), limits.of_all,
        )  # fmt: skip

    def status(self, job: str) -> JobStatus:
        """Return how a job stands; see `JobStore`."""
        with self._db.reading():
            return self._status(job)

    def payload(self, job: str) -> Mapping[str, Any]:
        """Return what is to be done; see `JobStore`."""
        with self._db.reading():
            found = self._db.one("SELECT payload FROM jobs WHERE id = ?", job)
        if found is None:
            raise unknown(job)
        payload: Mapping[str, Any] = json.loads(found)
        return payload

    def changed(self, after: int) -> tuple[int, Sequence[str]]:
        """Return the newest version, and what has changed; see `JobStore`."""
        with self._db.reading():
            rows = self._db.execute(CHANGED.format(after="?"), (after,)).fetchall()
        return rows[0][0], [job for _, job in rows if job is not None]

    def claim(
        self, worker: str, kinds: Sequence[str], lease_s: float, limits: Limits = _USUAL
    ) -> Claim | None:
        """Take the next job to do; see `JobStore`."""
        now = time.time()
        query = _NEXT.format(kinds=", ".join("?" * len(kinds)))
        # Asked first without a transaction: idle workers look often, and keep nobody from writing.
        with self._db.reading():
            overdue = self._db.one(
                "SELECT 1 FROM jobs WHERE state = 'started' AND lease_until < ?", now
            )
            values = (now, *kinds, limits.running_of_owner)
            if overdue is None and self._db.execute(query, values).fetchone() is None:
                return None
        with self._db.changing():
            self._expire(now)
            row = self._db.execute(query, values).fetchone()
            if row is None:
                return None
            job, kind, owner, payload, claims, failures = row
            self._db.execute(
                "UPDATE jobs SET state = 'started', worker = ?, lease_until = ?, claims = ?, "
                "started = ?, version = ? WHERE id = ?",
                (worker, now + lease_s, claims + 1, now, self._version(), job),
            )
        return Claim(job, kind, owner, json.loads(payload), claims + 1, failures)

    def _expire(self, now: float) -> None:
        rows = self._db.execute(
            "SELECT id FROM jobs WHERE state = 'started' AND lease_until < ?", (now,)
        ).fetchall()
        for (job,) in rows:
            self._end_attempt(job, Outcome(JobState.PENDING, error=WORKER_LOST))

    def beat(self, claim: Claim, lease_s: float, progress: Mapping[str, Any] | None = None) -> bool:
        """Renew a lease; see `JobStore`."""
        with self._db.changing():
            self._check_claim(claim)
            self._db.execute(
                "UPDATE jobs SET lease_until = ? WHERE id = ?", (time.time() + lease_s, claim.id)
            )
            if progress is not None:
                self._db.execute(
                    "UPDATE jobs SET progress = ?, version = ? WHERE id = ?",
                    (json_of(progress), self._version(), claim.id),
                )
            return bool(self._db.number("SELECT cancelling FROM jobs WHERE id = ?", claim.id))

    def finish(self, claim: Claim, outcome: Outcome) -> JobStatus:
        """Say how an attempt ended; see `JobStore`."""
        with self._db.changing(durable=True):
            self._check_claim(claim)
            self._end_attempt(claim.id, outcome)
            return self._status(claim.id)

    def _check_claim(self, claim: Claim) -> None:
        query = "SELECT 1 FROM jobs WHERE id = ? AND claims = ? AND state = 'started'"
        if self._db.one(query, claim.id, claim.fence) is None:
            raise lost(claim.id)

    def _end_attempt(self, job: str, outcome: Outcome) -> None:
        failures, most, cancelling = self._db.execute(
            "SELECT failures, most_failures, cancelling FROM jobs WHERE id = ?", (job,)
        ).fetchone()
        ending = ending_of(
            outcome, failures=failures, most_failures=most, cancelling=cancelling, now=time.time()
        )
        self._db.execute(
            "UPDATE jobs SET state = ?, failures = ?, not_before = ?, finished = ?, worker = NULL, "
            "lease_until = NULL, error = ?, version = ? WHERE id = ?",
            (*ending, json_of(outcome.error), self._version(), job),
        )
        if outcome.progress:
            self._db.execute(
                "UPDATE jobs SET progress = ? WHERE id = ?",
                (json_of(outcome.progress), job),
            )

    def release(self, worker: str, error: Mapping[str, Any], *, counts: bool) -> list[str]:
        """Give back what a worker has that is no more; see `JobStore`."""
        with self._db.changing():
            rows = self._db.execute(
                "SELECT id FROM jobs WHERE state = 'started' AND worker = ?", (worker,)
            ).fetchall()
            for (job,) in rows:
                self._end_attempt(job, Outcome(JobState.PENDING, error=error, counts=counts))
        return [row[0] for row in rows]

    def cancel(self, job: str) -> JobStatus:
        """Have a job end; see `JobStore`."""
        with self._db.changing(durable=True):
            found = self._status(job)
            if not found.is_finished:
                self._db.execute(
                    "UPDATE jobs SET cancelling = 1, version = ? WHERE id = ?",
                    (self._version(), job),
                )
            if found.state is JobState.PENDING:
                self._end_attempt(job, Outcome(JobState.CANCELLED))
            return self._status(job)

    def delete(self, job: str) -> None:
        """Forget a finished job; see `JobStore`."""
        with self._db.changing(durable=True):
            if self._status(job).is_finished:
                self._db.execute("DELETE FROM jobs WHERE id = ?", (job,))
                self._pieces.drop(job)

    def collect(self, keeping: Keeping) -> int:
        """Forget finished jobs that are too old or too many; see `JobStore`."""
        now = time.time()
        query = (
            "SELECT id FROM jobs WHERE finished < ? UNION SELECT id FROM (SELECT id, row_number() "
            "OVER (PARTITION BY kind ORDER BY finished DESC) AS place FROM jobs "
            "WHERE finished IS NOT NULL) WHERE place > ?"
        )
        with self._db.reading():
            gone = self._db.execute(query, (now - keeping.age_s, keeping.most)).fetchall()
        for (job,) in gone:  # one by one: nobody waits for all of them
            with contextlib.suppress(UnknownJob):
                self.delete(job)
        self._pieces.drop_orphans(now - _ORPHANED_AFTER_S)
        self._db.give_back_room()
        return len(gone)

    def counts(self, kind: str) -> Mapping[str, int]:
        """Return how many jobs of a kind there are by state."""
        query = "SELECT state, count(*) FROM jobs WHERE kind = ? GROUP BY state"
        with self._db.reading():
            found = dict(self._db.execute(query, (kind,)))
        return {str(state): int(found.get(state, 0)) for state in JobState}

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _status(self, job: str) -> JobStatus:
        row = self._db.execute(f"{STATUS} WHERE id = ?", (job,)).fetchone()
        if row is None:
            raise unknown(job)
        return status_of(row)

    def _version(self) -> int:
        self._db.execute("UPDATE versions SET last = last + 1")
        return self._db.number("SELECT last FROM versions")
