"""Running Holdfast as somebody else: a user id that no passwd file knows, with no home folder.

    with stranger_user() as stranger:        # or the session fixture ``stranger``
        done = stranger.run("-m", "holdfast", "where", home=None)

Such a user cannot read root's interpreters and perhaps not this checkout either, so the system's
Python gets a virtual environment of its own in a world-readable place, with a copy of the project
and of what it depends on, taken from the running environment: nothing is downloaded.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from tests.support.serving import NO_DOCUMENTS

__all__ = ["Stranger", "stranger_user"]

_PROJECT = Path(__file__).resolve().parents[2]
_SYSTEM_PYTHON = Path("/usr/bin/python3")
_LAUNCHER = """\
#!{python}
from holdfast.cli.main import entry

raise SystemExit(entry())
"""


@dataclass(frozen=True)
class Stranger:
    """A user without a name. ``folder`` is theirs; ``python`` can import holdfast."""

    uid: int
    gid: int
    python: Path
    folder: Path

    def command(self, *words: str | Path, home: str | None = None) -> list[str]:
        """Return the words that run a command as this user; HOME is unset when ``home`` is None."""
        become = ["setpriv", "--reuid", str(self.uid), "--regid", str(self.gid), "--clear-groups"]
        setting = ["-u", "HOME"] if home is None else [f"HOME={home}"]
        return [*become, "env", *setting, *map(str, words)]

    def run(
        self,
        *arguments: str | Path,
        home: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run the stranger's Python with these arguments, in a bare environment plus ``env``."""
        bare = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **NO_DOCUMENTS}
        return subprocess.run(
            self.command(self.python, *arguments, home=home),
            capture_output=True,
            text=True,
            env={**bare, **(env or {})},
            cwd=cwd or self.folder,
            timeout=timeout_s,
            check=False,
        )


@contextlib.contextmanager
def stranger_user(
    *, uid: int = 12345, gid: int = 0, extras: tuple[str, ...] = ()
) -> Iterator[Stranger]:
    """Yield a stranger with a Python of its own; skip with the reason where there can be none.

    It takes half a second, so a session shares one.

    Args:
        uid: the user id, unknown to the system.
        gid: the group id; containers with arbitrary user ids have 0.
        extras: the project's extras to bring along (``server``, ``speech``).
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root on Linux to become another user")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is missing (Debian: util-linux)")
    reason = _system_python_unfit(needs_same_version=bool(extras))
    if reason:
        pytest.skip(reason)
    base = Path(tempfile.mkdtemp(prefix="holdfast-stranger-", dir="/tmp"))
    try:
        base.chmod(0o755)
        python = _environment(base / "venv", extras)
        folder = base / "folder"
        folder.mkdir()
        os.chown(folder, uid, gid)
        yield Stranger(uid=uid, gid=gid, python=python, folder=folder)
    finally:
        shutil.rmtree(base)


def _system_python_unfit(*, needs_same_version: bool) -> str | None:
    if not _SYSTEM_PYTHON.exists():
        return f"{_SYSTEM_PYTHON} is missing, and other users may not read other interpreters"
    done = subprocess.run(
        [_SYSTEM_PYTHON, "-c", "import sys, venv; print(*sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return f"{_SYSTEM_PYTHON} has no venv module (Debian: python3-venv)"
    version = tuple(map(int, done.stdout.split()))
    if version < (3, 11):
        return f"{_SYSTEM_PYTHON} is {version[0]}.{version[1]}, and Holdfast needs 3.11"
    if needs_same_version and version != sys.version_info[:2]:
        return f"{_SYSTEM_PYTHON} is another version, and compiled packages cannot be shared"
    return None


def _environment(folder: Path, extras: tuple[str, ...]) -> Path:
    """Make the virtual environment and return its interpreter."""
    subprocess.run([_SYSTEM_PYTHON, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin/python"
    site = next(folder.glob("lib/python3*/site-packages"))
    shutil.copytree(
        _PROJECT / "src/holdfast", site / "holdfast", ignore=shutil.ignore_patterns("__pycache__")
    )
    for distribution in _needed(extras).values():
        _copy_distribution(distribution, site)
    launcher = folder / "bin/holdfast"
    launcher.write_text(_LAUNCHER.format(python=python))
    launcher.chmod(0o755)
    # Unpacked files may be closed to others when root's umask is; directories too.
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    return python


def _needed(extras: tuple[str, ...]) -> dict[str, metadata.Distribution]:
    """Return the project's dependencies in the running environment, by normalised name."""
    project = tomllib.loads((_PROJECT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    found: dict[str, metadata.Distribution] = {}
    while wanted:
        name, asked = _parse(wanted.pop())
        if name == project["name"]:
            wanted += [text for extra in asked for text in project["optional-dependencies"][extra]]
            continue
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed here, and Holdfast needs it")
        wanted += _applying(found[name].requires or [], asked)
    return found


def _parse(requirement: str) -> tuple[str, set[str]]:
    from packaging.requirements import Requirement

    parsed = Requirement(requirement)
    return re.sub(r"[-_.]+", "-", parsed.name).lower(), parsed.extras


def _applying(requirements: list[str], extras: set[str]) -> list[str]:
    """Return the requirements whose markers hold here, with these extras asked for."""
    from packaging.requirements import Requirement

    chosen = []
    for text in requirements:
        marker = Requirement(text).marker
        contexts = [{"extra": extra} for extra in (extras or {""})]
        if marker is None or any(marker.evaluate(context) for context in contexts):
            chosen.append(text)
    return chosen


def _copy_distribution(distribution: metadata.Distribution, site: Path) -> None:
    for file in distribution.files or []:
        # Scripts lie outside of site-packages; compiled files are made again.
        if ".." in file.parts or file.suffix == ".pyc":
            continue
        source, target = Path(str(distribution.locate_file(file))), site / file
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
