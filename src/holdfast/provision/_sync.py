"""Locking what ``models.toml`` asks for, and making the machine match ``models.lock``."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from holdfast.errors import LockStale, ManifestInvalid
from holdfast.events import Notice
from holdfast.lock import (
    Lock,
    LockedModel,
    ModelRequest,
    dump_lock,
    parse_lock,
    parse_manifest,
    stale_reasons,
)
from holdfast.places import Modes, write_file
from holdfast.provision._apply import storage_errors
from holdfast.provision._pull import Provisioner, Pulled
from holdfast.provision._resolve import Resolved, Wanted, resolve
from holdfast.refs import RevisionRef

__all__ = ["lock_models", "read_lock", "read_manifest", "sync_models"]


def _read(path: Path, hint: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestInvalid(f"{path} cannot be read", why=str(error), hint=hint) from error


def read_manifest(path: Path) -> tuple[list[ModelRequest], list[str]]:
    """Read ``models.toml``; return its models and the keys in it that mean nothing.

    Raises:
        ManifestInvalid: it is missing or has problems.
    """
    example = f"printf '[models.tiny]\\nrepo = \"openai/whisper-tiny\"\\n' > {path}"
    return parse_manifest(_read(path, example), str(path))


def read_lock(path: Path) -> Lock:
    """Read ``models.lock``; a missing one is empty.

    Raises:
        ManifestInvalid: it has problems.
    """
    if not path.exists():
        return Lock()
    return parse_lock(_read(path, "holdfast lock"), str(path))


def lock_models(
    provisioner: Provisioner,
    requests: list[ModelRequest],
    path: Path,
    *,
    upgrade: bool = False,
) -> Lock:
    """Pin every request and write the lock; what is locked already stays, unless upgrading.

    Raises:
        HoldfastError: a revision could not be found out; the lock is then unchanged.
    """
    before = read_lock(path)
    models = []
    for request in requests:
        locked = before.find(request.name)
        if locked is not None and locked.request == request and not upgrade:
            models.append(locked)
        else:
            models.append(_pin(provisioner, request, locked))
    lock = Lock(tuple(models), before.unknown)
    with storage_errors(path.parent):
        write_file(path, dump_lock(lock).encode(), Modes())
    return lock


def _pin(
    provisioner: Provisioner, request: ModelRequest, before: LockedModel | None
) -> LockedModel:
    wanted = Wanted(request.ref, request.include, request.exclude)
    local = provisioner.local(wanted)
    found = resolve(
        wanted, local, provisioner.settings, lambda: provisioner.client, provisioner.report
    )
    files = tuple(wanted.select(found.entries))
    if before is None:
        return LockedModel(request, found.commit, files)
    same = {(f.path, f.digest) for f in before.files} & {(f.path, f.digest) for f in files}
    kept = {path: before.unknown_of_files.get(path, {}) for path, _ in same}
    return LockedModel(request, found.commit, files, before.unknown, kept)


def sync_models(
    provisioner: Provisioner,
    manifest: Path,
    lock_path: Path,
    *,
    frozen: bool,
    announce: Callable[[str], None],
) -> list[tuple[ModelRequest, Pulled]]:
    """Make the machine match the lock exactly; return each model with where it is.

    Args:
        provisioner: brings models.
        manifest: ``models.toml``; folders in it are relative to where it lies.
        lock_path: ``models.lock``.
        frozen: the lock must answer the manifest as it is; nothing is locked anew.
        announce: told which model is being worked on.

    Raises:
        LockStale: frozen, and the lock does not answer the manifest.
        HoldfastError: a model could not be brought.
    """
    requests, unknown = read_manifest(manifest)
    for key in unknown:
        provisioner.report(Notice("warning", f"{manifest}: {key} means nothing and is ignored"))
    for request in requests:
        folder = (manifest.parent / request.local_dir).absolute()
        if request.local_dir and not _inside(folder, manifest.parent.absolute()):
            text = f"{request.name} goes outside the project, to {folder}"
            provisioner.report(Notice("warning", text))
    lock = read_lock(lock_path)
    reasons = stale_reasons(requests, lock)
    if reasons and frozen:
        raise LockStale(
            f"{lock_path} does not answer {manifest}",
            why="; ".join(reasons),
            hint="holdfast lock    (and commit the result)",
            reasons=reasons,
        )
    if reasons:
        announce(f"locking anew: {'; '.join(reasons)}")
        lock = lock_models(provisioner, requests, lock_path)
    results = []
    for locked in lock.models:
        announce(f"{locked.request.name}: {locked.request.ref.repo}@{locked.commit}")
        results.append((locked.request, _bring(provisioner, locked, manifest.parent)))
    return results


def _inside(path: Path, base: Path) -> bool:
    return path.resolve().is_relative_to(base.resolve())


def _bring(provisioner: Provisioner, locked: LockedModel, base: Path) -> Pulled:
    """Bring exactly what the lock says: its commit, files and digests; nothing is asked for."""
    request = locked.request
    folder = (base / request.local_dir).absolute() if request.local_dir else None
    wanted = Wanted(
        RevisionRef(request.ref.repo, locked.commit),
        local_dir=folder,
        paths=frozenset(entry.path for entry in locked.files),
    )
    entries = list(locked.files)
    resolved = Resolved(locked.commit, entries, complete_listing=False, requested=True)
    pulled = provisioner.pull_resolved(wanted, resolved, time.monotonic())
    if folder is None:
        provisioner.point(request.ref, pulled)
    return pulled
