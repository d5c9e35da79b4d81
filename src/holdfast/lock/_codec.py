"""``models.toml`` and ``models.lock`` as text. Pure: text in, values out, and the reverse.

Every problem of a file is collected and said at once; fields that this version does not know are
named (manifest) or kept (lock).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from holdfast.errors import HoldfastError, ManifestInvalid, ReferenceInvalid
from holdfast.lock._model import Lock, LockedModel, ModelRequest, pointer_id
from holdfast.refs import Digest, FileEntry, RepoRef, RevisionRef, is_commit, parse_ref

__all__ = ["FORMAT", "dump_lock", "parse_lock", "parse_manifest"]

FORMAT = 1
_MODEL_KEYS = {"repo", "type", "revision", "include", "exclude", "local-dir"}
_LOCKED_KEYS = _MODEL_KEYS | {"name", "commit", "file"}
_FILE_KEYS = {"path", "size", "digest"}


def _load(text: str, name: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of 5000 digits, a thousand brackets
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
        wrong = _wrong(table)
        problems += [f"models.{key}: {problem}" for problem in wrong]
        if not wrong:
            requests.append(_request(key, table))
    folders = Counter(r.local_dir.rstrip("/") for r in requests if r.local_dir)
    problems += [
        f"local-dir {folder!r} is given to {count} models, whose files would be mixed"
        for folder, count in folders.items()
        if count > 1
    ]
    if problems:
        raise _invalid(name, problems, '[models.NAME]\nrepo = "OWNER/NAME"')
    return requests, unknown


def _invalid(name: str, problems: list[str], example: str) -> ManifestInvalid:
    listing = "\n".join(f"  {problem}" for problem in problems)
    return ManifestInvalid(
        f"{name} cannot be used", why=f"{len(problems)} problem(s):\n{listing}", hint=example,
        problems=problems,
    )  # fmt: skip


def _wrong(table: dict[str, Any]) -> list[str]:
    """Return everything that keeps a table from being a request."""
    repo, revision, kind = table.get("repo"), table.get("revision"), table.get("type")
    found = []
    if kind is not None and kind not in ("model", "dataset", "space"):
        found.append(f"type {kind!r} is none of model, dataset, space")
    if not isinstance(table.get("local-dir", ""), str):
        found.append("local-dir is not a string")
    for key in ("include", "exclude"):
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            found.append(f"{key} is not a list of strings")
    if revision is not None and not isinstance(revision, str):
        found.append("revision is not a string")
        revision = None
    if not isinstance(repo, str):
        found.append("repo is missing or not a string")
        repo = "any"
    try:
        parse_ref(repo)
    except ReferenceInvalid as error:
        found.append(str(error))
        repo = "any"
    try:
        parse_ref(repo, revision)
    except ReferenceInvalid as error:
        found.append(str(error))
    return found


def _request(name: str, table: dict[str, Any]) -> ModelRequest:
    """Return the request of a table that has nothing wrong."""
    ref = parse_ref(table["repo"], table.get("revision"))
    if (kind := table.get("type")) is not None:
        ref = RevisionRef(RepoRef(ref.repo.id, kind), ref.revision)
    include, exclude = table.get("include", []), table.get("exclude", [])
    return ModelRequest(name, ref, tuple(include), tuple(exclude), table.get("local-dir", ""))


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
    tables = content.get("model", [])
    if not isinstance(tables, list):
        tables, problems = [], ["model is not a list of tables"]
    for table in tables:
        try:
            models.append(_locked(table))
        except KeyError as error:
            problems.append(f"model {_shown(table)}: {error.args[0]} is missing")
        except (HoldfastError, ValueError, TypeError) as error:
            problems.append(f"model {_shown(table)}: {error}")
    if problems:
        raise _invalid(name, problems, "holdfast lock")
    unknown = {key: value for key, value in content.items() if key not in {"format", "model"}}
    return Lock(tuple(models), unknown)


def _shown(table: object) -> object:
    return table.get("name", "?") if isinstance(table, dict) else "?"


def _locked(table: dict[str, Any]) -> LockedModel:
    if not isinstance(table, dict) or not isinstance(table["file"], list):
        raise ValueError("it is not a table with a list of files")
    name, commit = table["name"], table["commit"]
    if not isinstance(commit, str) or not is_commit(commit):
        raise ValueError(f"{commit!r} is not a commit")
    if not isinstance(name, str):
        raise ValueError(f"{name!r} is not a name")
    if wrong := _wrong(table):
        raise ValueError("; ".join(wrong))
    files = tuple(_file(item) for item in table["file"])
    unknown = {key: value for key, value in table.items() if key not in _LOCKED_KEYS}
    extra = {item["path"]: more for item in table["file"] if (more := _unknown_of(item))}
    return LockedModel(_request(name, table), commit, files, unknown, extra)


def _unknown_of(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in _FILE_KEYS}


def _file(item: dict[str, Any]) -> FileEntry:
    if not isinstance(item, dict) or not isinstance(item["digest"], str):
        raise ValueError(f"{item!r} is not a file with a digest")
    algorithm, _, digits = item["digest"].partition(":")
    if algorithm not in {"sha256", "git-sha1"}:
        raise ValueError(f"unknown kind of digest {algorithm!r}")
    path, size = item["path"], item["size"]
    if not isinstance(path, str) or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f"{item!r} has no usable path and size")
    digest = Digest(algorithm, digits)  # type: ignore[arg-type]
    return FileEntry(path, size, digest, pointer_id(digest, size))


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
            | locked.unknown_of_files.get(f.path, {})
            for f in sorted(locked.files, key=lambda f: f.path)
        ]
        models.append(table)
    head = "# Written by `holdfast lock`; commit it with your code. Do not edit by hand.\n"
    return head + tomli_w.dumps({"format": FORMAT, **lock.unknown, "model": models})
