"""Jobs in PostgreSQL: for all processes of several machines.

What is said of SQLite holds here too. The database's server decides what time it is.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from holdfast.jobs._errors import (
    WORKER_LOST,
    JobStorageFailed,
    UnknownJob,
    lost,
    refuse_too_many,
    taken,
    unknown,
)
from holdfast.jobs._model import Claim, JobState, JobStatus, Keeping, NewJob, Outcome, ending_of
from holdfast.jobs._rows import CHANGED, STATUS, json_of, status_of
from holdfast.jobs._store import Blob, Limits
from holdfast.jobs.postgres._database import Database, Turn, value
from holdfast.jobs.postgres._pieces import Pieces
from holdfast.jobs.postgres._tables import NEXT, NOW, OVERDUE, WAITS
from holdfast.postgres import Connection

__all__ = ["PostgresJobs"]

_log = logging.getLogger(__name__)
_ORPHANED_AFTER_S = 3600.0
_USUAL = Limits()
_UNFINISHED = "SELECT count(*) FROM jobs WHERE state IN ('pending', 'started') AND kind = %s"

_HELD = "SELECT 1 FROM jobs WHERE id = %s AND claims = %s AND state = 'started'"
_RENEW = f"""
UPDATE jobs SET lease_until = {NOW} + %s WHERE id = %s AND claims = %s AND state = 'started'
RETURNING cancelling
"""  # noqa: S608 - ours
_TOO_MANY = f"""
SELECT id FROM jobs WHERE finished < {NOW} - %s
UNION SELECT id FROM (
    SELECT id, row_number() OVER (PARTITION BY kind ORDER BY finished DESC) AS place
    FROM jobs WHERE finished IS NOT NULL) AS kept WHERE place > %s
