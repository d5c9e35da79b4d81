"""What the Hub's answers mean: pure readers of its JSON, headers and errors.

Rules only; nothing here does I/O. Everything read here came from outside and is checked.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from holdfast.errors import (
    AccessDenied,
    EntryNotFound,
    GatedRepo,
    HoldfastError,
    HubProtocolError,
    HubUnavailable,
    RateLimited,
    ReferenceInvalid,
    RepoNotFound,
    RevisionNotFound,
)
from holdfast.refs import Digest, FileEntry, RepoRef, RevisionRef, is_commit

__all__ = [
    "ContentRange",
    "error_for",
    "next_page",
    "parse_content_range",
    "parse_description",
    "parse_retry_after",
    "parse_tree",
    "resolve_url",
    "retryable",
    "same_origin",
]

_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[^,;]+)*)")
# Up to here descriptions are known to be whole; the tree, which is paged, has no such limit.
_MANY_SIBLINGS = 1000
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


class ContentRange(NamedTuple):
    """A ``Content-Range``: first and last byte, and the whole size (None for ``*``)."""

    first: int
    last: int
    size: int | None


def parse_description(body: bytes, url: str) -> tuple[str, list[FileEntry] | None]:
    """Read a revision's description: its commit, and its files when they are told in full.

    The files come as None when any lacks size or digest, or when there are so many that the
    description may have been cut short: then the tree has to be asked for.

    Raises:
        HubProtocolError: it names no commit.
    """
    content = _json_object(body, url)
    sha = content.get("sha")
    if not isinstance(sha, str) or not is_commit(sha):
        raise _not_a_hub(url, f"its answer names no commit (sha: {sha!r})")
    siblings = content.get("siblings")
    if not isinstance(siblings, list) or len(siblings) >= _MANY_SIBLINGS:
        return sha, None
    try:
        return sha, [_described_file(item, url) for item in siblings]
    except (HubProtocolError, AttributeError, TypeError, KeyError):
        return sha, None


def _described_file(item: Mapping[str, Any], url: str) -> FileEntry:
    lfs = item.get("lfs")
    entry = {"path": item["rfilename"], "size": item["size"], "oid": item["blobId"]}
    if isinstance(lfs, dict):
        entry["lfs"] = {"oid": lfs["sha256"], "size": lfs["size"]}
    return _remote_file(entry, url)


def parse_tree(body: bytes, url: str) -> list[FileEntry]:
    """Read the files of one page of a tree listing; folders are passed over.

    Raises:
        HubProtocolError: the page is not a listing, or an entry lacks its size or digest.
    """
    entries = _json(body, url)
    if not isinstance(entries, list):
        raise _not_a_hub(url, "its answer is not a list of files")
    files = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise _not_a_hub(url, f"{entry!r} is not a file entry")
        if entry.get("type") == "file":
            files.append(_remote_file(entry, url))
    return files


def _remote_file(entry: Mapping[str, Any], url: str) -> FileEntry:
    lfs = entry.get("lfs")
    blob_id = entry.get("oid")
    xet = entry.get("xetHash")
    try:
        if isinstance(lfs, dict):
            oid = lfs.get("oid", lfs.get("sha256"))
            digest = Digest("sha256", str(oid).removeprefix("sha256:"))
            size = lfs["size"]
        else:
            digest, size = Digest("git-sha1", str(blob_id)), entry["size"]
        path = entry["path"]
    except (KeyError, ReferenceInvalid) as error:
        raise _not_a_hub(url, f"the entry {dict(entry)!r} lacks size, path or digest") from error
    sound = isinstance(path, str) and isinstance(size, int) and not isinstance(size, bool)
    if not sound or size < 0 or not path:
        raise _not_a_hub(url, f"the entry {dict(entry)!r} has no usable path and size")
    return FileEntry(path, size, digest, str(blob_id), xet if isinstance(xet, str) else None)


def _json(body: bytes, url: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _not_a_hub(url, f"its answer is not JSON ({body[:40]!r}...)") from error


def _json_object(body: bytes, url: str) -> dict[str, Any]:
    value = _json(body, url)
    if not isinstance(value, dict):
        raise _not_a_hub(url, "its answer is not a JSON object")
    return value


def _not_a_hub(url: str, why: str) -> HubProtocolError:
    return HubProtocolError(
        f"{url} does not answer like a Hub",
        why=why,
        hint="check HF_ENDPOINT, and whether a proxy or a login page answers in the Hub's place",
        url=url,
    )


def next_page(headers: Mapping[str, str], url: str) -> str | None:
    """Return the address of the next page out of the ``Link`` header, or None at the end.

    Raises:
        HubProtocolError: the next page's address is malformed, or on another origin, where the
            token must not go.
    """
    for address, parameters in _LINK.findall(headers.get("Link", "")):
        if re.search(r';\s*rel\s*=\s*"?next"?\s*(?:;|$)', parameters):
            try:
                following = urljoin(url, address)
                near = same_origin(url, following)
            except ValueError as error:
                raise _not_a_hub(url, f"its next page has no usable address: {error}") from error
            if not near:
                raise _not_a_hub(url, f"its next page is on another origin: {following}")
            return str(following)
    return None


def parse_content_range(text: str | None) -> ContentRange | None:
    """Read a ``Content-Range`` header, or None when it is missing or malformed."""
    found = _CONTENT_RANGE.fullmatch(text or "")
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    size = None if found[3] == "*" else int(found[3])
    if last < first or (size is not None and last >= size):
        return None
    return ContentRange(first, last, size)


def parse_retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds a server asks to wait: a number, or a date (``now`` is epoch seconds)."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError):
            return None
    if not math.isfinite(seconds):
        return None
    return max(0.0, seconds)


def resolve_url(endpoint: str, repo: RepoRef, commit: str, path: str) -> str:
    """Return the address of one file's content."""
    return f"{endpoint}/{repo.resolve_prefix}/resolve/{quote(commit, safe='')}/{quote(path)}"


