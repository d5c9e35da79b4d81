"""Any disk, any refusal: one download's worth of space, shared between revisions, read by the peer.

Every test runs on every kind of disk that can be mounted here, and with the kernel refusing links.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import repos
from tests.support.core import Shelf, Shop, User, disk_used, holds, leftovers, peer
from tests.support.deny import deny_prefix, unavailable
from tests.support.filesystems import KINDS, btrfs, xfs
from tests.support.fusefs import Rule, fuse_folder

pytestmark = pytest.mark.linux

SCALE = 0.02
FIRST = repos.model(SCALE)
SECOND = repos.second_revision(FIRST)
CHANGED = {path: data for path, data in SECOND.items() if FIRST.get(path) != data}
SIZE = sum(map(len, FIRST.values()))
CHANGED_SIZE = sum(map(len, CHANGED.values()))
# Listings, seals, records of what was asked for; whole blocks, and the disk's own tables.
SLACK = 1_000_000


@dataclass(frozen=True)
class Condition:
    """A kind of place: how to make it, what is refused in it, and how files will appear."""

    strategy: str
    disk: Callable[[Path], AbstractContextManager[Path]] = nullcontext
    denied: tuple[tuple[str, str], ...] = ()


def _windows(base: Path) -> AbstractContextManager[Path]:
    """Renames as on Windows, names as on Windows, and no right to make symbolic links."""
    rules = [Rule("symlink", "EPERM")]
    return fuse_folder(
        base, rules=rules, rename_onto_existing="EEXIST", sharing="windows", names="windows",
        fold_case=True,
    )  # fmt: skip


NO_LINKS = (("symlink", "EPERM"), ("link", "EPERM"))
CONDITIONS: dict[str, Condition] = {
    "exfat": Condition("move", KINDS["exfat"]),
    "fat32": Condition("move", KINDS["fat32"]),
    "ntfs": Condition("symlink", KINDS["ntfs"]),
    "btrfs": Condition("symlink", btrfs),
    "xfs": Condition("symlink", xfs),
    "tmpfs": Condition("symlink", KINDS["tmpfs"]),
    "this-disk": Condition("symlink"),
    "symlink-eperm": Condition("hardlink", denied=(("symlink", "EPERM"),)),
    "symlink-enosys": Condition("hardlink", denied=(("symlink", "ENOSYS"),)),
    "symlink-silent": Condition("hardlink", denied=(("symlink", "0"),)),
    "ntfs-without-symlinks": Condition("hardlink", KINDS["ntfs"], (("symlink", "EACCES"),)),
    "no-links": Condition("move", denied=NO_LINKS),
    "no-links-silent": Condition("move", denied=(("symlink", "0"), ("link", "0"))),
    "btrfs-without-links": Condition("reflink", btrfs, NO_LINKS),
    "xfs-without-links": Condition("reflink", xfs, NO_LINKS),
    "bare": Condition(
        "symlink",
        denied=(
            ("chmod", "ENOSYS"),
            ("utime", "ENOSYS"),
            ("fsync", "ENOSYS"),
            ("fallocate", "EOPNOTSUPP"),
            ("copy-file-range", "ENOSYS"),
            ("flock", "ENOSYS"),
        ),
    ),
    "like-windows": Condition("hardlink", _windows),
}


@dataclass(frozen=True)
class Place:
    """A condition in force: the folder, and the user who lives with it."""

    condition: Condition
    disk: Path
    user: User

    @property
    def strategy(self) -> str:
        return self.condition.strategy

    @property
    def home(self) -> Path:
        return self.disk / "home"

    def taken(self) -> int:
        """Return what the home takes; of shared blocks only the disk's own count knows."""
        if self.strategy != "reflink":
            return disk_used(self.home)
        os.sync()
        status = os.statvfs(self.disk)
        return (status.f_blocks - status.f_bfree) * status.f_frsize


# These alone for the stories that differ little from one condition to the next.
FEW = {"exfat", "fat32", "this-disk", "symlink-eperm", "no-links", "xfs-without-links"}
MOST = [
    pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in sorted(CONDITIONS)
]
SAME = {"symlink-enosys", "no-links-silent", "symlink-silent", "btrfs", "xfs", "tmpfs"}
NEARLY_ALL = [
    pytest.param(name, marks=pytest.mark.slow if name in SAME else ())
    for name in sorted(CONDITIONS)
]
on_most = pytest.mark.parametrize("place", NEARLY_ALL, indirect=True)
on_few = pytest.mark.parametrize("place", MOST, indirect=True)


@pytest.fixture(params=sorted(CONDITIONS))
def place(request: pytest.FixtureRequest, user: User, tmp_path: Path) -> Iterator[Place]:
    condition = CONDITIONS[request.param]
    if condition.denied and (reason := unavailable()):
        pytest.skip(reason)
    base = tmp_path / "disk"
    base.mkdir()
    with condition.disk(base) as disk:
        prefix = tuple(deny_prefix(**dict(condition.denied))) if condition.denied else ()
        yield Place(condition, disk, user.but(home=disk / "home", prefix=prefix))


def test_the_probe_finds_out_what_the_place_can_do(place: Place) -> None:
    found = place.user.run("where").json
    assert found["strategy"] == place.strategy
    assert found["lock"] in {"proven", "refused", "silent"}
    assert not place.home.exists(), "the probe leaves nothing behind"
    for link in ("symlink", "hardlink", "reflink"):
        assert (link in found["links"]) != (link in found["denied"])


