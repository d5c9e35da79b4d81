"""A folder with a mind of its own: a FUSE pass-through whose every operation can be made to fail.

    with fuse_folder(tmp_path, rules=[Rule("link", "EPERM")], flock="nothing") as folder:
        ...

The file system is a process of its own (``tests.support.passthrough``), so what a test does in the
folder goes through the kernel exactly as on a foreign disk.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from ctypes.util import find_library
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from tests.support.mounts import is_mounted

__all__ = ["Faults", "Rule", "fuse_folder", "fuse_unavailable"]

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Rule:
    """One operation that fails: by its FUSE name (``symlink``, ``write``, ``fsync``, ``open`` ...).

    ``match`` is a pattern on the path below the mount ("*/blobs/*"); the first ``after`` matching
    calls succeed, and after ``times`` refusals it succeeds again. ``*`` as operation is any.
    """

    operation: str
    errno: str
    match: str = "*"
    after: int = 0
    times: int | None = None


@dataclass(frozen=True)
class Faults:
    """How the folder differs from a good one.

    Attributes:
        rules: operations that fail.
        flock: ``real``; ``nothing`` reports success and locks nothing; ``block`` never returns
            (until the waiting process is killed).
        posix_locks: the same for ``fcntl`` locks, without ``block``.
        rename_onto_existing: errno for a rename onto a name that exists, or None.
        sharing: ``windows`` refuses (EACCES) to rename or unlink an open file, or to replace one.
        fold_case: names that differ only in case are the same name.
        names: ``windows`` refuses (EINVAL) its reserved characters and names, and a trailing dot
            or space.
        max_name_bytes: longer names fail with ENAMETOOLONG.
        space_bytes: what may be stored in all; beyond, writes fail with ``space_errno``.
        space_errno: ENOSPC (then statfs shows it) or EDQUOT (then statfs does not, as quotas do).
        statfs: values to report, such as ``{"f_bavail": 10, "f_ffree": 3}``.
    """

    rules: tuple[Rule, ...] = ()
    flock: Literal["real", "nothing", "block"] = "real"
    posix_locks: Literal["real", "nothing"] = "real"
    rename_onto_existing: str | None = None
    sharing: Literal["posix", "windows"] = "posix"
    fold_case: bool = False
    names: Literal["posix", "windows"] = "posix"
    max_name_bytes: int | None = None
    space_bytes: int | None = None
    space_errno: Literal["ENOSPC", "EDQUOT"] = "ENOSPC"
    statfs: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the faults as the server process takes them."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Faults:
        """Read :meth:`to_json` back."""
        data = json.loads(text)
        data["rules"] = tuple(Rule(**rule) for rule in data["rules"])
        return cls(**data)


def fuse_unavailable() -> str | None:
    """Return why no FUSE folder can be had here, or None when one can."""
    if sys.platform != "linux":
        return "FUSE folders are mounted on Linux only"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is missing or closed to this user (.ci/prepare opens it)"
    if shutil.which("fusermount3") is None and shutil.which("fusermount") is None:
        return "fusermount3 is missing (Debian: fuse3)"
    if importlib.util.find_spec("mfusepy") is None:
        return "the Python package mfusepy is missing (pip install mfusepy)"
    if find_library("fuse3") is None:
        return "libfuse3 is missing (Debian: fuse3)"
    return None


@contextlib.contextmanager
def fuse_folder(
    base: Path,
    *,
    rules: Sequence[Rule] = (),
    backing: Path | None = None,
    allow_other: bool = False,
    timeout_s: float = 20.0,
    **faults: object,
) -> Iterator[Path]:
    """Mount a faulty folder below ``base`` and yield it; skip with the reason where that fails.

    Args:
        base: an existing folder; ``fuse-N`` and ``fuse-N.backing`` are made in it.
        rules: operations that fail, see :class:`Rule`.
        backing: what the folder shows; a fresh empty folder when None.
        allow_other: let other users in (root, or ``user_allow_other`` in /etc/fuse.conf).
        timeout_s: how long the mount may take to appear.
        faults: the other fields of :class:`Faults`.
    """
    reason = fuse_unavailable()
    if reason:
        pytest.skip(reason)
    wanted = Faults(rules=tuple(rules), **faults)  # type: ignore[arg-type]
    number = len(list(base.glob("fuse-*.log")))
    mount = base / f"fuse-{number}"
    store = backing if backing is not None else base / f"fuse-{number}.backing"
    log = base / f"fuse-{number}.log"
    mount.mkdir()
    store.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.support.passthrough", str(store), str(mount)]
    if allow_other:
        command.append("--allow-other")
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=_ROOT,
            # libfuse 2 knows no fstat of a file that was unlinked while open.
            env=os.environ | {"FUSE_LIBRARY_NAME": "fuse3"},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    assert server.stdin is not None
    try:
        server.stdin.write(wanted.to_json().encode())
        server.stdin.close()
        _wait_until_mounted(mount, server, log, timeout_s)
        yield mount
    finally:
        _unmount(mount)
        _stop(server)


def _wait_until_mounted(
    mount: Path, server: subprocess.Popen[bytes], log: Path, timeout_s: float
) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_mounted(mount):
        if server.poll() is not None or time.monotonic() > deadline:
            text = log.read_text(errors="replace").strip()
            if "perm" in text.lower() or "denied" in text.lower():
                pytest.skip(f"FUSE mounts are refused here: {text.splitlines()[-1]}")
            raise RuntimeError(f"the FUSE folder did not appear: {text or 'no output'}")
        time.sleep(0.01)


def _unmount(mount: Path) -> None:
    """Unmount; where a process still holds the folder, detach it so that nothing stays behind."""
    tool = shutil.which("fusermount3") or shutil.which("fusermount") or "fusermount3"
    for flags in (["-u"], ["-u", "-z"]):
        done = subprocess.run([tool, *flags, str(mount)], capture_output=True, check=False)
        if done.returncode == 0 or not is_mounted(mount):
            return


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Let the server end by itself after the unmount; a lazily detached one is ended."""
    for end in (None, server.terminate, server.kill):
        if end is not None:
            end()
        try:
            server.wait(timeout=2)
        except subprocess.TimeoutExpired:
            continue
        return
