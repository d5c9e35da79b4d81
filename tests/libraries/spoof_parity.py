"""Transformers' own answers of detectors to compare ours with; runs in .venv-libraries.

    python spoof_parity.py FOLDER

For each kind a classifier with random weights is written as FOLDER/KIND by ``save_pretrained``, as
detectors are published. FOLDER/answers.npz gets recordings (``clip_N``), and of each kind the
logits that a model card's own lines give (``KIND_N``) and our engine's scores (``KIND_ours_N``).
FOLDER/refused.json tells what became of folders that are not what they should be.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    HubertConfig,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
)

from holdfast.errors import HoldfastError
from holdfast.voiceprint import detector_loader

KINDS: dict[str, Any] = {
    "wav2vec2": Wav2Vec2Config,
    "hubert": HubertConfig,
    "wavlm": WavLMConfig,
    "several": Wav2Vec2Config,
}
LABELS = {
    "wav2vec2": ("real", "fake"),
    "hubert": ("spoof", "real"),
    "wavlm": ("fake", "real"),
    "several": ("vocoder", "real", "conversion"),
}
SECONDS = (0.5, 1.0, 3.3, 5.0, 12.4)


def write_model(folder: Path, kind: str) -> None:
    """Write a small classifier in the layout that real ones have."""
    torch.manual_seed(len(kind))
    labels = LABELS[kind]
    config = KINDS[kind](
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        conv_dim=(32,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        classifier_proj_size=32,
        feat_extract_norm="layer" if kind == "wav2vec2" else "group",
        do_stable_layer_norm=kind == "wav2vec2",
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    network = AutoModelForAudioClassification.from_config(config)
    with torch.no_grad():  # else both answers of random weights are nearly the same
        network.classifier.weight.mul_(20)
    network.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(
        do_normalize=kind != "hubert", return_attention_mask=kind == "wav2vec2"
    ).save_pretrained(folder)


def expected(folder: Path, clip: Any) -> Any:
    """Return the logits as model cards tell to make them."""
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    network = AutoModelForAudioClassification.from_pretrained(folder).eval()
    given = extractor(clip, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        return network(**given).logits[0].numpy()


def halves(clip: Any) -> list[Any]:
    """Return both halves."""
    return [clip[: len(clip) // 2], clip[len(clip) // 2 :]]


def refused(folder: Path, harm: Callable[[Path], None], bona_fide: str = "real") -> str:
    """Return what is said of a detector after harm was done to it."""
    copy = folder.parent / "harmed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    harm(copy)
    try:
        detector_loader(bona_fide)(copy, "cpu")
    except HoldfastError as error:
        return f"{error.code}: {error} {error.why} {error.hint}"
    return "loaded"


def changed(folder: Path, **values: Any) -> None:
    """Change values in config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def only_pickle(folder: Path) -> None:
    """Leave the weights as a pickle only."""
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def with_code(folder: Path) -> None:
    """Have the repository ask for code of its own."""
    (folder / "modeling.py").write_text("open('RAN', 'w').close()\nclass Net: pass\n")
    changed(
        folder,
        model_type="holdfast-unknown",
        architectures=["Net"],
        auto_map={"AutoModelForAudioClassification": "modeling.Net", "AutoConfig": "modeling.Net"},
    )


def at_8_khz(folder: Path) -> None:
    """Have the detector ask for another rate."""
    Wav2Vec2FeatureExtractor(sampling_rate=8_000).save_pretrained(folder)


def cut_short(folder: Path) -> None:
    """Leave half of the weights' file."""
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def main(folder: Path) -> None:
    """Write everything."""
    random = np.random.default_rng(5)
    clips = [
        (random.normal(0, 0.1, int(seconds * 16_000)) + 0.02).astype(np.float32)
        for seconds in SECONDS
    ]
    kept = {f"clip_{number}": clip for number, clip in enumerate(clips)}
    for kind in KINDS:
        write_model(folder / kind, kind)
        detector = detector_loader("real")(folder / kind, "cpu")
        for number, (clip, score) in enumerate(
            zip(clips, detector.engine.scores(clips), strict=True)
        ):
            kept[f"{kind}_ours_{number}"] = np.array(score)
            # Windows of five seconds, the last two of one length.
            parts = [clip] if len(clip) <= 80_000 else [clip[:80_000], *halves(clip[80_000:])]
            kept[f"{kind}_{number}"] = np.stack([expected(folder / kind, part) for part in parts])
            kept[f"{kind}_lengths_{number}"] = np.array([len(part) for part in parts])
        detector.close()
    np.savez(folder / "answers.npz", **kept)
    one = folder / "wav2vec2"
    told = {
        "another label": refused(one, lambda _: None, "bonafide"),
        "a number where there are labels": refused(one, lambda _: None, "0"),
        "a pickle": refused(one, only_pickle),
        "code": refused(one, with_code),
        "cut short": refused(one, cut_short),
        "no config": refused(one, lambda copy: (copy / "config.json").unlink()),
        "no preprocessor": refused(one, lambda copy: (copy / "preprocessor_config.json").unlink()),
        "another rate": refused(one, at_8_khz),
        "ran": str(bool([*folder.parent.rglob("RAN"), *Path.cwd().glob("RAN")])),
    }
    (folder / "refused.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
