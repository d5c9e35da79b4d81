"""Speaker engines: one contract, run against each; and folders that are not what they should be."""

from __future__ import annotations

import importlib.util
import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from holdfast.errors import MissingExtra
from holdfast.media import Waveform, audio_blocks, read_audio
from holdfast.runtime import EngineAnswerInvalid, EngineUnusable
from holdfast.speech import sample_recording
from holdfast.voiceprint import ClipTooShort, EmbeddingEngine, embed_recording, starter_model
from holdfast.voiceprint._features import SpeechBrainFbank, speechbrain_features
from holdfast.voiceprint.engines._ecapa_onnx import build_graph
from holdfast.voiceprint.engines.ecapa import convert_ecapa, load_ecapa
from holdfast.voiceprint.engines.wespeaker import load_wespeaker
from tests.support.speakers import (
    CONFIG,
    ecapa_folder,
    ecapa_weights,
    wespeaker_folder,
    wespeaker_graph,
)

RATE_HZ = 16_000
Load = Callable[[Path, str], EmbeddingEngine]
KINDS: dict[str, tuple[Load, Callable[[Path], Path]]] = {
    "ecapa": (load_ecapa, ecapa_folder),
    "wespeaker": (load_wespeaker, wespeaker_folder),
    "starter": (load_ecapa, lambda _: starter_model()),
}


@pytest.fixture(scope="module", params=sorted(KINDS))
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddingEngine]:
    load, write = KINDS[request.param]
    loaded = load(write(tmp_path_factory.mktemp("model") / "m"), "cpu")
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def speech() -> Waveform:
    return read_audio(sample_recording())


def difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return by how much the cosine of two embeddings is not 1."""
    first, second = one.astype(float), other.astype(float)
    return float(1 - first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_each_recording_gets_an_embedding(engine: EmbeddingEngine, speech: Waveform) -> None:
    found = engine.embed([speech, speech[:20_000], speech[40_000:]])
    assert found.shape == (3, engine.dimension)
    assert found.dtype == np.float32
    assert engine.sample_rate == RATE_HZ
    assert difference(found[0], found[1]) > 1e-4


def test_company_makes_no_difference(engine: EmbeddingEngine, speech: Waveform) -> None:
    clips = [speech[start : start + length] for length in (16_000, 16_001, 24_000)
             for start in range(0, 80_000, 16_000)]  # fmt: skip
    together = engine.embed(clips)
    for clip, found in zip(clips, together, strict=True):
        assert difference(engine.embed([clip])[0], found) < 1e-6
    reverse = engine.embed(clips[::-1])[::-1]
    np.testing.assert_allclose(reverse, together, rtol=1e-3, atol=1e-4)


def test_nothing_gives_no_embeddings(engine: EmbeddingEngine) -> None:
    assert engine.embed([]).shape == (0, engine.dimension)


def test_a_long_recording_gets_the_average_of_its_windows(
    engine: EmbeddingEngine, speech: Waveform
) -> None:
    long = np.resize(speech, 75 * RATE_HZ)
    cut = (long[: 30 * RATE_HZ], long[30 * RATE_HZ :])
    parts = [cut[0], cut[1][: len(cut[1]) // 2], cut[1][len(cut[1]) // 2 :]]
    each = engine.embed(parts).astype(float)
    lengths = np.array([len(part) for part in parts], float)
    expected = (each / np.linalg.norm(each, axis=1, keepdims=True) * lengths[:, None]).sum(axis=0)

    (found,) = engine.embed([long])

    assert difference(found, expected) < 1e-9
    magnitude = (np.linalg.norm(each, axis=1) * lengths).sum() / lengths.sum()
    assert np.linalg.norm(found) == pytest.approx(magnitude, rel=1e-5)


def test_a_recording_read_in_blocks_has_the_same_embedding(
    engine: EmbeddingEngine, speech: Waveform
) -> None:
    blocks = audio_blocks(sample_recording(), block_samples=4000)
    assert difference(embed_recording(engine, blocks), engine.embed([speech])[0]) < 1e-9


def test_a_clip_that_is_too_short_is_said(engine: EmbeddingEngine, speech: Waveform) -> None:
    for clip in (speech[:0], speech[:300]):
        with pytest.raises(ClipTooShort, match="too short") as caught:
            engine.embed([speech, clip])
        assert f"it has {len(clip)} samples" in caught.value.why


def test_samples_that_are_no_numbers_are_said(engine: EmbeddingEngine, speech: Waveform) -> None:
    broken = speech.copy()
    broken[5000] = np.nan
    with pytest.raises(EngineAnswerInvalid, match="not made of numbers"):
        engine.embed([broken])


def test_a_waveform_in_another_form_is_refused(engine: EmbeddingEngine, speech: Waveform) -> None:
    for wrong in (speech.astype(np.float64), speech[None], (speech * 32_767).astype(np.int16)):
        with pytest.raises(ValueError, match="a waveform is float32"):
            engine.embed([wrong])  # type: ignore[list-item]


def test_silence_has_an_embedding_of_numbers(engine: EmbeddingEngine) -> None:
    assert np.isfinite(engine.embed([np.zeros(RATE_HZ, np.float32)])).all()


def test_nothing_may_be_asked_of_a_closed_engine(tmp_path: Path, speech: Waveform) -> None:
    engine = load_ecapa(ecapa_folder(tmp_path / "m"))
    engine.close()
    with pytest.raises(ValueError, match="closed"):
        engine.embed([speech])


def _embedded(load: Load, folder: Path, clip: Waveform) -> NDArray[np.float32]:
    return load(folder, "cpu").embed([clip])


@pytest.mark.parametrize("kind", ["ecapa", "wespeaker"])
def test_loading_can_be_named_to_another_process(
    kind: str, tmp_path: Path, speech: Waveform
) -> None:
    load, write = KINDS[kind]
    folder = write(tmp_path / "m")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(_embedded, (load, folder, speech))
    assert difference(found[0], load(folder, "cpu").embed([speech])[0]) < 1e-9


LONG = """
import resource, sys
from pathlib import Path
import numpy as np
from holdfast.voiceprint import embed_recording, starter_model
from holdfast.voiceprint.engines.ecapa import load_ecapa

