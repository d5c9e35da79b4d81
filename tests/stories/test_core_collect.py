"""Garbage collection removes what nobody needs, and nothing else."""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import repos
from tests.support.core import Shelf, Shop, User, holds, leftovers, peer
from tests.support.deny import deny_prefix

pytestmark = [pytest.mark.linux, pytest.mark.usefixtures("seccomp")]

FILES = {"config.json": b"{}", "weights.bin": repos.noise(400_000, "collect")}
SLOW = "slow:rate=160k,where=storage"
LATER_S = 7 * 86_400.0
NO_LOCKS = {"flock": "ENOLCK", "fcntl_lock": "ENOLCK"}
locks = pytest.mark.parametrize("denied", [{}, NO_LOCKS], ids=["locks", "no-locks"])


def home_of(user: User) -> Path:
    assert user.home is not None
    return user.home


def partials(shelf: Shelf, user: User) -> list[Path]:
    return sorted(shelf.cache(home_of(user)).glob("blobs/*.incomplete"))


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def under_way(shelf: Shelf, user: User) -> Callable[[], bool]:
    """Return what says whether the weights are on their way; the peer writes only at the end."""

    def begun() -> bool:
        weights = [p for p in partials(shelf, user) if len(p.name.partition(".")[0]) == 64]
        return any(p.stat().st_size > 0 or p.name.count("-") == 0 for p in weights)

    return begun


_PEER = """
import json, sys
from huggingface_hub import snapshot_download
print(snapshot_download(**json.loads(sys.argv[1])))
"""


