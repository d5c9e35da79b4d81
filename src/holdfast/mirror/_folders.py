"""A plain folder as a repository: its files are the branch ``main``.

Files are hashed once and remembered by size and modification time, so a folder that somebody drops
in is served at the cost of one read.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from holdfast.errors import EntryNotFound, ReferenceInvalid
from holdfast.mirror._disk import file_digests, write_bytes
from holdfast.mirror._objects import (
    Commit,
    Entry,
    check_file_path,
    commit_id,
    git_blob_id,
    is_lfs,
    lfs_pointer,
    tree_ids,
)

__all__ = ["AUTHOR", "PlainFolder", "iso_date"]

AUTHOR = "holdfast"
_RESCAN_AFTER_S = 1.0
_SKIPPED = frozenset({".git", ".cache", ".DS_Store", "__pycache__"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a file looked like when it was hashed: bytes, and nanoseconds since the epoch."""

    size: int
    modified_ns: int
    entry: Entry


class PlainFolder:
    """Scans one folder and remembers what it found in ``index``."""

    def __init__(self, folder: Path, index: Path) -> None:
        self._folder = folder
        self._index = index
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}
        self._commit: Commit | None = None
        self._scanned_at = 0.0

    def commit(self) -> Commit:
        """Return what the folder holds, at most a second old."""
        with self._lock:
            fresh = time.monotonic() - self._scanned_at < _RESCAN_AFTER_S
            if self._commit is None or not fresh:
                self._scan()
                self._scanned_at = time.monotonic()
            assert self._commit is not None
            return self._commit

    def content(self, entry: Entry) -> Path:
        """Return the file of ``entry``.

        Raises:
            EntryNotFound: the file is not what it was when the commit was made.
        """
        path = self._folder / entry.path
        seen = self._seen.get(entry.path)
        if seen is None or seen.entry != entry or not _unchanged(path, seen):
            raise EntryNotFound(
                f"{entry.path!r} has changed in {self._folder} since it was listed",
                why="the folder is served as it is, so an older state of it is gone",
                hint="ask for the branch 'main' again",
            )
        return path

    def find(self, sha256: str) -> Path | None:
        """Return the file with this content, if there still is one."""
        for seen in tuple(self._seen.values()):
            path = self._folder / seen.entry.path
            if seen.entry.sha256 == sha256 and _unchanged(path, seen):
                return path
        return None

    def _scan(self) -> None:
        if self._commit is None:
            self._seen = self._remembered()
        found: dict[str, _Seen] = {}
        for name, path in sorted(self._walk(self._folder, "")):
            known = self._seen.get(name)
            found[name] = known if known and _unchanged(path, known) else _look(name, path)
        if found != self._seen or self._commit is None:
            self._seen = found
            self._commit = _commit_of([seen.entry for seen in found.values()], found)
            self._remember()

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
        with os.scandir(folder) as items:
            for item in items:
                if item.name in _SKIPPED:
                    continue
                name = prefix + item.name
                if item.is_dir(follow_symlinks=False):
                    yield from self._walk(folder / item.name, f"{name}/")
                elif item.is_file() and _nameable(name):
                    yield name, folder / item.name

    def _remembered(self) -> dict[str, _Seen]:
        try:
            rows = json.loads(self._index.read_bytes())
            return {
                path: _Seen(size, modified_ns, Entry(path, size, oid, sha256))
                for path, size, modified_ns, oid, sha256 in rows
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            _log.warning("hashing %s anew: its index is unreadable (%s)", self._folder, error)
            return {}

    def _remember(self) -> None:
        rows = [
            (path, seen.size, seen.modified_ns, seen.entry.oid, seen.entry.sha256)
            for path, seen in self._seen.items()
        ]
        try:
            write_bytes(self._index, json.dumps(rows).encode(), durable=False)
        except OSError as error:
            # Only time is lost: a read-only folder of models is served all the same.
            _log.warning("%s will be hashed again next time: %s", self._folder, error)


def iso_date(seconds: float) -> str:
    """Return a time after the epoch as the hub writes dates."""
    stamp = datetime.fromtimestamp(seconds, UTC)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}Z"


def _commit_of(entries: list[Entry], found: dict[str, _Seen]) -> Commit:
    files = {entry.path: entry for entry in entries}
    newest = max((seen.modified_ns for seen in found.values()), default=0) // 1_000_000_000
    # The id depends on the content alone: the same files are the same revision on every machine.
    tree = tree_ids(entries)[""]
    name = commit_id(tree=tree, parent=None, author=AUTHOR, seconds=0, title="Folder")
    return Commit(name, files, None, "Folder", AUTHOR, iso_date(newest))


def _look(name: str, path: Path) -> _Seen:
    with path.open("rb") as stream:
        facts = os.fstat(stream.fileno())
        sha256, oid = file_digests(stream, facts.st_size)
    if is_lfs(name, facts.st_size):
        pointer = git_blob_id(lfs_pointer(sha256, facts.st_size))
        entry = Entry(name, facts.st_size, pointer, sha256)
    else:
        entry = Entry(name, facts.st_size, oid)
    return _Seen(facts.st_size, facts.st_mtime_ns, entry)


def _unchanged(path: Path, seen: _Seen) -> bool:
    try:
        facts = path.stat()
    except OSError:
        return False
    return (facts.st_size, facts.st_mtime_ns) == (seen.size, seen.modified_ns)


def _nameable(name: str) -> bool:
    try:
        name.encode()
        check_file_path(name)
    except (UnicodeEncodeError, ReferenceInvalid):
        _log.warning("not served, the name is not text: %r", name)
        return False
    return True
