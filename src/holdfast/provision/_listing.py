"""What is stored: every revision in the homes, and how complete it is. By size only, so quickly."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from holdfast.places import SearchPath
from holdfast.provision._verify import stored
from holdfast.store import RepoFolder, licence_of, repositories

__all__ = ["StoredModel", "stored_models"]


class StoredModel(NamedTuple):
    """One revision in one home.

    Attributes:
        repo: the repository.
        commit: the revision.
        refs: branches and tags that were last known to point there.
        path: the folder of its files.
        files: how many files should be here.
        present: how many are, with the right size.
        size: their bytes.
        known: what should be here is known; another tool may have kept no listing.
        licence: as its card states it; None where that says nothing, or is not here.
    """

    repo: str
    commit: str
    refs: tuple[str, ...]
    path: Path
    files: int
    present: int
    size: int
    known: bool
    licence: str | None

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for is here, as far as that is known."""
        return self.known and self.files == self.present

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready data."""
        return {
            "repo": self.repo,
            "commit": self.commit,
            "refs": list(self.refs),
            "path": str(self.path),
            "files": self.files,
            "present": self.present,
            "bytes": self.size,
            "complete": self.complete,
            "known": self.known,
            "licence": self.licence,
        }


def stored_models(places: SearchPath) -> list[StoredModel]:
    """Return every revision in the homes, those of upper layers first."""
    rows = []
    for hub in places.readable(certain=True):
        for ref in repositories(hub):
            repo = RepoFolder(hub, ref)
            names = repo.refs()
            for commit in repo.commits():
                pointing = tuple(sorted(n for n, c in names.items() if c == commit))
                rows.append(_row(repo, commit, pointing))
    return rows


def _row(repo: RepoFolder, commit: str, refs: tuple[str, ...]) -> StoredModel:
    expected = stored(repo, commit)[1]
    root = repo.snapshot(commit)
    sizes = []
    for entry in expected:
        try:
            size = root.joinpath(*entry.path.split("/")).stat().st_size
        except OSError:
            continue  # not here: it counts as missing
        if size == entry.size:
            sizes.append(size)
    known = bool(repo.listing(commit) or repo.requested(commit)[0])
    size = sum(sizes)
    return StoredModel(
        str(repo.repo), commit, refs, root, len(expected), len(sizes), size, known, licence_of(root)
    )
