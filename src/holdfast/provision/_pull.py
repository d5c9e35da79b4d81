"""Pulling: resolve, look, plan, apply. The one way in which models come to this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.config import Settings
from holdfast.errors import (
    HoldfastError,
    HubUnavailable,
    NotHere,
    NoUsableHome,
    ReferenceInvalid,
    StorageFailed,
)
from holdfast.events import Notice, Reporter, silent
from holdfast.hub import Downloader, HubClient
from holdfast.places import Modes, SearchPath, free_space, hold, is_folder, surroundings
from holdfast.provision._apply import apply, check, storage_errors
from holdfast.provision._plan import Plan
from holdfast.provision._resolve import Local, Resolved, Wanted, resolve
from holdfast.provision._site import Site, folder_site, home_site, open_home
from holdfast.refs import FileEntry, RevisionRef
from holdfast.store import CacheTarget, FolderTarget, RepoFolder, Target, forbidden, state_of

__all__ = ["Provisioner", "Pulled"]

Place = CacheTarget | FolderTarget


class Pulled(NamedTuple):
    """What pulling came to.

    Attributes:
        path: the folder that holds the files.
        commit: the revision.
        files: how many files were asked for, all verified.
        bytes_fetched: bytes that came over the network.
        bytes_reused: bytes that were here already.
        strategy: how most files appear; ``present`` when all were in their places.
        seconds: how long it took.
        stale: the Hub did not confirm that the branch still points to this commit.
    """

    path: Path
    commit: str
    files: int
    bytes_fetched: int
    bytes_reused: int
    strategy: str
    seconds: float
    stale: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data."""
        return {
            "path": str(self.path),
            "commit": self.commit,
            "files": self.files,
            "bytes_fetched": self.bytes_fetched,
            "bytes_reused": self.bytes_reused,
            "strategy": self.strategy,
            "seconds": round(self.seconds, 3),
            "stale": self.stale,
        }


