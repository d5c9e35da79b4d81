"""Names of things on a hub: repositories, revisions, paths and digests.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal, NamedTuple, Protocol, Self

from holdfast.errors import ReferenceInvalid

__all__ = [
    "DEFAULT_REVISION",
    "Digest",
    "FileEntry",
    "Hasher",
    "RepoRef",
    "RepoType",
    "RevisionRef",
    "is_commit",
    "parse_ref",
]

RepoType = Literal["model", "dataset", "space"]
Algorithm = Literal["sha256", "git-sha1"]
DEFAULT_REVISION = "main"

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]{1,255}")
_HEX = {"sha256": re.compile(r"[0-9a-f]{64}"), "git-sha1": re.compile(r"[0-9a-f]{40}")}
_PLURAL: dict[RepoType, str] = {"model": "models", "dataset": "datasets", "space": "spaces"}
_SINGULAR: dict[str, RepoType] = {plural: kind for kind, plural in _PLURAL.items()}


class Hasher(Protocol):
    """The part of a hashlib object that is used here."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Return the digest so far, in hexadecimal."""


class _Digest(NamedTuple):
    algorithm: Algorithm
    hex: str


class Digest(_Digest):
    """What content must hash to: ``sha256`` for LFS, ``git-sha1`` (a git blob) otherwise.

    Raises:
        ReferenceInvalid: it has not the algorithm's number of hexadecimal digits.
    """

    __slots__ = ()

    def __new__(cls, algorithm: Algorithm, hex: str) -> Self:  # noqa: A002 - as hashlib says it
        """Check the digits."""
        if not _HEX[algorithm].fullmatch(hex):
            raise ReferenceInvalid(
                f"{hex!r} is not a {algorithm} digest",
                why=f"it must be {64 if algorithm == 'sha256' else 40} hexadecimal digits",
                hint="ask the hub's operator: its listing is malformed",
            )
        return super().__new__(cls, algorithm, hex)

    def hasher(self, size: int) -> Hasher:
        """Return a hash object that has taken whatever precedes the content.

        A git blob's identity covers a header with the content's ``size`` in bytes.
        """
        if self.algorithm == "sha256":
            return hashlib.sha256()
        # Git's object name, not a security boundary of ours: plain files have no other digest.
        hasher = hashlib.sha1(usedforsecurity=False)
        hasher.update(b"blob %d\0" % size)
        return hasher

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


class FileEntry(NamedTuple):
    """One file of a revision, as its listing promises it.

    Attributes:
        path: relative to the repository, with ``/``; not yet checked for containment.
        size: bytes of the content.
        digest: what the content hashes to.
        blob_id: git's object id of what git stores (the pointer, for LFS files).
        xet_hash: the Xet store's name for the content, None where it has none.
    """

    path: str
    size: int
    digest: Digest
    blob_id: str
    xet_hash: str | None = None

    @property
    def etag(self) -> str:
        """The name of the blob in a Hugging Face cache."""
        return self.digest.hex


class _RepoRef(NamedTuple):
    id: str
    type: RepoType = "model"


class RepoRef(_RepoRef):
    """A repository: its type and its id (``name`` or ``owner/name``).

    Raises:
        ReferenceInvalid: no repository can have this id.
    """

    __slots__ = ()

    def __new__(cls, id: str, type: RepoType = "model") -> Self:  # noqa: A002 - the Hub's words
        """Check the id."""
        parts = id.split("/")
        sound = all(_PART.fullmatch(part) and ".." not in part for part in parts)
        if len(parts) > 2 or not sound or "--" in id or id.endswith((".git", ".ipynb")):
            raise ReferenceInvalid(
                f"{id!r} is not a repository id",
                why="it must be NAME or OWNER/NAME in letters, digits, '.', '_' and '-', "
                "without '--' or '..', and not begin or end in '-' or '.'",
                hint="holdfast pull OWNER/NAME    (datasets: datasets/OWNER/NAME)",
            )
        return super().__new__(cls, id, type)

    @property
    def folder_name(self) -> str:
        """The repository's folder in a Hugging Face cache: ``models--owner--name``."""
        return "--".join((_PLURAL[self.type], *self.id.split("/")))

    @property
    def api_path(self) -> str:
        """The path below ``/api/``: ``models/owner/name``."""
        return f"{_PLURAL[self.type]}/{self.id}"

    @property
    def resolve_prefix(self) -> str:
        """The path below the endpoint: ``owner/name`` or ``datasets/owner/name``."""
        return self.id if self.type == "model" else self.api_path

    @classmethod
    def from_folder_name(cls, name: str) -> RepoRef | None:
        """Read a cache folder's name back, or None when it is not one."""
        plural, _, rest = name.partition("--")
        if plural not in _SINGULAR or not rest:
            return None
        try:
            return cls("/".join(rest.split("--")), _SINGULAR[plural])
        except ReferenceInvalid:
            return None

    def __str__(self) -> str:
        return self.resolve_prefix


class _RevisionRef(NamedTuple):
    repo: RepoRef
    revision: str = DEFAULT_REVISION


class RevisionRef(_RevisionRef):
    """A repository at a branch, tag or commit.

    Raises:
        ReferenceInvalid: nothing can have this name.
    """

    __slots__ = ()

    def __new__(cls, repo: RepoRef, revision: str = DEFAULT_REVISION) -> Self:
        """Check the revision's name."""
        parts = revision.split("/")
        unsound = any(not p or p.startswith(".") or p.endswith((".", ".lock")) for p in parts)
        if unsound or not _REVISION.fullmatch(revision) or ".." in revision:
            raise ReferenceInvalid(
                f"{revision!r} is not a revision",
                why="it must be the name of a branch or tag, or a commit of 40 hex digits",
                hint=f"holdfast pull {repo}@main",
            )
        return super().__new__(cls, repo, revision)

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit and can therefore never move."""
        return is_commit(self.revision)

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}"


def is_commit(revision: str) -> bool:
    """Return whether ``revision`` is a full commit hash."""
    return _COMMIT.fullmatch(revision) is not None


def parse_ref(text: str, revision: str | None = None) -> RevisionRef:
    """Read ``[models/|datasets/|spaces/]OWNER/NAME[@REVISION]``.

    Raises:
        ReferenceInvalid: the text names no repository, or the revision is given twice.
    """
    if not isinstance(text, str):
        raise ReferenceInvalid(
            f"{text!r} is not a repository", why="its name must be text", hint='"OWNER/NAME"'
        )
    name, at, inline = text.strip().partition("@")
    if at and revision is not None and inline != revision:
        raise ReferenceInvalid(
            f"{text!r} names revision {inline!r} and {revision!r} was asked for",
            why="only one revision can be meant",
            hint=f"holdfast pull {name}@{revision}",
        )
    kind: RepoType = "model"
    head, _, rest = name.partition("/")
    if rest and head in _SINGULAR and (head != "models" or "/" in rest):
        kind, name = _SINGULAR[head], rest
    wanted = inline if at else (revision if revision is not None else DEFAULT_REVISION)
    return RevisionRef(RepoRef(name, kind), wanted)
