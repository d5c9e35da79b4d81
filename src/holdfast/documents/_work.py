"""A job: some documents, converted one after another. What is done is kept, and not done again."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from holdfast.documents._errors import (
    DocumentError,
    DocumentFailed,
    DocumentKilled,
    DocumentSlow,
    DocumentTooLarge,
)
from holdfast.documents._fetch import Fetcher
from holdfast.documents._model import ConvertOptions, DocumentEngine, Progress, Source, Status
from holdfast.errors import HoldfastError
from holdfast.jobs import Attempt, Claim, JobState, JobStore, NewJob, Outcome

__all__ = ["KIND", "Doing", "document_job", "doing", "give_up", "results", "too_large", "too_slow"]

KIND = "convert"
_log = logging.getLogger(__name__)
# A document over which so many workers have died is not given to another one.
_DEATHS = 2
# So much longer than it may a document has until its process is given up.
_GRACE_S = 2.0


class Doing(NamedTuple):
    """A document that a process is at: of which claim, its number there, its name, its time."""

    job: str
    fence: int
    at: int
    name: str
    limit_s: float


def document_job(
    owner: str,
    sources: Sequence[Source],
    options: ConvertOptions,
    *,
    priority: int = 0,
    about: Mapping[str, Any] = MappingProxyType({}),
) -> NewJob:
    """Return the job to convert documents, whose contents are the blobs ``in/0``, ``in/1``, ...

    Args:
        owner: whose it is.
        sources: the documents; those with an address are fetched by who does the job.
        options: how.
        priority: the higher goes first.
        about: what whoever asks wants to find again in the job, as JSON-ready data.
    """
    return NewJob(
        kind=KIND, owner=owner, priority=priority, most_failures=_DEATHS * len(sources) + 1,
        payload={
            "sources": [{**each._asdict(), "headers": dict(each.headers)} for each in sources],
            "options": options.to_dict(), "about": dict(about),
        },
    )  # fmt: skip


def results(store: JobStore, job: str) -> list[dict[str, Any]]:
    """Return what came of each document that is done, in order.

    Its ``name``, ``status`` and perhaps ``error``; its outputs are the blobs ``out/NUMBER/FORM``.
    """
    count = len(store.payload(job)["sources"])
    return [each for at in range(count) if (each := _done(store, job, at)) is not None]


def doing(
    engine: DocumentEngine,
    store: JobStore,
    fetcher: Fetcher,
    stuck: Callable[[Claim], None] = lambda _: None,
    begun: Callable[[Doing | None], None] = lambda _: None,
) -> Callable[[Attempt], Outcome]:
    """Return what does such jobs.

    Args:
        engine: converts the documents.
        store: has the jobs.
        fetcher: gets those that have an address.
        stuck: called, from another thread, where a document's time is over and the engine hears
            nothing of it; may end the process.
        begun: told which document is begun, and None when it is done.
    """

    def do(attempt: Attempt) -> Outcome:
        payload = attempt.claim.payload
        sources = [Source(**each) for each in payload["sources"]]
        options = ConvertOptions.of_dict(payload["options"])
        tally = _Tally(attempt, [source.name for source in sources])
        for at, source in enumerate(sources):
            found: Mapping[str, Any] | None = _done(store, attempt.claim.id, at)
            if found is None:
                tally.begin(at)
                claim = attempt.claim
                begun(Doing(claim.id, claim.fence, at, source.name, options.longest_s))
                one = _One(engine, store, attempt.claim, at, source, options)
                found = one.converted(fetcher, tally.pages, lambda: stuck(attempt.claim))
                begun(None)
            tally.add(found)
        return tally.outcome()

    return do


class _One:
    """One document of a job."""

    def __init__(
        self,
        engine: DocumentEngine,
        store: JobStore,
        claim: Claim,
        at: int,
        source: Source,
        options: ConvertOptions,
    ) -> None:
        self._engine, self._store, self._claim, self._at = engine, store, claim, at
        self._source, self._options = source, options
        self._name = source.name
        self._begun = time.monotonic()

    def converted(
        self, fetcher: Fetcher, told: Callable[[Progress], None], stuck: Callable[[], None]
    ) -> Mapping[str, Any]:
        """Convert it and keep what comes of it; what is said of it is kept last."""
        slow = too_slow(self._name, self._options.longest_s)

        def too_long() -> None:
            self._report(_failure(slow))  # before the process ends: it is not begun again
            stuck()

        try:
            _check_deaths(self._store, self._claim, self._at, self._name)
            with _in_time(self._options.longest_s, told, too_long) as heard:
                content = self._content(fetcher, lambda: heard(Progress(0, 0)))
                made = self._engine.convert(self._name, content, self._options, heard)
        except _OutOfTime:
            report = _failure(slow)
        except DocumentError as error:
            report = _failure(error)
        except HoldfastError:
            raise  # the job's, not the document's
        except MemoryError:
            report = _failure(too_large(self._name))
        except Exception as error:  # noqa: BLE001 - one document's; others go on
            _log.exception("%s was not converted", self._name)
            report = _failure(
                DocumentFailed(
                    f"{self._name} was not converted",
                    why=f"its reader failed in a way that nobody foresaw ({type(error).__name__})",
                    hint="the service's log has the rest",
                )
            )
        else:
            for form, text in made.outputs.items():
                self._store.put_blob(self._claim.id, f"out/{self._at}/{form}", [text])
            report = {
                "status": str(made.status), "form": made.form, "pages": made.pages,
                "flaws": [list(flaw) for flaw in made.flaws],
            }  # fmt: skip
        return self._report(report)

    def _content(self, fetcher: Fetcher, told: Callable[[], None]) -> bytes:
        job, source = self._claim.id, self._source
        kept, named = f"in/{self._at}", f"name/{self._at}"
        if source.url and not self._store.blobs(job, named):
            fetched = fetcher.fetch(source, told)
            self._store.put_blob(job, kept, fetched.pieces)
            self._store.put_blob(job, named, [fetched.name.encode()])  # now it is whole
        if source.url:
            self._name = b"".join(self._store.blob(job, named)).decode()
        return b"".join(self._store.blob(job, kept))

    def _report(self, report: Mapping[str, Any]) -> Mapping[str, Any]:
        seconds = round(time.monotonic() - self._begun, 3)
        whole = {"name": self._name, **report, "seconds": seconds}
        self._store.put_blob(self._claim.id, f"done/{self._at}", [json.dumps(whole).encode()])
        return whole


def _failure(error: DocumentError) -> dict[str, Any]:
    return {"status": str(Status.FAILURE), "error": error.to_dict()}


def give_up(store: JobStore, doing: Doing, error: DocumentError, seconds: float) -> None:
    """Note that a document failed whose process was ended, unless it was done just then."""
    if _done(store, doing.job, doing.at) is None:
        whole = {"name": doing.name, **_failure(error), "seconds": round(seconds, 3)}
        store.put_blob(doing.job, f"done/{doing.at}", [json.dumps(whole).encode()])


def too_slow(name: str, limit_s: float) -> DocumentSlow:
    """Return what to say of a document that takes longer than it may."""
    return DocumentSlow(
        f"{name} takes too long", why=f"more than {limit_s:g} s",
        hint="ask for some of its pages at a time",
    )  # fmt: skip


def too_large(name: str) -> DocumentTooLarge:
    """Return what to say of a document that takes more memory than it may."""
    return DocumentTooLarge(
        f"{name} is too large", why="reading it takes more memory than a document may have",
        hint="ask for some of its pages at a time, or split it",
    )  # fmt: skip


class _OutOfTime(BaseException):
    """A document's time is over. Not an Exception: no engine may take it for a page's failure."""


@contextlib.contextmanager
def _in_time(
    limit_s: float, told: Callable[[Progress], None], too_long: Callable[[], None]
) -> Iterator[Callable[[Progress], None]]:
    """Yield what a conversion tells its progress to, and learns from that its time is over."""
    deadline = time.monotonic() + limit_s

    def heard(progress: Progress) -> None:
        if time.monotonic() > deadline:
            raise _OutOfTime
        told(progress)

    timer = threading.Timer(limit_s + _GRACE_S, too_long)
    timer.daemon = True
    timer.start()
    try:
        yield heard
    finally:
        timer.cancel()


def _check_deaths(store: JobStore, claim: Claim, at: int, name: str) -> None:
    """Note that a document is begun; one that was begun too often is left alone.

    Raises:
        DocumentKilled: it was.
    """
    # Attempts that ended because their worker was told to count for nothing.
    before = min(len(store.blobs(claim.id, f"begun/{at}/")), claim.failures)
    if before >= _DEATHS:
        raise DocumentKilled(
            f"{name} ends whoever reads it", why=f"{before} processes have died over it",
            hint="it may need more memory than there is: send fewer of its pages",
        )  # fmt: skip
    store.put_blob(claim.id, f"begun/{at}/{claim.fence}", [b""])


def _done(store: JobStore, job: str, at: int) -> dict[str, Any] | None:
    if not store.blobs(job, f"done/{at}"):
        return None
    found: dict[str, Any] = json.loads(b"".join(store.blob(job, f"done/{at}")))
    return found


class _Tally:
    """How far a job is, told as it gets on."""

    def __init__(self, attempt: Attempt, names: Sequence[str]) -> None:
        self._attempt = attempt
        self._names = names
        self._found: list[Mapping[str, Any]] = []
        self._now: dict[str, Any] = {}

    def begin(self, at: int) -> None:
        """Tell which document it is at."""
        self._now = {"name": self._names[at], "pages_done": 0, "pages_total": 0}
        self._tell()

    def pages(self, progress: Progress) -> None:
        """Tell how many of its pages are done."""
        self._now |= {"pages_done": progress.pages, "pages_total": progress.pages_total}
        self._tell()

    def add(self, report: Mapping[str, Any]) -> None:
        """Count a document."""
        self._found.append(report)
        self._now = {}
        self._tell()

    def _tell(self) -> None:
        self._attempt.tell(self._counts() | {"document": dict(self._now) or None})

    def _counts(self) -> dict[str, Any]:
        ended = [each["status"] for each in self._found]
        return {
            "documents": len(self._names),
            "processed": len(ended),
            **{str(status): ended.count(str(status)) for status in Status},
        }

    def outcome(self) -> Outcome:
        """Return how the job ended."""
        counts = self._counts()
        if counts["success"] == counts["documents"]:
            return Outcome(JobState.SUCCESS, counts)
        if counts["failure"] < counts["documents"]:
            return Outcome(JobState.PARTIAL_SUCCESS, counts)
        first = next(each["error"] for each in self._found if "error" in each)
        return Outcome(JobState.FAILURE, counts, first)
