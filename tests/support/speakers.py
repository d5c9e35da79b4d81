"""Speaker models with random weights, in the forms that engines read; no torch is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from holdfast.voiceprint.engines._ecapa_config import EcapaConfig
from holdfast.voiceprint.engines._ecapa_onnx import build_graph

CONFIG = EcapaConfig(
    channels=(32, 48, 48, 48, 64), attention_channels=16, lin_neurons=24, se_channels=8
)
HYPERPARAMS = """\
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: 80
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    channels: [32, 48, 48, 48, 64]
    attention_channels: 16
    lin_neurons: 24
    se_channels: 8
"""


def ecapa_weights(config: EcapaConfig = CONFIG, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return weights by the names of SpeechBrain's checkpoint, as trained models have them."""
    random = np.random.default_rng(seed)
    found: dict[str, NDArray[Any]] = {}

    def conv(name: str, inputs: int, outputs: int, kernel: int = 1) -> None:
        shape = (outputs, inputs, kernel)
        found[f"{name}.conv.weight"] = random.normal(0, (inputs * kernel) ** -0.5, shape)
        found[f"{name}.conv.bias"] = random.normal(0, 0.1, outputs)

    def norm(name: str, channels: int) -> None:
        signs = np.where(np.arange(channels) % 5 == 3, -1, 1)
        found[f"{name}.norm.weight"] = random.uniform(0.5, 1.5, channels) * signs
        found[f"{name}.norm.bias"] = random.normal(0, 0.3, channels)
        found[f"{name}.norm.running_mean"] = random.normal(0, 0.3, channels)
        found[f"{name}.norm.running_var"] = random.uniform(0.5, 2, channels)

    def tdnn(name: str, inputs: int, outputs: int, kernel: int = 1) -> None:
        conv(f"{name}.conv", inputs, outputs, kernel)
        norm(f"{name}.norm", outputs)

    *inner, last = config.channels
    tdnn("blocks.0", config.n_mels, inner[0], config.kernel_sizes[0])
    for index in range(1, len(inner)):
        name, channels = f"blocks.{index}", inner[index]
        tdnn(f"{name}.tdnn1", inner[index - 1], channels)
        width = channels // config.res2net_scale
        for number in range(config.res2net_scale - 1):
            kernel = config.kernel_sizes[index]
            tdnn(f"{name}.res2net_block.blocks.{number}", width, width, kernel)
        tdnn(f"{name}.tdnn2", channels, channels)
        conv(f"{name}.se_block.conv1", channels, config.se_channels)
        conv(f"{name}.se_block.conv2", config.se_channels, channels)
        if inner[index - 1] != channels:
            conv(f"{name}.shortcut", inner[index - 1], channels)
    tdnn("mfa", inner[-1] * (len(inner) - 1), last, config.kernel_sizes[-1])
    tdnn("asp.tdnn", last * (3 if config.global_context else 1), config.attention_channels)
    conv("asp.conv", config.attention_channels, last)
    norm("asp_bn", 2 * last)
    conv("fc", 2 * last, config.lin_neurons)
    return {name: value.astype(np.float32) for name, value in found.items()}


def ecapa_folder(folder: Path, seed: int = 0) -> Path:
    """Write a converted model: a graph and its numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hyperparams.yaml").write_text(HYPERPARAMS)
    (folder / "embedding_model.onnx").write_bytes(build_graph(ecapa_weights(seed=seed), CONFIG))
    return folder


def wespeaker_graph(weight: NDArray[Any], *, given: str = "feats") -> bytes:
    """Return the smallest model in WeSpeaker's form: means and deviations, times ``weight``.

    Args:
        weight: float32, shape (160, numbers).
        given: the input's name.
    """
    node = helper.make_node
    nodes = [
        node("ReduceMean", [given], ["mean"], axes=[1], keepdims=1),
        node("Sub", [given, "mean"], ["centred"]),
        node("Mul", ["centred", "centred"], ["square"]),
        node("ReduceMean", ["square"], ["variance"], axes=[1], keepdims=0),
        node("Sqrt", ["variance"], ["deviation"]),
        node("Squeeze", ["mean", "first"], ["flat"]),
        node("Concat", ["flat", "deviation"], ["statistics"], axis=1),
        node("MatMul", ["statistics", "weight"], ["embs"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([1]), "first"),
        numpy_helper.from_array(weight.astype(np.float32), "weight"),
    ]
    graph = helper.make_graph(
        nodes,
        "statistics",
        [helper.make_tensor_value_info(given, TensorProto.FLOAT, ["B", "T", 80])],
        [helper.make_tensor_value_info("embs", TensorProto.FLOAT, ["B", weight.shape[1]])],
        constants,
    )
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def wespeaker_folder(folder: Path, seed: int = 0) -> Path:
    """Write a model in WeSpeaker's form."""
    folder.mkdir(parents=True, exist_ok=True)
    weight = np.random.default_rng(seed).normal(0, 0.1, (160, 32))
    (folder / "model.onnx").write_bytes(wespeaker_graph(weight))
    return folder
