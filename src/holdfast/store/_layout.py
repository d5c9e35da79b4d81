"""A repository's folder in a Hugging Face cache: ``models--owner--name/{blobs,snapshots,refs}``.

Reads what huggingface_hub writes and the reverse. Nothing here downloads or links.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from holdfast.errors import ReferenceInvalid
from holdfast.places import Modes, make_folder, sweep, write_file
from holdfast.refs import Digest, FileEntry, RepoRef, is_commit
from holdfast.store._names import forbidden
from holdfast.store._seals import Seals

__all__ = [
    "CACHEDIR_TAG",
    "RepoFolder",
    "entry_from_json",
    "entry_to_json",
    "read_listing",
    "repositories",
    "write_listing",
]

_log = logging.getLogger(__name__)
_TREE_FORMAT = 1
_ETAG = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# What reading a damaged record, or somebody else's, comes to.
_MALFORMED = (
    ValueError, KeyError, TypeError, AttributeError, RecursionError, ReferenceInvalid,
)  # fmt: skip
CACHEDIR_TAG = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n"
    b"# This folder holds downloaded models; they can be fetched again.\n"
    b"# For information about cache directory tags, see https://bford.info/cachedir/\n"
)


def repositories(hub: Path) -> list[RepoRef]:
    """Return the repositories that have a folder in a hub cache, sorted."""
    try:
        names = os.listdir(hub)  # noqa: PTH208 - names, not paths
    except OSError:
        return []
    found = [RepoRef.from_folder_name(name) for name in names]
    return sorted(ref for ref in found if ref is not None)


def read_listing(path: Path) -> list[FileEntry] | None:
    """Read a revision's listing in huggingface_hub's form, or None when there is no usable one."""
    try:
        content = json.loads(path.read_bytes())
        if content["format_version"] != _TREE_FORMAT:
            return None
        return [entry_from_json(name, info) for name, info in content["files"].items()]
    except FileNotFoundError:
        return None
    except (OSError, *_MALFORMED) as error:
        _log.info("the listing %s is unreadable and not used: %s", path, error)
        return None


def entry_from_json(name: str, info: dict[str, object]) -> FileEntry:
    """Read an entry of huggingface_hub's listings.

    Raises:
        KeyError, TypeError, ValueError, ReferenceInvalid: it is malformed.
    """
    sha256, xet = info.get("lfs_sha256"), info.get("xet_hash")
    digest = Digest("sha256", str(sha256)) if sha256 else Digest("git-sha1", str(info["blob_id"]))
    size = info.get("lfs_size") if sha256 else info["size"]
    if not isinstance(size, int) or size < 0:
        raise ValueError(f"{name}: no size")
    return FileEntry(name, size, digest, str(info["blob_id"]), str(xet) if xet else None)


def entry_to_json(entry: FileEntry) -> dict[str, object]:
    """Return an entry in the form of huggingface_hub's listings."""
    info: dict[str, object] = {"size": entry.size, "blob_id": entry.blob_id}
    if entry.digest.algorithm == "sha256":
        info |= {"lfs_sha256": entry.digest.hex, "lfs_size": entry.size}
    if entry.xet_hash is not None:
        info["xet_hash"] = entry.xet_hash
    return info


def write_listing(path: Path, entries: list[FileEntry], modes: Modes) -> None:
    """Keep a revision's listing where huggingface_hub looks for it."""
    files = {entry.path: entry_to_json(entry) for entry in sorted(entries, key=lambda e: e.path)}
    make_folder(path.parent, modes)
    content = {"format_version": _TREE_FORMAT, "files": files}
    write_file(path, json.dumps(content).encode(), modes)


