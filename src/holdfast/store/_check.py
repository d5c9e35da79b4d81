"""Is this file what it should be? By size and seal where that is enough, else by its digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from holdfast.refs import Digest, FileEntry
from holdfast.store._seals import Seals

__all__ = ["State", "file_digest", "state_of"]

State = Literal["good", "missing", "wrong-size", "wrong-content", "unreadable"]
_STEP = 1 << 20


def file_digest(path: Path, digest: Digest, *, taken: Callable[[int], None] | None = None) -> str:
    """Return a file's actual digest, of the same kind as ``digest``, in hexadecimal.

    ``taken`` is told the bytes hashed so far.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        if digest.algorithm == "sha256" and taken is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        hasher = digest.hasher(os.fstat(file.fileno()).st_size)
        buffer = bytearray(_STEP)
        view = memoryview(buffer)
        total = 0
        while count := file.readinto(buffer):
            hasher.update(view[:count])
            total += count
            if taken is not None:
                taken(total)
        return hasher.hexdigest()


def state_of(
    path: Path,
    entry: FileEntry,
    seals: Seals,
    *,
    trust_seals: bool = True,
    taken: Callable[[int], None] | None = None,
) -> State:
    """Return the state of a stored file; what is found good is sealed.

    ``trust_seals=False`` hashes in any case: that is what verifying means. ``taken`` is told the
    bytes hashed so far, and may raise to stop.
    """
    try:
        before = path.stat()
        if not path.is_file():
            return "missing"
        if before.st_size != entry.size:
            return "wrong-size"
        if trust_seals and seals.holds(entry.digest, before):
            return "good"
        actual = file_digest(path, entry.digest, taken=taken)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no name can be so
        return "missing"
    except OSError:
        return "unreadable"
    if actual != entry.digest.hex:
        seals.drop(entry.digest, entry.size)
        return "wrong-content"
    seals.add(entry.digest, before)
    return "good"
