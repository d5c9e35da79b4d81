"""Verifying what is stored, offline, by hashing every byte; and repairing only what is broken."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.errors import NotHere
from holdfast.events import Notice, Reporter
from holdfast.provision._pull import Provisioner, Pulled
from holdfast.provision._resolve import Resolved, Wanted
from holdfast.refs import FileEntry, RepoRef, RevisionRef
from holdfast.store import CacheTarget, FolderTarget, RepoFolder, State, file_digest, state_of

__all__ = ["BadFile", "Report", "repair", "stored", "verify"]

Place = CacheTarget | FolderTarget
# Two threads keep one core hashing while the other reads; more gave nothing where it was measured.
_THREADS = 2


class BadFile(NamedTuple):
    """A stored file that is not what it should be."""

    revision: RevisionRef
    entry: FileEntry
    path: Path
    state: State
    actual: str

    def to_dict(self) -> dict[str, str]:
        """Return the finding as JSON-ready data."""
        return {
            "repo": str(self.revision.repo),
            "commit": self.revision.revision,
            "file": self.entry.path,
            "path": str(self.path),
            "state": self.state,
            "expected": str(self.entry.digest),
            "actual": self.actual,
        }

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.state}: expected {self.entry.digest} "
            f"({self.entry.size} bytes), found {self.actual}"
        )


class Report(NamedTuple):
    """What verifying found.

    Attributes:
        revisions: how many were looked at.
        files: how many files were hashed or found missing.
        size: bytes hashed.
        seconds: how long it took.
        bad: every file that is not right.
        unlisted: revisions whose expected content is known nowhere here.
    """

    revisions: int
    files: int
    size: int
    seconds: float
    bad: tuple[BadFile, ...]
    unlisted: tuple[RevisionRef, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data."""
        return {
            "revisions": self.revisions,
            "files": self.files,
            "bytes": self.size,
            "seconds": round(self.seconds, 3),
            "bad": [bad.to_dict() for bad in self.bad],
            "unlisted": [str(ref) for ref in self.unlisted],
        }


class _Stored(NamedTuple):
    revision: RevisionRef
    place: Place
    listing: list[FileEntry]
    expected: list[FileEntry]
    layer: bool = False  # never written, whatever its permissions would allow


def stored(repo: RepoFolder, commit: str) -> tuple[list[FileEntry], list[FileEntry]]:
    """Return the listing of a stored revision, and those of its files that should be here.

    Holdfast remembers what it was asked for. Of revisions brought by other tools, what has a name
    in the snapshot is expected, a link that leads nowhere included.
    """
    listing = repo.entries(commit)
    asked = {entry.path for entry in repo.requested(commit)[0]}
    root = repo.snapshot(commit)

    def named(entry: FileEntry) -> bool:
        return os.path.lexists(root.joinpath(*entry.path.split("/")))

    return listing, [entry for entry in listing if entry.path in asked or named(entry)]


