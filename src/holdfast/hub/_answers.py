"""What an answer about a file's content means for its download: go on, try again, or give up."""

from __future__ import annotations

from holdfast.errors import DigestMismatch, HoldfastError, HubProtocolError
from holdfast.hub._http import Answer
from holdfast.hub._protocol import parse_content_range
from holdfast.refs import FileEntry, RevisionRef

__all__ = ["TryAgain", "check_range", "mismatch_error"]


class TryAgain(Exception):
    """Carried to the loop that tries again: the reason, and the seconds a server asked for."""

    def __init__(self, error: HoldfastError, after_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.after_s = after_s


def check_range(answer: Answer, offset: int, size: int) -> None:
    """Refuse a part of the content that does not begin at ``offset``.

    Raises:
        TryAgain: it begins elsewhere, or is of a file of another size.
    """
    given = parse_content_range(answer.headers.get("Content-Range"))
    if given is None or given.first != offset or given.size not in (None, size):
        raise TryAgain(
            HubProtocolError(
                f"{answer.url.partition('?')[0]} sent another range than was asked for",
                why=f"asked for bytes {offset}- of {size}, got {given}",
                hint="check what answers in the Hub's place (a caching proxy?)",
            )
        )


def mismatch_error(
    revision: RevisionRef, file: FileEntry, actual: str, expected: str = ""
) -> DigestMismatch:
    """Return the error for content that arrived wrong twice."""
    expected = expected or file.digest.hex
    return DigestMismatch(
        f"{file.path} of {revision} arrived wrong twice",
        why=f"expected {file.digest.algorithm} {expected}, got {actual}",
        hint="check what stands between here and the Hub (a proxy?), then pull again",
        file=file.path,
        expected=expected,
        actual=actual,
    )
