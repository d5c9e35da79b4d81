"""Files that appear whole or not at all, and stay after a power cut.

The order is always the same: temporary file beside the target, content, fsync, rename, fsync of
the folder. Names of temporary files say which process owns them, so that no lock is needed to
tell a live download from an orphan, and an orphan is adopted by renaming it: of several processes
that try, exactly one succeeds.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from holdfast.places._system import host_id, process_alive, process_birth

__all__ = [
    "FOREIGN_ORPHAN_AGE_S",
    "Modes",
    "Owner",
    "describe_error",
    "fsync",
    "make_folder",
    "open_new",
    "open_shared",
    "owner_of",
    "released_name",
    "replace",
    "short_stem",
    "sweep",
    "sync_folder",
    "sync_folders",
    "temporary_name",
    "write_file",
]

# A temporary file of a process on another machine, whose life cannot be asked after, is taken for
# an orphan once nothing has been written to it for this long.
FOREIGN_ORPHAN_AGE_S = 900.0
_REFUSED_REPLACE = {errno.EEXIST, errno.EACCES, errno.EPERM, errno.EBUSY}
_NOT_OFFERED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF}
_NAME = re.compile(
    r"(?P<stem>.*)\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-(?P<birth>[0-9a-f]+)-[0-9a-f]{6}\.incomplete"
)


class Modes(NamedTuple):
    """The permission bits of what is created; never more than the group."""

    shared: bool = False

    @property
    def file(self) -> int:
        """Mode of a file."""
        return 0o664 if self.shared else 0o644

    @property
    def folder(self) -> int:
        """Mode of a folder; set-group-id keeps what is made below it in the same group."""
        return 0o2775 if self.shared else 0o755


class Owner(NamedTuple):
    """The process a temporary file's name names, and what the file was to become."""

    stem: str
    host: str
    pid: int
    birth: str

    def gone(self, age_s: float) -> bool:
        """Return whether nobody writes to the file any more; ``age_s`` since its last write."""
        if self.pid == 0:
            return True
        if self.host == host_id():
            return not process_alive(self.pid, self.birth)
        return age_s > FOREIGN_ORPHAN_AGE_S


def short_stem(path: Path) -> str:
    """Return the beginning of a path's name, so that a temporary name made of it always fits."""
    return path.name[:16]


def temporary_name(stem: str) -> str:
    """Return a file name that no other process will use, made from ``stem``."""
    return f"{stem}.{_self(os.getpid())}-{os.urandom(3).hex()}.incomplete"


@functools.lru_cache(maxsize=1)
def _self(pid: int) -> str:
    return f"{host_id()}-{pid}-{process_birth(pid) or '0'}"


def released_name(stem: str) -> str:
    """Return a file name as of `temporary_name` that says: left by its owner, take it."""
    return f"{stem}.{host_id()}-0-0-{os.urandom(3).hex()}.incomplete"


def owner_of(name: str) -> Owner | None:
    """Read a name made by `temporary_name`, or None when it is not one."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return Owner(found["stem"], found["host"], int(found["pid"]), found["birth"])


def sweep(folder: Path, *, only: str = "") -> None:
    """Remove the temporary files and folders of processes that are gone.

    ``only`` restricts to names that begin with it. What cannot be removed stays.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - names, not paths
            owner = owner_of(name) if name.startswith(only) else None
            if owner is None:
                continue
            path = folder / name
            if owner.gone(time.time() - path.lstat().st_mtime):
                if path.is_dir() and not path.is_symlink():
                    import shutil  # slow to import, and this is rare

                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def describe_error(error: OSError) -> str:
    """Return an error as ``EACCES (Permission denied)``, with Windows' own number if it has one."""
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    number = getattr(error, "winerror", None)
    return f"{f'WinError {number}' if number else name} ({error.strerror})"


def make_folder(path: Path, modes: Modes) -> list[Path]:
    """Make a folder and what is missing above it; return those made, topmost first."""
    for _ in range(3):
        # A folder above may go away meanwhile: others remove what they made for their probe.
        with contextlib.suppress(FileNotFoundError):
            return _make_folder(path, modes)
    return _make_folder(path, modes)


def _make_folder(path: Path, modes: Modes) -> list[Path]:
    missing = []
    current = path
    while not current.is_dir():
        missing.append(current)
        if current.parent == current:
            break
        current = current.parent
    made = []
    for folder in reversed(missing):
        try:
            folder.mkdir(modes.folder & 0o777)
        except FileExistsError:
            if not folder.is_dir():
                raise
            continue
        made.append(folder)
        if modes.shared:
            _widen(folder, modes.folder)
    return made


def _widen(path: Path | int, mode: int) -> None:
    # The umask may have taken the group's bits away. Where chmod is refused (FAT, foreign mounts)
    # the mount's own modes hold and there is nothing to set.
    try:
        os.chmod(path, mode)  # noqa: PTH101 - also takes a descriptor
    except OSError as error:
        if error.errno not in _NOT_OFFERED | {errno.EPERM, errno.EACCES}:
            raise


def open_new(path: Path, modes: Modes) -> int:
    """Create a file that must not exist yet; return its descriptor, open for both ways."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0), modes.file)
    if modes.shared and sys.platform != "win32":
        _widen(descriptor, modes.file)
    return descriptor


def open_shared(path: Path, modes: Modes) -> int:
    """Open a file that several processes use, and make it if need be; return its descriptor."""
    try:
        return open_new(path, modes)
    except FileExistsError:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        return os.open(path, flags | getattr(os, "O_CLOEXEC", 0), modes.file)


def replace(source: Path, target: Path) -> None:
    """Rename over ``target``, also where the system refuses while somebody has it open.

    Windows, and file systems that behave like it, refuse to rename onto a file that exists or is
    open. It is tried for two seconds; then the target, which is known to be unwanted, is removed
    first, which is the one step that is not atomic.
    """
    deadline = time.monotonic() + 2.0
    pause = 0.005
    while True:
        try:
            os.replace(source, target)
            return
        except OSError as error:
            if target.is_dir() and not target.is_symlink():
                target.rmdir()  # an empty folder in a file's place; one with content raises
                continue
            if error.errno not in _REFUSED_REPLACE or not target.exists():
                raise
            if error.errno == errno.EEXIST or time.monotonic() > deadline:
                target.unlink()
                os.replace(source, target)
                return
        time.sleep(pause)
        pause = min(pause * 2, 0.2)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable; systems that know no such thing are left alone."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
    finally:
        os.close(descriptor)


def sync_folders(paths: Iterable[Path]) -> None:
    """Make the names in several folders durable."""
    for path in dict.fromkeys(paths):
        sync_folder(path)


def write_file(path: Path, content: bytes, modes: Modes) -> None:
    """Publish a small file atomically and durably.

    Raises:
        OSError: the file system refused; nothing of the new content is visible then.
    """
    temporary = path.with_name(temporary_name(short_stem(path)))
    descriptor = open_new(temporary, modes)
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            fsync(descriptor)
        finally:
            os.close(descriptor)
        replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def fsync(descriptor: int) -> None:
    """Flush a file's content; a file system without fsync is taken at its word."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
