"""What every store of enrolled voices bears: forged imports, damaged rows, keys that are lost."""

from __future__ import annotations

import base64
import copy
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.voiceprint.gallery import (
    Gallery,
    Profile,
    SpeakerInvalid,
    TemplateTampered,
    UnknownSpeaker,
    Vault,
    new_key,
    read_key,
)
from holdfast.voiceprint.gallery._records import packed
from tests.support.galleries import MODEL, STORES, Place, place_of, unit, voice

KEY = read_key(new_key())


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    server = None if request.param == "sqlite" else request.getfixturevalue("postgres")
    return place_of(request.param, tmp_path / "g", server)


@pytest.fixture
def gallery(place: Place) -> Iterator[Gallery]:
    found = place.open(KEY)
    for name in ("ada", "ben"):
        found.put(Profile(id=name, display_name=name.title()))
        found.enrol(name, [voice(1), voice(2)])
    yield found
    found.close()


def _found(gallery: Gallery) -> list[str]:
    probe = unit(unit(voice(1).vector) + unit(voice(2).vector))
    return [each.speaker for each in gallery.search(MODEL, probe, 9, 0.9)]


def _exported(gallery: Gallery) -> dict[str, Any]:
    exported: dict[str, Any] = json.loads(json.dumps(gallery.export("ada")))
    exported["profile"]["id"] = "eve"
    return exported


def _text(vector: Any) -> str:
    return base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()


FORGED: dict[str, list[Any]] = {
    "vector": [_text(np.full(8, 3e38)), _text(np.full(8, np.nan)), _text(np.zeros(8)),
                          _text(np.ones(7)), _text(np.ones(5000)), "abc", "", None, 5],
    "speech_s": [float("nan"), float("inf"), -1000.0, "1e9", None, True, 10**400],
    "model": ["", "a\x1b[31m", "x" * 129, "\ud800", "nul\0", None, 5],
    "created": ["x" * 1000, {"a": 1}, None],
    "facts": [[["a", 1]], None, {"a": "\ud800"}, {"a": float("nan")},
                        {"a": "x" * 50_000}],
    "audio": [base64.b64encode(b"not flac").decode(), "?", 5],
    "id": [5, None, "x" * 1000],
}  # fmt: skip
FORGED_PROFILES: dict[str, list[Any]] = {
    "id": [5, None, "../x", "\ud800"],
    "display_name": [["x"], 5, None, "\ud800", "two\nlines", "a\x9b", "a\u202eb", "a\u2028b"],
    "tags": ["abc", [1], [None], None, ["a\nb"], ["\ud800"]],
    "consent": [None, 5, "\udfff", "x" * 2001],
    "created": ["x" * 1_000_000, 5],
    "evil": [1],
}


def test_values_that_no_export_gives_are_refused_by_name(gallery: Gallery) -> None:
    good = _exported(gallery)
    for field, value in ((name, value) for name in FORGED for value in FORGED[name]):
        forged = copy.deepcopy(good)
        forged["utterances"][1][field] = value
        with pytest.raises(SpeakerInvalid) as caught:
            gallery.take_in(forged)
        said = str(caught.value)
        assert f"utterances[1].{field}" in said or "differ in length" in said, (value, said)
    assert not gallery.has("eve")
    assert _found(gallery) == ["ada", "ben"]


def test_profiles_that_no_export_gives_are_refused(gallery: Gallery) -> None:
    good = _exported(gallery)
    for field, value in (
        (name, value) for name in FORGED_PROFILES for value in FORGED_PROFILES[name]
    ):
        forged = copy.deepcopy(good)
        forged["profile"][field] = value
        with pytest.raises(SpeakerInvalid):
            gallery.take_in(forged)
    for forged in ({}, good | {"utterances": {}}, good | {"profile": []}, good | {"form": 1}):
        with pytest.raises(SpeakerInvalid, match="no exported speaker"):
            gallery.take_in(forged)
    assert gallery.count() == 2
    gallery.take_in(good)  # nothing of this is wrong


def test_vectors_of_one_model_have_one_length_and_who_decided_is_named(
    place: Place, gallery: Gallery
) -> None:
    forged = _exported(gallery)
    for each in forged["utterances"]:
        each["vector"] = _text(np.ones(7))
    with pytest.raises(SpeakerInvalid, match=r"7 numbers.*8.*'ada' was the first"):
        gallery.take_in(forged)
    for each in forged["utterances"]:
        each["model"] = "f" * 16
    gallery.take_in(forged)  # nobody is here of this model
    other = place.open(KEY)
    for opened in (gallery, other):
        with pytest.raises(SpeakerInvalid) as caught:
            opened.enrol("ada", [voice(3, "f" * 16)])
        assert caught.value.hint.endswith("--erase eve")
    other.close()
    gallery.erase("eve")
    gallery.enrol("ada", [voice(3, "f" * 16)])


def _wrapped(place: Place, speaker: str) -> bytes:
    if place.kind != "sqlite":
        ((wrapped,),) = place.order("SELECT key FROM keys WHERE id = ?", values=(speaker,))
        return bytes(wrapped)
    with sqlite3.connect(f"{place.address}/voiceprint-keys.sqlite") as db:
        ((key,),) = db.execute("SELECT key FROM wrapped WHERE id = ?", (speaker,)).fetchall()
    db.close()
    return bytes(key)


