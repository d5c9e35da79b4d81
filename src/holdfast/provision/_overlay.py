"""Showing what lower homes hold in the writable one, by links: for libraries that know one cache.

Nothing is copied and nothing hashed: a layer is as trustworthy as it was. Downloads of newer
revisions then find the unchanged blobs, and land in the writable home.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from holdfast.errors import StorageFailed
from holdfast.events import Notice, Reporter, silent
from holdfast.places import Home, Modes, SearchPath, Strategy, hold, is_folder, temporary_name
from holdfast.provision._apply import storage_errors
from holdfast.provision._site import open_home
from holdfast.provision._verify import stored
from holdfast.refs import RevisionRef
from holdfast.store import RepoFolder, repositories
from holdfast.store.materialise import materialise

__all__ = ["Overlaid", "overlay"]

_LINKS: tuple[Strategy, ...] = ("symlink", "hardlink", "reflink")


class Overlaid(NamedTuple):
    """A revision of a layer that the home shows now. ``way`` is how its files appear."""

    revision: RevisionRef
    layer: Path
    way: Strategy


def overlay(places: SearchPath, home: Home, report: Reporter) -> list[Overlaid]:
    """Make every complete revision of the layers below a home appear in it; return the new ones.

    A layer that cannot be linked to from the home (another disk, and no symbolic links) is left
    out, and said.

    Raises:
        StorageFailed: the home cannot be written after all.
    """
    done: list[Overlaid] = []
    for hub in places.below(home):
        for ref in repositories(hub):
            lower, upper = RepoFolder(hub, ref), RepoFolder(home.hub, ref)
            missing = [commit for commit in lower.commits() if _lacking(lower, upper, commit)]
            refs = {n: c for n, c in lower.refs().items() if _follows(upper, n, c)}
            if not missing and not refs:
                continue
            with storage_errors(upper.folder):
                open_home(home, silent)
                with hold(
                    upper.lock_path,
                    home.modes,
                    proven=home.probe.lock == "proven",
                    stall_s=5.0,
                    progress=lambda: None,
                    announce=lambda text: report(Notice("info", text)),
                ):
                    for commit in missing:
                        if (way := _show(lower, upper, commit, home, report)) is not None:
                            done.append(Overlaid(RevisionRef(ref, commit), hub, way))
                    _point(upper, refs, home.modes)
    return done


def _lacking(lower: RepoFolder, upper: RepoFolder, commit: str) -> bool:
    """Return whether a revision is whole below, and not above."""
    above = upper.snapshot(commit)
    if all(above.joinpath(*parts).exists() for parts, _ in _files(lower, commit)):
        return False
    root = lower.snapshot(commit)
    for entry in stored(lower, commit)[1]:
        try:
            if root.joinpath(*entry.path.split("/")).stat().st_size != entry.size:
                return False
        except OSError:
            return False
    return True


def _files(repo: RepoFolder, commit: str) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Yield the files of a snapshot: the parts of their paths in it, and where they are."""
    root = repo.snapshot(commit)
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            yield path.relative_to(root).parts, path


def _show(
    lower: RepoFolder, upper: RepoFolder, commit: str, home: Home, report: Reporter
) -> Strategy | None:
    links = tuple(way for way in _LINKS if way in home.probe.links)
    etags = {entry.path: entry.etag for entry in lower.entries(commit)}
    above = upper.snapshot(commit)
    # Filled beside its name, at the same depth, so that it appears whole and its links stay right.
    filling = above if is_folder(above) else above.with_name(temporary_name(commit))
    way: Strategy = "symlink"
    try:
        for parts, path in _files(lower, commit):
            source, target = path.resolve(), filling.joinpath(*parts)
            if target.exists():
                continue
            etag = etags.get("/".join(parts)) or (path.readlink().name if path.is_symlink() else "")
            if etag:
                blob = upper.blobs / etag
                if not blob.exists():
                    way = materialise(source, blob, links, home.modes)
                source = blob
            made = materialise(source, target, links, home.modes)
            way = way if etag else made
    except StorageFailed as error:
        text = f"{upper.repo} in {lower.hub} cannot be shown at {home.hub} without copying it"
        report(Notice("warning", f"{text}: {error.why}"))
        if filling != above:
            shutil.rmtree(filling, ignore_errors=True)
        for folder in (upper.blobs, upper.snapshots, upper.folder):
            with contextlib.suppress(OSError):
                folder.rmdir()  # an empty repository would look like one that is here
        return None
    if filling != above:
        filling.rename(above)
    if listing := lower.listing(commit):
        upper.keep_listing(commit, listing, home.modes)
    return way


def _follows(upper: RepoFolder, revision: str, commit: str) -> bool:
    """Return whether a branch of the home goes where the layer's does: not if it went elsewhere."""
    known = upper.read_ref(revision)
    if known is None or known == commit:
        return known is None
    # What was downloaded stays; what only shows a layer (perhaps one that is gone) follows it.
    return not any(
        path.resolve().is_relative_to(upper.hub.resolve()) for _, path in _files(upper, known)
    )


def _point(upper: RepoFolder, refs: dict[str, str], modes: Modes) -> None:
    for revision, commit in refs.items():
        if is_folder(upper.snapshot(commit)):
            upper.write_ref(revision, commit, modes)
