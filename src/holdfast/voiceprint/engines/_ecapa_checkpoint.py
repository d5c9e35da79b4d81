"""Weights from ``embedding_model.ckpt``, which is a pickle: read by torch without running it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from holdfast.runtime import EngineUnusable, cannot_load
from holdfast.voiceprint.engines._ecapa_config import HYPERPARAMS, EcapaConfig
from holdfast.voiceprint.engines._ecapa_torch import EcapaTdnn

__all__ = ["read_network"]

_HINT = "holdfast verify, then holdfast repair; or another model"
# Counts the batches of training; nothing depends on it, and old checkpoints lack it.
_COUNTER = "num_batches_tracked"
_SHOWN = 3


def read_network(path: Path, config: EcapaConfig) -> EcapaTdnn:
    """Return the network with a checkpoint's weights, in float32, ready to be run.

    Raises:
        EngineUnusable: there is no such file; it is no checkpoint, is cut short, or would run code;
            its weights are not those of such a network, or are not numbers.
    """
    if not path.is_file():
        raise EngineUnusable(
            f"{path.parent} is not a speaker model of SpeechBrain's",
            why=f"it has no {path.name}", hint=_HINT,
        )  # fmt: skip
    try:
        # Only tensors and plain containers are made; anything else in the pickle is refused.
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # whose text recommends to run whatever is in there
        raise EngineUnusable(
            f"{path} cannot be loaded",
            why="it is no checkpoint, or one that holds more than weights, which is never run",
            hint=_HINT,
        ) from error
    except Exception as error:
        raise cannot_load(path, error) from error
    with torch.device("meta"):  # shapes only: no memory is taken before they are known to fit
        network = EcapaTdnn(config)
    expected = {
        name: value.shape
        for name, value in network.state_dict().items()
        if not name.endswith(_COUNTER)
    }
    weights = _checked(path, found, expected)
    counters = {name: torch.tensor(0) for name in network.state_dict() if name.endswith(_COUNTER)}
    network.load_state_dict(weights | counters, assign=True)
    network.eval().requires_grad_(requires_grad=False)
    return network


def _checked(path: Path, found: Any, expected: dict[str, Any]) -> dict[str, Any]:
    """Return the weights that are expected, in float32.

    Raises:
        EngineUnusable: as `read_network`; the first few problems are named.
    """
    tensors = {
        name: value
        for name, value in (found.items() if isinstance(found, dict) else ())
        if isinstance(value, torch.Tensor) and not str(name).endswith(_COUNTER)
    }
    problems = [f"{name} is missing" for name in expected if name not in tensors]
    problems += [f"{name} is not of this network" for name in tensors if name not in expected]
    for name, shape in expected.items():
        value = tensors.get(name)
        if value is None:
            continue
        if value.shape != shape:
            problems.append(f"{name} is {tuple(value.shape)}, not {tuple(shape)}")
        elif value.layout != torch.strided or not value.is_floating_point():
            problems.append(f"{name} is a {value.dtype} {value.layout}")
        elif not bool(value.isfinite().all()):
            problems.append(f"{name} holds values that are not numbers")
    if problems:
        more = len(problems) - _SHOWN
        raise EngineUnusable(
            f"{path} does not hold the network that {HYPERPARAMS} describes",
            why="; ".join(problems[:_SHOWN]) + (f"; and {more} more" if more > 0 else ""),
            hint=_HINT,
        )
    return {name: tensors[name].float().contiguous() for name in expected}
