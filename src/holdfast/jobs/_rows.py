"""Rows of the table of jobs, in whichever database. Rules only; nothing here does I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.jobs._model import JobState, JobStatus

__all__ = ["CHANGED", "STATUS", "json_of", "status_of"]

# In one statement, which sees one state of the database: else a job could change between its
# reading and that of its position, or of the newest version.
STATUS = """
SELECT id, kind, owner, priority, state, created, started, finished, failures, progress, error,
    cancelling, version, CASE WHEN state = 'pending' THEN (
        SELECT count(*) FROM jobs o WHERE o.state = 'pending' AND o.kind = j.kind AND (
            o.priority > j.priority OR (o.priority = j.priority AND o.number <= j.number))) END
FROM jobs j
"""
# The newest version, and beside it, row by row, what has changed; one row without a job where
# nothing has.
CHANGED = (
    "SELECT last, id FROM versions LEFT JOIN jobs ON version > {after} ORDER BY version, number"
)


def status_of(row: Sequence[Any]) -> JobStatus:
    """Return what a row of `STATUS` says."""
    return JobStatus(
        id=row[0], kind=row[1], owner=row[2], priority=row[3], state=JobState(row[4]),
        created=row[5], started=row[6], finished=row[7], failures=row[8],
        progress=json.loads(row[9]), error=None if row[10] is None else json.loads(row[10]),
        cancelling=bool(row[11]), version=row[12], position=row[13],
    )  # fmt: skip


def json_of(value: Mapping[str, Any] | None) -> str | None:
    """Return data as it is kept; None of none."""
    return None if value is None else json.dumps(dict(value))
