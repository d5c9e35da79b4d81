"""The few questions about this machine that Python's library does not answer.

What is slow to import is imported where it is used: every command comes through here.
"""

from __future__ import annotations

import functools
import os
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.places._candidates import Surroundings

if TYPE_CHECKING:
    import ctypes

__all__ = [
    "clone",
    "fallocate",
    "filesystem_of",
    "host_id",
    "is_folder",
    "process_alive",
    "process_birth",
    "start_writeback",
    "surroundings",
]

_FICLONE = 0x40049409
_SYNC_FILE_RANGE_WRITE = 2


@functools.cache
def _libc() -> ctypes.CDLL | None:
    import ctypes

    return None if sys.platform == "win32" else ctypes.CDLL(None, use_errno=True)


def surroundings(env: Mapping[str, str]) -> Surroundings:
    """Read what the candidates of a home depend on."""
    uid = None if sys.platform == "win32" else os.getuid()
    user = "this user" if uid is None else f"user id {uid}"
    home = env.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    if not home and uid is not None:
        import pwd

        try:
            home = pwd.getpwuid(uid).pw_dir
        except KeyError:
            home = None
    try:
        application = Path.cwd()
    except FileNotFoundError:  # the folder was removed under us
        application = Path(os.sep)
    named = [env[name] for name in ("TMPDIR", "TEMP", "TMP") if env.get(name)]
    usual = ["C:\\TEMP", "C:\\TMP"] if sys.platform == "win32" else ["/tmp", "/var/tmp"]  # noqa: S108
    found = (Path(path) for path in (*named, *usual) if os.access(path, os.W_OK | os.X_OK))
    temporary = next(filter(is_folder, found), None)
    return Surroundings(env, Path(home) if home else None, user, application, temporary, uid)


def clone(source: int, target: int) -> None:
    """Share ``source``'s blocks with the empty file ``target`` (both file descriptors).

    Raises:
        OSError: the file system cannot (ENOTTY, EOPNOTSUPP, EXDEV, EINVAL ...).
    """
    if sys.platform != "linux":
        raise OSError(95, "no block sharing on this system")
    import fcntl

    fcntl.ioctl(target, _FICLONE, source)


def fallocate(descriptor: int, size: int, *, may_grow: bool = False) -> bool:
    """Reserve ``size`` bytes for a file, or return False where that is not offered.

    Its length stays as it is, unless it ``may_grow`` and the system (NFS) offers nothing else.

    Raises:
        OSError: the space is not there (ENOSPC, EDQUOT, EFBIG).
    """
    libc = _libc()
    if sys.platform != "linux" or libc is None or size == 0:
        return False
    import ctypes

    keep_size = 1
    for mode in (keep_size, 0) if may_grow else (keep_size,):
        if libc.fallocate(descriptor, mode, ctypes.c_int64(0), ctypes.c_int64(size)) == 0:
            return True
        code = ctypes.get_errno()
        if code in {28, 122, 27}:  # ENOSPC, EDQUOT, EFBIG
            raise OSError(code, os.strerror(code))
    return False


def start_writeback(descriptor: int, offset: int, size: int) -> None:
    """Ask the kernel to begin writing a range out, so that the later fsync has little to do."""
    import ctypes

    libc = _libc()
    if sys.platform == "linux" and libc is not None and hasattr(libc, "sync_file_range"):
        libc.sync_file_range(
            descriptor, ctypes.c_int64(offset), ctypes.c_int64(size), _SYNC_FILE_RANGE_WRITE
        )


def is_folder(path: Path) -> bool:
    """Return whether this is a folder; one that may not be looked at counts as none."""
    return os.path.isdir(path)  # noqa: PTH112 - the method raises where access is denied


def filesystem_of(folder: Path) -> str:
    """Return the name of the file system that holds ``folder``, or "" when it cannot be told."""
    if sys.platform != "linux":
        return ""
    try:
        device = folder.stat().st_dev
        table = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in table.splitlines():
        fields = line.split(" ")
        if fields[2] == wanted and "-" in fields:
            return fields[fields.index("-") + 1]
    return ""


@functools.cache
def host_id() -> str:
    """Return eight characters for the set of processes whose ids this one can see."""
    if sys.platform == "win32":
        import platform

        parts = [platform.node()]
    else:
        parts = [os.uname().nodename]
    for source in ("/proc/sys/kernel/random/boot_id", "/etc/machine-id"):
        try:
            parts.append(Path(source).read_text("utf-8").strip())
            break
        except OSError:
            continue
    try:
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        parts.append(sys.platform)
    return f"{zlib.crc32('|'.join(parts).encode()):08x}"


def process_birth(pid: int) -> str:
    """Return what distinguishes a process from a later one with the same id, or ""."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    if fields[0] in {"Z", "X"}:
        return "dead"  # ended, and only waiting for its parent to notice
    return format(int(fields[19]), "x")  # field 22 of proc(5): start time in clock ticks


if sys.platform == "win32":

    def process_alive(pid: int, birth: str) -> bool:
        """Return whether a process with this id runs; Windows does not tell its birth cheaply."""
        import ctypes

        del birth
        query_limited, still_active, access_denied = 0x1000, 259, 5
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = kernel.OpenProcess(query_limited, False, pid)
        if not handle:
            return ctypes.get_last_error() == access_denied
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return code.value == still_active

else:

    def process_alive(pid: int, birth: str) -> bool:
        """Return whether the process that had this id at that time still runs on this host."""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it is someone else's, and alive
        now = process_birth(pid)
        return now == "" or birth in ("", "0", now)
