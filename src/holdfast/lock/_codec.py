"""``models.toml`` and ``models.lock`` as text. Pure: text in, values out, and the reverse.

Every problem of a file is collected and said at once; fields that this version does not know are
named (manifest) or kept (lock).
"""

from __future__ import annotations

from typing import Any

from holdfast.errors import HoldfastError, ManifestInvalid
from holdfast.lock._model import Lock, LockedModel, ModelRequest, pointer_id
from holdfast.refs import Digest, FileEntry, RepoRef, RevisionRef, is_commit, parse_ref

__all__ = ["FORMAT", "dump_lock", "parse_lock", "parse_manifest"]

FORMAT = 1
_MODEL_KEYS = {"repo", "type", "revision", "include", "exclude", "local-dir"}
_LOCKED_KEYS = _MODEL_KEYS | {"name", "commit", "file"}


def _load(text: str, name: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestInvalid(
            f"{name} is not valid TOML", why=str(error), hint=f"correct {name} at that line"
        ) from error


def parse_manifest(text: str, name: str = "models.toml") -> tuple[list[ModelRequest], list[str]]:
    """Read a manifest; return its models and the keys in it that mean nothing.

    Raises:
        ManifestInvalid: with every problem found.
    """
    content = _load(text, name)
    models = content.get("models", {})
    unknown = [key for key in content if key != "models"]
    problems: list[str] = []
    requests = []
    if not isinstance(models, dict):
        models, problems = {}, ["[models] is not a table of tables"]
    for key, table in models.items():
        if not isinstance(table, dict):
            problems.append(f"models.{key} is not a table")
            continue
        unknown += [f"models.{key}.{field}" for field in table if field not in _MODEL_KEYS]
        try:
            requests.append(_request(key, table))
        except (HoldfastError, ValueError) as error:
            problems.append(f"models.{key}: {error}")
    if problems:
        raise _invalid(name, problems, '[models.NAME]\nrepo = "OWNER/NAME"')
    return requests, unknown


def _invalid(name: str, problems: list[str], example: str) -> ManifestInvalid:
    listing = "\n".join(f"  {problem}" for problem in problems)
    return ManifestInvalid(
        f"{name} has {len(problems)} problem(s)", why=f"\n{listing}", hint=example,
        problems=problems,
    )  # fmt: skip


def _request(name: str, table: dict[str, Any]) -> ModelRequest:
    repo = table.get("repo")
    if not isinstance(repo, str):
        raise ValueError("repo is missing or not a string")
    kind = table.get("type")
    revision = table.get("revision")
    if revision is not None and not isinstance(revision, str):
        raise ValueError("revision is not a string")
    if kind is not None and kind not in {"model", "dataset", "space"}:
        raise ValueError(f"type {kind!r} is none of model, dataset, space")
    ref = parse_ref(repo, revision)
    if kind is not None:
        ref = RevisionRef(RepoRef(ref.repo.id, kind), ref.revision)
    local_dir = table.get("local-dir", "")
    if not isinstance(local_dir, str):
        raise ValueError("local-dir is not a string")
    return ModelRequest(
        name, ref, _strings(table, "include"), _strings(table, "exclude"), local_dir
    )


def _strings(table: dict[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{key} is not a list of strings")
    return tuple(value)


def parse_lock(text: str, name: str = "models.lock") -> Lock:
    """Read a lock.

    Raises:
        ManifestInvalid: with every problem found, or for a format newer than this version.
    """
    content = _load(text, name)
    if content.get("format") != FORMAT:
        raise ManifestInvalid(
            f"{name} has format {content.get('format')!r}",
            why=f"this version of Holdfast reads format {FORMAT}",
            hint="upgrade Holdfast, or write it anew: holdfast lock",
        )
    problems = []
    models = []
    for table in content.get("model", []):
        try:
            models.append(_locked(table))
        except (HoldfastError, ValueError, KeyError, TypeError) as error:
            shown = table.get("name", "?") if isinstance(table, dict) else "?"
            problems.append(f"model {shown}: {error!s}")
    if problems:
        raise _invalid(name, problems, "holdfast lock")
    unknown = {key: value for key, value in content.items() if key not in {"format", "model"}}
    return Lock(tuple(models), unknown)


def _locked(table: dict[str, Any]) -> LockedModel:
    commit = table["commit"]
    if not isinstance(commit, str) or not is_commit(commit):
        raise ValueError(f"{commit!r} is not a commit")
    files = tuple(_file(item) for item in table["file"])
    unknown = {key: value for key, value in table.items() if key not in _LOCKED_KEYS}
    return LockedModel(_request(table["name"], table), commit, files, unknown)


def _file(item: dict[str, Any]) -> FileEntry:
    algorithm, _, digits = item["digest"].partition(":")
    if algorithm not in {"sha256", "git-sha1"}:
        raise ValueError(f"unknown kind of digest {algorithm!r}")
    size = item["size"]
    if not isinstance(size, int) or size < 0 or not isinstance(item["path"], str):
        raise ValueError(f"{item!r} has no usable path and size")
    digest = Digest(algorithm, digits)
    return FileEntry(item["path"], size, digest, pointer_id(digest, size))


def dump_lock(lock: Lock) -> str:
    """Write a lock as text, models and files in a fixed order."""
    import tomli_w

    models = []
    for locked in sorted(lock.models, key=lambda m: m.request.name):
        request = locked.request
        table: dict[str, Any] = {
            "name": request.name,
            "repo": str(request.ref.repo),
            "revision": request.ref.revision,
        }
        if request.include:
            table["include"] = list(request.include)
        if request.exclude:
            table["exclude"] = list(request.exclude)
        if request.local_dir:
            table["local-dir"] = request.local_dir
        table |= {"commit": locked.commit, **locked.unknown}
        table["file"] = [
            {"path": f.path, "size": f.size, "digest": str(f.digest)}
            for f in sorted(locked.files, key=lambda f: f.path)
        ]
        models.append(table)
    head = "# Written by `holdfast lock`; commit it with your code. Do not edit by hand.\n"
    return head + tomli_w.dumps({"format": FORMAT, **lock.unknown, "model": models})
