"""Waiting for a model's answer without holding a thread, for as long as the client waits."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any, Protocol, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from holdfast.errors import HoldfastError
from holdfast.runtime import CalledOff, Job, ShuttingDown, Steps

__all__ = ["answered", "carried_out", "steps_of"]

T = TypeVar("T")
_LOOK_S = 0.25


class Client(Protocol):
    """Whoever waits; a `Request` is one."""

    async def is_disconnected(self) -> bool:
        """Return whether it has left."""


async def answered(request: Client, job: Job[T]) -> T:
    """Return the answer to ``job``; it is called off when the client of ``request`` leaves.

    The body of the request must have been received.

    Raises:
        ClientDisconnect: the client has left.
        HoldfastError: what the work raised; or a limit of its model has passed.
    """
    answer = asyncio.wrap_future(job.future)
    try:
        while True:
            await asyncio.wait({answer}, timeout=max(min(job.patience_s(), _LOOK_S), 0.0))
            if answer.done():
                return answer.result()
            if await request.is_disconnected():
                raise ClientDisconnect
            if job.patience_s() <= 0:
                raise job.give_up()
    except (asyncio.CancelledError, CalledOff) as error:
        if answer.cancelled() or isinstance(error, CalledOff):
            raise ShuttingDown(
                "the request was called off", why="the service is ending", retry_after_s=5
            ) from error
        raise
    finally:
        answer.cancel()  # whatever still comes of it has no reader
        job.call_off()


async def carried_out(request: Client, steps: Steps[T]) -> T:
    """Return what ``steps`` come to; what they do between their jobs holds up no other request.

    Raises:
        HoldfastError: as `answered`, or what a step raised.
    """
    answers: list[T] = []
    async for _ in steps_of(request, steps, answers):
        pass
    return answers[0]


async def steps_of(
    request: Client, steps: Steps[T], answers: list[T]
) -> AsyncGenerator[None, None]:
    """Carry ``steps`` out, yield before each job is waited for, and add the answer to ``answers``.

    Raises:
        HoldfastError: as `answered`, or what a step raised.
    """
    result: Any = None
    failed: HoldfastError | None = None
    looked = time.monotonic()
    try:
        while True:
            # Of many short jobs none lasts until somebody looks.
            if time.monotonic() - looked > _LOOK_S:
                looked = time.monotonic()
                if await request.is_disconnected():
                    raise ClientDisconnect
            job, answer = await run_in_threadpool(_next, steps, result, failed)
            if job is None:
                answers.append(answer)
                return
            result = failed = None
            try:
                yield
                result = await answered(request, job)
            except HoldfastError as error:
                failed = error  # the steps decide whether it ends them
            except BaseException:
                job.call_off()
                raise
    finally:
        steps.close()


def _next(
    steps: Steps[T], result: Any, failed: HoldfastError | None
) -> tuple[Job[Any] | None, Any]:
    """Go on to the next job; without one the answer is there (StopIteration crosses no thread)."""
    try:
        return (steps.send(result) if failed is None else steps.throw(failed)), None
    except StopIteration as end:
        return None, end.value