engine = load_ecapa(starter_model())
block = np.random.default_rng(0).standard_normal(160_000, dtype=np.float32) / 10
def peak_mb(blocks):
    embed_recording(engine, (block for _ in range(blocks)))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak_mb(12)
print(peak_mb(60) - before, "torch" in sys.modules)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="asks getrusage")
def test_ten_minutes_take_no_more_memory_than_two() -> None:
    done = subprocess.run([sys.executable, "-c", LONG], capture_output=True, text=True, check=True)
    more_mb, torch_was_loaded = done.stdout.split()
    assert float(more_mb) < 20  # ten minutes of samples alone have 38 MB
    assert torch_was_loaded == "False"


def test_the_starter_model_tells_two_voices_apart(speech: Waveform) -> None:
    engine = load_ecapa(starter_model())
    one, same, other = engine.embed([speech[7_000:22_000], speech[22_000:37_000], speech[66_000:]])
    assert difference(one, same) < difference(one, other)


def relu(value: NDArray[Any]) -> NDArray[Any]:
    return np.maximum(value, 0)


class Reference:
    """ECAPA-TDNN word for word, one clip at a time, in float64."""

    def __init__(self, weights: dict[str, NDArray[Any]]) -> None:
        self.weights = {name: value.astype(np.float64) for name, value in weights.items()}

    def conv(self, name: str, x: NDArray[Any], dilation: int = 1) -> NDArray[Any]:
        weight, bias = self.weights[f"{name}.conv.weight"], self.weights[f"{name}.conv.bias"]
        reach = dilation * (weight.shape[2] - 1) // 2
        padded = np.pad(x, ((0, 0), (reach, reach)), mode="reflect")
        taps = [
            weight[:, :, at] @ padded[:, at * dilation : at * dilation + x.shape[1]]
            for at in range(weight.shape[2])
        ]
        return np.sum(taps, axis=0) + bias[:, None]

    def norm(self, name: str, x: NDArray[Any]) -> NDArray[Any]:
        weight, bias, mean, variance = (
            self.weights[f"{name}.norm.{part}"][:, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias

    def tdnn(self, name: str, x: NDArray[Any], dilation: int = 1) -> NDArray[Any]:
        return self.norm(f"{name}.norm", relu(self.conv(f"{name}.conv", x, dilation)))

    def block(self, name: str, x: NDArray[Any], dilation: int) -> NDArray[Any]:
        way = x
        if f"{name}.shortcut.conv.weight" in self.weights:
            way = self.conv(f"{name}.shortcut", x)
        found: list[NDArray[Any]] = []
        for number, part in enumerate(np.split(self.tdnn(f"{name}.tdnn1", x), 8)):
            seen = part + found[-1] if number > 1 else part
            layer = f"{name}.res2net_block.blocks.{number - 1}"
            found.append(self.tdnn(layer, seen, dilation) if number else part)
        out = self.tdnn(f"{name}.tdnn2", np.concatenate(found))
        gate = relu(self.conv(f"{name}.se_block.conv1", out.mean(axis=1, keepdims=True)))
        return out / (1 + np.exp(-self.conv(f"{name}.se_block.conv2", gate))) + way

    def embed(self, features: NDArray[Any]) -> NDArray[Any]:
        x, found = self.tdnn("blocks.0", features.T.astype(np.float64)), []
        for index in (1, 2, 3):
            x = self.block(f"blocks.{index}", x, CONFIG.dilations[index])
            found.append(x)
        x = self.tdnn("mfa", np.concatenate(found))
        around = [np.tile(each[:, None], x.shape[1]) for each in (x.mean(axis=1), x.std(axis=1))]
        logits = np.tanh(self.tdnn("asp.tdnn", np.concatenate([x, *around])))
        weights = np.exp(self.conv("asp.conv", logits))
        weights /= weights.sum(axis=1, keepdims=True)
        mean = (weights * x).sum(axis=1, keepdims=True)
        deviation = np.sqrt((weights * (x - mean) ** 2).sum(axis=1, keepdims=True))
        return self.conv("fc", self.norm("asp_bn", np.concatenate([mean, deviation])))[:, 0]


@pytest.mark.parametrize("samples", [640, 8_000, 30_000])
def test_the_graph_computes_ecapa_tdnn(tmp_path: Path, speech: Waveform, samples: int) -> None:
    clip = speech[8_000 : 8_000 + samples]
    expected = Reference(ecapa_weights()).embed(speechbrain_features(clip, SpeechBrainFbank()))

    (found,) = load_ecapa(ecapa_folder(tmp_path / "m")).embed([clip])

    assert difference(found, expected) < 1e-9
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("missing", ["hyperparams.yaml", "embedding_model.onnx"])
def test_a_folder_without_the_model_is_said(tmp_path: Path, missing: str) -> None:
    folder = ecapa_folder(tmp_path / "m")
    (folder / missing).unlink()
    without_torch = importlib.util.find_spec("torch") is None
    wanted = MissingExtra if missing.endswith(".onnx") and without_torch else EngineUnusable
    with pytest.raises(wanted) as caught:
        load_ecapa(folder)
    assert caught.value.hint


def test_wespeakers_folder_must_hold_one_graph(tmp_path: Path) -> None:
    with pytest.raises(EngineUnusable, match=r"no \.onnx file"):
        load_wespeaker(tmp_path)
    folder = wespeaker_folder(tmp_path / "m")
    shutil.copy(folder / "model.onnx", folder / "other.onnx")
    with pytest.raises(EngineUnusable, match=r"model\.onnx, other\.onnx"):
        load_wespeaker(folder)


@pytest.mark.parametrize("kind", ["ecapa", "wespeaker"])
@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_a_damaged_graph_is_said(tmp_path: Path, kind: str, content: bytes | None) -> None:
    load, write = KINDS[kind]
    folder = write(tmp_path / "m")
    (path,) = folder.glob("*.onnx")
    path.write_bytes(path.read_bytes()[:-5000] if content is None else content)
    with pytest.raises(EngineUnusable) as caught:
        load(folder, "cpu")
    assert path.name in caught.value.what


def test_a_graph_of_another_kind_is_said(tmp_path: Path) -> None:
    folder = wespeaker_folder(tmp_path / "m")
    weight = np.zeros((160, 4))
    (folder / "model.onnx").write_bytes(wespeaker_graph(weight, given="audio"))
    with pytest.raises(EngineUnusable, match="its input is audio"):
        load_wespeaker(folder)
    folder = ecapa_folder(tmp_path / "e")
    text = (folder / "hyperparams.yaml").read_text()
    (folder / "hyperparams.yaml").write_text(text.replace("n_mels: 80", "n_mels: 40"))
    with pytest.raises(EngineUnusable, match="takes 80 features a frame, and there it is 40"):
        load_ecapa(folder)


@pytest.mark.parametrize("kind", ["ecapa", "wespeaker"])
def test_weights_that_are_no_numbers_are_found_when_the_model_loads(
    tmp_path: Path, kind: str
) -> None:
    load, write = KINDS[kind]
    folder = write(tmp_path / "m")
    if kind == "ecapa":
        weights = ecapa_weights()
        weights["mfa.conv.conv.weight"][3, 4, 0] = np.nan
        (folder / "embedding_model.onnx").write_bytes(build_graph(weights, CONFIG))
    else:
        (folder / "model.onnx").write_bytes(wespeaker_graph(np.full((160, 4), np.nan)))
    with pytest.raises(EngineUnusable, match="not all of it numbers"):
        load(folder, "cpu")


@pytest.mark.parametrize("kind", ["ecapa", "wespeaker"])
def test_a_device_that_is_not_there_is_said(tmp_path: Path, kind: str) -> None:
    load, write = KINDS[kind]
    folder = write(tmp_path / "m")
    with pytest.raises((EngineUnusable, MissingExtra)) as caught:
        load(folder, "cuda:7")
    assert caught.value.hint


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
def test_converting_without_torch_says_what_to_install(tmp_path: Path) -> None:
    folder = ecapa_folder(tmp_path / "m")
    with pytest.raises(MissingExtra) as caught:
        convert_ecapa(folder, tmp_path)
    assert "holdfast[torch]" in caught.value.hint
