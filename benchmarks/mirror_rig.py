"""Where nginx is missing: the same repositories on Holdfast's own mirror, in its own process.

Slower than nginx, and equally so for both sides; the report says when it was used.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.hub import HubProcess, hub_process

from benchmarks.corpus import Repository
from benchmarks.rig import Traffic

__all__ = ["MirrorHub", "mirror_hub"]

# Run as a program, so that the measuring process stays small.
_FILL = """
import sys
from pathlib import Path
from holdfast.mirror import Repositories
from holdfast.refs import RepoRef
root, name, large = sys.argv[1:4]
files = {}
for word in sys.stdin.read().splitlines():
    blob, _, path = word.partition(" ")
    files[path] = Path(blob)
chosen = set(large.split(","))
repositories = Repositories(root, durable=False)
print(repositories.commit(RepoRef(name), files, lfs=lambda path, size: path in chosen))
"""


class MirrorHub:
    """The mirror, counted and moved as the cases need it."""

    def __init__(self, process: HubProcess) -> None:
        self._process = process
        self.endpoint = process.url

    def move_main(self, repository: Repository, commit: str) -> None:
        """Let the branch ``main`` of a repository stand at another commit."""
        if repository.main != commit:
            repository.main = commit
            self._process.move_branch(repository.name, commit)

    def reset_log(self) -> None:
        """Start counting from here."""
        self._process.clear_records()

    def traffic(self) -> Traffic:
        """Return what was served since :meth:`reset_log`."""
        records = self._process.records()
        return Traffic(
            requests=len(records),
            heads=sum(record["method"] == "HEAD" for record in records),
            bytes_sent=sum(record["bytes_sent"] for record in records),
        )


@contextlib.contextmanager
def mirror_hub(folder: Path, repositories: list[Repository]) -> Iterator[MirrorHub]:
    """Serve the repositories; their commits get the names that the mirror gives them."""
    for repository in repositories:
        named = {}
        for files in repository.revisions.values():
            large = ",".join(file.path for file in files if file.lfs)
            commit = subprocess.run(
                [sys.executable, "-c", _FILL, str(folder), repository.name, large],
                input="\n".join(f"{file.blob} {file.path}" for file in files),
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            named[commit] = files
        repository.revisions = named
        repository.main = list(named)[-1]
    with hub_process(folder) as process:
        yield MirrorHub(process)
