"""The mirror's rules: ranges, routes, pages, git's names."""

from __future__ import annotations

import string
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import ReferenceInvalid
from holdfast.mirror._answers import listing, page_of
from holdfast.mirror._objects import Commit, Entry, check_file_path, git_blob_id, is_lfs, tree_ids
from holdfast.mirror._ranges import RangeUnsatisfiableError, Span, requested_span
from holdfast.mirror._routes import Route, parse_path
from holdfast.refs import RepoRef

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
PATHS = st.lists(
    NAMES.filter(lambda name: name not in {".", "..", ".git"}), min_size=1, max_size=4
).map("/".join)


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        ("bytes=0-0", 10, Span(0, 1)),
        ("bytes=0-", 10, Span(0, 10)),
        ("bytes=9-9", 10, Span(9, 10)),
        ("bytes=3-100", 10, Span(3, 10)),
        ("bytes=-3", 10, Span(7, 10)),
        ("bytes=-100", 10, Span(0, 10)),
        ("Bytes=1-2", 10, Span(1, 3)),
        ("bytes=5-4", 10, None),
        ("bytes=-", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=0-1,3-4", 10, None),
        ("items=0-1", 10, None),
        ("bytes=0x0-1", 10, None),
        ("", 10, None),
        (None, 10, None),
    ],
)
def test_a_range_header_is_read_as_rfc_9110_says(
    header: str | None, size: int, expected: Span | None
) -> None:
    assert requested_span(header, size) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999-"])
def test_a_range_without_a_byte_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(RangeUnsatisfiableError):
        requested_span(header, 10)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_an_empty_file_has_no_range(header: str) -> None:
    with pytest.raises(RangeUnsatisfiableError):
        requested_span(header, 0)


@given(
    header=st.text(max_size=40) | st.from_regex(r"bytes=\d{0,25}-\d{0,25}"),
    size=st.integers(0, 2**62),
)
def test_any_range_lies_within_the_content(header: str, size: int) -> None:
    try:
        span = requested_span(header, size)
    except RangeUnsatisfiableError:
        return
    assert span is None or 0 <= span.start < span.stop <= size


REPO = RepoRef("owner/name")
ONE = RepoRef("name")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/models/owner/name", Route("info", REPO)),
        ("/api/models/name", Route("info", ONE)),
        ("/api/models/owner/name/revision/v1", Route("info", REPO, "v1")),
        ("/api/models/owner/name/tree/main", Route("tree", REPO)),
        ("/api/models/owner/name/tree/main/a/b%20c", Route("tree", REPO, "main", "a/b c")),
        ("/api/models/name/tree/main/a", Route("tree", ONE, "main", "a")),
        ("/api/datasets/owner/name/refs", Route("refs", RepoRef("owner/name", "dataset"))),
        ("/api/spaces/name/refs", Route("refs", RepoRef("name", "space"))),
        ("/api/models/owner/name/commits/refs%2Fpr%2F1", Route("commits", REPO, "refs/pr/1")),
        ("/api/models/owner/name/paths-info/main", Route("paths-info", REPO)),
        ("/api/whoami-v2", Route("whoami")),
        ("/owner/name/resolve/main/a/b", Route("resolve", REPO, "main", "a/b")),
        ("/name/resolve/refs%2Fpr%2F1/a", Route("resolve", ONE, "refs/pr/1", "a")),
        ("/name/resolve/refs/pr/1/a", Route("resolve", ONE, "refs/pr/1", "a")),
        (
            "/datasets/owner/name/resolve/main/x",
            Route("resolve", RepoRef("owner/name", "dataset"), "main", "x"),
        ),
        (
            "/spaces/name/resolve/main/x%2Fy",
            Route("resolve", RepoRef("name", "space"), "main", "x/y"),
        ),
    ],
)
def test_a_path_is_read_as_clients_write_it(path: str, expected: Route) -> None:
    readings = [(r.action, r.repo, r.revision, r.path) for r in parse_path(path)]
    assert (expected.action, expected.repo, expected.revision, expected.path) in readings


