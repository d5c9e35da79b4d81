"""Run a program for which the kernel refuses chosen system calls, for it and all its children.

    python -m tests.support.deny symlink=EPERM link=EPERM flock=ENOLCK -- COMMAND ...

Each refusal is FAMILY=ERRNO. ``ERRNO`` is a name or a number; ``0`` means that the call reports
success and does nothing at all, as a lock on some network mounts or a symbolic link under Wine.
A seccomp filter does it: any user may install one, nothing undoes it, and the program sees what a
kernel without the feature would answer. It also sets no_new_privs, so set-user-id helpers
(fusermount3) do not work below it. ``connect`` is refused whatever the address, loopback too.

This file is complete in itself: any interpreter can run it by its path.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FAMILIES", "deny_prefix", "install", "unavailable"]

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2
_RET_ALLOW, _RET_ERRNO = 0x7FFF0000, 0x00050000
_LOAD_WORD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENT_1 = 0, 4, 24

_FICLONE, _FICLONERANGE = 0x40049409, 0x4020940D
_LOCK_COMMANDS = (6, 7, 37, 38)  # F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW


@dataclass(frozen=True)
class Family:
    """System calls that are refused together; ``second_argument`` narrows them to these values."""

    calls: tuple[str, ...]
    second_argument: tuple[int, ...] = ()


FAMILIES: dict[str, Family] = {
    "symlink": Family(("symlink", "symlinkat")),
    "link": Family(("link", "linkat")),
    "rename": Family(("rename", "renameat", "renameat2")),
    "renameat2": Family(("renameat2",)),
    "chmod": Family(("chmod", "fchmod", "fchmodat", "fchmodat2")),
    "chown": Family(("chown", "fchown", "lchown", "fchownat")),
    "utime": Family(("utimensat",)),
    "unlink": Family(("unlink", "unlinkat")),
    "mkdir": Family(("mkdir", "mkdirat")),
    "flock": Family(("flock",)),
    "fcntl-lock": Family(("fcntl",), _LOCK_COMMANDS),
    "reflink": Family(("ioctl",), (_FICLONE, _FICLONERANGE)),
    "copy-file-range": Family(("copy_file_range",)),
    "sendfile": Family(("sendfile",)),
    "fallocate": Family(("fallocate",)),
    "fsync": Family(("fsync", "fdatasync", "syncfs")),
    "syncfs": Family(("syncfs",)),
    "connect": Family(("connect",)),
}

# A call that an architecture lacks (aarch64 has no symlink, only symlinkat) is left out.
_X86_64 = {
    "connect": 42, "fcntl": 72, "flock": 73, "fsync": 74, "fdatasync": 75, "rename": 82,
    "mkdir": 83, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90, "fchmod": 91, "chown": 92,
    "fchown": 93, "lchown": 94, "ioctl": 16, "sendfile": 40, "mkdirat": 258, "fchownat": 260,
    "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266, "fchmodat": 268,
    "utimensat": 280, "fallocate": 285, "syncfs": 306, "renameat2": 316, "copy_file_range": 326,
    "fchmodat2": 452,
}  # fmt: skip
_AARCH64 = {
    "fcntl": 25, "ioctl": 29, "flock": 32, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36,
    "linkat": 37, "renameat": 38, "fallocate": 47, "fchmod": 52, "fchmodat": 53, "fchownat": 54,
    "fchown": 55, "sendfile": 71, "fsync": 82, "fdatasync": 83, "utimensat": 88, "connect": 203,
    "syncfs": 267, "renameat2": 276, "copy_file_range": 285, "fchmodat2": 452,
}  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}


def unavailable() -> str | None:
    """Return why no filter can be installed here, or None when one can."""
    if sys.platform != "linux":
        return "seccomp filters are a Linux feature"
    if platform.machine() not in _MACHINES:
        return f"no system call numbers known for {platform.machine()}"
    return None


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _refusal(number: int, family: Family, answer: int) -> bytes:
    """Return the instructions for one call; the call's number is loaded before and after them."""
    verdict = _instruction(_RETURN, answer)
    if not family.second_argument:
        return _instruction(_JUMP_EQUAL, number, 0, 1) + verdict
    wanted = family.second_argument
    tests = b"".join(
        _instruction(_JUMP_EQUAL, value, len(wanted) - index - 1, int(index == len(wanted) - 1))
        for index, value in enumerate(wanted)
    )
    body = _instruction(_LOAD_WORD, _OFFSET_ARGUMENT_1) + tests + verdict
    body += _instruction(_LOAD_WORD, _OFFSET_NUMBER)
    return _instruction(_JUMP_EQUAL, number, 0, len(body) // 8) + body


def _program(refusals: dict[str, int]) -> bytes:
    architecture, numbers = _MACHINES[platform.machine()]
    allow = _instruction(_RETURN, _RET_ALLOW)
    program = _instruction(_LOAD_WORD, _OFFSET_ARCHITECTURE)
    program += _instruction(_JUMP_EQUAL, architecture, 1, 0) + allow
    program += _instruction(_LOAD_WORD, _OFFSET_NUMBER)
    for name, number in refusals.items():
        family = FAMILIES[name]
        for call in family.calls:
            if call in numbers:
                program += _refusal(numbers[call], family, _RET_ERRNO | number)
    return program + allow


def _errno_of(value: str | int) -> int:
    """Return the number of an errno given as name or number; 0 is silent success."""
    text = str(value)
    number = int(text) if text.isdigit() else getattr(errno, text, None)
    if not isinstance(number, int) or number > 4095:
        raise ValueError(f"{value!r} is not an errno")
    return number


def _refusals(given: dict[str, str | int]) -> dict[str, int]:
    named = {name.replace("_", "-"): _errno_of(value) for name, value in given.items()}
    unknown = sorted(set(named) - set(FAMILIES))
    if unknown:
        raise ValueError(f"unknown families {unknown}; known: {', '.join(sorted(FAMILIES))}")
    return named


def install(**refusals: str | int) -> None:
    """Refuse the families from now on, for this thread and whatever it starts. Irrevocable."""
    reason = unavailable()
    if reason:
        raise OSError(errno.ENOSYS, reason)
    program = _program(_refusals(refusals))
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a length, padding up to the pointer, the pointer.
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_ulong(value) for value in (1, 0, 0, 0)]
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, *arguments) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs was refused")
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), header, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the seccomp filter was refused")


def deny_prefix(*, python: str = sys.executable, **refusals: str | int) -> list[str]:
    """Return what to put before a command so that it runs with these families refused.

    ``deny_prefix(symlink="EPERM", fcntl_lock="ENOLCK")``; names take ``_`` for ``-``.
    """
    checked = _refusals(refusals)
    words = [f"{name}={number}" for name, number in checked.items()]
    return [python, "-I", str(Path(__file__).resolve()), *words, "--"]


def main(arguments: list[str]) -> None:
    """Read the command line, install the filter, become the command."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    words, command = arguments[:split], arguments[split + 1 :]
    if not command or any("=" not in word for word in words):
        raise SystemExit("usage: deny FAMILY=ERRNO ... -- COMMAND ...")
    given = dict(word.split("=", 1) for word in words)
    try:
        install(**given)
    except (OSError, ValueError) as error:
        raise SystemExit(f"deny: {error}") from error
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
