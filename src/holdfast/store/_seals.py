"""Which files were verified, so that a warm start need not hash them again.

A seal says: content with this digest was hashed on this disk, in a file of this size and this
modification time. A file whose size or time differs is hashed before it is trusted. Seals travel
with an image; layers of images keep whole seconds only, which is allowed for.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from holdfast.places import Modes, make_folder, write_file
from holdfast.refs import Digest

__all__ = ["Seals"]

_FORMAT = 1
_SECOND_NS = 1_000_000_000


class Seals:
    """The seals of one repository in one home.

    Args:
        path: the file that keeps them; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._times = _read(path)
        self._new: dict[str, set[int]] = {}

    def holds(self, digest: Digest, status: os.stat_result) -> bool:
        """Return whether a file with this status was verified to have this digest."""
        mtime = status.st_mtime_ns
        times = self._times.get(_key(digest, status.st_size), set())
        whole_second = mtime % _SECOND_NS == 0
        return mtime in times or (whole_second and any(t - t % _SECOND_NS == mtime for t in times))

    def add(self, digest: Digest, status: os.stat_result) -> None:
        """Note that a file was verified; `save` makes it last."""
        if not self.holds(digest, status):
            key = _key(digest, status.st_size)
            self._times.setdefault(key, set()).add(status.st_mtime_ns)
            self._new.setdefault(key, set()).add(status.st_mtime_ns)

    def drop(self, digest: Digest, size: int) -> None:
        """Forget a digest's seals: a file that carried one was found wrong."""
        self._times.pop(_key(digest, size), None)
        self._new.setdefault(_key(digest, size), set()).clear()

    def save(self, modes: Modes) -> None:
        """Write what is new, keeping what other processes have noted meanwhile.

        Raises:
            OSError: the home cannot be written.
        """
        if not self._new:
            return
        merged = _read(self._path)
        for key, times in self._new.items():
            kept = self._times.get(key, set())
            merged[key] = kept | times if times else kept
        content = {
            "format": _FORMAT,
            "verified": {key: sorted(times) for key, times in sorted(merged.items()) if times},
        }
        make_folder(self._path.parent, modes)  # another tool's cache has none yet
        write_file(self._path, json.dumps(content).encode(), modes)
        self._new.clear()


def _key(digest: Digest, size: int) -> str:
    return f"{digest}:{size}"


def _read(path: Path) -> dict[str, set[int]]:
    # A missing, foreign or damaged file means that nothing is known to be verified: safe, slower.
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != _FORMAT:
            return {}
        return {str(key): {int(t) for t in times} for key, times in content["verified"].items()}
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
    ):  # fmt: skip
        return {}
