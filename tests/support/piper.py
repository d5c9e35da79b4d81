"""A voice in Piper's layout, small enough to be written by hand: a hum for every phoneme.

Its length follows from the number of ids, the pace and the ids themselves; its pitch from the ids
and the speaker; its loudness from the noise.
"""

# ruff: noqa: RUF001 - signs of the IPA

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

__all__ = ["IDS", "hum", "write_piper"]

SAMPLES = 400
_SIGNS = "_^$ !'(),-.:;?abcdefhijklmnopqrstuvwxyzæçðøħŋœɐɑɒɔɕɖəɚɛɜɡɪɫɹɾʃʊʌʍʒʔˈˌːθ\u0329"
IDS = {sign: [number] for number, sign in enumerate(_SIGNS)}


def hum(ids: list[int], scales: tuple[float, float, float], speaker: int = 0) -> Any:
    """Return what the graph answers, as numpy does it."""
    noise, length, noise_w = (np.float32(scale) for scale in scales)
    samples = int(np.float32(len(ids) * SAMPLES) * length)
    pitch = np.float32(np.mean(np.array(ids, np.float32)) * 0.004 + 0.01 * speaker)
    time = np.arange(samples, dtype=np.float32)
    return np.sin(time * pitch) * noise * np.float32(0.5) + noise_w * np.float32(0.01)


def write_piper(
    folder: Path, *, speakers: dict[str, int] | None = None, broken: str = "", **changes: Any
) -> Path:
    """Write ``voice.onnx`` and ``voice.onnx.json``.

    Args:
        folder: where.
        speakers: names and numbers; one voice where None.
        broken: ``nan`` or ``empty``, for what it answers with.
        changes: of the description.
    """
    count = max(speakers.values()) + 1 if speakers else 1
    _write_graph(folder / "voice.onnx", sid=count > 1, broken=broken)
    about = {
        "audio": {"sample_rate": 22_050, "quality": "medium"},
        "espeak": {"voice": "en-us"},
        "language": {"code": "en_US", "family": "en", "region": "US"},
        "inference": {"noise_scale": 0.667, "length_scale": 1.1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": IDS,
        "num_symbols": len(IDS),
        "num_speakers": count,
        "speaker_id_map": speakers or {},
        "piper_version": "1.0.0",
    }
    (folder / "voice.onnx.json").write_text(json.dumps(about | changes, ensure_ascii=False))
    return folder


def _write_graph(path: Path, *, sid: bool, broken: str) -> None:
    def constant(name: str, value: Any, kind: Any = np.float32) -> Any:
        return numpy_helper.from_array(np.array(value, kind), name)

    constants = [
        constant("per_id", SAMPLES), constant("quiet", 0.5), constant("step", 0.004),
        constant("apart", 0.01), constant("start", 0.0), constant("one", 1.0),
        constant("zero_at", [0], np.int64), constant("one_at", [1], np.int64),
        constant("two_at", [2], np.int64), constant("axis", [0], np.int64),
        constant("no_speaker", 0.0), constant("harm", np.nan if broken == "nan" else 0.0),
        constant("some", 0.0 if broken == "empty" else 1.0),
        constant("shape", [1, 1, 1, -1], np.int64), constant("scalar", [], np.int64),
    ]  # fmt: skip
    node = helper.make_node

    def scale(name: str) -> list[Any]:
        return [node("Gather", ["scales", f"{name}_at"], [f"scale_{name}_1"], axis=0),
                node("Reshape", [f"scale_{name}_1", "scalar"], [f"scale_{name}"])]  # fmt: skip

    nodes = [
        *scale("zero"), *scale("one"), *scale("two"),
        node("Cast", ["input_lengths"], ["lengths"], to=TensorProto.FLOAT),
        node("Reshape", ["lengths", "scalar"], ["length"]),
        node("Mul", ["length", "per_id"], ["usual"]),
        node("Mul", ["usual", "scale_one"], ["paced"]),
        node("Mul", ["paced", "some"], ["wanted"]),
        node("Floor", ["wanted"], ["samples"]),
        node("Range", ["start", "samples", "one"], ["time"]),
        node("Cast", ["input"], ["ids"], to=TensorProto.FLOAT),
        node("ReduceMean", ["ids"], ["mean"], keepdims=0),
        node("Mul", ["mean", "step"], ["low"]),
        *([node("Cast", ["sid"], ["sid_1"], to=TensorProto.FLOAT),
           node("Reshape", ["sid_1", "scalar"], ["speaker"])]
          if sid else [node("Identity", ["no_speaker"], ["speaker"])]),
        node("Mul", ["speaker", "apart"], ["higher"]),
        node("Add", ["low", "higher"], ["pitch"]),
        node("Mul", ["time", "pitch"], ["angle"]),
        node("Sin", ["angle"], ["sine"]),
        node("Mul", ["sine", "scale_zero"], ["loud"]),
        node("Mul", ["loud", "quiet"], ["sound"]),
        node("Mul", ["scale_two", "apart"], ["offset"]),
        node("Add", ["sound", "offset"], ["moved"]),
        node("Add", ["moved", "harm"], ["all"]),
        node("Reshape", ["all", "shape"], ["output"]),
    ]  # fmt: skip
    value = helper.make_tensor_value_info
    inputs = [
        value("input", TensorProto.INT64, ["batch", "phonemes"]),
        value("input_lengths", TensorProto.INT64, ["batch"]),
        value("scales", TensorProto.FLOAT, [3]),
        *([value("sid", TensorProto.INT64, ["batch"])] if sid else []),
    ]
    outputs = [value("output", TensorProto.FLOAT, ["batch", 1, 1, "samples"])]
    graph = helper.make_graph(nodes, "voice", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    save_model(model, str(path))
