"""A graph on onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.runtime import EngineUnusable, onnxruntime

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["cannot_load", "graph_runner", "opened"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def opened(path: Path, device: str) -> Any:
    """Load a graph.

    Args:
        path: the file.
        device: ``cpu``, or ``cuda:N`` where onnxruntime was built for it.

    Returns:
        an ``onnxruntime.InferenceSession``.

    Raises:
        EngineUnusable: the file is no graph, or onnxruntime cannot use the device.
        MissingExtra: onnxruntime is not installed.
    """
    runtime = onnxruntime("voiceprint")
    kind, _, number = device.partition(":")
    provider = _PROVIDERS.get(kind)
    if provider not in runtime.get_available_providers():
        raise EngineUnusable(
            f"{path.name} does not run on {device!r}",
            why=f"this onnxruntime has {', '.join(runtime.get_available_providers())}",
            hint="set its device to 'cpu'",
        )
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    # As many threads as the machine has cores for us, but not tied to them, and none that waits
    # busily: other models and requests want the cores as well.
    options.intra_op_num_threads = _usable_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chosen: Any = provider if kind == "cpu" else (provider, {"device_id": number or "0"})
    try:
        return runtime.InferenceSession(path.read_bytes(), sess_options=options, providers=[chosen])
    except Exception as error:
        raise cannot_load(path, error) from error


def graph_runner(
    path: Path, device: str, *, wants: str
) -> tuple[Callable[[NDArray[np.float32]], NDArray[np.float32]], int]:
    """Load a graph from features to embeddings.

    Args:
        path: the file.
        device: ``cpu``, or ``cuda:N`` where onnxruntime was built for it.
        wants: the input's name.

    Returns:
        what runs it: float32, (clips, frames, n_mels), to float32, (clips, dimension); and n_mels.

    Raises:
        EngineUnusable: the file is no such graph, or onnxruntime cannot use the device.
        MissingExtra: onnxruntime is not installed.
    """
    session = opened(path, device)
    try:
        (given,) = session.get_inputs()
        if given.name != wants or len(given.shape) != 3 or not isinstance(given.shape[2], int):
            raise ValueError(f"its input is {given.name} {given.shape}")  # noqa: TRY301
        output = session.get_outputs()[0].name
    except Exception as error:
        raise cannot_load(path, error) from error

    def run(features: NDArray[np.float32]) -> NDArray[np.float32]:
        (embeddings,) = session.run([output], {wants: features})
        found: NDArray[np.float32] = embeddings
        return found

    return run, given.shape[2]


def _usable_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def cannot_load(path: Path, error: Exception) -> EngineUnusable:
    """Return what to say of a file that a library could not read."""
    first_line = str(error).strip().partition("\n")[0]
    return EngineUnusable(
        f"{path} cannot be loaded",
        why=f"{type(error).__name__}: {first_line}",
        hint="holdfast verify, then holdfast repair",
    )
