"""The repositories below one folder: plain folders, and a store that keeps revisions."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

from holdfast.errors import ConfigInvalid, ReferenceInvalid, RepoNotFound, RevisionNotFound
from holdfast.mirror._disk import READ_BYTES, file_digests, replacing, write_bytes
from holdfast.mirror._folders import AUTHOR, PlainFolder, iso_date
from holdfast.mirror._objects import (
    Commit,
    Entry,
    check_file_path,
    commit_id,
    git_blob_id,
    is_lfs,
    lfs_pointer,
    tree_ids,
)
from holdfast.refs import DEFAULT_REVISION, RepoRef, RepoType, RevisionRef, is_commit

__all__ = ["Access", "Repositories"]

_STORE = ".hub"
_KIND_FOLDERS: dict[str, RepoType] = {"datasets": "dataset", "spaces": "space"}
_COMMITS_IN_MEMORY = 64


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read a repository, and whether it has moved.

    Attributes:
        private: hidden from everyone whose token does not name it.
        gated: listed for all, its files only for those who were let in.
        moved_to: the id it has now; requests are redirected there.
    """

    private: bool = False
    gated: Literal[False, "auto", "manual"] = False
    moved_to: str = ""


class Repositories:
    """The repositories that a hub serves.

    ``root/OWNER/NAME/`` is a model repository whose files are the branch ``main``, datasets and
    spaces are below ``root/datasets/`` and ``root/spaces/``, and an id of one part is a folder of
    ``root`` that holds files. Links to files are followed, links to folders are not. Repositories
    made with :meth:`commit` live in ``root/.hub`` and keep their history.

    ``durable=False`` leaves writing to the system's own time: for tests.
    """

    def __init__(self, root: Path | str, *, durable: bool = True) -> None:
        self.root = Path(root)
        self._store = self.root / _STORE
        self._durable = durable
        self._lock = threading.Lock()
        self._commits: dict[str, Commit] = {}
        self._folders: dict[RepoRef, PlainFolder] = {}

    @property
    def lfs_folder(self) -> Path:
        """The folder that holds committed LFS content, each file named by its sha256."""
        return self._store / "blobs" / "sha256"

    def commit(
        self,
        repo: RepoRef,
        files: Mapping[str, bytes | Path | None],
        *,
        branch: str = DEFAULT_REVISION,
        lfs: Callable[[str, int], bool] | None = None,
        onto: str | None = None,
        title: str = "Update",
    ) -> str:
        """Add a revision to ``branch`` and return its 40 hex digits.

        Args:
            files: content, or a file to copy, by path. None takes the path out.
            lfs: decides by path and size in bytes what is kept as LFS; by default large files and
                the usual binary kinds.
            onto: a revision whose other files stay; None makes ``files`` all there is.

        Raises:
            ReferenceInvalid: a path or the branch is not well formed.
            ConfigInvalid: the repository is a plain folder.
            RevisionNotFound: there is no revision ``onto``.
        """
        RevisionRef(repo, branch)
        if self._plain(repo) is not None:
            raise ConfigInvalid(
                f"{repo} is a plain folder and keeps no revisions",
                why=f"its files are served from {self._place(repo)} as they are",
                hint="change the files there, or commit under another id",
            )
        changed = {
            check_file_path(path): self._take(path, content, lfs or is_lfs)
            for path, content in files.items()
            if content is not None
        }
        with self._lock:
            base = self.at(repo, onto) if onto is not None else None
            head = self._read_ref(self._ref_path(repo, "branches", branch))
            before = base.files if base else {}
            kept = {path: entry for path, entry in before.items() if path not in files}
            entries = dict(sorted((kept | changed).items()))
            parent = head or (base.id if base else None)
            commit = self._write_commit(repo, entries, parent, title)
            self._write_ref(repo, "branches", branch, commit.id)
        return commit.id

    def branch(self, repo: RepoRef, name: str, revision: str) -> None:
        """Make or move the branch ``name`` to ``revision``."""
        RevisionRef(repo, name)
        self._write_ref(repo, "branches", name, self.at(repo, revision).id)

    def tag(self, repo: RepoRef, name: str, revision: str = DEFAULT_REVISION) -> None:
        """Make or move the tag ``name`` to ``revision``."""
        RevisionRef(repo, name)
        self._write_ref(repo, "tags", name, self.at(repo, revision).id)

    def set_access(self, repo: RepoRef, access: Access) -> None:
        """Say who may read ``repo``, or where it has moved."""
        content = json.dumps(asdict(access)).encode()
        write_bytes(self._home(repo) / "access.json", content, durable=self._durable)

    def access(self, repo: RepoRef) -> Access:
        """Return who may read ``repo``; everyone unless it was said otherwise."""
        try:
            return Access(**json.loads((self._home(repo) / "access.json").read_bytes()))
        except FileNotFoundError:
            return Access()

    def exists(self, repo: RepoRef) -> bool:
        """Return whether there is such a repository."""
        return (self._home(repo) / "commits").is_dir() or self._plain(repo) is not None

    def list(self) -> tuple[RepoRef, ...]:
        """Return every repository, in the order of type and id."""
        names = (self._store / "repos").glob("*/commits")
        stored = {RepoRef.from_folder_name(path.parent.name) for path in names}
        found = {repo for repo in stored if repo is not None} | set(self._plain_folders())
        return tuple(sorted(found, key=lambda repo: (repo.type, repo.id)))

    def refs(self, repo: RepoRef) -> tuple[dict[str, str], dict[str, str]]:
        """Return the branches and the tags of ``repo``: name to commit."""
        plain = self._plain(repo)
        if plain is not None:
            return {DEFAULT_REVISION: plain.commit().id}, {}
        self._check_exists(repo)
        branches, tags = (
            {
                unquote(path.name): commit
                for path in sorted((self._home(repo) / kind).glob("[!.]*"))
                if (commit := self._read_ref(path)) is not None
            }
            for kind in ("branches", "tags")
        )
        return branches, tags

    def at(self, repo: RepoRef, revision: str) -> Commit:
        """Return the commit that a branch, tag or commit hash names.

        Raises:
            RepoNotFound: there is no such repository.
            RevisionNotFound: it has no such revision.
        """
        plain = self._plain(repo)
        if plain is not None:
            commit = plain.commit()
            if revision in {DEFAULT_REVISION, commit.id}:
                return commit
            raise _no_revision(repo, revision)
        self._check_exists(repo)
        found = revision if is_commit(revision) else self._named(repo, revision)
        commit_or_none = self._load(repo, found) if found else None
        if commit_or_none is None:
            raise _no_revision(repo, revision)
        return commit_or_none

    def history(self, repo: RepoRef, commit: Commit) -> Iterator[Commit]:
        """Yield ``commit`` and those before it, the newest first."""
        current: Commit | None = commit
        while current is not None:
            yield current
            current = self._load(repo, current.parent) if current.parent else None

    def content(self, repo: RepoRef, entry: Entry) -> Path:
        """Return the file that holds the content of ``entry``.

        Raises:
            EntryNotFound: a plain folder's file has changed since.
        """
        plain = self._plain(repo)
        return plain.content(entry) if plain is not None else self._blob(entry)

    def lfs_content(self, sha256: str) -> Path | None:
        """Return the file with this content, or None when no repository has it."""
        stored = self.lfs_folder / sha256
        if stored.is_file():
            return stored
        found = (folder.find(sha256) for folder in tuple(self._folders.values()))
        return next((path for path in found if path is not None), None)

    def _take(self, path: str, content: bytes | Path, lfs: Callable[[str, int], bool]) -> Entry:
        if isinstance(content, Path):
            with content.open("rb") as stream:
                size = content.stat().st_size
                sha256, oid = file_digests(stream, size)
        else:
            size = len(content)
            sha256, oid = file_digests(BytesIO(content), size)
        if lfs(path, size):
            entry = Entry(path, size, git_blob_id(lfs_pointer(sha256, size)), sha256)
        else:
            entry = Entry(path, size, oid)
        target = self._blob(entry)
        if not target.is_file():
            with replacing(target, durable=self._durable) as stream:
                if isinstance(content, Path):
                    with content.open("rb") as source:
                        while block := source.read(READ_BYTES):
                            stream.write(block)
                else:
                    stream.write(content)
        return entry

    def _blob(self, entry: Entry) -> Path:
        if entry.sha256:
            return self.lfs_folder / entry.sha256
        return self._store / "blobs" / "git-sha1" / entry.oid

    def _write_commit(
        self, repo: RepoRef, entries: dict[str, Entry], parent: str | None, title: str
    ) -> Commit:
        now = time.time()
        name = commit_id(
            tree=tree_ids(entries.values())[""],
            parent=parent,
            author=AUTHOR,
            seconds=int(now),
            title=title,
        )
        commit = Commit(name, entries, parent, title, AUTHOR, iso_date(now))
        data = {
            "parent": parent,
            "title": title,
            "author": AUTHOR,
            "date": commit.date,
            "files": [(e.path, e.size, e.oid, e.sha256) for e in entries.values()],
        }
        target = self._home(repo) / "commits" / f"{name}.json"
        write_bytes(target, json.dumps(data).encode(), durable=self._durable)
        return commit

    def _load(self, repo: RepoRef, commit: str) -> Commit | None:
        key = f"{repo.folder_name}@{commit}"
        known = self._commits.get(key)
        if known is not None:
            return known
        try:
            data = json.loads((self._home(repo) / "commits" / f"{commit}.json").read_bytes())
        except FileNotFoundError:
            return None
        files = {row[0]: Entry(*row) for row in data.pop("files")}
        loaded = Commit(id=commit, files=files, **data)
        if len(self._commits) >= _COMMITS_IN_MEMORY:
            self._commits.clear()
        self._commits[key] = loaded
        return loaded

    def _named(self, repo: RepoRef, revision: str) -> str | None:
        kinds = ("branches", "tags")
        found = (self._read_ref(self._ref_path(repo, kind, revision)) for kind in kinds)
        return next((commit for commit in found if commit is not None), None)

    def _read_ref(self, path: Path) -> str | None:
        try:
            return path.read_text(encoding="ascii")
        except (FileNotFoundError, ValueError):
            return None

    def _write_ref(self, repo: RepoRef, kind: str, name: str, commit: str) -> None:
        write_bytes(self._ref_path(repo, kind, name), commit.encode(), durable=self._durable)

    def _ref_path(self, repo: RepoRef, kind: str, name: str) -> Path:
        return self._home(repo) / kind / quote(name, safe="")

    def _home(self, repo: RepoRef) -> Path:
        return self._store / "repos" / repo.folder_name

    def _check_exists(self, repo: RepoRef) -> None:
        if not self.exists(repo):
            raise RepoNotFound(
                f"there is no {repo.type} repository {repo.id!r} here",
                why=f"{self._place(repo)} is not a folder and nothing was committed under this id",
                hint="put the files into that folder",
            )

    def _place(self, repo: RepoRef) -> Path:
        return self.root / repo.resolve_prefix

    def _plain(self, repo: RepoRef) -> PlainFolder | None:
        place = self._place(repo)
        owner, slash, _ = repo.id.partition("/")
        one_part = not slash
        if repo.type == "model" and owner in _KIND_FOLDERS:
            return None
        sound = _holds_files(place) if one_part else place.is_dir()
        if not sound or (not one_part and _holds_files(place.parent)):
            return None
        folder = self._folders.get(repo)
        if folder is None:
            index = self._store / "folders" / f"{repo.folder_name}.json"
            folder = self._folders.setdefault(repo, PlainFolder(place, index))
        return folder

    def _plain_folders(self) -> Iterator[RepoRef]:
        bases: list[tuple[Path, RepoType]] = [(self.root, "model")]
        bases += [(self.root / name, kind) for name, kind in _KIND_FOLDERS.items()]
        for base, kind in bases:
            for path in (*base.glob("[!.]*"), *base.glob("[!.]*/[!.]*")):
                try:
                    repo = RepoRef(path.relative_to(base).as_posix(), kind)
                except ReferenceInvalid:
                    continue
                if self._plain(repo) is not None:
                    yield repo


def _holds_files(folder: Path) -> bool:
    try:
        return any(item.is_file() for item in folder.iterdir() if not item.name.startswith("."))
    except OSError:
        return False


def _no_revision(repo: RepoRef, revision: str) -> RevisionNotFound:
    return RevisionNotFound(
        f"{repo} has no revision {revision!r}",
        why="no branch, tag or commit has this name",
        hint=f"curl ENDPOINT/api/{repo.api_path}/refs",
    )
