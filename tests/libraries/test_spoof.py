"""Detectors that Transformers loads: beside Transformers itself, and mounted in `standard`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from holdfast.mirror import Repositories, running_hub
from holdfast.voiceprint import starter_model
from holdfast.wiring import starter_repositories
from holdfast.wiring._provide import SPOOF_HUB_REPO, VAD_HUB_REPO, VOICE_HUB_REPO
from holdfast.wiring._starter import VAD_REPO
from tests.libraries import environment
from tests.support.serving import NO_DOCUMENTS
from tests.support.voices import SENTENCES, speak

pytestmark = [pytest.mark.libraries]

KINDS = {"wav2vec2": 0, "hubert": 1, "wavlm": 1, "several": 1}
CLIPS = 5


@pytest.fixture(scope="module")
def made(libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Transformers says, and our engine; see spoof_parity.py."""
    return environment.made_by("spoof_parity.py", tmp_path_factory.mktemp("detectors"))


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_log_odds_of_transformers(made: Path, kind: str) -> None:
    kept = np.load(made / "answers.npz")
    for number in range(CLIPS):
        logits = kept[f"{kind}_{number}"].astype(float)
        own = KINDS[kind]
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        odds = np.log(chances[:, own] / (1 - chances[:, own]))
        expected = np.average(odds, weights=kept[f"{kind}_lengths_{number}"])
        assert float(kept[f"{kind}_ours_{number}"]) == pytest.approx(expected, abs=2e-4)
    assert len({round(float(kept[f"{kind}_ours_{number}"]), 3) for number in range(CLIPS)}) > 1


REFUSED = {
    "another label": "real, fake HOLDFAST_VOICEPRINT_SPOOF_BONA_FIDE=",
    "a number where there are labels": "given as '0', and it has: real, fake",
    "a pickle": "neither model.safetensors nor one ONNX graph",
    "code": "cannot be loaded as a detector",
    "cut short": "cannot be loaded as a detector",
    "no config": "cannot be loaded as a detector",
    "no preprocessor": "cannot be loaded as a detector",
    "another rate": "it wants 8000 Hz",
}


@pytest.mark.parametrize("harm", REFUSED)
def test_what_is_no_detector_is_refused_and_nothing_of_it_is_run(made: Path, harm: str) -> None:
    told = json.loads((made / "refused.json").read_text())
    assert told[harm].startswith("engine-unusable: ")
    for part in REFUSED[harm].split(" HOLDFAST"):
        assert part in told[harm]
    assert told["ran"] == "False"


@pytest.fixture(scope="module")
def hub(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The repositories that the profile `standard` names, with small models in them."""
    root = tmp_path_factory.mktemp("hub")
    starter_repositories(root)
    silero = root / VAD_HUB_REPO.id / "onnx/model.onnx"
    silero.parent.mkdir(parents=True)
    shutil.copyfile(next((root / VAD_REPO.id).glob("*.onnx")), silero)
    shutil.copytree(starter_model(), root / VOICE_HUB_REPO.id)
    (root / VOICE_HUB_REPO.id / "embedding_model.onnx").unlink()  # as SpeechBrain publishes it
    shutil.copytree(made / "wav2vec2", root / SPOOF_HUB_REPO.id)
    (root / SPOOF_HUB_REPO.id / "training_args.bin").write_bytes(b"a pickle")
    with running_hub(Repositories(root)) as running:
        yield running.url


def test_the_standard_profile_fetches_converts_judges_and_decides(
    made: Path, hub: str, tmp_path: Path
) -> None:
    more = next((environment.PYTHON.parent.parent / "lib").glob("python3*/site-packages"))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HOLDFAST_HOME": str(tmp_path / "models"),
        "HOLDFAST_DATA": str(tmp_path / "data"),
        **NO_DOCUMENTS,
        "HF_ENDPOINT": hub,
        # What runs the service has no torch of its own.
        "PYTHONPATH": str(more),
    }

    def holdfast(*words: object, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "holdfast", "voiceprint", "--profile", "standard",
             *map(str, words)],
            env=env | changed, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip

    files = [speak(tmp_path, "flite:rms", text) for text in SENTENCES[:3]]
    # Random weights take anything for anything: what is read as a person's own speech is a choice.
    lenient = {"HOLDFAST_VOICEPRINT_SPOOF_THRESHOLD": "-900"}
    done = holdfast("enroll", "him", *files, **lenient)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": enrolled") == 3
    own = speak(tmp_path, "flite:rms", SENTENCES[4])
    accepted = holdfast("verify", "him", own, "--json", **lenient)
    answer = json.loads(accepted.stdout)
    assert (answer["decision"], answer["spoof"]["decision"]) == ("accept", "bona_fide")
    strict = {"HOLDFAST_VOICEPRINT_SPOOF_THRESHOLD": "900", "HF_HUB_OFFLINE": "1"}
    rejected = holdfast("verify", "him", own, "--json", **strict)
    answer = json.loads(rejected.stdout)
    assert (answer["decision"], answer["spoof"]["decision"]) == ("reject", "spoof")
    assert not [*(tmp_path / "models").rglob("training_args.bin")]
    kept = holdfast("spoof", own, "--json", **lenient)
    assert json.loads(kept.stdout)["score"] == answer["spoof"]["score"]
