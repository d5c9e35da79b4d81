"""What is told of jobs over documents, in the form of docling-serve: tasks, results, failures."""

from __future__ import annotations

import codecs
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import IO, Any, NamedTuple

from holdfast.documents import OUTPUTS, failure_of, results, sentence
from holdfast.jobs import JobState, JobStatus, JobStore

__all__ = ["Told", "task_of", "told_result"]

_SUFFIXES = {"md": "md", "json": "json", "html": "html", "text": "txt", "doctags": "doctags"}
# A result stays in memory up to so many bytes, and goes through a file beyond.
_IN_MEMORY = 8_000_000
_PIECE = 1 << 18
_STATES = {
    JobState.PENDING: "pending",
    JobState.STARTED: "started",
    # Of a task only that it ended well or badly is said; of its documents the result tells.
    # Docling's client waits for one of these two words, and for no other.
    JobState.SUCCESS: "success",
    JobState.PARTIAL_SUCCESS: "success",
    JobState.FAILURE: "failure",
    JobState.CANCELLED: "failure",
}


class Told(NamedTuple):
    """A result to be sent."""

    media_type: str
    pieces: Iterator[bytes]
    filename: str = ""


def task_of(status: JobStatus, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a job stands; ``progress`` and ``cancelling`` are more than docling-serve tells.

    Args:
        status: of the job.
        about: what was noted when it was taken.
    """
    progress = status.progress
    failure = failure_of(status)
    return {
        "task_id": status.id,
        "task_type": about["task"],
        "task_status": _STATES[status.state],
        "task_position": status.position,
        "task_meta": {
            "num_docs": about["documents"],
            "num_processed": progress.get("processed", 0),
            "num_succeeded": progress.get("success", 0),
            "num_partially_succeeded": progress.get("partial_success", 0),
            "num_failed": progress.get("failure", 0),
        },
        "error_message": failure["message"] if failure else None,
        "failure": failure,
        "progress": progress.get("document"),
        "cancelling": status.cancelling and not status.is_finished,
        "notes": about["notes"],
    }


def told_result(store: JobStore, status: JobStatus, about: Mapping[str, Any]) -> Told:
    """Return what came of a job that ended.

    Args:
        store: has the job.
        status: of it.
        about: what was noted when it was taken.
    """
    failure = failure_of(status)
    if failure is not None:
        body = {"kind": "TaskFailureResult", "failure": failure}
        return Told("application/json", iter([_dumped(body)]))
    reports = results(store, status.id)
    if about["task"] == "chunk":
        return Told("application/json", _chunked(store, status, about, reports))
    if about["target"] == "zip" or len(reports) != 1:
        return _zipped(store, status, reports)
    (report,) = reports
    return Told("application/json", _single(store, status, report, about["notes"]))


def _single(
    store: JobStore, status: JobStatus, report: Mapping[str, Any], notes: Sequence[str]
) -> Iterator[bytes]:
    """Yield one document, piece by piece: it may be long, and is never held as a whole."""
    yield b'{"document": '
    yield from _exported(store, status.id, 0, report, OUTPUTS)
    rest = _outcome(report) | {"processing_time": _seconds(status), "notes": list(notes)}
    yield b", " + _dumped(rest)[1:]


def _exported(
    store: JobStore, job: str, at: int, report: Mapping[str, Any], outputs: Sequence[str]
) -> Iterator[bytes]:
    """Yield a document's outputs as docling-serve's ``ExportDocumentResponse``."""
    yield b'{"filename": ' + _dumped(report["name"])
    have = {blob.name for blob in store.blobs(job, f"out/{at}/")}
    for output in OUTPUTS:
        yield f', "{output}_content": '.encode()
        name = f"out/{at}/{output}"
        if output not in outputs or name not in have:
            yield b"null"
        elif output == "json":
            yield from store.blob(job, name)
        else:
            yield from _quoted(store.blob(job, name))
    yield b"}"


def _quoted(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield text as JSON has it; a character may be divided between two pieces."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    yield b'"'
    for piece in pieces:
        yield json.dumps(decoder.decode(piece)).encode()[1:-1]
    yield json.dumps(decoder.decode(b"", final=True)).encode()[1:]


def _outcome(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return how one document went."""
    errors = [_item(message, page) for page, message in report.get("flaws", ())]
    if "error" in report:
        error = report["error"]
        errors.append(_item(sentence(error)) | {"code": error["code"], "hint": error["hint"]})
    return {"status": report["status"], "errors": errors, "timings": {}}


def _item(message: str, page: int = 0) -> dict[str, Any]:
    return {
        "component_type": "document_backend", "module_name": "holdfast.documents",
        "error_message": message, "category": "unknown", "page_no": page or None,
    }  # fmt: skip


def _seconds(status: JobStatus) -> float:
    return round((status.finished or 0.0) - (status.started or status.finished or 0.0), 3)


def _chunked(
    store: JobStore, status: JobStatus, about: Mapping[str, Any], reports: Sequence[dict[str, Any]]
) -> Iterator[bytes]:
    job = status.id
    yield b'{"chunks": ['
    tokenizer, first = None, True
    for at, report in enumerate(reports):
        if "error" not in report:
            found = json.loads(b"".join(store.blob(job, f"out/{at}/chunks")))
            tokenizer = found["tokenizer"] or tokenizer
            for piece in found["chunks"]:
                yield (b"" if first else b", ") + _dumped(piece)
                first = False
    yield b'], "documents": ['
    outputs = about["outputs"] if about["include"] else ()
    for at, report in enumerate(reports):
        yield (b", " if at else b"") + b'{"kind": "ExportResult", "content": '
        yield from _exported(store, job, at, report, outputs)
        yield b", " + _dumped(_outcome(report))[1:]
    yield b"], " + _dumped({
        "processing_time": _seconds(status), "chunking_info": {"tokenizer": tokenizer},
        "notes": about["notes"],
    })[1:]  # fmt: skip


def _zipped(store: JobStore, status: JobStatus, reports: Sequence[dict[str, Any]]) -> Told:
    """Pack what came of documents, and a report of all; nothing is packed twice by one name."""
    made: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed when sent
    taken: set[str] = set()
    stem = ""
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for at, report in enumerate(reports):
            stem = _free(PurePosixPath(report["name"]).stem or "document", taken)
            report["files"] = []
            for blob in store.blobs(status.id, f"out/{at}/"):
                name = f"{stem}.{_SUFFIXES[blob.name.rpartition('/')[2]]}"
                report["files"].append(name)
                with archive.open(name, "w", force_zip64=True) as file:
                    for piece in store.blob(status.id, blob.name):
                        file.write(piece)
        whole = [{**_outcome(each), **each} for each in reports]
        archive.writestr("report.json", json.dumps(whole, indent=1, ensure_ascii=False))
    made.seek(0)
    name = f"{stem}.zip" if len(reports) == 1 else "converted.zip"
    return Told("application/zip", _read(made.read, made.close), name)


def _free(stem: str, taken: set[str]) -> str:
    """Return a name that no other has, whatever the file system thinks of letters' case."""
    number, found = 1, stem
    while found.casefold() in {*taken, "report"}:
        number += 1
        found = f"{stem} {number}"
    taken.add(found.casefold())
    return found


def _read(read: Callable[[int], bytes], close: Callable[[], None]) -> Iterator[bytes]:
    try:
        while piece := read(_PIECE):
            yield piece
    finally:
        close()


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")
