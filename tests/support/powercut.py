"""What a power cut leaves: a disk that is copied in an instant, below its own cache.

    with power_cut_disk(tmp_path) as disk:
        ... write to disk.folder ...
        with disk.after_cut() as folder:
            ... what is in folder is what would be there after the power came back ...

The disk is an ext4 image that lies on XFS. Whatever ext4 has handed to the image so far is copied
by reflink in one step; whatever is still in ext4's memory is lost, as it would be; the copy is
mounted, which replays its journal. The live disk goes on, so one run can be cut many times.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.filesystems import _call, _mounted, _sparse, needs_root, xfs

__all__ = ["PowerCutDisk", "power_cut_disk"]

_MIB = 1 << 20


class PowerCutDisk:
    """A mounted disk that can be looked at as a power cut would leave it."""

    def __init__(self, shelf: Path, image: Path, folder: Path) -> None:
        self._shelf, self._image = shelf, image
        self._cuts = 0
        self.folder = folder
        """The live disk."""

    @contextlib.contextmanager
    def after_cut(self) -> Iterator[Path]:
        """Cut the power now, and yield the disk as the next start finds it."""
        self._cuts += 1
        copy = self._shelf / f"cut-{self._cuts}.img"
        mount = self.folder.with_name(f"{self.folder.name}-cut-{self._cuts}")
        _call("cp", "--reflink=always", self._image, copy)
        mount.mkdir()
        try:
            with _mounted(mount, "mount", "-o", "loop", copy, mount):
                yield mount
        finally:
            copy.unlink()


@contextlib.contextmanager
def power_cut_disk(base: Path, size: int = 768 * _MIB) -> Iterator[PowerCutDisk]:
    """Mount a disk of ``size`` bytes below ``base``; skip with the reason where that fails."""
    needs_root("mkfs.ext4", "mkfs.xfs", package="e2fsprogs, xfsprogs")
    folder = base / "disk"
    folder.mkdir()
    # Room for the image and for the blocks that change after a cut.
    with xfs(base, size=max(400 * _MIB, 3 * size)) as shelf:
        image = shelf / "disk.img"
        _sparse(image, size)
        _call("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", image)
        with _mounted(folder, "mount", "-o", "loop,noatime", image, folder):
            yield PowerCutDisk(shelf, image, folder)
