"""One side of `benchmarks.reading`, in the Python that has its libraries.

    python -m benchmarks.reading_side make FOLDER      write a model of full size, and convert it
    python -m benchmarks.reading_side SIDE FOLDER      holdfast, faster-whisper, transformers

A side reads a number of streams, and of seconds, from each line of its input, reads as many
recordings at once (``FOLDER/SECONDS.wav``), and prints as JSON the seconds that took and the
letters that were read of one. A peer that keeps its clients apart reads one after another.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# Reads one recording; returns its text.
Read = Callable[[Path], str]
BEAM = 5
# Of openai/whisper-tiny.
SIZES: dict[str, Any] = {
    "d_model": 384, "encoder_layers": 4, "decoder_layers": 4, "encoder_attention_heads": 6,
    "decoder_attention_heads": 6, "encoder_ffn_dim": 1536, "decoder_ffn_dim": 1536,
}  # fmt: skip


def make(folder: Path) -> None:
    """Write the model, and what CTranslate2 makes of it."""
    from tests.libraries.standard_models import asks_for_letters
    from tests.libraries.whisper_parity import write_model_of

    from holdfast.speech.engines.whisper import convert_whisper

    write_model_of(folder / "model", SIZES, asks_for_letters)
    (folder / "converted").mkdir()
    convert_whisper(folder / "model", folder / "converted")


def faster_whisper(folder: Path) -> Read:
    """Return faster-whisper's own way, as its documentation shows it, one after another."""
    from threading import Lock

    from faster_whisper import WhisperModel

    model, turn = WhisperModel(str(folder / "converted"), device="cpu", cpu_threads=2), Lock()

    def read(path: Path) -> str:
        with turn:
            segments, _ = model.transcribe(
                str(path), language="en", beam_size=BEAM, vad_filter=True,
                condition_on_previous_text=False,
            )  # fmt: skip
            return "".join(segment.text for segment in segments)

    return read


def transformers(folder: Path) -> Read:
    """Return Transformers' own way: half a minute at a time, one after another."""
    from threading import Lock

    import torch
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration
    from transformers import WhisperTokenizerFast as Tokenizer

    torch.set_num_threads(2)
    model = WhisperForConditionalGeneration.from_pretrained(folder / "model").eval()
    extractor = WhisperFeatureExtractor.from_pretrained(folder / "model")
    tokenizer = Tokenizer(tokenizer_file=str(folder / "model/tokenizer.json"))
    turn = Lock()

    def read(path: Path) -> str:
        with turn, torch.inference_mode():
            samples, parts = _samples(path), []
            for start in range(0, len(samples), 480_000):
                heard = extractor(
                    samples[start : start + 480_000], sampling_rate=16_000, return_tensors="pt"
                )
                made = model.generate(
                    heard.input_features, language="en", task="transcribe", num_beams=BEAM
                )
                parts.append(tokenizer.decode(made[0], skip_special_tokens=True))
            return " ".join(parts)

    return read


def _samples(path: Path) -> Any:
    import wave

    import numpy as np

    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32_768


def holdfast(folder: Path) -> Read:
    """Return our own way: models in a supervisor, as the service runs them."""
    import atexit

    from holdfast.events import Reporter
    from holdfast.media import audio_blocks
    from holdfast.runtime import ModelSpec, Provided, Supervisor, carry_out
    from holdfast.speech import Reading, ReadingRequest
    from holdfast.speech.engines.silero import load_silero
    from holdfast.speech.engines.whisper import load_whisper
    from holdfast.wiring import starter_repositories

    starter_repositories(folder / "starter")
    (silero,) = (folder / "starter").rglob("silero_vad.onnx")

    def spec(name: str, place: Path, load: Any, **how: Any) -> ModelSpec:
        def provide(report: Reporter) -> Provided:
            del report
            return Provided(place, "0" * 40)

        return ModelSpec(
            id=name, task="t", repository="r", revision="v", licence="l", provide=provide,
            load=load, **how,
        )  # fmt: skip

    reader = spec("stt", folder / "converted", load_whisper, isolate=True, max_batch=8)
    supervisor = Supervisor([spec("vad", silero.parent, load_silero, threads=2), reader])
    supervisor.start()
    atexit.register(supervisor.close)
    assert supervisor.wait_ready(60)
    reading = Reading(supervisor, "stt", "vad")

    def read(path: Path) -> str:
        return carry_out(reading.read(audio_blocks(path), ReadingRequest(language="en"))).text

    return read


SIDES: dict[str, Callable[[Path], Read]] = {
    "holdfast": holdfast, "faster-whisper": faster_whisper, "transformers": transformers,
}  # fmt: skip


def main(side: str, folder: Path) -> None:
    """Answer every line."""
    if side == "make":
        make(folder)
        return
    read = SIDES[side](folder)
    for line in sys.stdin:
        streams, seconds = map(int, line.split())
        path = folder / f"{seconds}.wav"
        started = time.perf_counter()
        with ThreadPoolExecutor(streams) as pool:
            texts = list(pool.map(read, [path] * streams))
        print(json.dumps([time.perf_counter() - started, len(texts[0])]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
