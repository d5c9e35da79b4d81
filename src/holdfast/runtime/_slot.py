"""What is known of one model, and the errors that say so."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.runtime._desk import Desk, Host
from holdfast.runtime._errors import ModelNotReady
from holdfast.runtime._hardware import Machine
from holdfast.runtime._spec import ModelSpec
from holdfast.runtime._states import ErrorInfo, ModelState, ModelStatus, Transfer, check_move

__all__ = ["Backoff", "Slot", "not_ready_error", "retry_after_s"]

_SOON_S = 1.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts: doubling from ``first_s`` to ``most_s``, a quarter of it chance."""

    first_s: float = 1.0
    most_s: float = 60.0

    def after(self, failures: int, chance: float = 0.5) -> float:
        """Return the pause after so many failures; ``chance`` is between 0 and 1."""
        pause = min(self.first_s * 2.0 ** (min(failures, 32) - 1), self.most_s)
        return pause * (0.875 + 0.25 * chance)


class Slot:
    """One model. Changed only with the supervisor's lock held; the desk has a lock of its own.

    Attributes:
        wanted: it is to be in memory; when unloaded by a person, not until a person loads it.
        resting: unloaded because nobody asked it for anything, or to make room; a request is
            enough to load it again, and readiness does not suffer.
    """

    def __init__(self, spec: ModelSpec, desk: Desk, device: str) -> None:
        self.spec = spec
        self.desk = desk
        self.device = device
        self.state = ModelState.ABSENT
        self.wanted = spec.preload
        self.resting = not spec.preload
        self.revision = spec.revision
        self.licence = spec.licence
        self.host: Host | None = None
        self.transfer: Transfer | None = None
        self.error: ErrorInfo | None = None
        self.failure: BaseException | None = None
        self.failures = 0
        self.next_try = 0.0  # by the monotonic clock; infinity: not by itself
        self.granted = False  # room was made for it
        self.memory_mb: float | None = None
        self.load_s: float | None = None
        self.about: Mapping[str, Any] = MappingProxyType({})  # as the engine told, the last time

    def move(self, state: ModelState) -> None:
        """Go to another state."""
        self.state = check_move(self.state, state)
        self.granted = self.granted and state in {ModelState.LOADING, ModelState.READY}

    def fail(self, error: BaseException, pause_s: float) -> None:
        """Note why an attempt or the engine failed; infinity: only a person can help."""
        self.failures += 1
        self.error, self.failure = ErrorInfo.of(error, retry=math.isfinite(pause_s)), error
        self.next_try = time.monotonic() + pause_s
        self.host, self.memory_mb = None, None
        self.move(ModelState.FAILED)

    def rest(self) -> Host | None:
        """Take the engine out; return it, to be closed. A request brings it back."""
        host, self.host = self.host, None
        self.wanted, self.resting, self.memory_mb = False, True, None
        self.desk.shut()
        self.move(ModelState.IDLE)
        return host

    @property
    def expected_mb(self) -> float:
        """MB that it takes in memory: as measured, and at least as its description says.

        Memory that was free within the process before makes the measured figure too small.
        """
        return max(self.memory_mb or 0.0, float(self.spec.needs.memory_mb))

    def pause_s(self) -> float | None:
        """Return the seconds until there is something to do, None for until something changes."""
        if not self.wanted or self.state is ModelState.READY or math.isinf(self.next_try):
            return None
        return max(self.next_try - time.monotonic(), 0.0)

    def status(self, machine: Machine) -> ModelStatus:
        """Return what it is doing."""
        spec = self.spec
        waiting = self.state is ModelState.FAILED and math.isfinite(self.next_try)
        counts = self.desk.counts()
        return ModelStatus(
            id=spec.id,
            task=spec.task,
            repository=spec.repository,
            revision=self.revision,
            licence=self.licence,
            state=self.state,
            device=self.device,
            progress=self.transfer if self.state is ModelState.FETCHING else None,
            memory_mb=self.memory_mb,
            load_s=self.load_s,
            error=self.error,
            about=self.about,
            next_try_s=max(self.next_try - time.monotonic(), 0.0) if waiting else None,
            needs=spec.needs.on(machine),
            isolated=spec.isolate,
            waiting=counts.waiting,
            running=counts.running,
        )


def not_ready_error(status: ModelStatus) -> HoldfastError:
    """Return what to say to a request that a model cannot answer now."""
    reason = f"it is {status.state}"
    progress = status.progress
    if progress is not None and progress.bytes_total:
        reason += f", {progress.bytes} of {progress.bytes_total} bytes are here"
    if status.error is not None:
        reason += f"; the last attempt failed: {status.error.message}"
    hint, when = "see /models", {"retry_after_s": retry_after_s([status])}
    if status.state is ModelState.IDLE:
        hint, when = f"POST /models/{status.id}/load", {}
    elif status.state is ModelState.FAILED and status.next_try_s is None:
        when = {}  # asking again helps as little as another attempt would
    return ModelNotReady(
        f"{status.id} cannot answer" + (" yet" if when else ""),
        why=reason,
        hint=hint,
        **when,
        state=str(status.state),
        progress=progress.to_dict() if progress is not None else None,
    )


def retry_after_s(statuses: Sequence[ModelStatus]) -> int:
    """Return the whole seconds after which asking again makes sense."""
    waits = [_SOON_S]
    for status in statuses:
        waits.append(status.next_try_s or 0.0)
        if status.progress is not None:
            waits.append(status.progress.seconds_left or 0.0)
    return min(math.ceil(max(waits)), 60)
