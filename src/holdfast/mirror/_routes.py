"""What a request to the hub asks for, read from its path.

Rules only; nothing here does I/O. The path is taken as it was sent: in ``resolve/refs%2Fpr%2F1/x``
the revision is ``refs/pr/1``, which a decoded path could not tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import unquote_to_bytes

from holdfast.errors import ReferenceInvalid
from holdfast.refs import DEFAULT_REVISION, RepoRef, RepoType

__all__ = ["Action", "Route", "parse_path"]

Action = Literal["info", "tree", "paths-info", "refs", "commits", "resolve", "whoami"]

_KINDS: dict[str, RepoType] = {"models": "model", "datasets": "dataset", "spaces": "space"}
_ACTIONS: dict[str, Action] = {
    "revision": "info",
    "tree": "tree",
    "paths-info": "paths-info",
    "refs": "refs",
    "commits": "commits",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One reading of a path.

    Attributes:
        action: what is asked for.
        repo: the repository; None for ``whoami`` only.
        revision: branch, tag or commit.
        path: the file or folder, empty for the root.
        tail: what followed the repository's id, as it was sent.
    """

    action: Action
    repo: RepoRef | None = None
    revision: str = DEFAULT_REVISION
    path: str = ""
    tail: str = ""


def parse_path(raw_path: str) -> list[Route]:
    """Return every reading of ``raw_path`` (percent-encoded), the likeliest first.

    Ids have one or two parts, so ``/api/models/a/tree/main`` may be the tree of ``a`` or, were
    there such a repository, of ``a/tree``. An empty list means that no route is meant.
    """
    try:
        parts = [unquote_to_bytes(part).decode() for part in raw_path.split("/")[1:]]
    except UnicodeDecodeError:
        return []
    if parts == ["api", "whoami-v2"]:
        return [Route("whoami")]
    kind: RepoType = "model"
    skipped, read = 0, _resolve
    if parts[0] == "api" and len(parts) > 2 and parts[1] in _KINDS:
        kind, skipped, read = _KINDS[parts[1]], 2, _api
    elif parts[0] in {"datasets", "spaces"}:
        kind, skipped = _KINDS[parts[0]], 1
    readings = []
    for length in (2, 1):
        repo = _repo(kind, parts[skipped : skipped + length], length)
        reading = read(repo, parts[skipped + length :]) if repo is not None else None
        if reading is not None:
            tail = "".join(f"/{part}" for part in raw_path.split("/")[1 + skipped + length :])
            readings.append(replace(reading, tail=tail))
    return readings


def _api(repo: RepoRef, rest: list[str]) -> Route | None:
    if not rest:
        return Route("info", repo)
    action = _ACTIONS.get(rest[0])
    if action is None:
        return None
    if action == "refs":
        return Route(action, repo) if len(rest) == 1 else None
    if len(rest) == 1:
        return Route(action, repo) if action != "info" else None
    return _at(action, repo, rest[1:])


def _resolve(repo: RepoRef, rest: list[str]) -> Route | None:
    if len(rest) < 3 or rest[0] != "resolve":
        return None
    return _at("resolve", repo, rest[1:])


def _at(action: Action, repo: RepoRef, rest: list[str]) -> Route | None:
    # Some clients send the slashes of refs/pr/N as they are.
    length = 3 if rest[0] == "refs" and rest[1:2] in (["pr"], ["convert"]) else 1
    revision, path = "/".join(rest[:length]), "/".join(rest[length:])
    if path and action not in {"tree", "resolve"}:
        return None
    return Route(action, repo, revision, path.rstrip("/"))


def _repo(kind: RepoType, parts: list[str], length: int) -> RepoRef | None:
    if len(parts) < length or any("/" in part for part in parts):
        return None
    try:
        return RepoRef("/".join(parts), kind)
    except ReferenceInvalid:
        return None