"""  # noqa: S608 - ours


class PostgresJobs:
    """A `JobStore` in a database that several servers share.

    A connection that breaks at the very end of a transaction leaves open whether there was one:
    `JobStorageFailed` may then be said of a change that was made. A job taken in such a moment
    waits until its lease runs out; one that was submitted is there.

    Args:
        url: ``postgresql://user@host/database``, and whatever else libpq understands.

    Raises:
        JobStorageFailed: it cannot be used.
    """

    def __init__(self, url: str) -> None:
        self._db = Database(url)
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
        with self._db.turn() as (db, version, now):
            refuse_too_many(
                value(db, f"{_UNFINISHED} AND owner = %s", new.kind, new.owner), limits.of_owner,
                value(db, _UNFINISHED, new.kind), limits.of_all,
            )  # fmt: skip
            if value(db, "SELECT 1 FROM jobs WHERE id = %s", job) is not None:
                raise taken(job)
            db.execute(
                "INSERT INTO jobs (id, kind, owner, payload, priority, most_failures, state, "
                "created, version) VALUES (%s, %s, %s, %s, %s, %s, 'pending', %s, %s)",
                (job, new.kind, new.owner, json_of(new.payload), new.priority, new.most_failures,
                 now, version),
            )  # fmt: skip
            return _status(db, job)

    def status(self, job: str) -> JobStatus:
        """Return how a job stands; see `JobStore`."""
        with self._db.reading() as db:
            return _status(db, job)

    def payload(self, job: str) -> Mapping[str, Any]:
        """Return what is to be done; see `JobStore`."""
        with self._db.reading() as db:
            found = value(db, "SELECT payload FROM jobs WHERE id = %s", job)
        if found is None:
            raise unknown(job)
        payload: Mapping[str, Any] = json.loads(found)
        return payload

    def changed(self, after: int) -> tuple[int, Sequence[str]]:
        """Return the newest version, and what has changed; see `JobStore`."""
        with self._db.reading() as db:
            rows = db.execute(CHANGED.format(after="%s"), (after,)).fetchall()
        return rows[0][0], [job for _, job in rows if job is not None]

    def claim(
        self, worker: str, kinds: Sequence[str], lease_s: float, limits: Limits = _USUAL
    ) -> Claim | None:
        """Take the next job to do; see `JobStore`."""
        asked = {"kinds": list(kinds), "running": limits.running_of_owner}
        with self._db.reading() as db:
            found = db.execute(WAITS, asked).fetchone()
        if found == (False,):
            return None
        with self._db.turn() as turn:
            # One whose worker is giving a sign of life at this moment is not dead.
            overdue = f"{OVERDUE} FOR UPDATE SKIP LOCKED"
            for (job,) in turn.db.execute(overdue, {"now": turn.now}).fetchall():
                _end_attempt(turn, job, Outcome(JobState.PENDING, error=WORKER_LOST))
            row = turn.db.execute(NEXT, {**asked, "now": turn.now}).fetchone()
            if row is None:
                return None
            job, kind, owner, payload, claims, failures = row
            turn.db.execute(
                "UPDATE jobs SET state = 'started', worker = %s, lease_until = %s, claims = %s, "
                "started = %s, version = %s WHERE id = %s",
                (worker, turn.now + lease_s, claims + 1, turn.now, turn.version, job),
            )
        return Claim(job, kind, owner, json.loads(payload), claims + 1, failures)

    def beat(self, claim: Claim, lease_s: float, progress: Mapping[str, Any] | None = None) -> bool:
        """Renew a lease; see `JobStore`."""
        if progress is None:
            with self._db.reading() as db:
                return _renew(db, claim, lease_s)
        with self._db.turn() as (db, version, _):
            cancelling = _renew(db, claim, lease_s)
            db.execute(
                "UPDATE jobs SET progress = %s, version = %s WHERE id = %s",
                (json_of(progress), version, claim.id),
            )
        return cancelling

    def finish(self, claim: Claim, outcome: Outcome) -> JobStatus:
        """Say how an attempt ended; see `JobStore`."""
        with self._db.turn() as turn:
            if value(turn.db, _HELD, claim.id, claim.fence) is None:
                raise lost(claim.id)
            _end_attempt(turn, claim.id, outcome)
            return _status(turn.db, claim.id)

    def release(self, worker: str, error: Mapping[str, Any], *, counts: bool) -> list[str]:
        """Give back what a worker has that is no more; see `JobStore`."""
        outcome = Outcome(JobState.PENDING, error=error, counts=counts)
        with self._db.turn() as turn:
            rows = turn.db.execute(
                "SELECT id FROM jobs WHERE state = 'started' AND worker = %s ORDER BY number",
                (worker,),
            ).fetchall()
            for (job,) in rows:
                _end_attempt(turn, job, outcome)
        return [job for (job,) in rows]

    def cancel(self, job: str) -> JobStatus:
        """Have a job end; see `JobStore`."""
        with self._db.turn() as turn:
            found = _status(turn.db, job)
            if not found.is_finished:
                turn.db.execute(
                    "UPDATE jobs SET cancelling = true, version = %s WHERE id = %s",
                    (turn.version, job),
                )
            if found.state is JobState.PENDING:
                _end_attempt(turn, job, Outcome(JobState.CANCELLED))
            return _status(turn.db, job)

    def delete(self, job: str) -> None:
        """Forget a finished job; see `JobStore`.

        Its files go after it, some at a time: nobody waits for all of them. What a broken
        connection leaves of them goes with the files of no job.
        """
        with self._db.reading() as db:
            if not db.execute(
                "DELETE FROM jobs WHERE id = %s AND finished IS NOT NULL", (job,)
            ).rowcount:
                _status(db, job)
                return
        try:
            self._pieces.drop(job)
        except JobStorageFailed as error:
            _log.warning("job %s: its files are deleted later: %s", job, error)

    def collect(self, keeping: Keeping) -> int:
        """Forget finished jobs that are too old or too many; see `JobStore`."""
        with self._db.reading() as db:
            gone = db.execute(_TOO_MANY, (keeping.age_s, keeping.most)).fetchall()
        for (job,) in gone:
            with contextlib.suppress(UnknownJob):
                self.delete(job)
        self._pieces.drop_orphans(_ORPHANED_AFTER_S)
        return len(gone)

    def counts(self, kind: str) -> Mapping[str, int]:
        """Return how many jobs of a kind there are by state."""
        query = "SELECT state, count(*) FROM jobs WHERE kind = %s GROUP BY state"
        with self._db.reading() as db:
            found = dict(db.execute(query, (kind,)).fetchall())
        return {str(state): int(found.get(state, 0)) for state in JobState}

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()


def _status(db: Connection, job: str) -> JobStatus:
    row = db.execute(f"{STATUS} WHERE id = %s", (job,)).fetchone()
    if row is None:
        raise unknown(job)
    return status_of(row)


def _renew(db: Connection, claim: Claim, lease_s: float) -> bool:
    """Renew the lease of who has a job, and nobody else's; return whether the job is to end."""
    cancelling = value(db, _RENEW, lease_s, claim.id, claim.fence)
    if cancelling is None:
        raise lost(claim.id)
    return bool(cancelling)


def _end_attempt(turn: Turn, job: str, outcome: Outcome) -> None:
    row = turn.db.execute(
        "SELECT failures, most_failures, cancelling FROM jobs WHERE id = %s", (job,)
    ).fetchone()
    if row is None:
        raise unknown(job)
    failures, most, cancelling = row
    ending = ending_of(
        outcome, failures=failures, most_failures=most, cancelling=cancelling, now=turn.now
    )
    turn.db.execute(
        "UPDATE jobs SET state = %s, failures = %s, not_before = %s, finished = %s, worker = NULL, "
        "lease_until = NULL, error = %s, version = %s, progress = coalesce(%s, progress) "
        "WHERE id = %s",
        (ending.state.value, *ending[1:], json_of(outcome.error), turn.version,
         json_of(outcome.progress or None), job),
    )  # fmt: skip