def verify(
    provisioner: Provisioner,
    refs: list[RevisionRef],
    *,
    local_dir: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Hash every stored file of some revisions, or of everything in the home. No network.

    Args:
        provisioner: knows the homes.
        refs: what to verify; everything in the homes, if empty.
        local_dir: a folder of the user's choice to verify instead.
        progress: told the bytes hashed so far.

    Raises:
        NotHere: something named is not stored here at all.
    """
    from concurrent.futures import ThreadPoolExecutor

    started = time.monotonic()
    found = list(_stored(provisioner, refs, local_dir))
    files = [(item, entry) for item in found for entry in item.expected]
    hashed = 0
    bad: list[BadFile] = []
    check = _Check()
    pool = ThreadPoolExecutor(_THREADS, "holdfast-verify")
    try:
        for entry, outcome in pool.map(check.one, files):
            hashed += entry.size
            if progress is not None:
                progress(hashed)
            if outcome is not None:
                bad.append(outcome)
    finally:
        check.stop.set()  # after Ctrl-C nothing is hashed to its end
        pool.shutdown(cancel_futures=True)
    bad = _still_bad(bad, found)
    for item in found:
        if not item.layer:
            _save_seals(item.place, provisioner)
    unlisted = tuple(item.revision for item in found if not item.listing)
    seconds = time.monotonic() - started
    return Report(len(found), len(files), hashed, seconds, tuple(bad), unlisted)


def _still_bad(bad: list[BadFile], found: list[_Stored]) -> list[BadFile]:
    """Leave out what is missing because another process has moved it to a newer revision."""
    missing = {item.revision for item in bad if item.state == "missing"}
    expected = {
        item.place.path_of(entry)
        for item in found
        if item.revision in missing
        for entry in _expected_now(item)
    }
    return [item for item in bad if item.state != "missing" or item.path in expected]


def _expected_now(item: _Stored) -> list[FileEntry]:
    if isinstance(item.place, CacheTarget):
        return stored(item.place.repo, item.place.commit)[1]
    return item.expected


class _Check:
    """Hashes one file after another, each file on the disk once, until it is told to stop."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._good: set[tuple[object, ...]] = set()

    def one(self, pair: tuple[_Stored, FileEntry]) -> tuple[FileEntry, BadFile | None]:
        item, entry = pair
        path = item.place.path_of(entry)
        same = (entry.digest, *_identity(path))
        if same in self._good:
            return entry, None  # a blob that several revisions share
        seals = item.place.seals
        state = state_of(path, entry, seals, trust_seals=False, taken=self._taken)
        if state != "good":
            actual = _actual(path, entry, state)
            if state == "wrong-content" and not item.layer:
                _set_apart(path)
            return entry, BadFile(item.revision, entry, path, state, actual)
        self._good.add(same)
        return entry, None

    def _taken(self, count: int) -> None:
        del count
        if self.stop.is_set():
            raise InterruptedError


def _set_apart(path: Path) -> None:
    # A good copy elsewhere has the same age, and its seal must not vouch for this file again.
    with contextlib.suppress(OSError):
        os.utime(path)


def _identity(path: Path) -> tuple[object, ...]:
    # Numbers of files count only where the file system knows of several names; elsewhere some give
    # the number of one file to another soon after.
    with contextlib.suppress(OSError):
        status = path.stat()
        if status.st_nlink > 1:
            return status.st_dev, status.st_ino
    return (os.path.realpath(path),)


def _actual(path: Path, entry: FileEntry, state: State) -> str:
    if state == "missing":
        return "nothing"
    try:
        if state == "wrong-size":
            return f"{path.stat().st_size} bytes"
        return f"{entry.digest.algorithm}:{file_digest(path, entry.digest)}"
    except OSError as error:
        return str(error.strerror)


def _save_seals(place: Place, provisioner: Provisioner) -> None:
    try:
        place.seals.save(provisioner.modes)
    except OSError as error:
        text = f"{place.root} is read-only: that it was verified is not remembered"
        provisioner.report(Notice("info", f"{text} ({error.strerror})"))


def _stored(
    provisioner: Provisioner, refs: list[RevisionRef], local_dir: Path | None
) -> Iterator[_Stored]:
    if local_dir is not None:
        yield _stored_folder(provisioner, refs, local_dir)
        return
    hubs = provisioner.places.readable(certain=True)
    wanted: list[RevisionRef | None] = [*refs] or [None]
    for ref in wanted:
        count = 0
        above: dict[RevisionRef, set[str]] = {}
        for hub in hubs:
            for item in _stored_in(hub, ref, provisioner):
                count += 1
                paths = {entry.path for entry in item.expected}
                # What is whole in an upper home is used from there, and not from below.
                if not paths <= above.get(item.revision, set()) or not paths:
                    above.setdefault(item.revision, paths)
                    yield item
        if ref is not None and not count:
            raise NotHere(
                f"{ref} is not stored here",
                why="looked in " + (", ".join(map(str, hubs)) or "no home: there is none yet"),
                hint=f"holdfast pull {ref}",
            )


def _stored_in(hub: Path, ref: RevisionRef | None, provisioner: Provisioner) -> Iterator[_Stored]:
    from holdfast.store import repositories

    layer = hub in provisioner.places.layers
    repos = [ref.repo] if ref is not None else repositories(hub)
    for repo_ref in repos:
        repo = RepoFolder(hub, repo_ref)
        commits = repo.commits()
        if ref is not None:
            known = repo.read_ref(ref.revision)
            commits = [commit for commit in commits if commit == known]
        for commit in commits:
            place = CacheTarget(repo, commit, (), provisioner.modes)
            listing, expected = stored(repo, commit)
            yield _Stored(RevisionRef(repo_ref, commit), place, listing, expected, layer)


def _stored_folder(provisioner: Provisioner, refs: list[RevisionRef], local_dir: Path) -> _Stored:
    looked = FolderTarget(local_dir, "", provisioner.modes)
    present = looked.present()
    if present is None or (refs and str(refs[0].repo) != present[0]):
        raise NotHere(
            f"{local_dir} does not hold {refs[0] if refs else 'a model'}",
            why=f"its records say: {present[0] if present else 'nothing was brought here'}",
            hint=f"holdfast pull {refs[0] if refs else 'OWNER/NAME'} --local-dir {local_dir}",
        )
    name, commit = present
    kind, _, rest = name.partition("/")
    singular = {"datasets": "dataset", "spaces": "space"}.get(kind)
    repo = RepoRef(rest, singular) if singular else RepoRef(name)  # type: ignore[arg-type]
    place = FolderTarget(local_dir, commit, provisioner.modes)
    expected = place.requested()
    return _Stored(RevisionRef(repo, commit), place, place.listing(commit) or expected, expected)


def repair(
    provisioner: Provisioner,
    refs: list[RevisionRef],
    *,
    local_dir: Path | None = None,
    report: Reporter,
) -> tuple[Report, list[Pulled]]:
    """Verify, fetch what is broken again, and verify once more.

    Returns:
        The last report (its ``bad`` is empty unless something could not be mended), and what was
        brought.

    Raises:
        HoldfastError: the Hub could not be reached, or the home not be written.
    """
    before = verify(provisioner, refs, local_dir=local_dir)
    by_revision: dict[RevisionRef, list[BadFile]] = {}
    for bad in before.bad:
        report(Notice("warning", str(bad)))
        by_revision.setdefault(bad.revision, []).append(bad)
    brought = []
    for revision, files in by_revision.items():
        brought.append(_mend(provisioner, revision, files, local_dir))
    if not brought:
        return before, []
    return verify(provisioner, refs, local_dir=local_dir), brought


def _mend(
    provisioner: Provisioner, revision: RevisionRef, files: list[BadFile], local_dir: Path | None
) -> Pulled:
    broken = {bad.entry.path: bad.entry for bad in files}
    local = provisioner.local(Wanted(revision, local_dir=local_dir))
    if local_dir is None and not _all_below(provisioner.places.home.hub, files):
        # A layer is never written: the whole revision is made to be in the home, on top of it.
        for repo in local.repos:
            for entry in stored(repo, revision.revision)[1]:
                broken.setdefault(entry.path, entry)
    entries = list(broken.values())
    wanted = Wanted(revision, local_dir=local_dir, paths=frozenset(broken))
    listing = local.listing(revision.revision)
    resolved = Resolved(
        revision.revision, listing or entries, complete_listing=bool(listing), requested=True
    )
    # Seals do not count here: a good copy of the same age may have vouched for the bad one.
    return provisioner.bring(wanted, resolved, entries, time.monotonic(), repairing=True)


def _all_below(hub: Path, files: list[BadFile]) -> bool:
    return all(bad.path.is_relative_to(hub) for bad in files)
