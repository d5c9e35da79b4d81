"""The other end of `_worker`: the process that one engine lives in."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.runtime._errors import CalledOff, EngineFailed, ModelFailed
from holdfast.runtime._hardware import process_memory_mb
from holdfast.runtime._jobs import working_on
from holdfast.runtime._pipe import UNSENDABLE, Pipe
from holdfast.runtime._spec import Engine

__all__ = ["main"]

_log = logging.getLogger(__name__)


class _Call:
    """A request from the other side."""

    def __init__(self, number: int, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.number = number
        self.work = work
        self.args = args
        self.unwanted = False

    def when_called_off(self, tell: Callable[[], None]) -> None:
        """Nothing here wants to be told: `check_wanted` looks."""


class _Inbox:
    """Receives on a thread of its own, so that a request can be called off while it is worked on.

    When the other side is gone, so is this process, whatever it is doing.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._receive, name="holdfast-inbox", daemon=True).start()

    def next(self) -> Any:
        """Wait for something to do."""
        return self._messages.get()

    def _receive(self) -> None:
        last: _Call | None = None
        while True:
            try:
                kind, *parts = self._pipe.receive()
            except EOFError:
                logging.shutdown()
                os._exit(0)
            if kind == "stop":
                if last is not None and last.number == parts[0]:
                    last.unwanted = True
                continue
            if kind == "call":
                last = _Call(*parts)
            self._messages.put(parts if kind == "load" else last)


def main() -> None:
    """Load an engine and answer until the other side is gone."""
    pipe = _take_over_streams()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started this one decides
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    inbox = _Inbox(pipe)
    try:
        engine, memory_mb = _load(*inbox.next())
    except HoldfastError as error:
        pipe.send(("error", error))
        return
    pipe.send(("answer", memory_mb))
    while True:
        call = inbox.next()
        try:
            pipe.send(_outcome(engine, call))
        except UNSENDABLE as error:
            pipe.send(("error", _failure(error)))


def _take_over_streams() -> Pipe:
    """Return the way to the other side; what libraries print goes to the log."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return Pipe(os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb"))


def _load(
    load: Callable[[Path, str], Engine], folder: Path, device: str
) -> tuple[Engine, float | None]:
    before = process_memory_mb()
    try:
        engine = load(folder, device)
    except HoldfastError:
        raise
    except BaseException as error:
        _log.exception("loading failed")
        raise ModelFailed(
            "the model cannot be loaded",
            why=f"{type(error).__name__}: {error}",
            hint="the server's log says where it happened",
        ) from error
    after = process_memory_mb()
    return engine, None if before is None or after is None else max(after - before, 0.0)


def _outcome(engine: Engine, call: _Call) -> tuple[str, Any]:
    try:
        with working_on(call):
            return "answer", call.work(engine, *call.args)
    except (HoldfastError, CalledOff) as error:
        return "error", error
    except BaseException as error:  # noqa: BLE001 - it is the request's failure
        _log.exception("a request failed")
        return "error", _failure(error)


def _failure(error: BaseException) -> EngineFailed:
    return EngineFailed(
        "the model failed over this request",
        why=f"{type(error).__name__}: {error}",
        hint="the server's log says where; try other input",
    )
