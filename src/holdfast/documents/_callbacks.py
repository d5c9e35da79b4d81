"""Telling an address of the caller's how a job gets on: signed, and again until it is taken.

What is told has docling-serve's form, and the signature that of Standard Webhooks 1.0
(https://www.standardwebhooks.com): HMAC-SHA256 over ``ID.SECONDS.BODY``. Each message is a durable
job of its own, whose id follows from what it tells: however many servers find out, one sends it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from holdfast.documents._errors import DocumentAddressRefused, DocumentError
from holdfast.documents._failures import failure_of
from holdfast.documents._fetch import Fetcher
from holdfast.documents._work import results
from holdfast.jobs import (
    Attempt,
    JobInvalid,
    JobState,
    JobStatus,
    JobStore,
    Limits,
    NewJob,
    Outcome,
)

__all__ = ["CALLBACK", "Callback", "call_back", "calling", "signed"]

CALLBACK = "callback"
_ATTEMPTS = 8
_WITHIN_S = 20.0
_UNLIMITED = Limits(10**9, 10**9)


class Callback(NamedTuple):
    """Who wants to be told: an address, and headers that are sent there."""

    url: str
    headers: Mapping[str, str]


def signed(key: str, message: str, seconds: int, body: bytes) -> dict[str, str]:
    """Return the headers that show who a message is from.

    Args:
        key: that both sides have; in base64 where it begins with ``whsec_``.
        message: its id, the same whenever it is sent again.
        seconds: since 1970.
        body: what is told.
    """
    secret = base64.b64decode(key[6:]) if key.startswith("whsec_") else key.encode()
    told = b".".join((message.encode(), str(seconds).encode(), body))
    digest = base64.b64encode(hmac.digest(secret, told, hashlib.sha256)).decode()
    return {
        "webhook-id": message,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{digest}",
    }


def call_back(store: JobStore, status: JobStatus) -> None:
    """Have everybody told who asked for it what is new of a job; what was told is not told again.

    Args:
        store: has the job.
        status: of it.
    """
    about = store.payload(status.id).get("about", {})
    wanted = [Callback(**each) for each in about.get("callbacks", ())]
    if not wanted:
        return
    before = {blob.name for blob in store.blobs(status.id, "called/")}
    for name, progress in _news(store, status, about):
        if f"called/{name}" in before:
            continue
        for number, callback in enumerate(wanted):
            body = {"task_id": status.id, "progress": progress}
            _submit(store, f"{status.id}-{name}-{number}", status.owner, callback, body)
        store.put_blob(status.id, f"called/{name}", [b""])


def _submit(
    store: JobStore, job: str, owner: str, callback: Callback, body: Mapping[str, Any]
) -> None:
    payload = {"url": callback.url, "headers": dict(callback.headers), "body": json.dumps(body)}
    new = NewJob(kind=CALLBACK, owner=owner, payload=payload, most_failures=_ATTEMPTS)
    try:
        store.submit(job, new, _UNLIMITED)
    except JobInvalid:
        return  # another server was first


def _news(
    store: JobStore, status: JobStatus, about: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what there is to tell of a job so far, each with a name."""
    yield "begun", {"kind": "set_num_docs", "num_docs": about["documents"]}
    reports = results(store, status.id)
    for at, report in enumerate(reports):
        yield f"{at}", {
            "kind": "document_completed", "document": _completed(report),
            "total_processed": at + 1, "total_docs": about["documents"],
        }  # fmt: skip
    if status.is_finished:
        yield "processed", {"kind": "update_processed", **_counts(reports)}
        failure = failure_of(status)
        yield "ended", {
            "kind": "task_completed", "task_status": "failure" if failure else "success",
            "failure": failure,
        }  # fmt: skip


def _completed(report: Mapping[str, Any]) -> dict[str, Any]:
    error = report.get("error")
    return {
        "source": report["name"], "status": report["status"],
        "num_pages": report.get("pages") or None, "processing_time": report["seconds"],
        "error": f"{error['message']}: {error['why']}" if error else None,
    }  # fmt: skip


def _counts(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    ended = [report["status"] for report in reports]
    docs = [_completed(report) for report in reports]
    return {
        "num_processed": len(reports), "num_succeeded": ended.count("success"),
        "num_partially_succeeded": ended.count("partial_success"),
        "num_failed": ended.count("failure"),
        "docs": [{name: doc[name] for name in ("source", "status", "error")} for doc in docs],
    }  # fmt: skip


def calling(key: str, allowed: Sequence[str]) -> Callable[[Attempt], Outcome]:
    """Return what sends one message; what is not taken is sent again.

    Args:
        key: that messages are signed with.
        allowed: networks that may be asked although they are not public.
    """
    fetcher = Fetcher(allowed, within_s=_WITHIN_S)

    def do(attempt: Attempt) -> Outcome:
        payload = attempt.claim.payload
        body, seconds = payload["body"].encode(), int(time.time())
        headers = {
            **payload["headers"], "Content-Type": "application/json",
            **signed(key, attempt.claim.id, seconds, body),
        }  # fmt: skip
        try:
            fetcher.post(payload["url"], headers, body)
        except DocumentAddressRefused as error:
            return Outcome(JobState.FAILURE, error=error.to_dict())  # now and later
        except DocumentError as error:
            return Outcome(JobState.PENDING, error=error.to_dict())
        return Outcome(JobState.SUCCESS)

    return do
