"""What ``models.toml`` asks for and what ``models.lock`` pins.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.refs import Digest, FileEntry, RevisionRef

__all__ = ["Lock", "LockedModel", "ModelRequest", "pointer_id", "stale_reasons"]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One model of ``models.toml``.

    Attributes:
        name: what the project calls it.
        ref: repository and revision.
        include: patterns of files to bring; all, if empty.
        exclude: patterns of files to leave out.
        local_dir: a folder for it, relative to the manifest; "" for the home.
    """

    name: str
    ref: RevisionRef
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    local_dir: str = ""


@dataclass(frozen=True, slots=True)
class LockedModel:
    """One model of ``models.lock``: the request it answers, the commit, and every file.

    ``unknown`` keeps fields that this version does not know, so that they survive rewriting;
    ``unknown_of_files`` those of single files, by path.
    """

    request: ModelRequest
    commit: str
    files: tuple[FileEntry, ...]
    unknown: dict[str, Any] = field(default_factory=dict, hash=False)
    unknown_of_files: dict[str, dict[str, Any]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Lock:
    """A whole ``models.lock``."""

    models: tuple[LockedModel, ...] = ()
    unknown: dict[str, Any] = field(default_factory=dict, hash=False)

    def find(self, name: str) -> LockedModel | None:
        """Return the model of that name, or None."""
        return next((m for m in self.models if m.request.name == name), None)


def pointer_id(digest: Digest, size: int) -> str:
    """Return git's object id for what git stores of a file.

    Of an LFS file that is a small pointer text (git-lfs specification, version 1).
    """
    if digest.algorithm == "git-sha1":
        return digest.hex
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest.hex}\nsize {size}\n"
    header = b"blob %d\0" % len(text)
    return hashlib.sha1(header + text.encode(), usedforsecurity=False).hexdigest()


def stale_reasons(requests: Sequence[ModelRequest], lock: Lock) -> list[str]:
    """Return why a lock does not answer the requests; empty when it does."""
    reasons = []
    names = {request.name for request in requests}
    for request in requests:
        locked = lock.find(request.name)
        if locked is None:
            reasons.append(f"{request.name} is not in the lock")
        elif locked.request != request:
            reasons.append(f"{request.name} was locked for another request")
    reasons += [
        f"{locked.request.name} is locked and no longer asked for"
        for locked in lock.models
        if locked.request.name not in names
    ]
    return reasons
