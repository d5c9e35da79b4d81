"""What a job is, and how it goes on. Rules only; nothing here does I/O."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = [
    "FINISHED",
    "Claim",
    "Ending",
    "JobState",
    "JobStatus",
    "Keeping",
    "NewJob",
    "Outcome",
    "ending_of",
]

_FIRST_PAUSE_S, _MOST_PAUSE_S = 1.0, 60.0


class JobState(enum.StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    STARTED = "started"
    SUCCESS = "success"
    PARTIAL_SUCCESS = "partial_success"
    FAILURE = "failure"
    CANCELLED = "cancelled"


FINISHED = frozenset({
    JobState.SUCCESS, JobState.PARTIAL_SUCCESS, JobState.FAILURE, JobState.CANCELLED,
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """Work to be done, once, whoever dies meanwhile.

    Attributes:
        kind: which workers take it.
        owner: the client whose it is; limits count by it.
        payload: what is to be done, as JSON-ready data; files come as blobs beside it.
        priority: the higher goes first; of equals the older.
        most_failures: attempts that may end in a death or an error that may pass.
    """

    kind: str
    owner: str
    payload: Mapping[str, Any]
    priority: int = 0
    most_failures: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """How a job stands. Times are seconds since 1970.

    Attributes:
        failures: attempts that ended in a death, or an error that may pass.
        position: among those of its kind that wait, from 1; None when it does not wait.
        progress: what its worker told last, as JSON-ready data.
        error: why it failed, or the last attempt did, in the shape of `HoldfastError.to_dict`.
        cancelling: it is to end; its worker has been told, or will be.
        version: grows with every change of any job.
    """

    id: str
    kind: str
    owner: str
    priority: int
    state: JobState
    created: float
    started: float | None
    finished: float | None
    failures: int
    position: int | None
    progress: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    cancelling: bool
    version: int

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINISHED


class Claim(NamedTuple):
    """A job that a worker has taken, until its lease ends.

    Attributes:
        fence: grows with every claim: who has an old one can change nothing any more.
        failures: attempts that ended badly before this one.
    """

    id: str
    kind: str
    owner: str
    payload: Mapping[str, Any]
    fence: int
    failures: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        state: a finished one; or ``pending`` for another attempt, of which there are so many.
        progress: the last, to be kept.
        error: what was wrong, in the shape of `HoldfastError.to_dict`.
        counts: whether an attempt that is made again counts as one that failed.
    """

    state: JobState
    progress: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long finished jobs are kept, and how many.

    Attributes:
        age_s: seconds after their end.
        most: the newest so many, of each kind.
    """

    age_s: float = 24 * 3600.0
    most: int = 1000


class Ending(NamedTuple):
    """What becomes of a job at the end of an attempt.

    Attributes:
        state: that it has then.
        failures: attempts that ended badly, this one included.
        not_before: when the next one may begin.
        finished: when it was over; None where there is to be another attempt.
    """

    state: JobState
    failures: int
    not_before: float
    finished: float | None


def ending_of(
    outcome: Outcome, *, failures: int, most_failures: int, cancelling: bool, now: float
) -> Ending:
    """Say what becomes of a job: an attempt that is to be made again is, where that makes sense.

    Args:
        outcome: of the attempt.
        failures: attempts that ended badly before.
        most_failures: how many may.
        cancelling: nobody wants it any more.
        now: seconds since 1970, as the other times.
    """
    state = outcome.state
    failures += state is JobState.PENDING and outcome.counts
    if state is JobState.PENDING and cancelling:
        state = JobState.CANCELLED
    elif state is JobState.PENDING and failures >= most_failures:
        state = JobState.FAILURE
    not_before = now + _pause_s(failures) if outcome.counts else now
    return Ending(state, failures, not_before, now if state in FINISHED else None)


def _pause_s(failures: int) -> float:
    return float(min(_FIRST_PAUSE_S * 2.0 ** (max(failures, 1) - 1), _MOST_PAUSE_S))
