"""Whether the system's lock keeps a second process out here: tried with two of them.

Both are other processes, because some systems never answer, though they are asked not to wait:
a process can be ended then, and a thread of our own could not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from holdfast.places._atomic import Modes, describe_error, open_new
from holdfast.places._locks import Taken, lock_descriptor

if TYPE_CHECKING:
    import subprocess

__all__ = ["LockTrial"]

_ANSWER_WITHIN_S = 2.0
_KEPT_OUT, _LET_IN, _REFUSED = 0, 1, 2
# Takes the lock, then lets a second process try; a refusal's number goes to standard output.
_SCRIPT = """
import os, sys
script, path, *second = sys.argv[1:]
def take():
    file = open(path, "r+b")
    if sys.platform == "win32":
        import msvcrt
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file
def rival():
    try:
        take()
    except OSError:
        return 0
    return 1
if second:
    sys.exit(rival())
try:
    held = take()
except OSError as error:
    print(error.errno)
    sys.exit(2)
if hasattr(os, "fork"):
    child = os.fork()
    if not child:
        os._exit(rival())
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
import subprocess
sys.exit(subprocess.call([sys.executable, "-I", "-S", "-c", script, script, path, "second"]))
"""


class LockTrial:
    """Two processes at one lock, while other things are tried.

    Args:
        path: a file that must not exist yet.
        modes: permission bits.
    """

    def __init__(self, path: Path, modes: Modes) -> None:
        self._path = path
        os.close(open_new(path, modes))
        self._process: subprocess.Popen[bytes] | None = None
        if sys.executable:
            import subprocess

            command = [sys.executable, "-I", "-S", "-c", _SCRIPT, _SCRIPT, str(path)]
            with contextlib.suppress(OSError):
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )

    def verdict(self, denied: dict[str, str]) -> Literal["proven", "silent", "refused"]:
        """Wait for the outcome; a reason goes to ``denied``."""
        code, why = self._outcome() if self._process is None else self._wait(self._process)
        if code == _KEPT_OUT:
            return "proven"
        denied["lock"] = why or "taken without an error, but it keeps nobody out"
        return "silent" if code == _LET_IN else "refused"

    def abandon(self) -> None:
        """End the trial; nobody wants to know its outcome any more."""
        if self._process is not None:
            _end(self._process)

    @staticmethod
    def _wait(process: subprocess.Popen[bytes]) -> tuple[int, str]:
        from subprocess import TimeoutExpired

        try:
            said = process.communicate(timeout=_ANSWER_WITHIN_S)[0]
        except TimeoutExpired:
            _end(process)
            return _REFUSED, f"no answer within {_ANSWER_WITHIN_S:g} s"
        if said.strip().isdigit():
            number = int(said)
            return _REFUSED, describe_error(OSError(number, os.strerror(number)))
        if process.returncode in {_KEPT_OUT, _LET_IN}:
            return process.returncode, ""
        return _REFUSED, f"the trial ended with {process.returncode}"

    def _outcome(self) -> tuple[int, str]:
        # No other process can be had (an embedded interpreter): a second opening of the file is a
        # second holder too, where the lock is flock's.
        one, two = os.open(self._path, os.O_RDWR), os.open(self._path, os.O_RDWR)
        try:
            lock_descriptor(one)
            try:
                lock_descriptor(two)
            except (Taken, OSError):
                return _KEPT_OUT, ""
            return _LET_IN, ""
        except Taken:
            return _REFUSED, "a lock that nobody holds is reported as held"
        except OSError as error:
            return _REFUSED, describe_error(error)
        finally:
            os.close(one)
            os.close(two)


def _end(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
