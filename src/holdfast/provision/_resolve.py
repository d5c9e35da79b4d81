"""Which commit, which files: from the Hub within a limit, else what was last known here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from holdfast.config import Settings
from holdfast.errors import (
    AccessDenied,
    EntryNotFound,
    GatedRepo,
    HoldfastError,
    HubUnavailable,
    NotHere,
    RepoNotFound,
)
from holdfast.events import Notice, Reporter
from holdfast.hub import HubClient
from holdfast.places import is_folder
from holdfast.provision._plan import select
from holdfast.refs import FileEntry, RevisionRef
from holdfast.store import FolderTarget, RepoFolder

__all__ = ["Local", "Resolved", "Wanted", "resolve"]


class Wanted(NamedTuple):
    """A revision, or some of its files, to be brought to a home or a folder.

    Attributes:
        ref: repository and revision.
        include: patterns of files to bring; all, if empty.
        exclude: patterns of files to leave out.
        local_dir: a folder of the user's choice, instead of the home's cache.
        paths: exactly these files, whatever the patterns say.
    """

    ref: RevisionRef
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    local_dir: Path | None = None
    paths: frozenset[str] | None = None

    def select(self, entries: Sequence[FileEntry]) -> list[FileEntry]:
        """Return the files that are meant.

        Raises:
            EntryNotFound: the patterns leave nothing.
        """
        chosen = self.matching(entries)
        if not chosen:
            names = ", ".join(entry.path for entry in entries[:10]) or "no files at all"
            raise EntryNotFound(
                f"nothing in {self.ref} matches what was asked for",
                why=f"include {list(self.include)}, exclude {list(self.exclude)}; it has {names}",
                hint=f"holdfast plan {self.ref}",
            )
        return chosen

    def matching(self, entries: Sequence[FileEntry]) -> list[FileEntry]:
        """Return the files that are meant, which may be none."""
        if self.paths is not None:
            return [entry for entry in entries if entry.path in self.paths]
        return select(entries, self.include, self.exclude)


class Resolved(NamedTuple):
    """A revision as far as it could be found out.

    Attributes:
        commit: the revision.
        entries: all its files.
        stale: the Hub did not confirm that the branch still points there.
        complete_listing: the listing is the Hub's own; False for one read off a folder.
        requested: what is here is what Holdfast was asked for.
    """

    commit: str
    entries: list[FileEntry]
    stale: bool = False
    complete_listing: bool = True
    requested: bool = False


class Local:
    """What is known here about one repository: in the home, the layers, and the folder meant."""

    def __init__(self, wanted: Wanted, hubs: Sequence[Path], folder: FolderTarget | None) -> None:
        self._wanted = wanted
        self._folder = folder
        self.repos = [RepoFolder(hub, wanted.ref.repo) for hub in hubs]

    @property
    def knows_repository(self) -> bool:
        """Whether anything of the repository is here at all."""
        return self._folder is not None or any(is_folder(repo.folder) for repo in self.repos)

    def listing(self, commit: str) -> list[FileEntry] | None:
        """Return all files of a commit, if its listing was kept anywhere."""
        if self._folder is not None and (found := self._folder.listing(commit)) is not None:
            return found
        for repo in self.repos:
            if (found := repo.listing(commit)) is not None:
                return found
        return None

    def partial(self, commit: str) -> list[FileEntry]:
        """Return what else is known of a commit's files, where no listing was kept, or nothing."""
        if self._folder is not None and (found := self._folder.requested()):
            return found
        for repo in self.repos:
            if found := repo.entries(commit):
                return found
        return []

    def last_known(self) -> Resolved | None:
        """Return the last commit the revision was known at whose files seem to be all here."""
        for commit in self._known_commits():
            entries = self.listing(commit)
            complete = entries is not None
            entries = entries if entries is not None else self.partial(commit)
            chosen = self._wanted.matching(entries)
            if chosen and all(self._seems_here(commit, entry) for entry in chosen):
                asked = any(repo.requested(commit)[0] for repo in self.repos)
                return Resolved(
                    commit, entries, stale=True, complete_listing=complete,
                    requested=asked or self._folder is not None,
                )  # fmt: skip
        return None

    def lacking(self) -> list[str]:
        """Return the files that keep the revision, as far as it is known, from being whole here."""
        for commit in self._known_commits():
            chosen = self._wanted.matching(self.listing(commit) or self.partial(commit))
            if chosen:
                return [entry.path for entry in chosen if not self._seems_here(commit, entry)]
        return []

    def _known_commits(self) -> list[str]:
        ref = self._wanted.ref
        known = [repo.read_ref(ref.revision) for repo in self.repos]
        if self._folder is not None:
            known.insert(0, self._folder.known_commit(ref))
        return list(dict.fromkeys(commit for commit in known if commit is not None))

    def _seems_here(self, commit: str, entry: FileEntry) -> bool:
        parts = entry.path.split("/")
        places = [repo.snapshot(commit).joinpath(*parts) for repo in self.repos]
        places += [repo.blobs / entry.etag for repo in self.repos]
        if self._folder is not None:
            places.insert(0, self._folder.root.joinpath(*parts))
        if any(_has_size(path, entry.size) for path in places):
            return True
        # Where nothing can be linked, another revision may have taken the file over.
        taken = (path for repo in self.repos for path in repo.places_of(entry.digest))
        return any(_has_size(path, entry.size) for path in taken)


