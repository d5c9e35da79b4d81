"""Work in several steps, on several models: a generator of jobs.

Whoever carries it out waits for each job in its own way (a thread, an event loop) and hands its
result back in, or has its error raised there; between jobs the generator goes on.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

from holdfast.runtime._jobs import Job

__all__ = ["Steps", "carry_out"]

T = TypeVar("T")
Steps: TypeAlias = Generator[Job[Any], Any, T]


def carry_out(steps: Steps[T]) -> T:
    """Wait for every job in this thread; return the answer.

    Raises:
        Exception: what a job or a step raised.
    """
    result: Any = None
    failed: Exception | None = None
    try:
        while True:
            try:
                job = steps.send(result) if failed is None else steps.throw(failed)
            except StopIteration as end:
                answer: T = end.value
                return answer
            result = failed = None
            try:
                result = job.result()
            except Exception as error:  # noqa: BLE001 - the steps decide what ends them
                failed = error
    finally:
        steps.close()
