"""ECAPA-TDNN as SpeechBrain publishes it: a folder with a checkpoint and ``hyperparams.yaml``.

A folder that holds ``embedding_model.onnx``, which `convert_ecapa` makes, runs on onnxruntime and
needs no torch. One with only ``embedding_model.ckpt`` runs in torch.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import MissingExtra
from holdfast.runtime import EngineUnusable, cannot_load
from holdfast.voiceprint.engines._ecapa_config import HYPERPARAMS, EcapaConfig, read_config
from holdfast.voiceprint.engines._session import graph_runner

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from holdfast.voiceprint.engines._speaker import SpeakerEngine

__all__ = ["CHECKPOINT", "CONVERTER", "GRAPH", "convert_ecapa", "load_ecapa"]

CHECKPOINT = "embedding_model.ckpt"
GRAPH = "embedding_model.onnx"
# Says which conversion made a graph; another one makes another, see `holdfast.store.Derivation`.
CONVERTER = "holdfast-ecapa-2"


def load_ecapa(folder: Path, device: str = "cpu") -> SpeakerEngine:
    """Load a model: its graph if there is one and the device is a processor, else its checkpoint.

    Args:
        folder: with ``hyperparams.yaml`` and ``embedding_model.onnx`` or ``embedding_model.ckpt``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        EngineUnusable: a file is missing, damaged, or of another model; ``device`` cannot be used.
        MissingExtra: onnxruntime, or torch where it is needed, is not installed.
    """
    config = read_config(folder / HYPERPARAMS)
    graph = folder / GRAPH
    if device == "cpu" and graph.is_file():
        path = graph
        run, n_mels = graph_runner(graph, device, wants="features")
        if n_mels != config.n_mels:
            raise EngineUnusable(
                f"{graph} does not fit its {HYPERPARAMS}",
                why=f"it takes {n_mels} features a frame, and there it is {config.n_mels}",
                hint="holdfast verify, then holdfast repair",
            )
    else:
        path = folder / CHECKPOINT
        run = _torch_runner(path, config, device)
    from holdfast.voiceprint._features import SpeechBrainFbank, speechbrain_features
    from holdfast.voiceprint.engines._speaker import Network, SpeakerEngine

    settings = SpeechBrainFbank(
        n_fft=config.n_fft,
        win_length_ms=config.win_length_ms,
        hop_length_ms=config.hop_length_ms,
        n_mels=config.n_mels,
        f_min=config.f_min,
        f_max=config.f_max,
    )
    network = Network(
        run=run,
        features=lambda waveform: speechbrain_features(waveform, settings),
        least_samples=(config.least_frames - 1) * settings.hop,
    )
    try:
        return SpeakerEngine(network, str(path))
    except EngineUnusable:
        raise
    except Exception as error:
        raise cannot_load(path, error) from error


def convert_ecapa(source: Path, target: Path) -> None:
    """Make ``embedding_model.onnx`` of a checkpoint; a `holdfast.store.Derivation`'s ``make``.

    Args:
        source: a folder as SpeechBrain publishes it.
        target: an empty folder; gets the graph and ``hyperparams.yaml``.

    Raises:
        EngineUnusable: a file is missing, damaged, or of another model.
        MissingExtra: torch or onnx is not installed.
    """
    config = read_config(source / HYPERPARAMS)
    _need_torch()
    from holdfast.voiceprint.engines._ecapa_checkpoint import read_network

    network = read_network(source / CHECKPOINT, config)
    try:
        from holdfast.voiceprint.engines._ecapa_onnx import build_graph

        weights = {name: value.numpy() for name, value in network.state_dict().items()}
        made = build_graph(weights, config)
    except ImportError as error:
        raise MissingExtra(
            "the model cannot be converted here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[torch]'",
        ) from error  # fmt: skip
    (target / GRAPH).write_bytes(made)
    shutil.copyfile(source / HYPERPARAMS, target / HYPERPARAMS)


def _torch_runner(
    path: Path, config: EcapaConfig, device: str
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    _need_torch()
    import torch

    from holdfast.voiceprint.engines._ecapa_checkpoint import read_network

    network = read_network(path, config)
    try:
        place = torch.device(device)
        network.to(place)
    except (RuntimeError, AssertionError) as error:  # what torch raises for a device it has not
        raise EngineUnusable(
            f"{path} does not run on {device!r}",
            why=f"torch {torch.__version__} says: {str(error).partition(chr(10))[0]}",
            hint="set its device to 'cpu'",
        ) from error

    def run(features: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            given = torch.from_numpy(features).to(place)
            found: NDArray[np.float32] = network(given).float().cpu().numpy()
        return found

    return run


def _need_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"a model without {GRAPH} cannot be read here", why=f"{error.name} is not installed",
            hint=f"pip install 'holdfast[torch]', or a folder that has {GRAPH}",
        ) from error  # fmt: skip
