"""Finding speech beside faster-whisper's own Silero, on the same recording; and how well it does.

    python -m benchmarks.vad [--rounds N] [--json FILE]

Needs flite. Both sides run in this process and take turns, on one core each. Exits with 1 when a
target is missed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.support.voices import SENTENCES, speak

from benchmarks.figures import Row, Section
from benchmarks.program import options, report
from holdfast.media import Waveform, audio_blocks, read_audio
from holdfast.speech import detect_speech
from holdfast.speech.engines.silero import SileroEngine, load_silero
from holdfast.wiring import starter_repositories

RATE_HZ, FRAME = 16_000, 512
MINUTES = 10
SNRS_DB = (None, 15.0, 10.0, 5.0)
# Of a recording's length, in real time.
AS_FAST, MOST_RTF, MOST_WRONG = 0.9, 0.02, 0.15
_GAP_FRAMES = 8
VOICES = ("flite:rms", "flite:slt", "flite:awb", "flite:kal16")


def corpus(folder: Path) -> tuple[Waveform, Any]:
    """Return sentences with pauses between them, and in which frames somebody speaks.

    A frame is speech where the voice, recorded without noise, is within 35 dB of its loudest, or
    in a gap of less than a quarter of a second between two such: plosives are silent, too.
    """
    random = np.random.default_rng(7)
    parts: list[Waveform] = []
    for voice in VOICES:
        for text in SENTENCES:
            pause = np.zeros(int(random.uniform(0.4, 2.0) * RATE_HZ), np.float32)
            parts += [pause, read_audio(speak(folder, voice, text))]
    clean = np.concatenate(parts)
    clean = clean[: len(clean) // FRAME * FRAME]
    power = np.square(clean.reshape(-1, FRAME)).mean(axis=1)
    loud = np.flatnonzero(power > power.max() / 10**3.5)
    spoken = np.zeros(len(power), bool)
    for one, following in zip(loud, np.append(loud[1:], loud[-1]), strict=True):
        spoken[one : following if following - one <= _GAP_FRAMES else one + 1] = True
    return clean, spoken


def noisy(clean: Waveform, spoken: Any, snr_db: float | None) -> Waveform:
    """Return the recording with pink noise so far below its speech."""
    if snr_db is None:
        return clean
    spectrum = np.fft.rfft(np.random.default_rng(3).standard_normal(len(clean)))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    noise = np.fft.irfft(spectrum, len(clean))
    frames = np.square(clean.reshape(-1, FRAME)).mean(axis=1)
    wanted = frames[spoken].mean() / 10 ** (snr_db / 10)
    noise *= np.sqrt(wanted / np.square(noise).mean())
    return (clean + noise).astype(np.float32)


def rates(engine: SileroEngine, sound: Waveform, spoken: Any) -> tuple[float, float]:
    """Return the shares of speech frames and of others that are taken for speech."""
    frames = np.array(engine.start().feed(sound)) >= 0.5
    return float(frames[spoken].mean()), float(frames[~spoken].mean())


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def measure(rounds: int, folder: Path) -> list[Section]:
    """Return the figures."""
    from faster_whisper.vad import get_speech_timestamps

    starter_repositories(folder / "starter")
    (graph,) = (folder / "starter").rglob("silero_vad.onnx")
    engine = load_silero(graph.parent)
    clean, spoken = corpus(folder)
    long = np.tile(clean, -(-MINUTES * 60 * RATE_HZ // len(clean)))[: MINUTES * 60 * RATE_HZ]
    from tests.support.voices import write_wav

    path = write_wav(folder / "long.wav", long)
    blocks = [long[start : start + 10 * RATE_HZ] for start in range(0, len(long), 10 * RATE_HZ)]

    def streamed() -> None:
        stream = engine.start()
        for start in range(0, len(long), FRAME):
            stream.feed(long[start : start + FRAME])

    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: detect_speech(engine, blocks),
        "peer": lambda: get_speech_timestamps(long),
        "file": lambda: detect_speech(engine, audio_blocks(path)),
        "stream": streamed,
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-1, rounds):
        for name, act in ways.items():
            seconds = timed(act)
            if number >= 0:
                found[name].append(seconds)
    length = len(long) / RATE_HZ
    speed = [
        Row(f"{MINUTES} min in memory", "s", found["ours"], found["peer"], target=AS_FAST),
        Row("a file, decoding and all, of its length", "", [s / length for s in found["file"]], [],
            target=MOST_RTF, compare="ours"),
        Row("a stream of 32 ms a piece, of its length", "",
            [s / length for s in found["stream"]], [], target=MOST_RTF, compare="ours"),
    ]  # fmt: skip
    judged = []
    for snr_db in SNRS_DB:
        hit, false = rates(engine, noisy(clean, spoken, snr_db), spoken)
        name = "clean" if snr_db is None else f"{snr_db:g} dB"
        judged += [
            Row(f"speech that is missed, {name}", "", [1 - hit], [], MOST_WRONG, "ours"),
            Row(f"silence taken for speech, {name}", "", [false], [], MOST_WRONG, "ours"),
        ]
    about = f"Silero in {graph.name}; faster-whisper's own wrapper of it beside"
    return [
        Section("voice activity", about, speed, peer="faster-whisper"),
        Section("voice activity", f"{len(spoken)} frames of {len(VOICES)} flite voices, pink noise",
                judged, peer="-"),
    ]  # fmt: skip


def main() -> int:
    """Measure and print."""
    chosen = options("vad", __doc__, rounds=5).parse_args()
    return report(lambda folder: measure(chosen.rounds, folder), chosen.json)


if __name__ == "__main__":
    sys.exit(main())
