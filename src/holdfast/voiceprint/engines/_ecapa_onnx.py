"""An ECAPA-TDNN checkpoint as an ONNX graph, laid out for the speed of a processor.

The graph computes what the network does (`holdfast.voiceprint.engines._ecapa_torch`), in another
order:

- Frames are rows, (batch * frames, channels), so that every convolution is one product with a
  constant on its right, which onnxruntime packs once; a kernel of more than one frame sees the
  rows that it spans side by side.
- Batch normalisation comes after the ReLU and has no node of its own. A factor goes into the
  weights before the ReLU but for its sign, and what is added into the biases after it.
- Attention looks at the mean and the deviation of the whole clip, which are the same for every
  frame: that part of the product, two thirds of the layer, is done once a clip.
- Nothing is masked, so neither batch nor length is fixed.
- Rows are a little longer than the model's own where that is faster, see `_ecapa_layout`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from holdfast.voiceprint.engines._ecapa_config import EcapaConfig
from holdfast.voiceprint.engines._ecapa_layout import spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers: TypeAlias = NDArray[Any]

__all__ = ["build_graph"]

_NORM_EPSILON = 1e-5  # torch's
_LEAST_VARIANCE = 1e-12
_OPSET, _IR = 17, 8
_FLOAT = 1  # onnx.TensorProto.FLOAT
# Up to here exp() and sums of it stay well within float32, and need no maximum taken off.
_LARGEST_LOGIT = 40.0


class _Rows(NamedTuple):
    """Rows in the graph, and what is still to be done to them: times ``scale``, plus ``shift``."""

    name: str
    scale: Numbers
    shift: Numbers


def build_graph(weights: Mapping[str, Numbers], config: EcapaConfig) -> bytes:
    """Return the model: ``features``, (batch, frames, n_mels), to ``embedding``, (batch, numbers).

    Args:
        weights: float32, by the names of SpeechBrain's checkpoint, in the shapes of ``config``.
        config: the numbers of the model.
    """
    from onnx import TensorProto, helper

    weights, config = spread(weights, config)
    graph = _Graph(weights)
    output = _network(graph, config)
    describe = helper.make_tensor_value_info
    made = helper.make_graph(
        graph.nodes,
        "ecapa-tdnn",
        [describe("features", TensorProto.FLOAT, ["batch", "frames", config.n_mels])],
        [describe(output, TensorProto.FLOAT, ["batch", config.lin_neurons])],
        graph.constants,
    )
    opset = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(made, opset_imports=opset, ir_version=_IR, producer_name="holdfast")
    return bytes(model.SerializeToString())


class _Graph:
    """Collects nodes and constants; every method returns the name of what it added."""

    def __init__(self, weights: Mapping[str, Numbers]) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._weights = weights
        shape = self.node("Shape", "features")
        self._batch = self.node("Slice", shape, self.whole(0), self.whole(1))
        self._frames = self.node("Slice", shape, self.whole(1), self.whole(2))
        self._neighbours: dict[tuple[int, int], str] = {}
        row = self.node("Concat", self.whole(1, 1), self._frames, axis=0)
        self._ones = self.node("Expand", self.constant([1]), row)  # (1, 1, frames)
        count = self.node("Cast", self._frames, to=_FLOAT)
        self._shares = self.node("Div", self._ones, count)

    def node(self, kind: str, *inputs: str, named: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        from onnx import helper

        name = named or f"{kind.lower()}-{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Add float32 numbers."""
        return self._constant(np.asarray(value, np.float32))

    def whole(self, *values: int) -> str:
        """Add whole numbers."""
        return self._constant(np.array(values, np.int64))

    def _constant(self, value: Numbers) -> str:
        from onnx import numpy_helper

        name = f"constant-{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def convolution(self, layer: str) -> tuple[Numbers, Numbers]:
        """Return a layer's weights, (outputs, inputs, kernel), and biases, (outputs,)."""
        weight, bias = (self._weights[f"{layer}.conv.{part}"] for part in ("weight", "bias"))
        return weight.astype(np.float64), bias.astype(np.float64)

    def norm(self, layer: str) -> tuple[Numbers, Numbers]:
        """Return what a batch normalisation does: scale and shift, (channels,)."""
        weight, bias, mean, variance = (
            self._weights[f"{layer}.norm.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = weight / np.sqrt(variance + _NORM_EPSILON)
        return scale, bias - mean * scale

    def product(self, rows: str, weight: Numbers, bias: Numbers) -> str:
        """Multiply rows, (n, inputs), with weights, (outputs, inputs)."""
        return self.node("Gemm", rows, self.constant(weight.T), self.constant(bias))

    def clips(self, rows: str, channels: int) -> str:
        """Return rows as (batch, frames, channels)."""
        shape = self.node("Concat", self._batch, self._frames, self.whole(channels), axis=0)
        return self.node("Reshape", rows, shape)

    def rows(self, clips: str, channels: int) -> str:
        """Return (batch, frames, channels) as rows."""
        return self.node("Reshape", clips, self.whole(-1, channels))

    def neighbours(self, kernel: int, dilation: int) -> str:
        """Return the numbers of the rows that each row's kernel sees, mirrored at a clip's ends."""
        if (kernel, dilation) not in self._neighbours:
            reach = dilation * (kernel - 1) // 2
            steps = np.arange(-reach, reach + 1, dilation)[None]
            zero, one = self._constant(np.array(0)), self._constant(np.array(1))
            frames = self.node("Squeeze", self._frames)
            frame = self.node("Range", zero, frames, one)
            seen = self.node("Add", self.node("Unsqueeze", frame, one), self._constant(steps))
            last = self.node("Sub", self._frames, one)
            seen = self.node("Sub", last, self.node("Abs", seen))
            seen = self.node("Sub", last, self.node("Abs", seen))
            clip = self.node("Range", zero, self.node("Squeeze", self._batch), one)
            first = self.node("Unsqueeze", self.node("Mul", clip, frames), self.whole(1, 2))
            seen = self.node("Reshape", self.node("Add", first, seen), self.whole(-1))
            self._neighbours[kernel, dilation] = seen
        return self._neighbours[kernel, dilation]

    def total(self, clips: str) -> str:
        """Return the sum over each clip's frames, (batch, 1, channels).

        As a product with ones: onnxruntime's sums over an axis that is not the last take six
        times as long.
        """
        return self.node("MatMul", self._ones, clips)

    def mean(self, clips: str) -> str:
        """Return the mean over each clip's frames, (batch, 1, channels)."""
        return self.node("MatMul", self._shares, clips)

    def per_clip(self, values: str) -> str:
        """Return (batch, channels) as (batch, 1, channels)."""
        return self.node("Unsqueeze", values, self.whole(1))

    def deviation(self, variance: str) -> str:
        """Return the root of a variance that is not let down to nothing."""
        return self.node("Sqrt", self.node("Max", variance, self.constant(_LEAST_VARIANCE)))


def _network(graph: _Graph, config: EcapaConfig) -> str:
    """Add the whole network; return its output's name."""
    n_mels, inner, last = config.n_mels, config.channels[:-1], config.channels[-1]
    x = _plain(graph.rows("features", n_mels), n_mels)
    x = _tdnn(graph, x, "blocks.0", dilation=config.dilations[0])
    found = []
    for index in range(1, len(inner)):
        x = _block(graph, x, f"blocks.{index}", config, index)
        found.append(x)
    x = _tdnn(graph, _side_by_side(graph, found), "mfa", dilation=config.dilations[-1])
    pooled, scale, shift = _pooling(graph, x, last, config)
    weight, bias = graph.convolution("fc")
    norm_scale, norm_shift = graph.norm("asp_bn")
    bias += weight[:, :, 0] @ (norm_scale * shift + norm_shift)
    weight = weight[:, :, 0] * (norm_scale * scale)
    return graph.node(
        "Gemm", pooled, graph.constant(weight.T), graph.constant(bias), named="embedding"
    )


def _plain(name: str, channels: int) -> _Rows:
    return _Rows(name, np.ones(channels), np.zeros(channels))


def _side_by_side(graph: _Graph, parts: Sequence[_Rows]) -> _Rows:
    name = graph.node("Concat", *(part.name for part in parts), axis=1)
    scale, shift = (np.concatenate(column) for column in list(zip(*parts, strict=True))[1:])
    return _Rows(name, scale, shift)


def _convolved(graph: _Graph, x: _Rows, weight: Numbers, bias: Numbers, dilation: int = 1) -> str:
    """Add a convolution of what ``x`` stands for, its ends mirrored.

    A shift is the same for every frame, mirrored ones too, so that it can go into the bias.
    """
    outputs, inputs, kernel = weight.shape
    bias = bias + weight.sum(axis=2) @ x.shift
    weight = (weight * x.scale[:, None]).transpose(0, 2, 1).reshape(outputs, kernel * inputs)
    rows = x.name
    if kernel > 1:
        seen = graph.node("Gather", rows, graph.neighbours(kernel, dilation), axis=0)
        rows = graph.rows(seen, kernel * inputs)
    return graph.product(rows, weight, bias)


def _tdnn(graph: _Graph, x: _Rows, layer: str, *, dilation: int = 1) -> _Rows:
    """Add convolution, ReLU and batch normalisation."""
    weight, bias = graph.convolution(f"{layer}.conv")
    scale, shift = graph.norm(f"{layer}.norm")
    # s * relu(z) is sign(s) * relu(|s| * z).
    size = np.abs(scale)
    made = _convolved(graph, x, weight * size[:, None, None], bias * size, dilation)
    return _Rows(graph.node("Relu", made), np.sign(scale), shift)


def _block(graph: _Graph, x: _Rows, layer: str, config: EcapaConfig, index: int) -> _Rows:
    """Add a block: TDNN, Res2Net, TDNN, squeeze and excitation, and the way around them."""
    channels = config.channels[index]
    way = x
    if config.channels[index - 1] != channels:
        way = _plain(_convolved(graph, x, *graph.convolution(f"{layer}.shortcut")), channels)
    inside = _tdnn(graph, x, f"{layer}.tdnn1")
    inside = _res2net(graph, inside, f"{layer}.res2net_block", config, index)
    inside = _tdnn(graph, inside, f"{layer}.tdnn2")
    clips = graph.clips(inside.name, channels)
    seen = inside._replace(name=graph.rows(graph.mean(clips), channels))
    squeezed = _convolved(graph, seen, *graph.convolution(f"{layer}.se_block.conv1"))
    squeezed = graph.node("Relu", squeezed)
    weight, bias = graph.convolution(f"{layer}.se_block.conv2")
    gate = graph.node("Sigmoid", graph.product(squeezed, weight[:, :, 0], bias))
    # gate * (scale * rows + shift) + way, with all that is the same for a clip's frames apart.
    factor = graph.per_clip(_scaled(graph, gate, inside.scale))
    added = graph.node("Mul", graph.per_clip(gate), graph.constant(inside.shift))
    added = graph.node("Add", added, graph.constant(way.shift))
    around = graph.clips(_scaled(graph, way.name, way.scale), channels)
    mixed = graph.node("Add", graph.node("Mul", clips, factor), around)
    return _plain(graph.rows(graph.node("Add", mixed, added), channels), channels)


def _scaled(graph: _Graph, name: str, scale: Numbers) -> str:
    """Multiply by ``scale``, (channels,), where it is not 1."""
    return name if (scale == 1).all() else graph.node("Mul", name, graph.constant(scale))


def _res2net(graph: _Graph, x: _Rows, layer: str, config: EcapaConfig, index: int) -> _Rows:
    width = len(x.scale) // config.res2net_scale
    x = x._replace(name=_scaled(graph, x.name, x.scale), scale=np.ones(len(x.scale)))
    parts = []
    for number in range(config.res2net_scale):
        start, stop = number * width, (number + 1) * width
        ends = (graph.whole(start), graph.whole(stop), graph.whole(1))
        name = graph.node("Slice", x.name, *ends)
        parts.append(_Rows(name, x.scale[start:stop], x.shift[start:stop]))
    found = [parts[0]]
    for number, part in enumerate(parts[1:]):
        seen = part
        if number:
            before = found[-1]
            name = graph.node("Add", part.name, _scaled(graph, before.name, before.scale))
            seen = _Rows(name, part.scale, part.shift + before.shift)
        dilation = config.dilations[index]
        found.append(_tdnn(graph, seen, f"{layer}.blocks.{number}", dilation=dilation))
    return _side_by_side(graph, found)


def _pooling(
    graph: _Graph, x: _Rows, channels: int, config: EcapaConfig
) -> tuple[str, Numbers, Numbers]:
    """Add the pooling; return means and deviations, (batch, 2 * channels), and what is still to
    be done to these: times a scale, plus a shift."""
    clips = graph.clips(x.name, channels)
    mean = graph.mean(clips)
    centred = graph.node("Sub", clips, mean)
    square = graph.node("Mul", centred, centred)
    deviation = graph.deviation(graph.mean(square))
    rows, limit = _attention(graph, x, (mean, deviation), config)
    logits = graph.clips(rows, channels)
    if limit > _LARGEST_LOGIT:
        highest = graph.node("ReduceMax", logits, axes=[1], keepdims=1)
        logits = graph.node("Sub", logits, highest)
    weights = graph.node("Exp", logits)
    whole = graph.total(weights)
    first = graph.node("Div", graph.total(graph.node("Mul", weights, centred)), whole)
    second = graph.node("Div", graph.total(graph.node("Mul", weights, square)), whole)
    variance = graph.node("Sub", second, graph.node("Mul", first, first))
    means = graph.node("Add", mean, first)
    pooled = graph.node("Concat", means, graph.deviation(variance), axis=2)
    ones, zeros = np.ones(channels), np.zeros(channels)
    scale = np.concatenate([x.scale, ones])
    return graph.rows(pooled, 2 * channels), scale, np.concatenate([x.shift, zeros])


def _attention(
    graph: _Graph, x: _Rows, around: tuple[str, str], config: EcapaConfig
) -> tuple[str, float]:
    """Return the logits, rows of as many numbers as ``x`` has, and what none of them exceeds."""
    channels, inner = len(x.scale), config.attention_channels
    weight, bias = graph.convolution("asp.tdnn.conv")
    scale, shift = graph.norm("asp.tdnn.norm")
    size = np.abs(scale)
    weight, bias = weight[:, :, 0] * size[:, None], bias * size
    own = weight[:, :channels]
    bias = bias + own @ x.shift
    seen = graph.clips(graph.product(x.name, own * x.scale, 0 * bias), inner)
    if config.global_context:
        of_mean, of_deviation = np.split(weight[:, channels:], 2, axis=1)
        bias = bias + of_mean @ x.shift
        clip = graph.rows(graph.node("Concat", *around, axis=2), 2 * channels)
        both = np.concatenate([of_mean * x.scale, of_deviation], axis=1)
        seen = graph.node("Add", seen, graph.per_clip(graph.product(clip, both, bias)))
    else:
        seen = graph.node("Add", seen, graph.constant(bias))
    seen = _scaled(graph, graph.node("Relu", seen), np.sign(scale))
    seen = graph.node("Tanh", graph.node("Add", seen, graph.constant(shift)))
    # No bias: what is the same for every frame of a channel makes no difference to its softmax.
    weight = graph.convolution("asp.conv")[0][:, :, 0]
    logits = graph.node("MatMul", graph.rows(seen, inner), graph.constant(weight.T))
    return logits, float(np.abs(weight).sum(axis=1).max())  # of numbers from -1 to 1
