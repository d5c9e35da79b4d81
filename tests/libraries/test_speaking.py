"""VITS in the layout of facebook/mms-tts-eng: beside Transformers, and what is refused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.libraries import environment

pytestmark = [pytest.mark.libraries]

SPEEDS = (0.5, 1.0, 3.0)
SENTENCES = 5
VOICES = {"english": ["default"], "several": ["0", "1", "2"], "steady": ["default"],
          "unblanked": ["default"]}  # fmt: skip
# Of full scale. What is computed once instead of in every call is rounded differently at most.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def made(libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Transformers says, and our engine; see speaking_parity.py."""
    return environment.made_by("speaking_parity.py", tmp_path_factory.mktemp("speaking"))


@pytest.fixture(scope="module")
def told(made: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made / "told.json").read_text())
    return found


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("kind", VOICES)
def test_the_sound_is_transformers(made: Path, kind: str, speed: float) -> None:
    kept = np.load(made / "answers.npz")
    heard = []
    for voice in VOICES[kind]:
        for number in range(SENTENCES):
            ours, plain = (
                kept[f"{side} {kind} {voice} {speed} {number}"] for side in ("ours", "plain")
            )
            assert ours.dtype == np.float32
            assert len(ours) > 100
            assert np.abs(ours).max() > 0.01
            np.testing.assert_allclose(ours, np.clip(plain, -1, 1), atol=TOLERANCE, rtol=0)
            heard.append(ours[:1000].tobytes())
    assert len(set(heard)) == len(heard)  # no two sentences, and no two voices, sound the same


@pytest.mark.parametrize("kind", VOICES)
def test_speed_makes_it_shorter(made: Path, kind: str) -> None:
    kept = np.load(made / "answers.npz")
    lengths = [
        sum(len(kept[f"ours {kind} {VOICES[kind][0]} {speed} {n}"]) for n in range(SENTENCES))
        for speed in SPEEDS
    ]
    # A sign takes one frame at least, whatever the speed.
    assert all(slower > 1.3 * faster for slower, faster in pairwise(lengths))


def test_a_model_of_phonemes_gets_them_from_espeak(made: Path) -> None:
    kept = np.load(made / "answers.npz")
    assert len(kept["ours phonemes"]) > 1000
    np.testing.assert_allclose(kept["ours phonemes"], kept["plain phonemes"], atol=TOLERANCE)


def test_voices_are_the_models_speakers_in_its_language(told: dict[str, Any]) -> None:
    for kind, voices in VOICES.items():
        assert told[kind]["voices"] == [[voice, "en"] for voice in voices]
        assert told[kind]["rate_hz"] == 16_000
    assert told["no voice"].startswith("option-invalid: there is no voice '7'")
    assert told["uroman language"] == "ko"


def test_the_same_text_sounds_the_same_whatever_else_goes_on(told: dict[str, Any]) -> None:
    assert told["again"]
    assert told["together"]
    assert told["noise left alone"]


def test_what_cannot_be_said_is_silence_or_an_error(told: dict[str, Any]) -> None:
    for text in ("", " ...", "!?"):
        assert told[f"says {text}"] == "0"
    for text in ("你好", "Привет"):
        assert told[f"says {text}"].startswith("text-unpronounceable: ")
    assert int(told["uroman latin"]) > 1000
    assert told["uroman other"].startswith("text-unpronounceable: this voice reads Latin letters")
    assert told["not a number"].startswith("engine-answer-invalid: ")


REFUSED = {
    "a pickle": "model.safetensors is not there, but",
    "cut short": "cannot be loaded as a VITS voice",
    "some weights missing": "1 weights are not there, such as decoder.conv_post.weight",
    "no vocabulary": "vocab.json is not there",
    "a vocabulary of another": "vocab.json has more signs than the model",
    "no config": "holds no voice that is known here",
    "another kind": "its config.json is of 'whisper'",
    "another size": "cannot be loaded as a VITS voice",
    "code": "its config.json is of 'holdfast-unknown'",
}


@pytest.mark.parametrize("harm", REFUSED)
def test_what_is_no_voice_is_refused_and_nothing_of_it_is_run(
    told: dict[str, Any], harm: str
) -> None:
    assert told["refused"][harm].startswith("engine-unusable: ")
    assert REFUSED[harm] in told["refused"][harm]
    assert not told["ran"]


def test_a_device_that_is_not_there_is_refused(told: dict[str, Any]) -> None:
    assert told["device"].startswith("engine-unusable: ")
    assert "cuda:7" in told["device"]
