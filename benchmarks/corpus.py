"""The repositories that are downloaded: made once on disk, each file named by its digest.

Everything is streamed, so that the process that starts and measures the others stays small.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.repos import TWO_GB, chunks, model_sizes

__all__ = ["Corpus", "File", "Repository", "build"]

_LFS_SUFFIXES = {".safetensors", ".bin", ".ckpt"}


@dataclass(frozen=True)
class File:
    """One file of a revision: where its bytes are, and by which digests a hub announces it."""

    path: str
    size: int
    sha256: str
    git_sha1: str
    blob: Path

    @property
    def lfs(self) -> bool:
        """Whether a hub keeps it in large-file storage, behind a redirect."""
        return Path(self.path).suffix in _LFS_SUFFIXES or self.size >= 10_000_000


@dataclass
class Repository:
    """A repository, its revisions by commit, and where ``main`` stands."""

    name: str
    revisions: dict[str, list[File]] = field(default_factory=dict)
    main: str = ""

    def commit(self, files: list[File]) -> str:
        """Add a revision and move ``main`` to it."""
        identity = self.name + "".join(f"{file.path} {file.git_sha1}\n" for file in files)
        self.main = hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest()
        self.revisions[self.main] = files
        return self.main

    def size(self, commit: str = "") -> int:
        """Return the bytes of one revision, by default of ``main``."""
        return sum(file.size for file in self.revisions[commit or self.main])


@dataclass(frozen=True)
class Corpus:
    """What the cases download."""

    model: Repository
    large: Repository
    small: Repository

    @property
    def repositories(self) -> list[Repository]:
        """All of them, for the hub to serve."""
        return [self.model, self.large, self.small]


def build(folder: Path, scale: float = 1.0) -> Corpus:
    """Make the repositories below ``folder``; ``scale`` shrinks their files for a quick look."""
    folder.mkdir(parents=True, exist_ok=True)
    model = Repository("bench/model-283mb")
    first = [_noise(folder, path, size) for path, size in model_sizes(scale).items()]
    model.commit(first)
    changed = _store(folder, "generation_config.json", [b'{"revised": true}\n'])
    added = _noise(folder, "CHANGES.md", 4_700)
    kept = [file for file in first if file.path != changed.path]
    model.commit([*kept, changed, added])
    large = Repository("bench/one-file-2gb")
    large.commit([_noise(folder, "model.safetensors", int(TWO_GB * scale))])
    small = Repository("bench/small-files-300")
    paths = {f"part-{n % 10}/file-{n:04}.json": 4_000 + n for n in range(300)}
    small.commit([_noise(folder, path, size) for path, size in paths.items()])
    return Corpus(model, large, small)


def _noise(folder: Path, path: str, size: int) -> File:
    return _store(folder, path, chunks(size, path), size)


def _store(folder: Path, path: str, content: Iterable[bytes], size: int | None = None) -> File:
    """Write the content to the file that its digest names, and describe it."""
    if size is None:
        content = list(content)
        size = sum(map(len, content))
    sha256 = hashlib.sha256()
    sha1 = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    target = folder / "incoming"
    with target.open("wb") as file:
        for block in content:
            sha256.update(block)
            sha1.update(block)
            file.write(block)
    blob = target.replace(folder / sha256.hexdigest())
    return File(path, size, sha256.hexdigest(), sha1.hexdigest(), blob)
