"""Recordings are read from their first block to the transcript, on real engines in a supervisor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jiwer
import numpy as np
import pytest
from pocketsphinx import get_model_path

from holdfast.events import Reporter
from holdfast.media import Waveform, audio_blocks, read_audio
from holdfast.runtime import ModelSpec, Provided, Supervisor, carry_out
from holdfast.speech import OptionInvalid, Passage, Reading, ReadingRequest, ReadOptions, Transcript
from holdfast.speech.engines.silero import load_silero
from holdfast.speech.engines.sphinx import load_sphinx
from holdfast.wiring import starter_repositories
from tests.support.voices import SENTENCES, mixed, speak, write_wav

VOICE = "flite:rms"


@pytest.fixture(scope="module", params=[False, True], ids=["together", "apart"])
def reading(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reading]:
    """Both models in this process, or each in one of its own."""
    root = tmp_path_factory.mktemp("models")
    starter_repositories(root)
    (silero,) = root.rglob("silero_vad.onnx")
    sphinx = Path(get_model_path()) / "en-us"

    def spec(name: str, folder: Path, load: object) -> ModelSpec:
        def provide(report: Reporter) -> Provided:
            return Provided(folder, "0" * 40)

        return ModelSpec(
            id=name, task="t", repository="r", revision="v", licence="l", provide=provide,
            load=load, isolate=request.param, max_batch=4,  # type: ignore[arg-type]
        )  # fmt: skip

    supervisor = Supervisor(
        [spec("vad", silero.parent, load_silero), spec("stt", sphinx, load_sphinx)]
    )
    supervisor.start()
    try:
        assert supervisor.wait_ready(60)
        yield Reading(supervisor, "stt", "vad")
    finally:
        supervisor.close()


def read(reading: Reading, path: Path, **asked: object) -> Transcript:
    request = ReadingRequest(**asked)  # type: ignore[arg-type]
    return carry_out(reading.read(audio_blocks(path), request))


def plain(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalpha() or c == " ")


def test_a_recording_is_read_with_times_of_its_own(reading: Reading, tmp_path: Path) -> None:
    pause = write_wav(tmp_path / "pause.wav", np.zeros(4 * 16_000, np.float32))
    first, second = (speak(tmp_path, VOICE, text) for text in SENTENCES[:2])
    path = mixed(tmp_path, pause, first, pause, second)
    seen: list[Passage] = []
    steps = reading.read(
        audio_blocks(path),
        ReadingRequest(options=ReadOptions(words=True)),
        lambda passage, _: seen.append(passage),
    )
    found = carry_out(steps)
    assert jiwer.wer([plain(" ".join(SENTENCES[:2]))], [found.text]) < 0.45
    assert list(found.passages) == seen
    one, two = found.passages
    begins = len(read_audio(first)) / 16_000 + 8.75
    assert 3.8 < one.start_s < 5.5
    assert begins - 0.5 < two.start_s < begins + 1.5
    assert all(passage.start_s <= word.start_s for passage in seen for word in passage.words)
    assert found.duration_s == pytest.approx(len(read_audio(path)) / 16_000, abs=0.01)
    assert (found.language, found.task) == ("en", "transcribe")


def test_silence_and_nothing_are_an_empty_text(reading: Reading, tmp_path: Path) -> None:
    silence = write_wav(tmp_path / "silence.wav", np.zeros(16_000 * 70, np.float32))
    found = read(reading, silence)
    assert (found.text, found.passages, found.duration_s) == ("", [], 70.0)
    assert carry_out(reading.read(iter(()), ReadingRequest())).duration_s == 0


def test_what_cannot_be_done_is_said_before_anything_is_listened_to(
    reading: Reading,
) -> None:
    def never() -> Iterator[Waveform]:
        raise AssertionError("listened to")
        yield

    for asked in (
        ReadingRequest(language="de"),
        ReadingRequest(language="klingon"),
        ReadingRequest(options=ReadOptions(task="translate")),
    ):
        with pytest.raises(OptionInvalid):
            carry_out(reading.read(never(), asked))


def test_what_is_broken_in_the_middle_is_said_after_what_there_was(
    reading: Reading, tmp_path: Path
) -> None:
    seen: list[Passage] = []
    blocks = list(audio_blocks(speak(tmp_path, VOICE, SENTENCES[0])))
    pause = np.zeros(16_000 * 40, np.float32)

    def broken() -> Iterator[Waveform]:
        yield from (*blocks, pause)
        raise ValueError("cut")

    with pytest.raises(ValueError, match="cut"):
        carry_out(reading.read(broken(), ReadingRequest(), lambda passage, _: seen.append(passage)))
    assert len(seen) == 1
