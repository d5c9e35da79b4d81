"""Names from outside stay inside; files of ours that were damaged are read as nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, ManifestInvalid
from holdfast.lock import Lock, LockedModel, ModelRequest, dump_lock, parse_lock, parse_manifest
from holdfast.lock._model import pointer_id
from holdfast.places import Modes, Probe, probe
from holdfast.provision._sync import read_lock
from holdfast.refs import Digest, FileEntry, RepoRef, RevisionRef
from holdfast.store import FolderTarget, RepoFolder, Seals, forbidden, impossible

MODES = Modes()
COMMIT = "1" * 40
REPO = RepoRef("acme/tiny")
quick = settings(max_examples=200, derandomize=True, deadline=None, database=None)

parts = st.one_of(
    st.sampled_from(["..", ".", "", "a", "b", "...", " ", "\\", "C:", "nul\0", "é", "e\u0301",
                     "\ud800", "~", "-", "\n", "a" * 300]),
    st.text(max_size=4),
)  # fmt: skip
paths = st.one_of(st.text(max_size=12), st.lists(parts, max_size=5).map("/".join))


@quick
@given(paths)
def test_what_passes_stays_inside_the_folder(path: str) -> None:
    base = Path("/models/acme")
    if forbidden(path):
        return
    joined = base.joinpath(*path.split("/"))
    assert Path(os.path.normpath(joined)) == joined
    assert joined != base
    assert joined.is_relative_to(base)
    assert joined.relative_to(base).as_posix() == path
    os.fsencode(joined)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/a", "..", "../a", "a/..", "a/../b", "./a", "a/.", "a//b", "a/", "a\0b", "\ud800"],
)  # fmt: skip
def test_what_would_leave_the_folder_does_not_pass(path: str) -> None:
    assert forbidden(path)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Probe]:
    folder = tmp_path_factory.mktemp("names")
    return folder, probe(folder, MODES)


@settings(quick, max_examples=80)
@given(st.lists(paths, max_size=6))
def test_every_name_that_is_not_refused_can_really_be_stored(
    here: tuple[Path, Probe], listed: list[str]
) -> None:
    folder, found = here
    refused = {path for path, why in impossible(listed, folder, found) if why}
    assert list(folder.iterdir()) == []
    with TemporaryDirectory(dir=folder) as root:
        for path in set(listed) - refused:
            target = Path(root).joinpath(*path.split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.encode())
        for path in set(listed) - refused:
            assert Path(root, *path.split("/")).read_bytes() == path.encode()


# The Hub has no names that end in a dash or a dot.
names = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,8}[A-Za-z0-9_])?", fullmatch=True)


def repo_or_none(text: str, kind: str) -> RepoRef | None:
    try:
        return RepoRef(text, kind)  # type: ignore[arg-type]
    except HoldfastError:
        return None


@quick
@given(
    st.one_of(names, st.builds("{}/{}".format, names, names)),
    st.sampled_from(["model", "dataset", "space"]),
)
def test_a_repository_is_its_folders_name_and_back(text: str, kind: str) -> None:
    repo = repo_or_none(text, kind)
    if repo is not None:
        assert RepoRef.from_folder_name(repo.folder_name) == repo
        assert forbidden(repo.folder_name) == ""
        assert "/" not in repo.folder_name


@quick
@given(st.one_of(st.text(max_size=30), st.builds("models--{}".format, st.text(max_size=12))))
def test_any_folder_name_is_a_repository_or_none(name: str) -> None:
    repo = RepoRef.from_folder_name(name)
    assert repo is None or repo.folder_name == name


digests = st.one_of(
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True).map(partial(Digest, "sha256")),
    st.from_regex(r"[0-9a-f]{40}", fullmatch=True).map(partial(Digest, "git-sha1")),
)


def entry_of(path: str, size: int, digest: Digest) -> FileEntry:
    return FileEntry(path, size, digest, pointer_id(digest, size))


# TOML has no lone surrogates, and its strings come back with every line break as it was.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
entries = st.builds(entry_of, texts, st.integers(0, 1 << 50), digests)
repos = st.builds(
    RepoRef, st.from_regex(r"[a-z]{1,5}/[a-z]{1,5}", fullmatch=True),
    st.sampled_from(["model", "dataset", "space"]),
)  # fmt: skip
requests = st.builds(
    ModelRequest, texts, st.builds(RevisionRef, repos, st.sampled_from(["main", "v1", COMMIT])),
    st.lists(texts, max_size=2).map(tuple), st.lists(texts, max_size=2).map(tuple), texts,
)  # fmt: skip
plain = st.one_of(
    st.booleans(), st.integers(-(1 << 60), 1 << 60), texts, st.lists(texts, max_size=2)
)
unknown = st.dictionaries(texts.map("x-{}".format), plain, max_size=2)
locked = st.builds(
    lambda request, files, more, each: LockedModel(
        request, COMMIT, tuple(sorted(files, key=lambda f: f.path)), more,
        {f.path: each for f in files} if each else {},
    ),
    requests, st.lists(entries, max_size=3, unique_by=lambda f: f.path), unknown, unknown,
)  # fmt: skip
locks = st.builds(
    lambda models, more: Lock(tuple(sorted(models, key=lambda m: m.request.name)), more),
    st.lists(locked, max_size=3, unique_by=lambda m: m.request.name), unknown,
)  # fmt: skip


@settings(quick, max_examples=60)
@given(locks)
def test_a_lock_is_read_back_as_it_was_written_unknown_fields_included(lock: Lock) -> None:
    text = dump_lock(lock)
    assert parse_lock(text) == lock
    assert dump_lock(parse_lock(text)) == text


SOUND = dump_lock(
    Lock((LockedModel(ModelRequest("tiny", RevisionRef(REPO)), COMMIT,
                      (entry_of("a.bin", 3, Digest("sha256", "2" * 64)),)),))
)  # fmt: skip
pieces = st.sampled_from([
    "format = 1\n", "format = 2\n", "[[model]]\n", "[[model.file]]\n", "model = 3\n",
    "model = [1]\n",
    'name = "x"\n', "name = 1\n", 'repo = "a/b"\n', 'repo = "../b"\n', f'commit = "{COMMIT}"\n',
    "commit = 1\n", "file = 1\n", "file = [1]\n", 'path = "p"\n', "size = -1\n", "size = true\n",
    "size = 3\n", "digest = 1\n", 'digest = "md5:1"\n', 'digest = "sha256:1"\n',
    f'digest = "git-sha1:{COMMIT}"\n', "[models.a]\n", "models = 1\n", "revision = 1\n",
    "type = []\n", 'include = "x"\n', "local-dir = 1\n",
])  # fmt: skip
toml = st.one_of(
    st.text(max_size=40),
    st.lists(pieces, max_size=10).map("".join),
    st.lists(pieces, max_size=10).map(lambda some: "format = 1\n[[model]]\n" + "".join(some)),
)
AWKWARD = [
    "a = " + "[" * 5000, "format = 1" + "0" * 5000, "\0", "format = 1\nmodel = {}",
    f'format = 1\n[[model]]\nname = "x"\nrepo = "a/b"\ncommit = "{COMMIT}"\nfile = [{{}}]',
    f'format = 1\n[[model]]\nname = 1\nrepo = "a/b"\ncommit = "{COMMIT}"\nfile = []',
]  # fmt: skip


def refused_or_read(read: Callable[[str], Any], text: str) -> None:
    try:
        read(text)
    except ManifestInvalid as error:
        says_why(error)


def says_why(error: ManifestInvalid) -> None:
    assert error.why
    assert error.hint


@quick
@given(toml)
@example(AWKWARD[0])
@example(AWKWARD[1])
@example(AWKWARD[3])
@example(AWKWARD[4])
@example(AWKWARD[5])
def test_any_text_is_a_lock_or_a_manifest_or_an_error_that_says_why(text: str) -> None:
    refused_or_read(parse_lock, text)
    refused_or_read(parse_manifest, text)


@quick
@given(st.integers(0, len(SOUND) - 1), st.characters(exclude_categories=["Cs"]))
def test_one_wrong_character_in_a_lock_is_an_error_or_harmless(where: int, sign: str) -> None:
    refused_or_read(parse_lock, SOUND[:where] + sign + SOUND[where + 1 :])


def test_a_lock_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "models.lock").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestInvalid, match="cannot be read"):
        read_lock(tmp_path / "models.lock")


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from([COMMIT, "2" * 64, 1, 3]),
)  # fmt: skip
fields = st.one_of(
    st.text(max_size=4),
    st.sampled_from([
        "format", "verified", "format_version", "files", "pinned", "size", "blob_id", "lfs_sha256",
        "lfs_size", "repo", "commit", "revisions", "main", "../up", "nul\0",
    ]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(fields, deeper, max_size=5),
    max_leaves=20,
)
infos = st.fixed_dictionaries(
    {}, optional={"size": st.just(3) | scalars, "blob_id": st.just(COMMIT) | scalars,
                  "lfs_sha256": st.just("2" * 64) | scalars, "lfs_size": st.just(3) | scalars},
)  # fmt: skip
records = st.fixed_dictionaries(
    {},
    optional={
        "format": st.just(1) | scalars, "format_version": st.just(1) | scalars,
        "verified": st.dictionaries(fields, st.lists(scalars, max_size=2), max_size=2) | values,
        "files": st.dictionaries(fields, infos, max_size=3) | values,
        "pinned": scalars, "repo": st.just("acme/tiny") | scalars,
        "commit": st.just(COMMIT) | scalars,
        "revisions": st.dictionaries(fields, st.just(COMMIT) | scalars, max_size=2) | values,
    },
)  # fmt: skip
garbage = st.one_of(
    st.binary(max_size=40),
    values.map(lambda value: json.dumps(value).encode()),
    records.map(lambda value: json.dumps(value).encode()),
)


@settings(quick, max_examples=100)
@given(garbage)
@example(b"[" * 100_000)
@example(b'{"format": 1, "verified": {"x": [Infinity]}}')
@example(b'{"format_version": 1, "files": {"a": {"size": 1, "blob_id": null}}}')
@example(b'{"repo": "acme/tiny", "commit": "' + COMMIT.encode() + b'", "revisions": []}')
def test_damaged_records_are_read_as_what_is_sound_in_them(data: bytes) -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        repo = RepoFolder(root / "hub", REPO)
        folder = FolderTarget(root / "chosen", "", MODES)
        for path in (
            repo.own / "seals.json",
            repo.own / "requests" / f"{COMMIT}.json",
            repo.own / "folders.txt",
            repo.folder / "trees" / f"{COMMIT}.json",
            repo.folder / "refs" / "main",
            folder.records / "holdfast.json",
            folder.records / "trees" / f"{COMMIT}.json",
            folder.records / "holdfast-seals.json",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

        status = (repo.own / "seals.json").stat()
        digest = Digest("sha256", "3" * 64)
        assert not repo.seals.holds(digest, status)
        repo.seals.add(digest, status)
        repo.seals.save(MODES)
        assert Seals(repo.own / "seals.json").holds(digest, status)

        assert repo.read_ref("main") in {None, COMMIT}
        assert all(not forbidden(entry.path) for entry in repo.entries(COMMIT))
        assert isinstance(repo.requested(COMMIT)[1], bool)
        assert repo.listing(COMMIT) is None or repo.listing(COMMIT) == folder.listing(COMMIT)
        assert all(isinstance(path, Path) for path in repo.known_folders())
        assert folder.present() in {None, *((text, COMMIT) for text in _strings(data))}
        assert folder.known_commit(RevisionRef(REPO)) in {None, COMMIT}
        assert all(not forbidden(entry.path) for entry in folder.requested())


def _strings(data: bytes) -> list[str]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return []
    repo = found.get("repo") if isinstance(found, dict) else None
    return [repo] if isinstance(repo, str) else []


@pytest.mark.parametrize(
    "text", ["", "\n", COMMIT + "\n", f" {COMMIT}\r\n", COMMIT, "main", "é", "0" * 39]
)
def test_a_ref_is_its_commit_or_nothing(tmp_path: Path, text: str) -> None:
    repo = RepoFolder(tmp_path, REPO)
    (repo.folder / "refs").mkdir(parents=True)
    (repo.folder / "refs" / "main").write_text(text, "utf-8", newline="")
    assert repo.read_ref("main") == (COMMIT if COMMIT in text else None)