def same_origin(one: str, other: str) -> bool:
    """Return whether two addresses share scheme, host and port."""
    return _origin(one) == _origin(other)


@functools.lru_cache(maxsize=64)  # one of the two is nearly always the endpoint
def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)


def retryable(status: int) -> bool:
    """Return whether trying again can help: timeouts, rate limits, and failures of the server."""
    return status in {408, 425, 429} or status >= 500


def error_for(
    status: int, headers: Mapping[str, str], url: str, subject: RevisionRef, *, with_token: bool
) -> HoldfastError:
    """Return the error that an unsuccessful answer means.

    ``subject`` is what was asked for; ``with_token`` whether a token was sent along.
    """
    code = headers.get("X-Error-Code", "")
    said = headers.get("X-Error-Message", "")
    repo = subject.repo
    facts: dict[str, Any] = {"repo": str(repo), "revision": subject.revision, "status": status}
    page = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/{repo.resolve_prefix}"
    if code == "GatedRepo":
        return GatedRepo(
            f"{repo} is gated", why=said or "its conditions have to be accepted first",
            hint=f"accept them at {page}, then: HF_TOKEN=hf_... holdfast pull {subject}", **facts,
        )  # fmt: skip
    if code == "RevisionNotFound":
        return RevisionNotFound(
            f"{repo} has no revision {subject.revision!r}", why=said or f"{url} answered {status}",
            hint=f"holdfast pull {repo}@main", **facts,
        )  # fmt: skip
    if code == "EntryNotFound":
        return EntryNotFound(
            f"{subject} has no such file", why=said or f"{url} answered {status}",
            hint=f"holdfast plan {subject}    (lists its files)", **facts,
        )  # fmt: skip
    if code == "RepoNotFound" or status == 404 or (status == 401 and not code and not with_token):
        why = "no token was sent: if it is private, one is needed" if not with_token else (
            "the token has no access to it, if it exists"
        )  # fmt: skip
        return RepoNotFound(
            f"{repo} was not found at {page}", why=said or why,
            hint=f"check the spelling, or: HF_TOKEN=hf_... holdfast pull {subject}", **facts,
        )  # fmt: skip
    if status in {401, 403}:
        return AccessDenied(
            f"access to {repo} was denied", why=said or f"{url} answered {status}",
            hint="set HF_TOKEN to a token that may read this repository", **facts,
        )  # fmt: skip
    if status == 429:
        return RateLimited(
            f"the Hub limits the rate of requests for {repo}",
            why=f"{url} answered 429 until we stopped asking",
            hint="wait, or set HF_TOKEN: signed-in users have higher limits", **facts,
        )  # fmt: skip
    return HubUnavailable(
        f"the Hub failed to answer for {repo}", why=f"{url} answered {status} {said}".strip(),
        hint=f"try again later, or use what is here: holdfast --offline pull {subject}", **facts,
    )  # fmt: skip
