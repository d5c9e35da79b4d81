"""Enrolled voices on a real disk: kept, sealed, erased, and never half there."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.voiceprint.gallery import (
    AuditBroken,
    Found,
    Gallery,
    GalleryUnusable,
    Profile,
    SpeakerInvalid,
    SqliteStore,
    TemplateTampered,
    UnknownSpeaker,
    Utterance,
    Vault,
    VaultKeyWrong,
    VoiceIndex,
    new_key,
    read_key,
)

KEY = read_key(new_key())
MODEL, OTHER = "m" * 16, "o" * 16
DIMENSION = 8


def opened(folder: Path, key: bytes = KEY) -> Gallery:
    vault = Vault(key)
    return Gallery(SqliteStore(folder, vault.chain), vault)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    found = opened(tmp_path / "g")
    yield found
    found.close()


def voice(number: int, model: str = MODEL, seconds: float = 5.0) -> Utterance:
    vector = np.random.default_rng(number).normal(size=DIMENSION).astype(np.float32)
    return Utterance(vector=vector, model=model, speech_s=seconds, facts={"snr_db": 21.5})


def unit(vector: Any) -> Any:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def test_what_is_enrolled_is_there_after_a_restart(tmp_path: Path, gallery: Gallery) -> None:
    gallery.put(Profile(id="ada", display_name="Ada L.", tags=("staff",), consent="signed 1 May"))
    gallery.enrol("ada", [voice(1), voice(2)])
    gallery.enrol("ada", [voice(3, seconds=7)])
    gallery.close()
    again = opened(tmp_path / "g")
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


def test_nothing_can_be_read_without_the_key(tmp_path: Path, gallery: Gallery) -> None:
    gallery.put(Profile(id="id-1", display_name="Zacharias", consent="consented-note"))
    gallery.enrol("id-1", [voice(1)])
    stored = b"".join(path.read_bytes() for path in (tmp_path / "g").iterdir())
    assert b"Zacharias" not in stored
    assert b"consented-note" not in stored
    assert voice(1).vector.tobytes() not in stored
    with pytest.raises(VaultKeyWrong):
        opened(tmp_path / "g", read_key(new_key()))
    if os.name == "posix":
        assert {path.stat().st_mode & 0o077 for path in (tmp_path / "g").iterdir()} == {0}


def test_who_is_erased_is_gone_also_from_a_copy_of_the_templates(
    tmp_path: Path, gallery: Gallery
) -> None:
    for name in ("ada", "ben"):
        gallery.put(Profile(id=name, display_name=f"name of {name}"))
        gallery.enrol(name, [voice(len(name))])
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "g/voiceprint.sqlite", copy)
    gallery.erase("ada", by="officer")
    with pytest.raises(UnknownSpeaker):
        gallery.profile("ada")
    assert gallery.search(MODEL, unit(voice(3).vector), 5, 0.9) == [Found("ben", pytest.approx(1))]
    assert [line["action"] for line in gallery.audit()][-1] == "erase"
    # The copy has what is sealed; the keys that are left open the others only.
    shutil.copy(tmp_path / "g/voiceprint-keys.sqlite", copy)
    old = opened(copy)
    assert [profile.id for profile in old.profiles()] == ["ben"]
    old.close()
    with pytest.raises(UnknownSpeaker):
        gallery.erase("ada")


def test_a_template_that_was_changed_or_moved_is_refused(tmp_path: Path, gallery: Gallery) -> None:
    for number, name in enumerate(("ada", "eve")):
        gallery.put(Profile(id=name))
        gallery.enrol(name, [voice(number)])
    gallery.close()
    db = sqlite3.connect(tmp_path / "g/voiceprint.sqlite")
    db.execute("UPDATE utterances SET speaker = 'ada' WHERE speaker = 'eve'")
    db.commit()
    moved = opened(tmp_path / "g")
    with pytest.raises(TemplateTampered):
        moved.template("ada", MODEL)
    moved.close()
    db.execute("DELETE FROM utterances WHERE number = 2")
    (sealed,) = db.execute("SELECT sealed FROM utterances").fetchone()
    flipped = bytearray(sealed)
    flipped[20] ^= 1
    db.execute("UPDATE utterances SET sealed = ?", (bytes(flipped),))
    db.commit()
    changed = opened(tmp_path / "g")
    with pytest.raises(TemplateTampered):
        changed.template("ada", MODEL)
    changed.close()
    # Another model's name on a sealed vector is no way to have it compared.
    db.execute("UPDATE utterances SET sealed = ?, model = ?", (sealed, OTHER))
    db.commit()
    db.close()
    renamed = opened(tmp_path / "g")
    with pytest.raises(TemplateTampered):
        renamed.template("ada", OTHER)
    renamed.close()


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


def test_two_processes_see_what_the_other_enrols_and_erases(
    tmp_path: Path, gallery: Gallery
) -> None:
    other = opened(tmp_path / "g")
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


def _enrol_many(folder: str, name: str, key: bytes) -> None:
    gallery = opened(Path(folder), key)
    gallery.put(Profile(id="shared"))
    for number in range(20):
        gallery.put(Profile(id=f"{name}-{number}"))
        gallery.enrol("shared", [voice(number)])
    gallery.close()


def test_processes_that_enrol_at_once_lose_nothing(tmp_path: Path) -> None:
    start = multiprocessing.get_context("spawn")
    workers = [
        start.Process(target=_enrol_many, args=(str(tmp_path / "g"), name, KEY)) for name in "abc"
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    gallery = opened(tmp_path / "g")
    assert len(gallery.utterances("shared")) == 60
    assert len(gallery.profiles()) == 61
    assert len(list(gallery.audit())) == 60 + 60 + 3  # the line of who came first or changed it
    gallery.close()


_ENDLESS = """
import sys; from pathlib import Path
from holdfast.voiceprint.gallery import Profile
from tests.stories.test_voiceprint_gallery import opened, voice
gallery = opened(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]))
gallery.put(Profile(id="ada"))
number = 0
while True:
    gallery.enrol("ada", [voice(number), voice(number + 1)])
    number += 2
    print(number, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
def test_an_enrolment_that_is_killed_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    said = 0
    for _ in range(5):
        command = [sys.executable, "-c", _ENDLESS, str(tmp_path / "g"), KEY.hex()]
        root = Path(__file__).parents[2]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            lines = process.stdout.read().split()
        said += max([2, *map(int, lines)])
        gallery = opened(tmp_path / "g")
        kept = len(gallery.utterances("ada"))
        gallery.close()
        assert kept % 2 == 0
        assert kept >= said  # what was reported is there; at most one more was not reported
        said = kept


def test_the_audit_log_is_only_added_to(tmp_path: Path, gallery: Gallery) -> None:
    gallery.put(Profile(id="ada"), by="officer")
    gallery.note("verify", "ada", by="door", decision="reject")
    gallery.erase("ada")
    lines = list(gallery.audit())
    assert [line["action"] for line in lines] == ["create", "verify", "erase"]
    assert lines[1]["decision"] == "reject"
    db = sqlite3.connect(tmp_path / "g/voiceprint.sqlite")
    for order in ("DELETE FROM audit", "UPDATE audit SET line = ''"):
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            db.execute(order)
    db.execute("DROP TRIGGER audit_is_fixed")
    changed = json.dumps(lines[1] | {"decision": "accept"})
    db.execute("UPDATE audit SET line = ? WHERE number = 2", (changed,))
    db.commit()
    db.close()
    with pytest.raises(AuditBroken, match="line 2"):
        list(gallery.audit())


def test_ones_own_data_goes_out_and_in_again(tmp_path: Path, gallery: Gallery) -> None:
    gallery.put(Profile(id="ada", display_name="Ada", consent="yes"))
    gallery.enrol("ada", [voice(1), voice(2)])
    exported = json.loads(json.dumps(gallery.export("ada", by="ada herself")))
    elsewhere = opened(tmp_path / "elsewhere", read_key(new_key()))
    elsewhere.take_in(exported)
    assert elsewhere.profile("ada").consent == "yes"
    before, after = gallery.template("ada", MODEL), elsewhere.template("ada", MODEL)
    assert before is not None
    assert after is not None
    assert np.array_equal(before.centroid, after.centroid)
    with pytest.raises(SpeakerInvalid, match="here already"):
        elsewhere.take_in(exported)
    for broken in ({}, {"form": "x"}, exported | {"utterances": [{"vector": "!"}]}):
        with pytest.raises(SpeakerInvalid, match="no exported speaker"):
            gallery.take_in(broken)
    elsewhere.close()


@pytest.mark.parametrize("speaker", ["", "../x", "a b", "-x", "x" * 129, "a/b", "a\n"])
def test_ids_that_could_be_taken_for_something_else_are_refused(
    gallery: Gallery, speaker: str
) -> None:
    with pytest.raises(SpeakerInvalid):
        gallery.put(Profile(id=speaker))


def test_a_place_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(GalleryUnusable, match="cannot be used"):
        opened(tmp_path / "file")
    (tmp_path / "g").mkdir()
    (tmp_path / "g/voiceprint.sqlite").write_bytes(b"this is no database at all" * 99)
    with pytest.raises(GalleryUnusable, match="not a database"):
        opened(tmp_path / "g")


def test_search_is_exact_and_follows_what_is_dropped() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(500, DIMENSION)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    index = VoiceIndex(DIMENSION)
    for number, row in enumerate(rows):
        index.put(str(number), row)
    for number in range(0, 500, 3):
        index.drop(str(number))
    index.drop("nobody")
    left = [number for number in range(500) if number % 3]
    probe = unit(random.normal(size=DIMENSION))
    scores = {str(number): float(rows[number] @ probe) for number in left}
    best = sorted(scores, key=lambda name: -scores[name])[:7]
    found = index.search(probe, 7, -1.0)
    assert [each.speaker for each in found] == best
    assert [each.score for each in found] == pytest.approx([scores[name] for name in best])
    assert index.search(probe, 7, 2.0) == []
