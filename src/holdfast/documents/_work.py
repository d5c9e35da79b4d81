"""A job: some documents, converted one after another. What is done is kept, and not done again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holdfast.documents._errors import DocumentError, DocumentKilled
from holdfast.documents._model import Converted, ConvertOptions, DocumentEngine, Progress, Status
from holdfast.jobs import Attempt, Claim, JobState, JobStore, NewJob, Outcome

__all__ = ["KIND", "document_job", "doing", "results"]

KIND = "convert"
# A document over which so many workers have died is not given to another one.
_DEATHS = 2


def document_job(
    owner: str, names: Sequence[str], options: ConvertOptions, *, priority: int = 0
) -> NewJob:
    """Return the job to convert documents, whose contents are the blobs ``in/0``, ``in/1``, ...

    Args:
        owner: whose it is.
        names: of the documents' files.
        options: how.
        priority: the higher goes first.
    """
    asked = {name: getattr(options, name) for name in ConvertOptions.__dataclass_fields__}
    return NewJob(
        kind=KIND, owner=owner, payload={"names": list(names), "options": asked},
        priority=priority, most_failures=_DEATHS * len(names) + 1,
    )  # fmt: skip


def results(store: JobStore, job: str) -> list[dict[str, Any]]:
    """Return what came of each document that is done, in order.

    Its ``name``, ``status`` and perhaps ``error``; its outputs are the blobs ``out/NUMBER/FORM``.
    """
    names = store.payload(job)["names"]
    return [each for at in range(len(names)) if (each := _done(store, job, at)) is not None]


def doing(engine: DocumentEngine, store: JobStore) -> Callable[[Attempt], Outcome]:
    """Return what does such jobs."""

    def do(attempt: Attempt) -> Outcome:
        payload = attempt.claim.payload
        asked = {**payload["options"], "pages": tuple(payload["options"]["pages"])}
        options = ConvertOptions(**asked)
        tally = _Tally(attempt, payload["names"])
        for at, name in enumerate(payload["names"]):
            found: Mapping[str, Any] | None = _done(store, attempt.claim.id, at)
            if found is None:
                tally.begin(at)
                found = _converted(engine, store, attempt, at, name, options, tally.pages)
            tally.add(found)
        return tally.outcome()

    return do


def _converted(
    engine: DocumentEngine,
    store: JobStore,
    attempt: Attempt,
    at: int,
    name: str,
    options: ConvertOptions,
    told: Callable[[Progress], None],
) -> Mapping[str, Any]:
    """Convert a document and keep what comes of it; what is said of it is kept last."""
    job, begun = attempt.claim.id, time.monotonic()
    report: dict[str, Any] = {"name": name}
    try:
        _check_deaths(store, attempt.claim, at, name)
        content = b"".join(store.blob(job, f"in/{at}"))
        made: Converted = engine.convert(name, content, options, told)
    except DocumentError as error:
        report |= {"status": str(Status.FAILURE), "error": error.to_dict()}
    else:
        for form, text in made.outputs.items():
            store.put_blob(job, f"out/{at}/{form}", [text])
        report |= {
            "status": str(made.status), "form": made.form, "pages": made.pages,
            "flaws": [list(flaw) for flaw in made.flaws],
        }  # fmt: skip
    report["seconds"] = round(time.monotonic() - begun, 3)
    store.put_blob(job, f"done/{at}", [json.dumps(report).encode()])
    return report


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
