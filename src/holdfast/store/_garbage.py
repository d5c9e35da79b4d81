"""What nobody needs: orphans of killed downloads, blobs that no revision names, old revisions.

Nothing is taken that another process downloads or uses: its lock is asked, then whether anybody has
the file open, and what changed within the last minute is left alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from holdfast.places import Modes, Taken, owner_of, try_lock
from holdfast.store._layout import RepoFolder

__all__ = ["Garbage", "find_garbage", "open_files"]

Kind = Literal["orphan", "unreferenced", "old-revision"]

_GRACE_S = 60.0
_PEER_PARTIAL = re.compile(r"(?P<etag>[0-9a-f]{40}|[0-9a-f]{64})(\.[0-9a-f]{8})?\.incomplete")


class Garbage(NamedTuple):
    """Something that may go.

    Attributes:
        path: a file, or the folder of an old revision.
        kind: ``orphan`` (half a download), ``unreferenced`` (a blob), ``old-revision``.
        size: bytes that removing it gives back.
    """

    path: Path
    kind: Kind
    size: int


def open_files(root: Path) -> set[Path]:
    """Return the files below ``root`` that some process of this machine has open or mapped.

    Linux only, and only processes that this user may look into; elsewhere the set is empty, and
    the system itself refuses to remove what is open (Windows) or keeps it until it is closed.
    """
    if not sys.platform.startswith("linux"):
        return set()
    prefix = str(root.resolve()) + "/"
    found: set[Path] = set()
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            found.update(Path(name) for name in _opened_by(process) if name.startswith(prefix))
    return found


def _opened_by(process: Path) -> Iterator[str]:
    try:
        for descriptor in (process / "fd").iterdir():
            yield str(descriptor.readlink())
    except OSError:
        pass  # it ended, or is not ours to look into
    try:
        with (process / "maps").open(errors="replace") as maps:
            for line in maps:
                _, slash, name = line.rstrip("\n").partition("/")
                if slash:
                    yield slash + name
    except OSError:
        pass  # likewise


def find_garbage(repo: RepoFolder, *, old_revisions: bool, modes: Modes) -> list[Garbage]:
    """Return what may go in one repository; the caller holds its lock.

    Args:
        repo: the repository's folder.
        old_revisions: also revisions that no branch, tag or request by commit names.
        modes: permission bits, for lock files.
    """
    opened = open_files(repo.folder)
    old = _unnamed(repo) if old_revisions and not _peer_at_work(repo, modes) else ()
    doomed = [commit for commit in old if not _in_use(repo, commit, opened)]
    found: list[tuple[Path, Kind]] = [(repo.snapshot(commit), "old-revision") for commit in doomed]
    needed = _needed(repo, [commit for commit in repo.commits() if commit not in doomed])
    for path in _files(repo.blobs):
        kind = _kind(repo, path, needed, modes)
        if kind is not None and path.resolve() not in opened and path not in opened:
            found.append((path, kind))
    return _weighed(found)


def _unnamed(repo: RepoFolder) -> Iterator[str]:
    named = set(repo.refs().values())
    for commit in repo.commits():
        if commit not in named and not repo.requested(commit)[1]:
            yield commit


def _in_use(repo: RepoFolder, commit: str, opened: set[Path]) -> bool:
    """Return whether somebody has a file of a revision open, or has just put one there."""
    for folder, _, names in os.walk(repo.snapshot(commit)):
        if time.time() - Path(folder).stat().st_mtime < _GRACE_S:
            return True
        for path in (Path(folder) / name for name in names):
            if path.resolve() in opened or path.absolute() in opened:
                return True
    return False


def _peer_at_work(repo: RepoFolder, modes: Modes) -> bool:
    """Return whether another tool holds any of its locks: it may be filling any revision."""
    for path in _files(repo.lock_path.parent):
        if path.suffix == ".lock" and path != repo.lock_path:
            try:
                with try_lock(path, modes):
                    continue
            except Taken:
                return True
            except OSError:
                continue  # no lock can be had: how recent things are has to tell
    return False


def _needed(repo: RepoFolder, commits: list[str]) -> tuple[set[str], set[tuple[int, int]]]:
    """Return the blob names and the files (device, inode) that kept revisions rest on."""
    names: set[str] = set()
    files: set[tuple[int, int]] = set()
    for commit in commits:
        names.update(entry.etag for entry in repo.entries(commit))
        for folder, _, entries in os.walk(repo.snapshot(commit)):
            for name in entries:
                path = Path(folder) / name
                try:
                    if path.is_symlink():
                        names.add(path.readlink().name)
                    else:
                        status = path.stat()
                        files.add((status.st_dev, status.st_ino))
                except OSError:
                    continue  # it went while we looked
    return names, files


def _kind(
    repo: RepoFolder,
    path: Path,
    needed: tuple[set[str], set[tuple[int, int]]],
    modes: Modes,
) -> Kind | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    age_s = time.time() - max(status.st_mtime, status.st_ctime)
    if (owner := owner_of(path.name)) is not None:
        return "orphan" if owner.gone(age_s) else None
    partial = _PEER_PARTIAL.fullmatch(path.name)
    etag = partial["etag"] if partial else path.name
    if partial is None:
        if age_s < _GRACE_S:
            return None  # its link may be in the making
        if etag in needed[0] or (status.st_dev, status.st_ino) in needed[1]:
            return None
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", etag):
            return None  # not ours to judge
    if _peer_holds(repo, etag, modes, age_s):
        return None
    return "orphan" if partial else "unreferenced"


def _peer_holds(repo: RepoFolder, etag: str, modes: Modes, age_s: float) -> bool:
    """Return whether another tool is at work on a blob: its lock, or else its recent writing."""
    path = repo.lock_path.with_name(f"{etag}.lock")
    if not path.exists():
        return age_s < _GRACE_S
    try:
        with try_lock(path, modes):
            return False
    except Taken:
        return True
    except OSError:
        return age_s < _GRACE_S


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.is_dir())
    except OSError:
        return []


def _weighed(found: list[tuple[Path, Kind]]) -> list[Garbage]:
    """Say what each gives back: a file with several names, once the last of them goes."""
    names: Counter[tuple[int, int]] = Counter()
    weighed = []
    for path, kind in found:
        size = 0
        for status in _statuses(path):
            names[status.st_dev, status.st_ino] += 1
            if status.st_nlink <= max(1, names[status.st_dev, status.st_ino]):
                size += getattr(status, "st_blocks", 0) * 512 or status.st_size
        weighed.append(Garbage(path, kind, size))
    return weighed


def _statuses(path: Path) -> Iterator[os.stat_result]:
    inside = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
    for file in inside or [path]:
        with contextlib.suppress(OSError):  # it went while we looked
            status = file.lstat()
            if stat.S_ISREG(status.st_mode):
                yield status
