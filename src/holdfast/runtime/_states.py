"""The states of a model and the ways between them.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.events import Event, Progress

__all__ = ["ErrorInfo", "ModelState", "ModelStatus", "Transfer", "check_move", "transfer_of"]


class ModelState(StrEnum):
    """What a model is doing.

    ``absent``: nothing was done yet. ``idle``: it was ready and has been unloaded. ``failed``: the
    last attempt, or the engine, ended with an error; another attempt follows unless the error
    cannot pass by itself.
    """

    ABSENT = "absent"
    FETCHING = "fetching"
    VERIFYING = "verifying"
    CONVERTING = "converting"
    LOADING = "loading"
    READY = "ready"
    IDLE = "idle"
    FAILED = "failed"


_WORK = (ModelState.FETCHING, ModelState.VERIFYING, ModelState.CONVERTING, ModelState.LOADING)
_NEXT: Mapping[ModelState, frozenset[ModelState]] = {
    ModelState.ABSENT: frozenset({ModelState.FETCHING}),
    # Each step of the work may be followed by any later one, by failure, or by being called off.
    **{
        step: frozenset(
            {*_WORK[index + 1 :], ModelState.FAILED, ModelState.IDLE}
            | ({ModelState.READY} if step is ModelState.LOADING else set())
        )
        for index, step in enumerate(_WORK)
    },
    ModelState.READY: frozenset({ModelState.IDLE, ModelState.FAILED}),
    ModelState.IDLE: frozenset({ModelState.FETCHING}),
    ModelState.FAILED: frozenset({ModelState.FETCHING, ModelState.IDLE}),
}


def check_move(before: ModelState, after: ModelState) -> ModelState:
    """Return ``after`` if it may follow ``before``.

    Raises:
        ValueError: it may not; a mistake in the program.
    """
    if after not in _NEXT[before]:
        raise ValueError(f"a model cannot go from {before} to {after}")
    return after


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far fetching has come. ``seconds_left`` is None until it can be told."""

    bytes: int
    bytes_total: int
    seconds_left: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        left = None if self.seconds_left is None else round(self.seconds_left, 1)
        return {"bytes": self.bytes, "bytes_total": self.bytes_total, "seconds_left": left}


def transfer_of(event: Event, before: Transfer | None) -> Transfer | None:
    """Return how far fetching has come once ``event`` has happened."""
    if isinstance(event, Progress):
        return Transfer(event.done, event.total, event.seconds_left)
    return before


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why an attempt failed. ``retry`` tells whether trying again may help."""

    code: str
    message: str
    hint: str
    retry: bool

    @classmethod
    def of(cls, error: BaseException, *, retry: bool) -> ErrorInfo:
        """Describe ``error``; one that is not ours shows its class."""
        if isinstance(error, HoldfastError):
            return cls(error.code, str(error), error.hint, retry)
        message = f"{type(error).__name__}: {error}"
        return cls("unexpected", message, "see the log for where it happened", retry)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One model at one moment.

    Attributes:
        revision: the commit, once it is known; what was asked for until then.
        licence: as the model states it, once it is here; as its description does until then.
        device: where it runs or would run.
        memory_mb: what loading it added to this process, in MB; None where that cannot be measured.
        load_s: seconds that loading took, the last time.
        error: why the last attempt failed; kept while another is made.
        next_try_s: seconds until the next attempt, for a failed model that is tried again.
        needs: what the hardware must have, and whether it has.
        isolated: it runs in a process of its own.
        waiting: requests in its queue.
        running: requests that it is answering.
        about: what it can do, such as its languages or voices; empty until it was loaded once.
    """

    id: str
    task: str
    repository: str
    revision: str
    licence: str
    state: ModelState
    device: str
    progress: Transfer | None = None
    memory_mb: float | None = None
    load_s: float | None = None
    error: ErrorInfo | None = None
    next_try_s: float | None = None
    needs: Mapping[str, Any]
    isolated: bool = False
    waiting: int = 0
    running: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "id": self.id,
            "task": self.task,
            "repository": self.repository,
            "revision": self.revision,
            "licence": self.licence,
            "state": str(self.state),
            "progress": self.progress.to_dict() if self.progress else None,
            "device": self.device,
            "memory_mb": self.memory_mb,
            "load_s": self.load_s,
            "error": self.error.to_dict() if self.error else None,
            "next_try_s": None if self.next_try_s is None else round(self.next_try_s, 1),
            "hardware": dict(self.needs),
            "isolated": self.isolated,
            "requests": {"waiting": self.waiting, "running": self.running},
            "about": dict(self.about),
        }