class Provisioner:
    """Brings models to this machine, by the given settings.

    Args:
        settings: where to, where from, with what limits.
        env: the environment's variables, read once by the caller.
        report: told what happens; called from the calling thread.
    """

    def __init__(
        self, settings: Settings, env: Mapping[str, str], report: Reporter = silent
    ) -> None:
        self.settings = settings
        self.report = report
        self.modes = Modes(settings.shared)
        self.places = SearchPath(settings, surroundings(env))
        self._env = env

    @cached_property
    def client(self) -> HubClient:
        """The Hub, asked for the first time."""
        return HubClient(self.settings, self._env)

    def pull(self, wanted: Wanted) -> Pulled:
        """Bring a revision and return where it is.

        Raises:
            HoldfastError: with the reason and a hint; what was received can be resumed.
        """
        started = time.monotonic()
        local = self.local(wanted)
        resolved = resolve(wanted, local, self.settings, lambda: self.client, self.report)
        try:
            return self.pull_resolved(wanted, resolved, started)
        except (NoUsableHome, HubUnavailable, StorageFailed) as error:
            older = self._older(wanted, local, resolved, error)
            if older is None:
                raise
            return _pulled(older[0], older[1], wanted.select(older[1].entries), started)

    def pull_resolved(self, wanted: Wanted, resolved: Resolved, started: float) -> Pulled:
        """Bring a known revision, unless all of it is in its place already.

        Raises:
            HoldfastError: with the reason and a hint; what was received can be resumed.
        """
        entries = wanted.select(resolved.entries)
        ready = self._complete(wanted, self.local(wanted), resolved, entries)
        if ready is not None:
            return _pulled(ready, resolved, entries, started)
        return self.bring(wanted, resolved, entries, started)

    def plan(self, wanted: Wanted) -> Plan:
        """Return what `pull` would do now, without doing it.

        Raises:
            HoldfastError: the revision cannot be found out, or no home works.
        """
        local = self.local(wanted)
        resolved = resolve(wanted, local, self.settings, lambda: self.client, self.report)
        entries = wanted.select(resolved.entries)
        ready = self._complete(wanted, local, resolved, entries)
        site = self.site(wanted, resolved)
        if ready is not None:
            site = Site(ready, site.probe, site.home, site.below)
        return site.plan(wanted, resolved, entries)[0]

    def local(self, wanted: Wanted) -> Local:
        """Return what is known here about what is wanted."""
        folder = None
        if wanted.local_dir is not None:
            folder = FolderTarget(wanted.local_dir, "", self.modes)
        local = Local(wanted, self.places.readable(), folder)
        if not local.knows_repository:
            if not self.settings.offline:
                self.client.get_ready()  # finding the home waits for a process: time to use
            local = Local(wanted, self.places.readable(certain=True, to_write=True), folder)
        return local

    def site(self, wanted: Wanted, resolved: Resolved) -> Site:
        """Return the place that a revision goes to.

        Raises:
            NoUsableHome: there is none.
        """
        if wanted.local_dir is not None:
            return folder_site(wanted.local_dir, resolved, self.places, self.modes)
        return home_site(wanted, resolved, self.places, self.places.home)

    def bring(
        self,
        wanted: Wanted,
        resolved: Resolved,
        entries: list[FileEntry],
        started: float,
        *,
        repairing: bool = False,
    ) -> Pulled:
        """Bring files of a known revision, taking turns with other processes.

        ``repairing`` takes nothing for good that is not hashed now, and replaces what was changed.

        Raises:
            HoldfastError: with the reason and a hint; what was received can be resumed.
        """
        site = self.site(wanted, resolved)
        target = site.target
        _one_repository(target, wanted)
        with storage_errors(target.root):
            self._writable(site)
            if wanted.local_dir is None:
                open_home(self.places.home, self.report)
            with hold(
                target.lock_path,
                self.modes,
                proven=site.probe.lock == "proven",
                stall_s=self.settings.lock_stall_s,
                progress=lambda: _activity(target.workspace),
                announce=lambda text: self.report(Notice("info", text)),
            ):
                # Planned only now: whoever had the lock may have done the work.
                plan, left = site.plan(wanted, resolved, entries, trust_seals=not repairing)
                if not plan.done:
                    # Others may have filled the disk while we waited for our turn.
                    check(plan, *free_space(target.lock_path.parent), site.probe.folder)
                downloader = self._downloader(wanted, plan)
                everything = resolved.entries if resolved.complete_listing else []
                outcome = apply(
                    plan,
                    target,
                    downloader,
                    resumable=left,
                    everything=everything,
                    report=self.report,
                    keep_changed=not repairing,
                )
                self._record(wanted, resolved, target)
        strategy = outcome.strategy or plan.strategy
        return _pulled(
            target, resolved, entries, started, fetched=outcome.bytes_fetched, strategy=strategy
        )

    @staticmethod
    def _writable(site: Site) -> None:
        if not site.probe.usable:
            raise StorageFailed(
                f"{site.probe.folder} cannot be written",
                why=site.probe.refusal,
                hint="choose another folder, or: holdfast where",
            )

    def _complete(
        self, wanted: Wanted, local: Local, resolved: Resolved, entries: list[FileEntry]
    ) -> Place | None:
        """Return the place where every file is in its place and verified, if there is one."""
        if wanted.local_dir is not None:
            folder = FolderTarget(wanted.local_dir, resolved.commit, self.modes)
            here = folder.present() == (str(wanted.ref.repo), resolved.commit)
            return folder if here and _all_good(folder, entries) else None
        for repo in local.repos:
            target = CacheTarget(repo, resolved.commit, (), self.modes)
            if is_folder(target.root) and _all_good(target, entries):
                if repo.hub not in self.places.layers:
                    self._keep(wanted, resolved, repo, entries)
                return target
        return None

    def _keep(
        self, wanted: Wanted, resolved: Resolved, repo: RepoFolder, entries: list[FileEntry]
    ) -> None:
        """Keep what was learnt by looking; a home that cannot be written stays as it is."""
        ref = wanted.ref
        try:
            repo.seals.save(self.modes)
            if resolved.complete_listing:
                repo.keep_listing(resolved.commit, resolved.entries, self.modes)
            if resolved.complete_listing or resolved.requested:
                pinned = ref.pinned
                repo.keep_request(resolved.commit, entries, pinned=pinned, modes=self.modes)
            if not resolved.stale:
                repo.write_ref(ref.revision, resolved.commit, self.modes)
            repo.sweep_records()
        except OSError as error:
            text = f"{repo.folder} is read-only here and used as it is ({error.strerror})"
            self.report(Notice("info", text))

    def point(self, ref: RevisionRef, pulled: Pulled) -> None:
        """Let a branch be what was pulled by commit: libraries offline ask for the branch."""
        hub = pulled.path.parents[2]
        if hub in self.places.layers:
            return  # a layer says itself what its branches are
        try:
            RepoFolder(hub, ref.repo).write_ref(ref.revision, pulled.commit, self.modes)
        except OSError as error:
            text = f"{hub} is read-only here: {ref} stays what it was ({error.strerror})"
            self.report(Notice("info", text))

    def _downloader(self, wanted: Wanted, plan: Plan) -> Downloader | None:
        lacking = [file.entry.path for file in plan.files if file.source == "network"]
        if not lacking:
            return None
        if self.settings.offline:
            raise NotHere(
                f"{wanted.ref} is not complete here",
                why=f"only local files may be used (offline) and {len(lacking)} files are missing "
                f"or damaged: {', '.join(lacking[:5])}",
                hint=f"with a network: holdfast repair {wanted.ref}",
                files=lacking,
            )
        return self.client.downloader(RevisionRef(wanted.ref.repo, plan.commit))

    def _record(self, wanted: Wanted, resolved: Resolved, target: Target) -> None:
        if isinstance(target, CacheTarget):
            target.repo.write_ref(wanted.ref.revision, resolved.commit, self.modes)
            return
        # Bytes in a folder of the user's choice can be found again from the home, if there is one.
        hubs = self.places.readable()
        repo = RepoFolder(hubs[0], wanted.ref.repo) if hubs else None
        if repo is not None and is_folder(repo.folder):
            repo.remember_folder(target.root.absolute(), self.modes)

    def _older(
        self, wanted: Wanted, local: Local, resolved: Resolved, error: HoldfastError
    ) -> tuple[Place, Resolved] | None:
        """Return the last complete revision, when the new one cannot be brought."""
        known = local.last_known()
        if known is None or known.commit == resolved.commit or wanted.ref.pinned:
            return None
        place = self._complete(wanted, local, known, wanted.select(known.entries))
        if place is None:
            return None
        text = (
            f"{wanted.ref} has moved to {resolved.commit}, which cannot be brought here ({error}); "
            f"using the last complete revision, {known.commit}"
        )
        self.report(Notice("warning", text))
        return place, known


