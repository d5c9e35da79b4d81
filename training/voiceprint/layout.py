"""A model folder as SpeechBrain publishes and reads it."""

from __future__ import annotations

from pathlib import Path

import torch

from holdfast.voiceprint.engines._ecapa_config import EcapaConfig
from holdfast.voiceprint.engines._ecapa_torch import EcapaTdnn

__all__ = ["CONFIG", "write_folder"]

CONFIG = EcapaConfig(
    channels=(128, 128, 128, 128, 384),
    attention_channels=64,
    lin_neurons=128,
    se_channels=64,
)
_HYPERPARAMS = """\
# The starter model of Holdfast: a demonstration, trained on synthetic voices only (README.md).
n_mels: {n_mels}
out_n_neurons: {speakers}
pretrained_path: .

compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: {channels}
    kernel_sizes: {kernel_sizes}
    dilations: {dilations}
    attention_channels: {attention_channels}
    lin_neurons: {lin_neurons}
    se_channels: {se_channels}
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: {lin_neurons}
    out_neurons: !ref <out_n_neurons>

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


def write_folder(
    folder: Path, network: EcapaTdnn, classifier: torch.Tensor, speakers: list[str]
) -> None:
    """Write every file that SpeechBrain's ``EncoderClassifier`` asks for.

    Args:
        folder: made if it is not there.
        network: the trained network.
        classifier: float32, shape (speakers, lin_neurons), one direction for each.
        speakers: their names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in CONFIG._asdict().items()
    }
    text = _HYPERPARAMS.format(**words, speakers=len(speakers))
    (folder / "hyperparams.yaml").write_text(text)
    torch.save(network.state_dict(), folder / "embedding_model.ckpt")
    torch.save({"weight": classifier}, folder / "classifier.ckpt")
    # Nothing was subtracted from embeddings in training: statistics that change nothing.
    zeros = torch.zeros(1, CONFIG.lin_neurons)
    statistics = {"count": 1, "glob_mean": zeros, "glob_std": torch.ones_like(zeros)}
    torch.save(statistics, folder / "mean_var_norm_emb.ckpt")
    lines = [f"'{name}' => {number}" for number, name in enumerate(speakers)]
    lines += ["================", "'starting_index' => 0", ""]
    (folder / "label_encoder.txt").write_text("\n".join(lines))
