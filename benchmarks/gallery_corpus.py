"""A gallery of many speakers, made quickly: sealed as the gallery does, and put in at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from holdfast.voiceprint.gallery import Profile, SpeakerRow, Utterance, UtteranceRow, Vault
from holdfast.voiceprint.gallery._records import packed
from holdfast.voiceprint.gallery._search import what_is_sealed

__all__ = ["DIMENSION", "KEY", "MODEL", "fill_gallery", "name_of", "unit_rows_of"]

KEY = bytes(range(32))
MODEL = "m" * 16
DIMENSION = 192
_CHUNK = 50_000


def name_of(number: int) -> str:
    """Return a speaker's id."""
    return f"speaker-{number:07}"


def unit_rows_of(count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield vectors of length 1 in chunks, float32, the same for the same seed."""
    random = np.random.default_rng(seed)
    for start in range(0, count, _CHUNK):
        rows = random.standard_normal((min(_CHUNK, count - start), DIMENSION), dtype=np.float32)
        yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fill_gallery(folder: Path, rows: Iterator[np.ndarray]) -> None:
    """Put one utterance of each speaker into a SQLite gallery that was opened once before."""
    vault = Vault(KEY)
    db = sqlite3.connect(folder / "voiceprint.sqlite", isolation_level=None)
    db.execute("ATTACH DATABASE ? AS keys", (str(folder / "voiceprint-keys.sqlite"),))
    db.execute("PRAGMA synchronous = OFF")
    done = 0
    for chunk in rows:
        made = [_sealed(vault, name_of(done + at), row) for at, row in enumerate(chunk)]
        done += len(chunk)
        db.execute("BEGIN")
        speakers, utterances = [row for row, _ in made], [row[:4] for _, row in made]
        db.executemany("INSERT INTO speakers VALUES (?, ?)", [(s.id, s.profile) for s in speakers])
        db.executemany("INSERT INTO keys.wrapped VALUES (?, ?)", [s[:2] for s in speakers])
        db.executemany(
            "INSERT INTO utterances (id, speaker, model, sealed) VALUES (?, ?, ?, ?)", utterances
        )
        db.executemany("INSERT INTO changes (speaker) VALUES (?)", [(s.id,) for s in speakers])
        db.execute("COMMIT")
    db.close()


def _sealed(vault: Vault, name: str, vector: np.ndarray) -> tuple[SpeakerRow, UtteranceRow]:
    wrapped = vault.new_speaker_key(name)
    facts = {"speech_s": 5.0, "snr_db": 21.5, "clipped": 0.0, "same_voice": 0.8}
    said = Utterance(vector=vector, model=MODEL, speech_s=5.0, facts=facts, id=f"u-{name}")
    row = UtteranceRow(said.id, name, MODEL, b"")
    sealed = vault.seal(name, wrapped, packed(said), what_is_sealed(row))
    profile = vault.seal(name, wrapped, repr(Profile(id=name)).encode(), "profile")
    return SpeakerRow(name, wrapped, profile), row._replace(sealed=sealed)
