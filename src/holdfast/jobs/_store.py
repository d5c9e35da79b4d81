"""Where jobs are kept: what every such place can do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from holdfast.jobs._model import Claim, JobStatus, Keeping, NewJob, Outcome

__all__ = ["Blob", "JobStore", "Limits"]


class Blob(NamedTuple):
    """A file of a job: its name within the job, such as ``in/0/report.pdf``, and its length."""

    name: str
    size: int


class Limits(NamedTuple):
    """How much may be there at a time.

    Attributes:
        of_owner: unfinished jobs of one client, of a kind.
        of_all: unfinished jobs of all, of a kind.
        running_of_owner: jobs of one client that are worked on.
    """

    of_owner: int = 100
    of_all: int = 10_000
    running_of_owner: int = 1_000


class JobStore(Protocol):
    """Durable: what a method reported is there after any crash; several processes may use one.

    Every method may be called from any thread, and raises `JobStorageFailed` where the place cannot
    be used or has no room; then nothing has changed.
    """

    def put_blob(self, job: str, name: str, pieces: Iterable[bytes]) -> int:
        """Keep a file of a job, which need not be there yet; return its length.

        It is as safe as the next `submit` or `finish`, which is what makes anything of it.
        One of the same name is replaced. What belongs to no job is gone after an hour.
        """

    def blobs(self, job: str, under: str = "") -> list[Blob]:
        """Return a job's files whose names begin with ``under``, by name."""

    def blob(self, job: str, name: str) -> Iterator[bytes]:
        """Yield a file, piece by piece.

        Raises:
            UnknownJob: there is no such file.
        """

    def drop_blobs(self, job: str, under: str = "") -> None:
        """Delete a job's files whose names begin with ``under``."""

    def submit(self, job: str, new: NewJob, limits: Limits = ...) -> JobStatus:
        """Take a job.

        Args:
            job: its id; nobody else's.
            new: the job.
            limits: what there may be.

        Raises:
            TooManyJobs: there are as many as may be.
            JobInvalid: the id is taken.
        """

    def status(self, job: str) -> JobStatus:
        """Return how a job stands.

        Raises:
            UnknownJob: there is none, or no more.
        """

    def payload(self, job: str) -> Mapping[str, Any]:
        """Return what is to be done.

        Raises:
            UnknownJob: there is none, or no more.
        """

    def changed(self, after: int) -> tuple[int, Sequence[str]]:
        """Return the newest version, and the jobs that have changed after one."""

    def claim(
        self, worker: str, kinds: Sequence[str], lease_s: float, limits: Limits = ...
    ) -> Claim | None:
        """Take the next job to do; None where there is none.

        Jobs whose lease has run out wait again first, or have failed if that happened too often.

        Args:
            worker: who takes it; unique.
            kinds: what it can do.
            lease_s: for how long; `beat` renews it.
            limits: of which ``running_of_owner`` counts.
        """

    def beat(self, claim: Claim, lease_s: float, progress: Mapping[str, Any] | None = None) -> bool:
        """Renew a lease, and tell how far it is; return whether the job is to end.

        Raises:
            JobLost: somebody else has it.
        """

    def finish(self, claim: Claim, outcome: Outcome) -> JobStatus:
        """Say how an attempt ended.

        Raises:
            JobLost: somebody else has it.
        """

    def release(self, worker: str, error: Mapping[str, Any], *, counts: bool) -> list[str]:
        """Give back what a worker has that is no more; return the jobs' ids.

        Args:
            worker: who.
            error: what to say of it.
            counts: whether it counts as a failure.
        """

    def cancel(self, job: str) -> JobStatus:
        """Have a job end: at once where it waits, else its worker is told.

        Raises:
            UnknownJob: there is none, or no more.
        """

    def delete(self, job: str) -> None:
        """Forget a finished job and its files; one that is not finished is left alone.

        Raises:
            UnknownJob: there is none, or no more.
        """

    def collect(self, keeping: Keeping) -> int:
        """Forget finished jobs that are too old or too many, and files of none; return how many."""

    def counts(self, kind: str) -> Mapping[str, int]:
        """Return how many jobs of a kind there are by state."""

    def close(self) -> None:
        """Let go of the place."""
