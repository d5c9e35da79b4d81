"""Containers made from what a Dockerfile says: bubblewrap stands for Docker.

    image = build(dockerfile, context, tmp_path / "image", {"HF_ENDPOINT": shop.url})
    done = run(image, user="54321", volumes=[Volume(tmp, "/tmp")])

What a Dockerfile copies and what its RUN lines write is really there, in a folder that becomes the
root. The system folders are this machine's, read-only, and the environment that runs the tests is
mounted where the Dockerfile makes its own: lines that make or fill one are passed over, so nothing
is downloaded. Processes have the user id, the groups, no capability and no name, and without
``network`` no network device at all.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import holdfast

__all__ = [
    "Image",
    "Serving",
    "Volume",
    "build",
    "needs_containers",
    "run",
    "serving",
    "volume",
]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PREFIXES = dict.fromkeys(Path(path) for path in (sys.prefix, sys.base_prefix))
_SOURCE = Path(holdfast.__file__).parents[1]
_VENV = "/opt/venv"
_STOOD_IN = re.compile(rf"python -m venv {_VENV}|pip install [\w./ -]+")


@dataclass(frozen=True)
class Image:
    """What a Dockerfile makes: its files in ``root``, and how a container of it starts."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    folder: str = "/"
    user: str = "0"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Volume:
    """A folder of this machine, mounted at ``target``."""

    source: Path
    target: str
    writable: bool = True


def volume(source: Path, target: str, mode: int = 0o1777, gid: int = 0) -> Volume:
    """Make an empty volume of root's; the mode is that of a tmpfs unless given."""
    source.mkdir(parents=True)
    os.chown(source, 0, gid)
    source.chmod(mode)
    return Volume(source, target)


def needs_containers() -> None:
    """Skip, with the reason, where no container can be made or other users cannot run Python."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root on Linux to make a container with another user id")
    for tool, package in (("bwrap", "bubblewrap"), ("setpriv", "util-linux")):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing (Debian: {package}; .ci/prepare installs it)")
    words = ["bwrap", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--proc", "/proc"]
    done = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"bubblewrap is refused here: {done.stderr.strip()}")
    if any(path.is_relative_to("/tmp") for path in (*_PREFIXES, _SOURCE)):
        pytest.skip("this checkout lies below /tmp, of which a container has its own")
    if not all(Path(p).stat().st_mode & 0o005 == 0o005 for p in (*_PREFIXES, _SOURCE)):
        pytest.skip("the environment that runs the tests is closed to other users")


def _system(root: Path) -> list[str]:
    """Return the mounts of the system's folders and of the Python that runs the tests."""
    words = []
    for name in ("usr", "bin", "sbin", "lib", "lib64", "etc/ld.so.cache", "etc/alternatives"):
        path = Path("/", name)
        inside = root / name
        if path.is_symlink():
            if not inside.is_symlink():
                inside.symlink_to(path.readlink())
        elif path.exists():
            words += ["--ro-bind", str(path), str(path)]
            _mount_point(inside, file=path.is_file())
    for source, target in [*((p, str(p)) for p in (*_PREFIXES, _SOURCE)), (sys.prefix, _VENV)]:
        if not Path(target).is_relative_to("/usr"):
            words += ["--ro-bind", str(source), target]
            _mount_point(root / target.lstrip("/"))
    for name in ("proc", "dev"):
        _mount_point(root / name)
    return [*words, "--proc", "/proc", "--dev", "/dev"]


