"""After "done" a power cut loses nothing; during a pull it leaves the old state or the new one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support import repos
from tests.support.core import Shop, User, content_of, peer
from tests.support.deny import deny_prefix
from tests.support.powercut import PowerCutDisk

pytestmark = [pytest.mark.root, pytest.mark.linux]

FIRST = repos.model(scale=0.05)
SECOND = repos.second_revision(FIRST)
CHANGED = {path: data for path, data in SECOND.items() if FIRST.get(path) != data}
LAYOUTS = {
    "symlink": {},
    "hardlink": {"symlink": "EPERM"},
    "move": {"symlink": "EPERM", "link": "EPERM"},
}


@pytest.mark.usefixtures("seccomp")
def test_what_was_reported_as_done_is_there_after_the_cut(
    shop: Shop, user: User, power_cut: PowerCutDisk
) -> None:
    for layout, denied in LAYOUTS.items():
        shelf = shop.new(FIRST)
        prefix = tuple(deny_prefix(**denied)) if denied else ()
        someone = user.but(home=power_cut.folder / layout, prefix=prefix)
        pulled = someone.run("pull", shelf.name).json
        assert pulled["strategy"] == layout
        with power_cut.after_cut() as found:
            assert_whole(someone, found / layout, shelf.folder(found / layout), shelf.name, FIRST)

        newer = shelf.next(CHANGED)
        someone.run("pull", shelf.name).done()
        with power_cut.after_cut() as found:
            folder = newer.folder(found / layout)
            assert_whole(someone, found / layout, folder, shelf.name, SECOND)


def test_a_chosen_folder_is_there_after_the_cut(
    shop: Shop, user: User, power_cut: PowerCutDisk
) -> None:
    shelf = shop.new(FIRST)
    someone = user.but(home=power_cut.folder / "home")
    someone.run("pull", shelf.name, "--local-dir", power_cut.folder / "chosen").done()
    with power_cut.after_cut() as found:
        assert content_of(found / "chosen") == FIRST
        report = someone.run("verify", "--local-dir", found / "chosen").json
        assert (report["files"], report["bad"]) == (len(FIRST), [])


def test_a_lock_file_is_there_after_the_cut(
    shop: Shop, user: User, power_cut: PowerCutDisk
) -> None:
    shelf = shop.new({"config.json": b"{}"})
    manifest = power_cut.folder / "models.toml"
    manifest.write_text(f'[models.tiny]\nrepo = "{shelf.name}"\n')
    user.run("lock", "--manifest", manifest).done()
    with power_cut.after_cut() as found:
        assert shelf.commit in (found / "models.lock").read_text()


def test_a_cut_in_the_middle_leaves_nothing_half_done_in_sight(
    shop: Shop, user: User, power_cut: PowerCutDisk
) -> None:
    first = shop.new(FIRST)
    someone = user.but(home=power_cut.folder / "home")
    someone.run("pull", first.name)
    replaced = {path: repos.noise(len(data), f"new {path}") for path, data in FIRST.items()}
    second = first.next(replaced)
    shop.hub.set_faults("slow:rate=1M,where=any")
    process = someone.start("pull", first.name)
    states = []
    while process.poll() is None:
        with power_cut.after_cut() as found:
            home = found / "home"
            known = (first.cache(home) / "refs" / "main").read_text()
            whole = {first.commit: FIRST, second.commit: replaced}[known]
            assert content_of(first.folder(home, known)) == whole
            for path, data in content_of(second.folder(home)).items():
                assert data == replaced[path], f"{path} is in sight and not whole"
            states.append(known)
        time.sleep(0.1)
    assert someone.finish(process).code == 0
    assert states[0] == first.commit


def assert_whole(user: User, home: Path, folder: Path, repo: str, files: dict[str, bytes]) -> None:
    survivor = user.but(home=home)
    assert content_of(folder) == files
    report = survivor.run("verify", repo).json
    assert (report["files"], report["bad"]) == (len(files), [])
    offline = survivor.run("--offline", "pull", repo).json
    assert Path(offline["path"]) == folder
    assert peer(survivor, repo) == folder
