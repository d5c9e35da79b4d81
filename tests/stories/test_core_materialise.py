"""One contract for every way in which stored bytes come to be at another path."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from holdfast.errors import StorageFailed
from holdfast.places import Modes, Strategy, probe
from holdfast.store import materialise as ways
from holdfast.store.materialise import REFUSALS, WAYS, materialise
from tests.support import repos
from tests.support.core import leftovers
from tests.support.filesystems import btrfs, xfs

MODES = Modes()
CONTENT = repos.noise(300_000, "content")
WAY_NAMES: list[Strategy] = ["symlink", "hardlink", "reflink", "move", "copy"]


@pytest.fixture(params=WAY_NAMES)
def way(request: pytest.FixtureRequest) -> Strategy:
    name: Strategy = request.param
    return name


@pytest.fixture
def disk(way: Strategy, tmp_path: Path) -> Iterator[Path]:
    """A folder on which the way works, or a skip that says why there is none."""
    with ExitStack() as stack:
        folder = stack.enter_context(btrfs(tmp_path)) if way == "reflink" else tmp_path
        found = probe(folder, MODES)
        if way not in (*found.links, "move", "copy"):
            pytest.skip(f"no {way} here: {found.denied.get(way)}")
        yield folder


@pytest.fixture
def source(disk: Path) -> Path:
    path = disk / "models--a--b" / "blobs" / "source"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    os.utime(path, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    return path


def test_the_content_is_there_and_nothing_else(disk: Path, source: Path, way: Strategy) -> None:
    target = disk / "models--a--b" / "snapshots" / "c" / "deep" / "er" / "file.bin"

    assert materialise(source, target, (way,), MODES) == way

    assert target.read_bytes() == CONTENT
    assert source.exists() == (way != "move")
    assert target.is_symlink() == (way == "symlink")
    assert [p.name for p in target.parent.iterdir()] == ["file.bin"]


def test_what_was_there_is_replaced_whole(disk: Path, source: Path, way: Strategy) -> None:
    target = disk / "target"
    target.write_bytes(b"old")
    with target.open("rb") as reader:
        materialise(source, target, (way,), MODES)
        assert reader.read() == b"old"
    assert target.read_bytes() == CONTENT
    assert leftovers(disk) == []


def test_a_missing_source_leaves_the_old_file_alone(
    disk: Path, source: Path, way: Strategy
) -> None:
    target = disk / "target"
    target.write_bytes(b"old")
    with pytest.raises((OSError, StorageFailed)):
        materialise(source.with_name("gone"), target, (way,), MODES)
    assert target.read_bytes() == b"old"
    assert leftovers(disk) == []


def test_a_missing_source_makes_nothing(disk: Path, source: Path, way: Strategy) -> None:
    target = disk / "target"
    with pytest.raises((OSError, StorageFailed)):
        materialise(source.with_name("gone"), target, (way,), MODES)
    assert not os.path.lexists(target)
    assert leftovers(disk) == []


def test_doing_it_again_changes_nothing(disk: Path, source: Path, way: Strategy) -> None:
    target = disk / "target"
    materialise(source, target, (way,), MODES)
    if way != "move":
        materialise(source, target, (way,), MODES)
    assert target.read_bytes() == CONTENT
    assert leftovers(disk) == []


def test_the_time_that_a_seal_remembers_is_kept(disk: Path, source: Path, way: Strategy) -> None:
    before = source.stat().st_mtime_ns
    target = disk / "target"
    materialise(source, target, (way,), MODES)
    assert target.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "name",
    ["x" * 255, "ж" * 127, "🎙" * 63, ".hidden", "with space"],
    ids=["letters", "cyrillic", "emoji", "hidden", "spaced"],
)
def test_the_longest_and_strangest_names_work_also_over_an_old_file(
    disk: Path, source: Path, way: Strategy, name: str
) -> None:
    target = disk / name
    target.write_bytes(b"old")
    materialise(source, target, (way,), MODES)
    assert target.read_bytes() == CONTENT


def test_only_copying_takes_space(tmp_path: Path, way: Strategy) -> None:
    size = 64 << 20
    with ExitStack() as stack:
        folder = stack.enter_context(xfs(tmp_path)) if way == "reflink" else tmp_path
        source, target = folder / "source", folder / "target"
        source.write_bytes(repos.noise(size, "space"))
        os.sync()
        before = _used(folder)
        materialise(source, target, (way,), MODES)
        os.sync()
        grown = _used(folder) - before
        if way == "reflink":  # a disk of its own, so that nobody else's writing is counted
            assert grown < size // 8
        names = {p.stat().st_ino for p in (source, target) if p.exists()}
        assert len(names) == (2 if way in {"copy", "reflink"} else 1)
        assert target.read_bytes() == repos.noise(size, "space")


def _used(folder: Path) -> int:
    status = os.statvfs(folder)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


@pytest.mark.parametrize("number", sorted(REFUSALS), ids=lambda n: errno.errorcode[n])
def test_a_refused_way_is_followed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "source").write_bytes(CONTENT)
    monkeypatch.setattr(os, "symlink", refuse)
    used = materialise(tmp_path / "source", tmp_path / "t1", ("symlink", "hardlink"), MODES)
    assert used == "hardlink"
    monkeypatch.setattr(os, "link", refuse)
    used = materialise(tmp_path / "source", tmp_path / "t2", ("symlink", "hardlink", "copy"), MODES)
    assert used == "copy"
    assert (tmp_path / "t1").read_bytes() == (tmp_path / "t2").read_bytes() == CONTENT


def test_windows_own_refusal_is_followed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoPrivilege(OSError):
        winerror = 1314

    def refuse(*_: object, **__: object) -> None:
        raise NoPrivilege(errno.EINVAL, "A required privilege is not held by the client")

    (tmp_path / "source").write_bytes(CONTENT)
    monkeypatch.setattr(os, "symlink", refuse)
    used = materialise(tmp_path / "source", tmp_path / "t", ("symlink", "hardlink"), MODES)
    assert used == "hardlink"


def test_a_link_that_is_reported_and_not_there_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    monkeypatch.setattr(os, "symlink", lambda *_: None)
    used = materialise(tmp_path / "source", tmp_path / "t", ("symlink", "hardlink"), MODES)
    assert used == "hardlink"
    assert (tmp_path / "t").read_bytes() == CONTENT


def test_a_failure_that_is_no_refusal_is_not_papered_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "source").write_bytes(CONTENT)
    monkeypatch.setattr(os, "symlink", full)
    with pytest.raises(OSError, match="No space"):
        materialise(tmp_path / "source", tmp_path / "t", ("symlink", "copy"), MODES)
    assert not (tmp_path / "t").exists()


def test_when_every_way_is_refused_each_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    (tmp_path / "source").write_bytes(CONTENT)
    monkeypatch.setattr(os, "symlink", refuse)
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageFailed) as caught:
        materialise(tmp_path / "source", tmp_path / "t", ("symlink", "hardlink"), MODES)
    assert caught.value.why.count("EPERM") == 2


def test_the_table_of_ways_is_complete() -> None:
    assert list(WAYS) == WAY_NAMES
    assert {name for name in WAY_NAMES if not callable(getattr(ways, name))} == set()
