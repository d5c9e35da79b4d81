"""The hub's answers as JSON-ready data.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from holdfast.errors import EntryNotFound
from holdfast.mirror._objects import Commit, Entry, lfs_pointer
from holdfast.refs import RepoRef

__all__ = [
    "account_answer",
    "commit_answer",
    "file_answer",
    "folder_answer",
    "info_answer",
    "listing",
    "page_of",
    "refs_answer",
]

Json = dict[str, Any]
T = TypeVar("T")


def info_answer(
    repo: RepoRef, commit: Commit, *, private: bool, gated: str | bool, blobs: bool
) -> Json:
    """Return what ``/api/models/ID`` says; ``blobs`` adds sizes and digests to the files."""
    answer: Json = {"_id": commit.folders[""][:24], "id": repo.id}
    if repo.type == "model":
        answer["modelId"] = repo.id
    if "/" in repo.id:
        answer["author"] = repo.id.partition("/")[0]
    answer |= {
        "sha": commit.id,
        "lastModified": commit.date,
        "private": private,
        "gated": gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": [_sibling(entry, blobs=blobs) for entry in commit.files.values()],
        "usedStorage": sum(entry.size for entry in commit.files.values()),
    }
    return answer


def _sibling(entry: Entry, *, blobs: bool) -> Json:
    sibling: Json = {"rfilename": entry.path}
    if blobs:
        sibling |= {"size": entry.size, "blobId": entry.oid}
        if entry.sha256:
            pointer = len(lfs_pointer(entry.sha256, entry.size))
            sibling["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": pointer}
    return sibling


def file_answer(entry: Entry, last: Commit | None = None) -> Json:
    """Return one file of a tree; ``last`` is the commit that changed it, for an expanded one."""
    answer: Json = {"type": "file", "oid": entry.oid, "size": entry.size, "path": entry.path}
    if entry.sha256:
        pointer = len(lfs_pointer(entry.sha256, entry.size))
        answer["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": pointer}
    if last is not None:
        answer["lastCommit"] = _last(last)
        answer["securityFileStatus"] = {
            "status": "unscanned",
            "avScan": None,
            "pickleImportScan": None,
        }
    return answer


def folder_answer(path: str, oid: str, last: Commit | None = None) -> Json:
    """Return one folder of a tree."""
    answer: Json = {"type": "directory", "oid": oid, "size": 0, "path": path}
    if last is not None:
        answer["lastCommit"] = _last(last)
    return answer


def _last(commit: Commit) -> Json:
    return {"id": commit.id, "title": commit.title, "date": commit.date}


def commit_answer(commit: Commit, *, formatted: bool) -> Json:
    """Return one commit of a history."""
    answer: Json = {
        "id": commit.id,
        "title": commit.title,
        "message": "",
        "authors": [{"user": commit.author}],
        "date": commit.date,
    }
    if formatted:
        answer["formatted"] = {"title": commit.title, "message": ""}
    return answer


def refs_answer(
    branches: Mapping[str, str], tags: Mapping[str, str], *, pull_requests: bool
) -> Json:
    """Return the refs of a repository: name to commit, pull requests among the branches."""

    def ref(name: str, prefix: str, commit: str) -> Json:
        full = name if name.startswith("refs/") else f"{prefix}{name}"
        return {"name": name, "ref": full, "targetCommit": commit}

    plain = {name: commit for name, commit in branches.items() if not name.startswith("refs/")}
    answer: Json = {
        "branches": [ref(name, "refs/heads/", commit) for name, commit in plain.items()],
        "converts": [
            ref(name, "", commit)
            for name, commit in branches.items()
            if name.startswith("refs/convert/")
        ],
        "tags": [ref(name, "refs/tags/", commit) for name, commit in tags.items()],
    }
    if pull_requests:
        answer["pullRequests"] = [
            ref(name, "", commit)
            for name, commit in branches.items()
            if name.startswith("refs/pr/")
        ]
    return answer


def account_answer(name: str) -> Json:
    """Return what ``/api/whoami-v2`` says to the holder of a token."""
    return {
        "type": "user",
        "id": name,
        "name": name,
        "fullname": name,
        "isPro": False,
        "orgs": [],
        "auth": {
            "type": "access_token",
            "accessToken": {"displayName": name, "role": "read"},
        },
    }


def listing(commit: Commit, folder: str, *, recursive: bool) -> list[str]:
    """Return the paths below ``folder`` (empty for the root), folders included, in order.

    Raises:
        EntryNotFound: there is no such folder.
    """
    if folder not in commit.folders:
        raise EntryNotFound(
            f"{folder!r} is not a folder of this revision",
            why=f"commit {commit.id} has no file below it",
            hint="list the root to see what there is",
        )
    prefix = f"{folder}/" if folder else ""
    paths: Iterable[str] = (*commit.folders, *commit.files)
    found = [path for path in paths if path and path.startswith(prefix)]
    if not recursive:
        found = [path for path in found if "/" not in path[len(prefix) :]]
    return sorted(found)


def page_of(items: Sequence[T], cursor: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """Return the page of ``items`` that ``cursor`` names, and the next page's cursor or None."""
    start = 0
    if cursor:
        try:
            start = int(base64.urlsafe_b64decode(cursor.encode()).decode())
        except (ValueError, binascii.Error):
            start = 0
    start = max(start, 0)
    stop = start + limit
    more = stop < len(items)
    return items[start:stop], _cursor(stop) if more else None


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(str(position).encode()).decode()
