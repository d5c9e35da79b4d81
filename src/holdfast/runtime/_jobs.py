"""One request to an engine: what is to be done, until when, and whether anybody still wants it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from holdfast.errors import HoldfastError
from holdfast.runtime._errors import CalledOff, DeadlineExceeded

__all__ = [
    "Asked",
    "Batch",
    "Job",
    "Limits",
    "Together",
    "Unhurried",
    "Work",
    "check_wanted",
    "working_on",
]

T = TypeVar("T")
# A function of some module, so that it can be named to another process; the engine comes first.
Work = Callable[..., T]
_here = threading.local()
_LOOK_S = 0.1


class Batch(NamedTuple):
    """Work that is done for several requests at once: a list of items in, as many answers out."""

    run: Callable[[Any, list[Any]], Sequence[Any]]


class Limits(NamedTuple):
    """How long a request may take.

    Attributes:
        wait_s: seconds until it is begun, while the model loads or others are before it.
        run_s: seconds from then until it is answered.
    """

    wait_s: float = 30.0
    run_s: float = 300.0


class Asked(Protocol):
    """What is worked on: one job, or several at once."""

    @property
    def unwanted(self) -> bool:
        """Whether what works on it may stop."""

    def when_called_off(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called when nobody waits for it any more."""


class Job(Generic[T]):
    """A request on its way. Made by `Supervisor.submit`; may be waited for from any thread.

    Attributes:
        future: the answer.
        deadline: by the monotonic clock; infinity until it is begun.
    """

    def __init__(
        self,
        work: Work[T] | Batch,
        args: tuple[Any, ...],
        limits: Limits,
        too_late: Callable[[], HoldfastError],
    ) -> None:
        self.work = work
        self.args = args
        self.future: Future[T] = Future()
        self.deadline = math.inf
        self._limits = limits
        self._start_by = time.monotonic() + limits.wait_s
        self._too_late = too_late
        self._stop = threading.Event()
        self._told: list[Callable[[], None]] = []

    def begin(self) -> bool:
        """Take the job up; return whether anybody still wants it."""
        if not self.future.set_running_or_notify_cancel():
            return False
        self.deadline = time.monotonic() + self._limits.run_s
        return True

    @property
    def unwanted(self) -> bool:
        """Whether what works on it may stop."""
        return self._stop.is_set() or time.monotonic() > self.deadline

    def call_off(self) -> None:
        """Say that nobody waits for the answer any more."""
        if not self.future.cancel() and self.future.done():
            return
        self._stop.set()
        for tell in tuple(self._told):
            tell()

    def when_called_off(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called when the job is called off; at once when it has been."""
        self._told.append(tell)
        if self._stop.is_set():
            tell()

    def end(self, answer: T) -> None:
        """Give the answer, unless it is too late for that."""
        with suppress(InvalidStateError):
            self.future.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Say why there will be no answer, unless it is too late for that."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)

    def patience_s(self) -> float:
        """Return the seconds until the next limit: to be begun, or to be answered."""
        limit = self.deadline if math.isfinite(self.deadline) else self._start_by
        return limit - time.monotonic()

    def give_up(self) -> HoldfastError:
        """Call the job off because a limit has passed; return the error that says which."""
        begun = not self.future.cancel()
        self.call_off()
        return self.stopped() if begun else self._too_late()

    def stopped(self) -> DeadlineExceeded:
        """Return what to say of a job that was ended in its midst."""
        over = time.monotonic() > self.deadline
        return DeadlineExceeded(
            "the model did not answer in time" if over else "the request was called off",
            why=f"{self._limits.run_s:g} s had passed since it began"
            if over else "its client left, or the service is ending",
            hint="send less at a time, or raise the model's deadline_s",
        )  # fmt: skip

    def result(self) -> T:
        """Wait for the answer.

        Raises:
            HoldfastError: the request failed, or a limit passed; the job is called off then.
            CalledOff: somebody else called it off.
        """
        while True:
            try:
                # Until it is begun nobody says when that is: the limit changes then.
                look_s = math.inf if math.isfinite(self.deadline) else _LOOK_S
                return self.future.result(max(min(self.patience_s(), look_s), 0.0))
            except CancelledError:
                raise CalledOff from None
            except TimeoutError:
                if self.future.done():
                    return self.future.result()  # just now, or with a time-out of its own
                if self.patience_s() <= 0:
                    raise self.give_up() from None


class Together:
    """Several jobs that are answered by one call: unwanted once all of them are."""

    def __init__(self, jobs: Sequence[Job[Any]]) -> None:
        self._jobs = jobs

    @property
    def unwanted(self) -> bool:
        """Whether what works on them may stop."""
        return all(job.unwanted for job in self._jobs)

    def when_called_off(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called when the last of them is called off."""

        def one_less() -> None:
            if self.unwanted:
                tell()

        for job in self._jobs:
            job.when_called_off(one_less)


class Unhurried:
    """Work that somebody waits for to its end."""

    unwanted = False

    def when_called_off(self, tell: Callable[[], None]) -> None:
        """Never tell."""


@contextmanager
def working_on(asked: Asked) -> Iterator[None]:
    """Let `check_wanted` know which request this thread works on."""
    _here.asked = asked
    try:
        yield
    finally:
        _here.asked = None


def check_wanted() -> None:
    """End the work that this thread does if nobody waits for it; for between the steps of it.

    Raises:
        CalledOff: the client has left, or the time is over.
    """
    asked: Asked | None = getattr(_here, "asked", None)
    if asked is not None and asked.unwanted:
        raise CalledOff
