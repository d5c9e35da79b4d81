"""Whether the system's lock keeps a second process out here: tried with one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Literal

from holdfast.places._atomic import Modes, describe_error, open_new
from holdfast.places._locks import Taken, lock_descriptor

__all__ = ["LockTrial"]

_ANSWER_WITHIN_S = 2.0
# The second process: exits 0 when it was kept out, 1 when it was let in.
_RIVAL = """
import sys
try:
    if sys.platform == "win32":
        import msvcrt, os
        msvcrt.locking(os.open(sys.argv[1], os.O_RDWR), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl
        fcntl.flock(open(sys.argv[1], "r+b"), fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit(0)
sys.exit(1)
"""


class LockTrial:
    """Takes the system's lock, and lets a second process try while other things are tried.

    Args:
        path: a file that must not exist yet.
        modes: permission bits.
    """

    def __init__(self, path: Path, modes: Modes) -> None:
        self._rival: subprocess.Popen[bytes] | None = None
        self._path = path
        self._descriptor = open_new(path, modes)
        self._reason = self._take()
        if self._reason or not sys.executable:
            return
        command = [sys.executable, "-I", "-S", "-c", _RIVAL, str(path)]
        with contextlib.suppress(OSError):
            self._rival = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

    def _take(self) -> str:
        """Take the lock and return "", or why it was not had.

        Some systems never answer, though they were asked not to wait: a thread puts a limit on it.
        It is left behind then, and its descriptor with it.
        """
        answers: list[str] = []
        thread = threading.Thread(
            target=lambda: answers.append(_attempt(self._descriptor)), daemon=True
        )
        thread.start()
        thread.join(_ANSWER_WITHIN_S)
        if answers:
            return answers[0]
        self._descriptor = -1
        return f"no answer within {_ANSWER_WITHIN_S:g} s"

    def verdict(self, denied: dict[str, str]) -> Literal["proven", "silent", "refused"]:
        """Wait for the second process and say what came out; the reason goes to ``denied``."""
        try:
            if self._reason:
                denied["lock"] = self._reason
                return "refused"
            if self._kept_out():
                return "proven"
            denied["lock"] = "taken without an error, but it keeps nobody out"
            return "silent"
        finally:
            if self._descriptor >= 0:
                os.close(self._descriptor)

    def _kept_out(self) -> bool:
        if self._rival is None:
            # No second process can be had (an embedded interpreter): a second opening of the
            # file is a second holder too, where the lock is flock's.
            return self._second_opening_kept_out()
        try:
            return self._rival.wait(timeout=5) == 0
        except subprocess.TimeoutExpired:
            self._rival.kill()
            self._rival.wait()
            return False

    def _second_opening_kept_out(self) -> bool:
        other = os.open(self._path, os.O_RDWR)
        try:
            return bool(_attempt(other))
        finally:
            os.close(other)


def _attempt(descriptor: int) -> str:
    try:
        lock_descriptor(descriptor)
    except OSError as error:
        return describe_error(error)
    except Taken:
        return "a lock that nobody holds is reported as held"
    return ""
