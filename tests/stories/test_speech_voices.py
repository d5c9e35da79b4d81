"""Voices that really speak: espeak-ng, and what is heard of it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soxr

from holdfast.errors import MissingExtra
from holdfast.media import RATE_HZ, Waveform
from holdfast.runtime import CalledOff, EngineUnusable, Provided
from holdfast.runtime._jobs import working_on
from holdfast.speech import OptionInvalid, ReadOptions, SynthesisEngine
from holdfast.speech.engines.espeak import DATA, EspeakEngine, load_espeak
from tests.support.engines import spec
from tests.unit.test_runtime_requests import running

TEXT = "Seven small boats were painted blue."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data as a repository has it: in a place of its own, not in the wheel."""
    loader = pytest.importorskip("espeakng_loader", reason="espeakng-loader is not installed")
    root = tmp_path_factory.mktemp("espeak")
    shutil.copytree(loader.get_data_path(), root / DATA)
    return root


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[EspeakEngine]:
    loaded = load_espeak(folder)
    yield loaded
    loaded.close()


def seconds(engine: SynthesisEngine, sound: Waveform) -> float:
    """Return how long somebody speaks in it, without the quiet around that."""
    loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
    return float(loud[-1] - loud[0]) / engine.rate_hz


def pitch_hz(engine: SynthesisEngine, sound: Waveform) -> float:
    """Return the usual pitch, by the repetition of the sound in its louder parts."""
    length = engine.rate_hz // 20
    found = []
    for start in range(0, len(sound) - length, length):
        part = sound[start : start + length]
        if np.abs(part).max() < 0.1:
            continue
        alike = np.correlate(part, part, "full")[length - 1 :]
        near, far = engine.rate_hz // 400, engine.rate_hz // 60
        at = near + int(np.argmax(alike[near:far]))
        if alike[at] > 0.5 * alike[0]:
            found.append(engine.rate_hz / at)
    return float(np.median(found))


def test_it_speaks_at_its_own_rate_and_loud_enough(engine: EspeakEngine) -> None:
    sound = engine.speak(TEXT, "en-us", 1.0)
    assert engine.rate_hz == 22_050
    assert (sound.dtype, sound.ndim) == (np.float32, 1)
    assert 0.1 < float(np.abs(sound).max()) <= 1
    assert 1.0 < seconds(engine, sound) < 4.0


def test_words_can_be_read_back(engine: EspeakEngine) -> None:
    from pocketsphinx import get_model_path

    from holdfast.speech.engines.sphinx import load_sphinx

    reader = load_sphinx(Path(get_model_path()) / "en-us")
    said = ["one two three", "yesterday", "the people of the united states"]
    clips = [
        np.pad(soxr.resample(engine.speak(text, "en-us+f2", 0.9), 22_050, RATE_HZ), 4_000)
        for text in said
    ]
    found = reader.read(clips, ["en"] * len(clips), ReadOptions())
    read = [" ".join(passage.text for passage in passages) for passages in found]
    assert (
        jiwer.wer(said, read) < 0.7
    )  # the reader is of low accuracy; of noise it makes 1 and more
    reader.close()


def test_it_speaks_faster_and_slower(engine: EspeakEngine) -> None:
    usual = seconds(engine, engine.speak(TEXT, "en-us", 1.0))
    for speed in (0.5, 0.8, 1.5, 2.0, 3.0, 4.0):
        ratio = seconds(engine, engine.speak(TEXT, "en-us", speed)) * speed / usual
        assert 0.7 < ratio < 1.3, speed
    assert len(engine.speak(TEXT, "en-us", 0.25)) > 1.8 * usual * engine.rate_hz


def test_its_voices_are_languages_and_variants(engine: EspeakEngine) -> None:
    voices = {voice.id: voice.language for voice in engine.voices}
    assert engine.voices[0].id == "en-us"
    assert len(voices) == len(engine.voices) > 100
    assert voices["en-us"] == voices["en-us+f3"] == voices["en-gb"] == "en"
    assert (voices["de"], voices["fr-fr"], voices["cmn"], voices["nb"]) == ("de", "fr", "zh", "no")
    high, low = (pitch_hz(engine, engine.speak(TEXT, f"en-us+{v}", 1.0)) for v in ("f3", "m2"))
    assert high > 1.3 * low
    assert len(engine.speak("Hallo Welt", "de+f2", 1.0)) > 0


