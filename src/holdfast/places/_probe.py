"""What a folder can really do, found out by doing it.

Every capability is exercised on real files in a folder of its own, which is removed again together
with whatever had to be made above it. Nothing is inferred from the file system's name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from holdfast.places._atomic import (
    Modes,
    describe_error,
    fsync,
    make_folder,
    open_new,
    replace,
    sweep,
    temporary_name,
)
from holdfast.places._lock_trial import LockTrial
from holdfast.places._system import clone, filesystem_of

__all__ = ["Probe", "Strategy", "can_hold", "free_space", "probe"]

Strategy = Literal["symlink", "hardlink", "reflink", "move", "copy"]
_ATTEMPTS = 5
_STEM = ".holdfast-probe"
_CONTENT = b"holdfast probes this folder\n" * 150


class Probe(NamedTuple):
    """What was found in one folder.

    Attributes:
        folder: the folder probed.
        refusal: why models cannot live here, or "" when they can.
        links: those of ``symlink``, ``hardlink``, ``reflink`` that were made and read back.
        denied: for each capability that is missing, the system's reason.
        lock: ``proven`` (a second process was kept out), ``silent`` (taken, but excludes nobody),
            ``refused``, or ``untried``.
        replaces: a rename over an existing file is done in one step.
        chmod: permission bits can be changed.
        case_sensitive: ``a`` and ``A`` are two files.
        normalizes: the two Unicode spellings of one name are the same file.
        name_max: the longest file name, in bytes.
        free_bytes: what this user may still write.
        free_inodes: how many files can still be made; None where the system does not count.
        filesystem: its name, "" when unknown.
        seconds: how long the probe took.
    """

    folder: Path
    refusal: str = ""
    links: tuple[Strategy, ...] = ()
    denied: Mapping[str, str] = {}
    lock: Literal["proven", "silent", "refused", "untried"] = "refused"
    replaces: bool = True
    chmod: bool = True
    case_sensitive: bool = True
    normalizes: bool = False
    name_max: int = 255
    free_bytes: int = 0
    free_inodes: int | None = None
    filesystem: str = ""
    seconds: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether models can live here."""
        return not self.refusal

    @property
    def strategy(self) -> Strategy:
        """How one stored file will appear in several places: the cheapest way that works."""
        return self.links[0] if self.links else "move"


def probe(folder: Path, modes: Modes, *, private: bool = False, try_lock: bool = True) -> Probe:
    """Find out what ``folder`` can do. It need not exist; nothing is left behind.

    ``private`` refuses a folder that another user owns or can write to. Without ``try_lock`` it
    takes a quarter of the time, and decides the same. Never raises `OSError`: what goes wrong is
    the result.
    """
    started = time.perf_counter()
    for attempt in range(_ATTEMPTS):
        try:
            found = _examine(folder, modes, private=private, try_lock=try_lock)
            break
        except FileNotFoundError as error:
            # Another process made the folder for its own probe, and has removed it again.
            found = Probe(folder, refusal=_refusal(folder, error))
            time.sleep(0.01 * attempt)
        except OSError as error:
            found = Probe(folder, refusal=_refusal(folder, error))
            break
    return found._replace(seconds=time.perf_counter() - started)


def _examine(folder: Path, modes: Modes, *, private: bool, try_lock: bool) -> Probe:
    made: list[Path] = []
    try:
        made = make_folder(folder, modes)
        if private and (reason := _not_private(folder)):
            return Probe(folder, refusal=reason)
        with _workspace(folder) as work:
            found = _Findings(work, modes).run(folder, try_lock=try_lock)
        free_bytes, free_inodes = free_space(folder)
        return found._replace(
            free_bytes=free_bytes,
            free_inodes=free_inodes,
            filesystem=filesystem_of(folder),
        )
    finally:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir()


def _refusal(folder: Path, error: OSError) -> str:
    where = error.filename if isinstance(error.filename, str) else str(folder)
    if _STEM in where:
        where = str(folder)
    return f"{describe_error(error)} at {where}"


@contextlib.contextmanager
def _workspace(folder: Path) -> Iterator[Path]:
    work = folder / temporary_name(_STEM)
    work.mkdir(0o700)
    try:
        yield work
    finally:
        with contextlib.suppress(OSError):
            for path in work.iterdir():
                with contextlib.suppress(OSError):
                    path.unlink()
            work.rmdir()
        sweep(folder, only=".holdfast-")  # of processes that were killed while they probed


def _not_private(folder: Path) -> str:
    if sys.platform == "win32":
        return ""
    status = folder.lstat()
    if not folder.is_dir() or folder.is_symlink():
        return f"{folder} is not a real folder"
    if status.st_uid != os.getuid():
        return f"{folder} belongs to user id {status.st_uid}: another user could swap its files"
    if status.st_mode & 0o022:
        return f"{folder} is writable by others (mode {status.st_mode & 0o7777:04o})"
    return ""


