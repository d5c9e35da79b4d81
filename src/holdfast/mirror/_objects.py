"""Git's and LFS's names for content: blobs, pointers, trees, commits.

Rules only; nothing here does I/O. The mirror's identifiers are the ones git itself would compute,
so a client may check any of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from holdfast.errors import ReferenceInvalid

__all__ = [
    "LFS_FROM_BYTES",
    "Commit",
    "Entry",
    "check_file_path",
    "commit_id",
    "git_blob_id",
    "is_lfs",
    "lfs_pointer",
    "tree_ids",
]

LFS_FROM_BYTES = 10 * 1024 * 1024
_LFS_SUFFIXES = frozenset(
    {
        "7z",
        "arrow",
        "avi",
        "bin",
        "bz2",
        "ckpt",
        "flac",
        "ftz",
        "gguf",
        "gif",
        "gz",
        "h5",
        "ico",
        "jpeg",
        "jpg",
        "joblib",
        "lz4",
        "m4a",
        "mlmodel",
        "model",
        "mov",
        "mp3",
        "mp4",
        "msgpack",
        "npy",
        "npz",
        "ogg",
        "onnx",
        "ot",
        "parquet",
        "pb",
        "pdf",
        "pickle",
        "pkl",
        "png",
        "pt",
        "pth",
        "rar",
        "safetensors",
        "tar",
        "tflite",
        "tgz",
        "wasm",
        "wav",
        "webm",
        "webp",
        "xz",
        "zip",
        "zst",
    }
)
_MOST_PARTS = 100
_Folder: TypeAlias = "dict[str, str | _Folder]"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a commit.

    Attributes:
        path: from the repository's root, with ``/``.
        size: bytes of the content.
        oid: git's blob id (40 hex) of the content, or of the pointer for an LFS file.
        sha256: the content's digest (64 hex) for an LFS file, else None.
    """

    path: str
    size: int
    oid: str
    sha256: str | None = None

    @property
    def etag(self) -> str:
        """What the hub names the content by: the sha256 for LFS, git's blob id otherwise."""
        return self.sha256 or self.oid


@dataclass(frozen=True)
class Commit:
    """A revision of a repository: its files, and where it stands in the history.

    Attributes:
        id: 40 hex digits.
        files: entries by path, in the order of their paths.
        parent: the commit before, or None for the first.
        date: ISO 8601, UTC, milliseconds.
    """

    id: str
    files: Mapping[str, Entry]
    parent: str | None
    title: str
    author: str
    date: str

    @cached_property
    def folders(self) -> Mapping[str, str]:
        """Git tree ids by folder path; the root is the empty path."""
        return tree_ids(self.files.values())


def is_lfs(path: str, size: int) -> bool:
    """Return whether a file of this name and ``size`` in bytes is kept as LFS by default."""
    _, dot, suffix = path.rpartition("/")[2].rpartition(".")
    return size >= LFS_FROM_BYTES or (bool(dot) and suffix.lower() in _LFS_SUFFIXES)


def git_blob_id(content: bytes) -> str:
    """Return git's name for a file's ``content``, 40 hex digits."""
    return _sha1(b"blob %d\0" % len(content), content)


def lfs_pointer(sha256: str, size: int) -> bytes:
    """Return the small file that stands in git for ``size`` bytes kept elsewhere."""
    version = "https://git-lfs.github.com/spec/v1"
    return f"version {version}\noid sha256:{sha256}\nsize {size}\n".encode()


def tree_ids(entries: Iterable[Entry]) -> dict[str, str]:
    """Return git's tree id of every folder that ``entries`` imply, the root (``""``) included."""
    root: _Folder = {}
    for entry in entries:
        *folders, name = entry.path.split("/")
        place = root
        for folder in folders:
            below = place.setdefault(folder, {})
            if isinstance(below, str):
                raise _both(entry.path, folder)
            place = below
        if isinstance(place.get(name), dict):
            raise _both(entry.path, name)
        place[name] = entry.oid
    ids: dict[str, str] = {}
    _tree_id("", root, ids)
    return ids


def _tree_id(path: str, folder: _Folder, ids: dict[str, str]) -> str:
    lines = []
    for name, item in folder.items():
        if isinstance(item, str):
            lines.append((name.encode(), b"100644", item))
        else:
            # Git sorts a folder as if its name ended in a slash.
            below = _tree_id(f"{path}/{name}" if path else name, item, ids)
            lines.append((name.encode() + b"/", b"40000", below))
    body = b"".join(
        b"%s %s\0%s" % (mode, key.removesuffix(b"/"), bytes.fromhex(oid))
        for key, mode, oid in sorted(lines)
    )
    ids[path] = _sha1(b"tree %d\0" % len(body), body)
    return ids[path]


def _both(path: str, name: str) -> ReferenceInvalid:
    return ReferenceInvalid(
        f"{path!r} cannot be a file of this repository",
        why=f"{name!r} would be a file and a folder at once",
        hint="rename the file or the folder",
    )


def commit_id(*, tree: str, parent: str | None, author: str, seconds: int, title: str) -> str:
    """Return git's name of a commit made ``seconds`` after the epoch."""
    who = f"{author} <{author}@localhost> {seconds} +0000"
    lines = [f"tree {tree}", *([f"parent {parent}"] if parent else [])]
    lines += [f"author {who}", f"committer {who}", "", title, ""]
    body = "\n".join(lines).encode()
    return _sha1(b"commit %d\0" % len(body), body)


def check_file_path(path: str) -> str:
    """Return ``path`` if a repository can hold it.

    Raises:
        ReferenceInvalid: it is absolute, leaves the repository, or has an empty part.
    """
    parts = path.split("/")
    sound = all(part not in {"", ".", "..", ".git"} for part in parts)
    if not sound or "\0" in path or len(parts) > _MOST_PARTS:
        raise ReferenceInvalid(
            f"{path!r} cannot be a file of a repository",
            why=f"a path is 1 to {_MOST_PARTS} parts separated by '/', "
            "none of them empty, '.', '..' or '.git'",
            hint="rename the file",
        )
    return path


def _sha1(*parts: bytes) -> str:
    # Git's object names; no security of ours hangs on them.
    hasher = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()
