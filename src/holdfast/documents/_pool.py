"""The processes that convert documents: as many as are wanted, and a new one for each that ends."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from holdfast.compat import OFFLINE
from holdfast.documents._watch import Watched
from holdfast.documents._work import Doing
from holdfast.documents._worker_main import END, LOOK, STUCK
from holdfast.errors import EntryNotFound, HoldfastError, MissingExtra
from holdfast.jobs import JobStorageFailed, open_jobs
from holdfast.runtime import EngineUnusable, WorkerDied, process_memory_mb, usable_cores

__all__ = ["DocumentWorkers", "WorkersAsked"]

_log = logging.getLogger(__name__)
_CODE = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from holdfast.documents._worker_main import main
main()
"""
_LOOK_S = 0.25
# The C library keeps memory for each thread, hundreds of MB after some documents, otherwise.
_FRUGAL = {"MALLOC_ARENA_MAX": "2"}
_FIRST_PAUSE_S, _MOST_PAUSE_S = 0.5, 30.0
# As which a supervisor knows whether another attempt makes sense.
_LOAD_ERRORS: Mapping[str, type[HoldfastError]] = {
    kind.code: kind for kind in (MissingExtra, EntryNotFound, EngineUnusable)
}
# Whatever a library does there, models are used as they are here, or it fails.
_OFFLINE = {variable.name: "1" for variable in OFFLINE}
# One that lived for so long did not fail at its start.
_LIVED_S = 20.0


class WorkersAsked(NamedTuple):
    """How many processes there are to be, and how they live.

    Attributes:
        database: of the jobs, see `open_jobs`.
        processes: at a time.
        load: what loads the engine, as ``MODULE:FUNCTION``.
        folder: handed to it.
        device: the same.
        lease_s: after how long without a sign of life another takes a job.
        most_jobs: after which a process makes room for a new one.
        most_mb: of memory, the same.
        killed_mb: of memory, with which it is ended in the midst of a document.
        running_of_owner: jobs of one client that are worked on at a time.
        allowed: networks that documents may be fetched from although they are not public.
        most_bytes: that a document which is fetched may have.
        more: what ``load`` is given besides, by name.
        log_level: of what they say on standard error, as `logging` has it.
    """

    database: Path | str
    processes: int = 1
    load: str = "holdfast.documents.engines.docling:load_docling"
    folder: Path = Path()
    device: str = "cpu"
    lease_s: float = 20.0
    most_jobs: int = 200
    most_mb: float = 4_000.0
    killed_mb: float = 6_000.0
    running_of_owner: int = 1_000
    allowed: Sequence[str] = ()
    most_bytes: int = 200_000_000
    more: Mapping[str, str] = MappingProxyType({})
    log_level: int = logging.WARNING


