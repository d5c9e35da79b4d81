"""Have the voices speak, and keep what they said: one file of samples, one of what is where.

python -m training.voiceprint.synthesis FOLDER        with espeak-ng, flite and festival
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from training.voiceprint.sentences import sentence
from training.voiceprint.voices import Voice, held_out_voices, training_voices

__all__ = ["SEED", "Corpus", "make_corpus", "speak"]

SEED = 20_240
RATE_HZ = 16_000
_LONGEST_S = 8.0
_QUIET = 0.01


class Corpus:
    """Recordings on disk, by speaker."""

    def __init__(self, folder: Path, name: str) -> None:
        self.samples: NDArray[np.int16] = np.load(folder / f"{name}.npy", mmap_mode="r")
        index = json.loads((folder / f"{name}.json").read_text("utf-8"))
        self.speakers: list[str] = index["speakers"]
        self.spans: list[list[tuple[int, int]]] = index["spans"]

    def recording(self, speaker: int, number: int) -> NDArray[np.float32]:
        """Return one recording: float32, shape (samples,), mono, 16 kHz."""
        start, stop = self.spans[speaker][number]
        return self.samples[start:stop].astype(np.float32) / 32_768


def make_corpus(folder: Path, name: str, voices: Sequence[Voice], each: int, seed: int) -> None:
    """Have every voice speak ``each`` sentences, and keep them as ``name``."""
    with ProcessPoolExecutor(2) as pool:
        tasks = [(voice, each, f"{seed} {voice.name}") for voice in voices]
        spoken = list(pool.map(_speak_all, tasks, chunksize=4))
    spans, position = [], 0
    for recordings in spoken:
        spans.append([])
        for recording in recordings:
            spans[-1].append((position, position + len(recording)))
            position += len(recording)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{name}.npy", np.concatenate([one for many in spoken for one in many]))
    index = {"speakers": [voice.name for voice in voices], "spans": spans}
    (folder / f"{name}.json").write_text(json.dumps(index))
    print(f"{name}: {len(voices)} speakers, {position / RATE_HZ / 3600:.2f} h")


def _speak_all(task: tuple[Voice, int, str]) -> list[NDArray[np.int16]]:
    voice, each, seed = task
    random_ = random.Random(seed)
    spoken: list[NDArray[np.int16]] = []
    while len(spoken) < each:
        # festival's Italian voices lack a few sounds, and then write nothing.
        with contextlib.suppress(EOFError):
            spoken.append(speak(voice, sentence(random_)))
    return spoken


def speak(voice: Voice, text: str) -> NDArray[np.int16]:
    """Return a sentence in a voice: int16, shape (samples,), 16 kHz, without silence at the ends.

    Raises:
        subprocess.CalledProcessError, OSError: the synthesiser is missing or has not the voice.
        EOFError: it cannot say this sentence.
    """
    with tempfile.TemporaryDirectory() as folder:
        said, heard = Path(folder, "said.txt"), Path(folder, "heard.wav")
        said.write_text(text)
        commands = {
            "espeak": ["espeak-ng", "-v", voice.voice, "-p", str(voice.pitch),
                       "-s", str(voice.words_per_minute), "-w", str(heard), "-f", str(said)],
            "flite": ["flite", "-voice", voice.voice, "-f", str(said), "-o", str(heard)],
            "festival": ["text2wave", "-eval", f"(voice_{voice.voice})", "-o", str(heard),
                         str(said)],
        }  # fmt: skip
        subprocess.run(commands[voice.program], check=True, capture_output=True, timeout=60)
        with wave.open(str(heard)) as file:
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    wave_form = soxr.resample(samples.astype(np.float32), rate * voice.tempo, RATE_HZ)
    peak = float(np.abs(wave_form).max())
    loud = np.flatnonzero(np.abs(wave_form) > _QUIET * peak)
    wave_form = wave_form[loud[0] : loud[-1] + 1][: int(_LONGEST_S * RATE_HZ)]
    return np.rint(wave_form * (16_384 / peak)).astype(np.int16)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    make_corpus(place, "held-out", held_out_voices(), 12, SEED + 1)
    make_corpus(place, "training", training_voices(SEED), 10, SEED)
