"""Detectors of spoofing in the layouts of real ones, small enough to be written by hand.

The graph tells wide-band speech from speech whose upper band is gone, as a loudspeaker and a
telephone leave it: by how much neighbouring samples differ, against how large they are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

from holdfast.media import RATE_HZ, Waveform, read_audio
from tests.support.voices import write_wav

__all__ = ["AASIST_SAMPLES", "played_back", "roughness", "write_graph"]

AASIST_SAMPLES = 64_600
_MIDDLE = 0.12
_STEEP = 400.0


def roughness(clip: Waveform) -> float:
    """Return what the graph decides by."""
    return float(np.abs(np.diff(clip)).mean() / np.abs(clip).mean())


def write_graph(
    path: Path, *, samples: int | str = AASIST_SAMPLES, hidden: bool = True, broken: bool = False
) -> Path:
    """Write the detector: (batch, samples) to (batch, 2), of which 1 is bona fide.

    Args:
        path: the file.
        samples: what it takes; a name where it takes any number.
        hidden: whether a hidden layer is an output, too, as in AASIST's.
        broken: whether it answers with what is no number.
    """
    constants = [
        numpy_helper.from_array(np.array([1], np.int64), "one"),
        numpy_helper.from_array(np.array([0], np.int64), "zero"),
        numpy_helper.from_array(np.array([2**31 - 1], np.int64), "end"),
        numpy_helper.from_array(np.array([-1], np.int64), "last"),
        numpy_helper.from_array(np.array(_MIDDLE, np.float32), "middle"),
        numpy_helper.from_array(np.array([[0.0, _STEEP]], np.float32), "steep"),
        numpy_helper.from_array(np.array(np.nan if broken else 0.0, np.float32), "more"),
    ]
    node = helper.make_node
    nodes = [
        node("Slice", ["input", "one", "end", "one"], ["later"]),
        node("Slice", ["input", "zero", "last", "one"], ["earlier"]),
        node("Sub", ["later", "earlier"], ["steps"]),
        node("Abs", ["steps"], ["step_sizes"]),
        node("ReduceMean", ["step_sizes", "one"], ["step"], keepdims=1),
        node("Abs", ["input"], ["sizes"]),
        node("ReduceMean", ["sizes", "one"], ["size"], keepdims=1),
        node("Div", ["step", "size"], ["hidden"]),
        node("Sub", ["hidden", "middle"], ["above"]),
        node("Mul", ["above", "steep"], ["scaled"]),
        node("Add", ["scaled", "more"], ["logits"]),
    ]
    out = helper.make_tensor_value_info
    outputs = [out("logits", TensorProto.FLOAT, ["batch", 2])]
    if hidden:
        outputs.insert(0, out("hidden", TensorProto.FLOAT, ["batch", 1]))
    graph = helper.make_graph(
        nodes, "detector", [out("input", TensorProto.FLOAT, ["batch", samples])], outputs, constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(model, str(path))
    return path


def played_back(path: Path) -> Path:
    """Return a recording as a small loudspeaker leaves it: nothing above 1.5 kHz."""
    import soxr

    waveform = read_audio(path)
    narrow = soxr.resample(soxr.resample(waveform, RATE_HZ, 3_000), 3_000, RATE_HZ)
    return write_wav(path.with_name(f"{path.stem}-played.wav"), narrow.astype(np.float32))
