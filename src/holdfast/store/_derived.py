"""What was made of a revision's files: an exported graph, a converted model. Made once, and kept.

It lies with the repository, named after the commit (which is a digest of every source file), the
converter and its version: another of any of these is another artefact. It appears whole or not at
all, and its files are hashed before every use, like those that were downloaded.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.errors import StorageFailed
from holdfast.places import (
    Modes,
    describe_error,
    hold,
    make_folder,
    sweep,
    sync_folder,
    temporary_name,
    write_file,
)
from holdfast.store._layout import RepoFolder
from holdfast.store._target import flush

__all__ = ["Derivation", "derived"]

_RECORD = "holdfast-derived.json"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_STALL_S = 600.0


class Derivation(NamedTuple):
    """How something is made of a revision's files.

    Attributes:
        name: what it is, in lower case with hyphens, such as ``onnx-optimised``.
        version: the converter and its version: what another one makes is not taken for this.
        make: fills an empty folder (second) from the revision's (first).
    """

    name: str
    version: str
    make: Callable[[Path, Path], None]


def derived(
    repo: RepoFolder,
    commit: str,
    source: Path,
    what: Derivation,
    modes: Modes,
    *,
    proven: bool = False,
    announce: Callable[[str], None] = lambda _: None,
) -> Path:
    """Return the folder of what is made of a revision; make it if it is not there, or damaged.

    Args:
        repo: the repository in the home that can be written.
        commit: the revision.
        source: the folder that holds its files.
        what: how it is made.
        modes: permission bits.
        proven: locks keep other processes out here; else the work may at worst be done twice.
        announce: told when another process is waited for.

    Raises:
        StorageFailed: there is no place for it.
        Exception: what ``what.make`` raised; nothing is left of its attempt.
    """
    if not _NAME.fullmatch(what.name):
        raise ValueError(f"{what.name!r} is no name for a derivation")
    key = hashlib.sha256(what.version.encode()).hexdigest()[:12]
    folder = repo.own / "derived" / f"{commit}-{what.name}-{key}"
    if _sound(folder):
        return folder
    try:
        make_folder(folder.parent, modes)
        with hold(
            folder.parent / "lock", modes, proven=proven, stall_s=_STALL_S,
            progress=lambda: sorted(path.stat().st_mtime_ns for path in folder.parent.iterdir()),
            announce=announce,
        ):  # fmt: skip
            if not _sound(folder):
                _make(folder, source, commit, what, modes)
    except OSError as error:
        raise StorageFailed(
            f"{what.name} of {repo.repo} cannot be kept at {folder.parent}",
            why=describe_error(error), hint="holdfast doctor",
        ) from error  # fmt: skip
    return folder


def _make(folder: Path, source: Path, commit: str, what: Derivation, modes: Modes) -> None:
    sweep(folder.parent)  # what killed processes left half made
    shutil.rmtree(folder, ignore_errors=True)  # it is damaged, if it is there
    temporary = folder.with_name(temporary_name(what.name))
    temporary.mkdir(modes.folder & 0o777)
    try:
        what.make(source, temporary)
        made = [temporary / path for path in _files(temporary)]
        flush([path for path in made if not path.is_symlink()])  # others' files are theirs to keep
        record = {
            "made_of": commit,
            "name": what.name,
            "version": what.version,
            "files": {path: _facts(temporary / path) for path in _files(temporary)},
        }
        write_file(temporary / _RECORD, json.dumps(record, indent=1).encode(), modes)
        try:
            temporary.rename(folder)  # it is there at once, or not at all
        except OSError:
            if not _sound(folder):  # without a lock another process may have been quicker
                raise
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sound(folder: Path) -> bool:
    """Return whether everything is there and is what it was when it was made."""
    try:
        files = json.loads((folder / _RECORD).read_bytes())["files"]
        return bool(
            sorted(files) == _files(folder)
            and all(_facts(folder / path) == facts for path, facts in files.items())
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path != folder / _RECORD
    )


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": path.stat().st_size, "sha256": digest}
