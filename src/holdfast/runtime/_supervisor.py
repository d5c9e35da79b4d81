"""Keeps every model provided and loaded, takes requests for them, and says what each is doing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from holdfast.errors import ConfigInvalid, HoldfastError
from holdfast.runtime._budget import Budget, Held, room_for
from holdfast.runtime._desk import Desk, Host
from holdfast.runtime._errors import ModelBusy, ModelFailed, ModelInUse, ShuttingDown, UnknownModel
from holdfast.runtime._hardware import Machine, check_device, this_machine
from holdfast.runtime._jobs import Batch, Job, Work
from holdfast.runtime._keeper import Keeper, close_host
from holdfast.runtime._slot import Backoff, Slot, not_ready_error
from holdfast.runtime._spec import ModelSpec
from holdfast.runtime._states import ModelState, ModelStatus

__all__ = ["Supervisor", "shutting_down"]

T = TypeVar("T")
_JOIN_S = 5.0


class Supervisor:
    """Owns the configured models, from `start` to `close`.

    Each model has a thread that provides, loads and watches it, and after a failure tries again
    with growing pauses; and, while it is loaded, threads that answer. Every method may be called
    from any thread.

    Args:
        specs: the models.
        backoff: pauses between attempts.
        budget: how much memory they may take together.

    Raises:
        ConfigInvalid: two models have one id, or a device is none.
    """

    def __init__(
        self,
        specs: Sequence[ModelSpec],
        *,
        backoff: Backoff | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._budget = budget or Budget()
        self._backoff = backoff or Backoff()
        self._changed = threading.Condition()
        self._loading = threading.Lock()  # room is made for one at a time
        self._closed = threading.Event()
        self._looking = threading.Lock()
        self.machine = Machine(None, None)  # not known until a model is about to be brought up
        self._refusing = False
        self._threads: list[threading.Thread] = []
        self._slots: dict[str, Slot] = {}
        self._keepers: dict[str, Keeper] = {}
        for spec in specs:
            self._add(spec)

    def _add(self, spec: ModelSpec) -> None:
        if spec.id in self._slots:
            raise ConfigInvalid(
                "two models have the same id", why=spec.id, hint="rename one of them"
            )
        check_device(spec.device)

        def lost(host: Host, error: HoldfastError) -> None:
            self._keepers[spec.id].lost(host, error)

        desk = Desk(
            spec.id,
            limit=spec.queue_limit,
            threads=1 if spec.isolate else spec.threads,
            max_batch=spec.max_batch,
            batch_wait_s=spec.batch_wait_s,
            on_lost=lost,
        )
        slot = self._slots[spec.id] = Slot(spec, desk, spec.device)
        self._keepers[spec.id] = Keeper(
            slot,
            self._changed,
            self._closed,
            self._look,
            self._backoff,
            self._make_room,
            self._check_room,
        )

    def _look(self) -> Machine:
        # Asking for GPUs starts a process: never with the lock held, or for somebody who waits.
        with self._looking:
            if self.machine.gpus is None:
                self.machine = this_machine()
            return self.machine

    def start(self) -> None:
        """Begin to provide and load what is preloaded, in the background."""
        for name, keeper in self._keepers.items():
            thread = threading.Thread(target=keeper.run, name=f"holdfast-model-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def refuse(self) -> None:
        """Take no more requests; those that are here are answered."""
        self._refusing = True

    @property
    def refusing(self) -> bool:
        """Whether no more requests are taken."""
        return self._refusing

    def drain(self, timeout_s: float) -> bool:
        """Take no more requests and wait for those that are here; return whether all ended."""
        self.refuse()
        deadline = time.monotonic() + timeout_s
        while any(any(slot.desk.counts()) for slot in self._slots.values()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def close(self) -> None:
        """End the background work and close the engines, the last loaded first.

        Requests that are still here end with an error. Work that does not report within seconds
        is left behind: its thread ends with the process.
        """
        self.refuse()
        with self._changed:
            self._closed.set()
            self._changed.notify_all()
        ending = shutting_down()
        deadline = time.monotonic() + _JOIN_S
        for slot in self._slots.values():
            slot.desk.refuse_waiting(ending)
            slot.desk.call_off_running()
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        for slot in reversed(self._slots.values()):
            with self._changed:
                host, slot.host = slot.host, None
            slot.desk.shut()
            if not slot.desk.await_quiet(max(deadline - time.monotonic(), 0)) and host is not None:
                host.kill()
            slot.desk.refuse_waiting(ending)
            close_host(slot.spec.id, host)

    def statuses(self) -> list[ModelStatus]:
        """Return what every model is doing, in the order of the configuration."""
        with self._changed:
            return [slot.status(self.machine) for slot in self._slots.values()]

    def status(self, model: str) -> ModelStatus:
        """Return what one model is doing.

        Raises:
            UnknownModel: there is no such model.
        """
        with self._changed:
            return self._slot(model).status(self.machine)

    def not_ready(self) -> list[ModelStatus]:
        """Return the preloaded models that are not ready; none of them: the service is ready.

        One that rests because nobody asked for anything counts as ready.
        """
        with self._changed:
            return [
                slot.status(self.machine) for slot in self._slots.values() if not _is_ready(slot)
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
                lambda: all(_is_ready(slot) for slot in self._slots.values()), timeout_s
            )

    def submit(self, model: str, work: Work[T] | Batch, *args: Any) -> Job[T]:
        """Hand ``work`` to a model: it is called with the engine and ``args``, on its threads.

        A model that is on its way is waited for, one that rests is loaded.

        Raises:
            UnknownModel: there is no such model.
            ModelNotReady: it has failed, or was unloaded by a person.
            ModelBusy: too many requests wait for it.
            ShuttingDown: the service is ending.
        """
        with self._changed:  # until it is in the queue nobody lets the model rest
            slot = self._expected(model)
            job: Job[T] = Job(work, args, slot.spec.limits, self._too_late(slot))
            slot.desk.put(job)
        return job

    def expect(self, model: str) -> None:
        """Say now if `submit` would be refused, and load the model if it rests.

        Raises:
            HoldfastError: as `submit`.
        """
        with self._changed:
            self._expected(model)

    def _expected(self, model: str) -> Slot:
        slot = self._slot(model)
        if self._refusing:
            raise shutting_down()
        if slot.resting and not slot.wanted:
            slot.wanted, slot.next_try = True, 0.0
            self._changed.notify_all()
        if not slot.wanted or slot.state is ModelState.FAILED:
            raise not_ready_error(slot.status(self.machine))
        return slot

    def ask(self, model: str, work: Work[T] | Batch, *args: Any) -> T:
        """Return what ``work`` returns, once the model has done it.

        Raises:
            HoldfastError: as `submit`, or what the work raised.
        """
        return self.submit(model, work, *args).result()

    def is_isolated(self, model: str) -> bool:
        """Return whether a model runs in a process of its own.

        Raises:
            UnknownModel: there is no such model.
        """
        return self._slot(model).spec.isolate

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
            return slot.status(self.machine)

    def unload(self, model: str) -> ModelStatus:
        """Take ``model`` out of memory, until `load`. While it is in use nothing changes.

        Raises:
            UnknownModel: there is no such model.
            ModelInUse: it is answering, or is about to.
        """
        with self._changed:
            slot = self._slot(model)
            counts = slot.desk.counts()
            if any(counts):
                raise ModelInUse(
                    f"{model} cannot be unloaded",
                    why=f"it is answering {counts.running} request(s), and {counts.waiting} wait",
                    hint="try again when they are done",
                )
            host = None
            if slot.state in {ModelState.READY, ModelState.FAILED}:
                host = slot.rest()
            slot.wanted, slot.resting = False, False
            self._changed.notify_all()
            status = slot.status(self.machine)
        close_host(model, host)
        return status

    def _slot(self, model: str) -> Slot:
        try:
            return self._slots[model]
        except KeyError:
            raise UnknownModel(
                f"there is no model {model!r}",
                why=f"configured are: {', '.join(self._slots) or 'none'}",
                hint="see /models",
            ) from None

    def _too_late(self, slot: Slot) -> Callable[[], HoldfastError]:
        def error() -> HoldfastError:
            with self._changed:
                status = slot.status(self.machine)
            if status.state is not ModelState.READY:
                return not_ready_error(status)
            return ModelBusy(
                f"{slot.spec.id} had no time for this request",
                why=f"it waited {slot.spec.limits.wait_s:g} s behind others",
                hint="try again after the time in Retry-After",
                retry_after_s=5,
            )

        return error

    def _make_room(self, slot: Slot) -> None:
        with self._loading, self._changed:
            victims = self._victims(slot)
            slot.granted = True
            hosts = [(name, self._slots[name].rest()) for name in victims]
            self._changed.notify_all()
        for name, host in hosts:
            close_host(name, host)

    def _check_room(self, slot: Slot) -> None:
        with self._changed:
            self._victims(slot)

    def _victims(self, slot: Slot) -> list[str]:
        """Return what must be unloaded for a model; raises if that is not enough."""
        held = [
            Held(other.spec.id, other.expected_mb, other.desk.last_used,
                 other.state is not ModelState.READY or any(other.desk.counts()))
            for other in self._slots.values()
            if other is not slot and other.granted
        ]  # fmt: skip
        return room_for(slot.spec.id, slot.expected_mb, held, self._budget)


def shutting_down() -> ShuttingDown:
    """Return what to say to new work while the service ends."""
    return ShuttingDown(
        "the service is ending", why="it was told to", hint="try again in a moment",
        retry_after_s=5,
    )  # fmt: skip


def _is_ready(slot: Slot) -> bool:
    resting = slot.resting and slot.state is ModelState.IDLE
    return not slot.spec.preload or slot.state is ModelState.READY or resting
