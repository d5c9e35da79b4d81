"""Whatever a hub answers, reading it gives a value or an error of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, HubProtocolError, RateLimited
from holdfast.hub._http import _followed
from holdfast.hub._protocol import (
    error_for,
    next_page,
    parse_content_range,
    parse_description,
    parse_retry_after,
    parse_tree,
    resolve_url,
    same_origin,
)
from holdfast.refs import FileEntry, RepoRef, RevisionRef, parse_ref

quick = settings(max_examples=200, derandomize=True, deadline=None, database=None)
URL = "https://hub.example/api/models/acme/tiny/tree/main"
REF = RevisionRef(RepoRef("acme/tiny"))
SHA, SHA256 = "1" * 40, "2" * 64

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
    st.sampled_from([SHA, SHA256, f"sha256:{SHA256}", "main", "file", "a/b", -1, 1 << 80]),
)  # fmt: skip
keys = st.one_of(
    st.text(max_size=6),
    st.sampled_from([
        "sha", "siblings", "rfilename", "size", "blobId", "lfs", "sha256", "oid", "type", "path",
        "xetHash", "pointerSize",
    ]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda deeper: st.lists(deeper, max_size=4) | st.dictionaries(keys, deeper, max_size=6),
    max_leaves=25,
)


def one_of_these(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects whose fields are mostly as they should be, and sometimes missing or anything."""
    return st.fixed_dictionaries({}, optional={k: v | scalars for k, v in fields.items()})


lfs = one_of_these(oid=st.just(SHA256), sha256=st.just(SHA256), size=st.integers(0, 9))
tree_entries = one_of_these(
    type=st.just("file"), path=st.text(max_size=5), oid=st.just(SHA), size=st.integers(0, 9),
    lfs=lfs, xetHash=st.text(max_size=3),
)  # fmt: skip
siblings = one_of_these(
    rfilename=st.text(max_size=5), blobId=st.just(SHA), size=st.integers(0, 9), lfs=lfs
)
descriptions = one_of_these(sha=st.just(SHA), siblings=st.lists(siblings | values, max_size=3))
bodies = st.one_of(
    st.binary(max_size=60),
    values.map(lambda value: json.dumps(value).encode()),
    st.lists(tree_entries, max_size=3).map(lambda value: json.dumps(value).encode()),
    descriptions.map(lambda value: json.dumps(value).encode()),
    descriptions.map(lambda value: json.dumps(value).encode("utf-16")),
)
AWKWARD = [
    b"", b"[" * 100_000, b"9" * 5000, b'{"sha": ' + b"9" * 5000 + b"}", b"\xff\xfe", b"null",
    b'[{"type": "file", "path": "a", "size": NaN, "oid": "' + SHA.encode() + b'"}]',
    b'[{"type": "file", "path": "\\ud800", "size": 1, "oid": "' + SHA.encode() + b'"}]',
]  # fmt: skip


def ours(read: Callable[[], Any]) -> Any:
    """Return what was read, or None for an error of ours; anything else fails the test."""
    try:
        return read()
    except HoldfastError as error:
        can_be_told(error)
        return None


def can_be_told(error: HoldfastError) -> None:
    assert error.what
    assert json.dumps(error.to_dict())
    str(error).encode("utf-8", "backslashreplace")


def is_sound(entry: FileEntry) -> bool:
    return (
        isinstance(entry.path, str) and bool(entry.path)
        and type(entry.size) is int and entry.size >= 0
        and len(entry.digest.hex) in {40, 64}
    )  # fmt: skip


@quick
@given(bodies)
def test_a_page_of_a_tree_is_files_or_an_error_of_ours(body: bytes) -> None:
    files = ours(lambda: parse_tree(body, URL))
    assert files is None or all(map(is_sound, files))


@quick
@given(bodies)
def test_a_description_is_a_commit_or_an_error_of_ours(body: bytes) -> None:
    found = ours(lambda: parse_description(body, URL))
    if found is not None:
        assert len(found[0]) == 40
        assert found[1] is None or all(map(is_sound, found[1]))


@pytest.mark.parametrize("body", AWKWARD, ids=lambda body: repr(body[:12]))
def test_answers_that_break_readers_are_errors_of_ours(body: bytes) -> None:
    ours(lambda: parse_tree(body, URL))
    assert ours(lambda: parse_description(body, URL)) is None


