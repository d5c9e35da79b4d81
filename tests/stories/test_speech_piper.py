"""Voices in Piper's layout: phonemes of espeak-ng, their numbers, and a graph that really runs."""

# ruff: noqa: RUF001 - signs of the IPA

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.errors import HoldfastError
from holdfast.runtime import EngineAnswerInvalid, EngineUnusable, Provided
from holdfast.speech import OptionInvalid, SynthesisEngine, TextUnpronounceable
from holdfast.speech.engines.espeak import DATA
from holdfast.speech.engines.piper import PiperEngine, load_piper
from holdfast.speech.engines.synthesis import load_synthesis
from tests.support.engines import spec
from tests.support.piper import IDS, SAMPLES, hum, write_piper
from tests.unit.test_runtime_requests import running

SCALES = (0.667, 1.1, 0.8)
TEXT = "Hello world."
# As espeak-ng says it; a blank, which is 0, behind each and between.
PHONEMES = "həlˈoʊ wˈɜːld."


def numbers(phonemes: str) -> list[int]:
    found = [IDS["^"][0], 0]
    for phoneme in phonemes:
        found += [*IDS[phoneme], 0]
    return [*found, IDS["$"][0]]


@pytest.fixture
def engine(tmp_path: Path) -> PiperEngine:
    return load_piper(write_piper(tmp_path))


def test_a_sentence_is_what_the_graph_makes_of_its_phonemes(engine: PiperEngine) -> None:
    found = engine.speak(TEXT, "default", 1.0)
    assert engine.rate_hz == 22_050
    assert [(voice.id, voice.language) for voice in engine.voices] == [("default", "en")]
    expected = hum(numbers(PHONEMES), SCALES)
    assert (found.dtype, found.shape) == (np.float32, expected.shape)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_speed_makes_it_shorter(engine: PiperEngine) -> None:
    usual = SAMPLES * 1.1 * len(numbers(PHONEMES))
    for speed in (0.25, 0.5, 1.0, 2.0, 4.0):
        assert len(engine.speak(TEXT, "default", speed)) == pytest.approx(usual / speed, abs=1)


def test_punctuation_reaches_the_voice(engine: PiperEngine) -> None:
    said = {text: engine._signs(text) for text in ("Yes, no.", "Yes; no!", "Yes? (No): yes…")}
    assert [signs for signs in said["Yes, no."] if signs in ",.;!?:"] == [",", "."]
    assert [signs for signs in said["Yes; no!"] if signs in ",.;!?:"] == [";", "!"]
    assert [signs for signs in said["Yes? (No): yes…"] if signs in ",.;!?:"] == ["?", ":", "."]
    assert "naɪˈiːv" in engine._signs("naïve 3.5")
    assert "." not in engine._signs("naïve 3.5")


def test_speakers_are_voices_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    engine = load_piper(write_piper(tmp_path, speakers={"zoe": 0, "adam": 2, "eve": 1}))
    assert [voice.id for voice in engine.voices] == ["zoe", "eve", "adam"]
    for voice, speaker in {"zoe": 0, "adam": 2}.items():
        np.testing.assert_allclose(
            engine.speak(TEXT, voice, 1.0), hum(numbers(PHONEMES), SCALES, speaker), atol=2e-3
        )
    with pytest.raises(OptionInvalid, match="zoe, eve, adam"):
        engine.speak(TEXT, "default", 1.0)


def test_a_voice_of_letters_needs_no_espeak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    letters = {sign: IDS[sign] for sign in "_^$ abcdefghijklmnopqrstuvwxyz." if sign in IDS}
    folder = write_piper(
        tmp_path, phoneme_type="text", phoneme_id_map=letters, espeak={}, speaker_id_map={}
    )
    engine = load_piper(folder)
    expected = [IDS["^"][0], 0]
    for letter in "five doe":  # without g; numbers are spelled out, and capitals are small
        expected += [*IDS[letter], 0]
    expected.append(IDS["$"][0])
    np.testing.assert_allclose(
        engine.speak("5 DOGE", "default", 1.0), hum(expected, SCALES), atol=2e-3
    )
    with pytest.raises(TextUnpronounceable) as caught:
        engine.speak("你好", "default", 1.0)
    assert (caught.value.code, caught.value.http_status) == ("text-unpronounceable", 422)


