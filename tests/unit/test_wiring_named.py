"""Models that settings name."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ConfigInvalid
from holdfast.wiring._named import below, named_model

SETTING, EXAMPLE = "HOLDFAST_SPEECH_SYNTHESIS_MODEL", "rhasspy/piper-voices#en/en_US"
NAMED = {
    "owner/model": ("owner/model", "main", ""),
    "owner/model@v1.2": ("owner/model", "v1.2", ""),
    "owner/model#en/en_US/ljspeech": ("owner/model", "main", "en/en_US/ljspeech"),
    "owner/model@0123abc#a/./b//c/": ("owner/model", "0123abc", "a/b/c"),
    "owner/model@#": ("owner/model", "main", ""),
    "gpt2": ("gpt2", "main", ""),
    "owner/model@refs/pr/1": ("owner/model", "refs/pr/1", ""),
    "owner/model#a@b": ("owner/model", "main", "a@b"),
}


@pytest.mark.parametrize("text", NAMED)
def test_a_model_is_named_with_its_revision_and_folder(text: str) -> None:
    found = named_model(SETTING, text, EXAMPLE)
    assert (str(found.ref.repo), found.ref.revision, found.folder) == NAMED[text]


@pytest.mark.parametrize(
    "text",
    [
        "", "#folder", "@main", "a/b/c/d", "owner/mo del", "../model", "owner/model@../../x",
        "owner/model#../other", "owner/model#a/../../b", "owner/model#/etc", "owner/model#a\\..\\b",
    ],
)  # fmt: skip
def test_what_names_none_or_leads_out_of_it_is_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        named_model(SETTING, text, EXAMPLE)
    assert SETTING in refused.value.what
    assert refused.value.why
    assert refused.value.hint == f"export {SETTING}={EXAMPLE}"


@given(st.text(st.sampled_from("ab./\\@#~:"), max_size=24))
def test_whatever_is_named_is_inside(text: str) -> None:
    root = Path("/models/snapshot")
    try:
        found = named_model(SETTING, f"owner/model#{text}", EXAMPLE)
    except ConfigInvalid:
        # Nothing that stays inside is refused.
        parts = PurePosixPath(text).parts
        assert ".." in parts or text.startswith("/") or "\\" in text
        return
    inner = below(root, found.folder)
    assert inner.is_relative_to(root)
    assert ".." not in inner.parts


def test_all_of_a_repository_is_below_it_as_it_is() -> None:
    assert below(Path("x"), "") == Path("x")
    assert below(Path("x"), "a/b") == Path("x/a/b")