def _pulled(
    place: Target,
    resolved: Resolved,
    entries: list[FileEntry],
    started: float,
    *,
    fetched: int = 0,
    strategy: str = "present",
) -> Pulled:
    total = sum(entry.size for entry in entries)
    return Pulled(
        place.root,
        resolved.commit,
        len(entries),
        fetched,
        max(0, total - fetched),
        strategy,
        time.monotonic() - started,
        resolved.stale,
    )


def _one_repository(target: Target, wanted: Wanted) -> None:
    present = target.present() if isinstance(target, FolderTarget) else None
    if present is not None and present[0] != str(wanted.ref.repo):
        raise ReferenceInvalid(
            f"{target.root} holds {present[0]}",
            why=f"the files of {wanted.ref.repo} would be mixed with them",
            hint="choose another --local-dir, or remove this folder first",
            folder=str(target.root),
        )


def _all_good(target: Target, entries: list[FileEntry]) -> bool:
    return all(
        not forbidden(entry.path) and state_of(target.path_of(entry), entry, target.seals) == "good"
        for entry in entries
    )


def _activity(workspace: Path) -> object:
    """Return something that changes while another process gets on with its downloads."""
    found = []
    try:
        for path in workspace.iterdir():
            status = path.stat()
            found.append((path.name, status.st_size, status.st_mtime_ns))
    except OSError:
        return len(found)
    return sorted(found)
