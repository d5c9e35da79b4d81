"""Where the cache cannot be written, there is no home folder, or the whole machine is read-only."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.libraries.conditions import CONDITIONS, Machine, Setting
from tests.libraries.conftest import Models, Pair, pair
from tests.libraries.environment import HOLDFAST
from tests.support.core import Shop

pytestmark = [pytest.mark.libraries, pytest.mark.linux, pytest.mark.root]

PROGRAMS = (
    "hub", "models", "sentences", "speaker_fetch", "speaker_pretrainer", "speaker_classifier",
    "documents", "documents_tool", "rows", "weights",
)  # fmt: skip
# What each ends with, without Holdfast; others end with what is under "".
FAILS: dict[str, dict[str, str]] = {
    "foreign-cache": {
        "": "PermissionError: [13] ",
        "models": "OSError: PermissionError at ",
        "documents_tool": "works",  # it downloads to a folder of its own, in the home folder
    },
    "no-home": {
        "": "RuntimeError: Could not determine home directory.",
        "models": "OSError: Can't load the configuration",
        "weights": "PermissionError: [13] ",
    },
    "home-is-root": {
        "": "PermissionError: [13] [Errno 13] Permission denied: '/.cache",
        "models": "OSError: PermissionError at /.cache",
    },
}


@pytest.fixture(scope="module", params=list(FAILS))
def both(request: pytest.FixtureRequest, new_setting: Callable[[], Setting]) -> Pair:
    """Every program in a condition, without Holdfast and with it."""
    return pair(request.param, PROGRAMS, new_setting)


@pytest.mark.parametrize("program", PROGRAMS)
def test_libraries_fail_without_holdfast(both: Pair, program: str) -> None:
    table = FAILS[both.condition]
    assert both.plain.ended[program].startswith(table.get(program, table[""]))


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_library_works_with_holdfast(both: Pair, program: str) -> None:
    assert both.held.ended[program] == "works", both.held.err


def test_everything_is_on_the_disk_once(both: Pair, tiny: Models) -> None:
    content = sum(tiny.sizes.values())
    assert content < both.held.disk_bytes < 1.02 * content


def test_the_folder_that_cannot_be_written_is_named(new_setting: Callable[[], Setting]) -> None:
    with CONDITIONS["foreign-cache"](new_setting()) as machine:
        err = machine.run(["hub"], holdfast=True).err
    foreign = machine.env["HF_HOME"]
    assert f"HF_HOME cannot hold models: EACCES (Permission denied) at {foreign}" in err


# What needs the network by nature: a table that was never prepared, weights from an address.
BAKED = tuple(name for name in PROGRAMS if name not in {"rows", "weights", "documents_tool"})


@pytest.fixture(scope="module")
def closed(new_setting: Callable[[], Setting]) -> Pair:
    """Every program on a read-only machine without a network, over the models of its image."""
    return pair("closed", BAKED, new_setting)


@pytest.mark.parametrize("program", BAKED)
def test_a_read_only_machine_without_network_works_from_the_models_in_its_image(
    closed: Pair, program: str
) -> None:
    assert closed.plain.ended[program] != "works"
    assert closed.held.ended[program] == "works", closed.held.err


def test_nothing_of_the_image_is_copied(closed: Pair) -> None:
    assert closed.held.disk_bytes < 200_000


def test_a_machine_without_any_folder_to_write_reads_the_models_in_its_image(
    setting: Setting,
) -> None:
    with CONDITIONS["closed-entirely"](setting) as machine:
        plain = machine.run(["hub"], holdfast=False)
        held = machine.run(["hub"], holdfast=True)
    assert plain.ended["hub"] != "works"
    assert held.ended["hub"] == "works", held.err
    assert "none can be added" in held.err


def test_a_model_that_the_image_lacks_is_added_above_it(setting: Setting, shop: Shop) -> None:
    shelf = shop.new({"config.json": b"{}", "model.safetensors": b"0" * 200_000})
    with CONDITIONS["closed-online"](replace(setting, endpoint=shop.url)) as machine:
        layer = machine.env["HOLDFAST_LAYERS"]
        plain = machine.run(["snapshot"], holdfast=False, REPO=shelf.name, HF_HOME=layer)
        held = machine.run(["snapshot"], holdfast=True, REPO=shelf.name)
    assert plain.ended["snapshot"].startswith("OSError: [30] "), "a read-only file system"
    assert held.ended["snapshot"] == "works", held.err
    assert 200_000 < held.disk_bytes < 400_000


TOKENIZER = {
    "tokenizer_config.json": b'{"tokenizer_class": "PreTrainedTokenizerFast"}',
    "config.json": b'{"model_type": "bert"}',
}


def tokenizer_of(word: str) -> dict[str, bytes]:
    text = (
        '{"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, '
        '"post_processor": null, "decoder": null, '
        f'"model": {{"type": "WordLevel", "vocab": {{"{word}": 0}}, "unk_token": "{word}"}}}}'
    )
    return {**TOKENIZER, "tokenizer.json": text.encode()}


@pytest.mark.parametrize("program", ["snapshot", "tokens"])
def test_a_branch_that_moved_is_read_as_it_was_where_nothing_can_be_written(
    setting: Setting, shop: Shop, program: str
) -> None:
    shelf = shop.new(tokenizer_of("older"))
    # Not the libraries' Python: without any temporary folder, torch cannot be imported.
    with CONDITIONS["closed-entirely-online"](replace(setting, endpoint=shop.url)) as found:
        known = {"REPO": shelf.name, "HF_HOME": str(setting.base / "c"), "HOLDFAST_LAYERS": ""}
        known |= {"COMMIT": shelf.commit, "WORD": "older"}
        machine = replace(found, python=Path(sys.executable))
        before = replace(machine, prefix=()).run([program], holdfast=False, **known)
        assert before.ended[program] == "works"
        moved = shelf.next(tokenizer_of("newer"))
        plain = machine.run([program], holdfast=False, **known)
        held = machine.run([program], holdfast=True, **known)

    assert re.search(r"\[Errno 30\]|Read-only", plain.ended[program])
    assert held.ended[program] == "works", held.err
    assert f"main of {shelf.repo.folder_name} has moved to {moved.commit}" in held.err
    assert f"the last complete revision, {shelf.commit}, is used" in held.err


def test_a_branch_that_moved_is_brought_above_a_cache_that_cannot_be_written(
    setting: Setting, shop: Shop
) -> None:
    shelf = shop.new({"config.json": b"{}", "model.safetensors": b"0" * 3_000_000})
    with CONDITIONS["closed-online"](replace(setting, endpoint=shop.url)) as machine:
        known = {"REPO": shelf.name, "HF_HOME": str(setting.base / "c"), "HOLDFAST_LAYERS": ""}
        before = replace(machine, prefix=()).run(["snapshot"], holdfast=False, **known)
        assert before.ended["snapshot"] == "works"
        shelf.next({"config.json": b"{ }"})
        plain = machine.run(["snapshot"], holdfast=False, **known)
        shop.hub.clear_records()
        held = machine.run(["snapshot"], holdfast=True, **known)

    assert plain.ended["snapshot"].startswith("OSError: [30] "), "a read-only file system"
    assert held.ended["snapshot"] == "works", held.err
    assert shop.content_bytes() == len(b"{ }")
    assert held.disk_bytes < 100_000


def offline(machine: Machine) -> Machine:
    return replace(machine, holdfast=(*HOLDFAST[:-1], "--offline", "--"))


def test_offline_no_library_asks_the_network(setting: Setting, tiny: Models) -> None:
    with CONDITIONS["work"](setting) as machine:
        first = machine.run(PROGRAMS, holdfast=True)
        tiny.shop.hub.clear_records()
        second = offline(machine).run(PROGRAMS, holdfast=True)
    assert second.ended == first.ended == dict.fromkeys(PROGRAMS, "works"), second.err
    assert tiny.shop.hub.records() == []