def _mount_point(path: Path, *, file: bool = False) -> None:
    if not file:
        path.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _words(
    image: Image, user: str, groups: Sequence[int], volumes: Sequence[Volume], *, network: bool,
    read_only: bool, env: Mapping[str, str],
) -> list[str]:  # fmt: skip
    uid, _, gid = user.partition(":")
    words = ["bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    words += [] if network else ["--unshare-net"]
    words += ["--cap-add", "ALL", "--ro-bind" if read_only else "--bind", str(image.root), "/"]
    words += _system(image.root)
    for item in volumes:
        _mount_point(image.root / item.target.lstrip("/"))
        words += ["--bind" if item.writable else "--ro-bind", str(item.source), item.target]
    words += ["--clearenv", "--chdir", image.folder]
    for name, value in env.items():
        words += ["--setenv", name, value]
    if uid == "0":
        return [*words, "--"]
    others = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
    # As Docker: a user id without a passwd entry has group 0.
    words += ["--", "setpriv", "--reuid", uid, "--regid", gid or "0", *others]
    return [*words, "--inh-caps=-all", "--bounding-set=-all"]


def _command(
    image: Image,
    command: Sequence[str] | None,
    *,
    user: str = "",
    groups: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    volumes: Sequence[Volume] = (),
    network: bool = False,
    read_only: bool = True,
) -> list[str]:
    user = user or image.user
    home = "/root" if user == "0" else "/"  # what Docker and containerd set for a nameless user
    variables = {"HOME": home, **image.env, **(env or {})}
    variables = {name: value for name, value in variables.items() if value or name != "HOME"}
    words = _words(
        image, user, groups, volumes, network=network, read_only=read_only, env=variables
    )
    return [*words, *(command or [*image.entrypoint, *image.command])]


def run(
    image: Image, command: Sequence[str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a container to its end.

    Args:
        image: what it is made of.
        command: in the place of the image's own; None for that.
        options: ``user`` ("UID:GID"), ``groups``, ``env`` (an empty HOME is none), ``volumes``,
            ``network`` (off), ``read_only`` (the root; on).
    """
    return subprocess.run(
        _command(image, command, **options),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@dataclass
class Serving:
    """A server that runs: the folder it serves, and what it has said once it has ended."""

    folder: str
    said: str = ""


@contextmanager
def serving(image: Image, command: list[str] | None = None, **options: Any) -> Iterator[Serving]:
    """Start a server that says what it serves, and end it."""
    process = subprocess.Popen(
        _command(image, command, **options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = Serving(line.removeprefix("serving ").strip())
    try:
        if line.startswith("serving "):
            yield found
    finally:
        process.kill()
        found.said = line + "".join(process.communicate())
    assert line.startswith("serving "), found.said


def build(
    dockerfile: str, context: Path, folder: Path, arguments: Mapping[str, str] | None = None
) -> Image:
    """Do what a Dockerfile says, below ``folder``; ``arguments`` are those of ``--build-arg``."""
    stages: dict[str, _Stage] = {}
    stage: _Stage | None = None
    for word, rest in _instructions(dockerfile):
        if word == "FROM":
            name = rest.partition(" AS ")[2] or str(len(stages))
            stage = stages[name] = _Stage(context, folder / name, arguments or {}, stages)
        elif stage is None:
            raise AssertionError(f"{word} before FROM")
        else:
            stage.do(word, rest)
    assert stage is not None
    _keep_whole_seconds(stage.image.root)
    return stage.image


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", " ", lines).splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


class _Stage:
    def __init__(
        self, context: Path, root: Path, given: Mapping[str, str], stages: Mapping[str, _Stage]
    ) -> None:
        (root / "etc").mkdir(parents=True)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        (root / "root").mkdir()  # open: the interpreter of the tests may lie below it
        self.image = Image(root)
        self._context, self._given, self._stages = context, given, stages
        self._arguments: dict[str, str] = {}

    def do(self, word: str, rest: str) -> None:
        match word:
            case "ENV":
                pairs = dict(part.split("=", 1) for part in shlex.split(rest))
                values = {name: self._expanded(value) for name, value in pairs.items()}
                self._change(env={**self.image.env, **values})
            case "ARG":
                name, _, default = rest.partition("=")
                self._arguments[name] = self._given.get(name, default)
            case "WORKDIR":
                self._change(folder=rest)
                _mount_point(self._inside("."))
            case "COPY":
                self._copy(rest.split())
            case "RUN":
                for line in rest.split(" && "):
                    self._run(line)
            case "USER":
                self._change(user=rest)
            case "ENTRYPOINT":
                self._change(entrypoint=tuple(json.loads(rest)))
            case "CMD":
                self._change(command=tuple(json.loads(rest)))
            case "EXPOSE":
                pass
            case _:
                raise AssertionError(f"{word} is not known here")

    def _change(self, **changes: Any) -> None:
        self.image = replace(self.image, **changes)

    def _expanded(self, text: str) -> str:
        return re.sub(r"\$\{?(\w+)\}?", lambda match: self.image.env.get(match[1], ""), text)

    def _inside(self, path: str) -> Path:
        return self.image.root / Path(self.image.folder, path).relative_to("/")

    def _copy(self, words: list[str]) -> None:
        *sources, target = [word for word in words if not word.startswith("--")]
        stage = next((w.partition("=")[2] for w in words if w.startswith("--from=")), "")
        for source in sources:
            base = self._stages[stage].image.root if stage else self._context
            path = base / source.lstrip("/")
            goal = self._inside(target)
            if path.is_file():
                goal = goal / path.name if target.endswith("/") else goal
                source_words = [str(path)]
            else:
                source_words = [f"{path}/."]
                goal.mkdir(parents=True, exist_ok=True)
            goal.parent.mkdir(parents=True, exist_ok=True)
            copied = ["cp", "-a", "--no-preserve=ownership", *source_words, str(goal)]
            subprocess.run(copied, check=True)

    def _run(self, line: str) -> None:
        if _STOOD_IN.fullmatch(line):
            return
        done = run(
            self.image, ["/bin/sh", "-c", line], env=self._arguments, network=True, read_only=False
        )
        assert done.returncode == 0, f"RUN {line}\n{done.stdout}\n{done.stderr}"


def _keep_whole_seconds(root: Path) -> None:
    """Do to times what the layers of an image do (docs/adr/0006-seals.md)."""
    for path in root.rglob("*"):
        seconds = int(path.lstat().st_mtime)
        os.utime(path, (seconds, seconds), follow_symlinks=False)
