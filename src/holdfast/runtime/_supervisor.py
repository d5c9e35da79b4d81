"""Keeps every model provided and loaded, and says what each is doing."""

from __future__ import annotations

import contextlib
import logging
import math
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.errors import ConfigInvalid, HoldfastError, MissingExtra
from holdfast.events import Event, Notice
from holdfast.runtime._hardware import process_memory_mb, this_machine
from holdfast.runtime._spec import (
    Engine,
    ModelFailed,
    ModelInUse,
    ModelNotReady,
    ModelSpec,
    UnknownModel,
)
from holdfast.runtime._states import (
    ErrorInfo,
    ModelState,
    ModelStatus,
    Transfer,
    check_move,
    transfer_of,
)

__all__ = ["Backoff", "Supervisor", "retry_after_s"]

_log = logging.getLogger(__name__)
_JOIN_S = 5.0
_SOON_S = 1.0
# No later attempt can end otherwise while the process lives.
_FINAL = (ConfigInvalid, MissingExtra)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts: doubling from ``first_s`` to ``most_s``, a quarter of it chance."""

    first_s: float = 1.0
    most_s: float = 60.0

    def after(self, failures: int, chance: float = 0.5) -> float:
        """Return the pause after so many failures; ``chance`` is between 0 and 1."""
        pause = min(self.first_s * 2.0 ** (min(failures, 32) - 1), self.most_s)
        return pause * (0.875 + 0.25 * chance)


class _CalledOff(BaseException):
    """The work is no longer wanted. Not an Exception: nothing on the way may take it for one."""


class _Slot:
    """What is known of one model. Changed only with the supervisor's lock held."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.state = ModelState.ABSENT
        self.wanted = spec.preload
        self.revision = spec.revision
        self.engine: Engine | None = None
        self.users = 0
        self.transfer: Transfer | None = None
        self.error: ErrorInfo | None = None
        self.failure: Exception | None = None
        self.failures = 0
        self.next_try = 0.0  # by the monotonic clock; infinity: not by itself
        self.memory_mb: float | None = None
        self.load_s: float | None = None


