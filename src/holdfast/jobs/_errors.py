"""What can be wrong with durable work."""

from __future__ import annotations

from holdfast.errors import HoldfastError

__all__ = [
    "JobFailed",
    "JobInvalid",
    "JobLost",
    "JobStorageFailed",
    "TooManyJobs",
    "UnknownJob",
    "unknown",
]


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
