"""Names: the strange ones arrive, the impossible ones are listed together before any download."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import repos
from tests.support.core import Ran, Shelf, Shop, User, content_of, leftovers, peer
from tests.support.filesystems import KINDS
from tests.support.fusefs import fuse_folder

pytestmark = pytest.mark.linux


def refused(done: Ran, shop: Shop, shelf: Shelf, home: Path) -> set[str]:
    """Check that a pull was refused for its names, up front, and return those."""
    assert done.code == 7, done.err
    assert done.error["code"] == "names-impossible"
    assert shop.content_bytes() == 0
    assert not shelf.cache(home).exists()
    assert leftovers(home) == []
    return {item["path"] for item in done.error["facts"]["problems"]}


@pytest.mark.parametrize("files", [repos.unicode_names(), repos.long_names(), repos.same_look()],
                         ids=["scripts-and-signs", "255-bytes", "look-alikes"])  # fmt: skip
def test_strange_names_arrive_and_the_peer_reads_them(
    shop: Shop, user: User, tmp_path: Path, files: dict[str, bytes]
) -> None:
    shelf = shop.new(files)
    pulled = user.run("pull", shelf.name).json
    assert content_of(pulled["path"]) == files
    assert content_of(peer(user, shelf.name)) == files
    user.run("pull", shelf.name, "--local-dir", tmp_path / "chosen").done()
    assert content_of(tmp_path / "chosen") == files
    assert user.run("verify").json["bad"] == []
    assert leftovers(tmp_path) == []


@pytest.mark.root
@pytest.mark.parametrize("kind", ["exfat", "fat32", "ntfs"])
def test_names_in_two_cases_are_refused_where_case_does_not_count(
    shop: Shop, user: User, tmp_path: Path, kind: str
) -> None:
    files = repos.case_collisions()
    shelf = shop.new(files)
    with KINDS[kind](tmp_path) as disk:
        someone = user.but(home=disk / "home")
        assert refused(someone.run("pull", shelf.name), shop, shelf, disk / "home") == {
            "config.json", "Config.json",
        }  # fmt: skip
        done = someone.run("pull", shelf.name, "--exclude", "Config.json").json
        for name in set(files) - {"Config.json"}:
            assert Path(done["path"], name).read_bytes() == files[name]


def test_names_in_two_cases_arrive_where_case_counts(shop: Shop, user: User) -> None:
    files = repos.case_collisions()
    shelf = shop.new(files)
    assert content_of(user.run("pull", shelf.name).json["path"]) == files


@pytest.mark.root
def test_names_that_ntfs_refuses_are_listed_all_together(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    files = repos.names_windows_refuses()
    shelf = shop.new(files)
    with KINDS["ntfs"](tmp_path) as disk:
        someone = user.but(home=disk / "home")
        names = refused(someone.run("pull", shelf.name), shop, shelf, disk / "home")
        assert names == set(files) - {"ok.txt"}


def test_names_that_windows_refuses_are_listed_and_can_be_left_out(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    files = repos.names_windows_refuses() | repos.case_collisions()
    shelf = shop.new(files)
    good = {"ok.txt", "README.md", "Weights/a.bin", "weights/b.bin"}
    with fuse_folder(tmp_path, names="windows", fold_case=True) as folder:
        someone = user.but(home=folder / "home")
        names = refused(someone.run("pull", shelf.name), shop, shelf, folder / "home")
        assert names == set(files) - good

        plan = someone.run("plan", shelf.name).json
        assert {item["path"] for item in plan["problems"]} == names

        left_out = [word for name in sorted(names) for word in ("--exclude", _literal(name))]
        pulled = someone.run("pull", shelf.name, *left_out).json
        assert pulled["files"] == len(good)
        for name in good:
            assert Path(pulled["path"], name).read_bytes() == files[name]
        assert someone.run("verify").json["bad"] == []


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def test_names_longer_than_this_disk_holds_are_refused(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    files = repos.long_names() | {"config.json": b"{}", "m" * 143: b"just fits"}
    shelf = shop.new(files)
    with fuse_folder(tmp_path, max_name_bytes=143) as folder:
        someone = user.but(home=folder / "home")
        names = refused(someone.run("pull", shelf.name), shop, shelf, folder / "home")
        assert names == set(repos.long_names())
        left_out = [word for name in names for word in ("--exclude", name)]
        done = someone.run("pull", shelf.name, *left_out).json
        assert set(content_of(done["path"])) == {"config.json", "m" * 143}


def test_a_disk_whose_names_are_too_short_for_blobs_is_no_home(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    shelf = shop.new({"config.json": b"{}"})
    with fuse_folder(tmp_path, max_name_bytes=90) as folder:
        someone = user.but(home=folder / "home")
        done = someone.run("pull", shelf.name)
        assert Path(done.json["path"]).is_relative_to(tmp_path / "user" / ".cache")
        assert "names of 112 bytes" in done.err
        assert list(folder.iterdir()) == []


EVIL = {
    "parent": "../evil",
    "far-parent": "../../../../../../../../tmp/evil",
    "absolute": "/tmp/evil",
    "inside-out": "sub/../../evil",
    "empty-part": "sub//evil",
    "dot": "./evil",
    "nothing": "sub/",
    "nul": "nul\0byte",
    "half-character": "half\ud800",
    "below-a-file": "config.json/evil",
}


@pytest.mark.parametrize("path", EVIL.values(), ids=EVIL.keys())
def test_a_listing_that_would_leave_the_folder_is_refused(
    shop: Shop, user: User, tmp_path: Path, path: str
) -> None:
    shelf = shop.new({"config.json": b"{}", "weights.bin": repos.noise(9_000, "w")})
    shop.hub.set_faults(f"listing:path={path},where=api")
    before = everything_below(tmp_path)

    done = user.run("pull", shelf.name)

    named = refused(done, shop, shelf, user.home or Path())
    assert named == ({"config.json"} if path == "config.json/evil" else {path})
    assert everything_below(tmp_path) - before <= {"home", "home/hub", "home/hub/CACHEDIR.TAG"} | {
        p for p in everything_below(tmp_path) if p.startswith("home/hub/.locks")
    }


@pytest.mark.parametrize("path", ["../evil", "nul\0byte", "half\ud800"],
                         ids=["parent", "nul", "half-character"])  # fmt: skip
def test_the_rest_of_such_a_repository_can_be_had_and_looked_after(
    shop: Shop, user: User, path: str
) -> None:
    files = {"config.json": b"{}", "weights.bin": repos.noise(9_000, "w")}
    shelf = shop.new(files)
    shop.hub.set_faults(f"listing:path={path},where=api")
    some = ["--include", "*.json", "--include", "*.bin"]
    for _ in range(2):
        assert content_of(user.run("pull", shelf.name, *some).json["path"]) == files
    assert content_of(user.run("--offline", "pull", shelf.name, *some).json["path"]) == files
    assert user.run("verify").json["bad"] == []
    assert user.run("ls").json["models"][0]["complete"]
    assert user.run("collect").json["items"] == []
    again = user.run("pull", shelf.name)
    assert (again.code, again.error["code"]) == (7, "names-impossible")


@pytest.mark.parametrize("command", ["verify", "repair", "pull", "collect"])
def test_a_stored_listing_that_points_outside_never_touches_anything_there(
    shop: Shop, user: User, tmp_path: Path, command: str
) -> None:
    """A listing is somebody else's data, also when it lies in the cache already."""
    home = user.home or Path()
    content = repos.noise(9_000, "w")
    shelf = shop.new({"weights.bin": content})
    user.run("pull", shelf.name)
    victim = tmp_path / "victim.txt"
    victim.write_bytes(b"precious")
    for listing in shelf.cache(home).rglob("*.json"):
        data = json.loads(listing.read_bytes())
        if "files" in data:
            outside = "../" * 5 + "victim.txt"
            data["files"][outside] = data["files"]["weights.bin"]
            listing.write_text(json.dumps(data))
    blob = (shelf.folder(home) / "weights.bin").resolve()
    blob.write_bytes(content[:-1])

    words = [shelf.name, "--include", "weights.bin"] if command == "pull" else []
    done = user.run(command, *words)

    assert victim.read_bytes() == b"precious"
    assert not victim.is_symlink()
    assert victim.name not in done.out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "user", "victim.txt"]


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