def test_a_model_costs_its_size_once_and_a_new_revision_only_what_changed(
    shop: Shop, place: Place
) -> None:
    """And both revisions verify, and the peer reads them."""
    user = place.user
    first = shop.new(FIRST)
    empty = place.taken()

    cold = user.run("pull", first.name).json
    assert cold["bytes_fetched"] == shop.content_bytes() == SIZE
    assert cold["strategy"] == place.strategy
    assert holds(cold["path"], FIRST)
    assert place.taken() - empty < SIZE + SLACK

    second = first.next(CHANGED)
    shop.reset()
    moved = user.run("pull", first.name).json
    assert moved["bytes_fetched"] == shop.content_bytes() == CHANGED_SIZE
    assert moved["bytes_reused"] == sum(map(len, SECOND.values())) - CHANGED_SIZE
    assert moved["strategy"] == place.strategy
    assert moved["commit"] == second.commit
    assert holds(moved["path"], SECOND)
    assert place.taken() - empty < SIZE + CHANGED_SIZE + SLACK
    assert leftovers(place.home) == []

    report = user.run("verify").json
    assert (report["bad"], report["unlisted"]) == ([], [])
    assert holds(peer(user, second.name), SECOND)
    if place.strategy != "move":  # there the old revision gave its files to the new one
        assert report["revisions"] == 2
        assert holds(peer(user, first.pinned), FIRST)


@on_few
def test_the_old_revision_can_be_had_again(shop: Shop, place: Place) -> None:
    user = place.user
    first = shop.new(FIRST)
    user.run("pull", first.name)
    second = first.next(CHANGED)
    user.run("pull", first.name)

    shop.reset()
    old = user.run("pull", first.pinned).json
    assert holds(old["path"], FIRST)
    assert shop.content_bytes() <= CHANGED_SIZE
    assert holds(user.run("pull", second.name).json["path"], SECOND)
    assert user.run("verify").json["bad"] == []


@on_most
def test_a_flipped_bit_is_found_offline_and_mended_everywhere(shop: Shop, place: Place) -> None:
    user, home = place.user, place.home
    first = shop.new(FIRST)
    user.run("pull", first.name)
    second = first.next(CHANGED)
    user.run("pull", first.pinned)
    user.run("pull", first.name)
    damaged = "model-00002-of-00008.safetensors"
    flip(second.folder(home) / damaged, 100_000)

    shop.reset()
    done = user.run("--offline", "verify")
    assert done.code == 6
    assert second_or_shared(done.found["bad"], second) == {damaged}
    assert {bad["state"] for bad in done.found["bad"]} == {"wrong-content"}
    assert shop.requests() == []

    mended = user.run("repair").json
    assert mended["bad"] == []
    assert shop.content_bytes() <= len(FIRST[damaged])
    assert holds(second.folder(home), SECOND)
    assert holds(first.folder(home), FIRST)
    assert user.run("verify").json["bad"] == []
    assert holds(peer(user, second.name), SECOND)


@on_few
def test_truncated_and_lost_files_are_mended(shop: Shop, place: Place) -> None:
    user, home = place.user, place.home
    shelf = shop.new(FIRST)
    user.run("pull", shelf.name)
    folder = shelf.folder(home)
    os.truncate(folder / "tokenizer.json", 5)
    os.truncate(folder / "vocab.json", 0)
    (folder / "merges.txt").resolve().unlink()

    bad = {item["file"]: item["state"] for item in user.run("verify").found["bad"]}
    assert bad == {
        "tokenizer.json": "wrong-size", "vocab.json": "wrong-size", "merges.txt": "missing",
    }  # fmt: skip

    shop.reset()
    pulled = user.run("pull", shelf.name).json  # a pull mends what its size gives away
    assert shop.content_bytes() <= sum(len(FIRST[name]) for name in bad)
    assert holds(pulled["path"], FIRST)
    assert user.run("verify").json["bad"] == []


def flip(path: Path, offset: int) -> None:
    """Flip one bit as a failing disk does: neither size nor time of the file change."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def second_or_shared(bad: list[dict[str, str]], second: Shelf) -> set[str]:
    assert any(item["commit"] == second.commit for item in bad)
    return {item["file"] for item in bad}


@pytest.mark.usefixtures("seccomp")
def test_what_a_narrower_pull_of_a_new_revision_leaves_behind_is_used_later(
    shop: Shop, user: User
) -> None:
    """Without links the new revision takes files over: those that it was asked for, no others."""
    someone = user.but(prefix=tuple(deny_prefix(**dict(NO_LINKS))))
    first = shop.new(FIRST)
    someone.run("pull", first.name).done()
    second = first.next(CHANGED)
    someone.run("pull", first.name, "--include", "*.json").done()
    assert someone.run("verify").json["bad"] == []

    shop.reset()
    pulled = someone.run("pull", first.name).json

    assert pulled["commit"] == second.commit
    assert holds(pulled["path"], SECOND)
    assert shop.content_bytes() == len(CHANGED["CHANGES.md"])
    assert someone.run("verify").json["bad"] == []
    someone.run_later(120, "collect", "--old-revisions").done()
    assert holds(pulled["path"], SECOND)
    assert disk_used(user.home or Path()) < SIZE + CHANGED_SIZE + SLACK