def _poison(place: Place, vectors: list[Any]) -> None:
    """Put vectors into eve's rows that an earlier version would have taken."""
    rows = place.order("SELECT id FROM utterances WHERE speaker = 'eve' ORDER BY number")
    for (name,), vector in zip(rows, vectors, strict=True):
        content = packed(voice(1).__class__(vector=vector, model=MODEL, speech_s=1.0, id=name))
        sealed = Vault(KEY).seal("eve", _wrapped(place, "eve"), content, f"{name}:{MODEL}")
        place.order("UPDATE utterances SET sealed = ? WHERE id = ?", values=(sealed, name))


def _flip(place: Place, what: str) -> None:
    """Change one bit of what is sealed of eve."""
    table, own = ("speakers", "id") if what == "profile" else ("utterances", "speaker")
    for (sealed,) in place.order(f"SELECT {what} FROM {table} WHERE {own} = 'eve'")[:1]:
        changed = bytearray(sealed)
        changed[20] ^= 1
        place.order(f"UPDATE {table} SET {what} = ? WHERE {what} = ?",
                    values=(bytes(changed), bytes(sealed)))  # fmt: skip


HARM: dict[str, Callable[[Place], None]] = {
    "a bit": lambda place: _flip(place, "sealed"),
    "two lengths": lambda place: _poison(place, [np.ones(7), voice(1).vector]),
    "another length": lambda place: _poison(place, [np.ones(7), np.ones(7)]),
    "no finite length": lambda place: _poison(place, [np.full(8, 3e38)] * 2),
    "no bytes": lambda place: place.order(
        "UPDATE utterances SET sealed = 'text' WHERE speaker = 'eve'"
    ) and None,
}  # fmt: skip


@pytest.mark.parametrize("harm", HARM)
def test_one_damaged_speaker_is_left_out_and_all_others_are_found(
    place: Place, gallery: Gallery, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    gallery.take_in(_exported(gallery))
    HARM[harm](place)
    again = place.open(KEY)
    for _ in range(2):
        assert _found(again) == ["ada", "ben"]
    if harm != "another length":  # which is whole, and is compared with nothing
        with pytest.raises(TemplateTampered, match="eve"):
            again.template("eve", MODEL)
        assert len([each for each in caplog.records if "'eve'" in each.getMessage()]) == 1
        assert "--erase eve" in caplog.text
    # Those that come later are found too, and eve can be forgotten.
    again.put(Profile(id="cy"))
    again.enrol("cy", [voice(1), voice(2)])
    assert _found(again) == ["ada", "ben", "cy"]
    again.erase("eve")
    assert _found(again) == ["ada", "ben", "cy"]
    again.close()


def test_one_damaged_profile_ends_no_list(place: Place, gallery: Gallery) -> None:
    gallery.take_in(_exported(gallery))
    _flip(place, "profile")
    assert [profile.id for profile in gallery.profiles()] == ["ada", "ben"]
    assert [name for name, profile in gallery.listed() if profile is None] == ["eve"]
    with pytest.raises(TemplateTampered):
        gallery.profile("eve")


def test_whose_key_is_lost_can_be_created_anew(place: Place, gallery: Gallery) -> None:
    assert _found(gallery) == ["ada", "ben"]
    if place.kind == "sqlite":
        gallery.close()
        Path(place.address, "voiceprint-keys.sqlite").unlink()
    else:
        place.order("DELETE FROM keys")
    again = place.open(KEY)
    assert (again.count(), list(again.profiles()), again.outdated("x")) == (0, [], [])
    again.put(Profile(id="ada", display_name="Ada again"))
    again.enrol("ada", [voice(1), voice(2)])
    assert len(again.utterances("ada")) == 2
    assert (again.count(), again.profile("ada").display_name) == (1, "Ada again")
    assert _found(again) == ["ada"]
    assert [line["action"] for line in again.audit()][-2:] == ["create", "enrol"]
    again.close()


@pytest.mark.parametrize(
    "profile",
    [
        Profile(id="eve", display_name="\ud800"),
        Profile(id="eve", consent="\udfff"),
        Profile(id="eve", tags=("\ud800",)),
        Profile(id="eve", display_name="evil\nada  99.9 s  fake"),
        Profile(id="eve", tags=("a\x9bb",)),
        Profile(id="\udcff"),
    ],
)
def test_text_that_cannot_be_sent_or_shown_is_not_kept(gallery: Gallery, profile: Profile) -> None:
    with pytest.raises(SpeakerInvalid):
        gallery.put(profile)
    assert gallery.count() == 2
    gallery.put(Profile(id="eve", display_name="Éva \u200d \U0001f642", consent="two\nlines"))


@pytest.mark.parametrize("speaker", ["\udcff", "a\0b", ""])
def test_ids_that_nobody_can_have_are_unknown(gallery: Gallery, speaker: str) -> None:
    assert not gallery.has(speaker)
    for asked in (gallery.profile, gallery.erase, gallery.utterances):
        with pytest.raises(UnknownSpeaker):
            asked(speaker)


def test_who_asked_is_noted_whatever_the_name_is(gallery: Gallery) -> None:
    gallery.note("verify", "ada", by="x\udcff")
    assert list(gallery.audit())[-1]["by"] == "x?"


def test_names_of_an_earlier_version_that_cannot_be_sent_are_shown_without(
    place: Place, gallery: Gallery
) -> None:
    content = {"id": "ada", "display_name": "a\ud800b", "tags": [], "consent": "", "created": ""}
    wrapped = _wrapped(place, "ada")
    sealed = Vault(KEY).seal("ada", wrapped, json.dumps(content).encode(), "profile")
    place.order("UPDATE speakers SET profile = ? WHERE id = 'ada'", values=(sealed,))
    assert gallery.profile("ada").display_name == "a?b"
