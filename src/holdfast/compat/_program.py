"""Becoming another program: its own signals, its own exit code, nothing of ours in between."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from holdfast.errors import CommandNotFound, CommandNotRunnable, ConfigInvalid

__all__ = ["become"]


def become(command: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Run a command in this process's place, with exactly these variables.

    On Windows, where a process cannot become another, it is started, waited for, and its exit code
    handed on.

    Raises:
        ConfigInvalid: there is no command.
        CommandNotFound, CommandNotRunnable: it is not there, or the system will not start it.
    """
    if not command:
        raise ConfigInvalid(
            "there is no command to run", why="nothing follows `holdfast run`",
            hint="holdfast run -- python app.py",
        )  # fmt: skip
    name = command[0]
    path = shutil.which(name, path=env.get("PATH", os.defpath))
    if path is None:
        if os.path.exists(name) and os.sep in name:  # noqa: PTH110 - as the user wrote it
            folder = os.path.isdir(name)  # noqa: PTH112
            raise CommandNotRunnable(
                f"{name} cannot be run",
                why="it is a folder" if folder else "it is not an executable file",
                hint=f"ls {name}" if folder else f"chmod +x {name}",
            )
        raise CommandNotFound(
            f"there is no command {name}", why=f"looked in PATH={env.get('PATH', '')}",
            hint="holdfast run -- python app.py    (the command with its arguments, after --)",
        )  # fmt: skip
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # what is ours to say; the command's output is its own
            stream.flush()
    try:
        if sys.platform == "win32":
            _wait_for(path, command, env)
        # Python ignores these, and what is ignored would stay so in the command.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execve(path, list(command), _own(env))  # noqa: S606 - what the user asked for
    except OSError as error:
        raise CommandNotRunnable(
            f"{path} cannot be run", why=error.strerror or str(error),
            hint="for a script: does its first line name an interpreter that exists?",
        ) from error  # fmt: skip


def _own(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without the one that Python sets for itself in the C locale."""
    found = dict(env)
    with contextlib.suppress(OSError):
        if b"LC_CTYPE=" not in Path("/proc/self/environ").read_bytes():
            found.pop("LC_CTYPE", None)
    return found


def _wait_for(path: str, command: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    import subprocess

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command has it too, and decides
    sys.exit(subprocess.call([path, *command[1:]], env=dict(env)))
