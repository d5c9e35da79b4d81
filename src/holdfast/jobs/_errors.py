"""What can be wrong with durable work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.errors import HoldfastError

__all__ = [
    "WORKER_LOST",
    "JobFailed",
    "JobInvalid",
    "JobLost",
    "JobStorageFailed",
    "TooManyJobs",
    "UnknownJob",
    "lost",
    "refuse_too_many",
    "taken",
    "unknown",
]

# What is said of an attempt whose lease ran out, in the shape of `HoldfastError.to_dict`.
WORKER_LOST: Mapping[str, Any] = {
    "code": "job-lost", "message": "its worker has said nothing for too long",
    "why": "the process or its machine has died, or hangs", "hint": "", "facts": {},
}  # fmt: skip


class UnknownJob(HoldfastError):
    """An id that no job has, or has no more: finished ones are kept for a time."""

    code = "unknown-job"
    exit_code = 2
    http_status = 404


class JobInvalid(HoldfastError):
    """A job that cannot be taken."""

    code = "job-invalid"
    exit_code = 2
    http_status = 422


class TooManyJobs(HoldfastError):
    """A client that has as many unfinished jobs as one may have, or a queue that is full."""

    code = "too-many-jobs"
    http_status = 429


class JobFailed(HoldfastError):
    """An attempt that ended with an error nobody foresaw; there may be another one."""

    code = "job-failed"


class JobLost(HoldfastError):
    """Somebody else has the job now: its lease ran out, or it was taken away."""

    code = "job-lost"


class JobStorageFailed(HoldfastError):
    """The database of jobs cannot be used, or has no room."""

    code = "job-storage-failed"
    exit_code = 3
    http_status = 503
    http_message = "jobs cannot be kept at the moment; the service's log has the reason"


def unknown(job: str, why: str = "finished jobs are kept for a time only") -> UnknownJob:
    """Return what to say of a job, or a file of one, that there is not."""
    return UnknownJob(
        f"there is no job {job[:60]!r}", why=why, hint="ask for it sooner after its end",
        param="task_id",
    )  # fmt: skip


def taken(job: str) -> JobInvalid:
    """Return what to say of an id that is taken."""
    return JobInvalid(
        f"there is a job {job} already", why="ids are used once", hint="take another id"
    )


def lost(job: str) -> JobLost:
    """Return what to say to who does not have a job any more."""
    return JobLost(
        f"job {job} is somebody else's now",
        why="its lease ran out, or it was taken away", hint="nothing: it is seen to",
    )  # fmt: skip


def refuse_too_many(own: int, most_own: int, every: int, most: int) -> None:
    """Refuse one job more where there are as many unfinished ones as may be.

    Args:
        own: unfinished jobs of the client.
        most_own: how many these may be.
        every: unfinished jobs of all.
        most: how many these may be.

    Raises:
        TooManyJobs: there are.
    """
    if own >= most_own:
        raise TooManyJobs(
            "this client has too many unfinished jobs", why=f"it has {own}, of at most {most_own}",
            hint="wait until some are done, or cancel some", retry_after_s=5,
        )  # fmt: skip
    if every >= most:
        raise TooManyJobs(
            "too many jobs wait", why=f"there are {every}, of at most {most}",
            hint="try again after the time in Retry-After", retry_after_s=30,
        )  # fmt: skip
