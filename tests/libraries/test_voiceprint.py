"""Our ECAPA-TDNN beside SpeechBrain's own, on the same weights: in torch, and as a graph."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from holdfast.voiceprint._features import SpeechBrainFbank, speechbrain_features
from holdfast.voiceprint.engines.ecapa import load_ecapa
from tests.libraries import environment
from tests.support.serving import NO_DOCUMENTS

pytestmark = [pytest.mark.libraries]

SIZES = ("full", "small", "uneven", "starter")
BATCHES = range(5)
LARGEST_DIFFERENCE = 1e-5
_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What SpeechBrain says, and our torch engine; see speaker_parity.py."""
    folder = tmp_path_factory.mktemp("speakers")
    done = subprocess.run(
        [environment.PYTHON, Path(__file__).with_name("speaker_parity.py"), folder],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": f"{environment.STUBS}:{_ROOT / 'src'}",
            "HF_HUB_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return folder


def answers(made: Path, size: str) -> Mapping[str, NDArray[Any]]:
    """Return what was kept of a size."""
    return dict(np.load(made / f"{size}.npz"))


def largest_difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return by how much the cosine of two rows is not 1, at most."""
    assert found.shape == expected.shape
    one, other = found.astype(float), expected.astype(float)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float((1 - (one * other).sum(axis=1) / lengths).max())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("number", BATCHES)
def test_embeddings_in_torch_are_speechbrains(made: Path, size: str, number: int) -> None:
    kept = answers(made, size)
    found, expected = kept[f"torch_{number}"], kept[f"expected_{number}"]
    assert largest_difference(found, expected) < LARGEST_DIFFERENCE
    # Not the direction only: nothing is normalised on the way.
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("number", BATCHES)
def test_embeddings_of_the_converted_graph_are_speechbrains(
    made: Path, size: str, number: int
) -> None:
    kept = answers(made, size)
    engine = load_ecapa(made / f"{size}-graph")
    found, expected = engine.embed(list(kept[f"clips_{number}"])), kept[f"expected_{number}"]
    assert largest_difference(found, expected) < LARGEST_DIFFERENCE
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("number", BATCHES)
def test_features_are_speechbrains(made: Path, number: int) -> None:
    kept = answers(made, "small")
    for clip, expected in zip(kept[f"clips_{number}"], kept[f"features_{number}"], strict=True):
        found = speechbrain_features(clip, SpeechBrainFbank())
        np.testing.assert_allclose(found, expected, atol=5e-3)  # dB, of some 80


REFUSED = {
    "missing": "has no embedding_model.ckpt",
    "empty": "EOFError",
    "truncated": "cannot be loaded",
    "text": "more than weights",
    "code in a checkpoint": "more than weights",
    "code in a plain pickle": "more than weights",
    "not weights": "is missing",
    "a weight is missing": "asp.conv.conv.bias is missing",
    "a weight too many": "extra.weight is not of this network",
    "another shape": "fc.conv.bias is (7,), not (192,)",
    "whole numbers": "fc.conv.bias is a torch.int64",
    "not a number": "mfa.conv.conv.weight holds values that are not numbers",
    "no such device": "does not run on 'cuda:7'",
}


@pytest.mark.parametrize("damage", sorted(REFUSED))
def test_a_checkpoint_that_is_not_what_it_should_be_is_refused(made: Path, damage: str) -> None:
    said = json.loads((made / "damage.json").read_text())[damage]
    assert said.startswith("engine-unusable: ")
    assert REFUSED[damage] in said
    assert "BUT IT RAN" not in said


def test_weights_of_half_precision_are_taken(made: Path) -> None:
    assert json.loads((made / "damage.json").read_text())["half precision"] == "loaded"


_CONVERTED_BY_THE_SERVICE = """
import os, sys
from pathlib import Path
from holdfast.config import Settings
from holdfast.refs import RepoRef
from holdfast.wiring._convert import converter

env = dict(os.environ)
repo = RepoRef("speechbrain/spkrec-ecapa-voxceleb")
convert = converter(Settings.from_env(env), env, repo)
print(convert(Path(sys.argv[1])))
assert "torch" not in sys.modules  # it came and went with a process of its own
"""


def test_the_service_converts_a_checkpoint_once_and_keeps_its_identity(
    made: Path, tmp_path: Path
) -> None:
    from holdfast.voiceprint import fingerprint, load_voice

    snapshot = tmp_path / ("c" * 40)
    snapshot.mkdir()
    for path in (made / "small").iterdir():
        if path.is_file() and path.suffix != ".onnx":
            (snapshot / path.name).write_bytes(path.read_bytes())
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HOLDFAST_HOME": str(tmp_path / "models"),
        **NO_DOCUMENTS,
        "PYTHONPATH": f"{environment.STUBS}:{_ROOT / 'src'}",
    }
    command = [environment.PYTHON, "-c", _CONVERTED_BY_THE_SERVICE, snapshot]

    def converted() -> Path:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip())

    first = converted()
    made_at = (first / "embedding_model.onnx").stat().st_mtime_ns
    assert converted() == first
    assert (first / "embedding_model.onnx").stat().st_mtime_ns == made_at
    assert tmp_path / "models" in first.parents
    voice = load_voice(first, "cpu")
    # A template of the checkpoint is one of the graph.
    assert voice.scale.model == fingerprint(snapshot / "embedding_model.ckpt")
    voice.close()
