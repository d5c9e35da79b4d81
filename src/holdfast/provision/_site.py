"""The place that one revision goes to, and the places around it that may have its bytes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from holdfast.events import Notice, Reporter
from holdfast.places import Home, Modes, Probe, SearchPath, probe, write_file
from holdfast.provision._inventory import Inventory, resumable
from holdfast.provision._plan import Plan, make_plan
from holdfast.provision._resolve import Resolved, Wanted
from holdfast.refs import FileEntry
from holdfast.store import CACHEDIR_TAG, CacheTarget, FolderTarget, RepoFolder, Target, impossible

__all__ = ["Site", "folder_site", "home_site", "open_home"]


class Site(NamedTuple):
    """Where a revision goes.

    Attributes:
        target: takes the files in.
        probe: what the place can do.
        home: the writable hub cache to look for bytes in, None when there is none.
        below: read-only hub caches to look in, upper first.
    """

    target: Target
    probe: Probe
    home: Path | None
    below: list[Path]

    def plan(
        self,
        wanted: Wanted,
        resolved: Resolved,
        entries: list[FileEntry],
        *,
        trust_seals: bool = True,
    ) -> tuple[Plan, dict[str, Path]]:
        """Return the plan, and what interrupted downloads left to start from."""
        here = Inventory(
            self.target, wanted.ref.repo, self.home, self.below, trust_seals=trust_seals
        )
        found = here.find(entries)
        left = resumable(self.target, [entry for entry in entries if entry.path not in found])
        plan = make_plan(
            wanted.ref,
            resolved.commit,
            self.target.root,
            entries,
            found=found,
            resumable={path: held for path, (held, _) in left.items()},
            ways=self.target.ways,
            problems=impossible(
                [e.path for e in entries], self.target.root, self.probe, self.target.reserved
            ),
        )
        return plan, {path: file for path, (_, file) in left.items()}


def home_site(wanted: Wanted, resolved: Resolved, places: SearchPath, home: Home) -> Site:
    """Return the site in the home's hub cache."""
    repo = RepoFolder(home.hub, wanted.ref.repo)
    target = CacheTarget(
        repo,
        resolved.commit,
        home.probe.links,
        home.modes,
        superseded=_superseded(wanted, resolved, repo),
    )
    return Site(target, home.probe, home.hub, places.below(home))


def folder_site(folder: Path, resolved: Resolved, places: SearchPath, modes: Modes) -> Site:
    """Return the site in a folder of the user's choice."""
    found = probe(folder, modes)
    target = FolderTarget(folder, resolved.commit, modes, found.links)
    hubs = places.readable()
    return Site(target, found, hubs[0] if hubs else None, hubs[1:])


def _superseded(wanted: Wanted, resolved: Resolved, repo: RepoFolder) -> str | None:
    """Return the commit that nothing but this branch named until now, and that it leaves."""
    before = repo.read_ref(wanted.ref.revision)
    if wanted.ref.pinned or before is None or before == resolved.commit:
        return None
    others = {commit for name, commit in repo.refs().items() if name != wanted.ref.revision}
    return None if before in others or repo.requested(before)[1] else before


def open_home(home: Home, report: Reporter) -> None:
    """Make the home's folders, and say aloud when a place that somebody named was refused.

    Raises:
        OSError: the place has changed since it was probed.
    """
    for entry in home.passed_over:
        text = f"{entry.candidate.source} cannot hold models: {entry.verdict}"
        report(Notice("warning", f"{text}; using {home.root} ({home.source})"))
    home.make()
    tag = home.hub / "CACHEDIR.TAG"
    if not tag.exists():
        write_file(tag, CACHEDIR_TAG, home.modes)
