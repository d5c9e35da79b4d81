"""A home is found by trying: for users without a name, on closed disks, and never open to all."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import repos
from tests.support.core import (
    CLOSED_MACHINE,
    Ran,
    Shelf,
    Shop,
    User,
    content_of,
    leftovers,
    stamps,
)
from tests.support.filesystems import needs_root
from tests.support.users import Stranger

pytestmark = pytest.mark.linux

FILES = repos.voiceprint(scale=0.002)


def run_as(stranger: Stranger, shop: Shop, *words: str | Path, **options: object) -> Ran:
    arguments = ["-m", "holdfast", "--endpoint", shop.url, *words, "--json"]
    done = stranger.run(*arguments, **options)  # type: ignore[arg-type]
    return Ran(done.returncode, done.stdout, done.stderr, 0.0)


@pytest.fixture
def nobody(stranger: Stranger) -> Iterator[Stranger]:
    """The stranger, with an empty folder of their own that is the only place they can write to."""
    shutil.rmtree(stranger.folder)
    stranger.folder.mkdir()
    os.chown(stranger.folder, stranger.uid, stranger.gid)
    yield stranger
    shutil.rmtree(f"/tmp/holdfast-{stranger.uid}", ignore_errors=True)


@pytest.fixture
def shelf(shop: Shop) -> Shelf:
    return shop.new(FILES)


@pytest.mark.root
@pytest.mark.parametrize("home", [None, "/", "/root", "/nonexistent"])
def test_a_user_without_a_name_or_home_gets_a_working_home(
    shop: Shop, shelf: Shelf, nobody: Stranger, home: str | None
) -> None:
    pulled = run_as(nobody, shop, "pull", shelf.name, home=home).json
    assert content_of(pulled["path"]) == FILES
    assert Path(pulled["path"]).is_relative_to(nobody.folder / ".holdfast")
    again = run_as(nobody, shop, "--offline", "pull", shelf.name, home=home).json
    assert again["path"] == pulled["path"]


@pytest.mark.root
def test_the_temporary_folder_is_the_last_resort_and_private(
    shop: Shop, shelf: Shelf, nobody: Stranger
) -> None:
    pulled = run_as(nobody, shop, "pull", shelf.name, cwd=Path("/")).json
    home = Path(f"/tmp/holdfast-{nobody.uid}")
    assert Path(pulled["path"]).is_relative_to(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert home.stat().st_uid == nobody.uid
    assert run_as(nobody, shop, "pull", shelf.pinned, cwd=Path("/")).json["bytes_fetched"] == 0


@pytest.mark.root
@pytest.mark.parametrize("trap", ["another-owner", "open-to-all", "symbolic-link"])
def test_a_temporary_home_that_others_could_prepare_is_refused(
    shop: Shop, shelf: Shelf, nobody: Stranger, trap: str
) -> None:
    prepared = Path(f"/tmp/holdfast-{nobody.uid}")
    elsewhere = nobody.folder / "elsewhere"
    elsewhere.mkdir(mode=0o777)
    if trap == "symbolic-link":
        prepared.symlink_to(elsewhere)
    else:
        prepared.mkdir()
        prepared.chmod(0o777)
        if trap == "open-to-all":
            os.chown(prepared, nobody.uid, 0)
    try:
        done = run_as(nobody, shop, "pull", shelf.name, cwd=Path("/"))
        assert (done.code, done.error["code"]) == (3, "no-usable-home")
        reason = done.error["facts"]["candidates"][-1]["why"]
        expected = {
            "another-owner": "belongs to user id 0",
            "open-to-all": "writable by others",
            "symbolic-link": "not a real folder",
        }
        assert expected[trap] in reason
        assert list(prepared.iterdir()) == []
        assert shop.content_bytes() == 0
    finally:
        if prepared.is_symlink():
            prepared.unlink()


@pytest.mark.root
def test_a_named_home_that_is_refused_is_said_aloud_and_another_is_used(
    shop: Shop, nobody: Stranger
) -> None:
    for name, value in (("HOLDFAST_HOME", "/root/models"), ("HF_HOME", "/proc/models")):
        done = run_as(nobody, shop, "pull", shop.new(FILES).name, env={name: value})
        assert content_of(done.json["path"]) == FILES
        assert f"warning: {name} cannot hold models: " in done.err
    where = run_as(nobody, shop, "where", env={"HOLDFAST_HOME": "/root/models"}).json
    assert where["home"] == str(nobody.folder / ".holdfast")
    verdicts = {entry["source"]: entry["verdict"] for entry in where["considered"]}
    assert "EACCES" in verdicts["HOLDFAST_HOME"]
    assert list(verdicts) == [
        "HOLDFAST_HOME", "persistent volume", "user cache", "application folder",
    ]  # fmt: skip


@pytest.mark.root
def test_a_complete_model_in_somebody_elses_home_is_used_as_it_is(
    shop: Shop, shelf: Shelf, user: User, nobody: Stranger, tmp_path: Path
) -> None:
    public = Path(shutil.copytree(tmp_path / "user", nobody.folder.parent / "public"))
    user.but(home=public).run("pull", shelf.name).done()
    before = stamps(public)
    shop.reset()

    done = run_as(nobody, shop, "pull", shelf.name, env={"HOLDFAST_HOME": str(public)})

    assert Path(done.json["path"]) == shelf.folder(public)
    assert done.json["bytes_fetched"] == shop.content_bytes() == 0
    assert stamps(public) == before
    newer = shelf.next({"config.json": b'{"new": true}'})
    moved = run_as(nobody, shop, "pull", shelf.name, env={"HOLDFAST_HOME": str(public)}).json
    assert moved["bytes_fetched"] == shop.content_bytes() == len(b'{"new": true}')
    assert content_of(moved["path"]) == FILES | {"config.json": b'{"new": true}'}
    assert newer.commit in moved["path"]
    assert stamps(public) == before
    shutil.rmtree(public)


@pytest.mark.root
def test_a_closed_machine_gives_one_error_that_lists_every_place(
    shop: Shop, shelf: Shelf, user: User
) -> None:
    needs_root("unshare", package="util-linux", device="")
    closed = user.but(home=Path("/srv/models"), prefix=CLOSED_MACHINE)
    done = closed.with_env(HF_HOME="/opt/hf").run("pull", shelf.name)
    assert (done.code, done.error["code"]) == (3, "no-usable-home")
    sources = [item["source"] for item in done.error["facts"]["candidates"]]
    assert sources == [
        "setting --home", "HF_HOME", "persistent volume", "user cache", "application folder",
        "temporary folder",
    ]  # fmt: skip
    for item in done.error["facts"]["candidates"]:
        assert item["source"] in done.error["why"]
        assert item["why"]
    assert "EROFS" in done.error["why"]
    assert shop.content_bytes() == 0


@pytest.mark.parametrize("name", ["a-file", "below-a-file"])
def test_a_home_that_is_a_file_is_refused_with_the_reason(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path, name: str
) -> None:
    (tmp_path / "a-file").write_text("hello")
    home = tmp_path / "a-file" / "home" if name == "below-a-file" else tmp_path / "a-file"
    done = user.but(home=home).run("pull", shelf.name)
    assert Path(done.json["path"]).is_relative_to(tmp_path / "user" / ".cache")
    assert "--home cannot hold models" in done.err
    assert (tmp_path / "a-file").read_text() == "hello"


def test_the_search_leaves_nothing_behind(shop: Shop, user: User, tmp_path: Path) -> None:
    before = stamps(tmp_path)
    user.but(home=tmp_path / "very" / "deep" / "home").run("where").done()
    user.run("plan", shop.new(FILES).name).done()
    assert stamps(tmp_path).keys() == before.keys()
    (tmp_path / "home").mkdir()
    user.run("where").done()
    user.run("doctor")
    assert list((tmp_path / "home").iterdir()) == []


def with_umask(user: User, mask: str) -> User:
    return user.but(prefix=("sh", "-c", f'umask {mask}; exec "$@"', "sh"))


def modes_below(folder: Path) -> dict[str, int]:
    found = {str(folder): stat.S_IMODE(folder.stat().st_mode)}
    for path in folder.rglob("*"):
        if not path.is_symlink():
            found[str(path)] = stat.S_IMODE(path.lstat().st_mode)
    return found


@pytest.mark.parametrize("denied", [False, True], ids=["links", "no-links"])
def test_nothing_is_ever_open_to_all_even_without_a_umask(
    shop: Shop, user: User, tmp_path: Path, denied: bool
) -> None:
    from tests.support.deny import deny_prefix

    first = shop.new(FILES)
    someone = with_umask(user, "0")
    if denied:
        words = deny_prefix(symlink="EPERM", link="EPERM", flock="ENOLCK")
        someone = someone.but(prefix=(*someone.prefix, *words))
    someone.run("pull", first.name).done()
    first.next({"config.json": b"[]"})
    someone.run("pull", first.name).done()
    someone.run("pull", first.name, "--local-dir", tmp_path / "chosen").done()
    someone.run("verify").done()
    someone.run("collect", "--old-revisions").done()
    for folder in (tmp_path / "home", tmp_path / "chosen"):
        open_ones = {p: oct(m) for p, m in modes_below(folder).items() if m & 0o022}
        assert open_ones == {}


def test_a_shared_home_is_open_to_its_group_whatever_the_umask(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    first = shop.new(FILES)
    someone = with_umask(user, "077").with_env(HOLDFAST_SHARED="1")
    someone.run("pull", first.name).done()
    first.next({"config.json": b"[]"})
    someone.run("pull", first.name).done()
    someone.run("pull", first.name, "--local-dir", tmp_path / "chosen").done()
    someone.run("verify").done()
    for folder in (tmp_path / "home", tmp_path / "chosen"):
        for name, mode in modes_below(folder).items():
            wanted = 0o2770 if Path(name).is_dir() else 0o660
            assert mode & wanted == wanted, f"{name} is {oct(mode)}"
            assert not mode & 0o002, f"{name} is {oct(mode)}"


@pytest.mark.root
def test_two_users_of_one_group_share_a_home(shop: Shop, nobody: Stranger) -> None:
    shared = nobody.folder / "shared"
    shared.mkdir()
    os.chown(shared, nobody.uid, 0)
    shared.chmod(0o2775)
    env = {"HOLDFAST_HOME": str(shared / "home"), "HOLDFAST_SHARED": "1"}
    friend = replace(nobody, uid=nobody.uid + 1)
    first = shop.new(FILES)
    run_as(nobody, shop, "pull", first.name, env=env).done()
    second = first.next({"config.json": b"[]"})

    done = run_as(friend, shop, "pull", first.name, env=env)

    assert Path(done.json["path"]) == second.folder(shared / "home")
    assert content_of(done.json["path"]) == FILES | {"config.json": b"[]"}
    assert done.err.count("lock") == 0
    back = run_as(nobody, shop, "verify", env=env)
    assert back.json["bad"] == []
    assert leftovers(shared) == []


def test_doctor_names_what_will_break_and_the_cure(shop: Shop, user: User, tmp_path: Path) -> None:
    healthy = user.run("doctor")
    assert healthy.code == 0
    assert healthy.found["healthy"]
    assert {f["severity"] for f in healthy.found["findings"]} <= {"ok", "info", "warning"}

    broken = user.with_env(HOLDFAST_LAYERS=str(tmp_path / "gone"), HOLDFAST_TYPO="1").run("doctor")
    assert broken.code == 1
    gravest = broken.found["findings"][0]
    assert (gravest["check"], gravest["severity"]) == ("layers", "error")
    assert gravest["cure"]
    assert any("HOLDFAST_TYPO" in f["message"] for f in broken.found["findings"])

    alone = user.but(endpoint="http://127.0.0.1:9").run("doctor")
    network = [f for f in alone.found["findings"] if f["check"] == "network"]
    assert network[0]["severity"] == "warning"
    assert user.but(endpoint="http://127.0.0.1:9").run("--offline", "doctor").code == 0


def test_python_is_found_where_the_interpreter_is_hidden(shop: Shop, user: User) -> None:
    """An embedded interpreter has no program to start a second process with."""
    shelf = shop.new({"config.json": b"{}"})
    script = (
        "import sys; program = sys.executable; sys.executable = ''; "
        "from holdfast.cli.main import entry; entry()"
    )
    command = user.command("pull", shelf.name, program=("-c", script))
    done = subprocess.run(command, capture_output=True, text=True, env=dict(user.env), check=False)
    assert done.returncode == 0, done.stderr
    assert content_of(done.stdout.strip()) == {"config.json": b"{}"}