addresses = st.one_of(
    st.text(max_size=30),
    st.sampled_from([
        "http://[", "//[", "http://[::1", "https://hub.example:99999/", "https://hub.example:x/",
        "https://hub.example/next", "?cursor=2", "//evil.example/", "javascript:1", "http:///",
        "https://\u2100.example/", "https://hub.example\\@evil.example/",
    ]),
    st.builds("https://{}:{}/{}".format, st.text(max_size=8), st.integers(), st.text(max_size=8)),
)  # fmt: skip


@quick
@given(addresses, st.sampled_from(["next", '"next"', "last", ' "next" ; title=x', ""]))
@example("http://[", "next")
def test_the_next_page_is_here_or_nowhere(address: str, rel: str) -> None:
    following = ours(lambda: next_page({"Link": f"<{address}>; rel={rel}"}, URL))
    assert following is None or same_origin(URL, following)


@quick
@given(st.text(max_size=60))
def test_any_link_header_can_be_read(text: str) -> None:
    ours(lambda: next_page({"Link": text}, URL))


@quick
@given(addresses)
@example("http://[")
def test_a_redirect_leads_to_an_encrypted_address_or_nowhere(address: str) -> None:
    followed = ours(lambda: _followed(URL, address))
    assert followed is None or followed.startswith("https:")


def test_a_next_page_elsewhere_is_refused_because_the_token_must_not_go_there() -> None:
    with pytest.raises(HubProtocolError, match="another origin"):
        next_page({"Link": '<https://evil.example/>; rel="next"'}, URL)


@quick
@given(
    st.one_of(
        st.none(),
        st.text(max_size=30),
        st.builds(
            "bytes {}-{}/{}".format, st.integers(), st.integers(), st.integers() | st.just("*")
        ),
    )
)
@example("bytes 0-" + "9" * 5000 + "/*")
@example("bytes \u0660-\u0661/\u0662")
def test_a_range_is_sound_or_nothing(text: str | None) -> None:
    found = parse_content_range(text)
    if found is not None:
        assert 0 <= found.first <= found.last
        assert found.size is None or found.last < found.size


dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format, st.sampled_from(["Sun", "Mon", "xyz", ""]),
    st.integers(-1, 40), st.sampled_from(["Jan", "Nov", "Foo", ""]), st.integers(0, 99_999),
    st.integers(-1, 99), st.integers(-1, 99), st.integers(-1, 99),
    st.sampled_from(["GMT", "+9999", "-0000", "EST", "", "+99999999999999"]),
)  # fmt: skip


@quick
@given(st.one_of(st.none(), st.text(max_size=30), dates, st.floats().map(str)))
@example("9" * 5000)
@example("1e400")
@example("nan")
def test_a_wait_is_a_number_of_seconds_or_nothing(text: str | None) -> None:
    wait = parse_retry_after(text, 1_700_000_000.0)
    assert wait is None or 0 <= wait < float("inf")


@quick
@given(
    st.integers(100, 999),
    st.dictionaries(
        st.sampled_from(["X-Error-Code", "X-Error-Message", "Retry-After"]),
        st.sampled_from(["RepoNotFound", "GatedRepo", "EntryNotFound", "RevisionNotFound"])
        | st.text(max_size=20),
    ),
    st.booleans(),
)
def test_every_refusal_is_an_error_with_a_reason_and_a_hint(
    status: int, headers: dict[str, str], with_token: bool
) -> None:
    error = error_for(status, headers, URL, REF, with_token=with_token)
    assert error.why
    assert error.hint
    assert error.exit_code in {4, 5}
    assert error.facts["status"] == status
    json.dumps(error.to_dict())


def test_too_many_requests_are_told_apart() -> None:
    assert isinstance(error_for(429, {}, URL, REF, with_token=True), RateLimited)


@quick
@given(st.text(max_size=40), st.none() | st.text(max_size=10))
@example("datasets/a/b@refs/pr/1", None)
def test_any_text_names_a_revision_or_is_refused(text: str, revision: str | None) -> None:
    ref = ours(lambda: parse_ref(text, revision))
    if ref is not None:
        assert parse_ref(str(ref)) == ref
        assert resolve_url("https://hub.example", ref.repo, ref.revision, "a b").isascii()