def _has_size(path: Path, size: int) -> bool:
    try:
        return os.stat(path).st_size == size  # noqa: PTH116 - follows links, many a second
    except (OSError, ValueError):  # ValueError: no name can be so
        return False


def resolve(
    wanted: Wanted,
    local: Local,
    settings: Settings,
    client: Callable[[], HubClient],
    report: Reporter,
) -> Resolved:
    """Find out what to bring. A pinned commit whose listing is here makes no request.

    Raises:
        NotHere: offline, and nothing usable is known here.
        HubUnavailable, RepoNotFound, ...: the Hub's answer, and nothing usable is known here.
    """
    ref = wanted.ref
    if ref.pinned and (entries := local.listing(ref.revision)) is not None:
        return Resolved(ref.revision, entries)
    known = local.last_known()
    if settings.offline:
        return _offline(ref, known, local.lacking, report)
    deadline = time.monotonic() + (
        settings.metadata_timeout_s if known is None else settings.warm_timeout_s
    )
    try:
        commit, told = client().describe(ref, limit_s=_left(deadline))
        listed = local.listing(commit) or told
        if listed is None:
            pinned = RevisionRef(ref.repo, commit)
            listed = client().tree(pinned, limit_s=_left(deadline))
        return Resolved(commit, listed)
    except (HubUnavailable, RepoNotFound, GatedRepo, AccessDenied) as error:
        if known is None:
            raise
        report(Notice("warning", _stale_text(ref, known.commit, error)))
        _tell_unlisted(ref, known, report)
        return known


def _left(deadline: float) -> float:
    return max(0.05, deadline - time.monotonic())


def _tell_unlisted(ref: RevisionRef, known: Resolved, report: Reporter) -> None:
    if not known.complete_listing and not known.requested:
        text = (
            f"whether these {len(known.entries)} files are all of {ref} cannot be told: another "
            "tool brought them and kept no listing"
        )
        report(Notice("warning", text))


def _stale_text(ref: RevisionRef, commit: str, error: HoldfastError) -> str:
    if ref.pinned:
        return f"the Hub could not be asked for the files of {ref} ({error}); using what is here"
    return (
        f"using the last known revision of {ref}, {commit}: whether it is still the newest could "
        f"not be asked ({error})"
    )


def _offline(
    ref: RevisionRef, known: Resolved | None, lacking: Callable[[], list[str]], report: Reporter
) -> Resolved:
    if known is None:
        files = lacking()
        which = f"{len(files)} files are missing or cut short: {', '.join(files[:5])}"
        raise NotHere(
            f"{ref} is not complete here",
            why="only local files may be used (offline), and "
            + (which if files else "no complete copy was found"),
            hint=f"with a network: holdfast pull {ref}",
            repo=str(ref.repo),
            revision=ref.revision,
            files=files,
        )
    _tell_unlisted(ref, known, report)
    if not ref.pinned:
        report(Notice("info", f"offline: using the last known revision of {ref}, {known.commit}"))
    return known
