"""The queue in front of one model, and the threads that answer from it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from holdfast.errors import HoldfastError
from holdfast.runtime._errors import (
    CalledOff,
    EngineAnswerInvalid,
    EngineFailed,
    ModelBusy,
    WorkerDied,
)
from holdfast.runtime._jobs import Asked, Batch, Job, Together, working_on
from holdfast.runtime._spec import Engine

__all__ = ["Counts", "Desk", "Host", "Local"]

_log = logging.getLogger(__name__)
# A model that fails over one request after another, whatever they are, is broken: loaded anew.
_FAILURES_IN_A_ROW = 3


class Host(Protocol):
    """Where an engine lives: in this process, or in one of its own."""

    def perform(self, work: Callable[..., Any], args: tuple[Any, ...], asked: Asked) -> Any:
        """Return ``work(engine, *args)``.

        Raises:
            CalledOff: the job was called off and the work has ended.
            WorkerDied: the process that the engine lived in is gone.
        """

    def close(self) -> None:
        """Give the engine's memory back; nothing is performed any more."""

    def kill(self) -> bool:
        """End what is being performed by force; return whether that is possible."""


class Local:
    """An engine in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def perform(self, work: Callable[..., Any], args: tuple[Any, ...], asked: Asked) -> Any:
        """Return ``work(engine, *args)``."""
        with working_on(asked):
            return work(self._engine, *args)

    def close(self) -> None:
        """Give the engine's memory back."""
        self._engine.close()

    def kill(self) -> bool:
        """Return False: a thread cannot be ended."""
        return False


class Counts(NamedTuple):
    """How many requests wait, and how many are being answered."""

    waiting: int
    running: int


