"""Whisper in CTranslate2 beside Transformers, on the same weights, laid out as whisper-tiny."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.runtime import EngineUnusable
from holdfast.speech import OptionInvalid, ReadOptions
from holdfast.speech.engines.whisper import WhisperEngine, load_whisper
from tests.libraries import environment
from tests.support.whisper_files import LANGUAGES

pytestmark = [pytest.mark.libraries]

CLIPS = 4
# So many tokens at least are written before Transformers goes on with another stretch of the clip.
ALIKE = 25


@pytest.fixture(scope="module")
def made(libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, what is made of it, and what Transformers reads; see whisper_parity.py."""
    return environment.made_by("whisper_parity.py", tmp_path_factory.mktemp("whisper"))


def greedy(folder: Path) -> WhisperEngine:
    engine = load_whisper(folder)
    engine._beam = 1
    return engine


def test_features_are_transformers(made: Path) -> None:
    kept = np.load(made / "answers.npz")
    engine = load_whisper(made / "converted-int8")
    found = engine._features([kept[f"clip_{number}"] for number in range(CLIPS)])
    for number in range(CLIPS):
        np.testing.assert_allclose(found[number], kept[f"features_{number}"], atol=1e-4)


def test_tokens_are_transformers_all_clips_at_once(made: Path) -> None:
    kept = np.load(made / "answers.npz")
    engine = greedy(made / "converted-float32")
    clips = [kept[f"clip_{number}"] for number in range(CLIPS)]
    tokenizer = engine._tokenizer("en", "transcribe")
    encoded = engine._model.encode(engine._features(clips))
    prompts = [engine._prompt(tokenizer, "")] * CLIPS
    heard = engine._generated(encoded, [tokenizer] * CLIPS, prompts, 0.0)
    for number in range(CLIPS):
        expected = kept[f"tokens_{number}"].tolist()
        assert len(expected) >= ALIKE
        assert heard[number].tokens[:ALIKE] == expected[:ALIKE]


def test_languages_are_as_probable_as_for_transformers(made: Path) -> None:
    kept = np.load(made / "answers.npz")
    engine = load_whisper(made / "converted-float32")
    assert engine.languages[0] == "en"
    assert sorted(engine.languages) == sorted(LANGUAGES)
    for number in range(CLIPS):
        probabilities = kept[f"language_{number}"]
        language, probability = engine.detect_language(kept[f"clip_{number}"])
        assert language == LANGUAGES[int(probabilities.argmax())]
        assert probability == pytest.approx(float(probabilities.max()), rel=1e-3)


def test_passages_keep_to_their_clips_and_words_to_their_passages(made: Path) -> None:
    kept = np.load(made / "answers.npz")
    engine = load_whisper(made / "converted-int8")
    clips = [kept[f"clip_{number}"] for number in range(CLIPS)]
    found = engine.read(clips, ["en", "de", "en", "fr"], ReadOptions(words=True, prompt="Ada said"))
    assert len(found) == CLIPS
    for clip, passages in zip(clips, found, strict=True):
        length = len(clip) / 16_000
        for passage in passages:
            assert 0 <= passage.start_s <= passage.end_s <= length
            assert passage.text == passage.text.strip() != ""
            assert passage.avg_logprob is not None
            for word in passage.words:
                assert 0 <= word.start_s <= word.end_s
                assert 0 <= word.probability <= 1
    assert engine.read([], [], ReadOptions()) == []


def test_nonsense_is_tried_again_ever_more_freely_unless_a_temperature_was_asked_for(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = np.load(made / "answers.npz")["clip_0"]
    engine, tried = load_whisper(made / "converted-int8"), list[float]()
    generated = engine._generated

    def noting(encoded: Any, tokenizers: Any, prompts: Any, temperature: float) -> Any:
        tried.append(temperature)
        return generated(encoded, tokenizers, prompts, temperature)

    monkeypatch.setattr(engine, "_generated", noting)
    engine.read([clip], ["en"], ReadOptions())  # random weights write nonsense
    assert tried == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    tried.clear()
    engine.read([clip], ["en"], ReadOptions(temperature=0.7))
    assert tried == [0.7]


def test_what_cannot_be_read_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineUnusable, match=r"no model\.bin"):
        load_whisper(made / "model")
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        (tmp_path / name).write_bytes((made / "converted-int8" / name).read_bytes())
    (tmp_path / "model.bin").write_bytes(b"rubbish")
    with pytest.raises(EngineUnusable, match="cannot be loaded"):
        load_whisper(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(EngineUnusable, match=r"no tokenizer\.json"):  # and none is asked for
        load_whisper(tmp_path)
    with pytest.raises(EngineUnusable, match="cuda"):
        load_whisper(made / "converted-int8", "cuda:7")
    english = load_whisper(made / "converted-int8")
    english._multilingual = False
    with pytest.raises(OptionInvalid, match="translate"):
        english.read([np.zeros(16_000, np.float32)], ["en"], ReadOptions(task="translate"))
