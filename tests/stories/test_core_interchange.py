"""The cache is shared with huggingface_hub: each reads what the other wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import repos
from tests.support.core import Shelf, Shop, User, disk_used, holds, leftovers, peer
from tests.support.deny import deny_prefix

pytestmark = [pytest.mark.linux, pytest.mark.usefixtures("seccomp")]

FILES = {
    "config.json": b'{"hidden": 8}',
    "weights.bin": repos.noise(300_000, "weights"),
    "sub/tokenizer.json": repos.noise(20_000, "tokenizer"),
    "empty.txt": b"",
}
SIZE = sum(map(len, FILES.values()))
LARGE = len(FILES["weights.bin"])

WORLDS: dict[str, dict[str, str]] = {
    "links": {},
    "no-symlinks": {"symlink": "EPERM"},
    "no-links": {"symlink": "EPERM", "link": "EPERM"},
}
worlds = pytest.mark.parametrize("denied", WORLDS.values(), ids=WORLDS.keys())
both_ends = pytest.mark.parametrize(
    "denied", [WORLDS["links"], WORLDS["no-links"]], ids=["links", "no-links"]
)


def words(denied: dict[str, str]) -> tuple[str, ...]:
    return tuple(deny_prefix(**denied)) if denied else ()


def home_of(user: User) -> Path:
    assert user.home is not None
    return user.home


def brought_by_peer(
    shop: Shop, user: User, shelf: Shelf, denied: dict[str, str] | None = None, **options: Any
) -> Path:
    """Let the peer download, and forget the requests of that."""
    folder = peer(user, shelf.name, online=True, prefix=words(denied or {}), **options)
    shop.reset()
    return folder


def read_by_peer_offline(user: User, repo: str, **options: Any) -> Path:
    """Let the peer find a snapshot with every means of asking the network switched off."""
    return peer(user.with_env(HF_HUB_OFFLINE="1"), repo, **options)


# The peer writes, we read


@worlds
def test_what_the_peer_brought_is_used_offline_and_can_be_verified(
    shop: Shop, user: User, denied: dict[str, str]
) -> None:
    shelf = shop.new(FILES)
    folder = brought_by_peer(shop, user, shelf, denied)
    ours = user.but(prefix=words(denied))
    before = disk_used(home_of(user))

    verified = ours.run("verify").json
    pulled = ours.run("--offline", "pull", shelf.name).json

    assert Path(pulled["path"]) == folder
    assert holds(folder, FILES)
    assert (pulled["bytes_fetched"], pulled["files"]) == (0, len(FILES))
    assert (verified["files"], verified["bytes"], verified["unlisted"]) == (len(FILES), SIZE, [])
    assert shop.requests() == []
    assert disk_used(home_of(user)) < before + 20_000
    assert ours.run("ls").json["models"][0]["complete"]
    assert ours.run("collect").json["items"] == []
    assert leftovers(home_of(user)) == []


@both_ends
def test_a_folder_the_peer_filled_is_taken_over_without_a_download(
    shop: Shop, user: User, tmp_path: Path, denied: dict[str, str]
) -> None:
    shelf = shop.new(FILES)
    chosen = tmp_path / "chosen"
    brought_by_peer(shop, user, shelf, denied, local_dir=str(chosen))
    ours = user.but(prefix=words(denied))

    offline = ours.run("--offline", "pull", shelf.pinned, "--local-dir", chosen).json
    assert (offline["bytes_fetched"], offline["files"]) == (0, len(FILES))
    assert shop.requests() == []
    assert ours.run("verify", "--local-dir", chosen).json["files"] == len(FILES)

    online = ours.run("pull", shelf.name, "--local-dir", chosen).json
    assert online["bytes_fetched"] == shop.content_bytes() == 0
    assert holds(chosen, FILES)
    assert leftovers(chosen) == []


@pytest.mark.parametrize("text", ["{}\n", " {}\r\n"], ids=["newline", "windows"])
def test_a_ref_with_white_space_around_it_is_read_and_written_anew_for_others(
    shop: Shop, user: User, text: str
) -> None:
    shelf = shop.new(FILES)
    brought_by_peer(shop, user, shelf)
    ref = shelf.cache(home_of(user)) / "refs" / "main"
    ref.write_bytes(text.format(shelf.commit).encode())

    offline = user.run("--offline", "pull", shelf.name).json
    assert (offline["commit"], offline["bytes_fetched"]) == (shelf.commit, 0)
    assert shop.requests() == []

    online = user.run("pull", shelf.name).json
    assert (online["commit"], online["bytes_fetched"]) == (shelf.commit, 0)
    assert ref.read_text("ascii") == shelf.commit
    assert holds(read_by_peer_offline(user, shelf.name), FILES)


@pytest.mark.parametrize(
    "content", [b"", b"../../..", b"\xff\x00\xff", b"f" * 40],
    ids=["empty", "path", "no-text", "unknown-commit"],
)  # fmt: skip
def test_a_ref_of_rubbish_is_as_good_as_none(shop: Shop, user: User, content: bytes) -> None:
    shelf = shop.new(FILES)
    folder = brought_by_peer(shop, user, shelf)
    ref = shelf.cache(home_of(user)) / "refs" / "main"
    ref.write_bytes(content)

    offline = user.run("--offline", "pull", shelf.name)
    assert (offline.code, offline.error["code"]) == (5, "not-here")
    assert shelf.name in offline.error["message"]
    pinned = user.run("--offline", "pull", shelf.pinned).json
    assert Path(pinned["path"]) == folder
    assert shop.requests() == []

    online = user.run("pull", shelf.name).json
    assert (Path(online["path"]), online["bytes_fetched"]) == (folder, 0)
    assert shop.content_bytes() == 0
    assert ref.read_bytes() == shelf.commit.encode()


@pytest.mark.parametrize("lost", [["weights.bin"], list(FILES)], ids=["one", "all"])
def test_names_that_are_missing_while_the_blobs_are_there_are_made_again(
    shop: Shop, user: User, lost: list[str]
) -> None:
    shelf = shop.new(FILES)
    folder = brought_by_peer(shop, user, shelf)
    for name in lost:
        folder.joinpath(name).unlink()

    pulled = user.run("--offline", "pull", shelf.name).json

    assert pulled["bytes_fetched"] == 0
    assert pulled["strategy"] == "symlink"
    assert shop.requests() == []
    assert holds(folder, FILES)
    assert holds(read_by_peer_offline(user, shelf.name), FILES)


def test_of_a_partial_snapshot_only_the_rest_is_fetched(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    folder = brought_by_peer(shop, user, shelf, allow_patterns=["*.json"])

    offline = user.run("--offline", "pull", shelf.name)
    assert (offline.code, offline.error["code"]) == (5, "not-here")
    assert "weights.bin" in offline.error["why"]
    some = user.run("--offline", "pull", shelf.name, "--include", "*.json").json
    assert (some["files"], some["bytes_fetched"]) == (2, 0)
    assert user.run("verify").json["files"] == 2

    whole = user.run("pull", shelf.name).json
    assert whole["bytes_fetched"] == shop.content_bytes() == LARGE
    assert holds(folder, FILES)


def truncated(path: Path) -> None:
    os.truncate(path, LARGE // 2)


def zero_length(path: Path) -> None:
    os.truncate(path, 0)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[LARGE // 3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "denied"),
    [
        (truncated, WORLDS["links"]),
        (zero_length, WORLDS["links"]),
        *((flipped, world) for world in WORLDS.values()),
    ],
    ids=["truncated", "zero-length", *(f"flipped-{name}" for name in WORLDS)],
)
def test_a_damaged_file_is_never_accepted_and_fetched_again_alone(
    shop: Shop, user: User, damage: Callable[[Path], None], denied: dict[str, str]
) -> None:
    shelf = shop.new(FILES)
    folder = brought_by_peer(shop, user, shelf, denied)
    ours = user.but(prefix=words(denied))
    damage(folder / "weights.bin")

    offline = ours.run("--offline", "pull", shelf.name)
    assert (offline.code, offline.error["code"]) == (5, "not-here")
    assert "weights.bin" in offline.error["why"]
    verified = ours.run("verify")
    assert verified.code == 6
    assert [bad["file"] for bad in verified.found["bad"]] == ["weights.bin"]
    assert shop.requests() == []

    mended = ours.run("pull", shelf.name).json
    assert mended["bytes_fetched"] == shop.content_bytes() == LARGE
    assert holds(folder, FILES)
    assert ours.run("verify").json["bad"] == []
    assert holds(read_by_peer_offline(user, shelf.name), FILES)


def moved_to_shared_store(shelf: Shelf, home: Path) -> Path:
    """Lay the weights out as with Xet: the blob is a link into a store of the whole cache."""
    cache = shelf.cache(home)
    blob = (cache / "snapshots" / shelf.commit / "weights.bin").resolve()
    stored = home / "hub" / "blobs" / "ab" / ("ab" * 32)
    stored.parent.mkdir(parents=True)
    blob.rename(stored)
    blob.symlink_to(os.path.relpath(stored, blob.parent))
    return stored


def test_blobs_that_are_links_into_a_shared_store_are_read_and_kept(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    folder = brought_by_peer(shop, user, shelf)
    stored = moved_to_shared_store(shelf, home_of(user))

    pulled = user.run("--offline", "pull", shelf.name).json

    assert (Path(pulled["path"]), pulled["bytes_fetched"]) == (folder, 0)
    assert user.run("verify").json["bad"] == []
    assert user.run_later(3600, "collect").json["items"] == []
    assert [row["repo"] for row in user.run("ls").json["models"]] == [shelf.name]
    assert shop.requests() == []

    shelf.next({"config.json": b'{"hidden": 9}'})
    second = user.run("pull", shelf.name).json
    assert second["bytes_fetched"] == shop.content_bytes() == 13
    assert holds(second["path"], FILES | {"config.json": b'{"hidden": 9}'})
    assert stored.read_bytes() == FILES["weights.bin"]
    assert disk_used(home_of(user)) < SIZE + 60_000


def test_a_damaged_file_of_a_shared_store_is_never_written_through(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    folder = brought_by_peer(shop, user, shelf)
    stored = moved_to_shared_store(shelf, home_of(user))
    flipped(stored)
    broken = stored.read_bytes()

    assert user.run("--offline", "pull", shelf.name).code == 5
    assert user.run("pull", shelf.name).json["bytes_fetched"] == LARGE
    assert holds(folder, FILES)
    assert stored.read_bytes() == broken  # other repositories' links lead there: not ours to change


@both_ends
def test_a_cache_of_an_older_tool_that_kept_no_listing_costs_no_download(
    shop: Shop, user: User, denied: dict[str, str]
) -> None:
    shelf = shop.new(FILES)
    folder = brought_by_peer(shop, user, shelf, denied)
    shutil.rmtree(shelf.cache(home_of(user)) / "trees")
    ours = user.but(prefix=words(denied))

    offline = ours.run("--offline", "pull", shelf.name)
    if denied:  # nothing here says what plain files should contain
        assert (offline.code, offline.error["code"]) == (5, "not-here")
    else:
        assert (offline.json["bytes_fetched"], offline.json["files"]) == (0, len(FILES))
    assert shop.requests() == []

    online = ours.run("pull", shelf.name).json
    assert (Path(online["path"]), online["bytes_fetched"]) == (folder, 0)
    assert shop.content_bytes() == 0
    assert ours.run("verify").json["files"] == len(FILES)
    assert ours.run("--offline", "pull", shelf.name).json["files"] == len(FILES)


# We write, the peer reads


@worlds
def test_what_we_brought_the_peer_finds_offline_also_after_a_second_revision(
    shop: Shop, user: User, denied: dict[str, str]
) -> None:
    shelf = shop.new(FILES)
    ours = user.but(prefix=words(denied))
    ours.run("pull", shelf.name)
    shop.reset()
    assert holds(read_by_peer_offline(user, shelf.name), FILES)
    assert shop.requests() == []

    after = FILES | {"config.json": b'{"hidden": 9}', "new.txt": b"new"}
    second = shelf.next({"config.json": after["config.json"], "new.txt": after["new.txt"]})
    assert ours.run("pull", shelf.name).json["bytes_fetched"] == 16
    shop.reset()

    assert holds(read_by_peer_offline(user, shelf.name), after)
    assert holds(read_by_peer_offline(user, second.pinned), after)
    online = peer(user, shelf.name, online=True)
    assert holds(online, after)
    assert shop.content_bytes() == 0
    assert ours.run("verify").json["bad"] == []


@both_ends
def test_the_peers_own_listing_shows_what_we_brought(
    shop: Shop, user: User, denied: dict[str, str]
) -> None:
    shelf = shop.new(FILES)
    user.but(prefix=words(denied)).run("pull", shelf.name)

    command = [sys.executable, "-m", "huggingface_hub.cli.hf", "cache", "ls", "--format", "json"]
    listed = subprocess.run(
        [*command, "--cache-dir", str(home_of(user) / "hub"), "--revisions"],
        capture_output=True, text=True, env=dict(user.env), timeout=60, check=False,
    )  # fmt: skip

    assert listed.returncode == 0, listed.stderr
    (row,) = json.loads(listed.stdout)
    assert shelf.repo.id in json.dumps(row)
    assert shelf.commit[:8] in json.dumps(row)


@both_ends
def test_both_bring_revisions_in_turns_and_we_fetch_only_what_changed(
    shop: Shop, user: User, denied: dict[str, str]
) -> None:
    ours = user.but(prefix=words(denied))
    shelf = shop.new(FILES)
    ours.run("pull", shelf.name)
    files = dict(FILES)
    for turn in range(2):
        theirs = {"config.json": b'{"theirs": %d}' % turn}
        files |= theirs
        shelf = shelf.next(theirs)
        assert holds(peer(user, shelf.name, online=True, prefix=words(denied)), files)

        mine = {"sub/tokenizer.json": repos.noise(10_000 + turn, f"turn {turn}")}
        files |= mine
        shelf = shelf.next(mine)
        shop.reset()
        pulled = ours.run("pull", shelf.name).json
        assert pulled["bytes_fetched"] == shop.content_bytes() == 10_000 + turn
        assert holds(pulled["path"], files)
    assert ours.run("verify").json["bad"] == []
    assert leftovers(home_of(user)) == []


def test_a_folder_we_filled_the_peer_accepts_and_carries_on(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    shelf = shop.new(FILES)
    chosen = tmp_path / "chosen"
    user.run("pull", shelf.name, "--local-dir", chosen)
    times = {path: path.stat().st_mtime_ns for path in chosen.rglob("*.*") if path.is_file()}
    shop.reset()

    peer(user, shelf.name, online=True, local_dir=str(chosen))
    assert shop.content_bytes() == 0
    assert holds(chosen, FILES)
    assert all(path.stat().st_mtime_ns == times[path] for path in map(chosen.joinpath, FILES))

    files = FILES | {"config.json": b'{"hidden": 9}'}
    shelf = shelf.next({"config.json": files["config.json"]})
    peer(user, shelf.name, online=True, local_dir=str(chosen))
    assert shop.content_bytes() == 13
    shop.reset()
    assert user.run("pull", shelf.name, "--local-dir", chosen).json["bytes_fetched"] == 0
    assert holds(chosen, files)
    assert shop.content_bytes() == 0
    assert user.run("verify", "--local-dir", chosen).json["bad"] == []
