"""How often two voices in one recording are noticed, by how they share it.

    python -m benchmarks.two_voices

Voices of Debian's synthesisers that the starter model was not trained on; needs espeak-ng, flite
and festival. The threshold is the model's own.
"""

from __future__ import annotations

import itertools
import random
import tempfile
from pathlib import Path

import numpy as np
from tests.support.voices import SENTENCES, speak

from holdfast.media import RATE_HZ, Waveform, read_audio
from holdfast.voiceprint import load_voice, starter_model
from holdfast.voiceprint._quality import split_similarity
from holdfast.voiceprint._voice import embed_speech

VOICES = (
    "flite:slt", "flite:rms", "flite:awb", "flite:kal16", "espeak:f2", "espeak:f5", "espeak:m3",
    "espeak:m7", "espeak:Storm", "espeak:travis", "espeak:Andy", "espeak:Annie",
    "festival:kal_diphone", "festival:ked_diphone",
)  # fmt: skip
_PAIRS = 40


def trimmed(path: Path) -> Waveform:
    waveform = read_audio(path)
    loud = np.flatnonzero(np.abs(waveform) > 0.02)
    return waveform[loud[0] : loud[-1]]


def cut(said: list[Waveform], start_s: float, stop_s: float) -> Waveform:
    """Return some seconds of all that a voice says."""
    return np.concatenate(said)[int(start_s * RATE_HZ) : int(stop_s * RATE_HZ)]


def layouts(said: dict[str, list[Waveform]]) -> dict[str, list[Waveform]]:
    pairs = list(itertools.permutations(said, 2))
    random.Random(1).shuffle(pairs)
    found: dict[str, list[Waveform]] = {
        f"one voice, {length:g} s": [cut(said[name], 0, length) for name in said]
        for length in (4.5, 9, 18)
    }
    for one_s, other_s in ((5, 5), (9, 3), (3, 3), (2, 2)):
        found[f"two, {one_s} s and {other_s} s"] = [
            np.concatenate([cut(said[a], 0, one_s), cut(said[b], 9, 9 + other_s)])
            for a, b in pairs[:_PAIRS]
        ]
    found["two, in turns of 2 s"] = [
        np.concatenate(
            [cut(said[who], 2 * turn, 2 * turn + 2) for turn in range(4) for who in (a, b)]
        )
        for a, b in pairs[:_PAIRS]
    ]
    found["two at once, 9 s"] = [
        cut(said[a], 0, 9) + cut(said[b], 9, 18) for a, b in pairs[:_PAIRS]
    ]
    return found


def main() -> None:
    voice = load_voice(starter_model(), "cpu")
    threshold = voice.scale.min_same_voice
    assert threshold is not None
    with tempfile.TemporaryDirectory() as folder:
        said = {
            name: [trimmed(speak(Path(folder), name, text)) for text in SENTENCES]
            for name in VOICES
        }
    print(f"taken for two voices below {threshold:.3f}")
    for name, recordings in layouts(said).items():
        embedded = embed_speech(voice, recordings)
        found = [None if e.windows is None else split_similarity(e.windows) for e in embedded]
        two = sum(value is not None and value < threshold for value in found)
        unknown = sum(value is None for value in found)
        print(f"{name:<22} {len(found):>3} recordings, {two:>3} taken for two, "
              f"{unknown:>3} not checked")  # fmt: skip


if __name__ == "__main__":
    main()
