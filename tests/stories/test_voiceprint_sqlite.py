"""What is SQLite's own: two files, closed to others; and the search in memory."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from holdfast.voiceprint.gallery import (
    Found,
    GalleryUnusable,
    Profile,
    UnknownSpeaker,
    Vault,
    VoiceIndex,
    new_key,
    read_key,
)
from holdfast.voiceprint.gallery._records import plain
from tests.support.galleries import DIMENSION, MODEL, Place, unit, voice

KEY = read_key(new_key())


def test_who_is_erased_is_gone_also_from_a_copy_of_the_templates(
    tmp_path: Path,
) -> None:
    gallery = Place("sqlite", str(tmp_path / "g")).open(KEY)
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
    old = Place("sqlite", str(copy)).open(KEY)
    assert [profile.id for profile in old.profiles()] == ["ben"]
    old.close()
    with pytest.raises(UnknownSpeaker):
        gallery.erase("ada")


def test_a_place_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(GalleryUnusable, match="cannot be used"):
        Place("sqlite", str(tmp_path / "file")).open(KEY)
    (tmp_path / "g").mkdir()
    (tmp_path / "g/voiceprint.sqlite").write_bytes(b"this is no database at all" * 99)
    with pytest.raises(GalleryUnusable, match="not a database"):
        Place("sqlite", str(tmp_path / "g")).open(KEY)


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


def test_search_finds_the_same_in_any_order_of_enrolment_and_erasure() -> None:
    """Names that come in order, out of order, again, and after a hole."""
    random = np.random.default_rng(1)
    index, kept = VoiceIndex(DIMENSION), dict[str, object]()
    names = [f"{number:04}" for number in range(300)]
    rows = np.stack([unit(row) for row in random.normal(size=(600, DIMENSION))])
    index.put_all(names, rows[:300])
    kept.update(zip(names, rows, strict=False))
    for step in range(300, 600):
        name = random.choice([*names, "", "zz", "zzz-longer-than-all", "a\u00e9"])[:200]
        if random.random() < 0.5:
            index.put(name, rows[step])
            kept[name] = rows[step]
        else:
            index.drop(name)
            kept.pop(name, None)
        assert len(index) == len(kept)
    for probe in rows[:20]:
        scores = {name: float(row @ probe) for name, row in kept.items()}
        best = sorted(scores, key=lambda name: -scores[name])[:5]
        assert [found.speaker for found in index.search(probe, 5, -1.0)] == best


def test_voices_that_an_earlier_version_enrolled_are_opened(tmp_path: Path) -> None:
    place = Place("sqlite", str(tmp_path / "g"))
    gallery = place.open(KEY)
    gallery.put(Profile(id="ada"))
    gallery.enrol("ada", [voice(1), voice(2)])
    new = gallery.utterances("ada")
    db = sqlite3.connect(tmp_path / "g/voiceprint-keys.sqlite")
    ((wrapped,),) = db.execute("SELECT key FROM wrapped").fetchall()
    db.close()
    for each in new:
        content = json.dumps(plain(each)).encode()
        sealed = Vault(KEY).seal("ada", wrapped, content, f"{each.id}:{MODEL}")
        place.order("UPDATE utterances SET sealed = ? WHERE id = ?", values=(sealed, each.id))
    old = gallery.utterances("ada")
    assert [each.vector.tolist() for each in old] == [each.vector.tolist() for each in new]
    assert [each.facts for each in old] == [each.facts for each in new]
    mean = unit(unit(voice(1).vector) + unit(voice(2).vector))
    assert gallery.search(MODEL, mean, 1, 0.9) == [Found("ada", pytest.approx(1))]
    gallery.close()


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_its_files_are_their_owners_only(tmp_path: Path) -> None:
    Place("sqlite", str(tmp_path / "g")).open(KEY).close()
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "g").iterdir()} == {0}