def test_languages_differ_in_how_they_read_the_same(engine: EspeakEngine) -> None:
    found = [engine.speak("Die Station 21", voice, 1.0) for voice in ("de", "en-us", "fr-fr")]
    apart = np.abs(np.subtract.outer(*2 * [[len(sound) for sound in found]]))
    assert apart[np.triu_indices(3, 1)].min() > 0.05 * engine.rate_hz
    known = {voice.id for voice in engine.voices}
    assert not known & {"fo", "xex"}  # listed in the data, and without a word in it
    for voice in engine.voices:
        assert np.abs(engine.speak("a 7", voice.id, 2.0)).max() > 0.01, voice


def test_a_code_means_the_language_that_its_data_says(engine: EspeakEngine) -> None:
    for code, language in {"en": "en-gb", "fr": "fr-fr", "no": "nb", "zh-cmn": "cmn"}.items():
        ours, theirs = (len(engine.speak("a 77", name, 1.0)) for name in (code, language))
        assert abs(ours - theirs) < 0.02 * engine.rate_hz, code


@pytest.mark.parametrize("text", ["", " ", "...", "\0\0", "—", "\ud800", "<speak>[[h@l]]</speak>"])
def test_odd_texts_are_sound_or_silence_and_no_error(engine: EspeakEngine, text: str) -> None:
    sound = engine.speak(text, "en-us", 1.0)
    assert sound.dtype == np.float32
    assert len(sound) < 10 * engine.rate_hz


@pytest.mark.parametrize("voice", ["", "xx", "en-us+zz", "en-us+", "../../etc", "en-us+../f1"])
def test_a_voice_that_it_has_not_is_refused(engine: EspeakEngine, voice: str) -> None:
    with pytest.raises(OptionInvalid) as caught:
        engine.speak(TEXT, voice, 1.0)
    assert caught.value.facts["param"] == "voice"


def test_several_threads_get_their_own_words(engine: EspeakEngine) -> None:
    texts = [f"{TEXT} {'and more ' * number}" for number in range(8)]
    alone = [len(engine.speak(text, "en-us", 1.0)) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: len(engine.speak(text, "en-us", 1.0)), texts))
    # It dithers the length of pauses by some samples.
    assert np.abs(np.subtract(alone, together)).max() < 0.02 * engine.rate_hz


class _CalledOffSoon:
    """Work that is no longer wanted after it has been looked at some times."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    @property
    def unwanted(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_it_stops_when_it_is_called_off(engine: EspeakEngine) -> None:
    job = _CalledOffSoon(5)
    with working_on(job), pytest.raises(CalledOff):  # type: ignore[arg-type]
        engine.speak(TEXT * 200, "en-us", 1.0)
    assert job.left == -1  # and was not asked to go on
    assert len(engine.speak(TEXT, "en-us", 1.0)) > 0


def _say(engine: SynthesisEngine, text: str) -> Waveform:
    return engine.speak(text, "en-us", 1.0)


def test_it_runs_in_a_process_of_its_own(folder: Path) -> None:
    model = spec(
        "say", isolate=True, load=load_espeak, provide=lambda _: Provided(folder, "c" * 40)
    )
    with running(model) as supervisor:
        sound = supervisor.ask("say", _say, TEXT)
    assert 1.0 < len(sound) / 22_050 < 4.0


def test_what_it_cannot_use_is_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineUnusable, match="phontab"):
        load_espeak(tmp_path)
    with pytest.raises(EngineUnusable, match="cuda"):
        load_espeak(folder, "cuda")
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr("holdfast.speech.engines._espeak_library._loaded", None)
    with pytest.raises(MissingExtra) as caught:
        load_espeak(folder)
    assert caught.value.hint == "pip install 'holdfast[espeak]'"