def test_a_path_with_two_readings_gives_both() -> None:
    readings = parse_path("/api/models/a/tree/tree/main")
    assert [(r.repo, r.revision, r.path) for r in readings] == [
        (RepoRef("a/tree"), "main", ""),
        (RepoRef("a"), "tree", "main"),
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/favicon.ico",
        "/api",
        "/api/models",
        "/api/kernels/owner/name",
        "/api/models/../x/tree/main",
        "/api/models/a%2Fb/tree/main",
        "/owner/name/resolve/main",
        "/owner/name/blob/main/x",
        "/owner/name/resolve/main/%ff",
        "/datasets/",
    ],
)
def test_other_paths_are_no_route(path: str) -> None:
    assert parse_path(path) == []


@given(st.text(max_size=80))
def test_no_path_breaks_the_reading(path: str) -> None:
    for route in parse_path("/" + path):
        assert route.action == "whoami" or route.repo is not None


@given(PATHS)
def test_any_file_name_survives_the_way_through_a_path(name: str) -> None:
    readings = parse_path(f"/owner/name/resolve/main/{quote(name)}")
    assert name.rstrip("/") in [route.path for route in readings]


@given(st.lists(st.integers(), max_size=50), st.integers(1, 12))
def test_pages_hold_everything_once(items: list[int], limit: int) -> None:
    found: list[int] = []
    cursor: str | None = None
    while True:
        page, cursor = page_of(items, cursor, limit)
        found += page
        if cursor is None:
            break
    assert found == items


@given(st.text(alphabet=string.printable, max_size=20))
def test_a_foreign_cursor_does_no_harm(cursor: str) -> None:
    page, _ = page_of([1, 2, 3], cursor, 2)
    assert len(page) <= 2


def entries_of(files: dict[str, bytes]) -> dict[str, Entry]:
    return {path: Entry(path, len(data), git_blob_id(data)) for path, data in files.items()}


def test_folders_are_listed_one_level_or_all() -> None:
    files = entries_of({"a": b"", "b/c": b"", "b/d/e": b"", "bb/f": b""})
    commit = Commit("0" * 40, files, None, "t", "a", "d")
    assert listing(commit, "", recursive=False) == ["a", "b", "bb"]
    assert listing(commit, "b", recursive=False) == ["b/c", "b/d"]
    assert listing(commit, "", recursive=True) == ["a", "b", "b/c", "b/d", "b/d/e", "bb", "bb/f"]


def test_a_name_cannot_be_a_file_and_a_folder() -> None:
    for names in (["a", "a/b"], ["a/b", "a"]):
        with pytest.raises(ReferenceInvalid):
            tree_ids([Entry(name, 0, "0" * 40) for name in names])


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "../a", "a/../b", ".git/x", "a\0", "./a"])
def test_a_path_that_leaves_the_repository_is_refused(path: str) -> None:
    with pytest.raises(ReferenceInvalid):
        check_file_path(path)


@settings(max_examples=15, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[a-c.\-]{1,3}(/[a-c.]{1,2}){0,2}", fullmatch=True),
        st.binary(max_size=9),
        min_size=1,
        max_size=8,
    )
)
def test_trees_are_named_as_git_names_them(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("git")
    sound: dict[str, bytes] = {}
    for path, data in files.items():
        try:
            check_file_path(path)
            tree_ids(entries_of(sound | {path: data}).values())
        except ReferenceInvalid:
            continue
        sound[path] = data
    for path, data in sound.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)

    assert tree_ids(entries_of(sound).values())[""] == git_tree(folder)


def git_tree(folder: Path) -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "core.autocrlf=false", *arguments]
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True
        ).stdout

    git("init", "--quiet")
    git("add", "--all", "--force", ".")
    return git("write-tree").strip()


@pytest.mark.parametrize(
    ("path", "size", "expected"),
    [
        ("model.safetensors", 1, True),
        ("a/B.ONNX", 1, True),
        ("tokenizer.json", 9_000_000, False),
        ("tokenizer.json", 11_000_000, True),
        ("README.md", 10, False),
        ("bin", 10, False),
    ],
)
def test_large_and_binary_files_are_lfs(path: str, size: int, expected: bool) -> None:
    assert is_lfs(path, size) is expected
