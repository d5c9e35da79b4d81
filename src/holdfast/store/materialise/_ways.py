"""The ways in which bytes that are here already come to be at another path too.

The target is old or new and never half: what is written is made beside it and renamed over. Each
way looks at what it made, because some systems report success and make nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from holdfast.errors import StorageFailed
from holdfast.places import (
    Modes,
    Strategy,
    clone,
    describe_error,
    fsync,
    make_folder,
    open_new,
    replace,
    short_stem,
    temporary_name,
)

__all__ = ["REFUSALS", "WAYS", "copy", "hardlink", "materialise", "move", "reflink", "symlink"]

# The system's ways of saying "not here" or "not you"; anything else is a failure of its own.
REFUSALS = frozenset(
    {
        errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV,
        errno.EMLINK, errno.ENOTTY, errno.EINVAL, errno.ETXTBSY, errno.ELOOP,
    }
)  # fmt: skip
_WINDOWS_REFUSALS = frozenset({1, 5, 17, 50, 1314})  # 1314: a privilege that users do not have


def is_refusal(error: OSError) -> bool:
    """Return whether an error means that this way is not offered here."""
    number = getattr(error, "winerror", None)
    return number in _WINDOWS_REFUSALS if number else error.errno in REFUSALS


def symlink(source: Path, target: Path, modes: Modes) -> None:
    """Make ``target`` a symbolic link: relative within one hub cache, else absolute."""
    del modes
    text = _link_text(source, target)

    def make(path: Path) -> None:
        os.symlink(text, path)
        if not path.is_symlink() or not path.exists():
            path.unlink(missing_ok=True)
            raise OSError(errno.ENOTSUP, "a symbolic link was reported as made and is not there")

    _at_once(target, make)


def hardlink(source: Path, target: Path, modes: Modes) -> None:
    """Make ``target`` another name of the same file."""
    del modes
    original = os.path.realpath(source)

    def make(path: Path) -> None:
        os.link(original, path)
        if not path.samefile(original):
            raise OSError(errno.ENOTSUP, "a hard link was reported as made and is not there")

    _at_once(target, make)


def reflink(source: Path, target: Path, modes: Modes) -> None:
    """Make ``target`` a file of its own that shares the blocks."""
    with _beside(target) as temporary, source.open("rb") as original:
        descriptor = open_new(temporary, modes)
        try:
            clone(original.fileno(), descriptor)
            fsync(descriptor)
        finally:
            os.close(descriptor)
        _keep_time(source, temporary)


def move(source: Path, target: Path, modes: Modes) -> None:
    """Rename: the bytes are at ``target`` and no longer at ``source``."""
    del modes
    make_folder(target.parent, Modes())
    replace(source, target)


def copy(source: Path, target: Path, modes: Modes) -> None:
    """Write the bytes a second time."""
    with _beside(target) as temporary, source.open("rb") as original:
        descriptor = open_new(temporary, modes)
        with open(descriptor, "wb") as written:  # noqa: PTH123 - a descriptor
            shutil.copyfileobj(original, written, 1 << 20)
            written.flush()
            fsync(descriptor)
        _keep_time(source, temporary)


WAYS: dict[Strategy, Callable[[Path, Path, Modes], None]] = {
    "symlink": symlink,
    "hardlink": hardlink,
    "reflink": reflink,
    "move": move,
    "copy": copy,
}


def materialise(source: Path, target: Path, ways: tuple[Strategy, ...], modes: Modes) -> Strategy:
    """Bring ``source``'s bytes to ``target`` by the first way that is not refused.

    Raises:
        StorageFailed: every way was refused, or one failed for another reason (no space ...).
    """
    make_folder(target.parent, modes)
    refusals = []
    for way in ways:
        try:
            WAYS[way](source, target, modes)
        except OSError as error:
            if not is_refusal(error):
                raise
            refusals.append(f"{way}: {describe_error(error)}")
        else:
            return way
    raise StorageFailed(
        f"{target} could not be made from {source}",
        why="; ".join(refusals) or "no way is left",
        hint="holdfast doctor",
    )


def _at_once(target: Path, make: Callable[[Path], None]) -> None:
    # A link is whole from its birth, so only where the name is taken the way around is needed.
    try:
        make(target)
    except FileExistsError:
        with _beside(target) as temporary:
            make(temporary)


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    temporary = target.with_name(temporary_name(short_stem(target)))
    try:
        yield temporary
        replace(temporary, target)
        # Renaming one name of a file over another name of it does nothing and leaves both.
        temporary.unlink(missing_ok=True)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _link_text(source: Path, target: Path) -> str:
    # Relative links survive a cache that is moved as a whole: below one repository's folder.
    shared = f"{source.parent.parent}{os.sep}"
    inner = str(target).removeprefix(shared)
    if inner == str(target):
        return str(source)
    return f"..{os.sep}" * inner.count(os.sep) + str(source).removeprefix(shared)


def _keep_time(source: Path, target: Path) -> None:
    # The seal of the source then holds for the new file too. Where times cannot be set, the new
    # file is hashed once before it is trusted.
    status = source.stat()
    with contextlib.suppress(OSError):
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
