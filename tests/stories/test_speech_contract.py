"""What every engine that speaks keeps to; VITS does in tests/libraries, where torch is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from holdfast.speech import OptionInvalid, SynthesisEngine, sentences
from holdfast.speech.engines.synthesis import load_synthesis
from tests.support.piper import write_piper

TEXT = "She packed four sandwiches. Dr. Smith paid $3.50 at 10:30; why? Nobody knows…"


def _espeak(folder: Path) -> Path:
    loader = pytest.importorskip("espeakng_loader", reason="espeakng-loader is not installed")
    shutil.copytree(loader.get_data_path(), folder / "espeak-ng-data")
    return folder


FOLDERS: dict[str, Callable[[Path], Path]] = {
    "espeak": _espeak,
    "piper": write_piper,
    "piper, several": lambda folder: write_piper(folder, speakers={"a": 0, "b": 1}),
}


@pytest.fixture(scope="module", params=FOLDERS)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SynthesisEngine]:
    loaded = load_synthesis(FOLDERS[request.param](tmp_path_factory.mktemp("voice")))
    yield loaded
    loaded.close()


def test_it_has_a_rate_and_voices_of_different_names(engine: SynthesisEngine) -> None:
    assert 8_000 <= engine.rate_hz <= 48_000
    names = [voice.id for voice in engine.voices]
    assert len(set(names)) == len(names) > 0
    assert all(voice.language.isalpha() and voice.language.islower() for voice in engine.voices)


def test_sentences_are_sound_within_bounds(engine: SynthesisEngine) -> None:
    parts = sentences(TEXT)
    assert len(parts) == 3
    for part in parts:
        sound = engine.speak(part, engine.voices[0].id, 1.0)
        assert (sound.dtype, sound.ndim) == (np.float32, 1)
        assert len(sound) > engine.rate_hz / 10
        assert 0.01 < float(np.abs(sound).max()) <= 1.0


def test_faster_is_shorter(engine: SynthesisEngine) -> None:
    voice = engine.voices[0].id
    lengths = [len(engine.speak(TEXT[:27], voice, speed)) for speed in (0.5, 1.0, 2.0, 4.0)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > 2 * lengths[2]


def test_an_unknown_voice_is_refused_by_name(engine: SynthesisEngine) -> None:
    for voice in ("nobody", "", "\0", "x" * 500):
        with pytest.raises(OptionInvalid) as caught:
            engine.speak(TEXT, voice, 1.0)
        assert caught.value.facts["param"] == "voice"
        assert len(str(caught.value)) < 400


def test_several_threads_are_answered(engine: SynthesisEngine) -> None:
    voice = engine.voices[-1].id
    texts = [f"{'word ' * number}." for number in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        lengths = [len(sound) for sound in pool.map(lambda t: engine.speak(t, voice, 1.0), texts)]
    assert lengths == sorted(lengths)


def test_importing_the_engines_loads_no_library() -> None:
    code = (
        "import sys, holdfast.speech.engines.synthesis, holdfast.speech._spelling\n"
        "heavy = {'torch', 'transformers', 'numpy', 'onnxruntime', 'espeakng_loader', 'av',\n"
        "         'unicode_rbnf'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
