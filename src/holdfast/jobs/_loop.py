"""Doing jobs one after another: taking them, keeping their leases, ending what nobody wants."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.jobs._errors import JobFailed, JobLost, JobStorageFailed, UnknownJob
from holdfast.jobs._model import Claim, JobState, Outcome
from holdfast.jobs._store import JobStore, Limits

__all__ = ["Attempt", "JobCalledOff", "do_jobs"]

_log = logging.getLogger(__name__)
_LOOK_S = 0.2
# How often it is looked whether the job is still wanted, and told how far it is.
_HEART_S = 0.3
_TELL_S = 0.5
# What is called off and has not ended so long after will not by itself.
_PATIENCE_S = 1.0
_USUAL = Limits()


class JobCalledOff(BaseException):
    """Nobody wants the job any more. Not an Exception: nothing may take it for one."""


class Attempt:
    """One attempt at a job, for who does it.

    Args:
        store: has the job.
        claim: of it.
        lease_s: for how long a sign of life counts.
        stuck: called, from another thread, when it does not end although it was called off; may end
            the process.
    """

    def __init__(
        self, store: JobStore, claim: Claim, lease_s: float, stuck: Callable[[Claim], None]
    ) -> None:
        self.claim = claim
        self.cancelled = False
        self._store = store
        self._lease_s = lease_s
        self._stuck = stuck
        self._lost = False
        self._over = threading.Event()
        self._progress: Mapping[str, Any] = {}
        self._told: Mapping[str, Any] = {}

    def tell(self, progress: Mapping[str, Any]) -> None:
        """Say how far it is, as JSON-ready data.

        Raises:
            JobCalledOff: as `check`.
        """
        self._progress = progress
        self.check()

    @property
    def progress(self) -> Mapping[str, Any]:
        """What was told last."""
        return self._progress

    def check(self) -> None:
        """Go on.

        Raises:
            JobCalledOff: the job was cancelled, or is somebody else's now.
        """
        if self.cancelled or self._lost:
            raise JobCalledOff

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """Give signs of life while the block runs."""
        heart = threading.Thread(target=self._beat, name="holdfast-heart", daemon=True)
        heart.start()
        try:
            yield
        finally:
            self._over.set()
            heart.join()

    def _beat(self) -> None:
        renewed = told = time.monotonic()
        called_off: float | None = None
        while not self._over.wait(_HEART_S):
            now = time.monotonic()
            news = self._progress is not self._told and now - told > _TELL_S
            try:
                if news or now - renewed > self._lease_s / 4:
                    progress = self._progress
                    self.cancelled |= self._store.beat(self.claim, self._lease_s, progress)
                    self._told, renewed, told = progress, now, now
                elif not self.cancelled:
                    self.cancelled = self._store.status(self.claim.id).cancelling
            except (JobLost, UnknownJob):
                self._lost = True
            except JobStorageFailed as error:
                _log.warning("job %s: no sign of life could be given: %s", self.claim.id, error)
                self._lost |= now - renewed > self._lease_s
            if self.cancelled or self._lost:
                called_off = called_off or now
                if now - called_off > _PATIENCE_S:
                    self._stuck(self.claim)
                    return


def do_jobs(
    store: JobStore,
    worker: str,
    kinds: Sequence[str],
    do: Callable[[Attempt], Outcome],
    ended: threading.Event,
    *,
    lease_s: float = 20.0,
    limits: Limits = _USUAL,
    stuck: Callable[[Claim], None] = lambda _: None,
    after: Callable[[], None] = lambda: None,
    idle: Callable[[float], object] | None = None,
) -> None:
    """Do jobs until ``ended`` is set; the one that is being done then is finished.

    Args:
        store: has them.
        worker: who does them; unique.
        kinds: that ``do`` can do.
        do: does one. A `HoldfastError` is the job's failure; any other exception, and
            `JobStorageFailed`, is a reason to try again.
        ended: when to end.
        lease_s: after how long without a sign of life another may take a job.
        limits: of which ``running_of_owner`` counts.
        stuck: see `Attempt`.
        after: called after each job.
        idle: waits for so many seconds, or until there may be something to do.
    """
    idle = idle or ended.wait
    while not ended.is_set():
        try:
            claim = store.claim(worker, kinds, lease_s, limits)
        except JobStorageFailed as error:
            _log.warning("%s", error)
            ended.wait(5.0)
            continue
        if claim is None:
            idle(_LOOK_S)
            continue
        attempt = Attempt(store, claim, lease_s, stuck)
        with attempt.alive():
            outcome = _outcome_of(do, attempt)
            _finish(store, claim, outcome, lease_s)
        after()


def _outcome_of(do: Callable[[Attempt], Outcome], attempt: Attempt) -> Outcome:
    try:
        return do(attempt)
    except JobCalledOff:
        return Outcome(JobState.CANCELLED, attempt.progress)
    except JobStorageFailed as error:
        return Outcome(JobState.PENDING, error=error.to_dict())
    except HoldfastError as error:
        return Outcome(JobState.FAILURE, attempt.progress, error.to_dict())
    except Exception as error:  # noqa: BLE001 - the attempt's failure; the next job is another one
        _log.exception("job %s failed", attempt.claim.id)
        told = JobFailed(
            "the job failed", why=f"{type(error).__name__}: {error}",
            hint="the service's log says where",
        )  # fmt: skip
        return Outcome(JobState.PENDING, error=told.to_dict())


def _finish(store: JobStore, claim: Claim, outcome: Outcome, lease_s: float) -> None:
    """Say how it ended; where that cannot be kept, another does it again once the lease is over."""
    deadline = time.monotonic() + lease_s
    while True:
        try:
            store.finish(claim, outcome)
            return
        except JobLost:
            _log.warning("job %s was done in vain: somebody else has it", claim.id)
            return
        except JobStorageFailed as error:
            if time.monotonic() > deadline:
                _log.error("job %s: its end could not be kept: %s", claim.id, error)
                return
            time.sleep(0.5)
