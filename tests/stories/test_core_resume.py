"""Interrupted at any moment: what was received is not fetched again, and nothing is left over."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.places import temporary_name
from tests.support import repos
from tests.support.core import Shop, User, content_of, disk_used, leftovers, peer
from tests.support.deny import deny_prefix

pytestmark = pytest.mark.linux

MIB = 1 << 20
FILES = {
    "model-1.safetensors": repos.noise(70_000_000, "first"),
    "model-2.safetensors": repos.noise(9_000_000, "second"),
    "model-3.safetensors": repos.noise(3_000_000, "third"),
    "tokenizer.json": repos.noise(900_000, "tokenizer"),
    "config.json": b'{"model_type": "test"}',
    "sub/folder/notes.txt": repos.noise(40_000, "notes"),
}
SIZE = sum(map(len, FILES.values()))
# At this rate a connection, the whole takes somewhat more than a second.
SLOWLY = "slow:rate=20M,where=any"
_SLOW = [pytest.param(n, marks=pytest.mark.slow) for n in range(5, 20)]


@pytest.mark.parametrize("number", [*range(5), *_SLOW])
def test_after_kill_9_at_a_random_point_little_is_fetched_again(
    shop: Shop, user: User, number: int
) -> None:
    home = user.home or Path()
    shelf = shop.new(FILES)
    shop.hub.set_faults(SLOWLY)
    process = user.start("pull", shelf.name)
    # Spread over the whole run, the start and the end included.
    time.sleep(random.Random(f"kill {number}").uniform(0.1, 1.9))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = settled(shop)
    open_files = len(list(shelf.cache(home).glob("blobs/*.incomplete")))

    shop.hub.set_faults()
    pulled = user.run("pull", shelf.name).json

    again = shop.content_bytes() - SIZE
    assert again <= 16 * MIB * max(1, open_files), f"{before} before the kill, {again} again"
    assert pulled["bytes_fetched"] <= SIZE - before + 16 * MIB * max(1, open_files)
    assert content_of(pulled["path"]) == FILES
    assert leftovers(home) == []
    assert disk_used(home) < SIZE + 100_000


@pytest.mark.usefixtures("seccomp")
@pytest.mark.parametrize(
    "denied",
    [{"symlink": "EPERM", "link": "EPERM"}, {"flock": "ENOLCK"}, {"fallocate": "EOPNOTSUPP"}],
    ids=["no-links", "no-locks", "no-fallocate"],
)
def test_resuming_works_in_worse_places_too(shop: Shop, user: User, denied: dict[str, str]) -> None:
    shelf = shop.new(FILES)
    hindered = user.but(prefix=tuple(deny_prefix(**denied)))
    shop.hub.set_faults(SLOWLY)
    process = hindered.start("pull", shelf.name)
    time.sleep(0.9)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    settled(shop)

    shop.hub.set_faults()
    pulled = hindered.run("pull", shelf.name).json

    assert shop.content_bytes() - SIZE < 16 * MIB
    assert content_of(pulled["path"]) == FILES
    assert leftovers(user.home or Path()) == []


def test_killed_again_and_again_it_still_gets_there(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    shop.hub.set_faults(SLOWLY)
    for _ in range(8):
        process = user.start("pull", shelf.name)
        time.sleep(0.55)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    settled(shop)
    shop.hub.set_faults()

    pulled = user.run("pull", shelf.name).json

    assert content_of(pulled["path"]) == FILES
    assert shop.content_bytes() < SIZE + 8 * 8 * MIB
    assert leftovers(user.home or Path()) == []


@pytest.mark.parametrize("chosen", [True, False], ids=["folder", "home"])
def test_what_was_being_written_down_when_it_was_killed_goes_too(
    shop: Shop, user: User, tmp_path: Path, chosen: bool
) -> None:
    """The records beside the files: what was asked for, the listing, the seals, the branch."""
    shelf = shop.new(FILES)
    to = ("--local-dir", tmp_path / "chosen") if chosen else ()
    user.run("pull", shelf.name, "--include", "*.json", *to).done()
    place = tmp_path / "chosen" if chosen else user.home or Path()
    records = [
        path
        for path in place.rglob("*")
        if path.is_file() and set(path.parts) & {".holdfast", "trees", "refs", ".cache"}
    ]
    assert len(records) >= 3
    said = "from holdfast.places import temporary_name as name; print(name('0'))"
    gone = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    # The second time all is complete; of a folder that is the last thing that is written down.
    for _ in range(1 if chosen else 2):
        for folder in {path.parent for path in records if path.suffix != ".metadata"}:
            (folder / gone.stdout.strip()).write_text("half")
        assert leftovers(place) != []
        user.run("pull", shelf.name, *to).done()
        assert leftovers(place) == []


def test_a_local_folder_is_resumed_too(shop: Shop, user: User, tmp_path: Path) -> None:
    shelf = shop.new(FILES)
    shop.hub.set_faults(SLOWLY)
    folder = tmp_path / "chosen"
    process = user.start("pull", shelf.name, "--local-dir", folder)
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    settled(shop)
    assert content_of(folder) == {}, "nothing is visible before all of it is verified"

    shop.hub.set_faults()
    user.run("pull", shelf.name, "--local-dir", folder).done()

    assert shop.content_bytes() - SIZE < 16 * MIB
    assert content_of(folder) == FILES
    assert leftovers(folder) == []


@pytest.mark.parametrize("after_s", [0.0, 0.4, 1.0])
def test_ctrl_c_ends_within_a_second_and_the_next_run_goes_on(
    shop: Shop, user: User, after_s: float
) -> None:
    shelf = shop.new(FILES)
    shop.hub.set_faults(SLOWLY)
    process = user.start("pull", shelf.name, as_json=False)
    while not (user.home or Path()).exists():  # it has come so far as to look for a home
        time.sleep(0.005)
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    out, err = process.communicate(timeout=10)
    took = time.monotonic() - asked

    assert process.returncode == 130, err
    assert took < 1.5  # a second, and some for a busy machine
    assert out == ""
    assert "Traceback" not in err
    assert shelf.folder(user.home or Path()).exists() is False
    settled(shop)
    shop.hub.set_faults()
    assert content_of(user.run("pull", shelf.name).json["path"]) == FILES
    assert shop.content_bytes() - SIZE < 16 * MIB
    assert leftovers(user.home or Path()) == []


def test_ctrl_c_ends_within_a_second_when_the_hub_is_silent(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    for fault in ("silence:where=api", "silence:where=storage", "stall:at=5k,where=storage"):
        shop.hub.set_faults(fault)
        process = user.start("pull", shelf.name, as_json=False)
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        process.communicate(timeout=10)
        assert process.returncode == 130
        assert time.monotonic() - asked < 1.5


def test_a_plan_says_what_an_interrupted_download_left(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    shop.hub.set_faults(SLOWLY)
    process = user.start("pull", shelf.name)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    process.communicate()

    plan = user.run("plan", shelf.name).json

    resumed = sum(item["resumed"] for item in plan["files"])
    assert 0 < resumed < SIZE
    assert plan["bytes_fetched"] == SIZE - resumed


@pytest.mark.parametrize("damage", ["flip", "truncate", "lie", "zero"])
def test_what_an_interrupted_download_left_is_not_trusted(
    shop: Shop, user: User, damage: str
) -> None:
    shelf = shop.new(FILES)
    shop.hub.set_faults(SLOWLY)
    process = user.start("pull", shelf.name)
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = max(shelf.cache(user.home or Path()).glob("blobs/*.incomplete"), key=_length)
    if damage == "flip":
        with left.open("r+b") as file:
            file.seek(100_000)
            file.write(b"not what was received")
    elif damage == "truncate":
        os.truncate(left, left.stat().st_size // 2)
    elif damage == "zero":
        os.truncate(left, 0)
    else:
        with left.open("r+b") as file:  # the journal claims that everything is there
            file.seek(left.stat().st_size - 24)
            file.write((32 << 20).to_bytes(8, "little") * 3)

    shop.hub.set_faults()
    pulled = user.run("pull", shelf.name).json

    assert content_of(pulled["path"]) == FILES
    assert leftovers(user.home or Path()) == []


def test_the_peer_is_not_disturbed_by_what_was_left(shop: Shop, user: User) -> None:
    files = {"a.bin": FILES["model-2.safetensors"], "b.txt": b"text"}
    shelf = shop.new(files)
    shop.hub.set_faults("slow:rate=4M,where=storage")
    process = user.start("pull", shelf.name)
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    shop.hub.set_faults()
    assert content_of(peer(user, shelf.name, online=True)) == files
    assert content_of(user.run("--offline", "pull", shelf.name).json["path"]) == files


def test_crumbs_of_killed_processes_are_swept_up_and_those_of_live_ones_stay(
    shop: Shop, user: User
) -> None:
    """A kill can come between making a temporary name and renaming it, wherever that happens."""
    home = user.home or Path()
    files = {"config.json": b"{}", "sub/w.bin": repos.noise(50_000, "crumbs")}
    shelf = shop.new(files)
    user.run("pull", shelf.name).done()
    cache, root = shelf.cache(home), shelf.folder(home)
    dead, live = _dead_ones_name(user), temporary_name("config.json")
    places = [root, root / "sub", cache / "trees", cache / "refs", cache / ".holdfast"]
    for folder in places:
        (folder / dead).write_bytes(b"crumb")
        (folder / live).write_bytes(b"in use")
    probe = home / "hub" / _dead_ones_name(user, ".holdfast-probe")
    (probe / "inside").mkdir(parents=True)

    user.run("collect").done()

    assert not probe.exists()
    assert [folder for folder in places if (folder / dead).exists()] == []
    assert [folder for folder in places if not (folder / live).exists()] == []
    assert content_of(root) == files | {live: b"in use", f"sub/{live}": b"in use"}


def test_a_pull_sweeps_up_the_crumbs_of_the_one_that_was_killed(shop: Shop, user: User) -> None:
    home = user.home or Path()
    shelf = shop.new({"config.json": b"{}", "sub/w.bin": repos.noise(50_000, "crumbs")})
    for folder in (shelf.folder(home), shelf.folder(home) / "sub"):
        folder.mkdir(parents=True)
        (folder / _dead_ones_name(user)).write_bytes(b"crumb")
    user.run("pull", shelf.name).done()
    assert leftovers(home) == []


def _dead_ones_name(user: User, stem: str = "config.json") -> str:
    """Return a temporary name of a process that has ended."""
    script = f"from holdfast.places import temporary_name; print(temporary_name({stem!r}))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(user.env), check=True)
    return done.stdout.strip()


def settled(shop: Shop) -> int:
    """Wait until the hub has noticed that its client is gone; return the bytes sent so far."""
    last, since = shop.content_bytes(), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.1)
        if (now := shop.content_bytes()) != last:
            last, since = now, time.monotonic()
    return last


def _length(path: Path) -> int:
    return path.stat().st_size
