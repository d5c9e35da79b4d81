"""What will be done: each file, where its bytes come from, and what it costs.

Rules only; nothing here does I/O. A plan can be printed as it is.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from holdfast.places import Strategy
from holdfast.refs import FileEntry, RevisionRef
from holdfast.store import Origin

__all__ = ["Found", "Plan", "PlannedFile", "Source", "make_plan", "select"]

Source = Literal["here", "network"] | Origin
_BLOCK = 4096
_RECORDS_BYTES = 1 << 20  # listing, seals, folders


class Found(NamedTuple):
    """Where an entry's bytes are already, verified, and whether on the target's own disk."""

    source: Source
    path: Path
    near: bool = True


class PlannedFile(NamedTuple):
    """One file of a plan.

    Attributes:
        entry: what the listing promises.
        source: ``here`` (nothing to do), ``network``, or where the bytes lie already.
        origin: the file they will be taken from; None for the network, and for content that
            another file of this plan brings.
        strategy: how the file will appear in its place; ``present`` where it does already.
        resumed: bytes that an interrupted download left, still to be checked.
    """

    entry: FileEntry
    source: Source
    origin: Path | None
    strategy: Strategy | Literal["present"]
    resumed: int = 0


class Plan(NamedTuple):
    """What bringing one revision will do.

    Attributes:
        ref: what was asked for.
        commit: the revision it is.
        root: the folder that will hold the files.
        files: every file that was asked for.
        requests: how many requests the files will take at least, redirects not counted.
        bytes_fetched: bytes that will come over the network.
        bytes_reused: bytes that are here already.
        space_needed: bytes that will be written to the disk.
        inodes_needed: files, links and folders that will be made, at most.
        problems: names that the folder cannot hold, each with the reason.
    """

    ref: RevisionRef
    commit: str
    root: Path
    files: tuple[PlannedFile, ...]
    requests: int
    bytes_fetched: int
    bytes_reused: int
    space_needed: int
    inodes_needed: int
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def done(self) -> bool:
        """Whether everything is in its place already."""
        return all(file.source == "here" for file in self.files)

    @property
    def strategy(self) -> str:
        """How most of the files that are to be placed appear; ``present`` when none are."""
        counts = Counter(file.strategy for file in self.files if file.source != "here")
        return counts.most_common(1)[0][0] if counts else "present"

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-ready data."""
        return {
            "repo": str(self.ref.repo),
            "revision": self.ref.revision,
            "commit": self.commit,
            "path": str(self.root),
            "strategy": self.strategy,
            "requests": self.requests,
            "bytes_fetched": self.bytes_fetched,
            "bytes_reused": self.bytes_reused,
            "space_needed": self.space_needed,
            "inodes_needed": self.inodes_needed,
            "files": [
                {
                    "path": f.entry.path,
                    "size": f.entry.size,
                    "digest": str(f.entry.digest),
                    "source": f.source,
                    "from": str(f.origin) if f.origin else None,
                    "strategy": f.strategy,
                    "resumed": f.resumed,
                }
                for f in self.files
            ],
            "problems": [{"path": path, "why": why} for path, why in self.problems],
        }


def select(
    entries: Iterable[FileEntry], include: Sequence[str], exclude: Sequence[str]
) -> list[FileEntry]:
    """Return the entries that match an include pattern (all, if none is given) and no exclude one.

    Patterns are shell patterns over the whole path, in which ``*`` also matches ``/``; a pattern
    that ends in ``/`` means everything below that folder.
    """
    wanted = [p + "*" if p.endswith("/") else p for p in include]
    unwanted = [p + "*" if p.endswith("/") else p for p in exclude]
    return [
        entry
        for entry in entries
        if (not wanted or any(fnmatch.fnmatchcase(entry.path, p) for p in wanted))
        and not any(fnmatch.fnmatchcase(entry.path, p) for p in unwanted)
    ]


def make_plan(
    ref: RevisionRef,
    commit: str,
    root: Path,
    entries: Sequence[FileEntry],
    *,
    found: Mapping[str, Found],
    resumable: Mapping[str, int],
    ways: Callable[[Source], tuple[Strategy, ...]],
    problems: Sequence[tuple[str, str]] = (),
) -> Plan:
    """Decide for every entry where it comes from and what that costs.

    Args:
        ref: what was asked for.
        commit: the revision it is.
        root: the folder that will hold the files.
        entries: the files that were asked for.
        found: by path, where bytes are already.
        resumable: by path, the bytes an interrupted download left.
        ways: by source, how files from there appear, first choice first.
        problems: names that the folder cannot hold.
    """
    files = []
    fetched = reused = space = 0
    pending: set[str] = set()
    here = {entry.etag for entry in entries if entry.path in found}
    for entry in entries:
        where = found.get(entry.path)
        if where is None and entry.etag in pending | here:
            # The same content under two names is brought once.
            shared = ways("blob")[0]
            files.append(PlannedFile(entry, "blob", None, "copy" if shared == "move" else shared))
            reused += entry.size
            space += _blocks(entry.size) if shared == "move" else 0
            continue
        if where is None:
            resumed = min(resumable.get(entry.path, 0), entry.size)
            files.append(PlannedFile(entry, "network", None, ways("network")[0], resumed))
            pending.add(entry.etag)
            fetched += entry.size - resumed
            space += _blocks(entry.size) - resumed
            continue
        if where.source == "here":
            files.append(PlannedFile(entry, "here", where.path, "present"))
            reused += entry.size
            continue
        offered = ways(where.source)
        strategy = offered[0] if where.near else _reaching_far(offered)
        files.append(PlannedFile(entry, where.source, where.path, strategy))
        reused += entry.size
        if strategy == "copy":
            space += _blocks(entry.size)
    made = [file for file in files if file.source != "here"]
    folders = {file.entry.path.rpartition("/")[0] for file in made}
    return Plan(
        ref, commit, root, tuple(files), len(pending), fetched, reused,
        space + _RECORDS_BYTES if made else 0,
        2 * len(made) + len(folders) + 12 if made else 0, tuple(problems),
    )  # fmt: skip


def _reaching_far(ways: tuple[Strategy, ...]) -> Strategy:
    # Of the ways, only these two reach another disk.
    return next((way for way in ways if way in {"symlink", "copy"}), ways[0])


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
