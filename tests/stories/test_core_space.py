"""Too little space: refused before a byte is downloaded; where nobody can know, stopped cleanly."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import repos
from tests.support.core import Ran, Shelf, Shop, User, content_of, holds, leftovers
from tests.support.filesystems import btrfs, needs_root, tmpfs
from tests.support.fusefs import Rule, fuse_folder
from tests.support.users import Stranger

pytestmark = pytest.mark.linux

MIB = 1 << 20
FILES = {f"part-{n}.bin": repos.noise(5_000_000, f"part {n}") for n in range(5)} | {
    "config.json": b"{}"
}
SIZE = sum(map(len, FILES.values()))


def refused(done: Ran, shop: Shop, shelf: Shelf, home: Path) -> None:
    """Check that a pull was refused up front and that it left nothing."""
    assert done.code == 7, done.err
    assert done.error["code"] == "not-enough-space"
    assert "nothing was downloaded" in done.error["why"]
    assert shop.content_bytes() == 0
    assert shop.requests("/resolve/") == []
    assert not shelf.cache(home).exists()
    assert leftovers(home) == []


@pytest.mark.root
def test_a_small_disk_refuses_before_downloading(shop: Shop, user: User, tmp_path: Path) -> None:
    shelf = shop.new(FILES)
    with tmpfs(tmp_path, size=15 * MIB) as disk:
        done = user.but(home=disk / "home").run("pull", shelf.name)
        refused(done, shop, shelf, disk / "home")
        assert done.error["facts"]["needed"] >= SIZE
        plan = user.but(home=disk / "home").run("plan", shelf.name).json
        assert plan["space_needed"] >= SIZE


@pytest.mark.root
def test_too_few_inodes_refuse_before_downloading(shop: Shop, user: User, tmp_path: Path) -> None:
    shelf = shop.new(repos.small_files(120, size=100))
    with tmpfs(tmp_path, nr_inodes=60) as disk:
        done = user.but(home=disk / "home").run("pull", shelf.name)
        refused(done, shop, shelf, disk / "home")
        assert "inodes" in done.error["why"]


@pytest.mark.root
def test_a_chosen_folder_on_a_small_disk_is_refused_too(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    shelf = shop.new(FILES)
    with tmpfs(tmp_path, size=15 * MIB) as disk:
        done = user.run("pull", shelf.name, "--local-dir", disk / "chosen")
        assert (done.code, done.error["code"]) == (7, "not-enough-space")
        assert shop.content_bytes() == 0
        assert content_of(disk / "chosen") == {}


@pytest.mark.root
def test_what_fits_is_brought_and_a_second_revision_needs_only_its_changes(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    first = shop.new(FILES)
    with tmpfs(tmp_path, size=SIZE + 8 * MIB) as disk:
        someone = user.but(home=disk / "home")
        someone.run("pull", first.name).done()
        changed = {"part-0.bin": repos.noise(5_000_000, "changed")}
        second = first.next(changed)
        pulled = someone.run("pull", first.name).json
        assert pulled["bytes_fetched"] == 5_000_000
        assert content_of(second.folder(disk / "home")) == FILES | changed

        first.next({"part-1.bin": repos.noise(5_000_000, "once more")})
        shop.reset()
        done = someone.run("pull", first.name)
        assert (done.code, done.error["code"]) == (7, "not-enough-space")
        assert shop.content_bytes() == 0
        assert content_of(second.folder(disk / "home")) == FILES | changed


@contextlib.contextmanager
def quota(base: Path, size: int) -> Iterator[Path]:
    """A folder with a quota on a btrfs disk with plenty of space."""
    with btrfs(base) as disk:
        folder = disk / "sub"
        for words in (
            ["btrfs", "quota", "enable", disk],
            ["btrfs", "subvolume", "create", folder],
            ["btrfs", "qgroup", "limit", str(size), folder],
        ):
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no quota groups here: {done.stderr.strip()}")
        yield folder


@pytest.mark.root
def test_a_real_quota_refuses_before_downloading(shop: Shop, user: User, tmp_path: Path) -> None:
    shelf = shop.new(FILES)
    with quota(tmp_path, 15 * MIB) as folder:
        assert os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize > 2 * SIZE
        done = user.but(home=folder / "home").run("pull", shelf.name)
        refused(done, shop, shelf, folder / "home")
        assert "EDQUOT" in done.error["why"]


@pytest.mark.root
def test_a_users_quota_refuses_before_downloading(
    shop: Shop, stranger: Stranger, tmp_path: Path
) -> None:
    shelf = shop.new(FILES)
    with _user_quota(tmp_path, stranger.uid, 15) as disk:
        home = disk / "home"
        words = ["--home", home, "--endpoint", shop.url, "pull", shelf.name, "--json"]
        done = stranger.run("-m", "holdfast", *words)
        refused(Ran(done.returncode, done.stdout, done.stderr, 0.0), shop, shelf, home)


@contextlib.contextmanager
def _user_quota(base: Path, uid: int, mib: int) -> Iterator[Path]:
    """An XFS disk on which a user may store so much; skips where the kernel has no quotas."""
    needs_root("mkfs.xfs", "xfs_quota", package="xfsprogs")
    image, mount = base / "quota.img", base / "quota"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(400 * MIB)
    subprocess.run(["mkfs.xfs", "-q", image], check=True)
    words = ["mount", "-o", "loop,usrquota", image, mount]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this kernel has no XFS quotas: {done.stderr.strip().splitlines()[0]}")
    try:
        limit = f"limit bhard={mib}m {uid}"
        subprocess.run(["xfs_quota", "-x", "-c", limit, mount], check=True)
        shutil.chown(mount, uid)
        for folder in (base, *base.parents):  # pytest's folders are root's own
            if folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o011)
        yield mount
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_quota_that_only_a_reservation_shows_refuses_before_downloading(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    shelf = shop.new(FILES)
    with fuse_folder(tmp_path, space_bytes=15 * MIB, space_errno="EDQUOT") as folder:
        done = user.but(home=folder / "home").run("pull", shelf.name)
        refused(done, shop, shelf, folder / "home")
        assert "EDQUOT" in done.error["why"]


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT"])
def test_space_that_runs_out_in_the_middle_stops_cleanly_and_resumes(
    shop: Shop, user: User, tmp_path: Path, code: str
) -> None:
    """Nothing tells beforehand: the count of free blocks lies, and nothing can be reserved."""
    shelf = shop.new(FILES)
    backing = tmp_path / "backing"
    backing.mkdir()
    rules = [
        Rule("fallocate", "EOPNOTSUPP"),
        Rule("write", code, match="*/blobs/*", after=15),
    ]
    with fuse_folder(tmp_path, rules=rules, backing=backing) as folder:
        someone = user.but(home=folder / "home")
        done = someone.run("pull", shelf.name)
        assert (done.code, done.error["code"]) == (7, "not-enough-space")
        assert code in done.error["why"]
        assert "run the same command again" in done.error["hint"]
        assert not shelf.folder(folder / "home").exists()
        assert not (shelf.cache(folder / "home") / "refs").exists()
        before = shop.content_bytes()

    with fuse_folder(tmp_path, backing=backing) as folder:
        someone = user.but(home=folder / "home")
        shop.hub.clear_records()
        pulled = someone.run("pull", shelf.name).json
        assert holds(pulled["path"], FILES)
        assert shop.content_bytes() < SIZE
        assert before > 0
        assert leftovers(folder) == []


@pytest.mark.parametrize("operation", ["fsync", "rename"])
def test_a_disk_that_fails_at_the_end_shows_nothing_half_done(
    shop: Shop, user: User, tmp_path: Path, operation: str
) -> None:
    shelf = shop.new({"config.json": b"{}", "w.bin": repos.noise(2_000_000, "w")})
    backing = tmp_path / "backing"
    backing.mkdir()
    rules = [Rule(operation, "EIO", match="*/blobs/*")]
    with fuse_folder(tmp_path, rules=rules, backing=backing) as folder:
        done = user.but(home=folder / "home").run("pull", shelf.name)
        assert (done.code, done.error["code"]) == (7, "storage-failed")
        assert "EIO" in done.error["why"]
        assert content_of(shelf.folder(folder / "home")) == {}
        assert not (shelf.cache(folder / "home") / "refs").exists()
    with fuse_folder(tmp_path, backing=backing) as folder:
        pulled = user.but(home=folder / "home").run("pull", shelf.name).json
        assert content_of(pulled["path"])["w.bin"] == repos.noise(2_000_000, "w")
        assert leftovers(folder) == []


@pytest.mark.parametrize("after", [0, 1, 3, 6])
def test_a_move_that_stops_half_way_loses_neither_revision(
    shop: Shop, user: User, tmp_path: Path, after: int
) -> None:
    """Where nothing can be linked, the new revision takes the old one's files one by one."""
    files = {f"part-{n}.bin": repos.noise(20_000, f"move {n}") for n in range(8)}
    first = shop.new(files)
    backing = tmp_path / "backing"
    backing.mkdir()
    no_links = [Rule("symlink", "EPERM"), Rule("link", "EPERM")]
    with fuse_folder(tmp_path, rules=no_links, backing=backing) as folder:
        user.but(home=folder / "home").run("pull", first.name).done()
    second = first.next({"new.bin": repos.noise(20_000, "new")})
    stop = Rule("rename", "EIO", match="*/snapshots/*", after=after)
    with fuse_folder(tmp_path, rules=[*no_links, stop], backing=backing) as folder:
        done = user.but(home=folder / "home").run("pull", first.name)
        if after:
            assert (done.code, done.error["code"]) == (7, "storage-failed")
        else:  # nothing was moved yet: the old revision is whole, and served
            assert done.json["commit"] == first.commit

    with fuse_folder(tmp_path, rules=no_links, backing=backing) as folder:
        someone = user.but(home=folder / "home")
        shop.reset()
        offline = someone.run("--offline", "pull", first.name).json
        assert offline["commit"] == first.commit
        assert holds(offline["path"], files)
        pulled = someone.run("pull", first.name).json
        assert pulled["commit"] == second.commit
        assert holds(pulled["path"], files | {"new.bin": repos.noise(20_000, "new")})
        assert shop.content_bytes() <= 20_000
        assert someone.run("verify").json["bad"] == []


def test_a_disk_without_large_files_still_takes_many_small_ones(shop: Shop, user: User) -> None:
    """FAT has no file of 4 GiB: the room for all files is not asked for as one file."""
    shelf = shop.new(FILES)
    limit = 6_000_000  # more than any of the files, less than all of them
    script = (
        "import resource, sys; from holdfast.provision import _apply; _apply._PIECE = 1; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
        "from holdfast.cli.main import entry; entry()"
    )
    command = user.command("pull", shelf.name, program=("-c", script))
    done = subprocess.run(command, capture_output=True, text=True, env=dict(user.env), check=False)
    assert done.returncode == 0, done.stderr
    assert content_of(done.stdout.strip()) == FILES
