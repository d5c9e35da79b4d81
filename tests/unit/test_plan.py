"""What a plan decides: pure, so that it can be shown before anything is done."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from holdfast.places import Strategy
from holdfast.provision import Plan, select
from holdfast.provision._plan import Found, Source, make_plan
from holdfast.refs import Digest, FileEntry, parse_ref

COMMIT = "c" * 40
REF = parse_ref("acme/model")


def entry(path: str, size: int, content: str = "") -> FileEntry:
    digest = Digest("sha256", hashlib.sha256((content or path).encode()).hexdigest())
    return FileEntry(path, size, digest, "0" * 40)


def links(source: Source) -> tuple[Strategy, ...]:
    return ("symlink", "hardlink", "copy") if source != "network" else ("symlink", "move")


def no_links(source: Source) -> tuple[Strategy, ...]:
    return ("move",) if source in {"network", "here", "blob"} else ("copy",)


def plan_of(*entries: FileEntry, **options: object) -> Plan:
    given: dict[str, object] = {"found": {}, "resumable": {}, "ways": links, **options}
    return make_plan(REF, COMMIT, Path("/home"), entries, **given)  # type: ignore[arg-type]


def test_what_is_missing_is_fetched_with_one_request_each() -> None:
    plan = plan_of(entry("a", 10_000), entry("b", 1))
    assert (plan.requests, plan.bytes_fetched, plan.bytes_reused) == (2, 10_001, 0)
    assert plan.space_needed >= 12_288 + 4_096
    assert not plan.done


def test_what_is_in_its_place_costs_nothing() -> None:
    files = [entry("a", 10_000), entry("b", 1)]
    found = {f.path: Found("here", Path("/home") / f.path) for f in files}
    plan = plan_of(*files, found=found)
    assert plan.done
    assert (plan.requests, plan.bytes_fetched, plan.space_needed, plan.inodes_needed) == (0,) * 4
    assert plan.bytes_reused == 10_001


@pytest.mark.parametrize("source", ["blob", "revision", "layer", "repository", "folder"])
def test_what_is_elsewhere_takes_space_only_where_it_must_be_copied(source: Source) -> None:
    found = {"a": Found(source, Path("/elsewhere/a"))}
    shared = plan_of(entry("a", 1 << 30), found=found)
    assert shared.bytes_fetched == 0
    assert shared.space_needed < 4 << 20
    copied = plan_of(entry("a", 1 << 30), found=found, ways=no_links)
    assert (copied.space_needed > 1 << 30) == (source != "blob")


def test_content_with_two_names_is_fetched_once() -> None:
    twins = [entry("a", 5_000, "same"), entry("b", 5_000, "same")]
    plan = plan_of(*twins)
    assert (plan.requests, plan.bytes_fetched, plan.bytes_reused) == (1, 5_000, 5_000)
    assert [file.source for file in plan.files] == ["network", "blob"]
    without = plan_of(*twins, ways=no_links)
    assert without.space_needed - plan.space_needed == 8_192


def test_what_was_left_is_counted_as_there() -> None:
    plan = plan_of(entry("a", 1_000_000), resumable={"a": 400_000})
    assert plan.bytes_fetched == 600_000
    assert plan.files[0].resumed == 400_000
    lying = plan_of(entry("a", 1_000_000), resumable={"a": 10**12})
    assert lying.bytes_fetched == 0


def test_a_plan_can_be_printed() -> None:
    plan = plan_of(entry("a", 10), problems=[("b:c", "cannot be stored")])
    data = plan.to_dict()
    assert data["files"][0]["digest"] == str(entry("a", 10).digest)
    assert data["problems"] == [{"path": "b:c", "why": "cannot be stored"}]


@pytest.mark.parametrize(
    ("include", "exclude", "chosen"),
    [
        ([], [], ["a.bin", "b.txt", "sub/c.bin", "sub/deep/d.txt"]),
        (["*.bin"], [], ["a.bin", "sub/c.bin"]),
        (["sub/"], [], ["sub/c.bin", "sub/deep/d.txt"]),
        (["*"], ["sub/"], ["a.bin", "b.txt"]),
        (["a.bin", "b.*"], ["*.txt"], ["a.bin"]),
        (["A.BIN"], [], []),
        ([], ["*"], []),
    ],
)
def test_patterns_choose_files(include: list[str], exclude: list[str], chosen: list[str]) -> None:
    files = [entry(path, 1) for path in ("a.bin", "b.txt", "sub/c.bin", "sub/deep/d.txt")]
    assert [file.path for file in select(files, include, exclude)] == chosen
