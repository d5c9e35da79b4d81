"""An engine in a process of its own: a crash, a leak or a hang in it stays there."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigInvalid, HoldfastError
from holdfast.runtime._errors import WorkerDied
from holdfast.runtime._jobs import Asked
from holdfast.runtime._pipe import UNSENDABLE, Pipe
from holdfast.runtime._spec import Engine

__all__ = ["Worker"]

_CODE = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from holdfast.runtime._worker_main import main
main()
"""
_END_WITHIN_S = 5.0


class Worker:
    """Loads an engine in a new process and has it answer; one request at a time.

    Args:
        model: its id.
        load: makes the engine; must be a function of some module.
        folder: handed to ``load``.
        device: handed to ``load``.
        on_death: told, from a thread of its own, when the process ends without being asked to.

    Raises:
        ConfigInvalid: ``load`` cannot be named to another process.
        HoldfastError: what ``load`` raised there.
        WorkerDied: the process ended while it was loading.
    """

    def __init__(
        self,
        model: str,
        load: Callable[[Path, str], Engine],
        folder: Path,
        device: str,
        on_death: Callable[[Worker, HoldfastError], None],
    ) -> None:
        self._model = model
        self._turn = threading.Lock()
        self._ending = threading.Event()
        self._on_death = on_death
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE, json.dumps(sys.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            # What ends the service is told to all of its group; this one is let finish first.
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._pipe = Pipe(self._process.stdout, self._process.stdin)  # type: ignore[arg-type]
        self._number = 0
        try:
            # None: the process reports what loading added to its memory, in MB.
            self.memory_mb: float | None = self._ask(("load", load, folder, device))
        except UNSENDABLE as error:
            self.close()
            raise ConfigInvalid(
                f"{model} cannot run in a process of its own",
                why=f"what loads it cannot be named there: {error}",
                hint=f"set isolate = false for {model}",
            ) from error
        except BaseException:
            self.close()
            raise

    def watch(self) -> None:
        """Begin to tell when the process ends without being asked to, also if it has already."""
        name = f"holdfast-watches-{self._model}"
        threading.Thread(target=self._watch, name=name, daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def perform(self, work: Callable[..., Any], args: tuple[Any, ...], asked: Asked) -> Any:
        """Return ``work(engine, *args)``, done there.

        Raises:
            WorkerDied: the process ended before it had answered.
            CalledOff: nobody waits for the answer, and the work has ended.
        """
        with self._turn:
            self._number += 1
            number = self._number

            def stop() -> None:
                with contextlib.suppress(OSError, ValueError):
                    self._pipe.send(("stop", number))

            return self._ask(("call", number, work, args), lambda: asked.when_called_off(stop))

    def _ask(self, message: object, sent: Callable[[], None] = lambda: None) -> Any:
        try:
            self._pipe.send(message)
            sent()
            kind, value = self._pipe.receive()
        except (EOFError, OSError, ValueError) as error:
            raise self._died() from error
        if kind == "answer":
            return value
        raise value

    def close(self) -> None:
        """End the process: asked to first, then by force."""
        self._ending.set()
        self._pipe.close()  # at the end of its input it ends
        try:
            self._process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> bool:
        """End the process by force; what it was doing ends with `WorkerDied`."""
        self._process.kill()
        return True

    def _watch(self) -> None:
        self._process.wait()
        if not self._ending.is_set():
            self._on_death(self, self._died())

    def _died(self) -> WorkerDied:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_WITHIN_S)
        code = self._process.returncode
        why = "it closed its end of the line" if code is None else f"its exit code was {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                why = f"it was ended by {signal.Signals(-code).name}"
        if code == -9:
            why += ", which is also what the system does when memory runs out"
        return WorkerDied(
            f"the process of {self._model} has died", why=why,
            hint="it is being started again; try again in a moment", retry_after_s=1,
        )  # fmt: skip
