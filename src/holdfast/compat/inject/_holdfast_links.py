"""A stand-in where the system refuses a symbolic link: a hard link, a reflink, or a copy.

One choke point, ``os.symlink``, which ``pathlib`` calls too; only for links in, or to, the folders
it is given; only on the codes that mean "not here". Where links work it looks once whether the link
is there, because some systems report one and make none.
"""

from __future__ import annotations

import errno
import os
import sys
from _thread import allocate_lock, get_ident  # threading itself costs every start 3 ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

__all__ = ["LinkFallback", "installed", "packed", "unpacked"]

REFUSED = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
# A privilege is missing; a file system that has no links (FAT, exFAT); the same from a redirector.
REFUSED_WINDOWS = {1314, 1, 50}
# These try a link before they count on it, and have a cheaper way than a copy where there is none.
COPING = ("huggingface_hub",)
_FICLONE = 0x40049409
_TRIES = 20
_MARK = "_holdfast_fallback"


def packed(folders: Iterable[str]) -> str:
    """Return folders as one variable's value; a folder's name may hold the separator too."""
    inside = "%{:02X}".format(ord(os.pathsep))
    return os.pathsep.join(f.replace("%", "%25").replace(os.pathsep, inside) for f in folders)


def unpacked(value: str) -> list[str]:
    """Return the folders that `packed` was given."""
    inside = "%{:02X}".format(ord(os.pathsep))
    parts = [part for part in value.split(os.pathsep) if part]
    return [part.replace(inside, os.pathsep).replace("%25", "%") for part in parts]


def installed() -> LinkFallback | None:
    """Return the fallback that ``os.symlink`` goes through now, whichever copy of this made it."""
    found: LinkFallback | None = getattr(os.symlink, _MARK, None)
    return found


class LinkFallback:
    """Replaces ``os.symlink`` until it is removed again.

    Args:
        folders: links are stood in for below these, and where they lead to a place below these.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self._lock = allocate_lock()
        self._roots: tuple[str, ...] = ()
        self._said: set[str] = set()
        self._original: Any = None
        self._active = False
        self.add(folders)

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders it applies to, as compared: absolute, also with their links resolved."""
        return self._roots

    def add(self, folders: Iterable[str]) -> None:
        """Apply to more folders."""
        with self._lock:
            found = dict.fromkeys(self._roots)
            for folder in folders:
                found[_normal(os.path.abspath(folder))] = None
                found[_normal(os.path.realpath(folder))] = None
            self._roots = tuple(found)

    def keep(self, folders: Iterable[str]) -> None:
        """Apply to exactly these folders, as ``folders`` returned them before."""
        self._roots = tuple(folders)

    def install(self) -> None:
        """Take the place of ``os.symlink``; doing it twice changes nothing."""
        with self._lock:
            self._active = True
            if self._original is not None:
                return
            self._original = os.symlink

            def symlink(
                src: Any, dst: Any, target_is_directory: bool = False, *, dir_fd: Any = None
            ) -> None:
                self._symlink(src, dst, target_is_directory, dir_fd)

            symlink.__doc__ = os.symlink.__doc__
            setattr(symlink, _MARK, self)
            if self._original in os.supports_dir_fd:
                os.supports_dir_fd.add(symlink)
            os.symlink = symlink

    def remove(self) -> None:
        """Put ``os.symlink`` back; where something else has wrapped it since, do nothing in it."""
        with self._lock:
            self._active = False
            if installed() is self:
                os.supports_dir_fd.discard(os.symlink)
                os.symlink = self._original
                self._original = None

    def _symlink(self, src: Any, dst: Any, target_is_directory: bool, dir_fd: Any) -> None:
        for _ in range(_TRIES):
            refusal = self._refused(src, dst, target_is_directory, dir_fd)
            if refusal is None:
                return
            source, target = _resolved(os.fsdecode(src), os.fsdecode(dst))
            places = (target, os.path.normpath(source), os.path.realpath(source))
            if not any(map(self._concerns, places)):
                if refusal.errno == errno.EIO:
                    return  # as reported: elsewhere nothing is changed
                raise refusal
            if refusal.errno == errno.EIO and self._links_here(os.fsdecode(src), target):
                return  # it was made, and another process has removed it since
            if not isinstance(refusal, FileExistsError):
                try:
                    self._stand_in(source, target, refusal)
                    return
                except FileExistsError as error:
                    refusal = error
            if self._made_before(os.fsdecode(src), source, target):
                return  # another process was first, with the same link
            try:
                if os.readlink(target) == os.fsdecode(src):
                    return
                break
            except FileNotFoundError:
                continue  # it was in the way a moment ago: another process is making it anew
            except OSError:
                break  # something else than a link
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), src, None, dst)

    def _refused(
        self, src: Any, dst: Any, target_is_directory: bool, dir_fd: Any
    ) -> OSError | None:
        """Make the link; return why it is not there, or raise what is not ours to mend."""
        try:
            self._original(src, dst, target_is_directory, dir_fd=dir_fd)
        except OSError as error:
            if dir_fd is not None or not self._active or not _may_stand_in(error):
                raise
            return error
        if dir_fd is not None or not self._active or os.path.islink(dst):
            return None
        return OSError(errno.EIO, "the link was reported made, and is not there", dst)

    def _made_before(self, src: str, source: str, target: str) -> bool:
        """Return whether this very link, or what stands in for it, is there already."""
        if os.path.islink(target):
            try:
                return os.readlink(target) == src
            except OSError:
                return False  # another process has removed it since
        if os.path.normpath(source) == target:
            return False
        # A file is a link's stand-in only where links are refused.
        return not self._links_here(src, target) and _same(source, target)

    def _links_here(self, src: str, target: str) -> bool:
        """Return whether the system makes links in a folder: one is tried beside the target."""
        trial = _beside(target)
        try:
            self._original(src, trial)
        except OSError:
            return False
        if not os.path.islink(trial):
            return False
        os.unlink(trial)
        return True

    def _concerns(self, path: str) -> bool:
        shown = _normal(path)
        return any(shown == root or shown.startswith(root + os.sep) for root in self._roots)

    def _stand_in(self, source: str, target: str, refusal: OSError) -> None:
        real = os.path.realpath(source)
        if os.path.isdir(real):
            self._folder(real, target, refusal)
        elif os.path.isfile(real):
            self._say_once(refusal)
            self._file(real, target, refusal, copy=not _caller_copes())
        else:
            raise refusal  # a link to nothing has no stand-in

    def _file(self, real: str, target: str, refusal: OSError, *, copy: bool) -> None:
        if os.path.lexists(target):
            if _same(real, target):
                return
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        try:
            os.link(real, target)
            return
        except FileExistsError:
            if not _same(real, target):
                raise
            return
        except OSError:
            pass  # no hard link here either: share the blocks, or have them twice
        temporary = _beside(target)
        try:
            shared = _cloned(real, temporary)
            if not shared:
                if not copy:
                    raise refusal
                _copied(real, temporary)
                self._warn(
                    "%s is a copy of %s (%d bytes): no kind of link works here",
                    target, real, os.path.getsize(real),
                )  # fmt: skip
            os.replace(temporary, target)
        except OSError as error:
            if error is refusal:
                raise
            raise refusal from error
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)

    def _folder(self, real: str, target: str, refusal: OSError) -> None:
        if (target + os.sep).startswith(real + os.sep):
            raise refusal  # a folder cannot hold a copy of itself
        if os.path.lexists(target):
            if _same(real, target):
                return
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        if sys.platform == "win32":
            import _winapi

            _winapi.CreateJunction(real, target)
            return
        import shutil

        self._say_once(refusal)
        temporary = _beside(target)
        try:
            os.mkdir(temporary)
            for path in _files(real, ""):
                inside = os.path.join(temporary, path)
                os.makedirs(os.path.dirname(inside), exist_ok=True)
                found = os.path.realpath(os.path.join(real, path))
                self._file(found, inside, refusal, copy=True)
            os.rename(temporary, target)
        except OSError as error:
            if isinstance(error, FileExistsError) or error.errno == errno.ENOTEMPTY:
                return  # another process was first
            if error is refusal:
                raise
            raise refusal from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _say_once(self, refusal: OSError) -> None:
        reason = refusal.strerror or str(refusal)
        if reason not in self._said:
            self._said.add(reason)
            _log().info("symbolic links are refused here (%s): hard links stand in", reason)

    @staticmethod
    def _warn(message: str, *values: object) -> None:
        _log().warning(message, *values)


