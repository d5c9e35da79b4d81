"""Carrying a plan out: receive, verify, make durable, publish, record. One place, one order.

Nothing is visible under a file's final name before it was verified and flushed, and the branch is
moved last: killed or cut off at any point, the home holds the old revision, or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from holdfast.errors import NamesImpossible, NotEnoughSpace, StorageFailed
from holdfast.events import FileDone, Notice, Reporter
from holdfast.hub import Download, Downloader, Partial
from holdfast.places import (
    Strategy,
    describe_error,
    fallocate,
    filesystem_of,
    make_folder,
    open_new,
    released_name,
    sweep,
    sync_folders,
    temporary_name,
)
from holdfast.provision._inventory import orphans
from holdfast.provision._plan import Plan, PlannedFile
from holdfast.provision._progress import Meter
from holdfast.refs import FileEntry
from holdfast.store import CacheTarget, Target, flush

__all__ = ["Outcome", "apply", "check", "storage_errors"]

_PIECE = 1 << 30
_WORTH_A_WORD = 1 << 20
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
# A file system in memory gives real pages for a reservation; its own count is exact anyway.
_COUNTED_EXACTLY = {"tmpfs", "ramfs"}


class Outcome:
    """What carrying out a plan came to.

    Attributes:
        bytes_fetched: bytes received, repeated ones included.
        copied: files that had to be copied.
        used: how often each way was used.
    """

    def __init__(self) -> None:
        self.bytes_fetched = 0
        self.copied: list[FileEntry] = []
        self.used: Counter[Strategy] = Counter()

    def note(self, way: Strategy, entry: FileEntry) -> None:
        """Count one file."""
        self.used[way] += 1
        if way == "copy":
            self.copied.append(entry)

    @property
    def strategy(self) -> Strategy | None:
        """How most of the files that were placed now appear."""
        return self.used.most_common(1)[0][0] if self.used else None


def check(plan: Plan, free_bytes: int, free_inodes: int | None, folder: Path) -> None:
    """Refuse a plan that cannot end well; nothing has been written yet.

    Raises:
        NamesImpossible: with every name that the folder cannot hold.
        NotEnoughSpace: bytes or inodes would run out.
    """
    if plan.problems:
        listing = "\n".join(f"  {path!r}: {why}" for path, why in plan.problems)
        raise NamesImpossible(
            f"{len(plan.problems)} names of {plan.ref} cannot be stored at {folder}",
            why=f"nothing was downloaded:\n{listing}",
            hint=f"leave them out: holdfast pull {plan.ref} --exclude 'PATTERN', or choose "
            "another --home",
            problems=[{"path": path, "why": why} for path, why in plan.problems],
        )
    if plan.space_needed > free_bytes:
        raise _no_space(plan, folder, f"{free_bytes} bytes are free")
    if free_inodes is not None and plan.inodes_needed > free_inodes:
        raise _no_space(
            plan, folder, f"{plan.inodes_needed} inodes are needed and {free_inodes} are free"
        )


def _no_space(plan: Plan, folder: Path, why: str) -> NotEnoughSpace:
    return NotEnoughSpace(
        f"{plan.ref} does not fit at {folder}: it needs {plan.space_needed} bytes",
        why=why + "; nothing was downloaded",
        hint="holdfast collect, or choose another folder with --home",
        needed=plan.space_needed,
        inodes_needed=plan.inodes_needed,
    )


@contextlib.contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Translate what the file system raises into errors with a hint."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise NotEnoughSpace(
                f"the disk or quota ran out at {folder}", why=describe_error(error),
                hint="free space and run the same command again: it goes on where it stopped",
            ) from error  # fmt: skip
        where = error.filename or folder
        raise StorageFailed(
            f"the file system refused to work at {where}", why=describe_error(error),
            hint="holdfast doctor",
        ) from error  # fmt: skip


def apply(
    plan: Plan,
    target: Target,
    downloader: Downloader | None,
    *,
    resumable: dict[str, Path],
    everything: Sequence[FileEntry],
    report: Reporter,
    keep_changed: bool = True,
) -> Outcome:
    """Carry a plan out.

    Args:
        plan: what to do; it has passed `check`.
        target: where the files appear.
        downloader: brings files; None when the plan needs no network.
        resumable: by path, what interrupted downloads left.
        everything: all files of the revision, also those that were not asked for.
        report: who is told.
        keep_changed: a file that somebody changed in a folder of the user's choice is renamed
            and not replaced.

    Raises:
        HoldfastError: nothing half-done is visible, and what was received can be resumed.
        KeyboardInterrupt: likewise.
    """
    outcome = Outcome()
    with storage_errors(plan.root):
        made = make_folder(target.workspace, target.modes)
        network = [file.entry for file in plan.files if file.source == "network"]
        downloads = [
            Download(entry, lambda e=entry: _begin(target, e, resumable.get(e.path)))  # type: ignore[misc]
            for entry in _distinct(network)
        ]
        if downloads and downloader is not None:
            try:
                _reserve(plan, target)
                _receive(downloads, target, downloader, report)
            except BaseException:
                _unmake(made)
                raise
            outcome.bytes_fetched = sum(download.fetched for download in downloads)
        make_folder(target.root, target.modes)
        if keep_changed:
            _keep_changed(plan, target, report)
        target.begin(list(everything))
        _publish(plan, target, downloads, outcome, report)
        touched = [file.entry for file in plan.files]
        folders = target.finish(list(everything), touched, plan.ref)
        _remove_orphans(target, touched, folders)
        sync_folders(folder for folder in folders if folder.is_dir())
    return outcome


def _distinct(entries: Sequence[FileEntry]) -> list[FileEntry]:
    return list({entry.etag: entry for entry in reversed(entries)}.values())


def _begin(target: Target, entry: FileEntry, left: Path | None) -> Partial:
    path = target.workspace / temporary_name(target.stem_of(entry))
    if left is not None:
        try:
            left.rename(path)  # the claim: of several processes one succeeds
        except FileNotFoundError:
            left = None
    adopt = left is not None
    return Partial(path, entry.size, entry.digest, target.modes, adopt=adopt)


def _reserve(plan: Plan, target: Target) -> None:
    """Ask the system for all the space at once: quotas are seen by no other question."""
    if filesystem_of(target.workspace) in _COUNTED_EXACTLY:
        return
    # In pieces, because FAT has no file of 4 GiB; but no smaller than the plan's own files.
    piece = max(_PIECE, *(file.entry.size for file in plan.files))
    with contextlib.ExitStack() as stack:
        for start in range(0, plan.bytes_fetched, piece):
            path = target.workspace / temporary_name("reservation")
            descriptor = open_new(path, target.modes)
            stack.callback(path.unlink)
            stack.callback(os.close, descriptor)
            try:
                fallocate(descriptor, min(piece, plan.bytes_fetched - start), may_grow=True)
            except OSError as error:
                raise _no_space(plan, target.workspace, describe_error(error)) from error


def _receive(
    downloads: list[Download], target: Target, downloader: Downloader, report: Reporter
) -> None:
    meter = Meter(downloads, report)
    said = ""

    def tick() -> None:
        nonlocal said
        meter.tick()
        if downloader.trouble != said:
            said = downloader.trouble
            report(Notice("info", said))

    try:
        downloader.run(downloads, tick)
    except BaseException:
        for download in downloads:
            if download.partial is not None:
                _release(download.partial, target.stem_of(download.file))
        raise


def _release(partial: Partial, stem: str) -> None:
    # What holds bytes is renamed to say that it may be taken over, also while this process lives.
    with contextlib.suppress(OSError):
        if partial.received:
            partial.path.rename(partial.path.with_name(released_name(stem)))
        else:
            partial.path.unlink()


def _keep_changed(plan: Plan, target: Target, report: Reporter) -> None:
    for file in plan.files:
        kept = target.set_aside(file.entry) if file.source != "here" else None
        if kept is not None:
            text = f"{file.entry.path} was changed here: that version is now {kept}"
            report(Notice("warning", text))


def _publish(
    plan: Plan, target: Target, downloads: list[Download], outcome: Outcome, report: Reporter
) -> None:
    received = {d.file.etag: d.partial.path for d in downloads if d.partial is not None}
    flush([d.partial.path for d in downloads if d.partial and not d.durable])
    placed: dict[str, FileEntry] = {}
    for file in sorted(plan.files, key=_order):
        entry = file.entry
        if file.source == "network":
            outcome.note(target.publish(received[entry.etag], entry), entry)
        elif file.source != "here":
            source = file.origin or _received_as(target, placed[entry.etag])
            outcome.note(target.adopt(source, entry, file.source), entry)
            report(FileDone(entry.path, entry.size, file.source))
        placed.setdefault(entry.etag, entry)
    _tell_copies(plan, outcome, report)


def _order(file: PlannedFile) -> int:
    """What was received comes first, what shares its content with another file of the plan last."""
    return {"here": 0, "network": 1}.get(file.source, 2 if file.origin is not None else 3)


def _received_as(target: Target, entry: FileEntry) -> Path:
    """Return where content that another file of the same revision shares has just been put."""
    if isinstance(target, CacheTarget) and (blob := target.blob_of(entry)).exists():
        return blob
    return target.path_of(entry)


def _tell_copies(plan: Plan, outcome: Outcome, report: Reporter) -> None:
    size = sum(entry.size for entry in outcome.copied)
    if size < _WORTH_A_WORD:
        return
    report(
        Notice(
            "warning",
            f"{len(outcome.copied)} files ({size} bytes) of {plan.ref} were copied: neither a "
            f"link, nor sharing blocks, nor moving was possible at {plan.root}",
        )
    )


def _unmake(folders: Sequence[Path]) -> None:
    # A refusal leaves nothing behind; what holds something to resume is not empty and stays.
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove_orphans(target: Target, entries: Sequence[FileEntry], folders: Sequence[Path]) -> None:
    # Left by processes that were killed over the very files that are complete now.
    for folder in folders:
        if folder != target.workspace:
            sweep(folder)
    stems = {target.stem_of(entry) for entry in entries} | {"reservation"}
    for path, stem, _ in orphans(target.workspace):
        if stem in stems:
            path.unlink(missing_ok=True)