class RepoFolder:
    """One repository in one hub cache. The folders need not exist."""

    def __init__(self, hub: Path, repo: RepoRef) -> None:
        self.hub = hub
        self.repo = repo
        self.folder = hub / repo.folder_name
        self.blobs = self.folder / "blobs"
        self.snapshots = self.folder / "snapshots"
        self.own = self.folder / ".holdfast"
        self.lock_path = hub / ".locks" / repo.folder_name / "holdfast.lock"

    @cached_property
    def seals(self) -> Seals:
        """What was verified here."""
        return Seals(self.own / "seals.json")

    def snapshot(self, commit: str) -> Path:
        """Return the folder of one revision's files."""
        return self.snapshots / commit

    def commits(self) -> list[str]:
        """Return the commits that have a snapshot folder."""
        try:
            return sorted(filter(is_commit, os.listdir(self.snapshots)))  # noqa: PTH208
        except OSError:
            return []

    def read_ref(self, revision: str) -> str | None:
        """Return the commit a branch or tag was last known at, or None.

        A trailing newline is tolerated; anything that is not a commit is as good as nothing.
        """
        if is_commit(revision):
            return revision
        try:
            text = self.folder.joinpath("refs", *revision.split("/")).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return text if is_commit(text) else None

    def refs(self) -> dict[str, str]:
        """Return all known branches and tags with their commits."""
        root = self.folder / "refs"
        found = {}
        for folder, _, names in os.walk(root):
            for name in names:
                revision = (Path(folder) / name).relative_to(root).as_posix()
                if (commit := self.read_ref(revision)) is not None:
                    found[revision] = commit
        return found

    def write_ref(self, revision: str, commit: str, modes: Modes) -> None:
        """Remember where a branch or tag points; a commit needs no remembering."""
        if is_commit(revision) or self._exact_ref(revision) == commit:
            return
        path = self.folder.joinpath("refs", *revision.split("/"))
        make_folder(path.parent, modes)
        write_file(path, commit.encode(), modes)

    def _exact_ref(self, revision: str) -> str | None:
        # Other readers take the file's text as it is: one with a newline is written anew.
        try:
            return self.folder.joinpath("refs", *revision.split("/")).read_text("ascii")
        except (OSError, UnicodeDecodeError):
            return None

    def listing(self, commit: str) -> list[FileEntry] | None:
        """Return all files of a revision, or None when its listing was never kept here."""
        return read_listing(self._listing_path(commit))

    def keep_listing(self, commit: str, entries: list[FileEntry], modes: Modes) -> None:
        """Keep a revision's listing; it never changes, so an existing one stays."""
        if self.listing(commit) is None:
            write_listing(self._listing_path(commit), entries, modes)

    def _listing_path(self, commit: str) -> Path:
        return self.folder / "trees" / f"{commit}.json"

    def derived_listing(self, commit: str) -> list[FileEntry]:
        """Return what a snapshot folder itself says: names, and digests where links name blobs.

        For caches written by older tools, which kept no listing: what is missing cannot be seen.
        Files that are no links are left out, because nothing says what they should contain.
        """
        entries = []
        for path in _walk(self.snapshot(commit)):
            with contextlib.suppress(OSError):
                etag = path.readlink().name
                if _ETAG.fullmatch(etag):
                    digest = Digest("git-sha1" if len(etag) == 40 else "sha256", etag)
                    name = path.relative_to(self.snapshot(commit)).as_posix()
                    entries.append(FileEntry(name, path.stat().st_size, digest, etag))
        return entries

    def entries(self, commit: str) -> list[FileEntry]:
        """Return what is known of a revision's files: its listing, or what was asked for of it.

        What is stored came from outside too: paths that would leave the folder are left out.
        """
        known = self.listing(commit) or self.requested(commit)[0] or self.derived_listing(commit)
        return [entry for entry in known if not forbidden(entry.path)]

    def places_of(self, digest: Digest) -> list[Path]:
        """Return the paths of every snapshot file that should have this content."""
        return self._places.get(digest, [])

    @cached_property
    def _places(self) -> dict[Digest, list[Path]]:
        # As of the first time it is asked for; what is placed later is known to whoever places it.
        found: dict[Digest, list[Path]] = {}
        for commit in self.commits():
            root = self.snapshot(commit)
            for entry in self.entries(commit):
                path = root.joinpath(*entry.path.split("/"))
                found.setdefault(entry.digest, []).append(path)
        return found

    def requested(self, commit: str) -> tuple[list[FileEntry], bool]:
        """Return the files that were asked for at a commit, and whether by the commit's own name.

        Both are what Holdfast was asked; nothing is known of what other tools were asked.
        """
        try:
            content = json.loads((self.own / "requests" / f"{commit}.json").read_bytes())
            files = [entry_from_json(name, info) for name, info in content["files"].items()]
            return files, bool(content["pinned"])
        except (OSError, *_MALFORMED):
            return [], False

    def keep_request(
        self, commit: str, entries: Iterable[FileEntry], *, pinned: bool, modes: Modes
    ) -> None:
        """Note what was asked for at a commit, together with what was before."""
        before, was_pinned = self.requested(commit)
        files = {entry.path: entry for entry in (*before, *entries)}
        if len(files) == len(before) and (was_pinned or not pinned):
            return
        path = self.own / "requests" / f"{commit}.json"
        make_folder(path.parent, modes)
        content = {
            "pinned": pinned or was_pinned,
            "files": {name: entry_to_json(files[name]) for name in sorted(files)},
        }
        write_file(path, json.dumps(content).encode(), modes)

    def sweep_records(self) -> None:
        """Remove what processes left that were killed while they wrote down what they had done."""
        for folder in (self.own, self.own / "requests", self.folder / "trees"):
            sweep(folder)
        for named, _, _ in os.walk(self.folder / "refs"):
            sweep(Path(named))

    def drop_request(self, commit: str) -> None:
        """Forget what was asked for at a commit; its files and its listing stay."""
        (self.own / "requests" / f"{commit}.json").unlink(missing_ok=True)

    def remove_revision(self, commit: str) -> None:
        """Take a revision's files and records away; blobs stay.

        Raises:
            OSError: the system refused; nothing is asked of the revision any more all the same.
        """
        for record in (self.own / "requests" / f"{commit}.json", self._listing_path(commit)):
            record.unlink(missing_ok=True)
        # Renamed first, so that no reader ever sees a revision with some of its files gone.
        grave = self.own / f"removed-{commit}"
        self.own.mkdir(exist_ok=True)
        if grave.exists():
            shutil.rmtree(grave)
        self.snapshot(commit).rename(grave)
        shutil.rmtree(grave)
        for made in (self.own / "derived").glob(f"{commit}-*"):
            shutil.rmtree(made)

    def known_folders(self) -> list[Path]:
        """Return the folders of the user's choice that this repository was brought to."""
        try:
            lines = (self.own / "folders.txt").read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return []
        return [Path(line) for line in lines if line]

    def remember_folder(self, folder: Path, modes: Modes) -> None:
        """Note a folder of the user's choice as a place where bytes may be found again."""
        known = self.known_folders()
        if folder not in known:
            make_folder(self.own, modes)
            lines = "".join(f"{path}\n" for path in [*known, folder])
            write_file(self.own / "folders.txt", lines.encode(), modes)


def _walk(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in names:
            yield Path(folder) / name
