"""Read-only layers below a writable home: used where they lie, added to where they fall short."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import repos
from tests.support.core import (
    CLOSED_MACHINE,
    Shelf,
    Shop,
    User,
    content_of,
    disk_used,
    leftovers,
    peer,
    stamps,
)
from tests.support.deny import deny_prefix
from tests.support.filesystems import needs_root, readonly_bind, squashfs

pytestmark = pytest.mark.linux

FILES = repos.model(scale=0.01)
SECOND = repos.second_revision(FILES)
CHANGED = {path: data for path, data in SECOND.items() if FILES.get(path) != data}
CHANGED_SIZE = sum(map(len, CHANGED.values()))
ONE = "model-00003-of-00008.safetensors"


@pytest.fixture
def shelf(shop: Shop) -> Shelf:
    return shop.new(FILES)


@pytest.fixture(params=["bind", "squashfs", "folder"])
def layer(
    request: pytest.FixtureRequest, shop: Shop, shelf: Shelf, user: User, tmp_path: Path
) -> Iterator[Path]:
    """A home that holds the model, as an image or a shared volume brings it."""
    made = tmp_path / "made"
    user.but(home=made).run("pull", shelf.name).done()
    shop.hub.clear_records()
    with ExitStack() as stack:
        if request.param == "squashfs":
            yield stack.enter_context(squashfs(tmp_path, made))
        elif request.param == "bind":
            yield stack.enter_context(readonly_bind(made))
        else:  # anybody may write to it, and still nobody does
            yield made


def over(user: User, *layers: Path) -> User:
    return user.with_env(HOLDFAST_LAYERS=os.pathsep.join(map(str, layers)))


@pytest.mark.root
@pytest.mark.parametrize("how", ["branch", "commit", "offline", "silent"])
def test_a_complete_model_is_used_from_its_layer_without_a_copy_or_a_write(
    shop: Shop, shelf: Shelf, user: User, layer: Path, how: str
) -> None:
    before = stamps(layer)
    someone = over(user, layer)
    assert someone.run("verify").json["bad"] == []
    if how == "silent":
        shop.hub.set_faults("silence")
    words = ["--offline"] if how == "offline" else []

    done = someone.run(*words, "pull", shelf.pinned if how == "commit" else shelf.name)

    assert Path(done.json["path"]) == shelf.folder(layer)
    assert content_of(done.json["path"]) == FILES
    assert done.json["bytes_fetched"] == shop.content_bytes() == 0
    assert done.json["stale"] == (how in {"offline", "silent"})
    assert stamps(layer) == before
    assert not (user.home or Path()).exists()
    if how in {"commit", "offline"}:
        assert shop.requests() == []


@pytest.mark.root
@pytest.mark.parametrize("links", [True, False], ids=["links", "no-links"])
def test_a_newer_revision_over_a_layer_fetches_only_what_changed(
    shop: Shop, shelf: Shelf, user: User, layer: Path, links: bool
) -> None:
    home = user.home or Path()
    before = stamps(layer)
    second = shelf.next(CHANGED)
    someone = over(user, layer)
    if not links:
        someone = someone.but(prefix=tuple(deny_prefix(symlink="EPERM", link="EPERM")))

    done = someone.run("pull", shelf.name)

    assert Path(done.json["path"]) == second.folder(home)
    assert done.json["bytes_fetched"] == shop.content_bytes() == CHANGED_SIZE
    assert content_of(done.json["path"]) == SECOND
    assert stamps(layer) == before
    assert leftovers(home) == []
    if links:
        assert disk_used(home) < CHANGED_SIZE + 60_000
    else:
        assert "were copied" in done.err, "a copy is said aloud"
    assert content_of(peer(someone, second.name)) == SECOND
    assert someone.run("verify").json["bad"] == []
    shop.reset()
    assert content_of(someone.run("--offline", "pull", shelf.name).json["path"]) == SECOND


@pytest.mark.root
def test_what_a_partial_layer_lacks_is_fetched(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    some = ["--include", "*.safetensors"]
    user.but(home=made).run("pull", shelf.name, *some).done()
    lacking = {p: d for p, d in FILES.items() if not p.endswith(".safetensors")}
    shop.reset()
    with readonly_bind(made) as layer:
        before = stamps(layer)
        someone = over(user, layer)
        assert Path(someone.run("pull", shelf.name, *some).json["path"]) == shelf.folder(layer)
        done = someone.run("pull", shelf.name).json
        assert done["bytes_fetched"] == shop.content_bytes() == sum(map(len, lacking.values()))
        assert content_of(done["path"]) == FILES
        assert stamps(layer) == before


def damage(shelf: Shelf, layer: Path, *, keep_time: bool) -> None:
    path = (shelf.folder(layer) / ONE).resolve()
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)[0]
        file.seek(1000)
        file.write(bytes([byte ^ 4]))
    if keep_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.root
def test_a_changed_file_in_a_layer_is_noticed_and_only_that_is_fetched(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    user.but(home=made).run("pull", shelf.name).done()
    damage(shelf, made, keep_time=False)
    shop.reset()
    with readonly_bind(made) as layer:
        done = over(user, layer).run("pull", shelf.name).json
        assert done["bytes_fetched"] == shop.content_bytes() == len(FILES[ONE])
        assert Path(done["path"]) == shelf.folder(user.home or Path())
        assert content_of(done["path"]) == FILES


@pytest.mark.root
def test_a_flipped_bit_in_a_layer_is_found_and_mended_on_top_of_it(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    user.but(home=made).run("pull", shelf.name).done()
    damage(shelf, made, keep_time=True)
    shop.reset()
    with readonly_bind(made) as layer:
        before = stamps(layer)
        someone = over(user, layer)
        found = someone.run("--offline", "verify")
        assert found.code == 6
        assert [bad["file"] for bad in found.found["bad"]] == [ONE]
        assert shop.requests() == []

        mended = someone.run("repair").json
        assert mended["bad"] == []
        assert shop.content_bytes() == len(FILES[ONE])
        done = someone.run("pull", shelf.name).json
        assert Path(done["path"]) == shelf.folder(user.home or Path())
        assert content_of(done["path"]) == FILES
        assert someone.run("verify").json["bad"] == []
        assert stamps(layer) == before


@pytest.mark.root
def test_the_upper_of_two_layers_wins(shop: Shop, shelf: Shelf, user: User, tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    for home in (upper, lower):
        user.but(home=home).run("pull", shelf.name).done()
    with readonly_bind(upper), readonly_bind(lower):
        done = over(user, upper, lower).run("--offline", "pull", shelf.name).json
        assert Path(done["path"]) == shelf.folder(upper)
        other = shop.new({"config.json": b"only in the home"})
        here = over(user, upper, lower).run("pull", other.name).json
        assert Path(here["path"]) == other.folder(user.home or Path())


@pytest.mark.root
@pytest.mark.parametrize("links", [True, False], ids=["links", "no-links"])
def test_a_layer_that_another_tool_made_is_used(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path, links: bool
) -> None:
    hub = tmp_path / "hub"
    prefix = () if links else deny_prefix(symlink="EPERM", link="EPERM")
    peer(user, shelf.name, online=True, hub=hub, prefix=prefix)
    shop.reset()
    with readonly_bind(hub) as layer:
        before = stamps(layer)
        done = over(user, layer).run("pull", shelf.name).json
        assert Path(done["path"]) == layer / shelf.repo.folder_name / "snapshots" / shelf.commit
        assert content_of(done["path"]) == FILES
        assert shop.content_bytes() == 0
        assert stamps(layer) == before


@pytest.mark.root
def test_on_a_closed_machine_the_older_complete_revision_is_served_and_said(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path
) -> None:
    needs_root("unshare", package="util-linux", device="")
    home = user.home or Path()
    user.run("pull", shelf.name).done()
    second = shelf.next(CHANGED)
    before = stamps(home)
    shop.reset()

    done = user.but(prefix=CLOSED_MACHINE).run("pull", shelf.name)

    assert Path(done.json["path"]) == shelf.folder(home)
    assert done.json["commit"] == shelf.commit
    assert done.json["stale"]
    assert content_of(done.json["path"]) == FILES
    assert f"has moved to {second.commit}" in done.err
    assert shop.content_bytes() == 0
    assert stamps(home) == before

    wanted = user.but(prefix=CLOSED_MACHINE).run("pull", second.pinned)
    assert wanted.code == 3, "a commit that was asked for by name is not replaced by another"


@pytest.mark.root
def test_a_closed_machine_with_a_layer_needs_no_home(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path
) -> None:
    needs_root("unshare", package="util-linux", device="")
    made = tmp_path / "image"
    user.but(home=made).run("pull", shelf.name).done()
    shutil.rmtree(tmp_path / "home", ignore_errors=True)
    closed = over(user, made).but(prefix=CLOSED_MACHINE, home=None)
    assert Path(closed.run("pull", shelf.pinned).json["path"]) == shelf.folder(made)
    assert closed.run("verify").json["bad"] == []
    assert closed.run("ls").json["models"][0]["complete"]
