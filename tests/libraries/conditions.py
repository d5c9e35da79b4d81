"""Machines on which libraries fail, each made for real: by the kernel, a file system, a user id.

with CONDITIONS["exfat"](Setting(...)) as machine:
    machine.run(["hub"], holdfast=True)
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.libraries import environment
from tests.libraries.environment import Ended
from tests.support.deny import deny_prefix, unavailable
from tests.support.filesystems import exfat, needs_root
from tests.support.users import Stranger

__all__ = ["CONDITIONS", "Machine", "Setting"]


@dataclass(frozen=True)
class Setting:
    """What a condition is made from.

    Attributes:
        base: an empty folder of its own.
        endpoint: the hub.
        stranger: yields the user without a name, or skips.
        layer: makes and returns a home that holds every repository.
    """

    base: Path
    endpoint: str
    stranger: Callable[[], Stranger]
    layer: Callable[[], Path]


@dataclass(frozen=True)
class Machine:
    """Where programs run.

    Attributes:
        env: the whole environment.
        cwd: the current folder.
        prefix: words that make the condition.
        holdfast: words that start Holdfast there.
        measured: folders that hold all that is brought.
        python: what runs the programs.
    """

    env: Mapping[str, str]
    cwd: Path
    prefix: tuple[str, ...] = ()
    holdfast: tuple[str, ...] = environment.HOLDFAST
    measured: tuple[Path, ...] = ()
    python: Path = environment.PYTHON

    def run(self, names: Sequence[str], *, holdfast: bool, **env: str) -> Ended:
        """Run programs here, as they are or below `holdfast run`; ``env`` is added."""
        before = [*self.prefix, *(self.holdfast if holdfast else ())]
        return environment.run(
            names,
            env={**self.env, **env},
            cwd=self.cwd,
            before=before,
            measured=self.measured,
            python=self.python,
        )


def ordinary(setting: Setting, place: Path | None = None, **env: str) -> Machine:
    """Return a machine with nothing wrong with it; ``place`` holds all that somebody has."""
    place = place or setting.base
    for name in ("user", "tmp", "work"):
        (place / name).mkdir(parents=True, exist_ok=True)
    common = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(place / "user"),
        "TMPDIR": str(place / "tmp"),
        "SAVEDIR": str(place / "work/saved"),
        "HF_ENDPOINT": setting.endpoint,
        "PYTHONPATH": str(environment.STUBS),
        "OMP_NUM_THREADS": "1",
    }
    return Machine({**common, **env}, place / "work", measured=(place,))


@contextlib.contextmanager
def _nothing_wrong(setting: Setting) -> Iterator[Machine]:
    yield ordinary(setting)


def _refusing(**refusals: str) -> Callable[[Setting], contextlib.AbstractContextManager[Machine]]:
    @contextlib.contextmanager
    def make(setting: Setting) -> Iterator[Machine]:
        if reason := unavailable():
            pytest.skip(reason)
        yield replace(ordinary(setting), prefix=tuple(deny_prefix(**refusals)))

    return make


@contextlib.contextmanager
def _exfat(setting: Setting) -> Iterator[Machine]:
    with exfat(setting.base) as disk:
        yield ordinary(setting, disk)


def _as_stranger(setting: Setting, home: str | None) -> tuple[Machine, Path]:
    """Return a machine of user 12345, who owns one folder and is in another, and the folder."""
    stranger = setting.stranger()
    own = Path(tempfile.mkdtemp(dir=stranger.folder))  # pytest's folders are closed to others
    machine = ordinary(setting, own)
    for folder in (own, *own.iterdir()):
        os.chown(folder, stranger.uid, stranger.gid)
    prefix = tuple(stranger.command(home=str(own / "user") if home == "~" else home))
    probe = [*prefix, str(environment.PYTHON), str(environment.DRIVER)]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("other users cannot read the libraries' Python, or this checkout")
    holdfast = (str(stranger.python), "-m", "holdfast", "run", "--")
    return Machine(machine.env, Path("/"), prefix, holdfast, (own,)), own


@contextlib.contextmanager
def _no_home(setting: Setting) -> Iterator[Machine]:
    yield _as_stranger(setting, None)[0]


@contextlib.contextmanager
def _home_is_root(setting: Setting) -> Iterator[Machine]:
    yield _as_stranger(setting, "/")[0]


@contextlib.contextmanager
def _foreign_cache(setting: Setting) -> Iterator[Machine]:
    machine, own = _as_stranger(setting, "~")
    foreign = own / "foreign"
    foreign.mkdir(mode=0o755)
    env = {**machine.env, "HF_HOME": str(foreign), "TORCH_HOME": str(foreign / "torch")}
    yield replace(machine, env=env)


# Every disk read-only and no network, as a container is run; one folder for temporary files.
_CLOSED = (
    "for m in $(awk '{print $5}' /proc/self/mountinfo | sort -u); do "
    'mount -o remount,ro,bind "$m" 2>/dev/null || true; done; '
    'if [ -n "$SCRATCH" ]; then mount -t tmpfs tmpfs "$SCRATCH"; '
    'mkdir "$SCRATCH/tmp" "$SCRATCH/work"; fi; exec "$@"'
)


@contextlib.contextmanager
def _closed(setting: Setting, *, scratch: bool = True, network: bool = False) -> Iterator[Machine]:
    needs_root("unshare", package="util-linux", device="")
    place = setting.base / "scratch"
    place.mkdir()
    machine = ordinary(setting, setting.base / "image")
    env = {
        "SCRATCH": str(place) if scratch else "",
        "TMPDIR": str(place / "tmp"),
        "SAVEDIR": str(place / "work/saved"),
        "HOLDFAST_LAYERS": str(setting.layer()),
    }
    holdfast = environment.HOLDFAST
    if not network:
        env["HF_HUB_OFFLINE"] = "1"  # else some libraries try for minutes
        holdfast = (*holdfast[:-1], "--offline", "--")
    away = () if network else ("--net",)
    prefix = ("unshare", "--mount", *away, "sh", "-euc", _CLOSED, "sh")
    yield Machine({**machine.env, **env}, Path("/"), prefix, holdfast, (place,))


CONDITIONS: dict[str, Callable[[Setting], contextlib.AbstractContextManager[Machine]]] = {
    "work": _nothing_wrong,
    "symlinks-EPERM": _refusing(symlink="EPERM"),
    "symlinks-ENOSYS": _refusing(symlink="ENOSYS"),
    "all-links-EPERM": _refusing(symlink="EPERM", link="EPERM"),
    "exfat": _exfat,
    "foreign-cache": _foreign_cache,
    "no-home": _no_home,
    "home-is-root": _home_is_root,
    "closed": _closed,
    "closed-online": functools.partial(_closed, network=True),
    "closed-entirely": functools.partial(_closed, scratch=False),
    "closed-entirely-online": functools.partial(_closed, scratch=False, network=True),
}
