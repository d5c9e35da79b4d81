"""SpeechBrain's answers to compare ours with; runs in .venv-libraries.

    python speaker_parity.py FOLDER

For each size a model with random weights is written as FOLDER/SIZE in SpeechBrain's layout, beside
them the starter model, and loaded by SpeechBrain's own ``EncoderClassifier``. FOLDER/SIZE.npz gets
the recordings (``clips_N``, (batch, samples)), SpeechBrain's features and embeddings of them, and
our engine's embeddings in torch; FOLDER/SIZE-graph gets the converted model. FOLDER/damage.json
tells what became of models that are not what they should be.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from holdfast.errors import HoldfastError
from holdfast.voiceprint import starter_model
from holdfast.voiceprint.engines.ecapa import convert_ecapa, load_ecapa

# As in the hyperparams.yaml of speechbrain/spkrec-ecapa-voxceleb.
LAYOUT = """\
n_mels: 80
pretrained_path: {folder}
out_n_neurons: 11
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: {channels}
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 128
    lin_neurons: 192
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: 192
    out_neurons: !ref <out_n_neurons>
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        mean_var_norm_emb: !ref <mean_var_norm_emb>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        mean_var_norm_emb: !ref <pretrained_path>/mean_var_norm_emb.ckpt
        classifier: !ref <pretrained_path>/classifier.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""
SIZES = {
    "full": [1024, 1024, 1024, 1024, 3072],
    "small": [64, 64, 64, 64, 192],
    "uneven": [48, 64, 64, 64, 96],
}
SHAPES = ((1, 48_000), (4, 16_000), (1, 5_003), (3, 30_001), (1, 960))


def write_model(folder: Path, channels: list[int]) -> None:
    """Write a model whose normalisations do something, as those of trained models do."""
    from hyperpyyaml import load_hyperpyyaml

    folder.mkdir(parents=True)
    text = LAYOUT.format(folder=folder, channels=channels)
    (folder / "hyperparams.yaml").write_text(text)
    made = load_hyperpyyaml(text)
    for part in made["embedding_model"].modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            part.weight.data.uniform_(0.5, 1.5)
            part.weight.data[::7] *= -1
            part.bias.data.normal_(0, 0.3)
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 2)
    for name in ("embedding_model", "classifier"):
        torch.save(made[name].state_dict(), folder / f"{name}.ckpt")
    made["mean_var_norm_emb"](torch.randn(2, 1, 192), torch.ones(2))
    made["mean_var_norm_emb"]._save(folder / "mean_var_norm_emb.ckpt")
    made["label_encoder"].update_from_iterable([f"speaker-{number}" for number in range(11)])
    made["label_encoder"].save(folder / "label_encoder.txt")


def clips(random: np.random.Generator, batch: int, samples: int) -> np.ndarray:
    """Return something like voices: harmonics that come and go, silence, and a little noise."""
    time = np.arange(samples) / 16_000
    found = []
    for _ in range(batch):
        pitch = random.uniform(80, 260)
        voice = sum(
            np.sin(2 * np.pi * pitch * (1 + number) * time) / (1 + number) for number in range(30)
        )
        voice *= np.clip(np.sin(2 * np.pi * random.uniform(1, 4) * time), 0, 1)
        found.append(0.1 * voice + 0.001 * random.standard_normal(samples))
    return np.array(found, np.float32)


class _RunsCode:
    """What a hostile checkpoint is made of."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def _plain_pickle(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps({"fc.conv.bias": _RunsCode(mark)}, protocol=2))


def _written(content: bytes) -> Callable[[Path, Path], None]:
    def damage(path: Path, _: Path) -> None:
        path.write_bytes(content)

    return damage


def _changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path, Path], None]:
    def damage(path: Path, _: Path) -> None:
        weights = torch.load(path, weights_only=True)
        change(weights)
        torch.save(weights, path)

    return damage


def _set(name: str, value: Any) -> Callable[[Path, Path], None]:
    return _changed(lambda weights: weights.update({name: value}))


def _not_a_number(weights: dict[str, Any]) -> None:
    weights["mfa.conv.conv.weight"][3, 4, 0] = float("nan")


DAMAGES: dict[str, Callable[[Path, Path], None]] = {
    "missing": lambda path, _: path.unlink(),
    "empty": _written(b""),
    "truncated": lambda path, _: os.truncate(path, path.stat().st_size - 30_000),
    "text": _written(b"<html>not found</html>"),
    "code in a checkpoint": lambda path, mark: torch.save({"x": _RunsCode(mark)}, path),
    "code in a plain pickle": _plain_pickle,
    "not weights": lambda path, _: torch.save([1, 2, 3], path),
    "a weight is missing": _changed(lambda weights: weights.pop("asp.conv.conv.bias")),
    "a weight too many": _set("extra.weight", torch.zeros(2)),
    "another shape": _set("fc.conv.bias", torch.zeros(7)),
    "whole numbers": _set("fc.conv.bias", torch.zeros(192, dtype=torch.int64)),
    "not a number": _changed(_not_a_number),
    "half precision": _changed(
        lambda weights: weights.update({name: value.half() for name, value in weights.items()})
    ),
}


def damaged(root: Path) -> dict[str, str]:
    """Return for each kind of damage ``loaded``, or the error's code and text."""
    found = {}
    for number, (name, damage) in enumerate(DAMAGES.items()):
        folder, mark = root / f"damaged-{number}", root / f"was-here-{number}"
        write_model(folder, SIZES["small"])
        damage(folder / "embedding_model.ckpt", mark)
        try:
            load_ecapa(folder, "cpu")
            found[name] = "loaded"
        except HoldfastError as error:
            found[name] = f"{error.code}: {error}"
        if mark.exists():
            found[name] += " BUT IT RAN"
    try:
        load_ecapa(root / "small", "cuda:7")
    except HoldfastError as error:
        found["no such device"] = f"{error.code}: {error}"
    return found


def main(root: Path) -> None:
    from speechbrain.inference.speaker import EncoderClassifier

    torch.manual_seed(5)
    random = np.random.default_rng(5)
    for name, channels in SIZES.items():
        write_model(root / name, channels)
    shutil.copytree(starter_model(), root / "starter")
    (root / "starter/embedding_model.onnx").unlink()
    for name in (*SIZES, "starter"):
        here, saved = str(root / name), str(root / "saved" / name)
        reference = EncoderClassifier.from_hparams(
            here, savedir=saved, overrides={"pretrained_path": here}
        )
        ours = load_ecapa(root / name, "cpu")
        (root / f"{name}-graph").mkdir()
        convert_ecapa(root / name, root / f"{name}-graph")
        kept: dict[str, np.ndarray] = {}
        for number, shape in enumerate(SHAPES):
            heard = clips(random, *shape)
            with torch.inference_mode():
                given = torch.from_numpy(heard)
                features = reference.mods.compute_features(given)
                features = reference.mods.mean_var_norm(features, torch.ones(len(heard)))
                expected = reference.encode_batch(given).squeeze(1)
            kept |= {
                f"clips_{number}": heard,
                f"features_{number}": features.numpy(),
                f"expected_{number}": expected.numpy(),
                f"torch_{number}": ours.embed(list(heard)),
            }
        np.savez(root / f"{name}.npz", **kept)
    (root / "damage.json").write_text(json.dumps(damaged(root)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
