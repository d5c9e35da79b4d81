"""Waiting for a model's answer without holding a thread, for as long as the client waits."""

import asyncio
from typing import TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from holdfast.runtime import CalledOff, Job, ShuttingDown

__all__ = ["answered"]

T = TypeVar("T")
_LOOK_S = 0.25


async def answered(request: Request, job: Job[T]) -> T:
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
