"""Durable work: a queue in a database, which loses nothing and does nothing twice."""

from holdfast.jobs._errors import (
    JobFailed,
    JobInvalid,
    JobLost,
    JobStorageFailed,
    TooManyJobs,
    UnknownJob,
)
from holdfast.jobs._loop import Attempt, JobCalledOff, do_jobs
from holdfast.jobs._model import (
    FINISHED,
    Claim,
    JobState,
    JobStatus,
    Keeping,
    NewJob,
    Outcome,
)
from holdfast.jobs._open import open_jobs
from holdfast.jobs._sqlite import SqliteJobs
from holdfast.jobs._store import Blob, JobStore, Limits

__all__ = [
    "FINISHED",
    "Attempt",
    "Blob",
    "Claim",
    "JobCalledOff",
    "JobFailed",
    "JobInvalid",
    "JobLost",
    "JobState",
    "JobStatus",
    "JobStorageFailed",
    "JobStore",
    "Keeping",
    "Limits",
    "NewJob",
    "Outcome",
    "SqliteJobs",
    "TooManyJobs",
    "UnknownJob",
    "do_jobs",
    "open_jobs",
]
