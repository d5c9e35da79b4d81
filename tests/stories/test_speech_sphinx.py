"""The starter set's reader, on speech that synthesisers really made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import jiwer
import numpy as np
import pytest
from pocketsphinx import get_model_path

from holdfast.media import read_audio
from holdfast.runtime import EngineUnusable
from holdfast.speech import OptionInvalid, ReadOptions
from holdfast.speech.engines.sphinx import SphinxEngine, load_sphinx
from tests.support.voices import SENTENCES, speak

MODEL = Path(get_model_path()) / "en-us"


@pytest.fixture(scope="module")
def engine() -> Iterator[SphinxEngine]:
    loaded = load_sphinx(MODEL)
    yield loaded
    loaded.close()


@pytest.mark.parametrize("voice", ["flite:rms", "festival:kal_diphone"])
def test_most_words_are_read(engine: SphinxEngine, tmp_path: Path, voice: str) -> None:
    clips = [read_audio(speak(tmp_path, voice, text)) for text in SENTENCES]
    found = engine.read(clips, ["en"] * len(clips), ReadOptions(words=True))
    expected = ["".join(c for c in text.lower() if c.isalpha() or c == " ") for text in SENTENCES]
    read = [" ".join(passage.text for passage in passages) for passages in found]
    assert jiwer.wer(expected, read) < 0.45  # low accuracy is what it says of itself
    for clip, (passage,) in zip(clips, found, strict=True):
        assert 0 <= passage.start_s < passage.end_s <= len(clip) / 16_000 + 0.02
        assert " ".join(word.text for word in passage.words) == passage.text
        starts = [word.start_s for word in passage.words]
        assert starts == sorted(starts)
        assert not any(sign in passage.text for sign in "<>[]()+")


def test_silence_and_noise_are_no_text_that_ends_in_an_error(engine: SphinxEngine) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 32_000).astype(np.float32)
    for clip in (np.zeros(32_000, np.float32), noise, np.zeros(100, np.float32)):
        (passages,) = engine.read([clip], ["en"], ReadOptions())
        assert all(passage.text for passage in passages)
    assert engine.read([], [], ReadOptions()) == []


def test_what_it_cannot_do_is_said(engine: SphinxEngine, tmp_path: Path) -> None:
    with pytest.raises(OptionInvalid, match="translate"):
        engine.read([np.zeros(9_000, np.float32)], ["en"], ReadOptions(task="translate"))
    with pytest.raises(EngineUnusable, match="no model"):
        load_sphinx(tmp_path)
    with pytest.raises(EngineUnusable, match="cuda"):
        load_sphinx(MODEL, "cuda")


def test_a_pause_parts_passages_and_nothing_is_carried_over(
    engine: SphinxEngine, tmp_path: Path
) -> None:
    first, second = (read_audio(speak(tmp_path, "flite:rms", text)) for text in SENTENCES[:2])
    pause = np.zeros(16_000, np.float32)
    joined = np.concatenate([first, pause, second])
    (passages,) = engine.read([joined], ["en"], ReadOptions(words=True))
    assert len(passages) == 2
    begins = (len(first) + len(pause)) / 16_000
    assert passages[0].end_s < len(first) / 16_000 + 0.2
    assert passages[1].start_s == pytest.approx(begins, abs=0.5)


def test_what_was_read_before_changes_nothing(engine: SphinxEngine, tmp_path: Path) -> None:
    first, second = (read_audio(speak(tmp_path, "flite:rms", text)) for text in SENTENCES[:2])
    noise = np.random.default_rng(1).normal(0, 0.3, 48_000).astype(np.float32)
    options = ReadOptions(words=True)
    with closing(load_sphinx(MODEL)) as new:
        alone = new.read([second], ["en"], options)
    for before in (first, noise, first[:7_000], second):
        assert engine.read([before, second], ["en", "en"], options)[1] == alone[0]
    (passage,) = alone[0]
    probabilities = [word.probability for word in passage.words]
    assert passage.avg_logprob == pytest.approx(np.log(probabilities).mean())
    assert passage.avg_logprob < 0
