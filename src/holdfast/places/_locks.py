"""Turn-taking between processes, where it can be had.

A lock here only saves work; correctness never depends on it (unique temporary names, publishing
by rename). Where flock was proven to exclude another process it is used, otherwise a file that
names its owner: a dead owner's file is broken, and a live owner that shows no progress is not
waited for longer than the stall limit.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from holdfast.places._atomic import Modes, make_folder, open_shared, owner_of, temporary_name

__all__ = ["Taken", "hold", "lock_descriptor", "take_turn", "try_lock"]

Announce = Callable[[str], None]
_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EDEADLK}


class Taken(Exception):
    """Somebody else holds the lock."""


def lock_descriptor(descriptor: int, *, shared: bool = False) -> None:
    """Take the system's advisory lock on an open file, without waiting.

    Raises:
        Taken: another holder excludes us.
        OSError: the file system offers no such lock.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY or (sys.platform == "win32" and error.errno == errno.EACCES):
            raise Taken from None
        raise


@contextlib.contextmanager
def try_lock(path: Path, modes: Modes, *, shared: bool = False) -> Iterator[None]:
    """Hold the system's lock on ``path`` for the block.

    Raises:
        Taken: another process holds it.
        OSError: no lock can be had here.
    """
    make_folder(path.parent, modes)
    descriptor = open_shared(path, modes)
    try:
        lock_descriptor(descriptor, shared=shared)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def hold(
    path: Path,
    modes: Modes,
    *,
    proven: bool,
    stall_s: float,
    progress: Callable[[], object],
    announce: Announce,
) -> Iterator[bool]:
    """Wait for one's turn on ``path`` and hold it for the block; yield whether it was had.

    ``progress`` returns anything that changes while the present holder gets on; when it has not
    changed for ``stall_s`` seconds, the block runs without the lock and ``announce`` says so.
    """
    make_folder(path.parent, modes)
    with contextlib.ExitStack() as stack:
        last, since, said = progress(), time.monotonic(), 0.0
        pause = 0.01
        while True:
            try:
                stack.enter_context(take_turn(path, modes, proven=proven))
                held = True
                break
            except Taken:
                now = time.monotonic()
                if (current := progress()) != last:
                    last, since = current, now
                if now - since > stall_s:
                    announce(
                        f"the process that holds {path} made no progress for {stall_s:.0f} s: "
                        "going on without it"
                    )
                    held = False
                    break
                if now - said > 10:
                    announce(f"waiting for another process that works on the same model ({path})")
                    said = now
                time.sleep(pause)
                pause = min(pause * 1.5, 0.25)
            except OSError as error:
                announce(f"no lock can be had on {path} ({error.strerror}): going on without it")
                held = False
                break
        yield held


def take_turn(path: Path, modes: Modes, *, proven: bool) -> contextlib.AbstractContextManager[None]:
    """Return a context that holds one's turn on ``path``, or refuses at once.

    Raises (on entering):
        Taken: it is somebody else's.
        OSError: no turn can be had here.
    """
    return try_lock(path, modes) if proven else _owner_file(path, modes)


@contextlib.contextmanager
def _owner_file(path: Path, modes: Modes) -> Iterator[None]:
    marker = path.with_name(path.name + ".owner")
    mine = temporary_name("owner")
    try:
        descriptor = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, modes.file)
    except FileExistsError:
        _break_if_abandoned(marker)
        raise Taken from None
    try:
        os.write(descriptor, mine.encode())
    finally:
        os.close(descriptor)
    try:
        yield
    finally:
        # It may have been taken for abandoned meanwhile; then it is no longer ours to remove.
        with contextlib.suppress(FileNotFoundError):
            if marker.read_text("ascii") == mine:
                marker.unlink()


def _break_if_abandoned(marker: Path) -> None:
    try:
        text = marker.read_text("ascii", "replace")
        age = time.time() - marker.stat().st_mtime
    except FileNotFoundError:
        return
    owner = owner_of(text)
    # An unreadable marker is one whose owner died between creating and writing it.
    abandoned = owner.gone(age) if owner is not None else age > 5.0
    if abandoned:
        # Renaming is the claim: of several processes that see the same corpse, one succeeds.
        grave = marker.with_name(temporary_name(marker.name))
        with contextlib.suppress(FileNotFoundError):
            marker.rename(grave)
            grave.unlink()