def _log() -> Any:
    import logging  # only where something is to be said: it would cost every Python its import

    return logging.getLogger("holdfast.compat")


def _may_stand_in(error: OSError) -> bool:
    if isinstance(error, FileExistsError) or error.errno in REFUSED:
        return True
    return getattr(error, "winerror", None) in REFUSED_WINDOWS


def _resolved(src: str, dst: str) -> tuple[str, str]:
    # As the kernel reads it: a relative link begins at the folder that it really lies in.
    folder, name = os.path.split(os.path.abspath(dst))
    folder = os.path.realpath(folder)
    return os.path.join(folder, src), os.path.join(folder, name)


def _normal(path: str) -> str:
    return os.path.normcase(path).rstrip(os.sep) or os.sep


def _same(source: str, target: str) -> bool:
    """Return whether ``target`` already shows what is at ``source``."""
    try:
        if os.path.samefile(source, target):
            return True
        if os.path.isdir(source):
            real = os.path.realpath(source)
            return os.path.isdir(target) and all(
                _same(os.path.join(real, path), os.path.join(target, path))
                for path in _files(real, "")
            )
        if os.path.islink(target) or os.path.getsize(source) != os.path.getsize(target):
            return False
        return _alike(source, target)
    except OSError:
        return False


def _alike(one: str, other: str) -> bool:
    """Return whether two files of one size hold the same: a copy or clone that came first."""
    with open(one, "rb") as first, open(other, "rb") as second:
        while chunk := first.read(1 << 20):
            if chunk != second.read(1 << 20):
                return False
    return True


def _beside(target: str) -> str:
    folder, name = os.path.split(target)
    unique = f"{os.getpid()}-{get_ident():x}-{os.urandom(3).hex()}"
    return os.path.join(folder, f".holdfast-{name[:80]}-{unique}.incomplete")


def _cloned(source: str, target: str) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    with open(source, "rb") as reader, open(target, "xb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError:
            return False
    _keep_time(source, target)
    return True


def _copied(source: str, target: str) -> None:
    import shutil

    with open(source, "rb") as reader, open(target, "wb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())
    _keep_time(source, target)


def _keep_time(source: str, target: str) -> None:
    status = os.stat(source)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _files(folder: str, below: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the files of a folder, links followed, each once on its way."""
    here = os.path.realpath(os.path.join(folder, below))
    if here in seen:
        return
    with os.scandir(here) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            path = os.path.join(below, entry.name)
            if entry.is_dir():
                yield from _files(folder, path, seen | {here})
            elif entry.is_file():
                yield path


def _caller_copes() -> bool:
    frame: Any = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name != __name__ and name.partition(".")[0] != "pathlib":
            return name.partition(".")[0] in COPING
        frame = frame.f_back
    return False
