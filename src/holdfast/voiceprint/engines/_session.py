"""A graph on onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.runtime import cannot_load, onnx_session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["graph_runner"]


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
    session = onnx_session(path, device, "voiceprint")
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