def free_space(folder: Path) -> tuple[int, int | None]:
    """Return the bytes and inodes this user may still take; None where inodes are not counted.

    Raises:
        OSError: the folder cannot be asked about.
    """
    if sys.platform == "win32":
        import shutil

        return shutil.disk_usage(folder).free, None
    status = os.statvfs(folder)
    inodes = status.f_favail if status.f_files else None
    return status.f_bavail * status.f_frsize, inodes


class _Findings:
    """One pass over the capabilities, in a folder of its own."""

    def __init__(self, work: Path, modes: Modes) -> None:
        self.work = work
        self.modes = modes
        self.denied: dict[str, str] = {}

    def run(self, folder: Path, *, try_lock: bool) -> Probe:
        """Exercise everything; whatever a home cannot do without raises."""
        first = self.work / "first"
        self._write(first)
        lock = LockTrial(self.work / "lock", self.modes) if try_lock else None
        try:
            return self._run(folder, first, lock)
        except BaseException:
            if lock is not None:
                lock.abandon()
            raise

    def _run(self, folder: Path, first: Path, lock: LockTrial | None) -> Probe:
        replaces = self._replaces(first)
        trials: dict[Strategy, Callable[[Path], None]] = {
            "symlink": self._symlink,
            "hardlink": self._hardlink,
            "reflink": self._reflink,
        }
        links = tuple(name for name, trial in trials.items() if self._works(name, trial, first))
        chmod = self._works("chmod", self._chmod, first)
        case_sensitive = not self._same("Case", "cASE")
        normalizes = self._same("\u00e9", "e\u0301")
        return Probe(
            folder,
            links=links,
            replaces=replaces,
            chmod=chmod,
            case_sensitive=case_sensitive,
            normalizes=normalizes,
            name_max=self._longest_name(),
            lock=lock.verdict(self.denied) if lock else "untried",
            denied=self.denied,
        )

    def _write(self, path: Path) -> None:
        descriptor = open_new(path, self.modes)
        try:
            os.write(descriptor, _CONTENT)
            fsync(descriptor)
        finally:
            os.close(descriptor)
        if path.read_bytes() != _CONTENT:
            raise OSError(errno.EIO, "what was written is not what is read back", str(path))

    def _replaces(self, first: Path) -> bool:
        target = self.work / "target"
        target.write_bytes(b"old")
        source = self.work / "source"
        source.write_bytes(first.read_bytes())
        try:
            os.replace(source, target)
            one_step = True
        except OSError as error:
            self.denied["replace"] = describe_error(error)
            replace(source, target)
            one_step = False
        if target.read_bytes() != _CONTENT:
            raise OSError(errno.EIO, "a rename did not bring the content along", str(target))
        return one_step

    def _works(self, name: str, trial: Callable[[Path], None], first: Path) -> bool:
        try:
            trial(first)
        except OSError as error:
            self.denied[name] = describe_error(error)
            return False
        except NotImplementedError:
            self.denied[name] = "not offered by this system"
            return False
        return True

    def _symlink(self, first: Path) -> None:
        link = self.work / "symlink"
        os.symlink(first.name, link)
        # Some systems report success and make nothing, so what counts is what is there afterwards.
        if os.readlink(link) != first.name or link.read_bytes() != _CONTENT:
            raise OSError(errno.EIO, "reported as made, but it is not there")

    def _hardlink(self, first: Path) -> None:
        link = self.work / "hardlink"
        os.link(first, link)
        if not link.samefile(first):
            raise OSError(errno.EIO, "reported as made, but it is another file")

    def _reflink(self, first: Path) -> None:
        path = self.work / "reflink"
        target = open_new(path, self.modes)
        try:
            source = os.open(first, os.O_RDONLY)
            try:
                clone(source, target)
            finally:
                os.close(source)
        finally:
            os.close(target)
        if path.read_bytes() != _CONTENT:
            raise OSError(errno.EIO, "reported as made, but the content differs")

    def _chmod(self, first: Path) -> None:
        first.chmod(0o600)
        if sys.platform != "win32" and first.stat().st_mode & 0o777 != 0o600:
            raise OSError(errno.ENOTSUP, "accepted, but without effect")

    def _same(self, one: str, other: str) -> bool:
        try:
            # Made anew: one driver (fusefat) may never return from renaming to such names.
            (self.work / one).write_bytes(b"")
            return (self.work / other).exists()
        except (OSError, UnicodeError):
            return False  # such names are then found impossible one by one, when a plan has them

    def _longest_name(self) -> int:
        # Most hold 255; encrypting layers hold 143. Blobs and their temporary names need 112.
        for length in (255, 143, 112):
            if can_hold(self.work, "n" * length):
                return length
        raise OSError(errno.ENAMETOOLONG, "names of 112 bytes cannot be had, which blobs need")


def can_hold(folder: Path, name: str) -> bool:
    """Return whether a file of this name can be made in ``folder`` and is then listed as such.

    Some systems show names in other case or in the other Unicode spelling; the name still opens.
    """
    path = folder / name
    try:
        path.write_bytes(b"")
    except (OSError, ValueError):
        return False
    try:
        shown = {_folded(other) for other in os.listdir(folder)}  # noqa: PTH208 - names, not paths
        return _folded(name) in shown
    finally:
        path.unlink(missing_ok=True)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
