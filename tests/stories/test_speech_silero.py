"""Silero on real speech: the contract of a voice activity engine, and parity with the reference."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.vad import VadOptions as ReferenceOptions
from faster_whisper.vad import get_speech_timestamps, get_vad_model

from holdfast.media import RATE_HZ, Waveform, audio_blocks, read_audio
from holdfast.speech import (
    EngineUnusable,
    VadOptions,
    VoiceActivityEngine,
    detect_speech,
    sample_recording,
)
from holdfast.speech.engines.silero import MODEL_FILE, load_silero

# The form of the graph: where a package that may be installed keeps such a file.
GRAPHS = {
    "sequence": ("faster_whisper", "assets/silero_vad_v6.onnx"),
    "frame": ("silero_vad", "data/silero_vad.onnx"),
}


def model_folder(form: str, folder: Path) -> Path:
    package, path = GRAPHS[form]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the package {package} is not installed")
    folder.mkdir(exist_ok=True)
    shutil.copy(Path(spec.submodule_search_locations[0], path), folder / MODEL_FILE)
    return folder


@pytest.fixture(scope="module", params=sorted(GRAPHS))
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VoiceActivityEngine]:
    loaded = load_silero(model_folder(request.param, tmp_path_factory.mktemp("model")))
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def speech() -> Waveform:
    return read_audio(sample_recording())


def probabilities(engine: VoiceActivityEngine, waveform: Waveform, step: int) -> list[float]:
    stream = engine.start()
    found: list[float] = []
    for start in range(0, len(waveform), step):
        found += stream.feed(waveform[start : start + step])
    return [*found, *stream.finish()]


def test_the_sample_has_two_sentences_with_a_pause(
    engine: VoiceActivityEngine, speech: Waveform
) -> None:
    found = detect_speech(engine, [speech])
    (first, second) = [(segment.start_ms / 1000, segment.stop_ms / 1000) for segment in found]
    assert first == pytest.approx((0.48, 2.25), abs=0.1)
    assert second == pytest.approx((4.13, 6.73), abs=0.1)


def test_blocks_make_no_difference(engine: VoiceActivityEngine, speech: Waveform) -> None:
    whole = probabilities(engine, speech, len(speech))
    assert len(whole) == -(-len(speech) // engine.frame_samples)
    for step in (100, 512, 5000, 160_000):
        assert probabilities(engine, speech, step) == pytest.approx(whole, abs=1e-5)


def test_recordings_do_not_disturb_each_other(
    engine: VoiceActivityEngine, speech: Waveform
) -> None:
    alone = probabilities(engine, speech, 4000)
    one, other = engine.start(), engine.start()
    mixed: list[float] = []
    for start in range(0, len(speech), 4000):
        mixed += one.feed(speech[start : start + 4000])
        other.feed(speech[::-1][start : start + 4000])
    assert [*mixed, *one.finish()] == alone


def test_silence_and_nothing_have_no_speech(engine: VoiceActivityEngine) -> None:
    quiet = np.zeros(3 * RATE_HZ, np.float32)
    assert detect_speech(engine, [quiet]) == []
    assert detect_speech(engine, []) == []
    assert detect_speech(engine, [np.zeros(0, np.float32)]) == []


def test_probabilities_are_those_of_the_reference(tmp_path: Path, speech: Waveform) -> None:
    engine = load_silero(model_folder("sequence", tmp_path))
    rest = -len(speech) % engine.frame_samples
    expected = get_vad_model()(np.pad(speech, (0, rest)))

    found = probabilities(engine, speech, 7000)

    # The reference blanks the end of its last frame.
    assert found[:-1] == pytest.approx(expected[:-1].tolist(), abs=1e-6)
    assert found[-1] == pytest.approx(expected[-1], abs=0.01)


@pytest.mark.parametrize(
    "options",
    [
        VadOptions(),
        VadOptions(threshold=0.8, min_silence_ms=40),
        VadOptions(max_speech_s=1.0, speech_pad_ms=0),
        VadOptions(min_silence_ms=2000, speech_pad_ms=400, min_speech_ms=0),
    ],
)
def test_segments_are_those_of_the_reference(tmp_path: Path, options: VadOptions) -> None:
    engine = load_silero(model_folder("sequence", tmp_path))
    expected = get_speech_timestamps(
        read_audio(sample_recording()),
        ReferenceOptions(
            threshold=options.threshold,
            min_speech_duration_ms=options.min_speech_ms,
            max_speech_duration_s=options.max_speech_s,
            min_silence_duration_ms=options.min_silence_ms,
            speech_pad_ms=options.speech_pad_ms,
        ),
    )

    found = detect_speech(engine, audio_blocks(sample_recording(), block_samples=4800), options)

    assert [(s.start, s.stop) for s in found] == [(s["start"], s["end"]) for s in expected]


def test_a_folder_without_the_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineUnusable, match=MODEL_FILE):
        load_silero(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" * 500])
def test_a_file_that_is_no_model_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MODEL_FILE).write_bytes(content)
    with pytest.raises(EngineUnusable) as caught:
        load_silero(tmp_path)
    assert MODEL_FILE in caught.value.what
    assert caught.value.__cause__ is not None


def test_another_device_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(EngineUnusable, match="cuda"):
        load_silero(tmp_path, "cuda")
