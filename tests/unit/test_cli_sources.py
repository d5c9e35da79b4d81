"""Where what is read of recordings goes: no two into one file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli._sources import found_sources, outputs
from holdfast.cli._transcribe import RECORDINGS
from holdfast.errors import ConfigInvalid

NAMES = st.builds(
    lambda folders, stem, suffix: PurePath(*folders, f"{stem}{suffix}").as_posix(),
    st.lists(st.sampled_from("xy"), max_size=2),
    st.sampled_from(["a", "b", "a.wav"]),
    st.sampled_from([".wav", ".mp3"]),
)
SOURCES = st.lists(NAMES, min_size=2, max_size=8, unique=True)


@given(SOURCES, st.sampled_from([None, "out"]), st.booleans())
def test_no_two_recordings_go_into_one_file(names: list[str], out: str | None, own: bool) -> None:
    """However they were found: each by itself, or all of them in one folder."""
    sources = [(Path(name), Path(name).parent if own else Path()) for name in names]
    output = None if out is None else Path(out)
    if any(".wav." in name for name in names):
        # Such as a.wav.mp3 beside a.wav and a.mp3: it looks like another's output.
        with contextlib.suppress(ConfigInvalid):
            assert len(set(outputs(sources, names, output, "txt", RECORDINGS))) == len(names)
        return
    targets = outputs(sources, names, output, "txt", RECORDINGS)
    assert len(set(targets)) == len(names)
    for name, target in zip(names, targets, strict=True):
        assert target is not None
        assert target.name.startswith(Path(name).stem)
        assert target.parent == Path(name).parent if out is None else out in target.parts


def test_a_recording_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "talk.wav"
    file.touch()
    (tmp_path / "notes.txt").touch()
    named = [
        str(file),
        str(tmp_path),
        str(tmp_path / "*.wav"),
        str(tmp_path / ".." / tmp_path.name),
    ]
    assert [path for path, _ in found_sources(named, RECORDINGS)[0]] == [file]


def test_a_file_cannot_hold_several(tmp_path: Path) -> None:
    (tmp_path / "all.txt").touch()
    sources = [(tmp_path / name, tmp_path) for name in ("a.wav", "b.wav")]
    with pytest.raises(ConfigInvalid, match="is a file"):
        outputs(sources, ["a.wav", "b.wav"], tmp_path / "all.txt", "txt", RECORDINGS)


def test_what_would_be_lost_is_named() -> None:
    sources = [(Path(name), Path()) for name in ("a.wav", "a.flac", "a.wav.mp3")]
    with pytest.raises(ConfigInvalid, match=r"a\.wav and a\.wav\.mp3 would both go into"):
        outputs(sources, ["."], None, "txt", RECORDINGS)


def test_a_name_of_nothing_does_not_keep_others_from_being_found(tmp_path: Path) -> None:
    (tmp_path / "talk.wav").touch()
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    named = [
        "none.wav",
        str(tmp_path / "talk.wav"),
        str(tmp_path / "empty"),
        str(tmp_path / "pipe"),
    ]
    found, wrong = found_sources(named, RECORDINGS)
    assert [path.name for path, _ in found] == ["talk.wav"]
    whys = ["no such file", "a folder without any", "a pipe or a device"]
    assert all(why in str(error) for why, error in zip(whys, wrong, strict=True))
