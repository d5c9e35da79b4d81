"""Why a job failed, in the form of docling-serve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.jobs import JobState, JobStatus

__all__ = ["failure_of", "sentence"]

_CATEGORIES = {
    "document-unreachable": "source_unavailable",
    "document-slow": "timeout",
    "job-cancelled": "policy",
    "job-failed": "internal",
    "job-lost": "internal",
    "worker-died": "internal",
    "document-killed": "internal",
}
_POLICY = ("document-address-refused", "document-too-", "document-bomb", "document-encrypted")
_CANCELLED = {
    "code": "job-cancelled", "message": "the task was cancelled", "why": "somebody asked for it",
    "hint": "send it again", "facts": {},
}  # fmt: skip


def failure_of(status: JobStatus) -> dict[str, Any] | None:
    """Return why a job failed, in docling-serve's form; None where it has not."""
    if status.state not in (JobState.FAILURE, JobState.CANCELLED):
        return None
    error = _CANCELLED if status.state is JobState.CANCELLED else status.error or {}
    code = str(error.get("code", ""))
    return {
        "category": _category(code),
        "message": sentence(error),
        "retryable": code in ("document-unreachable", "job-cancelled", "job-failed", "job-lost"),
        "phase": "execution",
        "details": {"code": code, "hint": str(error.get("hint", ""))},
    }


def _category(code: str) -> str:
    return "policy" if code.startswith(_POLICY) else _CATEGORIES.get(code, "unknown")


def sentence(error: Mapping[str, Any]) -> str:
    """Return an error, in the shape of `HoldfastError.to_dict`, as what happened and why."""
    return ": ".join(part for key in ("message", "why") if (part := str(error.get(key, ""))))
