"""The process that converts documents: it takes jobs, and ends when it has grown, or is told to."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.documents._fetch import Fetcher
from holdfast.documents._work import KIND, Doing, doing
from holdfast.errors import HoldfastError
from holdfast.jobs import Claim, JobStore, Limits, do_jobs, open_jobs
from holdfast.runtime import process_memory_mb

__all__ = ["END", "LOOK", "STUCK", "main"]

# The words of whoever started this process.
END, LOOK = "end", "look"
# The exit code of one that did not let go of a job that nobody wanted any more.
STUCK = 17
_ORPHANED = {
    "code": "worker-died", "message": "the service that had it has ended",
    "why": "its process is gone", "hint": "", "facts": {},
}  # fmt: skip
_log = logging.getLogger(__name__)


def main() -> None:
    """Load the engine, say so in a line on standard output, and do jobs until the end."""
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is for the log
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this one decides
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=asked["log_level"])
    ended, woken = threading.Event(), threading.Event()
    begun: list[JobStore] = []

    def orphaned() -> None:
        for store in begun:
            with contextlib.suppress(HoldfastError):  # else its lease runs out
                store.release(asked["worker"], _ORPHANED, counts=False)

    arguments = (ended, woken, orphaned)
    threading.Thread(target=_listen, args=arguments, name="holdfast-listens", daemon=True).start()
    try:
        module, _, load = asked["load"].partition(":")
        loading = getattr(importlib.import_module(module), load)
        engine = loading(Path(asked["folder"]), asked["device"], **asked["more"])
        store = open_jobs(asked["database"])
        begun.append(store)
        fetcher = Fetcher(asked["allowed"], asked["most_bytes"])
    except HoldfastError as error:
        _say(said, {"error": error.to_dict()})
        return
    _settle()
    _say(said, {"ready": dict(engine.describe()), "memory_mb": process_memory_mb()})
    done = 0

    def after() -> None:
        nonlocal done
        done += 1
        memory_mb = process_memory_mb() or 0.0
        if done >= asked["most_jobs"] or memory_mb > asked["most_mb"]:
            _log.info("ends after %d jobs with %.0f MB, for a new one", done, memory_mb)
            ended.set()

    def idle(seconds: float) -> None:
        woken.wait(seconds)
        woken.clear()

    def begun_with(what: Doing | None) -> None:
        _say(said, {"doing": what})

    def stuck(claim: Claim) -> None:
        _log.warning("job %s does not end although it should: ending with it", claim.id)
        logging.shutdown()
        os._exit(STUCK)

    do_jobs(
        store, asked["worker"], [KIND], doing(engine, store, fetcher, stuck, begun_with), ended,
        lease_s=asked["lease_s"],
        limits=Limits(running_of_owner=asked["running_of_owner"]), stuck=stuck, after=after,
        idle=idle,
    )  # fmt: skip
    logging.shutdown()
    os._exit(0)  # native threads of a parser need not be waited for


def _settle() -> None:
    """Leave alone what libraries made while they were loaded.

    A quarter of the time of a small PDF goes into looking through it for garbage otherwise.
    """
    gc.collect()
    gc.freeze()


def _listen(ended: threading.Event, woken: threading.Event, orphaned: Callable[[], None]) -> None:
    """Hear that there is something to do, or that it is the end; without a line nobody is left."""
    for line in sys.stdin:
        if line.strip() == END:
            ended.set()
        woken.set()
    orphaned()  # so that the next one need not wait for what this one had
    os._exit(0)


def _say(said: Any, told: dict[str, Any]) -> None:
    said.write(json.dumps(told) + "\n")
    said.flush()


if __name__ == "__main__":
    main()
