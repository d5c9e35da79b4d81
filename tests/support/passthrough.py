# ruff: noqa: ARG002, PTH101, PTH102, PTH104, PTH106, PTH108, PTH116, PTH118, PTH119, PTH120
"""The process behind :func:`tests.support.fusefs.fuse_folder`; it reads the faults on its input.

python -m tests.support.passthrough BACKING MOUNT [--allow-other] < faults.json
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import sys
import threading
import time
from collections.abc import Iterator
from stat import S_IFDIR
from typing import Any

import mfusepy

from tests.support.fuse_rules import HIDDEN, Names, Refusals, Space, fail
from tests.support.fusefs import Faults

_STAT_FIELDS = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
_UTIME_NOW, _UTIME_OMIT = 0x3FFFFFFF, 0x3FFFFFFE


class PassThrough(mfusepy.Operations):  # type: ignore[misc]
    """Hands every operation to the backing folder, unless a fault says otherwise."""

    use_ns = True

    def __init__(self, root: str, faults: Faults) -> None:
        self._faults = faults
        self._real = Names(root, faults).real
        self._refusals = Refusals(faults.rules)
        self._space = Space(root, faults.space_bytes, faults.space_errno)
        self._paths: dict[int, str] = {}
        self._in_use: set[int] = set()
        self._write_lock = threading.Lock()

    def _enter(self, operation: str, path: str | None, fh: int | None = None) -> None:
        shown = path if path is not None else self._paths.get(fh or 0, "")
        self._refusals.check(operation, shown)

    def _own(self, real: str) -> None:
        """Give what was just made to the caller, as a kernel file system does."""
        if os.geteuid() == 0:
            uid, gid, _ = mfusepy.fuse_get_context()
            os.lchown(real, uid, gid)

    # -- what is there

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        self._enter("getattr", path, fh)
        info = os.fstat(fh) if fh else os.lstat(self._real(path or "/"))
        attributes = {name: getattr(info, name) for name in _STAT_FIELDS}
        for name in ("st_atime", "st_mtime", "st_ctime"):
            attributes[name] = getattr(info, f"{name}_ns")
        return attributes

    def readlink(self, path: str) -> str:
        self._enter("readlink", path)
        return os.readlink(self._real(path))

    def readdir(self, path: str, fh: int) -> Iterator[tuple[str, dict[str, int], int]]:
        self._enter("readdir", path)
        # Readers skip an entry whose inode number is zero.
        entries = [(".", {"st_ino": 1, "st_mode": S_IFDIR}, 0)]
        entries.append(("..", {"st_ino": 1, "st_mode": S_IFDIR}, 0))
        with os.scandir(self._real(path)) as present:
            for entry in present:
                if not entry.name.startswith(HIDDEN):
                    mode = entry.stat(follow_symlinks=False).st_mode
                    entries.append((entry.name, {"st_ino": entry.inode(), "st_mode": mode}, 0))
        return iter(entries)

    def statfs(self, path: str) -> dict[str, int]:
        self._enter("statfs", path)
        info = os.statvfs(self._real(path))
        names = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail")
        names += ("f_files", "f_ffree", "f_favail", "f_flag", "f_namemax")
        values = {name: getattr(info, name) for name in names}
        if self._faults.max_name_bytes is not None:
            values["f_namemax"] = self._faults.max_name_bytes
        if self._space.limit is not None and self._faults.space_errno == "ENOSPC":
            values["f_blocks"] = self._space.limit // info.f_frsize
            free = max(0, self._space.limit - self._space.used) // info.f_frsize
            values["f_bfree"] = values["f_bavail"] = free
        return {**values, **self._faults.statfs}

    # -- making and removing names

    def mkdir(self, path: str, mode: int) -> int:
        self._enter("mkdir", path)
        real = self._real(path, creates=True)
        os.mkdir(real, mode)
        self._own(real)
        return 0

    def mknod(self, path: str, mode: int, dev: int) -> int:
        self._enter("mknod", path)
        real = self._real(path, creates=True)
        os.mknod(real, mode, dev)
        self._own(real)
        return 0

    def symlink(self, target: str, source: str) -> int:
        self._enter("symlink", target)
        real = self._real(target, creates=True)
        os.symlink(source, real)
        self._own(real)
        return 0

    def link(self, target: str, source: str) -> int:
        self._enter("link", target)
        os.link(self._real(source), self._real(target, creates=True), follow_symlinks=False)
        return 0

    def unlink(self, path: str) -> int:
        if HIDDEN not in path:
            self._enter("unlink", path)
        real = self._real(path)
        self._refuse_open(real)
        freed = self._space.freed_by_removing(real)
        os.unlink(real)
        self._space.change(-freed)
        return 0

    def rmdir(self, path: str) -> int:
        self._enter("rmdir", path)
        os.rmdir(self._real(path))
        return 0

    def rename(self, old: str, new: str) -> int:
        # Libfuse unlinks an open file by renaming it until it is closed.
        self._enter("unlink" if HIDDEN in new else "rename", old)
        before, after = self._real(old), self._real(new, creates=True)
        # A change of case only is a new spelling of the same name.
        respelled = before == after and old != new
        if respelled:
            after = os.path.join(os.path.dirname(after), os.path.basename(new))
        elif self._faults.rename_onto_existing and os.path.lexists(after):
            raise fail(self._faults.rename_onto_existing)
        self._refuse_open(before)
        self._refuse_open(after)
        freed = 0 if respelled else self._space.freed_by_removing(after)
        os.rename(before, after)
        self._space.change(-freed)
        for fh, path in list(self._paths.items()):
            if path == old:
                self._paths[fh] = new
        return 0

    def _refuse_open(self, real: str) -> None:
        if self._faults.sharing != "windows":
            return
        try:
            wanted = os.lstat(real)
        except FileNotFoundError:
            return
        for fh in list(self._in_use):
            if os.path.samestat(wanted, os.fstat(fh)):
                raise fail("EACCES")

    # -- attributes

    def chmod(self, path: str, mode: int) -> int:
        self._enter("chmod", path)
        os.chmod(self._real(path), mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        self._enter("chown", path)
        os.lchown(self._real(path), uid, gid)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        self._enter("utimens", path)
        real = self._real(path)
        if times is not None:
            info, now = os.lstat(real), time.time_ns()
            special = [{_UTIME_NOW: now, _UTIME_OMIT: kept} for kept in _times(info)]
            times = (special[0].get(times[0], times[0]), special[1].get(times[1], times[1]))
        os.utime(real, ns=times, follow_symlinks=False)
        return 0

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> int:
        self._enter("truncate", path, fh)
        target: int | str = fh if fh else self._real(path or "/")
        with self._write_lock:
            self._space.change(length - os.stat(target).st_size)
            os.truncate(target, length)
        return 0

    # -- open files

    def _opened(self, path: str, fh: int) -> int:
        self._paths[fh] = path
        self._in_use.add(fh)
        return fh

    def open(self, path: str, flags: int) -> int:
        self._enter("open", path)
        real = self._real(path)
        freed = os.stat(real).st_size if flags & os.O_TRUNC else 0
        fh = os.open(real, flags & ~(os.O_APPEND | os.O_NOFOLLOW))
        self._space.change(-freed)
        return self._opened(path, fh)

    def create(self, path: str, mode: int, fi: int = 0) -> int:  # type: ignore[override]
        self._enter("create", path)
        real = self._real(path, creates=True)
        fh = os.open(real, (fi & ~(os.O_APPEND | os.O_NOFOLLOW)) | os.O_CREAT, mode)
        self._own(real)
        return self._opened(path, fh)

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        self._enter("read", path, fh)
        return os.pread(fh, size, offset)

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        self._enter("write", path, fh)
        self._in_use.add(fh)
        with self._write_lock:
            growth = offset + len(data) - os.fstat(fh).st_size
            self._space.change(max(0, growth))
            return os.pwrite(fh, data, offset)

    def fallocate(self, path: str | None, mode: int, offset: int, size: int, fh: int) -> int:
        self._enter("fallocate", path, fh)
        if mode != 0:
            raise fail("EOPNOTSUPP")
        with self._write_lock:
            self._space.change(max(0, offset + size - os.fstat(fh).st_size))
            os.posix_fallocate(fh, offset, size)
        return 0

    def flush(self, path: str | None, fh: int) -> int:
        # The release comes some time after close() has returned; the flush comes before.
        self._in_use.discard(fh)
        self._enter("flush", path, fh)
        return 0

    def release(self, path: str | None, fh: int) -> int:
        self._in_use.discard(fh)
        self._paths.pop(fh, None)
        os.close(fh)
        return 0

    def fsync(self, path: str | None, datasync: int, fh: int) -> int:
        self._enter("fsync", path, fh)
        os.fsync(fh)
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        self._enter("fsyncdir", path)
        folder = os.open(self._real(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return 0


def _times(info: os.stat_result) -> tuple[int, int]:
    return info.st_atime_ns, info.st_mtime_ns


def _interrupted() -> bool:
    return bool(mfusepy._libfuse.fuse_interrupted())


class _FlockFaults:
    """Takes ``flock`` over from the kernel, which otherwise keeps it right by itself."""

    def flock(self, path: str, fh: int, op: int) -> int:
        self._enter("flock", path, fh)  # type: ignore[attr-defined]
        way = self._faults.flock  # type: ignore[attr-defined]
        while way == "block" and not op & fcntl.LOCK_UN:
            time.sleep(0.02)
            if _interrupted():
                raise fail("EINTR")
        while way == "real":
            try:
                fcntl.flock(fh, op | fcntl.LOCK_NB)
            except BlockingIOError:
                if op & fcntl.LOCK_NB:
                    raise
                if _interrupted():
                    raise fail("EINTR") from None
                time.sleep(0.005)
                continue
            break
        return 0


class _PosixLockFaults:
    """Takes ``fcntl`` locks over: a rule refuses them, and otherwise they lock nothing."""

    def lock(self, path: str | None, fh: int, cmd: int, lock: ctypes.c_void_p) -> int:
        self._enter("lock", path, fh)  # type: ignore[attr-defined]
        return 0


def operations(root: str, faults: Faults) -> PassThrough:
    """Return the operations; locks are taken over only where they are to differ."""
    named = {rule.operation for rule in faults.rules}
    extra: list[type] = []
    if faults.flock != "real" or "flock" in named:
        extra.append(_FlockFaults)
    if faults.posix_locks != "real" or "lock" in named:
        extra.append(_PosixLockFaults)
    kind = type("Faulty", (*extra, PassThrough), {})
    return kind(root, faults)


def main(arguments: list[str]) -> None:
    """Mount and serve until unmounted."""
    root, mount = arguments[:2]
    faults = Faults.from_json(sys.stdin.read())
    os.umask(0)
    options: dict[str, Any] = {"use_ino": True}
    options |= {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0}
    if "--allow-other" in arguments:
        options["allow_other"] = True
    mfusepy.FUSE(operations(root, faults), mount, foreground=True, **options)


if __name__ == "__main__":
    main(sys.argv[1:])
