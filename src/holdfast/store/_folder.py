"""A revision in a plain folder of the user's choice, with huggingface_hub's records beside it."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import time
from pathlib import Path
from typing import Any, Literal

from holdfast.errors import ReferenceInvalid
from holdfast.places import Modes, Strategy, make_folder, open_shared, replace, sweep, write_file
from holdfast.refs import Digest, FileEntry, RevisionRef, is_commit
from holdfast.store._check import file_digest
from holdfast.store._layout import (
    CACHEDIR_TAG,
    entry_from_json,
    entry_to_json,
    read_listing,
    write_listing,
)
from holdfast.store._names import forbidden
from holdfast.store._seals import Seals
from holdfast.store._target import Origin, folders_below
from holdfast.store.materialise import materialise

__all__ = ["FolderTarget"]

_SHA256_DIGITS = 64
_LONGEST_SET_ASIDE = 240  # bytes: with ".orig" and a number it stays under the usual 255


class FolderTarget:
    """Files at their own names in ``root``; records in ``root/.cache/huggingface``.

    Args:
        root: the folder; it need not exist.
        commit: the revision that is or will be there; "" when only looking.
        modes: permission bits.
        links: the kinds of links that work here.
    """

    def __init__(
        self, root: Path, commit: str, modes: Modes, links: tuple[Strategy, ...] = ()
    ) -> None:
        self.root = root
        # Never a symbolic link: the folder stands alone.
        self._links = tuple(way for way in links if way != "symlink")
        self.modes = modes
        self.records = root / ".cache" / "huggingface"
        self.workspace = self.records / "download"
        self.lock_path = self.records / "holdfast.lock"
        self.seals = Seals(self.records / "holdfast-seals.json")
        self.commit = commit
        self.reserved: tuple[str, ...] = (".git", ".cache/huggingface")

    def path_of(self, entry: FileEntry) -> Path:
        """Return where a file belongs; its path was checked to stay inside."""
        return self.root.joinpath(*entry.path.split("/"))

    def stem_of(self, entry: FileEntry) -> str:
        """Return a short name of path and content."""
        return hashlib.sha256(f"{entry.path}|{entry.etag}".encode()).hexdigest()[:40]

    def publish(self, temporary: Path, entry: FileEntry) -> Strategy:
        """Rename a received file to its place."""
        path = self.path_of(entry)
        make_folder(path.parent, self.modes)
        replace(temporary, path)
        return "move"

    def ways(self, origin: Origin | Literal["network", "here"]) -> tuple[Strategy, ...]:
        """Return how bytes from somewhere will appear here, first choice first."""
        return ("move",) if origin in {"network", "here"} else (*self._links, "copy")

    def adopt(self, source: Path, entry: FileEntry, origin: Origin) -> Strategy:
        """Take in bytes of a home.

        Plain files are what people edit: they get bytes of their own, so that no edit reaches
        the home. Weights share theirs, which is what saves the space.
        """
        ways = self.ways(origin)
        if entry.digest.algorithm == "git-sha1":
            ways = tuple(way for way in ways if way != "hardlink")
        return materialise(source.resolve(), self.path_of(entry), ways, self.modes)

    def set_aside(self, entry: FileEntry) -> Path | None:
        """Rename what somebody else wrote where a file belongs; return its new path.

        Raises:
            OSError: it cannot be read or renamed.
        """
        path = self.path_of(entry)
        if path.is_symlink() or not path.is_file() or self._brought(entry, path):
            return None
        fits = len(os.fsencode(path.name)) < _LONGEST_SET_ASIDE
        stem = path.name if fits else self.stem_of(entry)
        for number in itertools.count():
            kept = path.with_name(f"{stem}.orig{number or ''}")
            if not os.path.lexists(kept):
                return path.rename(kept)
        raise AssertionError  # pragma: no cover - the count has no end

    def _brought(self, entry: FileEntry, path: Path) -> bool:
        """Return whether a file is still what some revision brought, as far as the notes say."""
        try:
            etag = self._note_path(entry).read_text(encoding="utf-8").split("\n")[1].strip()
            digest = Digest("sha256" if len(etag) == _SHA256_DIGITS else "git-sha1", etag)
        except (OSError, ValueError, IndexError, ReferenceInvalid):
            return False
        return self.seals.holds(digest, path.stat()) or file_digest(path, digest) == digest.hex

    def _note_path(self, entry: FileEntry) -> Path:
        note = self.workspace.joinpath(*entry.path.split("/"))
        return note.with_name(f"{note.name}.metadata")

    def begin(self, entries: list[FileEntry]) -> None:
        """Keep the listing before anything is placed."""
        path = self._listing_path(self.commit)
        if entries and read_listing(path) is None:
            write_listing(path, entries, self.modes)

    def finish(
        self, entries: list[FileEntry], touched: list[FileEntry], ref: RevisionRef
    ) -> list[Path]:
        """Write the records: what each file is, the listing, and what the revision was."""
        make_folder(self.workspace, self.modes)
        for name, content in ((".gitignore", b"*\n"), ("CACHEDIR.TAG", CACHEDIR_TAG)):
            if not (self.records / name).exists():
                write_file(self.records / name, content, self.modes)
        for entry in touched:
            self.seals.add(entry.digest, self.path_of(entry).stat())
            note = self._note_path(entry)
            make_folder(note.parent, self.modes)
            text = f"{self.commit}\n{entry.etag}\n{time.time()}\n"
            _note(note, text, self.modes)
        self.seals.save(self.modes)
        self._remove_superseded(ref, {entry.path for entry in entries or touched})
        self._remember(ref, touched)
        sweep(self._listing_path(self.commit).parent)
        return [*folders_below(self.root, touched), self.records]

    def _remove_superseded(self, ref: RevisionRef, kept: set[str]) -> None:
        """Remove what the revision before had and this one has not, unless somebody changed it."""
        present = self.present()
        if present is None or present[0] != str(ref.repo) or present[1] == self.commit:
            return
        for entry in self.requested():
            path = self.path_of(entry)
            unwanted = entry.path not in kept and not forbidden(entry.path) and path.is_file()
            if unwanted and self.seals.holds(entry.digest, path.stat()):
                path.unlink()

    def listing(self, commit: str) -> list[FileEntry] | None:
        """Return all files of a revision that was brought here, or None."""
        return read_listing(self._listing_path(commit))

    def _listing_path(self, commit: str) -> Path:
        return self.records / "trees" / f"{commit}.json"

    def known_commit(self, ref: RevisionRef) -> str | None:
        """Return what a revision of a repository was when it was last brought here."""
        if is_commit(ref.revision):
            return ref.revision
        state = self._state()
        found = _table(state, "revisions").get(ref.revision)
        same = state.get("repo") == str(ref.repo)
        return found if same and isinstance(found, str) and is_commit(found) else None

    def present(self) -> tuple[str, str] | None:
        """Return repository and commit of what is here now, or None."""
        state = self._state()
        repo, commit = state.get("repo"), state.get("commit")
        if isinstance(repo, str) and isinstance(commit, str) and is_commit(commit):
            return repo, commit
        return None

    def requested(self) -> list[FileEntry]:
        """Return the files that were asked for at the present commit."""
        try:
            files = self._state()["files"]
            known = [entry_from_json(name, info) for name, info in files.items()]
            return [entry for entry in known if not forbidden(entry.path)]
        except (KeyError, TypeError, ValueError, AttributeError, ReferenceInvalid):
            return []

    def _state(self) -> dict[str, Any]:
        try:
            content = json.loads((self.records / "holdfast.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}  # no record: nothing is known to have been brought here
        return content if isinstance(content, dict) else {}

    def _remember(self, ref: RevisionRef, touched: list[FileEntry]) -> None:
        state = self._state() if self.present() else {}
        same_repo = state.get("repo") == str(ref.repo)
        before = self.requested() if same_repo and state.get("commit") == self.commit else []
        revisions = _table(state, "revisions") if same_repo else {}
        content = {
            "repo": str(ref.repo),
            "commit": self.commit,
            "revisions": {**revisions, ref.revision: self.commit},
            "files": {entry.path: entry_to_json(entry) for entry in (*before, *touched)},
        }
        write_file(self.records / "holdfast.json", json.dumps(content).encode(), self.modes)


def _table(state: dict[str, Any], key: str) -> dict[str, Any]:
    found = state.get(key)
    return found if isinstance(found, dict) else {}


def _note(path: Path, text: str, modes: Modes) -> None:
    # huggingface_hub's note about one file. It is only ever a hint, so it need not last; beside a
    # file with the longest possible name there is no room for one.
    try:
        descriptor = open_shared(path, modes)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
        file.truncate()
        file.write(text)
