"""The thread that brings one model up, keeps it up, and lets it rest."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.chance import chance
from holdfast.errors import ConfigInvalid, HoldfastError, MissingExtra
from holdfast.events import Event, Notice
from holdfast.runtime._desk import Host, Local
from holdfast.runtime._errors import (
    CalledOff,
    EngineHung,
    HardwareMissing,
    LicenceRefused,
    MemoryBudgetTooSmall,
)
from holdfast.runtime._hardware import Machine, choose_device, process_memory_mb
from holdfast.runtime._jobs import Unhurried
from holdfast.runtime._slot import Backoff, Slot, not_ready_error
from holdfast.runtime._states import ModelState, transfer_of
from holdfast.runtime._worker import Worker

__all__ = ["Keeper", "close_host"]

_log = logging.getLogger(__name__)
# No later attempt can end otherwise while the process lives.
_FINAL = (ConfigInvalid, MissingExtra, HardwareMissing, LicenceRefused, MemoryBudgetTooSmall)
_WATCH_S = 1.0
# What has not ended so long after its time will not end by itself.
_HUNG_AFTER_S = 5.0


class Keeper:
    """Works on one slot until the supervisor closes.

    Args:
        slot: the model.
        changed: the supervisor's lock, told of every change.
        closed: set when all is to end; read with the lock held.
        machine: what there is.
        backoff: pauses between attempts.
        make_room: unloads other models until this one fits, or raises.
        check_room: raises if that would not be possible, or never will be.
    """

    def __init__(
        self,
        slot: Slot,
        changed: threading.Condition,
        closed: threading.Event,
        machine: Callable[[], Machine],
        backoff: Backoff,
        make_room: Callable[[Slot], None],
        check_room: Callable[[Slot], None],
    ) -> None:
        self._slot = slot
        self._changed = changed
        self._closed = closed
        self._machine = machine
        self._backoff = backoff
        self._make_room = make_room
        self._check_room = check_room
        self._seen = Machine(None, None)

    def run(self) -> None:
        """Bring the model up when it is wanted, and look after it while it is there."""
        slot = self._slot
        while True:
            with self._changed:
                while not self._closed.is_set() and (pause := slot.pause_s()) != 0:
                    ready = slot.state is ModelState.READY
                    self._changed.wait(_WATCH_S if ready else pause)
                    if slot.state is ModelState.READY:
                        break
                if self._closed.is_set():
                    return
                bring_up = slot.state is not ModelState.READY
                if bring_up:
                    self._move(ModelState.FETCHING)
                    slot.transfer = None
            if bring_up:
                self._try()
            else:
                self._look_after()

    def _try(self) -> None:
        try:
            self._bring_up()
        except CalledOff:
            with self._changed:
                self._move(ModelState.IDLE)
        except BaseException as error:  # noqa: BLE001 - the model's failure; a thread has no other
            self._failed(error)

    def _bring_up(self) -> None:
        slot, spec = self._slot, self._slot.spec
        self._seen = machine = self._machine()
        lacking = spec.needs.lacking(machine)
        if lacking:
            raise HardwareMissing(
                f"{spec.id} cannot run on this machine", why=lacking,
                hint="leave it out, or run it where there is more",
            )  # fmt: skip
        device = choose_device(spec.device, spec.devices, machine)
        with self._changed:
            slot.device = device
        self._check_room(slot)  # before gigabytes are fetched or hashed for nothing

        def report(event: Event) -> None:
            with self._changed:
                self._check_wanted()
                slot.transfer = transfer_of(event, slot.transfer)
            if isinstance(event, Notice):
                level = logging.WARNING if event.level == "warning" else logging.INFO
                _log.log(level, "%s: %s", spec.id, event.message)

        provided = spec.provide(report)
        with self._changed:
            slot.revision = provided.revision
            slot.licence = provided.licence or spec.licence
        if spec.verify is not None:
            self._step(ModelState.VERIFYING)
            spec.verify(provided, report)
        folder = provided.folder
        if spec.convert is not None:
            self._step(ModelState.CONVERTING)
            folder = spec.convert(folder)
        self._step(ModelState.LOADING)
        self._make_room(slot)
        started, before = time.monotonic(), process_memory_mb()
        host: Host
        if spec.isolate:
            host = Worker(spec.id, spec.load, folder, device, self.lost)
            memory_mb = host.memory_mb
        else:
            engine = spec.load(folder, device)
            host = Local(engine)
            after = process_memory_mb()
            memory_mb = None if before is None or after is None else max(after - before, 0.0)
            # One that lives in processes of its own knows better.
            memory_mb = getattr(engine, "memory_mb", memory_mb)
        seconds = time.monotonic() - started
        about = self._told_of(host)
        if self._kept(host, seconds, memory_mb, about):
            _log.info("%s is ready: loaded from %s in %.2f s", spec.id, folder, seconds)
            if isinstance(host, Worker):
                host.watch()  # one that has died meanwhile is lost now, not before it was there
        else:
            close_host(spec.id, host)

    def _told_of(self, host: Host) -> Mapping[str, Any]:
        """Return what a loaded engine can do."""
        describe = self._slot.spec.describe
        if describe is None:
            return {}
        try:
            return dict(host.perform(describe, (), Unhurried()))
        except BaseException:
            close_host(self._slot.spec.id, host)
            raise

    def _kept(
        self, host: Host, seconds: float, memory_mb: float | None, about: Mapping[str, Any]
    ) -> bool:
        slot = self._slot
        with self._changed:
            if not slot.wanted or self._closed.is_set():
                self._move(ModelState.IDLE)
                return False
            slot.host = host
            slot.load_s = round(seconds, 3)
            slot.about = about
            slot.memory_mb = None if memory_mb is None else round(memory_mb, 1)
            slot.error, slot.failure = None, None
            self._move(ModelState.READY)
            slot.desk.open(host)
            return True

    def _look_after(self) -> None:
        """Let an unused model rest, and see whether one hangs."""
        slot = self._slot
        if slot.desk.overdue_s() > _HUNG_AFTER_S:
            self._hung()
            return
        rest_after = slot.spec.idle_unload_s
        with self._changed:
            if slot.state is not ModelState.READY:
                return
            counts = slot.desk.counts()
            quiet = time.monotonic() - slot.desk.last_used
            if counts.running == 0 and slot.failures and quiet > self._backoff.most_s:
                slot.failures = 0  # it has been well for long: the next failure is a first one
            if rest_after is None or any(counts) or quiet < rest_after:
                return
            host = slot.rest()
            self._changed.notify_all()
        _log.info("%s rests: nobody asked for anything in %.0f s", slot.spec.id, rest_after)
        close_host(slot.spec.id, host)

    def _hung(self) -> None:
        slot = self._slot
        host = slot.host
        if host is None:
            return
        isolated = host.kill()
        error = EngineHung(
            f"{slot.spec.id} hangs",
            why=f"a request went on for {_HUNG_AFTER_S:.0f} s after its time was over",
            hint="it is being loaded anew"
            + (
                "" if isolated else f"; isolate = true for {slot.spec.id} lets it be ended for good"
            ),
            retry_after_s=1,
        )
        self.lost(host, error)
        slot.desk.forget_overdue()

    def lost(self, host: Host, error: HoldfastError) -> None:
        """The engine is gone or of no use: load it anew, after a pause."""
        slot = self._slot
        with self._changed:
            if slot.host is not host:
                return  # known already
            slot.desk.shut()
            pause = self._backoff.after(slot.failures + 1, chance())
            slot.fail(error, pause)
            self._changed.notify_all()
        _log.error("%s is loaded anew in %.0f s: %s", slot.spec.id, pause, error)
        if isinstance(host, Worker):
            close_host(slot.spec.id, host)

    def _failed(self, error: BaseException) -> None:
        slot = self._slot
        with self._changed:
            retry = not isinstance(error, _FINAL)
            pause = self._backoff.after(slot.failures + 1, chance())
            slot.fail(error, pause if retry else math.inf)
            status = slot.status(self._seen)
            self._changed.notify_all()
        slot.desk.refuse_waiting(not_ready_error(status))
        ours = isinstance(error, HoldfastError)
        then = f"trying again in {pause:.0f} s" if retry else "not tried again"
        _log.warning("%s failed (%s): %s", slot.spec.id, then, error, exc_info=not ours)

    def _step(self, state: ModelState) -> None:
        with self._changed:
            self._check_wanted()
            self._move(state)

    def _check_wanted(self) -> None:
        if self._closed.is_set() or not self._slot.wanted:
            raise CalledOff

    def _move(self, state: ModelState) -> None:
        self._slot.move(state)
        self._changed.notify_all()


def close_host(model: str, host: Host | None) -> None:
    """Close an engine; one that cannot be closed must not keep the others open."""
    if host is None:
        return
    try:
        host.close()
    except Exception:  # noqa: BLE001 - logged, and there is nothing else to do about it
        _log.exception("%s could not be closed", model)
