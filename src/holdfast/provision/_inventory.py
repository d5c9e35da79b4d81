"""Where bytes are already: in place, in another revision, in a layer, in a folder, half-fetched."""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from holdfast.hub import claimed
from holdfast.places import owner_of
from holdfast.provision._plan import Found
from holdfast.refs import Digest, FileEntry, RepoRef
from holdfast.store import (
    CacheTarget,
    Origin,
    RepoFolder,
    Seals,
    Target,
    forbidden,
    repositories,
    state_of,
)

__all__ = ["Inventory", "resumable"]

_WORTH_A_SEARCH = 1 << 20  # smaller files are fetched sooner than found in other repositories


class Inventory:
    """Answers where an entry's bytes are, and checks them before it says so.

    Args:
        target: where the files are to appear.
        repo: the repository.
        home: the writable hub cache, None when there is none.
        below: read-only hub caches, upper first.
        trust_seals: False hashes whatever is looked at, as repairing has to.
    """

    def __init__(
        self,
        target: Target,
        repo: RepoRef,
        home: Path | None,
        below: Sequence[Path],
        *,
        trust_seals: bool = True,
    ) -> None:
        self._target = target
        self._repo = repo
        self._trust_seals = trust_seals
        self._home = RepoFolder(home, repo) if home is not None else None
        self._below = [RepoFolder(hub, repo) for hub in below]
        self._others: list[RepoFolder] | None = None
        self._by_digest: dict[Digest, list[tuple[Origin, Path, Seals]]] | None = None

    @cached_property
    def _device(self) -> int | None:
        folder = self._target.root
        while not folder.exists() and folder.parent != folder:
            folder = folder.parent
        try:
            return folder.stat().st_dev
        except OSError:
            return None

    def find(self, entries: Sequence[FileEntry]) -> dict[str, Found]:
        """Return, by path, where verified bytes of the entries are."""
        found = {}
        given: set[Path] = set()
        for entry in entries:
            if forbidden(entry.path):
                continue  # it is refused with all others, and until then not even looked for
            path = self._target.path_of(entry)
            if self._good(path, entry, self._target.seals):
                found[entry.path] = Found("here", path)
            elif (elsewhere := self._elsewhere(entry, given)) is not None:
                found[entry.path] = elsewhere
                given.add(elsewhere.path)
        return found

    def _elsewhere(self, entry: FileEntry, given: set[Path]) -> Found | None:
        for origin, path, seals in self._candidates(entry):
            # A file of another revision may be moved, so it can be given once only.
            if origin == "revision" and path in given:
                continue
            if self._good(path, entry, seals):
                return Found(origin, path, near=self._device in (None, path.stat().st_dev))
        return None

    def _good(self, path: Path, entry: FileEntry, seals: Seals) -> bool:
        return state_of(path, entry, seals, trust_seals=self._trust_seals) == "good"

    def _candidates(self, entry: FileEntry) -> Iterator[tuple[Origin, Path, Seals]]:
        if self._home is not None:
            yield "blob", self._home.blobs / entry.etag, self._home.seals
        for layer in self._below:
            yield "layer", layer.blobs / entry.etag, layer.seals
        yield from self._index().get(entry.digest, [])
        if entry.size >= _WORTH_A_SEARCH:
            for other in self._other_repositories():
                yield "repository", other.blobs / entry.etag, other.seals

    def _index(self) -> dict[Digest, list[tuple[Origin, Path, Seals]]]:
        """Files that lie in snapshots and folders themselves, known by their listings."""
        if self._by_digest is None:
            self._by_digest = defaultdict(list)
            if self._home is not None:
                self._index_snapshots(self._home, "revision")
            for layer in self._below:
                self._index_snapshots(layer, "layer")
            if self._home is not None:
                for folder in self._home.known_folders():
                    self._index_folder(folder)
        return self._by_digest

    def _index_snapshots(self, repo: RepoFolder, origin: Origin) -> None:
        if self._by_digest is None:
            return
        cache = self._target if isinstance(self._target, CacheTarget) else None
        own = cache.root if cache else None
        leaving = cache.superseded if cache else None
        # First the revision that is being left: its files may be moved where nothing can be linked.
        for commit in sorted(repo.commits(), key=lambda c: c != leaving):
            root = repo.snapshot(commit)
            if root == own:
                continue
            for entry in repo.entries(commit):
                path = root.joinpath(*entry.path.split("/"))
                self._by_digest[entry.digest].append((origin, path, repo.seals))

    def _index_folder(self, folder: Path) -> None:
        from holdfast.places import Modes
        from holdfast.store import FolderTarget

        if self._by_digest is None or folder == self._target.root:
            return
        target = FolderTarget(folder, "", Modes())
        present = target.present()
        if present is None or present[0] != str(self._repo):
            return
        for entry in target.requested():
            self._by_digest[entry.digest].append(("folder", target.path_of(entry), target.seals))

    def _other_repositories(self) -> list[RepoFolder]:
        if self._others is None:
            hub = self._home.hub if self._home is not None else None
            self._others = (
                []
                if hub is None
                else [RepoFolder(hub, ref) for ref in repositories(hub) if ref != self._repo]
            )
        return self._others


def resumable(target: Target, entries: Sequence[FileEntry]) -> dict[str, tuple[int, Path]]:
    """Return, by path, what interrupted downloads left: the fullest for each, and its bytes."""
    stems = {target.stem_of(entry): entry for entry in entries}
    best: dict[str, tuple[int, Path]] = {}
    for path, stem, _ in orphans(target.workspace):
        entry = stems.get(stem)
        if entry is None:
            continue
        with contextlib.suppress(FileNotFoundError):  # taken by another process meanwhile
            held = claimed(path, entry.size)
            if held > best.get(entry.path, (0, path))[0]:
                best[entry.path] = (held, path)
    return best


def orphans(workspace: Path) -> Iterator[tuple[Path, str, int]]:
    """Yield the temporary files whose owners are gone: path, stem, and bytes on the disk."""
    try:
        names = os.listdir(workspace)  # noqa: PTH208 - names, not paths
    except OSError:
        return
    for name in names:
        owner = owner_of(name)
        if owner is None:
            continue
        path = workspace / name
        try:
            status = path.stat()
        except OSError:
            continue  # finished or taken meanwhile
        if owner.gone(time.time() - status.st_mtime):
            yield path, owner.stem, status.st_size
