"""Taking turns: with locks, with locks that fail, with locks that lie, and with dead owners."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.places import temporary_name
from tests.support import repos
from tests.support.core import Shelf, Shop, User, content_of, disk_used, leftovers
from tests.support.deny import deny_prefix
from tests.support.fusefs import fuse_folder

pytestmark = pytest.mark.linux

FILES = repos.model(scale=0.01)
SIZE = sum(map(len, FILES.values()))
REFUSALS = ["ENOLCK", "ENOSYS", "EOPNOTSUPP", "EINVAL", "EACCES", "EIO", "0"]


def lock_of(shelf: Shelf, home: Path) -> Path:
    return home / "hub" / ".locks" / shelf.repo.folder_name / "holdfast.lock"


@pytest.mark.usefixtures("seccomp")
@pytest.mark.parametrize("answer", REFUSALS)
def test_a_pull_works_and_is_quick_whatever_flock_answers(
    shop: Shop, user: User, answer: str
) -> None:
    shelf = shop.new(FILES)
    hindered = user.but(prefix=tuple(deny_prefix(flock=answer, fcntl_lock=answer)))

    state = hindered.run("where").json
    done = hindered.run("pull", shelf.name)

    assert state["lock"] == ("silent" if answer == "0" else "refused")
    assert "lock" in state["denied"]
    assert done.json["bytes_fetched"] == SIZE
    assert content_of(done.json["path"]) == FILES
    assert done.seconds < 8
    assert leftovers(user.home or Path()) == []


@pytest.mark.parametrize("flock", ["nothing", "block"])
def test_a_pull_works_where_locks_do_nothing_or_never_answer(
    shop: Shop, user: User, tmp_path: Path, flock: str
) -> None:
    shelf = shop.new({"config.json": b"{}", "w.bin": repos.noise(100_000, "w")})
    with fuse_folder(tmp_path, flock=flock) as folder:
        done = user.but(home=folder / "home").run("pull", shelf.name, timeout_s=30)
        assert done.json["bytes_fetched"] == 100_002
        assert done.seconds < 15
        assert leftovers(folder) == []


NO_LINKS = {"symlink": "EPERM", "link": "EPERM"}


@pytest.mark.usefixtures("seccomp")
@pytest.mark.parametrize(
    "denied",
    [
        pytest.param({}, id="links"),
        pytest.param({"flock": "0"}, id="locks-lie"),
        pytest.param(NO_LINKS | {"flock": "ENOLCK"}, id="no-links-no-locks"),
        pytest.param(NO_LINKS, id="no-links", marks=pytest.mark.slow),
        pytest.param(NO_LINKS | {"flock": "0"}, id="no-links-locks-lie", marks=pytest.mark.slow),
    ],
)
def test_sixteen_processes_share_one_download(
    shop: Shop, user: User, denied: dict[str, str]
) -> None:
    shelf = shop.new(FILES)
    crowd = user.but(prefix=tuple(deny_prefix(**denied)) if denied else ())

    running = [crowd.start("pull", shelf.name) for _ in range(16)]
    ended = [crowd.finish(process) for process in running]

    assert [done.code for done in ended] == [0] * 16, [d.err for d in ended if d.code]
    assert {done.json["path"] for done in ended} == {str(shelf.folder(user.home or Path()))}
    assert shop.content_bytes() == sum(done.json["bytes_fetched"] for done in ended) == SIZE
    assert content_of(ended[0].json["path"]) == FILES
    assert disk_used(user.home or Path()) < SIZE + 100_000
    assert leftovers(user.home or Path()) == []
    assert user.run("verify").json["bad"] == []


@pytest.mark.usefixtures("seccomp")
@pytest.mark.parametrize("denied", [{}, NO_LINKS], ids=["links", "no-links"])
def test_processes_that_do_not_wait_for_each_other_still_make_no_wrong_file(
    shop: Shop, user: User, denied: dict[str, str]
) -> None:
    """No waiting at all is what happens when a holder is taken for stuck: work is done twice."""
    shelf = shop.new(FILES)
    shop.hub.set_faults("slow:rate=2M,where=storage")
    crowd = user.but(prefix=tuple(deny_prefix(flock="0", **denied)))
    crowd = crowd.with_env(HOLDFAST_LOCK_STALL_S="0.01")

    running = [crowd.start("pull", shelf.name) for _ in range(6)]
    ended = [crowd.finish(process) for process in running]

    assert [done.code for done in ended] == [0] * 6, [d.err for d in ended if d.code]
    assert content_of(ended[0].json["path"]) == FILES
    assert leftovers(user.home or Path()) == []
    assert user.run("verify").json["bad"] == []


@pytest.mark.usefixtures("seccomp")
def test_the_mark_of_a_killed_owner_is_not_waited_for(shop: Shop, user: User) -> None:
    shelf = shop.new({"w.bin": repos.noise(3_000_000, "killed")})
    shop.hub.set_faults("slow:rate=500k,where=storage")
    hindered = user.but(prefix=tuple(deny_prefix(flock="ENOLCK")))
    marker = Path(f"{lock_of(shelf, user.home or Path())}.owner")
    process = hindered.start("pull", shelf.name)
    await_true(marker.exists)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert marker.exists()

    shop.reset()
    done = hindered.run("pull", shelf.name)

    assert content_of(done.json["path"]) == {"w.bin": repos.noise(3_000_000, "killed")}
    assert done.seconds < 5
    assert leftovers(user.home or Path()) == []


@pytest.mark.usefixtures("seccomp")
@pytest.mark.parametrize("text", [b"", b"\xff\xfe garbage", b"owner"])
def test_an_unreadable_mark_is_broken_once_it_is_old(shop: Shop, user: User, text: bytes) -> None:
    shelf = shop.new({"config.json": b"{}"})
    marker = Path(f"{lock_of(shelf, user.home or Path())}.owner")
    marker.parent.mkdir(parents=True)
    marker.write_bytes(text)
    os.utime(marker, (time.time() - 60, time.time() - 60))
    done = user.but(prefix=tuple(deny_prefix(flock="ENOLCK"))).run("pull", shelf.name)
    assert content_of(done.json["path"]) == {"config.json": b"{}"}
    assert done.seconds < 5
    assert leftovers(user.home or Path()) == []


@pytest.fixture
def holder() -> list[str]:
    """What starts a process that takes a flock and sits on it."""
    script = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); "
        "print('held', flush=True); time.sleep(120)"
    )
    return [sys.executable, "-c", script]


def test_a_live_holder_without_progress_is_not_waited_for_for_ever(
    shop: Shop, user: User, holder: list[str]
) -> None:
    shelf = shop.new({"config.json": b"{}"})
    lock = lock_of(shelf, user.home or Path())
    lock.parent.mkdir(parents=True)
    with subprocess.Popen([*holder, str(lock)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        patient = user.with_env(HOLDFAST_LOCK_STALL_S="1")
        done = patient.run("pull", shelf.name, as_json=False)
        process.kill()
    assert done.code == 0, done.err
    assert content_of(done.out.strip()) == {"config.json": b"{}"}
    assert "made no progress for 1 s" in done.err
    assert 1 <= done.seconds < 6


@pytest.mark.usefixtures("seccomp")
def test_a_live_owners_mark_is_waited_for_and_then_passed(shop: Shop, user: User) -> None:
    shelf = shop.new({"config.json": b"{}"})
    marker = Path(f"{lock_of(shelf, user.home or Path())}.owner")
    marker.parent.mkdir(parents=True)
    marker.write_text(temporary_name("owner"))  # this very process, which is alive
    hindered = user.but(prefix=tuple(deny_prefix(flock="ENOLCK")))
    hindered = hindered.with_env(HOLDFAST_LOCK_STALL_S="1")
    done = hindered.run("pull", shelf.name, as_json=False)
    assert done.code == 0, done.err
    assert "made no progress for 1 s" in done.err
    assert 1 <= done.seconds < 6
    assert marker.exists(), "what is somebody else's is not removed"


def test_a_holder_that_gets_on_is_waited_for(shop: Shop, user: User) -> None:
    """The download takes longer than the stall limit; its progress is what counts."""
    content = repos.noise(4_000_000, "slow")
    shelf = shop.new({"w.bin": content})
    shop.hub.set_faults("slow:rate=1M,where=storage")
    crowd = user.with_env(HOLDFAST_LOCK_STALL_S="2.5")

    running = [crowd.start("pull", shelf.name, as_json=False) for _ in range(2)]
    ended = [crowd.finish(process) for process in running]

    assert [done.code for done in ended] == [0, 0]
    assert shop.content_bytes() == len(content), [done.err for done in ended]
    assert content_of(ended[0].out.strip()) == {"w.bin": content}


def await_true(condition: object, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
