"""Writing so that a reader sees all of a file or none of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["READ_BYTES", "file_digests", "replacing", "write_bytes"]

READ_BYTES = 1024 * 1024


@contextlib.contextmanager
def replacing(target: Path, *, durable: bool) -> Iterator[BinaryIO]:
    """Give a temporary file beside ``target`` that takes its place when the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".new-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        # A temporary file is private to its owner; what is served follows the folder's rules.
        temporary.chmod(0o644)
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    if durable:
        _sync_folder(target.parent)


def write_bytes(target: Path, content: bytes, *, durable: bool) -> None:
    """Put ``content`` into ``target`` at once."""
    with replacing(target, durable=durable) as stream:
        stream.write(content)


def file_digests(source: BinaryIO, size: int) -> tuple[str, str]:
    """Return the sha256 and git's blob id of the ``size`` bytes that ``source`` holds."""
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    while block := source.read(READ_BYTES):
        sha256.update(block)
        git.update(block)
    return sha256.hexdigest(), git.hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows has no handle for a folder; its rename is journalled.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