@pytest.mark.parametrize("text", ["", "  ", "...", "— !"])
def test_where_there_is_nothing_to_say_there_is_no_sound(engine: PiperEngine, text: str) -> None:
    assert len(engine.speak(text, "default", 1.0)) == 0


REFUSED: dict[str, dict[str, Any]] = {
    "kind 'pinyin'": {"phoneme_type": "pinyin"},
    "KeyError: 'sample_rate'": {"audio": {}},
    "KeyError: 'voice'": {"espeak": {}},
    "no voice 'xx'": {"espeak": {"voice": "xx"}},
    "speakers are not 0 to 0": {"speaker_id_map": {"a": 4}},
    "AttributeError": {"phoneme_id_map": [1]},
    "cannot be loaded as a Piper voice": {"phoneme_id_map": {"a": [1]}, "num_speakers": 3},
}


@pytest.mark.parametrize("told", REFUSED)
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, told: str) -> None:
    with pytest.raises(EngineUnusable) as caught:
        load_piper(write_piper(tmp_path, **REFUSED[told]))
    assert told in f"{caught.value}"


def test_damage_is_said(tmp_path: Path) -> None:
    write_piper(tmp_path)
    (tmp_path / "voice.onnx").write_bytes((tmp_path / "voice.onnx").read_bytes()[:500])
    with pytest.raises(EngineUnusable, match="cannot be loaded"):
        load_piper(tmp_path)
    (tmp_path / "voice.onnx.json").write_text("{")
    with pytest.raises(EngineUnusable, match="does not describe"):
        load_piper(tmp_path)
    with pytest.raises(EngineUnusable, match="cuda"):
        load_piper(write_piper(tmp_path), "cuda:1")


@pytest.mark.parametrize("broken", ["nan", "empty"])
def test_an_answer_that_is_no_sound_is_an_error(tmp_path: Path, broken: str) -> None:
    with pytest.raises(EngineUnusable, match="the voice made no sound"):
        load_piper(write_piper(tmp_path, broken=broken))
    engine = load_piper(write_piper(tmp_path))
    harmed = PiperEngine(_Session(broken), engine._config, engine._signs)
    with pytest.raises(EngineAnswerInvalid):
        harmed.speak(TEXT, "default", 1.0)


class _Session:
    """A graph that was whole when it was loaded."""

    def __init__(self, broken: str) -> None:
        self._answer = np.full((1, 1, 1, 0 if broken == "empty" else 5), np.nan, np.float32)

    def run(self, _names: Any, _given: Any) -> list[Any]:
        return [self._answer]


def _say(engine: SynthesisEngine, text: str) -> Any:
    return engine.speak(text, "default", 1.0)


def test_it_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    folder = write_piper(tmp_path)
    model = spec(
        "say", isolate=True, load=load_synthesis, provide=lambda _: Provided(folder, "c" * 40)
    )
    with running(model) as supervisor:
        assert len(supervisor.ask("say", _say, TEXT)) == len(hum(numbers(PHONEMES), SCALES))


def test_the_engine_follows_from_the_folder(tmp_path: Path) -> None:
    assert isinstance(load_synthesis(write_piper(tmp_path)), PiperEngine)
    (tmp_path / "other.onnx").write_bytes(b"")
    (tmp_path / "other.onnx.json").write_text("{}")
    with pytest.raises(EngineUnusable, match=r"it has 2: other\.onnx, voice\.onnx"):
        load_synthesis(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(EngineUnusable) as caught:
        load_synthesis(empty)
    for part in (DATA, ".onnx.json", "model.safetensors", "nothing"):
        assert part in str(caught.value)
    (empty / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    with pytest.raises(EngineUnusable, match=r"model\.safetensors, vocab\.json"):
        load_synthesis(empty)
    for name in ("model.safetensors", "vocab.json", "tokenizer_config.json"):
        (empty / name).write_text("{}")
    with pytest.raises(EngineUnusable, match="'whisper'"):
        load_synthesis(empty)
    (empty / "config.json").write_text("[]")
    with pytest.raises(HoldfastError, match="cannot be read"):
        load_synthesis(empty)
