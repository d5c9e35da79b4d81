"""Where links are refused: by the kernel, as Windows does it, or by a file system without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.libraries.conditions import CONDITIONS, Setting
from tests.libraries.conftest import Models, Pair, pair
from tests.support import repos
from tests.support.core import Shop

pytestmark = [pytest.mark.libraries, pytest.mark.linux]

# SpeechBrain links into the folder that its user names; the others cope, at a cost (see below).
LINKING = ("speaker_fetch", "speaker_pretrainer", "speaker_classifier")
COPING = ("hub", "models", "sentences", "documents", "documents_tool", "rows", "weights")
PROGRAMS = (*LINKING, *COPING)
# What SpeechBrain ends with, without Holdfast.
REFUSALS = {
    "symlinks-EPERM": "PermissionError: [1] ",
    "symlinks-ENOSYS": "OSError: [38] ",
    "all-links-EPERM": "PermissionError: [1] ",
    "exfat": "OSError: [38] ",
}
HARD_LINKS = ("symlinks-EPERM", "symlinks-ENOSYS")


def marked(name: str) -> object:
    return pytest.param(name, marks=[pytest.mark.root] if name == "exfat" else [])


@pytest.fixture(scope="module", params=[marked(name) for name in REFUSALS])
def both(request: pytest.FixtureRequest, new_setting: Callable[[], Setting]) -> Pair:
    """Every program in a condition, without Holdfast and with it."""
    return pair(request.param, PROGRAMS, new_setting)


@pytest.mark.parametrize("program", LINKING)
def test_speechbrain_fails_without_holdfast(both: Pair, program: str) -> None:
    assert both.plain.ended[program].startswith(REFUSALS[both.condition])


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_library_works_with_holdfast(both: Pair, program: str) -> None:
    assert both.held.ended[program] == "works", both.held.err


def test_nothing_is_on_the_disk_twice_where_one_kind_of_link_works(
    both: Pair, tiny: Models
) -> None:
    content = sum(tiny.sizes.values())
    if both.condition in HARD_LINKS:
        assert content < both.held.disk_bytes < 1.02 * content
        assert "is a copy of" not in both.held.err
    else:
        # Nothing but copies exists here, of what SpeechBrain was told to put into a folder.
        extra = 2 * tiny.sizes["acme/spkrec-tiny"] + tiny.sizes["acme/linear-tiny"]
        assert content < both.held.disk_bytes < 1.1 * content + extra
        assert "embedding_model.ckpt (2025945 bytes): no kind of link works here" in both.held.err


@pytest.fixture
def here(setting: Setting, shop: Shop) -> Setting:
    """What machines are made from, with a hub that this test has to itself."""
    return replace(setting, endpoint=shop.url)


@pytest.fixture
def twice(here: Setting) -> tuple[Setting, Setting]:
    """Two machines' folders: for the program as it is, and with Holdfast."""
    settings = tuple(replace(here, base=here.base / name) for name in ("plain", "held"))
    for one in settings:
        one.base.mkdir()
    return settings[0], settings[1]


def test_83_mb_stay_83_mb_in_the_folder_of_the_users_choice(
    shop: Shop, twice: tuple[Setting, Setting]
) -> None:
    files = repos.voiceprint()
    shelf = shop.new(files)
    content = sum(map(len, files.values()))
    with CONDITIONS["symlinks-EPERM"](twice[0]) as machine:
        copied = machine.run(["voiceprint"], holdfast=False, REPO=shelf.name, STRATEGY="COPY")
    shop.hub.clear_records()
    with CONDITIONS["symlinks-EPERM"](twice[1]) as machine:
        held = machine.run(["voiceprint"], holdfast=True, REPO=shelf.name)
        saved = Path(machine.env["SAVEDIR"])

    assert copied.ended == held.ended == {"voiceprint": "works"}
    assert copied.disk_bytes > 1.99 * content, "the strategy that works everywhere costs it twice"
    assert content <= held.disk_bytes < 1.01 * content
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == files
    assert shop.content_bytes() == content


def test_a_second_revision_fetches_only_what_changed(
    shop: Shop, twice: tuple[Setting, Setting]
) -> None:
    first = repos.model(scale=0.1)
    second = repos.second_revision(first)
    changed = {path: data for path, data in second.items() if first.get(path) != data}
    fetched, disk = [], []
    for setting, holdfast in zip(twice, (False, True), strict=True):
        shelf = shop.new(first)
        with CONDITIONS["symlinks-EPERM"](setting) as machine:
            machine.run(["snapshot"], holdfast=holdfast, REPO=shelf.name)
            shelf.next(changed)
            shop.hub.clear_records()
            ended = machine.run(["snapshot"], holdfast=holdfast, REPO=shelf.name)
        assert ended.ended == {"snapshot": "works"}
        fetched.append(shop.content_bytes())
        disk.append(ended.disk_bytes)

    content, difference = sum(map(len, second.values())), sum(map(len, changed.values()))
    assert fetched == [content, difference]
    assert disk[0] > 1.9 * content
    assert disk[1] < 1.01 * content + difference + 100_000


@pytest.mark.parametrize("links", ["work", "symlinks-EPERM"])
def test_eight_processes_link_the_same_files_at_once(
    shop: Shop, twice: tuple[Setting, Setting], links: str
) -> None:
    files = {f"part-{number:02}.json": repos.noise(2000, f"race {number}") for number in range(30)}
    shelf = shop.new({**files, "model.ckpt": repos.noise(3_000_000, "race")})
    with CONDITIONS[links](twice[0]) as machine:
        plain = machine.run(["race"], holdfast=False, REPO=shelf.name)
    with CONDITIONS[links](twice[1]) as machine:
        held = machine.run(["race"], holdfast=True, REPO=shelf.name)
        saved = Path(machine.env["SAVEDIR"])

    if links == "work":  # without Holdfast the race is lost often, not always
        assert plain.ended["race"] == "works" or "FileExistsError: [Errno 17]" in plain.err
    else:
        assert "8 of 8 failed" in plain.ended["race"]
        assert "PermissionError: [Errno 1]" in plain.err
    assert held.ended == {"race": "works"}, held.err
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == files
