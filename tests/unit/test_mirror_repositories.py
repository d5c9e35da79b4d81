"""The repositories below a folder: plain ones, and those that keep revisions."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from holdfast.errors import (
    ConfigInvalid,
    EntryNotFound,
    ReferenceInvalid,
    RepoNotFound,
    RevisionNotFound,
)
from holdfast.mirror import Access, Repositories
from holdfast.mirror import _repositories as repositories_module
from holdfast.refs import RepoRef

REPO = RepoRef("owner/name")


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    return Repositories(tmp_path, durable=False)


def content(repositories: Repositories, revision: str, path: str) -> bytes:
    commit = repositories.at(REPO, revision)
    return repositories.content(REPO, commit.files[path]).read_bytes()


def test_a_commit_holds_exactly_its_files_or_adds_to_another(repositories: Repositories) -> None:
    first = repositories.commit(REPO, {"a": b"1", "b": b"2", "c": b"3"})
    second = repositories.commit(REPO, {"a": b"new", "b": None}, onto="main")
    third = repositories.commit(REPO, {"only": b""})

    found = [sorted(repositories.at(REPO, commit).files) for commit in (first, second, third)]
    assert found == [["a", "b", "c"], ["a", "c"], ["only"]]
    assert content(repositories, first, "a") == b"1"
    assert content(repositories, second, "a") == b"new"
    history = repositories.history(REPO, repositories.at(REPO, "main"))
    assert [commit.id for commit in history] == [third, second, first]


def test_a_branch_can_grow_from_another(repositories: Repositories) -> None:
    base = repositories.commit(REPO, {"a": b"1"})
    side = repositories.commit(REPO, {"b": b"2"}, branch="side", onto=base)
    assert repositories.at(REPO, "side").parent == base
    assert repositories.refs(REPO) == ({"main": base, "side": side}, {})
    repositories.branch(REPO, "main", "side")
    repositories.tag(REPO, "v1/final", base)
    assert repositories.refs(REPO) == ({"main": side, "side": side}, {"v1/final": base})


def test_content_is_stored_once(repositories: Repositories) -> None:
    big = os.urandom(5000)
    repositories.commit(REPO, {"a.bin": big, "b.bin": big, "c.txt": big})
    repositories.commit(RepoRef("other"), {"d.bin": big})
    names = [path.name for path in repositories.lfs_folder.iterdir()]
    assert names == [hashlib.sha256(big).hexdigest()]
    assert len(list((repositories.lfs_folder.parent / "git-sha1").iterdir())) == 1


def test_files_are_taken_from_the_disk_and_kept(repositories: Repositories, tmp_path: Path) -> None:
    source = tmp_path / "source.txt"
    source.write_bytes(b"from disk")
    repositories.commit(REPO, {"a.txt": source}, lfs=lambda _, size: size > 5)
    source.write_bytes(b"changed")
    assert content(repositories, "main", "a.txt") == b"from disk"
    assert repositories.at(REPO, "main").files["a.txt"].sha256 is not None


def test_another_process_sees_what_was_committed(repositories: Repositories) -> None:
    commit = repositories.commit(REPO, {"a": b"1"})
    again = Repositories(repositories.root)
    assert again.at(REPO, "main") == repositories.at(REPO, commit)
    assert again.list() == (REPO,)


def test_a_failed_commit_leaves_nothing(
    repositories: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(repositories_module, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        repositories.commit(REPO, {"a": b"1"})
    monkeypatch.undo()
    assert not repositories.exists(REPO)
    assert not list(repositories.root.rglob(".new-*"))


def test_readers_never_see_half_a_commit(repositories: Repositories) -> None:
    repositories.commit(REPO, {"a": b"0", "b": b"0"})
    seen: list[tuple[bytes, bytes]] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            commit = repositories.at(REPO, "main")
            pair = [repositories.content(REPO, commit.files[name]).read_bytes() for name in "ab"]
            seen.append((pair[0], pair[1]))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 60):
        value = str(number).encode()
        repositories.commit(REPO, {"a": value, "b": value})
    done.set()
    reader.join()
    assert seen
    assert all(a == b for a, b in seen)


def test_plain_folders_are_found_by_their_place(tmp_path: Path) -> None:
    for name in ("single/x", "owner/name/x", "datasets/d/o/x", "spaces/s/x", ".hidden/y/x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(name)
    found = Repositories(tmp_path).list()
    assert [(repo.id, repo.type) for repo in found] == [
        ("d/o", "dataset"),
        ("owner/name", "model"),
        ("single", "model"),
        ("s", "space"),
    ]


def test_a_folder_inside_a_repository_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / "single" / "sub").mkdir(parents=True)
    (tmp_path / "single" / "x").touch()
    (tmp_path / "single" / "sub" / "y").touch()
    repositories = Repositories(tmp_path)
    assert [repo.id for repo in repositories.list()] == ["single"]
    assert sorted(repositories.at(RepoRef("single"), "main").files) == ["sub/y", "x"]
    with pytest.raises(RepoNotFound):
        repositories.at(RepoRef("single/sub"), "main")


def plain(root: Path) -> Path:
    folder = root / "owner" / "name"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    (folder / "b.bin").write_bytes(b"two")
    return folder


def test_a_plain_folder_has_the_same_revision_everywhere(tmp_path: Path) -> None:
    first, second = (
        Repositories(plain(tmp_path / name).parents[1]).at(REPO, "main") for name in "xy"
    )
    assert first.id == second.id
    assert len(first.id) == 40


def test_a_plain_folder_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = plain(tmp_path)
    before = Repositories(tmp_path).at(REPO, "main")

    def refuse(*_: object) -> None:
        raise AssertionError("it was hashed again")

    monkeypatch.setattr("holdfast.mirror._folders.file_digests", refuse)
    assert Repositories(tmp_path).at(REPO, "main").id == before.id
    (folder / "a.txt").write_text("changed")
    with pytest.raises(AssertionError):
        Repositories(tmp_path).at(REPO, "main")


def test_a_plain_file_that_changed_is_not_served_as_what_it_was(tmp_path: Path) -> None:
    folder = plain(tmp_path)
    repositories = Repositories(tmp_path)
    commit = repositories.at(REPO, "main")
    digest = commit.files["b.bin"].sha256
    assert digest is not None
    assert repositories.lfs_content(digest) == folder / "b.bin"
    for name in ("a.txt", "b.bin"):
        (folder / name).write_text("something else")
        with pytest.raises(EntryNotFound):
            repositories.content(REPO, commit.files[name])
    assert repositories.lfs_content(digest) is None


def test_a_damaged_index_costs_only_time(tmp_path: Path) -> None:
    plain(tmp_path)
    before = Repositories(tmp_path).at(REPO, "main").id
    (index,) = (tmp_path / ".hub" / "folders").iterdir()
    for text in ("", "[1]", '[["a.txt", 3]]', "\x00"):
        index.write_text(text)
        assert Repositories(tmp_path).at(REPO, "main").id == before


def test_a_plain_folder_takes_no_commits(tmp_path: Path) -> None:
    plain(tmp_path)
    with pytest.raises(ConfigInvalid, match="plain folder"):
        Repositories(tmp_path).commit(REPO, {"a": b""})


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    folder = plain(tmp_path)
    (folder / "link.txt").symlink_to(folder / "a.txt")
    (folder / "around").symlink_to(tmp_path)
    (folder / "nowhere").symlink_to(tmp_path / "missing")
    files = Repositories(tmp_path).at(REPO, "main").files
    assert sorted(files) == ["a.txt", "b.bin", "link.txt"]


def test_what_cannot_be_is_refused(repositories: Repositories) -> None:
    for path in ("../a", "/a", "a//b", ".git/config", "a/" * 120 + "b"):
        with pytest.raises(ReferenceInvalid):
            repositories.commit(REPO, {path: b""})
    with pytest.raises(ReferenceInvalid):
        repositories.commit(REPO, {"a": b"", "a/b": b""})
    with pytest.raises(ReferenceInvalid):
        repositories.commit(REPO, {"a": b""}, branch="../x")
    repositories.commit(REPO, {"a": b""})
    for revision in ("nothing", "0" * 40, "../main", "main/.."):
        with pytest.raises(RevisionNotFound):
            repositories.at(REPO, revision)
    with pytest.raises(RepoNotFound):
        repositories.refs(RepoRef("no/such"))


def test_access_is_open_until_it_is_said_otherwise(repositories: Repositories) -> None:
    assert repositories.access(REPO) == Access()
    repositories.set_access(REPO, Access(private=True, gated="auto"))
    assert Repositories(repositories.root).access(REPO) == Access(private=True, gated="auto")