class Supervisor:
    """Owns the configured models, from `start` to `close`.

    Each model has one thread, which provides and loads it, and after a failure tries again with
    growing pauses. Every method may be called from any thread.
    """

    def __init__(self, specs: Sequence[ModelSpec], *, backoff: Backoff | None = None) -> None:
        self._backoff = backoff or Backoff()
        self._machine = this_machine()
        self._changed = threading.Condition()
        self._slots = {spec.id: _Slot(spec) for spec in specs}
        self._threads: list[threading.Thread] = []
        self._closed = False
        if len(self._slots) != len(specs):
            raise ConfigInvalid(
                "two models have the same id",
                why=", ".join(spec.id for spec in specs),
                hint="rename one of them",
            )

    def start(self) -> None:
        """Begin to provide and load what is preloaded, in the background."""
        for slot in self._slots.values():
            name = f"holdfast-model-{slot.spec.id}"
            thread = threading.Thread(target=self._keep, args=(slot,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """End the background work and close the engines, the last loaded first.

        Work that does not report within seconds is left behind: its thread ends with the process.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        deadline = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        for slot in reversed(self._slots.values()):
            with self._changed:
                engine, slot.engine = slot.engine, None
            _close(slot.spec.id, engine)

    def statuses(self) -> list[ModelStatus]:
        """Return what every model is doing, in the order of the configuration."""
        with self._changed:
            return [self._status(slot) for slot in self._slots.values()]

    def not_ready(self) -> list[ModelStatus]:
        """Return the preloaded models that are not ready; none of them: the service is ready."""
        with self._changed:
            return [
                self._status(slot)
                for slot in self._slots.values()
                if slot.spec.preload and slot.state is not ModelState.READY
            ]

    def failure(self) -> HoldfastError | None:
        """Return why the first preloaded model that failed did so; None while none has."""
        with self._changed:
            failed = (slot for slot in self._slots.values() if slot.spec.preload and slot.failure)
            slot = next(failed, None)
        failure = slot.failure if slot is not None else None
        if slot is None or failure is None:
            return None
        if isinstance(failure, HoldfastError):
            return failure
        wrapped = ModelFailed(
            f"{slot.spec.id} cannot be loaded",
            why=f"{type(failure).__name__}: {failure}",
            hint="holdfast --verbose shows where it happened",
        )
        wrapped.__cause__ = failure
        return wrapped

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until every preloaded model is ready; return whether that came true in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: all(
                    slot.state is ModelState.READY
                    for slot in self._slots.values()
                    if slot.spec.preload
                ),
                timeout_s,
            )

    @contextlib.contextmanager
    def use(self, model: str) -> Iterator[Any]:
        """Give the engine of ``model``; it stays loaded while the block runs.

        Raises:
            UnknownModel: there is no such model.
            ModelNotReady: it is not loaded; the error says what it is doing.
        """
        with self._changed:
            slot = self._slot(model)
            if slot.engine is None:
                raise _not_ready(self._status(slot))
            slot.users += 1
            engine = slot.engine
        try:
            yield engine
        finally:
            with self._changed:
                slot.users -= 1
                self._changed.notify_all()

    def load(self, model: str) -> ModelStatus:
        """Have ``model`` loaded, in the background, without waiting for a pause to end.

        Raises:
            UnknownModel: there is no such model.
        """
        with self._changed:
            slot = self._slot(model)
            slot.wanted = True
            slot.next_try = 0.0
            self._changed.notify_all()
            return self._status(slot)

    def unload(self, model: str) -> ModelStatus:
        """Take ``model`` out of memory. While it is in use nothing changes.

        Raises:
            UnknownModel: there is no such model.
            ModelInUse: it is answering.
        """
        with self._changed:
            slot = self._slot(model)
            if slot.users:
                raise ModelInUse(
                    f"{model} cannot be unloaded",
                    why=f"it is answering {slot.users} request(s)",
                    hint="try again when they are done",
                )
            slot.wanted = False
            engine, slot.engine = slot.engine, None
            if slot.state in {ModelState.READY, ModelState.FAILED}:
                self._move(slot, ModelState.IDLE)
                slot.memory_mb = None
            status = self._status(slot)
        _close(model, engine)
        return status

    def _slot(self, model: str) -> _Slot:
        try:
            return self._slots[model]
        except KeyError:
            raise UnknownModel(
                f"there is no model {model!r}",
                why=f"configured are: {', '.join(self._slots) or 'none'}",
                hint="see /models",
            ) from None

    def _status(self, slot: _Slot) -> ModelStatus:
        spec = slot.spec
        waiting = slot.state is ModelState.FAILED and math.isfinite(slot.next_try)
        left = max(slot.next_try - time.monotonic(), 0.0) if waiting else None
        return ModelStatus(
            id=spec.id,
            task=spec.task,
            repository=spec.repository,
            revision=slot.revision,
            licence=spec.licence,
            state=slot.state,
            device=spec.device,
            progress=slot.transfer if slot.state is ModelState.FETCHING else None,
            memory_mb=slot.memory_mb,
            load_s=slot.load_s,
            error=slot.error,
            next_try_s=left,
            needs=spec.needs.on(self._machine),
        )

    def _keep(self, slot: _Slot) -> None:
        """Work on one model until the supervisor closes."""
        while True:
            with self._changed:
                while not self._closed and (pause := _pause_before(slot)) != 0:
                    self._changed.wait(pause)
                if self._closed:
                    return
                self._move(slot, ModelState.FETCHING)
                slot.transfer = None
            try:
                self._bring_up(slot)
            except _CalledOff:
                with self._changed:
                    self._move(slot, ModelState.IDLE)
            except Exception as error:  # noqa: BLE001 - it is the model's failure, not the service's
                self._failed(slot, error)

    def _bring_up(self, slot: _Slot) -> None:
        spec = slot.spec

        def report(event: Event) -> None:
            with self._changed:
                self._check_wanted(slot)
                slot.transfer = transfer_of(event, slot.transfer)
            if isinstance(event, Notice):
                level = logging.WARNING if event.level == "warning" else logging.INFO
                _log.log(level, "%s: %s", spec.id, event.message)

        provided = spec.provide(report)
        with self._changed:
            slot.revision = provided.revision
        if spec.verify is not None:
            self._step(slot, ModelState.VERIFYING)
            spec.verify(provided, report)
        folder = provided.folder
        if spec.convert is not None:
            self._step(slot, ModelState.CONVERTING)
            folder = spec.convert(folder)
        self._step(slot, ModelState.LOADING)
        started, before = time.monotonic(), process_memory_mb()
        engine = spec.load(folder, spec.device)
        seconds, after = time.monotonic() - started, process_memory_mb()
        with self._changed:
            kept = slot.wanted and not self._closed
            if kept:
                slot.engine = engine
                slot.load_s = round(seconds, 3)
                if before is not None and after is not None:
                    slot.memory_mb = round(max(after - before, 0.0), 1)
                slot.error, slot.failure, slot.failures = None, None, 0
            self._move(slot, ModelState.READY if kept else ModelState.IDLE)
        if kept:
            _log.info("%s is ready: loaded from %s in %.2f s", spec.id, folder, seconds)
        else:
            _close(spec.id, engine)

    def _step(self, slot: _Slot, state: ModelState) -> None:
        with self._changed:
            self._check_wanted(slot)
            self._move(slot, state)

    def _check_wanted(self, slot: _Slot) -> None:
        if self._closed or not slot.wanted:
            raise _CalledOff

    def _move(self, slot: _Slot, state: ModelState) -> None:
        slot.state = check_move(slot.state, state)
        self._changed.notify_all()

    def _failed(self, slot: _Slot, error: Exception) -> None:
        with self._changed:
            slot.failures += 1
            retry = not isinstance(error, _FINAL)
            slot.error, slot.failure = ErrorInfo.of(error, retry=retry), error
            pause = self._backoff.after(slot.failures, random.random())  # noqa: S311 - a pause
            slot.next_try = time.monotonic() + pause if retry else math.inf
            self._move(slot, ModelState.FAILED)
        ours = isinstance(error, HoldfastError)
        then = f"trying again in {pause:.0f} s" if retry else "not tried again"
        _log.warning("%s failed (%s): %s", slot.spec.id, then, error, exc_info=not ours)


def _pause_before(slot: _Slot) -> float | None:
    """Return the seconds until there is something to do, None for until something changes."""
    if not slot.wanted or slot.state is ModelState.READY or math.isinf(slot.next_try):
        return None
    return max(slot.next_try - time.monotonic(), 0.0)


def _close(model: str, engine: Engine | None) -> None:
    if engine is None:
        return
    try:
        engine.close()
    except Exception:  # noqa: BLE001 - one that cannot be closed must not keep the others open
        _log.exception("%s could not be closed", model)


def _not_ready(status: ModelStatus) -> ModelNotReady:
    reason = f"it is {status.state}"
    if status.error is not None:
        reason += f"; the last attempt failed: {status.error.message}"
    return ModelNotReady(
        f"{status.id} cannot answer yet",
        why=reason,
        hint="see /models",
        retry_after_s=retry_after_s([status]),
    )


def retry_after_s(statuses: Sequence[ModelStatus]) -> int:
    """Return the whole seconds after which asking again makes sense."""
    waits = [_SOON_S]
    for status in statuses:
        waits.append(status.next_try_s or 0.0)
        if status.progress is not None:
            waits.append(status.progress.seconds_left or 0.0)
    return min(math.ceil(max(waits)), 60)
