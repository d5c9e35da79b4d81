"""What every store of enrolled voices does: kept, sealed, erased, and never half there."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from holdfast.voiceprint.gallery import (
    AuditBroken,
    Found,
    Gallery,
    Profile,
    SpeakerInvalid,
    TemplateTampered,
    UnknownSpeaker,
    VaultKeyWrong,
    _search,
    new_key,
    read_key,
)
from tests.support.galleries import MODEL, OTHER, STORES, Place, place_of, unit, voice

KEY = read_key(new_key())


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    server = None if request.param == "sqlite" else request.getfixturevalue("postgres")
    return place_of(request.param, tmp_path / "g", server)


@pytest.fixture
def elsewhere(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    server = None if place.kind == "sqlite" else request.getfixturevalue("postgres")
    return place_of(place.kind, tmp_path / "elsewhere", server)


@pytest.fixture
def gallery(place: Place) -> Iterator[Gallery]:
    found = place.open(KEY)
    yield found
    found.close()


def test_what_is_enrolled_is_there_after_a_restart(place: Place, gallery: Gallery) -> None:
    gallery.put(Profile(id="ada", display_name="Ada L.", tags=("staff",), consent="signed 1 May"))
    gallery.enrol("ada", [voice(1), voice(2)])
    gallery.enrol("ada", [voice(3, seconds=7)])
    gallery.close()
    again = place.open(KEY)
    profile = again.profile("ada")
    assert (profile.display_name, profile.tags, profile.consent) == (
        "Ada L.", ("staff",), "signed 1 May",
    )  # fmt: skip
    template = again.template("ada", MODEL)
    assert template is not None
    assert template.speech_s == 17
    expected = unit(np.mean([unit(voice(number).vector) for number in (1, 2, 3)], axis=0))
    assert np.allclose(template.centroid, expected, atol=1e-6)
    assert np.array_equal(again.utterances("ada")[0].vector, voice(1).vector)
    assert again.utterances("ada")[0].facts == {"snr_db": 21.5}
    again.close()


def test_nothing_can_be_read_without_the_key(place: Place, gallery: Gallery) -> None:
    gallery.put(Profile(id="id-1", display_name="Zacharias", consent="consented-note"))
    gallery.enrol("id-1", [voice(1)])
    assert [found.speaker for found in gallery.search(MODEL, unit(voice(1).vector), 1, 0.9)] == [
        "id-1"
    ]
    stored = place.stored()
    assert b"id-1" in stored
    assert b"Zacharias" not in stored
    assert b"consented-note" not in stored
    for vector in (voice(1).vector, unit(voice(1).vector)):
        assert vector.tobytes() not in stored
        assert f"{vector[0]:.4g}".encode() not in stored
    with pytest.raises(VaultKeyWrong):
        place.open(read_key(new_key()))


def test_who_is_erased_is_found_by_nobody(place: Place, gallery: Gallery) -> None:
    other = place.open(KEY)
    for name in ("ada", "ben"):
        gallery.put(Profile(id=name, display_name=f"name of {name}"))
        gallery.enrol(name, [voice(len(name))])  # one voice: both are found
    probe = unit(voice(3).vector)
    assert {found.speaker for found in other.search(MODEL, probe, 5, 0.9)} == {"ada", "ben"}
    gallery.erase("ada", by="officer")
    for server in (gallery, other):
        with pytest.raises(UnknownSpeaker):
            server.profile("ada")
        assert server.search(MODEL, probe, 5, 0.9) == [Found("ben", pytest.approx(1))]
    assert [line["action"] for line in gallery.audit()][-1] == "erase"
    with pytest.raises(UnknownSpeaker):
        other.erase("ada")
    other.close()


def test_many_changes_at_once_are_followed_too(
    place: Place, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.put(Profile(id="ada"))
    gallery.enrol("ada", [voice(1)])
    probe = unit(voice(1).vector)
    assert len(gallery.search(MODEL, probe, 9, 0.9)) == 1
    monkeypatch.setattr(_search, "_MANY", 2)
    other = place.open(KEY)
    other.erase("ada")
    for name in ("ben", "cy", "dot"):
        other.put(Profile(id=name))
        other.enrol(name, [voice(1)])
    other.close()
    found = {each.speaker for each in gallery.search(MODEL, probe, 9, 0.9)}
    assert found == {"ben", "cy", "dot"}


def test_a_gallery_that_went_back_to_a_copy_is_read_anew(place: Place, gallery: Gallery) -> None:
    for name in ("ada", "ben"):
        gallery.put(Profile(id=name))
        gallery.enrol(name, [voice(len(name))])
    probe = unit(voice(3).vector)
    assert len(gallery.search(MODEL, probe, 5, 0.9)) == 2
    place.order("DELETE FROM speakers WHERE id = 'ben'")
    place.order("DELETE FROM utterances WHERE speaker = 'ben'")
    place.order("DELETE FROM changes WHERE speaker = 'ben'")
    assert [found.speaker for found in gallery.search(MODEL, probe, 5, 0.9)] == ["ada"]


def test_a_template_that_was_changed_or_moved_is_refused(place: Place, gallery: Gallery) -> None:
    for number, name in enumerate(("ada", "eve")):
        gallery.put(Profile(id=name))
        gallery.enrol(name, [voice(number)])
    gallery.close()
    place.order("UPDATE utterances SET speaker = 'ada' WHERE speaker = 'eve'")
    moved = place.open(KEY)
    with pytest.raises(TemplateTampered):
        moved.template("ada", MODEL)
    moved.close()
    place.order("DELETE FROM utterances WHERE number = 2")
    ((sealed,),) = place.order("SELECT sealed FROM utterances")
    flipped = bytearray(sealed)
    flipped[20] ^= 1
    place.order("UPDATE utterances SET sealed = ?", values=(bytes(flipped),))
    changed = place.open(KEY)
    with pytest.raises(TemplateTampered):
        changed.template("ada", MODEL)
    changed.close()
    # Another model's name on a sealed vector is no way to have it compared.
    place.order("UPDATE utterances SET sealed = ?, model = ?", values=(sealed, OTHER))
    renamed = place.open(KEY)
    with pytest.raises(TemplateTampered):
        renamed.template("ada", OTHER)
    renamed.close()
    # Nor is another speaker's key.
    place.order("UPDATE utterances SET model = ?", values=(MODEL,))
    gallery = place.open(KEY)
    assert gallery.template("ada", MODEL) is not None
    gallery.close()
    if place.kind != "sqlite":  # there the keys lie in a file of their own
        place.order("UPDATE keys SET key = (SELECT key FROM keys WHERE id = 'eve')")
        swapped = place.open(KEY)
        with pytest.raises(TemplateTampered):
            swapped.template("ada", MODEL)
        swapped.close()


def test_models_are_never_mixed_and_who_must_come_again_is_said(gallery: Gallery) -> None:
    gallery.put(Profile(id="old"))
    gallery.enrol("old", [voice(1, OTHER)])
    gallery.put(Profile(id="new"))
    gallery.enrol("new", [voice(2, OTHER), voice(2, MODEL)])
    gallery.put(Profile(id="none"))
    assert gallery.template("old", MODEL) is None
    assert gallery.outdated(MODEL) == ["old"]
    assert gallery.search(MODEL, unit(voice(1).vector), 5, 0.99) == []
    assert [found.speaker for found in gallery.search(OTHER, unit(voice(1).vector), 5, 0.99)] == [
        "old"
    ]


def test_two_servers_see_what_the_other_enrols_and_erases(place: Place, gallery: Gallery) -> None:
    other = place.open(KEY)
    probe = unit(voice(1).vector)
    assert other.search(MODEL, probe, 1, 0.9) == []
    gallery.put(Profile(id="ada"))
    gallery.enrol("ada", [voice(1)])
    assert [found.speaker for found in other.search(MODEL, probe, 1, 0.9)] == ["ada"]
    gallery.erase("ada")
    assert other.search(MODEL, probe, 1, 0.9) == []
    with pytest.raises(UnknownSpeaker):
        other.enrol("ada", [voice(2)])
    other.close()


def _enrol_many(place: Place, name: str, key: bytes) -> None:
    gallery = place.open(key)
    gallery.put(Profile(id="shared"))
    for number in range(20):
        gallery.put(Profile(id=f"{name}-{number}"))
        gallery.enrol("shared", [voice(1000 * ord(name) + number)])
    gallery.close()


def test_processes_that_enrol_at_once_lose_nothing(place: Place) -> None:
    start = multiprocessing.get_context("spawn")
    workers = [start.Process(target=_enrol_many, args=(place, name, KEY)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    gallery = place.open(KEY)
    assert len(gallery.utterances("shared")) == 60
    assert gallery.count() == 61
    assert len(list(gallery.audit())) == 60 + 60 + 3  # the line of who came first or changed it
    # What is searched is the mean of all of them, whoever came last.
    template = gallery.template("shared", MODEL)
    assert template is not None
    found = gallery.search(MODEL, template.centroid, 1, 0.9)
    assert found == [Found("shared", pytest.approx(1))]
    gallery.close()


_ENDLESS = """
import sys
from holdfast.voiceprint.gallery import Profile
from tests.support.galleries import Place, voice
gallery = Place(sys.argv[1], sys.argv[2]).open(bytes.fromhex(sys.argv[3]))
gallery.put(Profile(id="ada"))
number = 0
while True:
    gallery.enrol("ada", [voice(number), voice(number + 1)])
    number += 2
    print(number, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
def test_an_enrolment_that_is_killed_is_there_whole_or_not_at_all(place: Place) -> None:
    said = 0
    for _ in range(5):
        command = [sys.executable, "-c", _ENDLESS, *place, KEY.hex()]
        root = Path(__file__).parents[2]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            lines = process.stdout.read().split()
        said += max([2, *map(int, lines)])
        gallery = place.open(KEY)
        kept = len(gallery.utterances("ada"))
        assert len(list(gallery.audit())) > kept // 2
        gallery.close()
        assert kept % 2 == 0
        assert kept >= said  # what was reported is there; at most one more was not reported
        said = kept


def test_the_audit_log_is_only_added_to(place: Place, gallery: Gallery) -> None:
    gallery.put(Profile(id="ada"), by="officer")
    gallery.note("verify", "ada", by="door", decision="reject")
    gallery.erase("ada")
    lines = list(gallery.audit())
    assert [line["action"] for line in lines] == ["create", "verify", "erase"]
    assert lines[1]["decision"] == "reject"
    orders = ["DELETE FROM audit", "UPDATE audit SET line = ''"]
    if place.kind != "sqlite":  # which knows no TRUNCATE
        orders.append("TRUNCATE audit")
    for order in orders:
        with pytest.raises(Exception, match="only added to"):
            place.order(order)
    place.order("DROP TRIGGER audit_is_fixed" + ("" if place.kind == "sqlite" else " ON audit"))
    changed = json.dumps(lines[1] | {"decision": "accept"})
    place.order("UPDATE audit SET line = ? WHERE number = 2", values=(changed,))
    with pytest.raises(AuditBroken, match="line 2"):
        list(gallery.audit())


def test_a_scale_is_kept_for_every_server_and_noticed_when_changed(
    place: Place, gallery: Gallery
) -> None:
    assert gallery.kept("scale") is None
    gallery.keep("scale", b"first", by="officer")
    gallery.keep("scale", b"second")
    other = place.open(KEY)
    assert other.kept("scale") == b"second"
    other.close()
    place.order("UPDATE facts SET value = (SELECT value FROM facts WHERE name = 'proof')"
                " WHERE name = 'scale'")  # fmt: skip
    with pytest.raises(TemplateTampered, match="scale"):
        gallery.kept("scale")


def test_ones_own_data_goes_out_and_in_again(elsewhere: Place, gallery: Gallery) -> None:
    gallery.put(Profile(id="ada", display_name="Ada", consent="yes"))
    gallery.enrol("ada", [voice(1), voice(2)])
    exported = json.loads(json.dumps(gallery.export("ada", by="ada herself")))
    there = elsewhere.open(read_key(new_key()))
    there.take_in(exported)
    assert there.profile("ada").consent == "yes"
    before, after = gallery.template("ada", MODEL), there.template("ada", MODEL)
    assert before is not None
    assert after is not None
    assert np.array_equal(before.centroid, after.centroid)
    with pytest.raises(SpeakerInvalid, match="here already"):
        there.take_in(exported)
    for broken in ({}, {"form": "x"}, exported | {"utterances": [{"vector": "!"}]}):
        with pytest.raises(SpeakerInvalid, match="no exported speaker"):
            gallery.take_in(broken)
    there.close()


def test_recordings_are_kept_sealed_when_asked_for_and_go_with_their_speaker(
    place: Place, elsewhere: Place, gallery: Gallery
) -> None:
    sound = b"fLaC" + b"a voice that nobody else may hear" * 40
    gallery.put(Profile(id="ada"))
    gallery.put(Profile(id="ben"))
    gallery.enrol("ada", [replace(voice(1), audio=sound), voice(2)])
    gallery.enrol("ben", [replace(voice(3), audio=b"fLaC of ben")])
    first, second = gallery.utterances("ada")
    assert (first.audio, second.audio) == (b"", b"")
    assert list(gallery.audio("ada")) == [(first.id, sound)]
    gallery.search(MODEL, unit(voice(1).vector), 1, 0.0)
    assert b"nobody else" not in place.stored()

    there = elsewhere.open(read_key(new_key()))
    there.take_in(json.loads(json.dumps(gallery.export("ada"))))
    assert [audio for _, audio in there.audio("ada")] == [sound]
    there.close()

    place.order(
        "UPDATE audio SET sealed = (SELECT b.sealed FROM audio b JOIN utterances u "
        "ON u.id = b.utterance WHERE u.speaker = 'ben') WHERE utterance = ?",
        values=(first.id,),
    )
    with pytest.raises(TemplateTampered):
        list(gallery.audio("ada"))
    gallery.erase("ada")
    with pytest.raises(UnknownSpeaker):
        list(gallery.audio("ada"))
    assert place.order("SELECT count(*) FROM audio") == [(1,)]


@pytest.mark.parametrize("speaker", ["", "../x", "a b", "-x", "x" * 129, "a/b", "a\n"])
def test_ids_that_could_be_taken_for_something_else_are_refused(
    gallery: Gallery, speaker: str
) -> None:
    with pytest.raises(SpeakerInvalid):
        gallery.put(Profile(id=speaker))