class DocumentWorkers:
    """Keeps the processes running from its making until `close`; safe to use from several threads.

    Args:
        asked: how many, and how.

    Raises:
        HoldfastError: the first of them cannot load what converts documents.
    """

    def __init__(self, asked: WorkersAsked) -> None:
        self._asked = asked
        self._store = open_jobs(asked.database)
        # Of each: so that all of them together have a thread for each core.
        share = max(usable_cores() // asked.processes, 1)
        self._threads_each = os.environ.get("OMP_NUM_THREADS") or str(share)
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._about: Mapping[str, Any] | None = None
        self._failure: HoldfastError | None = None
        self._children: dict[int, subprocess.Popen[str]] = {}
        self._watched: dict[int, Watched | None] = {}
        # Those that were told what they are for: nothing may reach them before that.
        self._listening: set[int] = set()
        self._threads = [
            threading.Thread(
                target=self._keep, args=(place,), name=f"holdfast-documents-{place}", daemon=True
            )
            for place in range(asked.processes)
        ]
        self._threads.append(
            threading.Thread(target=self._watch, name="holdfast-documents-watch", daemon=True)
        )
        for thread in self._threads:
            thread.start()
        failed = self._first()
        if failed is not None:
            self.close()
            raise failed

    def _first(self) -> HoldfastError | None:
        """Wait for the first process; return why it cannot do what it is for, if so."""
        with self._changed:
            self._changed.wait_for(lambda: self._about is not None or self._failure is not None)
            return self._failure if self._about is None else None

    @property
    def about(self) -> Mapping[str, Any]:
        """What the engine can do."""
        return self._about or MappingProxyType({})

    def nudge(self) -> None:
        """Let them know that there is something to do, which they would see in a moment else."""
        with self._changed:  # so that no pipe is closed, and its number another's, meanwhile
            for place in self._listening:
                _say(self._children[place], LOOK)

    @property
    def memory_mb(self) -> float | None:
        """What its processes hold in memory; None where that is not told."""
        found = [process_memory_mb(pid) for pid in self.pids]
        return None if not found or None in found else sum(each or 0.0 for each in found)

    @property
    def pids(self) -> list[int]:
        """The processes that run now."""
        with self._changed:
            return [child.pid for child in self._children.values()]

    def close(self, patience_s: float = 10.0) -> None:
        """Let each process end what it is at, for so long; what is not done then, others do."""
        self._closing.set()
        with self._changed:
            children = list(self._children.values())
            for place, child in self._children.items():
                if place in self._listening:
                    _say(child, END)
                else:
                    child.kill()  # it does not know yet what it is for
            self._changed.notify_all()
        deadline = time.monotonic() + patience_s
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        for child in children:
            with contextlib.suppress(OSError):
                child.kill()
        for thread in self._threads:
            thread.join()
        self._store.close()

    def _keep(self, place: int) -> None:
        """Have one process after another in a place."""
        pause_s = _FIRST_PAUSE_S
        number = 0
        while not self._closing.is_set():
            number += 1
            begun = time.monotonic()
            self._run(place, f"{os.getpid()}-{place}-{number}-{time.time_ns():x}")
            lived = time.monotonic() - begun > _LIVED_S
            pause_s = _FIRST_PAUSE_S if lived else min(2 * pause_s, _MOST_PAUSE_S)
            if self._failure is not None:
                self._closing.wait(pause_s)

    def _run(self, place: int, worker: str) -> None:
        asked = self._asked
        # In a group of its own: what ends the service lets these end what they are at.
        with subprocess.Popen(
            [sys.executable, "-c", _CODE, json.dumps(sys.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            env=_FRUGAL | os.environ | {"OMP_NUM_THREADS": self._threads_each} | _OFFLINE,
        ) as child:  # fmt: skip
            with self._changed:
                self._children[place] = child
                if self._closing.is_set():
                    child.kill()  # begun too late to be told to end
            try:
                told = asked._asdict() | {"worker": worker, "more": dict(asked.more)}
                _tell(child, json.dumps(told, default=os.fspath))
                _let_pass(child)
                with self._changed:
                    self._listening.add(place)
                assert child.stdout is not None
                self._note(child, child.stdout.readline())
                for line in child.stdout:
                    self._hear(place, line)
                child.wait()
            finally:
                assert child.stdin is not None
                with self._changed:
                    self._listening.discard(place)
                    with contextlib.suppress(OSError):
                        child.stdin.close()  # with what it was told and has not read
                    self._children.pop(place, None)
                    given_up = self._watched.pop(place, None)
                child.wait()
                self._give_back(worker, child, given_up)

    def _note(self, child: subprocess.Popen[str], line: str) -> None:
        """Take note of what a process says once it has loaded."""
        failure: HoldfastError | None = None
        about: Mapping[str, Any] | None = None
        if not line:
            failure = _died(child)
        else:
            said = json.loads(line)
            if "error" in said:
                failure = _load_error(said["error"])
            else:
                about = said["ready"]
        with self._changed:
            self._about, self._failure = about or self._about, failure
            self._changed.notify_all()
        if failure is not None and not self._closing.is_set():
            _log.error("%s", failure)

    def _hear(self, place: int, line: str) -> None:
        """Take note of which document a process is at."""
        try:
            said = json.loads(line)["doing"]
        except ValueError:
            return  # cut off: it was killed while it said so
        with self._changed:
            lease_s = self._asked.lease_s
            self._watched[place] = None if said is None else Watched(Doing(*said), lease_s)

    def _watch(self) -> None:
        """End processes that do not end themselves: what runs in a library hears nothing."""
        while not self._closing.wait(_LOOK_S):
            with self._changed:
                running = dict(self._children)
                watched = dict(self._watched)
            for place, child in running.items():
                memory_mb = process_memory_mb(child.pid) or 0.0
                if (at := watched.get(place)) is not None:
                    at.look(self._store, child, memory_mb > self._asked.killed_mb)

    def _give_back(
        self, worker: str, child: subprocess.Popen[str], watched: Watched | None
    ) -> None:
        """Let others do what a process had that has ended."""
        code = child.returncode
        ended = watched is not None and watched.killed
        meant = code == 0 or self._closing.is_set() or code == STUCK or ended
        with contextlib.suppress(JobStorageFailed):  # else its lease runs out
            if watched is not None:
                watched.give_up(self._store)
            jobs = self._store.release(worker, _died(child).to_dict(), counts=not meant)
            if jobs and not meant:
                _log.error("job %s goes to another process: %s", jobs[0], _died(child))


def _tell(child: subprocess.Popen[str], line: str) -> None:
    assert child.stdin is not None
    with contextlib.suppress(OSError, ValueError):
        child.stdin.write(line + "\n")
        child.stdin.flush()


def _load_error(told: Mapping[str, Any]) -> HoldfastError:
    """Return why a process cannot load what converts documents, as it says so itself."""
    facts = dict(told.get("facts", {}))
    kind = _LOAD_ERRORS.get(told["code"])
    if kind is None:
        kind, facts = WorkerDied, facts | {"code": told["code"]}
    return kind(told["message"], why=told["why"], hint=told["hint"], **facts)


def _let_pass(child: subprocess.Popen[str]) -> None:
    """Have words to a process never wait for it: one that does not listen is ended otherwise."""
    assert child.stdin is not None
    with contextlib.suppress(OSError, ValueError, AttributeError):  # Windows has no such pipes
        os.set_blocking(child.stdin.fileno(), False)


def _say(child: subprocess.Popen[str], word: str) -> None:
    assert child.stdin is not None
    with contextlib.suppress(OSError, ValueError):
        os.write(child.stdin.fileno(), f"{word}\n".encode())


def _died(child: subprocess.Popen[str]) -> WorkerDied:
    code = child.poll()
    why = f"its exit code was {code}"
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            why = f"it was ended by {signal.Signals(-code).name}"
    if code == -9:
        why += ", which is also what the system does when memory runs out"
    return WorkerDied(
        "a process that converts documents has died", why=why,
        hint="the service's log has its last words",
    )  # fmt: skip
