"""Holdfast as a user runs it: the command line in a process of its own, against a hub in another.

    def test_it(shop, user):
        shelf = shop.new({"config.json": b"{}"})
        done = user.run("pull", shelf.name)
        assert done.json["bytes_fetched"] == 2

``shop`` is the hub and what it offers, ``user`` somebody with a home folder of their own.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from holdfast.mirror import Repositories
from holdfast.refs import RepoRef, parse_ref
from tests.support.hub import HubProcess, hub_process

__all__ = [
    "CLOSED_MACHINE",
    "Ran",
    "Shelf",
    "Shop",
    "User",
    "content_of",
    "disk_used",
    "holds",
    "leftovers",
    "opened_shop",
    "peer",
    "stamps",
]

_ROOT = Path(__file__).resolve().parents[2]
# What runs behind these words finds every disk read-only (root, in mounts of its own).
CLOSED_MACHINE = (
    "unshare",
    "--mount",
    "sh",
    "-euc",
    "for m in $(awk '{print $5}' /proc/self/mountinfo | sort -u); do "
    'mount -o remount,ro,bind "$m" 2>/dev/null || true; done; exec "$@"',
    "sh",
)
# A clock that runs ahead: what was written a moment ago counts as old.
_LATER = """
import sys, time
_ahead, _real = float(sys.argv.pop(1)), time.time
time.time = lambda: _real() + _ahead
from holdfast.cli.main import entry
entry()
"""


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> Any:
        """The result; fails with what the command said when there is none."""
        assert self.code == 0, f"exit {self.code}\n{self.out}\n{self.err}"
        return json.loads(self.out)

    def done(self) -> Any:
        """The result, from a command that is run for its effect; fails as ``json`` does."""
        return self.json

    @property
    def found(self) -> Any:
        """The result of a command that may exit non-zero (``verify``, ``doctor``)."""
        assert self.out, f"exit {self.code}\n{self.err}"
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error as data; fails when the command did well."""
        assert self.code not in {0, -signal.SIGKILL}, self.out
        start = self.err.find('{\n  "error"')
        assert start >= 0, f"exit {self.code}\n{self.err}"
        found: dict[str, Any] = json.loads(self.err[start:])["error"]
        return found


@dataclass(frozen=True)
class Shelf:
    """One repository of the shop, and its newest commit."""

    shop: Shop
    repo: RepoRef
    commit: str

    @property
    def name(self) -> str:
        """What to call it on the command line."""
        return str(self.repo)

    @property
    def pinned(self) -> str:
        """The same, at this commit."""
        return f"{self.repo}@{self.commit}"

    def next(self, files: Mapping[str, bytes | None], *, branch: str = "main") -> Shelf:
        """Commit on top of this and return the new state; None removes a file."""
        onto = self.commit
        self.shop.owns(self.repo, files)
        commit = self.shop.repositories.commit(self.repo, files, onto=onto, branch=branch)
        return replace(self, commit=commit)

    def folder(self, home: Path, commit: str = "") -> Path:
        """Return where its files are in a home."""
        return self.cache(home) / "snapshots" / (commit or self.commit)

    def cache(self, home: Path) -> Path:
        """Return its folder in a home's hub cache."""
        return home / "hub" / self.repo.folder_name


@dataclass
class Shop:
    """A hub in a process of its own, and the folder that it serves."""

    hub: HubProcess
    repositories: Repositories
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _own: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        """The hub's address."""
        return self.hub.url

    def new(self, files: Mapping[str, bytes | Path], name: str = "", **options: Any) -> Shelf:
        """Offer a repository; ``name`` may begin with ``datasets/`` or ``spaces/``."""
        repo = parse_ref(name or f"acme/model-{os.getpid()}-{next(self._numbers)}").repo
        self.owns(repo, files)
        return Shelf(self, repo, self.repositories.commit(repo, files, **options))

    def owns(self, repo: RepoRef, files: Mapping[str, bytes | Path | None]) -> None:
        """Note what the present test's requests are for."""
        self._own.add(str(repo))
        self._own |= {hashlib.sha256(d).hexdigest() for d in files.values() if isinstance(d, bytes)}

    def records(self) -> list[dict[str, Any]]:
        """Return this test's requests so far. Others' may still end: those of killed processes."""
        return [r for r in self.hub.records() if any(name in r["path"] for name in self._own)]

    def requests(self, part: str = "") -> list[str]:
        """Return the requests so far whose path contains ``part``, as ``GET /path``."""
        found = (f"{r['method']} {r['path']}" for r in self.records())
        return [text for text in found if part in text]

    def content_bytes(self) -> int:
        """Return the bytes of files that the hub has sent."""
        return sum(
            r["bytes_sent"]
            for r in self.records()
            if not r["path"].startswith("/api/") and r["status"] in {200, 206}
        )

    def metadata_requests(self) -> list[str]:
        """Return the requests that were not for content."""
        return self.requests(" /api/")

    def reset(self) -> None:
        """Switch all faults off and forget the requests."""
        self.hub.set_faults()
        self.hub.clear_records()

    def next_test(self) -> None:
        """Forget whatever the last test offered and switched on."""
        self.reset()
        self._own.clear()