def start_peer(shelf: Shelf, user: User, revision: str = "main") -> subprocess.Popen[str]:
    """Let huggingface_hub begin a download in a process of its own."""
    arguments = {
        "repo_id": shelf.repo.id, "revision": revision, "endpoint": user.endpoint, "token": False,
        "cache_dir": str(home_of(user) / "hub"),
    }  # fmt: skip
    return subprocess.Popen(
        [*user.prefix, sys.executable, "-c", _PEER, json.dumps(arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**user.env, "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
    )  # fmt: skip


def everything(user: User) -> dict[str, tuple[int, int]]:
    """Return every file of the home with its size and time; locks are taken, not changed."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in home_of(user).rglob("*")
        if ".locks" not in path.parts and not path.is_dir()
    }


def kinds(collected: Any) -> list[str]:
    return sorted(item["kind"] for item in collected["items"])


def killed(process: subprocess.Popen[str], when: Callable[[], object]) -> None:
    until(when)
    process.send_signal(signal.SIGKILL)
    process.communicate()


# What is left by the dead


@pytest.mark.parametrize("who", ["ours", "peer"])
def test_what_a_killed_download_left_is_removed(shop: Shop, user: User, who: str) -> None:
    shelf, other = shop.new(FILES), shop.new({"a.txt": b"other"})
    user.run("pull", other.name)
    shop.hub.set_faults(SLOW)
    begun = user.start("pull", shelf.name) if who == "ours" else start_peer(shelf, user)
    killed(begun, under_way(shelf, user))
    left = partials(shelf, user)
    if who == "peer":
        left[0].write_bytes(FILES["weights.bin"][:100_000])

    before = everything(user)
    shown = user.run("collect", "--dry-run").json
    assert everything(user) == before
    done = user.run("collect").json

    assert done["items"] == shown["items"]
    assert set(kinds(done)) == {"orphan"}
    assert [item["path"] for item in done["items"]] == [str(path) for path in left]
    assert done["bytes"] == shown["bytes"] > 0
    assert (shown["dry_run"], done["dry_run"]) == (True, False)
    assert leftovers(home_of(user)) == []
    shop.reset()
    assert holds(user.run("pull", shelf.name).json["path"], FILES)
    assert holds(other.folder(home_of(user)), {"a.txt": b"other"})
    assert user.run("verify").json["bad"] == []


def test_the_peers_older_kind_of_leftover_goes_once_it_has_been_quiet(
    shop: Shop, user: User
) -> None:
    shelf = shop.new(FILES)
    user.run("pull", shelf.name)
    left = shelf.cache(home_of(user)) / "blobs" / f"{'e' * 64}.incomplete"
    left.write_bytes(b"half")

    assert user.run("collect").json["items"] == []  # somebody without locks may be writing it
    assert kinds(user.run_later(LATER_S, "collect").json) == ["orphan"]
    assert not left.exists()
    assert user.run("verify").json["bad"] == []


def test_blobs_that_no_revision_names_are_removed_and_strange_files_are_not(
    shop: Shop, user: User
) -> None:
    shelf = shop.new(FILES)
    folder = peer(user, shelf.name, online=True)
    (folder / "weights.bin").unlink()
    listing = shelf.cache(home_of(user)) / "trees" / f"{shelf.commit}.json"
    content = json.loads(listing.read_bytes())
    del content["files"]["weights.bin"]
    listing.write_text(json.dumps(content))
    blobs = shelf.cache(home_of(user)) / "blobs"
    (blobs / "notes.txt").write_text("mine")

    assert user.run("collect").json["items"] == []  # it may just be getting its name
    done = user.run_later(LATER_S, "collect").json

    assert kinds(done) == ["unreferenced"]
    assert done["bytes"] >= len(FILES["weights.bin"])
    assert sorted(path.stat().st_size for path in blobs.iterdir()) == [2, 4]
    assert user.run("verify").json["bad"] == []


def test_blobs_are_kept_for_a_revision_whose_names_are_missing(shop: Shop, user: User) -> None:
    """The listing says what a revision needs, whether or not the links are there."""
    shelf = shop.new(FILES)
    folder = peer(user, shelf.name, online=True)
    (folder / "weights.bin").unlink()
    assert user.run_later(LATER_S, "collect", "--old-revisions").json["items"] == []
    assert user.run("--offline", "pull", shelf.name).json["bytes_fetched"] == 0


def test_an_empty_home_has_nothing_to_collect(user: User) -> None:
    assert user.run("collect").json == {"dry_run": False, "bytes": 0, "items": []}


# What lives


@locks
def test_our_own_download_is_left_alone(shop: Shop, user: User, denied: dict[str, str]) -> None:
    shelf = shop.new(FILES)
    ours = user.but(prefix=tuple(deny_prefix(**denied)) if denied else ())
    shop.hub.set_faults(SLOW)
    begun = ours.start("pull", shelf.name)
    until(under_way(shelf, user))

    for done in (ours.run("collect"), ours.run_later(LATER_S, "collect", "--old-revisions")):
        assert done.json["items"] == []

    assert partials(shelf, user)
    ended = ours.finish(begun)
    assert holds(ended.json["path"], FILES)
    assert ended.json["bytes_fetched"] == sum(map(len, FILES.values()))
    assert user.run("verify").json["bad"] == []


@pytest.mark.parametrize("denied", [{}, {"flock": "0"}], ids=["locks", "locks-lie"])
def test_the_peers_download_of_a_commit_is_left_alone(
    shop: Shop, user: User, denied: dict[str, str]
) -> None:
    shelf = shop.new(FILES)
    both = user.but(prefix=tuple(deny_prefix(**denied)) if denied else ())
    shop.hub.set_faults(SLOW)
    begun = start_peer(shelf, both, shelf.commit)
    until(under_way(shelf, user))

    collected = [both.run("collect", "--old-revisions"), both.run_later(LATER_S, "collect")]
    if not denied:  # without locks, recent times are what tells that a revision is being filled
        collected.append(both.run_later(LATER_S, "collect", "--old-revisions"))
    assert [done.json["items"] for done in collected] == [[]] * len(collected)

    assert begun.poll() is None
    out, err = begun.communicate(timeout=60)
    assert begun.returncode == 0, err
    assert holds(out.strip(), FILES)
    assert user.run("--offline", "pull", shelf.pinned).json["bytes_fetched"] == 0
    assert user.run("verify").json["bad"] == []


def by_descriptor(path: Path) -> Iterator[None]:
    with path.open("rb"):
        yield


def by_mapping(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY)
    mapped = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    os.close(descriptor)
    yield
    mapped.close()


@pytest.mark.parametrize(
    ("reader", "refused"),
    [(by_descriptor, {}), (by_mapping, {}), (by_mapping, {"symlink": "EPERM"})],
    ids=["opened", "mapped", "mapped-no-symlinks"],
)
def test_a_revision_that_a_process_has_open_is_kept_until_it_is_closed(
    shop: Shop, user: User, reader: Callable[[Path], Iterator[None]], refused: dict[str, str]
) -> None:
    ours = user.but(prefix=tuple(deny_prefix(**refused)) if refused else ())
    first = shop.new(FILES)
    ours.run("pull", first.name)
    second = first.next({"weights.bin": repos.noise(300_000, "second")})
    ours.run("pull", first.name)

    using = reader(first.folder(home_of(user)) / "weights.bin")
    next(using)
    assert ours.run_later(LATER_S, "collect", "--old-revisions").json["items"] == []
    assert holds(first.folder(home_of(user)), FILES)
    next(using, None)

    done = ours.run_later(LATER_S, "collect", "--old-revisions").json
    assert kinds(done) == ["old-revision", "unreferenced"]
    assert done["bytes"] >= 400_000
    assert not first.folder(home_of(user)).exists()
    assert (second.folder(home_of(user)) / "weights.bin").stat().st_size == 300_000
    assert ours.run("verify").json["bad"] == []


# Old revisions


@pytest.mark.parametrize(
    "refused", [{}, {"symlink": "EPERM", "link": "EPERM"}], ids=["links", "no-links"]
)  # fmt: skip
def test_of_old_revisions_only_those_that_nothing_names_are_removed(
    shop: Shop, user: User, refused: dict[str, str]
) -> None:
    ours = user.but(prefix=tuple(deny_prefix(**refused)) if refused else ())

    def config(number: int) -> dict[str, bytes]:
        return {"config.json": b'{"n": %d}' % number}

    pinned = shop.new(FILES | config(0))
    ours.run("pull", pinned.pinned)
    tagged = pinned.next(config(1))
    shop.repositories.tag(tagged.repo, "v1", tagged.commit)
    ours.run("pull", f"{pinned.name}@v1")
    unnamed = tagged.next(config(2))
    ours.run("pull", pinned.name)
    newest = unnamed.next(config(3))
    ours.run("pull", pinned.name)
    kept = {0: pinned, 1: tagged, 3: newest}

    assert "old-revision" not in kinds(ours.run_later(LATER_S, "collect").json)
    before = everything(user)
    shown = ours.run_later(LATER_S, "collect", "--old-revisions", "--dry-run").json
    assert everything(user) == before
    done = ours.run_later(LATER_S, "collect", "--old-revisions").json

    assert done["items"] == shown["items"]
    if "link" not in refused:  # without any link its files were moved on to the newest
        assert "old-revision" in kinds(done)
    assert not unnamed.folder(home_of(user)).exists()
    for number, shelf in kept.items():
        assert holds(shelf.folder(home_of(user)), FILES | config(number))
        again = ours.run("--offline", "pull", shelf.pinned).json
        assert again["bytes_fetched"] == 0
    assert {row["commit"] for row in ours.run("ls").json["models"]} == {
        shelf.commit for shelf in kept.values()
    }
    assert ours.run("verify").json["bad"] == []
    assert ours.run_later(LATER_S, "collect", "--old-revisions").json["items"] == []
    assert holds(peer(ours, f"{pinned.name}@v1"), FILES | config(1))


def test_what_a_lock_file_brought_is_kept(shop: Shop, user: User, tmp_path: Path) -> None:
    first = shop.new(FILES)
    (tmp_path / "models.toml").write_text(f'[models.tiny]\nrepo = "{first.name}"\n')
    user.run("sync", "--manifest", tmp_path / "models.toml")
    first.next({"config.json": b'{"new": 1}'})
    user.run("pull", first.name)

    assert user.run_later(LATER_S, "collect", "--old-revisions").json["items"] == []
    synced = user.run("sync", "--frozen", "--manifest", tmp_path / "models.toml").json
    assert synced["models"][0]["bytes_fetched"] == 0


def test_people_are_told_in_words(shop: Shop, user: User) -> None:
    first = shop.new(FILES)
    user.run("pull", first.name)
    first.next({"config.json": b'{"new": 1}'})
    user.run("pull", first.name)
    os.utime(first.folder(home_of(user)), (1, 1))

    shown = user.run("collect", "--old-revisions", "--dry-run", as_json=False)
    assert first.commit in shown.out
    assert "would be removed" in shown.err
    done = user.run("collect", "--old-revisions", as_json=False)
    assert "removed" in done.err
    assert not first.folder(home_of(user)).exists()