class Desk:
    """Takes requests for one model, also while it loads, and answers them once it is there.

    Args:
        model: its id.
        limit: how many requests may wait.
        threads: how many requests are answered at a time.
        max_batch: how many requests of the same kind one call of the engine may take.
        batch_wait_s: how long a first request waits for others to join it.
        on_lost: told, from an answering thread, that the engine must be loaded anew, and why.
    """

    def __init__(
        self,
        model: str,
        *,
        limit: int,
        threads: int,
        max_batch: int,
        batch_wait_s: float,
        on_lost: Callable[[Host, HoldfastError], None],
    ) -> None:
        self._model = model
        self._limit = limit
        self._thread_count = threads
        self._max_batch = max_batch
        self._batch_wait_s = batch_wait_s
        self._on_lost = on_lost
        self._turn = threading.Condition()
        self._queue: deque[Job[Any]] = deque()
        self._running: set[Job[Any]] = set()
        self._host: Host | None = None
        self._failures = 0
        self._seconds_per_job = 1.0  # a running mean, to say when asking again makes sense
        self.last_used = time.monotonic()

    def put(self, job: Job[Any]) -> None:
        """Take a request.

        Raises:
            ModelBusy: too many wait already.
        """
        with self._turn:
            if len(self._queue) >= self._limit:
                # Those called off no longer count. Looked for only now: it takes the longer, the
                # more wait, and the server's loop waits for it.
                self._queue = deque(other for other in self._queue if not other.future.done())
            waiting = len(self._queue)
            if waiting >= self._limit:
                raise ModelBusy(
                    f"{self._model} has too much to do",
                    why=f"{waiting} requests wait, and no more may",
                    hint="try again after the time in Retry-After",
                    retry_after_s=self._retry_after_s(waiting),
                )
            self._queue.append(job)
            self.last_used = time.monotonic()
            self._turn.notify()

    def _retry_after_s(self, waiting: int) -> int:
        seconds = waiting * self._seconds_per_job / self._thread_count
        return min(max(round(seconds / 2), 1), 60)

    def open(self, host: Host) -> None:
        """Begin to answer."""
        with self._turn:
            self._host = host
            self._failures = 0
            self.last_used = time.monotonic()
        for number in range(self._thread_count):
            name = f"holdfast-answers-{self._model}-{number}"
            threading.Thread(target=self._answer, args=(host,), name=name, daemon=True).start()

    def shut(self) -> None:
        """Answer no more for now; who waits, waits on. What is being answered is finished."""
        with self._turn:
            self._host = None
            self._turn.notify_all()

    def refuse_waiting(self, error: HoldfastError) -> None:
        """End everything that waits with an error."""
        with self._turn:
            waiting, self._queue = list(self._queue), deque()
        for job in waiting:
            if job.begin():
                job.fail(error)

    def call_off_running(self) -> None:
        """Tell what is being answered to end."""
        with self._turn:
            running = list(self._running)
        for job in running:
            job.call_off()

    def counts(self) -> Counts:
        """Return how much there is to do."""
        with self._turn:
            waiting = sum(not job.future.done() for job in self._queue)
            return Counts(waiting, len(self._running))

    def await_quiet(self, timeout_s: float) -> bool:
        """Wait until nothing is being answered; return whether that came true in time."""
        with self._turn:
            return self._turn.wait_for(lambda: not self._running, timeout_s)

    def overdue_s(self) -> float:
        """Return for how many seconds a request has been answered beyond its time; 0 if none."""
        with self._turn:
            latest = min((job.deadline for job in self._running), default=time.monotonic())
        return max(time.monotonic() - latest, 0.0)

    def forget_overdue(self) -> None:
        """Count no longer what will never end; its clients are told, its threads left behind."""
        now = time.monotonic()
        with self._turn:
            overdue = [job for job in self._running if job.deadline < now]
            self._running.difference_update(overdue)
            self._turn.notify_all()
        for job in overdue:
            job.fail(job.give_up())

    def _answer(self, host: Host) -> None:
        while jobs := self._take(host):
            started = time.monotonic()
            outcomes = self._perform(host, jobs)
            with self._turn:
                seconds = (time.monotonic() - started) / len(jobs)
                self._seconds_per_job += 0.1 * (seconds - self._seconds_per_job)
                self._running.difference_update(jobs)
                self.last_used = time.monotonic()
                self._turn.notify_all()
            # Only now: whoever has an answer finds the model no longer busy with it.
            for outcome in outcomes:
                outcome.deliver()
            self._judge(host, outcomes)

    def _take(self, host: Host) -> list[Job[Any]]:
        """Wait for requests; return those for one call of the engine, none when it is gone."""
        with self._turn:
            while True:
                if self._host is not host:
                    return []
                job = self._next(None)
                if job is not None:
                    break
                self._turn.wait()
            taken = [job]
            self._running.add(job)
            if isinstance(job.work, Batch):
                self._gather(job.work, taken)
            return taken

    def _next(self, like: Batch | None) -> Job[Any] | None:
        """Take the first request; with ``like``, only if it is of the same kind."""
        while self._queue:
            if like is not None and self._queue[0].work != like:
                return None
            job = self._queue.popleft()
            if job.begin():
                return job
        return None

    def _gather(self, kind: Batch, taken: list[Job[Any]]) -> None:
        until = time.monotonic() + self._batch_wait_s
        while len(taken) < self._max_batch:
            job = self._next(kind)
            if job is not None:
                taken.append(job)
                self._running.add(job)
            elif self._queue or not self._turn.wait(max(until - time.monotonic(), 0.0)):
                return

    def _perform(self, host: Host, jobs: list[Job[Any]]) -> list[_Outcome]:
        first = jobs[0]
        try:
            if isinstance(first.work, Batch):
                items = [job.args[0] for job in jobs]
                answers = host.perform(first.work.run, (items,), Together(jobs))
                _check_batch(self._model, answers, len(jobs))
            else:
                answers = [host.perform(first.work, first.args, first)]
        except CalledOff:
            return [_Outcome(job, error=job.stopped()) for job in jobs]
        except WorkerDied as error:
            return [_Outcome(job, error=error) for job in jobs]
        except BaseException as error:  # noqa: BLE001 - the request's failure; a thread has no other
            if all(job.unwanted for job in jobs):
                # What it worked on went with its client: no fault of the engine's.
                return [_Outcome(job, error=job.stopped()) for job in jobs]
            if len(jobs) > 1:
                # One of them may have spoilt it for the others: each for itself.
                return [outcome for job in jobs for outcome in self._perform(host, [job])]
            return [_Outcome(first, error=self._told(error))]
        return [_Outcome(job, answer) for job, answer in zip(jobs, answers, strict=True)]

    def _told(self, error: BaseException) -> HoldfastError:
        if isinstance(error, HoldfastError):
            return error
        _log.error("%s raised over a request", self._model, exc_info=error)
        wrapped = EngineFailed(
            f"{self._model} failed over this request",
            why=f"{type(error).__name__}: {error}",
            hint="the server's log says where; try other input",
        )
        wrapped.__cause__ = error
        return wrapped

    def _judge(self, host: Host, outcomes: list[_Outcome]) -> None:
        """Have an engine loaded anew that has died, or that fails whatever it is asked."""
        for outcome in outcomes:
            error = outcome.error
            if isinstance(error, (EngineFailed, EngineAnswerInvalid)):
                with self._turn:
                    self._failures += 1
                    broken = self._failures >= _FAILURES_IN_A_ROW
            else:
                broken = isinstance(error, WorkerDied)
                if error is None:
                    self._failures = 0
            if broken and error is not None:
                self._on_lost(host, error)
                return


class _Outcome(NamedTuple):
    """What came of one job: an answer, or an error."""

    job: Job[Any]
    answer: Any = None
    error: HoldfastError | None = None

    def deliver(self) -> None:
        """Hand it to whoever waits."""
        if self.error is None:
            self.job.end(self.answer)
        else:
            self.job.fail(self.error)


def _check_batch(model: str, answers: object, count: int) -> None:
    if not isinstance(answers, Sequence) or len(answers) != count:
        found = len(answers) if isinstance(answers, Sequence) else type(answers).__name__
        raise EngineAnswerInvalid(
            f"{model} answered something else than was asked",
            why=f"{count} answers were due, and there are {found}",
            hint="the model's files may be wrong: holdfast verify",
        )
