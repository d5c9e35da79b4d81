"""What a model card says of its licence, in every form that cards have; checked against PyYAML."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.store import licence_of


def said(folder: Path, text: str | bytes) -> str | None:
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "README.md").write_bytes(content)
    return licence_of(folder)


@pytest.mark.parametrize(
    ("front", "licence"),
    [
        ("license: cc-by-nc-4.0", "cc-by-nc-4.0"),
        ("tags:\n- mms\nlicense: cc-by-nc-4.0\nlanguage: en", "cc-by-nc-4.0"),
        ("license:   'mit'  # of the weights", "mit"),
        ('license: "apache-2.0"', "apache-2.0"),
        ("license:\n- mit\n- apache-2.0", "mit, apache-2.0"),
        ("license:\n  - mit", "mit"),
        ("license: [mit, 'apache-2.0']", "mit, apache-2.0"),
        ("license: other\nlicense_name: coqui-public-model-license", "coqui-public-model-license"),
        ("license_link: https://e.org/l#1\nlicense: other", "https://e.org/l#1"),
        ("license: Other\nlicense_name: its own\nlicense_link: LICENSE", "its own"),
        ("license: other", "other"),
        ("license: mit\nlicense_name: not asked for", "mit"),
        ("model:\n  license: mit", None),
        ("text: |\n  license: mit\nlicense: gpl-3.0", "gpl-3.0"),
        ("licenses: mit", None),
        ("license:", None),
        ("license: null", None),
        ("license: ~", None),
        ("license: |\n  mit", None),
        ("license: {name: mit}", None),
        ("license: [mit", None),
        ("license: 'mit", None),
        ("license: *anchor", None),
        ("license:mit", None),
        ("license: a\x07b", None),
        (f"license: {'x' * 300}", None),
        ("library_name: x", None),
    ],
)
def test_a_card_states_its_licence(tmp_path: Path, front: str, licence: str | None) -> None:
    assert said(tmp_path, f"---\n{front}\n---\n# Model\n") == licence
    assert said(tmp_path, f"---\r\n{front}\r\n---\r\n".replace("\n", "\r\n")) == licence
    assert said(tmp_path, f"\ufeff---\n{front}\n---") == licence


@pytest.mark.parametrize(
    "text",
    ["", "# Model\nlicense: mit\n", "---\nlicense: mit\n", "----\nlicense: mit\n---\n",
     "---\n---\nlicense: mit\n---\n",
     "text\n---\nlicense: mit\n---\n", b"\xff\xfe---\x00", b"\x00"],
)  # fmt: skip
def test_what_is_no_front_matter_states_nothing(tmp_path: Path, text: str | bytes) -> None:
    assert said(tmp_path, text) is None


def test_bytes_that_are_no_text_are_in_nobodys_way(tmp_path: Path) -> None:
    assert said(tmp_path, b"---\ntitle: \xff\xff\nlicense: mit\n---\n") == "mit"


def test_only_so_much_of_a_card_is_read(tmp_path: Path) -> None:
    assert said(tmp_path, "---\n" + "# filling\n" * 50_000 + "license: mit\n---\n") == "mit"
    assert said(tmp_path, "---\n" + "# filling\n" * 500_000 + "license: mit\n---\n") is None


def test_a_card_that_cannot_be_read_states_nothing(tmp_path: Path) -> None:
    assert licence_of(tmp_path) is None
    assert licence_of(tmp_path / "none") is None
    card = tmp_path / "README.md"
    card.mkdir()
    assert licence_of(tmp_path) is None
    card.rmdir()
    card.symlink_to(card)
    assert licence_of(tmp_path) is None
    card.unlink()
    os.mkfifo(card)  # opened, it would wait for ever
    assert licence_of(tmp_path) is None


_WORDS = st.sampled_from(
    ["mit", "other", "cc-by-4.0", "#", " ", "  ", "'", '"', ":", ",", "[", "]", "-", "|", "\t",
     "\n", "\n- ", "\n  ", "\nlicense: ", "license_name: ", "a b", "null", "&", "!x", "\\", "%"]
)  # fmt: skip


@given(st.lists(_WORDS, max_size=6).map("".join))
@example(" mit\nlicense: gpl")
def test_what_is_read_is_what_a_yaml_library_reads(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    front = f"license: {text}\n"
    ours = said(tmp_path_factory.getbasetemp(), f"---\n{front}---\n")
    try:
        theirs = yaml.safe_load(front)
    except yaml.YAMLError:
        return  # where a library sees nothing at all, no licence can be contradicted
    if ours is None or not isinstance(theirs, dict):
        return  # to understand less is allowed, to understand otherwise is not
    licence = theirs.get("license")
    listed = licence if isinstance(licence, list) else [licence]
    stated = [str(each) for each in listed if each is not None]
    if [each.lower() for each in stated] == ["other"] and theirs.get("license_name"):
        stated = [str(theirs["license_name"])]
    assert ours == ", ".join(stated), text
