"""Removing what nobody needs, a repository at a time, each under its lock."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from holdfast.errors import NoUsableHome
from holdfast.events import Notice, Reporter
from holdfast.places import Home, Taken, describe_error, make_folder, sweep, take_turn
from holdfast.provision._apply import storage_errors
from holdfast.store import Garbage, RepoFolder, find_garbage, repositories

__all__ = ["Collected", "collect"]


class Collected(NamedTuple):
    """What was removed, or would be: the items, and the bytes they give back."""

    items: tuple[Garbage, ...]
    size: int


def collect(home: Home, *, old_revisions: bool, dry_run: bool, report: Reporter) -> Collected:
    """Remove orphans and unreferenced blobs from the home, and old revisions if asked to.

    Args:
        home: the writable home.
        old_revisions: also revisions that no branch, tag or request by commit names.
        dry_run: only say what would go.
        report: told about repositories that are busy and were left alone.

    Raises:
        NoUsableHome: the home that was named cannot be written; no other is touched in its place.
        StorageFailed: the home cannot be worked on at all.
    """
    if home.passed_over:
        refused = home.passed_over[0]
        raise NoUsableHome(
            f"nothing can be removed from {refused.candidate.path}",
            why=f"{refused.candidate.source}: {refused.verdict}",
            hint="run it as the user who owns that home",
        )
    with storage_errors(home.hub):
        return _collect(home, old_revisions=old_revisions, dry_run=dry_run, report=report)


def _collect(home: Home, *, old_revisions: bool, dry_run: bool, report: Reporter) -> Collected:
    removed: list[Garbage] = []
    for ref in repositories(home.hub):
        repo = RepoFolder(home.hub, ref)
        with contextlib.ExitStack() as stack:
            proven = home.probe.lock == "proven"
            try:
                make_folder(repo.lock_path.parent, home.modes)
                stack.enter_context(take_turn(repo.lock_path, home.modes, proven=proven))
            except Taken:
                report(Notice("info", f"{ref} is being worked on and was left alone"))
                continue
            if not dry_run:
                _sweep(repo)
            for item in find_garbage(repo, old_revisions=old_revisions, modes=home.modes):
                if dry_run or _remove(repo, item, report):
                    removed.append(item)
    return Collected(tuple(removed), sum(item.size for item in removed))


def _sweep(repo: RepoFolder) -> None:
    # What killed processes left beside the names and records that they were about to replace.
    for folder, _, _ in os.walk(repo.folder):
        if Path(folder) != repo.blobs:
            sweep(Path(folder))
    sweep(repo.lock_path.parent)


def _remove(repo: RepoFolder, item: Garbage, report: Reporter) -> bool:
    try:
        if item.kind == "old-revision":
            repo.remove_revision(item.path.name)
        else:
            item.path.unlink(missing_ok=True)
    except OSError as error:
        report(Notice("warning", f"{item.path} could not be removed: {describe_error(error)}"))
        return False
    return True
