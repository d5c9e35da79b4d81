"""How far counted work has come: a line that moves on a terminal, a plain one now and then else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from holdfast.cli._context import Context

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

__all__ = ["Count"]

_PLAIN_EVERY_S = 5.0


class Count:
    """Tells people how many of a number of things are done, how fast, and how long it will take.

    Args:
        context: says whether anything is shown, and where.
        what: the things, such as ``recordings``.
        total: how many there are.
        done: how many are done already; they say nothing of the speed.
    """

    def __init__(self, context: Context, what: str, total: int, done: int = 0) -> None:
        self._context = context
        self._what, self._total = what, total
        self._begun, self._done = done, done
        self._start = self._last = time.monotonic()
        self._bars: Bars | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Count:
        if not self._context.quiet and self._context.err.isatty() and self._done < self._total:
            self._bars = _bars(self._context)
            self._task = self._bars.add_task(
                self._what, total=self._total, completed=self._done, pace=""
            )
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def step(self, number: int = 1) -> None:
        """So many more are done."""
        self._done += number
        now = time.monotonic()
        rate = (self._done - self._begun) / max(now - self._start, 1e-3)
        if self._bars is not None and self._task is not None:
            left = (self._total - self._done) / rate
            pace = f"{rate:.1f}/s, {_duration(left)} left"
            self._bars.update(self._task, completed=self._done, pace=pace)
        elif not self._context.quiet and now - self._last >= _PLAIN_EVERY_S:
            self._last = now
            left = (self._total - self._done) / rate
            self._context.tell(
                f"{self._done} of {self._total} {self._what}, {rate:.1f}/s, {_duration(left)} left"
            )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, _ = divmod(round(seconds), 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _bars(context: Context) -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}", markup=False),
        console=Console(file=context.err),
        transient=True,
    )