@contextlib.contextmanager
def opened_shop(root: Path, *arguments: str) -> Iterator[Shop]:
    """Serve ``root`` from another process; ``arguments`` go to ``tests.support.hub``."""
    repositories = Repositories(root, durable=False)
    with hub_process(root, arguments=arguments) as hub:
        yield Shop(hub, repositories)


@dataclass(frozen=True)
class User:
    """Somebody who runs Holdfast.

    Attributes:
        home: the model home that is named on the command line; None names none.
        endpoint: the hub.
        env: the whole environment.
        prefix: words before the command, such as those of ``deny_prefix``.
    """

    home: Path | None
    endpoint: str
    env: Mapping[str, str]
    prefix: tuple[str, ...] = ()

    def but(self, **changes: Any) -> User:
        """Return the same user with some attributes changed."""
        return replace(self, **changes)

    def with_env(self, **variables: str) -> User:
        """Return the same user with more variables."""
        return replace(self, env={**self.env, **variables})

    def command(self, *words: str | Path, program: Sequence[str] = ("-m", "holdfast")) -> list[str]:
        """Return the words that run a command."""
        found = [*self.prefix, sys.executable, *program]
        if self.home is not None:
            found += ["--home", str(self.home)]
        if self.endpoint:
            found += ["--endpoint", self.endpoint]
        return [*found, *map(str, words)]

    def run(self, *words: str | Path, as_json: bool = True, timeout_s: float = 120.0) -> Ran:
        """Run a command to its end."""
        return self._ended(self.command(*words, *(["--json"] if as_json else [])), timeout_s)

    def run_later(self, ahead_s: float, *words: str | Path) -> Ran:
        """Run a command as if that much time had passed."""
        program = ("-c", _LATER, str(ahead_s))
        return self._ended(self.command(*words, "--json", program=program), 120.0)

    def _ended(self, command: list[str], timeout_s: float) -> Ran:
        started = time.monotonic()
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=dict(self.env),
            cwd=self.env.get("PWD"),
            timeout=timeout_s,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - started)

    def start(self, *words: str | Path, as_json: bool = True) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            self.command(*words, *(["--json"] if as_json else [])),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(self.env),
            cwd=self.env.get("PWD"),
        )

    def finish(self, process: subprocess.Popen[str], timeout_s: float = 120.0) -> Ran:
        """Wait for what was started."""
        out, err = process.communicate(timeout=timeout_s)
        return Ran(process.returncode, out, err, 0.0)


def content_of(folder: Path | str) -> dict[str, bytes]:
    """Return every file below a folder, links followed; huggingface_hub's records left out."""
    root = Path(folder)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.relative_to(root).parts[0] != ".cache"
    }


def holds(folder: Path | str, files: Mapping[str, bytes]) -> bool:
    """Return whether a folder holds just these files; some disks show names in other case."""
    root = Path(folder)
    wrong = [name for name, data in files.items() if (root / name).read_bytes() != data]
    assert wrong == []
    return len(content_of(root)) == len(files)


def disk_used(*folders: Path) -> int:
    """Return the bytes that files take; a file with several names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for folder in folders:
        for path in folder.rglob("*"):
            status = path.lstat()
            if path.is_symlink() or not path.is_file():
                continue
            if status.st_nlink > 1 and (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            total += status.st_size
    return total


def stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what would show any writing below a folder: names, sizes and times."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found


def leftovers(root: Path) -> list[str]:
    """Return the temporary names below a folder: none may stay once everything has ended."""
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.name.startswith(".holdfast-")
        or path.name.endswith((".incomplete", ".owner", ".tmp"))
    )


_PEER = """
import json, sys
from huggingface_hub import snapshot_download
arguments = json.loads(sys.argv[1])
print(snapshot_download(**arguments))
"""


def peer(
    user: User,
    repo: str,
    *,
    online: bool = False,
    prefix: Sequence[str] = (),
    hub: Path | None = None,
    **arguments: Any,
) -> Path:
    """Let unmodified huggingface_hub find a snapshot in a user's home, or download it there."""
    ref = parse_ref(repo)
    options: dict[str, Any] = {
        "repo_id": ref.repo.id,
        "repo_type": ref.repo.type,
        "revision": ref.revision,
        "endpoint": user.endpoint,
        "token": False,
        "local_files_only": not online,
        **arguments,
    }
    if hub is not None or user.home is not None:
        options.setdefault("cache_dir", str(hub or user.home / "hub"))  # type: ignore[operator]
    done = subprocess.run(
        [*prefix, sys.executable, "-c", _PEER, json.dumps(options)],
        capture_output=True,
        text=True,
        env={**user.env, "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip().splitlines()[-1])
